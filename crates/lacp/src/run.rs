//! Runs the tables: the only place where a condition is evaluated and an action is
//! done.

use crate::config::{SystemConfig, Version};
use crate::counters::Counter;
use crate::id::PortState;
use crate::output::{Output, Sink};
use crate::pdu::{MarkerKind, Pdu};
use crate::port::{Port, States};
use crate::table::{
    ACTOR_CHURN, Action, At, Condition, From, GENERATOR, MUX, Machine, MachineId, MarkerEnd, Mux,
    PARTNER_CHURN, PERIODIC, RECEIVE, RESPONDER, SELECTION, Selected, TRANSMIT, TimerId,
};
use crate::time::{Time, Timer};

/// More steps than any machine can take on one event; the tests show that it is
/// never reached.
const STEP_LIMIT: usize = 32;

/// What is around a port while its machines run.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) system: &'a SystemConfig,
}

/// A machine that belongs to a port.
pub(crate) trait Runs: Copy + Eq + 'static {
    const MACHINE: &'static Machine<Self>;

    fn of(states: &mut States) -> &mut At<Self>;
}

macro_rules! runs {
    ($($state:ty, $machine:ident, $field:ident;)*) => {$(
        impl Runs for $state {
            const MACHINE: &'static Machine<Self> = &$machine;

            fn of(states: &mut States) -> &mut At<Self> {
                &mut states.$field
            }
        }
    )*};
}

runs! {
    crate::table::Receive, RECEIVE, receive;
    crate::table::Periodic, PERIODIC, periodic;
    Selected, SELECTION, selected;
    Mux, MUX, mux;
    crate::table::Transmit, TRANSMIT, transmit;
    crate::table::ActorChurn, ACTOR_CHURN, actor_churn;
    crate::table::PartnerChurn, PARTNER_CHURN, partner_churn;
    crate::table::Responder, RESPONDER, responder;
    crate::table::Generator, GENERATOR, generator;
}

impl Port {
    /// Runs one machine until it rests. Says whether it did anything.
    pub(crate) fn run<S: Runs>(&mut self, context: &Context<'_>, out: Sink<'_>) -> bool {
        let machine = S::MACHINE;
        let mut moved = false;
        for _ in 0..STEP_LIMIT {
            let At { state, held } = *S::of(&mut self.states);
            let Some((number, transition)) =
                machine.next(state, |condition| self.holds(condition, context.now))
            else {
                if held {
                    // The condition that held it has ceased: entered for the last time.
                    S::of(&mut self.states).held = false;
                    self.enter::<S>(state, context, out);
                }
                return moved;
            };
            let from_any = transition.from == From::Any;
            if from_any && held && state == transition.to {
                return moved;
            }
            *S::of(&mut self.states) = At {
                state: transition.to,
                held: from_any,
            };
            if let Some(timer) = machine.timer {
                self.set_timer(timer, Timer::Stopped);
            }
            self.enter::<S>(transition.to, context, out);
            if let (true, Some(timer)) = (from_any, machine.timer) {
                self.set_timer(timer, Timer::Stopped);
            }
            if machine.id == MachineId::Mux {
                self.mux_reason = Some(number as u8);
            }
            out(Output::Transition {
                port: self.index,
                machine: machine.id,
                transition: number as u8,
            });
            moved = true;
        }
        debug_assert!(false, "{} does not rest", machine.id.name());
        moved
    }

    fn enter<S: Runs>(&mut self, state: S, context: &Context<'_>, out: Sink<'_>) {
        for action in S::MACHINE.entry(state) {
            self.perform(*action, context, out);
        }
    }

    fn holds(&self, condition: Condition, now: Time) -> bool {
        match condition {
            Condition::Begin => self.begin,
            Condition::PortEnabled(value) => self.port_enabled == value,
            Condition::PortMoved(value) => self.port_moved == value,
            Condition::LacpEnabled(value) => self.config.lacp_enabled == value,
            Condition::LacpduReceived => self.lacpdu.is_some(),
            Condition::Expired(timer) => self.timer(timer) == Timer::Expired,
            Condition::BothPassive => self.both_passive(),
            Condition::PartnerShortTimeout(value) => {
                self.partner.state.has(PortState::LACP_TIMEOUT) == value
            }
            Condition::PartnerSync(value) => {
                self.partner.state.has(PortState::SYNCHRONIZATION) == value
            }
            Condition::PartnerCollecting(value) => {
                self.partner.state.has(PortState::COLLECTING) == value
            }
            Condition::ActorSync(value) => {
                self.actor.state.has(PortState::SYNCHRONIZATION) == value
            }
            Condition::Selected(value) => self.states.selected.state == value,
            Condition::Ready => self.ready,
            Condition::Detached => self.states.mux.state == Mux::Detached,
            Condition::AggregatorFound(value) => self.found.aggregator.is_some() == value,
            Condition::PlaceGranted(value) => self.found.place == value,
            Condition::Ntt => self.ntt,
            Condition::MaySend(value) => self.may_send() == value,
            Condition::LimitReached(value) => self.lacpdus_sent.is_free(now) != value,
            Condition::MarkerReceived => {
                self.marker
                    .is_some_and(|marker| marker.kind == MarkerKind::Marker)
                    && self.responses_sent.is_free(now)
            }
            Condition::MarkerRequested => self.request.requested,
            Condition::MarkerAnswered => self.marker == Some(self.own_marker(MarkerKind::Response)),
            Condition::MarkerTriesLeft => self.request.tries > 0 && self.markers_sent.is_free(now),
        }
    }

    fn perform(&mut self, action: Action, context: &Context<'_>, out: Sink<'_>) {
        let Context { now, system } = *context;
        match action {
            Action::Unselect => self.states.selected.state = Selected::Unselected,
            Action::RecordDefault => self.record_default(),
            Action::ActorExpired(value) => self.set_actor(PortState::EXPIRED, value),
            Action::PortNotMoved => self.port_moved = false,
            Action::PartnerOutOfSync => self.set_partner(PortState::SYNCHRONIZATION, false),
            Action::PartnerTimeoutShort => self.set_partner(PortState::LACP_TIMEOUT, true),
            Action::PartnerIndividual => {
                self.set_partner(PortState::AGGREGATION, false);
                self.note_lag();
            }
            Action::UpdateSelected => self.update_selected(),
            Action::UpdateDefaultSelected => self.update_default_selected(),
            Action::UpdateNtt => self.update_ntt(),
            Action::RecordVersionNumber => {
                if let (Version::V2, Some(lacpdu)) = (system.version, &self.lacpdu) {
                    self.partner_version = lacpdu.version_number;
                }
            }
            Action::RecordPdu => {
                self.record_pdu();
                // The event is used up: CURRENT is entered once for each LACPDU.
                self.lacpdu = None;
            }
            Action::Start(timer, period) => self.start(timer, period, now, system),
            Action::Stop(timer) => self.set_timer(timer, Timer::Stopped),
            // With LACP off NTT is FALSE (6.4.16).
            Action::SetNtt(value) => self.ntt = value && self.config.lacp_enabled,
            Action::AttachMux => self.tell_attached(true, out),
            Action::DetachMux => self.tell_attached(false, out),
            Action::ActorSync(value) => {
                if value && !self.actor.state.has(PortState::SYNCHRONIZATION) {
                    self.counters.count(Counter::ActorSyncTransitionCount);
                }
                self.set_actor(PortState::SYNCHRONIZATION, value);
            }
            Action::ActorCollecting(value) => self.set_actor(PortState::COLLECTING, value),
            Action::ActorDistributing(value) => self.set_actor(PortState::DISTRIBUTING, value),
            Action::Collecting(enabled) => {
                if self.collecting != enabled {
                    self.collecting = enabled;
                    let port = self.index;
                    out(Output::Collecting { port, enabled });
                }
            }
            Action::Distributing(enabled) => {
                if self.distributing != enabled {
                    self.distributing = enabled;
                    let port = self.index;
                    out(Output::Distributing { port, enabled });
                }
            }
            Action::ActorChurn(churn) => self.tell_churn(false, churn, out),
            Action::PartnerChurn(churn) => self.tell_churn(true, churn, out),
            Action::TakeAggregator => self.aggregator = self.found.aggregator,
            Action::TransmitLacpdu => {
                let lacpdu = self.lacpdu_to_send(system);
                self.lacpdus_sent.count(now);
                self.counters.count(Counter::LacpdusTx);
                self.send(Pdu::Lacpdu(lacpdu), system, out);
            }
            Action::TransmitResponse => {
                if let Some(marker) = self.marker.take() {
                    self.responses_sent.count(now);
                    self.counters.count(Counter::MarkerResponsePdusTx);
                    self.send(Pdu::Marker(marker.response()), system, out);
                }
            }
            Action::TransmitMarker => {
                self.request.requested = false;
                self.request.tries = self.request.tries.saturating_sub(1);
                self.markers_sent.count(now);
                self.counters.count(Counter::MarkerPdusTx);
                self.send(
                    Pdu::Marker(self.own_marker(MarkerKind::Marker)),
                    system,
                    out,
                );
            }
            Action::Report(end) => {
                if end == MarkerEnd::Answered {
                    self.marker = None;
                }
                out(Output::Marker {
                    port: self.index,
                    transaction: self.request.transaction,
                    end,
                });
            }
        }
    }

    fn tell_attached(&mut self, attached: bool, out: Sink<'_>) {
        if self.attached != attached {
            self.attached = attached;
            out(Output::Attached {
                port: self.index,
                aggregator: self.aggregator.filter(|_| attached),
            });
        }
    }

    fn tell_churn(&mut self, partner: bool, churn: bool, out: Sink<'_>) {
        let Some(told) = self.churn.get_mut(usize::from(partner)) else {
            return;
        };
        if *told != churn {
            *told = churn;
            if churn {
                self.counters.count(if partner {
                    Counter::PartnerChurnCount
                } else {
                    Counter::ActorChurnCount
                });
            }
            out(Output::Churn {
                port: self.index,
                partner,
                churn,
            });
        }
    }

    /// The machines that need nobody else.
    pub(crate) fn run_alone(&mut self, context: &Context<'_>, out: Sink<'_>) -> bool {
        let mut moved = self.run::<crate::table::Receive>(context, out);
        moved |= self.run::<crate::table::Periodic>(context, out);
        moved |= self.run::<crate::table::ActorChurn>(context, out);
        moved |= self.run::<crate::table::PartnerChurn>(context, out);
        moved |= self.run::<crate::table::Responder>(context, out);
        moved |= self.run::<crate::table::Generator>(context, out);
        moved
    }

    /// Turns deadlines that have come into expired timers.
    pub(crate) fn advance(&mut self, now: Time) {
        for timer in &mut self.timers {
            timer.advance(now);
        }
    }

    /// Drops events that no machine wanted.
    pub(crate) fn drop_events(&mut self) {
        if self.lacpdu.take().is_some() {
            self.counters.count(Counter::DiscardedRx);
        }
        if let Some(marker) = self.marker.take() {
            self.counters.count(match marker.kind {
                MarkerKind::Marker => Counter::MarkersNotAnswered,
                MarkerKind::Response => Counter::UnexpectedMarkerResponses,
            });
        }
    }
}

const _: () = assert!(TimerId::Marker as usize + 1 == TimerId::COUNT);

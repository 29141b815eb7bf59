//! An aggregation port: its variables (6.4.7, 6.4.8) and the functions of 6.4.9.
//!
//! The machines that work on them are in `table`; here is what their conditions
//! and actions mean.

use crate::config::{AggregatorIndex, PortConfig, PortIndex, SystemConfig, Timeout, Version};
use crate::counters::{Counter, Counters};
use crate::id::{LagId, PortInformation, PortState};
use crate::output::{Output, Sink};
use crate::pdu::{Lacpdu, Marker, MarkerKind, Pdu, Version2};
use crate::table::{
    ActorChurn, At, Generator, Mux, PartnerChurn, Period, Periodic, Receive, Responder, Selected,
    TimerId, Transmit,
};
use crate::time::{
    FAST_PERIODIC_TIME, LACPDU_LIMIT, LISTEN_LIMIT, MARKER_LIMIT, RESPONSE_LIMIT, SECOND, Time,
    Timer, Window,
};

/// Where the machines of a port are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct States {
    pub(crate) receive: At<Receive>,
    pub(crate) periodic: At<Periodic>,
    pub(crate) selected: At<Selected>,
    pub(crate) mux: At<Mux>,
    pub(crate) transmit: At<Transmit>,
    pub(crate) actor_churn: At<ActorChurn>,
    pub(crate) partner_churn: At<PartnerChurn>,
    pub(crate) responder: At<Responder>,
    pub(crate) generator: At<Generator>,
}

const fn at<S>(state: S) -> At<S> {
    At { state, held: false }
}

/// The generator's marker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Request {
    /// Asked for and not yet sent for the first time.
    pub(crate) requested: bool,
    pub(crate) transaction: u32,
    /// Sent so often.
    pub(crate) tries: u8,
}

/// What the selection logic found for the port; see `selection`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) aggregator: Option<AggregatorIndex>,
    pub(crate) place: bool,
}

/// An aggregation port.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "the standard's names of variables"
)]
pub struct Port {
    pub(crate) index: PortIndex,
    pub(crate) config: PortConfig,
    pub(crate) states: States,
    pub(crate) timers: [Timer; TimerId::COUNT],
    /// `Actor_Oper_*`.
    pub(crate) actor: PortInformation,
    /// `Partner_Admin_*`.
    pub(crate) partner_admin: PortInformation,
    /// `Partner_Oper_*`.
    pub(crate) partner: PortInformation,
    /// `Partner_LACPDU_Version_Number`.
    pub(crate) partner_version: u8,
    pub(crate) begin: bool,
    pub(crate) port_enabled: bool,
    /// It is about to go: see rule WITHDRAWN.
    pub(crate) withdrawn: bool,
    pub(crate) port_moved: bool,
    pub(crate) ntt: bool,
    pub(crate) ready: bool,
    pub(crate) found: Found,
    /// The aggregator of a port that is SELECTED or STANDBY, or still attached.
    pub(crate) aggregator: Option<AggregatorIndex>,
    /// Events that wait for their machine.
    pub(crate) lacpdu: Option<Lacpdu>,
    pub(crate) marker: Option<Marker>,
    pub(crate) request: Request,
    /// What the driver was told last.
    pub(crate) attached: bool,
    pub(crate) collecting: bool,
    pub(crate) distributing: bool,
    pub(crate) churn: [bool; 2],
    pub(crate) looped: bool,
    pub(crate) lag: LagId,
    pub(crate) partners_lag: Option<LagId>,
    pub(crate) lacpdus_sent: Window<LACPDU_LIMIT>,
    pub(crate) lacpdus_heard: Window<LISTEN_LIMIT>,
    pub(crate) markers_sent: Window<MARKER_LIMIT>,
    pub(crate) responses_sent: Window<RESPONSE_LIMIT>,
    pub(crate) counters: Counters,
    pub(crate) last_rx: Option<Time>,
    pub(crate) mux_reason: Option<u8>,
}

impl Port {
    pub(crate) fn new(index: PortIndex, config: PortConfig, system: &SystemConfig) -> Self {
        let short = system.timeout == Timeout::Short;
        let actor = PortInformation {
            system: system.system,
            key: config.key,
            port: config.port,
            state: PortState::default()
                .with(
                    PortState::LACP_ACTIVITY,
                    system.activity == crate::config::Activity::Active,
                )
                .with(PortState::LACP_TIMEOUT, short)
                .with(PortState::AGGREGATION, config.aggregation),
        };
        // Without a partner: an Individual link to somebody who takes all frames.
        // Its timeout is the own one: so often somebody new is looked for.
        let partner_admin = PortInformation {
            state: PortState::default()
                .with(PortState::LACP_TIMEOUT, short)
                .with(PortState::SYNCHRONIZATION, true)
                .with(PortState::COLLECTING, true)
                .with(PortState::DISTRIBUTING, true),
            ..PortInformation::default()
        };
        Self {
            index,
            config,
            states: States {
                receive: at(Receive::Initialize),
                periodic: at(Periodic::NoPeriodic),
                selected: at(Selected::Unselected),
                mux: at(Mux::Detached),
                transmit: at(Transmit::Off),
                actor_churn: at(ActorChurn::Monitor),
                partner_churn: at(PartnerChurn::Monitor),
                responder: at(Responder::WaitForMarker),
                generator: at(Generator::Idle),
            },
            timers: [Timer::Stopped; TimerId::COUNT],
            actor,
            partner_admin,
            partner: partner_admin,
            partner_version: 0,
            begin: true,
            port_enabled: false,
            withdrawn: false,
            port_moved: false,
            ntt: false,
            ready: false,
            found: Found::default(),
            aggregator: None,
            lacpdu: None,
            marker: None,
            request: Request::default(),
            attached: false,
            collecting: false,
            distributing: false,
            churn: [false; 2],
            looped: false,
            lag: LagId::of(&actor, &partner_admin),
            partners_lag: None,
            lacpdus_sent: Window::new(FAST_PERIODIC_TIME.saturating_add(system.rate_guard)),
            lacpdus_heard: Window::new(SECOND),
            markers_sent: Window::new(SECOND),
            responses_sent: Window::new(SECOND),
            counters: Counters::default(),
            last_rx: None,
            mux_reason: None,
        }
    }

    pub(crate) fn timer(&self, id: TimerId) -> Timer {
        self.timers.get(id as usize).copied().unwrap_or_default()
    }

    pub(crate) fn set_timer(&mut self, id: TimerId, timer: Timer) {
        if let Some(place) = self.timers.get_mut(id as usize) {
            *place = timer;
        }
    }

    pub(crate) fn start(
        &mut self,
        timer: TimerId,
        period: Period,
        now: Time,
        system: &SystemConfig,
    ) {
        let short = self.actor.state.has(PortState::LACP_TIMEOUT);
        let length = match period {
            Period::MarkerTimeout => system.marker_timeout,
            Period::Window => self.lacpdus_sent.free_at().saturating_sub(now),
            fixed => fixed.fixed(short).unwrap_or(0),
        };
        self.set_timer(timer, Timer::Running(now.saturating_add(length)));
    }

    /// Whether the partner of the selection is known: see the rule `KNOWN_PARTNER`.
    pub(crate) fn without_partner(&self) -> bool {
        self.actor.state.has(PortState::DEFAULTED)
    }

    /// Neither side may speak first.
    pub(crate) fn both_passive(&self) -> bool {
        !self.actor.state.has(PortState::LACP_ACTIVITY)
            && !self.partner.state.has(PortState::LACP_ACTIVITY)
    }

    pub(crate) fn may_send(&self) -> bool {
        self.port_enabled && !self.both_passive()
    }

    /// `Ready_N` (6.4.8).
    pub(crate) fn ready_n(&self) -> bool {
        self.states.mux.state == Mux::Waiting && self.timer(TimerId::WaitWhile) == Timer::Expired
    }

    pub(crate) fn set_actor(&mut self, bits: PortState, value: bool) {
        self.actor.state = self.actor.state.with(bits, value);
    }

    pub(crate) fn set_partner(&mut self, bits: PortState, value: bool) {
        self.partner.state = self.partner.state.with(bits, value);
    }

    /// `update_Selected` (6.4.9): the partner is another, or has changed its role.
    pub(crate) fn update_selected(&mut self) {
        if let Some(lacpdu) = &self.lacpdu
            && !lacpdu.actor.matches(&self.partner, PortState::AGGREGATION)
        {
            self.states.selected.state = Selected::Unselected;
        }
    }

    /// `update_Default_Selected` (6.4.9).
    pub(crate) fn update_default_selected(&mut self) {
        if !self
            .partner_admin
            .matches(&self.partner, PortState::AGGREGATION)
        {
            self.states.selected.state = Selected::Unselected;
        }
    }

    /// `update_NTT` (6.4.9): the partner knows something old of this side.
    pub(crate) fn update_ntt(&mut self) {
        const COMPARED: PortState = PortState(
            PortState::LACP_ACTIVITY.0
                | PortState::LACP_TIMEOUT.0
                | PortState::SYNCHRONIZATION.0
                | PortState::AGGREGATION.0,
        );
        if let Some(lacpdu) = &self.lacpdu
            && !lacpdu.partner.matches(&self.actor, COMPARED)
        {
            self.ntt = true;
        }
    }

    /// `recordPDU` (6.4.9).
    pub(crate) fn record_pdu(&mut self) {
        let Some(lacpdu) = self.lacpdu else { return };
        let was_in_sync = self.partner.state.has(PortState::SYNCHRONIZATION);
        self.partner = lacpdu.actor;
        self.set_actor(PortState::DEFAULTED, false);
        // LACP will actively maintain the link.
        let maintained = lacpdu.actor.state.has(PortState::LACP_ACTIVITY)
            || (self.actor.state.has(PortState::LACP_ACTIVITY)
                && lacpdu.partner.state.has(PortState::LACP_ACTIVITY));
        let knows_us = lacpdu.partner.matches(&self.actor, PortState::AGGREGATION);
        let individual = !lacpdu.actor.state.has(PortState::AGGREGATION);
        let in_sync = lacpdu.actor.state.has(PortState::SYNCHRONIZATION)
            && maintained
            && (knows_us || individual);
        self.set_partner(PortState::SYNCHRONIZATION, in_sync);
        if in_sync && !was_in_sync {
            self.counters.count(Counter::PartnerSyncTransitionCount);
        }
        let theirs = LagId::of(&lacpdu.actor, &lacpdu.partner);
        if self.partners_lag.is_some_and(|before| before != theirs) {
            self.counters.count(Counter::PartnerChangeCount);
        }
        self.partners_lag = Some(theirs);
        self.note_lag();
    }

    /// `recordDefault` (6.4.9).
    pub(crate) fn record_default(&mut self) {
        self.partner = self.partner_admin;
        self.set_partner(PortState::SYNCHRONIZATION, true);
        self.set_actor(PortState::DEFAULTED, true);
        self.note_lag();
    }

    pub(crate) fn note_lag(&mut self) {
        let lag = LagId::of(&self.actor, &self.partner);
        if lag != self.lag {
            self.lag = lag;
            self.counters.count(Counter::ActorChangeCount);
        }
    }

    pub(crate) fn lacpdu_to_send(&self, system: &SystemConfig) -> Lacpdu {
        Lacpdu {
            version_number: match system.version {
                Version::V1 => 1,
                Version::V2 => 2,
            },
            actor: self.actor,
            partner: self.partner,
            collector_max_delay: system.collector_max_delay,
            version_2: Version2::default(),
        }
    }

    /// The marker of the request.
    pub(crate) fn own_marker(&self, kind: MarkerKind) -> Marker {
        Marker {
            kind,
            requester_port: self.actor.port.number,
            requester_system: self.actor.system.address,
            requester_transaction_id: self.request.transaction,
        }
    }

    pub(crate) fn send(&self, pdu: Pdu, system: &SystemConfig, out: Sink<'_>) {
        out(Output::Send {
            port: self.index,
            pdu,
            destination: system.protocol_da,
            source: self.config.source,
        });
    }

    /// The earliest moment at which something happens by itself.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.timers
            .iter()
            .filter_map(|timer| timer.deadline())
            .min()
    }
}

/// What may be seen of a port.
impl Port {
    /// Its slot.
    pub fn index(&self) -> PortIndex {
        self.index
    }

    /// Its settings.
    pub fn config(&self) -> &PortConfig {
        &self.config
    }

    /// `Actor_Oper_*`: what is sent of this side (`aAggPortActorOperState` and others).
    pub fn actor(&self) -> &PortInformation {
        &self.actor
    }

    /// `Partner_Oper_*` (`aAggPortPartnerOper*`).
    pub fn partner(&self) -> &PortInformation {
        &self.partner
    }

    /// The version of the partner's last LACPDU, recorded by a version 2 system.
    pub fn partner_version(&self) -> u8 {
        self.partner_version
    }

    /// Its LAG ID.
    pub fn lag_id(&self) -> LagId {
        self.lag
    }

    /// `port_enabled`: the link is up.
    pub fn is_enabled(&self) -> bool {
        self.port_enabled
    }

    /// Whether an actual partner is known.
    pub fn has_partner(&self) -> bool {
        !self.without_partner()
    }

    /// The aggregator it has selected, in STANDBY too (`aAggPortSelectedAggID`).
    pub fn selected_aggregator(&self) -> Option<AggregatorIndex> {
        self.aggregator
    }

    /// `Selected`.
    pub fn selected(&self) -> Selected {
        self.states.selected.state
    }

    /// Whether frames from it are taken.
    pub fn is_collecting(&self) -> bool {
        self.collecting
    }

    /// Whether frames are sent on it.
    pub fn is_distributing(&self) -> bool {
        self.distributing
    }

    /// Whether it was withdrawn: [`crate::System::set_withdrawn`].
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn
    }

    /// When the next marker may be sent on it; a moment in the past is now.
    pub fn marker_free_at(&self) -> Time {
        self.markers_sent.free_at()
    }

    /// Whether its partner is the own system.
    pub fn is_looped(&self) -> bool {
        self.looped
    }

    /// `aAggPortDebugRxState`.
    pub fn receive_state(&self) -> Receive {
        self.states.receive.state
    }

    /// State of the periodic transmission machine.
    pub fn periodic_state(&self) -> Periodic {
        self.states.periodic.state
    }

    /// `aAggPortDebugMuxState`.
    pub fn mux_state(&self) -> Mux {
        self.states.mux.state
    }

    /// `aAggPortDebugMuxReason`: the name of the mux machine's last transition.
    pub fn mux_reason(&self) -> &'static str {
        self.mux_reason
            .and_then(|number| crate::table::MachineId::Mux.transition(usize::from(number)))
            .unwrap_or("")
    }

    /// `aAggPortDebugActorChurnState`.
    pub fn actor_churn_state(&self) -> ActorChurn {
        self.states.actor_churn.state
    }

    /// `actor_churn` in bit 0, `partner_churn` in bit 1 (6.4.17).
    pub fn churn(&self) -> u8 {
        let [actor, partner] = self.churn;
        u8::from(actor) | u8::from(partner) << 1
    }

    /// `aAggPortDebugPartnerChurnState`.
    pub fn partner_churn_state(&self) -> PartnerChurn {
        self.states.partner_churn.state
    }

    /// `aAggPortDebugLastRxTime`: when the last valid LACPDU came.
    pub fn last_rx_time(&self) -> Option<Time> {
        self.last_rx
    }

    /// `aAggPortStats*` and `aAggPortDebug*Count`.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

//! A system: the team as LACP sees it. Events and time go in, [`Output`]s come out.
//!
//! One caller at a time: a driver holds its lock around each call. No call waits,
//! allocates or calls out but through the sink.

use crate::aggregator::Aggregators;
use crate::config::{
    AggregatorIndex, Error, Fallback, MAX_PORTS, PortConfig, PortIndex, SystemConfig, Timeout,
};
use crate::counters::Counter;
use crate::id::{LagId, PortInformation, PortState, SystemId};
use crate::output::{Output, Sink};
use crate::pdu::{self, Fault, MarkerKind, Pdu, Verdict};
use crate::port::Port;
use crate::run::Context;
use crate::selection;
use crate::table::{Generator, Mux, Receive, Selected, TimerId, Transmit};
use crate::time::{Time, Timer};

/// More rounds than ports and machines can keep each other busy; the tests show that
/// it is never reached.
const ROUND_LIMIT: usize = 64;

/// What became of a received frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// It was a PDU, and is used up.
    Taken,
    /// It was meant to be one; it is counted, and nobody else's.
    Refused(Fault),
    /// It is somebody else's.
    NotOurs,
}

/// What is known of an aggregator (7.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AggregatorInformation {
    /// `aAggActorOperKey`.
    pub actor_oper_key: u16,
    /// `aAggPartnerSystemID` and `aAggPartnerSystemPriority`.
    pub partner_system: SystemId,
    /// `aAggPartnerOperKey`.
    pub partner_oper_key: u16,
    /// Not `aAggAggregateOrIndividual`: its one port cannot be aggregated.
    pub individual: bool,
    /// The slots of the ports that have selected it, in STANDBY too, as bits.
    pub selected: u32,
    /// The slots of the ports that are attached to it (`aAggPortList`), as bits.
    pub attached: u32,
    /// It is the team's.
    pub active: bool,
}

/// A system with its ports and aggregators.
///
/// `P` is where the ports are. They take about 25 KiB, too much for a kernel stack:
/// a driver gives a boxed slice to [`System::with_slots`].
#[derive(Clone, Debug)]
pub struct System<P = [Option<Port>; MAX_PORTS]> {
    config: SystemConfig,
    ports: P,
    aggregators: Aggregators,
    up: bool,
    transaction: u32,
    /// When a slot's port was removed: limits of the rate are the link's, and hold
    /// for a port that comes back.
    removed: [Option<Time>; MAX_PORTS],
    now: Time,
}

impl System {
    /// A system without ports, for a host: it is too large for a kernel stack.
    #[expect(clippy::large_stack_arrays, reason = "what it is, and said so")]
    pub fn new(config: SystemConfig) -> Result<Self, Error> {
        Self::with_slots(config, [const { None }; MAX_PORTS])
    }
}

/// What others see of a port; when it has not changed there is nothing to select.
#[derive(PartialEq, Eq)]
struct Outline {
    actor: PortInformation,
    partner: PortInformation,
    receive: Receive,
    mux: Mux,
    selected: Selected,
    waited: Timer,
    enabled: bool,
    looped: bool,
}

impl Outline {
    fn of(port: &Port) -> Self {
        Self {
            actor: port.actor,
            partner: port.partner,
            receive: port.states.receive.state,
            mux: port.states.mux.state,
            selected: port.states.selected.state,
            waited: port.timer(TimerId::WaitWhile),
            enabled: port.port_enabled,
            looped: port.looped,
        }
    }
}

impl<P: AsRef<[Option<Port>]> + AsMut<[Option<Port>]>> System<P> {
    /// A system whose ports are kept in `slots`: at most 32, and emptied.
    pub fn with_slots(config: SystemConfig, mut slots: P) -> Result<Self, Error> {
        config.check()?;
        if slots.as_ref().len() > MAX_PORTS {
            return Err(Error::NoSuchSlot);
        }
        for slot in slots.as_mut() {
            *slot = None;
        }
        Ok(Self {
            config,
            ports: slots,
            aggregators: Aggregators::new(),
            up: false,
            transaction: 0,
            removed: [None; MAX_PORTS],
            now: 0,
        })
    }

    /// The settings.
    pub fn config(&self) -> &SystemConfig {
        &self.config
    }

    /// A port.
    pub fn port(&self, index: PortIndex) -> Option<&Port> {
        self.ports.as_ref().get(usize::from(index))?.as_ref()
    }

    /// All ports.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.as_ref().iter().flatten()
    }

    /// The aggregator that is the team's.
    pub fn active(&self) -> Option<AggregatorIndex> {
        self.aggregators.active
    }

    /// An aggregator that ports have selected.
    pub fn aggregator(&self, index: AggregatorIndex) -> Option<AggregatorInformation> {
        let members = || {
            self.ports()
                .filter(|port| port.states.selected.state != Selected::Unselected)
                .filter(|port| port.aggregator == Some(index))
        };
        let first = members().next()?;
        let mask = |mask, port: &Port| mask | 1_u32 << port.index;
        Some(AggregatorInformation {
            actor_oper_key: first.actor.key,
            partner_system: first.partner.system,
            partner_oper_key: first.partner.key,
            individual: LagId::is_individual(&first.actor, &first.partner),
            selected: members().fold(0, mask),
            attached: members().filter(|port| port.attached).fold(0, mask),
            active: self.aggregators.active == Some(index),
        })
    }

    /// Whether enough ports distribute.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// The slots of the ports that distribute, as bits.
    pub fn distributing(&self) -> u32 {
        self.mask(Port::is_distributing)
    }

    /// The slots of the ports that collect, as bits.
    pub fn collecting(&self) -> u32 {
        self.mask(Port::is_collecting)
    }

    fn mask(&self, is: impl Fn(&Port) -> bool) -> u32 {
        self.ports()
            .filter(|port| is(port))
            .fold(0, |mask, port| mask | 1 << port.index)
    }

    /// When [`System::tick`] is to be called next; never, if nothing happens by
    /// itself. It is asked for again after every call that takes a time.
    pub fn next_deadline(&self) -> Option<Time> {
        self.ports()
            .filter_map(Port::next_deadline)
            .chain(self.aggregators.trial.deadline())
            .min()
    }

    /// Joins a port; its link is down until [`System::set_link`] says otherwise.
    pub fn add_port(
        &mut self,
        now: Time,
        index: PortIndex,
        config: PortConfig,
        out: Sink<'_>,
    ) -> Result<(), Error> {
        let slot = self.ports.as_ref().get(usize::from(index));
        match slot {
            None => return Err(Error::NoSuchSlot),
            Some(Some(_)) => return Err(Error::SlotTaken),
            Some(None) => self.check_port(index, &config)?,
        }
        let mut port = Port::new(index, config, &self.config);
        if let Some(Some(removed)) = self.removed.get(usize::from(index)) {
            port.lacpdus_sent.fill(*removed);
            port.markers_sent.fill(*removed);
            port.responses_sent.fill(*removed);
        }
        if let Some(slot) = self.ports.as_mut().get_mut(usize::from(index)) {
            *slot = Some(port);
        }
        self.begin(now, index, out);
        Ok(())
    }

    fn check_port(&self, index: PortIndex, config: &PortConfig) -> Result<(), Error> {
        if config.port.number == 0 {
            return Err(Error::PortNumber);
        }
        if config.source.is_group() || config.source.is_null() {
            return Err(Error::PortAddress);
        }
        let mut others = self.ports().filter(|other| other.index != index);
        if others.any(|other| other.config.port.number == config.port.number) {
            return Err(Error::PortNumberTaken);
        }
        Ok(())
    }

    /// Removes a port. Its partner is told, if the link is up and the rate allows.
    pub fn remove_port(&mut self, now: Time, index: PortIndex, out: Sink<'_>) -> Result<(), Error> {
        self.port_mut(index)?.begin = true;
        self.settle(now, 1 << index, out);
        self.set_link(now, index, false, out)?;
        if let Some(slot) = self.ports.as_mut().get_mut(usize::from(index)) {
            *slot = None;
        }
        if let Some(removed) = self.removed.get_mut(usize::from(index)) {
            *removed = Some(self.now);
        }
        self.settle(now, u32::MAX, out);
        Ok(())
    }

    /// Gives a port other settings: it begins anew, its counters go on.
    pub fn configure_port(
        &mut self,
        now: Time,
        index: PortIndex,
        config: PortConfig,
        out: Sink<'_>,
    ) -> Result<(), Error> {
        self.check_port(index, &config)?;
        let port = self.port_mut(index)?;
        // Frames end on the old terms first.
        port.begin = true;
        self.settle(now, 1 << index, out);
        let port = self.port_mut(index)?;
        port.config = config;
        port.actor.key = config.key;
        port.actor.port = config.port;
        port.set_actor(PortState::AGGREGATION, config.aggregation);
        self.begin(now, index, out);
        Ok(())
    }

    /// `port_enabled`: the link of a port went up or down.
    pub fn set_link(
        &mut self,
        now: Time,
        index: PortIndex,
        enabled: bool,
        out: Sink<'_>,
    ) -> Result<(), Error> {
        self.port_mut(index)?.port_enabled = enabled;
        self.settle(now, 1 << index, out);
        Ok(())
    }

    /// A port is about to go (or stays after all): it leaves its aggregator, and the
    /// partner is told while there is time. It goes on to speak and to answer; a
    /// marker can still be sent on it, to know when the frames before have arrived.
    pub fn set_withdrawn(
        &mut self,
        now: Time,
        index: PortIndex,
        withdrawn: bool,
        out: Sink<'_>,
    ) -> Result<(), Error> {
        let port = self.port_mut(index)?;
        if port.withdrawn != withdrawn {
            port.withdrawn = withdrawn;
            self.settle(now, u32::MAX, out);
        }
        Ok(())
    }

    /// `LACP_Enabled`.
    pub fn set_lacp_enabled(
        &mut self,
        now: Time,
        index: PortIndex,
        enabled: bool,
        out: Sink<'_>,
    ) -> Result<(), Error> {
        let port = self.port_mut(index)?;
        if port.config.lacp_enabled != enabled {
            port.config.lacp_enabled = enabled;
            self.settle(now, 1 << index, out);
            if !enabled {
                // The receive machine has no other way to LACP_DISABLED.
                self.begin(now, index, out);
            }
        }
        Ok(())
    }

    /// `Actor_Oper_Port_State.LACP_Timeout` of all ports: fast or slow.
    pub fn set_timeout(&mut self, now: Time, timeout: Timeout, out: Sink<'_>) {
        self.config.timeout = timeout;
        let short = timeout == Timeout::Short;
        for port in self.ports.as_mut().iter_mut().flatten() {
            port.set_actor(PortState::LACP_TIMEOUT, short);
            port.partner_admin.state = port
                .partner_admin
                .state
                .with(PortState::LACP_TIMEOUT, short);
            if port.config.lacp_enabled {
                port.ntt = true;
            }
        }
        self.settle(now, u32::MAX, out);
    }

    /// How many links have to be there, and may be used at once.
    pub fn set_links(
        &mut self,
        now: Time,
        min_links: u8,
        max_links: u8,
        out: Sink<'_>,
    ) -> Result<(), Error> {
        let config = SystemConfig {
            min_links,
            max_links,
            ..self.config
        };
        config.check()?;
        self.config = config;
        self.settle(now, u32::MAX, out);
        Ok(())
    }

    /// What becomes of ports without a partner, from now on.
    pub fn set_fallback(&mut self, now: Time, fallback: Fallback, out: Sink<'_>) {
        self.config.fallback = fallback;
        self.settle(now, u32::MAX, out);
    }

    /// A frame came in on a port: destination, source, EtherType, PDU.
    ///
    /// A driver asks for frames to the group address or with the EtherType only, and
    /// after it has indicated all frames that the port received before: a marker's
    /// response says that these have arrived (6.5.1).
    pub fn receive(
        &mut self,
        now: Time,
        index: PortIndex,
        frame: &[u8],
        out: Sink<'_>,
    ) -> Received {
        let protocol_da = self.config.protocol_da;
        let own_system = self.config.system.address;
        let now = self.now.max(now);
        let Ok(port) = self.port_mut(index) else {
            return Received::NotOurs;
        };
        match pdu::parse(frame, protocol_da) {
            Err(fault) => {
                match fault.verdict() {
                    Verdict::NotCounted => return Received::NotOurs,
                    Verdict::Unknown => port.counters.count(Counter::UnknownRx),
                    Verdict::Illegal => port.counters.count(Counter::IllegalRx),
                }
                return Received::Refused(fault);
            }
            Ok(Pdu::Marker(marker)) => {
                port.counters.count(match marker.kind {
                    MarkerKind::Marker => Counter::MarkerPdusRx,
                    MarkerKind::Response => Counter::MarkerResponsePdusRx,
                });
                // A link that is down answers nobody.
                if port.port_enabled {
                    port.marker = Some(marker);
                }
            }
            Ok(Pdu::Lacpdu(lacpdu)) => {
                port.counters.count(Counter::LacpdusRx);
                if lacpdu.version_2.malformed {
                    port.counters.count(Counter::MalformedTlvRx);
                }
                if lacpdu.actor.system.address == own_system {
                    port.counters.count(Counter::OwnSystemRx);
                }
                if !port.lacpdus_heard.is_free(now) {
                    port.counters.count(Counter::ExcessRx);
                    return Received::Taken;
                }
                port.lacpdus_heard.count(now);
                port.last_rx = Some(now);
                port.lacpdu = Some(lacpdu);
                let moved = self.partner_has_moved(index, &lacpdu.actor);
                self.settle(now, moved | 1 << index, out);
                return Received::Taken;
            }
        }
        self.settle(now, 1 << index, out);
        Received::Taken
    }

    /// `port_moved` (6.4.8): the partner of a port whose link is down speaks on
    /// another one.
    fn partner_has_moved(&mut self, heard_on: PortIndex, partner: &PortInformation) -> u32 {
        let mut moved = 0;
        for port in self.ports.as_mut().iter_mut().flatten() {
            if port.index != heard_on
                && port.states.receive.state == Receive::PortDisabled
                && port.has_partner()
                && port.partner.system == partner.system
                && port.partner.port.number == partner.port.number
            {
                port.port_moved = true;
                moved |= 1 << port.index;
            }
        }
        moved
    }

    /// Sends a marker on a port. What becomes of it comes as [`Output::Marker`] with
    /// the transaction that is given here: when it is answered, the partner has
    /// received all frames that were sent on the port before.
    pub fn request_marker(
        &mut self,
        now: Time,
        index: PortIndex,
        out: Sink<'_>,
    ) -> Result<u32, Error> {
        let (transaction, tries) = (self.transaction.wrapping_add(1), self.config.marker_tries);
        let now = self.now.max(now);
        let port = self.port_mut(index)?;
        if !port.port_enabled {
            return Err(Error::LinkDown);
        }
        if port.states.generator.state != Generator::Idle {
            return Err(Error::MarkerPending);
        }
        if !port.markers_sent.is_free(now) {
            return Err(Error::MarkerLimit);
        }
        port.request.requested = true;
        port.request.transaction = transaction;
        port.request.tries = tries;
        self.transaction = transaction;
        self.settle(now, 1 << index, out);
        Ok(transaction)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time, out: Sink<'_>) {
        self.settle(now, 0, out);
    }

    fn port_mut(&mut self, index: PortIndex) -> Result<&mut Port, Error> {
        let slot = self.ports.as_mut().get_mut(usize::from(index));
        slot.ok_or(Error::NoSuchSlot)?.as_mut().ok_or(Error::NoPort)
    }

    /// Raises `BEGIN` for a port and lowers it again.
    fn begin(&mut self, now: Time, index: PortIndex, out: Sink<'_>) {
        for begin in [true, false] {
            if let Ok(port) = self.port_mut(index) {
                port.begin = begin;
            }
            self.settle(now, 1 << index, out);
        }
    }

    /// Lets all machines act until none has anything to do. `touched` are the ports
    /// that an event came to.
    fn settle(&mut self, now: Time, touched: u32, out: Sink<'_>) {
        self.now = self.now.max(now);
        let now = self.now;
        let context = Context {
            now,
            system: &self.config,
        };
        let ports = self.ports.as_mut();
        let mut touched = touched;
        for port in ports.iter_mut().flatten() {
            if port.next_deadline().is_some_and(|deadline| deadline <= now) {
                port.advance(now);
                touched |= 1 << port.index;
            }
        }
        self.aggregators.trial.advance(now);
        let mut all = touched == u32::MAX || self.aggregators.trial == Timer::Expired;
        let sending = touched;
        let mut rests = false;
        for _ in 0..ROUND_LIMIT {
            for port in ports.iter_mut().flatten() {
                if touched & (1 << port.index) != 0 || all {
                    let before = Outline::of(port);
                    port.run_alone(&context, out);
                    all |= Outline::of(port) != before
                        || port.timer(TimerId::WaitWhile) == Timer::Expired;
                }
            }
            if !all {
                rests = true;
                break;
            }
            note_loops(ports, out);
            let mut moved = select(ports, &mut self.aggregators, &context, out);
            for index in 0..ports.len() {
                let ready = selection::is_ready(ports, index);
                if let Some(Some(port)) = ports.get_mut(index) {
                    port.ready = ready;
                    moved |= port.run::<Mux>(&context, out);
                }
            }
            if !moved {
                rests = true;
                break;
            }
        }
        debug_assert!(rests, "the machines keep each other busy");
        for port in ports.iter_mut().flatten() {
            if all || sending & (1 << port.index) != 0 {
                port.drop_events();
                port.run::<Transmit>(&context, out);
            }
        }
        self.tell_up(out);
    }

    fn tell_up(&mut self, out: Sink<'_>) {
        let needed = u32::from(self.config.min_links.max(1));
        let up = self.distributing().count_ones() >= needed;
        if self.up != up {
            self.up = up;
            out(Output::Up { up });
        }
    }
}

/// Finds out which ports are at two ends of one link.
fn note_loops(ports: &mut [Option<Port>], out: Sink<'_>) {
    for index in 0..ports.len() {
        let Some(Some(port)) = ports.get(index) else {
            continue;
        };
        let looped = port.has_partner() && port.partner.system.address == port.actor.system.address;
        if looped == port.looped {
            continue;
        }
        let number = port.partner.port.number;
        let other = ports
            .iter()
            .flatten()
            .find(|other| looped && other.actor.port.number == number)
            .map(Port::index);
        if let Some(Some(port)) = ports.get_mut(index) {
            port.looped = looped;
            out(Output::Loop {
                port: port.index,
                other,
                looped,
            });
        }
    }
}

/// Selection Logic for all ports: first an aggregator for each, then which of them
/// is active, then the places in it.
fn select(
    ports: &mut [Option<Port>],
    aggregators: &mut Aggregators,
    context: &Context<'_>,
    out: Sink<'_>,
) -> bool {
    let mut moved = false;
    for port in ports.iter_mut().flatten() {
        if port.states.selected.state == Selected::Unselected
            && port.states.mux.state == Mux::Detached
        {
            port.aggregator = None;
        }
    }
    moved |= select_each(ports, aggregators.active, context, out);
    if aggregators.choose(ports, context.system, context.now) {
        out(Output::Active {
            aggregator: aggregators.active,
        });
        moved = true;
    }
    moved | select_each(ports, aggregators.active, context, out)
}

fn select_each(
    ports: &mut [Option<Port>],
    active: Option<AggregatorIndex>,
    context: &Context<'_>,
    out: Sink<'_>,
) -> bool {
    let mut moved = false;
    for index in 0..ports.len() {
        let aggregator = selection::find(ports, index, context.system);
        let place = selection::has_place(ports, index, aggregator, active, context.system);
        if let Some(Some(port)) = ports.get_mut(index) {
            port.found.aggregator = aggregator;
            port.found.place = place;
            moved |= port.run::<Selected>(context, out);
        }
    }
    moved
}

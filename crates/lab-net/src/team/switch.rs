//! The switch: forwarding, learning, and the partner's side of LACP.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use ethernet::flow::{Flow, FlowHash, Policy, share};
use lacp::{Activity, MacAddress, Output, PortConfig, PortId, System, SystemConfig, SystemId};

use crate::hub::Hub;
use crate::mix::Chance;
use crate::{Endpoint, Frame, Mac, lock};

/// The EtherType of LACP and markers.
const SLOW_PROTOCOLS: [u8; 2] = [0x88, 0x09];
/// Nanoseconds in a unit of the `lacp` crate's time.
const LACP_UNIT: u64 = 100;
/// Frames that wait for a wire before the endpoints behind the switch have to wait.
const QUEUE: usize = 256;
/// Frames that wait for a wire at most: what is forwarded beyond is dropped.
const QUEUE_LIMIT: usize = 4_096;
const SECOND: u64 = 1_000_000_000;

/// What the ports are to the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bond {
    /// Ports like any other.
    Bridge,
    /// One link aggregation, without a protocol.
    Static,
    /// LACP decides. Ports whose system is the same may be aggregated; with two systems
    /// there are two partners. A port takes the system of its place, or else the last.
    Lacp(Vec<Lacp>),
}

/// A partner's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacp {
    /// System priority.
    pub priority: u16,
    /// System address.
    pub system: Mac,
    /// Key of its ports.
    pub key: u16,
    /// Speaks first.
    pub active: bool,
    /// Wants to be spoken to every second.
    pub fast: bool,
    /// Ports of the switch that are its own; empty: all that no one before it has.
    pub ports: Vec<usize>,
}

impl Default for Lacp {
    fn default() -> Self {
        Self {
            priority: 100,
            system: Mac::local(7, 0),
            key: 55,
            active: true,
            fast: true,
            ports: Vec::new(),
        }
    }
}

/// What the switch is made with.
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// Wires to the team.
    pub ports: usize,
    /// What they are to it.
    pub bond: Bond,
    /// Decides its hash and its weather.
    pub seed: u64,
}

impl SwitchConfig {
    /// A switch of so many ports.
    pub const fn new(ports: usize, bond: Bond) -> Self {
        Self {
            ports,
            bond,
            seed: 1,
        }
    }
}

/// A link that seems up and carries nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mute {
    /// Nothing comes in.
    pub inward: bool,
    /// Nothing goes out.
    pub outward: bool,
}

/// What becomes of PDUs of slow protocols on a link, both ways. Ratios are per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Lost.
    pub loss: u32,
    /// Sent twice.
    pub duplicate: u32,
    /// The longest delay of one that goes out, in nanoseconds.
    pub delay: u64,
}

/// What a port did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uplink {
    /// Frames that arrived, PDUs apart.
    pub frames_in: u64,
    /// Octets of these.
    pub octets_in: u64,
    /// Frames sent, PDUs apart.
    pub frames_out: u64,
    /// PDUs that arrived.
    pub pdus_in: u64,
    /// The most LACPDUs that arrived within one second.
    pub pdus_a_second: u64,
    /// PDUs sent.
    pub pdus_out: u64,
    /// Frames that arrived while the port did not collect.
    pub not_collecting: u64,
    /// Frames that came to or were for a port whose cable is out or that is mute.
    pub dead: u64,
    /// Frames that found the queue full.
    pub overflow: u64,
}

/// A port's insides.
struct Wire {
    up: bool,
    mute: Mute,
    weather: Weather,
    /// Which of the systems it belongs to.
    system: usize,
    queue: VecDeque<Frame>,
    /// PDUs that are late.
    late: BTreeMap<(u64, u64), Frame>,
    /// When the last PDUs arrived.
    heard: VecDeque<u64>,
    counts: Uplink,
}

/// A switch that several ports share.
pub type Shared = Arc<Mutex<Switch>>;

/// Where a station is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Behind the switch.
    Inside,
    /// In a group of ports.
    Group(usize),
}

/// The switch. See the module's documentation.
pub struct Switch {
    wires: Vec<Wire>,
    bond: Bond,
    systems: Vec<Box<System>>,
    inside: Hub,
    /// Where a station was heard last.
    table: BTreeMap<Mac, Side>,
    /// On which ports a station was ever heard.
    heard: BTreeMap<Mac, BTreeSet<usize>>,
    /// Times that a station was heard at another place than before.
    moves: u64,
    hash: FlowHash,
    chance: Chance,
    serial: u64,
}

/// A port of a switch: the far end of a wire.
pub struct SwitchPort {
    switch: Shared,
    port: usize,
}

const fn address(mac: Mac) -> MacAddress {
    MacAddress(mac.0)
}

/// Whether a bridge keeps a frame to itself (IEEE 802.1Q, 8.6.3), or it is one of a slow
/// protocol.
fn is_link_local(frame: &[u8]) -> bool {
    matches!(frame, [0x01, 0x80, 0xc2, 0, 0, last, ..] if last & 0xf0 == 0)
        || frame.get(12..14) == Some(&SLOW_PROTOCOLS)
}

impl Switch {
    /// Makes a switch with all cables plugged in.
    pub fn new(config: SwitchConfig) -> Self {
        let mut switch = Self {
            wires: Vec::new(),
            systems: Vec::new(),
            inside: Hub::new(),
            table: BTreeMap::new(),
            heard: BTreeMap::new(),
            moves: 0,
            hash: FlowHash {
                policy: Policy::Layer34,
                symmetric: false,
                seed: config.seed ^ 0x5711_7c8b,
            },
            chance: Chance::new(config.seed),
            serial: 0,
            bond: config.bond,
        };
        for port in 0..config.ports {
            let system = switch.system_of(port);
            switch.wires.push(Wire {
                up: true,
                mute: Mute::default(),
                weather: Weather::default(),
                system,
                queue: VecDeque::new(),
                late: BTreeMap::new(),
                heard: VecDeque::new(),
                counts: Uplink::default(),
            });
        }
        if let Bond::Lacp(settings) = switch.bond.clone() {
            for (number, settings) in settings.iter().enumerate() {
                switch.add_system(number, settings);
            }
        }
        switch
    }

    /// Behind a lock, for its ports.
    pub fn shared(self) -> Shared {
        Arc::new(Mutex::new(self))
    }

    /// A port, to be a wire's far end.
    pub fn port(switch: &Shared, port: usize) -> SwitchPort {
        SwitchPort {
            switch: Arc::clone(switch),
            port,
        }
    }

    fn system_of(&self, port: usize) -> usize {
        let Bond::Lacp(settings) = &self.bond else {
            return 0;
        };
        let named = settings.iter().position(|s| s.ports.contains(&port));
        let rest = settings.iter().position(|s| s.ports.is_empty());
        named.or(rest).unwrap_or(settings.len().saturating_sub(1))
    }

    fn add_system(&mut self, number: usize, settings: &Lacp) {
        let id = SystemId {
            priority: settings.priority,
            address: address(settings.system),
        };
        let config = SystemConfig {
            activity: if settings.active {
                Activity::Active
            } else {
                Activity::Passive
            },
            timeout: if settings.fast {
                lacp::Timeout::Short
            } else {
                lacp::Timeout::Long
            },
            ..SystemConfig::new(id)
        };
        let mut system = Box::new(System::new(config).expect("a partner's sound settings"));
        let mut outputs = Vec::new();
        for port in 0..self.wires.len() {
            if self.wires[port].system != number {
                continue;
            }
            let id = PortId {
                priority: 0x80,
                number: 11 + port as u16,
            };
            let source = address(Mac::local(7, 1 + port as u16));
            let mut out = |output| outputs.push(output);
            let config = PortConfig::new(id, settings.key, source);
            system
                .add_port(0, port as u8, config, &mut out)
                .and_then(|()| system.set_link(0, port as u8, true, &mut out))
                .expect("a slot for every port");
        }
        self.systems.push(system);
        self.carry_out(0, outputs);
    }

    /// The endpoints behind the switch.
    pub fn inside(&mut self) -> &mut Hub {
        &mut self.inside
    }

    /// What a port did.
    pub fn uplink(&self, port: usize) -> Uplink {
        self.wires[port].counts
    }

    /// How many ports there are.
    pub fn ports(&self) -> usize {
        self.wires.len()
    }

    /// A partner's machines.
    pub fn system(&self, number: usize) -> Option<&System> {
        self.systems.get(number).map(|system| &**system)
    }

    /// Ports that carry frames of the team both ways now, as bits.
    pub fn usable(&self) -> u32 {
        (0..self.wires.len())
            .filter(|&port| self.collects(port) && self.distributes(port))
            .fold(0, |mask, port| mask | 1 << port)
    }

    /// Stations heard on a port.
    pub fn stations(&self, port: usize) -> Vec<Mac> {
        let mut all = self.heard.iter();
        let here = all.by_ref().filter(|(_, ports)| ports.contains(&port));
        here.map(|(mac, _)| *mac).collect()
    }

    /// Times that a station was heard at another place than before: each costs a real
    /// switch's table an entry, and frames on the way the wrong port.
    pub const fn moves(&self) -> u64 {
        self.moves
    }

    /// The cable of a port is pulled, or put back.
    pub fn set_link(&mut self, now: u64, port: usize, up: bool) {
        let wire = &mut self.wires[port];
        wire.up = up;
        let system = wire.system;
        if !up {
            wire.counts.dead += wire.queue.len() as u64;
            wire.queue.clear();
            wire.late.clear();
            // What was learnt there is learnt anew, as bridges do.
            let group = self.group(port);
            let lag_lives = !matches!(self.bond, Bond::Bridge)
                && (0..self.wires.len())
                    .any(|other| self.group(other) == group && self.wires[other].up);
            if !lag_lives {
                self.table.retain(|_, side| *side != Side::Group(group));
            }
        }
        self.with_system(now, system, |machines, time, out| {
            // The port was added when the switch was made.
            let _ = machines.set_link(time, port as u8, up, out);
        });
    }

    /// A port carries nothing any more though its link is up, or does again.
    pub fn set_mute(&mut self, port: usize, mute: Mute) {
        self.wires[port].mute = mute;
    }

    /// What becomes of a port's PDUs.
    pub fn set_weather(&mut self, port: usize, weather: Weather) {
        self.wires[port].weather = weather;
    }

    /// The partner's ports get another key: its operator has made another aggregation.
    pub fn set_key(&mut self, now: u64, port: usize, key: u16) {
        let system = self.wires[port].system;
        let id = PortId {
            priority: 0x80,
            number: 11 + port as u16,
        };
        let source = address(Mac::local(7, 1 + port as u16));
        self.with_system(now, system, |machines, time, out| {
            let _ =
                machines.configure_port(time, port as u8, PortConfig::new(id, key, source), out);
        });
    }

    /// Sends a frame out of a port, whatever it is.
    pub fn inject(&mut self, port: usize, frame: Frame) {
        self.enqueue(port, frame);
    }

    fn with_system(
        &mut self,
        now: u64,
        number: usize,
        act: impl FnOnce(&mut System, u64, lacp::Sink<'_>),
    ) {
        let mut outputs = Vec::new();
        if let Some(system) = self.systems.get_mut(number) {
            act(system, now / LACP_UNIT, &mut |output| outputs.push(output));
        }
        self.carry_out(now, outputs);
    }

    fn carry_out(&mut self, now: u64, outputs: Vec<Output>) {
        for output in outputs {
            let (Output::Send { port, .. }, Some(frame)) = (output, output.frame()) else {
                continue;
            };
            self.send_pdu(now, usize::from(port), &frame);
        }
    }

    fn send_pdu(&mut self, now: u64, port: usize, frame: &[u8]) {
        let Some(wire) = self.wires.get_mut(port) else {
            return;
        };
        wire.counts.pdus_out += 1;
        let weather = wire.weather;
        if self.chance.hit(weather.loss) {
            return;
        }
        let copies = 1 + u64::from(self.chance.hit(weather.duplicate));
        for _ in 0..copies {
            if weather.delay == 0 {
                self.enqueue(port, frame.to_vec());
                continue;
            }
            let due = now + self.chance.below(weather.delay);
            self.serial += 1;
            let serial = self.serial;
            self.wires[port].late.insert((due, serial), frame.to_vec());
        }
    }

    /// The group that a port belongs to, as far as forwarding goes.
    fn group(&self, port: usize) -> usize {
        match self.bond {
            Bond::Bridge => port,
            Bond::Static => 0,
            Bond::Lacp(_) => self.wires[port].system,
        }
    }

    fn groups(&self) -> usize {
        match self.bond {
            Bond::Bridge => self.wires.len(),
            Bond::Static => 1,
            Bond::Lacp(_) => self.systems.len(),
        }
    }

    fn collects(&self, port: usize) -> bool {
        let wire = &self.wires[port];
        wire.up
            && self
                .systems
                .get(wire.system)
                .is_none_or(|system| system.collecting() & 1 << port != 0)
    }

    fn distributes(&self, port: usize) -> bool {
        let wire = &self.wires[port];
        wire.up
            && self
                .systems
                .get(wire.system)
                .is_none_or(|system| system.distributing() & 1 << port != 0)
    }

    fn enqueue(&mut self, port: usize, frame: Frame) {
        let wire = &mut self.wires[port];
        if !wire.up || wire.mute.outward {
            wire.counts.dead += 1;
        } else if wire.queue.len() >= QUEUE_LIMIT {
            wire.counts.overflow += 1;
        } else {
            wire.queue.push_back(frame);
        }
    }

    /// Out of one port of a group, the one that the frame's flow goes by.
    fn send_to_group(&mut self, group: usize, frame: &[u8]) {
        let ports: Vec<usize> = (0..self.wires.len())
            .filter(|&port| self.group(port) == group && self.distributes(port))
            .collect();
        let hash = Flow::parse(frame, None).map_or(0, |flow| self.hash.of(&flow));
        let at = share(hash, ports.len() as u32) as usize;
        if let Some(&port) = ports.get(at) {
            self.wires[port].counts.frames_out += 1;
            self.enqueue(port, frame.to_vec());
        }
    }

    /// Everywhere but to where it came from.
    fn forward(&mut self, now: u64, from: Side, frame: &[u8]) {
        let source = frame.get(6..12).and_then(|octets| octets.first_chunk());
        if let Some(source) = source.map(|octets| Mac(*octets))
            && source.is_unicast()
        {
            let before = self.table.insert(source, from);
            self.moves += u64::from(before.is_some_and(|before| before != from));
        }
        let to = frame.first_chunk().map(|octets| Mac(*octets));
        let known = to
            .filter(|to| to.is_unicast())
            .and_then(|to| self.table.get(&to))
            .copied();
        match known {
            Some(side) if side == from => {}
            Some(Side::Inside) => self.inside.on_frame(now, frame),
            Some(Side::Group(group)) => self.send_to_group(group, frame),
            None => {
                for group in 0..self.groups() {
                    if from != Side::Group(group) {
                        self.send_to_group(group, frame);
                    }
                }
                if from != Side::Inside {
                    self.inside.on_frame(now, frame);
                }
            }
        }
    }

    fn arrive(&mut self, now: u64, port: usize, frame: &[u8]) {
        let wire = &mut self.wires[port];
        if !wire.up || wire.mute.inward {
            wire.counts.dead += 1;
            return;
        }
        if is_link_local(frame) {
            self.pdu_arrives(now, port, frame);
            return;
        }
        wire.counts.frames_in += 1;
        wire.counts.octets_in += frame.len() as u64;
        if !self.collects(port) {
            self.wires[port].counts.not_collecting += 1;
            return;
        }
        if let Some(octets) = frame.get(6..).and_then(|rest| rest.first_chunk()) {
            self.heard.entry(Mac(*octets)).or_default().insert(port);
        }
        let from = Side::Group(self.group(port));
        self.forward(now, from, frame);
    }

    fn pdu_arrives(&mut self, now: u64, port: usize, frame: &[u8]) {
        let wire = &mut self.wires[port];
        wire.counts.pdus_in += 1;
        // Subtype 1 is LACP.
        if frame.get(14) == Some(&1) {
            wire.heard.push_back(now);
        }
        while wire.heard.front().is_some_and(|&at| at + SECOND <= now) {
            wire.heard.pop_front();
        }
        let rate = wire.heard.len() as u64;
        wire.counts.pdus_a_second = wire.counts.pdus_a_second.max(rate);
        let (weather, system) = (wire.weather, wire.system);
        if self.chance.hit(weather.loss) {
            return;
        }
        let copies = 1 + u64::from(self.chance.hit(weather.duplicate));
        for _ in 0..copies {
            self.with_system(now, system, |machines, time, out| {
                machines.receive(time, port as u8, frame, out);
            });
        }
    }

    /// Whatever is due by now happens.
    fn advance(&mut self, now: u64) {
        for number in 0..self.systems.len() {
            let due = self.systems[number].next_deadline();
            if due.is_some_and(|due| due <= now / LACP_UNIT) {
                self.with_system(now, number, System::tick);
            }
        }
        for port in 0..self.wires.len() {
            while let Some(entry) = self.wires[port].late.first_entry()
                && entry.key().0 <= now
            {
                let frame = entry.remove();
                self.enqueue(port, frame);
            }
        }
        let fullest = self.wires.iter().map(|wire| wire.queue.len()).max();
        let mut room = QUEUE.saturating_sub(fullest.unwrap_or(0));
        if room == 0 {
            return;
        }
        let mut frames = Vec::new();
        self.inside.poll(now, &mut |frame| {
            frames.push(frame);
            room -= 1;
            room > 0
        });
        for frame in frames {
            self.forward(now, Side::Inside, &frame);
        }
    }

    fn poll(&mut self, now: u64, port: usize, out: &mut dyn FnMut(Frame) -> bool) {
        self.advance(now);
        while let Some(frame) = self.wires[port].queue.pop_front() {
            if !out(frame) {
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64, port: usize) -> Option<u64> {
        let wire = &self.wires[port];
        let queued = (!wire.queue.is_empty()).then_some(now);
        let late = wire.late.first_key_value().map(|((due, _), _)| *due);
        let machines = self.systems.iter().filter_map(|system| {
            let due = system.next_deadline()?;
            Some(due.saturating_mul(LACP_UNIT))
        });
        let machines = machines.min();
        let inside = self.inside.next_poll(now);
        [queued, late, machines, inside].into_iter().flatten().min()
    }
}

impl Endpoint for SwitchPort {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        lock(&self.switch).arrive(now, self.port, frame);
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        lock(&self.switch).poll(now, self.port, out);
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        lock(&self.switch).next_poll(now, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Keeps what comes; says what it is told to.
    #[derive(Default)]
    struct Station {
        seen: Vec<Frame>,
        says: VecDeque<Frame>,
    }

    impl Endpoint for Station {
        fn on_frame(&mut self, _now: u64, frame: &[u8]) {
            self.seen.push(frame.to_vec());
        }

        fn poll(&mut self, _now: u64, out: &mut dyn FnMut(Frame) -> bool) {
            while let Some(frame) = self.says.pop_front() {
                if !out(frame) {
                    return;
                }
            }
        }

        fn next_poll(&mut self, now: u64) -> Option<u64> {
            (!self.says.is_empty()).then_some(now)
        }
    }

    struct Bench {
        switch: Shared,
        ports: Vec<SwitchPort>,
        station: Arc<Mutex<Station>>,
    }

    const TEAM: Mac = Mac::local(0, 1);
    const HOST: Mac = Mac::local(1, 1);

    fn bench(count: usize, bond: Bond) -> Bench {
        let mut switch = Switch::new(SwitchConfig::new(count, bond));
        let station = Arc::new(Mutex::new(Station::default()));
        switch.inside().add(Some(HOST), Arc::clone(&station));
        let switch = switch.shared();
        let ports = (0..count).map(|n| Switch::port(&switch, n)).collect();
        Bench {
            switch,
            ports,
            station,
        }
    }

    fn frame(to: Mac, from: Mac, number: u8) -> Frame {
        let mut frame = vec![number; 60];
        frame[..6].copy_from_slice(&to.0);
        frame[6..12].copy_from_slice(&from.0);
        frame[12..14].copy_from_slice(&[0x08, 0]);
        // IPv4 and UDP, so that ports differ.
        frame[14..38].fill(0);
        frame[14] = 0x45;
        frame[17] = 46;
        frame[23] = 17;
        frame[34..38].copy_from_slice(&[4, number, 5, 6]);
        frame
    }

    impl Bench {
        fn polled(&mut self, now: u64) -> Vec<Vec<Frame>> {
            let mut all = vec![Vec::new(); self.ports.len()];
            // Twice: what one port's poll made may be for another.
            for _ in 0..2 {
                for (port, frames) in self.ports.iter_mut().zip(&mut all) {
                    port.poll(now, &mut |frame| {
                        frames.push(frame);
                        true
                    });
                }
            }
            all
        }

        fn seen(&self) -> usize {
            lock(&self.station).seen.len()
        }
    }

    #[test]
    fn a_static_aggregation_hears_each_port_and_answers_by_flow() {
        let mut bench = bench(4, Bond::Static);
        for port in 0..4 {
            bench.ports[port].on_frame(0, &frame(HOST, TEAM, port as u8));
        }
        assert_eq!(bench.seen(), 4);
        let all = bench.polled(0);
        assert!(all.iter().all(Vec::is_empty), "nothing comes back");
        for number in 0..=255 {
            lock(&bench.station)
                .says
                .push_back(frame(TEAM, HOST, number));
        }
        let all = bench.polled(1);
        let counts: Vec<_> = all.iter().map(Vec::len).collect();
        assert_eq!(counts.iter().sum::<usize>(), 256);
        assert!(counts.iter().all(|&count| count > 32), "{counts:?}");
        // The same flows again: the same ports.
        for number in 0..=255 {
            lock(&bench.station)
                .says
                .push_back(frame(TEAM, HOST, number));
        }
        assert_eq!(bench.polled(2), all);
        lock(&bench.switch).set_link(3, 1, false);
        for number in 0..=255 {
            lock(&bench.station)
                .says
                .push_back(frame(TEAM, HOST, number));
        }
        let fewer = bench.polled(3);
        assert!(fewer[1].is_empty());
        assert_eq!(fewer.iter().map(Vec::len).sum::<usize>(), 256);
        assert_eq!(lock(&bench.switch).usable(), 0b1101);
    }

    #[test]
    fn a_bridge_learns_floods_and_counts_moves() {
        let mut bench = bench(2, Bond::Bridge);
        bench.ports[0].on_frame(0, &frame(Mac::BROADCAST, TEAM, 1));
        assert_eq!(bench.seen(), 1);
        let all = bench.polled(0);
        assert_eq!((all[0].len(), all[1].len()), (0, 1), "to the other port");
        lock(&bench.station).says.push_back(frame(TEAM, HOST, 2));
        let all = bench.polled(1);
        assert_eq!((all[0].len(), all[1].len()), (1, 0), "where it was heard");
        assert_eq!(lock(&bench.switch).moves(), 0);
        bench.ports[1].on_frame(2, &frame(HOST, TEAM, 3));
        lock(&bench.station).says.push_back(frame(TEAM, HOST, 4));
        let all = bench.polled(2);
        assert_eq!((all[0].len(), all[1].len()), (0, 1), "it has moved");
        assert_eq!(lock(&bench.switch).moves(), 1);
        assert_eq!(lock(&bench.switch).stations(0), [TEAM]);
        // Slow protocols stay where they are.
        let mut pdu = frame(Mac([1, 0x80, 0xc2, 0, 0, 2]), TEAM, 5);
        pdu[12..14].copy_from_slice(&SLOW_PROTOCOLS);
        bench.ports[0].on_frame(3, &pdu);
        assert!(bench.polled(3).iter().all(Vec::is_empty));
        assert_eq!(lock(&bench.switch).uplink(0).pdus_in, 1);
    }

    /// Two switches as each other's partner: LACP brings the links up, a mute link is
    /// noticed by silence, a pulled one at once.
    #[test]
    fn lacp_decides_which_links_carry() {
        let other = Lacp {
            system: Mac::local(7, 99),
            key: 7,
            ..Lacp::default()
        };
        let mut near = bench(2, Bond::Lacp(vec![other]));
        let mut far = bench(2, Bond::Lacp(vec![Lacp::default()]));
        let mut now = 0;
        let mut run = |near: &mut Bench, far: &mut Bench, ms: u64| {
            let end = now + ms * MS;
            while now < end {
                for (frames, port) in near.polled(now).into_iter().zip(&mut far.ports) {
                    for frame in &frames {
                        port.on_frame(now, frame);
                    }
                }
                for (frames, port) in far.polled(now).into_iter().zip(&mut near.ports) {
                    for frame in &frames {
                        port.on_frame(now, frame);
                    }
                }
                now += 10 * MS;
            }
            (now, lock(&near.switch).usable(), lock(&far.switch).usable())
        };
        far.ports[0].on_frame(0, &frame(HOST, TEAM, 1));
        assert_eq!(far.seen(), 0, "not before the links collect");
        let (_, a, b) = run(&mut near, &mut far, 5_000);
        assert_eq!((a, b), (3, 3));
        lock(&far.switch).set_mute(
            0,
            Mute {
                inward: true,
                outward: true,
            },
        );
        let (_, a, b) = run(&mut near, &mut far, 2_000);
        assert_eq!((a, b), (3, 3), "not yet");
        let (at, a, b) = run(&mut near, &mut far, 3_000);
        assert_eq!((a & 1, b & 1), (0, 0), "three seconds of silence");
        lock(&far.switch).set_mute(0, Mute::default());
        lock(&far.switch).set_link(at, 1, false);
        lock(&near.switch).set_link(at, 1, false);
        assert_eq!(lock(&far.switch).usable() & 2, 0);
        let (at, a, b) = run(&mut near, &mut far, 5_000);
        assert_eq!((a, b), (1, 1));
        // Another key on one port: it cannot be in the same aggregation any more.
        for bench in [&near, &far] {
            lock(&bench.switch).set_link(at, 1, true);
        }
        let (at, a, b) = run(&mut near, &mut far, 5_000);
        assert_eq!((a, b), (3, 3));
        lock(&far.switch).set_key(at, 1, 99);
        let (_, a, _) = run(&mut near, &mut far, 5_000);
        assert_eq!(a.count_ones(), 1, "two aggregations, one is used");
        let rate = lock(&far.switch).uplink(0).pdus_a_second;
        assert!((1..=3).contains(&rate), "{rate}");
    }

    #[test]
    fn bad_weather_costs_pdus_and_no_link() {
        let mut near = bench(
            1,
            Bond::Lacp(vec![Lacp {
                system: Mac::local(7, 98),
                ..Lacp::default()
            }]),
        );
        let mut far = bench(1, Bond::Lacp(vec![Lacp::default()]));
        lock(&far.switch).set_weather(
            0,
            Weather {
                loss: 200_000,
                duplicate: 300_000,
                delay: 200 * MS,
            },
        );
        let mut up_for = 0;
        for step in 0..6_000_u64 {
            let now = step * 10 * MS;
            for frame in near.polled(now).remove(0) {
                far.ports[0].on_frame(now, &frame);
            }
            for frame in far.polled(now).remove(0) {
                near.ports[0].on_frame(now, &frame);
            }
            up_for += u64::from(lock(&near.switch).usable() == 1);
        }
        assert!(up_for > 5_000, "{up_for} of 6000 steps");
    }
}

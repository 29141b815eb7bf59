//! The network of a comparison: a learning switch with a port for each adapter, one station
//! beyond it, and a station above each virtual miniport.
//!
//! Sans-IO like every endpoint; whoever polls a port lets the far station speak. A frame that
//! goes out at another port than the polled one waits there for that port's next turn, at
//! most [`TICK`] later.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use lab_net::oracle::{Generator, Sink};
use lab_net::vlan::{Tag, insert, strip, tag_of};
use lab_net::{ETHERNET_HEADER, Endpoint, Frame, Mac, lock};

use super::report::{Learned, SeenMac};

/// A port that is awake is polled so often, in nanoseconds.
const TICK: u64 = 20_000;
/// Flow `n` goes to this UDP port plus `n`.
pub const FLOW_PORT: u16 = 20_000;
/// Marks a probe, behind its UDP header.
const PROBE: [u8; 4] = *b"LABc";
/// Where that is.
const PROBE_AT: usize = ETHERNET_HEADER + 28;

/// What a probe says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its number.
    pub serial: u32,
    /// From whom.
    pub source: Mac,
    /// To whom.
    pub to: Mac,
    /// Its tag.
    pub tag: Option<Tag>,
    /// Last octets of the IPv4 addresses.
    pub addresses: (u8, u8),
    /// UDP ports.
    pub ports: (u16, u16),
}

impl Probe {
    /// The frame.
    pub fn frame(&self) -> Frame {
        let mut frame = vec![0; 110];
        frame[..6].copy_from_slice(&self.to.0);
        frame[6..12].copy_from_slice(&self.source.0);
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        // RFC 791, RFC 768; documentation addresses of RFC 5737, no UDP checksum.
        let length = (frame.len() - ETHERNET_HEADER) as u16;
        let packet = &mut frame[ETHERNET_HEADER..];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[8] = 64;
        packet[9] = 17;
        packet[12..16].copy_from_slice(&[192, 0, 2, self.addresses.0]);
        packet[16..20].copy_from_slice(&[192, 0, 2, self.addresses.1]);
        let words = packet[..20].chunks(2);
        let sum: u32 = words.map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        packet[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        packet[20..22].copy_from_slice(&self.ports.0.to_be_bytes());
        packet[22..24].copy_from_slice(&self.ports.1.to_be_bytes());
        packet[24..26].copy_from_slice(&(length - 20).to_be_bytes());
        frame[PROBE_AT..PROBE_AT + 4].copy_from_slice(&PROBE);
        frame[PROBE_AT + 4..PROBE_AT + 8].copy_from_slice(&self.serial.to_be_bytes());
        match self.tag {
            Some(tag) => insert(&frame, tag).unwrap_or(frame),
            None => frame,
        }
    }
}

/// Number of a probe without its tag.
fn serial_of(plain: &[u8]) -> Option<u32> {
    let record = plain.get(PROBE_AT..)?.strip_prefix(&PROBE)?;
    Some(u32::from_be_bytes(*record.first_chunk()?))
}

/// UDP destination port of a frame without its tag.
fn udp_port(plain: &[u8]) -> Option<u16> {
    let port = plain.get(ETHERNET_HEADER + 22..)?.first_chunk()?;
    Some(u16::from_be_bytes(*port))
}

/// A probe that was heard: its number, and the VLAN of its tag.
pub type Heard = (u32, u16);

/// When something of a flow last arrived, and the longest pause before that.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    last: u64,
    longest: u64,
}

/// Stands above a miniport, or beyond the switch: sends flows and probes, takes both.
#[derive(Default)]
pub struct Station {
    sources: Vec<(Generator, Option<Tag>)>,
    sink: Option<Sink>,
    outbox: VecDeque<Frame>,
    heard: BTreeMap<Heard, u64>,
    gaps: BTreeMap<u16, Gap>,
    slices: Vec<u64>,
    slice: u64,
    began: u64,
    turn: usize,
}

/// A station that several hold.
pub type Shared = Arc<Mutex<Station>>;

impl Station {
    /// Sends this flow too; its frames get the tag.
    pub fn add_source(&mut self, generator: Generator, tag: Option<Tag>) {
        self.sources.push((generator, tag));
    }

    /// Takes flows.
    pub fn set_sink(&mut self, sink: Sink) {
        self.sink = Some(sink);
    }

    /// Lets every flow begin, a little apart, and counts what arrives in slices from now on.
    pub fn begin(&mut self, now: u64, apart: u64, slice: u64) {
        for (at, (source, _)) in self.sources.iter_mut().enumerate() {
            source.begin(now + at as u64 * apart);
        }
        (self.began, self.slice) = (now, slice);
    }

    /// Lets no flow send any more.
    pub fn stop(&mut self) {
        for (source, _) in &mut self.sources {
            source.stop();
        }
    }

    /// Orders a frame to be sent.
    pub fn send(&mut self, frame: Frame) {
        self.outbox.push_back(frame);
    }

    /// Whether nothing ordered waits.
    pub fn is_idle(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Probes heard since the last call, and how often each.
    pub fn take_heard(&mut self) -> BTreeMap<Heard, u64> {
        std::mem::take(&mut self.heard)
    }

    /// Frames that arrived in each slice.
    pub fn slices(&self) -> &[u64] {
        &self.slices
    }

    /// Forgets the pauses of flows; they are counted from now on.
    pub fn start_gaps(&mut self, now: u64) {
        for gap in self.gaps.values_mut() {
            *gap = Gap {
                last: now,
                longest: 0,
            };
        }
    }

    /// The longest pause of each flow that was ever heard, up to now.
    pub fn gaps(&self, now: u64) -> impl Iterator<Item = u64> {
        self.gaps
            .values()
            .map(move |gap| gap.longest.max(now.saturating_sub(gap.last)))
    }

    /// Flows that were heard once and not since `since`.
    pub fn silent_since(&self, since: u64) -> u64 {
        self.gaps.values().filter(|gap| gap.last < since).count() as u64
    }

    fn count(&mut self, now: u64, plain: &[u8]) {
        let Some(port) = udp_port(plain).filter(|port| *port >= FLOW_PORT) else {
            return;
        };
        let gap = self.gaps.entry(port).or_insert(Gap {
            last: now,
            longest: 0,
        });
        gap.longest = gap.longest.max(now - gap.last);
        gap.last = now;
        if let Some(at) = now.saturating_sub(self.began).checked_div(self.slice) {
            let at = at as usize;
            if self.slices.len() <= at {
                self.slices.resize(at + 1, 0);
            }
            self.slices[at] += 1;
        }
    }
}

impl Endpoint for Station {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        let (vlan, plain) = match strip(frame) {
            Some((tag, plain)) => (tag.vlan, plain),
            None => (0, frame.to_vec()),
        };
        if let Some(serial) = serial_of(&plain) {
            *self.heard.entry((serial, vlan)).or_default() += 1;
        } else if let Some(sink) = &mut self.sink {
            sink.on_frame(now, &plain);
            self.count(now, &plain);
        }
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        while let Some(frame) = self.outbox.pop_front() {
            if !out(frame) {
                return;
            }
        }
        let count = self.sources.len();
        for turn in 0..count {
            let (source, tag) = &mut self.sources[(self.turn + turn) % count];
            let mut room = true;
            source.poll(now, &mut |frame| {
                let tagged = tag.and_then(|tag| insert(&frame, tag));
                room = out(tagged.unwrap_or(frame));
                room
            });
            if !room {
                self.turn = (self.turn + turn + 1) % count;
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        if !self.outbox.is_empty() {
            return Some(now);
        }
        let sources = self.sources.iter_mut();
        sources.filter_map(|(s, _)| s.next_poll(now)).min()
    }
}

#[derive(Default)]
struct Port {
    down: bool,
    outbox: VecDeque<Frame>,
}

/// A learning switch. VLANs keep apart; where it aggregates, all ports to adapters are one.
pub struct Switch {
    /// Who is beyond it.
    pub far: Shared,
    ports: Vec<Port>,
    /// Whether the ports are one aggregate (a static LAG).
    aggregates: bool,
    table: BTreeMap<(u16, Mac), From>,
    seen: BTreeMap<(usize, u16, Mac), u64>,
    /// Probes that came in at each port.
    heard: BTreeMap<(usize, Heard), u64>,
    moves: u64,
    /// Whether ports are polled now and then.
    awake: bool,
}

/// Where a frame comes in, or a station stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Port(usize),
    Far,
}

impl Switch {
    /// A switch with so many ports.
    pub fn new(ports: usize, aggregates: bool) -> Self {
        Self {
            far: Shared::default(),
            ports: (0..ports).map(|_| Port::default()).collect(),
            aggregates,
            table: BTreeMap::new(),
            seen: BTreeMap::new(),
            heard: BTreeMap::new(),
            moves: 0,
            awake: true,
        }
    }

    /// Lets ports be polled now and then, or not any more.
    pub fn set_awake(&mut self, awake: bool) {
        self.awake = awake;
    }

    /// A cable is pulled or put back: what was learned there is forgotten.
    pub fn set_link(&mut self, port: usize, up: bool) {
        self.ports[port].down = !up;
        if !up {
            self.ports[port].outbox.clear();
            self.table.retain(|_, at| *at != From::Port(port));
        }
    }

    /// Puts a frame out at a port, whatever was learned.
    pub fn inject(&mut self, port: usize, frame: Frame) {
        self.ports[port].outbox.push_back(frame);
    }

    /// Probes that came in since the last call: port, number and VLAN, and how often.
    pub fn take_heard(&mut self) -> BTreeMap<(usize, Heard), u64> {
        std::mem::take(&mut self.heard)
    }

    /// Whether no port has anything to put out.
    pub fn is_idle(&self) -> bool {
        self.ports.iter().all(|port| port.outbox.is_empty()) && lock(&self.far).is_idle()
    }

    /// Forgets what was seen, not what was learned.
    pub fn forget_seen(&mut self) {
        self.seen.clear();
        self.moves = 0;
    }

    /// Frames that came in at each port since.
    pub fn counts(&self) -> Vec<u64> {
        let of = |port| self.seen.iter().filter(move |((at, ..), _)| *at == port);
        let each = (0..self.ports.len()).map(|port| of(port).map(|(_, frames)| frames).sum());
        each.collect()
    }

    /// Everything that was seen since.
    pub fn learned(&self, names: &[&str]) -> Learned {
        let seen = self.seen.iter().map(|((port, vlan, mac), frames)| SeenMac {
            port: names.get(*port).map(|&n| n.to_owned()).unwrap_or_default(),
            vlan: *vlan,
            mac: mac.to_string(),
            frames: *frames,
        });
        let mut addresses: Vec<Mac> = self.seen.keys().map(|(_, _, mac)| *mac).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Learned {
            addresses: addresses.len() as u64,
            moves: self.moves,
            seen: seen.collect(),
        }
    }

    /// The port that a frame leaves at, of those that are one aggregate.
    fn member(&self, frame: &[u8]) -> Option<usize> {
        let up: Vec<usize> = (0..self.ports.len())
            .filter(|&port| !self.ports[port].down)
            .collect();
        // Any rule does that keeps a flow on one port; real switches have their own.
        let octets = frame.get(ETHERNET_HEADER + 12..ETHERNET_HEADER + 24);
        let sum: usize = octets
            .unwrap_or(frame)
            .iter()
            .map(|o| usize::from(*o))
            .sum();
        up.get(sum.checked_rem(up.len())?).copied()
    }

    fn put_out(&mut self, port: usize, frame: &[u8]) {
        if !self.ports[port].down {
            self.ports[port].outbox.push_back(frame.to_vec());
        }
    }

    fn forward(&mut self, now: u64, from: From, frame: &[u8]) {
        let address = |at: usize| {
            let octets = frame.get(at..)?.first_chunk()?;
            Some(Mac(*octets))
        };
        let (Some(to), Some(source)) = (address(0), address(6)) else {
            return;
        };
        let vlan = tag_of(frame).map_or(0, |tag| tag.vlan);
        if let From::Port(port) = from {
            // A frame that left before its cable was pulled teaches nothing any more.
            if self.ports[port].down {
                return;
            }
            *self.seen.entry((port, vlan, source)).or_default() += 1;
            let plain = strip(frame).map_or_else(|| frame.to_vec(), |(_, plain)| plain);
            if let Some(serial) = serial_of(&plain) {
                *self.heard.entry((port, (serial, vlan))).or_default() += 1;
            }
        }
        let before = self.table.insert((vlan, source), from);
        if before.is_some_and(|before| before != from) && !self.aggregates {
            self.moves += 1;
        }
        let known = self.table.get(&(vlan, to)).copied();
        if from != From::Far && matches!(known, None | Some(From::Far)) {
            lock(&self.far).on_frame(now, frame);
        }
        if self.aggregates {
            // What an aggregate sent does not go back into it.
            if from == From::Far
                && let Some(port) = self.member(frame)
            {
                self.put_out(port, frame);
            }
            return;
        }
        match known {
            Some(From::Port(port)) if from != From::Port(port) => self.put_out(port, frame),
            Some(_) => {}
            None => {
                for port in 0..self.ports.len() {
                    if from != From::Port(port) {
                        self.put_out(port, frame);
                    }
                }
            }
        }
    }
}

/// The end of one adapter's wire.
pub struct SwitchPort {
    /// The switch.
    pub switch: Arc<Mutex<Switch>>,
    /// Which port.
    pub port: usize,
}

impl Endpoint for SwitchPort {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        lock(&self.switch).forward(now, From::Port(self.port), frame);
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let switch = &mut *lock(&self.switch);
        let far = Arc::clone(&switch.far);
        let mut spoken = Vec::new();
        lock(&far).poll(now, &mut |frame| {
            spoken.push(frame);
            true
        });
        for frame in spoken {
            switch.forward(now, From::Far, &frame);
        }
        while let Some(frame) = switch.ports[self.port].outbox.pop_front() {
            if !out(frame) {
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        let switch = lock(&self.switch);
        if !switch.ports[self.port].outbox.is_empty() {
            return Some(now);
        }
        switch.awake.then_some(now + TICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(serial: u32, source: Mac, to: Mac) -> Probe {
        Probe {
            serial,
            source,
            to,
            tag: None,
            addresses: (1, 2),
            ports: (1, 2),
        }
    }

    fn ports(aggregates: bool) -> (Arc<Mutex<Switch>>, [SwitchPort; 2]) {
        let switch = Arc::new(Mutex::new(Switch::new(2, aggregates)));
        let port = |port| SwitchPort {
            switch: Arc::clone(&switch),
            port,
        };
        let both = [port(0), port(1)];
        (switch, both)
    }

    fn out(port: &mut SwitchPort) -> usize {
        let mut count = 0;
        port.poll(0, &mut |_| {
            count += 1;
            true
        });
        count
    }

    #[test]
    fn it_learns_floods_and_forgets() {
        let (switch, [mut a, mut b]) = ports(false);
        let (one, two) = (Mac::local(9, 1), Mac::local(9, 2));
        a.on_frame(0, &probe(1, one, two).frame());
        assert_eq!((out(&mut a), out(&mut b)), (0, 1), "flooded");
        assert_eq!(lock(&lock(&switch).far).take_heard().len(), 1);
        b.on_frame(0, &probe(2, two, one).frame());
        assert_eq!((out(&mut a), out(&mut b)), (1, 0));
        assert!(lock(&lock(&switch).far).take_heard().is_empty(), "learned");
        // The address shows at the other port.
        b.on_frame(0, &probe(3, one, two).frame());
        let learned = lock(&switch).learned(&["a", "b"]);
        assert_eq!((learned.addresses, learned.moves), (2, 1));
        lock(&switch).set_link(1, false);
        a.on_frame(0, &probe(4, Mac::local(9, 3), one).frame());
        assert_eq!((out(&mut a), out(&mut b)), (0, 0), "the other port is down");
    }

    #[test]
    fn an_aggregate_is_one_port() {
        let (switch, [mut a, mut b]) = ports(true);
        a.on_frame(0, &probe(1, Mac::local(9, 1), Mac::BROADCAST).frame());
        assert_eq!((out(&mut a), out(&mut b)), (0, 0));
        let far = Arc::clone(&lock(&switch).far);
        for serial in 0..8 {
            let to = Probe {
                ports: (1, serial as u16),
                ..probe(serial, Mac::local(8, 1), Mac::BROADCAST)
            };
            lock(&far).send(to.frame());
        }
        let (first, second) = (out(&mut a), out(&mut b));
        assert_eq!((first, second), (4, 4), "each frame once");
        lock(&switch).set_link(0, false);
        lock(&far).send(probe(9, Mac::local(8, 1), Mac::BROADCAST).frame());
        assert_eq!((out(&mut a), out(&mut b)), (0, 1));
    }

    #[test]
    fn vlans_keep_apart() {
        let (switch, [mut a, mut b]) = ports(false);
        let (one, two) = (Mac::local(9, 1), Mac::local(9, 2));
        let tagged = Probe {
            tag: Some(Tag::vlan(10)),
            ..probe(1, one, two)
        };
        a.on_frame(0, &tagged.frame());
        assert_eq!(out(&mut b), 1);
        b.on_frame(0, &probe(2, two, one).frame());
        // Known in VLAN 10, not without one: flooded.
        assert_eq!(out(&mut a), 1);
        let heard = lock(&switch).take_heard();
        assert!(heard.contains_key(&(0, (1, 10))) && heard.contains_key(&(1, (2, 0))));
    }
}

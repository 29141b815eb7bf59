//! What the fuzzer and the test that stands in for it have in common: bytes become
//! ports and frames, and everything that must hold for any of them is checked.
//!
//! The ports of a group are asked one by one; a frame that a port sends is put on a
//! wire, byte by byte, and received by another adapter with the same ports.

use ethernet::{
    Header, Mac, Malformed, Nested, OutOfBand, Outer, Priority, PriorityMap, Vlan, rewrite,
};
use im_core::data::fanout::{Egress, Strip};
use mux::classify::{Drop, Group, PortView, arrival};
use mux::settings::Mode;
use mux::switch::ways;
use mux::tag::{Policy, Refusal};
use ndis::sys::{
    NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_DIRECTED,
    NDIS_PACKET_TYPE_MULTICAST, NDIS_PACKET_TYPE_PROMISCUOUS,
};

/// What went on in a run, so that a test can see that it was not nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames that a header was read from.
    pub frames: u64,
    /// Deliveries to ports.
    pub heard: u64,
    /// Frames that went to nobody.
    pub dropped: u64,
    /// Frames that left for the wire.
    pub sent: u64,
    /// Sends that were refused.
    pub refused: u64,
    /// Frames that were switched locally.
    pub switched: u64,
}

/// Takes bytes from the front; zeroes when they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Few addresses, so that they meet.
    fn mac(&mut self) -> Mac {
        let byte = self.next();
        let low = u64::from(byte & 3);
        match byte >> 4 {
            0..=7 => Mac::from_number(0x0200_0000_0000 + low),
            8..=10 => Mac::from_number(0x0100_5E00_0000 + low),
            11 => Mac::from_number(0x0180_C200_0000 + low),
            12 => Mac::BROADCAST,
            _ => Mac(self.take(6).try_into().unwrap()),
        }
    }

    fn vlan(&mut self) -> Vlan {
        Vlan::new([0, 10, 20, 4094][usize::from(self.next() & 3)]).unwrap()
    }

    fn map(&mut self) -> PriorityMap {
        if self.next() & 1 == 0 {
            return PriorityMap::IDENTITY;
        }
        let numbers: Vec<u8> = self.take(8).iter().map(|byte| byte & 7).collect();
        PriorityMap::new(numbers.try_into().unwrap()).unwrap()
    }
}

struct Port {
    mac: Mac,
    filter: u32,
    multicast: Vec<Mac>,
    vlan: Vlan,
    guest: bool,
    priority_in: PriorityMap,
    priority_out: PriorityMap,
    default_priority: Priority,
}

impl Port {
    fn read(bytes: &mut Bytes<'_>) -> Self {
        let mac = bytes.mac();
        let flags = bytes.next();
        let listed = usize::from(bytes.next() & 3);
        Self {
            mac: if mac.is_station() {
                mac
            } else {
                Mac([2, 0, 0, 0, 0, 3])
            },
            filter: u32::from(flags & 0x2F),
            multicast: (0..listed).map(|_| bytes.mac()).collect(),
            vlan: bytes.vlan(),
            guest: flags & 0x80 != 0,
            priority_in: bytes.map(),
            priority_out: bytes.map(),
            default_priority: Priority::new(bytes.next() & 7).unwrap(),
        }
    }

    fn policy(&self, mode: Mode) -> Policy<'static> {
        Policy {
            mode,
            vlan: self.vlan,
            mac: self.mac,
            allowed: None,
            priority_in: self.priority_in,
            priority_out: self.priority_out,
            default_priority: self.default_priority,
        }
    }

    fn in_group(&self, vlan: Vlan) -> bool {
        self.vlan == vlan || self.guest && vlan.is_none()
    }

    fn hears(&self, destination: Mac) -> bool {
        let has = |bit| self.filter & bit != 0;
        has(NDIS_PACKET_TYPE_PROMISCUOUS)
            || if destination.is_broadcast() {
                has(NDIS_PACKET_TYPE_BROADCAST)
            } else if destination.is_group() {
                has(NDIS_PACKET_TYPE_ALL_MULTICAST)
                    || has(NDIS_PACKET_TYPE_MULTICAST) && self.multicast.contains(&destination)
            } else {
                has(NDIS_PACKET_TYPE_DIRECTED) && destination == self.mac
            }
    }
}

fn group(mode: Mode, ports: &[Port], vlan: Vlan) -> Option<Group<usize>> {
    let members = ports
        .iter()
        .enumerate()
        .filter(|(_, port)| port.in_group(vlan));
    let views = members.map(|(at, port)| PortView {
        port: at,
        mac: port.mac,
        filter: port.filter,
        multicast: &port.multicast,
        guest: port.vlan != vlan,
    });
    views.clone().next()?;
    Some(Group::build(mode, &views).expect("memory for a few ports"))
}

/// Who gets a frame from the wire; checked against asking every port.
fn receive(
    mode: Mode,
    ports: &[Port],
    bytes: &[u8],
    word: OutOfBand,
    tally: &mut Tally,
) -> Vec<usize> {
    let Ok(header) = Header::parse(bytes) else {
        tally.dropped += 1;
        return Vec::new();
    };
    tally.frames += 1;
    let (vlan, strip) = match arrival(mode, &header, word) {
        Ok(arrived) => arrived,
        Err(drop) => {
            assert!(matches!(
                drop,
                Drop::ReservedVlan | Drop::NestedTag | Drop::ForeignTag
            ));
            tally.dropped += 1;
            return Vec::new();
        }
    };
    if let Strip::InFrame(tag) = strip {
        assert_eq!(header.tag(), Some(tag));
        let head: [u8; 18] = bytes[..18].try_into().unwrap();
        // What is left shows no tag to a port without a VLAN; behind a VLAN's tag,
        // another one is payload, whole or not.
        let rest = [&rewrite::strip(&head)[..], &bytes[18..]].concat();
        match Header::parse(&rest) {
            Ok(left) => assert!(!vlan.is_none() || left.outer == Outer::None),
            Err(cut) => assert!(!vlan.is_none() && cut == Malformed::TruncatedTag),
        }
    }
    let Some(group) = group(mode, ports, vlan) else {
        tally.dropped += 1;
        return Vec::new();
    };
    let own = ports
        .iter()
        .any(|port| port.in_group(vlan) && port.mac == header.source);
    let heard: Vec<usize> = match group.received(header.destination, header.source) {
        Ok(delivery) => {
            let mut heard = delivery.targets.to_vec();
            heard.retain(|port| Some(*port) != delivery.except);
            heard.sort_unstable();
            heard
        }
        Err(drop) => {
            let expected = if own && matches!(mode, Mode::Private | Mode::Bridge) {
                Drop::OwnSource
            } else {
                Drop::Unwanted
            };
            assert_eq!(drop, expected);
            Vec::new()
        }
    };
    let quiet = own && matches!(mode, Mode::Private | Mode::Bridge);
    let sender = (mode == Mode::Vepa)
        .then(|| group.owner(header.source))
        .flatten();
    let model: Vec<usize> = (0..ports.len())
        .filter(|at| !quiet && Some(*at) != sender)
        .filter(|at| ports[*at].in_group(vlan) && ports[*at].hears(header.destination))
        .collect();
    assert_eq!(heard, model);
    tally.heard += heard.len() as u64;
    tally.dropped += u64::from(heard.is_empty());
    heard
}

/// The frame as an adapter puts it on the wire, the tag beside it in its place.
fn wire(bytes: &[u8], header: &Header, word: OutOfBand, egress: Egress) -> Vec<u8> {
    let tag = match egress {
        Egress::Tagged(tag) => tag,
        Egress::AsIs if word.tag().tci() == 0 => return bytes.to_vec(),
        // An adapter that takes no VLAN beside the frame would lose it.
        Egress::AsIs => {
            assert!(
                word.tag().vlan.is_none(),
                "a VLAN was left beside the frame"
            );
            word.tag()
        }
    };
    let (head, rest) = bytes.split_at(header.length());
    let head = match head.len() {
        14 => rewrite::insert(head.try_into().unwrap(), tag),
        _ => rewrite::replace(head.try_into().unwrap(), tag),
    };
    [&head[..], rest].concat()
}

/// A port sends a frame; what reaches the wire is received again elsewhere.
fn send(
    mode: Mode,
    ports: &[Port],
    sender: usize,
    bytes: &[u8],
    word: OutOfBand,
    tally: &mut Tally,
) {
    let Ok(header) = Header::parse(bytes) else {
        return;
    };
    tally.frames += 1;
    let port = &ports[sender];
    let (egress, strip) = match port.policy(mode).leave(&header, word) {
        Ok(leaves) => leaves,
        Err(refusal) => {
            assert_eq!(refusal, Refusal::ForeignTag, "any source is allowed");
            tally.refused += 1;
            return;
        }
    };
    let group = group(mode, ports, port.vlan).expect("the sender is in it");
    let ways = ways(&group, sender, header.destination);
    if let Some(local) = ways.local {
        assert_eq!((mode, local.except), (Mode::Bridge, Some(sender)));
        assert!(!header.destination.is_link_local());
        assert!(
            local
                .targets
                .iter()
                .all(|at| ports[*at].in_group(port.vlan))
        );
        assert!(local.targets.iter().any(|at| *at != sender));
        tally.switched += 1;
    }
    assert!(ways.down || ways.local.is_some());
    if !ways.down {
        return;
    }
    tally.sent += 1;
    if mode == Mode::Passthru {
        assert_eq!((egress, strip), (Egress::AsIs, Strip::Keep));
        return;
    }
    let sent = wire(bytes, &header, word, egress);
    let there = Header::parse(&sent).expect("a whole header");
    // One tag at most, and the port's VLAN in it.
    assert_eq!(there.tag().map_or(Vlan::NONE, |tag| tag.vlan), port.vlan);
    assert_eq!(there.nested, Nested::None);
    assert!(!matches!(there.outer, Outer::Service(_)));
    assert_eq!(
        (there.destination, there.source, there.ethertype),
        (header.destination, header.source, header.ethertype)
    );
    // Far away, nobody of another VLAN hears it.
    let heard = receive(Mode::Vepa, ports, &sent, OutOfBand::NONE, tally);
    assert!(heard.iter().all(|at| ports[*at].in_group(port.vlan)));
    // The same beside the frame.
    if let (Some(tag), 18) = (there.tag(), there.length()) {
        let head: [u8; 18] = sent[..18].try_into().unwrap();
        let plain = [&rewrite::strip(&head)[..], &sent[18..]].concat();
        let beside = receive(Mode::Vepa, ports, &plain, OutOfBand::new(tag), tally);
        assert_eq!(beside, heard);
    }
}

/// One run.
pub fn run(data: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let mut bytes = Bytes(data);
    let mode =
        [Mode::Private, Mode::Vepa, Mode::Bridge, Mode::Passthru][usize::from(bytes.next() & 3)];
    let count = 1 + usize::from(bytes.next() & 7);
    let mut ports: Vec<Port> = (0..count).map(|_| Port::read(&mut bytes)).collect();
    if mode == Mode::Passthru {
        ports.truncate(1);
        ports[0].vlan = Vlan::NONE;
    }
    let word = match bytes.next() {
        0..0x80 => 0,
        0x80..0xC0 => usize::from(bytes.next()),
        _ => usize::from(u16::from_le_bytes([bytes.next(), bytes.next()])),
    };
    let sender = usize::from(bytes.next()) % ports.len();
    let frame = bytes.0;
    receive(mode, &ports, frame, OutOfBand(word), &mut tally);
    send(mode, &ports, sender, frame, OutOfBand(word), &mut tally);
    tally
}

//! Tags against what an 802.1Q access port does.

use super::*;
use ethernet::rewrite;
use proptest::prelude::*;
use std::vec::Vec;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn policy(vlan: u16) -> Policy<'static> {
    Policy {
        mode: Mode::Private,
        vlan: Vlan::new(vlan).unwrap(),
        mac: MAC,
        allowed: None,
        priority_in: PriorityMap::IDENTITY,
        priority_out: PriorityMap::IDENTITY,
        default_priority: Priority::BEST_EFFORT,
    }
}

fn tag(priority: u8, vlan: u16) -> Tag {
    Tag {
        priority: Priority::new(priority).unwrap(),
        dei: false,
        vlan: Vlan::new(vlan).unwrap(),
    }
}

fn bytes(rest: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1]);
    frame.extend_from_slice(rest);
    frame
}

fn plain() -> Header {
    Header::parse(&bytes(&[8, 0])).unwrap()
}

fn tagged(outer: Tag) -> Header {
    let plain: [u8; 14] = bytes(&[8, 0]).try_into().unwrap();
    Header::parse(&rewrite::insert(&plain, outer)).unwrap()
}

fn egress(policy: &Policy<'_>, header: &Header, word: OutOfBand) -> Result<Egress, Refusal> {
    policy.leave(header, word).map(|(egress, _)| egress)
}

#[test]
fn a_port_with_a_vlan_tags() {
    let port = policy(10);
    let ten = Egress::Tagged(tag(0, 10));
    let five = Egress::Tagged(tag(5, 10));
    assert!(port.tags());
    assert_eq!(egress(&port, &plain(), OutOfBand::NONE), Ok(ten));
    assert_eq!(egress(&port, &plain(), OutOfBand::new(tag(5, 0))), Ok(five));
    assert_eq!(egress(&port, &tagged(tag(5, 0)), OutOfBand::NONE), Ok(five));
    // The frame's own tag counts more than the word beside it.
    let word = OutOfBand::new(tag(2, 0));
    assert_eq!(egress(&port, &tagged(tag(5, 0)), word), Ok(five));
    // Its own VLAN it may name; beside the frame, that still has to be tagged
    // where the adapter takes nothing there.
    let own = OutOfBand::new(tag(5, 10));
    assert_eq!(egress(&port, &plain(), own), Ok(five));
    assert_eq!(
        egress(&port, &tagged(tag(5, 10)), OutOfBand::NONE),
        Ok(Egress::AsIs)
    );
    assert_eq!(egress(&port, &tagged(tag(5, 10)), own), Ok(five));
}

#[test]
fn a_port_without_a_vlan_does_not() {
    let port = policy(0);
    assert!(!port.tags());
    assert_eq!(egress(&port, &plain(), OutOfBand::NONE), Ok(Egress::AsIs));
    let word = OutOfBand::new(tag(5, 0));
    assert_eq!(egress(&port, &plain(), word), Ok(Egress::AsIs));
    assert_eq!(
        egress(&port, &tagged(tag(5, 0)), OutOfBand::NONE),
        Ok(Egress::AsIs)
    );
}

/// Nothing leaves into another VLAN, however the tag is dressed.
#[test]
fn foreign_tags_are_refused() {
    let refused = Err(Refusal::ForeignTag);
    for port in [policy(0), policy(10)] {
        for vlan in [20, 4095] {
            let word = OutOfBand::new(tag(0, vlan));
            assert_eq!(egress(&port, &plain(), word), refused);
            assert_eq!(
                egress(&port, &tagged(tag(0, vlan)), OutOfBand::NONE),
                refused
            );
            assert_eq!(egress(&port, &tagged(tag(0, 0)), word), refused);
        }
        for hidden in [
            &[0x81, 0, 0, 0, 0x81, 0, 0, 20, 8, 0][..],
            &[0x81, 0, 0, 10, 0x81, 0, 0, 20, 8, 0],
            &[0x81, 0, 0, 0, 0x81, 0, 0],
            &[0x88, 0xA8, 0, 10, 8, 0],
            &[0x88, 0xA8, 0, 0, 0x81, 0, 0, 10, 8, 0],
        ] {
            let header = Header::parse(&bytes(hidden)).unwrap();
            assert_eq!(
                egress(&port, &header, OutOfBand::NONE),
                refused,
                "{hidden:?}"
            );
        }
    }
}

#[test]
fn passthru_is_the_adapter() {
    let mut port = policy(0);
    port.mode = Mode::Passthru;
    port.default_priority = Priority::new(3).unwrap();
    assert!(!port.tags());
    for header in [plain(), tagged(tag(3, 20))] {
        let left = port.leave(&header, OutOfBand::new(tag(1, 30)));
        assert_eq!(left, Ok((Egress::AsIs, Strip::Keep)));
    }
}

#[test]
fn priorities_are_mapped() {
    let mut port = policy(10);
    port.priority_in = PriorityMap::new([7, 6, 5, 4, 3, 2, 1, 0]).unwrap();
    port.priority_out = PriorityMap::new([1, 1, 1, 1, 1, 6, 6, 6]).unwrap();
    port.default_priority = Priority::new(5).unwrap();
    assert_eq!(port.above(tag(5, 10)), tag(2, 0));
    let dropped_first = Tag {
        dei: true,
        ..tag(0, 10)
    };
    assert_eq!(port.above(dropped_first), tag(7, 0));
    let out = |header: &Header, word| egress(&port, header, word);
    assert_eq!(
        out(&plain(), OutOfBand::NONE),
        Ok(Egress::Tagged(tag(6, 10)))
    );
    assert_eq!(
        out(&plain(), OutOfBand::new(tag(2, 0))),
        Ok(Egress::Tagged(tag(1, 10)))
    );
    // A tag that says 0 is a priority; a word that says 0 is none.
    assert_eq!(
        out(&tagged(tag(0, 0)), OutOfBand::NONE),
        Ok(Egress::Tagged(tag(1, 10)))
    );
    // Without a VLAN, a priority of its own makes a tag.
    let mut port = policy(0);
    port.default_priority = Priority::new(5).unwrap();
    assert!(port.tags());
    assert_eq!(
        egress(&port, &plain(), OutOfBand::NONE),
        Ok(Egress::Tagged(tag(5, 0)))
    );
}

#[test]
fn addresses_to_send_from() {
    let other = Mac([2, 0, 0, 0, 0, 7]);
    let allowed = MacTable::new(&[other].into_iter(), ()).unwrap();
    let mut port = policy(0);
    assert!(port.may_send_from(Mac([2, 0, 0, 0, 0, 8])));
    port.allowed = Some(&allowed);
    assert!(port.may_send_from(MAC) && port.may_send_from(other));
    assert!(!port.may_send_from(Mac([2, 0, 0, 0, 0, 8])));
    assert!(!port.may_send_from(Mac::BROADCAST));
    let mut spoofed = plain();
    spoofed.source = Mac([2, 0, 0, 0, 0, 8]);
    assert_eq!(
        egress(&port, &spoofed, OutOfBand::NONE),
        Err(Refusal::Spoofed)
    );
    port.mode = Mode::Passthru;
    assert_eq!(
        egress(&port, &spoofed, OutOfBand::NONE),
        Err(Refusal::Spoofed)
    );
}

/// A frame on the wire, as the adapter sends it: bytes, and the VLAN and
/// priority that they say.
fn wire(frame: &[u8], word: OutOfBand, egress: Egress) -> Vec<u8> {
    let header = Header::parse(frame).unwrap();
    let tag = match egress {
        Egress::AsIs if word.tag().tci() == 0 => return frame.to_vec(),
        Egress::AsIs => {
            assert_eq!(header.tag(), None, "two tags");
            word.tag()
        }
        Egress::Tagged(tag) => tag,
    };
    let (head, rest) = frame.split_at(header.length());
    let head = match head.len() {
        14 => rewrite::insert(head.try_into().unwrap(), tag),
        _ => rewrite::replace(head.try_into().unwrap(), tag),
    };
    [&head[..], rest].concat()
}

proptest! {
    /// Whatever a port sends: refused, or on the wire exactly in the port's VLAN,
    /// with one tag at most, and the payload as it was.
    #[test]
    fn what_is_on_the_wire_is_the_port_s(
        own in prop_oneof![Just(0_u16), 1_u16..4095],
        kind in 0_u8..6,
        tci: u16,
        near in any::<bool>(),
        word in prop_oneof![Just(0_usize), 0_usize..8, any::<usize>()],
        default in 0_u8..8,
        map in proptest::array::uniform8(0_u8..8),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut port = policy(own);
        port.priority_out = PriorityMap::new(map).unwrap();
        port.default_priority = Priority::new(default).unwrap();
        let tci = if near { tci & 0xF000 | own } else { tci };
        let mut rest = Vec::new();
        match kind {
            0 | 1 => {}
            2 => rest.extend_from_slice(&[0x88, 0xA8, 0, 5]),
            _ => rest.extend_from_slice(&Tag::from_tci(tci).bytes(ethernet::Tpid::Customer)),
        }
        rest.extend_from_slice(&[8, 0]);
        rest.extend_from_slice(&payload);
        let frame = bytes(&rest);
        let header = Header::parse(&frame).unwrap();
        match port.leave(&header, OutOfBand(word)) {
            Ok((egress, strip)) => {
                let sent = wire(&frame, OutOfBand(word), egress);
                let sent_header = Header::parse(&sent).unwrap();
                let vlan = sent_header.tag().map_or(Vlan::NONE, |tag| tag.vlan);
                prop_assert_eq!(vlan, port.vlan);
                prop_assert_eq!(sent_header.nested, Nested::None);
                prop_assert!(sent.ends_with(&payload));
                let dropped = usize::from(header.tag().is_some()) * 4;
                let added = usize::from(sent_header.tag().is_some()) * 4;
                prop_assert_eq!(sent.len(), frame.len() - dropped + added);
                // What a neighbour is given has the priority of the wire.
                let priority = sent_header.tag().map_or(0, |tag| tag.priority.number());
                match strip {
                    Strip::Keep => prop_assert_eq!((priority, header.length()), (0, 14)),
                    Strip::InFrame(tag) => {
                        prop_assert_eq!((tag.priority.number(), header.length()), (priority, 18));
                    }
                    Strip::Beside(tag) => {
                        prop_assert_eq!((tag.priority.number(), header.length()), (priority, 14));
                    }
                }
            }
            Err(refusal) => {
                prop_assert_eq!(refusal, Refusal::ForeignTag);
                let foreign = |vlan: Vlan| !vlan.is_none() && vlan != port.vlan;
                prop_assert!(
                    foreign(OutOfBand(word).tag().vlan)
                        || header.tag().is_some_and(|tag| foreign(tag.vlan))
                        || header.nested != Nested::None
                        || matches!(header.outer, Outer::Service(_))
                );
            }
        }
    }

    /// What is received with a priority has the map's, and never a VLAN.
    #[test]
    fn above_there_is_no_vlan(map in proptest::array::uniform8(0_u8..8), tci: u16) {
        let mut port = policy(10);
        port.priority_in = PriorityMap::new(map).unwrap();
        let shown = port.above(Tag::from_tci(tci));
        prop_assert!(shown.vlan.is_none() && !shown.dei);
        prop_assert_eq!(shown.priority.number(), map[usize::from(tci >> 13)]);
    }
}

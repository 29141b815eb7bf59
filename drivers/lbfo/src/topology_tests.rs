//! What the glue adds: which facts become which arguments.

use super::*;
use crate::merge::tests::facts;
use crate::settings::tests::{Key, team as settings};
use ethernet::Tag;
use ethernet::flow::Toeplitz;
use ndis::oid::Kind;
use ndis::sys::{
    NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_PROMISCUOUS,
    NDIS_STATUS_LINK_STATE, NdisMediumWirelessWan, OID_802_3_CURRENT_ADDRESS,
    OID_GEN_CURRENT_PACKET_FILTER, OID_GEN_VENDOR_ID, OID_PNP_SET_POWER,
};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 0x77]);
const DIRECTED: u32 = NDIS_PACKET_TYPE_DIRECTED;
const MULTICAST: u32 = NDIS_PACKET_TYPE_MULTICAST;
const BROADCAST: u32 = NDIS_PACKET_TYPE_BROADCAST;
const PROMISCUOUS: u32 = NDIS_PACKET_TYPE_PROMISCUOUS;
const ALL_MULTICAST: u32 = NDIS_PACKET_TYPE_ALL_MULTICAST;

fn team(key: &Key) -> Team {
    Team::new(settings(key), MAC)
}

fn mode(mode: u32) -> Key {
    Key::default().number("Mode", mode)
}

fn member(key: &Key) -> MemberSettings {
    Lbfo::adapter(&facts(1), key).unwrap()
}

/// PTR-3, and what the INFs and the packager know it by.
#[test]
fn names() {
    let text = String::from_utf16_lossy;
    assert_eq!(text(Lbfo::IDENTITY.service), "ImLbfo");
    assert_eq!(text(Lbfo::IDENTITY.device), "\\Device\\lbfo");
    assert_eq!(text(Lbfo::IDENTITY.link), "\\DosDevices\\lbfo");
    assert_eq!(Lbfo::IDENTITY.tag, PoolTag::new(*b"ImLb"));
    assert_eq!((Lbfo::UPPERS_PER_LOWER, Lbfo::LOWERS_PER_UPPER), (1, 32));
}

#[test]
fn only_wired_ethernet_with_an_address_is_bound() {
    assert!(Lbfo::accepts(&facts(1)).is_ok());
    for spoil in [
        |facts: &mut Facts| facts.medium = NdisMediumWirelessWan,
        |facts: &mut Facts| facts.physical = NdisPhysicalMediumNative802_11,
        |facts: &mut Facts| facts.physical = NdisPhysicalMediumWirelessLan,
        |facts: &mut Facts| facts.mac_length = 8,
        |facts: &mut Facts| facts.mac = [0; MAX_MAC],
        |facts: &mut Facts| facts.mac[0] |= 1,
    ] {
        let mut facts = facts(1);
        spoil(&mut facts);
        assert!(matches!(
            Lbfo::accepts(&facts),
            Err(Error::UnsupportedMedium)
        ));
    }
}

/// LBF-5: one address, whoever is there.
#[test]
fn the_address() {
    let name: Vec<u16> = "\\Device\\{A}".encode_utf16().collect();
    let key = |key: Key| key.device(&name);
    let port = |key: &Key, first| {
        let members = [(member(&Key::default()), facts(first))];
        let mut members = members.iter().map(|(settings, facts)| (settings, *facts));
        let folded = Lbfo::fold(&mut members).unwrap();
        let port = Lbfo::port(&member(&Key::default()), &folded, 0, key).unwrap();
        let shown = Lbfo::shown(&member(&Key::default()), &folded, &port);
        assert_eq!(Mac::from_slice(&shown.mac), Some(port.mac));
        assert!(shown.mac[6..].iter().all(|byte| *byte == 0));
        port.mac
    };
    let plain = key(Key::default());
    assert_eq!(port(&plain, 1), address::derive(&name));
    assert_eq!(port(&plain, 1), port(&plain, 2));
    let first = key(Key::default().number("MacMode", 1));
    assert_eq!(port(&first, 9), own_mac(&facts(9)));
    let set = key(Key::default().address(&MAC.0));
    assert_eq!(port(&set, 9), MAC);
    assert!(Lbfo::port(&member(&plain), &facts(1), 0, &mode(6)).is_err());
}

#[test]
fn numbers_are_places_and_an_order() {
    assert_eq!(Lbfo::slot(&member(&Key::default())), None);
    let numbered = |number| member(&Key::default().number("MemberIndex", number));
    assert_eq!(Lbfo::slot(&numbered(1)), Some(0));
    assert_eq!(Lbfo::slot(&numbered(32)), Some(31));
    // Who has no number comes last.
    let members = [
        (member(&Key::default()), facts(1)),
        (numbered(32), facts(2)),
        (numbered(7), facts(3)),
    ];
    let mut members = members.iter().map(|(settings, facts)| (settings, *facts));
    let team = Lbfo::fold(&mut members).unwrap();
    assert_eq!(own_mac(&team), own_mac(&facts(3)));
    assert_eq!(team.max_xmit, 3 * facts(1).max_xmit);
}

/// What is asked of a member with this address, these filters and this much room.
fn asked(team: &Team, mac: Mac, filters: u32, filter: u32, room: usize) -> (Merged, Vec<Mac>) {
    let mut facts = facts(0);
    facts.filters = filters;
    facts.mac[..6].copy_from_slice(&mac.0);
    let groups = [Mac([1, 0, 0x5E, 0, 0, 1])];
    let wish = Wish {
        port: team,
        mac: team.mac,
        filter,
        groups: &groups,
    };
    let mut list = vec![Mac::ZERO; room];
    let merged = Lbfo::merge(
        &member(&Key::default()),
        &facts,
        &mut [wish].into_iter(),
        &mut list,
    );
    list.truncate(merged.groups);
    (merged, list)
}

/// OID-25, LBF-5: every member is asked for what the stack wants, and for what the
/// team needs itself.
#[test]
fn what_members_are_asked_for() {
    let all = 0x2F;
    let plain = team(&mode(0));
    let (merged, list) = asked(&plain, MAC, all, DIRECTED | MULTICAST | BROADCAST, 8);
    assert_eq!(merged.filter, DIRECTED | MULTICAST | BROADCAST);
    assert_eq!((list.len(), merged.promiscuous), (1, false));
    assert_eq!(asked(&plain, MAC, all, 0, 8).0, Merged::default());

    // Another address than the team's.
    let other = own_mac(&facts(1));
    let (merged, _) = asked(&plain, other, all, DIRECTED, 8);
    assert!(merged.promiscuous && merged.filter & PROMISCUOUS != 0);
    let (merged, _) = asked(&plain, other, all, BROADCAST, 8);
    assert_eq!(merged.filter, BROADCAST, "nobody's own frames are wanted");
    assert!(!merged.deaf);
    let (merged, _) = asked(&plain, other, DIRECTED, DIRECTED, 8);
    assert!(!merged.promiscuous && merged.deaf, "it has no such filter");

    // LACP is heard before the stack hears anything.
    let lacp = team(&mode(2));
    let (merged, list) = asked(&lacp, MAC, all, 0, 8);
    assert_eq!(
        (merged.filter, &list[..]),
        (MULTICAST, &[SLOW_PROTOCOLS][..])
    );
    let (merged, list) = asked(&lacp, MAC, all, DIRECTED | MULTICAST, 8);
    assert_eq!((merged.filter, list.len()), (DIRECTED | MULTICAST, 2));
    assert!(list.contains(&SLOW_PROTOCOLS));
    let (merged, list) = asked(&lacp, MAC, all, DIRECTED | MULTICAST, 1);
    assert!(merged.overflow && list.is_empty());
    assert_eq!(merged.filter, DIRECTED | MULTICAST | ALL_MULTICAST);
    let (merged, _) = asked(&lacp, other, all, 0, 8);
    assert!(!merged.promiscuous, "LACPDUs go to a group");

    // Answers to probes come to the team's address.
    let monitor = Key::default()
        .number("Monitor", 1)
        .list("MonitorTargets", &["192.0.2.1"]);
    let (merged, _) = asked(&team(&monitor), MAC, all, 0, 8);
    assert_eq!(merged.filter, DIRECTED);
}

/// LBF-5: a member hears the team's address, or is none.
#[test]
fn who_cannot_hear_the_team_is_no_member() {
    let team = team(&mode(0));
    let mut facts = facts(1);
    let shown = Lbfo::shown(&member(&Key::default()), &facts, &team);
    let accepted = |facts: &Facts| Lbfo::accepts_member(&team, &shown, facts);
    assert_eq!(accepted(&facts), Ok(()));
    facts.filters &= !PROMISCUOUS;
    assert_eq!(accepted(&facts), Err(MemberRefusal::Address));
    facts.mac[..6].copy_from_slice(&MAC.0);
    assert_eq!(accepted(&facts), Ok(()));
    facts.mtu = 100;
    assert_eq!(accepted(&facts), Err(MemberRefusal::Mtu));
}

#[test]
fn modes_spread() {
    let spread = |number| Lbfo::spread(&team(&mode(number)));
    assert_eq!(spread(0), Spread::One);
    assert_eq!((spread(1), spread(2)), (Spread::Buckets, Spread::Buckets));
    assert_eq!((spread(3), spread(4)), (Spread::Turns, Spread::All));
    assert_eq!(spread(5), Spread::Flowlets(5000), "500 microseconds");
}

/// LBF-6: nothing is passed on to one of the members.
#[test]
fn requests_are_the_team_s() {
    let below = Below {
        pm: true,
        rss: true,
        offload: true,
    };
    let rule = |oid, kind| {
        let length = 0;
        Lbfo::request_rule(Asked { oid, kind, length }, below)
    };
    for oid in Lbfo::own_oids() {
        for kind in [Kind::Query, Kind::Set, Kind::Method] {
            assert!(!matches!(rule(*oid, kind), Rule::Forward(_)), "{oid:?}");
        }
    }
    assert!(matches!(
        rule(OID_GEN_CURRENT_PACKET_FILTER, Kind::Set),
        Rule::Merge(_)
    ));
    for oid in [OID_GEN_VENDOR_ID, OID_802_3_CURRENT_ADDRESS] {
        assert!(matches!(rule(oid, Kind::Query), Rule::Answer(_)));
    }
    assert!(matches!(
        rule(OID_PNP_SET_POWER, Kind::Set),
        Rule::Answer(_)
    ));
    assert_eq!(
        Lbfo::status_rule(NDIS_STATUS_LINK_STATE, below),
        StatusRule::Link
    );
}

/// A UDP frame over IPv4; `offset` is the word with the fragment's offset and flags.
fn udp(source: [u8; 4], destination: [u8; 4], ports: [u16; 2], offset: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 28, 0, 7]);
    frame.extend(offset.to_be_bytes());
    frame.extend([64, 17, 0, 0]);
    frame.extend(source);
    frame.extend(destination);
    for port in ports {
        frame.extend(port.to_be_bytes());
    }
    frame.extend([0, 8, 0, 0]);
    frame
}

const A: [u8; 4] = [192, 0, 2, 1];
const B: [u8; 4] = [192, 0, 2, 2];

fn bucket(team: &Team, frame: &[u8]) -> u8 {
    Lbfo::bucket(team, frame, 0, None)
}

/// How evenly so many flows lie: chi squared over the buckets, 255 degrees of freedom.
fn spread_of(buckets: impl Iterator<Item = u8>) -> f64 {
    let mut counts = [0_u32; 256];
    let mut flows = 0_u32;
    for bucket in buckets {
        counts[usize::from(bucket)] += 1;
        flows += 1;
    }
    let expected = f64::from(flows) / 256.0;
    let off = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
    counts.iter().map(off).sum()
}

/// 255 degrees of freedom exceed this once in a million times.
const FAR: f64 = 374.0;

#[test]
fn flows_lie_evenly() {
    let frames = || (0..10_000_u16).map(|port| udp(A, B, [1024 + port, 80], 0));
    for policy in [2, 3] {
        let team = team(&mode(1).number("HashPolicy", policy));
        let value = spread_of(frames().map(|frame| bucket(&team, &frame)));
        assert_eq!(value < FAR, policy == 2, "{value}");
    }
    // A hash that comes beside the list, as the stack or an adapter makes it.
    let team = team(&mode(1));
    let toeplitz = Toeplitz::symmetric(0x6D5A);
    for key in [toeplitz, Toeplitz(MICROSOFT_KEY)] {
        let value = spread_of(frames().map(|frame| {
            let network = Flow::parse(&frame, None).unwrap().network.unwrap();
            Lbfo::bucket(&team, &frame, 0, Some(key.of(&network, true)))
        }));
        assert!(value < FAR, "{value}");
    }
}

/// The key in the documentation of receive side scaling, whose hashes are known.
const MICROSOFT_KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

/// A flow is told by its hash alone where that is used, else by its headers alone.
#[test]
fn the_hash_beside_a_list() {
    let (one, mut other) = (udp(A, B, [1, 2], 0), udp(B, A, [3, 4], 0));
    other[11] = 9; // another source, too
    let uses = |key: Key| {
        let team = team(&key);
        let same = (0..64).all(|hash| {
            Lbfo::bucket(&team, &one, 0, Some(hash)) == Lbfo::bucket(&team, &other, 0, Some(hash))
        });
        let ignored =
            (0..64).all(|hash| Lbfo::bucket(&team, &one, 0, Some(hash)) == bucket(&team, &one));
        assert_ne!(same, ignored);
        assert_eq!(Lbfo::uses_hash_info(&team), same);
        same
    };
    assert!(uses(mode(1)));
    assert!(!uses(mode(1).number("HashInfo", 0)));
    assert!(
        !uses(mode(1).number("HashSymmetric", 1)),
        "a stack's is not"
    );
    for policy in [0, 1, 3] {
        assert!(
            !uses(mode(1).number("HashPolicy", policy)),
            "nor of layer 2"
        );
    }
}

/// Fragments of one datagram keep to one member, and so do both directions where
/// that is set; other teams spread otherwise.
#[test]
fn what_goes_together() {
    let plain = team(&mode(1));
    let first = udp(A, B, [1000, 2000], 0x2000);
    let later = udp(A, B, [0xABCD, 0x1234], 0x0010);
    assert_eq!(bucket(&plain, &first), bucket(&plain, &later));

    let symmetric = team(&mode(1).number("HashSymmetric", 1));
    let pairs = |team: &Team| {
        (0..100).all(|port| {
            bucket(team, &udp(A, B, [port, 80], 0)) == bucket(team, &udp(B, A, [80, port], 0))
        })
    };
    assert!(pairs(&symmetric) && !pairs(&plain));

    let seeded = team(&mode(1).number("HashSeed", 5));
    let elsewhere = Team::new(settings(&mode(1)), Mac([2, 0, 0, 0, 0, 0x78]));
    for other in [seeded, elsewhere] {
        let moved = (0..100).filter(|port| {
            let frame = udp(A, B, [*port, 80], 0);
            bucket(&plain, &frame) != bucket(&other, &frame)
        });
        assert!(moved.count() > 90);
        let moved = (0..100).filter(|hash| {
            Lbfo::bucket(&plain, &[], 0, Some(*hash)) != Lbfo::bucket(&other, &[], 0, Some(*hash))
        });
        assert!(moved.count() > 90);
    }
}

/// A tag in the frame and the same one beside it are one flow.
#[test]
fn tags_in_the_frame_and_beside_it() {
    for policy in 0..4 {
        let team = team(&mode(1).number("HashPolicy", policy));
        let plain = udp(A, B, [1, 2], 0);
        let tag = Tag::from_tci(0x6014);
        let mut tagged = plain[..12].to_vec();
        tagged.extend([0x81, 0, 0x60, 20]);
        tagged.extend(&plain[12..]);
        let beside = OutOfBand::new(tag).0;
        assert_eq!(
            Lbfo::bucket(&team, &plain, beside, None),
            bucket(&team, &tagged),
            "{policy}"
        );
    }
}

proptest! {
    /// Any bytes have a bucket, and always the same.
    #[test]
    fn any_bytes_have_a_bucket(bytes: Vec<u8>, beside: usize, hash: Option<u32>, policy in 0_u32..4) {
        let team = team(&mode(1).number("HashPolicy", policy));
        let bucket = Lbfo::bucket(&team, &bytes, beside, hash);
        prop_assert_eq!(Lbfo::bucket(&team, &bytes, beside, hash), bucket);
        let _wanted = Lbfo::wants_frame(&team, &bytes);
    }
}

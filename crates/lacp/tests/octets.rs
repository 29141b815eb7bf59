//! PDUs as octets: frames written down by hand, round trips, hostile frames.

mod common;

use common::{Net, config, mac, port};
use lacp::pdu::{
    ConversationDigest, FRAME_LEN, Fault, Lacpdu, Marker, MarkerKind, Pdu, Verdict, Version2, parse,
};
use lacp::{Counter, MacAddress, PortId, PortInformation, PortState, Received, SystemId};
use proptest::prelude::*;

const SLOW: MacAddress = MacAddress::SLOW_PROTOCOLS;

/// An LACPDU of version 1, field by field after 6.4.2.3.
const LACPDU: &str = "
    0180c2000002  001b0db6ae41  8809
    01 01
    01 14  8000 001b0db6ae40 0011  8000 0118  3d  000000
    02 14  8000 aabbccddeeff 0021  00ff 0002  3f  000000
    03 10  000a  000000000000000000000000
    00 00
    00000000000000000000 00000000000000000000 00000000000000000000
    00000000000000000000 00000000000000000000";

/// One of version 2, with the TLVs of 6.4.2.4 and one that is unknown.
const LACPDU_2: &str = "
    0180c2000002  001b0db6ae41  8809
    01 02
    01 14  8000 001b0db6ae40 0011  8000 0118  c7  000000
    02 14  ffff 000000000000 0000  0000 0000  00  000000
    03 10  0000  000000000000000000000000
    04 06  0080c201
    05 14  0005 00112233445566778899aabbccddeeff
    0a 12  ffeeddccbbaa99887766554433221100
    00 00
    000000000000";

/// A Marker PDU after 6.5.3.2.
const MARKER: &str = "
    0180c2000002  001b0db6ae41  8809
    02 01
    01 10  0118 001b0db6ae40 00000507  0000
    00 00
    00000000000000000000 00000000000000000000 00000000000000000000
    00000000000000000000 00000000000000000000 00000000000000000000
    00000000000000000000 00000000000000000000 00000000000000000000";

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(text, 16).expect("digits")
    };
    digits.chunks(2).map(pair).collect()
}

fn switch() -> PortInformation {
    PortInformation {
        system: SystemId {
            priority: 0x8000,
            address: MacAddress([0x00, 0x1b, 0x0d, 0xb6, 0xae, 0x40]),
        },
        key: 0x11,
        port: PortId {
            priority: 0x8000,
            number: 0x118,
        },
        state: PortState(0x3d),
    }
}

#[test]
fn frames_written_by_hand_are_read_and_built() {
    let source = MacAddress([0x00, 0x1b, 0x0d, 0xb6, 0xae, 0x41]);
    let first = Lacpdu {
        version_number: 1,
        actor: switch(),
        partner: PortInformation {
            system: SystemId {
                priority: 0x8000,
                address: MacAddress([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]),
            },
            key: 0x21,
            port: PortId {
                priority: 0xff,
                number: 2,
            },
            state: PortState(0x3f),
        },
        collector_max_delay: 10,
        version_2: Version2::default(),
    };
    let second = Lacpdu {
        version_number: 2,
        actor: PortInformation {
            state: PortState(0xc7),
            ..switch()
        },
        partner: PortInformation {
            system: SystemId {
                priority: 0xffff,
                ..SystemId::default()
            },
            ..PortInformation::default()
        },
        collector_max_delay: 0,
        version_2: Version2 {
            port_algorithm: Some([0, 0x80, 0xc2, 1]),
            conversation_id_digest: Some(ConversationDigest {
                link_number_id: 5,
                digest: [
                    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
                    0xdd, 0xee, 0xff,
                ],
            }),
            service_mapping_digest: Some([
                0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
                0x11, 0x00,
            ]),
            malformed: false,
        },
    };
    let marker = Marker {
        kind: MarkerKind::Marker,
        requester_port: 0x118,
        requester_system: switch().system.address,
        requester_transaction_id: 0x507,
    };
    for (hex, pdu) in [
        (LACPDU, Pdu::Lacpdu(first)),
        (LACPDU_2, Pdu::Lacpdu(second)),
        (MARKER, Pdu::Marker(marker)),
    ] {
        let frame = octets(hex);
        assert_eq!(frame.len(), FRAME_LEN);
        assert_eq!(parse(&frame, SLOW), Ok(pdu));
        assert_eq!(pdu.frame(SLOW, source)[..], frame[..]);
    }
}

#[test]
fn what_a_receiver_shall_not_validate_makes_no_difference() {
    // 6.4.12: version number, TLV types, reserved fields.
    let frame = octets(LACPDU);
    let Ok(Pdu::Lacpdu(expected)) = parse(&frame, SLOW) else {
        panic!("sound");
    };
    let reserved = (33..36).chain(53..56).chain(60..72).chain(72..FRAME_LEN);
    for at in reserved.chain([16, 36, 56]) {
        let mut changed = frame.clone();
        changed[at] = 0x5a;
        assert_eq!(parse(&changed, SLOW), Ok(Pdu::Lacpdu(expected)), "{at}");
    }
    for version in [0, 2, 3, 0xff] {
        let mut changed = frame.clone();
        changed[15] = version;
        let Ok(Pdu::Lacpdu(lacpdu)) = parse(&changed, SLOW) else {
            panic!("version {version}");
        };
        assert_eq!(
            (lacpdu.actor, lacpdu.partner),
            (expected.actor, expected.partner)
        );
    }
    let frame = octets(MARKER);
    let expected = parse(&frame, SLOW);
    for at in [15].into_iter().chain(30..FRAME_LEN) {
        let mut changed = frame.clone();
        changed[at] = 0x5a;
        assert_eq!(parse(&changed, SLOW), expected, "{at}");
    }
}

#[test]
fn every_length_is_judged() {
    for hex in [LACPDU, LACPDU_2, MARKER] {
        let frame = octets(hex);
        for length in 0..frame.len() {
            let expected = if length < 14 {
                Fault::NotSlowProtocols
            } else {
                Fault::Short
            };
            assert_eq!(parse(&frame[..length], SLOW), Err(expected), "{length}");
        }
        // Padding and long LACPDUs.
        for length in [FRAME_LEN + 1, 1500, 9000] {
            let mut longer = frame.clone();
            longer.resize(length, 0);
            assert_eq!(parse(&longer, SLOW), parse(&frame, SLOW), "{length}");
        }
    }
}

#[test]
fn every_wrong_tlv_length_is_illegal() {
    for (hex, offsets) in [(LACPDU, &[3_usize, 23, 43][..]), (MARKER, &[3])] {
        let frame = octets(hex);
        for at in offsets {
            for length in 0..=255 {
                let mut changed = frame.clone();
                changed[14 + at] = length;
                // Markers of Linux have 0x16 for 16.
                if changed == frame || (hex == MARKER && length == 0x16) {
                    assert_eq!(parse(&changed, SLOW), parse(&frame, SLOW));
                    continue;
                }
                let fault = Fault::TlvLength {
                    offset: *at as u8 - 1,
                    length,
                };
                assert_eq!(parse(&changed, SLOW), Err(fault));
                assert_eq!(fault.verdict(), Verdict::Illegal);
            }
        }
    }
}

#[test]
fn the_list_of_version_2_may_end_badly_without_harm() {
    let frame = octets(LACPDU_2);
    let read = |frame: &[u8]| match parse(frame, SLOW) {
        Ok(Pdu::Lacpdu(lacpdu)) => lacpdu,
        other => panic!("{other:?}"),
    };
    let sound = read(&frame);
    // A known TLV with another length: what came before is kept.
    for length in (0..=255).filter(|length| *length != 0x14) {
        let mut changed = frame.clone();
        changed[14 + 65] = length;
        let lacpdu = read(&changed);
        assert!(lacpdu.version_2.malformed, "{length}");
        assert_eq!(
            lacpdu.version_2.port_algorithm,
            sound.version_2.port_algorithm
        );
        assert_eq!(lacpdu.version_2.conversation_id_digest, None);
        assert_eq!(lacpdu.actor, sound.actor);
    }
    // An unknown one is skipped, if its length leads forward.
    let mut changed = frame.clone();
    changed[14 + 64] = 0x77;
    let lacpdu = read(&changed);
    assert!(!lacpdu.version_2.malformed);
    assert_eq!(lacpdu.version_2.conversation_id_digest, None);
    assert_eq!(
        lacpdu.version_2.service_mapping_digest,
        sound.version_2.service_mapping_digest
    );
    for length in [0, 1, 200] {
        changed[14 + 65] = length;
        assert!(read(&changed).version_2.malformed);
    }
    // A version 1 receiver of a version 2 PDU does not come so far.
    changed[15] = 1;
    assert_eq!(read(&changed).version_2, Version2::default());
}

#[test]
fn every_subtype_and_address_is_counted_as_the_standard_says() {
    for subtype in 0..=255_u8 {
        let mut frame = octets(LACPDU);
        frame[14] = subtype;
        let verdict = parse(&frame, SLOW).map_err(Fault::verdict);
        match subtype {
            1 => assert!(verdict.is_ok()),
            // As a marker it has a wrong length.
            2 => assert_eq!(verdict, Err(Verdict::Illegal)),
            3..=10 => assert_eq!(verdict, Err(Verdict::Unknown), "{subtype}"),
            _ => assert_eq!(verdict, Err(Verdict::Illegal), "{subtype}"),
        }
    }
    for kind in (0..=255).filter(|kind| ![1, 2].contains(kind)) {
        let mut frame = octets(MARKER);
        frame[16] = kind;
        assert_eq!(parse(&frame, SLOW), Err(Fault::MarkerType(kind)));
    }
    let with = |at: usize, octet: u8| {
        let mut frame = octets(LACPDU);
        frame[at] = octet;
        parse(&frame, SLOW)
    };
    assert_eq!(with(5, 3), Err(Fault::UnknownDestination));
    assert_eq!(with(13, 8), Err(Fault::UnknownEtherType));
    let mut frame = octets(LACPDU);
    (frame[5], frame[13]) = (3, 8);
    assert_eq!(parse(&frame, SLOW), Err(Fault::NotSlowProtocols));
}

#[test]
fn a_port_counts_what_it_gets() {
    let mut net = Net::new(&[config(0)], 0);
    net.add(0, 0, port(0, 0));
    let with = |hex: &str, at: usize, octet: u8| {
        let mut frame = octets(hex);
        frame[at] = octet;
        frame
    };
    let counters = |net: &Net| net.at((0, 0)).counters().clone();
    let mut before = counters(&net);
    let mut expect = |net: &mut Net, frame: &[u8], taken: Received, counted: &[Counter]| {
        assert_eq!(net.receive((0, 0), frame), taken);
        let after = counters(net);
        for counter in Counter::ALL {
            let more = after.get(counter) - before.get(counter);
            assert_eq!(more, u64::from(counted.contains(&counter)), "{counter:?}");
        }
        before = after;
    };
    let refused = Received::Refused;
    let discarded = [Counter::LacpdusRx, Counter::DiscardedRx];
    // The link is down: valid, and of no use.
    expect(&mut net, &octets(LACPDU), Received::Taken, &discarded);
    expect(
        &mut net,
        &octets(MARKER),
        Received::Taken,
        &[Counter::MarkerPdusRx],
    );
    let own = {
        let mut frame = octets(LACPDU);
        frame[20..26].copy_from_slice(&mac(0, 0).0);
        frame
    };
    let looped = [
        Counter::LacpdusRx,
        Counter::DiscardedRx,
        Counter::OwnSystemRx,
    ];
    expect(&mut net, &own, Received::Taken, &looped);
    let bad_list = [
        Counter::LacpdusRx,
        Counter::DiscardedRx,
        Counter::MalformedTlvRx,
    ];
    expect(
        &mut net,
        &with(LACPDU_2, 14 + 65, 9),
        Received::Taken,
        &bad_list,
    );
    expect(&mut net, &[], Received::NotOurs, &[]);
    expect(
        &mut net,
        &octets(LACPDU)[..60],
        refused(Fault::Short),
        &[Counter::IllegalRx],
    );
    let illegal = refused(Fault::IllegalSubtype(11));
    expect(
        &mut net,
        &with(LACPDU, 14, 11),
        illegal,
        &[Counter::IllegalRx],
    );
    let oam = refused(Fault::UnknownSubtype(3));
    expect(&mut net, &with(LACPDU, 14, 3), oam, &[Counter::UnknownRx]);
    let other = refused(Fault::UnknownEtherType);
    expect(&mut net, &with(LACPDU, 13, 8), other, &[Counter::UnknownRx]);
    net.link((0, 0), true);
    before = net.at((0, 0)).counters().clone();
    net.receive((0, 0), &octets(MARKER));
    let after = net.at((0, 0)).counters();
    let counted = |counter| after.get(counter) - before.get(counter);
    assert_eq!(
        (
            counted(Counter::MarkerPdusRx),
            counted(Counter::MarkerResponsePdusTx)
        ),
        (1, 1)
    );
    // A response that nobody asked for.
    net.receive((0, 0), &with(MARKER, 16, 2));
    let after = net.at((0, 0)).counters();
    assert_eq!(after.get(Counter::MarkerResponsePdusRx), 1);
    assert_eq!(after.get(Counter::UnexpectedMarkerResponses), 1);
}

#[test]
fn a_flood_of_markers_is_answered_at_the_rate_of_a_slow_protocol() {
    let mut net = Net::new(&[config(0)], 0);
    net.add(0, 0, port(0, 0));
    net.link((0, 0), true);
    for _ in 0..5_000 {
        net.receive((0, 0), &octets(MARKER));
        net.run(lacp::time::MILLISECOND);
    }
    let counters = net.at((0, 0)).counters();
    let answered = counters.get(Counter::MarkerResponsePdusTx);
    assert_eq!(answered, 5 * lacp::time::RESPONSE_LIMIT as u64);
    assert_eq!(counters.get(Counter::MarkersNotAnswered), 5_000 - answered);
}

#[test]
fn a_flood_of_lacpdus_is_listened_to_at_the_rate_of_a_slow_protocol() {
    let mut net = Net::pair([config(0), config(1)], 2, 0);
    net.run(5 * lacp::time::SECOND);
    let before = net.at((0, 0)).counters().clone();
    for number in 0..5_000_u16 {
        let mut frame = octets(LACPDU);
        frame[26..28].copy_from_slice(&number.to_be_bytes());
        net.receive((0, 0), &frame);
        net.run(lacp::time::MILLISECOND);
    }
    let after = net.at((0, 0)).counters();
    let counted = |counter| after.get(counter) - before.get(counter);
    // Its partner's own are among them.
    let listened = counted(Counter::LacpdusRx) - counted(Counter::ExcessRx);
    assert_eq!(listened, 5 * lacp::time::LISTEN_LIMIT as u64);
    assert!(counted(Counter::LacpdusTx) <= 15);
    assert_eq!(
        net.distributing(0) & 0b10,
        0b10,
        "the other link is not touched"
    );
    net.run(10 * lacp::time::SECOND);
    assert_eq!(net.distributing(0), 0b11);
}

prop_compose! {
    fn information()(
        priority: u16, address: [u8; 6], key: u16, port: (u16, u16), state: u8,
    ) -> PortInformation {
        PortInformation {
            system: SystemId { priority, address: MacAddress(address) },
            key,
            port: PortId { priority: port.0, number: port.1 },
            state: PortState(state),
        }
    }
}

prop_compose! {
    fn lacpdu()(
        version_number in 1..=2_u8,
        actor in information(),
        partner in information(),
        collector_max_delay: u16,
        port_algorithm: Option<[u8; 4]>,
        conversation: Option<(u16, [u8; 16])>,
        service_mapping_digest: Option<[u8; 16]>,
    ) -> Lacpdu {
        let version_2 = Version2 {
            port_algorithm,
            conversation_id_digest: conversation.map(|(link_number_id, digest)| {
                ConversationDigest { link_number_id, digest }
            }),
            service_mapping_digest,
            malformed: false,
        };
        Lacpdu {
            version_number,
            actor,
            partner,
            collector_max_delay,
            version_2: if version_number >= 2 { version_2 } else { Version2::default() },
        }
    }
}

proptest! {
    #![proptest_config(common::cases(128))]

    #[test]
    fn what_is_built_is_read(lacpdu in lacpdu(), address: [u8; 6]) {
        let frame = Pdu::Lacpdu(lacpdu).frame(SLOW, MacAddress(address));
        prop_assert_eq!(parse(&frame, SLOW), Ok(Pdu::Lacpdu(lacpdu)));
    }

    #[test]
    fn markers_too(
        response: bool, requester_port: u16, address: [u8; 6], requester_transaction_id: u32,
    ) {
        let kind = if response { MarkerKind::Response } else { MarkerKind::Marker };
        let requester_system = MacAddress(address);
        let marker = Marker { kind, requester_port, requester_system, requester_transaction_id };
        let frame = Pdu::Marker(marker).frame(SLOW, MacAddress(address));
        prop_assert_eq!(parse(&frame, SLOW), Ok(Pdu::Marker(marker)));
        prop_assert_eq!(marker.response().kind, MarkerKind::Response);
    }

    /// Any octets after a sound header: an answer, no panic; and a system that goes on.
    #[test]
    fn hostile_frames_do_no_harm(
        frames in prop::collection::vec(
            (0..4_usize, prop::collection::vec(any::<(usize, u8)>(), 0..6), 0..200_usize), 1..40,
        ),
    ) {
        let mut net = Net::pair([config(0), config(1)], 2, 1);
        for (kind, changes, length) in frames {
            let mut frame = octets([LACPDU, LACPDU_2, MARKER, LACPDU][kind]);
            for (at, octet) in changes {
                let at = 14 + at % (frame.len() - 14);
                frame[at] = octet;
            }
            frame.truncate(length.max(15));
            net.receive((0, 0), &frame);
            net.run(lacp::time::SECOND / 5);
        }
        // The other link never knew.
        prop_assert_eq!(net.at((0, 1)).partner().system, common::id(1));
        net.run(15 * lacp::time::SECOND);
        prop_assert_eq!(net.distributing(0), 3);
        prop_assert_eq!(net.distributing(1), 3);
    }
}

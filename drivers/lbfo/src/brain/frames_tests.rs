//! Frames that are built here, read by smoltcp and by ourselves; any bytes.

use std::vec::Vec;

use super::*;
use proptest::prelude::*;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    HardwareAddress, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, NdiscNeighborFlags,
    NdiscRepr, RawHardwareAddress,
};

const OURS: Mac = Mac([2, 0, 0, 0, 0xFF, 0]);

fn vlan(number: u16) -> Vlan {
    Vlan::new(number).unwrap()
}

/// The frame without its tag, whose VLAN is the expected one.
fn untagged(bytes: &[u8], number: u16) -> Vec<u8> {
    if number == 0 {
        return bytes.to_vec();
    }
    assert_eq!(bytes[12..14], [0x81, 0]);
    assert_eq!(u16::from_be_bytes([bytes[14], bytes[15]]), number);
    [&bytes[..12], &bytes[16..]].concat()
}

fn raw(mac: Mac) -> RawHardwareAddress {
    RawHardwareAddress::from(HardwareAddress::Ethernet(EthernetAddress(mac.0)))
}

fn arp(bytes: &[u8]) -> (EthernetAddress, EthernetAddress, ArpRepr) {
    let frame = EthernetFrame::new_checked(bytes).unwrap();
    assert_eq!(frame.ethertype(), EthernetProtocol::Arp);
    let packet = ArpPacket::new_checked(frame.payload()).unwrap();
    (
        frame.src_addr(),
        frame.dst_addr(),
        ArpRepr::parse(&packet).unwrap(),
    )
}

/// Checksum and lengths are smoltcp's to judge.
fn discovery<T>(
    bytes: &[u8],
    see: impl FnOnce(EthernetFrame<&[u8]>, Ipv6Packet<&[u8]>, NdiscRepr<'_>) -> T,
) -> T {
    let frame = EthernetFrame::new_checked(bytes).unwrap();
    assert_eq!(frame.ethertype(), EthernetProtocol::Ipv6);
    let ip = Ipv6Packet::new_checked(frame.payload()).unwrap();
    assert_eq!(
        (ip.next_header(), ip.hop_limit()),
        (IpProtocol::Icmpv6, 255)
    );
    let message = Icmpv6Packet::new_checked(ip.payload()).unwrap();
    let caps = smoltcp::phy::ChecksumCapabilities::default();
    let repr = Icmpv6Repr::parse(&ip.src_addr(), &ip.dst_addr(), &message, &caps).unwrap();
    let Icmpv6Repr::Ndisc(repr) = repr else {
        panic!("{repr:?}");
    };
    see(frame, ip, repr)
}

#[test]
fn arp_requests_are_smoltcps() {
    for (number, sender) in [(0, None), (20, Some("192.0.2.9"))] {
        let question = Question {
            source: OURS,
            sender: sender.map(|text: &str| text.parse().unwrap()),
            target: "192.0.2.1".parse().unwrap(),
            vlan: vlan(number),
        };
        let frame = question.frame();
        assert_eq!(frame.bytes().len(), SHORTEST);
        let (source, destination, repr) = arp(&untagged(frame.bytes(), number));
        assert_eq!((source.0, destination.0), (OURS.0, [0xFF; 6]));
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_hardware_addr,
            target_protocol_addr,
        } = repr
        else {
            panic!("{repr:?}");
        };
        assert_eq!(operation, ArpOperation::Request);
        assert_eq!(source_hardware_addr.0, OURS.0);
        let expected = sender.unwrap_or("0.0.0.0").parse::<Ipv4Addr>().unwrap();
        assert_eq!(source_protocol_addr, expected);
        assert_eq!(target_hardware_addr.0, [0; 6]);
        assert_eq!(
            target_protocol_addr,
            "192.0.2.1".parse::<Ipv4Addr>().unwrap()
        );
        let heard = parse(frame.bytes()).unwrap();
        assert_eq!((heard.source, heard.vlan), (OURS, vlan(number)));
        assert_eq!(
            heard.said,
            Said::Question {
                sender: question.sender,
                target: question.target
            }
        );
        assert!(is_candidate(frame.bytes()));
    }
}

#[test]
fn gratuitous_arp_has_two_forms_that_smoltcp_takes() {
    let address: Ipv4Addr = "192.0.2.9".parse().unwrap();
    for (form, expected, hardware) in [
        (Form::Request, ArpOperation::Request, [0; 6]),
        (Form::Reply, ArpOperation::Reply, OURS.0),
    ] {
        let frame = announcement(address.into(), OURS, vlan(7), form);
        let (source, destination, repr) = arp(&untagged(frame.bytes(), 7));
        assert_eq!((source.0, destination.0), (OURS.0, [0xFF; 6]));
        let ArpRepr::EthernetIpv4 {
            operation,
            source_protocol_addr,
            target_hardware_addr,
            target_protocol_addr,
            ..
        } = repr
        else {
            panic!("{repr:?}");
        };
        assert_eq!((operation, target_hardware_addr.0), (expected, hardware));
        assert_eq!(
            (source_protocol_addr, target_protocol_addr),
            (address, address)
        );
    }
}

#[test]
fn solicitations_are_smoltcps() {
    let target: Ipv6Addr = "2001:db8::12:3456".parse().unwrap();
    for (number, sender) in [(0, None), (4094, Some("2001:db8::9"))] {
        let question = Question {
            source: OURS,
            sender: sender.map(|text: &str| text.parse().unwrap()),
            target: target.into(),
            vlan: vlan(number),
        };
        let frame = question.frame();
        assert_eq!(frame.bytes().len(), if number == 0 { 86 } else { 90 });
        discovery(&untagged(frame.bytes(), number), |ethernet, ip, repr| {
            assert_eq!(ethernet.dst_addr().0, [0x33, 0x33, 0xFF, 0x12, 0x34, 0x56]);
            let group: Ipv6Addr = "ff02::1:ff12:3456".parse().unwrap();
            assert_eq!(ip.dst_addr(), group);
            let expected = sender.unwrap_or("fe80::ff:fe00:ff00");
            assert_eq!(ip.src_addr(), expected.parse::<Ipv6Addr>().unwrap());
            assert_eq!(
                repr,
                NdiscRepr::NeighborSolicit {
                    target_addr: target,
                    lladdr: Some(raw(OURS))
                }
            );
        });
        let heard = parse(frame.bytes()).unwrap();
        assert!(matches!(heard.said, Said::Question { target: it, .. } if it == question.target));
        assert!(is_candidate(frame.bytes()));
    }
}

#[test]
fn unsolicited_advertisements_are_smoltcps() {
    let address: Ipv6Addr = "2001:db8::9".parse().unwrap();
    for number in [0, 5] {
        let frame = announcement(address.into(), OURS, vlan(number), Form::Reply);
        discovery(&untagged(frame.bytes(), number), |ethernet, ip, repr| {
            assert_eq!(ethernet.dst_addr().0, [0x33, 0x33, 0, 0, 0, 1]);
            assert_eq!(ip.dst_addr(), "ff02::1".parse::<Ipv6Addr>().unwrap());
            assert_eq!(ip.src_addr(), address);
            assert_eq!(
                repr,
                NdiscRepr::NeighborAdvert {
                    flags: NdiscNeighborFlags::OVERRIDE,
                    target_addr: address,
                    lladdr: Some(raw(OURS))
                }
            );
        });
        let target = IpAddr::V6(address);
        assert_eq!(parse(frame.bytes()).unwrap().said, Said::Answer { target });
    }
}

/// A message of neighbour discovery that smoltcp makes.
fn made(repr: &NdiscRepr<'_>, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let message = Icmpv6Repr::Ndisc(*repr);
    let length = message.buffer_len();
    let mut frame = vec![0; 14 + 40 + length];
    frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    frame[12..14].copy_from_slice(&[0x86, 0xDD]);
    let mut ip = Ipv6Packet::new_unchecked(&mut frame[14..]);
    ip.set_version(6);
    ip.set_payload_len(length as u16);
    ip.set_next_header(IpProtocol::Icmpv6);
    ip.set_hop_limit(255);
    ip.set_src_addr(source);
    ip.set_dst_addr(destination);
    let mut packet = Icmpv6Packet::new_unchecked(ip.payload_mut());
    let caps = smoltcp::phy::ChecksumCapabilities::default();
    message.emit(&source, &destination, &mut packet, &caps);
    frame
}

#[test]
fn what_smoltcp_says_is_understood() {
    let (a, b): (Ipv6Addr, Ipv6Addr) = ("fe80::1".parse().unwrap(), "fe80::2".parse().unwrap());
    let advertisement = NdiscRepr::NeighborAdvert {
        flags: NdiscNeighborFlags::SOLICITED,
        target_addr: a,
        lladdr: None,
    };
    let frame = made(&advertisement, a, b);
    let said = |frame: &[u8]| parse(frame).map(|heard| heard.said);
    assert_eq!(said(&frame), Some(Said::Answer { target: a.into() }));
    let solicitation = NdiscRepr::NeighborSolicit {
        target_addr: b,
        lladdr: None,
    };
    // Duplicate address detection: nobody asks yet.
    let probe = made(&solicitation, Ipv6Addr::UNSPECIFIED, b);
    let question = |sender| {
        Some(Said::Question {
            sender,
            target: b.into(),
        })
    };
    assert_eq!(said(&probe), question(None));
    assert_eq!(said(&made(&solicitation, a, b)), question(Some(a.into())));
    let router = NdiscRepr::RouterSolicit { lladdr: None };
    assert_eq!(
        said(&made(&router, a, b)),
        Some(Said::Use { sender: a.into() })
    );
    assert_eq!(said(&made(&router, Ipv6Addr::UNSPECIFIED, b)), None);
    // An advertisement from nobody, and everything that is not as it was sent.
    assert_eq!(said(&made(&advertisement, Ipv6Addr::UNSPECIFIED, b)), None);
    for byte in 14..frame.len() {
        // Flow label and traffic class are not part of the checksum.
        if (15..18).contains(&byte) || byte == 14 {
            continue;
        }
        let mut other = frame.clone();
        other[byte] ^= 0x04;
        assert_eq!(said(&other), None, "byte {byte}");
    }
    for length in 0..frame.len() {
        assert_eq!(said(&frame[..length]), None, "cut at {length}");
    }
}

#[test]
fn arp_that_contradicts_itself_is_not_understood() {
    let frame = announcement("192.0.2.9".parse().unwrap(), OURS, Vlan::NONE, Form::Reply);
    let bytes = frame.bytes();
    assert!(parse(bytes).is_some());
    for (at, what) in [
        (6, "a group as source"),
        (15, "another medium"),
        (16, "another protocol"),
        (18, "longer addresses"),
        (21, "another operation"),
        (22, "another sender than the header's"),
    ] {
        let mut other = bytes.to_vec();
        other[at] ^= 0x05;
        assert_eq!(parse(&other), None, "{what}");
    }
    let mut nobody = bytes.to_vec();
    nobody[28..32].fill(0);
    assert_eq!(parse(&nobody), None);
    for length in 0..42 {
        assert_eq!(parse(&bytes[..length]), None, "cut at {length}");
    }
    assert!(parse(&bytes[..42]).is_some(), "padding is not needed");
}

#[test]
fn two_tags_and_service_tags_are_not_ours() {
    let frame = announcement("192.0.2.9".parse().unwrap(), OURS, vlan(7), Form::Reply);
    let mut two = frame.bytes().to_vec();
    two.splice(12..12, [0x81, 0, 0, 9]);
    assert_eq!((parse(&two), is_candidate(&two)), (None, false));
    let mut service = frame.bytes().to_vec();
    service[12..14].copy_from_slice(&[0x88, 0xA8]);
    assert_eq!((parse(&service), is_candidate(&service)), (None, false));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, kind in 0..3_u8, tagged: bool) {
        let mut frame = vec![0xFF; 6];
        frame.extend_from_slice(&OURS.0);
        if tagged {
            frame.extend_from_slice(&[0x81, 0, 0, 3]);
        }
        frame.extend_from_slice(match kind {
            0 => &[8, 6, 0, 1, 8, 0, 6, 4],
            1 => &[0x86, 0xDD, 0x60],
            _ => &[],
        });
        frame.extend_from_slice(&bytes);
        if parse(&frame).is_some() {
            prop_assert!(is_candidate(&frame));
        }
        let _ = is_candidate(&bytes);
        prop_assert_eq!(parse(&bytes), parse(&bytes));
    }

    #[test]
    fn whatever_is_built_is_understood(
        source: [u8; 5], address: [u8; 4], number in 0..4095_u16, reply: bool,
    ) {
        let [a, b, c, d, e] = source;
        let mac = Mac([2, a, b, c, d, e]);
        let form = if reply { Form::Reply } else { Form::Request };
        let v4 = Ipv4Addr::from(address);
        prop_assume!(!v4.is_unspecified());
        let v6 = Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(v4.to_bits()));
        for address in [IpAddr::V4(v4), IpAddr::V6(v6)] {
            let heard = parse(announcement(address, mac, vlan(number), form).bytes()).unwrap();
            prop_assert_eq!((heard.source, heard.vlan), (mac, vlan(number)));
            let said = match (heard.said, form) {
                (Said::Question { sender: Some(sender), target }, Form::Request) => {
                    prop_assert_eq!(sender, target);
                    target
                }
                (Said::Answer { target }, _) => target,
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(said, address);
        }
    }
}

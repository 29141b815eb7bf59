use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::tag::Priority;

/// The key of "Verifying the RSS Hash Calculation" in the driver documentation.
const KEY: Toeplitz = Toeplitz([
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
]);

/// Destination, source, value of the addresses, value with ports.
const VECTORS: [(&str, u16, &str, u16, u32, u32); 8] = [
    (
        "161.142.100.80",
        1766,
        "66.9.149.187",
        2794,
        0x323e_8fc2,
        0x51cc_c178,
    ),
    (
        "65.69.140.83",
        4739,
        "199.92.111.2",
        14230,
        0xd718_262a,
        0xc626_b0ea,
    ),
    (
        "12.22.207.184",
        38024,
        "24.19.198.95",
        12898,
        0xd2d0_a5de,
        0x5c2b_394a,
    ),
    (
        "209.142.163.6",
        2217,
        "38.27.205.30",
        48228,
        0x8298_9176,
        0xafc7_327f,
    ),
    (
        "202.188.127.2",
        1303,
        "153.39.163.191",
        44251,
        0x5d18_09c5,
        0x10e8_28a2,
    ),
    (
        "3ffe:2501:200:3::1",
        1766,
        "3ffe:2501:200:1fff::7",
        2794,
        0x2cc1_8cd5,
        0x4020_7d3d,
    ),
    (
        "ff02::1",
        4739,
        "3ffe:501:8::260:97ff:fe40:efab",
        14230,
        0x0f0c_461c,
        0xdde5_1bbf,
    ),
    (
        "fe80::200:f8ff:fe21:67cf",
        38024,
        "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
        44251,
        0x4b61_e985,
        0x02d1_feef,
    ),
];

/// A frame under construction.
#[derive(Clone, Debug)]
struct Frame {
    tags: Vec<u16>,
    source: IpAddr,
    destination: IpAddr,
    /// Flags and fragment offset of IPv4.
    fragment: u16,
    options: usize,
    protocol: u8,
    payload: Vec<u8>,
}

impl Frame {
    fn new(source: &str, source_port: u16, destination: &str, destination_port: u16) -> Self {
        let mut payload = source_port.to_be_bytes().to_vec();
        payload.extend_from_slice(&destination_port.to_be_bytes());
        payload.extend_from_slice(&[0xAB; 30]);
        Self {
            tags: Vec::new(),
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            fragment: 0x4000,
            options: 0,
            protocol: protocol::TCP,
            payload,
        }
    }

    fn v4() -> Self {
        Self::new("10.0.0.1", 1000, "10.0.0.2", 80)
    }

    fn v6() -> Self {
        Self::new("fd00::1", 1000, "fd00::2", 80)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        for (number, tag) in self.tags.iter().enumerate() {
            let outer_of_two = number == 0 && self.tags.len() == 2;
            frame.extend_from_slice(if outer_of_two {
                &[0x88, 0xA8]
            } else {
                &[0x81, 0]
            });
            frame.extend_from_slice(&tag.to_be_bytes());
        }
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend_from_slice(&[8, 0]);
                let header = 20 + self.options;
                let length = (header + self.payload.len()) as u16;
                frame.extend_from_slice(&[0x40 | (header / 4) as u8, 0]);
                frame.extend_from_slice(&length.to_be_bytes());
                frame.extend_from_slice(&[0, 1]);
                frame.extend_from_slice(&self.fragment.to_be_bytes());
                frame.extend_from_slice(&[64, self.protocol, 0, 0]);
                frame.extend_from_slice(&source.octets());
                frame.extend_from_slice(&destination.octets());
                frame.resize(frame.len() + self.options, 1);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend_from_slice(&[0x86, 0xDD, 0x60, 0, 0, 0]);
                frame.extend_from_slice(&(self.payload.len() as u16).to_be_bytes());
                frame.extend_from_slice(&[self.protocol, 64]);
                frame.extend_from_slice(&source.octets());
                frame.extend_from_slice(&destination.octets());
            }
            _ => unreachable!("one family"),
        }
        frame.extend_from_slice(&self.payload);
        frame
    }

    fn flow(&self) -> Flow {
        Flow::parse(&self.bytes(), None).unwrap()
    }

    fn ports(&self) -> Option<(u16, u16)> {
        let ports = self.flow().network.unwrap().ports;
        ports.map(|ports| (ports.source, ports.destination))
    }

    /// Puts an extension header before the payload.
    fn extend(&mut self, protocol: u8, header: &[u8]) {
        let mut payload = vec![self.protocol];
        payload.extend_from_slice(header);
        payload.append(&mut self.payload);
        (self.protocol, self.payload) = (protocol, payload);
    }

    fn back(&self) -> Vec<u8> {
        let mut back = self.clone();
        (back.source, back.destination) = (self.destination, self.source);
        back.payload[..4].rotate_left(2);
        let mut bytes = back.bytes();
        bytes[..12].rotate_left(6);
        bytes
    }
}

fn hash(policy: Policy) -> FlowHash {
    FlowHash {
        policy,
        symmetric: false,
        seed: 7,
    }
}

const POLICIES: [Policy; 4] = [
    Policy::Layer2,
    Policy::Layer23,
    Policy::Layer34,
    Policy::VlanSource,
];

#[test]
fn the_published_vectors() {
    for (destination, destination_port, source, source_port, addresses, with_ports) in VECTORS {
        let frame = Frame::new(source, source_port, destination, destination_port);
        let network = frame.flow().network.unwrap();
        assert_eq!(KEY.of(&network, false), addresses, "{source}");
        assert_eq!(KEY.of(&network, true), with_ports, "{source}");
    }
}

#[test]
fn toeplitz_of_a_symmetric_key_is_symmetric() {
    let key = Toeplitz::symmetric(0x6d5a);
    assert_eq!(key.0[..4], [0x6d, 0x5a, 0x6d, 0x5a]);
    for (destination, destination_port, source, source_port, ..) in VECTORS {
        let frame = Frame::new(source, source_port, destination, destination_port);
        let there = frame.flow().network.unwrap();
        let back = Flow::parse(&frame.back(), None).unwrap().network.unwrap();
        assert_eq!(there.source, back.destination);
        for ports in [false, true] {
            assert_eq!(key.of(&there, ports), key.of(&back, ports));
            assert_ne!(KEY.of(&there, ports), KEY.of(&back, ports));
        }
    }
}

#[test]
fn toeplitz_as_the_documentation_defines_it() {
    // Bit by bit: the key is shifted, its left-most 32 bits are added.
    let defined = |input: &[u8]| {
        let mut key: Vec<bool> = KEY
            .0
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
            .collect();
        let mut result = 0_u32;
        for byte in input {
            for bit in (0..8).rev() {
                if byte >> bit & 1 == 1 {
                    result ^= key[..32]
                        .iter()
                        .fold(0, |word, bit| word << 1 | u32::from(*bit));
                }
                key.remove(0);
            }
        }
        result
    };
    let input: Vec<u8> = (0..36_u32).map(|number| (number * 37 + 11) as u8).collect();
    for length in 0..=36 {
        assert_eq!(
            KEY.value(&input[..length]),
            defined(&input[..length]),
            "{length}"
        );
    }
    // More than the key covers does not count.
    let mut longer = input.clone();
    longer.extend_from_slice(&[0xFF; 9]);
    assert_eq!(KEY.value(&longer), KEY.value(&input));
}

#[test]
fn what_a_frame_shows() {
    for mut frame in [Frame::v4(), Frame::v6()] {
        for tags in [vec![], vec![0x600A], vec![5, 10]] {
            frame.tags = tags;
            let flow = frame.flow();
            assert_eq!(
                flow.vlan.number(),
                frame.tags.first().map_or(0, |tag| tag & 0xFFF)
            );
            assert_eq!((flow.source.0[5], flow.destination.0[5]), (1, 2));
            assert_eq!(flow.network.unwrap().source, frame.source);
            assert_eq!(frame.ports(), Some((1000, 80)));
        }
        for number in [6, 17, 33, 132, 136] {
            frame.protocol = number;
            assert_eq!(frame.ports(), Some((1000, 80)), "{number}");
        }
        // ICMP, GRE, ESP: addresses alone.
        for number in [1, 47, 50, 58, 59] {
            frame.protocol = number;
            assert_eq!(frame.ports(), None, "{number}");
        }
    }
    let mut options = Frame::v4();
    options.options = 40;
    assert_eq!(options.ports(), Some((1000, 80)));
    // The tag beside the frame counts as the one in it.
    let tag = Tag {
        priority: Priority::BEST_EFFORT,
        dei: false,
        vlan: Vlan::new(10).unwrap(),
    };
    let beside = Flow::parse(&Frame::v4().bytes(), Some(tag)).unwrap();
    let mut inside = Frame::v4();
    inside.tags = vec![0xE00A];
    assert_eq!(beside, inside.flow());
}

#[test]
fn fragments_keep_together() {
    // The first, one in the middle, the last: one value, that of the addresses.
    let mut values = Vec::new();
    for fragment in [0x2000, 0x2001, 0x0005] {
        let mut frame = Frame::v4();
        frame.fragment = fragment;
        frame.payload[3] = fragment as u8;
        assert_eq!(frame.ports(), None);
        values.push(hash(Policy::Layer34).of(&frame.flow()));
    }
    for fragment in [0x0001_u16, 0x0009, 0x0010] {
        let mut frame = Frame::v6();
        let [high, low] = fragment.to_be_bytes();
        frame.extend(protocol::FRAGMENT, &[0, high, low, 0, 0, 0, 9]);
        assert_eq!(frame.ports(), None);
    }
    values.dedup();
    assert_eq!(values.len(), 1);
    // One that is whole and says so has its ports.
    let mut atomic = Frame::v6();
    atomic.extend(protocol::FRAGMENT, &[0, 0, 0, 0, 0, 0, 9]);
    assert_eq!(atomic.ports(), Some((1000, 80)));
}

#[test]
fn extension_headers_are_passed_over_up_to_a_limit() {
    for number in [0, 43, 60, 135, 139, 140] {
        let mut frame = Frame::v6();
        frame.extend(number, &[0; 7]);
        frame.extend(
            protocol::DESTINATION_OPTIONS,
            &[[1].as_slice(), &[0; 14]].concat(),
        );
        assert_eq!(frame.ports(), Some((1000, 80)), "{number}");
    }
    let mut frame = Frame::v6();
    frame.extend(
        protocol::AUTHENTICATION,
        &[[4].as_slice(), &[0; 22]].concat(),
    );
    assert_eq!(frame.ports(), Some((1000, 80)));
    // A length that leads out of the frame, and out of what is looked at.
    for length in [5, 9, 0xFF] {
        let mut frame = Frame::v6();
        frame.extend(
            protocol::HOP_BY_HOP,
            &[[length].as_slice(), &[0; 6]].concat(),
        );
        assert_eq!(frame.ports(), None);
    }
    let mut many = Frame::v6();
    for _ in 0..8 {
        many.extend(protocol::DESTINATION_OPTIONS, &[0; 7]);
    }
    assert_eq!(many.ports(), Some((1000, 80)));
    many.extend(protocol::DESTINATION_OPTIONS, &[0; 7]);
    assert_eq!(many.ports(), None);
}

#[test]
fn padding_is_no_port_and_length_0_is_no_padding() {
    let mut frame = Frame::v4();
    frame.payload.clear();
    let mut bytes = frame.bytes();
    bytes.resize(60, 0x55);
    assert_eq!(
        Flow::parse(&bytes, None).unwrap().network.unwrap().ports,
        None
    );
    for frame in [Frame::v4(), Frame::v6()] {
        let mut bytes = frame.bytes();
        let at = if frame.source.is_ipv4() { 16 } else { 18 };
        bytes[at..at + 2].fill(0);
        assert_eq!(
            Flow::parse(&bytes, None),
            Some(frame.flow()),
            "left to the hardware"
        );
    }
}

/// Cut at every byte a frame shows less and less, and nothing that is not there.
#[test]
fn cut_at_every_byte() {
    for frame in [Frame::v4(), Frame::v6()] {
        let (bytes, whole) = (frame.bytes(), frame.flow());
        let header = 14 + if frame.source.is_ipv4() { 20 } else { 40 };
        for length in 0..=bytes.len() {
            let flow = Flow::parse(&bytes[..length], None);
            match length {
                0..12 => assert_eq!(flow, None),
                _ if length < header => assert_eq!(flow.unwrap().network, None, "{length}"),
                _ if length < header + 4 => {
                    let network = flow.unwrap().network.unwrap();
                    assert_eq!((network.source, network.ports), (frame.source, None));
                }
                _ => assert_eq!(flow, Some(whole)),
            }
        }
    }
}

#[test]
fn what_calls_itself_ip_and_is_not_is_layer_2() {
    for (at, octet) in [(14, 0x65), (14, 0x44), (14, 0x4F), (13, 6)] {
        let mut bytes = Frame::v4().bytes();
        bytes[at] = octet;
        let network = Flow::parse(&bytes, None).unwrap().network;
        // 0x4F: options up to the end, which are there or not; the addresses are.
        assert_eq!(network.is_some(), octet == 0x4F, "{octet:#x}");
        assert_eq!(network.and_then(|network| network.ports), None);
    }
    let mut bytes = Frame::v6().bytes();
    bytes[14] = 0x45;
    assert_eq!(Flow::parse(&bytes, None).unwrap().network, None);
}

/// A frame, changed.
fn changed(change: impl Fn(&mut Frame)) -> Flow {
    let mut frame = Frame::v4();
    frame.tags = vec![10];
    change(&mut frame);
    frame.flow()
}

#[test]
fn each_policy_looks_at_what_it_says() {
    let same = changed(|_| {});
    let port = changed(|frame| frame.payload[1] ^= 1);
    let address = changed(|frame| frame.source = "10.0.0.9".parse().unwrap());
    let vlan = changed(|frame| frame.tags = vec![11]);
    let priority = changed(|frame| frame.tags = vec![0xE00A]);
    let mut destination = same;
    destination.destination.0[5] ^= 1;
    let mut source = same;
    source.source.0[5] ^= 1;
    // Which of them change the value: port, address, vlan, destination, source.
    for (policy, expected) in [
        (Policy::Layer2, [false, false, true, true, true]),
        (Policy::Layer23, [false, true, true, true, true]),
        (Policy::Layer34, [true, true, false, false, false]),
        (Policy::VlanSource, [false, false, true, false, true]),
    ] {
        let value = |flow: &Flow| hash(policy).of(flow);
        let found =
            [port, address, vlan, destination, source].map(|flow| value(&flow) != value(&same));
        assert_eq!(found, expected, "{policy:?}");
        assert_eq!(value(&priority), value(&same), "a priority is no flow");
        let other = FlowHash {
            seed: 8,
            ..hash(policy)
        };
        assert_ne!(other.of(&same), value(&same), "the seed");
    }
}

#[test]
fn a_policy_falls_back_by_layer() {
    let mut arp = Frame::v4().bytes();
    arp[13] = 6;
    let arp = Flow::parse(&arp, None).unwrap();
    let layer_2 = hash(Policy::Layer2).of(&arp);
    assert_eq!(hash(Policy::Layer23).of(&arp), layer_2);
    assert_eq!(hash(Policy::Layer34).of(&arp), layer_2);
    // Ports 0 are ports, and not the lack of them.
    let mut zero = Frame::new("10.0.0.1", 0, "10.0.0.2", 0);
    let with = hash(Policy::Layer34).of(&zero.flow());
    zero.protocol = 1;
    assert_ne!(hash(Policy::Layer34).of(&zero.flow()), with);
}

/// Ten thousand flows over so many members: within five standard deviations.
#[test]
fn flows_spread_evenly() {
    const FLOWS: u32 = 10_000;
    for members in [2_u32, 3, 4, 8, 32] {
        for seed in 0..4 {
            let team = FlowHash {
                policy: Policy::Layer34,
                symmetric: seed % 2 == 1,
                seed,
            };
            let mut counts = BTreeMap::new();
            for number in 0..FLOWS {
                // Neighbours: one client, ports one after the other, a few servers.
                let mut flow = Frame::v4().flow();
                flow.network = flow.network.map(|network| Network {
                    destination: IpAddr::from([10, 0, 1, (number % 7) as u8]),
                    ports: Some(Ports {
                        source: 20_000 + number as u16,
                        destination: 443,
                    }),
                    ..network
                });
                *counts
                    .entry(share(team.of(&flow), members))
                    .or_insert(0_u32) += 1;
            }
            assert_eq!(counts.len() as u32, members);
            let mean = f64::from(FLOWS) / f64::from(members);
            let deviation = (mean * (1.0 - 1.0 / f64::from(members))).sqrt();
            for count in counts.values() {
                assert!(
                    (f64::from(*count) - mean).abs() < 5.0 * deviation,
                    "{members}: {counts:?}"
                );
            }
        }
    }
}

#[test]
fn shares_are_of_equal_size() {
    assert_eq!(share(u32::MAX, 0), 0);
    assert_eq!(share(u32::MAX, 1), 0);
    assert_eq!((share(0, 32), share(u32::MAX, 32)), (0, 31));
    assert_eq!((share(0x7FFF_FFFF, 2), share(0x8000_0000, 2)), (0, 1));
}

prop_compose! {
    fn any_frame()(
        six: bool,
        addresses: ([u8; 16], [u8; 16]),
        ports: (u16, u16),
        tags in prop::collection::vec(any::<u16>(), 0..3),
        number in prop::sample::select(vec![6_u8, 17, 1, 44, 0, 60]),
        fragment in prop::sample::select(vec![0x4000_u16, 0, 0x2000, 0x0100]),
    ) -> Frame {
        let mut frame = Frame::v4();
        if six {
            frame.source = IpAddr::from(addresses.0);
            frame.destination = IpAddr::from(addresses.1);
        } else {
            let four = |bytes: [u8; 16]| IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]);
            (frame.source, frame.destination) = (four(addresses.0), four(addresses.1));
        }
        frame.payload[..2].copy_from_slice(&ports.0.to_be_bytes());
        frame.payload[2..4].copy_from_slice(&ports.1.to_be_bytes());
        (frame.tags, frame.protocol, frame.fragment) = (tags, number, fragment);
        frame
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_directions_have_one_symmetric_value(frame in any_frame(), seed: u64) {
        // What stands for ports in other protocols does not turn round.
        prop_assume!(![44, 0, 60].contains(&frame.protocol));
        let (there, back) = (frame.flow(), Flow::parse(&frame.back(), None).unwrap());
        for policy in [Policy::Layer2, Policy::Layer23, Policy::Layer34] {
            let team = FlowHash { policy, symmetric: true, seed };
            prop_assert_eq!(team.of(&there), team.of(&back));
        }
    }

    #[test]
    fn only_the_first_bytes_count(frame in any_frame(), more in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = frame.bytes();
        bytes.extend_from_slice(&more);
        let first = &bytes[..bytes.len().min(LOOK_BYTES)];
        prop_assert_eq!(Flow::parse(&bytes, None), Flow::parse(first, None));
    }

    /// Any bytes, and frames with any of their bytes changed: an answer, no panic.
    #[test]
    fn hostile_frames(
        frame in any_frame(),
        changes in prop::collection::vec(any::<(usize, u8)>(), 0..8),
        length in 0_usize..160,
        bytes in prop::collection::vec(any::<u8>(), 0..160),
    ) {
        let mut changed = frame.bytes();
        for (at, octet) in changes {
            let at = at % changed.len();
            changed[at] = octet;
        }
        changed.truncate(length);
        for bytes in [changed, bytes] {
            let flow = Flow::parse(&bytes, None);
            prop_assert_eq!(flow.is_some(), bytes.len() >= 12);
            let Some(flow) = flow else { continue };
            for policy in POLICIES {
                let value = hash(policy).of(&flow);
                prop_assert!(share(value, 32) < 32);
            }
            if let Some(network) = flow.network {
                prop_assert_eq!(network.source.is_ipv4(), network.destination.is_ipv4());
                KEY.of(&network, true);
            }
        }
    }
}

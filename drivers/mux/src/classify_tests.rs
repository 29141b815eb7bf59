//! Classification against a plain model: every port asked in turn.

use super::*;
use ethernet::Tag;
use proptest::collection::vec;
use proptest::prelude::*;
use std::vec::Vec;

const DIRECTED: u32 = NDIS_PACKET_TYPE_DIRECTED;
const MULTICAST: u32 = NDIS_PACKET_TYPE_MULTICAST;
const ALL_MULTICAST: u32 = NDIS_PACKET_TYPE_ALL_MULTICAST;
const BROADCAST: u32 = NDIS_PACKET_TYPE_BROADCAST;
const PROMISCUOUS: u32 = NDIS_PACKET_TYPE_PROMISCUOUS;

#[derive(Clone, Debug)]
struct Port {
    number: u16,
    mac: Mac,
    filter: u32,
    multicast: Vec<Mac>,
    guest: bool,
}

impl Port {
    fn new(number: u16, mac: u64, filter: u32) -> Self {
        Self {
            number,
            mac: Mac::from_number(mac),
            filter,
            multicast: Vec::new(),
            guest: false,
        }
    }

    /// NDIS's definition, word for word.
    fn hears(&self, destination: Mac) -> bool {
        let has = |bit| self.filter & bit != 0;
        if has(PROMISCUOUS) {
            true
        } else if destination == Mac::BROADCAST {
            has(BROADCAST)
        } else if destination.0[0] & 1 == 1 {
            has(ALL_MULTICAST) || has(MULTICAST) && self.multicast.contains(&destination)
        } else {
            has(DIRECTED) && destination == self.mac
        }
    }
}

fn group(mode: Mode, ports: &[Port]) -> Group<u16> {
    let views = ports.iter().map(|port| PortView {
        port: port.number,
        mac: port.mac,
        filter: port.filter,
        multicast: &port.multicast,
        guest: port.guest,
    });
    Group::build(mode, &views).unwrap()
}

fn model(mode: Mode, ports: &[Port], destination: Mac, source: Mac) -> Result<Vec<u16>, Drop> {
    let owner = ports
        .iter()
        .find(|port| port.mac == source && !port.guest)
        .or_else(|| ports.iter().find(|port| port.mac == source))
        .map(|port| port.number);
    if owner.is_some() && matches!(mode, Mode::Private | Mode::Bridge) {
        return Err(Drop::OwnSource);
    }
    let mut heard: Vec<u16> = ports
        .iter()
        .filter(|port| port.hears(destination))
        .map(|port| port.number)
        .filter(|number| mode != Mode::Vepa || Some(*number) != owner)
        .collect();
    heard.sort_unstable();
    if heard.is_empty() {
        Err(Drop::Unwanted)
    } else {
        Ok(heard)
    }
}

fn ask(group: &Group<u16>, destination: Mac, source: Mac) -> Result<Vec<u16>, Drop> {
    let delivery = group.received(destination, source)?;
    let mut heard: Vec<u16> = delivery.targets.to_vec();
    heard.retain(|port| Some(*port) != delivery.except);
    heard.sort_unstable();
    let mut once = heard.clone();
    once.dedup();
    assert_eq!(heard, once, "nobody twice");
    Ok(heard)
}

/// Few addresses, so that they meet.
fn address() -> impl Strategy<Value = Mac> {
    prop_oneof![
        4 => (0_u64..6).prop_map(|n| Mac::from_number(0x0200_0000_0000 + n)),
        4 => (0_u64..6).prop_map(|n| Mac::from_number(0x0100_5E00_0000 + n)),
        2 => Just(Mac::BROADCAST),
        1 => (0_u64..3).prop_map(|n| Mac::from_number(0x0180_C200_0000 + n)),
        1 => any::<[u8; 6]>().prop_map(Mac),
    ]
}

fn port() -> impl Strategy<Value = Port> {
    let filter = prop_oneof![
        6 => 0_u32..16,
        1 => (0_u32..16).prop_map(|filter| filter | PROMISCUOUS),
        1 => any::<u32>(),
    ];
    // Ports in a group have addresses of stations; the settings see to that.
    let mac = (0_u64..6).prop_map(|n| Mac::from_number(0x0200_0000_0000 + n));
    (mac, filter, vec(address(), 0..6), any::<bool>()).prop_map(
        |(mac, filter, multicast, guest)| Port {
            number: 0,
            mac,
            filter,
            multicast,
            guest,
        },
    )
}

fn ports() -> impl Strategy<Value = Vec<Port>> {
    vec(port(), 0..8).prop_map(|mut ports| {
        for (number, port) in (0..).zip(&mut ports) {
            port.number = number;
        }
        ports
    })
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Private),
        Just(Mode::Vepa),
        Just(Mode::Bridge),
        Just(Mode::Passthru)
    ]
}

proptest! {
    /// The group finds whom the model finds, for any filters, lists and modes.
    #[test]
    fn a_group_is_like_asking_every_port(
        mode in mode(),
        ports in ports(),
        frames in vec((address(), address()), 1..12),
    ) {
        let group = group(mode, &ports);
        for (destination, source) in frames {
            prop_assert_eq!(
                ask(&group, destination, source),
                model(mode, &ports, destination, source),
                "{} from {}", destination, source
            );
        }
    }

    /// Whatever the bytes are, the first step has an answer, and a VLAN that it
    /// names can be one.
    #[test]
    fn any_bytes_and_word(mode in mode(), bytes in vec(any::<u8>(), 0..32), word: usize) {
        if let Ok(header) = Header::parse(&bytes)
            && let Ok((vlan, strip)) = arrival(mode, &header, OutOfBand(word))
        {
            prop_assert!(!vlan.is_reserved());
            match strip {
                Strip::Keep => prop_assert!(vlan.is_none()),
                Strip::Beside(tag) => {
                    prop_assert_eq!((vlan, OutOfBand(word).tag()), (tag.vlan, tag));
                }
                Strip::InFrame(tag) => {
                    prop_assert_eq!(header.tag(), Some(tag));
                    prop_assert_eq!(vlan, tag.vlan);
                    prop_assert!(OutOfBand(word).tag().vlan.is_none());
                }
            }
        }
    }

    /// A tag has the same effect in the frame and beside it.
    #[test]
    fn in_band_and_beside_agree(tci: u16, payload in vec(any::<u8>(), 0..8)) {
        let tag = Tag::from_tci(tci);
        let mut tagged = frame(&[8, 0]);
        tagged.extend_from_slice(&payload);
        let plain = Header::parse(&tagged).unwrap();
        tagged.splice(12..12, tag.bytes(ethernet::Tpid::Customer));
        let tagged = Header::parse(&tagged).unwrap();
        let in_band = arrival(Mode::Private, &tagged, OutOfBand::NONE).map(|(vlan, _)| vlan);
        let beside = arrival(Mode::Private, &plain, OutOfBand::new(tag)).map(|(vlan, _)| vlan);
        prop_assert_eq!(in_band, beside);
        if tag.vlan.is_reserved() {
            prop_assert_eq!(in_band, Err(Drop::ReservedVlan));
        } else {
            prop_assert_eq!(in_band, Ok(tag.vlan));
        }
    }
}

fn frame(rest: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    frame.extend_from_slice(rest);
    frame
}

fn came(mode: Mode, rest: &[u8], word: usize) -> Result<(u16, Strip), Drop> {
    let header = Header::parse(&frame(rest)).unwrap();
    let (vlan, strip) = arrival(mode, &header, OutOfBand(word))?;
    Ok((vlan.number(), strip))
}

#[test]
fn reasons_of_the_first_step() {
    let read = |rest: &[u8], word| came(Mode::Private, rest, word);
    assert_eq!(
        read(&[0x81, 0, 0x0F, 0xFF, 8, 0], 0),
        Err(Drop::ReservedVlan)
    );
    assert_eq!(read(&[8, 0], 0xFFF0), Err(Drop::ReservedVlan));
    // A priority tag in front of a VLAN's: taking it off would change VLANs.
    let hidden = [0x81, 0, 0xE0, 0, 0x81, 0, 0, 20, 8, 0];
    assert_eq!(read(&hidden, 0), Err(Drop::NestedTag));
    assert_eq!(read(&[0x81, 0, 0, 0, 0x81, 0, 0], 0), Err(Drop::NestedTag));
    let service = [0x88, 0xA8, 0, 5, 0x81, 0, 0, 20, 8, 0];
    assert_eq!(read(&service, 0), Err(Drop::ForeignTag));
    assert_eq!(read(&service, 3), Err(Drop::ForeignTag));
}

#[test]
fn where_the_tag_is() {
    let read = |rest: &[u8], word| came(Mode::Private, rest, word).unwrap();
    let tag = Tag::from_tci;
    assert_eq!(read(&[8, 0], 0), (0, Strip::Keep));
    assert_eq!(read(&[8, 0], 5), (0, Strip::Beside(tag(0xA000))));
    assert_eq!(read(&[8, 0], 0xA5), (10, Strip::Beside(tag(0xA00A))));
    assert_eq!(
        read(&[0x81, 0, 0x60, 10, 8, 0], 0),
        (10, Strip::InFrame(tag(0x600A)))
    );
    assert_eq!(
        read(&[0x81, 0, 0x60, 0, 8, 0], 0),
        (0, Strip::InFrame(tag(0x6000)))
    );
    // Beside and in the frame: the inner one is payload.
    assert_eq!(
        read(&[0x81, 0, 0, 20, 8, 0], 0xA0),
        (10, Strip::Beside(tag(10)))
    );
    // Only a priority beside it, and a VLAN in the frame.
    assert_eq!(
        read(&[0x81, 0, 0, 20, 8, 0], 3),
        (20, Strip::InFrame(tag(20)))
    );
    // A second tag stays in the frame.
    assert_eq!(
        read(&[0x81, 0, 0, 20, 0x81, 0, 0, 30, 8, 0], 0),
        (20, Strip::InFrame(tag(20)))
    );
    assert_eq!(
        read(&[0x81, 0, 0, 20, 0x81, 0], 0),
        (20, Strip::InFrame(tag(20)))
    );
    // Behind a VLAN's tag, a service tag is payload too.
    assert_eq!(
        read(&[0x88, 0xA8, 0, 5, 8, 0], 0xA0),
        (10, Strip::Beside(tag(10)))
    );
}

/// Passed through, all frames of the wire are the one port's, as they are.
#[test]
fn passthru_keeps_tags() {
    for (rest, word) in [
        (&[0x81, 0, 0, 20, 8, 0][..], 0),
        (&[8, 0], 0xA5),
        (&[8, 0], 0),
    ] {
        assert_eq!(came(Mode::Passthru, rest, word), Ok((0, Strip::Keep)));
    }
    assert_eq!(
        came(Mode::Passthru, &[8, 0], 0xFFF0),
        Err(Drop::ReservedVlan)
    );
}

/// Two VLAN ports may share the adapter's address with a guest; the one at home
/// owns it.
#[test]
fn guests_come_second() {
    let mut guest = Port::new(0, 0x0200_0000_0001, DIRECTED | BROADCAST);
    guest.guest = true;
    let home = Port::new(1, 0x0200_0000_0001, DIRECTED);
    let group = group(Mode::Vepa, &[guest.clone(), home.clone()]);
    assert_eq!(group.owner(home.mac), Some(1));
    let other = Mac::from_number(0x0200_0000_0009);
    assert_eq!(ask(&group, home.mac, other), Ok(Vec::from([0, 1])));
    assert_eq!(ask(&group, Mac::BROADCAST, home.mac), Ok(Vec::from([0])));
}

/// A multicast list that names the port's own address, the broadcast address or
/// one address often changes nothing.
#[test]
fn odd_multicast_lists() {
    let mut port = Port::new(0, 0x0200_0000_0001, MULTICAST);
    let listed = Mac::from_number(0x0100_5E00_0001);
    port.multicast = Vec::from([port.mac, Mac::BROADCAST, listed, listed, listed]);
    let group = group(Mode::Private, &[port.clone()]);
    let other = Mac::from_number(0x0200_0000_0009);
    assert_eq!(ask(&group, port.mac, other), Err(Drop::Unwanted));
    assert_eq!(ask(&group, Mac::BROADCAST, other), Err(Drop::Unwanted));
    assert_eq!(ask(&group, listed, other), Ok(Vec::from([0])));
}

#[test]
fn nobody_and_everybody() {
    let empty = group(Mode::Private, &[]);
    assert_eq!(ask(&empty, Mac::BROADCAST, Mac::ZERO), Err(Drop::Unwanted));
    let count = if cfg!(miri) { 64 } else { 4094 };
    let ports: Vec<Port> = (0..count)
        .map(|n| Port::new(n, 0x0200_0000_0000 + u64::from(n), DIRECTED | BROADCAST))
        .collect();
    let all = group(Mode::Private, &ports);
    let other = Mac::from_number(0x0600_0000_0000);
    let everybody = ask(&all, Mac::BROADCAST, other).unwrap();
    assert_eq!(everybody.len(), usize::from(count));
    for port in &ports {
        assert_eq!(ask(&all, port.mac, other), Ok(Vec::from([port.number])));
    }
}

/// Many ports with different lists beside many that take everything: refused, not
/// half the pool.
#[test]
#[cfg_attr(miri, ignore = "too many ports")]
fn a_group_has_bounds() {
    let ports: Vec<Port> = (0..4094_u16)
        .map(|n| {
            let mut port = Port::new(n, 0x0200_0000_0000 + u64::from(n), ALL_MULTICAST);
            if n % 2 == 0 {
                port.filter = MULTICAST;
                port.multicast = (0..32)
                    .map(|m| Mac::from_number(0x0100_5E00_0000 + u64::from(n) * 32 + m))
                    .collect();
            }
            port
        })
        .collect();
    let views = ports.iter().map(|port| PortView {
        port: port.number,
        mac: port.mac,
        filter: port.filter,
        multicast: &port.multicast,
        guest: false,
    });
    assert_eq!(Group::build(Mode::Private, &views).err(), Some(NoMemory));
    let few = views.clone().take(64);
    assert!(Group::build(Mode::Private, &few).is_ok());
}

/// Frames for the same ports are recognised by the place of their targets.
#[test]
fn targets_of_a_run_are_recognised() {
    let ports = [
        Port::new(0, 0x0200_0000_0001, BROADCAST),
        Port::new(1, 0x0200_0000_0002, BROADCAST | PROMISCUOUS),
    ];
    let group = group(Mode::Private, &ports);
    let one = group.received(Mac::BROADCAST, Mac::ZERO).unwrap();
    let two = group.received(Mac::BROADCAST, Mac::from_number(7)).unwrap();
    assert!(core::ptr::eq(one.targets, two.targets));
    let three = group.received(Mac::from_number(8), Mac::ZERO).unwrap();
    assert!(!core::ptr::eq(one.targets, three.targets));
}

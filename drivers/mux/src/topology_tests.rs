//! What the glue adds: which facts become which arguments.

use super::*;
use crate::settings::tests::Key;
use ethernet::{Header, OutOfBand};
use im_core::data::fanout::Egress;
use im_core::facts::MAX_MAC;
use ndis::header::Zeroed;
use ndis::sys::{
    NDIS_ENCAPSULATION_IEEE_802_3, NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_DIRECTED,
    NDIS_PACKET_TYPE_PROMISCUOUS, NDIS_PHYSICAL_MEDIUM, NDIS_PM_CAPABILITIES,
    NDIS_RECEIVE_SCALE_CAPABILITIES, NET_IF_ACCESS_TYPE, NET_IF_CONNECTION_TYPE,
    NET_IF_DIRECTION_TYPE, NdisMediumWirelessWan, NdisPhysicalMedium802_3,
};

const OWN: Mac = Mac([0, 0x1A, 0x2B, 3, 4, 5]);

fn facts() -> Facts {
    let mut mac = [0; MAX_MAC];
    mac[..6].copy_from_slice(&OWN.0);
    Facts {
        medium: NdisMedium802_3,
        physical: NdisPhysicalMedium802_3,
        mtu: 1500,
        max_xmit: 1_000_000_000,
        max_rcv: 1_000_000_000,
        link: Link {
            connect: MediaConnectStateConnected.0,
            duplex: 2,
            xmit: 1_000_000_000,
            rcv: 1_000_000_000,
            pause: 0,
            negotiated: 0,
        },
        lookahead: 1500,
        filters: 0x2F,
        multicast: 8,
        mac,
        mac_length: 6,
        mac_options: NDIS_MAC_OPTION_8021Q_VLAN,
        access: NET_IF_ACCESS_TYPE(2),
        direction: NET_IF_DIRECTION_TYPE(0),
        connection: NET_IF_CONNECTION_TYPE(1),
        if_type: 6,
        data_backfill: 16,
        context_backfill: 8,
        if_index: 1,
        pm: Some(NDIS_PM_CAPABILITIES::zeroed()),
        rss: Some(NDIS_RECEIVE_SCALE_CAPABILITIES::zeroed()),
        offload: None,
        offload_hardware: None,
    }
}

fn adapter(facts: &Facts, key: &Key) -> Adapter {
    Mux::adapter(facts, key).unwrap()
}

fn shown(facts: &Facts, key: &Key) -> Shown {
    let adapter = adapter(facts, key);
    let port = Mux::port(&adapter, facts, 0, key).unwrap();
    Mux::shown(&adapter, facts, &port)
}

/// PTR-3, and what the INFs and the packager know it by.
#[test]
fn names() {
    let text = String::from_utf16_lossy;
    assert_eq!(text(Mux::IDENTITY.service), "ImMux");
    assert_eq!(text(Mux::IDENTITY.device), "\\Device\\mux");
    assert_eq!(text(Mux::IDENTITY.link), "\\DosDevices\\mux");
    assert_eq!(Mux::IDENTITY.tag, PoolTag::new(*b"ImMx"));
}

#[test]
fn only_ethernet_with_an_address_is_bound() {
    assert!(Mux::accepts(&facts()).is_ok());
    for spoil in [
        |facts: &mut Facts| facts.medium = NdisMediumWirelessWan,
        |facts: &mut Facts| facts.mac_length = 8,
        |facts: &mut Facts| facts.mac_length = 0,
        |facts: &mut Facts| facts.mac = [0; MAX_MAC],
        |facts: &mut Facts| facts.mac = [0xFF; MAX_MAC],
    ] {
        let mut facts = facts();
        spoil(&mut facts);
        assert!(Mux::accepts(&facts).is_err());
    }
}

/// Tags go beside the frames where the adapter can and the setting lets it.
#[test]
fn where_tags_go() {
    let vlan = Key::default().number("VlanID", 10);
    assert!(adapter(&facts(), &vlan).beside);
    assert!(!adapter(&facts(), &vlan.clone().number("InBandTags", 1)).beside);
    let mut plain = facts();
    plain.mac_options = 0;
    assert!(!adapter(&plain, &vlan).beside);

    let beside = shown(&facts(), &vlan);
    assert_eq!((beside.mtu, beside.data_backfill), (1500, 16));
    let in_band = shown(&plain, &vlan);
    assert_eq!((in_band.mtu, in_band.data_backfill), (1496, 20));
    let untagged = shown(&plain, &Key::default());
    assert_eq!((untagged.mtu, untagged.data_backfill), (1500, 16));
    let priority = shown(&plain, &Key::default().number("DefaultPriority", 3));
    assert_eq!((priority.mtu, priority.data_backfill), (1496, 20));
}

#[test]
fn what_a_port_shows() {
    let shown = shown(&facts(), &Key::default().address(&[2, 0, 0, 0, 0, 9]));
    assert_eq!(&shown.mac[..7], &[2, 0, 0, 0, 0, 9, 0]);
    assert_eq!(shown.mac_length, 6);
    assert_eq!(shown.mac_options & NDIS_MAC_OPTION_8021Q_VLAN, 0);
    assert_eq!(shown.context_backfill, 8 + u32::from(CONTEXT_BYTES));
    assert_eq!(shown.multicast, 32);
    assert!(shown.rss.is_none() && shown.pm.is_some() && shown.offload.is_none());
    let mut offloading = facts();
    let mut offload = NDIS_OFFLOAD::zeroed();
    offload.Checksum.IPv4Transmit.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3;
    offloading.offload = Some(offload);
    let key = Key::default();
    let plain = super::tests::shown(&offloading, &key);
    assert!(plain.offload.is_some() && plain.offload_hardware.is_some());
    let tagged = super::tests::shown(&offloading, &key.clone().number("VlanID", 10));
    assert!(tagged.offload.is_none() && tagged.offload_hardware.is_none());
    let bridged = super::tests::shown(&offloading, &key.number("Mode", 2));
    assert!(bridged.offload.is_none());
    let passed = super::tests::shown(&facts(), &Key::default().number("Mode", 3));
    assert_ne!(passed.mac_options & NDIS_MAC_OPTION_8021Q_VLAN, 0);
    assert_eq!(&passed.mac[..6], &OWN.0);
}

#[test]
fn conflicts() {
    let port = |facts: &Facts, key: &Key, position| {
        let adapter = adapter(facts, key);
        Mux::port(&adapter, facts, position, key).err()
    };
    let passthru = Key::default().number("Mode", 3);
    assert_eq!(port(&facts(), &passthru, 0), None);
    assert_eq!(
        port(&facts(), &passthru, 1),
        Some(Id::Mode.refused(Reason::Conflict))
    );
    assert_eq!(
        port(&facts(), &passthru.clone().number("VlanID", 10), 0),
        Some(Id::VlanId.refused(Reason::Conflict))
    );
    let mut wifi = facts();
    for physical in [
        NdisPhysicalMediumNative802_11,
        NdisPhysicalMediumWirelessLan,
    ] {
        wifi.physical = NDIS_PHYSICAL_MEDIUM(physical.0);
        assert_eq!(
            port(&wifi, &Key::default(), 0),
            Some(Id::MacMode.refused(Reason::Conflict))
        );
        assert_eq!(port(&wifi, &Key::default().number("MacMode", 1), 0), None);
    }
}

/// Two ports that could not be told apart have the same key, others do not.
#[test]
fn keys() {
    let key = |key: &Key, position| {
        let facts = facts();
        let adapter = adapter(&facts, key);
        Mux::key(&Mux::port(&adapter, &facts, position, key).unwrap()).unwrap()
    };
    let (ten, twenty) = (
        Key::default().number("VlanID", 10),
        Key::default().number("VlanID", 20),
    );
    assert_eq!(key(&ten, 0), key(&ten, 1));
    assert_ne!(key(&ten, 0), key(&twenty, 1));
    assert_ne!(key(&Key::default(), 0), key(&Key::default(), 1));
    assert_ne!(key(&ten, 0), key(&ten.clone().number("MacMode", 2), 0));
}

#[test]
fn links() {
    let link = |key: &Key, connected: bool| {
        let facts = facts();
        let adapter = adapter(&facts, key);
        let port = Mux::port(&adapter, &facts, 0, key).unwrap();
        let below = Link {
            connect: if connected { 1 } else { 2 },
            ..facts.link
        };
        Mux::link(&port, below)
    };
    let key = Key::default;
    assert_eq!(link(&key(), true).connect, 1);
    assert_eq!(link(&key(), false).connect, 2);
    assert_eq!(link(&key().number("LinkMode", 1), false).connect, 1);
    let down = link(&key().number("AdminState", 0).number("LinkMode", 1), true);
    assert_eq!((down.connect, down.xmit), (2, NDIS_LINK_SPEED_UNKNOWN));
}

#[test]
fn a_port_that_is_down_wants_nothing() {
    let facts = facts();
    let keys = [Key::default(), Key::default().number("AdminState", 0)];
    let adapter = adapter(&facts, &Key::default());
    let ports: Vec<Port> = keys
        .iter()
        .map(|key| Mux::port(&adapter, &facts, 0, key).unwrap())
        .collect();
    let merged = |port: &Port, mac: Mac| {
        let wish = Wish {
            port,
            mac,
            filter: NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST,
            groups: &[],
        };
        Mux::merge(&adapter, &facts, &mut [wish].into_iter(), &mut [])
    };
    let up = merged(&ports[0], OWN);
    assert_eq!(
        up.filter,
        NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST
    );
    let foreign = merged(&ports[0], ports[0].mac);
    assert_eq!(foreign.filter, up.filter | NDIS_PACKET_TYPE_PROMISCUOUS);
    assert!(foreign.promiscuous);
    assert_eq!(merged(&ports[1], OWN), Merged::default());
}

#[test]
fn how_closely_sends_are_looked_at() {
    let look = |key: &Key| {
        let facts = facts();
        let adapter = adapter(&facts, key);
        Mux::look(&adapter, &Mux::port(&adapter, &facts, 0, key).unwrap())
    };
    let mode = |mode| Key::default().number("Mode", mode);
    assert_eq!(look(&mode(0)), Look::Header);
    assert_eq!(look(&mode(1)), Look::Header);
    assert_eq!(look(&mode(2)), Look::Group);
    assert_eq!(look(&mode(3)), Look::No);
    assert_eq!(look(&mode(3).number("AntiSpoof", 1)), Look::Header);
    assert_eq!(look(&mode(3).number("AdminState", 0)), Look::Header);
}

#[test]
fn groups_a_port_is_in() {
    let facts = facts();
    let port = |key: &Key| {
        let adapter = adapter(&facts, key);
        Mux::port(&adapter, &facts, 0, key).unwrap()
    };
    let guest = port(
        &Key::default()
            .number("VlanID", 10)
            .number("AcceptUntagged", 1),
    );
    assert_eq!((Mux::vlan(&guest).number(), Mux::vlan_id(&guest)), (10, 10));
    assert!(Mux::takes_untagged(&guest));
    let home = port(&Key::default().number("AcceptUntagged", 1));
    assert!(Mux::vlan(&home).is_none() && !Mux::takes_untagged(&home));
    assert_eq!(Mux::share(&home), 256);
    assert!(Mux::follows_mac(&adapter(&facts, &Key::default()), &home));
}

const USUAL: u32 = NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST;

fn ports(keys: &[Key]) -> Vec<Port> {
    let facts = facts();
    let made = (0..).zip(keys).map(|(position, key)| {
        let adapter = adapter(&facts, key);
        Mux::port(&adapter, &facts, position, key).unwrap()
    });
    made.collect()
}

fn group(mode: Mode, vlan: u16, ports: &[Port]) -> Group<usize> {
    let vlan = Vlan::new(vlan).unwrap();
    let members = ports
        .iter()
        .enumerate()
        .map(|(at, port)| (at, port, USUAL, &[][..]));
    group_of(mode, vlan, &members).unwrap()
}

fn frame(destination: Mac, source: Mac) -> Frame {
    let mut bytes = [0; 14];
    bytes[..6].copy_from_slice(&destination.0);
    bytes[6..12].copy_from_slice(&source.0);
    bytes[12] = 8;
    Frame {
        header: Header::parse(&bytes).unwrap(),
        length: 60,
        beside: OutOfBand::NONE,
    }
}

/// A port that is down neither hears nor sends, and its neighbours do.
#[test]
fn a_port_that_is_down_is_out() {
    let mode = Key::default().number("Mode", 2);
    let ports = ports(&[mode.clone(), mode.clone().number("AdminState", 0), mode]);
    let group = group(Mode::Bridge, 0, &ports);
    let sent = frame(Mac::BROADCAST, ports[0].mac);
    let Route::Both(Egress::AsIs, Strip::Keep, delivery) =
        route_of(&ports[0], 0, Some(&group), &sent)
    else {
        panic!("a broadcast goes both ways");
    };
    let mut heard = delivery.targets.to_vec();
    heard.retain(|at| Some(*at) != delivery.except);
    assert_eq!(heard, [2]);
    assert_eq!(
        route_of(
            &ports[1],
            1,
            Some(&group),
            &frame(Mac::BROADCAST, ports[1].mac)
        ),
        Route::Refuse(NDIS_STATUS_FAILURE, DropReason::SendPort)
    );
}

/// Down, here, or both.
#[test]
fn ways_of_a_send() {
    let mode = Key::default().number("Mode", 2).number("VlanID", 10);
    let ports = ports(&[mode.clone(), mode.number("MacMode", 2)]);
    let group = group(Mode::Bridge, 10, &ports);
    let tag = Tag {
        vlan: Vlan::new(10).unwrap(),
        ..Tag::default()
    };
    let route = |to: Mac, group| route_of(&ports[0], 0, group, &frame(to, ports[0].mac));
    assert!(matches!(
        route(ports[1].mac, Some(&group)),
        Route::Local(Strip::Keep, delivery) if delivery.targets == [1]
    ));
    assert!(matches!(
        route(Mac::BROADCAST, Some(&group)),
        Route::Both(Egress::Tagged(with), Strip::Keep, _) if with == tag
    ));
    let down = Route::Down(Egress::Tagged(tag));
    assert_eq!(route(Mac([2, 9, 9, 9, 9, 9]), Some(&group)), down);
    // Without a group nobody is here.
    assert_eq!(route(ports[1].mac, None), down);
}

/// Refusals have names of their own, and a status that a send may have (SND-4).
#[test]
fn refusals() {
    let ports = ports(&[Key::default().number("AntiSpoof", 1)]);
    let route = |frame: &Frame| route_of(&ports[0], 0, None::<&Group<usize>>, frame);
    let other = Mac([2, 9, 9, 9, 9, 9]);
    assert_eq!(
        route(&frame(other, other)),
        Route::Refuse(NDIS_STATUS_FAILURE, DropReason::SendSpoofed)
    );
    let mut tagged = frame(other, ports[0].mac);
    assert_eq!(route(&tagged), Route::Down(Egress::AsIs));
    tagged.beside = OutOfBand(20 << 4);
    assert_eq!(
        route(&tagged),
        Route::Refuse(NDIS_STATUS_FAILURE, DropReason::SendTagged)
    );
}

/// Of two ports with one address in the group of untagged frames, the one whose
/// group it is owns the address.
#[test]
fn guests_are_known_by_their_vlan() {
    let guest = Key::default()
        .number("VlanID", 10)
        .number("AcceptUntagged", 1);
    let ports = ports(&[guest, Key::default().number("MacMode", 1)]);
    assert_eq!(ports[0].mac, ports[1].mac);
    assert_eq!(group(Mode::Vepa, 0, &ports).owner(OWN), Some(1));
    assert_eq!(group(Mode::Vepa, 10, &ports).owner(OWN), Some(0));
}

/// Every reason to drop a received frame is counted under some name.
#[test]
fn drops_have_names() {
    assert_eq!(counted(Drop::OwnSource), DropReason::ReceiveReflected);
    assert_eq!(counted(Drop::Unwanted), DropReason::ReceiveUnwanted);
    for drop in [Drop::ReservedVlan, Drop::NestedTag, Drop::ForeignTag] {
        assert_eq!(counted(drop), DropReason::ReceiveVlan);
    }
}

//! Merging against the plain union.

use super::*;
use ethernet::Mac;
use im_core::merge::Merged;
use ndis::sys::{
    NDIS_ENCAPSULATION_IEEE_802_3, NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST,
    NDIS_PACKET_TYPE_DIRECTED, NDIS_PACKET_TYPE_MAC_FRAME, NDIS_PACKET_TYPE_MULTICAST,
    NDIS_PACKET_TYPE_PROMISCUOUS, NdisDeviceStateD2,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

const DIRECTED: u32 = NDIS_PACKET_TYPE_DIRECTED;
const MULTICAST: u32 = NDIS_PACKET_TYPE_MULTICAST;
const ALL_MULTICAST: u32 = NDIS_PACKET_TYPE_ALL_MULTICAST;
const BROADCAST: u32 = NDIS_PACKET_TYPE_BROADCAST;
const PROMISCUOUS: u32 = NDIS_PACKET_TYPE_PROMISCUOUS;
const EVERY: u32 = DIRECTED | MULTICAST | ALL_MULTICAST | BROADCAST | PROMISCUOUS;
const OWN: Mac = Mac([0, 0x1A, 0, 0, 0, 1]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn group(number: u64) -> Mac {
    Mac::from_number(0x0100_5E00_0000 + number)
}

fn merged(filters: u32, asks: &[(Mac, u32, Vec<Mac>)], room: usize) -> (Merged, Vec<Mac>) {
    let mut list = std::vec![Mac::ZERO; room];
    let able = Able { mac: OWN, filters };
    let asks = asks.iter().map(|(mac, filter, groups)| Ask {
        mac: *mac,
        filter: *filter,
        groups,
    });
    let together = together(able, asks, &mut list);
    list.truncate(together.groups);
    (together, list)
}

#[test]
fn a_union() {
    let asks = [
        (OWN, DIRECTED | MULTICAST, Vec::from([group(2), group(1)])),
        (OWN, BROADCAST | MULTICAST, Vec::from([group(1), group(3)])),
        (OTHER, 0, Vec::from([group(9)])),
    ];
    let (together, list) = merged(EVERY, &asks, 8);
    assert_eq!(together.filter, DIRECTED | MULTICAST | BROADCAST);
    assert_eq!(list, [group(1), group(2), group(3)]);
    assert!(!together.overflow && !together.promiscuous);
}

#[test]
fn too_many_groups_are_all_groups() {
    let asks = [(OWN, MULTICAST, Vec::from([group(1), group(2), group(3)]))];
    assert!(!merged(EVERY, &asks, 3).0.overflow);
    let (together, list) = merged(EVERY, &asks, 2);
    assert!(together.overflow && list.is_empty());
    assert_eq!(together.filter, MULTICAST | ALL_MULTICAST);
    // An adapter without that gets everything.
    let (together, _) = merged(EVERY & !ALL_MULTICAST, &asks, 0);
    assert_eq!(together.filter, MULTICAST | PROMISCUOUS);
    assert!(together.overflow && !together.promiscuous);
}

#[test]
fn foreign_addresses_need_promiscuous_mode() {
    let (together, _) = merged(EVERY, &[(OTHER, DIRECTED, Vec::new())], 8);
    assert_eq!(together.filter, DIRECTED | PROMISCUOUS);
    assert!(together.promiscuous);
    // Not if nothing is sent to the address, or everything comes anyway.
    let (together, _) = merged(EVERY, &[(OTHER, BROADCAST, Vec::new())], 8);
    assert_eq!((together.filter, together.promiscuous), (BROADCAST, false));
    let asks = [
        (OTHER, DIRECTED, Vec::new()),
        (OWN, PROMISCUOUS, Vec::new()),
    ];
    assert!(!merged(EVERY, &asks, 8).0.promiscuous);
    // An adapter without promiscuous mode is not asked for it.
    let (together, _) = merged(EVERY & !PROMISCUOUS, &[(OTHER, DIRECTED, Vec::new())], 8);
    assert_eq!((together.filter, together.promiscuous), (DIRECTED, false));
    assert!(together.deaf, "which is said");
}

#[test]
fn filters_of_other_media_go_nowhere() {
    let asks = [(OWN, NDIS_PACKET_TYPE_MAC_FRAME | DIRECTED, Vec::new())];
    assert_eq!(merged(u32::MAX, &asks, 8).0.filter, DIRECTED);
}

fn ask() -> impl Strategy<Value = (Mac, u32, Vec<Mac>)> {
    let mac = prop_oneof![3 => Just(OWN), 1 => Just(OTHER)];
    let filter = prop_oneof![4 => 0_u32..16, 1 => 0_u32..64];
    let groups = vec(
        prop_oneof![8 => (0_u64..12).prop_map(group), 1 => Just(OWN), 1 => Just(Mac::BROADCAST)],
        0..6,
    );
    (mac, filter, groups)
}

proptest! {
    /// Whatever a port would hear on an adapter of its own, the merged filter
    /// lets through, on an adapter that has every filter.
    #[test]
    fn nobody_misses_anything(asks in vec(ask(), 0..6), room in 0_usize..16) {
        let (together, list) = merged(EVERY, &asks, room);
        let through = |destination: Mac| {
            let has = |bit| together.filter & bit != 0;
            has(PROMISCUOUS)
                || if destination == Mac::BROADCAST {
                    has(BROADCAST)
                } else if destination.is_group() {
                    has(ALL_MULTICAST) || has(MULTICAST) && list.contains(&destination)
                } else {
                    has(DIRECTED) && destination == OWN
                }
        };
        for (mac, filter, groups) in &asks {
            let has = |bit| filter & bit != 0;
            prop_assert!(!has(PROMISCUOUS) || through(OTHER));
            prop_assert!(!has(DIRECTED) || through(*mac));
            prop_assert!(!has(BROADCAST) || through(Mac::BROADCAST));
            prop_assert!(!has(ALL_MULTICAST) || through(group(99)));
            for listed in groups.iter().filter(|mac| mac.is_multicast()) {
                prop_assert!(!has(MULTICAST) || through(*listed));
            }
        }
    }

    /// No more than needed, sorted and each once.
    #[test]
    fn nothing_is_asked_for_in_vain(asks in vec(ask(), 0..6), room in 0_usize..16) {
        let (together, list) = merged(EVERY, &asks, room);
        let union = asks.iter().fold(0, |union, (_, filter, _)| union | filter) & EVERY;
        let extra = together.filter & !union;
        let foreign = asks.iter().any(|(mac, filter, _)| *mac != OWN && filter & DIRECTED != 0);
        let wanted: BTreeSet<Mac> = asks.iter()
            .filter(|(_, filter, _)| filter & MULTICAST != 0)
            .flat_map(|(_, _, groups)| groups.iter().copied())
            .filter(|mac| mac.is_multicast())
            .collect();
        let overflow = wanted.len() > room && union & (ALL_MULTICAST | PROMISCUOUS) == 0;
        prop_assert_eq!(together.overflow, overflow);
        prop_assert_eq!(together.promiscuous, foreign && union & PROMISCUOUS == 0);
        let expected = if together.overflow { ALL_MULTICAST } else { 0 }
            | if together.promiscuous { PROMISCUOUS } else { 0 };
        prop_assert_eq!(extra, expected);
        if together.filter & (ALL_MULTICAST | PROMISCUOUS) == 0 {
            prop_assert_eq!(list, wanted.into_iter().collect::<Vec<_>>());
        } else {
            prop_assert!(list.is_empty());
        }
    }

    /// Never a filter that the adapter does not have.
    #[test]
    fn only_what_the_adapter_has(asks in vec(ask(), 0..6), filters: u32, room in 0_usize..4) {
        prop_assert_eq!(merged(filters, &asks, room).0.filter & !filters, 0);
    }
}

#[test]
fn payloads() {
    assert_eq!(mtu(1500, Tagging::None), 1500);
    assert_eq!(mtu(1500, Tagging::Beside), 1500);
    assert_eq!(mtu(1500, Tagging::InBand), 1496);
    assert_eq!(mtu(2, Tagging::InBand), 0);
}

/// An adapter that can do everything in these encapsulations.
fn adapter(encapsulation: u32) -> NDIS_OFFLOAD {
    let mut below = NDIS_OFFLOAD::zeroed();
    below.Header.Revision = 6;
    below.Flags = 1;
    below.Checksum.IPv4Transmit.Encapsulation = encapsulation;
    below.Checksum.IPv4Transmit.Bits = 0x155;
    below.Checksum.IPv4Receive.Encapsulation = encapsulation;
    below.Checksum.IPv4Receive.Bits = 0x155;
    below.Checksum.IPv6Transmit.Encapsulation = encapsulation;
    below.Checksum.IPv6Receive.Encapsulation = encapsulation;
    below.LsoV1.IPv4.Encapsulation = encapsulation;
    below.LsoV2.IPv4.Encapsulation = encapsulation;
    below.LsoV2.IPv4.MaxOffLoadSize = 65536;
    below.LsoV2.IPv6.Encapsulation = encapsulation;
    below.UdpSegmentation.IPv4.Encapsulation = encapsulation;
    below.UdpSegmentation.IPv6.Encapsulation = encapsulation;
    below.Rsc.IPv4.Enabled = 1;
    below.IPsecV2.Encapsulation = encapsulation;
    below.EncapsulatedPacketTaskOffloadGre.Bits = 0x11111;
    below.EncapsulationTypes = 3;
    below
}

const PLAIN: u32 = NDIS_ENCAPSULATION_IEEE_802_3;
const BESIDE: u32 = NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB;
const IN_BAND: u32 = NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q;

fn sends(offload: &NDIS_OFFLOAD) -> [u32; 7] {
    [
        offload.Checksum.IPv4Transmit.Encapsulation,
        offload.Checksum.IPv6Transmit.Encapsulation,
        offload.LsoV1.IPv4.Encapsulation,
        offload.LsoV2.IPv4.Encapsulation,
        offload.LsoV2.IPv6.Encapsulation,
        offload.UdpSegmentation.IPv4.Encapsulation,
        offload.UdpSegmentation.IPv6.Encapsulation,
    ]
}

fn receives(offload: &NDIS_OFFLOAD) -> [u32; 2] {
    [
        offload.Checksum.IPv4Receive.Encapsulation,
        offload.Checksum.IPv6Receive.Encapsulation,
    ]
}

#[test]
fn without_tags_the_adapter_s_own() {
    let shown = offload(&adapter(PLAIN), Tagging::None, Mode::Private).unwrap();
    assert_eq!((sends(&shown), receives(&shown)), ([PLAIN; 7], [PLAIN; 2]));
    assert_eq!(shown.LsoV2.IPv4.MaxOffLoadSize, 65536);
    assert_eq!(shown.Checksum.IPv4Transmit.Bits, 0x155);
    assert_eq!((shown.Header.Revision, shown.Flags), (6, 1));
    assert_eq!(shown.Rsc.IPv4.Enabled, 1);
    assert_eq!(shown.IPsecV2.Encapsulation, 0);
    assert_eq!(shown.EncapsulatedPacketTaskOffloadGre.Bits, 0);
    assert_eq!(shown.EncapsulationTypes, 0);
}

#[test]
fn tags_beside_need_the_adapter_s_word_for_it() {
    let all = PLAIN | BESIDE | IN_BAND;
    let shown = offload(&adapter(all), Tagging::Beside, Mode::Private).unwrap();
    let left = PLAIN | BESIDE;
    assert_eq!((sends(&shown), receives(&shown)), ([left; 7], [left; 2]));
    let mut below = adapter(PLAIN | IN_BAND);
    let shown = offload(&below, Tagging::Beside, Mode::Private).unwrap();
    assert_eq!((sends(&shown), receives(&shown)), ([0; 7], [0; 2]));
    assert_eq!(shown.Checksum.IPv4Receive.Bits, 0);
    assert_eq!(shown.LsoV2.IPv4.MaxOffLoadSize, 0);
    assert_eq!(shown.Rsc.IPv4.Enabled, 1);
    below.Rsc.IPv4.Enabled = 0;
    assert!(offload(&below, Tagging::Beside, Mode::Private).is_none());
}

#[test]
fn tags_in_the_frame_leave_results_only() {
    let below = adapter(PLAIN | IN_BAND);
    let shown = offload(&below, Tagging::InBand, Mode::Private).unwrap();
    assert_eq!((sends(&shown), receives(&shown)), ([0; 7], [PLAIN; 2]));
    assert_eq!(shown.Rsc.IPv4.Enabled, 0);
    assert!(offload(&adapter(PLAIN | BESIDE), Tagging::InBand, Mode::Private).is_none());
}

#[test]
fn a_bridge_leaves_nothing_open() {
    let shown = offload(&adapter(PLAIN), Tagging::None, Mode::Bridge).unwrap();
    assert_eq!((sends(&shown), receives(&shown)), ([0; 7], [PLAIN; 2]));
}

proptest! {
    /// A port never offers what the adapter cannot do with the frame as it
    /// arrives there.
    #[test]
    fn nothing_is_promised_in_vain(encapsulations in proptest::array::uniform9(0_u32..32), bridge: bool) {
        let [a, b, c, d, e, f, g, h, i] = encapsulations;
        let mut below = NDIS_OFFLOAD::zeroed();
        below.Checksum.IPv4Transmit.Encapsulation = a;
        below.Checksum.IPv6Transmit.Encapsulation = b;
        below.LsoV1.IPv4.Encapsulation = c;
        below.LsoV2.IPv4.Encapsulation = d;
        below.LsoV2.IPv6.Encapsulation = e;
        below.UdpSegmentation.IPv4.Encapsulation = f;
        below.UdpSegmentation.IPv6.Encapsulation = g;
        below.Checksum.IPv4Receive.Encapsulation = h;
        below.Checksum.IPv6Receive.Encapsulation = i;
        let mode = if bridge { Mode::Bridge } else { Mode::Private };
        for (tagging, needed) in [(Tagging::None, u32::MAX), (Tagging::Beside, BESIDE), (Tagging::InBand, IN_BAND)] {
            let Some(shown) = offload(&below, tagging, mode) else { continue };
            for (shown, below) in sends(&shown).iter().zip(sends(&below)).chain(receives(&shown).iter().zip(receives(&below))) {
                prop_assert_eq!(shown & !below, 0);
                prop_assert!(*shown == 0 || below & needed != 0);
            }
        }
    }
}

#[test]
fn a_port_wakes_nothing() {
    let mut below = NDIS_PM_CAPABILITIES::zeroed();
    below.Header.Revision = 2;
    below.SupportedWoLPacketPatterns = 0xFFFF;
    below.NumTotalWoLPatterns = 9;
    below.SupportedProtocolOffloads = 3;
    below.SupportedWakeUpEvents = 3;
    below.MinMagicPacketWakeUp = NdisDeviceStateD2;
    let shown = power(&below);
    assert_eq!(shown.Header.Revision, 2);
    assert_eq!(shown.MinMagicPacketWakeUp, NdisDeviceStateUnspecified);
    assert_eq!(
        shown.NumTotalWoLPatterns | shown.SupportedWoLPacketPatterns,
        0
    );
    assert_eq!(
        shown.SupportedProtocolOffloads | shown.SupportedWakeUpEvents,
        0
    );
}

//! What a frame is to a team: control, neighbours, groups, and who wants it. Pure.

use crate::list::sort_by;
use arrayvec::ArrayVec;
use ethernet::Mac;
use ndis::sys::{
    NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_DIRECTED,
    NDIS_PACKET_TYPE_MULTICAST, NDIS_PACKET_TYPE_PROMISCUOUS,
};

/// Addresses that a team's multicast list can hold.
pub const MAX_MULTICAST: usize = 32;

/// Bytes of a frame that are looked at, and shown to the brain.
pub(super) const LOOK_BYTES: usize = ethernet::flow::LOOK_BYTES;

const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xDD];
const SLOW: [u8; 2] = [0x88, 0x09];
const TAGS: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xA8]];

/// Where the slow protocols of IEEE 802.3 go.
const SLOW_GROUP: Mac = Mac([0x01, 0x80, 0xC2, 0, 0, 0x02]);

fn type_at(head: &[u8], at: usize) -> Option<[u8; 2]> {
    head.get(at..)?.first_chunk().copied()
}

/// Whether a frame belongs to the slow protocols: to the team itself, never up.
pub(super) fn is_slow(head: &[u8]) -> bool {
    type_at(head, 12) == Some(SLOW) && Mac::from_slice(head) == Some(SLOW_GROUP)
}

/// Bytes of a frame that [`may_be_neighbour`] needs: addresses, two tags, a type.
pub(super) const FEW_BYTES: usize = 22;

/// The type behind up to two tags, and where what follows begins.
fn inner_type(head: &[u8]) -> (Option<[u8; 2]>, usize) {
    let mut at = 12;
    let mut kind = type_at(head, at);
    for _ in 0..2 {
        if kind.is_some_and(|kind| TAGS.contains(&kind)) {
            at += 4;
            kind = type_at(head, at);
        }
    }
    (kind, at + 2)
}

/// Whether a frame is of a type that [`is_neighbour`] has to look into.
pub(super) fn may_be_neighbour(head: &[u8]) -> bool {
    matches!(inner_type(head).0, Some(ARP | IPV6))
}

/// Whether a frame is ARP or neighbour discovery, behind up to two tags.
pub(super) fn is_neighbour(head: &[u8]) -> bool {
    const ICMPV6: u8 = 58;
    /// Router and neighbour solicitations and advertisements.
    const FIRST: u8 = 133;
    const LAST: u8 = 136;
    match inner_type(head) {
        (Some(ARP), _) => true,
        (Some(IPV6), packet) => {
            head.get(packet + 6) == Some(&ICMPV6)
                && matches!(head.get(packet + 40), Some(&(FIRST..=LAST)))
        }
        _ => false,
    }
}

/// A frame's first bytes with the tag that travels beside it where it would be in
/// the frame; as many as fit.
pub(super) fn with_tag<'r>(
    head: &'r [u8],
    beside: usize,
    room: &'r mut [u8; LOOK_BYTES + ethernet::TAG_BYTES],
) -> &'r [u8] {
    let tag = ethernet::OutOfBand(beside).tag();
    if tag.vlan.is_none() {
        return head;
    }
    let Some((addresses, rest)) = head.split_at_checked(12) else {
        return head;
    };
    let mut length = 0;
    let [high, low] = tag.tci().to_be_bytes();
    for part in [addresses, &[0x81, 0x00, high, low], rest] {
        if let Some(place) = room.get_mut(length..length + part.len()) {
            place.copy_from_slice(part);
            length += part.len();
        }
    }
    room.get(..length).unwrap_or(head)
}

/// What a team asks for: packet filter, address, multicast list.
#[derive(Debug)]
pub(super) struct Wanted {
    filter: u32,
    address: Mac,
    /// In order.
    groups: ArrayVec<Mac, MAX_MULTICAST>,
    /// A bit per value of a hash of the groups: most others are seen at once.
    hashes: u64,
}

fn hash(address: Mac) -> u64 {
    1 << (address.number().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58)
}

impl Wanted {
    /// With these groups, in any order.
    pub(super) fn new(filter: u32, address: Mac, groups: &[Mac]) -> Self {
        let mut kept: ArrayVec<Mac, MAX_MULTICAST> = ArrayVec::new();
        for group in groups {
            let _kept = kept.try_push(*group); // the list was measured when it was set
        }
        sort_by(&mut kept, |a, b| a.number().cmp(&b.number()));
        Self {
            filter,
            address,
            hashes: kept.iter().fold(0, |bits, group| bits | hash(*group)),
            groups: kept,
        }
    }

    /// Whether a frame to this address is wanted. IRQL <= DISPATCH_LEVEL.
    pub(super) fn takes(&self, destination: Mac) -> bool {
        let asks = |bits| self.filter & bits != 0;
        if asks(NDIS_PACKET_TYPE_PROMISCUOUS) {
            return true;
        }
        if !destination.is_group() {
            return asks(NDIS_PACKET_TYPE_DIRECTED) && destination == self.address;
        }
        if destination.is_broadcast() {
            return asks(NDIS_PACKET_TYPE_BROADCAST);
        }
        asks(NDIS_PACKET_TYPE_ALL_MULTICAST)
            || asks(NDIS_PACKET_TYPE_MULTICAST)
                && self.hashes & hash(destination) != 0
                && self
                    .groups
                    .binary_search_by_key(&destination.number(), |group| group.number())
                    .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn frame(tags: usize, kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
        let mut frame: Vec<u8> = (1..=12).collect();
        for _ in 0..tags {
            frame.extend_from_slice(&[0x81, 0, 0, 5]);
        }
        frame.extend_from_slice(&kind);
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn neighbours() {
        let mut ipv6 = [0_u8; 60];
        ipv6[6] = 58;
        for tags in 0..=2 {
            let arp = frame(tags, ARP, &[0; 28]);
            assert!(is_neighbour(&arp));
            assert!(may_be_neighbour(&arp[..FEW_BYTES]));
            for (kind, is) in [(132, false), (133, true), (136, true), (137, false)] {
                ipv6[40] = kind;
                let whole = frame(tags, IPV6, &ipv6);
                assert_eq!(is_neighbour(&whole), is);
                assert!(may_be_neighbour(&whole[..FEW_BYTES]));
            }
            ipv6[6] = 6;
            ipv6[40] = 135;
            assert!(!is_neighbour(&frame(tags, IPV6, &ipv6)));
            ipv6[6] = 58;
            let ipv4 = frame(tags, [8, 0], &[0; 60]);
            assert!(!is_neighbour(&ipv4) && !may_be_neighbour(&ipv4));
        }
        let whole = frame(2, IPV6, &ipv6);
        for length in 0..whole.len() {
            let _no_panic = is_neighbour(&whole[..length]);
        }
    }

    #[test]
    fn slow_protocols() {
        let mut pdu = frame(0, SLOW, &[1; 50]);
        assert!(!is_slow(&pdu), "to somebody else");
        pdu[..6].copy_from_slice(&SLOW_GROUP.0);
        assert!(is_slow(&pdu));
        assert!(!is_slow(&pdu[..13]));
        pdu[13] = 8;
        assert!(!is_slow(&pdu));
    }

    #[test]
    fn tags_are_put_where_they_belong() {
        let tag = ethernet::Tag {
            priority: ethernet::Priority::new(0).unwrap(),
            dei: false,
            vlan: ethernet::Vlan::new(5).unwrap(),
        };
        let beside = ethernet::OutOfBand::new(tag).0;
        let plain = frame(0, ARP, &[7; 28]);
        let mut room = [0; LOOK_BYTES + ethernet::TAG_BYTES];
        assert_eq!(with_tag(&plain, beside, &mut room), frame(1, ARP, &[7; 28]));
        assert_eq!(with_tag(&plain, 0, &mut room), plain);
        assert_eq!(with_tag(&plain[..11], beside, &mut room), &plain[..11]);
    }

    fn mac() -> impl Strategy<Value = Mac> {
        // Few values, so that they meet.
        (0_u8..2, 0_u8..40).prop_map(|(group, last)| Mac([group, 0, 0, 0, 0, last]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 5 } else { 200 }))]

        /// As a list would be searched.
        #[test]
        fn wanted(
            filter in 0_u32..0x40,
            own in mac(),
            groups in prop::collection::vec(mac(), 0..=MAX_MULTICAST),
            to in prop_oneof![mac(), Just(Mac([0xFF; 6]))],
        ) {
            let wanted = Wanted::new(filter, own, &groups);
            let has = |bit: u32| filter & bit != 0;
            let expected = has(0x20)
                || match (to.is_group(), to.is_broadcast()) {
                    (false, _) => has(1) && to == own,
                    (true, true) => has(8),
                    (true, false) => has(4) || has(2) && groups.contains(&to),
                };
            prop_assert_eq!(wanted.takes(to), expected);
        }
    }
}

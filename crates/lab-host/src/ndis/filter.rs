//! Packet filters and multicast lists, exactly as NDIS defines them.

use ndis_sys::{
    NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_DIRECTED,
    NDIS_PACKET_TYPE_MULTICAST, NDIS_PACKET_TYPE_PROMISCUOUS,
};

/// Whether a filter lets a frame through. The multicast list is a run of addresses.
pub(crate) fn wants(filter: u32, mac: [u8; 6], multicast: &[u8], frame: &[u8]) -> bool {
    let Some(to) = frame.first_chunk::<6>() else {
        return false;
    };
    if filter & NDIS_PACKET_TYPE_PROMISCUOUS != 0 {
        return true;
    }
    if to == &[0xFF; 6] {
        return filter & NDIS_PACKET_TYPE_BROADCAST != 0;
    }
    if to[0] & 1 != 0 {
        return filter & NDIS_PACKET_TYPE_ALL_MULTICAST != 0
            || filter & NDIS_PACKET_TYPE_MULTICAST != 0
                && multicast.as_chunks::<6>().0.contains(to);
    }
    to == &mac && filter & NDIS_PACKET_TYPE_DIRECTED != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const GROUP: [u8; 6] = [1, 0, 0x5E, 0, 0, 1];
    const OTHER: [u8; 6] = [1, 0, 0x5E, 0, 0, 2];

    #[test]
    fn each_bit_lets_its_own_kind_through() {
        let list = GROUP;
        let heard = |filter: u32| {
            [ME, [2, 0, 0, 0, 0, 2], GROUP, OTHER, [0xFF; 6]]
                .map(|to| wants(filter, ME, &list, &to))
        };
        assert_eq!(heard(0), [false; 5]);
        assert_eq!(
            heard(NDIS_PACKET_TYPE_DIRECTED),
            [true, false, false, false, false]
        );
        assert_eq!(
            heard(NDIS_PACKET_TYPE_MULTICAST),
            [false, false, true, false, false]
        );
        assert_eq!(
            heard(NDIS_PACKET_TYPE_ALL_MULTICAST),
            [false, false, true, true, false]
        );
        assert_eq!(
            heard(NDIS_PACKET_TYPE_BROADCAST),
            [false, false, false, false, true]
        );
        assert_eq!(heard(NDIS_PACKET_TYPE_PROMISCUOUS), [true; 5]);
    }

    #[test]
    fn a_frame_without_an_address_is_for_nobody() {
        assert!(!wants(NDIS_PACKET_TYPE_PROMISCUOUS, ME, &[], &[0; 5]));
    }
}

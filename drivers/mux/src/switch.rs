//! Where does a frame go that a port sends?
//!
//! Constant time, no lock, no atomic operation, no memory; IRQL <=
//! DISPATCH_LEVEL.

use crate::classify::Group;
use crate::settings::Mode;
use ethernet::Mac;
use im_core::data::fanout::Delivery;

/// Where a frame goes; at least to one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways<'g, P> {
    /// To the adapter.
    pub down: bool,
    /// To other ports of its VLAN.
    pub local: Option<Delivery<'g, P>>,
}

impl<P> Ways<'_, P> {
    /// To the adapter and to nobody else.
    pub const DOWN: Self = Self {
        down: true,
        local: None,
    };
}

/// Where a frame from `sender` goes. Loopback is NDIS's affair (SND-18): the
/// sender never gets its own frame from here.
pub fn ways<P: Copy + PartialEq>(group: &Group<P>, sender: P, destination: Mac) -> Ways<'_, P> {
    if group.mode() != Mode::Bridge || destination.is_link_local() {
        // Private, VEPA and passthru: all goes to the network. Frames to
        // link-local groups are for the neighbour on the wire (LACP, LLDP) and
        // pass no bridge (IEEE 802.1Q, 8.6.3).
        return Ways::DOWN;
    }
    // The network need not see what is for a port here; a frame to the sender
    // itself is left to the network, as on any adapter.
    let here = group
        .owner(destination)
        .is_some_and(|owner| owner != sender);
    let local = group.deliver(destination, Some(sender));
    // A port that hears nothing gets nothing, and the frame is still its own: it
    // goes nowhere else. Somebody has to complete the send, though.
    Ways {
        down: !here || local.is_none(),
        local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::PortView;
    use ndis::sys::{
        NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_DIRECTED,
        NDIS_PACKET_TYPE_PROMISCUOUS,
    };
    use proptest::prelude::*;
    use std::vec::Vec;

    const USUAL: u32 =
        NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST | NDIS_PACKET_TYPE_ALL_MULTICAST;

    fn mac(number: u64) -> Mac {
        Mac::from_number(0x0200_0000_0000 + number)
    }

    fn group(mode: Mode, filters: &[u32]) -> Group<usize> {
        let views = filters.iter().enumerate().map(|(port, filter)| PortView {
            port,
            mac: mac(port as u64),
            filter: *filter,
            multicast: &[],
            guest: false,
        });
        Group::build(mode, &views).unwrap()
    }

    fn heard(ways: &Ways<'_, usize>) -> Vec<usize> {
        let Some(local) = ways.local else {
            return Vec::new();
        };
        let mut heard = local.targets.to_vec();
        heard.retain(|port| Some(*port) != local.except);
        heard.sort_unstable();
        heard
    }

    #[test]
    fn only_a_bridge_switches() {
        for mode in [Mode::Private, Mode::Vepa, Mode::Passthru] {
            let group = group(mode, &[USUAL, USUAL]);
            for destination in [mac(1), Mac::BROADCAST, mac(9)] {
                assert_eq!(ways(&group, 0, destination), Ways::DOWN);
            }
        }
    }

    #[test]
    fn a_bridge_between_ports() {
        let group = group(Mode::Bridge, &[USUAL, USUAL, USUAL]);
        let to_port = ways(&group, 0, mac(1));
        assert_eq!((to_port.down, heard(&to_port)), (false, Vec::from([1])));
        let to_all = ways(&group, 0, Mac::BROADCAST);
        assert_eq!((to_all.down, heard(&to_all)), (true, Vec::from([1, 2])));
        let to_group = ways(&group, 2, Mac([1, 0, 0x5E, 0, 0, 1]));
        assert_eq!((to_group.down, heard(&to_group)), (true, Vec::from([0, 1])));
        assert_eq!(ways(&group, 0, mac(9)), Ways::DOWN);
        assert_eq!(ways(&group, 0, mac(0)), Ways::DOWN);
        for last in 0..16 {
            let link_local = Mac([1, 0x80, 0xC2, 0, 0, last]);
            assert_eq!(ways(&group, 0, link_local), Ways::DOWN);
        }
    }

    #[test]
    fn a_promiscuous_port_hears_its_neighbours() {
        let group = group(Mode::Bridge, &[USUAL, USUAL, NDIS_PACKET_TYPE_PROMISCUOUS]);
        let between = ways(&group, 0, mac(1));
        assert_eq!((between.down, heard(&between)), (false, Vec::from([1, 2])));
        let out = ways(&group, 0, mac(9));
        assert_eq!((out.down, heard(&out)), (true, Vec::from([2])));
        let own = ways(&group, 2, mac(9));
        assert_eq!((own.down, heard(&own)), (true, Vec::new()));
    }

    proptest! {
        /// Against the plain rules: a frame goes somewhere, never to its sender,
        /// to each hearer once, and not down if it was for a port that hears it.
        #[test]
        fn like_the_plain_rules(
            filters in proptest::collection::vec(0_u32..64, 1..6),
            sender in 0_usize..6,
            destination in prop_oneof![
                (0_u64..7).prop_map(mac),
                Just(Mac::BROADCAST),
                Just(Mac([1, 0, 0x5E, 0, 0, 1])),
                Just(Mac([1, 0x80, 0xC2, 0, 0, 2])),
            ],
        ) {
            let sender = sender % filters.len();
            let group = group(Mode::Bridge, &filters);
            let ways = ways(&group, sender, destination);
            let hears = |port: usize| {
                let has = |bit| filters[port] & bit != 0;
                has(NDIS_PACKET_TYPE_PROMISCUOUS)
                    || (if destination == Mac::BROADCAST {
                        has(NDIS_PACKET_TYPE_BROADCAST)
                    } else if destination.is_group() {
                        has(NDIS_PACKET_TYPE_ALL_MULTICAST)
                    } else {
                        has(NDIS_PACKET_TYPE_DIRECTED) && destination == mac(port as u64)
                    })
            };
            let model: Vec<usize> = if destination.is_link_local() {
                Vec::new()
            } else {
                (0..filters.len()).filter(|port| *port != sender && hears(*port)).collect()
            };
            prop_assert_eq!(heard(&ways), model.clone());
            prop_assert!(ways.down || !model.is_empty());
            let local_owner = (0..filters.len())
                .any(|port| port != sender && destination == mac(port as u64));
            prop_assert_eq!(ways.down, !local_owner || model.is_empty());
        }
    }
}

//! What becomes of an OID request where many virtual miniports stand on one
//! adapter: a pure table, the 1:N column of the contract's "Who answers what".
//!
//! What a miniport has of its own is answered here; what all of them share is
//! merged by the binding's worker; what only describes the adapter is asked of
//! it; whatever would change the adapter for the others, or is unknown, is
//! refused.

use crate::oid_table::{Below, Local, Merging, Note, Rule, Statistic, refusal};
use ndis::oid::{Facts, Kind};
use ndis::sys::{
    NDIS_OID, NDIS_STATUS_INVALID_DATA, OID_802_3_ADD_MULTICAST_ADDRESS, OID_802_3_CURRENT_ADDRESS,
    OID_802_3_DELETE_MULTICAST_ADDRESS, OID_802_3_MAXIMUM_LIST_SIZE, OID_802_3_MULTICAST_LIST,
    OID_802_3_PERMANENT_ADDRESS, OID_GEN_BROADCAST_BYTES_RCV, OID_GEN_BROADCAST_BYTES_XMIT,
    OID_GEN_BROADCAST_FRAMES_RCV, OID_GEN_BROADCAST_FRAMES_XMIT, OID_GEN_BYTES_RCV,
    OID_GEN_BYTES_XMIT, OID_GEN_CURRENT_LOOKAHEAD, OID_GEN_CURRENT_PACKET_FILTER,
    OID_GEN_DIRECTED_BYTES_RCV, OID_GEN_DIRECTED_BYTES_XMIT, OID_GEN_DIRECTED_FRAMES_RCV,
    OID_GEN_DIRECTED_FRAMES_XMIT, OID_GEN_INTERRUPT_MODERATION, OID_GEN_LINK_STATE,
    OID_GEN_MAC_OPTIONS, OID_GEN_MAXIMUM_FRAME_SIZE, OID_GEN_MAXIMUM_LOOKAHEAD,
    OID_GEN_MAXIMUM_TOTAL_SIZE, OID_GEN_MEDIA_CONNECT_STATUS, OID_GEN_MULTICAST_BYTES_RCV,
    OID_GEN_MULTICAST_BYTES_XMIT, OID_GEN_MULTICAST_FRAMES_RCV, OID_GEN_MULTICAST_FRAMES_XMIT,
    OID_GEN_NETWORK_LAYER_ADDRESSES, OID_GEN_RCV_DISCARDS, OID_GEN_RCV_ERROR,
    OID_GEN_RCV_NO_BUFFER, OID_GEN_RCV_OK, OID_GEN_RECEIVE_BLOCK_SIZE,
    OID_GEN_RECEIVE_BUFFER_SPACE, OID_GEN_STATISTICS, OID_GEN_TRANSMIT_BLOCK_SIZE,
    OID_GEN_TRANSMIT_BUFFER_SPACE, OID_GEN_VENDOR_DESCRIPTION, OID_GEN_VENDOR_DRIVER_VERSION,
    OID_GEN_VENDOR_ID, OID_GEN_VLAN_ID, OID_GEN_XMIT_DISCARDS, OID_GEN_XMIT_ERROR, OID_GEN_XMIT_OK,
    OID_OFFLOAD_ENCAPSULATION, OID_PM_CURRENT_CAPABILITIES, OID_PM_HARDWARE_CAPABILITIES,
    OID_PM_PARAMETERS, OID_PNP_CAPABILITIES, OID_PNP_QUERY_POWER, OID_PNP_SET_POWER,
    OID_TCP_OFFLOAD_CURRENT_CONFIG, OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
    OID_TCP_OFFLOAD_PARAMETERS,
};

/// OIDs that are answered whatever the adapter has (ATR-10), for
/// [`crate::Topology::own_oids`].
pub const OWN: &[NDIS_OID] = &[
    OID_GEN_CURRENT_PACKET_FILTER,
    OID_GEN_CURRENT_LOOKAHEAD,
    OID_GEN_MAXIMUM_LOOKAHEAD,
    OID_GEN_MAXIMUM_FRAME_SIZE,
    OID_GEN_MAXIMUM_TOTAL_SIZE,
    OID_GEN_TRANSMIT_BLOCK_SIZE,
    OID_GEN_RECEIVE_BLOCK_SIZE,
    OID_GEN_TRANSMIT_BUFFER_SPACE,
    OID_GEN_RECEIVE_BUFFER_SPACE,
    OID_GEN_MAC_OPTIONS,
    OID_GEN_MEDIA_CONNECT_STATUS,
    OID_GEN_LINK_STATE,
    OID_GEN_VENDOR_DRIVER_VERSION,
    OID_GEN_INTERRUPT_MODERATION,
    OID_GEN_VLAN_ID,
    OID_802_3_PERMANENT_ADDRESS,
    OID_802_3_CURRENT_ADDRESS,
    OID_802_3_MULTICAST_LIST,
    OID_802_3_MAXIMUM_LIST_SIZE,
    OID_PNP_QUERY_POWER,
    OID_PNP_SET_POWER,
    OID_GEN_STATISTICS,
    OID_GEN_XMIT_OK,
    OID_GEN_RCV_OK,
    OID_GEN_XMIT_ERROR,
    OID_GEN_RCV_ERROR,
    OID_GEN_RCV_NO_BUFFER,
    OID_GEN_BYTES_XMIT,
    OID_GEN_BYTES_RCV,
    OID_GEN_XMIT_DISCARDS,
    OID_GEN_RCV_DISCARDS,
    OID_GEN_DIRECTED_FRAMES_XMIT,
    OID_GEN_DIRECTED_BYTES_XMIT,
    OID_GEN_DIRECTED_FRAMES_RCV,
    OID_GEN_DIRECTED_BYTES_RCV,
    OID_GEN_MULTICAST_FRAMES_XMIT,
    OID_GEN_MULTICAST_BYTES_XMIT,
    OID_GEN_MULTICAST_FRAMES_RCV,
    OID_GEN_MULTICAST_BYTES_RCV,
    OID_GEN_BROADCAST_FRAMES_XMIT,
    OID_GEN_BROADCAST_BYTES_XMIT,
    OID_GEN_BROADCAST_FRAMES_RCV,
    OID_GEN_BROADCAST_BYTES_RCV,
];

/// The 1:N column of the table.
pub const fn one_to_many(asked: Facts, below: Below) -> Rule {
    let query = matches!(asked.kind, Kind::Query);
    let set = matches!(asked.kind, Kind::Set);
    let oid = asked.oid;
    match oid {
        // OID-20: never down, always SUCCESS.
        OID_PNP_QUERY_POWER => Rule::Answer(Local::QueryPower),
        OID_PNP_SET_POWER => Rule::Answer(Local::SetPower),
        // OID-25.
        OID_GEN_CURRENT_PACKET_FILTER if set => Rule::Merge(Merging::Filter),
        OID_GEN_CURRENT_PACKET_FILTER if query => Rule::Answer(Local::PacketFilter),
        OID_802_3_MULTICAST_LIST if set => Rule::Merge(Merging::Groups),
        OID_802_3_MULTICAST_LIST if query => Rule::Merge(Merging::ListGroups),
        OID_802_3_ADD_MULTICAST_ADDRESS if set => Rule::Merge(Merging::AddGroup),
        OID_802_3_DELETE_MULTICAST_ADDRESS if set => Rule::Merge(Merging::RemoveGroup),
        // Kept here, and nothing depends on it.
        OID_GEN_CURRENT_LOOKAHEAD if set => Rule::Answer(Local::SetLookahead),
        // A miniport without an interrupt has nothing to moderate.
        OID_GEN_INTERRUPT_MODERATION if query => Rule::Answer(Local::InterruptModeration),
        OID_GEN_INTERRUPT_MODERATION if set => Rule::Refuse(NDIS_STATUS_INVALID_DATA),
        // OID-26.
        OID_GEN_NETWORK_LAYER_ADDRESSES if set => Rule::Forward(Note::NetworkAddresses),
        // What only describes the adapter.
        OID_GEN_VENDOR_ID | OID_GEN_VENDOR_DESCRIPTION if query => Rule::Forward(Note::Nothing),
        // OID-21, ATR-6: it follows the adapter to sleep, and wakes nothing.
        OID_PNP_CAPABILITIES if query && below.pm => Rule::Answer(Local::Capabilities),
        OID_PM_HARDWARE_CAPABILITIES | OID_PM_CURRENT_CAPABILITIES if query && below.pm => {
            Rule::Answer(Local::PowerCapabilities)
        }
        OID_PM_PARAMETERS if set && below.pm => Rule::Answer(Local::PowerParameters),
        // OFF-1, OFF-5; without task offload below, refused below.
        OID_TCP_OFFLOAD_PARAMETERS if set && below.offload => {
            Rule::Answer(Local::OffloadParameters)
        }
        OID_OFFLOAD_ENCAPSULATION if set && below.offload => Rule::Merge(Merging::Encapsulation),
        OID_TCP_OFFLOAD_CURRENT_CONFIG if query && below.offload => {
            Rule::Answer(Local::OffloadConfig)
        }
        OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES if query && below.offload => {
            Rule::Answer(Local::OffloadHardware)
        }
        _ if query => match own_value(oid) {
            Some(local) => Rule::Answer(local),
            None => Rule::Refuse(refusal(oid)),
        },
        // RSS-2, OID-22 (wake-up), QOS-1, vendors' own: not shown, not passed on.
        _ => Rule::Refuse(refusal(oid)),
    }
}

/// The N:1 column: a team is no adapter's, so that whatever would be asked of one is
/// answered here, too, and nothing is passed on (LBF-6).
pub const fn many_to_one(asked: Facts, below: Below) -> Rule {
    let query = matches!(asked.kind, Kind::Query);
    let set = matches!(asked.kind, Kind::Set);
    match asked.oid {
        OID_GEN_VENDOR_ID if query => Rule::Answer(Local::VendorId),
        OID_GEN_VENDOR_DESCRIPTION if query => Rule::Answer(Local::VendorDescription),
        // OID-26: no member needs to know.
        OID_GEN_NETWORK_LAYER_ADDRESSES if set => Rule::Answer(Local::NetworkAddresses),
        _ => one_to_many(asked, below),
    }
}

/// OIDs that a team answers (ATR-10), for [`crate::Topology::own_oids`]: there is no
/// adapter whose list could come on top.
pub const OWN_OF_TEAM: &[NDIS_OID] = &{
    const MORE: [NDIS_OID; 10] = [
        OID_GEN_VENDOR_ID,
        OID_GEN_VENDOR_DESCRIPTION,
        OID_GEN_NETWORK_LAYER_ADDRESSES,
        OID_802_3_ADD_MULTICAST_ADDRESS,
        OID_802_3_DELETE_MULTICAST_ADDRESS,
        OID_PM_PARAMETERS,
        OID_TCP_OFFLOAD_PARAMETERS,
        OID_TCP_OFFLOAD_CURRENT_CONFIG,
        OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
        OID_OFFLOAD_ENCAPSULATION,
    ];
    let mut all = [OID_GEN_VENDOR_ID; OWN.len() + MORE.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < OWN.len() {
            OWN[at]
        } else {
            MORE[at - OWN.len()]
        };
        at += 1;
    }
    all
};

/// What a miniport has of its own, for queries.
const fn own_value(oid: NDIS_OID) -> Option<Local> {
    use Statistic as S;
    Some(match oid {
        OID_GEN_CURRENT_LOOKAHEAD => Local::Lookahead,
        OID_GEN_MAXIMUM_LOOKAHEAD | OID_GEN_MAXIMUM_FRAME_SIZE => Local::FrameSize,
        OID_GEN_MAXIMUM_TOTAL_SIZE | OID_GEN_TRANSMIT_BLOCK_SIZE | OID_GEN_RECEIVE_BLOCK_SIZE => {
            Local::TotalSize
        }
        OID_GEN_TRANSMIT_BUFFER_SPACE | OID_GEN_RECEIVE_BUFFER_SPACE => Local::BufferSpace,
        OID_GEN_MAC_OPTIONS => Local::MacOptions,
        OID_GEN_MEDIA_CONNECT_STATUS => Local::MediaConnect,
        OID_GEN_LINK_STATE => Local::LinkState,
        OID_GEN_VENDOR_DRIVER_VERSION => Local::DriverVersion,
        OID_GEN_VLAN_ID => Local::VlanId,
        OID_802_3_PERMANENT_ADDRESS | OID_802_3_CURRENT_ADDRESS => Local::Address,
        OID_802_3_MAXIMUM_LIST_SIZE => Local::ListSize,
        OID_GEN_STATISTICS => Local::Statistics,
        OID_GEN_XMIT_OK => Local::Counter(S::FramesOut),
        OID_GEN_RCV_OK => Local::Counter(S::FramesIn),
        OID_GEN_XMIT_ERROR => Local::Counter(S::ErrorsOut),
        OID_GEN_RCV_ERROR => Local::Counter(S::ErrorsIn),
        OID_GEN_RCV_NO_BUFFER => Local::Counter(S::NoBufferIn),
        OID_GEN_BYTES_XMIT => Local::Counter(S::BytesOut),
        OID_GEN_BYTES_RCV => Local::Counter(S::BytesIn),
        OID_GEN_XMIT_DISCARDS => Local::Counter(S::DiscardsOut),
        OID_GEN_RCV_DISCARDS => Local::Counter(S::DiscardsIn),
        OID_GEN_DIRECTED_FRAMES_XMIT => Local::Counter(S::DirectedFramesOut),
        OID_GEN_DIRECTED_BYTES_XMIT => Local::Counter(S::DirectedBytesOut),
        OID_GEN_DIRECTED_FRAMES_RCV => Local::Counter(S::DirectedFramesIn),
        OID_GEN_DIRECTED_BYTES_RCV => Local::Counter(S::DirectedBytesIn),
        OID_GEN_MULTICAST_FRAMES_XMIT => Local::Counter(S::MulticastFramesOut),
        OID_GEN_MULTICAST_BYTES_XMIT => Local::Counter(S::MulticastBytesOut),
        OID_GEN_MULTICAST_FRAMES_RCV => Local::Counter(S::MulticastFramesIn),
        OID_GEN_MULTICAST_BYTES_RCV => Local::Counter(S::MulticastBytesIn),
        OID_GEN_BROADCAST_FRAMES_XMIT => Local::Counter(S::BroadcastFramesOut),
        OID_GEN_BROADCAST_BYTES_XMIT => Local::Counter(S::BroadcastBytesOut),
        OID_GEN_BROADCAST_FRAMES_RCV => Local::Counter(S::BroadcastFramesIn),
        OID_GEN_BROADCAST_BYTES_RCV => Local::Counter(S::BroadcastBytesIn),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndis::sys::{
        NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_NOT_SUPPORTED, OID_GEN_LINK_PARAMETERS,
        OID_GEN_RECEIVE_HASH, OID_GEN_RECEIVE_SCALE_CAPABILITIES, OID_GEN_RECEIVE_SCALE_PARAMETERS,
        OID_PM_ADD_PROTOCOL_OFFLOAD, OID_PM_ADD_WOL_PATTERN, OID_PM_REMOVE_WOL_PATTERN,
        OID_QOS_PARAMETERS,
    };
    use proptest::prelude::*;
    use std::vec::Vec;

    const ALL: Below = Below {
        pm: true,
        rss: true,
        offload: true,
    };
    const NONE: Below = Below {
        pm: false,
        rss: false,
        offload: false,
    };

    fn rule(oid: NDIS_OID, kind: Kind, below: Below) -> Rule {
        let length = 0;
        one_to_many(Facts { oid, kind, length }, below)
    }

    const REFUSED: Rule = Rule::Refuse(NDIS_STATUS_NOT_SUPPORTED);

    /// LBF-6, OID-23: a team passes nothing on, and answers what must be answered.
    #[test]
    fn a_team_answers_itself() {
        for oid in OWN_OF_TEAM {
            for kind in [Kind::Query, Kind::Set, Kind::Method] {
                let (oid, length) = (*oid, 0);
                let rule = many_to_one(Facts { oid, kind, length }, ALL);
                assert!(!matches!(rule, Rule::Forward(_)), "{oid:?}");
            }
        }
        for oid in [OID_GEN_VENDOR_ID, OID_GEN_VENDOR_DESCRIPTION] {
            let (kind, length) = (Kind::Query, 0);
            let rule = many_to_one(Facts { oid, kind, length }, NONE);
            assert!(matches!(rule, Rule::Answer(_)));
            assert!(OWN_OF_TEAM.contains(&oid) && !OWN.contains(&oid));
        }
        let mut all: Vec<u32> = OWN_OF_TEAM.iter().map(|oid| oid.0).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), OWN_OF_TEAM.len(), "each of them once");
    }

    /// OID-25: nothing that a miniport sets changes the adapter for the others.
    #[test]
    fn filters_and_lists_are_merged() {
        for below in [ALL, NONE] {
            let set = |oid| rule(oid, Kind::Set, below);
            assert_eq!(
                set(OID_GEN_CURRENT_PACKET_FILTER),
                Rule::Merge(Merging::Filter)
            );
            assert_eq!(set(OID_802_3_MULTICAST_LIST), Rule::Merge(Merging::Groups));
            assert_eq!(set(OID_GEN_LINK_PARAMETERS), REFUSED);
            assert_eq!(set(OID_GEN_VLAN_ID), REFUSED, "the registry says which");
        }
    }

    /// RSS-2, OID-22: what is not shown is not passed on, whatever the adapter
    /// has.
    #[test]
    fn what_is_not_shown_is_refused() {
        for oid in [
            OID_GEN_RECEIVE_SCALE_CAPABILITIES,
            OID_GEN_RECEIVE_SCALE_PARAMETERS,
            OID_GEN_RECEIVE_HASH,
            OID_PM_ADD_WOL_PATTERN,
            OID_PM_ADD_PROTOCOL_OFFLOAD,
            OID_QOS_PARAMETERS,
        ] {
            for kind in [Kind::Query, Kind::Set, Kind::Method, Kind::Other] {
                assert_eq!(rule(oid, kind, ALL), REFUSED, "{oid:?}");
            }
        }
        let removal = rule(OID_PM_REMOVE_WOL_PATTERN, Kind::Set, ALL);
        assert_eq!(removal, Rule::Refuse(NDIS_STATUS_NOT_ACCEPTED), "OID-7");
        assert_eq!(rule(OID_TCP_OFFLOAD_PARAMETERS, Kind::Set, NONE), REFUSED);
        assert_eq!(rule(OID_OFFLOAD_ENCAPSULATION, Kind::Set, NONE), REFUSED);
        assert_eq!(rule(OID_PM_PARAMETERS, Kind::Set, NONE), REFUSED);
    }

    /// ATR-10: what is listed can be asked or set.
    #[test]
    fn own_oids_are_answered() {
        for oid in OWN {
            let known = [Kind::Query, Kind::Set]
                .iter()
                .any(|kind| !matches!(rule(*oid, *kind, NONE), Rule::Refuse(_)));
            assert!(known, "{oid:?}");
            assert_eq!(OWN.iter().filter(|other| *other == oid).count(), 1);
        }
    }

    /// OID-12: a wrong kind is never answered into the wrong buffer.
    #[test]
    fn kinds_are_told_apart() {
        for oid in OWN {
            for kind in [Kind::Method, Kind::Other] {
                let power = matches!(*oid, OID_PNP_QUERY_POWER | OID_PNP_SET_POWER);
                let refused = matches!(rule(*oid, kind, ALL), Rule::Refuse(_));
                assert!(power || refused, "{oid:?}");
            }
        }
    }

    proptest! {
        /// Whatever comes: sets go down for nothing but network addresses, and
        /// queries for nothing but the vendor.
        #[test]
        fn little_goes_down(oid: u32, query: bool) {
            let oid = NDIS_OID(oid);
            let kind = if query { Kind::Query } else { Kind::Set };
            let down = matches!(rule(oid, kind, ALL), Rule::Forward(_));
            let may = matches!(
                oid,
                OID_GEN_NETWORK_LAYER_ADDRESSES | OID_GEN_VENDOR_ID | OID_GEN_VENDOR_DESCRIPTION
            );
            prop_assert!(!down || may);
        }
    }
}

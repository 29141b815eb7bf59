//! What becomes of an OID request: a pure table.
//!
//! The contract's table "Who answers what" in code, the 1:1 column. Decisions
//! depend on the OID, on query, set or method, and on what the adapter below
//! has; nothing else.

pub use crate::oid_many::{many_to_one, one_to_many};
use im_control::RuleCode;
use ndis::oid::{Facts, Kind};
use ndis::sys::{
    NDIS_OID, NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_NOT_ACCEPTED,
    NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_PENDING, NDIS_STATUS_REQUEST_ABORTED,
    NDIS_STATUS_SUCCESS, OID_802_3_DELETE_MULTICAST_ADDRESS, OID_GEN_CURRENT_PACKET_FILTER,
    OID_GEN_MAC_OPTIONS, OID_GEN_NETWORK_LAYER_ADDRESSES, OID_GEN_RECEIVE_HASH,
    OID_GEN_RECEIVE_SCALE_CAPABILITIES, OID_GEN_RECEIVE_SCALE_PARAMETERS,
    OID_GEN_RECEIVE_SCALE_PARAMETERS_V2, OID_GEN_RSS_SET_INDIRECTION_TABLE_ENTRIES,
    OID_NIC_SWITCH_DELETE_SWITCH, OID_NIC_SWITCH_FREE_VF, OID_OFFLOAD_ENCAPSULATION,
    OID_PM_ADD_PROTOCOL_OFFLOAD, OID_PM_ADD_WOL_PATTERN, OID_PM_CURRENT_CAPABILITIES,
    OID_PM_GET_PROTOCOL_OFFLOAD, OID_PM_HARDWARE_CAPABILITIES, OID_PM_PARAMETERS,
    OID_PM_PROTOCOL_OFFLOAD_LIST, OID_PM_REMOVE_PROTOCOL_OFFLOAD, OID_PM_REMOVE_WOL_PATTERN,
    OID_PM_WOL_PATTERN_LIST, OID_PNP_ADD_WAKE_UP_PATTERN, OID_PNP_CAPABILITIES,
    OID_PNP_ENABLE_WAKE_UP, OID_PNP_QUERY_POWER, OID_PNP_REMOVE_WAKE_UP_PATTERN, OID_PNP_SET_POWER,
    OID_PNP_WAKE_UP_ERROR, OID_PNP_WAKE_UP_OK, OID_PNP_WAKE_UP_PATTERN_LIST,
    OID_RECEIVE_FILTER_CLEAR_FILTER, OID_RECEIVE_FILTER_FREE_QUEUE, OID_TCP_OFFLOAD_CURRENT_CONFIG,
    OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, OID_TCP_OFFLOAD_PARAMETERS,
    OID_TCP_TASK_IPSEC_DELETE_SA, OID_TCP_TASK_IPSEC_OFFLOAD_V2_DELETE_SA,
};

/// OID_TUNNEL_INTERFACE_RELEASE_OID.
const OID_TUNNEL_INTERFACE_RELEASE: NDIS_OID = NDIS_OID(0x0F01_0107);

/// What the adapter below can do, as far as the table asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Below {
    /// It is PM-aware (BND-11).
    pub pm: bool,
    /// It has RSS.
    pub rss: bool,
    /// It has task offload.
    pub offload: bool,
}

/// What the driver answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// OID_PNP_QUERY_POWER (OID-20).
    QueryPower,
    /// OID_PNP_SET_POWER (OID-20).
    SetPower,
    /// OID_PNP_CAPABILITIES, without wake-up (OID-21).
    Capabilities,
    /// OID_GEN_MAC_OPTIONS with what the attributes say (ATR-8).
    MacOptions,
    /// The packet filter that was set last.
    PacketFilter,
    /// The lookahead that was set last.
    Lookahead,
    /// Another lookahead.
    SetLookahead,
    /// The largest payload.
    FrameSize,
    /// The largest frame.
    TotalSize,
    /// What a frame takes of the adapter's memory: there is no other.
    BufferSpace,
    /// Whether there is a link.
    MediaConnect,
    /// The link.
    LinkState,
    /// The version of this driver.
    DriverVersion,
    /// OID_GEN_VENDOR_ID of a miniport that is no adapter's.
    VendorId,
    /// OID_GEN_VENDOR_DESCRIPTION of it.
    VendorDescription,
    /// OID_GEN_NETWORK_LAYER_ADDRESSES, which nobody below needs (OID-26).
    NetworkAddresses,
    /// There is no interrupt to moderate.
    InterruptModeration,
    /// The VLAN that the miniport stands in.
    VlanId,
    /// Its address.
    Address,
    /// The length of its multicast list.
    ListSize,
    /// All counters (ATR-11).
    Statistics,
    /// One of them (OID-24).
    Counter(Statistic),
    /// NDIS_PM_CAPABILITIES as the attributes have them (ATR-6).
    PowerCapabilities,
    /// OID_PM_PARAMETERS: nothing can be switched on.
    PowerParameters,
    /// Task offload as it is configured.
    OffloadConfig,
    /// Task offload as it could be configured.
    OffloadHardware,
    /// Another configuration of it (STS-6).
    OffloadParameters,
}

/// A counter of a miniport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names say it all: in is received, out is sent"
)]
pub enum Statistic {
    FramesIn,
    FramesOut,
    BytesIn,
    BytesOut,
    DirectedFramesIn,
    DirectedFramesOut,
    DirectedBytesIn,
    DirectedBytesOut,
    MulticastFramesIn,
    MulticastFramesOut,
    MulticastBytesIn,
    MulticastBytesOut,
    BroadcastFramesIn,
    BroadcastFramesOut,
    BroadcastBytesIn,
    BroadcastBytesOut,
    DiscardsIn,
    DiscardsOut,
    ErrorsIn,
    ErrorsOut,
    NoBufferIn,
}

/// What the driver notes about a request that it forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Nothing.
    Nothing,
    /// The packet filter: receives may come, or no more (RCV-14).
    PacketFilter,
    /// A NOT_SUPPORTED from below becomes SUCCESS (OID-26).
    NetworkAddresses,
    /// A wake-up pattern was added (UNB-4).
    AddPattern,
    /// A wake-up pattern was removed.
    RemovePattern,
    /// A protocol offload was added (UNB-4).
    AddOffload,
    /// A protocol offload was removed.
    RemoveOffload,
}

/// What the adapter is asked for on behalf of all its virtual miniports
/// (OID-25): the binding's worker does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merging {
    /// OID_GEN_CURRENT_PACKET_FILTER, set.
    Filter,
    /// OID_802_3_MULTICAST_LIST, set.
    Groups,
    /// OID_802_3_MULTICAST_LIST, query.
    ListGroups,
    /// OID_802_3_ADD_MULTICAST_ADDRESS.
    AddGroup,
    /// OID_802_3_DELETE_MULTICAST_ADDRESS.
    RemoveGroup,
    /// OID_OFFLOAD_ENCAPSULATION, set (OFF-5).
    Encapsulation,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Down as a clone (OID-14).
    Forward(Note),
    /// Answered here.
    Answer(Local),
    /// Noted here, and merged with what the other miniports want.
    Merge(Merging),
    /// Refused with this status.
    Refuse(NDIS_STATUS),
}

impl Rule {
    /// The rule as it is shown by the control device.
    pub const fn code(self) -> RuleCode {
        match self {
            Self::Forward(_) => RuleCode::Forward,
            Self::Answer(_) => RuleCode::Answer,
            Self::Merge(_) => RuleCode::Merge,
            Self::Refuse(_) => RuleCode::Refuse,
        }
    }
}

/// The 1:1 column of the table.
pub fn one_to_one(asked: Facts, below: Below) -> Rule {
    let refuse = Rule::Refuse(refusal(asked.oid));
    match asked.oid {
        // OID-20: never down, always SUCCESS.
        OID_PNP_QUERY_POWER => Rule::Answer(Local::QueryPower),
        OID_PNP_SET_POWER => Rule::Answer(Local::SetPower),
        // OID-21.
        OID_PNP_CAPABILITIES if below.pm && asked.kind == Kind::Query => {
            Rule::Answer(Local::Capabilities)
        }
        // ATR-8: the adapter's own answer would contradict the attributes.
        OID_GEN_MAC_OPTIONS if asked.kind == Kind::Query => Rule::Answer(Local::MacOptions),
        // OID-22: with a PM-aware adapter below, and its answer is passed back.
        OID_PM_ADD_WOL_PATTERN if below.pm => Rule::Forward(Note::AddPattern),
        OID_PM_REMOVE_WOL_PATTERN if below.pm => Rule::Forward(Note::RemovePattern),
        OID_PM_ADD_PROTOCOL_OFFLOAD if below.pm => Rule::Forward(Note::AddOffload),
        OID_PM_REMOVE_PROTOCOL_OFFLOAD if below.pm => Rule::Forward(Note::RemoveOffload),
        OID_PNP_ENABLE_WAKE_UP
        | OID_PNP_ADD_WAKE_UP_PATTERN
        | OID_PNP_REMOVE_WAKE_UP_PATTERN
        | OID_PNP_WAKE_UP_PATTERN_LIST
        | OID_PNP_WAKE_UP_OK
        | OID_PNP_WAKE_UP_ERROR
        | OID_PM_ADD_WOL_PATTERN
        | OID_PM_REMOVE_WOL_PATTERN
        | OID_PM_ADD_PROTOCOL_OFFLOAD
        | OID_PM_REMOVE_PROTOCOL_OFFLOAD
        | OID_PM_PARAMETERS
        | OID_PM_WOL_PATTERN_LIST
        | OID_PM_GET_PROTOCOL_OFFLOAD
        | OID_PM_PROTOCOL_OFFLOAD_LIST => {
            if below.pm {
                Rule::Forward(Note::Nothing)
            } else {
                refuse
            }
        }
        // ATR-6: the adapter's own answer would contradict the attributes.
        OID_PM_CURRENT_CAPABILITIES | OID_PM_HARDWARE_CAPABILITIES => {
            if below.pm && asked.kind == Kind::Query {
                Rule::Answer(Local::PowerCapabilities)
            } else {
                refuse
            }
        }
        // RSSv2 is not shown, as it needs synchronous requests (MPR-8).
        // OID_PNP_CAPABILITIES without power management below, or not as a
        // query: OID-21, OID-11.
        OID_GEN_RECEIVE_SCALE_PARAMETERS_V2
        | OID_GEN_RSS_SET_INDIRECTION_TABLE_ENTRIES
        | OID_PNP_CAPABILITIES => refuse,
        // RSS-2: not passed down when no RSS is shown.
        OID_GEN_RECEIVE_SCALE_CAPABILITIES
        | OID_GEN_RECEIVE_SCALE_PARAMETERS
        | OID_GEN_RECEIVE_HASH
            if !below.rss =>
        {
            refuse
        }
        // OFF-1: not passed down when no offload is shown.
        OID_TCP_OFFLOAD_PARAMETERS
        | OID_TCP_OFFLOAD_CURRENT_CONFIG
        | OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES
        | OID_OFFLOAD_ENCAPSULATION
            if !below.offload =>
        {
            refuse
        }
        OID_GEN_CURRENT_PACKET_FILTER if asked.kind == Kind::Set => {
            Rule::Forward(Note::PacketFilter)
        }
        OID_GEN_NETWORK_LAYER_ADDRESSES => Rule::Forward(Note::NetworkAddresses), // OID-26
        _ if unexposed(asked.oid) => refuse,
        _ if asked.kind == Kind::Other => refuse,
        _ => Rule::Forward(Note::Nothing), // STS-7: no reason to change it
    }
}

/// OIDs of features that the miniport does not show (ATR-12, QOS-1).
const fn unexposed(oid: NDIS_OID) -> bool {
    matches!(
        oid.0,
        // OID_RECEIVE_FILTER_xxx (VMQ), packet coalescing, NIC switch capabilities.
        0x0001_0221..=0x0001_0230
            | 0x0001_0235
            // OID_NIC_SWITCH_xxx, OID_SRIOV_xxx, OID_SWITCH_xxx.
            | 0x0001_0237..=0x0001_027F
            | 0x0001_0290..=0x0001_029A
            // OID_GFT_xxx and OID_QOS_OFFLOAD_xxx.
            | 0x0001_0400..=0x0001_04FF
            | 0x0001_0600..=0x0001_06FF
            // TCP chimney and IPsec offload, version 2.
            | 0xFC03_0000..=0xFC03_FFFF
            // OID_NDK_xxx and OID_QOS_xxx.
            | 0xFC04_0000..=0xFC05_FFFF
    )
}

/// Requests that free or remove something may fail only in these ways (OID-7).
const fn must_not_fail(oid: NDIS_OID) -> bool {
    matches!(
        oid,
        OID_RECEIVE_FILTER_CLEAR_FILTER
            | OID_RECEIVE_FILTER_FREE_QUEUE
            | OID_NIC_SWITCH_FREE_VF
            | OID_NIC_SWITCH_DELETE_SWITCH
            | OID_802_3_DELETE_MULTICAST_ADDRESS
            | OID_PM_REMOVE_WOL_PATTERN
            | OID_PM_REMOVE_PROTOCOL_OFFLOAD
            | OID_TCP_TASK_IPSEC_DELETE_SA
            | OID_TCP_TASK_IPSEC_OFFLOAD_V2_DELETE_SA
            | OID_TUNNEL_INTERFACE_RELEASE
    )
}

/// The status of a refusal: NOT_SUPPORTED where it is legal (OID-7, OID-11).
pub const fn refusal(oid: NDIS_OID) -> NDIS_STATUS {
    if must_not_fail(oid) {
        NDIS_STATUS_NOT_ACCEPTED
    } else {
        NDIS_STATUS_NOT_SUPPORTED
    }
}

/// Makes a final status legal for its OID (OID-7): PENDING is never final, and
/// requests that free something do not fail in other ways than NDIS allows.
pub const fn legal_final(oid: NDIS_OID, status: NDIS_STATUS) -> NDIS_STATUS {
    if must_not_fail(oid) {
        if status.0 == NDIS_STATUS_SUCCESS.0 || status.0 == NDIS_STATUS_REQUEST_ABORTED.0 {
            status
        } else {
            NDIS_STATUS_NOT_ACCEPTED
        }
    } else if status.0 == NDIS_STATUS_PENDING.0 {
        NDIS_STATUS_FAILURE
    } else {
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndis::sys::{
        OID_802_3_MULTICAST_LIST, OID_GEN_CURRENT_LOOKAHEAD, OID_GEN_INTERRUPT_MODERATION,
        OID_GEN_LINK_PARAMETERS, OID_GEN_RCV_OK, OID_GEN_STATISTICS, OID_GEN_VENDOR_DESCRIPTION,
        OID_GEN_VENDOR_DRIVER_VERSION, OID_GEN_VENDOR_ID, OID_GEN_XMIT_OK, OID_NDK_SET_STATE,
        OID_NIC_SWITCH_CREATE_SWITCH, OID_QOS_PARAMETERS, OID_SRIOV_CURRENT_CAPABILITIES,
    };
    use proptest::prelude::*;

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
    const KINDS: [Kind; 4] = [Kind::Query, Kind::Set, Kind::Method, Kind::Other];

    fn asked(oid: NDIS_OID, kind: Kind) -> Facts {
        Facts {
            oid,
            kind,
            length: 0,
        }
    }

    fn forwarded(rule: Rule) -> bool {
        matches!(rule, Rule::Forward(_))
    }

    /// OID-20: power requests are answered here whatever is below.
    #[test]
    fn power_never_goes_down() {
        for oid in [OID_PNP_QUERY_POWER, OID_PNP_SET_POWER] {
            for kind in KINDS {
                for below in [ALL, NONE] {
                    assert!(matches!(
                        one_to_one(asked(oid, kind), below),
                        Rule::Answer(_)
                    ));
                }
            }
        }
    }

    /// OID-21, OID-22: wake-up follows the adapter's PM awareness.
    #[test]
    fn wake_up_needs_a_pm_aware_adapter() {
        let wake = [
            OID_PNP_ENABLE_WAKE_UP,
            OID_PNP_ADD_WAKE_UP_PATTERN,
            OID_PM_ADD_WOL_PATTERN,
            OID_PM_REMOVE_WOL_PATTERN,
            OID_PM_PARAMETERS,
            OID_PM_ADD_PROTOCOL_OFFLOAD,
            OID_PM_REMOVE_PROTOCOL_OFFLOAD,
        ];
        for oid in wake {
            assert!(forwarded(one_to_one(asked(oid, Kind::Set), ALL)));
            assert!(matches!(
                one_to_one(asked(oid, Kind::Set), NONE),
                Rule::Refuse(_)
            ));
        }
        let capabilities = asked(OID_PNP_CAPABILITIES, Kind::Query);
        assert_eq!(
            one_to_one(capabilities, ALL),
            Rule::Answer(Local::Capabilities)
        );
        assert_eq!(
            one_to_one(capabilities, NONE),
            Rule::Refuse(NDIS_STATUS_NOT_SUPPORTED)
        );
    }

    /// RSS-2, OFF-1: what is not shown is refused, what is shown goes down.
    #[test]
    fn features_follow_what_is_shown() {
        for oid in [OID_GEN_RECEIVE_SCALE_PARAMETERS, OID_GEN_RECEIVE_HASH] {
            assert!(forwarded(one_to_one(asked(oid, Kind::Set), ALL)));
            assert!(!forwarded(one_to_one(asked(oid, Kind::Set), NONE)));
        }
        for oid in [OID_TCP_OFFLOAD_PARAMETERS, OID_OFFLOAD_ENCAPSULATION] {
            assert!(forwarded(one_to_one(asked(oid, Kind::Set), ALL)));
            assert!(!forwarded(one_to_one(asked(oid, Kind::Set), NONE)));
        }
        for oid in [
            OID_NDK_SET_STATE,
            OID_QOS_PARAMETERS,
            OID_NIC_SWITCH_CREATE_SWITCH,
            OID_SRIOV_CURRENT_CAPABILITIES,
            OID_GEN_RECEIVE_SCALE_PARAMETERS_V2,
        ] {
            assert!(!forwarded(one_to_one(asked(oid, Kind::Method), ALL)));
        }
    }

    /// OID-23: the mandatory ones get an answer from below.
    #[test]
    fn mandatory_requests_go_down() {
        for (oid, kind) in [
            (OID_GEN_CURRENT_LOOKAHEAD, Kind::Set),
            (OID_GEN_CURRENT_PACKET_FILTER, Kind::Set),
            (OID_GEN_INTERRUPT_MODERATION, Kind::Query),
            (OID_GEN_LINK_PARAMETERS, Kind::Set),
            (OID_GEN_RCV_OK, Kind::Query),
            (OID_GEN_XMIT_OK, Kind::Query),
            (OID_GEN_STATISTICS, Kind::Query),
            (OID_GEN_VENDOR_ID, Kind::Query),
            (OID_GEN_VENDOR_DESCRIPTION, Kind::Query),
            (OID_GEN_VENDOR_DRIVER_VERSION, Kind::Query),
            (OID_802_3_MULTICAST_LIST, Kind::Set),
        ] {
            assert!(forwarded(one_to_one(asked(oid, kind), NONE)), "{oid:?}");
        }
    }

    proptest! {
        /// OID-7: whatever comes from below or is refused here, the final
        /// status is one that NDIS allows.
        #[test]
        fn final_statuses_are_legal(oid: u32, status: i32, known in 0_usize..4) {
            let freeing = [
                OID_PM_REMOVE_WOL_PATTERN,
                OID_RECEIVE_FILTER_CLEAR_FILTER,
                OID_802_3_DELETE_MULTICAST_ADDRESS,
                OID_NIC_SWITCH_DELETE_SWITCH,
            ];
            let oid = if known < 3 { freeing[known] } else { NDIS_OID(oid) };
            let given = legal_final(oid, NDIS_STATUS(status));
            prop_assert_ne!(given, NDIS_STATUS_PENDING);
            let legal = [NDIS_STATUS_SUCCESS, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_REQUEST_ABORTED];
            if freeing.contains(&oid) {
                prop_assert!(legal.contains(&given));
                prop_assert!(legal.contains(&refusal(oid)));
            } else if status != NDIS_STATUS_PENDING.0 {
                prop_assert_eq!(given.0, status);
            }
        }

        /// Every request has a rule, and unknown ones go down as they are.
        #[test]
        fn any_request_has_a_rule(oid: u32, kind in 0_usize..4) {
            let rule = one_to_one(asked(NDIS_OID(oid), KINDS[kind]), ALL);
            if let Rule::Refuse(status) = rule {
                prop_assert_ne!(status, NDIS_STATUS_SUCCESS);
                prop_assert_ne!(status, NDIS_STATUS_PENDING);
            }
        }
    }
}

//! What becomes of a status indication from below: a pure table, the 1:1
//! column of the contract's table (section 15).

use crate::oid_table::Below;
use ndis::sys::{
    NDIS_STATUS, NDIS_STATUS_CURRENT_MAC_ADDRESS_CHANGE, NDIS_STATUS_LINK_STATE,
    NDIS_STATUS_NETWORK_CHANGE, NDIS_STATUS_OPER_STATUS, NDIS_STATUS_PM_CAPABILITIES_CHANGE,
    NDIS_STATUS_PM_HARDWARE_CAPABILITIES, NDIS_STATUS_PM_OFFLOAD_REJECTED,
    NDIS_STATUS_PM_WOL_PATTERN_REJECTED, NDIS_STATUS_RESET_END, NDIS_STATUS_RESET_START,
    NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES,
};

/// What becomes of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusRule {
    /// Rebuilt and indicated above (STS-1, STS-7).
    PassOn,
    /// The link: noted, and indicated when it differs from what was shown.
    Link,
    /// Wake-up capabilities: passed on within ATR-6.
    Power,
    /// Offload as configured: noted and passed on.
    Offload,
    /// Offload as configured: noted, and each miniport says what is left of it.
    OwnOffload,
    /// The adapter's address may have changed.
    Address,
    /// Starts to hold data (RST-2); not indicated (STS-3).
    ResetStart,
    /// Lets held data go.
    ResetEnd,
    /// Not indicated: NDIS makes its own (STS-3), or it is about a feature that
    /// the miniport does not show.
    Keep,
}

/// The 1:1 column.
pub const fn one_to_one(code: NDIS_STATUS, below: Below) -> StatusRule {
    match code {
        NDIS_STATUS_RESET_START => StatusRule::ResetStart,
        NDIS_STATUS_RESET_END => StatusRule::ResetEnd,
        NDIS_STATUS_OPER_STATUS | NDIS_STATUS_PM_CAPABILITIES_CHANGE => StatusRule::Keep,
        NDIS_STATUS_LINK_STATE => StatusRule::Link,
        NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG
        | NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES => {
            if below.offload {
                StatusRule::Offload
            } else {
                StatusRule::Keep
            }
        }
        NDIS_STATUS_PM_HARDWARE_CAPABILITIES => {
            if below.pm {
                StatusRule::Power
            } else {
                StatusRule::Keep
            }
        }
        // Patterns go down only to a PM-aware adapter.
        NDIS_STATUS_PM_WOL_PATTERN_REJECTED | NDIS_STATUS_PM_OFFLOAD_REJECTED => {
            if below.pm {
                StatusRule::PassOn
            } else {
                StatusRule::Keep
            }
        }
        _ if unexposed(code) => StatusRule::Keep,
        _ => StatusRule::PassOn,
    }
}

/// The column of many virtual miniports on one adapter: what a miniport shows is
/// its own, so that the adapter's words are not passed on.
pub const fn one_to_many(code: NDIS_STATUS, below: Below) -> StatusRule {
    match code {
        NDIS_STATUS_CURRENT_MAC_ADDRESS_CHANGE => StatusRule::Address,
        NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG if below.offload => StatusRule::OwnOffload,
        // Of wake-up and of what hardware could do, a miniport has its own.
        NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG
        | NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES
        | NDIS_STATUS_PM_HARDWARE_CAPABILITIES
        | NDIS_STATUS_PM_WOL_PATTERN_REJECTED
        | NDIS_STATUS_PM_OFFLOAD_REJECTED => StatusRule::Keep,
        _ => one_to_one(code, below),
    }
}

/// The column of one virtual miniport on many adapters: what one of them says is
/// about that one. The team hears of link, reset, address and offload, and says what
/// follows for itself (LBF-1, LBF-2, LBF-7); that the network behind a member is
/// another one is news for all.
pub const fn many_to_one(code: NDIS_STATUS, below: Below) -> StatusRule {
    match one_to_many(code, below) {
        StatusRule::PassOn if code.0 != NDIS_STATUS_NETWORK_CHANGE.0 => StatusRule::Keep,
        rule => rule,
    }
}

/// Status of features that the miniport does not show: receive filters, NIC
/// switch, QoS, GFT, header-data split.
const fn unexposed(code: NDIS_STATUS) -> bool {
    matches!(
        code.0 as u32,
        // HD_SPLIT_CURRENT_CONFIG, RECEIVE_QUEUE_STATE, RECEIVE_FILTER_xxx,
        // NIC_SWITCH_xxx, RECEIVE_FILTER_QUEUE_STATE_CHANGE.
        0x4002_000C | 0x4002_000D | 0x4002_0010..=0x4002_0060
            | 0x4002_0070
            // QOS_xxx, QOS_OFFLOAD_xxx, GFT_xxx.
            | 0x4002_00A0..=0x4002_00A1
            | 0x4002_0300..=0x4002_03FF
            | 0x4002_0400..=0x4002_04FF
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndis::sys::{
        NDIS_STATUS_GFT_OFFLOAD_CURRENT_CAPABILITIES, NDIS_STATUS_MEDIA_SPECIFIC_INDICATION,
        NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES, NDIS_STATUS_QOS_OPERATIONAL_PARAMETERS_CHANGE,
        NDIS_STATUS_RECEIVE_FILTER_CURRENT_CAPABILITIES,
    };

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

    /// STS-3: never indicated, whatever is below.
    #[test]
    fn what_ndis_makes_itself_is_kept() {
        for below in [ALL, NONE] {
            assert_eq!(
                one_to_one(NDIS_STATUS_RESET_START, below),
                StatusRule::ResetStart
            );
            assert_eq!(
                one_to_one(NDIS_STATUS_RESET_END, below),
                StatusRule::ResetEnd
            );
            assert_eq!(one_to_one(NDIS_STATUS_OPER_STATUS, below), StatusRule::Keep);
            assert_eq!(
                one_to_one(NDIS_STATUS_PM_CAPABILITIES_CHANGE, below),
                StatusRule::Keep
            );
        }
    }

    #[test]
    fn features_follow_what_is_shown() {
        for code in [
            NDIS_STATUS_PM_WOL_PATTERN_REJECTED,
            NDIS_STATUS_PM_OFFLOAD_REJECTED,
        ] {
            assert_eq!(one_to_one(code, ALL), StatusRule::PassOn);
            assert_eq!(one_to_one(code, NONE), StatusRule::Keep);
        }
        assert_eq!(
            one_to_one(NDIS_STATUS_PM_HARDWARE_CAPABILITIES, ALL),
            StatusRule::Power
        );
        assert_eq!(
            one_to_one(NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, ALL),
            StatusRule::Offload
        );
        assert_eq!(
            one_to_one(NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, NONE),
            StatusRule::Keep
        );
        for code in [
            NDIS_STATUS_RECEIVE_FILTER_CURRENT_CAPABILITIES,
            NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES,
            NDIS_STATUS_QOS_OPERATIONAL_PARAMETERS_CHANGE,
            NDIS_STATUS_GFT_OFFLOAD_CURRENT_CAPABILITIES,
        ] {
            assert_eq!(one_to_one(code, ALL), StatusRule::Keep, "{code:?}");
        }
    }

    /// What a miniport shows is its own.
    #[test]
    fn many_miniports_say_their_own() {
        for code in [
            NDIS_STATUS_PM_HARDWARE_CAPABILITIES,
            NDIS_STATUS_PM_WOL_PATTERN_REJECTED,
            NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES,
        ] {
            assert_eq!(one_to_many(code, ALL), StatusRule::Keep);
        }
        let offload = NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG;
        assert_eq!(one_to_many(offload, ALL), StatusRule::OwnOffload);
        assert_eq!(one_to_many(offload, NONE), StatusRule::Keep);
        let mac = NDIS_STATUS_CURRENT_MAC_ADDRESS_CHANGE;
        assert_eq!(one_to_many(mac, NONE), StatusRule::Address);
        for code in [
            NDIS_STATUS_LINK_STATE,
            NDIS_STATUS_RESET_START,
            NDIS_STATUS_OPER_STATUS,
        ] {
            assert_eq!(one_to_many(code, ALL), one_to_one(code, ALL));
        }
    }

    /// One member's words are not the team's.
    #[test]
    fn a_team_says_its_own() {
        for (code, rule) in [
            (NDIS_STATUS_LINK_STATE, StatusRule::Link),
            (NDIS_STATUS_RESET_START, StatusRule::ResetStart),
            (NDIS_STATUS_RESET_END, StatusRule::ResetEnd),
            (NDIS_STATUS_CURRENT_MAC_ADDRESS_CHANGE, StatusRule::Address),
            (
                NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG,
                StatusRule::OwnOffload,
            ),
            (NDIS_STATUS_PM_HARDWARE_CAPABILITIES, StatusRule::Keep),
            (NDIS_STATUS_MEDIA_SPECIFIC_INDICATION, StatusRule::Keep),
            (NDIS_STATUS_NETWORK_CHANGE, StatusRule::PassOn),
        ] {
            assert_eq!(many_to_one(code, ALL), rule, "{code:?}");
        }
    }

    /// STS-7: no reason to change it.
    #[test]
    fn the_rest_is_passed_on() {
        for code in [
            NDIS_STATUS_NETWORK_CHANGE,
            NDIS_STATUS_MEDIA_SPECIFIC_INDICATION,
        ] {
            assert_eq!(one_to_one(code, NONE), StatusRule::PassOn);
        }
        assert_eq!(one_to_one(NDIS_STATUS_LINK_STATE, NONE), StatusRule::Link);
    }
}

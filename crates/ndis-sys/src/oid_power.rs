//! Object identifiers of plug and play and power: `OID_PNP_*`, `OID_PM_*`.
//!
//! Documentation:
//! * [Required and optional OIDs for power management](https://learn.microsoft.com/windows-hardware/drivers/network/required-and-optional-oids-for-power-management)

use crate::NDIS_OID;

constants! {
    /// Object identifier of NDIS 6.20 power management.
    NDIS_OID {
        OID_PM_CURRENT_CAPABILITIES = 0xFD01_0107,
        OID_PM_HARDWARE_CAPABILITIES = 0xFD01_0108,
        OID_PM_PARAMETERS = 0xFD01_0109,
        OID_PM_ADD_WOL_PATTERN = 0xFD01_010A,
        OID_PM_REMOVE_WOL_PATTERN = 0xFD01_010B,
        OID_PM_WOL_PATTERN_LIST = 0xFD01_010C,
        OID_PM_ADD_PROTOCOL_OFFLOAD = 0xFD01_010D,
        OID_PM_GET_PROTOCOL_OFFLOAD = 0xFD01_010E,
        OID_PM_REMOVE_PROTOCOL_OFFLOAD = 0xFD01_010F,
        OID_PM_PROTOCOL_OFFLOAD_LIST = 0xFD01_0110,
        OID_PM_RESERVED_1 = 0xFD01_0111,
    }
    /// Object identifier of plug and play and power.
    NDIS_OID {
        OID_PNP_CAPABILITIES = 0xFD01_0100,
        OID_PNP_SET_POWER = 0xFD01_0101,
        OID_PNP_QUERY_POWER = 0xFD01_0102,
        OID_PNP_ADD_WAKE_UP_PATTERN = 0xFD01_0103,
        OID_PNP_REMOVE_WAKE_UP_PATTERN = 0xFD01_0104,
        OID_PNP_WAKE_UP_PATTERN_LIST = 0xFD01_0105,
        OID_PNP_ENABLE_WAKE_UP = 0xFD01_0106,
        OID_PNP_WAKE_UP_OK = 0xFD02_0200,
        OID_PNP_WAKE_UP_ERROR = 0xFD02_0201,
    }
}

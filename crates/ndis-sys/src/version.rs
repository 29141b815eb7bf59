//! Versions of NDIS, and routines looked up at run time.
//!
//! Documentation:
//! * [NdisGetVersion](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/nf-ndis-ndisgetversion)

use crate::{LARGE_INTEGER, PVOID, UCHAR, UINT, ULONG, UNICODE_STRING};

aliases! {
    /// A counted string of NDIS.
    NDIS_STRING = UNICODE_STRING;
}

constants! {
    /// A version as `NdisGetVersion` reports it: major in the upper half, minor in the lower.
    ULONG {
        NDIS_RUNTIME_VERSION_60 = 0x0006_0000,
        NDIS_RUNTIME_VERSION_61 = 0x0006_0001,
        NDIS_RUNTIME_VERSION_620 = 0x0006_0014,
        NDIS_RUNTIME_VERSION_630 = 0x0006_001E,
        NDIS_RUNTIME_VERSION_640 = 0x0006_0028,
        NDIS_RUNTIME_VERSION_650 = 0x0006_0032,
        NDIS_RUNTIME_VERSION_651 = 0x0006_0033,
        NDIS_RUNTIME_VERSION_660 = 0x0006_003C,
        NDIS_RUNTIME_VERSION_670 = 0x0006_0046,
        NDIS_RUNTIME_VERSION_680 = 0x0006_0050,
        NDIS_RUNTIME_VERSION_681 = 0x0006_0051,
        NDIS_RUNTIME_VERSION_682 = 0x0006_0052,
        NDIS_RUNTIME_VERSION_683 = 0x0006_0053,
        NDIS_RUNTIME_VERSION_684 = 0x0006_0054,
        NDIS_RUNTIME_VERSION_685 = 0x0006_0055,
        NDIS_RUNTIME_VERSION_686 = 0x0006_0056,
        NDIS_RUNTIME_VERSION_687 = 0x0006_0057,
    }
    /// Newest version of this table, as a driver registers it.
    ULONG {
        NDIS_FILTER_MAJOR_VERSION = 6,
        NDIS_FILTER_MINIMUM_MAJOR_VERSION = 6,
        NDIS_MINIPORT_MAJOR_VERSION = 6,
        NDIS_MINIPORT_MINIMUM_MAJOR_VERSION = 6,
        NDIS_PROTOCOL_MAJOR_VERSION = 6,
        NDIS_PROTOCOL_MINIMUM_MAJOR_VERSION = 6,
        NDIS_FILTER_MINIMUM_MINOR_VERSION = 87,
        NDIS_FILTER_MINOR_VERSION = 87,
        NDIS_MINIPORT_MINIMUM_MINOR_VERSION = 87,
        NDIS_MINIPORT_MINOR_VERSION = 87,
        NDIS_PROTOCOL_MINIMUM_MINOR_VERSION = 87,
        NDIS_PROTOCOL_MINOR_VERSION = 87,
    }
}

imports! {
    "ndis.sys";
    /// Looks up a routine of NDIS by name. IRQL: `PASSIVE_LEVEL`.
    fn NdisGetRoutineAddress(NdisRoutineName: *mut UNICODE_STRING) -> PVOID;
    /// Returns the time since start, in milliseconds. IRQL: any.
    fn NdisGetSystemUpTimeEx(pSystemUpTime: *mut LARGE_INTEGER);
    /// Returns the version of NDIS. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisGetVersion() -> UINT;
    /// Makes a counted string of a string of bytes; it allocates. IRQL: `PASSIVE_LEVEL`.
    fn NdisInitializeString(Destination: *mut UNICODE_STRING, Source: *mut UCHAR);
}

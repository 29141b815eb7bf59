//! Restart attributes, which travel up the stack when it restarts.
//!
//! Documentation:
//! * [NDIS_RESTART_GENERAL_ATTRIBUTES](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/ns-ndis-_ndis_restart_general_attributes)

use crate::{
    LONG, NDIS_OBJECT_HEADER, NDIS_OID, NDIS_RECEIVE_SCALE_CAPABILITIES, NET_IF_ACCESS_TYPE,
    NET_IF_CONNECTION_TYPE, UCHAR, ULONG, ULONG64, USHORT,
};

constants! {
    /// Value of the general restart attributes.
    LONG {
        NDIS_MAX_LOOKAHEAD_SIZE_ACCESSED_UNDEFINED = -1,
    }
    /// Value of the general restart attributes.
    ULONG {
        NDIS_RESTART_GENERAL_ATTRIBUTES_MAX_LOOKAHEAD_ACCESSED_DEFINED = 1,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_1 = 1,
        NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_2 = 2,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_1 = 84,
        NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_2 = 88,
    }
}

structs! {
    /// One entry in the list of restart attributes.
    #[repr(align(16))]
    struct NDIS_RESTART_ATTRIBUTES [32, 16] {
        0 Next: *mut NDIS_RESTART_ATTRIBUTES,
        8 Oid: NDIS_OID,
        12 DataLength: ULONG,
        16 Data: [UCHAR; 1],
    }
    /// The general attributes of the adapter below, at a restart.
    struct NDIS_RESTART_GENERAL_ATTRIBUTES [88, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MtuSize: ULONG,
        8 MaxXmitLinkSpeed: ULONG64,
        16 MaxRcvLinkSpeed: ULONG64,
        24 LookaheadSize: ULONG,
        28 MacOptions: ULONG,
        32 SupportedPacketFilters: ULONG,
        36 MaxMulticastListSize: ULONG,
        40 RecvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
        48 AccessType: NET_IF_ACCESS_TYPE,
        52 Flags: ULONG,
        56 ConnectionType: NET_IF_CONNECTION_TYPE,
        60 SupportedStatistics: ULONG,
        64 DataBackFillSize: ULONG,
        68 ContextBackFillSize: ULONG,
        72 SupportedOidList: *mut NDIS_OID,
        80 SupportedOidListLength: ULONG,
        84 MaxLookaheadSizeAccessed: ULONG,
    }
}

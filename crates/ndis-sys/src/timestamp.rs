//! Packet timestamping.
//!
//! Documentation:
//! * [Overview of NDIS packet timestamping](https://learn.microsoft.com/windows-hardware/drivers/network/overview-of-ndis-packet-timestamping)

use crate::{BOOLEAN, NDIS_OBJECT_HEADER, UCHAR, ULONG64, USHORT};

constants! {
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_TIMESTAMP_CAPABILITIES_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_TIMESTAMP_CAPABILITIES_REVISION_1 = 54,
    }
}

structs! {
    /// What an adapter can do for timestamps.
    struct NDIS_TIMESTAMP_CAPABILITIES [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 HardwareClockFrequencyHz: ULONG64,
        16 CrossTimestamp: BOOLEAN,
        24 Reserved1: ULONG64,
        32 Reserved2: ULONG64,
        40 TimestampFlags: NDIS_TIMESTAMP_CAPABILITY_FLAGS,
    }
    /// Which packets an adapter can give timestamps.
    struct NDIS_TIMESTAMP_CAPABILITY_FLAGS [14, 1] {
        0 PtpV2OverUdpIPv4EventMsgReceiveHw: BOOLEAN,
        1 PtpV2OverUdpIPv4AllMsgReceiveHw: BOOLEAN,
        2 PtpV2OverUdpIPv4EventMsgTransmitHw: BOOLEAN,
        3 PtpV2OverUdpIPv4AllMsgTransmitHw: BOOLEAN,
        4 PtpV2OverUdpIPv6EventMsgReceiveHw: BOOLEAN,
        5 PtpV2OverUdpIPv6AllMsgReceiveHw: BOOLEAN,
        6 PtpV2OverUdpIPv6EventMsgTransmitHw: BOOLEAN,
        7 PtpV2OverUdpIPv6AllMsgTransmitHw: BOOLEAN,
        8 AllReceiveHw: BOOLEAN,
        9 AllTransmitHw: BOOLEAN,
        10 TaggedTransmitHw: BOOLEAN,
        11 AllReceiveSw: BOOLEAN,
        12 AllTransmitSw: BOOLEAN,
        13 TaggedTransmitSw: BOOLEAN,
    }
}

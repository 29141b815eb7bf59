//! Quality of service: data center bridging and hardware scheduler queues.
//!
//! Documentation:
//! * [NDIS QoS architecture for data center bridging](https://learn.microsoft.com/windows-hardware/drivers/network/ndis-qos-architecture-for-data-center-bridging)

use crate::{BOOLEAN, NDIS_OBJECT_HEADER, UCHAR, UINT64, ULONG, USHORT};

scalars! {
    /// A scheduler queue.
    NDIS_QOS_SQ_ID = ULONG;
}

constants! {
    /// Flag of a scheduler queue.
    ULONG {
        NDIS_QOS_SQ_TRANSMIT_CAP_ENABLED = 1,
        NDIS_QOS_SQ_TRANSMIT_RESERVATION_ENABLED = 2,
        NDIS_QOS_SQ_RECEIVE_CAP_ENABLED = 4,
    }
    /// Value for data center bridging.
    ULONG {
        NDIS_QOS_ACTION_PRIORITY = 0,
        NDIS_QOS_CONDITION_RESERVED = 0,
        NDIS_QOS_DEFAULT_SQ_ID = 0,
        NDIS_QOS_TSA_STRICT = 0,
        NDIS_QOS_ACTION_MAXIMUM = 1,
        NDIS_QOS_CAPABILITIES_STRICT_TSA_SUPPORTED = 1,
        NDIS_QOS_CONDITION_DEFAULT = 1,
        NDIS_QOS_OFFLOAD_CAPS_STANDARD_SQ = 1,
        NDIS_QOS_PARAMETERS_ETS_CHANGED = 1,
        NDIS_QOS_TSA_CBS = 1,
        NDIS_QOS_CAPABILITIES_MACSEC_BYPASS_SUPPORTED = 2,
        NDIS_QOS_CONDITION_TCP_PORT = 2,
        NDIS_QOS_OFFLOAD_CAPS_GFT_SQ = 2,
        NDIS_QOS_PARAMETERS_ETS_CONFIGURED = 2,
        NDIS_QOS_TSA_ETS = 2,
        NDIS_QOS_CONDITION_UDP_PORT = 3,
        NDIS_QOS_TSA_MAXIMUM = 3,
        NDIS_QOS_CAPABILITIES_CEE_DCBX_SUPPORTED = 4,
        NDIS_QOS_CONDITION_TCP_OR_UDP_PORT = 4,
        NDIS_QOS_CONDITION_ETHERTYPE = 5,
        NDIS_QOS_CONDITION_NETDIRECT_PORT = 6,
        NDIS_QOS_CONDITION_MAXIMUM = 7,
        NDIS_QOS_CAPABILITIES_IEEE_DCBX_SUPPORTED = 8,
        NDIS_QOS_MAXIMUM_PRIORITIES = 8,
        NDIS_QOS_MAXIMUM_TRAFFIC_CLASSES = 8,
        NDIS_QOS_PARAMETERS_PFC_CHANGED = 0x100,
        NDIS_QOS_PARAMETERS_PFC_CONFIGURED = 0x200,
        NDIS_QOS_PARAMETERS_CLASSIFICATION_CHANGED = 0x0001_0000,
        NDIS_QOS_PARAMETERS_CLASSIFICATION_CONFIGURED = 0x0002_0000,
        NDIS_QOS_CLASSIFICATION_ENFORCED_BY_MINIPORT = 0x0100_0000,
        NDIS_QOS_PARAMETERS_WILLING = 0x8000_0000,
        NDIS_QOS_CLASSIFICATION_SET_BY_MINIPORT_MASK = 0xFF00_0000,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_QOS_CAPABILITIES_REVISION_1 = 1,
        NDIS_QOS_CLASSIFICATION_ELEMENT_REVISION_1 = 1,
        NDIS_QOS_OFFLOAD_CAPABILITIES_REVISION_1 = 1,
        NDIS_QOS_OFFLOAD_CAPABILITIES_REVISION_2 = 2,
        NDIS_QOS_PARAMETERS_REVISION_1 = 1,
        NDIS_QOS_SQ_ARRAY_REVISION_1 = 1,
        NDIS_QOS_SQ_PARAMETERS_ARRAY_REVISION_1 = 1,
        NDIS_QOS_SQ_PARAMETERS_REVISION_1 = 1,
        NDIS_QOS_SQ_PARAMETERS_REVISION_2 = 2,
        NDIS_QOS_SQ_STATS_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_QOS_CAPABILITIES_REVISION_1 = 20,
        NDIS_SIZEOF_QOS_CLASSIFICATION_ELEMENT_REVISION_1 = 16,
        NDIS_SIZEOF_QOS_OFFLOAD_CAPABILITIES_REVISION_1 = 76,
        NDIS_SIZEOF_QOS_OFFLOAD_CAPABILITIES_REVISION_2 = 77,
        NDIS_SIZEOF_QOS_PARAMETERS_REVISION_1 = 52,
        NDIS_SIZEOF_QOS_SQ_ARRAY_REVISION_1 = 32,
        NDIS_SIZEOF_QOS_SQ_PARAMETERS_ENUM_ARRAY_REVISION_1 = 32,
        NDIS_SIZEOF_QOS_SQ_PARAMETERS_REVISION_1 = 120,
        NDIS_SIZEOF_QOS_SQ_PARAMETERS_REVISION_2 = 128,
        NDIS_SIZEOF_QOS_SQ_STATS_REVISION_1 = 144,
    }
}

enums! {
    /// Kind of scheduler queue.
    NDIS_QOS_SQ_TYPE {
        NdisQosSqTypeUndefined = 0,
        NdisQosSqTypeStandard = 1,
        NdisQosSqTypeGFT = 2,
        NdisQosSqTypeMax = 3,
    }
}

structs! {
    /// What an adapter can do for data center bridging.
    struct NDIS_QOS_CAPABILITIES [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 MaxNumTrafficClasses: ULONG,
        12 MaxNumEtsCapableTrafficClasses: ULONG,
        16 MaxNumPfcEnabledTrafficClasses: ULONG,
    }
    /// Which packets belong to a traffic class.
    struct NDIS_QOS_CLASSIFICATION_ELEMENT [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 ConditionSelector: USHORT,
        10 ConditionField: USHORT,
        12 ActionSelector: USHORT,
        14 ActionField: USHORT,
    }
    /// What an adapter's scheduler queues can do.
    struct NDIS_QOS_OFFLOAD_CAPABILITIES [80, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SupportedSqTypes: ULONG,
        12 TransmitCapSupported: [BOOLEAN; 8],
        20 TransmitReservationSupported: [BOOLEAN; 8],
        28 ReceiveCapSupported: [BOOLEAN; 8],
        36 TransmitGftCapSupported: [BOOLEAN; 8],
        44 ReceiveGftCapSupported: [BOOLEAN; 8],
        52 TcSupportedTable: [BOOLEAN; 8],
        60 NumStandardSqsSupported: ULONG,
        64 NumGftSqsSupported: ULONG,
        68 ReservationGranularitySupported: ULONG,
        72 MaxNumSqInputs: ULONG,
        76 CrossTcTransmitMaxCapSupported: BOOLEAN,
    }
    /// Settings of data center bridging.
    struct NDIS_QOS_PARAMETERS [52, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 NumTrafficClasses: ULONG,
        12 PriorityAssignmentTable: [UCHAR; 8],
        20 TcBandwidthAssignmentTable: [UCHAR; 8],
        28 TsaAssignmentTable: [UCHAR; 8],
        36 PfcEnable: ULONG,
        40 NumClassificationElements: ULONG,
        44 ClassificationElementSize: ULONG,
        48 FirstClassificationElementOffset: ULONG,
    }
    /// A list of scheduler queues.
    struct NDIS_QOS_SQ_ARRAY [32, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SqType: NDIS_QOS_SQ_TYPE,
        12 FirstSqId: NDIS_QOS_SQ_ID,
        16 MaxSqsToReturn: ULONG,
        20 SqArrayOffset: ULONG,
        24 SqArrayNumElements: ULONG,
        28 SqArrayElementSize: ULONG,
        also {
            20 SqParamsArrayOffset: ULONG,
            24 SqParamsArrayNumElements: ULONG,
            28 SqParamsArrayElementSize: ULONG,
        }
    }
    /// A scheduler queue.
    struct NDIS_QOS_SQ_PARAMETERS [128, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SqId: NDIS_QOS_SQ_ID,
        12 SqType: NDIS_QOS_SQ_TYPE,
        16 TcEnabledTable: [BOOLEAN; 8],
        24 TcTransmitBandwidthCapTable: [ULONG; 8],
        56 TcTransmitBandwidthReservationTable: [ULONG; 8],
        88 TcReceiveBandwidthCapTable: [ULONG; 8],
        120 CrossTcTransmitBandwidthCap: ULONG,
        124 MaxNumSqInputs: ULONG,
    }
    /// The scheduler queues of an adapter.
    struct NDIS_QOS_SQ_PARAMETERS_ENUM_ARRAY [32, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SqType: NDIS_QOS_SQ_TYPE,
        12 FirstSqId: NDIS_QOS_SQ_ID,
        16 MaxSqsToReturn: ULONG,
        20 SqArrayOffset: ULONG,
        24 SqArrayNumElements: ULONG,
        28 SqArrayElementSize: ULONG,
        also {
            20 SqParamsArrayOffset: ULONG,
            24 SqParamsArrayNumElements: ULONG,
            28 SqParamsArrayElementSize: ULONG,
        }
    }
    /// Statistics of a scheduler queue.
    struct NDIS_QOS_SQ_STATS [144, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SqId: NDIS_QOS_SQ_ID,
        12 SqType: NDIS_QOS_SQ_TYPE,
        16 BytesTransmitted: [UINT64; 8],
        80 PktsTransmitted: [UINT64; 8],
    }
}

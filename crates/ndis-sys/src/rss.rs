//! Receive side scaling and receive segment coalescing.
//!
//! Documentation:
//! * [Introduction to receive side scaling](https://learn.microsoft.com/windows-hardware/drivers/network/introduction-to-receive-side-scaling)
//! * [Overview of receive segment coalescing](https://learn.microsoft.com/windows-hardware/drivers/network/overview-of-receive-segment-coalescing)

use crate::{
    NDIS_NIC_SWITCH_ID, NDIS_NIC_SWITCH_VPORT_ID, NDIS_OBJECT_HEADER, NDIS_STATUS,
    PROCESSOR_NUMBER, UCHAR, ULONG, ULONG64, USHORT,
};

scalars! {
    /// Flags of the receive side scaling capabilities.
    NDIS_RSS_CAPS_FLAGS = ULONG;
}

constants! {
    /// Limit of an RSS table or key.
    ULONG {
        NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_1 = 40,
        NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_2 = 40,
        NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_3 = 40,
        NDIS_RSS_HASH_SECRET_KEY_SIZE_REVISION_1 = 40,
        NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_1 = 128,
        NDIS_RSS_INDIRECTION_TABLE_SIZE_REVISION_1 = 128,
        NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_2 = 512,
        NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_3 = 512,
    }
    /// Flag of `NDIS_RECEIVE_SCALE_CAPABILITIES::CapabilitiesFlags`.
    ULONG {
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4 = 0x100,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6 = 0x200,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6_EX = 0x400,
        NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4 = 0x800,
        NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6 = 0x1000,
        NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6_EX = 0x2000,
        NDIS_RSS_CAPS_MESSAGE_SIGNALED_INTERRUPTS = 0x0100_0000,
        NDIS_RSS_CAPS_CLASSIFICATION_AT_ISR = 0x0200_0000,
        NDIS_RSS_CAPS_CLASSIFICATION_AT_DPC = 0x0400_0000,
        NDIS_RSS_CAPS_USING_MSI_X = 0x0800_0000,
        NDIS_RSS_CAPS_RSS_AVAILABLE_ON_PORTS = 0x1000_0000,
        NDIS_RSS_CAPS_SUPPORTS_MSI_X = 0x2000_0000,
        NDIS_RSS_CAPS_SUPPORTS_INDEPENDENT_ENTRY_MOVE = 0x4000_0000,
    }
    /// Flag of `NDIS_RECEIVE_SCALE_PARAMETERS::Flags`.
    ULONG {
        NDIS_RSS_PARAM_FLAG_BASE_CPU_UNCHANGED = 1,
        NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED = 2,
        NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED = 4,
        NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED = 8,
        NDIS_RSS_PARAM_FLAG_DISABLE_RSS = 0x10,
        NDIS_RSS_PARAM_FLAG_DEFAULT_PROCESSOR_UNCHANGED = 0x20,
    }
    /// Flag of `NDIS_RECEIVE_SCALE_PARAMETERS_V2::Flags`.
    ULONG {
        NDIS_RECEIVE_SCALE_PARAM_ENABLE_RSS = 1,
        NDIS_RECEIVE_SCALE_PARAM_HASH_INFO_CHANGED = 2,
        NDIS_RECEIVE_SCALE_PARAM_HASH_KEY_CHANGED = 4,
        NDIS_RECEIVE_SCALE_PARAM_NUMBER_OF_QUEUES_CHANGED = 8,
        NDIS_RECEIVE_SCALE_PARAM_NUMBER_OF_ENTRIES_CHANGED = 0x10,
    }
    /// Flag of `NDIS_RSS_SET_INDIRECTION_ENTRY::Flags`.
    ULONG {
        NDIS_RSS_SET_INDIRECTION_ENTRY_FLAG_PRIMARY_PROCESSOR = 1,
        NDIS_RSS_SET_INDIRECTION_ENTRY_FLAG_DEFAULT_PROCESSOR = 2,
    }
    /// Flag of `NDIS_RECEIVE_HASH_PARAMETERS::Flags`.
    ULONG {
        NDIS_RECEIVE_HASH_FLAG_ENABLE_HASH = 1,
        NDIS_RECEIVE_HASH_FLAG_HASH_INFO_UNCHANGED = 2,
        NDIS_RECEIVE_HASH_FLAG_HASH_KEY_UNCHANGED = 4,
    }
    /// Type or function of the receive hash.
    ULONG {
        NDIS_HASH_FUNCTION_MASK = 0xFF,
        NDIS_HASH_IPV4 = 0x100,
        NDIS_HASH_TCP_IPV4 = 0x200,
        NDIS_HASH_IPV6 = 0x400,
        NDIS_HASH_IPV6_EX = 0x800,
        NDIS_HASH_TCP_IPV6 = 0x1000,
        NDIS_HASH_TCP_IPV6_EX = 0x2000,
        NDIS_HASH_UDP_IPV4 = 0x4000,
        NDIS_HASH_UDP_IPV6 = 0x8000,
        NDIS_HASH_UDP_IPV6_EX = 0x0001_0000,
        NDIS_HASH_TYPE_MASK = 0x00FF_FF00,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_RECEIVE_HASH_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_1 = 1,
        NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_2 = 2,
        NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_3 = 3,
        NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_2 = 2,
        NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_3 = 3,
        NDIS_RECEIVE_SCALE_PARAMETERS_V2_REVISION_1 = 1,
        NDIS_RSS_PROCESSOR_INFO_REVISION_1 = 1,
        NDIS_RSS_PROCESSOR_INFO_REVISION_2 = 2,
        NDIS_RSS_SET_INDIRECTION_ENTRIES_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_RECEIVE_HASH_PARAMETERS_REVISION_1 = 20,
        NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_1 = 16,
        NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_2 = 18,
        NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_3 = 18,
        NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_1 = 28,
        NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2 = 40,
        NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_3 = 44,
        NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_V2_REVISION_1 = 28,
        NDIS_SIZEOF_RSC_STATISTICS_REVISION_1 = 40,
        NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_1 = 32,
        NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_2 = 40,
        NDIS_SIZEOF_RSS_PROCESSOR_REVISION_1 = 6,
        NDIS_SIZEOF_RSS_SET_INDIRECTION_ENTRIES_REVISION_1 = 20,
        NDIS_SIZEOF_RSS_SET_INDIRECTION_ENTRY_REVISION_1 = 24,
    }
}

enums! {
    /// How processors are chosen for receive side scaling.
    NDIS_RSS_PROFILE {
        NdisRssProfileClosest = 1,
        NdisRssProfileClosestStatic = 2,
        NdisRssProfileNuma = 3,
        NdisRssProfileNumaStatic = 4,
        NdisRssProfileConservative = 5,
        NdisRssProfileMaximum = 6,
    }
}

structs! {
    /// Hash calculation without scaling.
    struct NDIS_RECEIVE_HASH_PARAMETERS [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 HashInformation: ULONG,
        12 HashSecretKeySize: USHORT,
        16 HashSecretKeyOffset: ULONG,
    }
    /// What an adapter can do for receive side scaling.
    struct NDIS_RECEIVE_SCALE_CAPABILITIES [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 CapabilitiesFlags: NDIS_RSS_CAPS_FLAGS,
        8 NumberOfInterruptMessages: ULONG,
        12 NumberOfReceiveQueues: ULONG,
        16 NumberOfIndirectionTableEntries: USHORT,
    }
    /// Settings of receive side scaling.
    struct NDIS_RECEIVE_SCALE_PARAMETERS [44, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: USHORT,
        6 BaseCpuNumber: USHORT,
        8 HashInformation: ULONG,
        12 IndirectionTableSize: USHORT,
        16 IndirectionTableOffset: ULONG,
        20 HashSecretKeySize: USHORT,
        24 HashSecretKeyOffset: ULONG,
        28 ProcessorMasksOffset: ULONG,
        32 NumberOfProcessorMasks: ULONG,
        36 ProcessorMasksEntrySize: ULONG,
        40 DefaultProcessorNumber: PROCESSOR_NUMBER,
    }
    /// Settings of receive side scaling, version 2.
    struct NDIS_RECEIVE_SCALE_PARAMETERS_V2 [28, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 HashInformation: ULONG,
        12 HashSecretKeySize: ULONG,
        16 HashSecretKeyOffset: ULONG,
        20 NumberOfQueues: ULONG,
        24 NumberOfIndirectionTableEntries: ULONG,
    }
    /// Statistics of receive segment coalescing.
    struct NDIS_RSC_STATISTICS_INFO [40, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 CoalescedPkts: ULONG64,
        16 CoalescedOctets: ULONG64,
        24 CoalesceEvents: ULONG64,
        32 Aborts: ULONG64,
    }
    /// One processor for receive side scaling.
    struct NDIS_RSS_PROCESSOR [8, 2] {
        0 ProcNum: PROCESSOR_NUMBER,
        4 PreferenceIndex: USHORT,
        6 Reserved: USHORT,
    }
    /// The processors for receive side scaling.
    struct NDIS_RSS_PROCESSOR_INFO [40, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 RssBaseProcessor: PROCESSOR_NUMBER,
        12 MaxNumRssProcessors: ULONG,
        16 PreferredNumaNode: USHORT,
        20 RssProcessorArrayOffset: ULONG,
        24 RssProcessorCount: ULONG,
        28 RssProcessorEntrySize: ULONG,
        32 RssMaxProcessor: PROCESSOR_NUMBER,
        36 RssProfile: NDIS_RSS_PROFILE,
    }
    /// Entries of indirection tables to move.
    struct NDIS_RSS_SET_INDIRECTION_ENTRIES [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 RssEntrySize: ULONG,
        12 RssEntryTableOffset: ULONG,
        16 NumberOfRssEntries: ULONG,
    }
    /// One entry of an indirection table to move.
    struct NDIS_RSS_SET_INDIRECTION_ENTRY [24, 4] {
        0 SwitchId: NDIS_NIC_SWITCH_ID,
        4 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
        8 Flags: ULONG,
        12 IndirectionTableIndex: USHORT,
        14 TargetProcessorNumber: PROCESSOR_NUMBER,
        20 EntryStatus: NDIS_STATUS,
    }
}

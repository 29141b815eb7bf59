//! rss

use crate::*;

scalars! {
    NDIS_RSS_CAPS_FLAGS = ULONG;
}

constants! {
    ULONG {
        NDIS_RECEIVE_HASH_FLAG_ENABLE_HASH = 1,
        NDIS_RECEIVE_SCALE_PARAM_ENABLE_RSS = 1,
        NDIS_RSS_PARAM_FLAG_BASE_CPU_UNCHANGED = 1,
        NDIS_RSS_SET_INDIRECTION_ENTRY_FLAG_PRIMARY_PROCESSOR = 1,
        NDIS_RECEIVE_HASH_FLAG_HASH_INFO_UNCHANGED = 2,
        NDIS_RECEIVE_SCALE_PARAM_HASH_INFO_CHANGED = 2,
        NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED = 2,
        NDIS_RSS_SET_INDIRECTION_ENTRY_FLAG_DEFAULT_PROCESSOR = 2,
        NDIS_RECEIVE_HASH_FLAG_HASH_KEY_UNCHANGED = 4,
        NDIS_RECEIVE_SCALE_PARAM_HASH_KEY_CHANGED = 4,
        NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED = 4,
        NDIS_RECEIVE_SCALE_PARAM_NUMBER_OF_QUEUES_CHANGED = 8,
        NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED = 8,
        NDIS_RECEIVE_SCALE_PARAM_NUMBER_OF_ENTRIES_CHANGED = 0x10,
        NDIS_RSS_PARAM_FLAG_DISABLE_RSS = 0x10,
        NDIS_RSS_PARAM_FLAG_DEFAULT_PROCESSOR_UNCHANGED = 0x20,
        NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_1 = 40,
        NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_2 = 40,
        NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_3 = 40,
        NDIS_RSS_HASH_SECRET_KEY_SIZE_REVISION_1 = 40,
        NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_1 = 0x80,
        NDIS_RSS_INDIRECTION_TABLE_SIZE_REVISION_1 = 0x80,
        NDIS_HASH_FUNCTION_MASK = 255,
        NDIS_HASH_IPV4 = 0x100,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4 = 0x100,
        NDIS_HASH_TCP_IPV4 = 0x200,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6 = 0x200,
        NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_2 = 0x200,
        NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_3 = 0x200,
        NDIS_HASH_IPV6 = 0x400,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6_EX = 0x400,
        NDIS_HASH_IPV6_EX = 0x800,
        NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4 = 0x800,
        NDIS_HASH_TCP_IPV6 = 0x1000,
        NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6 = 0x1000,
        NDIS_HASH_TCP_IPV6_EX = 0x2000,
        NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6_EX = 0x2000,
        NDIS_HASH_UDP_IPV4 = 0x4000,
        NDIS_HASH_UDP_IPV6 = 0x8000,
        NDIS_HASH_UDP_IPV6_EX = 0x0001_0000,
        NDIS_HASH_TYPE_MASK = 0x00FF_FF00,
        NDIS_RSS_CAPS_MESSAGE_SIGNALED_INTERRUPTS = 0x0100_0000,
        NDIS_RSS_CAPS_CLASSIFICATION_AT_ISR = 0x0200_0000,
        NDIS_RSS_CAPS_CLASSIFICATION_AT_DPC = 0x0400_0000,
        NDIS_RSS_CAPS_USING_MSI_X = 0x0800_0000,
        NDIS_RSS_CAPS_RSS_AVAILABLE_ON_PORTS = 0x1000_0000,
        NDIS_RSS_CAPS_SUPPORTS_MSI_X = 0x2000_0000,
        NDIS_RSS_CAPS_SUPPORTS_INDEPENDENT_ENTRY_MOVE = 0x4000_0000,
    }
    UCHAR {
        NDIS_RECEIVE_HASH_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_1 = 1,
        NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_SCALE_PARAMETERS_V2_REVISION_1 = 1,
        NDIS_RSS_PROCESSOR_INFO_REVISION_1 = 1,
        NDIS_RSS_SET_INDIRECTION_ENTRIES_REVISION_1 = 1,
        NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_2 = 2,
        NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_2 = 2,
        NDIS_RSS_PROCESSOR_INFO_REVISION_2 = 2,
        NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_3 = 3,
        NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_3 = 3,
    }
}

enums! {
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
    struct NDIS_RECEIVE_HASH_PARAMETERS [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 HashInformation: ULONG,
        12 HashSecretKeySize: USHORT,
        16 HashSecretKeyOffset: ULONG,
    }
    struct NDIS_RECEIVE_SCALE_CAPABILITIES [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 CapabilitiesFlags: NDIS_RSS_CAPS_FLAGS,
        8 NumberOfInterruptMessages: ULONG,
        12 NumberOfReceiveQueues: ULONG,
        16 NumberOfIndirectionTableEntries: USHORT,
    }
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
    struct NDIS_RECEIVE_SCALE_PARAMETERS_V2 [28, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 HashInformation: ULONG,
        12 HashSecretKeySize: ULONG,
        16 HashSecretKeyOffset: ULONG,
        20 NumberOfQueues: ULONG,
        24 NumberOfIndirectionTableEntries: ULONG,
    }
    struct NDIS_RSC_STATISTICS_INFO [40, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 CoalescedPkts: ULONG64,
        16 CoalescedOctets: ULONG64,
        24 CoalesceEvents: ULONG64,
        32 Aborts: ULONG64,
    }
    struct NDIS_RSS_PROCESSOR [8, 2] {
        0 ProcNum: PROCESSOR_NUMBER,
        4 PreferenceIndex: USHORT,
        6 Reserved: USHORT,
    }
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
    struct NDIS_RSS_SET_INDIRECTION_ENTRIES [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 RssEntrySize: ULONG,
        12 RssEntryTableOffset: ULONG,
        16 NumberOfRssEntries: ULONG,
    }
    struct NDIS_RSS_SET_INDIRECTION_ENTRY [24, 4] {
        0 SwitchId: NDIS_NIC_SWITCH_ID,
        4 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
        8 Flags: ULONG,
        12 IndirectionTableIndex: USHORT,
        14 TargetProcessorNumber: PROCESSOR_NUMBER,
        20 EntryStatus: NDIS_STATUS,
    }
}

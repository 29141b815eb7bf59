//! nic_switch

use crate::*;

scalars! {
    NDIS_NIC_SWITCH_ID = ULONG;
    NDIS_NIC_SWITCH_VPORT_ID = ULONG;
    NDIS_SRIOV_FUNCTION_ID = USHORT;
}

aliases! {
    NDIS_NIC_SWITCH_FRIENDLYNAME = IF_COUNTED_STRING_LH;
    NDIS_VENDOR_NAME = IF_COUNTED_STRING_LH;
    NDIS_VM_FRIENDLYNAME = IF_COUNTED_STRING_LH;
    NDIS_VM_NAME = IF_COUNTED_STRING_LH;
    NDIS_VPORT_NAME = IF_COUNTED_STRING_LH;
}

constants! {
    ULONG {
        NDIS_DEFAULT_SWITCH_ID = 0,
        NDIS_DEFAULT_VPORT_ID = 0,
        NDIS_NIC_SWITCH_CAPS_VLAN_SUPPORTED = 1,
        NDIS_NIC_SWITCH_PARAMETERS_DEFAULT_NUMBER_OF_QUEUE_PAIRS_FOR_DEFAULT_VPORT = 1,
        NDIS_NIC_SWITCH_VF_INFO_ARRAY_ENUM_ON_SPECIFIC_SWITCH = 1,
        NDIS_NIC_SWITCH_VPORT_INFO_ARRAY_ENUM_ON_SPECIFIC_FUNCTION = 1,
        NDIS_NIC_SWITCH_VPORT_INFO_LOOKAHEAD_SPLIT_ENABLED = 1,
        NDIS_NIC_SWITCH_VPORT_PARAMS_LOOKAHEAD_SPLIT_ENABLED = 1,
        NDIS_SRIOV_CAPS_SRIOV_SUPPORTED = 1,
        NDIS_SRIOV_OVERLYING_ADAPTER_INFO_VERSION_1 = 1,
        NDIS_NIC_SWITCH_CAPS_PER_VPORT_INTERRUPT_MODERATION_SUPPORTED = 2,
        NDIS_NIC_SWITCH_VPORT_INFO_ARRAY_ENUM_ON_SPECIFIC_SWITCH = 2,
        NDIS_NIC_SWITCH_VPORT_INFO_PACKET_DIRECT_RX_ONLY = 2,
        NDIS_NIC_SWITCH_VPORT_PARAMS_PACKET_DIRECT_RX_ONLY = 2,
        NDIS_SRIOV_CAPS_PF_MINIPORT = 2,
        NDIS_NIC_SWITCH_CAPS_ASYMMETRIC_QUEUE_PAIRS_FOR_NONDEFAULT_VPORT_SUPPORTED = 4,
        NDIS_NIC_SWITCH_VPORT_INFO_GFT_ENABLED = 4,
        NDIS_SRIOV_CAPS_VF_MINIPORT = 4,
        NDIS_NIC_SWITCH_CAPS_VF_RSS_SUPPORTED = 8,
        NDIS_NIC_SWITCH_CAPS_SINGLE_VPORT_POOL = 0x10,
        NDIS_NIC_SWITCH_CAPS_RSS_PARAMETERS_PER_PF_VPORT_SUPPORTED = 0x20,
        NDIS_NIC_SWITCH_CAPS_NIC_SWITCH_WITHOUT_IOV_SUPPORTED = 0x40,
        NDIS_NIC_SWITCH_CAPS_RSS_ON_PF_VPORTS_SUPPORTED = 0x80,
        NDIS_NIC_SWITCH_CAPS_RSS_PER_PF_VPORT_INDIRECTION_TABLE_SUPPORTED = 0x100,
        NDIS_NIC_SWITCH_CAPS_RSS_PER_PF_VPORT_HASH_FUNCTION_SUPPORTED = 0x200,
        NDIS_NIC_SWITCH_CAPS_RSS_PER_PF_VPORT_HASH_TYPE_SUPPORTED = 0x400,
        NDIS_NIC_SWITCH_CAPS_RSS_PER_PF_VPORT_HASH_KEY_SUPPORTED = 0x800,
        NDIS_NIC_SWITCH_CAPS_RSS_PER_PF_VPORT_MASK = 0xF00,
        NDIS_NIC_SWITCH_CAPS_RSS_PER_PF_VPORT_INDIRECTION_TABLE_SIZE_RESTRICTED = 0x1000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_ENFORCE_MAX_SG_LIST = 0x8000,
        NDIS_INVALID_VF_FUNCTION_ID = 0xFFFF,
        NDIS_PF_FUNCTION_ID = 0xFFFF,
        NDIS_NIC_SWITCH_PARAMETERS_SWITCH_NAME_CHANGED = 0x0001_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_FLAGS_CHANGED = 0x0001_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_NAME_CHANGED = 0x0002_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_INT_MOD_CHANGED = 0x0004_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_STATE_CHANGED = 0x0008_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_PROCESSOR_AFFINITY_CHANGED = 0x0010_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_NDK_PARAMS_CHANGED = 0x0020_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_QOS_SQ_ID_CHANGED = 0x0040_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_NUM_QUEUE_PAIRS_CHANGED = 0x0080_0000,
        NDIS_NIC_SWITCH_PARAMETERS_CHANGE_MASK = 0xFFFF_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_CHANGE_MASK = 0xFFFF_0000,
        NDIS_INVALID_VPORT_ID = 0xFFFF_FFFF,
    }
    UCHAR {
        NDIS_NIC_SWITCH_CAPABILITIES_REVISION_1 = 1,
        NDIS_NIC_SWITCH_DELETE_SWITCH_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_DELETE_VPORT_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_FREE_VF_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_INFO_ARRAY_REVISION_1 = 1,
        NDIS_NIC_SWITCH_INFO_REVISION_1 = 1,
        NDIS_NIC_SWITCH_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VF_INFO_ARRAY_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VF_INFO_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VF_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VPORT_INFO_ARRAY_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VPORT_INFO_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VPORT_PARAMETERS_REVISION_1 = 1,
        NDIS_SRIOV_BAR_RESOURCES_INFO_REVISION_1 = 1,
        NDIS_SRIOV_CAPABILITIES_REVISION_1 = 1,
        NDIS_SRIOV_CONFIG_STATE_PARAMETERS_REVISION_1 = 1,
        NDIS_SRIOV_PF_LUID_INFO_REVISION_1 = 1,
        NDIS_SRIOV_PROBED_BARS_INFO_REVISION_1 = 1,
        NDIS_SRIOV_READ_VF_CONFIG_BLOCK_PARAMETERS_REVISION_1 = 1,
        NDIS_SRIOV_READ_VF_CONFIG_SPACE_PARAMETERS_REVISION_1 = 1,
        NDIS_SRIOV_RESET_VF_PARAMETERS_REVISION_1 = 1,
        NDIS_SRIOV_SET_VF_POWER_STATE_PARAMETERS_REVISION_1 = 1,
        NDIS_SRIOV_VF_INVALIDATE_CONFIG_BLOCK_INFO_REVISION_1 = 1,
        NDIS_SRIOV_VF_SERIAL_NUMBER_INFO_REVISION_1 = 1,
        NDIS_SRIOV_VF_VENDOR_DEVICE_ID_INFO_REVISION_1 = 1,
        NDIS_SRIOV_WRITE_VF_CONFIG_BLOCK_PARAMETERS_REVISION_1 = 1,
        NDIS_SRIOV_WRITE_VF_CONFIG_SPACE_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_CAPABILITIES_REVISION_2 = 2,
        NDIS_NIC_SWITCH_PARAMETERS_REVISION_2 = 2,
        NDIS_NIC_SWITCH_VPORT_PARAMETERS_REVISION_2 = 2,
        NDIS_NIC_SWITCH_CAPABILITIES_REVISION_3 = 3,
    }
}

enums! {
    NDIS_NIC_SWITCH_TYPE {
        NdisNicSwitchTypeUnspecified = 0,
        NdisNicSwitchTypeExternal = 1,
        NdisNicSwitchTypeMax = 2,
    }
    NDIS_NIC_SWITCH_VPORT_INTERRUPT_MODERATION {
        NdisNicSwitchVPortInterruptModerationUndefined = 0,
        NdisNicSwitchVPortInterruptModerationAdaptive = 1,
        NdisNicSwitchVPortInterruptModerationOff = 2,
        NdisNicSwitchVPortInterruptModerationLow = 100,
        NdisNicSwitchVPortInterruptModerationMedium = 200,
        NdisNicSwitchVPortInterruptModerationHigh = 300,
    }
    NDIS_NIC_SWITCH_VPORT_STATE {
        NdisNicSwitchVPortStateUndefined = 0,
        NdisNicSwitchVPortStateActivated = 1,
        NdisNicSwitchVPortStateDeactivated = 2,
        NdisNicSwitchVPortStateMaximum = 3,
    }
}

structs! {
    struct NDIS_GFT_OFFLOAD_CAPABILITIES [84, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 CounterCapabilities: ULONG,
        12 SupportedTableTypes: ULONG,
        16 SupportedEncapsulationTypes: ULONG,
        20 SupportedIngressExactMatchTableActions: ULONG,
        24 SupportedEgressExactMatchTableActions: ULONG,
        28 SoftwareSupportedIngressExactMatchTableActions: ULONG,
        32 SoftwareSupportedEgressExactMatchTableActions: ULONG,
        36 SupportedIngressWildcardMatchTableActions: ULONG,
        40 SupportedEgressWildcardMatchTableActions: ULONG,
        44 SoftwareSupportedIngressWildcardMatchTableActions: ULONG,
        48 SoftwareSupportedEgressWildcardMatchTableActions: ULONG,
        52 NumPacketCounterObjects: ULONG,
        56 NumByteCounterObjects: ULONG,
        60 NumPacketByteCounterObjects: ULONG,
        64 NumPacketByteCounterAndStateObjects: ULONG,
        68 NumCounterObjectsPerIngressExactMatchFlowEntry: ULONG,
        72 NumCounterObjectsPerEgressExactMatchFlowEntry: ULONG,
        76 NumCounterObjectsPerIngressWildcardMatchFlowEntry: ULONG,
        80 NumCounterObjectsPerEgressWildcardMatchFlowEntry: ULONG,
    }
    struct NDIS_NIC_SWITCH_CAPABILITIES [132, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 NdisReserved1: ULONG,
        12 NumTotalMacAddresses: ULONG,
        16 NumMacAddressesPerPort: ULONG,
        20 NumVlansPerPort: ULONG,
        24 NdisReserved2: ULONG,
        28 NdisReserved3: ULONG,
        32 NicSwitchCapabilities: ULONG,
        36 MaxNumSwitches: ULONG,
        40 MaxNumVPorts: ULONG,
        44 NdisReserved4: ULONG,
        48 MaxNumVFs: ULONG,
        52 MaxNumQueuePairs: ULONG,
        56 NdisReserved5: ULONG,
        60 NdisReserved6: ULONG,
        64 NdisReserved7: ULONG,
        68 MaxNumQueuePairsPerNonDefaultVPort: ULONG,
        72 NdisReserved8: ULONG,
        76 NdisReserved9: ULONG,
        80 NdisReserved10: ULONG,
        84 NdisReserved11: ULONG,
        88 NdisReserved12: ULONG,
        92 MaxNumMacAddresses: ULONG,
        96 NdisReserved13: ULONG,
        100 NdisReserved14: ULONG,
        104 NdisReserved15: ULONG,
        108 NdisReserved16: ULONG,
        112 NdisReserved17: ULONG,
        116 MaxNumRssCapableNonDefaultPFVPorts: ULONG,
        120 NumberOfIndirectionTableEntriesForDefaultVPort: ULONG,
        124 NumberOfIndirectionTableEntriesPerNonDefaultPFVPort: ULONG,
        128 MaxNumQueuePairsForDefaultVPort: ULONG,
    }
    struct NDIS_NIC_SWITCH_DELETE_SWITCH_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchId: NDIS_NIC_SWITCH_ID,
    }
    struct NDIS_NIC_SWITCH_DELETE_VPORT_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
    }
    struct NDIS_NIC_SWITCH_FREE_VF_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 VFId: NDIS_SRIOV_FUNCTION_ID,
    }
    struct NDIS_NIC_SWITCH_INFO [572, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchType: NDIS_NIC_SWITCH_TYPE,
        12 SwitchId: NDIS_NIC_SWITCH_ID,
        16 SwitchFriendlyName: NDIS_NIC_SWITCH_FRIENDLYNAME,
        532 NumVFs: ULONG,
        536 NumAllocatedVFs: ULONG,
        540 NumVPorts: ULONG,
        544 NumActiveVPorts: ULONG,
        548 NumQueuePairsForDefaultVPort: ULONG,
        552 NumQueuePairsForNonDefaultVPorts: ULONG,
        556 NumActiveDefaultVPortMacAddresses: ULONG,
        560 NumActiveNonDefaultVPortMacAddresses: ULONG,
        564 NumActiveDefaultVPortVlanIds: ULONG,
        568 NumActiveNonDefaultVPortVlanIds: ULONG,
    }
    struct NDIS_NIC_SWITCH_INFO_ARRAY [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 FirstElementOffset: ULONG,
        8 NumElements: ULONG,
        12 ElementSize: ULONG,
    }
    struct NDIS_NIC_SWITCH_PARAMETERS [552, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchType: NDIS_NIC_SWITCH_TYPE,
        12 SwitchId: NDIS_NIC_SWITCH_ID,
        16 SwitchFriendlyName: NDIS_NIC_SWITCH_FRIENDLYNAME,
        532 NumVFs: ULONG,
        536 NdisReserved1: ULONG,
        540 NdisReserved2: ULONG,
        544 NdisReserved3: ULONG,
        548 NumQueuePairsForDefaultVPort: ULONG,
    }
    struct NDIS_NIC_SWITCH_VF_INFO [1632, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchId: NDIS_NIC_SWITCH_ID,
        12 VMName: NDIS_VM_NAME,
        528 VMFriendlyName: NDIS_VM_FRIENDLYNAME,
        1044 NicName: NDIS_SWITCH_NIC_NAME,
        1560 MacAddressLength: USHORT,
        1562 PermanentMacAddress: [UCHAR; 32],
        1594 CurrentMacAddress: [UCHAR; 32],
        1626 VFId: NDIS_SRIOV_FUNCTION_ID,
        1628 RequestorId: NDIS_VF_RID,
    }
    struct NDIS_NIC_SWITCH_VF_INFO_ARRAY [24, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchId: NDIS_NIC_SWITCH_ID,
        12 FirstElementOffset: ULONG,
        16 NumElements: ULONG,
        20 ElementSize: ULONG,
    }
    struct NDIS_NIC_SWITCH_VF_PARAMETERS [1632, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchId: NDIS_NIC_SWITCH_ID,
        12 VMName: NDIS_VM_NAME,
        528 VMFriendlyName: NDIS_VM_FRIENDLYNAME,
        1044 NicName: NDIS_SWITCH_NIC_NAME,
        1560 MacAddressLength: USHORT,
        1562 PermanentMacAddress: [UCHAR; 32],
        1594 CurrentMacAddress: [UCHAR; 32],
        1626 VFId: NDIS_SRIOV_FUNCTION_ID,
        1628 RequestorId: NDIS_VF_RID,
    }
    struct NDIS_NIC_SWITCH_VPORT_INFO [576, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
        8 Flags: ULONG,
        12 SwitchId: NDIS_NIC_SWITCH_ID,
        16 VPortName: NDIS_VPORT_NAME,
        532 AttachedFunctionId: NDIS_SRIOV_FUNCTION_ID,
        536 NumQueuePairs: ULONG,
        540 InterruptModeration: NDIS_NIC_SWITCH_VPORT_INTERRUPT_MODERATION,
        544 VPortState: NDIS_NIC_SWITCH_VPORT_STATE,
        552 ProcessorAffinity: GROUP_AFFINITY,
        568 LookaheadSize: ULONG,
        572 NumFilters: ULONG,
    }
    struct NDIS_NIC_SWITCH_VPORT_INFO_ARRAY [28, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchId: NDIS_NIC_SWITCH_ID,
        12 AttachedFunctionId: NDIS_SRIOV_FUNCTION_ID,
        16 FirstElementOffset: ULONG,
        20 NumElements: ULONG,
        24 ElementSize: ULONG,
    }
    struct NDIS_NIC_SWITCH_VPORT_PARAMETERS [752, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchId: NDIS_NIC_SWITCH_ID,
        12 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
        16 VPortName: NDIS_VPORT_NAME,
        532 AttachedFunctionId: NDIS_SRIOV_FUNCTION_ID,
        536 NumQueuePairs: ULONG,
        540 InterruptModeration: NDIS_NIC_SWITCH_VPORT_INTERRUPT_MODERATION,
        544 VPortState: NDIS_NIC_SWITCH_VPORT_STATE,
        552 ProcessorAffinity: GROUP_AFFINITY,
        568 LookaheadSize: ULONG,
        576 NdkParams: NDIS_NDK_PARAMETERS,
        744 QosSqId: NDIS_QOS_SQ_ID,
    }
    struct NDIS_SRIOV_CAPABILITIES [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SriovCapabilities: ULONG,
    }
    struct NDIS_SRIOV_VF_INVALIDATE_CONFIG_BLOCK_INFO [16, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 BlockMask: ULONG64,
    }
}

//! NIC switches, virtual ports, virtual functions and SR-IOV.
//!
//! Documentation:
//! * [Single root I/O virtualization](https://learn.microsoft.com/windows-hardware/drivers/network/single-root-i-o-virtualization--sr-iov-)
//! * [NIC switches](https://learn.microsoft.com/windows-hardware/drivers/network/nic-switches)

use crate::{
    BOOLEAN, GROUP_AFFINITY, NDIS_OBJECT_HEADER, NDIS_QOS_SQ_ID, NDIS_SWITCH_PORT_ID, NDIS_VF_RID,
    NET_IFINDEX, PVOID, UCHAR, UINT32, ULONG, ULONG64, USHORT,
};

scalars! {
    /// A switch of an adapter.
    NDIS_NIC_SWITCH_ID = ULONG;
    /// A virtual port of a switch.
    NDIS_NIC_SWITCH_VPORT_ID = ULONG;
    /// A PCI Express function.
    NDIS_SRIOV_FUNCTION_ID = USHORT;
}

aliases! {
    /// The name of a switch for people.
    NDIS_NIC_SWITCH_FRIENDLYNAME = IF_COUNTED_STRING_LH;
    /// The name of a network adapter at a switch.
    NDIS_SWITCH_NIC_NAME = IF_COUNTED_STRING_LH;
    /// The name of a vendor.
    NDIS_VENDOR_NAME = IF_COUNTED_STRING_LH;
    /// The name of a virtual machine for people.
    NDIS_VM_FRIENDLYNAME = IF_COUNTED_STRING_LH;
    /// The name of a virtual machine.
    NDIS_VM_NAME = IF_COUNTED_STRING_LH;
    /// The name of a virtual port.
    NDIS_VPORT_NAME = IF_COUNTED_STRING_LH;
}

constants! {
    /// Flag of `NDIS_NIC_SWITCH_CAPABILITIES::NicSwitchCapabilities`.
    ULONG {
        NDIS_NIC_SWITCH_CAPS_VLAN_SUPPORTED = 1,
        NDIS_NIC_SWITCH_CAPS_PER_VPORT_INTERRUPT_MODERATION_SUPPORTED = 2,
        NDIS_NIC_SWITCH_CAPS_ASYMMETRIC_QUEUE_PAIRS_FOR_NONDEFAULT_VPORT_SUPPORTED = 4,
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
    }
    /// Flag of a virtual port.
    ULONG {
        NDIS_NIC_SWITCH_VPORT_INFO_ARRAY_ENUM_ON_SPECIFIC_FUNCTION = 1,
        NDIS_NIC_SWITCH_VPORT_INFO_LOOKAHEAD_SPLIT_ENABLED = 1,
        NDIS_NIC_SWITCH_VPORT_PARAMS_LOOKAHEAD_SPLIT_ENABLED = 1,
        NDIS_NIC_SWITCH_VPORT_INFO_ARRAY_ENUM_ON_SPECIFIC_SWITCH = 2,
        NDIS_NIC_SWITCH_VPORT_INFO_PACKET_DIRECT_RX_ONLY = 2,
        NDIS_NIC_SWITCH_VPORT_PARAMS_PACKET_DIRECT_RX_ONLY = 2,
        NDIS_NIC_SWITCH_VPORT_INFO_GFT_ENABLED = 4,
        NDIS_NIC_SWITCH_VPORT_PARAMS_ENFORCE_MAX_SG_LIST = 0x8000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_FLAGS_CHANGED = 0x0001_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_NAME_CHANGED = 0x0002_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_INT_MOD_CHANGED = 0x0004_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_STATE_CHANGED = 0x0008_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_PROCESSOR_AFFINITY_CHANGED = 0x0010_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_NDK_PARAMS_CHANGED = 0x0020_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_QOS_SQ_ID_CHANGED = 0x0040_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_NUM_QUEUE_PAIRS_CHANGED = 0x0080_0000,
        NDIS_NIC_SWITCH_VPORT_PARAMS_CHANGE_MASK = 0xFFFF_0000,
    }
    /// Flag of a NIC switch.
    ULONG {
        NDIS_NIC_SWITCH_PARAMETERS_DEFAULT_NUMBER_OF_QUEUE_PAIRS_FOR_DEFAULT_VPORT = 1,
        NDIS_NIC_SWITCH_VF_INFO_ARRAY_ENUM_ON_SPECIFIC_SWITCH = 1,
        NDIS_NIC_SWITCH_PARAMETERS_SWITCH_NAME_CHANGED = 0x0001_0000,
        NDIS_NIC_SWITCH_PARAMETERS_CHANGE_MASK = 0xFFFF_0000,
    }
    /// Flag of `NDIS_SRIOV_CAPABILITIES::SriovCapabilities`.
    ULONG {
        NDIS_SRIOV_CAPS_SRIOV_SUPPORTED = 1,
        NDIS_SRIOV_CAPS_PF_MINIPORT = 2,
        NDIS_SRIOV_CAPS_VF_MINIPORT = 4,
    }
    /// Identifier with a fixed meaning.
    ULONG {
        NDIS_DEFAULT_SWITCH_ID = 0,
        NDIS_DEFAULT_VPORT_ID = 0,
        NDIS_INVALID_VF_FUNCTION_ID = 0xFFFF,
        NDIS_PF_FUNCTION_ID = 0xFFFF,
        NDIS_INVALID_RID = 0xFFFF_FFFF,
        NDIS_INVALID_SWITCH_ID = 0xFFFF_FFFF,
        NDIS_INVALID_VPORT_ID = 0xFFFF_FFFF,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_GFT_OFFLOAD_CAPABILITIES_REVISION_1 = 1,
        NDIS_NIC_SWITCH_CAPABILITIES_REVISION_1 = 1,
        NDIS_NIC_SWITCH_CAPABILITIES_REVISION_2 = 2,
        NDIS_NIC_SWITCH_CAPABILITIES_REVISION_3 = 3,
        NDIS_NIC_SWITCH_DELETE_SWITCH_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_DELETE_VPORT_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_FREE_VF_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_INFO_ARRAY_REVISION_1 = 1,
        NDIS_NIC_SWITCH_INFO_REVISION_1 = 1,
        NDIS_NIC_SWITCH_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_PARAMETERS_REVISION_2 = 2,
        NDIS_NIC_SWITCH_VF_INFO_ARRAY_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VF_INFO_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VF_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VPORT_INFO_ARRAY_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VPORT_INFO_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VPORT_PARAMETERS_REVISION_1 = 1,
        NDIS_NIC_SWITCH_VPORT_PARAMETERS_REVISION_2 = 2,
        NDIS_SRIOV_CAPABILITIES_REVISION_1 = 1,
        NDIS_SRIOV_VF_INVALIDATE_CONFIG_BLOCK_INFO_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_GFT_OFFLOAD_CAPABILITIES_REVISION_1 = 84,
        NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_1 = 32,
        NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_2 = 116,
        NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_3 = 132,
        NDIS_SIZEOF_NIC_SWITCH_DELETE_SWITCH_PARAMETERS_REVISION_1 = 12,
        NDIS_SIZEOF_NIC_SWITCH_DELETE_VPORT_PARAMETERS_REVISION_1 = 12,
        NDIS_SIZEOF_NIC_SWITCH_FREE_VF_PARAMETERS_REVISION_1 = 10,
        NDIS_SIZEOF_NIC_SWITCH_INFO_ARRAY_REVISION_1 = 16,
        NDIS_SIZEOF_NIC_SWITCH_INFO_REVISION_1 = 572,
        NDIS_SIZEOF_NIC_SWITCH_PARAMETERS_REVISION_1 = 548,
        NDIS_SIZEOF_NIC_SWITCH_PARAMETERS_REVISION_2 = 552,
        NDIS_SIZEOF_NIC_SWITCH_VF_INFO_ARRAY_REVISION_1 = 24,
        NDIS_SIZEOF_NIC_SWITCH_VF_INFO_REVISION_1 = 1632,
        NDIS_SIZEOF_NIC_SWITCH_VF_PARAMETERS_REVISION_1 = 1632,
        NDIS_SIZEOF_NIC_SWITCH_VPORT_INFO_ARRAY_REVISION_1 = 28,
        NDIS_SIZEOF_NIC_SWITCH_VPORT_INFO_REVISION_1 = 576,
        NDIS_SIZEOF_NIC_SWITCH_VPORT_PARAMETERS_REVISION_1 = 572,
        NDIS_SIZEOF_NIC_SWITCH_VPORT_PARAMETERS_REVISION_2 = 748,
        NDIS_SIZEOF_SRIOV_CAPABILITIES_REVISION_1 = 12,
        NDIS_SIZEOF_SRIOV_VF_INVALIDATE_CONFIG_BLOCK_INFO_REVISION_1 = 16,
    }
}

enums! {
    /// Kind of switch.
    NDIS_NIC_SWITCH_TYPE {
        NdisNicSwitchTypeUnspecified = 0,
        NdisNicSwitchTypeExternal = 1,
        NdisNicSwitchTypeMax = 2,
    }
    /// Interrupt moderation of a virtual port.
    NDIS_NIC_SWITCH_VPORT_INTERRUPT_MODERATION {
        NdisNicSwitchVPortInterruptModerationUndefined = 0,
        NdisNicSwitchVPortInterruptModerationAdaptive = 1,
        NdisNicSwitchVPortInterruptModerationOff = 2,
        NdisNicSwitchVPortInterruptModerationLow = 100,
        NdisNicSwitchVPortInterruptModerationMedium = 200,
        NdisNicSwitchVPortInterruptModerationHigh = 300,
    }
    /// State of a virtual port.
    NDIS_NIC_SWITCH_VPORT_STATE {
        NdisNicSwitchVPortStateUndefined = 0,
        NdisNicSwitchVPortStateActivated = 1,
        NdisNicSwitchVPortStateDeactivated = 2,
        NdisNicSwitchVPortStateMaximum = 3,
    }
    /// How the traffic of an interface is isolated.
    NDIS_ISOLATION_MODE {
        NdisIsolationModeNone = 0,
        NdisIsolationModeNativeVirtualSubnet = 1,
        NdisIsolationModeExternalVirtualSubnet = 2,
        NdisIsolationModeVlan = 3,
    }
}

structs! {
    /// What an adapter can do with generic flow tables.
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
    /// How the traffic of an interface is isolated.
    struct NDIS_ISOLATION_PARAMETERS [24, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 IsolationMode: NDIS_ISOLATION_MODE,
        12 AllowUntaggedTraffic: BOOLEAN,
        16 NumRoutingDomainEntries: ULONG,
        20 FirstRoutingDomainEntryOffset: ULONG,
    }
    /// What an adapter can do for network direct.
    struct NDIS_NDK_CAPABILITIES [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 MaxQpCount: ULONG,
        12 MaxCqCount: ULONG,
        16 MaxMrCount: ULONG,
        20 MaxPdCount: ULONG,
        24 MaxInboundReadLimit: ULONG,
        28 MaxOutboundReadLimit: ULONG,
        32 MaxMwCount: ULONG,
        36 MaxSrqCount: ULONG,
        40 MissingCounterMask: ULONG64,
        48 NdkInfo: PVOID,
    }
    /// Parameters of network direct of an adapter.
    struct NDIS_NDK_PARAMETERS [168, 8] {
        0 NdkRequest: NDIS_NDK_REQUEST_PARAMETERS,
        104 NdkResponse: NDIS_NDK_RESPONSE_PARAMETERS,
    }
    /// Network direct resources that a virtual port asks for.
    struct NDIS_NDK_REQUEST_PARAMETERS [104, 8] {
        0 RdmaRequested: BOOLEAN,
        4 SwitchPortId: NDIS_SWITCH_PORT_ID,
        8 IfIndex: NET_IFINDEX,
        12 MacAddress: [UCHAR; 32],
        44 VlanId: UINT32,
        48 NdkReserved: NDIS_NDK_CAPABILITIES,
    }
    /// Network direct resources that a virtual port got.
    struct NDIS_NDK_RESPONSE_PARAMETERS [64, 8] {
        0 CapabilitiesAvailable: BOOLEAN,
        8 ReceivedCapabilities: NDIS_NDK_CAPABILITIES,
    }
    /// What an adapter's switch can do.
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
    /// The switch to delete.
    struct NDIS_NIC_SWITCH_DELETE_SWITCH_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchId: NDIS_NIC_SWITCH_ID,
    }
    /// The virtual port to delete.
    struct NDIS_NIC_SWITCH_DELETE_VPORT_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
    }
    /// The virtual function to free.
    struct NDIS_NIC_SWITCH_FREE_VF_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 VFId: NDIS_SRIOV_FUNCTION_ID,
    }
    /// One switch of an adapter.
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
    /// The switches of an adapter.
    struct NDIS_NIC_SWITCH_INFO_ARRAY [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 FirstElementOffset: ULONG,
        8 NumElements: ULONG,
        12 ElementSize: ULONG,
    }
    /// A switch to create or to change.
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
    /// One virtual function.
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
    /// The virtual functions of an adapter.
    struct NDIS_NIC_SWITCH_VF_INFO_ARRAY [24, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchId: NDIS_NIC_SWITCH_ID,
        12 FirstElementOffset: ULONG,
        16 NumElements: ULONG,
        20 ElementSize: ULONG,
    }
    /// A virtual function to allocate.
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
    /// One virtual port.
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
    /// The virtual ports of a switch.
    struct NDIS_NIC_SWITCH_VPORT_INFO_ARRAY [28, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SwitchId: NDIS_NIC_SWITCH_ID,
        12 AttachedFunctionId: NDIS_SRIOV_FUNCTION_ID,
        16 FirstElementOffset: ULONG,
        20 NumElements: ULONG,
        24 ElementSize: ULONG,
    }
    /// A virtual port to create or to change.
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
    /// What an adapter can do for SR-IOV.
    struct NDIS_SRIOV_CAPABILITIES [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SriovCapabilities: ULONG,
    }
    /// Configuration blocks of a virtual function that changed.
    struct NDIS_SRIOV_VF_INVALIDATE_CONFIG_BLOCK_INFO [16, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 BlockMask: ULONG64,
    }
}

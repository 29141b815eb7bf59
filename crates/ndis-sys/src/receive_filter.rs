//! Receive filters and receive queues.
//!
//! Documentation:
//! * [Introduction to NDIS virtual machine queue](https://learn.microsoft.com/windows-hardware/drivers/network/introduction-to-ndis-virtual-machine-queue--vmq-)
//! * [Overview of packet coalescing](https://learn.microsoft.com/windows-hardware/drivers/network/overview-of-packet-coalescing)

use crate::{
    GROUP_AFFINITY, NDIS_NIC_SWITCH_VPORT_ID, NDIS_OBJECT_HEADER, NDIS_QOS_SQ_ID, NDIS_STATUS,
    NDIS_VM_NAME, UCHAR, ULONG, ULONG64, USHORT,
};

scalars! {
    /// A receive filter.
    NDIS_RECEIVE_FILTER_ID = ULONG;
    /// A group of receive queues.
    NDIS_RECEIVE_QUEUE_GROUP_ID = ULONG;
    /// A receive queue.
    NDIS_RECEIVE_QUEUE_ID = ULONG;
}

aliases! {
    /// The name of a receive queue.
    NDIS_QUEUE_NAME = IF_COUNTED_STRING_LH;
}

constants! {
    /// Flag of `NDIS_RECEIVE_QUEUE_PARAMETERS::Flags`.
    ULONG {
        NDIS_RECEIVE_QUEUE_PARAMETERS_PER_QUEUE_RECEIVE_INDICATION = 1,
        NDIS_RECEIVE_QUEUE_PARAMETERS_LOOKAHEAD_SPLIT_REQUIRED = 2,
        NDIS_RECEIVE_QUEUE_PARAMETERS_FLAGS_CHANGED = 0x0001_0000,
        NDIS_RECEIVE_QUEUE_PARAMETERS_PROCESSOR_AFFINITY_CHANGED = 0x0002_0000,
        NDIS_RECEIVE_QUEUE_PARAMETERS_SUGGESTED_RECV_BUFFER_NUMBERS_CHANGED = 0x0004_0000,
        NDIS_RECEIVE_QUEUE_PARAMETERS_NAME_CHANGED = 0x0008_0000,
        NDIS_RECEIVE_QUEUE_PARAMETERS_INTERRUPT_COALESCING_DOMAIN_ID_CHANGED = 0x0010_0000,
        NDIS_RECEIVE_QUEUE_PARAMETERS_QOS_SQ_ID_CHANGED = 0x0020_0000,
        NDIS_RECEIVE_QUEUE_PARAMETERS_CHANGE_MASK = 0xFFFF_0000,
    }
    /// The default filter, queue or group.
    ULONG {
        NDIS_DEFAULT_RECEIVE_FILTER_ID = 0,
        NDIS_DEFAULT_RECEIVE_QUEUE_GROUP_ID = 0,
        NDIS_DEFAULT_RECEIVE_QUEUE_ID = 0,
    }
    /// Header field that a filter can test.
    ULONG {
        NDIS_RECEIVE_FILTER_ARP_HEADER_OPERATION_SUPPORTED = 1,
        NDIS_RECEIVE_FILTER_IPV4_HEADER_PROTOCOL_SUPPORTED = 1,
        NDIS_RECEIVE_FILTER_IPV6_HEADER_PROTOCOL_SUPPORTED = 1,
        NDIS_RECEIVE_FILTER_MAC_HEADER_DEST_ADDR_SUPPORTED = 1,
        NDIS_RECEIVE_FILTER_MAC_HEADER_SUPPORTED = 1,
        NDIS_RECEIVE_FILTER_UDP_HEADER_DEST_PORT_SUPPORTED = 1,
        NDIS_RECEIVE_FILTER_ARP_HEADER_SPA_SUPPORTED = 2,
        NDIS_RECEIVE_FILTER_IPV4_HEADER_SUPPORTED = 2,
        NDIS_RECEIVE_FILTER_MAC_HEADER_SOURCE_ADDR_SUPPORTED = 2,
        NDIS_RECEIVE_FILTER_ARP_HEADER_TPA_SUPPORTED = 4,
        NDIS_RECEIVE_FILTER_IPV6_HEADER_SUPPORTED = 4,
        NDIS_RECEIVE_FILTER_MAC_HEADER_PROTOCOL_SUPPORTED = 4,
        NDIS_RECEIVE_FILTER_ARP_HEADER_SUPPORTED = 8,
        NDIS_RECEIVE_FILTER_MAC_HEADER_VLAN_ID_SUPPORTED = 8,
        NDIS_RECEIVE_FILTER_MAC_HEADER_PRIORITY_SUPPORTED = 0x10,
        NDIS_RECEIVE_FILTER_UDP_HEADER_SUPPORTED = 0x10,
        NDIS_RECEIVE_FILTER_MAC_HEADER_PACKET_TYPE_SUPPORTED = 0x20,
    }
    /// Test that a filter can make.
    ULONG {
        NDIS_RECEIVE_FILTER_TEST_HEADER_FIELD_EQUAL_SUPPORTED = 1,
        NDIS_RECEIVE_FILTER_TEST_HEADER_FIELD_MASK_EQUAL_SUPPORTED = 2,
        NDIS_RECEIVE_FILTER_TEST_HEADER_FIELD_NOT_EQUAL_SUPPORTED = 4,
    }
    /// Flag of receive filters and queues.
    ULONG {
        NDIS_RECEIVE_FILTER_FIELD_MAC_HEADER_VLAN_UNTAGGED_OR_ZERO = 1,
        NDIS_RECEIVE_FILTER_FLAGS_RESERVED = 1,
        NDIS_RECEIVE_FILTER_INFO_ARRAY_VPORT_ID_SPECIFIED = 1,
        NDIS_RECEIVE_FILTER_MSI_X_SUPPORTED = 1,
        NDIS_RECEIVE_FILTER_VMQ_FILTERS_ENABLED = 1,
        NDIS_RECEIVE_FILTER_VM_QUEUES_ENABLED = 1,
        NDIS_RECEIVE_FILTER_PACKET_COALESCING_FILTERS_ENABLED = 2,
        NDIS_RECEIVE_FILTER_PACKET_ENCAPSULATION = 2,
        NDIS_RECEIVE_FILTER_PACKET_ENCAPSULATION_GRE = 2,
        NDIS_RECEIVE_FILTER_VM_QUEUE_SUPPORTED = 2,
        NDIS_RECEIVE_FILTER_LOOKAHEAD_SPLIT_SUPPORTED = 4,
        NDIS_RECEIVE_FILTER_DYNAMIC_PROCESSOR_AFFINITY_CHANGE_SUPPORTED = 8,
        NDIS_RECEIVE_FILTER_INTERRUPT_VECTOR_COALESCING_SUPPORTED = 0x10,
        NDIS_RECEIVE_FILTER_ANY_VLAN_SUPPORTED = 0x20,
        NDIS_RECEIVE_FILTER_DYNAMIC_PROCESSOR_AFFINITY_CHANGE_FOR_DEFAULT_QUEUE_SUPPORTED = 0x40,
        NDIS_RECEIVE_FILTER_IMPLAT_MIN_OF_QUEUES_MODE = 0x40,
        NDIS_RECEIVE_FILTER_IMPLAT_SUM_OF_QUEUES_MODE = 0x80,
        NDIS_RECEIVE_FILTER_RESERVED = 254,
        NDIS_RECEIVE_FILTER_PACKET_COALESCING_SUPPORTED_ON_DEFAULT_QUEUE = 0x100,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_RECEIVE_FILTER_CAPABILITIES_REVISION_1 = 1,
        NDIS_RECEIVE_FILTER_CAPABILITIES_REVISION_2 = 2,
        NDIS_RECEIVE_FILTER_CLEAR_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_FILTER_FIELD_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_FILTER_FIELD_PARAMETERS_REVISION_2 = 2,
        NDIS_RECEIVE_FILTER_GLOBAL_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_FILTER_INFO_ARRAY_REVISION_1 = 1,
        NDIS_RECEIVE_FILTER_INFO_ARRAY_REVISION_2 = 2,
        NDIS_RECEIVE_FILTER_INFO_REVISION_1 = 1,
        NDIS_RECEIVE_FILTER_MOVE_FILTER_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_FILTER_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_FILTER_PARAMETERS_REVISION_2 = 2,
        NDIS_RECEIVE_FILTER_QUEUE_STATE_CHANGE_REVISION_1 = 1,
        NDIS_RECEIVE_QUEUE_ALLOCATION_COMPLETE_ARRAY_REVISION_1 = 1,
        NDIS_RECEIVE_QUEUE_ALLOCATION_COMPLETE_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_QUEUE_FREE_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_QUEUE_INFO_ARRAY_REVISION_1 = 1,
        NDIS_RECEIVE_QUEUE_INFO_REVISION_1 = 1,
        NDIS_RECEIVE_QUEUE_INFO_REVISION_2 = 2,
        NDIS_RECEIVE_QUEUE_PARAMETERS_REVISION_1 = 1,
        NDIS_RECEIVE_QUEUE_PARAMETERS_REVISION_2 = 2,
        NDIS_RECEIVE_QUEUE_PARAMETERS_REVISION_3 = 3,
        NDIS_RECEIVE_QUEUE_STATE_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_NDIS_RECEIVE_QUEUE_STATE_REVISION_1 = 16,
        NDIS_SIZEOF_RECEIVE_FILTER_CAPABILITIES_REVISION_1 = 56,
        NDIS_SIZEOF_RECEIVE_FILTER_CAPABILITIES_REVISION_2 = 84,
        NDIS_SIZEOF_RECEIVE_FILTER_CLEAR_PARAMETERS_REVISION_1 = 16,
        NDIS_SIZEOF_RECEIVE_FILTER_FIELD_PARAMETERS_REVISION_1 = 56,
        NDIS_SIZEOF_RECEIVE_FILTER_FIELD_PARAMETERS_REVISION_2 = 56,
        NDIS_SIZEOF_RECEIVE_FILTER_GLOBAL_PARAMETERS_REVISION_1 = 16,
        NDIS_SIZEOF_RECEIVE_FILTER_INFO_ARRAY_REVISION_1 = 20,
        NDIS_SIZEOF_RECEIVE_FILTER_INFO_ARRAY_REVISION_2 = 28,
        NDIS_SIZEOF_RECEIVE_FILTER_INFO_REVISION_1 = 16,
        NDIS_SIZEOF_RECEIVE_FILTER_MOVE_FILTER_PARAMETERS_REVISION_1 = 24,
        NDIS_SIZEOF_RECEIVE_FILTER_PARAMETERS_REVISION_1 = 36,
        NDIS_SIZEOF_RECEIVE_FILTER_PARAMETERS_REVISION_2 = 44,
        NDIS_SIZEOF_RECEIVE_FILTER_QUEUE_STATE_CHANGE_REVISION_1 = 8,
        NDIS_SIZEOF_RECEIVE_QUEUE_ALLOCATION_COMPLETE_ARRAY_REVISION_1 = 20,
        NDIS_SIZEOF_RECEIVE_QUEUE_ALLOCATION_COMPLETE_PARAMETERS_REVISION_1 = 16,
        NDIS_SIZEOF_RECEIVE_QUEUE_FREE_PARAMETERS_REVISION_1 = 12,
        NDIS_SIZEOF_RECEIVE_QUEUE_INFO_ARRAY_REVISION_1 = 16,
        NDIS_SIZEOF_RECEIVE_QUEUE_INFO_REVISION_1 = 1084,
        NDIS_SIZEOF_RECEIVE_QUEUE_INFO_REVISION_2 = 1092,
        NDIS_SIZEOF_RECEIVE_QUEUE_PARAMETERS_REVISION_1 = 1084,
        NDIS_SIZEOF_RECEIVE_QUEUE_PARAMETERS_REVISION_2 = 1092,
        NDIS_SIZEOF_RECEIVE_QUEUE_PARAMETERS_REVISION_3 = 1096,
    }
}

enums! {
    /// Field of a UDP header.
    NDIS_UDP_HEADER_FIELD {
        NdisUdpHeaderFieldUndefined = 0,
        NdisUdpHeaderFieldDestinationPort = 1,
        NdisUdpHeaderFieldMaximum = 2,
    }
    /// Field of an ARP header.
    NDIS_ARP_HEADER_FIELD {
        NdisARPHeaderFieldUndefined = 0,
        NdisARPHeaderFieldOperation = 1,
        NdisARPHeaderFieldSPA = 2,
        NdisARPHeaderFieldTPA = 3,
        NdisARPHeaderFieldMaximum = 4,
    }
    /// Header that a receive filter tests.
    NDIS_FRAME_HEADER {
        NdisFrameHeaderUndefined = 0,
        NdisFrameHeaderMac = 1,
        NdisFrameHeaderArp = 2,
        NdisFrameHeaderIPv4 = 3,
        NdisFrameHeaderIPv6 = 4,
        NdisFrameHeaderUdp = 5,
        NdisFrameHeaderMaximum = 6,
    }
    /// Field of an IPv4 header.
    NDIS_IPV4_HEADER_FIELD {
        NdisIPv4HeaderFieldUndefined = 0,
        NdisIPv4HeaderFieldProtocol = 1,
        NdisIPv4HeaderFieldMaximum = 2,
    }
    /// Field of an IPv6 header.
    NDIS_IPV6_HEADER_FIELD {
        NdisIPv6HeaderFieldUndefined = 0,
        NdisIPv6HeaderFieldProtocol = 1,
        NdisIPv6HeaderFieldMaximum = 2,
    }
    /// Field of a MAC header.
    NDIS_MAC_HEADER_FIELD {
        NdisMacHeaderFieldUndefined = 0,
        NdisMacHeaderFieldDestinationAddress = 1,
        NdisMacHeaderFieldSourceAddress = 2,
        NdisMacHeaderFieldProtocol = 3,
        NdisMacHeaderFieldVlanId = 4,
        NdisMacHeaderFieldPriority = 5,
        NdisMacHeaderFieldPacketType = 6,
        NdisMacHeaderFieldMaximum = 7,
    }
    /// Test of a header field.
    NDIS_RECEIVE_FILTER_TEST {
        NdisReceiveFilterTestUndefined = 0,
        NdisReceiveFilterTestEqual = 1,
        NdisReceiveFilterTestMaskEqual = 2,
        NdisReceiveFilterTestNotEqual = 3,
        NdisReceiveFilterTestMaximum = 4,
    }
    /// Use of a receive filter.
    NDIS_RECEIVE_FILTER_TYPE {
        NdisReceiveFilterTypeUndefined = 0,
        NdisReceiveFilterTypeVMQueue = 1,
        NdisReceiveFilterTypePacketCoalescing = 2,
        NdisReceiveFilterTypeMaximum = 3,
    }
    /// State of a receive queue.
    NDIS_RECEIVE_QUEUE_OPERATIONAL_STATE {
        NdisReceiveQueueOperationalStateUndefined = 0,
        NdisReceiveQueueOperationalStateRunning = 1,
        NdisReceiveQueueOperationalStatePaused = 2,
        NdisReceiveQueueOperationalStateDmaStopped = 3,
        NdisReceiveQueueOperationalStateMaximum = 4,
    }
    /// Use of a receive queue.
    NDIS_RECEIVE_QUEUE_TYPE {
        NdisReceiveQueueTypeUnspecified = 0,
        NdisReceiveQueueTypeVMQueue = 1,
        NdisReceiveQueueTypeMaximum = 2,
    }
}

structs! {
    /// What an adapter's receive filters and queues can do.
    struct NDIS_RECEIVE_FILTER_CAPABILITIES [84, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 EnabledFilterTypes: ULONG,
        12 EnabledQueueTypes: ULONG,
        16 NumQueues: ULONG,
        20 SupportedQueueProperties: ULONG,
        24 SupportedFilterTests: ULONG,
        28 SupportedHeaders: ULONG,
        32 SupportedMacHeaderFields: ULONG,
        36 MaxMacHeaderFilters: ULONG,
        40 MaxQueueGroups: ULONG,
        44 MaxQueuesPerQueueGroup: ULONG,
        48 MinLookaheadSplitSize: ULONG,
        52 MaxLookaheadSplitSize: ULONG,
        56 SupportedARPHeaderFields: ULONG,
        60 SupportedIPv4HeaderFields: ULONG,
        64 SupportedIPv6HeaderFields: ULONG,
        68 SupportedUdpHeaderFields: ULONG,
        72 MaxFieldTestsPerPacketCoalescingFilter: ULONG,
        76 MaxPacketCoalescingFilters: ULONG,
        80 NdisReserved: ULONG,
    }
    /// The receive filter to clear.
    struct NDIS_RECEIVE_FILTER_CLEAR_PARAMETERS [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 QueueId: NDIS_RECEIVE_QUEUE_ID,
        12 FilterId: NDIS_RECEIVE_FILTER_ID,
    }
    /// Member `FieldValue` of [`NDIS_RECEIVE_FILTER_FIELD_PARAMETERS`].
    union NDIS_RECEIVE_FILTER_FIELD_PARAMETERS_FieldValue
        of NDIS_RECEIVE_FILTER_FIELD_PARAMETERS.FieldValue [16, 8]
    {
        0 FieldByteArrayValue: [UCHAR; 16],
        0 FieldByteValue: UCHAR,
        0 FieldLong64Value: ULONG64,
        0 FieldLongValue: ULONG,
        0 FieldShortValue: USHORT,
    }
    /// Member `HeaderField` of [`NDIS_RECEIVE_FILTER_FIELD_PARAMETERS`].
    union NDIS_RECEIVE_FILTER_FIELD_PARAMETERS_HeaderField
        of NDIS_RECEIVE_FILTER_FIELD_PARAMETERS.HeaderField [4, 4]
    {
        0 ArpHeaderField: NDIS_ARP_HEADER_FIELD,
        0 IPv4HeaderField: NDIS_IPV4_HEADER_FIELD,
        0 IPv6HeaderField: NDIS_IPV6_HEADER_FIELD,
        0 MacHeaderField: NDIS_MAC_HEADER_FIELD,
        0 UdpHeaderField: NDIS_UDP_HEADER_FIELD,
    }
    /// Member `ResultValue` of [`NDIS_RECEIVE_FILTER_FIELD_PARAMETERS`].
    union NDIS_RECEIVE_FILTER_FIELD_PARAMETERS_ResultValue
        of NDIS_RECEIVE_FILTER_FIELD_PARAMETERS.ResultValue [16, 8]
    {
        0 ResultByteArrayValue: [UCHAR; 16],
        0 ResultByteValue: UCHAR,
        0 ResultLong64Value: ULONG64,
        0 ResultLongValue: ULONG,
        0 ResultShortValue: USHORT,
    }
    /// The test of one header field.
    struct NDIS_RECEIVE_FILTER_FIELD_PARAMETERS [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 FrameHeader: NDIS_FRAME_HEADER,
        12 ReceiveFilterTest: NDIS_RECEIVE_FILTER_TEST,
        16 HeaderField: NDIS_RECEIVE_FILTER_FIELD_PARAMETERS_HeaderField,
        24 FieldValue: NDIS_RECEIVE_FILTER_FIELD_PARAMETERS_FieldValue,
        40 ResultValue: NDIS_RECEIVE_FILTER_FIELD_PARAMETERS_ResultValue,
    }
    /// Which kinds of receive filtering are on.
    struct NDIS_RECEIVE_FILTER_GLOBAL_PARAMETERS [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 EnabledFilterTypes: ULONG,
        12 EnabledQueueTypes: ULONG,
    }
    /// One receive filter.
    struct NDIS_RECEIVE_FILTER_INFO [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 FilterType: NDIS_RECEIVE_FILTER_TYPE,
        12 FilterId: NDIS_RECEIVE_FILTER_ID,
    }
    /// The receive filters of an adapter.
    struct NDIS_RECEIVE_FILTER_INFO_ARRAY [28, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 QueueId: NDIS_RECEIVE_QUEUE_ID,
        8 FirstElementOffset: ULONG,
        12 NumElements: ULONG,
        16 ElementSize: ULONG,
        20 Flags: ULONG,
        24 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
    }
    /// A receive filter to move to another queue.
    struct NDIS_RECEIVE_FILTER_MOVE_FILTER_PARAMETERS [24, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 FilterId: NDIS_RECEIVE_FILTER_ID,
        8 SourceQueueId: NDIS_RECEIVE_QUEUE_ID,
        12 SourceVPortId: NDIS_NIC_SWITCH_VPORT_ID,
        16 DestQueueId: NDIS_RECEIVE_QUEUE_ID,
        20 DestVPortId: NDIS_NIC_SWITCH_VPORT_ID,
    }
    /// A receive filter to set.
    struct NDIS_RECEIVE_FILTER_PARAMETERS [44, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 FilterType: NDIS_RECEIVE_FILTER_TYPE,
        12 QueueId: NDIS_RECEIVE_QUEUE_ID,
        16 FilterId: NDIS_RECEIVE_FILTER_ID,
        20 FieldParametersArrayOffset: ULONG,
        24 FieldParametersArrayNumElements: ULONG,
        28 FieldParametersArrayElementSize: ULONG,
        32 RequestedFilterIdBitCount: ULONG,
        36 MaxCoalescingDelay: ULONG,
        40 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
    }
    /// The new state of a receive queue.
    struct NDIS_RECEIVE_FILTER_QUEUE_STATE_CHANGE [8, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 QueueId: ULONG,
    }
    /// The receive queues that are now complete.
    struct NDIS_RECEIVE_QUEUE_ALLOCATION_COMPLETE_ARRAY [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 FirstElementOffset: ULONG,
        12 NumElements: ULONG,
        16 ElementSize: ULONG,
    }
    /// One receive queue and whether it is complete.
    struct NDIS_RECEIVE_QUEUE_ALLOCATION_COMPLETE_PARAMETERS [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 QueueId: NDIS_RECEIVE_QUEUE_ID,
        12 CompletionStatus: NDIS_STATUS,
    }
    /// The receive queue to free.
    struct NDIS_RECEIVE_QUEUE_FREE_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 QueueId: NDIS_RECEIVE_QUEUE_ID,
    }
    /// One receive queue.
    struct NDIS_RECEIVE_QUEUE_INFO [1096, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 QueueType: NDIS_RECEIVE_QUEUE_TYPE,
        12 QueueId: NDIS_RECEIVE_QUEUE_ID,
        16 QueueGroupId: NDIS_RECEIVE_QUEUE_GROUP_ID,
        20 QueueState: NDIS_RECEIVE_QUEUE_OPERATIONAL_STATE,
        24 ProcessorAffinity: GROUP_AFFINITY,
        40 NumSuggestedReceiveBuffers: ULONG,
        44 MSIXTableEntry: ULONG,
        48 LookaheadSize: ULONG,
        52 VmName: NDIS_VM_NAME,
        568 QueueName: NDIS_QUEUE_NAME,
        1084 NumFilters: ULONG,
        1088 InterruptCoalescingDomainId: ULONG,
    }
    /// The receive queues of an adapter.
    struct NDIS_RECEIVE_QUEUE_INFO_ARRAY [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 FirstElementOffset: ULONG,
        8 NumElements: ULONG,
        12 ElementSize: ULONG,
    }
    /// A receive queue to allocate or to change.
    struct NDIS_RECEIVE_QUEUE_PARAMETERS [1096, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 QueueType: NDIS_RECEIVE_QUEUE_TYPE,
        12 QueueId: NDIS_RECEIVE_QUEUE_ID,
        16 QueueGroupId: NDIS_RECEIVE_QUEUE_GROUP_ID,
        24 ProcessorAffinity: GROUP_AFFINITY,
        40 NumSuggestedReceiveBuffers: ULONG,
        44 MSIXTableEntry: ULONG,
        48 LookaheadSize: ULONG,
        52 VmName: NDIS_VM_NAME,
        568 QueueName: NDIS_QUEUE_NAME,
        1084 PortId: ULONG,
        1088 InterruptCoalescingDomainId: ULONG,
        1092 QosSqId: NDIS_QOS_SQ_ID,
    }
    /// The state of a receive queue.
    struct NDIS_RECEIVE_QUEUE_STATE [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 QueueId: NDIS_RECEIVE_QUEUE_ID,
        12 QueueState: NDIS_RECEIVE_QUEUE_OPERATIONAL_STATE,
    }
}

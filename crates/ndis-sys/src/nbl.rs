//! nbl

use crate::*;

constants! {
    ULONG {
        NDIS_NBL_FLAGS_SEND_READ_ONLY = 1,
        NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL = 1,
        NDIS_RETURN_FLAGS_DISPATCH_LEVEL = 1,
        NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL = 1,
        NDIS_SEND_FLAGS_DISPATCH_LEVEL = 1,
        NET_BUFFER_LIST_POOL_FLAG_VERIFY = 1,
        NET_BUFFER_POOL_FLAG_VERIFY = 1,
        NDIS_NBL_FLAGS_RECV_READ_ONLY = 2,
        NDIS_RECEIVE_FLAGS_RESOURCES = 2,
        NDIS_RETURN_FLAGS_SINGLE_QUEUE = 2,
        NDIS_SEND_COMPLETE_FLAGS_SINGLE_QUEUE = 2,
        NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK = 2,
        NDIS_RETURN_FLAGS_SWITCH_SINGLE_SOURCE = 4,
        NDIS_SEND_COMPLETE_FLAGS_SWITCH_SINGLE_SOURCE = 4,
        NDIS_SEND_FLAGS_SINGLE_QUEUE = 4,
        NDIS_SEND_FLAGS_SWITCH_DESTINATION_GROUP = 0x10,
        NDIS_SEND_FLAGS_SWITCH_SINGLE_SOURCE = 0x20,
        NDIS_NBL_FLAGS_HD_SPLIT = 0x100,
        NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE = 0x100,
        NDIS_NET_BUFFER_LIST_INFO_ILLEGALLY_TRANSFERRED = 0x146,
        NDIS_NBL_FLAGS_IS_IPV4 = 0x200,
        NDIS_RECEIVE_FLAGS_SINGLE_VLAN = 0x200,
        NDIS_NBL_FLAGS_IS_IPV6 = 0x400,
        NDIS_RECEIVE_FLAGS_PERFECT_FILTERED = 0x400,
        NDIS_NBL_FLAGS_IS_TCP = 0x800,
        NDIS_RECEIVE_FLAGS_SINGLE_QUEUE = 0x800,
        NBL_FLAGS_NDIS_RESERVED = 0xFFC,
        NDIS_NBL_FLAGS_IS_UDP = 0x1000,
        NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID = 0x1000,
        NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_HEADER = 0x2000,
        NDIS_RECEIVE_FLAGS_MORE_NBLS = 0x2000,
        NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_PAYLOAD = 0x4000,
        NDIS_RECEIVE_FLAGS_SWITCH_DESTINATION_GROUP = 0x4000,
        NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET = 0x8000,
        NDIS_RECEIVE_FLAGS_SWITCH_SINGLE_SOURCE = 0x8000,
        NBL_FLAGS_MINIPORT_RESERVED = 0xF000,
        NDIS_NBL_FLAGS_CAPTURE_TIMESTAMP_ON_TRANSMIT = 0x0001_0000,
        NBL_FLAGS_SCRATCH = 0x000F_0000,
        NBL_FLAGS_PROTOCOL_RESERVED = 0xFFF0_0003,
        NBL_PROT_RSVD_FLAGS = 0xFFF0_0003,
    }
    UCHAR {
        NDIS_NBL_MEDIA_SPECIFIC_INFO_REVISION_1 = 1,
        NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 = 1,
        NET_BUFFER_POOL_PARAMETERS_REVISION_1 = 1,
        NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_2 = 2,
        NET_BUFFER_POOL_PARAMETERS_REVISION_2 = 2,
    }
}

enums! {
    NDIS_NET_BUFFER_LIST_INFO {
        TcpIpChecksumNetBufferListInfo = 0,
        TcpOffloadBytesTransferred = 0,
        IPsecOffloadV1NetBufferListInfo = 1,
        IPsecOffloadV2NetBufferListInfo = 1,
        TcpLargeSendNetBufferListInfo = 2,
        TcpReceiveNoPush = 2,
        ClassificationHandleNetBufferListInfo = 3,
        Ieee8021QNetBufferListInfo = 4,
        NetBufferListCancelId = 5,
        MediaSpecificInformation = 6,
        NetBufferListFrameType = 7,
        NetBufferListProtocolId = 7,
        NetBufferListHashValue = 8,
        NetBufferListHashInfo = 9,
        WfpNetBufferListInfo = 10,
        IPsecOffloadV2TunnelNetBufferListInfo = 11,
        IPsecOffloadV2HeaderNetBufferListInfo = 12,
        NetBufferListCorrelationId = 13,
        NetBufferListFilteringInfo = 14,
        MediaSpecificInformationEx = 15,
        NblOriginalInterfaceIfIndex = 16,
        NblReAuthWfpFlowContext = 16,
        NrtNameResolutionId = 17,
        TcpReceiveBytesTransferred = 17,
        UdpRecvSegCoalesceOffloadInfo = 17,
        SwitchForwardingReserved = 18,
        SwitchForwardingDetail = 19,
        VirtualSubnetInfo = 20,
        IMReserved = 21,
        TcpRecvSegCoalesceInfo = 22,
        UdpSegmentationOffloadInfo = 22,
        RscTcpTimestampDelta = 23,
        TcpSendOffloadsSupplementalNetBufferListInfo = 23,
        GftOffloadInformation = 24,
        GftFlowEntryId = 25,
        NetBufferListInfoReserved3 = 26,
        MaxNetBufferListInfo = 27,
    }
}

structs! {
    struct NDIS_NBL_MEDIA_SPECIFIC_INFORMATION_EX [32, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 NextEntry: *mut NDIS_NBL_MEDIA_SPECIFIC_INFORMATION_EX,
        16 Tag: ULONG,
        24 Data: PVOID,
    }
    struct NDIS_NET_BUFFER_LIST_8021Q_INFO_TagHeader of NDIS_NET_BUFFER_LIST_8021Q_INFO.TagHeader [4, 4] {
        0 Bits: UINT32,
        bits Bits {
            UserPriority: 0, 3;
            CanonicalFormatId: 3, 1;
            VlanId: 4, 12;
            Reserved: 16, 16;
        }
    }
    struct NDIS_NET_BUFFER_LIST_8021Q_INFO_WLanTagHeader of NDIS_NET_BUFFER_LIST_8021Q_INFO.WLanTagHeader [4, 4] {
        0 Bits: UINT32,
        bits Bits {
            UserPriority: 0, 3;
            CanonicalFormatId: 3, 1;
            VlanId: 4, 12;
            WMMInfo: 16, 4;
            Reserved: 20, 12;
        }
    }
    union NDIS_NET_BUFFER_LIST_8021Q_INFO [8, 8] {
        0 TagHeader: NDIS_NET_BUFFER_LIST_8021Q_INFO_TagHeader,
        0 Value: PVOID,
        0 WLanTagHeader: NDIS_NET_BUFFER_LIST_8021Q_INFO_WLanTagHeader,
    }
    #[repr(align(16))]
    struct NET_BUFFER [176, 16] {
        0 Next: *mut NET_BUFFER,
        8 CurrentMdl: *mut MDL,
        16 CurrentMdlOffset: ULONG,
        20 _pad1: [UCHAR; 4],
        24 DataLength: ULONG,
        32 MdlChain: *mut MDL,
        40 DataOffset: ULONG,
        44 _pad2: [UCHAR; 4],
        48 ChecksumBias: USHORT,
        50 Reserved: USHORT,
        56 NdisPoolHandle: NDIS_HANDLE,
        64 NdisReserved: [PVOID; 2],
        80 ProtocolReserved: [PVOID; 6],
        128 MiniportReserved: [PVOID; 4],
        160 DataPhysicalAddress: PHYSICAL_ADDRESS,
        168 ScatterGatherList: *mut SCATTER_GATHER_LIST,
        also {
            0 Link: SLIST_HEADER,
            0 NetBufferHeader: NET_BUFFER_HEADER,
            24 stDataLength: SIZE_T,
            168 SharedMemoryInfo: *mut NET_BUFFER_SHARED_MEMORY,
        }
    }
    struct NET_BUFFER_DATA [48, 8] {
        0 Next: *mut NET_BUFFER,
        8 CurrentMdl: *mut MDL,
        16 CurrentMdlOffset: ULONG,
        20 _pad1: [UCHAR; 4],
        24 DataLength: ULONG,
        32 MdlChain: *mut MDL,
        40 DataOffset: ULONG,
        also {
            24 stDataLength: SIZE_T,
        }
    }
    union NET_BUFFER_DATA_LENGTH [8, 8] {
        0 DataLength: ULONG,
        0 stDataLength: SIZE_T,
    }
    #[repr(align(16))]
    struct NET_BUFFER_HEADER [48, 16] {
        0 Next: *mut NET_BUFFER,
        8 CurrentMdl: *mut MDL,
        16 CurrentMdlOffset: ULONG,
        20 _pad1: [UCHAR; 4],
        24 DataLength: ULONG,
        32 MdlChain: *mut MDL,
        40 DataOffset: ULONG,
        also {
            0 Link: SLIST_HEADER,
            24 stDataLength: SIZE_T,
        }
    }
    #[repr(align(16))]
    struct NET_BUFFER_LIST [368, 16] {
        0 Next: *mut NET_BUFFER_LIST,
        8 FirstNetBuffer: *mut NET_BUFFER,
        16 Context: *mut NET_BUFFER_LIST_CONTEXT,
        24 ParentNetBufferList: *mut NET_BUFFER_LIST,
        32 NdisPoolHandle: NDIS_HANDLE,
        40 _pad1: [UCHAR; 8],
        48 NdisReserved: [PVOID; 2],
        64 ProtocolReserved: [PVOID; 4],
        96 MiniportReserved: [PVOID; 2],
        112 Scratch: PVOID,
        120 SourceHandle: NDIS_HANDLE,
        128 NblFlags: ULONG,
        132 ChildRefCount: LONG,
        136 Flags: ULONG,
        140 Status: NDIS_STATUS,
        144 NetBufferListInfo: [PVOID; 27],
        also {
            0 Link: SLIST_HEADER,
            0 NetBufferListHeader: NET_BUFFER_LIST_HEADER,
            140 NdisReserved2: ULONG,
        }
    }
    #[repr(align(16))]
    struct NET_BUFFER_LIST_CONTEXT [16, 16] {
        0 Next: *mut NET_BUFFER_LIST_CONTEXT,
        8 Size: USHORT,
        10 Offset: USHORT,
        12 _pad1: [UCHAR; 4],
        16 ContextData: [UCHAR; 0],
    }
    struct NET_BUFFER_LIST_DATA [16, 8] {
        0 Next: *mut NET_BUFFER_LIST,
        8 FirstNetBuffer: *mut NET_BUFFER,
    }
    #[repr(align(16))]
    struct NET_BUFFER_LIST_HEADER [16, 16] {
        0 Next: *mut NET_BUFFER_LIST,
        8 FirstNetBuffer: *mut NET_BUFFER,
        also {
            0 Link: SLIST_HEADER,
        }
    }
    struct NET_BUFFER_LIST_POOL_PARAMETERS [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 ProtocolId: UCHAR,
        5 fAllocateNetBuffer: BOOLEAN,
        6 ContextSize: USHORT,
        8 PoolTag: ULONG,
        12 DataSize: ULONG,
        16 Flags: ULONG,
    }
    struct NET_BUFFER_LIST_TIMESTAMP [8, 8] {
        0 Timestamp: ULONG64,
    }
    struct NET_BUFFER_POOL_PARAMETERS [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 PoolTag: ULONG,
        8 DataSize: ULONG,
        12 Flags: ULONG,
    }
    struct NET_BUFFER_SHARED_MEMORY [32, 8] {
        0 NextSharedMemorySegment: *mut NET_BUFFER_SHARED_MEMORY,
        8 SharedMemoryFlags: ULONG,
        16 SharedMemoryHandle: NDIS_HANDLE,
        24 SharedMemoryOffset: ULONG,
        28 SharedMemoryLength: ULONG,
    }
    struct SCATTER_GATHER_ELEMENT [24, 8] {
        0 Address: PHYSICAL_ADDRESS,
        8 Length: ULONG,
        16 Reserved: ULONG_PTR,
    }
    struct SCATTER_GATHER_LIST [16, 8] {
        0 NumberOfElements: ULONG,
        8 Reserved: ULONG_PTR,
        16 Elements: [SCATTER_GATHER_ELEMENT; 0],
    }
}

callbacks! {
    fn NET_BUFFER_ALLOCATE_MDL(BufferSize: *mut ULONG) -> *mut MDL;
    fn NET_BUFFER_FREE_MDL(Mdl: *mut MDL);
}

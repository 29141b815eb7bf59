//! Network data: NET_BUFFER_LIST, NET_BUFFER and the flags that go with them.
//!
//! Documentation:
//! * [NET_BUFFER architecture](https://learn.microsoft.com/windows-hardware/drivers/network/net-buffer-architecture)
//! * [NET_BUFFER_LIST](https://learn.microsoft.com/windows-hardware/drivers/ddi/nbl/ns-nbl-net_buffer_list)

use crate::{
    BOOLEAN, LONG, MDL, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_STATUS, PHYSICAL_ADDRESS, PVOID,
    SIZE_T, SLIST_HEADER, UCHAR, ULONG, ULONG_PTR, ULONG64, USHORT,
};

constants! {
    /// Flag of a send.
    ULONG {
        NDIS_SEND_FLAGS_DISPATCH_LEVEL = 1,
        NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK = 2,
        NDIS_SEND_FLAGS_SINGLE_QUEUE = 4,
        NDIS_SEND_FLAGS_SWITCH_DESTINATION_GROUP = 0x10,
        NDIS_SEND_FLAGS_SWITCH_SINGLE_SOURCE = 0x20,
    }
    /// Flag of a send completion.
    ULONG {
        NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL = 1,
        NDIS_SEND_COMPLETE_FLAGS_SINGLE_QUEUE = 2,
        NDIS_SEND_COMPLETE_FLAGS_SWITCH_SINGLE_SOURCE = 4,
    }
    /// Flag of a receive indication.
    ULONG {
        NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL = 1,
        NDIS_RECEIVE_FLAGS_RESOURCES = 2,
        NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE = 0x100,
        NDIS_RECEIVE_FLAGS_SINGLE_VLAN = 0x200,
        NDIS_RECEIVE_FLAGS_PERFECT_FILTERED = 0x400,
        NDIS_RECEIVE_FLAGS_SINGLE_QUEUE = 0x800,
        NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID = 0x1000,
        NDIS_RECEIVE_FLAGS_MORE_NBLS = 0x2000,
        NDIS_RECEIVE_FLAGS_SWITCH_DESTINATION_GROUP = 0x4000,
        NDIS_RECEIVE_FLAGS_SWITCH_SINGLE_SOURCE = 0x8000,
    }
    /// Flag of the return of received lists.
    ULONG {
        NDIS_RETURN_FLAGS_DISPATCH_LEVEL = 1,
        NDIS_RETURN_FLAGS_SINGLE_QUEUE = 2,
        NDIS_RETURN_FLAGS_SWITCH_SINGLE_SOURCE = 4,
    }
    /// Flag of `NET_BUFFER_LIST::NblFlags`.
    ULONG {
        NDIS_NBL_FLAGS_SEND_READ_ONLY = 1,
        NDIS_NBL_FLAGS_RECV_READ_ONLY = 2,
        NDIS_NBL_FLAGS_HD_SPLIT = 0x100,
        NDIS_NBL_FLAGS_IS_IPV4 = 0x200,
        NDIS_NBL_FLAGS_IS_IPV6 = 0x400,
        NDIS_NBL_FLAGS_IS_TCP = 0x800,
        NDIS_NBL_FLAGS_IS_UDP = 0x1000,
        NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_HEADER = 0x2000,
        NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_PAYLOAD = 0x4000,
        NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET = 0x8000,
        NDIS_NBL_FLAGS_CAPTURE_TIMESTAMP_ON_TRANSMIT = 0x0001_0000,
    }
    /// Bits of `NET_BUFFER_LIST::Flags` and who may use them.
    ULONG {
        NBL_FLAGS_NDIS_RESERVED = 0xFFC,
        NBL_FLAGS_MINIPORT_RESERVED = 0xF000,
        NBL_FLAGS_SCRATCH = 0x000F_0000,
        NBL_FLAGS_PROTOCOL_RESERVED = 0xFFF0_0003,
        NBL_PROT_RSVD_FLAGS = 0xFFF0_0003,
    }
    /// Flag of a pool.
    ULONG {
        NET_BUFFER_LIST_POOL_FLAG_VERIFY = 1,
        NET_BUFFER_POOL_FLAG_VERIFY = 1,
    }
    /// Flag of `NdisAllocateCloneNetBufferList`.
    ULONG {
        NDIS_CLONE_FLAGS_RESERVED = 1,
        NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS = 2,
    }
    /// Says that the number of lists in a chain is not known.
    ULONG {
        NDIS_ANY_NUMBER_OF_NBLS = 0xFFFF_FFFF,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 = 1,
        NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_2 = 2,
        NET_BUFFER_POOL_PARAMETERS_REVISION_1 = 1,
        NET_BUFFER_POOL_PARAMETERS_REVISION_2 = 2,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 = 16,
        NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_2 = 20,
        NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1 = 12,
        NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_2 = 16,
    }
}

structs! {
    /// One packet: a range of bytes in a chain of MDLs.
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
    /// The head of a [`NET_BUFFER`]: where its data is.
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
    /// The length of a [`NET_BUFFER`], in two widths.
    union NET_BUFFER_DATA_LENGTH [8, 8] {
        0 DataLength: ULONG,
        0 stDataLength: SIZE_T,
    }
    /// The head of a [`NET_BUFFER`], also as an entry of a list.
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
    /// One or more packets with common out-of-band information.
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
    /// Context space that drivers push on a [`NET_BUFFER_LIST`].
    #[repr(align(16))]
    struct NET_BUFFER_LIST_CONTEXT [16, 16] {
        0 Next: *mut NET_BUFFER_LIST_CONTEXT,
        8 Size: USHORT,
        10 Offset: USHORT,
        12 _pad1: [UCHAR; 4],
        16 ContextData: [UCHAR; 0],
    }
    /// The head of a [`NET_BUFFER_LIST`]: its links.
    struct NET_BUFFER_LIST_DATA [16, 8] {
        0 Next: *mut NET_BUFFER_LIST,
        8 FirstNetBuffer: *mut NET_BUFFER,
    }
    /// The head of a [`NET_BUFFER_LIST`], also as an entry of a list.
    #[repr(align(16))]
    struct NET_BUFFER_LIST_HEADER [16, 16] {
        0 Next: *mut NET_BUFFER_LIST,
        8 FirstNetBuffer: *mut NET_BUFFER,
        also {
            0 Link: SLIST_HEADER,
        }
    }
    /// A pool of lists to allocate.
    struct NET_BUFFER_LIST_POOL_PARAMETERS [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 ProtocolId: UCHAR,
        5 fAllocateNetBuffer: BOOLEAN,
        6 ContextSize: USHORT,
        8 PoolTag: ULONG,
        12 DataSize: ULONG,
        16 Flags: ULONG,
    }
    /// The timestamp of a packet.
    struct NET_BUFFER_LIST_TIMESTAMP [8, 8] {
        0 Timestamp: ULONG64,
    }
    /// A pool of packets to allocate.
    struct NET_BUFFER_POOL_PARAMETERS [16, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 PoolTag: ULONG,
        8 DataSize: ULONG,
        12 Flags: ULONG,
    }
    /// A buffer in memory that is shared with a device.
    struct NET_BUFFER_SHARED_MEMORY [32, 8] {
        0 NextSharedMemorySegment: *mut NET_BUFFER_SHARED_MEMORY,
        8 SharedMemoryFlags: ULONG,
        16 SharedMemoryHandle: NDIS_HANDLE,
        24 SharedMemoryOffset: ULONG,
        28 SharedMemoryLength: ULONG,
    }
    /// One contiguous piece of a buffer.
    struct SCATTER_GATHER_ELEMENT [24, 8] {
        0 Address: PHYSICAL_ADDRESS,
        8 Length: ULONG,
        16 Reserved: ULONG_PTR,
    }
    /// The physical pieces of a buffer.
    struct SCATTER_GATHER_LIST [16, 8] {
        0 NumberOfElements: ULONG,
        8 Reserved: ULONG_PTR,
        16 Elements: [SCATTER_GATHER_ELEMENT; 0],
    }
}

callbacks! {
    /// Allocates an MDL for a packet that grows at its front. IRQL: `<= DISPATCH_LEVEL`.
    fn NET_BUFFER_ALLOCATE_MDL(BufferSize: *mut ULONG) -> *mut MDL;
    /// Frees such an MDL. IRQL: `<= DISPATCH_LEVEL`.
    fn NET_BUFFER_FREE_MDL(Mdl: *mut MDL);
}

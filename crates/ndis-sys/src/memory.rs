//! Memory of NDIS and generic objects.
//!
//! Documentation:
//! * [NdisAllocateMemoryWithTagPriority](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/nf-ndis-ndisallocatememorywithtagpriority)

use crate::{
    DRIVER_OBJECT, EX_POOL_PRIORITY, NDIS_HANDLE, NDIS_NIC_SWITCH_VPORT_ID, NDIS_OBJECT_HEADER,
    NDIS_RECEIVE_QUEUE_ID, NDIS_STATUS, NODE_REQUIREMENT, PVOID, SCATTER_GATHER_LIST, UCHAR, UINT,
    ULONG, USHORT,
};

constants! {
    /// Value for shared memory.
    ULONG {
        NDIS_SHARED_MEM_HANDLE_HAL_ALLOCATED = 0,
        NDIS_SHARED_MEMORY_PROVIDER_CHAR_SUPPORTS_PF_VPORTS = 1,
        NDIS_SHARED_MEM_PARAMETERS_CONTIGOUS = 1,
        NDIS_SHARED_MEM_PARAMETERS_CONTIGUOUS = 1,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_SHARED_MEMORY_PARAMETERS_REVISION_1 = 1,
        NDIS_SHARED_MEMORY_PARAMETERS_REVISION_2 = 2,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_SHARED_MEMORY_PARAMETERS_REVISION_1 = 64,
        NDIS_SIZEOF_SHARED_MEMORY_PARAMETERS_REVISION_2 = 68,
    }
}

enums! {
    /// Use of shared memory.
    NDIS_SHARED_MEMORY_USAGE {
        NdisSharedMemoryUsageUndefined = 0,
        NdisSharedMemoryUsageXmit = 1,
        NdisSharedMemoryUsageXmitHeader = 2,
        NdisSharedMemoryUsageXmitData = 3,
        NdisSharedMemoryUsageReceive = 4,
        NdisSharedMemoryUsageReceiveLookahead = 5,
        NdisSharedMemoryUsageReceivePostLookahead = 6,
        NdisSharedMemoryUsageReceiveHeader = 7,
        NdisSharedMemoryUsageReceiveData = 8,
        NdisSharedMemoryUsageOther = 9,
        NdisSharedMemoryUsageMax = 10,
    }
}

structs! {
    /// An owner for NDIS resources of a component without a handle.
    struct NDIS_GENERIC_OBJECT [32, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 Caller: PVOID,
        16 CallersCaller: PVOID,
        24 DriverObject: *mut DRIVER_OBJECT,
    }
    /// Memory shared with a device.
    struct NDIS_SHARED_MEMORY_PARAMETERS [72, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 QueueId: NDIS_RECEIVE_QUEUE_ID,
        16 SharedMemoryHandle: NDIS_HANDLE,
        24 PreferredNode: NODE_REQUIREMENT,
        28 Usage: NDIS_SHARED_MEMORY_USAGE,
        32 Length: ULONG,
        40 VirtualAddress: PVOID,
        48 SGListBufferLength: ULONG,
        56 SGListBuffer: *mut SCATTER_GATHER_LIST,
        64 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
    }
}

imports! {
    "ndis.sys";
    /// Allocates an owner for NDIS resources. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateGenericObject(
        DriverObject: *mut DRIVER_OBJECT,
        Tag: ULONG,
        Size: USHORT,
    ) -> *mut NDIS_GENERIC_OBJECT;
    /// Allocates memory; superseded by [`NdisAllocateMemoryWithTagPriority`].
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateMemoryWithTag(
        VirtualAddress: *mut PVOID,
        Length: UINT,
        Tag: ULONG,
    ) -> NDIS_STATUS;
    /// Allocates nonpaged memory. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateMemoryWithTagPriority(
        NdisHandle: NDIS_HANDLE,
        Length: UINT,
        Tag: ULONG,
        Priority: EX_POOL_PRIORITY,
    ) -> PVOID;
    /// Allocates memory that is shared with a device. IRQL: `PASSIVE_LEVEL`.
    fn NdisAllocateSharedMemory(
        NdisHandle: NDIS_HANDLE,
        SharedMemoryParameters: *mut NDIS_SHARED_MEMORY_PARAMETERS,
        pAllocationHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Frees an owner for NDIS resources. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeGenericObject(NdisObject: *mut NDIS_GENERIC_OBJECT);
    /// Frees memory of NDIS. IRQL: `<= DISPATCH_LEVEL` for pool memory.
    fn NdisFreeMemory(VirtualAddress: PVOID, Length: UINT, MemoryFlags: UINT);
    /// Frees memory of NDIS with its tag. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeMemoryWithTag(VirtualAddress: PVOID, Tag: ULONG);
    /// Frees memory of NDIS with owner and tag. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeMemoryWithTagPriority(NdisHandle: NDIS_HANDLE, VirtualAddress: PVOID, Tag: ULONG);
    /// Frees memory that was shared with a device. IRQL: `PASSIVE_LEVEL`.
    fn NdisFreeSharedMemory(NdisHandle: NDIS_HANDLE, AllocationHandle: NDIS_HANDLE);
}

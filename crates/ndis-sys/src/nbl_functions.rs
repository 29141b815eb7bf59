//! Functions on network data: pools, clones, fragments, sending, receiving.
//!
//! Documentation:
//! * [NET_BUFFER architecture](https://learn.microsoft.com/windows-hardware/drivers/network/net-buffer-architecture)
//! * [Derived NET_BUFFER_LIST structures](https://learn.microsoft.com/windows-hardware/drivers/network/derived-net-buffer-list-structures)

use crate::{
    BOOLEAN, MDL, NDIS_HANDLE, NDIS_PORT_NUMBER, NDIS_STATUS, NET_BUFFER, NET_BUFFER_ALLOCATE_MDL,
    NET_BUFFER_FREE_MDL, NET_BUFFER_LIST, NET_BUFFER_LIST_POOL_PARAMETERS,
    NET_BUFFER_POOL_PARAMETERS, PVOID, SIZE_T, UCHAR, ULONG, USHORT,
};

imports! {
    "ndis.sys";
    /// Sets the current MDL of a packet after its data start moved. IRQL: any.
    fn NdisAdjustNetBufferCurrentMdl(NetBuffer: *mut NET_BUFFER);
    /// Takes bytes off the front of a packet. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAdvanceNetBufferDataStart(
        NetBuffer: *mut NET_BUFFER,
        DataOffsetDelta: ULONG,
        FreeMdl: BOOLEAN,
        FreeMdlHandler: Option<NET_BUFFER_FREE_MDL>,
    );
    /// Takes bytes off the front of every packet of a list. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAdvanceNetBufferListDataStart(
        NetBufferList: *mut NET_BUFFER_LIST,
        DataOffsetDelta: ULONG,
        FreeMdl: BOOLEAN,
        FreeMdlMdlHandler: Option<NET_BUFFER_FREE_MDL>,
    );
    /// Makes a list that shares the data of another one. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateCloneNetBufferList(
        OriginalNetBufferList: *mut NET_BUFFER_LIST,
        NetBufferListPoolHandle: NDIS_HANDLE,
        NetBufferPoolHandle: NDIS_HANDLE,
        AllocateCloneFlags: ULONG,
    ) -> *mut NET_BUFFER_LIST;
    /// Makes lists that divide the data of another one. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateFragmentNetBufferList(
        OriginalNetBufferList: *mut NET_BUFFER_LIST,
        NetBufferListPool: NDIS_HANDLE,
        NetBufferPool: NDIS_HANDLE,
        StartOffset: ULONG,
        MaximumLength: ULONG,
        DataOffsetDelta: ULONG,
        DataBackFill: ULONG,
        AllocateFragmentFlags: ULONG,
    ) -> *mut NET_BUFFER_LIST;
    /// Allocates an MDL for a nonpaged buffer. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateMdl(NdisHandle: NDIS_HANDLE, VirtualAddress: PVOID, Length: ULONG) -> *mut MDL;
    /// Allocates a packet. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateNetBuffer(
        PoolHandle: NDIS_HANDLE,
        MdlChain: *mut MDL,
        DataOffset: ULONG,
        DataLength: SIZE_T,
    ) -> *mut NET_BUFFER;
    /// Allocates a list with one packet. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateNetBufferAndNetBufferList(
        PoolHandle: NDIS_HANDLE,
        ContextSize: USHORT,
        ContextBackFill: USHORT,
        MdlChain: *mut MDL,
        DataOffset: ULONG,
        DataLength: SIZE_T,
    ) -> *mut NET_BUFFER_LIST;
    /// Allocates a list without packets. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateNetBufferList(
        PoolHandle: NDIS_HANDLE,
        ContextSize: USHORT,
        ContextBackFill: USHORT,
    ) -> *mut NET_BUFFER_LIST;
    /// Makes room in the context space of a list. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateNetBufferListContext(
        NetBufferList: *mut NET_BUFFER_LIST,
        ContextSize: USHORT,
        ContextBackFill: USHORT,
        PoolTag: ULONG,
    ) -> NDIS_STATUS;
    /// Allocates a pool of lists. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateNetBufferListPool(
        NdisHandle: NDIS_HANDLE,
        Parameters: *const NET_BUFFER_LIST_POOL_PARAMETERS,
    ) -> NDIS_HANDLE;
    /// Allocates a packet with MDL and data. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateNetBufferMdlAndData(PoolHandle: NDIS_HANDLE) -> *mut NET_BUFFER;
    /// Allocates a pool of packets. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateNetBufferPool(
        NdisHandle: NDIS_HANDLE,
        Parameters: *const NET_BUFFER_POOL_PARAMETERS,
    ) -> NDIS_HANDLE;
    /// Makes one list of fragments. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateReassembledNetBufferList(
        FragmentNetBufferList: *mut NET_BUFFER_LIST,
        NetBufferAndNetBufferListPoolHandle: NDIS_HANDLE,
        StartOffset: ULONG,
        DataOffsetDelta: ULONG,
        DataBackFill: ULONG,
        AllocateReassembleFlags: ULONG,
    ) -> *mut NET_BUFFER_LIST;
    /// Asks the adapter below to cancel sends. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisCancelSendNetBufferLists(NdisBindingHandle: NDIS_HANDLE, CancelId: PVOID);
    /// Copies data from one packet to another. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisCopyFromNetBufferToNetBuffer(
        Destination: *mut NET_BUFFER,
        DestinationOffset: ULONG,
        BytesToCopy: ULONG,
        Source: *const NET_BUFFER,
        SourceOffset: ULONG,
        BytesCopied: *mut ULONG,
    ) -> NDIS_STATUS;
    /// Copies the out-of-band information of a received list. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisCopyReceiveNetBufferListInfo(
        DestNetBufferList: *mut NET_BUFFER_LIST,
        SrcNetBufferList: *const NET_BUFFER_LIST,
    );
    /// Copies the out-of-band information of a list to send. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisCopySendNetBufferListInfo(
        DestNetBufferList: *mut NET_BUFFER_LIST,
        SrcNetBufferList: *const NET_BUFFER_LIST,
    );
    /// Frees a clone. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeCloneNetBufferList(CloneNetBufferList: *mut NET_BUFFER_LIST, FreeCloneFlags: ULONG);
    /// Frees fragments. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeFragmentNetBufferList(
        FragmentNetBufferList: *mut NET_BUFFER_LIST,
        DataOffsetDelta: ULONG,
        FreeFragmentFlags: ULONG,
    );
    /// Frees an MDL. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeMdl(Mdl: *mut MDL);
    /// Frees a packet. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeNetBuffer(NetBuffer: *mut NET_BUFFER);
    /// Frees a list. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeNetBufferList(NetBufferList: *mut NET_BUFFER_LIST);
    /// Gives room in the context space of a list back. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeNetBufferListContext(NetBufferList: *mut NET_BUFFER_LIST, ContextSize: USHORT);
    /// Frees a pool of lists. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeNetBufferListPool(PoolHandle: NDIS_HANDLE);
    /// Frees a pool of packets. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeNetBufferPool(PoolHandle: NDIS_HANDLE);
    /// Frees a list made of fragments. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeReassembledNetBufferList(
        ReassembledNetBufferList: *mut NET_BUFFER_LIST,
        DataOffsetDelta: ULONG,
        FreeReassembleFlags: ULONG,
    );
    /// Returns the high byte of the cancel identifiers of a driver. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisGeneratePartialCancelId() -> UCHAR;
    /// Returns the first bytes of a packet in one piece. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisGetDataBuffer(
        NetBuffer: *mut NET_BUFFER,
        BytesNeeded: ULONG,
        Storage: PVOID,
        AlignMultiple: ULONG,
        AlignOffset: ULONG,
    ) -> PVOID;
    /// Returns the protocol that a list belongs to. IRQL: any.
    fn NdisGetNetBufferListProtocolId(NetBufferList: *const NET_BUFFER_LIST) -> UCHAR;
    /// Returns the pool of a packet. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisGetPoolFromNetBuffer(NetBuffer: *const NET_BUFFER) -> NDIS_HANDLE;
    /// Returns the pool of a list. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisGetPoolFromNetBufferList(NetBufferList: *const NET_BUFFER_LIST) -> NDIS_HANDLE;
    /// Returns the number of physical pieces of a packet. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisQueryNetBufferPhysicalCount(NetBuffer: *mut NET_BUFFER) -> ULONG;
    /// Adds bytes at the front of a packet. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisRetreatNetBufferDataStart(
        NetBuffer: *mut NET_BUFFER,
        DataOffsetDelta: ULONG,
        DataBackFill: ULONG,
        AllocateMdlHandler: Option<NET_BUFFER_ALLOCATE_MDL>,
    ) -> NDIS_STATUS;
    /// Adds bytes at the front of every packet of a list. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisRetreatNetBufferListDataStart(
        NetBufferList: *mut NET_BUFFER_LIST,
        DataOffsetDelta: ULONG,
        DataBackFill: ULONG,
        AllocateMdlHandler: Option<NET_BUFFER_ALLOCATE_MDL>,
        FreeMdlHandler: Option<NET_BUFFER_FREE_MDL>,
    ) -> NDIS_STATUS;
    /// Gives received lists back. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisReturnNetBufferLists(
        NdisBindingHandle: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        ReturnFlags: ULONG,
    );
    /// Sends lists. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisSendNetBufferLists(
        NdisBindingHandle: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        SendFlags: ULONG,
    );
}

//! nbl_fns

use crate::*;

imports! {
    "ndis.sys";
    fn NdisAdjustNetBufferCurrentMdl(NetBuffer: *mut NET_BUFFER);
    fn NdisAdvanceNetBufferDataStart(NetBuffer: *mut NET_BUFFER, DataOffsetDelta: ULONG, FreeMdl: BOOLEAN, FreeMdlHandler: Option<NET_BUFFER_FREE_MDL>);
    fn NdisAdvanceNetBufferListDataStart(NetBufferList: *mut NET_BUFFER_LIST, DataOffsetDelta: ULONG, FreeMdl: BOOLEAN, FreeMdlMdlHandler: Option<NET_BUFFER_FREE_MDL>);
    fn NdisAllocateCloneNetBufferList(OriginalNetBufferList: *mut NET_BUFFER_LIST, NetBufferListPoolHandle: NDIS_HANDLE, NetBufferPoolHandle: NDIS_HANDLE, AllocateCloneFlags: ULONG) -> *mut NET_BUFFER_LIST;
    fn NdisAllocateFragmentNetBufferList(OriginalNetBufferList: *mut NET_BUFFER_LIST, NetBufferListPool: NDIS_HANDLE, NetBufferPool: NDIS_HANDLE, StartOffset: ULONG, MaximumLength: ULONG, DataOffsetDelta: ULONG, DataBackFill: ULONG, AllocateFragmentFlags: ULONG) -> *mut NET_BUFFER_LIST;
    fn NdisAllocateMdl(Parameter1: NDIS_HANDLE, Parameter2: PVOID, Parameter3: ULONG) -> *mut MDL;
    fn NdisAllocateNetBuffer(PoolHandle: NDIS_HANDLE, MdlChain: *mut MDL, DataOffset: ULONG, DataLength: SIZE_T) -> *mut NET_BUFFER;
    fn NdisAllocateNetBufferAndNetBufferList(PoolHandle: NDIS_HANDLE, ContextSize: USHORT, ContextBackFill: USHORT, MdlChain: *mut MDL, DataOffset: ULONG, DataLength: SIZE_T) -> *mut NET_BUFFER_LIST;
    fn NdisAllocateNetBufferList(PoolHandle: NDIS_HANDLE, ContextSize: USHORT, ContextBackFill: USHORT) -> *mut NET_BUFFER_LIST;
    fn NdisAllocateNetBufferListContext(NetBufferList: *mut NET_BUFFER_LIST, ContextSize: USHORT, ContextBackFill: USHORT, PoolTag: ULONG) -> NDIS_STATUS;
    fn NdisAllocateNetBufferListPool(NdisHandle: NDIS_HANDLE, Parameters: *const NET_BUFFER_LIST_POOL_PARAMETERS) -> NDIS_HANDLE;
    fn NdisAllocateNetBufferMdlAndData(PoolHandle: NDIS_HANDLE) -> *mut NET_BUFFER;
    fn NdisAllocateNetBufferPool(NdisHandle: NDIS_HANDLE, Parameters: *const NET_BUFFER_POOL_PARAMETERS) -> NDIS_HANDLE;
    fn NdisAllocateReassembledNetBufferList(FragmentNetBufferList: *mut NET_BUFFER_LIST, NetBufferAndNetBufferListPoolHandle: NDIS_HANDLE, StartOffset: ULONG, DataOffsetDelta: ULONG, DataBackFill: ULONG, AllocateReassembleFlags: ULONG) -> *mut NET_BUFFER_LIST;
    fn NdisCancelSendNetBufferLists(NdisBindingHandle: NDIS_HANDLE, CancelId: PVOID);
    fn NdisCopyFromNetBufferToNetBuffer(Destination: *mut NET_BUFFER, DestinationOffset: ULONG, BytesToCopy: ULONG, Source: *const NET_BUFFER, SourceOffset: ULONG, BytesCopied: *mut ULONG) -> NDIS_STATUS;
    fn NdisCopyReceiveNetBufferListInfo(DestNetBufferList: *mut NET_BUFFER_LIST, SrcNetBufferList: *const NET_BUFFER_LIST);
    fn NdisCopySendNetBufferListInfo(DestNetBufferList: *mut NET_BUFFER_LIST, SrcNetBufferList: *const NET_BUFFER_LIST);
    fn NdisFreeCloneNetBufferList(CloneNetBufferList: *mut NET_BUFFER_LIST, FreeCloneFlags: ULONG);
    fn NdisFreeFragmentNetBufferList(FragmentNetBufferList: *mut NET_BUFFER_LIST, DataOffsetDelta: ULONG, FreeFragmentFlags: ULONG);
    fn NdisFreeMdl(Parameter1: *mut MDL);
    fn NdisFreeNetBuffer(NetBuffer: *mut NET_BUFFER);
    fn NdisFreeNetBufferList(NetBufferList: *mut NET_BUFFER_LIST);
    fn NdisFreeNetBufferListContext(NetBufferList: *mut NET_BUFFER_LIST, ContextSize: USHORT);
    fn NdisFreeNetBufferListPool(PoolHandle: NDIS_HANDLE);
    fn NdisFreeNetBufferPool(PoolHandle: NDIS_HANDLE);
    fn NdisFreeReassembledNetBufferList(ReassembledNetBufferList: *mut NET_BUFFER_LIST, DataOffsetDelta: ULONG, FreeReassembleFlags: ULONG);
    fn NdisGetDataBuffer(NetBuffer: *mut NET_BUFFER, BytesNeeded: ULONG, Storage: PVOID, AlignMultiple: ULONG, AlignOffset: ULONG) -> PVOID;
    fn NdisGetNetBufferListProtocolId(NetBufferList: *const NET_BUFFER_LIST) -> UCHAR;
    fn NdisGetPoolFromNetBuffer(NetBuffer: *const NET_BUFFER) -> NDIS_HANDLE;
    fn NdisGetPoolFromNetBufferList(NetBufferList: *const NET_BUFFER_LIST) -> NDIS_HANDLE;
    fn NdisQueryNetBufferPhysicalCount(NetBuffer: *mut NET_BUFFER) -> ULONG;
    fn NdisRetreatNetBufferDataStart(NetBuffer: *mut NET_BUFFER, DataOffsetDelta: ULONG, DataBackFill: ULONG, AllocateMdlHandler: Option<NET_BUFFER_ALLOCATE_MDL>) -> NDIS_STATUS;
    fn NdisRetreatNetBufferListDataStart(NetBufferList: *mut NET_BUFFER_LIST, DataOffsetDelta: ULONG, DataBackFill: ULONG, AllocateMdlHandler: Option<NET_BUFFER_ALLOCATE_MDL>, FreeMdlHandler: Option<NET_BUFFER_FREE_MDL>) -> NDIS_STATUS;
    fn NdisReturnNetBufferLists(NdisBindingHandle: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, ReturnFlags: ULONG);
    fn NdisSendNetBufferLists(NdisBindingHandle: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, SendFlags: ULONG);
}

/* What the headers of a Windows kit do in macros and inline functions, for NDIS. */
#pragma once

#include "ndis-sys.h"
#include "kit-nt.h"

typedef UNICODE_STRING NDIS_STRING, *PNDIS_STRING;
#define NDIS_STRING_CONST(text) \
    {sizeof(text) - sizeof(WCHAR), sizeof(text), (WCHAR *)(text)}

#define NdisZeroMemory(to, count) RtlZeroMemory((to), (count))
#define NdisMoveMemory(to, from, count) RtlCopyMemory((to), (from), (count))
#define NdisEqualMemory(one, other, count) RtlEqualMemory((one), (other), (count))

/* Spin locks of NDIS are those of the kernel. */
#define NdisAllocateSpinLock(lock) KeInitializeSpinLock(&(lock)->SpinLock)
#define NdisFreeSpinLock(lock) ((void)(lock))
#define NdisAcquireSpinLock(lock) \
    ((void)((lock)->OldIrql = KeAcquireSpinLockRaiseToDpc(&(lock)->SpinLock)))
#define NdisReleaseSpinLock(lock) KeReleaseSpinLock(&(lock)->SpinLock, (lock)->OldIrql)
#define NdisDprAcquireSpinLock(lock) KeAcquireSpinLockAtDpcLevel(&(lock)->SpinLock)
#define NdisDprReleaseSpinLock(lock) KeReleaseSpinLockFromDpcLevel(&(lock)->SpinLock)

#define NdisInterlockedIncrement(p) InterlockedIncrement(p)
#define NdisInterlockedDecrement(p) InterlockedDecrement(p)
#define NdisInterlockedInsertHeadList(head, entry, lock) \
    ExInterlockedInsertHeadList((head), (entry), &(lock)->SpinLock)
#define NdisInterlockedInsertTailList(head, entry, lock) \
    ExInterlockedInsertTailList((head), (entry), &(lock)->SpinLock)
#define NdisInterlockedRemoveHeadList(head, lock) \
    ExInterlockedRemoveHeadList((head), &(lock)->SpinLock)

/* Lists and buffers. */
#define NET_BUFFER_LIST_NEXT_NBL(list) ((list)->Next)
#define NET_BUFFER_LIST_FIRST_NB(list) ((list)->FirstNetBuffer)
#define NET_BUFFER_LIST_STATUS(list) ((list)->Status)
#define NET_BUFFER_LIST_INFO(list, id) ((list)->NetBufferListInfo[(id)])
#define NET_BUFFER_LIST_CONTEXT_DATA_START(list) \
    ((PUCHAR)((list)->Context + 1) + (list)->Context->Offset)
#define NET_BUFFER_LIST_MINIPORT_RESERVED(list) ((list)->MiniportReserved)
#define NET_BUFFER_LIST_PROTOCOL_RESERVED(list) ((list)->ProtocolReserved)
#define NET_BUFFER_NEXT_NB(buffer) ((buffer)->Next)
#define NET_BUFFER_FIRST_MDL(buffer) ((buffer)->MdlChain)
#define NET_BUFFER_CURRENT_MDL(buffer) ((buffer)->CurrentMdl)
#define NET_BUFFER_CURRENT_MDL_OFFSET(buffer) ((buffer)->CurrentMdlOffset)
#define NET_BUFFER_DATA_LENGTH(buffer) ((buffer)->DataLength)
#define NET_BUFFER_DATA_OFFSET(buffer) ((buffer)->DataOffset)
#define NDIS_GET_NET_BUFFER_LIST_CANCEL_ID(list) NET_BUFFER_LIST_INFO(list, NetBufferListCancelId)
#define NDIS_TEST_SEND_AT_DISPATCH_LEVEL(flags) \
    (((flags) & NDIS_SEND_FLAGS_DISPATCH_LEVEL) != 0)
#define NDIS_TEST_RECEIVE_AT_DISPATCH_LEVEL(flags) \
    (((flags) & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL) != 0)
#define NDIS_TEST_RECEIVE_CANNOT_PEND(flags) (((flags) & NDIS_RECEIVE_FLAGS_RESOURCES) != 0)
#define NDIS_TEST_RETURN_AT_DISPATCH_LEVEL(flags) \
    (((flags) & NDIS_RETURN_FLAGS_DISPATCH_LEVEL) != 0)
#define NDIS_STATUS_OK(status) ((status) == NDIS_STATUS_SUCCESS)

#define NdisQueryMdl(mdl, address, length, priority)                               \
    do {                                                                           \
        *(PVOID *)(address) = MmGetSystemAddressForMdlSafe((mdl), (priority));     \
        *(length) = MmGetMdlByteCount(mdl);                                        \
    } while (0)

/* Ethernet. */
#define ETH_IS_MULTICAST(address) ((((PUCHAR)(address))[0] & 1) != 0)
#define ETH_IS_BROADCAST(address)                                      \
    ((((PUCHAR)(address))[0] & ((PUCHAR)(address))[1] & ((PUCHAR)(address))[2] & \
      ((PUCHAR)(address))[3] & ((PUCHAR)(address))[4] & ((PUCHAR)(address))[5]) == 0xFF)

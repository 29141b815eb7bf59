/* What the headers of a Windows kit do in macros and inline functions, for the kernel's part.
   Some of it never reaches an import: the IRQL is read from a register, and times are read
   from the page that the kernel shares with everybody. */
#pragma once

#include "ndis-sys.h"

/* Functions that ndis-sys does not declare; see MORE in the crate ndis-headers. */
DECLSPEC_IMPORT DECLSPEC_NORETURN void NTAPI ExRaiseStatus(NTSTATUS Status);
/* Compilers call these four by name, not through the import table. */
int memcmp(const void *one, const void *other, size_t count);
void *memcpy(void *to, const void *from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int sprintf(char *to, const char *format, ...);
int _snprintf(char *to, size_t count, const char *format, ...);
int _vsnprintf(char *to, size_t count, const char *format, va_list list);
size_t strlen(const char *text);
size_t wcslen(const wchar_t *text);

#define NT_SUCCESS(status) ((NTSTATUS)(status) >= 0)
#define RtlZeroMemory(to, count) memset((to), 0, (count))
#define RtlFillMemory(to, count, value) memset((to), (value), (count))
#define RtlCopyMemory(to, from, count) memcpy((to), (from), (count))
#define RtlMoveMemory(to, from, count) memmove((to), (from), (count))
#define RtlEqualMemory(one, other, count) (!memcmp((one), (other), (count)))

#define DECLARE_CONST_UNICODE_STRING(name, text)                                  \
    static const WCHAR name##_text[] = text;                                      \
    static const UNICODE_STRING name = {sizeof(text) - sizeof(WCHAR), sizeof(text), \
                                        (WCHAR *)name##_text}

/* Structured exceptions: words of the language, and what a filter may ask. */
#define try __try
#define except __except
#define finally __finally
#define leave __leave
#define GetExceptionCode _exception_code
#define EXCEPTION_EXECUTE_HANDLER 1
#define EXCEPTION_CONTINUE_SEARCH 0
#define EXCEPTION_ACCESS_VIOLATION ((unsigned long)0xC0000005UL)

/* Interlocked operations: one locked instruction each. */
#define InterlockedIncrement(p) (__atomic_add_fetch((volatile LONG *)(p), 1, __ATOMIC_SEQ_CST))
#define InterlockedDecrement(p) (__atomic_sub_fetch((volatile LONG *)(p), 1, __ATOMIC_SEQ_CST))
#define InterlockedExchange(p, v) \
    (__atomic_exchange_n((volatile LONG *)(p), (LONG)(v), __ATOMIC_SEQ_CST))
#define InterlockedExchangePointer(p, v) \
    (__atomic_exchange_n((PVOID volatile *)(p), (PVOID)(v), __ATOMIC_SEQ_CST))
#define InterlockedExchangeAdd(p, v) \
    (__atomic_fetch_add((volatile LONG *)(p), (LONG)(v), __ATOMIC_SEQ_CST))
#define InterlockedOr(p, v) (__atomic_fetch_or((volatile LONG *)(p), (LONG)(v), __ATOMIC_SEQ_CST))
#define InterlockedAnd(p, v) (__atomic_fetch_and((volatile LONG *)(p), (LONG)(v), __ATOMIC_SEQ_CST))
#define KeMemoryBarrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)

FORCEINLINE LONG InterlockedCompareExchange(volatile LONG *to, LONG value, LONG compared)
{
    __atomic_compare_exchange_n(to, &compared, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return compared;
}

/* Doubly linked lists. */
FORCEINLINE void InitializeListHead(LIST_ENTRY *head)
{
    head->Flink = head->Blink = head;
}

FORCEINLINE BOOLEAN IsListEmpty(const LIST_ENTRY *head)
{
    return head->Flink == head;
}

FORCEINLINE BOOLEAN RemoveEntryList(LIST_ENTRY *entry)
{
    LIST_ENTRY *before = entry->Blink, *behind = entry->Flink;

    before->Flink = behind;
    behind->Blink = before;
    return before == behind;
}

FORCEINLINE LIST_ENTRY *RemoveHeadList(LIST_ENTRY *head)
{
    LIST_ENTRY *entry = head->Flink;

    RemoveEntryList(entry);
    return entry;
}

FORCEINLINE void InsertTailList(LIST_ENTRY *head, LIST_ENTRY *entry)
{
    LIST_ENTRY *last = head->Blink;

    entry->Flink = head;
    entry->Blink = last;
    last->Flink = entry;
    head->Blink = entry;
}

/* The IRQL. Kits for x64 of the time of NDIS 6.0 to 6.20 read and write control register 8. */
#if defined(_M_X64) || defined(__x86_64__)
FORCEINLINE KIRQL KitReadIrql(void)
{
    ULONG64 irql;

    __asm__ __volatile__("movq %%cr8, %0" : "=r"(irql));
    return (KIRQL)irql;
}

FORCEINLINE void KitWriteIrql(KIRQL irql)
{
    __asm__ __volatile__("movq %0, %%cr8" : : "r"((ULONG64)irql) : "memory");
}

FORCEINLINE KIRQL KitRaiseIrql(KIRQL irql)
{
    KIRQL old = KitReadIrql();

    KitWriteIrql(irql);
    return old;
}

#define KeGetCurrentIrql() KitReadIrql()
#define KeRaiseIrql(irql, old) (*(old) = KitRaiseIrql(irql))
#define KeLowerIrql(irql) KitWriteIrql(irql)
#define YieldProcessor() __asm__ __volatile__("pause")
#else
#define KeRaiseIrql(irql, old) (*(old) = KfRaiseIrql(irql))
#define YieldProcessor() __asm__ __volatile__("yield")
#endif

/* KUSER_SHARED_DATA, which the kernel has at this address on x64 and arm64. */
#define KI_USER_SHARED_DATA 0xFFFFF78000000000ULL
#define KitShared(offset) (*(volatile const LONGLONG *)(KI_USER_SHARED_DATA + (offset)))
#define KeQueryInterruptTime() ((ULONGLONG)KitShared(0x008))
#define KeQuerySystemTime(time) ((void)((time)->QuadPart = KitShared(0x014)))
#define KeQueryTickCount(count) ((void)((count)->QuadPart = KitShared(0x320)))

/* Spin locks. */
#define KeAcquireSpinLock(lock, old) (*(old) = KeAcquireSpinLockRaiseToDpc(lock))

/* IRPs. */
#define IoCompleteRequest(irp, boost) IofCompleteRequest((irp), (boost))
#define IoGetCurrentIrpStackLocation(irp) ((irp)->Tail.Overlay.CurrentStackLocation)
#define IoMarkIrpPending(irp) \
    ((void)(IoGetCurrentIrpStackLocation(irp)->Control |= SL_PENDING_RETURNED))
#define IoSetCancelRoutine(irp, routine) \
    ((DRIVER_CANCEL *)InterlockedExchangePointer(&(irp)->CancelRoutine, (PVOID)(routine)))
#define CTL_CODE(type, function, method, access) \
    (((type) << 16) | ((access) << 14) | ((function) << 2) | (method))

/* MDLs. */
#define MmGetMdlByteCount(mdl) ((mdl)->ByteCount)
#define MmGetMdlByteOffset(mdl) ((mdl)->ByteOffset)
#define MmGetMdlVirtualAddress(mdl) ((PVOID)((PUCHAR)(mdl)->StartVa + (mdl)->ByteOffset))

FORCEINLINE PVOID MmGetSystemAddressForMdlSafe(MDL *mdl, ULONG priority)
{
    if (mdl->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) {
        return mdl->MappedSystemVa;
    }
    return MmMapLockedPagesSpecifyCache(mdl, (KPROCESSOR_MODE)0, MmCached, NULL, FALSE, priority);
}

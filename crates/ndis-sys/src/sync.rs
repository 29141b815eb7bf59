//! sync

use crate::*;

structs! {
    struct LOCK_STATE [4, 2] {
        0 LockState: USHORT,
        2 OldIrql: KIRQL,
    }
    struct LOCK_STATE_EX [3, 1] {
        0 OldIrql: KIRQL,
        1 LockState: UCHAR,
        2 Flags: UCHAR,
    }
    struct NDIS_EVENT [24, 8] {
        0 Event: KEVENT,
    }
    struct NDIS_GENERIC_OBJECT [32, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 Caller: PVOID,
        16 CallersCaller: PVOID,
        24 DriverObject: *mut DRIVER_OBJECT,
    }
    struct NDIS_RW_LOCK [1040, 8] {
        0 SpinLock: KSPIN_LOCK,
        8 Context: PVOID,
        16 RefCount: [NDIS_RW_LOCK_REFCOUNT; 64],
        also {
            0 Reserved: [UCHAR; 16],
            16 RefCountEx: [ULONG; 256],
            16 RefCountLock: KSPIN_LOCK,
            24 SharedRefCount: ULONG,
            28 WriterWaiting: BOOLEAN,
        }
    }
    struct NDIS_SPIN_LOCK [16, 8] {
        0 SpinLock: KSPIN_LOCK,
        8 OldIrql: KIRQL,
    }
    struct NDIS_TIMER_CHARACTERISTICS [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 AllocationTag: ULONG,
        8 TimerFunction: Option<NDIS_TIMER_FUNCTION>,
        16 FunctionContext: PVOID,
    }
    union NDIS_RW_LOCK_REFCOUNT [16, 4] {
        0 RefCount: ULONG,
        0 cacheLine: [UCHAR; 16],
    }
}

callbacks! {
    fn NDIS_IO_WORKITEM_FUNCTION(Parameter1: PVOID, Parameter2: NDIS_HANDLE);
    fn NDIS_TIMER_FUNCTION(SystemSpecific1: PVOID, FunctionContext: PVOID, SystemSpecific2: PVOID, SystemSpecific3: PVOID);
}

imports! {
    "ndis.sys";
    fn NdisAcquireRWLockRead(Lock: *mut NDIS_RW_LOCK_EX, LockState: *mut LOCK_STATE_EX, Flags: UCHAR);
    fn NdisAcquireRWLockWrite(Lock: *mut NDIS_RW_LOCK_EX, LockState: *mut LOCK_STATE_EX, Flags: UCHAR);
    fn NdisAcquireReadWriteLock(Lock: *mut NDIS_RW_LOCK, fWrite: BOOLEAN, LockState: *mut LOCK_STATE);
    fn NdisAllocateIoWorkItem(NdisObjectHandle: NDIS_HANDLE) -> NDIS_HANDLE;
    fn NdisAllocateRWLock(NdisHandle: NDIS_HANDLE) -> *mut NDIS_RW_LOCK_EX;
    fn NdisAllocateTimerObject(NdisHandle: NDIS_HANDLE, TimerCharacteristics: *mut NDIS_TIMER_CHARACTERISTICS, pTimerObject: *mut PVOID) -> NDIS_STATUS;
    fn NdisCancelTimerObject(TimerObject: NDIS_HANDLE) -> BOOLEAN;
    fn NdisCompleteNetPnPEvent(NdisBindingHandle: NDIS_HANDLE, NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION, Status: NDIS_STATUS);
    fn NdisDprAcquireReadWriteLock(Lock: *mut NDIS_RW_LOCK, fWrite: BOOLEAN, LockState: *mut LOCK_STATE);
    fn NdisDprReleaseReadWriteLock(Lock: *mut NDIS_RW_LOCK, LockState: *mut LOCK_STATE);
    fn NdisFreeIoWorkItem(NdisIoWorkItemHandle: NDIS_HANDLE);
    fn NdisFreeRWLock(Lock: *mut NDIS_RW_LOCK_EX);
    fn NdisFreeTimerObject(TimerObject: NDIS_HANDLE);
    fn NdisInitializeEvent(Event: *mut NDIS_EVENT);
    fn NdisInitializeReadWriteLock(Lock: *mut NDIS_RW_LOCK);
    fn NdisMSleep(MicrosecondsToSleep: ULONG);
    fn NdisQueueIoWorkItem(NdisIoWorkItemHandle: NDIS_HANDLE, Routine: Option<NDIS_IO_WORKITEM_FUNCTION>, WorkItemContext: PVOID);
    fn NdisReleaseRWLock(Lock: *mut NDIS_RW_LOCK_EX, LockState: *mut LOCK_STATE_EX);
    fn NdisReleaseReadWriteLock(Lock: *mut NDIS_RW_LOCK, LockState: *mut LOCK_STATE);
    fn NdisResetEvent(Event: *mut NDIS_EVENT);
    fn NdisSetCoalescableTimerObject(TimerObject: NDIS_HANDLE, DueTime: LARGE_INTEGER, MillisecondsPeriod: LONG, FunctionContext: PVOID, Tolerance: ULONG) -> BOOLEAN;
    fn NdisSetEvent(Event: *mut NDIS_EVENT);
    fn NdisSetTimerObject(TimerObject: NDIS_HANDLE, DueTime: LARGE_INTEGER, MillisecondsPeriod: LONG, FunctionContext: PVOID) -> BOOLEAN;
    fn NdisWaitEvent(Event: *mut NDIS_EVENT, MsToWait: UINT) -> BOOLEAN;
    fn NdisWriteEventLogEntry(LogHandle: PVOID, EventCode: NDIS_STATUS, UniqueEventValue: ULONG, NumStrings: USHORT, StringsList: PVOID, DataSize: ULONG, Data: PVOID) -> NDIS_STATUS;
}

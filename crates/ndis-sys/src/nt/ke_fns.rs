//! nt::ke_fns

use crate::*;

imports! {
    "ntoskrnl.exe";
    fn DbgPrint(Parameter1: *const CHAR) [, ...] -> ULONG;
    fn DbgPrintEx(Parameter1: ULONG, Parameter2: ULONG, Parameter3: *const CHAR) [, ...] -> ULONG;
    fn KeAcquireInStackQueuedSpinLock(SpinLock: *mut KSPIN_LOCK, LockHandle: *mut KLOCK_QUEUE_HANDLE);
    fn KeAcquireInStackQueuedSpinLockAtDpcLevel(SpinLock: *mut KSPIN_LOCK, LockHandle: *mut KLOCK_QUEUE_HANDLE);
    fn KeAcquireSpinLockAtDpcLevel(SpinLock: *mut KSPIN_LOCK);
    fn KeAcquireSpinLockRaiseToDpc(SpinLock: *mut KSPIN_LOCK) -> KIRQL;
    fn KeBugCheckEx(BugCheckCode: ULONG, BugCheckParameter1: ULONG_PTR, BugCheckParameter2: ULONG_PTR, BugCheckParameter3: ULONG_PTR, BugCheckParameter4: ULONG_PTR);
    fn KeCancelTimer(unnamedParam1: *mut KTIMER) -> BOOLEAN;
    fn KeClearEvent(Event: *mut KEVENT);
    fn KeDelayExecutionThread(WaitMode: KPROCESSOR_MODE, Alertable: BOOLEAN, Interval: *mut LARGE_INTEGER) -> NTSTATUS;
    fn KeEnterCriticalRegion();
    fn KeFlushQueuedDpcs();
    fn KeGetCurrentIrql() -> KIRQL;
    fn KeGetCurrentProcessorNumberEx(ProcNumber: *mut PROCESSOR_NUMBER) -> ULONG;
    fn KeGetProcessorIndexFromNumber(ProcNumber: *mut PROCESSOR_NUMBER) -> ULONG;
    fn KeGetProcessorNumberFromIndex(ProcIndex: ULONG, ProcNumber: *mut PROCESSOR_NUMBER) -> NTSTATUS;
    fn KeInitializeDpc(Dpc: *mut KDPC, DeferredRoutine: Option<KDEFERRED_ROUTINE>, DeferredContext: PVOID);
    fn KeInitializeEvent(Event: *mut KEVENT, Type: EVENT_TYPE, State: BOOLEAN);
    fn KeInitializeMutex(Mutex: *mut KMUTANT, Level: ULONG);
    fn KeInitializeSemaphore(Semaphore: *mut KSEMAPHORE, Count: LONG, Limit: LONG);
    fn KeInitializeSpinLock(SpinLock: *mut KSPIN_LOCK);
    fn KeInitializeTimer(Timer: *mut KTIMER);
    fn KeInitializeTimerEx(Timer: *mut KTIMER, Type: TIMER_TYPE);
    fn KeInsertQueueDpc(Dpc: *mut KDPC, SystemArgument1: PVOID, SystemArgument2: PVOID) -> BOOLEAN;
    fn KeLeaveCriticalRegion();
    fn KeLowerIrql(NewIrql: KIRQL);
    fn KeQueryActiveProcessorCountEx(GroupNumber: USHORT) -> ULONG;
    fn KeQueryDpcWatchdogInformation(WatchdogInformation: *mut KDPC_WATCHDOG_INFORMATION) -> NTSTATUS;
    fn KeQueryInterruptTimePrecise(QpcTimeStamp: *mut ULONGLONG) -> ULONG64;
    fn KeQueryMaximumProcessorCountEx(GroupNumber: USHORT) -> ULONG;
    fn KeQueryPerformanceCounter(PerformanceFrequency: *mut LARGE_INTEGER) -> LARGE_INTEGER;
    fn KeQuerySystemTimePrecise(CurrentTime: *mut LARGE_INTEGER);
    fn KeQueryUnbiasedInterruptTime() -> ULONGLONG;
    fn KeReadStateEvent(Event: *mut KEVENT) -> LONG;
    fn KeReleaseInStackQueuedSpinLock(LockHandle: *mut KLOCK_QUEUE_HANDLE);
    fn KeReleaseInStackQueuedSpinLockFromDpcLevel(LockHandle: *mut KLOCK_QUEUE_HANDLE);
    fn KeReleaseMutex(Mutex: *mut KMUTANT, Wait: BOOLEAN) -> LONG;
    fn KeReleaseSemaphore(Semaphore: *mut KSEMAPHORE, Increment: KPRIORITY, Adjustment: LONG, Wait: BOOLEAN) -> LONG;
    fn KeReleaseSpinLock(SpinLock: *mut KSPIN_LOCK, NewIrql: KIRQL);
    fn KeReleaseSpinLockFromDpcLevel(SpinLock: *mut KSPIN_LOCK);
    fn KeRemoveQueueDpc(Dpc: *mut KDPC) -> BOOLEAN;
    fn KeResetEvent(Event: *mut KEVENT) -> LONG;
    fn KeSetEvent(Event: *mut KEVENT, Increment: KPRIORITY, Wait: BOOLEAN) -> LONG;
    fn KeSetImportanceDpc(Dpc: *mut KDPC, Importance: KDPC_IMPORTANCE);
    fn KeSetTargetProcessorDpcEx(Dpc: *mut KDPC, ProcNumber: *mut PROCESSOR_NUMBER) -> NTSTATUS;
    fn KeSetTimer(Timer: *mut KTIMER, DueTime: LARGE_INTEGER, Dpc: *mut KDPC) -> BOOLEAN;
    fn KeSetTimerEx(Timer: *mut KTIMER, DueTime: LARGE_INTEGER, Period: LONG, Dpc: *mut KDPC) -> BOOLEAN;
    fn KeStallExecutionProcessor(MicroSeconds: ULONG);
    fn KeTryToAcquireSpinLockAtDpcLevel(SpinLock: *mut KSPIN_LOCK) -> BOOLEAN;
    fn KeWaitForMultipleObjects(Count: ULONG, Object: *mut PVOID, WaitType: WAIT_TYPE, WaitReason: KWAIT_REASON, WaitMode: KPROCESSOR_MODE, Alertable: BOOLEAN, Timeout: *mut LARGE_INTEGER, WaitBlockArray: PVOID) -> NTSTATUS;
    fn KeWaitForSingleObject(Object: PVOID, WaitReason: KWAIT_REASON, WaitMode: KPROCESSOR_MODE, Alertable: BOOLEAN, Timeout: *mut LARGE_INTEGER) -> NTSTATUS;
    fn KfRaiseIrql(Parameter1: KIRQL) -> KIRQL;
}

//! Objects that a thread can wait for: events, mutexes, semaphores, timers.
//!
//! Documentation:
//! * [Kernel dispatcher objects](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-kernel-dispatcher-objects)

use crate::{
    BOOLEAN, CCHAR, KDPC, LARGE_INTEGER, LIST_ENTRY, LONG, NTSTATUS, PVOID, UCHAR, ULARGE_INTEGER,
    ULONG, USHORT,
};

scalars! {
    /// A priority of a thread, or a boost of one.
    KPRIORITY = LONG;
    /// A processor mode, as a byte.
    KPROCESSOR_MODE = CCHAR;
}

aliases! {
    /// A mutex.
    KMUTEX = KMUTANT;
}

opaque! {
    /// A thread, for the kernel.
    KTHREAD;
}

constants! {
    /// Limit or right of objects that can be waited for.
    ULONG {
        THREAD_WAIT_OBJECTS = 3,
        MAXIMUM_WAIT_OBJECTS = 64,
        EVENT_ALL_ACCESS = 0x001F_0003,
    }
}

enums! {
    /// Whether an event wakes all waiters or one.
    EVENT_TYPE {
        NotificationEvent = 0,
        SynchronizationEvent = 1,
    }
    /// Why a thread waits.
    KWAIT_REASON {
        Executive = 0,
        FreePage = 1,
        PageIn = 2,
        PoolAllocation = 3,
        DelayExecution = 4,
        Suspended = 5,
        UserRequest = 6,
        WrExecutive = 7,
        WrFreePage = 8,
        WrPageIn = 9,
        WrPoolAllocation = 10,
        WrDelayExecution = 11,
        WrSuspended = 12,
        WrUserRequest = 13,
        WrSpare0 = 14,
        WrQueue = 15,
        WrLpcReceive = 16,
        WrLpcReply = 17,
        WrVirtualMemory = 18,
        WrPageOut = 19,
        WrRendezvous = 20,
        WrKeyedEvent = 21,
        WrTerminated = 22,
        WrProcessInSwap = 23,
        WrCpuRateControl = 24,
        WrCalloutStack = 25,
        WrKernel = 26,
        WrResource = 27,
        WrPushLock = 28,
        WrMutex = 29,
        WrQuantumEnd = 30,
        WrDispatchInt = 31,
        WrPreempted = 32,
        WrYieldExecution = 33,
        WrFastMutex = 34,
        WrGuardedMutex = 35,
        WrRundown = 36,
        WrAlertByThreadId = 37,
        WrDeferredPreempt = 38,
        WrPhysicalFault = 39,
        WrIoRing = 40,
        WrMdlCache = 41,
        MaximumWaitReason = 42,
    }
    /// Processor mode.
    MODE {
        KernelMode = 0,
        UserMode = 1,
        MaximumMode = 2,
    }
    /// Whether a timer wakes all waiters or one.
    TIMER_TYPE {
        NotificationTimer = 0,
        SynchronizationTimer = 1,
    }
    /// Whether to wait for all objects or for one.
    WAIT_TYPE {
        WaitAll = 0,
        WaitAny = 1,
        WaitNotification = 2,
        WaitDequeue = 3,
        WaitDpc = 4,
    }
}

structs! {
    /// The head of every object that a thread can wait for.
    struct DISPATCHER_HEADER [24, 8] {
        0 Type: UCHAR,
        1 Signalling: UCHAR,
        2 Size: UCHAR,
        3 Reserved1: UCHAR,
        4 SignalState: LONG,
        8 WaitListHead: LIST_ENTRY,
        also {
            0 Lock: LONG,
            0 LockNV: LONG,
            0 MutantType: UCHAR,
            0 QueueType: UCHAR,
            0 ThreadType: UCHAR,
            0 Timer2Type: UCHAR,
            0 TimerType: UCHAR,
            1 MutantSize: UCHAR,
            1 QueueControlFlags: UCHAR,
            1 ThreadReserved: UCHAR,
            1 Timer2Flags: UCHAR,
            1 TimerControlFlags: UCHAR,
            1 Bits1: UCHAR,
            2 DpcActive: BOOLEAN,
            2 Hand: UCHAR,
            2 QueueSize: UCHAR,
            2 ThreadControlFlags: UCHAR,
            2 Timer2ComponentId: UCHAR,
            2 Bits3: UCHAR,
            3 DebugActive: UCHAR,
            3 MutantReserved: UCHAR,
            3 QueueReserved: UCHAR,
            3 Timer2RelativeId: UCHAR,
            3 TimerMiscFlags: UCHAR,
            3 Bits2: BOOLEAN,
            3 Bits4: UCHAR,
            3 Bits5: UCHAR,
        }
        bits Bits1 {
            Abandoned: 0, 1;
            Absolute: 0, 1;
            Timer2Inserted: 0, 1;
            DisableIncrement: 1, 1;
            Timer2Expiring: 1, 1;
            Wake: 1, 1;
            EncodedTolerableDelay: 2, 6;
            QueueReservedControlFlags: 2, 6;
            Timer2CancelPending: 2, 1;
            Timer2SetPending: 3, 1;
            Timer2Running: 4, 1;
            Timer2Disabled: 5, 1;
            Timer2ReservedFlags: 6, 2;
        }
        bits Bits3 {
            CycleProfiling: 0, 1;
            CounterProfiling: 1, 1;
            GroupScheduling: 2, 1;
            AffinitySet: 3, 1;
            Tagged: 4, 1;
            EnergyProfiling: 5, 1;
            SchedulerAssist: 6, 1;
            ThreadReservedControlFlags: 7, 1;
        }
        bits Bits2 {
            ActiveDR7: 0, 1;
            Instrumented: 1, 1;
            Minimal: 2, 1;
            Reserved4: 3, 2;
            AltSyscall: 5, 1;
            Emulation: 6, 1;
            Reserved5: 7, 1;
        }
        bits Bits4 {
            Expired: 7, 1;
        }
        bits Bits5 {
            Index: 0, 6;
            Inserted: 6, 1;
        }
    }
    /// A mutex that is cheap when nobody waits.
    struct FAST_MUTEX [56, 8] {
        0 Count: LONG,
        8 Owner: PVOID,
        16 Contention: ULONG,
        24 Event: KEVENT,
        48 OldIrql: ULONG,
    }
    /// An event.
    struct KEVENT [24, 8] {
        0 Header: DISPATCHER_HEADER,
    }
    /// A mutex.
    struct KMUTANT [56, 8] {
        0 Header: DISPATCHER_HEADER,
        24 MutantListEntry: LIST_ENTRY,
        40 OwnerThread: *mut KTHREAD,
        48 Bits: UCHAR,
        49 ApcDisable: UCHAR,
        also {
            48 MutantFlags: UCHAR,
        }
        bits Bits {
            Abandoned: 0, 1;
            Spare1: 1, 7;
        }
    }
    /// A semaphore.
    struct KSEMAPHORE [32, 8] {
        0 Header: DISPATCHER_HEADER,
        24 Limit: LONG,
    }
    /// A timer.
    struct KTIMER [64, 8] {
        0 Header: DISPATCHER_HEADER,
        24 DueTime: ULARGE_INTEGER,
        32 TimerListEntry: LIST_ENTRY,
        48 Dpc: *mut KDPC,
        56 Processor: USHORT,
        58 TimerType: USHORT,
        60 Period: ULONG,
    }
}

imports! {
    "ntoskrnl.exe";
    /// Takes a fast mutex. IRQL: `<= APC_LEVEL`.
    fn ExAcquireFastMutex(FastMutex: *mut FAST_MUTEX);
    /// Releases a fast mutex. IRQL: `APC_LEVEL`.
    fn ExReleaseFastMutex(FastMutex: *mut FAST_MUTEX);
    /// Cancels a timer. IRQL: `<= DISPATCH_LEVEL`.
    fn KeCancelTimer(unnamedParam1: *mut KTIMER) -> BOOLEAN;
    /// Resets an event. IRQL: `<= DISPATCH_LEVEL`.
    fn KeClearEvent(Event: *mut KEVENT);
    /// Initialises an event. IRQL: any.
    fn KeInitializeEvent(Event: *mut KEVENT, Type: EVENT_TYPE, State: BOOLEAN);
    /// Initialises a mutex. IRQL: any.
    fn KeInitializeMutex(Mutex: *mut KMUTANT, Level: ULONG);
    /// Initialises a semaphore. IRQL: `PASSIVE_LEVEL`.
    fn KeInitializeSemaphore(Semaphore: *mut KSEMAPHORE, Count: LONG, Limit: LONG);
    /// Initialises a notification timer. IRQL: `<= DISPATCH_LEVEL`.
    fn KeInitializeTimer(Timer: *mut KTIMER);
    /// Initialises a timer of either type. IRQL: `<= DISPATCH_LEVEL`.
    fn KeInitializeTimerEx(Timer: *mut KTIMER, Type: TIMER_TYPE);
    /// Says whether an event is set. IRQL: `<= DISPATCH_LEVEL`.
    fn KeReadStateEvent(Event: *mut KEVENT) -> LONG;
    /// Releases a mutex. IRQL: `<= DISPATCH_LEVEL`, and `<= APC_LEVEL` with `Wait`.
    fn KeReleaseMutex(Mutex: *mut KMUTANT, Wait: BOOLEAN) -> LONG;
    /// Raises the count of a semaphore. IRQL: `<= DISPATCH_LEVEL`, and `<= APC_LEVEL` with `Wait`.
    fn KeReleaseSemaphore(
        Semaphore: *mut KSEMAPHORE,
        Increment: KPRIORITY,
        Adjustment: LONG,
        Wait: BOOLEAN,
    ) -> LONG;
    /// Resets an event and returns its state from before. IRQL: `<= DISPATCH_LEVEL`.
    fn KeResetEvent(Event: *mut KEVENT) -> LONG;
    /// Sets an event. IRQL: `<= DISPATCH_LEVEL`, and `<= APC_LEVEL` with `Wait`.
    fn KeSetEvent(Event: *mut KEVENT, Increment: KPRIORITY, Wait: BOOLEAN) -> LONG;
    /// Starts a timer. IRQL: `<= DISPATCH_LEVEL`.
    fn KeSetTimer(Timer: *mut KTIMER, DueTime: LARGE_INTEGER, Dpc: *mut KDPC) -> BOOLEAN;
    /// Starts a timer that may be periodic. IRQL: `<= DISPATCH_LEVEL`.
    fn KeSetTimerEx(
        Timer: *mut KTIMER,
        DueTime: LARGE_INTEGER,
        Period: LONG,
        Dpc: *mut KDPC,
    ) -> BOOLEAN;
    /// Waits for one or all of several objects.
    ///
    /// IRQL: `<= APC_LEVEL`, or `<= DISPATCH_LEVEL` with a timeout of zero.
    fn KeWaitForMultipleObjects(
        Count: ULONG,
        Object: *mut PVOID,
        WaitType: WAIT_TYPE,
        WaitReason: KWAIT_REASON,
        WaitMode: KPROCESSOR_MODE,
        Alertable: BOOLEAN,
        Timeout: *mut LARGE_INTEGER,
        WaitBlockArray: PVOID,
    ) -> NTSTATUS;
    /// Waits for an object. IRQL: `<= APC_LEVEL`, or `<= DISPATCH_LEVEL` with a timeout of zero.
    fn KeWaitForSingleObject(
        Object: PVOID,
        WaitReason: KWAIT_REASON,
        WaitMode: KPROCESSOR_MODE,
        Alertable: BOOLEAN,
        Timeout: *mut LARGE_INTEGER,
    ) -> NTSTATUS;
}

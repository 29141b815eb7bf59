//! nt::ke

use crate::*;

scalars! {
    KIRQL = UCHAR;
    KSPIN_LOCK = ULONG_PTR;
    KPRIORITY = LONG;
    KAFFINITY = usize;
}

aliases! {
    KMUTEX = KMUTANT;
}

opaque! {
    KTHREAD;
}

constants! {
    ULONG {
        THREAD_WAIT_OBJECTS = 3,
        TIMER_PROCESSOR_INDEX_BITS = 5,
        TIMER_EXPIRED_INDEX_BITS = 6,
        TIMER_TOLERABLE_DELAY_BITS = 6,
        PAGE_SHIFT = 12,
        MEMORY_ALLOCATION_ALIGNMENT = 0x10,
        MAXIMUM_PROCESSORS = 0x40,
        MAXIMUM_WAIT_OBJECTS = 0x40,
        SYSTEM_CACHE_ALIGNMENT_SIZE = 0x40,
        TIMER_OR_DPC_INVALID = 199,
        PAGE_SIZE = 0x1000,
        ALL_PROCESSOR_GROUPS = 0xFFFF,
        EVENT_ALL_ACCESS = 0x001F_0003,
    }
    KIRQL {
        PASSIVE_LEVEL = 0,
        APC_LEVEL = 1,
        DISPATCH_LEVEL = 2,
        CMCI_LEVEL = 5,
        CLOCK_LEVEL = 13,
        IPI_LEVEL = 14,
        POWER_LEVEL = 14,
        HIGH_LEVEL = 15,
        PROFILE_LEVEL = 15,
    }
    BOOLEAN {
        FALSE = 0,
        TRUE = 1,
    }
}

enums! {
    EVENT_TYPE {
        NotificationEvent = 0,
        SynchronizationEvent = 1,
    }
    KDPC_IMPORTANCE {
        LowImportance = 0,
        MediumImportance = 1,
        HighImportance = 2,
        MediumHighImportance = 3,
    }
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
    LOCK_OPERATION {
        IoReadAccess = 0,
        IoWriteAccess = 1,
        IoModifyAccess = 2,
    }
    MODE {
        KernelMode = 0,
        UserMode = 1,
        MaximumMode = 2,
    }
    TIMER_TYPE {
        NotificationTimer = 0,
        SynchronizationTimer = 1,
    }
    WAIT_TYPE {
        WaitAll = 0,
        WaitAny = 1,
        WaitNotification = 2,
        WaitDequeue = 3,
        WaitDpc = 4,
    }
}

structs! {
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
    union EX_RUNDOWN_REF [8, 8] {
        0 Count: ULONG_PTR,
        0 Ptr: PVOID,
    }
    struct FAST_MUTEX [56, 8] {
        0 Count: LONG,
        8 Owner: PVOID,
        16 Contention: ULONG,
        24 Event: KEVENT,
        48 OldIrql: ULONG,
    }
    struct GROUP_AFFINITY [16, 8] {
        0 Mask: KAFFINITY,
        8 Group: USHORT,
        10 Reserved: [USHORT; 3],
    }
    struct KDPC [64, 8] {
        0 Type: UCHAR,
        1 Importance: UCHAR,
        2 Number: USHORT,
        8 DpcListEntry: SINGLE_LIST_ENTRY,
        16 ProcessorHistory: KAFFINITY,
        24 DeferredRoutine: Option<KDEFERRED_ROUTINE>,
        32 DeferredContext: PVOID,
        40 SystemArgument1: PVOID,
        48 SystemArgument2: PVOID,
        56 DpcData: PVOID,
        also {
            0 TargetInfoAsUlong: ULONG,
        }
    }
    struct KDPC_WATCHDOG_INFORMATION [20, 4] {
        0 DpcTimeLimit: ULONG,
        4 DpcTimeCount: ULONG,
        8 DpcWatchdogLimit: ULONG,
        12 DpcWatchdogCount: ULONG,
        16 Reserved: ULONG,
    }
    struct KEVENT [24, 8] {
        0 Header: DISPATCHER_HEADER,
    }
    struct KLOCK_QUEUE_HANDLE [24, 8] {
        0 LockQueue: KSPIN_LOCK_QUEUE,
        16 OldIrql: KIRQL,
    }
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
    struct KSEMAPHORE [32, 8] {
        0 Header: DISPATCHER_HEADER,
        24 Limit: LONG,
    }
    struct KSPIN_LOCK_QUEUE [16, 8] {
        0 Next: *mut KSPIN_LOCK_QUEUE,
        8 Lock: *mut KSPIN_LOCK,
    }
    struct KTIMER [64, 8] {
        0 Header: DISPATCHER_HEADER,
        24 DueTime: ULARGE_INTEGER,
        32 TimerListEntry: LIST_ENTRY,
        48 Dpc: *mut KDPC,
        56 Processor: USHORT,
        58 TimerType: USHORT,
        60 Period: ULONG,
    }
    struct PROCESSOR_NUMBER [4, 2] {
        0 Group: USHORT,
        2 Number: UCHAR,
        3 Reserved: UCHAR,
    }
    struct KDEVICE_QUEUE [40, 8] {
        0 Type: CSHORT,
        2 Size: CSHORT,
        8 DeviceListHead: LIST_ENTRY,
        24 Lock: KSPIN_LOCK,
        32 Busy: BOOLEAN,
        also {
            32 Bits: LONG64,
        }
        bits Bits {
            Reserved: 0, 8;
            Hint: 8, 56;
        }
    }
    struct KAPC [88, 8] {
        0 Type: UCHAR,
        1 AllFlags: UCHAR,
        2 Size: UCHAR,
        3 SpareByte1: UCHAR,
        4 SpareLong0: ULONG,
        8 Thread: *mut KTHREAD,
        16 ApcListEntry: LIST_ENTRY,
        32 Reserved: [PVOID; 3],
        56 NormalContext: PVOID,
        64 SystemArgument1: PVOID,
        72 SystemArgument2: PVOID,
        80 ApcStateIndex: CCHAR,
        81 ApcMode: KPROCESSOR_MODE,
        82 Inserted: BOOLEAN,
    }
    struct KDEVICE_QUEUE_ENTRY [24, 8] {
        0 DeviceListEntry: LIST_ENTRY,
        16 SortKey: ULONG,
        20 Inserted: BOOLEAN,
    }
}

callbacks! {
    fn KDEFERRED_ROUTINE(Dpc: *mut KDPC, DeferredContext: PVOID, SystemArgument1: PVOID, SystemArgument2: PVOID);
    fn KSTART_ROUTINE(StartContext: PVOID);
}

//! Deferred procedure calls and the device queue.
//!
//! Documentation:
//! * [Introduction to DPC objects](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-dpcs)

use crate::{
    BOOLEAN, CCHAR, CSHORT, KAFFINITY, KPROCESSOR_MODE, KSPIN_LOCK, KTHREAD, LIST_ENTRY, LONG64,
    NTSTATUS, PROCESSOR_NUMBER, PVOID, SINGLE_LIST_ENTRY, UCHAR, ULONG, USHORT,
};

enums! {
    /// Place of a DPC in its queue.
    KDPC_IMPORTANCE {
        LowImportance = 0,
        MediumImportance = 1,
        HighImportance = 2,
        MediumHighImportance = 3,
    }
}

structs! {
    /// An asynchronous procedure call.
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
    /// A queue of IRPs that wait for a device. The bit-fields are there on x64 only.
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
    /// An entry of a device queue.
    struct KDEVICE_QUEUE_ENTRY [24, 8] {
        0 DeviceListEntry: LIST_ENTRY,
        16 SortKey: ULONG,
        20 Inserted: BOOLEAN,
    }
    /// A deferred procedure call.
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
    /// How long DPCs may still run on this processor.
    struct KDPC_WATCHDOG_INFORMATION [20, 4] {
        0 DpcTimeLimit: ULONG,
        4 DpcTimeCount: ULONG,
        8 DpcWatchdogLimit: ULONG,
        12 DpcWatchdogCount: ULONG,
        16 Reserved: ULONG,
    }
}

callbacks! {
    /// Runs a DPC. IRQL: `DISPATCH_LEVEL`.
    fn KDEFERRED_ROUTINE(
        Dpc: *mut KDPC,
        DeferredContext: PVOID,
        SystemArgument1: PVOID,
        SystemArgument2: PVOID,
    );
}

imports! {
    "ntoskrnl.exe";
    /// Waits until the DPCs queued before have run. IRQL: `PASSIVE_LEVEL`.
    fn KeFlushQueuedDpcs();
    /// Initialises a DPC. IRQL: any.
    fn KeInitializeDpc(
        Dpc: *mut KDPC,
        DeferredRoutine: Option<KDEFERRED_ROUTINE>,
        DeferredContext: PVOID,
    );
    /// Queues a DPC. IRQL: any.
    fn KeInsertQueueDpc(Dpc: *mut KDPC, SystemArgument1: PVOID, SystemArgument2: PVOID) -> BOOLEAN;
    /// Says how long DPCs may still run on this processor. IRQL: `DISPATCH_LEVEL`.
    fn KeQueryDpcWatchdogInformation(
        WatchdogInformation: *mut KDPC_WATCHDOG_INFORMATION,
    ) -> NTSTATUS;
    /// Takes a DPC out of its queue. IRQL: any.
    fn KeRemoveQueueDpc(Dpc: *mut KDPC) -> BOOLEAN;
    /// Sets the place of a DPC in its queue. IRQL: any.
    fn KeSetImportanceDpc(Dpc: *mut KDPC, Importance: KDPC_IMPORTANCE);
    /// Sets the processor of a DPC. IRQL: any.
    fn KeSetTargetProcessorDpcEx(Dpc: *mut KDPC, ProcNumber: *mut PROCESSOR_NUMBER) -> NTSTATUS;
}

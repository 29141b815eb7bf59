//! Functions of the I/O manager: devices, work items, the event log.
//!
//! Documentation:
//! * [System worker threads](https://learn.microsoft.com/windows-hardware/drivers/kernel/system-worker-threads)

use crate::{
    BOOLEAN, DEVICE_OBJECT, DRIVER_OBJECT, LARGE_INTEGER, LIST_ENTRY, NTSTATUS, PVOID, UCHAR,
    ULONG, UNICODE_STRING, USHORT,
};

opaque! {
    /// A work item of the I/O manager.
    IO_WORKITEM;
}

enums! {
    /// Queue of system worker threads.
    WORK_QUEUE_TYPE {
        CriticalWorkQueue = 0,
        DelayedWorkQueue = 1,
        HyperCriticalWorkQueue = 2,
        NormalWorkQueue = 3,
        BackgroundWorkQueue = 4,
        RealTimeWorkQueue = 5,
        SuperCriticalWorkQueue = 6,
        MaximumWorkQueue = 7,
        CustomPriorityWorkQueue = 32,
    }
}

structs! {
    /// An entry for the system event log.
    struct IO_ERROR_LOG_PACKET [48, 8] {
        0 MajorFunctionCode: UCHAR,
        1 RetryCount: UCHAR,
        2 DumpDataSize: USHORT,
        4 NumberOfStrings: USHORT,
        6 StringOffset: USHORT,
        8 EventCategory: USHORT,
        12 ErrorCode: NTSTATUS,
        16 UniqueErrorValue: ULONG,
        20 FinalStatus: NTSTATUS,
        24 SequenceNumber: ULONG,
        28 IoControlCode: ULONG,
        32 DeviceOffset: LARGE_INTEGER,
        40 DumpData: [ULONG; 1],
    }
    /// An item for a system worker thread.
    struct WORK_QUEUE_ITEM [32, 8] {
        0 List: LIST_ENTRY,
        16 WorkerRoutine: Option<WORKER_THREAD_ROUTINE>,
        24 Parameter: PVOID,
    }
}

callbacks! {
    /// Runs a work item of the I/O manager. IRQL: `PASSIVE_LEVEL`.
    fn IO_WORKITEM_ROUTINE(DeviceObject: *mut DEVICE_OBJECT, Context: PVOID);
    /// Runs an item of a system worker thread. IRQL: `PASSIVE_LEVEL`.
    fn WORKER_THREAD_ROUTINE(Parameter: PVOID);
}

imports! {
    "ntoskrnl.exe";
    /// Allocates an entry for the event log. IRQL: `<= DISPATCH_LEVEL`.
    fn IoAllocateErrorLogEntry(IoObject: PVOID, EntrySize: UCHAR) -> PVOID;
    /// Allocates a work item of a device. IRQL: `<= DISPATCH_LEVEL`.
    fn IoAllocateWorkItem(DeviceObject: *mut DEVICE_OBJECT) -> *mut IO_WORKITEM;
    /// Creates a device object. IRQL: `<= APC_LEVEL`.
    fn IoCreateDevice(
        DriverObject: *mut DRIVER_OBJECT,
        DeviceExtensionSize: ULONG,
        DeviceName: *mut UNICODE_STRING,
        DeviceType: ULONG,
        DeviceCharacteristics: ULONG,
        Exclusive: BOOLEAN,
        DeviceObject: *mut *mut DEVICE_OBJECT,
    ) -> NTSTATUS;
    /// Makes a second name for a device. IRQL: `PASSIVE_LEVEL`.
    fn IoCreateSymbolicLink(
        SymbolicLinkName: *mut UNICODE_STRING,
        DeviceName: *mut UNICODE_STRING,
    ) -> NTSTATUS;
    /// Deletes a device object. IRQL: `<= APC_LEVEL`.
    fn IoDeleteDevice(DeviceObject: *mut DEVICE_OBJECT);
    /// Removes a second name of a device. IRQL: `PASSIVE_LEVEL`.
    fn IoDeleteSymbolicLink(SymbolicLinkName: *mut UNICODE_STRING) -> NTSTATUS;
    /// Frees a work item. IRQL: `<= DISPATCH_LEVEL`.
    fn IoFreeWorkItem(IoWorkItem: *mut IO_WORKITEM);
    /// Queues a work item. IRQL: `<= DISPATCH_LEVEL`.
    fn IoQueueWorkItem(
        IoWorkItem: *mut IO_WORKITEM,
        WorkerRoutine: Option<IO_WORKITEM_ROUTINE>,
        QueueType: WORK_QUEUE_TYPE,
        Context: PVOID,
    );
    /// Writes an entry to the event log. IRQL: `<= DISPATCH_LEVEL`.
    fn IoWriteErrorLogEntry(ElEntry: PVOID);
}

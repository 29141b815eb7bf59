//! I/O request packets.
//!
//! Documentation:
//! * [IRP](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/ns-wdm-_irp)

use crate::{
    BOOLEAN, CCHAR, CHAR, CSHORT, DEVICE_OBJECT, ETHREAD, FILE_OBJECT, IO_STACK_LOCATION, KAPC,
    KDEVICE_QUEUE_ENTRY, KEVENT, KIRQL, KPROCESSOR_MODE, LARGE_INTEGER, LIST_ENTRY, LONG, MDL,
    NTSTATUS, PVOID, UCHAR, ULONG, ULONG_PTR, USHORT,
};

structs! {
    /// The outcome of a request.
    struct IO_STATUS_BLOCK [16, 8] {
        0 Status: NTSTATUS,
        8 Information: ULONG_PTR,
        also {
            0 Pointer: PVOID,
        }
    }
    /// Member `AssociatedIrp` of [`IRP`].
    union IRP_AssociatedIrp of IRP.AssociatedIrp [8, 8] {
        0 IrpCount: LONG,
        0 MasterIrp: *mut IRP,
        0 SystemBuffer: PVOID,
    }
    /// Member `Overlay.AsynchronousParameters` of [`IRP`].
    struct IRP_Overlay_AsynchronousParameters of IRP.Overlay.AsynchronousParameters [16, 8] {
        0 UserApcRoutine: Option<PIO_APC_ROUTINE>,
        8 UserApcContext: PVOID,
        also {
            0 IssuingProcess: PVOID,
            8 IoRing: PVOID,
        }
    }
    /// Member `Overlay` of [`IRP`].
    union IRP_Overlay of IRP.Overlay [16, 8] {
        0 AllocationSize: LARGE_INTEGER,
        0 AsynchronousParameters: IRP_Overlay_AsynchronousParameters,
    }
    /// Member `Tail.Overlay` of [`IRP`].
    struct IRP_Tail_Overlay of IRP.Tail.Overlay [80, 8] {
        0 DriverContext: [PVOID; 4],
        32 Thread: *mut ETHREAD,
        40 AuxiliaryBuffer: *mut CHAR,
        48 ListEntry: LIST_ENTRY,
        64 CurrentStackLocation: *mut IO_STACK_LOCATION,
        72 OriginalFileObject: *mut FILE_OBJECT,
        also {
            0 DeviceQueueEntry: KDEVICE_QUEUE_ENTRY,
            64 PacketType: ULONG,
        }
    }
    /// Member `Tail` of [`IRP`].
    union IRP_Tail of IRP.Tail [88, 8] {
        0 Apc: KAPC,
        0 CompletionKey: PVOID,
        0 Overlay: IRP_Tail_Overlay,
    }
    /// An I/O request packet.
    #[repr(align(16))]
    struct IRP [208, 16] {
        0 Type: CSHORT,
        2 Size: USHORT,
        8 MdlAddress: *mut MDL,
        16 Flags: ULONG,
        24 AssociatedIrp: IRP_AssociatedIrp,
        32 ThreadListEntry: LIST_ENTRY,
        48 IoStatus: IO_STATUS_BLOCK,
        64 RequestorMode: KPROCESSOR_MODE,
        65 PendingReturned: BOOLEAN,
        66 StackCount: CHAR,
        67 CurrentLocation: CHAR,
        68 Cancel: BOOLEAN,
        69 CancelIrql: KIRQL,
        70 ApcEnvironment: CCHAR,
        71 AllocationFlags: UCHAR,
        72 UserIosb: *mut IO_STATUS_BLOCK,
        80 UserEvent: *mut KEVENT,
        88 Overlay: IRP_Overlay,
        104 CancelRoutine: Option<DRIVER_CANCEL>,
        112 UserBuffer: PVOID,
        120 Tail: IRP_Tail,
        also {
            72 IoRingContext: PVOID,
        }
    }
}

callbacks! {
    /// Cancels an IRP; called with the cancel spin lock held. IRQL: `DISPATCH_LEVEL`.
    fn DRIVER_CANCEL(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP);
    /// Tells a driver that the drivers below are done with an IRP. IRQL: `<= DISPATCH_LEVEL`.
    fn IO_COMPLETION_ROUTINE(
        DeviceObject: *mut DEVICE_OBJECT,
        Irp: *mut IRP,
        Context: PVOID,
    ) -> NTSTATUS;
    /// Tells a thread that its request is done. IRQL: `PASSIVE_LEVEL`.
    fn PIO_APC_ROUTINE(ApcContext: PVOID, IoStatusBlock: *mut IO_STATUS_BLOCK, Reserved: ULONG);
}

imports! {
    "ntoskrnl.exe";
    /// Takes the cancel spin lock. IRQL: `<= DISPATCH_LEVEL`.
    fn IoAcquireCancelSpinLock(Irql: *mut KIRQL);
    /// Says whether an IRP comes from a 32-bit process. IRQL: `<= DISPATCH_LEVEL`.
    fn IoIs32bitProcess(Irp: *mut IRP) -> BOOLEAN;
    /// Releases the cancel spin lock. IRQL: `DISPATCH_LEVEL`.
    fn IoReleaseCancelSpinLock(Irql: KIRQL);
    /// Completes an IRP. IRQL: `<= DISPATCH_LEVEL`.
    fn IofCompleteRequest(Irp: *mut IRP, PriorityBoost: CCHAR);
}

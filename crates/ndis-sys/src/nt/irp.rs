//! nt::irp

use crate::*;

structs! {
    struct IO_STATUS_BLOCK [16, 8] {
        0 Status: NTSTATUS,
        8 Information: ULONG_PTR,
        also {
            0 Pointer: PVOID,
        }
    }
    union IRP_AssociatedIrp of IRP.AssociatedIrp [8, 8] {
        0 IrpCount: LONG,
        0 MasterIrp: *mut IRP,
        0 SystemBuffer: PVOID,
    }
    struct IRP_Overlay_AsynchronousParameters of IRP.Overlay.AsynchronousParameters [16, 8] {
        0 UserApcRoutine: Option<PIO_APC_ROUTINE>,
        8 UserApcContext: PVOID,
        also {
            0 IssuingProcess: PVOID,
            8 IoRing: PVOID,
        }
    }
    union IRP_Overlay of IRP.Overlay [16, 8] {
        0 AllocationSize: LARGE_INTEGER,
        0 AsynchronousParameters: IRP_Overlay_AsynchronousParameters,
    }
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
    union IRP_Tail of IRP.Tail [88, 8] {
        0 Apc: KAPC,
        0 CompletionKey: PVOID,
        0 Overlay: IRP_Tail_Overlay,
    }
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
    fn DRIVER_CANCEL(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP);
    fn IO_COMPLETION_ROUTINE(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP, Context: PVOID) -> NTSTATUS;
    fn PIO_APC_ROUTINE(Parameter1: PVOID, Parameter2: *mut IO_STATUS_BLOCK, Parameter3: ULONG);
}

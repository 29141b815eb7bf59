//! nt::io

use crate::*;

enums! {
    KEY_VALUE_INFORMATION_CLASS {
        KeyValueBasicInformation = 0,
        KeyValueFullInformation = 1,
        KeyValuePartialInformation = 2,
        KeyValueFullInformationAlign64 = 3,
        KeyValuePartialInformationAlign64 = 4,
        KeyValueLayerInformation = 5,
        MaxKeyValueInfoClass = 6,
    }
}

imports! {
    "ntoskrnl.exe";
    fn IoAcquireCancelSpinLock(Irql: *mut KIRQL);
    fn IoAllocateErrorLogEntry(IoObject: PVOID, EntrySize: UCHAR) -> PVOID;
    fn IoAllocateWorkItem(DeviceObject: *mut DEVICE_OBJECT) -> *mut IO_WORKITEM;
    fn IoCreateDevice(DriverObject: *mut DRIVER_OBJECT, DeviceExtensionSize: ULONG, DeviceName: *mut UNICODE_STRING, DeviceType: ULONG, DeviceCharacteristics: ULONG, Exclusive: BOOLEAN, DeviceObject: *mut *mut DEVICE_OBJECT) -> NTSTATUS;
    fn IoCreateSymbolicLink(SymbolicLinkName: *mut UNICODE_STRING, DeviceName: *mut UNICODE_STRING) -> NTSTATUS;
    fn IoDeleteDevice(DeviceObject: *mut DEVICE_OBJECT);
    fn IoDeleteSymbolicLink(SymbolicLinkName: *mut UNICODE_STRING) -> NTSTATUS;
    fn IoFreeWorkItem(IoWorkItem: *mut IO_WORKITEM);
    fn IoIs32bitProcess(Irp: *mut IRP) -> BOOLEAN;
    fn IoQueueWorkItem(IoWorkItem: *mut IO_WORKITEM, WorkerRoutine: Option<IO_WORKITEM_ROUTINE>, QueueType: WORK_QUEUE_TYPE, Context: PVOID);
    fn IoReleaseCancelSpinLock(Irql: KIRQL);
    fn IoWriteErrorLogEntry(ElEntry: PVOID);
    fn IofCompleteRequest(Irp: *mut IRP, PriorityBoost: CCHAR);
    fn ObDereferenceObjectDeferDelete(Object: PVOID);
    fn ObReferenceObjectByHandle(Handle: HANDLE, DesiredAccess: ACCESS_MASK, ObjectType: *mut OBJECT_TYPE, AccessMode: KPROCESSOR_MODE, Object: *mut PVOID, HandleInformation: PVOID) -> NTSTATUS;
    fn ObfDereferenceObject(Parameter1: PVOID) -> LONG_PTR;
    fn ObfReferenceObject(Object: PVOID) -> LONG_PTR;
    fn PsCreateSystemThread(ThreadHandle: *mut HANDLE, DesiredAccess: ULONG, ObjectAttributes: *mut OBJECT_ATTRIBUTES, ProcessHandle: HANDLE, ClientId: PVOID, StartRoutine: Option<KSTART_ROUTINE>, StartContext: PVOID) -> NTSTATUS;
    fn PsGetCurrentProcessId() -> HANDLE;
    fn PsGetCurrentThreadId() -> HANDLE;
    fn PsTerminateSystemThread(ExitStatus: NTSTATUS) -> NTSTATUS;
    fn SeSinglePrivilegeCheck(PrivilegeValue: LUID, PreviousMode: KPROCESSOR_MODE) -> BOOLEAN;
    fn ZwClose(Handle: HANDLE) -> NTSTATUS;
    fn ZwOpenKey(KeyHandle: *mut HANDLE, DesiredAccess: ACCESS_MASK, ObjectAttributes: *mut OBJECT_ATTRIBUTES) -> NTSTATUS;
    fn ZwQueryValueKey(KeyHandle: HANDLE, ValueName: *mut UNICODE_STRING, KeyValueInformationClass: KEY_VALUE_INFORMATION_CLASS, KeyValueInformation: PVOID, Length: ULONG, ResultLength: *mut ULONG) -> NTSTATUS;
}

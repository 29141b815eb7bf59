//! Objects, handles, threads and privileges.
//!
//! Documentation:
//! * [Managing kernel objects](https://learn.microsoft.com/windows-hardware/drivers/kernel/managing-kernel-objects)

use crate::{
    ACCESS_MASK, BOOLEAN, HANDLE, KPROCESSOR_MODE, LONG_PTR, LUID, NTSTATUS, PVOID, ULONG,
    UNICODE_STRING,
};

opaque! {
    /// A type of the object manager.
    OBJECT_TYPE;
}

enums! {
    /// Information about a registry value.
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

structs! {
    /// Name, directory and attributes of an object to open.
    struct OBJECT_ATTRIBUTES [48, 8] {
        0 Length: ULONG,
        8 RootDirectory: HANDLE,
        16 ObjectName: *mut UNICODE_STRING,
        24 Attributes: ULONG,
        32 SecurityDescriptor: PVOID,
        40 SecurityQualityOfService: PVOID,
    }
}

callbacks! {
    /// Entry point of a thread. IRQL: `PASSIVE_LEVEL`.
    fn KSTART_ROUTINE(StartContext: PVOID);
}

imports! {
    "ntoskrnl.exe";
    /// Counts a user of a remove lock in. IRQL: `<= DISPATCH_LEVEL`.
    fn IoAcquireRemoveLockEx(
        RemoveLock: PVOID,
        Tag: PVOID,
        File: PVOID,
        Line: ULONG,
        RemlockSize: ULONG,
    ) -> NTSTATUS;
    /// Makes a remove lock. IRQL: `PASSIVE_LEVEL`.
    fn IoInitializeRemoveLockEx(
        Lock: PVOID,
        AllocateTag: ULONG,
        MaxLockedMinutes: ULONG,
        HighWatermark: ULONG,
        RemlockSize: ULONG,
    );
    /// Counts a user out, with the tag it was counted in with. IRQL: `<= DISPATCH_LEVEL`.
    fn IoReleaseRemoveLockEx(RemoveLock: PVOID, Tag: PVOID, RemlockSize: ULONG);
    /// Gives a reference back; deletion waits for a worker. IRQL: `<= DISPATCH_LEVEL`.
    fn ObDereferenceObjectDeferDelete(Object: PVOID);
    /// The same for a reference with a tag. IRQL: `<= DISPATCH_LEVEL`.
    fn ObDereferenceObjectDeferDeleteWithTag(Object: PVOID, Tag: ULONG);
    /// Takes a reference to the object of a handle. IRQL: `PASSIVE_LEVEL`.
    fn ObReferenceObjectByHandle(
        Handle: HANDLE,
        DesiredAccess: ACCESS_MASK,
        ObjectType: *mut OBJECT_TYPE,
        AccessMode: KPROCESSOR_MODE,
        Object: *mut PVOID,
        HandleInformation: PVOID,
    ) -> NTSTATUS;
    /// The same with a tag. IRQL: `PASSIVE_LEVEL`.
    fn ObReferenceObjectByHandleWithTag(
        Handle: HANDLE,
        DesiredAccess: ACCESS_MASK,
        ObjectType: *mut OBJECT_TYPE,
        AccessMode: KPROCESSOR_MODE,
        Tag: ULONG,
        Object: *mut PVOID,
        HandleInformation: PVOID,
    ) -> NTSTATUS;
    /// Takes a reference to an object of a type. IRQL: `<= DISPATCH_LEVEL`.
    fn ObReferenceObjectByPointer(
        Object: PVOID,
        DesiredAccess: ACCESS_MASK,
        ObjectType: *mut OBJECT_TYPE,
        AccessMode: KPROCESSOR_MODE,
    ) -> NTSTATUS;
    /// The same with a tag. IRQL: `<= DISPATCH_LEVEL`.
    fn ObReferenceObjectByPointerWithTag(
        Object: PVOID,
        DesiredAccess: ACCESS_MASK,
        ObjectType: *mut OBJECT_TYPE,
        AccessMode: KPROCESSOR_MODE,
        Tag: ULONG,
    ) -> NTSTATUS;
    /// Gives a reference back. IRQL: `<= DISPATCH_LEVEL`.
    fn ObfDereferenceObject(Object: PVOID) -> LONG_PTR;
    /// Gives back a reference that was taken with this tag. IRQL: `<= DISPATCH_LEVEL`.
    fn ObfDereferenceObjectWithTag(Object: PVOID, Tag: ULONG) -> LONG_PTR;
    /// Takes a reference. IRQL: `<= DISPATCH_LEVEL`.
    fn ObfReferenceObject(Object: PVOID) -> LONG_PTR;
    /// The same with a tag. IRQL: `<= DISPATCH_LEVEL`.
    fn ObfReferenceObjectWithTag(Object: PVOID, Tag: ULONG) -> LONG_PTR;
    /// Starts a thread of the system. IRQL: `PASSIVE_LEVEL`.
    fn PsCreateSystemThread(
        ThreadHandle: *mut HANDLE,
        DesiredAccess: ULONG,
        ObjectAttributes: *mut OBJECT_ATTRIBUTES,
        ProcessHandle: HANDLE,
        ClientId: PVOID,
        StartRoutine: Option<KSTART_ROUTINE>,
        StartContext: PVOID,
    ) -> NTSTATUS;
    /// Returns the identifier of the process. IRQL: any.
    fn PsGetCurrentProcessId() -> HANDLE;
    /// Returns the identifier of the thread. IRQL: any.
    fn PsGetCurrentThreadId() -> HANDLE;
    /// Ends the thread. IRQL: `PASSIVE_LEVEL`.
    fn PsTerminateSystemThread(ExitStatus: NTSTATUS) -> NTSTATUS;
    /// Says whether the caller has a privilege. IRQL: `PASSIVE_LEVEL`.
    fn SeSinglePrivilegeCheck(PrivilegeValue: LUID, PreviousMode: KPROCESSOR_MODE) -> BOOLEAN;
    /// Closes a handle. IRQL: `PASSIVE_LEVEL`.
    fn ZwClose(Handle: HANDLE) -> NTSTATUS;
    /// Opens a registry key. IRQL: `PASSIVE_LEVEL`.
    fn ZwOpenKey(
        KeyHandle: *mut HANDLE,
        DesiredAccess: ACCESS_MASK,
        ObjectAttributes: *mut OBJECT_ATTRIBUTES,
    ) -> NTSTATUS;
    /// Reads a registry value. IRQL: `PASSIVE_LEVEL`.
    fn ZwQueryValueKey(
        KeyHandle: HANDLE,
        ValueName: *mut UNICODE_STRING,
        KeyValueInformationClass: KEY_VALUE_INFORMATION_CLASS,
        KeyValueInformation: PVOID,
        Length: ULONG,
        ResultLength: *mut ULONG,
    ) -> NTSTATUS;
}

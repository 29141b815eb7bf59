//! Driver objects and the routines of a driver.
//!
//! Documentation:
//! * [Introduction to driver objects](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-driver-objects)

use crate::{
    CSHORT, DEVICE_OBJECT, IO_ALLOCATION_ACTION, IRP, NTSTATUS, PVOID, ULONG, UNICODE_STRING,
};

structs! {
    /// The part of a driver object that holds its `AddDevice` routine.
    struct DRIVER_EXTENSION [40, 8] {
        0 DriverObject: *mut DRIVER_OBJECT,
        8 AddDevice: Option<DRIVER_ADD_DEVICE>,
        16 Count: ULONG,
        24 ServiceKeyName: UNICODE_STRING,
    }
    /// A loaded driver.
    struct DRIVER_OBJECT [336, 8] {
        0 Type: CSHORT,
        2 Size: CSHORT,
        8 DeviceObject: *mut DEVICE_OBJECT,
        16 Flags: ULONG,
        24 DriverStart: PVOID,
        32 DriverSize: ULONG,
        40 DriverSection: PVOID,
        48 DriverExtension: *mut DRIVER_EXTENSION,
        56 DriverName: UNICODE_STRING,
        72 HardwareDatabase: *mut UNICODE_STRING,
        80 FastIoDispatch: PVOID,
        88 DriverInit: Option<DRIVER_INITIALIZE>,
        96 DriverStartIo: Option<DRIVER_STARTIO>,
        104 DriverUnload: Option<DRIVER_UNLOAD>,
        112 MajorFunction: [Option<DRIVER_DISPATCH>; 28],
    }
}

callbacks! {
    /// Adds a device for which the driver is responsible. IRQL: `PASSIVE_LEVEL`.
    fn DRIVER_ADD_DEVICE(
        DriverObject: *mut DRIVER_OBJECT,
        PhysicalDeviceObject: *mut DEVICE_OBJECT,
    ) -> NTSTATUS;
    /// Goes on once an adapter or a controller is free. IRQL: `<= DISPATCH_LEVEL`.
    fn DRIVER_CONTROL(
        DeviceObject: *mut DEVICE_OBJECT,
        Irp: *mut IRP,
        MapRegisterBase: PVOID,
        Context: PVOID,
    ) -> IO_ALLOCATION_ACTION;
    /// Handles an IRP. IRQL: `PASSIVE_LEVEL`.
    fn DRIVER_DISPATCH(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP) -> NTSTATUS;
    /// Entry point of a driver. IRQL: `PASSIVE_LEVEL`.
    fn DRIVER_INITIALIZE(
        DriverObject: *mut DRIVER_OBJECT,
        RegistryPath: *mut UNICODE_STRING,
    ) -> NTSTATUS;
    /// Starts the next IRP of a device. IRQL: `DISPATCH_LEVEL`.
    fn DRIVER_STARTIO(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP);
    /// Last call into a driver. IRQL: `PASSIVE_LEVEL`.
    fn DRIVER_UNLOAD(DriverObject: *mut DRIVER_OBJECT);
}

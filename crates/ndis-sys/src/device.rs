//! device

use crate::*;

structs! {
    struct NDIS_DEVICE_OBJECT_ATTRIBUTES [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 DeviceName: *mut UNICODE_STRING,
        16 SymbolicName: *mut UNICODE_STRING,
        24 MajorFunctions: *mut Option<DRIVER_DISPATCH>,
        32 ExtensionSize: ULONG,
        40 DefaultSDDLString: *const UNICODE_STRING,
        48 DeviceClassGuid: *const GUID,
    }
}

imports! {
    "ndis.sys";
    fn NdisDeregisterDeviceEx(NdisDeviceHandle: NDIS_HANDLE);
    fn NdisGetDeviceReservedExtension(DeviceObject: *mut DEVICE_OBJECT) -> PVOID;
    fn NdisRegisterDeviceEx(NdisHandle: NDIS_HANDLE, DeviceObjectAttributes: *mut NDIS_DEVICE_OBJECT_ATTRIBUTES, pDeviceObject: *mut *mut DEVICE_OBJECT, NdisDeviceHandle: *mut PVOID) -> NDIS_STATUS;
}

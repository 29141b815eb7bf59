//! Control devices.
//!
//! Documentation:
//! * [Registering a device](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/nf-ndis-ndisregisterdeviceex)

use crate::{
    DEVICE_OBJECT, DRIVER_DISPATCH, GUID, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_STATUS, PVOID,
    UCHAR, ULONG, UNICODE_STRING, USHORT,
};

constants! {
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_DEVICE_OBJECT_ATTRIBUTES_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_DEVICE_OBJECT_ATTRIBUTES_REVISION_1 = 56,
    }
}

structs! {
    /// Name, link and dispatch table of a control device.
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
    /// Deletes a control device. IRQL: `PASSIVE_LEVEL`.
    fn NdisDeregisterDeviceEx(NdisDeviceHandle: NDIS_HANDLE);
    /// Returns the extension of a control device that is the driver's. IRQL: any.
    fn NdisGetDeviceReservedExtension(DeviceObject: *mut DEVICE_OBJECT) -> PVOID;
    /// Makes a control device. IRQL: `PASSIVE_LEVEL`.
    fn NdisRegisterDeviceEx(
        NdisHandle: NDIS_HANDLE,
        DeviceObjectAttributes: *mut NDIS_DEVICE_OBJECT_ATTRIBUTES,
        pDeviceObject: *mut *mut DEVICE_OBJECT,
        NdisDeviceHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
}

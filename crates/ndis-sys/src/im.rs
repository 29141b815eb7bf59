//! im

use crate::*;

imports! {
    "ndis.sys";
    fn NdisIMAssociateMiniport(DriverHandle: NDIS_HANDLE, ProtocolHandle: NDIS_HANDLE);
    fn NdisIMCancelInitializeDeviceInstance(DriverHandle: NDIS_HANDLE, DeviceInstance: *mut UNICODE_STRING) -> NDIS_STATUS;
    fn NdisIMDeInitializeDeviceInstance(NdisMiniportHandle: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisIMGetBindingContext(NdisBindingHandle: NDIS_HANDLE) -> NDIS_HANDLE;
    fn NdisIMInitializeDeviceInstanceEx(DriverHandle: NDIS_HANDLE, DriverInstance: *mut UNICODE_STRING, DeviceContext: NDIS_HANDLE) -> NDIS_STATUS;
}

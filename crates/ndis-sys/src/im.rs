//! Intermediate drivers: association and virtual miniports.
//!
//! Documentation:
//! * [NDIS intermediate drivers](https://learn.microsoft.com/windows-hardware/drivers/network/ndis-intermediate-drivers)

use crate::{NDIS_HANDLE, NDIS_STATUS, UNICODE_STRING};

imports! {
    "ndis.sys";
    /// Ties the two edges of an intermediate driver together. IRQL: `PASSIVE_LEVEL`.
    fn NdisIMAssociateMiniport(DriverHandle: NDIS_HANDLE, ProtocolHandle: NDIS_HANDLE);
    /// Cancels the initialisation of a virtual miniport. IRQL: `PASSIVE_LEVEL`.
    fn NdisIMCancelInitializeDeviceInstance(
        DriverHandle: NDIS_HANDLE,
        DeviceInstance: *mut UNICODE_STRING,
    ) -> NDIS_STATUS;
    /// Halts a virtual miniport. IRQL: `PASSIVE_LEVEL`.
    fn NdisIMDeInitializeDeviceInstance(NdisMiniportHandle: NDIS_HANDLE) -> NDIS_STATUS;
    /// Returns the context of the binding below, given one from above. IRQL: `< DISPATCH_LEVEL`.
    fn NdisIMGetBindingContext(NdisBindingHandle: NDIS_HANDLE) -> NDIS_HANDLE;
    /// Starts the initialisation of a virtual miniport. IRQL: `PASSIVE_LEVEL`.
    fn NdisIMInitializeDeviceInstanceEx(
        DriverHandle: NDIS_HANDLE,
        DriverInstance: *mut UNICODE_STRING,
        DeviceContext: NDIS_HANDLE,
    ) -> NDIS_STATUS;
}

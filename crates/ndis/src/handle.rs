//! Registrations that undo themselves. All at PASSIVE_LEVEL.

use crate::Result;
use crate::status::check;
use ndis_sys::{
    DRIVER_OBJECT, NDIS_HANDLE, NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, NdisDeregisterProtocolDriver, NdisIMAssociateMiniport,
    NdisMDeregisterMiniportDriver, NdisMRegisterMiniportDriver, NdisRegisterProtocolDriver,
    UNICODE_STRING,
};

/// The miniport half of the driver.
#[derive(Debug)]
pub struct MiniportDriver(NDIS_HANDLE);

impl MiniportDriver {
    /// Registers (DE-3). IRQL = PASSIVE_LEVEL. The handle is written to `out`
    /// too, before NDIS can call anything that needs it.
    ///
    /// # Safety
    /// Object and path are those DriverEntry was given; the handlers are ready
    /// (appendix B, row 27); `context` lives until the driver is deregistered.
    pub unsafe fn register(
        object: *mut DRIVER_OBJECT,
        path: *mut UNICODE_STRING,
        context: NDIS_HANDLE,
        mut characteristics: NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
        out: *mut NDIS_HANDLE,
    ) -> Result<Self> {
        // SAFETY: (DE-3, MPR-9) the caller's promise; NDIS copies the structure.
        check(unsafe {
            NdisMRegisterMiniportDriver(object, path, context, &raw mut characteristics, out)
        })?;
        // SAFETY: (DE-6) written by the successful registration.
        Ok(Self(unsafe { out.read() }))
    }

    /// The handle (DE-6).
    pub fn handle(&self) -> NDIS_HANDLE {
        self.0
    }

    /// Joins the two halves (DE-5). IRQL = PASSIVE_LEVEL.
    pub fn associate(&self, protocol: &ProtocolDriver) {
        // SAFETY: (DE-5) both registrations succeeded; miniport first.
        unsafe { NdisIMAssociateMiniport(self.0, protocol.0) };
    }
}

impl Drop for MiniportDriver {
    fn drop(&mut self) {
        // SAFETY: (DE-9, UNL-2) registered once, deregistered once.
        unsafe { NdisMDeregisterMiniportDriver(self.0) };
    }
}

/// The protocol half of the driver.
#[derive(Debug)]
pub struct ProtocolDriver(NDIS_HANDLE);

impl ProtocolDriver {
    /// Registers (DE-4). IRQL = PASSIVE_LEVEL. Binds may come before this
    /// returns (DE-7).
    ///
    /// # Safety
    /// The handlers and everything they use are ready; `context` lives until
    /// the driver is deregistered.
    pub unsafe fn register(
        context: NDIS_HANDLE,
        mut characteristics: NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
        out: *mut NDIS_HANDLE,
    ) -> Result<Self> {
        // SAFETY: (DE-4, DE-7) the caller's promise; NDIS copies the structure.
        check(unsafe { NdisRegisterProtocolDriver(context, &raw mut characteristics, out) })?;
        // SAFETY: (DE-6) written by the successful registration.
        Ok(Self(unsafe { out.read() }))
    }

    /// The handle (DE-6).
    pub fn handle(&self) -> NDIS_HANDLE {
        self.0
    }
}

impl Drop for ProtocolDriver {
    fn drop(&mut self) {
        // SAFETY: (DE-10, UNL-2, UNI-3) called from a failing DriverEntry or
        // from the unload handler only; unbinds what is still bound (UNL-3).
        unsafe { NdisDeregisterProtocolDriver(self.0) };
    }
}

//! Both registrations, and taking them back. All at PASSIVE_LEVEL.

use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, Ordering};

use ndis_sys::{
    DRIVER_OBJECT, NDIS_HANDLE, NDIS_INTERMEDIATE_DRIVER, NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
    NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS, NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2, NDIS_STATUS, NdisDeregisterProtocolDriver,
    NdisIMAssociateMiniport, NdisMDeregisterMiniportDriver, NdisMRegisterMiniportDriver,
    NdisRegisterProtocolDriver, UNICODE_STRING,
};

use crate::raw::{Plain, header, ok};
use crate::table::{choose, instead};
use crate::{bind, data, events, miniport, requests};

/// A handle that NDIS writes and everybody reads.
pub(crate) struct Handle(UnsafeCell<NDIS_HANDLE>);

// SAFETY: written by NDIS inside the registration, before anybody is called back with it.
unsafe impl Sync for Handle {}

impl Handle {
    pub(crate) fn get(&self) -> NDIS_HANDLE {
        // SAFETY: as above.
        unsafe { self.0.get().read_volatile() }
    }

    pub(crate) fn slot(&self) -> *mut NDIS_HANDLE {
        self.0.get()
    }
}

/// The miniport edge (DE-6).
pub(crate) static DRIVER: Handle = Handle(UnsafeCell::new(core::ptr::null_mut()));
/// The protocol edge (DE-6).
pub(crate) static PROTOCOL: Handle = Handle(UnsafeCell::new(core::ptr::null_mut()));
/// What `DriverEntry` was given; for misdeeds.
pub(crate) static OBJECT: AtomicPtr<DRIVER_OBJECT> = AtomicPtr::new(core::ptr::null_mut());

/// `DriverEntry`.
pub(crate) fn start(object: *mut DRIVER_OBJECT, path: *mut UNICODE_STRING) -> i32 {
    choose();
    OBJECT.store(object, Ordering::Release);
    instead!(Start(object, path), honest_start)
}

/// Registers both edges and ties them together; takes back what was done if one fails.
pub(crate) fn honest_start(object: *mut DRIVER_OBJECT, path: *mut UNICODE_STRING) -> i32 {
    let status = register_miniport(object, path);
    if !ok(status) {
        return status.0; // DE-12
    }
    let status = register_protocol(path);
    if !ok(status) {
        // SAFETY: (DE-9) registered above.
        unsafe { NdisMDeregisterMiniportDriver(DRIVER.get()) };
        return status.0;
    }
    instead!(Associate(), associate);
    0
}

/// The miniport edge (DE-3).
pub(crate) fn register_miniport(
    object: *mut DRIVER_OBJECT,
    path: *mut UNICODE_STRING,
) -> NDIS_STATUS {
    let mut c = miniport_characteristics();
    instead!(Miniport(&mut c), |_| ());
    // SAFETY: (DE-3) what DriverEntry was given; the handlers live as long as the image.
    unsafe {
        NdisMRegisterMiniportDriver(
            object,
            path,
            core::ptr::null_mut(),
            &raw mut c,
            DRIVER.slot(),
        )
    }
}

/// The protocol edge; everything is ready by now (DE-7).
pub(crate) fn register_protocol(path: *mut UNICODE_STRING) -> NDIS_STATUS {
    let mut c = protocol_characteristics(path);
    instead!(Protocol(&mut c), |_| ());
    // SAFETY: (DE-7, PTR-1) the structure is complete and copied inside the call.
    unsafe { NdisRegisterProtocolDriver(core::ptr::null_mut(), &raw mut c, PROTOCOL.slot()) }
}

/// Ties the edges together (DE-5).
pub(crate) fn associate() {
    // SAFETY: (DE-5) both registrations succeeded; the miniport's handle comes first.
    unsafe { NdisIMAssociateMiniport(DRIVER.get(), PROTOCOL.get()) };
    ASSOCIATED.store(
        core::ptr::from_ref(&OBJECT).cast_mut().cast(),
        Ordering::SeqCst,
    );
    bind::request_all(); // binds that came early (ASC-1)
}

/// Not null once the edges are associated.
static ASSOCIATED: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());

/// Whether miniports may be asked for (ASC-1).
pub(crate) fn is_associated() -> bool {
    !ASSOCIATED.load(Ordering::SeqCst).is_null()
}

/// MiniportDriverUnload.
pub(crate) unsafe extern "efiapi" fn unload(object: *mut DRIVER_OBJECT) {
    instead!(Unload(object), honest_unload);
}

/// Takes both edges back; the protocol goes first (UNL-2), and may still unbind (UNL-3).
pub(crate) fn honest_unload(_object: *mut DRIVER_OBJECT) {
    // SAFETY: (UNL-2, UNI-3) registered, and not deregistered before; inside unload.
    unsafe {
        NdisDeregisterProtocolDriver(PROTOCOL.get());
        NdisMDeregisterMiniportDriver(DRIVER.get());
    }
}

/// ProtocolUninstall (UNI-1). There is nothing that keeps the image (UNI-2).
unsafe extern "efiapi" fn uninstall() {
    instead!(Uninstall(), || ());
}

/// NDIS versions that the driver knows: the one it was written for, or what there is.
pub(crate) fn version() -> (u8, u8) {
    const NEWEST: u32 = 0x0006_0057;
    // SAFETY: (IRQ-11) no arguments.
    let there = unsafe { ndis_sys::NdisGetVersion() };
    let chosen = there.min(NEWEST);
    ((chosen >> 16) as u8, chosen as u8)
}

/// All handlers of the miniport edge (MPR-1 to MPR-7).
pub(crate) fn miniport_characteristics() -> NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
    let mut c = NDIS_MINIPORT_DRIVER_CHARACTERISTICS::zeroed();
    c.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
        NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
        offset_of!(
            NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
            SynchronousOidRequestHandler
        ),
    );
    (c.MajorNdisVersion, c.MinorNdisVersion) = version();
    c.MinorDriverVersion = 1;
    c.Flags = NDIS_INTERMEDIATE_DRIVER;
    c.InitializeHandlerEx = Some(miniport::initialize);
    c.HaltHandlerEx = Some(miniport::halt);
    c.UnloadHandler = Some(unload);
    c.PauseHandler = Some(miniport::pause);
    c.RestartHandler = Some(miniport::restart);
    c.OidRequestHandler = Some(requests::request);
    c.CancelOidRequestHandler = Some(requests::cancel);
    c.DirectOidRequestHandler = Some(requests::direct);
    c.CancelDirectOidRequestHandler = Some(requests::cancel_direct);
    c.DevicePnPEventNotifyHandler = Some(miniport::device_event);
    c.ShutdownHandlerEx = Some(miniport::shutdown);
    c.SendNetBufferListsHandler = Some(data::send);
    c.ReturnNetBufferListsHandler = Some(data::returned);
    c.CancelSendHandler = Some(data::cancel);
    c
}

/// All handlers of the protocol edge (PTR-1 to PTR-5).
pub(crate) fn protocol_characteristics(
    path: *mut UNICODE_STRING,
) -> NDIS_PROTOCOL_DRIVER_CHARACTERISTICS {
    let mut c = NDIS_PROTOCOL_DRIVER_CHARACTERISTICS::zeroed();
    c.Header = header(
        NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
        NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2,
        size_of::<NDIS_PROTOCOL_DRIVER_CHARACTERISTICS>(),
    );
    (c.MajorNdisVersion, c.MinorNdisVersion) = version();
    c.MinorDriverVersion = 1;
    c.Name = service(path);
    c.BindAdapterHandlerEx = Some(bind::bind);
    c.UnbindAdapterHandlerEx = Some(bind::unbind);
    c.OpenAdapterCompleteHandlerEx = Some(bind::open_complete);
    c.CloseAdapterCompleteHandlerEx = Some(bind::close_complete);
    c.UninstallHandler = Some(uninstall);
    c.NetPnPEventHandler = Some(events::event);
    c.StatusHandlerEx = Some(events::status);
    c.OidRequestCompleteHandler = Some(requests::complete);
    c.DirectOidRequestCompleteHandler = Some(requests::direct_complete);
    c.ReceiveNetBufferListsHandler = Some(data::receive);
    c.SendNetBufferListsCompleteHandler = Some(data::sent);
    c
}

/// The service's name, the last part of its registry path (PTR-3).
fn service(path: *mut UNICODE_STRING) -> UNICODE_STRING {
    // SAFETY: (DE-3) the path is valid inside DriverEntry.
    unsafe {
        let units = core::slice::from_raw_parts((*path).Buffer, usize::from((*path).Length) / 2);
        let last = units.iter().rposition(|u| *u == u16::from(b'\\'));
        crate::raw::counted(units.get(last.map_or(0, |at| at + 1)..).unwrap_or(&[]))
    }
}

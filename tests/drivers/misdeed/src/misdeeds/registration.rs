//! Misdeeds about DriverEntry, registration and versions (DE, MPR, PTR, VER, ASC).

use core::ptr::null_mut;

use ndis_sys::*;

use crate::bind::honest_bind;
use crate::entry::{
    DRIVER, PROTOCOL, associate, honest_start, honest_unload, miniport_characteristics,
    register_miniport, register_protocol,
};
use crate::lane::LANES;
use crate::miniport::{honest_initialize, honest_restart};
use crate::raw::{Plain, TAG, counted, header, wide};
use crate::table::misdeeds;

/// What lies in data and is no code.
static DATA: [u64; 2] = [0xCC; 2];

/// An address in data where a handler is expected.
fn no_code<F>() -> Option<F> {
    let address = core::ptr::from_ref(&DATA).cast::<u8>();
    // SAFETY: (DE-1, MPR-3) as large as a pointer; nobody calls it if the host looks at it.
    Some(unsafe { core::mem::transmute_copy(&address) })
}

unsafe extern "efiapi" fn hang_check(_: NDIS_HANDLE) -> u8 {
    0
}

unsafe extern "efiapi" fn synchronous(_: NDIS_HANDLE, _: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
    NDIS_STATUS_NOT_SUPPORTED
}

/// Asks for a pair of classes of a connection-oriented miniport.
unsafe extern "efiapi" fn set_options(driver: NDIS_HANDLE, _: NDIS_HANDLE) -> NDIS_STATUS {
    let mut handlers = [0_u64; 16];
    let head = header(NDIS_OBJECT_TYPE_CO_MINIPORT_CHARACTERISTICS, 1, 96);
    // SAFETY: (PTR-6) broken on purpose: 128 bytes, more than the header says; they live until it
    // returns.
    unsafe {
        handlers
            .as_mut_ptr()
            .cast::<NDIS_OBJECT_HEADER>()
            .write(head);
        NdisSetOptionalHandlers(driver, handlers.as_mut_ptr().cast());
    }
    NDIS_STATUS_SUCCESS
}

/// Characteristics that stay where NDIS could be thought to read them again.
static mut KEPT: Option<NDIS_MINIPORT_DRIVER_CHARACTERISTICS> = None;

/// A second miniport edge, of a physical adapter.
static mut SECOND: NDIS_HANDLE = null_mut();

#[cfg_attr(
    windows,
    link(name = "ndis.sys", kind = "raw-dylib", modifiers = "+verbatim")
)]
unsafe extern "system" {
    /// Of NDIS 5.
    fn NdisInitializeWrapper(handle: *mut NDIS_HANDLE, a: PVOID, b: PVOID, c: PVOID);
    /// What NDIS 6.20 made obsolete.
    fn NdisSystemProcessorCount() -> i8;
}

fn leak() {
    // SAFETY: (MEM-1) PASSIVE_LEVEL, with a tag; that nobody frees it is the misdeed.
    unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, TAG) };
}

misdeeds! {
    "DE-1" "handler-in-data" in "load": "registers a protocol handler that is no code" =>
        Protocol(|c| c.UninstallHandler = no_code());
    "DE-2" "pending" in "load": "returns STATUS_PENDING from DriverEntry" =>
        Start(|object, path| honest_start(object, path).max(0x103));
    "DE-3" "other-path" in "load": "registers with a registry path of its own" =>
        Start(|object, path| {
            // SAFETY: (DE-3) valid until DriverEntry returns.
            let own = unsafe { *path };
            let mut other = own;
            let status = register_miniport(object, &raw mut other);
            if status.0 != 0 { return status.0; }
            let status = register_protocol(path);
            associate();
            status.0
        });
    "DE-4" "no-protocol" in "load": "registers no protocol edge" =>
        Start(|object, path| register_miniport(object, path).0),
        // SAFETY: (UNL-2) the driver's own handle, once; there is no other edge.
        Unload(|_| unsafe { NdisMDeregisterMiniportDriver(DRIVER.get()) });
    "DE-5" "not-associated" in "load": "does not associate the edges" =>
        Associate(|| ());
    "DE-5" "wrong-way-round" in "load" implies ["DE-6: each is a handle of the wrong kind"]:
        "associates with the handles in the wrong order" =>
        // SAFETY: (DE-5) broken on purpose: the driver's own handles, in the wrong order.
        Associate(|| unsafe { NdisIMAssociateMiniport(PROTOCOL.get(), DRIVER.get()) });
    "DE-6" "invented-handle" in "load": "uses a handle that is next to its own" =>
        Unload(|object| {
            // SAFETY: (DE-6) broken on purpose: no handle of anybody's, which the host says.
            unsafe { NdisDeregisterProtocolDriver((PROTOCOL.get() as usize + 16) as NDIS_HANDLE) };
            honest_unload(object);
        });
    "DE-7" "not-ready" in "early": "is not ready for a bind before DriverEntry is over" =>
        Bind(|context, parameters| {
            if crate::entry::is_associated() {
                honest_bind(context, parameters)
            } else {
                NDIS_STATUS_FAILURE
            }
        });
    "DE-8" "success-after-failure" in "load!NdisMRegisterMiniportDriver":
        "succeeds although it could not register" =>
        Start(|object, path| honest_start(object, path).max(0));
    "DE-9" "miniport-edge-left" in "load!NdisRegisterProtocolDriver":
        "fails and leaves its miniport edge" =>
        Start(|object, path| {
            register_miniport(object, path);
            register_protocol(path).0
        });
    "DE-10" "protocol-edge-left" in "load": "fails and leaves its protocol edge" =>
        Start(|object, path| {
            register_miniport(object, path);
            register_protocol(path);
            // SAFETY: (DE-10) broken on purpose: the driver's own handle, once; the other edge is
            // left.
            unsafe { NdisMDeregisterMiniportDriver(DRIVER.get()) };
            NDIS_STATUS_FAILURE.0
        });
    "DE-11" "memory-left" in "load!NdisMRegisterMiniportDriver": "fails and leaves memory" =>
        Start(|object, path| { leak(); honest_start(object, path) });
    "DE-12" "never-got-it" in "load!NdisMRegisterMiniportDriver":
        "deregisters an edge that was never registered" =>
        Start(|object, path| {
            let status = honest_start(object, path);
            // SAFETY: (DE-12) broken on purpose: the handle was never written, so it is null.
            unsafe { NdisMDeregisterMiniportDriver(DRIVER.get()) };
            status
        });

    "MPR-1" "old-revision" in "load": "registers characteristics of revision 1 for NDIS 6.87" =>
        Miniport(|c| c.Header = header(NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS, 1, 136));
    "MPR-2" "future" in "load": "declares a version that there is not" =>
        Miniport(|c| c.MinorNdisVersion = 90);
    "MPR-3" "handler-in-data" in "load": "registers a handler that is no code" =>
        Miniport(|c| c.CancelSendHandler = no_code());
    "MPR-4" "no-cancel" in "load": "registers no CancelSend handler" =>
        Miniport(|c| c.CancelSendHandler = None);
    "MPR-5" "hang-check" in "load": "registers a CheckForHang handler" =>
        Miniport(|c| c.CheckForHangHandlerEx = Some(hang_check));
    "MPR-6" "wdm" in "load": "has a WDM lower edge" => Miniport(|c| c.Flags |= NDIS_WDM_DRIVER);
    "MPR-7" "half" in "load": "registers one of two direct OID handlers" =>
        Miniport(|c| c.CancelDirectOidRequestHandler = None);
    "MPR-8" "synchronous" in "load": "has a synchronous OID handler in revision 2" =>
        Miniport(|c| {
            c.SynchronousOidRequestHandler = Some(synchronous);
            c.Header.Size = size_of::<NDIS_MINIPORT_DRIVER_CHARACTERISTICS>() as u16;
        });
    "MPR-9" "later" in "load": "changes a handler after the registration" =>
        Start(|object, path| {
            // SAFETY: (MPR-9) DriverEntry runs once, on one thread.
            let kept = unsafe {
                KEPT = Some(miniport_characteristics());
                (&raw mut KEPT).cast::<NDIS_MINIPORT_DRIVER_CHARACTERISTICS>()
            };
            let all = &raw mut KEPT;
            // SAFETY: (MPR-9) as above: nobody else has it yet.
            let c = unsafe { (*all).as_mut() };
            let c = c.map_or(kept, core::ptr::from_mut);
            // SAFETY: (MPR-9) broken on purpose: static; it is changed behind NDIS's back.
            unsafe {
                NdisMRegisterMiniportDriver(object, path, null_mut(), c, DRIVER.slot());
                (*c).CancelSendHandler = Some(crate::data::cancel);
            }
            let status = register_protocol(path);
            associate();
            status.0
        });
    "MPR-10" "wrapper" in "load": "calls a function of NDIS 5" =>
        Associate(|| {
            let mut handle = null_mut();
            // SAFETY: (MPR-10) broken on purpose: NDIS would write a handle; the host does not
            // provide it.
            unsafe { NdisInitializeWrapper(&raw mut handle, null_mut(), null_mut(), null_mut()) };
        });
    "MPR-11" "registered-twice" in "load": "registers two miniport edges and deregisters one" =>
        Start(|object, path| {
            let mut c = miniport_characteristics();
            c.Flags = 0;
            // SAFETY: (MPR-11, DE-3) the first broken on purpose: everything lives until it
            // returns; the second edge is left.
            unsafe {
                let slot = &raw mut SECOND;
                NdisMRegisterMiniportDriver(object, path, null_mut(), &raw mut c, slot);
            }
            honest_start(object, path)
        });

    "PTR-1" "wrong-type" in "load": "registers protocol characteristics of another type" =>
        Protocol(|c| c.Header.Type = NDIS_OBJECT_TYPE_DEFAULT);
    "PTR-1" "old-revision" in "load": "registers characteristics of revision 1 for NDIS 6.87" =>
        Protocol(|c| c.Header = header(NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS, 1, 120));
    "PTR-2" "other-version" in "load": "declares another version on its lower edge" =>
        Protocol(|c| c.MinorNdisVersion = 60);
    "PTR-3" "other-name" in "load": "registers under a name that is not the service's" =>
        Protocol(|c| {
            static NAME: [u16; 5] = wide(b"Other");
            c.Name = counted(&NAME);
        });
    "PTR-4" "no-status" in "load": "registers no status handler" =>
        Protocol(|c| c.StatusHandlerEx = None);
    "PTR-5" "direct" in "oids": "sends direct requests without a handler for their completion" =>
        Protocol(|c| c.DirectOidRequestCompleteHandler = None);
    "PTR-6" "connections" in "load": "has connection-oriented handlers on its upper edge" =>
        Miniport(|c| c.SetOptionsHandler = Some(set_options));

    "VER-1" "old-power" in "bind": "shows power in the structure of NDIS 6.1" =>
        General(|a| {
            static mut OLD: [u64; 4] = [0; 4];
            a.PowerManagementCapabilitiesEx = null_mut();
            a.PowerManagementCapabilities = (&raw mut OLD).cast();
        });
    "VER-2" "processors" in "load": "asks for the processors in the way that ends at 64" =>
        // SAFETY: (VER-2) broken on purpose: it takes no pointer.
        Associate(|| { unsafe { NdisSystemProcessorCount() }; associate(); });
    "VER-3" "old-revision" in "bind": "registers its attributes in revision 1" =>
        Registration(|a| a.Header.Revision = 1);
    "VER-4" "beyond" in "bind": "reads on behind the size in a structure's header" =>
        Initialize(|lane, handle, parameters| {
            // SAFETY: (VER-4) the header is part of every revision.
            let size = usize::from(unsafe { (*parameters).Header.Size });
            // SAFETY: (VER-4) broken on purpose: the host stops a read that lies behind the
            // structure, or gives the bytes there.
            unsafe { parameters.cast::<u8>().add(size + 16).read_volatile() };
            honest_initialize(lane, handle, parameters)
        });
    "VER-5" "no-header" in "bind": "opens its configuration with a header of another type" =>
        Restart(|lane, parameters| {
            let mut of = NDIS_CONFIGURATION_OBJECT::zeroed();
            of.NdisHandle = lane.miniport();
            let mut handle = null_mut();
            // SAFETY: (VER-5) broken on purpose: both live until it returns; only an open
            // configuration is closed.
            unsafe {
                if NdisOpenConfigurationEx(&raw mut of, &raw mut handle).0 == 0 {
                    NdisCloseConfiguration(handle);
                }
            }
            honest_restart(lane, parameters)
        });

    "ASC-1" "too-early" in "load": "asks for a miniport before the edges are associated" =>
        Associate(|| {
            static NAME: [u16; 14] = wide(b"\\DEVICE\\NOBODY");
            let mut name = counted(&NAME);
            let context = LANES[7].context();
            // SAFETY: (ASC-1) broken on purpose: the name lives until it returns, the lane for
            // ever; the request is taken back.
            unsafe {
                NdisIMInitializeDeviceInstanceEx(DRIVER.get(), &raw mut name, context);
                NdisIMCancelInitializeDeviceInstance(DRIVER.get(), &raw mut name);
            }
            associate();
        });
}

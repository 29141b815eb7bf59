//! DriverEntry, unload, and the driver's one static.
//!
//! DriverEntry and the unload handler run alone, at PASSIVE_LEVEL. Binds may
//! come while DriverEntry is inside NdisRegisterProtocolDriver (DE-7), before
//! the two halves are associated; virtual miniports are asked for only after
//! that (ASC-1), so DriverEntry sweeps the bindings at its end.

use crate::edges::Lower;
use crate::events::EventRing;
use crate::roster::{Room, Roster};
use crate::team::{Assembly, is_shared};
use crate::topology::{Notice, Topology};
use crate::undo::UndoStack;
use crate::{bind, control, data, instance, oid, pause, pnp, status};
use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use im_control::EventKind;
use ndis::device::Device;
use ndis::handle::{MiniportDriver, ProtocolDriver};
use ndis::header::{Zeroed, header};
use ndis::lock::SpinLock;
use ndis::memory::{Pool, PoolBox};
use ndis::mutex::Mutex;
use ndis::string::counted;
use ndis::sys::{
    DRIVER_OBJECT, NDIS_HANDLE, NDIS_INTERMEDIATE_DRIVER, NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS, NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
    NDIS_STATUS, NdisGetVersion, UNICODE_STRING, VOID,
};
use ndis::{Error, Result};

/// What DriverEntry did, each undoing itself.
enum Done {
    Miniport(#[expect(dead_code, reason = "kept for its drop")] MiniportDriver),
    Device(#[expect(dead_code, reason = "kept for its drop")] Device),
    Protocol(#[expect(dead_code, reason = "kept for its drop")] ProtocolDriver),
}

/// The driver's one static.
pub struct Driver<T: Topology> {
    undo: SpinLock<UndoStack<Done, 4>>,
    miniport: AtomicPtr<VOID>,
    protocol: AtomicPtr<VOID>,
    associated: AtomicBool,
    /// Registered and running NDIS version, each as major << 16 | minor.
    version: AtomicU32,
    system: AtomicU32,
    pub(crate) bindings: SpinLock<Roster<NonNull<Lower<T>>>>,
    /// Who makes, joins and leaves teams of many bindings; made by DriverEntry.
    assembly: AtomicPtr<Mutex<Assembly<T>>>,
    pub(crate) events: SpinLock<EventRing>,
}

// SAFETY: (VMI-9) handles and pointers are reached under locks or atomically;
// what they lead to is shared by design.
unsafe impl<T: Topology> Sync for Driver<T> {}
// SAFETY: (DE-6) handles may be used on any thread.
unsafe impl Send for Done {}

impl<T: Topology> Default for Driver<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The version to register: the smaller of the system's and 6.87, the newest
/// that our structures know; below 6.84 nothing (MPR-2).
pub(crate) const fn version_to_register(system: u32) -> Result<u32> {
    const OLDEST: u32 = (6 << 16) + 84;
    const NEWEST: u32 = (6 << 16) + 87;
    if system < OLDEST {
        Err(Error::UnsupportedNdis)
    } else if system < NEWEST {
        Ok(system)
    } else {
        Ok(NEWEST)
    }
}

impl<T: Topology> Driver<T> {
    /// Not loaded yet. A free spin lock is all zeroes, so locks in a static are
    /// ready before the first instruction of DriverEntry.
    pub const fn new() -> Self {
        Self {
            undo: SpinLock::new(UndoStack::new()),
            miniport: AtomicPtr::new(core::ptr::null_mut()),
            protocol: AtomicPtr::new(core::ptr::null_mut()),
            associated: AtomicBool::new(false),
            version: AtomicU32::new(0),
            system: AtomicU32::new(0),
            bindings: SpinLock::new(Roster::new()),
            assembly: AtomicPtr::new(core::ptr::null_mut()),
            events: SpinLock::new(EventRing::new()),
        }
    }

    /// DriverEntry (DE-1, DE-2). IRQL = PASSIVE_LEVEL. The status is final:
    /// success, or that of the first step that failed, with everything before
    /// it undone (DE-8, DE-11).
    ///
    /// # Safety
    /// The arguments are those of DriverEntry (DE-3).
    pub unsafe fn start(
        &'static self,
        object: *mut DRIVER_OBJECT,
        path: *mut UNICODE_STRING,
    ) -> NDIS_STATUS {
        // SAFETY: (DE-3) the caller's promise.
        let started = unsafe { self.register(object, path) };
        match started {
            Ok((major, minor)) => T::notice(Notice::Loaded(major, minor)),
            Err(error) => {
                self.stop(); // DE-9, DE-10, DE-12
                T::notice(Notice::NotLoaded(error.status().0));
            }
        }
        ndis::status::status_of(started.map(|_| ()))
    }

    /// # Safety
    /// As [`Driver::start`].
    unsafe fn register(
        &'static self,
        object: *mut DRIVER_OBJECT,
        path: *mut UNICODE_STRING,
    ) -> Result<(u8, u8)> {
        // SAFETY: (MPR-2) no arguments.
        let system = unsafe { NdisGetVersion() };
        let version = version_to_register(system)?;
        self.system.store(system, Ordering::Relaxed);
        self.version.store(version, Ordering::Relaxed);
        let (major, minor) = ((version >> 16) as u8, version as u8);
        let context = core::ptr::from_ref(self).cast_mut().cast();

        // SAFETY: (DE-3) DriverEntry's own arguments; the handlers are ready,
        // the context is a static.
        let miniport = unsafe {
            MiniportDriver::register(
                object,
                path,
                context,
                miniport_characteristics::<T>(major, minor),
                self.miniport.as_ptr(),
            )
        }?;
        self.did(Done::Miniport(miniport))?;

        if is_shared::<T>() {
            self.assemble()?;
        }
        self.did(Done::Device(control::register(self)?))?;

        // SAFETY: (DE-7) everything a ProtocolXxx handler needs is ready.
        let protocol = unsafe {
            ProtocolDriver::register(
                context,
                protocol_characteristics::<T>(major, minor)?,
                self.protocol.as_ptr(),
            )
        }?;
        self.did(Done::Protocol(protocol))?;

        // SAFETY: (DE-5) both registrations succeeded; miniport handle first.
        unsafe {
            ndis::sys::NdisIMAssociateMiniport(self.miniport_handle(), self.protocol_handle());
        }
        self.event(EventKind::Loaded, 0, version.into());
        self.associated.store(true, Ordering::SeqCst);
        self.each_binding(bind::request_all); // binds that came early
        Ok((major, minor))
    }

    /// Makes the lock of the teams, before anybody can bind.
    fn assemble(&self) -> Result<()> {
        let lock = PoolBox::try_new(self.pool(), Mutex::new(Assembly::new()))?;
        // SAFETY: (IRQ-9) in its box, which does not move it; not shared yet.
        unsafe { lock.init() };
        self.assembly.store(lock.into_raw(), Ordering::Release);
        Ok(())
    }

    /// The lock of the teams. Taken at PASSIVE_LEVEL, before every other lock.
    pub(crate) fn assembly(&self) -> Option<&Mutex<Assembly<T>>> {
        // SAFETY: (DE-7) made before the protocol half is registered, freed after
        // it is deregistered.
        unsafe { self.assembly.load(Ordering::Acquire).as_ref() }
    }

    fn did(&self, done: Done) -> Result<()> {
        let full = self.undo.lock().push(done);
        full.map_err(|_| Error::NoResources)
    }

    /// Undoes what DriverEntry did, last first (DE-9, DE-10, UNL-2, UNL-4).
    /// IRQL = PASSIVE_LEVEL.
    fn stop(&self) {
        loop {
            let last = self.undo.lock().pop();
            // Its memory goes before the handle that it was taken for (MEM-1).
            if matches!(last, None | Some(Done::Miniport(_))) {
                let lock = self.assembly.swap(core::ptr::null_mut(), Ordering::AcqRel);
                if let Some(lock) = NonNull::new(lock) {
                    // SAFETY: (DE-6) came from a box; nobody is bound any more.
                    drop(unsafe { PoolBox::from_raw(lock) });
                }
            }
            match last {
                Some(done) => drop(done), // outside the lock: it calls NDIS
                None => break,
            }
        }
        let room = self.bindings.lock().take();
        drop(room); // nobody is bound any more (UNL-3)
    }

    /// Whether virtual miniports may be asked for (ASC-1).
    pub(crate) fn is_associated(&self) -> bool {
        self.associated.load(Ordering::SeqCst)
    }

    /// The miniport half's handle (DE-6).
    pub(crate) fn miniport_handle(&self) -> NDIS_HANDLE {
        self.miniport.load(Ordering::Acquire)
    }

    /// The protocol half's handle (DE-6).
    pub(crate) fn protocol_handle(&self) -> NDIS_HANDLE {
        self.protocol.load(Ordering::Acquire)
    }

    /// Where the driver's memory comes from (MEM-1).
    pub(crate) fn pool(&self) -> Pool {
        Pool {
            handle: self.miniport_handle(),
            tag: T::IDENTITY.tag,
        }
    }

    /// Remembers an event. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn event(&self, kind: EventKind, if_index: u32, value: u64) {
        let time = ndis::cpu::interrupt_time();
        self.events.lock().push(time, kind, if_index, value);
    }

    /// Registered and running NDIS version.
    pub(crate) fn versions(&self) -> (u32, u32) {
        (
            self.version.load(Ordering::Relaxed),
            self.system.load(Ordering::Relaxed),
        )
    }

    /// Puts a binding on the table. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn list(&self, lower: NonNull<Lower<T>>) -> Result<()> {
        loop {
            let wanted = {
                let mut bindings = self.bindings.lock();
                if bindings.push(lower).is_some() {
                    return Ok(());
                }
                bindings.wants()
            };
            let more = Room::with_room(wanted.unwrap_or(0))?;
            let old = self.bindings.lock().grow(more);
            drop(old); // outside the lock
        }
    }

    /// Calls `visit` for every binding that is not on its way out, without
    /// holding a lock; the run-down keeps the binding there. Bindings that come
    /// or go meanwhile hide no other.
    pub(crate) fn each_binding(&self, mut visit: impl FnMut(&Lower<T>)) {
        let mut last = None;
        loop {
            let found = {
                let bindings = self.bindings.lock();
                let Some((number, lower)) = bindings.after(last) else {
                    return;
                };
                last = Some(number);
                // SAFETY: (BND-14) in the table, hence alive; the run-down is
                // entered before the lock is let go.
                unsafe { lower.as_ref() }
                    .users
                    .enter_detached()
                    .then_some(lower)
            };
            if let Some(lower) = found {
                // SAFETY: (BND-14) unbind waits for the run-down.
                let lower = unsafe { lower.as_ref() };
                visit(lower);
                lower.users.leave();
            }
        }
    }
}

/// MiniportDriverUnload. IRQL = PASSIVE_LEVEL. Every miniport is halted (UNL-1);
/// deregistering the protocol may still unbind (UNL-3).
unsafe extern "efiapi" fn unload<T: Topology>(_object: *mut DRIVER_OBJECT) {
    let driver = T::driver();
    driver.stop();
    T::notice(Notice::Unloaded(ndis::nbl::lost()));
}

/// ProtocolUninstall. IRQL = PASSIVE_LEVEL. After the last unbind, before the
/// unload handler (UNI-1).
unsafe extern "efiapi" fn uninstall<T: Topology>() {
    // UNI-2: an open control device would keep the image loaded.
    let device = T::driver()
        .undo
        .lock()
        .take(|done| matches!(done, Done::Device(_)));
    drop(device);
}

fn miniport_characteristics<T: Topology>(
    major: u8,
    minor: u8,
) -> NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
    let mut c = NDIS_MINIPORT_DRIVER_CHARACTERISTICS::zeroed(); // MPR-3
    // Revision 2: a synchronous OID handler is needed only with RSSv2 (MPR-8),
    // which the miniport does not show.
    c.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
        ndis::sys::NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
        offset_of!(
            NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
            SynchronousOidRequestHandler
        ),
    );
    c.MajorNdisVersion = major;
    c.MinorNdisVersion = minor;
    c.MajorDriverVersion = T::IDENTITY.major;
    c.MinorDriverVersion = T::IDENTITY.minor;
    c.Flags = NDIS_INTERMEDIATE_DRIVER; // DE-3, MPR-6
    // MPR-4; CheckForHangHandlerEx and ResetHandlerEx stay NULL (MPR-5, RST-1).
    c.InitializeHandlerEx = Some(instance::initialize::<T>);
    c.HaltHandlerEx = Some(instance::halt::<T>);
    c.UnloadHandler = Some(unload::<T>);
    c.PauseHandler = Some(pause::miniport_pause::<T>);
    c.RestartHandler = Some(pause::miniport_restart::<T>);
    c.OidRequestHandler = Some(oid::request::<T>);
    c.CancelOidRequestHandler = Some(oid::cancel::<T>);
    c.DirectOidRequestHandler = Some(oid::direct_request::<T>); // MPR-7
    c.CancelDirectOidRequestHandler = Some(oid::cancel_direct::<T>);
    c.DevicePnPEventNotifyHandler = Some(pnp::device_event::<T>);
    c.ShutdownHandlerEx = Some(pnp::shutdown);
    c.SendNetBufferListsHandler = Some(data::on_send::<T>);
    c.ReturnNetBufferListsHandler = Some(data::on_returned::<T>);
    c.CancelSendHandler = Some(data::on_cancel::<T>);
    T::miniport_handlers(&mut c);
    c
}

fn protocol_characteristics<T: Topology>(
    major: u8,
    minor: u8,
) -> Result<NDIS_PROTOCOL_DRIVER_CHARACTERISTICS> {
    let mut c = NDIS_PROTOCOL_DRIVER_CHARACTERISTICS::zeroed();
    c.Header = header(
        NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
        ndis::sys::NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2,
        size_of::<NDIS_PROTOCOL_DRIVER_CHARACTERISTICS>(),
    );
    c.MajorNdisVersion = major; // PTR-2: the same on both edges
    c.MinorNdisVersion = minor;
    c.MajorDriverVersion = T::IDENTITY.major;
    c.MinorDriverVersion = T::IDENTITY.minor;
    c.Name = counted(T::IDENTITY.service)?; // PTR-3
    // PTR-4, PTR-5.
    c.BindAdapterHandlerEx = Some(bind::bind::<T>);
    c.UnbindAdapterHandlerEx = Some(bind::unbind::<T>);
    c.OpenAdapterCompleteHandlerEx = Some(bind::open_complete::<T>);
    c.CloseAdapterCompleteHandlerEx = Some(bind::close_complete::<T>);
    c.UninstallHandler = Some(uninstall::<T>);
    c.NetPnPEventHandler = Some(pnp::event::<T>);
    c.StatusHandlerEx = Some(status::status::<T>);
    c.OidRequestCompleteHandler = Some(oid::complete::<T>);
    c.DirectOidRequestCompleteHandler = Some(oid::direct_complete::<T>);
    c.ReceiveNetBufferListsHandler = Some(data::on_receive::<T>);
    c.SendNetBufferListsCompleteHandler = Some(data::on_sent::<T>);
    T::protocol_handlers(&mut c);
    Ok(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MPR-2: the smaller of the two, nothing below 6.84.
    #[test]
    fn versions() {
        let ndis = |minor: u32| 6 << 16 | minor;
        assert_eq!(version_to_register(ndis(89)), Ok(ndis(87)));
        assert_eq!(version_to_register(7 << 16), Ok(ndis(87)));
        for minor in 84..=87 {
            assert_eq!(version_to_register(ndis(minor)), Ok(ndis(minor)));
        }
        for minor in [0, 1, 20, 30, 83] {
            assert_eq!(
                version_to_register(ndis(minor)),
                Err(Error::UnsupportedNdis)
            );
        }
        assert_eq!(version_to_register(0x5_0001), Err(Error::UnsupportedNdis));
    }
}

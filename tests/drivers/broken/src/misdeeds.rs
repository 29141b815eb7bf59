//! The misdeeds: each wraps one handler of the core.
//!
//! The core's handler is saved when the characteristics are handed over and
//! called by the wrapper. Concurrency and IRQL are those of the handler.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use im_core::data::Straight;
use im_core::oid_table::{self, Below, Rule};
use im_core::settings::{Refused, Values};
use im_core::status_table::{self, StatusRule};
use im_core::{Driver, Facts, Identity, Notice, Shown, Topology};
use ndis::Result;
use ndis::lock::SpinLock;
use ndis::memory::Tag;
use ndis::oid::Facts as Asked;
use ndis::string::wide;
use ndis::sys::{
    DRIVER_OBJECT, MINIPORT_RETURN_NET_BUFFER_LISTS, MINIPORT_UNLOAD, NDIS_HANDLE,
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS, NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, NDIS_STATUS,
    NET_BUFFER_LIST, NdisReturnNetBufferLists, PROTOCOL_RECEIVE_NET_BUFFER_LISTS,
    PROTOCOL_SEND_NET_BUFFER_LISTS_COMPLETE, VOID,
};

/// What the driver does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Misdeed {
    /// The first list of every fifth send completion is kept (SND-2).
    CompletionDropped = 1,
    /// One receive is given back twice (RCV-1).
    DoubleReturn = 2,
    /// Every list gets the same source handle back (RCV-6).
    ConstantSource = 3,
    /// A spin lock is held over the indication (LCK-6).
    LockHeld = 4,
    /// Memory is left behind (UNL-4).
    LeakAtUnload = 5,
}

/// The number in the image; zero behaves.
pub fn chosen() -> u32 {
    crate::MISDEED.load(Ordering::Relaxed) & 0xFFFF
}

fn does(misdeed: Misdeed) -> bool {
    chosen() == misdeed as u32
}

/// A handler of the core, saved.
struct Saved(AtomicUsize);

impl Saved {
    const fn none() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// Puts `wrapper` in front of a handler and saves the handler.
macro_rules! wrap {
    ($slot:expr, $saved:ident, $wrapper:ident) => {
        if let Some(handler) = $slot {
            $saved.0.store(handler as usize, Ordering::Release);
            $slot = Some($wrapper);
        }
    };
}

static SEND_COMPLETE: Saved = Saved::none();
static RECEIVE: Saved = Saved::none();
static RETURN: Saved = Saved::none();
static UNLOAD: Saved = Saved::none();

/// The binding, as seen in the source handle of lists that come back.
static BINDING: AtomicPtr<VOID> = AtomicPtr::new(null_mut());
/// The first source handle that was seen.
static SOURCE: AtomicPtr<VOID> = AtomicPtr::new(null_mut());
static CALLS: AtomicU32 = AtomicU32::new(0);
static LOCK: SpinLock<()> = SpinLock::new(());

/// Keeps the first list of every fifth completion to itself.
unsafe extern "efiapi" fn send_complete(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    flags: u32,
) {
    // SAFETY: saved by `wrap!` with this very type.
    let core: PROTOCOL_SEND_NET_BUFFER_LISTS_COMPLETE =
        unsafe { core::mem::transmute(SEND_COMPLETE.get()) };
    let mut rest = lists;
    // SAFETY: (SND-8) the lists are the driver's again. Keeping one is the
    // misdeed; unlinking it is not.
    unsafe {
        BINDING.store((*lists).SourceHandle, Ordering::Release);
        if does(Misdeed::CompletionDropped) && CALLS.fetch_add(1, Ordering::Relaxed) % 5 == 4 {
            rest = (*lists).Next;
        }
        if !rest.is_null() {
            core(context, rest, flags);
        }
    }
}

/// Gives the first list that comes back down once more.
unsafe extern "efiapi" fn give_back(context: NDIS_HANDLE, lists: *mut NET_BUFFER_LIST, flags: u32) {
    // SAFETY: saved by `wrap!` with this very type.
    let core: MINIPORT_RETURN_NET_BUFFER_LISTS = unsafe { core::mem::transmute(RETURN.get()) };
    // SAFETY: (RCV-7) the lists are the driver's again.
    unsafe { core(context, lists, flags) };
    let binding = BINDING.load(Ordering::Acquire);
    if !binding.is_null() && CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
        // SAFETY: none; the lists are gone. That is the misdeed (RCV-1).
        unsafe { NdisReturnNetBufferLists(binding, lists, 0) };
    }
}

/// Writes the first source handle ever seen into every list, so that it is what
/// the core restores.
///
/// # Safety
/// The lists are the driver's.
unsafe fn confuse(lists: *mut NET_BUFFER_LIST) {
    let mut next = lists;
    while !next.is_null() {
        // SAFETY: (SND-1, RCV-1) the lists are the driver's (caller).
        unsafe {
            let found = (*next).SourceHandle;
            let first =
                SOURCE.compare_exchange(null_mut(), found, Ordering::AcqRel, Ordering::Acquire);
            (*next).SourceHandle = first.err().unwrap_or(found);
            next = (*next).Next;
        }
    }
}

/// Confuses source handles, or holds a lock while the core indicates.
unsafe extern "efiapi" fn receive(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    port: u32,
    count: u32,
    flags: u32,
) {
    // SAFETY: saved by `wrap!` with this very type.
    let core: PROTOCOL_RECEIVE_NET_BUFFER_LISTS = unsafe { core::mem::transmute(RECEIVE.get()) };
    if does(Misdeed::ConstantSource) {
        // SAFETY: (RCV-1) the lists are the driver's.
        unsafe { confuse(lists) };
    }
    let _held = does(Misdeed::LockHeld).then(|| LOCK.lock());
    // SAFETY: (RCV-1) passed on as they are.
    unsafe { core(context, lists, port, count, flags) };
}

/// Leaves memory behind.
unsafe extern "efiapi" fn unload(object: *mut DRIVER_OBJECT) {
    let mut left = alloc::vec::Vec::<u64>::new();
    if left.try_reserve_exact(8).is_ok() {
        core::mem::forget(left);
    }
    // SAFETY: saved by `wrap!` with this very type.
    let core: MINIPORT_UNLOAD = unsafe { core::mem::transmute(UNLOAD.get()) };
    // SAFETY: (UNL-1) passed on as it is.
    unsafe { core(object) };
}

/// The 1:1 topology with a misdeed.
#[derive(Debug)]
pub enum Broken {}

static DRIVER: Driver<Broken> = Driver::new();

impl Topology for Broken {
    const IDENTITY: Identity = Identity {
        service: &wide(b"ImPassthrough"),
        device: &wide(b"\\Device\\broken"),
        link: &wide(b"\\DosDevices\\broken"),
        major: 0,
        minor: 1,
        tag: Tag::new(*b"ImBr"),
    };

    const UPPERS_PER_LOWER: usize = 1;

    type Adapter = ();
    type Port = ();
    type Data = Straight;

    fn driver() -> &'static Driver<Self> {
        &DRIVER
    }

    fn notice(_notice: Notice) {}

    fn accepts(_facts: &Facts) -> Result<()> {
        Ok(())
    }

    fn adapter(_facts: &Facts, _values: &dyn Values) -> core::result::Result<(), Refused> {
        Ok(())
    }

    fn port(
        _adapter: &(),
        _facts: &Facts,
        _position: u32,
        _values: &dyn Values,
    ) -> core::result::Result<(), Refused> {
        Ok(())
    }

    fn key(_port: &()) -> Option<u64> {
        None
    }

    fn shown(_adapter: &(), facts: &Facts, _port: &()) -> Shown {
        Shown::one_to_one(facts)
    }

    fn request_rule(asked: Asked, below: Below) -> Rule {
        oid_table::one_to_one(asked, below)
    }

    fn status_rule(code: NDIS_STATUS, below: Below) -> StatusRule {
        status_table::one_to_one(code, below)
    }

    fn miniport_handlers(handlers: &mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS) {
        if does(Misdeed::DoubleReturn) {
            wrap!(handlers.ReturnNetBufferListsHandler, RETURN, give_back);
        }
        if does(Misdeed::LeakAtUnload) {
            wrap!(handlers.UnloadHandler, UNLOAD, unload);
        }
    }

    fn protocol_handlers(handlers: &mut NDIS_PROTOCOL_DRIVER_CHARACTERISTICS) {
        if does(Misdeed::CompletionDropped) || does(Misdeed::DoubleReturn) {
            wrap!(
                handlers.SendNetBufferListsCompleteHandler,
                SEND_COMPLETE,
                send_complete
            );
        }
        if does(Misdeed::LockHeld) || does(Misdeed::ConstantSource) {
            wrap!(handlers.ReceiveNetBufferListsHandler, RECEIVE, receive);
        }
    }
}

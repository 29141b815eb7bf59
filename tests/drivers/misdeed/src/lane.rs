//! A lane: one adapter below, one virtual miniport above, and what goes between them.
//!
//! Lanes are static and never freed, so that whoever is late finds its counts. Counts and
//! gates are atomic; callbacks of both edges run at the same time on any processor, up to
//! DISPATCH_LEVEL. Waits are at PASSIVE_LEVEL, by events, one waiter each.

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicUsize, Ordering,
};

use ndis_sys::{
    NDIS_EVENT, NDIS_HANDLE, NDIS_LINK_STATE, NDIS_MEDIA_CONNECT_STATE, NDIS_MEDIA_DUPLEX_STATE,
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, NDIS_OID_REQUEST, NDIS_PM_CAPABILITIES, NDIS_STATUS,
    NDIS_STATUS_LOW_POWER_STATE, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_PAUSED,
    NDIS_STATUS_RESET_IN_PROGRESS, NDIS_SUPPORTED_PAUSE_FUNCTIONS, NdisInitializeEvent,
    NdisMPauseComplete, NdisResetEvent, NdisSetEvent, NdisWaitEvent, PVOID,
};

use crate::raw::Plain;

/// Why frames do not pass.
pub(crate) mod bit {
    /// The miniport is paused, or there is none.
    pub(crate) const ABOVE: u32 = 1;
    /// The binding is paused.
    pub(crate) const BELOW: u32 = 2;
    /// The miniport sleeps.
    pub(crate) const ASLEEP: u32 = 4;
    /// The adapter sleeps.
    pub(crate) const BELOW_ASLEEP: u32 = 8;
    /// The miniport's device is gone.
    pub(crate) const REMOVED: u32 = 16;
    /// The adapter is being reset.
    pub(crate) const RESET: u32 = 32;
}

/// What has become of the miniport.
pub(crate) mod device {
    /// Nothing, or gone again.
    pub(crate) const NONE: u32 = 0;
    /// NDIS was asked for it.
    pub(crate) const REQUESTED: u32 = 1;
    /// Its handler runs.
    pub(crate) const INITIALIZING: u32 = 2;
    /// It is there.
    pub(crate) const READY: u32 = 3;
}

/// An event that lives in a lane.
pub(crate) struct Event(UnsafeCell<NDIS_EVENT>);

impl Event {
    /// Before anybody waits.
    pub(crate) fn init(&self) {
        // SAFETY: (IRQ-9) in static memory; nobody uses it yet.
        unsafe { NdisInitializeEvent(self.0.get()) };
    }

    /// Lets the waiter go on.
    pub(crate) fn set(&self) {
        // SAFETY: (IRQ-9) initialised when the lane was taken.
        unsafe { NdisSetEvent(self.0.get()) };
    }

    /// Waits at PASSIVE_LEVEL until `done` says so; whoever changes that sets the event.
    pub(crate) fn until(&self, mut done: impl FnMut() -> bool) {
        loop {
            // SAFETY: (IRQ-9) as above.
            unsafe { NdisResetEvent(self.0.get()) };
            if done() {
                return;
            }
            // SAFETY: (IRQ-9) PASSIVE_LEVEL; zero waits for ever.
            unsafe { NdisWaitEvent(self.0.get(), 0) };
        }
    }
}

/// Who is inside, and whether anybody may come in.
pub(crate) struct Rundown {
    inside: AtomicI32,
    open: AtomicBool,
    left: Event,
}

impl Rundown {
    /// Comes in, if it is open.
    pub(crate) fn enter(&self) -> bool {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let open = self.open.load(Ordering::SeqCst);
        if !open {
            self.leave();
        }
        open
    }

    /// Goes out.
    pub(crate) fn leave(&self) {
        if self.inside.fetch_sub(1, Ordering::SeqCst) == 1 && !self.open.load(Ordering::SeqCst) {
            self.left.set();
        }
    }

    /// From now on others may come in.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    /// Nobody comes in any more; waits at PASSIVE_LEVEL until everybody is out.
    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.left.until(|| self.inside.load(Ordering::SeqCst) == 0);
    }
}

/// A link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) connect: NDIS_MEDIA_CONNECT_STATE,
    pub(crate) duplex: NDIS_MEDIA_DUPLEX_STATE,
    pub(crate) xmit: u64,
    pub(crate) rcv: u64,
    pub(crate) pause: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
    pub(crate) flags: u32,
}

impl Link {
    /// From what a status says.
    pub(crate) fn of(state: &NDIS_LINK_STATE) -> Self {
        Self {
            connect: state.MediaConnectState,
            duplex: state.MediaDuplexState,
            xmit: state.XmitLinkSpeed,
            rcv: state.RcvLinkSpeed,
            pause: state.PauseFunctions,
            flags: state.AutoNegotiationFlags,
        }
    }
}

/// What the bind parameters said, as the attributes of the miniport to come. Written in the
/// bind, read after it, except for the links, which have their lock.
pub(crate) struct Facts {
    pub(crate) general: NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    pub(crate) pm: NDIS_PM_CAPABILITIES,
    pub(crate) has_pm: bool,
    pub(crate) index: u32,
    pub(crate) link: Option<Link>,
    pub(crate) shown: Option<Link>,
    /// The miniport's device; units, without the zero.
    pub(crate) name: [u16; 160],
    pub(crate) name_units: usize,
}

/// See the module's text.
pub(crate) struct Lane {
    pub(crate) used: AtomicBool,
    binding: AtomicPtr<core::ffi::c_void>,
    miniport: AtomicPtr<core::ffi::c_void>,
    pub(crate) gate: AtomicU32,
    /// Lists on the other side, and calls that may add to them.
    pub(crate) out: AtomicI64,
    /// MiniportPause pended.
    pub(crate) pausing: AtomicBool,
    pub(crate) drained: Event,
    pub(crate) device: AtomicU32,
    pub(crate) settled: Event,
    /// Whoever uses the miniport's handle to tell NDIS something.
    pub(crate) telling: Rundown,
    /// Requests that are below.
    pub(crate) requests: Rundown,
    /// The request that a cancel named while it was on its way down.
    pub(crate) cancelled: AtomicPtr<core::ffi::c_void>,
    /// A regular request is under way above.
    pub(crate) asked: AtomicBool,
    pub(crate) answered: Event,
    /// IfIndex of the miniport, and of what it stands on when NDIS was told.
    pub(crate) index: AtomicU32,
    pub(crate) stacked_on: AtomicU32,
    /// Opens, closes and own requests: their status, once they are complete.
    pub(crate) done: Event,
    pub(crate) is_done: AtomicBool,
    pub(crate) status: AtomicI32,
    pub(crate) own: UnsafeCell<NDIS_OID_REQUEST>,
    pub(crate) word: UnsafeCell<u64>,
    /// Where NdisOpenAdapterEx writes.
    pub(crate) handle: UnsafeCell<NDIS_HANDLE>,
    pub(crate) medium: UnsafeCell<u32>,
    pub(crate) facts: UnsafeCell<Facts>,
    pub(crate) lock: UnsafeCell<usize>,
    /// For misdeeds.
    pub(crate) scratch: [AtomicUsize; 4],
}

// SAFETY: cells are written by the one thread whose turn it is: bind and unbind of an adapter
// do not overlap (BND-5), own requests are made by those, and what others share is atomic or
// behind `locked`.
unsafe impl Sync for Lane {}

#[expect(
    clippy::declare_interior_mutable_const,
    reason = "it is copied into each element once"
)]
const EMPTY: Lane = {
    const fn event() -> Event {
        // SAFETY: plain data of the ABI.
        Event(UnsafeCell::new(unsafe { core::mem::zeroed() }))
    }
    const fn rundown() -> Rundown {
        Rundown {
            inside: AtomicI32::new(0),
            open: AtomicBool::new(false),
            left: event(),
        }
    }
    Lane {
        used: AtomicBool::new(false),
        binding: AtomicPtr::new(null_mut()),
        miniport: AtomicPtr::new(null_mut()),
        gate: AtomicU32::new(0),
        out: AtomicI64::new(0),
        pausing: AtomicBool::new(false),
        drained: event(),
        device: AtomicU32::new(device::NONE),
        settled: event(),
        telling: rundown(),
        requests: rundown(),
        cancelled: AtomicPtr::new(null_mut()),
        asked: AtomicBool::new(false),
        answered: event(),
        index: AtomicU32::new(0),
        stacked_on: AtomicU32::new(0),
        done: event(),
        is_done: AtomicBool::new(false),
        status: AtomicI32::new(0),
        // SAFETY: plain data of the ABI.
        own: UnsafeCell::new(unsafe { core::mem::zeroed() }),
        word: UnsafeCell::new(0),
        handle: UnsafeCell::new(null_mut()),
        medium: UnsafeCell::new(0),
        facts: UnsafeCell::new(Facts {
            // SAFETY: plain data of the ABI.
            general: unsafe { core::mem::zeroed() },
            // SAFETY: plain data of the ABI.
            pm: unsafe { core::mem::zeroed() },
            has_pm: false,
            index: 0,
            link: None,
            shown: None,
            name: [0; 160],
            name_units: 0,
        }),
        lock: UnsafeCell::new(0),
        scratch: [const { AtomicUsize::new(0) }; 4],
    }
};

/// All lanes.
pub(crate) static LANES: [Lane; 8] = [EMPTY; 8];

/// Lanes that are in use.
pub(crate) fn all() -> impl Iterator<Item = &'static Lane> {
    LANES.iter().filter(|l| l.used.load(Ordering::Acquire))
}

impl Lane {
    /// Takes a free lane.
    pub(crate) fn take() -> Option<&'static Self> {
        let lane = LANES
            .iter()
            .find(|lane| !lane.used.swap(true, Ordering::AcqRel))?;
        for event in [
            &lane.drained,
            &lane.settled,
            &lane.answered,
            &lane.done,
            &lane.telling.left,
            &lane.requests.left,
        ] {
            event.init();
        }
        lane.gate.store(bit::ABOVE | bit::BELOW, Ordering::SeqCst);
        lane.pausing.store(false, Ordering::SeqCst);
        // SAFETY: nobody else has the lane yet.
        let facts = unsafe { &mut *lane.facts.get() };
        (facts.link, facts.shown, facts.name_units) = (None, None, 0);
        Some(lane)
    }

    /// The lane that a context names.
    pub(crate) fn of(context: NDIS_HANDLE) -> &'static Self {
        // SAFETY: (BND-14, VMI-4) contexts of both edges are lanes, which are static.
        unsafe { &*context.cast::<Self>() }
    }

    /// What NDIS gives back as the context of either edge.
    pub(crate) fn context(&self) -> NDIS_HANDLE {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// The binding's handle.
    pub(crate) fn binding(&self) -> NDIS_HANDLE {
        self.binding.load(Ordering::Acquire).cast()
    }

    pub(crate) fn set_binding(&self, handle: NDIS_HANDLE) {
        self.binding.store(handle.cast(), Ordering::Release);
    }

    /// The miniport's handle; null when there is none.
    pub(crate) fn miniport(&self) -> NDIS_HANDLE {
        self.miniport.load(Ordering::Acquire).cast()
    }

    pub(crate) fn set_miniport(&self, handle: NDIS_HANDLE) {
        self.miniport.store(handle.cast(), Ordering::Release);
    }

    /// What the bind wrote; links only under [`Lane::locked`].
    pub(crate) fn facts(&self) -> &Facts {
        // SAFETY: written in the bind, before the lane is shared.
        unsafe { &*self.facts.get() }
    }

    /// Runs `f` on the facts under the lane's lock. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn locked<R>(&self, f: impl FnOnce(&mut Facts) -> R) -> R {
        // SAFETY: (LCK-1, LCK-4, LCK-5) taken and given back here, nothing of NDIS's is
        // called meanwhile.
        unsafe {
            let old = ndis_sys::KeAcquireSpinLockRaiseToDpc(self.lock.get());
            let result = f(&mut *self.facts.get());
            ndis_sys::KeReleaseSpinLock(self.lock.get(), old);
            result
        }
    }

    /// Counts `lists` out; the caller looks at the gate afterwards. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn enter(&self, lists: i64) {
        self.out.fetch_add(lists, Ordering::SeqCst);
    }

    /// Counts `lists` in again; whoever waits for the last one is told.
    pub(crate) fn leave(&self, lists: i64) {
        let miniport = self.miniport();
        if self.out.fetch_sub(lists, Ordering::SeqCst) == lists {
            if self.pausing.swap(false, Ordering::SeqCst) && !miniport.is_null() {
                pause_complete(self);
            }
            self.drained.set();
        }
    }

    /// Why frames do not pass, as sends are told.
    pub(crate) fn refusal(&self) -> Option<NDIS_STATUS> {
        let gate = self.gate.load(Ordering::SeqCst);
        if gate == 0 {
            None
        } else if gate & bit::REMOVED != 0 {
            Some(NDIS_STATUS_NOT_ACCEPTED) // DPE-1
        } else if gate & (bit::ASLEEP | bit::BELOW_ASLEEP) != 0 {
            Some(NDIS_STATUS_LOW_POWER_STATE)
        } else if gate & (bit::ABOVE | bit::BELOW) != 0 {
            Some(NDIS_STATUS_PAUSED)
        } else {
            Some(NDIS_STATUS_RESET_IN_PROGRESS)
        }
    }

    /// Sets bits of the gate.
    pub(crate) fn shut(&self, bits: u32) {
        self.gate.fetch_or(bits, Ordering::SeqCst);
    }

    /// Clears bits of the gate.
    pub(crate) fn pass(&self, bits: u32) {
        self.gate.fetch_and(!bits, Ordering::SeqCst);
    }

    /// Before something that ends with [`Lane::finished`].
    pub(crate) fn begin(&self) {
        self.is_done.store(false, Ordering::SeqCst);
    }

    /// An open, a close or an own request has ended.
    pub(crate) fn finished(&self, status: NDIS_STATUS) {
        self.status.store(status.0, Ordering::SeqCst);
        self.is_done.store(true, Ordering::SeqCst);
        self.done.set();
    }

    /// The status of what was begun; waits for it at PASSIVE_LEVEL if `status` is PENDING.
    pub(crate) fn outcome(&self, status: NDIS_STATUS) -> NDIS_STATUS {
        if status != ndis_sys::NDIS_STATUS_PENDING {
            return status;
        }
        self.done.until(|| self.is_done.load(Ordering::SeqCst));
        NDIS_STATUS(self.status.load(Ordering::SeqCst))
    }

    /// Asks the adapter, at PASSIVE_LEVEL, inside bind or unbind.
    pub(crate) fn note_cancelled(&self, id: PVOID) {
        self.cancelled.store(id.cast(), Ordering::SeqCst);
    }
}

/// The pause of the miniport is over (MPS-3, MPS-6).
pub(crate) fn pause_complete(lane: &Lane) {
    // SAFETY: (MPS-6) MiniportPause returned or will return PENDING; claimed once.
    unsafe { NdisMPauseComplete(lane.miniport()) };
}

/// A link state as NDIS has it.
pub(crate) fn link_state(link: Link) -> NDIS_LINK_STATE {
    let mut state = NDIS_LINK_STATE::zeroed();
    state.Header = crate::raw::header(
        ndis_sys::NDIS_OBJECT_TYPE_DEFAULT,
        ndis_sys::NDIS_LINK_STATE_REVISION_1,
        size_of::<NDIS_LINK_STATE>(),
    );
    state.MediaConnectState = link.connect;
    state.MediaDuplexState = link.duplex;
    state.XmitLinkSpeed = link.xmit;
    state.RcvLinkSpeed = link.rcv;
    state.PauseFunctions = link.pause;
    state.AutoNegotiationFlags = link.flags;
    state
}

//! One-shot timers. Setting and cancelling: any thread, IRQL <= DISPATCH_LEVEL;
//! the callback runs at DISPATCH_LEVEL. Dropping waits for a callback that is
//! running (TMR-3), so it is done at PASSIVE_LEVEL, and never from the callback.

use crate::Result;
use crate::event::Event;
use crate::header::{Zeroed, header};
use crate::memory::{Pool, PoolBox};
use crate::status::check;
use core::sync::atomic::{AtomicUsize, Ordering};
use ndis_sys::{
    LARGE_INTEGER, NDIS_HANDLE, NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS, NDIS_TIMER_CHARACTERISTICS,
    NDIS_TIMER_CHARACTERISTICS_REVISION_1, NdisAllocateTimerObject, NdisCancelTimerObject,
    NdisFreeTimerObject, NdisSetTimerObject, PVOID,
};

struct Shared<C> {
    context: C,
    callback: fn(&C),
    /// Callbacks that will run or are running.
    due: AtomicUsize,
    quiet: Event,
}

/// A one-shot timer with its context.
pub struct Timer<C: Sync> {
    handle: NDIS_HANDLE,
    shared: PoolBox<Shared<C>>,
}

impl<C: Sync> Timer<C> {
    /// Makes a timer that is not armed. IRQL <= DISPATCH_LEVEL.
    pub fn try_new(pool: Pool, context: C, callback: fn(&C)) -> Result<Self> {
        let shared = PoolBox::try_new(
            pool,
            Shared {
                context,
                callback,
                due: AtomicUsize::new(0),
                quiet: Event::new(),
            },
        )?;
        // SAFETY: (TMR-3) the box does not move its content.
        unsafe { shared.quiet.init() };
        let mut characteristics = NDIS_TIMER_CHARACTERISTICS::zeroed();
        characteristics.Header = header(
            NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS,
            NDIS_TIMER_CHARACTERISTICS_REVISION_1,
            size_of::<NDIS_TIMER_CHARACTERISTICS>(),
        );
        characteristics.AllocationTag = pool.tag.0;
        characteristics.TimerFunction = Some(expired::<C>);
        characteristics.FunctionContext = shared.as_ptr().cast();
        let mut handle: NDIS_HANDLE = core::ptr::null_mut();
        // SAFETY: (TMR-1) the handle is valid by `Pool`'s contract; the context
        // outlives the timer, which is freed first.
        check(unsafe {
            NdisAllocateTimerObject(pool.handle, &raw mut characteristics, &raw mut handle)
        })?;
        Ok(Self { handle, shared })
    }

    /// Arms the timer to run once after `hundred_ns` units of 100 nanoseconds,
    /// instead of when it was armed for before. IRQL <= DISPATCH_LEVEL.
    pub fn set(&self, hundred_ns: u64) {
        self.shared.due.fetch_add(1, Ordering::AcqRel);
        let due = LARGE_INTEGER {
            QuadPart: -i64::try_from(hundred_ns).unwrap_or(i64::MAX),
        }; // negative: relative
        // SAFETY: (TMR-1) a live timer; one-shot, as the period is zero.
        let replaced =
            unsafe { NdisSetTimerObject(self.handle, due, 0, core::ptr::null_mut()) } != 0;
        if replaced {
            self.shared.over();
        }
    }

    /// Disarms; true if the callback will not run. IRQL <= DISPATCH_LEVEL.
    pub fn cancel(&self) -> bool {
        // SAFETY: (TMR-2) a live one-shot timer.
        let stopped = unsafe { NdisCancelTimerObject(self.handle) } != 0;
        if stopped {
            self.shared.over();
        }
        stopped
    }
}

impl<C> Shared<C> {
    /// One callback less is due.
    fn over(&self) {
        if self.due.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.quiet.set();
        }
    }
}

impl<C: Sync> Drop for Timer<C> {
    fn drop(&mut self) {
        self.cancel();
        while self.shared.due.load(Ordering::Acquire) != 0 {
            // Whoever ends the last one signals; nobody arms it any more.
            self.shared.quiet.wait(); // TMR-3
            self.shared.quiet.reset();
        }
        // SAFETY: (TMR-3) not armed, and its callback has ended.
        unsafe { NdisFreeTimerObject(self.handle) };
    }
}

/// NDIS_TIMER_FUNCTION. IRQL = DISPATCH_LEVEL.
unsafe extern "efiapi" fn expired<C: Sync>(_: PVOID, context: PVOID, _: PVOID, _: PVOID) {
    // SAFETY: (TMR-3) the drop of the timer waits until none is due.
    let shared = unsafe { &*context.cast::<Shared<C>>() };
    (shared.callback)(&shared.context);
    shared.over(); // last: the timer may go
}

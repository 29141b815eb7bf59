//! Events: one thread at PASSIVE_LEVEL waits, anyone at or below
//! DISPATCH_LEVEL sets.

use crate::header::Zeroed;
use core::cell::UnsafeCell;
use core::marker::PhantomPinned;
use ndis_sys::{NDIS_EVENT, NdisInitializeEvent, NdisResetEvent, NdisSetEvent, NdisWaitEvent};

/// An NDIS event, not signalled at first, signalled until reset.
///
/// The kernel links waiting threads to the event's address, so it is
/// initialised where it will stay: in a static or in a `PoolBox`.
pub struct Event {
    event: UnsafeCell<NDIS_EVENT>,
    _stays: PhantomPinned,
}

// SAFETY: (IRQ-9) the kernel synchronises all operations on an event.
unsafe impl Send for Event {}
// SAFETY: (IRQ-9) as above.
unsafe impl Sync for Event {}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// Room for an event; [`Event::init`] makes it one.
    pub fn new() -> Self {
        Self {
            event: UnsafeCell::new(NDIS_EVENT::zeroed()),
            _stays: PhantomPinned,
        }
    }

    /// Initialises the event in place, not signalled. Any IRQL.
    ///
    /// # Safety
    /// The event has reached the address it keeps, and nobody waits on it.
    pub unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the memory is ours and stays (caller).
        unsafe { NdisInitializeEvent(self.event.get()) };
    }

    /// Signals. IRQL <= DISPATCH_LEVEL.
    pub fn set(&self) {
        // SAFETY: (IRQ-9) initialised before it was shared.
        unsafe { NdisSetEvent(self.event.get()) };
    }

    /// Clears the signal. IRQL <= DISPATCH_LEVEL.
    pub fn reset(&self) {
        // SAFETY: (IRQ-9) initialised before it was shared.
        unsafe { NdisResetEvent(self.event.get()) };
    }

    /// Waits without limit. IRQL = PASSIVE_LEVEL (IRQ-22), no lock held.
    pub fn wait(&self) {
        // SAFETY: (IRQ-22) the callers are PASSIVE_LEVEL handlers. Zero means
        // no time limit, so that the answer carries nothing.
        let _signalled = unsafe { NdisWaitEvent(self.event.get(), 0) };
    }

    /// Waits for at most `milliseconds`, which must not be zero; says whether
    /// the event was signalled. IRQL = PASSIVE_LEVEL (IRQ-22).
    pub fn wait_for(&self, milliseconds: u32) -> bool {
        // SAFETY: (IRQ-22) the callers are PASSIVE_LEVEL handlers.
        unsafe { NdisWaitEvent(self.event.get(), milliseconds.max(1)) != 0 }
    }
}

//! What many processors read per batch and one thread replaces now and then.
//!
//! Readers enter once per processor and batch: one atomic addition on a cache
//! line of their processor's, and a fence; no lock, no wait. Then they may follow
//! any number of [`Published`] pointers, until they leave. Entering and leaving:
//! IRQL <= DISPATCH_LEVEL, and a thread may move to another processor in between.
//!
//! A writer swaps pointers and then waits until every reader has left that could
//! have seen what was there before ([`Readers::wait`], PASSIVE_LEVEL, one caller
//! at a time). It sleeps on an event that the last reader sets.

#[cfg_attr(
    test,
    allow(clippy::duplicate_mod, reason = "once more, with loom's atomics")
)]
mod epoch;

/// The atomics of the machine.
mod sync {
    pub(super) use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};
}

use core::ptr::NonNull;
use epoch::{Phase, Place, Slot, Wake};
use ndis::Result;
use ndis::cpu::PerCpu;
use ndis::event::Event;
use ndis::memory::{Pool, PoolBox};

impl Wake for Event {
    fn reset(&self) {
        Event::reset(self);
    }

    fn set(&self) {
        Event::set(self);
    }

    fn wait(&self) {
        Event::wait(self);
    }
}

/// All readers of a number of [`Published`] pointers.
pub struct Readers {
    slots: PerCpu<Slot>,
    phase: Phase,
    woken: Event,
}

impl Readers {
    /// Nobody reads. [`Readers::init`] follows.
    pub fn try_new(pool: Pool) -> Result<Self> {
        Ok(Self {
            slots: PerCpu::try_with(pool, Slot::default)?,
            phase: Phase::default(),
            woken: Event::new(),
        })
    }

    /// Initialises the event in place.
    ///
    /// # Safety
    /// The readers have their final address and are not shared yet.
    pub unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the caller's promise.
        unsafe { self.woken.init() };
    }

    /// Enters on a processor. IRQL <= DISPATCH_LEVEL.
    pub fn enter(&self, processor: usize) -> Inside<'_> {
        let slot = self.slots.at(processor);
        Inside {
            readers: self,
            slot,
            phase: slot.enter(&self.phase),
        }
    }

    /// Waits until everybody has left who may have seen what was published
    /// before. IRQL = PASSIVE_LEVEL, one caller at a time, not inside.
    pub fn wait(&self) {
        let slots: &PerCpu<Slot> = &self.slots;
        self.phase.wait(Slots(slots, 0), &self.woken);
    }
}

/// The slots in order, for more than one walk.
#[derive(Clone)]
struct Slots<'a>(&'a PerCpu<Slot>, usize);

impl<'a> Iterator for Slots<'a> {
    type Item = &'a Slot;

    fn next(&mut self) -> Option<&'a Slot> {
        let slot = self.0.iter().nth(self.1)?;
        self.1 = self.1.wrapping_add(1);
        Some(slot)
    }
}

/// A reader; it leaves when it is dropped.
#[must_use = "what was read may be gone as soon as this is dropped"]
pub struct Inside<'a> {
    readers: &'a Readers,
    slot: &'a Slot,
    phase: usize,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.slot.leave(self.phase) {
            Wake::set(&self.readers.woken);
        }
    }
}

/// A value that can be replaced while it is read.
pub struct Published<X> {
    place: Place<X>,
}

// SAFETY: (MEM-2) the pointer owns its value as a box does.
unsafe impl<X: Send> Send for Published<X> {}
// SAFETY: (MEM-2) readers share the value, and the writer takes it away on
// another thread.
unsafe impl<X: Send + Sync> Sync for Published<X> {}

impl<X> Default for Published<X> {
    fn default() -> Self {
        Self {
            place: Place::new(),
        }
    }
}

impl<X> Published<X> {
    /// What is published, as long as the reader is inside.
    /// IRQL <= DISPATCH_LEVEL.
    ///
    /// # Safety
    /// The reader is one of those that [`Published::replace`] waits for.
    pub unsafe fn get<'i>(&self, _inside: &'i Inside<'_>) -> Option<&'i X> {
        // SAFETY: (MEM-2) freed only after every reader has left that was
        // inside when the pointer was replaced.
        unsafe { self.place.get().as_ref() }
    }

    /// Publishes another value, waits until nobody reads the one before, and
    /// returns it. IRQL = PASSIVE_LEVEL, one caller at a time for all pointers
    /// of the readers.
    pub fn replace(&self, readers: &Readers, new: Option<PoolBox<X>>) -> Option<PoolBox<X>> {
        let new = new.map_or(core::ptr::null_mut(), PoolBox::into_raw);
        let old = NonNull::new(self.place.swap(new));
        readers.wait();
        // SAFETY: (MEM-2) came from a box when it was published; nobody reads
        // it any more.
        old.map(|old| unsafe { PoolBox::from_raw(old) })
    }
}

impl<X> Drop for Published<X> {
    fn drop(&mut self) {
        if let Some(last) = NonNull::new(self.place.get()) {
            // SAFETY: (MEM-2) came from a box, and whoever owns the pointer
            // alone has no readers.
            drop(unsafe { PoolBox::from_raw(last) });
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

//! A lock for work that waits: held across calls into NDIS, by one thread at
//! PASSIVE_LEVEL at a time. Never on a data path.
//!
//! Made of a flag and a notification event (`turn`). Not fair, and not to be
//! taken twice by one thread.

mod turn;

/// The atomics of the machine.
mod sync {
    pub(super) use core::sync::atomic::{AtomicBool, Ordering};
}

#[cfg(test)]
mod model;

use crate::event::Event;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use turn::{Turn, Wake};

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

/// A value behind a lock that may be held while its holder waits.
pub struct Mutex<T> {
    turn: Turn,
    free: Event,
    value: UnsafeCell<T>,
}

// SAFETY: (IRQ-22) the value is reached by the holder only.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: (IRQ-22) as above; one holder at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free lock; [`Mutex::init`] follows.
    pub fn new(value: T) -> Self {
        Self {
            turn: Turn::new(),
            free: Event::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Prepares the event.
    ///
    /// # Safety
    /// As [`Event::init`]: the address is final and nobody uses it yet.
    pub unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the caller's promise.
        unsafe { self.free.init() };
    }

    /// Takes the lock if it is free. IRQL = PASSIVE_LEVEL.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.turn.try_take().then(|| self.guard())
    }

    /// The guard of whoever took the turn.
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: self,
            here: PhantomData,
        }
    }

    /// Takes the lock. IRQL = PASSIVE_LEVEL, no spin lock held (IRQ-22).
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.turn.take(&self.free);
        self.guard()
    }

    /// The value, for somebody who owns the lock alone.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// A held [`Mutex`].
#[must_use = "the lock is released at once if the guard is dropped"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    // Belongs to the thread that took it.
    here: PhantomData<*mut ()>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: (IRQ-22) the guard holds the lock.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: (IRQ-22) the guard holds the lock, exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.turn.give(&self.mutex.free);
    }
}

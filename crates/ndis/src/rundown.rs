//! Run-down: users of an object come and go, and whoever wants it gone closes
//! the door and waits until the last has left.
//!
//! One word: bit 0 says closed, the rest counts users. Entering and leaving:
//! any thread, IRQL <= DISPATCH_LEVEL. Closing and waiting: PASSIVE_LEVEL, one
//! closer at a time. Used on slow paths only; the data path has its own
//! per-processor counters.

use crate::event::Event;
use core::sync::atomic::{AtomicUsize, Ordering};

const CLOSED: usize = 1;
const USER: usize = 2;

/// The counting half, free of the kernel.
pub struct Gatekeeper(AtomicUsize);

impl Gatekeeper {
    /// Open or closed, with nobody inside.
    pub const fn new(open: bool) -> Self {
        Self(AtomicUsize::new(if open { 0 } else { CLOSED }))
    }

    /// One more user, unless closed.
    pub fn enter(&self) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                if word & CLOSED == 0 {
                    word.checked_add(USER)
                } else {
                    None
                }
            })
            .is_ok()
    }

    /// One user less; true if it was the last one behind a closed door.
    pub fn leave(&self) -> bool {
        self.0.fetch_sub(USER, Ordering::AcqRel) == USER | CLOSED
    }

    /// Lets nobody in any more; true if nobody was inside.
    pub fn close(&self) -> bool {
        self.0.fetch_or(CLOSED, Ordering::AcqRel) & !CLOSED == 0
    }

    /// Lets users in again.
    pub fn open(&self) {
        self.0.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    /// How many users are inside.
    pub fn users(&self) -> usize {
        self.0.load(Ordering::Acquire) / USER
    }
}

/// A [`Gatekeeper`] with somebody waiting at the door.
pub struct Rundown {
    gate: Gatekeeper,
    empty: Event,
}

impl Rundown {
    /// Open or closed.
    pub fn new(open: bool) -> Self {
        Self {
            gate: Gatekeeper::new(open),
            empty: Event::new(),
        }
    }

    /// Prepares the event.
    ///
    /// # Safety
    /// As [`Event::init`]: the address is final and nobody uses it yet.
    pub unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the caller's promise.
        unsafe { self.empty.init() };
    }

    /// Enters; the guard leaves. `None` when closed.
    pub fn enter(&self) -> Option<Inside<'_>> {
        // Not `then_some`: a guard that is made and dropped would leave.
        if self.gate.enter() {
            Some(Inside(self))
        } else {
            None
        }
    }

    /// Enters without a guard, for users that leave in another callback.
    pub fn enter_detached(&self) -> bool {
        self.gate.enter()
    }

    /// Leaves after [`Rundown::enter_detached`].
    pub fn leave(&self) {
        if self.gate.leave() {
            self.empty.set();
        }
    }

    /// Closes and waits until the last user has left. Closing twice is
    /// harmless. IRQL = PASSIVE_LEVEL, no lock held.
    pub fn close_and_wait(&self) {
        self.empty.reset();
        if !self.gate.close() {
            self.empty.wait();
        }
    }

    /// Opens after the object came back to life.
    pub fn open(&self) {
        self.gate.open();
    }
}

/// A user of a [`Rundown`].
#[must_use = "the object may go as soon as this is dropped"]
pub struct Inside<'a>(&'a Rundown);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_enters_a_closed_door() {
        let gate = Gatekeeper::new(true);
        assert!(gate.enter());
        assert!(!gate.close());
        assert!(!gate.enter());
        assert!(gate.leave(), "the last one out says so");
        assert!(gate.close(), "closing an empty one needs no wait");
        gate.open();
        assert!(gate.enter());
        assert!(!gate.leave(), "nobody waits behind an open door");
    }

    #[test]
    fn one_of_many_is_the_last() {
        let gate = Gatekeeper::new(true);
        for _ in 0..4 {
            assert!(gate.enter());
        }
        assert!(!gate.close());
        let last: usize = (0..4).map(|_| usize::from(gate.leave())).sum();
        assert_eq!(last, 1);
        assert_eq!(gate.users(), 0);
    }
}

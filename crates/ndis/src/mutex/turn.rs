//! Whose turn it is: the algorithm of the lock, free of the kernel.

use super::sync::{AtomicBool, Ordering};

/// Somebody to wait for, who stays signalled until reset.
pub trait Wake {
    /// Clears the signal.
    fn reset(&self);
    /// Signals.
    fn set(&self);
    /// Waits for the signal; it may be gone again when this returns.
    fn wait(&self);
}

/// See the module's description.
pub struct Turn {
    held: AtomicBool,
}

impl Turn {
    /// Nobody's.
    pub fn new() -> Self {
        Self {
            held: AtomicBool::new(false),
        }
    }

    /// Takes the turn if it is nobody's.
    pub fn try_take(&self) -> bool {
        !self.held.swap(true, Ordering::SeqCst)
    }

    /// Takes the turn.
    pub fn take(&self, free: &impl Wake) {
        while !self.try_take() {
            // Who resets tries again afterwards: if that fails, there is a
            // holder who has yet to signal.
            free.reset();
            if self.try_take() {
                return;
            }
            free.wait();
        }
    }

    /// Gives the turn back.
    pub fn give(&self, free: &impl Wake) {
        self.held.swap(false, Ordering::SeqCst);
        free.set();
    }
}

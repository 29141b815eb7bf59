//! Spin locks that know the IRQL they were taken at, and a read-write lock.
//!
//! The guard remembers which acquire was used and releases with the same kind
//! (LCK-3, LCK-4). No guard may live across a call into NDIS (LCK-6); the
//! callers keep each critical section to a few lines.

use crate::memory::Pool;
use crate::{Error, Result};
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use ndis_sys::{
    KIRQL, KSPIN_LOCK, KeAcquireSpinLockAtDpcLevel, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock,
    KeReleaseSpinLockFromDpcLevel, LOCK_STATE_EX, NDIS_RW_LOCK_EX, NdisAcquireRWLockRead,
    NdisAcquireRWLockWrite, NdisAllocateRWLock, NdisFreeRWLock, NdisReleaseRWLock,
};

/// What a caller knows about the IRQL it runs at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Irql {
    /// DISPATCH_LEVEL for certain: the callback's flag says so (IRQ-20).
    Dispatch,
    /// DISPATCH_LEVEL or below, nobody knows; the raising variants are used
    /// and dispatch flags stay clear (IRQ-21).
    Unknown,
}

impl Irql {
    /// From the dispatch bit of a callback's flags (IRQ-20).
    pub const fn from_flag(flags: u32, dispatch_bit: u32) -> Self {
        if flags & dispatch_bit == 0 {
            Self::Unknown
        } else {
            Self::Dispatch
        }
    }
}

/// A value behind a kernel spin lock. Zero is the lock's free state, which is
/// what `KeInitializeSpinLock` writes, so it can be made in a static.
pub struct SpinLock<T> {
    lock: UnsafeCell<KSPIN_LOCK>,
    value: UnsafeCell<T>,
}

// SAFETY: (LCK-1) the value is reached only under the lock.
unsafe impl<T: Send> Send for SpinLock<T> {}
// SAFETY: (LCK-1) as above; one processor at a time.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock. IRQL <= DISPATCH_LEVEL; DISPATCH_LEVEL while held.
    pub fn lock(&self) -> SpinGuard<'_, T> {
        // SAFETY: (LCK-1) the lock is initialised and not held by this
        // processor: no guard lives across a call that could take it again.
        let old = unsafe { KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        SpinGuard {
            lock: self,
            old: Some(old),
            here: PhantomData,
        }
    }

    /// Takes the lock where the caller may know that it runs at
    /// DISPATCH_LEVEL, which saves the raise.
    pub fn lock_at(&self, irql: Irql) -> SpinGuard<'_, T> {
        match irql {
            Irql::Unknown => self.lock(),
            Irql::Dispatch => {
                // SAFETY: (LCK-3) DISPATCH_LEVEL is what the flag promised.
                unsafe { KeAcquireSpinLockAtDpcLevel(self.lock.get()) };
                SpinGuard {
                    lock: self,
                    old: None,
                    here: PhantomData,
                }
            }
        }
    }

    /// The value, for somebody who owns the lock alone.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// A held spin lock; released when it goes (LCK-2).
#[must_use = "the lock is released at once if the guard is dropped"]
pub struct SpinGuard<'a, T> {
    lock: &'a SpinLock<T>,
    old: Option<KIRQL>,
    // Belongs to the processor that took it.
    here: PhantomData<*mut ()>,
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: (LCK-1) the guard holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: (LCK-1) the guard holds the lock, exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    fn drop(&mut self) {
        match self.old {
            // SAFETY: (LCK-4, LCK-5) held since `lock`, same kind of release.
            Some(old) => unsafe { KeReleaseSpinLock(self.lock.lock.get(), old) },
            // SAFETY: (LCK-4, LCK-5) held since `lock_at`, same kind of release.
            None => unsafe { KeReleaseSpinLockFromDpcLevel(self.lock.lock.get()) },
        }
    }
}

/// An NDIS read-write lock: many readers, one writer, no upgrade.
pub struct RwLock<T> {
    lock: NonNull<NDIS_RW_LOCK_EX>,
    value: UnsafeCell<T>,
}

// SAFETY: (LCK-7) the value is reached only under the lock.
unsafe impl<T: Send> Send for RwLock<T> {}
// SAFETY: (LCK-7) readers share, a writer is alone.
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    /// Allocates the lock. IRQL <= DISPATCH_LEVEL.
    pub fn try_new(pool: Pool, value: T) -> Result<Self> {
        // SAFETY: (MEM-1) the handle is valid by `Pool`'s contract.
        let lock = unsafe { NdisAllocateRWLock(pool.handle) };
        let lock = NonNull::new(lock).ok_or(Error::NoResources)?;
        Ok(Self {
            lock,
            value: UnsafeCell::new(value),
        })
    }

    /// Runs `body` with the value shared. IRQL <= DISPATCH_LEVEL. The closure
    /// keeps acquire and release on one processor and in one frame (LCK-7).
    pub fn read<R>(&self, irql: Irql, body: impl FnOnce(&T) -> R) -> R {
        let mut state = LOCK_STATE_EX {
            OldIrql: 0,
            LockState: 0,
            Flags: 0,
        };
        let flags = u8::from(irql == Irql::Dispatch); // NDIS_RWL_AT_DISPATCH_LEVEL
        // SAFETY: (LCK-7) allocated in `try_new`, freed only in `drop`.
        unsafe { NdisAcquireRWLockRead(self.lock.as_ptr(), &raw mut state, flags) };
        // SAFETY: (LCK-7) held for reading: no writer.
        let result = body(unsafe { &*self.value.get() });
        // SAFETY: (LCK-7) same lock, same state, same processor.
        unsafe { NdisReleaseRWLock(self.lock.as_ptr(), &raw mut state) };
        result
    }

    /// Runs `body` with the value to itself. IRQL <= DISPATCH_LEVEL.
    pub fn write<R>(&self, irql: Irql, body: impl FnOnce(&mut T) -> R) -> R {
        let mut state = LOCK_STATE_EX {
            OldIrql: 0,
            LockState: 0,
            Flags: 0,
        };
        let flags = u8::from(irql == Irql::Dispatch); // NDIS_RWL_AT_DISPATCH_LEVEL
        // SAFETY: (LCK-7) allocated in `try_new`, freed only in `drop`.
        unsafe { NdisAcquireRWLockWrite(self.lock.as_ptr(), &raw mut state, flags) };
        // SAFETY: (LCK-7) held for writing: nobody else.
        let result = body(unsafe { &mut *self.value.get() });
        // SAFETY: (LCK-7) same lock, same state, same processor.
        unsafe { NdisReleaseRWLock(self.lock.as_ptr(), &raw mut state) };
        result
    }
}

impl<T> Drop for RwLock<T> {
    fn drop(&mut self) {
        // SAFETY: (LCK-7) free: no guard outlives the borrow of `self`.
        unsafe { NdisFreeRWLock(self.lock.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dispatch_flag_decides() {
        assert_eq!(Irql::from_flag(0b101, 0b100), Irql::Dispatch);
        assert_eq!(Irql::from_flag(0b011, 0b100), Irql::Unknown);
    }
}

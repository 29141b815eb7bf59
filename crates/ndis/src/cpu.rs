//! Processor number and time, from exported functions only: never from the
//! processor's own control page or from the shared user page.

use crate::Result;
use crate::memory::{CACHE_LINE, Pool, PoolArray};
use ndis_sys::{
    KeGetCurrentProcessorNumberEx, KeQueryActiveProcessorCountEx, KeQueryInterruptTimePrecise,
    KeQueryUnbiasedInterruptTime,
};

const ALL_PROCESSOR_GROUPS: u16 = 0xFFFF;

/// The system-wide index of the processor this runs on. At PASSIVE_LEVEL it may
/// be out of date as soon as it is known: data picked by it is shared, only
/// seldom contended. Any IRQL.
pub fn current_index() -> usize {
    // SAFETY: (VER-2) the argument is optional; the index covers all groups.
    unsafe { KeGetCurrentProcessorNumberEx(core::ptr::null_mut()) as usize }
}

/// How many processors there are, at least one. Any IRQL.
pub fn count() -> usize {
    // SAFETY: (VER-2) no pointers, all groups.
    (unsafe { KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS) } as usize).max(1)
}

/// Time since boot without sleep, in units of 100 nanoseconds. Any IRQL.
pub fn interrupt_time() -> u64 {
    // SAFETY: (IRQ-24) no arguments, callable at any IRQL.
    unsafe { KeQueryUnbiasedInterruptTime() }
}

/// The same, precise: for times shorter than the clock's tick. Any IRQL.
pub fn precise_time() -> u64 {
    let mut counter = 0;
    // SAFETY: (IRQ-11) the counter that belongs to the time is written, and of no
    // interest.
    unsafe { KeQueryInterruptTimePrecise(&raw mut counter) }
}

/// A value per processor, each on cache lines of its own.
pub struct PerCpu<T> {
    slots: PoolArray<Padded<T>>,
}

#[repr(align(128))]
struct Padded<T>(T);

const _: () = assert!(core::mem::align_of::<Padded<u8>>() == CACHE_LINE);

impl<T> PerCpu<T> {
    /// One value for each processor there is now. IRQL <= DISPATCH_LEVEL.
    pub fn try_with(pool: Pool, mut make: impl FnMut() -> T) -> Result<Self> {
        Ok(Self {
            slots: PoolArray::try_with(pool, count(), |_| Padded(make()))?,
        })
    }

    /// The value of this processor. One that was added since then shares the
    /// value of another: the values are made for concurrent use anyway.
    pub fn here(&self) -> &T {
        self.at(current_index())
    }

    /// The value with an index taken before, for undoing what was done there.
    pub fn at(&self, index: usize) -> &T {
        let slots = self.slots.as_slice();
        let index = if index < slots.len() { index } else { 0 };
        // SAFETY: (MEM-1) `count()` is at least one, so index 0 exists, and any
        // other index was just compared with the length.
        unsafe { &slots.get_unchecked(index).0 }
    }

    /// All values.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|slot| &slot.0)
    }
}

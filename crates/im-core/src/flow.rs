//! What is outstanding on a path, and what went through it, per processor.
//!
//! Pause must wait for everything (MPS-3, PBS-2), so every list is counted; the
//! count must not be a cache line that all processors fight for. Each processor
//! has a slot with one word for what is outstanding and the statistics beside
//! it. A batch costs two atomic additions to that word on the way out and one
//! where it comes back, whatever its length. A list may come back on another
//! processor, so a single slot may be below zero; only the sum means something.
//!
//! To wait for the sum to become zero, a pause *drains*: under the path's drain
//! lock it takes each slot's value over into one common number and marks the
//! slot. From then on whoever changes that slot sees the mark in the old value,
//! which the atomic operation returns anyway, and applies the change to the
//! common number instead, under the lock. The sum is exact: a change either
//! came before the mark and was taken over, or saw the mark. Whoever brings the
//! number to zero claims the waiters, under the same lock, so each is told once.
//!
//! While a slot is not marked, the change to it is the last access of a caller:
//! the path may be freed right after. A caller that saw the mark is still in
//! the common number until it applied its change, so the path cannot go before.
//!
//! A batch that finds the mark when it enters is not counted and is refused.

use core::sync::atomic::{AtomicU64, Ordering};
use ndis::nbl::Load;

/// The mark of a slot that was taken over.
const DRAINING: u64 = 1 << 63;

/// What an unmarked slot holds when it is even, far from mark and zero, so that
/// a slot below zero does not borrow from the mark.
const EVEN: u64 = 1 << 62;

/// The slot of one processor.
#[derive(Debug)]
pub struct Slot {
    word: AtomicU64,
    /// Lists, frames and bytes handed to the adapter below.
    pub sent: Tally,
    /// Lists, frames and bytes indicated to the protocols above.
    pub received: Tally,
    /// Lists whose context space had to be allocated.
    pub allocations: AtomicU64,
}

/// Counters of one direction. Relaxed: they are read only to be shown. Atomic,
/// because a thread below DISPATCH_LEVEL may move while it uses a slot.
#[derive(Debug, Default)]
pub struct Tally {
    lists: AtomicU64,
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// Adds a batch.
    pub fn add(&self, load: Load) {
        self.lists
            .fetch_add(u64::from(load.lists), Ordering::Relaxed);
        self.frames
            .fetch_add(u64::from(load.buffers), Ordering::Relaxed);
        self.bytes.fetch_add(load.bytes, Ordering::Relaxed);
    }

    /// Lists, frames, bytes.
    pub fn read(&self) -> [u64; 3] {
        [&self.lists, &self.frames, &self.bytes].map(|counter| counter.load(Ordering::Relaxed))
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            word: AtomicU64::new(EVEN),
            sent: Tally::default(),
            received: Tally::default(),
            allocations: AtomicU64::new(0),
        }
    }
}

impl Slot {
    /// Counts one call in. False: the path drains, the call is not counted and
    /// must be refused.
    #[must_use]
    pub fn enter(&self) -> bool {
        self.word.fetch_add(1, Ordering::AcqRel) & DRAINING == 0
    }

    /// Counts in or out. False: the path drains, and the change must be applied
    /// to its [`Drain`] instead. True: this was the last access to the path.
    #[must_use]
    pub fn change(&self, delta: i64) -> bool {
        self.word.fetch_add(delta as u64, Ordering::AcqRel) & DRAINING == 0
    }

    /// Takes the slot over: what it held.
    fn take(&self) -> i64 {
        self.word
            .swap(DRAINING | EVEN, Ordering::AcqRel)
            .wrapping_sub(EVEN) as i64
    }

    /// Gives the slot back, even.
    fn give(&self) {
        self.word.store(EVEN, Ordering::Release);
    }

    fn read(&self) -> Option<i64> {
        let word = self.word.load(Ordering::Acquire);
        (word & DRAINING == 0).then(|| word.wrapping_sub(EVEN) as i64)
    }
}

/// Who waits for a path to be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiters {
    /// MiniportPause (MPS-3).
    pub upper: bool,
    /// NetEventPause (PBS-2).
    pub lower: bool,
}

impl Waiters {
    /// Nobody.
    pub const NONE: Self = Self {
        upper: false,
        lower: false,
    };
    /// The upper edge.
    pub const UPPER: Self = Self {
        upper: true,
        lower: false,
    };
    /// The lower edge.
    pub const LOWER: Self = Self {
        upper: false,
        lower: true,
    };

    fn any(self) -> bool {
        self.upper || self.lower
    }
}

/// The common number and who waits for it. Behind the path's drain lock.
#[derive(Debug, Default)]
pub struct Drain {
    draining: bool,
    outstanding: i64,
    waiters: Waiters,
}

impl Drain {
    /// Nobody waits, the slots count.
    pub const fn new() -> Self {
        Self {
            draining: false,
            outstanding: 0,
            waiters: Waiters::NONE,
        }
    }

    /// Starts to wait; takes the slots over if they are not yet. Returns who
    /// may go on at once: those waiting, if nothing is outstanding.
    #[must_use]
    pub fn wait<'a>(&mut self, who: Waiters, slots: impl Iterator<Item = &'a Slot>) -> Waiters {
        if !self.draining {
            self.draining = true;
            self.outstanding = slots.map(Slot::take).fold(0, i64::wrapping_add);
        }
        self.waiters.upper |= who.upper;
        self.waiters.lower |= who.lower;
        self.claim()
    }

    /// Applies a change whose slot was marked. Returns who may go on.
    #[must_use]
    pub fn apply(&mut self, delta: i64) -> Waiters {
        self.outstanding = self.outstanding.wrapping_add(delta);
        self.claim()
    }

    /// Gives the slots back, unless somebody still waits: then the gate is
    /// still closed by the edge that waits, and its restart does it.
    pub fn resume<'a>(&mut self, slots: impl Iterator<Item = &'a Slot>) {
        if self.draining && !self.waiters.any() && self.outstanding == 0 {
            self.draining = false;
            slots.for_each(Slot::give);
        }
    }

    /// What is outstanding, for showing.
    pub fn outstanding<'a>(&self, mut slots: impl Iterator<Item = &'a Slot>) -> i64 {
        if self.draining {
            self.outstanding
        } else {
            slots
                .try_fold(0_i64, |sum, slot| Some(sum.wrapping_add(slot.read()?)))
                .unwrap_or(0)
        }
    }

    fn claim(&mut self) -> Waiters {
        if self.outstanding == 0 {
            core::mem::take(&mut self.waiters)
        } else {
            Waiters::NONE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicBool, AtomicI64};
    use std::sync::{Arc, Mutex};
    use std::vec::Vec;

    fn slots(count: usize) -> Vec<Slot> {
        (0..count).map(|_| Slot::default()).collect()
    }

    #[test]
    fn lists_come_back_elsewhere() {
        let (slots, mut drain) = (slots(2), Drain::new());
        assert!(slots[0].enter());
        assert!(slots[0].change(31)); // one call becomes 32 lists
        assert!(slots[1].change(-30));
        assert_eq!(drain.outstanding(slots.iter()), 2);
        assert_eq!(drain.wait(Waiters::UPPER, slots.iter()), Waiters::NONE);
        assert!(!slots[1].enter(), "refused while draining");
        assert!(!slots[0].change(-1));
        assert_eq!(drain.apply(-1), Waiters::NONE);
        assert!(!slots[1].change(-1));
        assert_eq!(drain.apply(-1), Waiters::UPPER);
        drain.resume(slots.iter());
        assert!(slots[1].enter());
        assert_eq!(drain.outstanding(slots.iter()), 1);
    }

    /// MPS-6: two edges that wait at overlapping times are told once each.
    #[test]
    fn both_edges_are_told_once() {
        let (slots, mut drain) = (slots(1), Drain::new());
        assert!(slots[0].enter());
        assert_eq!(drain.wait(Waiters::UPPER, slots.iter()), Waiters::NONE);
        assert_eq!(drain.wait(Waiters::LOWER, slots.iter()), Waiters::NONE);
        drain.resume(slots.iter());
        assert!(!slots[0].enter(), "not resumed while somebody waits");
        assert_eq!(
            drain.apply(-1),
            Waiters {
                upper: true,
                lower: true
            }
        );
        assert_eq!(
            drain.wait(Waiters::LOWER, slots.iter()),
            Waiters::LOWER,
            "empty at once"
        );
    }

    proptest! {
        /// Any order of steps: waiters are told exactly when nothing is
        /// outstanding, and the number shown is what is outstanding.
        #[test]
        fn the_sum_is_right(steps in prop::collection::vec((0_usize..6, 0_usize..4, 1_i64..200), 0..200)) {
            let (slots, mut drain) = (slots(4), Drain::new());
            let (mut live, mut waiting) = (0_i64, Waiters::NONE);
            for (what, slot, count) in steps {
                let told = match what {
                    0 => {
                        if slots[slot].enter() { live += 1; }
                        Waiters::NONE
                    }
                    1 | 2 => {
                        let delta = if what == 1 && live > 0 { count } else { -count.min(live) };
                        live += delta;
                        if slots[slot].change(delta) { Waiters::NONE } else { drain.apply(delta) }
                    }
                    3 => { waiting.upper = true; drain.wait(Waiters::UPPER, slots.iter()) }
                    4 => { waiting.lower = true; drain.wait(Waiters::LOWER, slots.iter()) }
                    _ => { drain.resume(slots.iter()); Waiters::NONE }
                };
                if live == 0 {
                    prop_assert_eq!(told, waiting);
                    waiting = Waiters::NONE;
                } else {
                    prop_assert_eq!(told, Waiters::NONE);
                }
                prop_assert_eq!(drain.outstanding(slots.iter()), live);
            }
        }
    }

    /// MPS-3, PBS-2: threads pass batches around while another drains; when it
    /// is told, nothing is outstanding, and nothing shows up later.
    #[test]
    fn told_means_empty() {
        for _ in 0..100 {
            let shared = Arc::new((
                slots(3),
                Mutex::new(Drain::new()),
                AtomicI64::new(0),
                AtomicBool::new(false),
            ));
            let threads: Vec<_> = (0..3_usize)
                .map(|me| {
                    let shared = shared.clone();
                    std::thread::spawn(move || {
                        let (slots, drain, live, told) = &*shared;
                        let change = |slot: usize, delta: i64| {
                            if !slots[slot].change(delta)
                                && drain.lock().unwrap().apply(delta).upper
                            {
                                assert_eq!(live.load(Ordering::SeqCst), 0);
                                assert!(!told.swap(true, Ordering::SeqCst));
                            }
                        };
                        let mut held = 0;
                        for round in 0..1000_i64 {
                            if !slots[me].enter() {
                                break;
                            }
                            let count = 1 + round % 3;
                            live.fetch_add(count, Ordering::SeqCst);
                            change(me, count - 1);
                            held += count;
                            if round % 2 == 0 {
                                live.fetch_sub(held, Ordering::SeqCst);
                                change((me + 1) % 3, -held);
                                held = 0;
                            }
                        }
                        if held > 0 {
                            live.fetch_sub(held, Ordering::SeqCst);
                            change((me + 2) % 3, -held);
                        }
                    })
                })
                .collect();
            let (slots, drain, live, told) = &*shared;
            if drain
                .lock()
                .unwrap()
                .wait(Waiters::UPPER, slots.iter())
                .upper
            {
                assert_eq!(live.load(Ordering::SeqCst), 0);
                assert!(!told.swap(true, Ordering::SeqCst));
            }
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(told.load(Ordering::SeqCst));
            assert_eq!(drain.lock().unwrap().outstanding(slots.iter()), 0);
        }
    }
}

//! Where a bucket is when flowlets decide: its member, how many of its lists are
//! out, and when something last happened to it, in one word per bucket.
//!
//! A bucket goes to another member only while nothing of it is out and the gap is
//! over since its last list was sent or came back, so that none of its frames can be
//! overtaken. The one exception is a member that is dead: what it holds is lost or
//! late anyway. Any number of processors at once, IRQL <= DISPATCH_LEVEL; no lock.

use super::bond::{Slot, Time};
use core::sync::atomic::{AtomicU64, Ordering};

/// Lists that are out.
const OUT: u64 = (1 << OUT_BITS) - 1;
const OUT_BITS: u32 = 24;
/// The member.
const SLOT_SHIFT: u32 = OUT_BITS;
const SLOT: u64 = 0x1F;
/// There is a member.
const THERE: u64 = 1 << 29;
/// When: units of 6.4 microseconds, which come round after 30 hours.
const TIME_SHIFT: u32 = 30;
const TIME: u64 = (1 << (u64::BITS - TIME_SHIFT)) - 1;
const UNIT_SHIFT: u32 = 6;

/// A bucket.
#[derive(Debug, Default)]
pub struct Flowlet(AtomicU64);

fn stamp(now: Time) -> u64 {
    (now >> UNIT_SHIFT & TIME) << TIME_SHIFT
}

/// Units since the word was written. Another processor may have looked at the clock
/// later than this one, and be earlier here.
fn since(now: Time, word: u64) -> u64 {
    let units = (now >> UNIT_SHIFT).wrapping_sub(word >> TIME_SHIFT) & TIME;
    if units > TIME / 2 { 0 } else { units }
}

fn slot_of(word: u64) -> Option<Slot> {
    (word & THERE != 0).then_some((word >> SLOT_SHIFT & SLOT) as Slot)
}

impl Flowlet {
    /// Counts one list out and says on which member it goes: the one where the
    /// bucket is, or another one that `other` chooses when it may move. `stays` says
    /// whether a member can be used. `None`: `other` knows nobody.
    pub fn send(
        &self,
        now: Time,
        gap: u32,
        stays: impl Fn(Slot) -> bool,
        mut other: impl FnMut() -> Option<Slot>,
    ) -> Option<Slot> {
        // One unit more: both moments were rounded down.
        let gap = (u64::from(gap) >> UNIT_SHIFT) + 2;
        let mut chosen = None;
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let out = word & OUT;
            let since = since(now, word);
            let here = slot_of(word).filter(|slot| stays(*slot));
            let slot = match here {
                Some(slot) if out != 0 || since < gap => slot,
                _ => {
                    if chosen.is_none() {
                        chosen = other();
                    }
                    chosen.or(here)?
                }
            };
            // So many lists are never out: NDIS has no memory for them. If they were,
            // the bucket would stay where it is.
            let out = if out == OUT { out } else { out + 1 };
            let next = stamp(now) | THERE | u64::from(slot) << SLOT_SHIFT | out;
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Some(slot),
                Err(found) => word = found,
            }
        }
    }

    /// Counts lists in: they came back, or did not go.
    pub fn done(&self, now: Time, lists: u32) {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let out = (word & OUT).saturating_sub(u64::from(lists));
            let next = stamp(now) | word & (THERE | SLOT << SLOT_SHIFT) | out;
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }

    /// The member where the bucket is, and how many of its lists are out.
    pub fn read(&self) -> (Option<Slot>, u32) {
        let word = self.0.load(Ordering::Acquire);
        (slot_of(word), (word & OUT) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;
    use std::vec::Vec;

    const GAP: u32 = 5_000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 5 } else { 200 }))]

        /// A bucket moves only when nothing is out and the gap is over, or from the
        /// dead.
        #[test]
        fn moves_in_order(
            steps in prop::collection::vec((0_u8..8, 0_u64..20_000, any::<u8>()), 1..100),
            start in 0_u64..u64::MAX / 2,
        ) {
            let bucket = Flowlet::default();
            let (mut now, mut out, mut at, mut last, mut usable) = (start, 0_u32, None, start, 0xF_u32);
            for (what, later, choice) in steps {
                now += later;
                match what {
                    0..=3 => {
                        let other = || (0..4).map(|i| choice.wrapping_add(i) % 4).find(|s| usable >> s & 1 != 0);
                        let slot = bucket.send(now, GAP, |slot| usable >> slot & 1 != 0, other);
                        let Some(slot) = slot else {
                            prop_assert_eq!(usable, 0);
                            continue;
                        };
                        prop_assert!(usable >> slot & 1 != 0);
                        if let Some(at) = at.filter(|at| *at != slot) {
                            let alive = usable >> at & 1 != 0;
                            prop_assert!(!alive || (out == 0 && now - last >= u64::from(GAP)));
                        } else if at.is_none() || (out == 0 && now - last > u64::from(GAP) + 200) {
                            prop_assert_eq!(Some(slot), other(), "free to go and did not");
                        }
                        at = Some(slot);
                        out += 1;
                        last = now;
                    }
                    4..=6 => {
                        let back = u32::from(choice).min(out);
                        if back > 0 {
                            bucket.done(now, back);
                            out -= back;
                            last = now;
                        }
                    }
                    _ => usable = u32::from(choice) & 0xF,
                }
                prop_assert_eq!(bucket.read(), (at, out));
            }
        }
    }

    /// Processors that send and complete at once: no list is out on two members, and
    /// the count comes to zero.
    #[test]
    fn threads_agree() {
        const ROUNDS: u64 = if cfg!(miri) { 50 } else { 20_000 };
        let shared = Arc::new((
            Flowlet::default(),
            [const { AtomicI64::new(0) }; 3],
            AtomicU64::new(0),
        ));
        let threads: Vec<_> = (0..3_u8)
            .map(|me| {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    let (bucket, out, clock) = &*shared;
                    for round in 0..ROUNDS {
                        let now = clock.fetch_add(1000, Ordering::Relaxed);
                        let next = || Some(((u64::from(me) + round) % 3) as Slot);
                        let slot = bucket.send(now, 0, |_| true, next).unwrap();
                        out[usize::from(slot)].fetch_add(1, Ordering::SeqCst);
                        // While this list is out, the bucket stays.
                        assert_eq!(bucket.read().0, Some(slot));
                        out[usize::from(slot)].fetch_sub(1, Ordering::SeqCst);
                        bucket.done(now, 1);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(shared.0.read().1, 0);
    }
}

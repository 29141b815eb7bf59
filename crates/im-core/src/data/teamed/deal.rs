//! Something for each of some members, on the stack: only what is used is touched.

use super::bond::{MAX_MEMBERS, Members, Slot};
use super::table::bit;
use core::mem::MaybeUninit;

/// A value for each slot of a set.
pub(super) struct BySlot<V> {
    used: Members,
    places: [MaybeUninit<V>; MAX_MEMBERS],
}

impl<V> BySlot<V> {
    /// Nothing for anybody.
    pub(super) const fn new() -> Self {
        Self {
            used: 0,
            places: [const { MaybeUninit::uninit() }; MAX_MEMBERS],
        }
    }

    /// What there is for a slot; made if there is nothing yet.
    pub(super) fn of(&mut self, slot: Slot, make: impl FnOnce() -> V) -> &mut V {
        let index = usize::from(slot) % MAX_MEMBERS;
        let place = &mut self.places[index];
        let bit = 1 << index;
        if self.used & bit == 0 {
            place.write(make());
            self.used |= bit;
        }
        // SAFETY: (MEM-2) the bit says that it was written.
        unsafe { place.assume_init_mut() }
    }

    /// What there is for a slot.
    pub(super) fn get(&self, slot: Slot) -> Option<&V> {
        let there = self.used & bit(slot) != 0;
        let place = self.places.get(usize::from(slot)).filter(|_| there)?;
        // SAFETY: (MEM-2) the bit says that it was written.
        Some(unsafe { place.assume_init_ref() })
    }

    /// Takes what there is for the first slot of the set.
    pub(super) fn take(&mut self) -> Option<(Slot, V)> {
        let index = self.used.trailing_zeros() as usize;
        let place = self.places.get(index)?;
        // SAFETY: (MEM-2) the bit says that it was written; it is cleared, so that
        // the value is taken once.
        let value = unsafe { place.assume_init_read() };
        self.used &= self.used.wrapping_sub(1);
        Some((index as Slot, value))
    }
}

impl<V> Drop for BySlot<V> {
    fn drop(&mut self) {
        while let Some(left) = self.take() {
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn like_a_map(keys in prop::collection::vec(0_u8..32, 0..60), taken in 0_usize..40) {
            let mut map: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
            let mut dealt = BySlot::<Vec<usize>>::new();
            for (index, key) in keys.iter().enumerate() {
                map.entry(*key).or_default().push(index);
                dealt.of(*key, Vec::new).push(index);
            }
            for _ in 0..taken {
                prop_assert_eq!(dealt.take(), map.pop_first());
            }
            for key in 0..32 {
                prop_assert_eq!(dealt.get(key), map.get(&key));
            }
        }
    }
}

//! Lists whose every step may fail and none may panic.
//!
//! The standard vector ends in a bug check where memory runs out or an index is
//! wrong; this one takes room beforehand and refuses what does not fit. Room is
//! nonpaged memory. Pure, but for the allocator; IRQL <= DISPATCH_LEVEL.

use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::cmp::Ordering;
use core::ops::{Deref, DerefMut};
use ndis::{Error, Result};

/// A copy of a list of fixed room: `Clone` of it has a panic that the optimiser
/// leaves in.
pub(crate) fn copy_of<T: Copy, const N: usize>(list: &ArrayVec<T, N>) -> ArrayVec<T, N> {
    let mut copy = ArrayVec::new_const();
    let _fits = copy.try_extend_from_slice(list);
    copy
}

/// See the module's description.
#[derive(Debug)]
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    /// No room.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Room for `count`.
    pub fn with_room(count: usize) -> Result<Self> {
        let mut list = Vec::new();
        list.try_reserve_exact(count)
            .map_err(|_| Error::NoResources)?;
        Ok(Self(list))
    }

    /// Makes room for `more` beyond what is there.
    pub fn make_room(&mut self, more: usize) -> Result<()> {
        self.0.try_reserve(more).map_err(|_| Error::NoResources)
    }

    /// How many have room.
    pub const fn room(&self) -> usize {
        self.0.capacity()
    }

    /// Puts one at the end; given back if there is no room.
    pub fn push(&mut self, value: T) -> core::result::Result<(), T> {
        let length = self.0.len();
        match self.0.spare_capacity_mut().first_mut() {
            Some(place) => {
                place.write(value);
                // SAFETY: (MEM-2) within the capacity, and written just now.
                unsafe { self.0.set_len(length + 1) };
                Ok(())
            }
            None => Err(value),
        }
    }

    /// Puts one at a place, before whoever is there; given back if there is no
    /// room or no such place.
    pub fn insert(&mut self, place: usize, value: T) -> core::result::Result<(), T> {
        if place > self.0.len() {
            return Err(value);
        }
        self.push(value)?;
        if let Some(rest) = self.0.get_mut(place..)
            && !rest.is_empty()
        {
            rest.rotate_right(1);
        }
        Ok(())
    }

    /// Takes the last one.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Takes one out; the last one takes its place.
    pub fn swap_remove(&mut self, place: usize) -> Option<T> {
        let last = self.0.len().checked_sub(1)?;
        if place > last {
            return None;
        }
        swap(&mut self.0, place, last);
        self.0.pop()
    }

    /// Keeps those that the closure wants, in their order.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }

    /// Forgets all, keeps the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = alloc::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Swaps two, if both are there.
fn swap<T>(values: &mut [T], a: usize, b: usize) {
    if a < values.len() && b < values.len() {
        values.swap(a, b);
    }
}

/// Sorts in place, not stable: a heap sort, because the standard one panics on
/// an order that is none.
pub fn sort_by<T>(values: &mut [T], mut order: impl FnMut(&T, &T) -> Ordering) {
    let length = values.len();
    for root in (0..length / 2).rev() {
        sift(values, root, length, &mut order);
    }
    for end in (1..length).rev() {
        swap(values, 0, end);
        sift(values, 0, end, &mut order);
    }
}

/// Lets the value at `root` sink into the heap below it.
fn sift<T>(
    values: &mut [T],
    mut root: usize,
    end: usize,
    order: &mut impl FnMut(&T, &T) -> Ordering,
) {
    loop {
        let left = root.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        let mut largest = root;
        for child in [left, right] {
            if child < end
                && let (Some(a), Some(b)) = (values.get(largest), values.get(child))
                && order(a, b).is_lt()
            {
                largest = child;
            }
        }
        if largest == root {
            return;
        }
        swap(values, root, largest);
        root = largest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_grows_by_itself() {
        let mut list = List::new();
        assert_eq!(list.push(1), Err(1));
        list.make_room(1).unwrap();
        while list.push(7).is_ok() {}
        assert_eq!(list.len(), list.room());
        assert_eq!(list.insert(0, 8), Err(8));
        assert_eq!(list.swap_remove(99), None);
        assert!(List::<u64>::with_room(usize::MAX).is_err());
    }

    proptest! {
        #[test]
        fn sorts(mut values: Vec<u8>) {
            let mut expected = values.clone();
            expected.sort_unstable();
            sort_by(&mut values, u8::cmp);
            prop_assert_eq!(values, expected);
        }

        /// Against the standard vector.
        #[test]
        fn as_a_vector_does(steps in prop::collection::vec((0_u8..4, any::<prop::sample::Index>(), any::<u8>()), 0..100)) {
            let (mut list, mut model) = (List::with_room(40).unwrap(), Vec::new());
            for (step, index, value) in steps {
                match step {
                    0 => prop_assert_eq!(list.pop(), model.pop()),
                    1 if !model.is_empty() => {
                        let place = index.index(model.len());
                        prop_assert_eq!(list.swap_remove(place), Some(model.swap_remove(place)));
                    }
                    _ => {
                        let place = index.index(model.len() + 1);
                        if list.insert(place, value).is_ok() {
                            model.insert(place, value);
                        } else {
                            prop_assert_eq!(list.len(), list.room());
                        }
                    }
                }
                prop_assert_eq!(&list[..], &model[..]);
            }
        }
    }
}

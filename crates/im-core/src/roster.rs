//! Who is there: a list that grows, and that is walked while others come and go.
//!
//! Pure: kept behind a spin lock by its owner. Everything on it has a number,
//! and numbers only rise, so that a walk remembers the last number it saw and
//! finds the next one in logarithmic time, whatever was taken off in between.
//! Nothing is allocated or freed under the lock: room is made outside of it
//! ([`Roster::wants`], [`Roster::grow`]).

use crate::list::List;

/// See the module's description.
#[derive(Debug)]
pub struct Roster<P> {
    entries: List<(u64, P)>,
    next: u64,
}

/// Memory for the entries of a roster.
pub type Room<P> = List<(u64, P)>;

impl<P: Copy> Roster<P> {
    /// Nobody.
    pub const fn new() -> Self {
        Self {
            entries: List::new(),
            next: 0,
        }
    }

    /// How many are there.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How much room is needed to put one more on the list; `None` if there is.
    pub fn wants(&self) -> Option<usize> {
        let (length, capacity) = (self.entries.len(), self.entries.room());
        if length < capacity {
            None
        } else {
            Some(capacity.saturating_mul(2).saturating_add(4))
        }
    }

    /// Moves to more room; what is not needed any more is to be freed outside
    /// the lock.
    #[must_use = "freed outside the lock"]
    pub fn grow(&mut self, mut room: Room<P>) -> Room<P> {
        if room.room() <= self.entries.room() {
            return room; // somebody else was faster
        }
        room.clear();
        for entry in &*self.entries {
            let _there_is_room = room.push(*entry);
        }
        core::mem::replace(&mut self.entries, room)
    }

    /// Puts one at the end; its number, or `None` if there is no room.
    pub fn push(&mut self, entry: P) -> Option<u64> {
        let number = self.next;
        self.entries.push((number, entry)).ok()?;
        self.next = self.next.wrapping_add(1);
        Some(number)
    }

    /// The first one behind a number, with its own.
    pub fn after(&self, last: Option<u64>) -> Option<(u64, P)> {
        let start = match last {
            None => 0,
            Some(last) => self.entries.partition_point(|(number, _)| *number <= last),
        };
        self.entries.get(start).copied()
    }

    /// The one at a place; places move when somebody goes.
    pub fn at(&self, place: usize) -> Option<P> {
        self.entries.get(place).map(|(_, entry)| *entry)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = P> {
        self.entries.iter().map(|(_, entry)| *entry)
    }

    /// Keeps those that the closure wants.
    pub fn retain(&mut self, mut keep: impl FnMut(P) -> bool) {
        self.entries.retain(|(_, entry)| keep(*entry));
    }

    /// Takes all of them off; to be freed outside the lock.
    #[must_use = "freed outside the lock"]
    pub fn take(&mut self) -> Room<P> {
        core::mem::take(&mut self.entries)
    }
}

impl<P: Copy> Default for Roster<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn add(roster: &mut Roster<u32>, value: u32) -> u64 {
        if let Some(wanted) = roster.wants() {
            let old = roster.grow(Room::with_room(wanted).unwrap());
            assert!(old.room() < wanted);
        }
        roster.push(value).unwrap()
    }

    #[test]
    fn nothing_is_allocated_by_a_push() {
        let mut roster = Roster::new();
        assert_eq!(roster.push(1), None, "no room yet");
        assert_eq!(add(&mut roster, 1), 0);
        let kept = roster.grow(Room::new());
        assert_eq!((kept.len(), roster.len()), (0, 1), "less room is refused");
    }

    proptest! {
        /// A walk sees everybody who is there all the time, once and in order,
        /// and nobody who was gone before the walk came to him.
        #[test]
        fn walks_survive_changes(steps in prop::collection::vec((0_u8..4, any::<prop::sample::Index>()), 0..300)) {
            let (mut roster, mut model) = (Roster::new(), BTreeMap::new());
            let (mut last, mut value) = (None, 0_u32);
            for (step, index) in steps {
                match step {
                    0 | 1 => {
                        value += 1;
                        let number = add(&mut roster, value);
                        prop_assert_eq!(model.insert(number, value), None);
                    }
                    2 if !model.is_empty() => {
                        let number = *model.keys().nth(index.index(model.len())).unwrap();
                        let gone = model.remove(&number).unwrap();
                        roster.retain(|entry| entry != gone);
                    }
                    _ => {
                        let next = roster.after(last);
                        let expected = model
                            .iter()
                            .find(|(number, _)| last.is_none_or(|last| **number > last))
                            .map(|(number, value)| (*number, *value));
                        prop_assert_eq!(next, expected);
                        last = next.map(|(number, _)| number);
                    }
                }
                prop_assert_eq!(roster.len(), model.len());
                prop_assert!(roster.iter().eq(model.values().copied()));
            }
        }
    }
}

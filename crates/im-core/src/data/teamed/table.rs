//! Which member carries what: a ranking as lists are spread by it, and which
//! buckets have to wait when another one takes its place. Pure.

use super::bond::{BUCKETS, MAX_MEMBERS, Members, NOBODY, Ranking, Slot, Spread};
use core::sync::atomic::{AtomicU32, Ordering};
use ndis::Result;
use ndis::memory::{Pool, PoolBox};

/// The bit of a slot; no bit for none.
pub(super) const fn bit(slot: Slot) -> Members {
    if (slot as usize) < MAX_MEMBERS {
        1 << slot
    } else {
        0
    }
}

/// The slots of a set, in order.
pub(super) fn slots(members: Members) -> impl Iterator<Item = Slot> {
    let mut left = members;
    core::iter::from_fn(move || {
        let slot = left.trailing_zeros();
        left &= left.wrapping_sub(1);
        (slot < Members::BITS).then_some(slot as Slot)
    })
}

/// A set of buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets(pub [u64; BUCKETS / 64]);

impl Buckets {
    /// None of them.
    pub const NONE: Self = Self([0; BUCKETS / 64]);

    /// Adds one.
    pub fn add(&mut self, bucket: u8) {
        if let Some(word) = self.0.get_mut(usize::from(bucket >> 6)) {
            *word |= 1 << (bucket & 63);
        }
    }

    /// Whether one is in the set.
    pub fn has(&self, bucket: u8) -> bool {
        let word = self.0.get(usize::from(bucket >> 6));
        word.is_some_and(|word| word >> (bucket & 63) & 1 != 0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Those of both sets.
    pub fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }

    /// Whether all of another set are in this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .all(|(mine, theirs)| theirs & !mine == 0)
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

/// What is published about a team: complete, and the same for whoever reads it until
/// the next one takes its place.
#[derive(Debug)]
pub struct Table {
    /// Members by bucket.
    pub ranking: Ranking,
    /// Those that lists are sent on; each of them that cannot be used is passed
    /// over. A member that comes back must not be used by the table from before its
    /// death: it is taken off here first.
    pub members: AtomicU32,
    /// How many buckets each member is the first of: its share of the traffic.
    pub share: [u16; MAX_MEMBERS],
    /// Members in turns, each as often as its share.
    pub turns: [Slot; BUCKETS],
}

impl Table {
    /// Nobody; made where it stays, as it is too large for the kernel's stack.
    /// IRQL <= DISPATCH_LEVEL.
    pub fn make(pool: Pool) -> Result<PoolBox<Self>> {
        // SAFETY: (MEM-1) slots are bytes, of which `NOBODY` is one; every other
        // member is a number or a row of them, which may be zero.
        unsafe {
            PoolBox::<Self>::try_in_place(pool, |place| {
                let table: *mut Self = place.as_ptr();
                table.write_bytes(0, 1);
                (&raw mut (*table).ranking).write_bytes(NOBODY, 1);
                (&raw mut (*table).turns).write_bytes(NOBODY, 1);
            })
        }
    }

    /// Those that lists are sent on, by this table.
    pub fn members(&self) -> Members {
        self.members.load(Ordering::Acquire)
    }

    /// Says whom lists are sent on, before the table is published.
    pub fn set_members(&mut self, members: Members) {
        *self.members.get_mut() = members;
    }

    /// Makes share and turns from ranking and members.
    pub fn complete(&mut self) {
        let members = self.members();
        self.share = [0; MAX_MEMBERS];
        for bucket in 0..=u8::MAX {
            if let Some(slot) = self.ranking.member(bucket, members)
                && let Some(share) = self.share.get_mut(usize::from(slot))
            {
                *share = share.saturating_add(1);
            }
        }
        // Each turn goes to the member that is farthest behind its share, so that
        // the turns of each lie as far apart as they can.
        let mut behind = [0_i32; MAX_MEMBERS];
        let total: i32 = self.share.iter().map(|share| i32::from(*share)).sum();
        for turn in &mut self.turns {
            let mut next = None;
            for ((slot, behind), share) in (0..).zip(&mut behind).zip(&self.share) {
                *behind += i32::from(*share);
                let ahead = next.is_none_or(|(_, most)| *behind > most);
                if *share != 0 && ahead {
                    next = Some((slot, *behind));
                }
            }
            *turn = next.map_or(NOBODY, |(slot, _)| slot);
            if let Some(behind) = behind.get_mut(usize::from(*turn)) {
                *behind -= total;
            }
        }
    }

    /// The member whose turn it is, among those that can be used.
    /// IRQL <= DISPATCH_LEVEL.
    pub fn turn(&self, turn: u32, usable: Members) -> Option<Slot> {
        let slot = self.turns.get(turn as usize % BUCKETS).copied();
        if let Some(slot) = slot.filter(|slot| usable & bit(*slot) != 0) {
            return Some(slot);
        }
        let count = usable.count_ones();
        let place = turn.checked_rem(count)?;
        slots(usable).nth(place as usize)
    }
}

/// Which buckets have to wait until their members are empty before another table
/// takes the place of one: those that go from a living member to another one. A
/// bucket whose member is dead goes elsewhere at once, and one that stays is not
/// touched.
pub fn moving(
    spread: Spread,
    from: (&Ranking, Members),
    to: (&Ranking, Members),
    living: Members,
) -> Buckets {
    let last = match spread {
        Spread::One => 0,
        Spread::Buckets => u8::MAX,
        // Their words say where they are; nothing to keep in order in the others.
        Spread::Flowlets(_) | Spread::Turns | Spread::All => return Buckets::NONE,
    };
    let mut found = Buckets::NONE;
    for bucket in 0..=last {
        let before = from.0.member(bucket, from.1);
        let after = to.0.member(bucket, to.1);
        if let (Some(before), Some(after)) = (before, after)
            && before != after
            && living & bit(before) != 0
        {
            found.add(bucket);
        }
    }
    found
}

/// The members that these buckets are left by.
pub fn left(ranking: &Ranking, members: Members, buckets: &Buckets) -> Members {
    (0..=u8::MAX)
        .filter(|bucket| buckets.has(*bucket))
        .filter_map(|bucket| ranking.member(bucket, members))
        .fold(0, |left, slot| left | bit(slot))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::boxed::Box;
    use std::vec::Vec;

    /// A ranking by a hash of bucket and slot, of these members.
    pub(in crate::data::teamed) fn ranking(members: Members, seed: u64) -> Box<Ranking> {
        let mut ranking = Box::new(Ranking::EMPTY);
        for (bucket, order) in (0_u64..).zip(&mut ranking.0) {
            let mut all: Vec<Slot> = slots(members).collect();
            all.sort_by_key(|slot| {
                (bucket * 37 + u64::from(*slot) + seed)
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    .rotate_left(23)
                    .wrapping_mul(0xFF51_AFD7_ED55_8CCD)
            });
            for (place, slot) in order.iter_mut().zip(all) {
                *place = slot;
            }
        }
        ranking
    }

    fn spread() -> impl Strategy<Value = Spread> {
        prop_oneof![
            Just(Spread::One),
            Just(Spread::Buckets),
            Just(Spread::Flowlets(10)),
            Just(Spread::Turns),
            Just(Spread::All)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 100 }))]

        /// A death moves only what was on the dead member, and nothing waits for it.
        #[test]
        fn a_death_holds_nothing(members: u32, seed: u64, dead in 0_u8..32, spread in spread()) {
            let ranking = ranking(members, seed);
            let after = members & !bit(dead);
            for bucket in 0..=u8::MAX {
                let before = ranking.member(bucket, members);
                if before != Some(dead) {
                    prop_assert_eq!(before, ranking.member(bucket, after));
                }
            }
            let held = moving(spread, (&ranking, members), (&ranking, after), !bit(dead));
            prop_assert!(held.is_empty());
        }

        /// Exactly those wait that would otherwise overtake themselves.
        #[test]
        fn who_leaves_a_living_member_waits(
            before: u32, after: u32, living: u32, seed: u64, other: u64,
        ) {
            let (old, new) = (ranking(before, seed), ranking(after, other));
            let held = moving(Spread::Buckets, (&old, before), (&new, after), living);
            let mut from = 0;
            for bucket in 0..=u8::MAX {
                let (a, b) = (old.member(bucket, before), new.member(bucket, after));
                let waits = a != b && b.is_some() && a.is_some_and(|a| living & bit(a) != 0);
                prop_assert_eq!(held.has(bucket), waits);
                if waits {
                    from |= bit(a.unwrap());
                }
            }
            prop_assert_eq!(left(&old, before, &held), from);
            let one = moving(Spread::One, (&old, before), (&new, after), living);
            prop_assert_eq!(one.has(0), held.has(0));
            prop_assert!(one.count() <= 1 && held.covers(&one));
        }

        /// Turns: nobody that cannot be used, everybody by its share.
        #[test]
        fn turns_are_fair(members: u32, usable: u32, seed: u64) {
            let mut table = Table::make(crate::data::teamed::tests::POOL).unwrap();
            table.ranking = *ranking(members, seed);
            table.set_members(members);
            table.complete();
            let mut seen = [0_u16; 32];
            for turn in 0..256 {
                let slot = table.turn(turn, members);
                prop_assert_eq!(slot.is_none(), members == 0);
                if let Some(slot) = slot {
                    seen[usize::from(slot)] += 1;
                }
                let among = members & usable;
                let slot = table.turn(turn, among);
                prop_assert_eq!(slot.is_none(), among == 0);
                prop_assert!(slot.is_none_or(|slot| among & bit(slot) != 0));
            }
            prop_assert_eq!(seen, table.share);
        }
    }

    #[test]
    fn sets_of_buckets() {
        let mut set = Buckets::NONE;
        for bucket in [0, 63, 64, 255] {
            assert!(!set.has(bucket));
            set.add(bucket);
            assert!(set.has(bucket));
        }
        assert_eq!(set.count(), 4);
        let mut other = Buckets::NONE;
        other.add(7);
        assert!(!set.covers(&other));
        set.join(&other);
        assert!(set.covers(&other) && !other.covers(&set) && !set.is_empty());
        assert_eq!(slots(0b1001_0010).collect::<Vec<_>>(), [1, 4, 7]);
        assert_eq!(bit(32), 0);
    }
}

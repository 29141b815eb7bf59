//! Which member carries which bucket, and who follows when it does not.
//!
//! Every bucket has all members of the team in an order; the first of them that can
//! be used carries it. So the death of a member moves its buckets and no others, and
//! costs nothing to find out.
//!
//! | What | Promise |
//! |---|---|
//! | First members | Exact quotas: each member has its weight's share of the buckets, rounded down or up (largest remainder) |
//! | Second members | The buckets of each member are shared by the others in the same way, so one death leaves everybody within two buckets of its share |
//! | Third members | The same for the buckets of each pair, where a pair has many |
//! | The rest | Weighted rendezvous: the order of a hash of bucket and slot |
//! | Join, leave, another weight | A member gives away only what it has above its new quota: as few buckets move as with these quotas can. What a member leaves behind goes to the second member of the bucket as far as its quota allows, so what moved at its death stays where it is |
//!
//! Integers only, no memory. The longest, [`Owners::rank`], hashes every bucket with
//! every member and sorts; it is done when members come and go. IRQL <=
//! DISPATCH_LEVEL.

use im_core::data::teamed::{BUCKETS, MAX_MEMBERS, NOBODY, Ranking, Slot};
use im_core::list::sort_by;

/// The place of the third member in an order.
const THIRD: usize = 2;

/// What each slot's member weighs; zero: nobody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights(pub [u32; MAX_MEMBERS]);

impl Weights {
    /// Nobody is there.
    pub const NONE: Self = Self([0; MAX_MEMBERS]);

    fn of(&self, slot: Slot) -> u32 {
        self.0.get(usize::from(slot)).copied().unwrap_or(0)
    }

    /// Whether a member is there.
    pub fn has(&self, slot: Slot) -> bool {
        self.of(slot) > 0
    }

    /// The same without some slots.
    fn without(&self, slots: &[Slot]) -> Self {
        let mut others = *self;
        for slot in slots {
            if let Some(weight) = others.0.get_mut(usize::from(*slot)) {
                *weight = 0;
            }
        }
        others
    }

    /// Sets a slot's weight; a member has one of at least 1.
    pub fn set(&mut self, slot: Slot, weight: u32) {
        if let Some(place) = self.0.get_mut(usize::from(slot)) {
            *place = weight;
        }
    }
}

/// Spreads its input's bits over all of its output's (the finalizer of SplitMix64).
const fn mixed(input: u64) -> u64 {
    let mut state = input.wrapping_add(0x9E37_79B9_7F4A_7C15);
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

/// The logarithm to base 2 of a number in (0, 1], which is `numerator` + 1 out of
/// 2^32, with its sign turned, in parts of 65,536. Good to one in a hundred.
const fn minus_log2(numerator: u32) -> u64 {
    let number = numerator as u64 + 1;
    let zeros = number.leading_zeros(); // 31..=63
    let whole = 63 - zeros; // of the number, 0..=32
    let mantissa = number << zeros; // its upper bit is set
    let fraction = (mantissa << 1) >> 48; // 0..65,536
    // log2(1 + f) = f + 0.3431 f (1 - f), nearly.
    let bent = (fraction * (65_536 - fraction)) >> 16;
    let log = ((whole as u64) << 16) + fraction + ((bent * 22_486) >> 16);
    (32 << 16_u64) - if log > 32 << 16 { 32 << 16 } else { log }
}

/// How much buckets dislike members: the least is the first. The minimum over members
/// falls to each with the probability of its weight's share (weighted rendezvous
/// hashing).
struct Dislike {
    /// One by the weight, in parts of 2^42; zero: nobody is there.
    inverse: [u64; MAX_MEMBERS],
}

impl Dislike {
    fn new(weights: &Weights) -> Self {
        let inverse = |weight: u32| (1_u64 << 42).checked_div(u64::from(weight));
        Self {
            inverse: weights.0.map(|weight| inverse(weight).unwrap_or(0)),
        }
    }

    fn of(&self, bucket: u8, slot: Slot) -> (u64, Slot) {
        let inverse = self.inverse.get(usize::from(slot)).copied().unwrap_or(0);
        // Below 2^22 times 2^42: there is room.
        let cost = minus_log2((hash(bucket, slot) >> 32) as u32).wrapping_mul(inverse);
        (cost, slot)
    }
}

/// What is between a bucket and a slot.
const fn hash(bucket: u8, slot: Slot) -> u64 {
    mixed(((bucket as u64) << 8) | slot as u64)
}

/// Shares out `seats` by weight: rounded down, and the rest to the largest
/// remainders. Of equal remainders `group` decides, so that many small groups do not
/// all favour the same.
fn quotas(weights: &Weights, seats: usize, group: u64) -> [u16; MAX_MEMBERS] {
    let total: u64 = weights.0.iter().map(|weight| u64::from(*weight)).sum();
    let mut quotas = [0_u16; MAX_MEMBERS];
    if total == 0 {
        return quotas;
    }
    let mut remainders = [(0_u64, 0_u64); MAX_MEMBERS];
    let mut left = seats;
    for (slot, ((quota, remainder), weight)) in quotas
        .iter_mut()
        .zip(&mut remainders)
        .zip(&weights.0)
        .enumerate()
    {
        // Below 2^32 times 256.
        let product = u64::from(*weight) * seats as u64;
        *quota = (product / total) as u16;
        *remainder = (product % total, mixed((group << 8) | slot as u64));
        left = left.saturating_sub(usize::from(*quota));
    }
    while left > 0 {
        let best = weights
            .0
            .iter()
            .zip(&mut remainders)
            .zip(&mut quotas)
            .filter(|((weight, _), _)| **weight > 0)
            .max_by_key(|((_, remainder), _)| **remainder);
        let Some(((_, remainder), quota)) = best else {
            break;
        };
        *remainder = (0, 0);
        *quota = quota.saturating_add(1);
        left -= 1;
    }
    quotas
}

/// Takes the one of those with a quota left whom the bucket dislikes least.
fn take(bucket: u8, dislike: &Dislike, quotas: &mut [u16; MAX_MEMBERS]) -> Slot {
    let best = quotas
        .iter_mut()
        .zip(0..)
        .filter(|(quota, _)| **quota > 0)
        .min_by_key(|(_, slot)| dislike.of(bucket, *slot));
    match best {
        Some((quota, slot)) => {
            *quota -= 1;
            slot
        }
        None => NOBODY,
    }
}

/// The buckets sorted by their group: runs of equal ones, `NO_GROUP` left out.
struct Groups([u32; BUCKETS]);

/// A bucket of no group.
const NO_GROUP: u16 = u16::MAX;

impl Groups {
    fn new(group: impl Fn(u8) -> u16) -> Self {
        let mut sorted = [0; BUCKETS];
        for (place, bucket) in sorted.iter_mut().zip(0..=u8::MAX) {
            *place = u32::from(group(bucket)) << 8 | u32::from(bucket);
        }
        sort_by(&mut sorted, Ord::cmp);
        Self(sorted)
    }

    /// Each group with its buckets.
    fn each(&self) -> impl Iterator<Item = (u16, impl ExactSizeIterator<Item = u8> + '_)> {
        let group = |entry: u32| (entry >> 8) as u16;
        let mut rest = self.0.as_slice();
        // Not `chunk_by`, in which a panic is left.
        let runs = core::iter::from_fn(move || {
            let number = group(*rest.first()?);
            let is_one = |entry: &&u32| group(**entry) == number;
            let (run, more) = rest.split_at_checked(rest.iter().take_while(is_one).count())?;
            rest = more;
            Some((number, run.iter().map(|entry| *entry as u8)))
        });
        runs.filter(|(number, _)| *number != NO_GROUP)
    }
}

/// Who carries each bucket when all live, and who follows. It remembers, so that a
/// change moves as little as it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    weights: Weights,
    first: [Slot; BUCKETS],
    second: [Slot; BUCKETS],
}

impl Owners {
    /// Of a team without members.
    pub const EMPTY: Self = Self {
        weights: Weights::NONE,
        first: [NOBODY; BUCKETS],
        second: [NOBODY; BUCKETS],
    };

    /// The weights of the last update.
    pub const fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Members came or went, or weigh otherwise. Says whether anything is other than
    /// before. IRQL <= DISPATCH_LEVEL.
    pub fn update(&mut self, weights: &Weights) -> bool {
        if self.weights == *weights {
            return false;
        }
        self.weights = *weights;
        let quotas = quotas(weights, BUCKETS, u64::MAX >> 8);
        let mut counts = [0_u16; MAX_MEMBERS];
        for owner in &mut self.first {
            match counts.get_mut(usize::from(*owner)) {
                Some(count) if weights.has(*owner) => *count += 1,
                _ => *owner = NOBODY,
            }
        }
        // What is without an owner goes to its second, who may carry it already.
        for (owner, second) in self.first.iter_mut().zip(&self.second) {
            let slot = usize::from(*second);
            if let (NOBODY, Some(count), Some(quota)) =
                (*owner, counts.get_mut(slot), quotas.get(slot))
                && *count < *quota
            {
                *count += 1;
                *owner = *second;
            }
        }
        // Whoever has too little takes what suits it best: ownerless buckets, or those
        // of others that have too many.
        for (slot, quota) in (0..).zip(&quotas) {
            let has = counts.get(usize::from(slot)).copied().unwrap_or(0);
            if has < *quota {
                self.give(slot, *quota - has, &quotas, &mut counts);
            }
        }
        self.fill_second();
        true
    }

    /// Gives `missing` buckets to a member that has too few.
    fn give(
        &mut self,
        to: Slot,
        mut missing: u16,
        quotas: &[u16; MAX_MEMBERS],
        counts: &mut [u16; MAX_MEMBERS],
    ) {
        // Those that it is liked by first.
        let mut order = [0; BUCKETS];
        for (place, bucket) in order.iter_mut().zip(0..=u8::MAX) {
            *place = (!hash(bucket, to) & !0xFF) | u64::from(bucket);
        }
        sort_by(&mut order, Ord::cmp);
        for wants_owner in [false, true] {
            for entry in order {
                let Some(owner) = self.first.get_mut(entry as usize & 0xFF) else {
                    continue;
                };
                let place = usize::from(*owner);
                match counts.get_mut(place).zip(quotas.get(place)) {
                    _ if missing == 0 => return,
                    None if !wants_owner => {}
                    Some((count, quota)) if wants_owner && *count > *quota => *count -= 1,
                    _ => continue,
                }
                *owner = to;
                missing -= 1;
                if let Some(count) = counts.get_mut(usize::from(to)) {
                    *count = count.saturating_add(1);
                }
            }
        }
    }

    fn fill_second(&mut self) {
        self.second = [NOBODY; BUCKETS];
        let dislike = Dislike::new(&self.weights);
        let owner = |bucket: u8| self.first.get(usize::from(bucket)).copied();
        let groups = Groups::new(|bucket| match owner(bucket) {
            Some(owner) if owner != NOBODY => u16::from(owner),
            _ => NO_GROUP,
        });
        for (group, buckets) in groups.each() {
            let others = self.weights.without(&[group as Slot]);
            let mut quotas = quotas(&others, buckets.len(), u64::from(group));
            for bucket in buckets {
                if let Some(second) = self.second.get_mut(usize::from(bucket)) {
                    *second = take(bucket, &dislike, &mut quotas);
                }
            }
        }
    }

    /// Writes the order of all members for every bucket. IRQL <= DISPATCH_LEVEL.
    pub fn rank(&self, ranking: &mut Ranking) {
        let pairs = self.first.iter().zip(&self.second);
        for (order, (first, second)) in ranking.0.iter_mut().zip(pairs) {
            *order = [NOBODY; MAX_MEMBERS];
            let [one, two, ..] = order;
            (*one, *two) = (*first, *second);
        }
        let dislike = Dislike::new(&self.weights);
        self.fill_third(&dislike, ranking);
        for (order, bucket) in ranking.0.iter_mut().zip(0..=u8::MAX) {
            let mut rest = self.weights;
            let mut used = 0;
            for slot in order.iter().take_while(|slot| **slot != NOBODY) {
                rest.set(*slot, 0);
                used += 1;
            }
            let mut keys = [(u64::MAX, NOBODY); MAX_MEMBERS];
            let mut count = 0;
            let members = (0..).zip(&rest.0).filter(|(_, weight)| **weight > 0);
            for (key, (slot, _)) in keys.iter_mut().zip(members) {
                *key = dislike.of(bucket, slot);
                count += 1;
            }
            let keys = keys.get_mut(..count).unwrap_or_default();
            sort_by(keys, Ord::cmp);
            let places = order.get_mut(used..).unwrap_or_default();
            for (place, (_, slot)) in places.iter_mut().zip(keys) {
                *place = *slot;
            }
        }
    }

    /// Thirds: the buckets of each pair are shared by the others, if there are enough
    /// of them to share.
    fn fill_third(&self, dislike: &Dislike, ranking: &mut Ranking) {
        let members = self.weights.0.iter().filter(|weight| **weight > 0).count();
        let pair = |bucket: u8| match ranking.0.get(usize::from(bucket)) {
            Some([one, two, ..]) if *two != NOBODY => {
                u16::from(*one.min(two)) << 8 | u16::from(*one.max(two))
            }
            _ => NO_GROUP,
        };
        for (group, buckets) in Groups::new(pair).each() {
            if buckets.len() * 2 < members {
                continue;
            }
            let [one, two] = group.to_be_bytes();
            let others = self.weights.without(&[one, two]);
            let mut quotas = quotas(&others, buckets.len(), u64::from(group) + (1 << 16));
            for bucket in buckets {
                let order = ranking.0.get_mut(usize::from(bucket));
                if let Some(third) = order.and_then(|order| order.get_mut(THIRD)) {
                    *third = take(bucket, dislike, &mut quotas);
                }
            }
        }
    }
}

/// The same order for every bucket: that of active-backup.
pub fn rank_alike(members: impl Iterator<Item = Slot>, ranking: &mut Ranking) {
    let mut alike = [NOBODY; MAX_MEMBERS];
    for (place, slot) in alike.iter_mut().zip(members) {
        *place = slot;
    }
    ranking.0.fill(alike);
}

#[cfg(test)]
#[path = "ranking_tests.rs"]
mod tests;

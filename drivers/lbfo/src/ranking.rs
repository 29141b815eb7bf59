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
//! | Third members | The same for the buckets of each pair |
//! | The rest | Weighted rendezvous: the order of a hash of bucket and slot |
//! | Join, leave, another weight | A member gives away only what it has above its new quota: as few buckets move as with these quotas can. What a member leaves behind goes to the second member of the bucket as far as its quota allows, so what moved at its death stays where it is |
//!
//! Integers only, no memory: the longest, [`Owners::rank`], is some hundred thousand
//! simple steps with 32 members, done when members come and go. IRQL <=
//! DISPATCH_LEVEL.

use im_core::data::teamed::{BUCKETS, MAX_MEMBERS, NOBODY, Ranking, Slot};

/// Members by rank that [`Owners`] has quotas for; the others are in hash order.
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

/// How much a bucket dislikes a member: the least is the first. The minimum over
/// members falls to each with the probability of its weight's share (weighted
/// rendezvous hashing).
fn dislike(bucket: usize, slot: Slot, weight: u32) -> (u64, Slot) {
    let hash = mixed(((bucket as u64) << 8) | u64::from(slot));
    let cost = (minus_log2((hash >> 32) as u32) << 40) / u64::from(weight.max(1));
    (cost, slot)
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
fn take(bucket: usize, weights: &Weights, quotas: &mut [u16; MAX_MEMBERS]) -> Slot {
    let best = quotas
        .iter_mut()
        .zip(0..)
        .filter(|(quota, _)| **quota > 0)
        .min_by_key(|(_, slot)| dislike(bucket, *slot, weights.of(*slot)));
    match best {
        Some((quota, slot)) => {
            *quota -= 1;
            slot
        }
        None => NOBODY,
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
            let missing = counts
                .get(usize::from(slot))
                .map_or(0, |count| quota.saturating_sub(*count));
            for _ in 0..missing {
                self.give(slot, &quotas, &mut counts);
            }
        }
        self.fill_second();
        true
    }

    /// Gives a bucket to a member that has too few.
    fn give(&mut self, to: Slot, quotas: &[u16; MAX_MEMBERS], counts: &mut [u16; MAX_MEMBERS]) {
        let weight = self.weights.of(to);
        let free = |owner: Slot| {
            let place = usize::from(owner);
            match counts.get(place).zip(quotas.get(place)) {
                Some((count, quota)) => count > quota,
                None => true,
            }
        };
        let best = self
            .first
            .iter_mut()
            .enumerate()
            .filter(|(_, owner)| free(**owner))
            .min_by_key(|(bucket, owner)| (**owner != NOBODY, dislike(*bucket, to, weight)));
        if let Some((_, owner)) = best {
            for (slot, up) in [(*owner, false), (to, true)] {
                if let Some(count) = counts.get_mut(usize::from(slot)) {
                    *count = if up { *count + 1 } else { *count - 1 };
                }
            }
            *owner = to;
        }
    }

    fn fill_second(&mut self) {
        self.second = [NOBODY; BUCKETS];
        for slot in (0..MAX_MEMBERS as Slot).filter(|slot| self.weights.has(*slot)) {
            let others = self.weights.without(&[slot]);
            let size = self.first.iter().filter(|owner| **owner == slot).count();
            let mut quotas = quotas(&others, size, u64::from(slot));
            let places = self.first.iter().zip(&mut self.second).enumerate();
            for (bucket, (_, second)) in places.filter(|(_, (owner, _))| **owner == slot) {
                *second = take(bucket, &others, &mut quotas);
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
        self.fill_third(ranking);
        for (bucket, order) in ranking.0.iter_mut().enumerate() {
            let mut rest = self.weights;
            let mut used = 0;
            for slot in order.iter().filter(|slot| **slot != NOBODY) {
                rest.set(*slot, 0);
                used += 1;
            }
            let mut keys = [(u64::MAX, NOBODY); MAX_MEMBERS];
            let members = (0..).zip(&rest.0).filter(|(_, weight)| **weight > 0);
            for (key, (slot, weight)) in keys.iter_mut().zip(members) {
                *key = dislike(bucket, slot, *weight);
            }
            keys.sort_unstable();
            let places = order.get_mut(used..).unwrap_or_default();
            for (place, (_, slot)) in places.iter_mut().zip(keys) {
                *place = slot;
            }
        }
    }

    /// Thirds: the buckets of each pair are shared by the others.
    fn fill_third(&self, ranking: &mut Ranking) {
        let slots = || (0..MAX_MEMBERS as Slot).filter(|slot| self.weights.has(*slot));
        for one in slots() {
            for two in slots().filter(|two| *two > one) {
                let is_pair = |order: &[Slot; MAX_MEMBERS]| matches!(order, [a, b, ..] if (*a == one && *b == two) || (*a == two && *b == one));
                let size = ranking.0.iter().filter(|order| is_pair(order)).count();
                if size == 0 {
                    continue;
                }
                let others = self.weights.without(&[one, two]);
                let group = 0x100 + (u64::from(one) << 8) + u64::from(two);
                let mut quotas = quotas(&others, size, group);
                let places = ranking.0.iter_mut().enumerate();
                for (bucket, order) in places.filter(|(_, order)| is_pair(order)) {
                    if let Some(third) = order.get_mut(THIRD) {
                        *third = take(bucket, &others, &mut quotas);
                    }
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

//! Chance and content from a seed.
//!
//! [`mix`] is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014). It is
//! used in counter mode: word *i* of a stream is `mix(seed + i * GAMMA)`, so that
//! any part of a stream can be produced or checked without what precedes it, and
//! 64 MiB of reference content need no memory.

/// The odd constant that SplitMix64 steps its counter by.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads every input bit over the output.
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A seed for part `index` of what `seed` governs, independent of its siblings.
pub const fn derive(seed: u64, index: u64) -> u64 {
    mix(seed ^ mix(index.wrapping_add(1).wrapping_mul(GAMMA)))
}

/// A small seeded generator of decisions.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// Starts from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number below `bound`, or 0 when `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: no division, bias below 2^-32 for the
        // bounds used here.
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True in `per_million` of a million cases.
    pub const fn hit(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < per_million as u64
    }
}

/// An endless byte stream that a seed decides, addressable by offset.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    seed: u64,
}

impl Content {
    /// The stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    const fn word(self, index: u64) -> [u8; 8] {
        mix(self.seed.wrapping_add(index.wrapping_mul(GAMMA))).to_le_bytes()
    }

    /// Writes the stream's bytes from `offset` on.
    pub fn fill(self, offset: u64, bytes: &mut [u8]) {
        let (mut index, head) = (offset / 8, (offset % 8) as usize);
        let first = bytes.len().min((8 - head) % 8);
        let (start, rest) = bytes.split_at_mut(first);
        if !start.is_empty() {
            start.copy_from_slice(&self.word(index)[head..head + first]);
            index += 1;
        }
        let (words, tail) = rest.as_chunks_mut::<8>();
        for word in words {
            *word = self.word(index);
            index = index.wrapping_add(1);
        }
        let length = tail.len();
        tail.copy_from_slice(&self.word(index)[..length]);
    }

    /// The offset of the first byte that is not the stream's, if there is one.
    pub fn check(self, offset: u64, bytes: &[u8]) -> Option<u64> {
        let (mut index, head) = (offset / 8, (offset % 8) as usize);
        let first = bytes.len().min((8 - head) % 8);
        let (start, rest) = bytes.split_at(first);
        if !start.is_empty() {
            if start != &self.word(index)[head..head + first] {
                return Some(self.first_wrong(offset, bytes));
            }
            index += 1;
        }
        let (words, tail) = rest.as_chunks::<8>();
        let mut wrong = false;
        // No early exit: the loop without one is several times faster.
        for word in words {
            wrong |= *word != self.word(index);
            index = index.wrapping_add(1);
        }
        wrong |= tail != &self.word(index)[..tail.len()];
        wrong.then(|| self.first_wrong(offset, bytes))
    }

    fn first_wrong(self, offset: u64, bytes: &[u8]) -> u64 {
        let mut at = offset;
        for byte in bytes {
            if self.word(at / 8)[(at % 8) as usize] != *byte {
                break;
            }
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_the_same_however_it_is_cut() {
        let content = Content::new(7);
        let mut whole = [0; 100];
        content.fill(0, &mut whole);
        for start in 0..40 {
            for end in start..100 {
                let mut part = vec![0; end - start];
                content.fill(start as u64, &mut part);
                assert_eq!(part, whole[start..end], "{start}..{end}");
                assert_eq!(content.check(start as u64, &part), None);
            }
        }
    }

    #[test]
    fn every_changed_byte_is_found_where_it_is() {
        let content = Content::new(8);
        for start in 0..9 {
            let mut bytes = [0; 41];
            content.fill(start, &mut bytes);
            for at in 0..bytes.len() {
                bytes[at] ^= 1;
                assert_eq!(content.check(start, &bytes), Some(start + at as u64));
                bytes[at] ^= 1;
            }
        }
    }

    #[test]
    fn streams_of_different_seeds_differ() {
        let mut bytes = [0; 64];
        Content::new(1).fill(0, &mut bytes);
        assert_eq!(Content::new(2).check(0, &bytes), Some(0));
        assert_ne!(derive(1, 0), derive(1, 1));
        assert_ne!(derive(1, 0), derive(2, 0));
    }

    #[test]
    fn chance_stays_in_range_and_reaches_both_ends() {
        let mut chance = Chance::new(3);
        let mut seen = [0_u32; 4];
        for _ in 0..4_000 {
            seen[chance.between(0, 3) as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (800..1200).contains(count)),
            "{seen:?}"
        );
        assert_eq!(chance.below(0), 0);
        assert!(!chance.hit(0));
        assert!(chance.hit(1_000_000));
    }
}

//! A table from MAC addresses to values: built once, then only read.
//!
//! Open addressing with a bound on probes. Building tries multipliers, then
//! larger tables, until every address lies within the bound, so that a look-up
//! never takes longer than [`PROBES`] steps, whatever the addresses are and
//! whatever is looked up. Looking up needs no lock and no memory (any IRQL);
//! building allocates, fallibly (PASSIVE_LEVEL).

use ethernet::Mac;
use im_core::list::List;

/// Longest walk of a look-up.
pub const PROBES: usize = 16;
/// Multipliers that are tried before the table grows.
const MULTIPLIERS: u64 = 8;
/// How often the table may double.
const DOUBLINGS: u32 = 3;
/// No MAC address has this number.
const EMPTY: u64 = u64::MAX;

/// The memory for a table, or a place for every address, could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

#[derive(Clone, Copy, Debug)]
struct Slot<V> {
    key: u64,
    value: V,
}

/// The table.
#[derive(Debug)]
pub struct MacTable<V> {
    slots: List<Slot<V>>,
    multiplier: u64,
    shift: u32,
    keys: usize,
}

/// Odd numbers without a pattern (the finaliser of SplitMix64).
const fn multiplier(attempt: u64) -> u64 {
    let mut x = attempt.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)) | 1
}

/// As many as wanted of the same.
pub(crate) fn filled<V: Copy>(count: usize, value: V) -> Result<List<V>, NoMemory> {
    let mut list = List::with_room(count).map_err(|_| NoMemory)?;
    for _ in 0..count {
        list.push(value).map_err(|_| NoMemory)?;
    }
    Ok(list)
}

impl<V> Default for MacTable<V> {
    /// Without a key.
    fn default() -> Self {
        Self {
            slots: List::new(),
            multiplier: 1,
            shift: 0,
            keys: 0,
        }
    }
}

impl<V: Copy> MacTable<V> {
    /// A table of these addresses, each with `value` at first. Addresses may
    /// come more than once.
    pub fn new<I>(addresses: &I, value: V) -> Result<Self, NoMemory>
    where
        I: Iterator<Item = Mac> + Clone,
    {
        let count = addresses.clone().count();
        if count == 0 {
            return Ok(Self::default());
        }
        // At most a third full: walks are short and the first try mostly fits.
        let wanted = count.checked_mul(3).ok_or(NoMemory)?;
        let mut capacity = wanted.checked_next_power_of_two().ok_or(NoMemory)?;
        let empty = Slot { key: EMPTY, value };
        for _ in 0..=DOUBLINGS {
            let mut slots = filled(capacity, empty)?;
            for attempt in 0..MULTIPLIERS {
                let mut table = Self {
                    slots,
                    multiplier: multiplier(attempt),
                    shift: u64::BITS - capacity.trailing_zeros(),
                    keys: 0,
                };
                if addresses.clone().all(|mac| table.insert(mac)) {
                    return Ok(table);
                }
                table.slots.fill(empty);
                slots = table.slots;
            }
            capacity = capacity.checked_mul(2).ok_or(NoMemory)?;
        }
        Err(NoMemory)
    }

    /// Finds or makes a place; false if there is none within the bound.
    fn insert(&mut self, mac: Mac) -> bool {
        let key = mac.number();
        for probe in 0..PROBES {
            let at = self.place(key, probe);
            let Some(slot) = self.slots.get_mut(at) else {
                return false;
            };
            if slot.key == key {
                return true;
            }
            if slot.key == EMPTY {
                slot.key = key;
                self.keys = self.keys.saturating_add(1);
                return true;
            }
        }
        false
    }

    /// The slots are a power of two of at least four, so the shift is below 64.
    fn place(&self, key: u64, probe: usize) -> usize {
        let first = key.wrapping_mul(self.multiplier) >> (self.shift & 63);
        (first as usize).wrapping_add(probe) & self.slots.len().wrapping_sub(1)
    }

    fn find(&self, mac: Mac) -> Option<usize> {
        let key = mac.number();
        for probe in 0..PROBES {
            let at = self.place(key, probe);
            let slot = self.slots.get(at)?;
            if slot.key == key {
                return Some(at);
            }
            if slot.key == EMPTY {
                return None;
            }
        }
        None
    }

    /// The value of an address.
    pub fn get(&self, mac: Mac) -> Option<&V> {
        self.slots.get(self.find(mac)?).map(|slot| &slot.value)
    }

    /// The value of an address, to be changed.
    pub fn get_mut(&mut self, mac: Mac) -> Option<&mut V> {
        let at = self.find(mac)?;
        self.slots.get_mut(at).map(|slot| &mut slot.value)
    }

    /// Every address with its value, in the order of the slots.
    pub fn entries_mut(&mut self) -> impl Iterator<Item = (Mac, &mut V)> {
        self.slots
            .iter_mut()
            .filter(|slot| slot.key != EMPTY)
            .map(|slot| (Mac::from_number(slot.key), &mut slot.value))
    }

    /// Every address, in the order of the slots.
    pub fn keys(&self) -> impl Iterator<Item = Mac> {
        self.slots
            .iter()
            .filter(|slot| slot.key != EMPTY)
            .map(|slot| Mac::from_number(slot.key))
    }

    /// Different addresses in the table.
    pub const fn len(&self) -> usize {
        self.keys
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.keys == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_empty_table_has_nothing() {
        let table = MacTable::<u8>::new(&core::iter::empty(), 0).unwrap();
        assert!(table.is_empty());
        assert_eq!(table.get(Mac::BROADCAST), None);
        assert_eq!(table.get(Mac::ZERO), None);
    }

    /// All VLANs' worth of derived addresses, and multicast groups in a row.
    #[test]
    fn rows_of_addresses_stay_within_the_bound() {
        for (base, step) in [
            (0x4200_0000_0001_u64, 1 << 24),
            (0x0100_5E00_0000, 1),
            (0x3333_0000_0000, 0x0100),
        ] {
            let count = if cfg!(miri) { 64 } else { 4094 };
            let row = (0..count).map(|n| Mac::from_number(base + n * step));
            let mut table = MacTable::new(&row, 0).unwrap();
            assert_eq!(table.len() as u64, count);
            for (n, mac) in row.clone().enumerate() {
                *table.get_mut(mac).unwrap() = n;
            }
            for (n, mac) in row.enumerate() {
                assert_eq!(table.get(mac), Some(&n));
            }
            assert!(table.slots.len() <= 1 << 16, "{}", table.slots.len());
        }
    }

    proptest! {
        /// The same as a map, for addresses that are in it and for others.
        #[test]
        fn like_a_map(
            addresses in proptest::collection::vec(0_u64..64, 0..40),
            high in 0_u64..4,
            asked in proptest::collection::vec(any::<u64>(), 8),
        ) {
            let addresses: std::vec::Vec<Mac> =
                addresses.iter().map(|n| Mac::from_number(n << (high * 14))).collect();
            let mut model = BTreeMap::new();
            let mut table = MacTable::new(&addresses.iter().copied(), 0).unwrap();
            for (n, mac) in addresses.iter().enumerate() {
                model.insert(*mac, n);
                *table.get_mut(*mac).unwrap() = n;
            }
            prop_assert_eq!(table.len(), model.len());
            for mac in addresses.iter().copied().chain(asked.iter().map(|n| Mac::from_number(*n))) {
                prop_assert_eq!(table.get(mac), model.get(&mac));
            }
            let mut keys: std::vec::Vec<Mac> = table.keys().collect();
            keys.sort_unstable();
            prop_assert_eq!(keys, model.keys().copied().collect::<std::vec::Vec<_>>());
        }
    }
}

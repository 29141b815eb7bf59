//! The order in which locks are taken (LCK-6): an edge from each lock that is held to the one
//! that is taken while it is held. A cycle is a deadlock that waits for its schedule.

use std::collections::{BTreeMap, BTreeSet};

/// See the module's text. Locks are addresses of spin locks and handles of read-write locks.
#[derive(Default)]
pub(crate) struct LockOrder(BTreeMap<u64, BTreeSet<u64>>);

impl LockOrder {
    /// `inner` is taken while `outer` is held. The cycle that this closes, from `inner` back to
    /// it, if it does so for the first time.
    pub(crate) fn take(&mut self, outer: u64, inner: u64) -> Option<Vec<u64>> {
        if outer == inner || !self.0.entry(outer).or_default().insert(inner) {
            return None;
        }
        let mut path = self.path(inner, outer)?;
        path.push(inner);
        Some(path)
    }

    /// A way from one lock to another.
    fn path(&self, from: u64, to: u64) -> Option<Vec<u64>> {
        let mut before = BTreeMap::from([(from, from)]);
        let mut rest = vec![from];
        while let Some(lock) = rest.pop() {
            if lock == to {
                let mut path = vec![to];
                let mut at = to;
                while at != from {
                    at = before[&at];
                    path.push(at);
                }
                path.reverse();
                return Some(path);
            }
            for &next in self.0.get(&lock).into_iter().flatten() {
                before.entry(next).or_insert_with(|| {
                    rest.push(next);
                    lock
                });
            }
        }
        None
    }

    /// Locks in this range are no more.
    pub(crate) fn forget(&mut self, from: u64, to: u64) {
        if self.0.is_empty() {
            return;
        }
        self.0.retain(|lock, inner| {
            inner.retain(|lock| !(from..to).contains(lock));
            !(from..to).contains(lock) && !inner.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_over_three_locks_is_found_once() {
        let mut order = LockOrder::default();
        assert_eq!(order.take(1, 2), None);
        assert_eq!(order.take(2, 3), None);
        assert_eq!(order.take(1, 3), None);
        let cycle = order.take(3, 1).expect("a cycle");
        assert_eq!((cycle.first(), cycle.last()), (Some(&1), Some(&1)));
        assert!(cycle.contains(&3), "{cycle:?}");
        assert_eq!(order.take(3, 1), None);
    }

    #[test]
    fn freed_locks_are_forgotten() {
        let mut order = LockOrder::default();
        order.take(0x1000, 0x2000);
        order.forget(0x2000, 0x3000);
        assert_eq!(order.take(0x2000, 0x1000), None);
    }
}

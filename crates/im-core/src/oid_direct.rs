//! Direct requests that are on their way or below, as far as a cancel must know
//! them (OID-18, OID-28).
//!
//! There may be any number, at any IRQL, so this is a table of fixed size: a
//! request that finds it full is forwarded all the same, only a cancel that
//! comes while it is on its way down is then lost, as it may be by contract.
//! Pure: kept behind a spin lock by the miniport.

use crate::oid_slot::SendStep;
use arrayvec::ArrayVec;
use ndis::sys::PVOID;

/// Requests that are known at a time.
const KNOWN: usize = 32;
/// Ended requests and early cancels that are remembered.
const REMEMBERED: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: PVOID,
    cancelled: bool,
}

/// See the module's description.
#[derive(Debug)]
pub struct DirectTable {
    entries: ArrayVec<Entry, KNOWN>,
    /// Ids that ended: a cancel of one of them comes late.
    ended: ArrayVec<PVOID, REMEMBERED>,
    /// Cancels whose request has not come to us yet.
    early: ArrayVec<PVOID, REMEMBERED>,
}

// SAFETY: (OID-18) ids are names, never dereferenced.
unsafe impl Send for DirectTable {}

fn remember(list: &mut ArrayVec<PVOID, REMEMBERED>, id: PVOID) {
    if list.is_full() {
        let _oldest = list.pop_at(0);
    }
    let _room = list.try_push(id);
}

fn forget(list: &mut ArrayVec<PVOID, REMEMBERED>, id: PVOID) -> bool {
    let index = list.iter().position(|entry| *entry == id);
    index.and_then(|index| list.pop_at(index)).is_some()
}

impl DirectTable {
    /// No requests.
    pub const fn new() -> Self {
        Self {
            entries: ArrayVec::new_const(),
            ended: ArrayVec::new_const(),
            early: ArrayVec::new_const(),
        }
    }

    fn find(&mut self, id: PVOID) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    /// A request arrived. Requests without an id cannot be cancelled.
    pub fn begin(&mut self, id: PVOID) {
        if id.is_null() {
            return;
        }
        let cancelled = forget(&mut self.early, id);
        forget(&mut self.ended, id);
        let _room = self.entries.try_push(Entry { id, cancelled });
    }

    /// The request is about to go down.
    pub fn sending(&mut self, id: PVOID) -> SendStep {
        match self.find(id) {
            Some(entry) if entry.cancelled => SendStep::Abort,
            _ => SendStep::Go,
        }
    }

    /// After the call that sent it has returned PENDING: whether the cancel has
    /// to be passed on again, because it may have found nothing below.
    pub fn cancelled_meanwhile(&mut self, id: PVOID) -> bool {
        self.find(id).is_some_and(|entry| entry.cancelled)
    }

    /// The request ended.
    pub fn end(&mut self, id: PVOID) {
        let index = self.entries.iter().position(|entry| entry.id == id);
        if index.and_then(|index| self.entries.pop_at(index)).is_some() {
            remember(&mut self.ended, id);
        }
    }

    /// NDIS cancels the request with this id. The cancel is passed on below in
    /// any case.
    pub fn cancel(&mut self, id: PVOID) {
        if let Some(entry) = self.find(id) {
            entry.cancelled = true;
        } else if !id.is_null() && !self.ended.contains(&id) {
            remember(&mut self.early, id);
        }
    }
}

impl Default for DirectTable {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> PVOID {
        core::ptr::without_provenance_mut(number)
    }

    /// OID-18 at each moment: before, on the way, below, after.
    #[test]
    fn cancel_at_every_moment() {
        let mut table = DirectTable::new();
        table.cancel(id(1));
        table.begin(id(1));
        assert_eq!(
            table.sending(id(1)),
            SendStep::Abort,
            "named before it came"
        );
        table.end(id(1));

        table.begin(id(2));
        table.cancel(id(2));
        assert_eq!(table.sending(id(2)), SendStep::Abort, "named on its way");
        table.end(id(2));

        table.begin(id(3));
        assert_eq!(table.sending(id(3)), SendStep::Go);
        table.cancel(id(3));
        assert!(table.cancelled_meanwhile(id(3)), "named while it went");
        table.end(id(3));

        table.cancel(id(3));
        table.begin(id(3));
        assert_eq!(
            table.sending(id(3)),
            SendStep::Go,
            "a late cancel is another's"
        );
        assert!(!table.cancelled_meanwhile(id(3)));
    }

    /// Any number of requests, of which the table knows some.
    #[test]
    fn a_full_table_forwards() {
        let mut table = DirectTable::new();
        for number in 1..100 {
            table.begin(id(number));
            table.cancel(id(number + 1000));
        }
        for number in 1..100 {
            assert_eq!(table.sending(id(number)), SendStep::Go);
            table.end(id(number));
        }
        table.begin(id(0));
        table.cancel(id(0));
        assert_eq!(table.sending(id(0)), SendStep::Go, "no id, no cancel");
    }
}

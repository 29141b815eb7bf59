//! The one regular request that a virtual miniport handles at a time (OID-1),
//! and the race between its completion and its cancel.
//!
//! Pure: kept behind a spin lock by the miniport. A number that counts requests
//! tells an old one from a new one that looks the same.

use ndis::sys::PVOID;

/// Where the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// There is none.
    None,
    /// Here, about to go down.
    Here,
    /// Below; a cancel is passed on.
    Below,
    /// Here, waiting for the binding's worker; a cancel ends it.
    Waiting,
}

/// What a cancel has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelStep<R> {
    /// The request is not here (any more).
    Nothing,
    /// It is below: pass the cancel on (OID-18).
    PassOn,
    /// It is on its way: whoever sends it sees the mark.
    Marked,
    /// It waited for the worker and has ended here: complete it as aborted
    /// (OID-18). The worker finds nothing to complete.
    Complete(R),
}

/// What whoever sends the request down has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendStep {
    /// Go on.
    Go,
    /// It was cancelled: abort it (OID-18).
    Abort,
}

/// See the module's description. `R` is a request that waits, `W` is what the
/// worker has to do for it.
#[derive(Debug)]
pub struct OidSlot<R, W> {
    place: Place,
    id: PVOID,
    cancelled: bool,
    number: u64,
    /// The request that ended last.
    last: PVOID,
    /// A cancel that found no request and did not come late: its request may be
    /// on its way to us, in a handler that has not come here yet.
    early: PVOID,
    held: Option<R>,
    work: Option<W>,
}

// SAFETY: (OID-18) the ids are names, never dereferenced.
unsafe impl<R: Send, W: Send> Send for OidSlot<R, W> {}

impl<R: Copy, W> OidSlot<R, W> {
    /// No request.
    pub const fn new() -> Self {
        Self {
            place: Place::None,
            id: core::ptr::null_mut(),
            cancelled: false,
            number: 0,
            last: core::ptr::null_mut(),
            early: core::ptr::null_mut(),
            held: None,
            work: None,
        }
    }

    /// A request arrived. Its number, or `None` if there is one already, which
    /// NDIS does not do (OID-1).
    pub fn begin(&mut self, id: PVOID) -> Option<u64> {
        if self.place != Place::None {
            return None;
        }
        self.number = self.number.wrapping_add(1);
        self.place = Place::Here;
        self.id = id;
        let early = core::mem::replace(&mut self.early, core::ptr::null_mut());
        self.cancelled = !early.is_null() && early == id;
        Some(self.number)
    }

    /// The request is about to go down.
    pub fn sending(&mut self) -> SendStep {
        if self.cancelled {
            return SendStep::Abort;
        }
        self.place = Place::Below;
        SendStep::Go
    }

    /// The request ended: completed, answered or aborted. Called once for each
    /// [`OidSlot::begin`], before the original is completed.
    pub fn end(&mut self) {
        self.place = Place::None;
        self.last = self.id;
        self.id = core::ptr::null_mut();
        self.cancelled = false;
        self.held = None;
        self.work = None;
    }

    /// The request waits for the worker.
    pub fn hold(&mut self, request: R, work: W) -> SendStep {
        if self.cancelled {
            return SendStep::Abort;
        }
        self.place = Place::Waiting;
        self.held = Some(request);
        self.work = Some(work);
        SendStep::Go
    }

    /// The worker starts: the request's number and what is to be done for it.
    /// Nothing if it was cancelled, or taken before.
    pub fn take_work(&mut self) -> Option<(u64, W)> {
        let work = self.work.take()?;
        Some((self.number, work))
    }

    /// The worker is done with a request: to be completed, unless it was
    /// cancelled meanwhile. It has ended.
    pub fn take_waiting(&mut self, number: u64) -> Option<R> {
        if self.place != Place::Waiting || self.number != number {
            return None;
        }
        let request = self.held.take();
        self.end();
        request
    }

    /// A request that waits does not wait any longer: it is on its way again, to
    /// be ended by whoever handed it over. False: it has ended.
    pub fn take_back(&mut self, number: u64) -> bool {
        let waits = self.place == Place::Waiting && self.number == number;
        if waits {
            self.place = Place::Here;
            self.held = None;
            self.work = None;
        }
        waits
    }

    /// The miniport goes: a request that waits has ended, and is to be completed
    /// as aborted.
    pub fn abort(&mut self) -> Option<R> {
        if self.place != Place::Waiting {
            return None;
        }
        let request = self.held.take();
        self.end();
        request
    }

    /// NDIS cancels the request with this id.
    pub fn cancel(&mut self, id: PVOID) -> CancelStep<R> {
        match self.place {
            Place::None => {
                if id != self.last {
                    self.early = id;
                }
                CancelStep::Nothing
            }
            _ if self.id != id => CancelStep::Nothing,
            Place::Here => {
                self.cancelled = true;
                CancelStep::Marked
            }
            Place::Below => {
                self.cancelled = true;
                CancelStep::PassOn
            }
            Place::Waiting => {
                let request = self.held.take();
                self.end();
                request.map_or(CancelStep::Nothing, CancelStep::Complete)
            }
        }
    }

    /// After the call that sent a request down has returned PENDING: whether it
    /// is still there and was cancelled meanwhile, so that the cancel has to be
    /// passed on again. A cancel that came between [`OidSlot::sending`] and the
    /// moment NDIS knew the request found nothing to cancel.
    pub fn cancelled_meanwhile(&self, number: u64) -> bool {
        self.place == Place::Below && self.number == number && self.cancelled
    }

    /// Whether a request is pending (OID-9).
    pub fn is_busy(&self) -> bool {
        self.place != Place::None
    }
}

impl<R: Copy, W> Default for OidSlot<R, W> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Slot = OidSlot<u32, &'static str>;

    fn id(number: usize) -> PVOID {
        core::ptr::without_provenance_mut(number)
    }

    /// OID-2, OID-18: a request that waits is completed by the worker or by its
    /// cancel, never by both.
    #[test]
    fn waiting_requests_end_once() {
        let mut slot = Slot::new();
        let first = slot.begin(id(1)).unwrap();
        assert_eq!(slot.hold(11, "a"), SendStep::Go);
        assert_eq!(slot.cancel(id(9)), CancelStep::Nothing);
        assert_eq!(slot.take_work(), Some((first, "a")));
        assert_eq!(slot.take_work(), None, "taken once");
        assert_eq!(slot.cancel(id(1)), CancelStep::Complete(11));
        assert_eq!(slot.take_waiting(first), None);
        assert!(!slot.is_busy());

        let second = slot.begin(id(2)).unwrap();
        assert_eq!(slot.hold(22, "b"), SendStep::Go);
        assert_eq!(slot.take_waiting(first), None, "an older one");
        assert_eq!(slot.take_work(), Some((second, "b")));
        assert_eq!(slot.take_waiting(second), Some(22));
        assert_eq!(slot.cancel(id(2)), CancelStep::Nothing, "too late");

        slot.begin(id(3)).unwrap();
        assert_eq!(slot.hold(33, "c"), SendStep::Go);
        assert_eq!(slot.cancel(id(3)), CancelStep::Complete(33));
        assert_eq!(slot.take_work(), None, "nothing to do for it");

        slot.begin(id(6)).unwrap();
        assert_eq!(slot.abort(), None, "not waiting yet");
        assert_eq!(slot.hold(66, "f"), SendStep::Go);
        assert_eq!(slot.abort(), Some(66));
        assert_eq!(slot.take_work(), None);
        assert!(!slot.is_busy());

        let back = slot.begin(id(5)).unwrap();
        assert_eq!(slot.hold(55, "e"), SendStep::Go);
        assert!(slot.take_back(back) && !slot.take_back(back));
        assert_eq!(slot.take_work(), None);
        slot.end();

        slot.begin(id(4)).unwrap();
        assert_eq!(slot.cancel(id(4)), CancelStep::Marked);
        assert_eq!(slot.hold(44, "d"), SendStep::Abort);
        slot.end();
    }

    #[test]
    fn one_at_a_time() {
        let mut slot = Slot::new();
        let first = slot.begin(id(1)).unwrap();
        assert_eq!(slot.begin(id(2)), None);
        slot.end();
        assert_ne!(slot.begin(id(1)).unwrap(), first);
    }

    /// OID-18 at each moment: before, on the way, below, after.
    #[test]
    fn cancel_at_every_moment() {
        let mut slot = Slot::new();
        // Before the handler has come here: the request is aborted when it does.
        assert_eq!(slot.cancel(id(1)), CancelStep::Nothing);
        slot.begin(id(1)).unwrap();
        assert_eq!(slot.sending(), SendStep::Abort);
        slot.end();
        // Too late: the request of the same id that follows is another one.
        assert_eq!(slot.cancel(id(1)), CancelStep::Nothing);
        slot.begin(id(1)).unwrap();
        assert_eq!(slot.sending(), SendStep::Go);
        slot.end();
        // For a request that never comes: the next one is another.
        assert_eq!(slot.cancel(id(5)), CancelStep::Nothing);
        slot.begin(id(6)).unwrap();
        assert_eq!(slot.sending(), SendStep::Go);
        slot.end();

        let number = slot.begin(id(1)).unwrap();
        assert_eq!(slot.cancel(id(9)), CancelStep::Nothing, "another request's");
        assert_eq!(slot.cancel(id(1)), CancelStep::Marked);
        assert_eq!(slot.sending(), SendStep::Abort);
        slot.end();

        let second = slot.begin(id(1)).unwrap();
        assert_eq!(slot.sending(), SendStep::Go);
        assert!(!slot.cancelled_meanwhile(second));
        assert_eq!(slot.cancel(id(1)), CancelStep::PassOn);
        assert!(slot.cancelled_meanwhile(second));
        assert!(!slot.cancelled_meanwhile(number), "an older request");
        slot.end();
        assert_eq!(slot.cancel(id(1)), CancelStep::Nothing);
        assert!(!slot.cancelled_meanwhile(second));
    }

    proptest! {
        /// Any order of events: a cancel that names the pending request is
        /// either passed on or stops the request, never both, never neither.
        #[test]
        fn no_cancel_is_lost(steps in prop::collection::vec(0_usize..5, 0..60)) {
            let mut slot = Slot::new();
            let (mut pending, mut below, mut wanted) = (None, false, false);
            // Whether the next request was named before it came.
            let (mut early, mut served) = (false, false);
            for step in steps {
                match step {
                    0 => {
                        let begun = slot.begin(id(7));
                        prop_assert_eq!(begun.is_some(), pending.is_none());
                        if begun.is_some() { pending = begun; below = false; wanted = early; early = false; }
                    }
                    1 if pending.is_some() && !below => match slot.sending() {
                        SendStep::Go => { prop_assert!(!wanted); below = true; }
                        SendStep::Abort => { prop_assert!(wanted); slot.end(); pending = None; served = true; }
                    },
                    2 if pending.is_some() && below => {
                        slot.end();
                        pending = None;
                        served = true;
                    }
                    3 => {
                        let expected = match (pending, below) {
                            (None, _) => CancelStep::Nothing,
                            (Some(_), true) => CancelStep::PassOn,
                            (Some(_), false) => CancelStep::Marked,
                        };
                        prop_assert_eq!(slot.cancel(id(7)), expected);
                        wanted |= pending.is_some();
                        early |= pending.is_none() && !served;
                    }
                    _ if pending.is_none() => {} // see `cancel_at_every_moment`
                    _ => prop_assert_eq!(slot.cancel(id(8)), CancelStep::Nothing),
                }
                prop_assert_eq!(slot.is_busy(), pending.is_some());
            }
        }
    }
}

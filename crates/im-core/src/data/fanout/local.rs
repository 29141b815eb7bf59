//! Frames from one miniport to another on the same adapter.
//!
//! A frame is shown to its receivers by a list of our own over the sender's MDLs,
//! lent for the time of the call: no byte is copied, and the sender's list is
//! complete right after, or goes down then if it is for the outside too.
//!
//! A receiver may answer from inside its receive handler, and so on. That must
//! not eat the stack: while a miniport's frames are being shown, whatever it
//! sends waits in line, and whoever shows them goes on with that afterwards. So
//! calls nest no deeper than there are different miniports in a conversation, and
//! the order of each one's sends is kept (SND-5).

use super::count::Batch;
use super::decide::{Delivery, PortRef, Route, Strip, Switch};
use super::group::name;
use super::receive::{Passage, lend_everywhere};
use super::send::{Call, Outcome, UNSHOWN, frames, judge};
use super::tag::{put_back, take_out, without_tag};
use crate::flow::Waiters;
use ethernet::{OutOfBand, Tag};
use ndis::cpu;
use ndis::lock::Irql;
use ndis::nbl::{Chain, Derived, FromAbove, Queue, Single};
use ndis::sys::{
    NDIS_NBL_FLAGS_IS_IPV4, NDIS_NBL_FLAGS_IS_IPV6, NDIS_NBL_FLAGS_IS_TCP, NDIS_NBL_FLAGS_IS_UDP,
    NDIS_NBL_FLAGS_RECV_READ_ONLY, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_STATUS_SUCCESS,
};

/// Sends of a miniport that wait in line.
pub(super) struct Waiting {
    queue: Queue<FromAbove>,
    /// Somebody is showing those before.
    running: bool,
}

impl Waiting {
    pub(super) const fn new() -> Self {
        Self {
            queue: Queue::new(),
            running: false,
        }
    }
}

/// Sends a chain of a miniport whose frames may be for other ones.
pub(super) fn send<T: Switch>(call: &Call<'_, T>, port: &T::Port, chain: Chain<FromAbove>) {
    let (upper, irql) = (call.upper, call.irql);
    let mut queue = Queue::new();
    queue.append(chain);
    // Counted one by one from here on: they may outlive this call.
    let lists = i64::from(queue.count());
    let told = upper.path.change_on(call.slot, lists);
    debug_assert!(told == Waiters::NONE);
    {
        let mut waiting = upper.data.local.lock_at(irql);
        waiting.queue.join(queue);
        if waiting.running {
            return; // whoever is at it goes on with these
        }
        waiting.running = true;
    }
    loop {
        let chain = {
            let mut waiting = upper.data.local.lock_at(irql);
            if waiting.queue.is_empty() {
                waiting.running = false;
                return;
            }
            waiting.queue.take()
        };
        show(call, port, chain);
    }
}

/// Shows frames to their receivers and hands the lists on.
fn show<T: Switch>(call: &Call<'_, T>, port: &T::Port, mut chain: Chain<FromAbove>) {
    let lower = call.lower;
    let processor = cpu::current_index();
    let inside = lower.data.readers.enter(processor);
    let group = lower.data.group(T::vlan(port), &inside);
    let passage = Passage {
        inside: &inside,
        processor,
        port: 0,
        flags: match call.irql {
            Irql::Dispatch => NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL,
            Irql::Unknown => 0,
        },
    };
    let mut batch = Batch::default();
    let mut outcome = Outcome::of_counted();
    while let Some(mut list) = chain.pop() {
        match judge((call.upper, lower), port, group, &mut list, &mut batch) {
            Ok(verdict) => {
                let mut status = NDIS_STATUS_SUCCESS;
                if verdict.local && !show_list(call, port, group, &mut list, passage) {
                    status = UNSHOWN;
                }
                match verdict.egress {
                    Some(_) => outcome.send(call, list, &verdict),
                    None => outcome.complete(list, status),
                }
            }
            Err((status, reason)) => outcome.refuse(call, list, status, reason),
        }
    }
    core::mem::forget(chain); // empty
    drop(inside);
    call.count(&batch);
    outcome.finish(call);
}

/// Shows every frame of a list to the miniports that it is for. False: not every
/// frame could be shown.
fn show_list<T: Switch>(
    call: &Call<'_, T>,
    port: &T::Port,
    group: Option<&T::Group>,
    list: &mut Single<FromAbove>,
    passage: Passage<'_>,
) -> bool {
    const TYPES: u32 = NDIS_NBL_FLAGS_IS_IPV4
        | NDIS_NBL_FLAGS_IS_IPV6
        | NDIS_NBL_FLAGS_IS_TCP
        | NDIS_NBL_FLAGS_IS_UDP;
    let adapter = call.lower.adapter();
    let (beside, read_only) = (list.beside(), list.is_read_only());
    // The receivers may look at the sender's bytes and no more (RCV-15).
    let flags = list.flags() & TYPES | NDIS_NBL_FLAGS_RECV_READ_ONLY;
    let mut shown = true;
    let failed = list.for_each_view(|view| {
        view.set_flags(flags);
        view.set_beside(beside);
        let Some(frame) = frames(view).next().flatten() else {
            return; // judged before: cannot be
        };
        let (strip, delivery) = match T::send(adapter, port, name(call.upper), group, &frame) {
            Route::Local(strip, delivery) | Route::Both(_, strip, delivery) => (strip, delivery),
            Route::Down(_) | Route::Refuse(..) => return,
        };
        let mut batch = Batch::default();
        batch.add(frame.header.destination, frame.length);
        let lending = Lending {
            delivery,
            batch,
            beside,
            passage,
        };
        match strip {
            Strip::Keep => lending.lend(view, None),
            Strip::Beside(tag) => lending.lend(view, Some(tag)),
            Strip::InFrame(tag) => shown &= lending.lend_without_tag(view, tag, read_only),
        }
    });
    shown && failed == 0
}

/// One frame and whom it is for.
struct Lending<'i, T: Switch> {
    delivery: Delivery<'i, PortRef<T>>,
    batch: Batch,
    beside: usize,
    passage: Passage<'i>,
}

impl<T: Switch> Lending<'_, T> {
    /// Lends a list to everybody that the frame is for.
    fn lend(&self, view: &mut Single<Derived>, tag: Option<Tag>) {
        let mut loan = view.loan();
        let changed = tag.is_some();
        let (batch, beside) = (&self.batch, self.beside);
        lend_everywhere(
            &self.delivery,
            &mut loan,
            batch,
            self.passage,
            changed,
            |open, list| open.address_as(list, OutOfBand(beside), tag),
        );
    }

    /// Lends the frame without the tag that it begins with.
    fn lend_without_tag(&self, view: &mut Single<Derived>, tag: Tag, read_only: bool) -> bool {
        // The sender's bytes are written only where that is allowed, and are as
        // they were before its list is complete (SND-9).
        let taken = if read_only {
            None
        } else {
            view.sole_buffer()
                .and_then(|mut frame| take_out(&mut frame))
        };
        if let Some(bytes) = taken {
            self.lend(view, Some(tag));
            if let Some(mut frame) = view.sole_buffer() {
                put_back(&mut frame, bytes);
            }
            return true;
        }
        let Ok((mut own, splice)) = without_tag(view) else {
            return false;
        };
        self.lend(&mut own, Some(tag));
        own.free(splice);
        true
    }
}

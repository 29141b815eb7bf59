//! Lists from the protocols above to the adapter, and their completions back.
//!
//! Any number of sends and completions run at once on any processor, up to
//! DISPATCH_LEVEL; completions come in any order, mixed over miniports, and
//! before the send has returned (SND-8). What may go down goes in one call per
//! batch. The way of a miniport whose frames may be for other ones is in
//! `local`.

use super::count::Batch;
use super::decide::{Egress, Frame, Look, Route, Switch};
use super::group::{carries, name};
use super::local;
use super::tag::{Departure, arrived, depart};
use crate::data::common::{completion_flags, refuse};
use crate::data::hold::{Admission, Sends, admit};
use crate::edges::{Lower, Upper};
use crate::flow::{Slot, Waiters};
use crate::pause::tell;
use core::sync::atomic::Ordering;
use ethernet::{Header, Mac, NEEDED_BYTES, OutOfBand, TAG_BYTES};
use im_control::DropReason;
use ndis::lock::Irql;
use ndis::nbl::{Chain, FromAbove, List, Load, Queue, Single};
use ndis::sys::{
    NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK,
    NDIS_SEND_FLAGS_DISPATCH_LEVEL, NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_INVALID_LENGTH,
    NDIS_STATUS_PAUSED, NDIS_STATUS_RESOURCES, PVOID,
};

/// A call of the send handler that passed the gate. It stays counted on the slot
/// until the end of the call.
pub(super) struct Call<'a, T: Switch> {
    pub upper: &'a Upper<T>,
    pub lower: &'a Lower<T>,
    pub slot: &'a Slot,
    pub flags: u32,
    pub irql: Irql,
}

/// What is known about a list before it goes.
pub(super) struct Verdict {
    /// How it leaves; `None`: it stays among the miniports.
    pub egress: Option<Egress>,
    /// Its frames begin with a tag.
    pub tagged: bool,
    /// At least one frame goes to other miniports.
    pub local: bool,
    /// Bytes of its longest frame.
    pub longest: u32,
}

/// What a send looks at in a list: each frame that has a byte.
pub(super) fn frames(list: &mut List) -> impl Iterator<Item = Option<Frame>> + use<'_> {
    let beside = OutOfBand(list.beside());
    let with_bytes = list.buffers().filter(|frame| frame.length() != 0);
    with_bytes.map(move |frame| {
        let mut bytes = [0; NEEDED_BYTES];
        let there = frame.copy_head(&mut bytes);
        Some(Frame {
            header: Header::parse(bytes.get(..there)?).ok()?,
            length: frame.length(),
            beside,
        })
    })
}

/// Decides about a list: what is refused in one of its frames refuses it. Frames
/// of a list belong together (SND-17), so it leaves the way of its first one.
pub(super) fn judge<T: Switch>(
    (upper, lower): (&Upper<T>, &Lower<T>),
    port: &T::Port,
    group: Option<&T::Group>,
    list: &mut List,
    batch: &mut Batch,
) -> Result<Verdict, (NDIS_STATUS, DropReason)> {
    let adapter = lower.adapter();
    let mut verdict = Verdict {
        egress: None,
        tagged: false,
        local: false,
        longest: 0,
    };
    let mut first = true;
    let mut counted = *batch;
    for frame in frames(list) {
        let malformed = (NDIS_STATUS_INVALID_LENGTH, DropReason::SendMalformed);
        let frame = frame.ok_or(malformed)?;
        let egress = match T::send(adapter, port, name(upper), group, &frame) {
            Route::Refuse(status, reason) => return Err((status, reason)),
            Route::Down(egress) => Some(egress),
            Route::Local(..) => {
                verdict.local = true;
                None
            }
            Route::Both(egress, ..) => {
                verdict.local = true;
                Some(egress)
            }
        };
        // Each frame was judged by itself: one that has to be changed may not
        // leave with one that need not.
        if let (Some(all), Some(this)) = (verdict.egress, egress)
            && all != this
        {
            return Err(malformed);
        }
        verdict.egress = verdict.egress.or(egress);
        let tagged = frame.header.tag().is_some();
        if !first && tagged != verdict.tagged {
            return Err(malformed);
        }
        verdict.tagged = tagged;
        first = false;
        verdict.longest = verdict.longest.max(frame.length);
        counted.add(frame.header.destination, frame.length);
    }
    // OFF-1, OFF-3: not offered where nobody would finish it, or where the places
    // that a request names move; who asks all the same may have been too late.
    let moves = matches!(verdict.egress, Some(Egress::Tagged(_)))
        && (verdict.tagged || !T::tags_beside(adapter));
    if (verdict.local || moves) && list.asks_for_tasks() {
        return Err((NDIS_STATUS_FAILURE, DropReason::SendOffload));
    }
    if first {
        verdict.egress = Some(Egress::AsIs); // not one byte: the adapter's matter
    }
    *batch = counted;
    Ok(verdict)
}

/// Sends a chain that is ours down, or holds or completes it. Bits of the gate
/// in `ignore` do not count.
pub(super) fn forward<T: Switch>(
    upper: &Upper<T>,
    chain: Chain<FromAbove>,
    port: u32,
    flags: u32,
    ignore: u32,
) {
    let irql = Irql::from_flag(flags, NDIS_SEND_FLAGS_DISPATCH_LEVEL); // IRQ-20
    let path = &upper.path;
    let (slot, chain) = match admit::<T, Sends>(upper, chain, port, irql, ignore) {
        Admission::Pass(slot, chain) => (slot, chain),
        Admission::Refuse(slot, chain, status, reason) => {
            refuse(upper, chain, status, reason, irql);
            if let Some(slot) = slot {
                // Only now: a pause waits for the completion (MPS-3).
                tell(upper, path.change_on(slot, -1));
            }
            return;
        }
        Admission::Held => return,
    };
    let there = upper.lower().zip(upper.port());
    let call = |lower| Call {
        upper,
        lower,
        slot,
        flags,
        irql,
    };
    let way = there.map(|(lower, port)| (T::look(lower.adapter(), port), call(lower), port));
    match way {
        None => refuse(
            upper,
            chain,
            NDIS_STATUS_PAUSED,
            DropReason::SendPaused,
            irql,
        ),
        Some((Look::No, call, _)) => call.unseen(chain),
        Some((Look::Header, call, port)) => call.one_by_one(port, chain),
        Some((Look::Group, call, port)) => local::send(&call, port, chain),
    }
    tell(upper, path.change_on(slot, -1));
}

impl<T: Switch> Call<'_, T> {
    /// The whole chain as it is.
    fn unseen(&self, mut chain: Chain<FromAbove>) {
        let mut batch = Batch::default();
        let mut outcome = Outcome::new();
        let verdict = Verdict {
            egress: Some(Egress::AsIs),
            tagged: false,
            local: false,
            longest: 0,
        };
        while let Some(mut list) = chain.pop() {
            for frame in list.buffers() {
                let mut destination = [0; 6];
                if frame.copy_head(&mut destination) == destination.len() {
                    batch.add(Mac(destination), frame.length());
                }
            }
            outcome.send(self, list, &verdict);
        }
        core::mem::forget(chain); // empty
        self.count(&batch);
        outcome.finish(self);
    }

    /// Each list the way that its frames say.
    fn one_by_one(&self, port: &T::Port, mut chain: Chain<FromAbove>) {
        let mut batch = Batch::default();
        let mut outcome = Outcome::new();
        let mut ahead = chain.ahead();
        loop {
            ahead.step();
            let Some(mut list) = chain.pop() else {
                break;
            };
            match judge((self.upper, self.lower), port, None, &mut list, &mut batch) {
                Ok(verdict) => outcome.send(self, list, &verdict),
                Err((status, reason)) => outcome.refuse(self, list, status, reason),
            }
        }
        core::mem::forget(chain); // empty
        self.count(&batch);
        outcome.finish(self);
    }

    /// Counts what goes through the miniport.
    pub(super) fn count(&self, batch: &Batch) {
        let counts = &self.upper.data.counts;
        counts.here().sent.add(batch);
    }
}

/// What has become of the lists of a call.
pub(super) struct Outcome {
    down: Queue<FromAbove>,
    done: Queue<FromAbove>,
    load: Load,
    allocated: u64,
    /// The lists are counted as outstanding already.
    counted: bool,
}

impl Outcome {
    pub(super) const fn new() -> Self {
        Self {
            down: Queue::new(),
            done: Queue::new(),
            load: Load {
                lists: 0,
                buffers: 0,
                bytes: 0,
            },
            allocated: 0,
            counted: false,
        }
    }

    /// For lists that are counted as outstanding one by one.
    pub(super) const fn of_counted() -> Self {
        let mut this = Self::new();
        this.counted = true;
        this
    }

    /// Makes a list ready for the way down.
    pub(super) fn send<T: Switch>(
        &mut self,
        call: &Call<'_, T>,
        list: Single<FromAbove>,
        verdict: &Verdict,
    ) {
        let upper = call.upper;
        let departure = Departure {
            egress: verdict.egress.unwrap_or(Egress::AsIs),
            tagged: verdict.tagged,
            beside: T::tags_beside(call.lower.adapter()),
        };
        // A tag in the frame makes it longer; beside it, that is the adapter's matter.
        let grown = verdict.longest.saturating_add(TAG_BYTES as u32);
        let grows = departure.egress != Egress::AsIs && !departure.beside && !verdict.tagged;
        if grows && !carries(call.lower, grown) && !list.is_to_be_cut() {
            let status = NDIS_STATUS_INVALID_LENGTH;
            self.refuse(call, list, status, DropReason::SendMalformed);
            return;
        }
        let owner: PVOID = core::ptr::from_ref(upper).cast_mut().cast();
        let tag = T::IDENTITY.tag;
        match depart(list, &departure, owner, tag, &mut self.allocated) {
            Ok(mut list) => {
                list.set_source(upper.path.binding().0); // SND-6
                self.load.add(list.load());
                self.down.push(list);
            }
            Err((list, reason)) => self.refuse(call, list, NDIS_STATUS_RESOURCES, reason),
        }
    }

    /// Completes a list that does not go down (SND-4).
    pub(super) fn refuse<T: Switch>(
        &mut self,
        call: &Call<'_, T>,
        list: Single<FromAbove>,
        status: NDIS_STATUS,
        reason: DropReason,
    ) {
        call.upper.path.dropped(reason, 1);
        self.complete(list, status);
    }

    /// Completes a list whose frames are where they should be.
    pub(super) fn complete(&mut self, mut list: Single<FromAbove>, status: NDIS_STATUS) {
        list.set_status(status);
        self.done.push(list);
    }

    /// Hands everything over. The call is still counted.
    pub(super) fn finish<T: Switch>(mut self, call: &Call<'_, T>) {
        let (upper, slot) = (call.upper, call.slot);
        let path = &upper.path;
        if self.load.lists != 0 {
            slot.sent.add(self.load);
        }
        if self.allocated != 0 {
            slot.allocations
                .fetch_add(self.allocated, Ordering::Relaxed);
        }
        let done = self.done.count();
        if !self.counted {
            let lists = i64::from(self.down.count()) + i64::from(done);
            let told = path.change_on(slot, lists);
            debug_assert!(told == Waiters::NONE);
        }
        // SND-18, SND-19: NDIS loops sends of the miniport back itself; asking
        // the binding for it too would bring our own sends up again.
        let mut flags = call.flags & !NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK;
        if self.counted {
            flags &= NDIS_SEND_FLAGS_DISPATCH_LEVEL; // lists of other calls are among them
        }
        self.down.take().send_down(path.binding(), 0, flags);
        if done != 0 {
            let done_chain = self.done.take();
            done_chain.complete_up(upper.handle(), completion_flags(call.irql));
            let told = path.change_on(slot, -i64::from(done));
            debug_assert!(told == Waiters::NONE);
        }
    }
}

/// Places for miniports whose completions come mixed; a power of two.
const PLACES: usize = 8;

/// Completions for one miniport.
struct Arrivals {
    path: PVOID,
    queue: Queue<FromAbove>,
}

impl Arrivals {
    /// Completes what was gathered (SND-2), on the miniport that it came through.
    fn flush<T: Switch>(&mut self, flags: u32) {
        if self.queue.is_empty() {
            return;
        }
        // SAFETY: (SND-8) the path that the lists were marked with; its miniport
        // waits for them (MPS-3).
        let upper = unsafe { &*self.path.cast_const().cast::<Upper<T>>() };
        let count = self.queue.count();
        self.queue.take().complete_up(upper.handle(), flags);
        tell(upper, upper.path.change(-i64::from(count)));
    }
}

/// Completes what the adapter is done with to the protocols above.
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn sent<T: Switch>(mut chain: Chain<FromAbove>, flags: u32) {
    // The bit has the same value in both sets of flags, and nothing else is
    // passed.
    let flags = flags & NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL;
    let mut places = [const {
        Arrivals {
            path: core::ptr::null_mut(),
            queue: Queue::new(),
        }
    }; PLACES];
    while let Some(list) = chain.pop() {
        let (list, path) = arrived(list); // SND-7, SND-9
        let spread = (path.addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let index = (spread >> (u64::BITS - PLACES.trailing_zeros())) as usize & (PLACES - 1);
        let place = &mut places[index];
        if place.path != path {
            place.flush::<T>(flags);
            place.path = path;
        }
        place.queue.push(list);
    }
    core::mem::forget(chain); // empty
    for place in &mut places {
        place.flush::<T>(flags);
    }
}

/// The status of a list whose frames could not be shown to anybody.
pub(super) const UNSHOWN: NDIS_STATUS = NDIS_STATUS_FAILURE;

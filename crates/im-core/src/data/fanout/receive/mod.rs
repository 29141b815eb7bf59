//! Frames from the adapter to the miniports, and their way back.
//!
//! Any number of indications and returns run at once on any processor, up to
//! DISPATCH_LEVEL. A batch is dealt out in one pass: lists for one miniport are
//! gathered in its run ([`runs`]); lists for several are lent to one after the
//! other, and the last one may keep them (RCV-11). Whatever is gathered for a
//! miniport is shown before anything that came later, so each sees its frames in
//! their order.

mod runs;
mod several;

use super::count::Batch;
use super::decide::{Delivery, Frame, PortRef, Strip, Switch};
use super::tag::{came_back, done};
use crate::data::common::{return_flags, without_miniport};
use crate::data::hold::{Receives, Way};
use crate::edges::{Lower, Upper};
use crate::flow::Slot;
use crate::gate::Verdict;
use crate::pause::tell;
use crate::published::Inside;
use core::sync::atomic::Ordering;
use ethernet::{Header, NEEDED_BYTES, OutOfBand, TAG_BYTES, Tag};
use im_control::DropReason;
use ndis::cpu;
use ndis::lock::Irql;
use ndis::nbl::{Chain, FromBelow, Lent, List, Load, Loan, Queue};
use ndis::nbl_context::{Marked, peek};
use ndis::sys::{
    NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE,
    NDIS_RECEIVE_FLAGS_SINGLE_VLAN, NDIS_RETURN_FLAGS_DISPATCH_LEVEL,
};
use runs::Runs;
use several::Several;
pub(super) use several::lend_everywhere;

/// What decisions look at; `None` if the list does not have exactly one frame
/// (RCV-13) with a whole header.
pub(super) fn frame_of(list: &mut List) -> Option<Frame> {
    let beside = OutOfBand(list.beside());
    let frame = list.sole_buffer()?;
    let mut bytes = [0; NEEDED_BYTES];
    let there = frame.copy_head(&mut bytes);
    Some(Frame {
        header: Header::parse(bytes.get(..there)?).ok()?,
        length: frame.length(),
        beside,
    })
}

/// Bytes of a frame as the protocols above see it.
const fn length_above(frame: &Frame, strip: Strip) -> u32 {
    match strip {
        Strip::Keep | Strip::Beside(_) => frame.length,
        Strip::InFrame(_) => frame.length.saturating_sub(TAG_BYTES as u32),
    }
}

/// What the way up is like for all lists of a batch.
#[derive(Clone, Copy)]
pub(super) struct Passage<'i> {
    /// The reader entry.
    pub inside: &'i Inside<'i>,
    /// The processor it is on.
    pub processor: usize,
    /// The port that was named below.
    pub port: u32,
    /// The flags from below.
    pub flags: u32,
}

impl Passage<'_> {
    /// Flags that are true for a part of the batch (RCV-12): what was changed is
    /// of one type and VLAN no more for certain.
    fn flags(self, changed: bool) -> u32 {
        const PART: u32 = NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE | NDIS_RECEIVE_FLAGS_SINGLE_VLAN;
        let kept = if changed { 0 } else { PART };
        self.flags & (NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL | kept)
    }
}

/// A miniport that takes receives: counted in until [`Open::close`].
pub(super) struct Open<'i, T: Switch> {
    upper: &'i Upper<T>,
    slot: &'i Slot,
}

impl<'i, T: Switch> Open<'i, T> {
    /// Counts a miniport in, unless its gate says no.
    pub(super) fn new(upper: &'i Upper<T>, way: Passage<'i>) -> Result<Self, DropReason> {
        let path = &upper.path;
        let slot = path.flow.at(way.processor);
        let counted = slot.enter();
        let reason = match Receives::judge(path.gate.word(), way.port) {
            Verdict::Pass if counted => return Ok(Self { upper, slot }),
            Verdict::Pass => DropReason::ReceivePaused,
            Verdict::Hold => DropReason::ReceiveReset,
            Verdict::Refuse(_, reason) => reason,
        };
        if counted {
            tell(upper, path.change_on(slot, -1));
        }
        Err(reason)
    }

    /// Whether the miniport would hold more than its share of the adapter's lists.
    fn is_over(&self, lists: u32) -> bool {
        let holds = self.upper.data.holds.load(Ordering::Relaxed);
        let share = self.upper.port().map_or(0, T::share);
        holds.saturating_add(lists) > share
    }

    /// Gives a marked list source and word of this miniport (RCV-5).
    fn address(&self, list: &mut List) {
        // SAFETY: (NBL-5) every list on its way up is marked.
        let marked: Marked = unsafe { peek(list) };
        let found = Tag::from_tci(marked.done as u16);
        let tag = (marked.done & done::WORD != 0).then_some(found);
        self.address_as(list, OutOfBand(marked.beside), tag);
    }

    /// Gives a list source and word of this miniport (RCV-5): the word that was
    /// beside it, or what the miniport is shown of the tag.
    pub(super) fn address_as(&self, list: &mut List, beside: OutOfBand, tag: Option<Tag>) {
        let word = match (tag, self.upper.port()) {
            (Some(tag), Some(port)) => beside.with(T::above(port, tag)),
            (_, _) => beside,
        };
        list.set_source(self.upper.handle().0);
        list.set_beside(word.0);
    }

    /// Counts what is shown.
    fn count(&self, lists: u32, batch: &Batch, processor: usize) {
        self.slot.received.add(Load {
            lists,
            buffers: batch.frames,
            bytes: batch.bytes(),
        });
        self.upper.data.counts.at(processor).received.add(batch);
    }

    /// Lends lists that are addressed to the miniport (RCV-3, RCV-11).
    pub(super) fn lend(&self, loan: &mut Loan<'_>, batch: &Batch, way: Passage<'_>, changed: bool) {
        self.count(loan.count(), batch, way.processor);
        loan.indicate(self.upper.handle(), way.port, way.flags(changed));
    }

    /// Lets the miniport have the lists until it returns them (RCV-7), and counts
    /// it out.
    fn give(self, queue: &mut Queue<FromBelow>, batch: &Batch, way: Passage<'_>, changed: bool) {
        let lists = queue.count();
        self.count(lists, batch, way.processor);
        self.upper.data.holds.fetch_add(lists, Ordering::Relaxed);
        let told = self.upper.path.change_on(self.slot, i64::from(lists));
        debug_assert!(told == crate::flow::Waiters::NONE);
        queue
            .take()
            .indicate_up(self.upper.handle(), way.port, lists, way.flags(changed));
        // The call stays counted until the indication has returned (MPS-3).
        self.close();
    }

    /// Counts the miniport out.
    pub(super) fn close(self) {
        tell(self.upper, self.upper.path.change_on(self.slot, -1));
    }
}

/// Who gets a list, and what becomes of its tag.
struct Decision<'i, T: Switch> {
    frame: Frame,
    strip: Strip,
    delivery: Delivery<'i, PortRef<T>>,
}

/// Decides about one list.
fn decide<'i, T: Switch>(
    lower: &'i Lower<T>,
    list: &mut List,
    inside: &'i Inside<'i>,
) -> Result<Decision<'i, T>, DropReason> {
    let frame = frame_of(list).ok_or(DropReason::ReceiveMalformed)?;
    let adapter = lower.adapter();
    let (vlan, strip) = T::arrival(adapter, &frame)?;
    let group = lower.data.group(vlan, inside);
    let delivery = T::receive(adapter, group.ok_or(DropReason::ReceiveVlan)?, &frame)?;
    match delivery.targets {
        [] => Err(DropReason::ReceiveUnwanted),
        [only] if delivery.except == Some(*only) => Err(DropReason::ReceiveReflected),
        _ => Ok(Decision {
            frame,
            strip,
            delivery,
        }),
    }
}

/// Frames that no miniport gets, counted in runs: what is dropped comes in
/// floods.
struct Drops {
    reason: DropReason,
    frames: u32,
}

impl Drops {
    const fn new() -> Self {
        Self {
            reason: DropReason::ReceiveUnwanted,
            frames: 0,
        }
    }

    fn add<T: Switch>(&mut self, lower: &Lower<T>, reason: DropReason) {
        if reason != self.reason {
            self.flush(lower);
            self.reason = reason;
        }
        self.frames = self.frames.wrapping_add(1);
    }

    fn flush<T: Switch>(&mut self, lower: &Lower<T>) {
        if self.frames != 0 {
            lower.data.dropped(self.reason, self.frames);
            self.frames = 0;
        }
    }
}

/// Deals out lists that are ours (RCV-1). IRQL <= DISPATCH_LEVEL.
pub(super) fn receive<T: Switch>(
    lower: &Lower<T>,
    mut chain: Chain<FromBelow>,
    port: u32,
    flags: u32,
) {
    if lower.handle().0.is_null() {
        without_miniport(lower, chain, flags); // RCV-14
        return;
    }
    let irql = Irql::from_flag(flags, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL); // IRQ-20
    let processor = cpu::current_index();
    let inside = lower.data.readers.enter(processor);
    let way = Passage {
        inside: &inside,
        processor,
        port,
        flags,
    };
    let mut back = Queue::new();
    let mut drops = Drops::new();
    let mut runs = Runs::<T>::new();
    let mut several: Option<Several<'_, T>> = None;
    let mut ahead = chain.ahead();
    loop {
        ahead.step();
        let Some(mut list) = chain.pop() else {
            break;
        };
        let decision = match decide(lower, &mut list, &inside) {
            Ok(decision) => decision,
            Err(reason) => {
                drops.add(lower, reason);
                back.push(list);
                continue;
            }
        };
        if let [only] = decision.delivery.targets {
            if let Some(several) = several.take() {
                several.flush(way, &mut back);
            }
            let upper = only.get(&inside);
            let run = runs.of(upper, way, &mut back);
            run.add(list, &decision.frame, decision.strip, &mut back);
            continue;
        }
        // Frames for the same miniports follow each other: they go together.
        if let Some(other) = several.take_if(|several| !several.is_for(&decision.delivery)) {
            other.flush(way, &mut back);
        }
        if several.is_none() {
            runs.flush(way, &mut back);
        }
        let several = several.get_or_insert_with(|| Several::new(decision.delivery));
        several.add(lower, list, &decision.frame, decision.strip, &mut back);
    }
    core::mem::forget(chain); // empty
    if let Some(several) = several {
        several.flush(way, &mut back);
    }
    runs.flush(way, &mut back);
    drops.flush(lower);
    drop(runs);
    drop(inside);
    back.take().return_down(lower.handle(), return_flags(irql)); // PBS-3
}

/// Deals out lists that are ours for the time of the call (RCV-2).
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn lent<T: Switch>(lower: &Lower<T>, mut lent: Lent<'_>, port: u32, flags: u32) {
    let processor = cpu::current_index();
    let inside = lower.data.readers.enter(processor);
    let way = Passage {
        inside: &inside,
        processor,
        port,
        flags,
    };
    several::lend_sections(lower, &mut lent, way);
    drop(inside);
}

/// Gives lists that the protocols above are done with back to the adapter.
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn returned<T: Switch>(upper: &Upper<T>, mut chain: Chain<FromBelow>, flags: u32) {
    let mut back = Queue::new();
    while let Some(list) = chain.pop() {
        back.push(came_back(list)); // RCV-6, RCV-8
    }
    core::mem::forget(chain); // empty
    let count = back.count();
    upper.data.holds.fetch_sub(count, Ordering::Relaxed);
    // RCV-9: all of them came from the one binding below.
    back.take().return_down(
        upper.path.binding(),
        flags & NDIS_RETURN_FLAGS_DISPATCH_LEVEL,
    );
    tell(upper, upper.path.change(-i64::from(count)));
}

//! Lists from the protocols above to the members, and their completions back.
//!
//! Any number of sends and completions run at once on any processor, up to
//! DISPATCH_LEVEL; completions come in any order, mixed, and before the send has
//! returned (SND-8). A batch is dealt out in one pass: what is for one member is
//! gathered in its run and goes down in one call. No lock and no allocation on the
//! way, but for held buckets, lists without context room, and copies.
//!
//! A list that goes down says in its context which phase of the member counts it, and
//! which bucket it is of.

use super::bond::{MAX_MEMBERS, Slot, Spread};
use super::crew::Crew;
use super::deal::BySlot;
use super::look::{FEW_BYTES, LOOK_BYTES, is_neighbour, may_be_neighbour, with_tag};
use super::member::Member;
use super::route::{Route, View};
use super::table::{bit, slots};
use crate::data::common::completion_flags;
use crate::flow::{self, Waiters};
use crate::gate::{Verdict, bit as gate, send_verdict};
use crate::published::Inside;
use core::sync::atomic::Ordering;
use im_control::DropReason;
use ndis::cpu;
use ndis::lock::Irql;
use ndis::nbl::{Chain, FromAbove, Load, Queue, Single};
use ndis::nbl_context::{Room, Saved, pop, push};
use ndis::sys::{
    NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK,
    NDIS_SEND_FLAGS_DISPATCH_LEVEL, NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_PAUSED,
    NDIS_STATUS_RESOURCES, NDIS_STATUS_SEND_ABORTED, NDIS_STATUS_SUCCESS,
    NdisCancelSendNetBufferLists, PVOID,
};

/// The bits of the gate that are the miniport's own.
const UPPER: u32 = gate::UPPER_NO_SENDS | gate::UPPER_LOW_POWER | gate::UPPER_REMOVED;

/// What a list's context says about its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    /// The phase of its member that counts it.
    phase: usize,
    bucket: u8,
    /// The bucket counts it too: flowlets decide.
    flowlet: bool,
    bytes: u32,
}

impl Way {
    const FLOWLET: u64 = 2;

    fn to_word(self) -> PVOID {
        let flowlet = if self.flowlet { Self::FLOWLET } else { 0 };
        let small = self.phase as u64 & 1 | flowlet | u64::from(self.bucket) << 8;
        let word = small | u64::from(self.bytes) << 32;
        core::ptr::without_provenance_mut(word as usize)
    }

    fn from_word(word: PVOID) -> Self {
        let word = word.addr() as u64;
        Self {
            phase: word as usize & 1,
            bucket: (word >> 8) as u8,
            flowlet: word & Self::FLOWLET != 0,
            bytes: (word >> 32) as u32,
        }
    }
}

/// Completes a chain that never went down (SND-4, MPS-4).
fn refuse<C: Crew>(
    crew: &C,
    mut chain: Chain<FromAbove>,
    status: NDIS_STATUS,
    reason: DropReason,
    irql: Irql,
) {
    let mut count = 0_u32;
    chain.for_each(|list| {
        list.set_status(status);
        count = count.wrapping_add(1);
    });
    let path = crew.path();
    path.dropped(reason, count);
    chain.complete_up(path.miniport(), completion_flags(irql));
}

/// Sends a chain that is ours down. IRQL <= DISPATCH_LEVEL.
pub(super) fn send<C: Crew>(crew: &C, chain: Chain<FromAbove>, port: u32, flags: u32) {
    let irql = Irql::from_flag(flags, NDIS_SEND_FLAGS_DISPATCH_LEVEL); // IRQ-20
    let path = crew.path();
    let processor = cpu::current_index();
    let slot = path.flow.at(processor);
    let counted = slot.enter();
    let refused = match send_verdict(path.gate.word() & UPPER) {
        _ if port != 0 => Some((NDIS_STATUS_FAILURE, DropReason::SendPort)), // PRT-1, SND-4
        Verdict::Refuse(status, reason) => Some((status, reason)),
        Verdict::Pass if counted => None,
        // A pause is taking the slots over, or a restart gives them back (MPS-4).
        Verdict::Pass | Verdict::Hold => Some((NDIS_STATUS_PAUSED, DropReason::SendPaused)),
    };
    match (refused, crew.port()) {
        (None, Some(port)) => {
            let call = Call {
                crew,
                slot,
                processor,
                // SND-18, SND-19: NDIS loops sends of the miniport back itself; asking
                // the binding for it too would bring our own sends up again.
                flags: flags & !NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK,
                irql,
                again: false,
            };
            call.deal(port, chain);
        }
        (refused, _) => {
            let (status, reason) = refused.unwrap_or((NDIS_STATUS_PAUSED, DropReason::SendPaused));
            refuse(crew, chain, status, reason, irql);
        }
    }
    if counted {
        // Only now: a pause waits for the completion (MPS-3).
        crew.tell(path.change_on(slot, -1));
    }
}

/// Sends lists on that were held; they are counted as outstanding. What the
/// miniport's gate says no to is refused. IRQL = PASSIVE_LEVEL.
pub(super) fn send_held<C: Crew>(crew: &C, chain: Chain<FromAbove>) {
    let path = crew.path();
    let processor = cpu::current_index();
    let slot = path.flow.at(processor);
    let count = i64::from(chain.count());
    // While the lists are counted the path stays; this keeps it to the end.
    let told = path.change_on(slot, 1);
    debug_assert!(told == Waiters::NONE);
    match (send_verdict(path.gate.word() & UPPER), crew.port()) {
        (Verdict::Pass, Some(port)) => {
            let call = Call {
                crew,
                slot,
                processor,
                flags: 0, // lists of several calls
                irql: Irql::Unknown,
                again: true,
            };
            call.deal(port, chain);
        }
        (verdict, _) => {
            let (status, reason) = match verdict {
                Verdict::Refuse(status, reason) => (status, reason),
                _ => (NDIS_STATUS_PAUSED, DropReason::SendPaused),
            };
            refuse(crew, chain, status, reason, Irql::Unknown);
            let told = path.change_on(slot, -count);
            debug_assert!(told == Waiters::NONE);
        }
    }
    crew.tell(path.change_on(slot, -1));
}

/// Refuses what is held: the miniport is paused (MPS-4). IRQL <= DISPATCH_LEVEL.
pub(super) fn release_held<C: Crew>(crew: &C) {
    let held = crew.route().held.lock().take();
    if held.is_empty() {
        core::mem::forget(held);
        return;
    }
    let count = i64::from(held.count());
    let (status, reason) = (NDIS_STATUS_PAUSED, DropReason::SendPaused);
    refuse(crew, held, status, reason, Irql::Unknown);
    crew.tell(crew.path().change(-count));
}

/// What is for one member.
struct Run {
    queue: Queue<FromAbove>,
    load: Load,
    /// Counts its lists.
    phase: usize,
    /// So many of them are copies, whose order nobody keeps.
    copies: i64,
}

impl Run {
    fn new(member: &Member) -> Self {
        Self {
            queue: Queue::new(),
            load: Load::default(),
            phase: member.turn(),
            copies: 0,
        }
    }
}

/// A call of the send handler that passed the gate. It stays counted on the slot
/// until the end of the call.
struct Call<'a, C: Crew> {
    crew: &'a C,
    slot: &'a flow::Slot,
    processor: usize,
    flags: u32,
    irql: Irql,
    /// The lists were held: they are counted, were looked at, and are not held again.
    again: bool,
}

/// What becomes of the lists of a call.
struct Batch<'b, C: Crew> {
    call: &'b Call<'b, C>,
    route: &'b Route,
    port: &'b C::Port,
    inside: &'b Inside<'b>,
    view: View<'b>,
    spread: Spread,
    runs: BySlot<Run>,
    /// Those that do not go down.
    done: Queue<FromAbove>,
    /// Lists of the call that are outstanding, and not counted yet.
    lists: i64,
    load: Load,
    allocated: u64,
    /// The time, once somebody asked.
    now: Option<u64>,
    turn: u32,
}

impl<C: Crew> Call<'_, C> {
    /// Deals a chain out and hands it over.
    fn deal(&self, port: &C::Port, mut chain: Chain<FromAbove>) {
        let route = self.crew.route();
        let inside = route.readers.enter(self.processor);
        let turns = route.turns.at(self.processor);
        let first = turns.load(Ordering::Relaxed);
        let mut batch = Batch {
            call: self,
            route,
            port,
            inside: &inside,
            view: route.view(&inside),
            spread: C::spread(port),
            runs: BySlot::new(),
            done: Queue::new(),
            lists: 0,
            load: Load::default(),
            allocated: 0,
            now: None,
            turn: first,
        };
        let mut ahead = chain.ahead();
        loop {
            ahead.step();
            let Some(list) = chain.pop() else {
                break;
            };
            batch.fresh(list);
        }
        core::mem::forget(chain); // empty
        if batch.turn != first {
            // A thread that moved meanwhile may lose a few turns: no harm.
            turns.store(batch.turn, Ordering::Relaxed);
        }
        batch.finish();
    }
}

impl<C: Crew> Batch<'_, C> {
    /// A list as it came: looks at it, and finds it a place.
    fn fresh(&mut self, mut list: Single<FromAbove>) {
        self.lists = self.lists.wrapping_add(1);
        match (self.look(&mut list), self.spread) {
            (Some(_), Spread::All) => self.copies(list),
            (Some(bucket), _) => self.place(list, bucket),
            (None, _) => self.refuse(list, NDIS_STATUS_RESOURCES, DropReason::SendNoMemory),
        }
    }

    /// The bucket of a list, by its first frame that has a byte: frames of a list belong together
    /// (SND-17). `None` where its pages cannot be mapped: by fewer bytes the flow would be
    /// another one. Shows the brain what it learns addresses from.
    fn look(&self, list: &mut Single<FromAbove>) -> Option<u8> {
        let hashed = matches!(self.spread, Spread::Buckets | Spread::Flowlets(_));
        let hash = if hashed && C::uses_hash_info(self.port) {
            list.hash().map(|hash| hash.value)
        } else {
            None
        };
        let beside = list.beside();
        let Some(frame) = list.buffers().find(|frame| frame.length() != 0) else {
            return Some(0);
        };
        if !hashed {
            // Nobody asks which flow it is of: a look at its type does.
            let mut room = [0; FEW_BYTES];
            if self.call.again || !may_be_neighbour(frame.head(&mut room)) {
                return Some(0);
            }
        }
        let mut room = [0; LOOK_BYTES];
        let head = frame.head(&mut room);
        if !self.call.again && is_neighbour(head) {
            let mut room = [0; LOOK_BYTES + ethernet::TAG_BYTES];
            self.call.crew.stack_sent(with_tag(head, beside, &mut room));
        }
        if !hashed {
            return Some(0);
        }
        let whole = head.len() == LOOK_BYTES.min(frame.length() as usize);
        whole.then(|| C::bucket(self.port, head, beside, hash))
    }

    /// Puts a list into the run of its member, or to where it waits.
    fn place(&mut self, mut list: Single<FromAbove>, bucket: u8) {
        let ordered = matches!(
            self.spread,
            Spread::One | Spread::Buckets | Spread::Flowlets(_)
        );
        while ordered && self.view.holds() && !self.call.again {
            let (path, slot) = (self.call.crew.path(), self.call.slot);
            let held = self.route.hold(bucket, list, self.call.irql, || {
                // The call is counted, so nobody is told.
                let told = path.change_on(slot, 1);
                debug_assert!(told == Waiters::NONE);
            });
            match held {
                Ok(()) => {
                    self.lists = self.lists.wrapping_sub(1);
                    return;
                }
                Err(back) => list = back,
            }
            // Not held, or not any more: by the table that is in force now.
            let before = self.view;
            self.view = self.route.view(self.inside);
            if !self.view.holds() || self.view.is_as(&before) {
                break;
            }
        }
        self.assign(list, bucket);
    }

    /// Gives a list to a member.
    fn assign(&mut self, list: Single<FromAbove>, bucket: u8) {
        let usable = self.view.members();
        let table = self.view.table;
        let slot = match self.spread {
            Spread::One => table.ranking.member(0, usable),
            Spread::Buckets => table.ranking.member(bucket, usable),
            Spread::Flowlets(gap) => self.flowlet(bucket, gap),
            Spread::Turns | Spread::All => {
                self.turn = self.turn.wrapping_add(1);
                table.turn(self.turn, usable)
            }
        };
        if let Some(member) = slot.and_then(|slot| self.route.member(slot, self.inside)) {
            self.join(list, member, bucket);
        } else {
            if slot.is_some() {
                self.undo(bucket);
            }
            self.refuse(list, NDIS_STATUS_FAILURE, DropReason::SendNoMember);
        }
    }

    fn now(&mut self) -> u64 {
        *self.now.get_or_insert_with(cpu::precise_time)
    }

    /// The member of a bucket where flowlets decide; counts the list there.
    fn flowlet(&mut self, bucket: u8, gap: u32) -> Option<Slot> {
        let now = self.now();
        let usable = self.view.members();
        let word = self.route.flowlet(bucket)?;
        word.send(
            now,
            gap,
            |slot| usable & bit(slot) != 0,
            || self.least_loaded(bucket),
        )
    }

    /// The member with the fewest bytes for its share; of several, the one that the
    /// bucket's ranking has first.
    fn least_loaded(&self, bucket: u8) -> Option<Slot> {
        let usable = self.route.staying(self.view.members());
        let order = self.view.table.ranking.0.get(usize::from(bucket))?;
        let mut best: Option<(Slot, u64)> = None;
        for slot in order {
            if usable & bit(*slot) == 0 {
                if *slot == super::bond::NOBODY {
                    break;
                }
                continue;
            }
            let given = self.runs.get(*slot).map_or(0, |run| run.load.bytes);
            let has = self
                .route
                .member(*slot, self.inside)
                .map_or(0, Member::load);
            let share = self.view.table.share.get(usize::from(*slot));
            let share = u64::from(share.copied().unwrap_or(0)).max(1);
            let cost = has.saturating_add(given).saturating_mul(256) / share;
            if best.is_none_or(|(_, least)| cost < least) {
                best = Some((*slot, cost));
            }
        }
        best.map(|(slot, _)| slot)
    }

    /// A list of a bucket does not go after all.
    fn undo(&mut self, bucket: u8) {
        if !matches!(self.spread, Spread::Flowlets(_)) {
            return;
        }
        let now = self.now();
        if let Some(word) = self.route.flowlet(bucket) {
            word.done(now, 1);
        }
    }

    /// Puts a list into a member's run.
    fn join(&mut self, mut list: Single<FromAbove>, member: &Member, bucket: u8) {
        let load = list.load();
        let run = self.runs.of(member.slot(), || Run::new(member));
        let way = Way {
            phase: run.phase,
            bucket,
            flowlet: matches!(self.spread, Spread::Flowlets(_)),
            bytes: u32::try_from(load.bytes).unwrap_or(u32::MAX),
        };
        let saved = Saved {
            source: list.source(),
            path: way.to_word(),
        };
        if let Ok(room) = push(&mut list, saved, C::TAG) {
            self.allocated += u64::from(room == Room::Allocated);
            list.set_source(member.path.binding().0); // SND-6
            run.load.add(load);
            run.queue.push(list);
        } else {
            self.undo(bucket);
            self.refuse(list, NDIS_STATUS_RESOURCES, DropReason::SendNoContext);
        }
    }

    /// Makes a copy of a list for every member that can be used. The list waits for
    /// the last of them. For one member it goes itself.
    fn copies(&mut self, mut list: Single<FromAbove>) {
        let usable = self.view.members();
        let stock = self.route.stock();
        let load = list.load();
        self.load.add(load);
        let (2.., Some(stock)) = (usable.count_ones(), stock) else {
            self.assign(list, 0);
            return;
        };
        let mut made = 0_u32;
        for slot in slots(usable) {
            let Some(member) = self.route.member(slot, self.inside) else {
                continue;
            };
            match list.copy(&stock.copies) {
                Ok(mut copy) => {
                    copy.set_source(member.path.binding().0); // SND-6
                    let run = self.runs.of(slot, || Run::new(member));
                    run.load.add(load);
                    run.queue.push(copy.outgoing());
                    run.copies = run.copies.wrapping_add(1);
                    made = made.wrapping_add(1);
                }
                Err(_) => member.path.dropped(DropReason::SendNoCopy, 1),
            }
        }
        if made == 0 {
            self.assign(list, 0); // better one than none
        } else {
            list.wait_for_copies(NDIS_STATUS_FAILURE);
        }
    }

    /// Completes a list that does not go down (SND-4).
    fn refuse(&mut self, mut list: Single<FromAbove>, status: NDIS_STATUS, reason: DropReason) {
        list.set_status(status);
        self.call.crew.path().dropped(reason, 1);
        self.done.push(list);
    }

    /// Hands everything over. The call is still counted.
    fn finish(&mut self) {
        let (call, path) = (self.call, self.call.crew.path());
        if !call.again && self.lists != 0 {
            let told = path.change_on(call.slot, self.lists);
            debug_assert!(told == Waiters::NONE);
        }
        while let Some((slot, run)) = self.runs.take() {
            if let Some(run) = self.hand(slot, run) {
                self.elsewhere(slot, run);
            }
        }
        if self.load.lists != 0 {
            call.slot.sent.add(self.load);
        }
        if self.allocated != 0 {
            let allocations = &call.slot.allocations;
            allocations.fetch_add(self.allocated, Ordering::Relaxed);
        }
        let done = self.done.count();
        if done != 0 {
            let chain = self.done.take();
            chain.complete_up(path.miniport(), completion_flags(call.irql));
            let told = path.change_on(call.slot, -i64::from(done));
            debug_assert!(told == Waiters::NONE);
        }
    }

    /// Hands a run to its member; or returns it if the member's gate is closed.
    fn hand(&mut self, slot: Slot, mut run: Run) -> Option<Run> {
        let Some(member) = self.route.member(slot, self.inside) else {
            return Some(run);
        };
        let processor = self.call.processor;
        let path = &member.path;
        let lists = i64::from(run.queue.count());
        let here = path.flow.at(processor);
        if !here.change(lists) {
            return Some(run); // it is being drained, so they are not counted
        }
        if !member.sends() {
            C::tell_member(member, path.change_on(here, -lists));
            return Some(run);
        }
        let told = member.change(run.phase, processor, lists.wrapping_sub(run.copies));
        debug_assert!(!told);
        here.sent.add(run.load);
        if self.spread != Spread::All {
            self.load.add(run.load);
        }
        if matches!(self.spread, Spread::Flowlets(_)) {
            member.add_load(run.load.bytes as i64);
        }
        run.queue
            .take()
            .send_down(path.binding(), 0, self.call.flags);
        None
    }

    /// Finds other members for a run whose own one cannot take it: each time one less
    /// can be chosen, so that this ends.
    fn elsewhere(&mut self, slot: Slot, mut run: Run) {
        self.route.pass_over(slot);
        self.call.crew.look_again();
        self.view = self.view.without(slot);
        let mut chain = run.queue.take();
        while let Some(list) = chain.pop() {
            match self.route.original(list, Some(NDIS_STATUS_FAILURE)) {
                Took::Other(mut list) => {
                    // SAFETY: (NBL-5) it is in a run, so our context is on top.
                    let saved: Saved = unsafe { pop(&mut list) };
                    list.set_source(saved.source); // SND-7
                    let bucket = Way::from_word(saved.path).bucket;
                    self.undo(bucket);
                    self.assign(list, bucket);
                }
                Took::Copy(Some(original)) => {
                    if original.status() != NDIS_STATUS_SUCCESS {
                        let path = self.call.crew.path();
                        path.dropped(DropReason::SendNoMember, 1);
                    }
                    self.done.push(original);
                }
                Took::Copy(None) => {}
            }
        }
        core::mem::forget(chain); // empty
    }
}

/// What a list that went down was.
enum Took {
    /// A copy; with its original, if it was the last one.
    Copy(Option<Single<FromAbove>>),
    /// None.
    Other(Single<FromAbove>),
}

impl Route {
    /// Ends a copy, with this status if it has none from below.
    fn original(&self, list: Single<FromAbove>, unsent: Option<NDIS_STATUS>) -> Took {
        let Some(stock) = self.stock() else {
            return Took::Other(list);
        };
        match list.into_copy(&stock.copies) {
            Ok(mut copy) => {
                if let Some(status) = unsent {
                    copy.set_status(status);
                }
                // SAFETY: (SND-11) copies go into runs after the original waits.
                Took::Copy(unsafe { copy.into_original() })
            }
            Err(other) => Took::Other(other),
        }
    }
}

/// Completes what a member is done with to the protocols above. `crew` is the team
/// with its miniport, if there is one: all but the team's own frames came through it.
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn sent<C: Crew>(
    route: &Route,
    crew: Option<&C>,
    member: &Member,
    mut chain: Chain<FromAbove>,
    flags: u32,
) {
    let processor = cpu::current_index();
    let mut up = Queue::new();
    let mut phases = [0_i64; 2];
    let (mut lists, mut bytes) = (0_i64, 0_i64);
    let mut now = None;
    while let Some(list) = chain.pop() {
        lists = lists.wrapping_add(1);
        let Some(list) = route.take_back(list, member.slot()) else {
            continue; // a frame of the team's own
        };
        match route.original(list, None) {
            Took::Copy(Some(original)) => up.push(original),
            Took::Copy(None) => {}
            Took::Other(mut list) => {
                // SAFETY: (NBL-5) every other list went down with our context on top.
                let saved: Saved = unsafe { pop(&mut list) };
                list.set_source(saved.source); // SND-7
                let way = Way::from_word(saved.path);
                let [even, odd] = &mut phases;
                let phase = if way.phase == 0 { even } else { odd };
                *phase = phase.wrapping_add(1);
                if way.flowlet
                    && let Some(word) = route.flowlet(way.bucket)
                {
                    word.done(*now.get_or_insert_with(cpu::precise_time), 1);
                    bytes = bytes.wrapping_add(i64::from(way.bytes));
                }
                up.push(list);
            }
        }
    }
    core::mem::forget(chain); // empty
    let count = i64::from(up.count());
    if let Some(crew) = crew {
        // SND-2: one completion, on the miniport that they came through. The dispatch
        // bit has the same value in both sets of flags, and nothing else is passed.
        let flags = flags & NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL;
        up.take().complete_up(crew.path().miniport(), flags);
    }
    for (phase, done) in (0..).zip(phases) {
        if done != 0 && member.change(phase, processor, -done) {
            route.woken.set();
        }
    }
    if bytes != 0 {
        member.add_load(bytes.wrapping_neg());
    }
    // The member may go with this, and the miniport with the next.
    C::tell_member(member, member.path.change(-lists));
    if let (Some(crew), 1..) = (crew, count) {
        crew.tell(crew.path().change(-count));
    }
}

/// Completes what is held under the id, then passes the cancel on to every member
/// (SND-13). IRQL <= DISPATCH_LEVEL.
pub(super) fn cancel<C: Crew>(crew: &C, id: PVOID) {
    let (path, route) = (crew.path(), crew.route());
    let mut cancelled = Queue::new();
    {
        let mut held = route.held.lock();
        let mut all = held.take();
        while let Some(mut list) = all.pop() {
            if list.cancel_id() == id {
                list.set_status(NDIS_STATUS_SEND_ABORTED);
                cancelled.push(list);
            } else {
                held.push(list);
            }
        }
        core::mem::forget(all); // empty
    }
    let inside = route.readers.enter(cpu::current_index());
    for slot in 0..MAX_MEMBERS as Slot {
        let Some(member) = route.member(slot, &inside) else {
            continue;
        };
        let binding = member.path.binding();
        // RST-2: a binding that resets is not called; what is below comes back anyway.
        if !binding.0.is_null() && member.path.gate.word() & gate::RESETTING_SENDS == 0 {
            // SAFETY: (SND-13, SND-15) a member is closed only after it was taken out,
            // which waits for us.
            unsafe { NdisCancelSendNetBufferLists(binding.0, id) };
        }
    }
    drop(inside);
    let count = cancelled.count();
    if count != 0 {
        path.dropped(DropReason::SendCancelled, count);
        cancelled.take().complete_up(path.miniport(), 0);
        crew.tell(path.change(-i64::from(count)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ways_fit_a_word(phase in 0_usize..2, bucket: u8, flowlet: bool, bytes: u32) {
            let way = Way { phase, bucket, flowlet, bytes };
            prop_assert_eq!(Way::from_word(way.to_word()), way);
        }
    }
}

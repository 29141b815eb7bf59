//! Frames from the members to the protocols above, and their way back.
//!
//! Any number of indications and returns run at once on any processor, up to
//! DISPATCH_LEVEL. Each list is looked at once: slow protocols are the team's own and
//! never go up; what the brain asks for is shown to it and goes on; groups' frames of
//! members that do not receive for the team are dropped, and so is what the miniport
//! does not ask for, since members may hear more than that. The rest goes up in one
//! call, in its order.
//!
//! A list that is above counts on the team's path and on its member's; its context
//! says which that is.

use super::bond::{MAX_MEMBERS, Slot};
use super::crew::Crew;
use super::deal::BySlot;
use super::look::{LOOK_BYTES, Wanted, is_slow, with_tag};
use super::member::Member;
use super::route::Route;
use crate::data::common::return_flags;
use crate::flow::{self, Waiters};
use crate::gate::{Verdict, bit, receive_verdict};
use crate::published::Inside;
use core::sync::atomic::Ordering;
use ethernet::Mac;
use im_control::DropReason;
use ndis::cpu;
use ndis::lock::Irql;
use ndis::nbl::{Chain, FromBelow, Lent, List, Load, Queue};
use ndis::nbl_context::{Room, Saved, pop, push};
use ndis::sys::{NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RETURN_FLAGS_DISPATCH_LEVEL, PVOID};

/// The bits of the gate that are the miniport's own.
const UPPER: u32 =
    bit::UPPER_NO_RECEIVES | bit::UPPER_LOW_POWER | bit::UPPER_REMOVED | bit::NO_FILTER;

fn to_word(slot: Slot) -> PVOID {
    core::ptr::without_provenance_mut(usize::from(slot))
}

/// What becomes of a list.
enum Fate {
    Up,
    /// It is the team's own.
    Control,
    Drop(DropReason),
}

/// A call of the receive handler, counted on both paths until [`Call::end`] as far as
/// these let it.
struct Call<'a, C: Crew> {
    crew: &'a C,
    member: &'a Member,
    /// The member's counter, and the team's, if the call is counted there.
    below: Option<&'a flow::Slot>,
    above: Option<&'a flow::Slot>,
    /// Why nothing goes up.
    closed: Option<DropReason>,
    wanted: Option<&'a Wanted>,
    port: u32,
    flags: u32,
    load: Load,
    allocated: u64,
    /// The reason of the last frames that were dropped, and how many they are: what
    /// is dropped comes in floods.
    drops: (DropReason, u32),
}

impl<'a, C: Crew> Call<'a, C> {
    /// Counts the call in. `None`: the member's gate is closed.
    fn begin(
        crew: &'a C,
        member: &'a Member,
        processor: usize,
        inside: &'a Inside<'_>,
        port: u32,
        flags: u32,
    ) -> Option<Self> {
        let below = member.path.flow.at(processor);
        if !below.enter() {
            return None;
        }
        if !member.receives() {
            C::tell_member(member, member.path.change_on(below, -1));
            return None;
        }
        let path = crew.path();
        let above = path.flow.at(processor);
        let above = above.enter().then_some(above); // MPS-3: the call is waited for
        // SAFETY: (MEM-2) `Route::publish` waits for these readers.
        let wanted = unsafe { crew.route().wanted.get(inside) };
        let closed = match receive_verdict(path.gate.word() & UPPER) {
            // PRT-1: we activate no port but the default one.
            _ if port != 0 => Some(DropReason::ReceivePort),
            Verdict::Refuse(_, reason) => Some(reason),
            _ if above.is_none() => Some(DropReason::ReceivePaused),
            _ => None,
        };
        Some(Self {
            crew,
            member,
            below: Some(below),
            above,
            closed,
            wanted,
            port,
            flags,
            load: Load::default(),
            allocated: 0,
            drops: (DropReason::ReceiveUnwanted, 0),
        })
    }

    /// What becomes of a list (RCV-13: it has one frame).
    fn judge(&self, list: &mut List) -> Fate {
        let beside = list.beside();
        let mut room = [0; LOOK_BYTES];
        let Some(frame) = list.buffers().next() else {
            return Fate::Drop(DropReason::ReceiveMalformed);
        };
        let head = frame.head(&mut room);
        let Some(destination) = head.get(..ethernet::HEADER_BYTES).and_then(Mac::from_slice) else {
            return Fate::Drop(DropReason::ReceiveMalformed);
        };
        let crew = self.crew;
        if destination.is_group() && is_slow(head) {
            return Fate::Control;
        }
        let Some(port) = crew.port() else {
            return Fate::Drop(DropReason::ReceivePaused);
        };
        let slot = self.member.slot();
        if C::wants_frame(port, head) {
            let mut room = [0; LOOK_BYTES + ethernet::TAG_BYTES];
            crew.received(slot, with_tag(head, beside, &mut room));
        }
        if let Some(reason) = self.closed {
            return Fate::Drop(reason);
        }
        if destination.is_group() && !crew.route().collects(slot) && !C::keeps_duplicates(port) {
            return Fate::Drop(DropReason::ReceiveInactive);
        }
        match self.wanted {
            Some(wanted) if wanted.takes(destination) => Fate::Up,
            _ => Fate::Drop(DropReason::ReceiveUnwanted),
        }
    }

    /// Shows the brain a frame that is the team's own.
    fn control(&self, list: &mut List) {
        let mut room = [0; LOOK_BYTES];
        if let Some(frame) = list.buffers().next() {
            self.crew
                .received(self.member.slot(), frame.head(&mut room));
        }
    }

    /// Makes a list ready for the way up. False: there is no context space.
    fn prepare(&mut self, list: &mut List) -> bool {
        let saved = Saved {
            source: list.source(),
            path: to_word(self.member.slot()),
        };
        match push(list, saved, C::TAG) {
            Ok(room) => {
                self.allocated += u64::from(room == Room::Allocated);
                list.set_source(self.crew.path().miniport().0); // RCV-5
                self.load.add(list.load());
                true
            }
            Err(_) => false,
        }
    }

    fn dropped(&mut self, reason: DropReason) {
        let (last, count) = &mut self.drops;
        if *last != reason {
            let before = core::mem::replace(count, 0);
            let last = core::mem::replace(last, reason);
            self.count_drops(last, before);
        }
        self.drops.1 = self.drops.1.wrapping_add(1);
    }

    /// Counts frames that do not go up: on the team's path what is the miniport's
    /// affair, on the member's what never was.
    fn count_drops(&self, reason: DropReason, count: u32) {
        if count == 0 {
            return;
        }
        let path = match reason {
            DropReason::ReceiveMalformed
            | DropReason::ReceiveUnwanted
            | DropReason::ReceiveControl
            | DropReason::ReceiveInactive => &self.member.path,
            _ => self.crew.path(),
        };
        path.dropped(reason, count);
    }

    /// Shows what was gathered to the protocols above (RCV-4).
    fn show(&self, up: &mut Queue<FromBelow>) {
        let count = up.count();
        let (Some(below), Some(above), 1..) = (self.below, self.above, count) else {
            return; // `judge` lets nothing up then
        };
        // The call is counted on both, so nobody is told.
        let told = self.member.path.change_on(below, i64::from(count));
        debug_assert!(told == Waiters::NONE);
        let told = self.crew.path().change_on(above, i64::from(count));
        debug_assert!(told == Waiters::NONE);
        // RCV-12: the chain is as it came or a part of it, so its flags stay true.
        up.take()
            .indicate_up(self.crew.path().miniport(), self.port, count, self.flags);
    }

    /// Counts the call and what went up out.
    fn end(self) {
        let (reason, count) = self.drops;
        self.count_drops(reason, count);
        if let Some(above) = self.above {
            above.received.add(self.load);
            if self.allocated != 0 {
                above
                    .allocations
                    .fetch_add(self.allocated, Ordering::Relaxed);
            }
        }
        if let Some(below) = self.below {
            below.received.add(self.load);
            C::tell_member(self.member, self.member.path.change_on(below, -1));
        }
        if let Some(above) = self.above {
            self.crew.tell(self.crew.path().change_on(above, -1));
        }
    }
}

/// Shows lists that are ours to the protocols above (RCV-1).
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn receive<C: Crew>(
    crew: &C,
    member: &Member,
    mut chain: Chain<FromBelow>,
    port: u32,
    flags: u32,
) {
    let irql = Irql::from_flag(flags, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL); // IRQ-20
    let processor = cpu::current_index();
    let binding = member.path.binding();
    let inside = crew.route().readers.enter(processor);
    let Some(mut call) = Call::begin(crew, member, processor, &inside, port, flags) else {
        let reason = DropReason::ReceiveBindingPaused;
        member.path.dropped(reason, chain.count());
        chain.return_down(binding, return_flags(irql)); // PBS-3
        return;
    };
    let mut up = Queue::new();
    let mut back = Queue::new();
    let mut ahead = chain.ahead();
    loop {
        ahead.step();
        let Some(mut list) = chain.pop() else {
            break;
        };
        match call.judge(&mut list) {
            Fate::Up => {
                if call.prepare(&mut list) {
                    up.push(list);
                } else {
                    call.dropped(DropReason::ReceiveNoContext);
                    back.push(list);
                }
            }
            Fate::Control => {
                // What came before it on this member is above by then: an answer to a
                // marker says so.
                call.show(&mut up);
                call.control(&mut list);
                call.dropped(DropReason::ReceiveControl);
                back.push(list);
            }
            Fate::Drop(reason) => {
                call.dropped(reason);
                back.push(list);
            }
        }
    }
    core::mem::forget(chain); // empty
    call.show(&mut up);
    back.take().return_down(binding, return_flags(irql)); // PBS-3
    call.end();
}

/// Shows lists that are ours for the time of the call (RCV-2, RCV-3).
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn lent<C: Crew>(crew: &C, member: &Member, mut lent: Lent<'_>, port: u32, flags: u32) {
    let processor = cpu::current_index();
    let inside = crew.route().readers.enter(processor);
    let Some(mut call) = Call::begin(crew, member, processor, &inside, port, flags) else {
        let reason = DropReason::ReceiveBindingPaused;
        member.path.dropped(reason, lent.count());
        return;
    };
    let miniport = crew.path().miniport();
    let mut sections = lent.sections();
    let show = |sections: &mut ndis::nbl::Sections<'_>| {
        sections.section(|loan| {
            loan.indicate(miniport, port, flags);
            loan.for_each(restore); // RCV-8
        });
    };
    while let Some(mut list) = sections.peek() {
        let fate = match call.judge(&mut list) {
            Fate::Up if !call.prepare(&mut list) => Fate::Drop(DropReason::ReceiveNoContext),
            fate => fate,
        };
        match fate {
            Fate::Up => sections.take(),
            Fate::Control => {
                show(&mut sections);
                call.control(&mut list);
                call.dropped(DropReason::ReceiveControl);
                sections.skip();
            }
            Fate::Drop(reason) => {
                show(&mut sections);
                call.dropped(reason);
                sections.skip();
            }
        }
    }
    show(&mut sections);
    call.end();
}

/// Puts a list back as it came (RCV-6).
fn restore(list: &mut List) {
    // SAFETY: (NBL-5) every list that went up has our context on top.
    let saved: Saved = unsafe { pop(list) };
    list.set_source(saved.source);
}

/// Gives lists that the protocols above are done with back to the members.
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn returned<C: Crew>(crew: &C, mut chain: Chain<FromBelow>, flags: u32) {
    let mut members: BySlot<Queue<FromBelow>> = BySlot::new();
    let mut total = 0_i64;
    while let Some(mut list) = chain.pop() {
        // SAFETY: (NBL-5) every list that went up has our context on top.
        let saved: Saved = unsafe { pop(&mut list) };
        list.set_source(saved.source); // RCV-6
        let slot = (saved.path.addr() % MAX_MEMBERS) as Slot;
        members.of(slot, Queue::new).push(list);
        total = total.wrapping_add(1);
    }
    core::mem::forget(chain); // empty
    let flags = flags & NDIS_RETURN_FLAGS_DISPATCH_LEVEL;
    while let Some((slot, mut queue)) = members.take() {
        give_back::<C>(crew.route(), slot, &mut queue, flags);
    }
    if total != 0 {
        crew.tell(crew.path().change(-total));
    }
}

/// Gives lists back to the member that they came from (RCV-9).
fn give_back<C: Crew>(route: &Route, slot: Slot, queue: &mut Queue<FromBelow>, flags: u32) {
    let count = i64::from(queue.count());
    // SAFETY: (VMI-9) the lists count on its path, so that it is there until they are
    // counted out below.
    let Some(member) = (unsafe { route.kept_member(slot) }) else {
        debug_assert!(false, "a member went without its lists");
        core::mem::forget(queue.take());
        return;
    };
    queue.take().return_down(member.path.binding(), flags);
    C::tell_member(member, member.path.change(-count));
}

//! Buckets from member to member, in order.
//!
//! 1. The buckets whose member would change are held, if the member they leave lives:
//!    readers that enter from now on queue their lists.
//! 2. The phases of the members that are left flip, and the readers are waited for:
//!    whatever still goes down is counted in the phase from before.
//! 3. These phases are waited for, and then for markers where the brain wants them:
//!    everything has arrived that was sent before. A member that dies ends the wait
//!    for it, and so does a limit.
//! 4. All buckets are held for the moment in which the other table takes the place of
//!    the one before, if nobody died since 1; else the buckets are counted once more,
//!    as a death moves some by the table of now.
//! 5. What was held goes down in its order, and then nothing is held any more.
//!
//! IRQL = PASSIVE_LEVEL, one at a time.

use super::TeamState;
use super::bond::{Bond, MAX_MEMBERS, Members, Slot, Spread};
use super::crew::Crew;
use super::member::Member;
use super::route::Route;
use super::send::send_held;
use super::table::{Buckets, Table, bit, left, moving, slots};
use core::sync::atomic::Ordering;
use ndis::cpu::interrupt_time;
use ndis::memory::PoolBox;

/// Units of 100 nanoseconds that a move waits at most: frames that a living member
/// holds for longer are as good as lost, and its flows go on.
const LIMIT: u64 = 10_000_000;

const UNITS_PER_MILLISECOND: u64 = 10_000;

/// What a move came to.
pub struct Moved {
    /// The table from before, to be used again.
    pub old: PoolBox<Table>,
    /// Members whose lists did not come back within the limit.
    pub late: Members,
}

/// A member's marker came back, or never will. IRQL <= DISPATCH_LEVEL.
pub(super) fn marker_back<T: Bond>(state: &TeamState<T>, slot: Slot) {
    state.route.marker_back(slot);
}

/// One move.
struct Move<'a, C: Crew> {
    crew: &'a C,
    route: &'a Route,
    until: u64,
    late: Members,
}

/// Puts a table in force: its ranking and members are what the brain wants now.
/// Members whose gate is closed are left out.
pub(super) fn adopt<C: Crew>(crew: &C, mut table: PoolBox<Table>) -> Moved {
    let route = crew.route();
    let _mover = route.mover.lock();
    let open = route.open(table.members());
    table.set_members(open);
    table.complete();
    route.admit(open);
    let spread = crew.port().map_or(Spread::All, C::spread);
    let mut this = Move {
        crew,
        route,
        until: interrupt_time().saturating_add(LIMIT),
        late: 0,
    };
    let mut held = Buckets::NONE;
    loop {
        let usable = route.usable();
        let now = route.table_now();
        let before = now.members() & usable;
        let after = open & usable;
        let living = route.living();
        let (more, leaving) = if let Spread::Flowlets(_) = spread {
            flowlets(route, before, after, living)
        } else {
            let (from, to) = ((&now.ranking, before), (&table.ranking, after));
            let more = moving(spread, from, to, living);
            (more, left(&now.ranking, before, &more))
        };
        if !held.covers(&more) {
            held.join(&more);
            route.hold_buckets(&held);
            this.empty(leaving);
        } else if route.hold_all(usable) {
            break;
        }
    }
    route
        .moved
        .fetch_add(u64::from(held.count()), Ordering::Relaxed);
    let old = route.exchange(table);
    route.close(0);
    release(crew);
    route.wait_for_readers();
    Moved {
        // SAFETY: (MEM-2) `exchange` took it from where a box put it, and nobody reads
        // it any more.
        old: unsafe { PoolBox::from_raw(old) },
        late: this.late,
    }
}

/// The buckets that flowlets have put on living members which are not used any more,
/// and these members. No other bucket goes there meanwhile.
fn flowlets(route: &Route, before: Members, after: Members, living: Members) -> (Buckets, Members) {
    let leaving = before & living & !after;
    if after == 0 || leaving == 0 {
        return (Buckets::NONE, 0);
    }
    route.close(leaving);
    // Where everybody is left, a bucket that is nowhere yet has to go to one of them.
    let everybody = before == leaving;
    let mut found = Buckets::NONE;
    for bucket in 0..=u8::MAX {
        let slot = route.flowlet(bucket).and_then(|flowlet| flowlet.read().0);
        if everybody || slot.is_some_and(|slot| leaving & bit(slot) != 0) {
            found.add(bucket);
        }
    }
    (found, leaving)
}

impl<C: Crew> Move<'_, C> {
    fn member(&self, slot: Slot) -> Option<&Member> {
        // SAFETY: (VMI-9) the mover's lock is held.
        unsafe { self.route.kept_member(slot) }
    }

    /// Waits until the members have nothing of what readers gave them before, or died,
    /// or time is up.
    fn empty(&mut self, members: Members) {
        let mut phases = [0_usize; MAX_MEMBERS];
        // Who does not know yet that the buckets are held counts by the phase of now, and
        // not by the next one, which nobody waits for.
        self.route.wait_for_readers();
        for (slot, phase) in (0..).zip(&mut phases) {
            if members & bit(slot) != 0
                && let Some(member) = self.member(slot)
            {
                *phase = member.flip();
            }
        }
        // Nobody counts by the old phase any more, in this move or the next.
        self.route.wait_for_readers();
        let phase = |slot: Slot| phases.get(usize::from(slot)).copied().unwrap_or(0);
        for slot in slots(members) {
            if let Some(member) = self.member(slot) {
                member.watch(phase(slot));
            }
        }
        self.wait(members, |this, slot| {
            this.member(slot)
                .is_none_or(|member| member.is_done(phase(slot)))
        });
        let asked = members & self.route.living() & !self.late;
        self.route.markers.fetch_and(!asked, Ordering::AcqRel);
        for slot in slots(asked) {
            self.crew.marker(slot);
        }
        self.wait(asked, |this, slot| {
            this.route.markers.load(Ordering::Acquire) & bit(slot) != 0
        });
    }

    /// Waits until `done` says yes to all members that live, or time is up.
    fn wait(&mut self, members: Members, done: impl Fn(&Self, Slot) -> bool) {
        loop {
            // Whatever changes after this sets it again.
            self.route.woken.reset();
            let living = members & self.route.living();
            let pending = slots(living)
                .filter(|slot| !done(self, *slot))
                .fold(0, |set, slot| set | bit(slot));
            if pending == 0 {
                return;
            }
            let left = self.until.saturating_sub(interrupt_time());
            if left == 0 {
                self.late |= pending;
                return;
            }
            let milliseconds = left.div_ceil(UNITS_PER_MILLISECOND);
            let _set = self.route.woken.wait_for(milliseconds as u32); // <= LIMIT
        }
    }
}

/// Lets what is held go, and then nothing is held any more.
fn release<C: Crew>(crew: &C) {
    let route = crew.route();
    loop {
        let held = {
            let mut queue = route.held.lock();
            if queue.is_empty() {
                route.hold_none();
                return;
            }
            queue.take()
        };
        send_held(crew, held);
    }
}

//! The team's state machines, and what carries out what they want.
//!
//! Things happen on any processor up to DISPATCH_LEVEL. Each goes into the brain
//! under its lock; what is to be done is put on a list there and done after the
//! lock is let go, by one processor at a time, so that a member sends the brain's
//! frames in their order. What cannot wait is done at once: a dead member is not
//! used by the next batch. What has to be done in order, or takes memory, is done by
//! a work item at PASSIVE_LEVEL, or by the handler that waits for it anyway.
//!
//! One timer per team is armed for the brain's deadline; without one it is not
//! armed at all. `users` is open from [`start`] to [`stop`]: whoever is inside keeps
//! brain, timer and work item.

use super::bond::{Action, Bond, Happened, MemberFacts, Plan, Slot, Time};
use super::table::{Table, bit, slots};
use super::{TeamState, frames, moves};
use crate::edges::{Lower, Upper};
use crate::facts::Link;
use crate::own_request::may_ask;
use crate::state::Lower as LowerState;
use crate::status::show_link;
use crate::team::Team;
use crate::topology::Topology;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use ethernet::Mac;
use im_control::EventKind;
use ndis::lock::SpinLock;
use ndis::memory::{PoolArray, PoolBox};
use ndis::mutex::Mutex;
use ndis::rundown::Rundown;
use ndis::sys::{MediaConnectStateConnected, MediaDuplexStateFull, MediaDuplexStateHalf};
use ndis::timer::Timer;
use ndis::work::WorkItem;
use ndis::{Error, Result, cpu};

/// Things to do that can wait at a time. The most that one event of a full team
/// makes is 32 frames, 32 markers and 64 events; while they are done others may
/// come.
const TODO: usize = 512;

/// Longest frame of a brain: a LACPDU with a tag.
pub(super) const FRAME_BYTES: usize = 192;

/// The state machines of a team; see the module's description.
pub struct Control<T: Bond> {
    running: UnsafeCell<Option<Running<T>>>,
    users: Rundown,
    /// Held by whoever moves flows.
    moves: Mutex<()>,
    /// Members that the brain may know.
    joined: AtomicU32,
}

// SAFETY: (VMI-9) `running` is written while nobody is inside `users`; all else is
// synchronised by type.
unsafe impl<T: Bond> Send for Control<T> {}
// SAFETY: (VMI-9) as above.
unsafe impl<T: Bond> Sync for Control<T> {}

/// What there is between start and stop.
struct Running<T: Bond> {
    upper: NonNull<Upper<T>>,
    core: SpinLock<Core<T>>,
    timer: Timer<Place<T>>,
    worker: WorkItem<Place<T>>,
}

/// Where timer and work item belong.
struct Place<T: Bond>(NonNull<Team<T>>);

// SAFETY: (MEM-6, TMR-3) the team outlives both and is shared by design.
unsafe impl<T: Bond> Sync for Place<T> {}

/// What is under the lock.
struct Core<T: Bond> {
    brain: PoolBox<T::Brain>,
    todo: Todos,
    /// Somebody works the list off.
    working: bool,
    /// What is planned.
    plan: Plan,
    /// The link that was shown above.
    shown: Option<u64>,
    /// The table in force was made for a plan in which somebody distributes.
    spreads: bool,
    /// What lists are spread by.
    adopted: Plan,
    /// A member's gate may have opened or closed since.
    again: bool,
    /// When the timer was armed for.
    armed: Option<Time>,
}

// SAFETY: (VMI-9) the brain is `Send`; reached under the lock only.
unsafe impl<T: Bond> Send for Core<T> {}

/// Something to do, kept until the lock is let go.
#[derive(Clone, Copy)]
enum Todo {
    Send(Slot, u16, [u8; FRAME_BYTES]),
    Tell(Option<Slot>, EventKind, u64),
    MarkerBack(Slot),
}

/// A ring of them.
struct Todos {
    ring: PoolArray<Option<Todo>>,
    first: usize,
    count: usize,
}

impl Todos {
    fn push(&mut self, action: &Action<'_>) {
        let todo = match *action {
            Action::Send(slot, bytes) => {
                let mut frame = [0; FRAME_BYTES];
                match frame.get_mut(..bytes.len()) {
                    Some(room) => room.copy_from_slice(bytes),
                    None => return, // no brain makes longer ones
                }
                Todo::Send(slot, bytes.len() as u16, frame)
            }
            Action::Tell(slot, kind, value) => Todo::Tell(slot, kind, value),
            Action::MarkerBack(slot) => Todo::MarkerBack(slot),
        };
        let place = self.first.wrapping_add(self.count) % TODO;
        // What finds no room is lost as on a wire: every machine sends again.
        if let Some(room) = self.ring.as_mut_slice().get_mut(place)
            && self.count < TODO
        {
            *room = Some(todo);
            self.count += 1;
        }
    }

    fn pop(&mut self) -> Option<Todo> {
        if self.count == 0 {
            return None;
        }
        let todo = self.ring.as_mut_slice().get_mut(self.first)?.take();
        self.first = self.first.wrapping_add(1) % TODO;
        self.count -= 1;
        todo
    }
}

impl<T: Bond> Control<T> {
    /// No state machines yet.
    pub(super) fn new() -> Self {
        Self {
            running: UnsafeCell::new(None),
            users: Rundown::new(false),
            moves: Mutex::new(()),
            joined: AtomicU32::new(0),
        }
    }

    /// Initialises events in place.
    ///
    /// # Safety
    /// The team has its final address and is not shared yet.
    pub(super) unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the caller's promise.
        unsafe {
            self.users.init();
            self.moves.init();
        }
    }

    /// Looks at what runs, if it does, and keeps it meanwhile.
    fn inside<V>(&self, look: impl FnOnce(&Running<T>) -> V) -> Option<V> {
        let _inside = self.users.enter()?;
        // SAFETY: (VMI-9) written only while nobody is inside.
        unsafe { (*self.running.get()).as_ref() }.map(look)
    }

    /// Looks at the brain, if there is one. IRQL <= DISPATCH_LEVEL, under its lock.
    pub(crate) fn brain<V>(&self, look: impl FnOnce(&T::Brain) -> V) -> Option<V> {
        self.inside(|running| look(&running.core.lock().brain))
    }
}

fn state<T: Bond>(team: &Team<T>) -> &TeamState<T> {
    &team.data
}

/// Something happened: the brain goes on, and what it wants is done.
/// IRQL <= DISPATCH_LEVEL, no lock held.
fn happened<T: Bond>(team: &Team<T>, what: Happened<'_, T::Adapter>) {
    let control = &state(team).control;
    control.inside(|running| {
        // SAFETY: (VMI-4) stopped before the miniport's settings go.
        let upper = unsafe { running.upper.as_ref() };
        let Some(port) = upper.port() else { return };
        let now = cpu::interrupt_time();
        let mut core = running.core.lock();
        let Core { brain, todo, .. } = &mut *core;
        T::happened(brain, port, now, what, &mut |action| todo.push(&action));
        let plan = T::plan(&core.brain);
        // Who leaves in order does not distribute any more when he goes.
        let lost = core.plan.distribute & !plan.alive;
        core.plan = plan;
        // Whoever dies loses its bit below; it may live again, by the same plan, before
        // the worker has seen that.
        core.again |= core.adopted.distribute & !plan.alive != 0;
        // At once, and in the order of the plans: both take leaf locks at most.
        state(team).set_alive(plan.alive);
        state(team).set_collect(plan.collect);
        let in_line = core.is_in_line();
        drop(core);
        for slot in slots(lost) {
            tell_lost(team, slot);
        }
        if !in_line {
            running.worker.queue();
        }
        work_off(team, upper, running);
        arm(running);
    });
}

/// Notes that a member died, and what it had then: no more than that is lost.
fn tell_lost<T: Bond>(team: &Team<T>, slot: Slot) {
    if let Some(member) = team.member(usize::from(slot)) {
        let holds = member.data.holds();
        let kind = EventKind::MemberLost;
        team.driver.event(kind, member.if_index(), holds);
    }
}

impl<T: Bond> Core<T> {
    /// Whether lists are spread as it is planned.
    fn is_in_line(&self) -> bool {
        !self.again && same_way(self.plan, self.adopted)
    }

    /// The link to be shown now. A link goes at once; it comes when the table that lists are
    /// spread by has members, so that nobody who sees it sends in vain.
    fn link_due(&self) -> Option<u64> {
        let link = self.plan.link;
        link.filter(|_| self.spreads || self.shown.is_some())
    }
}

/// Whether lists are spread alike by two plans.
fn same_way(one: Plan, other: Plan) -> bool {
    one.distribute == other.distribute && one.ranking == other.ranking
}

/// The team's link as NDIS has it.
fn link(speed: Option<u64>) -> Link {
    match speed {
        None => Link::DOWN,
        Some(speed) => Link {
            connect: MediaConnectStateConnected.0,
            duplex: MediaDuplexStateFull.0,
            xmit: speed,
            rcv: speed,
            ..Link::DOWN
        },
    }
}

/// What is to be done next.
enum Next {
    /// Nothing.
    Nothing,
    /// This link is to be shown.
    Link(Option<u64>),
    /// Something from the list.
    Todo(Todo),
}

/// Shows the plan's link, and does what is on the list; one processor at a time, so
/// that nothing older comes after something newer.
fn work_off<T: Bond>(team: &Team<T>, upper: &Upper<T>, running: &Running<T>) {
    {
        let mut core = running.core.lock();
        if core.working {
            return; // whoever does so sees what was added
        }
        core.working = true;
    }
    loop {
        let next = {
            let mut core = running.core.lock();
            let due = core.link_due();
            if core.shown == due {
                let todo = core.todo.pop();
                core.working = todo.is_some();
                todo.map_or(Next::Nothing, Next::Todo)
            } else {
                core.shown = due;
                Next::Link(due)
            }
        };
        match next {
            Next::Nothing => return,
            Next::Link(due) => {
                team.set_link(link(due));
                show_link(upper);
            }
            Next::Todo(Todo::Send(slot, length, frame)) => {
                let frame = frame.get(..usize::from(length)).unwrap_or(&[]);
                frames::send(team, slot, frame);
            }
            Next::Todo(Todo::Tell(slot, kind, value)) => {
                let member = slot.and_then(|slot| team.member(usize::from(slot)));
                let index = member.map_or(0, |member| member.if_index());
                team.driver.event(kind, index, value);
            }
            Next::Todo(Todo::MarkerBack(slot)) => moves::marker_back(state(team), slot),
        }
    }
}

/// Arms the timer for the brain's deadline, or disarms it.
fn arm<T: Bond>(running: &Running<T>) {
    loop {
        let wanted = {
            let mut core = running.core.lock();
            let deadline = T::deadline(&core.brain);
            if deadline == core.armed {
                return;
            }
            core.armed = deadline;
            deadline
        };
        match wanted {
            Some(deadline) => {
                let left = deadline.saturating_sub(cpu::interrupt_time());
                running.timer.set(left.max(1));
            }
            None => {
                running.timer.cancel();
            }
        }
        // Another processor may have armed it for something else in between.
    }
}

/// The timer's callback. IRQL = DISPATCH_LEVEL.
fn on_time<T: Bond>(place: &Place<T>) {
    // SAFETY: (TMR-3) the timer goes before the team.
    let team = unsafe { place.0.as_ref() };
    state(team).control.inside(|running| {
        running.core.lock().armed = None; // it has to be armed again in any case
    });
    happened(team, Happened::Time);
}

/// The work item's routine. IRQL = PASSIVE_LEVEL.
fn on_work<T: Bond>(place: &Place<T>) {
    // SAFETY: (MEM-6) the work item goes before the team.
    carry_out(unsafe { place.0.as_ref() });
}

/// Brings the data path in line with the plan, and shows above what was waiting for that.
/// IRQL = PASSIVE_LEVEL.
fn carry_out<T: Bond>(team: &Team<T>) {
    bring_in_line(team);
    state(team).control.inside(|running| {
        // SAFETY: (VMI-4) stopped before the miniport's settings go.
        let upper = unsafe { running.upper.as_ref() };
        work_off(team, upper, running);
    });
}

/// Brings the data path in line with the plan, flow by flow in order.
/// IRQL = PASSIVE_LEVEL.
fn bring_in_line<T: Bond>(team: &Team<T>) {
    let control = &state(team).control;
    let _one = control.moves.lock();
    control.inside(|running| {
        // SAFETY: (VMI-4) stopped before the miniport's settings go.
        let upper = unsafe { running.upper.as_ref() };
        let mut spare = None;
        loop {
            if running.core.lock().is_in_line() {
                return;
            }
            let fresh = || Table::make(team.driver.pool());
            let Some(mut table) = spare.take().or_else(|| fresh().ok()) else {
                // The old one goes on: whoever died is not used by it either. The
                // next event tries again.
                return;
            };
            let plan = {
                let mut core = running.core.lock();
                let plan = core.plan;
                table.ranking.clear();
                T::rank(&core.brain, &mut table.ranking);
                core.adopted = plan;
                core.again = false;
                plan
            };
            table.set_members(plan.distribute);
            let moved = moves::adopt(upper, table);
            running.core.lock().spreads = plan.distribute != 0;
            for slot in slots(moved.late) {
                let (kind, value) = (EventKind::FlowMoveLate, u64::from(slot));
                team.driver.event(kind, 0, value);
            }
            spare = Some(moved.old);
        }
    });
}

/// What lists are spread by does not fit the members any more: their gates opened or
/// closed. IRQL <= DISPATCH_LEVEL.
pub(super) fn look_again<T: Bond>(team: &Team<T>) {
    state(team).control.inside(|running| {
        running.core.lock().again = true;
        running.worker.queue();
    });
}

/// What the brain is told about a member.
fn facts_of<T: Topology>(lower: &Lower<T>) -> MemberFacts {
    let runs = lower.state() == LowerState::Running && may_ask(lower).is_ok();
    let facts = lower.facts.lock();
    let mac = facts.mac.first_chunk().map_or(Mac::ZERO, |mac| Mac(*mac));
    let duplex = facts.link.duplex;
    MemberFacts {
        mac,
        if_index: facts.if_index,
        speed: match facts.link.xmit {
            u64::MAX => 0, // NDIS_LINK_SPEED_UNKNOWN
            speed => speed,
        },
        up: runs && facts.link.connect == MediaConnectStateConnected.0,
        full_duplex: duplex != MediaDuplexStateHalf.0,
    }
}

/// The team's miniport has settings and address: the state machines start. Inside
/// MiniportInitializeEx, IRQL = PASSIVE_LEVEL; [`stop`] undoes it, also if it fails.
pub(super) fn start<T: Bond>(upper: &Upper<T>, mac: Mac) -> Result<()> {
    let team = upper.team();
    let pool = team.driver.pool();
    let port = upper.port().ok_or(Error::BadState)?;
    let running = Running {
        upper: NonNull::from(upper),
        core: SpinLock::new(Core {
            brain: T::brain(port, pool)?,
            todo: Todos {
                ring: PoolArray::try_with(pool, TODO, |_| None)?,
                first: 0,
                count: 0,
            },
            working: false,
            plan: Plan::default(),
            shown: None,
            spreads: false,
            adopted: Plan::default(),
            again: false,
            armed: None,
        }),
        timer: Timer::try_new(pool, Place(NonNull::from(team)), on_time::<T>)?,
        worker: WorkItem::try_new(pool, Place(NonNull::from(team)), on_work::<T>)?,
    };
    let control = &state(team).control;
    {
        let _one = control.moves.lock();
        // SAFETY: (VMI-9) `users` is closed: nobody is inside, and nobody gets in.
        unsafe { *control.running.get() = Some(running) };
        control.users.open();
        team.set_link(Link::DOWN);
        happened(team, Happened::Started(mac));
        for member in team.members() {
            if control.joined.load(Ordering::Acquire) & bit(slot_of(&member)) != 0 {
                tell_joined(team, &member);
            }
        }
    }
    carry_out(team);
    Ok(())
}

/// Stops what [`start`] started. IRQL = PASSIVE_LEVEL.
pub(super) fn stop<T: Bond>(upper: &Upper<T>) {
    let team = upper.team();
    let control = &state(team).control;
    control.users.close_and_wait();
    // Nobody queues the item or arms the timer any more; whoever runs finds the
    // door closed.
    // SAFETY: (VMI-9) nobody is inside, and nobody gets in.
    let running = unsafe { (*control.running.get()).take() };
    drop(running); // waits for both
    let _one = control.moves.lock();
    state(team).set_alive(0);
    state(team).set_collect(0);
}

fn slot_of<T: Topology>(lower: &Lower<T>) -> Slot {
    lower.slot.load(Ordering::Relaxed)
}

fn tell_joined<T: Bond>(team: &Team<T>, lower: &Lower<T>) {
    let joined = Happened::Joined(slot_of(lower), facts_of(lower), lower.adapter());
    happened(team, joined);
}

/// A binding joined the team. IRQL = PASSIVE_LEVEL.
pub(super) fn joined<T: Bond>(lower: &Lower<T>) {
    let team = lower.team();
    state(team).enter(lower);
    let control = &state(team).control;
    {
        // Either this tells the brain, or `start` does.
        let _one = control.moves.lock();
        let bit = bit(slot_of(lower));
        control.joined.fetch_or(bit, Ordering::AcqRel);
        tell_joined(team, lower);
    }
    let (driver, slot) = (team.driver, slot_of(lower));
    driver.event(EventKind::MemberJoined, lower.if_index(), slot.into());
    carry_out(team);
}

/// Whether the brain knows a binding.
fn is_member<T: Bond>(lower: &Lower<T>) -> bool {
    let joined = &state(lower.team()).control.joined;
    joined.load(Ordering::Acquire) & bit(slot_of(lower)) != 0
}

/// A binding is about to be paused: its flows go elsewhere in order.
/// IRQL = PASSIVE_LEVEL.
pub(super) fn leaving<T: Bond>(lower: &Lower<T>) {
    if is_member(lower) {
        happened(lower.team(), Happened::Leaving(slot_of(lower)));
        carry_out(lower.team());
    }
}

/// A binding leaves the team. IRQL = PASSIVE_LEVEL.
pub(super) fn left<T: Bond>(lower: &Lower<T>) {
    let team = lower.team();
    let control = &state(team).control;
    let slot = slot_of(lower);
    if control.joined.fetch_and(!bit(slot), Ordering::AcqRel) & bit(slot) == 0 {
        return; // it never joined
    }
    happened(team, Happened::Left(slot));
    carry_out(team);
    state(team).remove(lower);
    let driver = team.driver;
    driver.event(EventKind::MemberLeft, lower.if_index(), slot.into());
}

/// Something about a binding changed. IRQL <= DISPATCH_LEVEL.
pub(super) fn changed<T: Bond>(lower: &Lower<T>) {
    if is_member(lower) {
        let what = Happened::Changed(slot_of(lower), facts_of(lower));
        happened(lower.team(), what);
        look_again(lower.team());
    }
}

/// A frame for the brain came in on a member. IRQL <= DISPATCH_LEVEL.
pub(super) fn received<T: Bond>(team: &Team<T>, slot: Slot, bytes: &[u8]) {
    happened(team, Happened::Received(slot, bytes));
}

/// The stack above sent something to learn from. IRQL <= DISPATCH_LEVEL.
pub(super) fn stack_sent<T: Bond>(team: &Team<T>, bytes: &[u8]) {
    happened(team, Happened::Sent(bytes));
}

/// Asks for a marker on a member; [`moves::marker_back`] follows.
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn marker<T: Bond>(team: &Team<T>, slot: Slot) {
    happened(team, Happened::MarkerWanted(slot));
}

//! The brain of a team: events and time in, actions and a plan out.
//!
//! | Question | File |
//! |---|---|
//! | Where is a member? | [`table`] (the states as data), `members` |
//! | Who is active, when does it change back? | [`backup`] |
//! | Who carries frames in the other modes, is there a link, how fast? | [`plan`] |
//! | What does LACP say? | `lacp`, and the crate of that name |
//! | Do the targets answer? | `monitor` |
//! | Who has to know of a failover? | `notice` |
//! | What do ARP and neighbour discovery look like? | [`frames`] |
//!
//! All of it runs under the team's lock at IRQL <= DISPATCH_LEVEL: no memory is taken
//! after [`Brain::try_new`], nothing waits, there is no clock but the time that comes
//! in, and no input makes it panic. Nothing polls: [`Brain::deadline`] is the next
//! moment at which anything happens by itself, and an idle team in active-backup has
//! none.

pub mod backup;
pub mod frames;
mod lacp;
mod members;
mod monitor;
mod notice;
pub mod plan;
pub mod table;

pub use lacp::TeamSystem;
pub use members::Member;
pub use notice::{AT_ONCE, ENTRIES, Learnt, PAUSE};

use crate::ranking::{Owners, rank_alike};
use crate::settings::{MemberSettings, Mode, Monitor, TeamSettings};
use ethernet::Mac;
use frames::Said;
use im_control::EventKind;
use im_core::data::teamed::{
    Action, Happened, MAX_MEMBERS, MemberFacts, Members, NOBODY, Plan, Ranking, Slot, Time,
};
use im_core::list::sort_by;
use lacp::{Glue, Masks};
use members::{Table, Told, bit};
use monitor::Asker;
use ndis::Result;
use ndis::memory::{Pool, PoolArray};
use notice::Notice;
use table::{Reason, State};

/// Takes what is to be done; it does not call back.
pub type Todo<'a> = &'a mut dyn FnMut(Action<'_>);

/// Probes at once; the next ones follow when the time is asked again.
const PROBES_AT_ONCE: usize = 16;

/// Milliseconds in units of 100 nanoseconds.
pub(crate) const fn milliseconds(number: u32) -> Time {
    number as Time * 10_000
}

/// Where arrays come from: pool in the driver, the heap in tests.
pub trait Memory {
    /// A fixed number of values.
    type Array<T>: AsRef<[T]> + AsMut<[T]>;

    /// Makes one.
    fn array<T>(&self, length: usize, make: impl FnMut(usize) -> T) -> Result<Self::Array<T>>;
}

/// An array in pool.
#[derive(Debug)]
pub struct Pooled<T>(PoolArray<T>);

impl<T> AsRef<[T]> for Pooled<T> {
    fn as_ref(&self) -> &[T] {
        self.0.as_slice()
    }
}

impl<T> AsMut<[T]> for Pooled<T> {
    fn as_mut(&mut self) -> &mut [T] {
        self.0.as_mut_slice()
    }
}

impl Memory for Pool {
    type Array<T> = Pooled<T>;

    fn array<T>(&self, length: usize, make: impl FnMut(usize) -> T) -> Result<Pooled<T>> {
        PoolArray::try_with(*self, length, make).map(Pooled)
    }
}

/// Whether the brain wants to see a received frame; `head` are its first bytes, more
/// than 54 if there are as many. IRQL <= DISPATCH_LEVEL, no lock.
pub fn wants_frame(settings: &TeamSettings, head: &[u8]) -> bool {
    settings.monitor != Monitor::Off && frames::is_candidate(head)
}

/// The state machines of a team.
pub struct Brain<M: Memory> {
    settings: TeamSettings,
    now: Time,
    team: Mac,
    members: Table<M>,
    lacp: Glue<M>,
    notice: Notice<M>,
    owners: Owners,
    /// The order where one carries everything, the active one first; what is left over
    /// is [`NOBODY`].
    order: [Slot; MAX_MEMBERS],
    active: Option<Slot>,
    /// One carries everything: the active one.
    one: bool,
    /// The last one that was active; [`NOBODY`] if all were.
    last_active: Option<Slot>,
    /// When another member takes over.
    failback: Option<Time>,
    plan: Plan,
}

impl<M: Memory> Brain<M> {
    /// The brain of a team without members. The only moment at which memory is taken.
    /// IRQL = PASSIVE_LEVEL.
    pub fn try_new(memory: &M, settings: &TeamSettings) -> Result<Self> {
        let mut settings = settings.clone();
        let lacp = if settings.mode == Mode::Lacp {
            // LACPDUs are the probes, and answers come in anywhere.
            settings.monitor = Monitor::Off;
            Glue::try_new(memory)?
        } else {
            Glue::off()
        };
        Ok(Self {
            settings,
            now: 0,
            team: Mac::ZERO,
            members: Table::try_new(memory)?,
            lacp,
            notice: Notice::try_new(memory)?,
            owners: Owners::EMPTY,
            order: [NOBODY; MAX_MEMBERS],
            active: None,
            one: false,
            last_active: None,
            failback: None,
            plan: Plan::default(),
        })
    }

    /// Something happened. Time that goes back stands still.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what happened, happened once"
    )]
    pub fn happened(&mut self, now: Time, what: Happened<'_, MemberSettings>, todo: Todo<'_>) {
        self.now = self.now.max(now);
        match what {
            Happened::Time => {}
            Happened::Started(mac) => {
                self.team = mac;
                self.lacp.start(&self.settings, mac);
            }
            Happened::Joined(slot, facts, settings) => {
                self.members.join(slot, facts, *settings);
            }
            Happened::Leaving(slot) => {
                if let Some(member) = self.members.get_mut(slot) {
                    member.leaves = true;
                }
            }
            Happened::Left(slot) => {
                if let Some(member) = self.members.remove(slot)
                    && member.state.is_in_use()
                    && self.settings.mode != Mode::Lacp
                {
                    let reason = Reason::Link as u64;
                    todo(Action::Tell(Some(slot), EventKind::MemberDown, reason));
                }
            }
            Happened::Changed(slot, facts) => self.changed(slot, facts),
            Happened::Received(slot, frame) => self.received(slot, frame, todo),
            Happened::Sent(frame) => {
                if let Some(heard) = frames::parse(frame) {
                    self.notice.learn(&heard, self.now);
                }
            }
            Happened::MarkerWanted(slot) => self.lacp.want_marker(slot, self.now, todo),
        }
        self.settle(todo);
    }

    fn changed(&mut self, slot: Slot, facts: MemberFacts) {
        if let Some(member) = self.members.get_mut(slot) {
            member.change(facts);
        }
    }

    fn received(&mut self, slot: Slot, frame: &[u8], todo: Todo<'_>) {
        self.lacp.receive(slot, frame, self.now, todo);
        if self.settings.monitor == Monitor::Off {
            return;
        }
        let Some(heard) = frames::parse(frame) else {
            return;
        };
        let Some(target) = monitor::target(&self.settings, &heard) else {
            return;
        };
        let of = |mac: Mac| {
            let own = |(_, member): &(Slot, &Member)| member.facts.mac == mac && mac != self.team;
            self.members.all().find(own).map(|(slot, _)| slot)
        };
        let good = match heard.said {
            // The one that asked, if it asked by its own name.
            Said::Answer { .. } => Some(of(heard.destination).unwrap_or(slot)),
            // Another member's question came back through the switch.
            Said::Question { .. } => {
                let ours = heard.source == self.team || of(heard.source).is_some();
                (ours && of(heard.source) != Some(slot) && self.asker(slot).is_none())
                    .then_some(slot)
            }
            Said::Use { .. } => None,
        };
        if let Some(member) = good.and_then(|slot| self.members.get_mut(slot)) {
            member.hearing.hear(target);
        }
    }

    /// In whose name a member's probes are sent; none are if that would do harm.
    fn asker(&self, slot: Slot) -> Option<Asker> {
        let member = self.members.get(slot)?;
        let distribute = self.carriers();
        if distribute == bit(slot) {
            Some(Asker::Team(self.team))
        } else if member.facts.mac == self.team && distribute & !bit(slot) != 0 {
            (distribute & bit(slot) != 0).then_some(Asker::Team(self.team))
        } else {
            Some(Asker::Member(member.facts.mac))
        }
    }

    /// Lets everything act until nothing has anything to do at this moment.
    fn settle(&mut self, todo: Todo<'_>) {
        let is_lacp = self.settings.mode == Mode::Lacp;
        let due = self.due(0);
        let members = &mut self.members;
        let mut told = [None; MAX_MEMBERS];
        members.run(&self.settings, self.now, &mut |slot, what| {
            if let Some(place) = told.get_mut(usize::from(slot)) {
                *place = Some(what);
            }
        });
        if !is_lacp {
            self.tell_members(&told, todo);
        }
        self.lacp
            .settle(&self.members, self.settings.lacp_key, self.now, todo);
        let masks = self.lacp.masks();
        self.choose(&masks);
        self.make_plan(&masks, todo);
        self.announce(todo);
        // And on members that came up just now.
        let due = self.due(due);
        self.probe(due, todo);
    }

    fn tell_members(&self, told: &[Option<Told>; MAX_MEMBERS], todo: Todo<'_>) {
        for (slot, told) in (0..).zip(told) {
            let (kind, value) = match told {
                None => continue,
                Some(Told::Up) => {
                    let speed = self.members.get(slot).map_or(0, |member| member.speed);
                    (EventKind::MemberUp, speed)
                }
                Some(Told::Down(reason)) => (EventKind::MemberDown, *reason as u64),
            };
            todo(Action::Tell(Some(slot), kind, value));
        }
    }

    /// Chooses who carries everything, where one does.
    fn choose(&mut self, masks: &Masks) {
        let among = match self.settings.mode {
            Mode::ActiveBackup => Members::MAX,
            Mode::Lacp => {
                if let Some(among) = masks.fallback {
                    among
                } else {
                    let one = masks.distribute;
                    self.active = (masks.one && one != 0).then(|| one.trailing_zeros() as Slot);
                    self.failback = None;
                    return;
                }
            }
            Mode::Hash | Mode::RoundRobin | Mode::Broadcast | Mode::Dynamic => return,
        };
        let candidates = self.members.candidates();
        let choice = backup::choose(
            self.active,
            &candidates.filter(|candidate| among & bit(candidate.slot) != 0),
            self.settings.failback,
            milliseconds(self.settings.failback_delay),
            self.now,
        );
        self.active = choice.active;
        self.failback = choice.deadline;
    }

    /// Where one member carries everything, all that could do so distribute: the
    /// ranking says who does, and who is next at a death, in the next batch.
    fn make_plan(&mut self, masks: &Masks, todo: Todo<'_>) {
        let in_use = self.members.mask(|member| member.state.is_in_use());
        let ready = self.members.mask(|member| member.state == State::Ready);
        let active = self.active.map_or(0, bit);
        let alive = self.members.mask(Member::is_alive) & !masks.expired;
        let (distribute, collect) = match (self.settings.mode, masks.fallback) {
            (Mode::ActiveBackup, _) => (ready | active, active),
            (Mode::Lacp, Some(among)) => (among & ready | active, active),
            (Mode::Lacp, None) => (masks.distribute & in_use, masks.collect & in_use),
            (Mode::Hash | Mode::RoundRobin | Mode::Broadcast | Mode::Dynamic, _) => {
                (in_use, in_use)
            }
        };
        if self.settings.mode == Mode::Lacp {
            self.tell_distributing(distribute, todo);
        }
        self.one = self.settings.mode == Mode::ActiveBackup || masks.one;
        let carriers = if self.one { active } else { distribute };
        let enough = distribute.count_ones() >= u32::from(self.settings.min_links);
        let speeds = self
            .members
            .all()
            .filter(|(slot, _)| carriers & bit(*slot) != 0);
        let speeds = speeds.map(|(_, member)| member.speed);
        let link = (enough && carriers != 0).then(|| plan::speed(self.settings.link_speed, speeds));
        if self.plan.link != link {
            todo(Action::Tell(None, EventKind::TeamLink, link.unwrap_or(0)));
        }
        let ranking = self
            .plan
            .ranking
            .wrapping_add(u32::from(self.order_changes()));
        self.plan = Plan {
            distribute,
            collect,
            alive,
            link,
            ranking,
        };
    }

    /// With LACP it is the partner who makes a member of use.
    fn tell_distributing(&self, distribute: Members, todo: Todo<'_>) {
        let before = self.plan.distribute;
        for slot in 0..MAX_MEMBERS as Slot {
            let bit = bit(slot);
            let member = self.members.get(slot);
            if distribute & !before & bit != 0 {
                let speed = member.map_or(0, |member| member.speed);
                todo(Action::Tell(Some(slot), EventKind::MemberUp, speed));
            } else if before & !distribute & bit != 0 {
                let reason = match member.map(|member| member.state) {
                    Some(State::Leaving) => Reason::Leaves,
                    Some(state) if state.is_in_use() => Reason::Lacp,
                    Some(_) | None => Reason::Link,
                };
                todo(Action::Tell(
                    Some(slot),
                    EventKind::MemberDown,
                    reason as u64,
                ));
            }
        }
    }

    /// Brings the order of the members up to date; says whether it has changed.
    fn order_changes(&mut self) -> bool {
        let mut changes = false;
        if self.settings.mode != Mode::ActiveBackup {
            changes |= self.owners.update(&self.members.weights());
        }
        let mut order = [NOBODY; MAX_MEMBERS];
        if self.one {
            let failback = self.settings.failback;
            let mut count = 0;
            for (place, candidate) in order.iter_mut().zip(self.members.candidates()) {
                *place = candidate.slot;
                count += 1;
            }
            let key = |slot: &Slot| {
                let member = self.members.get(*slot);
                let place = member.map(|member| member.candidate(*slot).place(failback));
                (Some(*slot) != self.active, place)
            };
            let joined = order.get_mut(..count).unwrap_or_default();
            sort_by(joined, |a, b| key(a).cmp(&key(b)));
        }
        changes |= order != self.order;
        self.order = order;
        changes
    }

    /// Those that frames go out on while nobody dies.
    fn carriers(&self) -> Members {
        if self.one {
            self.active.map_or(0, bit)
        } else {
            self.plan.distribute
        }
    }

    /// Tells peers who is active now, if it is another than before.
    fn announce(&mut self, todo: Todo<'_>) {
        if let Some(active) = self.active
            && self.last_active != Some(active)
        {
            let facts = self.members.get(active).map(|member| member.facts);
            let index = facts.map_or(0, |facts| u64::from(facts.if_index));
            todo(Action::Tell(Some(active), EventKind::ActiveMember, index));
            if self.last_active.is_some() {
                let count = self.settings.notice_count;
                self.notice.start(self.now, active, count);
            }
            self.last_active = Some(active);
        }
        if self.active.is_none() {
            self.notice.stop();
        }
        if !self.one && self.plan.distribute != 0 {
            // All of them carry frames: whoever serves alone after that is another.
            self.last_active = Some(NOBODY);
        }
        let interval = milliseconds(self.settings.notice_interval);
        self.notice.run(self.now, interval, &mut |slot, frame| {
            todo(Action::Send(slot, frame.bytes()));
        });
    }

    /// Members whose links are up, so that targets can be asked on them.
    fn is_asked(&self, member: &Member) -> bool {
        self.settings.monitor != Monitor::Off
            && matches!(member.state, State::UpDelay | State::Probing | State::Ready)
    }

    /// Counts what was not answered on members whose probes are due, and says on which
    /// they go out. What has no room now is due still.
    fn due(&mut self, before: Members) -> Members {
        let most = (PROBES_AT_ONCE / self.settings.targets.len().max(1)).max(1);
        let mut due = before;
        for slot in 0..MAX_MEMBERS as Slot {
            let is_due = self.members.get(slot).is_some_and(|member| {
                self.is_asked(member) && member.hearing.next.is_some_and(|next| next <= self.now)
            });
            if is_due
                && (due.count_ones() as usize) < most
                && let Some(member) = self.members.get_mut(slot)
            {
                member.hearing.begin(&self.settings, self.now);
                due |= bit(slot);
            }
        }
        due
    }

    /// Sends probes.
    fn probe(&self, due: Members, todo: Todo<'_>) {
        for (slot, member) in self.members.all() {
            if due & bit(slot) == 0 || !self.is_asked(member) {
                continue;
            }
            let Some(asker) = self.asker(slot) else {
                continue;
            };
            for target in &self.settings.targets {
                let learnt = |vlan, is_v4| {
                    let fits = |entry: &&Learnt| {
                        let family = entry.address.is_ipv4() == is_v4;
                        family && entry.vlan == vlan && entry.mac == self.team
                    };
                    self.notice.learnt().find(fits).map(|entry| entry.address)
                };
                let question = monitor::question(asker, target, &self.settings, learnt);
                todo(Action::Send(slot, question.frame().bytes()));
            }
        }
    }

    /// What the members are for now.
    pub const fn plan(&self) -> Plan {
        self.plan
    }

    /// When [`Happened::Time`] is wanted, at the latest; a moment in the past is now.
    /// None: nothing happens by itself.
    pub fn deadline(&self) -> Option<Time> {
        let probes = self
            .members
            .all()
            .filter(|(_, member)| self.is_asked(member))
            .filter_map(|(_, member)| member.hearing.next)
            .min();
        [
            self.members.deadline(),
            self.failback,
            self.lacp.deadline(),
            self.notice.deadline(),
            probes,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Writes every bucket's members in their order. All that joined are in it.
    pub fn rank(&self, ranking: &mut Ranking) {
        if self.one {
            let slots = self.order.iter().copied();
            rank_alike(slots.take_while(|slot| *slot != NOBODY), ranking);
        } else {
            self.owners.rank(ranking);
        }
    }
}

/// What may be seen.
impl<M: Memory> Brain<M> {
    /// The machines of LACP, in that mode once the team's address is known. Ports have
    /// the slots of their members.
    pub fn lacp(&self) -> Option<&TeamSystem<M>> {
        self.lacp.system()
    }

    /// A member.
    pub fn member(&self, slot: Slot) -> Option<&Member> {
        self.members.get(slot)
    }

    /// The member that carries everything, where one does.
    pub const fn active(&self) -> Option<Slot> {
        self.active
    }

    /// Probes in a row that a target has left unanswered on a member, 255 if it has
    /// not answered yet.
    pub fn missed(&self, slot: Slot, target: usize) -> Option<u8> {
        let member = self.members.get(slot)?;
        (target < self.settings.targets.len()).then(|| member.hearing.missed(target))
    }

    /// Addresses that are announced after a failover.
    pub fn learnt(&self) -> impl Iterator<Item = &Learnt> {
        self.notice.learnt()
    }

    /// How often each transition of [`table::TRANSITIONS`] was taken.
    pub fn taken(&self) -> &[u32; table::COUNT] {
        self.members.taken()
    }
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;

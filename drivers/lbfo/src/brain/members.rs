//! The members of a team: what is known of each, and where it is in its table.

use super::table::{COUNT, Condition, Effect, Reason, State, TRANSITIONS};
use super::{Memory, milliseconds};
use crate::brain::backup::Candidate;
use crate::brain::monitor::Hearing;
use crate::ranking::Weights;
use crate::settings::{MemberSettings, TeamSettings};
use im_core::data::teamed::{MAX_MEMBERS, MemberFacts, Members, Slot, Time};
use ndis::Result;

/// More steps than the members of a team can take at one moment.
const STEP_LIMIT: usize = 4 * MAX_MEMBERS;

/// A member that joined.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// What the adapter says.
    pub facts: MemberFacts,
    /// What the registry says.
    pub settings: MemberSettings,
    /// Its number in the team, its LACP port number: the one that is set, else the
    /// smallest that was free.
    pub number: u16,
    /// Where it is.
    pub state: State,
    /// Bits per second when they were known last.
    pub speed: u64,
    /// When its delay is over.
    pub(super) delay: Option<Time>,
    /// Since when it is ready.
    pub(super) ready_since: Time,
    /// It was told to leave.
    pub(super) leaves: bool,
    /// What the monitor hears on it.
    pub(super) hearing: Hearing,
}

/// Something to tell of a member.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// It can be used.
    Up,
    /// It is not used any more.
    Down(Reason),
}

/// The members.
pub(super) struct Table<M: Memory> {
    slots: M::Array<Option<Member>>,
    /// How often each transition was taken.
    taken: [u32; COUNT],
}

impl<M: Memory> Table<M> {
    pub(super) fn try_new(memory: &M) -> Result<Self> {
        Ok(Self {
            slots: memory.array(MAX_MEMBERS, |_| None)?,
            taken: [0; COUNT],
        })
    }

    pub(super) fn taken(&self) -> &[u32; COUNT] {
        &self.taken
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Member> {
        self.slots.as_ref().get(usize::from(slot))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Member> {
        self.slots.as_mut().get_mut(usize::from(slot))?.as_mut()
    }

    /// All that joined, with their slots.
    pub(super) fn all(&self) -> impl Iterator<Item = (Slot, &Member)> + Clone {
        (0..)
            .zip(self.slots.as_ref())
            .filter_map(|(slot, place)| Some((slot, place.as_ref()?)))
    }

    /// The slots of the members for which something holds.
    pub(super) fn mask(&self, holds: impl Fn(&Member) -> bool) -> Members {
        self.all()
            .filter(|(_, member)| holds(member))
            .fold(0, |mask, (slot, _)| mask | bit(slot))
    }

    /// A member joined; or one that is there joins again. Says whether there is room.
    pub(super) fn join(
        &mut self,
        slot: Slot,
        facts: MemberFacts,
        settings: MemberSettings,
    ) -> bool {
        if let Some(member) = self.get_mut(slot) {
            member.settings = settings;
            member.leaves = false;
            member.change(facts);
            return true;
        }
        let number = self.number(slot, settings.index);
        let Some(place) = self.slots.as_mut().get_mut(usize::from(slot)) else {
            return false;
        };
        *place = Some(Member {
            facts,
            settings,
            number,
            state: State::Down,
            speed: facts.speed,
            delay: None,
            ready_since: 0,
            leaves: false,
            hearing: Hearing::NOTHING,
        });
        true
    }

    /// The number of a member that joins: the one that it wants; else the smallest that
    /// is free. One whose number was given away gets one that nobody can want.
    fn number(&self, slot: Slot, wanted: u8) -> u16 {
        let is_free =
            |number: u16| number > 0 && self.all().all(|(_, member)| member.number != number);
        let beyond = MAX_MEMBERS as u16 + 1 + u16::from(slot);
        match u16::from(wanted) {
            0 => (1..=MAX_MEMBERS as u16)
                .find(|number| is_free(*number))
                .unwrap_or(beyond),
            wanted if is_free(wanted) => wanted,
            _ => beyond,
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Member> {
        self.slots.as_mut().get_mut(usize::from(slot))?.take()
    }

    /// Takes transitions until no member has one to take.
    pub(super) fn run(
        &mut self,
        settings: &TeamSettings,
        now: Time,
        tell: &mut dyn FnMut(Slot, Told),
    ) {
        for _ in 0..STEP_LIMIT {
            let in_use = self.mask(|member| member.state.is_in_use());
            let ready = self.mask(|member| member.state == State::Ready);
            let step = self.all().find_map(|(slot, member)| {
                let context = Context {
                    settings,
                    now,
                    none_in_use: in_use & !bit(slot) == 0,
                    spare: settings.down_delay > 0 && ready & !bit(slot) != 0,
                };
                let number = member.next(&context)?;
                Some((slot, number))
            });
            let Some((slot, number)) = step else { return };
            if let Some(count) = self.taken.get_mut(number) {
                *count = count.wrapping_add(1);
            }
            if let Some(member) = self.get_mut(slot) {
                member.take(number, settings, now, &mut |told| tell(slot, told));
            }
        }
        debug_assert!(false, "the members keep each other busy");
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.all().filter_map(|(_, member)| member.delay).min()
    }

    /// What each member weighs where buckets are shared out.
    ///
    /// A weight that is set counts as so many times 100 Mbit/s, so that members with
    /// and without one can be in a team. A speed that was never known counts as the
    /// smallest that is.
    pub(super) fn weights(&self) -> Weights {
        const UNIT: u64 = 100_000;
        const FIXED: u64 = 1_000;
        let slowest = self
            .all()
            .map(|(_, member)| member.speed)
            .filter(|speed| *speed > 0)
            .min()
            .unwrap_or(UNIT);
        let mut weights = Weights::NONE;
        for (slot, member) in self.all() {
            let weight = match (member.settings.weight, member.speed) {
                (0, 0) => slowest / UNIT,
                (0, speed) => speed / UNIT,
                (weight, _) => u64::from(weight) * FIXED,
            };
            weights.set(slot, u32::try_from(weight.max(1)).unwrap_or(u32::MAX));
        }
        weights
    }

    /// The members as active-backup sees them.
    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate> + Clone {
        self.all().map(|(slot, member)| member.candidate(slot))
    }
}

/// What is around a member.
struct Context<'a> {
    settings: &'a TeamSettings,
    now: Time,
    none_in_use: bool,
    spare: bool,
}

impl Member {
    fn next(&self, context: &Context<'_>) -> Option<usize> {
        TRANSITIONS
            .iter()
            .position(|row| row.is_open(self.state, |condition| self.holds(*condition, context)))
    }

    fn holds(&self, condition: Condition, context: &Context<'_>) -> bool {
        match condition {
            Condition::LinkUp(value) => self.facts.up == value,
            Condition::DelayOver => self.delay.is_none_or(|delay| delay <= context.now),
            Condition::NoneInUse => context.none_in_use,
            Condition::Spare(value) => context.spare == value,
            Condition::Answers(value) => self.hearing.is_enough(context.settings) == value,
            Condition::Leaves(value) => self.leaves == value,
        }
    }

    fn take(
        &mut self,
        number: usize,
        settings: &TeamSettings,
        now: Time,
        tell: &mut dyn FnMut(Told),
    ) {
        let Some(row) = TRANSITIONS.get(number) else {
            return;
        };
        self.state = row.to;
        for effect in row.effects {
            match effect {
                Effect::StartUpDelay => self.start(now, settings.up_delay),
                Effect::StartDownDelay => self.start(now, settings.down_delay),
                Effect::StopDelay => self.delay = None,
                Effect::AskAnew => self.hearing = Hearing::anew(now),
                Effect::CountReady => self.ready_since = now,
                Effect::TellUp => tell(Told::Up),
                Effect::TellDown(reason) => tell(Told::Down(*reason)),
            }
        }
    }

    fn start(&mut self, now: Time, delay: u32) {
        self.delay = Some(now.saturating_add(milliseconds(delay)));
    }

    /// The adapter says something else than before.
    pub(super) fn change(&mut self, facts: MemberFacts) {
        if facts.speed > 0 {
            self.speed = facts.speed;
        }
        self.facts = facts;
        // One that left is down; what comes then is another beginning.
        self.leaves &= facts.up;
    }

    pub(super) fn candidate(&self, slot: Slot) -> Candidate {
        Candidate {
            slot,
            in_use: self.state.is_in_use(),
            ready_since: (self.state == State::Ready).then_some(self.ready_since),
            speed: self.speed,
            primary: self.settings.primary,
            priority: self.settings.priority,
            number: self.number,
        }
    }

    /// Frames handed to it arrive, as far as its link can say.
    pub(super) fn is_alive(&self) -> bool {
        match self.state {
            State::Ready | State::DownDelay => true,
            State::Leaving => self.facts.up,
            State::Down | State::UpDelay | State::Probing => false,
        }
    }
}

/// The slot as a set.
pub(super) fn bit(slot: Slot) -> Members {
    1_u32.checked_shl(u32::from(slot)).unwrap_or(0)
}

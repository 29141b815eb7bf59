//! A brain, the time, and everything it did.

use std::vec::Vec;

use super::super::table::{State, TRANSITIONS};
use super::super::*;
use crate::settings::{Failback, LinkSpeed, MacChoice, Stations};
use ethernet::flow::Policy;

pub const MILLISECOND: Time = 10_000;
pub const SECOND: Time = 1_000 * MILLISECOND;
pub const GIGABIT: u64 = 1_000_000_000;
pub const TEAM: Mac = Mac([2, 0, 0, 0, 0xFF, 0]);

/// Memory of the tests.
pub struct Heap;

impl Memory for Heap {
    type Array<T> = Vec<T>;

    fn array<T>(&self, length: usize, make: impl FnMut(usize) -> T) -> Result<Vec<T>> {
        Ok((0..length).map(make).collect())
    }
}

/// The defaults.
pub fn settings(mode: Mode) -> TeamSettings {
    TeamSettings {
        mode,
        hash_policy: Policy::Layer34,
        hash_symmetric: false,
        hash_seed: 0,
        hash_info: true,
        flowlet_gap: 500,
        min_links: 1,
        link_speed: LinkSpeed::Sum,
        lacp_active: true,
        lacp_fast: true,
        system_priority: 32768,
        lacp_key: 1,
        strict: false,
        failback: Failback::Always,
        failback_delay: 0,
        up_delay: 0,
        down_delay: 0,
        monitor: Monitor::Off,
        targets: Stations::new(),
        sources: Stations::new(),
        monitor_interval: 1000,
        monitor_missed: 3,
        notice_count: 1,
        notice_interval: 200,
        keep_duplicates: false,
        mac: MacChoice::Derived,
    }
}

pub const fn member() -> MemberSettings {
    MemberSettings {
        index: 0,
        priority: 32768,
        weight: 0,
        primary: false,
    }
}

pub const fn mac(slot: Slot) -> Mac {
    Mac([2, 0, 0, 0, 0, slot])
}

pub const fn facts(slot: Slot) -> MemberFacts {
    MemberFacts {
        mac: mac(slot),
        if_index: 100 + slot as u32,
        speed: GIGABIT,
        up: true,
        full_duplex: true,
    }
}

/// Something that the brain did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    Send(Slot, Vec<u8>),
    Tell(Option<Slot>, EventKind, u64),
    Back(Slot),
}

pub struct Team {
    pub brain: Brain<Heap>,
    pub now: Time,
    pub done: Vec<(Time, Done)>,
}

impl Team {
    pub fn new(settings: &TeamSettings) -> Self {
        Self::named(settings, TEAM)
    }

    /// With this address.
    pub fn named(settings: &TeamSettings, mac: Mac) -> Self {
        let mut team = Self {
            brain: Brain::try_new(&Heap, settings).expect("memory"),
            now: 0,
            done: Vec::new(),
        };
        team.event(Happened::Started(mac));
        team
    }

    /// With so many members, all up.
    pub fn with(settings: &TeamSettings, members: Slot) -> Self {
        let mut team = Self::new(settings);
        for slot in 0..members {
            team.join(slot);
        }
        team
    }

    pub fn event(&mut self, what: Happened<'_, MemberSettings>) {
        let (now, done) = (self.now, &mut self.done);
        self.brain.happened(now, what, &mut |action| {
            let made = match action {
                Action::Send(slot, frame) => Done::Send(slot, frame.to_vec()),
                Action::Tell(slot, kind, value) => Done::Tell(slot, kind, value),
                Action::MarkerBack(slot) => Done::Back(slot),
            };
            done.push((now, made));
        });
        self.check();
    }

    /// What always holds.
    fn check(&self) {
        let plan = self.brain.plan();
        let joined = self.brain.members.mask(|_| true);
        assert_eq!(plan.distribute & !plan.alive, 0, "distributes and is dead");
        assert_eq!(plan.distribute & !joined, 0);
        if plan.link.is_some() {
            assert_ne!(plan.distribute, 0, "a link and nobody to carry it");
        }
        let leaving = self.brain.members.mask(|member| member.leaves);
        assert_eq!(plan.distribute & leaving, 0, "told to leave");
        // Where one carries everything it is the first that can, and who would be next
        // is the next one's choice.
        if self.brain.one {
            let slots = plan.distribute;
            assert_eq!(self.carrier(slots), self.brain.active());
            assert_eq!(plan.collect, self.brain.active().map_or(0, bit));
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Time) {
        let end = self.now + time;
        while let Some(due) = self.brain.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.event(Happened::Time);
        }
        self.now = end;
    }

    pub fn join(&mut self, slot: Slot) {
        self.join_as(slot, facts(slot), member());
    }

    pub fn join_as(&mut self, slot: Slot, facts: MemberFacts, member: MemberSettings) {
        self.event(Happened::Joined(slot, facts, &member));
    }

    pub fn link(&mut self, slot: Slot, up: bool) {
        let facts = self.brain.member(slot).expect("a member").facts;
        self.event(Happened::Changed(slot, MemberFacts { up, ..facts }));
    }

    pub fn speed(&mut self, slot: Slot, speed: u64) {
        let facts = self.brain.member(slot).expect("a member").facts;
        self.event(Happened::Changed(slot, MemberFacts { speed, ..facts }));
    }

    pub fn leave(&mut self, slot: Slot) {
        self.event(Happened::Leaving(slot));
    }

    pub fn gone(&mut self, slot: Slot) {
        self.event(Happened::Left(slot));
    }

    /// Who carries bucket 0 (and any other, where one carries everything).
    pub fn carrier(&self, usable: Members) -> Option<Slot> {
        self.ranking().member(0, usable)
    }

    pub fn plan(&self) -> Plan {
        self.brain.plan()
    }

    pub fn state(&self, slot: Slot) -> State {
        self.brain.member(slot).expect("a member").state
    }

    /// The names of the transitions that were taken.
    pub fn taken(&self) -> Vec<&'static str> {
        TRANSITIONS
            .iter()
            .zip(self.brain.taken())
            .filter(|(_, count)| **count > 0)
            .map(|(row, _)| row.name)
            .collect()
    }

    /// Events of a kind: member and value.
    pub fn told(&self, kind: EventKind) -> Vec<(Option<Slot>, u64)> {
        let told = |(_, done): &(Time, Done)| match done {
            Done::Tell(slot, of, value) if *of == kind => Some((*slot, *value)),
            _ => None,
        };
        self.done.iter().filter_map(told).collect()
    }

    /// Frames that were sent: when, where, what.
    pub fn sent(&self) -> Vec<(Time, Slot, &[u8])> {
        let sent = |(at, done): &'_ (Time, Done)| match done {
            Done::Send(slot, _) => Some((*at, *slot)),
            _ => None,
        };
        self.done
            .iter()
            .filter_map(|entry| {
                let (at, slot) = sent(entry)?;
                let Done::Send(_, frame) = &entry.1 else {
                    return None;
                };
                Some((at, slot, frame.as_slice()))
            })
            .collect()
    }

    pub fn ranking(&self) -> Box<Ranking> {
        let mut ranking = Box::new(Ranking::EMPTY);
        self.brain.rank(&mut ranking);
        ranking
    }
}

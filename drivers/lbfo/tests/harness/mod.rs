//! What the fuzzer and the test that stands in for it have in common: bytes become
//! settings and events, and everything that must hold for any of them is checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ethernet::flow::Policy;
use ethernet::{Mac, Vlan};
use im_core::data::teamed::{
    Action, BUCKETS, Happened, MemberFacts, Members, NOBODY, Ranking, Slot, Time,
};
use lbfo::brain::frames::{Form, Question, announcement};
use lbfo::brain::{AT_ONCE, Brain, ENTRIES, Memory};
use lbfo::settings::{
    Failback, LinkSpeed, MacChoice, MemberSettings, Mode, Monitor, Station, TeamSettings,
};

const MILLISECOND: Time = 10_000;
const SECOND: Time = 1_000 * MILLISECOND;
const TEAM: Mac = Mac([2, 0, 0, 0, 0xFF, 0]);

/// What went on in a run, so that a test can see that it was not nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that were told to the brain.
    pub events: u64,
    /// Frames that it sent.
    pub sent: u64,
    /// Events that it told.
    pub told: u64,
    /// Markers that came back.
    pub backs: u64,
    /// Times at which a member carried frames after an event.
    pub carried: u64,
    /// Times at which one was ready and not used.
    pub spared: u64,
    /// Frames that LACP counted as bad.
    pub refused: u64,
}

/// Takes bytes from the front; zeroes when they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.next() % limit
    }

    fn flag(&mut self) -> bool {
        self.next() & 1 != 0
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Few slots, so that they meet; now and then one that cannot be.
    fn slot(&mut self) -> Slot {
        match self.next() {
            byte @ 0..=0xDF => byte & 3,
            byte @ 0xE0..=0xFE => byte,
            0xFF => 31,
        }
    }

    fn mac(&mut self) -> Mac {
        match self.next() {
            byte @ 0..=0xBF => Mac([2, 0, 0, 0, 0, byte & 7]),
            0xC0..=0xDF => TEAM,
            0xE0..=0xEF => Mac::BROADCAST,
            0xF0..=0xF7 => Mac::ZERO,
            0xF8..=0xFF => Mac([2, self.next(), self.next(), 0, 0, 0]),
        }
    }

    fn address(&mut self) -> IpAddr {
        let byte = self.next();
        let last = byte >> 1 & 7;
        if byte & 1 == 0 {
            Ipv4Addr::new(192, 0, 2, last).into()
        } else {
            Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, u16::from(last)).into()
        }
    }

    fn vlan(&mut self) -> Vlan {
        Vlan::new([0, 0, 10, 4094][usize::from(self.below(4))]).expect("below 4096")
    }

    fn settings(&mut self) -> TeamSettings {
        let stations = |bytes: &mut Self, most: u8| {
            (0..bytes.below(most))
                .map(|_| Station {
                    address: bytes.address(),
                    vlan: bytes.vlan(),
                })
                .collect()
        };
        let few = self.below(8) != 0;
        TeamSettings {
            mode: [
                Mode::ActiveBackup,
                Mode::Hash,
                Mode::Lacp,
                Mode::RoundRobin,
                Mode::Broadcast,
                Mode::Dynamic,
                Mode::Lacp,
            ][usize::from(self.below(7))],
            hash_policy: Policy::Layer34,
            hash_symmetric: false,
            hash_seed: 0,
            hash_info: true,
            flowlet_gap: 500,
            min_links: 1 + self.below(4),
            link_speed: if self.flag() {
                LinkSpeed::Sum
            } else {
                LinkSpeed::Active
            },
            lacp_active: self.flag(),
            lacp_fast: self.flag(),
            system_priority: u16::from(self.next()),
            lacp_key: 1 + u16::from(self.next()),
            strict: self.flag(),
            failback: [Failback::Always, Failback::Sticky, Failback::OnlyIfBetter]
                [usize::from(self.below(3))],
            failback_delay: u32::from(self.below(3)) * 700,
            up_delay: u32::from(self.below(3)) * 300,
            down_delay: u32::from(self.below(3)) * 300,
            monitor: [Monitor::Off, Monitor::Off, Monitor::Any, Monitor::All]
                [usize::from(self.below(4))],
            targets: stations(self, if few { 4 } else { 17 }),
            sources: stations(self, 3),
            monitor_interval: 100 + u32::from(self.next()),
            monitor_missed: 1 + self.below(4),
            notice_count: self.below(4),
            notice_interval: 10 + u32::from(self.next()),
            keep_duplicates: false,
            mac: MacChoice::Derived,
        }
    }

    fn member(&mut self) -> MemberSettings {
        MemberSettings {
            index: self.below(33),
            priority: u16::from(self.below(4)),
            weight: u16::from(self.below(4)) * 333,
            primary: self.flag(),
        }
    }

    fn facts(&mut self) -> MemberFacts {
        MemberFacts {
            mac: self.mac(),
            if_index: u32::from(self.next()),
            speed: [0, 1, 1_000_000_000, u64::MAX][usize::from(self.below(4))],
            up: self.below(4) != 0,
            full_duplex: self.below(8) != 0,
        }
    }

    /// A frame: any bytes, or something that is nearly right.
    fn frame(&mut self, sent: &[(Slot, Vec<u8>)]) -> Vec<u8> {
        let mut frame = match self.below(7) {
            0 => {
                let length = usize::from(self.next());
                self.take(length)
            }
            1 => {
                let (address, mac, vlan) = (self.address(), self.mac(), self.vlan());
                let form = if self.flag() {
                    Form::Request
                } else {
                    Form::Reply
                };
                announcement(address, mac, vlan, form).bytes().to_vec()
            }
            2 => {
                let question = Question {
                    source: self.mac(),
                    sender: self.flag().then(|| self.address()),
                    target: self.address(),
                    vlan: self.vlan(),
                };
                question.frame().bytes().to_vec()
            }
            3 => {
                let mut frame = vec![0x01, 0x80, 0xC2, 0, 0, 2, 2, 0, 0, 0, 9, 9, 0x88, 0x09];
                frame.push(self.below(12));
                let length = usize::from(self.next() & 127);
                frame.extend(self.take(length));
                frame
            }
            // What the brain sent itself: loops, and with another system a partner.
            _ if !sent.is_empty() => {
                let (_, frame) = &sent[usize::from(self.next()) % sent.len()];
                let mut frame = frame.clone();
                if self.below(4) != 0 && frame.get(12..15) == Some(&[0x88, 0x09, 1]) {
                    // Actor and partner change places, as an answer has them.
                    let (actor, partner) = (frame[18..33].to_vec(), frame[38..53].to_vec());
                    frame[38..53].copy_from_slice(&actor);
                    frame[18..33].copy_from_slice(&partner);
                    if frame[20..26] == [0; 6] || self.below(8) == 0 {
                        frame[25] = 1 + self.below(2);
                        frame[20] = 4;
                        frame[27] = self.below(2);
                    }
                    // In synchronization, and nearly everything else.
                    frame[32] = 0x3D ^ (self.next() & self.next() & self.next());
                } else if frame.get(12..15) == Some(&[0x88, 0x09, 2]) && self.flag() {
                    frame[16] = 2; // a marker's response
                }
                frame
            }
            _ => Vec::new(),
        };
        for _ in 0..self.below(4).saturating_sub(1) {
            let at = usize::from(self.next());
            if let Some(byte) = frame.get_mut(at) {
                *byte = self.next();
            } else if self.flag() {
                frame.truncate(at);
            }
        }
        frame
    }
}

/// Memory of the tests.
struct Heap;

impl Memory for Heap {
    type Array<T> = Vec<T>;

    fn array<T>(&self, length: usize, make: impl FnMut(usize) -> T) -> ndis::Result<Vec<T>> {
        Ok((0..length).map(make).collect())
    }
}

/// The brain, and what is known of it from outside.
struct Run {
    brain: Brain<Heap>,
    now: Time,
    joined: Members,
    /// Told to leave, and not down since.
    leaving: Members,
    sent: Vec<(Slot, Vec<u8>)>,
    lacpdus: Vec<(Slot, Time)>,
    ranking: Option<(u32, Members, Box<Ranking>)>,
    tally: Tally,
}

const fn bit(slot: Slot) -> Members {
    if slot < 32 { 1 << slot } else { 0 }
}

impl Run {
    fn event(&mut self, what: Happened<'_, MemberSettings>) {
        let (now, mut sends, mut told, mut backs) = (self.now, 0, 0_u64, 0);
        let sent = &mut self.sent;
        let lacpdus = &mut self.lacpdus;
        self.brain.happened(now, what, &mut |action| match action {
            Action::Send(slot, frame) => {
                assert!((60..=124).contains(&frame.len()), "{}", frame.len());
                sends += 1;
                if frame[12..15] == [0x88, 0x09, 1] {
                    lacpdus.push((slot, now));
                }
                sent.push((slot, frame.to_vec()));
            }
            Action::Tell(..) => told += 1,
            Action::MarkerBack(_) => backs += 1,
        });
        // What one call may ask for.
        assert!(sends <= 64 + AT_ONCE + 16 && told <= 160 && backs <= 33);
        self.tally.events += 1;
        self.tally.sent += sends as u64;
        self.tally.told += told;
        self.tally.backs += backs as u64;
        let keep = self.sent.len().saturating_sub(64);
        self.sent.drain(..keep);
        self.check();
    }

    fn check(&mut self) {
        let plan = self.brain.plan();
        assert_eq!(plan.distribute & !plan.alive, 0, "carries and is dead");
        assert_eq!(
            (plan.alive | plan.collect) & !self.joined,
            0,
            "nobody is there"
        );
        assert_eq!(plan.distribute & self.leaving, 0, "was told to leave");
        assert!(
            plan.link.is_none() || plan.distribute != 0,
            "nobody for the link"
        );
        if let Some(active) = self.brain.active() {
            assert_ne!(plan.distribute & bit(active), 0);
        }
        self.tally.carried += u64::from(plan.distribute != 0);
        self.tally.spared += u64::from(plan.alive & !plan.distribute != 0);
        // Another ranking has another number.
        let mut ranking = Box::new(Ranking::EMPTY);
        let is_new = match &self.ranking {
            Some((number, joined, _)) => *number != plan.ranking || *joined != self.joined,
            None => true,
        };
        if is_new || self.tally.events.is_multiple_of(16) {
            self.brain.rank(&mut ranking);
            if !is_new && let Some((.., before)) = &self.ranking {
                assert_eq!(**before, *ranking, "changed, and nobody said so");
            }
            for order in &ranking.0 {
                let count = self.joined.count_ones() as usize;
                let seen = order[..count]
                    .iter()
                    .fold(0, |seen, slot| seen | bit(*slot));
                assert_eq!(seen, self.joined, "all that joined");
                assert!(order[count..].iter().all(|slot| *slot == NOBODY));
            }
            if let Some(active) = self.brain.active() {
                let bucket = (self.tally.events % BUCKETS as u64) as u8;
                assert_eq!(ranking.member(bucket, plan.distribute), Some(active));
            }
            self.ranking = Some((plan.ranking, self.joined, ranking));
        }
    }

    /// Lets time pass; whatever is due happens, and is not due for ever.
    fn pass(&mut self, time: Time) {
        let end = self.now + time;
        let mut stands = 0;
        while let Some(due) = self.brain.deadline().filter(|due| *due <= end) {
            stands = if due > self.now { 0 } else { stands + 1 };
            assert!(stands < 80, "it polls");
            self.now = self.now.max(due);
            self.event(Happened::Time);
        }
        self.now = end;
    }

    fn join(&mut self, slot: Slot, facts: MemberFacts, settings: MemberSettings) {
        self.joined |= bit(slot);
        self.leaving &= !bit(slot);
        self.event(Happened::Joined(slot, facts, &settings));
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(12) {
            0 => {
                let (slot, facts, member) = (bytes.slot(), bytes.facts(), bytes.member());
                self.join(slot, facts, member);
            }
            1 => {
                let slot = bytes.slot();
                self.leaving |= bit(slot) & self.joined;
                self.event(Happened::Leaving(slot));
            }
            2 => {
                let slot = bytes.slot();
                if bytes.flag() {
                    (self.joined, self.leaving) =
                        (self.joined & !bit(slot), self.leaving & !bit(slot));
                    self.event(Happened::Left(slot));
                }
            }
            3 | 4 => {
                let (slot, facts) = (bytes.slot(), bytes.facts());
                if !facts.up {
                    self.leaving &= !bit(slot);
                }
                self.event(Happened::Changed(slot, facts));
            }
            5 => {
                let frame = bytes.frame(&self.sent);
                self.event(Happened::Sent(&frame));
            }
            6 => {
                let slot = bytes.slot();
                self.event(Happened::MarkerWanted(slot));
            }
            7 | 8 => {
                let time = Time::from(bytes.next()) * 20 * MILLISECOND;
                self.pass(time);
            }
            _ => {
                let (slot, frame) = (bytes.slot(), bytes.frame(&self.sent));
                self.event(Happened::Received(slot, &frame));
            }
        }
    }
}

/// Makes a team of the bytes and lets happen what the rest of them say.
pub fn run(data: &[u8]) -> Tally {
    let mut bytes = Bytes(data);
    let settings = bytes.settings();
    let mut run = Run {
        brain: Brain::try_new(&Heap, &settings).expect("memory"),
        now: Time::from(bytes.next()),
        joined: 0,
        leaving: 0,
        sent: Vec::new(),
        lacpdus: Vec::new(),
        ranking: None,
        tally: Tally::default(),
    };
    run.event(Happened::Started(TEAM));
    for slot in 0..bytes.below(5) {
        let facts = MemberFacts {
            mac: Mac([2, 0, 0, 0, 0, slot]),
            up: true,
            full_duplex: true,
            ..bytes.facts()
        };
        let member = bytes.member();
        run.join(slot, facts, member);
    }
    while !bytes.0.is_empty() {
        run.step(&mut bytes);
    }
    run.pass(SECOND);
    assert!(run.brain.learnt().count() <= ENTRIES);
    for slot in 0..32 {
        let times = run.lacpdus.iter().filter(|(of, _)| *of == slot);
        let times: Vec<Time> = times.map(|(_, at)| *at).collect();
        for window in times.windows(4) {
            assert!(window[3] - window[0] >= SECOND, "more than three a second");
        }
    }
    if let Some(system) = run.brain.lacp() {
        for port in system.ports() {
            let counters = port.counters();
            run.tally.refused += counters.get(lacp::Counter::IllegalRx);
            run.tally.refused += counters.get(lacp::Counter::UnknownRx);
        }
    }
    run.tally
}

//! Suites: what a driver is put through, play by play.
//!
//! A suite is a list of plans that may grow from what earlier plays showed. It is pure: the same
//! image, shape and settings give the same plays, so that a suite can be taken up at any play
//! by a process that starts anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lab_net::mix::{Chance, derive};
use serde::{Deserialize, Serialize};

use crate::faults::{Book, Site, failing};
use crate::generate::{generate, short};
use crate::number::Number;
use crate::plan::{Fault, Plan, Shape};
use crate::play::{Outcome, Player};
use crate::{plans, search, shrink};

/// What can be asked of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Whole plans, each in every manner.
    Plans,
    /// Every fault of every whole plan in turn, then pairs.
    Faults,
    /// The adapter vanishes before each action of each whole plan.
    Vanish,
    /// Plans whose parts race, switched at one or two chosen points.
    Races,
    /// Generated plans, each with a schedule of its own.
    Schedules,
    /// Generated plans with one disturbing event: many of them.
    Short,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Plans,
        Self::Faults,
        Self::Vanish,
        Self::Races,
        Self::Schedules,
        Self::Short,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plans => "plans",
            Self::Faults => "faults",
            Self::Vanish => "vanish",
            Self::Races => "races",
            Self::Schedules => "schedules",
            Self::Short => "short",
        }
    }

    /// Its place in a [`Number`].
    pub const fn code(self) -> u64 {
        match self {
            Self::Plans => 1,
            Self::Faults => 2,
            Self::Vanish => 3,
            Self::Schedules => 4,
            Self::Races => 5,
            Self::Short => 6,
        }
    }

    /// Whether its plays are numbered by the seeds that they are drawn from, and not one by one.
    pub const fn is_drawn(self) -> bool {
        matches!(self, Self::Schedules | Self::Short)
    }

    /// The number's part within the suite, of its `nth` play.
    pub const fn play(self, base: u64, nth: u64, plan: &Plan) -> u64 {
        if self.is_drawn() {
            plan.seed
        } else {
            (base & 0xffff) << 32 | nth
        }
    }

    /// Its share of a configuration's budget, in tenths. What a suite has no use for is not
    /// played: the lists of some are short.
    pub const fn share(self) -> u64 {
        match self {
            Self::Plans | Self::Vanish | Self::Short => 1,
            Self::Races | Self::Schedules => 2,
            Self::Faults => 3,
        }
    }

    /// The suite of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// Seed of everything.
    pub seed: u64,
    /// Hits of each fault site that fail one by one; beyond them only every power of two.
    pub deep: u64,
    /// Plays of a suite at most. A list that is longer is gone through with even steps; what
    /// is left is pairs of faults and generated plans.
    pub most: u64,
    /// Sets of points at which each race is switched.
    pub switches: u64,
    /// Candidates that are tried to shrink a failure.
    pub shrink: usize,
    /// Failures of a suite after which it ends.
    pub enough: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            seed: 0x5eed,
            deep: 3,
            most: 2000,
            switches: 200,
            shrink: 300,
            enough: 8,
        }
    }
}

/// A play that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// In which suite.
    pub suite: Suite,
    /// The number that replays it.
    pub number: Number,
    /// Ids of what went wrong.
    pub ids: BTreeSet<String>,
    /// The first finding's text, or how it ended.
    pub what: String,
    /// The plan that was played.
    pub plan: Plan,
    /// The shortest that fails in the same way.
    pub short: Plan,
    /// Digest of every crossing of a play of `short`.
    pub trace: u64,
}

/// What a suite showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Plays.
    pub plays: u64,
    /// Failures, one of each set of ids.
    pub failures: Vec<Failure>,
    /// Plays that went wrong, with those like another.
    pub wrong: u64,
    /// How often each rule was broken.
    pub broken: BTreeMap<String, u64>,
    /// Fault sites that were hit.
    pub hit: BTreeSet<Site>,
    /// Hits that no instruction of the image explains: function and where it was called.
    pub strange: BTreeSet<(String, u32)>,
    /// Functions of the host that the driver called, and callbacks that it got.
    pub called: BTreeSet<String>,
    /// Faults that were injected.
    pub injected: u64,
    /// Crossings between driver and host.
    pub crossings: u64,
    /// Virtual nanoseconds.
    pub virtual_ns: u64,
    /// Time it took.
    pub wall: Duration,
    /// Processor time of it.
    pub cpu: Duration,
}

impl Report {
    /// Adds another's. Of failures with the same ids in a suite that with the lowest number
    /// stays, whatever the order.
    pub fn add(&mut self, other: &Self) {
        self.plays += other.plays;
        for failure in &other.failures {
            let like = |known: &&mut Failure| {
                known.suite == failure.suite
                    && known.ids == failure.ids
                    && known.number.0 >> 48 == failure.number.0 >> 48
            };
            match self.failures.iter_mut().find(like) {
                Some(known) if known.number > failure.number => known.clone_from(failure),
                Some(_) => {}
                None => self.failures.push(failure.clone()),
            }
        }
        self.failures.sort_by_key(|failure| failure.number);
        self.wrong += other.wrong;
        for (rule, count) in &other.broken {
            *self.broken.entry(rule.clone()).or_default() += count;
        }
        self.hit.extend(other.hit.iter().cloned());
        self.strange.extend(other.strange.iter().cloned());
        self.called.extend(other.called.iter().cloned());
        self.injected += other.injected;
        self.crossings += other.crossings;
        self.virtual_ns += other.virtual_ns;
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

/// Runs suites on a player.
pub struct Runner<'a> {
    /// The driver.
    pub player: &'a Player,
    /// The machine around it.
    pub shape: Shape,
    /// How much is done.
    pub effort: Effort,
    book: Book,
    /// Says in numbers of plays which driver and configuration they are of.
    pub tag: u16,
    /// Plays before this are left out: another process has done them.
    pub from: u64,
    /// Which part of how many this is: part 1 of 4 has the plays 1, 5, 9 and so on.
    pub part: (u64, u64),
    /// This play is looked for, and none is played.
    sought: Option<(u64, Option<Plan>)>,
    /// Told before each play: its number, of how many, the plan.
    #[expect(clippy::type_complexity, reason = "one place")]
    pub before: Box<dyn FnMut(u64, u64, &Plan) + 'a>,
}

impl<'a> Runner<'a> {
    /// A runner.
    pub fn new(player: &'a Player, shape: Shape, effort: Effort) -> Self {
        Self {
            book: Book::of(&player.image),
            player,
            shape,
            effort,
            tag: 0,
            from: 0,
            part: (0, 1),
            sought: None,
            before: Box::new(|_, _, _| {}),
        }
    }

    /// The sites of the image.
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Runs a suite.
    ///
    /// # Errors
    /// When the image cannot be restored.
    pub fn run(&mut self, suite: Suite) -> std::io::Result<Report> {
        let began = Instant::now();
        let mut report = Report::default();
        match suite {
            Suite::Plans => self.plans(&mut report)?,
            Suite::Faults => self.faults(&mut report)?,
            Suite::Vanish => self.vanish(&mut report)?,
            Suite::Races => self.races(&mut report)?,
            Suite::Schedules | Suite::Short => self.drawn(suite, &mut report)?,
        }
        report.hit = self.book.hit().clone();
        report.strange.clone_from(&self.book.strange);
        let called = lab_host::called().into_iter();
        report.called.extend(called.map(str::to_owned));
        report.wall = began.elapsed();
        Ok(report)
    }

    /// The plan of a play's number, without playing it (but what the suite has to know first).
    ///
    /// # Errors
    /// When the image cannot be restored.
    pub fn plan(&mut self, number: Number) -> std::io::Result<Option<Plan>> {
        let Some(suite) = number.suite() else {
            return Ok(None);
        };
        if suite.is_drawn() {
            return Ok(Some(draw(suite, number, &self.shape)));
        }
        self.effort.seed = number.play() >> 32;
        self.sought = Some((number.play() & 0xffff_ffff, None));
        self.run(suite)?;
        Ok(self.sought.take().and_then(|(_, plan)| plan))
    }

    /// The seed of suites whose plays are numbered.
    const fn base(&self) -> u64 {
        self.effort.seed & 0xffff
    }

    /// One play, judged; whether the suite goes on.
    fn judge(
        &mut self,
        suite: Suite,
        (number, of): (u64, u64),
        plan: &Plan,
        report: &mut Report,
    ) -> std::io::Result<bool> {
        if let Some((sought, found)) = &mut self.sought {
            if *sought == number {
                *found = Some(plan.clone());
            }
            return Ok(found.is_none());
        }
        let (part, parts) = self.part;
        if number < self.from
            || number % parts.max(1) != part
            || !chosen(number, of, self.effort.most)
        {
            return Ok(true);
        }
        (self.before)(number, of, plan);
        let outcome = self.player.play(plan)?;
        self.note(&outcome, report);
        if outcome.is_clean() {
            return Ok(true);
        }
        report.wrong += 1;
        for finding in &outcome.findings {
            *report.broken.entry(finding.rule.clone()).or_default() += 1;
        }
        let ids = outcome.ids();
        if report.failures.iter().any(|failure| failure.ids == ids) {
            return Ok(true);
        }
        let number = Number::new(self.tag, suite, suite.play(self.base(), number, plan));
        let failure = self.shrunk(suite, number, plan, &outcome)?;
        report.failures.push(failure);
        Ok(report.failures.len() < self.effort.enough)
    }

    fn note(&mut self, outcome: &Outcome, report: &mut Report) {
        self.book.take(&outcome.fallible);
        report.plays += 1;
        report.injected += outcome.failed;
        report.crossings += outcome.crossings;
        report.virtual_ns += outcome.virtual_ns;
        for name in self.player.host.callbacks_called() {
            if !report.called.contains(name) {
                report.called.insert(name.to_owned());
            }
        }
    }

    fn shrunk(
        &self,
        suite: Suite,
        number: Number,
        plan: &Plan,
        outcome: &Outcome,
    ) -> std::io::Result<Failure> {
        let ids = outcome.ids();
        // The first rule is what it is about; others may be its consequences.
        let first = outcome.findings.first().map(|f| f.rule.clone());
        let fails = |candidate: &Plan| {
            self.player.play(candidate).is_ok_and(|again| match &first {
                Some(rule) => again.findings.first().is_some_and(|f| f.rule == *rule),
                None => again.ids() == ids,
            })
        };
        let (mut short, _) = shrink::shrink(plan, self.effort.shrink, fails);
        short.name = format!(
            "{} ({})",
            plan.name,
            ids.iter().cloned().collect::<Vec<_>>().join(", ")
        );
        let trace = self.player.play(&short)?.trace;
        Ok(Failure {
            suite,
            number,
            what: what(outcome),
            ids,
            plan: plan.clone(),
            short,
            trace,
        })
    }

    fn plans(&mut self, report: &mut Report) -> std::io::Result<()> {
        use lab_host::Manner;
        const MANNERS: [Manner; 4] = [Manner::Any, Manner::Inline, Manner::Pending, Manner::Early];
        const SEEDS: u64 = 4;
        let all = plans::whole(&self.shape);
        let of = all.len() as u64 * MANNERS.len() as u64 * SEEDS;
        let mut number = 0;
        for plan in &all {
            for manner in MANNERS {
                for seed in 0..SEEDS {
                    let mut plan = plan.clone();
                    plan.knobs.manner = manner;
                    plan.seed = derive(self.base(), seed);
                    if !self.judge(Suite::Plans, (number, of), &plan, report)? {
                        return Ok(());
                    }
                    number += 1;
                }
            }
        }
        Ok(())
    }

    fn faults(&mut self, report: &mut Report) -> std::io::Result<()> {
        let mut cases: Vec<(usize, Fault)> = Vec::new();
        let all = plans::whole(&self.shape);
        for (at, plan) in all.iter().enumerate() {
            let outcome = self.player.play(plan)?;
            if self.part.0 == 0 {
                self.note(&outcome, report);
            }
            let faults = self.book.faults(&outcome.fallible, self.effort.deep);
            cases.extend(faults.into_iter().map(|fault| (at, fault)));
        }
        let singles = cases.len() as u64;
        let pairs = match &self.sought {
            Some((sought, _)) => (sought + 1).saturating_sub(singles),
            None => self.effort.most.saturating_sub(singles),
        };
        let of = singles + pairs;
        let mut number = 0;
        for (at, fault) in &cases {
            let plan = failing(&all[*at], std::slice::from_ref(fault));
            if !self.judge(Suite::Faults, (number, of), &plan, report)? {
                return Ok(());
            }
            number += 1;
        }
        let mut chance = Chance::new(derive(self.base(), 1));
        // A driver that is not there calls nothing.
        let pairs = if cases.is_empty() { 0 } else { pairs };
        for pair in 0..pairs {
            let one = &cases[chance.below(cases.len() as u64) as usize];
            let same: Vec<&Fault> = cases
                .iter()
                .filter(|c| c.0 == one.0)
                .map(|c| &c.1)
                .collect();
            let other = same[chance.below(same.len() as u64) as usize];
            let mut plan = failing(&all[one.0], &[one.1.clone(), other.clone()]);
            plan.seed = derive(self.base(), pair);
            if !self.judge(Suite::Faults, (number, of), &plan, report)? {
                return Ok(());
            }
            number += 1;
        }
        Ok(())
    }

    fn vanish(&mut self, report: &mut Report) -> std::io::Result<()> {
        use crate::plan::Action;
        let all = plans::whole(&self.shape);
        let adapters = self.shape.adapters.len();
        let of = all.iter().map(|p| p.actions.len() as u64).sum::<u64>() * adapters as u64;
        let mut number = 0;
        for plan in &all {
            for at in 1..plan.actions.len() {
                for adapter in 0..adapters {
                    let mut cut = plan.clone();
                    // Beside what is done, not after it.
                    let beside = cut.actions[at].clone();
                    cut.actions[at] = Action::Together {
                        actions: vec![beside, Action::Vanish { adapter }],
                    };
                    cut.name = format!("{}, adapter {adapter} vanishes at {at}", cut.name);
                    cut.seed = derive(self.base(), number);
                    if !self.judge(Suite::Vanish, (number, of), &cut, report)? {
                        return Ok(());
                    }
                    number += 1;
                }
            }
        }
        Ok(())
    }

    fn races(&mut self, report: &mut Report) -> std::io::Result<()> {
        let all = search::races(&self.shape);
        let mut cases = Vec::new();
        for (index, plan) in all.iter().enumerate() {
            let mut plan = plan.clone();
            plan.seed = derive(self.base(), index as u64);
            let calm = search::at(&plan, &[]);
            let outcome = self.player.play(&calm)?;
            if self.part.0 == 0 {
                self.note(&outcome, report);
            }
            let sets = search::points(outcome.points, self.effort.switches, plan.seed);
            cases.extend(sets.into_iter().map(|set| search::at(&plan, &set)));
        }
        let of = cases.len() as u64;
        for (number, plan) in cases.iter().enumerate() {
            if !self.judge(Suite::Races, (number as u64, of), plan, report)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn drawn(&mut self, suite: Suite, report: &mut Report) -> std::io::Result<()> {
        let of = self.effort.most;
        for number in 0..of {
            let seed = derive(self.effort.seed, number);
            let plan = draw(suite, Number::new(self.tag, suite, seed), &self.shape);
            if !self.judge(suite, (number, of), &plan, report)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The plan of a number of a suite whose plays are drawn.
fn draw(suite: Suite, number: Number, shape: &Shape) -> Plan {
    if suite == Suite::Short {
        short(number.0, shape)
    } else {
        generate(number.0, shape)
    }
}

/// Whether a play is among `most` of `of`, taken with even steps.
const fn chosen(number: u64, of: u64, most: u64) -> bool {
    // Numbers are far below 2^32: a list of plays lies in memory.
    most >= of || number * most / of != (number + 1) * most / of
}

/// What went wrong, in one line.
pub fn what(outcome: &Outcome) -> String {
    use crate::play::End;
    match (outcome.findings.first(), &outcome.end) {
        (Some(finding), _) => finding.message.clone(),
        (None, End::Crashed(crash)) => format!("{:?}: {}", crash.kind, crash.message),
        (None, End::Hung(waiting)) => waiting.join("; "),
        (None, End::Refused(status)) => format!("DriverEntry fails with {status:#x}"),
        (None, End::Done) => "nothing".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_takes_exactly_so_many_with_even_steps() {
        for (of, most) in [(10, 3), (2211, 600), (7, 7), (5, 100), (1, 1), (1000, 999)] {
            let taken: Vec<u64> = (0..of).filter(|&n| chosen(n, of, most)).collect();
            assert_eq!(taken.len() as u64, most.min(of), "{most} of {of}");
            let step = of.div_ceil(most.min(of));
            assert!(
                taken.windows(2).all(|two| two[1] - two[0] <= step),
                "{most} of {of}"
            );
        }
        assert!((0..10).all(|n| !chosen(n, 10, 0)));
        assert_eq!(Suite::ALL.map(Suite::share).iter().sum::<u64>(), 10);
    }

    #[test]
    fn of_equal_failures_the_first_stays_in_any_order() {
        let failure = |number: u64, id: &str| Failure {
            suite: Suite::Races,
            number: Number::new(1, Suite::Races, number),
            ids: BTreeSet::from([id.to_owned()]),
            what: String::new(),
            plan: Plan::new("a", Vec::new()),
            short: Plan::new("a", Vec::new()),
            trace: 0,
        };
        let report = |failures: &[Failure]| Report {
            plays: 5,
            failures: failures.to_vec(),
            ..Report::default()
        };
        let parts = [
            report(&[failure(7, "SND-2"), failure(9, "RCV-1")]),
            report(&[failure(3, "SND-2")]),
            report(&[failure(12, "RCV-1"), failure(4, "OID-1")]),
        ];
        let mut all = Report::default();
        let mut reversed = Report::default();
        for part in &parts {
            all.add(part);
        }
        for part in parts.iter().rev() {
            reversed.add(part);
        }
        assert_eq!(all, reversed);
        let plays: Vec<u64> = all.failures.iter().map(|f| f.number.play()).collect();
        assert_eq!(plays, [3, 4, 9]);
    }
}

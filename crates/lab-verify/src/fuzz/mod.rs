//! Structured fuzzing of a driver: plans are made and changed at random, and those that reach
//! code that nothing reached before are kept and changed further.
//!
//! One number decides everything: the same seed, driver and shape try the same plans in the
//! same order. What is found is shrunk at once and has a name that follows from what is wrong
//! and from the plan, so that it can be committed as a regression file.

pub mod words;

mod make;

use std::collections::BTreeSet;
use std::hash::{Hash as _, Hasher as _};

use lab_net::mix::Chance;
use serde::{Deserialize, Serialize};

use crate::plan::{Plan, Shape};
use crate::play::{Outcome, Player};
use crate::shrink::shrink;
use words::Words;

/// Plans that shrinking may try for one failure.
const SHRINKING: usize = 300;
/// Failures after which a search ends.
const ENOUGH: usize = 16;

/// What is made at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Bytes of frames, both ways, in MDLs of any shape.
    Frames,
    /// OID requests.
    Oids,
    /// Requests to the control device.
    Control,
    /// Registry values of every type.
    Configuration,
    /// Orders of callbacks and events.
    Orders,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Frames,
        Self::Oids,
        Self::Control,
        Self::Configuration,
        Self::Orders,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Oids => "oids",
            Self::Control => "control",
            Self::Configuration => "configuration",
            Self::Orders => "orders",
        }
    }

    /// The target of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Its name: what was being made, what is wrong, and a number of the plan.
    pub name: String,
    /// Ids of what is wrong.
    pub ids: BTreeSet<String>,
    /// The first finding, or how it ended.
    pub text: String,
    /// The shortest plan that still shows it.
    pub plan: Plan,
}

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Plans that were played, without those of shrinking.
    pub plays: u64,
    /// Plans that reached something new.
    pub kept: u64,
    /// Basic blocks reached by the first plan, and at the end.
    pub blocks: (u64, u64),
    /// What was found.
    pub failures: Vec<Failure>,
}

/// A search.
pub struct Fuzzer<'a> {
    player: &'a Player,
    target: Target,
    shape: Shape,
    words: Words,
    chance: Chance,
    corpus: Vec<Plan>,
    known: BTreeSet<BTreeSet<String>>,
    /// What came of it so far.
    pub report: Report,
}

impl<'a> Fuzzer<'a> {
    /// Begins a search. Whoever handles the process's signals has to hand breakpoints to the
    /// host ([`lab_host::Host::trapped`]), by which new code is noticed.
    pub fn new(player: &'a Player, target: Target, shape: Shape, seed: u64) -> Self {
        player.host.cover();
        Self {
            player,
            target,
            shape,
            words: Words::of(&player.image),
            chance: Chance::new(seed ^ (target as u64) << 56),
            corpus: Vec::new(),
            known: BTreeSet::new(),
            report: Report::default(),
        }
    }

    /// Tries one more plan; false when enough was found. `about` is told of every plan before
    /// it is played, for a driver that takes the process with it.
    ///
    /// # Errors
    /// When the image cannot be restored.
    pub fn step(&mut self, about: &mut dyn FnMut(&Plan)) -> std::io::Result<bool> {
        let plan = self.next();
        about(&plan);
        let before = self.player.host.blocks_reached();
        let outcome = self.player.play(&plan)?;
        let after = self.player.host.blocks_reached();
        self.report.plays += 1;
        if self.report.plays == 1 {
            self.report.blocks.0 = after;
        }
        self.report.blocks.1 = after;
        if !outcome.is_clean() {
            self.failed(&plan, &outcome, about)?;
        } else if after > before {
            self.corpus.push(plan);
            self.report.kept += 1;
        }
        Ok(self.report.failures.len() < ENOUGH)
    }

    fn next(&mut self) -> Plan {
        let fresh = self.corpus.is_empty() || self.chance.below(4) == 0;
        let mut maker = make::Maker {
            chance: &mut self.chance,
            words: &self.words,
        };
        if fresh {
            return maker.fresh(self.target, &self.shape);
        }
        // Later ones reached what earlier ones did not.
        let count = self.corpus.len() as u64;
        let at = maker.chance.below(count).max(maker.chance.below(count));
        let mut plan = self.corpus[at as usize].clone();
        for _ in 0..=maker.chance.below(4) {
            maker.change(self.target, &mut plan);
        }
        plan.seed = maker.chance.next() >> 1;
        plan
    }

    fn failed(
        &mut self,
        plan: &Plan,
        outcome: &Outcome,
        about: &mut dyn FnMut(&Plan),
    ) -> std::io::Result<()> {
        let ids = outcome.ids();
        if !self.known.insert(ids.clone()) {
            return Ok(());
        }
        let text = match outcome.findings.first() {
            Some(finding) => format!("{}: {}", finding.rule, finding.message),
            None => format!("{:?}", outcome.end),
        };
        let mut error = None;
        let (mut short, _) = shrink(plan, SHRINKING, |candidate| {
            about(candidate);
            match self.player.play(candidate) {
                Ok(again) => again.ids() == ids,
                Err(why) => {
                    error = Some(why);
                    false
                }
            }
        });
        if let Some(error) = error {
            return Err(error);
        }
        let name = name(self.target, &ids, &short);
        short.name.clone_from(&name);
        self.report.failures.push(Failure {
            name,
            ids,
            text,
            plan: short,
        });
        Ok(())
    }
}

/// A name for a failure: the same plan has the same on every machine.
pub fn name(target: Target, ids: &BTreeSet<String>, plan: &Plan) -> String {
    let mut nameless = plan.clone();
    nameless.name.clear();
    // SipHash with fixed keys: the same everywhere.
    #[expect(deprecated, reason = "the newer one makes no promise to stay as it is")]
    let mut hasher = std::hash::SipHasher::new();
    nameless.to_toml().hash(&mut hasher);
    let first = ids.first().map_or("unknown", String::as_str);
    format!(
        "{}-{}-{:08x}",
        target.name(),
        first.to_lowercase(),
        hasher.finish() as u32
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line_and_back() {
        for target in Target::ALL {
            assert_eq!(Target::named(target.name()), Some(target));
        }
        assert_eq!(Target::named("nothing"), None);
    }

    #[test]
    fn a_name_says_what_is_wrong_and_is_the_plans() {
        let ids = BTreeSet::from(["SND-3".to_owned()]);
        let plan = Plan::default();
        let one = name(Target::Frames, &ids, &plan);
        assert!(one.starts_with("frames-snd-3-"), "{one}");
        let renamed = Plan {
            name: "x".into(),
            ..Plan::default()
        };
        assert_eq!(name(Target::Frames, &ids, &renamed), one);
        let other = Plan {
            seed: 9,
            ..Plan::default()
        };
        assert_ne!(name(Target::Frames, &ids, &other), one);
    }

    #[test]
    fn every_target_makes_and_changes_plans_that_survive_their_file() {
        let words = Words::default();
        for target in Target::ALL {
            let mut chance = Chance::new(5);
            let mut maker = make::Maker {
                chance: &mut chance,
                words: &words,
            };
            let mut seen = BTreeSet::new();
            for _ in 0..60 {
                let mut plan = maker.fresh(target, &Shape::default());
                maker.change(target, &mut plan);
                let text = plan.to_toml();
                let back: Plan =
                    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
                assert_eq!(back, plan, "{text}");
                seen.insert(text);
            }
            assert!(seen.len() > 50, "{target:?}: {}", seen.len());
        }
    }
}

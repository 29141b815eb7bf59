//! `lab exercise`: checks an answer to an exercise of the course.
//!
//! An answer is a topology file, or a file with a few words. The driver goes through the
//! script of [`crate::compare`] in that topology (or in the comparison's own), and the
//! exercise's goals are asked of what was found out: nothing is compared with a solution.
//!
//! Runs concurrently: nothing.

mod goals;
mod list;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli;
use crate::compare::report::Life;
use crate::compare::{Failure, Order, Told, life, tell};
use crate::exit::Verdict;
use crate::package::Package;
use crate::render::Table;
use crate::run::bad_topology;
use crate::topology::{LoadError, Topology};
use crate::trouble::Trouble;
use list::{EXERCISES, Exercise, Given};

/// Names of the files that hold an answer.
const TOPOLOGY: &str = "topology.toml";
const ANSWER: &str = "answer.toml";

/// The words of an answer; each exercise has some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// The rule that is broken.
    pub rule: String,
    /// The call that is left out.
    pub call: String,
    /// Calls in their order.
    pub order: Vec<String>,
}

/// Everything that goals are asked of.
#[derive(Clone, Debug, Default)]
struct Found {
    life: Life,
    answer: Answer,
    /// Broken rules and troubles, in their order.
    said: Vec<String>,
    /// How the child ended.
    how: String,
}

/// A goal and whether it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Goal {
    wanted: String,
    ok: bool,
    seen: String,
}

/// Runs it.
pub fn run(options: &cli::Exercise) -> Verdict {
    let Some(name) = &options.name else {
        show_all();
        return Verdict::Clean;
    };
    match check(options, name) {
        Ok(true) => Verdict::Clean,
        Ok(false) => Verdict::Violations,
        Err(Failure::Trouble(trouble)) => {
            eprintln!("{trouble}");
            trouble.verdict()
        }
        Err(Failure::Interrupted(signal)) => Verdict::Interrupted(signal),
    }
}

fn show_all() {
    let mut table = Table::new(["exercise", "driver", "file to edit", "title"]);
    for exercise in &EXERCISES {
        table.row([
            exercise.name.to_owned(),
            exercise.driver.to_owned(),
            format!("docs/exercises/{}/{}", exercise.name, exercise.given.file()),
            exercise.title.to_owned(),
        ]);
    }
    print!("{}", table.render(""));
}

fn find(name: &str) -> Result<&'static Exercise, Trouble> {
    EXERCISES
        .iter()
        .find(|exercise| exercise.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = EXERCISES.iter().map(|exercise| exercise.name).collect();
            Trouble::input(format!("there is no exercise `{name}`"))
                .hint(format!("there are {}", names.join(", ")))
        })
}

fn check(options: &cli::Exercise, name: &str) -> Result<bool, Failure> {
    let exercise = find(name)?;
    let folder = options
        .answer
        .clone()
        .unwrap_or_else(|| PathBuf::from("docs/exercises").join(name));
    let path = folder.join(exercise.given.file());
    let (topology, answer) = match exercise.given {
        Given::Topology => (read_topology(&path)?, Answer::default()),
        Given::Order | Given::Omission { .. } => (exercise.kind.topology(), read_answer(&path)?),
    };
    let work = match exercise.given {
        Given::Topology | Given::Order => life::LIFE.to_owned(),
        Given::Omission { call, every } => format!("{}{every}/{call}", life::WITHOUT),
    };
    let package = Package::open(&options.packages.join(exercise.driver))?;
    let Told { value, said, how } = tell(Order {
        package: &package,
        topology,
        seed: options.seed,
        passes: 1,
        work: &work,
    })?;
    let life = match value {
        Some(value) => serde_json::from_value(value)
            .map_err(|error| Trouble::host(format!("what the child said: {error}")))?,
        None => Life::default(),
    };
    let found = Found {
        life,
        answer,
        said,
        how,
    };
    if options.json {
        match serde_json::to_string_pretty(&found.life) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("lab failure: {error}"),
        }
    }
    let goals = goals::goals(exercise, &found);
    let solved = !goals.is_empty() && goals.iter().all(|goal| goal.ok);
    eprint!("{}", report(exercise, &path, &found, &goals, solved));
    Ok(solved)
}

fn report(exercise: &Exercise, path: &Path, found: &Found, goals: &[Goal], solved: bool) -> String {
    let mut text = format!("{}: {}\n", exercise.name, exercise.title);
    for line in found.said.iter().take(8) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  the lab found  {line}");
    }
    for line in found.life.failures.iter().take(8) {
        let _ = writeln!(text, "  the lab saw    {line}");
    }
    for goal in goals {
        let mark = if goal.ok { "reached " } else { "not yet " };
        let _ = writeln!(text, "  {mark} {}: {}", goal.wanted, goal.seen);
    }
    let end = if solved { "solved" } else { "not solved yet" };
    let _ = writeln!(text, "{end}: {}", path.display());
    text
}

fn read_topology(path: &Path) -> Result<Topology, Trouble> {
    Topology::load(path).map_err(|error| match error {
        LoadError::Unreadable { file, error } => {
            Trouble::input(format!("cannot read the answer: {error}")).at(file.display())
        }
        LoadError::Bad(bad) => bad_topology(&bad),
    })
}

fn read_answer(path: &Path) -> Result<Answer, Trouble> {
    let text = fs::read_to_string(path).map_err(|error| {
        Trouble::input(format!("cannot read the answer: {error}")).at(path.display())
    })?;
    toml::from_str(&text)
        .map_err(|error| Trouble::input(format!("the answer: {error}")).at(path.display()))
}

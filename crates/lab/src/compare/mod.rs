//! `lab compare`: one traffic mix and one script of events through drivers of different
//! topologies, and a page that shows them beside each other.
//!
//! Each driver runs in two confined children: one goes through the script in the
//! deterministic engine, the other is measured bare. The parent joins what they found out,
//! writes it as JSON and shows the same numbers as a page that needs nothing beside itself.
//!
//! Runs concurrently: nothing; one child after the other.

mod decides;
mod hears;
pub mod life;
mod network;
mod page;
pub mod report;
mod script;
mod switch;
pub(crate) mod topologies;

use std::path::Path;

use lab_host::report::Event;
use serde::de::DeserializeOwned;

use crate::cli::Compare;
use crate::exit::Verdict;
use crate::package::{Package, Role};
use crate::process::{self, Ended, FileUse, Launch, Message, RunJob, Work, describe};
use crate::run::sealed;
use crate::topology::{Engine, Topology};
use crate::trouble::Trouble;
use report::{Column, Comparison};
use topologies::Kind;

/// Names of the files that are written.
const JSON: &str = "compare.json";
const HTML: &str = "compare.html";

/// Why there is no result.
pub(crate) enum Failure {
    /// Somebody is at fault.
    Trouble(Trouble),
    /// The user does not want it any more.
    Interrupted(i32),
}

impl<T: Into<Trouble>> From<T> for Failure {
    fn from(trouble: T) -> Self {
        Self::Trouble(trouble.into())
    }
}

/// Runs it.
pub fn run(options: &Compare) -> Verdict {
    match compare(options) {
        Ok(comparison) => {
            let failures: Vec<String> = comparison
                .drivers
                .iter()
                .flat_map(|d| d.life.failures.iter().map(|f| format!("{}: {f}", d.label)))
                .collect();
            for failure in &failures {
                eprintln!("{failure}");
            }
            println!("{}", options.out.join(HTML).display());
            println!("{}", options.out.join(JSON).display());
            if failures.is_empty() {
                Verdict::Clean
            } else {
                Verdict::Violations
            }
        }
        Err(Failure::Trouble(trouble)) => {
            eprintln!("{trouble}");
            trouble.verdict()
        }
        Err(Failure::Interrupted(signal)) => Verdict::Interrupted(signal),
    }
}

fn compare(options: &Compare) -> Result<Comparison, Failure> {
    let packages = [
        (&options.one, [Kind::Straight].as_slice()),
        (&options.many, &[Kind::Fanout]),
        (&options.team, &[Kind::Backup, Kind::Spread]),
    ];
    let mut comparison = Comparison {
        format: 1,
        seed: format!("{:#x}", options.seed),
        mix: script::mix(&Kind::Straight.topology()),
        script: script::acts(),
        drivers: Vec::new(),
    };
    for (path, kinds) in packages {
        let Some(path) = path else { continue };
        let package = Package::open(path)?;
        for &kind in kinds {
            comparison.drivers.push(column(options, &package, kind)?);
        }
    }
    if comparison.drivers.is_empty() {
        return Err(Trouble::input("there is nothing to compare")
            .hint("name packages with --one, --many and --team")
            .into());
    }
    write(&options.out, &comparison)?;
    Ok(comparison)
}

fn write(out: &Path, comparison: &Comparison) -> Result<(), Trouble> {
    let json = serde_json::to_string_pretty(comparison)
        .map_err(|error| Trouble::host(format!("the results: {error}")))?;
    let html = page::page(comparison)?;
    let written = std::fs::create_dir_all(out)
        .and_then(|()| std::fs::write(out.join(JSON), json))
        .and_then(|()| std::fs::write(out.join(HTML), html));
    written.map_err(|error| {
        Trouble::input(format!("the comparison cannot be written: {error}"))
            .at(out.display())
            .hint("--out takes a directory that you may write to")
    })
}

fn column(options: &Compare, package: &Package, kind: Kind) -> Result<Column, Failure> {
    let manifest = package.manifest();
    let label = match kind.heading() {
        Some(heading) => format!("{}, {heading}", manifest.driver),
        None => manifest.driver.clone(),
    };
    eprintln!("{label}: the script");
    let mut life: report::Life = child(options, package, kind, life::LIFE)?;
    eprintln!("{label}: what a frame costs");
    let cost = child(options, package, kind, life::COST)?;
    life.failures.sort();
    Ok(Column {
        driver: format!("{} {}", manifest.driver, manifest.version),
        label,
        life,
        cost,
    })
}

/// Starts a child and returns what it found out, if it found nothing wrong.
fn child<T: DeserializeOwned>(
    options: &Compare,
    package: &Package,
    kind: Kind,
    work: &str,
) -> Result<T, Failure> {
    let order = Order {
        package,
        topology: kind.topology(),
        seed: options.seed,
        passes: options.passes,
        work,
    };
    let Told { value, said, how } = tell(order)?;
    match value {
        Some(value) if said.is_empty() => serde_json::from_value(value).map_err(|error| {
            Trouble::host(format!("what a child said cannot be read: {error}")).into()
        }),
        _ => {
            let driver = &package.manifest().driver;
            let trouble = Trouble::host(format!("{driver}, {work}: {how}"));
            Err(trouble.hint(said.join("\n  ")).into())
        }
    }
}

/// What a child is to do.
pub(crate) struct Order<'a> {
    /// The driver.
    pub package: &'a Package,
    /// What is around it.
    pub topology: Topology,
    /// Decides every choice.
    pub seed: u64,
    /// Passes of a measurement.
    pub passes: u32,
    /// Name of the work.
    pub work: &'a str,
}

/// What a child told.
pub(crate) struct Told {
    /// What it found out, if it came to its end.
    pub value: Option<serde_json::Value>,
    /// Broken rules and troubles, in their order.
    pub said: Vec<String>,
    /// How it ended.
    pub how: String,
}

/// Starts a child and listens to it.
pub(crate) fn tell(order: Order<'_>) -> Result<Told, Failure> {
    let image = order.package.required(Role::Image)?;
    let manifest = order.package.manifest();
    let mut topology = order.topology;
    topology.lab.seed = Some(order.seed);
    topology.lab.engine = Engine::Deterministic;
    let job = RunJob {
        driver: manifest.driver.clone(),
        service: manifest.protocol.clone(),
        topology,
        scenario: Some(order.work.to_owned()),
        seed: order.seed,
        cycles: order.passes.into(),
        verbosity: 0,
    };
    let launch = Launch {
        files: vec![(FileUse::Image, sealed(&image)?)],
        ..Launch::new(Work::Run(Box::new(job)))
    };
    let mut said = Vec::new();
    let mut value = None;
    let outcome = process::run(launch, |message| match message {
        Message::Failed { trouble } => said.push(trouble.to_string()),
        Message::Event { event } => match event {
            Event::Finding(finding) => said.push(format!("{}: {}", finding.rule, finding.message)),
            Event::Crash(crash) => said.push(format!("crash: {}", crash.message)),
            Event::Summary { value: told } => value = Some(told),
            Event::Log { .. } | Event::Progress { .. } => {}
        },
        Message::Confined { .. } | Message::Done => {}
    });
    let outcome = outcome.map_err(|error| Trouble::host(error.to_string()))?;
    let how = match outcome.ended {
        Ended::Interrupted(signal) => return Err(Failure::Interrupted(signal)),
        Ended::Itself(status) => describe(status),
        Ended::Silent(after) => format!("silent for {} s", after.as_secs()),
    };
    Ok(Told { value, said, how })
}

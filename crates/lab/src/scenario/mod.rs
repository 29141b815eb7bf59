//! Scenarios: what is done with a driver, from `DriverEntry` to unload.
//!
//! [`stage`] turns a topology into a host with NICs, wires and protocols; [`tour`] is the
//! default scenario of a driver with one miniport on an adapter, [`mux`] that of one with
//! many, [`cycles`] the long one. They run inside the host, as a thread of its
//! engine, and know no driver by name.

mod all_vlans;
mod bench;
mod bench_ports;
mod bench_team;
mod churn;
mod control;
mod cycles;
mod driver_entry;
mod layers;
mod lbfo;
mod linux;
mod linux_team;
mod malformed;
mod mux;
mod oids;
mod pnp;
mod stacked;
pub(crate) mod stage;
mod teams;
pub(crate) mod tour;

use lab_host::Host;
use lab_host::report::Event;

use crate::process::RunJob;
use crate::summary::{Leak, Step, Summary};
use crate::trouble::Trouble;

pub use bench_ports::NAME as BENCH_PORTS;
pub use bench_team::NAME as BENCH_TEAM;
pub use linux::{DROPPED, INDICATED};
pub use linux_team::Command;
pub use stage::{Files, Stage, device};

/// Names of the scenarios, the default first.
pub const NAMES: [&str; 20] = [
    "tour",
    "cycles",
    "surprise",
    "bench",
    "linux",
    "driver-entry",
    "malformed",
    "pnp",
    "mux",
    "all-vlans",
    "churn",
    BENCH_PORTS,
    BENCH_TEAM,
    lbfo::NAME,
    lbfo::LACP,
    lbfo::BAD,
    lbfo::CHURN,
    linux_team::NAME,
    stacked::NAME,
    layers::NAME,
];

/// Runs the job's scenario on a loaded driver; the results go out as events.
pub fn run(host: &Host, job: &RunJob, files: Files) -> Result<(), Trouble> {
    let name = job.scenario.as_deref().unwrap_or(NAMES[0]);
    if !NAMES.contains(&name) {
        return Err(Trouble::input(format!("there is no scenario {name:?}"))
            .hint(format!("--scenario takes one of {}", NAMES.join(", "))));
    }
    let mut summary = Summary {
        scenario: name.to_owned(),
        cycles: job.cycles,
        ..Summary::default()
    };
    match name {
        BENCH_TEAM => bench_team::run(host, job, files, &mut summary)?,
        BENCH_PORTS => bench_ports::run(host, job, files, &mut summary)?,
        "cycles" => cycles::run(host, job, &mut summary)?,
        "driver-entry" => driver_entry::run(host, job, &mut summary)?,
        "malformed" => malformed::run(host, job, &mut summary)?,
        "all-vlans" => all_vlans::run(host, job, &mut summary)?,
        "churn" => churn::run(host, job, &mut summary)?,
        "mux" => mux::run(host, job, files, &mut summary)?,
        lbfo::NAME | lbfo::LACP | lbfo::BAD => lbfo::run(host, job, files, &mut summary)?,
        lbfo::CHURN => lbfo::churn::run(host, job, &mut summary)?,
        stacked::NAME => stacked::run(host, job, files, &mut summary)?,
        layers::NAME => layers::run(host, job, files, &mut summary)?,
        _ => one_life(host, job, files, name, &mut summary)?,
    }
    if !host.crashed() {
        summary.virtual_ns += host.now();
        host.sink().event(Event::Summary {
            value: serde_json::to_value(&summary).unwrap_or_default(),
        });
    }
    Ok(())
}

fn one_life(
    host: &Host,
    job: &RunJob,
    mut files: Files,
    name: &str,
    summary: &mut Summary,
) -> Result<(), Trouble> {
    if name == "pnp" {
        pnp::fits(&job.topology)?;
    }
    let talk = (name == "linux" || name == linux_team::NAME)
        .then(|| linux::Talk::take(&mut files))
        .transpose()?;
    let stage = Stage::new(host, job, &job.topology, job.seed, files)?;
    linux::watched(host, &stage, || {
        host.run(name, |host| match (name, &talk) {
            ("surprise", _) => tour::surprise(host, &stage, summary),
            ("pnp", _) => pnp::pnp(host, &stage, summary),
            ("bench", _) => bench::run(host, &stage, summary),
            (linux_team::NAME, Some(talk)) => linux_team::run(host, &stage, talk, summary),
            (_, Some(talk)) => linux::linux(host, &stage, talk, summary),
            _ => tour::tour(host, &stage, summary),
        });
    });
    stage.finish(host, summary);
    stage.captured()
}

/// Notes a step.
fn step(summary: &mut Summary, name: &str, ok: bool, detail: impl Into<String>) {
    summary.steps.push(Step {
        name: name.to_owned(),
        ok,
        detail: detail.into(),
    });
}

/// Findings that say something was left behind become leaks of the summary.
fn leaks(host: &Host) -> Vec<Leak> {
    host.findings()
        .into_iter()
        .filter(|f| f.message.starts_with("after "))
        .map(|f| Leak {
            kind: f.rule,
            count: 1,
            detail: f.message,
        })
        .collect()
}

/// Shows how far a long step is.
fn progress(host: &Host, what: &str, done: u64, total: u64) {
    host.sink().event(Event::Progress {
        what: what.to_owned(),
        done,
        total,
    });
}

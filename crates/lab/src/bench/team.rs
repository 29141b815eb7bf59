//! `lab bench-team`: what a frame costs through a team, by mode, members and batch, in
//! ratio to the driver with one miniport on one adapter, from one run.
//!
//! That driver's child lives all the time and is measured between the passes of each team,
//! so that whatever else the machine does hits both alike. LACP decides who is a member
//! and then spreads by hash: its data path is the one of `hash`.

use serde::Serialize;

use super::{Failure, Order, Runner, begin, median, topologies};
use crate::{
    cli::BenchTeam, exit::Verdict, package::Package, render::Table, scenario::BENCH_PORTS,
    scenario::BENCH_TEAM, trouble::Trouble,
};

/// Lists in a chain.
const BATCHES: [u16; 3] = [1, 32, 256];
/// Modes, by the number of the driver's setting.
const MODES: [(&str, u32); 5] = [
    ("active-backup", 0),
    ("hash", 1),
    ("round-robin", 3),
    ("broadcast", 4),
    ("dynamic", 5),
];

/// A figure.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    mode: &'static str,
    members: usize,
    direction: &'static str,
    batch: u16,
    /// Nanoseconds for each frame, there and back.
    through: f64,
    /// The same path without the driver.
    without: f64,
    /// The same as `through`, of the driver with one miniport.
    one: f64,
    /// `through` in ratio to `one`.
    ratio: f64,
    /// The driver's own part in the same ratio.
    own_ratio: f64,
}

#[derive(Serialize)]
struct Report {
    format: u32,
    seed: String,
    passes: u32,
    figures: Vec<Figure>,
}

/// Runs it.
pub fn run(options: &BenchTeam) -> Verdict {
    match measure(options) {
        Ok(report) => {
            if options.json {
                match serde_json::to_string_pretty(&report) {
                    Ok(text) => println!("{text}"),
                    Err(error) => {
                        eprintln!("lab failure: the report cannot be written: {error}");
                        return Verdict::HostError;
                    }
                }
            } else {
                show(&report);
            }
            Verdict::Clean
        }
        Err(Failure::Trouble(trouble)) => {
            eprintln!("{trouble}");
            trouble.verdict()
        }
        Err(Failure::Interrupted(signal)) => Verdict::Interrupted(signal),
    }
}

fn measure(options: &BenchTeam) -> Result<Report, Failure> {
    let one = Package::open(&options.one).map_err(Trouble::from)?;
    let team = Package::open(&options.team).map_err(Trouble::from)?;
    let topology = topologies::topology(None, options.seed);
    let mut base = begin(&one, topology, BENCH_PORTS, options.seed, 1)?;
    let mut figures = Vec::new();
    let mut failure = None;
    'all: for (mode, number) in MODES {
        for &members in &options.members {
            let topology = topologies::team(members, number, options.seed);
            let result = begin(&team, topology, BENCH_TEAM, options.seed, members)
                .and_then(|runner| one_team(options, mode, members, &mut base, runner));
            match result {
                Ok(more) => figures.extend(more),
                Err(why) => {
                    failure = Some(why);
                    break 'all;
                }
            }
        }
    }
    // The end of its orders ends a child. What it died of says more than that it is silent.
    let end = base.end();
    if let Some(failure) = failure {
        return Err(end.err().unwrap_or(failure));
    }
    end?;
    Ok(Report {
        format: 1,
        seed: format!("{:#x}", options.seed),
        passes: options.passes,
        figures,
    })
}

/// The passes of one team, each between passes of the other driver.
fn one_team(
    options: &BenchTeam,
    mode: &'static str,
    members: usize,
    base: &mut Runner,
    mut runner: Runner,
) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    let result = (|| {
        for receive in [false, true] {
            for batch in BATCHES {
                let mut times = [const { Vec::new() }; 4];
                for pass in 0..=options.passes {
                    for (at, times) in times.iter_mut().enumerate() {
                        let of_team = at < 2;
                        let order = Order {
                            receive,
                            through: at % 2 == 0,
                            batch,
                            busy: if of_team { members as u16 } else { 1 },
                        };
                        let runner = if of_team { &mut runner } else { &mut *base };
                        let time = runner.pass(order).ok_or_else(|| {
                            Trouble::host(format!(
                                "{mode} with {members} members: a pass was not done: {order:?}"
                            ))
                        })?;
                        // The first pass of each kind warms up.
                        if pass > 0 {
                            times.push(time);
                        }
                    }
                }
                let [through, without, one, one_without] = times.map(median);
                figures.push(Figure {
                    mode,
                    members,
                    direction: if receive { "receive" } else { "send" },
                    batch,
                    through,
                    without,
                    one,
                    ratio: through / one,
                    own_ratio: (through - without) / (one - one_without),
                });
            }
        }
        Ok(())
    })();
    let end = runner.end();
    match (result, end) {
        (Ok(()), Ok(())) => Ok(figures),
        (_, Err(why)) | (Err(why), _) => Err(why),
    }
}

fn show(report: &Report) {
    let mut table = Table::new([
        "mode",
        "members",
        "path",
        "batch",
        "ns/frame",
        "without",
        "one",
        "ratio",
        "own ratio",
    ]);
    for figure in &report.figures {
        table.row([
            figure.mode.to_owned(),
            figure.members.to_string(),
            figure.direction.to_owned(),
            figure.batch.to_string(),
            format!("{:.1}", figure.through),
            format!("{:.1}", figure.without),
            format!("{:.1}", figure.one),
            format!("{:.2}", figure.ratio),
            format!("{:.2}", figure.own_ratio),
        ]);
    }
    println!("{}", table.render("  "));
    println!(
        "ns/frame: there and back through the team; without: the same path without it; one: \
         through the driver\nwith one adapter; ratio: to that; own: without the path. lacp: as \
         hash. Medians of {} passes over 4,096\nlists, seed {}.",
        report.passes, report.seed
    );
}

//! `lab fuzz`: random frames, requests, configurations and orders against the real driver,
//! guided by the code that they reach.
//!
//! The search runs in the confined child. What it finds is shrunk there and becomes a file,
//! named after what is wrong, that can be committed and is played by `lab trace --plan`.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use lab_host::report::Event;
use lab_host::report::Sink as _;
use lab_verify::fuzz::{Fuzzer, Report, Target};
use lab_verify::{Plan, Player, Shape};
use serde::{Deserialize, Serialize};

use crate::cli::FuzzArgs;
use crate::crash::handler;
use crate::exit::Verdict;
use crate::host::Witness;
use crate::process::{FileUse, Reporter, RunJob};
use crate::see::See;
use crate::summary::{Counter, Step, Summary};
use crate::trouble::Trouble;

/// A search, as the child gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// What is made at random.
    pub target: Target,
    /// Decides everything.
    pub seed: u64,
    /// Plans, 0 for as many as fit.
    pub plays: u64,
    /// Milliseconds, 0 for no limit.
    pub ms: u64,
    /// What is around the driver.
    pub shape: Shape,
}

/// What the child writes: before each play the plan, at the end the report.
#[derive(Debug, Serialize, Deserialize)]
enum Note {
    Playing(String),
    Over(Box<Report>),
}

/// `lab fuzz`.
pub fn run(options: &FuzzArgs) -> Verdict {
    let targets: Vec<Target> = if options.targets.is_empty() {
        Target::ALL.to_vec()
    } else {
        options.targets.clone()
    };
    let mut worst = Verdict::Clean;
    for target in targets {
        match one(options, target) {
            Ok(Verdict::Clean) => {}
            Ok(verdict @ Verdict::Interrupted(_)) => return verdict,
            Ok(verdict) => worst = verdict,
            Err(trouble) => {
                eprintln!("{trouble}");
                return trouble.verdict();
            }
        }
    }
    worst
}

fn one(options: &FuzzArgs, target: Target) -> Result<Verdict, Trouble> {
    let began = Instant::now();
    let run = crate::trace::run_of(&options.package, &[])?;
    // A run that nobody limits ends after the short time of the tests.
    let time = match (options.time, options.plays) {
        (Some(time), _) => time,
        (None, 0) => Duration::from_secs(5),
        (None, _) => Duration::ZERO,
    };
    let shape = match &options.shape {
        Some(path) => crate::trace::read_plan(path)?.shape,
        None => crate::trace::shape_of(&run)?,
    };
    let search = Search {
        target,
        seed: options.seed,
        plays: options.plays,
        ms: time.as_millis() as u64,
        shape,
    };
    let mut file = tempfile::tempfile()
        .map_err(|error| Trouble::host(format!("no temporary file: {error}")))?;
    let see = See {
        fuzz: Some((
            file.try_clone()
                .map_err(|error| Trouble::host(format!("no descriptor: {error}")))?,
            search,
        )),
        ..See::default()
    };
    let verdict = crate::run::run_seen(&run, &see);
    if matches!(verdict, Verdict::BadInput | Verdict::Interrupted(_)) {
        return Ok(verdict);
    }
    let mut text = String::new();
    file.rewind()
        .and_then(|()| file.read_to_string(&mut text))
        .map_err(|error| Trouble::host(format!("a temporary file cannot be read: {error}")))?;
    let note = text
        .lines()
        .next()
        .and_then(|line| serde_json::from_str(line).ok());
    match note {
        Some(Note::Over(report)) => said(options, target, &report, began.elapsed()),
        // The driver took the process with it: the plan is what it was played last.
        Some(Note::Playing(plan)) => {
            let plan: Plan = toml::from_str(&plan)
                .map_err(|error| Trouble::host(format!("the last plan: {error}")))?;
            let ids = ["HOST-CRASH".to_owned()].into();
            let name = lab_verify::fuzz::name(target, &ids, &plan);
            keep(options, &name, "the process ended", &plan)?;
            Ok(Verdict::DriverFailed)
        }
        None => Err(Trouble::host("the search ended before it began")),
    }
}

fn said(
    options: &FuzzArgs,
    target: Target,
    report: &Report,
    took: Duration,
) -> Result<Verdict, Trouble> {
    println!(
        "{}: {} plans in {:.1} s, {} kept, {} basic blocks (first plan: {}), {} failures",
        target.name(),
        report.plays,
        took.as_secs_f64(),
        report.kept,
        report.blocks.1,
        report.blocks.0,
        report.failures.len()
    );
    for failure in &report.failures {
        keep(options, &failure.name, &failure.text, &failure.plan)?;
    }
    Ok(if report.failures.is_empty() {
        Verdict::Clean
    } else {
        Verdict::Violations
    })
}

fn keep(options: &FuzzArgs, name: &str, text: &str, plan: &Plan) -> Result<(), Trouble> {
    fs::create_dir_all(&options.out).map_err(|error| {
        Trouble::input(format!("cannot make the folder: {error}")).at(options.out.display())
    })?;
    let path = options.out.join(format!("{name}.toml"));
    let lines: Vec<String> = text.lines().map(|line| format!("# {line}")).collect();
    let said = lines.join("\n");
    fs::write(&path, format!("{said}\n{}", plan.to_toml()))
        .map_err(|error| Trouble::input(format!("cannot write: {error}")).at(path.display()))?;
    println!(
        "  {text}\n  again: lab trace {} --plan {}",
        options.package.display(),
        path.display()
    );
    Ok(())
}

fn note(file: &mut File, note: &Note) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(note)?;
    line.push(b'\n');
    // What is behind the line belongs to an older one.
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&line)
}

/// The child's side: searches until the time is over.
pub fn search(
    search: &Search,
    out: OwnedFd,
    image: &[u8],
    job: &RunJob,
    reporter: &Reporter,
) -> Result<(), Trouble> {
    let mut out = File::from(out);
    let player = Player::new(image, &job.service, true)
        .map_err(|error| Trouble::input(error.to_string()))?;
    handler::set_image(player.image.base, player.image.size);
    handler::set_faults(Box::new(Witness::new(player.host)))
        .map_err(|_| Trouble::host("a driver was loaded before in this process"))?;
    let mut fuzzer = Fuzzer::new(&player, search.target, search.shape.clone(), search.seed);
    let began = Instant::now();
    let limit = Duration::from_millis(search.ms);
    let mut told = Instant::now();
    loop {
        let over = search.plays > 0 && fuzzer.report.plays >= search.plays
            || search.ms > 0 && began.elapsed() >= limit;
        if over {
            break;
        }
        let more = fuzzer
            .step(&mut |plan| {
                let _ = note(&mut out, &Note::Playing(plan.to_toml()));
            })
            .map_err(|error| Trouble::host(format!("cannot start over: {error}")))?;
        if told.elapsed() > Duration::from_secs(1) {
            told = Instant::now();
            reporter.event(Event::Progress {
                what: format!("fuzzing {}", search.target.name()),
                done: fuzzer.report.plays,
                total: search.plays,
            });
        }
        if !more {
            break;
        }
    }
    let report = fuzzer.report;
    let summary = summary(search.target, &report);
    note(&mut out, &Note::Over(Box::new(report)))
        .map_err(|error| Trouble::host(format!("the report: {error}")))?;
    let value = serde_json::to_value(summary)
        .map_err(|error| Trouble::host(format!("the summary: {error}")))?;
    reporter.event(Event::Summary { value });
    Ok(())
}

fn summary(target: Target, report: &Report) -> Summary {
    let mut steps = vec![Step {
        name: format!("fuzzing {}", target.name()),
        ok: report.failures.is_empty(),
        detail: format!("{} plans", report.plays),
    }];
    steps.extend(report.failures.iter().map(|failure| Step {
        name: failure.name.clone(),
        ok: false,
        detail: failure.text.clone(),
    }));
    let counter = |name: &str, value| Counter {
        owner: format!("fuzzing {}", target.name()),
        name: name.to_owned(),
        value,
    };
    Summary {
        scenario: format!("fuzz {}", target.name()),
        cycles: 1,
        steps,
        counters: vec![
            counter("plans", report.plays),
            counter("kept", report.kept),
            counter("basic blocks", report.blocks.1),
        ],
        ..Summary::default()
    }
}

/// What the file that the child writes is for.
pub fn usage(search: &Search) -> FileUse {
    FileUse::Fuzz(Box::new(search.clone()))
}

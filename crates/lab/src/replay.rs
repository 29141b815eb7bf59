//! `lab replay`: a play that `lab verify` found, again, exactly as it was, with a trace.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use lab_host::report::{Event, Finding};
use lab_host::trace::Options;
use lab_verify::number::Number;
use lab_verify::suite::{Effort, Runner};
use lab_verify::{End, Plan, Shape, Tally};
use serde::{Deserialize, Serialize};

use crate::cli::Replay;
use crate::exit::Verdict;
use crate::process::{
    self, Ended, FileUse, Launch, Message, Reporter, Work, describe, memory_file,
};
use crate::trouble::Trouble;
use crate::verify::{Subject, child as verify_child};

/// What a child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplayJob {
    /// Service of the protocol edge.
    pub service: String,
    /// The machine around the driver, for a number.
    pub shape: Shape,
    /// A number, or a plan.
    pub what: What,
    /// How often.
    pub times: u32,
    /// Whether a last play is traced into the file that was handed over.
    pub trace: bool,
}

/// What is played.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A play by its number.
    Number(Number),
    /// This plan.
    Plan(Box<Plan>),
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replayed {
    /// The plan.
    pub plan: Plan,
    /// Broken rules.
    pub findings: Vec<Finding>,
    /// Ids of what went wrong.
    pub ids: Vec<String>,
    /// What became of the frames.
    pub tally: Tally,
    /// How it ended.
    pub end: String,
    /// Whether the driver crashed or hung.
    pub fatal: bool,
    /// The trace hash of each play, in hexadecimal.
    pub hashes: Vec<String>,
    /// Crossings of a play.
    pub crossings: u64,
    /// Virtual nanoseconds of a play.
    pub virtual_ns: u64,
}

/// Replays as the options say.
pub fn run(options: &Replay) -> Verdict {
    match replay(options) {
        Ok(verdict) => verdict,
        Err(trouble) => {
            eprintln!("{trouble}");
            trouble.verdict()
        }
    }
}

fn open(options: &Replay, path: &Path) -> Result<Subject, Trouble> {
    Subject::open(
        path,
        options.service.as_deref(),
        options.topology.as_deref(),
    )
}

/// The driver and its shape that a number is of.
fn owner(options: &Replay, number: Number) -> Result<(Subject, Shape), Trouble> {
    let given = options.target.iter().chain(&options.among);
    for path in given {
        let subject = open(options, path)?;
        let found = subject
            .shapes
            .iter()
            .find(|(variant, _)| number.is_of(&subject.service, variant));
        if let Some((_, shape)) = found {
            let shape = shape.clone();
            return Ok((subject, shape));
        }
    }
    Err(Trouble::input(format!(
        "{number} is of none of the drivers that were given"
    ))
    .hint("name the package: lab replay NUMBER PACKAGE"))
}

/// A scenario file.
fn plan(path: &Path) -> Result<Plan, Trouble> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Trouble::input(format!("cannot read the scenario: {error}"))
            .at(path.display())
            .hint("give the number of a play (0x and sixteen digits) or a scenario file")
    })?;
    lab_verify::check::read(&text).map_err(|problems| {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("\n  {}:{problem}", path.display()))
            .collect();
        Trouble::input(format!(
            "the scenario has {} mistakes{}",
            problems.len(),
            lines.concat()
        ))
        .at(path.display())
        .hint("docs/verify.md describes every table and key")
    })
}

fn replay(options: &Replay) -> Result<Verdict, Trouble> {
    let (subject, shape, what) = match options.what.parse::<Number>() {
        Ok(number) => {
            let (subject, shape) = owner(options, number)?;
            (subject, shape, What::Number(number))
        }
        Err(_) => {
            let plan = plan(Path::new(&options.what))?;
            let Some(target) = &options.target else {
                return Err(Trouble::input("a scenario file says nothing of a driver")
                    .hint("name the package: lab replay FILE PACKAGE"));
            };
            let subject = open(options, target)?;
            let shape = plan.shape.clone();
            (subject, shape, What::Plan(Box::new(plan)))
        }
    };
    let mut files = vec![(FileUse::Image, subject.sealed()?)];
    let trace = if options.trace > 0 {
        let file = memory_file(c"lab-trace", &[], false)
            .map_err(|error| Trouble::host(format!("cannot make room for a trace: {error}")))?;
        let copy = file
            .try_clone()
            .map_err(|error| Trouble::host(error.to_string()))?;
        files.push((FileUse::Capture, OwnedFd::from(copy)));
        Some(file)
    } else {
        None
    };
    let job = ReplayJob {
        service: subject.service.clone(),
        shape,
        what,
        times: options.times.max(1),
        trace: trace.is_some(),
    };
    let launch = Launch {
        files,
        ..Launch::new(Work::Replay(Box::new(job)))
    };
    let (mut replayed, mut failed) = (None, None);
    let outcome = process::run(launch, |message| match message {
        Message::Event {
            event: Event::Summary { value },
        } => match serde_json::from_value::<Replayed>(value) {
            Ok(found) => replayed = Some(found),
            Err(error) => failed = Some(Trouble::host(format!("the report: {error}"))),
        },
        Message::Failed { trouble } => failed = Some(trouble),
        _ => {}
    })
    .map_err(|error| Trouble::host(error.to_string()))?;
    if let Some(trouble) = failed {
        return Err(trouble);
    }
    let Some(replayed) = replayed else {
        return Ok(match outcome.ended {
            Ended::Interrupted(signal) => Verdict::Interrupted(signal),
            Ended::Itself(status) => {
                eprintln!("the process of the driver ended: {}", describe(status));
                Verdict::DriverFailed
            }
            Ended::Silent(_) => {
                eprintln!("the driver says nothing any more");
                Verdict::DriverFailed
            }
        });
    };
    show(options, &replayed, trace)
}

fn show(options: &Replay, replayed: &Replayed, trace: Option<File>) -> Result<Verdict, Trouble> {
    let mut text = String::new();
    if options.plan {
        text.push_str(&replayed.plan.to_toml());
        text.push('\n');
    }
    if let Some(file) = trace {
        text.push_str(&lines(file, options.trace)?);
    }
    let same = replayed.hashes.windows(2).all(|two| two[0] == two[1]);
    for finding in &replayed.findings {
        text.push_str(&format!("{}: {}\n", finding.rule, finding.message));
    }
    text.push_str(&format!(
        "{}: {}; {} crossings, {:.6} s of virtual time; frames {:?}\n",
        replayed.plan.name,
        replayed.end,
        replayed.crossings,
        replayed.virtual_ns as f64 / 1e9,
        replayed.tally
    ));
    let first = replayed.hashes.first().map_or("", String::as_str);
    text.push_str(&if same {
        format!(
            "trace {first}, the same in {} plays\n",
            replayed.hashes.len()
        )
    } else {
        format!("the plays differ: {}\n", replayed.hashes.join(", "))
    });
    if options.json {
        eprint!("{text}");
        let value = serde_json::to_string_pretty(replayed)
            .map_err(|error| Trouble::host(format!("the document: {error}")))?;
        println!("{value}");
    } else {
        print!("{text}");
    }
    Ok(if !same {
        Verdict::HostError
    } else if replayed.fatal {
        Verdict::DriverFailed
    } else if replayed.ids.is_empty() {
        Verdict::Clean
    } else {
        Verdict::Violations
    })
}

/// The last lines of a trace.
fn lines(mut file: File, most: usize) -> Result<String, Trouble> {
    use std::io::Seek as _;
    let bad = |error: &dyn std::fmt::Display| Trouble::host(format!("the trace: {error}"));
    file.rewind().map_err(|error| bad(&error))?;
    let trace = lab_see::Trace::read(std::io::BufReader::new(file)).map_err(|error| bad(&error))?;
    let text = lab_see::table::table(&trace);
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(most);
    let mut text = all[from..].join("\n");
    text.push('\n');
    Ok(text)
}

/// The confined side.
pub fn child(
    job: &ReplayJob,
    mut files: Vec<(FileUse, OwnedFd)>,
    reporter: &Arc<Reporter>,
) -> Result<(), Trouble> {
    let again = |error: std::io::Error| Trouble::host(format!("cannot start over: {error}"));
    let image = verify_child::image(&mut files)?;
    let player = verify_child::player(&image, &job.service, true)?;
    let plan = match &job.what {
        What::Plan(plan) => (**plan).clone(),
        What::Number(number) => {
            let mut runner = Runner::new(&player, job.shape.clone(), Effort::default());
            runner.plan(*number).map_err(again)?.ok_or_else(|| {
                Trouble::input(format!("{number} is no play of this driver"))
                    .hint("it is of another version of the driver, or mistyped")
            })?
        }
    };
    let mut hashes = Vec::new();
    let mut outcome = player.play(&plan).map_err(again)?;
    hashes.push(format!("{:#018x}", outcome.trace));
    for _ in 1..job.times {
        outcome = player.play(&plan).map_err(again)?;
        hashes.push(format!("{:#018x}", outcome.trace));
    }
    if job.trace
        && let Some((_, file)) = files.pop()
    {
        player
            .host
            .trace_to(Box::new(File::from(file)), Options::default());
        outcome = player.play(&plan).map_err(again)?;
        hashes.push(format!("{:#018x}", outcome.trace));
        player.host.trace_flush();
    }
    let end = match &outcome.end {
        End::Done => "all was done".to_owned(),
        End::Refused(status) => format!("DriverEntry fails with {status:#x}"),
        End::Crashed(crash) => format!("{:?} {}", crash.kind, crash.message),
        End::Hung(waiting) => format!("nothing goes on: {}", waiting.join("; ")),
    };
    let replayed = Replayed {
        plan,
        ids: outcome.ids().into_iter().collect(),
        findings: outcome.findings,
        tally: outcome.tally,
        end,
        fatal: matches!(outcome.end, End::Crashed(_) | End::Hung(_)),
        hashes,
        crossings: outcome.crossings,
        virtual_ns: outcome.virtual_ns,
    };
    let value = serde_json::to_value(replayed)
        .map_err(|error| Trouble::host(format!("the report: {error}")))?;
    reporter.send(&Message::Event {
        event: Event::Summary { value },
    });
    Ok(())
}

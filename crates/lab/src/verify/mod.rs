//! `lab verify`: every suite on a driver, in confined child processes, two at a time; one table.
//!
//! A budget of scenarios is shared out over configurations and suites. A suite's plays are dealt
//! out to as many children as the budget says, never the number of processors: what is found is
//! the same however many run at a time.
//!
//! A play in which the driver faults does not end its process: the child reports it, takes the
//! driver back to its beginning and goes on. A child that dies all the same (the driver has
//! destroyed more than its own, or loops) is started again: once to see which play it was, then
//! behind that one.

pub mod child;
mod screen;
mod subject;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use lab_host::report::Event;
use lab_verify::faults::Site;
use lab_verify::suite::{Effort, Failure, Report, Suite};
use lab_verify::{Plan, Shape};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::cli::Verify;
use crate::exit::Verdict;
use crate::process::{self, Ended, FileUse, Launch, Message, Work, describe};
use crate::trouble::Trouble;

pub use subject::{Subject, shape};

/// Deaths of a suite's child after which it is given up.
const DEATHS: u32 = 8;

/// Plays that one child is given, about.
const PORTION: u64 = 1500;

/// What a child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyJob {
    /// Service of the protocol edge.
    pub service: String,
    /// Name of the configuration; empty for that of the topology.
    pub variant: String,
    /// The machine around the driver.
    pub shape: Shape,
    /// The suite.
    pub suite: Suite,
    /// How much is done.
    pub effort: Effort,
    /// Which part of the suite, of so many.
    pub part: (u64, u64),
    /// The first play.
    pub from: u64,
    /// Say each play's plan before it is played.
    pub announce: bool,
    /// Each allocation on pages of its own.
    pub guarded: bool,
}

/// What a child says before and after.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// The next play.
    Next {
        /// Its number within the suite.
        number: u64,
        /// It.
        plan: Box<Plan>,
    },
    /// What was found so far, or in all.
    Report(Box<Report>),
}

/// A suite in a configuration, and what it showed.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// Name of the configuration.
    pub variant: String,
    /// The suite.
    pub suite: Suite,
    /// What it showed.
    pub report: Report,
    /// How children died that did not end by themselves.
    pub deaths: Vec<String>,
}

impl Part {
    fn new(variant: &str, suite: Suite) -> Self {
        Self {
            variant: variant.to_owned(),
            suite,
            report: Report::default(),
            deaths: Vec::new(),
        }
    }
}

/// A site and where it is in the source.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// The site.
    #[serde(flatten)]
    pub site: Site,
    /// Function and line, if the symbols say so.
    pub place: String,
    /// Why nothing reaches it, if that is known.
    pub reason: Option<String>,
}

/// Everything.
#[derive(Debug, Serialize)]
pub struct Document {
    format: u32,
    verdict: Verdict,
    exit_code: u8,
    driver: String,
    sha256: String,
    seed: String,
    parts: Vec<Part>,
    rules: Vec<screen::RuleRow>,
    sites_known: usize,
    sites_hit: usize,
    sites_missed: Vec<Place>,
    plays: u64,
    plays_per_minute: f64,
    wall_ms: u128,
    /// Processor time of all children, and what two processors do that nobody else uses.
    cpu_ms: u128,
    plays_per_minute_on_two: f64,
    failures: Vec<String>,
}

/// Judges a driver as the options say.
pub fn run(options: &Verify) -> Verdict {
    match verify(options) {
        Ok(verdict) => verdict,
        Err(trouble) => {
            eprintln!("{trouble}");
            trouble.verdict()
        }
    }
}

fn verify(options: &Verify) -> Result<Verdict, Trouble> {
    let began = Instant::now();
    let before = children_time();
    let mut subject = Subject::open(
        &options.target,
        options.service.as_deref(),
        options.topology.as_deref(),
    )?;
    let suites = suites(&options.suites)?;
    let effort = Effort {
        seed: options.seed.unwrap_or(crate::cli::DEFAULT_SEED),
        ..Effort::default()
    };
    let work = work(&subject, &suites, effort, options.scenarios);
    let mut screen = screen::Screen::new(options.json);
    screen.introduce(&subject);
    let (parts, stopped) = spread(&subject, work, options, &mut screen)?;
    screen.end_progress();
    if let Some(signal) = stopped {
        return Ok(Verdict::Interrupted(signal));
    }
    let cpu = children_time().saturating_sub(before);
    let times = (began.elapsed(), cpu);
    let document = judge(&mut subject, parts, options, times)?;
    let verdict = document.verdict;
    screen.show(&document);
    if options.json {
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| Trouble::host(format!("the document: {error}")))?;
        println!("{text}");
    }
    Ok(verdict)
}

/// The budget, shared out: jobs in the order in which they begin.
fn work(subject: &Subject, suites: &[Suite], effort: Effort, budget: u64) -> VecDeque<VerifyJob> {
    let each = budget / subject.shapes.len().max(1) as u64;
    let shares: u64 = suites.iter().map(|suite| suite.share()).sum();
    let mut work = VecDeque::new();
    for (variant, shape) in &subject.shapes {
        for &suite in suites {
            let most = (each * suite.share() / shares.max(1)).max(1);
            let parts = most.div_ceil(PORTION);
            for part in 0..parts {
                work.push_back(VerifyJob {
                    service: subject.service.clone(),
                    variant: variant.clone(),
                    shape: shape.clone(),
                    suite,
                    effort: Effort { most, ..effort },
                    part: (part, parts),
                    from: 0,
                    announce: false,
                    guarded: true,
                });
            }
        }
    }
    work
}

fn suites(names: &[String]) -> Result<Vec<Suite>, Trouble> {
    if names.is_empty() {
        return Ok(Suite::ALL.to_vec());
    }
    let known = Suite::ALL.map(Suite::name);
    let find = |name: &String| {
        Suite::named(name).ok_or_else(|| {
            let near = crate::drive::nearest(name, known.iter().copied());
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            Trouble::input(format!("there is no suite `{name}`{near}"))
                .hint(format!("--suite takes one of {}", known.join(", ")))
        })
    };
    names.iter().map(find).collect()
}

/// What threads tell the one that shows.
enum Told {
    Progress(String, u64, u64, u64),
    Part(Box<Part>),
    Trouble(Trouble),
    Interrupted(i32),
}

fn spread(
    subject: &Subject,
    work: VecDeque<VerifyJob>,
    options: &Verify,
    screen: &mut screen::Screen,
) -> Result<(Vec<Part>, Option<i32>), Trouble> {
    let mut open: BTreeMap<(String, Suite), u64> = BTreeMap::new();
    for job in &work {
        *open.entry((job.variant.clone(), job.suite)).or_default() += 1;
    }
    let queue = std::sync::Mutex::new(work);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = channel();
    let mut parts: Vec<Part> = Vec::new();
    let (mut trouble, mut stopped) = (None, None);
    thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            let sender = sender.clone();
            let (queue, stop) = (&queue, &stop);
            scope.spawn(move || {
                loop {
                    let next = lab_net::lock(queue).pop_front();
                    let Some(job) = next.filter(|_| !stop.load(Ordering::Relaxed)) else {
                        return;
                    };
                    // Nobody listens any more when the other end is gone.
                    let told = match attend(subject, job, options.watchdog, &sender) {
                        Ok(Ok(part)) => Told::Part(Box::new(part)),
                        Ok(Err(signal)) => Told::Interrupted(signal),
                        Err(trouble) => Told::Trouble(trouble),
                    };
                    let _ = sender.send(told);
                }
            });
        }
        drop(sender);
        for told in receiver {
            match told {
                Told::Progress(what, part, done, of) => screen.progress(&what, part, done, of),
                Told::Part(part) => {
                    let key = (part.variant.clone(), part.suite);
                    let same = |p: &Part| (&p.variant, p.suite) == (&key.0, key.1);
                    let at = parts.iter().position(same).unwrap_or_else(|| {
                        parts.push(Part::new(&key.0, key.1));
                        parts.len() - 1
                    });
                    parts[at].report.add(&part.report);
                    parts[at].deaths.extend(part.deaths);
                    let left = open.entry(key).or_default();
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        screen.part(&parts[at]);
                    }
                }
                Told::Trouble(found) => {
                    stop.store(true, Ordering::Relaxed);
                    trouble.get_or_insert(found);
                }
                Told::Interrupted(signal) => {
                    stop.store(true, Ordering::Relaxed);
                    stopped.get_or_insert(signal);
                }
            }
        }
    });
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    parts.sort_by(|a, b| (&a.variant, a.suite).cmp(&(&b.variant, b.suite)));
    Ok((parts, stopped))
}

/// Runs one suite to its end, however often its child dies; or the signal that stopped it.
fn attend(
    subject: &Subject,
    mut job: VerifyJob,
    watchdog: Duration,
    sender: &Sender<Told>,
) -> Result<Result<Part, i32>, Trouble> {
    let began = Instant::now();
    let mut part = Part::new(&job.variant, job.suite);
    let what = match &*job.variant {
        "" => job.suite.name().to_owned(),
        variant => format!("{variant}: {}", job.suite.name()),
    };
    let mut died = 0;
    loop {
        let mut reached = job.from;
        let mut next: Option<(u64, Plan)> = None;
        let mut found: Option<Report> = None;
        let mut failed = None;
        let mut done = false;
        let launch = Launch {
            files: vec![(FileUse::Image, subject.sealed()?)],
            watchdog,
            ..Launch::new(Work::Verify(Box::new(job.clone())))
        };
        let outcome = process::run(launch, |message| match message {
            Message::Event { event } => match event {
                Event::Progress { done, total, .. } => {
                    reached = done;
                    let told = Told::Progress(what.clone(), job.part.0, done, total);
                    let _ = sender.send(told);
                }
                Event::Summary { value } => match serde_json::from_value(value) {
                    Ok(Said::Next { number, plan }) => next = Some((number, *plan)),
                    Ok(Said::Report(report)) => found = Some(*report),
                    Err(error) => failed = Some(Trouble::host(format!("the report: {error}"))),
                },
                _ => {}
            },
            Message::Failed { trouble } => failed = Some(trouble),
            Message::Done => done = true,
            Message::Confined { .. } => {}
        })
        .map_err(|error| Trouble::host(error.to_string()))?;
        if let Some(report) = &found {
            part.report.add(report);
        }
        if let Some(trouble) = failed {
            return Err(trouble);
        }
        let how = match outcome.ended {
            Ended::Interrupted(signal) => return Ok(Err(signal)),
            Ended::Itself(_) if done => break,
            Ended::Itself(status) => describe(status),
            Ended::Silent(time) => format!("nothing was heard of it for {} s", time.as_secs()),
        };
        died += 1;
        if !job.announce {
            // Again from the last sign of life, saying each play.
            job.from = reached;
            job.announce = true;
            continue;
        }
        let Some((number, plan)) = next else {
            part.deaths.push(format!("before the first play: {how}"));
            break;
        };
        let stray = outcome.stray.last().cloned().unwrap_or_default();
        let text = format!("the process of the driver ended: {how} {stray}");
        part.report.wrong += 1;
        part.report.failures.push(Failure {
            suite: job.suite,
            number: lab_verify::number::Number::new(
                lab_verify::number::Number::tag(&job.service, &job.variant),
                job.suite,
                job.suite.play(job.effort.seed, number, &plan),
            ),
            ids: BTreeSet::from([lab_verify::play::CRASH.to_owned()]),
            what: text.trim_end().to_owned(),
            short: plan.clone(),
            plan,
            trace: 0,
        });
        part.deaths.push(how);
        if died > DEATHS {
            break;
        }
        job.from = number + 1;
        job.announce = false;
    }
    part.report.wall = began.elapsed();
    Ok(Ok(part))
}

fn judge(
    subject: &mut Subject,
    parts: Vec<Part>,
    options: &Verify,
    (wall, cpu): (Duration, Duration),
) -> Result<Document, Trouble> {
    let mut total = Report::default();
    for part in &parts {
        total.add(&part.report);
    }
    let known = subject.sites()?;
    let hit: BTreeSet<Site> = total.hit.intersection(&known).cloned().collect();
    let all = options.suites.is_empty();
    let (mut missed, mut failures) = (Vec::new(), Vec::new());
    let mut unexplained = 0;
    for place in subject.places(&known) {
        let reached = hit.contains(&place.site);
        match &place.reason {
            Some(reason) if reached => failures.push(format!(
                "{} in {} is reached, and unreached.toml says why not: {reason}",
                place.site.call, place.place
            )),
            None if !reached => unexplained += 1,
            _ => {}
        }
        if !reached {
            missed.push(place);
        }
    }
    let idle = subject.idle_reasons(&known).into_iter();
    failures.extend(idle.map(|entry| format!("unreached.toml has {entry}, which does not exist")));
    for part in &parts {
        for failure in &part.report.failures {
            let file = keep(options, failure)?;
            let ids: Vec<&str> = failure.ids.iter().map(String::as_str).collect();
            let mut line = format!(
                "{} {} ({}): {}",
                failure.number,
                ids.join(", "),
                failure.plan.name,
                failure.what
            );
            if let Some(file) = file {
                line.push_str(&format!("\n    shortest scenario: {file}"));
            }
            failures.push(line);
        }
    }
    let crashed = parts
        .iter()
        .flat_map(|part| &part.report.failures)
        .any(|f| f.ids.contains(lab_verify::play::CRASH) || f.ids.contains(lab_verify::play::HANG));
    let verdict = if crashed || parts.iter().any(|part| !part.deaths.is_empty()) {
        Verdict::DriverFailed
    } else if !failures.is_empty() || total.wrong > 0 || (all && unexplained > 0) {
        Verdict::Violations
    } else {
        Verdict::Clean
    };
    let minutes = wall.as_secs_f64() / 60.0;
    Ok(Document {
        format: 1,
        verdict,
        exit_code: verdict.code(),
        driver: subject.name.clone(),
        sha256: subject.sha256.clone(),
        seed: format!("{:#x}", options.seed.unwrap_or(crate::cli::DEFAULT_SEED)),
        rules: screen::rules(&total),
        sites_known: known.len(),
        sites_hit: hit.len(),
        sites_missed: missed,
        plays: total.plays,
        plays_per_minute: total.plays as f64 / minutes.max(1e-9),
        wall_ms: wall.as_millis(),
        cpu_ms: cpu.as_millis(),
        plays_per_minute_on_two: a_minute_on_two(total.plays, cpu),
        failures,
        parts,
    })
}

/// Processor time of the children that have ended.
fn children_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Duration::ZERO;
    };
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|t| Duration::from_micros(t.tv_sec() as u64 * 1_000_000 + t.tv_usec() as u64))
        .sum()
}

/// Plays per minute that two processors do which nothing else uses.
fn a_minute_on_two(plays: u64, cpu: Duration) -> f64 {
    plays as f64 * 120.0 / cpu.as_secs_f64().max(1e-9)
}

/// Writes a failure's shortest scenario where the user wants them.
fn keep(options: &Verify, failure: &Failure) -> Result<Option<String>, Trouble> {
    let Some(folder) = &options.out else {
        return Ok(None);
    };
    let write = |path: &Path, text: &str| {
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text))
    };
    let ids: Vec<String> = failure.ids.iter().cloned().collect();
    let path = folder.join(format!("{}.toml", failure.number));
    let text = format!(
        "# Found by `lab verify`: {} in the suite `{}`, as {}; trace {:#018x}.\n# {}\n{}",
        ids.join(", "),
        failure.suite.name(),
        failure.number,
        failure.trace,
        failure.what.lines().next().unwrap_or_default(),
        failure.short.to_toml()
    );
    write(&path, &text).map_err(|error| {
        Trouble::input(format!("a scenario cannot be written: {error}"))
            .at(path.display())
            .hint("--out takes a folder that you may write to")
    })?;
    Ok(Some(path.display().to_string()))
}

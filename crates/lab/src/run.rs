//! `lab run`: the parent's side of a run, from the package to the verdict.

use std::{
    fmt::Write,
    fs::File,
    os::fd::OwnedFd,
    path::Path,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use lab_host::report::{Event, Finding};
use serde::Serialize;

use crate::{
    cli::Run,
    crash::{
        explain::{self, CrashReport},
        stack::{Frame, Pointer, Symbols},
    },
    drive::check_scenario,
    exit::Verdict,
    package::{Manifest, Package, Role, Verified},
    partners::{Partners, Talk, TeamPartners, TeamTalk, has_team},
    process::{
        self, Ended, FileUse, Launch, LaunchError, Limits, Message, Outcome, RunJob, Work,
        describe, memory_file,
    },
    render::{Findings, Screen},
    see::See,
    summary::Summary,
    topology::{self, BadTopology, Engine, Topology},
    trouble::Trouble,
};

/// Findings kept for the JSON document; the rest is counted.
const MAX_FINDINGS: usize = 1000;

/// Runs a package as the options say and returns how it went.
pub fn run(options: &Run) -> Verdict {
    run_seen(options, &See::default())
}

/// The same for somebody who wants to see what happened.
pub fn run_seen(options: &Run, see: &See) -> Verdict {
    let mut screen = Screen::new(options.json, options.verbose);
    let mut report = Report::new(options);
    let verdict = match prepare(options, see, &mut screen, &mut report) {
        Ok(prepared) => attend(prepared, &mut screen, &mut report),
        Err(trouble) => report.trouble(trouble),
    };
    report.finish(options, verdict, &mut screen);
    verdict
}

/// Who talks through the driver with `--tap`.
enum Both {
    Hosts(Partners),
    Team(TeamPartners),
}

/// The threads on which they do.
enum Talking {
    Hosts(JoinHandle<Option<Talk>>),
    Team(JoinHandle<Option<TeamTalk>>),
}

impl Both {
    fn start(self) -> Talking {
        match self {
            Self::Hosts(partners) => Talking::Hosts(partners.start()),
            Self::Team(partners) => Talking::Team(partners.start()),
        }
    }
}

impl Talking {
    /// Waits for its end, and adds what came of it.
    fn join(self, summary: &mut Summary) {
        match self {
            Self::Hosts(thread) => {
                if let Ok(Some(talk)) = thread.join() {
                    talk.join(summary);
                }
            }
            Self::Team(thread) => {
                if let Ok(Some(talk)) = thread.join() {
                    talk.join(summary);
                }
            }
        }
    }
}

struct Prepared {
    launch: Launch,
    image: Vec<u8>,
    symbols: Symbols,
    partners: Option<Both>,
}

fn prepare(
    options: &Run,
    see: &See,
    screen: &mut Screen,
    report: &mut Report,
) -> Result<Prepared, Trouble> {
    if let Some(scenario) = &options.scenario {
        check_scenario(scenario)?;
    }
    let package = Package::open(&options.package)?;
    let image = package.required(Role::Image)?;
    let pdb = package.optional(Role::Pdb)?;
    let manifest = package.manifest();
    introduce(manifest, &image, screen);
    report.package = Some(PackageReport {
        manifest: manifest.clone(),
        image: image.path.display().to_string(),
        loaded_sha256: image.sha256.clone(),
        packaged_sha256: image.promised.clone(),
    });
    let mut topology = topology(options, &package)?;
    let seed = options
        .settle(&mut topology)
        .map_err(|why| Trouble::input(why).hint("leave --engine out"))?;
    report.settled(&topology, seed);
    let mut files = vec![(FileUse::Image, sealed(&image)?)];
    files.extend(captures(&topology)?);
    files.extend(see.files()?);
    if let Some(above) = &options.above {
        let package = Package::open(above)?;
        let image = package.required(Role::Image)?;
        introduce(package.manifest(), &image, screen);
        let service = package.manifest().protocol.clone();
        files.push((FileUse::Above(service), sealed(&image)?));
    }
    files.extend(layers(options, &topology)?);
    let partners = if options.tap && has_team(&topology) {
        let (partners, more) = TeamPartners::set_up(&topology)?;
        files.extend(more);
        Some(Both::Team(partners))
    } else if options.tap {
        let (partners, more) = Partners::set_up(&topology)?;
        files.extend(more);
        Some(Both::Hosts(partners))
    } else {
        None
    };
    if let Some(path) = &options.pcap {
        let hint = "--pcap takes the path of a file in a directory you may write to";
        files.push((FileUse::Capture, create(path, hint)?));
    }
    let threads = topology.lab.engine == Engine::RealTime;
    let named = topology.lab.scenario.clone();
    let job = RunJob {
        driver: manifest.driver.clone(),
        service: manifest.protocol.clone(),
        topology,
        scenario: options
            .scenario
            .clone()
            .or_else(|| {
                let name = match &partners {
                    Some(Both::Team(_)) => "linux-team",
                    _ => "linux",
                };
                options.tap.then(|| name.to_owned())
            })
            .or(named),
        seed,
        cycles: options.cycles,
        verbosity: options.verbose,
    };
    let launch = Launch {
        files,
        limits: Limits {
            threads,
            ..Limits::default()
        },
        watchdog: options.watchdog,
        ..Launch::new(Work::Run(Box::new(job)))
    };
    let symbols = Symbols::new(&image.bytes, pdb.map(|pdb| pdb.bytes));
    Ok(Prepared {
        launch,
        image: image.bytes,
        symbols,
        partners,
    })
}

fn introduce(manifest: &Manifest, image: &Verified, screen: &mut Screen) {
    screen.print(&format!(
        "{} {} {} {}\n  loaded   sha256 {}  {}\n  packaged sha256 {}",
        manifest.driver,
        manifest.version,
        manifest.architecture_names(),
        manifest.profile,
        image.sha256,
        image.path.display(),
        image.promised
    ));
}

pub(crate) fn topology(options: &Run, package: &Package) -> Result<Topology, Trouble> {
    if let Some(path) = &options.topology {
        return Topology::load(path).map_err(|error| match error {
            topology::LoadError::Unreadable { file, error } => {
                Trouble::input(format!("cannot read the topology: {error}"))
                    .at(file.display())
                    .hint("--topology takes a TOML file; without it the package's own is used")
            }
            topology::LoadError::Bad(bad) => bad_topology(&bad),
        });
    }
    let shipped = package.optional(Role::Topology)?.ok_or_else(|| {
        Trouble::input("the package ships no topology")
            .at(options.package.display())
            .hint("name one with --topology FILE")
    })?;
    let text = String::from_utf8(shipped.bytes).map_err(|error| {
        Trouble::input(format!("the topology is not UTF-8: {error}")).at(shipped.path.display())
    })?;
    Topology::parse(&shipped.path, &text).map_err(|bad| bad_topology(&bad))
}

/// Every mistake is listed, each with its place.
pub(crate) fn bad_topology(bad: &BadTopology) -> Trouble {
    let count = bad.problems.len();
    let mistakes = if count == 1 { "mistake" } else { "mistakes" };
    let mut what = format!("the topology has {count} {mistakes}");
    for problem in &bad.problems {
        // Writing to a String cannot fail.
        let _ = write!(what, "\n  {}:{problem}", bad.file.display());
    }
    Trouble::input(what)
        .at(bad.file.display())
        .hint("docs/lab.md describes every table and key")
}

fn create(path: &Path, hint: &str) -> Result<OwnedFd, Trouble> {
    File::create(path).map(OwnedFd::from).map_err(|error| {
        Trouble::input(format!("cannot write the capture: {error}"))
            .at(path.display())
            .hint(hint)
    })
}

/// The images that the topology names, each from where the command line says it is, else from
/// the topology's `file`.
fn layers(options: &Run, topology: &Topology) -> Result<Vec<(FileUse, OwnedFd)>, Trouble> {
    let known: Vec<&str> = topology.images.iter().map(|i| i.name.as_str()).collect();
    if let Some((name, _)) = options.images.iter().find(|(n, _)| !known.contains(&&**n)) {
        let names = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        return Err(
            Trouble::input(format!("the topology has no image `{name}`"))
                .at(topology.file.display())
                .hint(format!(
                    "--image takes NAME=PATH of an [[image]]; there: {names}"
                )),
        );
    }
    let mut files = Vec::new();
    for image in &topology.images {
        let named = options.images.iter().rfind(|(name, _)| *name == image.name);
        let path = named.map_or_else(|| topology.path(&image.file), |(_, path)| path.clone());
        let bytes = if path.is_dir() {
            Package::open(&path)?.required(Role::Image)?.bytes
        } else {
            std::fs::read(&path).map_err(|error| {
                Trouble::input(format!("cannot read the image `{}`: {error}", image.name))
                    .at(path.display())
                    .hint("--image NAME=PATH says where an image is; `file` of an [[image]] is relative to the topology")
            })?
        };
        let fd = memory_file(c"lab-image", &bytes, true)
            .map_err(|error| Trouble::host(format!("cannot hand an image over: {error}")))?;
        files.push((FileUse::Layer(image.name.clone()), fd.into()));
    }
    Ok(files)
}

/// The pcapng files that the topology names: the child may open none.
fn captures(topology: &Topology) -> Result<Vec<(FileUse, OwnedFd)>, Trouble> {
    let mut files = Vec::new();
    for wire in &topology.wires {
        if let Some(record) = &wire.record {
            let path = topology.path(record);
            let hint = "`record` of a wire is relative to the topology file";
            files.push((FileUse::Record(wire.name.clone()), create(&path, hint)?));
        }
    }
    for replay in &topology.replays {
        let path = topology.path(&replay.file);
        let file = File::open(&path).map_err(|error| {
            Trouble::input(format!("cannot read what is to be replayed: {error}"))
                .at(path.display())
                .hint("`file` of a replay is relative to the topology file")
        })?;
        files.push((FileUse::Replay(replay.name.clone()), file.into()));
    }
    Ok(files)
}

/// The bytes that were hashed, as a file that nobody can change any more.
pub(crate) fn sealed(image: &Verified) -> Result<OwnedFd, Trouble> {
    memory_file(c"lab-image", &image.bytes, true)
        .map(OwnedFd::from)
        .map_err(|error| Trouble::host(format!("cannot hand the image over: {error}")))
}

fn attend(prepared: Prepared, screen: &mut Screen, report: &mut Report) -> Verdict {
    let Prepared {
        launch,
        image,
        mut symbols,
        partners,
    } = prepared;
    let talk = partners.map(Both::start);
    let outcome = process::run(launch, |message| {
        report.message(message, &mut symbols, screen);
    });
    screen.end_progress();
    // An interrupted talk ends with this process.
    if let (Some(talk), Ok(outcome)) = (talk, &outcome)
        && matches!(outcome.ended, Ended::Itself(_))
        && let Some(summary) = &mut report.summary
    {
        talk.join(summary);
    }
    match outcome {
        Ok(outcome) => report.judge(&outcome, &image, &mut symbols, screen),
        Err(error) => report.trouble(launch_trouble(&error)),
    }
}

fn launch_trouble(error: &LaunchError) -> Trouble {
    Trouble::host(error.to_string())
        .hint("the lab starts itself again as /proc/self/exe: is /proc mounted?")
}

/// Everything a run left behind: the JSON document.
#[derive(Serialize)]
struct Report {
    format: u32,
    verdict: Verdict,
    exit_code: u8,
    package: Option<PackageReport>,
    seed: Option<String>,
    engine: Option<Engine>,
    cycles: u64,
    scenario: Option<String>,
    ndis_version: Option<String>,
    wall_ms: u128,
    violations: u64,
    warnings: u64,
    findings: Vec<FindingReport>,
    summary: Option<Summary>,
    failures: Vec<String>,
    crash: Option<CrashReport>,
    trouble: Option<Trouble>,
    #[serde(skip)]
    started: Instant,
    #[serde(skip)]
    found: Findings,
    #[serde(skip)]
    crashed: Option<lab_host::report::Crash>,
    #[serde(skip)]
    calls: Vec<lab_host::report::CallRecord>,
    #[serde(skip)]
    done: bool,
}

#[derive(Serialize)]
struct PackageReport {
    manifest: Manifest,
    image: String,
    loaded_sha256: String,
    packaged_sha256: String,
}

#[derive(Serialize)]
struct FindingReport {
    #[serde(flatten)]
    finding: Finding,
    frames: Vec<Frame>,
}

impl Report {
    fn new(options: &Run) -> Self {
        Self {
            format: 1,
            verdict: Verdict::HostError,
            exit_code: 0,
            package: None,
            seed: None,
            engine: None,
            cycles: options.cycles,
            scenario: options.scenario.clone(),
            ndis_version: None,
            wall_ms: 0,
            violations: 0,
            warnings: 0,
            findings: Vec::new(),
            summary: None,
            failures: Vec::new(),
            crash: None,
            trouble: None,
            started: Instant::now(),
            found: Findings::default(),
            crashed: None,
            calls: Vec::new(),
            done: false,
        }
    }

    fn settled(&mut self, topology: &Topology, seed: u64) {
        self.seed = Some(format!("{seed:#x}"));
        self.engine = Some(topology.lab.engine);
        self.ndis_version = Some(topology.lab.ndis_version.to_string());
    }

    fn message(&mut self, message: Message, symbols: &mut Symbols, screen: &mut Screen) {
        match message {
            Message::Confined { pid, by } => {
                screen.event(&Event::Log {
                    level: 2,
                    source: "lab".into(),
                    text: format!("child {pid} confined: {}", by.join("; ")),
                    time: 0,
                });
            }
            Message::Event { event } => {
                screen.event(&event);
                match event {
                    Event::Finding(finding) => self.finding(finding, symbols, screen),
                    Event::Summary { value } => match serde_json::from_value(value) {
                        Ok(summary) => self.summary = Some(summary),
                        Err(error) => {
                            self.trouble(Trouble::host(format!(
                                "the scenario's summary cannot be read: {error}"
                            )));
                        }
                    },
                    Event::Crash(crash) => self.crashed = Some(crash),
                    Event::Log { .. } | Event::Progress { .. } => {}
                }
            }
            Message::Failed { trouble } => {
                self.trouble(trouble);
            }
            Message::Done => self.done = true,
        }
    }

    fn finding(&mut self, mut finding: Finding, symbols: &mut Symbols, screen: &mut Screen) {
        self.found.add(&finding, symbols, screen);
        self.calls.clone_from(&finding.calls);
        if self.findings.len() < MAX_FINDINGS {
            let frames = finding
                .stack
                .as_ref()
                .map(|stack| symbols.frames(stack, Pointer::Return))
                .unwrap_or_default();
            // The raw bytes served to find the frames; nobody reads them as JSON.
            if let Some(stack) = &mut finding.stack {
                stack.bytes.clear();
            }
            self.findings.push(FindingReport { finding, frames });
        }
    }

    fn trouble(&mut self, trouble: Trouble) -> Verdict {
        // The first is the cause, what follows are its consequences.
        self.trouble.get_or_insert(trouble).verdict()
    }

    fn judge(
        &mut self,
        outcome: &Outcome,
        image: &[u8],
        symbols: &mut Symbols,
        screen: &mut Screen,
    ) -> Verdict {
        if let Ended::Interrupted(signal) = outcome.ended {
            return Verdict::Interrupted(signal);
        }
        for line in &outcome.stray {
            screen.event(&Event::Log {
                level: 0,
                source: "child".into(),
                text: line.clone(),
                time: 0,
            });
        }
        let crash = match (&self.crashed, &outcome.record) {
            (Some(crash), record) => {
                Some(explain::from_event(crash, record.as_ref(), image, symbols))
            }
            // A host that panicked has said so; the abort that follows adds nothing.
            (None, Some(record)) if self.trouble.is_none() => {
                Some(explain::from_record(record, &self.calls, symbols))
            }
            (None, _) => None,
        };
        if let Some(crash) = crash {
            screen.crash(&crash, symbols.note());
            let verdict = crash.verdict;
            self.crash = Some(crash);
            return verdict;
        }
        if let Some(trouble) = &self.trouble {
            return trouble.verdict();
        }
        match outcome.ended {
            Ended::Silent(after) => self.silent(after),
            Ended::Itself(status) if !(status.success() && self.done) => {
                self.trouble(Trouble::host(format!(
                    "the child process ended without a verdict: {}",
                    describe(status)
                )))
            }
            Ended::Itself(_) | Ended::Interrupted(_) => self.judge_results(),
        }
    }

    fn silent(&mut self, after: Duration) -> Verdict {
        self.trouble(
            Trouble::host(format!(
                "no sign of life for {} s, and no answer when asked: the child was killed",
                after.as_secs_f64()
            ))
            .hint("a longer --watchdog helps if the machine is merely slow"),
        );
        Verdict::DriverFailed
    }

    fn judge_results(&mut self) -> Verdict {
        let failures = match &self.summary {
            Some(summary) if !summary.is_empty() => summary.failures(),
            _ => {
                return self.trouble(Trouble::host(
                    "the scenario ended without results: nothing was proven",
                ));
            }
        };
        if failures.is_empty() && self.found.violations() == 0 {
            Verdict::Clean
        } else {
            Verdict::Violations
        }
    }

    fn finish(&mut self, options: &Run, verdict: Verdict, screen: &mut Screen) {
        screen.end_progress();
        self.verdict = verdict;
        self.exit_code = verdict.code();
        self.wall_ms = self.started.elapsed().as_millis();
        self.violations = self.found.violations();
        self.warnings = self.found.warnings();
        if let Some(summary) = &self.summary {
            self.failures = summary.failures();
            screen.summary(summary);
        }
        if let Some(trouble) = &self.trouble {
            eprintln!("{trouble}");
        }
        // A command that was given nothing to judge has no verdict to show.
        if verdict != Verdict::BadInput {
            screen.verdict(verdict, &self.found, self.summary.as_ref());
            if let (true, Some(seed)) = (verdict != Verdict::Clean, &self.seed) {
                screen.print(&format!(
                    "again: lab run --package {} --seed {seed} --cycles {}",
                    options.package.display(),
                    options.cycles
                ));
            }
        }
        if options.json {
            match serde_json::to_string_pretty(&self) {
                Ok(text) => println!("{text}"),
                Err(error) => eprintln!("lab failure: the report cannot be written: {error}"),
            }
        }
    }
}

//! `lab bench-ports`: what a frame costs with 1, 16, 256 and 4,094 ports on an adapter, in
//! ratio to a driver with one, from one run.
//!
//! Each number of ports is a confined child of its own with the driver loaded bare
//! (`lab_host`'s `bare`), and so is the driver with one port. All live at once, and all but
//! one wait: the parent orders one short pass here, the next there, so that whatever else
//! the machine does hits all alike. A figure is the median of the passes of its kind.
//!
//! Runs concurrently: a thread for each child listens to what it says; the main thread
//! orders the passes.

pub mod team;
mod topologies;
mod wire;

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lab_net::lock;
use serde::Serialize;

pub use wire::{Answer, Order};

use crate::{
    cli::BenchPorts,
    exit::Verdict,
    package::{Package, Role},
    process::{self, Ended, FileUse, Launch, Message, Outcome, RunJob, Work, describe},
    render::Table,
    run::sealed,
    scenario::BENCH_PORTS,
    topology::Topology,
    trouble::Trouble,
};

/// Lists in a chain.
const BATCHES: [u16; 3] = [1, 32, 256];
/// Ports with traffic when few have.
const HOT: usize = 16;
/// What the cost with most ports may be to that with [`HOT`], both with traffic on as many.
const LIMIT: f64 = 1.2;
/// A child that waits for its turn says nothing.
const WATCHDOG: Duration = Duration::from_mins(30);

/// A kind of pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Kind {
    receive: bool,
    batch: u16,
    /// Traffic over all ports, else over [`HOT`] at most.
    spread: bool,
}

/// The figures of one kind with one number of ports.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    driver: String,
    ports: usize,
    direction: &'static str,
    batch: u16,
    traffic: &'static str,
    /// Nanoseconds for each frame, there and back.
    through: f64,
    /// The same path without the driver.
    without: f64,
    /// The driver's own part.
    own: f64,
    /// `through` in ratio to the driver with one port.
    ratio: f64,
    /// `own` in the same ratio.
    own_ratio: f64,
}

/// Most ports against [`HOT`], traffic on as many.
#[derive(Clone, Debug, Serialize)]
struct Growth {
    direction: &'static str,
    batch: u16,
    from: usize,
    to: usize,
    through: f64,
    own: f64,
}

#[derive(Serialize)]
struct Report {
    format: u32,
    seed: String,
    passes: u32,
    wall_seconds: f64,
    figures: Vec<Figure>,
    growth: Vec<Growth>,
    limit: f64,
    /// Whether every ratio of `growth` keeps the limit; none without enough ports.
    within_limit: Option<bool>,
}

/// A child and the pipes to it.
struct Runner {
    driver: String,
    ports: usize,
    orders: File,
    answers: File,
    ended: JoinHandle<Result<Outcome, process::LaunchError>>,
    /// What it complained of.
    said: Arc<Mutex<Vec<String>>>,
}

/// Runs it.
pub fn run(options: &BenchPorts) -> Verdict {
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

enum Failure {
    Trouble(Trouble),
    Interrupted(i32),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

fn measure(options: &BenchPorts) -> Result<Report, Failure> {
    let started = Instant::now();
    let one = Package::open(&options.one).map_err(Trouble::from)?;
    let many = Package::open(&options.many).map_err(Trouble::from)?;
    let mut runners = vec![start(options, &one, None)?];
    for &ports in &options.ports {
        runners.push(start(options, &many, Some(ports))?);
    }
    let result = passes(options, &mut runners);
    // The end of its orders ends a child.
    let mut failure = None;
    for runner in runners {
        let end = runner.end();
        failure = failure.or(end.err());
    }
    // What a child died of says more than that it did not answer.
    if let Some(failure) = failure {
        return Err(failure);
    }
    let figures = result?;
    let growth = growth(&figures);
    let worst = growth.iter().map(|growth| growth.own);
    let worst = worst.fold(None, |worst: Option<f64>, own| {
        Some(worst.map_or(own, |worst| worst.max(own)))
    });
    Ok(Report {
        format: 1,
        seed: format!("{:#x}", options.seed),
        passes: options.passes,
        wall_seconds: started.elapsed().as_secs_f64(),
        figures,
        growth,
        limit: LIMIT,
        within_limit: worst.map(|worst| worst <= LIMIT),
    })
}

/// Starts a child; it has said how many ports it has when this returns.
fn start(options: &BenchPorts, package: &Package, ports: Option<usize>) -> Result<Runner, Failure> {
    let topology = topologies::topology(ports, options.seed);
    begin(
        package,
        topology,
        BENCH_PORTS,
        options.seed,
        ports.unwrap_or(1),
    )
}

/// The same for any topology and scenario; `ports` is what it has to say.
fn begin(
    package: &Package,
    topology: Topology,
    scenario: &str,
    seed: u64,
    ports: usize,
) -> Result<Runner, Failure> {
    let image = package.required(Role::Image).map_err(Trouble::from)?;
    let manifest = package.manifest();
    let pipe = || io::pipe().map_err(|error| Trouble::host(format!("a pipe: {error}")));
    let (orders_child, orders) = pipe()?;
    let (answers, answers_child) = pipe()?;
    let job = RunJob {
        driver: manifest.driver.clone(),
        service: manifest.protocol.clone(),
        topology,
        scenario: Some(scenario.to_owned()),
        seed,
        cycles: 1,
        verbosity: 0,
    };
    let launch = Launch {
        files: vec![
            (FileUse::Image, sealed(&image)?),
            (FileUse::Stop, orders_child.into()),
            (FileUse::Ready, answers_child.into()),
        ],
        watchdog: WATCHDOG,
        ..Launch::new(Work::Run(Box::new(job)))
    };
    let said = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&said);
    let ended = thread::spawn(move || {
        process::run(launch, |message| {
            lock(&listener).extend(complaint(&message));
        })
    });
    let mut runner = Runner {
        driver: manifest.driver.clone(),
        ports,
        orders: File::from(OwnedFd::from(orders)),
        answers: File::from(OwnedFd::from(answers)),
        ended,
        said,
    };
    match runner.read() {
        Some(answer) if answer.count() == Some(runner.ports) => Ok(runner),
        _ => Err(runner.end().err().unwrap_or_else(|| {
            Failure::Trouble(Trouble::host("a child of the benchmark ended too early"))
        })),
    }
}

/// What a message says that should not have happened.
fn complaint(message: &Message) -> Option<String> {
    use lab_host::report::Event;
    match message {
        Message::Failed { trouble } => Some(trouble.to_string()),
        Message::Event { event } => match event {
            Event::Finding(finding) => Some(format!("{}: {}", finding.rule, finding.message)),
            Event::Crash(crash) => Some(format!("crash: {}", crash.message)),
            Event::Summary { value } => {
                let summary: crate::summary::Summary =
                    serde_json::from_value(value.clone()).unwrap_or_default();
                let failures = summary.failures();
                (!failures.is_empty()).then(|| failures.join("; "))
            }
            Event::Log { .. } | Event::Progress { .. } => None,
        },
        Message::Confined { .. } | Message::Done => None,
    }
}

impl Runner {
    fn read(&mut self) -> Option<Answer> {
        let mut bytes = [0; Answer::BYTES];
        self.answers.read_exact(&mut bytes).ok()?;
        Some(Answer::from_bytes(bytes))
    }

    /// One pass.
    fn pass(&mut self, order: Order) -> Option<f64> {
        self.orders.write_all(&order.to_bytes()).ok()?;
        self.read()?.time()
    }

    /// Ends the child, and says what was wrong with it.
    fn end(self) -> Result<(), Failure> {
        let Self {
            driver,
            ports,
            orders,
            answers,
            ended,
            said,
        } = self;
        drop((orders, answers));
        let outcome = ended.join();
        let said = lock(&said).join("\n  ");
        let trouble = |what: String| {
            let trouble = Trouble::host(format!("{driver} with {ports} ports: {what}"));
            Err(Failure::Trouble(if said.is_empty() {
                trouble
            } else {
                trouble.hint(said.clone())
            }))
        };
        match outcome {
            Ok(Ok(outcome)) => match outcome.ended {
                Ended::Interrupted(signal) => Err(Failure::Interrupted(signal)),
                Ended::Itself(status) if status.success() && said.is_empty() => Ok(()),
                // The record of a crash has no symbols here.
                Ended::Itself(_) if outcome.record.is_some() => {
                    trouble("the driver crashed; `lab run` says where".into())
                }
                Ended::Itself(status) => trouble(describe(status)),
                Ended::Silent(after) => trouble(format!("silent for {} s", after.as_secs())),
            },
            Ok(Err(error)) => trouble(error.to_string()),
            Err(_) => trouble("its listener ended".into()),
        }
    }
}

/// Every kind of pass that `ports` ports have.
fn kinds(ports: usize) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for receive in [true, false] {
        for batch in BATCHES {
            for spread in [false, true] {
                // With few ports both are the same.
                if !spread || ports > HOT {
                    kinds.push(Kind {
                        receive,
                        batch,
                        spread,
                    });
                }
            }
        }
    }
    kinds
}

/// All passes, in turn; the figures, in the order of the runners.
fn passes(options: &BenchPorts, runners: &mut [Runner]) -> Result<Vec<Figure>, Failure> {
    let most = runners.iter().map(|runner| runner.ports).max().unwrap_or(1);
    // By runner, kind, and whether through the driver.
    let mut times: Vec<Vec<(Kind, [Vec<f64>; 2])>> = runners
        .iter()
        .map(|runner| {
            let kinds = kinds(runner.ports).into_iter();
            kinds
                .map(|kind| (kind, [const { Vec::new() }; 2]))
                .collect()
        })
        .collect();
    for pass in 0..=options.passes {
        for kind in kinds(most) {
            for (runner, times) in runners.iter_mut().zip(&mut times) {
                let Some((_, times)) = times.iter_mut().find(|(known, _)| *known == kind) else {
                    continue;
                };
                let busy = if kind.spread {
                    runner.ports
                } else {
                    HOT.min(runner.ports)
                };
                for (through, times) in [true, false].into_iter().zip(times) {
                    let order = Order {
                        receive: kind.receive,
                        through,
                        batch: kind.batch,
                        busy: busy as u16,
                    };
                    let time = runner.pass(order).ok_or_else(|| {
                        Trouble::host(format!(
                            "{} with {} ports did not do a pass: {kind:?}",
                            runner.driver, runner.ports
                        ))
                    })?;
                    // The first pass of each kind warms up.
                    if pass > 0 {
                        times.push(time);
                    }
                }
            }
        }
        progress(options, pass);
    }
    Ok(figures(runners, times))
}

fn progress(options: &BenchPorts, pass: u32) {
    use io::IsTerminal as _;
    if io::stderr().is_terminal() {
        eprint!("\r  pass {pass} of {} ", options.passes);
        if pass == options.passes {
            eprint!("\r                          \r");
        }
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn figures(runners: &[Runner], times: Vec<Vec<(Kind, [Vec<f64>; 2])>>) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    for (at, (runner, times)) in runners.iter().zip(times).enumerate() {
        for (kind, [through, without]) in times {
            let (through, without) = (median(through), median(without));
            let direction = if kind.receive { "receive" } else { "send" };
            // The first runner is the driver with one port.
            let base = figures
                .iter()
                .find(|figure| figure.direction == direction && figure.batch == kind.batch)
                .filter(|_| at > 0)
                .map_or((through, through - without), |base| {
                    (base.through, base.own)
                });
            let own = through - without;
            figures.push(Figure {
                driver: runner.driver.clone(),
                ports: runner.ports,
                direction,
                batch: kind.batch,
                traffic: if kind.spread { "spread" } else { "hot" },
                through,
                without,
                own,
                ratio: through / base.0,
                own_ratio: own / base.1,
            });
        }
    }
    figures
}

/// Compares the most ports with [`HOT`], if both were measured.
fn growth(figures: &[Figure]) -> Vec<Growth> {
    // Those of the driver with many ports: the first is the other's.
    let many: Vec<&Figure> = figures
        .iter()
        .skip_while(|figure| Some(&figure.driver) == figures.first().map(|first| &first.driver))
        .filter(|figure| figure.traffic == "hot")
        .collect();
    let most = many.iter().map(|figure| figure.ports).max().unwrap_or(0);
    let of = |ports: usize| many.iter().filter(move |figure| figure.ports == ports);
    if most <= HOT {
        return Vec::new();
    }
    of(HOT)
        .filter_map(|few| {
            let all =
                of(most).find(|all| (all.direction, all.batch) == (few.direction, few.batch))?;
            Some(Growth {
                direction: few.direction,
                batch: few.batch,
                from: HOT,
                to: most,
                through: all.through / few.through,
                own: all.own / few.own,
            })
        })
        .collect()
}

fn show(report: &Report) {
    let mut table = Table::new([
        "driver",
        "ports",
        "path",
        "batch",
        "traffic",
        "ns/frame",
        "without",
        "own",
        "ratio",
        "own ratio",
    ]);
    for figure in &report.figures {
        table.row([
            figure.driver.clone(),
            figure.ports.to_string(),
            figure.direction.to_owned(),
            figure.batch.to_string(),
            figure.traffic.to_owned(),
            format!("{:.1}", figure.through),
            format!("{:.1}", figure.without),
            format!("{:.1}", figure.own),
            format!("{:.2}", figure.ratio),
            format!("{:.2}", figure.own_ratio),
        ]);
    }
    println!("{}", table.render("  "));
    println!(
        "ns/frame: there and back through the driver; without: the same path without it; own: \
         the difference;\nratio: to the first driver's. Medians of {} passes over 4,096 lists, \
         seed {}, {:.1} s.",
        report.passes, report.seed, report.wall_seconds
    );
    for growth in &report.growth {
        println!(
            "cost with {} ports / cost with {} (hot), {}, batches of {}: {:.2} (own part {:.2})",
            growth.to, growth.from, growth.direction, growth.batch, growth.through, growth.own
        );
    }
    if let Some(within) = report.within_limit {
        let word = if within { "kept" } else { "NOT kept" };
        println!("limit {LIMIT} on the own part: {word}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(driver: &str, ports: usize, through: f64) -> Figure {
        Figure {
            driver: driver.into(),
            ports,
            direction: "send",
            batch: 32,
            traffic: "hot",
            through,
            without: 10.0,
            own: through - 10.0,
            ratio: 1.0,
            own_ratio: 1.0,
        }
    }

    #[test]
    fn growth_compares_most_with_sixteen() {
        let figures = [
            figure("one", 1, 20.0),
            figure("many", 1, 25.0),
            figure("many", 16, 30.0),
            figure("many", 4094, 35.0),
        ];
        let growth = growth(&figures);
        assert_eq!(growth.len(), 1);
        assert_eq!((growth[0].from, growth[0].to), (16, 4094));
        assert!((growth[0].own - 1.25).abs() < 1e-9);
        assert!((growth[0].through - 35.0 / 30.0).abs() < 1e-9);
        assert!(super::growth(&figures[..3]).is_empty());
    }

    #[test]
    fn few_ports_are_all_hot() {
        assert!(kinds(16).iter().all(|kind| !kind.spread));
        assert_eq!(kinds(16).len(), 6);
        assert_eq!(kinds(17).len(), 12);
    }

    #[test]
    fn a_median_is_a_time_that_was_measured() {
        assert!((median(vec![5.0, 1.0, 3.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }
}

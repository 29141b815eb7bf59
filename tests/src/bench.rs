//! The lab with one package, and what a run of it said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Seconds after which a run that stands still is ended: the machine of a CI may be busy.
const WATCHDOG: &str = "120";

/// What a test needs.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The program.
    pub lab: PathBuf,
    /// The folder that has the packages of all drivers.
    pub packages: PathBuf,
    /// The package of the driver that the test is about.
    pub package: PathBuf,
}

impl Bench {
    /// The lab and the package of a driver; none, with the reason said, where they were not
    /// made.
    pub fn of(test: &str, driver: &str) -> Option<Self> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let (Some(lab), Some(packages)) = (path("IM_LAB"), path("IM_PACKAGES_DIR")) else {
            println!("SKIP {test}: no lab or packages; `cargo xtask test` makes them");
            return None;
        };
        let package = packages.join(driver);
        if !package.join("manifest.json").is_file() {
            println!("SKIP {test}: no package of {driver}");
            return None;
        }
        Some(Self {
            lab,
            packages,
            package,
        })
    }

    /// `lab run` on the package, with a report.
    pub fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        self.command_on(&self.package, args)
    }

    fn command_on<A: AsRef<OsStr>>(&self, package: &Path, args: &[A]) -> Command {
        let mut command = Command::new(&self.lab);
        command.args(["run", "--json", "--watchdog", WATCHDOG, "--package"]);
        command.arg(package).args(args);
        command
    }

    /// Runs the package.
    pub fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Run {
        self.run_package(&self.package, args)
    }

    /// Runs another package.
    pub fn run_package<A: AsRef<OsStr>>(&self, package: &Path, args: &[A]) -> Run {
        let started = Instant::now();
        let output = self.command_on(package, args).output();
        let run = Run::of(&output.expect("the lab runs"), started);
        let shown: Vec<_> = args.iter().map(AsRef::as_ref).collect();
        println!("{shown:?}: {:.1} s", run.took.as_secs_f32());
        run
    }

    /// Runs the package and demands a clean verdict.
    pub fn clean<A: AsRef<OsStr>>(&self, args: &[A]) -> Run {
        let run = self.run(args);
        run.assert_clean();
        run
    }

    /// The same, but warnings may be given: the driver is old-fashioned on purpose.
    pub fn lawful<A: AsRef<OsStr>>(&self, args: &[A]) -> Run {
        let mut run = self.run(args);
        if let Some(findings) = run.report["findings"].as_array_mut() {
            findings.retain(|finding| finding["severity"] != "warning");
        }
        run.assert_clean();
        run
    }

    /// Several runs at the same time, each of which has to be clean.
    pub fn clean_side_by_side(&self, runs: &[Vec<String>]) -> Vec<Run> {
        let started = Instant::now();
        let running: Vec<_> = runs
            .iter()
            .map(|args| {
                let mut command = self.command(args);
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().expect("the lab runs")
            })
            .collect();
        let ended = running.into_iter().map(|child| {
            let output = child.wait_with_output().expect("the lab ends");
            let run = Run::of(&output, started);
            run.assert_clean();
            run
        });
        ended.collect()
    }
}

/// How a run of the lab ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// The JSON document.
    pub report: Value,
    /// What it said besides.
    pub text: String,
    /// From start to end.
    pub took: Duration,
}

impl Run {
    /// Reads what a run with `--json` left; one without a document fails the test.
    pub fn of(output: &Output, started: Instant) -> Self {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("no report: {error}\n{text}"));
        Self {
            code: output.status.code().unwrap_or(-1),
            report,
            text,
            took: started.elapsed(),
        }
    }

    /// No violation, finding, failure or leak.
    pub fn assert_clean(&self) {
        assert_eq!(self.code, 0, "{}", self.text);
        assert_eq!(self.report["verdict"], "clean", "{}", self.text);
        assert_eq!(self.report["violations"], 0, "{}", self.text);
        for list in ["findings", "failures"] {
            assert_eq!(self.report[list], Value::Array(Vec::new()), "{}", self.text);
        }
        assert_eq!(self.list("leaks").len(), 0, "{}", self.text);
    }

    /// A list of the summary.
    pub fn list(&self, name: &str) -> &[Value] {
        self.report["summary"][name]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// A step by the start of its name.
    pub fn step(&self, name: &str) -> &Value {
        self.list("steps")
            .iter()
            .find(|s| s["name"].as_str().is_some_and(|n| n.starts_with(name)))
            .unwrap_or_else(|| panic!("no step {name:?}:\n{}", self.text))
    }

    /// Details of the steps of a name; each went as it must.
    pub fn steps(&self, name: &str) -> Vec<&str> {
        let named = self
            .list("steps")
            .iter()
            .filter(|step| step["name"] == name);
        named
            .map(|step| {
                assert_eq!(step["ok"], true, "{step}");
                step["detail"].as_str().expect("a text")
            })
            .collect()
    }

    /// A counter by its owner and the start of its name.
    pub fn counter(&self, owner: &str, name: &str) -> u64 {
        let found = self.list("counters").iter().find(|c| {
            c["owner"] == owner && c["name"].as_str().is_some_and(|n| n.starts_with(name))
        });
        found
            .and_then(|c| c["value"].as_u64())
            .unwrap_or_else(|| panic!("no counter {name:?} of {owner:?}:\n{}", self.text))
    }

    /// The hash over every call of the run.
    pub fn trace(&self) -> &str {
        self.report["summary"]["trace"].as_str().expect("a trace")
    }

    /// Path, frames sent and frames answered of each ping.
    pub fn pings(&self) -> Vec<(&str, u64, u64)> {
        let number = |value: &Value| value.as_u64().expect("a number");
        self.list("ping")
            .iter()
            .map(|ping| {
                let path = ping["path"].as_str().expect("a path");
                (path, number(&ping["sent"]), number(&ping["answered"]))
            })
            .collect()
    }

    /// Everything that was said, for messages.
    pub fn said(&self) -> String {
        format!("{}\n{}", self.report, self.text)
    }
}

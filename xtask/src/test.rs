//! `cargo xtask test`: runs all tests against the packaged drivers and counts them.
//!
//! A test that lacks a partner or a right prints `SKIP <name>: <reason>` and returns;
//! the test runner sees it pass, and the count here moves it to the skipped ones. On a
//! CI machine where nothing has to lack (root on Debian), a skip fails the run.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::build::{self, Profile};
use crate::chain::{Arch, clang};
use crate::context::Context;
use crate::proc::Cmd;
use crate::ui::say;
#[cfg(unix)]
use crate::wine;
use crate::{c_drivers, drivers, notify, package, partners, sign};

/// Cargo's profile for tests: optimised, with assertions (see the workspace's `Cargo.toml`).
const PROFILE: &str = "checked";

/// The driver that tests about no driver in particular take, by `IM_PACKAGE_DIR`; all
/// packages are below `IM_PACKAGES_DIR`, in folders that have the drivers' names.
const PLAIN: &str = "passthrough";

/// Kinds of tests, in the order of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Unit,
    Abi,
    Artifact,
    Scenario,
}

impl Group {
    const ALL: [Self; 4] = [Self::Unit, Self::Abi, Self::Artifact, Self::Scenario];

    fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Abi => "ABI",
            Self::Artifact => "artifact",
            Self::Scenario => "scenario",
        }
    }

    /// By the kind and name of cargo's target: files in `tests/` folders that are not
    /// about the ABI or the artifact run scenarios.
    fn of(kind: &str, name: &str) -> Self {
        match (kind, name) {
            ("test", n) if n.starts_with("abi") => Self::Abi,
            ("test", n) if n.starts_with("artifact") => Self::Artifact,
            ("test", _) => Self::Scenario,
            _ => Self::Unit,
        }
    }
}

/// What one or more test programs came to.
#[derive(Debug, Default, Clone)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: Vec<String>,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }
}

/// A test program that cargo has built.
#[derive(Debug)]
struct Program {
    group: Group,
    title: String,
    path: PathBuf,
    dir: PathBuf,
}

/// Runs everything; the exit code is 1 if a test failed.
pub fn test(cx: &Context, fast: bool) -> Result<i32> {
    let started = Instant::now();
    let mut env = vec![("IM_PACKAGES_DIR", cx.target.join("package"))];
    for driver in drivers::all(cx)? {
        for profile in [Profile::Debug, Profile::Release] {
            let mut request = package::Request::plain(profile);
            // Nothing here runs arm64; its files are judged as files.
            if profile == Profile::Release {
                request.archs.push(Arch::Arm64);
            }
            let dir = package::package(cx, &driver, &request)?;
            if driver.name == PLAIN && profile == Profile::Release {
                env.push(("IM_PACKAGE_DIR", dir));
            }
        }
    }
    env.push(("IM_SIGNED_DIR", signed_packages(cx)?));
    for driver in drivers::subjects(cx)? {
        if driver.name == "misdeed" {
            let built = build::build(cx, &driver, Arch::X64, Profile::Release)?;
            env.push(("IM_MISDEED_IMAGE", built.image));
        }
    }
    env.push(("IM_NOTIFY_DIR", notify::for_tests(cx)?));
    env.extend(drivers_in_c(cx));
    #[cfg(unix)]
    env.push(("IM_INF_INSTALLER", wine::inf_installer(cx)?));
    env.push(("IM_READERS", partners::readers::place(cx)));
    env.push(("IM_XTASK", std::env::current_exe()?));

    let mut counts = vec![Counts::default(); Group::ALL.len()];
    let mut failures = Vec::new();
    let (programs, lab) = programs(cx)?;
    env.extend(lab.map(|lab| ("IM_LAB", lab)));
    for program in programs {
        let mut cmd = Cmd::new(&program.path);
        cmd.dir(&program.dir)
            .env("CARGO_MANIFEST_DIR", &program.dir)
            .arg("--show-output");
        // Slow ones are ignored elsewhere; other groups' ignored tests are tools.
        if program.group == Group::Artifact && !fast {
            cmd.arg("--include-ignored");
        }
        let result = run(cmd, &program.title, program.group, &env)?;
        if result.failed > 0 {
            failures.push(program.title);
        }
        counts[program.group as usize].add(result);
    }
    let result = run(doc_tests(cx), "documentation examples", Group::Unit, &env)?;
    if result.failed > 0 {
        failures.push("documentation examples".to_owned());
    }
    counts[Group::Unit as usize].add(result);

    Ok(summary(&counts, &failures, started.elapsed().as_secs_f32()))
}

/// Packages of all drivers and architectures, signed by the test certificate; returns their
/// folder.
fn signed_packages(cx: &Context) -> Result<PathBuf> {
    let folder = cx.target.join("signed");
    let key = sign::Key::test(cx)?;
    for driver in drivers::all(cx)? {
        let request = package::Request {
            archs: vec![Arch::X64, Arch::Arm64],
            profile: Profile::Release,
            out: Some(folder.join(&driver.name)),
            sign: Some(key.clone()),
        };
        package::package(cx, &driver, &request)?;
    }
    Ok(folder)
}

/// Drivers in C and what compiles them; without a clang their tests skip themselves.
fn drivers_in_c(cx: &Context) -> Vec<(&'static str, PathBuf)> {
    let built = c_drivers::build_all(cx, Arch::X64).and_then(|_| clang::find_or_fetch(cx));
    match built {
        Ok(clang) => {
            let mut env = vec![("IM_C_DRIVERS_DIR", c_drivers::packages(cx))];
            env.extend(
                clang
                    .library_path()
                    .map(|path| ("IM_CLANG_LIBRARIES", path)),
            );
            env.push(("IM_CLANG", clang.program));
            env
        }
        Err(error) => {
            say(&format!("no drivers in C: {error:#}"));
            Vec::new()
        }
    }
}

fn summary(counts: &[Counts], failures: &[String], seconds: f32) -> i32 {
    println!("\nall tests, {seconds:.0} s:");
    let mut total = Counts::default();
    for (group, c) in Group::ALL.iter().zip(counts) {
        let name = group.name();
        println!(
            "  {name:<9} {:>5} passed {:>4} failed {:>4} skipped",
            c.passed,
            c.failed,
            c.skipped.len()
        );
        total.add(c.clone());
    }
    for skip in &total.skipped {
        println!("  skipped: {skip}");
    }
    for failure in failures {
        println!("  failed in: {failure}");
    }
    let strict = is_strict();
    if strict && !total.skipped.is_empty() {
        println!("  a CI run as root on Debian has to skip nothing: failed");
    }
    println!(
        "{} passed, {} failed, {} skipped",
        total.passed,
        total.failed,
        total.skipped.len()
    );
    i32::from(total.failed > 0 || strict && !total.skipped.is_empty())
}

/// Where every partner can be installed and every right is there, a skip is a fault.
fn is_strict() -> bool {
    std::env::var("CI").is_ok_and(|v| v == "true")
        && std::path::Path::new("/etc/debian_version").exists()
        && partners::is_root()
}

/// Builds all test programs, and the lab, which is one program for them all.
fn programs(cx: &Context) -> Result<(Vec<Program>, Option<PathBuf>)> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        manifest_path: Option<PathBuf>,
        target: Option<Target>,
        executable: Option<PathBuf>,
        profile: Option<TestProfile>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }
    #[derive(Deserialize)]
    struct TestProfile {
        test: bool,
    }

    let mut cmd = cx.cargo();
    cmd.args([
        "test",
        "--no-run",
        "--profile",
        PROFILE,
        "--message-format",
        "json-render-diagnostics",
    ]);
    cmd.arg("--target-dir").arg(&cx.target);
    if !cfg!(windows) {
        // The drivers' host parts; on Windows that would take a kit and a kernel build.
        cmd.arg("--workspace");
    }
    let line = cmd.line();
    let mut child = cmd
        .into_inner()
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| line.clone())?;
    let stdout = child.stdout.take().context("no output")?;
    let (mut programs, mut lab) = (Vec::new(), None);
    for text in BufReader::new(stdout).lines() {
        let Ok(message) = serde_json::from_str::<Message>(&text?) else {
            continue;
        };
        let (Some(target), Some(path), Some(manifest)) =
            (message.target, message.executable, message.manifest_path)
        else {
            continue;
        };
        if message.reason != "compiler-artifact" {
            continue;
        }
        if !message.profile.is_some_and(|p| p.test) {
            // Cargo builds it for the tests of its own crate.
            if target.name == "lab" {
                lab = Some(path);
            }
            continue;
        }
        let dir = manifest.parent().context("no parent")?.to_owned();
        let kind = target.kind.first().map_or("", String::as_str);
        let package = dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let title = if kind == "test" {
            format!("{package}: {}", target.name)
        } else {
            package
        };
        programs.push(Program {
            group: Group::of(kind, &target.name),
            title,
            path,
            dir,
        });
    }
    if !child.wait()?.success() {
        bail!("`{line}` failed; what it said stands above");
    }
    // Fast ones first.
    programs.sort_by_key(|p| (p.group as usize, p.title.clone()));
    Ok((programs, lab))
}

fn doc_tests(cx: &Context) -> Cmd {
    let mut cmd = cx.cargo();
    cmd.args(["test", "--doc", "--no-fail-fast", "--profile", PROFILE])
        .arg("--target-dir")
        .arg(&cx.target);
    cmd
}

/// Runs a test program, shows what it says except what passed tests printed, and counts.
fn run(mut cmd: Cmd, title: &str, group: Group, env: &[(&str, PathBuf)]) -> Result<Counts> {
    say(&format!("{} tests of {title}", group.name()));
    for (name, value) in env {
        cmd.env(name, value);
    }
    let line = cmd.line();
    let mut child = cmd
        .into_inner()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| line.clone())?;
    let stdout = BufReader::new(child.stdout.take().context("no output")?);
    let mut reader = Reader::default();
    for text in stdout.split(b'\n') {
        let text = text?;
        let text = String::from_utf8_lossy(&text);
        if reader.line(&text) {
            // Not `println!`: a closed pipe must not end the run with a panic.
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }
    let status = child.wait()?;
    let mut counts = reader.counts;
    if !status.success() && counts.failed == 0 {
        say(&format!("{title} ended without a verdict ({status})"));
        counts.failed += 1;
    }
    Ok(counts)
}

/// Reads the output of Rust's test runner.
#[derive(Debug, Default)]
struct Reader {
    counts: Counts,
    /// Skips since the last verdict; the runner counts them as passed.
    skips: usize,
    /// In the part where the runner repeats what passed tests printed.
    in_successes: bool,
}

impl Reader {
    /// Takes one line; says whether it is worth showing.
    fn line(&mut self, line: &str) -> bool {
        if let Some(skip) = line.trim_start().strip_prefix("SKIP ") {
            self.counts.skipped.push(skip.to_owned());
            self.skips += 1;
            return true;
        }
        if let Some(verdict) = line.strip_prefix("test result: ") {
            let words: Vec<_> = verdict
                .split([' ', ';', '.'])
                .filter(|w| !w.is_empty())
                .collect();
            let number = |what: &str| {
                words
                    .windows(2)
                    .find(|w| w[1] == what)
                    .and_then(|w| w[0].parse::<usize>().ok())
                    .unwrap_or(0)
            };
            self.counts.passed += number("passed").saturating_sub(self.skips);
            self.counts.failed += number("failed");
            self.skips = 0;
            self.in_successes = false;
            return true;
        }
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ => {}
        }
        !self.in_successes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Counts, Vec<&str>) {
        let mut reader = Reader::default();
        let shown = text.lines().filter(|l| reader.line(l)).collect();
        (reader.counts, shown)
    }

    #[test]
    fn counts_and_skips() {
        let (counts, shown) = read(
            "running 4 tests\ntest a ... ok\ntest b ... ignored, slow\ntest c ... FAILED\ntest d ... \
             ok\n\nsuccesses:\n\n---- a stdout ----\nchatter\nSKIP a: no iperf3\n\nfailures:\n\n---- c stdout \
             ----\nassertion\n\ntest result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out\n",
        );
        assert_eq!((counts.passed, counts.failed), (1, 1));
        // An ignored test is a tool, or slow and asked for: no skip.
        assert_eq!(counts.skipped, ["a: no iperf3"]);
        assert!(shown.contains(&"assertion") && !shown.contains(&"chatter"));
    }

    #[test]
    fn several_verdicts_add_up() {
        let (counts, _) = read(
            "test result: ok. 2 passed; 0 failed; 0 ignored\ntest result: ok. 3 passed; 0 failed\n",
        );
        assert_eq!(
            (counts.passed, counts.failed, counts.skipped.len()),
            (5, 0, 0)
        );
    }

    #[test]
    fn groups() {
        assert_eq!(Group::of("lib", "abi"), Group::Unit);
        assert_eq!(Group::of("test", "abi_structs"), Group::Abi);
        assert_eq!(Group::of("test", "artifact"), Group::Artifact);
        assert_eq!(Group::of("test", "traffic"), Group::Scenario);
    }
}

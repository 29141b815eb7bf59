//! `deploy` and `undeploy`, from this side.
//!
//! Every exchange is short and can be repeated; between two of them the machine works on its
//! own. A connection that breaks is made again until the machine must have taken
//! everything back by itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::package::Package;
use crate::plan::Plan;
use crate::preflight::{Facts, Finding, Severity, judge};
use crate::script::{self, Driver};
use crate::ssh::{Fault, Host};
use crate::table::Phase;

/// How it ended; the number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It is there, or it is gone, as asked.
    Done = 0,
    /// It failed; the machine is as it was.
    RolledBack = 1,
    /// The machine is not fit, or refused to begin; nothing was changed.
    Unfit = 3,
    /// No connection; nothing was changed.
    Unreachable = 4,
    /// The connection was lost and did not come back: without a confirmation the machine
    /// takes everything back by itself.
    Lost = 5,
    /// Windows asks for a restart, and `--restart` was not given.
    Restart = 6,
    /// Something differs from the backup.
    Differs = 7,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Options {
    /// The machine.
    pub host: Host,
    /// Seconds for the confirmation.
    pub confirm_within: u32,
    /// Restart the machine if Windows asks for it.
    pub restart: bool,
    /// How long to wait between two questions.
    pub poll: Duration,
    /// How long after the last sign of life the machine is given up; must be longer than
    /// the steps and the confirmation take.
    pub patience: Duration,
}

/// The outcome, for people and (`--json`) for programs.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Whether the machine has changed.
    pub changed: bool,
    /// In words.
    pub text: String,
    /// What preflight found.
    pub findings: Vec<Finding>,
    /// The step that failed.
    pub step: String,
    /// What differs from the backup.
    pub differences: Vec<String>,
    /// Bindings before and after, in lines.
    pub bindings: Option<[Vec<String>; 2]>,
}

impl Outcome {
    fn new(end: End, text: impl Into<String>) -> Self {
        Self {
            end,
            changed: false,
            text: text.into(),
            findings: Vec::new(),
            step: String::new(),
            differences: Vec::new(),
            bindings: None,
        }
    }
}

/// What the far side says of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    id: String,
    state: String,
    step: String,
    reason: String,
    difference: Vec<String>,
    restart: bool,
}

impl Status {
    fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim_start_matches('\u{feff}').trim()).ok()
    }

    fn is_final(&self) -> bool {
        matches!(
            self.state.as_str(),
            "confirmed" | "rolled-back" | "not-begun" | "removed" | "left" | "absent" | "busy"
        )
    }
}

/// Hears what goes on, one line a time.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

struct Session<'a> {
    options: &'a Options,
    folder: String,
    progress: Progress<'a>,
}

impl Session<'_> {
    fn say(&mut self, text: &str) {
        (self.progress)(text);
    }

    /// Tries again while the connection is lost, for exchanges that may happen twice.
    fn again<T>(
        &mut self,
        mut exchange: impl FnMut(&Host) -> Result<T, Fault>,
        until: Duration,
    ) -> Result<T, Fault> {
        let started = Instant::now();
        loop {
            match exchange(&self.options.host) {
                Err(Fault::Lost(why)) if started.elapsed() < until => {
                    self.say(&format!(
                        "connection lost ({}); trying again",
                        first_line(&why)
                    ));
                    std::thread::sleep(self.options.poll);
                }
                other => return other,
            }
        }
    }

    fn script(&mut self, script: &str, args: &[String], until: Duration) -> Result<String, Fault> {
        let line = Host::script_line(&self.folder, script, args);
        self.again(|host| host.run(&line), until)
    }

    fn copy(&mut self, files: &[(String, Vec<u8>)]) -> Result<Result<(), Fault>> {
        let base = tempfile::tempdir()?;
        let folder = base.path().join(&self.folder);
        for (name, content) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().context("no parent")?)?;
            fs::write(path, content)?;
        }
        let until = self.short();
        Ok(self.again(|host| host.copy(&folder), until))
    }

    /// For exchanges before anything has begun.
    fn short(&self) -> Duration {
        self.options.patience.min(Duration::from_secs(20))
    }

    /// Asks until the far side has come to an end or to `stop`.
    fn watch(&mut self, id: &str, stop: &str) -> Result<Status, Fault> {
        let mut shown = String::new();
        let started = Instant::now();
        loop {
            let rest = self.options.patience.saturating_sub(started.elapsed());
            let text = self.script("far/status.ps1", &[], rest)?;
            if let Some(status) = Status::parse(&text) {
                let now = format!("{} {}", status.state, status.step);
                if now != shown {
                    self.say(now.trim());
                    shown = now;
                }
                let ours = id.is_empty() || status.id == id;
                if ours && (status.state == stop || status.is_final()) || status.state == "absent" {
                    return Ok(status);
                }
            }
            if started.elapsed() > self.options.patience {
                return Err(Fault::Lost("the work does not come to an end".to_owned()));
            }
            std::thread::sleep(self.options.poll);
        }
    }

    /// Removes the uploaded folder; a failure is no matter.
    fn sweep(&mut self) {
        let line = format!("cmd.exe /d /c rmdir /s /q {}", self.folder);
        let _ = self.options.host.run(&line);
    }

    fn unreachable(fault: &Fault) -> Outcome {
        Outcome::new(End::Unreachable, format!("{fault}; nothing was changed"))
    }
}

/// Takes `package` to the machine.
pub fn deploy(
    package: &Package,
    plan: Option<&Plan>,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Outcome> {
    let id = format!("{:016x}", fastrand::u64(..));
    let mut session = Session {
        options,
        folder: format!("rustim-{}-{id}", package.driver),
        progress,
    };
    let files = read(package)?;
    let (scripts, rest): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|(name, _)| name.starts_with("far/"));
    session.say(&format!("asking {}", options.host.target));
    if let Err(fault) = session.copy(&scripts)? {
        return Ok(Session::unreachable(&fault));
    }
    let until = session.short();
    let facts = match session.script("far/preflight.ps1", &[], until) {
        Ok(text) => text,
        Err(fault) => {
            session.sweep();
            return Ok(Session::unreachable(&fault));
        }
    };
    let facts: Facts = serde_json::from_str(facts.trim_start_matches('\u{feff}'))
        .with_context(|| format!("the machine's facts are not readable: {facts}"))?;
    let findings = judge(&facts, package, plan, options.restart);
    for finding in &findings {
        session.say(&describe(finding));
    }
    if findings.iter().any(|f| f.severity == Severity::Error) {
        session.sweep();
        let mut outcome = Outcome::new(End::Unfit, "the machine is not fit; nothing was changed");
        outcome.findings = findings;
        return Ok(outcome);
    }
    if plan.is_none() {
        session.say("no adapter is named: the package is installed and nothing changes. Name one by --adapter:");
        for a in &facts.adapters {
            session.say(&format!(
                "  {} {} {} ({})",
                a.guid, a.mac, a.location, a.name
            ));
        }
    }
    if !facts.pending_restart.is_empty()
        && let Some(outcome) = restart_first(&mut session)
    {
        return Ok(outcome);
    }

    let mut rest = rest;
    if let Some(plan) = plan {
        rest.push(("plan.json".to_owned(), plan.text().into_bytes()));
    }
    session.say(&format!("copying {} files", rest.len()));
    if let Err(fault) = session.copy(&rest)? {
        session.sweep();
        return Ok(Session::unreachable(&fault));
    }
    let mut outcome = work(&mut session, &id);
    outcome.findings = findings;
    if outcome.end != End::Lost {
        session.sweep();
    }
    Ok(outcome)
}

/// Restarts before anything is begun, and waits until the machine is back.
fn restart_first(session: &mut Session<'_>) -> Option<Outcome> {
    session.say("restarting, since a restart is pending");
    if let Err(fault @ Fault::Refused(_)) = session.options.host.run("shutdown.exe /r /t 0") {
        return Some(Session::unreachable(&fault));
    }
    let started = Instant::now();
    loop {
        std::thread::sleep(session.options.poll);
        let until = session.options.patience.saturating_sub(started.elapsed());
        let text = match session.script("far/preflight.ps1", &[], until) {
            Ok(text) => text,
            Err(fault) => return Some(Session::unreachable(&fault)),
        };
        let facts = serde_json::from_str::<Facts>(text.trim_start_matches('\u{feff}'));
        if facts.is_ok_and(|f| f.pending_restart.is_empty()) {
            return None;
        }
        if started.elapsed() > session.options.patience {
            return Some(Outcome::new(
                End::Restart,
                "a restart is still pending after the restart; nothing was changed",
            ));
        }
    }
}

/// From the start of the task to its end.
fn work(session: &mut Session<'_>, id: &str) -> Outcome {
    let options = session.options;
    let mut args = vec!["-NoWait".to_owned(), "-Id".to_owned(), id.to_owned()];
    args.extend([
        "-ConfirmWithin".to_owned(),
        options.confirm_within.to_string(),
    ]);
    if options.restart {
        args.push("-Restart".to_owned());
    }
    let line = Host::script_line(&session.folder, "install.ps1", &args);
    session.say("starting the work");
    let begun = match options.host.run(&line) {
        Ok(text) | Err(Fault::Failed(_, text)) => Status::parse(&text),
        // Whether it has begun is found out by asking.
        Err(Fault::Lost(_)) => None,
        Err(fault) => return Session::unreachable(&fault),
    };
    if let Some(status) = begun.filter(Status::is_final) {
        let mut outcome = Outcome::new(
            End::Unfit,
            match status.state.as_str() {
                "busy" => "another deployment is at work there; nothing was changed".to_owned(),
                _ => format!("{}: {}; nothing was changed", status.step, status.reason),
            },
        );
        outcome.step = status.step;
        return outcome;
    }
    let mut begun_again = false;
    let status = loop {
        match session.watch(id, "waiting") {
            Ok(status) if status.state == "absent" && !begun_again => {
                // The connection broke before the start; that it happens twice is harmless.
                begun_again = true;
                let _ = options.host.run(&line);
            }
            Ok(status) => break status,
            Err(fault) => return lost(&fault),
        }
    };
    if status.state != "waiting" {
        return ended(session, status, true);
    }
    let bindings = bindings(session);
    if let Some([before, after]) = &bindings {
        for (title, lines) in [("bindings before:", before), ("bindings after:", after)] {
            session.say(title);
            for line in lines {
                session.say(&format!("  {line}"));
            }
        }
    }
    session.say("the machine answers; confirming");
    let confirm = ["-Id".to_owned(), id.to_owned()];
    let until = Duration::from_secs(u64::from(options.confirm_within));
    if let Err(fault) = session.script("far/confirm.ps1", &confirm, until.min(options.patience)) {
        session.say(&format!("{fault}"));
    }
    match session.watch(id, "confirmed") {
        Ok(status) => {
            let mut outcome = ended(session, status, true);
            outcome.bindings = bindings;
            outcome
        }
        Err(fault) => lost(&fault),
    }
}

fn lost(fault: &Fault) -> Outcome {
    Outcome::new(
        End::Lost,
        format!("{fault}; without a confirmation the machine takes everything back by itself"),
    )
}

/// The outcome of a status that is final, and what is still to be swept.
fn ended(session: &mut Session<'_>, status: Status, deploying: bool) -> Outcome {
    let mut outcome = match status.state.as_str() {
        "confirmed" => Outcome::new(End::Done, "deployed and confirmed"),
        "removed" => Outcome::new(End::Done, "removed; nothing differs from the backup"),
        "absent" if deploying => {
            Outcome::new(End::Unfit, "the work did not begin; nothing was changed")
        }
        "absent" => Outcome::new(End::Done, "nothing is installed there"),
        "busy" => Outcome::new(
            End::Unfit,
            "another deployment is at work there; nothing was changed",
        ),
        "rolled-back"
            if status.difference.is_empty() && status.restart && !session.options.restart =>
        {
            Outcome::new(
                End::Restart,
                "Windows asks for a restart; the machine is as it was. Deploy with --restart",
            )
        }
        "rolled-back" if status.difference.is_empty() => Outcome::new(
            End::RolledBack,
            format!(
                "{}: {}; the machine is as it was",
                status.step, status.reason
            ),
        ),
        "not-begun" => Outcome::new(
            End::Unfit,
            format!("{}: {}; nothing was changed", status.step, status.reason),
        ),
        _ => Outcome::new(
            End::Differs,
            format!(
                "{}: {}; something differs from the backup",
                status.step, status.reason
            ),
        ),
    };
    outcome.changed = matches!(status.state.as_str(), "confirmed" | "removed" | "left");
    outcome.step = status.step;
    outcome.differences = status.difference;
    if status.restart && outcome.end == End::Differs {
        outcome.text += "; Windows asks for a restart: restart, then undeploy again";
    }
    let over = match status.state.as_str() {
        "removed" => true,
        "rolled-back" => outcome.differences.is_empty(),
        _ => false,
    };
    if over {
        let until = session.short();
        if let Err(fault) = session.script("far/finish.ps1", &[], until) {
            session.say(&format!("the folder of the deployment is left: {fault}"));
        }
    }
    outcome
}

/// Removes the driver from the machine.
pub fn undeploy(driver: &Driver, options: &Options, progress: Progress<'_>) -> Result<Outcome> {
    let id = format!("{:016x}", fastrand::u64(..));
    let mut session = Session {
        options,
        folder: format!("rustim-{}-{id}", driver.name),
        progress,
    };
    session.say(&format!("asking {}", options.host.target));
    if let Err(fault) = session.copy(&script::scripts(driver))? {
        return Ok(Session::unreachable(&fault));
    }
    let line = Host::script_line(&session.folder, "uninstall.ps1", &["-NoWait".to_owned()]);
    let begun = match session.options.host.run(&line) {
        Ok(text) | Err(Fault::Failed(_, text)) => Status::parse(&text),
        Err(Fault::Lost(_)) => None,
        Err(fault) => return Ok(Session::unreachable(&fault)),
    };
    let status = match begun {
        Some(status) if status.is_final() => status,
        _ => {
            let mut again = false;
            loop {
                match session.watch("", "removed") {
                    // The connection broke before the removal began.
                    Ok(status) if status.state == "confirmed" && !again => {
                        again = true;
                        let _ = session.options.host.run(&line);
                    }
                    Ok(status) => break status,
                    Err(fault) => {
                        return Ok(Outcome::new(
                            End::Lost,
                            format!("{fault}; the machine goes on removing by itself"),
                        ));
                    }
                }
            }
        }
    };
    let outcome = ended(&mut session, status, false);
    session.sweep();
    Ok(outcome)
}

/// Every command of a deployment, and of the removal, without touching anything.
pub fn dry_run(driver: &Driver, host: &Host, undeploy: bool, plan: bool) -> String {
    let folder = format!("rustim-{}-<id>", driver.name);
    let script = |name: &str, args: &[&str]| {
        let args: Vec<_> = args.iter().map(|a| (*a).to_owned()).collect();
        host.run_line(&Host::script_line(&folder, name, &args))
    };
    let mut lines = vec![host.copy_line(&folder)];
    let phases: &[Phase] = if undeploy {
        lines.push(script("uninstall.ps1", &["-NoWait"]));
        &[
            Phase::BeginRemoval,
            Phase::Remove,
            Phase::Compare,
            Phase::Finish,
        ]
    } else {
        lines.push(script("far/preflight.ps1", &[]));
        lines.push(host.copy_line(&folder));
        lines.push(script(
            "install.ps1",
            &["-NoWait", "-Id", "<id>", "-ConfirmWithin", "<seconds>"],
        ));
        &[Phase::Begin, Phase::Deploy]
    };
    lines.push(script("far/status.ps1", &[]));
    if undeploy {
        lines.push(script("far/finish.ps1", &[]));
    } else {
        lines.push(script("far/bindings.ps1", &[]));
        lines.push(script("far/confirm.ps1", &["-Id", "<id>"]));
    }
    lines.push(host.run_line(&format!("cmd.exe /d /c rmdir /s /q {folder}")));
    let mut out = String::from("from here:\n");
    for line in lines {
        out += &format!("  {line}\n");
    }
    out += &script::listing(driver, phases);
    if !undeploy && !plan {
        out += "no plan is given, so what needs plan.json does not run\n";
    }
    out
}

fn read(package: &Package) -> Result<Vec<(String, Vec<u8>)>> {
    // What a debugger wants stays here, and so does what only people read.
    let wanted = |p: &&String| !p.starts_with("symbols/") && !p.starts_with("licences/");
    package
        .files
        .iter()
        .filter(wanted)
        .map(|p| Ok((p.clone(), fs::read(package.dir.join(p))?)))
        .chain([Ok((
            "manifest.json".to_owned(),
            fs::read(package.dir.join("manifest.json"))?,
        ))])
        .collect()
}

/// The states before and after, as the notify object sees them.
fn bindings(session: &mut Session<'_>) -> Option<[Vec<String>; 2]> {
    let until = session.short();
    let text = session.script("far/bindings.ps1", &[], until).ok()?;
    let both: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    Some([map(&both["before"]["state"]), map(&both["after"]["state"])])
}

/// One line for each adapter: what is bound to it, and what stands on it.
fn map(state: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list(&state["adapters"])
        .iter()
        .map(|adapter| {
            let bound: Vec<_> = list(&state["bindings"])
                .iter()
                .filter(|b| b["adapter"] == adapter["guid"] && b["enabled"] == true)
                .map(|b| text(&b["component"]))
                .collect();
            format!(
                "{} {}: {}",
                text(&adapter["guid"]),
                text(&adapter["name"]),
                bound.join(", ")
            )
        })
        .collect()
}

/// A finding in one or two lines.
pub fn describe(finding: &Finding) -> String {
    let mut text = match finding.severity {
        Severity::Error => format!("in the way ({}): {}", finding.code, finding.text),
        Severity::Note => format!("note ({}): {}", finding.code, finding.text),
    };
    if !finding.remedy.is_empty() {
        text += "\n  change it: ";
        text += &finding.remedy;
    }
    text
}

fn first_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

/// Where a driver's package lies, when no folder is named.
pub fn default_package(target: &std::path::Path, driver: &str) -> PathBuf {
    target.join("package").join(driver)
}

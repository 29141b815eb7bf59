//! The scripts of a package, made of the table of steps and of texts in `far/`.

use std::fmt::Write as _;

use crate::table::{Phase, Step};

/// What the scripts have to know of a driver.
#[derive(Debug, Clone)]
pub struct Driver {
    /// `mux`: names of folder, INFs, catalogs and tasks.
    pub name: String,
    /// Component id of the protocol, `RustIM_Mux`.
    pub component: String,
    /// Service of the protocol edge.
    pub protocol_service: String,
    /// Service that loads the image.
    pub miniport_service: String,
}

impl Driver {
    /// The notify object's file.
    pub fn notify(&self) -> String {
        format!("{}_notify.dll", self.name)
    }

    /// A command of the table with the driver's names in it.
    pub fn fill(&self, text: &str) -> String {
        text.replace("@driver@", &self.name)
            .replace("@component@", &self.component)
            .replace("@protocol-service@", &self.protocol_service)
            .replace("@miniport-service@", &self.miniport_service)
    }
}

/// Files of a package with root certificates, and with publishers' (role `certificate` and
/// `publisher`).
const ROOTS: [&str; 2] = ["test-root.cer", "signer-root.cer"];
const PUBLISHERS: [&str; 1] = ["signer.cer"];

/// All scripts of a package: path in the package, and content. PowerShell of Windows takes a
/// file without a byte order mark for one in the machine's code page, so they are ASCII.
pub fn scripts(driver: &Driver) -> Vec<(String, Vec<u8>)> {
    let fixed = [
        ("install.ps1", include_str!("../far/install.ps1")),
        ("uninstall.ps1", include_str!("../far/uninstall.ps1")),
        ("far/bindings.ps1", include_str!("../far/bindings.ps1")),
        ("far/compare.ps1", include_str!("../far/compare.ps1")),
        ("far/confirm.ps1", include_str!("../far/confirm.ps1")),
        ("far/deploy.ps1", include_str!("../far/deploy.ps1")),
        ("far/finish.ps1", include_str!("../far/finish.ps1")),
        ("far/ip.ps1", include_str!("../far/ip.ps1")),
        ("far/lists.ps1", include_str!("../far/lists.ps1")),
        ("far/plan.ps1", include_str!("../far/plan.ps1")),
        ("far/preflight.ps1", include_str!("../far/preflight.ps1")),
        ("far/remove.ps1", include_str!("../far/remove.ps1")),
        ("far/runner.ps1", include_str!("../far/runner.ps1")),
        ("far/status.ps1", include_str!("../far/status.ps1")),
        ("far/watchdog.ps1", include_str!("../far/watchdog.ps1")),
    ];
    let mut files: Vec<_> = fixed
        .into_iter()
        .map(|(name, text)| (name.to_owned(), with_steps(driver, text).into_bytes()))
        .collect();
    for (name, script, trigger) in [
        ("far/deploy.xml", "deploy", false),
        ("far/remove.xml", "remove", false),
        ("far/watchdog.xml", "watchdog", true),
    ] {
        files.push((name.to_owned(), utf16(&task(driver, script, trigger))));
    }
    let info = serde_json::json!({
        "driver": driver.name,
        "notify": driver.notify(),
        "protocolService": driver.protocol_service,
        "roots": ROOTS,
        "publishers": PUBLISHERS,
    });
    files.push((
        "far/driver.json".to_owned(),
        format!("{info:#}\n").into_bytes(),
    ));
    files.push(("far/steps.json".to_owned(), steps_json(driver).into_bytes()));
    let playbook = include_str!("../far/playbook.yml");
    files.push(("far/playbook.yml".to_owned(), playbook.as_bytes().to_vec()));
    files.sort();
    files
}

/// Puts the steps of a phase where the text asks for them, and Windows' line ends.
fn with_steps(driver: &Driver, text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let phase = Phase::ALL
            .into_iter()
            .find(|p| line.trim() == format!("#STEPS:{}#", name(*p)));
        if let Some(phase) = phase {
            for step in phase.steps() {
                let _ = write!(out, "    {}\r\n", line_of(driver, step));
            }
        } else {
            out += line;
            out += "\r\n";
        }
    }
    out
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Begin => "begin",
        Phase::Deploy => "deploy",
        Phase::BeginRemoval => "begin-removal",
        Phase::Remove => "remove",
        Phase::Compare => "compare",
        Phase::Finish => "finish",
    }
}

/// A step as one line of PowerShell. Only single-quoted texts: nothing in them is expanded.
fn line_of(driver: &Driver, step: &Step) -> String {
    let text = |text: &str| format!("'{}'", driver.fill(text).replace('\'', "''"));
    let numbers = |all: &[i32]| {
        let all: Vec<_> = all.iter().map(ToString::to_string).collect();
        all.join(",")
    };
    let mut line = format!("(Step -Id {} -Run {}", text(step.id), text(step.run));
    if step.accept != [0] {
        let _ = write!(line, " -Accept {}", numbers(step.accept));
    }
    if !step.restart.is_empty() {
        let _ = write!(line, " -Restart {}", numbers(step.restart));
    }
    if let Some((place, results)) = step.answer {
        let results: Vec<_> = results.iter().map(|r| text(r)).collect();
        let _ = write!(
            line,
            " -Answer {} -Result {}",
            text(place),
            results.join(",")
        );
    }
    let options = [
        ("Each", step.each.map(crate::table::List::name)),
        ("When", step.when),
        ("Unless", step.unless),
        ("Undo", step.undo),
        ("UndoEach", step.undo_each.map(crate::table::List::name)),
    ];
    for (option, value) in options {
        if let Some(value) = value {
            let _ = write!(line, " -{option} {}", text(value));
        }
    }
    if step.retry > 0 {
        let _ = write!(line, " -Retry {}", step.retry);
    }
    line.push(')');
    line
}

/// A task of SYSTEM that a battery does not stop.
fn task(driver: &Driver, script: &str, at_start: bool) -> String {
    let triggers = if at_start {
        "<BootTrigger><Enabled>true</Enabled></BootTrigger>"
    } else {
        ""
    };
    // A watchdog waits as long as what it watches, and then some.
    let limit = if at_start { "PT3H" } else { "PT1H" };
    format!(
        r#"<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>{script} of the driver package {name}</Description></RegistrationInfo>
  <Triggers>{triggers}</Triggers>
  <Principals>
    <Principal id="Author"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel></Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <ExecutionTimeLimit>{limit}</ExecutionTimeLimit>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe</Command>
      <Arguments>-NoProfile -NonInteractive -ExecutionPolicy Bypass -File "%SystemRoot%\RustIM\{name}\package\far\{script}.ps1"</Arguments>
    </Exec>
  </Actions>
</Task>
"#,
        name = driver.name
    )
}

fn utf16(text: &str) -> Vec<u8> {
    let text = text.replace('\n', "\r\n");
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

/// The table as data: what a step is for, where it is documented, what a failure means.
fn steps_json(driver: &Driver) -> String {
    let phases: Vec<_> = Phase::ALL
        .into_iter()
        .map(|phase| {
            let steps: Vec<_> = phase
                .steps()
                .iter()
                .map(|s| {
                    serde_json::json!({
                        "id": s.id,
                        "what": s.what,
                        "run": driver.fill(s.run),
                        "accept": s.accept,
                        "each": s.each.map(crate::table::List::name),
                        "when": s.when.map(|w| driver.fill(w)),
                        "unless": s.unless,
                        "answer": s.answer.map(|a| a.0),
                        "results": s.answer.map(|a| a.1),
                        "undo": s.undo.map(|u| driver.fill(u)),
                        "page": s.page,
                        "failure": s.failure,
                    })
                })
                .collect();
            serde_json::json!({ "phase": name(phase), "where": phase.title(), "steps": steps })
        })
        .collect();
    format!(
        "{:#}\n",
        serde_json::json!({ "format": 1, "phases": phases })
    )
}

/// Every command, in order, with what takes it back: what `--dry-run` prints.
pub fn listing(driver: &Driver, phases: &[Phase]) -> String {
    let mut out = String::new();
    for phase in phases {
        let _ = writeln!(out, "{}:", phase.title());
        for step in phase.steps() {
            let _ = writeln!(out, "  {:<20} {}", step.id, driver.fill(step.run));
            for (word, value) in [("when", step.when), ("unless", step.unless)] {
                if let Some(value) = value {
                    let _ = writeln!(out, "  {:<20}   {word} there is {}", "", driver.fill(value));
                }
            }
            if let Some(list) = step.each {
                let _ = writeln!(out, "  {:<20}   for each of the {}", "", list.name());
            }
            if let Some(undo) = step.undo {
                let _ = writeln!(out, "  {:<20}   undo: {}", "", driver.fill(undo));
            }
        }
    }
    out
}

/// The table for the documentation, as Markdown.
pub fn markdown() -> String {
    let mut out = String::new();
    for phase in Phase::ALL {
        let _ = write!(
            out,
            "\n### {}\n\n| Step | What for | Command | A failure means |\n|---|---|---|---|\n",
            phase.title()
        );
        for step in phase.steps() {
            let command = step.run.replace('|', "\\|");
            let _ = writeln!(
                out,
                "| [{}]({}) | {} | `{command}` | {} |",
                step.id, step.page, step.what, step.failure
            );
        }
    }
    out
}

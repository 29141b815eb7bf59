//! A scripted Windows machine behind a real ssh server: the tests' far side.
//!
//! sshd starts it for every connection (`ForceCommand`), in a folder that holds the
//! machine's state, drive C: and the account's home. It reads the steps out of the scripts
//! that were uploaded and executes their command lines against the state, in virtual time.
//! It is no PowerShell: what the scripts do around their steps (journal, rollback, waiting)
//! is done here once more in Rust, as `far/runner.ps1` describes it.
//!
//! `faults.json` in the folder says what is to go wrong. One process at a time: a lock on
//! the folder orders them.

mod commands;
mod lists;
mod machine;
mod scripts;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use machine::{Disk, Machine};
use serde::Deserialize;

/// What is to go wrong.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Faults {
    /// This step fails.
    fail: String,
    /// It has done its work when it fails.
    after: bool,
    /// The machine loses power in this step.
    crash: String,
    /// This step asks for a restart, once.
    restart: String,
    /// The connection of this number breaks, before it has done anything or afterwards.
    drop: u32,
    drop_after: bool,
    /// From this connection on there are none.
    dead_from: u32,
    /// A connection whose script is this one breaks, always.
    dead_script: String,
}

/// The far side at work.
struct Far {
    disk: Disk,
    machine: Machine,
    faults: Faults,
    driver: String,
    component: String,
    vars: BTreeMap<String, String>,
    /// The step that asked for a restart.
    restart_wanted: bool,
    /// The plan has taken the adapter of this connection.
    drop_connection: bool,
}

/// The connection is gone, without a word: the session's server process is ended.
fn break_connection() -> ! {
    let parent = std::os::unix::process::parent_id();
    let _ = Command::new("kill")
        .args(["-9", &parent.to_string()])
        .status();
    std::process::exit(1);
}

fn main() {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().expect("the machine's folder"));
    let lock = std::fs::File::create(root.join("lock")).expect("a lock");
    lock.lock().expect("the lock");
    let mut far = Far::load(&root);
    if args.next().as_deref() == Some("--advance") {
        let seconds: u64 = args.next().and_then(|s| s.parse().ok()).expect("seconds");
        for _ in 0..seconds.div_ceil(5) {
            far.machine.now += 5;
            far.tick();
        }
        far.save();
        return;
    }
    let line = std::env::var("SSH_ORIGINAL_COMMAND").unwrap_or_default();
    far.machine.sessions += 1;
    let session = far.machine.sessions;
    let dead = far.faults.dead_from > 0 && session >= far.faults.dead_from
        || !far.faults.dead_script.is_empty() && line.contains(&far.faults.dead_script);
    let breaks = far.faults.drop == session;
    if dead || breaks && !far.faults.drop_after {
        far.save();
        break_connection();
    }
    let (code, text) = if line.contains("sftp") {
        far.save();
        sftp(&far.disk)
    } else {
        far.machine.now += 5;
        far.tick();
        let answer = far.session(&line);
        far.save();
        answer
    };
    if breaks || far.drop_connection {
        break_connection();
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
    std::process::exit(code);
}

/// OpenSSH's own server for copying, in the account's home folder.
fn sftp(disk: &Disk) -> (i32, String) {
    let places = [
        "/usr/lib/openssh/sftp-server",
        "/usr/libexec/openssh/sftp-server",
        "/usr/libexec/sftp-server",
        "/usr/lib/ssh/sftp-server",
    ];
    let program = places.iter().find(|p| std::path::Path::new(p).exists());
    let program = program.expect("OpenSSH's sftp-server");
    let status = Command::new(program)
        .arg("-d")
        .arg(disk.root.join("home"))
        .status()
        .expect("sftp-server starts");
    (status.code().unwrap_or(1), String::new())
}

impl Far {
    fn load(root: &Path) -> Self {
        let read = |name: &str| std::fs::read_to_string(root.join(name)).ok();
        let machine = read("state.json").map_or_else(Machine::new, |text| {
            serde_json::from_str(&text).expect("the machine's state")
        });
        let faults = read("faults.json").map_or_else(Faults::default, |text| {
            serde_json::from_str(&text).expect("the faults")
        });
        let disk = Disk {
            root: root.to_owned(),
        };
        for folder in [r"C:\Windows\INF", "."] {
            std::fs::create_dir_all(disk.real(folder)).expect("a folder of the model");
        }
        let driver = read("driver").unwrap_or_else(|| "mux".to_owned());
        let capital = driver[..1].to_uppercase() + &driver[1..];
        Self {
            component: format!("RustIM_{capital}"),
            driver,
            disk,
            machine,
            faults,
            vars: BTreeMap::new(),
            restart_wanted: false,
            drop_connection: false,
        }
    }

    fn save(&self) {
        let root = &self.disk.root;
        let text = serde_json::to_string_pretty(&self.machine).expect("plain data");
        std::fs::write(root.join("state.json"), text).expect("the state");
        let essence = self.machine.essence(&self.disk);
        std::fs::write(root.join("essence.json"), essence.to_string()).expect("the essence");
    }

    fn protocol_service(&self) -> String {
        self.component.replace("RustIM_", "Im")
    }

    fn miniport_service(&self) -> String {
        format!("{}Mp", self.protocol_service())
    }

    /// `%NAME%`, as `cmd.exe` does it: an unknown name stays.
    fn expand(&self, text: &str) -> String {
        let mut out = text.replace("%SystemRoot%", r"C:\Windows");
        for (name, value) in &self.vars {
            out = out.replace(&format!("%{name}%"), value);
        }
        out
    }

    /// A line that came over the connection.
    fn session(&mut self, line: &str) -> (i32, String) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            [
                "powershell.exe",
                "-NoProfile",
                "-NonInteractive",
                "-ExecutionPolicy",
                "Bypass",
                "-File",
                script,
                args @ ..,
            ] => {
                let args: Vec<_> = args.iter().map(|a| (*a).to_owned()).collect();
                self.script(script, &args)
            }
            ["cmd.exe", "/d", "/c", "rmdir", "/s", "/q", folder]
                if folder.starts_with("rustim-") =>
            {
                self.disk.remove(folder);
                (0, String::new())
            }
            ["shutdown.exe", "/r", "/t", "0"] => {
                self.machine.restart();
                self.drop_connection = true;
                (0, String::new())
            }
            _ => (1, format!("'{line}' is not recognized")),
        }
    }
}

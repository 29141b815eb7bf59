//! Runs with Linux and programs of others at both ends, and what tshark makes of them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use crate::bench::{Bench, Run};

/// Whether a run ended because this machine has not what it takes; says so.
pub fn is_refused(test: &str, output: &Output) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    let why = if text.contains("not installed") {
        "a partner is not installed"
    } else if text.contains("allow user namespaces") {
        "no right to make network namespaces and TAP devices"
    } else {
        return false;
    };
    let refused = output.status.code() == Some(2);
    if refused {
        println!("SKIP {test}: {why}");
    }
    refused
}

/// A `--tap` run and its capture.
#[derive(Debug)]
pub struct Tap {
    run: Run,
    /// What went over the wires.
    pub pcap: PathBuf,
}

impl Deref for Tap {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.run
    }
}

impl Tap {
    /// Runs the package with `--tap` and further arguments; it has to be clean. None if this
    /// machine refuses. Topology and capture are files of `place`, named after the test.
    pub fn run(
        test: &str,
        bench: &Bench,
        place: &Path,
        topology: Option<&str>,
        more: &[&str],
    ) -> Option<Self> {
        let pcap = place.join(format!("{test}.pcapng"));
        let mut args: Vec<OsString> = vec!["--tap".into(), "--pcap".into(), pcap.clone().into()];
        args.extend(more.iter().map(Into::into));
        if let Some(text) = topology {
            let path = place.join(format!("{test}.toml"));
            std::fs::write(&path, text).expect("written");
            args.extend(["--topology".into(), path.into_os_string()]);
        }
        let started = Instant::now();
        let output = bench.command(&args).output().expect("the lab runs");
        if is_refused(test, &output) {
            return None;
        }
        let run = Run::of(&output, started);
        assert_eq!(run.code, 0, "{}\n{:#}", run.text, run.report);
        assert_eq!(run.report["violations"], 0, "{}", run.text);
        Some(Self { run, pcap })
    }

    /// Different values of some fields in the frames of the capture that a filter takes, by
    /// a run of tshark of our own.
    pub fn seen(&self, filter: &str, fields: &[&str]) -> BTreeSet<String> {
        let mut command = Command::new("tshark");
        command.args(["-n", "-r"]).arg(&self.pcap);
        command.args(["-Y", filter, "-T", "fields"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.output().expect("tshark runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(str::to_owned).collect()
    }
}

/// Folders in `/proc` of the children of a process that have a name.
pub fn children(parent: u32, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").expect("readable").flatten() {
        let path = process.path();
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        // `1 (name) S 2 …`: the parent is the second behind the name.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let is_child = fields.split(' ').nth(1) == Some(&parent.to_string());
        if is_child && stat.contains(&format!("({name})")) {
            found.push(path);
        }
    }
    found
}

//! `--tap`: ping and iperf3 of Linux through the packaged driver, and what is left
//! when the lab is killed meanwhile.
//!
//! Needs `IM_PACKAGE_DIR`, /dev/net/tun, and the right to make namespaces.

mod common;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::run;

/// The package, or nothing and a word why.
fn package(test: &str) -> Option<OsString> {
    let dir = std::env::var_os("IM_PACKAGE_DIR");
    if dir.is_none() {
        println!("SKIP {test}: IM_PACKAGE_DIR is not set");
    }
    dir
}

/// Whether a run ended because this machine does not let us; says so.
fn is_refused(test: &str, code: Option<i32>, text: &str) -> bool {
    let why = if text.contains("not installed") {
        "ping or iperf3 is not installed"
    } else if text.contains("allow user namespaces") {
        "no right to make network namespaces and TAP devices"
    } else {
        return false;
    };
    let refused = code == Some(2);
    if refused {
        println!("SKIP {test}: {why}");
    }
    refused
}

#[test]
fn linux_talks_through_the_driver() {
    let name = "linux_talks_through_the_driver";
    let Some(dir) = package(name) else { return };
    let said = run(Path::new(&dir), &["--tap"]);
    if is_refused(name, said.code, &said.text) {
        return;
    }
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert_eq!(said.json["violations"], 0);
    let summary = &said.json["summary"];
    assert_eq!(summary["leaks"].as_array().map(Vec::len), Some(0));
    let pings = summary["ping"].as_array().expect("pings");
    // Both ways, IPv4 and IPv6; and both ways after the restarts.
    assert_eq!(pings.len(), 6);
    for (index, ping) in pings.iter().enumerate() {
        assert_eq!(ping["sent"], if index < 4 { 100 } else { 20 }, "{ping}");
        assert_eq!(ping["answered"], ping["sent"], "{ping}");
    }
    assert_eq!(
        pings
            .iter()
            .filter(|ping| ping["path"]
                .as_str()
                .is_some_and(|path| path.contains("::")))
            .count(),
        2
    );
    let steps = summary["steps"].as_array().expect("steps");
    let named = |name: &str| {
        let found = steps.iter().filter(|step| step["name"] == name);
        found
            .map(|step| step["detail"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(named("iperf3, TCP").len(), 2);
    assert_eq!(named("iperf3, UDP").len(), 2);
    assert_eq!(named("pause and restart under traffic").len(), 1);
    assert_eq!(
        named("driver's counters agree with the interfaces").len(),
        1
    );
    // Agreement alone could be that of two zeroes.
    let counters = summary["counters"].as_array().expect("counters");
    let value = |owner: &str, name: &str| {
        let mut of_owner = counters.iter().filter(|counter| {
            counter["owner"].as_str().is_some_and(|o| o.contains(owner)) && counter["name"] == name
        });
        of_owner
            .next()
            .and_then(|counter| counter["value"].as_u64())
    };
    let sent = value("VM0", "sent-bytes").expect("counted");
    assert!(sent > 64 << 20, "{sent}");
    assert_eq!(value("Linux, upper", "bytes sent"), Some(sent));
    assert_eq!(
        value("Linux, upper", "bytes received"),
        value("VM0", "received-bytes")
    );
}

/// Processes whose executable is this one, and network namespaces in use.
fn present(lab: &Path) -> (Vec<PathBuf>, BTreeSet<PathBuf>) {
    let mut processes = Vec::new();
    let mut namespaces = BTreeSet::new();
    for process in fs::read_dir("/proc").expect("readable").flatten() {
        let path = process.path();
        namespaces.extend(fs::read_link(path.join("ns/net")));
        if fs::read_link(path.join("exe")).is_ok_and(|exe| exe == lab) {
            processes.push(path);
        }
    }
    (processes, namespaces)
}

#[test]
fn a_killed_lab_leaves_nothing() {
    let name = "a_killed_lab_leaves_nothing";
    let Some(dir) = package(name) else { return };
    // A copy of its own tells its processes from those of other tests.
    let place = tempfile::tempdir().expect("temporary directory");
    let lab = place.path().join("lab-to-be-killed");
    fs::copy(env!("CARGO_BIN_EXE_lab"), &lab).expect("copied");
    let start = || {
        Command::new(&lab)
            .args(["run", "--tap", "--json", "--package"])
            .arg(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("lab starts")
    };
    let mut running = start();
    // In the middle: iperf3 runs in the namespaces.
    let deadline = Instant::now() + Duration::from_mins(1);
    let own = fs::read_link("/proc/self/ns/net").expect("readable");
    let of_programs = |parent: u32| {
        let mut found = BTreeSet::new();
        for process in fs::read_dir("/proc").expect("readable").flatten() {
            let path = process.path();
            let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
            // The parent is the second field behind the name's closing bracket.
            let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
            let is_child = fields.split(' ').nth(1) == Some(&parent.to_string());
            let is_server = stat.contains("(iperf3)");
            if is_child && is_server {
                found.extend(
                    fs::read_link(path.join("ns/net"))
                        .ok()
                        .filter(|ns| *ns != own),
                );
            }
        }
        found
    };
    let namespaces = loop {
        let found = of_programs(running.id());
        if found.len() == 2 {
            break found;
        }
        if let Some(status) = running.try_wait().expect("waited") {
            let mut text = String::new();
            if let Some(mut pipe) = running.stderr.take() {
                std::io::Read::read_to_string(&mut pipe, &mut text).expect("text");
            }
            if is_refused(name, status.code(), &text) {
                return;
            }
            panic!("it ended by itself: {status}: {text}");
        }
        assert!(Instant::now() < deadline, "no iperf3 in two namespaces");
        std::thread::sleep(Duration::from_millis(5));
    };
    running.kill().expect("killed");
    running.wait().expect("waited");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (processes, in_use) = present(&lab);
        let left: Vec<_> = namespaces.intersection(&in_use).collect();
        if processes.is_empty() && left.is_empty() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "left: processes {processes:?}, namespaces {left:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! The one-to-many driver in the lab: who hears whom, ports that come and go, a port on
//! every VLAN, and ten thousand schedules.
//!
//! `cargo xtask test` builds the lab and the packages and names them in `IM_LAB` and
//! `IM_PACKAGES_DIR`. Without them each test skips itself.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

/// Schedules in all, and how many processes share them.
const SCHEDULES: u64 = 10_000;
const PROCESSES: u64 = 2;

struct Bench {
    lab: PathBuf,
    package: PathBuf,
}

fn bench(test: &str) -> Option<Bench> {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(lab), Some(packages)) = (path("IM_LAB"), path("IM_PACKAGES_DIR")) else {
        println!("SKIP {test}: no lab or packages; `cargo xtask test` makes them");
        return None;
    };
    let package = packages.join("mux");
    if !package.join("manifest.json").is_file() {
        println!("SKIP {test}: no package of mux");
        return None;
    }
    Some(Bench { lab, package })
}

struct Run {
    report: Value,
    text: String,
}

impl Bench {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.lab);
        command.args(["run", "--json", "--watchdog", "120", "--package"]);
        command.arg(&self.package).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> (i32, Run) {
        let started = Instant::now();
        let output = self.command(args).output().expect("the lab runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}"));
        println!("{args:?}: {:.1} s", started.elapsed().as_secs_f32());
        (output.status.code().unwrap_or(-1), Run { report, text })
    }

    /// Runs the package and demands a clean verdict.
    fn clean(&self, args: &[&str]) -> Run {
        let (code, run) = self.run(args);
        assert_eq!(code, 0, "{args:?}:\n{}", run.text);
        assert_eq!(run.report["verdict"], "clean", "{args:?}");
        assert_eq!(run.report["violations"], 0, "{args:?}");
        assert_eq!(run.list("leaks").len(), 0, "{args:?}");
        run
    }
}

impl Run {
    fn list(&self, name: &str) -> &[Value] {
        self.report["summary"][name]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// A step by the start of its name.
    fn step(&self, name: &str) -> &Value {
        self.list("steps")
            .iter()
            .find(|s| s["name"].as_str().is_some_and(|n| n.starts_with(name)))
            .unwrap_or_else(|| panic!("no step {name:?}:\n{}", self.text))
    }

    /// What a listener heard of a speaker, in the matrix of a title.
    fn heard(&self, title: &str, speaker: &str, tagged: &str, listener: &str) -> &str {
        let matrix = self.list("matrices").iter().find(|m| m["title"] == title);
        let matrix = matrix.unwrap_or_else(|| panic!("no matrix {title:?}:\n{}", self.text));
        let listeners = matrix["listeners"].as_array().expect("listeners");
        let column = listeners.iter().position(|name| name == listener);
        let rows = matrix["rows"].as_array().expect("rows");
        let row = rows
            .iter()
            .find(|row| row["speaker"] == speaker && row["tagged"] == tagged);
        let row = row.unwrap_or_else(|| panic!("no row {speaker} {tagged}: {matrix}"));
        row["heard"][column.expect("a listener")]
            .as_str()
            .expect("a cell")
    }
}

/// Acceptance: every port reaches exactly what it should and nothing else, in every mode,
/// with every kind of filter; ports are added, changed and removed under traffic.
#[test]
fn ports_are_isolated() {
    let Some(bench) = bench("ports_are_isolated") else {
        return;
    };
    for seed in ["0x5eed", "20261122"] {
        let run = bench.clean(&["--seed", seed]);
        let matrices = run.list("matrices");
        assert!(matrices.len() >= 14, "{}", matrices.len());
        for matrix in matrices {
            assert_eq!(matrix["differ"], 0, "{matrix}");
            for row in matrix["rows"].as_array().expect("rows") {
                assert_eq!(row["heard"], row["expected"], "{matrix}");
            }
        }
        // Not only as expected: some cells are known.
        let private = |speaker, tagged, listener| run.heard("private", speaker, tagged, listener);
        assert_eq!(private("wire", "VLAN 10", "p10"), "B M U");
        assert_eq!(private("wire", "VLAN 10", "p20"), "-");
        assert_eq!(private("wire", "VLAN 20", "p20own"), "B M U");
        assert_eq!(private("wire", "untagged", "p10"), "-");
        assert_eq!(private("wire", "untagged", "pplain"), "B M U");
        assert_eq!(private("wire", "VLAN 4095", "pplain"), "-");
        assert_eq!(private("p20", "untagged", "p20own"), "-");
        assert_eq!(private("p20", "VLAN 10", "wire"), "-");
        assert_eq!(private("p20", "untagged", "wire"), "B L M U m o3");
        assert_eq!(run.heard("bridge", "p20", "untagged", "p20own"), "B M U");
        assert_eq!(
            run.heard("bridge", "p20", "untagged", "wire"),
            "B L M U m o2"
        );
        assert_eq!(run.heard("vepa", "p20", "untagged", "p20own"), "-");
        let reflected = "vepa, the far end sends back what it hears";
        assert_eq!(run.heard(reflected, "p20", "untagged", "p20own"), "B M U");
        for name in [
            "addresses of the ports",
            "OIDs of each port",
            "timeline: add pguest above nic0",
            "timeline: change pguest: VlanID = 31",
            "timeline: remove pguest",
            "floods beside the timeline",
            "power cycle",
            "malformed tags from the wire",
            "malformed tags from the ports",
            "sound frames beside malformed tags",
            "wrong settings",
        ] {
            assert_eq!(run.step(name)["ok"], true, "{name}");
        }
        for tcp in run.list("tcp") {
            assert_eq!(tcp["arrived"], 4 << 20, "{tcp}");
        }
        assert_eq!(run.list("tcp").len(), 8, "each way on each port");
    }
}

/// An adapter that takes tags beside the frames: the same matrix, and the frames on the
/// wire have the same tags.
#[test]
fn tags_beside_frames_are_the_same_on_the_wire() {
    let Some(bench) = bench("tags_beside_frames_are_the_same_on_the_wire") else {
        return;
    };
    let shipped = std::fs::read_to_string(bench.package.join("lab.toml")).expect("a topology");
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for (name, from, to) in [
        (
            "beside",
            "wire = \"w0\"\n\n[[wire]]",
            "wire = \"w0\"\nvlan_offload = true\n\n[[wire]]",
        ),
        (
            "in-band",
            "values = { Mode = 0 }",
            "values = { Mode = 2, InBandTags = 1 }",
        ),
    ] {
        assert!(shipped.contains(from), "{name}");
        let text = shipped.replacen(from, to, 1);
        let file = place.join(format!("mux-{name}.toml"));
        std::fs::write(&file, text).expect("written");
        let file = file.to_string_lossy();
        let run = bench.clean(&["--topology", &file, "--seed", "5"]);
        assert_eq!(run.step("isolation, private")["ok"], true);
    }
}

/// 4,094 ports on one adapter, each on a VLAN of its own, 64 of them with traffic.
#[test]
fn every_vlan_has_its_port() {
    let Some(bench) = bench("every_vlan_has_its_port") else {
        return;
    };
    let run = bench.clean(&["--scenario", "all-vlans"]);
    let detail = run.step("bind and start")["detail"].to_string();
    assert!(detail.contains("4094 virtual miniports"), "{detail}");
    for name in [
        "each port hears its VLAN",
        "each port speaks in its VLAN",
        "frames that nobody asked for",
        "floods on 64 ports",
    ] {
        assert_eq!(run.step(name)["ok"], true, "{name}");
    }
}

/// 10,000 schedules that add, remove, retag, pause, sleep and unbind under traffic: no
/// leak, loss or doubling but for the port concerned.
#[test]
fn ten_thousand_schedules_are_clean() {
    let Some(bench) = bench("ten_thousand_schedules_are_clean") else {
        return;
    };
    let started = Instant::now();
    let each = SCHEDULES / PROCESSES;
    let runs: Vec<_> = (0..PROCESSES)
        .map(|number| {
            let (seed, count) = ((number * each).to_string(), each.to_string());
            let args = [
                "--scenario",
                "churn",
                "--seed",
                &seed,
                "--schedules",
                &count,
            ];
            let mut command = bench.command(&args);
            command.stdout(std::process::Stdio::piped());
            command.stderr(std::process::Stdio::piped());
            command.spawn().expect("the lab runs")
        })
        .collect();
    let mut received = 0;
    let mut done = std::collections::BTreeMap::new();
    for run in runs {
        let output = run.wait_with_output().expect("the lab ends");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        // A schedule that failed is named with its seed.
        assert_eq!(output.status.code(), Some(0), "{text}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        let run = Run { report, text };
        let detail = run.step("schedules")["detail"].as_str().expect("a text");
        assert_eq!(detail, format!("{each} of {each} clean"));
        let udp = &run.list("udp")[0];
        for what in ["lost", "duplicated", "damaged", "reordered"] {
            assert_eq!(udp[what], 0, "{what}");
        }
        received += udp["received"].as_u64().unwrap_or(0);
        for counter in run.list("counters") {
            if let (Some(name), Some(value)) = (counter["name"].as_str(), counter["value"].as_u64())
            {
                *done.entry(name.to_owned()).or_insert(0) += value;
            }
        }
    }
    println!(
        "{SCHEDULES} schedules: {:.1} s; {done:?}",
        started.elapsed().as_secs_f32()
    );
    assert!(received > 80 * SCHEDULES, "{received} frames arrived");
    for what in [
        "add",
        "remove",
        "retag",
        "restart",
        "pause",
        "sleep",
        "pause below",
        "sleep below",
        "link flap",
    ] {
        let times = done.get(what).copied().unwrap_or(0);
        assert!(times > SCHEDULES / 20, "{what}: {times}");
    }
}

/// The scenarios of every driver: life after life, removal by surprise, every failing
/// call, malformed frames and registry values.
#[test]
fn what_every_driver_survives() {
    let Some(bench) = bench("what_every_driver_survives") else {
        return;
    };
    bench.clean(&["--scenario", "cycles", "--cycles", "300"]);
    for seed in ["1", "2"] {
        bench.clean(&["--scenario", "surprise", "--seed", seed]);
    }
    bench.clean(&["--scenario", "driver-entry"]);
    let run = bench.clean(&["--scenario", "malformed"]);
    assert_eq!(run.step("sound frames beside them")["ok"], true);
}

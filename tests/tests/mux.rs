//! The one-to-many driver in the lab: who hears whom, ports that come and go, a port on
//! every VLAN, and ten thousand schedules.
//!
//! `cargo xtask test` builds the lab and the packages; without them each test skips itself.

use std::path::PathBuf;
use std::time::Instant;

use workspace_tests::{Bench, Run};

/// Schedules in all, and how many processes share them.
const SCHEDULES: u64 = 10_000;
const PROCESSES: u64 = 2;

fn bench(test: &str) -> Option<Bench> {
    Bench::of(test, "mux")
}

/// What a listener heard of a speaker, in the matrix of a title.
fn heard<'a>(run: &'a Run, title: &str, speaker: &str, tagged: &str, listener: &str) -> &'a str {
    let matrix = run.list("matrices").iter().find(|m| m["title"] == title);
    let matrix = matrix.unwrap_or_else(|| panic!("no matrix {title:?}:\n{}", run.text));
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
        let private = |speaker, tagged, listener| heard(&run, "private", speaker, tagged, listener);
        assert_eq!(private("wire", "VLAN 10", "p10"), "B M U");
        assert_eq!(private("wire", "VLAN 10", "p20"), "-");
        assert_eq!(private("wire", "VLAN 20", "p20own"), "B M U");
        assert_eq!(private("wire", "untagged", "p10"), "-");
        assert_eq!(private("wire", "untagged", "pplain"), "B M U");
        assert_eq!(private("wire", "VLAN 4095", "pplain"), "-");
        assert_eq!(private("p20", "untagged", "p20own"), "-");
        assert_eq!(private("p20", "VLAN 10", "wire"), "-");
        assert_eq!(private("p20", "untagged", "wire"), "B L M U m o3");
        assert_eq!(heard(&run, "bridge", "p20", "untagged", "p20own"), "B M U");
        assert_eq!(
            heard(&run, "bridge", "p20", "untagged", "wire"),
            "B L M U m o2"
        );
        assert_eq!(heard(&run, "vepa", "p20", "untagged", "p20own"), "-");
        let reflected = "vepa, the far end sends back what it hears";
        assert_eq!(heard(&run, reflected, "p20", "untagged", "p20own"), "B M U");
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
            let (seed, count) = (number * each, each);
            format!("--scenario churn --seed {seed} --schedules {count}")
        })
        .map(|args| args.split(' ').map(str::to_owned).collect())
        .collect();
    let mut received = 0;
    let mut done = std::collections::BTreeMap::new();
    // A schedule that failed is named with its seed.
    for run in bench.clean_side_by_side(&runs) {
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

/// What is written for one miniport above one adapter says so, and runs nothing.
#[test]
fn a_scenario_of_one_to_one_is_refused() {
    let Some(bench) = bench("a_scenario_of_one_to_one_is_refused") else {
        return;
    };
    let run = bench.run(&["--scenario", "pnp"]);
    assert_eq!(run.code, 2, "{}", run.said());
    assert_eq!(run.report["verdict"], "bad_input");
    let said = "one miniport above one adapter";
    assert!(run.said().contains(said), "{}", run.said());
}

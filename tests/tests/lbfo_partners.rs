//! A team with partners of others: Open vSwitch's bond below, Linux at both ends, tshark for
//! the wires; and the benchmark of teams, of which no figure is judged here.
//!
//! `cargo xtask test` builds the lab and the packages; without them, without a partner or
//! without the right to make network namespaces each test skips itself.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use workspace_tests::Bench;
use workspace_tests::tap::Tap;

/// The shipped topology with other settings of team and switch.
fn topology(bench: &Bench, changes: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(bench.package.join("lab.toml")).expect("a topology");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    text
}

/// Runs it and looks at what both sides said.
fn bond(test: &str, changes: &[(&str, &str)], said: &str) {
    let Some(bench) = Bench::of(test, "lbfo") else {
        return;
    };
    let text = topology(&bench, changes);
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let Some(run) = Tap::run(test, &bench, &place, Some(&text), &[]) else {
        return;
    };
    for (path, sent, answered) in run.pings() {
        assert_eq!(sent, answered, "{path}");
    }
    assert!(run.steps("Open vSwitch")[0].contains(said), "{}", run.text);
    assert_eq!(run.steps("the bond is up").len(), 1);
    assert_eq!(run.steps("iperf3, TCP").len(), 2);
    for member in 0..2 {
        let name = format!("member {member} pulled and put back under iperf3");
        assert_eq!(run.steps(&name).len(), 1, "{name}");
    }
    for when in ["with all members", "after members were pulled and put back"] {
        let name = format!("LACP: both sides agree {when}");
        assert_eq!(run.steps(&name).len(), 1, "{name}");
    }
    for wire in 0..2 {
        let read = run.steps(&format!("tshark, wire {wire}"));
        assert!(read[0].contains(" 0 malformed"), "{read:?}");
        assert!(!read[0].contains(" 0 LACPDUs"), "{read:?}");
    }
}

/// Acceptance: `lacp=active`, fast, balance-tcp.
#[test]
fn a_fast_bond_agrees_and_survives_pulled_members() {
    bond(
        "a_fast_bond_agrees_and_survives_pulled_members",
        &[],
        "balance-tcp, LACP active, fast",
    );
}

/// The same, slow on both sides.
#[test]
fn a_slow_bond_agrees_and_survives_pulled_members() {
    bond(
        "a_slow_bond_agrees_and_survives_pulled_members",
        &[
            ("bond = \"lacp\"", "bond = \"lacp\"\nfast = false"),
            ("Mode = 2,", "Mode = 2, LacpFast = 0,"),
        ],
        "balance-tcp, LACP active, slow",
    );
}

/// The switch sends on one member at a time.
#[test]
fn an_active_backup_bond_agrees_and_survives_pulled_members() {
    bond(
        "an_active_backup_bond_agrees_and_survives_pulled_members",
        &[(
            "bond = \"lacp\"",
            "bond = \"lacp\"\nspread = \"active-backup\"",
        )],
        "active-backup, LACP active, fast",
    );
}

/// The benchmark measures every mode, and says so.
#[test]
fn the_benchmark_of_teams_measures() {
    let Some(bench) = Bench::of("the_benchmark_of_teams_measures", "lbfo") else {
        return;
    };
    let one = bench.packages.join("passthrough");
    if !one.join("manifest.json").is_file() {
        println!("SKIP the_benchmark_of_teams_measures: no package of passthrough");
        return;
    }
    let output = Command::new(&bench.lab)
        .arg("bench-team")
        .arg("--one")
        .arg(&one)
        .arg("--team")
        .arg(&bench.package)
        .args(["--members", "1,2,32", "--passes", "3", "--json"])
        .output()
        .expect("the lab runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let figures = report["figures"].as_array().expect("figures");
    // Modes, sizes, ways, batches.
    assert_eq!(figures.len(), 5 * 3 * 2 * 3);
    for figure in figures {
        for name in ["through", "without", "one", "ratio"] {
            let value = figure[name].as_f64().expect("a number");
            assert!(value.is_finite() && value > 0.0, "{figure}");
        }
    }
}

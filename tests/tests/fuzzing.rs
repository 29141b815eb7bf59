//! Short searches for what breaks the drivers, and every file that such a search has left.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use workspace_tests::Bench;

/// All of them.
const TARGETS: [&str; 5] = ["frames", "oids", "control", "configuration", "orders"];
/// Plans for each target in these tests: with a number of plans a search is the same everywhere.
const PLAYS: &str = "150";

fn lab(bench: &Bench, command: &str, out: &Path, more: &[&str]) -> Output {
    let output = Command::new(&bench.lab)
        .arg(command)
        .arg(&bench.package)
        .arg("--out")
        .arg(out)
        .args(more)
        .output();
    output.expect("the lab runs")
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

fn place(bench: &Bench, test: &str) -> PathBuf {
    let out = bench.packages.join("../fuzzing").join(test);
    let _ = std::fs::remove_dir_all(&out);
    out
}

/// The number before a word.
fn number(text: &str, before: &str) -> u64 {
    let words: Vec<&str> = text.split_whitespace().collect();
    let found = words
        .windows(2)
        .find(|w| w[1].trim_end_matches(',') == before);
    found.and_then(|w| w[0].parse().ok()).unwrap_or(0)
}

fn search(test: &str, driver: &str) {
    let Some(bench) = Bench::of(test, driver) else {
        return;
    };
    let out = place(&bench, test);
    for target in TARGETS {
        let output = lab(
            &bench,
            "fuzz",
            &out,
            &["--target", target, "--plays", PLAYS],
        );
        let text = said(&output);
        assert_eq!(output.status.code(), Some(0), "{target}: {text}");
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{target}: ")))
            .unwrap_or_else(|| panic!("{target} said nothing: {text}"));
        println!("{driver} {line}");
        assert_eq!(number(line, "plans").to_string(), PLAYS, "{line}");
        // What it reaches is what it is guided by.
        assert!(number(line, "kept") > 0, "{line}");
        assert!(number(line, "basic") > 500, "{line}");
    }
}

#[test]
fn passthrough_survives_a_short_search() {
    search("passthrough_survives_a_short_search", "passthrough");
}

#[test]
fn mux_survives_a_short_search() {
    search("mux_survives_a_short_search", "mux");
}

#[test]
fn lbfo_survives_a_short_search() {
    search("lbfo_survives_a_short_search", "lbfo");
}

/// A search of a number of plans is the same again.
#[test]
fn a_search_is_the_same_again() {
    let test = "a_search_is_the_same_again";
    let Some(bench) = Bench::of(test, "passthrough") else {
        return;
    };
    let out = place(&bench, test);
    let line = || {
        let args = ["--target", "oids", "--plays", "60", "--seed", "7"];
        let text = said(&lab(&bench, "fuzz", &out, &args));
        let line = text.lines().find(|line| line.starts_with("oids: "));
        let line = line.unwrap_or_else(|| panic!("{text}")).to_owned();
        // All but the time it took.
        let (before, after) = line.split_once(" s,").unwrap_or_else(|| panic!("{line}"));
        let plans = before.split(" in ").next().unwrap_or_default();
        format!("{plans}{after}")
    };
    assert_eq!(line(), line());
}

/// What a search found once stays mended.
#[test]
fn every_regression_is_clean() {
    let test = "every_regression_is_clean";
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/lab-verify/regressions");
    let mut played = 0;
    for folder in std::fs::read_dir(&all).into_iter().flatten().flatten() {
        let driver = folder.file_name().to_string_lossy().into_owned();
        if !folder.path().is_dir() {
            continue;
        }
        let Some(bench) = Bench::of(test, &driver) else {
            return;
        };
        let out = place(&bench, test);
        for file in std::fs::read_dir(folder.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = file.path();
            let plan = path.display().to_string();
            let output = lab(&bench, "trace", &out, &["--plan", &plan]);
            assert_eq!(output.status.code(), Some(0), "{plan}: {}", said(&output));
            played += 1;
        }
    }
    println!("{played} regression files played");
}

//! `lab verify` and `lab replay`: the drivers are clean, a broken one is found, its scenario
//! shrunk, and its failure repeated bit for bit.
//!
//! `cargo xtask test` builds the lab and the packages; without them each test skips itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use workspace_tests::{Bench, misdeeds};

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the lab runs");
    println!("{command:?}: {}", output.status);
    output
}

fn text(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{}{err}", String::from_utf8_lossy(&output.stdout))
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)))
}

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("lab-verify-{name}-{}", std::process::id()));
    let _left_over = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

/// No rule is broken by any driver, in any of its configurations and by any suite: fixed plans,
/// each call that can fail made to fail, adapters that vanish, races, random schedules. Each of
/// the known fault sites is reached, or its driver says why not.
fn breaks_no_rule(test: &str, driver: &str, known: u64) {
    let Some(bench) = Bench::of(test, driver) else {
        return;
    };
    let mut command = Command::new(&bench.lab);
    command.arg("verify").arg(&bench.package);
    command.args(["--scenarios", "6000", "--json", "--watchdog", "120"]);
    let output = run(&mut command);
    let document = document(&output);
    assert_eq!(document["failures"], serde_json::json!([]), "{driver}");
    for part in document["parts"].as_array().expect("parts") {
        assert_eq!(part["report"]["wrong"], 0, "{driver}: {part:#}");
        assert_eq!(part["deaths"], serde_json::json!([]), "{driver}: {part:#}");
    }
    let number = |key: &str| document[key].as_u64().expect("a number");
    println!(
        "{driver}: {} plays in {} ms, {} of {} fault sites",
        number("plays"),
        number("wall_ms"),
        number("sites_hit"),
        number("sites_known")
    );
    let missed = document["sites_missed"].as_array().expect("missed sites");
    let explained = |site: &Value| site["reason"].as_str().is_some_and(|why| !why.is_empty());
    assert!(missed.iter().all(explained), "{driver}: {missed:#?}");
    assert_eq!(
        number("sites_hit") + missed.len() as u64,
        number("sites_known")
    );
    assert!(number("sites_known") >= known, "{driver}");
    assert!(number("plays") > 5000, "{driver}");
    assert_eq!(output.status.code(), Some(0));
    let rules = document["rules"].as_array().expect("rules");
    let sum = |key: &str| rules.iter().filter_map(|r| r[key].as_u64()).sum::<u64>();
    assert!(sum("watched") > 100 && sum("exercised") > 80, "{driver}");
    assert_eq!(sum("exercised"), sum("held"));
}

#[test]
fn passthrough_breaks_no_rule() {
    breaks_no_rule("passthrough_breaks_no_rule", "passthrough", 36);
}

#[test]
fn mux_breaks_no_rule() {
    breaks_no_rule("mux_breaks_no_rule", "mux", 70);
}

#[test]
fn lbfo_breaks_no_rule() {
    breaks_no_rule("lbfo_breaks_no_rule", "lbfo", 65);
}

/// A reason for a call that is reached, and one for a call that there is not, fail the run.
#[test]
fn a_wrong_reason_is_found() {
    let Some(bench) = Bench::of("a_wrong_reason_is_found", "passthrough") else {
        return;
    };
    let dir = folder("reasons");
    let copy = |from: &str, to: &str| {
        std::fs::copy(bench.package.join(from), dir.join(to)).expect("a file of the package");
    };
    copy("x64/passthrough.sys", "passthrough.sys");
    copy("symbols/x64/passthrough.pdb", "passthrough.pdb");
    copy("lab.toml", "lab.toml");
    let reasons = r#"
[[site]]
call = "NdisSendNetBufferLists"
within = "no_such_function"
reason = "there is none"

[[site]]
call = "NdisOpenAdapterEx"
within = "bind"
reason = "nobody binds"
"#;
    std::fs::write(dir.join("unreached.toml"), reasons).expect("reasons");
    let mut command = Command::new(&bench.lab);
    command.arg("verify").arg(dir.join("passthrough.sys"));
    command.arg("--topology").arg(dir.join("lab.toml"));
    command.args(["--service", "ImPassthrough", "--suite", "plans"]);
    let output = run(&mut command);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("NdisSendNetBufferLists in no_such_function, which does not exist"));
    assert!(said.contains("is reached, and unreached.toml says why not: nobody binds"));
    std::fs::remove_dir_all(&dir).expect("it is ours");
}

/// What a driver that forgets to complete sends looks like to everybody: found, shrunk to a
/// few actions, and played again exactly the same, from elsewhere, under load, at other
/// addresses.
#[test]
fn a_failure_is_shrunk_and_repeats() {
    let Some(bench) = Bench::of("a_failure_is_shrunk_and_repeats", "passthrough") else {
        return;
    };
    let Some(misdeed) = std::env::var_os("IM_MISDEED_IMAGE").map(PathBuf::from) else {
        println!("SKIP a_failure_is_shrunk_and_repeats: no driver with misdeeds");
        return;
    };
    let dir = folder("broken");
    let image = dir.join("broken.sys");
    std::fs::write(
        &image,
        misdeeds::chosen(&misdeed, "SND-2", "completed-twice"),
    )
    .expect("an image");
    let service = "ImMisdeed";
    let topology = bench.package.join("lab.toml");
    let found = dir.join("found");
    let mut command = Command::new(&bench.lab);
    command.arg("verify").arg(&image).arg("--topology");
    command.arg(&topology).args(["--service", service]);
    command.args(["--suite", "plans", "--json", "--out"]);
    let output = run(command.arg(&found));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let failures = document(&output);
    let failure = &failures["parts"][0]["report"]["failures"][0];
    let actions = |which: &str| failure[which]["action"].as_array().map_or(0, Vec::len);
    assert!(actions("short") <= 5, "{failure:#}");
    assert!(actions("short") < actions("plan"));
    let rule = failure["ids"][0].as_str().expect("an id").to_owned();
    let number = failure["number"].as_str().expect("a number");
    let scenario = found.join(format!("{number}.toml"));

    let stop = AtomicBool::new(false);
    let mut hashes = Vec::new();
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let here = std::env::current_dir().expect("a directory");
        for (from, fixed) in [(&*here, false), (Path::new("/"), false), (&*dir, true)] {
            let mut command = if fixed {
                let mut command = Command::new("setarch");
                command.arg("-R").arg(&bench.lab);
                command
            } else {
                Command::new(&bench.lab)
            };
            command.arg("replay").arg(number).arg(&image);
            command.arg("--topology").arg(&topology);
            command.args(["--service", service, "--times", "4", "--json"]);
            let output = run(command.current_dir(from));
            assert_eq!(output.status.code(), Some(1), "{}", text(&output));
            let document = document(&output);
            let ids = document["ids"].as_array().expect("ids").clone();
            assert!(ids.iter().any(|id| *id == rule), "{ids:?} lacks {rule}");
            let all = document["hashes"].as_array().expect("hashes").clone();
            assert_eq!(all.len(), 5, "four plays, and one that is traced");
            hashes.extend(all);
            assert!(
                text(&output).contains("MiniportSendNetBufferLists"),
                "a trace"
            );
        }
        stop.store(true, Ordering::Relaxed);
        busy.join().expect("it ends");
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");

    // The scenario file fails by the same rule, and passes on the driver that is right.
    let mut command = Command::new(&bench.lab);
    command.arg("replay").arg(&scenario).arg(&image);
    command.args(["--service", service, "--trace", "0"]);
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains(&rule));
    let mut command = Command::new(&bench.lab);
    command.arg("replay").arg(&scenario).arg(&bench.package);
    let output = run(command.args(["--trace", "0"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    std::fs::remove_dir_all(&dir).expect("it is ours");
}

#[test]
fn scenarios_that_once_failed_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/lab-verify/regressions");
    let mut played = 0;
    for entry in std::fs::read_dir(root).expect("regressions") {
        let path = entry.expect("entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let driver = name.split('-').next().unwrap_or_default();
        let Some(bench) = Bench::of("scenarios_that_once_failed_pass", driver) else {
            return;
        };
        let mut command = Command::new(&bench.lab);
        command.arg("replay").arg(&path).arg(&bench.package);
        let output = run(command.args(["--trace", "0"]));
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output));
        played += 1;
    }
    assert!(played >= 2);
}

#[test]
fn mistakes_are_named() {
    let Some(bench) = Bench::of("mistakes_are_named", "passthrough") else {
        return;
    };
    let dir = folder("mistakes");
    let file = dir.join("bad.toml");
    std::fs::write(&file, "[[action]]\ndo = \"entri\"\n").expect("a file");
    let lab = |args: &[&str]| {
        let mut command = Command::new(&bench.lab);
        command.args(args).arg(&bench.package);
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        text(&output)
    };
    let said = lab(&["replay", &file.display().to_string()]);
    let place = format!("{}:2:6: there is no action `entri`", file.display());
    assert!(said.contains(&place), "{said}");
    assert!(said.contains("did you mean `entry`?"), "{said}");
    let said = lab(&["replay", "0xfff4000000000001"]);
    assert!(said.contains("is of none of the drivers"), "{said}");
    let said = lab(&["verify", "--suite", "fault"]);
    assert!(said.contains("did you mean `faults`?"), "{said}");
    std::fs::remove_dir_all(&dir).expect("it is ours");
}

//! The exercises of the course: their checkers fail on what a student starts with, and pass
//! on a solution. The solutions are in `tests/exercises`, away from the students' folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use workspace_tests::Bench;

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace").to_owned()
}

/// Runs a checker on an answer; its exit code and what it said.
fn check(bench: &Bench, name: &str, answer: &Path) -> (i32, String) {
    let output = Command::new(&bench.lab)
        .args(["exercise", name, "--packages"])
        .arg(&bench.packages)
        .arg("--answer")
        .arg(answer)
        .output()
        .expect("the lab runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), said)
}

/// What is given fails for what it lacks, and the solution passes.
fn judged(driver: &str) {
    let Some(bench) = Bench::of(&format!("exercises of {driver}"), driver) else {
        return;
    };
    for number in 1..=3 {
        let name = format!("{driver}-{number}");
        let given = root().join("docs/exercises").join(&name);
        let (code, said) = check(&bench, &name, &given);
        assert_eq!(code, 1, "{name} as it is given:\n{said}");
        assert!(
            said.contains("not yet"),
            "{name} says what is missing:\n{said}"
        );
        let solved = root().join("tests/exercises").join(&name);
        let (code, said) = check(&bench, &name, &solved);
        assert_eq!(code, 0, "{name} as it is solved:\n{said}");
        assert!(!said.contains("not yet"), "{said}");
    }
}

#[test]
fn exercises_of_passthrough_are_judged() {
    judged("passthrough");
}

#[test]
fn exercises_of_mux_are_judged() {
    judged("mux");
}

#[test]
fn exercises_of_lbfo_are_judged() {
    judged("lbfo");
}

/// Wrong answers of other kinds than the one that is given.
#[test]
fn near_misses_are_not_solutions() {
    let Some(bench) = Bench::of("near_misses_are_not_solutions", "mux") else {
        return;
    };
    let folder = std::env::temp_dir().join(format!("im-exercise-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let solved = |name: &str, file: &str| {
        let path = root().join("tests/exercises").join(name).join(file);
        std::fs::read_to_string(path).expect("a solution")
    };
    let topology = solved("mux-1", "topology.toml");
    let answer = solved("passthrough-3", "answer.toml");
    let order = solved("passthrough-2", "answer.toml");
    let kept = order
        .lines()
        .filter(|line| !line.contains("NdisCloseAdapterEx"));
    let shortened = kept.collect::<Vec<_>>().join("\n");
    let cases = [
        // Bridge mode, and everybody in one VLAN.
        ("mux-1", "topology.toml", topology.replace("20", "10"), 1),
        // Apart, but no bridge.
        (
            "mux-1",
            "topology.toml",
            topology.replace("Mode = 2", "Mode = 0"),
            1,
        ),
        // Nobody is there: no isolation either.
        (
            "mux-1",
            "topology.toml",
            topology.replace("\"red2\", \"blue\"", "\"red2\""),
            2,
        ),
        (
            "passthrough-3",
            "answer.toml",
            answer.replace("SND-21", "SND-2"),
            1,
        ),
        ("passthrough-2", "answer.toml", shortened, 1),
        ("passthrough-2", "answer.toml", "order = [".to_owned(), 2),
        ("passthrough-2", "answer.toml", "ordre = []".to_owned(), 2),
    ];
    for (name, file, text, expected) in cases {
        std::fs::write(folder.join(file), &text).expect("an answer");
        let (code, said) = check(&bench, name, &folder);
        assert_eq!(code, expected, "{name}:\n{text}\n{said}");
    }
    std::fs::remove_dir_all(&folder).expect("the folder");
}

/// Each exercise has a task, a file to edit and a solution, and the page of its topology
/// names it.
#[test]
fn every_exercise_is_whole() {
    let names = |folder: &str| -> BTreeSet<String> {
        std::fs::read_dir(root().join(folder))
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    };
    let given = names("docs/exercises");
    assert_eq!(given.len(), 9, "{given:?}");
    assert_eq!(given, names("tests/exercises"));
    for name in &given {
        let files = names(&format!("docs/exercises/{name}"));
        assert!(
            files.contains("task.md") && files.len() == 2,
            "{name}: {files:?}"
        );
        let solution = names(&format!("tests/exercises/{name}"));
        assert!(solution.iter().all(|file| files.contains(file)), "{name}");
        let (driver, _) = name.split_once('-').expect("a number");
        let page = std::fs::read_to_string(root().join(format!("docs/{driver}.md")));
        let page = page.expect("the page of the topology");
        let link = format!("exercises/{name}/task.md");
        assert!(
            page.contains(&link),
            "docs/{driver}.md does not name {name}"
        );
    }
}

//! A recorded failure is the same failure everywhere: ten replays under load, as other users,
//! from other directories, with and without address randomisation.
//!
//! `cargo xtask test` builds the lab and the packages; without them the test skips itself.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use workspace_tests::{Bench, misdeeds};

/// A user and group that own nothing, on every Linux.
const NOBODY: &str = "65534";

/// A folder that any user may read, with the lab, a broken driver and its topology in it.
struct Place {
    dir: PathBuf,
    lab: PathBuf,
    image: PathBuf,
    topology: PathBuf,
}

impl Place {
    fn new(bench: &Bench, misdeed: &Path) -> Self {
        let dir = std::env::temp_dir().join(format!("lab-replay-{}", std::process::id()));
        let _left_over = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a folder");
        let copy = |from: &Path, name: &str| {
            let to = dir.join(name);
            std::fs::copy(from, &to).expect("a copy");
            to
        };
        let place = Self {
            lab: copy(&bench.lab, "lab"),
            topology: copy(&bench.package.join("lab.toml"), "lab.toml"),
            image: dir.join("broken.sys"),
            dir: dir.clone(),
        };
        let image = misdeeds::chosen(misdeed, "SND-2", "completed-twice");
        std::fs::write(&place.image, image).expect("an image");
        for path in [&place.dir, &place.lab] {
            let all = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(path, all).expect("permissions");
        }
        for path in [&place.image, &place.topology] {
            let all = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(path, all).expect("permissions");
        }
        place
    }

    /// `lab COMMAND WHAT`, on the image, with its service and topology; `around` goes before.
    fn command(&self, around: &[&str], args: &[&str]) -> Command {
        let mut command = match around.split_first() {
            None => Command::new(&self.lab),
            Some((program, rest)) => {
                let mut command = Command::new(program);
                command.args(rest).arg(&self.lab);
                command
            }
        };
        command.args(args).arg(&self.image);
        command.arg("--topology").arg(&self.topology);
        command.args(["--service", "ImMisdeed", "--json"]);
        command
    }
}

fn document(command: &mut Command) -> Value {
    let output = command.output().expect("the lab runs");
    let err = String::from_utf8_lossy(&output.stderr);
    println!("{command:?}: {}", output.status);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {err}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {err}"))
}

/// Takes out the raw bytes of stacks: below the driver's own frames lie addresses of the lab's
/// code, which randomisation moves.
fn without_stack_bytes(value: &mut Value) {
    match value {
        Value::Object(of) => {
            if let Some(stack) = of.get_mut("stack").and_then(Value::as_object_mut) {
                stack.remove("bytes");
            }
            of.values_mut().for_each(without_stack_bytes);
        }
        Value::Array(all) => all.iter_mut().for_each(without_stack_bytes),
        _ => {}
    }
}

/// Says that it is over, also when a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

#[test]
fn a_recorded_failure_repeats_in_ten_runs_of_ten() {
    const TEST: &str = "a_recorded_failure_repeats_in_ten_runs_of_ten";
    let Some(bench) = Bench::of(TEST, "passthrough") else {
        return;
    };
    let Some(misdeed) = std::env::var_os("IM_MISDEED_IMAGE").map(PathBuf::from) else {
        println!("SKIP {TEST}: no driver with misdeeds");
        return;
    };
    let place = Place::new(&bench, &misdeed);
    let found = place.dir.join("found");
    let found_text = found.display().to_string();
    let recorded = document(&mut place.command(
        &[],
        &[
            "verify",
            "--suite",
            "schedules",
            "--scenarios",
            "40",
            "--out",
            &found_text,
        ],
    ));
    let failure = &recorded["parts"][0]["report"]["failures"][0];
    let number = failure["number"].as_str().expect("a number");
    let trace = failure["trace"].as_u64().expect("a trace number");
    let scenario = found.join(format!("{number}.toml"));
    let scenario = scenario.display().to_string();
    let text = std::fs::read_to_string(&scenario).expect("the scenario");
    assert!(text.contains(&format!("trace {trace:#018x}")), "{text}");

    // Only root may become somebody else; anybody may come from another directory.
    let set = [
        "setpriv",
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
    ];
    let other: &[&str] = if root() { &set } else { &[] };
    let fixed: &[&str] = &["setarch", "-R"];
    let both = [other, fixed].concat();
    let here = std::env::current_dir().expect("a directory");
    let ways: [(&[&str], &Path); 10] = [
        (&[], &here),
        (&[], &here),
        (&[], Path::new("/")),
        (&[], &place.dir),
        (fixed, &here),
        (fixed, Path::new("/")),
        (other, &place.dir),
        (other, Path::new("/")),
        (&both, &place.dir),
        (&both, Path::new("/")),
    ];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let busy = || {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        scope.spawn(busy);
        scope.spawn(busy);
        // Whatever fails from here on: the two must end.
        let _ends = Ends(&stop);
        let mut first: Option<Value> = None;
        for (around, from) in ways {
            // The shortest scenario: what was recorded is what comes, bit for bit.
            let args = ["replay", &scenario, "--times", "1"];
            let mut said = document(place.command(around, &args).current_dir(from));
            let hashes = said["hashes"].take();
            let recorded = format!("{trace:#018x}");
            let all = hashes.as_array().expect("hashes");
            assert!(all.len() == 2, "a play, and one that is traced: {all:?}");
            assert!(
                all.iter().all(|hash| *hash == *recorded),
                "{around:?}: {all:?}"
            );
            // Rules, texts, objects, registers, times, frames.
            without_stack_bytes(&mut said);
            match &first {
                Some(first) => assert_eq!(said, *first, "{around:?} from {}", from.display()),
                None => first = Some(said),
            }
        }
        // And the play itself by its number, twice.
        let args = ["replay", number, "--times", "1"];
        let mut one = document(place.command(&both, &args).current_dir("/"));
        let mut other = document(place.command(&[], &args).current_dir(&here));
        without_stack_bytes(&mut one);
        without_stack_bytes(&mut other);
        assert_eq!(one, other);
    });
    std::fs::remove_dir_all(&place.dir).expect("it is ours");
}

//! Slow tests that build the project in a second folder, below cargo's folder for
//! temporary files of tests. It stays there, so that the next run is quicker.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard};

use super::pe::{drivers, files_below, sources};

/// Crates that a kernel build of a driver needs: each driver's own, and those of what
/// they share.
const NEEDED_BY_DRIVERS: [&str; 5] = ["wdk-sys", "wdk", "wdk-alloc", "wdk-panic", "wdk-build"];
const NEEDED_BY_ALL: [(&str, &str); 2] = [
    ("arrayvec", "crates/im-core/Cargo.toml"),
    ("heapless", "crates/im-core/Cargo.toml"),
];

#[test]
#[ignore = "builds the drivers a second time, from nothing"]
fn two_builds_in_two_folders_are_identical() {
    let Some(packages) = packages_dir("two_builds_in_two_folders_are_identical") else {
        return;
    };
    let copy = Copy::of_sources();
    let output = copy.xtask(&["package", "--all", "--arch", "x64,arm64"]);
    assert!(output.status.success(), "{}", said(&output));

    same_packages(&packages, &copy.root.join("target/package"));

    // The same key and the same time, the commit's: the same signatures and catalogs.
    let signed = std::env::var_os("IM_SIGNED_DIR").map(PathBuf::from);
    let signed = signed.expect("cargo xtask test signs packages of all drivers");
    let output = copy.xtask(&["package", "--all", "--arch", "x64,arm64", "--sign", "test"]);
    assert!(output.status.success(), "{}", said(&output));
    same_packages(&signed, &copy.root.join("target/package"));
}

/// Every file of every driver's package is the same, and there are as many.
fn same_packages(ours: &Path, theirs: &Path) {
    for driver in drivers() {
        let (ours, theirs) = (ours.join(&driver), theirs.join(&driver));
        let names = files_below(&ours);
        assert_eq!(names, files_below(&theirs), "{driver}: the same files");
        for name in &names {
            let ours = std::fs::read(ours.join(name)).expect("file of ours");
            let theirs = std::fs::read(theirs.join(name)).expect("the same file of the copy");
            // Not `assert_eq`: nobody wants to read two images.
            assert!(ours == theirs, "{driver}: {name} differs");
        }
        println!(
            "{driver}: {} files of two builds in two folders are identical",
            names.len()
        );
        for needed in ["x64", "arm64"].map(|arch| format!("{arch}/{driver}.sys")) {
            assert!(names.contains(&needed), "{driver}: {needed}");
        }
    }
}

#[test]
#[ignore = "builds each driver once without each crate"]
fn each_needed_crate_is_needed() {
    if packages_dir("each_needed_crate_is_needed").is_none() {
        return;
    }
    let copy = Copy::of_sources();
    for driver in drivers() {
        let output = copy.xtask(&["build", &driver]);
        assert!(output.status.success(), "{driver}: {}", said(&output));
        let manifest = format!("drivers/{driver}/Cargo.toml");
        for name in NEEDED_BY_DRIVERS {
            is_needed(&copy, &driver, name, &manifest);
        }
    }
    let first = drivers().swap_remove(0);
    for (name, manifest) in NEEDED_BY_ALL {
        is_needed(&copy, &first, name, manifest);
    }
}

/// Builds `driver` with `name` taken out of `manifest`.
fn is_needed(copy: &Copy, driver: &str, name: &str, manifest: &str) {
    let path = copy.root.join(manifest);
    let whole = std::fs::read_to_string(&path).expect("manifest");
    let without: String = whole
        .lines()
        .filter(|line| !depends_on(line, name))
        // The feature that switches the build script on names its dependency.
        .map(|line| line.replace(&format!("\"dep:{name}\""), "") + "\n")
        .collect();
    assert_ne!(whole, without, "{manifest} depends on {name}");
    std::fs::write(&path, without).expect("manifest is written");
    let output = copy.xtask(&["build", driver]);
    std::fs::write(&path, whole).expect("manifest is restored");
    assert!(!output.status.success(), "{driver} does not need {name}");
    // It fails because rustc misses the crate, not for another reason.
    let missed = format!("`{}`", name.replace('-', "_"));
    assert!(said(&output).contains(&missed), "{}", said(&output));
    println!("{driver}: without {name} the build fails, as it should");
}

fn depends_on(line: &str, name: &str) -> bool {
    line.strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(".workspace") || rest.starts_with(" ="))
}

fn packages_dir(test: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("IM_PACKAGES_DIR").map(PathBuf::from);
    if dir.is_none() {
        println!("SKIP {test}: no packages; `cargo xtask test` makes them");
    }
    dir
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One test at a time works on the copy.
static IN_USE: Mutex<()> = Mutex::new(());

/// The working tree's sources in a folder of another name and length.
struct Copy {
    root: PathBuf,
    _guard: MutexGuard<'static, ()>,
}

impl Copy {
    fn of_sources() -> Self {
        let guard = IN_USE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("second-build/in/another/folder");
        std::fs::create_dir_all(&root).expect("folder of the copy");
        let parts = [
            "Cargo.toml",
            "Cargo.lock",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            ".cargo",
            "crates",
            "drivers",
            "inf",
            "tests",
            "xtask",
        ];
        for part in parts {
            mirror(&sources().join(part), &root.join(part));
        }
        Self {
            root,
            _guard: guard,
        }
    }

    /// Runs this project's xtask on the copy.
    fn xtask(&self, args: &[&str]) -> Output {
        let xtask = std::env::var_os("IM_XTASK").expect("cargo xtask test names itself");
        let mut cmd = Command::new(xtask);
        cmd.current_dir(&self.root)
            .env("CARGO_MANIFEST_DIR", self.root.join("xtask"))
            // The copy has no repository; the date of the INFs is the commit's.
            .env("SOURCE_DATE_EPOCH", commit_time())
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET_DIR");
        cmd.arg("--offline")
            .args(args)
            .output()
            .expect("xtask starts")
    }
}

/// Makes `to` what `from` is. Files that are right already keep their time, so that
/// cargo does not build them again.
fn mirror(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("folder");
        let names = |dir: &Path| {
            let entries = std::fs::read_dir(dir).expect("folder");
            entries
                .map(|e| e.expect("entry").file_name())
                .collect::<Vec<_>>()
        };
        let wanted = names(from);
        for name in names(to).iter().filter(|n| !wanted.contains(n)) {
            let path = to.join(name);
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(path)
            } else {
                std::fs::remove_file(path)
            };
            removed.expect("what is no more goes");
        }
        for name in wanted {
            mirror(&from.join(&name), &to.join(&name));
        }
    } else {
        let content = std::fs::read(from).expect("file");
        if std::fs::read(to).ok().as_ref() != Some(&content) {
            std::fs::write(to, content).expect("file is written");
        }
    }
}

fn commit_time() -> String {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH") {
        return time;
    }
    let mut git = Command::new("git");
    let output = git
        .args(["show", "-s", "--format=%ct", "HEAD"])
        .current_dir(sources())
        .output();
    let output = output.expect("git tells the date of the commit");
    String::from_utf8(output.stdout)
        .expect("a number")
        .trim()
        .to_owned()
}

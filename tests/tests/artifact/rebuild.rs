//! Slow tests that build the project in other folders.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Crates that a kernel build of the drivers needs, and where they are depended on.
const NEEDED: [(&str, &str); 7] = [
    ("wdk-sys", "drivers/passthrough/Cargo.toml"),
    ("wdk", "drivers/passthrough/Cargo.toml"),
    ("wdk-alloc", "drivers/passthrough/Cargo.toml"),
    ("wdk-panic", "drivers/passthrough/Cargo.toml"),
    ("wdk-build", "drivers/passthrough/Cargo.toml"),
    ("arrayvec", "crates/im-core/Cargo.toml"),
    ("heapless", "crates/im-core/Cargo.toml"),
];

#[test]
#[ignore = "builds the driver a second time, from nothing"]
fn two_builds_in_two_folders_are_identical() {
    let Some(packages) = packages_dir("two_builds_in_two_folders_are_identical") else {
        return;
    };
    let copy = copy_of_sources();
    // The copy has no repository; the date of the INFs is the commit's.
    let mut xtask = xtask(copy.path());
    let status = xtask
        .args(["package", "passthrough"])
        .status()
        .expect("xtask starts");
    assert!(status.success(), "the copy packages");

    let (ours, theirs) = (
        packages.join("passthrough"),
        copy.path().join("target/package/passthrough"),
    );
    let mut compared = 0;
    for entry in std::fs::read_dir(&ours).expect("our package") {
        let name = entry.expect("entry").file_name();
        let (a, b) = (
            std::fs::read(ours.join(&name)),
            std::fs::read(theirs.join(&name)),
        );
        assert!(
            a.expect("ours") == b.expect("theirs"),
            "{} differs",
            name.display()
        );
        compared += 1;
    }
    println!("{compared} files of two builds in two folders are identical");
    assert!(compared >= 5);
}

#[test]
#[ignore = "checks the driver once for each crate"]
fn each_needed_crate_is_needed() {
    if packages_dir("each_needed_crate_is_needed").is_none() {
        return;
    }
    let copy = copy_of_sources();
    assert!(build(copy.path()), "the untouched copy builds");
    for (name, manifest) in NEEDED {
        let path = copy.path().join(manifest);
        let whole = std::fs::read_to_string(&path).expect("manifest");
        let without: String =
            whole
                .lines()
                .filter(|l| !depends_on(l, name))
                .fold(String::new(), |t, l| {
                    // The feature that switches the build script on names its dependency.
                    t + &l.replace(&format!("\"dep:{name}\""), "") + "\n"
                });
        assert_ne!(whole, without, "{manifest} depends on {name}");
        std::fs::write(&path, without).expect("manifest is written");
        assert!(!build(copy.path()), "the build does not need {name}");
        println!("without {name} the build fails, as it should");
        std::fs::write(&path, whole).expect("manifest is restored");
    }
}

fn depends_on(line: &str, name: &str) -> bool {
    line.strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(".workspace") || rest.starts_with(" ="))
}

fn build(root: &Path) -> bool {
    let output = xtask(root)
        .args(["build", "passthrough", "--profile", "debug"])
        .output()
        .expect("xtask starts");
    output.status.success()
}

fn packages_dir(test: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("IM_PACKAGES_DIR").map(PathBuf::from);
    if dir.is_none() {
        println!("SKIP {test}: no packages; `cargo xtask test` makes them");
    }
    dir
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("workspace")
}

/// The working tree's sources in a folder of another name and length.
fn copy_of_sources() -> TempDir {
    let dir = tempfile::Builder::new()
        .prefix("ndis-im-second-build-")
        .tempdir()
        .expect("temporary folder");
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        ".cargo",
        "crates",
        "drivers",
        "inf",
        "tests",
        "xtask",
    ] {
        copy(&root().join(name), &dir.path().join(name));
    }
    dir
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("folder");
        for entry in std::fs::read_dir(from).expect("folder") {
            let name = entry.expect("entry").file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        std::fs::copy(from, to).expect("file");
    }
}

/// This project's xtask, working on the copy.
fn xtask(root: &Path) -> Command {
    let xtask = std::env::var_os("IM_XTASK").expect("cargo xtask test names itself");
    let mut cmd = Command::new(xtask);
    cmd.current_dir(root)
        .env("CARGO_MANIFEST_DIR", root.join("xtask"))
        .env("SOURCE_DATE_EPOCH", commit_time());
    cmd.env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET_DIR")
        .arg("--offline");
    cmd
}

fn commit_time() -> String {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH") {
        return time;
    }
    let output = Command::new("git")
        .args(["show", "-s", "--format=%ct", "HEAD"])
        .current_dir(root())
        .output();
    let output = output.expect("git tells the date of the commit");
    String::from_utf8(output.stdout)
        .expect("a number")
        .trim()
        .to_owned()
}

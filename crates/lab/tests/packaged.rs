//! The packaged driver itself, loaded and unloaded; `IM_PACKAGE_DIR` names the package.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use common::run;
use lab::package::{Package, Role};

fn package(test: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("IM_PACKAGE_DIR").map(PathBuf::from);
    if dir.is_none() {
        eprintln!("SKIP {test}: IM_PACKAGE_DIR is not set");
    }
    dir
}

#[test]
fn both_hashes_are_shown() {
    let Some(dir) = package("both_hashes_are_shown") else {
        return;
    };
    let image = Package::open(&dir)
        .and_then(|package| package.required(Role::Image))
        .expect("an image");
    let said = run(&dir, &["--scenario", "load"]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    for line in [
        format!("loaded   sha256 {}", image.sha256),
        format!("packaged sha256 {}", image.sha256),
    ] {
        assert!(said.text.contains(&line), "no `{line}` in:\n{}", said.text);
    }
    assert_eq!(said.json["package"]["loaded_sha256"], image.sha256.as_str());
    assert_eq!(said.json["verdict"], "clean");
    assert_eq!(said.json["violations"], 0);
}

#[test]
fn the_oldest_and_the_newest_version_are_registered_as_they_must() {
    let name = "the_oldest_and_the_newest_version_are_registered_as_they_must";
    let Some(dir) = package(name) else {
        return;
    };
    let load = |version: &str| run(&dir, &["--scenario", "load", "--ndis-version", version]);
    // The target is Windows 10 2004: below 6.84 DriverEntry refuses and leaves nothing.
    let said = load("6.83");
    assert_eq!(said.code, Some(1), "{}", said.text);
    assert!(said.text.contains("status 0xc0010004"), "{}", said.text);
    assert_eq!(said.json["violations"], 0, "{}", said.text);
    // The smaller of what NDIS says and 6.87.
    for (claimed, registered) in [("6.84", "6.84"), ("6.87", "6.87"), ("6.89", "6.87")] {
        let said = load(claimed);
        assert_eq!(said.code, Some(0), "{}", said.text);
        let line = format!("NDIS {registered}");
        assert!(said.text.contains(&line), "no `{line}` in:\n{}", said.text);
    }
}

#[test]
fn a_renamed_package_gets_the_same_verdict() {
    let Some(dir) = package("a_renamed_package_gets_the_same_verdict") else {
        return;
    };
    let copy = tempfile::tempdir().expect("temporary directory");
    let manifest = fs::read_to_string(dir.join("manifest.json")).expect("manifest");
    let mut manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    manifest["driver"] = "zebra".into();
    for (number, file) in manifest["files"]
        .as_array_mut()
        .expect("files")
        .iter_mut()
        .enumerate()
    {
        let name = format!("file{number}.bin");
        let from = dir.join(file["path"].as_str().expect("a path"));
        fs::copy(from, copy.path().join(&name)).expect("copy");
        file["path"] = name.into();
    }
    fs::write(copy.path().join("manifest.json"), manifest.to_string()).expect("write");
    let verdicts = [dir.as_path(), copy.path()].map(|dir: &Path| {
        let said = run(dir, &["--scenario", "load"]);
        (
            said.code,
            said.json["findings"].clone(),
            said.json["summary"].clone(),
        )
    });
    assert_eq!(verdicts[0], verdicts[1]);
    assert_eq!(verdicts[0].0, Some(0));
}

#[test]
fn the_same_seed_is_the_same_run() {
    let Some(dir) = package("the_same_seed_is_the_same_run") else {
        return;
    };
    let arguments = ["--scenario", "load", "--seed", "77", "--cycles", "20"];
    let [first, second] = [(); 2].map(|()| run(&dir, &arguments).json["summary"].clone());
    assert!(
        first["virtual_ns"].as_u64().is_some_and(|ns| ns > 0),
        "{first}"
    );
    assert_eq!(first, second);
}

#[test]
fn everything_imported_is_provided() {
    let Some(dir) = package("everything_imported_is_provided") else {
        return;
    };
    let image = Package::open(&dir)
        .and_then(|package| package.required(Role::Image))
        .expect("an image");
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("imports")
        .arg(&image.path)
        .output()
        .expect("lab starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(", 0 lacking"), "{text}");
}

#[test]
fn ctrl_c_ends_a_run_with_130() {
    let Some(dir) = package("ctrl_c_ends_a_run_with_130") else {
        return;
    };
    let run = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args([
            "run",
            "--json",
            "--scenario",
            "load",
            "--cycles",
            "1000000000",
            "--package",
        ])
        .arg(&dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("lab starts");
    let pid = nix::unistd::Pid::from_raw(run.id() as i32);
    let children = format!("/proc/{pid}/task/{pid}/children");
    let mut child = String::new();
    for _ in 0..500 {
        child = fs::read_to_string(&children).unwrap_or_default();
        if !child.trim().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!child.trim().is_empty(), "no child process appeared");
    std::thread::sleep(Duration::from_millis(300));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("signals");
    let output = run.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(130));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["verdict"]["interrupted"], 2, "{document}");
    assert!(
        !Path::new(&format!("/proc/{}", child.trim())).exists(),
        "the child outlived its parent"
    );
}

//! Bad input gets exit code 2 and a text that says what, where and what next.

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use common::{Image, TOPOLOGY, package};
use lab::package::sha256;

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(arguments)
        .output()
        .expect("lab starts")
}

fn run(package: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["run", "--package", package.to_str().expect("UTF-8")];
    arguments.extend(more);
    lab(&arguments)
}

#[track_caller]
fn assert_refused(output: &Output, texts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for expected in texts {
        assert!(text.contains(expected), "no `{expected}` in:\n{text}");
    }
    assert!(text.contains("error: "), "{text}");
}

#[test]
fn a_missing_package() {
    assert_refused(
        &run(Path::new("no/such/package"), &[]),
        &[
            "there is no package directory",
            "--> no/such/package",
            "cargo xtask package",
        ],
    );
}

#[test]
fn a_missing_manifest_and_a_garbled_one() {
    let dir = tempfile::tempdir().expect("temporary directory");
    assert_refused(&run(dir.path(), &[]), &["has no manifest.json", "help:"]);
    fs::write(dir.path().join("manifest.json"), "{\n\"format\": 1,,}").expect("write");
    assert_refused(&run(dir.path(), &[]), &["garbled", "line 2 column"]);
}

#[test]
fn an_image_that_is_not_the_packaged_one() {
    let dir = package(b"MZ original", TOPOLOGY);
    fs::write(dir.path().join("driver.sys"), b"MZ 0riginal").expect("write");
    assert_refused(
        &run(dir.path(), &[]),
        &[
            "is not the file that was packaged",
            &sha256(b"MZ original"),
            &sha256(b"MZ 0riginal"),
        ],
    );
}

#[test]
fn an_image_that_was_cut_after_packaging() {
    let dir = package(b"MZ original", TOPOLOGY);
    fs::write(dir.path().join("driver.sys"), b"MZ").expect("write");
    assert_refused(
        &run(dir.path(), &[]),
        &["has 2 bytes", "says 11", "truncated"],
    );
}

#[test]
fn an_image_that_is_gone() {
    let dir = package(b"MZ", TOPOLOGY);
    fs::remove_file(dir.path().join("driver.sys")).expect("remove");
    assert_refused(&run(dir.path(), &[]), &["driver.sys, which is not there"]);
}

#[test]
fn mistakes_in_a_topology_are_all_listed() {
    let topology = TOPOLOGY.replace("wire = \"w0\"", "wire = \"w1\"\ncolour = 3");
    let dir = package(b"MZ", &topology);
    assert_refused(
        &run(dir.path(), &[]),
        &["lab.toml:4:", "w1", "colour", "docs/lab.md"],
    );
}

#[test]
fn a_missing_topology_file() {
    let dir = package(b"MZ", TOPOLOGY);
    assert_refused(
        &run(dir.path(), &["--topology", "no/such.toml"]),
        &["cannot read the topology", "--> no/such.toml"],
    );
}

#[test]
fn a_capture_that_cannot_be_written() {
    let dir = package(b"MZ", TOPOLOGY);
    assert_refused(
        &run(dir.path(), &["--pcap", "no/such/dir/x.pcapng"]),
        &["cannot write the capture", "--> no/such/dir/x.pcapng"],
    );
}

#[test]
fn no_room_for_the_capture() {
    let dir = package(&Image::driver(&[0xc3]).bytes(), TOPOLOGY);
    assert_refused(
        &run(dir.path(), &["--pcap", "/dev/full"]),
        &["the capture", "No space left on device", "make room"],
    );
}

#[test]
fn options_that_contradict_each_other() {
    let dir = package(b"MZ", TOPOLOGY);
    assert_refused(
        &run(dir.path(), &["--tap", "--engine", "deterministic"]),
        &["--tap needs --engine realtime"],
    );
}

#[test]
fn json_says_the_same_as_the_text() {
    let output = run(Path::new("no/such/package"), &["--json"]);
    assert_refused(&output, &["there is no package directory"]);
    let document: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one JSON document on stdout");
    assert_eq!(document["verdict"], "bad_input");
    assert_eq!(document["exit_code"], 2);
    assert_eq!(document["trouble"]["blame"], "input");
}

#[test]
fn wrong_usage_is_exit_code_2_too() {
    assert_eq!(lab(&["run"]).status.code(), Some(2));
    assert_eq!(lab(&["fly"]).status.code(), Some(2));
    let help = lab(&["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8_lossy(&help.stdout);
    for line in lab::exit::HELP.lines() {
        assert!(text.contains(line.trim()), "{line} is not in --help");
    }
}

#[test]
fn an_image_that_is_no_pe() {
    let dir = package(b"#!/bin/sh\n", TOPOLOGY);
    assert_refused(
        &run(dir.path(), &[]),
        &["not a complete PE image", "23, 21, 2f, 62", "help:"],
    );
}

#[test]
fn an_image_that_was_truncated_before_packaging() {
    let whole = Image::driver(&[0xc3]).bytes();
    for length in [0, 1, 0x3f, 0x41, 0x100, 0x3ff, 0x401, whole.len() - 1] {
        let dir = package(&whole[..length], TOPOLOGY);
        let output = run(dir.path(), &[]);
        assert_refused(
            &output,
            &["not a complete PE image", "build the package again"],
        );
    }
}

#[test]
fn an_image_for_another_machine_and_no_driver() {
    let arm64 = Image {
        machine: 0xaa64,
        ..Image::driver(&[0xc3])
    };
    let dir = package(&arm64.bytes(), TOPOLOGY);
    assert_refused(
        &run(dir.path(), &[]),
        &["machine 0xaa64", "x86_64-pc-windows-msvc"],
    );
    let program = Image {
        subsystem: 3,
        ..Image::driver(&[0xc3])
    };
    let dir = package(&program.bytes(), TOPOLOGY);
    assert_refused(
        &run(dir.path(), &[]),
        &["subsystem 3", "not a kernel driver"],
    );
}

#[test]
fn imports_that_the_lab_lacks_are_all_named() {
    let image = Image {
        dll: "ndis.sys",
        imports: vec!["NdisFoo", "NdisAllocateMemoryWithTagPriority", "NdisBar"],
        ..Image::driver(&[0xc3])
    }
    .bytes();
    let dir = package(&image, TOPOLOGY);
    assert_refused(
        &run(dir.path(), &[]),
        &[
            "2 functions the lab lacks",
            "ndis.sys!NdisFoo is not provided",
            "ndis.sys!NdisBar is not provided",
            "lab imports",
        ],
    );
    let file = dir.path().join("driver.sys");
    let output = lab(&["imports", file.to_str().expect("UTF-8")]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("3 imports, 2 lacking"), "{text}");
}

#[test]
fn imports_of_what_is_no_image() {
    let dir = package(b"nothing", TOPOLOGY);
    let file = dir.path().join("driver.sys");
    assert_refused(
        &lab(&["imports", file.to_str().expect("UTF-8")]),
        &["not a complete PE image", "driver.sys"],
    );
}

#[test]
fn an_unknown_scenario() {
    let dir = package(&Image::driver(&[0xc3]).bytes(), TOPOLOGY);
    assert_refused(
        &run(dir.path(), &["--scenario", "laod"]),
        &["no scenario `laod`", "did you mean `load`?"],
    );
}

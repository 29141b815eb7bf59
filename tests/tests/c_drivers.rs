//! Drivers in C, compiled against headers that are made of `ndis-sys`: an intermediate driver
//! like any package, and a miniport and a protocol below and above drivers in Rust and in C.
//!
//! `cargo xtask test` builds the lab, the packages and the drivers in C, each with SSE and
//! without, and names them in `IM_LAB`, `IM_PACKAGES_DIR` and `IM_C_DRIVERS_DIR`, and the
//! compiler in `IM_CLANG`. Without them each test skips itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use workspace_tests::{Bench, Run};

fn named(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// The lab and a package: of `IM_C_DRIVERS_DIR` if it is in C, else of `IM_PACKAGES_DIR`.
fn bench(test: &str, driver: &str) -> Option<(Bench, PathBuf)> {
    let (Some(lab), Some(c)) = (named("IM_LAB"), named("IM_C_DRIVERS_DIR")) else {
        println!("SKIP {test}: no lab or no drivers in C; `cargo xtask test` makes them");
        return None;
    };
    if driver.starts_with("c-") {
        let package = c.join(driver);
        let packages = c.clone();
        return Some((
            Bench {
                lab,
                packages,
                package,
            },
            c,
        ));
    }
    Some((Bench::of(test, driver)?, c))
}

fn topology(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/lab/topologies");
    folder.join(name).to_string_lossy().into_owned()
}

/// Every life of an intermediate driver in C holds every rule.
fn lives(test: &str, driver: &str) {
    let Some((bench, _)) = bench(test, driver) else {
        return;
    };
    bench.lawful(&["--scenario", "cycles", "--cycles", "5"]);
    bench.lawful(&["--scenario", "cycles", "--cycles", "5", "--seed", "77"]);
    bench.lawful(&["--scenario", "surprise"]);
}

#[test]
fn an_intermediate_driver_in_c_holds_the_rules() {
    lives("an_intermediate_driver_in_c_holds_the_rules", "c-im");
}

#[test]
fn so_it_does_without_sse() {
    lives("so_it_does_without_sse", "c-im-nosse");
}

/// A miniport in C below a driver below a protocol in C, in one host.
fn layered(test: &str, middle: &str, suffix: &str) {
    let Some((bench, c)) = bench(test, middle) else {
        return;
    };
    let image = |name: &str| format!("{name}={}", c.join(format!("{name}{suffix}")).display());
    let (topology, nic, proto) = (topology("c-layers.toml"), image("c-nic"), image("c-proto"));
    for seed in ["0x5eed", "4"] {
        let files = ["--topology", &topology, "--image", &nic, "--image", &proto];
        let args: Vec<&str> = files.into_iter().chain(["--seed", seed]).collect();
        went_well(&bench.lawful(&args));
    }
}

/// Frames crossed all three, whole, in order and once, and everything was undone.
fn went_well(run: &Run) {
    for name in [
        "DriverEntry of all",
        "bind and start",
        "traffic through all",
        "UDP flood",
        "pause and restart a miniport",
        "pause and restart the bindings",
        "pause and restart an adapter",
        "traffic after the pauses",
        "link through both",
        "traffic after the cables",
        "unbind",
        "unload all",
    ] {
        assert_eq!(run.step(name)["ok"], true, "{name}");
    }
    let pings = run.pings();
    assert!(pings.len() >= 4, "both ways, IPv4 and IPv6: {pings:?}");
    for ping in pings {
        assert_eq!(ping.1, ping.2, "{ping:?}");
    }
    let udp = run.list("udp");
    assert_eq!(udp.len(), 2, "both ways");
    for udp in udp {
        assert_eq!(udp["received"], 2000, "{udp}");
        for what in ["lost", "duplicated", "damaged", "reordered"] {
            assert_eq!(udp[what], 0, "{what}: {udp}");
        }
    }
    for tcp in run.list("tcp") {
        assert_eq!(tcp["arrived"], tcp["wanted"], "{tcp}");
    }
}

#[test]
fn passthrough_stands_between_drivers_in_c() {
    layered("passthrough_stands_between_drivers_in_c", "passthrough", "");
}

#[test]
fn drivers_in_c_stand_on_each_other() {
    layered("drivers_in_c_stand_on_each_other", "c-im", "");
}

#[test]
fn so_they_do_without_sse() {
    layered("so_they_do_without_sse", "c-im-nosse", "-nosse");
}

/// What the command line and the file say of images is checked.
#[test]
fn wrong_images_are_named() {
    let Some((bench, c)) = bench("wrong_images_are_named", "passthrough") else {
        return;
    };
    let topology = topology("c-layers.toml");
    let said = |args: &[&str]| {
        let mut all = vec!["--topology", &topology];
        all.extend(args);
        let run = bench.run(&all);
        assert_eq!(run.code, 2, "{}", run.said());
        run.text
    };
    // The file names c-nic.sys beside itself, where there is none.
    let text = said(&[]);
    assert!(text.contains("cannot read the image `c-nic`"), "{text}");
    let text = said(&["--image", "c-nik=x"]);
    assert!(text.contains("the topology has no image `c-nik`"), "{text}");
    assert!(text.contains("there: c-nic, c-proto"), "{text}");
    // A driver of the wrong kind does what its own kind does, and is told so.
    let nic = format!("c-nic={}", c.join("c-proto").display());
    let proto = format!("c-proto={}", c.join("c-proto").display());
    let run = bench.run(&["--topology", &topology, "--image", &nic, "--image", &proto]);
    let rules: Vec<_> = run.report["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|f| f["rule"].clone())
        .collect();
    assert!(rules.contains(&"DE-8".into()), "{rules:?}");
}

// ---- headers ---------------------------------------------------------------------------

/// The kit in a folder of its own, and the compiler.
fn kit(test: &str) -> Option<(PathBuf, tempfile::TempDir)> {
    let (Some(xtask), Some(_)) = (named("IM_XTASK"), named("IM_CLANG")) else {
        println!("SKIP {test}: no clang; `cargo xtask test` finds or fetches one");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(xtask)
        .args(["--offline", "headers", "--out"])
        .arg(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    Some((dir.path().join("include"), dir))
}

/// What clang says of a source that includes everything.
fn compile(include: &Path, target: &str) -> Output {
    let source = include.join("all.c");
    std::fs::write(&source, "#include <ndis.h>\n#include <wdm.h>\n").unwrap();
    let mut clang = Command::new(named("IM_CLANG").unwrap());
    if let Some(libraries) = named("IM_CLANG_LIBRARIES") {
        clang.env("LD_LIBRARY_PATH", libraries);
    }
    clang
        .arg(format!("--target={target}"))
        .args(["-ffreestanding", "-nostdinc", "-std=c17", "-fsyntax-only"])
        .args(["-Wall", "-Wextra", "-Werror", "-I"])
        .arg(include)
        .arg(source)
        .output()
        .unwrap()
}

#[test]
fn headers_compile_for_both_architectures() {
    let Some((include, _dir)) = kit("headers_compile_for_both_architectures") else {
        return;
    };
    for target in ["x86_64-pc-windows-msvc", "aarch64-pc-windows-msvc"] {
        let output = compile(&include, target);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{target}: {said}");
    }
    let text = std::fs::read_to_string(include.join("ndis-sys.h")).unwrap();
    // One for each structure with its size as rustc has it, and one for each of its members.
    let mut wanted = 0;
    for s in ndis_sys::abi::STRUCTS.iter().copied().flatten() {
        let size = format!("C_ASSERT(sizeof({}) == {} &&", s.name, s.size);
        assert!(text.contains(&size), "{size}");
        wanted += 1 + s.fields.len() + s.aliases.len();
    }
    let asserted = text.matches("C_ASSERT(").count();
    println!("{} lines, {asserted} assertions", text.lines().count());
    assert!(
        wanted > 2_000 && asserted > wanted,
        "{asserted} of {wanted}"
    );
}

/// What is asserted is what the other language has: a member that lies elsewhere, and a type of
/// another size, do not compile.
#[test]
fn headers_that_drift_do_not_compile() {
    let Some((include, _dir)) = kit("headers_that_drift_do_not_compile") else {
        return;
    };
    let path = include.join("ndis-sys.h");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [
        (
            "ULONG Flags;\n            NDIS_STATUS Status;",
            "NDIS_STATUS Status;\n            ULONG Flags;",
        ),
        (
            "typedef unsigned long ULONG,",
            "typedef unsigned long long ULONG,",
        ),
        ("BOOLEAN fAllocateNetBuffer;", "ULONG fAllocateNetBuffer;"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let output = compile(&include, "x86_64-pc-windows-msvc");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{to} compiles");
        assert!(
            said.contains("static_assert") || said.contains("static assertion"),
            "{said}"
        );
    }
}

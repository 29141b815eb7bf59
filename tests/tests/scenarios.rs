//! The packaged driver in the lab: every scenario, judged by exit code and by what the JSON
//! document says was done, so that a run that did nothing does not pass.
//!
//! `cargo xtask test` builds the lab and the packages; without them each test skips itself.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use workspace_tests::Bench;

/// The driver that these scenarios are about.
fn bench(test: &str) -> Option<Bench> {
    Bench::of(test, "passthrough")
}

/// The default scenario: what is sent arrives, every OID is compared, every disturbance
/// survived, for two schedules.
#[test]
fn the_tour_is_clean() {
    let Some(bench) = bench("the_tour_is_clean") else {
        return;
    };
    for seed in ["0x5eed", "20261122"] {
        let run = bench.clean(&["--seed", seed]);
        let number = |v: &Value| v.as_u64().unwrap_or(0);
        assert!(!run.list("ping").is_empty());
        for ping in run.list("ping") {
            assert_eq!(
                (number(&ping["sent"]), number(&ping["answered"])),
                (100, 100)
            );
        }
        assert_eq!(run.list("tcp").len(), 2, "one transfer each way");
        for tcp in run.list("tcp") {
            assert_eq!(number(&tcp["arrived"]), 64 << 20);
            assert!(tcp["first_wrong"].is_null());
        }
        for udp in run.list("udp") {
            assert_eq!(number(&udp["received"]), number(&udp["sent"]));
            assert!(number(&udp["sent"]) >= 50_000);
        }
        let fates: Vec<_> = run.list("oids").iter().map(|o| &o["fate"]).collect();
        for fate in ["forwarded", "answered", "refused"] {
            assert!(fates.iter().any(|f| *f == fate), "no OID was {fate}");
        }
        for name in [
            "DriverEntry",
            "UDP flood",
            "pause and restart above",
            "pause and restart below",
            "link flap",
            "power cycle",
            "hostile control requests",
            "unbind",
            "unload",
        ] {
            assert_eq!(run.step(name)["ok"], true, "{name}");
        }
        // The adapter was not kind: it pended, overtook, changed processors and lent lists.
        for nic in run.list("nics") {
            for what in [
                "inline",
                "pended",
                "out_of_order",
                "other_processor",
                "resources",
            ] {
                assert!(number(&nic[what]) > 1_000, "{what}: {nic}");
            }
        }
    }
}

/// 10,000 lives, each with a schedule of its own: no leak, no lost or doubled list.
#[test]
fn ten_thousand_cycles_are_clean() {
    let Some(bench) = bench("ten_thousand_cycles_are_clean") else {
        return;
    };
    let run = bench.clean(&["--scenario", "cycles", "--cycles", "10000"]);
    assert_eq!(run.step("cycles")["detail"], "10000 of 10000 clean");
    let udp = &run.list("udp")[0];
    assert!(udp["received"].as_u64().unwrap_or(0) > 500_000, "{udp}");
    for what in ["lost", "duplicated", "damaged", "reordered"] {
        assert_eq!(udp[what], 0, "{what}");
    }
}

/// The adapter vanishes under traffic, for several schedules.
#[test]
fn surprise_removal_is_clean() {
    let Some(bench) = bench("surprise_removal_is_clean") else {
        return;
    };
    for seed in ["1", "2", "3", "4"] {
        let run = bench.clean(&["--scenario", "surprise", "--seed", seed]);
        assert_eq!(run.step("surprise removal")["ok"], true);
    }
}

/// `DriverEntry` is failed at every step and every allocation in turn, and so is everything
/// from bind to unbind; unload comes after uninstall, and that after the last unbind.
#[test]
fn every_failing_call_is_survived() {
    let Some(bench) = bench("every_failing_call_is_survived") else {
        return;
    };
    for seed in ["0x5eed", "7"] {
        let run = bench.clean(&["--scenario", "driver-entry", "--seed", seed]);
        let of = |part: &str, what: &str| run.counter(&format!("failing calls, {part}"), what);
        // Two registrations and the control device at the least.
        assert!(of("DriverEntry", "tried") >= 3);
        assert_eq!(of("DriverEntry", "refused"), of("DriverEntry", "tried"));
        assert!(of("bind to unbind", "tried") >= 15);
        assert!(of("bind to unbind", "refused") >= 2);
        println!("{}", run.step("every failure: bind to unbind")["detail"]);
    }
}

/// MPR-2 and the version range of the driver: it registers the smaller of NDIS's version and
/// 6.87, and refuses what is older than 6.84.
#[test]
fn ndis_versions() {
    let Some(bench) = bench("ndis_versions") else {
        return;
    };
    let run = bench.clean(&["--scenario", "driver-entry"]);
    for (system, registered) in [(84, 84), (85, 85), (86, 86), (87, 87), (89, 87)] {
        let step = run.step(&format!("on NDIS 6.{system}"));
        assert_eq!(step["ok"], true);
        let expected = format!("registers [(6, {registered}), (6, {registered})]");
        assert_eq!(step["detail"], expected);
    }
    assert_eq!(run.step("on NDIS 6.83")["ok"], true);
    // The same from outside: the command line's version reaches the driver.
    for version in ["6.84", "6.89"] {
        bench.clean(&["--scenario", "load", "--ndis-version", version]);
    }
    let old = bench.run(&["--scenario", "load", "--ndis-version", "6.83"]);
    assert_eq!(old.code, 1, "{}", old.text);
    assert_eq!(old.step("DriverEntry")["detail"], "status 0xc0010004");
    assert_eq!(old.report["violations"], 0, "nothing stays behind");
}

/// Malformed frames go through a transparent driver unchanged and cost no sound frame;
/// hostile registry values have a clear outcome.
#[test]
fn malformed_neighbours_are_survived() {
    let Some(bench) = bench("malformed_neighbours_are_survived") else {
        return;
    };
    for seed in ["0x5eed", "11"] {
        let run = bench.clean(&["--scenario", "malformed", "--seed", seed]);
        for way in ["down", "up"] {
            let detail = run.step(&format!("malformed frames, vm0, {way}"))["detail"].to_string();
            assert!(
                detail.contains("2600 sent, 2600 carried"),
                "{way}: {detail}"
            );
        }
        assert_eq!(run.step("sound frames beside them")["ok"], true);
        let cases = run.list("steps").iter().filter(|s| {
            s["name"]
                .as_str()
                .is_some_and(|n| n.starts_with("UpperBindings"))
        });
        assert!(cases.count() >= 20);
    }
}

/// PnP events, statuses, resets, direct OIDs, cancels and device events end as the rules say.
#[test]
fn events_and_statuses_end_as_the_rules_say() {
    let Some(bench) = bench("events_and_statuses_end_as_the_rules_say") else {
        return;
    };
    for seed in ["0x5eed", "21", "22"] {
        let run = bench.clean(&["--scenario", "pnp", "--seed", seed]);
        for name in [
            "resets below under traffic",
            "pause during a reset",
            "PnP events",
            "statuses from below",
            "direct OIDs",
            "cancelled direct OIDs",
            "sends cancelled by id",
            "device disabled and enabled",
            "device events",
            "OIDs after surprise removal",
            "sends after surprise removal",
            "unbind during a reset",
        ] {
            assert_eq!(run.step(name)["ok"], true, "{name}");
        }
    }
}

/// The same seed gives the same run to the last call; another seed another run.
#[test]
fn the_seed_decides_everything() {
    let Some(bench) = bench("the_seed_decides_everything") else {
        return;
    };
    for scenario in ["surprise", "pnp"] {
        let trace = |seed: &str| {
            let run = bench.clean(&["--scenario", scenario, "--seed", seed]);
            run.trace().to_owned()
        };
        let (first, again, other) = (trace("5"), trace("5"), trace("6"));
        assert_eq!(first, again, "{scenario}");
        assert_ne!(first, other, "{scenario}");
    }
}

/// A package of its own with another image, driver name and file name.
struct Copy {
    dir: PathBuf,
}

impl Copy {
    fn new(bench: &Bench, change: impl FnOnce(&mut Vec<u8>, &mut Value)) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("im-scenarios-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        let read = |path: &str| std::fs::read(bench.package.join(path)).expect(path);
        let mut manifest: Value =
            serde_json::from_slice(&read("manifest.json")).expect("a manifest");
        let files = manifest["files"].as_array().expect("files").clone();
        let path_of = |f: &Value| f["path"].as_str().expect("a path").to_owned();
        // A release package has one for arm64 as well.
        let at = files
            .iter()
            .position(|f| f["role"] == "image" && f["arch"] == "x64");
        let at = at.expect("an image");
        let mut image = read(&path_of(&files[at]));
        change(&mut image, &mut manifest);
        let entry = &mut manifest["files"][at];
        entry["size"] = image.len().into();
        // A test that is about the hash has set one that is wrong.
        if entry["sha256"] == files[at]["sha256"] {
            let digest = Sha256::digest(&image);
            entry["sha256"] = digest
                .iter()
                .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
                .into();
        }
        let image_path = path_of(entry);
        let write = |path: &str, content: &[u8]| {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        };
        write(&image_path, &image);
        for (_, file) in files.iter().enumerate().filter(|(i, _)| *i != at) {
            let path = path_of(file);
            write(&path, &read(&path));
        }
        std::fs::write(dir.join("manifest.json"), manifest.to_string()).expect("the manifest");
        Self { dir }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.dir);
    }
}

/// The lab knows no driver by name: a copy under another name gets the same verdict by the
/// very same calls.
#[test]
fn a_renamed_copy_gets_the_same_verdict() {
    let Some(bench) = bench("a_renamed_copy_gets_the_same_verdict") else {
        return;
    };
    let copy = Copy::new(&bench, |_, manifest| {
        manifest["driver"] = "somebody".into();
        for file in manifest["files"].as_array_mut().expect("files") {
            if file["role"] == "image" && file["arch"] == "x64" {
                file["path"] = "else.sys".into();
            }
        }
    });
    let args = ["--scenario", "pnp", "--seed", "9"];
    let original = bench.clean(&args);
    let renamed = bench.run_package(&copy.dir, &args);
    renamed.assert_clean();
    assert_eq!(renamed.report["package"]["manifest"]["driver"], "somebody");
    assert_eq!(renamed.trace(), original.trace());
    assert_eq!(
        renamed.report["summary"]["steps"],
        original.report["summary"]["steps"]
    );
}

/// What is done to an image.
type Change = Box<dyn Fn(&mut Vec<u8>)>;

/// Images that are no driver for this machine: exit code 2, and words that say why.
#[test]
fn bad_images_are_refused_with_a_reason() {
    let Some(bench) = bench("bad_images_are_refused_with_a_reason") else {
        return;
    };
    let header = |image: &[u8]| {
        u32::from_le_bytes(image[0x3C..0x40].try_into().expect("four bytes")) as usize
    };
    let cases: Vec<(&str, &str, Change)> = vec![
        ("cut in half", "", Box::new(|i| i.truncate(i.len() / 2))),
        ("headers only", "", Box::new(|i| i.truncate(600))),
        ("a few bytes", "", Box::new(|i| i.truncate(3))),
        ("no byte", "", Box::new(Vec::clear)),
        ("text", "", Box::new(|i| *i = b"not a driver\n".repeat(100))),
        (
            "for ARM64",
            "machine",
            Box::new(move |i| {
                let at = header(i) + 4;
                i[at..at + 2].copy_from_slice(&0xAA64_u16.to_le_bytes());
            }),
        ),
        (
            "an import nobody has",
            "NdisMIndicateStatusZz",
            Box::new(|i| {
                let old = b"NdisMIndicateStatusEx\0";
                let at = i.windows(old.len()).position(|w| w == old);
                let end = at.expect("the import") + old.len();
                i[end - 3..end - 1].copy_from_slice(b"Zz");
            }),
        ),
    ];
    for (name, reason, change) in cases {
        let copy = Copy::new(&bench, |image, _| change(image));
        let run = bench.run_package(&copy.dir, &["--scenario", "load"]);
        assert_eq!(run.code, 2, "{name}:\n{}", run.said());
        assert_eq!(run.report["verdict"], "bad_input", "{name}");
        let why = run.report["trouble"].to_string();
        assert!(why.len() > 20 && why.contains(reason), "{name}: {why}");
        println!("{name}: {why}");
    }
}

/// What the manifest and the command line get wrong.
#[test]
fn bad_packages_and_names_are_refused_with_a_reason() {
    let Some(bench) = bench("bad_packages_and_names_are_refused_with_a_reason") else {
        return;
    };
    let forged = Copy::new(&bench, |_, manifest| {
        for file in manifest["files"].as_array_mut().expect("files") {
            if file["role"] == "image" {
                file["sha256"] = "0".repeat(64).into();
            }
        }
    });
    let run = bench.run_package(&forged.dir, &["--scenario", "load"]);
    assert_eq!(run.code, 2, "{}", run.said());
    assert!(
        run.said().contains("sha256") || run.said().contains("hash"),
        "{}",
        run.said()
    );

    let run = bench.run(&["--scenario", "driver-entri"]);
    assert_eq!(run.code, 2);
    assert!(
        run.said().contains("did you mean `driver-entry`"),
        "{}",
        run.said()
    );

    let run = bench.run_package::<&str>(Path::new("/nowhere/at/all"), &[]);
    assert_eq!(run.code, 2);
    assert!(run.said().contains("/nowhere/at/all"), "{}", run.said());
}

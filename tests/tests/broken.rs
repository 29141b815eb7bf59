//! Deliberately broken drivers, each caught by the id of the rule it breaks.
//!
//! One image holds all misdeeds (`tests/drivers/broken`); a number in it picks
//! one. The test writes the number into a copy of the file, puts the copy into a
//! copy of passthrough's package, and runs the lab on that. `cargo xtask test`
//! builds the image and names it in `IM_BROKEN_IMAGE`.

use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the tests need, from `cargo xtask test`.
struct Bench {
    lab: PathBuf,
    package: PathBuf,
    image: Vec<u8>,
}

fn bench(test: &str) -> Option<Bench> {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let found = (
        path("IM_LAB"),
        path("IM_PACKAGE_DIR"),
        path("IM_BROKEN_IMAGE"),
    );
    let (Some(lab), Some(package), Some(image)) = found else {
        println!("SKIP {test}: no lab or images; `cargo xtask test` makes them");
        return None;
    };
    let image = std::fs::read(&image).expect("the broken driver's image");
    Some(Bench {
        lab,
        package,
        image,
    })
}

/// Writes the number of a misdeed into the image.
fn choose(image: &mut [u8], misdeed: u16) {
    const MARK: [u8; 4] = 0xBAD5_0000_u32.to_le_bytes();
    let at: Vec<usize> = (0..image.len() - 3)
        .filter(|at| image[*at..*at + 4] == MARK)
        .collect();
    assert_eq!(
        at.len(),
        1,
        "the word that picks the misdeed is in the image once"
    );
    image[at[0]..at[0] + 2].copy_from_slice(&misdeed.to_le_bytes());
    checksum(image);
}

/// Makes the image's checksum right again: the sum of its 16-bit words with the
/// carries added back, plus its length.
fn checksum(image: &mut [u8]) {
    let header = u32::from_le_bytes(image[0x3C..0x40].try_into().unwrap()) as usize;
    let place = header + 24 + 64;
    image[place..place + 4].fill(0);
    let mut sum = 0_u32;
    for pair in image.chunks(2) {
        let word = u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        sum += u32::from(word);
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let sum = (sum & 0xFFFF) + (sum >> 16) + image.len() as u32;
    image[place..place + 4].copy_from_slice(&sum.to_le_bytes());
}

/// Puts the image into a package of its own.
fn package(bench: &Bench, misdeed: u16, dir: &Path) {
    let mut image = bench.image.clone();
    choose(&mut image, misdeed);
    let _left_over = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir).unwrap();
    let text = std::fs::read_to_string(bench.package.join("manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    for file in manifest["files"].as_array_mut().unwrap() {
        let name = file["path"].as_str().unwrap().to_owned();
        if file["role"] == "image" {
            let digest = Sha256::digest(&image);
            let hex = digest
                .iter()
                .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            file["sha256"] = hex.into();
            file["size"] = image.len().into();
            std::fs::write(dir.join(&name), &image).unwrap();
        } else {
            std::fs::copy(bench.package.join(&name), dir.join(&name)).unwrap();
        }
    }
    std::fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
}

/// The ids of the rules that the lab found broken, and its exit code.
fn rules(bench: &Bench, misdeed: u16) -> (Vec<String>, i32) {
    let name = format!("im-broken-{misdeed}-{}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    package(bench, misdeed, &dir);
    let output = Command::new(&bench.lab)
        .args([
            "run",
            "--scenario",
            "cycles",
            "--cycles",
            "3",
            "--json",
            "--package",
        ])
        .arg(&dir)
        .output()
        .expect("the lab runs");
    std::fs::remove_dir_all(&dir).unwrap();
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
        });
    let mut ids: Vec<String> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| finding["rule"].as_str().expect("a rule").to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    (ids, output.status.code().unwrap_or(-1))
}

/// Runs one misdeed and demands that a rule of `expected` names it.
fn caught(test: &str, misdeed: u16, expected: &[&str]) {
    let Some(bench) = bench(test) else { return };
    let (found, code) = rules(&bench, misdeed);
    println!("misdeed {misdeed}: {found:?}, exit code {code}");
    assert_ne!(code, 0, "a broken driver does not pass");
    for id in expected {
        assert!(
            found.iter().any(|rule| rule == id),
            "{id} is not in {found:?}"
        );
    }
}

/// The image without a misdeed passes: what the others are caught for is the
/// misdeed, not the wrapping.
#[test]
fn no_misdeed_no_finding() {
    let Some(bench) = bench("no_misdeed_no_finding") else {
        return;
    };
    let (found, code) = rules(&bench, 0);
    assert_eq!((found, code), (Vec::new(), 0));
}

#[test]
fn a_dropped_completion_is_caught() {
    caught("a_dropped_completion_is_caught", 1, &["SND-20"]);
}

#[test]
fn a_double_return_is_caught() {
    caught("a_double_return_is_caught", 2, &["RCV-1"]);
}

#[test]
fn a_constant_source_handle_is_caught() {
    caught("a_constant_source_handle_is_caught", 3, &["RCV-6"]);
}

#[test]
fn a_lock_held_over_an_indication_is_caught() {
    caught("a_lock_held_over_an_indication_is_caught", 4, &["LCK-6"]);
}

#[test]
fn a_leak_at_unload_is_caught() {
    caught("a_leak_at_unload_is_caught", 5, &["UNL-4"]);
}

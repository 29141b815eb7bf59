//! Signed packages: that others than we accept their signatures, that a change of any byte
//! is found and named, and what is said of certificates that do not serve.
//!
//! `cargo xtask test` signs the packages of all drivers by the test certificate and names
//! their folder in `IM_SIGNED_DIR`.

#[path = "signing/authority.rs"]
mod authority;
#[path = "signing/bad_input.rs"]
mod bad_input;
#[path = "signing/flips.rs"]
mod flips;
#[path = "signing/judges.rs"]
mod judges;
#[cfg(unix)]
#[path = "signing/windows_faults.rs"]
mod windows_faults;
#[cfg(unix)]
#[path = "signing/windows_tools.rs"]
mod windows_tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use win_trust::{Cert, Identity, Moment, Package, Signer, Trust};
use workspace_tests::Bench;

/// Folders of the drivers' signed packages.
fn signed(test: &str) -> Vec<PathBuf> {
    let Some(dir) = std::env::var_os("IM_SIGNED_DIR") else {
        println!("SKIP {test}: no signed packages; `cargo xtask test` makes them");
        return Vec::new();
    };
    let mut dirs: Vec<_> = std::fs::read_dir(dir)
        .expect("packages")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.join("manifest.json").is_file())
        .collect();
    dirs.sort();
    assert!(!dirs.is_empty());
    dirs
}

/// A program that a test needs.
fn program(test: &str, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        println!("SKIP {test}: no {name}; `cargo xtask setup --partners` installs it");
    }
    found
}

/// The package with its own root, as somebody has it who knows that root.
fn trust(package: &Path) -> Trust {
    let root = std::fs::read(package.join("test-root.cer")).expect("root");
    Trust {
        roots: vec![Cert::from_der(&root).expect("certificate")],
        now: Moment::now(),
    }
}

/// Files of a package but for the manifest and what signing adds.
fn unsigned(test: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    let dir = signed(test).into_iter().next()?;
    let package = Package::load(&dir).expect("package");
    let files = package
        .paths()
        .filter(|path| {
            let extension = Path::new(path).extension().unwrap_or_default();
            extension != "cat" && extension != "cer" && !path.starts_with("manifest.json")
        })
        .map(|path| (path.to_owned(), package.bytes(path).expect("file").to_vec()));
    Some(files.collect())
}

#[test]
fn packages_are_as_they_were_made() {
    for dir in signed("packages_are_as_they_were_made") {
        let package = Package::load(&dir).expect("package");
        let report = package.verify(&trust(&dir));
        assert_eq!(report.findings, [], "{}", dir.display());
        // The manifest's, both catalogs', and those of the images.
        let images = package
            .paths()
            .filter(|path| win_trust::is_pe(package.bytes(path).expect("file")));
        assert_eq!(report.signatures, 3 + images.count());
        assert_eq!(report.files + 2, package.paths().count());
    }
}

#[test]
fn another_root_is_not_taken() {
    let Some(dir) = signed("another_root_is_not_taken").into_iter().next() else {
        return;
    };
    let other = Identity::new_test(&mut authority::random(3), Moment::now()).expect("key");
    let trust = Trust {
        roots: vec![other.root().expect("root").clone()],
        now: Moment::now(),
    };
    let report = Package::load(&dir).expect("package").verify(&trust);
    for file in ["manifest.json.p7s", "x64/lbfo.sys", "lbfo.cat"] {
        assert!(
            report.findings.iter().any(|finding| finding.path == file),
            "{file}: {report:?}"
        );
    }
    // The same package five years from now: its certificate has ended, and no authority
    // has stamped the time.
    let late = Trust {
        now: Moment(Moment::now().0 + 6 * 365 * 24 * 3600),
        ..self::trust(&dir)
    };
    let report = Package::load(&dir).expect("package").verify(&late);
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.problem.contains("expired")),
        "{report:?}"
    );
}

#[test]
fn the_same_key_and_time_give_the_same_bytes() {
    let Some(files) = unsigned("the_same_key_and_time_give_the_same_bytes") else {
        return;
    };
    let identity = Identity::new_test(&mut authority::random(1), Moment::now()).expect("key");
    let sign = |time| {
        let signer = Signer {
            identity: &identity,
            time: Moment(time),
            stamper: None,
        };
        win_trust::sign_package(&files, &signer, "test", "a title", "test-root.cer")
            .expect("signed")
    };
    let time = Moment::now().0;
    assert_eq!(sign(time), sign(time));
    assert_ne!(sign(time), sign(time + 1));
}

#[test]
fn the_lab_loads_signed_images() {
    for dir in signed("the_lab_loads_signed_images") {
        let name = dir
            .file_name()
            .expect("name")
            .to_string_lossy()
            .into_owned();
        let Some(bench) = Bench::of("the_lab_loads_signed_images", &name) else {
            return;
        };
        bench
            .run_package(&dir, &["--scenario", "driver-entry"])
            .assert_clean();
    }
}

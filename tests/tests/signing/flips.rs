//! One byte changed anywhere in a signed package is found, and the file is named: every
//! byte of files under 64 KiB, 2,000 seeded places in larger ones.

use win_trust::{Package, Trust};

use super::{signed, trust};

/// Files of this size and more are probed, not tried out.
const LARGE: usize = 64 * 1024;
/// Places in a large file.
const PLACES: usize = 2000;

/// Changes bytes of all files of a driver's package; returns how many.
fn flip(driver: &str) -> Option<usize> {
    let test = format!("any_byte_of_{driver}");
    let dir = signed(&test)
        .into_iter()
        .find(|dir| dir.ends_with(driver))?;
    let trust = trust(&dir);
    let package = Package::load(&dir).expect("package");
    let report = package.verify(&trust);
    assert!(report.is_good(), "{report:?}");
    let mut random = fastrand::Rng::with_seed(0x5EED);
    let paths: Vec<String> = package.paths().map(str::to_owned).collect();
    let mut tried = 0;
    for path in paths {
        let bytes = package.bytes(&path).expect("file").to_vec();
        let places: Vec<usize> = if bytes.len() < LARGE {
            (0..bytes.len()).collect()
        } else {
            (0..PLACES).map(|_| random.usize(..bytes.len())).collect()
        };
        tried += places.len();
        for at in places {
            let mask = random.u8(1..);
            changed(&package, &trust, &path, bytes.clone(), at, mask);
        }
    }
    println!("{driver}: {tried} changed bytes found");
    Some(tried)
}

fn changed(package: &Package, trust: &Trust, path: &str, mut bytes: Vec<u8>, at: usize, mask: u8) {
    bytes[at] ^= mask;
    let report = package.with(path, bytes).verify(trust);
    assert!(
        report.findings.iter().any(|finding| finding.path == path),
        "byte {at} of {path} ^ {mask:#x} was not found: {:?}",
        report.findings
    );
}

#[test]
fn any_byte_of_passthrough() {
    flip("passthrough");
}

#[test]
fn any_byte_of_mux() {
    flip("mux");
}

#[test]
fn any_byte_of_lbfo() {
    flip("lbfo");
}

#[test]
fn files_that_are_missing_or_too_many_are_named() {
    for dir in signed("files_that_are_missing_or_too_many_are_named") {
        let trust = trust(&dir);
        let package = Package::load(&dir).expect("package");
        for path in package.paths() {
            let report = package.without(path).verify(&trust);
            assert!(
                report.findings.iter().any(|finding| finding.path == path),
                "{path}: {report:?}"
            );
        }
        for path in ["x64/other.sys", "another.cat", "note.txt"] {
            let report = package.with(path, b"x".to_vec()).verify(&trust);
            assert_eq!(report.findings.len(), 1);
            assert_eq!(report.findings[0].path, path);
        }
    }
}

//! Others' verdicts: osslsigncode, and Python's signify.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{program, signed};

/// A copy of a root as PEM, which osslsigncode wants.
fn pem(openssl: &Path, root: &Path, into: &Path) -> PathBuf {
    let file = into.join("root.pem");
    let done = Command::new(openssl)
        .args(["x509", "-inform", "DER", "-in"])
        .arg(root)
        .arg("-out")
        .arg(&file)
        .status();
    assert!(done.expect("openssl runs").success());
    file
}

/// Runs osslsigncode, which says in its output, not in its exit code alone, what it did.
pub fn osslsigncode(program: &Path, args: &[&std::ffi::OsStr]) -> Result<String, String> {
    let output = Command::new(program)
        .arg("verify")
        .args(args)
        .output()
        .expect("osslsigncode runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let fine = text.contains("Signature verification: ok") && text.contains("Succeeded");
    if output.status.success() && fine {
        return Ok(text);
    }
    Err(text + &String::from_utf8_lossy(&output.stderr))
}

fn images(package: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for arch in ["x64", "arm64"] {
        let Ok(entries) = std::fs::read_dir(package.join(arch)) else {
            continue;
        };
        found.extend(entries.map(|entry| entry.expect("entry").path()));
    }
    assert!(!found.is_empty());
    found
}

fn named(package: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(package).expect("package");
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    found
}

#[test]
fn osslsigncode_accepts_images_and_catalogs() {
    const TEST: &str = "osslsigncode_accepts_images_and_catalogs";
    let (Some(judge), Some(openssl)) = (program(TEST, "osslsigncode"), program(TEST, "openssl"))
    else {
        return;
    };
    let scratch = tempfile::tempdir().expect("folder");
    for package in signed(TEST) {
        let root = pem(&openssl, &package.join("test-root.cer"), scratch.path());
        let root = ["-CAfile".as_ref(), root.as_os_str()];
        for image in images(&package) {
            let text = osslsigncode(&judge, &[&root[..], &[image.as_os_str()]].concat());
            let text = text.unwrap_or_else(|why| panic!("{}: {why}", image.display()));
            assert!(text.contains("Page hash algorithm  : SHA256"), "{text}");
            assert!(!text.contains("MISMATCH"), "{text}");
        }
        let catalogs = named(&package, "cat");
        assert_eq!(catalogs.len(), 2);
        for catalog in &catalogs {
            let args = [&root[..], &[catalog.as_os_str()]].concat();
            osslsigncode(&judge, &args)
                .unwrap_or_else(|why| panic!("{}: {why}", catalog.display()));
            for image in images(&package) {
                // The miniport's package has no notify object.
                let is_dll = image.extension().is_some_and(|e| e == "dll");
                if is_dll && catalog.to_string_lossy().ends_with("_mp.cat") {
                    continue;
                }
                let of = ["-catalog".as_ref(), catalog.as_os_str(), image.as_os_str()];
                let args = [&root[..], &of].concat();
                osslsigncode(&judge, &args)
                    .unwrap_or_else(|why| panic!("{}: {why}", image.display()));
            }
        }
        // It does say no: to an image with one other byte.
        let image = &images(&package)[0];
        let mut bytes = std::fs::read(image).expect("image");
        bytes[0x500] ^= 1;
        let other = scratch.path().join("other.sys");
        std::fs::write(&other, bytes).expect("written");
        assert!(osslsigncode(&judge, &[&root[..], &[other.as_os_str()]].concat()).is_err());
    }
}

#[test]
fn signify_accepts_images_and_members_of_catalogs() {
    const TEST: &str = "signify_accepts_images_and_members_of_catalogs";
    let place = std::env::var_os("IM_READERS").map(PathBuf::from);
    let python = place.map(|place| place.join("signify==0.9.3/bin/python"));
    let Some(python) = python.filter(|python| python.is_file()) else {
        println!("SKIP {TEST}: no signify; `cargo xtask setup --partners` installs it");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signing/judge.py");
    let judge = |package: &Path| {
        Command::new(&python)
            .arg(&script)
            .arg(package)
            .output()
            .expect("python runs")
    };
    let mut packages = signed(TEST);
    for package in &packages {
        let output = judge(package);
        let text = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{why}");
        let images = images(package);
        let dlls = images
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "dll"));
        // Each image by itself; both INFs; each .sys in two catalogs, each DLL in one.
        let expected = images.len() + 2 + 2 * images.len() - dlls.count();
        assert_eq!(
            text.lines().filter(|line| line.starts_with("ok ")).count(),
            expected,
            "{text}"
        );
    }
    // It does say no: to an INF with one other byte.
    if let Some(package) = packages.pop() {
        let copy = tempfile::tempdir().expect("folder");
        for file in named(&package, "inf")
            .into_iter()
            .chain(named(&package, "cat"))
            .chain(named(&package, "cer"))
        {
            std::fs::copy(&file, copy.path().join(file.file_name().expect("name")))
                .expect("copied");
        }
        let inf = &named(copy.path(), "inf")[0];
        let mut bytes = std::fs::read(inf).expect("INF");
        bytes[40] ^= 1;
        std::fs::write(inf, bytes).expect("written");
        assert!(!judge(copy.path()).status.success());
    }
}

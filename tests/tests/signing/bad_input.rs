//! What is said, and how xtask ends, where signing or a package is not what it should be.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::authority::pfx;
use super::{program, signed};

pub fn xtask(test: &str) -> Option<Command> {
    let Some(xtask) = std::env::var_os("IM_XTASK") else {
        println!("SKIP {test}: no xtask; `cargo xtask test` names itself");
        return None;
    };
    let mut command = Command::new(xtask);
    command.env_remove("XTASK_PFX_PASSWORD");
    Some(command)
}

pub fn told(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn certificates_that_do_not_serve() {
    const TEST: &str = "certificates_that_do_not_serve";
    if program(TEST, "openssl").is_none() {
        return;
    }
    let scratch = tempfile::tempdir().expect("folder");
    let dir = scratch.path();
    let code = "extendedKeyUsage=codeSigning";
    let past = "-startdate 20200101000000Z -enddate 20210101000000Z";
    let sign = |file: &Path, password: Option<&str>, parts: &[&str]| {
        let Some(mut command) = xtask(TEST) else {
            return;
        };
        command
            .args(["package", "passthrough", "--sign", "pfx"])
            .arg(file);
        if let Some(password) = password {
            command.env("XTASK_PFX_PASSWORD", password);
        }
        told(&command.output().expect("xtask runs"), parts);
    };
    let expired = pfx(dir, "expired", "rsa:2048", code, past);
    sign(
        &expired,
        Some("secret"),
        &["expired.pfx", "expired on 2021-01-01", "--sign test"],
    );
    let server = pfx(
        dir,
        "server",
        "rsa:2048",
        "extendedKeyUsage=serverAuth",
        "-days 30",
    );
    sign(
        &server,
        Some("secret"),
        &["server.pfx", "not for code signing"],
    );
    sign(
        &server,
        Some("wrong"),
        &["server.pfx", "password is wrong", "XTASK_PFX_PASSWORD"],
    );
    sign(&server, None, &["server.pfx", "it has a password"]);
    let curve = "ec -pkeyopt ec_paramgen_curve:P-256";
    let curve = pfx(dir, "curve", curve, code, "-days 30");
    sign(&curve, Some("secret"), &["curve.pfx", "RSA"]);
    let none = dir.join("none.pfx");
    sign(&none, Some("secret"), &["none.pfx"]);
    std::fs::write(&none, "this is no PFX").expect("written");
    sign(&none, Some("secret"), &["none.pfx", "no PFX file"]);
}

#[test]
fn options_that_do_not_fit() {
    for (args, parts) in [
        (&["--sign", "magic"][..], &["magic"][..]),
        (&["--sign", "pfx"], &["--sign pfx FILE"]),
        (&["--timestamp", "http://127.0.0.1/"], &["--sign test"]),
        (&["--sign", "test", "--timestamp", "ftp://x"], &["http://"]),
        (&["--sign", "test", "--time", "9999999999"], &["expired"]),
    ] {
        let Some(mut command) = xtask("options_that_do_not_fit") else {
            return;
        };
        command.args(["package", "passthrough"]).args(args);
        told(&command.output().expect("xtask runs"), parts);
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("folder") {
        let path = entry.expect("entry").path();
        let target = to.join(path.file_name().expect("name"));
        if path.is_dir() {
            std::fs::create_dir_all(&target).expect("folder");
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).expect("copied");
        }
    }
}

#[test]
fn verify_tells_what_is_wrong_with_a_folder() {
    const TEST: &str = "verify_tells_what_is_wrong_with_a_folder";
    let Some(package) = signed(TEST).into_iter().next() else {
        return;
    };
    let scratch = tempfile::tempdir().expect("folder");
    let verify = |dir: &Path, more: &[&str]| -> Option<Output> {
        let mut command = xtask(TEST)?;
        command.arg("verify").arg(dir).args(more);
        Some(command.output().expect("xtask runs"))
    };
    let Some(good) = verify(&package, &["--json"]) else {
        return;
    };
    assert!(good.status.success(), "{good:?}");
    let report: serde_json::Value = serde_json::from_slice(&good.stdout).expect("JSON");
    assert_eq!(report["findings"], serde_json::json!([]));

    let fresh = |name: &str| -> PathBuf {
        let dir = scratch.path().join(name);
        std::fs::create_dir(&dir).expect("folder");
        copy(&package, &dir);
        dir
    };
    // One byte in the middle of an image, by the command as a person runs it.
    let tampered = fresh("tampered");
    let image = tampered.join("x64/lbfo.sys");
    let mut bytes = std::fs::read(&image).expect("image");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&image, bytes).expect("written");
    told(
        &verify(&tampered, &[]).expect("ran"),
        &["x64/lbfo.sys: ", "NOT as it was made"],
    );

    // Half of a package: nothing signed, or nothing at all.
    let half = fresh("half");
    std::fs::remove_file(half.join("manifest.json.p7s")).expect("removed");
    told(
        &verify(&half, &[]).expect("ran"),
        &["manifest.json.p7s: it is missing"],
    );
    std::fs::remove_file(half.join("manifest.json")).expect("removed");
    told(
        &verify(&half, &[]).expect("ran"),
        &["no manifest.json", "half of one"],
    );
    told(
        &verify(&scratch.path().join("absent"), &[]).expect("ran"),
        &["absent"],
    );
    // A root that is none.
    told(
        &verify(
            &package,
            &["--root", &half.join("lab.toml").to_string_lossy()],
        )
        .expect("ran"),
        &["lab.toml is no certificate"],
    );
    // A folder that nothing can be written to.
    let mut command = xtask(TEST).expect("there before");
    command.args([
        "package",
        "passthrough",
        "--sign",
        "test",
        "--out",
        "/proc/im/passthrough",
    ]);
    if cfg!(target_os = "linux") {
        told(&command.output().expect("xtask runs"), &["/proc/im"]);
    }
}

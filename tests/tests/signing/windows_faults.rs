//! `--tools windows` where something is wrong: the tools, what they make, or the request.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::authority::pfx;
use super::bad_input::told;
use super::windows_tools::{Tools, text};

fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            found.insert(path.clone(), std::fs::read(path).expect("file"));
        }
    }
    found
}

#[test]
fn a_tool_that_fails_leaves_the_old_package() {
    const TEST: &str = "a_tool_that_fails_leaves_the_old_package";
    let Some(tools) = Tools::new(TEST) else {
        return;
    };
    let Some(output) = tools.package(TEST, &["--sign", "test"], &[]) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));
    let (old, place) = (content(&tools.path("out")), tools.calls().remove(0).cwd);
    assert!(!old.is_empty());
    for (fault, calls, parts) in [
        (
            "images-are-not-signed",
            1,
            &["`signtool.exe sign /fd", "/p ***", "no certificate met all"][..],
        ),
        ("another-image", 1, &["x64/passthrough", "another image"]),
        (
            "not-signable",
            2,
            &[
                "`Inf2Cat.exe /driver:",
                "exit status: 254",
                "22.9.1: a file",
            ],
        ),
        (
            "no-catalog",
            2,
            &["has made no passthrough.cat", "generation complete"],
        ),
        (
            "catalogs-are-not-signed",
            3,
            &["`signtool.exe sign", "passthrough.cat", "of no form"],
        ),
        (
            "a-file-is-forgotten",
            3,
            &[
                "does not hold",
                "passthrough.cat: the catalog does not list it",
            ],
        ),
        (
            "no-page-hashes",
            3,
            &[
                "does not hold",
                "x64/passthrough.sys: there are no SHA-256 hashes",
            ],
        ),
    ] {
        let env = [("IM_STAND_IN_FAULT", fault)];
        let output = tools.package(TEST, &["--sign", "test"], &env);
        let output = output.expect("there before");
        told(&output, parts);
        let called = tools.calls();
        assert_eq!(called.len(), calls, "{fault}");
        assert!(
            !text(&output).contains(&called[0].args[7]),
            "{fault}: the password is shown"
        );
        assert!(
            content(&tools.path("out")) == old,
            "{fault}: the package has changed"
        );
        // Nor is the key left behind, or half of a package.
        assert!(!called[0].cwd.exists());
        let beside = std::fs::read_dir(tools.dir.path()).expect("folder");
        for name in beside.map(|entry| entry.expect("entry").file_name()) {
            let name = name.to_string_lossy().into_owned();
            assert!(["bin", "out"].contains(&name.as_str()), "{fault}: {name}");
        }
        assert_eq!(called[0].cwd.parent(), place.parent());
    }
}

#[test]
fn tools_that_are_not_there_are_named() {
    const TEST: &str = "tools_that_are_not_there_are_named";
    let Some(tools) = Tools::new(TEST) else {
        return;
    };
    let bin = tools.path("bin");
    let run = |env: &[(&str, &Path)], parts: &[&str]| {
        let Some(mut command) = tools.xtask(TEST) else {
            return;
        };
        command
            .args([
                "package",
                "passthrough",
                "--sign",
                "test",
                "--tools",
                "windows",
            ])
            .envs(env.iter().copied());
        told(&command.output().expect("xtask runs"), parts);
        assert!(tools.calls().is_empty(), "something was called");
    };
    let hint = "without --tools";
    run(
        &[],
        &[
            "needs signtool",
            "PATH",
            "WindowsSdkVerBinPath",
            "XTASK_SIGNTOOL",
            hint,
        ],
    );
    // A kit whose driver part is missing, such as the SDK alone.
    let sdk = tools.path("sdk");
    std::fs::create_dir_all(sdk.join("bin/10.0.26100.0/x64")).expect("folder");
    let link = sdk.join("bin/10.0.26100.0/x64/signtool.exe");
    symlink(bin.join("x64/signtool.exe"), link).expect("link");
    let folder = sdk.join("bin/10.0.26100.0/x86").display().to_string();
    let parts = ["needs Inf2Cat", "(WDK)", "XTASK_INF2CAT", &folder];
    run(&[("WindowsSdkDir", &sdk)], &parts);
    let absent = tools.path("absent.exe");
    run(
        &[("XTASK_SIGNTOOL", &absent), ("WindowsSdkVerBinPath", &bin)],
        &["XTASK_SIGNTOOL is ", "absent.exe, which is no file"],
    );
}

#[test]
fn requests_that_the_tools_cannot_meet() {
    const TEST: &str = "requests_that_the_tools_cannot_meet";
    let Some(tools) = Tools::new(TEST) else {
        return;
    };
    let run = |more: &[&str], env: &[(&str, &str)], parts: &[&str]| {
        if let Some(output) = tools.package(TEST, more, env) {
            told(&output, parts);
            assert!(tools.calls().is_empty(), "something was called");
        }
    };
    run(&[], &[], &["--tools windows belongs to --sign"]);
    run(
        &["--sign", "test", "--time", "1"],
        &[],
        &["--time does not go with --tools windows"],
    );
    let code = "extendedKeyUsage=codeSigning";
    let file = pfx(tools.dir.path(), "mine", "rsa:2048", code, "-days 30");
    let file = file.display().to_string();
    let wrong = [("XTASK_PFX_PASSWORD", "a wrong one")];
    run(
        &["--sign", "pfx", &file],
        &wrong,
        &["mine.pfx", "password is wrong"],
    );
}

//! `cargo xtask doctor`: what was found, its version and origin, and the one command
//! that mends each gap. Looks only; fetches and changes nothing.

use anyhow::Result;
use serde::Serialize;

use crate::chain::{Arch, clang as compiler_of_c, kit, libclang, std_lib};
use crate::context::Context;
use crate::partners::{self, PARTNERS};
use crate::proc::{Cmd, which};

/// One thing looked for.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    found: bool,
    /// Nothing works without it.
    needed: bool,
    version: Option<String>,
    origin: Option<String>,
    /// What it is for, where that is not plain.
    purpose: Option<&'static str>,
    /// The command that mends the gap.
    mend: Option<String>,
}

/// Prints the findings; the exit code is 1 if something needed is missing.
pub fn doctor(cx: &Context, json: bool) -> Result<i32> {
    let checks = checks(cx);
    if json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        checks.iter().for_each(print);
        let missing = checks.iter().filter(|c| !c.found && c.needed).count();
        let gaps = checks.iter().filter(|c| !c.found).count() - missing;
        println!("\n{missing} needed and {gaps} optional things are missing");
    }
    Ok(i32::from(checks.iter().any(|c| !c.found && c.needed)))
}

fn print(check: &Check) {
    let mark = match (check.found, check.needed) {
        (true, _) => "ok     ",
        (false, true) => "MISSING",
        (false, false) => "absent ",
    };
    let details = [&check.version, &check.origin]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    println!("{mark}  {:<24} {details}", check.name);
    if !check.found {
        if let Some(purpose) = check.purpose {
            println!("         {:<24} for {purpose}", "");
        }
        if let Some(mend) = &check.mend {
            println!("         {:<24} -> {mend}", "");
        }
    }
}

fn checks(cx: &Context) -> Vec<Check> {
    let mut checks = vec![compiler(cx), linker(cx)];
    checks.extend([Arch::X64, Arch::Arm64].map(|arch| library(cx, arch)));
    checks.push(clang(cx));
    checks.push(clang_itself(cx));
    checks.push(the_kit());
    checks.push(tool(
        "git",
        "--version",
        true,
        "the date in INFs, which is the commit's",
        "apt-get install git",
    ));
    checks.push(deny(cx));
    checks.extend(PARTNERS.iter().map(|p| Check {
        name: p.program.to_owned(),
        found: partners::find(p.program).is_some(),
        needed: false,
        version: None,
        origin: partners::find(p.program).map(|path| path.display().to_string()),
        purpose: Some(p.purpose),
        mend: Some(partners::INSTALL.to_owned()),
    }));
    if cfg!(target_os = "linux") {
        checks.push(rights());
    }
    checks
}

fn compiler(cx: &Context) -> Check {
    let minor = cx
        .rustc
        .release
        .split('.')
        .nth(1)
        .and_then(|m| m.parse::<u32>().ok());
    Check {
        name: "rustc".to_owned(),
        found: minor.is_some_and(|m| m >= 95),
        needed: true,
        version: Some(cx.rustc.release.clone()),
        origin: Some(cx.rustc.sysroot.display().to_string()),
        purpose: Some("everything; Rust 1.95 or later"),
        mend: Some("rustup toolchain install 1.95.0 && rustup override set 1.95.0".to_owned()),
    }
}

fn linker(cx: &Context) -> Check {
    if cfg!(windows) {
        return Check {
            name: "linker".to_owned(),
            found: true,
            needed: true,
            version: None,
            origin: Some("link.exe, as rustc finds it".to_owned()),
            purpose: None,
            mend: None,
        };
    }
    let path = cx
        .rustc
        .sysroot
        .join("lib/rustlib")
        .join(&cx.rustc.host)
        .join("bin/rust-lld");
    Check {
        name: "rust-lld".to_owned(),
        found: path.is_file(),
        needed: true,
        version: None,
        origin: path.is_file().then(|| path.display().to_string()),
        purpose: Some("linking kernel images"),
        mend: Some("use a toolchain of rustup: rustup toolchain install 1.95.0".to_owned()),
    }
}

fn library(cx: &Context, arch: Arch) -> Check {
    let found = std_lib::find(cx, arch);
    let (origin, error) = match found {
        Ok(found) => (found.map(|f| f.origin), None),
        Err(e) => (None, Some(format!("{e:#}"))),
    };
    Check {
        name: format!("core, alloc ({})", arch.name()),
        found: origin.is_some(),
        needed: arch == Arch::X64,
        version: None,
        origin,
        purpose: Some("kernel code"),
        mend: Some(error.unwrap_or_else(|| format!("cargo xtask setup --arch {}", arch.name()))),
    }
}

fn clang(cx: &Context) -> Check {
    let found = libclang::find(cx);
    Check {
        name: "libclang".to_owned(),
        found: found.is_some(),
        needed: true,
        version: None,
        origin: found.map(|f| f.origin),
        purpose: Some("the bindings of wdk-sys"),
        mend: Some("cargo xtask setup".to_owned()),
    }
}

fn clang_itself(cx: &Context) -> Check {
    let found = compiler_of_c::find(cx);
    Check {
        name: "clang".to_owned(),
        found: found.is_some(),
        needed: false,
        version: None,
        origin: found.map(|f| f.origin),
        purpose: Some("the tests with drivers in C"),
        mend: Some("cargo xtask setup".to_owned()),
    }
}

fn the_kit() -> Check {
    let (found, origin, mend) = match kit::find() {
        Ok(Some(kit)) => (true, kit.origin, None),
        Ok(None) => (
            true,
            "the project's own headers and export lists".to_owned(),
            None,
        ),
        Err(e) => (
            false,
            format!("{e:#}"),
            Some("unset WDKContentRoot".to_owned()),
        ),
    };
    Check {
        name: "kit".to_owned(),
        found,
        needed: true,
        version: None,
        origin: Some(origin),
        purpose: None,
        mend,
    }
}

fn tool(name: &str, version: &str, needed: bool, purpose: &'static str, mend: &str) -> Check {
    let path = which(name);
    Check {
        name: name.to_owned(),
        found: path.is_some(),
        needed,
        version: path
            .as_ref()
            .and_then(|p| Cmd::new(p).arg(version).read().ok())
            .map(|v| v.trim().to_owned()),
        origin: path.map(|p| p.display().to_string()),
        purpose: Some(purpose),
        mend: Some(mend.to_owned()),
    }
}

fn deny(cx: &Context) -> Check {
    let path = crate::ci::cargo_deny(cx);
    Check {
        name: "cargo-deny".to_owned(),
        found: path.is_some(),
        needed: false,
        version: None,
        origin: path.map(|p| p.display().to_string()),
        purpose: Some("the check of licences and sources in `cargo xtask ci`, which installs it"),
        mend: Some("cargo install cargo-deny --locked".to_owned()),
    }
}

/// Network namespaces: root, or the right to make user namespaces.
fn rights() -> Check {
    let user_namespace = || {
        Cmd::new("unshare")
            .args(["--user", "--net", "--map-root-user", "true"])
            .read()
            .is_ok()
    };
    let origin = if partners::is_root() {
        Some("root")
    } else if user_namespace() {
        Some("user namespaces")
    } else {
        None
    };
    Check {
        name: "network namespaces".to_owned(),
        found: origin.is_some(),
        needed: false,
        version: None,
        origin: origin.map(str::to_owned),
        purpose: Some("`lab --tap` and its tests"),
        mend: Some("run as root, or allow user namespaces".to_owned()),
    }
}

//! `cargo xtask ci`: what the project's CI runs, in the order of what fails fastest.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::chain::{Arch, Chain};
use crate::context::Context;
use crate::proc::{Cmd, which};
use crate::ui::say;
use crate::{drivers, partners, test};

/// A version of cargo-deny that the project's compiler builds.
const CARGO_DENY: &str = "0.20.2";

/// Runs everything; the first failing step ends it.
pub fn ci(cx: &Context) -> Result<i32> {
    step("Cargo.lock", || {
        cx.cargo()
            .args(["metadata", "--locked", "--format-version", "1"])
            .read()
            .map(drop)
    })?;
    step("format", || {
        cx.cargo().args(["fmt", "--all", "--check"]).run()
    })?;
    step("lints, host", || {
        let mut cmd = cx.cargo();
        cmd.args(["clippy", "--workspace", "--all-targets"])
            .arg("--target-dir")
            .arg(&cx.target);
        cmd.args(["--", "-D", "warnings"]).run()
    })?;
    step("lints, kernel", || kernel_clippy(cx))?;
    step("licences, bans, sources", || deny(cx))?;
    if partners::is_root() {
        step("partners of the tests", || partners::install(cx))?;
    } else {
        say("not root: tests whose partners are missing will be skipped");
    }
    test::test(cx, false)
}

fn step(name: &str, f: impl FnOnce() -> Result<()>) -> Result<()> {
    say(&format!("== {name}"));
    let started = Instant::now();
    f().with_context(|| name.to_owned())?;
    say(&format!(
        "== {name}: passed ({:.0} s)",
        started.elapsed().as_secs_f32()
    ));
    Ok(())
}

/// Clippy on the drivers and what they are made of, for the kernel target.
fn kernel_clippy(cx: &Context) -> Result<()> {
    let chain = Chain::ready(cx, Arch::X64)?;
    let mut cmd = chain.cargo(cx, "clippy")?;
    cmd.env("CLIPPY_CONF_DIR", cx.root.join("xtask/kernel-lints"));
    // The profile of the packages, so that wdk-build and bindgen are built once.
    cmd.args(["--profile", "kernel-release", "--lib"]);
    let mut features = Vec::new();
    for driver in drivers::all(cx)?.into_iter().chain(drivers::subjects(cx)?) {
        cmd.args(["--package", &driver.name]);
        features.push(format!("{}/kernel", driver.name));
    }
    for name in drivers::crates(cx)? {
        cmd.args(["--package", &name]);
    }
    cmd.args(["--features", &features.join(",")])
        .args(["--", "-D", "warnings"])
        .run()
}

/// cargo-deny, installed or built by us before.
pub fn cargo_deny(cx: &Context) -> Option<PathBuf> {
    which("cargo-deny").or_else(|| Some(tools(cx).join("bin/cargo-deny")).filter(|p| p.is_file()))
}

fn tools(cx: &Context) -> PathBuf {
    cx.cache.join("tools")
}

/// The advisory database is a download of its own and is left to the hosted CI.
fn deny(cx: &Context) -> Result<()> {
    let path = match cargo_deny(cx) {
        Some(path) => path,
        None => install_deny(cx)?,
    };
    let mut cmd = Cmd::new(path);
    cmd.dir(&cx.root).arg("--workspace");
    if cx.offline {
        cmd.arg("--offline");
    }
    cmd.args(["check", "licenses", "bans", "sources"]).run()
}

fn install_deny(cx: &Context) -> Result<PathBuf> {
    say(&format!(
        "installing cargo-deny {CARGO_DENY} into {}",
        tools(cx).display()
    ));
    let mut cmd = cx.cargo();
    cmd.args([
        "install",
        "cargo-deny",
        "--locked",
        "--version",
        CARGO_DENY,
        "--root",
    ])
    .arg(tools(cx));
    cmd.arg("--target-dir").arg(cx.target.join("tools"));
    // It runs once: a quick build is worth more than quick code.
    for setting in [
        "lto=false",
        "opt-level=1",
        "codegen-units=16",
        "debug=false",
    ] {
        cmd.arg("--config")
            .arg(format!("profile.release.{setting}"));
    }
    cmd.run()
        .context("cargo-deny could not be installed: is there a network?")?;
    Ok(tools(cx).join("bin/cargo-deny"))
}

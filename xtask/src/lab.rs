//! `cargo xtask lab`: the packaged driver, run on this machine.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::build::Profile;
use crate::chain::Arch;
use crate::context::Context;
use crate::{drivers, package};

/// Packages `driver`, builds the lab and becomes it.
pub fn lab(cx: &Context, driver: &str, args: &[OsString]) -> Result<i32> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the lab runs x64 drivers on x86-64 Linux; here only `cargo xtask package` works");
    }
    let driver = drivers::find(cx, driver)?;
    let request = package::Request {
        arch: Arch::X64,
        profile: Profile::Release,
        out: None,
    };
    let package = package::package(cx, &driver, &request)?;
    let lab = binary(cx)?;

    let mut cmd = std::process::Command::new(&lab);
    cmd.arg("run").arg("--package").arg(package).args(args);
    become_it(cmd)
}

/// Builds the lab and returns its path.
fn binary(cx: &Context) -> Result<PathBuf> {
    let mut cmd = cx.cargo();
    cmd.args(["build", "--release", "--package", "lab", "--bin", "lab"]);
    cmd.arg("--target-dir").arg(&cx.target);
    cmd.run().context("the lab could not be built")?;
    Ok(cx.target.join("release").join("lab"))
}

/// The lab takes this process over, with its terminal, its signals and its exit code.
#[cfg(unix)]
fn become_it(mut cmd: std::process::Command) -> Result<i32> {
    use std::os::unix::process::CommandExt as _;
    Err(cmd.exec()).context("the lab could not be started")
}

#[cfg(not(unix))]
fn become_it(mut cmd: std::process::Command) -> Result<i32> {
    Ok(cmd
        .status()
        .context("the lab could not be started")?
        .code()
        .unwrap_or(1))
}

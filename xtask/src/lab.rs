//! `cargo xtask lab`: the packaged driver, run on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::build::Profile;
use crate::chain::Arch;
use crate::context::Context;
use crate::drivers::{self, Driver};
use crate::package;

/// Packages `driver`, builds the lab and becomes it.
pub fn lab(cx: &Context, driver: &str, args: &[OsString]) -> Result<i32> {
    check_host()?;
    let driver = drivers::find(cx, driver)?;
    let lab = binary(cx)?;
    become_it(run(cx, &lab, &driver, args)?)
}

/// The driver with one port that one with many is compared with, and that.
const ONE: &str = "passthrough";
const MANY: &str = "mux";

/// Runs the lab's benchmark on one driver, or on all one after the other; the exit code is
/// that of the first that did not end well. The benchmark of a driver with many ports is one
/// run that has the other in it.
pub fn bench(cx: &Context, driver: Option<&str>, args: &[OsString]) -> Result<i32> {
    check_host()?;
    let drivers = match driver {
        Some(name) => vec![drivers::find(cx, name)?],
        None => drivers::all(cx)?,
    };
    let lab = binary(cx)?;
    let mut result = 0;
    for driver in drivers {
        let mut cmd = if driver.name == MANY {
            let one = drivers::find(cx, ONE)?;
            let mut cmd = Command::new(&lab);
            cmd.args(["bench-ports", "--one"]);
            cmd.arg(package(cx, &one)?);
            cmd.arg("--many").arg(package(cx, &driver)?);
            cmd
        } else {
            run(cx, &lab, &driver, &["--scenario".into(), "bench".into()])?
        };
        cmd.args(args);
        let status = cmd.status().context("the lab could not be started")?;
        let code = status.code().unwrap_or(1);
        result = if result == 0 { code } else { result };
    }
    Ok(result)
}

fn check_host() -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the lab runs x64 drivers on x86-64 Linux; here only `cargo xtask package` works");
    }
    Ok(())
}

/// Packages `driver`; returns the lab's command line for it.
fn run(cx: &Context, lab: &Path, driver: &Driver, args: &[OsString]) -> Result<Command> {
    let mut cmd = Command::new(lab);
    cmd.arg("run").arg("--package").arg(package(cx, driver)?);
    cmd.args(args);
    Ok(cmd)
}

/// Packages `driver`; returns the package's directory.
fn package(cx: &Context, driver: &Driver) -> Result<PathBuf> {
    let request = package::Request {
        arch: Arch::X64,
        profile: Profile::Release,
        out: None,
    };
    package::package(cx, driver, &request)
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
fn become_it(mut cmd: Command) -> Result<i32> {
    use std::os::unix::process::CommandExt as _;
    Err(cmd.exec()).context("the lab could not be started")
}

#[cfg(not(unix))]
fn become_it(mut cmd: Command) -> Result<i32> {
    Ok(cmd
        .status()
        .context("the lab could not be started")?
        .code()
        .unwrap_or(1))
}

//! `cargo xtask lab`: the packaged driver, run on this machine, or one driver on another;
//! `lab compare` and `lab exercise`, which take all of them; `cargo xtask bench`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::drivers::{self, Driver};
use crate::package;

/// The driver with one miniport above one adapter, which others are compared with.
const ONE: &str = "passthrough";
/// The driver with many miniports above one adapter.
const MANY: &str = "mux";
/// The driver with one miniport above many adapters.
const TEAM: &str = "lbfo";

/// The word for all drivers side by side, in place of a driver.
const COMPARE: &str = "compare";
/// The word for the course's exercises.
const EXERCISE: &str = "exercise";
/// Commands of the lab that take a driver by its package or its image, or none at all.
const COMMANDS: [&str; 7] = [
    "verify", "replay", "rules", "trace", "coverage", "fuzz", "imports",
];
/// What joins the names of two drivers, of which the first stands on the second.
const ON: &str = "-on-";

/// Packages `driver`, builds the lab and becomes it; or does so with all drivers.
pub fn lab(cx: &Context, driver: &str, args: &[OsString]) -> Result<i32> {
    check_host()?;
    match driver {
        COMPARE => become_it(compare(cx, args)?),
        EXERCISE => become_it(exercise(cx, args)?),
        command if COMMANDS.contains(&command) => become_it(other(cx, command, args)?),
        _ => become_it(match driver.split_once(ON) {
            Some((above, below)) => stacked(cx, above, below, args)?,
            None => run(cx, &binary(cx)?, &drivers::find(cx, driver)?, args)?,
        }),
    }
}

/// One driver on another, with the topology that the lab has for the two.
fn stacked(cx: &Context, above: &str, below: &str, args: &[OsString]) -> Result<Command> {
    let topologies = cx.root.join("crates/lab/topologies");
    let topology = topologies.join(format!("{above}{ON}{below}.toml"));
    let (above, below) = (drivers::find(cx, above)?, drivers::find(cx, below)?);
    if !topology.is_file() {
        bail!(
            "there is no topology for {} on {}: {} is not there",
            above.name,
            below.name,
            topology.display()
        );
    }
    let above = package(cx, &above)?;
    let mut cmd = run(cx, &binary(cx)?, &below, &[])?;
    cmd.arg("--above").arg(above);
    cmd.arg("--topology").arg(topology).args(args);
    Ok(cmd)
}

/// The three drivers side by side; the page goes to `target/compare`.
fn compare(cx: &Context, args: &[OsString]) -> Result<Command> {
    let mut cmd = Command::new(binary(cx)?);
    cmd.arg("compare");
    for (option, name) in [("--one", ONE), ("--many", MANY), ("--team", TEAM)] {
        cmd.arg(option).arg(package(cx, &drivers::find(cx, name)?)?);
    }
    cmd.arg("--out").arg(cx.target.join("compare")).args(args);
    Ok(cmd)
}

/// An exercise of the course, or their list.
fn exercise(cx: &Context, args: &[OsString]) -> Result<Command> {
    let mut packages = None;
    for driver in drivers::all(cx)? {
        packages = package(cx, &driver)?.parent().map(Path::to_owned);
    }
    let mut cmd = Command::new(binary(cx)?);
    cmd.arg("exercise").arg("--packages").args(packages);
    cmd.args(args);
    Ok(cmd)
}

/// Another command of the lab: the first argument that is the name of a driver here stands for
/// its package, which is made first.
fn other(cx: &Context, command: &str, args: &[OsString]) -> Result<Command> {
    let mut cmd = Command::new(binary(cx)?);
    cmd.arg(command);
    let drivers = drivers::all(cx)?;
    let named = |arg: &OsString| drivers.iter().find(|d| arg.to_str() == Some(&*d.name));
    let at = args.iter().position(|arg| named(arg).is_some());
    for (index, arg) in args.iter().enumerate() {
        match named(arg).filter(|_| at == Some(index)) {
            Some(driver) => cmd.arg(package(cx, driver)?),
            None => cmd.arg(arg),
        };
    }
    if command == "replay" && at.is_none() {
        // A number says which driver it is of, but not where that is.
        for driver in &drivers {
            cmd.arg("--among").arg(package(cx, driver)?);
        }
    }
    Ok(cmd)
}

/// Runs the lab's benchmark on one driver, or on all one after the other; the exit code is
/// that of the first that did not end well. The benchmark of a driver with many ports or
/// many members is one run that has the first driver in it.
pub fn bench(cx: &Context, driver: Option<&str>, args: &[OsString]) -> Result<i32> {
    check_host()?;
    let drivers = match driver {
        Some(name) => vec![drivers::find(cx, name)?],
        None => drivers::all(cx)?,
    };
    let lab = binary(cx)?;
    let mut result = 0;
    for driver in drivers {
        let beside = match driver.name.as_str() {
            MANY => Some(("bench-ports", "--many")),
            TEAM => Some(("bench-team", "--team")),
            _ => None,
        };
        let mut cmd = if let Some((command, option)) = beside {
            let one = drivers::find(cx, ONE)?;
            let mut cmd = Command::new(&lab);
            cmd.arg(command).arg("--one").arg(package(cx, &one)?);
            cmd.arg(option).arg(package(cx, &driver)?);
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

/// Packages `driver`, signed if it was; returns the package's directory.
fn package(cx: &Context, driver: &Driver) -> Result<PathBuf> {
    package::package(cx, driver, &package::Request::again(cx, driver)?)
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

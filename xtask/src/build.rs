//! Building a driver for the kernel target.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use fs_err as fs;

use crate::chain::{Arch, Chain};
use crate::context::Context;
use crate::drivers::Driver;
use crate::version_info;

/// Build profile of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Overflow checks and assertions; a failed one is a bug check.
    Debug,
    /// Optimised as a whole.
    Release,
}

impl Profile {
    /// Cargo's profile (see the workspace's `Cargo.toml`).
    fn cargo(self) -> &'static str {
        match self {
            Self::Debug => "kernel-debug",
            Self::Release => "kernel-release",
        }
    }

    /// The name in the manifest and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// What a build has made.
#[derive(Debug)]
pub struct Built {
    /// The driver image. Cargo names it `.dll`; it is `.sys` in the package.
    pub image: PathBuf,
    /// Its symbols.
    pub pdb: PathBuf,
}

/// Builds `driver`.
pub fn build(cx: &Context, driver: &Driver, arch: Arch, profile: Profile) -> Result<Built> {
    let chain = Chain::ready(cx, arch)?;
    let resources = cx
        .chain_dir()
        .join("res")
        .join(format!("{}.res", driver.name));
    write_if_changed(&resources, &version_info::resource_file(driver)?)?;

    let mut cmd = chain.cargo(cx, "rustc")?;
    cmd.args([
        "--package",
        &driver.name,
        "--lib",
        "--features",
        "kernel",
        "--locked",
        "--profile",
        profile.cargo(),
    ]);
    cmd.arg("--");
    for arg in ["/RELEASE", "/Brepro"] {
        // A checksum, without which the kernel loads no driver; no time stamps.
        cmd.arg(format!("-Clink-arg={arg}"));
    }
    cmd.arg(format!("-Clink-arg={}", resources.display()));
    cmd.run().with_context(|| {
        format!(
            "building {} for {} ({})",
            driver.name,
            arch.triple(),
            chain.summary()
        )
    })?;

    let out = Chain::target_dir(cx)
        .join(arch.triple())
        .join(profile.cargo());
    let file = |extension| out.join(format!("{}.{extension}", driver.name.replace('-', "_")));
    Ok(Built {
        image: file("dll"),
        pdb: file("pdb"),
    })
}

fn write_if_changed(path: &std::path::Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    crate::dirs::create(path.parent().context("no parent")?)?;
    Ok(fs::write(path, content)?)
}

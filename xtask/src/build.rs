//! Building a driver for the kernel target.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::chain::{Arch, Chain};
use crate::context::Context;
use crate::dirs::write_if_changed;
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
    pub fn cargo(self) -> &'static str {
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
    build_with(cx, &Chain::ready(cx, arch)?, driver, arch, profile)
}

/// Builds `driver` with a chain that is there already.
pub fn build_with(
    cx: &Context,
    chain: &Chain,
    driver: &Driver,
    arch: Arch,
    profile: Profile,
) -> Result<Built> {
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
        // A driver may be a library besides, for tests and benches. Link-time
        // optimisation is for an image alone.
        "--crate-type",
        "cdylib",
        "--features",
        "kernel",
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
        let origins = chain
            .origins()
            .map(|(name, origin)| format!("{name}: {origin}"))
            .join("; ");
        format!("building {} for {} ({origins})", driver.name, arch.triple())
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

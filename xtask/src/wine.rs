//! Programs for Windows that tests start under Wine, without a C runtime and without an
//! import library.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::build::Profile;
use crate::chain::{Arch, Chain};
use crate::context::Context;

/// Builds the program that lets setupapi install parts of an INF.
pub fn inf_installer(cx: &Context) -> Result<PathBuf> {
    let chain = Chain::ready(cx, Arch::X64)?;
    let mut cmd = chain.cargo(cx, "rustc")?;
    cmd.args(["--package", "inf-installer", "--bin", "inf-installer"])
        .args(["--features", "exe"])
        .args(["--profile", Profile::Release.cargo(), "--"]);
    for arg in ["/NODEFAULTLIB", "/ENTRY:start", "/SUBSYSTEM:CONSOLE"] {
        cmd.arg(format!("-Clink-arg={arg}"));
    }
    cmd.run().context("building the program for Wine")?;
    let folder = Chain::target_dir(cx)
        .join(Arch::X64.triple())
        .join(Profile::Release.cargo());
    Ok(folder.join("inf-installer.exe"))
}

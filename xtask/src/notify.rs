//! Building the notify objects: one source, one DLL for each driver. What is particular to
//! a driver comes from `inf/<driver>.toml`, as it does for its INFs, so that the two agree.
//!
//! Also the program that tests drive the DLLs with under Wine: it is built the same way,
//! without a C runtime and without an import library.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;

use crate::build::Profile;
use crate::chain::{Arch, Chain};
use crate::context::Context;
use crate::dirs::write_if_changed;
use crate::drivers::Driver;
use crate::inf::DriverData;

/// What a build has made.
#[derive(Debug)]
pub struct Built {
    /// The DLL, under the name that it has in the package.
    pub dll: PathBuf,
    /// Its symbols, named after it.
    pub pdb: PathBuf,
}

/// Builds the notify object of `driver`; `None` if it has none.
pub fn build(
    cx: &Context,
    chain: &Chain,
    driver: &Driver,
    arch: Arch,
    profile: Profile,
) -> Result<Option<Built>> {
    let data = DriverData::read(&driver.name, &cx.root.join("inf"))?;
    let Some(object) = &data.notify_object else {
        return Ok(None);
    };
    let stem = object.file.strip_suffix(".dll").unwrap_or(&object.file);
    let mut cmd = chain.cargo(cx, "rustc")?;
    cmd.args(["--package", "notify-object", "--lib", "--features", "dll"])
        .args(["--profile", profile.cargo()]);
    for (name, value) in [
        ("DRIVER", driver.name.clone()),
        ("TITLE", data.title.clone()),
        ("SERVICE", data.protocol.service.clone()),
        ("PROTOCOL", data.id(&data.protocol.id)),
        ("MINIPORT", data.id(&data.miniport.id)),
        ("CLSID", object.clsid.clone()),
    ] {
        cmd.env(format!("IM_NOTIFY_{name}"), value);
    }
    cmd.arg("--");
    link(&mut cmd, &["/ENTRY:DllMain", "/SUBSYSTEM:WINDOWS"]);
    // What a debugger looks for, in place of cargo's name.
    cmd.arg(format!("-Clink-arg=/PDBALTPATH:{stem}.pdb"));
    let built = || format!("building {} for {}", object.file, arch.triple());
    cmd.run().with_context(built)?;

    let out = folder(cx, arch, profile);
    let named = out.join("notify").join(&driver.name);
    let copy = |from: &str, to: String| -> Result<PathBuf> {
        let to = named.join(to);
        write_if_changed(&to, &fs::read(out.join(from))?)?;
        Ok(to)
    };
    Ok(Some(Built {
        dll: copy("notify_object.dll", object.file.clone())?,
        pdb: copy("notify_object.pdb", format!("{stem}.pdb"))?,
    }))
}

/// Builds the program that drives notify objects under Wine.
pub fn build_test_program(cx: &Context, chain: &Chain) -> Result<PathBuf> {
    let mut cmd = chain.cargo(cx, "rustc")?;
    cmd.args(["--package", "notify-driver", "--bin", "notify-driver"])
        .args(["--features", "exe"])
        .args(["--profile", Profile::Release.cargo(), "--"]);
    link(&mut cmd, &["/ENTRY:start", "/SUBSYSTEM:CONSOLE"]);
    cmd.run().context("building the program for Wine")?;
    Ok(folder(cx, Arch::X64, Profile::Release).join("notify-driver.exe"))
}

/// Links without Microsoft's libraries, and reproducibly.
fn link(cmd: &mut crate::proc::Cmd, args: &[&str]) {
    for arg in ["/NODEFAULTLIB", "/RELEASE", "/Brepro"].iter().chain(args) {
        cmd.arg(format!("-Clink-arg={arg}"));
    }
}

fn folder(cx: &Context, arch: Arch, profile: Profile) -> PathBuf {
    let target: &Path = &Chain::target_dir(cx);
    target.join(arch.triple()).join(profile.cargo())
}

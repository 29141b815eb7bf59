//! Building the notify objects: one source, one DLL for each driver. What is particular to
//! a driver comes from `inf/<driver>.toml`, as it does for its INFs, so that the two agree.
//!
//! Also the program that tests drive the DLLs with under Wine: it is built the same way,
//! without a C runtime and without an import library.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;
use sha2::{Digest as _, Sha256};

use crate::build::Profile;
use crate::chain::{Arch, Chain};
use crate::context::Context;
use crate::dirs::write_if_changed;
use crate::drivers::{self, Driver};
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
    let names = [
        ("DRIVER", driver.name.clone()),
        ("TITLE", data.title.clone()),
        ("SERVICE", data.protocol.service.clone()),
        ("PROTOCOL", data.id(&data.protocol.id)),
        ("MINIPORT", data.id(&data.miniport.id)),
        ("CLSID", object.clsid.clone()),
    ];
    let stem = object.file.strip_suffix(".dll").unwrap_or(&object.file);
    let named = folder(cx, arch, profile).join("notify").join(&driver.name);
    let done = Built {
        dll: named.join(&object.file),
        pdb: named.join(format!("{stem}.pdb")),
    };
    let (stamp, inputs) = (named.join("inputs"), inputs(cx, chain, &names)?);
    let same = fs::read_to_string(&stamp).is_ok_and(|old| old == inputs);
    if same && done.dll.is_file() && done.pdb.is_file() {
        return Ok(Some(done));
    }

    let mut cmd = chain.cargo(cx, "rustc")?;
    cmd.args(["--package", "notify-object", "--lib", "--features", "dll"])
        .args(["--profile", profile.cargo()]);
    for (name, value) in &names {
        cmd.env(format!("IM_NOTIFY_{name}"), value);
    }
    cmd.arg("--");
    link(&mut cmd, &["/ENTRY:DllMain", "/SUBSYSTEM:WINDOWS"]);
    // What a debugger looks for, in place of cargo's name.
    cmd.arg(format!("-Clink-arg=/PDBALTPATH:{stem}.pdb"));
    let built = || format!("building {} for {}", object.file, arch.triple());
    cmd.run().with_context(built)?;

    let out = folder(cx, arch, profile);
    write_if_changed(&done.dll, &fs::read(out.join("notify_object.dll"))?)?;
    write_if_changed(&done.pdb, &fs::read(out.join("notify_object.pdb"))?)?;
    write_if_changed(&stamp, inputs.as_bytes())?;
    Ok(Some(done))
}

/// A hash of everything that a DLL is made of. Cargo has one place for the DLLs of all
/// drivers and would build each of them anew whenever another one was built in between.
fn inputs(cx: &Context, chain: &Chain, names: &[(&str, String)]) -> Result<String> {
    let mut hash = Sha256::new();
    let mut files = vec![cx.root.join("Cargo.toml"), cx.root.join("Cargo.lock")];
    for krate in ["netcfg", "notify-object"] {
        let folder = cx.root.join("crates").join(krate);
        files.push(folder.join("Cargo.toml"));
        for entry in fs::read_dir(folder.join("src"))? {
            files.push(entry?.path());
        }
    }
    files.sort();
    for file in files {
        hash.update(cx.show(&file));
        hash.update(Sha256::digest(fs::read(&file)?));
    }
    for part in [
        &cx.rustc.commit,
        chain.core_origin(),
        include_str!("notify.rs"),
    ] {
        hash.update(Sha256::digest(part));
    }
    for (name, value) in names {
        hash.update(Sha256::digest(format!("{name}={value}")));
    }
    let digest = hash.finalize();
    Ok(digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

/// Builds what tests take: the notify objects, each in a folder that has its driver's name,
/// and the program that drives them. Returns the folder of it all.
pub fn for_tests(cx: &Context) -> Result<PathBuf> {
    let (arch, profile) = (Arch::X64, Profile::Release);
    let chain = Chain::ready(cx, arch)?;
    for driver in drivers::all(cx)? {
        build(cx, &chain, &driver, arch, profile)?;
    }
    let program = build_test_program(cx, &chain)?;
    let folder = folder(cx, arch, profile).join("notify");
    fs::copy(&program, folder.join("notify-driver.exe"))?;
    Ok(folder)
}

/// Builds the program that drives notify objects under Wine.
fn build_test_program(cx: &Context, chain: &Chain) -> Result<PathBuf> {
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

/// Where cargo puts things for that architecture and profile.
fn folder(cx: &Context, arch: Arch, profile: Profile) -> PathBuf {
    let target: &Path = &Chain::target_dir(cx);
    target.join(arch.triple()).join(profile.cargo())
}

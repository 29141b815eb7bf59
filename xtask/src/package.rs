//! Packages: a folder with the image, its symbols, both INFs, the topology that the
//! lab runs by default, and a manifest that lists them with their hashes.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::build::{self, Profile};
use crate::chain::Arch;
use crate::cli::PackageArgs;
use crate::context::Context;
use crate::dirs::Staging;
use crate::drivers::{self, Driver};
use crate::inf;
use crate::ui::say;

/// Name of the manifest in a package.
pub const MANIFEST: &str = "manifest.json";

/// Version of the manifest's form.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize)]
struct Manifest {
    format: u32,
    driver: String,
    version: String,
    arch: &'static str,
    target: &'static str,
    profile: &'static str,
    /// The service that loads the image.
    service: String,
    /// The service of the protocol edge, the name it registers with NDIS (PTR-3).
    protocol: String,
    files: Vec<File>,
}

#[derive(Debug, Serialize)]
struct File {
    role: &'static str,
    path: String,
    sha256: String,
    size: u64,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// Architecture.
    pub arch: Arch,
    /// Build profile.
    pub profile: Profile,
    /// The package's folder, when it is not the usual one.
    pub out: Option<PathBuf>,
}

/// `cargo xtask package`: makes the packages that were asked for and prints their folders.
pub fn command(cx: &Context, args: PackageArgs) -> Result<()> {
    let drivers = match &args.driver {
        Some(name) => vec![drivers::find(cx, name)?],
        None => drivers::all(cx)?,
    };
    let request = Request {
        arch: args.arch,
        profile: args.profile,
        out: args.out,
    };
    for driver in drivers {
        println!("{}", package(cx, &driver, &request)?.display());
    }
    Ok(())
}

/// Builds `driver` and makes its package; returns the package's folder.
pub fn package(cx: &Context, driver: &Driver, request: &Request) -> Result<PathBuf> {
    let out = match &request.out {
        Some(out) => std::path::absolute(out)?,
        None => default_dir(cx, driver, request),
    };
    // Looked at before the build, which takes longer.
    check_replaceable(&out)?;
    let (service, protocol) = services(cx, driver)?;
    let built = build::build(cx, driver, request.arch, request.profile)?;

    let parent = out.parent().context("a package needs a folder to lie in")?;
    let staging = Staging::new(parent)?;
    let mut files = Vec::new();
    let mut add = |role: &'static str, path: String, content: &[u8]| -> Result<()> {
        fs::write(staging.path().join(&path), content)?;
        files.push(File {
            role,
            path,
            sha256: hex(&Sha256::digest(content)),
            size: content.len() as u64,
        });
        Ok(())
    };
    add(
        "image",
        format!("{}.sys", driver.name),
        &fs::read(&built.image)?,
    )?;
    add(
        "pdb",
        format!("{}.pdb", driver.name),
        &fs::read(&built.pdb)?,
    )?;
    for stamped in stamp(cx, driver, request.arch)? {
        let role = match stamped.role {
            inf::InfRole::Protocol => "protocol-inf",
            inf::InfRole::Miniport => "miniport-inf",
        };
        add(role, stamped.file_name, &stamped.contents)?;
    }
    let topology = cx.root.join("drivers").join(&driver.name).join("lab.toml");
    if topology.is_file() {
        add("topology", "lab.toml".to_owned(), &fs::read(topology)?)?;
    }

    let [major, minor, patch] = driver.version;
    let manifest = Manifest {
        format: FORMAT,
        driver: driver.name.clone(),
        version: format!("{major}.{minor}.{patch}.0"),
        arch: request.arch.name(),
        target: request.arch.triple(),
        profile: request.profile.name(),
        service,
        protocol,
        files,
    };
    let mut json = serde_json::to_vec_pretty(&manifest)?;
    json.push(b'\n');
    fs::write(staging.path().join(MANIFEST), json)?;
    judge(staging.path())?;

    if same_content(staging.path(), &out) {
        return Ok(out);
    }
    staging.replace(&out)?;
    Ok(out)
}

/// `target/package/<driver>`; other architectures and profiles have a suffix.
fn default_dir(cx: &Context, driver: &Driver, request: &Request) -> PathBuf {
    let mut name = driver.name.clone();
    if request.arch != Arch::X64 {
        name = format!("{name}-{}", request.arch.name());
    }
    if request.profile != Profile::Release {
        name = format!("{name}-{}", request.profile.name());
    }
    cx.target.join("package").join(name)
}

/// Refuses to replace a folder that is something else than a package.
fn check_replaceable(out: &Path) -> Result<()> {
    let Ok(mut entries) = fs::read_dir(out) else {
        if out.exists() {
            bail!(
                "{} is a file; --out names the folder that becomes the package",
                out.display()
            );
        }
        return Ok(());
    };
    if entries.next().is_some() && !out.join(MANIFEST).is_file() {
        bail!(
            "{} holds something that is not a package and would be lost; name another folder by --out",
            out.display()
        );
    }
    Ok(())
}

fn stamp(cx: &Context, driver: &Driver, arch: Arch) -> Result<Vec<inf::StampedInf>> {
    let [major, minor, patch] = driver.version;
    let context = inf::StampContext {
        version: inf::DriverVersion([major, minor, patch, 0]),
        date: inf::DriverDate::of_source(&cx.root)?,
        arch: match arch {
            Arch::X64 => inf::Arch::X64,
            Arch::Arm64 => inf::Arch::Arm64,
        },
    };
    inf::stamp(&driver.name, &cx.root.join("inf"), &context)
}

/// The INF linter's verdict: errors end the packaging, notes are shown.
fn judge(package: &Path) -> Result<()> {
    let findings = inf::lint(package)?;
    let (errors, notes): (Vec<_>, Vec<_>) = findings
        .iter()
        .partition(|f| f.severity == inf::Severity::Error);
    for note in notes {
        say(&note.to_string());
    }
    if !errors.is_empty() {
        let lines: Vec<_> = errors.iter().map(|f| format!("  {f}")).collect();
        bail!("the package's INFs are not fit:\n{}", lines.join("\n"));
    }
    Ok(())
}

/// The services of the image and of the protocol edge, from the driver's data for its INFs.
fn services(cx: &Context, driver: &Driver) -> Result<(String, String)> {
    #[derive(Deserialize)]
    struct Data {
        miniport: Edge,
        protocol: Edge,
    }
    #[derive(Deserialize)]
    struct Edge {
        service: String,
    }
    let path = cx.root.join("inf").join(format!("{}.toml", driver.name));
    let data: Data =
        toml::from_str(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
    Ok((data.miniport.service, data.protocol.service))
}

/// The manifest has every file's hash, so equal manifests over present files are enough.
fn same_content(new: &Path, old: &Path) -> bool {
    let Ok(entries) = fs::read_dir(new) else {
        return false;
    };
    let mut count = 0;
    for entry in entries.flatten() {
        count += 1;
        let same = fs::read(entry.path())
            .ok()
            .is_some_and(|n| fs::read(old.join(entry.file_name())).is_ok_and(|o| n == o));
        if !same {
            return false;
        }
    }
    fs::read_dir(old).is_ok_and(|entries| entries.count() == count)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_folders_are_not_replaced() {
        let base = tempfile::tempdir().unwrap();
        check_replaceable(&base.path().join("absent")).unwrap();
        check_replaceable(base.path()).unwrap();
        fs::write(base.path().join("thesis.tex"), "x").unwrap();
        assert!(
            check_replaceable(base.path())
                .unwrap_err()
                .to_string()
                .contains("not a package")
        );
        assert!(check_replaceable(&base.path().join("thesis.tex")).is_err());
        fs::write(base.path().join(MANIFEST), "{}").unwrap();
        check_replaceable(base.path()).unwrap();
    }

    #[test]
    fn content_is_compared_by_name_and_bytes() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for dir in [&a, &b] {
            fs::write(dir.path().join("x"), "1").unwrap();
        }
        assert!(same_content(a.path(), b.path()));
        fs::write(b.path().join("y"), "1").unwrap();
        assert!(!same_content(a.path(), b.path()));
        fs::write(a.path().join("y"), "2").unwrap();
        assert!(!same_content(a.path(), b.path()));
    }
}

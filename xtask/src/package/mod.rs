//! Packages: a folder with the image, its symbols, both INFs, the topology that the
//! lab runs by default, and a manifest that lists them with their hashes.

mod licences;
mod manifest;
mod parts;
mod sbom;
mod sizes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;
use fs_err as fs;
use serde::Deserialize;
use serde_json::json;

pub use manifest::{Architecture, FORMAT, File, MANIFEST, Manifest};

use crate::build::{self, Profile};
use crate::chain::{Arch, Chain};
use crate::cli::PackageArgs;
use crate::context::Context;
use crate::dirs::Staging;
use crate::drivers::{self, Driver};
use crate::inf;
use crate::notify;
use crate::sign::Key;
use crate::ui::say;

/// Folder of what no driver package contains: symbols.
const SYMBOLS: &str = "symbols";

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// Architectures, in the order of the manifest.
    pub archs: Vec<Arch>,
    /// Build profile.
    pub profile: Profile,
    /// The package's folder, when it is not the usual one.
    pub out: Option<PathBuf>,
    /// By whom it is signed; without a key it has neither signatures nor catalogs.
    pub sign: Option<Key>,
}

impl Request {
    /// The unsigned package that the tests take.
    pub fn plain(profile: Profile) -> Self {
        Self {
            archs: vec![Arch::X64],
            profile,
            out: None,
            sign: None,
        }
    }

    /// The package that the lab takes: the one in the usual folder, made again as it was made.
    /// A key that is not at hand signs nothing again; then an unsigned one is made beside it.
    pub fn again(cx: &Context, driver: &Driver) -> Result<Self> {
        let plain = Self::plain(Profile::Release);
        let usual = default_dir(cx, driver, &plain);
        let Some((archs, how)) = made(&usual) else {
            return Ok(plain);
        };
        let sign = match how {
            Made::Unsigned => None,
            Made::ByTestKey => Some(Key::test(cx)?),
            Made::ByAnother => {
                let out = usual.with_file_name(format!("{}-unsigned", driver.name));
                say(&format!(
                    "{} is signed in a way that is not repeated (another key, a time stamp, \
                     Windows' tools): left as it is, the lab takes {}",
                    usual.display(),
                    out.display()
                ));
                return Ok(Self {
                    out: Some(out),
                    ..plain
                });
            }
        };
        Ok(Self {
            archs,
            sign,
            ..plain
        })
    }
}

/// How a package that is there was signed.
#[derive(Debug, PartialEq, Eq)]
enum Made {
    Unsigned,
    ByTestKey,
    ByAnother,
}

/// What a package was made for, and how; none where there is none that this version knows.
fn made(dir: &Path) -> Option<(Vec<Arch>, Made)> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(dir.join(MANIFEST)).ok()?).ok()?;
    let of = |what: &Architecture| Arch::from_str(&what.arch, true).ok();
    let archs = manifest
        .architectures
        .iter()
        .map(of)
        .collect::<Option<Vec<_>>>()?;
    let how = match manifest.signing {
        None => Made::Unsigned,
        // A stamp of the time would be another one, and so would what Windows' tools make.
        Some(how)
            if how["kind"] == "test"
                && how["timestamp"].is_null()
                && how["tools"]["maker"] != "windows" =>
        {
            Made::ByTestKey
        }
        Some(_) => Made::ByAnother,
    };
    archs.contains(&Arch::X64).then_some((archs, how))
}

/// `cargo xtask package`: makes the packages that were asked for and prints their folders.
pub fn command(cx: &Context, args: PackageArgs) -> Result<()> {
    let drivers = match &args.driver {
        Some(name) => vec![drivers::find(cx, name)?],
        None => drivers::all(cx)?,
    };
    let request = Request {
        archs: Arch::in_order(&args.arch),
        profile: args.profile,
        out: args.out,
        // Before anything is built, which takes longer than typing a password again.
        sign: Key::of(cx, &args.sign)?,
    };
    let mut made = Vec::new();
    for driver in drivers {
        let done = package(cx, &driver, &request)?;
        if !args.json {
            println!("{}", done.display());
            for size in sizes_of(&done)? {
                println!("  {size}");
            }
        }
        made.push(done);
    }
    if args.json {
        let documents: Vec<_> = made
            .iter()
            .map(|dir| {
                let manifest: Manifest = serde_json::from_slice(&fs::read(dir.join(MANIFEST))?)?;
                Ok(json!({ "directory": dir, "manifest": manifest, "sizes": sizes_of(dir)? }))
            })
            .collect::<Result<_>>()?;
        println!("{}", serde_json::to_string_pretty(&documents)?);
    }
    Ok(())
}

/// The sizes of a package's binaries.
fn sizes_of(dir: &Path) -> Result<Vec<sizes::Size>> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(dir.join(MANIFEST))?)?;
    let binaries = manifest
        .files
        .iter()
        .filter(|file| ["image", "notify"].contains(&file.role.as_str()));
    binaries
        .map(|file| sizes::measure(&file.path, &fs::read(dir.join(&file.path))?))
        .collect()
}

/// A package under way: its files are in the staging folder, and in the list.
struct Stage {
    staging: Staging,
    files: Vec<File>,
}

impl Stage {
    /// Adds a file. `path` is relative, with `/`.
    fn add(&mut self, role: &str, path: &str, arch: Option<Arch>, content: &[u8]) -> Result<()> {
        let full = self.staging.path().join(path);
        fs::create_dir_all(full.parent().context("no parent")?)?;
        fs::write(full, content)?;
        let arch = arch.map(Arch::name);
        self.files
            .push(File::of(role, path.to_owned(), arch, content));
        Ok(())
    }

    /// Signs what is there: images get signatures, INFs catalogs. Returns what the manifest
    /// says of it.
    fn sign(&mut self, key: &Key, title: &str) -> Result<serde_json::Value> {
        let mut all = BTreeMap::new();
        for file in &self.files {
            let bytes = fs::read(self.staging.path().join(&file.path))?;
            all.insert(file.path.clone(), bytes);
        }
        let output = key.package(&all, title)?;
        for new in output.files {
            if let Some(role) = new.role {
                self.add(role, &new.path, None, &new.bytes)?;
                continue;
            }
            let file = self.files.iter_mut().find(|file| file.path == new.path);
            let file = file.context("a file that is not in the package was signed")?;
            let arch = file.arch.take();
            *file = File::of(&file.role, new.path.clone(), arch.as_deref(), &new.bytes);
            fs::write(self.staging.path().join(&new.path), &new.bytes)?;
        }
        Ok(serde_json::to_value(output.signing)?)
    }
}

/// Builds `driver` and makes its package; returns the package's folder.
pub fn package(cx: &Context, driver: &Driver, request: &Request) -> Result<PathBuf> {
    let out = match &request.out {
        Some(out) => std::path::absolute(out)?,
        None => default_dir(cx, driver, request),
    };
    // Looked at before the build, which takes longer.
    check_replaceable(&out)?;
    for arch in &request.archs {
        if !driver.options.architectures.contains(arch) {
            bail!(
                "{} is not packaged for {}: [package.metadata.ndis] of its Cargo.toml says for what it is",
                driver.name,
                arch.name()
            );
        }
    }
    let (service, protocol) = services(cx, driver)?;
    let mut built = Vec::new();
    for arch in &request.archs {
        let chain = Chain::ready(cx, *arch)?;
        let what = Architecture {
            arch: arch.name().to_owned(),
            target: arch.triple().to_owned(),
            core: chain.core_origin().to_owned(),
        };
        let files = build::build_with(cx, &chain, driver, *arch, request.profile)?;
        let notify = notify::build(cx, &chain, driver, *arch, request.profile)?;
        built.push((*arch, what, files, notify));
    }

    let parent = out.parent().context("a package needs a folder to lie in")?;
    let mut stage = Stage {
        staging: Staging::new(parent)?,
        files: Vec::new(),
    };
    let name = &driver.name;
    let with_notify = built.iter().all(|(_, _, _, notify)| notify.is_some());
    for stamped in stamp(cx, driver, &request.archs, with_notify)? {
        let role = match stamped.role {
            inf::InfRole::Protocol => "protocol-inf",
            inf::InfRole::Miniport => "miniport-inf",
        };
        stage.add(role, &stamped.file_name, None, &stamped.contents)?;
    }
    for (arch, _, files, notify) in &built {
        let folder = arch.name();
        let image = fs::read(&files.image)?;
        check_budget(driver, *arch, request.profile, image.len() as u64)?;
        stage.add(
            "image",
            &format!("{folder}/{name}.sys"),
            Some(*arch),
            &image,
        )?;
        let pdb = fs::read(&files.pdb)?;
        let path = format!("{SYMBOLS}/{folder}/{name}.pdb");
        stage.add("pdb", &path, Some(*arch), &pdb)?;
        if let Some(notify) = notify {
            let mut add = |role: &str, folder: &str, file: &Path| {
                let name = file.file_name().context("no name")?.to_string_lossy();
                let bytes = fs::read(file)?;
                stage.add(role, &format!("{folder}/{name}"), Some(*arch), &bytes)
            };
            add("notify", folder, &notify.dll)?;
            add("notify-pdb", &format!("{SYMBOLS}/{folder}"), &notify.pdb)?;
        }
    }
    let topology = cx
        .root
        .join("drivers")
        .join(name)
        .join(&driver.options.topology);
    if topology.is_file() {
        stage.add("topology", "lab.toml", None, &fs::read(topology)?)?;
    }
    let unreached = cx.root.join("drivers").join(name).join("unreached.toml");
    if unreached.is_file() {
        stage.add("unreached", "unreached.toml", None, &fs::read(unreached)?)?;
    }
    let architectures: Vec<_> = built.into_iter().map(|(_, what, _, _)| what).collect();
    for (path, text) in ::deploy::scripts(&crate::deploy::driver(cx, name)?) {
        stage.add("script", &path, None, &text)?;
    }
    add_papers(cx, driver, &architectures, with_notify, &mut stage)?;
    // Judged before it is signed: a signature says that somebody stands for the package.
    judge(stage.staging.path())?;
    let [major, minor, patch] = driver.version;
    let version = format!("{major}.{minor}.{patch}.0");
    let signing = match &request.sign {
        Some(key) => Some(stage.sign(key, &format!("{name} {version}"))?),
        None => None,
    };
    let manifest = Manifest {
        format: FORMAT,
        driver: name.clone(),
        version,
        profile: request.profile.name().to_owned(),
        service,
        protocol,
        architectures,
        signing,
        files: stage.files,
    };
    let manifest = manifest.to_bytes()?;
    fs::write(stage.staging.path().join(MANIFEST), &manifest)?;
    if let Some(key) = &request.sign {
        let path = stage.staging.path().join(win_trust::MANIFEST_SIGNATURE);
        fs::write(path, key.manifest(&manifest)?)?;
        key.judge(stage.staging.path())?;
    }

    if content(stage.staging.path())? == content(&out)? {
        return Ok(out);
    }
    stage.staging.replace(&out)?;
    Ok(out)
}

/// Licences and bill of materials. Every architecture links the same crates.
fn add_papers(
    cx: &Context,
    driver: &Driver,
    architectures: &[Architecture],
    with_notify: bool,
    stage: &mut Stage,
) -> Result<()> {
    let target = &architectures.first().context("no architecture")?.target;
    let folder = format!("drivers/{}", driver.name);
    let mut parts = parts::linked(cx, &folder, &["kernel"], target)?;
    if with_notify {
        for part in parts::linked(cx, "crates/notify-object", &["dll"], target)? {
            let id = (&part.name, &part.version);
            if !parts.iter().any(|p| (&p.name, &p.version) == id) {
                parts.push(part);
            }
        }
    }
    for (path, text) in licences::files(cx, &parts)? {
        stage.add("licence", &format!("licences/{path}"), None, &text)?;
    }
    let sbom = sbom::document(&parts, &cx.rustc.release, architectures)?;
    stage.add("sbom", sbom::FILE, None, &sbom)
}

/// A release image that has outgrown what its `Cargo.toml` allows is refused.
fn check_budget(driver: &Driver, arch: Arch, profile: Profile, size: u64) -> Result<()> {
    let budget = driver.options.image_budget.get(&arch);
    if profile == Profile::Release && budget.is_some_and(|budget| size > *budget) {
        bail!(
            "{} for {} has {size} bytes, more than image-budget in its Cargo.toml allows ({})",
            driver.name,
            arch.name(),
            budget.copied().unwrap_or_default()
        );
    }
    Ok(())
}

/// `target/package/<driver>`; other architectures and profiles have a suffix.
fn default_dir(cx: &Context, driver: &Driver, request: &Request) -> PathBuf {
    let mut name = driver.name.clone();
    if let [only] = request.archs.as_slice()
        && *only != Arch::X64
    {
        name = format!("{name}-{}", only.name());
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

fn stamp(
    cx: &Context,
    driver: &Driver,
    archs: &[Arch],
    notify: bool,
) -> Result<Vec<inf::StampedInf>> {
    let [major, minor, patch] = driver.version;
    let context = inf::StampContext {
        version: inf::DriverVersion([major, minor, patch, 0]),
        date: inf::DriverDate::of_source(&cx.root)?,
        archs: archs.to_vec(),
        notify,
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

/// Every file below a folder with its bytes; nothing where there is no folder.
fn content(dir: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path)?;
                found.insert(path.strip_prefix(dir)?.to_owned(), bytes);
            }
        }
    }
    Ok(found)
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
    fn the_lab_makes_a_package_again_as_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(made(dir.path()), None);
        let write = |archs: &[&str], signing: serde_json::Value| {
            let archs: Vec<_> = archs
                .iter()
                .map(|arch| json!({ "arch": arch, "target": "t", "core": "c" }))
                .collect();
            let manifest = json!({
                "format": 2, "driver": "d", "version": "1", "profile": "release", "service": "s",
                "protocol": "p", "architectures": archs, "signing": signing, "files": [],
            });
            fs::write(dir.path().join(MANIFEST), manifest.to_string()).unwrap();
            made(dir.path())
        };
        let both = || vec![Arch::X64, Arch::Arm64];
        let test = json!({ "kind": "test", "time": "1", "certificates": [] });
        assert_eq!(
            write(&["x64"], json!(null)),
            Some((vec![Arch::X64], Made::Unsigned))
        );
        assert_eq!(
            write(&["x64", "arm64"], test.clone()),
            Some((both(), Made::ByTestKey))
        );
        let mut stamped = test.clone();
        stamped["timestamp"] = json!("http://stamps.example");
        let mut by_others = test.clone();
        by_others["tools"] = json!({ "maker": "windows" });
        let pfx = json!({ "kind": "pfx", "time": "1", "certificates": [] });
        for other in [stamped, by_others, pfx] {
            assert_eq!(
                write(&["x64", "arm64"], other),
                Some((both(), Made::ByAnother))
            );
        }
        // Nothing that the lab runs.
        assert_eq!(write(&["arm64"], test.clone()), None);
        assert_eq!(write(&["mips"], test), None);
    }

    #[test]
    fn content_is_compared_by_name_and_bytes() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let same = || content(a.path()).unwrap() == content(b.path()).unwrap();
        for dir in [&a, &b] {
            fs::create_dir(dir.path().join("x64")).unwrap();
            fs::write(dir.path().join("x64/x"), "1").unwrap();
        }
        assert!(same());
        fs::write(b.path().join("y"), "1").unwrap();
        assert!(!same());
        fs::write(a.path().join("y"), "1").unwrap();
        fs::write(a.path().join("x64/x"), "2").unwrap();
        assert!(!same());
        assert!(content(&a.path().join("absent")).unwrap().is_empty());
    }
}

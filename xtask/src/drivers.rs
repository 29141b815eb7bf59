//! The drivers of the workspace: folders of `drivers/` with a `Cargo.toml`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;
use fs_err as fs;
use serde::Deserialize;

use crate::chain::Arch;
use crate::context::Context;

/// A driver crate.
#[derive(Debug, Clone)]
pub struct Driver {
    /// Name of the package, the image and the service.
    pub name: String,
    /// Three-part version of the package.
    pub version: [u16; 3],
    /// The package's one-line description.
    pub description: String,
    /// How it is packaged.
    pub options: Options,
}

/// `[package.metadata.ndis]` of a driver's `Cargo.toml`: what is particular to its package
/// and is no data of its INFs, which have theirs in `inf/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// What it can be packaged for.
    pub architectures: Vec<Arch>,
    /// The lab's topology that goes along, a file beside `Cargo.toml`.
    pub topology: String,
    /// Bytes that a release image must not exceed, for each architecture; none if absent.
    pub image_budget: BTreeMap<Arch, u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            architectures: Arch::value_variants().to_vec(),
            topology: "lab.toml".to_owned(),
            image_budget: BTreeMap::new(),
        }
    }
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    description: String,
    version: Version,
    #[serde(default)]
    metadata: PackageMetadata,
}

#[derive(Default, Deserialize)]
struct PackageMetadata {
    #[serde(default)]
    ndis: Options,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Version {
    Own(String),
    Workspace {},
}

#[derive(Deserialize)]
struct RootManifest {
    workspace: RootWorkspace,
}

#[derive(Deserialize)]
struct RootWorkspace {
    package: RootPackage,
}

#[derive(Deserialize)]
struct RootPackage {
    version: String,
}

/// All drivers, by name.
pub fn all(cx: &Context) -> Result<Vec<Driver>> {
    inside(cx, "drivers")
}

/// The drivers that only tests load, by name: the deliberately broken ones.
pub fn subjects(cx: &Context) -> Result<Vec<Driver>> {
    inside(cx, "tests/drivers")
}

fn inside(cx: &Context, folder: &str) -> Result<Vec<Driver>> {
    let text = fs::read_to_string(cx.root.join("Cargo.toml"))?;
    let root: RootManifest = toml::from_str(&text).context("Cargo.toml of the workspace")?;
    let mut drivers = Vec::new();
    for entry in fs::read_dir(cx.root.join(folder))? {
        let path = entry?.path().join("Cargo.toml");
        if !path.is_file() {
            continue;
        }
        let manifest: Manifest = toml::from_str(&fs::read_to_string(&path)?)
            .with_context(|| format!("{}", path.display()))?;
        let version = match &manifest.package.version {
            Version::Own(version) => version,
            Version::Workspace {} => &root.workspace.package.version,
        };
        drivers.push(Driver {
            version: parse_version(version)
                .with_context(|| format!("{}: version {version}", path.display()))?,
            name: manifest.package.name,
            description: manifest.package.description,
            options: manifest.package.metadata.ndis,
        });
    }
    drivers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(drivers)
}

/// The driver called `name`, or the subject of tests of that name.
pub fn find_or_subject(cx: &Context, name: &str) -> Result<Driver> {
    let subject = subjects(cx)?.into_iter().find(|d| d.name == name);
    subject.map_or_else(|| find(cx, name), Ok)
}

/// The driver called `name`; the error suggests what may have been meant.
pub fn find(cx: &Context, name: &str) -> Result<Driver> {
    let all = all(cx)?;
    if let Some(driver) = all.iter().find(|d| d.name == name) {
        return Ok(driver.clone());
    }
    let names: Vec<_> = all.iter().map(|d| d.name.as_str()).collect();
    let hint = closest(name, &names)
        .map(|n| format!("; did you mean `{n}`?"))
        .unwrap_or_default();
    bail!(
        "there is no driver `{name}` in drivers/{hint} (there: {})",
        names.join(", ")
    )
}

/// The crates of the workspace that the drivers are made of, drivers not included:
/// those that they depend on, and what those depend on.
pub fn crates(cx: &Context) -> Result<BTreeSet<String>> {
    let json = cx
        .cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .read()?;
    let metadata: Metadata = serde_json::from_str(&json).context("cargo metadata")?;
    Ok(made_of(&metadata, all(cx)?.into_iter().map(|d| d.name)))
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`, or nothing.
    kind: Option<String>,
    /// Where it lies, if it is no registry's.
    path: Option<String>,
}

fn made_of(metadata: &Metadata, roots: impl Iterator<Item = String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<String> = roots.collect();
    while let Some(name) = open.pop() {
        let member = metadata.packages.iter().find(|m| m.name == name);
        for dependency in member.iter().flat_map(|m| &m.dependencies) {
            let linked = dependency.path.is_some() && dependency.kind.is_none();
            if linked && found.insert(dependency.name.clone()) {
                open.push(dependency.name.clone());
            }
        }
    }
    found
}

fn closest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let scored = names.iter().map(|n| (strsim::jaro_winkler(name, n), *n));
    scored
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n)
}

fn parse_version(text: &str) -> Result<[u16; 3]> {
    let parts: Vec<u16> = text
        .split('.')
        .map(str::parse::<u16>)
        .collect::<Result<_, _>>()?;
    <[u16; 3]>::try_from(parts)
        .ok()
        .context("three numbers are expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions() {
        let names = ["passthrough", "team", "vlan"];
        assert_eq!(closest("passtrough", &names), Some("passthrough"));
        assert_eq!(closest("vlans", &names), Some("vlan"));
        assert_eq!(closest("xyz", &names), None);
    }

    #[test]
    fn crates_that_a_driver_is_made_of() {
        let json = r#"{"packages": [
            {"name": "mux", "dependencies": [
                {"name": "core", "kind": null, "path": "/c"},
                {"name": "wdk", "kind": null},
                {"name": "lab", "kind": "dev", "path": "/l"}]},
            {"name": "core", "dependencies": [{"name": "sys", "kind": null, "path": "/s"}]},
            {"name": "sys", "dependencies": []},
            {"name": "lab", "dependencies": [{"name": "net", "kind": null, "path": "/n"}]}]}"#;
        let metadata = serde_json::from_str(json).unwrap();
        let found = made_of(&metadata, ["mux".to_owned()].into_iter());
        assert_eq!(found.iter().collect::<Vec<_>>(), ["core", "sys"]);
    }

    #[test]
    fn options_have_defaults_and_no_others() {
        let options: Options = toml::from_str("").unwrap();
        assert_eq!(options, Options::default());
        let options: Options =
            toml::from_str("architectures = ['arm64']\nimage-budget = { arm64 = 9 }").unwrap();
        assert_eq!(options.architectures, [Arch::Arm64]);
        assert_eq!(options.image_budget[&Arch::Arm64], 9);
        for bad in [
            "architecture = ['x64']",
            "architectures = ['x86']",
            "image-budget = 9",
        ] {
            assert!(toml::from_str::<Options>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions() {
        assert_eq!(parse_version("0.1.0").unwrap(), [0, 1, 0]);
        assert!(parse_version("0.1").is_err());
        assert!(parse_version("0.1.0-rc").is_err());
    }
}

//! What a package's binaries are made of: the crates that are linked into them, as cargo
//! resolves them for the kernel target. Build scripts and procedural macros run on the
//! build machine and are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;
use serde::Deserialize;

use crate::context::Context;

/// A crate that is linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name of the crate.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SPDX expression, as its manifest has it.
    pub license: Option<String>,
    /// One line about it.
    pub description: Option<String>,
    /// SHA-256 of the crate's archive; a crate of the workspace has none.
    pub checksum: Option<String>,
    /// Its folder on this machine.
    pub folder: PathBuf,
    /// Names and versions of what it links.
    pub links: BTreeSet<(String, String)>,
}

impl Part {
    /// Whether it is this project's own.
    pub fn is_own(&self) -> bool {
        self.checksum.is_none()
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    description: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dep>,
}

#[derive(Deserialize)]
struct Dep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Everything that is linked into the binary of the crate in `folder` (relative to the
/// workspace), that crate first, the others by name.
pub fn linked(cx: &Context, folder: &str, features: &[&str], triple: &str) -> Result<Vec<Part>> {
    let mut cmd = cx.cargo();
    cmd.args(["metadata", "--format-version", "1", "--filter-platform"])
        .arg(triple)
        .arg("--manifest-path")
        .arg(cx.root.join(folder).join("Cargo.toml"));
    for feature in features {
        cmd.args(["--features", feature]);
    }
    let metadata: Metadata = serde_json::from_str(&cmd.read()?).context("cargo metadata")?;
    let lock: Lock = toml::from_str(&fs::read_to_string(cx.root.join("Cargo.lock"))?)?;
    let own = cx.root.join(folder);
    let root = metadata
        .packages
        .iter()
        .find(|p| p.manifest_path.parent() == Some(Path::new(&own)))
        .map(|p| p.id.clone())
        .with_context(|| format!("cargo knows no crate in {folder}"))?;
    closure(&metadata, &lock, &root)
}

fn closure(metadata: &Metadata, lock: &Lock, root: &str) -> Result<Vec<Part>> {
    let packages: BTreeMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|p| (p.id.as_str(), p))
        .collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|n| (n.id.as_str(), n))
        .collect();
    let linked = |id: &str| {
        let deps = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        deps.filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()))
            .map(|dep| dep.pkg.as_str())
            .filter(|id| {
                let kinds = packages.get(id).into_iter().flat_map(|p| &p.targets);
                !kinds.flat_map(|t| &t.kind).any(|kind| kind == "proc-macro")
            })
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(id) = open.pop() {
        if found.contains_key(&id) {
            continue;
        }
        let package = packages
            .get(id.as_str())
            .context("a package without a name")?;
        let next = linked(&id);
        let links = next
            .iter()
            .filter_map(|id| packages.get(id.as_str()))
            .map(|p| (p.name.clone(), p.version.clone()))
            .collect();
        let checksum = lock
            .package
            .iter()
            .find(|l| l.name == package.name && l.version == package.version)
            .and_then(|l| l.checksum.clone());
        let folder = package.manifest_path.parent().context("no folder")?;
        let part = Part {
            name: package.name.clone(),
            version: package.version.clone(),
            license: package.license.clone(),
            description: package.description.clone(),
            checksum,
            folder: folder.to_owned(),
            links,
        };
        found.insert(id, part);
        open.extend(next);
    }
    let first = found.remove(root).context("no root")?;
    let mut parts: Vec<Part> = found.into_values().collect();
    parts.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    parts.insert(0, first);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_builds_is_left_out() {
        let package = |name: &str, kind: &str| {
            format!(
                r#"{{"id": "{name}-id", "name": "{name}", "version": "1.0.0", "license": "MIT", "description": null,
                    "manifest_path": "/{name}/Cargo.toml", "targets": [{{"kind": ["{kind}"]}}]}}"#
            )
        };
        let node = |name: &str, deps: &[(&str, &str)]| {
            let deps: Vec<_> = deps
                .iter()
                .map(|(name, kind)| {
                    format!(r#"{{"pkg": "{name}-id", "dep_kinds": [{{"kind": {kind}}}]}}"#)
                })
                .collect();
            format!(r#"{{"id": "{name}-id", "deps": [{}]}}"#, deps.join(","))
        };
        let packages = [
            package("mux", "cdylib"),
            package("core", "lib"),
            package("sys", "lib"),
            package("macros", "proc-macro"),
            package("syn", "lib"),
            package("tool", "lib"),
            package("test", "lib"),
        ];
        let nodes = [
            node(
                "mux",
                &[("core", "null"), ("tool", "\"build\""), ("test", "\"dev\"")],
            ),
            node("core", &[("sys", "null"), ("macros", "null")]),
            node("macros", &[("syn", "null")]),
        ];
        let json = format!(
            r#"{{"packages": [{}], "resolve": {{"nodes": [{}]}}}}"#,
            packages.join(","),
            nodes.join(",")
        );
        let metadata = serde_json::from_str(&json).unwrap();
        let lock = toml::from_str(
            "[[package]]\nname='mux'\nversion='1.0.0'\n[[package]]\nname='sys'\nversion='1.0.0'\nchecksum='ab'\n",
        )
        .unwrap();
        let parts = closure(&metadata, &lock, "mux-id").unwrap();
        let names: Vec<_> = parts.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["mux", "core", "sys"]);
        assert!(parts[0].is_own() && parts[1].is_own() && !parts[2].is_own());
        assert_eq!(parts[1].links.len(), 1, "a macro is not linked");
    }
}

//! A package on this side, as its manifest describes it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use serde::Deserialize;

/// A package's folder, read.
#[derive(Debug, Clone)]
pub struct Package {
    /// The folder.
    pub dir: PathBuf,
    /// The driver's name.
    pub driver: String,
    /// Its version.
    pub version: String,
    /// Architectures that it holds, `x64` or `arm64`.
    pub architectures: Vec<String>,
    /// Paths of all files in it, with `/`.
    pub files: Vec<String>,
    /// How many bytes they are.
    pub size: u64,
    /// What it is signed with: `test`, `pfx`, or nothing.
    pub signing: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    format: u32,
    driver: String,
    version: String,
    #[serde(default)]
    architectures: Vec<Architecture>,
    files: Vec<File>,
    signing: Option<Signing>,
}

#[derive(Deserialize)]
struct Architecture {
    arch: String,
}

#[derive(Deserialize)]
struct File {
    role: String,
    path: String,
    size: u64,
}

#[derive(Deserialize)]
struct Signing {
    kind: String,
}

impl Package {
    /// Reads the manifest and checks that the package is whole.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("manifest.json");
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is no package; `cargo xtask package <driver> --sign test` makes one",
                dir.display()
            )
        })?;
        let manifest: Manifest =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        if manifest.format != 2 {
            bail!(
                "{} has format {}, this program knows 2: make the package again",
                path.display(),
                manifest.format
            );
        }
        for file in &manifest.files {
            let there = fs::metadata(dir.join(&file.path)).map(|m| m.len()).ok();
            if there != Some(file.size) {
                bail!(
                    "{}: {} ({}) is missing or of another size: the package is half built or was changed",
                    dir.display(),
                    file.path,
                    file.role
                );
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            driver: manifest.driver,
            version: manifest.version,
            architectures: manifest.architectures.into_iter().map(|a| a.arch).collect(),
            size: manifest.files.iter().map(|f| f.size).sum(),
            files: manifest.files.into_iter().map(|f| f.path).collect(),
            signing: manifest.signing.map(|s| s.kind),
        })
    }
}

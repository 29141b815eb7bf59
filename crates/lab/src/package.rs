//! The package: a directory whose `manifest.json` names every file with its
//! hash. The manifest is the only way to the image: no file is looked for by
//! the driver's name, so a renamed copy of a package is the same package.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::trouble::Trouble;

/// File name of the manifest in the package directory.
pub const MANIFEST: &str = "manifest.json";
/// Manifest format this lab reads.
pub const FORMAT: u32 = 2;
/// The architecture that the lab runs; a package can have images of others beside it.
pub const ARCH: &str = "x64";
/// A driver image larger than this is refused before it is read.
const MAX_FILE: u64 = 256 << 20;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the manifest's own format.
    pub format: u32,
    /// The driver's name, for display only.
    pub driver: String,
    /// Version of the driver.
    pub version: String,
    /// What the package has images for.
    pub architectures: Vec<Architecture>,
    /// `debug` or `release`.
    #[serde(default)]
    pub profile: String,
    /// The service that loads the image.
    #[serde(default)]
    pub service: String,
    /// The protocol edge's service, and the name it registers with NDIS (PTR-3).
    #[serde(default)]
    pub protocol: String,
    /// Every file of the package.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// Names of the architectures, for display.
    pub fn architecture_names(&self) -> String {
        let names: Vec<_> = self.architectures.iter().map(|a| a.arch.as_str()).collect();
        names.join(", ")
    }
}

/// An architecture of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// `x64` or `arm64`.
    pub arch: String,
    /// Rust target triple.
    #[serde(default)]
    pub target: String,
    /// How the compiler's core library was come by.
    #[serde(default)]
    pub core: String,
}

/// One file of the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// What it is for.
    pub role: Role,
    /// Path inside the package directory.
    pub path: String,
    /// The architecture, for files that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
}

/// What a file of the package is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The driver image.
    Image,
    /// Its symbols.
    Pdb,
    /// INF of the protocol edge.
    ProtocolInf,
    /// INF of the virtual miniport edge.
    MiniportInf,
    /// The lab topology that ships with the driver.
    Topology,
    /// Why some of the driver's fault sites cannot be reached.
    Unreached,
    /// Roles that later formats add; the lab does not read such files.
    #[serde(other)]
    Other,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Pdb => "pdb",
            Self::ProtocolInf => "protocol-inf",
            Self::MiniportInf => "miniport-inf",
            Self::Topology => "topology",
            Self::Unreached => "unreached",
            Self::Other => "other",
        }
    }
}

/// A package whose manifest was read and makes sense.
#[derive(Clone, Debug)]
pub struct Package {
    dir: PathBuf,
    manifest: Manifest,
}

/// A file of the package whose bytes have the hash the manifest promises.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Where it was read.
    pub path: PathBuf,
    /// Its bytes: what was hashed is what is used, nothing is read twice.
    pub bytes: Vec<u8>,
    /// Hash of the bytes read.
    pub sha256: String,
    /// Hash in the manifest.
    pub promised: String,
}

/// The part of a manifest that every format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Why a package cannot be used.
#[derive(Debug, Error)]
pub enum PackageError {
    /// The directory is not there or is no directory.
    #[error("there is no package directory {}", .0.display())]
    NoDirectory(PathBuf),
    /// The manifest is missing.
    #[error("the package has no {MANIFEST}")]
    NoManifest(PathBuf),
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest is not the JSON it should be.
    #[error("the manifest is garbled: {source}")]
    Garbled {
        /// Which.
        path: PathBuf,
        /// Why, with line and column.
        source: serde_json::Error,
    },
    /// The manifest is of another format.
    #[error("the manifest has format {found}; this lab reads format {FORMAT}")]
    Format {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// No file, or several, of a role.
    #[error("the manifest lists {count} files with role \"{role}\"; exactly one is needed")]
    Role {
        /// Which.
        path: PathBuf,
        /// The role.
        role: &'static str,
        /// How many.
        count: usize,
    },
    /// The role is filled for machines that the lab is not.
    #[error("the package has its file with role \"{role}\" for {found} only; the lab runs {ARCH}")]
    OtherArchitecture {
        /// Which manifest.
        path: PathBuf,
        /// The role.
        role: &'static str,
        /// For what there is one.
        found: String,
    },
    /// A path that leaves the package.
    #[error("the manifest names \"{name}\", which lies outside the package")]
    Escape {
        /// Which manifest.
        path: PathBuf,
        /// The name in it.
        name: String,
    },
    /// A listed file is not there.
    #[error("the manifest names {}, which is not there", .0.display())]
    MissingFile(PathBuf),
    /// Size differs.
    #[error("{} has {found} bytes, the manifest says {promised}: {}", path.display(), if found < promised { "it is truncated" } else { "it has grown" })]
    Size {
        /// Which.
        path: PathBuf,
        /// Bytes on disk.
        found: u64,
        /// Bytes in the manifest.
        promised: u64,
    },
    /// Hash differs.
    #[error("{} is not the file that was packaged\n  loaded   sha256 {found}\n  packaged sha256 {promised}", path.display())]
    Hash {
        /// Which.
        path: PathBuf,
        /// Hash of the bytes read.
        found: String,
        /// Hash in the manifest.
        promised: String,
    },
}

impl From<PackageError> for Trouble {
    fn from(error: PackageError) -> Self {
        let rebuild = "build the package again: cargo xtask package <driver>";
        let (place, hint) = match &error {
            PackageError::NoManifest(path) => (
                path,
                "--package takes the directory that `cargo xtask package <driver>` makes (target/package/<driver>)",
            ),
            PackageError::Unreadable { path, .. } => {
                (path, "check that the file may be read by this user")
            }
            PackageError::NoDirectory(path)
            | PackageError::Garbled { path, .. }
            | PackageError::Role { path, .. }
            | PackageError::MissingFile(path)
            | PackageError::Size { path, .. }
            | PackageError::Hash { path, .. } => (path, rebuild),
            PackageError::Format { path, .. } => (
                path,
                "lab and package come from different versions: build both from the same commit",
            ),
            PackageError::OtherArchitecture { path, .. } => (
                path,
                "package it for the lab as well: cargo xtask package <driver> --arch x64,arm64",
            ),
            PackageError::Escape { path, .. } => (
                path,
                "paths in a manifest are relative and stay inside the package directory",
            ),
        };
        let place = place.display().to_string();
        Self::input(error.to_string()).at(place).hint(hint)
    }
}

impl Package {
    /// Reads and checks the manifest of the package in `dir`.
    pub fn open(dir: &Path) -> Result<Self, PackageError> {
        if !dir.is_dir() {
            return Err(PackageError::NoDirectory(dir.to_owned()));
        }
        let path = dir.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                PackageError::NoManifest(dir.to_owned())
            } else {
                PackageError::Unreadable {
                    path: path.clone(),
                    source,
                }
            }
        })?;
        // Only the format is read first: another format may differ in everything else.
        let garbled = |source| PackageError::Garbled {
            path: path.clone(),
            source,
        };
        let head: Head = serde_json::from_str(&text).map_err(garbled)?;
        if head.format != FORMAT {
            return Err(PackageError::Format {
                path,
                found: head.format,
            });
        }
        let manifest: Manifest = serde_json::from_str(&text).map_err(garbled)?;
        for file in &manifest.files {
            let inside = Path::new(&file.path)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if !inside || file.path.is_empty() {
                return Err(PackageError::Escape {
                    path,
                    name: file.path.clone(),
                });
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            manifest,
        })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads the one file of a role that must be there.
    pub fn required(&self, role: Role) -> Result<Verified, PackageError> {
        self.optional(role)?.ok_or_else(|| PackageError::Role {
            path: self.dir.join(MANIFEST),
            role: role.name(),
            count: 0,
        })
    }

    /// Reads the file of a role if the package lists one, the lab's where there is one for
    /// each architecture.
    pub fn optional(&self, role: Role) -> Result<Option<Verified>, PackageError> {
        let path = || self.dir.join(MANIFEST);
        let (ours, others): (Vec<_>, Vec<_>) = self
            .manifest
            .files
            .iter()
            .filter(|file| file.role == role)
            .partition(|file| file.arch.as_deref().is_none_or(|arch| arch == ARCH));
        match ours.as_slice() {
            [] if others.is_empty() => Ok(None),
            [] => {
                let found: Vec<_> = others.iter().filter_map(|f| f.arch.as_deref()).collect();
                Err(PackageError::OtherArchitecture {
                    path: path(),
                    role: role.name(),
                    found: found.join(", "),
                })
            }
            [entry] => self.read(entry).map(Some),
            several => Err(PackageError::Role {
                path: path(),
                role: role.name(),
                count: several.len(),
            }),
        }
    }

    fn read(&self, entry: &FileEntry) -> Result<Verified, PackageError> {
        let path = self.dir.join(&entry.path);
        let unreadable = |source: io::Error| {
            if source.kind() == io::ErrorKind::NotFound {
                PackageError::MissingFile(path.clone())
            } else {
                PackageError::Unreadable {
                    path: path.clone(),
                    source,
                }
            }
        };
        let found = fs::metadata(&path).map_err(unreadable)?.len();
        if found != entry.size || found > MAX_FILE {
            return Err(PackageError::Size {
                path,
                found,
                promised: entry.size,
            });
        }
        let bytes = fs::read(&path).map_err(unreadable)?;
        let sha256 = sha256(&bytes);
        if !sha256.eq_ignore_ascii_case(&entry.sha256) {
            return Err(PackageError::Hash {
                path,
                found: sha256,
                promised: entry.sha256.clone(),
            });
        }
        Ok(Verified {
            path,
            bytes,
            sha256,
            promised: entry.sha256.clone(),
        })
    }
}

/// SHA-256 in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(files: &[(Role, &str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("temporary directory");
        let entries = files
            .iter()
            .map(|(role, path, bytes)| {
                fs::write(dir.path().join(path), bytes).expect("write");
                FileEntry {
                    role: *role,
                    path: (*path).to_owned(),
                    arch: None,
                    sha256: sha256(bytes),
                    size: bytes.len() as u64,
                }
            })
            .collect();
        write_manifest(dir.path(), entries);
        dir
    }

    fn write_manifest(dir: &Path, files: Vec<FileEntry>) {
        let manifest = Manifest {
            format: FORMAT,
            driver: "sample".into(),
            version: "0.1.0.0".into(),
            architectures: vec![Architecture {
                arch: ARCH.into(),
                target: String::new(),
                core: String::new(),
            }],
            profile: String::new(),
            service: String::new(),
            protocol: String::new(),
            files,
        };
        let text = serde_json::to_string(&manifest).expect("manifest");
        fs::write(dir.join(MANIFEST), text).expect("write");
    }

    fn text_of(error: PackageError) -> String {
        Trouble::from(error).to_string()
    }

    #[test]
    fn sha256_is_the_standard_one() {
        // FIPS 180-4, the "abc" example.
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_image_is_found_by_role_whatever_its_name() {
        let dir = package(&[
            (Role::Topology, "lab.toml", b"x"),
            (Role::Image, "renamed.bin", b"MZ"),
        ]);
        let package = Package::open(dir.path()).expect("opens");
        let image = package.required(Role::Image).expect("reads");
        assert_eq!(image.bytes, b"MZ");
        assert_eq!(image.path, dir.path().join("renamed.bin"));
        assert_eq!(image.sha256, image.promised);
        assert!(package.optional(Role::Pdb).expect("reads").is_none());
    }

    #[test]
    fn missing_directory_and_missing_manifest_say_so() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let error = Package::open(&dir.path().join("nope")).expect_err("no directory");
        assert!(text_of(error).contains("there is no package directory"));
        let text = text_of(Package::open(dir.path()).expect_err("no manifest"));
        assert!(text.contains("has no manifest.json"), "{text}");
        assert!(text.contains("cargo xtask package"), "{text}");
    }

    #[test]
    fn garbled_manifest_names_line_and_column() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join(MANIFEST), "{\"format\":1,\n \"driver\": }").expect("write");
        let text = text_of(Package::open(dir.path()).expect_err("garbled"));
        assert!(text.contains("garbled"), "{text}");
        assert!(text.contains("line 2 column"), "{text}");
    }

    #[test]
    fn other_format_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join(MANIFEST), "{\"format\":9}").expect("write");
        let text = text_of(Package::open(dir.path()).expect_err("format"));
        assert!(text.contains("format 9"), "{text}");
    }

    #[test]
    fn changed_truncated_and_missing_files_are_refused() {
        let dir = package(&[(Role::Image, "a.sys", b"original")]);
        let package = Package::open(dir.path()).expect("opens");
        fs::write(dir.path().join("a.sys"), b"0riginal").expect("write");
        let text = text_of(package.required(Role::Image).expect_err("hash"));
        assert!(text.contains(&sha256(b"0riginal")), "{text}");
        assert!(text.contains(&sha256(b"original")), "{text}");
        fs::write(dir.path().join("a.sys"), b"orig").expect("write");
        let text = text_of(package.required(Role::Image).expect_err("size"));
        assert!(text.contains("truncated"), "{text}");
        fs::remove_file(dir.path().join("a.sys")).expect("remove");
        let text = text_of(package.required(Role::Image).expect_err("missing"));
        assert!(text.contains("which is not there"), "{text}");
    }

    #[test]
    fn no_image_two_images_and_escapes_are_refused() {
        let dir = package(&[(Role::Pdb, "a.pdb", b"p")]);
        let package_without = Package::open(dir.path()).expect("opens");
        let text = text_of(package_without.required(Role::Image).expect_err("none"));
        assert!(text.contains("lists 0 files with role \"image\""), "{text}");

        let dir = package(&[(Role::Image, "a.sys", b"1"), (Role::Image, "b.sys", b"2")]);
        let twice = Package::open(dir.path()).expect("opens");
        let text = text_of(twice.required(Role::Image).expect_err("two"));
        assert!(text.contains("lists 2 files"), "{text}");

        for name in ["../a.sys", "/etc/passwd", "", "x/../../y"] {
            write_manifest(
                dir.path(),
                vec![FileEntry {
                    role: Role::Image,
                    path: name.into(),
                    arch: None,
                    sha256: String::new(),
                    size: 0,
                }],
            );
            let text = text_of(Package::open(dir.path()).expect_err("escape"));
            assert!(text.contains("outside the package"), "{name}: {text}");
        }
    }

    #[test]
    fn of_several_architectures_the_labs_is_taken() {
        let images: [(Role, &str, &[u8]); 2] = [
            (Role::Image, "arm.sys", b"arm"),
            (Role::Image, "x64.sys", b"x64"),
        ];
        let dir = package(&images);
        let set = |archs: [&str; 2]| {
            let mut entries = Package::open(dir.path()).expect("opens").manifest.files;
            for (entry, arch) in entries.iter_mut().zip(archs) {
                entry.arch = Some(arch.into());
            }
            write_manifest(dir.path(), entries);
            Package::open(dir.path()).expect("opens")
        };
        let image = set(["arm64", "x64"]).required(Role::Image).expect("reads");
        assert_eq!(image.bytes, b"x64");
        let text = text_of(
            set(["arm64", "arm64"])
                .required(Role::Image)
                .expect_err("arm64 only"),
        );
        assert!(text.contains("for arm64, arm64 only"), "{text}");
        assert!(text.contains("--arch x64,arm64"), "{text}");
    }

    #[test]
    fn roles_of_later_formats_are_carried_not_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let text = r#"{"format":2,"driver":"d","version":"1","architectures":[{"arch":"x64"}],"files":
            [{"role":"catalog","path":"d.cat","sha256":"","size":0}]}"#;
        fs::write(dir.path().join(MANIFEST), text).expect("write");
        let package = Package::open(dir.path()).expect("opens");
        assert_eq!(package.manifest().files[0].role, Role::Other);
    }
}

//! The manifest of a package, format 2: what every file is for, of which architecture,
//! and its hash. The lab reads it (crates/lab/src/package.rs), as do verify and deploy.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Name of the manifest in a package.
pub const MANIFEST: &str = "manifest.json";

/// Version of the manifest's form.
pub const FORMAT: u32 = 2;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Name of the driver's crate.
    pub driver: String,
    /// Four numbers.
    pub version: String,
    /// `debug` or `release`.
    pub profile: String,
    /// The service that loads the image.
    pub service: String,
    /// The service of the protocol edge, the name it registers with NDIS (PTR-3).
    pub protocol: String,
    /// What the package has images for.
    pub architectures: Vec<Architecture>,
    /// How it was signed; absent when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<serde_json::Value>,
    /// Every file but the manifest and its signature.
    pub files: Vec<File>,
}

/// An architecture of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// `x64` or `arm64`.
    pub arch: String,
    /// Rust's name of the kernel target.
    pub target: String,
    /// How `core` and `alloc` were come by: precompiled and compiled ones differ in bytes.
    pub core: String,
}

/// A file of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// What it is for.
    pub role: String,
    /// Where it is, with `/`.
    pub path: String,
    /// Its architecture, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

impl File {
    /// The entry for a file of this content.
    pub fn of(role: &str, path: String, arch: Option<&str>, content: &[u8]) -> Self {
        Self {
            role: role.to_owned(),
            path,
            arch: arch.map(str::to_owned),
            sha256: hex(&Sha256::digest(content)),
            size: content.len() as u64,
        }
    }
}

impl Manifest {
    /// The bytes of `manifest.json`.
    pub fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

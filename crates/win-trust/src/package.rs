//! Signing a package: its images, a catalog for each of its INFs, and its manifest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::authenticode;
use crate::catalog::{self, Header, Member};
use crate::error::{Error, Result};
use crate::inf::Inf;
use crate::pe::is_pe;
use crate::signed::{Content, Signer};

/// The list of a package's files.
pub const MANIFEST: &str = "manifest.json";
/// The signature on that list.
pub const MANIFEST_SIGNATURE: &str = "manifest.json.p7s";
/// The signer's certificate in a package, for the machine's store `TrustedPublisher`.
pub const PUBLISHER: &str = "signer.cer";

/// What the manifest says of the signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signing {
    /// `test` or `pfx`.
    pub kind: String,
    /// The time in the signatures.
    pub time: String,
    /// SHA-256 of every certificate in them, the signer's first.
    pub certificates: Vec<String>,
    /// The authority that stamped the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// What made them.
    #[serde(default)]
    pub tools: Tools,
}

/// The programs that made a package's signatures and catalogs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// Whose they are.
    pub maker: Maker,
    /// What signed images and catalogs: its name, and its version if that is known.
    pub signatures: String,
    /// What made the catalogs.
    pub catalogs: String,
}

/// Whose programs made signatures and catalogs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Maker {
    /// This crate.
    #[default]
    Native,
    /// Signtool and Inf2Cat.
    Windows,
}

impl Tools {
    /// This crate.
    pub fn native() -> Self {
        let name = concat!("win-trust ", env!("CARGO_PKG_VERSION")).to_owned();
        Self {
            maker: Maker::Native,
            signatures: name.clone(),
            catalogs: name,
        }
    }
}

/// Images with signatures and catalogs of a package, by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Every image of the package, signed.
    pub images: BTreeMap<String, Vec<u8>>,
    /// A catalog for each INF.
    pub catalogs: BTreeMap<String, Vec<u8>>,
}

/// A file that signing has made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its role in the manifest, if it is a new one.
    pub role: Option<&'static str>,
    /// Where it is, with `/`.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What signing a package gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Files that are new or changed.
    pub files: Vec<NewFile>,
    /// For the manifest.
    pub signing: Signing,
}

/// Signs `files`, the content of a package but for its manifest, by their paths.
/// `title` is the name that Windows shows where it asks; `root` the file that the root's
/// certificate goes to.
pub fn sign_package(
    files: &BTreeMap<String, Vec<u8>>,
    signer: &Signer<'_>,
    kind: &str,
    title: &str,
    root: &str,
) -> Result<Output> {
    let made = make(files, signer, title)?;
    Ok(complete(made, signer, kind, root, Tools::native()))
}

fn make(files: &BTreeMap<String, Vec<u8>>, signer: &Signer<'_>, title: &str) -> Result<Made> {
    let mut signed = BTreeMap::new();
    for (path, bytes) in files {
        if is_pe(bytes) {
            let image = authenticode::sign(bytes, signer, title)
                .map_err(|why| Error::Package(format!("{path}: {why}")))?;
            signed.insert(path.clone(), image);
        }
    }
    let mut catalogs = BTreeMap::new();
    for (path, bytes) in files {
        if !has_extension(path, "inf") {
            continue;
        }
        let inf = Inf::parse(bytes).map_err(|why| Error::Package(format!("{path}: {why}")))?;
        let name = inf.catalog.clone().ok_or_else(|| {
            Error::Package(format!(
                "{path} names no catalog (CatalogFile in [Version])"
            ))
        })?;
        let mut members = vec![Member {
            name: base_name(path),
            bytes,
        }];
        for file in &inf.files {
            let content = signed.get(file).or_else(|| files.get(file));
            let content = content.ok_or_else(|| {
                Error::Package(format!(
                    "{path} lists {file}, which the package does not have"
                ))
            })?;
            members.push(Member {
                name: base_name(file),
                bytes: content,
            });
        }
        let header = Header {
            os: inf.systems(),
            hardware_ids: inf.hardware_ids.clone(),
        };
        catalogs.insert(name, catalog::build(&members, &header, signer, title)?);
    }
    Ok(Made {
        images: signed,
        catalogs,
    })
}

/// Adds what a package has beside images and catalogs, whoever made these: certificates,
/// and what the manifest says.
pub fn complete(made: Made, signer: &Signer<'_>, kind: &str, root: &str, tools: Tools) -> Output {
    let mut files: Vec<_> = made
        .catalogs
        .into_iter()
        .map(|(path, bytes)| NewFile {
            role: Some("catalog"),
            path,
            bytes,
        })
        .collect();
    let identity = signer.identity;
    files.push(NewFile {
        role: Some("publisher"),
        path: PUBLISHER.to_owned(),
        bytes: identity.signer().der().to_vec(),
    });
    if let Some(cert) = identity.root() {
        files.push(NewFile {
            role: Some("certificate"),
            path: root.to_owned(),
            bytes: cert.der().to_vec(),
        });
    }
    files.extend(made.images.into_iter().map(|(path, bytes)| NewFile {
        role: None,
        path,
        bytes,
    }));
    Output {
        files,
        signing: Signing {
            kind: kind.to_owned(),
            time: signer.time.to_string(),
            certificates: identity
                .chain()
                .iter()
                .map(crate::certificate::Cert::fingerprint)
                .collect(),
            timestamp: signer.stamper.map(|stamper| stamper.url().to_owned()),
            tools,
        },
    }
}

/// The detached signature on the manifest. It has no time stamp: it is for the way to the
/// lab machine, where Windows does not look at it.
pub fn sign_manifest(manifest: &[u8], signer: &Signer<'_>) -> Result<Vec<u8>> {
    signer.sign(Content::Detached(manifest), "")
}

pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub(crate) fn has_extension(path: &str, wanted: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case(wanted))
}

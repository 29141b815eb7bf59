//! The verdict on a package from its files alone.
//!
//! First the manifest's signature, then every file against the manifest; only where all
//! of that holds, images, catalogs and chains. Digests are kept, so that a package of
//! which one file was exchanged is judged again in the time that this one file takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sha2::digest::Digest as _;

use crate::authenticode;
use crate::catalog::{Catalog, Member};
use crate::certificate::{Anchor, Cert, hex};
use crate::error::{Error, Result};
use crate::inf::Inf;
use crate::moment::Moment;
use crate::package::{MANIFEST, MANIFEST_SIGNATURE, Maker, Signing, base_name, has_extension};
use crate::pe::is_pe;
use crate::signed::{Fault, Signed};
use crate::spc::Extent;

/// The manifest's form that this is about.
const FORMAT: u32 = 2;
/// A package has some twenty files.
const MAX_FILES: usize = 10_000;

/// Whom to trust.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Roots that somebody named. Without any the package's own root serves: then only
    /// damage is found, not a package that somebody else has signed.
    pub roots: Vec<Cert>,
    /// Now: a certificate that has expired serves only with a time stamp.
    pub now: Moment,
}

/// Something wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file's path in the package.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Everything wrong; a package without any is as it was made.
    pub findings: Vec<Finding>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// Who signed.
    pub signer: Option<String>,
    /// Files compared with the manifest.
    pub files: usize,
    /// Images and catalogs whose signatures hold.
    pub signatures: usize,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, path: &str, problem: impl Into<String>) {
        self.findings.push(Finding {
            path: path.to_owned(),
            problem: problem.into(),
        });
    }
}

#[derive(Debug, Deserialize)]
struct Manifest {
    format: u32,
    signing: Option<Signing>,
    files: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    path: String,
    sha256: String,
    size: u64,
}

#[derive(Debug)]
struct Entry {
    bytes: Vec<u8>,
    sha256: OnceLock<String>,
}

impl Entry {
    fn new(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            sha256: OnceLock::new(),
        })
    }

    fn sha256(&self) -> &str {
        self.sha256
            .get_or_init(|| hex(&Sha256::digest(&self.bytes)))
    }
}

/// What the manifest and its signature come to.
#[derive(Debug)]
struct Head {
    manifest: Option<Manifest>,
    signed: Option<Signed>,
    findings: Vec<Finding>,
}

/// A package in memory.
#[derive(Clone, Debug)]
pub struct Package {
    files: BTreeMap<String, Arc<Entry>>,
    head: Arc<OnceLock<Head>>,
}

impl Package {
    /// Takes files by their paths, with `/`.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self {
            files: files
                .into_iter()
                .map(|(path, bytes)| (path, Entry::new(bytes)))
                .collect(),
            head: Arc::default(),
        }
    }

    /// Reads a folder. What is neither file nor folder, such as a link, is refused.
    pub fn load(dir: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut open = vec![(dir.to_owned(), String::new())];
        while let Some((folder, prefix)) = open.pop() {
            for entry in std::fs::read_dir(&folder).map_err(Error::io(&folder))? {
                let entry = entry.map_err(Error::io(&folder))?;
                let full = entry.path();
                let kind = entry.file_type().map_err(Error::io(&full))?;
                let name = entry.file_name();
                let name = name.to_str().ok_or_else(|| {
                    Error::Package(format!("{}: the name is not Unicode", full.display()))
                })?;
                let path = format!("{prefix}{name}");
                if kind.is_dir() {
                    open.push((full, format!("{path}/")));
                } else if kind.is_file() {
                    files.push((path, std::fs::read(&full).map_err(Error::io(&full))?));
                } else {
                    return Err(Error::Package(format!(
                        "{} is neither file nor folder; packages have only these",
                        full.display()
                    )));
                }
                if files.len() > MAX_FILES {
                    return Err(Error::Package(format!(
                        "{} has more than {MAX_FILES} files; it is no package",
                        dir.display()
                    )));
                }
            }
        }
        let package = Self::new(files);
        if !package.files.contains_key(MANIFEST) {
            return Err(Error::Package(format!(
                "{} has no {MANIFEST}: it is no package, or only half of one; make it again \
                 by `cargo xtask package`",
                dir.display()
            )));
        }
        Ok(package)
    }

    /// Paths of all files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// A file's bytes.
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|entry| entry.bytes.as_slice())
    }

    /// The same package with another content of one file; what is known of the others stays.
    #[must_use]
    pub fn with(&self, path: &str, bytes: Vec<u8>) -> Self {
        let mut other = self.clone();
        other.files.insert(path.to_owned(), Entry::new(bytes));
        if path == MANIFEST || path == MANIFEST_SIGNATURE {
            other.head = Arc::default();
        }
        other
    }

    /// The same package without one file.
    #[must_use]
    pub fn without(&self, path: &str) -> Self {
        let mut other = self.clone();
        other.files.remove(path);
        other.head = Arc::default();
        other
    }

    /// Judges everything.
    pub fn verify(&self, trust: &Trust) -> Report {
        let mut report = Report::default();
        let head = self.head.get_or_init(|| self.head());
        report.findings.extend(head.findings.iter().cloned());
        let Some(manifest) = head.manifest.as_ref().filter(|_| report.is_good()) else {
            report
                .notes
                .push("the manifest does not hold, so nothing else was judged".to_owned());
            return report;
        };
        self.compare(manifest, &mut report);
        let Some(signed) = &head.signed else {
            let what = "it is not signed: files were compared with the manifest, no more";
            if trust.roots.is_empty() {
                report.notes.push(what.to_owned());
            } else {
                report.find(MANIFEST, what);
            }
            return report;
        };
        report.signer = signed.chain.first().map(Cert::subject);
        if !report.is_good() {
            report
                .notes
                .push("signatures in the files were not looked at".to_owned());
            return report;
        }
        if let Some(signing) = &manifest.signing {
            self.signatures(signed, signing, trust, &mut report);
        }
        report
    }

    /// The manifest and its signature.
    fn head(&self) -> Head {
        let mut findings = Vec::new();
        let mut find = |path: &str, problem: String| {
            findings.push(Finding {
                path: path.to_owned(),
                problem,
            });
        };
        let Some(bytes) = self.bytes(MANIFEST) else {
            find(MANIFEST, "it is missing".to_owned());
            return Head {
                manifest: None,
                signed: None,
                findings,
            };
        };
        let mut signed = None;
        if let Some(signature) = self.bytes(MANIFEST_SIGNATURE) {
            match Signed::read(signature, Some(bytes)) {
                Ok(read) if read.is_canonical(signature) => signed = Some(read),
                Ok(_) => find(
                    MANIFEST_SIGNATURE,
                    "something was changed beside what the signature covers".to_owned(),
                ),
                Err(fault @ Fault::Content) => find(MANIFEST, fault.to_string()),
                Err(fault) => find(MANIFEST_SIGNATURE, fault.to_string()),
            }
        }
        let manifest = match serde_json::from_slice::<Manifest>(bytes) {
            Ok(manifest) if manifest.format == FORMAT => Some(manifest),
            Ok(manifest) => {
                let format = manifest.format;
                find(
                    MANIFEST,
                    format!("its format is {format}, and {FORMAT} is the one known here"),
                );
                None
            }
            Err(why) => {
                find(MANIFEST, format!("it cannot be read: {why}"));
                None
            }
        };
        if let Some(manifest) = &manifest {
            match (&manifest.signing, &signed) {
                (Some(signing), Some(signed)) => {
                    let listed: BTreeSet<&str> =
                        signing.certificates.iter().map(String::as_str).collect();
                    let prints: Vec<String> = signed.chain.iter().map(Cert::fingerprint).collect();
                    let found: BTreeSet<&str> = prints.iter().map(String::as_str).collect();
                    if listed != found || signing.certificates.first() != prints.first() {
                        find(
                            MANIFEST_SIGNATURE,
                            "its certificates are not those that the manifest names".to_owned(),
                        );
                    }
                }
                (Some(_), None) if !self.files.contains_key(MANIFEST_SIGNATURE) => {
                    find(
                        MANIFEST_SIGNATURE,
                        "it is missing, though the manifest says that the package is signed"
                            .to_owned(),
                    );
                }
                (None, Some(_)) => find(
                    MANIFEST_SIGNATURE,
                    "the manifest does not say that the package is signed".to_owned(),
                ),
                _ => {}
            }
        }
        Head {
            manifest,
            signed,
            findings,
        }
    }

    /// Every file against the manifest.
    fn compare(&self, manifest: &Manifest, report: &mut Report) {
        let mut listed = BTreeSet::new();
        // Windows does not tell upper case from lower.
        let mut folded = BTreeSet::new();
        for file in &manifest.files {
            let path = file.path.as_str();
            let sane = path
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..")
                && !path.contains(['\\', ':']);
            if !sane {
                report.find(MANIFEST, format!("{path:?} is no path inside a package"));
                continue;
            }
            listed.insert(path);
            if !folded.insert(path.to_lowercase()) {
                report.find(MANIFEST, format!("{path} is listed twice"));
            }
            let Some(entry) = self.files.get(path) else {
                report.find(path, "it is missing");
                continue;
            };
            report.files += 1;
            if entry.bytes.len() as u64 != file.size {
                report.find(
                    path,
                    format!(
                        "it has {} bytes instead of {}",
                        entry.bytes.len(),
                        file.size
                    ),
                );
            } else if entry.sha256() != file.sha256 {
                report.find(path, "it is not the file that the manifest lists (SHA-256)");
            }
        }
        for path in self.paths() {
            if path != MANIFEST && path != MANIFEST_SIGNATURE && !listed.contains(path) {
                report.find(path, "the manifest does not list it");
            }
        }
    }

    /// Images, catalogs and whom they are by.
    fn signatures(&self, head: &Signed, signing: &Signing, trust: &Trust, report: &mut Report) {
        let own: Vec<Cert>;
        let roots = if trust.roots.is_empty() {
            // Hashes of these stand in the signed manifest.
            own = head
                .chain
                .iter()
                .filter(|cert| cert.is_root())
                .cloned()
                .collect();
            for root in &own {
                report.notes.push(format!(
                    "the root is the package's own: {}, SHA-256 {}; compare it with one that \
                     you know, by --root",
                    root.subject(),
                    root.fingerprint()
                ));
            }
            &own
        } else {
            &trust.roots
        };
        let by = |path: &str, signed: &Signed, report: &mut Report| {
            match signed.judge(roots, trust.now) {
                Ok(Anchor::Trusted) => {}
                Ok(Anchor::Open(name)) if trust.roots.is_empty() => {
                    let note = format!("the chain ends at {name}, which the package does not have");
                    if !report.notes.contains(&note) {
                        report.notes.push(note);
                    }
                }
                Ok(Anchor::Open(name)) => {
                    report.find(
                        path,
                        format!("its chain ends at {name}, not at the root named"),
                    );
                    return;
                }
                Err(why) => {
                    report.find(path, why);
                    return;
                }
            }
            if signed.chain.first() != head.chain.first() {
                report.find(path, "somebody else has signed it than the manifest");
                return;
            }
            let missing = head
                .chain
                .iter()
                .find(|cert| !cert.is_root() && !signed.chain.contains(cert));
            if let Some(missing) = missing {
                let subject = missing.subject();
                report.find(
                    path,
                    format!("it lacks a certificate of its chain: {subject}"),
                );
                return;
            }
            if let Some(authority) = &signing.timestamp
                && signed.stamp.is_none()
                && path != MANIFEST_SIGNATURE
            {
                report.find(
                    path,
                    format!("it has no time stamp, which {authority} was to give"),
                );
                return;
            }
            let ends = signed.chain.first().map(Cert::not_after);
            if let Some(end) = ends
                && trust.now > end
                && signed.stamp.is_none()
                && path != MANIFEST_SIGNATURE
            {
                report.find(
                    path,
                    format!("its certificate expired on {end}, and it has no time stamp"),
                );
                return;
            }
            report.signatures += 1;
        };
        by(MANIFEST_SIGNATURE, head, report);
        let mut catalogs = BTreeSet::new();
        for (path, entry) in &self.files {
            if is_pe(&entry.bytes) {
                match authenticode::judge(&entry.bytes) {
                    Ok(signed) => by(path, &signed, report),
                    Err(why) => report.find(path, why),
                }
            } else if has_extension(path, "inf")
                && let Some((name, catalog)) =
                    self.catalog_of(path, &entry.bytes, signing.tools.maker, report)
            {
                by(&name, &catalog.signed, report);
                catalogs.insert(name);
            }
        }
        for path in self.paths() {
            if has_extension(path, "cat") && !catalogs.contains(path) {
                report.find(path, "it is no INF's catalog");
            }
        }
    }

    /// The catalog of an INF, with every file of the INF compared with it.
    fn catalog_of(
        &self,
        inf_path: &str,
        inf: &[u8],
        maker: Maker,
        report: &mut Report,
    ) -> Option<(String, Catalog)> {
        let parsed = match Inf::parse(inf) {
            Ok(parsed) => parsed,
            Err(why) => {
                report.find(inf_path, why.to_string());
                return None;
            }
        };
        let Some(name) = parsed.catalog.clone() else {
            report.find(inf_path, "it names no catalog");
            return None;
        };
        let Some(bytes) = self.bytes(&name) else {
            report.find(&name, format!("it is missing, the catalog of {inf_path}"));
            return None;
        };
        let catalog = match Catalog::read(bytes) {
            Ok(catalog) => catalog,
            Err(why) => {
                report.find(&name, why);
                return None;
            }
        };
        let mut expected = BTreeSet::new();
        let members = std::iter::once(inf_path).chain(parsed.files.iter().map(String::as_str));
        for path in members {
            expected.insert(base_name(path).to_lowercase());
            let Some(bytes) = self.bytes(path) else {
                report.find(path, format!("it is missing, though {inf_path} lists it"));
                continue;
            };
            let member = Member {
                name: base_name(path),
                bytes,
            };
            match catalog.judge(&member) {
                Ok(Extent::Whole) => {}
                // The image's own signature has them.
                Ok(Extent::WithoutPages) if maker == Maker::Windows => report
                    .notes
                    .push(format!("{name} has no hashes of the pages of {path}")),
                Ok(Extent::WithoutPages) => {
                    report.find(path, format!("{name}: {}", Extent::NO_PAGES));
                }
                Err(why) => report.find(path, format!("{name}: {why}")),
            }
        }
        for listed in catalog.names() {
            let is_more = maker == Maker::Windows && self.has(&catalog, listed);
            if !expected.contains(&listed.to_lowercase()) && !is_more {
                report.find(
                    &name,
                    format!("it lists {listed}, which {inf_path} does not"),
                );
            }
        }
        let ids = |ids: &[String]| {
            let mut ids: Vec<_> = ids.iter().map(|id| id.to_lowercase()).collect();
            ids.sort();
            ids
        };
        let same = match maker {
            Maker::Native => catalog.header.hardware_ids == parsed.hardware_ids,
            // In which order Inf2Cat lists them is not documented.
            Maker::Windows => ids(&catalog.header.hardware_ids) == ids(&parsed.hardware_ids),
        };
        if !same {
            report.find(
                &name,
                format!("its hardware ids are not those of {inf_path}"),
            );
        }
        Some((name, catalog))
    }

    /// Whether a name in a catalog is that of a file of the package, as it is. Inf2Cat may
    /// list what an INF refers to in other ways than as its own file, such as by `CopyINF`.
    fn has(&self, catalog: &Catalog, listed: &str) -> bool {
        self.files.iter().any(|(path, entry)| {
            let name = base_name(path);
            let bytes = entry.bytes.as_slice();
            name.eq_ignore_ascii_case(listed) && catalog.judge(&Member { name, bytes }).is_ok()
        })
    }
}

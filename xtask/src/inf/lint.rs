//! The linter: reads a package directory, runs every rule over it and sorts what
//! they found.

use std::{collections::BTreeMap, fmt, path::Path};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::{parse::Inf, rules};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The package is not fit for use.
    Error,
    /// Something known is still missing; the package can be built.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Note => "note",
        })
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `INF-…` as in the contract, `INF-L…` for our own.
    pub rule: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// The file of the package; empty when it is about the whole.
    pub file: String,
    /// The line in it, from 1; 0 when it is about the whole file.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str("package")?,
            (file, 0) => f.write_str(file)?,
            (file, line) => write!(f, "{file}:{line}")?,
        }
        write!(f, ": {} {}: {}", self.severity, self.rule, self.message)
    }
}

/// One INF of a package.
pub struct InfFile {
    /// Its name.
    pub name: String,
    /// Its text, for rules about what is written rather than what it means.
    pub raw: Vec<u8>,
    /// Its contents.
    pub inf: Inf,
}

/// The setup class of an INF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A protocol.
    NetTrans,
    /// An adapter.
    Net,
    /// Anything else.
    Other,
}

impl InfFile {
    /// By its class name, or by its GUID when it has no name.
    pub fn class(&self) -> Class {
        let class = self
            .inf
            .entry("Version", "Class")
            .map_or("", |entry| entry.value(0));
        match class.to_ascii_lowercase().as_str() {
            "nettrans" => Class::NetTrans,
            "net" => Class::Net,
            _ => Class::Other,
        }
    }
}

/// The files of a package, by path with `/`.
pub struct Package {
    /// Every file.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The INFs among them.
    pub infs: Vec<InfFile>,
}

impl Package {
    /// A package of these files.
    pub fn of(files: BTreeMap<String, Vec<u8>>) -> Self {
        let infs = files
            .iter()
            .filter(|(name, _)| has_extension(name, "inf") && !name.contains('/'))
            .map(|(name, raw)| InfFile {
                name: name.clone(),
                raw: raw.clone(),
                inf: Inf::parse(raw),
            })
            .collect();
        Self { files, infs }
    }

    /// The package in a directory.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        read(folder, "", &mut files)?;
        let package = Self::of(files);
        ensure!(!package.infs.is_empty(), "{} has no INF", folder.display());
        Ok(package)
    }

    /// Whether the package has this file; case counts for nothing on Windows.
    pub fn has(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    /// The bytes of a file; case counts for nothing on Windows.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        let mut files = self.files.iter();
        let found = files.find(|(file, _)| file.eq_ignore_ascii_case(path));
        found.map(|(_, bytes)| bytes.as_slice())
    }

    /// The INFs of a class.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &InfFile> {
        self.infs.iter().filter(move |file| file.class() == class)
    }

    /// Whether any INF names a notify object.
    pub fn has_notify_object(&self) -> bool {
        self.infs
            .iter()
            .any(|file| rules::notify_class(&file.inf).is_some())
    }
}

/// Whether a file name ends in this extension.
pub fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// Collects findings.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// An error at a line of a file.
    pub fn error(&mut self, rule: &'static str, file: &str, line: usize, message: String) {
        self.push(rule, Severity::Error, file, line, message);
    }

    /// A note at a line of a file.
    pub fn note(&mut self, rule: &'static str, file: &str, line: usize, message: String) {
        self.push(rule, Severity::Note, file, line, message);
    }

    fn push(
        &mut self,
        rule: &'static str,
        severity: Severity,
        file: &str,
        line: usize,
        message: String,
    ) {
        let finding = Finding {
            rule,
            severity,
            file: file.to_owned(),
            line,
            message,
        };
        // Two install sections often share the section with the fault.
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }
}

/// Judges the package in a directory. It is fit when no finding is an error.
pub fn lint(package: &Path) -> anyhow::Result<Vec<Finding>> {
    Ok(lint_files(&Package::open(package)?))
}

/// Reads every file below a folder.
fn read(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the package {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            read(&path, &format!("{name}/"), files)?;
        } else {
            let contents =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(name, contents);
        }
    }
    Ok(())
}

/// [`lint`] on files that are already read.
pub fn lint_files(package: &Package) -> Vec<Finding> {
    let mut findings = Findings::default();
    for rule in rules::ALL {
        rule(package, &mut findings);
    }
    let mut found = findings.0;
    found.sort_by(|a, b| {
        (a.severity, &a.file, a.line, a.rule).cmp(&(b.severity, &b.file, b.line, b.rule))
    });
    found
}

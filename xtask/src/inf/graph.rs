//! Who refers to whom in an INF: models sections, install sections, and what
//! they lead to.

use std::collections::BTreeSet;

use serde::Serialize;

use super::parse::{Entry, Inf};

/// Sections that Windows looks for by name.
const ROOTS: [&str; 9] = [
    "DefaultInstall",
    "DefaultUninstall",
    "ClassInstall32",
    "Version",
    "Manufacturer",
    "ControlFlags",
    "SourceDisksNames",
    "SourceDisksFiles",
    "DestinationDirs",
];

/// What Windows appends to the name of an install section.
const INSTALL_SUFFIXES: [&str; 10] = [
    ".Services",
    ".HW",
    ".Interfaces",
    ".Wmi",
    ".Filters",
    ".Events",
    ".Components",
    ".Software",
    ".Remove",
    ".Remove.Services",
];

/// Directives whose values are names of sections.
const SECTION_LISTS: [&str; 6] = [
    "AddReg",
    "DelReg",
    "BitReg",
    "CopyFiles",
    "DelFiles",
    "RenFiles",
];

/// One target of the manufacturer section.
#[derive(Clone, Debug)]
pub struct Models {
    /// Name of the models section.
    pub section: String,
    /// Line of the manufacturer entry.
    pub line: usize,
    /// `NTamd64`, or empty.
    pub architecture: String,
    /// The smallest build, where the decoration has one.
    pub build: Option<u32>,
    /// Its devices.
    pub devices: Vec<Device>,
}

impl Models {
    /// The suffix of sections for its platform: `amd64`, or empty.
    pub fn platform(&self) -> String {
        let name = self.architecture.to_ascii_lowercase();
        name.strip_prefix("nt").unwrap_or_default().to_owned()
    }
}

/// One entry of a models section.
#[derive(Clone, Debug)]
pub struct Device {
    /// Where it stands.
    pub line: usize,
    /// Its install section.
    pub install: String,
    /// Its first hardware id.
    pub hardware_id: String,
}

/// The models sections that the manufacturer section leads to.
pub fn models(inf: &Inf) -> Vec<Models> {
    let mut found = Vec::new();
    for entry in inf.entries("Manufacturer") {
        let base = inf.expand(entry.value(0));
        let mut decorations: Vec<&str> = entry.values.iter().skip(1).map(String::as_str).collect();
        if decorations.is_empty() {
            decorations.push("");
        }
        for decoration in decorations {
            let separator = if decoration.is_empty() { "" } else { "." };
            let section = format!("{base}{separator}{decoration}");
            let fields: Vec<&str> = decoration.split('.').collect();
            found.push(Models {
                line: entry.line,
                architecture: fields[0].to_owned(),
                build: fields.get(5).and_then(|build| build.parse().ok()),
                devices: devices(inf, &section),
                section,
            });
        }
    }
    found
}

fn devices(inf: &Inf, section: &str) -> Vec<Device> {
    let entries = inf.entries(section);
    entries
        .map(|entry| Device {
            line: entry.line,
            install: inf.expand(entry.value(0)),
            hardware_id: inf.expand(entry.value(1)),
        })
        .collect()
}

/// Install sections with the models section that leads there, each pair once.
pub fn installs(inf: &Inf) -> Vec<(Models, String)> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for models in models(inf) {
        for device in &models.devices {
            let pair = (
                models.section.to_ascii_lowercase(),
                device.install.to_ascii_lowercase(),
            );
            if seen.insert(pair) {
                found.push((models.clone(), device.install.clone()));
            }
        }
    }
    found
}

/// The values of every `directive = a, b` of a section, with the line.
pub fn listed<'a>(inf: &'a Inf, section: &'a str, directive: &'a str) -> Vec<(usize, String)> {
    let entries = inf
        .entries(section)
        .filter(move |entry| entry.has_key(directive));
    entries
        .flat_map(|entry| {
            entry
                .values
                .iter()
                .map(|value| (entry.line, inf.expand(value)))
        })
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// A reference from a line to a section.
#[derive(Debug)]
pub struct Reference {
    /// Where it stands.
    pub line: usize,
    /// What it names.
    pub section: String,
}

/// Every reference that can be reached, and the names of all sections in use.
pub fn references(inf: &Inf) -> (Vec<Reference>, BTreeSet<String>) {
    let mut walk = Walk {
        inf,
        found: Vec::new(),
        used: BTreeSet::new(),
    };
    for root in ROOTS {
        walk.used.insert(root.to_ascii_lowercase());
    }
    for section in &inf.sections {
        // Strings.0409 and SourceDisksFiles.amd64 are forms of the same names.
        let base = section.name.split('.').next().unwrap_or_default();
        if ["Strings", "SourceDisksNames", "SourceDisksFiles"]
            .iter()
            .any(|n| n.eq_ignore_ascii_case(base))
        {
            walk.used.insert(section.name.to_ascii_lowercase());
        }
    }
    for models in models(inf) {
        walk.reach(models.line, &models.section);
        for device in &models.devices {
            if walk.reach(device.line, &device.install) {
                walk.install(&device.install);
            }
        }
    }
    for entry in inf
        .entries("DestinationDirs")
        .filter(|e| !e.has_key("DefaultDestDir"))
    {
        if let Some(list) = &entry.key {
            walk.found.push(Reference {
                line: entry.line,
                section: list.clone(),
            });
        }
    }
    (walk.found, walk.used)
}

struct Walk<'a> {
    inf: &'a Inf,
    found: Vec<Reference>,
    used: BTreeSet<String>,
}

impl Walk<'_> {
    /// Notes a reference; true when the section is there and new.
    fn reach(&mut self, line: usize, section: &str) -> bool {
        self.found.push(Reference {
            line,
            section: section.to_owned(),
        });
        self.used.insert(section.to_ascii_lowercase()) && self.inf.has(section)
    }

    fn install(&mut self, install: &str) {
        self.directives(install);
        for suffix in INSTALL_SUFFIXES {
            let name = format!("{install}{suffix}");
            if self.inf.has(&name) && self.used.insert(name.to_ascii_lowercase()) {
                self.directives(&name);
            }
        }
    }

    /// Follows what one section of directives names.
    fn directives(&mut self, section: &str) {
        let inf = self.inf;
        for directive in SECTION_LISTS {
            for (line, name) in listed(inf, section, directive) {
                // `CopyFiles = @file` names the file itself.
                if !name.starts_with('@') {
                    self.reach(line, &name);
                }
            }
        }
        for entry in inf
            .entries(section)
            .filter(|entry| entry.has_key("AddService"))
        {
            for index in [2, 3] {
                let name = inf.expand(entry.value(index));
                if !name.is_empty() && self.reach(entry.line, &name) {
                    self.directives(&name);
                }
            }
        }
    }
}

/// A line of an add-registry section.
#[derive(Debug, Serialize)]
pub struct RegistryValue {
    /// Where it stands.
    pub line: usize,
    /// `HKR` and the like.
    pub root: String,
    /// The key below the root.
    pub key: String,
    /// The name of the value.
    pub name: String,
    /// The type flags as written.
    pub flags: String,
    /// The data.
    pub data: Vec<String>,
}

impl RegistryValue {
    fn of(inf: &Inf, entry: &Entry) -> Self {
        Self {
            line: entry.line,
            root: inf.expand(entry.value(0)),
            key: inf.expand(entry.value(1)),
            name: inf.expand(entry.value(2)),
            flags: inf.expand(entry.value(3)),
            data: entry
                .values
                .iter()
                .skip(4)
                .map(|value| inf.expand(value))
                .collect(),
        }
    }

    /// The first item of the data.
    pub fn text(&self) -> &str {
        self.data.first().map_or("", String::as_str)
    }

    /// Whether it is this value of this key.
    pub fn is(&self, key: &str, name: &str) -> bool {
        self.key.eq_ignore_ascii_case(key) && self.name.eq_ignore_ascii_case(name)
    }
}

/// The registry values that a section adds through its `AddReg` directives.
pub fn registry(inf: &Inf, section: &str) -> Vec<RegistryValue> {
    let lists = listed(inf, section, "AddReg");
    lists
        .iter()
        .flat_map(|(_, list)| inf.entries(list))
        .map(|entry| RegistryValue::of(inf, entry))
        .collect()
}

/// What a section with `AddReg` directives writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The key of the component.
    Component,
    /// The key of a service.
    Service,
    /// The key of a source of events.
    EventLog,
}

/// Every section whose `AddReg` directives count, each once.
pub fn registry_sections(inf: &Inf) -> Vec<(String, Target)> {
    let mut found = Vec::new();
    let mut add = |section: String, target: Target| {
        let pair = (section, target);
        if !pair.0.is_empty() && !found.contains(&pair) {
            found.push(pair);
        }
    };
    for (_, install) in installs(inf) {
        add(install.clone(), Target::Component);
        for entry in inf.entries(&format!("{install}.Services")) {
            if entry.has_key("AddService") {
                add(inf.expand(entry.value(2)), Target::Service);
                add(inf.expand(entry.value(3)), Target::EventLog);
            }
        }
    }
    found
}

/// A file that a section copies.
#[derive(Debug)]
pub struct CopiedFile {
    /// Where it stands.
    pub line: usize,
    /// The file list, or empty for `@file`.
    pub list: String,
    /// Its name on the target.
    pub name: String,
    /// Its name in the package, where it differs.
    pub source: String,
    /// Whether `DelFiles` names it.
    pub deleted: bool,
}

impl CopiedFile {
    /// Its name in the package.
    pub fn source_name(&self) -> &str {
        if self.source.is_empty() {
            &self.name
        } else {
            &self.source
        }
    }
}

/// What an install section copies and deletes.
pub fn files(inf: &Inf, install: &str) -> Vec<CopiedFile> {
    let mut found = Vec::new();
    for (directive, deleted) in [("CopyFiles", false), ("DelFiles", true)] {
        for (line, list) in listed(inf, install, directive) {
            if let Some(name) = list.strip_prefix('@') {
                let (list, name, source) = (String::new(), name.to_owned(), String::new());
                found.push(CopiedFile {
                    line,
                    list,
                    name,
                    source,
                    deleted,
                });
                continue;
            }
            for entry in inf.entries(&list) {
                found.push(CopiedFile {
                    line: entry.line,
                    list: list.clone(),
                    name: inf.expand(entry.value(0)),
                    source: inf.expand(entry.value(1)),
                    deleted,
                });
            }
        }
    }
    found
}

/// Where a file lies in the package.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its line in the section.
    pub line: usize,
    /// The section's suffix, `amd64` and the like, in lower case; empty for all platforms.
    pub platform: String,
    /// Its name, in lower case.
    pub name: String,
    /// The disk's number as written.
    pub disk: String,
    /// Its folder as written, empty for the root.
    pub folder: String,
}

impl Source {
    /// The path in the package, with `/`.
    pub fn path(&self) -> String {
        match self.folder.trim_matches('\\') {
            "" => self.name.clone(),
            folder => format!("{}/{}", folder.replace('\\', "/"), self.name),
        }
    }
}

/// Every entry of `[SourceDisksFiles]` and of its forms for one platform.
pub fn sources(inf: &Inf) -> Vec<Source> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for section in &inf.sections {
        let name = section.name.to_ascii_lowercase();
        let (base, platform) = name.split_once('.').unwrap_or((&name, ""));
        if base != "sourcedisksfiles" || !seen.insert(name.clone()) {
            continue;
        }
        for entry in inf.entries(&section.name) {
            let Some(key) = &entry.key else { continue };
            found.push(Source {
                line: entry.line,
                platform: platform.to_owned(),
                name: inf.expand(key).to_ascii_lowercase(),
                disk: entry.value(0).to_owned(),
                folder: inf.expand(entry.value(1)),
            });
        }
    }
    found
}

/// The entry that Windows takes on a platform: its own first.
pub fn source<'a>(sources: &'a [Source], platform: &str, name: &str) -> Option<&'a Source> {
    let of = |wanted: &str| {
        sources
            .iter()
            .find(|s| s.platform == wanted && s.name.eq_ignore_ascii_case(name))
    };
    of(platform).or_else(|| of(""))
}

/// The directory id of a file list and the folder below it: line, and texts as written.
pub fn destination<'a>(inf: &'a Inf, list: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let own = inf
        .entries("DestinationDirs")
        .find(|entry| !list.is_empty() && entry.has_key(list));
    let entry = own.or_else(|| inf.entry("DestinationDirs", "DefaultDestDir"))?;
    Some((entry.line, entry.value(0), entry.value(1)))
}

/// How values of an INF name a file that was copied there.
pub fn target_path(dirid: &str, folder: &str, name: &str) -> String {
    match folder.trim_matches('\\') {
        "" => format!("%{dirid}%\\{name}"),
        folder => format!("%{dirid}%\\{folder}\\{name}"),
    }
}

/// A service that an install section adds.
#[derive(Debug)]
pub struct Service {
    /// The line of `AddService`.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// The flags as written.
    pub flags: String,
    /// The section that describes it.
    pub section: String,
}

/// The services of an install section.
pub fn services(inf: &Inf, install: &str) -> Vec<Service> {
    let section = format!("{install}.Services");
    inf.entries(&section)
        .filter(|entry| entry.has_key("AddService"))
        .map(|entry| Service {
            line: entry.line,
            name: inf.expand(entry.value(0)),
            flags: inf.expand(entry.value(1)),
            section: inf.expand(entry.value(2)),
        })
        .collect()
}

/// A decimal or hexadecimal number as INFs write them; empty is zero.
pub fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

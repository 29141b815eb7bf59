//! The little of an INF that decides what its catalog lists. Whether the INF is right is
//! the linter's to say.

use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// Systems that catalogs name, from the first one that has every function the drivers
/// import (Windows 10 2004): as catalogs signed by Microsoft spell them, and as Inf2Cat's
/// option `/os` does.
const SYSTEMS: [(&str, &str); 5] = [
    ("Vb", "VB"),
    ("21H2", "CO"),
    ("22H2", "NI"),
    ("24H2", "GE"),
    ("25H2", "25H2"),
];

/// What an INF says of its package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inf {
    /// The catalog's file name.
    pub catalog: Option<String>,
    /// Paths of the files it installs, relative to the INF, with `/`.
    pub files: BTreeSet<String>,
    /// Hardware ids in the models sections, in lower case and in order.
    pub hardware_ids: Vec<String>,
    /// Architectures in the models sections' names: `amd64`, `arm64`.
    pub platforms: BTreeSet<String>,
}

impl Inf {
    /// Reads UTF-8, or UTF-16 with its mark.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bad = |why: &str| Error::Malformed {
            what: "INF",
            why: why.to_owned(),
        };
        let text = if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE]) {
            let units: Vec<u16> = rest
                .chunks(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
                .collect();
            String::from_utf16(&units).map_err(|_| bad("it is not UTF-16"))?
        } else {
            let rest = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
            String::from_utf8(rest.to_vec()).map_err(|_| bad("it is not UTF-8"))?
        };
        let mut inf = Self::default();
        let mut models = BTreeSet::new();
        // Windows takes sections in any order: the models' names come first here.
        for (section, line) in lines(&text) {
            if section == "manufacturer"
                && let Some((_, value)) = line.split_once('=')
            {
                let mut parts = value.split(',').map(unquote);
                let name = parts.next().unwrap_or_default().to_lowercase();
                let mut decorated = false;
                for decoration in parts.filter(|part| !part.is_empty()) {
                    decorated = true;
                    let decoration = decoration.to_lowercase();
                    let platform = decoration.split('.').next().unwrap_or_default();
                    let platform = platform.strip_prefix("nt").unwrap_or(platform);
                    inf.platforms.insert(platform.to_owned());
                    models.insert(format!("{name}.{decoration}"));
                }
                if !decorated {
                    models.insert(name);
                }
            }
        }
        for (section, line) in lines(&text) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let key = unquote(key);
            let values: Vec<_> = value.split(',').map(unquote).collect();
            if section == "version" && key.eq_ignore_ascii_case("CatalogFile") {
                inf.catalog = Some(values[0].to_owned());
            } else if section == "sourcedisksfiles" || section.starts_with("sourcedisksfiles.") {
                let folder = values.get(1).copied().unwrap_or("").replace('\\', "/");
                let folder = folder.trim_matches('/');
                inf.files.insert(if folder.is_empty() {
                    key.to_owned()
                } else {
                    format!("{folder}/{key}")
                });
            } else if models.contains(&section) {
                for id in values.iter().skip(1).filter(|id| !id.is_empty()) {
                    let id = id.to_lowercase();
                    if !inf.hardware_ids.contains(&id) {
                        inf.hardware_ids.push(id);
                    }
                }
            }
        }
        Ok(inf)
    }

    /// The systems that its catalog is for, for example `_v100_X64_24H2`.
    pub fn systems(&self) -> Vec<String> {
        self.each_system(|platform, system, _| format!("_v100_{platform}_{system}"))
    }

    /// The same systems as Inf2Cat's option `/os` names them, for example `10_GE_X64`.
    pub fn inf2cat_systems(&self) -> Vec<String> {
        self.each_system(|platform, _, system| format!("10_{system}_{platform}"))
    }

    fn each_system(&self, name: impl Fn(&str, &str, &str) -> String) -> Vec<String> {
        let mut systems = Vec::new();
        for platform in &self.platforms {
            let platform = match platform.as_str() {
                "amd64" => "X64",
                "arm64" => "ARM64",
                _ => continue,
            };
            systems.extend(SYSTEMS.map(|(catalog, tool)| name(platform, catalog, tool)));
        }
        systems
    }
}

/// Every entry with its section's name in lower case; comments are gone.
fn lines(text: &str) -> impl Iterator<Item = (String, &str)> {
    let mut section = String::new();
    text.lines().filter_map(move |line| {
        let line = uncomment(line).trim();
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.trim().to_lowercase();
            return None;
        }
        (!line.is_empty()).then(|| (section.clone(), line))
    })
}

fn uncomment(line: &str) -> &str {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ';' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

fn unquote(text: &str) -> &str {
    text.trim().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"; a comment
[Version]
CatalogFile = "mux.cat" ; not this one
[Manufacturer]
%Provider% = Models,NTamd64.10.0...25341,NTarm64
[Models.NTamd64.10.0...25341]
%Mux% = Store, RustIM_Mux, RustIM_Other
[Models.NTarm64]
%Mux% = Store,RustIM_Mux
[SourceDisksFiles.amd64]
mux.sys = 1,x64
[SourceDisksFiles.arm64]
mux.sys = 1,arm64\
[SourceDisksFiles]
readme.txt = 1
"#;

    fn check(bytes: &[u8]) {
        let inf = Inf::parse(bytes).unwrap();
        assert_eq!(inf.catalog.as_deref(), Some("mux.cat"));
        let files: Vec<_> = inf.files.iter().map(String::as_str).collect();
        assert_eq!(files, ["arm64/mux.sys", "readme.txt", "x64/mux.sys"]);
        assert_eq!(inf.hardware_ids, ["rustim_mux", "rustim_other"]);
        let systems = inf.systems();
        assert_eq!(systems.len(), 10);
        assert!(systems.contains(&"_v100_ARM64_24H2".to_owned()));
        let same = inf.inf2cat_systems();
        assert_eq!(same.len(), 10);
        assert_eq!(
            (same[0].as_str(), same[3].as_str()),
            ("10_VB_X64", "10_GE_X64")
        );
        assert_eq!(same[9], "10_25H2_ARM64");
    }

    #[test]
    fn lists_files_ids_and_systems() {
        check(TEXT.as_bytes());
        let wide: Vec<u8> = std::iter::once(0xFEFF)
            .chain(TEXT.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        check(&wide);
    }
}

//! Rules of declarative INFs, under the numbers by which InfVerif reports them (`IV-…`).
//! What it would report and another rule here judges already has no rule of its own;
//! `docs/packaging.md` has the table.

use std::collections::{BTreeMap, BTreeSet};

use super::graph;
use crate::inf::lint::{Class, Findings, Package};

/// Directives that run code or touch what is not the package's.
const LEGACY_DIRECTIVES: [&str; 7] = [
    "LogConfig",
    "ProfileItems",
    "UpdateInis",
    "UpdateIniFields",
    "Ini2Reg",
    "RegisterDlls",
    "UnregisterDlls",
];

/// Suffixes of sections of that kind.
const LEGACY_SECTIONS: [&str; 3] = [".coinstallers", ".factdef", ".logconfigoverride"];

/// Directives that take something away.
const TAKES_AWAY: [&str; 3] = ["DelReg", "DelFiles", "RenFiles"];

/// Directives that name sections of entries.
const LISTS: [&str; 6] = [
    "AddReg",
    "DelReg",
    "BitReg",
    "CopyFiles",
    "DelFiles",
    "RenFiles",
];

/// IV-1300: nothing that runs code at installation or is for hardware of the past.
/// IV-1212: an INF for devices has no `[DefaultInstall]`. IV-1285: Microsoft's classes
/// bring their own `[ClassInstall32]`.
pub fn legacy(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        for section in &file.inf.sections {
            let name = section.name.to_ascii_lowercase();
            let base = name.split('.').next().unwrap_or_default();
            let mut wrong = |rule: &'static str, line: usize, message: String| {
                out.error(rule, &file.name, line, message);
            };
            match base {
                "defaultinstall" | "defaultuninstall" => wrong(
                    "IV-1212",
                    section.line,
                    format!("[{}] beside [Manufacturer]", section.name),
                ),
                "classinstall32" => wrong(
                    "IV-1285",
                    section.line,
                    format!("[{}] in a class of Microsoft's", section.name),
                ),
                _ => {}
            }
            if LEGACY_SECTIONS.iter().any(|suffix| name.ends_with(suffix)) {
                let message = format!("[{}] is not declarative", section.name);
                wrong("IV-1300", section.line, message);
            }
            for entry in &section.entries {
                if let Some(key) = &entry.key
                    && LEGACY_DIRECTIVES
                        .iter()
                        .any(|d| d.eq_ignore_ascii_case(key))
                {
                    wrong("IV-1300", entry.line, format!("{key} is not declarative"));
                }
            }
        }
    }
}

/// IV-1204: the provider is who made the package.
pub fn provider(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        if let Some(entry) = file.inf.entry("Version", "Provider") {
            let provider = file.inf.expand(entry.value(0));
            if provider.to_ascii_lowercase().starts_with("microsoft") {
                let message = format!("Provider is {provider:?}: Microsoft's own drivers only");
                out.error("IV-1204", &file.name, entry.line, message);
            }
        }
    }
}

/// IV-1205: one section is named by one kind of directive.
pub fn shared(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let mut named: BTreeMap<String, (&str, BTreeSet<&str>)> = BTreeMap::new();
        for section in &file.inf.sections {
            for directive in LISTS {
                for (line, name) in graph::listed(&file.inf, &section.name, directive) {
                    let entry = named
                        .entry(name.to_ascii_lowercase())
                        .or_insert((directive, BTreeSet::new()));
                    if entry.0 != directive && entry.1.insert(directive) {
                        let message =
                            format!("[{name}] is named by {} and by {directive}", entry.0);
                        out.error("IV-1205", &file.name, line, message);
                    }
                }
            }
        }
    }
}

/// IV-1302: nothing is taken away, except that a protocol, which network configuration
/// and not PnP removes, deletes its own service in its Remove section (INF-L17).
pub fn outside(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        for section in &file.inf.sections {
            let removal = file.class() == Class::NetTrans
                && section
                    .name
                    .to_ascii_lowercase()
                    .ends_with(".remove.services");
            // What the Remove section of an adapter does is INF-L17's.
            let judged = section
                .name
                .to_ascii_lowercase()
                .ends_with(".remove.services");
            for entry in &section.entries {
                let Some(key) = &entry.key else { continue };
                let takes = TAKES_AWAY.iter().any(|d| d.eq_ignore_ascii_case(key));
                let deletes = key.eq_ignore_ascii_case("DelService") && !removal && !judged;
                if takes || deletes {
                    let message = format!("{key} in [{}] takes something away", section.name);
                    out.error("IV-1302", &file.name, entry.line, message);
                }
            }
        }
    }
}

/// IV-1303: no co-installer. IV-1305: nothing is appended to a list or taken from one.
pub fn values(package: &Package, out: &mut Findings) {
    /// `FLG_ADDREG_APPEND`.
    const APPEND: i64 = 0x8;
    /// `FLG_ADDREG_DELVAL`.
    const DELETE: i64 = 0x4;
    for file in &package.infs {
        for (section, _) in graph::registry_sections(&file.inf) {
            for value in graph::registry(&file.inf, &section) {
                if value.name.eq_ignore_ascii_case("CoInstallers32") {
                    let message = "co-installers run code at installation".to_owned();
                    out.error("IV-1303", &file.name, value.line, message);
                }
                if graph::number(&value.flags).is_some_and(|flags| flags & (APPEND | DELETE) != 0) {
                    let message = format!("{:?} appends or deletes", value.flags);
                    out.error("IV-1305", &file.name, value.line, message);
                }
            }
        }
    }
}

/// IV-1313: `Needs` stands beside the `Include` that it takes from.
pub fn needs(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        for section in &file.inf.sections {
            let find = |key: &str| section.entries.iter().find(|entry| entry.has_key(key));
            if let Some(needs) = find("Needs")
                && find("Include").is_none()
            {
                let message = format!("[{}] needs a section and includes no INF", section.name);
                out.error("IV-1313", &file.name, needs.line, message);
            }
        }
    }
}

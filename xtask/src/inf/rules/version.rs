//! Rules about identity: class, provider, catalog, version, architecture.

use std::collections::BTreeSet;

use clap::ValueEnum as _;

use super::graph;
use crate::chain::Arch;
use crate::inf::{
    date::DriverDate,
    lint::{Class, Findings, InfFile, Package},
    stamp::DriverVersion,
};

const CLASSES: [(&str, &str); 2] = [
    ("NetTrans", "{4D36E975-E325-11CE-BFC1-08002BE10318}"),
    ("Net", "{4D36E972-E325-11CE-BFC1-08002BE10318}"),
];

/// A `[Version]` value, with its line; the section's line when it is missing.
fn version<'a>(file: &'a InfFile, key: &'a str) -> (usize, &'a str) {
    match file.inf.entry("Version", key) {
        Some(entry) => (entry.line, entry.value(0)),
        None => (file.inf.line_of("Version"), ""),
    }
}

/// INF-1: one protocol and one adapter, each with the GUID of its class.
pub fn class(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let (line, class) = version(file, "Class");
        let Some((_, guid)) = CLASSES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(class))
        else {
            let message = format!("class {class:?} is neither NetTrans nor Net");
            out.error("INF-1", &file.name, line, message);
            continue;
        };
        let (line, found) = version(file, "ClassGuid");
        if !guid.eq_ignore_ascii_case(found) {
            let message = format!("class {class} has the GUID {guid}, not {found:?}");
            out.error("INF-1", &file.name, line, message);
        }
    }
    for (class, what) in [
        (Class::NetTrans, "protocol (class NetTrans)"),
        (Class::Net, "virtual miniport (class Net)"),
    ] {
        // A class that cannot be told was reported above.
        let unknown = package.of_class(Class::Other).count();
        let count = package.of_class(class).count();
        if count > 1 || (count == 0 && unknown == 0) {
            out.error(
                "INF-1",
                "",
                0,
                format!("the package has {count} INFs for a {what}, not one"),
            );
        }
    }
}

/// INF-10: signature, lock-down, catalog, and ids of the form provider_name.
pub fn identity(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let (line, signature) = version(file, "Signature");
        if !signature.eq_ignore_ascii_case("$Windows NT$") {
            let message = format!("Signature is {signature:?}, not \"$Windows NT$\"");
            out.error("INF-10", &file.name, line, message);
        }
        let (line, locked) = version(file, "PnpLockdown");
        if graph::number(locked) != Some(1) {
            out.error(
                "INF-10",
                &file.name,
                line,
                format!("PnpLockdown is {locked:?}, not 1"),
            );
        }
        // Each driver package has a catalog of its own, which signing makes later.
        let (line, catalog) = version(file, "CatalogFile");
        let stem = file
            .name
            .rsplit_once('.')
            .map_or(file.name.as_str(), |(stem, _)| stem);
        if !catalog.eq_ignore_ascii_case(&format!("{stem}.cat")) {
            let message = format!("CatalogFile is {catalog:?}, not {stem}.cat");
            out.error("INF-10", &file.name, line, message);
        }
        let (line, provider) = version(file, "Provider");
        let provider = file.inf.expand(provider);
        if provider.is_empty() {
            out.error(
                "INF-10",
                &file.name,
                line,
                "there is no Provider".to_owned(),
            );
            continue;
        }
        let prefix: String = provider
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        for device in graph::models(&file.inf)
            .iter()
            .flat_map(|models| &models.devices)
        {
            let id = &device.hardware_id;
            let name = id
                .split_once('_')
                .filter(|(first, _)| first.eq_ignore_ascii_case(&prefix));
            if name.is_none_or(|(_, name)| name.is_empty()) {
                let message = format!("component id {id:?} is not {prefix}_name");
                out.error("INF-10", &file.name, device.line, message);
            }
        }
    }
}

/// INF-L10: `DriverVer` is a date and a version, the same in all INFs.
pub fn driver_version(package: &Package, out: &mut Findings) {
    let mut first: Option<(DriverDate, DriverVersion)> = None;
    for file in &package.infs {
        let Some(entry) = file.inf.entry("Version", "DriverVer") else {
            let line = file.inf.line_of("Version");
            out.error(
                "INF-L10",
                &file.name,
                line,
                "there is no DriverVer".to_owned(),
            );
            continue;
        };
        let four = entry.value(1).split('.').count() == 4;
        let parsed = (
            entry.value(0).parse::<DriverDate>(),
            entry.value(1).parse::<DriverVersion>(),
        );
        let (Ok(date), Ok(version), true) = (parsed.0, parsed.1, four) else {
            let message = format!(
                "DriverVer {:?} is not mm/dd/yyyy,w.x.y.z",
                entry.values.join(",")
            );
            out.error("INF-L10", &file.name, entry.line, message);
            continue;
        };
        match first {
            None => first = Some((date, version)),
            Some(other) if other == (date, version) => {}
            Some((date, version)) => {
                let message = format!("the other INF says {date},{version}");
                out.error("INF-L10", &file.name, entry.line, message);
            }
        }
    }
}

/// INF-L13: every models section is for the machine that its binaries are for, and both
/// INFs are for the same machines.
pub fn architecture(package: &Package, out: &mut Findings) {
    let mut first: Option<BTreeSet<String>> = None;
    for file in &package.infs {
        let sources = graph::sources(&file.inf);
        let mut found = BTreeSet::new();
        for models in graph::models(&file.inf) {
            let architecture = models.architecture.as_str();
            if !Arch::value_variants()
                .iter()
                .any(|known| known.decoration().eq_ignore_ascii_case(architecture))
            {
                let message = format!("[{}] names no architecture that is built", models.section);
                out.error("INF-L13", &file.name, models.line, message);
                continue;
            }
            found.insert(models.platform());
            let copies = models
                .devices
                .iter()
                .flat_map(|device| graph::files(&file.inf, &device.install));
            for copy in copies {
                let source = graph::source(&sources, &models.platform(), copy.source_name());
                let Some(path) = source.map(graph::Source::path) else {
                    continue;
                };
                let machine = package.get(&path).and_then(decoration_of_image);
                if machine.is_some_and(|machine| !machine.eq_ignore_ascii_case(architecture)) {
                    let message = format!(
                        "[{}] installs {path}, which is for another machine",
                        models.section
                    );
                    out.error("INF-L13", &file.name, models.line, message);
                }
            }
        }
        let first = first.get_or_insert_with(|| found.clone());
        if *first != found {
            let line = file.inf.line_of("Manufacturer");
            let message = "the other INF is for other machines".to_owned();
            out.error("INF-L13", &file.name, line, message);
        }
    }
}

/// The models decoration for a PE image, when it is one that we know.
fn decoration_of_image(image: &[u8]) -> Option<&'static str> {
    let offset = u32::from_le_bytes(*image.get(0x3C..)?.first_chunk()?) as usize;
    let header = image.get(offset..)?;
    if image.first_chunk() != Some(b"MZ") || header.first_chunk() != Some(b"PE\0\0") {
        return None;
    }
    match u16::from_le_bytes(*header.get(4..)?.first_chunk()?) {
        0x8664 => Some("NTamd64"),
        0xAA64 => Some("NTarm64"),
        _ => None,
    }
}

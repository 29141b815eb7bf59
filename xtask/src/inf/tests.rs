//! The linter against one good package and one bad package for each rule, and
//! the rendered INFs against their approved text.

mod bad;
mod good;
// On Windows that would take a kit and a kernel build.
#[cfg(not(windows))]
mod settings;

use std::collections::BTreeMap;

use super::{
    data::DriverData,
    lint::{Finding, Package, Severity, lint_files},
    stamp::{InfRole, StampContext, StampedInf, render},
};
use crate::chain::Arch;

const PROTOCOL: &str = include_str!("../../../inf/protocol.inf.j2");
const MINIPORT: &str = include_str!("../../../inf/miniport.inf.j2");
const PASSTHROUGH: &str = include_str!("../../../inf/passthrough.toml");
const MUX: &str = include_str!("../../../inf/mux.toml");
const LBFO: &str = include_str!("../../../inf/lbfo.toml");

/// Everything that a data file can say, for the templates' other branches.
const FULL: &str = include_str!("testdata/full.toml");

fn context(archs: &[Arch]) -> StampContext {
    StampContext {
        version: "0.1.0".parse().unwrap(),
        date: "11/22/2026".parse().unwrap(),
        archs: archs.to_vec(),
        notify: true,
    }
}

fn rendered(driver: &str, data: &str, archs: &[Arch]) -> Vec<StampedInf> {
    let data = DriverData::parse(data).unwrap();
    render(driver, &data, PROTOCOL, MINIPORT, &context(archs)).unwrap()
}

fn text(infs: &[StampedInf], role: InfRole) -> String {
    let inf = infs.iter().find(|inf| inf.role == role).unwrap();
    String::from_utf8(inf.contents.clone()).unwrap()
}

/// As much of an image as the linter reads.
fn image(machine: u16, data: &DriverData) -> Vec<u8> {
    let mut image = vec![0; 0x100];
    image.extend(b"NdisRegisterProtocolDriver\0\0");
    image.extend(
        data.protocol
            .service
            .encode_utf16()
            .flat_map(u16::to_le_bytes),
    );
    image[..2].copy_from_slice(b"MZ");
    image[0x3C] = 0x80;
    image[0x80..0x84].copy_from_slice(b"PE\0\0");
    image[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
    image
}

fn machine(arch: Arch) -> u16 {
    match arch {
        Arch::X64 => 0x8664,
        Arch::Arm64 => 0xAA64,
    }
}

fn files(driver: &str, data: &str, archs: &[Arch]) -> BTreeMap<String, Vec<u8>> {
    let parsed = DriverData::parse(data).unwrap();
    let mut files: BTreeMap<String, Vec<u8>> = rendered(driver, data, archs)
        .into_iter()
        .map(|inf| (inf.file_name, inf.contents))
        .collect();
    for arch in archs {
        let folder = arch.name();
        let image = image(machine(*arch), &parsed);
        files.insert(format!("{folder}/{driver}.sys"), image.clone());
        files.insert(format!("symbols/{folder}/{driver}.pdb"), Vec::new());
        if let Some(notify) = &parsed.notify_object {
            files.insert(format!("{folder}/{}", notify.file), image[..0x100].to_vec());
        }
    }
    files.insert("manifest.json".to_owned(), Vec::new());
    files
}

fn errors(files: BTreeMap<String, Vec<u8>>) -> Vec<Finding> {
    let findings = lint_files(&Package::of(files));
    findings
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect()
}

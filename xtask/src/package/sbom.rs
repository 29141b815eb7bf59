//! The bill of materials, CycloneDX 1.5: the driver, every crate that is linked into its
//! binaries, and the compiler's libraries. It has neither a serial number nor a time, so
//! that two packages of one commit are the same bytes.

use anyhow::{Context as _, Result, bail};
use cyclonedx_bom::external_models::normalized_string::NormalizedString;
use cyclonedx_bom::external_models::uri::Purl;
use cyclonedx_bom::models::bom::{Bom, SpecVersion};
use cyclonedx_bom::models::component::{Classification, Component, Components, Scope};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::validation::Validate as _;

use super::manifest::Architecture;
use super::parts::Part;

/// Name of the file in a package.
pub const FILE: &str = "sbom.cdx.json";

/// The document for a driver whose crate is the first of `parts`.
pub fn document(parts: &[Part], release: &str, architectures: &[Architecture]) -> Result<Vec<u8>> {
    let (driver, others) = parts.split_first().context("no parts")?;
    let mut subject = component(driver, Classification::DeviceDriver)?;
    subject.scope = None;
    let mut components = Vec::new();
    for part in others {
        components.push(component(part, Classification::Library)?);
    }
    let core = reference("core", release);
    components.push(compiler_library(release, &core, architectures)?);

    let links = parts.iter().map(|part| Dependency {
        dependency_ref: reference(&part.name, &part.version),
        dependencies: part
            .links
            .iter()
            .map(|(name, version)| reference(name, version))
            .chain([core.clone()])
            .collect(),
    });
    let last = Dependency {
        dependency_ref: core.clone(),
        dependencies: Vec::new(),
    };
    let bom = Bom {
        version: 1,
        serial_number: None,
        metadata: Some(Metadata {
            component: Some(subject),
            ..Metadata::default()
        }),
        components: Some(Components(components)),
        dependencies: Some(Dependencies(links.chain([last]).collect())),
        spec_version: SpecVersion::V1_5,
        ..Bom::default()
    };
    let verdict = bom.validate_version(SpecVersion::V1_5);
    if !verdict.passed() {
        bail!("the bill of materials is not CycloneDX 1.5: {verdict:?}");
    }
    let mut json = Vec::new();
    bom.output_as_json_v1_5(&mut json)?;
    json.push(b'\n');
    Ok(json)
}

fn component(part: &Part, kind: Classification) -> Result<Component> {
    let id = reference(&part.name, &part.version);
    let mut component = Component::new(kind, &part.name, &part.version, Some(id));
    component.description = part.description.as_deref().map(NormalizedString::new);
    component.scope = Some(Scope::Required);
    component.licenses = part
        .license
        .as_deref()
        .map(|text| Licenses(vec![LicenseChoice::expression(text)]));
    component.hashes = part.checksum.as_deref().map(|checksum| {
        Hashes(vec![Hash {
            alg: HashAlgorithm::SHA_256,
            content: HashValue(checksum.to_owned()),
        }])
    });
    if !part.is_own() {
        component.purl = Some(Purl::new("cargo", &part.name, &part.version)?);
    }
    Ok(component)
}

/// `core` and `alloc`: one component, whichever way they were come by.
fn compiler_library(release: &str, id: &str, architectures: &[Architecture]) -> Result<Component> {
    let mut core = Component::new(
        Classification::Library,
        "core",
        release,
        Some(id.to_owned()),
    );
    core.description = Some(NormalizedString::new("Rust's core and alloc libraries"));
    core.scope = Some(Scope::Required);
    core.licenses = Some(Licenses(vec![LicenseChoice::expression(
        "MIT OR Apache-2.0",
    )]));
    core.purl = Some(Purl::new("generic", "rust", release)?);
    let origins = architectures
        .iter()
        .map(|a| Property::new(format!("core:{}", a.arch), &a.core));
    core.properties = Some(Properties(origins.collect()));
    Ok(core)
}

fn reference(name: &str, version: &str) -> String {
    format!("{name}@{version}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn part(name: &str, links: &[&str], checksum: Option<&str>) -> Part {
        Part {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: Some("MIT OR Apache-2.0".to_owned()),
            description: None,
            checksum: checksum.map(str::to_owned),
            folder: "/nowhere".into(),
            links: links
                .iter()
                .map(|name| ((*name).to_owned(), "1.0.0".to_owned()))
                .collect::<BTreeSet<_>>(),
        }
    }

    #[test]
    fn the_document_is_read_back() {
        let sum = "00".repeat(32);
        let parts = [part("mux", &["dep"], None), part("dep", &[], Some(&sum))];
        let architecture = Architecture {
            arch: "x64".to_owned(),
            target: "t".to_owned(),
            core: "somewhere".to_owned(),
        };
        let json = document(&parts, "1.95.0", std::slice::from_ref(&architecture)).unwrap();
        assert_eq!(json, document(&parts, "1.95.0", &[architecture]).unwrap());
        let bom = Bom::parse_from_json_v1_5(json.as_slice()).unwrap();
        let components = bom.components.unwrap().0;
        let names: Vec<_> = components.iter().map(|c| c.name.to_string()).collect();
        assert_eq!(names, ["dep", "core"]);
        assert_eq!(components[0].hashes.as_ref().unwrap().0[0].content.0, sum);
        let text = String::from_utf8(json).unwrap();
        assert!(text.contains("\"device-driver\"") && text.contains("pkg:cargo/dep@1.0.0"));
        assert!(
            !text.contains("timestamp") && !text.contains("serialNumber"),
            "{text}"
        );
    }
}

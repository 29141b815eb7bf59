//! Rules about configuration values under `Ndi\params`.

use std::collections::BTreeMap;

use super::graph::{self, RegistryValue};
use crate::inf::lint::{Class, Findings, InfFile, Package};

/// Names that Windows keeps for itself.
const RESERVED: [&str; 21] = [
    "BundleId",
    "BusType",
    "Characteristics",
    "ComponentId",
    "Description",
    "DeviceInstanceId",
    "DriverDate",
    "DriverDesc",
    "DriverVersion",
    "InfPath",
    "InfSection",
    "InfSectionExt",
    "InstallTimeStamp",
    "Manufacturer",
    "NetCfgInstanceId",
    "NetLuidIndex",
    "Provider",
    "ProviderName",
    "*IfType",
    "*MediaType",
    "*PhysicalMediaType",
];

/// INF-L12: every parameter is complete, and its default is one of its values.
pub fn parameters(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        for (_, install) in graph::installs(&file.inf) {
            let values = graph::registry(&file.inf, &install);
            let mut parameters: BTreeMap<String, Vec<&RegistryValue>> = BTreeMap::new();
            for value in &values {
                let mut parts = value.key.split('\\');
                let first = (
                    parts.next().unwrap_or_default(),
                    parts.next().unwrap_or_default(),
                );
                if first.0.eq_ignore_ascii_case("Ndi") && first.1.eq_ignore_ascii_case("params") {
                    let name = parts.next().unwrap_or_default().to_owned();
                    parameters.entry(name).or_default().push(value);
                }
            }
            for (name, values) in &parameters {
                if let Some((line, problem)) = problem(name, values) {
                    let message = format!("parameter {name:?}: {problem}");
                    out.error("INF-L12", &file.name, line, message);
                }
            }
            if !parameters.is_empty() {
                page(file, &install, out);
            }
        }
    }
}

/// Parameters are shown on a page, which needs a flag, and only adapters have it.
fn page(file: &InfFile, install: &str, out: &mut Findings) {
    let entry = file.inf.entry(install, "Characteristics");
    let flags = entry
        .and_then(|entry| graph::number(entry.value(0)))
        .unwrap_or(0);
    if flags & 0x80 == 0 || file.class() != Class::Net {
        let line = entry.map_or(file.inf.line_of(install), |entry| entry.line);
        let message = "parameters need an adapter with NCF_HAS_UI (0x80)".to_owned();
        out.error("INF-L12", &file.name, line, message);
    }
}

/// What is wrong with one parameter.
fn problem(name: &str, values: &[&RegistryValue]) -> Option<(usize, String)> {
    let line = values.first().map_or(0, |value| value.line);
    if RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(name))
        || name.is_empty()
    {
        return Some((line, "Windows keeps this name for itself".to_owned()));
    }
    let own = format!("Ndi\\params\\{name}");
    let find = |wanted: &str| values.iter().copied().find(|value| value.is(&own, wanted));
    for wanted in ["ParamDesc", "Type", "Default"] {
        if find(wanted).is_none_or(|value| value.text().is_empty()) {
            return Some((line, format!("there is no {wanted}")));
        }
    }
    let (kind, default) = (find("Type")?, find("Default")?);
    match kind.text().to_ascii_lowercase().as_str() {
        "int" | "long" | "word" | "dword" => {
            let number =
                |wanted: &str| find(wanted).and_then(|value| value.text().parse::<i64>().ok());
            let (Some(min), Some(max), Some(step)) = (number("Min"), number("Max"), number("Step"))
            else {
                return Some((line, "Min, Max and Step must be numbers".to_owned()));
            };
            let Ok(value) = default.text().parse::<i64>() else {
                return Some((
                    default.line,
                    format!("Default {:?} is not a number", default.text()),
                ));
            };
            let reachable = step > 0 && (min..=max).contains(&value) && (value - min) % step == 0;
            (!reachable).then(|| {
                let message = format!("Default {value} is not in {min}, {min}+{step} … {max}");
                (default.line, message)
            })
        }
        "enum" => {
            let choices = format!("{own}\\enum");
            let known = values
                .iter()
                .any(|value| value.is(&choices, default.text()));
            (!known).then(|| {
                (
                    default.line,
                    format!("Default {:?} is no choice", default.text()),
                )
            })
        }
        "edit" => None,
        other => Some((kind.line, format!("{other:?} is not a type"))),
    }
}

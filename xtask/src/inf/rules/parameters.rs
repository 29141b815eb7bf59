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

/// What Windows reads of a parameter.
const MEMBERS: [&str; 9] = [
    "ParamDesc",
    "Type",
    "Default",
    "Optional",
    "Min",
    "Max",
    "Step",
    "LimitText",
    "UpperCase",
];

/// Its types, with the numbers that fit.
const TYPES: [(&str, i64, i64); 6] = [
    ("int", -0x8000_0000, 0x7fff_ffff),
    ("long", -0x8000_0000, 0x7fff_ffff),
    ("word", 0, 0xffff),
    ("dword", 0, 0xffff_ffff),
    ("edit", 0, 0),
    ("enum", 0, 0),
];

/// Those that are numbers.
const NUMERIC: &[&str] = &["int", "long", "word", "dword"];

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
            for value in &values {
                if value.key.is_empty() && value.name.eq_ignore_ascii_case("BundleId") {
                    let message = "BundleId has no effect any more (LBF-9)".to_owned();
                    out.error("LBF-9", &file.name, value.line, message);
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
    let choices = format!("{own}\\enum");
    let find = |wanted: &str| values.iter().copied().find(|value| value.is(&own, wanted));
    for value in values {
        if !value.key.eq_ignore_ascii_case(&choices)
            && (!value.key.eq_ignore_ascii_case(&own)
                || !MEMBERS.iter().any(|m| m.eq_ignore_ascii_case(&value.name)))
        {
            let message = format!("{}\\{} says nothing to Windows", value.key, value.name);
            return Some((value.line, message));
        }
    }
    for wanted in ["ParamDesc", "Type"] {
        if find(wanted).is_none_or(|value| value.text().is_empty()) {
            return Some((line, format!("there is no {wanted}")));
        }
    }
    let optional = find("Optional");
    let is_optional = match optional.map_or("0", |value| value.text()) {
        "0" => false,
        "1" => true,
        other => return Some((optional?.line, format!("Optional {other:?} is not 0 or 1"))),
    };
    let default = find("Default");
    if default.is_none() && !is_optional {
        return Some((
            line,
            "there is no Default, and it is not optional".to_owned(),
        ));
    }
    let kind = find("Type")?;
    let kind_name = kind.text().to_ascii_lowercase();
    let known = (TYPES.iter()).find(|(known, ..)| *known == kind_name);
    let Some((_, least, most)) = known else {
        return Some((kind.line, format!("{:?} is not a type", kind.text())));
    };
    for (member, types) in [
        (["Min", "Max", "Step"].as_slice(), NUMERIC),
        (&["LimitText", "UpperCase"], &["edit"]),
    ] {
        for value in member.iter().filter_map(|member| find(member)) {
            if !types.contains(&kind_name.as_str()) {
                let message = format!("{} is not for the type {kind_name}", value.name);
                return Some((value.line, message));
            }
        }
    }
    match kind_name.as_str() {
        "edit" => text(find("LimitText"), find("UpperCase"), default),
        "enum" => {
            let of_enum = || {
                values
                    .iter()
                    .filter(|value| value.key.eq_ignore_ascii_case(&choices))
            };
            if let Some(value) = of_enum().find(|value| value.name.parse::<u32>().is_err()) {
                return Some((
                    value.line,
                    format!("choice {:?} is not a number", value.name),
                ));
            }
            let default = default?;
            let known = of_enum().any(|value| value.name == default.text());
            (!known).then(|| {
                (
                    default.line,
                    format!("Default {:?} is no choice", default.text()),
                )
            })
        }
        _ => {
            let number =
                |wanted: &str| find(wanted).and_then(|value| value.text().parse::<i64>().ok());
            let (Some(min), Some(max), Some(step)) = (number("Min"), number("Max"), number("Step"))
            else {
                return Some((line, "Min, Max and Step must be numbers".to_owned()));
            };
            if min > max || min < *least || max > *most || step <= 0 {
                let message = format!("{min}, {min}+{step} … {max} is no range of {kind_name}");
                return Some((find("Min")?.line, message));
            }
            let default = default?;
            let Ok(value) = default.text().parse::<i64>() else {
                return Some((
                    default.line,
                    format!("Default {:?} is not a number", default.text()),
                ));
            };
            let reachable = (min..=max).contains(&value) && (value - min) % step == 0;
            (!reachable).then(|| {
                let message = format!("Default {value} is not in {min}, {min}+{step} … {max}");
                (default.line, message)
            })
        }
    }
}

/// What is wrong with the bounds of a text.
fn text(
    limit: Option<&RegistryValue>,
    upper_case: Option<&RegistryValue>,
    default: Option<&RegistryValue>,
) -> Option<(usize, String)> {
    if let Some(value) = upper_case
        && !["0", "1"].contains(&value.text())
    {
        return Some((value.line, "UpperCase is not 0 or 1".to_owned()));
    }
    let limit = limit?;
    let Ok(most) = limit.text().parse::<usize>() else {
        return Some((limit.line, "LimitText is not a number".to_owned()));
    };
    let default = default?;
    (default.text().len() > most).then(|| {
        (
            default.line,
            format!(
                "Default {:?} is longer than {most} characters",
                default.text()
            ),
        )
    })
}

/// INF-L18: a keyword that Windows standardizes has the form that Windows gives it.
pub fn standardized(package: &Package, out: &mut Findings) {
    for file in package.of_class(Class::Net) {
        for (_, install) in graph::installs(&file.inf) {
            let values = graph::registry(&file.inf, &install);
            let of = |keyword: &str, member: &str| {
                let key = format!("Ndi\\params\\{keyword}");
                values.iter().find(|value| value.is(&key, member))
            };
            let mut wrong = |value: &RegistryValue, message: String| {
                out.error("INF-L18", &file.name, value.line, message);
            };
            if let Some(kind) = of("NetworkAddress", "Type") {
                // Absent, so that the adapter's own address is used, unless someone sets it.
                let optional = of("NetworkAddress", "Optional").map(RegistryValue::text);
                if !kind.text().eq_ignore_ascii_case("edit") || optional != Some("1") {
                    wrong(kind, "NetworkAddress is an optional text".to_owned());
                }
                // Twelve digits, with or without hyphens.
                let limit = of("NetworkAddress", "LimitText");
                if let Some(limit) = limit.filter(|limit| !["12", "17"].contains(&limit.text())) {
                    wrong(limit, "NetworkAddress has 12 or 17 characters".to_owned());
                }
            }
            let bound = |member| of("VlanID", member);
            if let (Some(min), Some(max)) = (bound("Min"), bound("Max")) {
                let inside = |value: &RegistryValue| {
                    let number = value.text().parse::<u16>();
                    number.is_ok_and(|number| number <= 4094)
                };
                // 4095 is reserved, and 0 means none.
                if let Some(value) = [min, max].into_iter().find(|value| !inside(value)) {
                    wrong(
                        value,
                        "a VLAN has a number from 1 to 4094, or 0 for none".to_owned(),
                    );
                }
            } else if let Some(kind) = bound("Type") {
                wrong(kind, "VlanID is a number with Min and Max".to_owned());
            }
        }
    }
}

//! The facts: what the Windows headers say about the names in `ndis-sys`.
//!
//! `tests/abi/ndis-x64.json` is a copy, cut down to the names that `ndis-sys`
//! declares, of a table that clang made of the Windows 11 headers (10.0.22621,
//! NDIS 6.87). Nothing in it was written by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A member of a structure, by its full path.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Field {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u64>,
    pub offset: u64,
    pub size: u64,
    #[serde(rename = "type")]
    pub ty: String,
}

/// A structure or union.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Struct {
    pub align: u64,
    pub fields: BTreeMap<String, Field>,
    pub kind: String,
    pub size: u64,
}

/// A typedef of a number or a pointer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Scalar {
    pub align: u64,
    pub kind: String,
    pub size: u64,
}

/// A function or a callback type.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Function {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dll: Option<String>,
    pub params: Vec<String>,
    pub ret: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub variadic: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub inline: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_false(value: &bool) -> bool {
    !*value
}

/// What differs on arm64 from x64.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Arm64 {
    pub constants: BTreeMap<String, Value>,
    pub functions_absent: BTreeSet<String>,
    pub structs: BTreeMap<String, Struct>,
}

/// Everything that is compared.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Facts {
    pub ndis_version: String,
    pub source: String,
    pub constants: BTreeMap<String, Value>,
    pub enums: BTreeMap<String, BTreeMap<String, i64>>,
    pub function_types: BTreeMap<String, Function>,
    pub functions: BTreeMap<String, Function>,
    pub opaque: BTreeSet<String>,
    pub scalars: BTreeMap<String, Scalar>,
    pub structs: BTreeMap<String, Struct>,
    /// Values that depend on the NDIS version a driver is built for: from
    /// which version on which value holds.
    pub constant_values: BTreeMap<String, BTreeMap<String, i64>>,
    /// Likewise the sizes of structures.
    pub sizes: BTreeMap<String, BTreeMap<String, u64>>,
    /// Functions that NDIS has from a version on, by that version.
    pub functions_since: BTreeMap<String, BTreeSet<String>>,
    /// What differs on arm64.
    pub arm64: Arm64,
    /// Sizes of the types that parameters and results have.
    pub type_sizes: BTreeMap<String, u64>,
}

/// Where the copy is kept.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/ndis-x64.json")
}

impl Facts {
    /// Reads the copy in this repository.
    pub fn load() -> Self {
        let path = path();
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The part of a full table that concerns the names in `wanted`.
    pub fn cut(full: &Value, wanted: &BTreeSet<String>) -> serde_json::Result<Self> {
        let section = |value: &Value| -> Value {
            match value {
                Value::Object(map) => map
                    .iter()
                    .filter(|(name, _)| wanted.contains(*name))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                Value::Array(names) => names
                    .iter()
                    .filter(|name| name.as_str().is_some_and(|name| wanted.contains(name)))
                    .cloned()
                    .collect(),
                other => other.clone(),
            }
        };
        let mut out = Map::new();
        for name in ["ndis_version", "source"] {
            out.insert(name.into(), full[name].clone());
        }
        for name in [
            "constants",
            "enums",
            "function_types",
            "functions",
            "opaque",
            "scalars",
            "structs",
        ] {
            out.insert(name.into(), section(&full[name]));
        }
        for name in ["constant_values", "sizes"] {
            out.insert(name.into(), section(&full["versions"][name]));
        }
        let arm64: Map<String, Value> = ["constants", "functions_absent", "structs"]
            .iter()
            .map(|name| ((*name).to_owned(), section(&full["arm64"][*name])))
            .collect();
        out.insert("arm64".into(), arm64.into());
        let since = full["versions"]["functions"]
            .as_object()
            .into_iter()
            .flatten();
        let since = since.map(|(version, names)| (version.clone(), section(names)));
        let since = since.filter(|(_, names)| names.as_array().is_some_and(|n| !n.is_empty()));
        out.insert("functions_since".into(), since.collect());
        let types: Map<String, Value> = ["functions", "function_types"]
            .iter()
            .filter_map(|section| out[*section].as_object())
            .flat_map(Map::values)
            .flat_map(|function| {
                let params = function["params"].as_array().into_iter().flatten();
                params.chain([&function["ret"]]).filter_map(Value::as_str)
            })
            .filter_map(|ty| Some((ty.to_owned(), size_of(full, ty)?.into())))
            .collect();
        out.insert("type_sizes".into(), types.into());
        serde_json::from_value(Value::Object(out))
    }

    /// Writes one entry a line, so that a change of the copy can be read.
    pub fn to_text(&self) -> String {
        let Ok(Value::Object(sections)) = serde_json::to_value(self) else {
            unreachable!("Facts is a map");
        };
        let mut lines = vec!["{".to_owned()];
        for (index, (name, section)) in sections.iter().enumerate() {
            let comma = if index + 1 == sections.len() { "" } else { "," };
            match section {
                Value::Object(map) if !map.is_empty() => {
                    lines.push(format!("\"{name}\": {{"));
                    for (index, (name, value)) in map.iter().enumerate() {
                        let comma = if index + 1 == map.len() { "" } else { "," };
                        lines.push(format!("\"{name}\": {value}{comma}"));
                    }
                    lines.push(format!("}}{comma}"));
                }
                value => lines.push(format!("\"{name}\": {value}{comma}")),
            }
        }
        lines.push("}\n".to_owned());
        lines.join("\n")
    }
}

/// Size of a type as C spells it, by the full table.
fn size_of(full: &Value, ty: &str) -> Option<u64> {
    // An array parameter is a pointer.
    if ty.ends_with('*') || ty.ends_with(']') {
        return Some(8);
    }
    if ty == "void" {
        return Some(0);
    }
    let in_section = |section: &str| full[section].get(ty);
    if let Some(known) = in_section("scalars").or_else(|| in_section("structs")) {
        return known["size"].as_u64();
    }
    if in_section("enums").is_some() {
        return Some(4);
    }
    if in_section("function_types").is_some() {
        return Some(8);
    }
    // What is left are names of pointers that the table does not list.
    ty.starts_with('P').then_some(8)
}

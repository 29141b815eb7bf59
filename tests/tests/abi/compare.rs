//! The comparison of `ndis-sys` with the facts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use ndis_sys::abi::{self, Bits, Field, Function, Struct};

use super::facts::{self, Facts};

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Report {
    pub structs: usize,
    /// Members of these structures that were compared.
    pub fields: usize,
    /// Members that the facts have for these structures.
    pub fields_in_table: usize,
    pub constants: usize,
    pub enums: usize,
    pub enum_members: usize,
    pub functions: usize,
    pub callbacks: usize,
    pub parameters: usize,
    pub scalars: usize,
    pub mismatches: Vec<String>,
}

/// Compares everything in the tables of `ndis-sys` with `facts`, and nothing
/// in `facts` may be left over.
pub fn all(facts: &Facts) -> Report {
    let mut report = Report::default();
    structs(facts, &mut report);
    constants(facts, &mut report);
    enums(facts, &mut report);
    scalars(facts, &mut report);
    functions(facts, &mut report);
    report
}

/// Every name that `ndis-sys` declares, and names that only the parameters of
/// its functions need.
pub fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    names.extend(outermost().map(|s| s.name));
    names.extend(
        abi::ALIASES
            .iter()
            .copied()
            .flatten()
            .map(|alias| alias.name),
    );
    names.extend(
        abi::CONSTANTS
            .iter()
            .copied()
            .flatten()
            .map(|constant| constant.name),
    );
    names.extend(abi::ENUMS.iter().copied().flatten().map(|e| e.name));
    names.extend(
        abi::SCALARS
            .iter()
            .copied()
            .flatten()
            .map(|scalar| scalar.name),
    );
    names.extend(abi::OPAQUE.iter().copied().flatten());
    names.extend(functions_of(abi::IMPORTS).map(|function| function.name));
    names.extend(functions_of(abi::CALLBACKS).map(|function| function.name));
    names.into_iter().map(str::to_owned).collect()
}

fn outermost() -> impl Iterator<Item = &'static Struct> {
    abi::STRUCTS
        .iter()
        .copied()
        .flatten()
        .filter(|s| s.outer.is_empty())
}

fn functions_of(table: &'static [&'static [Function]]) -> impl Iterator<Item = &'static Function> {
    table.iter().copied().flatten()
}

impl Report {
    fn mismatch(&mut self, what: impl Into<String>) {
        self.mismatches.push(what.into());
    }

    fn equal<T: Copy + PartialEq + Display>(&mut self, what: &str, ours: T, theirs: T) {
        if ours != theirs {
            self.mismatch(format!("{what}: {ours} here, {theirs} in the facts"));
        }
    }

    /// Names in the facts that nothing in `ndis-sys` was compared with.
    fn left_over<'a>(
        &mut self,
        what: &str,
        facts: impl Iterator<Item = &'a String>,
        seen: &BTreeSet<&str>,
    ) {
        for name in facts.filter(|name| !seen.contains(name.as_str())) {
            self.mismatch(format!("{what} {name}: in the facts, not in ndis-sys"));
        }
    }
}

/// Place of a member: offset, size, and first bit and width of a bit-field.
type Place = (u64, u64, Option<(u64, u64)>);

fn structs(facts: &Facts, report: &mut Report) {
    // Types of members that have no type name in C, by the path to the member.
    let inner: BTreeMap<Vec<&str>, &Struct> = abi::STRUCTS
        .iter()
        .copied()
        .flatten()
        .filter(|s| !s.outer.is_empty())
        .map(|s| (s.outer.to_vec(), s))
        .collect();
    let mut used = BTreeSet::new();
    let mut seen = BTreeSet::new();

    let by_name: BTreeMap<&str, &Struct> = outermost().map(|s| (s.name, s)).collect();
    let own = outermost().map(|s| (s.name, s));
    // A second name of a structure has facts of its own.
    let renamed = abi::ALIASES
        .iter()
        .copied()
        .flatten()
        .filter_map(|alias| Some((alias.name, *by_name.get(end(alias.target))?)));
    for (name, s) in own.chain(renamed) {
        if !seen.insert(name) {
            report.mismatch(format!("{name}: declared twice"));
        }
        let Some(fact) = facts.structs.get(name) else {
            report.mismatch(format!("struct {name}: not in the facts"));
            continue;
        };
        report.structs += 1;
        report.fields_in_table += fact.fields.len();
        report.equal(&format!("{name}: size"), s.size as u64, fact.size);
        report.equal(&format!("{name}: alignment"), s.align as u64, fact.align);
        // A C structure of one unnamed union is a union here.
        let overlay = fact
            .fields
            .iter()
            .all(|(path, field)| path.contains('.') || field.offset == 0);
        if s.union && fact.kind != "union" && !overlay {
            report.mismatch(format!("{name}: a union here, not in the facts"));
        }

        let mut places = BTreeMap::new();
        expand(s, &[s.name], "", 0, &inner, &mut used, &mut places, report);
        for (path, field) in &fact.fields {
            let Some(place) = places.remove(path) else {
                report.mismatch(format!("{name}.{path}: not in ndis-sys"));
                continue;
            };
            report.fields += 1;
            let theirs = (field.offset, field.size, field.bit_offset.zip(field.bits));
            if place != theirs {
                report.mismatch(format!(
                    "{name}.{path}: {place:?} here, {theirs:?} in the facts"
                ));
            }
        }
        for path in places.keys() {
            report.mismatch(format!("{name}.{path}: not in the facts"));
        }
        // The table's own view of older versions must end at this size.
        if let Some(newest) = facts.sizes.get(name).and_then(newest) {
            report.equal(
                &format!("{name}: size at the newest version"),
                s.size as u64,
                *newest,
            );
        }
    }
    for path in inner.keys().filter(|path| !used.contains(*path)) {
        report.mismatch(format!("type of {}: no such member", path.join(".")));
    }
    report.left_over("struct", facts.structs.keys(), &seen);
}

/// Lists the members of `s` and of the unnamed types in it, as the facts do.
#[allow(clippy::too_many_arguments)] // one recursion, one place
fn expand<'a>(
    s: &'a Struct,
    path: &[&'a str],
    prefix: &str,
    base: u64,
    inner: &BTreeMap<Vec<&'a str>, &'a Struct>,
    used: &mut BTreeSet<Vec<&'a str>>,
    places: &mut BTreeMap<String, Place>,
    report: &mut Report,
) {
    let mut add = |name: String, place: Place, report: &mut Report| {
        if places.insert(name.clone(), place).is_some() {
            report.mismatch(format!("{}.{name}: declared twice", path[0]));
        }
    };
    let mut deeper = Vec::new();
    for field in s.fields.iter().chain(s.aliases) {
        if field.name.starts_with("_pad") {
            continue;
        }
        let offset = base + field.offset as u64;
        let size = field.size as u64;
        let bits: Vec<&Bits> = s
            .bits
            .iter()
            .filter(|bits| bits.unit == field.name)
            .collect();
        for bits in &bits {
            let first = offset * 8 + u64::from(bits.first);
            let place = (offset, size, Some((first, u64::from(bits.width))));
            add(format!("{prefix}{}", bits.name), place, report);
            if u64::from(bits.first + bits.width) > size * 8 {
                report.mismatch(format!(
                    "{}.{prefix}{}: outside its unit",
                    path[0], bits.name
                ));
            }
        }
        if bits.is_empty() {
            add(
                format!("{prefix}{}", name_in_c(field)),
                (offset, size, None),
                report,
            );
            deeper.push((field, offset));
        }
    }
    for bits in s.bits.iter().filter(|bits| {
        !s.fields
            .iter()
            .chain(s.aliases)
            .any(|field| field.name == bits.unit)
    }) {
        report.mismatch(format!("{}.{prefix}{}: no such unit", path[0], bits.unit));
    }
    for (field, offset) in deeper {
        let name = name_in_c(field);
        let mut path = path.to_vec();
        path.push(name);
        if let Some(s) = inner.get(&path) {
            used.insert(path.clone());
            let index = if field.ty.starts_with('[') { "[0]" } else { "" };
            let prefix = format!("{prefix}{name}{index}.");
            expand(s, &path, &prefix, offset, inner, used, places, report);
        }
    }
}

fn name_in_c(field: &Field) -> &'static str {
    field.name.trim_start_matches("r#")
}

/// Follows a second name to the structure or enumeration itself.
fn end(name: &str) -> &str {
    abi::ALIASES
        .iter()
        .copied()
        .flatten()
        .find(|alias| alias.name == name)
        .map_or(name, |alias| end(alias.target))
}

fn newest<T>(by_version: &BTreeMap<String, T>) -> Option<&T> {
    let number = |version: &String| {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    by_version
        .iter()
        .max_by_key(|(version, _)| number(version))
        .map(|(_, value)| value)
}

fn constants(facts: &Facts, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for constant in abi::CONSTANTS.iter().copied().flatten() {
        if !seen.insert(constant.name) {
            report.mismatch(format!("constant {}: declared twice", constant.name));
        }
        let Some(value) = facts.constants.get(constant.name) else {
            report.mismatch(format!("constant {}: not in the facts", constant.name));
            continue;
        };
        let Some(value) = value
            .as_i64()
            .map(i64::cast_unsigned)
            .or_else(|| value.as_u64())
        else {
            report.mismatch(format!("constant {}: {value} is no number", constant.name));
            continue;
        };
        report.constants += 1;
        // Signed or not is a matter of taste up to 32 bits, not above.
        let same = if matches!(
            constant.ty,
            "ULONG64" | "ULONGLONG" | "LONGLONG" | "POOL_FLAGS"
        ) {
            value == constant.value
        } else {
            value as u32 == constant.value as u32
        };
        if !same {
            report.mismatch(format!(
                "constant {}: {:#x} here, {value:#x} in the facts",
                constant.name, constant.value
            ));
        }
        // Where the value depends on the version, ours is the newest one.
        if let Some(newest) = facts.constant_values.get(constant.name).and_then(newest) {
            report.equal(
                &format!("constant {} at the newest version", constant.name),
                constant.value as u32,
                newest.cast_unsigned() as u32,
            );
        }
    }
    report.left_over("constant", facts.constants.keys(), &seen);
}

fn enums(facts: &Facts, report: &mut Report) {
    let mut seen = BTreeSet::new();
    let by_name: BTreeMap<&str, _> = abi::ENUMS
        .iter()
        .copied()
        .flatten()
        .map(|e| (e.name, e))
        .collect();
    let renamed = abi::ALIASES
        .iter()
        .copied()
        .flatten()
        .filter_map(|alias| Some((alias.name, *by_name.get(end(alias.target))?)));
    for (name, e) in by_name.clone().into_iter().chain(renamed) {
        seen.insert(name);
        let Some(fact) = facts.enums.get(name) else {
            report.mismatch(format!("enum {name}: not in the facts"));
            continue;
        };
        report.enums += 1;
        report.equal(&format!("enum {name}: size"), e.size, 4);
        let mut theirs: BTreeMap<&str, i64> = fact
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        for (member, value) in e.members {
            match theirs.remove(member) {
                None => report.mismatch(format!("enum {name}: {member} is not in the facts")),
                Some(fact) => {
                    report.enum_members += 1;
                    let what = format!("enum {name}: {member}");
                    report.equal(&what, value.cast_unsigned(), fact.cast_unsigned() as u32);
                }
            }
        }
        for member in theirs.keys() {
            report.mismatch(format!("enum {name}: {member} is not in ndis-sys"));
        }
    }
    report.left_over("enum", facts.enums.keys(), &seen);
}

fn scalars(facts: &Facts, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for scalar in abi::SCALARS.iter().copied().flatten() {
        seen.insert(scalar.name);
        let Some(fact) = facts.scalars.get(scalar.name) else {
            report.mismatch(format!("typedef {}: not in the facts", scalar.name));
            continue;
        };
        report.scalars += 1;
        report.equal(
            &format!("typedef {}: size", scalar.name),
            scalar.size as u64,
            fact.size,
        );
        let what = format!("typedef {}: alignment", scalar.name);
        report.equal(&what, scalar.align as u64, fact.align);
    }
    report.left_over("typedef", facts.scalars.keys(), &seen);
    let opaque: BTreeSet<&str> = abi::OPAQUE.iter().copied().flatten().copied().collect();
    for name in opaque.iter().filter(|name| !facts.opaque.contains(**name)) {
        report.mismatch(format!("opaque {name}: not in the facts"));
    }
    report.left_over("opaque", facts.opaque.iter(), &opaque);
}

fn functions(facts: &Facts, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for function in functions_of(abi::IMPORTS) {
        seen.insert(function.name);
        let Some(fact) = facts.functions.get(function.name) else {
            report.mismatch(format!("function {}: not in the facts", function.name));
            continue;
        };
        report.functions += 1;
        signature(facts, function, fact, report);
        if fact.inline {
            report.mismatch(format!("{}: a header has its body", function.name));
        }
        // Since Windows 10 2004 ntoskrnl.exe itself has what hal.dll had.
        let dll = match fact.dll.as_deref() {
            Some("hal.dll") | None => "ntoskrnl.exe",
            Some(dll) => dll,
        };
        report.equal(&format!("{}: image", function.name), function.dll, dll);
    }
    report.left_over("function", facts.functions.keys(), &seen);

    let mut seen = BTreeSet::new();
    for callback in functions_of(abi::CALLBACKS) {
        seen.insert(callback.name);
        let Some(fact) = facts.function_types.get(callback.name) else {
            report.mismatch(format!("callback {}: not in the facts", callback.name));
            continue;
        };
        report.callbacks += 1;
        signature(facts, callback, fact, report);
    }
    report.left_over("callback", facts.function_types.keys(), &seen);
}

fn signature(facts: &Facts, ours: &Function, theirs: &facts::Function, report: &mut Report) {
    let name = ours.name;
    report.equal(
        &format!("{name}: parameters"),
        ours.params.len(),
        theirs.params.len(),
    );
    report.equal(&format!("{name}: variadic"), ours.variadic, theirs.variadic);
    for ((param, ty, size), fact) in ours.params.iter().zip(&theirs.params) {
        report.parameters += 1;
        if facts.type_sizes.get(fact) != Some(&(*size as u64)) {
            report.mismatch(format!("{name}: {param} is {ty} here, {fact} in the facts"));
        }
    }
    if facts.type_sizes.get(&theirs.ret) != Some(&(ours.ret_size as u64)) {
        let (ours, theirs) = (ours.ret, &theirs.ret);
        report.mismatch(format!(
            "{name}: the result is {ours} here, {theirs} in the facts"
        ));
    }
}

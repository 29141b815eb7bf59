//! C headers and lists of exports for drivers in C, made of `ndis-sys`.
//!
//! `ndis-sys` lists everything that it declares, with the offsets and sizes that rustc
//! computed, as tables (feature `abi-tables`). [`header`] writes these tables down in C, and
//! behind each structure the same numbers as assertions that the C compiler checks: a
//! declaration that C lays out otherwise does not compile. Nothing of it is kept in the
//! repository, so that the two languages cannot drift apart.
//!
//! What the headers of a Windows kit do in macros and inline functions is no data and is
//! written by hand, in `include/`; [`FILES`] has all files of a kit.

mod ctype;
mod layout;

use std::collections::BTreeSet;
use std::fmt::Write;

use ndis_sys::abi;

use ctype::{function, scalar};

/// Name of the file that [`header`] makes.
pub const GENERATED: &str = "ndis-sys.h";

/// The files that are written by hand: name and contents.
pub const FILES: [(&str, &str); 6] = [
    ("ndis.h", include_str!("../include/ndis.h")),
    ("ntddk.h", include_str!("../include/ntddk.h")),
    ("wdm.h", include_str!("../include/wdm.h")),
    ("kit-base.h", include_str!("../include/kit-base.h")),
    ("kit-nt.h", include_str!("../include/kit-nt.h")),
    ("kit-ndis.h", include_str!("../include/kit-ndis.h")),
];

/// Functions that drivers in C import and that `ndis-sys` does not declare: what compilers
/// call on their own, the C library's part of the kernel, and exceptions, which Rust has not.
/// `include/kit-nt.h` declares those that have a name in C.
const MORE: [(&str, &[&str]); 1] = [(
    "ntoskrnl.exe",
    &[
        "ExRaiseStatus",
        "__C_specific_handler",
        "__chkstk",
        "_snprintf",
        "_vsnprintf",
        "memcmp",
        "memcpy",
        "memmove",
        "memset",
        "sprintf",
        "strcmp",
        "strlen",
        "strncmp",
        "wcslen",
    ],
)];

/// What a driver may import from an image, for an import library.
pub fn exports(dll: &str) -> BTreeSet<&'static str> {
    let declared = abi::IMPORTS.iter().copied().flatten();
    let mut names: BTreeSet<_> = declared.filter(|f| f.dll == dll).map(|f| f.name).collect();
    let more = MORE.iter().filter(|(image, _)| *image == dll);
    names.extend(more.flat_map(|(_, names)| names.iter().copied()));
    names
}

/// The images that drivers import from.
pub fn images() -> BTreeSet<&'static str> {
    abi::IMPORTS
        .iter()
        .copied()
        .flatten()
        .map(|f| f.dll)
        .collect()
}

fn all<T>(lists: &'static [&'static [T]]) -> impl Iterator<Item = &'static T> {
    lists.iter().flat_map(|list| list.iter())
}

/// The header: everything that `ndis-sys` declares, in C.
///
/// # Panics
/// If a table names a type that no table has.
pub fn header() -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    write(&mut out).expect("a String");
    out
}

fn write(out: &mut String) -> std::fmt::Result {
    let mut names = Names::default();
    writeln!(
        out,
        "/* Made of the tables of the crate ndis-sys by the crate ndis-headers: do not edit. */\n\
         #pragma once\n\n#include \"kit-base.h\"\n"
    )?;
    writeln!(
        out,
        "/* Structures and unions, as far as they can be pointed to. */"
    )?;
    for s in all(abi::STRUCTS) {
        let kind = if s.union { "union" } else { "struct" };
        names.with_pointer(out, &format!("{kind} _{}", s.name), s.name)?;
    }
    for &name in all(abi::OPAQUE) {
        names.with_pointer(out, &format!("struct _{name}"), name)?;
    }
    writeln!(out, "\n/* Numbers and pointers. */")?;
    for s in layout::scalars() {
        names.with_pointer(out, &scalar(s), s.name)?;
    }
    writeln!(out, "\n/* Enumerations. */")?;
    for e in all(abi::ENUMS) {
        writeln!(out, "typedef enum _{} {{", e.name)?;
        for (member, value) in e.members {
            writeln!(out, "    {member} = {value},")?;
        }
        names.0.insert(e.name.to_owned());
        write!(out, "}} {}", e.name)?;
        names.pointer(out, e.name)?;
        writeln!(out, ";")?;
    }
    for a in layout::aliases() {
        names.with_pointer(out, a.target, a.name)?;
    }
    writeln!(out, "\n/* Callbacks. */")?;
    for f in all(abi::CALLBACKS) {
        if ctype::is_pointer_typedef(f.name) {
            let inner = format!("(NTAPI *{})", f.name);
            writeln!(out, "typedef {};", function(f, &inner))?;
            continue;
        }
        let inner = format!("(NTAPI {})", f.name);
        writeln!(out, "typedef {};", function(f, &inner))?;
        write!(out, "typedef {} *{}_HANDLER", f.name, f.name)?;
        names.pointer(out, f.name)?;
        writeln!(out, ";")?;
    }
    writeln!(out, "\n/* Structures and unions. */")?;
    for s in layout::structs() {
        layout::write(out, s)?;
    }
    writeln!(out, "\n/* Constants. */")?;
    for c in all(abi::CONSTANTS) {
        writeln!(out, "#define {} {}", c.name, ctype::constant(c))?;
    }
    writeln!(out, "\n/* Functions. */")?;
    for f in all(abi::IMPORTS) {
        let inner = format!("NTAPI {}", f.name);
        writeln!(out, "DECLSPEC_IMPORT {};", function(f, &inner))?;
    }
    writeln!(out, "\n/* What rustc made of the same declarations. */")?;
    for s in all(abi::SCALARS) {
        writeln!(out, "C_ASSERT(sizeof({}) == {});", s.name, s.size)?;
    }
    for e in all(abi::ENUMS) {
        writeln!(out, "C_ASSERT(sizeof({}) == {});", e.name, e.size)?;
    }
    for s in all(abi::STRUCTS) {
        layout::assert(out, s)?;
    }
    for f in all(abi::CALLBACKS) {
        writeln!(out, "{}", ctype::assert_sizes(f))?;
    }
    for f in all(abi::IMPORTS) {
        writeln!(out, "{}", ctype::assert_sizes(f))?;
    }
    Ok(())
}

/// Names of typedefs so far: C has the pointer to `X` as `PX`, unless that is something else.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn with_pointer(&mut self, out: &mut String, ty: &str, name: &str) -> std::fmt::Result {
        self.0.insert(name.to_owned());
        write!(out, "typedef {ty} {name}")?;
        self.pointer(out, name)?;
        writeln!(out, ";")
    }

    fn pointer(&mut self, out: &mut String, name: &str) -> std::fmt::Result {
        let pointer = format!("P{name}");
        let declared = all(abi::SCALARS).any(|s| s.name == pointer)
            || all(abi::CALLBACKS).any(|f| f.name == pointer);
        if !declared && self.0.insert(pointer.clone()) {
            write!(out, ", *{pointer}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_of_the_tables_is_in_the_header() {
        let header = header();
        let words: BTreeSet<&str> = header
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .collect();
        let mut missing = Vec::new();
        let mut need = |name: &'static str| {
            if !words.contains(name) {
                missing.push(name);
            }
        };
        for s in all(abi::STRUCTS) {
            need(s.name);
            s.fields.iter().chain(s.aliases).for_each(|f| need(f.name));
            s.bits.iter().for_each(|b| need(b.name));
        }
        all(abi::CONSTANTS).for_each(|c| need(c.name));
        all(abi::ENUMS).for_each(|e| e.members.iter().for_each(|m| need(m.0)));
        all(abi::CALLBACKS)
            .chain(all(abi::IMPORTS))
            .for_each(|f| need(f.name));
        all(abi::OPAQUE).for_each(|name| need(name));
        assert!(missing.is_empty(), "{missing:?}");
        assert!(words.len() > 3_000, "{} words", words.len());
    }

    #[test]
    fn exports_are_those_of_the_image() {
        let ndis = exports("ndis.sys");
        assert!(ndis.contains("NdisAcquireReadWriteLock") && !ndis.contains("DbgPrint"));
        let kernel = exports("ntoskrnl.exe");
        assert!(kernel.contains("DbgPrint") && kernel.contains("__C_specific_handler"));
        assert!(images().contains("ndis.sys"));
    }
}

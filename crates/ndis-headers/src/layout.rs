//! Structures: the order in which C can be told of them, alignment, overlapping members and
//! bit-fields.

use std::collections::BTreeMap;
use std::fmt::Write;

use ndis_sys::abi::{self, Alias, Field, Scalar, Struct};

use crate::all;
use crate::ctype::{array, callback, declare, pointee};

/// The type that lies in another by value: of an array its element.
fn held(ty: &'static str) -> Option<&'static str> {
    let ty = ty.trim();
    if let Some((element, _)) = array(ty) {
        return held(element);
    }
    (pointee(ty).is_none() && callback(ty).is_none()).then_some(ty)
}

/// Puts each behind those that it is made of, of which `of` names one at most.
fn ordered<T>(
    lists: &'static [&'static [T]],
    name: impl Fn(&T) -> &'static str,
    of: impl Fn(&T) -> Option<&'static str>,
) -> Vec<&'static T> {
    let mut done: Vec<&'static T> = Vec::new();
    let mut open: Vec<&'static T> = all(lists).collect();
    while !open.is_empty() {
        let before = open.len();
        open.retain(|item| {
            let of = of(item).filter(|of| all(lists).any(|other| name(other) == *of));
            let ready = of.is_none_or(|of| done.iter().any(|item| name(item) == of));
            if ready {
                done.push(item);
            }
            !ready
        });
        assert!(open.len() < before, "names that stand for each other");
    }
    done
}

/// Typedefs of numbers and pointers.
pub fn scalars() -> Vec<&'static Scalar> {
    ordered(abi::SCALARS, |s| s.name, |s| held(s.ty))
}

/// Second names.
pub fn aliases() -> Vec<&'static Alias> {
    ordered(abi::ALIASES, |a| a.name, |a| Some(a.target))
}

/// Structures, each behind those that lie in it.
pub fn structs() -> Vec<&'static Struct> {
    let by_name = by_name();
    let mut done = Vec::new();
    for s in all(abi::STRUCTS) {
        follow(s, &by_name, &mut done);
    }
    done
}

fn by_name() -> BTreeMap<&'static str, &'static Struct> {
    let mut found: BTreeMap<_, _> = all(abi::STRUCTS).map(|s| (s.name, s)).collect();
    for a in all(abi::ALIASES) {
        if let Some(&s) = found.get(a.target) {
            found.insert(a.name, s);
        }
    }
    found
}

fn follow(
    s: &'static Struct,
    by_name: &BTreeMap<&str, &'static Struct>,
    done: &mut Vec<&'static Struct>,
) {
    if done.iter().any(|d| d.name == s.name) {
        return;
    }
    for f in s.fields.iter().chain(s.aliases) {
        if let Some(inner) = held(f.ty).and_then(|ty| by_name.get(ty)) {
            follow(inner, by_name, done);
        }
    }
    done.push(s);
}

/// The alignment that C gives a type.
fn natural(ty: &'static str) -> usize {
    let Some(ty) = held(ty) else { return 8 };
    let scalar = all(abi::SCALARS).find(|s| s.name == ty).map(|s| s.align);
    let structure = || by_name().get(ty).map(|s| s.align);
    let enumeration = || all(abi::ENUMS).find(|e| e.name == ty).map(|e| e.size);
    let alias = || {
        all(abi::ALIASES)
            .find(|a| a.name == ty)
            .map(|a| natural(a.target))
    };
    scalar
        .or_else(structure)
        .or_else(enumeration)
        .or_else(alias)
        .unwrap_or_else(|| match ty {
            "i8" | "u8" => 1,
            "i16" | "u16" => 2,
            "i32" | "u32" => 4,
            "i64" | "u64" | "isize" | "usize" => 8,
            other => panic!("no table has the type {other}"),
        })
}

/// Writes the definition of a structure or union.
pub fn write(out: &mut String, s: &Struct) -> std::fmt::Result {
    let members = s.fields.iter().chain(s.aliases);
    let natural = members.map(|f| natural(f.ty)).max().unwrap_or(1);
    if s.align < natural {
        writeln!(out, "#pragma pack(push, {})", s.align)?;
    }
    let aligned = if s.align > natural {
        format!(" DECLSPEC_ALIGN({})", s.align)
    } else {
        String::new()
    };
    let kind = if s.union { "union" } else { "struct" };
    writeln!(out, "{kind}{aligned} _{} {{", s.name)?;
    if s.aliases.is_empty() || s.union {
        for f in s.fields.iter().chain(s.aliases) {
            member(out, s, f, 1)?;
        }
    } else {
        // Views of the same memory, none of which has a name.
        writeln!(out, "    union {{\n        struct {{")?;
        for f in s.fields {
            member(out, s, f, 3)?;
        }
        writeln!(out, "        }};")?;
        for f in s.aliases {
            if f.offset == 0 {
                member(out, s, f, 2)?;
            } else {
                writeln!(out, "        struct {{")?;
                writeln!(out, "            UCHAR _before{}[{}];", f.name, f.offset)?;
                member(out, s, f, 3)?;
                writeln!(out, "        }};")?;
            }
        }
        writeln!(out, "    }};")?;
    }
    writeln!(out, "}};")?;
    if s.align < natural {
        writeln!(out, "#pragma pack(pop)")?;
    }
    Ok(())
}

/// A member; the storage unit of bit-fields with these beside it.
fn member(out: &mut String, s: &Struct, f: &Field, depth: usize) -> std::fmt::Result {
    let indent = "    ".repeat(depth);
    let mut bits: Vec<_> = s.bits.iter().filter(|b| b.unit == f.name).collect();
    if bits.is_empty() {
        return writeln!(out, "{indent}{};", declare(f.ty, f.name));
    }
    bits.sort_by_key(|b| b.first);
    let unit = f.ty;
    writeln!(
        out,
        "{indent}union {{\n{indent}    {};",
        declare(unit, f.name)
    )?;
    writeln!(out, "{indent}    struct {{")?;
    let mut next = 0;
    for bit in bits {
        if bit.first > next {
            writeln!(out, "{indent}        {unit} : {};", bit.first - next)?;
        }
        writeln!(out, "{indent}        {unit} {} : {};", bit.name, bit.width)?;
        next = bit.first + bit.width;
    }
    writeln!(out, "{indent}    }};\n{indent}}};")
}

/// Writes the assertions for a structure.
pub fn assert(out: &mut String, s: &Struct) -> std::fmt::Result {
    writeln!(
        out,
        "C_ASSERT(sizeof({0}) == {1} && __alignof({0}) == {2});",
        s.name, s.size, s.align
    )?;
    for f in s.fields.iter().chain(s.aliases) {
        writeln!(
            out,
            "C_ASSERT(FIELD_OFFSET({0}, {1}) == {2} && sizeof((({0} *)0)->{1}) == {3});",
            s.name, f.name, f.offset, f.size
        )?;
    }
    Ok(())
}

//! The ABI test: every structure, member, bit-field, constant, enumeration,
//! typedef, callback and import of `ndis-sys` against what clang made of the
//! Windows headers.

#[path = "abi/compare.rs"]
mod compare;
#[path = "abi/facts.rs"]
mod facts;
#[path = "abi/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};

use compare::Report;
use facts::Facts;
use ndis_sys::abi;
use source::Source;

fn print(report: &Report) {
    println!(
        "{} structs, fields compared {} / fields in the table {}",
        report.structs, report.fields, report.fields_in_table
    );
    println!(
        "{} constants, {} enums with {} members, {} typedefs, {} imports and {} callbacks with {} \
         parameters",
        report.constants,
        report.enums,
        report.enum_members,
        report.scalars,
        report.functions,
        report.callbacks,
        report.parameters
    );
    println!("{} mismatches", report.mismatches.len());
    for mismatch in &report.mismatches {
        println!("  {mismatch}");
    }
}

#[test]
fn everything_in_ndis_sys_agrees_with_the_headers() {
    let report = compare::all(&Facts::load());
    print(&report);
    assert!(report.mismatches.is_empty(), "0 mismatches expected");
    assert_eq!(
        report.fields, report.fields_in_table,
        "every documented field is compared"
    );
    // The comparison must have had something to compare.
    assert!(
        report.structs > 200 && report.fields > 2_000,
        "too few structures"
    );
    assert!(
        report.constants > 1_500 && report.enum_members > 500,
        "too few constants"
    );
    assert!(
        report.functions > 200 && report.callbacks > 50,
        "too few functions"
    );
}

/// What may stand outside the macros, because C has no such item: only what
/// the others are made of.
const OUTSIDE_THE_MACROS: &[(&str, &str, &str)] = &[
    ("base.rs", "struct", "BitField"),
    ("base.rs", "struct", "VOID"),
];

#[test]
fn nothing_in_the_source_escapes_the_comparison() {
    let source = Source::read(&source::directory());
    let others: BTreeSet<_> = source
        .others
        .iter()
        .filter(|(file, _, _)| file != "abi.rs")
        .map(|(file, kind, name)| (file.as_str(), kind.as_str(), name.as_str()))
        .collect();
    assert_eq!(others, OUTSIDE_THE_MACROS.iter().copied().collect());

    let mut tables: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut table = |name: &'static str, names: Vec<&'static str>| {
        let set: BTreeSet<String> = names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(set.len(), names.len(), "{name}: a name stands there twice");
        tables.insert(name, set);
    };
    table(
        "aliases",
        abi::ALIASES
            .iter()
            .copied()
            .flatten()
            .map(|x| x.name)
            .collect(),
    );
    table(
        "callbacks",
        abi::CALLBACKS
            .iter()
            .copied()
            .flatten()
            .map(|x| x.name)
            .collect(),
    );
    table(
        "constants",
        abi::CONSTANTS
            .iter()
            .copied()
            .flatten()
            .map(|x| x.name)
            .collect(),
    );
    table(
        "enums",
        abi::ENUMS
            .iter()
            .copied()
            .flatten()
            .map(|x| x.name)
            .collect(),
    );
    table(
        "imports",
        abi::IMPORTS
            .iter()
            .copied()
            .flatten()
            .map(|x| x.name)
            .collect(),
    );
    table(
        "opaque",
        abi::OPAQUE.iter().copied().flatten().copied().collect(),
    );
    table(
        "scalars",
        abi::SCALARS
            .iter()
            .copied()
            .flatten()
            .map(|x| x.name)
            .collect(),
    );
    table(
        "structs",
        abi::STRUCTS
            .iter()
            .copied()
            .flatten()
            .map(|x| x.name)
            .collect(),
    );

    let mut written = source.names;
    // Newtypes of numbers are listed with the typedefs.
    let newtypes = written.remove("newtypes").unwrap_or_default();
    written
        .entry("scalars".to_owned())
        .or_default()
        .extend(newtypes);
    for (name, names) in &written {
        assert_eq!(
            Some(names),
            tables.get(name.as_str()),
            "{name}: source and table differ"
        );
    }
    assert_eq!(
        written.len(),
        tables.len(),
        "a macro without a table, or a table without a macro"
    );

    // And inside the structures and enumerations.
    let fields: usize = abi::STRUCTS
        .iter()
        .copied()
        .flatten()
        .map(|s| {
            let units: BTreeSet<_> = s.bits.iter().map(|bits| bits.unit).collect();
            let named = s.fields.iter().chain(s.aliases);
            named
                .filter(|field| !field.name.starts_with("_pad"))
                .count()
                - units.len()
                + s.bits.len()
        })
        .sum();
    assert_eq!(
        source.fields, fields,
        "members in the source and in the tables"
    );
    let members: usize = abi::ENUMS
        .iter()
        .copied()
        .flatten()
        .map(|e| e.members.len())
        .sum();
    assert_eq!(
        source.enum_members, members,
        "enum members in the source and in the tables"
    );
    println!("{fields} members and {members} enum members in source and tables");
}

#[test]
fn an_item_past_the_macros_is_found() {
    for text in [
        "pub struct NDIS_NEW { pub A: u32 }",
        "pub const NDIS_NEW: u32 = 1;",
        "unsafe extern \"efiapi\" { fn NdisNew(); }",
        "pub type NDIS_NEW = unsafe extern \"efiapi\" fn();",
        "surprise! { struct NDIS_NEW [4, 4] {} }",
    ] {
        let mut source = Source::default();
        source.add("new.rs", text);
        assert_eq!(source.others.len(), 1, "{text}");
    }
}

/// One change to the facts and what the report must then name.
type Damage = (&'static str, fn(&mut Facts), &'static str);

#[test]
fn damaged_facts_are_rejected() {
    let whole = Facts::load();
    assert!(compare::all(&whole).mismatches.is_empty());
    let damages: &[Damage] = &[
        (
            "an offset",
            |facts| field(facts, "NET_BUFFER", "MdlChain").offset += 8,
            "MdlChain",
        ),
        (
            "a size",
            |facts| field(facts, "NET_BUFFER", "DataOffset").size = 8,
            "DataOffset",
        ),
        (
            "an alias",
            |facts| field(facts, "NET_BUFFER", "Link").offset = 16,
            "Link",
        ),
        (
            "a bit-field",
            |facts| {
                let path = "Transmit.TcpHeaderOffset";
                field(facts, "NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO", path).bits = Some(11);
            },
            "TcpHeaderOffset",
        ),
        (
            "a member of an unnamed type",
            |facts| {
                let path = "DATA.METHOD_INFORMATION.BytesNeeded";
                field(facts, "NDIS_OID_REQUEST", path).offset += 4;
            },
            "DATA.METHOD_INFORMATION.BytesNeeded",
        ),
        (
            "a member more",
            |facts| {
                let copy = field(facts, "KEVENT", "Header").clone();
                facts
                    .structs
                    .get_mut("KEVENT")
                    .unwrap()
                    .fields
                    .insert("Extra".into(), copy);
            },
            "KEVENT.Extra",
        ),
        (
            "a member less",
            |facts| {
                drop(
                    facts
                        .structs
                        .get_mut("KEVENT")
                        .unwrap()
                        .fields
                        .remove("Header"),
                );
            },
            "KEVENT.Header",
        ),
        (
            "a size of all",
            |facts| facts.structs.get_mut("MDL").unwrap().size = 56,
            "MDL: size",
        ),
        (
            "an alignment",
            |facts| facts.structs.get_mut("NET_BUFFER_LIST").unwrap().align = 8,
            "NET_BUFFER_LIST: alignment",
        ),
        (
            "a structure less",
            |facts| drop(facts.structs.remove("NDIS_OFFLOAD")),
            "struct NDIS_OFFLOAD: not in the facts",
        ),
        (
            "a structure more",
            |facts| {
                let copy = facts.structs["KEVENT"].clone();
                facts.structs.insert("KNEW".into(), copy);
            },
            "struct KNEW: in the facts",
        ),
        (
            "a constant",
            |facts| *facts.constants.get_mut("OID_GEN_STATISTICS").unwrap() = 1.into(),
            "OID_GEN_STATISTICS",
        ),
        (
            "a constant less",
            |facts| drop(facts.constants.remove("NDIS_STATUS_PENDING")),
            "NDIS_STATUS_PENDING",
        ),
        (
            "an enum member",
            |facts| {
                let members = facts.enums.get_mut("NDIS_MEDIUM").unwrap();
                members.insert("NdisMediumTunnel".into(), 16);
            },
            "NdisMediumTunnel",
        ),
        (
            "an enum member more",
            |facts| {
                let members = facts.enums.get_mut("NDIS_MEDIUM").unwrap();
                members.insert("NdisMediumNew".into(), 99);
            },
            "NdisMediumNew",
        ),
        (
            "a parameter of an import",
            |facts| {
                drop(
                    facts
                        .functions
                        .get_mut("NdisOidRequest")
                        .unwrap()
                        .params
                        .pop(),
                );
            },
            "NdisOidRequest: parameters",
        ),
        (
            "the type of a parameter",
            |facts| {
                facts.functions.get_mut("NdisMSleep").unwrap().params[0] = "LARGE_INTEGER".into();
            },
            "NdisMSleep",
        ),
        (
            "a parameter of a callback",
            |facts| {
                let callback = facts.function_types.get_mut("MINIPORT_PAUSE").unwrap();
                callback.params.push("ULONG".into());
            },
            "MINIPORT_PAUSE: parameters",
        ),
        (
            "the image of an import",
            |facts| {
                let function = facts.functions.get_mut("ExAllocatePool2").unwrap();
                function.dll = Some("ndis.sys".into());
            },
            "ExAllocatePool2: image",
        ),
        (
            "a typedef",
            |facts| facts.scalars.get_mut("KIRQL").unwrap().size = 4,
            "KIRQL: size",
        ),
    ];
    for (what, damage, named) in damages {
        let mut facts = whole.clone();
        damage(&mut facts);
        let report = compare::all(&facts);
        assert!(
            report
                .mismatches
                .iter()
                .any(|mismatch| mismatch.contains(named)),
            "damage to {what} was not found: {:?}",
            report.mismatches
        );
    }
    println!("{} kinds of damage found", damages.len());
}

fn field<'a>(facts: &'a mut Facts, name: &str, path: &str) -> &'a mut facts::Field {
    let s = facts.structs.get_mut(name).expect("a structure");
    s.fields.get_mut(path).expect("a member")
}

#[test]
fn arm64_differs_only_where_it_is_known_to() {
    let arm64 = Facts::load().arm64;
    // The layouts are asserted when the crate is compiled for arm64; the facts
    // must not ask for anything else there.
    let x64 = Facts::load().structs;
    let mut differences = BTreeSet::new();
    for (name, theirs) in &arm64.structs {
        let ours = &x64[name];
        if theirs.size != ours.size {
            differences.insert(format!("{name}: size {}", theirs.size));
        }
        if theirs.align != ours.align {
            differences.insert(format!("{name}: alignment {}", theirs.align));
        }
        let paths: BTreeSet<_> = theirs.fields.keys().chain(ours.fields.keys()).collect();
        for path in paths {
            let place = |s: &facts::Struct| {
                s.fields
                    .get(path)
                    .map(|f| (f.offset, f.size, f.bit_offset, f.bits))
            };
            if place(theirs) != place(ours) && !path.contains('.') {
                differences.insert(format!("{name}.{path}"));
            }
        }
    }
    let known = [
        "GENERAL_LOOKASIDE: alignment 128",
        "KDEVICE_QUEUE.Hint",
        "KDEVICE_QUEUE.Reserved",
        "NPAGED_LOOKASIDE_LIST: alignment 128",
        "SLIST_HEADER.HeaderArm64",
        "SLIST_HEADER.HeaderX64",
    ];
    assert_eq!(differences, known.map(str::to_owned).into());
    assert_eq!(arm64.functions_absent, ["KeLowerIrql".to_owned()].into());
    assert!(arm64.constants.is_empty(), "{:?}", arm64.constants);
}

/// Windows that brought a version of NDIS, by the documentation's overview of
/// NDIS versions.
const WINDOWS_OF_NDIS: &[(&str, &str)] = &[
    ("6.0", "6.0"),
    ("6.1", "6.0.6001"),
    ("6.20", "6.1"),
    ("6.30", "6.2"),
    ("6.40", "6.3"),
    ("6.50", "10.0.10240"),
    ("6.60", "10.0.14393"),
    ("6.70", "10.0.15063"),
    ("6.80", "10.0.16299"),
    ("6.81", "10.0.17134"),
    ("6.82", "10.0.17763"),
    ("6.83", "10.0.18362"),
    ("6.84", "10.0.19041"),
    ("6.85", "10.0.20348"),
    ("6.86", "10.0.22000"),
    ("6.87", "10.0.22621"),
];

/// The oldest target: Windows 10 version 2004.
const OLDEST: &str = "10.0.19041";

#[test]
fn each_import_exists_in_the_oldest_target() {
    let list = include_str!("../abi/imports-first-version.json");
    let list: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(list).expect("a list of imports");
    let number = |version: &str| -> Vec<u32> {
        version
            .split('.')
            .map(|part| part.parse().expect("a version"))
            .collect()
    };
    let facts = Facts::load();
    let mut checked = 0;
    for import in abi::IMPORTS.iter().copied().flatten() {
        let name = import.name;
        let first = list
            .get(import.dll)
            .and_then(|names| names.get(name))
            .unwrap_or_else(|| panic!("{}!{name} is not in the list", import.dll));
        assert!(
            number(first) <= number(OLDEST),
            "{name} is newer than the oldest target"
        );
        // Where the headers hide a function from older drivers, they agree.
        let since = facts
            .functions_since
            .iter()
            .find(|(_, names)| names.contains(name));
        if let Some((ndis, _)) = since {
            let windows = WINDOWS_OF_NDIS.iter().find(|(version, _)| version == ndis);
            assert_eq!(
                windows.map(|(_, windows)| *windows),
                Some(first.as_str()),
                "{name}"
            );
        }
        checked += 1;
    }
    println!("{checked} imports, all in Windows {OLDEST}");
}

/// Takes the part that is needed from a full table of facts:
/// `NDIS_ABI_FACTS=<table> cargo test -p workspace-tests --test abi -- --ignored`.
#[test]
#[ignore = "rewrites tests/abi/ndis-x64.json from the full table named by NDIS_ABI_FACTS"]
fn cut_the_facts() {
    let full = std::env::var("NDIS_ABI_FACTS").expect("NDIS_ABI_FACTS names the full table");
    let text = std::fs::read_to_string(&full).expect("a readable table");
    let full: serde_json::Value = serde_json::from_str(&text).expect("a table in JSON");
    let facts = Facts::cut(&full, &compare::names()).expect("a table of this form");
    std::fs::write(facts::path(), facts.to_text()).expect("a writable copy");
}

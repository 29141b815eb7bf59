//! What bindgen made of the kit's headers, beside the ABI facts: every struct's size,
//! every field's offset and every constant.

use std::path::Path;

use serde_json::Value;

use super::pe::packages;

#[test]
fn kit_layouts_agree_with_the_abi_table() {
    let Some(_) = packages("kit_layouts_agree_with_the_abi_table") else {
        return;
    };
    if std::env::var_os("WDKContentRoot").is_some_and(|v| !v.is_empty()) {
        println!("a real kit was used: its layouts are the ones the table was made from");
        return;
    }
    let facts: Value =
        serde_json::from_str(include_str!("../../abi/kit-x64.json")).expect("ABI facts");
    let structs = facts["structs"].as_object().expect("structs");
    let types = bindings("types.rs");
    let mut compared = 0;

    for (name, size) in assertions(&types, "Size of ") {
        // Unnamed inner structs have no entry; their fields are in the outer one.
        if let Some(name) = named(&name) {
            assert_eq!(
                structs.get(name).expect("every struct is in the facts")["size"],
                size,
                "size of {name}"
            );
            compared += 1;
        }
    }
    for (field, offset) in assertions(&types, "Offset of field: ") {
        let (owner, field) = field.split_once("::").expect("struct and field");
        if let Some(owner) = named(owner) {
            assert_eq!(
                structs[owner]["fields"][field]["offset"], offset,
                "offset of {owner}::{field}"
            );
            compared += 1;
        }
    }
    // Nothing hides in padding: the facts name the same structs and outer fields.
    let outer = |fields: &Value| {
        fields
            .as_object()
            .expect("fields")
            .keys()
            .filter(|f| !f.contains('.'))
            .count()
    };
    let documented: usize = structs.values().map(|s| 1 + outer(&s["fields"])).sum();
    // LARGE_INTEGER's nameless view of its halves is left to its named one, `u`.
    let left_out = 2;
    println!(
        "kit: {compared} sizes and offsets agree, {documented} in the facts, {left_out} are other names of `u`"
    );
    assert_eq!(compared + left_out, documented);

    let constants = facts["constants"].as_object().expect("constants");
    let text = bindings("constants.rs");
    for (name, value) in constants {
        let line = format!("pub const {name}: u32 = {value};");
        assert!(text.contains(&line), "constant {name} is not {value}");
    }
    assert_eq!(
        text.matches("pub const ").count(),
        constants.len(),
        "every constant is in the facts"
    );
}

fn named(name: &str) -> Option<&str> {
    (!name.contains("__bindgen_")).then(|| name.trim_start_matches('_'))
}

/// bindgen's `["<kind> <name>"][… - <number>usize]`, as name and number.
fn assertions(types: &str, kind: &str) -> Vec<(String, u64)> {
    let start = format!("\"{kind}");
    types
        .split(&start)
        .skip(1)
        .map(|part| {
            let name = part.split('"').next().expect("name");
            let number = part
                .split("usize]")
                .next()
                .and_then(|p| p.rsplit(' ').next())
                .expect("number");
            (
                name.to_owned(),
                number
                    .parse()
                    .unwrap_or_else(|_| panic!("no number after {kind}{name}")),
            )
        })
        .collect()
}

/// A file of the newest wdk-sys build for x64.
fn bindings(file: &str) -> String {
    let packages = std::env::var_os("IM_PACKAGES_DIR").expect("checked before");
    let target = Path::new(&packages).parent().expect("target folder");
    let newest =
        std::fs::read_dir(target.join("kernel/x86_64-pc-windows-msvc/kernel-release/build"))
            .expect("build folder")
            .filter_map(|entry| {
                let path = entry.ok()?.path().join("out").join(file);
                Some((std::fs::metadata(&path).ok()?.modified().ok()?, path))
            })
            .max()
            .expect("bindings of wdk-sys");
    std::fs::read_to_string(newest.1).expect("bindings")
}

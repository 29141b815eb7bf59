//! The host's surface against what a range of public drivers imports.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
struct Surface {
    dlls: BTreeMap<String, Vec<String>>,
}

fn surface() -> Surface {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/surface.json");
    let text = std::fs::read_to_string(path).expect("the list");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn every_import_of_public_drivers_is_provided_or_in_a_named_group() {
    let provided = lab_host::surface::provided();
    let (mut count, mut missing, mut left_out) = (0, Vec::new(), BTreeMap::new());
    for (dll, names) in surface().dlls {
        // Since Windows 10 2004 hal.dll only forwards to the kernel.
        let dll = if dll == "hal.dll" {
            "ntoskrnl.exe"
        } else {
            &dll
        };
        for name in &names {
            count += 1;
            if provided.contains(&(dll, name.as_str())) {
                continue;
            }
            match lab_host::surface::group(name) {
                Some(group) => *left_out.entry(group.name).or_insert(0) += 1,
                None => missing.push(format!("{dll}!{name}")),
            }
        }
    }
    assert!(count > 290, "{count} names");
    assert!(
        missing.is_empty(),
        "neither provided nor left out: {missing:?}"
    );
    // Of the groups, public Ethernet drivers import these and no others.
    assert_eq!(
        left_out.into_iter().collect::<Vec<_>>(),
        [("DMA and hardware", 2), ("filter drivers", 18)]
    );
}

#[test]
fn functions_take_as_many_arguments_as_the_headers_say() {
    #[derive(Deserialize)]
    struct Function {
        params: Vec<String>,
        #[serde(default)]
        variadic: bool,
    }
    #[derive(Deserialize)]
    struct Abi {
        functions: BTreeMap<String, Function>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/ndis-x64.json");
    let text = std::fs::read_to_string(path).expect("the table");
    let abi: Abi = serde_json::from_str(&text).expect("JSON");
    let (mut compared, mut wrong) = (0, Vec::new());
    for api in lab_host::exports() {
        let Some(function) = abi.functions.get(api.name).filter(|f| !f.variadic) else {
            continue;
        };
        compared += 1;
        // `(void)` may be written as one parameter.
        let params = function.params.iter().filter(|p| *p != "void").count();
        if params != api.args {
            wrong.push(format!(
                "{}: {params}, the host takes {}",
                api.name, api.args
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 250, "{compared} compared");
}

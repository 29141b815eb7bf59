//! Every rule is watched over by somebody, and every misdeed is caught by the id of the rule
//! that it breaks, and by no other.
//!
//! `lab rules --prove` runs each in a process of its own, and the plans once without one.
//! `cargo xtask test` builds the image and names it in `IM_MISDEED_IMAGE`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

fn proved(test: &str) -> Option<Value> {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(lab), Some(image)) = (path("IM_LAB"), path("IM_MISDEED_IMAGE")) else {
        println!("SKIP {test}: no lab or image; `cargo xtask test` makes them");
        return None;
    };
    let output = Command::new(lab)
        .args(["rules", "--json", "--prove"])
        .arg(image)
        .output()
        .expect("the lab starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(&text);
    Some(json.unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    }))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().expect("a list")
}

#[test]
fn every_misdeed_is_caught_by_its_rule_and_no_other() {
    let Some(json) = proved("every_misdeed_is_caught_by_its_rule_and_no_other") else {
        return;
    };
    let wrong: Vec<String> = list(&json, "proofs")
        .iter()
        .filter(|proof| proof["holds"] != true)
        .map(ToString::to_string)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Every rule has one of three states, and each that is enforced was proved just now.
    let proved: BTreeSet<&str> = list(&json, "proofs")
        .iter()
        .filter_map(|proof| proof["rule"].as_str())
        .collect();
    assert_eq!(json["counts"]["rules"], 327);
    for rule in list(&json, "rules") {
        let id = rule["id"].as_str().expect("an id");
        match rule["state"].as_str() {
            Some("enforced") => assert!(proved.contains(id), "{id} has no misdeed"),
            Some("linter") => assert!(!list(rule, "by").is_empty(), "{id}"),
            Some("unobservable") => {
                assert!(
                    rule["reason"].as_str().is_some_and(|r| r.len() > 20),
                    "{id}"
                );
            }
            other => panic!("{id} is {other:?}"),
        }
    }
    println!("{}", json["counts"]);
}

/// The process of one misdeed gives up what it does not need before it looks at the image; it
/// does not run the driver when that fails, as it does where its parent is another one.
#[test]
fn the_process_of_a_misdeed_confines_itself() {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(lab), Some(image)) = (path("IM_LAB"), path("IM_MISDEED_IMAGE")) else {
        println!("SKIP the_process_of_a_misdeed_confines_itself: no lab or image");
        return;
    };
    let run = |parent: u32| {
        Command::new(&lab)
            .arg("__misdeed")
            .arg(&image)
            .args(["0", "load", &parent.to_string()])
            .output()
            .expect("the lab starts")
    };
    let output = run(std::process::id());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("END done"), "{output:?}");
    let output = run(1);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the parent is gone"), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

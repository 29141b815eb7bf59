//! What differs between two states, in words. Own miniports go by their names in the plan,
//! since a miniport that was removed and made again has another GUID.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Serialize;

use crate::device_name;
use crate::names::Guid;
use crate::state::{State, Value};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of what.
    pub what: String,
    /// What it was; nothing if it was not there.
    pub before: Option<String>,
    /// What it is; nothing if it is not there.
    pub after: Option<String>,
}

/// All differences, by what they are about. Problem codes are left out: they come and go
/// with cables and drivers and are no configuration.
pub fn differences(before: &State, after: &State) -> Vec<Difference> {
    let (before, after) = (facts(before), facts(after));
    let mut found = Vec::new();
    for (what, old) in &before {
        let new = after.get(what);
        if new != Some(old) {
            let (before, after) = (Some(old.clone()), new.cloned());
            found.push(Difference {
                what: what.clone(),
                before,
                after,
            });
        }
    }
    for (what, new) in after.iter().filter(|(what, _)| !before.contains_key(*what)) {
        let (before, after) = (None, Some(new.clone()));
        found.push(Difference {
            what: what.clone(),
            before,
            after,
        });
    }
    found
}

fn facts(state: &State) -> BTreeMap<String, String> {
    let made = || state.record.iter().flat_map(|r| &r.miniports);
    let called = |guid: Guid| {
        let found = made().find(|m| m.guid == guid);
        found.map_or_else(|| guid.to_string(), |m| format!("miniport {:?}", m.name))
    };
    let device = |text: &String| {
        let found = made().find(|m| device_name(m.guid).eq_ignore_ascii_case(text));
        found.map_or_else(|| text.clone(), |m| format!("miniport {:?}", m.name))
    };
    let mut facts = BTreeMap::new();
    for adapter in &state.adapters {
        let of = called(adapter.guid);
        facts.insert(format!("adapter {of}"), adapter.id.clone());
        for (name, value) in &adapter.below {
            let text = match value {
                Value::Number(number) => number.to_string(),
                Value::Text(text) => format!("{:?}", device(text)),
                Value::List(list) => format!("{:?}", list.iter().map(device).collect::<Vec<_>>()),
            };
            facts.insert(format!("value {name} of the binding to {of}"), text);
        }
    }
    for component in &state.components {
        facts.insert(
            format!("component {}", component.id),
            format!("{:?}", component.class),
        );
    }
    for binding in &state.bindings {
        let what = format!(
            "binding of {} to {}",
            binding.component,
            called(binding.adapter)
        );
        // One of several paths in use is in use.
        let enabled = state.binding(&binding.component, binding.adapter) == Some(true);
        let text = if enabled { "enabled" } else { "disabled" };
        facts.insert(what, text.to_owned());
    }
    if let Some(record) = &state.record {
        facts.insert("plan in force".to_owned(), format!("{:?}", record.plan));
        let mut moved: Vec<_> = record
            .moved
            .iter()
            .map(|m| format!("{} on {}", m.component, m.adapter))
            .collect();
        moved.sort();
        facts.insert("bindings to be given back".to_owned(), moved.join(", "));
    }
    facts
}

//! Which devices a binding names above itself, and which adapters serve a device.

use super::binding::Binding;
use super::{Ndis, Value};

/// The devices that a binding's key lists, by the most generous reading of its values: what a
/// driver may take for a name counts.
pub(crate) fn names_above(values: &[(String, Value)]) -> Vec<String> {
    let mut names = Vec::new();
    for value in upper_bindings(values) {
        match value {
            Value::Strings(more) => names.extend_from_slice(more),
            Value::RawStrings(units) => names.extend(split(units)),
            Value::CutStrings(units, bytes) => {
                let whole = usize::from(*bytes) / 2;
                names.extend(split(units.get(..whole).unwrap_or(units)));
            }
            Value::String(one) => names.push(one.clone()),
            Value::Integer(_) | Value::Binary(_) => {}
        }
    }
    names
}

/// The devices that a binding's key lists in due form: a driver has to ask for each.
pub(crate) fn names_due(values: &[(String, Value)]) -> Vec<String> {
    let prefix = "\\DEVICE\\";
    let sound = |name: &&String| {
        let start = name.get(..prefix.len());
        start.is_some_and(|s| s.eq_ignore_ascii_case(prefix)) && name.len() > prefix.len()
    };
    let lists = upper_bindings(values).map_while(|value| match value {
        Value::Strings(names) => Some(names),
        _ => None,
    });
    lists.flatten().filter(sound).cloned().collect()
}

/// `UpperBindings` and the values it goes on in, as long as they follow each other.
fn upper_bindings(values: &[(String, Value)]) -> impl Iterator<Item = &Value> {
    (1..=9).map_while(|number| {
        let key = match number {
            1 => "UpperBindings".to_owned(),
            _ => format!("UpperBindings{number}"),
        };
        let found = values.iter().find(|(k, _)| k.eq_ignore_ascii_case(&key));
        found.map(|(_, value)| value)
    })
}

/// The strings of a REG_MULTI_SZ, with or without its terminators.
fn split(units: &[u16]) -> impl Iterator<Item = String> {
    let names = units.split(|&unit| unit == 0);
    names
        .take_while(|name| !name.is_empty())
        .map(String::from_utf16_lossy)
}

fn lists(values: &[(String, Value)], device: &str) -> bool {
    let names = names_above(values);
    names.iter().any(|name| name.eq_ignore_ascii_case(device))
}

impl Ndis {
    /// Bindings that list a device, are open and do not go.
    pub(super) fn serving(&self, device: &str) -> impl Iterator<Item = u64> {
        let stays = move |b: &Binding| b.opened && !b.closed && !b.unbinding;
        self.bindings
            .iter()
            .filter(move |(_, b)| stays(b) && lists(&b.values, device))
            .map(|(&binding, _)| binding)
    }

    /// Whether a miniport lies on another open adapter by the interface stack, whatever the
    /// registry says meanwhile of that adapter: a team may keep a member until its unbind.
    pub(super) fn rests_on_others(&self, device: &str, binding: u64) -> bool {
        let upper = self.instances.get(device).map_or(0, |i| i.if_index);
        self.bindings.iter().any(|(&other, b)| {
            let lower = self.nics[b.nic].config.if_index;
            other != binding
                && b.opened
                && !b.closed
                && !b.unbinding
                && self.stack_entries.contains(&(upper, lower))
        })
    }

    /// Whether a device has an adapter below that is not closed.
    pub(super) fn is_open_below(&self, device: &str) -> bool {
        let mut all = self.bindings.values();
        all.any(|b| !b.closed && lists(&b.values, device))
    }

    /// Whether a device has or gets an adapter below, or one whose unbind is not over.
    pub(super) fn is_served(&self, device: &str) -> bool {
        let leaves = |names: &Vec<String>| names.iter().any(|n| n.eq_ignore_ascii_case(device));
        self.serving(device).next().is_some()
            || self.binds.values().any(|b| lists(&b.values, device))
            || self.leaving.values().any(leaves)
    }
}

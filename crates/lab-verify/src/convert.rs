//! Values and requests of a plan as the host has them.

use std::collections::BTreeMap;

use lab_host::ndis::{OidCall, OidKind, Value};

use crate::plan::{Action, Request, Setting, unhex};

/// A registry value of a plan as the host has it.
fn value(setting: &Setting) -> Value {
    match setting {
        Setting::Integer(number) => Value::Integer(*number),
        Setting::Text(text) => Value::String(text.clone()),
        Setting::List(list) => Value::Strings(list.clone()),
        Setting::Binary { binary } => Value::Binary(unhex(binary)),
        Setting::Units {
            units,
            length: Some(length),
        } => Value::CutStrings(units.clone(), *length),
        Setting::Units { units, .. } => Value::RawStrings(units.clone()),
    }
}

/// The same for a key.
pub fn values(settings: &BTreeMap<String, Setting>) -> Vec<(String, Value)> {
    let each = settings.iter();
    each.map(|(key, setting)| (key.clone(), value(setting)))
        .collect()
}

/// The request of an [`Action::Oid`].
pub fn oid_call(action: &Action) -> Option<OidCall> {
    let Action::Oid {
        kind,
        oid,
        input,
        output,
        direct,
        cancel_after,
        ..
    } = action
    else {
        return None;
    };
    let kind = match kind {
        Request::Query => OidKind::Query,
        Request::Statistics => OidKind::Statistics,
        Request::Set => OidKind::Set,
        Request::Method => OidKind::Method,
    };
    let output = (*output).min(1 << 16);
    let mut buffer = input.clone();
    if kind != OidKind::Set {
        buffer.resize(buffer.len().max(output as usize), 0);
    }
    Some(OidCall {
        kind,
        oid: *oid,
        input: if matches!(kind, OidKind::Set | OidKind::Method) {
            input.len() as u32
        } else {
            0
        },
        output: if kind == OidKind::Set { 0 } else { output },
        buffer,
        misalign: 0,
        direct: *direct,
        cancel_after: *cancel_after,
    })
}

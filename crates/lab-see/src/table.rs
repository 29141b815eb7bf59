//! A trace as plain text, a line for each call.

use std::fmt::Write as _;

use lab_host::report::CallKind;
use lab_host::trace::{List, Oid};

use crate::model::{Call, Trace, What, short};

/// Names of lists, runs of them as `3-7`.
pub fn lists(all: &[List]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let first = all[at].id;
        let mut end = at;
        while all
            .get(end + 1)
            .is_some_and(|next| next.id == all[end].id + 1)
        {
            end += 1;
        }
        parts.push(if end > at {
            format!("{first}-{}", all[end].id)
        } else {
            match all[at].parent {
                Some(parent) => format!("{first} of {parent}"),
                None => first.to_string(),
            }
        });
        at = end + 1;
    }
    format!("nbl {}", parts.join(", "))
}

/// A request in words.
pub fn oid(oid: &Oid) -> String {
    let kind = match oid.kind {
        0 => "query",
        1 => "set",
        2 => "query of statistics",
        12 => "method",
        _ => "request",
    };
    let mut text = format!("oid {}: {kind} of {:#010x}", oid.id, oid.oid);
    if let Some(parent) = oid.parent {
        let _ = write!(text, ", clone of oid {parent}");
    }
    if let Some(status) = oid.status {
        let _ = write!(text, ", status {:#010x}", status as u32);
    }
    text
}

fn details(trace: &Trace, call: &Call) -> String {
    let mut parts = Vec::new();
    let names: Vec<_> = call.objects.iter().map(|&o| short(trace.name(o))).collect();
    if !names.is_empty() {
        parts.push(names.join(", "));
    }
    if !call.lists.is_empty() {
        parts.push(lists(&call.lists));
    }
    if let Some(request) = &call.oid {
        parts.push(oid(request));
    }
    if call.kind == CallKind::Return {
        if let Some(result) = call.args.first() {
            parts.push(format!("= {result:#x}"));
        }
    } else {
        let args: Vec<_> = call.args.iter().map(|a| format!("{a:#x}")).collect();
        parts.push(format!("({})", args.join(", ")));
    }
    parts.join("  ")
}

/// The table: virtual time, processor, IRQL, task, and what happened. `=>` is a call into the
/// driver, `->` one out of it, `<-` the end of either.
pub fn table(trace: &Trace) -> String {
    let mut out = String::from("        time ns cpu irql  task  what\n");
    for event in &trace.events {
        let (irql, what) = match &event.what {
            What::Call(call) => {
                let arrow = match call.kind {
                    CallKind::Callback => "=>",
                    CallKind::Import => "->",
                    CallKind::Return => "<-",
                };
                let indent = "  ".repeat(call.depth);
                let text = format!("{indent}{arrow} {}  {}", call.name, details(trace, call));
                (call.irql.to_string(), text)
            }
            What::Wire(wire) => {
                let adapter = short(trace.name(wire.adapter));
                let way = if wire.up { "to" } else { "from" };
                let lost = if wire.dropped { ", lost" } else { "" };
                let text = format!("   wire: {} bytes {way} {adapter}{lost}", wire.length);
                (String::new(), text)
            }
            What::Finding { rule, message } => (String::new(), format!("!! {rule}: {message}")),
        };
        let _ = writeln!(
            out,
            "{:>15} {:>3} {irql:>4} {:>5}  {}",
            event.time,
            event.cpu,
            event.task,
            what.trim_end()
        );
    }
    if trace.full {
        out.push_str("the trace is full: more happened after this\n");
    }
    out
}

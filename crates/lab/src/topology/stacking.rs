//! Bindings: what lies above what.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::check::{Kind, Names, Once};
use super::problem::Report;
use super::raw::File;

/// Bindings: references, one binding for each adapter, nothing above itself.
pub(super) fn check<'a>(raw: &'a File, names: &Names, report: &mut Report) {
    let mut bound = Once::new();
    // What a timeline adds is there later.
    let events = || {
        let adds = |event: &&super::raw::Event| event.action.get_ref() == "add";
        raw.timeline.iter().filter(adds)
    };
    let text =
        |value: &'a Option<toml::Spanned<String>>| value.as_ref().map(|v| v.get_ref().as_str());
    let added: BTreeSet<&str> = events().filter_map(|event| text(&event.adapter)).collect();
    let mut above: BTreeMap<&str, Vec<(&str, Range<usize>)>> = BTreeMap::new();
    for binding in &raw.bindings {
        let lower = binding.adapter.get_ref();
        if names.refer(
            &[Kind::Adapter, Kind::Miniport],
            lower,
            &binding.adapter.span(),
            report,
        ) {
            bound.claim(lower.as_str(), binding.adapter.span(), report, |line| {
                format!("`{lower}` is already bound in line {line}")
            });
        }
        let uppers = binding.upper.get_ref();
        if uppers.is_empty() && !raw.incomplete && !added.contains(lower.as_str()) {
            let what = format!("the binding on `{lower}` has no miniport in `upper`");
            report.add(&binding.upper.span(), what);
        }
        let mut listed = Once::new();
        for upper in uppers {
            let (name, span) = (upper.get_ref().as_str(), upper.span());
            if name == lower {
                report.add(
                    &span,
                    format!("the binding on `{lower}` is bound to itself"),
                );
                continue;
            }
            if names.refer(&[Kind::Miniport], name, &span, report) {
                listed.claim(name, span.clone(), report, |_| {
                    format!("`{name}` is in `upper` twice")
                });
                above.entry(lower.as_str()).or_default().push((name, span));
            }
        }
    }
    let mut created: BTreeSet<&str> = events().filter_map(|event| text(&event.port)).collect();
    for binding in &raw.bindings {
        created.extend(binding.upper.get_ref().iter().map(|u| u.get_ref().as_str()));
    }
    for miniport in raw.miniports.iter().filter(|_| !raw.incomplete) {
        let name = miniport.name.get_ref();
        if !created.contains(name.as_str()) {
            let what =
                format!("no binding has miniport `{name}` in `upper`: nothing would create it");
            report.add(&miniport.name.span(), what);
        }
    }
    report_cycles(&above, report);
}

/// Follows every edge upwards once. A cycle is reported at the edge that closes
/// it.
fn report_cycles(above: &BTreeMap<&str, Vec<(&str, Range<usize>)>>, report: &mut Report) {
    fn follow<'a>(
        from: &'a str,
        above: &BTreeMap<&'a str, Vec<(&'a str, Range<usize>)>>,
        path: &mut Vec<&'a str>,
        finished: &mut Vec<&'a str>,
        report: &mut Report,
    ) {
        if finished.contains(&from) {
            return;
        }
        path.push(from);
        for (to, span) in above.get(from).into_iter().flatten() {
            if let Some(start) = path.iter().position(|name| name == to) {
                let mut round = path[start..].to_vec();
                round.push(to);
                report.add(
                    span,
                    format!("the bindings form a cycle: {}", round.join(" -> ")),
                );
            } else {
                follow(to, above, path, finished, report);
            }
        }
        path.pop();
        finished.push(from);
    }

    let mut finished = Vec::new();
    for from in above.keys() {
        follow(from, above, &mut Vec::new(), &mut finished, report);
    }
}

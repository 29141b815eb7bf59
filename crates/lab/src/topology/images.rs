//! Images in place of the lab's own adapters and protocols.
//!
//! `[[image]]` names a `.sys`; an adapter names it as its `driver`, a miniport as its
//! `protocol`. Each image has one of the two parts.

use std::ops::Range;
use std::path::PathBuf;

use super::Image;
use super::check::{Kind, Names};
use super::problem::Report;
use super::raw::{self, File};

/// What an image is by who names it.
const DRIVER: &str = "the `driver` of an adapter";
const PROTOCOL: &str = "the `protocol` of a miniport";

/// Images and whoever names them.
pub(super) fn check(raw: &File, names: &Names, report: &mut Report) -> Vec<Image> {
    let mut uses: Vec<(&str, &str, Range<usize>)> = Vec::new();
    for adapter in &raw.adapters {
        let Some(driver) = &adapter.driver else {
            continue;
        };
        of_its_own(adapter, driver.get_ref(), report);
        if names.refer(&[Kind::Image], driver.get_ref(), &driver.span(), report) {
            uses.push((driver.get_ref(), DRIVER, driver.span()));
        }
        let bound = |b: &raw::Binding| b.adapter.get_ref() == adapter.name.get_ref();
        if !raw.incomplete && !raw.bindings.iter().any(bound) {
            let name = adapter.name.get_ref();
            let what = format!("nothing is bound to adapter `{name}`, which is an image");
            report.add(&adapter.name.span(), what);
        }
    }
    for miniport in &raw.miniports {
        let Some(protocol) = &miniport.protocol else {
            continue;
        };
        let given = [
            ("fold_tags", miniport.fold_tags.is_some()),
            ("window", miniport.window.is_some()),
        ];
        for (key, _) in given.iter().filter(|(_, given)| *given) {
            let what = format!(
                "`{key}` in [[miniport]] is for the lab's protocol: `{}` does as it likes",
                protocol.get_ref()
            );
            report.add(&protocol.span(), what);
        }
        let below = |b: &raw::Binding| b.adapter.get_ref() == miniport.name.get_ref();
        if raw.bindings.iter().any(below) {
            let what = format!(
                "a binding has `{}` as its adapter: no `protocol` beside it",
                miniport.name.get_ref()
            );
            report.add(&protocol.span(), what);
        }
        if names.refer(&[Kind::Image], protocol.get_ref(), &protocol.span(), report) {
            uses.push((protocol.get_ref(), PROTOCOL, protocol.span()));
        }
    }
    let mut images = Vec::new();
    for image in &raw.images {
        let name = image.name.get_ref();
        let mut mine = uses.iter().filter(|(used, ..)| used == name);
        match mine.next() {
            None if raw.incomplete => {}
            None => {
                let what = format!("no adapter and no miniport names the image `{name}`");
                report.add(&image.name.span(), what);
            }
            Some((_, first, span)) => {
                if let Some((_, other, place)) = mine.find(|(_, part, _)| part != first) {
                    let line = report.line(span);
                    let what = format!("`{name}` is {first} in line {line} and cannot be {other}");
                    report.add(place, what);
                }
            }
        }
        let file = image.file.get_ref();
        if !file.to_lowercase().ends_with(".sys") {
            let what = format!("`file` = \"{file}\" in [[image]] is no .sys");
            report.add(&image.file.span(), what);
        }
        images.push(Image {
            name: name.clone(),
            file: PathBuf::from(file),
        });
    }
    images
}

/// What the driver of an adapter decides itself.
fn of_its_own(adapter: &raw::Adapter, driver: &str, report: &mut Report) {
    let numbers = [
        ("mtu", &adapter.mtu),
        ("link_speed_mbps", &adapter.link_speed_mbps),
        ("latency_us", &adapter.latency_us),
        ("queue_depth", &adapter.queue_depth),
    ];
    let mut wrong: Vec<(&str, Range<usize>)> = numbers
        .iter()
        .filter_map(|(key, value)| Some((*key, value.as_ref()?.span())))
        .collect();
    let ratios = [
        ("pend_ratio", &adapter.pend_ratio),
        ("resources_ratio", &adapter.resources_ratio),
        ("read_only_ratio", &adapter.read_only_ratio),
    ];
    let given = ratios
        .iter()
        .filter_map(|(k, v)| Some((*k, v.as_ref()?.span())));
    wrong.extend(given);
    wrong.extend(adapter.medium.as_ref().map(|m| ("medium", m.span())));
    wrong.extend(
        adapter
            .capabilities
            .first()
            .map(|c| ("capabilities", c.span())),
    );
    let switches = [
        ("out_of_order", adapter.out_of_order),
        ("vlan_offload", adapter.vlan_offload),
        ("refuse_promiscuous", adapter.refuse_promiscuous),
        ("split_headers", adapter.split_headers),
        ("paced", adapter.paced),
    ];
    let place = adapter.name.span();
    let given = switches.iter().filter(|(_, value)| value.is_some());
    wrong.extend(given.map(|(key, _)| (*key, place.clone())));
    for (key, span) in wrong {
        let what = format!("`{key}` in [[adapter]] is for the lab's adapter: `{driver}` decides");
        report.add(&span, what);
    }
}

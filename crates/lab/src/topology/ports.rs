//! `[[ports]]`: many miniports of one pattern, written out.
//!
//! ```
//! # let topology = lab::topology::Topology::parse("lab.toml".as_ref(), r#"
//! # [[adapter]]
//! # name = "nic0"
//! # [[binding]]
//! # adapter = "nic0"
//! # upper = []
//! # [[ports]]
//! name = "p{n}"
//! adapter = "nic0"
//! count = 4094
//! vlan_from = 1
//! # "#).unwrap();
//! # assert_eq!(topology.miniports[4093].name, "p4094");
//! # assert_eq!(topology.bindings[0].upper.len(), 4094);
//! ```

use std::collections::BTreeMap;

use lab_net::vlan::LAST_VLAN;
use toml::Spanned;

use super::ConfigValue;
use super::check::{Field, Kind};
use super::problem::Report;
use super::raw::{ConfigValueText, File, Miniport, Ports};

/// Where the number goes in a name.
const NUMBER: &str = "{n}";
const TITLE: &str = "[[ports]]";
/// The driver's value for the VLAN of a port.
pub const VLAN_ID: &str = "VlanID";

/// Writes the tables out: miniports, and what the bindings have above them.
pub(super) fn expand(file: &mut File, report: &mut Report) {
    for ports in std::mem::take(&mut file.ports) {
        let names = miniports(&ports, file, report);
        let adapter = ports.adapter.get_ref();
        let binding = file
            .bindings
            .iter_mut()
            .find(|binding| binding.adapter.get_ref() == adapter);
        if let Some(binding) = binding {
            binding.upper.get_mut().extend(names);
        } else if !file.incomplete {
            let known: Vec<_> = file
                .bindings
                .iter()
                .map(|b| b.adapter.get_ref().as_str())
                .collect();
            let what = format!("no binding has `{adapter}` as its {}", Kind::Adapter.word());
            report.unknown(&ports.adapter.span(), what, adapter, known);
            // Nobody else is at fault for what is missing now.
            file.incomplete = true;
        }
    }
}

fn miniports(ports: &Ports, file: &mut File, report: &mut Report) -> Vec<Spanned<String>> {
    let span = ports.name.span();
    let pattern = ports.name.get_ref();
    let mut field = Field(report, TITLE);
    let last = i64::from(LAST_VLAN);
    let count = field.number("count", Some(&ports.count), 1..=last, 1);
    let first = field.number("first", ports.first.as_ref(), 0..=65_535, 1);
    let vlan = ports.vlan_from.as_ref();
    let vlan = vlan.map(|from| {
        // The last of them has to be one, too.
        field.number("vlan_from", Some(from), 1..=last + 1 - count, 1)
    });
    if !pattern.contains(NUMBER) {
        let what = format!("the name `{pattern}` in {TITLE} needs {NUMBER} where the number goes");
        report.add(&span, what);
        file.incomplete = true;
        return Vec::new();
    }
    if let Some(vlan) = &ports.vlan_from
        && ports.properties.contains_key(VLAN_ID)
    {
        let what = format!("`{VLAN_ID}` of {TITLE} comes from `vlan_from`: not both");
        report.add(&vlan.span(), what);
    }
    let mut names = Vec::new();
    for n in 0..count {
        let name = pattern.replace(NUMBER, &(first + n).to_string());
        let name = Spanned::new(span.clone(), name);
        let mut properties: BTreeMap<String, ConfigValueText> = ports.properties.clone();
        if let Some(vlan) = vlan {
            let number = ConfigValue::Number((vlan + n) as u32);
            properties.insert(VLAN_ID.to_owned(), ConfigValueText(number));
        }
        file.miniports.push(Miniport {
            name: name.clone(),
            fold_tags: None,
            window: None,
            properties,
            protocol: None,
        });
        names.push(name);
    }
    names
}

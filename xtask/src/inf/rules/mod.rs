//! The rules, by subject. Each looks at the whole package and reports under its
//! own id only, so that one fault is one finding.

mod declarative;
mod files;
mod network;
mod parameters;
mod sections;
mod services;
mod version;

use super::{
    graph,
    lint::{Findings, Package},
    parse::Inf,
};

/// Every rule.
pub const ALL: &[fn(&Package, &mut Findings)] = &[
    sections::syntax,
    sections::references,
    sections::leftovers,
    sections::strings,
    sections::duplicates,
    version::class,
    version::identity,
    version::driver_version,
    version::architecture,
    files::listed,
    files::directories,
    files::store,
    files::copied_infs,
    network::characteristics,
    network::interfaces,
    network::excluded,
    network::notify_object,
    network::medium,
    network::registry,
    parameters::parameters,
    parameters::standardized,
    services::service_values,
    services::service_sections,
    services::removal,
    services::one_image,
    services::registered_name,
    declarative::legacy,
    declarative::provider,
    declarative::shared,
    declarative::outside,
    declarative::values,
    declarative::needs,
];

/// The class id of the notify object, with its line.
pub fn notify_class(inf: &Inf) -> Option<(usize, String)> {
    let installs = graph::installs(inf);
    installs
        .iter()
        .flat_map(|(_, install)| graph::registry(inf, install))
        .find(|value| value.is("Ndi", "ClsID"))
        .map(|value| (value.line, value.text().to_owned()))
}

/// Whether the text is a GUID in braces.
fn is_guid(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
    else {
        return false;
    };
    let lengths: Vec<usize> = inner.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && inner.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

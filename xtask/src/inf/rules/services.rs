//! Rules about services: their names, and the image that they load.

use std::collections::BTreeMap;

use super::graph::{self, Service};
use crate::inf::lint::{Class, Findings, InfFile, Package, has_extension};

/// INF-4: the service in `Ndi` is one that is installed; a protocol lists all of
/// them in CoServices, an adapter has none.
pub fn service_values(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        for (_, install) in graph::installs(&file.inf) {
            if !file.inf.has(&install) {
                continue;
            }
            let services = graph::services(&file.inf, &install);
            let values = graph::registry(&file.inf, &install);
            let Some(service) = values.iter().find(|value| value.is("Ndi", "Service")) else {
                let line = file.inf.line_of(&install);
                out.error(
                    "INF-4",
                    &file.name,
                    line,
                    format!("[{install}] adds no Ndi\\Service"),
                );
                continue;
            };
            if !services
                .iter()
                .any(|added| added.name.eq_ignore_ascii_case(service.text()))
            {
                let message = format!(
                    "{:?} is not a service of [{install}.Services]",
                    service.text()
                );
                out.error("INF-4", &file.name, service.line, message);
                continue;
            }
            let all = values.iter().find(|value| value.is("Ndi", "CoServices"));
            match (file.class(), all) {
                (Class::NetTrans, None) => {
                    let message = "a protocol lists its services in Ndi\\CoServices".to_owned();
                    out.error("INF-4", &file.name, service.line, message);
                }
                (Class::NetTrans, Some(all)) => {
                    let complete = services.len() == all.data.len()
                        && services.iter().all(|added| {
                            all.data
                                .iter()
                                .any(|name| name.eq_ignore_ascii_case(&added.name))
                        });
                    if !complete || graph::number(&all.flags) != Some(0x1_0000) {
                        let message =
                            "CoServices is a REG_MULTI_SZ of exactly the installed services";
                        out.error("INF-4", &file.name, all.line, message.to_owned());
                    }
                }
                (Class::Net, Some(all)) => {
                    let message = "an adapter has one service and no CoServices".to_owned();
                    out.error("INF-4", &file.name, all.line, message);
                }
                _ => {}
            }
        }
    }
}

/// INF-L11: each service loads the image that its package copies, and both edges
/// come from one image under two service names.
pub fn service_sections(package: &Package, out: &mut Findings) {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let mut image: Option<String> = None;
    for file in &package.infs {
        for (_, install) in graph::installs(&file.inf) {
            for service in graph::services(&file.inf, &install) {
                let owner = names
                    .entry(service.name.to_ascii_lowercase())
                    .or_insert(&file.name);
                if *owner != file.name {
                    let message = format!("{owner} installs a service {} as well", service.name);
                    out.error("INF-L11", &file.name, service.line, message);
                }
                if !file.inf.has(&service.section) {
                    continue;
                }
                match loaded(file, &install, &service) {
                    Err((line, message)) => out.error("INF-L11", &file.name, line, message),
                    Ok((line, name)) => {
                        let image = image.get_or_insert_with(|| name.clone());
                        if *image != name {
                            let message =
                                format!("the other edge is in {image}, this one in {name}");
                            out.error("INF-L11", &file.name, line, message);
                        }
                    }
                }
            }
        }
    }
}

/// INF-L19: the protocol's service is never started, so that there is one image however
/// many paths lead to it: it is started on demand, belongs to no group, waits for nothing.
pub fn one_image(package: &Package, out: &mut Findings) {
    for file in package.of_class(Class::NetTrans) {
        for (_, install) in graph::installs(&file.inf) {
            for service in graph::services(&file.inf, &install) {
                let start = file.inf.entry(&service.section, "StartType");
                // Starts that no driver may have are INF-L11's.
                if let Some(start) = start
                    && matches!(graph::number(start.value(0)), Some(0..=2))
                {
                    let message = format!(
                        "{} would be started beside the adapter's service, which loads the image",
                        service.name
                    );
                    out.error("INF-L19", &file.name, start.line, message);
                }
                for key in ["LoadOrderGroup", "Dependencies", "StartName"] {
                    if let Some(entry) = file.inf.entry(&service.section, key) {
                        let message = format!(
                            "{key} is for a service that starts; {} never does",
                            service.name
                        );
                        out.error("INF-L19", &file.name, entry.line, message);
                    }
                }
            }
        }
    }
}

/// PTR-3: the image registers its protocol under the name of the service. What can be
/// seen from outside is that the name, in UTF-16, is in an image that registers one.
pub fn registered_name(package: &Package, out: &mut Findings) {
    let has = |bytes: &[u8], part: &[u8]| bytes.windows(part.len().max(1)).any(|at| at == part);
    let images = package.files.iter().filter(|(name, bytes)| {
        has_extension(name, "sys") && has(bytes, b"NdisRegisterProtocolDriver")
    });
    for (image, bytes) in images {
        for file in package.of_class(Class::NetTrans) {
            for (_, install) in graph::installs(&file.inf) {
                for service in graph::services(&file.inf, &install) {
                    let name: Vec<u8> = service
                        .name
                        .encode_utf16()
                        .flat_map(u16::to_le_bytes)
                        .collect();
                    if !has(bytes, &name) {
                        let message =
                            format!("{image} does not know the protocol name {}", service.name);
                        out.error("PTR-3", &file.name, service.line, message);
                    }
                }
            }
        }
    }
}

/// INF-L17: a protocol takes its services away with it. An adapter has no Remove
/// section: other instances may still use what it would remove.
pub fn removal(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        for (_, install) in graph::installs(&file.inf) {
            let section = format!("{install}.Remove.Services");
            let removed = file
                .inf
                .entries(&section)
                .filter(|entry| entry.has_key("DelService"));
            let removed: Vec<_> = removed
                .map(|entry| (entry.line, file.inf.expand(entry.value(0))))
                .collect();
            let services = graph::services(&file.inf, &install);
            if file.class() == Class::NetTrans {
                for service in &services {
                    if !removed
                        .iter()
                        .any(|(_, name)| name.eq_ignore_ascii_case(&service.name))
                    {
                        let message = format!("[{section}] does not delete {}", service.name);
                        out.error("INF-L17", &file.name, service.line, message);
                    }
                }
            }
            for (line, name) in removed {
                let own = services
                    .iter()
                    .any(|service| service.name.eq_ignore_ascii_case(&name));
                if file.class() == Class::Net || !own {
                    let message = format!("{name} is not this component's to delete");
                    out.error("INF-L17", &file.name, line, message);
                }
            }
        }
    }
}

/// The image of a service, or what is wrong with it.
fn loaded(
    file: &InfFile,
    install: &str,
    service: &Service,
) -> Result<(usize, String), (usize, String)> {
    let associated = graph::number(&service.flags).is_some_and(|flags| flags & 2 != 0);
    if associated != (file.class() == Class::Net) {
        let message = "the service of an adapter, and no other, has SPSVCINST_ASSOCSERVICE (2)";
        return Err((service.line, message.to_owned()));
    }
    let entry = |key: &str| {
        let entry = file.inf.entry(&service.section, key);
        entry.ok_or_else(|| {
            let message = format!("[{}] has no {key}", service.section);
            (file.inf.line_of(&service.section), message)
        })
    };
    for (key, allowed) in [
        ("ServiceType", 1..=1),
        ("StartType", 0..=3),
        ("ErrorControl", 0..=3),
    ] {
        let found = entry(key)?;
        if !graph::number(found.value(0)).is_some_and(|value| allowed.contains(&value)) {
            let message = format!("{key} {:?} is not for a network driver", found.value(0));
            return Err((found.line, message));
        }
    }
    let binary = entry("ServiceBinary")?;
    let path = binary.value(0);
    let name = path
        .starts_with('%')
        .then(|| path.rsplit('\\').next())
        .flatten();
    let Some(name) = name.filter(|name| has_extension(name, "sys") && path.contains("%\\")) else {
        return Err((binary.line, format!("{path:?} is not %dirid%\\name.sys")));
    };
    // A list without a destination is INF-L7's.
    let copied = graph::files(&file.inf, install).into_iter().any(|copy| {
        copy.name.eq_ignore_ascii_case(name)
            && !copy.deleted
            && graph::destination(&file.inf, &copy.list).is_none_or(|(_, dirid, folder)| {
                path.eq_ignore_ascii_case(&graph::target_path(dirid, folder, name))
            })
    });
    if !copied {
        return Err((
            binary.line,
            format!("[{install}] does not copy {name} to {path}"),
        ));
    }
    Ok((binary.line, name.to_ascii_lowercase()))
}

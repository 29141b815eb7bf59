//! Rules about files: what is listed, where it goes, what is brought along.

use std::collections::BTreeSet;

use super::graph;
use crate::inf::{
    lint::{Class, Findings, Package, has_extension},
    parse::{Token, tokens},
    stamp::FIRST_BUILD_FROM_STORE,
};

/// Directory ids with a documented meaning.
const DIRIDS: [i64; 30] = [
    -1, 1, 10, 11, 12, 13, 17, 18, 20, 21, 23, 24, 25, 30, 50, 51, 52, 53, 54, 55, 16406, 16407,
    16408, 16409, 16415, 16419, 16422, 16425, 16426, 16427,
];

/// The driver store.
const STORE: i64 = 13;

/// The first build whose network components without a notify object run from
/// the driver store (INF-9).
const FIRST_BUILD_WITHOUT_NOTIFY_OBJECT: u32 = 25319;

/// INF-L4: a listed file is in the package. INF-L5: a binary in the package is
/// listed. INF-L6: what is copied is listed with a disk for the machine that copies
/// it, and the other way round.
pub fn listed(package: &Package, out: &mut Findings) {
    let mut all = BTreeSet::new();
    for file in &package.infs {
        let sources = graph::sources(&file.inf);
        let mut copied = BTreeSet::new();
        for (models, install) in graph::installs(&file.inf) {
            for copy in graph::files(&file.inf, &install)
                .iter()
                .filter(|copy| !copy.deleted)
            {
                let name = copy.source_name();
                let platform = models.platform();
                if let Some(source) = graph::source(&sources, &platform, name) {
                    copied.insert((source.platform.clone(), source.name.clone()));
                } else {
                    let message =
                        format!("{name} is copied but not in [SourceDisksFiles] for {platform}");
                    out.error("INF-L6", &file.name, copy.line, message);
                }
            }
        }
        for source in &sources {
            let path = source.path();
            if !package.has(&path) {
                let message = format!("{path} is not in the package");
                out.error("INF-L4", &file.name, source.line, message);
            }
            if !copied.contains(&(source.platform.clone(), source.name.clone())) {
                let message = format!("{path} is listed but never copied");
                out.error("INF-L6", &file.name, source.line, message);
            }
            if file.inf.entry("SourceDisksNames", &source.disk).is_none() {
                let message = format!("disk {:?} is not in [SourceDisksNames]", source.disk);
                out.error("INF-L6", &file.name, source.line, message);
            }
            all.insert(path.to_ascii_lowercase());
        }
    }
    for name in package.files.keys() {
        let binary = has_extension(name, "sys") || has_extension(name, "dll");
        if binary && !all.contains(&name.to_ascii_lowercase()) {
            out.error("INF-L5", name, 0, "no INF lists this file".to_owned());
        }
        if has_extension(name, "cat") {
            let owner = format!("{}inf", &name[..name.len() - 3]);
            if !package.has(&owner) {
                out.error(
                    "INF-L5",
                    name,
                    0,
                    format!("there is no {owner} for this catalog"),
                );
            }
        }
    }
}

/// INF-L7: directory ids are numbers that mean something, and each file list has one.
pub fn directories(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        for entry in file.inf.entries("DestinationDirs") {
            let dirid = entry.value(0);
            if !dirid
                .parse::<i64>()
                .is_ok_and(|dirid| DIRIDS.contains(&dirid))
            {
                let message = format!("{dirid:?} is not a known directory id");
                out.error("INF-L7", &file.name, entry.line, message);
            }
        }
        for (_, install) in graph::installs(&file.inf) {
            for copy in graph::files(&file.inf, &install) {
                if graph::destination(&file.inf, &copy.list).is_none() {
                    let message = format!("[{}] has no entry in [DestinationDirs]", copy.list);
                    out.error("INF-L7", &file.name, copy.line, message);
                }
            }
        }
        for entry in file
            .inf
            .sections
            .iter()
            .flat_map(|section| &section.entries)
        {
            for token in entry.values.iter().flat_map(|value| tokens(value)) {
                let Token::Key(key) = token else { continue };
                if key
                    .parse::<i64>()
                    .is_ok_and(|dirid| !DIRIDS.contains(&dirid))
                {
                    let message = format!("%{key}% is not a known directory id");
                    out.error("INF-L7", &file.name, entry.line, message);
                }
            }
        }
    }
}

/// INF-9: the driver store from the build on that can run network components
/// from it, the system's directories before; nothing renamed or deleted there.
pub fn store(package: &Package, out: &mut Findings) {
    let first = if package.has_notify_object() {
        FIRST_BUILD_FROM_STORE
    } else {
        FIRST_BUILD_WITHOUT_NOTIFY_OBJECT
    };
    for file in &package.infs {
        let inf = &file.inf;
        let installs = graph::installs(inf);
        let sources = graph::sources(inf);
        let platforms: BTreeSet<_> = installs.iter().map(|(m, _)| m.platform()).collect();
        for (platform, (wanted, name)) in platforms.iter().flat_map(|platform| {
            [
                (true, "with a build number (DIRID 13)"),
                (false, "without one (DIRID 12)"),
            ]
            .map(|wanted| (platform, wanted))
        }) {
            let line = inf.line_of("Manufacturer");
            if !installs.iter().any(|(models, _)| {
                models.platform() == *platform && models.build.is_some() == wanted
            }) {
                let message = format!("there is no models section for {platform} {name}");
                out.error("INF-9", &file.name, line, message);
            }
        }
        for (models, install) in &installs {
            if models.build.is_some_and(|build| build < first) {
                let message = format!("[{}] begins before build {first}", models.section);
                out.error("INF-9", &file.name, models.line, message);
            }
            for copy in graph::files(inf, install) {
                let Some((line, dirid, subdir)) = graph::destination(inf, &copy.list) else {
                    continue;
                };
                let Some(dirid) = dirid.parse::<i64>().ok().filter(|id| DIRIDS.contains(id)) else {
                    continue;
                };
                let before = if has_extension(&copy.name, "sys") {
                    12
                } else {
                    11
                };
                let right = if models.build.is_some() {
                    STORE
                } else {
                    before
                };
                if dirid != right {
                    let message = format!(
                        "{} goes to DIRID {dirid}; from [{}] it must be {right}",
                        copy.name, models.section
                    );
                    out.error("INF-9", &file.name, line, message);
                    continue;
                }
                if dirid == STORE && copy.deleted {
                    let message = format!("{} lies in the driver store: no DelFiles", copy.name);
                    out.error("INF-9", &file.name, copy.line, message);
                }
                let renamed =
                    !copy.source.is_empty() && !copy.source.eq_ignore_ascii_case(&copy.name);
                if dirid == STORE && renamed {
                    let message =
                        format!("{} is renamed on its way to the driver store", copy.source);
                    out.error("INF-9", &file.name, copy.line, message);
                }
                // What runs from the store stays where the package has it.
                let source = graph::source(&sources, &models.platform(), copy.source_name());
                if dirid == STORE
                    && let Some(source) = source
                    && !source.folder.eq_ignore_ascii_case(subdir)
                {
                    let message = format!(
                        "{} lies in folder {:?} of the package, not in {subdir:?}",
                        copy.name, source.folder
                    );
                    out.error("INF-9", &file.name, line, message);
                }
            }
        }
    }
}

/// INF-8: each way to install the protocol brings in the miniport's INF.
pub fn copied_infs(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let inf = &file.inf;
        for (_, install) in graph::installs(inf) {
            if !inf.has(&install) {
                continue;
            }
            let copied = graph::listed(inf, &install, "CopyINF");
            for (line, name) in &copied {
                if !package.has(name) {
                    let message = format!("CopyINF names {name}, which is not in the package");
                    out.error("INF-8", &file.name, *line, message);
                }
            }
            if file.class() != Class::NetTrans || !copied.iter().all(|(_, name)| package.has(name))
            {
                continue;
            }
            for miniport in package.of_class(Class::Net) {
                if !copied
                    .iter()
                    .any(|(_, name)| name.eq_ignore_ascii_case(&miniport.name))
                {
                    let message = format!(
                        "[{install}] does not bring in {} with CopyINF",
                        miniport.name
                    );
                    out.error("INF-8", &file.name, inf.line_of(&install), message);
                }
            }
        }
    }
}

//! `cargo xtask lint`: the linter by itself, and what it understands of a package's INFs.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::graph;
use super::lint::{InfFile, Package, Severity, lint_files};

/// Judges the package in `folder`; the exit code is 1 if a finding is an error.
pub fn command(folder: &Path, as_json: bool) -> Result<i32> {
    let package = Package::open(folder)?;
    let findings = lint_files(&package);
    let errors = findings.iter().filter(|f| f.severity == Severity::Error);
    let errors = errors.count();
    if as_json {
        let infs: Vec<_> = package.infs.iter().map(understood).collect();
        let document = json!({ "findings": findings, "infs": infs });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        for finding in &findings {
            println!("{finding}");
        }
        println!(
            "{} INFs, {errors} errors, {} notes",
            package.infs.len(),
            findings.len() - errors
        );
    }
    Ok(i32::from(errors > 0))
}

/// What the linter reads of an INF: for each way to install it the registry values, services
/// and files.
fn understood(file: &InfFile) -> Value {
    let inf = &file.inf;
    let sources = graph::sources(inf);
    let installs: Vec<_> = graph::installs(inf)
        .into_iter()
        .map(|(models, install)| {
            let services: Vec<_> = graph::services(inf, &install)
                .into_iter()
                .map(|service| {
                    let value = |key: &str| {
                        let entry = inf.entry(&service.section, key);
                        entry.map(|entry| inf.expand(entry.value(0)))
                    };
                    json!({
                        "name": service.name,
                        "flags": service.flags,
                        "display_name": value("DisplayName"),
                        "type": value("ServiceType"),
                        "start": value("StartType"),
                        "error_control": value("ErrorControl"),
                        "binary": value("ServiceBinary"),
                    })
                })
                .collect();
            let files: Vec<_> = graph::files(inf, &install)
                .into_iter()
                .map(|copy| {
                    let source = graph::source(&sources, &models.platform(), copy.source_name());
                    let to = graph::destination(inf, &copy.list);
                    json!({
                        "name": copy.name,
                        "source": source.map(graph::Source::path),
                        "target": to.map(|(_, dirid, folder)|
                            graph::target_path(dirid, folder, &copy.name)),
                    })
                })
                .collect();
            json!({
                "models": models.section,
                "architecture": models.architecture,
                "section": install,
                "registry": graph::registry(inf, &install),
                "services": services,
                "files": files,
            })
        })
        .collect();
    json!({ "file": file.name, "installs": installs })
}

//! Rules about the text: syntax, sections, strings, leftovers.

use std::collections::BTreeSet;

use super::graph;
use crate::inf::{
    lint::{Findings, Package},
    parse::{Token, tokens},
};

/// Marks of a template or of an unfinished text.
const MARKS: [&str; 10] = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "$ARCH$",
    "TODO",
    "FIXME",
    "XXX",
    "CHECK THIS",
];

/// INF-L1: the file can be read, and reads the same everywhere.
pub fn syntax(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        for (line, problem) in &file.inf.problems {
            out.error("INF-L1", &file.name, *line, problem.clone());
        }
    }
}

/// INF-L2: a section that is named exists. INF-L3: one that exists is named.
pub fn references(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let (references, used) = graph::references(&file.inf);
        for reference in &references {
            if !file.inf.has(&reference.section) {
                let message = format!("there is no section [{}]", reference.section);
                out.error("INF-L2", &file.name, reference.line, message);
            }
        }
        for section in &file.inf.sections {
            if !used.contains(&section.name.to_ascii_lowercase()) {
                let message = format!("nothing refers to section [{}]", section.name);
                out.error("INF-L3", &file.name, section.line, message);
            }
        }
    }
}

/// INF-L8: no template marks and no notes to the author.
pub fn leftovers(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let text = String::from_utf8_lossy(&file.raw);
        for (index, line) in text.lines().enumerate() {
            if let Some(mark) = MARKS.iter().find(|mark| line.contains(**mark)) {
                out.error(
                    "INF-L8",
                    &file.name,
                    index + 1,
                    format!("{mark:?} is left over"),
                );
            }
        }
    }
}

/// INF-L9: every string key that is used is defined, and the other way round.
pub fn strings(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let strings = file.inf.strings();
        let mut used = BTreeSet::new();
        for section in &file.inf.sections {
            if section.name.eq_ignore_ascii_case("Strings") {
                continue;
            }
            for entry in &section.entries {
                for text in entry.key.iter().chain(&entry.values) {
                    for token in tokens(text) {
                        let Token::Key(key) = token else { continue };
                        // A number is a directory id (INF-L7).
                        if key.parse::<i64>().is_ok() {
                            continue;
                        }
                        let key = key.to_ascii_lowercase();
                        if !strings.contains_key(&key) {
                            let message = format!("string %{key}% is not defined");
                            out.error("INF-L9", &file.name, entry.line, message);
                        }
                        used.insert(key);
                    }
                }
            }
        }
        for (key, (line, _)) in strings {
            if !used.contains(&key) {
                out.error(
                    "INF-L9",
                    &file.name,
                    line,
                    format!("string %{key}% is not used"),
                );
            }
        }
    }
}

/// INF-L16: nothing is said twice in one section, where the second would win or be lost.
pub fn duplicates(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let mut seen = BTreeSet::new();
        for section in &file.inf.sections {
            let name = section.name.to_ascii_lowercase();
            for entry in &section.entries {
                let what = match &entry.key {
                    // A section may add several services.
                    Some(key) if key.eq_ignore_ascii_case("AddService") => continue,
                    Some(key) => key.to_ascii_lowercase(),
                    None => entry
                        .values
                        .iter()
                        .take(3)
                        .fold(String::new(), |mut text, value| {
                            text.push_str(&value.to_ascii_lowercase());
                            text.push(',');
                            text
                        }),
                };
                if !seen.insert((name.clone(), what)) {
                    let message = format!("[{}] says this twice", section.name);
                    out.error("INF-L16", &file.name, entry.line, message);
                }
            }
        }
    }
}

//! `cargo xtask contract`: which rule of the contract is cited where.
//!
//! The rules of an intermediate driver have ids (`SND-7`). Whoever obeys, checks or
//! tests one names it at that line, so that the table in `docs/contract.md` can be made
//! from the sources, and a rule that nothing cites is seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The rules, where the host has them from.
const RULES: &str = "crates/lab-host/rules/ndis-rules.json";

/// The page that holds the table, and the lines that enclose it.
const PAGE: &str = "docs/contract.md";
const BEGIN: &str = "<!-- table: cargo xtask contract -->";
const END: &str = "<!-- end of table -->";

#[derive(Deserialize)]
struct Rule {
    id: String,
    area: String,
    statement: String,
    severity: String,
}

/// Who cites a rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Layer,
    Driver,
    Host,
    Lint,
    Test,
}

/// The sources and what a citation in them means.
const SOURCES: [(&str, Place); 8] = [
    ("crates/ndis-sys/src", Place::Layer),
    ("crates/ndis/src", Place::Layer),
    ("crates/im-core/src", Place::Driver),
    ("drivers", Place::Driver),
    ("crates/lab-host/src", Place::Host),
    ("xtask/src/inf", Place::Lint),
    ("tests", Place::Test),
    ("crates", Place::Test),
];

/// Rewrites the table of the page.
pub fn write(root: &Path) -> anyhow::Result<()> {
    let path = root.join(PAGE);
    let page = fs_err::read_to_string(&path)?;
    fs_err::write(&path, renewed(root, &page)?)?;
    Ok(())
}

/// The page with the table as the sources make it now.
fn renewed(root: &Path, page: &str) -> anyhow::Result<String> {
    let (head, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("{PAGE} has no {BEGIN}"))?;
    let (_, tail) = rest
        .split_once(END)
        .with_context(|| format!("{PAGE} has no {END}"))?;
    let table = table(&rules(root)?, &citations(root)?);
    Ok(format!("{head}{BEGIN}\n\n{table}\n{END}{tail}"))
}

fn rules(root: &Path) -> anyhow::Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = serde_json::from_str(&fs_err::read_to_string(root.join(RULES))?)?;
    ensure!(!rules.is_empty(), "{RULES} is empty");
    // SND-2 before SND-10.
    rules.sort_by_cached_key(|rule| {
        let (letters, number) = rule.id.split_once('-').unwrap_or((&rule.id, ""));
        (
            rule.area.clone(),
            letters.to_owned(),
            number.parse::<u32>().unwrap_or(0),
        )
    });
    Ok(rules)
}

fn table(rules: &[Rule], cited: &BTreeMap<String, BTreeSet<Place>>) -> String {
    let mut areas: Vec<&str> = Vec::new();
    for rule in rules {
        if !areas.contains(&rule.area.as_str()) {
            areas.push(&rule.area);
        }
    }
    let known = rules
        .iter()
        .filter(|rule| cited.contains_key(&rule.id))
        .count();
    let mut lines = vec![format!("{known} of {} rules are cited.", rules.len())];
    for area in areas {
        lines.push(format!("\n### {area}\n"));
        lines.push("| Rule | Says | Severity | Types | Driver | Host | Test |".to_owned());
        lines.push("|---|---|---|---|---|---|---|".to_owned());
        for rule in rules.iter().filter(|rule| rule.area == area) {
            let has = |place| {
                cited
                    .get(&rule.id)
                    .is_some_and(|places| places.contains(&place))
            };
            let mark = |yes: bool| if yes { "x" } else { "" };
            lines.push(format!(
                "| {} | {} | {} | {} | {} | {} | {} |",
                rule.id,
                first_sentence(&rule.statement),
                rule.severity,
                mark(has(Place::Layer)),
                mark(has(Place::Driver)),
                mark(has(Place::Host) || has(Place::Lint)),
                mark(has(Place::Test)),
            ));
        }
    }
    lines.join("\n") + "\n"
}

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text[..end].replace('|', "\\|")
}

/// Every rule id in the sources, with the places that cite it.
fn citations(root: &Path) -> anyhow::Result<BTreeMap<String, BTreeSet<Place>>> {
    let mut found: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
    for (folder, place) in SOURCES {
        let mut files = Vec::new();
        rust_files(&root.join(folder), &mut files)?;
        for path in files {
            let text = fs_err::read_to_string(&path)?;
            let whole_test = path.components().any(|part| part.as_os_str() == "tests");
            let at = if whole_test {
                0
            } else {
                text.find("#[cfg(test)]").unwrap_or(text.len())
            };
            let (code, tests) = text.split_at(at);
            // The last entry of the list is there for the tests inside crates.
            let part = if place == Place::Test { tests } else { code };
            for id in ids(part) {
                found.entry(id.to_owned()).or_default().insert(place);
            }
        }
    }
    Ok(found)
}

fn rust_files(folder: &Path, out: &mut Vec<std::path::PathBuf>) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
    Ok(())
}

/// Everything of the form `ABC-12`.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| {
        word.split_once('-').is_some_and(|(area, number)| {
            matches!(area.len(), 2 | 3)
                && area.bytes().all(|byte| byte.is_ascii_uppercase())
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    #[test]
    fn ids_are_found_in_text() {
        let text = "/// Restores it (SND-6, RCV-5) as UTF-16; INF-L1, SND-, X-1, SND-7.";
        let found: Vec<_> = ids(text).collect();
        assert_eq!(found, ["SND-6", "RCV-5", "UTF-16", "SND-7"]);
    }

    /// A citation with a slip of the pen would prove nothing.
    #[test]
    fn every_cited_rule_exists() {
        let rules = rules(root()).unwrap();
        let known: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        let areas: BTreeSet<&str> = known.iter().filter_map(|id| id.split('-').next()).collect();
        let cited = citations(root()).unwrap();
        let wrong: Vec<_> = cited
            .keys()
            .filter(|id| areas.contains(id.split('-').next().unwrap_or_default()))
            .filter(|id| !known.contains(id.as_str()))
            .collect();
        assert!(wrong.is_empty(), "no such rules: {wrong:?}");
        assert!(cited.len() > 50, "only {} rules are cited", cited.len());
    }

    #[test]
    fn the_page_is_current() {
        let page = fs_err::read_to_string(root().join(PAGE)).unwrap();
        let renewed = renewed(root(), &page).unwrap();
        let mut lines = page.lines().zip(renewed.lines());
        let first = lines.find(|(there, made)| there != made);
        assert!(
            page == renewed,
            "`cargo xtask contract` makes {PAGE} again; the first line that differs: {first:?}"
        );
    }

    #[test]
    fn the_page_has_a_place_for_the_table() {
        let page = fs_err::read_to_string(root().join(PAGE)).unwrap();
        let (_, rest) = page.split_once(BEGIN).unwrap();
        assert!(rest.contains(END));
    }
}

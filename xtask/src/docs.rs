//! What the pages of the documentation refer to is there: other pages and their
//! headings, rules of the contract, commands.

pub mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Parser as _;
use serde::Deserialize;

use crate::cli::Cli;

fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap().to_owned()
}

/// All pages, by their path from the root.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut paths: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
        .map(PathBuf::from)
        .to_vec();
    for folder in ["docs", "inf"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name();
            if Path::new(&name).extension().is_some_and(|e| e == "md") {
                paths.push(Path::new(folder).join(name));
            }
        }
    }
    let read = |path: &PathBuf| std::fs::read_to_string(root().join(path)).unwrap();
    paths.into_iter().map(|p| (p.clone(), read(&p))).collect()
}

/// Targets of links: what stands in `](…)`.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.match_indices("](")
        .filter_map(|(at, _)| page[at + 2..].split(')').next())
}

/// The name that a heading has in links.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|h| anchor(h.trim_start_matches('#')))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (path, page) in &pages {
        for link in links(page) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let there = root().join(&target).exists();
            let has = heading.is_empty()
                || pages
                    .get(&target)
                    .is_some_and(|p| anchors(p).contains(heading));
            if !there || !has {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 20, "{seen} links");
}

#[test]
fn the_summary_lists_every_page() {
    let pages = pages();
    let summary = &pages[Path::new("docs/SUMMARY.md")];
    let listed: BTreeSet<_> = links(summary).collect();
    let there: BTreeSet<_> = pages
        .keys()
        .filter_map(|path| path.strip_prefix("docs").ok()?.to_str())
        .filter(|name| *name != "SUMMARY.md")
        .collect();
    assert_eq!(listed, there);
}

/// Ids of rules in a text: `SND-7`, `INF-L12`.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| {
        let Some((letters, number)) = word.split_once('-') else {
            return false;
        };
        let number = number.strip_prefix('L').unwrap_or(number);
        letters.len() == 3
            && !["SHA", "UTF"].contains(&letters)
            && letters.bytes().all(|b| b.is_ascii_uppercase())
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

#[test]
fn rules_that_are_cited_exist() {
    #[derive(Deserialize)]
    struct Rule {
        id: String,
    }
    let path = root().join("crates/lab-host/rules/ndis-rules.json");
    let rules: Vec<Rule> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let known: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for (path, page) in &pages() {
        for id in ids(page) {
            // The linter's own rules are in a table of `docs/windows.md`.
            let own = id.starts_with("INF-L");
            if !own && !known.contains(id) {
                wrong.push(format!("{}: {id}", path.display()));
            }
            seen.insert(id.to_owned());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() > 100, "{} ids", seen.len());
}

/// Words of a command line, without the comment behind it.
fn words(line: &str) -> Vec<&str> {
    let line = line.split(" #").next().unwrap_or(line);
    let line = line.split("   ").next().unwrap_or(line);
    line.split_whitespace().collect()
}

#[test]
fn commands_that_are_shown_are_understood() {
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for (path, page) in &pages() {
        let blocks = page
            .lines()
            .filter_map(|line| line.strip_prefix("    cargo xtask "));
        let inline = page
            .match_indices("`cargo xtask ")
            .filter_map(|(at, start)| page[at + start.len()..].split('`').next());
        for line in blocks.chain(inline) {
            let words = words(line);
            // Names to be filled in; several commands in one go.
            let line = words
                .join(" ")
                .replace("<name>", "mux")
                .replace("<driver>", "mux");
            let line = line.replace("[driver]", "mux");
            let arguments = ["cargo xtask"].into_iter().chain(line.split(' '));
            let arguments = crate::cli::join_pfx(arguments.map(Into::into));
            match Cli::try_parse_from(arguments) {
                Ok(_) => drop(seen.insert(words[0].to_owned())),
                Err(error) => {
                    use clap::error::ErrorKind as K;
                    // A text may speak of a command without its arguments.
                    let bare = words.len() == 1 && error.kind() == K::MissingRequiredArgument;
                    if !bare && error.kind() != K::DisplayHelp {
                        wrong.push(format!("{}: {line}: {error}", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for command in ["lab", "test", "package", "setup", "bench"] {
        assert!(
            seen.contains(command),
            "no page shows `cargo xtask {command}`"
        );
    }
}

/// Reasons, events and counters of a running driver are explained.
#[test]
fn names_of_the_control_device_are_explained() {
    use im_control::{Counter, DropReason, EventKind};
    let page = &pages()[Path::new("docs/control.md")];
    let drops = DropReason::ALL.iter().map(|item| item.name());
    let events = EventKind::ALL.iter().map(|item| item.name());
    let counters = Counter::ALL.iter().map(|item| item.name());
    let missing: Vec<_> = drops
        .chain(events)
        .chain(counters)
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "docs/control.md lacks {missing:?}");
}

/// Every scenario of the lab and every key of a topology file has a place on the page.
/// The sources are read, because the lab runs on Linux only.
#[test]
fn scenarios_and_keys_of_the_lab_are_explained() {
    let page = &pages()[Path::new("docs/lab.md")];
    let source =
        |name: &str| std::fs::read_to_string(root().join("crates/lab/src").join(name)).unwrap();
    let scenarios = source("scenario/mod.rs");
    let (_, list) = scenarios.split_once("pub const NAMES").unwrap();
    let (list, _) = list.split_once("];").unwrap();
    let (_, list) = list.split_once("= [").unwrap();
    let names: Vec<_> = list
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| scenario(item, &scenarios))
        .collect();
    // `    pub key: Type,` of the tables as they stand in a file.
    let raw = source("topology/raw.rs");
    let (tables, _) = raw
        .split_once("/// [`ConfigValue`] as it is written.")
        .unwrap();
    let keys: BTreeSet<_> = tables
        .lines()
        .filter_map(|line| line.strip_prefix("    pub ")?.split(':').next())
        .collect();
    assert!(names.len() > 5 && keys.len() > 20, "{names:?} {keys:?}");
    let missing: Vec<_> = names
        .into_iter()
        .chain(keys.into_iter().map(str::to_owned))
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "docs/lab.md lacks {missing:?}");
}

/// The name of a scenario in the lab's list: a string, or a constant of its module.
fn scenario(item: &str, list: &str) -> String {
    if let Some(name) = item.strip_prefix('"') {
        return name.trim_end_matches('"').to_owned();
    }
    // `pub use module::NAME as ITEM;`
    let alias = format!(" as {item};");
    let used = list.lines().find_map(|line| line.strip_suffix(&alias));
    let path = used.map_or(item, |line| line.trim_start_matches("pub use "));
    let (module, constant) = path.split_once("::").unwrap();
    let folder = root().join("crates/lab/src/scenario");
    let file = folder.join(format!("{module}.rs"));
    let text = std::fs::read_to_string(&file)
        .or_else(|_| std::fs::read_to_string(folder.join(module).join("mod.rs")));
    let start = format!("pub const {constant}: &str = \"");
    let text = text.unwrap();
    let (_, value) = text.split_once(&start).expect("the constant's value");
    value.split('"').next().unwrap().to_owned()
}

#[test]
fn what_is_looked_for_is_found() {
    assert_eq!(anchor(" Who answers what "), "who-answers-what");
    assert_eq!(
        ids("SND-7, (INF-L12) sub-x OID-25's UTF-8x").collect::<Vec<_>>(),
        ["SND-7", "INF-L12", "OID-25"]
    );
    assert_eq!(
        links("[a](b.md#c) and [d](e)").collect::<Vec<_>>(),
        ["b.md#c", "e"]
    );
    assert_eq!(words("lab mux --tap   # x"), ["lab", "mux", "--tap"]);
}

//! `lab imports`: what an image imports, and what the lab lacks of it.

use std::{collections::BTreeMap, fs};

use serde_json::json;

use crate::{cli::Imports, exit::Verdict, render::Table, trouble::Trouble};

/// Lists the imports of a file.
pub fn run(options: &Imports) -> Verdict {
    match list(options) {
        Ok(verdict) => verdict,
        Err(trouble) => {
            eprintln!("{trouble}");
            trouble.verdict()
        }
    }
}

fn list(options: &Imports) -> Result<Verdict, Trouble> {
    let bytes = fs::read(&options.image).map_err(|error| {
        Trouble::input(format!("cannot read the image: {error}"))
            .at(options.image.display())
            .hint("give the path of a .sys file")
    })?;
    let imports =
        crate::host::imports(&bytes).map_err(|trouble| trouble.at(options.image.display()))?;
    let lacking = imports.iter().filter(|import| !import.provided).count();
    if options.json {
        let list: Vec<_> = imports
            .iter()
            .map(|import| {
                json!({
                    "dll": import.dll,
                    "name": import.name,
                    "provided": import.provided,
                    "group": import.group,
                })
            })
            .collect();
        println!("{:#}", json!({"imports": list, "lacking": lacking}));
    } else {
        let mut table = Table::new(["from", "function", "lab"]);
        for import in &imports {
            let provided = match (import.provided, import.group) {
                (true, _) => "provided".to_owned(),
                (false, Some(group)) => format!("left out: {group}"),
                (false, None) => "LACKING".to_owned(),
            };
            table.row([import.dll.clone(), import.name.clone(), provided]);
        }
        println!("{}", table.render(""));
        println!("{} imports, {lacking} lacking", imports.len());
        let groups: BTreeMap<&str, usize> = imports
            .iter()
            .filter(|import| !import.provided)
            .filter_map(|import| import.group)
            .fold(BTreeMap::new(), |mut groups, group| {
                *groups.entry(group).or_default() += 1;
                groups
            });
        for (group, count) in groups {
            println!("  {count} of {group}, which the lab leaves out");
        }
    }
    Ok(if lacking == 0 {
        Verdict::Clean
    } else {
        Verdict::Violations
    })
}

//! `lab imports`: what an image imports, and what the lab lacks of it.

use std::fs;

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
                json!({"dll": import.dll, "name": import.name, "provided": import.provided})
            })
            .collect();
        println!("{:#}", json!({"imports": list, "lacking": lacking}));
    } else {
        let mut table = Table::new(["from", "function", "lab"]);
        for import in &imports {
            let provided = if import.provided {
                "provided"
            } else {
                "LACKING"
            };
            table.row([import.dll.clone(), import.name.clone(), provided.into()]);
        }
        println!("{}", table.render(""));
        println!("{} imports, {lacking} lacking", imports.len());
    }
    Ok(if lacking == 0 {
        Verdict::Clean
    } else {
        Verdict::Violations
    })
}

//! `lab rules`: every rule with who watches over it, and the proof.

use std::path::{Path, PathBuf};
use std::process::Command;

use lab_verify::misdeeds::{self, child};
use lab_verify::rules::{counts, markdown, rows};
use serde_json::json;

use crate::{
    cli::Rules,
    exit::Verdict,
    process::{Limits, sandbox},
    trouble::Trouble,
};

/// The hidden command of the process that one misdeed gets.
pub const CHILD: &str = "__misdeed";

/// Runs the command.
pub fn run(options: &Rules) -> Verdict {
    match list(options) {
        Ok(verdict) => verdict,
        Err(trouble) => {
            eprintln!("{trouble}");
            trouble.verdict()
        }
    }
}

/// What came of one misdeed, or of a plan without any.
struct Proof {
    rule: &'static str,
    name: &'static str,
    plan: &'static str,
    found: Vec<String>,
    extra: Vec<String>,
    missing: Vec<String>,
}

impl Proof {
    fn holds(&self) -> bool {
        self.extra.is_empty() && self.missing.is_empty()
    }
}

fn list(options: &Rules) -> Result<Verdict, Trouble> {
    if options.markdown {
        print!("{}", markdown());
        return Ok(Verdict::Clean);
    }
    let rows = rows();
    let counts = counts(&rows);
    let proofs = match &options.prove {
        Some(image) => prove(image)?,
        None => Vec::new(),
    };
    let broken = proofs.iter().filter(|proof| !proof.holds()).count();
    if options.json {
        let proofs: Vec<_> = proofs
            .iter()
            .map(|p| {
                json!({
                    "rule": p.rule, "misdeed": p.name, "plan": p.plan, "holds": p.holds(),
                    "found": p.found, "extra": p.extra, "missing": p.missing,
                })
            })
            .collect();
        println!(
            "{}",
            json!({ "counts": counts, "rules": rows, "proofs": proofs })
        );
    } else {
        for row in &rows {
            println!("{:<7} {}", row.id, row.watched());
        }
        for proof in proofs.iter().filter(|proof| !proof.holds()) {
            println!(
                "{} {} in {}: found {:?}, missing {:?}, too much {:?}",
                proof.rule, proof.name, proof.plan, proof.found, proof.missing, proof.extra
            );
        }
        println!("{}", counts.text());
        if options.prove.is_some() {
            println!(
                "{} misdeeds and plans were run, {broken} differ",
                proofs.len()
            );
        }
    }
    Ok(if broken == 0 {
        Verdict::Clean
    } else {
        Verdict::Violations
    })
}

/// Runs every misdeed, and every plan that one uses without it.
fn prove(image: &Path) -> Result<Vec<Proof>, Trouble> {
    if !image.is_file() {
        let what = format!("there is no file {}", image.display());
        return Err(Trouble::input(what).hint("cargo xtask build misdeed makes it"));
    }
    let mut proofs = Vec::new();
    for misdeed in misdeeds::all() {
        let said = ask(image, misdeed.key(), misdeed.plan)?;
        let (extra, missing) = misdeeds::compare(misdeed, &said.ids);
        proofs.push(Proof {
            rule: misdeed.rule,
            name: misdeed.name,
            plan: misdeed.plan,
            found: said.ids.into_iter().collect(),
            extra,
            missing,
        });
    }
    for (plan, _) in misdeeds::honest_plans() {
        let said = ask(image, 0, plan)?;
        let found: Vec<String> = said.ids.into_iter().collect();
        proofs.push(Proof {
            rule: "",
            name: "none",
            plan,
            extra: found.clone(),
            found,
            missing: Vec::new(),
        });
    }
    Ok(proofs)
}

/// Runs one of them in a process of its own.
fn ask(image: &Path, key: u32, plan: &str) -> Result<child::Said, Trouble> {
    let me = std::env::current_exe().map_err(|error| Trouble::host(error.to_string()))?;
    let output = Command::new(me)
        .arg(CHILD)
        .arg(image)
        .args([&key.to_string(), plan, &std::process::id().to_string()])
        .output()
        .map_err(|error| Trouble::host(error.to_string()))?;
    let said = child::read(&String::from_utf8_lossy(&output.stdout));
    if said.end.is_empty() && said.ids.len() == 1 && !output.stderr.is_empty() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(said)
}

/// The inside of that process, which is confined like any that runs a driver.
pub fn child_main() -> Result<(), String> {
    let mut arguments = std::env::args_os().skip(2);
    let mut next = || {
        arguments
            .next()
            .ok_or("an image, a key, a plan and a parent")
    };
    let image = PathBuf::from(next()?);
    let (key, plan, parent) = (next()?, next()?, next()?);
    let parent = parent
        .to_string_lossy()
        .parse()
        .map_err(|e| format!("{e}"))?;
    let bytes = std::fs::read(&image).map_err(|e| format!("{}: {e}", image.display()))?;
    let key = key.to_string_lossy().parse().map_err(|e| format!("{e}"))?;
    let limits = Limits {
        cpu_seconds: 60,
        ..Limits::default()
    };
    let confine = || match sandbox::confine(&limits, parent) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    child::child(&bytes, key, &plan.to_string_lossy(), confine).map_err(|e| e.to_string())
}

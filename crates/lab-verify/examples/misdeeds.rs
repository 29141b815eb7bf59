//! Runs misdeeds, each in a process of its own: `misdeeds IMAGE [WORD…]`. Without words all
//! of them, else those whose rule or name contains a word; then every plan that they use
//! without a misdeed.

use std::collections::BTreeSet;
use std::process::Command;

use lab_verify::misdeeds::{self, child};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "--child") {
        let image = std::fs::read(&args[1])?;
        return Ok(child::child(&image, args[2].parse()?, &args[3], || Ok(()))?);
    }
    if args.first().is_some_and(|a| a == "--markdown") {
        print!("{}", lab_verify::rules::markdown());
        return Ok(());
    }
    let (image, words) = args.split_first().ok_or("an image")?;
    let ask = |key: u32, plan: &str| -> std::io::Result<child::Said> {
        let output = Command::new(std::env::current_exe()?)
            .args(["--child", image, &key.to_string(), plan])
            .output()?;
        let said = child::read(&String::from_utf8_lossy(&output.stdout));
        if said.end.is_empty() {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(said)
    };
    let (mut wrong, mut count) = (0, 0);
    let mut plans = BTreeSet::new();
    for misdeed in misdeeds::all() {
        let hit = |word: &String| misdeed.rule.contains(&**word) || misdeed.name.contains(&**word);
        if !words.is_empty() && !words.iter().any(hit) {
            continue;
        }
        count += 1;
        // Where NDIS breaks a promise, the driver behaves anyway.
        if misdeeds::plan(misdeed.plan).is_some_and(|plan| plan.knobs.breach.is_none()) {
            plans.insert(misdeed.plan);
        }
        let said = ask(misdeed.key(), misdeed.plan)?;
        let (extra, missing) = misdeeds::compare(misdeed, &said.ids);
        let fine = extra.is_empty() && missing.is_empty();
        wrong += usize::from(!fine);
        println!(
            "{} {} {} ({}): {:?}, {}",
            if fine { "ok   " } else { "WRONG" },
            misdeed.rule,
            misdeed.name,
            misdeed.plan,
            said.ids,
            said.end
        );
        if !fine || !words.is_empty() {
            print!("{}", said.text);
        }
    }
    if words.is_empty() {
        plans.extend(misdeeds::honest_plans().map(|(name, _)| *name));
    }
    for plan in plans {
        let said = ask(0, plan)?;
        if said.ids.is_empty() {
            println!("ok    without a misdeed: {plan}, {}", said.end);
        } else {
            wrong += 1;
            println!(
                "WRONG without a misdeed: {plan}: {:?}\n{}",
                said.ids, said.text
            );
        }
    }
    println!("{count} misdeeds, {wrong} wrong");
    Ok(())
}

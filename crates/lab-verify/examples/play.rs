//! Plays a plan on an image, unconfined: `play FILE.sys SERVICE [PLAN.toml [TIMES]]`.

use std::time::Instant;

use lab_verify::{Action, Plan, Player, Shape};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let image = std::fs::read(args.next().ok_or("an image")?)?;
    let service = args.next().ok_or("a service")?;
    let mut plan: Plan = match args.next() {
        Some(file) => toml::from_str(&std::fs::read_to_string(file)?)?,
        None => Plan::life(
            "life",
            Shape::default(),
            vec![
                Action::Send { upper: 0, lists: 8 },
                Action::Receive {
                    adapter: 0,
                    upper: 0,
                    lists: 8,
                    resources: None,
                },
                Action::Settle,
                Action::PauseUpper { upper: 0 },
                Action::RestartUpper { upper: 0 },
            ],
        ),
    };
    let times: u64 = args.next().map_or(Ok(1), |n| n.parse())?;
    let player = Player::new(&image, &service, plan.knobs.guarded)?;
    let first = player.play(&plan)?;
    println!("{}", plan.to_toml());
    println!(
        "{:?} {:?} {:?} trace {:#x}, {} crossings, {} fallible calls, {} ns",
        first.ids(),
        first.tally,
        first.end,
        first.trace,
        first.crossings,
        first.fallible.len(),
        first.virtual_ns
    );
    for finding in first.findings.iter().take(8) {
        println!("{}: {}", finding.rule, finding.message);
    }
    let began = Instant::now();
    for _ in 0..times {
        plan.seed += 1;
        let outcome = player.play(&plan)?;
        if !outcome.is_clean() {
            println!("seed {}: {:?}", plan.seed, outcome.ids());
        }
    }
    let each = began.elapsed().as_secs_f64() / times.max(1) as f64;
    println!("{:.0} plays a minute", 60.0 / each);
    Ok(())
}

//! Runs suites on an image, unconfined: `suite FILE.sys SERVICE [SUITE…]`; SHAPE names a plan
//! whose shape is taken, N the number of plays of a suite.

use lab_verify::suite::{Effort, Runner, Suite};
use lab_verify::{Plan, Player, Shape};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let image = std::fs::read(args.next().ok_or("an image")?)?;
    let service = args.next().ok_or("a service")?;
    let mut suites: Vec<Suite> = args.filter_map(|name| Suite::named(&name)).collect();
    if suites.is_empty() {
        suites = Suite::ALL.to_vec();
    }
    let shape = match std::env::var("SHAPE") {
        Ok(file) => toml::from_str::<Plan>(&std::fs::read_to_string(file)?)?.shape,
        Err(_) => Shape::default(),
    };
    let mut effort = Effort::default();
    if let Ok(n) = std::env::var("N") {
        effort.most = n.parse()?;
    }
    let guarded = std::env::var("DENSE").is_err();
    let player = Player::new(&image, &service, guarded)?;
    let mut runner = Runner::new(&player, shape, effort);
    if std::env::var("SAY").is_ok() {
        runner.before = Box::new(|number, of, plan| eprintln!("{number}/{of} {}", plan.name));
    }
    for suite in suites {
        let report = runner.run(suite)?;
        println!(
            "{}: {} plays, {} wrong, {} injected, {:.1} s, {:.0} a minute",
            suite.name(),
            report.plays,
            report.wrong,
            report.injected,
            report.wall.as_secs_f64(),
            60.0 * report.plays as f64 / report.wall.as_secs_f64()
        );
        println!("  broken: {:?}", report.broken);
        for failure in &report.failures {
            println!("  {:?} {}", failure.ids, failure.what);
            println!(
                "    {}: {:?}",
                failure.short.name, failure.short.knobs.faults
            );
            println!("    {:?}", failure.short.actions);
        }
        println!(
            "  sites: {} of {} hit, strange {:?}",
            runner.book().hit().len(),
            runner.book().known().len(),
            report.strange
        );
    }
    for site in runner.book().missed() {
        println!("  missed {:#x} {}", site.at, site.call);
    }
    Ok(())
}

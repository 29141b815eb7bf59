//! The `lab` command.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use lab::{
    cli::{Cli, Command},
    exit::Verdict,
    process::{self, CHILD_COMMAND, Ended, Launch, Probe, Work},
};

fn main() -> ExitCode {
    // Before anything that could open a descriptor: see `child_main`.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == CHILD_COMMAND)
    {
        return process::child_main();
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == lab::rules_command::CHILD)
    {
        return lab::rules_command::child_main().map_or_else(
            |error| {
                eprintln!("{error}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    let verdict = match Cli::parse().command {
        Command::Run(options) => lab::run::run(&options),
        Command::BenchPorts(options) => lab::bench::run(&options),
        Command::BenchTeam(options) => lab::bench::team::run(&options),
        Command::Compare(options) => lab::compare::run(&options),
        Command::Exercise(options) => lab::exercise::run(&options),
        Command::Verify(options) => lab::verify::run(&options),
        Command::Replay(options) => lab::replay::run(&options),
        Command::Imports(options) => lab::imports::run(&options),
        Command::Trace(options) => lab::trace::run(&options),
        Command::Fuzz(options) => lab::fuzz::run(&options),
        Command::Coverage(options) => lab::trace::coverage(&options),
        Command::Rules(options) => lab::rules_command::run(&options),
        Command::Probe { probe: which } => probe(which),
    };
    verdict.into()
}

/// A probe, with its messages as they come; for tests of the process pair itself.
fn probe(which: Probe) -> Verdict {
    let mut out = std::io::stdout().lock();
    let outcome = process::run(Launch::new(Work::Probe(which)), |message| {
        if let Ok(line) = serde_json::to_string(&message) {
            // Nobody reading is no reason to stop.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    });
    match outcome {
        Ok(outcome) => match outcome.ended {
            Ended::Itself(status) if status.success() => Verdict::Clean,
            Ended::Interrupted(signal) => Verdict::Interrupted(signal),
            Ended::Itself(_) | Ended::Silent(_) => Verdict::DriverFailed,
        },
        Err(error) => {
            eprintln!("{error}");
            Verdict::HostError
        }
    }
}

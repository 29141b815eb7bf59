//! `cargo xtask`: sets up, builds, packages, runs and tests the drivers.

mod build;
mod c_drivers;
mod chain;
mod ci;
mod cli;
mod context;
mod contract;
mod deploy;
mod dirs;
#[cfg(test)]
mod docs;
mod doctor;
mod drivers;
mod inf;
mod lab;
mod notify;
mod package;
mod partners;
mod proc;
mod setup;
mod sign;
mod test;
mod ui;
mod verify;
mod version_info;
#[cfg(unix)]
mod wine;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use cli::{Cli, Command};
use context::Context;

fn main() -> ExitCode {
    #[cfg(unix)]
    let result = if chain::linker::is_asked_for() {
        chain::linker::run()
    } else {
        run()
    };
    #[cfg(not(unix))]
    let result = run();
    match result {
        Ok(code) => u8::try_from(code).unwrap_or(1).into(),
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line says and returns the exit code.
fn run() -> Result<i32> {
    let cli = Cli::parse_from(cli::join_pfx(std::env::args_os()));
    dirs::clean_up_on_signals()?;
    let cx = Context::find(cli.offline)?;
    match cli.command {
        Command::Setup(args) => setup::setup(&cx, &args).map(|()| 0),
        Command::Doctor { json } => doctor::doctor(&cx, json),
        Command::Build(args) => {
            let driver = drivers::find_or_subject(&cx, &args.driver)?;
            let built = build::build(&cx, &driver, args.arch, args.profile)?;
            println!("{}", built.image.display());
            Ok(0)
        }
        Command::NotifyTests => {
            println!("{}", notify::for_tests(&cx)?.display());
            Ok(0)
        }
        Command::NotifyObject(args) => {
            let driver = drivers::find(&cx, &args.driver)?;
            let chain = chain::Chain::ready(&cx, args.arch)?;
            if let Some(built) = notify::build(&cx, &chain, &driver, args.arch, args.profile)? {
                println!("{}", built.dll.display());
            }
            Ok(0)
        }
        Command::Package(args) => package::command(&cx, args).map(|()| 0),
        Command::Verify(args) => verify::verify(&args),
        Command::Deploy(args) => deploy::deploy(&cx, &args),
        Command::Undeploy(args) => deploy::undeploy(&cx, &args),
        Command::Lint { package, json } => inf::command(&package, json),
        Command::CDrivers { arch } => {
            for package in c_drivers::build_all(&cx, arch)? {
                println!("{}", package.display());
            }
            Ok(0)
        }
        Command::Headers { out, arch } => {
            let root = out.unwrap_or_else(|| cx.chain_dir().join("c-kit"));
            let kit = chain::c_kit::make_in(&root, arch)?;
            println!("{}", kit.include.display());
            for library in kit.libraries {
                println!("{}", library.display());
            }
            Ok(0)
        }
        Command::Lab { driver, args } => lab::lab(&cx, &driver, &args),
        Command::Bench { driver, args } => lab::bench(&cx, driver.as_deref(), &args),
        Command::Test { fast } => test::test(&cx, fast),
        Command::Contract => contract::write(&cx.root).map(|()| 0),
        Command::Ci => ci::ci(&cx),
    }
}

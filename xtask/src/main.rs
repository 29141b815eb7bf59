//! `cargo xtask`: sets up, builds, packages, runs and tests the drivers.

mod build;
mod chain;
mod context;
mod dirs;
mod drivers;
mod proc;
mod ui;
mod version_info;

use anyhow::Result;
use clap::{Parser, Subcommand};

use build::Profile;
use chain::Arch;
use context::Context;

/// Sets up, builds, packages, runs and tests the drivers.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// Use no network: what is not cached is missing.
    #[arg(long, global = true)]
    offline: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds a driver image (a step of `package`).
    Build {
        /// Name of a folder in drivers/.
        driver: String,
        /// Processor architecture.
        #[arg(long, value_enum, default_value = "x64")]
        arch: Arch,
        /// Build profile.
        #[arg(long, value_enum, default_value = "release")]
        profile: Profile,
    },
}

fn main() -> std::process::ExitCode {
    if chain::linker::is_asked_for() {
        return match chain::linker::run() {
            Ok(code) => u8::try_from(code).unwrap_or(1).into(),
            Err(e) => {
                eprintln!("xtask as linker: {e:#}");
                std::process::ExitCode::FAILURE
            }
        };
    }
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let cli = Cli::parse();
    let cx = Context::find(cli.offline)?;
    match cli.command {
        Command::Build {
            driver,
            arch,
            profile,
        } => {
            let driver = drivers::find(&cx, &driver)?;
            let built = build::build(&cx, &driver, arch, profile)?;
            println!("{}", built.image.display());
            Ok(())
        }
    }
}

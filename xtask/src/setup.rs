//! `cargo xtask setup`.

use anyhow::Result;

use crate::chain::{Arch, Chain, clang};
use crate::cli::SetupArgs;
use crate::context::Context;
use crate::ui::say;
use crate::{drivers, partners, proc};

/// Finds or fetches what is missing.
pub fn setup(cx: &Context, args: &SetupArgs) -> Result<()> {
    if args.partners {
        return partners::install(cx);
    }
    if !cx.offline {
        // All of Cargo.lock, so that the next build needs no network.
        cx.cargo().arg("fetch").run()?;
    }
    for arch in Arch::in_order(&args.arch) {
        let chain = Chain::ready(cx, arch)?;
        for (name, origin) in chain.origins() {
            say(&format!("{} for {}: {origin}", name, arch.name()));
        }
    }
    // Only tests have drivers in C.
    match clang::find_or_fetch(cx) {
        Ok(clang) => say(&format!("clang: {}", clang.origin)),
        Err(error) => say(&format!("no drivers in C: {error:#}")),
    }
    if proc::which("git").is_none() {
        say(
            "git is missing: packages take the date of their INFs from the commit (or set SOURCE_DATE_EPOCH)",
        );
    }
    for driver in drivers::all(cx)? {
        say(&format!("ready: cargo xtask lab {}", driver.name));
    }
    Ok(())
}

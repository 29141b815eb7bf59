//! Programs from PyPI and npm that read what `lab trace` writes. They are no Debian packages:
//! each gets a folder of its own in the project's cache, and needs no root.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::dirs;
use crate::proc::{Cmd, which};
use crate::ui::say;

/// Perfetto's own message classes, and what they are built on.
const PYTHON: [&str; 2] = ["perfetto==0.59.1", "protobuf==7.36.2"];
/// The second judge of signatures, and the release of what it is built on.
const JUDGE: [&str; 3] = ["signify==0.9.3", "oscrypto==1.3.0", "asn1crypto==1.5.1"];
/// Mermaid's own parser.
const NODE: &str = "mermaid@11.17.2";

/// Where they are; tests get it as `IM_READERS`.
pub fn place(cx: &Context) -> PathBuf {
    cx.cache.join("readers")
}

/// The folder that has Mermaid's module.
pub fn mermaid(cx: &Context) -> PathBuf {
    place(cx).join(NODE)
}

/// Installs what is missing.
pub fn install(cx: &Context) -> Result<()> {
    venv(cx, &PYTHON, "decodes timelines")?;
    venv(cx, &JUDGE, "judges signatures")?;
    let mermaid = mermaid(cx);
    let module = mermaid.join("node_modules/mermaid/package.json");
    if module.is_file() {
        say(&format!("{NODE} is there"));
    } else if which("npm").is_some() {
        say(&format!("{NODE} from npm will be installed for the tests"));
        dirs::create(&mermaid)?;
        Cmd::new("npm")
            .args([
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
            ])
            .args(["--prefix"])
            .arg(&mermaid)
            .arg(NODE)
            .run()
            .context("Mermaid could not be installed")?;
    } else {
        say("npm is missing: the test that parses diagrams will be skipped");
    }
    Ok(())
}

/// Installs Python packages into a folder of their own, which has the first one's name.
fn venv(cx: &Context, packages: &[&str], purpose: &str) -> Result<()> {
    let Some(name) = packages.first() else {
        return Ok(());
    };
    let venv = place(cx).join(name);
    if venv.join("bin/python").is_file() {
        say(&format!("{name} is there"));
        return Ok(());
    }
    if which("python3").is_none() {
        say(&format!(
            "python3 is missing: the test that {purpose} will be skipped"
        ));
        return Ok(());
    }
    say(&format!(
        "{} from PyPI will be installed for the tests",
        packages.join(", ")
    ));
    // A half of one is not there at all.
    let fresh = || -> Result<()> {
        dirs::create(&place(cx))?;
        Cmd::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv)
            .run()?;
        Cmd::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(packages)
            .run()
    };
    if let Err(error) = fresh() {
        let _ = std::fs::remove_dir_all(&venv);
        return Err(error).with_context(|| format!("{name} could not be installed"));
    }
    Ok(())
}

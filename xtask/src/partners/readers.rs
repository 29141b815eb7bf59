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
/// Mermaid's own parser.
const NODE: &str = "mermaid@11.17.2";

/// Where they are; tests get it as `IM_READERS`.
pub fn place(cx: &Context) -> PathBuf {
    cx.cache.join("readers")
}

/// The Python that has Perfetto's classes.
pub fn python(cx: &Context) -> PathBuf {
    place(cx).join(PYTHON[0]).join("bin/python")
}

/// The folder that has Mermaid's module.
pub fn mermaid(cx: &Context) -> PathBuf {
    place(cx).join(NODE)
}

/// Installs what is missing.
pub fn install(cx: &Context) -> Result<()> {
    let python = python(cx);
    if python.is_file() {
        say(&format!("{} is there", PYTHON[0]));
    } else if which("python3").is_some() {
        say(&format!(
            "{} from PyPI will be installed for the tests",
            PYTHON.join(", ")
        ));
        // A half of one is not there at all.
        let venv = place(cx).join(PYTHON[0]);
        let fresh = || -> Result<()> {
            dirs::create(&place(cx))?;
            Cmd::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&venv)
                .run()?;
            Cmd::new(venv.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(PYTHON)
                .run()
        };
        if let Err(error) = fresh() {
            let _ = std::fs::remove_dir_all(&venv);
            return Err(error).context("Perfetto's Python classes could not be installed");
        }
    } else {
        say("python3 is missing: the test that decodes timelines will be skipped");
    }
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

//! `wdk-build` for hosts that are not Windows.
//!
//! The published crate refuses to compile there, for reasons that have nothing to do
//! with its work: `set_var`, registry look-ups, a Windows symlink. xtask takes the crate
//! as cargo downloaded it, lifts these by a few replacements, each anchored in text that
//! must occur exactly as often as expected (else the build stops and says so), and lets
//! cargo use that copy for kernel builds alone: by `patch` on the command line with a
//! lock file of its own, so that the workspace's `Cargo.lock` stays as it is. On Windows
//! the crate is used as published.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use sha2::{Digest as _, Sha256};

use crate::context::Context;
use crate::proc::Cmd;
use crate::ui::Step;

/// The crate and the version that the replacements were written for; the workspace pins it.
const CRATE: &str = "wdk-build";
const VERSION: &str = "0.6.0";

/// In `file`, `from` must occur `times` times and becomes `to`.
#[derive(Debug)]
struct Replacement {
    file: &'static str,
    times: usize,
    from: &'static str,
    to: &'static str,
}

const REPLACEMENTS: [Replacement; 10] = [
    // The registry has no counterpart; WDKContentRoot is always set here.
    Replacement {
        file: "Cargo.toml",
        times: 1,
        from: "[dependencies.windows]",
        to: "[target.'cfg(windows)'.dependencies.windows]",
    },
    Replacement {
        file: "src/utils.rs",
        times: 1,
        from: "\nuse windows::{\n",
        to: "\n#[cfg(windows)]\nuse windows::{\n",
    },
    Replacement {
        file: "src/utils.rs",
        times: 1,
        from: "    ffi::{CStr, OsStr},\n",
        to: "    ffi::OsStr,\n",
    },
    Replacement {
        file: "src/utils.rs",
        times: 1,
        from: "    // Check HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows",
        to: "    #[cfg(windows)]\n    {\n    // Check HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows",
    },
    Replacement {
        file: "src/utils.rs",
        times: 1,
        from: "    }\n\n    None\n}\n\n/// Searches a directory",
        to: "    }\n    }\n\n    None\n}\n\n/// Searches a directory",
    },
    Replacement {
        file: "src/utils.rs",
        times: 1,
        from: "\nfn read_registry_key_string_value(",
        to: "\n#[cfg(windows)]\nfn read_registry_key_string_value(",
    },
    // Callers are scripts of cargo-make, which do not run here; they are single-threaded.
    Replacement {
        file: "src/utils.rs",
        times: 2,
        from: "#[cfg(target_os = \"windows\")]\npub fn ",
        to: "pub fn ",
    },
    Replacement {
        file: "src/utils.rs",
        times: 2,
        from: "#[cfg(not(target_os = \"windows\"))]",
        to: "#[cfg(any())]",
    },
    Replacement {
        file: "src/cargo_make.rs",
        times: 2,
        from: "std::os::windows::fs::symlink_file(",
        to: "std::os::unix::fs::symlink(",
    },
    // The crate looks for Cargo.lock above its output folder, where none is when
    // CARGO_TARGET_DIR lies elsewhere.
    Replacement {
        file: "src/lib.rs",
        times: 1,
        from: "pub fn find_top_level_cargo_manifest() -> PathBuf {\n",
        to: "pub fn find_top_level_cargo_manifest() -> PathBuf {\n    if let Some(root) = \
             env::var_os(\"XTASK_WORKSPACE\") {\n        return PathBuf::from(root).join(\"Cargo.toml\");\n    }\n",
    },
];

/// The mended copy and the lock file that knows it.
#[derive(Debug)]
pub struct Mended {
    dir: PathBuf,
    lock: PathBuf,
}

impl Mended {
    /// Lets a cargo command use the copy.
    pub fn apply(&self, cx: &Context, cmd: &mut Cmd) {
        let quoted = |path: &Path| toml::Value::String(path.display().to_string());
        // Stable cargo accepts another lock file only when told that it may.
        cmd.env("RUSTC_BOOTSTRAP", "1")
            .env("XTASK_WORKSPACE", &cx.root)
            .arg("-Zlockfile-path");
        cmd.arg("--config")
            .arg(format!("resolver.lockfile-path={}", quoted(&self.lock)));
        cmd.arg("--config").arg(format!(
            "patch.crates-io.{CRATE}.path={}",
            quoted(&self.dir)
        ));
    }
}

/// The copy, made where it is needed and not there yet.
pub fn mend_if_needed(cx: &Context) -> Result<Option<Mended>> {
    if cfg!(windows) {
        return Ok(None);
    }
    let dir = cx.chain_dir().join(format!("{CRATE}-{VERSION}"));
    let stamp = dir.join(".mended");
    let wanted = fingerprint();
    if fs::read_to_string(&stamp).ok().as_deref() != Some(&wanted) {
        let step = Step::start(format!("mending {CRATE} {VERSION} for this host"));
        let published = published(cx)?;
        mend(&published, &dir, &wanted)?;
        step.done(&cx.show(&dir));
    }
    let lock = cx.chain_dir().join("lock").join("Cargo.lock");
    let text = fs::read_to_string(cx.root.join("Cargo.lock"))?;
    let text = lock_for_copy(&text).context("Cargo.lock")?;
    crate::dirs::write_if_changed(&lock, text.as_bytes())?;
    Ok(Some(Mended { dir, lock }))
}

/// Changes whenever a replacement does.
fn fingerprint() -> String {
    let digest = Sha256::digest(format!("{REPLACEMENTS:?}"));
    digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The folder where cargo keeps the published crate.
fn published(cx: &Context) -> Result<PathBuf> {
    if !cx.offline {
        cx.cargo()
            .arg("fetch")
            .run()
            .context("the crates in Cargo.lock could not be fetched")?;
    }
    let json = cx
        .cargo()
        .args(["metadata", "--offline", "--format-version", "1"])
        .read()?;
    let metadata: serde_json::Value =
        serde_json::from_str(&json).context("cargo metadata wrote no JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let package = packages
        .iter()
        .find(|p| p["name"] == CRATE && p["source"].is_string())
        .with_context(|| format!("{CRATE} is not in Cargo.lock"))?;
    if package["version"] != VERSION {
        bail!(
            "{CRATE} is {} in Cargo.lock, the replacements in xtask/src/chain/mend.rs are for {VERSION}",
            package["version"]
        );
    }
    let manifest = package["manifest_path"]
        .as_str()
        .context("cargo metadata names no manifest")?;
    Ok(Path::new(manifest)
        .parent()
        .context("no parent")?
        .to_owned())
}

/// Copies `published` to `dir` with the replacements made.
fn mend(published: &Path, dir: &Path, stamp: &str) -> Result<()> {
    let staging = crate::dirs::Staging::new(dir.parent().context("no parent")?)?;
    copy(published, staging.path())?;
    // What the registry adds is no part of the crate; its own workspace is none of ours.
    for extra in [
        "Cargo.lock",
        "Cargo.toml.orig",
        ".cargo-ok",
        ".cargo_vcs_info.json",
    ] {
        let _ = fs::remove_file(staging.path().join(extra));
    }
    for replacement in &REPLACEMENTS {
        let path = staging.path().join(replacement.file);
        let text = replace(&fs::read_to_string(&path)?, replacement)?;
        fs::write(&path, text)?;
    }
    fs::write(staging.path().join(".mended"), stamp)?;
    staging.replace(dir)
}

fn replace(text: &str, r: &Replacement) -> Result<String> {
    // Crates published from Windows may have its line ends.
    let text = text.replace("\r\n", "\n");
    let found = text.matches(r.from).count();
    if found != r.times {
        bail!(
            "{CRATE} {VERSION} is not as expected: {} has {found} times, not {} times, the text\n{}\n(xtask/src/chain/mend.rs)",
            r.file,
            r.times,
            r.from
        );
    }
    Ok(text.replace(r.from, r.to))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            // Contents only: files of the registry may be read-only.
            fs::write(&target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// The workspace's lock with the crate's entry turned into that of a local package.
fn lock_for_copy(lock: &str) -> Result<String> {
    let head = format!("[[package]]\nname = \"{CRATE}\"\nversion = \"{VERSION}\"\n");
    let start = lock
        .find(&head)
        .with_context(|| format!("has no {CRATE} {VERSION}"))?
        + head.len();
    let end = lock[start..]
        .find("\n[[package]]")
        .map_or(lock.len(), |n| start + n);
    let entry: String = lock[start..end]
        .split_inclusive('\n')
        .filter(|l| !l.starts_with("source = ") && !l.starts_with("checksum = "))
        .collect();
    Ok(format!("{}{entry}{}", &lock[..start], &lock[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacement_fails_loudly() {
        let r = Replacement {
            file: "src/x.rs",
            times: 2,
            from: "old",
            to: "new",
        };
        assert_eq!(replace("old old\r\n", &r).unwrap(), "new new\n");
        let error = replace("old", &r).unwrap_err().to_string();
        assert!(
            error.contains("src/x.rs has 1 times, not 2 times"),
            "{error}"
        );
    }

    #[test]
    fn lock_entry_becomes_local() {
        let lock = "version = 4\n\n[[package]]\nname = \"wdk-build\"\nversion = \"0.6.0\"\nsource = \
                    \"registry+x\"\nchecksum = \"aa\"\ndependencies = [\n \"anyhow\",\n]\n\n[[package]]\nname = \
                    \"z\"\nsource = \"registry+x\"\n";
        let local = lock_for_copy(lock).unwrap();
        assert!(local.contains("version = \"0.6.0\"\ndependencies"));
        assert_eq!(local.matches("source").count(), 1);
        assert!(lock_for_copy("version = 4\n").is_err());
    }
}

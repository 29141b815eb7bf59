//! Where things are: the workspace, its target directory, the user's cache, the
//! compiler. Looked up once and handed to every command.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::proc::Cmd;

/// The compiler that cargo uses here, as `rustc -vV` tells.
#[derive(Debug, Clone)]
pub struct Rustc {
    /// `1.95.0`
    pub release: String,
    /// Full hash of the commit the compiler was built from.
    pub commit: String,
    /// The host triple.
    pub host: String,
    /// Folder of the compiler and its libraries.
    pub sysroot: PathBuf,
}

/// What every command works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// The target directory: `CARGO_TARGET_DIR`, or `target` of the workspace.
    pub target: PathBuf,
    /// The user's cache of what was fetched; it outlives `cargo clean`.
    pub cache: PathBuf,
    /// The compiler.
    pub rustc: Rustc,
    /// No network access: what is not cached is missing.
    pub offline: bool,
}

impl Context {
    /// Finds everything. `offline` also holds when cargo was told so by its environment.
    pub fn find(offline: bool) -> Result<Self> {
        let root = workspace_root()?;
        let target = env::var_os("CARGO_TARGET_DIR")
            .or_else(|| env::var_os("CARGO_BUILD_TARGET_DIR"))
            .map_or_else(|| Ok(root.join("target")), std::path::absolute)
            .context("CARGO_TARGET_DIR names no usable path")?;
        let cargo_offline = env::var("CARGO_NET_OFFLINE").is_ok_and(|v| v == "true" || v == "1");
        Ok(Self {
            target,
            cache: cache_dir()?,
            rustc: Rustc::find(&root)?,
            root,
            offline: offline || cargo_offline,
        })
    }

    /// Folder below the target directory where the build chain keeps what it derives.
    pub fn chain_dir(&self) -> PathBuf {
        self.target.join("chain")
    }

    /// Cargo itself; the same one that started xtask.
    pub fn cargo(&self) -> Cmd {
        let mut cmd = Cmd::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cmd.dir(&self.root);
        if self.offline {
            cmd.env("CARGO_NET_OFFLINE", "true");
        }
        // Set by `cargo run` for xtask; build scripts of other packages must not see them.
        for (name, _) in env::vars_os() {
            if name
                .to_str()
                .is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_"))
            {
                cmd.env_remove(&name);
            }
        }
        cmd
    }

    /// `path` relative to the workspace where it lies inside, for messages.
    pub fn show(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

impl Rustc {
    fn find(root: &Path) -> Result<Self> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let version = Cmd::new(&rustc).dir(root).arg("-vV").read()?;
        let field = |name: &str| {
            version
                .lines()
                .find_map(|l| l.strip_prefix(name).map(|v| v.trim().to_owned()))
                .with_context(|| format!("`rustc -vV` has no line `{name}`"))
        };
        let sysroot = Cmd::new(&rustc)
            .dir(root)
            .args(["--print", "sysroot"])
            .read()?;
        Ok(Self {
            release: field("release:")?,
            commit: field("commit-hash:")?,
            host: field("host:")?,
            sysroot: sysroot.trim().into(),
        })
    }
}

/// `cargo run` tells where xtask lies now; the path known at compile time serves
/// when the binary is started by hand.
fn workspace_root() -> Result<PathBuf> {
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let root = xtask.parent().context("xtask lies in no workspace")?;
    if !root.join("Cargo.toml").is_file() {
        bail!(
            "{} is not the workspace any more; start xtask by `cargo xtask`",
            root.display()
        );
    }
    Ok(root.to_owned())
}

fn cache_dir() -> Result<PathBuf> {
    let named = |name: &str| {
        env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    if let Some(dir) = named("XTASK_CACHE_DIR") {
        return std::path::absolute(dir).context("XTASK_CACHE_DIR names no usable path");
    }
    let base = named("XDG_CACHE_HOME")
        .or_else(|| named("LOCALAPPDATA"))
        .or_else(|| named("HOME").map(|h| h.join(".cache")))
        .context("no folder for the cache: set XTASK_CACHE_DIR, XDG_CACHE_HOME or HOME")?;
    Ok(base.join("ndis-im-xtask"))
}

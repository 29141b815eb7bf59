//! The build chain: what it takes to make a Windows kernel driver on this machine.
//!
//! Each part is found or fetched on its own: `core` and `alloc` for the target, a
//! libclang for bindgen, a kit, and a `wdk-build` that runs here. The parts together
//! are a [`Chain`], which knows the environment and options of a kernel build.

pub mod apt;
pub mod c_kit;
pub mod clang;
pub mod kit;
pub mod libclang;
#[cfg(unix)]
pub mod linker;
pub mod mend;
pub mod std_lib;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde::Deserialize;

use crate::context::Context;
use crate::proc::Cmd;

/// Processor architecture of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// x86-64, the architecture the lab runs.
    X64,
    /// 64-bit ARM: built and packaged only.
    Arm64,
}

impl Arch {
    /// Rust's name of the kernel target.
    pub fn triple(self) -> &'static str {
        match self {
            Self::X64 => "x86_64-pc-windows-msvc",
            Self::Arm64 => "aarch64-pc-windows-msvc",
        }
    }

    /// Name of the folder with the kit's libraries.
    pub fn kit_folder(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Arm64 => "ARM64",
        }
    }

    /// The name on the command line, in the manifest, and of the folder in a package.
    pub fn name(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Arm64 => "arm64",
        }
    }

    /// The platform extension of models sections in an INF.
    pub fn decoration(self) -> &'static str {
        match self {
            Self::X64 => "NTamd64",
            Self::Arm64 => "NTarm64",
        }
    }

    /// The suffix of `[SourceDisksFiles.…]` in an INF.
    pub fn platform(self) -> &'static str {
        match self {
            Self::X64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// What was asked for, each once, in the order of packages.
    pub fn in_order(asked: &[Self]) -> Vec<Self> {
        let mut archs = asked.to_vec();
        archs.sort_unstable();
        archs.dedup();
        archs
    }
}

/// The parts, found.
#[derive(Debug)]
pub struct Chain {
    arch: Arch,
    std_lib: std_lib::StdLib,
    libclang: libclang::Libclang,
    kit: kit::Kit,
    mended: Option<mend::Mended>,
}

impl Chain {
    /// Finds or fetches every part for `arch`.
    pub fn ready(cx: &Context, arch: Arch) -> Result<Self> {
        if cfg!(windows) && !cx.target.starts_with(&cx.root) {
            anyhow::bail!(
                "{} lies outside of the workspace, and wdk-build as published looks for Cargo.lock above it: unset \
                 CARGO_TARGET_DIR",
                cx.target.display()
            );
        }
        let std_lib = std_lib::find_or_fetch(cx, arch)?;
        let libclang = libclang::find_or_fetch(cx)?;
        let kit = kit::find_or_make(cx, arch)?;
        let mended = mend::mend_if_needed(cx)?;
        Ok(Self {
            arch,
            std_lib,
            libclang,
            kit,
            mended,
        })
    }

    /// A cargo command for the kernel target: `cargo <subcommand> --target … --target-dir …`.
    pub fn cargo(&self, cx: &Context, subcommand: &str) -> Result<Cmd> {
        let mut cmd = cx.cargo();
        cmd.arg(subcommand)
            .args(["--target", self.arch.triple()])
            .arg("--target-dir")
            .arg(Self::target_dir(cx));
        cmd.env("WDKContentRoot", &self.kit.root)
            .env_remove("Version_Number");
        self.libclang.apply(&mut cmd);
        self.std_lib.apply(&mut cmd);
        #[cfg(unix)]
        linker::install(cx, &mut cmd, self.arch.triple())?;
        if let Some(mended) = &self.mended {
            mended.apply(cx, &mut cmd);
        }
        // The kernel's flags replace those that the user has set for programs.
        cmd.env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", self.rustflags(cx).join("\x1f"));
        Ok(cmd)
    }

    /// Cargo's target directory for kernel builds.
    pub fn target_dir(cx: &Context) -> PathBuf {
        cx.target.join("kernel")
    }

    /// Flags of every crate for the kernel target. Paths of this machine are mapped
    /// away, so that two builds of one commit in two folders agree byte for byte.
    fn rustflags(&self, cx: &Context) -> Vec<String> {
        // wdk-build insists on a static C runtime for kernel drivers; none is linked.
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        let mut map = |from: &Path, to: &str| {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        };
        // The last match wins, so the general ones come first.
        map(&cx.root, "/src");
        map(&cx.target, "/target");
        if let Some(cargo_home) = cargo_home() {
            map(&cargo_home, "/cargo");
        }
        self.std_lib.map_paths(&cx.rustc, &mut map);
        flags
    }

    /// How `core` and `alloc` were come by.
    pub fn core_origin(&self) -> &str {
        &self.std_lib.origin
    }

    /// Each part and where it comes from.
    pub fn origins(&self) -> [(&'static str, &str); 3] {
        [
            ("core and alloc", &self.std_lib.origin),
            ("libclang", &self.libclang.origin),
            ("kit", &self.kit.origin),
        ]
    }
}

fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|h| Path::new(&h).join(".cargo")))
}

//! `core` and `alloc` for the kernel target.
//!
//! Ways, in order: an installed target; `rustup target add`; library sources in the
//! sysroot; Debian's `rust-src` of the compiler's very version; Debian's own compiler
//! with the sources that match it. What is there already is taken without asking the
//! network. `XTASK_STD` names one way and forbids the others.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use fs_err as fs;

use super::{Arch, apt};
use crate::context::{Context, Rustc};
use crate::proc::{Cmd, which};
use crate::ui::{Step, say};

/// How `core` and `alloc` are come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// Precompiled libraries of the target, installed into the sysroot.
    Installed,
    /// `rustup target add`, then as above.
    Rustup,
    /// Sources in the sysroot (rustup's component rust-src), compiled with the driver.
    Sysroot,
    /// Debian's package rust-src of the compiler's version.
    DebianSrc,
    /// Debian's packages rustc-web and rust-web-src, a compiler with its sources.
    DebianPair,
}

/// The library, found.
#[derive(Debug)]
pub struct StdLib {
    /// Sources to compile it from; `None` where it is precompiled.
    src: Option<PathBuf>,
    /// Another compiler, and the folder of its shared libraries.
    compiler: Option<(PathBuf, PathBuf)>,
    /// Where it comes from, for people.
    pub origin: String,
}

const WAYS: [Way; 5] = [
    Way::Installed,
    Way::Rustup,
    Way::Sysroot,
    Way::DebianSrc,
    Way::DebianPair,
];

impl StdLib {
    /// Tells a cargo command about it.
    pub fn apply(&self, cmd: &mut Cmd) {
        if let Some(src) = &self.src {
            // Stable cargo and rustc allow building the library only when told that
            // they may do what nightly ones do.
            cmd.env("RUSTC_BOOTSTRAP", "1")
                .arg("-Zbuild-std=core,alloc")
                .env("__CARGO_TESTS_ONLY_SRC_ROOT", src);
        }
        if let Some((rustc, libs)) = &self.compiler {
            let mut path = libs.as_os_str().to_owned();
            if let Some(old) = std::env::var_os("LD_LIBRARY_PATH").filter(|v| !v.is_empty()) {
                path.push(":");
                path.push(old);
            }
            cmd.env("RUSTC", rustc).env("LD_LIBRARY_PATH", path);
        }
    }

    /// Maps the paths of the library's sources to the ones that precompiled libraries have.
    pub fn map_paths(&self, rustc: &Rustc, map: &mut impl FnMut(&Path, &str)) {
        if let Some(src) = &self.src {
            map(src, &format!("/rustc/{}/library", rustc.commit));
        }
    }
}

/// Takes what is there.
pub fn find(cx: &Context, arch: Arch) -> Result<Option<StdLib>> {
    let only = named_way()?;
    Ok(WAYS
        .into_iter()
        .filter(|w| only.is_none_or(|o| o == *w))
        .find_map(|way| present(cx, arch, way)))
}

/// Takes what is there, or fetches it by the first way that works.
pub fn find_or_fetch(cx: &Context, arch: Arch) -> Result<StdLib> {
    if let Some(found) = find(cx, arch)? {
        return Ok(found);
    }
    let only = named_way()?;
    let mut failures = Vec::new();
    for way in WAYS.into_iter().filter(|w| only.is_none_or(|o| o == *w)) {
        let name = describe(way);
        let step = Step::start(format!("core and alloc for {}: {name}", arch.triple()));
        let result = fetch(cx, arch, way).and_then(|()| {
            present(cx, arch, way).context("fetched, but not where it was expected")
        });
        match result {
            Ok(found) => {
                step.done(&found.origin);
                return Ok(found);
            }
            Err(e) => {
                drop(step);
                say(&format!("{name}: {e:#}"));
                failures.push(format!("  {name}: {e:#}"));
            }
        }
    }
    bail!(
        "no core and alloc for {}:\n{}\nconnect to the network once and run `cargo xtask setup`, or `rustup target add {}`",
        arch.triple(),
        failures.join("\n"),
        arch.triple()
    )
}

fn named_way() -> Result<Option<Way>> {
    let Ok(name) = std::env::var("XTASK_STD") else {
        return Ok(None);
    };
    if let Ok(way) = Way::from_str(&name, true) {
        return Ok(Some(way));
    }
    let values = Way::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value);
    let names: Vec<_> = values.map(|v| v.get_name().to_owned()).collect();
    bail!("XTASK_STD={name}: the ways are {}", names.join(", "))
}

fn describe(way: Way) -> &'static str {
    match way {
        Way::Installed => "installed target",
        Way::Rustup => "rustup target add",
        Way::Sysroot => "library sources in the sysroot",
        Way::DebianSrc => "Debian's rust-src",
        Way::DebianPair => "Debian's rustc-web and rust-web-src",
    }
}

fn present(cx: &Context, arch: Arch, way: Way) -> Option<StdLib> {
    let plain = |src: Option<PathBuf>, origin: String| {
        Some(StdLib {
            src,
            compiler: None,
            origin,
        })
    };
    match way {
        Way::Installed | Way::Rustup => {
            let lib = cx
                .rustc
                .sysroot
                .join("lib/rustlib")
                .join(arch.triple())
                .join("lib");
            let has = |prefix: &str| {
                fs::read_dir(&lib).into_iter().flatten().flatten().any(|e| {
                    e.file_name()
                        .to_str()
                        .is_some_and(|n| n.starts_with(prefix))
                })
            };
            (has("libcore-") && has("liballoc-")).then_some(())?;
            plain(
                None,
                format!("installed target {} of {}", arch.triple(), cx.rustc.release),
            )
        }
        Way::Sysroot => {
            let src = cx.rustc.sysroot.join("lib/rustlib/src/rust/library");
            src.join("Cargo.lock").is_file().then_some(())?;
            plain(
                Some(src),
                format!("sources of {} in the sysroot", cx.rustc.release),
            )
        }
        Way::DebianSrc => {
            let src =
                debian_src_root(cx).join(format!("usr/src/rustc-{}/library", cx.rustc.release));
            src.join("core/src/lib.rs").is_file().then_some(())?;
            plain(Some(src), format!("Debian's rust-src {}", cx.rustc.release))
        }
        Way::DebianPair => {
            let root = debian_pair_root(cx);
            let rustc = root.join("usr/bin/rustc");
            let libs = root.join("usr/lib/x86_64-linux-gnu");
            let src = fs::read_dir(root.join("usr/src"))
                .ok()?
                .flatten()
                .map(|e| e.path().join("library"))
                .find(|p| p.join("core/src/lib.rs").is_file())?;
            let version = Cmd::new(&rustc)
                .arg("-V")
                .env("LD_LIBRARY_PATH", &libs)
                .read()
                .ok()?;
            let origin = format!("Debian's own {} with its sources", version.trim());
            Some(StdLib {
                src: Some(src),
                compiler: Some((rustc, libs)),
                origin,
            })
        }
    }
}

fn fetch(cx: &Context, arch: Arch, way: Way) -> Result<()> {
    match way {
        Way::Installed => bail!("not installed"),
        Way::Sysroot => bail!("none (rustup's component rust-src is not installed)"),
        Way::Rustup => {
            if cx.offline {
                bail!("offline");
            }
            let rustup = which("rustup").map_or_else(|| bail!("no rustup here"), Ok)?;
            Cmd::new(rustup)
                .args(["target", "add", arch.triple()])
                .dir(&cx.root)
                .read()
                .map(drop)
        }
        Way::DebianSrc => fetch_debian_src(cx),
        Way::DebianPair => fetch_debian_pair(cx),
    }
}

fn debian_src_root(cx: &Context) -> PathBuf {
    cx.cache.join(format!("rust-src-{}", cx.rustc.release))
}

fn debian_pair_root(cx: &Context) -> PathBuf {
    cx.cache.join("rustc-web")
}

/// A release of Debian's `rust-src` that is the compiler's: backports first, since
/// suites under development drop old versions sooner.
fn fetch_debian_src(cx: &Context) -> Result<()> {
    let mut offers = Vec::new();
    for suite in ["trixie-backports", "unstable"] {
        let apt = apt::Apt::new(cx, apt::Suite::Named(suite))?;
        let versions = apt.versions("rust-src")?;
        if let Some(version) = versions.iter().find(|v| release_of(v) == cx.rustc.release) {
            return apt.unpack(&[format!("rust-src={version}")], &debian_src_root(cx));
        }
        offers.extend(
            versions
                .iter()
                .map(|v| format!("{} ({suite})", release_of(v))),
        );
    }
    bail!(
        "needs the sources of {}; on offer are {}",
        cx.rustc.release,
        offers.join(", ")
    )
}

/// `1.95.0` of `1.95.0+dfsg1-2~bpo13+1`.
fn release_of(version: &str) -> &str {
    version.split(['+', '-', '~']).next().unwrap_or(version)
}

fn fetch_debian_pair(cx: &Context) -> Result<()> {
    let apt = apt::Apt::new(cx, apt::Suite::OfMachine)?;
    let root = debian_pair_root(cx);
    apt.unpack_with_missing(&["rustc-web", "rust-web-src"], &root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_versions() {
        assert_eq!(release_of("1.95.0+dfsg1-2~bpo13+1"), "1.95.0");
        assert_eq!(release_of("1.96.0-1"), "1.96.0");
    }
}

//! The clang that compiles drivers in C: an installed one, or Debian's, unpacked into the
//! cache. It needs no headers and no libraries of its own; the linker is rustc's.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use fs_err as fs;

use super::{Arch, apt};
use crate::context::Context;
use crate::proc::{Cmd, which};
use crate::ui::Step;

/// Names a clang to use.
const VARIABLE: &str = "XTASK_CLANG";

/// A clang that runs.
#[derive(Debug, Clone)]
pub struct Clang {
    /// The program.
    pub program: PathBuf,
    /// Folders with libraries that it needs and that the machine lacks.
    needs: Vec<PathBuf>,
    /// Its version and where it comes from, for people.
    pub origin: String,
}

impl Clang {
    /// A command that runs it for a kernel of `arch`, without anything of this machine.
    pub fn command(&self, arch: Arch) -> Cmd {
        let mut cmd = Cmd::new(&self.program);
        if !self.needs.is_empty() {
            cmd.env(
                "LD_LIBRARY_PATH",
                super::libclang::library_path(&self.needs),
            );
        }
        cmd.arg(format!("--target={}", arch.triple())).args([
            "-ffreestanding",
            "-nostdinc",
            "-std=c17",
        ]);
        cmd
    }

    /// What it needs in `LD_LIBRARY_PATH`, if anything.
    pub fn library_path(&self) -> Option<PathBuf> {
        let needs = !self.needs.is_empty();
        needs.then(|| super::libclang::library_path(&self.needs).into())
    }

    fn at(program: PathBuf, needs: Vec<PathBuf>, how: &str) -> Option<Self> {
        let mut clang = Self {
            program,
            needs,
            origin: String::new(),
        };
        // `--print-targets` would name the processors; a version is enough of a sign of life.
        let said = clang.command(Arch::X64).arg("--version").read().ok()?;
        let version = said.lines().next()?.trim();
        clang.origin = format!("{version} ({how})");
        Some(clang)
    }
}

/// One that is there: named, installed, or fetched before.
pub fn find(cx: &Context) -> Option<Clang> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Clang::at(named.into(), Vec::new(), VARIABLE);
    }
    let installed = which("clang")
        .into_iter()
        .chain(below(Path::new("/usr/lib")));
    installed
        .into_iter()
        .find_map(|program| Clang::at(program, Vec::new(), "installed"))
        .or_else(|| fetched(cx))
}

/// One that is there, or Debian's package.
pub fn find_or_fetch(cx: &Context) -> Result<Clang> {
    if let Some(found) = find(cx) {
        return Ok(found);
    }
    let step = Step::start("fetching a clang (Debian's)".to_owned());
    let unpacked = apt::Apt::new(cx, apt::Suite::OfMachine)
        .and_then(|apt| apt.unpack_with_missing(&["clang"], &root(cx)));
    let why = match (unpacked, fetched(cx)) {
        (Ok(()), Some(found)) => {
            step.done(&found.origin);
            return Ok(found);
        }
        (Ok(()), None) => "the unpacked program does not run".to_owned(),
        (Err(error), _) => format!("{error:#}"),
    };
    drop(step);
    bail!(
        "drivers in C need a clang and none was found or fetched: {why}\ninstall one (`apt-get install clang`) or name \
         one by {VARIABLE}"
    )
}

fn root(cx: &Context) -> PathBuf {
    cx.cache.join("clang-debian")
}

fn fetched(cx: &Context) -> Option<Clang> {
    let root = root(cx);
    let lib = root.join("usr/lib");
    let needs: Vec<PathBuf> = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .iter()
        .map(|triple| lib.join(triple))
        .filter(|dir| dir.is_dir())
        .collect();
    below(&lib).into_iter().find_map(|program| {
        let mut needs = needs.clone();
        // /usr/lib/llvm-14/bin/clang has its libraries in /usr/lib/llvm-14/lib.
        needs.extend(
            program
                .parent()
                .and_then(Path::parent)
                .map(|dir| dir.join("lib")),
        );
        Clang::at(program, needs, "Debian package")
    })
}

/// `llvm-14/bin/clang` and the like, newest first.
fn below(lib: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(lib)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix("llvm-")?.parse().ok()?;
            let program = entry.path().join("bin/clang");
            program.is_file().then_some((version, program))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, program)| program).collect()
}

//! The libclang with which bindgen reads the kit's headers.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use fs_err as fs;

use super::apt;
use crate::context::Context;
use crate::dirs::Staging;
use crate::proc::{Cmd, which};
use crate::ui::{Step, say};

/// A libclang that loads.
#[derive(Debug)]
pub struct Libclang {
    /// The folder for `LIBCLANG_PATH`; `None` where bindgen finds it by itself (Windows).
    pub dir: Option<PathBuf>,
    /// Folders with the libraries that it needs and that the machine lacks.
    pub needs: Vec<PathBuf>,
    /// Where it comes from, for people.
    pub origin: String,
}

impl Libclang {
    /// Tells a cargo command about it.
    pub fn apply(&self, cmd: &mut Cmd) {
        if let Some(dir) = &self.dir {
            cmd.env("LIBCLANG_PATH", dir);
        }
        if !self.needs.is_empty() {
            cmd.env("LD_LIBRARY_PATH", library_path(&self.needs));
        }
    }
}

/// One that is there: named, installed, or fetched before.
pub fn find(cx: &Context) -> Option<Libclang> {
    if cfg!(windows) {
        // clang-sys searches the usual places; the kit needs nothing special of it.
        return Some(Libclang {
            dir: None,
            needs: Vec::new(),
            origin: "found by bindgen itself".to_owned(),
        });
    }
    let named = std::env::var_os("LIBCLANG_PATH").map(|p| (PathBuf::from(p), "LIBCLANG_PATH"));
    let config = which("llvm-config")
        .and_then(|tool| Cmd::new(tool).arg("--libdir").read().ok())
        .map(|dir| (PathBuf::from(dir.trim()), "llvm-config"));
    let installed = named
        .into_iter()
        .chain(config)
        .chain(llvm_dirs().into_iter().map(|d| (d, "installed")));
    for (dir, how) in installed {
        if usable(&dir, &[]) {
            return Some(Libclang {
                origin: format!("{} ({how})", dir.display()),
                dir: Some(dir),
                needs: Vec::new(),
            });
        }
    }
    fetched(&apt_root(cx), "Debian package").or_else(|| fetched(&wheel_root(cx), "wheel of PyPI"))
}

/// One that is there, or Debian's package, or PyPI's wheel.
pub fn find_or_fetch(cx: &Context) -> Result<Libclang> {
    if let Some(found) = find(cx) {
        return Ok(found);
    }
    let mut failures = Vec::new();
    for (way, fetch) in [
        (
            "Debian's libclang1-14",
            fetch_apt as fn(&Context) -> Result<Libclang>,
        ),
        ("PyPI", fetch_wheel),
    ] {
        let step = Step::start(format!("fetching a libclang ({way})"));
        match fetch(cx) {
            Ok(found) => {
                step.done(&found.origin);
                return Ok(found);
            }
            Err(e) => {
                drop(step);
                say(&format!("libclang from {way}: {e:#}"));
                failures.push(format!("  {way}: {e:#}"));
            }
        }
    }
    bail!(
        "bindgen needs a libclang and none was found or fetched:\n{}\ninstall one (`apt-get install libclang-dev`) or \
         set LIBCLANG_PATH to the folder that holds libclang.so",
        failures.join("\n")
    )
}

fn apt_root(cx: &Context) -> PathBuf {
    cx.cache.join("libclang-debian")
}

fn wheel_root(cx: &Context) -> PathBuf {
    cx.cache.join("libclang-pypi")
}

fn fetch_apt(cx: &Context) -> Result<Libclang> {
    let root = apt_root(cx);
    let apt = apt::Apt::new(cx, apt::Suite::OfMachine)?;
    apt.unpack_with_missing(&["libclang1-14"], &root)?;
    fetched(&root, "Debian package").map_or_else(|| bail!("the unpacked library does not load"), Ok)
}

fn fetch_wheel(cx: &Context) -> Result<Libclang> {
    if cx.offline {
        bail!("offline");
    }
    let python = which("python3").map_or_else(|| bail!("no python3"), Ok)?;
    let root = wheel_root(cx);
    let staging = Staging::new(&cx.cache)?;
    // `--target` unpacks the wheel; nothing is installed into the user's Python.
    Cmd::new(python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--target",
        ])
        .arg(staging.path())
        .arg("libclang")
        .read()?;
    staging.replace(&root)?;
    fetched(&root, "wheel of PyPI")
        .map_or_else(|| bail!("the wheel's library does not load here"), Ok)
}

/// What was unpacked below `root` by one of the two ways.
fn fetched(root: &Path, how: &str) -> Option<Libclang> {
    let dirs = ["usr/lib/llvm-14/lib", "clang/native"].map(|d| root.join(d));
    let needs: Vec<_> = [
        "usr/lib/x86_64-linux-gnu",
        "usr/lib/aarch64-linux-gnu",
        "lib/x86_64-linux-gnu",
    ]
    .iter()
    .map(|d| root.join(d))
    .filter(|d| d.is_dir())
    .collect();
    let dir = dirs.into_iter().find(|d| usable(d, &needs))?;
    Some(Libclang {
        origin: format!("{how}, in {}", root.display()),
        dir: Some(dir),
        needs,
    })
}

/// Newest first: `/usr/lib/llvm-19/lib` before `/usr/lib/llvm-14/lib`.
fn llvm_dirs() -> Vec<PathBuf> {
    let mut dirs: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| {
            let version = e
                .file_name()
                .to_str()?
                .strip_prefix("llvm-")?
                .parse()
                .ok()?;
            Some((version, e.path().join("lib")))
        })
        .collect();
    dirs.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let multiarch = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
    ];
    dirs.into_iter()
        .map(|(_, dir)| dir)
        .chain(multiarch.map(PathBuf::from))
        .collect()
}

/// There is a library by a name that bindgen looks for, and all that it needs is found.
fn usable(dir: &Path, needs: &[PathBuf]) -> bool {
    let is_libclang = |name: &str| {
        name == "libclang.so"
            || name.starts_with("libclang.so.")
            || name.starts_with("libclang-") && name.contains(".so")
    };
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|n| is_libclang(n) && !n.starts_with("libclang-cpp"))
                && loads(&entry.path(), needs)
        })
}

fn loads(library: &Path, needs: &[PathBuf]) -> bool {
    let Ok(library) = library.canonicalize() else {
        return false;
    };
    Cmd::new("ldd")
        .arg(library)
        .env("LD_LIBRARY_PATH", library_path(needs))
        .read()
        .is_ok_and(|out| !out.contains("not found"))
}

/// `LD_LIBRARY_PATH` with `first` before what the user has there.
pub fn library_path(first: &[PathBuf]) -> std::ffi::OsString {
    let old = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let dirs = first
        .iter()
        .cloned()
        .chain(std::env::split_paths(&old).filter(|p| !p.as_os_str().is_empty()));
    std::env::join_paths(dirs).unwrap_or_default()
}

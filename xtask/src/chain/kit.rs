//! The kit: a Windows Driver Kit, or our own small one laid out like it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use implib::{Flavor, ImportLibrary, MachineType};

use super::Arch;
use crate::context::Context;
use crate::dirs::write_if_changed;

/// Version folder of our own kit: that of the headers its layouts were checked against.
const OWN_VERSION: &str = "10.0.22621.0";

const HEADERS: [(&str, &str); 4] = [
    ("ntdef.h", include_str!("../../kit/include/ntdef.h")),
    ("ntddk.h", include_str!("../../kit/include/ntddk.h")),
    ("ntifs.h", include_str!("../../kit/include/ntifs.h")),
    ("ntstrsafe.h", include_str!("../../kit/include/ntstrsafe.h")),
];
const NTOSKRNL: &str = include_str!("../../kit/ntoskrnl.exports");

/// Libraries that `wdk-build` names on the linker's command line and from which
/// nothing is taken: the HAL's and WMI's functions have no caller here, and the two
/// static libraries serve code that MSVC compiles with its own run-time checks.
const EMPTY_LIBS: [&str; 4] = ["hal", "wmilib", "BufferOverflowFastFailK", "arm64rt"];

/// A kit that serves.
#[derive(Debug)]
pub struct Kit {
    /// What `WDKContentRoot` is set to.
    pub root: PathBuf,
    /// Where it comes from, for people.
    pub origin: String,
}

/// The user's kit, if one is named.
pub fn find() -> Result<Option<Kit>> {
    let Some(root) = std::env::var_os("WDKContentRoot")
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
    else {
        return Ok(None);
    };
    if !root.join("Include").is_dir() || !root.join("Lib").is_dir() {
        bail!(
            "WDKContentRoot is {}, which has no Include and Lib folders: point it to a kit, or unset it to use the \
             project's own",
            root.display()
        );
    }
    Ok(Some(Kit {
        origin: format!("WDKContentRoot={}", root.display()),
        root,
    }))
}

/// The user's kit, the installed one on Windows, or our own.
pub fn find_or_make(cx: &Context, arch: Arch) -> Result<Kit> {
    if let Some(kit) = find()? {
        return Ok(kit);
    }
    if cfg!(windows)
        && let Some(kit) = installed()
    {
        return Ok(kit);
    }
    let root = cx.chain_dir().join("kit");
    make(&root, arch).context("the project's own kit could not be laid out")?;
    Ok(Kit {
        root,
        origin: "the project's own headers and export lists".to_owned(),
    })
}

/// The WDK's default place. `wdk-build` itself asks the registry first; xtask needs
/// the path only to know that our own kit is not wanted.
fn installed() -> Option<Kit> {
    let root = PathBuf::from(std::env::var_os("ProgramFiles(x86)")?)
        .join("Windows Kits")
        .join("10");
    root.join("Include").is_dir().then(|| Kit {
        origin: format!("installed at {}", root.display()),
        root,
    })
}

/// Lays our own kit out below `root`. Files that are right already are left alone,
/// because bindgen runs again when a header's time changes.
fn make(root: &Path, arch: Arch) -> Result<()> {
    let include = root.join("Include").join(OWN_VERSION);
    for dir in ["km/crt", "shared"] {
        fs::create_dir_all(include.join(dir))?;
    }
    for (name, text) in HEADERS {
        write_if_changed(&include.join("km").join(name), text.as_bytes())?;
    }
    let lib = root
        .join("Lib")
        .join(OWN_VERSION)
        .join("km")
        .join(arch.kit_folder());
    fs::create_dir_all(&lib)?;
    write_if_changed(
        &lib.join("ntoskrnl.lib"),
        &import_library("ntoskrnl.exe", NTOSKRNL, arch)?,
    )?;
    for name in EMPTY_LIBS {
        // An archive without members.
        write_if_changed(&lib.join(format!("{name}.lib")), b"!<arch>\n")?;
    }
    Ok(())
}

/// An import library of `dll` from a list of names, one a line, `#` for comments.
pub fn import_library(dll: &str, exports: &str, arch: Arch) -> Result<Vec<u8>> {
    let names = exports
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let def = std::iter::once(format!("LIBRARY {dll}\nEXPORTS")).chain(names.map(str::to_owned));
    let machine = match arch {
        Arch::X64 => MachineType::AMD64,
        Arch::Arm64 => MachineType::ARM64,
    };
    let library = ImportLibrary::new(&def.collect::<Vec<_>>().join("\n"), machine, Flavor::Msvc)?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    library.write_to(&mut bytes)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_library_names_dll_and_functions() {
        let bytes = import_library(
            "ntoskrnl.exe",
            "# a comment\nDbgPrint\n\nmemcpy\n",
            Arch::X64,
        )
        .unwrap();
        assert!(bytes.starts_with(b"!<arch>\n"));
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
        assert!(has(b"__imp_DbgPrint") && has(b"memcpy\0ntoskrnl.exe\0"));
        assert!(!has(b"comment"));
    }

    #[test]
    fn layout_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), Arch::X64).unwrap();
        let header = dir
            .path()
            .join("Include")
            .join(OWN_VERSION)
            .join("km/ntddk.h");
        let before = fs::metadata(&header).unwrap().modified().unwrap();
        make(dir.path(), Arch::X64).unwrap();
        assert_eq!(before, fs::metadata(&header).unwrap().modified().unwrap());
    }
}

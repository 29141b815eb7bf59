//! The kit for drivers in C: headers made of `ndis-sys`, those that are written by hand beside
//! them, and an import library for each image.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;

use super::{Arch, kit};
use crate::context::Context;
use crate::dirs::write_if_changed;

/// A kit that was laid out.
#[derive(Debug)]
pub struct CKit {
    /// The folder for `-I`.
    pub include: PathBuf,
    /// Import libraries.
    pub libraries: Vec<PathBuf>,
}

/// Lays it out in the target directory.
pub fn make(cx: &Context, arch: Arch) -> Result<CKit> {
    make_in(&cx.chain_dir().join("c-kit"), arch)
}

/// Lays it out below `root`; what is right already is left alone.
pub fn make_in(root: &Path, arch: Arch) -> Result<CKit> {
    let include = root.join("include");
    fs::create_dir_all(&include)?;
    for (name, text) in ndis_headers::FILES {
        write_if_changed(&include.join(name), text.as_bytes())?;
    }
    let generated = ndis_headers::header();
    write_if_changed(&include.join(ndis_headers::GENERATED), generated.as_bytes())?;
    let lib = root.join("lib").join(arch.name());
    fs::create_dir_all(&lib)?;
    let mut libraries = Vec::new();
    for image in ndis_headers::images() {
        let names: Vec<_> = ndis_headers::exports(image).into_iter().collect();
        let library = kit::import_library(image, &names.join("\n"), arch)?;
        let stem = Path::new(image).with_extension("lib");
        let path = lib.join(stem);
        write_if_changed(&path, &library)?;
        libraries.push(path);
    }
    Ok(CKit { include, libraries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_has_headers_and_libraries() {
        let dir = tempfile::tempdir().unwrap();
        let kit = make_in(dir.path(), Arch::X64).unwrap();
        for name in ["ndis.h", "ndis-sys.h", "wdm.h"] {
            assert!(kit.include.join(name).is_file(), "{name}");
        }
        let names: Vec<_> = kit
            .libraries
            .iter()
            .filter_map(|l| l.file_name()?.to_str())
            .collect();
        assert_eq!(names, ["ndis.lib", "ntoskrnl.lib"]);
    }
}

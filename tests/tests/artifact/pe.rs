//! Reading a packaged image.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, PeFile64};

/// A package and its image.
pub struct Package {
    /// Name of the package's folder, for messages.
    pub name: String,
    /// The package's folder.
    pub dir: PathBuf,
    /// The image.
    pub image: Vec<u8>,
    /// Its symbols.
    pub pdb: PathBuf,
    /// What the manifest says.
    pub manifest: serde_json::Value,
}

/// All packages with their images for the lab's architecture, or `None` (and a line that
/// says so) without `cargo xtask test`.
pub fn packages(test: &str) -> Option<Vec<Package>> {
    packages_for(test, "x64")
}

/// All packages that have an image for an architecture.
pub fn packages_for(test: &str, arch: &str) -> Option<Vec<Package>> {
    let Some(dir) = std::env::var_os("IM_PACKAGES_DIR") else {
        println!("SKIP {test}: no packages; `cargo xtask test` makes them");
        return None;
    };
    let mut packages: Vec<_> = std::fs::read_dir(dir)
        .expect("folder of packages")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.join("manifest.json").is_file())
        .filter_map(|path| open(&path, arch))
        .collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!packages.is_empty(), "no package for {arch} at all");
    Some(packages)
}

/// Names of the drivers, which are the names of their packages.
pub fn drivers() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(sources().join("drivers"))
        .expect("folder of drivers")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .map(|path| {
            path.file_name()
                .expect("name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no driver at all");
    names
}

/// Folder of the workspace.
pub fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("workspace")
}

fn open(dir: &Path, arch: &str) -> Option<Package> {
    let text = std::fs::read_to_string(dir.join("manifest.json")).expect("manifest");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("manifest is JSON");
    let all = manifest["architectures"].as_array().expect("architectures");
    all.iter().find(|a| a["arch"] == arch)?;
    let path = |role: &str| {
        let files = manifest["files"].as_array().expect("files");
        let file = files
            .iter()
            .find(|f| f["role"] == role && f["arch"] == arch)
            .unwrap_or_else(|| panic!("{}: no file with role {role} for {arch}", dir.display()));
        dir.join(file["path"].as_str().expect("path"))
    };
    Some(Package {
        name: dir
            .file_name()
            .expect("name")
            .to_string_lossy()
            .into_owned(),
        dir: dir.to_owned(),
        image: std::fs::read(path("image")).expect("image"),
        pdb: path("pdb"),
        manifest,
    })
}

/// Paths of all files below a folder, with `/`.
pub fn files_below(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inside = path.strip_prefix(dir).expect("inside");
                found.insert(inside.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found
}

impl Package {
    /// The image, parsed.
    pub fn pe(&self) -> PeFile64<'_> {
        PeFile64::parse(&*self.image).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// Imports as (image, function, RVA of the slot).
    pub fn imports(&self) -> Vec<(String, String, u32)> {
        let pe = self.pe();
        let Some(table) = pe.import_table().expect("import table") else {
            return Vec::new();
        };
        let mut imports = Vec::new();
        let mut descriptors = table.descriptors().expect("descriptors");
        while let Some(descriptor) = descriptors.next().expect("descriptor") {
            let library = table.name(descriptor.name.get(LE)).expect("name of image");
            let library = String::from_utf8(library.to_vec()).expect("UTF-8");
            let mut thunks = table
                .thunks(descriptor.original_first_thunk.get(LE))
                .expect("thunks");
            let mut slot = descriptor.first_thunk.get(LE);
            while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>().expect("thunk") {
                let (_, name) = table
                    .hint_name(object::read::pe::ImageThunkData::address(thunk))
                    .expect("by name");
                imports.push((
                    library.clone(),
                    String::from_utf8(name.to_vec()).expect("UTF-8"),
                    slot,
                ));
                slot += 8;
            }
        }
        imports
    }

    /// Exported names with their RVAs.
    pub fn exports(&self) -> Vec<(String, u32)> {
        let pe = self.pe();
        let table = pe.export_table().expect("export table").expect("exports");
        let exports = table.exports().expect("exports");
        exports
            .iter()
            .filter_map(|e| match e.target {
                object::read::pe::ExportTarget::Address(rva) => {
                    Some((String::from_utf8(e.name?.to_vec()).ok()?, rva))
                }
                _ => None,
            })
            .collect()
    }

    /// RVA and bytes of the executable sections.
    pub fn code(&self) -> Vec<(u32, Vec<u8>)> {
        let pe = self.pe();
        let sections = pe.section_table();
        sections
            .iter()
            .filter(|s| {
                s.characteristics
                    .get(LE)
                    .contains(pe::IMAGE_SCN_MEM_EXECUTE)
            })
            .map(|s| {
                (
                    s.virtual_address.get(LE),
                    s.pe_data(&*self.image).expect("section data").to_vec(),
                )
            })
            .collect()
    }

    /// The optional header's checksum and where it stands in the file.
    pub fn checksum(&self) -> (u32, usize) {
        let pe = self.pe();
        let lfanew =
            u32::from_le_bytes(self.image[0x3c..0x40].try_into().expect("4 bytes")) as usize;
        (
            pe.nt_headers().optional_header().check_sum(),
            lfanew + 4 + 20 + 64,
        )
    }
}

//! The image's headers, sections and tables.

use std::collections::{BTreeMap, BTreeSet};

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _};
use sha2::{Digest as _, Sha256};

use super::pe::{drivers, files_below, packages};

/// Windows 10, version 2004: the oldest that the drivers are made for.
const OLDEST: [u32; 3] = [10, 0, 19041];

#[test]
fn every_driver_is_packaged_in_both_profiles() {
    let Some(packages) = packages("every_driver_is_packaged_in_both_profiles") else {
        return;
    };
    for driver in drivers() {
        for (name, profile) in [
            (driver.clone(), "release"),
            (format!("{driver}-debug"), "debug"),
        ] {
            let package = packages
                .iter()
                .find(|package| package.name == name)
                .unwrap_or_else(|| panic!("there is no package {name}"));
            assert_eq!(package.manifest["driver"], *driver, "{name}");
            assert_eq!(package.manifest["profile"], profile, "{name}");
        }
    }
}

#[test]
fn header_is_that_of_a_kernel_driver() {
    for package in packages("header_is_that_of_a_kernel_driver")
        .into_iter()
        .flatten()
    {
        let pe = package.pe();
        let headers = pe.nt_headers();
        let optional = headers.optional_header();
        let name = &package.name;
        assert_eq!(
            headers.file_header().machine.get(LE),
            pe::IMAGE_FILE_MACHINE_AMD64,
            "{name}"
        );
        assert_eq!(optional.subsystem(), pe::IMAGE_SUBSYSTEM_NATIVE, "{name}");
        let wanted = pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT
            | pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY
            | pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE;
        assert_eq!(
            optional.dll_characteristics() & wanted,
            wanted,
            "{name}: NX, integrity, relocatable"
        );
        assert!(
            !headers
                .file_header()
                .characteristics
                .get(LE)
                .contains(pe::IMAGE_FILE_RELOCS_STRIPPED),
            "{name}"
        );
        assert!(
            pe.data_directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC)
                .is_some(),
            "{name}: relocations"
        );
    }
}

#[test]
fn entry_point_is_driver_entry() {
    for package in packages("entry_point_is_driver_entry")
        .into_iter()
        .flatten()
    {
        let entry = package
            .pe()
            .nt_headers()
            .optional_header()
            .address_of_entry_point();
        let exports = package.exports();
        let driver_entry = exports.iter().find(|(n, _)| n == "DriverEntry");
        assert_eq!(
            driver_entry.map(|(_, rva)| *rva),
            Some(entry),
            "{}: {exports:?}",
            package.name
        );
    }
}

#[test]
fn checksum_is_right() {
    for package in packages("checksum_is_right").into_iter().flatten() {
        let (stored, offset) = package.checksum();
        assert_eq!(stored, checksum(&package.image, offset), "{}", package.name);
    }
}

/// The sum of 16-bit words with carries folded in, without the sum's own field, plus
/// the length of the file.
pub fn checksum(image: &[u8], field: usize) -> u32 {
    let mut sum = 0u32;
    for (index, word) in image.chunks(2).enumerate() {
        if (field..field + 4).contains(&(index * 2)) {
            continue;
        }
        sum += u32::from(word[0]) | word.get(1).map_or(0, |high| u32::from(*high) << 8);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum + u32::try_from(image.len()).expect("size of a driver")
}

#[test]
fn no_section_is_writable_and_executable() {
    for package in packages("no_section_is_writable_and_executable")
        .into_iter()
        .flatten()
    {
        let pe = package.pe();
        for section in pe.section_table().iter() {
            let flags = section.characteristics.get(LE);
            let both = pe::IMAGE_SCN_MEM_WRITE | pe::IMAGE_SCN_MEM_EXECUTE;
            assert_ne!(
                flags & both,
                both,
                "{}: {}",
                package.name,
                String::from_utf8_lossy(section.raw_name())
            );
        }
    }
}

#[test]
fn imports_are_few_and_old_enough() {
    let list = include_str!("../../abi/imports-first-version.json");
    let first: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(list).expect("list of imports");
    for package in packages("imports_are_few_and_old_enough")
        .into_iter()
        .flatten()
    {
        let imports = package.imports();
        assert!(!imports.is_empty(), "{} imports nothing", package.name);
        for (image, function, _) in &imports {
            assert!(
                ["ndis.sys", "ntoskrnl.exe"].contains(&image.as_str()),
                "{}: imports {image}",
                package.name
            );
            let version = first
                .get(image)
                .and_then(|names| names.get(function))
                .unwrap_or_else(|| {
                    panic!(
                        "{}: {image}!{function} is not in tests/abi/imports-first-version.json",
                        package.name
                    )
                });
            assert!(
                parse(version) <= OLDEST,
                "{}: {image}!{function} exists since {version}, later than Windows 10 2004: look it up at run time",
                package.name
            );
        }
        println!(
            "{}: {} imports, all in Windows 10 2004",
            package.name,
            imports.len()
        );
    }
}

/// `10.0.19041`, `6.3`, `5.1`.
fn parse(version: &str) -> [u32; 3] {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(version.split('.')) {
        *number = part
            .parse()
            .unwrap_or_else(|_| panic!("{version} is no version"));
    }
    numbers
}

#[test]
fn pdb_is_named_without_a_path_and_belongs_to_the_image() {
    for package in packages("pdb_is_named_without_a_path_and_belongs_to_the_image")
        .into_iter()
        .flatten()
    {
        let pe = package.pe();
        let info = object::Object::pdb_info(&pe)
            .expect("debug directory")
            .expect("CodeView entry");
        let path = String::from_utf8_lossy(info.path()).into_owned();
        assert_eq!(
            path,
            package.pdb.file_name().expect("name").to_string_lossy(),
            "{}",
            package.name
        );

        let file = std::fs::File::open(&package.pdb).expect("PDB");
        let mut pdb = pdb_addr2line::pdb::PDB::open(file).expect("PDB can be read");
        let guid = pdb.pdb_information().expect("PDB header").guid;
        let (d1, d2, d3, d4) = guid.as_fields();
        let bytes: Vec<u8> = d1
            .to_le_bytes()
            .into_iter()
            .chain(d2.to_le_bytes())
            .chain(d3.to_le_bytes())
            .chain(*d4)
            .collect();
        assert_eq!(
            bytes,
            info.guid(),
            "{}: the PDB is of another image",
            package.name
        );
    }
}

#[test]
fn image_knows_nothing_of_the_machine_it_was_built_on() {
    for package in packages("image_knows_nothing_of_the_machine_it_was_built_on")
        .into_iter()
        .flatten()
    {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("workspace")
            .to_owned();
        let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
        let pdb = std::fs::read(&package.pdb).expect("PDB");
        for place in [Some(root), home].into_iter().flatten() {
            let place = place.display().to_string();
            // A home of `/` would be found everywhere.
            if place.len() < 4 {
                continue;
            }
            for (what, bytes) in [("image", &package.image), ("PDB", &pdb)] {
                let needle = format!("{place}/");
                let found = bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
                assert!(
                    !found,
                    "{}: the {what} has a path below {place}",
                    package.name
                );
            }
        }
    }
}

#[test]
fn version_resource_agrees_with_the_manifest() {
    for package in packages("version_resource_agrees_with_the_manifest")
        .into_iter()
        .flatten()
    {
        let pe = package.pe();
        let sections = pe.section_table();
        let directory = pe
            .data_directories()
            .resource_directory(&*package.image, &sections)
            .expect("resource directory")
            .unwrap_or_else(|| panic!("{}: no resources", package.name));
        // type -> name -> language -> data
        let types = directory.root().expect("types");
        let version = types
            .entries
            .iter()
            .find(|e| e.name_or_id().id() == Some(pe::RT_VERSION))
            .unwrap_or_else(|| panic!("{}: no version resource", package.name));
        let names = version
            .data(directory)
            .expect("names")
            .table()
            .expect("table of names");
        let languages = names.entries[0]
            .data(directory)
            .expect("languages")
            .table()
            .expect("table of languages");
        let data = languages.entries[0]
            .data(directory)
            .expect("data")
            .data()
            .expect("data entry");
        let bytes = sections
            .pe_data_at(&*package.image, data.offset_to_data.get(LE))
            .and_then(|b| b.get(..data.size.get(LE) as usize))
            .expect("version data");

        // VS_FIXEDFILEINFO follows a 6-byte head, "VS_VERSION_INFO" and padding.
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        assert_eq!(word(40), 0xfeef_04bd, "{}: signature", package.name);
        let (high, low) = (word(48), word(52));
        let text = format!(
            "{}.{}.{}.{}",
            high >> 16,
            high & 0xffff,
            low >> 16,
            low & 0xffff
        );
        assert_eq!(
            text,
            package.manifest["version"].as_str().expect("version"),
            "{}",
            package.name
        );
        let utf16 = |s: &str| {
            s.encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>()
        };
        let file = utf16(&format!(
            "{}.sys",
            package.manifest["driver"].as_str().expect("driver")
        ));
        assert!(
            bytes.windows(file.len()).any(|w| w == file),
            "{}: OriginalFilename",
            package.name
        );
    }
}

#[test]
fn manifest_has_every_file_with_its_hash() {
    for package in packages("manifest_has_every_file_with_its_hash")
        .into_iter()
        .flatten()
    {
        let dir = &package.dir;
        let files = package.manifest["files"].as_array().expect("files");
        let mut listed = BTreeSet::from(["manifest.json".to_owned()]);
        for file in files {
            let path = file["path"].as_str().expect("path");
            let content = std::fs::read(dir.join(path)).expect("listed file");
            let hash = Sha256::digest(&content)
                .iter()
                .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            assert_eq!(file["sha256"], hash, "{}: {path}", package.name);
            assert_eq!(file["size"], content.len(), "{}: {path}", package.name);
            assert!(listed.insert(path.to_owned()), "{path} is listed twice");
        }
        assert_eq!(
            files_below(dir),
            listed,
            "{}: every file but the manifest is listed",
            package.name
        );
        let architectures = package.manifest["architectures"].as_array().expect("list");
        for role in ["protocol-inf", "miniport-inf"] {
            let count = files.iter().filter(|f| f["role"] == role).count();
            assert_eq!(count, 1, "{}: {role}", package.name);
        }
        for role in ["image", "pdb"] {
            let count = files.iter().filter(|f| f["role"] == role).count();
            assert_eq!(count, architectures.len(), "{}: {role}", package.name);
        }
    }
}

#[test]
fn checksum_of_known_bytes() {
    // 0x0201 + 0x0403 (field skipped) + 0xffff folds to 0x0201, plus the length 9, plus a last odd byte.
    let image = [1, 2, 9, 9, 9, 9, 0xff, 0xff, 5];
    assert_eq!(checksum(&image, 2), 0x0201 + 5 + 9);
}

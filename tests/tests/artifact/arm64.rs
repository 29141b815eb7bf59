//! Images for arm64, judged as files: nothing here runs them. What is asked of both
//! architectures is asked here with the machine type that is right for this one. The layouts
//! that the code relies on are asserted when it is compiled for the target (`ndis-sys`).

use std::collections::BTreeMap;

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _};

use super::image::checksum;
use super::pe::{drivers, packages_for};

#[test]
fn arm64_images_are_kernel_images() {
    let Some(packages) = packages_for("arm64_images_are_kernel_images", "arm64") else {
        return;
    };
    let names: Vec<_> = packages.iter().map(|p| p.name.clone()).collect();
    for driver in drivers() {
        assert!(names.contains(&driver), "{driver} has no package for arm64");
    }
    for package in packages {
        let name = &package.name;
        let pe = package.pe();
        let headers = pe.nt_headers();
        let optional = headers.optional_header();
        let machine = headers.file_header().machine.get(LE);
        assert_eq!(machine, pe::IMAGE_FILE_MACHINE_ARM64, "{name}");
        assert_eq!(optional.subsystem(), pe::IMAGE_SUBSYSTEM_NATIVE, "{name}");
        let wanted = pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT
            | pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY
            | pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE;
        let found = optional.dll_characteristics() & wanted;
        assert_eq!(found, wanted, "{name}: NX, integrity, relocatable");
        for section in pe.section_table().iter() {
            let both = pe::IMAGE_SCN_MEM_WRITE | pe::IMAGE_SCN_MEM_EXECUTE;
            let flags = section.characteristics.get(LE) & both;
            let section = String::from_utf8_lossy(section.raw_name()).into_owned();
            assert_ne!(flags, both, "{name}: {section}");
        }
        let entry = optional.address_of_entry_point();
        let exports = package.exports();
        let driver_entry = exports.iter().find(|(n, _)| n == "DriverEntry");
        assert_eq!(driver_entry.map(|(_, rva)| *rva), Some(entry), "{name}");
        let (stored, offset) = package.checksum();
        assert_eq!(stored, checksum(&package.image, offset), "{name}: checksum");
    }
}

/// The same functions as for x64, of the same two images, but for what compilers call by
/// themselves.
#[test]
fn arm64_images_import_what_x64_ones_do() {
    const TEST: &str = "arm64_images_import_what_x64_ones_do";
    /// Functions that the compiler, not the code, asks for.
    const COMPILERS: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "__chkstk"];
    let of = |arch| packages_for(TEST, arch);
    let (Some(arm64), Some(x64)) = (of("arm64"), of("x64")) else {
        return;
    };
    let x64: BTreeMap<_, _> = x64.iter().map(|p| (p.name.clone(), p)).collect();
    for package in &arm64 {
        let names = |package: &super::pe::Package| {
            let mut names: Vec<_> = package
                .imports()
                .into_iter()
                .filter(|(_, function, _)| !COMPILERS.contains(&function.as_str()))
                .map(|(image, function, _)| format!("{image}!{function}"))
                .collect();
            names.sort();
            names
        };
        let found = names(package);
        assert!(found.len() > 20, "{}: {found:?}", package.name);
        for import in &found {
            let image = import.split('!').next().unwrap_or_default();
            let known = ["ndis.sys", "ntoskrnl.exe"].contains(&image);
            assert!(known, "{}: imports {image}", package.name);
        }
        let other = names(x64[&package.name]);
        let more: Vec<_> = found.iter().filter(|n| !other.contains(n)).collect();
        assert!(
            more.is_empty(),
            "{}: only arm64 imports {more:?}",
            package.name
        );
    }
}

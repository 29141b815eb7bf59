//! What a driver takes of the kernel's stack and of memory.
//!
//! A kernel stack on x64 has 24 KiB for everybody who is called on it, and an
//! intermediate driver stands in the middle, sometimes above another one. How much a
//! function takes stands in the image's unwind information.

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::ImageNtHeaders as _;
use pdb_addr2line::{ContextPdbData, pdb::PDB};
use pe_unwind_info::x86_64::{FunctionTableEntries, UnwindInfo, UnwindOperation};

use super::pe::{Package, packages};

/// Bytes of the stack that a function may take: a table of buckets or two, no more.
const FRAME: u32 = 6 << 10;

/// Bytes that a release image may have.
const IMAGE: usize = 512 << 10;

/// Start and stack of every function that takes any.
fn frames(package: &Package) -> Vec<(u32, u32)> {
    let pe = package.pe();
    let sections = pe.section_table();
    let directory = pe
        .data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION)
        .expect("unwind information");
    let table = directory
        .data(&*package.image, &sections)
        .expect("a table of functions");
    let functions = FunctionTableEntries::parse(table).functions();
    let functions = functions.expect("the table is whole");
    let frames = functions.iter().map(|function| {
        let at = function.unwind_info_address.get();
        let data = sections.pe_data_at(&*package.image, at);
        let info = UnwindInfo::parse(data.expect("inside the image")).expect("readable");
        let taken = info
            .unwind_operations()
            .map(|(_, operation)| match operation {
                UnwindOperation::PopNonVolatile(_) => 8,
                UnwindOperation::UnStackAlloc(bytes) => bytes,
                _ => 0,
            });
        (function.begin_address.get(), taken.sum())
    });
    frames.collect()
}

#[test]
fn no_function_takes_much_of_the_stack() {
    let test = "no_function_takes_much_of_the_stack";
    for package in packages(test).into_iter().flatten() {
        if package.manifest["profile"] != "release" {
            continue;
        }
        let file = std::fs::File::open(&package.pdb).expect("PDB");
        let pdb = PDB::open(file).expect("PDB can be read");
        let data = ContextPdbData::try_from_pdb(pdb).expect("PDB has symbols");
        let context = data.make_context().expect("context");
        let name = |rva: u32| {
            let found = context.find_frames(rva).ok().flatten();
            let outermost = found.and_then(|found| found.frames.into_iter().next_back());
            let named = outermost.and_then(|frame| frame.function);
            named.unwrap_or_else(|| format!("{rva:#x}"))
        };
        let mut frames = frames(&package);
        frames.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        assert!(frames.len() > 50, "{}: {}", package.name, frames.len());
        let shown: Vec<_> = frames
            .iter()
            .take(3)
            .map(|(rva, bytes)| format!("{bytes} in {}", name(*rva)))
            .collect();
        println!("{}: {}", package.name, shown.join(", "));
        assert!(
            frames[0].1 <= FRAME,
            "{}: {}",
            package.name,
            shown.join(", ")
        );
    }
}

#[test]
fn a_release_image_is_small() {
    for package in packages("a_release_image_is_small").into_iter().flatten() {
        if package.manifest["profile"] != "release" {
            continue;
        }
        let optional = package
            .pe()
            .nt_headers()
            .optional_header()
            .size_of_image
            .get(LE);
        let size = package.image.len();
        println!("{}: {size} bytes, {optional} in memory", package.name);
        assert!(size <= IMAGE, "{}: {size} bytes", package.name);
    }
}

//! Unwinding and naming with a real image and its PDB: the packaged driver's.
//!
//! `IM_PACKAGE_DIR` names the package; without it these tests say so and do nothing.

use std::path::Path;

use lab::{
    crash::stack::{Pointer, Symbols},
    package::{Package, Role},
};
use lab_host::report::StackSnapshot;
use object::{
    LittleEndian as LE,
    pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION,
    read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64},
};

const BASE: u64 = 0x1000_0000_0000;
const RSP: u64 = 0x1000_0500_0000;

struct Driver {
    image: Vec<u8>,
    pdb: Vec<u8>,
}

fn driver(test: &str) -> Option<Driver> {
    let Some(dir) = std::env::var_os("IM_PACKAGE_DIR") else {
        eprintln!("SKIP {test}: IM_PACKAGE_DIR is not set");
        return None;
    };
    let package = Package::open(Path::new(&dir)).expect("the package opens");
    Some(Driver {
        image: package.required(Role::Image).expect("image").bytes,
        pdb: package.required(Role::Pdb).expect("PDB").bytes,
    })
}

/// A function whose frame is made of pushes and one allocation: start, end of
/// the prologue, end, frame size in bytes without the return address.
struct Function {
    start: u32,
    body: u32,
    end: u32,
    frame: u64,
}

/// The function table, read by the documented layout and nothing of the code under test.
fn functions(image: &[u8]) -> Vec<Function> {
    let file = PeFile64::parse(image).expect("a PE image");
    let sections = file.section_table();
    let at = |rva: u32, length: usize| -> &[u8] {
        let data = sections.pe_data_at(image, rva).expect("in a section");
        &data[..length]
    };
    let u16_at = |rva: u32| u16::from_le_bytes(at(rva, 2).try_into().expect("two bytes"));
    let u32_at = |rva: u32| u32::from_le_bytes(at(rva, 4).try_into().expect("four bytes"));
    let directory = file
        .data_directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION)
        .expect("a function table");
    let (table, size) = (directory.virtual_address.get(LE), directory.size.get(LE));
    (table..table + size)
        .step_by(12)
        .filter_map(|entry| {
            let (start, end, info) = (u32_at(entry), u32_at(entry + 4), u32_at(entry + 8));
            let (version_flags, prologue) = (at(info, 1)[0], at(info + 1, 1)[0]);
            let (count, frame_register) = (at(info + 2, 1)[0], at(info + 3, 1)[0]);
            if version_flags != 1 || frame_register != 0 {
                return None;
            }
            let mut frame = 0;
            let mut index = 0;
            while index < count {
                let code = u16_at(info + 4 + u32::from(index) * 2);
                let (operation, argument) = ((code >> 8) & 15, u64::from(code >> 12));
                index += match operation {
                    0 => {
                        frame += 8;
                        1
                    }
                    1 if argument == 0 => {
                        let units = u16_at(info + 4 + u32::from(index + 1) * 2);
                        frame += u64::from(units) * 8;
                        2
                    }
                    2 => {
                        frame += argument * 8 + 8;
                        1
                    }
                    8 => 2,
                    _ => return None,
                };
            }
            let body = start + u32::from(prologue);
            // Room for a call in the body.
            (frame > 0 && body + 5 < end).then_some(Function {
                start,
                body,
                end,
                frame,
            })
        })
        .collect()
}

fn size_of_image(image: &[u8]) -> u64 {
    let file = PeFile64::parse(image).expect("a PE image");
    u64::from(file.nt_headers().optional_header().size_of_image())
}

#[test]
fn two_frames_are_found_by_the_function_table() {
    let Some(driver) = driver("two_frames_are_found_by_the_function_table") else {
        return;
    };
    let functions = functions(&driver.image);
    assert!(functions.len() >= 2, "{} functions", functions.len());
    let mut symbols = Symbols::new(&driver.image, Some(driver.pdb));
    assert_eq!(symbols.note(), None);
    let mut tried = 0;
    for (inner, outer) in functions.iter().zip(functions.iter().skip(1)) {
        // As if `inner`'s body had faulted right after its prologue, called from
        // a call that ends in `outer`'s body, which something outside had called.
        let returns_to = outer.body + 5;
        let mut stack = vec![0; usize::try_from(inner.frame).expect("small")];
        stack.extend((BASE + u64::from(returns_to)).to_le_bytes());
        stack.extend(vec![0; usize::try_from(outer.frame).expect("small")]);
        stack.extend(0x5555_5555_1234u64.to_le_bytes());
        let snapshot = StackSnapshot {
            rip: BASE + u64::from(inner.body),
            rsp: RSP,
            rbp: 0,
            bytes: stack,
            image_base: BASE,
            image_size: size_of_image(&driver.image),
        };
        let frames = symbols.frames(&snapshot, Pointer::Instruction);
        let real: Vec<_> = frames.iter().filter(|frame| !frame.inlined).collect();
        assert_eq!(
            real.iter().map(|frame| frame.rva).collect::<Vec<_>>(),
            [Some(inner.body), Some(returns_to)],
            "inner {:#x}..{:#x} (frame {:#x}): {frames:#?}",
            inner.start,
            inner.end,
            inner.frame
        );
        tried += 1;
    }
    assert!(tried > 0);
}

#[test]
fn the_entry_point_has_a_name_and_a_line() {
    let Some(driver) = driver("the_entry_point_has_a_name_and_a_line") else {
        return;
    };
    let entry = PeFile64::parse(&*driver.image)
        .expect("a PE image")
        .nt_headers()
        .optional_header()
        .address_of_entry_point();
    let mut symbols = Symbols::new(&driver.image, Some(driver.pdb.clone()));
    let snapshot = StackSnapshot {
        rip: BASE + u64::from(entry),
        rsp: RSP,
        image_base: BASE,
        image_size: size_of_image(&driver.image),
        ..StackSnapshot::default()
    };
    let frames = symbols.frames(&snapshot, Pointer::Instruction);
    let last = frames.last().expect("a frame");
    let name = last.function.as_deref().unwrap_or_default();
    assert!(name.contains("driver_entry"), "{frames:#?}");
    let file = Path::new(last.file.as_deref().unwrap_or_default());
    assert_eq!(file.extension(), Some("rs".as_ref()), "{frames:#?}");
    assert!(last.line.is_some_and(|line| line > 0), "{frames:#?}");
}

#[test]
fn a_pdb_of_another_build_is_refused() {
    let Some(mut driver) = driver("a_pdb_of_another_build_is_refused") else {
        return;
    };
    // The identity is in the image's debug directory, right behind "RSDS".
    let at = driver
        .image
        .windows(4)
        .position(|window| window == b"RSDS")
        .expect("a debug record");
    driver.image[at + 4] ^= 0xff;
    let symbols = Symbols::new(&driver.image, Some(driver.pdb));
    assert_eq!(
        symbols.note(),
        Some("the PDB belongs to another build of the image")
    );
}

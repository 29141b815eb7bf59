//! The driver's stack: raw bytes and registers become functions, files and lines.
//!
//! Frames are found by the image's own unwind tables (`.pdata`), names by its
//! PDB. Runs in the parent, on data that a hostile driver may have shaped: the
//! unwinder is never trusted to survive it, only to be stopped.

use std::{
    collections::HashMap,
    fmt,
    io::Cursor,
    ops::{Deref, Range},
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use framehop::{
    FrameAddress, Module, ModuleSectionInfo, Unwinder,
    x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64},
};
use lab_host::report::StackSnapshot;
use object::{
    LittleEndian as LE, Object,
    pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION,
    read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64},
};
use pdb_addr2line::{ContextPdbData, pdb::PDB};
use serde::Serialize;

/// Frames shown at most; a stack with more is a recursion.
const MAX_FRAMES: usize = 64;
/// Image memory laid out for reading at most.
const MAX_IMAGE: usize = 256 << 20;

/// One frame, innermost first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// Offset from the start of the image; `None` outside it.
    pub rva: Option<u32>,
    /// Absolute address.
    pub address: u64,
    /// Function.
    pub function: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
    /// The compiler put this function into its caller.
    pub inlined: bool,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.function, self.rva) {
            (Some(function), _) => write!(f, "{function}")?,
            (None, Some(rva)) => write!(f, "image+{rva:#x}")?,
            (None, None) => write!(f, "{:#x}, outside the image", self.address)?,
        }
        if self.inlined {
            write!(f, " (inlined)")?;
        }
        if let Some(file) = &self.file {
            write!(f, "\n           at {file}")?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
        } else if let (Some(_), Some(rva)) = (&self.function, self.rva) {
            write!(f, "  (image+{rva:#x})")?;
        }
        Ok(())
    }
}

/// What the instruction pointer of a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// The instruction that faulted.
    Instruction,
    /// Where a call returns to: the call is the instruction before.
    Return,
}

/// Image and symbols of a driver.
pub struct Symbols {
    memory: Bytes,
    pdata: Bytes,
    pdb: Option<ContextPdbData<'static, 'static, Cursor<Vec<u8>>>>,
    known: HashMap<u32, Vec<Frame>>,
    /// Why there are no names, if there are none.
    note: Option<String>,
}

#[derive(Clone)]
struct Bytes(Arc<[u8]>);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Symbols {
    /// From the bytes of the image and of its PDB. Without either, addresses stay addresses.
    pub fn new(image: &[u8], pdb: Option<Vec<u8>>) -> Self {
        let (memory, pdata) = lay_out(image).unwrap_or_default();
        let (pdb, note) = match pdb {
            None => (None, Some("the package has no PDB".to_owned())),
            Some(bytes) => match open_pdb(image, bytes) {
                Ok(data) => (Some(data), None),
                Err(why) => (None, Some(why)),
            },
        };
        Self {
            memory: Bytes(memory.into()),
            pdata: Bytes(pdata.into()),
            pdb,
            known: HashMap::new(),
            note,
        }
    }

    /// Why names are missing.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The frames of a snapshot, innermost first, up to the first one outside the image.
    pub fn frames(&mut self, snapshot: &StackSnapshot, pointer: Pointer) -> Vec<Frame> {
        let addresses = quietly(|| self.unwind(snapshot, pointer))
            .unwrap_or_else(|| vec![(snapshot.rip, pointer)]);
        addresses
            .into_iter()
            .flat_map(|(address, pointer)| self.name(snapshot, address, pointer))
            .collect()
    }

    fn unwind(&self, snapshot: &StackSnapshot, pointer: Pointer) -> Vec<(u64, Pointer)> {
        let base = snapshot.image_base;
        let range = base..base.saturating_add(snapshot.image_size);
        let mut unwinder = UnwinderX86_64::new();
        unwinder.add_module(Module::new(
            "driver".into(),
            range.clone(),
            base,
            Sections {
                base,
                range: range.clone(),
                memory: self.memory.clone(),
                pdata: self.pdata.clone(),
            },
        ));
        let mut cache = CacheX86_64::new();
        let mut read = |address: u64| -> Result<u64, ()> {
            let at = usize::try_from(address.wrapping_sub(snapshot.rsp)).map_err(|_| ())?;
            let bytes = at
                .checked_add(8)
                .and_then(|end| snapshot.bytes.get(at..end));
            bytes
                .and_then(|bytes| bytes.try_into().ok())
                .map(u64::from_le_bytes)
                .ok_or(())
        };
        let mut frames = vec![(snapshot.rip, pointer)];
        let mut registers = UnwindRegsX86_64::new(snapshot.rip, snapshot.rsp, snapshot.rbp);
        let mut here = match pointer {
            Pointer::Instruction => FrameAddress::from_instruction_pointer(snapshot.rip),
            Pointer::Return => match FrameAddress::from_return_address(snapshot.rip) {
                Some(address) => address,
                None => FrameAddress::from_instruction_pointer(snapshot.rip),
            },
        };
        if !range.contains(&snapshot.rip) {
            // A call to nowhere: the return address is on top of the stack.
            let Some(caller) = read(snapshot.rsp)
                .ok()
                .filter(|caller| range.contains(caller))
            else {
                return frames;
            };
            let Some(address) = FrameAddress::from_return_address(caller) else {
                return frames;
            };
            frames.push((caller, Pointer::Return));
            registers = UnwindRegsX86_64::new(caller, snapshot.rsp.wrapping_add(8), snapshot.rbp);
            here = address;
        }
        while frames.len() < MAX_FRAMES {
            match unwinder.unwind_frame(here, &mut registers, &mut cache, &mut read) {
                Ok(Some(caller)) if range.contains(&caller) => {
                    let Some(address) = FrameAddress::from_return_address(caller) else {
                        break;
                    };
                    frames.push((caller, Pointer::Return));
                    here = address;
                }
                // The host called this function: its side is in the list of host calls.
                Ok(_) | Err(_) => break,
            }
        }
        frames
    }

    fn name(&mut self, snapshot: &StackSnapshot, address: u64, pointer: Pointer) -> Vec<Frame> {
        let inside = address
            .checked_sub(snapshot.image_base)
            .filter(|offset| *offset < snapshot.image_size)
            .and_then(|offset| u32::try_from(offset).ok());
        let bare = Frame {
            rva: inside,
            address,
            function: None,
            file: None,
            line: None,
            inlined: false,
        };
        let Some(rva) = inside else {
            return vec![bare];
        };
        // A return address may be the first instruction of the next line.
        let probe = match pointer {
            Pointer::Instruction => rva,
            Pointer::Return => rva.saturating_sub(1),
        };
        if let Some(frames) = self.known.get(&probe) {
            return frames
                .iter()
                .map(|frame| Frame {
                    rva: inside,
                    address,
                    ..frame.clone()
                })
                .collect();
        }
        let found = self.pdb.as_ref().and_then(|pdb| {
            let context = pdb.make_context().ok()?;
            let found = context.find_frames(probe).ok()??;
            let last = found.frames.len().checked_sub(1)?;
            Some(
                found
                    .frames
                    .into_iter()
                    .enumerate()
                    .map(|(index, frame)| Frame {
                        function: frame.function,
                        file: frame.file.map(|file| {
                            // The build maps the repository's own directory to this.
                            file.strip_prefix("/src/").unwrap_or(&file).to_owned()
                        }),
                        line: frame.line,
                        inlined: index != last,
                        ..bare.clone()
                    })
                    .collect::<Vec<_>>(),
            )
        });
        let frames = found.unwrap_or_else(|| vec![bare]);
        self.known.insert(probe, frames.clone());
        frames
    }
}

fn open_pdb(
    image: &[u8],
    bytes: Vec<u8>,
) -> Result<ContextPdbData<'static, 'static, Cursor<Vec<u8>>>, String> {
    let damaged = |error: &dyn fmt::Display| format!("the PDB cannot be read: {error}");
    let mut pdb = PDB::open(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    let guid = pdb
        .pdb_information()
        .map_err(|error| damaged(&error))?
        .guid
        .to_bytes_le();
    let wanted = PeFile64::parse(image)
        .ok()
        .and_then(|file| file.pdb_info().ok().flatten().map(|info| info.guid()));
    if wanted.is_some_and(|wanted| wanted != guid) {
        return Err("the PDB belongs to another build of the image".into());
    }
    ContextPdbData::try_from_pdb(pdb).map_err(|error| damaged(&error))
}

/// The image as it lies in memory (not relocated).
pub(super) fn memory_of(image: &[u8]) -> Option<Vec<u8>> {
    lay_out(image).map(|(memory, _)| memory)
}

/// The image as it lies in memory, and its function table.
fn lay_out(image: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let file = PeFile64::parse(image).ok()?;
    let optional = file.nt_headers().optional_header();
    let size = usize::try_from(optional.size_of_image()).ok()?;
    if size > MAX_IMAGE {
        return None;
    }
    let mut memory = vec![0; size];
    for section in file.section_table().iter() {
        let Ok(data) = section.pe_data(image) else {
            continue;
        };
        let at = usize::try_from(section.virtual_address.get(LE)).ok()?;
        if let Some(target) = at
            .checked_add(data.len())
            .and_then(|end| memory.get_mut(at..end))
        {
            target.copy_from_slice(data);
        }
    }
    let pdata = file
        .data_directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION)
        .and_then(|directory| {
            let at = usize::try_from(directory.virtual_address.get(LE)).ok()?;
            let length = usize::try_from(directory.size.get(LE)).ok()?;
            memory.get(at..at.checked_add(length)?)
        })
        .unwrap_or_default()
        .to_vec();
    Some((memory, pdata))
}

/// The unwinder asks for sections by their usual names. A driver spreads its code
/// over several (`PAGE`, `INIT`), so each answer is the whole image.
struct Sections {
    base: u64,
    range: Range<u64>,
    memory: Bytes,
    pdata: Bytes,
}

impl ModuleSectionInfo<Bytes> for Sections {
    fn base_svma(&self) -> u64 {
        self.base
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        match name {
            b".text" | b".rdata" => Some(self.range.clone()),
            _ => None,
        }
    }

    fn section_data(&mut self, name: &[u8]) -> Option<Bytes> {
        match name {
            b".text" | b".rdata" => Some(self.memory.clone()),
            b".pdata" => Some(self.pdata.clone()),
            _ => None,
        }
    }
}

/// Runs the unwinder, which indexes tables that the image's author wrote, and adds up numbers
/// that a snapshot need not have: `None` where it panics, of which nobody hears.
fn quietly<R>(unwind: impl FnOnce() -> R) -> Option<R> {
    /// The hook is the process's; one takes it at a time.
    static HOOK: Mutex<()> = Mutex::new(());
    let _mine = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(unwind));
    panic::set_hook(hook);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(rip: u64, bytes: Vec<u8>) -> StackSnapshot {
        StackSnapshot {
            rip,
            rsp: 0x7000_0000,
            rbp: 0,
            bytes,
            image_base: 0x1000_0000,
            image_size: 0x5000,
        }
    }

    #[test]
    fn without_image_and_symbols_the_address_stays() {
        let mut symbols = Symbols::new(b"not an image", None);
        let frames = symbols.frames(&snapshot(0x1000_1234, vec![]), Pointer::Instruction);
        assert_eq!(frames[0].to_string(), "image+0x1234");
        assert_eq!(symbols.note(), Some("the package has no PDB"));
    }

    #[test]
    fn a_call_to_nowhere_shows_the_caller() {
        let mut symbols = Symbols::new(b"", None);
        let stack = 0x1000_2000u64.to_le_bytes().to_vec();
        let frames = symbols.frames(&snapshot(0, stack), Pointer::Instruction);
        assert_eq!(frames[0].rva, None);
        assert_eq!(frames[0].to_string(), "0x0, outside the image");
        assert_eq!(frames[1].rva, Some(0x2000));
    }

    #[test]
    fn garbage_for_symbols_is_said() {
        let symbols = Symbols::new(b"", Some(b"garbage".to_vec()));
        let note = symbols.note().expect("a reason");
        assert!(note.contains("cannot be read"), "{note}");
    }
}

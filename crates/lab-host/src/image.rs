//! Loading a driver image: sections mapped with their protections, relocated, imports
//! bound to the host's functions.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageOptionalHeader as _, PeFile64};

use crate::arena::{Arena, IMAGE_SIZE, PAGE, Protection};
use crate::code::Code;

/// Why a file cannot be loaded; says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not a PE image, or cut short.
    #[error("not a complete PE image: {0}")]
    NotPe(String),
    /// A PE of another machine.
    #[error(
        "the image is for machine {found:#06x}; this host runs x64 ({:#06x})",
        pe::IMAGE_FILE_MACHINE_AMD64
    )]
    WrongMachine {
        /// The file header's value.
        found: u16,
    },
    /// A PE, but not a driver.
    #[error("subsystem {0} is not NATIVE (1): this is not a kernel driver")]
    NotADriver(u16),
    /// Imports that the host lacks, all of them.
    #[error("{}", .0.iter().map(|i| format!("{} is not provided", crate::surface::describe(i))).collect::<Vec<_>>().join("\n"))]
    Imports(Vec<String>),
    /// Too large, or damaged inside.
    #[error("damaged image: {0}")]
    Damaged(String),
    /// The system refused memory.
    #[error("mapping the image: {0}")]
    Map(#[from] std::io::Error),
}

/// A section as mapped.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// First byte, absolute.
    pub start: u64,
    /// Bytes in memory.
    pub len: u64,
    /// Driver's access.
    pub protection: Protection,
}

/// A loaded image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where it lies.
    pub base: u64,
    /// How long it is.
    pub size: u64,
    /// Address of the entry point.
    pub entry: u64,
    /// Sections.
    pub sections: Vec<Section>,
    /// Exported names and their addresses.
    pub exports: BTreeMap<String, u64>,
    /// `dll!name` of every import.
    pub imports: Vec<String>,
    /// Slots of the import address table, by address, with `dll!name`.
    pub slots: BTreeMap<u64, String>,
    /// Functions that have unwind information: first byte and the byte after the last.
    pub functions: Vec<(u64, u64)>,
    /// What the relocated words of the image point to.
    pub pointers: Vec<u64>,
    /// Where the function table (`.pdata`) is and how long, in bytes from the base.
    pub(crate) function_table: (u32, u32),
    pristine: Vec<u8>,
    code: OnceLock<Arc<Code>>,
}

/// Imports of a file, without loading it.
///
/// # Errors
/// [`LoadError`] when it is not a driver for this host.
pub fn imports(bytes: &[u8]) -> Result<Vec<(String, String)>, LoadError> {
    let file = parse(bytes)?;
    let mut list = Vec::new();
    let damaged = |e: object::read::Error| LoadError::Damaged(e.to_string());
    let Some(table) = file.import_table().map_err(damaged)? else {
        return Ok(list);
    };
    let mut descriptors = table.descriptors().map_err(damaged)?;
    while let Some(descriptor) = descriptors.next().map_err(damaged)? {
        let dll = table.name(descriptor.name.get(LE)).map_err(damaged)?;
        let dll = String::from_utf8_lossy(dll).to_lowercase();
        let first = match descriptor.original_first_thunk.get(LE) {
            0 => descriptor.first_thunk.get(LE),
            other => other,
        };
        let mut thunks = table.thunks(first).map_err(damaged)?;
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>().map_err(damaged)? {
            let name = table
                .import::<pe::ImageNtHeaders64>(thunk)
                .map_err(damaged)?;
            let name = match name {
                object::read::pe::Import::Name(_, name) => {
                    String::from_utf8_lossy(name).into_owned()
                }
                object::read::pe::Import::Ordinal(n) => format!("#{n}"),
            };
            list.push((dll.clone(), name));
        }
    }
    Ok(list)
}

fn parse(bytes: &[u8]) -> Result<PeFile64<'_>, LoadError> {
    let kind = object::FileKind::parse(bytes).map_err(|e| {
        let start = format!("{:02x?}", bytes.get(..4).unwrap_or(bytes));
        LoadError::NotPe(format!("{e}; it starts with {start}"))
    })?;
    match kind {
        object::FileKind::Pe64 => {}
        object::FileKind::Pe32 => {
            return Err(LoadError::WrongMachine {
                found: pe::IMAGE_FILE_MACHINE_I386.0,
            });
        }
        other => return Err(LoadError::NotPe(format!("it is {other:?}"))),
    }
    let file = PeFile64::parse(bytes).map_err(|e| LoadError::NotPe(e.to_string()))?;
    let machine = file.nt_headers().file_header.machine.get(LE);
    if machine != pe::IMAGE_FILE_MACHINE_AMD64 {
        return Err(LoadError::WrongMachine { found: machine.0 });
    }
    let subsystem = file.nt_headers().optional_header.subsystem();
    if subsystem != pe::IMAGE_SUBSYSTEM_NATIVE {
        return Err(LoadError::NotADriver(subsystem.0));
    }
    for section in file.section_table().iter() {
        let end = u64::from(section.pointer_to_raw_data.get(LE))
            + u64::from(section.size_of_raw_data.get(LE));
        if end > bytes.len() as u64 {
            return Err(LoadError::NotPe(format!(
                "truncated: section {} ends at byte {end}, the file has {}",
                String::from_utf8_lossy(section.raw_name()),
                bytes.len()
            )));
        }
    }
    Ok(file)
}

fn protection(characteristics: pe::SectionFlags) -> Protection {
    let w = characteristics.0 & pe::IMAGE_SCN_MEM_WRITE.0 != 0;
    let x = characteristics.0 & pe::IMAGE_SCN_MEM_EXECUTE.0 != 0;
    let r = characteristics.0 & pe::IMAGE_SCN_MEM_READ.0 != 0;
    match (r, w, x) {
        (_, true, true) => Protection::ReadWriteExecute,
        (_, false, true) => Protection::ReadExecute,
        (_, true, false) => Protection::ReadWrite,
        (true, false, false) => Protection::Read,
        (false, false, false) => Protection::None,
    }
}

impl Image {
    /// Maps a file at `base`, binding each import by `resolve(dll, name)`.
    ///
    /// # Errors
    /// [`LoadError`]; nothing is executable then.
    pub fn load(
        arena: &Arena,
        base: u64,
        bytes: &[u8],
        resolve: &dyn Fn(&str, &str) -> Option<u64>,
    ) -> Result<Self, LoadError> {
        let file = parse(bytes)?;
        // An image without a table of relocations may have none to make, unless it says that
        // they were taken away.
        let header = &file.nt_headers().file_header;
        let stripped = header.characteristics.get(LE).0 & pe::IMAGE_FILE_RELOCS_STRIPPED.0 != 0;
        let damaged = |e: object::read::Error| LoadError::Damaged(e.to_string());
        let optional = &file.nt_headers().optional_header;
        let size = u64::from(optional.size_of_image()).next_multiple_of(PAGE);
        let room = arena.image() + IMAGE_SIZE - base;
        if size > room {
            return Err(LoadError::Damaged(format!(
                "SizeOfImage {size} is more than {room} bytes"
            )));
        }
        let mut memory = vec![0_u8; size as usize];
        let headers = (optional.size_of_headers() as usize).min(bytes.len());
        copy(&mut memory, 0, bytes.get(..headers).unwrap_or_default())?;
        let mut sections = Vec::new();
        for section in file.section_table().iter() {
            let at = section.virtual_address.get(LE);
            let raw = section.size_of_raw_data.get(LE);
            let len = section.virtual_size.get(LE).max(raw);
            let from = section.pointer_to_raw_data.get(LE) as usize;
            let data = bytes.get(from..from + raw as usize).unwrap_or_default();
            let shown = data.len().min(section.virtual_size.get(LE) as usize);
            copy(&mut memory, at, data.get(..shown).unwrap_or_default())?;
            sections.push(Section {
                name: String::from_utf8_lossy(section.raw_name()).into_owned(),
                start: base + u64::from(at),
                len: u64::from(len).next_multiple_of(PAGE),
                protection: protection(section.characteristics.get(LE)),
            });
        }

        let mut pointers = Vec::new();
        let delta = base.wrapping_sub(optional.image_base());
        if let Some(mut blocks) = file
            .data_directories()
            .relocation_blocks(bytes, &file.section_table())
            .map_err(damaged)?
        {
            while let Some(block) = blocks.next().map_err(damaged)? {
                for reloc in block {
                    match reloc.typ {
                        pe::IMAGE_REL_BASED_ABSOLUTE => {}
                        pe::IMAGE_REL_BASED_DIR64 => {
                            let at = reloc.virtual_address as usize;
                            let word = memory.get_mut(at..at + 8).ok_or_else(|| {
                                LoadError::Damaged(format!("relocation at {at:#x}"))
                            })?;
                            let old = u64::from_le_bytes(word.try_into().expect("eight bytes"));
                            let new = old.wrapping_add(delta);
                            word.copy_from_slice(&new.to_le_bytes());
                            pointers.push(new);
                        }
                        other => {
                            return Err(LoadError::Damaged(format!("relocation type {other}")));
                        }
                    }
                }
            }
        } else if delta != 0 && stripped {
            return Err(LoadError::Damaged(
                "no relocations: the image cannot be moved from its preferred address".into(),
            ));
        }

        let slots = Self::bind(&file, base, &mut memory, resolve)?;
        let directory = |index| {
            file.data_directories()
                .get(index)
                .map_or((0, 0), |d| (d.virtual_address.get(LE), d.size.get(LE)))
        };
        let function_table = directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION);
        let load_config = directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG);
        set_cookie(&mut memory, base, load_config);
        let mut exports = BTreeMap::new();
        if let Some(table) = file.export_table().map_err(damaged)? {
            for export in table.exports().map_err(damaged)? {
                if let (Some(name), object::read::pe::ExportTarget::Address(rva)) =
                    (export.name, export.target)
                {
                    exports.insert(
                        String::from_utf8_lossy(name).into_owned(),
                        base + u64::from(rva),
                    );
                }
            }
        }

        let image = Self {
            base,
            size,
            entry: base + u64::from(optional.address_of_entry_point()),
            sections,
            exports,
            imports: slots.values().cloned().collect(),
            slots,
            functions: functions(&file, base, &memory),
            pointers,
            function_table,
            pristine: memory,
            code: OnceLock::new(),
        };
        image.restore(arena)?;
        Ok(image)
    }

    fn bind(
        file: &PeFile64<'_>,
        base: u64,
        memory: &mut [u8],
        resolve: &dyn Fn(&str, &str) -> Option<u64>,
    ) -> Result<BTreeMap<u64, String>, LoadError> {
        let damaged = |e: object::read::Error| LoadError::Damaged(e.to_string());
        let mut missing = Vec::new();
        let mut bound = BTreeMap::new();
        let Some(table) = file.import_table().map_err(damaged)? else {
            return Ok(bound);
        };
        let mut descriptors = table.descriptors().map_err(damaged)?;
        while let Some(descriptor) = descriptors.next().map_err(damaged)? {
            let dll = table.name(descriptor.name.get(LE)).map_err(damaged)?;
            let dll = String::from_utf8_lossy(dll).to_lowercase();
            let first = descriptor.first_thunk.get(LE);
            let names = match descriptor.original_first_thunk.get(LE) {
                0 => first,
                other => other,
            };
            let mut thunks = table.thunks(names).map_err(damaged)?;
            let mut slot = first as usize;
            while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>().map_err(damaged)? {
                let name = match table
                    .import::<pe::ImageNtHeaders64>(thunk)
                    .map_err(damaged)?
                {
                    object::read::pe::Import::Name(_, name) => {
                        String::from_utf8_lossy(name).into_owned()
                    }
                    object::read::pe::Import::Ordinal(n) => format!("#{n}"),
                };
                let full = format!("{dll}!{name}");
                match resolve(&dll, &name) {
                    Some(address) => {
                        copy(memory, slot as u32, &address.to_le_bytes())?;
                        bound.insert(base + slot as u64, full);
                    }
                    None => missing.push(full),
                }
                slot += 8;
            }
        }
        if missing.is_empty() {
            Ok(bound)
        } else {
            Err(LoadError::Imports(missing))
        }
    }

    /// Puts every byte and protection back as they were when the image was loaded.
    ///
    /// # Errors
    /// What the system says.
    pub fn restore(&self, arena: &Arena) -> std::io::Result<()> {
        let to = arena.trusted(self.base);
        // SAFETY: the image's range was checked against the arena when it was loaded; no
        // driver code runs while an image is restored.
        unsafe { std::ptr::copy_nonoverlapping(self.pristine.as_ptr(), to, self.pristine.len()) };
        arena.protect(self.base, self.size, Protection::Read)?;
        for section in &self.sections {
            let len = section.len.min(self.base + self.size - section.start);
            arena.protect(section.start, len, section.protection)?;
        }
        Ok(())
    }

    /// Its disassembly, made when it is first asked for.
    pub fn code(&self) -> Arc<Code> {
        Arc::clone(self.code.get_or_init(|| Arc::new(Code::of(self))))
    }

    /// The bytes as they were when the image was loaded, from its base on.
    pub fn pristine(&self) -> &[u8] {
        &self.pristine
    }

    /// Puts back what the driver can have changed: the sections that it may write to. Code and
    /// constants it cannot have, and the host takes its breakpoints out itself.
    pub(crate) fn restore_data(&self, arena: &Arena) {
        for section in &self.sections {
            if !matches!(
                section.protection,
                Protection::ReadWrite | Protection::ReadWriteExecute
            ) {
                continue;
            }
            let from = (section.start - self.base) as usize;
            let to = self.pristine.len().min(from + section.len as usize);
            let Some(bytes) = self.pristine.get(from..to) else {
                continue;
            };
            // SAFETY: the section lies in the image's range, which was checked against the arena
            // when it was loaded; no driver code runs while an image is restored.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    bytes.as_ptr(),
                    arena.trusted(section.start),
                    bytes.len(),
                );
            }
        }
    }

    /// Whether `address` lies in the image.
    pub const fn contains(&self, address: u64) -> bool {
        address >= self.base && address < self.base + self.size
    }

    /// Whether `address` lies in executable memory of the image.
    pub fn is_code(&self, address: u64) -> bool {
        self.sections.iter().any(|s| {
            matches!(
                s.protection,
                Protection::ReadExecute | Protection::ReadWriteExecute
            ) && address >= s.start
                && address < s.start + s.len
        })
    }
}

#[cfg(test)]
impl Image {
    /// An image of three pages for tests: headers, code (the entry point is its first byte),
    /// data. Nothing of it is mapped.
    pub(crate) fn of_code(base: u64, code: &[u8], slots: &[(u64, &str)]) -> Self {
        let mut pristine = vec![0; 4 * PAGE as usize];
        pristine[0x1000..0x1000 + code.len()].copy_from_slice(code);
        let section = |name: &str, start: u64, len: u64, protection| Section {
            name: name.into(),
            start: base + start,
            len,
            protection,
        };
        Self {
            base,
            size: 4 * PAGE,
            entry: base + 0x1000,
            sections: vec![
                section(".text", 0x1000, 0x2000, Protection::ReadExecute),
                section(".rdata", 0x3000, 0x1000, Protection::Read),
            ],
            exports: BTreeMap::new(),
            imports: Vec::new(),
            slots: slots.iter().map(|&(at, n)| (base + at, n.into())).collect(),
            functions: Vec::new(),
            pointers: Vec::new(),
            function_table: (0, 0),
            pristine,
            code: OnceLock::new(),
        }
    }

    /// Says where its function table is.
    pub(crate) fn set_function_table(&mut self, at: u32, len: u32) {
        self.function_table = (at, len);
    }

    /// Writes into the pristine bytes.
    pub(crate) fn poke(&mut self, at: usize, bytes: &[u8]) {
        self.pristine[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// Functions that the exception directory lists.
fn functions(file: &PeFile64<'_>, base: u64, memory: &[u8]) -> Vec<(u64, u64)> {
    let Some(directory) = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION) else {
        return Vec::new();
    };
    let (at, len) = directory.address_range();
    let Some(table) = memory.get(at as usize..at.saturating_add(len) as usize) else {
        return Vec::new();
    };
    let word = |entry: &[u8], i: usize| {
        u64::from(u32::from_le_bytes([
            entry[i],
            entry[i + 1],
            entry[i + 2],
            entry[i + 3],
        ]))
    };
    let mut list: Vec<(u64, u64)> = table
        .chunks_exact(12)
        .map(|entry| (base + word(entry, 0), base + word(entry, 4)))
        .filter(|(start, end)| start < end && *end <= base + memory.len() as u64)
        .collect();
    list.sort_unstable();
    list
}

/// Gives the stack cookie a value, as the loader does: code that finds the one that the linker
/// put there stops the system.
fn set_cookie(memory: &mut [u8], base: u64, (at, len): (u32, u32)) {
    const SECURITY_COOKIE: usize = 0x58;
    const LINKED: u64 = 0x2B99_2DDF_A232;
    if (len as usize) < SECURITY_COOKIE + 8 {
        return;
    }
    let word = |memory: &[u8], at: usize| {
        let bytes = memory.get(at..at.checked_add(8)?)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    };
    let Some(cookie) = word(memory, at as usize + SECURITY_COOKIE)
        .and_then(|address| usize::try_from(address.checked_sub(base)?).ok())
        .filter(|&cookie| word(memory, cookie) == Some(LINKED))
    else {
        return;
    };
    memory[cookie..cookie + 8].copy_from_slice(&(LINKED ^ base.rotate_right(20)).to_le_bytes());
}

fn copy(memory: &mut [u8], at: u32, data: &[u8]) -> Result<(), LoadError> {
    let at = at as usize;
    memory
        .get_mut(at..at + data.len())
        .ok_or_else(|| LoadError::Damaged(format!("bytes at {at:#x} lie outside SizeOfImage")))?
        .copy_from_slice(data);
    Ok(())
}

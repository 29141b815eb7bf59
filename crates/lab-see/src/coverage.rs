//! Coverage by function and line: the blocks that a host saw reached, read with the PDB.
//!
//! A block runs from its first instruction to its last, so every line that has an instruction
//! in a reached block was reached; so was every function that such an instruction belongs to,
//! also one that the compiler put into its caller. A block that a call never came back to
//! counts as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Cursor;

use iced_x86::{Decoder, DecoderOptions, FlowControl};
use lab_host::trace::Block;
use object::read::pe::PeFile64;
use object::{Object as _, ObjectSection as _};
use pdb_addr2line::ContextPdbData;
use pdb_addr2line::pdb::PDB;
use serde::Serialize;

/// Why an image cannot be read with its PDB.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The image is none.
    #[error("the image cannot be read: {0}")]
    Image(String),
    /// The PDB is none, or of another image.
    #[error("the PDB cannot be read: {0}")]
    Pdb(String),
}

/// A line of a source file.
type Line = (u32, u32);

struct Mapped {
    start: u32,
    lines: BTreeSet<Line>,
    functions: BTreeSet<u32>,
}

/// Where each block of an image comes from.
pub struct Map {
    files: Vec<String>,
    /// Name, file and first line.
    functions: Vec<(String, u32, u32)>,
    blocks: Vec<Mapped>,
}

/// Numbers for names.
#[derive(Default)]
struct Names {
    all: Vec<String>,
    known: BTreeMap<String, u32>,
}

impl Names {
    fn of(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.known.get(name) {
            return id;
        }
        let id = self.all.len() as u32;
        self.all.push(name.to_owned());
        self.known.insert(name.to_owned(), id);
        id
    }
}

/// The bytes of an image from an address on, as far as one section has them.
fn code(file: &PeFile64<'_>, base: u64, rva: u32, limit: u32) -> Option<Vec<u8>> {
    let at = base + u64::from(rva);
    let section = file
        .sections()
        .find(|s| (s.address()..s.address() + s.size()).contains(&at))?;
    let data = section.data().ok()?;
    let start = usize::try_from(at - section.address()).ok()?;
    let end = start.checked_add((limit - rva) as usize)?.min(data.len());
    data.get(start..end).map(<[u8]>::to_vec)
}

impl Map {
    /// Finds the lines of every block.
    ///
    /// # Errors
    /// [`MapError`].
    pub fn new(image: &[u8], pdb: Vec<u8>, blocks: &[Block]) -> Result<Self, MapError> {
        let file = PeFile64::parse(image).map_err(|e| MapError::Image(e.to_string()))?;
        let base = file.relative_address_base();
        let bad = |e: &dyn std::fmt::Display| MapError::Pdb(e.to_string());
        let mut pdb = PDB::open(Cursor::new(pdb)).map_err(|e| bad(&e))?;
        let guid = pdb
            .pdb_information()
            .map_err(|e| bad(&e))?
            .guid
            .to_bytes_le();
        let wanted = file.pdb_info().ok().flatten().map(|info| info.guid());
        if wanted.is_some_and(|wanted| wanted != guid) {
            return Err(MapError::Pdb("it belongs to another build".into()));
        }
        let data = ContextPdbData::try_from_pdb(pdb).map_err(|e| bad(&e))?;
        let context = data.make_context().map_err(|e| bad(&e))?;
        let mut files = Names::default();
        let mut names = Names::default();
        let mut places: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        let mut mapped = Vec::new();
        for block in blocks {
            let mut lines = BTreeSet::new();
            let mut functions = BTreeSet::new();
            for at in instructions(&file, base, block) {
                // Code without symbols has no lines.
                let Ok(Some(found)) = context.find_frames(at) else {
                    continue;
                };
                for frame in found.frames {
                    let (Some(path), Some(line)) = (frame.file, frame.line) else {
                        continue;
                    };
                    let path = files.of(path.strip_prefix("/src/").unwrap_or(&path));
                    // Line 0 is code that comes from no line.
                    if line > 0 {
                        lines.insert((path, line));
                    }
                    if let Some(function) = frame.function {
                        let id = names.of(&function);
                        functions.insert(id);
                        let place = places.entry(id).or_insert((path, line));
                        if place.0 == path && line > 0 {
                            place.1 = place.1.min(line);
                        }
                    }
                }
            }
            mapped.push(Mapped {
                start: block.start,
                lines,
                functions,
            });
        }
        let functions = names
            .all
            .into_iter()
            .enumerate()
            .map(|(id, name)| {
                let (file, line) = places.get(&(id as u32)).copied().unwrap_or_default();
                (name, file, line)
            })
            .collect();
        Ok(Self {
            files: files.all,
            functions,
            blocks: mapped,
        })
    }

    /// What a run reached, given the blocks' starts.
    pub fn coverage(&self, reached: &BTreeSet<u32>) -> Coverage {
        let mut files: BTreeMap<u32, FileCoverage> = BTreeMap::new();
        let mut functions: BTreeMap<u32, bool> = BTreeMap::new();
        for block in &self.blocks {
            let hit = reached.contains(&block.start);
            for &(file, line) in &block.lines {
                let entry = files.entry(file).or_default();
                *entry.lines.entry(line).or_default() |= hit;
            }
            for &function in &block.functions {
                *functions.entry(function).or_default() |= hit;
            }
        }
        for (id, hit) in functions {
            if let Some((name, file, line)) = self.functions.get(id as usize) {
                let function = FunctionCoverage {
                    name: name.clone(),
                    line: *line,
                    reached: hit,
                };
                files.entry(*file).or_default().functions.push(function);
            }
        }
        let named = files
            .into_iter()
            .filter_map(|(id, mut coverage)| {
                coverage.functions.sort_by_key(|f| (f.line, f.name.clone()));
                Some((self.files.get(id as usize)?.clone(), coverage))
            })
            .collect();
        Coverage {
            blocks: Share {
                reached: self
                    .blocks
                    .iter()
                    .filter(|b| reached.contains(&b.start))
                    .count(),
                known: self.blocks.len(),
            },
            files: named,
        }
    }
}

/// Addresses of a block's instructions.
fn instructions(file: &PeFile64<'_>, base: u64, block: &Block) -> Vec<u32> {
    let Some(bytes) = code(file, base, block.start, block.limit) else {
        return Vec::new();
    };
    let mut decoder = Decoder::with_ip(64, &bytes, u64::from(block.start), DecoderOptions::NONE);
    let mut all = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            break;
        }
        all.push(instruction.ip() as u32);
        // Padding lies behind the last one.
        if matches!(
            instruction.flow_control(),
            FlowControl::Return
                | FlowControl::UnconditionalBranch
                | FlowControl::IndirectBranch
                | FlowControl::Exception
                | FlowControl::Interrupt
        ) {
            break;
        }
    }
    all
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Reached.
    pub reached: usize,
    /// In all.
    pub known: usize,
}

impl Share {
    /// In percent.
    pub fn percent(self) -> f64 {
        if self.known == 0 {
            return 0.0;
        }
        // No image has so many lines that a part of them would not fit.
        let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        100.0 * number(self.reached) / number(self.known)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} ({:.1} %)",
            self.reached,
            self.known,
            self.percent()
        )
    }
}

impl std::ops::AddAssign for Share {
    fn add_assign(&mut self, other: Self) {
        self.reached += other.reached;
        self.known += other.known;
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionCoverage {
    /// Its name.
    pub name: String,
    /// First line with an instruction.
    pub line: u32,
    /// Whether any of it was reached.
    pub reached: bool,
}

/// A source file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileCoverage {
    /// Lines with an instruction, and whether one was reached.
    pub lines: BTreeMap<u32, bool>,
    /// Functions with an instruction.
    pub functions: Vec<FunctionCoverage>,
}

impl FileCoverage {
    /// Lines reached.
    pub fn line_share(&self) -> Share {
        Share {
            reached: self.lines.values().filter(|hit| **hit).count(),
            known: self.lines.len(),
        }
    }

    /// Functions reached.
    pub fn function_share(&self) -> Share {
        Share {
            reached: self.functions.iter().filter(|f| f.reached).count(),
            known: self.functions.len(),
        }
    }
}

/// What was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Basic blocks.
    pub blocks: Share,
    /// Files by their path in the repository, or as the compiler knew them.
    pub files: BTreeMap<String, FileCoverage>,
}

/// Whether a path lies in what was built here, not in a library from elsewhere.
fn is_own(path: &str) -> bool {
    !path.starts_with('/') && !path.contains(':') && !path.starts_with("library/")
}

impl Coverage {
    /// Lines and functions of the files that the driver's own build has.
    pub fn totals(&self) -> (Share, Share) {
        let (mut lines, mut functions) = (Share::default(), Share::default());
        for (path, file) in &self.files {
            if is_own(path) {
                lines += file.line_share();
                functions += file.function_share();
            }
        }
        (lines, functions)
    }

    /// A table of files, and the functions that were not reached.
    pub fn text(&self) -> String {
        let (lines, functions) = self.totals();
        let mut out = format!(
            "blocks    {}\nlines     {lines}\nfunctions {functions}\n\n",
            self.blocks
        );
        out.push_str("           lines       functions  file\n");
        for (path, file) in self.files.iter().filter(|(path, _)| is_own(path)) {
            let (l, f) = (file.line_share(), file.function_share());
            let _ = writeln!(
                out,
                "{:>5}/{:<5} {:>3.0} %  {:>4}/{:<4}  {path}",
                l.reached,
                l.known,
                l.percent(),
                f.reached,
                f.known
            );
        }
        out.push_str("\nfunctions that were not reached:\n");
        for (path, file) in self.files.iter().filter(|(path, _)| is_own(path)) {
            for function in file.functions.iter().filter(|f| !f.reached) {
                let _ = writeln!(out, "  {path}:{}: {}", function.line, function.name);
            }
        }
        out
    }

    /// As lcov's tracefile, for genhtml and editors.
    pub fn lcov(&self, test: &str) -> String {
        let mut out = String::new();
        for (path, file) in self.files.iter().filter(|(path, _)| is_own(path)) {
            let _ = writeln!(out, "TN:{test}\nSF:{path}");
            for function in &file.functions {
                let _ = writeln!(out, "FN:{},{}", function.line, function.name);
            }
            for function in &file.functions {
                let _ = writeln!(out, "FNDA:{},{}", u8::from(function.reached), function.name);
            }
            let f = file.function_share();
            let _ = writeln!(out, "FNF:{}\nFNH:{}", f.known, f.reached);
            for (line, hit) in &file.lines {
                let _ = writeln!(out, "DA:{line},{}", u8::from(*hit));
            }
            let l = file.line_share();
            let _ = writeln!(out, "LF:{}\nLH:{}\nend_of_record", l.known, l.reached);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> Map {
        let block = |start, lines: &[u32], function| Mapped {
            start,
            lines: lines.iter().map(|&line| (0, line)).collect(),
            functions: BTreeSet::from([function]),
        };
        Map {
            files: vec!["drivers/x/src/lib.rs".into()],
            functions: vec![("one".into(), 0, 3), ("two".into(), 0, 9)],
            blocks: vec![
                block(0x1000, &[3, 4], 0),
                block(0x1010, &[4, 5], 0),
                block(0x1020, &[9], 1),
            ],
        }
    }

    #[test]
    fn a_line_is_reached_when_one_of_its_blocks_is() {
        let coverage = map().coverage(&BTreeSet::from([0x1010]));
        let file = &coverage.files["drivers/x/src/lib.rs"];
        let expected = BTreeMap::from([(3, false), (4, true), (5, true), (9, false)]);
        assert_eq!(file.lines, expected);
        let reached: Vec<_> = file.functions.iter().map(|f| f.reached).collect();
        assert_eq!(reached, [true, false]);
        assert_eq!(
            coverage.blocks,
            Share {
                reached: 1,
                known: 3
            }
        );
        assert!(coverage.text().contains("drivers/x/src/lib.rs:9: two"));
    }

    #[test]
    fn lcov_says_the_same() {
        let text = map().coverage(&BTreeSet::from([0x1000, 0x1010])).lcov("t");
        assert_eq!(
            text,
            "TN:t\nSF:drivers/x/src/lib.rs\nFN:3,one\nFN:9,two\nFNDA:1,one\nFNDA:0,two\n\
             FNF:2\nFNH:1\nDA:3,1\nDA:4,1\nDA:5,1\nDA:9,0\nLF:4\nLH:3\nend_of_record\n"
        );
    }

    #[test]
    fn what_is_no_image_is_said() {
        assert!(matches!(
            Map::new(b"x", Vec::new(), &[]),
            Err(MapError::Image(_))
        ));
    }
}

//! No panic is left in a release image.
//!
//! An image without a reachable panic does not even import `KeBugCheckEx`, which the
//! panic handler calls. Where one is left, the failure names the places: every one
//! outside of the libraries that calls one of their functions that panic, with file and line.
//! Calls are found by decoding direct ones; the PDB names functions and lines.

use std::collections::{BTreeMap, BTreeSet};

use pdb_addr2line::{Context, ContextPdbData, pdb::PDB};

use super::pe::{Package, packages};

#[test]
fn a_release_image_has_no_panic_path() {
    let mut left = Vec::new();
    for package in packages("a_release_image_has_no_panic_path")
        .into_iter()
        .flatten()
    {
        if package.manifest["profile"] != "release" {
            continue;
        }
        let imports = package.imports();
        let Some((_, _, slot)) = imports.iter().find(|(_, f, _)| f == "KeBugCheckEx") else {
            println!(
                "{}: no panic is left: KeBugCheckEx is not imported",
                package.name
            );
            continue;
        };
        let file = std::fs::File::open(&package.pdb).expect("PDB");
        let pdb = PDB::open(file).expect("PDB can be read");
        let data = ContextPdbData::try_from_pdb(pdb).expect("PDB has symbols");
        let context = data.make_context().expect("context");
        let map = Map::of(&package, &context);
        let places = map.places(*slot);
        assert!(
            !places.is_empty(),
            "{}: KeBugCheckEx is imported, and no call of it was found",
            package.name
        );
        left.push(format!(
            "{}: {} places can panic:",
            package.name,
            places.len()
        ));
        left.extend(places.into_iter().map(|place| format!("  {place}")));
    }
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// Crates that panic on somebody else's behalf: it is their caller that is asked for.
const LIBRARIES: [&str; 5] = [
    "core::",
    "alloc::",
    "arrayvec::",
    "heapless::",
    "wdk_panic::",
];

/// Who calls whom in an image.
struct Map<'c, 'a, 's> {
    context: &'c Context<'a, 's>,
    names: BTreeMap<u32, String>,
    /// Where, caller and callee; functions by their start.
    calls: BTreeSet<(u32, u32, u32)>,
    /// Function and the RVA of a slot that it calls or jumps through.
    slots: BTreeSet<(u32, u32)>,
}

impl<'c, 'a, 's> Map<'c, 'a, 's> {
    fn of(package: &Package, context: &'c Context<'a, 's>) -> Self {
        let names = context
            .functions()
            .map(|f| {
                (
                    f.start_rva,
                    f.name.unwrap_or_else(|| format!("{:#x}", f.start_rva)),
                )
            })
            .collect();
        let mut map = Self {
            context,
            names,
            calls: BTreeSet::new(),
            slots: BTreeSet::new(),
        };
        for (start, code) in package.code() {
            map.scan(start, &code);
        }
        map
    }

    /// Looks at every byte for a direct call or jump to the start of a function, and for
    /// an indirect one relative to the instruction pointer. A byte inside an instruction
    /// can look like one, but then hardly hits the start of a function.
    fn scan(&mut self, start: u32, code: &[u8]) {
        for at in 0..code.len().saturating_sub(5) {
            let here = start + u32::try_from(at).expect("size of a driver");
            let target = |offset: usize| {
                let bytes: [u8; 4] = code.get(at + offset..at + offset + 4)?.try_into().ok()?;
                let next = i64::from(here) + offset as i64 + 4;
                u32::try_from(next + i64::from(i32::from_le_bytes(bytes))).ok()
            };
            let Some(function) = self.function_at(here) else {
                continue;
            };
            // call rel32, jmp rel32; jcc rel32; call and jmp through [rip+disp32].
            let (direct, slot) = match code[at..] {
                [0xe8 | 0xe9, ..] => (target(1), None),
                [0x0f, 0x80..=0x8f, ..] => (target(2), None),
                [0xff, 0x15 | 0x25, ..] => (None, target(2)),
                _ => continue,
            };
            if let Some(target) = direct.filter(|t| self.names.contains_key(t)) {
                self.calls.insert((here, function, target));
            }
            self.slots.extend(slot.map(|s| (function, s)));
        }
    }

    fn function_at(&self, rva: u32) -> Option<u32> {
        self.names
            .range(..=rva)
            .next_back()
            .map(|(start, _)| *start)
    }

    /// Calls from outside of the libraries and the panic handler into functions of theirs
    /// from which the panic handler is reached, as "file:line (function) -> function".
    fn places(&self, slot: u32) -> BTreeSet<String> {
        let direct = self
            .slots
            .iter()
            .filter(|(_, s)| *s == slot)
            .map(|(f, _)| *f);
        let mut reaching: BTreeSet<u32> = direct.collect();
        loop {
            let more = self.calls.iter().filter(|(_, f, t)| {
                reaching.contains(t) && !reaching.contains(f) && self.is_machinery(*f)
            });
            let more: Vec<u32> = more.map(|(_, f, _)| *f).collect();
            if more.is_empty() {
                break;
            }
            reaching.extend(more);
        }
        self.calls
            .iter()
            .filter(|(_, f, t)| reaching.contains(t) && !self.is_machinery(*f))
            .map(|(at, _, t)| format!("{} -> {}", self.line(*at), self.names[t]))
            .collect()
    }

    fn is_machinery(&self, function: u32) -> bool {
        let name = &self.names[&function];
        LIBRARIES.iter().any(|prefix| name.starts_with(prefix)) || name == "KeBugCheckEx"
    }

    /// The frames of a call that was inlined, up to the first outside of the library.
    fn line(&self, rva: u32) -> String {
        let Ok(Some(found)) = self.context.find_frames(rva) else {
            return format!("{rva:#x}");
        };
        let mut text = Vec::new();
        for frame in found.frames {
            let name = frame.function.unwrap_or_default();
            let inner = LIBRARIES.iter().any(|prefix| name.starts_with(prefix));
            let file = frame.file.map(|f| f.replace('\\', "/")).unwrap_or_default();
            text.push(format!(
                "{file}:{} ({})",
                frame.line.unwrap_or(0),
                short(&name)
            ));
            if !inner {
                break;
            }
        }
        text.join(" in ")
    }
}

/// A name without its parameters.
fn short(name: &str) -> &str {
    name.split(['<', '(']).next().unwrap_or(name)
}

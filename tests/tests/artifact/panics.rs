//! Which panics are left in the release image.
//!
//! An image without a reachable panic does not even import `KeBugCheckEx`, which the
//! panic handler calls. What remains is printed with the functions that lead there:
//! callers found by decoding direct calls, named by the PDB.

use std::collections::{BTreeMap, BTreeSet};

use super::pe::{Package, packages};

#[test]
fn panic_paths_of_the_release_image() {
    for package in packages("panic_paths_of_the_release_image")
        .into_iter()
        .flatten()
    {
        if package.manifest["profile"] != "release" {
            continue;
        }
        let Some((_, _, slot)) = package
            .imports()
            .into_iter()
            .find(|(_, f, _)| f == "KeBugCheckEx")
        else {
            println!(
                "{}: no panic path is left: KeBugCheckEx is not imported",
                package.name
            );
            continue;
        };
        let map = Map::of(&package);
        let direct = map.callers_of_slot(slot);
        assert!(
            !direct.is_empty(),
            "{}: KeBugCheckEx is imported and called by nothing that was found",
            package.name
        );
        println!(
            "{}: panic paths are left; who leads to the panic handler:",
            package.name
        );
        for (function, callees) in map.paths_to(&direct) {
            println!("  {function}");
            for callee in callees {
                println!("    -> {callee}");
            }
        }
    }
}

/// Who calls whom in an image.
struct Map {
    names: BTreeMap<u32, String>,
    /// Caller and callee, as starts of functions.
    calls: BTreeSet<(u32, u32)>,
    /// Function and the RVA of a slot that it calls or jumps through.
    slots: BTreeSet<(u32, u32)>,
}

impl Map {
    fn of(package: &Package) -> Self {
        let file = std::fs::File::open(&package.pdb).expect("PDB");
        let pdb = pdb_addr2line::pdb::PDB::open(file).expect("PDB can be read");
        let data = pdb_addr2line::ContextPdbData::try_from_pdb(pdb).expect("PDB has symbols");
        let context = data.make_context().expect("context");
        let names: BTreeMap<u32, String> = context
            .functions()
            .map(|f| {
                (
                    f.start_rva,
                    f.name
                        .unwrap_or_else(|| format!("function at {:#x}", f.start_rva)),
                )
            })
            .collect();
        let mut map = Self {
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
            match code[at..] {
                // call rel32, jmp rel32
                [0xe8 | 0xe9, ..] => {
                    if let Some(target) = target(1).filter(|t| self.names.contains_key(t)) {
                        self.calls.insert((function, target));
                    }
                }
                // jcc rel32
                [0x0f, 0x80..=0x8f, ..] => {
                    if let Some(target) = target(2).filter(|t| self.names.contains_key(t)) {
                        self.calls.insert((function, target));
                    }
                }
                // call [rip+disp32], jmp [rip+disp32]
                [0xff, 0x15 | 0x25, ..] => {
                    if let Some(target) = target(2) {
                        self.slots.insert((function, target));
                    }
                }
                _ => {}
            }
        }
    }

    fn function_at(&self, rva: u32) -> Option<u32> {
        self.names
            .range(..=rva)
            .next_back()
            .map(|(start, _)| *start)
    }

    fn callers_of_slot(&self, slot: u32) -> BTreeSet<u32> {
        self.slots
            .iter()
            .filter(|(_, s)| *s == slot)
            .map(|(f, _)| *f)
            .collect()
    }

    /// Every function from which one of `ends` is reached, with the next steps there.
    fn paths_to(&self, ends: &BTreeSet<u32>) -> Vec<(String, BTreeSet<String>)> {
        let mut reaching = ends.clone();
        loop {
            let more: Vec<u32> = self
                .calls
                .iter()
                .filter(|(f, t)| reaching.contains(t) && !reaching.contains(f))
                .map(|(f, _)| *f)
                .collect();
            if more.is_empty() {
                break;
            }
            reaching.extend(more);
        }
        let name = |rva: &u32| {
            self.names
                .get(rva)
                .cloned()
                .unwrap_or_else(|| format!("{rva:#x}"))
        };
        reaching
            .iter()
            .map(|function| {
                let steps = self
                    .calls
                    .iter()
                    .filter(|(f, t)| f == function && t != f && reaching.contains(t));
                (name(function), steps.map(|(_, t)| name(t)).collect())
            })
            .collect()
    }
}

//! Which parts of the driver's code were ever reached.
//!
//! Each basic block begins with a mark: a breakpoint that is gone after its first hit. What is
//! reached stays known over resets; blocks that were reached once cost nothing any more, so a
//! long search pays for what is new only.
//!
//! Marks stand beside the trap table: they are set when `DriverEntry` is called, after every
//! trap of the schedule; where a trap is, there is no mark, and a trap that is set later takes
//! the mark away. A mark is hit on the thread that runs driver code, which holds no lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use iced_x86::{Decoder, DecoderOptions};

use crate::arena::Arena;
use crate::code::Code;
use crate::host::Host;
use crate::image::Image;

const INT3: u8 = 0xCC;

/// A basic block: its first octet, and the first of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Block {
    /// Address from the start of its image.
    pub start: u32,
    /// Where the next begins; the block may be shorter.
    pub limit: u32,
    /// Number of the image, in the order of loading.
    pub image: u32,
}

struct Mark {
    at: u64,
    block: Block,
    original: AtomicU64,
    armed: AtomicBool,
    reached: AtomicBool,
}

/// The marks of a host that looks at coverage.
#[derive(Default)]
pub(crate) struct Marks {
    marks: OnceLock<Vec<Mark>>,
    reached: AtomicU64,
}

fn put(arena: &Arena, at: u64, byte: u8) {
    // SAFETY: addresses of marks are instructions of a loaded image, in the host's view, which
    // is always writable.
    unsafe { arena.trusted(at).write(byte) };
}

impl Mark {
    fn disarm(&self, arena: &Arena) {
        if self.armed.swap(false, Ordering::AcqRel) {
            put(arena, self.at, self.original.load(Ordering::Relaxed) as u8);
        }
    }
}

impl Marks {
    fn find(&self, at: u64) -> Option<&Mark> {
        let marks = self.marks.get()?;
        let index = marks.binary_search_by_key(&at, |mark| mark.at).ok()?;
        marks.get(index)
    }

    /// Sets every mark that was not reached yet.
    fn arm(&self, arena: &Arena) {
        for mark in self.marks.get().into_iter().flatten() {
            if mark.reached.load(Ordering::Relaxed) || mark.armed.load(Ordering::Relaxed) {
                continue;
            }
            // SAFETY: as in `put`.
            let original = unsafe { arena.trusted(mark.at).read() };
            if original == INT3 {
                continue;
            }
            mark.original.store(u64::from(original), Ordering::Relaxed);
            mark.armed.store(true, Ordering::Release);
            put(arena, mark.at, INT3);
        }
    }

    /// Takes every mark out of the image.
    pub(crate) fn forget(&self, arena: &Arena) {
        for mark in self.marks.get().into_iter().flatten() {
            mark.disarm(arena);
        }
    }

    /// A trap is about to be set there.
    pub(crate) fn yield_to_trap(&self, arena: &Arena, at: u64) {
        if let Some(mark) = self.find(at) {
            mark.disarm(arena);
        }
    }

    /// The thread is at an instruction that has a breakpoint for another reason.
    pub(crate) fn pass(&self, at: u64) {
        if let Some(mark) = self.find(at)
            && !mark.reached.swap(true, Ordering::AcqRel)
        {
            self.reached.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A breakpoint was executed: true if it was a mark, and the thread goes on.
    pub(crate) fn hit(&self, arena: &Arena, context: &mut libc::mcontext_t) -> bool {
        let at = (context.gregs[libc::REG_RIP as usize] as u64).wrapping_sub(1);
        let Some(mark) = self.find(at) else {
            return false;
        };
        // Where no mark is any more this is a trap, or the end of a single step.
        if !mark.armed.load(Ordering::Acquire) {
            return false;
        }
        mark.disarm(arena);
        if !mark.reached.swap(true, Ordering::AcqRel) {
            self.reached.fetch_add(1, Ordering::Relaxed);
        }
        context.gregs[libc::REG_RIP as usize] = at as i64;
        true
    }
}

/// Whether an instruction is known that begins before `at` and ends behind it.
fn overlaps(image: &Image, code: &Code, at: u64) -> bool {
    let behind = code.instructions.partition_point(|&i| i < at);
    let Some(&before) = behind.checked_sub(1).and_then(|i| code.instructions.get(i)) else {
        return false;
    };
    let bytes = image.pristine();
    let end = (before - image.base + 15).min(bytes.len() as u64) as usize;
    let Some(bytes) = bytes.get((before - image.base) as usize..end) else {
        return true;
    };
    let mut decoder = Decoder::with_ip(64, bytes, before, DecoderOptions::NONE);
    decoder.decode().next_ip() > at
}

impl Host {
    /// Watches every basic block of the loaded images from the next `DriverEntry` on; false if
    /// that was asked for before, or on real threads, of which two may come to a mark at once.
    pub fn cover(&self) -> bool {
        if !self.engine().is_virtual() {
            return false;
        }
        let mut marks = Vec::new();
        for (number, image) in self.images().iter().enumerate() {
            let code = Code::of(image);
            let ends = code
                .blocks
                .iter()
                .skip(1)
                .copied()
                .chain([image.base + image.size]);
            for (&at, end) in code.blocks.iter().zip(ends) {
                // A breakpoint in the middle of an instruction would change what it does.
                if overlaps(image, &code, at) {
                    continue;
                }
                marks.push(Mark {
                    at,
                    block: Block {
                        start: (at - image.base) as u32,
                        limit: (end - image.base) as u32,
                        image: number as u32,
                    },
                    original: AtomicU64::new(0),
                    armed: AtomicBool::new(false),
                    reached: AtomicBool::new(false),
                });
            }
        }
        marks.sort_by_key(|mark| mark.at);
        self.marks.marks.set(marks).is_ok()
    }

    /// Sets the marks, if there are any.
    pub(crate) fn arm_marks(&self) {
        self.marks.arm(&self.arena);
    }

    /// Every basic block that is watched, and whether it was ever reached.
    pub fn coverage(&self) -> Vec<(Block, bool)> {
        let marks = self.marks.marks.get().into_iter().flatten();
        marks
            .map(|mark| (mark.block, mark.reached.load(Ordering::Relaxed)))
            .collect()
    }

    /// How many basic blocks were reached so far.
    pub fn blocks_reached(&self) -> u64 {
        self.marks.reached.load(Ordering::Relaxed)
    }
}

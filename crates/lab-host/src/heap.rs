//! Memory inside the arena: what `ExAllocatePool2` and NDIS's own allocations hand out.
//!
//! Two ways of laying it out, chosen when the host is made:
//! * *Guarded*: each allocation has pages of its own and ends at an inaccessible
//!   page; freed pages become inaccessible and are reused late. An overrun or a
//!   touch after free faults at the instruction.
//! * *Dense*: size classes without guards, for benchmarks and real time.
//!
//! Both fill fresh and freed memory with patterns, and check the slack around an
//! allocation when it is freed. Every choice is deterministic.

use std::collections::{BTreeMap, VecDeque};

use crate::arena::{Arena, PAGE, POOL_PAGES, PageState, Protection};

/// Fresh memory, unless zeroed.
pub const FRESH: u8 = 0xCD;
/// Freed memory.
pub const FREED: u8 = 0xDD;
/// Slack between an allocation's end and the guard page.
const SLACK: u8 = 0xFB;
/// Freed pages held back before they are used again.
const QUARANTINE_PAGES: u64 = 8192;
/// Bytes of pool that stay with the process when the heap begins anew.
const KEPT: u64 = 32 << 20;

/// How memory is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Pages of its own for each allocation, with a guard page.
    Guarded,
    /// Size classes.
    Dense,
}

/// One live (or quarantined) allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// First byte.
    pub address: u64,
    /// Bytes asked for.
    pub len: u64,
    /// Pool tag, as the driver gave it.
    pub tag: u32,
    /// Which call made it.
    pub by: &'static str,
    /// Counts allocations of this host.
    pub serial: u64,
    start: u64,
    span: u64,
}

/// Why a free was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// No allocation ever started there.
    Unknown,
    /// It was freed before.
    Double(Allocation),
    /// Bytes just outside the allocation were changed, at this offset from its start.
    Overrun(Allocation, i64),
}

/// The allocator. The arena it serves is passed to each call.
pub struct Heap {
    layout: Layout,
    /// Layout from the next reset on.
    next: Layout,
    bump: u64,
    live: BTreeMap<u64, Allocation>,
    quarantine: VecDeque<Allocation>,
    quarantined: u64,
    free: BTreeMap<u64, Vec<u64>>,
    serial: u64,
    bytes: u64,
}

impl Heap {
    /// An empty heap.
    pub const fn new(layout: Layout) -> Self {
        Self {
            layout,
            next: layout,
            bump: 0,
            live: BTreeMap::new(),
            quarantine: VecDeque::new(),
            quarantined: 0,
            free: BTreeMap::new(),
            serial: 0,
            bytes: 0,
        }
    }

    /// Layout from the next reset on.
    pub const fn set_next(&mut self, layout: Layout) {
        self.next = layout;
    }

    /// Layout now.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Takes memory; `None` when the arena is full.
    pub fn allocate(
        &mut self,
        arena: &Arena,
        len: u64,
        tag: u32,
        by: &'static str,
        zero: bool,
    ) -> Option<u64> {
        let wanted = len.max(1).checked_next_multiple_of(16)?;
        let (start, span) = match self.layout {
            Layout::Guarded => self.take_pages(arena, wanted.div_ceil(PAGE))?,
            Layout::Dense => self.take_class(arena, wanted)?,
        };
        // Page-sized and larger pool is page aligned on Windows; smaller ends at the guard.
        let address = match self.layout {
            Layout::Guarded if len < PAGE => start + span - wanted,
            _ => start,
        };
        arena.fill(start, address - start, SLACK);
        arena.fill(address, len, if zero { 0 } else { FRESH });
        arena.fill(address + len, start + span - address - len, SLACK);
        self.serial += 1;
        self.bytes += len;
        self.live.insert(
            address,
            Allocation {
                address,
                len,
                tag,
                by,
                serial: self.serial,
                start,
                span,
            },
        );
        Some(address)
    }

    fn take_pages(&mut self, arena: &Arena, pages: u64) -> Option<(u64, u64)> {
        while self.quarantined > QUARANTINE_PAGES {
            let old = self.quarantine.pop_front()?;
            self.quarantined -= old.span / PAGE;
            self.free
                .entry(old.span / PAGE)
                .or_default()
                .push(old.start);
        }
        let start = if let Some(start) = self.free.get_mut(&pages).and_then(Vec::pop) {
            start
        } else {
            let page = self.bump;
            // One page stays behind each run as its guard.
            let next = page.checked_add(pages)?.checked_add(1)?;
            if next > POOL_PAGES {
                return None;
            }
            self.bump = next;
            arena.pool() + page * PAGE
        };
        arena.set_page_state(start, pages * PAGE, PageState::Live);
        arena
            .protect(start, pages * PAGE, Protection::ReadWrite)
            .ok()?;
        Some((start, pages * PAGE))
    }

    fn take_class(&mut self, arena: &Arena, wanted: u64) -> Option<(u64, u64)> {
        let class = wanted.next_power_of_two().max(64);
        if let Some(start) = self.free.get_mut(&class).and_then(Vec::pop) {
            return Some((start, class));
        }
        let chunk = class.max(64 << 10);
        let pages = chunk / PAGE;
        let page = self.bump;
        if page.checked_add(pages)? > POOL_PAGES {
            return None;
        }
        self.bump += pages;
        let start = arena.pool() + page * PAGE;
        arena.set_page_state(start, chunk, PageState::Live);
        arena.protect(start, chunk, Protection::ReadWrite).ok()?;
        let list = self.free.entry(class).or_default();
        for i in (1..chunk / class).rev() {
            list.push(start + i * class);
        }
        Some((start, class))
    }

    /// Gives memory back.
    ///
    /// # Errors
    /// [`FreeError`]; on an overrun the memory is freed all the same.
    pub fn free(&mut self, arena: &Arena, address: u64) -> Result<Allocation, FreeError> {
        let Some(allocation) = self.live.remove(&address) else {
            return Err(self
                .quarantine
                .iter()
                .rev()
                .find(|a| a.address == address)
                .map_or(FreeError::Unknown, |a| FreeError::Double(a.clone())));
        };
        self.bytes -= allocation.len;
        let damage = Self::damage(arena, &allocation);
        match self.layout {
            Layout::Guarded => {
                arena.fill(allocation.start, allocation.span, FREED);
                // What was handed over is out of the driver's reach already.
                let away = arena.page_state(allocation.start) == Some(PageState::Away);
                arena.set_page_state(allocation.start, allocation.span, PageState::Freed);
                if !away {
                    let _ = arena.protect(allocation.start, allocation.span, Protection::None);
                }
                self.quarantined += allocation.span / PAGE;
                self.quarantine.push_back(allocation.clone());
            }
            Layout::Dense => {
                arena.fill(allocation.address, allocation.len, FREED);
                self.free
                    .entry(allocation.span)
                    .or_default()
                    .push(allocation.start);
            }
        }
        match damage {
            Some(at) => Err(FreeError::Overrun(allocation, at)),
            None => Ok(allocation),
        }
    }

    fn damage(arena: &Arena, a: &Allocation) -> Option<i64> {
        let end = a.address + a.len;
        [(a.start, a.address), (end, a.start + a.span)]
            .into_iter()
            .find_map(|(from, to)| {
                let at = first_other(arena, from, to - from, SLACK)?;
                Some((from + at) as i64 - a.address as i64)
            })
    }

    /// The live allocation that holds `address`.
    pub fn find(&self, address: u64) -> Option<&Allocation> {
        let (_, a) = self.live.range(..=address).next_back()?;
        (address < a.address + a.len.max(1)).then_some(a)
    }

    /// The quarantined allocation whose pages hold `address`, latest first.
    pub fn find_freed(&self, address: u64) -> Option<&Allocation> {
        self.quarantine
            .iter()
            .rev()
            .find(|a| address >= a.start && address < a.start + a.span)
    }

    /// The live allocation whose pages (slack and the guard page behind included) hold `address`.
    pub fn find_near(&self, address: u64) -> Option<&Allocation> {
        self.live
            .values()
            .find(|a| address >= a.start && address < a.start + a.span + PAGE)
    }

    /// Live allocations, by address.
    pub fn live(&self) -> impl Iterator<Item = &Allocation> {
        self.live.values()
    }

    /// Bytes live now.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whole pages of a guarded allocation, for hand-overs: start and length.
    pub fn pages_of(&self, address: u64) -> Option<(u64, u64)> {
        (self.layout == Layout::Guarded)
            .then(|| self.find(address).map(|a| (a.start, a.span)))
            .flatten()
    }

    /// Forgets everything; the next allocation gets the very first address again.
    pub fn reset(&mut self, arena: &Arena) {
        let used = self.bump * PAGE;
        if used > 0 {
            arena.set_page_state(arena.pool(), used, PageState::Free);
            let _ = arena.protect(arena.pool(), used, Protection::None);
            // Fresh memory is always filled: what it held before does no harm, and giving it
            // back costs more than keeping it. A large heap is an exception.
            if used > KEPT {
                arena.discard(arena.pool(), used);
            }
        }
        *self = Self::new(self.next);
    }
}

/// Where the first byte of a range lies that is not `byte`.
fn first_other(arena: &Arena, from: u64, len: u64, byte: u8) -> Option<u64> {
    if len == 0 {
        return None;
    }
    let at = arena.trusted(from);
    // SAFETY: the range is part of a live allocation's pages, whose bytes the host may read.
    let bytes = unsafe { std::slice::from_raw_parts(at, len as usize) };
    // Whole blocks first: nearly always nothing is wrong, and a page is long.
    let block = [byte; 64];
    let blocks = bytes.chunks(64);
    let sound = blocks.take_while(|&some| *some == block[..some.len()]);
    let sound: usize = sound.map(<[u8]>::len).sum();
    let rest = bytes.get(sound..)?;
    let at = rest.iter().position(|&b| b != byte)?;
    Some((sound + at) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overrun_of_one_byte_is_reported() {
        let arena = Arena::new().expect("arena");
        for layout in [Layout::Guarded, Layout::Dense] {
            let mut heap = Heap::new(layout);
            heap.reset(&arena);
            let at = heap.allocate(&arena, 5, 1, "test", true).expect("memory");
            arena.write(at + 5, 1_u8).expect("slack is mapped");
            assert!(matches!(
                heap.free(&arena, at),
                Err(FreeError::Overrun(_, 5))
            ));
            heap.reset(&arena);
        }
    }

    #[test]
    fn a_second_free_is_told_from_a_foreign_address() {
        let arena = Arena::new().expect("arena");
        let mut heap = Heap::new(Layout::Guarded);
        let at = heap
            .allocate(&arena, 100, 1, "test", false)
            .expect("memory");
        assert!(heap.free(&arena, at).is_ok());
        assert!(matches!(heap.free(&arena, at), Err(FreeError::Double(_))));
        assert_eq!(heap.free(&arena, at + 16), Err(FreeError::Unknown));
        assert_eq!(heap.bytes(), 0);
    }

    #[test]
    fn a_reset_heap_repeats_its_addresses() {
        let arena = Arena::new().expect("arena");
        let mut heap = Heap::new(Layout::Guarded);
        let run = |heap: &mut Heap| {
            let addresses: Vec<u64> = [10, 5000, 64, 4096]
                .iter()
                .map(|&len| {
                    heap.allocate(&arena, len, 1, "test", false)
                        .expect("memory")
                })
                .collect();
            heap.reset(&arena);
            addresses
        };
        assert_eq!(run(&mut heap), run(&mut heap));
    }
}

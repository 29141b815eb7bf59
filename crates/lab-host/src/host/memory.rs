//! Driver memory as the host reads and writes it, and what is known of an address.

use std::sync::MutexGuard;

use super::Host;
use crate::arena::Wild;
use crate::heap::Heap;

impl Host {
    /// Reads driver memory on behalf of the open call; a wild pointer ends the run.
    pub(crate) fn get<T: Copy>(&self, address: u64, what: &str) -> T {
        match self.arena.read(address) {
            Ok(value) => value,
            Err(wild) => self.wild(wild, what),
        }
    }

    /// Writes driver memory on behalf of the open call; a wild pointer ends the run.
    pub(crate) fn put<T: Copy>(&self, address: u64, value: T, what: &str) {
        if let Err(wild) = self.arena.write(address, value) {
            self.wild(wild, what);
        }
    }

    /// Copies bytes out of driver memory.
    pub(crate) fn get_bytes(&self, address: u64, len: usize, what: &str) -> Vec<u8> {
        let mut bytes = vec![0; len];
        if let Err(wild) = self.arena.read_bytes(address, &mut bytes) {
            self.wild(wild, what);
        }
        bytes
    }

    /// Reads a `UNICODE_STRING`.
    pub(crate) fn get_string(&self, address: u64, what: &str) -> String {
        let len: u16 = self.get(address, what);
        let buffer: u64 = self.get(address + 8, what);
        let bytes = self.get_bytes(buffer, usize::from(len), what);
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|c| u16::from_le_bytes([c[0], c[1]]))
            .collect();
        String::from_utf16_lossy(&units)
    }

    /// What the host knows of an address, for reports.
    pub fn describe(&self, address: u64) -> String {
        if address < 0x1_0000 {
            return "near the null page".into();
        }
        if crate::handle::is_handle(address) {
            return "a handle: it is opaque and not to be dereferenced".into();
        }
        if let Some(image) = self.image_at(address) {
            let section = image
                .sections
                .iter()
                .find(|s| address >= s.start && address < s.start + s.len);
            return format!(
                "the driver's image, section {}",
                section.map_or("(headers)", |s| s.name.as_str())
            );
        }
        if let Some(stack) = self.arena.stack_of(address) {
            return format!("stack {stack} or its guard page");
        }
        let Ok(heap) = self.heap.try_lock() else {
            return "pool".into();
        };
        let tag = |t: u32| String::from_utf8_lossy(&t.to_le_bytes()).into_owned();
        if let Some(a) = heap.find(address) {
            let away = self.arena.page_state(address) == Some(crate::arena::PageState::Away);
            let read_only = self.ndis.try_lock().is_ok_and(|n| {
                let list = n.ledger.parts.get(&a.address);
                list.and_then(|list| n.ledger.data.get(list))
                    .is_some_and(|(_, read_only)| *read_only)
            });
            return format!(
                "{}byte {} of {} allocated by {} with tag '{}'",
                if away {
                    "handed over to NDIS: "
                } else if read_only {
                    "data of a list that is read-only (RCV-15): "
                } else {
                    ""
                },
                address - a.address,
                a.len,
                a.by,
                tag(a.tag)
            );
        }
        if let Some(a) = heap.find_freed(address) {
            return format!(
                "freed memory: {} bytes that {} had allocated with tag '{}'",
                a.len,
                a.by,
                tag(a.tag)
            );
        }
        if let Some(a) = heap.find_near(address) {
            return format!(
                "{} bytes past the start of {} bytes allocated by {} with tag '{}'",
                address.wrapping_sub(a.address) as i64,
                a.len,
                a.by,
                tag(a.tag)
            );
        }
        if self.arena.contains(address) {
            "unallocated memory".into()
        } else {
            "no memory of the driver".into()
        }
    }

    /// Allocates driver-visible memory on the host's behalf.
    pub(crate) fn allocate(&self, len: u64, tag: u32, by: &'static str) -> u64 {
        let taken = self
            .heap
            .lock()
            .expect("heap")
            .allocate(&self.arena, len, tag, by, true);
        taken.unwrap_or_else(|| {
            let (count, bytes) = {
                let heap = self.heap();
                (heap.live().count(), heap.bytes())
            };
            panic!(
                "the arena has no {len} bytes left for {by}: {count} allocations with {bytes} bytes live, {:?} layout (guarded, each takes two of the process's mappings)",
                self.heap().layout()
            )
        })
    }

    /// Frees what [`Host::allocate`] took.
    pub(crate) fn release(&self, address: u64) {
        let freed = self.heap.lock().expect("heap").free(&self.arena, address);
        if let Err(crate::heap::FreeError::Overrun(a, at)) = freed {
            self.violate(
                "HOST-OVERRUN",
                format!(
                    "byte {at} of a {}-byte block of {} was changed",
                    a.len, a.by
                ),
            );
        }
    }

    /// The heap, for snapshots.
    pub(crate) fn heap(&self) -> MutexGuard<'_, Heap> {
        self.heap.lock().expect("heap")
    }

    fn wild(&self, wild: Wild, what: &str) -> ! {
        let name = self
            .local()
            .frames
            .borrow()
            .last()
            .map_or("the host", |f| f.name);
        let rule = if wild.address < 0x1_0000 {
            "MEM-3"
        } else {
            "HOST-WILD"
        };
        self.fatal(
            rule,
            &format!(
                "{name}: {what} is {:#x} ({} bytes wanted): {}",
                wild.address,
                wild.len,
                self.describe(wild.address)
            ),
        )
    }
}

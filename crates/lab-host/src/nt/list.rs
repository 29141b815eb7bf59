//! Singly linked lists without a lock (`SLIST`), and lists that a spin lock guards
//! (`ExInterlocked…`).
//!
//! Both are carried out while nothing else of the driver runs: on the deterministic engine a
//! host function is not interrupted, on the other the NT part's lock is held.

use crate::api::api;
use crate::arena::Wild;
use crate::host::Host;

/// An `SLIST_HEADER`: depth in 16 bits, a sequence number in 48; the first entry over four bits.
#[derive(Clone, Copy)]
struct Header {
    depth: u16,
    sequence: u64,
    first: u64,
}

fn slist(host: &Host, at: u64) -> Header {
    if !at.is_multiple_of(16) {
        host.fatal(
            "HOST-OBJECT",
            &format!("an SLIST_HEADER at {at:#x} is not aligned to 16 bytes"),
        );
    }
    let [low, high]: [u64; 2] = host.get(at, "SListHead");
    Header {
        depth: low as u16,
        sequence: low >> 16,
        first: high & !15,
    }
}

fn put_slist(host: &Host, at: u64, header: Header) {
    let low = u64::from(header.depth) | header.sequence << 16;
    host.put(at, [low, header.first | 1], "SListHead");
}

/// Pushes an entry; the first before.
pub(super) fn push(host: &Host, head: u64, entry: u64) -> u64 {
    let _nt = host.nt.lock().expect("nt");
    let h = slist(host, head);
    if !entry.is_multiple_of(16) {
        host.fatal(
            "HOST-OBJECT",
            &format!("an SLIST_ENTRY at {entry:#x} is not aligned to 16 bytes"),
        );
    }
    host.put(entry, h.first, "SListEntry");
    put_slist(
        host,
        head,
        Header {
            depth: h.depth.wrapping_add(1),
            sequence: h.sequence.wrapping_add(1),
            first: entry,
        },
    );
    h.first
}

/// Pops the first entry, or 0.
pub(super) fn pop(host: &Host, head: u64) -> u64 {
    let _nt = host.nt.lock().expect("nt");
    let h = slist(host, head);
    if h.first != 0 {
        let next: u64 = host.get(h.first, "SListEntry");
        put_slist(
            host,
            head,
            Header {
                depth: h.depth.wrapping_sub(1),
                sequence: h.sequence,
                first: next,
            },
        );
    }
    h.first
}

/// Makes an empty list.
pub(super) fn initialize(host: &Host, head: u64) {
    let _ = slist(host, head);
    host.put(head, [0_u64, 0], "SListHead");
}

fn insert(host: &Host, entry: u64, before: u64, after: u64) {
    host.put(entry, [after, before], "ListEntry");
    host.put(before, entry, "ListHead");
    host.put(after + 8, entry, "ListHead");
}

/// Damage of a list that an insertion or removal would make worse: Windows fails fast.
fn check(host: &Host, head: u64) {
    let [next, last]: [u64; 2] = host.get(head, "ListHead");
    let back: Result<u64, Wild> = host.arena.read(next + 8);
    let forth: Result<u64, Wild> = host.arena.read(last);
    if back != Ok(head) || forth != Ok(head) {
        host.fatal(
            "HOST-LIST",
            &format!("the list at {head:#x} is damaged: its neighbours do not point back"),
        );
    }
}

fn guarded<R>(host: &Host, lock: u64, f: impl FnOnce() -> R) -> R {
    let _: u64 = host.get(lock, "Lock");
    let held = host.nt.lock().expect("nt").locks.contains_key(&lock);
    if held
        && host
            .local()
            .locks
            .borrow()
            .iter()
            .any(|l| l.address == lock)
    {
        host.fatal(
            "LCK-1",
            &format!("an interlocked list function is given the spin lock at {lock:#x}, which the caller holds"),
        );
    }
    let _nt = host.nt.lock().expect("nt");
    f()
}

api! { exports:
    /// Makes an empty list.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn InitializeSListHead(host, head: u64) {
        initialize(host, head);
    }

    /// Makes an empty list.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn RtlInitializeSListHead(host, head: u64) {
        initialize(host, head);
    }

    /// Pushes an entry; the first before is the result.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExpInterlockedPushEntrySList(host, head: u64, entry: u64) -> u64 {
        push(host, head, entry)
    }

    /// Pops the first entry.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExpInterlockedPopEntrySList(host, head: u64) -> u64 {
        pop(host, head)
    }

    /// Takes all entries, still linked.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExpInterlockedFlushSList(host, head: u64) -> u64 {
        let h = slist(host, head);
        put_slist(host, head, Header { depth: 0, first: 0, ..h });
        h.first
    }

    /// How many entries there are.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExQueryDepthSList(host, head: u64) -> u16 {
        slist(host, head).depth
    }

    /// Pushes an entry; the old form with a lock.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExInterlockedPushEntrySList(host, head: u64, entry: u64, _lock: u64) -> u64 {
        push(host, head, entry)
    }

    /// Pops the first entry; the old form with a lock.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExInterlockedPopEntrySList(host, head: u64, _lock: u64) -> u64 {
        pop(host, head)
    }

    /// Inserts at the front; the first before, or null.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExInterlockedInsertHeadList(host, head: u64, entry: u64, lock: u64) -> u64 {
        check(host, head);
        guarded(host, lock, || {
            let first: u64 = host.get(head, "ListHead");
            insert(host, entry, head, first);
            if first == head { 0 } else { first }
        })
    }

    /// Inserts at the end; the last before, or null.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExInterlockedInsertTailList(host, head: u64, entry: u64, lock: u64) -> u64 {
        check(host, head);
        guarded(host, lock, || {
            let last: u64 = host.get(head + 8, "ListHead");
            insert(host, entry, last, head);
            if last == head { 0 } else { last }
        })
    }

    /// Takes the first entry, or null.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExInterlockedRemoveHeadList(host, head: u64, lock: u64) -> u64 {
        check(host, head);
        guarded(host, lock, || {
            let first: u64 = host.get(head, "ListHead");
            if first == head {
                return 0;
            }
            let next: u64 = host.get(first, "ListEntry");
            host.put(head, next, "ListHead");
            host.put(next + 8, head, "ListEntry");
            first
        })
    }

    /// Takes the first entry of a singly linked list, or null.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExInterlockedPopEntryList(host, head: u64, lock: u64) -> u64 {
        guarded(host, lock, || {
            let first: u64 = host.get(head, "ListHead");
            if first != 0 {
                let next: u64 = host.get(first, "ListEntry");
                host.put(head, next, "ListHead");
            }
            first
        })
    }

    /// Puts an entry in front of a singly linked list; the first before, or null.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExInterlockedPushEntryList(host, head: u64, entry: u64, lock: u64) -> u64 {
        guarded(host, lock, || {
            let first: u64 = host.get(head, "ListHead");
            host.put(entry, first, "ListEntry");
            host.put(head, entry, "ListHead");
            first
        })
    }

    /// Adds to a number of 64 bits; its value before.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExInterlockedAddLargeInteger(host, addend: u64, increment: i64, lock: u64) -> i64 {
        guarded(host, lock, || {
            let before: i64 = host.get(addend, "Addend");
            host.put(addend, before.wrapping_add(increment), "Addend");
            before
        })
    }
}

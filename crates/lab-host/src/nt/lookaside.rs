//! Lookaside lists. The functions that take an entry and give it back are inline in the
//! headers: they work on the list's fields, and call the functions in it when the list is
//! empty or full. So those must be addresses that a driver can call.

use super::free_pool;
use super::list::{initialize, pop};
use super::pool::allocate_pool;
use crate::api::api;
use crate::host::Host;

// GENERAL_LOOKASIDE.
const DEPTH: u64 = 16;
const TYPE: u64 = 36;
const TAG: u64 = 40;
const SIZE: u64 = 44;
const ALLOCATE: u64 = 48;
const FREE: u64 = 56;
const STATUS_INVALID_PARAMETER_4: i32 = 0xC000_00F2_u32 as i32;
const STATUS_INVALID_PARAMETER_5: i32 = 0xC000_00F3_u32 as i32;
/// Entries that are kept.
const KEPT: u16 = 4;

fn make(host: &Host, list: u64, functions: [u64; 2], kind: u32, size: u64, tag: u32, bytes: u64) {
    host.put(list, [0_u8; 88], "Lookaside");
    for at in (88..bytes).step_by(8) {
        host.put(list + at, 0_u64, "Lookaside");
    }
    initialize(host, list);
    host.put(list + DEPTH, [KEPT, 256], "Lookaside");
    host.put(list + TYPE, [kind, tag, size as u32], "Lookaside");
    host.put(list + ALLOCATE, functions, "Lookaside");
    if tag == 0 {
        host.violate("MEM-1", "a lookaside list without a tag".into());
    }
}

/// Frees what a list keeps, with its own function.
fn empty(host: &Host, list: u64, own: &str, extended: bool) {
    let free: u64 = host.get(list + FREE, "Lookaside");
    loop {
        let entry = pop(host, list);
        if entry == 0 {
            break;
        }
        if Some(free) == host.stub("ntoskrnl.exe", own) {
            free_pool(host, entry, None, "ExDeleteLookasideList");
        } else if extended {
            host.call("FREE_FUNCTION_EX", list, free, &[entry, list]);
        } else {
            host.call("FREE_FUNCTION", list, free, &[entry]);
        }
    }
    host.put(list + ALLOCATE, [0_u64, 0], "Lookaside");
}

fn own(host: &Host, given: u64, name: &str) -> u64 {
    if given == 0 {
        host.stub("ntoskrnl.exe", name).unwrap_or(0)
    } else {
        given
    }
}

api! { exports:
    /// Makes a list of nonpaged entries.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExInitializeNPagedLookasideList(host, list: u64, allocate: u64, free: u64, flags: u32,
        size: u64, tag: u32, _depth: u16) {
        let functions = [own(host, allocate, "ExAllocatePoolWithTag"), own(host, free, "ExFreePool")];
        // POOL_NX_ALLOCATION and POOL_RAISE_IF_ALLOCATION_FAILURE go to the type.
        make(host, list, functions, flags & (512 | 16), size, tag, 128);
    }

    /// Ends it.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExDeleteNPagedLookasideList(host, list: u64) {
        empty(host, list, "ExFreePool", false);
    }

    /// Makes a list of paged entries.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn ExInitializePagedLookasideList(host, list: u64, allocate: u64, free: u64, flags: u32,
        size: u64, tag: u32, _depth: u16) {
        let functions = [own(host, allocate, "ExAllocatePoolWithTag"), own(host, free, "ExFreePool")];
        make(host, list, functions, 1 | (flags & 16), size, tag, 128);
    }

    /// Ends it.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn ExDeletePagedLookasideList(host, list: u64) {
        empty(host, list, "ExFreePool", false);
    }

    /// Makes a list of any kind of pool, whose functions get the list.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExInitializeLookasideListEx(host, list: u64, allocate: u64, free: u64, kind: u32, flags: u32,
        size: u64, tag: u32, _depth: u16) -> i32 {
        const RAISE: u32 = 1;
        const FAIL_WITHOUT_RAISE: u32 = 2;
        if !matches!(kind & !(512 | 16), 0 | 1) {
            return STATUS_INVALID_PARAMETER_4;
        }
        if flags & RAISE != 0 && flags & FAIL_WITHOUT_RAISE != 0 || flags & !3 != 0 {
            return STATUS_INVALID_PARAMETER_5;
        }
        if host.fails("ExInitializeLookasideListEx") {
            return super::object::STATUS_INSUFFICIENT_RESOURCES;
        }
        let kind = if flags & RAISE != 0 { kind | 16 } else { kind };
        let functions = [
            own(host, allocate, "ExpAllocateForLookaside"),
            own(host, free, "ExpFreeForLookaside"),
        ];
        make(host, list, functions, kind, size, tag, 96);
        0
    }

    /// Ends it.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExDeleteLookasideListEx(host, list: u64) {
        empty(host, list, "ExpFreeForLookaside", true);
    }

    /// Frees what the list keeps.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExFlushLookasideListEx(host, list: u64) {
        let functions: [u64; 2] = host.get(list + ALLOCATE, "Lookaside");
        empty(host, list, "ExpFreeForLookaside", true);
        host.put(list + ALLOCATE, functions, "Lookaside");
    }

    /// What a list without an allocation function uses.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExpAllocateForLookaside(host, kind: u32, size: u64, tag: u32, _list: u64) -> u64 {
        allocate_pool(host, kind, size, tag, "ExAllocateFromLookasideListEx").unwrap_or(0)
    }

    /// What a list without a free function uses.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExpFreeForLookaside(host, entry: u64, _list: u64) {
        free_pool(host, entry, None, "ExFreeToLookasideListEx");
    }
}

/// Offsets that the layouts of both kinds share.
const _: () = assert!(TAG == TYPE + 4 && SIZE == TAG + 4 && FREE == ALLOCATE + 8);

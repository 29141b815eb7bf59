//! MDLs of the I/O manager and the memory manager.
//!
//! All memory of the arena is mapped, resident, and one address space for everybody: locking
//! and mapping change what an MDL says, not what can be reached.

use super::seh::{STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT};
use super::variables::USER_PROBE_ADDRESS;
use crate::api::api;
use crate::arena::PAGE;
use crate::host::Host;
use crate::vp::DISPATCH;

const NEXT: u64 = 0;
const SIZE: u64 = 8;
const FLAGS: u64 = 10;
const MAPPED: u64 = 24;
const START: u64 = 32;
const COUNT: u64 = 40;
const OFFSET: u64 = 44;
/// Bytes in front of the page numbers.
const HEADER: u64 = 48;
const MAPPED_TO_SYSTEM_VA: u16 = 0x0001;
const PAGES_LOCKED: u16 = 0x0002;
const NONPAGED_POOL: u16 = 0x0004;
const PARTIAL: u16 = 0x0010;
const TAG: u32 = u32::from_le_bytes(*b"Mdl ");
const IRP_MDL: u64 = 8;

fn pages(address: u64, len: u64) -> u64 {
    ((address % PAGE) + len).div_ceil(PAGE)
}

fn flags(host: &Host, mdl: u64) -> u16 {
    host.get(mdl + FLAGS, "MemoryDescriptorList")
}

fn set_flags(host: &Host, mdl: u64, set: u16, clear: u16) {
    let now = flags(host, mdl);
    host.put(mdl + FLAGS, (now | set) & !clear, "MemoryDescriptorList");
}

/// Address of the first byte that an MDL describes.
fn address(host: &Host, mdl: u64) -> u64 {
    let start: u64 = host.get(mdl + START, "MemoryDescriptorList");
    let offset: u32 = host.get(mdl + OFFSET, "MemoryDescriptorList");
    start + u64::from(offset)
}

fn put_pages(host: &Host, mdl: u64) {
    let (at, len): (u64, u32) = (
        address(host, mdl),
        host.get(mdl + COUNT, "MemoryDescriptorList"),
    );
    for page in 0..pages(at, u64::from(len)) {
        host.put(
            mdl + HEADER + 8 * page,
            at / PAGE + page,
            "MemoryDescriptorList",
        );
    }
}

/// Makes an MDL for a range; 0 when there is no memory.
pub(super) fn allocate_mdl(host: &Host, at: u64, len: u32, by: &'static str) -> u64 {
    let size = HEADER + 8 * pages(at, u64::from(len));
    let taken = host.heap().allocate(&host.arena, size, TAG, by, true);
    let Some(mdl) = taken else {
        return 0;
    };
    host.put(mdl + SIZE, size as u16, "Mdl");
    host.put(mdl + START, at / PAGE * PAGE, "Mdl");
    host.put(mdl + COUNT, [len, (at % PAGE) as u32], "Mdl");
    mdl
}

/// Says that the pages of an MDL are locked and mapped, as for a request with direct I/O.
pub(super) fn lock_and_map(host: &Host, mdl: u64) {
    put_pages(host, mdl);
    host.put(mdl + MAPPED, address(host, mdl), "Mdl");
    set_flags(host, mdl, PAGES_LOCKED | MAPPED_TO_SYSTEM_VA, 0);
}

/// Frees an MDL, which may be mapped but not locked.
pub(super) fn free_mdl(host: &Host, mdl: u64, by: &str) {
    if flags(host, mdl) & (PAGES_LOCKED | PARTIAL) == PAGES_LOCKED {
        host.violate(
            "HOST-MDL",
            format!("{by}: the MDL at {mdl:#x} still has its pages locked"),
        );
    }
    super::free_pool(host, mdl, None, by);
}

/// Maps an MDL that is not mapped yet; where its bytes are.
pub(crate) fn map(host: &Host, mdl: u64, name: &'static str) -> u64 {
    let now = flags(host, mdl);
    if now & (MAPPED_TO_SYSTEM_VA | NONPAGED_POOL) != 0 {
        return host.get(mdl + MAPPED, "MemoryDescriptorList");
    }
    if now & (PAGES_LOCKED | PARTIAL) == 0 {
        host.violate(
            "HOST-MDL",
            format!("{name}: the MDL at {mdl:#x} describes pages that are not locked"),
        );
    }
    let at = address(host, mdl);
    host.put(mdl + MAPPED, at, "MemoryDescriptorList");
    set_flags(host, mdl, MAPPED_TO_SYSTEM_VA, 0);
    at
}

/// What ProbeForRead and ProbeForWrite check; raises the exception.
fn probe(host: &Host, at: u64, len: u64, alignment: u32, write: bool) {
    if len == 0 {
        return;
    }
    if alignment > 1 && !at.is_multiple_of(u64::from(alignment)) {
        host.raise(STATUS_DATATYPE_MISALIGNMENT);
    }
    let end = at.checked_add(len);
    if end.is_none_or(|end| end > USER_PROBE_ADDRESS) {
        host.raise_with(STATUS_ACCESS_VIOLATION, &[u64::from(write), at]);
    }
    if write && host.arena.host(at, len).is_err() {
        host.raise_with(STATUS_ACCESS_VIOLATION, &[1, at]);
    }
}

api! { exports:
    /// Makes an MDL, alone, as the IRP's, or at the end of the IRP's chain.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoAllocateMdl(host, at: u64, len: u32, secondary: u8, _charge: u8, irp: u64) -> u64 {
        if host.fails("IoAllocateMdl") {
            return 0;
        }
        let mdl = allocate_mdl(host, at, len, "IoAllocateMdl");
        if irp != 0 && mdl != 0 {
            let mut link = irp + IRP_MDL;
            if secondary != 0 {
                loop {
                    let next: u64 = host.get(link, "Irp");
                    if next == 0 {
                        break;
                    }
                    link = next + NEXT;
                }
            }
            host.put(link, mdl, "Irp");
        }
        mdl
    }

    /// Frees an MDL of `IoAllocateMdl`.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoFreeMdl(host, mdl: u64) {
        free_mdl(host, mdl, "IoFreeMdl");
    }

    /// Describes a part of what another MDL describes.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoBuildPartialMdl(host, source: u64, target: u64, at: u64, len: u32) {
        let (first, all): (u64, u32) = (address(host, source), host.get(source + COUNT, "SourceMdl"));
        let inside = at.checked_sub(first).filter(|&skip| skip <= u64::from(all));
        let Some(skip) = inside else {
            host.fatal("HOST-MDL", &format!("IoBuildPartialMdl: {at:#x} is not in the source MDL"));
        };
        let len = if len == 0 { all - skip as u32 } else { len };
        let size: u16 = host.get(target + SIZE, "TargetMdl");
        if skip + u64::from(len) > u64::from(all) || HEADER + 8 * pages(at, u64::from(len)) > u64::from(size) {
            host.fatal("HOST-MDL", &format!("IoBuildPartialMdl: {len} bytes at {at:#x} are more than source or target hold"));
        }
        host.put(target + START, at / PAGE * PAGE, "TargetMdl");
        host.put(target + COUNT, [len, (at % PAGE) as u32], "TargetMdl");
        put_pages(host, target);
        set_flags(host, target, PARTIAL, MAPPED_TO_SYSTEM_VA | PAGES_LOCKED | NONPAGED_POOL);
        if flags(host, source) & (MAPPED_TO_SYSTEM_VA | NONPAGED_POOL) != 0 {
            let mapped: u64 = host.get(source + MAPPED, "SourceMdl");
            host.put(target + MAPPED, mapped + skip, "TargetMdl");
            set_flags(host, target, flags(host, source) & NONPAGED_POOL, 0);
        }
    }

    /// Describes nonpaged pool, which needs no locking and is mapped.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn MmBuildMdlForNonPagedPool(host, mdl: u64) {
        put_pages(host, mdl);
        host.put(mdl + MAPPED, address(host, mdl), "MemoryDescriptorList");
        set_flags(host, mdl, NONPAGED_POOL, 0);
    }

    /// Checks and locks the pages of an MDL; raises an exception if they cannot be reached.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn MmProbeAndLockPages(host, mdl: u64, _mode: u8, operation: i32) {
        if flags(host, mdl) & PAGES_LOCKED != 0 {
            host.fatal("HOST-MDL", &format!("MmProbeAndLockPages: the MDL at {mdl:#x} is locked"));
        }
        let len: u32 = host.get(mdl + COUNT, "MemoryDescriptorList");
        let at = address(host, mdl);
        if host.vp().irql() >= DISPATCH && host.heap().find(at).is_none() && host.arena.stack_of(at).is_none() {
            host.violate("IRQ-11", "MmProbeAndLockPages of pageable memory at DISPATCH_LEVEL".into());
        }
        if host.fails("MmProbeAndLockPages") || host.arena.host(at, u64::from(len)).is_err() {
            host.raise_with(STATUS_ACCESS_VIOLATION, &[u64::from(operation != 0), at]);
        }
        put_pages(host, mdl);
        set_flags(host, mdl, PAGES_LOCKED, 0);
    }

    /// Unlocks them.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn MmUnlockPages(host, mdl: u64) {
        if flags(host, mdl) & PAGES_LOCKED == 0 {
            host.fatal("HOST-MDL", &format!("MmUnlockPages: the MDL at {mdl:#x} is not locked"));
        }
        set_flags(host, mdl, 0, PAGES_LOCKED | MAPPED_TO_SYSTEM_VA);
    }

    /// Maps an MDL; null when there is no address space left.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn MmMapLockedPagesSpecifyCache(host, mdl: u64, _mode: u8, _cache: i32, _base: u64,
        _bugcheck: u32, _priority: u32) -> u64 {
        if host.fails("MmMapLockedPagesSpecifyCache") {
            return 0;
        }
        map(host, mdl, "MmMapLockedPagesSpecifyCache")
    }

    /// Maps an MDL; the old form.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn MmMapLockedPages(host, mdl: u64, _mode: u8) -> u64 {
        map(host, mdl, "MmMapLockedPages")
    }

    /// Takes the mapping away.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn MmUnmapLockedPages(host, base: u64, mdl: u64) {
        let mapped: u64 = host.get(mdl + MAPPED, "MemoryDescriptorList");
        if flags(host, mdl) & MAPPED_TO_SYSTEM_VA == 0 || mapped != base {
            host.violate("HOST-MDL", format!("MmUnmapLockedPages: {base:#x} is not where the MDL at {mdl:#x} is mapped"));
        }
        set_flags(host, mdl, 0, MAPPED_TO_SYSTEM_VA);
    }

    /// Bytes that an MDL for a range has.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn MmSizeOfMdl(host, base: u64, len: u64) -> u64 {
        let _ = host;
        HEADER + 8 * pages(base, len)
    }

    /// Whether an address can be touched without a fault.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn MmIsAddressValid(host, address: u64) -> u8 {
        u8::from(host.arena.host(address, 1).is_ok())
    }

    /// Whether Driver Verifier watches; this host watches all the same.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn MmIsVerifierEnabled(host, flags: u64) -> i32 {
        host.put(flags, 0_u32, "VerifierFlags");
        0xC000_0001_u32 as i32
    }

    /// Whether Driver Verifier watches a driver.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn MmIsDriverVerifying(host, _object: u64) -> u32 {
        let _ = host;
        0
    }

    /// Locks a section of the driver; none is ever paged out.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn MmLockPagableDataSection(host, address: u64) -> u64 {
        let _: u8 = host.get(address, "AddressWithinSection");
        address
    }

    /// Unlocks it.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn MmUnlockPagableImageSection(host, _handle: u64) {
        let _ = host;
    }

    /// Makes the whole driver pageable; here nothing is paged out.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn MmPageEntireDriver(host, address: u64) -> u64 {
        host.image_at(address).map_or(0, |image| image.base)
    }

    /// Checks a program's buffer that is to be read; raises an exception.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn ProbeForRead(host, address: u64, len: u64, alignment: u32) {
        probe(host, address, len, alignment, false);
    }

    /// Checks a program's buffer that is to be written; raises an exception.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn ProbeForWrite(host, address: u64, len: u64, alignment: u32) {
        probe(host, address, len, alignment, true);
    }
}

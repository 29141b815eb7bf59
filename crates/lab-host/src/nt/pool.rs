//! The older forms of pool allocation.

use super::memory;
use super::object::STATUS_INSUFFICIENT_RESOURCES;
use crate::api::api;
use crate::host::Host;
use crate::vp::DISPATCH;

/// Pool types, and flags in them.
const PAGED: u32 = 1;
const RAISE: u32 = 16;
/// With `ExAllocatePoolWithQuotaTag`: null instead of an exception.
const QUOTA_FAIL: u32 = 8;
const CACHE_ALIGNED: u32 = 4;
/// "None" backwards, which `ExAllocatePool` uses.
const NONE: u32 = u32::from_le_bytes(*b"None");

/// Takes pool of a type, or nothing.
pub(super) fn allocate_pool(
    host: &Host,
    kind: u32,
    size: u64,
    tag: u32,
    by: &'static str,
) -> Option<u64> {
    if kind & PAGED != 0 && host.vp().irql() >= DISPATCH {
        host.violate(
            "IRQ-11",
            format!("{by}: paged pool is allocated at DISPATCH_LEVEL"),
        );
    }
    if tag == 0 {
        host.violate("MEM-1", format!("{by} without a tag"));
    }
    if host.fails(by) {
        return None;
    }
    let size = if kind & CACHE_ALIGNED != 0 {
        size.next_multiple_of(64)
    } else {
        size
    };
    host.heap().allocate(&host.arena, size, tag, by, false)
}

fn with_tag(host: &Host, kind: u32, size: u64, tag: u32, by: &'static str, raises: bool) -> u64 {
    let taken = allocate_pool(host, kind, size, tag, by);
    match taken {
        Some(address) => address,
        None if raises => host.raise(STATUS_INSUFFICIENT_RESOURCES),
        None => 0,
    }
}

api! { exports:
    /// Allocates pool; not zeroed.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExAllocatePoolWithTag(host, kind: u32, size: u64, tag: u32) -> u64 {
        with_tag(host, kind, size, tag, "ExAllocatePoolWithTag", kind & RAISE != 0)
    }

    /// Allocates pool without a tag.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExAllocatePool(host, kind: u32, size: u64) -> u64 {
        with_tag(host, kind, size, NONE, "ExAllocatePool", false)
    }

    /// Allocates pool that a process is charged for; raises an exception on failure.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExAllocatePoolWithQuotaTag(host, kind: u32, size: u64, tag: u32) -> u64 {
        with_tag(host, kind, size, tag, "ExAllocatePoolWithQuotaTag", kind & QUOTA_FAIL == 0)
    }

    /// Allocates pool with a priority.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExAllocatePoolWithTagPriority(host, kind: u32, size: u64, tag: u32, _priority: i32) -> u64 {
        with_tag(host, kind, size, tag, "ExAllocatePoolWithTagPriority", kind & RAISE != 0)
    }

    /// Allocates pool with further parameters, of which none is required.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExAllocatePool3(host, flags: u64, size: u64, tag: u32, _parameters: u64, _count: u32) -> u64 {
        memory::allocate_pool2(host, flags, size, tag, "ExAllocatePool3")
    }

    /// Frees pool of `ExAllocatePool3`.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExFreePool2(host, address: u64, tag: u32, _parameters: u64, _count: u32) {
        super::free_pool(host, address, Some(tag), "ExFreePool2");
    }

    /// NDIS's own form with a tag, which `NdisFreeMemory` gives back.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisAllocateMemoryWithTag(host, out: u64, length: u32, tag: u32) -> i32 {
        let taken = allocate_pool(host, 0, u64::from(length), tag, "NdisAllocateMemoryWithTag");
        host.put(out, taken.unwrap_or(0), "VirtualAddress");
        // NDIS_STATUS_FAILURE.
        if taken.is_some() { 0 } else { 0xC000_0001_u32 as i32 }
    }

    /// Frees it with its tag.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisFreeMemoryWithTag(host, address: u64, tag: u32) {
        super::free_pool(host, address, Some(tag), "NdisFreeMemoryWithTag");
    }
}

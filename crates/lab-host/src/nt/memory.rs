//! Pool.

use super::object::STATUS_INSUFFICIENT_RESOURCES;
use crate::api::api;
use crate::heap::FreeError;
use crate::host::Host;
use crate::vp::DISPATCH;

const POOL_FLAG_UNINITIALIZED: u64 = 0x02;
const POOL_FLAG_RAISE_ON_FAILURE: u64 = 0x20;
const POOL_FLAG_NON_PAGED: u64 = 0x40;
const POOL_FLAG_PAGED: u64 = 0x100;

/// Frees pool for any of the free functions; `tag` is checked when given.
pub(crate) fn free_pool(host: &Host, address: u64, tag: Option<u32>, by: &str) {
    let length = host.heap().find(address).map(|a| (a.address, a.len));
    if let Some((_, len)) = length.filter(|(start, _)| *start == address) {
        host.judge_device_context(address, len);
    }
    let freed = host.heap().free(&host.arena, address);
    match freed {
        Ok(a) => {
            host.judge_freed(address, a.len, by);
            host.check_context(a.address, a.len, by);
            if let Ok(mut nt) = host.nt.lock() {
                nt.lock_order.forget(a.address, a.address + a.len);
            }
            if let Some(tag) = tag.filter(|&t| t != 0 && t != a.tag) {
                host.violate(
                    "MEM-2",
                    format!("{by} names tag {tag:#x}, {} used {:#x}", a.by, a.tag),
                );
            }
        }
        Err(FreeError::Double(a)) => host.fatal(
            "MEM-2",
            &format!(
                "{by} frees {address:#x} again ({} bytes from {})",
                a.len, a.by
            ),
        ),
        Err(FreeError::Unknown) => host.fatal(
            "MEM-2",
            &format!(
                "{by} frees {address:#x}, which was never allocated: {}",
                host.describe(address)
            ),
        ),
        Err(FreeError::Overrun(a, at)) => host.violate(
            "HOST-OVERRUN",
            format!(
                "byte {at} of a block of {} bytes ({}, tag {:#x}) was changed",
                a.len, a.by, a.tag
            ),
        ),
    }
}

/// Takes pool as the flags of `ExAllocatePool2` say.
pub(super) fn allocate_pool2(
    host: &Host,
    flags: u64,
    size: u64,
    tag: u32,
    by: &'static str,
) -> u64 {
    if tag == 0 {
        host.violate("MEM-1", format!("{by} without a tag"));
    }
    if flags & POOL_FLAG_PAGED != 0 && host.vp().irql() >= DISPATCH {
        host.violate("IRQ-11", "paged pool is allocated at DISPATCH_LEVEL".into());
    }
    if flags & (POOL_FLAG_NON_PAGED | POOL_FLAG_PAGED) == 0 || size == 0 {
        return 0;
    }
    if host.fails(by) {
        if flags & POOL_FLAG_RAISE_ON_FAILURE != 0 {
            host.raise(STATUS_INSUFFICIENT_RESOURCES);
        }
        return 0;
    }
    let zero = flags & POOL_FLAG_UNINITIALIZED == 0;
    host.heap()
        .allocate(&host.arena, size, tag, by, zero)
        .unwrap_or(0)
}

api! { exports:
    /// Allocates pool; zeroed unless the flags say otherwise.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExAllocatePool2(host, flags: u64, size: u64, tag: u32) -> u64 {
        allocate_pool2(host, flags, size, tag, "ExAllocatePool2")
    }

    /// Frees pool.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExFreePool(host, address: u64) {
        free_pool(host, address, None, "ExFreePool");
    }

    /// Frees pool and checks its tag.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExFreePoolWithTag(host, address: u64, tag: u32) {
        free_pool(host, address, Some(tag), "ExFreePoolWithTag");
    }
}

//! Pool, and the memory functions a compiler calls.

use crate::api::{Api, api};
use crate::heap::FreeError;
use crate::host::Host;
use crate::vp::DISPATCH;

const POOL_FLAG_UNINITIALIZED: u64 = 0x02;
const POOL_FLAG_RAISE_ON_FAILURE: u64 = 0x20;
const POOL_FLAG_NON_PAGED: u64 = 0x40;
const POOL_FLAG_PAGED: u64 = 0x100;

/// Frees pool for any of the free functions; `tag` is checked when given.
pub(crate) fn free_pool(host: &Host, address: u64, tag: Option<u32>, by: &str) {
    let freed = host.heap().free(&host.arena, address);
    match freed {
        Ok(a) => {
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

api! { exports:
    /// Allocates pool; zeroed unless the flags say otherwise.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExAllocatePool2(host, flags: u64, size: u64, tag: u32) -> u64 {
        if tag == 0 {
            host.violate("MEM-1", "ExAllocatePool2 without a tag".into());
        }
        if flags & POOL_FLAG_PAGED != 0 && host.vp().irql() >= DISPATCH {
            host.violate("IRQ-11", "paged pool is allocated at DISPATCH_LEVEL".into());
        }
        if flags & (POOL_FLAG_NON_PAGED | POOL_FLAG_PAGED) == 0 || size == 0 {
            return 0;
        }
        if host.fails("ExAllocatePool2") {
            if flags & POOL_FLAG_RAISE_ON_FAILURE != 0 {
                host.fatal("MEM-2", "ExAllocatePool2 failed and was told to raise");
            }
            return 0;
        }
        let zero = flags & POOL_FLAG_UNINITIALIZED == 0;
        host.heap()
            .allocate(&host.arena, size, tag, "ExAllocatePool2", zero)
            .unwrap_or(0)
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

/// The C runtime's memory functions. They are called at any IRQL from anywhere, do not
/// cross into the host's bookkeeping, and fault at the instruction when they should.
mod raw {
    use std::arch::naked_asm;

    /// Probes the stack for large frames. It must preserve every register; the arena's
    /// stacks are mapped whole, so there is nothing to probe.
    #[unsafe(naked)]
    pub(super) extern "win64" fn chkstk() {
        naked_asm!("ret")
    }

    pub(super) unsafe extern "win64" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        // SAFETY: the C contract of the function, kept by its caller. `copy`, not
        // `copy_nonoverlapping`: the kernel's memcpy is memmove.
        unsafe { std::ptr::copy(from, to, n) };
        to
    }

    pub(super) unsafe extern "win64" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
        // SAFETY: the C contract of the function, kept by its caller.
        unsafe { std::ptr::write_bytes(to, byte as u8, n) };
        to
    }

    pub(super) unsafe extern "win64" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
        for i in 0..n {
            // SAFETY: the C contract of the function, kept by its caller.
            let pair = unsafe { (*a.add(i), *b.add(i)) };
            if pair.0 != pair.1 {
                return i32::from(pair.0) - i32::from(pair.1);
            }
        }
        0
    }

    pub(super) unsafe extern "win64" fn compare(a: *const u8, b: *const u8, n: usize) -> usize {
        // SAFETY: the C contract of the function, kept by its caller.
        (0..n)
            .find(|&i| unsafe { *a.add(i) != *b.add(i) })
            .unwrap_or(n)
    }

    pub(super) unsafe extern "win64" fn strlen(s: *const u8) -> usize {
        let mut n = 0;
        // SAFETY: the C contract of the function, kept by its caller.
        while unsafe { *s.add(n) } != 0 {
            n += 1;
        }
        n
    }
}

/// The functions of [`raw`], which bypass the checked thunks.
pub(crate) fn raw_exports() -> Vec<Api> {
    let entry = |name, thunk: *const ()| Api {
        dll: "ntoskrnl.exe",
        name,
        low: 0,
        high: 15,
        rule: "IRQ-11",
        args: 3,
        thunk: thunk as usize,
    };
    vec![
        entry("memcpy", raw::memcpy as *const ()),
        entry("memmove", raw::memcpy as *const ()),
        entry("RtlCopyMemory", raw::memcpy as *const ()),
        entry("RtlMoveMemory", raw::memcpy as *const ()),
        entry("memset", raw::memset as *const ()),
        entry("memcmp", raw::memcmp as *const ()),
        entry("RtlCompareMemory", raw::compare as *const ()),
        entry("strlen", raw::strlen as *const ()),
        entry("__chkstk", raw::chkstk as *const ()),
    ]
}

//! NDIS memory.

use crate::api::api;
use crate::nt::free_pool;

api! { exports:
    /// Allocates nonpaged memory.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisAllocateMemoryWithTagPriority(host, handle: u64, length: u32, tag: u32, _priority: i32) -> u64 {
        let kind = host.ndis(|n| n.handles.kind(handle));
        if let Err(error) = kind {
            host.violate("MEM-1", format!("NdisHandle {handle:#x} {error}"));
        }
        if tag == 0 || tag == u32::from_le_bytes(*b"NDIS") {
            host.violate("MEM-1", format!("tag {tag:#x} is not the driver's own"));
        }
        if host.fails("NdisAllocateMemoryWithTagPriority") {
            return 0;
        }
        host.heap()
            .allocate(&host.arena, u64::from(length), tag, "NdisAllocateMemoryWithTagPriority", false)
            .unwrap_or(0)
    }

    /// Frees memory; length and flags are zero for pool.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisFreeMemory(host, address: u64, length: u32, flags: u32) {
        let _ = length;
        if flags != 0 {
            host.violate("MEM-2", format!("NdisFreeMemory with flags {flags:#x}"));
        }
        free_pool(host, address, None, "NdisFreeMemory");
    }

    /// Frees memory of NdisAllocateMemoryWithTagPriority.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisFreeMemoryWithTagPriority(host, _handle: u64, address: u64, tag: u32) {
        free_pool(host, address, Some(tag), "NdisFreeMemoryWithTagPriority");
    }
}

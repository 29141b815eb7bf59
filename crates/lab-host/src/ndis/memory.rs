//! NDIS memory.

use crate::api::api;
use crate::handle::Kind;
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

    /// Makes an object that other things can be allocated with as handle.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisAllocateGenericObject(host, _object: u64, tag: u32, _size: u16) -> u64 {
        if tag == 0 {
            host.violate("MEM-1", "NdisAllocateGenericObject without a tag".into());
        }
        if host.fails("NdisAllocateGenericObject") {
            return 0;
        }
        host.ndis(|n| n.handles.open(Kind::Generic))
    }

    /// Frees such an object, after what was allocated with it (MEM-4).
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisFreeGenericObject(host, object: u64) {
        if !host.check("NdisObject", object, Kind::Generic) {
            return;
        }
        let left = host.ndis(|n| {
            n.handles.close(object);
            n.pools.values().filter(|p| p.owner == object).count()
                + n.buffer_pools.values().filter(|p| p.owner == object).count()
                + n.timers.values().filter(|t| t.owner == object).count()
                + n.work_items.values().filter(|w| w.owner == object).count()
                + n.mdls.values().filter(|&&owner| owner == object).count()
        });
        if left > 0 {
            host.violate("MEM-4", format!("generic object {object:#x} is freed, {left} things were allocated with it"));
        }
    }
}

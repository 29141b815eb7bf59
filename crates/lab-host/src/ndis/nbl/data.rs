//! MDLs, where the data of a NET_BUFFER starts, and copies of it.

use ndis_sys::{MDL, NDIS_STATUS, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, NET_BUFFER};

use super::pool::put_mdl;
use crate::api::api;
use crate::arena::PageState;
use crate::host::Host;
use crate::ndis::ledger::Path;
use crate::ndis::list::{MDL_SIZE, address, at, buffers, frame_of, is_mapped};
use crate::nt::mdl::map;

const TAG: u32 = u32::from_le_bytes(*b"HNBL");
const RETREAT: &str = "NdisRetreatNetBufferDataStart";

/// The MDL that an offset from the start of a chain falls into, and the offset in that MDL.
/// Past the end it is the last one.
pub(super) fn place(host: &Host, chain: u64, offset: u32) -> (*mut MDL, u32) {
    let (mut current, mut skip) = (chain, offset);
    while current != 0 {
        let m: MDL = host.get(current, "MdlChain");
        if skip < m.ByteCount || m.Next.is_null() {
            break;
        }
        skip -= m.ByteCount;
        current = m.Next as u64;
    }
    (current as *mut MDL, skip)
}

/// SND-3, RCV-7: a NET_BUFFER that was given away is not touched.
fn must_have(host: &Host, by: &str, buffer: u64) {
    if host.arena.page_state(buffer) == Some(PageState::Away) {
        host.violate(
            "SND-3",
            format!("{by} on the NET_BUFFER at {buffer:#x}, which was given away"),
        );
    }
}

/// Notes that the data of a NET_BUFFER of others starts so many bytes earlier (NBL-7).
fn note_move(host: &Host, buffer: u64, by: i64) {
    let others = host
        .heap()
        .find(buffer)
        .is_some_and(|a| a.by == "host list");
    if others {
        host.ndis(|n| {
            let moved = n.ledger.moved.entry(buffer).or_default();
            *moved += by;
            if *moved == 0 {
                n.ledger.moved.remove(&buffer);
            }
        });
    }
}

/// Whether a NET_BUFFER is of a list that an adapter indicated.
fn is_received(host: &Host, buffer: u64) -> bool {
    let Some(block) = host.heap().find(buffer).map(|a| a.address) else {
        return false;
    };
    host.ndis(|n| {
        n.ledger
            .lists
            .get(&block)
            .is_some_and(|r| matches!(r.path, Path::Receive { .. }))
    })
}

/// Adds `delta` bytes at the front.
fn retreat(host: &Host, buffer: u64, delta: u32, backfill: u32, handler: u64) -> NDIS_STATUS {
    must_have(host, RETREAT, buffer);
    let mut nb: NET_BUFFER = host.get(buffer, "NetBuffer");
    if nb.DataOffset >= delta {
        nb.DataOffset -= delta;
        nb.DataLength += delta;
        (nb.CurrentMdl, nb.CurrentMdlOffset) = place(host, nb.MdlChain as u64, nb.DataOffset);
        host.put(buffer, nb, "NetBuffer");
        note_move(host, buffer, i64::from(delta));
        return NDIS_STATUS_SUCCESS;
    }
    if is_received(host, buffer) {
        host.violate(
            "NBL-7",
            format!(
                "a retreat of {delta} bytes on a received list, which has {} before its data",
                nb.DataOffset
            ),
        );
    }
    if host.fails(RETREAT) {
        return NDIS_STATUS_RESOURCES;
    }
    // What is unused before the data is used up; only the rest is new. So the new bytes may
    // lie in two MDLs, which SND-17 forbids for a MAC header: that is the caller's to see.
    let lacking = delta - nb.DataOffset;
    let Some(wanted) = lacking.checked_add(backfill) else {
        return NDIS_STATUS_RESOURCES;
    };
    let mdl = if handler == 0 {
        let size = MDL_SIZE + u64::from(wanted);
        let taken = host.heap().allocate(&host.arena, size, TAG, RETREAT, false);
        let Some(block) = taken else {
            return NDIS_STATUS_RESOURCES;
        };
        put_mdl(host, block, block + MDL_SIZE, wanted, nb.MdlChain as u64);
        block
    } else {
        let size = host.allocate(4, TAG, "BufferSize");
        host.put(size, wanted, "BufferSize");
        let mdl = host.call("NetAllocateMdl", buffer, handler, &[size]);
        host.release(size);
        if mdl == 0 {
            return NDIS_STATUS_RESOURCES;
        }
        let m: MDL = host.get(mdl, "NetAllocateMdl");
        if m.ByteCount < wanted {
            host.violate(
                "NBL-7",
                format!("NetAllocateMdl gave {} bytes of {wanted}", m.ByteCount),
            );
        }
        host.put(mdl + at!(MDL.Next), nb.MdlChain as u64, "NetAllocateMdl");
        mdl
    };
    host.ndis(|n| n.ledger.added.insert(mdl, handler != 0));
    let m: MDL = host.get(mdl, "MDL");
    nb.MdlChain = mdl as *mut _;
    nb.DataOffset = m.ByteCount.saturating_sub(lacking);
    nb.DataLength += delta;
    nb.CurrentMdl = nb.MdlChain;
    nb.CurrentMdlOffset = nb.DataOffset;
    host.put(buffer, nb, "NetBuffer");
    note_move(host, buffer, i64::from(delta));
    NDIS_STATUS_SUCCESS
}

/// Takes `delta` bytes off the front. MDLs that a retreat added and that hold no data any more
/// are freed if `free` says so.
fn advance(host: &Host, buffer: u64, delta: u32, free: bool, handler: u64) {
    must_have(host, "NdisAdvanceNetBufferDataStart", buffer);
    let mut nb: NET_BUFFER = host.get(buffer, "NetBuffer");
    if delta > nb.DataLength {
        host.violate(
            "NBL-7",
            format!(
                "an advance of {delta} bytes, the data has {}",
                nb.DataLength
            ),
        );
        return;
    }
    if free && is_received(host, buffer) {
        host.violate("NBL-7", "an advance of a received list with FreeMdl".into());
    }
    nb.DataOffset += delta;
    nb.DataLength -= delta;
    note_move(host, buffer, -i64::from(delta));
    while free && !nb.MdlChain.is_null() {
        let head = nb.MdlChain as u64;
        let m: MDL = host.get(head, "MdlChain");
        let Some(own) = host.ndis(|n| n.ledger.added.get(&head).copied()) else {
            break;
        };
        if m.ByteCount > nb.DataOffset {
            break;
        }
        nb.MdlChain = m.Next;
        nb.DataOffset -= m.ByteCount;
        host.ndis(|n| n.ledger.added.remove(&head));
        if !own {
            crate::nt::free_pool(host, head, None, "NdisAdvanceNetBufferDataStart");
        } else if handler == 0 {
            host.violate(
                "NBL-7",
                "an MDL of NetAllocateMdl is to be freed without NetFreeMdl".into(),
            );
        } else {
            host.call("NetFreeMdl", buffer, handler, &[head]);
        }
    }
    (nb.CurrentMdl, nb.CurrentMdlOffset) = place(host, nb.MdlChain as u64, nb.DataOffset);
    host.put(buffer, nb, "NetBuffer");
}

/// Writes bytes into the data space of a NET_BUFFER from its data start on; how many fitted.
fn pour(host: &Host, nb: &NET_BUFFER, offset: u32, bytes: &[u8]) -> usize {
    let mut skip = u64::from(nb.CurrentMdlOffset) + u64::from(offset);
    let mut mdl = nb.CurrentMdl as u64;
    let mut done = 0;
    while mdl != 0 && done < bytes.len() {
        let m: MDL = host.get(mdl, "MDL");
        let count = u64::from(m.ByteCount);
        if skip < count {
            let fits = ((count - skip) as usize).min(bytes.len() - done);
            let to = address(&m) + skip;
            if host
                .arena
                .write_bytes(to, &bytes[done..done + fits])
                .is_err()
            {
                break;
            }
            done += fits;
            skip = 0;
        } else {
            skip -= count;
        }
        mdl = m.Next as u64;
    }
    done
}

api! { exports:
    /// The driver's own MDL over nonpaged memory.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateMdl(host, handle: u64, address: u64, length: u32) -> u64 {
        if host.ndis(|n| n.handles.kind(handle)).is_err() {
            host.violate("NBL-9", format!("NdisAllocateMdl with {handle:#x}, which is no handle"));
        }
        let end = address.saturating_add(u64::from(length));
        let pool = host.heap().find(address).is_some_and(|a| end <= a.address + a.len.max(1));
        if !pool {
            host.violate("NBL-9", format!("NdisAllocateMdl over {length} bytes at {address:#x}: {}", host.describe(address)));
        }
        if host.fails("NdisAllocateMdl") {
            return 0;
        }
        let taken = host.heap().allocate(&host.arena, MDL_SIZE, TAG, "NdisAllocateMdl", true);
        let Some(block) = taken else { return 0 };
        put_mdl(host, block, address, length, 0);
        host.ndis(|n| n.mdls.insert(block, handle));
        block
    }

    /// Frees it.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisFreeMdl(host, mdl: u64) {
        let own = host.heap().find(mdl).is_some_and(|a| a.address == mdl && a.by == "NdisAllocateMdl");
        if !own {
            host.fatal("NBL-9", &format!("NdisFreeMdl of {mdl:#x}, which NdisAllocateMdl did not make: {}", host.describe(mdl)));
        }
        if let Some(list) = host.ndis(|n| n.ledger.out_with(mdl)) {
            host.violate("SND-3", format!("NdisFreeMdl of {mdl:#x} while list {list:#x}, which has it, is given away"));
        }
        host.ndis(|n| n.mdls.remove(&mdl));
        crate::nt::free_pool(host, mdl, None, "NdisFreeMdl");
    }

    /// Adds bytes at the front of a NET_BUFFER.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisRetreatNetBufferDataStart(host, buffer: u64, delta: u32, backfill: u32, handler: u64) -> NDIS_STATUS {
        retreat(host, buffer, delta, backfill, handler)
    }

    /// Takes bytes off the front of a NET_BUFFER.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAdvanceNetBufferDataStart(host, buffer: u64, delta: u32, free: u8, handler: u64) {
        advance(host, buffer, delta, free != 0, handler);
    }

    /// Adds bytes at the front of every NET_BUFFER of a list; at all or at none.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisRetreatNetBufferListDataStart(host, list: u64, delta: u32, backfill: u32, allocate: u64, free: u64) -> NDIS_STATUS {
        host.must_own("NdisRetreatNetBufferListDataStart", list);
        let all = buffers(host, list);
        for (i, &buffer) in all.iter().enumerate() {
            let status = retreat(host, buffer, delta, backfill, allocate);
            if status != NDIS_STATUS_SUCCESS {
                for &done in &all[..i] {
                    advance(host, done, delta, true, free);
                }
                return status;
            }
        }
        NDIS_STATUS_SUCCESS
    }

    /// Takes bytes off the front of every NET_BUFFER of a list.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAdvanceNetBufferListDataStart(host, list: u64, delta: u32, free: u8, handler: u64) {
        host.must_own("NdisAdvanceNetBufferListDataStart", list);
        for buffer in buffers(host, list) {
            advance(host, buffer, delta, free != 0, handler);
        }
    }

    /// Sets the current MDL after the data start was moved by hand.
    "ndis.sys" 0..=15 "IRQ-5"
    fn NdisAdjustNetBufferCurrentMdl(host, buffer: u64) {
        let mut nb: NET_BUFFER = host.get(buffer, "NetBuffer");
        (nb.CurrentMdl, nb.CurrentMdlOffset) = place(host, nb.MdlChain as u64, nb.DataOffset);
        host.put(buffer, nb, "NetBuffer");
    }

    /// Contiguous bytes at the start of a NET_BUFFER, copied into `storage` when they are split
    /// or not aligned as asked.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisGetDataBuffer(host, buffer: u64, needed: u32, storage: u64, multiple: u32, offset: u32) -> u64 {
        let nb: NET_BUFFER = host.get(buffer, "NetBuffer");
        if nb.DataLength < needed || needed == 0 {
            return 0;
        }
        let m: MDL = host.get(nb.CurrentMdl as u64, "CurrentMdl");
        let start = address(&m) + u64::from(nb.CurrentMdlOffset);
        let aligned = multiple < 2 || start % u64::from(multiple) == u64::from(offset);
        if aligned && m.ByteCount.saturating_sub(nb.CurrentMdlOffset) >= needed {
            if is_mapped(&m) {
                return start;
            }
            if host.fails("NdisGetDataBuffer") {
                return 0;
            }
            map(host, nb.CurrentMdl as u64, "NdisGetDataBuffer");
            return start;
        }
        if storage == 0 || host.fails("NdisGetDataBuffer") {
            return 0;
        }
        let frame = frame_of(host, buffer);
        for (i, byte) in frame.iter().take(needed as usize).enumerate() {
            host.put(storage + i as u64, *byte, "Storage");
        }
        storage
    }

    /// Copies data of one NET_BUFFER into the data space of another.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisCopyFromNetBufferToNetBuffer(host, to: u64, to_offset: u32, count: u32, from: u64, from_offset: u32, copied: u64) -> NDIS_STATUS {
        must_have(host, "NdisCopyFromNetBufferToNetBuffer", to);
        must_have(host, "NdisCopyFromNetBufferToNetBuffer", from);
        if host.fails("NdisCopyFromNetBufferToNetBuffer") {
            host.put(copied, 0_u32, "BytesCopied");
            return NDIS_STATUS_RESOURCES;
        }
        let frame = frame_of(host, from);
        let start = (from_offset as usize).min(frame.len());
        let end = start.saturating_add(count as usize).min(frame.len());
        let nb: NET_BUFFER = host.get(to, "Destination");
        let done = pour(host, &nb, to_offset, &frame[start..end]);
        host.put(copied, done as u32, "BytesCopied");
        NDIS_STATUS_SUCCESS
    }

    /// Physical pieces of a NET_BUFFER: a page each.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisQueryNetBufferPhysicalCount(host, buffer: u64) -> u32 {
        let nb: NET_BUFFER = host.get(buffer, "NetBuffer");
        let mut left = u64::from(nb.DataLength);
        let mut skip = u64::from(nb.CurrentMdlOffset);
        let mut mdl = nb.CurrentMdl as u64;
        let mut pages = 0;
        while mdl != 0 && left > 0 {
            let m: MDL = host.get(mdl, "MDL");
            let here = (u64::from(m.ByteCount) - skip.min(u64::from(m.ByteCount))).min(left);
            let start = address(&m) + skip;
            if here > 0 {
                pages += ((start + here - 1) >> 12) - (start >> 12) + 1;
            }
            left -= here;
            skip = 0;
            mdl = m.Next as u64;
        }
        pages as u32
    }

    /// The protocol id of a list: that of its pool, which is zero here.
    "ndis.sys" 0..=15 "IRQ-5"
    fn NdisGetNetBufferListProtocolId(host, list: u64) -> u8 {
        let _: u64 = host.get(list + at!(NET_BUFFER_LIST.NdisPoolHandle), "NetBufferList");
        0
    }
}

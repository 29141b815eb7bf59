//! Pools, the lists and NET_BUFFERs that come out of them, and context areas.

use ndis_sys::{
    MDL, NDIS_STATUS, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, NET_BUFFER, NET_BUFFER_LIST,
    NET_BUFFER_LIST_CONTEXT, NET_BUFFER_LIST_POOL_PARAMETERS, NET_BUFFER_POOL_PARAMETERS,
};

use super::data::place;
use super::look;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;
use crate::ndis::list::{BUFFER, CONTEXT, LIST, MDL_FLAGS, MDL_SIZE, at};

/// MEMORY_ALLOCATION_ALIGNMENT of x64.
const ALIGNMENT: u16 = 16;

/// A pool of lists.
pub(crate) struct Pool {
    /// Handle it was made with.
    pub(crate) owner: u64,
    /// Kind of that handle (NBL-3).
    pub(crate) kind: Option<Kind>,
    context: u16,
    tag: u32,
    data: u32,
    buffers: bool,
    /// Lists that are out.
    pub(crate) lists: u64,
}

/// A pool of NET_BUFFERs.
pub(crate) struct BufferPool {
    /// Handle it was made with.
    pub(crate) owner: u64,
    tag: u32,
    data: u32,
    /// NET_BUFFERs that are out.
    pub(crate) buffers: u64,
}

/// A NET_BUFFER that was allocated on its own.
pub(crate) struct Single {
    pub(crate) pool: u64,
    /// The adapter that initialised then, or 0.
    pub(crate) adapter: u64,
}

/// Enters a NET_BUFFER of the driver's into the books.
fn enter_single(host: &Host, buffer: u64, pool: u64) {
    let adapter = host.initializing_adapter();
    host.ndis(|n| {
        n.buffer_pools.get_mut(&pool).expect("checked").buffers += 1;
        n.singles.insert(buffer, Single { pool, adapter });
    });
}

/// A list the driver made.
pub(crate) struct Made {
    /// Its pool, 0 for a clone without one.
    pub(crate) pool: u64,
    /// Flags of the clone it is.
    pub(crate) clone: Option<u32>,
    /// Context area as it was made: address and fill level.
    context: (u64, u16),
    /// Layout of its data when it was made.
    pub(crate) layout: u64,
    /// The list whose information `NdisCopySendNetBufferListInfo` copied into it last.
    pub(crate) send_info: Option<u64>,
    /// The same for receives.
    pub(crate) receive_info: Option<u64>,
}

/// A list block: list, context area, and what else is asked for.
struct Plan {
    pool: u64,
    tag: u32,
    /// Context room in use, and before it.
    context: (u16, u16),
    by: &'static str,
}

/// Enters a list of the driver's into the books.
pub(super) fn enter(host: &Host, list: u64, pool: u64, clone: Option<u32>, by: &'static str) {
    let context: u64 = host.get(list + at!(NET_BUFFER_LIST.Context), "list");
    let level = if context == 0 {
        0
    } else {
        host.get::<NET_BUFFER_LIST_CONTEXT>(context, "Context")
            .Offset
    };
    let layout = look::layout(host, list);
    let now = host.now();
    host.ndis(|n| {
        if let Some(p) = n.pools.get_mut(&pool) {
            p.lists += 1;
        }
        n.ledger.own(list, now, by);
        n.ledger.made.insert(
            list,
            Made {
                pool,
                clone,
                context: (context, level),
                layout,
                send_info: None,
                receive_info: None,
            },
        );
    });
}

/// Allocates a list block with `extra` bytes behind the context area; the list and where those
/// bytes are.
fn allocate(host: &Host, plan: &Plan, room: u16, extra: u64) -> Option<(u64, u64)> {
    let (used, before) = plan.context;
    if !used.is_multiple_of(ALIGNMENT) || !before.is_multiple_of(ALIGNMENT) {
        host.violate(
            "NBL-2",
            format!("{}: context of {used} and {before} bytes", plan.by),
        );
    }
    if host.fails(plan.by) {
        return None;
    }
    let room = room
        .max(used.saturating_add(before))
        .next_multiple_of(ALIGNMENT);
    let size = LIST + CONTEXT + u64::from(room) + extra;
    let taken = host
        .heap()
        .allocate(&host.arena, size, plan.tag, plan.by, true);
    let block = taken?;
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let (mut l, mut c): (NET_BUFFER_LIST, NET_BUFFER_LIST_CONTEXT) = unsafe { std::mem::zeroed() };
    c.Size = room;
    c.Offset = room - used;
    l.Context = if room > 0 {
        (block + LIST) as *mut _
    } else {
        std::ptr::null_mut()
    };
    l.NdisPoolHandle = plan.pool as *mut _;
    host.put(block, l, "list");
    host.put(block + LIST, c, "list");
    Some((block, block + LIST + CONTEXT + u64::from(room)))
}

/// Writes a NET_BUFFER over an MDL chain.
pub(super) fn put_buffer(host: &Host, at: u64, pool: u64, mdl: u64, offset: u32, length: u32) {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut b: NET_BUFFER = unsafe { std::mem::zeroed() };
    b.NdisPoolHandle = pool as *mut _;
    b.MdlChain = mdl as *mut _;
    b.DataOffset = offset;
    b.DataLength = length;
    (b.CurrentMdl, b.CurrentMdlOffset) = place(host, mdl, offset);
    host.put(at, b, "NET_BUFFER");
}

/// Writes an MDL over nonpaged memory.
pub(super) fn put_mdl(host: &Host, at: u64, address: u64, length: u32, next: u64) {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut m: MDL = unsafe { std::mem::zeroed() };
    m.Size = MDL_SIZE as i16;
    m.MdlFlags = MDL_FLAGS;
    m.MappedSystemVa = address as *mut _;
    m.StartVa = (address & !0xFFF) as *mut _;
    m.ByteOffset = (address & 0xFFF) as u32;
    m.ByteCount = length;
    m.Next = next as *mut _;
    host.put(at, m, "MDL");
}

/// Makes an MDL one over a part of another whose pages are mapped nowhere.
pub(super) fn unmap_partial(host: &Host, at: u64) {
    const MDL_PARTIAL: i16 = 0x0010;
    host.put(at + at!(MDL.MdlFlags), MDL_PARTIAL, "MDL");
    host.put(at + at!(MDL.MappedSystemVa), 0_u64, "MDL");
}

/// NBL-2: a NET_BUFFER without an MDL describes nothing.
fn describes(host: &Host, by: &str, mdl: u64, offset: u32, length: u64) {
    if mdl == 0 && (offset != 0 || length != 0) {
        host.violate(
            "NBL-2",
            format!("{by}: no MDL, but offset {offset} and length {length}"),
        );
    }
}

/// Settles the free of a list of the driver's: books, pool and context area.
pub(super) fn leave(host: &Host, list: u64, by: &'static str) -> Made {
    let now = host.now();
    let made = host.ndis(|n| {
        if n.ledger.disown(list, now, by) {
            n.ledger.made.remove(&list)
        } else {
            None
        }
    });
    let Some(made) = made else {
        host.fatal(
            "NBL-4",
            &format!(
                "{by} of {list:#x}, which the driver does not own: {}",
                host.describe(list)
            ),
        );
    };
    let context: u64 = host.get(list + at!(NET_BUFFER_LIST.Context), "list");
    let level = if context == 0 {
        0
    } else {
        host.get::<NET_BUFFER_LIST_CONTEXT>(context, "Context")
            .Offset
    };
    if (context, level) != made.context {
        host.violate(
            "NBL-5",
            format!("{by} of {list:#x}: context that was added is not freed"),
        );
    }
    host.ndis(|n| {
        if let Some(p) = n.pools.get_mut(&made.pool) {
            p.lists -= 1;
        }
    });
    made
}

api! { exports:
    /// Makes a pool of lists.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateNetBufferListPool(host, handle: u64, parameters: u64) -> u64 {
        let p: NET_BUFFER_LIST_POOL_PARAMETERS = host.get(parameters, "Parameters");
        if p.Header.Revision == 0 || p.ProtocolId != 0 || p.PoolTag == 0
            || !p.ContextSize.is_multiple_of(ALIGNMENT)
            || (p.DataSize > 0 && p.fAllocateNetBuffer == 0)
        {
            host.violate("NBL-2", format!(
                "pool parameters: revision {}, protocol {}, tag {:#x}, context {}, data {}",
                p.Header.Revision, p.ProtocolId, p.PoolTag, p.ContextSize, p.DataSize
            ));
        }
        let kind = host.ndis(|n| n.handles.kind(handle)).ok();
        if kind.is_none() && handle != 0 {
            host.violate("NBL-3", format!("a pool is made with {handle:#x}, which is no handle"));
        }
        if host.fails("NdisAllocateNetBufferListPool") {
            return 0;
        }
        host.ndis(|n| {
            let h = n.handles.open(Kind::NblPool);
            n.pools.insert(h, Pool {
                owner: handle,
                kind,
                context: p.ContextSize,
                tag: p.PoolTag,
                data: p.DataSize,
                buffers: p.fAllocateNetBuffer != 0,
                lists: 0,
            });
            h
        })
    }

    /// Frees a pool; every list of it must be freed before (NBL-4).
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisFreeNetBufferListPool(host, pool: u64) {
        if !host.check("PoolHandle", pool, Kind::NblPool) {
            return;
        }
        let left = host.ndis(|n| {
            n.handles.close(pool);
            n.pools.remove(&pool).map_or(0, |p| p.lists)
        });
        if left > 0 {
            host.violate("NBL-4", format!("a pool is freed with {left} lists out"));
        }
    }

    /// A list with one NET_BUFFER over an MDL chain of the driver's.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateNetBufferAndNetBufferList(host, pool: u64, context: u16, backfill: u16,
        mdl: u64, offset: u32, length: u64) -> u64 {
        if !host.check("PoolHandle", pool, Kind::NblPool) {
            return 0;
        }
        let (room, tag, buffers, data) = host.ndis(|n| {
            let p = &n.pools[&pool];
            (p.context, p.tag, p.buffers, p.data)
        });
        if !buffers || data != 0 {
            host.violate("NBL-2", "NdisAllocateNetBufferAndNetBufferList needs fAllocateNetBuffer and DataSize zero".into());
        }
        describes(host, "NdisAllocateNetBufferAndNetBufferList", mdl, offset, length);
        let plan = Plan { pool, tag, context: (context, backfill), by: "NdisAllocateNetBufferAndNetBufferList" };
        let Some((list, buffer)) = allocate(host, &plan, room, BUFFER) else { return 0 };
        put_buffer(host, buffer, pool, mdl, offset, length as u32);
        host.put(list + at!(NET_BUFFER_LIST.FirstNetBuffer), buffer, "list");
        enter(host, list, pool, None, plan.by);
        list
    }

    /// A list; with NET_BUFFER, MDL and data where its pool says so.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateNetBufferList(host, pool: u64, context: u16, backfill: u16) -> u64 {
        if !host.check("PoolHandle", pool, Kind::NblPool) {
            return 0;
        }
        let (room, tag, buffers, data) = host.ndis(|n| {
            let p = &n.pools[&pool];
            (p.context, p.tag, p.buffers, p.data)
        });
        let plan = Plan { pool, tag, context: (context, backfill), by: "NdisAllocateNetBufferList" };
        let extra = if buffers { BUFFER + MDL_SIZE + u64::from(data) } else { 0 };
        let Some((list, buffer)) = allocate(host, &plan, room, extra) else { return 0 };
        if buffers {
            let mdl = if data > 0 { buffer + BUFFER } else { 0 };
            if mdl != 0 {
                put_mdl(host, mdl, mdl + MDL_SIZE, data, 0);
            }
            put_buffer(host, buffer, pool, mdl, 0, 0);
            host.put(list + at!(NET_BUFFER_LIST.FirstNetBuffer), buffer, "list");
        }
        enter(host, list, pool, None, plan.by);
        list
    }

    /// Frees a list of the driver's pool.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisFreeNetBufferList(host, list: u64) {
        if host.ndis(|n| n.ledger.made.get(&list).is_some_and(|m| m.clone.is_some())) {
            host.fatal("NBL-4", &format!("NdisFreeNetBufferList of {list:#x}, which is a clone"));
        }
        leave(host, list, "NdisFreeNetBufferList");
        crate::nt::free_pool(host, list, None, "NdisFreeNetBufferList");
    }

    /// Makes a pool of NET_BUFFERs.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateNetBufferPool(host, handle: u64, parameters: u64) -> u64 {
        let p: NET_BUFFER_POOL_PARAMETERS = host.get(parameters, "Parameters");
        if p.Header.Revision == 0 || p.PoolTag == 0 {
            host.violate("NBL-2", format!("pool parameters: revision {}, tag {:#x}", p.Header.Revision, p.PoolTag));
        }
        if host.fails("NdisAllocateNetBufferPool") {
            return 0;
        }
        host.ndis(|n| {
            let h = n.handles.open(Kind::NbPool);
            n.buffer_pools.insert(h, BufferPool { owner: handle, tag: p.PoolTag, data: p.DataSize, buffers: 0 });
            h
        })
    }

    /// Frees a pool; every NET_BUFFER of it must be freed before (NBL-4).
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisFreeNetBufferPool(host, pool: u64) {
        if !host.check("PoolHandle", pool, Kind::NbPool) {
            return;
        }
        let left = host.ndis(|n| {
            n.handles.close(pool);
            n.buffer_pools.remove(&pool).map_or(0, |p| p.buffers)
        });
        if left > 0 {
            host.violate("NBL-4", format!("a pool is freed with {left} NET_BUFFERs out"));
        }
    }

    /// A NET_BUFFER over an MDL chain of the driver's.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateNetBuffer(host, pool: u64, mdl: u64, offset: u32, length: u64) -> u64 {
        if !host.check("PoolHandle", pool, Kind::NbPool) {
            return 0;
        }
        describes(host, "NdisAllocateNetBuffer", mdl, offset, length);
        if host.fails("NdisAllocateNetBuffer") {
            return 0;
        }
        let tag = host.ndis(|n| n.buffer_pools[&pool].tag);
        let taken = host.heap().allocate(&host.arena, BUFFER, tag, "NdisAllocateNetBuffer", true);
        let Some(buffer) = taken else { return 0 };
        put_buffer(host, buffer, pool, mdl, offset, length as u32);
        enter_single(host, buffer, pool);
        buffer
    }

    /// A NET_BUFFER with an MDL and as much data as its pool says.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateNetBufferMdlAndData(host, pool: u64) -> u64 {
        if !host.check("PoolHandle", pool, Kind::NbPool) {
            return 0;
        }
        let (tag, data) = host.ndis(|n| {
            let p = &n.buffer_pools[&pool];
            (p.tag, p.data)
        });
        if data == 0 {
            host.violate("NBL-2", "NdisAllocateNetBufferMdlAndData needs a pool with DataSize".into());
        }
        if host.fails("NdisAllocateNetBufferMdlAndData") {
            return 0;
        }
        let size = BUFFER + MDL_SIZE + u64::from(data);
        let taken = host.heap().allocate(&host.arena, size, tag, "NdisAllocateNetBufferMdlAndData", true);
        let Some(buffer) = taken else { return 0 };
        let mdl = buffer + BUFFER;
        put_mdl(host, mdl, mdl + MDL_SIZE, data, 0);
        put_buffer(host, buffer, pool, mdl, 0, 0);
        enter_single(host, buffer, pool);
        buffer
    }

    /// Frees a NET_BUFFER that was allocated on its own.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisFreeNetBuffer(host, buffer: u64) {
        let own = host.heap().find(buffer).is_some_and(|a| a.address == buffer
            && matches!(a.by, "NdisAllocateNetBuffer" | "NdisAllocateNetBufferMdlAndData"));
        if !own {
            host.fatal("NBL-4", &format!("NdisFreeNetBuffer of {buffer:#x}, which was not allocated on its own: {}", host.describe(buffer)));
        }
        let pool: u64 = host.get(buffer + at!(NET_BUFFER.NdisPoolHandle), "NetBuffer");
        host.ndis(|n| {
            n.singles.remove(&buffer);
            if let Some(p) = n.buffer_pools.get_mut(&pool) { p.buffers -= 1; }
        });
        crate::nt::free_pool(host, buffer, None, "NdisFreeNetBuffer");
    }

    /// The pool of a list.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisGetPoolFromNetBufferList(host, list: u64) -> u64 {
        host.get(list + at!(NET_BUFFER_LIST.NdisPoolHandle), "NetBufferList")
    }

    /// The pool of a NET_BUFFER.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisGetPoolFromNetBuffer(host, buffer: u64) -> u64 {
        host.get(buffer + at!(NET_BUFFER.NdisPoolHandle), "NetBuffer")
    }

    /// Makes room in a list's context area, out of what its owner left there if that is enough.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateNetBufferListContext(host, list: u64, size: u16, backfill: u16, tag: u32) -> NDIS_STATUS {
        if !size.is_multiple_of(8) || size == 0 {
            host.violate("NBL-5", format!("ContextSize {size} is not a multiple of the pointer size"));
        }
        host.must_own("NdisAllocateNetBufferListContext", list);
        let context: u64 = host.get(list + at!(NET_BUFFER_LIST.Context), "NetBufferList");
        if context != 0 {
            let mut c: NET_BUFFER_LIST_CONTEXT = host.get(context, "Context");
            if c.Offset >= size {
                c.Offset -= size;
                host.put(context, c, "Context");
                return NDIS_STATUS_SUCCESS;
            }
        }
        if host.fails("NdisAllocateNetBufferListContext") {
            return NDIS_STATUS_RESOURCES;
        }
        let room = size.saturating_add(backfill);
        let taken = host.heap().allocate(
            &host.arena, CONTEXT + u64::from(room), tag, "NdisAllocateNetBufferListContext", true);
        let Some(block) = taken else { return NDIS_STATUS_RESOURCES };
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut c: NET_BUFFER_LIST_CONTEXT = unsafe { std::mem::zeroed() };
        c.Next = context as *mut _;
        c.Size = room;
        c.Offset = backfill;
        host.put(block, c, "Context");
        host.put(list + at!(NET_BUFFER_LIST.Context), block, "NetBufferList");
        NDIS_STATUS_SUCCESS
    }

    /// Gives the room back.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisFreeNetBufferListContext(host, list: u64, size: u16) {
        host.must_own("NdisFreeNetBufferListContext", list);
        let context: u64 = host.get(list + at!(NET_BUFFER_LIST.Context), "NetBufferList");
        let mut c: NET_BUFFER_LIST_CONTEXT = host.get(context, "NetBufferList.Context");
        if u32::from(c.Offset) + u32::from(size) > u32::from(c.Size) {
            host.violate("NBL-5", format!("{size} bytes of context are freed, {} are in use", c.Size - c.Offset));
            return;
        }
        c.Offset += size;
        host.put(context, c, "Context");
        let own = host.heap().find(context).is_some_and(|a| a.by == "NdisAllocateNetBufferListContext");
        if own && c.Offset == c.Size {
            host.put(list + at!(NET_BUFFER_LIST.Context), c.Next as u64, "NetBufferList");
            crate::nt::free_pool(host, context, None, "NdisFreeNetBufferListContext");
        }
    }

    /// A partial cancel id, unique to the driver that asks.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisGeneratePartialCancelId(host) -> u8 {
        let id = (host.engine().random(254) + 1) as u8;
        host.ndis(|n| n.ledger.partial_ids.insert(id));
        id
    }
}

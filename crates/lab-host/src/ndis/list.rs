//! NET_BUFFER_LISTs: those the host makes, and the functions drivers handle them with.
//!
//! A list of the host is one block: the list, its context area, its NET_BUFFERs (one), MDLs
//! (two) and the data, so that a hand-over changes the protection of that block alone.

use ndis_sys::{
    MDL, NDIS_STATUS, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, NET_BUFFER, NET_BUFFER_LIST,
    NET_BUFFER_LIST_CONTEXT, NET_BUFFER_LIST_POOL_PARAMETERS,
};

use crate::api::api;
use crate::arena::{PageState, Protection};
use crate::handle::Kind;
use crate::host::Host;

const TAG: u32 = u32::from_le_bytes(*b"HNBL");
const LIST: u64 = size_of::<NET_BUFFER_LIST>() as u64;
const CONTEXT: u64 = size_of::<NET_BUFFER_LIST_CONTEXT>() as u64;
const BUFFER: u64 = size_of::<NET_BUFFER>() as u64;
const MDL_SIZE: u64 = size_of::<MDL>() as u64;
/// MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL.
const MDL_FLAGS: i16 = 0x0005;

/// Offset of a field of a structure, as an address difference.
macro_rules! at {
    ($t:ident . $($f:tt)+) => { std::mem::offset_of!(ndis_sys::$t, $($f)+) as u64 };
}
pub(crate) use at;

/// A pool of the driver.
pub(crate) struct Pool {
    pub(crate) context: u16,
    pub(crate) tag: u32,
    pub(crate) data: u32,
    pub(crate) buffers: bool,
    pub(crate) lists: u64,
}

/// Most MDLs and NET_BUFFERs of a list of a rough pool.
const ROUGH_MDLS: u64 = 48;
const ROUGH_BUFFERS: u64 = 4;
/// Bytes above the usual largest frame that a list of a rough pool has room for.
const ROUGH_ROOM: u32 = 8192;

/// How a frame lies in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of each MDL but the last, which takes the rest. Zero is a length like any other.
    pub(crate) cuts: Vec<usize>,
    /// NET_BUFFERs without a byte before and after the one with the frame.
    pub(crate) empty: (u64, u64),
}

impl Shape {
    /// Two MDLs, the second from `at` on; one if `at` lies at the ends.
    pub(crate) fn split(at: usize, len: usize) -> Self {
        let inside = at > 0 && at < len;
        Self {
            cuts: if inside { vec![at] } else { Vec::new() },
            empty: (0, 0),
        }
    }

    /// What no sound sender makes and no driver may stumble over: dozens of tiny MDLs, MDLs
    /// without a byte at any place, empty NET_BUFFERs beside the one with the frame.
    pub(crate) fn absurd(host: &Host, len: usize, several: bool) -> Self {
        let random = |bound: u64| host.engine().random(bound);
        let mut left = len;
        let mut cuts = Vec::new();
        for _ in 0..random(ROUGH_MDLS) {
            let cut = match random(4) {
                0 => 0,
                1 => random(1 + left as u64) as usize,
                _ => random(4) as usize,
            };
            cuts.push(cut.min(left));
            left -= cut.min(left);
        }
        let empty = if several {
            (random(2), random(2))
        } else {
            (0, 0)
        };
        Self { cuts, empty }
    }
}

/// Lists the host makes for one of its ends.
#[derive(Debug, Default)]
pub struct FrameList {
    free: Vec<u64>,
    made: u64,
    limit: u64,
    context: u16,
    frame: u32,
    backfill: u32,
    handle: u64,
    mdls: u64,
    buffers: u64,
}

/// The frame bytes a NET_BUFFER describes.
pub(crate) fn frame_of(host: &Host, buffer: u64) -> Vec<u8> {
    let nb: NET_BUFFER = host.get(buffer, "NET_BUFFER");
    let mut left = nb.DataLength as usize;
    let mut skip = nb.CurrentMdlOffset as usize;
    let mut mdl = nb.CurrentMdl as u64;
    let mut frame = Vec::with_capacity(left.min(1 << 16));
    let mut hops = 0;
    while left > 0 && mdl != 0 && hops < 4096 {
        let m: MDL = host.get(mdl, "MDL");
        let count = m.ByteCount as usize;
        if skip < count {
            let take = (count - skip).min(left);
            let mut bytes = vec![0; take];
            let from = m.MappedSystemVa as u64 + skip as u64;
            if host.arena.read_bytes(from, &mut bytes).is_err() {
                break;
            }
            frame.extend_from_slice(&bytes);
            left -= take;
            skip = 0;
        } else {
            skip -= count;
        }
        mdl = m.Next as u64;
        hops += 1;
    }
    frame
}

/// The NET_BUFFERs of a list.
pub(crate) fn buffers(host: &Host, list: u64) -> Vec<u64> {
    let mut all = Vec::new();
    let mut nb: u64 = host.get(
        list + at!(NET_BUFFER_LIST.FirstNetBuffer),
        "NET_BUFFER_LIST",
    );
    while nb != 0 && all.len() < 4096 {
        all.push(nb);
        nb = host.get(nb + at!(NET_BUFFER.Next), "NET_BUFFER");
    }
    all
}

/// The lists of a chain; a chain that does not end is fatal.
pub(crate) fn chain(host: &Host, first: u64) -> Vec<u64> {
    let mut all = Vec::new();
    let mut list = first;
    while list != 0 {
        all.push(list);
        if all.len() > 65_536 {
            host.fatal("BUG-3", "a chain of NET_BUFFER_LISTs does not end");
        }
        list = host.get(list + at!(NET_BUFFER_LIST.Next), "NET_BUFFER_LIST.Next");
    }
    all
}

/// Links lists into a chain; returns the first.
pub(crate) fn link(host: &Host, lists: &[u64]) -> u64 {
    for pair in lists.windows(2) {
        host.put(pair[0] + at!(NET_BUFFER_LIST.Next), pair[1], "Next");
    }
    if let Some(&last) = lists.last() {
        host.put(last + at!(NET_BUFFER_LIST.Next), 0_u64, "Next");
    }
    lists.first().copied().unwrap_or(0)
}

impl FrameList {
    /// Lists for frames of up to `frame` bytes, `context` bytes of context room each.
    pub(crate) const fn new(
        handle: u64,
        limit: u64,
        frame: u32,
        backfill: u32,
        context: u16,
    ) -> Self {
        Self {
            free: Vec::new(),
            made: 0,
            limit,
            context: context.next_multiple_of(16),
            frame,
            backfill,
            handle,
            mdls: 2,
            buffers: 1,
        }
    }

    /// With room for absurd shapes and frames beyond the MTU.
    pub(crate) const fn rough(mut self) -> Self {
        self.frame += ROUGH_ROOM;
        self.mdls = ROUGH_MDLS;
        self.buffers = ROUGH_BUFFERS;
        self
    }

    /// Lists that can be taken now.
    pub(crate) fn available(&self) -> u64 {
        self.free.len() as u64 + (self.limit - self.made)
    }

    /// Takes a list that holds `frame` in that shape, as far as the pool has MDLs and
    /// NET_BUFFERs for it.
    pub(crate) fn take(&mut self, host: &Host, frame: &[u8], shape: &Shape) -> Option<u64> {
        if frame.len() > self.frame as usize {
            return None;
        }
        let data =
            LIST + CONTEXT + u64::from(self.context) + self.buffers * BUFFER + self.mdls * MDL_SIZE;
        let block = match self.free.pop() {
            Some(block) => block,
            None if self.made < self.limit => {
                self.made += 1;
                let size = data + u64::from(self.backfill) + u64::from(self.frame);
                host.allocate(size, TAG, "host list")
            }
            None => return None,
        };
        let context = block + LIST;
        let buffer = context + CONTEXT + u64::from(self.context);
        let mdl = buffer + self.buffers * BUFFER;
        let start = block + data;
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let (mut l, mut c): (NET_BUFFER_LIST, NET_BUFFER_LIST_CONTEXT) =
            unsafe { std::mem::zeroed() };
        c.Size = self.context;
        c.Offset = self.context;
        l.Context = if self.context > 0 {
            context as *mut _
        } else {
            std::ptr::null_mut()
        };
        l.FirstNetBuffer = buffer as *mut _;
        l.NdisPoolHandle = self.handle as *mut _;
        l.SourceHandle = self.handle as *mut _;
        host.put(block, l, "host list");
        if self.context > 0 {
            host.put(context, c, "host list");
            host.arena
                .fill(context + CONTEXT, u64::from(self.context), 0xC7);
        }
        self.put_buffers(host, buffer, mdl, frame.len() as u32, shape.empty);
        self.put_mdls(host, mdl, start, frame.len() as u64, &shape.cuts);
        if let Err(wild) = host
            .arena
            .write_bytes(start + u64::from(self.backfill), frame)
        {
            panic!("the host's own list: {wild}");
        }
        Some(block)
    }

    /// The NET_BUFFER with the frame, and empty ones around it over the same MDL.
    fn put_buffers(&self, host: &Host, at: u64, mdl: u64, len: u32, empty: (u64, u64)) {
        let before = empty.0.min(self.buffers - 1);
        let count = 1 + before + empty.1.min(self.buffers - 1 - before);
        for i in 0..count {
            // SAFETY: plain data of the ABI; all zero is a value of it.
            let mut b: NET_BUFFER = unsafe { std::mem::zeroed() };
            b.Next = if i + 1 < count {
                (at + (i + 1) * BUFFER) as *mut _
            } else {
                std::ptr::null_mut()
            };
            b.CurrentMdl = mdl as *mut _;
            b.MdlChain = mdl as *mut _;
            b.CurrentMdlOffset = self.backfill;
            b.DataOffset = self.backfill;
            b.DataLength = if i == before { len } else { 0 };
            b.NdisPoolHandle = self.handle as *mut _;
            host.put(at + i * BUFFER, b, "host list");
        }
    }

    /// The MDLs over backfill and frame.
    fn put_mdls(&self, host: &Host, at: u64, start: u64, len: u64, cuts: &[usize]) {
        let mut ends = Vec::new();
        let mut end = u64::from(self.backfill);
        let total = end + len;
        for &cut in cuts.iter().take(self.mdls as usize - 1) {
            end = (end + cut as u64).min(total);
            ends.push(end);
        }
        ends.push(total);
        let mut from = 0;
        for (i, &end) in ends.iter().enumerate() {
            let va = start + from;
            // SAFETY: plain data of the ABI; all zero is a value of it.
            let mut m: MDL = unsafe { std::mem::zeroed() };
            m.Size = MDL_SIZE as i16;
            m.MdlFlags = MDL_FLAGS;
            m.MappedSystemVa = va as *mut _;
            m.StartVa = (va & !0xFFF) as *mut _;
            m.ByteOffset = (va & 0xFFF) as u32;
            m.ByteCount = (end - from) as u32;
            if i + 1 < ends.len() {
                m.Next = (at + (i as u64 + 1) * MDL_SIZE) as *mut _;
            }
            host.put(at + i as u64 * MDL_SIZE, m, "host list");
            from = end;
        }
    }

    /// Puts the pool back where it was taken from while a list was built; lists given back
    /// meanwhile are kept.
    pub(crate) fn restore(&mut self, mut pool: Self) {
        pool.free.append(&mut self.free);
        *self = pool;
    }

    /// Gives a list back.
    pub(crate) fn give(&mut self, block: u64) {
        self.free.push(block);
    }

    /// Frees every list; those still out are leaked to the report.
    pub(crate) fn drain(&mut self, host: &Host) -> u64 {
        let out = self.made - self.free.len() as u64;
        for block in self.free.drain(..) {
            host.guard(block, false);
            host.release(block);
        }
        self.made = out;
        out
    }
}

impl Host {
    /// Makes a list's memory inaccessible to the driver, or accessible again.
    pub(crate) fn guard(&self, list: u64, away: bool) {
        if !self.config.guard_hand_overs {
            return;
        }
        let Some((start, len)) = self.heap().pages_of(list) else {
            return;
        };
        let (state, protection) = if away {
            (PageState::Away, Protection::None)
        } else {
            (PageState::Live, Protection::ReadWrite)
        };
        if self.arena.page_state(start) != Some(state) {
            self.arena.set_page_state(start, len, state);
            let _ = self.arena.protect(start, len, protection);
        }
    }
}

api! { exports:
    /// Makes a pool of lists.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateNetBufferListPool(host, _handle: u64, parameters: u64) -> u64 {
        let p: NET_BUFFER_LIST_POOL_PARAMETERS = host.get(parameters, "Parameters");
        if p.ProtocolId != 0 || p.PoolTag == 0 || !p.ContextSize.is_multiple_of(16)
            || (p.DataSize > 0 && p.fAllocateNetBuffer == 0)
        {
            host.violate("NBL-2", format!(
                "pool parameters: protocol {}, tag {:#x}, context {}, data {}",
                p.ProtocolId, p.PoolTag, p.ContextSize, p.DataSize
            ));
        }
        if host.fails("NdisAllocateNetBufferListPool") {
            return 0;
        }
        host.ndis(|n| {
            let h = n.handles.open(Kind::NblPool);
            n.pools.insert(h, Pool {
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
        if host.fails("NdisAllocateNetBufferAndNetBufferList") {
            return 0;
        }
        let room = room.max(context + backfill).next_multiple_of(16);
        let size = LIST + CONTEXT + u64::from(room) + BUFFER;
        let taken = host.heap().allocate(&host.arena, size, tag, "NdisAllocateNetBufferAndNetBufferList", true);
        let Some(block) = taken else { return 0 };
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let (mut l, mut c, mut b): (NET_BUFFER_LIST, NET_BUFFER_LIST_CONTEXT, NET_BUFFER) =
            unsafe { std::mem::zeroed() };
        c.Size = room;
        c.Offset = room - context;
        let buffer = block + LIST + CONTEXT + u64::from(room);
        l.Context = (block + LIST) as *mut _;
        l.FirstNetBuffer = buffer as *mut _;
        l.NdisPoolHandle = pool as *mut _;
        b.NdisPoolHandle = pool as *mut _;
        b.MdlChain = mdl as *mut _;
        b.DataOffset = offset;
        b.DataLength = length as u32;
        // CurrentMdl is the one that the offset falls into.
        let (mut current, mut skip) = (mdl, offset);
        while current != 0 {
            let m: MDL = host.get(current, "MdlChain");
            if skip < m.ByteCount || m.Next.is_null() {
                break;
            }
            skip -= m.ByteCount;
            current = m.Next as u64;
        }
        b.CurrentMdl = current as *mut _;
        b.CurrentMdlOffset = skip;
        host.put(block, l, "list");
        host.put(block + LIST, c, "list");
        host.put(buffer, b, "list");
        host.ndis(|n| {
            n.pools.get_mut(&pool).expect("checked").lists += 1;
            n.ledger.own(block);
        });
        block
    }

    /// Frees a list of the driver's pool.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisFreeNetBufferList(host, list: u64) {
        let pool: u64 = host.get(list + at!(NET_BUFFER_LIST.NdisPoolHandle), "NetBufferList");
        if host.ndis(|n| n.handles.check(pool, Kind::NblPool)).is_err() {
            host.fatal("NBL-4", &format!("NdisFreeNetBufferList of {list:#x}, which is not of a pool of the driver"));
        }
        if !host.ndis(|n| n.ledger.disown(list)) {
            host.fatal("NBL-4", &format!("NdisFreeNetBufferList of {list:#x}, which the driver does not own: {}", host.describe(list)));
        }
        host.ndis(|n| n.pools.get_mut(&pool).expect("checked").lists -= 1);
        crate::nt::free_pool(host, list, None, "NdisFreeNetBufferList");
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

    /// Contiguous bytes at the start of a NET_BUFFER, copied into `storage` when they are split.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisGetDataBuffer(host, buffer: u64, needed: u32, storage: u64, _multiple: u32, _offset: u32) -> u64 {
        let nb: NET_BUFFER = host.get(buffer, "NetBuffer");
        if nb.DataLength < needed || needed == 0 {
            return 0;
        }
        let m: MDL = host.get(nb.CurrentMdl as u64, "CurrentMdl");
        if m.ByteCount.saturating_sub(nb.CurrentMdlOffset) >= needed {
            return m.MappedSystemVa as u64 + u64::from(nb.CurrentMdlOffset);
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

    /// The driver's own MDL over nonpaged memory.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateMdl(host, _handle: u64, address: u64, length: u32) -> u64 {
        if host.fails("NdisAllocateMdl") {
            return 0;
        }
        let taken = host.heap().allocate(&host.arena, MDL_SIZE, TAG, "NdisAllocateMdl", true);
        let Some(block) = taken else { return 0 };
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut m: MDL = unsafe { std::mem::zeroed() };
        m.Size = MDL_SIZE as i16;
        m.MdlFlags = MDL_FLAGS;
        m.MappedSystemVa = address as *mut _;
        m.StartVa = (address & !0xFFF) as *mut _;
        m.ByteOffset = (address & 0xFFF) as u32;
        m.ByteCount = length;
        host.put(block, m, "MDL");
        block
    }

    /// Frees it.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisFreeMdl(host, mdl: u64) {
        crate::nt::free_pool(host, mdl, None, "NdisFreeMdl");
    }

    /// A partial cancel id, unique to the driver that asks.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisGeneratePartialCancelId(host) -> u8 {
        (host.engine().random(254) + 1) as u8
    }
}

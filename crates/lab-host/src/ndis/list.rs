//! NET_BUFFER_LISTs that the host makes.
//!
//! A list of the host is one block: the list, its context area, its NET_BUFFERs (one), MDLs
//! (two) and the data, so that a hand-over changes the protection of that block alone. Where
//! data may have to be read-only it is a block of its own.

use std::collections::BTreeMap;

use ndis_sys::{
    Ieee8021QNetBufferListInfo, MDL, NDIS_NBL_FLAGS_RECV_READ_ONLY, NDIS_NBL_FLAGS_SEND_READ_ONLY,
    NET_BUFFER, NET_BUFFER_LIST, NET_BUFFER_LIST_CONTEXT,
};

use super::tag::Tag;
use crate::arena::{PageState, Protection};
use crate::host::Host;

const TAG: u32 = u32::from_le_bytes(*b"HNBL");
pub(super) const LIST: u64 = size_of::<NET_BUFFER_LIST>() as u64;
pub(super) const CONTEXT: u64 = size_of::<NET_BUFFER_LIST_CONTEXT>() as u64;
pub(super) const BUFFER: u64 = size_of::<NET_BUFFER>() as u64;
pub(super) const MDL_SIZE: u64 = size_of::<MDL>() as u64;
/// MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL.
pub(super) const MDL_FLAGS: i16 = 0x0005;
/// `MdlFlags` of locked pages that are mapped nowhere.
const MDL_PAGES_LOCKED: i16 = 0x0002;

/// What reserved fields hold.
const MARKER: [u64; 4] = [0x5243_0001, 0x5243_0002, 0x5243_0003, 0x5243_0004];

/// Offset of a field of a structure, as an address difference.
macro_rules! at {
    ($t:ident . $($f:tt)+) => { std::mem::offset_of!(ndis_sys::$t, $($f)+) as u64 };
}
pub(crate) use at;

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
    /// `NblFlags`. One that says read-only makes it so, in a pool whose data lies apart.
    pub(crate) flags: u32,
    /// 802.1Q information beside the frame.
    pub(crate) tag: Tag,
    /// The pages are locked and mapped nowhere, as an application's are.
    pub(crate) unmapped: bool,
}

impl Shape {
    /// Two MDLs, the second from `at` on; one if `at` lies at the ends.
    pub(crate) fn split(at: usize, len: usize) -> Self {
        let inside = at > 0 && at < len;
        Self {
            cuts: if inside { vec![at] } else { Vec::new() },
            ..Self::default()
        }
    }

    /// What no sound sender makes and no driver may stumble over: dozens of tiny MDLs, MDLs
    /// without a byte at any place, empty NET_BUFFERs beside the one with the frame, locked
    /// pages that nobody has mapped yet.
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
        Self {
            cuts,
            empty,
            unmapped: random(3) == 0,
            ..Self::default()
        }
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
    /// Data lies in blocks of its own: which one is which list's.
    apart: Option<BTreeMap<u64, u64>>,
}

/// Where the bytes of an MDL are, mapped or not.
pub(crate) fn address(mdl: &MDL) -> u64 {
    (mdl.StartVa as u64).wrapping_add(u64::from(mdl.ByteOffset))
}

/// Whether code may touch the bytes of an MDL without mapping it.
pub(crate) const fn is_mapped(mdl: &MDL) -> bool {
    mdl.MdlFlags & MDL_FLAGS != 0
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
            let from = address(&m) + skip as u64;
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
            apart: None,
        }
    }

    /// With data in blocks apart from the lists, so that it can be read-only.
    pub(crate) fn apart(mut self) -> Self {
        self.apart = Some(BTreeMap::new());
        self
    }

    /// With room for as many MDLs.
    pub(crate) fn with_mdls(mut self, mdls: u64) -> Self {
        self.mdls = self.mdls.max(mdls);
        self
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
                self.allocate(host, data)
            }
            None => return None,
        };
        let context = block + LIST;
        let buffer = context + CONTEXT + u64::from(self.context);
        let mdl = buffer + self.buffers * BUFFER;
        let bytes = self
            .apart
            .as_ref()
            .and_then(|apart| apart.get(&block).copied());
        let start = bytes.unwrap_or(block + data);
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let (mut l, mut c): (NET_BUFFER_LIST, NET_BUFFER_LIST_CONTEXT) =
            unsafe { std::mem::zeroed() };
        l.NblFlags = shape.flags;
        // NBL-6: whose they are finds them as they were.
        l.ProtocolReserved = MARKER.map(|m| m as *mut _);
        l.MiniportReserved = [MARKER[0], MARKER[1]].map(|m| m as *mut _);
        l.NetBufferListInfo[Ieee8021QNetBufferListInfo.0 as usize] = shape.tag.to_info() as *mut _;
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
        self.put_mdls(host, mdl, start, frame.len() as u64, shape);
        if let Err(wild) = host
            .arena
            .write_bytes(start + u64::from(self.backfill), frame)
        {
            panic!("the host's own list: {wild}");
        }
        if let Some(bytes) = bytes {
            let read_only =
                shape.flags & (NDIS_NBL_FLAGS_RECV_READ_ONLY | NDIS_NBL_FLAGS_SEND_READ_ONLY) != 0;
            host.ndis(|n| n.ledger.data.insert(block, (bytes, read_only)));
            host.guard(block, false);
            host.protect_data(block, false);
        }
        Some(block)
    }

    /// A block for a list of `size` bytes and its data, which may lie apart.
    fn allocate(&mut self, host: &Host, size: u64) -> u64 {
        let room = u64::from(self.backfill) + u64::from(self.frame);
        let Some(apart) = &mut self.apart else {
            return host.allocate(size + room, TAG, "host list");
        };
        let block = host.allocate(size, TAG, "host list");
        let bytes = host.allocate(room, TAG, "host data");
        apart.insert(block, bytes);
        host.ndis(|n| n.ledger.parts.insert(bytes, block));
        block
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
            b.MiniportReserved = MARKER.map(|m| m as *mut _);
            b.ProtocolReserved[..4].copy_from_slice(&b.MiniportReserved);
            host.put(at + i * BUFFER, b, "host list");
        }
    }

    /// The MDLs over backfill and frame.
    fn put_mdls(&self, host: &Host, at: u64, start: u64, len: u64, shape: &Shape) {
        let mut ends = Vec::new();
        let mut end = u64::from(self.backfill);
        let total = end + len;
        for &cut in shape.cuts.iter().take(self.mdls as usize - 1) {
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
            if shape.unmapped {
                m.MdlFlags = MDL_PAGES_LOCKED;
            } else {
                m.MdlFlags = MDL_FLAGS;
                m.MappedSystemVa = va as *mut _;
            }
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
            host.release(block);
            let bytes = self.apart.as_mut().and_then(|apart| apart.remove(&block));
            if let Some(bytes) = bytes {
                host.ndis(|n| {
                    n.ledger.parts.remove(&bytes);
                    n.ledger.data.remove(&block);
                });
                host.release(bytes);
            }
        }
        self.made = out;
        out
    }
}

impl Host {
    /// Makes a list's memory inaccessible to the driver, or accessible again.
    pub(crate) fn guard(&self, list: u64, away: bool) {
        if !self.guards_hand_overs() {
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
            self.protect_data(list, away);
        }
    }

    /// The same for data that lies apart; read-only if the list says so.
    fn protect_data(&self, list: u64, away: bool) {
        let Some((bytes, read_only)) = self.ndis(|n| n.ledger.data.get(&list).copied()) else {
            return;
        };
        let Some((start, len)) = self.heap().pages_of(bytes) else {
            return;
        };
        let (state, protection) = match (away && self.guards_hand_overs(), read_only) {
            (true, _) => (PageState::Away, Protection::None),
            (false, true) => (PageState::Live, Protection::Read),
            (false, false) => (PageState::Live, Protection::ReadWrite),
        };
        self.arena.set_page_state(start, len, state);
        let _ = self.arena.protect(start, len, protection);
    }
}

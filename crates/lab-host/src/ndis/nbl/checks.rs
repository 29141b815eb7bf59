//! Digests of lists, whose memory they use, and the checks on lists that a driver made or
//! rebuilt: NBL-1, NBL-3, SND-10, SND-11, SND-14, SND-17, RCV-3, RCV-10, RCV-12, RCV-13.

use ndis_sys::{
    Ieee8021QNetBufferListInfo, MDL, NBL_FLAGS_SCRATCH, NDIS_NET_BUFFER_LIST_INFO,
    NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID, NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE,
    NDIS_RECEIVE_FLAGS_SINGLE_VLAN, NET_BUFFER, NET_BUFFER_LIST, NetBufferListCancelId,
    TcpLargeSendNetBufferListInfo, UdpSegmentationOffloadInfo,
};

use ndis_sys::{NetBufferListHashInfo, NetBufferListHashValue, TcpRecvSegCoalesceInfo};

use super::derived::info;
use crate::handle::Kind;
use crate::host::Host;
use crate::ndis::ledger::{Owner, Path, Record};
use crate::ndis::list::{at, buffers, frame_of};
use crate::ndis::tag;

/// Most MDLs a chain is followed through.
const HOPS: usize = 4096;

/// A fast digest: every list of a run goes through it several times.
#[derive(Clone, Copy, Default)]
struct Digest(u64);

impl Digest {
    fn word(&mut self, word: u64) {
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        for &byte in tail {
            self.word(u64::from(byte));
        }
    }

    const fn end(self) -> u64 {
        self.0 ^ self.0 >> 29
    }
}

/// Digest of NET_BUFFERs and MDL chains: what SND-9 and RCV-7 want back as it was.
pub(crate) fn layout(host: &Host, list: u64) -> u64 {
    let mut digest = Digest::default();
    for buffer in buffers(host, list) {
        let b: NET_BUFFER = host.get(buffer, "NET_BUFFER");
        for word in [
            buffer,
            b.MdlChain as u64,
            u64::from(b.DataOffset),
            u64::from(b.DataLength),
        ] {
            digest.word(word);
        }
        let mut mdl = b.MdlChain as u64;
        let mut hops = 0;
        let mut bytes = 0;
        // The current MDL by where it points to: past MDLs without a byte NDIS moves it on.
        let mut current = b.CurrentMdl as u64;
        while mdl != 0 && hops < HOPS {
            let m: MDL = host.get(mdl, "MDL");
            if mdl == b.CurrentMdl as u64 {
                current = bytes + u64::from(b.CurrentMdlOffset);
            }
            bytes += u64::from(m.ByteCount);
            digest.word(mdl);
            digest.word(u64::from(m.ByteCount));
            digest.word(m.MappedSystemVa as u64);
            mdl = m.Next as u64;
            hops += 1;
        }
        digest.word(current);
    }
    digest.end()
}

/// What else is to come back as it was, beside the NET_BUFFERs and their data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    /// Context area and its fill level (NBL-5).
    context: (u64, u32),
    /// Digest of the reserved fields, which have one user along the stack (NBL-6).
    reserved: u64,
    /// SND-11, RCV-11.
    parent: u64,
    /// `NblFlags`, but for the bits that say nothing.
    flags: u32,
    /// 802.1Q information.
    tag: u64,
    /// SND-14.
    pub(crate) cancel: u64,
    /// Large send that was asked for (OFF-4).
    pub(crate) large: u64,
    /// Hash value and what it is of (RSS-1).
    pub(crate) hash: (u64, u64),
    /// Segments that were coalesced (RSC-1).
    pub(crate) coalesced: u64,
}

impl Rest {
    /// What of a list was changed, and the rule that forbids it; `shape` where none does by
    /// itself.
    pub(crate) fn changed(
        &self,
        now: &Self,
        sent: bool,
        shape: &'static str,
    ) -> Option<(&'static str, &'static str)> {
        let parent = if sent { "SND-11" } else { "RCV-11" };
        [
            (self.context != now.context, "NBL-5", "context area"),
            (self.reserved != now.reserved, "NBL-6", "reserved fields"),
            (self.parent != now.parent, parent, "ParentNetBufferList"),
            (self.cancel != now.cancel, "SND-14", "cancel id"),
            (self.flags != now.flags, shape, "NblFlags"),
            (self.tag != now.tag, shape, "802.1Q information"),
        ]
        .into_iter()
        .find_map(|(changed, rule, what)| changed.then_some((rule, what)))
    }
}

/// Looks at what else is to come back.
pub(crate) fn rest(host: &Host, list: u64) -> Rest {
    let mut digest = Digest::default();
    let l: NET_BUFFER_LIST = host.get(list, "NET_BUFFER_LIST");
    let level = if l.Context.is_null() {
        0
    } else {
        host.get(l.Context as u64 + 8, "Context")
    };
    for word in l.ProtocolReserved.iter().chain(&l.MiniportReserved) {
        digest.word(*word as u64);
    }
    digest.word(u64::from(l.Flags & !NBL_FLAGS_SCRATCH));
    for buffer in buffers(host, list) {
        let b: NET_BUFFER = host.get(buffer, "NET_BUFFER");
        for word in b.ProtocolReserved.iter().chain(&b.MiniportReserved) {
            digest.word(*word as u64);
        }
    }
    let entry = |entry: NDIS_NET_BUFFER_LIST_INFO| l.NetBufferListInfo[entry.0 as usize] as u64;
    Rest {
        context: (l.Context as u64, level),
        reserved: digest.end(),
        parent: l.ParentNetBufferList as u64,
        flags: l.NblFlags,
        tag: entry(Ieee8021QNetBufferListInfo),
        cancel: entry(NetBufferListCancelId),
        large: entry(TcpLargeSendNetBufferListInfo),
        hash: (entry(NetBufferListHashValue), entry(NetBufferListHashInfo)),
        coalesced: entry(TcpRecvSegCoalesceInfo),
    }
}

/// Digest of the frames a list describes.
pub(crate) fn bytes(host: &Host, list: u64) -> u64 {
    glance(host, list).bytes
}

/// What is noted of the frames of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Glance {
    /// Digest of their bytes.
    pub(crate) bytes: u64,
    /// Bytes of the longest.
    pub(crate) longest: u32,
    /// The flow that the first belongs to.
    pub(crate) flow: u64,
}

/// Looks at the frames of a list.
pub(crate) fn glance(host: &Host, list: u64) -> Glance {
    let mut digest = Digest::default();
    let mut glance = Glance::default();
    for (i, buffer) in buffers(host, list).into_iter().enumerate() {
        let frame = frame_of(host, buffer);
        digest.bytes(&frame);
        if i == 0 {
            glance.flow = flow(&frame);
        }
        let length: u32 = host.get(buffer + at!(NET_BUFFER.DataLength), "NET_BUFFER");
        glance.longest = glance.longest.max(length);
    }
    glance.bytes = digest.end();
    glance
}

/// Digest of what lies behind the MAC headers of a list's frames.
pub(crate) fn payload(host: &Host, list: u64) -> u64 {
    let mut digest = Digest::default();
    for buffer in buffers(host, list) {
        let frame = frame_of(host, buffer);
        let header = headers(&frame).first().map_or(0, |h| h.1);
        digest.bytes(frame.get(header..).unwrap_or_default());
    }
    digest.end()
}

/// What frames of one connection have in common: addresses, type, IP addresses and ports.
pub(crate) fn flow(frame: &[u8]) -> u64 {
    let mut digest = Digest::default();
    let mut part = |from: usize, to: usize| digest.bytes(frame.get(from..to).unwrap_or_default());
    part(0, 14);
    for (from, to) in headers(frame).into_iter().skip(1) {
        match (from, to - from, frame.get(from).map(|b| b >> 4)) {
            (14 | 18 | 22, 20.., Some(4)) => part(from + 12, from + 20),
            (14 | 18 | 22, 40, Some(6)) => part(from + 8, from + 40),
            _ => part(from, from + 4),
        }
    }
    digest.end()
}

/// Bytes of the longest frame of a list.
pub(crate) fn longest(host: &Host, list: u64) -> u32 {
    let lengths = buffers(host, list)
        .into_iter()
        .map(|buffer| host.get(buffer + at!(NET_BUFFER.DataLength), "NET_BUFFER"));
    lengths.max().unwrap_or(0)
}

/// What a list is made of.
#[derive(Default)]
pub(crate) struct Uses {
    /// Lists of the host whose MDLs or data it refers to.
    pub(crate) lists: Vec<u64>,
    /// MDLs of the driver.
    pub(crate) mdls: Vec<u64>,
    /// What it refers to and must not.
    pub(crate) strays: Vec<String>,
}

/// Looks up every NET_BUFFER, MDL and buffer of a list.
pub(crate) fn uses(host: &Host, list: u64) -> Uses {
    let mut mdls = Vec::new();
    let nbs = buffers(host, list);
    for &buffer in &nbs {
        let mut mdl: u64 = host.get(buffer + at!(NET_BUFFER.MdlChain), "NET_BUFFER");
        while mdl != 0 && mdls.len() < HOPS {
            let m: MDL = host.get(mdl, "MDL");
            mdls.push((mdl, m.MappedSystemVa as u64, m.ByteCount));
            mdl = m.Next as u64;
        }
    }
    let mut uses = Uses::default();
    let mut blocks = Vec::new();
    {
        let heap = host.heap();
        for &buffer in &nbs {
            let made = heap
                .find(buffer)
                .is_some_and(|a| a.by == "host list" || a.by.starts_with("NdisAllocate"));
            if !made {
                uses.strays
                    .push(format!("a NET_BUFFER at {buffer:#x} that is of no pool"));
            }
        }
        for &(mdl, address, count) in &mdls {
            match heap.find(mdl) {
                Some(a) if a.by == "host list" => blocks.push(a.address),
                Some(a) if a.by == "NdisAllocateMdl" => uses.mdls.push(mdl),
                Some(_) => {}
                None => uses
                    .strays
                    .push(format!("an MDL at {mdl:#x} that is of no pool")),
            }
            if count == 0 {
                continue;
            }
            match heap.find(address) {
                Some(a) if a.by.starts_with("host ") => blocks.push(a.address),
                Some(a) if address + u64::from(count) <= a.address + a.len => {}
                Some(_) | None => uses.strays.push(format!(
                    "{count} bytes at {address:#x} that are no allocation"
                )),
            }
        }
    }
    blocks.sort_unstable();
    blocks.dedup();
    host.ndis(|n| {
        for block in blocks {
            let of = n.ledger.parts.get(&block).copied().unwrap_or(block);
            if of != list && !uses.lists.contains(&of) {
                uses.lists.push(of);
            }
        }
    });
    uses
}

/// Bytes that a MAC header with a tag of its own takes.
fn mac_header(frame: &[u8]) -> usize {
    match frame.get(12..14) {
        Some([0x81, 0x00] | [0x88, 0xA8]) => 18,
        _ => 14,
    }
}

/// Where the MDL boundaries lie in the data of a NET_BUFFER.
fn cuts(host: &Host, nb: &NET_BUFFER) -> Vec<usize> {
    let mut left = nb.DataLength as usize;
    let mut skip = nb.CurrentMdlOffset as usize;
    let mut mdl = nb.CurrentMdl as u64;
    let mut at = 0;
    let mut all = Vec::new();
    while mdl != 0 && left > 0 && all.len() < HOPS {
        let m: MDL = host.get(mdl, "MDL");
        let here = (m.ByteCount as usize).saturating_sub(skip).min(left);
        at += here;
        left -= here;
        skip = 0;
        if here > 0 && left > 0 {
            all.push(at);
        }
        mdl = m.Next as u64;
    }
    all
}

/// Headers of a frame that may not be split: each from where to where.
fn headers(frame: &[u8]) -> Vec<(usize, usize)> {
    let word = |at: usize| {
        frame
            .get(at..at + 2)
            .map(|b| u16::from_be_bytes([b[0], b[1]]))
    };
    let mut at = 14;
    let mut kind = word(12);
    while matches!(kind, Some(0x8100 | 0x88A8)) {
        kind = word(at + 2);
        at += 4;
    }
    let mut all = vec![(0, at)];
    let mut next = match kind {
        Some(0x0800) => {
            let length = frame.get(at).map_or(0, |b| usize::from(b & 15) * 4);
            if length < 20 {
                return all;
            }
            all.push((at, at + length));
            let fragment = word(at + 6).unwrap_or(0) & 0x1FFF;
            let protocol = frame.get(at + 9).copied();
            at += length;
            if fragment != 0 {
                return all;
            }
            protocol
        }
        Some(0x86DD) => {
            all.push((at, at + 40));
            let protocol = frame.get(at + 6).copied();
            at += 40;
            protocol
        }
        _ => return all,
    };
    // Extension headers and IPsec's authentication header.
    while let Some(kind @ (0 | 43 | 44 | 51 | 60)) = next {
        let Some(&[follows, length]) = frame.get(at..at + 2).and_then(|b| b.first_chunk::<2>())
        else {
            return all;
        };
        let length = match kind {
            44 => 8,
            51 => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        all.push((at, at + length));
        if kind == 44 && word(at + 2).unwrap_or(0) & 0xFFF8 != 0 {
            return all;
        }
        at += length;
        next = Some(follows);
    }
    match next {
        Some(6) => {
            let length = frame.get(at + 12).map_or(20, |b| usize::from(b >> 4) * 4);
            all.push((at, at + length.max(20)));
        }
        Some(17) => all.push((at, at + 8)),
        _ => {}
    }
    all
}

impl Host {
    /// The kind of handle that the pool of a list of the driver's was made with.
    fn pool_kind(&self, list: u64) -> Option<Kind> {
        self.ndis(|n| {
            let pool = n.ledger.made.get(&list)?.pool;
            n.pools.get(&pool)?.kind
        })
    }

    /// Whether the driver made this list, or changed its NET_BUFFERs or MDLs.
    fn is_rebuilt(&self, list: u64, record: &Record) -> bool {
        match record.path {
            Path::Own => {
                let born = self.ndis(|n| n.ledger.made.get(&list).map(|m| (m.clone, m.layout)));
                // A clone that is as it was made is split where the original is.
                !matches!(born, Some((Some(_), born)) if born == layout(self, list))
            }
            Path::Send { .. } | Path::Receive { .. } => layout(self, list) != record.layout,
        }
    }

    /// Reports memory that is not the driver's to use: NBL-1, SND-3, RCV-3.
    fn check_uses(&self, list: u64, uses: &Uses, up: bool, lent: bool) {
        for stray in &uses.strays {
            self.violate("NBL-1", format!("list {list:#x} has {stray}"));
        }
        for &of in &uses.lists {
            let r = self.ndis(|n| n.ledger.lists.get(&of).cloned());
            match r {
                None => self.violate(
                    if up { "RCV-3" } else { "SND-3" },
                    format!("list {list:#x} uses memory of list {of:#x}, which went back before"),
                ),
                Some(r) if r.owner != Owner::Driver => self.violate(
                    if up { "RCV-11" } else { "SND-3" },
                    format!(
                        "list {list:#x} uses memory of list {of:#x}, which {:?} has",
                        r.owner
                    ),
                ),
                Some(r) if up && !lent && matches!(r.path, Path::Receive { lent: true, .. }) => {
                    self.violate(
                        "RCV-3",
                        format!("list {list:#x} goes up without RESOURCES over list {of:#x}, which was lent"),
                    );
                }
                Some(_) => {}
            }
        }
    }

    /// Checks a list that goes down. The driver still has it.
    pub(crate) fn check_sent(&self, list: u64, nic: usize) {
        let Some(record) = self.ndis(|n| n.ledger.lists.get(&list).cloned()) else {
            return;
        };
        if record.owner != Owner::Driver {
            return;
        }
        let mut sources = vec![list];
        self.check_cancel_id(list, &record);
        self.check_tasks(list, nic, &record);
        if record.path == Path::Own {
            let uses = uses(self, list);
            self.check_uses(list, &uses, false, false);
            if matches!(
                self.pool_kind(list),
                Some(Kind::Miniport | Kind::MiniportDriver)
            ) {
                self.violate(
                    "NBL-3",
                    format!("list {list:#x} of a pool made with a miniport handle is sent"),
                );
            }
            self.check_child(list, &uses);
            sources = uses.lists;
        }
        if self.is_rebuilt(list, &record) {
            self.check_ethernet(list);
            if !self.any_hostile(&sources) && !self.any_too_long(&sources) {
                self.check_length(list, nic);
            }
        }
    }

    /// SND-14: the id that a protocol set is kept, and one of the driver's own has the high
    /// byte that NDIS gave it.
    fn check_cancel_id(&self, list: u64, record: &Record) {
        let id: u64 = self.get(info(list, NetBufferListCancelId), "cancel id");
        match record.path {
            Path::Send { .. } if id != record.rest.cancel => self.violate(
                "SND-14",
                format!(
                    "list {list:#x} came with cancel id {}, goes down with {id}",
                    record.rest.cancel
                ),
            ),
            Path::Own if id != 0 => {
                let parent: u64 = self.get(
                    list + at!(NET_BUFFER_LIST.ParentNetBufferList),
                    "NET_BUFFER_LIST",
                );
                let made = self.ndis(|n| n.ledger.partial_ids.contains(&((id >> 56) as u8)));
                if parent == 0 && !made {
                    self.violate(
                        "SND-14",
                        format!("list {list:#x} of the driver has cancel id {id:#x}, whose high byte is not of NdisGeneratePartialCancelId"),
                    );
                }
            }
            Path::Send { .. } | Path::Receive { .. } | Path::Own => {}
        }
    }

    /// SND-5: lists of one connection leave in the order in which they came.
    pub(crate) fn check_order(&self, list: u64, binding: u64) {
        let parent: u64 = self.get(
            list + at!(NET_BUFFER_LIST.ParentNetBufferList),
            "NET_BUFFER_LIST",
        );
        let overtaken = self.ndis(|n| {
            let own = n.ledger.lists.get(&list)?;
            let source = if own.path == Path::Own {
                n.ledger.lists.get(&parent)?
            } else {
                own
            };
            let (order, flow) = (source.order, source.flow);
            let Path::Send { upper, .. } = source.path else {
                return None;
            };
            if n.uppers[upper].edge.is_some() {
                // Its own threads may race each other.
                return None;
            }
            let last = n.ledger.sent.entry((binding, upper, flow)).or_default();
            let before = *last;
            *last = before.max(order);
            (order < before).then_some((order, before))
        });
        if let Some((order, before)) = overtaken {
            self.violate(
                "SND-5",
                format!("list {list:#x}, number {order} of what was sent, goes down after number {before} of the same connection"),
            );
        }
    }

    /// SND-18: what was sent on a miniport does not come up on it by the driver's doing.
    fn check_loop(&self, list: u64, miniport: u64, record: &Record, uses: &[u64]) {
        let sent_here = |n: &crate::ndis::Ndis, of: u64| {
            let r = n.ledger.lists.get(&of);
            r.is_some_and(|r| matches!(r.path, Path::Send { miniport: m, .. } if m == miniport))
        };
        let of = match record.path {
            Path::Send { miniport: m, .. } => (m == miniport).then_some(list),
            Path::Receive { .. } => None,
            Path::Own => self.ndis(|n| uses.iter().copied().find(|&of| sent_here(n, of))),
        };
        let copied = || {
            // A copy of a received frame says so (RCV-10).
            let of_received = self
                .ndis(|n| n.ledger.made.get(&list)?.receive_info)
                .is_some();
            if record.path != Path::Own || of_received {
                return None;
            }
            let bytes = bytes(self, list);
            self.ndis(|n| {
                let mut all = n.ledger.lists.iter();
                all.find(|(_, r)| {
                    r.bytes == Some(bytes)
                        && matches!(r.path, Path::Send { miniport: m, .. } if m == miniport)
                })
                .map(|(&of, _)| of)
            })
        };
        if let Some(of) = of.or_else(copied) {
            self.violate(
                "SND-18",
                format!(
                    "list {list:#x} loops back {of:#x}, which was sent on the same virtual miniport"
                ),
            );
        }
    }

    /// SND-10, SND-11, SND-14: a list over what a protocol above sent.
    fn check_child(&self, list: u64, uses: &Uses) {
        let parent: u64 = self.get(
            list + at!(NET_BUFFER_LIST.ParentNetBufferList),
            "NET_BUFFER_LIST",
        );
        let sent = |of: u64| {
            self.ndis(|n| {
                n.ledger
                    .lists
                    .get(&of)
                    .is_some_and(|r| matches!(r.path, Path::Send { .. }))
            })
        };
        for &of in uses.lists.iter().filter(|&&of| sent(of)) {
            if of != parent && !self.ndis(|n| n.ledger.stems(parent, of)) {
                self.violate(
                    "SND-11",
                    format!("list {list:#x} over the data of {of:#x} goes down, its ParentNetBufferList is {parent:#x}"),
                );
            }
        }
        if parent == 0 || !sent(parent) {
            return;
        }
        let children: i32 = self.get(
            parent + at!(NET_BUFFER_LIST.ChildRefCount),
            "ParentNetBufferList",
        );
        if children < 1 {
            self.violate(
                "SND-11",
                format!(
                    "list {list:#x} goes down, its parent {parent:#x} counts {children} children"
                ),
            );
        }
        let copied = self.ndis(|n| n.ledger.made.get(&list).and_then(|m| m.send_info));
        if copied != Some(parent) {
            self.violate(
                "SND-10",
                format!("list {list:#x} goes down without NdisCopySendNetBufferListInfo"),
            );
        }
        let id = |of: u64| -> u64 { self.get(info(of, NetBufferListCancelId), "cancel id") };
        if id(list) != id(parent) {
            self.violate(
                "SND-14",
                format!("list {list:#x} goes down without the cancel id of its parent"),
            );
        }
    }

    /// Whether a protocol sent more than its miniport takes.
    fn any_too_long(&self, lists: &[u64]) -> bool {
        self.ndis(|n| {
            lists.iter().any(|of| {
                let r = n.ledger.lists.get(of);
                r.is_some_and(|r| match r.path {
                    Path::Send { miniport, .. } => {
                        let m = n.miniports.get(&miniport);
                        m.is_none_or(|m| r.longest > m.facts.mtu + 14)
                    }
                    Path::Receive { .. } | Path::Own => false,
                })
            })
        })
    }

    /// What the driver makes longer is no longer than the adapter takes: MTU and MAC header.
    fn check_length(&self, list: u64, nic: usize) {
        let most = self.ndis(|n| n.nics[nic].config.mtu) + 14;
        let segmented = [TcpLargeSendNetBufferListInfo, UdpSegmentationOffloadInfo]
            .iter()
            .any(|&entry| self.get::<u64>(info(list, entry), "large send") != 0);
        let length = longest(self, list);
        if length > most && !segmented {
            self.violate(
                "HOST-LENGTH",
                format!("list {list:#x} goes down with {length} bytes, the adapter takes {most}"),
            );
        }
    }

    /// SND-17: the MAC header lies in one MDL, and is that of the whole list.
    fn check_ethernet(&self, list: u64) {
        let mut first: Option<([u8; 14], u64)> = None;
        for buffer in buffers(self, list) {
            let nb: NET_BUFFER = self.get(buffer, "NET_BUFFER");
            let frame = frame_of(self, buffer);
            if frame.len() < nb.DataLength as usize {
                self.violate(
                    "SND-17",
                    format!(
                        "list {list:#x} describes {} bytes, its MDLs hold {}",
                        nb.DataLength,
                        frame.len()
                    ),
                );
            }
            let header = mac_header(&frame).min(frame.len());
            if cuts(self, &nb).first().is_some_and(|&cut| cut < header) {
                self.violate(
                    "SND-17",
                    format!("the MAC header of list {list:#x} is split over MDLs"),
                );
            }
            if let Some(&mac) = frame.first_chunk::<14>() {
                let this = (mac, flow(&frame));
                if first.is_some_and(|first| first != this) {
                    self.violate(
                        "SND-17",
                        format!("the NET_BUFFERs of list {list:#x} differ in addresses, type or connection"),
                    );
                }
                first = Some(this);
            }
        }
    }

    /// Checks a list that goes up. The driver still has it.
    pub(crate) fn check_indicated(&self, list: u64, miniport: u64, lent: bool) {
        let Some(record) = self.ndis(|n| n.ledger.lists.get(&list).cloned()) else {
            return;
        };
        if record.owner != Owner::Driver {
            return;
        }
        let mut sources = vec![list];
        if record.path == Path::Own {
            let uses = uses(self, list);
            self.check_uses(list, &uses, true, lent);
            if matches!(
                self.pool_kind(list),
                Some(Kind::ProtocolDriver | Kind::Binding)
            ) {
                self.violate(
                    "NBL-3",
                    format!("list {list:#x} of a pool made with a protocol handle goes up"),
                );
            }
            let received: Vec<u64> = self.ndis(|n| {
                let is = |of: &&u64| {
                    let r = n.ledger.lists.get(of);
                    r.is_some_and(|r| matches!(r.path, Path::Receive { .. }))
                };
                uses.lists.iter().filter(is).copied().collect()
            });
            let copied = self.ndis(|n| n.ledger.made.get(&list).and_then(|m| m.receive_info));
            let stems = |from: u64| {
                let made_of = |&of: &u64| self.ndis(|n| n.ledger.stems(from, of));
                received.contains(&from) || received.iter().any(made_of)
            };
            if !received.is_empty() && copied.is_none_or(|from| !stems(from)) {
                self.violate(
                    "RCV-10",
                    format!("list {list:#x} goes up without NdisCopyReceiveNetBufferListInfo"),
                );
            }
            sources = uses.lists;
        }
        self.check_beside(list, &record);
        self.check_loop(list, miniport, &record, &sources);
        if self.is_rebuilt(list, &record) && !self.any_hostile(&sources) {
            self.check_split(list, miniport);
        }
    }

    /// Whether a list came from an adapter that splits frames where no sound one does.
    fn any_hostile(&self, lists: &[u64]) -> bool {
        self.ndis(|n| {
            lists.iter().any(|of| {
                n.ledger.lists.get(of).is_some_and(|r| match r.path {
                    Path::Receive { nic, .. } => n.nics[nic].config.splits_anywhere(),
                    Path::Send { upper, .. } => n.uppers[upper].config.rough,
                    Path::Own => false,
                })
            })
        })
    }

    /// RCV-13: no header is split, unless the first MDL holds as much as the lookahead size.
    fn check_split(&self, list: u64, miniport: u64) {
        let lookahead = self.ndis(|n| n.miniports.get(&miniport).map_or(0, |m| m.facts.lookahead));
        for buffer in buffers(self, list) {
            let nb: NET_BUFFER = self.get(buffer, "NET_BUFFER");
            let cuts = cuts(self, &nb);
            if cuts
                .first()
                .is_none_or(|&first| first >= lookahead as usize)
            {
                continue;
            }
            let frame = frame_of(self, buffer);
            let split = headers(&frame)
                .into_iter()
                .find_map(|(from, to)| cuts.iter().find(|&&cut| from < cut && cut < to).copied());
            if let Some(cut) = split {
                self.violate(
                    "RCV-13",
                    format!("list {list:#x} goes up with a header split over MDLs at byte {cut}"),
                );
            }
        }
    }

    /// RCV-12: what the flags of an indication say is true of the chain.
    pub(crate) fn check_flags(&self, lists: &[u64], frames: &[Vec<u8>], flags: u32) {
        if flags & NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID != 0 {
            let without = lists.iter().find(|&&list| {
                let shared = |buffer: u64| -> u64 {
                    self.get(buffer + at!(NET_BUFFER.ScatterGatherList), "NET_BUFFER")
                };
                buffers(self, list).into_iter().any(|b| shared(b) == 0)
            });
            if let Some(list) = without {
                self.violate(
                    "RCV-12",
                    format!("SHARED_MEMORY_INFO_VALID is set, list {list:#x} has none"),
                );
            }
        }
        if flags & NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE != 0 {
            let kind = |f: &Vec<u8>| f.get(12..14).map(<[u8]>::to_vec);
            if frames
                .windows(2)
                .any(|pair| kind(&pair[0]) != kind(&pair[1]))
            {
                self.violate(
                    "RCV-12",
                    "SINGLE_ETHER_TYPE is set on a chain with several".into(),
                );
            }
        }
        if flags & NDIS_RECEIVE_FLAGS_SINGLE_VLAN != 0 {
            let vlans: Vec<u16> = lists
                .iter()
                .zip(frames)
                .map(|(&list, frame)| {
                    let out_of_band: u64 =
                        self.get(info(list, Ieee8021QNetBufferListInfo), "8021Q");
                    match tag::Tag::from_info(out_of_band).vlan {
                        0 => tag::in_band(frame).map_or(0, |t| t.vlan),
                        vlan => vlan,
                    }
                })
                .collect();
            if vlans.windows(2).any(|pair| pair[0] != pair[1]) {
                self.violate(
                    "RCV-12",
                    "SINGLE_VLAN is set on a chain with several".into(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_tagged_tcp_segment_are_found() {
        let mut frame = vec![0_u8; 14 + 4 + 20 + 32 + 10];
        frame[12..14].copy_from_slice(&[0x81, 0]);
        frame[16..18].copy_from_slice(&[8, 0]);
        frame[18] = 0x45;
        frame[18 + 9] = 6;
        frame[38 + 12] = 8 << 4;
        assert_eq!(headers(&frame), [(0, 18), (18, 38), (38, 70)]);
        // A later fragment has no header of the layer above.
        frame[18 + 7] = 1;
        assert_eq!(headers(&frame), [(0, 18), (18, 38)]);
    }

    #[test]
    fn extension_headers_count() {
        let mut frame = vec![0_u8; 14 + 40 + 16 + 8];
        frame[12..14].copy_from_slice(&[0x86, 0xDD]);
        frame[14 + 6] = 0;
        frame[54] = 17;
        frame[55] = 1;
        assert_eq!(headers(&frame), [(0, 14), (14, 54), (54, 70), (70, 78)]);
        assert_eq!(headers(&frame[..55]), [(0, 14), (14, 54)]);
    }

    #[test]
    fn a_connection_is_a_flow() {
        let mut frame = vec![0_u8; 14 + 20 + 8 + 10];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14] = 0x45;
        frame[14 + 9] = 17;
        let before = flow(&frame);
        // Identification and payload are no part of it, addresses and ports are.
        for (at, same) in [
            (14 + 4, true),
            (50, true),
            (3, false),
            (14 + 15, false),
            (36, false),
        ] {
            let mut other = frame.clone();
            other[at] ^= 1;
            assert_eq!(flow(&other) == before, same, "byte {at}");
        }
    }

    #[test]
    fn a_changed_byte_changes_the_digest() {
        let frame: Vec<u8> = (0..61).collect();
        let mix = |bytes: &[u8]| {
            let mut digest = Digest::default();
            digest.bytes(bytes);
            digest.end()
        };
        let before = mix(&frame);
        for at in 0..frame.len() {
            let mut other = frame.clone();
            other[at] ^= 1;
            assert_ne!(mix(&other), before, "byte {at}");
        }
    }
}

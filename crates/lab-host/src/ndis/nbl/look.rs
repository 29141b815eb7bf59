//! What can be seen of a list from outside: digests of its shape, its bytes and what lies beside
//! them, whose memory it uses, where the headers of its frame end.

use ndis_sys::{
    Ieee8021QNetBufferListInfo, MDL, NBL_FLAGS_SCRATCH, NDIS_NET_BUFFER_LIST_INFO, NET_BUFFER,
    NET_BUFFER_LIST, NetBufferListCancelId, NetBufferListHashInfo, NetBufferListHashValue,
    TcpLargeSendNetBufferListInfo, TcpRecvSegCoalesceInfo,
};

use crate::host::Host;
use crate::ndis::list::{address, at, buffers, frame_of};

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
            digest.word(address(&m));
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
    /// The flow that the first belongs to; of a list without a frame, 0.
    pub(crate) flow: u64,
}

/// Looks at the frames of a list.
pub(crate) fn glance(host: &Host, list: u64) -> Glance {
    let mut digest = Digest::default();
    let mut glance = Glance::default();
    let mut first = true;
    for buffer in buffers(host, list) {
        let frame = frame_of(host, buffer);
        digest.bytes(&frame);
        // An empty buffer is no frame.
        if first && !frame.is_empty() {
            glance.flow = flow(&frame);
            first = false;
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
            mdls.push((mdl, address(&m), m.ByteCount));
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
pub(super) fn mac_header(frame: &[u8]) -> usize {
    match frame.get(12..14) {
        Some([0x81, 0x00] | [0x88, 0xA8]) => 18,
        _ => 14,
    }
}

/// Where the MDL boundaries lie in the data of a NET_BUFFER.
pub(super) fn cuts(host: &Host, nb: &NET_BUFFER) -> Vec<usize> {
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
pub(crate) fn headers(frame: &[u8]) -> Vec<(usize, usize)> {
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

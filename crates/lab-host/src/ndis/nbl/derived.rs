//! Clones, and out-of-band information from one list to another.

use ndis_sys::{
    IPsecOffloadV1NetBufferListInfo, IPsecOffloadV2HeaderNetBufferListInfo,
    IPsecOffloadV2TunnelNetBufferListInfo, Ieee8021QNetBufferListInfo, MDL,
    MediaSpecificInformation, NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS, NDIS_NET_BUFFER_LIST_INFO,
    NET_BUFFER, NET_BUFFER_LIST, NetBufferListCancelId, NetBufferListFilteringInfo,
    NetBufferListFrameType, NetBufferListHashInfo, NetBufferListHashValue, NetBufferListProtocolId,
    TcpIpChecksumNetBufferListInfo, TcpLargeSendNetBufferListInfo, TcpReceiveNoPush,
    VirtualSubnetInfo,
};

use super::pool::{enter, leave, put_buffer, put_mdl, unmap_partial};
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;
use crate::ndis::list::{BUFFER, LIST, MDL_SIZE, address, at, buffers, is_mapped};

const TAG: u32 = u32::from_le_bytes(*b"HCln");
const CLONE: &str = "NdisAllocateCloneNetBufferList";

/// What `NdisCopySendNetBufferListInfo` copies.
pub(crate) const SEND: [NDIS_NET_BUFFER_LIST_INFO; 11] = [
    TcpIpChecksumNetBufferListInfo,
    IPsecOffloadV1NetBufferListInfo,
    TcpLargeSendNetBufferListInfo,
    Ieee8021QNetBufferListInfo,
    MediaSpecificInformation,
    NetBufferListCancelId,
    NetBufferListProtocolId,
    IPsecOffloadV2TunnelNetBufferListInfo,
    IPsecOffloadV2HeaderNetBufferListInfo,
    VirtualSubnetInfo,
    NetBufferListFilteringInfo,
];

/// What `NdisCopyReceiveNetBufferListInfo` copies.
const RECEIVE: [NDIS_NET_BUFFER_LIST_INFO; 12] = [
    TcpIpChecksumNetBufferListInfo,
    IPsecOffloadV1NetBufferListInfo,
    TcpReceiveNoPush,
    Ieee8021QNetBufferListInfo,
    MediaSpecificInformation,
    NetBufferListFrameType,
    NetBufferListHashValue,
    NetBufferListHashInfo,
    IPsecOffloadV2TunnelNetBufferListInfo,
    IPsecOffloadV2HeaderNetBufferListInfo,
    VirtualSubnetInfo,
    NetBufferListFilteringInfo,
];

/// Address of an out-of-band entry.
pub(crate) const fn info(list: u64, entry: NDIS_NET_BUFFER_LIST_INFO) -> u64 {
    list + at!(NET_BUFFER_LIST.NetBufferListInfo) + 8 * entry.0 as u64
}

fn copy(host: &Host, by: &str, to: u64, from: u64, entries: &[NDIS_NET_BUFFER_LIST_INFO]) {
    host.must_own(by, to);
    host.must_own(by, from);
    for &entry in entries {
        let value: u64 = host.get(info(from, entry), "SrcNetBufferList");
        host.put(info(to, entry), value, "DestNetBufferList");
    }
}

/// A piece of a frame, in an MDL.
struct Piece {
    address: u64,
    length: u32,
    mapped: bool,
}

/// The MDLs that hold the data of a NET_BUFFER.
fn pieces(host: &Host, nb: &NET_BUFFER) -> Vec<Piece> {
    let mut left = nb.DataLength;
    let mut skip = nb.CurrentMdlOffset;
    let mut mdl = nb.CurrentMdl as u64;
    let mut all = Vec::new();
    while mdl != 0 && all.len() < 4096 {
        let m: MDL = host.get(mdl, "MDL");
        let here = m.ByteCount.saturating_sub(skip).min(left);
        all.push(Piece {
            address: address(&m) + u64::from(skip),
            length: here,
            mapped: is_mapped(&m),
        });
        left -= here;
        skip = 0;
        if left == 0 {
            break;
        }
        mdl = m.Next as u64;
    }
    all
}

fn clone(host: &Host, original: u64, pool: u64, flags: u32) -> Option<u64> {
    let same = flags & NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS != 0;
    let sources: Vec<NET_BUFFER> = buffers(host, original)
        .into_iter()
        .map(|b| host.get(b, "NET_BUFFER"))
        .collect();
    let plans: Vec<Vec<Piece>> = sources
        .iter()
        .map(|nb| if same { Vec::new() } else { pieces(host, nb) })
        .collect();
    let mdls: u64 = plans.iter().map(|p| p.len() as u64).sum();
    let size = LIST + BUFFER * sources.len() as u64 + MDL_SIZE * mdls;
    let taken = host.heap().allocate(&host.arena, size, TAG, CLONE, true);
    let list = taken?;
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut l: NET_BUFFER_LIST = unsafe { std::mem::zeroed() };
    let first = list + LIST;
    if !sources.is_empty() {
        l.FirstNetBuffer = first as *mut _;
    }
    l.NdisPoolHandle = pool as *mut _;
    host.put(list, l, "clone");
    let mut mdl = first + BUFFER * sources.len() as u64;
    for (i, (nb, plan)) in sources.iter().zip(&plans).enumerate() {
        let at = first + BUFFER * i as u64;
        if same {
            // The clone begins where the original's data begins.
            let chain = nb.CurrentMdl as u64;
            put_buffer(host, at, pool, chain, nb.CurrentMdlOffset, nb.DataLength);
        } else {
            let chain = if plan.is_empty() { 0 } else { mdl };
            for (j, piece) in plan.iter().enumerate() {
                let next = if j + 1 < plan.len() {
                    mdl + MDL_SIZE
                } else {
                    0
                };
                put_mdl(host, mdl, piece.address, piece.length, next);
                if !piece.mapped {
                    unmap_partial(host, mdl);
                }
                mdl += MDL_SIZE;
            }
            put_buffer(host, at, pool, chain, 0, nb.DataLength);
        }
        if i + 1 < sources.len() {
            host.put(at + at!(NET_BUFFER.Next), at + BUFFER, "clone");
        }
    }
    enter(host, list, pool, Some(flags), CLONE);
    Some(list)
}

api! { exports:
    /// A list of its own over the data of another.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisAllocateCloneNetBufferList(host, original: u64, pool: u64, buffer_pool: u64, flags: u32) -> u64 {
        host.must_own(CLONE, original);
        if (pool != 0 && !host.check("NetBufferListPoolHandle", pool, Kind::NblPool))
            || (buffer_pool != 0 && !host.check("NetBufferPoolHandle", buffer_pool, Kind::NbPool))
        {
            return 0;
        }
        if flags & !NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS != 0 {
            host.violate("NBL-4", format!("a clone with flags {flags:#x}"));
        }
        if host.fails(CLONE) {
            return 0;
        }
        clone(host, original, pool, flags).unwrap_or(0)
    }

    /// Frees a clone, with the flags it was made with (NBL-4).
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisFreeCloneNetBufferList(host, list: u64, flags: u32) {
        let made = leave(host, list, "NdisFreeCloneNetBufferList");
        match made.clone {
            None => host.fatal("NBL-4", &format!("NdisFreeCloneNetBufferList of {list:#x}, which is no clone")),
            Some(with) if with != flags => host.violate("NBL-4", format!("a clone made with flags {with:#x} is freed with {flags:#x}")),
            Some(_) => {}
        }
        crate::nt::free_pool(host, list, None, "NdisFreeCloneNetBufferList");
    }

    /// Copies the out-of-band information of a list to send.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisCopySendNetBufferListInfo(host, to: u64, from: u64) {
        copy(host, "NdisCopySendNetBufferListInfo", to, from, &SEND);
        host.ndis(|n| if let Some(m) = n.ledger.made.get_mut(&to) { m.send_info = Some(from); });
    }

    /// Copies the out-of-band information of a received list.
    "ndis.sys" 0..=2 "IRQ-5"
    fn NdisCopyReceiveNetBufferListInfo(host, to: u64, from: u64) {
        copy(host, "NdisCopyReceiveNetBufferListInfo", to, from, &RECEIVE);
        host.ndis(|n| if let Some(m) = n.ledger.made.get_mut(&to) { m.receive_info = Some(from); });
    }
}

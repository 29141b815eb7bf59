//! What a NIC does in the stack's place (offloads), and what that obliges a driver to above it:
//! OFF-1 to OFF-5, RSS-1, RSS-2, RSC-1, QOS-1.

use ndis_sys::{
    NDIS_OBJECT_TYPE_OFFLOAD, NDIS_OFFLOAD, NetBufferListHashInfo, NetBufferListHashValue,
    OID_GEN_RECEIVE_SCALE_PARAMETERS, OID_GEN_RECEIVE_SCALE_PARAMETERS_V2, OID_QOS_PARAMETERS,
    TcpIpChecksumNetBufferListInfo, TcpLargeSendNetBufferListInfo, TcpRecvSegCoalesceInfo,
};

use super::ledger::{Path, Record};
use super::nbl::{info, look};
use crate::host::Host;

/// What a NIC does in the stack's place. Its wire carries what it is given, so that the far end
/// has to take frames as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// IP, TCP and UDP checksums, both ways.
    pub checksums: bool,
    /// Largest packet that it segments, 0 for none.
    pub large_send: u32,
    /// Received segments are coalesced: lists say how many they were made of.
    pub coalesce: bool,
}

/// Where the words lie in `NDIS_OFFLOAD` that say what is done: checksums each way and IP
/// version, large sends (largest packet) of both kinds, IPsec, coalescing.
const CLAIMS: [u64; 12] = [8, 16, 24, 32, 40, 52, 56, 84, 96, 112, 116, 144];
/// Of them the largest packets of large sends.
const LARGEST: [u64; 3] = [40, 84, 96];
/// Checksum tasks of a send: TCP, UDP, IP.
const CHECKSUMS: u64 = 0b1_1100;
/// `Type` of a large send: version 2.
const LSO_V2: u64 = 1 << 30;
/// What a received list says that was coalesced: two segments, one duplicate ACK.
pub(crate) const COALESCED: u64 = 0x0001_0002;
/// Hash function (Toeplitz) and type (IPv4) of a received list.
pub(crate) const HASH_INFO: u64 = 0x101;

/// Revisions of `NDIS_OFFLOAD` that a driver of NDIS 6.`minor` may use.
const fn revisions(minor: u8) -> (u8, u8) {
    match minor {
        0 => (1, 1),
        1..30 => (2, 2),
        30..50 => (3, 3),
        50..70 => (4, 4),
        70..83 => (5, 5),
        83..88 => (6, 6),
        _ => (6, 7),
    }
}

/// The words that say what a NIC offers.
fn offers(host: &Host, nic: usize) -> NDIS_OFFLOAD {
    host.ndis(|n| n.nics[nic].config.offload_capabilities())
}

/// A word of a structure.
fn word(offload: &NDIS_OFFLOAD, offset: u64) -> u32 {
    // SAFETY: every offset in `CLAIMS` is a multiple of four within the structure, which is
    // plain data of four-byte alignment.
    unsafe {
        std::ptr::from_ref(offload)
            .cast::<u32>()
            .add((offset / 4) as usize)
            .read()
    }
}

impl Host {
    /// OFF-1, OFF-5: what a miniport says it does. Whether it claims anything.
    pub(crate) fn check_offload(&self, miniport: u64, at: u64, minor: u8) -> bool {
        let header: ndis_sys::NDIS_OBJECT_HEADER = self.get(at, "NDIS_OFFLOAD");
        let (low, high) = revisions(minor);
        if header.Type != NDIS_OBJECT_TYPE_OFFLOAD || !(low..=high).contains(&header.Revision) {
            self.violate(
                "OFF-5",
                format!(
                    "NDIS_OFFLOAD has type {:#x} and revision {}, a driver of NDIS 6.{minor} uses revision {low}",
                    header.Type, header.Revision
                ),
            );
        }
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut claimed: NDIS_OFFLOAD = unsafe { std::mem::zeroed() };
        let length = usize::from(header.Size).min(size_of::<NDIS_OFFLOAD>());
        let bytes = self.get_bytes(at, length, "NDIS_OFFLOAD");
        // SAFETY: as many bytes as the structure has at most, into plain data.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut claimed).cast::<u8>(), length);
        };
        let nics: Vec<usize> = self.ndis(|n| {
            let name = n.miniports.get(&miniport).map(|m| m.name.clone());
            let name = name.unwrap_or_default();
            n.serving(&name).map(|b| n.bindings[&b].nic).collect()
        });
        for nic in nics {
            let there = offers(self, nic);
            for offset in CLAIMS {
                let (ours, theirs) = (word(&claimed, offset), word(&there, offset));
                let more =
                    (ours != 0 && theirs == 0) || (LARGEST.contains(&offset) && ours > theirs);
                if more {
                    self.violate(
                        "OFF-1",
                        format!(
                            "the virtual miniport claims {ours:#x} at byte {offset} of NDIS_OFFLOAD, an adapter below has {theirs:#x}"
                        ),
                    );
                    break;
                }
            }
        }
        CLAIMS.iter().any(|&offset| word(&claimed, offset) != 0)
    }

    /// OFF-1 to OFF-3: what is asked of a NIC with a list.
    pub(crate) fn check_tasks(&self, list: u64, nic: usize, record: &Record) {
        let tasks = self.ndis(|n| n.nics[nic].config.tasks);
        let entry = |entry| self.get::<u64>(info(list, entry), "NetBufferListInfo");
        let checksum = entry(TcpIpChecksumNetBufferListInfo);
        if checksum & CHECKSUMS != 0 && !tasks.checksums {
            self.violate(
                "OFF-1",
                format!("list {list:#x} asks an adapter for checksums that it does not offer"),
            );
        }
        let large = entry(TcpLargeSendNetBufferListInfo);
        if large != 0 {
            let longest = look::longest(self, list).saturating_sub(14);
            if tasks.large_send == 0 {
                self.violate(
                    "OFF-1",
                    format!(
                        "list {list:#x} asks an adapter for a large send that it does not offer"
                    ),
                );
            } else if longest > tasks.large_send {
                self.violate(
                    "OFF-3",
                    format!(
                        "list {list:#x} is a large send of {longest} bytes, the adapter takes {}",
                        tasks.large_send
                    ),
                );
            }
        }
        if let (Path::Send { miniport, .. }, Some(payload)) = (record.path, record.payload)
            && self.ndis(|n| n.miniports.get(&miniport).is_some_and(|m| m.facts.tasks))
            && look::payload(self, list) != payload
        {
            self.violate(
                "OFF-2",
                format!("the data of list {list:#x} are changed by a driver that offers offloads"),
            );
        }
    }

    /// A NIC has segmented what it was asked to: that is said beside the list.
    pub(crate) fn finish_large_send(&self, list: u64) {
        let at = info(list, TcpLargeSendNetBufferListInfo);
        let large: u64 = self.arena.read(at).unwrap_or(0);
        if large != 0 {
            let payload = u64::from(look::longest(self, list)) & (LSO_V2 - 1);
            let done = if large & LSO_V2 != 0 { LSO_V2 } else { payload };
            let _ = self.arena.write(at, done);
        }
    }

    /// OFF-4: a large send that is complete says what was sent.
    pub(crate) fn check_large_send(&self, list: u64, record: &Record) {
        let asked = record.rest.large;
        if asked == 0 || !record.down {
            return;
        }
        let now: u64 = self.get(info(list, TcpLargeSendNetBufferListInfo), "large send");
        let right = if asked & LSO_V2 != 0 {
            now == LSO_V2
        } else {
            now != 0 && now != asked && now & LSO_V2 == 0
        };
        if !right {
            self.violate(
                "OFF-4",
                format!("list {list:#x}, a large send, is completed with {now:#x} beside it"),
            );
        }
    }

    /// What a NIC says beside a received list: the hash, and that it was coalesced.
    pub(crate) fn tell_beside(&self, list: u64, nic: usize) {
        let (rss, coalesce) = self.ndis(|n| {
            let c = &n.nics[nic].config;
            (c.rss, c.tasks.coalesce)
        });
        if rss {
            let flow = look::glance(self, list).flow;
            self.put(
                info(list, NetBufferListHashValue),
                flow & 0xFFFF_FFFF,
                "hash",
            );
            self.put(info(list, NetBufferListHashInfo), HASH_INFO, "hash");
        }
        if coalesce {
            self.put(info(list, TcpRecvSegCoalesceInfo), COALESCED, "RSC");
        }
    }

    /// RSS-1, RSC-1: what the NIC said beside a list goes up with it.
    pub(crate) fn check_beside(&self, list: u64, record: &Record) {
        let source = match record.path {
            Path::Receive { .. } => Some(record.rest),
            Path::Send { .. } => None,
            Path::Own => self.ndis(|n| {
                let from = n.ledger.made.get(&list)?.receive_info?;
                let r = n.ledger.lists.get(&from)?;
                matches!(r.path, Path::Receive { .. }).then_some(r.rest)
            }),
        };
        let Some(source) = source else {
            return;
        };
        let entry = |entry| self.get::<u64>(info(list, entry), "NetBufferListInfo");
        let hash = (entry(NetBufferListHashValue), entry(NetBufferListHashInfo));
        if hash != source.hash {
            self.violate(
                "RSS-1",
                format!(
                    "list {list:#x} goes up with hash {:#x} ({:#x}), the adapter gave {:#x} ({:#x})",
                    hash.0, hash.1, source.hash.0, source.hash.1
                ),
            );
        }
        let coalesced = entry(TcpRecvSegCoalesceInfo);
        if coalesced != source.coalesced {
            self.violate(
                "RSC-1",
                format!(
                    "list {list:#x} goes up with {coalesced:#x} coalesced segments, the adapter gave {:#x}",
                    source.coalesced
                ),
            );
        }
    }

    /// RSS-2, QOS-1: what a miniport has not said it can it does not take.
    pub(crate) fn check_optional(&self, miniport: u64, oid: u32, status: i32, forwarded: bool) {
        let (rss, qos) = self.ndis(|n| {
            let m = n.miniports.get(&miniport);
            m.map_or((true, true), |m| (m.facts.rss, m.facts.qos))
        });
        let scale = oid == OID_GEN_RECEIVE_SCALE_PARAMETERS.0
            || oid == OID_GEN_RECEIVE_SCALE_PARAMETERS_V2.0;
        let taken = status == 0 || forwarded;
        let what = if forwarded { "passed down" } else { "accepted" };
        if scale && !rss && taken {
            self.violate(
                "RSS-2",
                format!("OID {oid:#010x} is {what} by a virtual miniport without RSS"),
            );
        }
        if oid == OID_QOS_PARAMETERS.0 && !qos && taken {
            self.violate(
                "QOS-1",
                format!("OID {oid:#010x} is {what} by a virtual miniport without QoS"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_follows_the_version() {
        let known = [
            (0, 1),
            (1, 2),
            (20, 2),
            (30, 3),
            (50, 4),
            (70, 5),
            (83, 6),
            (87, 6),
        ];
        for (minor, revision) in known {
            assert_eq!(revisions(minor).0, revision, "6.{minor}");
        }
    }

    #[test]
    fn claims_lie_where_the_structure_has_them() {
        use std::mem::offset_of;
        let large = offset_of!(NDIS_OFFLOAD, LsoV1) as u64;
        let second = offset_of!(NDIS_OFFLOAD, LsoV2) as u64;
        assert_eq!(LARGEST, [large + 4, second + 4, second + 16]);
        assert_eq!(CLAIMS[0], offset_of!(NDIS_OFFLOAD, Checksum) as u64 + 4);
        assert_eq!(CLAIMS[11], offset_of!(NDIS_OFFLOAD, Rsc) as u64);
    }
}

//! Reads lists and requests for the trace. Unlike what judges the driver, this never ends a
//! run: what cannot be read is not in the trace.

use ndis_sys::{Ieee8021QNetBufferListInfo, MDL, NDIS_OID_REQUEST, NET_BUFFER, NET_BUFFER_LIST};

use super::Bytes;
use crate::host::Host;
use crate::ndis::list::address;

/// Most lists of a chain, and buffers of a list, that are followed.
const MOST: usize = 65_536;

/// What the trace wants of a list.
pub(super) struct Facts {
    pub(super) next: u64,
    pub(super) parent: u64,
    pub(super) source: u64,
    pub(super) status: i32,
    pub(super) flags: u32,
    pub(super) tag: u32,
    first_buffer: u64,
}

pub(super) fn list(host: &Host, at: u64) -> Option<Facts> {
    let l: NET_BUFFER_LIST = host.arena.read(at).ok()?;
    Some(Facts {
        next: l.Next as u64,
        parent: l.ParentNetBufferList as u64,
        source: l.SourceHandle as u64,
        status: l.Status.0,
        flags: l.NblFlags,
        tag: l.NetBufferListInfo[Ieee8021QNetBufferListInfo.0 as usize] as u64 as u32,
        first_buffer: l.FirstNetBuffer as u64,
    })
}

/// The lists of a chain; one that goes in circles ends somewhere.
pub(super) fn chain(host: &Host, first: u64) -> Vec<(u64, Facts)> {
    let mut all = Vec::new();
    let mut at = first;
    while at != 0 && all.len() < MOST {
        let Some(facts) = list(host, at) else {
            break;
        };
        let next = facts.next;
        all.push((at, facts));
        at = next;
    }
    all
}

pub(super) fn frames(host: &Host, facts: &Facts, snap: u32) -> Vec<Bytes> {
    let mut all = Vec::new();
    let mut at = facts.first_buffer;
    while at != 0 && all.len() < MOST {
        let Ok(buffer) = host.arena.read::<NET_BUFFER>(at) else {
            break;
        };
        all.push(Bytes {
            length: buffer.DataLength,
            bytes: bytes(host, &buffer, snap),
        });
        at = buffer.Next as u64;
    }
    all
}

fn bytes(host: &Host, buffer: &NET_BUFFER, snap: u32) -> Vec<u8> {
    let mut left = buffer.DataLength.min(snap) as usize;
    let mut skip = buffer.CurrentMdlOffset as usize;
    let mut at = buffer.CurrentMdl as u64;
    let mut frame = Vec::new();
    for _ in 0..MOST {
        if left == 0 || at == 0 {
            break;
        }
        let Ok(mdl) = host.arena.read::<MDL>(at) else {
            break;
        };
        let count = mdl.ByteCount as usize;
        if skip < count {
            let take = (count - skip).min(left);
            let start = frame.len();
            frame.resize(start + take, 0);
            let from = address(&mdl) + skip as u64;
            if host.arena.read_bytes(from, &mut frame[start..]).is_err() {
                frame.truncate(start);
                break;
            }
            left -= take;
            skip = 0;
        } else {
            skip -= count;
        }
        at = mdl.Next as u64;
    }
    frame
}

/// Object identifier and type of a request.
pub(super) fn request(host: &Host, at: u64) -> Option<(u32, i32)> {
    let request: NDIS_OID_REQUEST = host.arena.read(at).ok()?;
    // SAFETY: every view of the union begins with the identifier, a plain number.
    let oid = unsafe { request.DATA.QUERY_INFORMATION.Oid };
    Some((oid.0, request.RequestType.0))
}

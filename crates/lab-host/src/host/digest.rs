//! The trace number: a digest of all that passes between host and driver.
//!
//! Taken in are: every crossing with its time, processor, IRQL, name and all arguments or the
//! result; the frames of the lists that a crossing hands over, byte for byte, with the lists'
//! status and flags; the buffers of OID requests; and every stop inside the driver's code. Not
//! taken in is where memory happens to be: addresses count from the arena's beginning.
//!
//! Each word is mixed in by a step that can be undone (exclusive or, multiplication by an odd
//! number, shift and exclusive or). So two runs that differ in one word have different digests,
//! always, not only probably. The digest is the same on every machine.

use std::mem::offset_of;

use ndis_sys::{MDL, NDIS_OID_REQUEST, NET_BUFFER, NET_BUFFER_LIST};

use crate::arena::Arena;
use crate::ndis::list::address;

/// Lists of a chain, buffers of a list and MDLs of a buffer that are followed: chains that
/// go in circles end.
const MOST: usize = 65_536;

#[derive(Clone)]
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0x243F_6A88_85A3_08D3)
    }
}

impl Digest {
    /// Takes in a word.
    #[inline]
    pub(super) fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }

    /// Takes in bytes; how many is taken in too.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.word(u64::from_le_bytes(word.try_into().expect("eight bytes")));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    /// Takes in a value that may be an address.
    #[inline]
    pub(super) fn value(&mut self, arena: &Arena, value: u64) {
        self.word(if arena.contains(value) {
            value - arena.base()
        } else {
            value
        });
    }

    pub(super) const fn finish(&self) -> u64 {
        self.0
    }

    /// Takes in what a crossing hands over besides its arguments.
    pub(super) fn handed_over(&mut self, arena: &Arena, name: &str, args: &[u64]) {
        let Some(&at) = args.get(1) else { return };
        match name {
            "MiniportSendNetBufferLists"
            | "NdisSendNetBufferLists"
            | "ProtocolSendNetBufferListsComplete"
            | "NdisMSendNetBufferListsComplete"
            | "ProtocolReceiveNetBufferLists"
            | "NdisMIndicateReceiveNetBufferLists"
            | "MiniportReturnNetBufferLists"
            | "NdisReturnNetBufferLists" => self.chain(arena, at),
            "MiniportOidRequest"
            | "MiniportDirectOidRequest"
            | "NdisOidRequest"
            | "NdisDirectOidRequest"
            | "NdisMOidRequestComplete"
            | "NdisMDirectOidRequestComplete"
            | "ProtocolOidRequestComplete"
            | "ProtocolDirectOidRequestComplete" => {
                let _ = self.request(arena, at);
            }
            _ => {}
        }
    }

    fn chain(&mut self, arena: &Arena, first: u64) {
        let mut at = first;
        for _ in 0..MOST {
            if at == 0 {
                break;
            }
            let read = |offset: usize| arena.read::<u64>(at + offset as u64);
            let status = arena.read::<i32>(at + offset_of!(NET_BUFFER_LIST, Status) as u64);
            let flags = arena.read::<u32>(at + offset_of!(NET_BUFFER_LIST, Flags) as u64);
            let (Ok(next), Ok(mut buffer), Ok(status), Ok(flags)) = (
                read(offset_of!(NET_BUFFER_LIST, Next)),
                read(offset_of!(NET_BUFFER_LIST, FirstNetBuffer)),
                status,
                flags,
            ) else {
                break;
            };
            self.value(arena, at);
            self.word(u64::from(status as u32) << 32 | u64::from(flags));
            for _ in 0..MOST {
                match self.frame(arena, buffer) {
                    Some(following) => buffer = following,
                    None => break,
                }
            }
            at = next;
        }
    }

    /// Takes in a frame; the next buffer of its list.
    fn frame(&mut self, arena: &Arena, at: u64) -> Option<u64> {
        if at == 0 {
            return None;
        }
        let buffer: NET_BUFFER = arena.read(at).ok()?;
        self.word(u64::from(buffer.DataLength));
        let mut left = u64::from(buffer.DataLength);
        let mut skip = u64::from(buffer.CurrentMdlOffset);
        let mut mdl = buffer.CurrentMdl as u64;
        for _ in 0..MOST {
            if left == 0 || mdl == 0 {
                break;
            }
            let part: MDL = arena.read(mdl).ok()?;
            let count = u64::from(part.ByteCount);
            if skip < count {
                let take = (count - skip).min(left);
                let from = address(&part).wrapping_add(skip);
                self.memory(arena, from, take)?;
                left -= take;
                skip = 0;
            } else {
                skip -= count;
            }
            mdl = part.Next as u64;
        }
        Some(buffer.Next as u64)
    }

    fn request(&mut self, arena: &Arena, at: u64) -> Option<()> {
        let request: NDIS_OID_REQUEST = arena.read(at).ok()?;
        // SAFETY: every view of the union begins with identifier, buffer and its length.
        let query = unsafe { request.DATA.QUERY_INFORMATION };
        self.word(u64::from(request.RequestType.0 as u32) << 32 | u64::from(query.Oid.0));
        let length = u64::from(query.InformationBufferLength).min(1 << 16);
        self.memory(arena, query.InformationBuffer as u64, length)
    }

    fn memory(&mut self, arena: &Arena, from: u64, len: u64) -> Option<()> {
        let at = arena.host(from, len).ok()?;
        // SAFETY: `host` checked the range; no driver code runs on this processor meanwhile,
        // and what it writes elsewhere is what the digest is to show.
        self.bytes(unsafe { std::slice::from_raw_parts(at, len as usize) });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{PAGE, PageState};

    #[test]
    fn one_changed_bit_anywhere_changes_it() {
        let data: Vec<u8> = (0..61_u8).map(|n| n.wrapping_mul(7)).collect();
        let digest = |data: &[u8]| {
            let mut digest = Digest::default();
            digest.word(17);
            digest.bytes(data);
            digest.word(18);
            digest.finish()
        };
        let whole = digest(&data);
        for bit in 0..data.len() * 8 {
            let mut other = data.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(digest(&other), whole, "bit {bit}");
        }
        assert_ne!(digest(&data[..60]), whole);
        assert_ne!(digest(&[&data[..], &[0]].concat()), whole);
    }

    #[test]
    fn every_byte_of_every_frame_of_a_chain_counts() {
        let arena = Arena::new().expect("arena");
        let at = arena.pool();
        arena.set_page_state(at, PAGE, PageState::Live);
        let put = |offset: u64, value: u64| arena.write(at + offset, value).expect("pool");
        // Two lists of one buffer each; the first frame lies in two MDLs.
        let [lists, buffers, mdls, data] = [0, 0x400, 0x800, 0xC00];
        let (list, buffer, mdl) = (0x180, 0x100, 0x40);
        put(lists, at + lists + list);
        for n in 0..2 {
            let base = lists + n * list + offset_of!(NET_BUFFER_LIST, FirstNetBuffer) as u64;
            put(base, at + buffers + n * buffer);
            let nb = buffers + n * buffer;
            put(
                nb + offset_of!(NET_BUFFER, CurrentMdl) as u64,
                at + mdls + 2 * n * mdl,
            );
            put(nb + offset_of!(NET_BUFFER, CurrentMdlOffset) as u64, 3);
            put(nb + offset_of!(NET_BUFFER, DataLength) as u64, 20);
        }
        put(mdls, at + mdls + mdl);
        for n in 0..3 {
            let m = mdls + n * mdl;
            put(m + offset_of!(MDL, StartVa) as u64, at + data + n * 32);
            let count = if n == 0 { 10_u32 } else { 30 };
            arena
                .write(at + m + offset_of!(MDL, ByteCount) as u64, count)
                .expect("pool");
        }
        let digest = || {
            let mut digest = Digest::default();
            digest.handed_over(&arena, "NdisSendNetBufferLists", &[0, at, 0, 0]);
            digest.finish()
        };
        let whole = digest();
        // Bytes 3 to 9 of the first MDL, 0 to 12 of the second; 3 to 22 of the third.
        for (mdl, seen) in [(0, 3..10), (1, 0..13), (2, 3..23)] {
            for byte in 0..30_u64 {
                let place = at + data + mdl * 32 + byte;
                arena.write(place, 0x55_u8).expect("pool");
                assert_eq!(
                    digest() != whole,
                    seen.contains(&byte),
                    "MDL {mdl} byte {byte}"
                );
                arena.write(place, 0_u8).expect("pool");
            }
        }
        assert_eq!(digest(), whole);
        let status = at + lists + list + offset_of!(NET_BUFFER_LIST, Status) as u64;
        arena.write(status, 1_u32).expect("pool");
        assert_ne!(digest(), whole, "the second list's status");
    }
}

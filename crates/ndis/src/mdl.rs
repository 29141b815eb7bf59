//! Walking the data of a NET_BUFFER without trusting its lengths.
//!
//! The chain of MDLs, the offset and the length of a NET_BUFFER come from other
//! drivers. The walk yields the pieces that hold the frame and stops at
//! whichever ends first: the length, the chain, or a limit on the number of
//! MDLs, so that a malformed or circular chain ends too.

use core::ptr::NonNull;
use ndis_sys::{
    KPROCESSOR_MODE, MDL, MdlMappingNoExecute, MmCached, MmMapLockedPagesSpecifyCache, NET_BUFFER,
    NormalPagePriority, PVOID,
};

/// No frame has this many pieces; a longer chain is cut there.
pub const MAX_PIECES: usize = 1024;

/// A piece of a frame inside one MDL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The MDL.
    pub mdl: NonNull<MDL>,
    /// Where in the MDL the piece starts.
    pub offset: u32,
    /// How long it is; never zero, never past the MDL's byte count.
    pub length: u32,
}

impl Piece {
    /// The mapped address of the piece, if the MDL is mapped already.
    ///
    /// # Safety
    /// The MDL is valid.
    pub unsafe fn mapped(&self) -> Option<NonNull<u8>> {
        // MDL_MAPPED_TO_SYSTEM_VA or MDL_SOURCE_IS_NONPAGED_POOL.
        const MAPPED: i16 = 0x0001 | 0x0004;
        // SAFETY: (SND-3, RCV-7) the MDL belongs to a list that is ours.
        let (flags, va): (i16, PVOID) = unsafe {
            let mdl = self.mdl.as_ptr();
            ((*mdl).MdlFlags, (*mdl).MappedSystemVa)
        };
        if flags & MAPPED == 0 {
            return None;
        }
        NonNull::new(va.cast::<u8>().wrapping_add(self.offset as usize))
    }
}

impl Piece {
    /// The address of the piece; an MDL without one is mapped. `None` if that
    /// cannot be done. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Safety
    /// The MDL is valid, and its pages are locked or nonpaged.
    pub unsafe fn address(&self) -> Option<NonNull<u8>> {
        // SAFETY: (SND-3, RCV-7) the caller's promise.
        if let Some(mapped) = unsafe { self.mapped() } {
            return Some(mapped);
        }
        // SAFETY: (SND-3, RCV-7) the MDL belongs to a list that is ours; the
        // mapping goes when its owner unlocks the pages.
        let start = unsafe {
            MmMapLockedPagesSpecifyCache(
                self.mdl.as_ptr(),
                KPROCESSOR_MODE::from(0), // KernelMode
                MmCached,
                core::ptr::null_mut(),
                0,
                NormalPagePriority.0 as u32 | MdlMappingNoExecute,
            )
        };
        NonNull::new(start.cast::<u8>().wrapping_add(self.offset as usize))
            .filter(|_| !start.is_null())
    }
}

/// The pieces of a frame in order.
#[derive(Clone, Debug)]
pub struct Pieces {
    mdl: *mut MDL,
    offset: u32,
    left: u32,
    budget: usize,
}

impl Pieces {
    /// The frame of a NET_BUFFER.
    ///
    /// # Safety
    /// The NET_BUFFER and its MDLs belong to a list that is ours, for as long
    /// as the iterator lives.
    pub unsafe fn of(buffer: *const NET_BUFFER) -> Self {
        // SAFETY: (SND-3, RCV-7) the caller's promise.
        unsafe {
            Self {
                mdl: (*buffer).CurrentMdl,
                offset: (*buffer).CurrentMdlOffset,
                left: (*buffer).DataLength,
                budget: MAX_PIECES,
            }
        }
    }

    /// Bytes that the NET_BUFFER claims and that were not found so far.
    pub fn missing(&self) -> u32 {
        self.left
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while self.left > 0 && self.budget > 0 {
            let mdl = NonNull::new(self.mdl)?;
            self.budget -= 1;
            // SAFETY: (SND-3, RCV-7) part of a list that is ours.
            let (count, next) = unsafe { ((*mdl.as_ptr()).ByteCount, (*mdl.as_ptr()).Next) };
            let offset = core::mem::take(&mut self.offset);
            self.mdl = next;
            let length = count.saturating_sub(offset).min(self.left);
            if length > 0 {
                self.left -= length;
                return Some(Piece {
                    mdl,
                    offset,
                    length,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;
    use std::vec::Vec;

    fn frame(counts: &[u32], offset: u32, length: u32, circular: bool) -> (NET_BUFFER, Vec<MDL>) {
        let mut mdls: Vec<MDL> = counts
            .iter()
            // SAFETY: (NBL-1 does not apply: nothing leaves the test) zero is a
            // value of every member.
            .map(|_| unsafe { MaybeUninit::zeroed().assume_init() })
            .collect();
        let base = mdls.as_mut_ptr();
        let last = counts.len().saturating_sub(1);
        for (index, (mdl, count)) in mdls.iter_mut().zip(counts).enumerate() {
            mdl.ByteCount = *count;
            if index < last {
                mdl.Next = base.wrapping_add(index + 1);
            } else if circular {
                mdl.Next = base;
            }
        }
        // SAFETY: (NBL-1 does not apply) as above.
        let mut buffer: NET_BUFFER = unsafe { MaybeUninit::zeroed().assume_init() };
        if !counts.is_empty() {
            buffer.CurrentMdl = base;
        }
        buffer.CurrentMdlOffset = offset;
        buffer.DataLength = length;
        (buffer, mdls)
    }

    proptest::proptest! {
        #[test]
        fn pieces_stay_inside(
            counts in proptest::collection::vec(0_u32..100, 0..20),
            offset in 0_u32..300,
            length in 0_u32..2000,
            circular: bool,
        ) {
            let (buffer, mdls) = frame(&counts, offset, length, circular);
            // SAFETY: (SND-3) buffer and MDLs live until the end of the test.
            let mut pieces = unsafe { Pieces::of(&raw const buffer) };
            let mut found = 0;
            for piece in pieces.by_ref() {
                // SAFETY: (SND-3) as above.
                let count = unsafe { piece.mdl.as_ref() }.ByteCount;
                assert!(piece.length > 0 && piece.offset + piece.length <= count);
                found += piece.length;
            }
            assert_eq!(found + pieces.missing(), length);
            drop(mdls);
        }
    }

    #[test]
    fn a_circle_ends() {
        let (buffer, _mdls) = frame(&[0, 0], 0, 10, true);
        // SAFETY: (SND-3) buffer and MDLs live until the end of the test.
        assert_eq!(unsafe { Pieces::of(&raw const buffer) }.count(), 0);
    }
}

//! One list, and the frames in it.

use crate::Result;
use crate::mdl::Pieces;
use crate::status::check;
use core::marker::PhantomData;
use core::ptr::NonNull;
use ndis_sys::{
    Ieee8021QNetBufferListInfo, NDIS_HANDLE, NDIS_HASH_FUNCTION_MASK, NDIS_HASH_TYPE_MASK,
    NDIS_NBL_FLAGS_RECV_READ_ONLY, NDIS_NBL_FLAGS_SEND_READ_ONLY, NDIS_NET_BUFFER_LIST_INFO,
    NDIS_STATUS, NET_BUFFER, NET_BUFFER_LIST, NdisAdvanceNetBufferDataStart,
    NdisRetreatNetBufferDataStart, NetBufferListCancelId, NetBufferListHashInfo,
    NetBufferListHashValue, PVOID, TcpIpChecksumNetBufferListInfo, TcpLargeSendNetBufferListInfo,
    UdpSegmentationOffloadInfo,
};

/// A list of a chain that is ours.
///
/// Exists only as a borrow from its chain.
#[repr(transparent)]
#[derive(Debug)]
pub struct List(pub(super) NonNull<NET_BUFFER_LIST>);

impl List {
    /// The raw pointer, for calls into NDIS while the list is ours.
    pub fn as_ptr(&self) -> *mut NET_BUFFER_LIST {
        self.0.as_ptr()
    }

    /// Who handed the list to us (SND-7, RCV-6).
    pub fn source(&self) -> NDIS_HANDLE {
        // SAFETY: (SND-3, RCV-7) the list is ours while it is borrowed.
        unsafe { (*self.0.as_ptr()).SourceHandle }
    }

    /// Names the next hand-over's source (SND-6, RCV-5), or the former one.
    pub fn set_source(&mut self, source: NDIS_HANDLE) {
        // SAFETY: (SND-3, RCV-7) the list is ours while it is borrowed.
        unsafe { (*self.0.as_ptr()).SourceHandle = source };
    }

    /// The status that a completion carries (SND-4).
    pub fn set_status(&mut self, status: NDIS_STATUS) {
        // SAFETY: (SND-3) the list is ours while it is borrowed.
        unsafe { (*self.0.as_ptr()).Status = status };
    }

    /// The status that a completion from below carries.
    pub fn status(&self) -> NDIS_STATUS {
        // SAFETY: (SND-3) the list is ours while it is borrowed.
        unsafe { (*self.0.as_ptr()).Status }
    }

    /// The id that a later cancel names (SND-13): pointer-sized, null when
    /// unset (appendix B, row 31).
    pub fn cancel_id(&self) -> PVOID {
        // SAFETY: (SND-14) the list is ours while it is borrowed.
        unsafe { self.info(NetBufferListCancelId).read() }
    }

    /// An entry of the out-of-band information.
    pub(super) fn info(&self, entry: NDIS_NET_BUFFER_LIST_INFO) -> *mut PVOID {
        // SAFETY: (SND-9, RCV-10) the array is part of the list and longer than
        // any index that NDIS names.
        unsafe {
            (&raw mut (*self.0.as_ptr()).NetBufferListInfo)
                .cast::<PVOID>()
                .add(entry.0 as usize)
        }
    }

    /// The 802.1Q word beside the frames.
    pub fn beside(&self) -> usize {
        // SAFETY: (SND-3, RCV-7) the list is ours while it is borrowed.
        unsafe { self.info(Ieee8021QNetBufferListInfo).read() }.addr()
    }

    /// Replaces the 802.1Q word.
    pub fn set_beside(&mut self, word: usize) {
        let word = core::ptr::without_provenance_mut(word);
        // SAFETY: (SND-3, RCV-7) the list is ours while it is borrowed.
        unsafe { self.info(Ieee8021QNetBufferListInfo).write(word) };
    }

    /// Whether a list on its way down leaves something for the adapter to finish:
    /// checksums, or segments.
    pub fn asks_for_tasks(&self) -> bool {
        // TcpChecksum, UdpChecksum and IpHeaderChecksum; MSS in the other two.
        const CHECKSUMS: usize = 0b1_1100;
        const MSS: usize = 0xF_FFFF;
        let asks = |entry, bits| {
            // SAFETY: (SND-3) the list is ours while it is borrowed.
            unsafe { self.info(entry).read() }.addr() & bits != 0
        };
        asks(TcpIpChecksumNetBufferListInfo, CHECKSUMS)
            || asks(TcpLargeSendNetBufferListInfo, MSS)
            || asks(UdpSegmentationOffloadInfo, MSS)
    }

    /// Whether the adapter is asked to cut the frames into shorter ones.
    pub fn is_to_be_cut(&self) -> bool {
        [TcpLargeSendNetBufferListInfo, UdpSegmentationOffloadInfo]
            .into_iter()
            // SAFETY: (SND-3) the list is ours while it is borrowed.
            .any(|entry| !unsafe { self.info(entry).read() }.is_null())
    }

    /// The hash of the flow that somebody above or below put beside the list, if one
    /// did.
    pub fn hash(&self) -> Option<Hash> {
        // SAFETY: (SND-9, RCV-10) the list is ours while it is borrowed.
        let info = unsafe { self.info(NetBufferListHashInfo).read() }.addr() as u32;
        if info & NDIS_HASH_FUNCTION_MASK == 0 || info & NDIS_HASH_TYPE_MASK == 0 {
            return None;
        }
        // SAFETY: (SND-9, RCV-10) as above.
        let value = unsafe { self.info(NetBufferListHashValue).read() }.addr() as u32;
        Some(Hash { info, value })
    }

    /// NDIS_NBL_FLAGS_xxx.
    pub fn flags(&self) -> u32 {
        // SAFETY: (SND-3, RCV-7) the list is ours while it is borrowed.
        unsafe { (*self.0.as_ptr()).NblFlags }
    }

    /// Whether the frames may not be changed in place, on either way (RCV-15).
    pub fn is_read_only(&self) -> bool {
        self.flags() & (NDIS_NBL_FLAGS_RECV_READ_ONLY | NDIS_NBL_FLAGS_SEND_READ_ONLY) != 0
    }

    /// The frames, in order.
    pub fn buffers(&mut self) -> Buffers<'_> {
        Buffers {
            // SAFETY: (SND-3, RCV-7) the list is ours while it is borrowed.
            next: unsafe { (*self.0.as_ptr()).FirstNetBuffer },
            list: PhantomData,
        }
    }

    /// The frame, where there is exactly one (RCV-13).
    pub fn sole_buffer(&mut self) -> Option<Buffer<'_>> {
        let mut all = self.buffers();
        let first = all.next()?;
        all.next.is_null().then_some(first)
    }

    /// Number of NET_BUFFERs and the bytes in them. Reads one cache line per
    /// NET_BUFFER.
    pub fn load(&self) -> Load {
        let mut load = Load {
            lists: 1,
            buffers: 0,
            bytes: 0,
        };
        // SAFETY: (SND-3, RCV-7) the list and its buffers are ours.
        let mut buffer: *const NET_BUFFER = unsafe { (*self.0.as_ptr()).FirstNetBuffer };
        while let Some(current) = NonNull::new(buffer.cast_mut()) {
            // SAFETY: (NBL-1) buffers of a list form a null-ended chain.
            let (length, next) = unsafe {
                let current = current.as_ptr();
                ((*current).DataLength, (*current).Next)
            };
            load.buffers += 1;
            load.bytes += u64::from(length);
            buffer = next;
        }
        load
    }
}

/// A hash beside a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash {
    /// Its function and the fields that it is of, as NDIS_HASH_xxx.
    pub info: u32,
    /// The value.
    pub value: u32,
}

/// What goes through a driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// NET_BUFFER_LISTs.
    pub lists: u32,
    /// NET_BUFFERs: frames.
    pub buffers: u32,
    /// Bytes of all frames.
    pub bytes: u64,
}

impl Load {
    /// Adds what one more list carries.
    pub fn add(&mut self, other: Self) {
        self.lists = self.lists.wrapping_add(other.lists);
        self.buffers = self.buffers.wrapping_add(other.buffers);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }
}

/// The frames of a list.
#[derive(Debug)]
pub struct Buffers<'a> {
    next: *mut NET_BUFFER,
    list: PhantomData<&'a mut List>,
}

impl<'a> Iterator for Buffers<'a> {
    type Item = Buffer<'a>;

    fn next(&mut self) -> Option<Buffer<'a>> {
        let current = NonNull::new(self.next)?;
        // SAFETY: (NBL-1) buffers of a list form a null-ended chain.
        self.next = unsafe { (*current.as_ptr()).Next };
        Some(Buffer {
            buffer: current,
            list: PhantomData,
        })
    }
}

/// One frame of a list that is ours.
#[derive(Debug)]
pub struct Buffer<'a> {
    buffer: NonNull<NET_BUFFER>,
    list: PhantomData<&'a mut List>,
}

impl Buffer<'_> {
    /// Bytes in the frame.
    pub fn length(&self) -> u32 {
        // SAFETY: (SND-3, RCV-7) part of a list that is ours.
        unsafe { (*self.buffer.as_ptr()).DataLength }
    }

    /// Says how many bytes are in the frame: not more than its MDLs hold.
    pub(super) fn set_length(&mut self, bytes: u32) {
        // SAFETY: (NBL-4) part of a list that we made.
        unsafe { (*self.buffer.as_ptr()).DataLength = bytes };
    }

    /// Bytes before the frame that nobody uses.
    pub fn room(&self) -> u32 {
        // SAFETY: (SND-3, RCV-7) part of a list that is ours.
        unsafe { (*self.buffer.as_ptr()).DataOffset }
    }

    /// Copies the first bytes, in however many pieces they lie; returns how many
    /// there were. IRQL <= DISPATCH_LEVEL.
    pub fn copy_head<const N: usize>(&self, to: &mut [u8; N]) -> usize {
        let mut done = 0_usize;
        // SAFETY: (SND-3, RCV-7) part of a list that is ours.
        for piece in unsafe { Pieces::of(self.buffer.as_ptr()) } {
            // SAFETY: (SND-3, RCV-7) the MDL belongs to the list.
            let Some(from) = (unsafe { piece.address() }) else {
                break;
            };
            if done == 0 && piece.length as usize >= N {
                // What nearly every frame is like: a copy of known length.
                // SAFETY: (SND-3, RCV-7) mapped and at least as long; `to` is not
                // part of a frame.
                unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from.as_ptr(), N) };
                return N;
            }
            let count = N.saturating_sub(done).min(piece.length as usize);
            // SAFETY: (SND-3, RCV-7) the piece is mapped and at least as long, and
            // `to` has as many bytes from `done` on.
            unsafe { to.as_mut_ptr().add(done).copy_from(from.as_ptr(), count) };
            done = done.wrapping_add(count);
            if done >= N {
                break;
            }
        }
        done
    }

    /// The first bytes, as many as there are of `N`: where they lie if that is one
    /// piece, else copied. IRQL <= DISPATCH_LEVEL.
    pub fn head<'s, const N: usize>(&'s self, room: &'s mut [u8; N]) -> &'s [u8] {
        let wanted = (self.length() as usize).min(N);
        // SAFETY: (SND-3, RCV-7) part of a list that is ours.
        let first = unsafe { Pieces::of(self.buffer.as_ptr()) }.next();
        if let Some(piece) = first
            && piece.length as usize >= wanted
            // SAFETY: (SND-3, RCV-7) the MDL belongs to the list.
            && let Some(start) = unsafe { piece.address() }
        {
            // SAFETY: (SND-3, RCV-7) mapped, at least as long, and only read while
            // the list is borrowed.
            return unsafe { core::slice::from_raw_parts(start.as_ptr(), wanted) };
        }
        let there = self.copy_head(room);
        room.get(..there).unwrap_or_default()
    }

    /// The first `count` bytes, if they lie in one MDL. Not for frames that may
    /// only be read. IRQL <= DISPATCH_LEVEL.
    pub fn front(&mut self, count: usize) -> Option<&mut [u8]> {
        // SAFETY: (SND-3, RCV-7) part of a list that is ours.
        let piece = unsafe { Pieces::of(self.buffer.as_ptr()) }.next()?;
        if (piece.length as usize) < count {
            return None;
        }
        // SAFETY: (SND-3, RCV-7) the MDL belongs to the list.
        let start = unsafe { piece.address() }?;
        // SAFETY: (SND-3, RCV-7) mapped, `count` bytes long at least, and ours
        // alone while the list is.
        Some(unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), count) })
    }

    /// As [`Buffer::front`], for a number that is known.
    pub fn front_chunk<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.front(N)?.first_chunk_mut()
    }

    /// Adds bytes before the frame: unused ones, or NDIS allocates an MDL. To be
    /// undone by an advance (NBL-7). IRQL <= DISPATCH_LEVEL.
    pub fn retreat(&mut self, bytes: u32) -> Result<()> {
        // SAFETY: (NBL-7) part of a list that is ours; without a handler NDIS
        // allocates, and frees at the advance.
        check(unsafe { NdisRetreatNetBufferDataStart(self.buffer.as_ptr(), bytes, 0, None) })
    }

    /// Takes bytes off the front; `free` the MDL that a retreat added (NBL-7).
    /// IRQL <= DISPATCH_LEVEL.
    pub fn advance(&mut self, bytes: u32, free: bool) {
        let bytes = bytes.min(self.length());
        // SAFETY: (NBL-7) part of a list that is ours, and as long.
        unsafe {
            NdisAdvanceNetBufferDataStart(self.buffer.as_ptr(), bytes, u8::from(free), None);
        };
    }
}

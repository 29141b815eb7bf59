//! As much of NDIS as lists need: what the host of the lab does with checks, here
//! in plain memory, so that it runs anywhere, under Miri too.

use ndis::nbl::{Chain, Single};
use ndis::sys::{
    MDL, NDIS_HANDLE, NDIS_STATUS, NDIS_STATUS_SUCCESS, NET_BUFFER, NET_BUFFER_ALLOCATE_MDL,
    NET_BUFFER_FREE_MDL, NET_BUFFER_LIST, NET_BUFFER_LIST_CONTEXT, PVOID,
};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

fn zeroed<V>() -> V {
    // SAFETY: (NBL-1 does not apply: nothing leaves the test) integers and raw
    // pointers, zero is a value of each.
    unsafe { core::mem::MaybeUninit::zeroed().assume_init() }
}

/// An MDL with bytes of its own; `MappedSystemVa` is their address.
fn mdl(bytes: Vec<u8>, next: *mut MDL) -> *mut MDL {
    let mut mdl: MDL = zeroed();
    mdl.MdlFlags = 5;
    mdl.ByteCount = bytes.len() as u32;
    mdl.MappedSystemVa = Box::into_raw(bytes.into_boxed_slice()).cast();
    mdl.Next = next;
    Box::into_raw(Box::new(mdl))
}

/// # Safety
/// Made by [`mdl`], and not used afterwards.
unsafe fn free_mdl(raw: *mut MDL) {
    // SAFETY: (NBL-9) the caller's promise.
    unsafe {
        let mdl = Box::from_raw(raw);
        let bytes: *mut u8 = mdl.MappedSystemVa.cast();
        let length = mdl.ByteCount as usize;
        drop(Box::from_raw(core::ptr::slice_from_raw_parts_mut(
            bytes, length,
        )));
    }
}

/// A list of the test's own, with its frames' memory.
pub(super) struct Owned {
    pub(super) list: *mut NET_BUFFER_LIST,
}

/// A frame: `backfill` unused bytes, then the bytes, in MDLs cut at `cuts`.
pub(super) fn owned(frames: &[Vec<u8>], backfill: usize, cuts: &[usize], flags: u32) -> Owned {
    let mut first: *mut NET_BUFFER = core::ptr::null_mut();
    for frame in frames.iter().rev() {
        let mut all = vec![0xEE; backfill];
        all.extend_from_slice(frame);
        let mut ends: Vec<usize> = cuts
            .iter()
            .map(|cut| (backfill + cut).min(all.len()))
            .collect();
        ends.push(all.len());
        ends.sort_unstable();
        let mut chain: *mut MDL = core::ptr::null_mut();
        for index in (0..ends.len()).rev() {
            let start = if index == 0 { 0 } else { ends[index - 1] };
            chain = mdl(all[start..ends[index]].to_vec(), chain);
        }
        let mut buffer: NET_BUFFER = zeroed();
        buffer.MdlChain = chain;
        buffer.DataOffset = backfill as u32;
        buffer.DataLength = frame.len() as u32;
        buffer.Next = first;
        first = Box::into_raw(Box::new(buffer));
        // SAFETY: (SND-3) made here.
        unsafe { place(first) };
    }
    let mut list: NET_BUFFER_LIST = zeroed();
    list.FirstNetBuffer = first;
    list.NblFlags = flags;
    list.SourceHandle = core::ptr::without_provenance_mut(0x5000);
    Owned {
        list: Box::into_raw(Box::new(list)),
    }
}

/// Sets the current MDL from the offset.
///
/// # Safety
/// A NET_BUFFER of the test.
unsafe fn place(buffer: *mut NET_BUFFER) {
    // SAFETY: (SND-3) the caller's promise.
    unsafe {
        let (mut current, mut skip) = ((*buffer).MdlChain, (*buffer).DataOffset);
        while skip >= (*current).ByteCount && !(*current).Next.is_null() {
            skip -= (*current).ByteCount;
            current = (*current).Next;
        }
        (*buffer).CurrentMdl = current;
        (*buffer).CurrentMdlOffset = skip;
    }
}

impl Owned {
    pub(super) fn single<K>(&self) -> Single<K> {
        // SAFETY: (SND-3) used by nobody else meanwhile.
        let mut chain = unsafe { Chain::adopt(self.list) };
        chain.pop().unwrap()
    }

    /// Everything that must be the same afterwards: lengths, offsets, places of
    /// each frame, and all of its bytes.
    pub(super) fn snapshot(&self) -> Vec<(u32, u32, usize, u32, usize, Vec<u8>)> {
        // SAFETY: (SND-3) the test's own.
        unsafe {
            let mut all = Vec::new();
            let mut next = (*self.list).FirstNetBuffer;
            while !next.is_null() {
                let buffer = &*next;
                all.push((
                    buffer.DataLength,
                    buffer.DataOffset,
                    buffer.CurrentMdl.addr(),
                    buffer.CurrentMdlOffset,
                    buffer.MdlChain.addr(),
                    bytes(next),
                ));
                next = buffer.Next;
            }
            let list = &*self.list;
            all.push((
                list.NblFlags,
                list.ChildRefCount as u32,
                list.SourceHandle.addr(),
                0,
                list.NetBufferListInfo[4].addr(),
                Vec::new(),
            ));
            all
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: (NBL-4) the test's own, made above.
        unsafe {
            let list = Box::from_raw(self.list);
            if !list.Context.is_null() {
                drop(Box::from_raw(list.Context.cast::<Room>()));
            }
            let mut next = list.FirstNetBuffer;
            while !next.is_null() {
                let buffer = Box::from_raw(next);
                next = buffer.Next;
                let mut mdl = buffer.MdlChain;
                while !mdl.is_null() {
                    let after = (*mdl).Next;
                    free_mdl(mdl);
                    mdl = after;
                }
            }
        }
    }
}

/// The bytes of a frame.
///
/// # Safety
/// A NET_BUFFER of the test.
pub(super) unsafe fn bytes(buffer: *const NET_BUFFER) -> Vec<u8> {
    // SAFETY: (SND-3) the caller's promise.
    unsafe {
        let mut left = (*buffer).DataLength as usize;
        let mut skip = (*buffer).CurrentMdlOffset as usize;
        let mut mdl = (*buffer).CurrentMdl;
        let mut all = Vec::new();
        while left > 0 {
            let count = ((*mdl).ByteCount as usize).saturating_sub(skip).min(left);
            let from: *const u8 = (*mdl).MappedSystemVa.cast();
            all.extend_from_slice(core::slice::from_raw_parts(from.add(skip), count));
            left -= count;
            skip = 0;
            mdl = (*mdl).Next;
        }
        all
    }
}

/// The bytes of each frame of a list.
pub(super) fn frames_of(list: &ndis::nbl::List) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    // SAFETY: (SND-3) the test's own.
    unsafe {
        let mut next = (*list.as_ptr()).FirstNetBuffer;
        while !next.is_null() {
            all.push(bytes(next));
            next = (*next).Next;
        }
    }
    all
}

/// Whether the first `count` bytes of each frame with a byte lie in one MDL.
pub(super) fn headers_are_whole(list: &ndis::nbl::List, count: u32) -> bool {
    // SAFETY: (SND-3) the test's own.
    unsafe {
        let mut next = (*list.as_ptr()).FirstNetBuffer;
        while !next.is_null() {
            let buffer = &*next;
            let here = (*buffer.CurrentMdl).ByteCount - buffer.CurrentMdlOffset;
            if buffer.DataLength != 0 && here < count.min(buffer.DataLength) {
                return false;
            }
            next = buffer.Next;
        }
    }
    true
}

/// Context space: header and 64 bytes.
#[repr(C, align(16))]
struct Room {
    header: NET_BUFFER_LIST_CONTEXT,
    data: [u8; 64],
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisAllocateNetBufferListContext(
    list: *mut NET_BUFFER_LIST,
    size: u16,
    _backfill: u16,
    _tag: u32,
) -> NDIS_STATUS {
    // SAFETY: (NBL-5) a list of the test.
    unsafe {
        if (*list).Context.is_null() {
            let mut room: Box<Room> = Box::new(zeroed());
            room.header.Size = 64;
            room.header.Offset = 64;
            (*list).Context = Box::into_raw(room).cast();
        }
        (*(*list).Context).Offset -= size;
    }
    NDIS_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisFreeNetBufferListContext(list: *mut NET_BUFFER_LIST, size: u16) {
    // SAFETY: (NBL-5) a list of the test.
    unsafe { (*(*list).Context).Offset += size };
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisRetreatNetBufferDataStart(
    buffer: *mut NET_BUFFER,
    delta: u32,
    _backfill: u32,
    _handler: Option<NET_BUFFER_ALLOCATE_MDL>,
) -> NDIS_STATUS {
    // SAFETY: (NBL-7) a NET_BUFFER of the test.
    unsafe {
        if (*buffer).DataOffset < delta {
            let lacking = delta - (*buffer).DataOffset;
            (*buffer).MdlChain = mdl(vec![0xDD; lacking as usize], (*buffer).MdlChain);
            (*buffer).DataOffset += lacking;
        }
        (*buffer).DataOffset -= delta;
        (*buffer).DataLength += delta;
        place(buffer);
    }
    NDIS_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisAdvanceNetBufferDataStart(
    buffer: *mut NET_BUFFER,
    delta: u32,
    free: u8,
    _handler: Option<NET_BUFFER_FREE_MDL>,
) {
    // SAFETY: (NBL-7) a NET_BUFFER of the test.
    unsafe {
        assert!(delta <= (*buffer).DataLength);
        (*buffer).DataOffset += delta;
        (*buffer).DataLength -= delta;
        let head = (*buffer).MdlChain;
        if free != 0 && (*head).ByteCount <= (*buffer).DataOffset && !(*head).Next.is_null() {
            (*buffer).MdlChain = (*head).Next;
            (*buffer).DataOffset -= (*head).ByteCount;
            free_mdl(head);
        }
        place(buffer);
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisAllocateCloneNetBufferList(
    original: *mut NET_BUFFER_LIST,
    lists: NDIS_HANDLE,
    _buffers: NDIS_HANDLE,
    flags: u32,
) -> *mut NET_BUFFER_LIST {
    // SAFETY: (NBL-4) a list of the test. The MDLs of a clone describe the
    // original's bytes.
    unsafe {
        let mut list: NET_BUFFER_LIST = zeroed();
        list.NdisPoolHandle = lists;
        let mut link = &raw mut list.FirstNetBuffer;
        let mut next = (*original).FirstNetBuffer;
        while !next.is_null() {
            let mut buffer: NET_BUFFER = zeroed();
            buffer.DataLength = (*next).DataLength;
            if flags == 0 {
                let mut all: Vec<MDL> = Vec::new();
                let mut left = (*next).DataLength;
                let mut skip = (*next).CurrentMdlOffset;
                let mut from = (*next).CurrentMdl;
                while !from.is_null() {
                    let mut part: MDL = zeroed();
                    part.MdlFlags = 5;
                    part.ByteCount = ((*from).ByteCount - skip).min(left);
                    part.MappedSystemVa = (*from).MappedSystemVa.byte_add(skip as usize);
                    left -= part.ByteCount;
                    all.push(part);
                    skip = 0;
                    from = (*from).Next;
                    if left == 0 {
                        break;
                    }
                }
                let mut chain: *mut MDL = core::ptr::null_mut();
                for mut part in all.into_iter().rev() {
                    part.Next = chain;
                    chain = Box::into_raw(Box::new(part));
                }
                buffer.MdlChain = chain;
            } else {
                buffer.MdlChain = (*next).CurrentMdl;
                buffer.DataOffset = (*next).CurrentMdlOffset;
            }
            let raw = Box::into_raw(Box::new(buffer));
            place(raw);
            *link = raw;
            link = &raw mut (*raw).Next;
            next = (*next).Next;
        }
        let raw: *mut NET_BUFFER_LIST = Box::into_raw(Box::new(list));
        raw
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisFreeCloneNetBufferList(list: *mut NET_BUFFER_LIST, flags: u32) {
    // SAFETY: (NBL-4) made above; bytes belong to the original.
    unsafe {
        let list = Box::from_raw(list);
        assert!(
            list.Context.is_null() || (*list.Context).Offset == (*list.Context).Size,
            "context space is still in use"
        );
        if !list.Context.is_null() {
            drop(Box::from_raw(list.Context.cast::<Room>()));
        }
        let mut next = list.FirstNetBuffer;
        while !next.is_null() {
            let buffer = Box::from_raw(next);
            next = buffer.Next;
            let mut mdl = buffer.MdlChain;
            while flags == 0 && !mdl.is_null() {
                mdl = Box::from_raw(mdl).Next;
            }
        }
    }
}

/// The entries that both kinds of lists have in common, and the cancel id.
const COPIED: [usize; 2] = [4, 5];

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisCopySendNetBufferListInfo(
    to: *mut NET_BUFFER_LIST,
    from: *const NET_BUFFER_LIST,
) {
    for entry in COPIED {
        // SAFETY: (SND-10) lists of the test.
        unsafe { (*to).NetBufferListInfo[entry] = (*from).NetBufferListInfo[entry] };
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisCopyReceiveNetBufferListInfo(
    to: *mut NET_BUFFER_LIST,
    from: *const NET_BUFFER_LIST,
) {
    // SAFETY: (RCV-10) lists of the test.
    unsafe { (*to).NetBufferListInfo[4] = (*from).NetBufferListInfo[4] };
}

/// Frames of a test are always mapped.
#[unsafe(no_mangle)]
unsafe extern "efiapi" fn MmMapLockedPagesSpecifyCache(
    _mdl: *mut MDL,
    _mode: i8,
    _cache: ndis::sys::MEMORY_CACHING_TYPE,
    _base: PVOID,
    _stop: u32,
    _priority: u32,
) -> PVOID {
    core::ptr::null_mut()
}

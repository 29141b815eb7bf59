//! Context space of a NET_BUFFER_LIST: where a driver keeps what it must
//! remember about a list that it only forwards. The reserved members have
//! another user (NBL-6).
//!
//! A list has one NET_BUFFER_LIST_CONTEXT with room below `Offset`; taking
//! space lowers the offset, which is why ContextBackFillSize asks upper drivers
//! to leave room (ATR-9). Without room NDIS allocates. Both are done by the
//! same NDIS call; looking at the offset first tells which it will be.
//!
//! IRQL <= DISPATCH_LEVEL; the list is ours.

use crate::Result;
use crate::memory::Tag;
use crate::nbl::List;
use crate::status::check;
use ndis_sys::{
    NDIS_HANDLE, NET_BUFFER_LIST_CONTEXT, NdisAllocateNetBufferListContext,
    NdisFreeNetBufferListContext, PVOID,
};

/// What is remembered while a forwarded list is on the other side.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The SourceHandle that the list came with (SND-7, RCV-6).
    pub source: NDIS_HANDLE,
    /// Which path of the driver the list took; completions come mixed (SND-8).
    pub path: PVOID,
}

/// Bytes of context space that one forwarded list needs.
pub const CONTEXT_BYTES: u16 = size_of::<Saved>() as u16;

// NBL-5: the size is a multiple of the pointer size.
const _: () = assert!((CONTEXT_BYTES as usize).is_multiple_of(size_of::<PVOID>()));

/// Whether taking the space had to allocate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The backfill was there.
    Reserved,
    /// NDIS allocated; counted by the caller.
    Allocated,
}

/// Start of the context data in use, as NET_BUFFER_LIST_CONTEXT_DATA_START.
///
/// # Safety
/// The list is ours and has context of at least [`CONTEXT_BYTES`] that this
/// driver took.
#[expect(
    clippy::cast_ptr_alignment,
    reason = "context space is taken in multiples of the pointer size (NBL-5)"
)]
unsafe fn data(list: &List) -> *mut Saved {
    // SAFETY: (NBL-5) the context exists; its data follow the header, the part
    // in use starts at `Offset`.
    unsafe {
        let context = (*list.as_ptr()).Context;
        let start = (&raw mut (*context).ContextData).cast::<u8>();
        start.add(usize::from((*context).Offset)).cast::<Saved>()
    }
}

/// Takes context space on the list and keeps `saved` there.
pub fn push(list: &mut List, saved: Saved, tag: Tag) -> Result<Room> {
    // SAFETY: (NBL-5) the list is ours, so its context header may be read.
    let context: *const NET_BUFFER_LIST_CONTEXT = unsafe { (*list.as_ptr()).Context };
    let room = if context.is_null() {
        Room::Allocated
    } else {
        // SAFETY: (NBL-5) not null, and part of the list.
        let free = unsafe { (*context).Offset };
        if free < CONTEXT_BYTES {
            Room::Allocated
        } else {
            Room::Reserved
        }
    };
    // SAFETY: (NBL-5) the list is ours; the size is a multiple of the pointer
    // size; the tag is ours.
    check(unsafe { NdisAllocateNetBufferListContext(list.as_ptr(), CONTEXT_BYTES, 0, tag.0) })?;
    // SAFETY: (NBL-5) the space was just taken.
    unsafe { data(list).write(saved) };
    Ok(room)
}

/// Reads what [`push`] kept, without giving the space back.
///
/// # Safety
/// [`push`] succeeded on this list and [`pop`] has not run since.
pub unsafe fn peek(list: &List) -> Saved {
    // SAFETY: (NBL-5) our space is the part in use: whoever took more in
    // between has freed it before giving the list back.
    unsafe { data(list).read() }
}

/// Gives the space back and returns what was kept there.
///
/// # Safety
/// As [`peek`].
pub unsafe fn pop(list: &mut List) -> Saved {
    // SAFETY: (NBL-5) the caller's promise.
    let saved = unsafe { peek(list) };
    // SAFETY: (NBL-5) same size, same driver, before the list is given back.
    unsafe { NdisFreeNetBufferListContext(list.as_ptr(), CONTEXT_BYTES) };
    saved
}

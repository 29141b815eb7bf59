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

/// What can be kept in context space.
///
/// # Safety
/// Plain data without a destructor, no more aligned than a pointer, its size a
/// multiple of a pointer's (NBL-5).
pub unsafe trait Record: Copy {
    /// Bytes of context space that one list needs.
    const BYTES: u16 = {
        assert!(size_of::<Self>().is_multiple_of(size_of::<PVOID>()));
        assert!(align_of::<Self>() <= align_of::<PVOID>());
        assert!(size_of::<Self>() <= 1024);
        size_of::<Self>() as u16
    };
}

/// What is remembered while a list that goes through unchanged is on the other
/// side.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The SourceHandle that the list came with (SND-7, RCV-6).
    pub source: NDIS_HANDLE,
    /// Which path of the driver the list took; completions come mixed (SND-8).
    pub path: PVOID,
}

// SAFETY: (NBL-5) two pointers.
unsafe impl Record for Saved {}

/// Bytes of context space that one forwarded list needs.
pub const CONTEXT_BYTES: u16 = Saved::BYTES;

/// What is remembered while a list is on the other side that was changed on its
/// way.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The SourceHandle that the list came with (SND-7, RCV-6).
    pub source: NDIS_HANDLE,
    /// Which path of the driver the list took; completions come mixed (SND-8).
    pub path: PVOID,
    /// The 802.1Q word that was beside the list.
    pub beside: usize,
    /// What was done to the list, in the words of whoever did it.
    pub done: u32,
    /// Bytes of the frame that are not there any more.
    pub bytes: [u8; 4],
}

// SAFETY: (NBL-5) three words and eight bytes, without padding.
unsafe impl Record for Marked {}

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
/// The list is ours and has context that this driver took for an `R`.
unsafe fn data<R: Record>(list: &List) -> *mut R {
    // SAFETY: (NBL-5) the context exists; its data follow the header, the part
    // in use starts at `Offset`.
    unsafe {
        let context = (*list.as_ptr()).Context;
        let start = (&raw mut (*context).ContextData).cast::<u8>();
        start.add(usize::from((*context).Offset)).cast::<R>()
    }
}

/// Takes context space on the list and keeps `saved` there.
pub fn push<R: Record>(list: &mut List, saved: R, tag: Tag) -> Result<Room> {
    // SAFETY: (NBL-5) the list is ours, so its context header may be read.
    let context: *const NET_BUFFER_LIST_CONTEXT = unsafe { (*list.as_ptr()).Context };
    let room = if context.is_null() {
        Room::Allocated
    } else {
        // SAFETY: (NBL-5) not null, and part of the list.
        let free = unsafe { (*context).Offset };
        if free < R::BYTES {
            Room::Allocated
        } else {
            Room::Reserved
        }
    };
    // SAFETY: (NBL-5) the list is ours; the size is a multiple of the pointer
    // size; the tag is ours.
    check(unsafe { NdisAllocateNetBufferListContext(list.as_ptr(), R::BYTES, 0, tag.0) })?;
    // SAFETY: (NBL-5) the space was just taken.
    unsafe { data::<R>(list).write(saved) };
    Ok(room)
}

/// Reads what [`push`] kept, without giving the space back.
///
/// # Safety
/// [`push`] of an `R` succeeded on this list and [`pop`] has not run since.
pub unsafe fn peek<R: Record>(list: &List) -> R {
    // SAFETY: (NBL-5) our space is the part in use: whoever took more in
    // between has freed it before giving the list back.
    unsafe { data::<R>(list).read() }
}

/// Changes what [`push`] kept.
///
/// # Safety
/// As [`peek`].
pub unsafe fn amend<R: Record>(list: &mut List, saved: R) {
    // SAFETY: (NBL-5) as in `peek`.
    unsafe { data::<R>(list).write(saved) };
}

/// Gives the space back and returns what was kept there.
///
/// # Safety
/// As [`peek`].
pub unsafe fn pop<R: Record>(list: &mut List) -> R {
    // SAFETY: (NBL-5) the caller's promise.
    let saved: R = unsafe { peek(list) };
    // SAFETY: (NBL-5) same size, same driver, before the list is given back.
    unsafe { NdisFreeNetBufferListContext(list.as_ptr(), R::BYTES) };
    saved
}

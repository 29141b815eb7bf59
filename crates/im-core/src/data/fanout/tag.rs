//! Tags: into a frame and out of it, and as it was.
//!
//! In place where the bytes may be written and lie together; else a list of our
//! own goes on, with a header of its own over the frame's other bytes. What was
//! done is remembered in the list's context space and undone when the list comes
//! back. IRQL <= DISPATCH_LEVEL.

use super::decide::{Egress, Strip};
use ethernet::{HEADER_BYTES, OutOfBand, TAG_BYTES, TAGGED_HEADER_BYTES, Tag, Tpid};
use im_control::DropReason;
use ndis::memory;
use ndis::nbl::{Buffer, Derived, FromAbove, FromBelow, Kind, List, Single, Splice};
use ndis::nbl_context::{Marked, Room, pop, push};
use ndis::sys::{
    NDIS_NBL_FLAGS_HD_SPLIT, NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_HEADER,
    NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_PAYLOAD, PVOID,
};

const TAG: u32 = TAG_BYTES as u32;
/// Bytes of both addresses.
const ADDRESSES: usize = 12;

/// As many bytes of a received frame as are copied behind a header of its own, so
/// that all headers lie in one MDL (RCV-13): addresses, type, the longest IPv6 and
/// TCP headers that are usual.
const HEADERS: usize = 132;

/// How a frame is split, which is true for its own MDLs only.
const SPLIT: u32 = NDIS_NBL_FLAGS_HD_SPLIT
    | NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_HEADER
    | NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_PAYLOAD;

/// What was done to a list, in [`Marked::done`]; the lowest 16 bits are the tag
/// that its frame had.
pub(super) mod done {
    /// The word beside it is another one for each miniport.
    pub(in super::super) const WORD: u32 = 1 << 16;
    /// A tag was taken out in place.
    pub(in super::super) const TAKEN_OUT: u32 = 1 << 17;
    /// A tag was put in place.
    pub(in super::super) const PUT_IN: u32 = 1 << 18;
    /// It is a list of our own; [`Marked::bytes`] says how it was made.
    pub(in super::super) const CLONE: u32 = 1 << 19;
}

/// Why a list could not be changed.
pub(super) enum Trouble {
    /// Its frame needs a header of its own.
    Header,
    /// It is dropped.
    Drop(DropReason),
}

/// Takes the tag out of a frame in place; returns its bytes.
pub(super) fn take_out(frame: &mut Buffer<'_>) -> Option<[u8; TAG_BYTES]> {
    let bytes = frame.front_chunk::<TAGGED_HEADER_BYTES>()?;
    let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d, _, _] = *bytes;
    bytes.copy_within(..ADDRESSES, TAG_BYTES);
    frame.advance(TAG, false); // NBL-7
    Some([a, b, c, d])
}

/// Puts a tag that was taken out back.
pub(super) fn put_back(frame: &mut Buffer<'_>, tag: [u8; TAG_BYTES]) {
    let there = frame.retreat(TAG); // NBL-7: its bytes are before the frame
    debug_assert!(there.is_ok());
    if let Some(bytes) = frame.front_chunk::<TAGGED_HEADER_BYTES>() {
        bytes.copy_within(TAG_BYTES..TAG_BYTES + ADDRESSES, 0);
        bytes[ADDRESSES..ADDRESSES + TAG_BYTES].copy_from_slice(&tag);
    }
}

/// Puts a tag into a frame in place, in unused bytes before it.
fn put_in(frame: &mut Buffer<'_>, tag: [u8; TAG_BYTES]) -> bool {
    if frame.room() < TAG || frame.retreat(TAG).is_err() {
        return false;
    }
    // SND-17: the header with the tag is in one MDL.
    let Some(bytes) = frame.front_chunk::<TAGGED_HEADER_BYTES>() else {
        frame.advance(TAG, false);
        return false;
    };
    bytes.copy_within(TAG_BYTES..TAG_BYTES + ADDRESSES, 0);
    bytes[ADDRESSES..ADDRESSES + TAG_BYTES].copy_from_slice(&tag);
    true
}

/// Takes a tag that was put in out again: every byte as it was (SND-9).
fn undo_put_in(frame: &mut Buffer<'_>) {
    if let Some(bytes) = frame.front_chunk::<TAGGED_HEADER_BYTES>() {
        bytes.copy_within(..ADDRESSES, TAG_BYTES);
    }
    frame.advance(TAG, false);
}

/// Writes what follows the addresses: bytes of `head` from `from` on.
fn write_header(new: &mut [u8], head: &[u8], tag: &[u8], from: usize) {
    let addresses = head.iter().take(ADDRESSES);
    let rest = head.iter().skip(from);
    for (to, byte) in new.iter_mut().zip(addresses.chain(tag).chain(rest)) {
        *to = *byte;
    }
}

/// A list over the frame of `list` without its tag, and how it was made.
pub(super) fn without_tag(list: &mut List) -> Result<(Single<Derived>, Splice), Trouble> {
    let no_memory = Trouble::Drop(DropReason::ReceiveNoMemory);
    let length = list.sole_buffer().map_or(0, |frame| frame.length());
    if length <= TAGGED_HEADER_BYTES as u32 {
        return Err(Trouble::Drop(DropReason::ReceiveMalformed));
    }
    // A short frame is copied whole: its last header may reach to its end.
    let splice = if length <= HEADERS as u32 {
        Splice {
            cut: TAGGED_HEADER_BYTES as u16,
            front: (length as u16).saturating_sub(TAG as u16),
            rest: false,
        }
    } else {
        Splice {
            cut: HEADERS as u16,
            front: (HEADERS - TAG_BYTES) as u16,
            rest: true,
        }
    };
    let made = list.with_header(splice, |frame, new| {
        let mut head = [0; HEADERS];
        let there = frame.copy_head(&mut head);
        let head = head.get(..there).unwrap_or(&[]);
        write_header(new, head, &[], ADDRESSES + TAG_BYTES);
        there == HEADERS.min(length as usize)
    });
    let Ok(mut made) = made else {
        return Err(no_memory);
    };
    made.copy_receive_info(list); // RCV-10
    made.set_flags(list.flags() & !SPLIT);
    Ok((made, splice))
}

/// Makes a received list ready for the way up in place, and remembers how it was.
/// Source and word are set for each miniport that it is shown to.
pub(super) fn mark_up(
    list: &mut List,
    strip: Strip,
    tag: memory::Tag,
    allocated: &mut u64,
) -> Result<(), Trouble> {
    let mut marked = Marked {
        source: list.source(),
        path: core::ptr::null_mut(),
        beside: list.beside(),
        done: 0,
        bytes: [0; TAG_BYTES],
    };
    match strip {
        Strip::Keep => {}
        Strip::Beside(tag) => marked.done = done::WORD | u32::from(tag.tci()),
        Strip::InFrame(tag) => {
            // RCV-15: never written where it may only be read.
            if list.is_read_only() {
                return Err(Trouble::Header);
            }
            let taken = list
                .sole_buffer()
                .and_then(|mut frame| take_out(&mut frame));
            marked.bytes = taken.ok_or(Trouble::Header)?;
            marked.done = done::WORD | done::TAKEN_OUT | u32::from(tag.tci());
        }
    }
    let Ok(room) = push(list, marked, tag) else {
        undo_up(list, marked);
        return Err(Trouble::Drop(DropReason::ReceiveNoContext));
    };
    *allocated = allocated.wrapping_add(u64::from(room == Room::Allocated));
    Ok(())
}

/// The frame as it came.
fn undo_up(list: &mut List, marked: Marked) {
    if marked.done & done::TAKEN_OUT != 0
        && let Some(mut frame) = list.sole_buffer()
    {
        put_back(&mut frame, marked.bytes);
    }
}

/// Puts a list as it came (RCV-6, RCV-8) that [`mark_up`] made ready.
pub(super) fn unmark_up(list: &mut List) {
    // SAFETY: (NBL-5) every list that goes up has our context on top.
    let marked: Marked = unsafe { pop(list) };
    undo_up(list, marked);
    list.set_source(marked.source);
    list.set_beside(marked.beside);
}

/// Remembers what a list of our own is.
pub(super) fn mark_clone(
    list: &mut List,
    strip: Tag,
    splice: Splice,
    path: PVOID,
    tag: memory::Tag,
) -> bool {
    let marked = Marked {
        source: core::ptr::null_mut(),
        path,
        beside: list.beside(),
        done: done::CLONE | done::WORD | u32::from(strip.tci()),
        bytes: splice.to_bytes(),
    };
    push(list, marked, tag).is_ok()
}

/// Makes a received list ready for the way up, or a list of our own that goes
/// up in its place.
pub(super) fn ready(
    mut list: Single<FromBelow>,
    strip: Strip,
    tag: memory::Tag,
    allocated: &mut u64,
) -> Result<Single<FromBelow>, (Single<FromBelow>, DropReason)> {
    match mark_up(&mut list, strip, tag, allocated) {
        Ok(()) => return Ok(list),
        Err(Trouble::Drop(reason)) => return Err((list, reason)),
        Err(Trouble::Header) => {}
    }
    let Strip::InFrame(outer) = strip else {
        return Err((list, DropReason::ReceiveNoMemory)); // cannot be
    };
    let (mut own, splice) = match without_tag(&mut list) {
        Ok(made) => made,
        Err(Trouble::Drop(reason)) => return Err((list, reason)),
        Err(Trouble::Header) => return Err((list, DropReason::ReceiveNoMemory)),
    };
    if !mark_clone(&mut own, outer, splice, core::ptr::null_mut(), tag) {
        own.free(splice);
        return Err((list, DropReason::ReceiveNoContext));
    }
    Ok(own.instead_of(list))
}

/// A list that comes back from above: as it came from below, or the one that a
/// list of our own stood for.
pub(super) fn came_back(mut list: Single<FromBelow>) -> Single<FromBelow> {
    // SAFETY: (NBL-5) every list that went up has our context on top.
    let marked: Marked = unsafe { pop(&mut list) };
    if marked.done & done::CLONE != 0 {
        // SAFETY: (SND-11) the mark says so.
        return unsafe { into_parent(list, marked) };
    }
    undo_up(&mut list, marked);
    list.set_source(marked.source); // RCV-6
    list.set_beside(marked.beside);
    list
}

/// # Safety
/// The mark says that the list is one of our own.
unsafe fn into_parent<K: Kind>(list: Single<K>, marked: Marked) -> Single<K> {
    // SAFETY: (SND-11) the caller's promise; how it was made was remembered.
    unsafe { list.into_parent(Splice::from_bytes(marked.bytes)) }
}

/// What a list to send needs.
pub(super) struct Departure {
    /// How it leaves.
    pub egress: Egress,
    /// Its frames begin with a tag, which is replaced.
    pub tagged: bool,
    /// The adapter takes tags beside the frame.
    pub beside: bool,
}

/// Makes a list ready for the way down, or a list of our own that goes down in
/// its place.
pub(super) fn depart(
    mut list: Single<FromAbove>,
    departure: &Departure,
    path: PVOID,
    tag: memory::Tag,
    allocated: &mut u64,
) -> Result<Single<FromAbove>, (Single<FromAbove>, DropReason)> {
    let mut marked = Marked {
        source: list.source(),
        path,
        beside: list.beside(),
        done: 0,
        bytes: [0; TAG_BYTES],
    };
    let word = OutOfBand(marked.beside);
    // A word that the adapter would not look at says as much as nothing: what it
    // says goes into the frame.
    let unseen = !departure.beside && !word.tag().vlan.is_none();
    let (outer, replace) = match departure.egress {
        Egress::Tagged(outer) => (Some(outer), departure.tagged),
        Egress::AsIs => (unseen.then(|| word.tag()), false),
    };
    if let Some(outer) = outer {
        if departure.beside && !replace {
            list.set_beside(word.with(outer).0);
        } else {
            let bytes = outer.bytes(Tpid::Customer);
            if !replace && put_in_all(&mut list, bytes) {
                marked.done = done::PUT_IN;
            } else {
                let (cut, from) = if replace {
                    (TAGGED_HEADER_BYTES, ADDRESSES + TAG_BYTES)
                } else {
                    (HEADER_BYTES, ADDRESSES)
                };
                let splice = Splice {
                    cut: cut as u16,
                    front: TAGGED_HEADER_BYTES as u16,
                    rest: true,
                };
                let made = list.with_header(splice, |frame, new| {
                    let mut head = [0; TAGGED_HEADER_BYTES];
                    let there = frame.copy_head(&mut head);
                    write_header(new, head.get(..there).unwrap_or(&[]), &bytes, from);
                    there >= cut
                });
                let Ok(mut own) = made else {
                    return Err((list, DropReason::SendNoMemory));
                };
                own.copy_send_info(&list); // SND-10, SND-14
                marked.source = core::ptr::null_mut();
                marked.done = done::CLONE;
                marked.bytes = splice.to_bytes();
                list = own.instead_of(list);
            }
            list.set_beside(word.without().0); // not twice
        }
    }
    match push(&mut list, marked, tag) {
        Ok(room) => {
            let own = marked.done & done::CLONE != 0;
            *allocated = allocated.wrapping_add(u64::from(room == Room::Allocated && !own));
            Ok(list)
        }
        Err(_) => Err((undo_down(list, marked), DropReason::SendNoContext)),
    }
}

/// Puts a tag into every frame of a list, or into none.
fn put_in_all(list: &mut Single<FromAbove>, tag: [u8; TAG_BYTES]) -> bool {
    if list.is_read_only() {
        return false; // RCV-15
    }
    let with_bytes = |frame: &Buffer<'_>| frame.length() != 0;
    let mut changed = 0_usize;
    let whole = list.buffers().filter(with_bytes).all(|mut frame| {
        let put = put_in(&mut frame, tag);
        changed = changed.wrapping_add(usize::from(put));
        put
    });
    if !whole {
        list.buffers()
            .filter(with_bytes)
            .take(changed)
            .for_each(|mut frame| undo_put_in(&mut frame));
    }
    whole
}

/// The list as it came from above (SND-7, SND-9).
fn undo_down(mut list: Single<FromAbove>, marked: Marked) -> Single<FromAbove> {
    if marked.done & done::CLONE != 0 {
        let status = list.status();
        // SAFETY: (SND-11) the mark says so.
        let mut parent = unsafe { into_parent(list, marked) };
        parent.set_status(status); // SND-12
        return parent;
    }
    if marked.done & done::PUT_IN != 0 {
        for mut frame in list.buffers() {
            if frame.length() != 0 {
                undo_put_in(&mut frame);
            }
        }
    }
    list.set_source(marked.source);
    list.set_beside(marked.beside);
    list
}

/// A list that comes back from below, as it came from above, and which path it
/// took.
pub(super) fn arrived(mut list: Single<FromAbove>) -> (Single<FromAbove>, PVOID) {
    // SAFETY: (NBL-5) every list that went down has our context on top.
    let marked: Marked = unsafe { pop(&mut list) };
    (undo_down(list, marked), marked.path)
}

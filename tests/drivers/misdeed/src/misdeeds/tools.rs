//! What several misdeeds need.

use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;

use ndis_sys::*;

use crate::data::{complete, honest_send, honest_sent};
use crate::entry::DRIVER;
use crate::lane::Lane;
use crate::raw::{Plain, TAG, header};

/// The IRQL at which devices interrupt, more or less.
pub(super) const DEVICE: u8 = 5;
/// Bytes of a frame of the driver's own, at most.
const FRAME: usize = 256;
/// Where it begins in its memory, behind what belongs to it.
const AT: usize = 64;

/// True the first time on a lane.
pub(super) fn once(lane: &Lane) -> bool {
    lane.scratch[3].swap(1, SeqCst) == 0
}

/// Runs `f` at a raised IRQL.
pub(super) fn at<R>(irql: u8, f: impl FnOnce() -> R) -> R {
    let old = raise(irql);
    let result = f();
    lower(old);
    result
}

/// Raises the IRQL.
pub(super) fn raise(irql: u8) -> u8 {
    // SAFETY: (IRQ-12) it takes no pointer; whoever raises lowers.
    unsafe { KfRaiseIrql(irql) }
}

/// Lowers it again.
pub(super) fn lower(irql: u8) {
    // SAFETY: (IRQ-12) it takes no pointer; whether it is the right one is the caller's.
    unsafe { KeLowerIrql(irql) };
}

/// Nonpaged memory.
pub(super) fn memory(bytes: u32) -> *mut u8 {
    // SAFETY: (MEM-1) IRQL <= DISPATCH_LEVEL, with a tag.
    unsafe {
        NdisAllocateMemoryWithTagPriority(DRIVER.get(), bytes, TAG, NormalPoolPriority).cast()
    }
}

/// Frees it.
pub(super) fn free(memory: *mut u8) {
    // SAFETY: (MEM-1, MEM-2) what `memory` returned, with its tag; how often is the caller's.
    unsafe { NdisFreeMemoryWithTagPriority(DRIVER.get(), memory.cast(), TAG) };
}

/// The first list of a chain by itself, and the rest.
pub(super) fn behead(lists: *mut NET_BUFFER_LIST) -> (*mut NET_BUFFER_LIST, *mut NET_BUFFER_LIST) {
    // SAFETY: (SND-1, RCV-1) the lists are the driver's, and there is one.
    unsafe {
        let rest = (*lists).Next;
        (*lists).Next = null_mut();
        (lists, rest)
    }
}

/// Takes a list out of a chain; whether it was there, and the rest.
pub(super) fn take(lists: *mut NET_BUFFER_LIST, wanted: usize) -> (bool, *mut NET_BUFFER_LIST) {
    let (mut first, mut found) = (lists, false);
    let mut link = &raw mut first;
    // SAFETY: (SND-1, RCV-1) the chain is the driver's; `link` is in it or `first`.
    unsafe {
        while !(*link).is_null() {
            let list = *link;
            if list as usize == wanted {
                *link = (*list).Next;
                (*list).Next = null_mut();
                found = true;
            } else {
                link = &raw mut (*list).Next;
            }
        }
    }
    (found, first)
}

/// Does something else with the first list that may pass, and what is honest with the others.
pub(super) fn first_apart(
    lane: &Lane,
    lists: *mut NET_BUFFER_LIST,
    port: u32,
    flags: u32,
    act: impl FnOnce(*mut NET_BUFFER_LIST),
) {
    if lane.refusal().is_some() || !once(lane) {
        return honest_send(lane, lists, port, flags);
    }
    let (first, rest) = behead(lists);
    lane.enter(1);
    act(first);
    if !rest.is_null() {
        honest_send(lane, rest, port, flags);
    }
}

/// Sends a clone of a list, which `tweak` may spoil, and keeps the list for [`sent_clone`].
pub(super) fn send_clone(
    lane: &Lane,
    parent: *mut NET_BUFFER_LIST,
    tweak: impl FnOnce(*mut NET_BUFFER_LIST),
) {
    // SAFETY: (SND-10, SND-11) the parent is the driver's until `sent_clone` completes it; the
    // clone is its own.
    unsafe {
        let child = NdisAllocateCloneNetBufferList(parent, null_mut(), null_mut(), 0);
        (*child).ParentNetBufferList = parent;
        (*parent).ChildRefCount = 1;
        NdisCopySendNetBufferListInfo(child, parent);
        (*child).SourceHandle = lane.binding();
        tweak(child);
        lane.scratch[1].store(parent as usize, SeqCst);
        lane.scratch[0].store(child as usize, SeqCst);
        NdisSendNetBufferLists(lane.binding(), child, 0, 0);
    }
}

/// Completes the list of [`send_clone`] when its clone is back, with the clone's status or
/// with success; what is honest with the others.
pub(super) fn sent_clone(lane: &Lane, lists: *mut NET_BUFFER_LIST, flags: u32, lie: bool) {
    let (found, rest) = take(lists, lane.scratch[0].load(SeqCst));
    if found {
        let child = lane.scratch[0].swap(0, SeqCst) as *mut NET_BUFFER_LIST;
        let parent = lane.scratch[1].load(SeqCst) as *mut NET_BUFFER_LIST;
        // SAFETY: (SND-10, NBL-4) the clone is back from below, its parent the driver's,
        // completed once.
        unsafe {
            let status = if lie {
                NDIS_STATUS_SUCCESS
            } else {
                (*child).Status
            };
            NdisFreeCloneNetBufferList(child, 0);
            (*parent).ChildRefCount = 0;
            (*parent).Status = status;
            NdisMSendNetBufferListsComplete(lane.miniport(), parent, 0);
        }
        lane.leave(1);
    }
    if !rest.is_null() {
        honest_sent(lane, rest, flags);
    }
}

/// The parameters of a pool of lists.
pub(super) fn pool_parameters() -> NET_BUFFER_LIST_POOL_PARAMETERS {
    let mut p = NET_BUFFER_LIST_POOL_PARAMETERS::zeroed();
    p.Header = header(
        NDIS_OBJECT_TYPE_DEFAULT,
        NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
        NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 as usize,
    );
    p.fAllocateNetBuffer = 1;
    p.PoolTag = TAG;
    p
}

/// A list of the driver's own out of a pool that belongs to `owner`, with a copy of a frame, if
/// there is one, that is cut into two MDLs at `cut`, if that is not zero. Its memory is what
/// [`free_own`] wants.
pub(super) fn own(
    owner: NDIS_HANDLE,
    cut: usize,
    of: *mut NET_BUFFER_LIST,
) -> (*mut NET_BUFFER_LIST, *mut u8) {
    let memory = memory((AT + FRAME) as u32);
    let mut parameters = pool_parameters();
    // SAFETY: (NBL-3, NBL-9) memory of that size, two words of it before the frame for
    // `free_own`.
    unsafe {
        core::ptr::write_bytes(memory, 0, AT + FRAME);
        let frame = memory.add(AT);
        let mut length = 60;
        if !of.is_null() {
            length = ((*(*of).FirstNetBuffer).DataLength as usize).min(FRAME);
            core::ptr::copy_nonoverlapping(data_of(of), frame, length);
        }
        let first = if cut == 0 { length } else { cut };
        let mdl = NdisAllocateMdl(DRIVER.get(), frame.cast(), first as u32);
        if cut != 0 {
            let rest = (length - cut) as u32;
            (*mdl).Next = NdisAllocateMdl(DRIVER.get(), frame.add(cut).cast(), rest);
        }
        let pool = NdisAllocateNetBufferListPool(owner, &raw mut parameters);
        memory.cast::<NDIS_HANDLE>().write(pool);
        memory.cast::<*mut MDL>().add(1).write(mdl);
        let list = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, mdl, 0, length as _);
        (list, memory)
    }
}

/// Frees what [`own`] made.
pub(super) fn free_own(list: *mut NET_BUFFER_LIST, memory: *mut u8) {
    // SAFETY: (NBL-3, NBL-9) what `own` made and wrote there, freed once, after the list is back.
    unsafe {
        let pool = memory.cast::<NDIS_HANDLE>().read();
        let mut mdl = memory.cast::<*mut MDL>().add(1).read();
        NdisFreeNetBufferList(list);
        while !mdl.is_null() {
            let next = (*mdl).Next;
            NdisFreeMdl(mdl);
            mdl = next;
        }
        NdisFreeNetBufferListPool(pool);
    }
    free(memory);
}

/// Where the frame of a list begins, which lies in one piece of memory.
pub(super) fn data_of(list: *mut NET_BUFFER_LIST) -> *mut u8 {
    // SAFETY: (NBL-6) the list has a NET_BUFFER whose frame lies in one MDL that is mapped.
    unsafe {
        let buffer = (*list).FirstNetBuffer;
        let start = (*(*buffer).CurrentMdl).MappedSystemVa.cast::<u8>();
        start.add((*buffer).CurrentMdlOffset as usize)
    }
}

/// Sends a list of the driver's own with the frame of another one, and completes that.
pub(super) fn send_own(
    lane: &Lane,
    of: *mut NET_BUFFER_LIST,
    owner: NDIS_HANDLE,
    cut: usize,
    tweak: impl FnOnce(*mut NET_BUFFER_LIST),
) {
    let (list, memory) = own(owner, cut, of);
    lane.scratch[1].store(memory as usize, SeqCst);
    lane.scratch[0].store(list as usize, SeqCst);
    lane.enter(1);
    // SAFETY: (SND-6) the list is the driver's own; what `tweak` spoils is the misdeed.
    unsafe {
        (*list).SourceHandle = lane.binding();
        tweak(list);
        NdisSendNetBufferLists(lane.binding(), list, 0, 0);
    }
    complete(lane, of, NDIS_STATUS_SUCCESS, false);
}

/// Frees it when it is back; what is honest with the others.
pub(super) fn sent_own(lane: &Lane, lists: *mut NET_BUFFER_LIST, flags: u32) {
    let (found, rest) = take(lists, lane.scratch[0].load(SeqCst));
    if found {
        free_own(
            lane.scratch[0].swap(0, SeqCst) as *mut NET_BUFFER_LIST,
            lane.scratch[1].load(SeqCst) as *mut u8,
        );
        lane.leave(1);
    }
    if !rest.is_null() {
        honest_sent(lane, rest, flags);
    }
}

/// An entry of a list's out-of-band information.
pub(super) fn entry(list: *mut NET_BUFFER_LIST, which: NDIS_NET_BUFFER_LIST_INFO) -> *mut PVOID {
    // SAFETY: (NBL-6) the index is of the enumeration, which the array has room for.
    unsafe {
        (&raw mut (*list).NetBufferListInfo)
            .cast::<PVOID>()
            .add(which.0 as usize)
    }
}

/// Indicates a list lent, and takes it back.
pub(super) fn lend_one(lane: &Lane, list: *mut NET_BUFFER_LIST, flags: u32) {
    // SAFETY: (RCV-8) the list is the driver's, and lent, so it is back when this returns.
    unsafe {
        (*list).SourceHandle = lane.miniport();
        NdisMIndicateReceiveNetBufferLists(
            lane.miniport(),
            list,
            0,
            1,
            flags | NDIS_RECEIVE_FLAGS_RESOURCES,
        );
    }
}

/// Whether lists may be kept.
pub(super) const fn is_lent(flags: u32) -> bool {
    flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0
}

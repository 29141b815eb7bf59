//! Sends, receives and their ways back. Any number at once, up to DISPATCH_LEVEL.

use core::ptr::null_mut;

use ndis_sys::{
    NDIS_HANDLE, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RECEIVE_FLAGS_RESOURCES,
    NDIS_RETURN_FLAGS_DISPATCH_LEVEL, NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL,
    NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK, NDIS_SEND_FLAGS_DISPATCH_LEVEL, NDIS_STATUS,
    NDIS_STATUS_RESOURCES, NET_BUFFER_LIST, NdisCancelSendNetBufferLists,
    NdisMIndicateReceiveNetBufferLists, NdisMSendNetBufferListsComplete, NdisReturnNetBufferLists,
    NdisSendNetBufferLists, PVOID,
};

use crate::lane::Lane;
use crate::raw::{each, pop, push};
use crate::table::instead;

/// MiniportSendNetBufferLists.
pub(crate) unsafe extern "efiapi" fn send(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    port: u32,
    flags: u32,
) {
    instead!(Send(Lane::of(context), lists, port, flags), honest_send);
}

/// Sends the chain down as it is, or completes it with the reason (SND-6, PBS-3).
pub(crate) fn honest_send(lane: &Lane, lists: *mut NET_BUFFER_LIST, port: u32, flags: u32) {
    let at_dispatch = flags & NDIS_SEND_FLAGS_DISPATCH_LEVEL != 0;
    let count = i64::from(each(lists, |_| ()));
    lane.enter(count);
    if let Some(status) = lane.refusal() {
        return complete(lane, lists, status, at_dispatch);
    }
    let (passed, failed) = split(lists, lane.binding());
    if !failed.is_null() {
        complete(lane, failed, NDIS_STATUS_RESOURCES, at_dispatch); // SND-4
    }
    if !passed.is_null() {
        // SND-18: NDIS loops sends of the miniport back itself.
        // SAFETY: (SND-1, SND-6) the driver's chain, under the binding's handle.
        unsafe {
            NdisSendNetBufferLists(
                lane.binding(),
                passed,
                port,
                flags & !NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK,
            );
        };
    }
}

/// Makes every list ready for the other side; with those that there was no memory for.
pub(crate) fn split(
    lists: *mut NET_BUFFER_LIST,
    source: NDIS_HANDLE,
) -> (*mut NET_BUFFER_LIST, *mut NET_BUFFER_LIST) {
    let mut chains = [null_mut::<NET_BUFFER_LIST>(); 2];
    let mut ends = [null_mut::<NET_BUFFER_LIST>(); 2];
    let mut next = lists;
    while !next.is_null() {
        let list = next;
        let which = usize::from(!push(list, source));
        // SAFETY: (SND-1, RCV-1) the chain is the driver's, and so are its links.
        unsafe {
            next = (*list).Next;
            (*list).Next = null_mut();
            if ends[which].is_null() {
                chains[which] = list;
            } else {
                (*ends[which]).Next = list;
            }
        }
        ends[which] = list;
    }
    (chains[0], chains[1])
}

/// Completes lists that did not go down.
pub(crate) fn complete(
    lane: &Lane,
    lists: *mut NET_BUFFER_LIST,
    status: NDIS_STATUS,
    at_dispatch: bool,
) {
    // SAFETY: (SND-4) the lists are the driver's.
    let count = each(lists, |list| unsafe { (*list).Status = status });
    let flags = if at_dispatch {
        NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL
    } else {
        0
    };
    // SAFETY: (SND-2) completed once, on the miniport that they came through.
    unsafe { NdisMSendNetBufferListsComplete(lane.miniport(), lists, flags) };
    lane.leave(i64::from(count));
}

/// ProtocolSendNetBufferListsComplete.
pub(crate) unsafe extern "efiapi" fn sent(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    flags: u32,
) {
    instead!(Sent(Lane::of(context), lists, flags), honest_sent);
}

/// Restores the source handles and completes the chain above (SND-2, SND-7).
pub(crate) fn honest_sent(lane: &Lane, lists: *mut NET_BUFFER_LIST, flags: u32) {
    let count = each(lists, pop);
    let flags = flags & NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL;
    // SAFETY: (SND-2, SND-8) the lists are the driver's again.
    unsafe { NdisMSendNetBufferListsComplete(lane.miniport(), lists, flags) };
    lane.leave(i64::from(count));
}

/// MiniportCancelSend.
pub(crate) unsafe extern "efiapi" fn cancel(context: NDIS_HANDLE, id: PVOID) {
    instead!(CancelSend(Lane::of(context), id), honest_cancel);
}

/// Nothing is held here: the adapter may have it (SND-15).
pub(crate) fn honest_cancel(lane: &Lane, id: PVOID) {
    // SAFETY: (SND-15) the binding outlives the miniport.
    unsafe { NdisCancelSendNetBufferLists(lane.binding(), id) };
}

/// ProtocolReceiveNetBufferLists.
pub(crate) unsafe extern "efiapi" fn receive(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    port: u32,
    count: u32,
    flags: u32,
) {
    instead!(
        Receive(Lane::of(context), lists, port, count, flags),
        honest_receive
    );
}

/// Shows the chain above as it is, or gives it back (RCV-2, RCV-3, PBS-3).
pub(crate) fn honest_receive(
    lane: &Lane,
    lists: *mut NET_BUFFER_LIST,
    port: u32,
    count: u32,
    flags: u32,
) {
    let lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
    let at_dispatch = flags & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL != 0;
    lane.enter(1); // the call itself (MPS-3)
    if lane.refusal().is_some() {
        if !lent {
            give_back(lane, lists, at_dispatch);
        }
    } else if lent {
        lend(lane, lists, port, count, flags);
    } else {
        let (passed, failed) = split(lists, lane.miniport());
        if !failed.is_null() {
            give_back(lane, failed, at_dispatch);
        }
        let count = each(passed, |_| ());
        if count > 0 {
            lane.enter(i64::from(count));
            // SAFETY: (RCV-1, RCV-5) the driver's chain, under the miniport's handle.
            unsafe {
                NdisMIndicateReceiveNetBufferLists(
                    lane.miniport(),
                    passed,
                    port,
                    count as u32,
                    flags,
                );
            }
        }
    }
    lane.leave(1);
}

/// Shows a borrowed chain above, with the same flag, and puts it back (RCV-3, RCV-8).
pub(crate) fn lend(lane: &Lane, lists: *mut NET_BUFFER_LIST, port: u32, _count: u32, flags: u32) {
    // One at a time, so that one without memory leaves out no other.
    let mut next = lists;
    while !next.is_null() {
        let list = next;
        // SAFETY: (RCV-3) lent for the time of the call; the link is put back.
        unsafe {
            next = (*list).Next;
            if push(list, lane.miniport()) {
                (*list).Next = null_mut();
                NdisMIndicateReceiveNetBufferLists(lane.miniport(), list, port, 1, flags);
                pop(list);
                (*list).Next = next;
            }
        }
    }
}

/// Gives lists back to the adapter that were not shown.
pub(crate) fn give_back(lane: &Lane, lists: *mut NET_BUFFER_LIST, at_dispatch: bool) {
    let flags = if at_dispatch {
        NDIS_RETURN_FLAGS_DISPATCH_LEVEL
    } else {
        0
    };
    // SAFETY: (RCV-1) the driver's, given back once.
    unsafe { NdisReturnNetBufferLists(lane.binding(), lists, flags) };
}

/// MiniportReturnNetBufferLists.
pub(crate) unsafe extern "efiapi" fn returned(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    flags: u32,
) {
    instead!(Returned(Lane::of(context), lists, flags), honest_returned);
}

/// Restores the source handles and gives the chain back (RCV-6, RCV-7).
pub(crate) fn honest_returned(lane: &Lane, lists: *mut NET_BUFFER_LIST, flags: u32) {
    let count = each(lists, pop);
    give_back(lane, lists, flags & NDIS_RETURN_FLAGS_DISPATCH_LEVEL != 0);
    lane.leave(i64::from(count));
}

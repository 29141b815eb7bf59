//! Misdeeds about sends (SND).

use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;

use ndis_sys::*;

use super::tools::{
    behead, entry, first_apart, lend_one, once, send_clone, send_own, sent_clone, sent_own,
};
use crate::bind::{clean_up, close};
use crate::data::{complete, honest_cancel, honest_send, honest_sent, split};
use crate::entry::PROTOCOL;
use crate::lane::Lane;
use crate::miniport::withdraw;
use crate::raw::{each, pop};
use crate::table::misdeeds;

/// Completes a list that is below though others came back.
fn complete_another(lane: &Lane, lists: *mut NET_BUFFER_LIST, flags: u32) {
    let mut below = 0;
    for slot in &lane.scratch[..2] {
        each(lists, |list| {
            let _ = slot.compare_exchange(list as usize, 0, SeqCst, SeqCst);
        });
        below = below.max(slot.load(SeqCst));
    }
    if below != 0 && once(lane) {
        // SAFETY: (SND-8) broken on purpose: the list is below, of the adapter; the host takes it
        // for another's.
        unsafe { NdisMSendNetBufferListsComplete(lane.miniport(), below as *mut _, 0) };
    }
    honest_sent(lane, lists, flags);
}

misdeeds! {
    "SND-1" "lost-at-halt" in "brief"
    : "keeps the first list that is sent, and halts with it" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |_| lane.leave(1)));

    "SND-2" "completed-twice" in "pended"
    : "completes the first list of a completion again" =>
        Sent(|lane, lists, flags| {
            let (first, rest) = behead(lists);
            honest_sent(lane, first, flags);
            if once(lane) {
                // SAFETY: (SND-2) broken on purpose: the list is not the driver's any more.
                unsafe { NdisMSendNetBufferListsComplete(lane.miniport(), first, 0) };
            }
            if !rest.is_null() {
                honest_sent(lane, rest, flags);
            }
        });

    "SND-3" "touched-after-completion" in "pended"
    : "writes into a list that it has completed" =>
        Sent(|lane, lists, flags| {
            honest_sent(lane, lists, flags);
            // SAFETY: (SND-3) broken on purpose: the list is not the driver's any more; the host
            // stops the write.
            unsafe { (&raw mut (*lists).Scratch).write_volatile(null_mut()) };
        });

    "SND-4" "pending-is-final" in "pended"
    : "completes a list with NDIS_STATUS_PENDING" =>
        Sent(|lane, lists, flags| {
            if once(lane) {
                // SAFETY: (SND-4) broken on purpose: the list is the driver's until it is
                // completed.
                unsafe { (*lists).Status = NDIS_STATUS_PENDING };
            }
            honest_sent(lane, lists, flags);
        });

    "SND-4" "no-status" in "unready"
    : "completes a list that it refuses without setting its status" =>
        Send(|lane, lists, port, flags| {
            if lane.refusal().is_none() {
                return honest_send(lane, lists, port, flags);
            }
            // SAFETY: (SND-4) broken on purpose: the lists are the driver's, refused, and without
            // a status.
            unsafe { NdisMSendNetBufferListsComplete(lane.miniport(), lists, 0) };
        });

    "SND-5" "last-first" in "pended" implies ["HOST-DATA: the frames overtake each other on the wire"]
    : "sends a chain in reverse" =>
        Send(|lane, lists, port, flags| {
            let (mut reversed, mut next) = (null_mut(), lists);
            while !next.is_null() {
                let (list, rest) = behead(next);
                // SAFETY: (SND-1) the list is the driver's and by itself.
                unsafe { (*list).Next = reversed };
                (reversed, next) = (list, rest);
            }
            honest_send(lane, reversed, port, flags);
        });

    "SND-6" "wrong-source" in "pended"
    : "sends a list with the miniport's handle as its source" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
            let (list, _) = split(list, lane.miniport());
            // SAFETY: (SND-6) broken on purpose: the list is the driver's, by itself and counted.
            unsafe { NdisSendNetBufferLists(lane.binding(), list, port, 0) };
        }));

    "SND-7" "source-kept" in "pended"
    : "completes lists with the binding's handle as their source" =>
        Sent(|lane, lists, flags| {
            let count = each(lists, |list| {
                pop(list);
                // SAFETY: (SND-7) broken on purpose: the list is the driver's until it is
                // completed.
                unsafe { (*list).SourceHandle = lane.binding() };
            });
            // SAFETY: (SND-7) broken on purpose: the lists are the driver's, completed once.
            unsafe {
                NdisMSendNetBufferListsComplete(lane.miniport(), lists, flags & NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL);
            };
            lane.leave(i64::from(count));
        });

    "SND-8" "completions-in-order" in "mixed"
    : "completes another list than the one that came back" =>
        Send(|lane, lists, port, flags| {
            let mut next = lists;
            while !next.is_null() {
                let (list, rest) = behead(next);
                // The first and the last of those that are below.
                let slot = &lane.scratch[usize::from(lane.scratch[0].load(SeqCst) != 0)];
                slot.store(list as usize, SeqCst);
                honest_send(lane, list, port, flags);
                next = rest;
            }
        }),
        Sent(complete_another);

    "SND-9" "shortened" in "pended"
    : "completes a list with a byte less" =>
        Sent(|lane, lists, flags| {
            if once(lane) {
                // SAFETY: (SND-9) broken on purpose: the list is the driver's until it is
                // completed, and has a NET_BUFFER.
                unsafe { (*(*lists).FirstNetBuffer).DataLength -= 1 };
            }
            honest_sent(lane, lists, flags);
        });

    "SND-10" "nothing-beside-it" in "pended"
    : "sends a clone without the information beside the original" =>
        // SAFETY: (SND-10) broken on purpose: the list is the driver's; `sent_clone` frees the
        // clone when it is back.
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| unsafe {
            let child = NdisAllocateCloneNetBufferList(list, null_mut(), null_mut(), 0);
            (*child).ParentNetBufferList = list;
            (*list).ChildRefCount = 1;
            (*child).SourceHandle = lane.binding();
            lane.scratch[1].store(list as usize, SeqCst);
            lane.scratch[0].store(child as usize, SeqCst);
            NdisSendNetBufferLists(lane.binding(), child, 0, 0);
        })),
        Sent(|lane, lists, flags| sent_clone(lane, lists, flags, false));

    "SND-11" "orphan" in "pended"
    : "sends a clone that does not name its parent" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
            // SAFETY: (SND-11) broken on purpose: the clone is the driver's own.
            send_clone(lane, list, |child| unsafe { (*child).ParentNetBufferList = null_mut() });
        })),
        Sent(|lane, lists, flags| sent_clone(lane, lists, flags, false));

    "SND-12" "failure-hidden" in "unplugged"
    : "completes a list with success though its clone failed" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| send_clone(lane, list, |_| ()))),
        Sent(|lane, lists, flags| sent_clone(lane, lists, flags, true));

    "SND-13" "cancel-ends-here" in "cancel"
    : "does not cancel below" =>
        CancelSend(|_, _| ());

    "SND-14" "cancel-id-cleared" in "cancel-ids"
    : "clears the cancel id of a list that it forwards" =>
        Send(|lane, lists, port, flags| {
            // SAFETY: (SND-14) broken on purpose: the list is the driver's; the entry is a
            // pointer's width.
            each(lists, |list| unsafe { entry(list, NetBufferListCancelId).write(null_mut()) });
            honest_send(lane, lists, port, flags);
        });

    "SND-14" "cancel-id-made-up" in "pended"
    : "sends a list of its own with a cancel id that NDIS gave no part of" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
            // SAFETY: (SND-14) broken on purpose: the list is the driver's own; the entry is a
            // pointer's width.
            send_own(lane, list, PROTOCOL.get(), 0, |list| unsafe {
                entry(list, NetBufferListCancelId).write((0xFF_usize << 56 | 1) as PVOID);
            });
        })),
        Sent(sent_own);

    "SND-15" "closed-under-a-cancel" in "cancel"
    : "closes the adapter while a cancel runs on it" =>
        CancelSend(|lane, id| {
            lane.scratch[2].store(1, SeqCst);
            honest_cancel(lane, id);
            lane.scratch[2].store(0, SeqCst);
        }),
        Sent(|lane, lists, flags| {
            if lane.scratch[2].swap(0, SeqCst) == 1 {
                // SAFETY: (SND-15) broken on purpose: the lane's own binding, while a cancel runs
                // on it.
                unsafe { NdisCloseAdapterEx(lane.binding()) };
            }
            honest_sent(lane, lists, flags);
        });

    "SND-16" "success-after-close" in "brief" implies ["UNB-7: the miniport that sends is there after the close"]
    : "completes a send with success when its adapter is closed" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
            lane.scratch[0].store(list as usize, SeqCst);
            lane.leave(1);
        })),
        Unbind(|lane, _| {
            clean_up(lane);
            lane.requests.close();
            close(lane);
            let kept = lane.scratch[0].load(SeqCst) as *mut NET_BUFFER_LIST;
            if !kept.is_null() {
                lane.enter(1);
                complete(lane, kept, NDIS_STATUS_SUCCESS, false);
            }
            withdraw(lane);
            lane.set_binding(null_mut());
            lane.used.store(false, SeqCst);
            NDIS_STATUS_SUCCESS
        });

    "SND-17" "split-header" in "pended"
    : "sends a frame of its own with its MAC header in two MDLs" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| send_own(lane, list, PROTOCOL.get(), 6, |_| ()))),
        Sent(sent_own);

    "SND-18" "loops-back" in "pended"
    : "shows a list that is sent on the miniport that sends it" =>
        Send(|lane, lists, port, flags| {
            if lane.refusal().is_none() && once(lane) {
                // SAFETY: (SND-18) broken on purpose: the list is the driver's, the clone its own
                // and lent, so that it is back.
                unsafe {
                    let clone = NdisAllocateCloneNetBufferList(lists, null_mut(), null_mut(), 0);
                    lend_one(lane, clone, 0);
                    NdisFreeCloneNetBufferList(clone, 0);
                }
            }
            honest_send(lane, lists, port, flags);
        });

    "SND-19" "loopback-asked" in "life"
    : "passes CHECK_FOR_LOOPBACK down" =>
        Send(|lane, lists, port, flags| {
            if lane.refusal().is_some() {
                return honest_send(lane, lists, port, flags);
            }
            lane.enter(i64::from(each(lists, |_| ())));
            let (passed, _) = split(lists, lane.binding());
            let flags = flags | NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK;
            // SAFETY: (SND-19) broken on purpose: the lists are the driver's and counted.
            unsafe { NdisSendNetBufferLists(lane.binding(), passed, port, flags) };
        });

    "SND-20" "forgotten" in "minute"
    : "forgets the first list that is sent" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |_| lane.leave(1)));

    "SND-21" "stalled" in "stall"
    : "completes nothing for 25 seconds" =>
        Send(|lane, lists, port, flags| {
            if lane.refusal().is_none() && once(lane) {
                lane.enter(i64::from(each(lists, |_| ())));
                lane.scratch[0].store(lists as usize, SeqCst);
                return;
            }
            let kept = lane.scratch[0].swap(0, SeqCst) as *mut NET_BUFFER_LIST;
            if !kept.is_null() {
                complete(lane, kept, NDIS_STATUS_FAILURE, false);
            }
            honest_send(lane, lists, port, flags);
        });
}

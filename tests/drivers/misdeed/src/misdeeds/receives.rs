//! Misdeeds about receives (RCV).

use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;

use ndis_sys::*;

use super::tools::{behead, data_of, free_own, is_lent, lend_one, once, own, take};
use crate::data::{give_back, honest_receive, honest_returned, split};
use crate::entry::DRIVER;
use crate::lane::{Lane, all};
use crate::miniport::honest_restart;
use crate::raw::{each, pop};
use crate::table::misdeeds;

/// Indicates lists with these flags and this number; the driver's until now.
fn show(lane: &Lane, lists: *mut NET_BUFFER_LIST, count: i32, flags: u32) {
    lane.enter(i64::from(each(lists, |_| ())));
    // SAFETY: (RCV-1, RCV-4) the lists are the driver's and counted out; what is wrong with them
    // is the misdeed.
    unsafe {
        NdisMIndicateReceiveNetBufferLists(lane.miniport(), lists, 0, count as u32, flags);
    };
}

/// Does something else with the first received list that may be kept and go up; the rest goes
/// its honest way.
fn first_received(
    lane: &Lane,
    lists: *mut NET_BUFFER_LIST,
    port: u32,
    count: u32,
    flags: u32,
    act: impl FnOnce(*mut NET_BUFFER_LIST),
) {
    if is_lent(flags) || lane.refusal().is_some() || !once(lane) {
        return honest_receive(lane, lists, port, count, flags);
    }
    let (first, rest) = behead(lists);
    act(first);
    if !rest.is_null() {
        honest_receive(lane, rest, port, count - 1, flags);
    }
}

misdeeds! {
    "RCV-1" "returned-twice" in "kept"
    : "returns the first list of a chain again" =>
        Returned(|lane, lists, flags| {
            let (first, rest) = behead(lists);
            honest_returned(lane, first, flags);
            if once(lane) {
                // SAFETY: (RCV-1) broken on purpose: the list is not the driver's any more.
                unsafe { NdisReturnNetBufferLists(lane.binding(), first, 0) };
            }
            if !rest.is_null() {
                honest_returned(lane, rest, flags);
            }
        });

    "RCV-2" "lent-is-returned" in "lent"
    : "returns lists that were lent" =>
        Receive(|lane, lists, port, count, flags| {
            honest_receive(lane, lists, port, count, flags);
            // One that is alone, as the chain is followed no further than it goes.
            // SAFETY: (RCV-1) the lists are lent until the handler returns.
            if is_lent(flags) && unsafe { (*lists).Next }.is_null() && once(lane) {
                give_back(lane, lists, false);
            }
        });

    "RCV-3" "lent-is-kept" in "lent-back"
    : "shows a clone of a lent list without saying that it is lent" =>
        Receive(|lane, lists, port, count, flags| {
            if !is_lent(flags) || lane.refusal().is_some() || !once(lane) {
                return honest_receive(lane, lists, port, count, flags);
            }
            // SAFETY: (RCV-3) broken on purpose: the list is lent until the handler returns, the
            // clone is the driver's own; its frame is not.
            unsafe {
                let clone = NdisAllocateCloneNetBufferList(lists, null_mut(), null_mut(), 0);
                NdisCopyReceiveNetBufferListInfo(clone, lists);
                (*clone).SourceHandle = lane.miniport();
                lane.scratch[0].store(clone as usize, SeqCst);
                show(lane, clone, 1, flags & !NDIS_RECEIVE_FLAGS_RESOURCES);
                let rest = (*lists).Next;
                if !rest.is_null() {
                    honest_receive(lane, rest, port, count - 1, flags);
                }
            }
        }),
        Returned(|lane, lists, flags| {
            let (found, rest) = take(lists, lane.scratch[0].load(SeqCst));
            if found {
                let clone = lane.scratch[0].swap(0, SeqCst) as *mut NET_BUFFER_LIST;
                // SAFETY: (NBL-4) the driver's own clone, back from above.
                unsafe { NdisFreeCloneNetBufferList(clone, 0) };
                lane.leave(1);
            }
            if !rest.is_null() {
                honest_returned(lane, rest, flags);
            }
        });

    "RCV-4" "miscounted" in "kept"
    : "says that a chain has a list more than it has" =>
        Receive(|lane, lists, port, count, flags| {
            if is_lent(flags) || lane.refusal().is_some() || !once(lane) {
                return honest_receive(lane, lists, port, count, flags);
            }
            let (passed, _) = split(lists, lane.miniport());
            show(lane, passed, count as i32 + 1, flags);
        });

    "RCV-5" "wrong-source" in "kept"
    : "shows lists with the binding's handle as their source" =>
        Receive(|lane, lists, port, count, flags| {
            if is_lent(flags) || lane.refusal().is_some() {
                return honest_receive(lane, lists, port, count, flags);
            }
            let (passed, _) = split(lists, lane.binding());
            show(lane, passed, count as i32, flags);
        });

    "RCV-6" "source-kept" in "kept"
    : "returns lists with the miniport's handle as their source" =>
        Returned(|lane, lists, flags| {
            let count = each(lists, |list| {
                pop(list);
                // SAFETY: (RCV-6) broken on purpose: the list is back from above and the
                // driver's.
                unsafe { (*list).SourceHandle = lane.miniport() };
            });
            give_back(lane, lists, flags & NDIS_RETURN_FLAGS_DISPATCH_LEVEL != 0);
            lane.leave(i64::from(count));
        });

    "RCV-7" "shortened" in "kept"
    : "returns a list with a byte less" =>
        Returned(|lane, lists, flags| {
            if once(lane) {
                // SAFETY: (RCV-7) broken on purpose: the list is the driver's until it is
                // returned, and has a NET_BUFFER.
                unsafe { (*(*lists).FirstNetBuffer).DataLength -= 1 };
            }
            honest_returned(lane, lists, flags);
        });

    "RCV-8" "waits-for-what-was-lent" in "kept"
    : "shows lists as lent, and waits for their return" =>
        Receive(|lane, lists, port, count, flags| {
            if is_lent(flags) || lane.refusal().is_some() || !once(lane) {
                return honest_receive(lane, lists, port, count, flags);
            }
            let (passed, _) = split(lists, lane.miniport());
            // SAFETY: (RCV-8) broken on purpose: the lists are the driver's; nobody returns what
            // was lent.
            unsafe {
                NdisMIndicateReceiveNetBufferLists(
                    lane.miniport(), passed, port, count, flags | NDIS_RECEIVE_FLAGS_RESOURCES,
                );
            }
        });

    "RCV-9" "other-binding" in "two-kept"
    : "returns lists of one adapter to another" =>
        Returned(|lane, lists, flags| {
            let Some(other) = all().find(|other| !core::ptr::eq(*other, lane)) else {
                return honest_returned(lane, lists, flags);
            };
            let count = each(lists, pop);
            // SAFETY: (RCV-9) broken on purpose: the lists are the driver's, and of the lane's
            // adapter.
            unsafe { NdisReturnNetBufferLists(other.binding(), lists, 0) };
            lane.leave(i64::from(count));
        });

    "RCV-10" "nothing-beside-it" in "kept"
    : "shows a clone without the information beside the original" =>
        // SAFETY: (RCV-10) broken on purpose: the list is the driver's, the clone its own and
        // lent, so that it is back.
        Receive(|lane, lists, port, count, flags| first_received(lane, lists, port, count, flags, |list| unsafe {
            let clone = NdisAllocateCloneNetBufferList(list, null_mut(), null_mut(), 0);
            lend_one(lane, clone, 0);
            NdisFreeCloneNetBufferList(clone, 0);
            give_back(lane, list, false);
        }));

    "RCV-11" "children-left" in "kept"
    : "returns a list that still counts a child" =>
        Returned(|lane, lists, flags| {
            if once(lane) {
                // SAFETY: (RCV-11) broken on purpose: the list is the driver's until it is
                // returned.
                unsafe { (*lists).ChildRefCount = 1 };
            }
            honest_returned(lane, lists, flags);
        });

    "RCV-12" "flags-made-up" in "kept"
    : "says that lists have shared memory" =>
        Receive(|lane, lists, port, count, flags| {
            honest_receive(lane, lists, port, count, flags | NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID);
        });

    "RCV-13" "two-frames" in "kept"
    : "shows a list with two NET_BUFFERs" =>
        Receive(|lane, lists, port, count, flags| {
            // SAFETY: (RCV-1) the lists are the driver's.
            let second = unsafe { (*lists).Next };
            if second.is_null() {
                return honest_receive(lane, lists, port, count, flags);
            }
            // SAFETY: (RCV-13) broken on purpose: both lists are the driver's and have a
            // NET_BUFFER; the first is lent, so it is back.
            first_received(lane, lists, port, count, flags, |list| unsafe {
                let source = (*list).SourceHandle;
                (*(*list).FirstNetBuffer).Next = (*second).FirstNetBuffer;
                lend_one(lane, list, 0);
                (*(*list).FirstNetBuffer).Next = null_mut();
                (*list).SourceHandle = source;
                give_back(lane, list, false);
            });
        });

    "RCV-14" "before-the-filter" in "silent"
    : "shows a frame before a packet filter is set" =>
        Restart(|lane, parameters| {
            if once(lane) {
                let (list, memory) = own(DRIVER.get(), 0, null_mut());
                lend_one(lane, list, 0);
                free_own(list, memory);
            }
            honest_restart(lane, parameters)
        });

    "RCV-15" "read-only-written" in "read-only"
    : "writes into the frame of a read-only list" =>
        Receive(|lane, lists, port, count, flags| {
            // SAFETY: (RCV-15) broken on purpose: the frame lies in one piece of memory; the host
            // stops the write.
            unsafe { data_of(lists).write_volatile(0x55) };
            honest_receive(lane, lists, port, count, flags);
        });

    "RCV-15" "read-only-shortened" in "read-only"
    : "shows a read-only list with a byte less" =>
        Receive(|lane, lists, port, count, flags| {
            if is_lent(flags) || lane.refusal().is_some() || !once(lane) {
                return honest_receive(lane, lists, port, count, flags);
            }
            let (passed, _) = split(lists, lane.miniport());
            // SAFETY: (RCV-15) broken on purpose: the list is the driver's and has a NET_BUFFER.
            unsafe { (*(*passed).FirstNetBuffer).DataLength -= 1 };
            lane.scratch[0].store(passed as usize, SeqCst);
            show(lane, passed, count as i32, flags);
        }),
        Returned(|lane, lists, flags| {
            let spoilt = lane.scratch[0].load(SeqCst);
            each(lists, |list| {
                if list as usize == spoilt {
                    lane.scratch[0].store(0, SeqCst);
                    // SAFETY: (RCV-7) the list is back from above and the driver's.
                    unsafe { (*(*list).FirstNetBuffer).DataLength += 1 };
                }
            });
            honest_returned(lane, lists, flags);
        });
}

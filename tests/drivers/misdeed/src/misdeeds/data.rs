//! Misdeeds about sends, receives, lists, cancels and offloads (SND, RCV, NBL, CAN, OFF, SO,
//! RSS, RSC, QOS).

use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;

use ndis_sys::*;

use super::tools::{
    behead, data_of, entry, first_apart, free, free_own, memory, once, own, pool_parameters,
    send_clone, send_own, sent_clone, sent_own, take,
};
use crate::bind::{clean_up, close, honest_bind, honest_unbind};
use crate::data::{
    complete, give_back, honest_cancel, honest_receive, honest_returned, honest_send, honest_sent,
    split,
};
use crate::entry::{DRIVER, PROTOCOL, is_associated};
use crate::lane::{Lane, all, device};
use crate::miniport::{honest_halt, honest_initialize, honest_restart, initialize, name, withdraw};
use crate::raw::{CONTEXT_BYTES, Plain, TAG, counted, each, header, pop, wide};
use crate::requests::{honest_request, oid};
use crate::table::misdeeds;

/// What a device was asked for with, instead of the lane.
fn ask_with_memory(lane: &Lane) {
    let context = memory(64);
    lane.scratch[0].store(context as usize, SeqCst);
    unsafe { context.cast::<NDIS_HANDLE>().write(lane.context()) };
    lane.device.store(device::REQUESTED, SeqCst);
    let mut name = name(lane);
    unsafe {
        NdisIMInitializeDeviceInstanceEx(DRIVER.get(), &raw mut name, context.cast());
    }
}

/// MiniportInitializeEx of such a device, which takes its time.
unsafe extern "efiapi" fn initialize_slowly(
    handle: NDIS_HANDLE,
    driver: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    unsafe {
        let context = (*parameters).IMDeviceInstanceContext;
        let lane = context.cast::<NDIS_HANDLE>().read();
        (*parameters).IMDeviceInstanceContext = lane;
        let status = initialize(handle, driver, parameters);
        NdisMSleep(10_000);
        status
    }
}

/// Withdraws a device, and frees its context whatever NDIS says.
fn withdraw_and_free(lane: &Lane) {
    let mut name = name(lane);
    unsafe { NdisIMCancelInitializeDeviceInstance(DRIVER.get(), &raw mut name) };
    free(lane.scratch[0].load(SeqCst) as *mut u8);
    // The handler is on its way out by now.
    unsafe { NdisMSleep(30_000) };
    withdraw(lane);
}

/// Offload attributes with these claims at an offset.
fn claim(handle: NDIS_HANDLE, revision: u8, words: &[(usize, u32)]) {
    let mut offload = NDIS_OFFLOAD::zeroed();
    offload.Header = header(
        NDIS_OBJECT_TYPE_OFFLOAD,
        revision,
        size_of::<NDIS_OFFLOAD>(),
    );
    for &(offset, word) in words {
        unsafe { (&raw mut offload).cast::<u32>().add(offset / 4).write(word) };
    }
    let mut a = NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES::zeroed();
    a.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
        NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
        size_of::<NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES>(),
    );
    a.DefaultOffloadConfiguration = &raw mut offload;
    a.HardwareOffloadCapabilities = &raw mut offload;
    unsafe { NdisMSetMiniportAttributes(handle, (&raw mut a).cast()) };
}

/// TCP checksums of IPv4, both ways.
const CHECKSUMS: [(usize, u32); 2] = [(8, 0x10), (16, 0x10)];
/// Large sends of IPv4, up to what the adapter takes.
const LARGE_SENDS: [(usize, u32); 1] = [(84, 4096)];
/// Version 2, and 64 bytes in each segment.
const LARGE: usize = 1 << 30 | 64;

/// MiniportSetOptions with the handle that the registration returns, which it has not yet.
unsafe extern "efiapi" fn options_too_early(_: NDIS_HANDLE, _: NDIS_HANDLE) -> NDIS_STATUS {
    options(DRIVER.get(), NDIS_OBJECT_TYPE_MINIPORT_PNP_CHARACTERISTICS)
}

/// MiniportSetOptions with a structure of a protocol's.
unsafe extern "efiapi" fn options_of_others(handle: NDIS_HANDLE, _: NDIS_HANDLE) -> NDIS_STATUS {
    options(handle, NDIS_OBJECT_TYPE_CO_PROTOCOL_CHARACTERISTICS)
}

/// ProtocolSetOptions that sets none.
unsafe extern "efiapi" fn no_options(_: NDIS_HANDLE, _: NDIS_HANDLE) -> NDIS_STATUS {
    NDIS_STATUS_SUCCESS
}

fn options(handle: NDIS_HANDLE, kind: u8) -> NDIS_STATUS {
    let mut words = [0_u64; 16];
    let header = header(kind, 1, size_of_val(&words));
    unsafe {
        (&raw mut words).cast::<NDIS_OBJECT_HEADER>().write(header);
        NdisSetOptionalHandlers(handle, (&raw mut words).cast());
    }
    NDIS_STATUS_SUCCESS
}

/// MiniportSetOptions that fails and keeps what it allocated.
unsafe extern "efiapi" fn options_that_leak(_: NDIS_HANDLE, _: NDIS_HANDLE) -> NDIS_STATUS {
    // There is no handle yet but the one it was given.
    let flags = POOL_FLAG_NON_PAGED;
    unsafe { ExAllocatePool2(flags, 64, TAG) };
    NDIS_STATUS_RESOURCES
}

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
        unsafe { NdisMSendNetBufferListsComplete(lane.miniport(), below as *mut _, 0) };
    }
    honest_sent(lane, lists, flags);
}

/// Indicates a list lent, and takes it back.
fn lend_one(lane: &Lane, list: *mut NET_BUFFER_LIST, flags: u32) {
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
const fn is_lent(flags: u32) -> bool {
    flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0
}

/// Indicates lists with these flags and this number; the driver's until now.
fn show(lane: &Lane, lists: *mut NET_BUFFER_LIST, count: i32, flags: u32) {
    lane.enter(i64::from(each(lists, |_| ())));
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
    "SND-1" "lost-at-halt" in "brief"
    : "keeps the first list that is sent, and halts with it" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |_| lane.leave(1)));

    "SND-2" "completed-twice" in "pended"
    : "completes the first list of a completion again" =>
        Sent(|lane, lists, flags| {
            let (first, rest) = behead(lists);
            honest_sent(lane, first, flags);
            if once(lane) {
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
            unsafe { (&raw mut (*lists).Scratch).write_volatile(null_mut()) };
        });

    "SND-4" "pending-is-final" in "pended"
    : "completes a list with NDIS_STATUS_PENDING" =>
        Sent(|lane, lists, flags| {
            if once(lane) {
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
            unsafe { NdisMSendNetBufferListsComplete(lane.miniport(), lists, 0) };
        });

    "SND-5" "last-first" in "pended" implies ["HOST-DATA: the frames overtake each other on the wire"]
    : "sends a chain in reverse" =>
        Send(|lane, lists, port, flags| {
            let (mut reversed, mut next) = (null_mut(), lists);
            while !next.is_null() {
                let (list, rest) = behead(next);
                unsafe { (*list).Next = reversed };
                (reversed, next) = (list, rest);
            }
            honest_send(lane, reversed, port, flags);
        });

    "SND-6" "wrong-source" in "pended"
    : "sends a list with the miniport's handle as its source" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
            let (list, _) = split(list, lane.miniport());
            unsafe { NdisSendNetBufferLists(lane.binding(), list, port, 0) };
        }));

    "SND-7" "source-kept" in "pended"
    : "completes lists with the binding's handle as their source" =>
        Sent(|lane, lists, flags| {
            let count = each(lists, |list| {
                pop(list);
                unsafe { (*list).SourceHandle = lane.binding() };
            });
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
                unsafe { (*(*lists).FirstNetBuffer).DataLength -= 1 };
            }
            honest_sent(lane, lists, flags);
        });

    "SND-10" "nothing-beside-it" in "pended"
    : "sends a clone without the information beside the original" =>
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
            each(lists, |list| unsafe { entry(list, NetBufferListCancelId).write(null_mut()) });
            honest_send(lane, lists, port, flags);
        });

    "SND-14" "cancel-id-made-up" in "pended"
    : "sends a list of its own with a cancel id that NDIS gave no part of" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
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

    "RCV-1" "returned-twice" in "kept"
    : "returns the first list of a chain again" =>
        Returned(|lane, lists, flags| {
            let (first, rest) = behead(lists);
            honest_returned(lane, first, flags);
            if once(lane) {
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
                unsafe { (*list).SourceHandle = lane.miniport() };
            });
            give_back(lane, lists, flags & NDIS_RETURN_FLAGS_DISPATCH_LEVEL != 0);
            lane.leave(i64::from(count));
        });

    "RCV-7" "shortened" in "kept"
    : "returns a list with a byte less" =>
        Returned(|lane, lists, flags| {
            if once(lane) {
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
            unsafe { NdisReturnNetBufferLists(other.binding(), lists, 0) };
            lane.leave(i64::from(count));
        });

    "RCV-10" "nothing-beside-it" in "kept"
    : "shows a clone without the information beside the original" =>
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
            let second = unsafe { (*lists).Next };
            if second.is_null() {
                return honest_receive(lane, lists, port, count, flags);
            }
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
            unsafe { (*(*passed).FirstNetBuffer).DataLength -= 1 };
            lane.scratch[0].store(passed as usize, SeqCst);
            show(lane, passed, count as i32, flags);
        }),
        Returned(|lane, lists, flags| {
            let spoilt = lane.scratch[0].load(SeqCst);
            each(lists, |list| {
                if list as usize == spoilt {
                    lane.scratch[0].store(0, SeqCst);
                    unsafe { (*(*list).FirstNetBuffer).DataLength += 1 };
                }
            });
            honest_returned(lane, lists, flags);
        });

    "NBL-1" "of-no-pool" in "pended"
    : "sends a list that it has made in memory of its own" =>
        Send(|lane, lists, port, flags| {
            if lane.refusal().is_none() && once(lane) {
                let bytes = size_of::<NET_BUFFER_LIST>();
                let list = memory(bytes as u32).cast::<NET_BUFFER_LIST>();
                unsafe {
                    core::ptr::write_bytes(list.cast::<u8>(), 0, bytes);
                    (*list).SourceHandle = lane.binding();
                    NdisSendNetBufferLists(lane.binding(), list, port, 0);
                }
                free(list.cast());
            }
            honest_send(lane, lists, port, flags);
        });

    "NBL-2" "context-of-eight" in "bind"
    : "makes a pool with eight bytes of context" =>
        Restart(|lane, parameters| {
            let mut p = pool_parameters();
            p.ContextSize = 8;
            unsafe {
                let pool = NdisAllocateNetBufferListPool(DRIVER.get(), &raw mut p);
                NdisFreeNetBufferListPool(pool);
            }
            honest_restart(lane, parameters)
        });

    "NBL-3" "pool-of-the-other-edge" in "pended"
    : "sends a list out of a pool of its miniport edge" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| send_own(lane, list, DRIVER.get(), 0, |_| ()))),
        Sent(sent_own);

    "NBL-4" "clone-flags" in "pended"
    : "frees a clone with other flags than it was made with" =>
        Send(|lane, lists, port, flags| {
            if lane.refusal().is_none() && once(lane) {
                unsafe {
                    let clone = NdisAllocateCloneNetBufferList(lists, null_mut(), null_mut(), 0);
                    NdisFreeCloneNetBufferList(clone, NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS);
                }
            }
            honest_send(lane, lists, port, flags);
        });

    "NBL-5" "context-kept" in "pended"
    : "completes lists with the context that it added" =>
        Sent(|lane, lists, flags| {
            if !once(lane) {
                return honest_sent(lane, lists, flags);
            }
            let (first, rest) = behead(lists);
            pop(first);
            unsafe {
                NdisAllocateNetBufferListContext(first, CONTEXT_BYTES, 0, TAG);
                NdisMSendNetBufferListsComplete(lane.miniport(), first, 0);
            }
            lane.leave(1);
            if !rest.is_null() {
                honest_sent(lane, rest, flags);
            }
        });

    "NBL-6" "reserved-used" in "pended"
    : "keeps something in the reserved fields of a list that it forwards" =>
        Send(|lane, lists, port, flags| {
            each(lists, |list| unsafe { (*list).MiniportReserved[0] = lane.context() });
            honest_send(lane, lists, port, flags);
        });

    "NBL-7" "advanced" in "pended"
    : "moves the start of the data, and leaves it there" =>
        Sent(|lane, lists, flags| {
            if once(lane) {
                unsafe { NdisAdvanceNetBufferDataStart((*lists).FirstNetBuffer, 4, 0, None) };
            }
            honest_sent(lane, lists, flags);
        });

    "NBL-8" "net-buffer-left" in "bind"
    : "leaves a NET_BUFFER that it allocated when it was initialised" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            let mut p = NET_BUFFER_POOL_PARAMETERS::zeroed();
            p.Header = header(
                NDIS_OBJECT_TYPE_DEFAULT,
                NET_BUFFER_POOL_PARAMETERS_REVISION_1,
                NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1 as usize,
            );
            p.PoolTag = TAG;
            unsafe {
                let pool = NdisAllocateNetBufferPool(DRIVER.get(), &raw mut p);
                NdisAllocateNetBuffer(pool, null_mut(), 0, 0);
                lane.scratch[0].store(pool as usize, SeqCst);
            }
            status
        }),
        Unbind(|lane, context| {
            let status = honest_unbind(lane, context);
            unsafe { NdisFreeNetBufferPool(lane.scratch[0].load(SeqCst) as _) };
            status
        });

    "NBL-9" "mdl-left" in "bind"
    : "leaves an MDL of its adapter" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            let memory = memory(64);
            unsafe { NdisAllocateMdl(handle, memory.cast(), 64) };
            lane.scratch[0].store(memory as usize, SeqCst);
            status
        }),
        Halt(|lane, action| {
            free(lane.scratch[0].load(SeqCst) as *mut u8);
            honest_halt(lane, action);
        });

    "NBL-10" "kept-at-unbind" in "kept-to-the-end"
    : "keeps a received list when it unbinds" =>
        Receive(|lane, lists, port, count, flags| {
            if is_lent(flags) || lane.refusal().is_some() || !once(lane) {
                return honest_receive(lane, lists, port, count, flags);
            }
            let (_, rest) = behead(lists);
            if !rest.is_null() {
                honest_receive(lane, rest, port, count - 1, flags);
            }
        });

    "CAN-1" "never-withdrawn" in "never"
    : "unbinds without taking its request for a miniport back" =>
        Withdraw(|lane| lane.device.store(device::NONE, SeqCst));

    "CAN-2" "other-name" in "never"
    : "takes back a request that it has not made" =>
        Withdraw(|lane| {
            const OTHER: [u16; 12] = wide(b"\\DEVICE\\NONE");
            let mut other = counted(&OTHER);
            unsafe { NdisIMCancelInitializeDeviceInstance(DRIVER.get(), &raw mut other) };
            withdraw(lane);
        });

    "CAN-3" "context-freed-early" in "racing"
    : "frees the context of a miniport that is being initialised" =>
        Miniport(|c| c.InitializeHandlerEx = Some(initialize_slowly)),
        Request(ask_with_memory),
        Withdraw(withdraw_and_free);

    "CAN-4" "context-lost" in "never"
    : "does not free the context of a miniport whose request it took back" =>
        Request(ask_with_memory);

    "OFF-1" "claims-too-much" in "bind"
    : "offers checksums that its adapter does not" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            claim(handle, NDIS_OFFLOAD_REVISION_6, &CHECKSUMS);
            status
        });

    "OFF-1" "asks-too-much" in "pended"
    : "asks an adapter for a checksum that it does not offer" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
            send_own(lane, list, PROTOCOL.get(), 0, |list| unsafe {
                entry(list, TcpIpChecksumNetBufferListInfo).write(0b101 as PVOID);
            });
        })),
        Sent(sent_own);

    "OFF-2" "changes-data" in "tasks" implies ["HOST-DATA: the frames arrive with other bytes"]
    : "offers checksums, and changes data on their way" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            claim(handle, NDIS_OFFLOAD_REVISION_6, &CHECKSUMS);
            status
        }),
        Send(|lane, lists, port, flags| {
            if lane.refusal().is_none() {
                each(lists, |list| unsafe { *data_of(list).add(20) ^= 1 });
            }
            honest_send(lane, lists, port, flags);
        }),
        Sent(|lane, lists, flags| {
            each(lists, |list| unsafe { *data_of(list).add(20) ^= 1 });
            honest_sent(lane, lists, flags);
        });

    "OFF-3" "too-large" in "small-sends"
    : "asks for a large send that the adapter does not take" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
            send_own(lane, list, PROTOCOL.get(), 0, |list| unsafe {
                entry(list, TcpLargeSendNetBufferListInfo).write(LARGE as PVOID);
            });
        })),
        Sent(sent_own);

    "OFF-4" "result-lost" in "tasks"
    : "completes a large send without saying what was sent" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            claim(handle, NDIS_OFFLOAD_REVISION_6, &LARGE_SENDS);
            status
        }),
        Sent(|lane, lists, flags| {
            each(lists, |list| unsafe { entry(list, TcpLargeSendNetBufferListInfo).write(LARGE as PVOID) });
            honest_sent(lane, lists, flags);
        });

    "OFF-5" "old-revision" in "bind"
    : "describes its offloads with a revision that is not its version's" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            claim(handle, NDIS_OFFLOAD_REVISION_1, &[]);
            status
        });

    "SO-1" "handle-not-there-yet" in "load"
    : "uses the registration's handle inside MiniportSetOptions" =>
        Miniport(|c| c.SetOptionsHandler = Some(options_too_early));

    "SO-2" "options-of-others" in "load"
    : "sets handlers of a protocol on its miniport edge" =>
        Miniport(|c| c.SetOptionsHandler = Some(options_of_others));

    "SO-3" "options-leak" in "load"
    : "fails MiniportSetOptions, and keeps memory" =>
        Miniport(|c| c.SetOptionsHandler = Some(options_that_leak));

    "SO-4" "not-ready-yet" in "early"
    : "has its options set, and refuses a bind until its registration has returned" =>
        Protocol(|c| c.SetOptionsHandler = Some(no_options)),
        Bind(|context, parameters| {
            if is_associated() {
                honest_bind(context, parameters)
            } else {
                NDIS_STATUS_FAILURE
            }
        });

    "RSS-1" "hash-lost" in "kept"
    : "shows lists without the hash that they came with" =>
        Receive(|lane, lists, port, count, flags| {
            each(lists, |list| unsafe { entry(list, NetBufferListHashValue).write(null_mut()) });
            honest_receive(lane, lists, port, count, flags);
        });

    "RSS-2" "takes-what-it-lacks" in "optional"
    : "shows no RSS, and accepts its parameters" =>
        General(|a| a.RecvScaleCapabilities = null_mut()),
        Oid(|lane, request| match oid(request) {
            OID_GEN_RECEIVE_SCALE_PARAMETERS => {
                unsafe { (*request).SupportedRevision = 1 };
                NDIS_STATUS_SUCCESS
            }
            _ => honest_request(lane, request),
        });

    "RSC-1" "count-lost" in "coalesced"
    : "shows a coalesced list without saying so" =>
        Receive(|lane, lists, port, count, flags| {
            each(lists, |list| unsafe { entry(list, TcpRecvSegCoalesceInfo).write(null_mut()) });
            honest_receive(lane, lists, port, count, flags);
        });

    "QOS-1" "takes-what-it-lacks" in "optional"
    : "shows no QoS, and accepts its parameters" =>
        Oid(|lane, request| match oid(request) {
            OID_QOS_PARAMETERS => NDIS_STATUS_SUCCESS,
            _ => honest_request(lane, request),
        });
}

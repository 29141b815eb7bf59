//! Misdeeds about lists and their pools, and about requests for a miniport that are taken back
//! (NBL, CAN).

use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;

use ndis_sys::*;

use super::tools::{
    behead, first_apart, free, is_lent, memory, once, pool_parameters, send_own, sent_own,
};
use crate::bind::honest_unbind;
use crate::data::{honest_receive, honest_send, honest_sent};
use crate::entry::DRIVER;
use crate::lane::{Lane, device};
use crate::miniport::{honest_halt, honest_initialize, honest_restart, initialize, name, withdraw};
use crate::raw::{CONTEXT_BYTES, Plain, TAG, counted, each, header, pop, wide};
use crate::table::misdeeds;

/// What a device was asked for with, instead of the lane.
fn ask_with_memory(lane: &Lane) {
    let context = memory(64);
    lane.scratch[0].store(context as usize, SeqCst);
    // SAFETY: (CAN-3) 64 bytes of the driver's own that nobody else has yet.
    unsafe { context.cast::<NDIS_HANDLE>().write(lane.context()) };
    lane.device.store(device::REQUESTED, SeqCst);
    let mut name = name(lane);
    // SAFETY: (VMI-1, VMI-3) PASSIVE_LEVEL; the name lives until it returns, the memory longer.
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
    // SAFETY: (VMI-4) the context is what `ask_with_memory` wrote; the parameters are this call's
    // own.
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
    // SAFETY: (CAN-1) PASSIVE_LEVEL; the name lives until it returns.
    unsafe { NdisIMCancelInitializeDeviceInstance(DRIVER.get(), &raw mut name) };
    free(lane.scratch[0].load(SeqCst) as *mut u8);
    // The handler is on its way out by now.
    // SAFETY: (IRQ-22) PASSIVE_LEVEL.
    unsafe { NdisMSleep(30_000) };
    withdraw(lane);
}

misdeeds! {
    "NBL-1" "of-no-pool" in "pended"
    : "sends a list that it has made in memory of its own" =>
        Send(|lane, lists, port, flags| {
            if lane.refusal().is_none() && once(lane) {
                let bytes = size_of::<NET_BUFFER_LIST>();
                let list = memory(bytes as u32).cast::<NET_BUFFER_LIST>();
                // SAFETY: (NBL-1) broken on purpose: memory of a list's size; it is no list,
                // which the host says before it looks further.
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
            // SAFETY: (NBL-2) broken on purpose: the parameters live until it returns; the pool
            // is freed as it was made.
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
                // SAFETY: (NBL-4) broken on purpose: the list is the driver's, the clone its own,
                // and freed once.
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
            // SAFETY: (NBL-5) broken on purpose: the list is the driver's until it is completed;
            // its context stays.
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
            // SAFETY: (NBL-6) broken on purpose: the list is the driver's to forward; that field
            // is not.
            each(lists, |list| unsafe { (*list).MiniportReserved[0] = lane.context() });
            honest_send(lane, lists, port, flags);
        });

    "NBL-7" "advanced" in "pended"
    : "moves the start of the data, and leaves it there" =>
        Sent(|lane, lists, flags| {
            if once(lane) {
                // SAFETY: (NBL-7) broken on purpose: the list is the driver's until it is
                // completed.
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
            // SAFETY: (NBL-8) broken on purpose: the parameters live until it returns; the
            // NET_BUFFER is forgotten.
            unsafe {
                let pool = NdisAllocateNetBufferPool(DRIVER.get(), &raw mut p);
                NdisAllocateNetBuffer(pool, null_mut(), 0, 0);
                lane.scratch[0].store(pool as usize, SeqCst);
            }
            status
        }),
        Unbind(|lane, context| {
            let status = honest_unbind(lane, context);
            // SAFETY: (NBL-8) broken on purpose: the pool that `Initialize` made, with a
            // NET_BUFFER out.
            unsafe { NdisFreeNetBufferPool(lane.scratch[0].load(SeqCst) as _) };
            status
        });

    "NBL-9" "mdl-left" in "bind"
    : "leaves an MDL of its adapter" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            let memory = memory(64);
            // SAFETY: (NBL-9) broken on purpose: 64 bytes of the driver's own, which live longer;
            // the MDL is forgotten.
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
            // SAFETY: (CAN-2) broken on purpose: the name lives until it returns; nobody asked
            // for it.
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
}

//! Misdeeds about virtual miniports, halts, hangs, and what may be left (VMI, HLT, BUG, DPE,
//! UNI, UNL).

use core::ptr::null_mut;
use core::sync::atomic::Ordering;

use ndis_sys::*;

use crate::bind::{clean_up, close, honest_unbind};
use crate::data::honest_send;
use crate::entry::{DRIVER, PROTOCOL, honest_unload};
use crate::lane::{LANES, Lane, device};
use crate::miniport::{
    ask_for, begin, finish, honest_device_event, honest_halt, honest_initialize, honest_restart,
    name,
};
use crate::raw::{Plain, TAG, counted, each, header, wide};
use crate::table::misdeeds;

/// A pool of lists.
fn pool(owner: NDIS_HANDLE) -> NDIS_HANDLE {
    let mut p = NET_BUFFER_LIST_POOL_PARAMETERS::zeroed();
    p.Header = header(
        NDIS_OBJECT_TYPE_DEFAULT,
        NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
        size_of::<NET_BUFFER_LIST_POOL_PARAMETERS>(),
    );
    p.fAllocateNetBuffer = 1;
    p.PoolTag = TAG;
    // SAFETY: (NBL-2) the parameters live until it returns.
    unsafe { NdisAllocateNetBufferListPool(owner, &raw const p) }
}

unsafe extern "efiapi" fn work(_: PVOID, item: NDIS_HANDLE) {
    // SAFETY: (MEM-5) the item that this call came with.
    unsafe { NdisFreeIoWorkItem(item) };
}

/// Counts without a lock, and takes its time between the load and the store.
fn count_slowly() {
    let counter = LANES[0].scratch[2].as_ptr();
    // SAFETY: (VMI-9) broken on purpose: one word for all miniports, whose handlers run at once.
    unsafe {
        let old = counter.read_volatile();
        for round in 0..400 {
            core::hint::black_box(round);
        }
        counter.write_volatile(old.wrapping_add(1));
    }
}

/// Unbinds without the miniport.
fn unbind_alone(lane: &Lane) -> NDIS_STATUS {
    clean_up(lane);
    lane.requests.close();
    close(lane);
    lane.set_binding(null_mut());
    NDIS_STATUS_SUCCESS
}

misdeeds! {
    "VMI-1" "other-name" in "bind"
        implies ["BND-13: it says the same of what a bind asks for"]: "asks for a miniport that no binding lists" =>
        Request(|lane| {
            static NAME: [u16; 14] = wide(b"\\DEVICE\\NOBODY");
            let mut name = counted(&NAME);
            // SAFETY: (VMI-1) broken on purpose: the name lives until it returns, the lane for
            // ever; the request is taken back.
            unsafe {
                NdisIMInitializeDeviceInstanceEx(DRIVER.get(), &raw mut name, lane.context());
                NdisIMCancelInitializeDeviceInstance(DRIVER.get(), &raw mut name);
            }
            ask_for(lane);
        });
    "VMI-2" "twice" in "bind": "asks for a miniport that is there" =>
        Restart(|lane, parameters| {
            let mut name = name(lane);
            let context = lane.context();
            // SAFETY: (VMI-2) broken on purpose: the name lives until it returns, the lane for
            // ever.
            unsafe { NdisIMInitializeDeviceInstanceEx(DRIVER.get(), &raw mut name, context) };
            honest_restart(lane, parameters)
        });
    "VMI-3" "state-later" in "inside": "is not ready for MiniportInitializeEx in the request" =>
        Request(|lane| {
            let mut name = name(lane);
            let context = lane.context();
            // SAFETY: (VMI-3) broken on purpose: the name lives until it returns; the lane's
            // state is set too late, which is never.
            unsafe { NdisIMInitializeDeviceInstanceEx(DRIVER.get(), &raw mut name, context) };
        });
    "VMI-4" "freed-context" in "bind": "frees the device context while the miniport is there" =>
        Request(|lane| {
            let mut name = name(lane);
            // SAFETY: (MEM-1) PASSIVE_LEVEL, with a tag.
            let block = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, TAG) };
            lane.scratch[0].store(block as usize, Ordering::SeqCst);
            lane.device.store(device::REQUESTED, Ordering::SeqCst);
            // SAFETY: (VMI-3) the name lives until it returns; the block until `Restart` frees
            // it.
            unsafe { NdisIMInitializeDeviceInstanceEx(DRIVER.get(), &raw mut name, block.cast()) };
        }),
        Initialize(|_, handle, parameters| honest_initialize(&LANES[0], handle, parameters)),
        Restart(|lane, parameters| {
            let block = lane.scratch[0].swap(0, Ordering::SeqCst);
            // SAFETY: (VMI-4) broken on purpose: the block that `Request` made, freed once, while
            // the miniport has it.
            unsafe { ExFreePoolWithTag(block as PVOID, TAG) };
            honest_restart(lane, parameters)
        });
    "VMI-5" "shared" in "two-idle": "initialises two miniports on one state" =>
        Registration(|a| a.MiniportAdapterContext = LANES[0].context());
    "VMI-6" "pending" in "bind": "returns PENDING from MiniportInitializeEx" =>
        Initialize(|lane, _, parameters| {
            begin(lane, parameters);
            finish(lane, null_mut(), NDIS_STATUS_FAILURE);
            NDIS_STATUS_PENDING
        });
    "VMI-7" "pool-left" in "bind": "leaves a pool when MiniportInitializeEx fails" =>
        Initialize(|lane, handle, parameters| {
            begin(lane, parameters);
            pool(handle);
            finish(lane, null_mut(), NDIS_STATUS_FAILURE)
        });
    "VMI-8" "cancelled-late" in "bind": "cancels the request of a miniport that is there" =>
        Unbind(|lane, context| {
            let mut name = name(lane);
            // SAFETY: (VMI-8) broken on purpose: PASSIVE_LEVEL (IRQ-22); the name lives until it
            // returns.
            unsafe {
                NdisMSleep(20_000);
                NdisIMCancelInitializeDeviceInstance(DRIVER.get(), &raw mut name);
            }
            honest_unbind(lane, context)
        });
    "VMI-9" "plain-count" in "crossing": "counts what its miniports send without a lock" =>
        Send(|lane, lists, port, flags| {
            count_slowly();
            honest_send(lane, lists, port, flags);
        });

    "HLT-1" "lock-held" in "bind"
        implies [
            "IRQ-1: a held lock raises IRQL, where the call is not allowed at all",
            "IRQ-8: the halt runs inside, where IRQL is still raised",
            "LCK-6: the halt runs inside, where the lock is still held",
        ]:
        "takes a miniport down with a lock held" =>
        Withdraw(|lane| {
            let handle = lane.miniport();
            let mut lock = 0;
            // SAFETY: (HLT-1) broken on purpose: a lock of this stack frame, given back here; the
            // halt runs inside.
            unsafe {
                let old = KeAcquireSpinLockRaiseToDpc(&raw mut lock);
                NdisIMDeInitializeDeviceInstance(handle);
                KeReleaseSpinLock(&raw mut lock, old);
            }
        });
    "HLT-2" "pool-left" in "bind": "leaves a pool of the miniport at its halt" =>
        Initialize(|lane, handle, parameters| {
            pool(handle);
            honest_initialize(lane, handle, parameters)
        });
    "HLT-3" "work-queued" in "bind" implies ["MEM-5: nobody frees the item"]
    : "ends a halt with a work item queued" =>
        Halt(|lane, action| {
            // SAFETY: (HLT-3) broken on purpose: the lane's own miniport; the item is queued once
            // and is not waited for.
            unsafe {
                let item = NdisAllocateIoWorkItem(lane.miniport());
                NdisQueueIoWorkItem(item, Some(work), null_mut());
            }
            honest_halt(lane, action);
        });
    "HLT-4" "after-halt" in "bind": "uses the miniport's handle after the halt" =>
        Initialize(|lane, handle, parameters| {
            lane.scratch[0].store(handle as usize, Ordering::SeqCst);
            honest_initialize(lane, handle, parameters)
        }),
        Close(|lane| {
            let handle = lane.scratch[0].load(Ordering::SeqCst) as NDIS_HANDLE;
            // SAFETY: (HLT-4) broken on purpose: the handle is of a miniport that is gone; the
            // host knows stale handles.
            unsafe { NdisIMDeInitializeDeviceInstance(handle) };
            close(lane);
        });

    "DPE-1" "goes-on" in "vanish-idle": "answers requests after the device is gone" =>
        DeviceEvent(|_, _| ());
    "DPE-2" "no-buffer" in "bind": "reads a power profile without looking at its length" =>
        DeviceEvent(|lane, event| {
            // SAFETY: (DPE-2) broken on purpose: the host stops a read through null, or beyond
            // the buffer.
            unsafe { (*event).InformationBuffer.cast::<u32>().read_volatile() };
            honest_device_event(lane, event);
        });
    "DPE-3" "calls" in "shutdown": "calls NDIS at HIGH_LEVEL while the system stops" =>
        Shutdown(|_, _| {
            // SAFETY: (DPE-3) broken on purpose: it takes no pointer; nothing of NDIS may be
            // called there.
            unsafe { NdisGetVersion() };
        });

    // No driver can break it: NDIS does.
    "UNI-1" "bound" in "uninstall-bound":
        "behaves; NDIS calls ProtocolUninstall while an adapter is bound";
    "UNI-1" "raised" in "uninstall-raised":
        "behaves; NDIS calls ProtocolUninstall at DISPATCH_LEVEL";
    "UNI-1" "left-out" in "no-uninstall": "behaves; NDIS unloads it without ProtocolUninstall";
    "UNI-2" "device-left" in "load": "leaves a device" =>
        Associate(|| {
            static mut MAJORS: [Option<DRIVER_DISPATCH>; 28] = [None; 28];
            static NAME: [u16; 15] = wide(b"\\Device\\misdeed");
            static LINK: [u16; 19] = wide(b"\\DosDevices\\misdeed");
            let (mut name, mut link) = (counted(&NAME), counted(&LINK));
            let mut a = NDIS_DEVICE_OBJECT_ATTRIBUTES::zeroed();
            a.Header = header(
                NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES,
                1,
                size_of::<NDIS_DEVICE_OBJECT_ATTRIBUTES>(),
            );
            a.DeviceName = &raw mut name;
            a.SymbolicName = &raw mut link;
            a.MajorFunctions = (&raw mut MAJORS).cast();
            let (mut object, mut handle) = (null_mut(), null_mut());
            // SAFETY: (UNI-2) broken on purpose: everything that is pointed to lives until it
            // returns; the device is not given back.
            unsafe {
                NdisRegisterDeviceEx(DRIVER.get(), &raw mut a, &raw mut object, &raw mut handle);
            }
            crate::entry::associate();
        });
    "UNI-3" "in-a-handler" in "load": "deregisters the protocol edge in a handler of it" =>
        // SAFETY: (UNI-3) broken on purpose: the driver's own handle, in a handler of the edge it
        // stands for.
        Uninstall(|| unsafe { NdisDeregisterProtocolDriver(PROTOCOL.get()) }),
        // SAFETY: (UNL-2) the driver's own handle, once; the other edge is gone.
        Unload(|_| unsafe { NdisMDeregisterMiniportDriver(DRIVER.get()) });

    "UNL-1" "miniport-left" in "bind" implies [
            "UNB-7: it was left when its adapter went",
            "IFS-2: and so was its place in the interface stack",
        ]:
        "unloads with a miniport that is not halted" =>
        Unbind(|lane, _| unbind_alone(lane));
    "UNL-2" "wrong-order" in "load": "deregisters its miniport edge first" =>
        // SAFETY: (UNL-2) broken on purpose: the driver's own handles, once each, in the wrong
        // order.
        Unload(|_| unsafe {
            NdisMDeregisterMiniportDriver(DRIVER.get());
            NdisDeregisterProtocolDriver(PROTOCOL.get());
        });
    "UNL-3" "lock-held" in "unload-bound"
        implies [
            "IRQ-2: a held lock raises IRQL, where the call is not allowed at all",
            "IRQ-1: the unbind runs inside, where IRQL is still raised",
            "IRQ-8: the unbind runs inside, where IRQL is still raised",
            "IRQ-22: the unbind runs inside, where IRQL is still raised",
            "HLT-1: the halt runs inside, where the lock is still held",
            "LCK-6: the unbind runs inside, where the lock is still held",
        ]:
        "holds a lock over the deregistration, which unbinds" =>
        // SAFETY: (UNL-3) broken on purpose: a lock of this stack frame, given back here; the
        // unbinds run inside.
        Unload(|_| unsafe {
            let mut lock = 0;
            let old = KeAcquireSpinLockRaiseToDpc(&raw mut lock);
            NdisDeregisterProtocolDriver(PROTOCOL.get());
            KeReleaseSpinLock(&raw mut lock, old);
            NdisMDeregisterMiniportDriver(DRIVER.get());
        });
    "UNL-4" "memory-left" in "load": "leaves memory when it is unloaded" =>
        Unload(|object| {
            // SAFETY: (UNL-4, MEM-1) the first broken on purpose: with a tag; nobody frees it.
            unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, TAG) };
            honest_unload(object);
        });

    "BUG-3" "sent-again" in "pended": "sends a list that the adapter still has" =>
        Send(|lane, lists, port, flags| {
            let mut last = lists;
            each(lists, |list| last = list);
            honest_send(lane, lists, port, flags);
            let flags = flags & !NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK;
            if lane.scratch[1].fetch_add(1, Ordering::SeqCst) == 0 {
                // SAFETY: (BUG-3) broken on purpose: the list is below already; the host takes it
                // for the adapter's.
                unsafe { NdisSendNetBufferLists(lane.binding(), last, port, flags) };
            }
        });
    "BUG-1" "slow-halt" in "bind": "takes a minute for a halt" =>
        Halt(|lane, action| {
            for _ in 0..60 {
                // SAFETY: (BUG-1) broken on purpose: PASSIVE_LEVEL (IRQ-22); it takes too long.
                unsafe { NdisMSleep(1_000_000) };
            }
            honest_halt(lane, action);
        });
}

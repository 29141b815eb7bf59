//! Misdeeds about IRQL, locks and timers (IRQ, LCK, TMR).

use core::mem::MaybeUninit;
use core::ptr::null_mut;

use ndis_sys::*;

use super::tools::{DEVICE, at, free, lower, memory, raise};
use crate::data::{honest_cancel, honest_receive, honest_send};
use crate::entry::{DRIVER, associate};
use crate::events::honest_status;
use crate::lane::Lane;
use crate::miniport::{honest_initialize, honest_restart, stack};
use crate::raw::{Plain, TAG, header};
use crate::table::misdeeds;

const DISPATCH: u8 = 2;

/// Runs `f` with two spin locks.
fn locks(f: impl FnOnce(*mut KSPIN_LOCK, *mut KSPIN_LOCK)) {
    let memory = memory(16).cast::<KSPIN_LOCK>();
    // SAFETY: (IRQ-9) sixteen bytes of the driver's own are two locks; `f` is done with them when
    // it returns.
    unsafe {
        KeInitializeSpinLock(memory);
        KeInitializeSpinLock(memory.add(1));
        f(memory, memory.add(1));
    }
    free(memory.cast());
}

/// A callback that does nothing.
unsafe extern "efiapi" fn tick(_: PVOID, _: PVOID, _: PVOID, _: PVOID) {}

/// A timer that belongs to `owner`.
fn timer(owner: NDIS_HANDLE) -> NDIS_HANDLE {
    let mut c = NDIS_TIMER_CHARACTERISTICS::zeroed();
    c.Header = header(
        NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS,
        NDIS_TIMER_CHARACTERISTICS_REVISION_1,
        size_of::<NDIS_TIMER_CHARACTERISTICS>(),
    );
    c.AllocationTag = TAG;
    c.TimerFunction = Some(tick);
    let mut timer = null_mut();
    // SAFETY: (TMR-1) the characteristics live until it returns.
    unsafe { NdisAllocateTimerObject(owner, &raw mut c, &raw mut timer) };
    timer
}

/// Arms a timer for an hour, or every hour.
fn arm(timer: NDIS_HANDLE, period: i32) {
    // SAFETY: (TMR-1) an integer of 64 bits.
    let hour: LARGE_INTEGER = unsafe { core::mem::transmute(-36_000_000_000_i64) };
    // SAFETY: (TMR-1) the driver's own timer.
    unsafe { NdisSetTimerObject(timer, hour, period, null_mut()) };
}

/// Code that may be paged out, and is called at DISPATCH_LEVEL.
#[cfg_attr(windows, unsafe(link_section = "PAGE"))]
#[inline(never)]
fn pageable() {
    let mut time = MaybeUninit::zeroed();
    // SAFETY: (IRQ-24) broken on purpose: the function itself is what may not be touched; NDIS
    // writes the time.
    unsafe { NdisGetSystemUpTimeEx(time.as_mut_ptr()) };
}

misdeeds! {
    "IRQ-1" "im-function" in "bind"
    : "asks for the context of a miniport at DISPATCH_LEVEL" =>
        Restart(|lane, parameters| {
            // SAFETY: (IRQ-1) broken on purpose: the lane's own miniport, at too high an IRQL.
            at(DISPATCH, || unsafe { NdisIMGetBindingContext(lane.miniport()) });
            honest_restart(lane, parameters)
        });

    "IRQ-2" "protocol-function" in "load"
    : "registers its protocol edge at DISPATCH_LEVEL" =>
        Protocol(|_| { raise(DISPATCH); }),
        Associate(|| {
            lower(0);
            associate();
        });

    "IRQ-3" "miniport-function" in "bind"
    : "sets attributes at DISPATCH_LEVEL" =>
        Registration(|_| { raise(DISPATCH); }),
        General(|_| lower(0));

    "IRQ-4" "send-function" in "cancel-idle"
    : "cancels sends at a device's IRQL" =>
        CancelSend(|lane, id| at(DEVICE, || honest_cancel(lane, id)));

    "IRQ-5" "net-buffer-function" in "bind"
    : "allocates an MDL at a device's IRQL" =>
        Restart(|lane, parameters| {
            let memory = memory(64);
            // SAFETY: (IRQ-5) broken on purpose: 64 bytes of the driver's own; the MDL is freed
            // at once.
            at(DEVICE, || unsafe { NdisFreeMdl(NdisAllocateMdl(DRIVER.get(), memory.cast(), 64)) });
            free(memory);
            honest_restart(lane, parameters)
        });

    "IRQ-6" "oid-function" in "bind"
    : "cancels requests at a device's IRQL" =>
        Restart(|lane, parameters| {
            // SAFETY: (IRQ-6) broken on purpose: the lane's own binding; no request has that id.
            at(DEVICE, || unsafe { NdisCancelOidRequest(lane.binding(), null_mut()) });
            honest_restart(lane, parameters)
        });

    "IRQ-7" "status-function" in "status"
    : "indicates a status at a device's IRQL" =>
        Status(|lane, indication| {
            let mut status = NDIS_STATUS_INDICATION::zeroed();
            status.Header = header(
                NDIS_OBJECT_TYPE_STATUS_INDICATION,
                NDIS_STATUS_INDICATION_REVISION_1.0 as u8,
                size_of::<NDIS_STATUS_INDICATION>(),
            );
            status.SourceHandle = lane.miniport();
            status.StatusCode = NDIS_STATUS_MEDIA_SPECIFIC_INDICATION;
            if super::tools::once(lane) {
                // SAFETY: (IRQ-7) broken on purpose: the structure lives until it returns.
                at(DEVICE, || unsafe { NdisMIndicateStatusEx(lane.miniport(), &raw mut status) });
            }
            honest_status(lane, indication);
        });

    "IRQ-8" "interface-function" in "bind"
    : "describes the interface stack at DISPATCH_LEVEL" =>
        Stack(|lane| at(DISPATCH, || stack(lane)));

    "IRQ-9" "lock-function" in "bind"
    : "acquires a spin lock for DISPATCH_LEVEL at PASSIVE_LEVEL" =>
        Restart(|lane, parameters| {
            // SAFETY: (IRQ-9) broken on purpose: a lock of `locks`, taken and given back.
            locks(|lock, _| unsafe {
                KeAcquireSpinLockAtDpcLevel(lock);
                KeReleaseSpinLockFromDpcLevel(lock);
            });
            honest_restart(lane, parameters)
        });

    "IRQ-10" "timer-function" in "bind"
    : "makes a timer at a device's IRQL" =>
        Restart(|lane, parameters| {
            // SAFETY: (IRQ-10) broken on purpose: the timer is made, never set, and freed.
            at(DEVICE, || unsafe { NdisFreeTimerObject(timer(DRIVER.get())) });
            honest_restart(lane, parameters)
        });

    "IRQ-11" "memory-function" in "bind"
    : "allocates memory at a device's IRQL" =>
        Restart(|lane, parameters| {
            at(DEVICE, || free(memory(64)));
            honest_restart(lane, parameters)
        });

    "IRQ-12" "restores-another" in "bind"
    : "restores the IRQLs of two raises in the wrong order" =>
        Restart(|lane, parameters| {
            let first = raise(DISPATCH);
            raise(DISPATCH);
            lower(first);
            honest_restart(lane, parameters)
        });

    "IRQ-20" "asks" in "life"
    : "asks for the IRQL in its send handler" =>
        Send(|lane, lists, port, flags| {
            // SAFETY: (IRQ-20) broken on purpose: it may be called at any IRQL; that it is called
            // is the misdeed.
            core::hint::black_box(unsafe { KeGetCurrentIrql() });
            honest_send(lane, lists, port, flags);
        });

    "IRQ-21" "flag-made-up" in "life"
    : "says that it sends at DISPATCH_LEVEL whatever the IRQL is" =>
        Send(|lane, lists, port, flags| {
            honest_send(lane, lists, port, flags | NDIS_SEND_FLAGS_DISPATCH_LEVEL);
        });

    "IRQ-22" "sleeps" in "bind"
    : "sleeps at DISPATCH_LEVEL" =>
        Restart(|lane, parameters| {
            // SAFETY: (IRQ-22) broken on purpose: it takes no pointer; the IRQL is too high.
            at(DISPATCH, || unsafe { NdisMSleep(1) });
            honest_restart(lane, parameters)
        });

    "IRQ-23" "stalls" in "bind"
    : "keeps the processor busy for 60 microseconds" =>
        Restart(|lane, parameters| {
            // SAFETY: (IRQ-23) broken on purpose: it takes no pointer; it is too long.
            unsafe { KeStallExecutionProcessor(60) };
            honest_restart(lane, parameters)
        });

    "IRQ-24" "stays-raised" in "bind"
    : "returns at another IRQL than it was called at" =>
        Restart(|lane, parameters| {
            raise(DISPATCH);
            honest_restart(lane, parameters)
        });

    "IRQ-24" "pageable" in "bind"
    : "runs pageable code at DISPATCH_LEVEL" =>
        Restart(|lane, parameters| {
            at(DISPATCH, pageable);
            honest_restart(lane, parameters)
        });

    "LCK-1" "recursive" in "bind"
    : "acquires a spin lock that it holds" =>
        Restart(|lane, parameters| {
            // SAFETY: (LCK-1) broken on purpose: a lock of `locks`; on Windows this never
            // returns.
            locks(|lock, _| unsafe {
                let old = KeAcquireSpinLockRaiseToDpc(lock);
                KeAcquireSpinLockRaiseToDpc(lock);
                KeReleaseSpinLock(lock, old);
            });
            honest_restart(lane, parameters)
        });

    "LCK-2" "held-on-return" in "bind"
    : "returns with a spin lock held" =>
        Restart(|lane, parameters| {
            // SAFETY: (LCK-2) broken on purpose: the lane's own lock, which nobody waits for; it
            // is not given back.
            at(DISPATCH, || unsafe { KeAcquireSpinLockAtDpcLevel(lane.lock.get()) });
            honest_restart(lane, parameters)
        });

    "LCK-3" "recursive-at-dispatch" in "bind"
    : "acquires a spin lock that it holds, by the call for DISPATCH_LEVEL" =>
        Restart(|lane, parameters| {
            // SAFETY: (LCK-3) broken on purpose: a lock of `locks`; on Windows this never
            // returns.
            at(DISPATCH, || locks(|lock, _| unsafe {
                KeAcquireSpinLockAtDpcLevel(lock);
                KeAcquireSpinLockAtDpcLevel(lock);
            }));
            honest_restart(lane, parameters)
        });

    "LCK-4" "other-release" in "bind"
    : "releases a spin lock by the call of the other kind" =>
        Restart(|lane, parameters| {
            // SAFETY: (LCK-4) broken on purpose: a lock of `locks`, given back by the wrong call.
            locks(|lock, _| unsafe {
                let old = raise(DISPATCH);
                KeAcquireSpinLockAtDpcLevel(lock);
                KeReleaseSpinLock(lock, old);
            });
            honest_restart(lane, parameters)
        });

    "LCK-5" "not-held" in "bind"
    : "releases a spin lock that it does not hold" =>
        Restart(|lane, parameters| {
            // SAFETY: (LCK-5) broken on purpose: a lock of `locks`, which is not held.
            at(DISPATCH, || locks(|lock, _| unsafe { KeReleaseSpinLockFromDpcLevel(lock) }));
            honest_restart(lane, parameters)
        });

    "LCK-6" "over-an-indication" in "kept"
    : "shows received lists with a spin lock held" =>
        Receive(|lane, lists, port, count, flags| {
            let lock = (&raw const lane.scratch[2]).cast_mut().cast::<KSPIN_LOCK>();
            if !first(lane) {
                return honest_receive(lane, lists, port, count, flags);
            }
            // SAFETY: (LCK-6) broken on purpose: a word of the lane is a lock that is free; it is
            // given back.
            unsafe {
                let old = KeAcquireSpinLockRaiseToDpc(lock);
                honest_receive(lane, lists, port, count, flags);
                KeReleaseSpinLock(lock, old);
            }
        });

    "LCK-6" "both-orders" in "bind"
    : "takes two locks in one order, and then in the other" =>
        Restart(|lane, parameters| {
            // SAFETY: (LCK-6) broken on purpose: two locks of `locks`; nobody else takes them.
            locks(|one, other| unsafe {
                for (first, second) in [(one, other), (other, one)] {
                    let old = KeAcquireSpinLockRaiseToDpc(first);
                    KeAcquireSpinLockAtDpcLevel(second);
                    KeReleaseSpinLockFromDpcLevel(second);
                    KeReleaseSpinLock(first, old);
                }
            });
            honest_restart(lane, parameters)
        });

    "LCK-6" "released-in-order" in "bind"
    : "releases two locks in the order in which it took them" =>
        Restart(|lane, parameters| {
            // SAFETY: (LCK-6) broken on purpose: two locks of `locks`, given back in the wrong
            // order.
            at(DISPATCH, || locks(|one, other| unsafe {
                let old = KeAcquireSpinLockRaiseToDpc(one);
                KeAcquireSpinLockAtDpcLevel(other);
                KeReleaseSpinLock(one, old);
                KeReleaseSpinLockFromDpcLevel(other);
            }));
            honest_restart(lane, parameters)
        });

    "LCK-7" "other-state" in "bind"
    : "releases a read-write lock with another state than it was acquired with" =>
        Restart(|lane, parameters| {
            let mut states: [MaybeUninit<LOCK_STATE_EX>; 2] = [const { MaybeUninit::zeroed() }; 2];
            // SAFETY: (LCK-7) broken on purpose: the state is a copy, written before it is used;
            // the lock is freed once.
            unsafe {
                let lock = NdisAllocateRWLock(DRIVER.get());
                NdisAcquireRWLockRead(lock, states[0].as_mut_ptr(), 0);
                states[1] = states[0];
                NdisReleaseRWLock(lock, states[1].as_mut_ptr());
                NdisFreeRWLock(lock);
            }
            honest_restart(lane, parameters)
        });

    "LCK-8" "long" in "bind"
    : "holds a spin lock for 400 microseconds" =>
        Restart(|lane, parameters| {
            // SAFETY: (LCK-8) broken on purpose: a lock of `locks`, held too long.
            locks(|lock, _| unsafe {
                let old = KeAcquireSpinLockRaiseToDpc(lock);
                for _ in 0..8 {
                    KeStallExecutionProcessor(50);
                }
                KeReleaseSpinLock(lock, old);
            });
            honest_restart(lane, parameters)
        });

    "TMR-1" "armed-at-halt" in "bind"
    : "leaves an armed timer of its adapter" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            arm(timer(handle), 0);
            status
        });

    "TMR-2" "periodic-at-dispatch" in "bind"
    : "cancels a periodic timer at DISPATCH_LEVEL" =>
        Restart(|lane, parameters| {
            let timer = timer(DRIVER.get());
            arm(timer, 3_600_000);
            // SAFETY: (TMR-2) broken on purpose: the timer is the driver's own, and set.
            at(DISPATCH, || unsafe { NdisCancelTimerObject(timer) });
            // SAFETY: (TMR-3) cancelled: nobody uses it any more.
            unsafe { NdisFreeTimerObject(timer) };
            honest_restart(lane, parameters)
        });

    "TMR-3" "freed-armed" in "bind"
    : "frees a timer that is armed" =>
        Restart(|lane, parameters| {
            let timer = timer(DRIVER.get());
            arm(timer, 0);
            // SAFETY: (TMR-3) broken on purpose: the timer is the driver's own; it is still set.
            unsafe { NdisFreeTimerObject(timer) };
            honest_restart(lane, parameters)
        });
}

/// True the first time on a lane that frames may pass.
fn first(lane: &Lane) -> bool {
    lane.refusal().is_none() && super::tools::once(lane)
}

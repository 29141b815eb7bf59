//! Further forms of spin locks: one that is tried, and those with a place in a queue.
//!
//! A queued lock's handle lies on the caller's stack and says which lock it is, and the IRQL to
//! go back to.

use super::SpinLock;
use super::sync::{acquire, release};
use crate::api::api;
use crate::host::Host;
use crate::vp::{DISPATCH, HeldLock};

// KLOCK_QUEUE_HANDLE.
const LOCK: u64 = 8;
const IRQL: u64 = 16;

fn acquire_queued(host: &Host, lock: u64, handle: u64, dpr: bool) {
    let old = host.vp().irql();
    host.vp().set_irql(old.max(DISPATCH));
    acquire(host, lock, dpr, old);
    host.put(handle, [0_u64, lock], "LockHandle");
    host.put(handle + IRQL, old, "LockHandle");
}

/// Releases the lock of a handle; the IRQL that it remembers.
fn release_queued(host: &Host, handle: u64, dpr: bool) -> u8 {
    let lock: u64 = host.get(handle + LOCK, "LockHandle");
    let old: u8 = host.get(handle + IRQL, "LockHandle");
    release(host, lock, dpr, (!dpr).then_some(old));
    host.put(handle + LOCK, 0_u64, "LockHandle");
    old
}

api! { exports:
    /// Acquires a lock if it is free; FALSE if not.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeTryToAcquireSpinLockAtDpcLevel(host, lock: u64) -> u8 {
        let me = host.local().id;
        let _: u64 = host.get(lock, "SpinLock");
        let free = {
            let mut nt = host.nt.lock().expect("nt");
            match nt.locks.entry(lock) {
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(SpinLock { owner: me, waiters: Vec::new() });
                    true
                }
                std::collections::btree_map::Entry::Occupied(_) => false,
            }
        };
        if free {
            host.put(lock, 1_u64, "SpinLock");
            let held = HeldLock {
                address: lock,
                dpr: true,
                since: host.now(),
                old: DISPATCH,
                shared: false,
            };
            host.local().locks.borrow_mut().push(held);
        }
        u8::from(free)
    }

    /// Whether a lock is free.
    "ntoskrnl.exe" 0..=15 "IRQ-9"
    fn KeTestSpinLock(host, lock: u64) -> u8 {
        u8::from(host.get::<u64>(lock, "SpinLock") == 0)
    }

    /// Acquires a queued lock; raises to `DISPATCH_LEVEL`.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeAcquireInStackQueuedSpinLock(host, lock: u64, handle: u64) {
        acquire_queued(host, lock, handle, false);
    }

    /// Releases it and restores the IRQL.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeReleaseInStackQueuedSpinLock(host, handle: u64) {
        let old = release_queued(host, handle, false);
        host.vp().set_irql(old.min(DISPATCH));
    }

    /// Acquires a queued lock at `DISPATCH_LEVEL`.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeAcquireInStackQueuedSpinLockAtDpcLevel(host, lock: u64, handle: u64) {
        acquire_queued(host, lock, handle, true);
    }

    /// Releases it and stays at `DISPATCH_LEVEL`.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeReleaseInStackQueuedSpinLockFromDpcLevel(host, handle: u64) {
        release_queued(host, handle, true);
    }

    /// Acquires a lock from a DPC that runs threaded or not, as it is called.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeAcquireSpinLockForDpc(host, lock: u64) -> u8 {
        let old = host.vp().irql();
        host.vp().set_irql(DISPATCH);
        acquire(host, lock, false, old);
        old
    }

    /// Releases it.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeReleaseSpinLockForDpc(host, lock: u64, old: u8) {
        release(host, lock, false, Some(old));
        host.vp().set_irql(old.min(DISPATCH));
    }
}

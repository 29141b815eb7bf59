//! Spin locks and events; `wait` has the waits.
//!
//! The value in the driver's memory is what Windows would have there (`SignalState` of a
//! dispatcher header, a lock word); who waits is the host's own record.

use crate::api::api;
use crate::host::Host;
use crate::vp::{DISPATCH, HeldLock};

const SIGNAL: u64 = 4;

/// Writes a dispatcher header for an event.
pub(crate) fn initialize_event(host: &Host, event: u64, kind: u8, signaled: bool) {
    // Type, flags, size in 32-bit words, flags; then the state and an empty wait list.
    host.put(event, [kind, 0, 6, 0], "Event");
    host.put(event + SIGNAL, i32::from(signaled), "Event");
    host.put(event + 8, [event + 8, event + 8], "Event");
}

/// Signals an event and wakes who waits; returns the state before.
pub(crate) fn set_event(host: &Host, event: u64) -> i32 {
    let before: i32 = host.get(event + SIGNAL, "Event");
    // State and waiters change together, or a waiter that has just seen the state sleeps on.
    let waiters = {
        let mut nt = host.nt.lock().expect("nt");
        let _ = host.arena.write(event + SIGNAL, 1_i32);
        nt.waiters.remove(&event).unwrap_or_default()
    };
    for task in waiters {
        host.engine().wake(task);
    }
    before
}

pub(super) fn acquire(host: &Host, lock: u64, dpr: bool) {
    let me = host.local().id;
    // Touch the word first: a wild pointer is found before anything else.
    let _: u64 = host.get(lock, "SpinLock");
    loop {
        {
            let mut nt = host.nt.lock().expect("nt");
            let outer: Vec<u64> = host
                .local()
                .locks
                .borrow()
                .iter()
                .map(|l| l.address)
                .collect();
            let inverted = outer
                .iter()
                .copied()
                .find(|&o| nt.lock_order.contains(&(lock, o)));
            for &o in &outer {
                nt.lock_order.insert((o, lock));
            }
            if let std::collections::btree_map::Entry::Vacant(e) = nt.locks.entry(lock) {
                e.insert(super::SpinLock {
                    owner: me,
                    waiters: Vec::new(),
                });
                drop(nt);
                if let Some(o) = inverted {
                    host.violate(
                        "LCK-6",
                        format!("spin locks {o:#x} and {lock:#x} are taken in both orders"),
                    );
                }
                break;
            }
            let held = nt.locks.get_mut(&lock).expect("just seen");
            if held.owner == me {
                drop(nt);
                host.fatal(
                    if dpr { "LCK-3" } else { "LCK-1" },
                    &format!("the spin lock at {lock:#x} is acquired by the thread that holds it"),
                );
            }
            held.waiters.push(me);
        }
        *host.local().waiting.borrow_mut() = Some(format!("for the spin lock at {lock:#x}"));
        if host.engine().is_virtual() {
            host.engine().wait(None);
        } else {
            std::thread::yield_now();
        }
        *host.local().waiting.borrow_mut() = None;
        if let Some(held) = host.nt.lock().expect("nt").locks.get_mut(&lock) {
            held.waiters.retain(|&t| t != me);
        }
    }
    host.put(lock, 1_u64, "SpinLock");
    host.local().locks.borrow_mut().push(HeldLock {
        address: lock,
        dpr,
        since: host.now(),
    });
}

pub(super) fn release(host: &Host, lock: u64, dpr: bool) {
    let me = host.local().id;
    let held = {
        let mut locks = host.local().locks.borrow_mut();
        locks
            .iter()
            .rposition(|l| l.address == lock)
            .map(|at| locks.remove(at))
    };
    let Some(held) = held else {
        host.fatal(
            "LCK-5",
            &format!("the spin lock at {lock:#x} is released but not held by this thread"),
        );
    };
    if held.dpr != dpr {
        host.violate(
            "LCK-4",
            format!("the spin lock at {lock:#x} is released by the other kind of release"),
        );
    }
    host.put(lock, 0_u64, "SpinLock");
    let taken = host.nt.lock().expect("nt").locks.remove(&lock);
    if let Some(taken) = taken {
        debug_assert_eq!(taken.owner, me);
        for task in taken.waiters {
            host.engine().wake(task);
        }
    }
}

api! { exports:
    /// Makes a lock free.
    "ntoskrnl.exe" 0..=15 "IRQ-9"
    fn KeInitializeSpinLock(host, lock: u64) {
        host.put(lock, 0_u64, "SpinLock");
    }

    /// Acquires a lock; raises to DISPATCH_LEVEL and returns the old IRQL.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeAcquireSpinLockRaiseToDpc(host, lock: u64) -> u8 {
        let old = host.vp().irql();
        host.vp().set_irql(DISPATCH);
        acquire(host, lock, false);
        old
    }

    /// Releases a lock and restores the IRQL.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeReleaseSpinLock(host, lock: u64, irql: u8) {
        release(host, lock, false);
        host.vp().set_irql(irql.min(DISPATCH));
    }

    /// Acquires a lock at DISPATCH_LEVEL.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeAcquireSpinLockAtDpcLevel(host, lock: u64) {
        acquire(host, lock, true);
    }

    /// Releases a lock and stays at DISPATCH_LEVEL.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeReleaseSpinLockFromDpcLevel(host, lock: u64) {
        release(host, lock, true);
    }

    /// Makes an event.
    "ntoskrnl.exe" 0..=15 "IRQ-9"
    fn KeInitializeEvent(host, event: u64, kind: u32, state: u8) {
        initialize_event(host, event, kind as u8, state != 0);
    }

    /// Signals an event.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeSetEvent(host, event: u64, _increment: i32, _wait: u8) -> i32 {
        set_event(host, event)
    }

    /// Resets an event; returns its state before.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeResetEvent(host, event: u64) -> i32 {
        let before: i32 = host.get(event + SIGNAL, "Event");
        host.put(event + SIGNAL, 0_i32, "Event");
        before
    }

    /// Resets an event.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeClearEvent(host, event: u64) {
        host.put(event + SIGNAL, 0_i32, "Event");
    }

    /// State of an event.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeReadStateEvent(host, event: u64) -> i32 {
        host.get(event + SIGNAL, "Event")
    }
}

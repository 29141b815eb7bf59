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

/// LCK-6: locks are taken in one order.
pub(crate) fn note_order(host: &Host, lock: u64) {
    let outer: Vec<u64> = {
        let locks = host.local().locks.borrow();
        locks.iter().map(|l| l.address).collect()
    };
    for outer in outer {
        let cycle = {
            let mut nt = host.nt.lock().expect("nt");
            nt.lock_order.take(outer, lock)
        };
        if let Some(cycle) = cycle {
            let cycle: Vec<String> = cycle.iter().map(|l| format!("{l:#x}")).collect();
            host.violate(
                "LCK-6",
                format!(
                    "locks are taken in orders that make a cycle: {}",
                    cycle.join(" before ")
                ),
            );
        }
    }
}

/// A spin lock that a callback left held is freed, so that its loss is reported once.
pub(crate) fn let_go(host: &Host, lock: u64) {
    let _ = host.arena.write(lock, 0_u64);
    let taken = host.nt.lock().expect("nt").locks.remove(&lock);
    for task in taken.map(|t| t.waiters).unwrap_or_default() {
        host.engine().wake(task);
    }
}

/// Longest time a lock is held before that is said, in nanoseconds: the guidance is 25
/// microseconds, and calls of others cost time too (LCK-8).
const HOLD: u64 = 100_000;
/// The same for real threads, which others may keep from running.
const HOLD_REAL: u64 = 20_000_000;

pub(super) fn acquire(host: &Host, lock: u64, dpr: bool, old: u8) {
    let me = host.local().id;
    // Touch the word first: a wild pointer is found before anything else.
    let _: u64 = host.get(lock, "SpinLock");
    note_order(host, lock);
    loop {
        {
            let mut nt = host.nt.lock().expect("nt");
            if let std::collections::btree_map::Entry::Vacant(e) = nt.locks.entry(lock) {
                e.insert(super::SpinLock {
                    owner: me,
                    waiters: Vec::new(),
                });
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
        old,
        shared: false,
    });
}

pub(super) fn release(host: &Host, lock: u64, dpr: bool, irql: Option<u8>) {
    let me = host.local().id;
    let (held, later) = {
        let mut locks = host.local().locks.borrow_mut();
        let at = locks.iter().rposition(|l| l.address == lock);
        let later = at.and_then(|at| locks.get(at + 1).map(|l| l.address));
        (at.map(|at| locks.remove(at)), later)
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
    if let Some(irql) = irql {
        // Out of order the IRQL that is restored is not that of the moment.
        if let Some(later) = later {
            host.violate(
                "LCK-6",
                format!("the spin lock at {lock:#x} is released before that at {later:#x}, which was acquired later"),
            );
        } else if !held.dpr && irql != held.old {
            host.violate(
                "IRQ-12",
                format!(
                    "the spin lock at {lock:#x} is released to IRQL {irql}, it was acquired at {}",
                    held.old
                ),
            );
        }
    }
    let hold = host.now().saturating_sub(held.since);
    if hold
        > if host.engine().is_virtual() {
            HOLD
        } else {
            HOLD_REAL
        }
    {
        host.violate(
            "LCK-8",
            format!(
                "the spin lock at {lock:#x} was held for {} microseconds",
                hold / 1000
            ),
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
        host.nt.lock().expect("nt").lock_order.forget(lock, lock + 1);
        host.put(lock, 0_u64, "SpinLock");
    }

    /// Acquires a lock; raises to DISPATCH_LEVEL and returns the old IRQL.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeAcquireSpinLockRaiseToDpc(host, lock: u64) -> u8 {
        let old = host.vp().irql();
        host.vp().set_irql(DISPATCH);
        acquire(host, lock, false, old);
        old
    }

    /// Releases a lock and restores the IRQL.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeReleaseSpinLock(host, lock: u64, irql: u8) {
        release(host, lock, false, Some(irql));
        host.vp().set_irql(irql.min(DISPATCH));
    }

    /// Acquires a lock at DISPATCH_LEVEL.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeAcquireSpinLockAtDpcLevel(host, lock: u64) {
        acquire(host, lock, true, DISPATCH);
    }

    /// Releases a lock and stays at DISPATCH_LEVEL.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn KeReleaseSpinLockFromDpcLevel(host, lock: u64) {
        release(host, lock, true, None);
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

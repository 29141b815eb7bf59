//! Mutexes, semaphores, fast mutexes, and critical regions.

use super::wait::{OWNER, SIGNAL, current_thread, kind, put_header, signal, wait_object};
use crate::api::api;
use crate::host::Host;
use crate::vp::{APC, DISPATCH};

const STATUS_MUTANT_NOT_OWNED: i32 = 0xC000_0046_u32 as i32;
const STATUS_SEMAPHORE_LIMIT_EXCEEDED: i32 = 0xC000_0047_u32 as i32;
const LIMIT: u64 = 24;
// FAST_MUTEX: Count, Owner, Contention, Event, OldIrql.
const FAST_OWNER: u64 = 8;
const FAST_EVENT: u64 = 24;
const FAST_IRQL: u64 = 48;

fn fast_acquire(host: &Host, mutex: u64, limit: Option<u64>) -> bool {
    let me = current_thread(host);
    let owner: u64 = host.get(mutex + FAST_OWNER, "FastMutex");
    if owner == me {
        host.fatal(
            "LCK-1",
            &format!("the fast mutex at {mutex:#x} is acquired by the thread that holds it"),
        );
    }
    // The count says that it is free: the headers make one with the event not signalled.
    while !take_count(host, mutex) {
        if !wait_object(host, mutex + FAST_EVENT, limit) {
            return false;
        }
    }
    host.put(mutex + FAST_OWNER, me, "FastMutex");
    true
}

/// Takes the count from one to zero; whether it was one.
fn take_count(host: &Host, mutex: u64) -> bool {
    let _one_at_a_time = host.nt.lock().expect("nt");
    let free = host.arena.read::<i32>(mutex).is_ok_and(|count| count == 1);
    free && host.arena.write(mutex, 0_i32).is_ok()
}

fn fast_release(host: &Host, mutex: u64) {
    let owner: u64 = host.get(mutex + FAST_OWNER, "FastMutex");
    if owner != current_thread(host) {
        host.fatal(
            "LCK-5",
            &format!("the fast mutex at {mutex:#x} is released by a thread that does not hold it"),
        );
    }
    host.put(mutex + FAST_OWNER, 0_u64, "FastMutex");
    host.put(mutex, 1_i32, "FastMutex");
    super::set_event(host, mutex + FAST_EVENT);
}

/// Which region: one that keeps normal kernel APCs away, or one that keeps all away.
const CRITICAL: usize = 0;
const GUARDED: usize = 1;

/// Enters (1) or leaves (-1) a region.
fn region(host: &Host, which: usize, step: i32, name: &str) {
    let me = host.local().id;
    let left = {
        let mut nt = host.nt.lock().expect("nt");
        let depths = nt.regions.entry(me).or_default();
        depths[which] += step;
        let left = depths[which];
        if *depths == [0, 0] {
            nt.regions.remove(&me);
        }
        left
    };
    if left < 0 {
        host.fatal("IRQ-24", &format!("{name} outside such a region"));
    }
}

api! { exports:
    /// Makes a mutex, which is free.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeInitializeMutex(host, mutex: u64, _level: u32) {
        put_header(host, mutex, kind::MUTANT, 14, 1, "Mutex");
        host.put(mutex + OWNER, 0_u64, "Mutex");
        host.put(mutex + OWNER + 8, [0_u8, 1], "Mutex");
    }

    /// Releases a mutex; its state before. Raises an exception if another thread holds it.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeReleaseMutex(host, mutex: u64, _wait: u8) -> i32 {
        let owner: u64 = host.get(mutex + OWNER, "Mutex");
        if owner != current_thread(host) {
            host.raise(STATUS_MUTANT_NOT_OWNED);
        }
        signal(host, mutex, |arena| {
            let before: i32 = arena.read(mutex + SIGNAL).unwrap_or(0);
            let _ = arena.write(mutex + SIGNAL, before + 1);
            if before == 0 {
                let _ = arena.write(mutex + OWNER, 0_u64);
            }
            (before, before == 0)
        })
    }

    /// State of a mutex: 1 is free.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeReadStateMutex(host, mutex: u64) -> i32 {
        host.get(mutex + SIGNAL, "Mutex")
    }

    /// Makes a semaphore.
    "ntoskrnl.exe" 0..=15 "IRQ-9"
    fn KeInitializeSemaphore(host, semaphore: u64, count: i32, limit: i32) {
        if count < 0 || limit < 1 || count > limit {
            host.violate("HOST-OBJECT", format!("a semaphore with count {count} and limit {limit}"));
        }
        put_header(host, semaphore, kind::SEMAPHORE, 8, count, "Semaphore");
        host.put(semaphore + LIMIT, limit, "Semaphore");
    }

    /// Adds to a semaphore; its count before. Raises an exception beyond the limit.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn KeReleaseSemaphore(host, semaphore: u64, _increment: i32, adjustment: i32, _wait: u8) -> i32 {
        let limit: i32 = host.get(semaphore + LIMIT, "Semaphore");
        let added = signal(host, semaphore, |arena| {
            let before: i32 = arena.read(semaphore + SIGNAL).unwrap_or(0);
            match before.checked_add(adjustment).filter(|&n| n <= limit && adjustment > 0) {
                Some(now) => {
                    let _ = arena.write(semaphore + SIGNAL, now);
                    (Some(before), true)
                }
                None => (None, false),
            }
        });
        match added {
            Some(before) => before,
            None => host.raise(STATUS_SEMAPHORE_LIMIT_EXCEEDED),
        }
    }

    /// Count of a semaphore.
    "ntoskrnl.exe" 0..=15 "IRQ-9"
    fn KeReadStateSemaphore(host, semaphore: u64) -> i32 {
        host.get(semaphore + SIGNAL, "Semaphore")
    }

    /// Acquires a fast mutex; raises to `APC_LEVEL`.
    "ntoskrnl.exe" 0..=1 "IRQ-9"
    fn ExAcquireFastMutex(host, mutex: u64) {
        let old = host.vp().irql();
        host.vp().set_irql(APC);
        fast_acquire(host, mutex, None);
        host.put(mutex + FAST_IRQL, u32::from(old), "FastMutex");
    }

    /// Acquires a fast mutex if it is free.
    "ntoskrnl.exe" 0..=1 "IRQ-9"
    fn ExTryToAcquireFastMutex(host, mutex: u64) -> u8 {
        let old = host.vp().irql();
        host.vp().set_irql(APC);
        let taken = fast_acquire(host, mutex, Some(0));
        if taken {
            host.put(mutex + FAST_IRQL, u32::from(old), "FastMutex");
        } else {
            host.vp().set_irql(old);
        }
        u8::from(taken)
    }

    /// Releases a fast mutex and restores the IRQL.
    "ntoskrnl.exe" 1..=1 "IRQ-9"
    fn ExReleaseFastMutex(host, mutex: u64) {
        let old: u32 = host.get(mutex + FAST_IRQL, "FastMutex");
        fast_release(host, mutex);
        host.vp().set_irql((old as u8).min(DISPATCH));
    }

    /// Acquires a fast mutex at `APC_LEVEL` or in a critical region.
    "ntoskrnl.exe" 0..=1 "IRQ-9"
    fn ExAcquireFastMutexUnsafe(host, mutex: u64) {
        fast_acquire(host, mutex, None);
    }

    /// Releases it.
    "ntoskrnl.exe" 0..=1 "IRQ-9"
    fn ExReleaseFastMutexUnsafe(host, mutex: u64) {
        fast_release(host, mutex);
    }

    /// Keeps normal kernel APCs away.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn KeEnterCriticalRegion(host) {
        region(host, CRITICAL, 1, "KeEnterCriticalRegion");
    }

    /// Lets them through again.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn KeLeaveCriticalRegion(host) {
        region(host, CRITICAL, -1, "KeLeaveCriticalRegion");
    }

    /// Keeps all APCs away.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn KeEnterGuardedRegion(host) {
        region(host, GUARDED, 1, "KeEnterGuardedRegion");
    }

    /// Lets them through again.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn KeLeaveGuardedRegion(host) {
        region(host, GUARDED, -1, "KeLeaveGuardedRegion");
    }

    /// Whether all APCs are kept away.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn KeAreAllApcsDisabled(host) -> u8 {
        let me = host.local().id;
        let guarded = host.nt.lock().expect("nt").regions.get(&me).is_some_and(|d| d[GUARDED] > 0);
        u8::from(host.vp().irql() >= APC || guarded)
    }

    /// Whether normal kernel APCs are kept away.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn KeAreApcsDisabled(host) -> u8 {
        let me = host.local().id;
        u8::from(host.vp().irql() >= APC || host.nt.lock().expect("nt").regions.contains_key(&me))
    }
}

//! Locks that many readers or one writer hold: `EX_SPIN_LOCK`, push locks, `ERESOURCE`, and
//! `NDIS_RW_LOCK`.
//!
//! Who holds one and who waits is the host's record, by the lock's address; the memory shows
//! whether it is held, as the debugger of Windows would.

use std::collections::BTreeMap;

use crate::api::api;
use crate::host::Host;
use crate::vp::{DISPATCH, TaskId};

/// A lock that somebody holds or waits for.
#[derive(Default)]
pub(super) struct Shared {
    /// Each as often as it holds the lock.
    readers: Vec<TaskId>,
    writer: Option<(TaskId, u32)>,
    /// Those that want to write wait in front, if the kind of lock says so.
    waiters: Vec<(TaskId, bool)>,
}

/// Kinds of locks, for what they allow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Spins at `DISPATCH_LEVEL`.
    Spin,
    /// Waits; is not taken twice by one thread.
    Push,
    /// Waits; may be taken again by the thread that holds it.
    Resource,
}

pub(super) type Locks = BTreeMap<u64, Shared>;

/// How a lock is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Write,
    Read,
    /// In front of those that wait to write.
    ReadFirst,
}

fn show(host: &Host, lock: u64, state: &Shared, kind: Kind) {
    if kind == Kind::Resource {
        let count = state.readers.len() + usize::from(state.writer.is_some());
        let _ = host.arena.write(lock + 24, count as u16);
        return;
    }
    let word = match state.writer {
        Some(_) => 0x8000_0000_u32,
        None => state.readers.len() as u32,
    };
    let _ = host.arena.write(lock, word);
}

/// Acquires a lock; false if it is not free and `wait` is not set.
pub(crate) fn acquire(host: &Host, lock: u64, kind: Kind, want: Want, wait: bool) -> bool {
    let me = host.local().id;
    // Touch it first: a wild pointer is found before anything else.
    let _: u32 = host.get(lock, "lock");
    loop {
        {
            let mut nt = host.nt.lock().expect("nt");
            let state = nt.shared.entry(lock).or_default();
            state.waiters.retain(|w| w.0 != me);
            let reads = state.readers.contains(&me);
            let mine = state.writer.is_some_and(|w| w.0 == me);
            let again = kind == Kind::Resource && (mine || (reads && want != Want::Write));
            if (reads || mine) && !again && wait {
                drop(nt);
                host.fatal(
                    if reads && want == Want::Write {
                        "LCK-7"
                    } else {
                        "LCK-1"
                    },
                    &format!(
                        "the lock at {lock:#x} is acquired by the thread that holds it{}",
                        if reads { " for reading" } else { "" }
                    ),
                );
            }
            let writers_wait = state.waiters.iter().any(|w| w.1);
            let free = again
                || match want {
                    Want::Write => state.writer.is_none() && state.readers.is_empty(),
                    Want::Read => state.writer.is_none() && !writers_wait,
                    Want::ReadFirst => state.writer.is_none(),
                };
            if free {
                match (&mut state.writer, want) {
                    (Some((_, depth)), _) => *depth += 1,
                    (none, Want::Write) => *none = Some((me, 1)),
                    _ => state.readers.push(me),
                }
                show(host, lock, state, kind);
                return true;
            }
            if !wait {
                forget_if_free(&mut nt.shared, lock);
                return false;
            }
            state.waiters.push((me, want == Want::Write));
        }
        *host.local().waiting.borrow_mut() = Some(format!("for the lock at {lock:#x}"));
        if host.engine().is_virtual() {
            host.engine().wait(None);
        } else {
            std::thread::yield_now();
        }
        *host.local().waiting.borrow_mut() = None;
    }
}

fn forget_if_free(locks: &mut Locks, lock: u64) {
    if locks
        .get(&lock)
        .is_some_and(|s| s.writer.is_none() && s.readers.is_empty() && s.waiters.is_empty())
    {
        locks.remove(&lock);
    }
}

/// Releases a lock that this thread holds, whichever way.
pub(crate) fn release(host: &Host, lock: u64, kind: Kind, write: Option<bool>) {
    let me = host.local().id;
    let (done, waiters) = {
        let mut nt = host.nt.lock().expect("nt");
        let Some(state) = nt.shared.get_mut(&lock) else {
            drop(nt);
            not_held(host, lock);
        };
        let done = match &mut state.writer {
            Some((owner, depth)) if *owner == me && write != Some(false) => {
                *depth -= 1;
                if *depth == 0 {
                    state.writer = None;
                }
                true
            }
            _ => match state.readers.iter().position(|&r| r == me) {
                Some(at) if write != Some(true) => {
                    state.readers.remove(at);
                    true
                }
                _ => false,
            },
        };
        show(host, lock, state, kind);
        let waiters: Vec<TaskId> = state.waiters.iter().map(|w| w.0).collect();
        forget_if_free(&mut nt.shared, lock);
        (done, waiters)
    };
    if !done {
        not_held(host, lock);
    }
    for task in waiters {
        host.engine().wake(task);
    }
}

fn not_held(host: &Host, lock: u64) -> ! {
    host.fatal(
        "LCK-5",
        &format!("the lock at {lock:#x} is released by a thread that does not hold it that way"),
    )
}

/// Whether this thread holds a lock: for writing, how often for reading.
fn held(host: &Host, lock: u64) -> (bool, usize) {
    let me = host.local().id;
    let nt = host.nt.lock().expect("nt");
    nt.shared.get(&lock).map_or((false, 0), |s| {
        (
            s.writer.is_some_and(|w| w.0 == me),
            s.readers.iter().filter(|&&r| r == me).count(),
        )
    })
}

fn raise(host: &Host) -> u8 {
    let old = host.vp().irql();
    host.vp().set_irql(old.max(DISPATCH));
    old
}

const EXCLUSIVE: u16 = 2;
const SHARED: u16 = 1;

api! { exports:
    /// Acquires for reading; the IRQL before.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExAcquireSpinLockShared(host, lock: u64) -> u8 {
        let old = raise(host);
        acquire(host, lock, Kind::Spin, Want::Read, true);
        old
    }

    /// Acquires for writing; the IRQL before.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExAcquireSpinLockExclusive(host, lock: u64) -> u8 {
        let old = raise(host);
        acquire(host, lock, Kind::Spin, Want::Write, true);
        old
    }

    /// Releases after reading.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn ExReleaseSpinLockShared(host, lock: u64, irql: u8) {
        release(host, lock, Kind::Spin, Some(false));
        host.vp().set_irql(irql.min(DISPATCH));
    }

    /// Releases after writing.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn ExReleaseSpinLockExclusive(host, lock: u64, irql: u8) {
        release(host, lock, Kind::Spin, Some(true));
        host.vp().set_irql(irql.min(DISPATCH));
    }

    /// Acquires for reading at `DISPATCH_LEVEL`.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn ExAcquireSpinLockSharedAtDpcLevel(host, lock: u64) {
        acquire(host, lock, Kind::Spin, Want::Read, true);
    }

    /// Acquires for writing at `DISPATCH_LEVEL`.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn ExAcquireSpinLockExclusiveAtDpcLevel(host, lock: u64) {
        acquire(host, lock, Kind::Spin, Want::Write, true);
    }

    /// Releases after reading and stays at `DISPATCH_LEVEL`.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn ExReleaseSpinLockSharedFromDpcLevel(host, lock: u64) {
        release(host, lock, Kind::Spin, Some(false));
    }

    /// Releases after writing and stays at `DISPATCH_LEVEL`.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn ExReleaseSpinLockExclusiveFromDpcLevel(host, lock: u64) {
        release(host, lock, Kind::Spin, Some(true));
    }

    /// Makes the only reader the writer, if it is the only one.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn ExTryConvertSharedSpinLockExclusive(host, lock: u64) -> u8 {
        let me = host.local().id;
        let mut nt = host.nt.lock().expect("nt");
        let alone = nt.shared.get_mut(&lock).filter(|s| s.readers == [me]);
        u8::from(alone.map(|s| {
            s.readers.clear();
            s.writer = Some((me, 1));
            show(host, lock, s, Kind::Spin);
        }).is_some())
    }

    /// Makes a push lock, which is free.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExInitializePushLock(host, lock: u64) {
        host.put(lock, 0_u64, "PushLock");
    }

    /// Acquires for writing.
    "ntoskrnl.exe" 0..=1 "IRQ-9"
    fn ExAcquirePushLockExclusiveEx(host, lock: u64, _flags: u32) {
        acquire(host, lock, Kind::Push, Want::Write, true);
    }

    /// Acquires for reading.
    "ntoskrnl.exe" 0..=1 "IRQ-9"
    fn ExAcquirePushLockSharedEx(host, lock: u64, _flags: u32) {
        acquire(host, lock, Kind::Push, Want::Read, true);
    }

    /// Releases after writing.
    "ntoskrnl.exe" 0..=1 "IRQ-9"
    fn ExReleasePushLockExclusiveEx(host, lock: u64, _flags: u32) {
        release(host, lock, Kind::Push, Some(true));
    }

    /// Releases after reading.
    "ntoskrnl.exe" 0..=1 "IRQ-9"
    fn ExReleasePushLockSharedEx(host, lock: u64, _flags: u32) {
        release(host, lock, Kind::Push, Some(false));
    }

    /// Makes a resource, which is free.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExInitializeResourceLite(host, resource: u64) -> i32 {
        host.put(resource, [0_u8; 104], "Resource");
        host.nt.lock().expect("nt").resources.insert(resource);
        0
    }

    /// Ends a resource; it must be free.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExDeleteResourceLite(host, resource: u64) -> i32 {
        let (known, used) = {
            let mut nt = host.nt.lock().expect("nt");
            (nt.resources.remove(&resource), nt.shared.contains_key(&resource))
        };
        if !known {
            host.violate("HOST-OBJECT", format!("ExDeleteResourceLite on {resource:#x}, which is no resource"));
        }
        if used {
            host.violate("LCK-2", format!("the resource at {resource:#x} is deleted while it is held"));
        }
        0
    }

    /// Acquires for writing; FALSE if it would have to wait and may not.
    "ntoskrnl.exe" 0..=1 "IRQ-9"
    fn ExAcquireResourceExclusiveLite(host, resource: u64, wait: u8) -> u8 {
        u8::from(acquire(host, resource, Kind::Resource, Want::Write, wait != 0))
    }

    /// Acquires for reading, behind those that wait to write.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExAcquireResourceSharedLite(host, resource: u64, wait: u8) -> u8 {
        u8::from(acquire(host, resource, Kind::Resource, Want::Read, wait != 0))
    }

    /// Acquires for reading, in front of those that wait to write.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExAcquireSharedStarveExclusive(host, resource: u64, wait: u8) -> u8 {
        u8::from(acquire(host, resource, Kind::Resource, Want::ReadFirst, wait != 0))
    }

    /// Acquires for reading, behind those that wait to write even for a holder.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExAcquireSharedWaitForExclusive(host, resource: u64, wait: u8) -> u8 {
        u8::from(acquire(host, resource, Kind::Resource, Want::Read, wait != 0))
    }

    /// Releases, whichever way it is held.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExReleaseResourceLite(host, resource: u64) {
        release(host, resource, Kind::Resource, None);
    }

    /// Whether this thread holds it for writing.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExIsResourceAcquiredExclusiveLite(host, resource: u64) -> u8 {
        u8::from(held(host, resource).0)
    }

    /// How often this thread holds it.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExIsResourceAcquiredSharedLite(host, resource: u64) -> u32 {
        let (write, reads) = held(host, resource);
        reads as u32 + u32::from(write)
    }

    /// Makes a read-write lock of before NDIS 6.20.
    "ndis.sys" 0..=15 "IRQ-9"
    fn NdisInitializeReadWriteLock(host, lock: u64) {
        host.obsolete("NdisInitializeReadWriteLock", "NdisAllocateRWLock makes a lock for any number of processors");
        host.put(lock, [0_u64; 130], "Lock");
    }

    /// Acquires one; the state remembers how, and the IRQL.
    "ndis.sys" 0..=2 "IRQ-9"
    fn NdisAcquireReadWriteLock(host, lock: u64, write: u8, state: u64) {
        let old = raise(host);
        acquire_old(host, lock, write != 0, state, old);
    }

    /// Releases it as it was acquired.
    "ndis.sys" 2..=2 "IRQ-9"
    fn NdisReleaseReadWriteLock(host, lock: u64, state: u64) {
        let (how, irql): (u16, u8) = (host.get(state, "LockState"), host.get(state + 2, "LockState"));
        release(host, lock, Kind::Spin, Some(how == EXCLUSIVE));
        host.vp().set_irql(irql.min(DISPATCH));
    }

    /// Acquires one at `DISPATCH_LEVEL`.
    "ndis.sys" 2..=2 "IRQ-9"
    fn NdisDprAcquireReadWriteLock(host, lock: u64, write: u8, state: u64) {
        acquire_old(host, lock, write != 0, state, DISPATCH);
    }

    /// Releases it.
    "ndis.sys" 2..=2 "IRQ-9"
    fn NdisDprReleaseReadWriteLock(host, lock: u64, state: u64) {
        let how: u16 = host.get(state, "LockState");
        release(host, lock, Kind::Spin, Some(how == EXCLUSIVE));
    }
}

fn acquire_old(host: &Host, lock: u64, write: bool, state: u64, irql: u8) {
    let want = if write { Want::Write } else { Want::Read };
    acquire(host, lock, Kind::Spin, want, true);
    host.put(state, if write { EXCLUSIVE } else { SHARED }, "LockState");
    host.put(state + 2, irql, "LockState");
}

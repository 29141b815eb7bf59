//! Locks, regions, rundown protection and interlocked lists, on both engines.

use super::super::{list, mutex, rundown, rwlock, spin, sync, wait};
use super::{with, with_both};
use crate::host::Host;
use crate::vp::{APC, DISPATCH, PASSIVE};

#[test]
fn a_fast_mutex_is_held_at_apc_level_by_one() {
    with_both(|host, block| {
        // What ExInitializeFastMutex of the headers does.
        host.put(block, 1_i32, "test");
        sync::KeInitializeEvent(block + 24, 1, 0);
        mutex::ExAcquireFastMutex(block);
        assert_eq!(host.vp().irql(), APC);
        mutex::ExReleaseFastMutex(block);
        assert_eq!(host.vp().irql(), PASSIVE);
        assert_eq!(mutex::ExTryToAcquireFastMutex(block), 1);
        assert_eq!(host.vp().irql(), APC);
        mutex::ExReleaseFastMutex(block);
        // The unsafe form leaves the IRQL to the caller, who is in a critical region.
        mutex::KeEnterCriticalRegion();
        mutex::ExAcquireFastMutexUnsafe(block);
        assert_eq!(host.vp().irql(), PASSIVE);
        mutex::ExReleaseFastMutexUnsafe(block);
        mutex::KeLeaveCriticalRegion();
    });
}

#[test]
fn regions_disable_what_they_say() {
    with_both(|_, _| {
        let disabled = || (mutex::KeAreApcsDisabled(), mutex::KeAreAllApcsDisabled());
        assert_eq!(disabled(), (0, 0));
        mutex::KeEnterCriticalRegion();
        mutex::KeEnterCriticalRegion();
        mutex::KeLeaveCriticalRegion();
        assert_eq!(disabled(), (1, 0), "normal kernel APCs only");
        mutex::KeLeaveCriticalRegion();
        mutex::KeEnterGuardedRegion();
        assert_eq!(disabled().1, 1, "all of them");
        mutex::KeLeaveGuardedRegion();
        assert_eq!(disabled(), (0, 0));
    });
}

#[test]
fn reader_writer_spin_locks_raise_and_restore() {
    with_both(|host, lock| {
        let old = rwlock::ExAcquireSpinLockExclusive(lock);
        assert_eq!((old, host.vp().irql()), (PASSIVE, DISPATCH));
        rwlock::ExReleaseSpinLockExclusive(lock, old);
        let old = rwlock::ExAcquireSpinLockShared(lock);
        assert_eq!((old, host.vp().irql()), (PASSIVE, DISPATCH));
        rwlock::ExReleaseSpinLockShared(lock, old);
        assert_eq!(host.vp().irql(), PASSIVE);
        host.vp().set_irql(DISPATCH);
        rwlock::ExAcquireSpinLockSharedAtDpcLevel(lock);
        rwlock::ExReleaseSpinLockSharedFromDpcLevel(lock);
        rwlock::ExAcquireSpinLockExclusiveAtDpcLevel(lock);
        rwlock::ExReleaseSpinLockExclusiveFromDpcLevel(lock);
        assert_eq!(host.vp().irql(), DISPATCH);
        // NDIS's own, for callers that are there already.
        rwlock::NdisInitializeReadWriteLock(lock + 1024);
        for write in [0, 1] {
            rwlock::NdisDprAcquireReadWriteLock(lock + 1024, write, lock + 64);
            rwlock::NdisDprReleaseReadWriteLock(lock + 1024, lock + 64);
        }
        host.vp().set_irql(PASSIVE);
    });
}

#[test]
fn push_locks_and_resources_let_readers_in() {
    with_both(|_, block| {
        let (lock, resource) = (block, block + 64);
        mutex::KeEnterCriticalRegion();
        rwlock::ExInitializePushLock(lock);
        rwlock::ExAcquirePushLockSharedEx(lock, 0);
        rwlock::ExReleasePushLockSharedEx(lock, 0);
        rwlock::ExAcquirePushLockExclusiveEx(lock, 0);
        rwlock::ExReleasePushLockExclusiveEx(lock, 0);
        assert_eq!(rwlock::ExInitializeResourceLite(resource), 0);
        for acquire in [
            rwlock::ExAcquireSharedStarveExclusive,
            rwlock::ExAcquireSharedWaitForExclusive,
        ] {
            assert_eq!(rwlock::ExIsResourceAcquiredSharedLite(resource), 0);
            assert_eq!(acquire(resource, 1), 1);
            assert_eq!(acquire(resource, 0), 1, "again");
            assert_eq!(rwlock::ExIsResourceAcquiredSharedLite(resource), 2);
            assert_eq!(rwlock::ExIsResourceAcquiredExclusiveLite(resource), 0);
            rwlock::ExReleaseResourceLite(resource);
            rwlock::ExReleaseResourceLite(resource);
        }
        assert_eq!(rwlock::ExDeleteResourceLite(resource), 0);
        mutex::KeLeaveCriticalRegion();
    });
}

#[test]
fn spin_locks_of_every_kind() {
    with_both(|host, block| {
        let (lock, queued) = (block, block + 64);
        host.put(lock, 0_u64, "test");
        assert_eq!(spin::KeTestSpinLock(lock), 1, "free");
        let old = spin::KeAcquireSpinLockForDpc(lock);
        assert_eq!((old, host.vp().irql()), (PASSIVE, DISPATCH));
        assert_eq!(spin::KeTestSpinLock(lock), 0, "held");
        spin::KeReleaseSpinLockForDpc(lock, old);
        assert_eq!(host.vp().irql(), PASSIVE);
        host.vp().set_irql(DISPATCH);
        spin::KeAcquireInStackQueuedSpinLockAtDpcLevel(lock, queued);
        assert_eq!(spin::KeTestSpinLock(lock), 0);
        spin::KeReleaseInStackQueuedSpinLockFromDpcLevel(queued);
        assert_eq!(spin::KeTestSpinLock(lock), 1);
        assert_eq!(host.vp().irql(), DISPATCH);
        host.vp().set_irql(PASSIVE);
    });
}

#[test]
fn rundown_protection_counts_and_starts_anew() {
    with_both(|_, block| {
        rundown::ExInitializeRundownProtection(block);
        assert_eq!(rundown::ExAcquireRundownProtectionEx(block, 3), 1);
        rundown::ExReleaseRundownProtectionEx(block, 2);
        rundown::ExReleaseRundownProtection(block);
        rundown::ExWaitForRundownProtectionRelease(block);
        rundown::ExRundownCompleted(block);
        assert_eq!(rundown::ExAcquireRundownProtectionEx(block, 1), 0);
        rundown::ExReInitializeRundownProtection(block);
        assert_eq!(rundown::ExAcquireRundownProtection(block), 1);
        rundown::ExReleaseRundownProtection(block);
        // A remove lock, taken twice with tags.
        let lock = block + 64;
        rundown::IoInitializeRemoveLockEx(lock, 1, 0, 0, 32);
        for tag in [1, 2] {
            assert_eq!(rundown::IoAcquireRemoveLockEx(lock, tag, 0, 0, 32), 0);
        }
        rundown::IoReleaseRemoveLockEx(lock, 1, 32);
        rundown::IoReleaseRemoveLockAndWaitEx(lock, 2, 32);
        assert!(rundown::IoAcquireRemoveLockEx(lock, 3, 0, 0, 32) < 0);
    });
}

#[test]
fn events_say_what_they_were() {
    with_both(|host, event| {
        sync::KeInitializeEvent(event, 0, 1);
        assert_ne!(sync::KeResetEvent(event), 0, "it was signalled");
        assert_eq!(sync::KeResetEvent(event), 0);
        assert_eq!(sync::KeSetEvent(event, 0, 0), 0);
        sync::KeClearEvent(event);
        assert_eq!(sync::KeReadStateEvent(event), 0);
        host.put(event + 64, 0_i64, "test");
        let at_once = wait::KeWaitForSingleObject(event, 0, 0, 0, event + 64);
        assert_eq!(at_once, 0x102, "STATUS_TIMEOUT");
    });
}

fn next(host: &Host, entry: u64) -> u64 {
    host.get(entry, "test")
}

#[test]
fn interlocked_lists_return_what_was_first() {
    with_both(|host, block| {
        let (head, lock, a, b) = (block, block + 64, block + 128, block + 192);
        list::RtlInitializeSListHead(head);
        assert_eq!(list::ExInterlockedPushEntrySList(head, a, lock), 0);
        assert_eq!(list::ExInterlockedPushEntrySList(head, b, lock), a);
        assert_eq!(list::ExInterlockedPopEntrySList(head, lock), b);
        assert_eq!(list::ExInterlockedPopEntrySList(head, lock), a);
        assert_eq!(list::ExInterlockedPopEntrySList(head, lock), 0);
        // Lists of one link, under a lock of the caller's.
        let head = block + 256;
        host.put(lock, 0_u64, "test");
        host.put(head, 0_u64, "test");
        assert_eq!(list::ExInterlockedPushEntryList(head, a, lock), 0);
        assert_eq!(list::ExInterlockedPushEntryList(head, b, lock), a);
        assert_eq!(next(host, b), a);
        assert_eq!(list::ExInterlockedPopEntryList(head, lock), b);
        assert_eq!(list::ExInterlockedPopEntryList(head, lock), a);
        assert_eq!(list::ExInterlockedPopEntryList(head, lock), 0);
    });
}

#[test]
fn a_sum_is_returned_as_it_was_before() {
    with(|host, block| {
        host.put(block, 40_i64, "test");
        host.put(block + 64, 0_u64, "test");
        assert_eq!(list::ExInterlockedAddLargeInteger(block, 2, block + 64), 40);
        assert_eq!(host.get::<i64>(block, "test"), 42);
    });
}

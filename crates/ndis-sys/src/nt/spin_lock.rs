//! Spin locks, queued spin locks and reader/writer spin locks.
//!
//! Documentation:
//! * [Introduction to spin locks](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-spin-locks)
//! * [Queued spin locks](https://learn.microsoft.com/windows-hardware/drivers/kernel/queued-spin-locks)
//! * [Reader/writer spin locks](https://learn.microsoft.com/windows-hardware/drivers/kernel/reader-writer-spin-locks)

use crate::{BOOLEAN, KIRQL, LONG, ULONG_PTR};

scalars! {
    /// A spin lock.
    KSPIN_LOCK = ULONG_PTR;
}

structs! {
    /// The place of one holder in the queue of a spin lock.
    struct KLOCK_QUEUE_HANDLE [24, 8] {
        0 LockQueue: KSPIN_LOCK_QUEUE,
        16 OldIrql: KIRQL,
    }
    /// An entry in the queue of a spin lock.
    struct KSPIN_LOCK_QUEUE [16, 8] {
        0 Next: *mut KSPIN_LOCK_QUEUE,
        8 Lock: *mut KSPIN_LOCK,
    }
}

imports! {
    "ntoskrnl.exe";
    /// Takes a reader/writer spin lock for writing. IRQL: `<= DISPATCH_LEVEL`.
    fn ExAcquireSpinLockExclusive(SpinLock: *mut LONG) -> KIRQL;
    /// The same, for a caller at `DISPATCH_LEVEL`. IRQL: `>= DISPATCH_LEVEL`.
    fn ExAcquireSpinLockExclusiveAtDpcLevel(SpinLock: *mut LONG);
    /// Takes a reader/writer spin lock for reading. IRQL: `<= DISPATCH_LEVEL`.
    fn ExAcquireSpinLockShared(SpinLock: *mut LONG) -> KIRQL;
    /// The same, for a caller at `DISPATCH_LEVEL`. IRQL: `>= DISPATCH_LEVEL`.
    fn ExAcquireSpinLockSharedAtDpcLevel(SpinLock: *mut LONG);
    /// Releases a reader/writer spin lock held for writing. IRQL: `>= DISPATCH_LEVEL`.
    fn ExReleaseSpinLockExclusive(SpinLock: *mut LONG, OldIrql: KIRQL);
    /// The same, for a caller at `DISPATCH_LEVEL`. IRQL: `>= DISPATCH_LEVEL`.
    fn ExReleaseSpinLockExclusiveFromDpcLevel(SpinLock: *mut LONG);
    /// Releases a reader/writer spin lock held for reading. IRQL: `>= DISPATCH_LEVEL`.
    fn ExReleaseSpinLockShared(SpinLock: *mut LONG, OldIrql: KIRQL);
    /// The same, for a caller at `DISPATCH_LEVEL`. IRQL: `>= DISPATCH_LEVEL`.
    fn ExReleaseSpinLockSharedFromDpcLevel(SpinLock: *mut LONG);
    /// Takes a queued spin lock. IRQL: `<= DISPATCH_LEVEL`.
    fn KeAcquireInStackQueuedSpinLock(
        SpinLock: *mut KSPIN_LOCK,
        LockHandle: *mut KLOCK_QUEUE_HANDLE,
    );
    /// The same, for a caller at `DISPATCH_LEVEL`. IRQL: `>= DISPATCH_LEVEL`.
    fn KeAcquireInStackQueuedSpinLockAtDpcLevel(
        SpinLock: *mut KSPIN_LOCK,
        LockHandle: *mut KLOCK_QUEUE_HANDLE,
    );
    /// Takes a spin lock, for a caller at `DISPATCH_LEVEL`. IRQL: `>= DISPATCH_LEVEL`.
    fn KeAcquireSpinLockAtDpcLevel(SpinLock: *mut KSPIN_LOCK);
    /// Takes a spin lock and returns the IRQL from before. IRQL: `<= DISPATCH_LEVEL`.
    fn KeAcquireSpinLockRaiseToDpc(SpinLock: *mut KSPIN_LOCK) -> KIRQL;
    /// Initialises a spin lock. IRQL: any.
    fn KeInitializeSpinLock(SpinLock: *mut KSPIN_LOCK);
    /// Releases a queued spin lock. IRQL: `DISPATCH_LEVEL`.
    fn KeReleaseInStackQueuedSpinLock(LockHandle: *mut KLOCK_QUEUE_HANDLE);
    /// The same, for a caller at `DISPATCH_LEVEL`. IRQL: `DISPATCH_LEVEL`.
    fn KeReleaseInStackQueuedSpinLockFromDpcLevel(LockHandle: *mut KLOCK_QUEUE_HANDLE);
    /// Releases a spin lock and restores the IRQL. IRQL: `DISPATCH_LEVEL`.
    fn KeReleaseSpinLock(SpinLock: *mut KSPIN_LOCK, NewIrql: KIRQL);
    /// Releases a spin lock and stays at `DISPATCH_LEVEL`. IRQL: `>= DISPATCH_LEVEL`.
    fn KeReleaseSpinLockFromDpcLevel(SpinLock: *mut KSPIN_LOCK);
    /// Takes a spin lock if it is free. IRQL: `>= DISPATCH_LEVEL`.
    fn KeTryToAcquireSpinLockAtDpcLevel(SpinLock: *mut KSPIN_LOCK) -> BOOLEAN;
}

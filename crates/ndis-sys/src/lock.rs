//! Spin locks and read/write locks of NDIS.
//!
//! An NDIS spin lock is used through the functions of `nt::spin_lock`: the C
//! names are macros over them.
//!
//! Documentation:
//! * [Synchronization and notification in network drivers](https://learn.microsoft.com/windows-hardware/drivers/network/synchronization-and-notification-in-network-drivers)

use crate::{BOOLEAN, KIRQL, KSPIN_LOCK, NDIS_HANDLE, PVOID, UCHAR, ULONG, USHORT};

opaque! {
    /// A read/write lock.
    NDIS_RW_LOCK_EX;
}

constants! {
    /// Flag of a read/write lock.
    UCHAR {
        NDIS_RWL_AT_DISPATCH_LEVEL = 1,
    }
}

structs! {
    /// What a holder of an [`NDIS_RW_LOCK`] has to remember.
    struct LOCK_STATE [4, 2] {
        0 LockState: USHORT,
        2 OldIrql: KIRQL,
    }
    /// What a holder of an [`NDIS_RW_LOCK_EX`] has to remember.
    struct LOCK_STATE_EX [3, 1] {
        0 OldIrql: KIRQL,
        1 LockState: UCHAR,
        2 Flags: UCHAR,
    }
    /// A read/write lock of NDIS before 6.20.
    struct NDIS_RW_LOCK [1040, 8] {
        0 SpinLock: KSPIN_LOCK,
        8 Context: PVOID,
        16 RefCount: [NDIS_RW_LOCK_REFCOUNT; 64],
        also {
            0 Reserved: [UCHAR; 16],
            16 RefCountEx: [ULONG; 256],
            16 RefCountLock: KSPIN_LOCK,
            24 SharedRefCount: ULONG,
            28 WriterWaiting: BOOLEAN,
        }
    }
    /// The readers on one processor.
    union NDIS_RW_LOCK_REFCOUNT [16, 4] {
        0 RefCount: ULONG,
        0 cacheLine: [UCHAR; 16],
    }
    /// A spin lock of NDIS, with the IRQL of its holder.
    struct NDIS_SPIN_LOCK [16, 8] {
        0 SpinLock: KSPIN_LOCK,
        8 OldIrql: KIRQL,
    }
}

imports! {
    "ndis.sys";
    /// Takes a read/write lock for reading. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAcquireRWLockRead(
        Lock: *mut NDIS_RW_LOCK_EX,
        LockState: *mut LOCK_STATE_EX,
        Flags: UCHAR,
    );
    /// Takes a read/write lock for writing. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAcquireRWLockWrite(
        Lock: *mut NDIS_RW_LOCK_EX,
        LockState: *mut LOCK_STATE_EX,
        Flags: UCHAR,
    );
    /// Takes a read/write lock of NDIS before 6.20. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAcquireReadWriteLock(
        Lock: *mut NDIS_RW_LOCK,
        fWrite: BOOLEAN,
        LockState: *mut LOCK_STATE,
    );
    /// Allocates a read/write lock. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateRWLock(NdisHandle: NDIS_HANDLE) -> *mut NDIS_RW_LOCK_EX;
    /// Takes a read/write lock of NDIS before 6.20 at `DISPATCH_LEVEL`. IRQL: `DISPATCH_LEVEL`.
    fn NdisDprAcquireReadWriteLock(
        Lock: *mut NDIS_RW_LOCK,
        fWrite: BOOLEAN,
        LockState: *mut LOCK_STATE,
    );
    /// Releases such a lock at `DISPATCH_LEVEL`. IRQL: `DISPATCH_LEVEL`.
    fn NdisDprReleaseReadWriteLock(Lock: *mut NDIS_RW_LOCK, LockState: *mut LOCK_STATE);
    /// Frees a read/write lock. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeRWLock(Lock: *mut NDIS_RW_LOCK_EX);
    /// Initialises a read/write lock of NDIS before 6.20. IRQL: any.
    fn NdisInitializeReadWriteLock(Lock: *mut NDIS_RW_LOCK);
    /// Releases a read/write lock. IRQL: `DISPATCH_LEVEL`.
    fn NdisReleaseRWLock(Lock: *mut NDIS_RW_LOCK_EX, LockState: *mut LOCK_STATE_EX);
    /// Releases a read/write lock of NDIS before 6.20. IRQL: `DISPATCH_LEVEL`.
    fn NdisReleaseReadWriteLock(Lock: *mut NDIS_RW_LOCK, LockState: *mut LOCK_STATE);
}

//! nt::ex

use crate::*;

imports! {
    "ntoskrnl.exe";
    fn ExAcquireFastMutex(FastMutex: *mut FAST_MUTEX);
    fn ExAcquireRundownProtection(RunRef: *mut EX_RUNDOWN_REF) -> BOOLEAN;
    fn ExAcquireSpinLockExclusive(SpinLock: *mut LONG) -> KIRQL;
    fn ExAcquireSpinLockExclusiveAtDpcLevel(SpinLock: *mut LONG);
    fn ExAcquireSpinLockShared(SpinLock: *mut LONG) -> KIRQL;
    fn ExAcquireSpinLockSharedAtDpcLevel(SpinLock: *mut LONG);
    fn ExInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF);
    fn ExReInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF);
    fn ExReleaseFastMutex(FastMutex: *mut FAST_MUTEX);
    fn ExReleaseRundownProtection(RunRef: *mut EX_RUNDOWN_REF);
    fn ExReleaseSpinLockExclusive(SpinLock: *mut LONG, OldIrql: KIRQL);
    fn ExReleaseSpinLockExclusiveFromDpcLevel(SpinLock: *mut LONG);
    fn ExReleaseSpinLockShared(SpinLock: *mut LONG, OldIrql: KIRQL);
    fn ExReleaseSpinLockSharedFromDpcLevel(SpinLock: *mut LONG);
    fn ExRundownCompleted(RunRef: *mut EX_RUNDOWN_REF);
    fn ExUuidCreate(Uuid: PVOID) -> NTSTATUS;
    fn ExWaitForRundownProtectionRelease(RunRef: *mut EX_RUNDOWN_REF);
}

//! Run-down protection.
//!
//! Documentation:
//! * [Run-down protection](https://learn.microsoft.com/windows-hardware/drivers/kernel/run-down-protection)

use crate::{BOOLEAN, PVOID, ULONG_PTR};

structs! {
    /// A run-down reference: a count that can be closed for good.
    union EX_RUNDOWN_REF [8, 8] {
        0 Count: ULONG_PTR,
        0 Ptr: PVOID,
    }
}

imports! {
    "ntoskrnl.exe";
    /// Takes a run-down reference, unless run-down has begun. IRQL: `<= DISPATCH_LEVEL`.
    fn ExAcquireRundownProtection(RunRef: *mut EX_RUNDOWN_REF) -> BOOLEAN;
    /// Initialises a run-down reference. IRQL: `<= APC_LEVEL`.
    fn ExInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF);
    /// Makes a run-down reference usable again. IRQL: `<= APC_LEVEL`.
    fn ExReInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF);
    /// Gives a run-down reference back. IRQL: `<= DISPATCH_LEVEL`.
    fn ExReleaseRundownProtection(RunRef: *mut EX_RUNDOWN_REF);
    /// Says that run-down is complete. IRQL: `<= APC_LEVEL`.
    fn ExRundownCompleted(RunRef: *mut EX_RUNDOWN_REF);
    /// Waits until all run-down references are given back. IRQL: `<= APC_LEVEL`.
    fn ExWaitForRundownProtectionRelease(RunRef: *mut EX_RUNDOWN_REF);
}

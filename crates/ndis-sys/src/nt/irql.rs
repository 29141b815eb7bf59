//! Interrupt request levels.
//!
//! Documentation:
//! * [Managing hardware priorities](https://learn.microsoft.com/windows-hardware/drivers/kernel/managing-hardware-priorities)

use crate::UCHAR;

scalars! {
    /// An interrupt request level.
    KIRQL = UCHAR;
}

constants! {
    /// Interrupt request level.
    KIRQL {
        PASSIVE_LEVEL = 0,
        APC_LEVEL = 1,
        DISPATCH_LEVEL = 2,
        CLOCK_LEVEL = 13,
        IPI_LEVEL = 14,
        POWER_LEVEL = 14,
        HIGH_LEVEL = 15,
        PROFILE_LEVEL = 15,
    }
}

imports! {
    "ntoskrnl.exe";
    /// Holds normal APCs off. IRQL: `<= APC_LEVEL`.
    fn KeEnterCriticalRegion();
    /// Returns the IRQL of the processor. IRQL: any.
    fn KeGetCurrentIrql() -> KIRQL;
    /// Lets normal APCs come again. IRQL: `<= APC_LEVEL`.
    fn KeLeaveCriticalRegion();
    /// Restores the IRQL that a raise returned. On x64 only. IRQL: any.
    fn KeLowerIrql(NewIrql: KIRQL);
    /// Raises the IRQL and returns the one from before. IRQL: any.
    fn KfRaiseIrql(NewIrql: KIRQL) -> KIRQL;
}

//! Debugger output and bug checks.
//!
//! Documentation:
//! * [DbgPrint](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-dbgprint)
//! * [KeBugCheckEx](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kebugcheckex)

use crate::{CHAR, ULONG, ULONG_PTR};

imports! {
    "ntoskrnl.exe";
    /// Prints to the debugger. IRQL: `<= DIRQL`.
    fn DbgPrint(Format: *const CHAR) [, ...] -> ULONG;
    /// Prints to the debugger if component and level are enabled. IRQL: `<= DIRQL`.
    fn DbgPrintEx(ComponentId: ULONG, Level: ULONG, Format: *const CHAR) [, ...] -> ULONG;
    /// Stops the system; does not return. IRQL: any.
    fn KeBugCheckEx(
        BugCheckCode: ULONG,
        BugCheckParameter1: ULONG_PTR,
        BugCheckParameter2: ULONG_PTR,
        BugCheckParameter3: ULONG_PTR,
        BugCheckParameter4: ULONG_PTR,
    );
}

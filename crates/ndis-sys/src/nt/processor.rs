//! Processors and processor groups.
//!
//! Documentation:
//! * [KeGetCurrentProcessorNumberEx](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kegetcurrentprocessornumberex)
//! * [PROCESSOR_NUMBER](https://learn.microsoft.com/windows-hardware/drivers/ddi/miniport/ns-miniport-_processor_number)

use crate::{NTSTATUS, UCHAR, ULONG, USHORT};

scalars! {
    /// A set of processors of one group.
    KAFFINITY = usize;
}

constants! {
    /// All processor groups.
    ULONG {
        ALL_PROCESSOR_GROUPS = 0xFFFF,
    }
}

structs! {
    /// A set of processors of one group.
    struct GROUP_AFFINITY [16, 8] {
        0 Mask: KAFFINITY,
        8 Group: USHORT,
        10 Reserved: [USHORT; 3],
    }
    /// Group and number of a processor.
    struct PROCESSOR_NUMBER [4, 2] {
        0 Group: USHORT,
        2 Number: UCHAR,
        3 Reserved: UCHAR,
    }
}

imports! {
    "ntoskrnl.exe";
    /// Returns the number of the processor in the system, and its group and number. IRQL: any.
    fn KeGetCurrentProcessorNumberEx(ProcNumber: *mut PROCESSOR_NUMBER) -> ULONG;
    /// Returns the number in the system for group and number. IRQL: any.
    fn KeGetProcessorIndexFromNumber(ProcNumber: *mut PROCESSOR_NUMBER) -> ULONG;
    /// Returns group and number for the number in the system. IRQL: any.
    fn KeGetProcessorNumberFromIndex(
        ProcIndex: ULONG,
        ProcNumber: *mut PROCESSOR_NUMBER,
    ) -> NTSTATUS;
    /// Returns the number of active processors of a group or of all. IRQL: any.
    fn KeQueryActiveProcessorCountEx(GroupNumber: USHORT) -> ULONG;
    /// Returns the most processors that a group or all can have. IRQL: any.
    fn KeQueryMaximumProcessorCountEx(GroupNumber: USHORT) -> ULONG;
    /// Spins for some microseconds. IRQL: any.
    fn KeStallExecutionProcessor(MicroSeconds: ULONG);
}

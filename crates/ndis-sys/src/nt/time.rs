//! Clocks, delays and stalls.
//!
//! Documentation:
//! * [KeQueryPerformanceCounter](https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-kequeryperformancecounter)

use crate::{BOOLEAN, KPROCESSOR_MODE, LARGE_INTEGER, NTSTATUS, ULONG64, ULONGLONG};

imports! {
    "ntoskrnl.exe";
    /// Makes the thread wait for a time. IRQL: `<= APC_LEVEL`.
    fn KeDelayExecutionThread(
        WaitMode: KPROCESSOR_MODE,
        Alertable: BOOLEAN,
        Interval: *mut LARGE_INTEGER,
    ) -> NTSTATUS;
    /// Returns the time since start, in units of 100 ns, precisely. IRQL: any.
    fn KeQueryInterruptTimePrecise(QpcTimeStamp: *mut ULONGLONG) -> ULONG64;
    /// Returns the performance counter, and its frequency. IRQL: any.
    fn KeQueryPerformanceCounter(PerformanceFrequency: *mut LARGE_INTEGER) -> LARGE_INTEGER;
    /// Returns the time of day, in units of 100 ns since 1601, precisely. IRQL: any.
    fn KeQuerySystemTimePrecise(CurrentTime: *mut LARGE_INTEGER);
    /// Returns the time since start without sleep, in units of 100 ns. IRQL: any.
    fn KeQueryUnbiasedInterruptTime() -> ULONGLONG;
}

//! Timer objects of NDIS.
//!
//! Documentation:
//! * [Initializing NDIS timers](https://learn.microsoft.com/windows-hardware/drivers/network/initializing-ndis-timers)
//! * [NdisAllocateTimerObject](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/nf-ndis-ndisallocatetimerobject)

use crate::{
    BOOLEAN, LARGE_INTEGER, LONG, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_STATUS, PVOID, UCHAR,
    ULONG, USHORT,
};

constants! {
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_TIMER_CHARACTERISTICS_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_TIMER_CHARACTERISTICS_REVISION_1 = 24,
    }
}

structs! {
    /// A timer object to allocate.
    struct NDIS_TIMER_CHARACTERISTICS [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 AllocationTag: ULONG,
        8 TimerFunction: Option<NDIS_TIMER_FUNCTION>,
        16 FunctionContext: PVOID,
    }
}

callbacks! {
    /// Runs when a timer object expires. IRQL: `DISPATCH_LEVEL`.
    fn NDIS_TIMER_FUNCTION(
        SystemSpecific1: PVOID,
        FunctionContext: PVOID,
        SystemSpecific2: PVOID,
        SystemSpecific3: PVOID,
    );
}

imports! {
    "ndis.sys";
    /// Allocates a timer object. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateTimerObject(
        NdisHandle: NDIS_HANDLE,
        TimerCharacteristics: *mut NDIS_TIMER_CHARACTERISTICS,
        pTimerObject: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Cancels a timer object; false if it was not pending.
    ///
    /// IRQL: `PASSIVE_LEVEL` for a periodic timer, else `<= DISPATCH_LEVEL`.
    fn NdisCancelTimerObject(TimerObject: NDIS_HANDLE) -> BOOLEAN;
    /// Frees a timer object. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeTimerObject(TimerObject: NDIS_HANDLE);
    /// Makes the thread wait for some microseconds. IRQL: `< DISPATCH_LEVEL`.
    fn NdisMSleep(MicrosecondsToSleep: ULONG);
    /// Starts a timer object that may be late. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisSetCoalescableTimerObject(
        TimerObject: NDIS_HANDLE,
        DueTime: LARGE_INTEGER,
        MillisecondsPeriod: LONG,
        FunctionContext: PVOID,
        Tolerance: ULONG,
    ) -> BOOLEAN;
    /// Starts a timer object. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisSetTimerObject(
        TimerObject: NDIS_HANDLE,
        DueTime: LARGE_INTEGER,
        MillisecondsPeriod: LONG,
        FunctionContext: PVOID,
    ) -> BOOLEAN;
}

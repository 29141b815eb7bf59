//! Work items of NDIS.
//!
//! Documentation:
//! * [NDIS I/O work items](https://learn.microsoft.com/windows-hardware/drivers/network/ndis-i-o-work-items)

use crate::{NDIS_HANDLE, PVOID};

callbacks! {
    /// Runs a work item of NDIS. IRQL: `PASSIVE_LEVEL`.
    fn NDIS_IO_WORKITEM_FUNCTION(WorkItemContext: PVOID, NdisIoWorkItemHandle: NDIS_HANDLE);
}

imports! {
    "ndis.sys";
    /// Allocates a work item. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateIoWorkItem(NdisObjectHandle: NDIS_HANDLE) -> NDIS_HANDLE;
    /// Frees a work item. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeIoWorkItem(NdisIoWorkItemHandle: NDIS_HANDLE);
    /// Queues a work item. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisQueueIoWorkItem(
        NdisIoWorkItemHandle: NDIS_HANDLE,
        Routine: Option<NDIS_IO_WORKITEM_FUNCTION>,
        WorkItemContext: PVOID,
    );
}

//! Events of NDIS.
//!
//! Documentation:
//! * [NdisInitializeEvent](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/nf-ndis-ndisinitializeevent)

use crate::{BOOLEAN, KEVENT, NDIS_HANDLE, NDIS_STATUS, NET_PNP_EVENT_NOTIFICATION, UINT};

structs! {
    /// An event of NDIS.
    struct NDIS_EVENT [24, 8] {
        0 Event: KEVENT,
    }
}

imports! {
    "ndis.sys";
    /// Completes a PnP event that was pending. IRQL: `PASSIVE_LEVEL`.
    fn NdisCompleteNetPnPEvent(
        NdisBindingHandle: NDIS_HANDLE,
        NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION,
        Status: NDIS_STATUS,
    );
    /// Initialises an event. IRQL: any.
    fn NdisInitializeEvent(Event: *mut NDIS_EVENT);
    /// Passes a PnP or power event up. IRQL: `PASSIVE_LEVEL`.
    fn NdisMNetPnPEvent(
        MiniportAdapterHandle: NDIS_HANDLE,
        NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS;
    /// Resets an event. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisResetEvent(Event: *mut NDIS_EVENT);
    /// Sets an event. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisSetEvent(Event: *mut NDIS_EVENT);
    /// Waits for an event; false after the time given. IRQL: `PASSIVE_LEVEL`.
    fn NdisWaitEvent(Event: *mut NDIS_EVENT, MsToWait: UINT) -> BOOLEAN;
}

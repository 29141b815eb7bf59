//! Misdeeds about requests (OID).

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use ndis_sys::*;

use super::binding::defer;
use crate::events;
use crate::lane::{Lane, bit};
use crate::raw::{Plain, header};
use crate::requests::{self, honest_cancel, honest_complete, honest_request, oid};
use crate::table::misdeeds;

/// A request that a misdeed comes back to.
static KEPT: AtomicPtr<NDIS_OID_REQUEST> = AtomicPtr::new(null_mut());
/// A cancel that it comes back to.
static CANCEL: AtomicUsize = AtomicUsize::new(0);

fn complete_kept(lane: &Lane) {
    let request = KEPT.swap(null_mut(), Ordering::SeqCst);
    if !request.is_null() {
        // SAFETY: (OID-2) what was kept; that it is the wrong one, or the wrong time, is the
        // misdeed of the caller.
        unsafe { NdisMOidRequestComplete(lane.miniport(), request, NDIS_STATUS_SUCCESS) };
    }
}

unsafe extern "efiapi" fn complete_later(context: PVOID, item: NDIS_HANDLE) {
    complete_kept(Lane::of(context));
    // SAFETY: (MEM-5) the item that this call came with.
    unsafe { NdisFreeIoWorkItem(item) };
}

unsafe extern "efiapi" fn complete_late(context: PVOID, item: NDIS_HANDLE) {
    // SAFETY: (IRQ-22) PASSIVE_LEVEL.
    unsafe { NdisMSleep(13_000_000) };
    complete_kept(Lane::of(context));
    // SAFETY: (MEM-5) the item that this call came with.
    unsafe { NdisFreeIoWorkItem(item) };
}

unsafe extern "efiapi" fn cancel_late(context: PVOID, item: NDIS_HANDLE) {
    // SAFETY: (IRQ-22) PASSIVE_LEVEL.
    unsafe { NdisMSleep(4_000) };
    honest_cancel(Lane::of(context), CANCEL.load(Ordering::SeqCst) as PVOID);
    // SAFETY: (MEM-5) the item that this call came with.
    unsafe { NdisFreeIoWorkItem(item) };
}

unsafe extern "efiapi" fn pends(_: NDIS_HANDLE, _: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
    NDIS_STATUS_PENDING
}

/// Completes the original and keeps its address.
fn complete_and_keep(lane: &Lane, request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
    let original = requests::original(request);
    honest_complete(lane, request, status);
    if !original.is_null() {
        KEPT.store(original, Ordering::SeqCst);
    }
}

/// Answers a query of four bytes.
fn answer(request: *mut NDIS_OID_REQUEST, written: u32) -> NDIS_STATUS {
    // SAFETY: (OID-11) a query that is the driver's until it is answered; its buffer has four
    // bytes.
    unsafe {
        let query = &mut (*request).DATA.QUERY_INFORMATION;
        if query.InformationBufferLength < 4 {
            query.BytesNeeded = 4;
            return NDIS_STATUS_INVALID_LENGTH;
        }
        query.InformationBuffer.cast::<u32>().write_unaligned(1);
        query.BytesWritten = written;
    }
    NDIS_STATUS_SUCCESS
}

fn is_query(request: *mut NDIS_OID_REQUEST, wanted: NDIS_OID) -> bool {
    // SAFETY: (OID-1) the request is the driver's until it is complete.
    oid(request) == wanted && unsafe { (*request).RequestType == NdisRequestQueryInformation }
}

fn is_set(request: *mut NDIS_OID_REQUEST, wanted: NDIS_OID) -> bool {
    // SAFETY: (OID-1) the request is the driver's until it is complete.
    oid(request) == wanted && unsafe { (*request).RequestType == NdisRequestSetInformation }
}

/// Says that four bytes of a set were read.
fn take(request: *mut NDIS_OID_REQUEST, revision: u8) -> NDIS_STATUS {
    // SAFETY: (OID-13) a set that is the driver's until it is complete.
    unsafe {
        let set = &mut (*request).DATA.SET_INFORMATION;
        set.BytesRead = set.InformationBufferLength;
        if revision != 0 {
            (*request).SupportedRevision = revision;
        }
    }
    NDIS_STATUS_SUCCESS
}

/// An event of the driver's own goes up.
fn raise(lane: &Lane) {
    let mut event = NET_PNP_EVENT_NOTIFICATION::zeroed();
    event.Header = header(
        NDIS_OBJECT_TYPE_DEFAULT,
        NET_PNP_EVENT_NOTIFICATION_REVISION_1,
        core::mem::offset_of!(NET_PNP_EVENT_NOTIFICATION, SwitchId),
    );
    event.NetPnPEvent.NetEvent = NetEventPnPCapabilities;
    // SAFETY: (PNP-11) the notification lives until it returns.
    unsafe { NdisMNetPnPEvent(lane.miniport(), &raw mut event) };
}

misdeeds! {
    // No driver can break it: NDIS does, and the driver answers whatever comes.
    "OID-1" "at-once" in "oids-at-once":
        "behaves; NDIS hands it a second request before the first is complete";

    "OID-2" "after-answer" in "asks-at-once": "completes a request that it has answered" =>
        Oid(|lane, request| {
            complete_kept(lane);
            let status = honest_request(lane, request);
            if status != NDIS_STATUS_PENDING {
                KEPT.store(request, Ordering::SeqCst);
            }
            status
        });
    "OID-3" "both" in "asks-at-once": "completes a request and succeeds it" =>
        Oid(|lane, request| {
            let status = honest_request(lane, request);
            if status == NDIS_STATUS_SUCCESS {
                // SAFETY: (OID-3) broken on purpose: the request is answered by the status as
                // well.
                unsafe { NdisMOidRequestComplete(lane.miniport(), request, status) };
            }
            status
        });
    "OID-4" "work-item" in "asks-later": "completes a request in a work item, again" =>
        OidComplete(|lane, request, status| {
            let original = requests::original(request);
            let again = !original.is_null() && is_query(original, OID_GEN_STATISTICS);
            complete_and_keep(lane, request, status);
            if again {
                defer(complete_later, lane);
            }
        });
    "OID-5" "twice" in "asks-later": "completes a request twice" =>
        OidComplete(|lane, request, status| {
            complete_and_keep(lane, request, status);
            complete_kept(lane);
        });
    "OID-6" "unknown" in "oids": "completes what is no request" =>
        Oid(|lane, request| {
            // SAFETY: (OID-6) broken on purpose: the lane's own request, which nobody asked of
            // it.
            unsafe { NdisMOidRequestComplete(lane.miniport(), lane.own.get(), NDIS_STATUS_SUCCESS) };
            honest_request(lane, request)
        });
    "OID-7" "power-fails" in "sleeps": "fails to sleep" =>
        Oid(|lane, request| {
            let asleep = lane.gate.load(Ordering::SeqCst) & bit::ASLEEP != 0;
            // SAFETY: (OID-7) the request is the driver's; only a set of power has its four bytes
            // read.
            let d0 = unsafe {
                let buffer = (*request).DATA.SET_INFORMATION.InformationBuffer;
                oid(request) == OID_PNP_SET_POWER
                    && buffer.cast::<i32>().read_unaligned() == NdisDeviceStateD0.0
            };
            if oid(request) == OID_PNP_SET_POWER && !asleep && !d0 {
                return NDIS_STATUS_FAILURE;
            }
            honest_request(lane, request)
        });
    "OID-8" "slow" in "asks-later": "completes a request after 13 seconds" =>
        OidComplete(|lane, request, status| {
            let original = requests::original(request);
            if !original.is_null() && is_query(original, OID_GEN_STATISTICS) {
                let original = requests::finish(lane, request);
                requests::answered(lane);
                KEPT.store(original, Ordering::SeqCst);
                return defer(complete_late, lane);
            }
            honest_complete(lane, request, status);
        });
    "OID-9" "event-inside" in "oids": "passes an event up inside a request" =>
        Oid(|lane, request| {
            raise(lane);
            honest_request(lane, request)
        });
    "OID-10" "removal-fails" in "wake-requests": "fails to remove a wake-up pattern" =>
        Oid(|lane, request| match oid(request) {
            OID_PM_ADD_WOL_PATTERN => take(request, 1),
            OID_PM_REMOVE_WOL_PATTERN => NDIS_STATUS_FAILURE,
            _ => honest_request(lane, request),
        });
    "OID-11" "too-short" in "lengths": "takes a packet filter of three bytes" =>
        Oid(|lane, request| {
            // SAFETY: (OID-11) the request is the driver's; each kind has its length there.
            let length = unsafe { (*request).DATA.SET_INFORMATION.InformationBufferLength };
            if is_set(request, OID_GEN_CURRENT_PACKET_FILTER) && length < 4 {
                return take(request, 0);
            }
            honest_request(lane, request)
        });
    "OID-12" "too-much" in "asks": "says that it wrote more than there is room for" =>
        Oid(|lane, request| {
            if is_query(request, OID_GEN_VENDOR_ID) {
                return answer(request, 100);
            }
            honest_request(lane, request)
        });
    "OID-13" "no-revision" in "wake-requests": "takes power parameters and names no revision" =>
        Oid(|lane, request| {
            if oid(request) == OID_PM_PARAMETERS {
                return take(request, 0);
            }
            honest_request(lane, request)
        });
    "OID-14" "original" in "asks": "sends the original down instead of a clone" =>
        Oid(|lane, request| {
            if is_query(request, OID_GEN_VENDOR_ID) {
                // SAFETY: (OID-14) broken on purpose: the request is the driver's to answer, not
                // to send.
                return unsafe { NdisOidRequest(lane.binding(), request) };
            }
            honest_request(lane, request)
        });
    "OID-15" "other-counts" in "asks-at-once": "changes the counts of the adapter's answer" =>
        Oid(|lane, request| {
            let status = honest_request(lane, request);
            if status == NDIS_STATUS_SUCCESS && is_query(request, OID_GEN_VENDOR_ID) {
                // SAFETY: (OID-15) broken on purpose: a query that is the driver's until it is
                // answered.
                unsafe { (*request).DATA.QUERY_INFORMATION.BytesNeeded = 77 };
            }
            status
        });
    "OID-16" "waits" in "asks-at-once": "waits for a completion that does not come" =>
        Oid(|lane, request| {
            let status = honest_request(lane, request);
            if is_query(request, OID_GEN_STATISTICS) { NDIS_STATUS_PENDING } else { status }
        });
    "OID-17" "bad-header" in "life": "sends a request of its own without a header" =>
        CleanUp(|lane| {
            if lane.requests.enter() {
                let request = requests::own(lane, OID_GEN_CURRENT_LOOKAHEAD, 64, 4);
                // SAFETY: (OID-17) broken on purpose: the request lives in the lane, which is
                // static; its header is spoilt.
                unsafe {
                    (*request).Header.Type = 0;
                    NdisOidRequest(lane.binding(), request);
                }
                lane.requests.leave();
            }
            crate::bind::clean_up(lane);
        });
    "OID-18" "late-cancel" in "cancels": "passes a cancel down much too late" =>
        CancelOid(|lane, id| {
            if CANCEL.swap(id as usize, Ordering::SeqCst) == 0 {
                defer(cancel_late, lane);
            }
        });
    "OID-19" "blocks" in "asks": "waits for two seconds inside a request" =>
        Oid(|lane, request| {
            if is_query(request, OID_GEN_VENDOR_ID) {
                // SAFETY: (OID-19) broken on purpose: PASSIVE_LEVEL (IRQ-22); it takes too long.
                unsafe { NdisMSleep(2_000_000) };
            }
            honest_request(lane, request)
        });
    "OID-20" "refuses-power" in "asks": "does not know the query for power" =>
        Oid(|lane, request| {
            if oid(request) == OID_PNP_QUERY_POWER {
                return NDIS_STATUS_NOT_SUPPORTED;
            }
            honest_request(lane, request)
        });
    "OID-21" "asks-below" in "asks": "asks the adapter for its power capabilities" =>
        Oid(|lane, request| {
            if oid(request) != OID_PNP_CAPABILITIES {
                return honest_request(lane, request);
            }
            let status = requests::forward(lane, request, false);
            if status != NDIS_STATUS_PENDING {
                requests::answered(lane);
            }
            status
        });
    "OID-22" "not-asked" in "wake-requests": "refuses wake-up patterns that the adapter could take" =>
        Oid(|lane, request| match oid(request) {
            OID_PM_ADD_WOL_PATTERN | OID_PM_REMOVE_WOL_PATTERN => NDIS_STATUS_NOT_SUPPORTED,
            _ => honest_request(lane, request),
        });
    "OID-23" "no-statistics" in "oids": "does not know its statistics" =>
        Oid(|lane, request| {
            if oid(request) == OID_GEN_STATISTICS {
                return NDIS_STATUS_NOT_SUPPORTED;
            }
            honest_request(lane, request)
        });
    "OID-24" "no-32-bits" in "lengths": "answers a counter of 32 bits as if it were too short" =>
        Oid(|lane, request| {
            // SAFETY: (OID-11) the request is the driver's; each kind has its length there.
            let length = unsafe { (*request).DATA.QUERY_INFORMATION.InformationBufferLength };
            if is_query(request, OID_GEN_XMIT_OK) && (4..8).contains(&length) {
                // SAFETY: (OID-24) broken on purpose: a query that is the driver's until it is
                // answered.
                unsafe { (*request).DATA.QUERY_INFORMATION.BytesNeeded = 8 };
                return NDIS_STATUS_INVALID_LENGTH;
            }
            honest_request(lane, request)
        });
    "OID-25" "seven-bytes" in "lengths": "takes a multicast list of seven bytes" =>
        Oid(|lane, request| {
            // SAFETY: (OID-11) the request is the driver's; each kind has its length there.
            let length = unsafe { (*request).DATA.SET_INFORMATION.InformationBufferLength };
            if is_set(request, OID_802_3_MULTICAST_LIST) && length == 7 {
                return take(request, 0);
            }
            honest_request(lane, request)
        });
    "OID-25" "not-below" in "sets": "does not set the multicast list below" =>
        Oid(|lane, request| {
            if is_set(request, OID_802_3_MULTICAST_LIST) {
                return take(request, 0);
            }
            honest_request(lane, request)
        });
    "OID-26" "keeps-addresses" in "asks": "does not forward the network layer addresses" =>
        Oid(|lane, request| {
            if oid(request) == OID_GEN_NETWORK_LAYER_ADDRESSES {
                return take(request, 0);
            }
            honest_request(lane, request)
        });
    "OID-27" "promises" in "asks": "promises a status for a request that has none" =>
        Oid(|lane, request| {
            if is_query(request, OID_GEN_VENDOR_ID) {
                return NDIS_STATUS_INDICATION_REQUIRED;
            }
            honest_request(lane, request)
        });
    "OID-28" "other-path" in "direct": "completes a direct request on the regular path" =>
        DirectOidComplete(|lane, request, status| {
            let request = requests::finish(lane, request);
            // SAFETY: (OID-28) broken on purpose: the direct request is back from below; the
            // first call is of the wrong path.
            unsafe {
                NdisMOidRequestComplete(lane.miniport(), request, status);
                NdisMDirectOidRequestComplete(lane.miniport(), request, status);
            }
        });
    "OID-29" "pends" in "synchronous": "pends a synchronous request" =>
        Miniport(|c| {
            if c.MinorNdisVersion >= 80 {
                c.Header.Revision = NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3;
                c.Header.Size = size_of::<NDIS_MINIPORT_DRIVER_CHARACTERISTICS>() as u16;
                c.SynchronousOidRequestHandler = Some(pends);
            }
        });
    "OID-30" "paused" in "paused-asks": "refuses requests while paused" =>
        Oid(|lane, request| {
            let paused = lane.gate.load(Ordering::SeqCst) & bit::ABOVE != 0;
            if paused && is_query(request, OID_GEN_VENDOR_ID) {
                return NDIS_STATUS_PAUSED;
            }
            honest_request(lane, request)
        });
    "STS-6" "silent" in "sets": "takes offload settings and says nothing" =>
        Oid(|lane, request| {
            let _ = events::show_link;
            if oid(request) == OID_TCP_OFFLOAD_PARAMETERS {
                return take(request, 1);
            }
            honest_request(lane, request)
        });
    "PWR-5" "answers-asleep" in "sleeps": "answers requests while asleep" =>
        Oid(|lane, request| {
            let asleep = lane.gate.load(Ordering::SeqCst) & bit::ASLEEP != 0;
            if asleep && is_query(request, OID_GEN_VENDOR_ID) {
                return answer(request, 4);
            }
            honest_request(lane, request)
        });
}

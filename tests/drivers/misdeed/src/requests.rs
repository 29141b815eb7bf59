//! OID requests: those from above go down as clones, and the driver's own.

use core::ptr::{from_ref, null_mut};
use core::sync::atomic::Ordering;

use ndis_sys::{
    NDIS_HANDLE, NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID, NDIS_OID_REQUEST,
    NDIS_OID_REQUEST_REVISION_1, NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_LOW_POWER_STATE,
    NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_PENDING,
    NDIS_STATUS_RESET_IN_PROGRESS, NDIS_STATUS_SUCCESS, NdisAllocateCloneOidRequest,
    NdisCancelDirectOidRequest, NdisCancelOidRequest, NdisDeviceStateD0, NdisDirectOidRequest,
    NdisFreeCloneOidRequest, NdisMDirectOidRequestComplete, NdisMOidRequestComplete,
    NdisOidRequest, NdisRequestQueryInformation, NdisRequestQueryStatistics,
    NdisRequestSetInformation, OID_802_3_CURRENT_ADDRESS, OID_802_3_MAXIMUM_LIST_SIZE,
    OID_802_3_MULTICAST_LIST, OID_802_3_PERMANENT_ADDRESS, OID_GEN_CURRENT_LOOKAHEAD,
    OID_GEN_CURRENT_PACKET_FILTER, OID_GEN_INTERRUPT_MODERATION, OID_GEN_LINK_PARAMETERS,
    OID_GEN_MAXIMUM_TOTAL_SIZE, OID_GEN_NETWORK_LAYER_ADDRESSES, OID_GEN_RCV_OK,
    OID_GEN_RECEIVE_BLOCK_SIZE, OID_GEN_RECEIVE_BUFFER_SPACE, OID_GEN_STATISTICS,
    OID_GEN_TRANSMIT_BLOCK_SIZE, OID_GEN_TRANSMIT_BUFFER_SPACE, OID_GEN_VENDOR_DESCRIPTION,
    OID_GEN_VENDOR_DRIVER_VERSION, OID_GEN_VENDOR_ID, OID_GEN_XMIT_OK, OID_PM_ADD_WOL_PATTERN,
    OID_PM_PARAMETERS, OID_PM_REMOVE_WOL_PATTERN, OID_PNP_QUERY_POWER, OID_PNP_SET_POWER, PVOID,
};

use crate::events;
use crate::lane::{Lane, bit};
use crate::raw::{TAG, header, ok};
use crate::table::instead;

/// OIDs that the adapter is asked (ATR-10, OID-23).
pub(crate) const SUPPORTED: [NDIS_OID; 17] = [
    OID_GEN_CURRENT_LOOKAHEAD,
    OID_GEN_CURRENT_PACKET_FILTER,
    OID_GEN_INTERRUPT_MODERATION,
    OID_GEN_LINK_PARAMETERS,
    OID_GEN_MAXIMUM_TOTAL_SIZE,
    OID_GEN_RCV_OK,
    OID_GEN_XMIT_OK,
    OID_GEN_RECEIVE_BLOCK_SIZE,
    OID_GEN_RECEIVE_BUFFER_SPACE,
    OID_GEN_TRANSMIT_BLOCK_SIZE,
    OID_GEN_TRANSMIT_BUFFER_SPACE,
    OID_GEN_STATISTICS,
    OID_GEN_VENDOR_ID,
    OID_GEN_VENDOR_DESCRIPTION,
    OID_GEN_VENDOR_DRIVER_VERSION,
    OID_802_3_PERMANENT_ADDRESS,
    OID_802_3_CURRENT_ADDRESS,
];

/// Beside those: forwarded although not on the list.
const UNLISTED: [NDIS_OID; 3] = [
    OID_802_3_MULTICAST_LIST,
    OID_802_3_MAXIMUM_LIST_SIZE,
    OID_GEN_NETWORK_LAYER_ADDRESSES, // OID-26
];

/// Forwarded when the adapter can wake (OID-22).
pub(crate) const WAKE: [NDIS_OID; 3] = [
    OID_PM_PARAMETERS,
    OID_PM_ADD_WOL_PATTERN,
    OID_PM_REMOVE_WOL_PATTERN,
];

/// The OID of a request.
pub(crate) fn oid(request: *const NDIS_OID_REQUEST) -> NDIS_OID {
    // SAFETY: (OID-2) ours until completed; every kind of request begins its data with the OID.
    unsafe { (*request).DATA.QUERY_INFORMATION.Oid }
}

/// MiniportOidRequest. IRQL = PASSIVE_LEVEL.
pub(crate) unsafe extern "efiapi" fn request(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    instead!(Oid(Lane::of(context), request), honest_request)
}

/// Answers power (OID-20); all else goes down, or is refused.
pub(crate) fn honest_request(lane: &Lane, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
    let gate = lane.gate.load(Ordering::SeqCst);
    match oid(request) {
        OID_PNP_QUERY_POWER => return NDIS_STATUS_SUCCESS,
        OID_PNP_SET_POWER => return set_power(lane, request),
        _ if gate & bit::REMOVED != 0 => return NDIS_STATUS_NOT_ACCEPTED, // DPE-1
        _ if gate & bit::ASLEEP != 0 => return NDIS_STATUS_LOW_POWER_STATE, // PWR-5
        // LBF-5: the address is set by configuration.
        OID_802_3_CURRENT_ADDRESS
            // SAFETY: (OID-2) ours until completed.
            if unsafe { (*request).RequestType } == NdisRequestSetInformation =>
        {
            return NDIS_STATUS_NOT_SUPPORTED;
        }
        // RSS, offload and the like are not shown (ATR-12).
        asked if WAKE.contains(&asked) && lane.facts().has_pm => {}
        asked if !SUPPORTED.contains(&asked) && !UNLISTED.contains(&asked) => {
            return NDIS_STATUS_NOT_SUPPORTED;
        }
        _ => {}
    }
    lane.asked.store(true, Ordering::SeqCst);
    let status = forward(lane, request, false);
    if status != NDIS_STATUS_PENDING {
        answered(lane);
    }
    status
}

/// The regular request has ended (OID-9).
pub(crate) fn answered(lane: &Lane) {
    lane.asked.store(false, Ordering::SeqCst);
    lane.answered.set();
}

/// OID_PNP_SET_POWER (OID-7: only these two statuses).
fn set_power(lane: &Lane, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
    // SAFETY: (OID-11) the length is looked at first.
    let state = unsafe {
        let set = &mut (*request).DATA.SET_INFORMATION;
        if set.InformationBufferLength < 4 {
            return NDIS_STATUS_NOT_ACCEPTED;
        }
        set.BytesRead = 4;
        set.InformationBuffer.cast::<i32>().read_unaligned()
    };
    instead!(SetPower(lane, state), honest_set_power);
    NDIS_STATUS_SUCCESS
}

/// The miniport sleeps or wakes (PWR-1, PWR-2).
pub(crate) fn honest_set_power(lane: &Lane, state: i32) {
    if state == NdisDeviceStateD0.0 {
        lane.pass(bit::ASLEEP);
        lane.telling.open();
        events::show_link(lane); // STS-5
    } else {
        lane.shut(bit::ASLEEP);
        lane.telling.close();
    }
}

/// Sends a clone down (OID-14). PENDING: the completion handler completes the original.
pub(crate) fn forward(lane: &Lane, request: *mut NDIS_OID_REQUEST, direct: bool) -> NDIS_STATUS {
    let gate = lane.gate.load(Ordering::SeqCst);
    if gate & bit::BELOW_ASLEEP != 0 {
        return NDIS_STATUS_LOW_POWER_STATE;
    }
    if gate & bit::RESET != 0 {
        return NDIS_STATUS_RESET_IN_PROGRESS; // RST-2
    }
    if !lane.requests.enter() {
        return NDIS_STATUS_NOT_ACCEPTED;
    }
    let binding = lane.binding();
    let mut clone: *mut NDIS_OID_REQUEST = null_mut();
    // SAFETY: (OID-14, OID-18) the binding is open; the clone is ours until it is sent, and
    // keeps the identifier by which a cancel names the request.
    let status = unsafe {
        let status = NdisAllocateCloneOidRequest(binding, request, TAG, &raw mut clone);
        if !ok(status) {
            lane.requests.leave();
            return status;
        }
        set_original(clone, request);
        (*clone).RequestId = (*request).RequestId;
        let id = (*request).RequestId;
        let status = if direct {
            NdisDirectOidRequest(binding, clone)
        } else {
            NdisOidRequest(binding, clone)
        };
        if status == NDIS_STATUS_PENDING {
            // A cancel that came before the clone was below found nothing there.
            let missed = lane.cancelled.load(Ordering::SeqCst);
            if !missed.is_null() && core::ptr::eq(missed.cast(), id) {
                cancel_below(lane, id, direct);
            }
        }
        status
    };
    if status == NDIS_STATUS_PENDING {
        return status; // OID-16: the request may be over already
    }
    finish(lane, clone);
    status
}

fn cancel_below(lane: &Lane, id: PVOID, direct: bool) {
    // SAFETY: (OID-18) the binding is open while its miniport is there.
    unsafe {
        if direct {
            NdisCancelDirectOidRequest(lane.binding(), id);
        } else {
            NdisCancelOidRequest(lane.binding(), id);
        }
    }
}

/// Which request a clone stands for; null for the driver's own.
pub(crate) fn original(clone: *mut NDIS_OID_REQUEST) -> *mut NDIS_OID_REQUEST {
    // SAFETY: (OID-15) the source's reserved bytes are the driver's.
    unsafe {
        (&raw const (*clone).SourceReserved)
            .cast::<*mut NDIS_OID_REQUEST>()
            .read_unaligned()
    }
}

/// Remembers which request a clone stands for.
pub(crate) fn set_original(clone: *mut NDIS_OID_REQUEST, original: *mut NDIS_OID_REQUEST) {
    // SAFETY: (OID-15) as in `original`.
    unsafe {
        (&raw mut (*clone).SourceReserved)
            .cast::<*mut NDIS_OID_REQUEST>()
            .write_unaligned(original);
    }
}

/// Copies the counts back and frees the clone (OID-13, OID-15); the original.
pub(crate) fn finish(lane: &Lane, clone: *mut NDIS_OID_REQUEST) -> *mut NDIS_OID_REQUEST {
    let request = original(clone);
    copy_counts(clone, request);
    // SAFETY: (OID-14, OID-15) back from below; freed on the binding it was made with.
    unsafe { NdisFreeCloneOidRequest(lane.binding(), clone) };
    lane.requests.leave();
    request
}

/// Copies counts and revision from a clone to its original (OID-13, OID-15).
pub(crate) fn copy_counts(clone: *mut NDIS_OID_REQUEST, request: *mut NDIS_OID_REQUEST) {
    // SAFETY: (OID-15) both are valid and of the same type, which names the member in use.
    unsafe {
        let (to, from) = (&mut (*request).DATA, &(*clone).DATA);
        match (*request).RequestType {
            NdisRequestQueryInformation | NdisRequestQueryStatistics => {
                to.QUERY_INFORMATION.BytesWritten = from.QUERY_INFORMATION.BytesWritten;
                to.QUERY_INFORMATION.BytesNeeded = from.QUERY_INFORMATION.BytesNeeded;
            }
            NdisRequestSetInformation => {
                to.SET_INFORMATION.BytesRead = from.SET_INFORMATION.BytesRead;
                to.SET_INFORMATION.BytesNeeded = from.SET_INFORMATION.BytesNeeded;
            }
            _ => {
                let (to, from) = (&mut to.METHOD_INFORMATION, &from.METHOD_INFORMATION);
                to.OutputBufferLength = from.OutputBufferLength;
                to.BytesWritten = from.BytesWritten;
                to.BytesRead = from.BytesRead;
                to.BytesNeeded = from.BytesNeeded;
            }
        }
        (*request).SupportedRevision = (*clone).SupportedRevision;
    }
}

/// ProtocolOidRequestComplete. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn complete(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
    status: NDIS_STATUS,
) {
    instead!(
        OidComplete(Lane::of(context), request, status),
        honest_complete
    );
}

/// Completes the original, or lets the driver's own request go on (OID-2, OID-3).
pub(crate) fn honest_complete(lane: &Lane, request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
    if original(request).is_null() {
        return lane.finished(status);
    }
    let request = finish(lane, request);
    answered(lane);
    // SAFETY: (OID-2, OID-6) pending since `forward`, completed once.
    unsafe { NdisMOidRequestComplete(lane.miniport(), request, status) };
}

/// MiniportCancelOidRequest. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn cancel(context: NDIS_HANDLE, id: PVOID) {
    instead!(CancelOid(Lane::of(context), id), honest_cancel);
}

/// Passes the cancel down (OID-18).
pub(crate) fn honest_cancel(lane: &Lane, id: PVOID) {
    lane.note_cancelled(id);
    cancel_below(lane, id, false);
}

/// MiniportDirectOidRequest. IRQL <= DISPATCH_LEVEL (OID-28).
pub(crate) unsafe extern "efiapi" fn direct(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    honest_direct(Lane::of(context), request)
}

/// Sends a clone down, unless power forbids it.
pub(crate) fn honest_direct(lane: &Lane, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
    let gate = lane.gate.load(Ordering::SeqCst);
    if gate & bit::REMOVED != 0 {
        NDIS_STATUS_NOT_ACCEPTED
    } else if gate & bit::ASLEEP != 0 {
        NDIS_STATUS_LOW_POWER_STATE
    } else {
        forward(lane, request, true)
    }
}

/// ProtocolDirectOidRequestComplete. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn direct_complete(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
    status: NDIS_STATUS,
) {
    instead!(
        DirectOidComplete(Lane::of(context), request, status),
        honest_direct_complete
    );
}

/// Completes the original (OID-28).
pub(crate) fn honest_direct_complete(
    lane: &Lane,
    request: *mut NDIS_OID_REQUEST,
    status: NDIS_STATUS,
) {
    let request = finish(lane, request);
    // SAFETY: (OID-28) pending since `forward`, completed once.
    unsafe { NdisMDirectOidRequestComplete(lane.miniport(), request, status) };
}

/// MiniportCancelDirectOidRequest. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn cancel_direct(context: NDIS_HANDLE, id: PVOID) {
    honest_cancel_direct(Lane::of(context), id);
}

/// Passes the cancel down (OID-18).
pub(crate) fn honest_cancel_direct(lane: &Lane, id: PVOID) {
    lane.note_cancelled(id);
    cancel_below(lane, id, true);
}

/// Sets a word below, at PASSIVE_LEVEL, inside bind or unbind (OID-17).
pub(crate) fn set_own(lane: &Lane, oid: NDIS_OID, value: u32, length: u32) -> NDIS_STATUS {
    if !lane.requests.enter() {
        return NDIS_STATUS_FAILURE;
    }
    let request = own(lane, oid, value, length);
    lane.begin();
    // SAFETY: (OID-17) in the lane, which is static; one at a time.
    let status = unsafe { NdisOidRequest(lane.binding(), request) };
    let status = lane.outcome(status);
    lane.requests.leave();
    status
}

/// The driver's own request, filled in.
pub(crate) fn own(lane: &Lane, oid: NDIS_OID, value: u32, length: u32) -> *mut NDIS_OID_REQUEST {
    let request = lane.own.get();
    // SAFETY: (OID-17) nobody else has it between two requests.
    unsafe {
        *request = crate::raw::Plain::zeroed();
        (*request).Header = header(
            NDIS_OBJECT_TYPE_OID_REQUEST,
            NDIS_OID_REQUEST_REVISION_1,
            usize::from(ndis_sys::NDIS_SIZEOF_OID_REQUEST_REVISION_1),
        );
        (*request).RequestType = NdisRequestSetInformation;
        (*request).RequestId = from_ref(lane).cast_mut().cast();
        lane.word.get().write(u64::from(value));
        let set = &mut (*request).DATA.SET_INFORMATION;
        set.Oid = oid;
        set.InformationBuffer = lane.word.get().cast();
        set.InformationBufferLength = length;
    }
    request
}

//! Status, PnP and power from below.

use core::mem::offset_of;
use core::sync::atomic::Ordering;

use ndis_sys::{
    NDIS_HANDLE, NDIS_LINK_STATE, NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_STATUS_INDICATION,
    NDIS_PROTOCOL_RESTART_PARAMETERS, NDIS_STATUS, NDIS_STATUS_INDICATION,
    NDIS_STATUS_INDICATION_REVISION_1, NDIS_STATUS_LINK_STATE,
    NDIS_STATUS_MEDIA_SPECIFIC_INDICATION, NDIS_STATUS_NETWORK_CHANGE, NDIS_STATUS_RESET_END,
    NDIS_STATUS_RESET_START, NDIS_STATUS_SUCCESS, NET_PNP_EVENT_NOTIFICATION,
    NET_PNP_EVENT_NOTIFICATION_REVISION_1, NdisDeviceStateD0, NdisMIndicateStatusEx,
    NdisMNetPnPEvent, NdisReEnumerateProtocolBindings, NetEventBindList,
    NetEventCancelRemoveDevice, NetEventIMReEnableDevice, NetEventPause, NetEventPnPCapabilities,
    NetEventQueryPower, NetEventQueryRemoveDevice, NetEventReconfigure, NetEventRestart,
    NetEventSetPower, PVOID, UNICODE_STRING,
};

use crate::entry::PROTOCOL;
use crate::lane::{Lane, Link, bit, device, link_state};
use crate::raw::{Plain, header, ok};
use crate::table::instead;
use crate::{bind, miniport};

/// ProtocolStatusEx. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn status(
    context: NDIS_HANDLE,
    indication: *mut NDIS_STATUS_INDICATION,
) {
    instead!(Status(Lane::of(context), indication), honest_status);
}

/// Notes what is about the link and resets; shows link and what no miniport has a reason to
/// keep above, in a structure of its own (STS-1 to STS-7).
pub(crate) fn honest_status(lane: &Lane, indication: *mut NDIS_STATUS_INDICATION) {
    // SAFETY: (STS-1) valid until this returns.
    let below = unsafe { &*indication };
    match below.StatusCode {
        NDIS_STATUS_RESET_START => lane.shut(bit::RESET),
        NDIS_STATUS_RESET_END => lane.pass(bit::RESET),
        NDIS_STATUS_LINK_STATE => {
            // SAFETY: (STS-4) NDIS vouches for the buffer; the length is looked at.
            let link = unsafe {
                let long = below.StatusBufferSize as usize >= size_of::<NDIS_LINK_STATE>();
                long.then(|| {
                    below
                        .StatusBuffer
                        .cast::<NDIS_LINK_STATE>()
                        .read_unaligned()
                })
            };
            if let Some(link) = link {
                lane.locked(|facts| facts.link = Some(Link::of(&link)));
                show_link(lane);
            }
        }
        NDIS_STATUS_NETWORK_CHANGE | NDIS_STATUS_MEDIA_SPECIFIC_INDICATION => {
            indicate(
                lane,
                below.StatusCode,
                below.StatusBuffer,
                below.StatusBufferSize,
            );
        }
        _ => {} // about what the miniport does not show, or NDIS says it itself (STS-3)
    }
}

/// Shows the link, if the last one that was shown is another one.
pub(crate) fn show_link(lane: &Lane) {
    loop {
        let link = lane.locked(|facts| {
            let news = facts.link.filter(|link| facts.shown != Some(*link));
            facts.shown = facts.link;
            news
        });
        let Some(link) = link else { return };
        let mut state = link_state(link);
        let length = size_of::<NDIS_LINK_STATE>() as u32;
        if !indicate(
            lane,
            NDIS_STATUS_LINK_STATE,
            (&raw mut state).cast(),
            length,
        ) {
            // STS-5: shown when the miniport is there, or awake.
            lane.locked(|facts| facts.shown = None);
            return;
        }
    }
}

/// Indicates a status; false if the miniport may not (STS-2, PWR-2).
pub(crate) fn indicate(lane: &Lane, code: NDIS_STATUS, buffer: PVOID, length: u32) -> bool {
    if !lane.telling.enter() {
        return false;
    }
    let mut status = NDIS_STATUS_INDICATION::zeroed();
    status.Header = header(
        NDIS_OBJECT_TYPE_STATUS_INDICATION,
        NDIS_STATUS_INDICATION_REVISION_1.0 as u8, // typed like a status
        size_of::<NDIS_STATUS_INDICATION>(),
    );
    status.SourceHandle = lane.miniport();
    status.StatusCode = code;
    status.StatusBuffer = buffer;
    status.StatusBufferSize = length;
    instead!(Indicate(&mut status), |_| ());
    // SAFETY: (STS-1, STS-2) the miniport is there as long as somebody is telling.
    unsafe { NdisMIndicateStatusEx(lane.miniport(), &raw mut status) };
    lane.telling.leave();
    true
}

/// ProtocolNetPnPEvent. IRQL = PASSIVE_LEVEL.
pub(crate) unsafe extern "efiapi" fn event(
    context: NDIS_HANDLE,
    notification: *mut NET_PNP_EVENT_NOTIFICATION,
) -> NDIS_STATUS {
    let lane = (!context.is_null()).then(|| Lane::of(context));
    instead!(Event(lane, notification), honest_event)
}

/// Handles an event to its end (PNP-1 to PNP-11).
pub(crate) fn honest_event(
    lane: Option<&Lane>,
    notification: *mut NET_PNP_EVENT_NOTIFICATION,
) -> NDIS_STATUS {
    // SAFETY: (PNP-3) valid until this returns.
    let event = unsafe { &(*notification).NetPnPEvent };
    let code = event.NetEvent;
    if code == NetEventIMReEnableDevice {
        if event.BufferLength as usize >= size_of::<UNICODE_STRING>() {
            bind::request_all(); // PNP-9: whoever has none is asked for
        }
        return NDIS_STATUS_SUCCESS;
    }
    let Some(lane) = lane else {
        if code == NetEventReconfigure {
            // SAFETY: (PNP-8, BND-15) the event came without a binding.
            unsafe { NdisReEnumerateProtocolBindings(PROTOCOL.get()) };
        }
        return NDIS_STATUS_SUCCESS;
    };
    match code {
        NetEventPause => instead!(PauseBinding(lane), pause_binding),
        NetEventRestart => {
            if event.BufferLength as usize >= size_of::<NDIS_PROTOCOL_RESTART_PARAMETERS>() {
                // SAFETY: (PBS-4, PNP-10) long enough.
                let index = unsafe {
                    let parameters = event.Buffer.cast::<NDIS_PROTOCOL_RESTART_PARAMETERS>();
                    (*parameters).BoundIfIndex
                };
                instead!(Renew(lane, index), renew);
            }
            instead!(RestartBinding(lane), restart_binding);
        }
        NetEventSetPower if event.BufferLength >= 4 => {
            // SAFETY: (PNP-10) long enough.
            let state = unsafe { event.Buffer.cast::<i32>().read_unaligned() };
            instead!(Power(lane, state), power);
        }
        NetEventQueryPower | NetEventQueryRemoveDevice => return pass_on(lane, notification),
        NetEventCancelRemoveDevice | NetEventPnPCapabilities | NetEventBindList => {
            pass_on(lane, notification); // PNP-2: may not fail
        }
        NetEventReconfigure => {
            reconfigure(lane);
            pass_on(lane, notification);
        }
        _ => {}
    }
    NDIS_STATUS_SUCCESS
}

/// Waits until nothing that went through the binding is out (PBS-2).
pub(crate) fn pause_binding(lane: &Lane) {
    lane.shut(bit::BELOW);
    lane.drained.until(|| lane.out.load(Ordering::SeqCst) == 0);
}

/// Something else lies below the miniport now (PBS-4, IFS-5).
pub(crate) fn renew(lane: &Lane, index: u32) {
    let before = lane.locked(|facts| core::mem::replace(&mut facts.index, index));
    if before != index && lane.stacked_on.load(Ordering::SeqCst) != 0 {
        miniport::unstack(lane);
        miniport::stack(lane);
    }
}

/// Frames may pass again (PBS-4).
pub(crate) fn restart_binding(lane: &Lane) {
    lane.pass(bit::BELOW);
}

/// The adapter sleeps or wakes; nothing is waited for (PWR-3, PWR-4).
pub(crate) fn power(lane: &Lane, state: i32) {
    if state == NdisDeviceStateD0.0 {
        lane.pass(bit::BELOW_ASLEEP);
    } else {
        lane.shut(bit::BELOW_ASLEEP);
    }
}

/// The name of the miniport may be another one (BND-13, VMI-1, CAN-1).
pub(crate) fn reconfigure(lane: &Lane) {
    let units = |lane: &Lane| lane.locked(|facts| (facts.name, facts.name_units));
    let before = units(lane);
    if !ok(bind::configure(lane, lane.binding())) {
        return;
    }
    let after = units(lane);
    let same = before.0.get(..before.1) == after.0.get(..after.1);
    if !same && lane.device.load(Ordering::SeqCst) != device::NONE {
        lane.locked(|facts| (facts.name, facts.name_units) = before);
        instead!(Withdraw(lane), miniport::withdraw);
        lane.locked(|facts| (facts.name, facts.name_units) = after);
    }
    instead!(Request(lane), miniport::ask_for);
}

/// Passes an event to the protocols above the miniport (PNP-4, PNP-6, OID-9, PNP-11).
pub(crate) fn pass_on(lane: &Lane, below: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS {
    if !lane.telling.enter() {
        return NDIS_STATUS_SUCCESS;
    }
    lane.answered.until(|| !lane.asked.load(Ordering::SeqCst));
    let mut event = NET_PNP_EVENT_NOTIFICATION::zeroed();
    event.Header = header(
        NDIS_OBJECT_TYPE_DEFAULT,
        NET_PNP_EVENT_NOTIFICATION_REVISION_1,
        offset_of!(NET_PNP_EVENT_NOTIFICATION, SwitchId),
    );
    // SAFETY: (PNP-3, PNP-4) valid until the event ends; the miniport is there as long as
    // somebody is telling.
    let status = unsafe {
        event.NetPnPEvent.NetEvent = (*below).NetPnPEvent.NetEvent;
        event.NetPnPEvent.Buffer = (*below).NetPnPEvent.Buffer;
        event.NetPnPEvent.BufferLength = (*below).NetPnPEvent.BufferLength;
        instead!(PassOn(&mut event), |_| ());
        NdisMNetPnPEvent(lane.miniport(), &raw mut event)
    };
    lane.telling.leave();
    status
}

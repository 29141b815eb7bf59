//! Misdeeds about status, PnP events and power (STS, PNP, PWR).

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use ndis_sys::*;

use super::binding::defer;
use crate::events::{self, honest_event, honest_status, indicate, pass_on, power};
use crate::lane::{Lane, bit, link_state};
use crate::raw::{Plain, each, header};
use crate::requests::{honest_set_power, set_own};
use crate::table::misdeeds;
use crate::{data, miniport};

/// An event that a work item passes on.
static PENDING_EVENT: AtomicPtr<NET_PNP_EVENT_NOTIFICATION> = AtomicPtr::new(null_mut());

fn code(notification: *mut NET_PNP_EVENT_NOTIFICATION) -> NET_PNP_EVENT_CODE {
    // SAFETY: (PNP-10) valid until the handler returns or the event is complete.
    unsafe { (*notification).NetPnPEvent.NetEvent }
}

fn status_code(status: *mut NDIS_STATUS_INDICATION) -> NDIS_STATUS {
    // SAFETY: (STS-4) valid until the handler returns.
    unsafe { (*status).StatusCode }
}

unsafe extern "efiapi" fn pass_on_later(context: PVOID, item: NDIS_HANDLE) {
    let lane = Lane::of(context);
    let event = PENDING_EVENT.swap(null_mut(), Ordering::SeqCst);
    // SAFETY: (PNP-3, MEM-5) the event pends until it is completed here; the item is this call's.
    unsafe {
        if !event.is_null() {
            pass_on(lane, event);
            NdisCompleteNetPnPEvent(lane.binding(), event, NDIS_STATUS_SUCCESS);
        }
        NdisFreeIoWorkItem(item);
    }
}

/// Indicates before there are attributes.
fn indicate_early(
    lane: &Lane,
    handle: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    let mut status = NDIS_STATUS_INDICATION::zeroed();
    status.Header = header(
        NDIS_OBJECT_TYPE_STATUS_INDICATION,
        1,
        size_of::<NDIS_STATUS_INDICATION>(),
    );
    status.SourceHandle = handle;
    status.StatusCode = NDIS_STATUS_MEDIA_SPECIFIC_INDICATION;
    // SAFETY: (STS-2) broken on purpose: the structure lives until it returns; there are no
    // attributes yet.
    unsafe { NdisMIndicateStatusEx(handle, &raw mut status) };
    miniport::honest_initialize(lane, handle, parameters)
}

/// Says that the link is unknown, though the miniport sleeps.
fn unknown_link(lane: &Lane) {
    let link = lane.locked(|facts| facts.link);
    if let Some(mut link) = link {
        link.connect = MediaConnectStateUnknown;
        let mut state = link_state(link);
        let length = size_of::<NDIS_LINK_STATE>() as u32;
        indicate(
            lane,
            NDIS_STATUS_LINK_STATE,
            (&raw mut state).cast(),
            length,
        );
    }
}

/// Sleeps, but goes on telling.
fn sleep_and_tell(lane: &Lane, state: i32) {
    if state == NdisDeviceStateD0.0 {
        honest_set_power(lane, state);
    } else {
        lane.shut(bit::ASLEEP);
    }
}

misdeeds! {
    "STS-1" "no-source" in "link": "indicates a status without a source" =>
        Indicate(|s| s.SourceHandle = null_mut());
    "STS-2" "too-early" in "life": "indicates a status before it has attributes" =>
        Initialize(indicate_early);
    "STS-3" "reset" in "reset": "indicates the reset of the adapter" =>
        Status(|lane, s| {
            honest_status(lane, s);
            if status_code(s) == NDIS_STATUS_RESET_START {
                indicate(lane, NDIS_STATUS_RESET_START, null_mut(), 0);
            }
        });
    "STS-4" "again" in "link": "indicates the link state again without a change" =>
        Status(|lane, s| {
            honest_status(lane, s);
            if status_code(s) == NDIS_STATUS_LINK_STATE {
                lane.locked(|facts| facts.shown = None);
                events::show_link(lane);
            }
        });
    "STS-5" "forgets" in "sleepy-link": "does not show after it wakes what the link became" =>
        SetPower(|lane, state| {
            if state == NdisDeviceStateD0.0 {
                lane.pass(bit::ASLEEP);
                lane.telling.open();
            } else {
                honest_set_power(lane, state);
            }
        });
    "STS-7" "swallows" in "link": "keeps a status that it has no reason to keep" =>
        Status(|lane, s| {
            if status_code(s) != NDIS_STATUS_NETWORK_CHANGE {
                honest_status(lane, s);
            }
        });

    "PNP-1" "not-supported" in "events": "does not support an event" =>
        Event(|lane, n| {
            let status = honest_event(lane, n);
            if code(n) == NetEventBindList { NDIS_STATUS_NOT_SUPPORTED } else { status }
        });
    "PNP-2" "failed" in "events": "fails an event that may not fail" =>
        Event(|lane, n| {
            let status = honest_event(lane, n);
            if code(n) == NetEventPnPCapabilities { NDIS_STATUS_FAILURE } else { status }
        });
    "PNP-3" "both" in "events": "completes an event and succeeds it" =>
        Event(|lane, n| {
            let status = honest_event(lane, n);
            if let Some(lane) = lane
                && code(n) == NetEventBindList
            {
                // SAFETY: (PNP-3) broken on purpose: the event is valid until the handler
                // returns; its status says the same.
                unsafe { NdisCompleteNetPnPEvent(lane.binding(), n, status) };
            }
            status
        });
    "PNP-4" "elsewhere" in "events": "passes an event up in a work item" =>
        Event(|lane, n| match lane {
            Some(lane) if code(n) == NetEventPnPCapabilities => {
                PENDING_EVENT.store(n, Ordering::SeqCst);
                defer(pass_on_later, lane);
                NDIS_STATUS_PENDING
            }
            _ => honest_event(lane, n),
        });
    "PNP-5" "passes-pause" in "many-pauses": "passes the pause of the binding up" =>
        Event(|lane, n| {
            if let Some(lane) = lane
                && code(n) == NetEventPause
            {
                pass_on(lane, n);
            }
            honest_event(lane, n)
        });
    "PNP-6" "overrules" in "objection": "succeeds a query that the protocols above refused" =>
        Event(|lane, n| {
            honest_event(lane, n);
            NDIS_STATUS_SUCCESS
        });
    "PNP-7" "acts-first" in "sleeps-below": "acts on a sleeping state before it passes it up" =>
        Event(|lane, n| {
            if let Some(lane) = lane
                && code(n) == NetEventSetPower
                && lane.gate.load(Ordering::SeqCst) & bit::BELOW_ASLEEP == 0
            {
                set_own(lane, OID_GEN_CURRENT_LOOKAHEAD, 128, 4);
                pass_on(lane, n);
            }
            honest_event(lane, n)
        });
    "PNP-8" "not-asked" in "reconfigured": "does not ask for bindings when it is reconfigured" =>
        Event(|lane, n| {
            if lane.is_none() && code(n) == NetEventReconfigure {
                return NDIS_STATUS_SUCCESS;
            }
            honest_event(lane, n)
        });
    "PNP-9" "ignored" in "re-enabled": "does not ask again for a device that is enabled again" =>
        Event(|lane, n| {
            if code(n) == NetEventIMReEnableDevice {
                return NDIS_STATUS_SUCCESS;
            }
            honest_event(lane, n)
        });
    "PNP-10" "reads-on" in "short-buffers": "reads beyond the buffer of an event" =>
        Event(|lane, n| {
            if let Some(lane) = lane
                && code(n) == NetEventReconfigure
            {
                // SAFETY: (PNP-10) valid until the handler returns.
                let buffer = unsafe { (*n).NetPnPEvent.Buffer };
                if !buffer.is_null() {
                    // SAFETY: (PNP-10) broken on purpose: the host stops a read that lies behind
                    // the buffer, or gives the bytes there.
                    let word = unsafe { buffer.cast::<u64>().add(4).read_unaligned() };
                    lane.scratch[0].store(word as usize, Ordering::SeqCst);
                }
            }
            honest_event(lane, n)
        });
    "PNP-11" "no-header" in "events": "passes an event up without a header" =>
        PassOn(|event| event.Header.Type = 0);

    "PWR-1" "one-state" in "sleeps-below": "does not note that the adapter is awake again" =>
        Power(|lane, state| {
            if state != NdisDeviceStateD0.0 {
                power(lane, state);
            }
        }),
        CleanUp(|lane| {
            lane.pass(bit::BELOW_ASLEEP);
            crate::bind::clean_up(lane);
        });
    "PWR-2" "goes-on" in "asleep-status": "indicates statuses while asleep" =>
        SetPower(sleep_and_tell);
    "PWR-3" "waits" in "sleeps-below": "waits for two seconds when the adapter goes to sleep" =>
        Power(|lane, state| {
            power(lane, state);
            if state != NdisDeviceStateD0.0 {
                // SAFETY: (PWR-3) broken on purpose: PASSIVE_LEVEL (IRQ-22); it takes too long.
                unsafe { NdisMSleep(2_000_000) };
            }
        });
    "PWR-4" "other-status" in "sleeps": "refuses sends while asleep with another status" =>
        Send(|lane, lists, port, flags| {
            if lane.gate.load(Ordering::SeqCst) & bit::ASLEEP != 0 {
                lane.enter(i64::from(each(lists, |_| ())));
                return data::complete(lane, lists, NDIS_STATUS_FAILURE, false);
            }
            data::honest_send(lane, lists, port, flags);
        });
    "PWR-6" "sends-out" in "held-sleep": "goes to sleep with sends out, without having been paused" =>
        Registration(|a| a.AttributeFlags |= NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND);
    "PWR-7" "lets-go" in "sleeps-below": "unbinds from an adapter that goes to sleep" =>
        Power(|lane, state| {
            power(lane, state);
            if state != NdisDeviceStateD0.0 {
                // SAFETY: (PWR-7) broken on purpose: the lane's own binding, inside an event.
                unsafe { NdisUnbindAdapter(lane.binding()) };
            }
        });
    "PWR-8" "too-late" in "asleep-status": "says that its link is unknown after it went to sleep" =>
        SetPower(sleep_and_tell),
        Status(|lane, s| {
            if lane.gate.load(Ordering::SeqCst) & bit::ASLEEP != 0 {
                return unknown_link(lane);
            }
            honest_status(lane, s);
        });
}

//! Misdeeds about receive filters and NIC switches that a team shows (LBF-3, LBF-4), and about
//! the statuses that tell of them (STS-1).

use ndis_sys::*;

use super::binding::{ask_once, join, leave_team, part};
use crate::lane::{Lane, all};
use crate::raw::{Plain, header, ok};
use crate::table::misdeeds;
use crate::{bind, events, miniport};

/// Queues and ports of each adapter in the plans of teams.
const EACH: u32 = 8;

/// Receive filters that lead to so many queues.
fn filters(queues: u32) -> NDIS_RECEIVE_FILTER_CAPABILITIES {
    let mut filters = NDIS_RECEIVE_FILTER_CAPABILITIES::zeroed();
    filters.Header = header(
        NDIS_OBJECT_TYPE_DEFAULT,
        NDIS_RECEIVE_FILTER_CAPABILITIES_REVISION_2,
        usize::from(NDIS_SIZEOF_RECEIVE_FILTER_CAPABILITIES_REVISION_2),
    );
    filters.EnabledFilterTypes = NDIS_RECEIVE_FILTER_VMQ_FILTERS_ENABLED;
    filters.NumQueues = queues;
    filters
}

/// A NIC switch with so many ports.
fn switch(ports: u32) -> NDIS_NIC_SWITCH_CAPABILITIES {
    let mut switch = NDIS_NIC_SWITCH_CAPABILITIES::zeroed();
    switch.Header = header(
        NDIS_OBJECT_TYPE_DEFAULT,
        NDIS_NIC_SWITCH_CAPABILITIES_REVISION_3,
        usize::from(NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_3),
    );
    switch.MaxNumSwitches = 1;
    switch.MaxNumVPorts = ports;
    switch
}

/// Initialises honestly, and shows these.
fn show(
    lane: &Lane,
    handle: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
    mut filters: NDIS_RECEIVE_FILTER_CAPABILITIES,
    mut switch: Option<NDIS_NIC_SWITCH_CAPABILITIES>,
) -> NDIS_STATUS {
    let status = miniport::honest_initialize(lane, handle, parameters);
    if ok(status) {
        let mut a = NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES::zeroed();
        a.Header = header(
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
            NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_4,
            usize::from(NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_4),
        );
        a.HardwareReceiveFilterCapabilities = &raw mut filters;
        a.CurrentReceiveFilterCapabilities = &raw mut filters;
        if let Some(switch) = &mut switch {
            a.HardwareNicSwitchCapabilities = switch;
            a.CurrentNicSwitchCapabilities = switch;
        }
        miniport::set(handle, &raw mut a);
    }
    status
}

/// Shows the queues that each adapter has.
fn show_filters(
    lane: &Lane,
    handle: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    show(lane, handle, parameters, filters(EACH), None)
}

/// Shows the ports that each adapter has, in place of queues.
fn show_switch(
    lane: &Lane,
    handle: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    show(lane, handle, parameters, filters(0), Some(switch(EACH)))
}

/// Tells what a member says of its filters and its switch, if `tells` lets it, in a buffer of
/// the driver's own that `change` has changed. The member of the plans is the one that has less,
/// so that what it says is what all have in common.
fn pass_on(
    lane: &Lane,
    indication: *mut NDIS_STATUS_INDICATION,
    tells: impl Fn(NDIS_STATUS) -> bool,
    change: fn(&mut [u8]),
) {
    const ROOM: usize = size_of::<NDIS_RECEIVE_QUEUE_PARAMETERS>();
    // SAFETY: (STS-1) valid until this returns.
    let below = unsafe { &*indication };
    let ours = [
        NDIS_STATUS_RECEIVE_FILTER_HARDWARE_CAPABILITIES,
        NDIS_STATUS_RECEIVE_FILTER_CURRENT_CAPABILITIES,
        NDIS_STATUS_NIC_SWITCH_HARDWARE_CAPABILITIES,
        NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES,
        NDIS_STATUS_RECEIVE_FILTER_QUEUE_PARAMETERS,
    ];
    if !ours.contains(&below.StatusCode) {
        return events::honest_status(lane, indication);
    }
    let length = below.StatusBufferSize as usize;
    let team = all().find(|lane| !lane.miniport().is_null());
    let Some(team) = team.filter(|_| tells(below.StatusCode) && length <= ROOM) else {
        return;
    };
    let mut buffer = [0_u8; ROOM];
    // SAFETY: (STS-1) NDIS vouches for the buffer; there is room for its length.
    unsafe {
        buffer
            .as_mut_ptr()
            .copy_from_nonoverlapping(below.StatusBuffer.cast::<u8>(), length);
    }
    change(&mut buffer);
    let at = buffer.as_mut_ptr().cast();
    events::indicate(team, below.StatusCode, at, below.StatusBufferSize);
}

fn put_word(bytes: &mut [u8], at: usize, word: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// Tells all of it, as a team has to.
fn tell(lane: &Lane, indication: *mut NDIS_STATUS_INDICATION) {
    pass_on(lane, indication, |_| true, |_| ());
}

/// A member of a team like any other.
fn bind(context: NDIS_HANDLE, parameters: *mut NDIS_BIND_PARAMETERS) -> NDIS_STATUS {
    bind::bind_if(context, parameters, |_| true)
}

misdeeds! {
    "LBF-3" "silent-filters" in "team-queues"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "does not tell that a member has fewer queues" =>
        Bind(bind), Initialize(show_filters),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-3" "silent-hardware" in "team-queues"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "tells of the queues that are switched on, not of those of the hardware" =>
        Bind(bind), Initialize(show_filters),
        Status(|lane, indication| {
            let hardware = NDIS_STATUS_RECEIVE_FILTER_HARDWARE_CAPABILITIES;
            pass_on(lane, indication, |code| code != hardware, |_| ());
        }),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-3" "old-numbers" in "team-queues"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "tells that something changed, and as many queues as before" =>
        Bind(bind), Initialize(show_filters),
        Status(|lane, indication| pass_on(lane, indication, |_| true, |buffer| {
            let at = core::mem::offset_of!(NDIS_RECEIVE_FILTER_CAPABILITIES, NumQueues);
            put_word(buffer, at, EACH);
        })),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-3" "switched-off" in "team-off"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "does not tell that the queues of a member are switched off" =>
        Bind(bind), Initialize(show_filters),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-3" "silent-switch" in "team-switch"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "does not tell that a member has fewer ports on its NIC switch" =>
        Bind(bind), Initialize(show_switch),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-3" "half-a-switch" in "team-switch"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "tells of the NIC switch of the hardware, not of the one that is switched on" =>
        Bind(bind), Initialize(show_switch),
        Status(|lane, indication| {
            let current = NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES;
            pass_on(lane, indication, |code| code != current, |_| ());
        }),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-3" "queue-parameters" in "team-domain"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "does not tell that a queue of a member has other parameters" =>
        Bind(bind), Initialize(show_filters),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-4" "sum-of-queues" in "life": "shows a team's receive filters on one adapter" =>
        Initialize(|lane, handle, parameters| {
            let mut filters = filters(EACH);
            filters.SupportedQueueProperties = NDIS_RECEIVE_FILTER_IMPLAT_SUM_OF_QUEUES_MODE;
            show(lane, handle, parameters, filters, None)
        });
    "STS-1" "old-filters" in "team-queues"
    implies [
        "LBF-3: what has no form tells nothing",
        "UNB-7: the miniport goes with the adapter that brought it",
    ]
    : "tells of receive filters in the structure of NDIS 6.20" =>
        Bind(bind), Initialize(show_filters),
        Status(|lane, indication| pass_on(lane, indication, |_| true, |buffer| {
            buffer[1] = NDIS_RECEIVE_FILTER_CAPABILITIES_REVISION_1;
            buffer[2] = NDIS_SIZEOF_RECEIVE_FILTER_CAPABILITIES_REVISION_1 as u8;
        })),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "STS-1" "other-parameters" in "team-domain"
    implies [
        "LBF-3: what the status is not for it does not tell",
        "UNB-7: the miniport goes with the adapter that brought it",
    ]
    : "says that a queue has another affinity by a status that is about domains" =>
        Bind(bind), Initialize(show_filters),
        Status(|lane, indication| pass_on(lane, indication, |_| true, |buffer| {
            put_word(buffer, 4, NDIS_RECEIVE_QUEUE_PARAMETERS_PROCESSOR_AFFINITY_CHANGED);
        })),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    // That these break one rule only shows that a team which tells breaks no other.
    "UNB-7" "tells-of-queues" in "team-queues"
    : "takes down a team that tells of its queues with one of its members" =>
        Bind(bind), Initialize(show_filters), Status(tell),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "UNB-7" "tells-of-both" in "team-off"
    : "takes down a team that tells of what is switched on with one of its members" =>
        Bind(bind), Initialize(show_filters), Status(tell),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "UNB-7" "tells-of-ports" in "team-switch"
    : "takes down a team that tells of its ports with one of its members" =>
        Bind(bind), Initialize(show_switch), Status(tell),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "UNB-7" "tells-of-domains" in "team-domain"
    : "takes down a team that tells of its domains with one of its members" =>
        Bind(bind), Initialize(show_filters), Status(tell),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
}

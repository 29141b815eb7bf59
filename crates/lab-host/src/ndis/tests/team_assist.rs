//! Receive filters and NIC switch of the team's driver: it shows what all members have, and tells
//! when that is something else.

use std::cell::Cell;

use ndis_sys::{
    NDIS_BIND_PARAMETERS, NDIS_HANDLE, NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
    NDIS_NIC_SWITCH_CAPABILITIES, NDIS_OBJECT_HEADER,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
    NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_RECEIVE_FILTER_CAPABILITIES,
    NDIS_RECEIVE_FILTER_IMPLAT_SUM_OF_QUEUES_MODE, NDIS_RECEIVE_FILTER_VMQ_FILTERS_ENABLED,
    NDIS_STATUS_INDICATION, NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES,
    NDIS_STATUS_NIC_SWITCH_HARDWARE_CAPABILITIES, NDIS_STATUS_RECEIVE_FILTER_CURRENT_CAPABILITIES,
    NDIS_STATUS_RECEIVE_FILTER_HARDWARE_CAPABILITIES, NDIS_STATUS_RECEIVE_FILTER_QUEUE_PARAMETERS,
    NDIS_STATUS_SUCCESS,
};

use super::driver::host;
use super::team_driver::{VERSION, team};
use crate::ndis::binding::header;
use crate::ndis::handed::{Handed, whole};

/// Queues in hardware and switched on, ports in hardware and switched on.
pub(super) type Numbers = [Option<u32>; 4];

const STATUSES: [i32; 4] = [
    NDIS_STATUS_RECEIVE_FILTER_HARDWARE_CAPABILITIES.0,
    NDIS_STATUS_RECEIVE_FILTER_CURRENT_CAPABILITIES.0,
    NDIS_STATUS_NIC_SWITCH_HARDWARE_CAPABILITIES.0,
    NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES.0,
];

thread_local! {
    /// The miniport shows what the members have.
    pub(super) static TEAM_SHOWS: Cell<bool> = const { Cell::new(false) };
    /// Its queues are those of all members together.
    pub(super) static ADDS: Cell<bool> = const { Cell::new(false) };
    /// The miniport edge registers the version of the protocol edge.
    pub(super) static VERSIONED: Cell<bool> = const { Cell::new(false) };
    /// What becomes of a status before it is indicated.
    pub(super) static CHANGES: Cell<fn(&mut Vec<u8>)> = const { Cell::new(|_| ()) };
    /// The status that it does not indicate.
    pub(super) static KEEPS: Cell<Option<i32>> = const { Cell::new(None) };
}

/// Filters that lead to so many queues, if there are such.
fn filters(queues: Option<u32>) -> NDIS_RECEIVE_FILTER_CAPABILITIES {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut c: NDIS_RECEIVE_FILTER_CAPABILITIES = unsafe { std::mem::zeroed() };
    c.Header = Handed::Filters.header(ndis_sys::NDIS_OBJECT_TYPE_DEFAULT, VERSION.get());
    let Some(queues) = queues else { return c };
    c.EnabledFilterTypes = NDIS_RECEIVE_FILTER_VMQ_FILTERS_ENABLED;
    c.NumQueues = queues;
    if ADDS.get() {
        c.SupportedQueueProperties = NDIS_RECEIVE_FILTER_IMPLAT_SUM_OF_QUEUES_MODE;
    }
    c
}

/// A switch with so many ports, if there is one.
fn switch(ports: Option<u32>) -> NDIS_NIC_SWITCH_CAPABILITIES {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut c: NDIS_NIC_SWITCH_CAPABILITIES = unsafe { std::mem::zeroed() };
    c.Header = Handed::Switch.header(ndis_sys::NDIS_OBJECT_TYPE_DEFAULT, VERSION.get());
    c.MaxNumSwitches = u32::from(ports.is_some());
    c.MaxNumVPorts = ports.unwrap_or(0);
    c
}

/// The queues of a structure, if anything is filtered.
fn queues_of(at: u64) -> Option<u32> {
    let c: NDIS_RECEIVE_FILTER_CAPABILITIES = host().headed(at, "filters");
    (c.EnabledFilterTypes != 0).then_some(c.NumQueues)
}

/// The ports of a structure, if there is a switch.
fn ports_of(at: u64) -> Option<u32> {
    let c: NDIS_NIC_SWITCH_CAPABILITIES = host().headed(at, "switch");
    (c.MaxNumSwitches != 0).then_some(c.MaxNumVPorts)
}

/// What the adapter of a bind has, as it is switched on.
pub(super) fn learn(p: &NDIS_BIND_PARAMETERS) -> Numbers {
    let mut numbers = [None; 4];
    if !p.ReceiveFilterCapabilities.is_null() {
        let queues = queues_of(p.ReceiveFilterCapabilities as u64);
        (numbers[0], numbers[1]) = (queues, queues);
    }
    if !p.NicSwitchCapabilities.is_null() {
        let ports = ports_of(p.NicSwitchCapabilities as u64);
        (numbers[2], numbers[3]) = (ports, ports);
    }
    numbers
}

/// What all members have.
fn common() -> Numbers {
    let members = team(|t| t.members.clone());
    std::array::from_fn(|at| {
        let each: Option<Vec<u32>> = members.iter().map(|m| m.assist[at]).collect();
        let each = each.filter(|each| !each.is_empty())?;
        let adds = ADDS.get() && at < 2;
        if adds {
            Some(each.iter().sum())
        } else {
            each.into_iter().min()
        }
    })
}

/// Shows it in the attributes.
pub(super) fn show(miniport: u64) {
    if !TEAM_SHOWS.get() {
        return;
    }
    let numbers = common();
    team(|t| t.shown = numbers);
    let [hardware, current] = [0, 1].map(|at| numbers[at].map(|n| filters(Some(n))));
    let [hard_switch, switch_on] = [2, 3].map(|at| numbers[at].map(|n| switch(Some(n))));
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut a: NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES = unsafe { std::mem::zeroed() };
    a.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
        2,
        usize::from(ndis_sys::NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_2),
    );
    let filters = |c: &Option<NDIS_RECEIVE_FILTER_CAPABILITIES>| {
        c.as_ref()
            .map_or(std::ptr::null_mut(), |c| std::ptr::from_ref(c).cast_mut())
    };
    let switch = |c: &Option<NDIS_NIC_SWITCH_CAPABILITIES>| {
        c.as_ref()
            .map_or(std::ptr::null_mut(), |c| std::ptr::from_ref(c).cast_mut())
    };
    a.HardwareReceiveFilterCapabilities = filters(&hardware);
    a.CurrentReceiveFilterCapabilities = filters(&current);
    a.HardwareNicSwitchCapabilities = switch(&hard_switch);
    a.CurrentNicSwitchCapabilities = switch(&switch_on);
    let set = crate::ndis::attributes::NdisMSetMiniportAttributes;
    assert_eq!(set(miniport, &raw const a as u64), NDIS_STATUS_SUCCESS);
}

/// Tells what is not as it was shown.
pub(super) fn tell() {
    let miniport = team(|t| t.miniport);
    if !TEAM_SHOWS.get() || miniport == 0 {
        return;
    }
    let now = common();
    let before = team(|t| std::mem::replace(&mut t.shown, now));
    for at in 0..4 {
        if before[at] != now[at] {
            let number = now[at];
            let bytes = if at < 2 {
                whole(&filters(number))
            } else {
                whole(&switch(number))
            };
            indicate(miniport, STATUSES[at], &bytes);
        }
    }
}

fn indicate(miniport: u64, code: i32, bytes: &[u8]) {
    if KEEPS.get() == Some(code) {
        return;
    }
    let mut bytes = bytes.to_vec();
    CHANGES.get()(&mut bytes);
    let at = host().allocate(bytes.len() as u64, u32::from_le_bytes(*b"Test"), "a status");
    for (i, byte) in bytes.iter().enumerate() {
        host().put(at + i as u64, *byte, "a status");
    }
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut s: NDIS_STATUS_INDICATION = unsafe { std::mem::zeroed() };
    s.Header = header(
        NDIS_OBJECT_TYPE_STATUS_INDICATION,
        1,
        size_of::<NDIS_STATUS_INDICATION>(),
    );
    s.SourceHandle = miniport as NDIS_HANDLE;
    s.StatusCode.0 = code;
    s.StatusBuffer = at as *mut _;
    s.StatusBufferSize = bytes.len() as u32;
    crate::ndis::status::NdisMIndicateStatusEx(miniport, &raw const s as u64);
    host().release(at);
}

/// ProtocolStatusEx.
pub(super) unsafe extern "efiapi" fn status(
    context: NDIS_HANDLE,
    indication: *mut NDIS_STATUS_INDICATION,
) {
    let s: NDIS_STATUS_INDICATION = host().get(indication as u64, "StatusIndication");
    let code = s.StatusCode.0;
    let at = s.StatusBuffer as u64;
    if code == NDIS_STATUS_RECEIVE_FILTER_QUEUE_PARAMETERS.0 {
        let miniport = team(|t| t.miniport);
        if TEAM_SHOWS.get() && miniport != 0 {
            // The adapter's structure may be later than what the team knows.
            let mut bytes = host().get_bytes(at, s.StatusBufferSize as usize, "parameters");
            let (revision, size) = Handed::Queue.of(VERSION.get());
            bytes[1] = revision;
            bytes[2..4].copy_from_slice(&size.to_le_bytes());
            indicate(miniport, code, &bytes);
        }
        return;
    }
    let Some(which) = STATUSES.iter().position(|&known| known == code) else {
        return;
    };
    let h: NDIS_OBJECT_HEADER = host().get(at, "header");
    assert_eq!(u32::from(h.Size), s.StatusBufferSize);
    let number = if which < 2 {
        queues_of(at)
    } else {
        ports_of(at)
    };
    team(|t| {
        let m = t.members.iter_mut().find(|m| m.context == context as u64);
        m.expect("member").assist[which] = number;
    });
    tell();
}

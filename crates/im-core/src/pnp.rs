//! PnP and power events of both edges. All at PASSIVE_LEVEL except the shutdown
//! handler; events of one binding do not overlap, those of different ones may.
//!
//! Every event is handled to its end before the handler returns, so that none
//! is completed later (PNP-3). Power changes do not wait for anything (PWR-3).

use crate::bind::{Unlisted, arrange, read_names};
use crate::data::DataPath;
use crate::edges::{Lower, Upper};
use crate::gate::bit;
use crate::instance;
use crate::pause::{pause_binding, restart_binding};
use crate::pnp_table::{EventRule, rule};
use crate::state::{Upper as UpperState, upper_exists};
use crate::sync;
use crate::team::is_shared;
use crate::topology::Topology;
use core::mem::offset_of;
use core::sync::atomic::Ordering;
use im_control::EventKind;
use ndis::config::Configuration;
use ndis::header::{Zeroed, header, read_optional};
use ndis::string::units;
use ndis::sys::{
    NDIS_HANDLE, NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_PROTOCOL_RESTART_PARAMETERS,
    NDIS_PROTOCOL_RESTART_PARAMETERS, NDIS_SHUTDOWN_ACTION, NDIS_STATUS,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_SUCCESS, NET_DEVICE_PNP_EVENT,
    NET_PNP_EVENT_NOTIFICATION, NET_PNP_EVENT_NOTIFICATION_REVISION_1,
    NdisDevicePnPEventSurpriseRemoved, NdisDeviceStateD0, NdisMNetPnPEvent,
    NdisReEnumerateProtocolBindings, UNICODE_STRING,
};

/// How long an event waits for a regular OID request to end, in milliseconds;
/// NDIS gives a request 12 seconds (OID-8).
const OID_LIMIT: u32 = 12_000;

/// ProtocolNetPnPEvent. IRQL = PASSIVE_LEVEL.
pub(crate) unsafe extern "efiapi" fn event<T: Topology>(
    context: NDIS_HANDLE,
    notification: *mut NET_PNP_EVENT_NOTIFICATION,
) -> NDIS_STATUS {
    if notification.is_null() {
        return NDIS_STATUS_INVALID_PARAMETER; // MEM-3
    }
    // SAFETY: (PNP-3) valid until this returns, as nothing pends.
    let notification = unsafe { &*notification };
    // SAFETY: (BND-14) null or the ProtocolBindingContext.
    let lower = unsafe { context.cast::<Lower<T>>().as_ref() };
    let rule = rule(notification.NetPnPEvent.NetEvent, lower.is_some());
    match (lower, rule) {
        (Some(lower), EventRule::Ask) => ask(lower, notification),
        (Some(lower), EventRule::Tell) => {
            let _answer = ask(lower, notification); // PNP-2: may not fail
            NDIS_STATUS_SUCCESS
        }
        (Some(lower), EventRule::SetPower) => {
            set_power(lower, notification);
            NDIS_STATUS_SUCCESS
        }
        (Some(lower), EventRule::Pause) => {
            pause_binding(lower);
            NDIS_STATUS_SUCCESS
        }
        (Some(lower), EventRule::Restart) => {
            refresh(lower, notification);
            restart_binding(lower);
            sync::restarted(lower);
            NDIS_STATUS_SUCCESS
        }
        (Some(lower), EventRule::ReconfigureBinding) => {
            reconfigure(lower);
            let _answer = ask(lower, notification);
            NDIS_STATUS_SUCCESS
        }
        (None, EventRule::ReconfigureDriver) => {
            let driver = T::driver();
            driver.each_binding(reconfigure);
            // SAFETY: (PNP-8, BND-15) the event came without a binding.
            unsafe { NdisReEnumerateProtocolBindings(driver.protocol_handle()) };
            NDIS_STATUS_SUCCESS
        }
        (_, EventRule::ReEnable) => {
            re_enable::<T>(notification);
            NDIS_STATUS_SUCCESS
        }
        _ => NDIS_STATUS_SUCCESS, // PNP-1
    }
}

/// Passes an event to the protocols above every miniport of the binding; the
/// first answer that is not SUCCESS counts (PNP-4, PNP-6).
fn ask<T: Topology>(lower: &Lower<T>, below: &NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS {
    if lower.team().member_count() > 1 {
        return NDIS_STATUS_SUCCESS; // LBF-7: the others carry the team
    }
    for upper in lower.uppers() {
        let Some(_inside) = upper.handlers.enter() else {
            continue;
        };
        if !upper_exists(upper.state()) {
            continue;
        }
        wait_for_oid(&upper); // OID-9
        let mut event = NET_PNP_EVENT_NOTIFICATION::zeroed(); // PNP-11
        event.Header = header(
            NDIS_OBJECT_TYPE_DEFAULT,
            NET_PNP_EVENT_NOTIFICATION_REVISION_1,
            offset_of!(NET_PNP_EVENT_NOTIFICATION, SwitchId),
        );
        event.NetPnPEvent.NetEvent = below.NetPnPEvent.NetEvent;
        event.NetPnPEvent.Buffer = below.NetPnPEvent.Buffer;
        event.NetPnPEvent.BufferLength = below.NetPnPEvent.BufferLength;
        // SAFETY: (PNP-4) in the context of ProtocolNetPnPEvent, on the
        // miniport's handle, which the run-down keeps.
        let answer = unsafe { NdisMNetPnPEvent(upper.handle().0, &raw mut event) };
        if answer != NDIS_STATUS_SUCCESS {
            return answer;
        }
    }
    NDIS_STATUS_SUCCESS
}

/// Waits until no regular request is pending on the miniport (OID-9).
fn wait_for_oid<T: Topology>(upper: &Upper<T>) {
    upper.oid_idle.reset();
    let busy = upper.oid.lock().is_busy();
    if busy {
        let _ended = upper.oid_idle.wait_for(OID_LIMIT);
    }
}

/// NetEventSetPower (PWR-1, PWR-3, PWR-4). Not passed on: NDIS tells protocols
/// above when the miniport itself changes power (appendix B, row 43).
fn set_power<T: Topology>(lower: &Lower<T>, event: &NET_PNP_EVENT_NOTIFICATION) {
    let buffer = event.NetPnPEvent.Buffer.cast::<i32>();
    if buffer.is_null() || event.NetPnPEvent.BufferLength < 4 {
        return; // PNP-10
    }
    // SAFETY: (PNP-10) four bytes at least.
    let state = unsafe { buffer.read_unaligned() };
    lower.power.store(state, Ordering::Release);
    lower
        .driver
        .event(EventKind::BindingPower, lower.if_index(), state as u64);
    if state == NdisDeviceStateD0.0 {
        lower.set_bits(0, bit::LOWER_LOW_POWER);
        sync::merge_again(lower.team());
        T::Data::changed(lower);
    } else {
        lower.set_bits(bit::LOWER_LOW_POWER, 0);
        T::Data::slept(lower); // PWR-4: nothing waits for D0
    }
}

/// NetEventRestart: takes over what changed while the binding was paused
/// (PBS-4, IFS-5).
fn refresh<T: Topology>(lower: &Lower<T>, event: &NET_PNP_EVENT_NOTIFICATION) {
    let buffer = event
        .NetPnPEvent
        .Buffer
        .cast::<NDIS_PROTOCOL_RESTART_PARAMETERS>();
    let needed = offset_of!(NDIS_PROTOCOL_RESTART_PARAMETERS, BoundIfNetluid);
    if buffer.is_null() || (event.NetPnPEvent.BufferLength as usize) < needed {
        return; // nothing changed
    }
    // SAFETY: (PBS-4, VER-4) not null, `needed` bytes at least.
    let parameters = unsafe {
        read_optional(
            buffer.cast_const(),
            NDIS_OBJECT_TYPE_PROTOCOL_RESTART_PARAMETERS,
            needed,
        )
    };
    let Some(parameters): Option<NDIS_PROTOCOL_RESTART_PARAMETERS> = parameters else {
        return;
    };
    let index = {
        let mut facts = lower.facts.lock();
        // SAFETY: (PBS-4) the list that NDIS made for this event.
        unsafe { facts.refresh(parameters.RestartAttributes.cast_const()) };
        if parameters.BoundIfIndex != 0 {
            facts.if_index = parameters.BoundIfIndex;
        }
        facts.if_index
    };
    if is_shared::<T>() {
        lower.team().fold();
        return sync::restack_member(lower);
    }
    for upper in lower.uppers() {
        if let Some(_inside) = upper.handlers.enter()
            && upper_exists(upper.state())
        {
            instance::restack(&upper, index);
        }
    }
}

/// Reads UpperBindings again: asks for miniports that are new (BND-13, VMI-1)
/// and takes away those that are not listed any more. If it cannot be read,
/// everything stays as it is. The binding stays open meanwhile (CFG-2).
fn reconfigure<T: Topology>(lower: &Lower<T>) {
    // SAFETY: (BND-12, CFG-2) after the open the binding is the handle; its
    // unbind waits for this thread or is serialised with this event.
    let names = unsafe { Configuration::open(lower.handle().0) }
        .and_then(|configuration| read_names(&configuration));
    if is_shared::<T>() {
        return other_team(lower, names.as_deref().unwrap_or(&[]));
    }
    let result = names.and_then(|names| arrange(lower, &names, Unlisted::Go));
    if let Err(error) = result {
        let status = u64::from(error.status().0 as u32);
        lower
            .driver
            .event(EventKind::NoUpperBindings, lower.if_index(), status);
    }
}

/// A member of a team stays in it as long as it is bound: another name, or none,
/// counts from its next bind on, and an event says so.
fn other_team<T: Topology>(lower: &Lower<T>, units: &[u16]) {
    let name = ndis::multi_sz::names(units).next().unwrap_or(&[]);
    if !lower.team().is_called(name) {
        let (driver, index) = (lower.driver, lower.if_index());
        driver.event(EventKind::NoUpperBindings, index, 0);
    }
}

/// NetEventIMReEnableDevice: asks for one miniport again, by its name (PNP-9).
fn re_enable<T: Topology>(event: &NET_PNP_EVENT_NOTIFICATION) {
    if (event.NetPnPEvent.BufferLength as usize) < size_of::<UNICODE_STRING>() {
        return; // PNP-10
    }
    // SAFETY: (PNP-9, PNP-10) a counted string, long enough.
    let name = unsafe { units(event.NetPnPEvent.Buffer.cast::<UNICODE_STRING>()) };
    T::driver().each_binding(|lower| {
        let team = lower.team();
        let _setup = team.setup.lock();
        if let Some(upper) = team.find(name)
            && upper.state() == UpperState::Halted
        {
            let _requested = instance::request(&upper);
        }
    });
}

/// MiniportDevicePnPEventNotify. IRQL = PASSIVE_LEVEL (DPE-1, DPE-2).
pub(crate) unsafe extern "efiapi" fn device_event<T: Topology>(
    context: NDIS_HANDLE,
    event: *mut NET_DEVICE_PNP_EVENT,
) {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    // SAFETY: (DPE-2) null or valid until this returns. The buffer of a power
    // profile is not looked at: nothing here depends on it.
    let Some(event) = (unsafe { event.as_ref() }) else {
        return;
    };
    if event.DevicePnPEvent == NdisDevicePnPEventSurpriseRemoved {
        upper.path.gate.set(bit::UPPER_REMOVED); // DPE-1
        crate::pause::give_up_held(upper);
        let index = upper.if_index.load(Ordering::Relaxed);
        upper.driver.event(EventKind::SurpriseRemoved, index, 0);
    }
}

/// MiniportShutdownEx. Any IRQL. Frees nothing, waits for nothing, calls
/// nothing (DPE-3): there is no hardware to quiet.
pub(crate) unsafe extern "efiapi" fn shutdown(
    _context: NDIS_HANDLE,
    _action: NDIS_SHUTDOWN_ACTION,
) {
}

//! The virtual miniport: asked for, initialised, paused, restarted, halted. All at
//! PASSIVE_LEVEL. MiniportInitializeEx may run inside the request, later, or never (VMI-3).

use core::mem::size_of_val;
use core::ptr::null_mut;
use core::sync::atomic::Ordering;

use ndis_sys::{
    NDIS_HALT_ACTION, NDIS_HANDLE, NDIS_MAC_OPTION_8021P_PRIORITY, NDIS_MAC_OPTION_NO_LOOPBACK,
    NDIS_MAC_OPTION_RESERVED, NDIS_MAC_OPTION_TRANSFERS_NOT_PEND, NDIS_MINIPORT_ADAPTER_ATTRIBUTES,
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
    NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND, NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK,
    NDIS_MINIPORT_INIT_PARAMETERS, NDIS_MINIPORT_PAUSE_PARAMETERS,
    NDIS_MINIPORT_RESTART_PARAMETERS, NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, NDIS_OID, NDIS_PM_CAPABILITIES,
    NDIS_SHUTDOWN_ACTION, NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_NOT_ACCEPTED,
    NDIS_STATUS_PENDING, NDIS_STATUS_SUCCESS, NET_DEVICE_PNP_EVENT,
    NdisDevicePnPEventSurpriseRemoved, NdisDeviceStateUnspecified,
    NdisIMCancelInitializeDeviceInstance, NdisIMDeInitializeDeviceInstance,
    NdisIMInitializeDeviceInstanceEx, NdisIfAddIfStackEntry, NdisIfDeleteIfStackEntry,
    NdisInterfaceInternal, NdisMSetMiniportAttributes,
};

use crate::entry::DRIVER;
use crate::lane::{Lane, bit, device};
use crate::raw::{CONTEXT_BYTES, Plain, counted, header, ok};
use crate::table::instead;
use crate::{events, requests};

/// The bits of OID_GEN_STATISTICS, all of them (ATR-11); the adapter counts.
const ALL_STATISTICS: u32 = 0x003F_FFFF;

/// Asks NDIS for the miniport, once (VMI-1, VMI-2).
pub(crate) fn ask_for(lane: &Lane) {
    let mut name = name(lane);
    let (from, to) = (device::NONE, device::REQUESTED);
    let free = lane
        .device
        .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
    if name.Length == 0 || free.is_err() {
        if free.is_ok() {
            lane.device.store(device::NONE, Ordering::SeqCst);
        }
        return;
    }
    // SAFETY: (VMI-1, VMI-4) PASSIVE_LEVEL, the driver handle, a name from UpperBindings, a
    // context that is never freed.
    let status =
        unsafe { NdisIMInitializeDeviceInstanceEx(DRIVER.get(), &raw mut name, lane.context()) };
    if !ok(status) {
        let (from, to) = (device::REQUESTED, device::NONE);
        let _other = lane
            .device
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// The device's name; empty when the configuration has none.
pub(crate) fn name(lane: &Lane) -> ndis_sys::UNICODE_STRING {
    let facts = lane.facts();
    counted(facts.name.get(..facts.name_units).unwrap_or(&[]))
}

/// Takes the request back, or the miniport down, whatever has become of it (CAN-1 to CAN-4).
pub(crate) fn withdraw(lane: &Lane) {
    loop {
        match lane.device.load(Ordering::SeqCst) {
            device::NONE => return,
            device::REQUESTED => {
                let mut name = name(lane);
                // SAFETY: (CAN-2) the driver handle and the very same name.
                let status =
                    unsafe { NdisIMCancelInitializeDeviceInstance(DRIVER.get(), &raw mut name) };
                if ok(status) {
                    lane.device.store(device::NONE, Ordering::SeqCst); // CAN-4
                    return;
                }
                // CAN-3: it is being initialised.
                lane.settled
                    .until(|| lane.device.load(Ordering::SeqCst) != device::REQUESTED);
            }
            device::INITIALIZING => lane
                .settled
                .until(|| lane.device.load(Ordering::SeqCst) != device::INITIALIZING),
            _ => {
                let handle = lane.miniport();
                if !handle.is_null() {
                    // SAFETY: (HLT-1, VMI-8) PASSIVE_LEVEL, no lock, the handle that
                    // MiniportInitializeEx got.
                    unsafe { NdisIMDeInitializeDeviceInstance(handle) };
                }
                lane.settled
                    .until(|| lane.device.load(Ordering::SeqCst) != device::READY);
            }
        }
    }
}

/// MiniportInitializeEx.
pub(crate) unsafe extern "efiapi" fn initialize(
    handle: NDIS_HANDLE,
    _driver: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    // SAFETY: (VMI-4) what the request gave.
    let lane = Lane::of(unsafe { (*parameters).IMDeviceInstanceContext });
    instead!(Initialize(lane, handle, parameters), honest_initialize)
}

/// Sets the attributes, in order, and opens the gate (VMI-6, VMI-7).
pub(crate) fn honest_initialize(
    lane: &Lane,
    handle: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    if !begin(lane, parameters) {
        return NDIS_STATUS_NOT_ACCEPTED;
    }
    let mut status = register(lane, handle); // ATR-1
    if ok(status) {
        status = show(lane, handle); // ATR-2
    }
    if ok(status) && !instead!(Stack(lane), stack) {
        status = NDIS_STATUS_FAILURE;
    }
    finish(lane, handle, status)
}

/// The beginning of an initialisation; false if nobody asked for it.
pub(crate) fn begin(lane: &Lane, parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS) -> bool {
    let (from, to) = (device::REQUESTED, device::INITIALIZING);
    let asked = lane
        .device
        .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
    // SAFETY: (VER-4) part of revision 1.
    let index = unsafe { (*parameters).IfIndex };
    if asked.is_ok() {
        lane.index.store(index, Ordering::SeqCst);
    }
    asked.is_ok()
}

/// The end of an initialisation, and what NDIS is told of it.
pub(crate) fn finish(lane: &Lane, handle: NDIS_HANDLE, mut status: NDIS_STATUS) -> NDIS_STATUS {
    if ok(status) {
        lane.set_miniport(handle);
        lane.pass(bit::ASLEEP | bit::REMOVED);
        lane.device.store(device::READY, Ordering::SeqCst);
        lane.telling.open(); // STS-2
        events::show_link(lane); // STS-5: what changed since
    } else {
        lane.device.store(device::NONE, Ordering::SeqCst);
        if status != NDIS_STATUS_FAILURE {
            status = ndis_sys::NDIS_STATUS_RESOURCES; // VMI-6
        }
    }
    lane.settled.set();
    status
}

/// Registration attributes (ATR-1, ATR-3, ATR-4).
pub(crate) fn register(lane: &Lane, handle: NDIS_HANDLE) -> NDIS_STATUS {
    let mut a = NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES::zeroed();
    a.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
        NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
        size_of::<NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES>(),
    );
    a.MiniportAdapterContext = lane.context();
    a.AttributeFlags =
        NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND | NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK;
    a.InterfaceType = NdisInterfaceInternal;
    instead!(Registration(&mut a), |_| ());
    set(handle, &raw mut a)
}

/// General attributes: those of the adapter, without RSS and offload, which the driver refuses
/// (ATR-5 to ATR-12).
pub(crate) fn show(lane: &Lane, handle: NDIS_HANDLE) -> NDIS_STATUS {
    let (mut a, mut pm, link) = lane.locked(|facts| {
        facts.shown = facts.link;
        let pm = facts.has_pm.then_some(facts.pm);
        (facts.general, pm, facts.link)
    });
    a.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
        NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
        size_of::<NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES>(),
    );
    if let Some(link) = link {
        a.MediaConnectState = link.connect;
        a.MediaDuplexState = link.duplex;
        a.XmitLinkSpeed = link.xmit;
        a.RcvLinkSpeed = link.rcv;
    }
    a.MacOptions |= NDIS_MAC_OPTION_NO_LOOPBACK
        | NDIS_MAC_OPTION_8021P_PRIORITY
        | NDIS_MAC_OPTION_TRANSFERS_NOT_PEND;
    a.MacOptions &= !NDIS_MAC_OPTION_RESERVED;
    a.SupportedStatistics = ALL_STATISTICS;
    a.ContextBackFillSize += u32::from(CONTEXT_BYTES); // ATR-9
    let mut oids = requests::SUPPORTED;
    a.SupportedOidList = oids.as_mut_ptr();
    a.SupportedOidListLength = size_of::<[NDIS_OID; requests::SUPPORTED.len()]>() as u32;
    debug_assert!(size_of_val(&oids) == a.SupportedOidListLength as usize);
    if let Some(pm) = pm.as_mut() {
        // ATR-6: the miniport wakes nothing.
        pm.MinMagicPacketWakeUp = NdisDeviceStateUnspecified;
        pm.MinPatternWakeUp = NdisDeviceStateUnspecified;
        pm.MinLinkChangeWakeUp = NdisDeviceStateUnspecified;
        a.PowerManagementCapabilitiesEx = core::ptr::from_mut::<NDIS_PM_CAPABILITIES>(pm);
    }
    instead!(General(&mut a), |_| ());
    set(handle, &raw mut a)
}

/// Hands one structure over.
pub(crate) fn set<A>(handle: NDIS_HANDLE, attributes: *mut A) -> NDIS_STATUS {
    // SAFETY: (VER-5, ATR-1) inside MiniportInitializeEx; the header says which it is.
    unsafe {
        NdisMSetMiniportAttributes(
            handle,
            attributes.cast::<NDIS_MINIPORT_ADAPTER_ATTRIBUTES>(),
        )
    }
}

/// Tells NDIS what stands on what (IFS-1, IFS-3).
pub(crate) fn stack(lane: &Lane) -> bool {
    let (above, below) = (lane.index.load(Ordering::SeqCst), lane.facts().index);
    if above == 0 || below == 0 {
        return true;
    }
    // SAFETY: (IFS-3) PASSIVE_LEVEL; both are registered.
    let added = ok(unsafe { NdisIfAddIfStackEntry(above, below) });
    if added {
        lane.stacked_on.store(below, Ordering::SeqCst);
    }
    added
}

/// Takes that back (IFS-2).
pub(crate) fn unstack(lane: &Lane) {
    let below = lane.stacked_on.swap(0, Ordering::SeqCst);
    if below != 0 {
        // SAFETY: (IFS-2) the pair that was added.
        unsafe { NdisIfDeleteIfStackEntry(lane.index.load(Ordering::SeqCst), below) };
    }
}

/// MiniportHaltEx.
pub(crate) unsafe extern "efiapi" fn halt(context: NDIS_HANDLE, action: NDIS_HALT_ACTION) {
    instead!(Halt(Lane::of(context), action), honest_halt);
}

/// Everything of the miniport goes (HLT-2, HLT-3, HLT-4).
pub(crate) fn honest_halt(lane: &Lane, _action: NDIS_HALT_ACTION) {
    lane.shut(bit::ABOVE);
    lane.telling.close();
    instead!(Unstack(lane), unstack);
    lane.set_miniport(null_mut());
    lane.asked.store(false, Ordering::SeqCst);
    lane.device.store(device::NONE, Ordering::SeqCst);
    lane.settled.set();
}

/// MiniportPause.
pub(crate) unsafe extern "efiapi" fn pause(
    context: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_PAUSE_PARAMETERS,
) -> NDIS_STATUS {
    // For misdeeds: the honest driver does not look at the reason (MPS-10).
    // SAFETY: (VER-4) part of revision 1; valid until this returns.
    let reason = unsafe { (*parameters).PauseReason };
    Lane::of(context).scratch[3].store(reason as usize, Ordering::SeqCst);
    instead!(Pause(Lane::of(context)), honest_pause)
}

/// Closes the gate; whoever brings the last list completes it (MPS-2, MPS-3).
pub(crate) fn honest_pause(lane: &Lane) -> NDIS_STATUS {
    lane.shut(bit::ABOVE);
    lane.pausing.store(true, Ordering::SeqCst);
    let empty = lane.out.load(Ordering::SeqCst) == 0;
    if empty && lane.pausing.swap(false, Ordering::SeqCst) {
        return NDIS_STATUS_SUCCESS;
    }
    NDIS_STATUS_PENDING
}

/// MiniportRestart.
pub(crate) unsafe extern "efiapi" fn restart(
    context: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
) -> NDIS_STATUS {
    instead!(Restart(Lane::of(context), parameters), honest_restart)
}

/// Opens the gate (MPS-7, MPS-8).
pub(crate) fn honest_restart(
    lane: &Lane,
    _parameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
) -> NDIS_STATUS {
    lane.pass(bit::ABOVE);
    NDIS_STATUS_SUCCESS
}

/// MiniportDevicePnPEventNotify (DPE-1, DPE-2).
pub(crate) unsafe extern "efiapi" fn device_event(
    context: NDIS_HANDLE,
    event: *mut NET_DEVICE_PNP_EVENT,
) {
    instead!(DeviceEvent(Lane::of(context), event), honest_device_event);
}

/// From now on everything is refused.
pub(crate) fn honest_device_event(lane: &Lane, event: *mut NET_DEVICE_PNP_EVENT) {
    // SAFETY: (DPE-2) valid until this returns.
    if unsafe { (*event).DevicePnPEvent } == NdisDevicePnPEventSurpriseRemoved {
        lane.shut(bit::REMOVED);
    }
}

/// MiniportShutdownEx. Any IRQL; frees nothing, waits for nothing, calls nothing (DPE-3).
pub(crate) unsafe extern "efiapi" fn shutdown(context: NDIS_HANDLE, action: NDIS_SHUTDOWN_ACTION) {
    instead!(Shutdown(Lane::of(context), action), |_, _| ());
}

//! Virtual miniports: asked for, initialised, halted, called off.
//!
//! MiniportInitializeEx may run inside NdisIMInitializeDeviceInstanceEx, later
//! on another thread, or never (VMI-3); several may run in parallel (VMI-5).
//! `Upper::core` decides which of a cancel and an initialisation comes first.
//! Everything here is at PASSIVE_LEVEL.

use crate::attributes;
use crate::data::DataPath;
use crate::edges::{Lower, Setup, Upper};
use crate::gate::bit;
use crate::offload::Choice;
use crate::oid_table::Rule;
use crate::settings::{Refused, Registry};
use crate::state::{Upper as UpperState, UpperMove};
use crate::sync::Claim;
use crate::team::{Team, is_shared};
use crate::topology::Topology;
use crate::{log, oid, status, sync};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use ethernet::Mac;
use im_control::EventKind;
use ndis::config::Configuration;
use ndis::memory::{PoolArray, PoolBox};
use ndis::nbl::MiniportHandle;
use ndis::oid::{Facts, Kind};
use ndis::status::check;
use ndis::string::{counted, same_name};
use ndis::sys::{
    NDIS_HALT_ACTION, NDIS_HANDLE, NDIS_MINIPORT_INIT_PARAMETERS, NDIS_OID, NDIS_STATUS,
    NDIS_STATUS_FAILURE, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
    NdisDeviceStateD0, NdisIMCancelInitializeDeviceInstance, NdisIMDeInitializeDeviceInstance,
    NdisIMInitializeDeviceInstanceEx, NdisIfAddIfStackEntry, NdisIfDeleteIfStackEntry,
};
use ndis::{Error, Result};

/// Makes the state of a virtual miniport, complete before NDIS hears of it
/// (VMI-3), and puts it on the binding. False if the topology has no room.
pub(crate) fn create<T: Topology>(
    team: &Team<T>,
    setup: &mut Setup<T>,
    name: &[u16],
    position: u32,
) -> Result<bool> {
    counted(name)?; // too long to be a name: refuse now
    // SAFETY: (VMI-4) retired ones live as long as the binding.
    let known =
        |(_, upper): &(u64, NonNull<Upper<T>>)| unsafe { same_name(&upper.as_ref().name, name) };
    if let Some(index) = setup.retired.iter().position(known) {
        let Some((_, upper)) = setup.retired.swap_remove(index) else {
            return Ok(false); // found just now
        };
        // SAFETY: (VMI-4) as above.
        unsafe { upper.as_ref() }
            .position
            .store(position, Ordering::Relaxed);
        // SAFETY: (VMI-4) retired: off the list and halted, ours alone.
        return team.add(unsafe { PoolBox::from_raw(upper) });
    }
    team.add(make(team, name, position)?)
}

/// A virtual miniport in its box. Not inlined: what it has on the stack is gone
/// before the miniport is asked for.
#[inline(never)]
fn make<T: Topology>(team: &Team<T>, name: &[u16], position: u32) -> Result<PoolBox<Upper<T>>> {
    let upper = PoolBox::try_new(team.driver.pool(), Upper::try_new(team, name, position)?)?;
    // SAFETY: (IRQ-9) in its box, which does not move it; not shared yet.
    unsafe { upper.init() };
    Ok(upper)
}

/// Takes miniports away from a living team: withdrawn from NDIS, off the
/// list, freed as soon as nobody looks at them any more (VMI-1, CAN-1, HLT-3).
/// The caller holds `setup` and has taken them from the list. Fails, before
/// anything was done, for want of memory only.
pub(crate) fn remove_all<T: Topology>(
    team: &Team<T>,
    setup: &mut Setup<T>,
    gone: &[NonNull<Upper<T>>],
) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    if !T::Data::WITHDRAW_WAITS {
        setup.retired.make_room(gone.len())?;
    }
    for upper in gone {
        // SAFETY: (VMI-4) on the list, and the caller holds `setup`.
        let upper = unsafe { upper.as_ref() };
        let index = upper.if_index.load(Ordering::Relaxed);
        withdraw(upper);
        upper.leaving.store(true, Ordering::Relaxed);
        let position = upper.position.load(Ordering::Relaxed);
        team.driver
            .event(EventKind::MiniportRemoved, index, position.into());
    }
    team.take_off(|upper| upper.leaving.load(Ordering::Relaxed));
    for upper in gone {
        // SAFETY: (VMI-4) off the list; freed below only.
        let there = unsafe { upper.as_ref() };
        there.leaving.store(false, Ordering::Relaxed);
        if T::Data::WITHDRAW_WAITS {
            there.users.close_and_wait();
            // SAFETY: (VMI-4) came from a box; halted, off the list, and nobody
            // holds it any more.
            drop(unsafe { PoolBox::from_raw(*upper) });
        } else {
            let _room = setup.retired.push((0, *upper)); // made above
        }
    }
    Ok(())
}

/// Asks NDIS for every virtual miniport of a team that is not there. The
/// caller holds [`Team::setup`].
pub(crate) fn request_all<T: Topology>(team: &Team<T>) {
    for upper in team.uppers() {
        // One that is there already refuses the move; that is no event.
        if upper.state() == UpperState::Halted {
            let _requested = request(&upper);
        }
    }
}

/// Asks NDIS for a virtual miniport (BND-13, VMI-1). The caller holds
/// [`Team::setup`], so that nobody takes it away meanwhile.
pub(crate) fn request<T: Topology>(upper: &Upper<T>) -> Result<()> {
    let driver = upper.driver;
    let mut name = counted(&upper.name)?;
    // The events are reset before the state lets anybody set them.
    {
        let mut core = upper.core.lock();
        if core.state != UpperState::Halted {
            return Err(Error::NotAccepted); // VMI-2: never twice
        }
        core.state = UpperState::Requested;
    }
    upper.settled.reset();
    upper.halted.reset();
    let context: NDIS_HANDLE = core::ptr::from_ref(upper).cast_mut().cast();
    driver.event(EventKind::MiniportRequested, upper.team().if_index(), 0);
    // SAFETY: (VMI-1, VMI-4) PASSIVE_LEVEL, the miniport driver handle, a name
    // from UpperBindings, a context that outlives the miniport.
    let status = unsafe {
        NdisIMInitializeDeviceInstanceEx(driver.miniport_handle(), &raw mut name, context)
    };
    if let Err(error) = check(status) {
        // VMI-2: NOT_ACCEPTED means that it exists, but not as ours.
        if upper.state() == UpperState::Requested {
            let _withdrawn = upper.step(UpperMove::Withdraw);
            upper.settled.set();
        }
        let index = upper.team().if_index();
        driver.event(
            EventKind::MiniportRefused,
            index,
            u64::from(status.0 as u32),
        );
        return Err(error);
    }
    Ok(())
}

/// Undoes the request of a virtual miniport, whatever has become of it, and
/// returns when nothing of it is left in NDIS (CAN-1 to CAN-4, UNB-7).
pub(crate) fn withdraw<T: Topology>(upper: &Upper<T>) {
    loop {
        match upper.state() {
            UpperState::Halted => return,
            UpperState::Requested => {
                let Ok(mut name) = counted(&upper.name) else {
                    return;
                };
                // SAFETY: (CAN-2) the driver handle and the very same name.
                let status = unsafe {
                    NdisIMCancelInitializeDeviceInstance(
                        upper.driver.miniport_handle(),
                        &raw mut name,
                    )
                };
                if status == NDIS_STATUS_SUCCESS {
                    // CAN-4: no halt will come.
                    let _withdrawn = upper.step(UpperMove::Withdraw);
                    return;
                }
                upper.settled.wait(); // CAN-3: let it finish
            }
            UpperState::Initializing => upper.settled.wait(),
            _ => {
                // VMI-8: the state tells of an initialisation before its handler has
                // come to its end.
                upper.settled.wait();
                let handle = upper.handle().0;
                // Without a handle a halt of NDIS's own is all but over (HLT-4).
                if !handle.is_null() {
                    // SAFETY: (HLT-1, VMI-8) PASSIVE_LEVEL, no lock held, the
                    // handle of the initialised instance.
                    let _status = unsafe { NdisIMDeInitializeDeviceInstance(handle) };
                }
                // The halt may have come inside the call, comes later, or is
                // under way for a reason of its own.
                upper.halted.wait();
            }
        }
    }
}

/// MiniportInitializeEx. IRQL = PASSIVE_LEVEL.
pub(crate) unsafe extern "efiapi" fn initialize<T: Topology>(
    handle: NDIS_HANDLE,
    _driver: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    if parameters.is_null() {
        return NDIS_STATUS_FAILURE; // MEM-3
    }
    // SAFETY: (VMI-4) the context that the request gave.
    let upper = unsafe {
        (*parameters)
            .IMDeviceInstanceContext
            .cast::<Upper<T>>()
            .as_ref()
    };
    let Some(upper) = upper else {
        return NDIS_STATUS_NOT_ACCEPTED;
    };
    if upper.step(UpperMove::Initialize).is_err() {
        return NDIS_STATUS_NOT_ACCEPTED;
    }
    // SAFETY: (VER-4) IfIndex is part of revision 1.
    let if_index = unsafe { (*parameters).IfIndex };
    upper.if_index.store(if_index, Ordering::Relaxed);
    let status = match bring_up(upper, MiniportHandle(handle)) {
        Ok(()) => {
            upper.driver.event(EventKind::MiniportReady, if_index, 0);
            NDIS_STATUS_SUCCESS
        }
        Err(error) => {
            take_down(upper); // VMI-7
            // VMI-6: four statuses.
            let status = match error {
                Error::NoResources => NDIS_STATUS_RESOURCES,
                Error::Refused(status) if status == NDIS_STATUS_RESOURCES => NDIS_STATUS_RESOURCES,
                _ => NDIS_STATUS_FAILURE,
            };
            upper.driver.event(
                EventKind::MiniportFailed,
                if_index,
                u64::from(status.0 as u32),
            );
            log::write(
                MiniportHandle(handle),
                EventKind::MiniportFailed,
                status.0 as u32,
            );
            let _failed = upper.step(UpperMove::InitializeFailed);
            status
        }
    };
    upper.settled.set();
    status
}

/// What initialisation does, undone in reverse by [`take_down`].
fn bring_up<T: Topology>(upper: &Upper<T>, handle: MiniportHandle) -> Result<()> {
    let team = upper.team();
    // Of many members the first speaks for all: what counts is in the facts.
    let first = team.members().next().ok_or(Error::NotAccepted)?;
    let facts = team.facts().ok_or(Error::NotAccepted)?;
    let context: NDIS_HANDLE = core::ptr::from_ref(upper).cast_mut().cast();
    attributes::register(handle, context)?; // ATR-1: first
    let port = configure(upper, handle, first.adapter(), &facts)?;
    let shown = T::shown(first.adapter(), &facts, &port);
    drop(first);
    let mac = Mac::from_slice(&shown.mac).unwrap_or(Mac::ZERO);
    let mut oids = supported(team)?;
    let list = oids
        .as_mut()
        .map_or(&mut [][..], |oids| oids.as_mut_slice());
    attributes::show(handle, &shown, list)?; // ATR-2
    // No page says that NDIS copies the list: it stays until the next one.
    let _former = core::mem::replace(&mut *upper.oids.lock(), oids);

    // IFS-1, IFS-3: the layering that NDIS cannot see.
    let above = upper.if_index.load(Ordering::Relaxed);
    if !is_shared::<T>() && above != 0 && facts.if_index != 0 {
        // SAFETY: (IFS-3) PASSIVE_LEVEL; both indexes are registered.
        check(unsafe { NdisIfAddIfStackEntry(above, facts.if_index) })?;
        upper.stacked_on.store(facts.if_index, Ordering::Relaxed);
    }
    upper.shown_link.lock().last = Some(shown.link);
    upper.lookahead.store(shown.lookahead, Ordering::Relaxed);
    *upper.choice.lock() = Choice::default();
    *upper.shown.lock() = Some(shown);
    // SAFETY: (VMI-4) inside MiniportInitializeEx, not published yet.
    unsafe { upper.set_port(Some(port)) };
    upper.path.set_miniport(handle);
    upper
        .path
        .gate
        .clear(bit::UPPER_LOW_POWER | bit::UPPER_REMOVED);
    upper.path.gate.set(bit::NO_FILTER); // RCV-14
    upper.filter.store(0, Ordering::Relaxed);
    upper.power.store(NdisDeviceStateD0.0, Ordering::Relaxed);
    T::Data::started(upper, mac)?;
    let joined = sync::join(upper, mac);
    joined.and_then(|()| upper.step(UpperMove::Initialized).map(|_| ()))?;
    upper.handlers.open();
    upper.indications.open(); // STS-2
    status::show_link(upper); // STS-5: what changed since the facts were copied
    Ok(())
}

/// Reads the miniport's settings (CFG-1: the handle is closed again). A refusal
/// leaves out this miniport and no other.
fn configure<T: Topology>(
    upper: &Upper<T>,
    handle: MiniportHandle,
    adapter: &T::Adapter,
    facts: &crate::Facts,
) -> Result<T::Port> {
    // Without its settings a miniport might stand where it must not: no defaults.
    // SAFETY: (CFG-2) the miniport's handle, inside MiniportInitializeEx.
    let configuration = unsafe { Configuration::open(handle.0) }?;
    let registry = Registry {
        configuration: Some(configuration),
        device: &upper.name,
    };
    let position = upper.position.load(Ordering::Relaxed);
    let refused = |refused: Refused| {
        let index = upper.if_index.load(Ordering::Relaxed);
        let value = refused.value();
        upper.driver.event(EventKind::BadSetting, index, value);
        log::write(handle, EventKind::BadSetting, value as u32);
        Error::BadData
    };
    let port = T::port(adapter, facts, position, &registry).map_err(refused)?;
    sync::claim(upper, &port).map_err(|claim| match claim {
        Claim::Taken(why) => refused(why),
        Claim::NoMemory => Error::NoResources,
    })?;
    Ok(port)
}

/// The OIDs of the adapter below that are forwarded or answered in at least one
/// kind of request (ATR-10).
fn supported<T: Topology>(team: &Team<T>) -> Result<Option<PoolArray<NDIS_OID>>> {
    let below = team.below();
    let known = |oid: &NDIS_OID| {
        [Kind::Query, Kind::Set, Kind::Method].iter().any(|kind| {
            let asked = Facts {
                oid: *oid,
                kind: *kind,
                length: 0,
            };
            !matches!(T::request_rule(asked, below), Rule::Refuse(_))
        })
    };
    let own = T::own_oids();
    let below_list = team.only().and_then(|lower| lower.supported.as_deref());
    let below_list = below_list.unwrap_or(&[]);
    let oids = || {
        let others = below_list.iter().map(|oid| NDIS_OID(*oid));
        let others = others.filter(|oid| !own.contains(oid));
        own.iter().copied().chain(others).filter(known)
    };
    let count = oids().count();
    if count == 0 {
        return Ok(None);
    }
    let mut next = oids();
    let pool = team.driver.pool();
    // As many as were counted: nothing changes the list.
    PoolArray::try_with(pool, count, |_| next.next().unwrap_or(NDIS_OID(0))).map(Some)
}

/// Takes the entry out of the interface stack, if there is one (IFS-2).
fn unstack<T: Topology>(upper: &Upper<T>) {
    let below = upper.stacked_on.swap(0, Ordering::Relaxed);
    if below != 0 {
        // SAFETY: (IFS-2) PASSIVE_LEVEL; the pair that was added.
        unsafe { NdisIfDeleteIfStackEntry(upper.if_index.load(Ordering::Relaxed), below) };
    }
}

/// Enters a member of a team into the interface stack below the miniport (IFS-1,
/// IFS-3). The caller holds `Desk::sync`; IRQL = PASSIVE_LEVEL.
pub(crate) fn stack_member<T: Topology>(upper: &Upper<T>, lower: &Lower<T>) {
    let above = upper.if_index.load(Ordering::Relaxed);
    let below = lower.if_index();
    unstack_member(lower);
    if above == 0 || below == 0 {
        return;
    }
    // SAFETY: (IFS-3) PASSIVE_LEVEL; both indexes are registered.
    if check(unsafe { NdisIfAddIfStackEntry(above, below) }).is_ok() {
        *lower.stacked.lock() = Some((above, below));
    }
}

/// Takes a member's entry out again (IFS-2). The caller holds `Desk::sync`.
pub(crate) fn unstack_member<T: Topology>(lower: &Lower<T>) {
    let entry = lower.stacked.lock().take();
    if let Some((above, below)) = entry {
        // SAFETY: (IFS-2) PASSIVE_LEVEL; the pair that was added.
        unsafe { NdisIfDeleteIfStackEntry(above, below) };
    }
}

/// Renews the entry when the interface below became another one (IFS-5).
pub(crate) fn restack<T: Topology>(upper: &Upper<T>, below: u32) {
    let above = upper.if_index.load(Ordering::Relaxed);
    if above == 0 || upper.stacked_on.load(Ordering::Relaxed) == below {
        return;
    }
    unstack(upper);
    // SAFETY: (IFS-3) PASSIVE_LEVEL; both indexes are registered.
    if check(unsafe { NdisIfAddIfStackEntry(above, below) }).is_ok() {
        upper.stacked_on.store(below, Ordering::Relaxed);
    }
}

/// Undoes what [`bring_up`] did, in reverse (HLT-2); all of it, or as far as it
/// came. Handlers have returned.
fn take_down<T: Topology>(upper: &Upper<T>) {
    sync::leave(upper);
    T::Data::stopped(upper);
    unstack(upper);
    upper
        .path
        .set_miniport(MiniportHandle(core::ptr::null_mut())); // HLT-4
    *upper.shown.lock() = None;
    // SAFETY: (HLT-3) handlers have returned, nothing is outstanding, and the
    // data path does not know it any more.
    unsafe { upper.set_port(None) };
}

/// MiniportHaltEx. IRQL = PASSIVE_LEVEL. NDIS has paused the miniport.
pub(crate) unsafe extern "efiapi" fn halt<T: Topology>(
    context: NDIS_HANDLE,
    _action: NDIS_HALT_ACTION,
) {
    // SAFETY: (VMI-4) the MiniportAdapterContext; alive until `halted` is set.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    upper.handlers.close_and_wait(); // HLT-3
    oid::abort_waiting(upper);
    upper.indications.close_and_wait(); // STS-2
    upper.awaited.lock().clear();
    take_down(upper);
    let index = upper.if_index.swap(0, Ordering::Relaxed);
    upper.driver.event(EventKind::MiniportHalted, index, 0);
    if upper.step(UpperMove::Halt).is_err() {
        upper.force_halted(); // reported; the miniport is gone all the same
    }
    upper.halted.set(); // last: an unbind may free the miniport
}

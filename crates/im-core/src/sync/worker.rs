//! What the worker does with waiting requests. PASSIVE_LEVEL throughout.

use super::address::look_at_address;
use super::adjust::{Must, adjust, encapsulate};
use super::{Change, Place, Sync, Wanted, duty};
use crate::data::DataPath;
use crate::edges::Upper;
use crate::gate::bit;
use crate::list::copy_of;
use crate::offload;
use crate::team::Team;
use crate::topology::Topology;
use core::sync::atomic::Ordering;
use ndis::mutex::MutexGuard;
use ndis::oid::Route;
use ndis::sys::{
    NDIS_STATUS, NDIS_STATUS_MULTICAST_FULL, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS,
};
use ndis::{Error, Result};

/// The worker: NDIS_IO_WORKITEM. IRQL = PASSIVE_LEVEL.
pub(super) fn work<T: Topology>(place: &Place<T>) {
    // SAFETY: (BND-14) the desk is closed before the team goes.
    let team = unsafe { place.0.as_ref() };
    while let Some(taken) = team.desk.take() {
        serve(team, taken.0);
    }
    let duties = team.desk.duties.swap(0, Ordering::AcqRel);
    if duties & duty::ADDRESS != 0 {
        look_at_address(team);
    }
    if duties & duty::MERGE != 0 {
        let mut sync = team.desk.sync.lock();
        // What fails now is tried again at the next occasion.
        let _status = adjust(team, &mut sync, Must::Not);
    }
}

/// Does what a miniport's waiting request asks for, and completes it.
fn serve<T: Topology>(team: &Team<T>, upper: &Upper<T>) {
    // Once it is being halted, the halt ends what waits.
    let Some(_inside) = upper.handlers.enter() else {
        return;
    };
    let mut sync = team.desk.sync.lock();
    let Some((number, change)) = upper.oid.lock().take_work() else {
        return; // cancelled
    };
    // SAFETY: (VMI-9) `sync` is held, and no other reference lives.
    let old = unsafe { (*upper.seat.wanted.get()).clone() };
    let status = apply(team, upper, &mut sync, &change);
    let request = upper.oid.lock().take_waiting(number);
    let Some(request) = request else {
        // Cancelled meanwhile: the request failed, the old wish is in force.
        if status == NDIS_STATUS_SUCCESS {
            restore(team, upper, &mut sync, old);
        }
        return;
    };
    let status = match (status, &change) {
        (NDIS_STATUS_SUCCESS, Change::ListGroups) => {
            request.answer_with(old.groups.iter().map(|group| group.0.as_slice()))
        }
        (NDIS_STATUS_SUCCESS, _) => request.accept_set(request.facts().length),
        (status, _) => {
            request.refused();
            status
        }
    };
    drop(sync);
    if let (Change::Encapsulation(_), NDIS_STATUS_SUCCESS) = (&change, status) {
        offload::indicate(upper); // STS-6
    }
    upper.oid_idle.set();
    let status = crate::oid_table::legal_final(request.facts().oid, status);
    request.complete(upper.handle(), Route::Regular, status); // OID-2; last
}

/// Notes a change and does what it needs below.
fn apply<T: Topology>(
    team: &Team<T>,
    upper: &Upper<T>,
    sync: &mut MutexGuard<'_, Sync<T>>,
    change: &Change,
) -> NDIS_STATUS {
    // SAFETY: (VMI-9) `sync` is held; the copy is changed, then written back.
    let old = unsafe { upper.wanted() }.clone();
    let mut new = old.clone();
    match change {
        Change::ListGroups => return NDIS_STATUS_SUCCESS,
        Change::Encapsulation(wanted) => return encapsulate(upper, sync, wanted),
        Change::Filter(filter) => new.filter = *filter,
        Change::Groups(groups) => new.groups = copy_of(groups),
        Change::AddGroup(group) => {
            if !new.groups.contains(group) && new.groups.try_push(*group).is_err() {
                return NDIS_STATUS_MULTICAST_FULL;
            }
        }
        Change::RemoveGroup(group) => {
            let place = new.groups.iter().position(|known| known == group);
            if place.and_then(|place| new.groups.pop_at(place)).is_none() {
                return NDIS_STATUS_NOT_ACCEPTED; // OID-7
            }
        }
    }
    if new.filter == old.filter && new.groups == old.groups {
        return NDIS_STATUS_SUCCESS;
    }
    if publish(upper, new).is_err() {
        let _published = publish(upper, old); // the data path has kept the old one
        return NDIS_STATUS_RESOURCES;
    }
    match adjust(team, sync, Must::Widen) {
        Ok(()) => NDIS_STATUS_SUCCESS,
        Err(status) => {
            restore(team, upper, sync, old);
            status
        }
    }
}

/// Puts an old wish in force again.
fn restore<T: Topology>(
    team: &Team<T>,
    upper: &Upper<T>,
    sync: &mut MutexGuard<'_, Sync<T>>,
    old: Wanted,
) {
    // Without memory the data path keeps the new wish; the gate is right in any
    // case, and the next change publishes again.
    let _published = publish(upper, old);
    let _adjusted = adjust(team, sync, Must::Not);
}

/// Makes a wish the miniport's, for the data path first (RCV-14).
pub(super) fn publish<T: Topology>(upper: &Upper<T>, wanted: Wanted) -> Result<()> {
    let filter = wanted.filter;
    // SAFETY: (VMI-9) the callers hold `sync`, and no reference lives.
    unsafe { *upper.seat.wanted.get() = wanted };
    upper.filter.store(filter, Ordering::Relaxed);
    if filter == 0 {
        upper.path.gate.set(bit::NO_FILTER);
    } else {
        upper.path.gate.clear(bit::NO_FILTER);
    }
    // SAFETY: (VMI-9) as above; read only from here on.
    if !T::Data::set_multicast(upper, unsafe { &upper.wanted().groups }) {
        return Err(Error::NoResources);
    }
    T::Data::publish(upper)
}

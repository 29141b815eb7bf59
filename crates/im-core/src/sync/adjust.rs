//! What the adapter is asked for: all wishes in one, and only if that is not what
//! it was asked for last. PASSIVE_LEVEL; `Desk::sync` is held throughout.

use super::{Answers, Sync, duty};
use crate::edges::{Lower, Upper};
use crate::list::sort_by;
use crate::merge::Wish;
use crate::own_request::{Ask, ask, may_ask};
use crate::team::{Team, is_shared};
use crate::topology::Topology;
use crate::{log, offload};
use core::sync::atomic::Ordering;
use ethernet::Mac;
use im_control::EventKind;
use ndis::mutex::MutexGuard;
use ndis::sys::{
    NDIS_OFFLOAD_ENCAPSULATION, NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_PROMISCUOUS,
    NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_MULTICAST_FULL,
    NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_SUCCESS, OID_802_3_MULTICAST_LIST,
    OID_GEN_CURRENT_PACKET_FILTER, OID_OFFLOAD_ENCAPSULATION,
};

/// Whether a question to the adapter has to succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Must {
    /// It is asked if it can be.
    Not,
    /// It has to deliver all that is wanted; more than that does no harm.
    Widen,
}

/// Asks the adapters for what all miniports want together, where that is not what
/// they were asked for last. Of many adapters those that can be asked have to
/// deliver, the others are asked later (LBF-7).
pub(super) fn adjust<T: Topology>(
    team: &Team<T>,
    sync: &mut MutexGuard<'_, Sync<T>>,
    must: Must,
) -> core::result::Result<(), NDIS_STATUS> {
    let Sync { lowers, next, .. } = &mut **sync;
    let mut result = Err(None);
    for lower in &**lowers {
        // SAFETY: (BND-14) a member leaves under `sync`.
        let lower = unsafe { lower.as_ref() };
        if is_shared::<T>() && may_ask(lower).is_err() {
            team.desk.duties.fetch_or(duty::MERGE, Ordering::AcqRel);
            continue;
        }
        match adjust_one(team, lower, next, must) {
            Ok(()) => result = Ok(()),
            Err(status) if result.is_err() => result = Err(Some(status)),
            Err(_) => {}
        }
    }
    match result {
        Err(Some(status)) => Err(status),
        // Of nobody nothing is asked.
        Ok(()) | Err(None) => Ok(()),
    }
}

/// [`adjust`] for one adapter.
fn adjust_one<T: Topology>(
    team: &Team<T>,
    lower: &Lower<T>,
    next: &mut [Mac],
    must: Must,
) -> core::result::Result<(), NDIS_STATUS> {
    let facts = lower.facts();
    // SAFETY: (VMI-9) `sync` is held, and no other reference lives.
    let Answers { below, groups, .. } = unsafe { &mut *lower.asked.0.get() };
    let room = groups.room().min(next.len());
    let next = next.get_mut(..room).unwrap_or(&mut []);
    // SAFETY: (VMI-9) `sync` is held.
    let initialised = unsafe { team.initialised() };
    let mut wishes = initialised.iter().filter_map(|upper| {
        // SAFETY: (VMI-4) a member is initialised until it left; `sync` is held.
        let (upper, wanted) = unsafe { (upper.as_ref(), upper.as_ref().wanted()) };
        Some(Wish {
            port: upper.port()?,
            mac: wanted.mac,
            filter: wanted.filter,
            groups: &wanted.groups,
        })
    });
    let mut merged = T::merge(lower.adapter(), &facts, &mut wishes, next);
    drop(wishes);
    // Who gets all groups needs no list: it stays as it is, so that nothing is
    // lost between two requests, neither now nor when the filter narrows again.
    let all_groups = NDIS_PACKET_TYPE_ALL_MULTICAST | NDIS_PACKET_TYPE_PROMISCUOUS;
    let any_list = merged.overflow || merged.filter & all_groups != 0;
    merged.groups = merged.groups.min(next.len());
    if any_list {
        merged.groups = 0;
    }
    let wanted = next.get_mut(..merged.groups).unwrap_or(&mut []);
    sort_by(wanted, Mac::cmp);
    let same_groups = any_list || *wanted == **groups;
    if merged.filter == below.filter && same_groups {
        *below = merged;
        return Ok(());
    }
    // Less than before, or as much: nobody misses anything if it comes later.
    let narrower = merged.filter & !below.filter == 0
        && (same_groups
            || wanted
                .iter()
                .all(|group| groups.binary_search(group).is_ok()));
    let index = facts.if_index;
    if let Err(error) = may_ask(lower) {
        team.desk.duties.fetch_or(duty::MERGE, Ordering::AcqRel);
        let free = must == Must::Not || narrower;
        return if free { Ok(()) } else { Err(error.status()) };
    }
    if merged.promiscuous && !below.promiscuous {
        lower.driver.event(EventKind::PromiscuousNeeded, index, 0);
    }
    if merged.deaf && !below.deaf {
        let why = NDIS_STATUS_NOT_SUPPORTED.0 as u32;
        let kind = EventKind::PromiscuousRefused;
        lower.driver.event(kind, index, why.into());
        log::of_binding(lower, kind, why);
    }
    if merged.overflow && !below.overflow {
        let longest = facts.multicast.into();
        lower
            .driver
            .event(EventKind::MulticastOverflow, index, longest);
        log::of_binding(lower, EventKind::MulticastOverflow, facts.multicast);
    }
    let mut result = Ok(());
    // The list comes first, so that the filter never lacks it.
    if !same_groups {
        result = set_groups(lower, wanted);
        if result.is_ok() {
            groups.clear();
            for group in &*wanted {
                let _room = groups.push(*group); // as long as `next`
            }
        } else if result == Err(NDIS_STATUS_MULTICAST_FULL) {
            // It holds less than it said: all of them, then.
            merged.filter |= NDIS_PACKET_TYPE_ALL_MULTICAST & facts.filters;
            result = Ok(());
        }
    }
    if result.is_ok() && merged.filter != below.filter {
        result = set_filter(lower, merged.filter);
    }
    match result {
        Ok(()) => {
            *below = merged;
            Ok(())
        }
        Err(status) => {
            report(lower, index, merged.filter & !below.filter, status);
            team.desk.duties.fetch_or(duty::MERGE, Ordering::AcqRel);
            if must == Must::Not || narrower {
                Ok(())
            } else {
                Err(status)
            }
        }
    }
}

/// Says that the adapter refused.
fn report<T: Topology>(lower: &Lower<T>, index: u32, more: u32, status: NDIS_STATUS) {
    let kind = if more & NDIS_PACKET_TYPE_PROMISCUOUS == 0 {
        EventKind::MergeRefused
    } else {
        EventKind::PromiscuousRefused
    };
    let value = status.0 as u32;
    lower.driver.event(kind, index, value.into());
    log::of_binding(lower, kind, value);
}

/// Sets the packet filter below.
fn set_filter<T: Topology>(lower: &Lower<T>, filter: u32) -> core::result::Result<(), NDIS_STATUS> {
    set(lower, OID_GEN_CURRENT_PACKET_FILTER, &filter.to_ne_bytes())
}

/// Sets the multicast list below (OID-25).
fn set_groups<T: Topology>(
    lower: &Lower<T>,
    groups: &[Mac],
) -> core::result::Result<(), NDIS_STATUS> {
    // SAFETY: (OID-25) an address is six bytes, whatever they are.
    let bytes =
        unsafe { core::slice::from_raw_parts(groups.as_ptr().cast::<u8>(), size_of_val(groups)) };
    set(lower, OID_802_3_MULTICAST_LIST, bytes)
}

/// Makes a set request of our own. The callers hold `sync`.
fn set<T: Topology>(
    lower: &Lower<T>,
    oid: ndis::sys::NDIS_OID,
    bytes: &[u8],
) -> core::result::Result<(), NDIS_STATUS> {
    let buffer = bytes.as_ptr().cast_mut();
    // SAFETY: (OID-17) on the stack or in nonpaged memory until this returns,
    // and only read; `sync` lets one thread at a time ask.
    let (status, _) = unsafe { ask(lower, Ask::Set, oid, buffer, bytes.len() as u32) };
    if status == NDIS_STATUS_SUCCESS {
        Ok(())
    } else {
        Err(status)
    }
}

/// Takes the encapsulation for a miniport: SUCCESS if anything that it offers
/// can do it. Each adapter is asked once for all of them (OFF-5).
pub(super) fn encapsulate<T: Topology>(
    upper: &Upper<T>,
    sync: &mut MutexGuard<'_, Sync<T>>,
    wanted: &NDIS_OFFLOAD_ENCAPSULATION,
) -> NDIS_STATUS {
    let shown = upper.shown.lock().and_then(|shown| shown.offload);
    let Some(shown) = shown else {
        return NDIS_STATUS_INVALID_PARAMETER;
    };
    if !offload::wants_any(wanted) {
        return NDIS_STATUS_SUCCESS; // switched off: nothing is done unasked
    }
    if !offload::can_do(&shown, wanted) {
        return NDIS_STATUS_INVALID_PARAMETER;
    }
    for lower in &*sync.lowers {
        // SAFETY: (BND-14) a member leaves under `sync`.
        let lower = unsafe { lower.as_ref() };
        if let Err(status) = encapsulate_one(lower, wanted) {
            return status;
        }
    }
    NDIS_STATUS_SUCCESS
}

/// [`encapsulate`] for one adapter.
fn encapsulate_one<T: Topology>(
    lower: &Lower<T>,
    wanted: &NDIS_OFFLOAD_ENCAPSULATION,
) -> core::result::Result<(), NDIS_STATUS> {
    // SAFETY: (VMI-9) `sync` is held, and no other reference lives.
    let asked = unsafe { &mut *lower.asked.0.get() };
    if asked.encapsulation.is_some() {
        return Ok(());
    }
    may_ask(lower).map_err(ndis::Error::status)?;
    // SAFETY: (VER-5) plain data, as long as the structure.
    let bytes = unsafe {
        core::slice::from_raw_parts(
            core::ptr::from_ref(wanted).cast::<u8>(),
            size_of::<NDIS_OFFLOAD_ENCAPSULATION>(),
        )
    };
    set(lower, OID_OFFLOAD_ENCAPSULATION, bytes)?;
    asked.encapsulation = Some(*wanted);
    Ok(())
}

/// Asks an adapter that joined for the encapsulation that the others have.
pub(super) fn encapsulate_like<T: Topology>(lower: &Lower<T>, sync: &mut MutexGuard<'_, Sync<T>>) {
    let wanted = sync.lowers.iter().find_map(|other| {
        // SAFETY: (BND-14, VMI-9) a member leaves under `sync`, which is held.
        unsafe { (*other.as_ref().asked.0.get()).encapsulation }
    });
    if let Some(wanted) = wanted {
        // An adapter that refuses does without; what is offered is what all have.
        let _status = encapsulate_one(lower, &wanted);
    }
}

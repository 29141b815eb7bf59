//! What happens when the adapter's address becomes another one: miniports that
//! use it or derive theirs from it are initialised anew, and no others.
//! PASSIVE_LEVEL throughout.

use super::{Place, duty, merge_again};
use crate::data::DataPath;
use crate::edges::Lower;
use crate::instance;
use crate::own_request::{Ask, ask, may_ask};
use crate::team::{Team, is_shared};
use crate::topology::Topology;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use ethernet::Mac;
use im_control::EventKind;
use ndis::Error;
use ndis::sys::{NDIS_STATUS_SUCCESS, OID_802_3_CURRENT_ADDRESS};

/// Asks each adapter for its address; if it is another one, the miniports that
/// use it or derive theirs from it are initialised anew.
pub(super) fn look_at_address<T: Topology>(team: &Team<T>) {
    for member in team.members() {
        look_at(team, &member);
    }
}

fn look_at<T: Topology>(team: &Team<T>, lower: &Lower<T>) {
    let mut mac = [0_u8; 6];
    let status = {
        let sync = team.desk.sync.lock();
        if !sync.lowers.contains(&NonNull::from(lower)) {
            return; // on its way in or out
        }
        if may_ask(lower).is_err() {
            team.desk.duties.fetch_or(duty::ADDRESS, Ordering::AcqRel);
            return;
        }
        let oid = OID_802_3_CURRENT_ADDRESS;
        // SAFETY: (OID-17) on the stack, which waits; `sync` lets one thread at
        // a time ask.
        let (status, bytes) = unsafe { ask(lower, Ask::Query, oid, mac.as_mut_ptr(), 6) };
        if bytes == 6 {
            status
        } else {
            Error::BadLength.status()
        }
    };
    if status != NDIS_STATUS_SUCCESS || !Mac(mac).is_station() {
        return;
    }
    let index = {
        let mut facts = lower.facts.lock();
        let Some(current) = facts.mac.first_chunk_mut::<6>() else {
            return;
        };
        if *current == mac {
            return;
        }
        *current = mac;
        facts.mac_length = 6;
        facts.if_index
    };
    let value = Mac(mac).number();
    lower.driver.event(EventKind::AddressChanged, index, value);
    if is_shared::<T>() {
        T::Data::changed(lower);
    } else if let Some(renewer) = &team.desk.renewer {
        renewer.queue();
    }
    merge_again(team);
}

/// Halts the miniports whose address follows the adapter's, and asks for them
/// again: NDIS_IO_WORKITEM. IRQL = PASSIVE_LEVEL.
pub(super) fn renew<T: Topology>(place: &Place<T>) {
    // SAFETY: (BND-14) the desk is closed before the team goes.
    let team = unsafe { place.0.as_ref() };
    let Some(lower) = team.only() else { return };
    let Some(_users) = lower.users.enter() else {
        return; // about to be unbound
    };
    let _setup = team.setup.lock();
    for upper in team.uppers() {
        // A port is read where it cannot be taken back meanwhile.
        let follows = upper.handlers.enter().is_some_and(|_inside| {
            let port = upper.port();
            port.is_some_and(|port| T::follows_mac(lower.adapter(), port))
        });
        if follows {
            instance::withdraw(&upper);
            let _requested = instance::request(&upper);
        }
    }
}

//! OID requests from above: answered, refused or passed down as clones.
//!
//! Regular requests come one at a time at PASSIVE_LEVEL (OID-1); their cancels
//! and completions at up to DISPATCH_LEVEL, at any moment. Direct requests come
//! in any number, at up to DISPATCH_LEVEL, beside everything else (OID-28).
//! Neither handler waits (OID-19): what has to wait goes to the binding's worker
//! (`sync`). `Upper::oid` (a leaf lock) decides between
//! completion and cancel; `Upper::handlers` keeps the miniport until a handler
//! whose request ended on another processor has returned.

use crate::edges::{Lower, Upper};
use crate::gate::bit;
use crate::oid_answer::answer;
use crate::oid_slot::{CancelStep, SendStep};
use crate::oid_table::{Local, Merging, Note, Rule, legal_final, refusal};
use crate::own_request::{OwnRequest, WakeUp, may_ask};
use crate::sync::{self, Change, Groups};
use crate::topology::Topology;
use crate::{offload, pause, status};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use ethernet::Mac;
use im_control::EventKind;
use ndis::oid::{Clone, Request, Route, cancel as cancel_below, origin};
use ndis::sys::{
    NDIS_HANDLE, NDIS_OID_REQUEST, NDIS_STATUS, NDIS_STATUS_FAILURE,
    NDIS_STATUS_INDICATION_REQUIRED, NDIS_STATUS_INVALID_DATA, NDIS_STATUS_INVALID_LENGTH,
    NDIS_STATUS_INVALID_STATE, NDIS_STATUS_LOW_POWER_STATE, NDIS_STATUS_MULTICAST_FULL,
    NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_PENDING,
    NDIS_STATUS_REQUEST_ABORTED, NDIS_STATUS_SUCCESS, NdisDeviceStateD0, PVOID,
};

/// Where NDIS_PM_WOL_PATTERN and NDIS_PM_PROTOCOL_OFFLOAD have their id.
const WAKE_UP_ID: usize = core::mem::offset_of!(ndis::sys::NDIS_PM_WOL_PATTERN, PatternId);
const _: () = assert!(
    WAKE_UP_ID == core::mem::offset_of!(ndis::sys::NDIS_PM_PROTOCOL_OFFLOAD, ProtocolOffloadId)
);

/// MiniportOidRequest. IRQL = PASSIVE_LEVEL.
pub(crate) unsafe extern "efiapi" fn request<T: Topology>(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    handle(upper, request, Route::Regular)
}

/// MiniportDirectOidRequest. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn direct_request<T: Topology>(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    handle(upper, request, Route::Direct)
}

/// Decides about a request and carries the decision out.
fn handle<T: Topology>(
    upper: &Upper<T>,
    request: *mut NDIS_OID_REQUEST,
    route: Route,
) -> NDIS_STATUS {
    // SAFETY: (OID-2) ours until it is completed.
    let Some(request) = (unsafe { Request::adopt(request) }) else {
        return NDIS_STATUS_FAILURE;
    };
    let Some(_inside) = upper.handlers.enter() else {
        return NDIS_STATUS_NOT_ACCEPTED;
    };
    // First of all, so that a cancel finds it however early it comes (OID-18).
    let id = request.id();
    let number = match route {
        Route::Direct => {
            upper.direct.lock().begin(id);
            0
        }
        Route::Regular => match upper.oid.lock().begin(id) {
            Some(number) => number,
            None => return NDIS_STATUS_INVALID_STATE, // OID-1
        },
    };
    // Whatever does not go on ends the slot.
    let ended = match decide(upper, request, route) {
        Decision::Forward(note) => forward(upper, request, route, number, note),
        Decision::Wait(change) => {
            sync::submit(upper, request, number, change).map_err(|status| (status, false))
        }
        Decision::Done(status) => Err((status, false)),
    };
    match ended {
        Ok(()) => NDIS_STATUS_PENDING,
        Err((status, over)) => {
            if !over {
                end(upper, route, id);
            }
            legal_final(request.facts().oid, status)
        }
    }
}

/// What becomes of a request.
enum Decision {
    /// It goes down.
    Forward(Note),
    /// It waits for the binding's worker.
    Wait(Change),
    /// It has ended.
    Done(NDIS_STATUS),
}

/// Decides about a request, and answers it if that is all.
fn decide<T: Topology>(upper: &Upper<T>, request: Request, route: Route) -> Decision {
    let facts = request.facts();
    let word = upper.path.gate.word();
    if word & bit::UPPER_REMOVED != 0 {
        return Decision::Done(NDIS_STATUS_NOT_ACCEPTED); // DPE-1
    }
    let rule = T::request_rule(facts, upper.team().below());
    let power = matches!(rule, Rule::Answer(Local::QueryPower | Local::SetPower));
    if word & bit::UPPER_LOW_POWER != 0 && !power {
        return Decision::Done(NDIS_STATUS_LOW_POWER_STATE); // PWR-5
    }
    match (rule, route) {
        (Rule::Refuse(status), _) => Decision::Done(refused(request, status)),
        // Only OIDs meant for the direct path come there (OID-28); none of
        // those that are answered here is.
        (Rule::Answer(_) | Rule::Merge(_), Route::Direct) => {
            Decision::Done(refused(request, refusal(facts.oid)))
        }
        (Rule::Answer(local), Route::Regular) => Decision::Done(answer(upper, request, local)),
        (Rule::Merge(what), Route::Regular) => match read_change(upper, request, what) {
            Ok(change) => Decision::Wait(change),
            Err(status) => Decision::Done(status),
        },
        (Rule::Forward(note), _) => Decision::Forward(note),
    }
}

/// What a request wants, checked (OID-11).
fn read_change<T: Topology>(
    upper: &Upper<T>,
    request: Request,
    what: Merging,
) -> core::result::Result<Change, NDIS_STATUS> {
    let address = || {
        let mut mac = [0; 6];
        match request.set_bytes(0, &mut mac) {
            Ok(()) if Mac(mac).is_group() => Ok(Mac(mac)),
            Ok(()) => Err(refused(request, NDIS_STATUS_INVALID_DATA)),
            Err(_) => Err(request.set_too_short(6)),
        }
    };
    match what {
        Merging::Filter => {
            let filter = request.set_u32().map_err(|_| request.set_too_short(4))?;
            let known = upper.shown(|shown| shown.filters).unwrap_or(0);
            if filter & !known != 0 {
                return Err(refused(request, NDIS_STATUS_NOT_SUPPORTED));
            }
            Ok(Change::Filter(filter))
        }
        Merging::Groups => {
            // OID-25: the whole list, of six bytes each.
            let length = request.facts().length as usize;
            if !length.is_multiple_of(6) {
                return Err(refused(request, NDIS_STATUS_INVALID_LENGTH));
            }
            let longest = upper.shown(|shown| shown.multicast).unwrap_or(0) as usize;
            let mut groups = Groups::new_const();
            for offset in (0..length).step_by(6) {
                let mut mac = [0; 6];
                if groups.len() >= longest || request.set_bytes(offset, &mut mac).is_err() {
                    return Err(refused(request, NDIS_STATUS_MULTICAST_FULL));
                }
                if !Mac(mac).is_group() {
                    return Err(refused(request, NDIS_STATUS_INVALID_DATA));
                }
                if !groups.contains(&Mac(mac)) && groups.try_push(Mac(mac)).is_err() {
                    return Err(refused(request, NDIS_STATUS_MULTICAST_FULL));
                }
            }
            Ok(Change::Groups(groups))
        }
        Merging::ListGroups => Ok(Change::ListGroups),
        Merging::AddGroup => Ok(Change::AddGroup(address()?)),
        Merging::RemoveGroup => Ok(Change::RemoveGroup(address()?)),
        Merging::Encapsulation => Ok(Change::Encapsulation(offload::encapsulation(request)?)),
    }
}

/// Refuses a request as such (OID-12).
fn refused(request: Request, status: NDIS_STATUS) -> NDIS_STATUS {
    request.refused();
    status
}

/// OID_PNP_SET_POWER (PWR-1, PWR-2). NDIS paused the miniport before a sleeping
/// state, as NO_PAUSE_ON_SUSPEND is not set (PWR-6).
pub(crate) fn set_power<T: Topology>(upper: &Upper<T>, state: i32) {
    let index = upper.if_index.load(Ordering::Relaxed);
    upper
        .driver
        .event(EventKind::MiniportPower, index, state as u64);
    let before = upper.power.swap(state, Ordering::AcqRel);
    let awake = NdisDeviceStateD0.0;
    if state == awake && before != awake {
        upper.path.gate.clear(bit::UPPER_LOW_POWER);
        upper.indications.open();
        status::show_link(upper); // STS-5, PWR-8: what changed meanwhile
    } else if state != awake && before == awake {
        upper.path.gate.set(bit::UPPER_LOW_POWER);
        pause::give_up_held(upper);
        upper.indications.close_and_wait(); // PWR-2: nothing goes up any more
    }
}

/// Sends a clone down. `Ok`: the completion handler completes the original
/// (OID-16). Else the final status, and whether the slot has ended already.
fn forward<T: Topology>(
    upper: &Upper<T>,
    request: Request,
    route: Route,
    number: u64,
    note: Note,
) -> core::result::Result<(), (NDIS_STATUS, bool)> {
    let Some(lower) = upper.lower() else {
        // LBF-6: a team has no adapter to pass a request on to.
        return Err((refused(request, NDIS_STATUS_NOT_SUPPORTED), false));
    };
    let id = request.id();
    if let Err(error) = may_ask(lower) {
        return Err((refused(request, error.status()), false));
    }
    if !lower.requests.enter_detached() {
        return Err((NDIS_STATUS_NOT_ACCEPTED, false));
    }
    let binding = lower.handle();
    let owner: PVOID = core::ptr::from_ref(upper).cast_mut().cast();
    let clone = match Clone::of(request, owner, binding, T::IDENTITY.tag) {
        Ok(clone) => clone,
        Err(error) => {
            lower.requests.leave();
            return Err((error.status(), false));
        }
    };
    let step = match route {
        Route::Regular => upper.oid.lock().sending(),
        Route::Direct => upper.direct.lock().sending(id),
    };
    if step == SendStep::Abort {
        drop(clone);
        lower.requests.leave();
        return Err((NDIS_STATUS_REQUEST_ABORTED, false)); // OID-18
    }
    if note == Note::PacketFilter && request.set_u32().is_ok_and(|filter| filter != 0) {
        // RCV-14: the adapter may indicate before its completion reaches us.
        upper.path.gate.clear(bit::NO_FILTER);
    }
    if let Err((clone, status)) = clone.send(route) {
        let ended = finish(lower, upper, clone, status, route);
        return ended.map_or(Ok(()), |(_, status)| Err((status, true)));
    }
    // The request may have ended and the original be gone; the slot knows.
    // `handlers` keeps miniport and binding.
    let cancelled = match route {
        Route::Regular => upper.oid.lock().cancelled_meanwhile(number),
        Route::Direct => upper.direct.lock().cancelled_meanwhile(id),
    };
    if cancelled {
        cancel_below(binding, route, id);
    }
    Ok(())
}

/// A request ended. After a regular one the next may come, and PnP events may
/// go up.
fn end<T: Topology>(upper: &Upper<T>, route: Route, id: PVOID) {
    match route {
        Route::Regular => {
            upper.oid.lock().end();
            upper.oid_idle.set();
        }
        Route::Direct => upper.direct.lock().end(id),
    }
}

/// The end of a clone: results to the original, clone freed (OID-15), what it
/// means noted. The original is returned to be completed, with its final
/// status.
fn finish<T: Topology>(
    lower: &Lower<T>,
    upper: &Upper<T>,
    clone: Clone,
    status: NDIS_STATUS,
    route: Route,
) -> Option<(Request, NDIS_STATUS)> {
    let original = clone.finish();
    let id = original.map_or(core::ptr::null_mut(), Request::id);
    let result = original.map(|original| {
        let facts = original.facts();
        let status = match T::request_rule(facts, lower.team().below()) {
            Rule::Forward(note) => noted(lower, upper, original, status, note),
            _ => status,
        };
        if status == NDIS_STATUS_INDICATION_REQUIRED {
            // OID-27: the status that follows names the request from above. A
            // full table forgets the oldest.
            let mut awaited = upper.awaited.lock();
            if awaited.is_full() {
                let _oldest = awaited.pop_at(0);
            }
            let _room = awaited.try_push(original.into());
        }
        (original, legal_final(facts.oid, status))
    });
    lower.requests.leave();
    end(upper, route, id);
    result
}

/// What a forwarded request that ended means to us.
fn noted<T: Topology>(
    lower: &Lower<T>,
    upper: &Upper<T>,
    original: Request,
    status: NDIS_STATUS,
    note: Note,
) -> NDIS_STATUS {
    let good = status == NDIS_STATUS_SUCCESS;
    match note {
        Note::PacketFilter => {
            if let (true, Ok(filter)) = (good, original.set_u32()) {
                upper.filter.store(filter, Ordering::Relaxed);
            }
            // RCV-14: none, or none still because the set failed.
            if upper.filter.load(Ordering::Relaxed) == 0 {
                upper.path.gate.set(bit::NO_FILTER);
            }
        }
        Note::NetworkAddresses if status == NDIS_STATUS_NOT_SUPPORTED => {
            return NDIS_STATUS_SUCCESS; // OID-26
        }
        Note::AddPattern | Note::AddOffload if good => {
            let mut id = [0; 4];
            if original.set_bytes(WAKE_UP_ID, &mut id).is_ok() {
                let id = u32::from_ne_bytes(id);
                let added = if note == Note::AddPattern {
                    WakeUp::Pattern(id)
                } else {
                    WakeUp::Offload(id)
                };
                let mut list = lower.wake_ups.lock();
                if !list.contains(&added) {
                    // A full table loses the clean-up of this one, not the
                    // request; its owner above removes it when it closes.
                    let _room = list.try_push(added);
                }
            }
        }
        Note::RemovePattern | Note::RemoveOffload if good => {
            if let Ok(id) = original.set_u32() {
                let removed = if note == Note::RemovePattern {
                    WakeUp::Pattern(id)
                } else {
                    WakeUp::Offload(id)
                };
                lower.wake_ups.lock().retain(|entry| *entry != removed);
            }
        }
        _ => {}
    }
    status
}

/// ProtocolOidRequestComplete. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn complete<T: Topology>(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
    status: NDIS_STATUS,
) {
    // SAFETY: (BND-14) the ProtocolBindingContext.
    let lower = unsafe { &*context.cast::<Lower<T>>() };
    completed(lower, request, status, Route::Regular);
}

/// ProtocolDirectOidRequestComplete. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn direct_complete<T: Topology>(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
    status: NDIS_STATUS,
) {
    // SAFETY: (BND-14) the ProtocolBindingContext.
    let lower = unsafe { &*context.cast::<Lower<T>>() };
    completed(lower, request, status, Route::Direct);
}

fn completed<T: Topology>(
    lower: &Lower<T>,
    request: *mut NDIS_OID_REQUEST,
    status: NDIS_STATUS,
    route: Route,
) {
    let Some(request) = NonNull::new(request) else {
        return;
    };
    // SAFETY: (OID-15) a request that we sent down, with its origin.
    let origin = unsafe { origin(request.as_ptr()) };
    if origin.original.is_null() {
        // SAFETY: (OID-17) one of our own: its record is part of the binding.
        unsafe { &*origin.owner.cast::<OwnRequest>() }.completed(status);
        return;
    }
    // SAFETY: (VMI-4) the miniport that forwarded it; not halted before its
    // requests are complete.
    let upper = unsafe { &*origin.owner.cast::<Upper<T>>() };
    // SAFETY: (OID-14) the clone is ours again.
    let clone = unsafe { Clone::returned(request, lower.handle()) };
    let handle = upper.handle();
    if let Some((original, status)) = finish(lower, upper, clone, status, route) {
        original.complete(handle, route, status); // OID-2; last
    }
}

/// MiniportCancelOidRequest. IRQL <= DISPATCH_LEVEL (OID-18).
pub(crate) unsafe extern "efiapi" fn cancel<T: Topology>(context: NDIS_HANDLE, id: PVOID) {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    let Some(_inside) = upper.handlers.enter() else {
        return;
    };
    let step = upper.oid.lock().cancel(id);
    match step {
        CancelStep::PassOn => {
            if let Some(lower) = upper.lower() {
                cancel_below(lower.handle(), Route::Regular, id);
            }
        }
        CancelStep::Complete(request) => {
            upper.oid_idle.set();
            request.refused();
            let status = NDIS_STATUS_REQUEST_ABORTED;
            request.complete(upper.handle(), Route::Regular, status); // OID-18
        }
        CancelStep::Nothing | CancelStep::Marked => {}
    }
}

/// Ends a request that waits for the worker, because the miniport is halted: the
/// worker does not touch it any more. IRQL = PASSIVE_LEVEL, handlers are closed.
pub(crate) fn abort_waiting<T: Topology>(upper: &Upper<T>) {
    let waiting = upper.oid.lock().abort();
    if let Some(request) = waiting {
        upper.oid_idle.set();
        request.refused();
        let status = NDIS_STATUS_REQUEST_ABORTED;
        request.complete(upper.handle(), Route::Regular, status);
    }
}

/// MiniportCancelDirectOidRequest. IRQL <= DISPATCH_LEVEL. The cancel is noted
/// for a request that is on its way, and always goes on (OID-18).
pub(crate) unsafe extern "efiapi" fn cancel_direct<T: Topology>(context: NDIS_HANDLE, id: PVOID) {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    let Some(_inside) = upper.handlers.enter() else {
        return;
    };
    upper.direct.lock().cancel(id);
    if let Some(lower) = upper.lower() {
        cancel_below(lower.handle(), Route::Direct, id);
    }
}

/// A request whose answer follows as a status (OID-27).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    pub id: PVOID,
    pub handle: PVOID,
}

// SAFETY: (OID-27) names, never dereferenced.
unsafe impl Send for Awaited {}

impl From<Request> for Awaited {
    fn from(request: Request) -> Self {
        Self {
            id: request.id(),
            handle: request.handle(),
        }
    }
}

//! Pause and restart of both edges, which come independently and in any order
//! (PBS-1).
//!
//! A pause closes the gate, gives up what is held, and waits until the path is
//! empty: the upper edge by PENDING and a completion from whoever returns the
//! last list (MPS-3, up to DISPATCH_LEVEL), the lower edge by waiting in the
//! handler, because NdisCompleteNetPnPEvent needs PASSIVE_LEVEL (PBS-2, PNP-3).
//! Nothing is allocated, so neither can fail (MPS-2).

use crate::data::DataPath;
use crate::edges::{Lower, Upper};
use crate::flow::Waiters;
use crate::state::{LowerMove, UpperMove};
use crate::topology::Topology;
use ndis::sys::{
    NDIS_HANDLE, NDIS_MINIPORT_PAUSE_PARAMETERS, NDIS_MINIPORT_RESTART_PARAMETERS, NDIS_STATUS,
    NDIS_STATUS_FAILURE, NDIS_STATUS_PENDING, NDIS_STATUS_SUCCESS, NdisMPauseComplete,
};

/// MiniportPause. IRQL = PASSIVE_LEVEL. SUCCESS or PENDING (MPS-2).
pub(crate) unsafe extern "efiapi" fn miniport_pause<T: Topology>(
    context: NDIS_HANDLE,
    _parameters: *mut NDIS_MINIPORT_PAUSE_PARAMETERS,
) -> NDIS_STATUS {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    if upper.step(UpperMove::Pause).is_err() {
        return NDIS_STATUS_SUCCESS; // not running: nothing is outstanding
    }
    give_up_held(upper);
    let told = upper.path.wait(Waiters::UPPER);
    if let (true, Some(lower)) = (told.lower, upper.lower()) {
        lower.drained.set();
    }
    if told.upper {
        let _paused = upper.step(UpperMove::Paused);
        return NDIS_STATUS_SUCCESS;
    }
    NDIS_STATUS_PENDING // whoever is told completes it (MPS-6)
}

/// MiniportRestart. IRQL = PASSIVE_LEVEL. The attributes in the parameters are
/// left as they are (MPS-8): the miniport's own do not change by a restart.
pub(crate) unsafe extern "efiapi" fn miniport_restart<T: Topology>(
    context: NDIS_HANDLE,
    _parameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
) -> NDIS_STATUS {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    upper.path.resume();
    if upper.step(UpperMove::Restart).is_err() {
        return NDIS_STATUS_FAILURE; // MPS-7
    }
    match upper.step(UpperMove::Restarted) {
        Ok(_) => NDIS_STATUS_SUCCESS,
        Err(_) => NDIS_STATUS_FAILURE,
    }
}

/// Tells those who waited for a path that it is empty. IRQL <= DISPATCH_LEVEL, no
/// lock held. The caller does not touch the path afterwards.
pub(crate) fn tell<T: Topology>(upper: &Upper<T>, told: Waiters) {
    if told == Waiters::NONE {
        return; // the path may be gone
    }
    // Each waiter keeps what it waits for alive until it is told, and an unbind
    // frees the miniport only after both are done; so the handles are read
    // first, and each notice is the last access to what it lets go.
    let handle = upper.handle();
    let lower = upper.lower();
    if told.upper {
        let _paused = upper.step(UpperMove::Paused);
        // SAFETY: (MPS-6) MiniportPause returned or will return PENDING, and
        // its waiter was claimed here only.
        unsafe { NdisMPauseComplete(handle.0) };
    }
    if let (true, Some(lower)) = (told.lower, lower) {
        // NetEventPause waits for this in its handler, so that no unbind can
        // have started.
        lower.drained.set();
    }
}

/// Completes or gives back what a reset below made us hold; the gate is closed,
/// so it is refused (RST-3).
pub(crate) fn give_up_held<T: Topology>(upper: &Upper<T>) {
    T::Data::release_held(upper);
}

/// NetEventPause on a binding. IRQL = PASSIVE_LEVEL. Waits until everything that
/// went through the binding is back (PBS-2), then succeeds.
pub(crate) fn pause_binding<T: Topology>(lower: &Lower<T>) {
    T::Data::leaving(lower);
    if lower.step(LowerMove::Pause).is_err() {
        return; // not running: nothing is outstanding
    }
    T::Data::drain(lower);
    let _paused = lower.step(LowerMove::Paused);
}

/// Waits until nothing is outstanding on any miniport of a binding.
pub(crate) fn drain_miniports<T: Topology>(lower: &Lower<T>) {
    for upper in lower.uppers() {
        give_up_held(&upper);
        lower.drained.reset();
        let told = upper.path.wait(Waiters::LOWER);
        if told.upper {
            tell(&upper, Waiters::UPPER);
        }
        if !told.lower {
            lower.drained.wait();
        }
    }
}

/// NetEventRestart on a binding. IRQL = PASSIVE_LEVEL.
pub(crate) fn restart_binding<T: Topology>(lower: &Lower<T>) {
    T::Data::resume(lower);
    // A move that the table does not have is reported; the event succeeds in
    // any case (PNP-2).
    if lower.step(LowerMove::Restart).is_ok() {
        let _restarted = lower.step(LowerMove::Restarted);
    }
    T::Data::changed(lower);
}

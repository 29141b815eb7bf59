//! What the data paths have in common.

use crate::edges::{Lower, Upper};
use crate::gate::bit;
use crate::pause::tell;
use crate::state::Lower as LowerState;
use crate::topology::Topology;
use im_control::DropReason;
use ndis::lock::Irql;
use ndis::nbl::{Chain, FromAbove, FromBelow};
use ndis::sys::{
    NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RETURN_FLAGS_DISPATCH_LEVEL,
    NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, NDIS_STATUS, NDIS_STATUS_SEND_ABORTED,
    NdisCancelSendNetBufferLists, PVOID,
};

/// Completion flags for a known or unknown IRQL (IRQ-21).
pub(super) const fn completion_flags(irql: Irql) -> u32 {
    match irql {
        Irql::Dispatch => NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL,
        Irql::Unknown => 0,
    }
}

/// Return flags for a known or unknown IRQL (IRQ-21).
pub(super) const fn return_flags(irql: Irql) -> u32 {
    match irql {
        Irql::Dispatch => NDIS_RETURN_FLAGS_DISPATCH_LEVEL,
        Irql::Unknown => 0,
    }
}

/// Completes a chain that never went down (SND-4, MPS-4).
pub(super) fn refuse<T: Topology>(
    upper: &Upper<T>,
    mut chain: Chain<FromAbove>,
    status: NDIS_STATUS,
    reason: DropReason,
    irql: Irql,
) {
    let mut count = 0_u32;
    chain.for_each(|list| {
        list.set_status(status);
        count = count.wrapping_add(1);
    });
    upper.path.dropped(reason, count);
    chain.complete_up(upper.handle(), completion_flags(irql));
}

/// What becomes of lists while there is no miniport: before the open is over
/// they are kept until the binding's handle is known (RCV-14), else they go
/// back at once (PBS-3).
pub(super) fn without_miniport<T: Topology>(lower: &Lower<T>, chain: Chain<FromBelow>, flags: u32) {
    if lower.state() == LowerState::Opening {
        lower.early.lock().append(chain); // RCV-14
        if lower.state() != LowerState::Opening {
            lower.return_early(); // the open ended in between
        }
    } else {
        let irql = Irql::from_flag(flags, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL);
        chain.return_down(lower.handle(), return_flags(irql)); // PBS-3
    }
}

/// Completes what is held under the id, then passes the cancel on for what is
/// below (SND-13). The binding cannot be closed meanwhile: its unbind waits for
/// this miniport's halt (SND-15). IRQL <= DISPATCH_LEVEL.
pub(super) fn cancel<T: Topology>(upper: &Upper<T>, id: PVOID) {
    let path = &upper.path;
    let mut count = 0_u32;
    let cancelled = path.held_sends.lock().reject(|list| {
        let keep = list.cancel_id() != id;
        if !keep {
            list.set_status(NDIS_STATUS_SEND_ABORTED);
            count = count.wrapping_add(1);
        }
        keep
    });
    let binding = path.binding();
    // RST-2: a binding that resets is not called; what is below comes back anyway.
    if !binding.0.is_null() && path.gate.word() & bit::RESETTING_SENDS == 0 {
        // SAFETY: (SND-13, SND-15) the binding is open, see above.
        unsafe { NdisCancelSendNetBufferLists(binding.0, id) };
    }
    if count != 0 {
        path.dropped(DropReason::SendCancelled, count);
        cancelled.complete_up(upper.handle(), 0);
        tell(upper, path.change(-i64::from(count)));
    } else {
        core::mem::forget(cancelled); // empty
    }
}

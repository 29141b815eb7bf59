//! Sends: from the protocols above to the adapter below, and their completions
//! back.
//!
//! Any number of sends and completions run at once on any processor, up to
//! DISPATCH_LEVEL; completions come in any order and before the send has
//! returned (SND-8). No lock and no allocation on the way, except for lists
//! without the context room that our attributes ask for.

use crate::edges::{Lower, Upper};
use crate::flow::Waiters;
use crate::gate::{Verdict, bit, send_verdict};
use crate::pause::tell;
use crate::topology::Topology;
use core::sync::atomic::Ordering;
use im_control::DropReason;
use ndis::lock::Irql;
use ndis::nbl::{Chain, FromAbove, Load};
use ndis::nbl_context::{Room, Saved, pop, push};
use ndis::sys::{
    NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK,
    NDIS_SEND_FLAGS_DISPATCH_LEVEL, NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_PAUSED,
    NDIS_STATUS_RESOURCES, NDIS_STATUS_SEND_ABORTED, NdisCancelSendNetBufferLists, PVOID,
};

/// Completion flags for a known or unknown IRQL (IRQ-21).
const fn completion_flags(irql: Irql) -> u32 {
    match irql {
        Irql::Dispatch => NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL,
        Irql::Unknown => 0,
    }
}

/// Sends a chain that is ours down, or holds or completes it. Bits of the gate
/// in `ignore` do not count.
pub(crate) fn forward<T: Topology>(
    upper: &Upper<T>,
    chain: Chain<FromAbove>,
    port: u32,
    flags: u32,
    ignore: u32,
) {
    let irql = Irql::from_flag(flags, NDIS_SEND_FLAGS_DISPATCH_LEVEL); // IRQ-20
    let path = &upper.path;
    let slot = path.flow.here();
    let counted = slot.enter();
    let judge = || match port {
        0 => send_verdict(path.gate.word() & !ignore),
        _ => Verdict::Refuse(NDIS_STATUS_FAILURE, DropReason::SendPort), // PRT-1, SND-4
    };
    let mut verdict = judge();
    if verdict == Verdict::Hold && counted {
        // The call stays counted, so the path stays while we look at it.
        let count = i64::from(chain.count());
        let told = path.change_on(slot, count);
        debug_assert!(told == Waiters::NONE);
        let mut held = path.held_sends.lock_at(irql);
        // Under the lock: whoever empties the queue changed the gate before, so
        // what is put there now is not forgotten.
        verdict = judge();
        if verdict == Verdict::Hold {
            held.append(chain);
            drop(held);
            tell(upper, path.change_on(slot, -1));
            return;
        }
        drop(held);
        let told = path.change_on(slot, -count);
        debug_assert!(told == Waiters::NONE);
    }
    match verdict {
        Verdict::Pass if counted => {}
        Verdict::Refuse(status, reason) => {
            refuse(upper, chain, status, reason, irql);
            if counted {
                // Only now: a pause waits for the completion (MPS-3).
                tell(upper, path.change_on(slot, -1));
            }
            return;
        }
        // A pause is taking the slots over, or a restart gives them back.
        Verdict::Pass | Verdict::Hold => {
            refuse(
                upper,
                chain,
                NDIS_STATUS_PAUSED,
                DropReason::SendPaused,
                irql,
            ); // MPS-4
            return;
        }
    }

    let mut chain = chain;
    let binding = path.binding();
    let owner: PVOID = core::ptr::from_ref(upper).cast_mut().cast();
    let mut load = Load::default();
    let mut allocated = 0_u64;
    let mut failed = 0_u32;
    let rejected = chain.reject(|list| {
        let saved = Saved {
            source: list.source(),
            path: owner,
        };
        let Ok(room) = push(list, saved, T::IDENTITY.tag) else {
            list.set_status(NDIS_STATUS_RESOURCES); // SND-4
            failed = failed.wrapping_add(1);
            return false;
        };
        allocated += u64::from(room == Room::Allocated);
        list.set_source(binding.0); // SND-6
        load.add(list.load());
        true
    });
    slot.sent.add(load);
    if allocated != 0 {
        slot.allocations.fetch_add(allocated, Ordering::Relaxed);
    }
    // The call becomes its lists, and is not counted any more.
    let told = path.change_on(slot, i64::from(load.lists) + i64::from(failed) - 1);
    // Nobody is told while lists are out; an empty chain leaves no count behind.
    tell(upper, told);
    // SND-18, SND-19: NDIS loops sends of the miniport back itself; asking the
    // binding for it too would bring our own sends up again.
    chain.send_down(binding, port, flags & !NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK);
    if failed != 0 {
        path.dropped(DropReason::SendNoContext, failed);
        rejected.complete_up(path.miniport(), completion_flags(irql));
        tell(upper, path.change(-i64::from(failed)));
    } else {
        core::mem::forget(rejected); // empty
    }
}

/// Completes a chain that never went down (SND-4, MPS-4).
fn refuse<T: Topology>(
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

/// Completes what is held because it cannot wait any longer: the gate was closed
/// for another reason, which it is completed with (RST-3).
pub(crate) fn release_held<T: Topology>(upper: &Upper<T>) {
    let held = upper.path.held_sends.lock().take();
    resend(upper, held);
}

/// Sends what was held and then lets new sends pass, in this order, so that none
/// is overtaken (RST-3, SND-5).
pub(crate) fn end_reset<T: Topology>(upper: &Upper<T>) {
    loop {
        let held = {
            let mut queue = upper.path.held_sends.lock();
            if queue.is_empty() {
                upper.path.gate.clear(bit::RESETTING_SENDS);
                return;
            }
            queue.take()
        };
        resend(upper, held);
    }
}

fn resend<T: Topology>(upper: &Upper<T>, held: Chain<FromAbove>) {
    if held.is_empty() {
        core::mem::forget(held);
        return;
    }
    let count = held.count();
    forward(upper, held, 0, 0, bit::RESETTING_SENDS);
    tell(upper, upper.path.change(-i64::from(count)));
}

/// Completes what the adapter is done with to the protocols above.
/// IRQL <= DISPATCH_LEVEL.
pub(crate) fn sent<T: Topology>(lower: &Lower<T>, mut chain: Chain<FromAbove>, flags: u32) {
    let Some(upper) = lower.sole() else {
        core::mem::forget(chain); // cannot be: a list went down through it
        return;
    };
    let mut count = 0_u32;
    chain.for_each(|list| {
        // SAFETY: (NBL-5) every list that went down has our context on top.
        let saved: Saved = unsafe { pop(list) };
        list.set_source(saved.source); // SND-7
        count = count.wrapping_add(1);
    });
    // SND-2: one completion, on the miniport that it came through. The dispatch
    // bit has the same value in both sets of flags, and nothing else is passed.
    chain.complete_up(
        upper.handle(),
        flags & NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL,
    );
    tell(upper, upper.path.change(-i64::from(count)));
}

/// Completes what is held under the id, then passes the cancel on for what is
/// below (SND-13). The binding cannot be closed meanwhile: its unbind waits for
/// this miniport's halt (SND-15). IRQL <= DISPATCH_LEVEL.
pub(crate) fn cancel_held<T: Topology>(upper: &Upper<T>, id: PVOID) {
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

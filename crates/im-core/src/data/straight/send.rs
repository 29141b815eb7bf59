//! Sends: from the protocols above to the adapter below, and their completions
//! back.
//!
//! Any number of sends and completions run at once on any processor, up to
//! DISPATCH_LEVEL; completions come in any order and before the send has
//! returned (SND-8). No lock and no allocation on the way, except for lists
//! without the context room that our attributes ask for.

use crate::data::common::{completion_flags, refuse};
use crate::data::hold::{Admission, Sends, admit};
use crate::edges::{Lower, Upper};
use crate::pause::tell;
use crate::topology::Topology;
use core::sync::atomic::Ordering;
use im_control::DropReason;
use ndis::lock::Irql;
use ndis::nbl::{Chain, FromAbove, Load};
use ndis::nbl_context::{Room, Saved, pop, push};
use ndis::sys::{
    NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK,
    NDIS_SEND_FLAGS_DISPATCH_LEVEL, NDIS_STATUS_RESOURCES, PVOID,
};

/// Sends a chain that is ours down, or holds or completes it. Bits of the gate
/// in `ignore` do not count.
pub(super) fn forward<T: Topology>(
    upper: &Upper<T>,
    chain: Chain<FromAbove>,
    port: u32,
    flags: u32,
    ignore: u32,
) {
    let irql = Irql::from_flag(flags, NDIS_SEND_FLAGS_DISPATCH_LEVEL); // IRQ-20
    let path = &upper.path;
    let (slot, mut chain) = match admit::<T, Sends>(upper, chain, port, irql, ignore) {
        Admission::Pass(slot, chain) => (slot, chain),
        Admission::Refuse(slot, chain, status, reason) => {
            refuse(upper, chain, status, reason, irql);
            if let Some(slot) = slot {
                // Only now: a pause waits for the completion (MPS-3).
                tell(upper, path.change_on(slot, -1));
            }
            return;
        }
        Admission::Held => return,
    };
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

/// Completes what the adapter is done with to the protocols above.
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn sent<T: Topology>(lower: &Lower<T>, mut chain: Chain<FromAbove>, flags: u32) {
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

//! Receives: from the adapter below to the protocols above, and their way back.
//!
//! Any number of indications and returns run at once on any processor, up to
//! DISPATCH_LEVEL; lists come back in any order and before the indication has
//! returned (RCV-7). Chains with the RESOURCES flag are borrowed: they go up
//! with the same flag and are put back before the handler returns (RCV-2,
//! RCV-3, RCV-8). No lock and no allocation on the way, except for lists
//! without context room.

use crate::data::common::{return_flags, without_miniport};
use crate::data::hold::{Admission, Receives, Way, admit};
use crate::edges::{Lower, Upper};
use crate::flow::Waiters;
use crate::gate::Verdict;
use crate::pause::tell;
use crate::topology::Topology;
use core::sync::atomic::Ordering;
use im_control::DropReason;
use ndis::lock::Irql;
use ndis::nbl::{Chain, FromBelow, Lent, List, Load};
use ndis::nbl_context::{Room, Saved, pop, push};
use ndis::sys::{NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RETURN_FLAGS_DISPATCH_LEVEL, PVOID};

/// Shows lists from the adapter below to the protocols above.
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn receive<T: Topology>(
    lower: &Lower<T>,
    chain: Chain<FromBelow>,
    port: u32,
    flags: u32,
) {
    match lower.sole() {
        Some(upper) => forward(upper, chain, port, flags, 0),
        None => without_miniport(lower, chain, flags),
    }
}

/// Shows lists that are ours for the time of the call only (RCV-3). They go
/// back with the handler's return, without a call (RCV-2).
pub(super) fn lent<T: Topology>(
    lower: &Lower<T>,
    lent: Lent<'_>,
    port: u32,
    count: u32,
    flags: u32,
) {
    if let Some(upper) = lower.sole() {
        lend::<T>(upper, lent, port, count, flags);
    }
}

/// Makes a list ready for the way up. False if there is no context space.
fn prepare<T: Topology>(
    upper: &Upper<T>,
    list: &mut List,
    load: &mut Load,
    allocated: &mut u64,
) -> bool {
    let owner: PVOID = core::ptr::from_ref(upper).cast_mut().cast();
    let saved = Saved {
        source: list.source(),
        path: owner,
    };
    match push(list, saved, T::IDENTITY.tag) {
        Ok(room) => {
            *allocated += u64::from(room == Room::Allocated);
            list.set_source(upper.handle().0); // RCV-5
            load.add(list.load());
            true
        }
        Err(_) => false,
    }
}

/// Puts a list back as it came (RCV-6).
fn restore(list: &mut List) {
    // SAFETY: (NBL-5) every list that went up has our context on top.
    let saved: Saved = unsafe { pop(list) };
    list.set_source(saved.source);
}

/// Shows a borrowed chain to the protocols above (RCV-3).
fn lend<T: Topology>(upper: &Upper<T>, mut lent: Lent<'_>, port: u32, count: u32, flags: u32) {
    let path = &upper.path;
    let slot = path.flow.here();
    let counted = slot.enter(); // MPS-3: the call is waited for
    let reason = match Receives::judge(path.gate.word(), port) {
        Verdict::Pass if counted => None,
        Verdict::Pass => Some(DropReason::ReceivePaused),
        Verdict::Hold => Some(DropReason::ReceiveReset), // cannot be kept
        Verdict::Refuse(_, reason) => Some(reason),
    };
    if let Some(reason) = reason {
        path.dropped(reason, count);
    } else {
        let (mut load, mut allocated) = (Load::default(), 0);
        let up = lent.indicate_up(
            upper.handle(),
            port,
            flags,
            |list| prepare(upper, list, &mut load, &mut allocated),
            restore,
        );
        slot.received.add(load);
        if allocated != 0 {
            slot.allocations.fetch_add(allocated, Ordering::Relaxed);
        }
        if up < count {
            path.dropped(DropReason::ReceiveNoContext, count.wrapping_sub(up));
        }
    }
    if counted {
        tell(upper, path.change_on(slot, -1));
    }
}

/// Shows a chain that is ours to the protocols above, or holds it or gives it
/// back. Bits of the gate in `ignore` do not count.
pub(super) fn forward<T: Topology>(
    upper: &Upper<T>,
    chain: Chain<FromBelow>,
    port: u32,
    flags: u32,
    ignore: u32,
) {
    let irql = Irql::from_flag(flags, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL); // IRQ-20
    let path = &upper.path;
    let (slot, mut chain) = match admit::<T, Receives>(upper, chain, port, irql, ignore) {
        Admission::Pass(slot, chain) => (slot, chain),
        Admission::Refuse(slot, chain, _, reason) => {
            path.dropped(reason, chain.count());
            chain.return_down(path.binding(), return_flags(irql)); // PBS-3
            if let Some(slot) = slot {
                tell(upper, path.change_on(slot, -1));
            }
            return;
        }
        Admission::Held => return,
    };
    let (mut load, mut allocated, mut failed) = (Load::default(), 0, 0_u32);
    let rejected = chain.reject(|list| {
        let ready = prepare(upper, list, &mut load, &mut allocated);
        failed = failed.wrapping_add(u32::from(!ready));
        ready
    });
    slot.received.add(load);
    if allocated != 0 {
        slot.allocations.fetch_add(allocated, Ordering::Relaxed);
    }
    // The call stays counted until the indication has returned (MPS-3).
    let told = path.change_on(slot, i64::from(load.lists));
    debug_assert!(told == Waiters::NONE);
    // RCV-12: the chain is as it came or a part of it, so its flags stay true.
    chain.indicate_up(path.miniport(), port, load.lists, flags);
    if failed != 0 {
        path.dropped(DropReason::ReceiveNoContext, failed);
        rejected.return_down(path.binding(), return_flags(irql));
    } else {
        core::mem::forget(rejected); // empty
    }
    tell(upper, path.change_on(slot, -1));
}

/// Gives lists that the protocols above are done with back to the adapter.
/// IRQL <= DISPATCH_LEVEL.
pub(super) fn returned<T: Topology>(upper: &Upper<T>, mut chain: Chain<FromBelow>, flags: u32) {
    let mut count = 0_u32;
    chain.for_each(|list| {
        restore(list); // RCV-6
        count = count.wrapping_add(1);
    });
    // RCV-9: all of them came from the one binding below.
    chain.return_down(
        upper.path.binding(),
        flags & NDIS_RETURN_FLAGS_DISPATCH_LEVEL,
    );
    tell(upper, upper.path.change(-i64::from(count)));
}

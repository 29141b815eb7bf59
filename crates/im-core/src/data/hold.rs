//! Lists that wait until a reset below is over (RST-2).
//!
//! A miniport's lists are held in the order in which they came, counted as
//! outstanding. When the reset is over they go on, and only then new ones may
//! pass, so that none is overtaken; when something else closes the gate, they
//! are refused for that reason (RST-3). IRQL <= DISPATCH_LEVEL.

use crate::edges::Upper;
use crate::flow::{Slot, Waiters};
use crate::gate::{Verdict, bit, receive_verdict, send_verdict};
use crate::path::Path;
use crate::pause::tell;
use crate::topology::Topology;
use im_control::DropReason;
use ndis::lock::{Irql, SpinLock};
use ndis::nbl::{Chain, FromAbove, FromBelow};
use ndis::sys::{NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_PAUSED};

/// One of the two ways that lists take.
pub(super) trait Way {
    /// Whose lists.
    type Kind;
    /// The gate's bit that makes them wait.
    const HELD: u32;
    /// The reason of a refusal by a pause.
    const PAUSED: DropReason;
    /// Where they wait.
    fn queue(path: &Path) -> &SpinLock<Chain<Self::Kind>>;
    /// What becomes of a batch.
    fn judge(word: u32, port: u32) -> Verdict;
}

/// From above.
pub(super) enum Sends {}

impl Way for Sends {
    type Kind = FromAbove;
    const HELD: u32 = bit::RESETTING_SENDS;
    const PAUSED: DropReason = DropReason::SendPaused;

    fn queue(path: &Path) -> &SpinLock<Chain<FromAbove>> {
        &path.held_sends
    }

    fn judge(word: u32, port: u32) -> Verdict {
        match port {
            0 => send_verdict(word),
            _ => Verdict::Refuse(NDIS_STATUS_FAILURE, DropReason::SendPort), // PRT-1, SND-4
        }
    }
}

/// From below.
pub(super) enum Receives {}

impl Way for Receives {
    type Kind = FromBelow;
    const HELD: u32 = bit::RESETTING_RECEIVES;
    const PAUSED: DropReason = DropReason::ReceivePaused;

    fn queue(path: &Path) -> &SpinLock<Chain<FromBelow>> {
        &path.held_receives
    }

    fn judge(word: u32, port: u32) -> Verdict {
        match port {
            0 => receive_verdict(word),
            // PRT-1: we activate no port but the default one.
            _ => Verdict::Refuse(NDIS_STATUS_FAILURE, DropReason::ReceivePort),
        }
    }
}

/// What the gate says to a batch.
pub(super) enum Admission<'a, K> {
    /// It passes; the call is counted on the slot until it is counted out.
    Pass(&'a Slot, Chain<K>),
    /// It is refused. If the call is counted, it stays so until the batch is gone
    /// (MPS-3).
    Refuse(Option<&'a Slot>, Chain<K>, NDIS_STATUS, DropReason),
    /// It is held; the miniport may be gone.
    Held,
}

/// Counts a batch in and shows it to the gate. Bits of the gate in `ignore` do
/// not count.
pub(super) fn admit<T: Topology, W: Way>(
    upper: &Upper<T>,
    chain: Chain<W::Kind>,
    port: u32,
    irql: Irql,
    ignore: u32,
) -> Admission<'_, W::Kind> {
    let path = &upper.path;
    let slot = path.flow.here();
    let counted = slot.enter();
    let judge = || W::judge(path.gate.word() & !ignore, port);
    let mut verdict = judge();
    if verdict == Verdict::Hold && counted {
        // The call stays counted, so the path stays while we look at it.
        let count = i64::from(chain.count());
        let told = path.change_on(slot, count);
        debug_assert!(told == Waiters::NONE);
        let mut held = W::queue(path).lock_at(irql);
        // Under the lock: whoever empties the queue changed the gate before, so
        // what is put there now is not forgotten.
        verdict = judge();
        if verdict == Verdict::Hold {
            held.append(chain);
            drop(held);
            tell(upper, path.change_on(slot, -1));
            return Admission::Held;
        }
        drop(held);
        let told = path.change_on(slot, -count);
        debug_assert!(told == Waiters::NONE);
    }
    match verdict {
        Verdict::Pass if counted => Admission::Pass(slot, chain),
        Verdict::Refuse(status, reason) => {
            Admission::Refuse(counted.then_some(slot), chain, status, reason)
        }
        // A pause is taking the slots over, or a restart gives them back (MPS-4).
        Verdict::Pass | Verdict::Hold => {
            Admission::Refuse(None, chain, NDIS_STATUS_PAUSED, W::PAUSED)
        }
    }
}

/// Lets what is held go on because it cannot wait any longer: the gate was closed
/// for another reason, which it is refused for (RST-3).
pub(super) fn release<T: Topology, W: Way>(
    upper: &Upper<T>,
    forward: impl FnOnce(&Upper<T>, Chain<W::Kind>),
) {
    let held = W::queue(&upper.path).lock().take();
    go_on::<T, W>(upper, held, forward);
}

/// Lets what was held go on and then new lists pass, in this order, so that none
/// is overtaken (RST-3, SND-5). `forward` ignores the bit that made them wait.
pub(super) fn end_reset<T: Topology, W: Way>(
    upper: &Upper<T>,
    mut forward: impl FnMut(&Upper<T>, Chain<W::Kind>),
) {
    loop {
        let held = {
            let mut queue = W::queue(&upper.path).lock();
            if queue.is_empty() {
                upper.path.gate.clear(W::HELD);
                return;
            }
            queue.take()
        };
        go_on::<T, W>(upper, held, &mut forward);
    }
}

fn go_on<T: Topology, W: Way>(
    upper: &Upper<T>,
    held: Chain<W::Kind>,
    forward: impl FnOnce(&Upper<T>, Chain<W::Kind>),
) {
    if held.is_empty() {
        core::mem::forget(held);
        return;
    }
    let count = held.count();
    forward(upper, held);
    tell(upper, upper.path.change(-i64::from(count)));
}

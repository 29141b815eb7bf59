//! Many virtual miniports on one adapter.
//!
//! | Concern | File |
//! |---|---|
//! | what the topology decides | `decide` |
//! | who is in which VLAN, and how a change is published | `group` |
//! | frames from the adapter, and their way back | `receive` |
//! | lists from the protocols above, and their completions | `send` |
//! | frames from one miniport to another | `local` |
//! | tags into and out of frames | `tag` |
//! | frames and bytes by kind of address | `count` |
//!
//! # Concurrency
//!
//! A processor enters the binding's readers once per batch ([`crate::published`])
//! and follows the groups' pointers then: no lock, no atomic operation and no
//! allocation per frame. Each miniport that gets something from the batch is
//! counted in and asked for its gate once per run of frames, so that a pause
//! waits for what is under way (MPS-3) and a miniport that is closed costs the
//! others nothing. A miniport is freed only after it was taken out of its groups
//! and every reader has left.

mod count;
mod decide;
mod group;
mod local;
mod receive;
mod send;
mod tag;
#[cfg(test)]
mod tests;

pub use decide::{Delivery, Egress, Frame, Look, PortRef, PortView, Route, Strip, Switch};

use super::hold::{self, Sends, Way};
use super::{DataPath, Traffic, common};
use crate::edges::{Lower, Upper};
use crate::gate::bit;
use arrayvec::ArrayVec;
use core::sync::atomic::Ordering;
use ethernet::Mac;
use im_control::DropReason;
use ndis::Result;
use ndis::memory::Pool;
use ndis::nbl::{Chain, FromAbove, FromBelow, Lent};
use ndis::nbl_context::{Marked, Record};
use ndis::sys::PVOID;

/// Addresses that a miniport's multicast list can hold.
pub const MAX_MULTICAST: usize = 32;

/// Bytes of context space that a list takes while it is on the other side
/// (ATR-9).
pub const CONTEXT_BYTES: u16 = Marked::BYTES;

/// Many virtual miniports on one adapter: each frame goes where its VLAN and
/// its addresses say.
#[derive(Debug)]
pub enum Fanout {}

impl<T: Switch> DataPath<T> for Fanout {
    type Team = ();
    type Binding = group::Binding<T>;
    type Miniport = group::Miniport<T>;

    fn team(_pool: Pool) -> Result<()> {
        Ok(())
    }

    fn binding(pool: Pool) -> Result<Self::Binding> {
        group::Binding::try_new(pool)
    }

    fn miniport(pool: Pool) -> Result<Self::Miniport> {
        group::Miniport::try_new(pool)
    }

    unsafe fn init(binding: &Self::Binding) {
        // SAFETY: (IRQ-9) the caller's promise.
        unsafe { binding.init() };
    }

    fn send(upper: &Upper<T>, chain: Chain<FromAbove>, port: u32, flags: u32) {
        send::forward(upper, chain, port, flags, 0);
    }

    fn sent(_lower: &Lower<T>, chain: Chain<FromAbove>, flags: u32) {
        send::sent::<T>(chain, flags);
    }

    fn cancel(upper: &Upper<T>, id: PVOID) {
        common::cancel(upper, id);
    }

    fn receive(lower: &Lower<T>, chain: Chain<FromBelow>, port: u32, _count: u32, flags: u32) {
        receive::receive(lower, chain, port, flags);
    }

    fn lent(lower: &Lower<T>, lent: Lent<'_>, port: u32, _count: u32, flags: u32) {
        receive::lent(lower, lent, port, flags);
    }

    fn returned(upper: &Upper<T>, chain: Chain<FromBelow>, flags: u32) {
        receive::returned(upper, chain, flags);
    }

    fn end_reset(lower: &Lower<T>) {
        for upper in lower.uppers() {
            hold::end_reset::<T, Sends>(&upper, |upper, held| {
                send::forward(upper, held, 0, 0, Sends::HELD);
            });
            // Receives are not held: to keep their order, a frame for many miniports
            // would have to wait for the slowest of them, with all that follow it.
            upper.path.gate.clear(bit::RESETTING_RECEIVES);
        }
    }

    fn release_held(upper: &Upper<T>) {
        hold::release::<T, Sends>(upper, |upper, held| {
            send::forward(upper, held, 0, 0, Sends::HELD);
        });
    }

    fn set_multicast(upper: &Upper<T>, list: &[Mac]) -> bool {
        let Ok(list) = ArrayVec::try_from(list) else {
            return false;
        };
        *upper.data.multicast.lock() = list;
        true
    }

    fn traffic(upper: &Upper<T>) -> Option<Traffic> {
        Some(count::sum(upper.data.counts.iter()))
    }

    fn drops(lower: &Lower<T>, reason: DropReason) -> u64 {
        let counter = lower.data.drops.get(reason.code() as usize);
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    fn publish(upper: &Upper<T>) -> Result<()> {
        group::publish(upper)
    }

    fn withdraw(upper: &Upper<T>) {
        group::withdraw(upper);
    }
}

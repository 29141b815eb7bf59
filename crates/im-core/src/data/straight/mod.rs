//! One virtual miniport on one adapter: chains go through whole.

mod receive;
mod send;

use super::hold::{self, Receives, Sends, Way};
use super::{DataPath, Traffic, common};
use crate::edges::{Lower, Upper};
use crate::topology::Topology;
use ethernet::Mac;
use im_control::DropReason;
use ndis::Result;
use ndis::memory::Pool;
use ndis::nbl::{Chain, FromAbove, FromBelow, Lent};
use ndis::sys::PVOID;

/// One virtual miniport on one adapter: chains go through whole.
#[derive(Debug)]
pub enum Straight {}

impl<T: Topology> DataPath<T> for Straight {
    type Team = ();
    type Binding = ();
    type Miniport = ();

    fn team(_pool: Pool) -> Result<()> {
        Ok(())
    }

    fn binding(_pool: Pool) -> Result<()> {
        Ok(())
    }

    fn miniport(_pool: Pool) -> Result<()> {
        Ok(())
    }

    unsafe fn init((): &()) {}

    fn send(upper: &Upper<T>, chain: Chain<FromAbove>, port: u32, flags: u32) {
        send::forward(upper, chain, port, flags, 0);
    }

    fn sent(lower: &Lower<T>, chain: Chain<FromAbove>, flags: u32) {
        send::sent(lower, chain, flags);
    }

    fn cancel(upper: &Upper<T>, id: PVOID) {
        common::cancel(upper, id);
    }

    fn receive(lower: &Lower<T>, chain: Chain<FromBelow>, port: u32, _count: u32, flags: u32) {
        receive::receive(lower, chain, port, flags);
    }

    fn lent(lower: &Lower<T>, lent: Lent<'_>, port: u32, count: u32, flags: u32) {
        receive::lent(lower, lent, port, count, flags);
    }

    fn returned(upper: &Upper<T>, chain: Chain<FromBelow>, flags: u32) {
        receive::returned(upper, chain, flags);
    }

    fn end_reset(lower: &Lower<T>) {
        for upper in lower.uppers() {
            hold::end_reset::<T, Sends>(&upper, |upper, held| {
                send::forward(upper, held, 0, 0, Sends::HELD);
            });
            hold::end_reset::<T, Receives>(&upper, |upper, held| {
                receive::forward(upper, held, 0, 0, Receives::HELD);
            });
        }
    }

    fn release_held(upper: &Upper<T>) {
        hold::release::<T, Sends>(upper, |upper, held| {
            send::forward(upper, held, 0, 0, Sends::HELD);
        });
        hold::release::<T, Receives>(upper, |upper, held| {
            receive::forward(upper, held, 0, 0, Receives::HELD);
        });
    }

    fn set_multicast(_upper: &Upper<T>, _list: &[Mac]) -> bool {
        true // the adapter's own list counts
    }

    fn traffic(_upper: &Upper<T>) -> Option<Traffic> {
        None
    }

    fn drops(_lower: &Lower<T>, _reason: DropReason) -> u64 {
        0 // all of them are the miniport's
    }

    fn publish(_upper: &Upper<T>) -> Result<()> {
        Ok(()) // the gate alone decides
    }

    fn withdraw(_upper: &Upper<T>) {}

    // A receive may be about to count itself in on the miniport.
    const WITHDRAW_WAITS: bool = false;
}

//! One virtual miniport on many adapters.
//!
//! | Concern | File |
//! |---|---|
//! | what the topology decides | `bond` |
//! | its state machines, and carrying out what they want | `control` |
//! | what all processors read: who can be used, what is held | `route` |
//! | rankings, and which buckets have to wait | `table` |
//! | where a bucket is when flowlets decide | `flowlet` |
//! | a member's way down, and what it was given | `member` |
//! | lists from the protocols above, and their completions | `send` |
//! | frames from the members, and their way back | `receive` |
//! | what a frame is to a team | `look` |
//! | buckets from member to member, in order | `moves` |
//! | frames of the team's own | `frames` |
//! | what the control device shows | `show` |
//!
//! # Concurrency
//!
//! A processor enters the team's readers once per batch ([`crate::published`]) and
//! goes by what it finds then: no lock, no shared line and no allocation per frame in
//! the steady state. A death is one bit, cleared at IRQL <= DISPATCH_LEVEL, that the
//! next batch sees. Whatever has to be done in order is done by one thread at
//! PASSIVE_LEVEL, while what would overtake itself waits in a queue. A list counts on
//! the team's path and on its member's, so that a pause of either waits for it.

pub mod bond;
mod control;
mod crew;
mod deal;
mod flowlet;
mod frames;
mod look;
mod member;
mod moves;
mod receive;
mod route;
mod send;
mod show;
mod table;
#[cfg(test)]
mod tests;

pub use bond::{
    Action, BUCKETS, Bond, Described, Happened, MAX_MEMBERS, MemberFacts, Members, NOBODY, Plan,
    Ranking, Slot, Spread, Time,
};
pub use look::MAX_MULTICAST;
pub use member::Member;
pub use route::Route;
pub use table::{Buckets, Table};

use super::{DataPath, Traffic, common};
use crate::edges::{Lower, Upper};
use crate::flow::Waiters;
use crate::gate::{Gate, bit};
use crate::path::Path;
use arrayvec::ArrayVec;
use core::sync::atomic::Ordering;
use crew::Crew;
use ethernet::Mac;
use frames::Stock;
use im_control::{DropReason, Kind, ReplyWriter};
use ndis::Result;
use ndis::memory::{Pool, PoolBox, Tag};
use ndis::nbl::{Chain, FromAbove, FromBelow, Lent};
use ndis::nbl_context::CONTEXT_BYTES as SAVED_BYTES;
use ndis::sys::PVOID;

/// Bytes of context space that a list takes while it is on the other side (ATR-9).
pub const CONTEXT_BYTES: u16 = SAVED_BYTES;

/// One virtual miniport on many adapters: each list goes to the member that its flow
/// is on, and everything comes up as if from one.
#[derive(Debug)]
pub enum Teamed {}

/// What the data path keeps about a team.
pub struct TeamState<T: Bond> {
    /// The ways of its lists.
    pub(crate) route: Route,
    /// Its state machines.
    pub(crate) control: control::Control<T>,
}

impl<T: Bond> TeamState<T> {
    /// Only these live: the next batch goes to none of the others.
    /// IRQL <= DISPATCH_LEVEL; the callers see to the order of their calls.
    fn set_alive(&self, members: Members) {
        self.route.set_alive(members);
    }

    /// Groups' frames of these go up. IRQL <= DISPATCH_LEVEL.
    fn set_collect(&self, members: Members) {
        self.route.set_collect(members);
    }

    /// Takes an open binding in; the next move uses it. IRQL = PASSIVE_LEVEL.
    fn enter(&self, lower: &Lower<T>) {
        let member = &lower.data;
        let slot = lower.slot.load(Ordering::Relaxed);
        let owner = core::ptr::from_ref(lower).cast();
        // SAFETY: (VMI-9) in no route yet; the binding owns the member.
        unsafe { member.settle(slot, lower.handle(), owner) };
        self.route.take_in(member);
    }

    /// Takes a binding out: when this returns, no reader looks at it.
    /// IRQL = PASSIVE_LEVEL.
    fn remove(&self, lower: &Lower<T>) {
        self.route.take_out(lower.data.slot());
    }
}

impl<T: Bond> Crew for Upper<T> {
    const TAG: Tag = T::IDENTITY.tag;
    type Port = T::Port;

    fn path(&self) -> &Path {
        &self.path
    }

    fn route(&self) -> &Route {
        &self.team().data.route
    }

    fn port(&self) -> Option<&T::Port> {
        Upper::port(self)
    }

    fn spread(port: &T::Port) -> Spread {
        T::spread(port)
    }

    fn bucket(port: &T::Port, head: &[u8], beside: usize, hash: Option<u32>) -> u8 {
        T::bucket(port, head, beside, hash)
    }

    fn uses_hash_info(port: &T::Port) -> bool {
        T::uses_hash_info(port)
    }

    fn wants_frame(port: &T::Port, head: &[u8]) -> bool {
        T::wants_frame(port, head)
    }

    fn keeps_duplicates(port: &T::Port) -> bool {
        T::keeps_duplicates(port)
    }

    fn tell(&self, told: Waiters) {
        crate::pause::tell(self, told);
    }

    fn tell_member(member: &Member, told: Waiters) {
        if !told.lower {
            return; // the member may be gone
        }
        // SAFETY: (PBS-2) the pause that waits in its handler keeps the binding until
        // it is told.
        let lower = unsafe { &*member.owner().cast::<Lower<T>>() };
        lower.drained.set();
    }

    fn received(&self, slot: Slot, frame: &[u8]) {
        control::received(self.team(), slot, frame);
    }

    fn stack_sent(&self, frame: &[u8]) {
        control::stack_sent(self.team(), frame);
    }

    fn marker(&self, slot: Slot) {
        control::marker(self.team(), slot);
    }

    fn look_again(&self) {
        control::look_again(self.team());
    }
}

impl<T: Bond> DataPath<T> for Teamed {
    type Team = TeamState<T>;
    type Binding = Member;
    type Miniport = ();

    fn team(pool: Pool) -> Result<TeamState<T>> {
        Ok(TeamState {
            route: Route::try_new(pool)?,
            control: control::Control::new(),
        })
    }

    unsafe fn init_team(team: &TeamState<T>) {
        // SAFETY: (IRQ-9) the caller's promise.
        unsafe {
            team.route.init();
            team.control.init();
        }
    }

    fn binding(pool: Pool) -> Result<Member> {
        Member::try_new(pool)
    }

    fn miniport(_pool: Pool) -> Result<()> {
        Ok(())
    }

    unsafe fn init(_binding: &Member) {}

    fn send(upper: &Upper<T>, chain: Chain<FromAbove>, port: u32, flags: u32) {
        send::send(upper, chain, port, flags);
    }

    fn sent(lower: &Lower<T>, chain: Chain<FromAbove>, flags: u32) {
        let route = &lower.team().data.route;
        send::sent(route, lower.sole(), &lower.data, chain, flags);
    }

    fn cancel(upper: &Upper<T>, id: PVOID) {
        send::cancel(upper, id);
    }

    fn receive(lower: &Lower<T>, chain: Chain<FromBelow>, port: u32, _count: u32, flags: u32) {
        match lower.sole().filter(|_| lower.data.slot() != NOBODY) {
            Some(upper) => receive::receive(upper, &lower.data, chain, port, flags),
            None => common::without_miniport(lower, chain, flags),
        }
    }

    fn lent(lower: &Lower<T>, lent: Lent<'_>, port: u32, _count: u32, flags: u32) {
        if let Some(upper) = lower.sole().filter(|_| lower.data.slot() != NOBODY) {
            receive::lent(upper, &lower.data, lent, port, flags);
        }
    }

    fn returned(upper: &Upper<T>, chain: Chain<FromBelow>, flags: u32) {
        receive::returned(upper, chain, flags);
    }

    fn gates(lower: &Lower<T>, visit: &mut dyn FnMut(&Gate)) {
        visit(&lower.data.path.gate);
    }

    fn drain(lower: &Lower<T>) {
        lower.drained.reset();
        if !lower.data.path.wait(Waiters::LOWER).lower {
            lower.drained.wait();
        }
        control::changed(lower);
    }

    fn resume(lower: &Lower<T>) {
        lower.data.path.resume();
    }

    fn end_reset(lower: &Lower<T>) {
        // Nothing is held for a reset: others carry the flows meanwhile (LBF-7).
        lower.data.path.gate.clear(bit::LOWER_RESETTING);
        control::changed(lower);
    }

    fn slept(lower: &Lower<T>) {
        control::changed(lower);
    }

    fn changed(lower: &Lower<T>) {
        control::changed(lower);
    }

    fn joined(lower: &Lower<T>) -> Result<()> {
        control::joined(lower);
        Ok(())
    }

    fn leaving(lower: &Lower<T>) {
        control::leaving(lower);
    }

    fn left(lower: &Lower<T>) {
        control::left(lower);
    }

    fn started(upper: &Upper<T>, mac: Mac) -> Result<()> {
        let (driver, tag) = (upper.driver, T::IDENTITY.tag);
        upper.route().prepare(mac, || {
            // SAFETY: (NBL-3) the protocol is deregistered after every binding, and so
            // every team, is gone.
            let stock = unsafe { Stock::try_new(driver.protocol_handle(), tag) }?;
            PoolBox::try_new(driver.pool(), stock)
        })?;
        control::start(upper, mac)
    }

    fn stopped(upper: &Upper<T>) {
        control::stop(upper);
    }

    fn release_held(upper: &Upper<T>) {
        send::release_held(upper);
    }

    fn set_multicast(upper: &Upper<T>, list: &[Mac]) -> bool {
        let Ok(list) = ArrayVec::try_from(list) else {
            return false;
        };
        *upper.route().multicast.lock() = list;
        true
    }

    fn traffic(_upper: &Upper<T>) -> Option<Traffic> {
        None
    }

    fn drops(lower: &Lower<T>, reason: DropReason) -> u64 {
        lower.data.path.drops(reason)
    }

    fn publish(upper: &Upper<T>) -> Result<()> {
        let filter = upper.filter.load(Ordering::Acquire);
        upper.route().publish(upper.driver.pool(), Some(filter))
    }

    fn withdraw(upper: &Upper<T>) {
        // Without anything to publish no memory is taken.
        let withdrawn = upper.route().publish(upper.driver.pool(), None);
        debug_assert!(withdrawn.is_ok());
    }

    fn show(index: u32, upper: &Upper<T>, kind: Kind, writer: &mut ReplyWriter<'_>) {
        show::show(index, upper, kind, writer);
    }

    // A receive may be about to count itself in on the miniport.
    const WITHDRAW_WAITS: bool = false;
}

//! The two edges: a binding ([`Lower`]) and a virtual miniport ([`Upper`]).
//!
//! The state of a binding is behind `Lower::core`, the state of a miniport behind
//! `Upper::core`; gate bits of an edge change under its lock (see the crate's
//! description). Both objects stay where they are until they are freed: NDIS has
//! their addresses as contexts. Which of them belong together is the team's
//! ([`Team`]).
//!
//! Miniports come and go while the binding lives. Whoever looks at one that is
//! not its own holds it ([`Held`]): a miniport is freed only after it was taken
//! off the list and nobody holds it any more.

use crate::attributes::Shown;
use crate::data::DataPath;
use crate::driver::Driver;
use crate::facts::{Facts, Link};
use crate::gate::bit;
use crate::offload::Choice;
use crate::oid::Awaited;
use crate::oid_direct::DirectTable;
use crate::oid_slot::OidSlot;
use crate::own_request::{OwnRequest, WakeUp};
use crate::path::Path;
use crate::roster::Room;
use crate::state::{
    Lower as LowerState, LowerMove, Upper as UpperState, UpperMove, lower_after, upper_after,
    upper_indicates, upper_sends,
};
use crate::sync::{Asked, Change, Seat};
use crate::team::Team;
use crate::topology::Topology;
use arrayvec::ArrayVec;
use core::cell::UnsafeCell;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, Ordering};
use im_control::EventKind;
use ndis::event::Event;
use ndis::lock::SpinLock;
use ndis::memory::PoolArray;
use ndis::nbl::{BindingHandle, Chain, FromBelow, MiniportHandle};
use ndis::oid::Request;
use ndis::rundown::Rundown;
use ndis::sys::{NDIS_OID, NdisDeviceStateD0, VOID};
use ndis::{Error, Result};

/// What is guarded together on the lower edge.
pub(crate) struct LowerCore {
    pub state: LowerState,
    /// The lower edge's bits, as they are in the gate of every path.
    pub bits: u32,
}

/// A binding to an adapter below.
pub struct Lower<T: Topology> {
    pub(crate) driver: &'static Driver<T>,
    team: NonNull<Team<T>>,
    /// Its place in the team.
    pub(crate) slot: AtomicU8,
    /// What the topology keeps about the adapter.
    adapter: T::Adapter,
    pub(crate) core: SpinLock<LowerCore>,
    /// The team's first virtual miniport, for the data path.
    sole: AtomicPtr<Upper<T>>,
    handle: AtomicPtr<VOID>,
    /// Storage that NdisOpenAdapterEx may write late (BND-3).
    pub(crate) medium_index: AtomicU32,
    pub(crate) opened: Event,
    pub(crate) open_status: AtomicI32,
    pub(crate) closed: Event,
    /// Set by whoever finds a draining path empty (PBS-2).
    pub(crate) drained: Event,
    /// Users that do not come through NDIS's serialisation.
    pub(crate) users: Rundown,
    /// Those who look at it from the team.
    pub(crate) visitors: Rundown,
    /// The entry of a shared topology in the interface stack (IFS-2): above, below.
    pub(crate) stacked: SpinLock<Option<(u32, u32)>>,
    /// What the team's worker keeps about it.
    pub(crate) asked: Asked,
    /// OID requests that are below; closed while none may go (PBS-5).
    pub(crate) requests: Rundown,
    pub(crate) facts: SpinLock<Facts>,
    pub(crate) power: AtomicI32,
    /// The adapter's OID list, read once after the open.
    pub(crate) supported: Option<PoolArray<u32>>,
    /// The binding's own requests, made by bind and unbind.
    pub(crate) own: OwnRequest,
    /// What was added below through us (UNB-4).
    pub(crate) wake_ups: SpinLock<ArrayVec<WakeUp, 32>>,
    /// Receives that came before the binding handle was known (RCV-14).
    pub(crate) early: SpinLock<Chain<FromBelow>>,
    /// What the data path keeps.
    pub(crate) data: <T::Data as DataPath<T>>::Binding,
}

// SAFETY: (VMI-9) the pointers lead to `Upper`s, which are shared by design and
// live as long as the binding; all else is synchronised by type.
unsafe impl<T: Topology> Send for Lower<T> {}
// SAFETY: (VMI-9) as above.
unsafe impl<T: Topology> Sync for Lower<T> {}
/// What is guarded by [`Team::setup`].
pub(crate) struct Setup<T: Topology> {
    /// Miniports that were taken off the list while the data path may still
    /// look at them; freed with the binding, unless their name comes back.
    pub retired: Room<NonNull<Upper<T>>>,
}

// SAFETY: (VMI-9) as above; reached under the lock only.
unsafe impl<T: Topology> Send for Setup<T> {}

/// A virtual miniport that is not freed meanwhile.
pub(crate) struct Held<'a, T: Topology>(&'a Upper<T>);

impl<'a, T: Topology> Held<'a, T> {
    /// Holds a miniport that is on the list; the list's lock is held. None: it is
    /// on its way out.
    pub(crate) fn of(upper: &'a Upper<T>) -> Option<Self> {
        upper.users.enter_detached().then_some(Self(upper))
    }
}

impl<T: Topology> Deref for Held<'_, T> {
    type Target = Upper<T>;
    fn deref(&self) -> &Upper<T> {
        self.0
    }
}

impl<T: Topology> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.0.users.leave();
    }
}

/// Walks over the miniports of a team, without holding its lock.
pub(crate) struct Uppers<'a, T: Topology> {
    team: &'a Team<T>,
    last: Option<u64>,
}

impl<'a, T: Topology> Uppers<'a, T> {
    pub(crate) fn of(team: &'a Team<T>) -> Self {
        Self { team, last: None }
    }
}

impl<'a, T: Topology> Iterator for Uppers<'a, T> {
    type Item = Held<'a, T>;

    fn next(&mut self) -> Option<Held<'a, T>> {
        let core = self.team.core.lock();
        loop {
            let (number, upper) = core.uppers.after(self.last)?;
            self.last = Some(number);
            // SAFETY: (VMI-4) on the list, hence alive; held before the lock is
            // let go.
            let held = Held::of(unsafe { upper.as_ref() });
            if held.is_some() {
                return held;
            }
        }
    }
}

impl<T: Topology> Lower<T> {
    /// The team that it belongs to.
    pub(crate) fn team(&self) -> &Team<T> {
        // SAFETY: (BND-14) a team is freed after its last binding.
        unsafe { self.team.as_ref() }
    }

    /// What the topology keeps about the adapter.
    pub fn adapter(&self) -> &T::Adapter {
        &self.adapter
    }

    /// A binding that is not open yet. [`Lower::init`] follows once it is where
    /// it stays.
    pub(crate) fn try_new(
        driver: &'static Driver<T>,
        team: NonNull<Team<T>>,
        facts: &Facts,
        adapter: T::Adapter,
    ) -> Result<Self> {
        Ok(Self {
            driver,
            team,
            slot: AtomicU8::new(0),
            adapter,
            core: SpinLock::new(LowerCore {
                state: LowerState::Unbound,
                bits: bit::LOWER_NO_SENDS | bit::LOWER_NO_RECEIVES,
            }),
            sole: AtomicPtr::new(core::ptr::null_mut()),
            handle: AtomicPtr::new(core::ptr::null_mut()),
            medium_index: AtomicU32::new(0),
            opened: Event::new(),
            open_status: AtomicI32::new(0),
            closed: Event::new(),
            drained: Event::new(),
            users: Rundown::new(true),
            visitors: Rundown::new(true),
            stacked: SpinLock::new(None),
            asked: Asked::with_room(facts.multicast)?,
            requests: Rundown::new(false),
            facts: SpinLock::new(*facts),
            power: AtomicI32::new(NdisDeviceStateD0.0),
            supported: None,
            own: OwnRequest::new(),
            wake_ups: SpinLock::new(ArrayVec::new_const()),
            early: SpinLock::new(Chain::empty()),
            data: T::Data::binding(driver.pool())?,
        })
    }

    /// Initialises the events in place.
    ///
    /// # Safety
    /// The binding has its final address and is not shared yet.
    pub(crate) unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the caller's promise covers each of them.
        unsafe {
            self.opened.init();
            self.closed.init();
            self.drained.init();
            self.users.init();
            self.visitors.init();
            self.requests.init();
            self.own.init();
            T::Data::init(&self.data);
        }
    }

    /// The binding's handle; null until NDIS wrote it.
    pub(crate) fn handle(&self) -> BindingHandle {
        BindingHandle(self.handle.load(Ordering::Acquire))
    }

    /// Where NDIS writes the handle (BND-3).
    pub(crate) fn handle_storage(&self) -> *mut *mut VOID {
        self.handle.as_ptr()
    }

    /// The state at this moment.
    pub(crate) fn state(&self) -> LowerState {
        self.core.lock().state
    }

    /// Makes a move, with the gate bits that go with it on every path.
    pub(crate) fn step(&self, step: LowerMove) -> Result<LowerState> {
        let moved = {
            let mut core = self.core.lock();
            match lower_after(core.state, step) {
                Some(next) => {
                    core.state = next;
                    let mask = bit::LOWER_NO_SENDS | bit::LOWER_NO_RECEIVES;
                    core.bits = core.bits & !mask | state_bits(next);
                    self.show_bits(state_bits(next), mask);
                    Ok(next)
                }
                None => Err(core.state),
            }
        };
        match moved {
            Ok(next) => {
                if matches!(next, LowerState::Running | LowerState::Paused) {
                    self.driver
                        .event(EventKind::BindingState, self.if_index(), next.code().into());
                }
                Ok(next)
            }
            Err(state) => {
                let value = u64::from(state.code()) << 8 | step as u64;
                self.driver
                    .event(EventKind::BadMove, self.if_index(), value);
                Err(Error::BadState)
            }
        }
    }

    /// Sets and clears bits of the lower edge on every path.
    pub(crate) fn set_bits(&self, set: u32, clear: u32) {
        let mut core = self.core.lock();
        core.bits = core.bits & !clear | set;
        self.show_bits(set, set | clear);
    }

    /// Gives the bits of `mask` in every gate the values in `bits`. `core` is held.
    fn show_bits(&self, bits: u32, mask: u32) {
        T::Data::gates(self, &mut |gate| {
            gate.set(bits & mask);
            gate.clear(mask & !bits);
        });
    }

    /// All virtual miniports of the team, one after the other.
    pub(crate) fn uppers(&self) -> Uppers<'_, T> {
        self.team().uppers()
    }

    /// The team's first virtual miniport, for the data path; no lock.
    pub(crate) fn sole(&self) -> Option<&Upper<T>> {
        // SAFETY: (VMI-4) published when complete, freed after the close.
        unsafe { self.sole.load(Ordering::Acquire).as_ref() }
    }

    /// Notes the team's first miniport. The team's lock is held.
    pub(crate) fn set_sole(&self, upper: Option<NonNull<Upper<T>>>) {
        let upper = upper.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        self.sole.store(upper, Ordering::Release);
    }

    /// Interface index of the adapter, for events.
    pub(crate) fn if_index(&self) -> u32 {
        self.facts.lock().if_index
    }

    /// Gives back what came while the adapter was being opened (RCV-14). Called
    /// after the open, by whoever sees that it ended.
    pub(crate) fn return_early(&self) {
        let early = self.early.lock().take();
        early.return_down(self.handle(), 0);
    }

    /// A copy of what is known about the adapter.
    pub(crate) fn facts(&self) -> Facts {
        *self.facts.lock()
    }
}

/// The gate bits of a lower state (PBS-1, PBS-3).
const fn state_bits(state: LowerState) -> u32 {
    match state {
        LowerState::Running => 0,
        LowerState::Restarting => bit::LOWER_NO_SENDS,
        _ => bit::LOWER_NO_SENDS | bit::LOWER_NO_RECEIVES,
    }
}

/// What is guarded together on the upper edge.
pub(crate) struct UpperCore {
    pub state: UpperState,
}

/// The link as protocols above know it (STS-4).
#[derive(Default)]
pub(crate) struct ShownLink {
    /// What was shown last.
    pub last: Option<Link>,
    /// Somebody is showing it.
    pub busy: bool,
    /// It may have changed since he looked.
    pub again: bool,
}

/// A virtual miniport. Its address is the DeviceContext that NDIS hands out
/// (VMI-4) and the MiniportAdapterContext (ATR-3).
pub struct Upper<T: Topology> {
    pub(crate) driver: &'static Driver<T>,
    team: NonNull<Team<T>>,
    pub(crate) core: SpinLock<UpperCore>,
    pub(crate) path: Path,
    /// What the topology keeps about the miniport, and whether it is there.
    port: UnsafeCell<Option<T::Port>>,
    ported: AtomicBool,
    /// The device name from UpperBindings.
    pub(crate) name: PoolArray<u16>,
    /// Its place there.
    pub(crate) position: AtomicU32,
    /// About to be taken off the list.
    pub(crate) leaving: AtomicBool,
    /// Those who look at the miniport without being called by NDIS for it.
    pub(crate) users: Rundown,
    /// Set when MiniportInitializeEx is over, either way, or was called off.
    pub(crate) settled: Event,
    /// Set when MiniportHaltEx is over.
    pub(crate) halted: Event,
    /// Calls up that must be over before halt and low power: status (STS-2,
    /// PWR-2), PnP events.
    pub(crate) indications: Rundown,
    /// Handlers that must have returned before halt frees anything they use.
    pub(crate) handlers: Rundown,
    /// The regular OID request (OID-1).
    pub(crate) oid: SpinLock<OidSlot<Request, Change>>,
    /// Direct OID requests (OID-28).
    pub(crate) direct: SpinLock<DirectTable>,
    /// Set whenever a regular request ends (OID-9).
    pub(crate) oid_idle: Event,
    /// Requests that are answered by a status (OID-27).
    pub(crate) awaited: SpinLock<ArrayVec<Awaited, 8>>,
    /// The link as it was shown last (STS-4).
    pub(crate) shown_link: SpinLock<ShownLink>,
    /// Interface index of the miniport; zero before it is known.
    pub(crate) if_index: AtomicU32,
    /// The lower index that was entered into the interface stack (IFS-2).
    pub(crate) stacked_on: AtomicU32,
    /// What SupportedOidList points to (ATR-10).
    pub(crate) oids: SpinLock<Option<PoolArray<NDIS_OID>>>,
    /// The packet filter that was set last (RCV-14).
    pub(crate) filter: AtomicU32,
    /// The lookahead that was set last.
    pub(crate) lookahead: AtomicU32,
    /// What the attributes said, and what has changed of it since.
    pub(crate) shown: SpinLock<Option<Shown>>,
    /// Task offload that was switched on or off.
    pub(crate) choice: SpinLock<Choice>,
    /// What the binding's worker keeps.
    pub(crate) seat: Seat<T>,
    pub(crate) power: AtomicI32,
    /// What the data path keeps.
    pub(crate) data: <T::Data as DataPath<T>>::Miniport,
}

// SAFETY: (VMI-9) the binding outlives its miniports; all else is synchronised
// by type.
unsafe impl<T: Topology> Send for Upper<T> {}
// SAFETY: (VMI-9) as above.
unsafe impl<T: Topology> Sync for Upper<T> {}

impl<T: Topology> Upper<T> {
    /// A virtual miniport that NDIS has not heard of. [`Upper::init`] follows.
    pub(crate) fn try_new(team: &Team<T>, name: &[u16], position: u32) -> Result<Self> {
        let pool = team.driver.pool();
        Ok(Self {
            driver: team.driver,
            team: NonNull::from(team),
            core: SpinLock::new(UpperCore {
                state: UpperState::Halted,
            }),
            path: Path::try_new(pool)?,
            port: UnsafeCell::new(None),
            ported: AtomicBool::new(false),
            position: AtomicU32::new(position),
            leaving: AtomicBool::new(false),
            users: Rundown::new(true),
            name: PoolArray::try_with(pool, name.len(), |index| {
                name.get(index).copied().unwrap_or(0)
            })?,
            settled: Event::new(),
            halted: Event::new(),
            indications: Rundown::new(false),
            handlers: Rundown::new(false),
            oid: SpinLock::new(OidSlot::new()),
            direct: SpinLock::new(DirectTable::new()),
            oid_idle: Event::new(),
            awaited: SpinLock::new(ArrayVec::new_const()),
            shown_link: SpinLock::new(ShownLink::default()),
            if_index: AtomicU32::new(0),
            stacked_on: AtomicU32::new(0),
            oids: SpinLock::new(None),
            filter: AtomicU32::new(0),
            lookahead: AtomicU32::new(0),
            shown: SpinLock::new(None),
            choice: SpinLock::new(Choice::default()),
            seat: Seat::new(),
            power: AtomicI32::new(NdisDeviceStateD0.0),
            data: T::Data::miniport(pool)?,
        })
    }

    /// Initialises the events in place.
    ///
    /// # Safety
    /// The miniport has its final address and is not shared yet.
    pub(crate) unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the caller's promise covers each of them.
        unsafe {
            self.settled.init();
            self.halted.init();
            self.indications.init();
            self.users.init();
            self.handlers.init();
            self.oid_idle.init();
        }
    }

    /// What the topology keeps about the miniport. There from its
    /// initialisation to its halt.
    pub fn port(&self) -> Option<&T::Port> {
        if !self.ported.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: (VMI-4) written before the flag was set, and taken back by the
        // halt only, which waits for handlers, indications and the data path.
        unsafe { (*self.port.get()).as_ref() }
    }

    /// Keeps what the topology knows about the miniport, or forgets it.
    ///
    /// # Safety
    /// Inside initialise or halt, when nobody else may look: before the miniport
    /// is published, or after it was withdrawn and its handlers returned.
    pub(crate) unsafe fn set_port(&self, port: Option<T::Port>) {
        self.ported.store(false, Ordering::Release);
        let there = port.is_some();
        // SAFETY: (VMI-4) the caller's promise.
        unsafe { *self.port.get() = port };
        self.ported.store(there, Ordering::Release);
    }

    /// Something of what the attributes said, while the miniport is there.
    pub(crate) fn shown<V>(&self, read: impl FnOnce(&Shown) -> V) -> Option<V> {
        self.shown.lock().as_ref().map(read)
    }

    /// The team that it belongs to.
    pub(crate) fn team(&self) -> &Team<T> {
        // SAFETY: (VMI-4) the team outlives its miniports.
        unsafe { self.team.as_ref() }
    }

    /// The one binding that the miniport stands on, where there can be no more.
    pub(crate) fn lower(&self) -> Option<&Lower<T>> {
        self.team().only()
    }

    /// The handle.
    pub(crate) fn handle(&self) -> MiniportHandle {
        self.path.miniport()
    }

    /// The state at this moment.
    pub(crate) fn state(&self) -> UpperState {
        self.core.lock().state
    }

    /// Makes a move, with the gate bits that go with it.
    pub(crate) fn step(&self, step: UpperMove) -> Result<UpperState> {
        let moved = {
            let mut core = self.core.lock();
            match upper_after(core.state, step) {
                Some(next) => {
                    core.state = next;
                    let mut closed = 0;
                    if !upper_sends(next) {
                        closed |= bit::UPPER_NO_SENDS;
                    }
                    if !upper_indicates(next) {
                        closed |= bit::UPPER_NO_RECEIVES;
                    }
                    self.path.gate.set(closed);
                    self.path
                        .gate
                        .clear((bit::UPPER_NO_SENDS | bit::UPPER_NO_RECEIVES) & !closed);
                    Ok(next)
                }
                None => Err(core.state),
            }
        };
        let index = self.if_index.load(Ordering::Relaxed);
        match moved {
            Ok(next) => {
                if matches!(step, UpperMove::Restarted | UpperMove::Paused) {
                    self.driver
                        .event(EventKind::MiniportState, index, next.code().into());
                }
                Ok(next)
            }
            Err(state) => {
                let value = 1 << 16 | u64::from(state.code()) << 8 | step as u64;
                self.driver.event(EventKind::BadMove, index, value);
                crate::log::write(self.handle(), EventKind::BadMove, value as u32);
                Err(Error::BadState)
            }
        }
    }

    /// The state after a halt that came in a state without that move.
    pub(crate) fn force_halted(&self) {
        let mut core = self.core.lock();
        core.state = UpperState::Halted;
        self.path
            .gate
            .set(bit::UPPER_NO_SENDS | bit::UPPER_NO_RECEIVES);
    }
}

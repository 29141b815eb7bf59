//! What the data path keeps about a member of a team: its way down, and what it was
//! given.
//!
//! Every list that a member has counts three times: on the team's path and on the
//! member's, so that a pause of either waits for it (MPS-3, PBS-2), and in one of the
//! member's two phases, so that whoever moves buckets away can wait for what was
//! handed over before. New lists count in one phase; a move flips it and waits for
//! the other one, while the member goes on with other buckets. As in
//! [`crate::flow`]: per processor, exact, no shared line while nobody waits.
//!
//! Counting: IRQL <= DISPATCH_LEVEL. Flipping and waiting: PASSIVE_LEVEL, one mover at
//! a time.

use super::bond::{NOBODY, Slot};
use crate::flow::{self, Drain, Waiters};
use crate::gate::bit;
use crate::path::Path;
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use ndis::Result;
use ndis::cpu::PerCpu;
use ndis::lock::SpinLock;
use ndis::memory::{Pool, PoolBox};
use ndis::nbl::BindingHandle;
use ndis::sys::VOID;

/// Whatever stops sends on a member.
const STOPS_SENDS: u32 = bit::LOWER_NO_SENDS | bit::LOWER_LOW_POWER | bit::RESETTING_SENDS;

/// Whatever stops its receives.
const STOPS_RECEIVES: u32 = bit::LOWER_NO_RECEIVES | bit::RESETTING_RECEIVES;

/// What was handed to a member in one phase.
struct Phase {
    slots: PerCpu<flow::Slot>,
    drain: SpinLock<Drain>,
}

impl Phase {
    fn try_new(pool: Pool) -> Result<Self> {
        Ok(Self {
            slots: PerCpu::try_with(pool, flow::Slot::default)?,
            drain: SpinLock::new(Drain::new()),
        })
    }

    /// Counts in or out. True: it is empty, and somebody waits for that.
    fn change(&self, processor: usize, delta: i64) -> bool {
        if self.slots.at(processor).change(delta) {
            false
        } else {
            self.drain.lock().apply(delta).lower
        }
    }

    fn outstanding(&self) -> i64 {
        self.drain.lock().outstanding(self.slots.iter())
    }
}

/// A number on cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicI64);

/// What the data path keeps about a binding.
pub struct Member {
    slot: AtomicU8,
    /// The way down, with the gate of the binding.
    pub(super) path: Path,
    /// The binding; null before it is settled.
    owner: AtomicPtr<VOID>,
    phases: [Phase; 2],
    /// The phase that counts what is handed over now.
    turn: AtomicUsize,
    /// Bytes that it has, where flowlets ask for that.
    load: PoolBox<Line>,
}

impl Member {
    /// In no team.
    pub(super) fn try_new(pool: Pool) -> Result<Self> {
        Ok(Self {
            slot: AtomicU8::new(NOBODY),
            path: Path::try_new(pool)?,
            owner: AtomicPtr::new(core::ptr::null_mut()),
            phases: [Phase::try_new(pool)?, Phase::try_new(pool)?],
            turn: AtomicUsize::new(0),
            load: PoolBox::try_new(pool, Line::default())?,
        })
    }

    /// Says where the member is and whose it is.
    ///
    /// # Safety
    /// Before it is in a route; the owner lives as long as the member.
    pub(super) unsafe fn settle(&self, slot: Slot, binding: BindingHandle, owner: *const VOID) {
        self.slot.store(slot, Ordering::Relaxed);
        self.path.set_binding(binding);
        self.owner.store(owner.cast_mut(), Ordering::Release);
    }

    /// Its place in the team; [`NOBODY`] before it has one.
    pub fn slot(&self) -> Slot {
        self.slot.load(Ordering::Relaxed)
    }

    /// Whoever settled it.
    pub(super) fn owner(&self) -> *const VOID {
        self.owner.load(Ordering::Acquire)
    }

    /// Whether sends pass its gate.
    pub(super) fn sends(&self) -> bool {
        self.path.gate.word() & STOPS_SENDS == 0
    }

    /// Whether receives pass its gate.
    pub(super) fn receives(&self) -> bool {
        self.path.gate.word() & STOPS_RECEIVES == 0
    }

    /// The phase that counts what is handed over now. A reader that asked keeps to
    /// the answer until it leaves.
    pub(super) fn turn(&self) -> usize {
        self.turn.load(Ordering::Acquire) & 1
    }

    /// Counts lists in a phase, in or out. True: it is empty, and the mover waits for
    /// that.
    pub(super) fn change(&self, phase: usize, processor: usize, delta: i64) -> bool {
        self.phase(phase).change(processor, delta)
    }

    fn phase(&self, number: usize) -> &Phase {
        let [even, odd] = &self.phases;
        if number & 1 == 0 { even } else { odd }
    }

    /// Lets what comes count elsewhere than what is out: returns the phase of what is
    /// out, which is empty only when [`Member::is_done`] says so. The caller waits for
    /// the readers before it looks.
    pub(super) fn flip(&self) -> usize {
        let now = self.turn();
        let other = self.phase(1 - now);
        other.drain.lock().resume(other.slots.iter());
        if other.outstanding() == 0 {
            self.turn.store(1 - now, Ordering::Release);
        }
        // Else an earlier move gave up on lists that are still out: what is out
        // cannot be told from what comes, and this move may give up too.
        now
    }

    /// Starts to wait for a phase that [`Member::flip`] named; every reader has left
    /// since then. Whoever empties it is told by [`Member::change`].
    pub(super) fn watch(&self, phase: usize) {
        let phase = self.phase(phase);
        let _told = phase.drain.lock().wait(Waiters::LOWER, phase.slots.iter());
    }

    /// Whether nothing is out of a phase.
    pub(super) fn is_done(&self, phase: usize) -> bool {
        self.phase(phase).outstanding() == 0
    }

    /// Lists that were handed to it and are not completed, copies left out.
    pub(super) fn holds(&self) -> u64 {
        let out = self.phases.iter().map(Phase::outstanding);
        out.fold(0, i64::saturating_add).max(0) as u64
    }

    /// Bytes that it has.
    pub(super) fn load(&self) -> u64 {
        self.load.0.load(Ordering::Relaxed).max(0) as u64
    }

    /// Adds bytes to what it has, or takes them off.
    pub(super) fn add_load(&self, bytes: i64) {
        self.load.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

//! A path between a virtual miniport and an adapter: all that the data path
//! touches, and nothing else.
//!
//! The handles are written before the gate opens and cleared after everything
//! is drained. Drop reasons are off the fast path and shared.

use crate::flow::{Drain, Slot, Waiters};
use crate::gate::Gate;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use im_control::DropReason;
use ndis::Result;
use ndis::cpu::PerCpu;
use ndis::lock::SpinLock;
use ndis::memory::Pool;
use ndis::nbl::{BindingHandle, Chain, FromAbove, FromBelow, MiniportHandle};
use ndis::sys::VOID;

/// See the module's description.
pub struct Path {
    pub gate: Gate,
    pub flow: PerCpu<Slot>,
    miniport: AtomicPtr<VOID>,
    binding: AtomicPtr<VOID>,
    /// Sends held over a reset below, counted as outstanding (RST-2).
    pub held_sends: SpinLock<Chain<FromAbove>>,
    /// Receives held over a reset below, counted as outstanding (RST-2).
    pub held_receives: SpinLock<Chain<FromBelow>>,
    drain: SpinLock<Drain>,
    drops: [AtomicU64; DropReason::COUNT],
}

impl Path {
    /// A closed path. Takes all the memory that it ever needs (MPS-2).
    pub fn try_new(pool: Pool) -> Result<Self> {
        Ok(Self {
            gate: Gate::new(),
            flow: PerCpu::try_with(pool, Slot::default)?,
            miniport: AtomicPtr::new(core::ptr::null_mut()),
            binding: AtomicPtr::new(core::ptr::null_mut()),
            held_sends: SpinLock::new(Chain::empty()),
            held_receives: SpinLock::new(Chain::empty()),
            drain: SpinLock::new(Drain::new()),
            drops: [const { AtomicU64::new(0) }; DropReason::COUNT],
        })
    }

    /// The virtual miniport's handle.
    pub fn miniport(&self) -> MiniportHandle {
        MiniportHandle(self.miniport.load(Ordering::Acquire))
    }

    /// Sets or clears the virtual miniport's handle.
    pub fn set_miniport(&self, handle: MiniportHandle) {
        self.miniport.store(handle.0, Ordering::Release);
    }

    /// The binding's handle.
    pub fn binding(&self) -> BindingHandle {
        BindingHandle(self.binding.load(Ordering::Acquire))
    }

    /// Sets the binding's handle.
    pub fn set_binding(&self, handle: BindingHandle) {
        self.binding.store(handle.0, Ordering::Release);
    }

    /// Counts lists that were not forwarded.
    pub fn dropped(&self, reason: DropReason, lists: u32) {
        if let Some(counter) = self.drops.get(reason.code() as usize) {
            counter.fetch_add(u64::from(lists), Ordering::Relaxed);
        }
    }

    /// How many lists were dropped for a reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops
            .get(reason.code() as usize)
            .map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Counts in or out on this processor. Whoever is to be told that the path
    /// is empty is returned; if that is nobody, the path may be gone already.
    pub fn change(&self, delta: i64) -> Waiters {
        self.change_on(self.flow.here(), delta)
    }

    /// As [`Path::change`], on the slot that a call entered.
    pub fn change_on(&self, slot: &Slot, delta: i64) -> Waiters {
        if slot.change(delta) {
            Waiters::NONE
        } else {
            self.drain.lock().apply(delta)
        }
    }

    /// Starts to wait until nothing is outstanding. Whoever need not wait is
    /// returned.
    pub fn wait(&self, who: Waiters) -> Waiters {
        self.drain.lock().wait(who, self.flow.iter())
    }

    /// Counts by processor again, before the gate opens.
    pub fn resume(&self) {
        self.drain.lock().resume(self.flow.iter());
    }

    /// Calls and lists outstanding, for showing.
    pub fn outstanding(&self) -> u64 {
        self.drain.lock().outstanding(self.flow.iter()).max(0) as u64
    }
}

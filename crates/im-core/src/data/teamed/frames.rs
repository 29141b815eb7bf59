//! Frames of the team's own: LACPDUs, markers, probes, notices. And where copies of
//! lists come from.
//!
//! The lists are made with the team's miniport and used again and again; one that is
//! below counts on the member's path, so that a pause waits for it (PBS-2).
//! IRQL <= DISPATCH_LEVEL.

use super::bond::{Bond, Slot};
use super::crew::Crew;
use super::route::Route;
use crate::edges::Upper;
use crate::team::Team;
use im_control::DropReason;
use ndis::Result;
use ndis::cpu;
use ndis::lock::SpinLock;
use ndis::memory::Tag;
use ndis::nbl::{FromAbove, ListPool, Load, Own, Queue, Single};
use ndis::sys::{NDIS_HANDLE, NDIS_STATUS_SUCCESS};

/// Frames that can be below at once.
const FRAMES: u32 = 64;

/// Bytes of the longest.
const FRAME_BYTES: u32 = super::control::FRAME_BYTES as u32;

/// Sends a frame of the brain's on a member. IRQL <= DISPATCH_LEVEL.
pub(super) fn send<T: Bond>(team: &Team<T>, slot: Slot, frame: &[u8]) {
    // What is dropped was counted; the machines send again. A member that takes no
    // frame takes no marker: nobody waits for one.
    if !team.data.route.send_frame::<Upper<T>>(slot, frame) {
        team.data.route.marker_back(slot);
    }
}

/// See the module's description.
pub(super) struct Stock {
    free: SpinLock<Queue<Own>>,
    frames: ListPool,
    pub(super) copies: ListPool,
}

impl Stock {
    /// All that it ever needs. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Safety
    /// The protocol driver's handle, registered as long as the stock lives (NBL-3).
    pub(super) unsafe fn try_new(protocol: NDIS_HANDLE, tag: Tag) -> Result<Self> {
        // SAFETY: (NBL-3) the caller's promise.
        let (frames, copies) = unsafe {
            (
                ListPool::for_sends(protocol, tag, FRAME_BYTES)?,
                ListPool::for_sends(protocol, tag, 0)?,
            )
        };
        let stock = Self {
            free: SpinLock::new(Queue::new()),
            frames,
            copies,
        };
        for _ in 0..FRAMES {
            let one = stock.frames.make()?; // the drop frees those before
            stock.free.lock().push(one);
        }
        Ok(stock)
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        let mut free = self.free.get_mut().take();
        while let Some(one) = free.pop() {
            one.free(); // NBL-4: before their pool
        }
        core::mem::forget(free); // empty
    }
}

impl Route {
    /// Takes a frame of the team's own back from a member; anybody else's list is
    /// returned. A member that fails them is gone, or as good as that: no marker will
    /// come back from it, and nobody waits for one.
    pub(super) fn take_back(
        &self,
        list: Single<FromAbove>,
        slot: Slot,
    ) -> Option<Single<FromAbove>> {
        let Some(stock) = self.stock() else {
            return Some(list);
        };
        let failed = list.status() != NDIS_STATUS_SUCCESS;
        match list.into_own(&stock.frames) {
            Ok(own) => {
                stock.free.lock().push(own);
                if failed {
                    self.marker_back(slot);
                }
                None
            }
            Err(other) => Some(other),
        }
    }

    /// Sends a frame on a member. What cannot go is counted there as dropped.
    pub(super) fn send_frame<C: Crew>(&self, slot: Slot, frame: &[u8]) -> bool {
        let processor = cpu::current_index();
        let inside = self.readers.enter(processor);
        let (Some(stock), Some(member)) = (self.stock(), self.member(slot, &inside)) else {
            return false;
        };
        let path = &member.path;
        let mut free = stock.free.lock();
        let mut all = free.take();
        let one = all.pop();
        free.append(all);
        drop(free);
        let Some(mut own) = one else {
            path.dropped(DropReason::SendNoFrame, 1);
            return false;
        };
        let here = path.flow.at(processor);
        let reason = if !own.fill(&stock.frames, frame) {
            Some(DropReason::SendNoFrame)
        } else if !here.change(1) {
            Some(DropReason::SendBindingPaused) // it is being drained: not counted
        } else if !member.sends() {
            C::tell_member(member, path.change_on(here, -1));
            Some(DropReason::SendBindingPaused)
        } else {
            None
        };
        if let Some(reason) = reason {
            path.dropped(reason, 1);
            stock.free.lock().push(own);
            return false;
        }
        here.sent.add(Load {
            lists: 1,
            buffers: 1,
            bytes: frame.len() as u64,
        });
        own.set_source(path.binding().0); // SND-6
        let mut down = Queue::new();
        down.push(own.outgoing());
        down.take().send_down(path.binding(), 0, 0);
        true
    }
}

//! Work items: something that has to happen at PASSIVE_LEVEL.
//!
//! Owned by a virtual miniport or a driver handle, never by a binding (MEM-6).
//! Queueing: any thread, IRQL <= DISPATCH_LEVEL, coalesced while queued. The
//! routine runs at PASSIVE_LEVEL; queued again while it runs, it may run a second
//! time beside itself. Dropping waits for it.

use crate::memory::{Pool, PoolBox};
use crate::rundown::Rundown;
use crate::{Error, Result};
use core::sync::atomic::{AtomicBool, Ordering};
use ndis_sys::{
    NDIS_HANDLE, NdisAllocateIoWorkItem, NdisFreeIoWorkItem, NdisQueueIoWorkItem, PVOID,
};

struct Shared<C> {
    context: C,
    routine: fn(&C),
    queued: AtomicBool,
    users: Rundown,
}

/// A work item with its context.
pub struct WorkItem<C: Sync> {
    handle: NDIS_HANDLE,
    shared: PoolBox<Shared<C>>,
}

impl<C: Sync> WorkItem<C> {
    /// Makes a work item (MEM-5). IRQL <= DISPATCH_LEVEL.
    pub fn try_new(pool: Pool, context: C, routine: fn(&C)) -> Result<Self> {
        let shared = PoolBox::try_new(
            pool,
            Shared {
                context,
                routine,
                queued: AtomicBool::new(false),
                users: Rundown::new(true),
            },
        )?;
        // SAFETY: (MEM-6) the box does not move its content.
        unsafe { shared.users.init() };
        // SAFETY: (MEM-6) a miniport or driver handle by the caller's choice.
        let handle = unsafe { NdisAllocateIoWorkItem(pool.handle) };
        if handle.is_null() {
            return Err(Error::NoResources);
        }
        Ok(Self { handle, shared })
    }

    /// Queues the item unless it is queued already. False after closing.
    pub fn queue(&self) -> bool {
        if self.shared.queued.swap(true, Ordering::AcqRel) {
            return true;
        }
        if !self.shared.users.enter_detached() {
            self.shared.queued.store(false, Ordering::Release);
            return false;
        }
        // SAFETY: (MEM-6) a live item that is not queued; the context stays
        // because the run-down waits for the routine.
        unsafe { NdisQueueIoWorkItem(self.handle, Some(run::<C>), self.shared.as_ptr().cast()) };
        true
    }

    /// Lets nobody queue it any more and waits until the routine has returned.
    /// IRQL = PASSIVE_LEVEL, not from the routine itself.
    pub fn close(&self) {
        self.shared.users.close_and_wait();
    }
}

impl<C: Sync> Drop for WorkItem<C> {
    fn drop(&mut self) {
        self.shared.users.close_and_wait();
        // SAFETY: (MEM-5, MEM-6) not queued any more.
        unsafe { NdisFreeIoWorkItem(self.handle) };
    }
}

/// NDIS_IO_WORKITEM. IRQL = PASSIVE_LEVEL.
unsafe extern "efiapi" fn run<C: Sync>(context: PVOID, _item: NDIS_HANDLE) {
    // SAFETY: (MEM-6) the run-down keeps the context until `leave`.
    let shared = unsafe { &*context.cast::<Shared<C>>() };
    // Cleared first: work that arrives from here on queues the item again.
    shared.queued.store(false, Ordering::Release);
    (shared.routine)(&shared.context);
    shared.users.leave();
}

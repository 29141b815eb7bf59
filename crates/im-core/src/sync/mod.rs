//! What the miniports of a binding want of the adapter together, and the worker
//! that asks for it (OID-25).
//!
//! A request that changes what a miniport wants ends its handler with PENDING
//! and waits for the binding's worker: one work item at PASSIVE_LEVEL. The worker
//! takes the waiting requests in their order. For each it notes the wish,
//! publishes it to the data path before the adapter is asked, so that nothing is
//! lost that is wanted from now on (RCV-14), asks the adapter if all wishes
//! together have changed, and completes the request with what the adapter said;
//! where it refused, the old wish is in force again.
//!
//! `Desk::sync` is held by whoever changes wishes, keys or the published table:
//! the worker, a MiniportInitializeEx, a MiniportHaltEx. It may be held while the
//! adapter is asked, so only PASSIVE_LEVEL code that may wait takes it, and
//! nobody takes it while he holds a spin lock; `Lower::setup` comes before it.
//!
//! The queue of waiting miniports is a leaf spin lock. A miniport on the queue
//! is held there ([`Upper::users`]).
//!
//! | Concern | File |
//! |---|---|
//! | what is kept, who waits, who is a member | here |
//! | what becomes of a waiting request | `worker` |
//! | what the adapter is asked for | `adjust` |
//! | another address of the adapter | `address` |

mod address;
mod adjust;
mod worker;

use crate::data::DataPath;
use crate::data::fanout::MAX_MULTICAST;
use crate::edges::{Lower, Upper};
use crate::gate::bit;
use crate::list::{List, copy_of};
use crate::merge::Merged;
use crate::oid_slot::SendStep;
use crate::settings::{Reason, Refused};
use crate::topology::Topology;
use arrayvec::ArrayVec;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use ethernet::Mac;
use ndis::Result;
use ndis::lock::SpinLock;
use ndis::mutex::Mutex;
use ndis::oid::Request;
use ndis::sys::{
    NDIS_OFFLOAD_ENCAPSULATION, NDIS_STATUS, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_REQUEST_ABORTED,
};
use ndis::work::WorkItem;
use worker::publish;

/// Longest multicast list that is set below.
const MAX_GROUPS: u32 = 4096;

/// A multicast list from above.
pub(crate) type Groups = ArrayVec<Mac, MAX_MULTICAST>;

/// What a miniport wants of the adapter.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Its own address.
    pub mac: Mac,
    /// Its packet filter.
    pub filter: u32,
    /// Its multicast list.
    pub groups: Groups,
}

impl Clone for Wanted {
    fn clone(&self) -> Self {
        Self {
            mac: self.mac,
            filter: self.filter,
            groups: copy_of(&self.groups),
        }
    }
}

/// What a waiting request asks for.
pub(crate) enum Change {
    /// Another packet filter.
    Filter(u32),
    /// Another multicast list.
    Groups(Groups),
    /// One address more.
    AddGroup(Mac),
    /// One address less.
    RemoveGroup(Mac),
    /// Nothing: the list is asked for.
    ListGroups,
    /// The encapsulation for task offload.
    Encapsulation(NDIS_OFFLOAD_ENCAPSULATION),
}

/// What is behind `Lower::sync`.
pub(crate) struct Sync<T: Topology> {
    /// What no two miniports may have in common, in order.
    keys: List<(u64, NonNull<Upper<T>>)>,
    /// What the adapter was asked for last; its groups are sorted.
    below: Merged,
    groups: List<Mac>,
    /// Room for the next question.
    next: List<Mac>,
    /// The encapsulation was set below.
    encapsulated: bool,
}

// SAFETY: (VMI-9) names of miniports, under the lock only.
unsafe impl<T: Topology> Send for Sync<T> {}

/// What a binding has for its worker.
pub(crate) struct Desk<T: Topology> {
    pub sync: Mutex<Sync<T>>,
    /// The initialised miniports; under `sync`.
    members: UnsafeCell<List<NonNull<Upper<T>>>>,
    queue: SpinLock<Queue<T>>,
    /// What the worker has to do beside the queue, [`duty`].
    duties: AtomicU32,
    worker: Option<WorkItem<Place<T>>>,
    /// Halts and initialises miniports anew; beside the worker, because a halt
    /// waits for requests that the worker completes.
    renewer: Option<WorkItem<Place<T>>>,
}

/// Duties of the worker.
mod duty {
    /// The wishes may not be what the adapter was asked for.
    pub const MERGE: u32 = 1 << 0;
    /// The adapter's address may have changed.
    pub const ADDRESS: u32 = 1 << 1;
}

/// Where a work item belongs.
struct Place<T: Topology>(NonNull<Lower<T>>);

// SAFETY: (MEM-6) the binding outlives its work items and is shared by design.
unsafe impl<T: Topology> core::marker::Sync for Place<T> {}

/// Miniports with a waiting request, in order.
struct Queue<T: Topology> {
    first: Option<NonNull<Upper<T>>>,
    last: Option<NonNull<Upper<T>>>,
}

// SAFETY: (VMI-9) held miniports, under the lock only.
unsafe impl<T: Topology> Send for Queue<T> {}

/// What a miniport has for the worker.
pub(crate) struct Seat<T: Topology> {
    /// Under `Desk::sync`.
    wanted: UnsafeCell<Wanted>,
    /// Under `Desk::queue`.
    queued: UnsafeCell<bool>,
    /// Under `Desk::queue`.
    next: UnsafeCell<Option<NonNull<Upper<T>>>>,
}

impl<T: Topology> Seat<T> {
    pub fn new() -> Self {
        Self {
            wanted: UnsafeCell::new(Wanted::default()),
            queued: UnsafeCell::new(false),
            next: UnsafeCell::new(None),
        }
    }
}

impl<T: Topology> Desk<T> {
    pub fn new() -> Self {
        Self {
            sync: Mutex::new(Sync {
                keys: List::new(),
                below: Merged::default(),
                groups: List::new(),
                next: List::new(),
                encapsulated: false,
            }),
            members: UnsafeCell::new(List::new()),
            queue: SpinLock::new(Queue {
                first: None,
                last: None,
            }),
            duties: AtomicU32::new(0),
            worker: None,
            renewer: None,
        }
    }

    /// Takes the memory that the worker needs, for an adapter with a multicast
    /// list of this length. IRQL = PASSIVE_LEVEL.
    ///
    /// # Safety
    /// The binding has its final address, is not shared yet, and closes the desk
    /// before it goes.
    pub unsafe fn open(&mut self, lower: NonNull<Lower<T>>, groups: u32) -> Result<()> {
        // SAFETY: (BND-14) the caller's promise.
        let pool = unsafe { lower.as_ref() }.driver.pool();
        let room = groups.min(MAX_GROUPS) as usize;
        let sync = self.sync.get_mut();
        sync.groups = List::with_room(room)?;
        sync.next = List::with_room(room)?;
        for _ in 0..room {
            let _room = sync.next.push(Mac::ZERO);
        }
        self.worker = Some(WorkItem::try_new(pool, Place(lower), worker::work)?);
        self.renewer = Some(WorkItem::try_new(pool, Place(lower), address::renew)?);
        Ok(())
    }

    /// Waits until no miniport is initialised anew any more, and none will be.
    /// IRQL = PASSIVE_LEVEL.
    pub fn stop_renewing(&self) {
        if let Some(renewer) = &self.renewer {
            renewer.close();
        }
    }

    /// Waits until the worker is done, for good. IRQL = PASSIVE_LEVEL; the
    /// miniports are halted, so that no request waits.
    pub fn close(&self) {
        self.stop_renewing();
        if let Some(worker) = &self.worker {
            worker.close();
        }
        while self.take().is_some() {} // cancelled ones that were left
    }

    /// Puts a miniport on the queue, held.
    fn put(&self, upper: &Upper<T>) {
        let mut queue = self.queue.lock();
        let seat = &upper.seat;
        // SAFETY: (LCK-1) the queue's lock is held.
        unsafe {
            if *seat.queued.get() || !upper.users.enter_detached() {
                return;
            }
            *seat.queued.get() = true;
            *seat.next.get() = None;
            match queue.last {
                Some(last) => *last.as_ref().seat.next.get() = Some(NonNull::from(upper)),
                None => queue.first = Some(NonNull::from(upper)),
            }
        }
        queue.last = Some(NonNull::from(upper));
    }

    /// Takes the first miniport off the queue.
    fn take(&self) -> Option<Taken<'_, T>> {
        let mut queue = self.queue.lock();
        let first = queue.first?;
        // SAFETY: (LCK-1) the queue's lock is held; (VMI-4) who is on the queue
        // is held.
        let upper = unsafe { first.as_ref() };
        // SAFETY: (LCK-1) as above.
        unsafe {
            *upper.seat.queued.get() = false;
            queue.first = (*upper.seat.next.get()).take();
        }
        if queue.first.is_none() {
            queue.last = None;
        }
        Some(Taken(upper))
    }

    /// Wakes the worker. False: it is closed.
    fn wake(&self) -> bool {
        self.worker.as_ref().is_some_and(WorkItem::queue)
    }
}

/// A miniport from the queue, held until this goes.
struct Taken<'a, T: Topology>(&'a Upper<T>);

impl<T: Topology> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.0.users.leave();
    }
}

impl<T: Topology> Upper<T> {
    /// What the miniport wants.
    ///
    /// # Safety
    /// `Desk::sync` is held: inside [`DataPath::publish`] or
    /// [`DataPath::withdraw`], and not kept beyond.
    pub(crate) unsafe fn wanted(&self) -> &Wanted {
        // SAFETY: (VMI-9) the caller's promise.
        unsafe { &*self.seat.wanted.get() }
    }
}

impl<T: Topology> Lower<T> {
    /// The initialised miniports, in no order; one that goes is not among them
    /// any more, one that comes is.
    ///
    /// # Safety
    /// As [`Upper::wanted`].
    pub(crate) unsafe fn members(&self) -> &[NonNull<Upper<T>>] {
        // SAFETY: (VMI-9) the caller's promise.
        unsafe { &*self.desk.members.get() }
    }
}

/// Hands a request to the worker, which completes it. Else its final status.
pub(crate) fn submit<T: Topology>(
    upper: &Upper<T>,
    request: Request,
    number: u64,
    change: Change,
) -> core::result::Result<(), NDIS_STATUS> {
    if upper.oid.lock().hold(request, change) == SendStep::Abort {
        return Err(NDIS_STATUS_REQUEST_ABORTED); // OID-18
    }
    let desk = &upper.lower().desk;
    desk.put(upper);
    if desk.wake() {
        return Ok(());
    }
    // The binding is on its way out. If nobody is there to complete, its cancel
    // did.
    let back = upper.oid.lock().take_back(number);
    if back {
        Err(NDIS_STATUS_NOT_ACCEPTED)
    } else {
        Ok(())
    }
}

/// The adapter may have what was asked of it no more, or may take it again:
/// awake, restarted, without the miniport that wanted it.
/// IRQL <= DISPATCH_LEVEL.
pub(crate) fn merge_again<T: Topology>(lower: &Lower<T>) {
    lower.desk.duties.fetch_or(duty::MERGE, Ordering::AcqRel);
    lower.desk.wake();
}

/// The binding was restarted: the adapter may have been initialised anew, with
/// another address. IRQL <= DISPATCH_LEVEL.
pub(crate) fn restarted<T: Topology>(lower: &Lower<T>) {
    if T::UPPERS_PER_LOWER != 1 {
        address_changed(lower);
        merge_again(lower);
    }
}

/// The adapter's address may be another one. IRQL <= DISPATCH_LEVEL.
pub(crate) fn address_changed<T: Topology>(lower: &Lower<T>) {
    lower.desk.duties.fetch_or(duty::ADDRESS, Ordering::AcqRel);
    lower.desk.wake();
}

/// Claims what no other miniport of the binding may have. Inside
/// MiniportInitializeEx, IRQL = PASSIVE_LEVEL; [`leave`] undoes it.
pub(crate) fn claim<T: Topology>(
    upper: &Upper<T>,
    port: &T::Port,
) -> core::result::Result<(), Claim> {
    let Some(key) = T::key(port) else {
        return Ok(());
    };
    let mut sync = upper.lower().desk.sync.lock();
    let Err(place) = sync.keys.binary_search_by_key(&key, |(key, _)| *key) else {
        return Err(Claim::Taken(Refused {
            setting: T::KEY_SETTING,
            reason: Reason::Duplicate,
        }));
    };
    sync.keys.make_room(1).map_err(|_| Claim::NoMemory)?;
    let _room = sync.keys.insert(place, (key, NonNull::from(upper)));
    Ok(())
}

/// Why a key could not be claimed.
pub(crate) enum Claim {
    /// Another miniport has it.
    Taken(Refused),
    /// No memory to note it in.
    NoMemory,
}

/// Makes an initialised miniport a member: it wants nothing yet (RCV-14), and is
/// published. Inside MiniportInitializeEx, IRQL = PASSIVE_LEVEL; [`leave`] undoes
/// it, also if it fails.
pub(crate) fn join<T: Topology>(upper: &Upper<T>, mac: Mac) -> Result<()> {
    let lower = upper.lower();
    let _sync = lower.desk.sync.lock();
    // SAFETY: (VMI-9) `sync` is held, and no other reference lives.
    let members = unsafe { &mut *lower.desk.members.get() };
    members.make_room(1)?;
    let _room = members.push(NonNull::from(upper));
    publish(
        upper,
        Wanted {
            mac,
            ..Wanted::default()
        },
    )
}

/// Undoes [`join`] and [`claim`]: when this returns, the data path knows nothing
/// of the miniport any more. Inside MiniportHaltEx, or where its initialisation
/// fails. IRQL = PASSIVE_LEVEL.
pub(crate) fn leave<T: Topology>(upper: &Upper<T>) {
    let lower = upper.lower();
    let me = NonNull::from(upper);
    let mut wanted_anything = false;
    {
        let mut sync = lower.desk.sync.lock();
        // SAFETY: (VMI-9) `sync` is held, and no other reference lives.
        let members = unsafe { &mut *lower.desk.members.get() };
        let place = members.iter().position(|member| *member == me);
        if place.and_then(|place| members.swap_remove(place)).is_some() {
            T::Data::withdraw(upper);
            // SAFETY: (VMI-9) as above.
            let wanted = core::mem::take(unsafe { &mut *upper.seat.wanted.get() });
            wanted_anything = wanted.filter != 0 || !wanted.groups.is_empty();
        }
        sync.keys.retain(|(_, owner)| *owner != me);
    }
    upper.path.gate.set(bit::NO_FILTER);
    upper.filter.store(0, Ordering::Relaxed);
    if wanted_anything {
        merge_again(lower);
    }
}

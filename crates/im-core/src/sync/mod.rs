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
use crate::team::{Team, is_shared};
use crate::topology::Topology;
use crate::{instance, offload};
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
    /// The bindings that may be asked.
    lowers: List<NonNull<Lower<T>>>,
    /// Room for the next question.
    next: List<Mac>,
}

/// What one adapter was asked for last. Under `Desk::sync`.
pub(crate) struct Asked(UnsafeCell<Answers>);

/// See [`Asked`].
struct Answers {
    /// The merged wishes.
    below: Merged,
    /// The multicast list, sorted.
    groups: List<Mac>,
    /// The encapsulation for task offload.
    encapsulation: Option<NDIS_OFFLOAD_ENCAPSULATION>,
}

// SAFETY: (VMI-9) reached under `Desk::sync` only.
unsafe impl core::marker::Sync for Asked {}
// SAFETY: (VMI-9) as above; plain data.
unsafe impl Send for Asked {}

impl Asked {
    /// Nothing was asked of an adapter with a multicast list of this length.
    pub fn with_room(groups: u32) -> Result<Self> {
        Ok(Self(UnsafeCell::new(Answers {
            below: Merged::default(),
            groups: List::with_room(groups.min(MAX_GROUPS) as usize)?,
            encapsulation: None,
        })))
    }
}

// SAFETY: (VMI-9) names of miniports, under the lock only.
unsafe impl<T: Topology> Send for Sync<T> {}

/// What a binding has for its worker.
pub(crate) struct Desk<T: Topology> {
    pub sync: Mutex<Sync<T>>,
    /// The initialised miniports; under `sync`.
    initialised: UnsafeCell<List<NonNull<Upper<T>>>>,
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
struct Place<T: Topology>(NonNull<Team<T>>);

// SAFETY: (MEM-6) the team outlives its work items and is shared by design.
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
                lowers: List::new(),
                next: List::new(),
            }),
            initialised: UnsafeCell::new(List::new()),
            queue: SpinLock::new(Queue {
                first: None,
                last: None,
            }),
            duties: AtomicU32::new(0),
            worker: None,
            renewer: None,
        }
    }

    /// Takes the memory that the worker needs, for adapters with multicast lists of
    /// this length. IRQL = PASSIVE_LEVEL.
    ///
    /// # Safety
    /// The team has its final address, is not shared yet, and closes the desk
    /// before it goes.
    pub unsafe fn open(&mut self, team: NonNull<Team<T>>, groups: u32) -> Result<()> {
        // SAFETY: (BND-14) the caller's promise.
        let pool = unsafe { team.as_ref() }.driver.pool();
        let room = groups.min(MAX_GROUPS) as usize;
        let sync = self.sync.get_mut();
        sync.lowers = List::with_room(T::LOWERS_PER_UPPER)?;
        sync.next = List::with_room(room)?;
        for _ in 0..room {
            let _room = sync.next.push(Mac::ZERO);
        }
        self.worker = Some(WorkItem::try_new(pool, Place(team), worker::work)?);
        self.renewer = Some(WorkItem::try_new(pool, Place(team), address::renew)?);
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

impl<T: Topology> Team<T> {
    /// The initialised miniports, in no order; one that goes is not among them
    /// any more, one that comes is.
    ///
    /// # Safety
    /// As [`Upper::wanted`].
    pub(crate) unsafe fn initialised(&self) -> &[NonNull<Upper<T>>] {
        // SAFETY: (VMI-9) the caller's promise.
        unsafe { &*self.desk.initialised.get() }
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
    let desk = &upper.team().desk;
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
pub(crate) fn merge_again<T: Topology>(team: &Team<T>) {
    team.desk.duties.fetch_or(duty::MERGE, Ordering::AcqRel);
    team.desk.wake();
}

/// The binding was restarted: the adapter may have been initialised anew, with
/// another address. IRQL <= DISPATCH_LEVEL.
pub(crate) fn restarted<T: Topology>(lower: &Lower<T>) {
    if T::UPPERS_PER_LOWER != 1 || is_shared::<T>() {
        address_changed(lower);
        merge_again(lower.team());
    }
}

/// The adapter's address may be another one. IRQL <= DISPATCH_LEVEL.
pub(crate) fn address_changed<T: Topology>(lower: &Lower<T>) {
    let desk = &lower.team().desk;
    desk.duties.fetch_or(duty::ADDRESS, Ordering::AcqRel);
    desk.wake();
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
    let mut sync = upper.team().desk.sync.lock();
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

/// Makes a binding one that may be asked: it is asked for what the miniports want,
/// and the data path may use it. Inside the bind, IRQL = PASSIVE_LEVEL;
/// [`member_leaves`] undoes it, also if it fails.
pub(crate) fn member_joined<T: Topology>(lower: &Lower<T>) -> Result<()> {
    let team = lower.team();
    {
        let mut sync = team.desk.sync.lock();
        sync.lowers.make_room(1)?;
        let _room = sync.lowers.push(NonNull::from(lower));
        if !is_shared::<T>() {
            return Ok(());
        }
        team.fold();
        // SAFETY: (VMI-9) `sync` is held.
        for upper in unsafe { team.initialised() } {
            // SAFETY: (VMI-4) initialised until it left; `sync` is held.
            instance::stack_member(unsafe { upper.as_ref() }, lower);
        }
        // What fails now is tried again at the next occasion.
        let _asked = adjust::adjust(team, &mut sync, adjust::Must::Not);
        adjust::encapsulate_like(lower, &mut sync);
    }
    offload::offer_again(team);
    T::Data::joined(lower)
}

/// A member's interface may have become another one (IFS-5).
/// IRQL = PASSIVE_LEVEL.
pub(crate) fn restack_member<T: Topology>(lower: &Lower<T>) {
    let team = lower.team();
    let sync = team.desk.sync.lock();
    if sync.lowers.contains(&NonNull::from(lower)) {
        // SAFETY: (VMI-9) `sync` is held.
        for upper in unsafe { team.initialised() } {
            // SAFETY: (VMI-4) initialised until it left; `sync` is held.
            instance::stack_member(unsafe { upper.as_ref() }, lower);
        }
    }
}

/// Undoes [`member_joined`]: when this returns, the data path does not use the
/// binding any more, and nobody asks it anything on the miniports' behalf. Inside
/// the unbind, or where the bind fails. IRQL = PASSIVE_LEVEL.
pub(crate) fn member_leaves<T: Topology>(lower: &Lower<T>) {
    let team = lower.team();
    let me = NonNull::from(lower);
    T::Data::left(lower);
    {
        let mut sync = team.desk.sync.lock();
        sync.lowers.retain(|member| *member != me);
        instance::unstack_member(lower);
    }
    if is_shared::<T>() {
        team.unseat(lower);
        team.fold();
        offload::offer_again(team);
    }
}

/// Makes an initialised miniport a member: it wants nothing yet (RCV-14), and is
/// published. Inside MiniportInitializeEx, IRQL = PASSIVE_LEVEL; [`leave`] undoes
/// it, also if it fails.
pub(crate) fn join<T: Topology>(upper: &Upper<T>, mac: Mac) -> Result<()> {
    let team = upper.team();
    let sync = team.desk.sync.lock();
    {
        // SAFETY: (VMI-9) `sync` is held, and no other reference lives.
        let initialised = unsafe { &mut *team.desk.initialised.get() };
        initialised.make_room(1)?;
        let _room = initialised.push(NonNull::from(upper));
    }
    if is_shared::<T>() {
        for lower in &*sync.lowers {
            // SAFETY: (BND-14) a member leaves under `sync`.
            instance::stack_member(upper, unsafe { lower.as_ref() });
        }
    }
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
    let team = upper.team();
    let me = NonNull::from(upper);
    let mut wanted_anything = false;
    {
        let mut sync = team.desk.sync.lock();
        // SAFETY: (VMI-9) `sync` is held, and no other reference lives.
        let initialised = unsafe { &mut *team.desk.initialised.get() };
        let place = initialised.iter().position(|member| *member == me);
        let place = place.and_then(|place| initialised.swap_remove(place));
        if place.is_some() {
            if is_shared::<T>() {
                for lower in &*sync.lowers {
                    // SAFETY: (BND-14) a member leaves under `sync`.
                    instance::unstack_member(unsafe { lower.as_ref() });
                }
            }
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
        merge_again(team);
    }
}

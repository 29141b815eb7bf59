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
//! `Lower::sync` is held by whoever changes wishes, keys or the published table:
//! the worker, a MiniportInitializeEx, a MiniportHaltEx. It may be held while the
//! adapter is asked, so only PASSIVE_LEVEL code that may wait takes it, and
//! nobody takes it while he holds a spin lock; `Lower::setup` comes before it.
//! The queue of waiting miniports is a leaf spin lock. A miniport on the queue
//! is held there ([`Upper::users`]).

use crate::data::DataPath;
use crate::data::fanout::MAX_MULTICAST;
use crate::edges::{Lower, Upper};
use crate::gate::bit;
use crate::list::{List, sort_by};
use crate::merge::{Merged, Wish};
use crate::oid_slot::SendStep;
use crate::own_request::{Ask, ask, may_ask};
use crate::settings::{Reason, Refused};
use crate::topology::Topology;
use crate::{instance, log, offload};
use arrayvec::ArrayVec;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use ethernet::Mac;
use im_control::EventKind;
use ndis::lock::SpinLock;
use ndis::mutex::{Mutex, MutexGuard};
use ndis::oid::{Request, Route};
use ndis::sys::{
    NDIS_OFFLOAD_ENCAPSULATION, NDIS_PACKET_TYPE_PROMISCUOUS, NDIS_STATUS,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_MULTICAST_FULL, NDIS_STATUS_NOT_ACCEPTED,
    NDIS_STATUS_REQUEST_ABORTED, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
    OID_802_3_CURRENT_ADDRESS, OID_802_3_MULTICAST_LIST, OID_GEN_CURRENT_PACKET_FILTER,
    OID_OFFLOAD_ENCAPSULATION,
};
use ndis::work::WorkItem;
use ndis::{Error, Result};

/// Longest multicast list that is set below.
const MAX_GROUPS: u32 = 4096;

/// A multicast list from above.
pub(crate) type Groups = ArrayVec<Mac, MAX_MULTICAST>;

/// What a miniport wants of the adapter.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    /// Its own address.
    pub mac: Mac,
    /// Its packet filter.
    pub filter: u32,
    /// Its multicast list.
    pub groups: Groups,
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
        self.worker = Some(WorkItem::try_new(pool, Place(lower), work)?);
        self.renewer = Some(WorkItem::try_new(pool, Place(lower), renew)?);
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

/// The worker: NDIS_IO_WORKITEM. IRQL = PASSIVE_LEVEL.
fn work<T: Topology>(place: &Place<T>) {
    // SAFETY: (BND-14) unbind closes the desk before the binding goes.
    let lower = unsafe { place.0.as_ref() };
    while let Some(taken) = lower.desk.take() {
        serve(lower, taken.0);
    }
    let duties = lower.desk.duties.swap(0, Ordering::AcqRel);
    if duties & duty::ADDRESS != 0 {
        look_at_address(lower);
    }
    if duties & duty::MERGE != 0 {
        let mut sync = lower.desk.sync.lock();
        // What fails now is tried again at the next occasion.
        let _status = adjust(lower, &mut sync, Must::Not);
    }
}

/// The adapter may have what was asked of it no more, or may take it again:
/// awake, restarted, without the miniport that wanted it.
/// IRQL <= DISPATCH_LEVEL.
pub(crate) fn merge_again<T: Topology>(lower: &Lower<T>) {
    lower.desk.duties.fetch_or(duty::MERGE, Ordering::AcqRel);
    lower.desk.wake();
}

/// The adapter's address may be another one. IRQL <= DISPATCH_LEVEL.
pub(crate) fn address_changed<T: Topology>(lower: &Lower<T>) {
    lower.desk.duties.fetch_or(duty::ADDRESS, Ordering::AcqRel);
    lower.desk.wake();
}

/// Does what a miniport's waiting request asks for, and completes it.
fn serve<T: Topology>(lower: &Lower<T>, upper: &Upper<T>) {
    let mut sync = lower.desk.sync.lock();
    let Some((number, change)) = upper.oid.lock().take_work() else {
        return; // cancelled
    };
    // SAFETY: (VMI-9) `sync` is held, and no other reference lives.
    let old = unsafe { (*upper.seat.wanted.get()).clone() };
    let status = apply(lower, upper, &mut sync, &change);
    let request = upper.oid.lock().take_waiting(number);
    let Some(request) = request else {
        // Cancelled meanwhile: the request failed, the old wish is in force.
        if status == NDIS_STATUS_SUCCESS {
            restore(lower, upper, &mut sync, old);
        }
        return;
    };
    let status = match (status, &change) {
        (NDIS_STATUS_SUCCESS, Change::ListGroups) => {
            request.answer_with(old.groups.iter().map(|group| group.0.as_slice()))
        }
        (NDIS_STATUS_SUCCESS, _) => request.accept_set(request.facts().length),
        (status, _) => {
            request.refused();
            status
        }
    };
    drop(sync);
    if let (Change::Encapsulation(_), NDIS_STATUS_SUCCESS) = (&change, status) {
        offload::indicate(upper); // STS-6
    }
    upper.oid_idle.set();
    let status = crate::oid_table::legal_final(request.facts().oid, status);
    request.complete(upper.handle(), Route::Regular, status); // OID-2; last
}

/// Notes a change and does what it needs below.
fn apply<T: Topology>(
    lower: &Lower<T>,
    upper: &Upper<T>,
    sync: &mut MutexGuard<'_, Sync<T>>,
    change: &Change,
) -> NDIS_STATUS {
    // SAFETY: (VMI-9) `sync` is held; the copy is changed, then written back.
    let old = unsafe { upper.wanted() }.clone();
    let mut new = old.clone();
    match change {
        Change::ListGroups => return NDIS_STATUS_SUCCESS,
        Change::Encapsulation(wanted) => return encapsulate(lower, upper, sync, wanted),
        Change::Filter(filter) => new.filter = *filter,
        Change::Groups(groups) => new.groups = groups.clone(),
        Change::AddGroup(group) => {
            if !new.groups.contains(group) && new.groups.try_push(*group).is_err() {
                return NDIS_STATUS_MULTICAST_FULL;
            }
        }
        Change::RemoveGroup(group) => {
            let place = new.groups.iter().position(|known| known == group);
            if place.and_then(|place| new.groups.pop_at(place)).is_none() {
                return NDIS_STATUS_NOT_ACCEPTED; // OID-7
            }
        }
    }
    if new.filter == old.filter && new.groups == old.groups {
        return NDIS_STATUS_SUCCESS;
    }
    if publish(upper, new).is_err() {
        let _published = publish(upper, old); // the data path has kept the old one
        return NDIS_STATUS_RESOURCES;
    }
    match adjust(lower, sync, Must::Widen) {
        Ok(()) => NDIS_STATUS_SUCCESS,
        Err(status) => {
            restore(lower, upper, sync, old);
            status
        }
    }
}

/// Puts an old wish in force again.
fn restore<T: Topology>(
    lower: &Lower<T>,
    upper: &Upper<T>,
    sync: &mut MutexGuard<'_, Sync<T>>,
    old: Wanted,
) {
    // Without memory the data path keeps the new wish; the gate is right in any
    // case, and the next change publishes again.
    let _published = publish(upper, old);
    let _adjusted = adjust(lower, sync, Must::Not);
}

/// Makes a wish the miniport's, for the data path first (RCV-14).
fn publish<T: Topology>(upper: &Upper<T>, wanted: Wanted) -> Result<()> {
    let filter = wanted.filter;
    // SAFETY: (VMI-9) the callers hold `sync`, and no reference lives.
    unsafe { *upper.seat.wanted.get() = wanted };
    upper.filter.store(filter, Ordering::Relaxed);
    if filter == 0 {
        upper.path.gate.set(bit::NO_FILTER);
    } else {
        upper.path.gate.clear(bit::NO_FILTER);
    }
    // SAFETY: (VMI-9) as above; read only from here on.
    if !T::Data::set_multicast(upper, unsafe { &upper.wanted().groups }) {
        return Err(Error::NoResources);
    }
    T::Data::publish(upper)
}

/// Whether a question to the adapter has to succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    /// It is asked if it can be.
    Not,
    /// It has to deliver all that is wanted; more than that does no harm.
    Widen,
}

/// Asks the adapter for what all miniports want together, if that is not what
/// it was asked for last.
fn adjust<T: Topology>(
    lower: &Lower<T>,
    sync: &mut MutexGuard<'_, Sync<T>>,
    must: Must,
) -> core::result::Result<(), NDIS_STATUS> {
    let facts = lower.facts();
    let Sync {
        below,
        groups,
        next,
        ..
    } = &mut **sync;
    // SAFETY: (VMI-9) `sync` is held.
    let members = unsafe { lower.members() };
    let mut wishes = members.iter().filter_map(|upper| {
        // SAFETY: (VMI-4) a member is initialised until it left; `sync` is held.
        let (upper, wanted) = unsafe { (upper.as_ref(), upper.as_ref().wanted()) };
        Some(Wish {
            port: upper.port()?,
            mac: wanted.mac,
            filter: wanted.filter,
            groups: &wanted.groups,
        })
    });
    let mut merged = T::merge(lower.adapter(), &facts, &mut wishes, next);
    drop(wishes);
    merged.groups = merged.groups.min(next.len());
    if merged.overflow {
        merged.groups = 0;
    }
    let wanted = next.get_mut(..merged.groups).unwrap_or(&mut []);
    sort_by(wanted, Mac::cmp);
    let same_groups = merged.overflow || *wanted == **groups;
    if merged.filter == below.filter && same_groups {
        *below = merged;
        return Ok(());
    }
    // Less than before, or as much: nobody misses anything if it comes later.
    let narrower = merged.filter & !below.filter == 0
        && (same_groups
            || wanted
                .iter()
                .all(|group| groups.binary_search(group).is_ok()));
    let index = facts.if_index;
    if let Err(error) = may_ask(lower) {
        lower.desk.duties.fetch_or(duty::MERGE, Ordering::AcqRel);
        let free = must == Must::Not || narrower;
        return if free { Ok(()) } else { Err(error.status()) };
    }
    if merged.promiscuous && !below.promiscuous {
        lower.driver.event(EventKind::PromiscuousNeeded, index, 0);
    }
    if merged.overflow && !below.overflow {
        let longest = facts.multicast.into();
        lower
            .driver
            .event(EventKind::MulticastOverflow, index, longest);
        if let Some(first) = lower.upper_at(0) {
            let kind = EventKind::MulticastOverflow;
            log::write(first.handle(), kind, facts.multicast);
        }
    }
    let mut result = Ok(());
    // A list that overflows is left as it is: the filter asks for all of them.
    // Else the list comes first, so that the filter never lacks it.
    if !same_groups {
        result = set_groups(lower, wanted);
        if result.is_ok() {
            groups.clear();
            for group in &*wanted {
                let _room = groups.push(*group); // as long as `next`
            }
        }
    }
    if result.is_ok() && merged.filter != below.filter {
        result = set_filter(lower, merged.filter);
    }
    match result {
        Ok(()) => {
            *below = merged;
            Ok(())
        }
        Err(status) => {
            report(lower, index, merged.filter & !below.filter, status);
            lower.desk.duties.fetch_or(duty::MERGE, Ordering::AcqRel);
            if must == Must::Not || narrower {
                Ok(())
            } else {
                Err(status)
            }
        }
    }
}

/// Says that the adapter refused.
fn report<T: Topology>(lower: &Lower<T>, index: u32, more: u32, status: NDIS_STATUS) {
    let kind = if more & NDIS_PACKET_TYPE_PROMISCUOUS == 0 {
        EventKind::MergeRefused
    } else {
        EventKind::PromiscuousRefused
    };
    let value = status.0 as u32;
    lower.driver.event(kind, index, value.into());
    if let Some(first) = lower.upper_at(0) {
        log::write(first.handle(), kind, value);
    }
}

/// Sets the packet filter below.
fn set_filter<T: Topology>(lower: &Lower<T>, filter: u32) -> core::result::Result<(), NDIS_STATUS> {
    set(lower, OID_GEN_CURRENT_PACKET_FILTER, &filter.to_ne_bytes())
}

/// Sets the multicast list below (OID-25).
fn set_groups<T: Topology>(
    lower: &Lower<T>,
    groups: &[Mac],
) -> core::result::Result<(), NDIS_STATUS> {
    // SAFETY: (OID-25) an address is six bytes, whatever they are.
    let bytes =
        unsafe { core::slice::from_raw_parts(groups.as_ptr().cast::<u8>(), size_of_val(groups)) };
    set(lower, OID_802_3_MULTICAST_LIST, bytes)
}

/// Makes a set request of our own. The callers hold `sync`.
fn set<T: Topology>(
    lower: &Lower<T>,
    oid: ndis::sys::NDIS_OID,
    bytes: &[u8],
) -> core::result::Result<(), NDIS_STATUS> {
    let buffer = bytes.as_ptr().cast_mut();
    // SAFETY: (OID-17) on the stack or in nonpaged memory until this returns,
    // and only read; `sync` lets one thread at a time ask.
    let (status, _) = unsafe { ask(lower, Ask::Set, oid, buffer, bytes.len() as u32) };
    if status == NDIS_STATUS_SUCCESS {
        Ok(())
    } else {
        Err(status)
    }
}

/// Takes the encapsulation for a miniport: SUCCESS if anything that it offers
/// can do it. The adapter is asked once for all of them (OFF-5).
fn encapsulate<T: Topology>(
    lower: &Lower<T>,
    upper: &Upper<T>,
    sync: &mut MutexGuard<'_, Sync<T>>,
    wanted: &NDIS_OFFLOAD_ENCAPSULATION,
) -> NDIS_STATUS {
    let shown = upper.shown.lock().and_then(|shown| shown.offload);
    let Some(shown) = shown else {
        return NDIS_STATUS_INVALID_PARAMETER;
    };
    if !offload::wants_any(wanted) {
        return NDIS_STATUS_SUCCESS; // switched off: nothing is done unasked
    }
    if !offload::can_do(&shown, wanted) {
        return NDIS_STATUS_INVALID_PARAMETER;
    }
    if sync.encapsulated {
        return NDIS_STATUS_SUCCESS;
    }
    if let Err(error) = may_ask(lower) {
        return error.status();
    }
    // SAFETY: (VER-5) plain data, as long as the structure.
    let bytes = unsafe {
        core::slice::from_raw_parts(
            core::ptr::from_ref(wanted).cast::<u8>(),
            size_of::<NDIS_OFFLOAD_ENCAPSULATION>(),
        )
    };
    match set(lower, OID_OFFLOAD_ENCAPSULATION, bytes) {
        Ok(()) => {
            sync.encapsulated = true;
            NDIS_STATUS_SUCCESS
        }
        Err(status) => status,
    }
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
    let place = match sync.keys.binary_search_by_key(&key, |(key, _)| *key) {
        Ok(_) => {
            return Err(Claim::Taken(Refused {
                setting: T::KEY_SETTING,
                reason: Reason::Duplicate,
            }));
        }
        Err(place) => place,
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

/// Asks the adapter for its address; if it is another one, the miniports that
/// use it or derive theirs from it are initialised anew.
fn look_at_address<T: Topology>(lower: &Lower<T>) {
    let mut mac = [0_u8; 6];
    let status = {
        let _sync = lower.desk.sync.lock();
        if may_ask(lower).is_err() {
            lower.desk.duties.fetch_or(duty::ADDRESS, Ordering::AcqRel);
            return;
        }
        let oid = OID_802_3_CURRENT_ADDRESS;
        // SAFETY: (OID-17) on the stack, which waits; `sync` lets one thread at
        // a time ask.
        let (status, bytes) = unsafe { ask(lower, Ask::Query, oid, mac.as_mut_ptr(), 6) };
        if bytes == 6 {
            status
        } else {
            Error::BadLength.status()
        }
    };
    if status != NDIS_STATUS_SUCCESS || !Mac(mac).is_station() {
        return;
    }
    let index = {
        let mut facts = lower.facts.lock();
        let Some(current) = facts.mac.first_chunk_mut::<6>() else {
            return;
        };
        if *current == mac {
            return;
        }
        *current = mac;
        facts.mac_length = 6;
        facts.if_index
    };
    let value = Mac(mac).number();
    lower.driver.event(EventKind::AddressChanged, index, value);
    if let Some(renewer) = &lower.desk.renewer {
        renewer.queue();
    }
    merge_again(lower);
}

/// Halts the miniports whose address follows the adapter's, and asks for them
/// again: NDIS_IO_WORKITEM. IRQL = PASSIVE_LEVEL.
fn renew<T: Topology>(place: &Place<T>) {
    // SAFETY: (BND-14) unbind closes the desk before the binding goes.
    let lower = unsafe { place.0.as_ref() };
    let Some(_users) = lower.users.enter() else {
        return; // about to be unbound
    };
    let _setup = lower.setup.lock();
    for upper in lower.uppers() {
        // A port is read where it cannot be taken back meanwhile.
        let follows = upper.handlers.enter().is_some_and(|_inside| {
            let port = upper.port();
            port.is_some_and(|port| T::follows_mac(lower.adapter(), port))
        });
        if follows {
            instance::withdraw(&upper);
            let _requested = instance::request(&upper);
        }
    }
}

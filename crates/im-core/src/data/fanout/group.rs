//! Who is in which VLAN, and how a change is published.
//!
//! Each VLAN has a group of its own, so that a change of one miniport rebuilds
//! what its neighbours in the VLAN share and nothing else. The members of a VLAN
//! are chained through the miniports; the chains and what miniports want are
//! touched by [`publish`] and [`withdraw`] only, one call per binding at a time,
//! at PASSIVE_LEVEL.

use super::MAX_MULTICAST;
use super::count::Counts;
use super::decide::{PortRef, PortView, Switch};
use crate::edges::{Lower, Upper};
use crate::list::copy_of;
use crate::published::{Inside, Published, Readers};
use arrayvec::ArrayVec;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use ethernet::{HEADER_BYTES, Mac, Vlan};
use im_control::DropReason;
use ndis::cpu::PerCpu;
use ndis::event::Event;
use ndis::lock::SpinLock;
use ndis::memory::{Pool, PoolArray, PoolBox};
use ndis::{Error, Result};

/// How often memory is tried for when there must be some, and how long it is
/// waited in between.
const TRIES: u32 = 50;
const MILLISECONDS: u32 = 20;

/// What the data path keeps about a binding.
pub struct Binding<T: Switch> {
    pub(super) readers: Readers,
    groups: PoolArray<Published<T::Group>>,
    /// The first member of each VLAN.
    members: PoolArray<AtomicPtr<Upper<T>>>,
    /// Frames that no miniport got.
    pub(super) drops: [AtomicU64; DropReason::COUNT],
    /// The longest frame that the adapter is known to take.
    longest: AtomicU32,
    /// Never set: for waiting a while.
    never: Event,
}

impl<T: Switch> Binding<T> {
    /// No members. [`Binding::init`] follows.
    pub(super) fn try_new(pool: Pool) -> Result<Self> {
        Ok(Self {
            readers: Readers::try_new(pool)?,
            groups: PoolArray::try_with(pool, Vlan::COUNT, |_| Published::default())?,
            members: PoolArray::try_with(pool, Vlan::COUNT, |_| {
                AtomicPtr::new(core::ptr::null_mut())
            })?,
            drops: [const { AtomicU64::new(0) }; DropReason::COUNT],
            longest: AtomicU32::new(0),
            never: Event::new(),
        })
    }

    /// # Safety
    /// The binding has its final address and is not shared yet.
    pub(super) unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the caller's promise.
        unsafe {
            self.readers.init();
            self.never.init();
        }
    }

    /// The group of a VLAN, as long as the reader is inside.
    /// IRQL <= DISPATCH_LEVEL.
    pub(super) fn group<'i>(&self, vlan: Vlan, inside: &'i Inside<'_>) -> Option<&'i T::Group> {
        // SAFETY: (MEM-2) `replace` below waits for the readers of this binding,
        // and nobody enters those of another one with it.
        unsafe { self.groups.as_slice().get(vlan.index())?.get(inside) }
    }

    /// Counts frames that no miniport got.
    pub(super) fn dropped(&self, reason: DropReason, frames: u32) {
        if let Some(counter) = self.drops.get(reason.code() as usize) {
            counter.fetch_add(u64::from(frames), Ordering::Relaxed);
        }
    }
}

/// Whether the adapter takes a frame of so many bytes. Looks at what is known about
/// it only for a frame longer than all before. IRQL <= DISPATCH_LEVEL.
pub(super) fn carries<T: Switch>(lower: &Lower<T>, bytes: u32) -> bool {
    let longest = &lower.data.longest;
    if bytes <= longest.load(Ordering::Relaxed) {
        return true;
    }
    let mtu = lower.facts.lock().mtu;
    let now = mtu.saturating_add(HEADER_BYTES as u32);
    longest.store(now, Ordering::Relaxed);
    bytes <= now
}

/// What a miniport wants, as it was published last.
struct Wanted {
    filter: u32,
    multicast: ArrayVec<Mac, MAX_MULTICAST>,
}

/// What the data path keeps about a virtual miniport.
pub struct Miniport<T: Switch> {
    /// The next member of its VLAN, and of those that take untagged frames too.
    next: [AtomicPtr<Upper<T>>; 2],
    listed: AtomicBool,
    /// Its multicast list, for the next publication.
    pub(super) multicast: SpinLock<ArrayVec<Mac, MAX_MULTICAST>>,
    wanted: UnsafeCell<Wanted>,
    pub(super) counts: PerCpu<Counts>,
    /// The adapter's lists that the protocols above hold.
    pub(super) holds: AtomicU32,
    /// Sends that may go to other miniports.
    pub(super) local: SpinLock<super::local::Waiting>,
}

// SAFETY: (VMI-9) `wanted` is touched by one thread at a time, see the module's
// description; all else is synchronised by type.
unsafe impl<T: Switch> Send for Miniport<T> {}
// SAFETY: (VMI-9) as above.
unsafe impl<T: Switch> Sync for Miniport<T> {}

impl<T: Switch> Miniport<T> {
    /// In no VLAN.
    pub(super) fn try_new(pool: Pool) -> Result<Self> {
        Ok(Self {
            next: [const { AtomicPtr::new(core::ptr::null_mut()) }; 2],
            listed: AtomicBool::new(false),
            multicast: SpinLock::new(ArrayVec::new_const()),
            wanted: UnsafeCell::new(Wanted {
                filter: 0,
                multicast: ArrayVec::new_const(),
            }),
            counts: PerCpu::try_with(pool, Counts::default)?,
            holds: AtomicU32::new(0),
            local: SpinLock::new(super::local::Waiting::new()),
        })
    }
}

impl<T: Switch> PortRef<T> {
    fn of(upper: &Upper<T>) -> Self {
        Self(NonNull::from(upper))
    }

    /// The miniport, as long as the reader is inside that found the reference.
    pub(super) fn get<'i>(self, _inside: &'i Inside<'_>) -> &'i Upper<T> {
        // SAFETY: (VMI-4) taken out of its groups before it is freed, and every
        // reader has left by then.
        unsafe { self.0.as_ref() }
    }
}

/// The reference under which groups know a miniport.
pub(super) fn name<T: Switch>(upper: &Upper<T>) -> PortRef<T> {
    PortRef::of(upper)
}

/// The link of a member in the chain of a VLAN.
fn link<T: Switch>(upper: &Upper<T>, vlan: Vlan) -> &AtomicPtr<Upper<T>> {
    let own = upper.port().is_none_or(|port| T::vlan(port) == vlan);
    let [first, second] = &upper.data.next;
    if own { first } else { second }
}

/// The members of a VLAN.
struct Members<'a, T: Switch> {
    next: *mut Upper<T>,
    vlan: Vlan,
    lower: &'a Lower<T>,
}

impl<'a, T: Switch> Iterator for Members<'a, T> {
    type Item = &'a Upper<T>;

    fn next(&mut self) -> Option<&'a Upper<T>> {
        // SAFETY: (VMI-4) in the chain, hence alive: it is taken out before it
        // is freed, by the thread that is the only one to walk.
        let upper = unsafe { self.next.as_ref() }?;
        debug_assert!(
            upper
                .lower()
                .is_some_and(|lower| core::ptr::eq(lower, self.lower))
        );
        self.next = link(upper, self.vlan).load(Ordering::Relaxed);
        Some(upper)
    }
}

fn members<T: Switch>(lower: &Lower<T>, vlan: Vlan) -> Members<'_, T> {
    let head = lower.data.members.get(vlan.index());
    Members {
        next: head.map_or(core::ptr::null_mut(), |head| head.load(Ordering::Relaxed)),
        vlan,
        lower,
    }
}

/// Builds the group of a VLAN anew and publishes it. On an error the one before
/// stays. IRQL = PASSIVE_LEVEL.
fn rebuild<T: Switch>(lower: &Lower<T>, vlan: Vlan) -> Result<()> {
    let data = &lower.data;
    let pool = lower.driver.pool();
    let view = |upper: &Upper<T>| {
        let port: *const T::Port = upper.port()?;
        // SAFETY: (VMI-4) both stay until the miniport is withdrawn, by the
        // thread that is here now.
        let (port, wanted) = unsafe { (&*port, &*upper.data.wanted.get()) };
        Some(PortView {
            at: PortRef::of(upper),
            port,
            filter: wanted.filter,
            multicast: &wanted.multicast,
        })
    };
    let mut views = members(lower, vlan).filter_map(view);
    let count = members(lower, vlan).filter_map(view).count();
    let built = match views.next() {
        None => None,
        Some(first) => {
            let mut last = first;
            let views = PoolArray::try_with(pool, count, |index| {
                if index > 0 {
                    // As many as were counted: nobody else changes the chain.
                    last = views.next().unwrap_or(last);
                }
                last
            })?;
            let group = T::build(lower.adapter(), vlan, &views)?;
            Some(PoolBox::try_new(pool, group)?)
        }
    };
    let place = data.groups.get(vlan.index()).ok_or(Error::BadParameter)?;
    drop(place.replace(&data.readers, built));
    Ok(())
}

/// As [`rebuild`], where there is no way back: memory is waited for, and without
/// any the whole VLAN gets nothing until it is built again.
fn rebuild_surely<T: Switch>(lower: &Lower<T>, vlan: Vlan) {
    for _ in 0..TRIES {
        if rebuild(lower, vlan).is_ok() {
            return;
        }
        let _set = lower.data.never.wait_for(MILLISECONDS);
    }
    if let Some(place) = lower.data.groups.get(vlan.index()) {
        drop(place.replace(&lower.data.readers, None));
    }
}

fn enlist<T: Switch>(upper: &Upper<T>, vlan: Vlan) {
    let lower = upper.lower();
    if let Some(head) = lower.and_then(|lower| lower.data.members.get(vlan.index())) {
        link(upper, vlan).store(head.load(Ordering::Relaxed), Ordering::Relaxed);
        let raw = core::ptr::from_ref(upper).cast_mut();
        head.store(raw, Ordering::Relaxed);
    }
}

fn delist<T: Switch>(upper: &Upper<T>, vlan: Vlan) {
    let lower = upper.lower();
    let Some(head) = lower.and_then(|lower| lower.data.members.get(vlan.index())) else {
        return;
    };
    let next = link(upper, vlan).swap(core::ptr::null_mut(), Ordering::Relaxed);
    let mut place = head;
    while !place.load(Ordering::Relaxed).is_null() {
        if core::ptr::eq(place.load(Ordering::Relaxed), upper) {
            place.store(next, Ordering::Relaxed);
            return;
        }
        // SAFETY: (VMI-4) in the chain, hence alive.
        let member = unsafe { &*place.load(Ordering::Relaxed) };
        place = link(member, vlan);
    }
}

/// The VLANs whose groups a miniport is in.
fn vlans<T: Switch>(port: &T::Port) -> (Vlan, Option<Vlan>) {
    let own = T::vlan(port);
    let untagged = !own.is_none() && T::takes_untagged(port);
    (own, untagged.then_some(Vlan::NONE))
}

/// See [`crate::data::DataPath::publish`].
pub(super) fn publish<T: Switch>(upper: &Upper<T>) -> Result<()> {
    let lower = upper.lower().ok_or(Error::BadState)?;
    let (own, other) = vlans::<T>(upper.port().ok_or(Error::BadState)?);
    {
        let multicast = copy_of(&upper.data.multicast.lock());
        // SAFETY: (VMI-9) nobody else is here, see the module's description.
        let wanted = unsafe { &mut *upper.data.wanted.get() };
        wanted.filter = upper.filter.load(Ordering::Acquire);
        wanted.multicast = multicast;
    }
    let fresh = !upper.data.listed.swap(true, Ordering::Relaxed);
    if fresh {
        enlist(upper, own);
        if let Some(other) = other {
            enlist(upper, other);
        }
    }
    let built =
        rebuild(lower, own).and_then(|()| other.map_or(Ok(()), |vlan| rebuild(lower, vlan)));
    if built.is_err() && fresh {
        withdraw(upper);
    }
    built
}

/// See [`crate::data::DataPath::withdraw`].
pub(super) fn withdraw<T: Switch>(upper: &Upper<T>) {
    let (Some(lower), Some(port)) = (upper.lower(), upper.port()) else {
        return; // never published
    };
    if !upper.data.listed.swap(false, Ordering::Relaxed) {
        return;
    }
    let (own, other) = vlans::<T>(port);
    delist(upper, own);
    if let Some(other) = other {
        delist(upper, other);
    }
    // Only now: both chains are right again while groups are built.
    rebuild_surely(lower, own);
    if let Some(other) = other {
        rebuild_surely(lower, other);
    }
}

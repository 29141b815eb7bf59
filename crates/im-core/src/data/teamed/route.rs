//! What all processors read to send and receive for a team.
//!
//! # Choice
//!
//! A reader ([`crate::published`]) takes one [`View`]: first the word of members that
//! can be used, then the table. So what it sees is a table with the members from
//! before it or the same; the member of a bucket is the first of the bucket's ranking
//! that both know.
//!
//! * A death clears a bit of the word, at IRQL <= DISPATCH_LEVEL: the next reader goes
//!   elsewhere.
//! * A move (`moves`) publishes another table. What must not overtake itself waits
//!   meanwhile: the word says whether buckets are held (SOME: those in `holding`, ALL:
//!   for the moment of the exchange), and held lists are queued under a lock, where
//!   the word is read once more.
//!
//! Nothing else is shared: counts are per processor and member.

use super::bond::{BUCKETS, MAX_MEMBERS, Members, Slot, Spread};
use super::flowlet::Flowlet;
use super::frames::Stock;
use super::look::{MAX_MULTICAST, Wanted};
use super::member::Member;
use super::table::{Buckets, Table, bit, slots};
use crate::published::{Inside, Published, Readers};
use arrayvec::ArrayVec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use ethernet::Mac;
use ndis::Result;
use ndis::cpu::{self, PerCpu};
use ndis::event::Event;
use ndis::lock::{Irql, SpinLock};
use ndis::memory::{Pool, PoolArray, PoolBox};
use ndis::mutex::Mutex;
use ndis::nbl::{FromAbove, Queue, Single};

/// Some buckets are held.
const SOME: u64 = 1 << 32;
/// All of them are.
const ALL: u64 = 1 << 33;

/// What the data path keeps about a team's miniport.
pub struct Route {
    pub(super) readers: Readers,
    table: AtomicPtr<Table>,
    /// The members that can be used, and what is held.
    word: AtomicU64,
    /// Members whose groups' frames go up.
    collect: AtomicU32,
    holding: [AtomicU64; BUCKETS / 64],
    members: [AtomicPtr<Member>; MAX_MEMBERS],
    flowlets: PoolArray<Flowlet>,
    /// Members that no bucket goes to any more where flowlets decide: they are about
    /// to be left.
    closing: AtomicU32,
    pub(super) turns: PerCpu<AtomicU32>,
    /// Lists of held buckets, counted on the team's path.
    pub(super) held: SpinLock<Queue<FromAbove>>,
    /// What the miniport above asks for; nothing while it is not there.
    pub(super) wanted: Published<Wanted>,
    /// Its multicast list, for the next publication.
    pub(super) multicast: SpinLock<ArrayVec<Mac, MAX_MULTICAST>>,
    /// The members that live. Guards the setting of bits in the word.
    alive: SpinLock<Members>,
    /// Members whose marker came back.
    pub(super) markers: AtomicU32,
    /// Held by whoever moves buckets or takes a member out.
    pub(super) mover: Mutex<()>,
    /// Held by whoever waits for the readers.
    waiting: Mutex<()>,
    /// Buckets that were moved in order.
    pub(super) moved: AtomicU64,
    /// Set when the mover may have less to wait for.
    pub(super) woken: Event,
    /// The team's address.
    address: AtomicU64,
    stock: AtomicPtr<Stock>,
}

/// What a reader goes by.
#[derive(Clone, Copy)]
pub(super) struct View<'i> {
    pub(super) table: &'i Table,
    word: u64,
}

impl View<'_> {
    /// Who can be used.
    pub(super) fn members(&self) -> Members {
        self.table.members() & self.word as Members
    }

    /// The same without somebody.
    pub(super) fn without(mut self, slot: Slot) -> Self {
        self.word &= !u64::from(bit(slot));
        self
    }

    /// Whether nothing was published since another view.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.word == other.word && core::ptr::eq(self.table, other.table)
    }

    /// Whether something is held.
    pub(super) const fn holds(&self) -> bool {
        self.word & (SOME | ALL) != 0
    }
}

impl Route {
    /// No members. Takes all the memory that sends need.
    pub(super) fn try_new(pool: Pool) -> Result<Self> {
        let readers = Readers::try_new(pool)?;
        let flowlets = PoolArray::try_with(pool, BUCKETS, |_| Flowlet::default())?;
        let turns = PerCpu::try_with(pool, AtomicU32::default)?;
        // The last one: from here on it is the route's to free.
        let table = Table::make(pool)?.into_raw();
        Ok(Self {
            readers,
            table: AtomicPtr::new(table),
            word: AtomicU64::new(0),
            collect: AtomicU32::new(0),
            holding: [const { AtomicU64::new(0) }; BUCKETS / 64],
            members: [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_MEMBERS],
            flowlets,
            closing: AtomicU32::new(0),
            turns,
            held: SpinLock::new(Queue::new()),
            wanted: Published::default(),
            multicast: SpinLock::new(ArrayVec::new_const()),
            alive: SpinLock::new(0),
            markers: AtomicU32::new(0),
            mover: Mutex::new(()),
            waiting: Mutex::new(()),
            moved: AtomicU64::new(0),
            woken: Event::new(),
            address: AtomicU64::new(0),
            stock: AtomicPtr::new(core::ptr::null_mut()),
        })
    }

    /// Initialises the events in place.
    ///
    /// # Safety
    /// The route has its final address and is not shared yet.
    pub(super) unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the caller's promise covers each of them.
        unsafe {
            self.readers.init();
            self.mover.init();
            self.waiting.init();
            self.woken.init();
        }
    }

    /// What a reader goes by.
    pub(super) fn view<'i>(&self, _inside: &'i Inside<'_>) -> View<'i> {
        let word = self.word.load(Ordering::Acquire);
        // SAFETY: (MEM-2) never null; freed only after every reader has left that was
        // inside when another one took its place.
        let table = unsafe { &*self.table.load(Ordering::Acquire) };
        View { table, word }
    }

    /// A member, as long as the reader is inside.
    pub(super) fn member<'i>(&self, slot: Slot, _inside: &'i Inside<'_>) -> Option<&'i Member> {
        let place = self.members.get(usize::from(slot))?;
        // SAFETY: (VMI-9) taken out before it is freed, and every reader has left by
        // then.
        unsafe { place.load(Ordering::Acquire).as_ref() }
    }

    /// A member that somebody keeps: it is counted on its path, or the mover's lock
    /// is held.
    ///
    /// # Safety
    /// One of the two is true for as long as the reference is used.
    pub(super) unsafe fn kept_member<'a>(&self, slot: Slot) -> Option<&'a Member> {
        let place = self.members.get(usize::from(slot))?;
        // SAFETY: (VMI-9) the caller's promise: a member leaves only after its path
        // is empty, and under the mover's lock.
        unsafe { place.load(Ordering::Acquire).as_ref() }
    }

    /// Where a bucket is.
    pub(super) fn flowlet(&self, bucket: u8) -> Option<&Flowlet> {
        self.flowlets.as_slice().get(usize::from(bucket))
    }

    /// Those of some members that a bucket may go to; all of them, if every one is
    /// about to be left.
    pub(super) fn staying(&self, members: Members) -> Members {
        match members & !self.closing.load(Ordering::Relaxed) {
            0 => members,
            staying => staying,
        }
    }

    /// Whether the groups' frames of a member go up.
    pub(super) fn collects(&self, slot: Slot) -> bool {
        self.collect.load(Ordering::Relaxed) & bit(slot) != 0
    }

    /// Whether a bucket is held at this moment.
    fn is_held(&self, bucket: u8) -> bool {
        let word = self.word.load(Ordering::Acquire);
        if word & (SOME | ALL) == 0 {
            return false;
        }
        let of = self.holding.get(usize::from(bucket >> 6));
        let bits = of.map_or(0, |of| of.load(Ordering::Acquire));
        word & ALL != 0 || bits >> (bucket & 63) & 1 != 0
    }

    /// Queues a list if its bucket is held. `count` counts it as outstanding first.
    /// IRQL <= DISPATCH_LEVEL.
    pub(super) fn hold(
        &self,
        bucket: u8,
        list: Single<FromAbove>,
        irql: Irql,
        count: impl FnOnce(),
    ) -> core::result::Result<(), Single<FromAbove>> {
        if !self.is_held(bucket) {
            return Err(list);
        }
        let mut queue = self.held.lock_at(irql);
        // Once more, under the lock that whoever ends the holding has.
        if !self.is_held(bucket) {
            return Err(list);
        }
        count();
        queue.push(list);
        Ok(())
    }

    /// Groups' frames of these go up. IRQL <= DISPATCH_LEVEL.
    pub(super) fn set_collect(&self, members: Members) {
        self.collect.store(members, Ordering::Relaxed);
    }

    /// Only these live: the next batch goes to none of the others, and nobody waits
    /// for them. IRQL <= DISPATCH_LEVEL; the callers see to the order of their calls.
    pub(super) fn set_alive(&self, members: Members) {
        {
            let mut alive = self.alive.lock();
            *alive = members;
            let kept = u64::from(members) | SOME | ALL;
            self.word.fetch_and(kept, Ordering::AcqRel);
        }
        self.woken.set();
    }

    /// A member's gate was found closed: it is not used any more until another move.
    /// IRQL <= DISPATCH_LEVEL.
    pub(super) fn pass_over(&self, slot: Slot) {
        self.word.fetch_and(!u64::from(bit(slot)), Ordering::AcqRel);
    }

    /// A member's marker came back, or never will. IRQL <= DISPATCH_LEVEL.
    pub(super) fn marker_back(&self, slot: Slot) {
        self.markers.fetch_or(bit(slot), Ordering::AcqRel);
        self.woken.set();
    }

    /// Lists of the team's own, once there are some.
    pub(super) fn stock(&self) -> Option<&Stock> {
        // SAFETY: (MEM-2) set once, freed with the route.
        unsafe { self.stock.load(Ordering::Acquire).as_ref() }
    }

    /// Keeps the team's lists and its address. IRQL = PASSIVE_LEVEL, one call at a time.
    pub(super) fn prepare(
        &self,
        address: Mac,
        make: impl FnOnce() -> Result<PoolBox<Stock>>,
    ) -> Result<()> {
        self.address.store(address.number(), Ordering::Relaxed);
        if self.stock().is_none() {
            self.stock.store(make()?.into_raw(), Ordering::Release);
        }
        Ok(())
    }

    /// Publishes what the miniport above asks for, or that it is not there.
    /// IRQL = PASSIVE_LEVEL.
    pub(super) fn publish(&self, pool: Pool, filter: Option<u32>) -> Result<()> {
        let wanted = match filter {
            None => None,
            Some(filter) => {
                let address = Mac::from_number(self.address.load(Ordering::Relaxed));
                let groups = crate::list::copy_of(&self.multicast.lock());
                Some(PoolBox::try_new(
                    pool,
                    Wanted::new(filter, address, &groups),
                )?)
            }
        };
        let _waiting = self.waiting.lock();
        drop(self.wanted.replace(&self.readers, wanted));
        Ok(())
    }

    /// Waits until every reader has left that is inside now. IRQL = PASSIVE_LEVEL.
    pub(super) fn wait_for_readers(&self) {
        let _waiting = self.waiting.lock();
        self.readers.wait();
    }

    /// The members that lists are sent on now, for showing. IRQL <= DISPATCH_LEVEL.
    pub fn carrying(&self) -> Members {
        let inside = self.readers.enter(cpu::current_index());
        self.view(&inside).members()
    }

    /// How many buckets went from a living member to another one, for showing.
    pub fn moves(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// The buckets that wait now, for showing. IRQL <= DISPATCH_LEVEL.
    pub fn waiting_buckets(&self) -> Buckets {
        let mut found = Buckets::NONE;
        for bucket in (0..=u8::MAX).filter(|bucket| self.is_held(*bucket)) {
            found.add(bucket);
        }
        found
    }

    /// The member that carries a bucket now, for showing. None where lists are not
    /// spread by buckets, too. IRQL <= DISPATCH_LEVEL.
    pub fn carrier(&self, spread: Spread, bucket: u8) -> Option<Slot> {
        let inside = self.readers.enter(cpu::current_index());
        let view = self.view(&inside);
        match spread {
            Spread::One => view.table.ranking.member(0, view.members()),
            Spread::Buckets => view.table.ranking.member(bucket, view.members()),
            Spread::Flowlets(_) => self.flowlet(bucket)?.read().0,
            Spread::Turns | Spread::All => None,
        }
    }

    // What follows is the mover's, under its lock. IRQL = PASSIVE_LEVEL.

    /// Who lives at this moment.
    pub(super) fn living(&self) -> Members {
        *self.alive.lock()
    }

    /// Lets members be used, as far as they live: by the next table, as the one of now
    /// loses those that could not be used.
    pub(super) fn admit(&self, members: Members) {
        let alive = self.alive.lock();
        let usable = self.usable();
        let coming = members & !usable;
        let now = &self.table_now().members;
        now.fetch_and(!coming, Ordering::Release);
        let admitted = u64::from(members & *alive);
        self.word.fetch_or(admitted, Ordering::AcqRel);
    }

    /// The table of now.
    pub(super) fn table_now(&self) -> &Table {
        // SAFETY: (MEM-2) the mover alone takes it away.
        unsafe { &*self.table.load(Ordering::Acquire) }
    }

    /// Who can be used, whatever the table.
    pub(super) fn usable(&self) -> Members {
        self.word.load(Ordering::Acquire) as Members
    }

    /// Lets no bucket go to these where flowlets decide: when this returns, every
    /// reader knows.
    pub(super) fn close(&self, members: Members) {
        if self.closing.swap(members, Ordering::Relaxed) != members && members != 0 {
            self.wait_for_readers();
        }
    }

    /// Holds buckets: readers that enter from now on queue their lists.
    pub(super) fn hold_buckets(&self, buckets: &Buckets) {
        for (place, bits) in self.holding.iter().zip(buckets.0) {
            place.fetch_or(bits, Ordering::Release);
        }
        self.word.fetch_or(SOME, Ordering::AcqRel);
    }

    /// Holds all buckets if the usable members are still these.
    pub(super) fn hold_all(&self, usable: Members) -> bool {
        let word = self.word.load(Ordering::Acquire);
        word as Members == usable
            && self
                .word
                .compare_exchange(word, word | ALL, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// Publishes another table; the one before is freed after the readers have left.
    pub(super) fn exchange(&self, table: PoolBox<Table>) -> NonNull<Table> {
        let old = self.table.swap(table.into_raw(), Ordering::AcqRel);
        // SAFETY: (MEM-2) never null, see `try_new`.
        unsafe { NonNull::new_unchecked(old) }
    }

    /// Nothing is held any more. Under the lock of the queue, which is empty.
    pub(super) fn hold_none(&self) {
        self.word.fetch_and(!(SOME | ALL), Ordering::AcqRel);
        for place in &self.holding {
            place.store(0, Ordering::Release);
        }
    }

    /// Takes a member in; the next move uses it.
    pub(super) fn take_in(&self, member: &Member) {
        if let Some(place) = self.members.get(usize::from(member.slot())) {
            place.store(core::ptr::from_ref(member).cast_mut(), Ordering::Release);
        }
    }

    /// Takes a member out; when this returns no reader looks at it. What is out on it
    /// was waited for before.
    pub(super) fn take_out(&self, slot: Slot) {
        self.pass_over(slot);
        self.woken.set();
        let _mover = self.mover.lock();
        self.pass_over(slot); // a move may have let it in again
        let now = &self.table_now().members;
        now.fetch_and(!bit(slot), Ordering::Release);
        if let Some(place) = self.members.get(usize::from(slot)) {
            place.store(core::ptr::null_mut(), Ordering::Release);
        }
        self.wait_for_readers();
    }

    /// Those whose gates let sends pass.
    pub(super) fn open(&self, among: Members) -> Members {
        slots(among)
            // SAFETY: (VMI-9) the mover's lock is held.
            .filter(|slot| unsafe { self.kept_member(*slot) }.is_some_and(Member::sends))
            .fold(0, |open, slot| open | bit(slot))
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        if let Some(table) = NonNull::new(*self.table.get_mut()) {
            // SAFETY: (MEM-2) came from a box; nobody reads any more.
            drop(unsafe { PoolBox::from_raw(table) });
        }
        if let Some(stock) = NonNull::new(*self.stock.get_mut()) {
            // SAFETY: (MEM-2) as above; every list is back, as every member's path
            // was waited for.
            drop(unsafe { PoolBox::from_raw(stock) });
        }
    }
}

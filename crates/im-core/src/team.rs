//! A team: the bindings below and the virtual miniports above that belong
//! together.
//!
//! Where one adapter carries one or many miniports, each binding has a team of its
//! own. Where many adapters carry one miniport, it is known by the miniport's
//! name: the first binding that lists the name makes it, others that list it join,
//! and the last one that leaves takes the miniport with it.
//!
//! Who belongs to it is behind `Team::core` (a spin lock, between a binding's and a
//! miniport's); which miniports there are changes under `Team::setup`, what they
//! want together under `Team::desk`. `Driver::assembly`, held at PASSIVE_LEVEL,
//! orders who makes, joins and leaves teams of many bindings, and comes before all
//! of these.

use crate::data::DataPath;
use crate::data::teamed::{MAX_MEMBERS, Slot};
use crate::driver::Driver;
use crate::edges::{Held, Lower, Setup, Upper, Uppers};
use crate::facts::{Facts, Link};
use crate::gate::bit;
use crate::list::List;
use crate::oid_table::Below;
use crate::roster::{Room, Roster};
use crate::sync::Desk;
use crate::topology::Topology;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use im_control::MemberRefusal;
use ndis::lock::SpinLock;
use ndis::memory::{PoolArray, PoolBox};
use ndis::mutex::Mutex;
use ndis::string::same_name;
use ndis::{Error, Result};

/// Who belongs to a team.
pub(crate) struct TeamCore<T: Topology> {
    pub uppers: Roster<NonNull<Upper<T>>>,
    members: [Option<NonNull<Lower<T>>>; MAX_MEMBERS],
}

// SAFETY: (VMI-9) bindings and miniports are shared by design; the lists are
// reached under the lock only.
unsafe impl<T: Topology> Send for TeamCore<T> {}

/// See the module's description.
pub struct Team<T: Topology> {
    pub(crate) driver: &'static Driver<T>,
    /// The name of the miniport that the team is known by; empty where it is not.
    name: PoolArray<u16>,
    pub(crate) core: SpinLock<TeamCore<T>>,
    /// The one binding of a team that has no more.
    only: AtomicPtr<Lower<T>>,
    /// Held by whoever changes which miniports there are.
    pub(crate) setup: Mutex<Setup<T>>,
    /// What its miniports want of the adapters together.
    pub(crate) desk: Desk<T>,
    /// What the members have in common, where there can be many.
    folded: SpinLock<Option<Facts>>,
    /// What the data path keeps.
    pub(crate) data: <T::Data as DataPath<T>>::Team,
}

// SAFETY: (VMI-9) the pointers lead to bindings and miniports, which are shared by
// design; all else is synchronised by type.
unsafe impl<T: Topology> Send for Team<T> {}
// SAFETY: (VMI-9) as above.
unsafe impl<T: Topology> Sync for Team<T> {}

/// Whether a team of this topology may have many members.
pub(crate) const fn is_shared<T: Topology>() -> bool {
    T::LOWERS_PER_UPPER > 1
}

impl<T: Topology> Team<T> {
    /// A team without members, for adapters with multicast lists of this length.
    /// IRQL = PASSIVE_LEVEL.
    pub(crate) fn make(
        driver: &'static Driver<T>,
        name: &[u16],
        groups: u32,
    ) -> Result<NonNull<Self>> {
        let pool = driver.pool();
        let mut team = PoolBox::try_new(
            pool,
            Self {
                driver,
                name: PoolArray::try_with(pool, name.len(), |index| {
                    name.get(index).copied().unwrap_or(0)
                })?,
                core: SpinLock::new(TeamCore {
                    uppers: Roster::new(),
                    members: [None; MAX_MEMBERS],
                }),
                only: AtomicPtr::new(core::ptr::null_mut()),
                setup: Mutex::new(Setup {
                    retired: Room::new(),
                }),
                desk: Desk::new(),
                folded: SpinLock::new(None),
                data: T::Data::team(pool)?,
            },
        )?;
        // SAFETY: (IRQ-9) in its box, which does not move it; not shared yet.
        unsafe {
            team.setup.init();
            team.desk.sync.init();
            T::Data::init_team(&team.data);
        }
        let place = NonNull::from(&*team);
        // SAFETY: (BND-14) in its box, not shared yet; closed before it is freed.
        unsafe { team.desk.open(place, groups) }?;
        NonNull::new(team.into_raw()).ok_or(Error::NoResources)
    }

    /// Frees a team without members, with the miniports that are left in it.
    ///
    /// # Safety
    /// The desk is closed, the miniports are halted, the adapters that knew them are
    /// closed, and nobody uses the team any more.
    pub(crate) unsafe fn free(mut team: NonNull<Self>) {
        // SAFETY: (BND-14) the caller's promise.
        let this = unsafe { team.as_mut() };
        let retired = core::mem::take(&mut this.setup.get_mut().retired);
        let uppers = this.core.get_mut().uppers.take();
        for (_, upper) in uppers.into_iter().chain(retired) {
            // SAFETY: (VMI-4) came from a box; nobody uses it any more.
            drop(unsafe { PoolBox::from_raw(upper) });
        }
        // SAFETY: (BND-14) came from a box; nobody uses it any more.
        drop(unsafe { PoolBox::from_raw(team) });
    }

    /// Whether this is the team of a miniport's name.
    pub(crate) fn is_called(&self, name: &[u16]) -> bool {
        !self.name.is_empty() && same_name(&self.name, name)
    }

    /// Gives a binding its place: the one it wants, or the first that is free.
    /// IRQL <= DISPATCH_LEVEL.
    pub(crate) fn seat(
        &self,
        lower: &Lower<T>,
        wanted: Option<Slot>,
    ) -> core::result::Result<(), MemberRefusal> {
        let index = lower.if_index();
        let most = T::LOWERS_PER_UPPER.min(MAX_MEMBERS);
        let mut core = self.core.lock();
        // SAFETY: (BND-14) seated, hence alive.
        let same = |member: &NonNull<Lower<T>>| unsafe { member.as_ref() }.if_index() == index;
        if index != 0 && core.members.iter().flatten().any(same) {
            return Err(MemberRefusal::Twice);
        }
        let places = core.members.get_mut(..most).unwrap_or(&mut []);
        let free = places.iter().position(Option::is_none);
        let slot = wanted.map(usize::from).or(free);
        let slot = slot.ok_or(MemberRefusal::TooMany)?;
        match places.get_mut(slot) {
            Some(place @ None) => *place = Some(NonNull::from(lower)),
            Some(Some(_)) => return Err(MemberRefusal::Number),
            None => return Err(MemberRefusal::TooMany),
        }
        lower.slot.store(slot as u8, Ordering::Relaxed);
        let sole = core.uppers.at(0);
        lower.set_sole(sole);
        if !is_shared::<T>() {
            let lower = core::ptr::from_ref(lower).cast_mut();
            self.only.store(lower, Ordering::Release);
        }
        Ok(())
    }

    /// Takes a binding off its place. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn unseat(&self, lower: &Lower<T>) {
        let me = NonNull::from(lower);
        let mut core = self.core.lock();
        for place in &mut core.members {
            if *place == Some(me) {
                *place = None;
            }
        }
    }

    /// The one binding of a team that has no more.
    pub(crate) fn only(&self) -> Option<&Lower<T>> {
        // SAFETY: (BND-14) the one binding lives as long as its team is used.
        unsafe { self.only.load(Ordering::Acquire).as_ref() }
    }

    /// The member at a place, held by its run-down. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn member(&self, slot: usize) -> Option<Member<'_, T>> {
        let core = self.core.lock();
        let member = (*core.members.get(slot)?)?;
        // SAFETY: (BND-14) seated, hence alive; held before the lock is let go.
        let member = unsafe { member.as_ref() };
        member.visitors.enter_detached().then(|| Member(member))
    }

    /// All members, one after the other, held while they are looked at.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member<'_, T>> {
        (0..MAX_MEMBERS).filter_map(|slot| self.member(slot))
    }

    /// How many members there are.
    pub(crate) fn member_count(&self) -> usize {
        self.core.lock().members.iter().flatten().count()
    }

    /// Folds the facts of the members anew. The link is the data path's affair.
    /// IRQL <= DISPATCH_LEVEL. The facts before, and those now.
    pub(crate) fn fold(&self) -> (Option<Facts>, Option<Facts>) {
        let core = self.core.lock();
        let mut facts = core.members.iter().flatten().map(|member| {
            // SAFETY: (BND-14) seated, hence alive while the lock is held.
            let member = unsafe { member.as_ref() };
            (member.adapter(), member.facts())
        });
        let now = T::fold(&mut facts);
        drop(facts);
        let mut folded = self.folded.lock();
        let before = *folded;
        if let Some(now) = now {
            let link = before.map_or(Link::DOWN, |before| before.link);
            *folded = Some(Facts { link, ..now });
        }
        (before, *folded)
    }

    /// Notes another link of the team. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn set_link(&self, link: Link) {
        if let Some(facts) = &mut *self.folded.lock() {
            facts.link = link;
        }
    }

    /// Something of what the adapters offer: the one adapter's facts, or what they
    /// have in common. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn look<V>(&self, read: impl FnOnce(&Facts) -> V) -> Option<V> {
        match self.only() {
            Some(lower) => Some(read(&lower.facts.lock())),
            None => self.folded.lock().as_ref().map(read),
        }
    }

    /// A copy of what the adapters offer.
    pub(crate) fn facts(&self) -> Option<Facts> {
        self.look(|facts| *facts)
    }

    /// Interface index of the one adapter, for events; zero where there are many.
    pub(crate) fn if_index(&self) -> u32 {
        self.only().map_or(0, Lower::if_index)
    }

    /// What the tables ask about the adapters.
    pub(crate) fn below(&self) -> Below {
        let below = self.look(|facts| Below {
            pm: facts.pm_aware(),
            rss: facts.rss.is_some(),
            offload: facts.offload.is_some(),
        });
        below.unwrap_or(Below {
            pm: false,
            rss: false,
            offload: false,
        })
    }

    /// The virtual miniport at a place, if there is one. Not for the data path.
    pub(crate) fn upper_at(&self, place: usize) -> Option<Held<'_, T>> {
        let core = self.core.lock();
        let found = core.uppers.at(place)?;
        // SAFETY: (VMI-4) on the list, hence alive; held before the lock is let go.
        Held::of(unsafe { found.as_ref() })
    }

    /// The virtual miniport with a name.
    pub(crate) fn find(&self, name: &[u16]) -> Option<Held<'_, T>> {
        let core = self.core.lock();
        // SAFETY: (VMI-4) on the list, hence alive.
        let mut all = core.uppers.iter().map(|upper| unsafe { upper.as_ref() });
        Held::of(all.find(|upper| same_name(&upper.name, name))?)
    }

    /// How many virtual miniports there are.
    pub(crate) fn upper_count(&self) -> usize {
        self.core.lock().uppers.len()
    }

    /// All virtual miniports, one after the other, without holding the lock.
    /// Those that come or go meanwhile may be seen or not.
    pub(crate) fn uppers(&self) -> Uppers<'_, T> {
        Uppers::of(self)
    }

    /// Puts a complete virtual miniport on the team, if the topology has room for
    /// it. IRQL <= DISPATCH_LEVEL; memory is taken outside the lock.
    pub(crate) fn add(&self, upper: PoolBox<Upper<T>>) -> Result<bool> {
        loop {
            let wanted = {
                let only = self.only();
                let below = only.map(|lower| lower.core.lock());
                let mut core = self.core.lock();
                if core.uppers.len() >= T::UPPERS_PER_LOWER {
                    drop(core);
                    drop(below);
                    drop(upper);
                    return Ok(false);
                }
                if core.uppers.wants().is_none() {
                    let gate = &upper.path.gate;
                    // One that was there before still has the bits of when it left.
                    gate.clear(bit::LOWER);
                    gate.set(below.as_ref().map_or(0, |below| below.bits));
                    if let Some(lower) = only {
                        upper.path.set_binding(lower.handle());
                    }
                    if let Some(upper) = NonNull::new(upper.into_raw()) {
                        // There is room: looked at above.
                        let _number = core.uppers.push(upper);
                        core.tell_sole();
                    }
                    return Ok(true);
                }
                core.uppers.wants()
            };
            let more = Room::with_room(wanted.unwrap_or(0))?;
            let old = self.core.lock().uppers.grow(more);
            drop(old); // outside the lock
        }
    }

    /// Takes the miniports off the list that the closure names.
    pub(crate) fn take_off(&self, mut gone: impl FnMut(&Upper<T>) -> bool) {
        let mut core = self.core.lock();
        // SAFETY: (VMI-4) on the list, hence alive.
        core.uppers.retain(|upper| !gone(unsafe { upper.as_ref() }));
        core.tell_sole();
    }
}

impl<T: Topology> TeamCore<T> {
    /// Tells every member which miniport is the first.
    fn tell_sole(&self) {
        let first = self.uppers.at(0);
        for member in self.members.iter().flatten() {
            // SAFETY: (BND-14) seated, hence alive.
            unsafe { member.as_ref() }.set_sole(first);
        }
    }
}

/// A member that is not freed meanwhile.
pub(crate) struct Member<'a, T: Topology>(&'a Lower<T>);

impl<T: Topology> core::ops::Deref for Member<'_, T> {
    type Target = Lower<T>;
    fn deref(&self) -> &Lower<T> {
        self.0
    }
}

impl<T: Topology> Drop for Member<'_, T> {
    fn drop(&mut self) {
        self.0.visitors.leave();
    }
}

/// A team of many bindings, and how many there are.
struct Shared<T: Topology> {
    team: NonNull<Team<T>>,
    /// Bindings that belong to it or are about to.
    members: usize,
    /// Bindings that may still touch it.
    users: usize,
}

/// The teams of many bindings. Behind [`Driver::assembly`].
pub(crate) struct Assembly<T: Topology> {
    teams: List<Shared<T>>,
}

// SAFETY: (VMI-9) teams are shared by design; the list is reached under the lock.
unsafe impl<T: Topology> Send for Assembly<T> {}

impl<T: Topology> Assembly<T> {
    /// None.
    pub(crate) fn new() -> Self {
        Self { teams: List::new() }
    }

    fn find(&mut self, wanted: impl Fn(&Shared<T>) -> bool) -> Option<&mut Shared<T>> {
        self.teams.iter_mut().find(|shared| wanted(shared))
    }
}

/// The team of a binding that is being made: one of its own, or the one with this
/// name. [`disband`] undoes it. IRQL = PASSIVE_LEVEL.
pub(crate) fn enlist<T: Topology>(
    driver: &'static Driver<T>,
    name: &[u16],
    groups: u32,
) -> Result<NonNull<Team<T>>> {
    let Some(assembly) = driver.assembly() else {
        return Team::make(driver, &[], groups);
    };
    let mut assembly = assembly.lock();
    // SAFETY: (BND-14) on the list, hence alive.
    let called = |shared: &Shared<T>| unsafe { shared.team.as_ref() }.is_called(name);
    if let Some(shared) = assembly.find(|shared| shared.members > 0 && called(shared)) {
        shared.members = shared.members.saturating_add(1);
        shared.users = shared.users.saturating_add(1);
        return Ok(shared.team);
    }
    assembly.teams.make_room(1)?;
    // Members may have longer lists than the first: none is as long as this.
    let team = Team::make(driver, name, u32::MAX)?;
    let _room = assembly.teams.push(Shared {
        team,
        members: 1,
        users: 1,
    });
    Ok(team)
}

/// A binding leaves its team. `last` runs if no other is left, before another
/// binding can make a team of this name. IRQL = PASSIVE_LEVEL.
pub(crate) fn leave<T: Topology>(team: &Team<T>, last: impl FnOnce(&Team<T>)) -> bool {
    let Some(assembly) = team.driver.assembly() else {
        last(team);
        return true;
    };
    let mut assembly = assembly.lock();
    let me = NonNull::from(team);
    let Some(shared) = assembly.find(|shared| shared.team == me) else {
        return false; // cannot be
    };
    shared.members = shared.members.saturating_sub(1);
    if shared.members > 0 {
        return false;
    }
    last(team);
    true
}

/// A binding that has left its team and is closed does not use it any more: the
/// last one frees it. IRQL = PASSIVE_LEVEL.
///
/// # Safety
/// [`leave`] came before, and the caller does not touch the team any more.
pub(crate) unsafe fn disband<T: Topology>(driver: &Driver<T>, team: NonNull<Team<T>>) {
    if let Some(assembly) = driver.assembly() {
        let mut assembly = assembly.lock();
        let Some(place) = assembly.teams.iter().position(|shared| shared.team == team) else {
            return; // cannot be
        };
        if let Some(shared) = assembly.teams.get_mut(place) {
            shared.users = shared.users.saturating_sub(1);
            if shared.users > 0 {
                return;
            }
        }
        let _gone = assembly.teams.swap_remove(place);
    }
    // SAFETY: (BND-14) the last user is gone; `leave` closed what was open.
    unsafe { Team::free(team) };
}

//! A whole team among threads: everything that is sent comes back once, nothing
//! overtakes what was sent before it in its bucket, whatever dies, leaves, joins or
//! pauses meanwhile.

// Indexes into vectors that the test made.
#![allow(clippy::indexing_slicing, non_snake_case)]

mod fake;

use super::bond::{Members, Slot, Spread};
use super::crew::Crew;
use super::frames::Stock;
use super::member::Member;
use super::moves::{self, Moved};
use super::route::Route;
use super::table::{Table, bit, slots};
use super::{receive, send};
use crate::flow::Waiters;
use crate::gate::bit as gate;
use crate::path::Path;
use ethernet::Mac;
use fake::{ABOVE, Adapter, OneFrame, Raw, be_processor, bytes_of, chain_of};
use im_control::DropReason as R;
use ndis::memory::{Pool, PoolBox, Tag};
use ndis::nbl::{BindingHandle, Chain, FromAbove, FromBelow, Lent, MiniportHandle};
use ndis::sys::{
    NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_STATUS_FAILURE, NDIS_STATUS_SUCCESS, NET_BUFFER,
};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::vec::Vec;

pub(super) const POOL: Pool = Pool {
    handle: core::ptr::null_mut(),
    tag: Tag::new(*b"Test"),
};

const ADDRESS: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// Where the team's own frames go.
const CONTROL: [u8; 14] = [1, 0x80, 0xC2, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0x09];

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % below.max(1) as u64) as usize
    }
}

/// A team with its miniport and its adapters.
pub struct Stage {
    path: Path,
    route: Route,
    spread: Spread,
    members: Vec<Member>,
    /// None moves: their addresses are handles.
    adapters: Box<[Adapter]>,
    /// What the stack above has.
    above: Mutex<Vec<Raw>>,
    /// The last number of each flow on the wire.
    wire: Mutex<BTreeMap<u32, u32>>,
    sent: AtomicUsize,
    carried: AtomicUsize,
    succeeded: AtomicUsize,
    failed: AtomicUsize,
    arrived: AtomicUsize,
    control: AtomicUsize,
    paused: AtomicBool,
    again: AtomicU32,
    /// Slots whose markers are not answered yet; and whether they are at once.
    markers: Mutex<Vec<Slot>>,
    prompt: AtomicBool,
}

// SAFETY: (VMI-9) handles are addresses of what the stage owns.
unsafe impl Send for Stage {}
// SAFETY: (VMI-9) as above.
unsafe impl Sync for Stage {}

impl Stage {
    fn new(spread: Spread, count: usize) -> Box<Self> {
        let stage = Box::new(Self {
            path: Path::try_new(POOL).unwrap(),
            route: Route::try_new(POOL).unwrap(),
            spread,
            members: (0..count).map(|_| Member::try_new(POOL).unwrap()).collect(),
            adapters: (0..count).map(|_| Adapter::default()).collect(),
            above: Mutex::default(),
            wire: Mutex::default(),
            sent: AtomicUsize::new(0),
            carried: AtomicUsize::new(0),
            succeeded: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            control: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            again: AtomicU32::new(0),
            markers: Mutex::default(),
            prompt: AtomicBool::new(true),
        });
        // SAFETY: (IRQ-9) in its box, not shared yet.
        unsafe { stage.route.init() };
        let raw: *const Self = &raw const *stage;
        stage
            .path
            .set_miniport(MiniportHandle(raw.cast_mut().cast()));
        stage.path.gate.clear(u32::MAX);
        for (slot, (member, adapter)) in stage.members.iter().zip(&stage.adapters).enumerate() {
            let handle: *const Adapter = adapter;
            let handle = handle.cast_mut().cast();
            // SAFETY: (VMI-9) both live as long as the stage.
            unsafe { member.settle(slot as Slot, BindingHandle(handle), handle) };
            member.path.gate.clear(u32::MAX);
            stage.route.take_in(member);
        }
        stage
            .route
            .prepare(ADDRESS, || {
                // SAFETY: (NBL-3) the fake does not look at it.
                PoolBox::try_new(POOL, unsafe {
                    Stock::try_new(core::ptr::null_mut(), POOL.tag)
                }?)
            })
            .unwrap();
        stage.route.publish(POOL, Some(1 | 4 | 8)).unwrap();
        stage.route.set_alive(Members::MAX);
        stage.route.set_collect(Members::MAX);
        stage
    }

    /// Puts another table in force.
    fn adopt(&self, members: Members, seed: u64) -> Moved {
        let mut table = Table::make(POOL).unwrap();
        table.ranking = *super::table::tests::ranking(self.all(), seed);
        table.set_members(members);
        moves::adopt(self, table)
    }

    fn all(&self) -> Members {
        (1 << self.members.len()) - 1
    }

    /// Sends frames of these flows and numbers as one chain.
    fn send(&self, frames: &[(u32, u32)]) {
        let lists: Vec<Raw> = frames
            .iter()
            .map(|(flow, number)| Raw(OneFrame::make(&frame(*flow, *number), ABOVE)))
            .collect();
        self.sent.fetch_add(lists.len(), Ordering::SeqCst);
        // SAFETY: (SND-1) just made, for the team alone.
        let chain: Chain<FromAbove> = unsafe { Chain::adopt(chain_of(&lists)) };
        send::send(self, chain, 0, 0);
    }

    /// Puts up to `count` lists of an adapter on the wire, and completes them.
    fn carry(&self, slot: usize, count: usize) -> usize {
        let adapter = &self.adapters[slot];
        let mut done: Vec<Raw> = Vec::new();
        {
            let mut queue = adapter.queue.lock().unwrap();
            for _ in 0..count {
                let Some(list) = queue.0.pop_front() else {
                    break;
                };
                // SAFETY: (SND-3) the adapter has it.
                let bytes = unsafe { bytes_of(list.0) };
                if bytes.starts_with(&CONTROL) {
                    self.control.fetch_add(1, Ordering::SeqCst);
                } else {
                    self.on_wire(bytes);
                }
                // SAFETY: (SND-3) as above.
                unsafe { (*list.0).Status = NDIS_STATUS_SUCCESS };
                done.push(list);
            }
        }
        for list in adapter.failed.lock().unwrap().drain(..) {
            // SAFETY: (SND-3) the adapter has it.
            unsafe { (*list.0).Status = NDIS_STATUS_FAILURE };
            done.push(list);
        }
        let count = done.len();
        if count != 0 {
            // SAFETY: (SND-8) the team's again.
            let chain: Chain<FromAbove> = unsafe { Chain::adopt(chain_of(&done)) };
            let member = &self.members[slot];
            send::sent(&self.route, Some(self), member, chain, 0);
        }
        count
    }

    fn on_wire(&self, bytes: &[u8]) {
        let (flow, number) = read(bytes);
        self.carried.fetch_add(1, Ordering::SeqCst);
        let before = self.wire.lock().unwrap().insert(flow, number);
        if !matches!(self.spread, Spread::Turns | Spread::All) {
            assert!(
                before.is_none_or(|before| before < number),
                "flow {flow}: {number} after {before:?}"
            );
        }
    }

    /// The stack above has a list back.
    fn completed(&self, _bytes: &[u8], succeeded: bool) {
        let counter = if succeeded {
            &self.succeeded
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }

    fn arrived(&self, _bytes: &[u8]) {
        self.arrived.fetch_add(1, Ordering::SeqCst);
    }

    /// Carries everything until nothing is left anywhere.
    fn finish(&self) {
        loop {
            let carried: usize = (0..self.adapters.len())
                .map(|slot| self.carry(slot, 1000))
                .sum();
            self.give_back(usize::MAX);
            if carried == 0 && self.path.outstanding() == 0 {
                break;
            }
        }
        for member in &self.members {
            assert_eq!(member.path.outstanding(), 0);
            assert!(member.is_done(0) && member.is_done(1));
            assert_eq!(member.load(), 0);
        }
        assert!(self.route.held.lock().is_empty());
        for bucket in 0..=255 {
            assert_eq!(self.route.flowlet(bucket).unwrap().read().1, 0);
        }
        let done = self.succeeded.load(Ordering::SeqCst) + self.failed.load(Ordering::SeqCst);
        assert_eq!(done, self.sent.load(Ordering::SeqCst));
        assert_eq!(ndis::nbl::lost(), 0);
    }

    /// The stack above returns lists, mixed.
    fn give_back(&self, most: usize) {
        let lists: Vec<Raw> = {
            let mut above = self.above.lock().unwrap();
            let keep = above.len().saturating_sub(most);
            above.split_off(keep)
        };
        // SAFETY: (RCV-7) shown to the stack, which returns them.
        let chain: Chain<FromBelow> = unsafe { Chain::adopt(chain_of(&lists)) };
        receive::returned(self, chain, 0);
    }

    /// A member dies: nothing that it has is sent any more.
    fn kill(&self, slot: usize, alive: &mut Members) {
        {
            let mut queue = self.adapters[slot].queue.lock().unwrap();
            queue.1 = true;
            let lost: Vec<Raw> = queue.0.drain(..).collect();
            self.adapters[slot].failed.lock().unwrap().extend(lost);
        }
        *alive &= !bit(slot as Slot);
        self.route.set_alive(*alive);
    }

    /// A member lives again. A link is down for longer than a call takes: nobody who
    /// chose the member before it died is still about to give it something. (Where one
    /// is, what it gives may be overtaken by what went elsewhere meanwhile.)
    fn revive(&self, slot: usize, alive: &mut Members) {
        self.route.wait_for_readers();
        self.adapters[slot].queue.lock().unwrap().1 = false;
        *alive |= bit(slot as Slot);
        self.route.set_alive(*alive);
    }

    /// NetEventPause on a member: what it had is back when this returns.
    fn pause_member(&self, slot: usize) {
        let (member, adapter) = (&self.members[slot], &self.adapters[slot]);
        member
            .path
            .gate
            .set(gate::LOWER_NO_SENDS | gate::LOWER_NO_RECEIVES);
        adapter.drained.store(false, Ordering::SeqCst);
        if !member.path.wait(Waiters::LOWER).lower {
            while !adapter.drained.load(Ordering::SeqCst) {
                self.answer();
                self.carry(slot, 100);
                self.give_back(10);
                std::thread::yield_now();
            }
        }
        assert_eq!(member.path.outstanding(), 0);
        assert!(adapter.queue.lock().unwrap().0.is_empty());
    }

    fn resume_member(&self, slot: usize) {
        self.members[slot].path.resume();
        self.members[slot].path.gate.clear(u32::MAX);
    }

    /// MiniportPause and MiniportRestart.
    fn pause_team(&self) {
        self.path.gate.set(gate::UPPER_NO_SENDS);
        send::release_held(self);
        self.paused.store(false, Ordering::SeqCst);
        if !self.path.wait(Waiters::UPPER).upper {
            while !self.paused.load(Ordering::SeqCst) {
                for slot in 0..self.adapters.len() {
                    self.carry(slot, 10);
                }
                self.give_back(10);
                std::thread::yield_now();
            }
        }
        assert_eq!(self.path.outstanding(), 0);
        self.path.resume();
        self.path.gate.clear(u32::MAX);
    }

    /// Answers markers.
    fn answer(&self) {
        let asked: Vec<Slot> = self.markers.lock().unwrap().drain(..).collect();
        for slot in asked {
            self.route.marker_back(slot);
        }
    }

    /// Frames come in on a member: one of each fate.
    fn hear(&self, slot: usize, lent: bool) {
        let handle: *const Adapter = &raw const self.adapters[slot];
        let mut frames = Vec::new();
        for destination in [ADDRESS.0, [2, 0, 0, 0, 0, 9], [0xFF; 6]] {
            let mut frame = frame(1, 1).to_vec();
            frame[..6].copy_from_slice(&destination);
            frames.push(frame);
        }
        frames.insert(1, CONTROL.to_vec());
        let lists: Vec<Raw> = frames
            .iter()
            .map(|frame| Raw(OneFrame::make(frame, handle.addr())))
            .collect();
        let head = chain_of(&lists);
        let member = &self.members[slot];
        if lent {
            // SAFETY: (RCV-2) just made; freed below, after the call.
            let borrowed = unsafe { Lent::borrow(head) };
            receive::lent(self, member, borrowed, 0, NDIS_RECEIVE_FLAGS_RESOURCES);
            let mut next = head;
            for list in &lists {
                // SAFETY: (RCV-2) the chain is as it was.
                unsafe {
                    assert_eq!(next, list.0);
                    next = (*next).Next;
                    drop(OneFrame::free(list.0, handle.addr()));
                }
            }
            assert!(next.is_null());
        } else {
            // SAFETY: (RCV-1) just made, for the team alone.
            let chain: Chain<FromBelow> = unsafe { Chain::adopt(head) };
            receive::receive(self, member, chain, 0, 0);
        }
    }
}

fn frame(flow: u32, number: u32) -> [u8; 64] {
    let mut frame = [0; 64];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0]);
    frame[14..18].copy_from_slice(&flow.to_le_bytes());
    frame[18..22].copy_from_slice(&number.to_le_bytes());
    frame
}

fn read(frame: &[u8]) -> (u32, u32) {
    let word = |at: usize| u32::from_le_bytes(frame[at..at + 4].try_into().unwrap());
    (word(14), word(18))
}

impl Crew for Stage {
    const TAG: Tag = POOL.tag;
    type Port = Spread;

    fn path(&self) -> &Path {
        &self.path
    }
    fn route(&self) -> &Route {
        &self.route
    }
    fn port(&self) -> Option<&Spread> {
        Some(&self.spread)
    }
    fn spread(port: &Spread) -> Spread {
        *port
    }
    fn bucket(_port: &Spread, head: &[u8], _beside: usize, _hash: Option<u32>) -> u8 {
        if head[18] == 200 {
            // Whoever looked at the table long ago still goes by it.
            std::thread::sleep(core::time::Duration::from_millis(1));
        }
        head[14]
    }
    fn uses_hash_info(_port: &Spread) -> bool {
        false
    }
    fn wants_frame(_port: &Spread, _head: &[u8]) -> bool {
        false
    }
    fn keeps_duplicates(_port: &Spread) -> bool {
        false
    }
    fn tell(&self, told: Waiters) {
        assert!(!told.lower);
        if told.upper {
            self.paused.store(true, Ordering::SeqCst);
        }
    }
    fn tell_member(member: &Member, told: Waiters) {
        assert!(!told.upper);
        if told.lower {
            // SAFETY: (PBS-2) owned by the stage.
            let adapter = unsafe { &*member.owner().cast::<Adapter>() };
            adapter.drained.store(true, Ordering::SeqCst);
        }
    }
    fn received(&self, _slot: Slot, frame: &[u8]) {
        assert!(frame.starts_with(&CONTROL));
        self.control.fetch_add(1, Ordering::SeqCst);
    }
    fn stack_sent(&self, _frame: &[u8]) {
        panic!("no neighbour was sent");
    }
    fn marker(&self, slot: Slot) {
        // Everything that was handed over before has been on the wire.
        self.markers.lock().unwrap().push(slot);
        if self.prompt.load(Ordering::SeqCst) {
            self.answer();
        }
    }
    fn look_again(&self) {
        self.again.fetch_add(1, Ordering::SeqCst);
    }
}

/// Ends the other threads, also when a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Two senders, two wires, a receiver, and everything that can happen to members,
/// `moves` times.
fn storm(spread: Spread, seed: u64, moves: usize) {
    let stage = Stage::new(spread, 4);
    stage.adopt(stage.all(), seed);
    stage.prompt.store(false, Ordering::SeqCst);
    let stop = AtomicBool::new(false);
    let (stage, stop) = (&*stage, &stop);
    std::thread::scope(|scope| {
        for sender in 0..2_usize {
            scope.spawn(move || {
                let _stop = Stop(stop);
                be_processor(sender);
                let mut dice = Dice(seed ^ sender as u64);
                let mut numbers = [0_u32; 24];
                while !stop.load(Ordering::SeqCst) {
                    if stage.path.outstanding() > 400 {
                        std::thread::yield_now();
                        continue;
                    }
                    let batch: Vec<(u32, u32)> = (0..=dice.roll(12))
                        .map(|_| {
                            let which = dice.roll(numbers.len());
                            numbers[which] += 1;
                            ((which * 2 + sender) as u32 * 5, numbers[which])
                        })
                        .collect();
                    stage.send(&batch);
                }
            });
        }
        for wire in 0..2_usize {
            scope.spawn(move || {
                let _stop = Stop(stop);
                be_processor(2 + wire);
                let mut dice = Dice(seed ^ 0x77 ^ wire as u64);
                let mut slow = 0;
                while !stop.load(Ordering::SeqCst) {
                    if dice.roll(50) == 0 {
                        slow = dice.roll(4);
                    }
                    let slot = dice.roll(4);
                    if slot != slow || dice.roll(10) == 0 {
                        stage.carry(slot, 1 + dice.roll(20));
                    }
                    if wire == 0 {
                        stage.hear(dice.roll(4), dice.roll(2) == 0);
                        stage.give_back(dice.roll(8));
                    }
                    if dice.roll(5) == 0 {
                        stage.answer();
                    }
                    std::thread::yield_now();
                }
            });
        }
        let _stop = Stop(stop);
        be_processor(3);
        let mut dice = Dice(seed ^ 0xABCD);
        let mut alive = stage.all();
        let mut used = stage.all();
        let mut late = 0;
        for step in 0..moves {
            let slot = dice.roll(4);
            let one = bit(slot as Slot);
            match dice.roll(6) {
                0 if alive.count_ones() > 1 && alive & one != 0 => {
                    stage.kill(slot, &mut alive);
                    used &= !one;
                }
                1 if alive & one == 0 => {
                    stage.revive(slot, &mut alive);
                    used |= one;
                }
                // It leaves alive, in order, and comes back.
                2 if used == alive && used.count_ones() > 1 && used & one != 0 => {
                    late |= stage.adopt(used & !one, seed).late;
                    stage.pause_member(slot);
                    stage.resume_member(slot);
                }
                // Its gate closes without a word.
                3 if used & one != 0 && dice.roll(4) == 0 => {
                    stage.kill(slot, &mut alive);
                    stage.pause_member(slot);
                    stage.resume_member(slot);
                    stage.revive(slot, &mut alive);
                }
                4 if dice.roll(3) == 0 => stage.pause_team(),
                _ => {
                    stage.route.send_frame::<Stage>(slot as Slot, &CONTROL);
                }
            }
            let seed = seed + (step as u64 / 3);
            late |= stage.adopt(used, seed).late;
        }
        assert_eq!(late, 0, "a wire stood still");
        // On a busy machine the others may hardly have begun; one that panicked stops all.
        while stage.carried.load(Ordering::SeqCst) <= moves && !stop.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    });
    stage.finish();
    assert!(stage.carried.load(Ordering::SeqCst) > moves);
    assert!(stage.arrived.load(Ordering::SeqCst) > 0);
    assert!(stage.control.load(Ordering::SeqCst) > 0);
}

const MOVES: usize = if cfg!(miri) { 5 } else { 40 };

#[test]
fn one_member_at_a_time() {
    storm(Spread::One, 1, MOVES);
}

#[test]
fn buckets() {
    storm(Spread::Buckets, 2, MOVES);
    storm(Spread::Buckets, 3, MOVES);
}

#[test]
fn flowlets() {
    storm(Spread::Flowlets(50), 4, MOVES);
}

#[test]
fn turns() {
    storm(Spread::Turns, 5, MOVES);
}

#[test]
fn copies_to_all() {
    storm(Spread::All, 6, MOVES);
}

/// A death: the next batch goes elsewhere, and what is lost is what the dead had.
#[test]
fn the_next_batch_goes_elsewhere() {
    let stage = Stage::new(Spread::One, 2);
    stage.adopt(0b11, 7);
    let first = stage.route.carrier(Spread::One, 0).unwrap();
    stage.send(&[(0, 1), (0, 2), (0, 3)]);
    let mut alive = 0b11;
    stage.kill(usize::from(first), &mut alive);
    stage.send(&[(0, 4), (0, 5)]);
    let other = usize::from(1 - first);
    assert_eq!(stage.adapters[other].queue.lock().unwrap().0.len(), 2);
    stage.finish();
    assert_eq!(stage.failed.load(Ordering::SeqCst), 3);
    assert_eq!(stage.succeeded.load(Ordering::SeqCst), 2);
    // Nobody is left.
    stage.kill(other, &mut alive);
    stage.send(&[(0, 6)]);
    stage.finish();
    assert_eq!(stage.failed.load(Ordering::SeqCst), 4);
}

/// A frame whose pages cannot be mapped is refused: a guess would send it another way than the
/// rest of its flow.
#[test]
fn what_cannot_be_read_is_refused() {
    let stage = Stage::new(Spread::Buckets, 2);
    stage.adopt(0b11, 7);
    let list = OneFrame::make(&frame(0, 1), ABOVE);
    // SAFETY: (SND-3) just made, for the team alone.
    let chain: Chain<FromAbove> = unsafe {
        let mdl = (*(*list).FirstNetBuffer).CurrentMdl;
        (*mdl).MdlFlags = 2; // locked, and the fake maps nothing
        Chain::adopt(list)
    };
    stage.sent.fetch_add(1, Ordering::SeqCst);
    send::send(&*stage, chain, 0, 0);
    stage.finish();
    assert_eq!(stage.carried.load(Ordering::SeqCst), 0);
    assert_eq!(stage.failed.load(Ordering::SeqCst), 1);
}

/// A NET_BUFFER without a byte says nothing about the flow of its list.
#[test]
fn an_empty_buffer_in_front_changes_no_bucket() {
    let stage = Stage::new(Spread::Buckets, 2);
    stage.adopt(0b11, 7);
    for flow in 0..32 {
        let list = OneFrame::make(&frame(flow, 1), ABOVE);
        stage.send(&[(flow, 0)]);
        // SAFETY: (SND-3) just made, for the team alone; the empty buffer outlives the send.
        unsafe {
            let mut empty: NET_BUFFER = fake::zeroed();
            let whole = (*list).FirstNetBuffer;
            empty.Next = whole;
            empty.MdlChain = (*whole).MdlChain;
            empty.CurrentMdl = (*whole).CurrentMdl;
            (*list).FirstNetBuffer = &raw mut empty;
            stage.sent.fetch_add(1, Ordering::SeqCst);
            send::send(&*stage, Chain::adopt(list), 0, 0);
            (*list).FirstNetBuffer = whole;
        }
        let both = |adapter: &Adapter| adapter.queue.lock().unwrap().0.len() == 2;
        assert!(stage.adapters.iter().any(both), "flow {flow} goes two ways");
        stage.finish();
    }
}

/// What may change between two looks of the mover makes it count again, and who
/// comes back is not used by the table from before.
#[test]
fn a_table_with_the_members_it_was_made_for() {
    let stage = Stage::new(Spread::Buckets, 3);
    stage.adopt(0b111, 11);
    let route = &stage.route;
    let usable = route.usable();
    route.set_alive(0b101);
    assert!(!route.hold_all(usable), "somebody died");
    assert_eq!(route.carrying(), 0b101);
    route.set_alive(0b111);
    route.admit(0b111);
    assert_eq!(route.usable() & 0b111, 0b111);
    assert_eq!(route.carrying(), 0b101, "by the old table");
    let before = route.moves();
    stage.adopt(0b111, 11);
    assert_eq!(route.carrying(), 0b111);
    let table = route.table_now();
    assert_eq!(route.moves() - before, u64::from(table.share[1]));
    assert!(route.hold_all(route.usable()));
    assert_eq!(route.waiting_buckets().count(), 256);
    stage.send(&[(1, 1), (2, 1)]);
    assert_eq!(stage.path.outstanding(), 2);
    assert!(
        stage
            .adapters
            .iter()
            .all(|one| one.queue.lock().unwrap().0.is_empty())
    );
    stage.pause_team();
    assert_eq!(stage.failed.load(Ordering::SeqCst), 2);
    route.hold_none();
    stage.finish();
}

/// Buckets, weights and turns: everybody its share; nobody that is not asked for.
#[test]
fn spread_by_share() {
    for spread in [Spread::Buckets, Spread::Turns, Spread::Flowlets(5000)] {
        let stage = Stage::new(spread, 4);
        stage.adopt(0b1011, 8);
        let frames: Vec<(u32, u32)> = (0..256).map(|flow| (flow, 1)).collect();
        for batch in frames.chunks(16) {
            stage.send(batch);
        }
        let has = |slot: usize| stage.adapters[slot].queue.lock().unwrap().0.len();
        let table = stage.route.table_now();
        for slot in slots(stage.all()) {
            let (has, share) = (has(usize::from(slot)), table.share[usize::from(slot)]);
            match spread {
                Spread::Flowlets(_) => assert!(has.abs_diff(share.into()) < 8, "{has} {share}"),
                _ => assert_eq!(has, usize::from(share)),
            }
        }
        assert_eq!(has(2), 0);
        stage.finish();
    }
}

/// Flowlets: no bucket goes to a member that is about to be left, unless there is no
/// other; and those that are there wait.
#[test]
fn nothing_new_for_who_is_left() {
    let stage = Stage::new(Spread::Flowlets(5000), 2);
    stage.adopt(0b11, 12);
    let has = |slot: usize| stage.adapters[slot].queue.lock().unwrap().0.len();
    stage.route.close(0b10);
    for flow in 0..40 {
        stage.send(&[(flow, 1)]);
    }
    assert_eq!((has(0), has(1)), (40, 0));
    stage.route.close(0b11);
    for flow in 40..80 {
        stage.send(&[(flow, 1)]);
    }
    assert_eq!(has(0) + has(1), 80);
    stage.carry(0, 100);
    stage.carry(1, 100);
    let before = stage.route.moves();
    stage.adopt(0b01, 12);
    assert!(stage.route.moves() > before);
    assert_eq!(stage.route.carrying(), 0b01);
    for flow in 0..80 {
        stage.send(&[(flow, 2)]);
    }
    assert_eq!((has(0), has(1)), (80, 0));
    stage.finish();
}

/// A copy for each; the original comes back with the last, and well if one was.
#[test]
fn the_original_waits_for_its_copies() {
    let stage = Stage::new(Spread::All, 3);
    stage.adopt(0b111, 9);
    stage.send(&[(1, 1), (2, 1)]);
    assert_eq!(stage.carry(0, 10) + stage.carry(1, 10), 4);
    assert_eq!(stage.succeeded.load(Ordering::SeqCst), 0);
    let mut alive = 0b111;
    stage.kill(2, &mut alive);
    stage.finish();
    assert_eq!(stage.succeeded.load(Ordering::SeqCst), 2);
    assert_eq!(stage.carried.load(Ordering::SeqCst), 4);
}

/// Groups on a member that does not receive for the team, frames for others, and the
/// team's own stay below; lent or given.
#[test]
fn what_goes_up() {
    for lent in [false, true] {
        let stage = Stage::new(Spread::One, 2);
        stage.adopt(0b11, 10);
        stage.route.set_collect(0b01);
        stage.hear(0, lent);
        assert_eq!(stage.arrived.swap(0, Ordering::SeqCst), 2);
        stage.hear(1, lent);
        assert_eq!(stage.arrived.swap(0, Ordering::SeqCst), 1);
        assert_eq!(stage.control.load(Ordering::SeqCst), 2);
        let drops = |slot: usize| {
            let path = &stage.members[slot].path;
            [R::ReceiveControl, R::ReceiveUnwanted, R::ReceiveInactive]
                .map(|reason| path.drops(reason))
        };
        assert_eq!((drops(0), drops(1)), ([1, 1, 0], [1, 1, 1]));
        stage.route.publish(POOL, None).unwrap();
        stage.hear(0, lent);
        assert_eq!(stage.arrived.load(Ordering::SeqCst), 0);
        stage.finish();
        if !lent {
            let back: Vec<usize> = stage
                .adapters
                .iter()
                .map(|adapter| adapter.returned.load(Ordering::SeqCst))
                .collect();
            assert_eq!(back, [8, 4]);
        }
    }
}

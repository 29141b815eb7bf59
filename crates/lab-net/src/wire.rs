//! A wire in memory between two endpoints, in virtual time: with latency, a
//! rate, queues that fill up, and, when asked for, faults.
//!
//! This is the path without a driver. Tests of the endpoints run over it, and a
//! measurement through a driver is compared with the same traffic over it.
//!
//! ```
//! use lab_net::host::{HostConfig, IpHost, Ping, SECOND};
//! use lab_net::wire::{Impairment, Wire};
//! use lab_net::Mac;
//!
//! # fn main() -> Result<(), lab_net::host::HostError> {
//! let host = |n: u16| {
//!     let address = format!("10.0.0.{n}").parse().unwrap();
//!     IpHost::new(HostConfig::new("host", Mac::local(1, n), n.into()).address(address, 24))
//! };
//! let (mut a, mut b) = (host(1)?, host(2)?);
//! let job = a.ping(Ping::to("10.0.0.2".parse().unwrap()))?;
//! let mut wire = Wire::new(Impairment::default(), 1);
//! assert!(wire.run(&mut a, &mut b, 10 * SECOND, |a, _| a.is_done(job)));
//! assert!(a.report(job).to_string().starts_with("ping 10.0.0.2 100/100"));
//! # Ok(())
//! # }
//! ```
//!
//! Single-threaded: one call of [`Wire::run`] drives both ends.

use std::collections::BTreeMap;

use crate::mix::{Chance, derive};
use crate::{Endpoint, Frame};

/// What a wire does to frames. Ratios are per million frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Impairment {
    /// Nanoseconds from one end to the other.
    pub latency: u64,
    /// Megabits per second.
    pub rate_mbps: u32,
    /// Frames on the wire in one direction before the sender has to wait.
    pub depth: usize,
    /// Frames lost.
    pub loss: u32,
    /// Frames delivered twice.
    pub duplicate: u32,
    /// Frames delayed so that later ones overtake them.
    pub reorder: u32,
    /// Frames in which one bit changes.
    pub corrupt: u32,
}

impl Default for Impairment {
    /// A sound 10 Gbit/s wire with 10 us latency and room for 1,024 frames.
    fn default() -> Self {
        Self {
            latency: 10_000,
            rate_mbps: 10_000,
            depth: 1_024,
            loss: 0,
            duplicate: 0,
            reorder: 0,
            corrupt: 0,
        }
    }
}

/// What a wire did, both directions together.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct WireCounters {
    /// Times that both ends were polled.
    pub rounds: u64,
    /// Frames put on the wire.
    pub sent: u64,
    /// Frames that arrived, copies included.
    pub delivered: u64,
    /// Frames lost on purpose.
    pub lost: u64,
    /// Frames copied on purpose.
    pub duplicated: u64,
    /// Frames delayed on purpose.
    pub reordered: u64,
    /// Frames changed on purpose.
    pub corrupted: u64,
}

/// One direction.
struct Lane {
    impairment: Impairment,
    chance: Chance,
    /// Ordered by arrival, then by number: equal times keep their order.
    flying: BTreeMap<(u64, u64), Frame>,
    next: u64,
    free_at: u64,
}

impl Lane {
    fn new(impairment: Impairment, seed: u64) -> Self {
        Self {
            impairment,
            chance: Chance::new(seed),
            flying: BTreeMap::new(),
            next: 0,
            free_at: 0,
        }
    }

    fn full(&self) -> bool {
        self.flying.len() >= self.impairment.depth.max(1)
    }

    fn arrival(&self) -> Option<u64> {
        self.flying.first_key_value().map(|((at, _), _)| *at)
    }

    fn fly(&mut self, at: u64, frame: Frame) {
        self.flying.insert((at, self.next), frame);
        self.next += 1;
    }

    fn put(&mut self, now: u64, mut frame: Frame, counters: &mut WireCounters) {
        let what = self.impairment;
        counters.sent += 1;
        let bits = frame.len() as u64 * 8;
        let length = bits * 1_000 / u64::from(what.rate_mbps.max(1));
        self.free_at = self.free_at.max(now) + length;
        let mut at = self.free_at + what.latency;
        if self.chance.hit(what.loss) {
            counters.lost += 1;
            return;
        }
        if self.chance.hit(what.corrupt) && bits > 0 {
            let bit = self.chance.below(bits);
            frame[(bit / 8) as usize] ^= 1 << (bit % 8);
            counters.corrupted += 1;
        }
        if self.chance.hit(what.reorder) {
            at += what.latency + self.chance.between(1, 8) * length.max(1);
            counters.reordered += 1;
        }
        if self.chance.hit(what.duplicate) {
            self.fly(at, frame.clone());
            counters.duplicated += 1;
        }
        self.fly(at, frame);
    }

    fn deliver(&mut self, now: u64, to: &mut dyn Endpoint, counters: &mut WireCounters) -> bool {
        let mut any = false;
        while let Some(first) = self.flying.first_entry() {
            if first.key().0 > now {
                break;
            }
            to.on_frame(now, &first.remove());
            counters.delivered += 1;
            any = true;
        }
        any
    }
}

fn poll(lane: &mut Lane, now: u64, from: &mut dyn Endpoint, counters: &mut WireCounters) {
    if lane.full() {
        return;
    }
    from.poll(now, &mut |frame| {
        lane.put(now, frame, counters);
        !lane.full()
    });
}

/// The wire. See the module's documentation.
pub struct Wire {
    now: u64,
    there: Lane,
    back: Lane,
    counters: WireCounters,
}

impl Wire {
    /// A wire whose faults `seed` decides. Time starts at zero.
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        Self {
            now: 0,
            there: Lane::new(impairment, derive(seed, 0)),
            back: Lane::new(impairment, derive(seed, 1)),
            counters: WireCounters::default(),
        }
    }

    /// The virtual time.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What happened so far.
    pub fn counters(&self) -> WireCounters {
        self.counters
    }

    /// Drives both ends until `done` says so (true) or until virtual time
    /// reaches `deadline` or nothing is left to happen (false).
    pub fn run<A: Endpoint, B: Endpoint>(
        &mut self,
        a: &mut A,
        b: &mut B,
        deadline: u64,
        mut done: impl FnMut(&A, &B) -> bool,
    ) -> bool {
        loop {
            self.counters.rounds += 1;
            self.there.deliver(self.now, b, &mut self.counters);
            self.back.deliver(self.now, a, &mut self.counters);
            poll(&mut self.there, self.now, a, &mut self.counters);
            poll(&mut self.back, self.now, b, &mut self.counters);
            if done(a, b) {
                return true;
            }
            // An end whose lane is full waits for an arrival to make room.
            let wish_a = a.next_poll(self.now).filter(|_| !self.there.full());
            let wish_b = b.next_poll(self.now).filter(|_| !self.back.full());
            let next = [wish_a, wish_b, self.there.arrival(), self.back.arrival()];
            let Some(next) = next.into_iter().flatten().min() else {
                return false;
            };
            // A wish for "now" after a poll that did all it could: time moves on,
            // so that two eager ends cannot stop the clock.
            self.now = if next > self.now { next } else { self.now + 1 };
            if self.now >= deadline {
                self.now = deadline;
                return false;
            }
        }
    }
}

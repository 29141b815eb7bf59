//! Thousands of flows from one place.

use super::ledger::{FlowId, Ledger};
use crate::mix::{Chance, derive};
use crate::{Endpoint, Frame};

/// How a swarm sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwarmPace {
    /// Frames in all; `u64::MAX` runs until [`Swarm::stop`].
    pub frames: u64,
    /// Octets of each frame.
    pub length: usize,
    /// Frames of a flow in a row, before another has its turn.
    pub run: u32,
    /// Nanoseconds from one burst to the next. Zero: as fast as frames are taken.
    pub interval: u64,
    /// Frames in a burst, and the most in a poll.
    pub burst: u32,
}

impl Default for SwarmPace {
    fn default() -> Self {
        Self {
            frames: 10_000,
            length: 1_514,
            run: 1,
            interval: 0,
            burst: 64,
        }
    }
}

/// A frame that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SentFrame {
    /// When.
    pub at: u64,
    /// The poll it was made in: whoever drives an endpoint sends a poll's frames as one
    /// batch.
    pub batch: u32,
    /// Its flow's place among the swarm's.
    pub flow: u32,
    /// Its number within the flow.
    pub number: u32,
}

/// Sends many flows in turn, in an order that the seed decides: every flow has its turn
/// once before any has it again, so that the load of each is known on paper.
pub struct Swarm {
    ledger: Ledger,
    flows: Vec<FlowId>,
    /// Frames sent of each.
    counts: Vec<u32>,
    order: Vec<u32>,
    at: usize,
    in_run: u32,
    pace: SwarmPace,
    chance: Chance,
    sent: u64,
    in_burst: u32,
    next_burst: u64,
    batches: u32,
    stopped: bool,
    log: Option<Vec<SentFrame>>,
}

impl Swarm {
    /// A swarm over these flows of a ledger; it begins with [`Swarm::begin`].
    ///
    /// # Panics
    /// Without a flow.
    pub fn new(ledger: &Ledger, flows: Vec<FlowId>, pace: SwarmPace) -> Self {
        assert!(!flows.is_empty(), "a swarm has flows");
        let mut swarm = Self {
            chance: Chance::new(derive(ledger.seed(), 0x4_0000)),
            ledger: ledger.clone(),
            counts: vec![0; flows.len()],
            order: (0..flows.len() as u32).collect(),
            flows,
            at: 0,
            in_run: 0,
            pace,
            sent: 0,
            in_burst: 0,
            next_burst: u64::MAX,
            batches: 0,
            stopped: false,
            log: None,
        };
        swarm.shuffle();
        swarm
    }

    /// Keeps a line for each frame.
    #[must_use]
    pub fn logged(mut self) -> Self {
        self.log = Some(Vec::new());
        self
    }

    fn shuffle(&mut self) {
        for last in (1..self.order.len()).rev() {
            let other = self.chance.below(last as u64 + 1) as usize;
            self.order.swap(last, other);
        }
    }

    /// Begins now. Whoever calls it lets its place be polled.
    pub fn begin(&mut self, now: u64) {
        self.next_burst = now;
        self.stopped = false;
    }

    /// Sends so many more, from now on.
    pub fn go_on(&mut self, now: u64, frames: u64) {
        self.pace.frames = self.sent.saturating_add(frames);
        self.begin(now);
    }

    /// Sends only its first flows from now on.
    pub fn keep_to(&mut self, flows: usize) {
        let flows = flows.clamp(1, self.flows.len());
        self.order = (0..flows as u32).collect();
        (self.at, self.in_run) = (0, 0);
        self.shuffle();
    }

    /// Another pace from now on; what was sent counts.
    pub fn set_pace(&mut self, pace: SwarmPace) {
        self.pace = pace;
    }

    /// Sends nothing from now on.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Frames sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Polls that made frames, so far.
    pub fn batches(&self) -> u32 {
        self.batches
    }

    /// Whether everything ordered was sent, or it was stopped.
    pub fn is_done(&self) -> bool {
        self.stopped || self.sent >= self.pace.frames
    }

    /// Its flows.
    pub fn flows(&self) -> &[FlowId] {
        &self.flows
    }

    /// Frames sent of each flow.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// What was sent since the last call, if it keeps a log.
    pub fn take_log(&mut self) -> Vec<SentFrame> {
        self.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn frame(&mut self, now: u64) -> Frame {
        let flow = self.order[self.at];
        let frame = self
            .ledger
            .send(self.flows[flow as usize], now, self.pace.length);
        let count = &mut self.counts[flow as usize];
        if let Some(log) = &mut self.log {
            log.push(SentFrame {
                at: now,
                batch: self.batches,
                flow,
                number: *count,
            });
        }
        *count += 1;
        self.sent += 1;
        self.in_run += 1;
        if self.in_run >= self.pace.run.max(1) {
            self.in_run = 0;
            self.at += 1;
            if self.at == self.order.len() {
                self.at = 0;
                self.shuffle();
            }
        }
        frame
    }
}

impl Endpoint for Swarm {
    fn on_frame(&mut self, _now: u64, _frame: &[u8]) {}

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        if self.is_done() || self.next_burst > now {
            return;
        }
        self.batches += 1;
        while !self.is_done() && self.next_burst <= now {
            let frame = self.frame(now);
            self.in_burst += 1;
            let over = self.in_burst >= self.pace.burst.max(1);
            if over {
                self.in_burst = 0;
                // A late burst does not make the next one late as well.
                let due = self.next_burst.saturating_add(self.pace.interval);
                let missed = due.saturating_add(self.pace.interval) < now;
                self.next_burst = if missed { now } else { due };
            }
            if !out(frame) || over {
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        let waits = self.next_burst == u64::MAX;
        (!self.is_done() && !waits).then(|| self.next_burst.max(now))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use super::*;
    use crate::Mac;
    use crate::oracle::{Flow, Sink, peek};

    #[test]
    fn every_flow_has_its_turn_and_the_books_know_each() {
        let ledger = Ledger::new(5);
        let flows: Vec<FlowId> = (0..1_000_u16)
            .map(|n| {
                let end = |last, port| SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, last), port);
                let (from, to) = (end(1, 1_024 + n), end(2, 5_000));
                ledger.add_flow(Flow::udp("f", Mac::local(2, 1), Mac::local(2, 2), from, to))
            })
            .collect();
        let pace = SwarmPace {
            frames: 5_000,
            burst: 64,
            ..SwarmPace::default()
        };
        let mut swarm = Swarm::new(&ledger, flows.clone(), pace).logged();
        let mut sink = Sink::new(&ledger, Mac::local(2, 2), &flows);
        let mut frames = Vec::new();
        assert_eq!(swarm.next_poll(0), None, "not before it is told to");
        swarm.begin(10);
        while let Some(at) = swarm.next_poll(10) {
            swarm.poll(at, &mut |frame| {
                frames.push(frame);
                true
            });
        }
        assert_eq!(
            (frames.len(), swarm.batches()),
            (5_000, 5_000_u32.div_ceil(64))
        );
        assert!(swarm.counts().iter().all(|&count| count == 5));
        let log = swarm.take_log();
        for (frame, line) in frames.iter().zip(&log) {
            let (flow, number) = peek(frame).expect("one of the oracle's");
            assert_eq!(
                (flow, number),
                (flows[line.flow as usize], line.number.into())
            );
        }
        // One frame of one flow after its successor, and one twice.
        let of_first = |n: u32| {
            let mut lines = log.iter();
            lines
                .position(|line| line.flow == 0 && line.number == n)
                .expect("sent")
        };
        let (second, third) = (of_first(1), of_first(2));
        frames.swap(second, third);
        let twice = frames[7].clone();
        frames.push(twice);
        for frame in &frames {
            sink.on_frame(20, frame);
        }
        let verdict = ledger.verdict();
        assert_eq!((verdict.received, verdict.lost), (5_000, 0));
        assert_eq!((verdict.misordered, verdict.duplicated), (1, 1));
    }
}

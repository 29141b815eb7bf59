//! Sends the frames of a flow at a pace.

use super::frame::smallest;
use super::ledger::{Carrier, FlowId, Ledger};
use crate::mix::{Chance, derive};
use crate::{ETHERNET_HEADER, Endpoint, Frame};

/// How many frames, how large, how fast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Frames in all; `u64::MAX` runs until [`Generator::stop`].
    pub frames: u64,
    /// The largest packet; the largest frame is 14 octets more.
    pub mtu: u16,
    /// Nanoseconds from one burst to the next. Zero: as fast as frames are taken.
    pub interval: u64,
    /// Frames in a burst.
    pub burst: u32,
}

impl Default for Pace {
    /// 1,000 frames for MTU 1500, as fast as they are taken.
    fn default() -> Self {
        Self {
            frames: 1_000,
            mtu: 1_500,
            interval: 0,
            burst: 32,
        }
    }
}

/// Sends a flow. See [`crate::oracle`].
pub struct Generator {
    ledger: Ledger,
    flow: FlowId,
    pace: Pace,
    smallest: u64,
    sizes: Chance,
    sent: u64,
    in_burst: u32,
    next_burst: u64,
    stopped: bool,
}

impl Generator {
    /// A generator for `flow`; it begins with its first poll.
    pub fn new(ledger: &Ledger, flow: FlowId, pace: Pace) -> Self {
        Self::starting_at(ledger, flow, pace, 0)
    }

    /// A generator that begins at `start`; `u64::MAX`: not before
    /// [`Generator::begin`].
    pub fn starting_at(ledger: &Ledger, flow: FlowId, pace: Pace, start: u64) -> Self {
        let carrier = ledger.carrier(flow);
        Self {
            sizes: Chance::new(derive(ledger.seed(), 0x3_0000 + u64::from(flow.0))),
            ledger: ledger.clone(),
            flow,
            pace,
            smallest: smallest(&carrier) as u64,
            sent: 0,
            in_burst: 0,
            next_burst: start,
            stopped: false,
        }
    }

    /// Begins now. Whoever calls it lets its place be polled.
    pub fn begin(&mut self, now: u64) {
        self.next_burst = now;
    }

    /// Frames sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether everything ordered was sent, or it was stopped.
    pub fn is_done(&self) -> bool {
        self.stopped || self.sent >= self.pace.frames
    }

    /// Sends nothing from now on.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// The edges of the range come more often than what is between them.
    fn size(&mut self) -> usize {
        let largest = (u64::from(self.pace.mtu) + ETHERNET_HEADER as u64).max(self.smallest);
        let size = match self.sizes.below(8) {
            0 => self.smallest,
            1 => largest,
            _ => self.sizes.between(self.smallest, largest),
        };
        size as usize
    }
}

impl Endpoint for Generator {
    fn on_frame(&mut self, _now: u64, _frame: &[u8]) {}

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        while !self.is_done() && self.next_burst <= now {
            let size = self.size();
            let frame = self.ledger.send(self.flow, now, size);
            self.sent += 1;
            self.in_burst += 1;
            if self.in_burst >= self.pace.burst {
                self.in_burst = 0;
                // A late poll does not make the next burst late as well, but
                // bursts that were missed are not made up for.
                let due = self.next_burst.saturating_add(self.pace.interval);
                self.next_burst = if due.saturating_add(self.pace.interval) < now {
                    now
                } else {
                    due
                };
            }
            if !out(frame) {
                return;
            }
            if self.pace.interval == 0 && self.in_burst == 0 {
                return; // One burst a poll, so that a poll is bounded.
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        let waits = self.next_burst == u64::MAX;
        (!self.is_done() && !waits).then(|| self.next_burst.max(now))
    }
}

impl Ledger {
    /// How a flow's frames travel.
    pub fn carrier(&self, flow: FlowId) -> Carrier {
        self.with_flow(flow, |flow| flow.carrier)
    }
}

//! Takes the frames of flows and books each.

use super::ledger::{FlowId, Ledger};
use crate::{Endpoint, Frame, Mac};

/// Takes flows. See [`crate::oracle`].
pub struct Sink {
    ledger: Ledger,
    mac: Mac,
    strict: bool,
    flows: Vec<FlowId>,
    frames: u64,
    foreign: u64,
}

impl Sink {
    /// A sink with address `mac` to which `flows` lead. Hosts may have the same
    /// address, as protocols above one adapter do: what does not look like a frame
    /// of the oracle is theirs.
    pub fn new(ledger: &Ledger, mac: Mac, flows: &[FlowId]) -> Self {
        let mut flows = flows.to_vec();
        flows.sort_unstable();
        Self {
            ledger: ledger.clone(),
            mac,
            strict: false,
            flows,
            frames: 0,
            foreign: 0,
        }
    }

    /// Nobody else has its address: whatever is sent to it and is none of the
    /// oracle's is an alien.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Frames that arrived.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Of these, frames that are none of the oracle's: those of hosts at the same
    /// place.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }
}

impl Endpoint for Sink {
    fn on_frame(&mut self, _now: u64, frame: &[u8]) {
        self.frames += 1;
        let own = self.strict.then_some(self.mac);
        if !self.ledger.receive(&self.flows, own, frame) {
            self.foreign += 1;
        }
    }

    fn poll(&mut self, _now: u64, _out: &mut dyn FnMut(Frame) -> bool) {}

    fn next_poll(&mut self, _now: u64) -> Option<u64> {
        None
    }
}

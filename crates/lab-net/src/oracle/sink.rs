//! Takes the frames of flows and books each.

use super::ledger::{FlowId, Ledger};
use crate::{Endpoint, Frame, Mac};

/// Takes flows. See [`crate::oracle`].
pub struct Sink {
    ledger: Ledger,
    /// Its address, if no other station has the same.
    own: Option<Mac>,
    flows: Vec<FlowId>,
    frames: u64,
    foreign: u64,
}

impl Sink {
    /// A sink with address `mac` to which `flows` lead. A frame of another flow
    /// that comes here, or an unknown frame for its address, is an alien.
    pub fn new(ledger: &Ledger, mac: Mac, flows: &[FlowId]) -> Self {
        Self {
            own: Some(mac),
            ..Self::beside_others(ledger, flows)
        }
    }

    /// A sink that shares its address with hosts, as protocols above one adapter
    /// do: a frame that is none of the oracle's is theirs and no alien.
    pub fn beside_others(ledger: &Ledger, flows: &[FlowId]) -> Self {
        Self {
            ledger: ledger.clone(),
            own: None,
            flows: flows.to_vec(),
            frames: 0,
            foreign: 0,
        }
    }

    /// Frames that arrived.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Of these, frames that are none of the oracle's and were for other
    /// stations: broadcasts of hosts on the same wire, for instance.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }
}

impl Endpoint for Sink {
    fn on_frame(&mut self, _now: u64, frame: &[u8]) {
        self.frames += 1;
        if !self.ledger.receive(&self.flows, self.own, frame) {
            self.foreign += 1;
        }
    }

    fn poll(&mut self, _now: u64, _out: &mut dyn FnMut(Frame) -> bool) {}

    fn next_poll(&mut self, _now: u64) -> Option<u64> {
        None
    }
}

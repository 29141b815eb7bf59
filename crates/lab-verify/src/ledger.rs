//! Who sent which frame and where it arrived: a light oracle for short plans.
//!
//! A frame carries its flow, its number and a fill that follows from both, so that loss, copies,
//! overtaking and changed bytes are told apart without a hash. One lock; every endpoint of a
//! play shares it. Frames that are not the ledger's (those a driver makes itself) are ignored.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use lab_net::{Endpoint, Frame, lock};
use serde::{Deserialize, Serialize};

/// EtherType of the ledger's frames (local experiments).
const TYPE: [u8; 2] = [0x88, 0xb5];
const TAG: [u8; 2] = [0x81, 0x00];
/// Header, type, flow, number.
const LEAST: usize = 14 + 8;

/// Which way frames of a flow go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the protocol above this miniport to any wire.
    Down(usize),
    /// From a wire to the protocol above this miniport.
    Up(usize),
}

/// What became of the frames of a play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Sent by protocols above.
    pub sent: u64,
    /// Of them arrived at a far end.
    pub arrived: u64,
    /// Sent by far ends.
    pub sent_up: u64,
    /// Of them received by the protocol they were for.
    pub received: u64,
    /// Sent and settled in calm, and did not arrive.
    pub lost: u64,
    /// Arrived more than once.
    pub doubled: u64,
    /// Arrived after a later one of their flow.
    pub overtaken: u64,
    /// Arrived with changed bytes.
    pub damaged: u64,
    /// Arrived where they do not belong.
    pub astray: u64,
}

struct Flow {
    way: Way,
    /// Arrived, by number.
    arrived: Vec<bool>,
    last: Option<u32>,
    /// Numbers below were judged, or may be lost.
    judged: usize,
}

/// The books of a play.
#[derive(Default)]
pub struct Ledger {
    flows: Vec<Flow>,
    tally: Tally,
    /// Something is done that may make frames overtake others.
    rough: bool,
}

/// The books, shared by the endpoints.
pub type Shared = Arc<Mutex<Ledger>>;

fn fill(flow: u16, number: u32, at: usize) -> u8 {
    (number as u8)
        .wrapping_mul(31)
        .wrapping_add(flow as u8)
        .wrapping_add(at as u8)
}

impl Ledger {
    /// The flow of a way, made when it is new.
    fn flow(&mut self, way: Way) -> usize {
        if let Some(at) = self.flows.iter().position(|f| f.way == way) {
            return at;
        }
        self.flows.push(Flow {
            way,
            arrived: Vec::new(),
            last: None,
            judged: 0,
        });
        self.flows.len() - 1
    }

    /// Makes a frame of a flow and enters it.
    pub fn make(&mut self, way: Way, to: [u8; 6], from: [u8; 6], tag: u16, bytes: usize) -> Frame {
        let at = self.flow(way);
        let flow = &mut self.flows[at];
        let number = flow.arrived.len() as u32;
        flow.arrived.push(false);
        match way {
            Way::Down(_) => self.tally.sent += 1,
            Way::Up(_) => self.tally.sent_up += 1,
        }
        let mut frame = Vec::with_capacity(bytes.max(LEAST) + 4);
        frame.extend_from_slice(&to);
        frame.extend_from_slice(&from);
        if tag != 0 {
            frame.extend_from_slice(&TAG);
            frame.extend_from_slice(&tag.to_be_bytes());
        }
        frame.extend_from_slice(&TYPE);
        let id = at as u16;
        frame.extend_from_slice(&(bytes as u16).to_be_bytes());
        frame.extend_from_slice(&id.to_be_bytes());
        frame.extend_from_slice(&number.to_be_bytes());
        for i in LEAST..bytes {
            frame.push(fill(id, number, i));
        }
        frame
    }

    /// A frame arrives at a wire (`None`) or at the protocol above a miniport.
    fn arrive(&mut self, at: Option<usize>, frame: &[u8]) {
        let Some(kind) = frame.get(12..14) else {
            return;
        };
        let body = if kind == TAG {
            if frame.get(16..18) != Some(&TYPE[..]) {
                return;
            }
            &frame[18..]
        } else if kind == TYPE {
            &frame[14..]
        } else {
            return;
        };
        let Some((head, rest)) = body.split_first_chunk::<8>() else {
            self.tally.damaged += 1;
            return;
        };
        let bytes = usize::from(u16::from_be_bytes([head[0], head[1]]));
        let id = u16::from_be_bytes([head[2], head[3]]);
        let number = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let wanted = bytes.saturating_sub(LEAST);
        let Some(flow) = self.flows.get_mut(usize::from(id)) else {
            self.tally.damaged += 1;
            return;
        };
        let same = rest.len() >= wanted
            && rest[..wanted]
                .iter()
                .enumerate()
                .all(|(i, &byte)| byte == fill(id, number, LEAST + i));
        let Some(seen) = flow.arrived.get_mut(number as usize).filter(|_| same) else {
            self.tally.damaged += 1;
            return;
        };
        let here = match flow.way {
            Way::Down(_) => at.is_none(),
            Way::Up(upper) => at == Some(upper),
        };
        if !here {
            self.tally.astray += 1;
            return;
        }
        if std::mem::replace(seen, true) {
            self.tally.doubled += 1;
            return;
        }
        if !self.rough && flow.last.is_some_and(|last| last > number) {
            self.tally.overtaken += 1;
        }
        flow.last = flow.last.max(Some(number));
        match flow.way {
            Way::Down(_) => self.tally.arrived += 1,
            Way::Up(_) => self.tally.received += 1,
        }
    }

    /// Judges what was sent so far: in calm, what did not arrive is lost.
    pub fn judge(&mut self, calm: bool) {
        for flow in &mut self.flows {
            if calm {
                let missing = flow.arrived[flow.judged..].iter().filter(|seen| !**seen);
                self.tally.lost += missing.count() as u64;
            }
            flow.judged = flow.arrived.len();
        }
    }

    /// Says whether frames keep their order from now on.
    pub const fn set_calm(&mut self, calm: bool) {
        self.rough = !calm;
    }

    /// What became of the frames so far.
    pub const fn tally(&self) -> Tally {
        self.tally
    }
}

/// Frames that wait to be sent.
pub type Outbox = Arc<Mutex<VecDeque<Frame>>>;

/// A place where frames come from and arrive.
pub struct Post {
    ledger: Shared,
    outbox: Outbox,
    /// The miniport it is above of; at a wire none.
    upper: Option<usize>,
}

impl Post {
    /// An endpoint and the box that it sends from.
    pub fn new(ledger: &Shared, upper: Option<usize>) -> (Self, Outbox) {
        let outbox = Outbox::default();
        let post = Self {
            ledger: Arc::clone(ledger),
            outbox: Arc::clone(&outbox),
            upper,
        };
        (post, outbox)
    }
}

impl Endpoint for Post {
    fn on_frame(&mut self, _: u64, frame: &[u8]) {
        lock(&self.ledger).arrive(self.upper, frame);
    }

    fn poll(&mut self, _: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let mut outbox = lock(&self.outbox);
        while let Some(frame) = outbox.pop_front() {
            if !out(frame) {
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        (!lock(&self.outbox).is_empty()).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(ledger: &mut Ledger, count: usize) -> Vec<Frame> {
        let make = |_| ledger.make(Way::Down(0), [2; 6], [4; 6], 0, 64);
        (0..count).map(make).collect()
    }

    #[test]
    fn what_happens_to_a_frame_is_told_apart() {
        let mut ledger = Ledger::default();
        let mut all = frames(&mut ledger, 6);
        ledger.arrive(None, &all[0]);
        ledger.arrive(None, &all[0]);
        ledger.arrive(None, &all[2]);
        ledger.arrive(None, &all[1]);
        all[3][40] ^= 1;
        ledger.arrive(None, &all[3]);
        ledger.arrive(Some(0), &all[4]);
        ledger.judge(true);
        let expected = Tally {
            sent: 6,
            arrived: 3,
            lost: 3,
            doubled: 1,
            overtaken: 1,
            damaged: 1,
            astray: 1,
            ..Tally::default()
        };
        assert_eq!(ledger.tally(), expected);
        ledger.judge(true);
        assert_eq!(ledger.tally(), expected, "nothing is judged twice");
    }

    #[test]
    fn in_a_disturbance_frames_may_be_lost() {
        let mut ledger = Ledger::default();
        frames(&mut ledger, 2);
        ledger.judge(false);
        ledger.judge(true);
        assert_eq!(ledger.tally().lost, 0);
    }

    #[test]
    fn a_tagged_frame_is_the_same_frame() {
        let mut ledger = Ledger::default();
        let frame = ledger.make(Way::Up(3), [2; 6], [4; 6], 7, 64);
        assert_eq!(frame[12..16], [0x81, 0, 0, 7]);
        let mut bare = frame[..12].to_vec();
        bare.extend_from_slice(&frame[16..]);
        ledger.arrive(Some(3), &bare);
        assert_eq!(ledger.tally().received, 1);
    }
}

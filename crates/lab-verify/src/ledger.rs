//! Who sent which frame and where it arrived: a light oracle for short plans.
//!
//! A frame carries its flow, its number and a fill that follows from both, so that loss, copies,
//! overtaking and changed bytes are told apart without a hash. One lock; every endpoint of a
//! play shares it. Frames that are not the ledger's (those a driver makes itself) are ignored.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use lab_net::{Endpoint, Frame, lock};
use serde::{Deserialize, Serialize};

use crate::shape::Frames;

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
    /// From this adapter's wire to the protocol above this miniport. What comes in by several
    /// adapters are several flows: nothing keeps order between them.
    Up(usize, usize),
}

/// A place where frames arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The far end of this adapter's wire.
    Wire(usize),
    /// The protocol above this miniport.
    Upper(usize),
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
    frames: Frames,
    /// Where each arrived, by number: a bit for each wire, or one for the protocol.
    arrived: Vec<u64>,
    /// The last that arrived, at each place.
    last: BTreeMap<u32, u32>,
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
    /// Says what becomes of the frames of a way; else they are kept in order.
    pub fn expect(&mut self, way: Way, frames: Frames) {
        let at = self.flow(way);
        self.flows[at].frames = frames;
    }

    /// The flow of a way, made when it is new.
    fn flow(&mut self, way: Way) -> usize {
        if let Some(at) = self.flows.iter().position(|f| f.way == way) {
            return at;
        }
        self.flows.push(Flow {
            way,
            frames: Frames::Kept,
            arrived: Vec::new(),
            last: BTreeMap::new(),
            judged: 0,
        });
        self.flows.len() - 1
    }

    /// Makes a frame of a flow and enters it.
    pub fn make(&mut self, way: Way, to: [u8; 6], from: [u8; 6], tag: u16, bytes: usize) -> Frame {
        let at = self.flow(way);
        let flow = &mut self.flows[at];
        let number = flow.arrived.len() as u32;
        flow.arrived.push(0);
        match way {
            Way::Down(_) => self.tally.sent += 1,
            Way::Up(..) => self.tally.sent_up += 1,
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

    /// A frame arrives somewhere.
    fn arrive(&mut self, at: At, frame: &[u8]) {
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
        let place = match (flow.way, at) {
            // Whichever wire a driver takes; only copies arrive at several.
            (Way::Down(_), At::Wire(wire)) if flow.frames == Frames::Copies => wire as u32 % 64,
            (Way::Down(_), At::Wire(_)) => 0,
            (Way::Up(_, upper), At::Upper(at)) if at == upper => 0,
            _ => {
                self.tally.astray += 1;
                return;
            }
        };
        let before = std::mem::replace(seen, *seen | 1 << place);
        if before & 1 << place != 0 {
            self.tally.doubled += 1;
            return;
        }
        let last = flow.last.entry(place).or_default();
        if !self.rough && flow.frames != Frames::Free && *last > number {
            self.tally.overtaken += 1;
        }
        *last = number.max(*last);
        if before != 0 {
            return; // another copy
        }
        match flow.way {
            Way::Down(_) => self.tally.arrived += 1,
            Way::Up(..) => self.tally.received += 1,
        }
    }

    /// Judges what was sent so far: in calm, what did not arrive is lost.
    pub fn judge(&mut self, calm: bool) {
        for flow in &mut self.flows {
            if calm {
                let missing = flow.arrived[flow.judged..]
                    .iter()
                    .filter(|seen| **seen == 0);
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
    at: At,
}

impl Post {
    /// An endpoint and the box that it sends from.
    pub fn new(ledger: &Shared, at: At) -> (Self, Outbox) {
        let outbox = Outbox::default();
        let post = Self {
            ledger: Arc::clone(ledger),
            outbox: Arc::clone(&outbox),
            at,
        };
        (post, outbox)
    }
}

impl Endpoint for Post {
    fn on_frame(&mut self, _: u64, frame: &[u8]) {
        lock(&self.ledger).arrive(self.at, frame);
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
        ledger.arrive(At::Wire(0), &all[0]);
        ledger.arrive(At::Wire(0), &all[0]);
        ledger.arrive(At::Wire(0), &all[2]);
        ledger.arrive(At::Wire(0), &all[1]);
        all[3][40] ^= 1;
        ledger.arrive(At::Wire(0), &all[3]);
        ledger.arrive(At::Upper(0), &all[4]);
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
        let frame = ledger.make(Way::Up(0, 3), [2; 6], [4; 6], 7, 64);
        assert_eq!(frame[12..16], [0x81, 0, 0, 7]);
        let mut bare = frame[..12].to_vec();
        bare.extend_from_slice(&frame[16..]);
        ledger.arrive(At::Upper(3), &bare);
        assert_eq!(ledger.tally().received, 1);
    }

    #[test]
    fn a_mode_that_takes_turns_keeps_no_order_and_loses_nothing() {
        let mut ledger = Ledger::default();
        ledger.expect(Way::Down(0), Frames::Free);
        let all = frames(&mut ledger, 3);
        ledger.arrive(At::Wire(1), &all[1]);
        ledger.arrive(At::Wire(0), &all[0]);
        ledger.arrive(At::Wire(1), &all[0]);
        ledger.judge(true);
        let tally = ledger.tally();
        assert_eq!((tally.overtaken, tally.doubled, tally.lost), (0, 1, 1));
    }

    #[test]
    fn copies_arrive_once_on_each_wire_in_order() {
        let mut ledger = Ledger::default();
        ledger.expect(Way::Down(0), Frames::Copies);
        let all = frames(&mut ledger, 2);
        for wire in 0..2 {
            ledger.arrive(At::Wire(wire), &all[0]);
        }
        ledger.arrive(At::Wire(1), &all[1]);
        assert_eq!(ledger.tally().arrived, 2);
        assert_eq!((ledger.tally().doubled, ledger.tally().overtaken), (0, 0));
        ledger.arrive(At::Wire(1), &all[1]);
        ledger.arrive(At::Wire(1), &all[0]);
        assert_eq!(ledger.tally().doubled, 2);
    }

    #[test]
    fn wires_have_flows_of_their_own() {
        let mut ledger = Ledger::default();
        let mut make = |wire| ledger.make(Way::Up(wire, 0), [2; 6], [4; 6], 0, 64);
        let (one, two, three) = (make(0), make(1), make(0));
        for frame in [&two, &three, &one] {
            ledger.arrive(At::Upper(0), frame);
        }
        assert_eq!(ledger.tally().overtaken, 1);
    }
}

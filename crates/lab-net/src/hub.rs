//! Several endpoints at one place: hosts, generators and sinks at the far end of
//! one wire, or above one adapter.
//!
//! ```
//! use lab_net::hub::Hub;
//! use lab_net::oracle::{Flow, Generator, Ledger, Pace, Sink};
//! use lab_net::Mac;
//!
//! let ledger = Ledger::new(1);
//! let flow = ledger.add_flow(Flow::private("f", Mac::local(2, 1), Mac::local(2, 2)));
//! let mut hub = Hub::new();
//! hub.add(Some(Mac::local(2, 1)), Generator::new(&ledger, flow, Pace::default()));
//! hub.add(Some(Mac::local(2, 2)), Sink::new(&ledger, Mac::local(2, 2), &[flow]));
//! ```
//!
//! A hub is an [`Endpoint`] again. What its members send goes out, and not to each
//! other: only what crossed the adapter counts. What comes in goes to the members
//! it is addressed to. Members take turns at being polled first, so that an eager
//! one does not keep the others from a queue with little room.

use std::collections::BTreeMap;

use crate::vlan::{Tag, Tagged, tag_of};
use crate::{Endpoint, Frame, Mac};

struct Member {
    /// Frames for other stations are kept from it; `None`: it gets everything.
    mac: Option<Mac>,
    endpoint: Box<dyn Endpoint>,
}

/// Several endpoints as one. See the module's documentation.
#[derive(Default)]
pub struct Hub {
    members: Vec<Member>,
    /// Who sees every frame as it is.
    plain: Vec<usize>,
    /// Who stands behind a tag, by VLAN: thousands of them cost a frame nothing.
    tagged: BTreeMap<u16, Vec<usize>>,
    first: usize,
}

impl Hub {
    /// A hub without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member. With an address it gets frames for that address and for
    /// groups, without one every frame.
    pub fn add(&mut self, mac: Option<Mac>, endpoint: impl Endpoint + 'static) {
        self.plain.push(self.members.len());
        self.members.push(Member {
            mac,
            endpoint: Box::new(endpoint),
        });
    }

    /// Adds a member behind a tag: it gets the frames of its VLAN without their tag,
    /// and what it sends has the tag.
    pub fn add_tagged(&mut self, tag: Tag, mac: Option<Mac>, endpoint: impl Endpoint + 'static) {
        let here = self.tagged.entry(tag.vlan).or_default();
        here.push(self.members.len());
        self.members.push(Member {
            mac,
            endpoint: Box::new(Tagged::new(tag, endpoint)),
        });
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl Endpoint for Hub {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        // What is too short for an address is for everybody.
        let to = frame
            .first_chunk()
            .map_or(Mac::BROADCAST, |octets| Mac(*octets));
        let vlan = tag_of(frame).map_or(0, |tag| tag.vlan);
        let behind = self.tagged.get(&vlan).into_iter().flatten();
        for &index in self.plain.iter().chain(behind) {
            let member = &mut self.members[index];
            if !to.is_unicast() || member.mac.is_none_or(|mac| mac == to) {
                member.endpoint.on_frame(now, frame);
            }
        }
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let count = self.members.len();
        for turn in 0..count {
            let index = (self.first + turn) % count;
            let mut room = true;
            self.members[index].endpoint.poll(now, &mut |frame| {
                room = out(frame);
                room
            });
            if !room {
                self.first = (index + 1) % count;
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        self.members
            .iter_mut()
            .filter_map(|member| member.endpoint.next_poll(now))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::lock;

    /// Sends frames with its number, as many as it is told to; keeps what comes.
    struct Probe {
        number: u8,
        left: usize,
        seen: Vec<Frame>,
    }

    impl Endpoint for Probe {
        fn on_frame(&mut self, _now: u64, frame: &[u8]) {
            self.seen.push(frame.to_vec());
        }

        fn poll(&mut self, _now: u64, out: &mut dyn FnMut(Frame) -> bool) {
            while self.left > 0 {
                self.left -= 1;
                if !out(vec![self.number]) {
                    return;
                }
            }
        }

        fn next_poll(&mut self, now: u64) -> Option<u64> {
            (self.left > 0).then_some(now + u64::from(self.number))
        }
    }

    fn probe(number: u8, left: usize) -> Arc<Mutex<Probe>> {
        Arc::new(Mutex::new(Probe {
            number,
            left,
            seen: Vec::new(),
        }))
    }

    #[test]
    fn frames_go_to_whom_they_are_addressed() {
        let probes = [probe(1, 0), probe(2, 0), probe(3, 0)];
        let mut hub = Hub::new();
        hub.add(Some(Mac::local(0, 1)), Arc::clone(&probes[0]));
        hub.add(Some(Mac::local(0, 2)), Arc::clone(&probes[1]));
        hub.add(None, Arc::clone(&probes[2]));
        assert_eq!((hub.len(), hub.is_empty()), (3, false));
        for to in [
            Mac::local(0, 1),
            Mac::local(0, 2),
            Mac::local(0, 9),
            Mac::BROADCAST,
        ] {
            hub.on_frame(0, &to.0);
        }
        hub.on_frame(0, &[0; 3]);
        let seen = probes.each_ref().map(|probe| lock(probe).seen.len());
        assert_eq!(seen, [3, 3, 5]);
    }

    #[test]
    fn members_behind_a_tag_get_their_vlan_alone() {
        use crate::vlan::insert;
        let probes = [probe(1, 0), probe(2, 0), probe(3, 0)];
        let mut hub = Hub::new();
        hub.add(None, Arc::clone(&probes[0]));
        hub.add_tagged(
            Tag::vlan(10),
            Some(Mac::local(0, 1)),
            Arc::clone(&probes[1]),
        );
        hub.add_tagged(Tag::vlan(0), None, Arc::clone(&probes[2]));
        let frame = [&Mac::local(0, 1).0[..], &[7; 54]].concat();
        let in_vlan = |vlan| insert(&frame, Tag::vlan(vlan)).expect("long enough");
        for frame in [frame.clone(), in_vlan(0), in_vlan(10), in_vlan(11)] {
            hub.on_frame(0, &frame);
        }
        let seen = probes.each_ref().map(|probe| lock(probe).seen.clone());
        assert_eq!(seen[0].len(), 4, "as they are");
        assert_eq!(seen[1], std::slice::from_ref(&frame));
        assert_eq!(seen[2], [frame.clone(), frame.clone()]);
    }

    #[test]
    fn an_eager_member_does_not_starve_the_others() {
        let mut hub = Hub::new();
        for number in 1..=3 {
            hub.add(None, probe(number, 100));
        }
        let mut sent = Vec::new();
        for _ in 0..6 {
            hub.poll(0, &mut |frame| {
                sent.push(frame[0]);
                false
            });
        }
        assert_eq!(sent, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn it_wants_what_its_first_member_wants() {
        let mut hub = Hub::new();
        assert_eq!(hub.next_poll(5), None);
        hub.poll(5, &mut |_| unreachable!("nobody sends"));
        for number in [9, 4, 7] {
            hub.add(None, probe(number, 1));
        }
        assert_eq!(hub.next_poll(5), Some(9));
        hub.poll(5, &mut |_| true);
        assert_eq!(hub.next_poll(5), None);
    }
}

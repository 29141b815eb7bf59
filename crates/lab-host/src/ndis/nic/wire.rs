//! The wire of a NIC: what is on it each way, and the far end.

use std::collections::VecDeque;

use super::Nic;
use crate::engine::Job;
use crate::host::Host;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the far end.
    Down,
    /// To the host.
    Up,
}

/// One way of a wire. One delivery at a time, so that order is kept.
#[derive(Default)]
pub(super) struct Lane {
    /// Frames and when they arrive.
    frames: VecDeque<(u64, Vec<u8>)>,
    busy: bool,
    /// When it is free for the next frame.
    free_at: u64,
}

impl Lane {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl Nic {
    /// Puts a frame on the wire at the link's speed; when it has left.
    pub(super) fn transmit(&mut self, way: Way, now: u64, frame: Vec<u8>) -> u64 {
        let bits = 8 * (frame.len() as u64 + 24);
        let time = bits.saturating_mul(1_000_000_000) / self.config.link_speed.max(1);
        let lane = &mut self.lanes[way as usize];
        lane.free_at = lane.free_at.max(now) + time;
        let left = lane.free_at;
        lane.frames.push_back((left + self.config.latency, frame));
        left
    }

    /// The cable of a paced adapter is out, or it is gone: what has not left is lost, and so
    /// is what was on its way up.
    pub(crate) fn cut(&mut self, now: u64) {
        if !self.config.paced {
            return;
        }
        let latency = self.config.latency;
        let [down, up] = &mut self.lanes;
        self.mix.dropped += up.frames.len() as u64;
        up.frames.clear();
        let before = down.frames.len();
        down.frames
            .retain(|(due, _)| due.saturating_sub(latency) <= now);
        let lost = (before - down.frames.len()) as u64;
        self.mix.dropped += lost;
        self.mix.cut += lost;
        for lane in &mut self.lanes {
            lane.free_at = lane.free_at.min(now);
        }
        for pending in &mut self.pending {
            pending.cut(now);
        }
    }

    /// A frame arrives at the host.
    fn arrive(&mut self, now: u64, frame: Vec<u8>) {
        let up = self.config.connected && !self.gone;
        self.trace_frame(now, true, !up, &frame);
        if let Some(tap) = &mut self.tap {
            tap(now, true, &frame);
        }
        if up {
            self.rx.push_back(frame);
        } else {
            self.mix.dropped += 1;
        }
    }
}

impl Host {
    /// Starts delivery of what is on the wire to the far end.
    pub(crate) fn wire_down(&self, nic: usize) {
        self.wire_kick(nic, Way::Down);
    }

    /// Starts delivery of what is on the wire.
    pub(super) fn wire_kick(&self, nic: usize, way: Way) {
        let due = self.ndis(|n| {
            let lane = &mut n.nics[nic].lanes[way as usize];
            if lane.busy {
                return None;
            }
            let due = lane.frames.front().map(|f| f.0);
            lane.busy = due.is_some();
            due
        });
        if let Some(due) = due {
            let delay = due.saturating_sub(self.now());
            let name = match way {
                Way::Down => "wire",
                Way::Up => "wire up",
            };
            self.spawn_after(
                delay,
                Job::thread(name, move |host| host.wire_deliver(nic, way)),
            );
        }
    }

    fn wire_deliver(&self, nic: usize, way: Way) {
        let now = self.now();
        let peers = self.ndis(|n| {
            let lane = &mut n.nics[nic].lanes[way as usize];
            lane.busy = false;
            let mut due = Vec::new();
            while lane.frames.front().is_some_and(|f| f.0 <= now) {
                due.extend(lane.frames.pop_front().map(|f| f.1));
            }
            let peers = n.nics[nic].peers.clone();
            for frame in due {
                for &peer in &peers {
                    match way {
                        // What one sends, the others on the wire hear, far ends too.
                        Way::Down => n.nics[peer].arrive(now, frame.clone()),
                        Way::Up => {}
                    }
                }
                let x = &mut n.nics[nic];
                match way {
                    Way::Up => x.arrive(now, frame),
                    Way::Down => {
                        if let Some(far) = &mut x.far {
                            far.on_frame(now, &frame);
                        }
                    }
                }
            }
            peers
        });
        self.wire_kick(nic, way);
        match way {
            Way::Up => self.rx_kick(nic),
            Way::Down => {
                for &peer in &peers {
                    self.rx_kick(peer);
                }
            }
        }
        self.far_poll(nic);
    }

    /// Lets the far end send, and comes back when it wants to; so it does with the others
    /// that are ports of the same device.
    pub(crate) fn far_poll(&self, nic: usize) {
        self.far_poll_one(nic);
        let others = self.ndis(|n| n.nics[nic].beside.clone());
        for other in others {
            let now = self.now();
            let wants = self.ndis(|n| {
                let far = n.nics[other].far.as_mut();
                far.and_then(|far| far.next_poll(now))
                    .is_some_and(|at| at <= now)
            });
            if wants {
                self.far_poll_one(other);
            }
        }
    }

    fn far_poll_one(&self, nic: usize) {
        let now = self.now();
        let (next, peers) = self.ndis(|n| {
            let x = &mut n.nics[nic];
            let mut arrived = Vec::new();
            let under_way = x.rx.len() + x.lanes[Way::Up as usize].frames.len();
            let room = x.config.queue_depth.saturating_sub(under_way);
            if let Some(far) = &mut x.far
                && room > 0
            {
                let room = room.min(512);
                far.poll(now, &mut |frame| {
                    arrived.push(frame);
                    arrived.len() < room
                });
            }
            let next = x.far.as_mut().and_then(|f| f.next_poll(now));
            // A poll that ended for lack of room is repeated when there is some.
            let next = next.filter(|&at| at > now || arrived.len() < room);
            let due = next.map(|at| at.max(now + 1_000));
            let due = due.filter(|&at| x.far_due.is_none_or(|d| d <= now || at < d));
            if due.is_some() {
                x.far_due = due;
            }
            let peers = x.peers.clone();
            for frame in arrived {
                for &peer in &peers {
                    n.nics[peer].transmit(Way::Up, now, frame.clone());
                }
                n.nics[nic].transmit(Way::Up, now, frame);
            }
            (due, peers)
        });
        self.wire_kick(nic, Way::Up);
        for peer in peers {
            self.wire_kick(peer, Way::Up);
        }
        if let Some(at) = next {
            self.spawn_after(
                at - now,
                Job::thread("far end timer", move |host| {
                    let now = host.now();
                    host.ndis(|n| {
                        let x = &mut n.nics[nic];
                        if x.far_due.is_some_and(|d| d <= now) {
                            x.far_due = None;
                        }
                    });
                    host.far_poll(nic);
                }),
            );
        }
    }
}

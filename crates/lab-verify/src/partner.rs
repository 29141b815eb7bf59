//! Who is at the far ends of the wires when these belong together: a switch that aggregates them.
//!
//! What the switch says to the driver is the protocol's; all other frames are the ledger's, in
//! and out of the wire that a plan names.

use lab_net::team::{Bond, Lacp, Shared, Switch, SwitchConfig, SwitchPort};
use lab_net::{Endpoint, Frame, lock};

use crate::ledger::Post;
use crate::shape;

/// EtherType of the Slow Protocols (IEEE 802.3, 57A.4).
const SLOW: [u8; 2] = [0x88, 0x09];

/// The switch.
pub struct Partner(Shared);

impl Partner {
    /// A switch with so many ports.
    pub fn new(which: shape::Partner, ports: usize) -> Self {
        let bond = match which {
            shape::Partner::Lacp => Bond::Lacp(vec![Lacp::default()]),
        };
        Self(Switch::new(SwitchConfig::new(ports, bond)).shared())
    }

    /// The far end of a wire: a port of the switch, and the ledger's post.
    pub fn port(&self, port: usize, post: Post) -> Port {
        Port {
            protocol: Switch::port(&self.0, port),
            post,
        }
    }

    /// Whether the switch sends frames out of a port.
    pub fn uses(&self, port: usize) -> bool {
        lock(&self.0).usable() & 1 << port != 0
    }
}

/// The far end of a wire.
pub struct Port {
    protocol: SwitchPort,
    post: Post,
}

impl Endpoint for Port {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        if frame.get(12..14) == Some(&SLOW) {
            self.protocol.on_frame(now, frame);
        } else {
            self.post.on_frame(now, frame);
        }
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let mut room = true;
        self.protocol.poll(now, &mut |frame| {
            room = out(frame);
            room
        });
        if room {
            self.post.poll(now, out);
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        let both = [self.protocol.next_poll(now), self.post.next_poll(now)];
        both.into_iter().flatten().min()
    }
}

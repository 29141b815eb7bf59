//! Who should hear whom: the plain rules of 802.1Q, of NDIS packet filters and of the
//! driver's modes, written as slowly and obviously as they can be said.
//!
//! Nothing here looks at the driver; it is told what each port is, and asked about one
//! frame and one listener at a time.

use lab_net::Mac;
use lab_net::oracle::tagged::link_local_address;
use lab_net::vlan::Tag;

/// How ports of one adapter stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They never hear each other.
    Private,
    /// They hear what comes back from the wire.
    Vepa,
    /// The driver switches between them.
    Bridge,
    /// There is one port, with the adapter's address.
    Passthru,
}

impl Mode {
    /// All of them, by the driver's number.
    pub const ALL: [Self; 4] = [Self::Private, Self::Vepa, Self::Bridge, Self::Passthru];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Bridge => "bridge",
            Self::Passthru => "passthru",
        }
    }
}

/// What the protocol above a port asked to hear, by its packet filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hears {
    /// Nothing: the filter is zero.
    Nothing,
    /// Its own address, the groups it listed, broadcasts.
    Usual,
    /// The same, and every group.
    AllGroups,
    /// Everything (of its VLAN).
    Everything,
}

/// A port, as far as it matters who hears it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its VLAN; 0 is none.
    pub vlan: u16,
    /// Its address.
    pub mac: Mac,
    /// What the protocol above asked for.
    pub hears: Hears,
    /// Groups that the protocol above listed.
    pub groups: Vec<Mac>,
    /// Whether it hears untagged frames though it has a VLAN.
    pub accept_untagged: bool,
    /// What becomes of priorities that it sends.
    pub priority_out: [u8; 8],
    /// What becomes of priorities that it hears.
    pub priority_in: [u8; 8],
    /// The priority of what it sends without one, before the map.
    pub default_priority: u8,
    /// Whether the protocol above looks at what stands beside a frame.
    pub sees_beside: bool,
}

/// Everything on one adapter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Net {
    /// How the ports stand to each other.
    pub mode: Mode,
    /// The ports.
    pub ports: Vec<Port>,
    /// Whether the far end of the wire sends everything back that it hears.
    pub reflecting: bool,
}

/// Somebody on the net.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Party {
    /// Above the port of this index.
    Port(usize),
    /// At the far end of the wire.
    Wire,
}

/// A frame that somebody sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Who.
    pub from: Party,
    /// With which source address.
    pub source: Mac,
    /// To whom.
    pub to: Mac,
    /// With which tag in it.
    pub tag: Option<Tag>,
}

impl Port {
    /// Whether its packet filter lets a destination through.
    fn filter_passes(&self, to: Mac) -> bool {
        let usual = to == self.mac
            || to == Mac::BROADCAST
            || (!to.is_unicast() && self.groups.contains(&to));
        match self.hears {
            Hears::Nothing => false,
            Hears::Usual => usual,
            Hears::AllGroups => usual || !to.is_unicast(),
            Hears::Everything => true,
        }
    }

    /// Whether it hears frames that are in this VLAN on the wire; 0: in none.
    fn is_in(&self, vlan: u16) -> bool {
        self.vlan == vlan || (vlan == 0 && self.accept_untagged)
    }

    /// The priority that has to stand beside a frame from the wire; nothing: nobody looks,
    /// or there is no rule.
    pub fn priority_shown(&self, frame: &Frame) -> Option<u8> {
        let tag = frame.tag.unwrap_or_default();
        let known = self.sees_beside && frame.from == Party::Wire;
        known.then(|| match frame.tag {
            Some(_) => self.priority_in[usize::from(tag.priority & 7)],
            None => 0,
        })
    }

    #[expect(
        clippy::option_option,
        reason = "not sent, sent without a tag, sent with one"
    )]
    /// The tag that a frame of it has on the wire; the outer `None`: it may not be sent.
    fn tag_below(&self, tag: Option<Tag>) -> Option<Option<Tag>> {
        // It may not choose another VLAN than its own.
        if tag.is_some_and(|tag| tag.vlan != 0 && tag.vlan != self.vlan) {
            return None;
        }
        let given = tag.map_or(self.default_priority, |tag| tag.priority);
        let below = Tag {
            vlan: self.vlan,
            priority: self.priority_out[usize::from(given & 7)],
        };
        // No VLAN and the lowest priority are no tag, unless there was one.
        Some((tag.is_some() || below != Tag::default()).then_some(below))
    }
}

/// Whether no bridge may forward frames to this address.
pub fn is_link_local(mac: Mac) -> bool {
    (0..16).any(|last| link_local_address(last) == mac)
}

impl Net {
    #[expect(
        clippy::option_option,
        reason = "not sent, sent without a tag, sent with one"
    )]
    /// The tag with which the far end of the wire hears a frame of a port; the outer
    /// `None`: it does not.
    pub fn on_wire(&self, frame: &Frame) -> Option<Option<Tag>> {
        let Party::Port(from) = frame.from else {
            return None;
        };
        let port = &self.ports[from];
        if self.mode == Mode::Passthru {
            return Some(frame.tag);
        }
        let tag = port.tag_below(frame.tag)?;
        let neighbour = self.ports.iter().enumerate().any(|(index, other)| {
            index != from && other.vlan == port.vlan && other.mac == frame.to
        });
        // A bridge keeps what is for a port of its own.
        let stays = self.mode == Mode::Bridge && neighbour;
        (!stays).then_some(tag)
    }

    /// Whether a port hears a frame, and hears it once.
    pub fn port_hears(&self, frame: &Frame, listener: usize) -> bool {
        let port = &self.ports[listener];
        match frame.from {
            Party::Wire => self.comes_up(frame, frame.tag, port),
            Party::Port(from) if from == listener => {
                // NDIS loops frames back, not the driver; a reflected one is its own.
                false
            }
            Party::Port(from) => {
                let sender = &self.ports[from];
                let switched = self.mode == Mode::Bridge
                    && sender.tag_below(frame.tag).is_some()
                    && sender.vlan == port.vlan
                    && !is_link_local(frame.to)
                    && port.filter_passes(frame.to);
                let back = self
                    .on_wire(frame)
                    .filter(|_| self.reflecting)
                    .is_some_and(|tag| self.comes_up(frame, tag, port));
                switched || back
            }
        }
    }

    /// Whether a frame that comes from below with this tag reaches a port.
    fn comes_up(&self, frame: &Frame, tag: Option<Tag>, port: &Port) -> bool {
        let vlan = tag.map_or(0, |tag| tag.vlan);
        let from_a_port = self
            .ports
            .iter()
            .any(|other| other.is_in(vlan) && other.mac == frame.source);
        let returned = match self.mode {
            // Whose address is here did not send from there.
            Mode::Private | Mode::Bridge => from_a_port,
            Mode::Vepa => port.mac == frame.source,
            Mode::Passthru => false,
        };
        // The only port has all VLANs of the adapter.
        let mine = self.mode == Mode::Passthru || port.is_in(vlan);
        vlan <= 4094 && mine && !returned && port.filter_passes(frame.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Mac = Mac([1, 0, 0x5e, 0, 0, 7]);

    fn port(name: &str, vlan: u16, mac: u16) -> Port {
        Port {
            name: name.into(),
            vlan,
            mac: Mac::local(7, mac),
            hears: Hears::Usual,
            groups: vec![GROUP],
            accept_untagged: false,
            priority_out: [0, 1, 2, 3, 4, 5, 7, 6],
            priority_in: [0, 1, 2, 3, 4, 5, 6, 7],
            sees_beside: false,
            default_priority: 0,
        }
    }

    fn net(mode: Mode) -> Net {
        Net {
            mode,
            ports: vec![
                port("p10", 10, 0),
                port("p20", 20, 0),
                port("own", 20, 1),
                port("plain", 0, 2),
            ],
            reflecting: false,
        }
    }

    fn heard(net: &Net, from: Party, to: Mac, tag: Option<Tag>) -> Vec<usize> {
        let source = match from {
            Party::Port(at) => net.ports[at].mac,
            Party::Wire => Mac::local(9, 9),
        };
        let frame = Frame {
            from,
            source,
            to,
            tag,
        };
        (0..net.ports.len())
            .filter(|port| net.port_hears(&frame, *port))
            .collect()
    }

    #[test]
    fn the_wire_reaches_its_vlan_only() {
        let net = net(Mode::Private);
        let tag = |vlan| Some(Tag::vlan(vlan));
        let all = |tag| heard(&net, Party::Wire, Mac::BROADCAST, tag);
        assert_eq!(all(None), [3]);
        assert_eq!(all(tag(0)), [3]);
        assert_eq!(all(tag(10)), [0]);
        assert_eq!(all(tag(20)), [1, 2]);
        assert_eq!(all(tag(30)), [0; 0]);
        assert_eq!(all(tag(4095)), [0; 0]);
        let to = |mac, vlan| heard(&net, Party::Wire, Mac::local(7, mac), tag(vlan));
        assert_eq!(to(0, 20), [1]);
        assert_eq!(to(1, 20), [2]);
        assert_eq!(to(1, 10), [0; 0]);
        assert_eq!(heard(&net, Party::Wire, GROUP, tag(20)), [1, 2]);
        let unlisted = Mac([1, 0, 0x5e, 0, 0, 8]);
        assert_eq!(heard(&net, Party::Wire, unlisted, tag(20)), [0; 0]);
    }

    #[test]
    fn promiscuous_and_untagged_ports_hear_more_of_their_own() {
        let mut net = net(Mode::Private);
        net.ports[1].hears = Hears::Everything;
        net.ports[0].accept_untagged = true;
        let tag = Some(Tag::vlan(20));
        assert_eq!(heard(&net, Party::Wire, Mac::local(7, 1), tag), [1, 2]);
        assert_eq!(heard(&net, Party::Wire, Mac::BROADCAST, None), [0, 3]);
        assert_eq!(
            heard(&net, Party::Wire, Mac::BROADCAST, Some(Tag::vlan(10))),
            [0]
        );
    }

    #[test]
    fn modes_differ_in_what_ports_hear_of_ports() {
        for (mode, reflecting, expected) in [
            (Mode::Private, false, vec![]),
            (Mode::Private, true, vec![]),
            (Mode::Vepa, false, vec![]),
            (Mode::Vepa, true, vec![2]),
            (Mode::Bridge, false, vec![2]),
            (Mode::Bridge, true, vec![2]),
        ] {
            let net = Net {
                reflecting,
                ..net(mode)
            };
            let all = heard(&net, Party::Port(1), Mac::BROADCAST, None);
            assert_eq!(all, expected, "{mode:?}, reflecting {reflecting}");
            let one = heard(&net, Party::Port(1), Mac::local(7, 1), None);
            // What a private port sends to its neighbour goes down and never comes up.
            assert_eq!(one, expected, "{mode:?}, reflecting {reflecting}");
            assert!(heard(&net, Party::Port(0), Mac::BROADCAST, None).is_empty());
        }
    }

    #[test]
    fn a_bridge_forwards_no_link_local_frame() {
        let mut net = net(Mode::Bridge);
        net.ports[2].hears = Hears::Everything;
        let lacp = link_local_address(2);
        assert!(heard(&net, Party::Port(1), lacp, None).is_empty());
        assert_eq!(
            heard(&net, Party::Wire, lacp, Some(Tag::vlan(20))),
            [2],
            "from the wire it is for whoever wants it"
        );
    }

    #[test]
    fn what_goes_down_has_the_ports_tag() {
        let net = net(Mode::Bridge);
        let below = |from, to, tag| {
            net.on_wire(&Frame {
                from: Party::Port(from),
                source: net.ports[from].mac,
                to,
                tag,
            })
        };
        let tag = |vlan, priority| Some(Tag { vlan, priority });
        let far = Mac::local(9, 9);
        assert_eq!(below(0, far, None), Some(tag(10, 0)));
        assert_eq!(below(0, far, tag(0, 6)), Some(tag(10, 7)));
        assert_eq!(below(0, far, tag(20, 0)), None, "another VLAN");
        assert_eq!(below(3, far, None), Some(None));
        assert_eq!(below(1, Mac::local(7, 1), None), None, "switched");
        assert_eq!(below(1, Mac::BROADCAST, None), Some(tag(20, 0)));
    }
}

//! The few frames that a team sends and understands by itself: ARP (RFC 826, 5227)
//! and neighbour discovery (RFC 4861), with or without a tag.
//!
//! Written into a buffer of fixed size, read from whatever came; no memory, no panic.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ethernet::{Header, Mac, Nested, Outer, Priority, Tag, Tpid, Vlan};

/// The longest frame that is built here: a neighbour solicitation with a tag.
const LONGEST: usize = 18 + 40 + 32;
/// The shortest that may be sent, without the FCS.
const SHORTEST: usize = 60;

mod ethertype {
    pub const ARP: u16 = 0x0806;
    pub const IPV6: u16 = 0x86DD;
}

mod arp {
    pub const REQUEST: u16 = 1;
    pub const REPLY: u16 = 2;
    /// Ethernet, IPv4, the lengths of their addresses.
    pub const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
}

mod icmp {
    pub const PROTOCOL: u8 = 58;
    pub const ROUTER_SOLICITATION: u8 = 133;
    pub const SOLICITATION: u8 = 135;
    pub const ADVERTISEMENT: u8 = 136;
    pub const SOURCE_LINK: u8 = 1;
    pub const TARGET_LINK: u8 = 2;
    /// Neighbour discovery never passed a router.
    pub const HOP_LIMIT: u8 = 255;
    /// Length of the IPv6 header.
    pub const IP: usize = 40;
    /// Length of a solicitation or advertisement with an address option.
    pub const LENGTH: usize = 32;
    /// The advertisement's flags: override what is known.
    pub const OVERRIDE: u8 = 0x20;
}

/// A frame that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Frame {
    /// Begins with the header; the VLAN goes in as a tag.
    fn new(destination: Mac, source: Mac, vlan: Vlan, ethertype: u16) -> Self {
        let mut frame = Self {
            bytes: [0; LONGEST],
            length: 0,
        };
        frame.put(&destination.0);
        frame.put(&source.0);
        if !vlan.is_none() {
            let tag = Tag {
                priority: Priority::BEST_EFFORT,
                dei: false,
                vlan,
            };
            frame.put(&tag.bytes(Tpid::Customer));
        }
        frame.put(&ethertype.to_be_bytes());
        frame
    }

    /// What has no room is left out, which the sizes exclude and tests show.
    fn put(&mut self, field: &[u8]) {
        let end = self.length.saturating_add(field.len());
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(field);
            self.length = end;
        }
    }

    /// Its bytes, padded to the shortest length that may be sent.
    pub fn bytes(&self) -> &[u8] {
        let length = self.length.max(SHORTEST);
        self.bytes.get(..length).unwrap_or(&self.bytes)
    }
}

/// A question: who has `target`?
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Who asks.
    pub source: Mac,
    /// The address that asks; without one the question leaves no trace in anybody's
    /// cache (RFC 5227, 2.1.1), and the answer goes to `source` all the same.
    pub sender: Option<IpAddr>,
    /// Who is asked.
    pub target: IpAddr,
    /// On which VLAN.
    pub vlan: Vlan,
}

impl Question {
    /// Its frame.
    pub fn frame(&self) -> Frame {
        match self.target {
            IpAddr::V4(target) => {
                let sender = match self.sender {
                    Some(IpAddr::V4(sender)) => sender,
                    _ => Ipv4Addr::UNSPECIFIED,
                };
                let to = (Mac::BROADCAST, Mac::ZERO);
                arp_frame(arp::REQUEST, self.vlan, (self.source, sender), to, target)
            }
            IpAddr::V6(target) => {
                let sender = match self.sender {
                    Some(IpAddr::V6(sender)) => sender,
                    _ => link_local(self.source),
                };
                let [.., a, b, c] = target.octets();
                let group = Ipv6Addr::new(
                    0xFF02,
                    0,
                    0,
                    0,
                    0,
                    1,
                    0xFF00 | u16::from(a),
                    u16::from_be_bytes([b, c]),
                );
                let to = Mac([0x33, 0x33, 0xFF, a, b, c]);
                let message = Message {
                    kind: icmp::SOLICITATION,
                    flags: 0,
                    option: icmp::SOURCE_LINK,
                };
                message.frame(self.vlan, (self.source, sender), (to, group), target)
            }
        }
    }
}

/// The address that a station has on its link without asking anybody (RFC 4291,
/// appendix A).
#[expect(clippy::many_single_char_names, reason = "bytes in their order")]
pub fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let word = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(
        0xFE80,
        0,
        0,
        0,
        word(a ^ 2, b),
        word(c, 0xFF),
        word(0xFE, d),
        word(e, f),
    )
}

/// Which of the two forms a gratuitous ARP has; hosts take either, some of them only
/// one (RFC 5227, 3; RFC 5944, 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A request for the own address.
    Request,
    /// A reply that nobody asked for.
    Reply,
}

/// Announces an address: a gratuitous ARP or an unsolicited neighbour advertisement.
pub fn announcement(address: IpAddr, mac: Mac, vlan: Vlan, form: Form) -> Frame {
    match address {
        IpAddr::V4(address) => {
            let (operation, target) = match form {
                Form::Request => (arp::REQUEST, Mac::ZERO),
                Form::Reply => (arp::REPLY, mac),
            };
            let to = (Mac::BROADCAST, target);
            arp_frame(operation, vlan, (mac, address), to, address)
        }
        IpAddr::V6(address) => {
            let message = Message {
                kind: icmp::ADVERTISEMENT,
                flags: icmp::OVERRIDE,
                option: icmp::TARGET_LINK,
            };
            let all = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1);
            let to = Mac([0x33, 0x33, 0, 0, 0, 1]);
            message.frame(vlan, (mac, address), (to, all), address)
        }
    }
}

fn arp_frame(
    operation: u16,
    vlan: Vlan,
    (source, sender): (Mac, Ipv4Addr),
    (destination, hardware): (Mac, Mac),
    target: Ipv4Addr,
) -> Frame {
    let mut frame = Frame::new(destination, source, vlan, ethertype::ARP);
    frame.put(&arp::KIND);
    frame.put(&operation.to_be_bytes());
    frame.put(&source.0);
    frame.put(&sender.octets());
    frame.put(&hardware.0);
    frame.put(&target.octets());
    frame
}

/// A message of neighbour discovery with a target and a link-layer address.
struct Message {
    kind: u8,
    flags: u8,
    option: u8,
}

impl Message {
    fn frame(
        &self,
        vlan: Vlan,
        (source, sender): (Mac, Ipv6Addr),
        (destination, receiver): (Mac, Ipv6Addr),
        target: Ipv6Addr,
    ) -> Frame {
        let mut message = [0; icmp::LENGTH];
        {
            let mut rest = message.as_mut_slice();
            let mut put = |field: &[u8]| {
                if let Some((place, after)) =
                    core::mem::take(&mut rest).split_at_mut_checked(field.len())
                {
                    place.copy_from_slice(field);
                    rest = after;
                }
            };
            put(&[self.kind, 0, 0, 0, self.flags, 0, 0, 0]);
            put(&target.octets());
            put(&[self.option, 1]);
            put(&source.0);
        }
        let sum = checksum(sender, receiver, &message);
        let [_, _, high, low, ..] = &mut message;
        [*high, *low] = sum.to_be_bytes();
        let mut frame = Frame::new(destination, source, vlan, ethertype::IPV6);
        frame.put(&[0x60, 0, 0, 0, 0, icmp::LENGTH as u8]);
        frame.put(&[icmp::PROTOCOL, icmp::HOP_LIMIT]);
        frame.put(&sender.octets());
        frame.put(&receiver.octets());
        frame.put(&message);
        frame
    }
}

/// The checksum of ICMPv6 over a message with its pseudo-header (RFC 8200, 8.1): what
/// belongs into its field if that is 0, and 0 if it is right.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let words = |bytes: &[u8]| {
        bytes
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
                [high] => u32::from(*high) << 8,
                _ => 0,
            })
            .fold(0_u32, u32::wrapping_add) // of at most 64 KiB: it does not wrap
    };
    let mut sum = words(&source.octets())
        .wrapping_add(words(&destination.octets()))
        .wrapping_add(words(message))
        .wrapping_add(message.len() as u32)
        .wrapping_add(u32::from(icmp::PROTOCOL));
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

/// What a frame says of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Somebody asks for `target`.
    Question {
        /// The address that asks; none if it has none (yet).
        sender: Option<IpAddr>,
        /// Who is asked for.
        target: IpAddr,
    },
    /// Somebody says that it has `target`.
    Answer {
        /// Who it is.
        target: IpAddr,
    },
    /// Somebody uses this address, and says nothing else that is of use here.
    Use {
        /// Which.
        sender: IpAddr,
    },
}

/// A frame of ARP or neighbour discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// From whom: by the header, and by what ARP says inside, which agree.
    pub source: Mac,
    /// To whom.
    pub destination: Mac,
    /// The VLAN of the tag in it.
    pub vlan: Vlan,
    /// What it says.
    pub said: Said,
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

/// The frame's EtherType behind at most one customer tag, its VLAN and what follows.
fn unwrapped(frame: &[u8]) -> Option<(u16, Vlan, &[u8])> {
    let header = Header::parse(frame).ok()?;
    let (vlan, start) = match (header.outer, header.nested) {
        (Outer::None, _) => (Vlan::NONE, 14),
        (Outer::Customer(tag), Nested::None) => (tag.vlan, 18),
        _ => return None,
    };
    let ethertype = bytes(frame, start - 2).map(u16::from_be_bytes)?;
    Some((ethertype, vlan, frame.get(start..)?))
}

/// Whether a frame may be one that [`parse`] reads, by its first bytes: cheap, for
/// every frame. IRQL <= DISPATCH_LEVEL, no lock.
pub fn is_candidate(head: &[u8]) -> bool {
    match unwrapped(head) {
        Some((ethertype::ARP, ..)) => true,
        Some((ethertype::IPV6, _, packet)) => matches!(
            (packet.get(6), packet.get(icmp::IP)),
            (
                Some(&icmp::PROTOCOL),
                Some(&(icmp::ROUTER_SOLICITATION | icmp::SOLICITATION | icmp::ADVERTISEMENT))
            )
        ),
        _ => false,
    }
}

/// Reads a frame: `None` for anything else, and for what contradicts itself.
pub fn parse(frame: &[u8]) -> Option<Heard> {
    let destination = Mac::from_slice(frame)?;
    let source = frame.get(6..).and_then(Mac::from_slice)?;
    if !source.is_station() {
        return None;
    }
    let (ethertype, vlan, packet) = unwrapped(frame)?;
    let said = match ethertype {
        ethertype::ARP => parse_arp(packet, source)?,
        ethertype::IPV6 => parse_discovery(packet)?,
        _ => return None,
    };
    Some(Heard {
        source,
        destination,
        vlan,
        said,
    })
}

fn parse_arp(packet: &[u8], source: Mac) -> Option<Said> {
    if !packet.starts_with(&arp::KIND) || bytes(packet, 8)? != source.0 {
        return None;
    }
    let sender = Ipv4Addr::from(bytes::<4>(packet, 14)?);
    let target = Ipv4Addr::from(bytes::<4>(packet, 24)?);
    match bytes(packet, 6).map(u16::from_be_bytes)? {
        arp::REQUEST => Some(Said::Question {
            sender: (!sender.is_unspecified()).then_some(IpAddr::V4(sender)),
            target: IpAddr::V4(target),
        }),
        arp::REPLY if !sender.is_unspecified() => Some(Said::Answer {
            target: IpAddr::V4(sender),
        }),
        _ => None,
    }
}

fn parse_discovery(packet: &[u8]) -> Option<Said> {
    let length = usize::from(bytes(packet, 4).map(u16::from_be_bytes)?);
    let right = packet.first()? >> 4 == 6
        && *packet.get(6)? == icmp::PROTOCOL
        && *packet.get(7)? == icmp::HOP_LIMIT;
    let source = Ipv6Addr::from(bytes::<16>(packet, 8)?);
    let destination = Ipv6Addr::from(bytes::<16>(packet, 24)?);
    let message = packet.get(icmp::IP..)?.get(..length)?;
    if !right
        || source.is_multicast()
        || *message.get(1)? != 0
        || checksum(source, destination, message) != 0
    {
        return None;
    }
    let sender = (!source.is_unspecified()).then_some(IpAddr::V6(source));
    let target = || {
        let target = Ipv6Addr::from(bytes::<16>(message, 8)?);
        (!target.is_multicast()).then_some(IpAddr::V6(target))
    };
    match *message.first()? {
        icmp::SOLICITATION => Some(Said::Question {
            sender,
            target: target()?,
        }),
        icmp::ADVERTISEMENT => {
            sender?; // RFC 4861, 7.1.2 and 4.4: it has a source
            Some(Said::Answer { target: target()? })
        }
        icmp::ROUTER_SOLICITATION => Some(Said::Use { sender: sender? }),
        _ => None,
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;

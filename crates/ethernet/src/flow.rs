//! Flows: which frames belong together, and the hash by which a team spreads them.
//!
//! A hash has to give all frames of a flow one value, whatever else differs between
//! them. So it looks at less when there is less: fragments have ports in the first
//! only, so none of them is hashed by ports; what is no IP is hashed by its MAC
//! addresses. [`Flow::parse`] finds what there is, [`FlowHash`] makes a value of what
//! its policy wants of it, [`Toeplitz`] is NDIS's hash, for values that others have
//! put beside a frame.
//!
//! | Policy | Looks at | Without ports | Without IP |
//! |---|---|---|---|
//! | [`Policy::Layer2`] | MAC addresses, VLAN | the same | the same |
//! | [`Policy::Layer23`] | and IP addresses | the same | layer 2 |
//! | [`Policy::Layer34`] | IP addresses and ports | IP addresses | layer 2 |
//! | [`Policy::VlanSource`] | VLAN, source MAC address | the same | the same |
//!
//! Inner headers of tunnels are not looked at; [`Flow`] is where they would go.

use core::net::IpAddr;

use crate::header::{HEADER_BYTES, Header, Nested, Outer, TAG_BYTES};
use crate::mac::Mac;
use crate::tag::{Tag, Vlan};

/// As many bytes of a frame as are looked at, of a longer one too: the value does not
/// depend on how much of it lies in one piece, as long as this does.
pub const LOOK_BYTES: usize = 128;

/// Extension headers of IPv6 that are passed over before the search for ports ends.
const EXTENSION_LIMIT: usize = 8;

/// EtherTypes.
mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const IPV6: u16 = 0x86DD;
}

/// Protocol numbers (and those of IPv6's extension headers).
mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const SCTP: u8 = 132;
    pub const MOBILITY: u8 = 135;
    pub const UDP_LITE: u8 = 136;
    pub const HOST_IDENTITY: u8 = 139;
    pub const SHIM6: u8 = 140;
}

/// Ports of a transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Where it comes from.
    pub source: u16,
    /// Where it goes.
    pub destination: u16,
}

/// What is known of a frame above its MAC addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// From whom.
    pub source: IpAddr,
    /// To whom; of the same family.
    pub destination: IpAddr,
    /// The ports, if the protocol has some and every frame of the flow shows them.
    pub ports: Option<Ports>,
}

/// What a frame shows of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// From whom.
    pub source: Mac,
    /// To whom.
    pub destination: Mac,
    /// The outer VLAN; none and priority tags are one.
    pub vlan: Vlan,
    /// The IP header, if there is a sound one.
    pub network: Option<Network>,
}

/// `N` bytes at a place, if they are there.
fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

fn word(from: &[u8], at: usize) -> Option<u16> {
    bytes(from, at).map(u16::from_be_bytes)
}

impl Flow {
    /// Reads the first bytes of a frame: all of it, or at least [`LOOK_BYTES`].
    ///
    /// `beside` is the tag that travels beside the frame, if one does. A frame without
    /// a whole header has no flow.
    pub fn parse(frame: &[u8], beside: Option<Tag>) -> Option<Self> {
        let frame = frame.get(..LOOK_BYTES).unwrap_or(frame);
        let source = frame.get(6..).and_then(Mac::from_slice)?;
        let destination = Mac::from_slice(frame)?;
        // A tag that is announced and cut off leaves the addresses.
        let header = Header::parse(frame).ok();
        let inside = header.and_then(|header| match header.outer {
            Outer::None => None,
            Outer::Customer(tag) | Outer::Service(tag) => Some(tag.vlan),
        });
        Some(Self {
            source,
            destination,
            vlan: beside.map(|tag| tag.vlan).or(inside).unwrap_or(Vlan::NONE),
            network: header.and_then(|header| network(frame, &header)),
        })
    }
}

/// The IP header behind up to two tags.
fn network(frame: &[u8], header: &Header) -> Option<Network> {
    let tags = match (header.outer, header.nested) {
        (Outer::None, _) => 0,
        (_, Nested::None) => 1,
        (_, Nested::Tag(..)) => 2,
        (_, Nested::Truncated) => return None,
    };
    let start = HEADER_BYTES + tags * TAG_BYTES;
    let packet = frame.get(start..)?;
    match word(frame, start - 2)? {
        ethertype::IPV4 => ipv4(packet),
        ethertype::IPV6 => ipv6(packet),
        _ => None,
    }
}

/// The bytes that a length field covers: what lies behind them is padding. A stack
/// that leaves segmentation to the hardware leaves the length 0.
fn covered(packet: &[u8], length: usize) -> &[u8] {
    if length == 0 {
        packet
    } else {
        packet.get(..length).unwrap_or(packet)
    }
}

fn ipv4(packet: &[u8]) -> Option<Network> {
    const SHORTEST: usize = 20;
    /// More fragments, or a fragment offset.
    const FRAGMENTED: u16 = 0x3FFF;
    let first = *packet.first()?;
    let header = usize::from(first & 0x0F) * 4;
    if first >> 4 != 4 || header < SHORTEST {
        return None;
    }
    let length = usize::from(word(packet, 2)?);
    let fragment = word(packet, 6)?;
    let source = IpAddr::from(bytes::<4>(packet, 12)?);
    let destination = IpAddr::from(bytes::<4>(packet, 16)?);
    let whole = fragment & FRAGMENTED == 0;
    let ports = whole
        .then(|| ports(covered(packet, length), header, *packet.get(9)?))
        .flatten();
    Some(Network {
        source,
        destination,
        ports,
    })
}

fn ipv6(packet: &[u8]) -> Option<Network> {
    const HEADER: usize = 40;
    if packet.first()? >> 4 != 6 {
        return None;
    }
    let length = usize::from(word(packet, 4)?);
    let next = *packet.get(6)?;
    let source = IpAddr::from(bytes::<16>(packet, 8)?);
    let destination = IpAddr::from(bytes::<16>(packet, 24)?);
    let length = if length == 0 { 0 } else { HEADER + length };
    Some(Network {
        source,
        destination,
        ports: behind_extensions(covered(packet, length), HEADER, next),
    })
}

/// Passes over IPv6's extension headers to the ports.
fn behind_extensions(packet: &[u8], start: usize, first: u8) -> Option<Ports> {
    let (mut at, mut next) = (start, first);
    for _ in 0..=EXTENSION_LIMIT {
        let length = match next {
            protocol::FRAGMENT => {
                // An atomic fragment (RFC 6946) is a whole packet.
                if word(packet, at + 2)? & 0xFFF9 != 0 {
                    return None;
                }
                8
            }
            protocol::AUTHENTICATION => (usize::from(*packet.get(at + 1)?) + 2) * 4,
            protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION_OPTIONS
            | protocol::MOBILITY
            | protocol::HOST_IDENTITY
            | protocol::SHIM6 => (usize::from(*packet.get(at + 1)?) + 1) * 8,
            _ => return ports(packet, at, next),
        };
        next = *packet.get(at)?;
        at += length;
    }
    None
}

fn ports(packet: &[u8], at: usize, protocol: u8) -> Option<Ports> {
    match protocol {
        protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDP_LITE => {
            Some(Ports {
                source: word(packet, at)?,
                destination: word(packet, at + 2)?,
            })
        }
        _ => None,
    }
}

/// What a team's hash looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// MAC addresses and VLAN.
    Layer2,
    /// These and IP addresses.
    Layer23,
    /// IP addresses and ports.
    Layer34,
    /// VLAN and source MAC address.
    VlanSource,
}

/// A team's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowHash {
    /// What it looks at.
    pub policy: Policy,
    /// Both directions of a flow have one value.
    pub symmetric: bool,
    /// Makes the values of one team unlike those of another.
    pub seed: u64,
}

/// Mixes words into a value: a multiplication spreads each upwards, a shift brings it
/// down again.
struct Mixer(u64);

impl Mixer {
    const fn add(&mut self, word: u64) {
        // The odd multipliers of the finalizer of MurmurHash3, whose every input bit
        // changes every output bit with a probability of about one half.
        let mut state = self.0 ^ word;
        state ^= state >> 33;
        state = state.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        state ^= state >> 33;
        state = state.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        state ^= state >> 33;
        self.0 = state;
    }

    const fn value(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn add_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.add(u64::from(address.to_bits())),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                self.add((bits >> 64) as u64);
                self.add(bits as u64);
            }
        }
    }
}

/// Two ends in their order, or in one that both directions share.
fn ends<T: Ord>(source: T, destination: T, symmetric: bool) -> (T, T) {
    if symmetric && destination < source {
        (destination, source)
    } else {
        (source, destination)
    }
}

impl FlowHash {
    /// The value of a flow.
    pub fn of(&self, flow: &Flow) -> u32 {
        let mut mixer = Mixer(self.seed);
        match (self.policy, flow.network) {
            (Policy::VlanSource, _) => {
                mixer.add(u64::from(flow.vlan.number()) << 48 | flow.source.number());
            }
            (Policy::Layer2, _) | (Policy::Layer23 | Policy::Layer34, None) => {
                self.add_layer_2(flow, &mut mixer);
            }
            (Policy::Layer23, Some(network)) => {
                self.add_layer_2(flow, &mut mixer);
                let whole = Network {
                    ports: None,
                    ..network
                };
                self.add_network(&whole, &mut mixer);
            }
            (Policy::Layer34, Some(network)) => self.add_network(&network, &mut mixer),
        }
        mixer.value()
    }

    fn add_layer_2(&self, flow: &Flow, mixer: &mut Mixer) {
        let (a, b) = (flow.source.number(), flow.destination.number());
        let (a, b) = ends(a, b, self.symmetric);
        mixer.add(u64::from(flow.vlan.number()) << 48 | a);
        mixer.add(b);
    }

    fn add_network(&self, network: &Network, mixer: &mut Mixer) {
        let ports = network.ports.map(|ports| (ports.source, ports.destination));
        let (source, destination) = ports.unwrap_or_default();
        // An address goes with its port: two flows that differ in which side has
        // which port are two.
        let ((a, a_port), (b, b_port)) = ends(
            (network.source, source),
            (network.destination, destination),
            self.symmetric,
        );
        mixer.add_address(a);
        mixer.add_address(b);
        if ports.is_some() {
            mixer.add(u64::from(a_port) << 16 | u64::from(b_port));
        }
    }
}

/// One of so many shares of equal size for a value, 0 of none: its upper bits decide,
/// so that no division is needed.
pub const fn share(value: u32, shares: u32) -> u32 {
    ((value as u64 * shares as u64) >> 32) as u32
}

/// `NdisHashFunctionToeplitz`, in software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toeplitz(pub [u8; Toeplitz::KEY_BYTES]);

impl Toeplitz {
    /// Length of a key: enough for two IPv6 addresses and two ports.
    pub const KEY_BYTES: usize = 40;

    /// The longest input that the key covers.
    const INPUT_BYTES: usize = Self::KEY_BYTES - 4;

    /// A key that gives both directions of a flow one value: it repeats itself every
    /// 16 bits, and addresses and ports are multiples of these.
    pub const fn symmetric(word: u16) -> Self {
        let [high, low] = word.to_be_bytes();
        let mut key = [high; Self::KEY_BYTES];
        let mut at = 1;
        while at < Self::KEY_BYTES {
            key[at] = low;
            at += 2;
        }
        Self(key)
    }

    /// The value of some bytes. Those that the key does not cover do not count.
    pub fn value(&self, input: &[u8]) -> u32 {
        let mut result = 0;
        for (at, byte) in input.iter().enumerate().take(Self::INPUT_BYTES) {
            // The 40 bits of the key that the eight bits of the byte choose from.
            let Some(high) = bytes::<4>(&self.0, at) else {
                break;
            };
            let low = self.0.get(at + 4).copied().unwrap_or(0);
            let window = u64::from(u32::from_be_bytes(high)) << 8 | u64::from(low);
            for bit in 0..8 {
                if byte & (0x80 >> bit) != 0 {
                    result ^= (window >> (8 - bit)) as u32;
                }
            }
        }
        result
    }

    /// The value that receive-side scaling gives a packet: of addresses and ports, or
    /// of addresses alone (`NDIS_HASH_TCP_IPV4`, `NDIS_HASH_IPV4` and their like).
    pub fn of(&self, network: &Network, with_ports: bool) -> u32 {
        let mut input = [0; Self::INPUT_BYTES];
        let mut length = 0;
        let mut put = |field: &[u8]| {
            if let Some(place) = input.get_mut(length..length + field.len()) {
                place.copy_from_slice(field);
                length += field.len();
            }
        };
        for address in [network.source, network.destination] {
            match address {
                IpAddr::V4(address) => put(&address.octets()),
                IpAddr::V6(address) => put(&address.octets()),
            }
        }
        if let (true, Some(ports)) = (with_ports, network.ports) {
            put(&ports.source.to_be_bytes());
            put(&ports.destination.to_be_bytes());
        }
        self.value(input.get(..length).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;

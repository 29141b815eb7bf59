//! Frames that no sound sender makes: too short, too long, with lengths that
//! lie. A driver has to carry or drop them, and lose nothing else over it.
//!
//! [`frame`] makes number `index` of a seed's frames; [`Source`] sends them.

use std::fmt;

use crate::mix::{Chance, Content, derive};
use crate::{ETHERNET_HEADER, Endpoint, Frame, MIN_FRAME, Mac};

/// What is wrong with a frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// No octet at all.
    Empty,
    /// Ends within the Ethernet header.
    HeaderCut,
    /// Shorter than a frame on a wire may be.
    Runt,
    /// Longer than the MTU allows.
    Oversized,
    /// An IEEE 802.3 length beyond the frame's end.
    Length8023,
    /// A VLAN tag that ends the frame.
    VlanCut,
    /// An ARP packet cut short.
    ArpCut,
    /// An IPv4 total length beyond the frame's end.
    Ipv4Length,
    /// An IPv4 header length below the smallest or beyond the packet.
    Ipv4Header,
    /// An IPv6 payload length beyond the frame's end.
    Ipv6Length,
    /// An IPv6 extension header whose length leads out of the packet.
    Ipv6Extension,
    /// A UDP length that disagrees with IPv4's.
    UdpLength,
    /// A TCP data offset that leads out of the segment.
    TcpOffset,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Empty,
        Self::HeaderCut,
        Self::Runt,
        Self::Oversized,
        Self::Length8023,
        Self::VlanCut,
        Self::ArpCut,
        Self::Ipv4Length,
        Self::Ipv4Header,
        Self::Ipv6Length,
        Self::Ipv6Extension,
        Self::UdpLength,
        Self::TcpOffset,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty frame",
            Self::HeaderCut => "cut Ethernet header",
            Self::Runt => "runt",
            Self::Oversized => "oversized frame",
            Self::Length8023 => "802.3 length beyond the frame",
            Self::VlanCut => "cut VLAN tag",
            Self::ArpCut => "cut ARP packet",
            Self::Ipv4Length => "IPv4 total length beyond the frame",
            Self::Ipv4Header => "impossible IPv4 header length",
            Self::Ipv6Length => "IPv6 payload length beyond the frame",
            Self::Ipv6Extension => "IPv6 extension header beyond the packet",
            Self::UdpLength => "wrong UDP length",
            Self::TcpOffset => "TCP data offset beyond the segment",
        })
    }
}

/// Whom the frames pretend to be from and for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses {
    /// The sender.
    pub source: Mac,
    /// The receiver.
    pub destination: Mac,
    /// The largest packet that is allowed.
    pub mtu: u16,
}

fn base(length: usize, ethertype: u16, content: Content, addresses: &Addresses) -> Frame {
    let mut frame = vec![0; length];
    content.fill(0, &mut frame);
    let mut header = [0; ETHERNET_HEADER];
    header[..6].copy_from_slice(&addresses.destination.0);
    header[6..12].copy_from_slice(&addresses.source.0);
    header[12..].copy_from_slice(&ethertype.to_be_bytes());
    let kept = length.min(ETHERNET_HEADER);
    frame[..kept].copy_from_slice(&header[..kept]);
    frame
}

fn ipv4(frame: &mut [u8], protocol: u8) {
    let total = (frame.len() - ETHERNET_HEADER) as u16;
    let packet = &mut frame[ETHERNET_HEADER..];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[6..8].fill(0);
    packet[8] = 64;
    packet[9] = protocol;
}

/// Frame `index` of `seed`, and what is wrong with it. All faults take turns.
pub fn frame(seed: u64, index: u64, addresses: &Addresses) -> (Fault, Frame) {
    let seed = derive(seed, index);
    let mut chance = Chance::new(seed);
    let content = Content::new(derive(seed, 1));
    let fault = Fault::ALL[(index % Fault::ALL.len() as u64) as usize];
    let largest = u64::from(addresses.mtu) + ETHERNET_HEADER as u64;
    let mut usual = |ethertype| {
        let length = chance.between(MIN_FRAME as u64, largest.max(MIN_FRAME as u64)) as usize;
        base(length, ethertype, content, addresses)
    };
    let beyond = |frame: &Frame, chance: &mut Chance| {
        let inside = (frame.len() - ETHERNET_HEADER) as u64;
        (chance.between(inside + 1, u64::from(u16::MAX)) as u16).to_be_bytes()
    };
    let frame = match fault {
        Fault::Empty => Frame::new(),
        Fault::HeaderCut => base(chance.between(1, 13) as usize, 0x0800, content, addresses),
        Fault::Runt => base(chance.between(14, 59) as usize, 0x0800, content, addresses),
        Fault::Oversized => base(
            chance.between(largest + 1, largest + 4_096) as usize,
            0x0800,
            content,
            addresses,
        ),
        Fault::Length8023 => {
            // Up to 1500 the field is a length.
            let length = chance.between(MIN_FRAME as u64, 1_000) as usize;
            let claimed = chance.between((length - ETHERNET_HEADER + 1) as u64, 1_500) as u16;
            base(length, claimed, content, addresses)
        }
        Fault::VlanCut => base(chance.between(14, 17) as usize, 0x8100, content, addresses),
        Fault::ArpCut => base(chance.between(15, 41) as usize, 0x0806, content, addresses),
        Fault::Ipv4Length => {
            let mut frame = usual(0x0800);
            ipv4(&mut frame, 17);
            let claimed = beyond(&frame, &mut chance);
            frame[16..18].copy_from_slice(&claimed);
            frame
        }
        Fault::Ipv4Header => {
            let mut frame = usual(0x0800);
            ipv4(&mut frame, 6);
            // Words of header: fewer than five, or 15 in a packet of 46 octets.
            if chance.below(2) == 0 {
                frame[14] = 0x40 | chance.below(5) as u8;
            } else {
                frame.truncate(MIN_FRAME);
                ipv4(&mut frame, 6);
                frame[14] = 0x4f;
            }
            frame
        }
        Fault::Ipv6Length => {
            let mut frame = usual(0x86dd);
            frame[14] = 0x60;
            let claimed = beyond(&frame, &mut chance);
            frame[18..20].copy_from_slice(&claimed);
            frame
        }
        Fault::Ipv6Extension => {
            let mut frame = base(78, 0x86dd, content, addresses);
            frame[14] = 0x60;
            frame[18..20].copy_from_slice(&24_u16.to_be_bytes());
            frame[20] = 0; // Hop-by-hop options follow,
            frame[55] = chance.between(3, 255) as u8; // of more 8-octet units than are left.
            frame
        }
        Fault::UdpLength => {
            let mut frame = usual(0x0800);
            ipv4(&mut frame, 17);
            let right = (frame.len() - 34) as u64;
            let claimed = (right + 1 + chance.below(60_000)) as u16;
            frame[38..40].copy_from_slice(&claimed.to_be_bytes());
            frame
        }
        Fault::TcpOffset => {
            let mut frame = base(MIN_FRAME, 0x0800, content, addresses);
            ipv4(&mut frame, 6);
            // 26 octets of segment: an offset of 7 words and more leads out.
            frame[46] = (chance.between(7, 15) as u8) << 4;
            frame
        }
    };
    (fault, frame)
}

/// Sends malformed frames as fast as they are taken.
pub struct Source {
    seed: u64,
    addresses: Addresses,
    total: u64,
    sent: u64,
    /// An adapter that cannot take an empty frame is spared them.
    skip_empty: bool,
}

impl Source {
    /// A source of `total` frames.
    pub fn new(seed: u64, total: u64, addresses: Addresses) -> Self {
        Self {
            seed,
            addresses,
            total,
            sent: 0,
            skip_empty: false,
        }
    }

    /// Leaves out frames without any octet.
    #[must_use]
    pub fn without_empty(mut self) -> Self {
        self.skip_empty = true;
        self
    }

    /// Whether all were sent.
    pub fn is_done(&self) -> bool {
        self.sent >= self.total
    }
}

impl Endpoint for Source {
    fn on_frame(&mut self, _now: u64, _frame: &[u8]) {}

    fn poll(&mut self, _now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        while !self.is_done() {
            let (fault, frame) = frame(self.seed, self.sent, &self.addresses);
            self.sent += 1;
            if self.skip_empty && fault == Fault::Empty {
                continue;
            }
            if !out(frame) {
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        (!self.is_done()).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: Addresses = Addresses {
        source: Mac::local(2, 1),
        destination: Mac::local(2, 2),
        mtu: 1500,
    };

    fn word(frame: &[u8], at: usize) -> usize {
        usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]))
    }

    #[test]
    fn every_frame_has_the_fault_it_names() {
        for index in 0..13 * 200 {
            let (fault, frame) = frame(5, index, &ADDRESSES);
            let length = frame.len();
            let faulty = match fault {
                Fault::Empty => length == 0,
                Fault::HeaderCut => length < 14,
                Fault::Runt => (14..60).contains(&length),
                Fault::Oversized => length > 1514,
                Fault::Length8023 => word(&frame, 12) <= 1500 && word(&frame, 12) > length - 14,
                Fault::VlanCut => word(&frame, 12) == 0x8100 && length < 18,
                Fault::ArpCut => word(&frame, 12) == 0x0806 && length < 42,
                Fault::Ipv4Length => word(&frame, 16) > length - 14,
                Fault::Ipv4Header => {
                    let words = usize::from(frame[14] & 0xf);
                    words < 5 || words * 4 > length - 14
                }
                Fault::Ipv6Length => word(&frame, 18) > length - 14,
                Fault::Ipv6Extension => (usize::from(frame[55]) + 1) * 8 > length - 54,
                Fault::UdpLength => word(&frame, 38) > length - 34,
                Fault::TcpOffset => usize::from(frame[46] >> 4) * 4 > length - 34,
            };
            assert!(faulty, "{fault} ({index}): {frame:02x?}");
        }
    }

    #[test]
    fn a_source_sends_each_once_and_the_same_again() {
        let collect = |mut source: Source, capacity: usize| {
            let mut frames = Vec::new();
            while source.next_poll(0).is_some() {
                let mut room = capacity;
                source.poll(0, &mut |frame| {
                    frames.push(frame);
                    room -= 1;
                    room > 0
                });
            }
            frames
        };
        let all = collect(Source::new(9, 130, ADDRESSES), 7);
        assert_eq!(all.len(), 130);
        assert_eq!(all, collect(Source::new(9, 130, ADDRESSES), 1000));
        assert_ne!(all, collect(Source::new(8, 130, ADDRESSES), 1000));
        let spared = collect(Source::new(9, 130, ADDRESSES).without_empty(), 7);
        assert_eq!(spared.len(), 120);
        assert!(spared.iter().all(|frame| !frame.is_empty()));
    }
}

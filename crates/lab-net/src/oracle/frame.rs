//! The oracle's frame: a header that says how it travels, a record that says
//! what it is, content from the seed.
//!
//! ```text
//! Ethernet 14 | [IPv4 20 | UDP 8] | magic 4 | flow 4 | number 8 | length 4 | hash 8 | content
//! ```
//!
//! Numbers are big-endian. The hash covers every octet of the frame but itself.

use twox_hash::XxHash64;

use super::ledger::{Carrier, Flow, FlowId};
use crate::mix::{Content, derive};
use crate::{ETHERNET_HEADER, Frame, MIN_FRAME};

/// IEEE Std 802's local experimental EtherType 1.
pub const ETHERTYPE: u16 = 0x88b5;

const ETHERTYPE_IPV4: u16 = 0x0800;
const IPV4_UDP: usize = 28;
const MAGIC: [u8; 4] = *b"LABo";
const RECORD: usize = 28;
const HASH: usize = 20;

/// Where the record begins.
fn record_at(carrier: &Carrier) -> usize {
    match carrier {
        Carrier::Private => ETHERNET_HEADER,
        Carrier::Udp { .. } => ETHERNET_HEADER + IPV4_UDP,
    }
}

/// The shortest frame that a carrier has room for.
pub fn smallest(carrier: &Carrier) -> usize {
    (record_at(carrier) + RECORD).max(MIN_FRAME)
}

fn hash(seed: u64, frame: &[u8], at: usize) -> u64 {
    let (before, rest) = frame.split_at(at + HASH);
    XxHash64::oneshot(XxHash64::oneshot(seed, before), &rest[8..])
}

/// RFC 1071's checksum.
fn ones_complement(header: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in header.chunks(2) {
        sum += u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Makes frame `number` of a flow. `length` is raised to what it needs.
pub(super) fn build(seed: u64, id: u32, flow: &Flow, number: u64, length: usize) -> Frame {
    let at = record_at(&flow.carrier);
    let length = length.max(smallest(&flow.carrier));
    let mut frame = vec![0; length];
    frame[..6].copy_from_slice(&flow.destination.0);
    frame[6..12].copy_from_slice(&flow.source.0);
    let ethertype = match flow.carrier {
        Carrier::Private => ETHERTYPE,
        Carrier::Udp { from, to } => {
            // RFC 791 and RFC 768. A UDP checksum of zero means "none": with one,
            // the hash and the checksum would each have to cover the other.
            let packet = &mut frame[ETHERNET_HEADER..];
            let total = (length - ETHERNET_HEADER) as u16;
            packet[0] = 0x45;
            packet[2..4].copy_from_slice(&total.to_be_bytes());
            packet[4..6].copy_from_slice(&(number as u16).to_be_bytes());
            packet[8] = 64;
            packet[9] = 17;
            packet[12..16].copy_from_slice(&from.ip().octets());
            packet[16..20].copy_from_slice(&to.ip().octets());
            let checksum = ones_complement(&packet[..20]);
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            packet[20..22].copy_from_slice(&from.port().to_be_bytes());
            packet[22..24].copy_from_slice(&to.port().to_be_bytes());
            packet[24..26].copy_from_slice(&(total - 20).to_be_bytes());
            ETHERTYPE_IPV4
        }
    };
    frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    let record = &mut frame[at..];
    record[..4].copy_from_slice(&MAGIC);
    record[4..8].copy_from_slice(&id.to_be_bytes());
    record[8..16].copy_from_slice(&number.to_be_bytes());
    record[16..20].copy_from_slice(&(length as u32).to_be_bytes());
    Content::new(derive(seed ^ u64::from(id), number)).fill(0, &mut record[RECORD..]);
    let hash = hash(seed, &frame, at);
    frame[at + HASH..at + RECORD].copy_from_slice(&hash.to_be_bytes());
    frame
}

/// Whether a frame has a flow's header, in all that no other traffic has: the
/// record may be broken, but it is one of the flow's.
pub(super) fn is_headed(flow: &Flow, frame: &[u8]) -> bool {
    let part = |range: std::ops::Range<usize>| frame.get(range).unwrap_or_default();
    if part(0..6) != flow.destination.0 || part(6..12) != flow.source.0 {
        return false;
    }
    match flow.carrier {
        Carrier::Private => is_private(frame),
        Carrier::Udp { from, to } => {
            part(12..14) == ETHERTYPE_IPV4.to_be_bytes()
                && part(26..30) == from.ip().octets()
                && part(30..34) == to.ip().octets()
                && part(34..36) == from.port().to_be_bytes()
                && part(36..38) == to.port().to_be_bytes()
        }
    }
}

/// Whether a frame has the oracle's type: no host sends it.
pub(super) fn is_private(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&ETHERTYPE.to_be_bytes()[..])
}

/// What a frame turns out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// One of the oracle's, every octet as it was sent.
    Sound { flow: u32, number: u64 },
    /// One of the oracle's, changed. The flow is what the record claims.
    Changed { flow: u32 },
    /// None of the oracle's, or changed beyond recognition.
    Other,
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u32::from_be_bytes(*chunk))
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u64::from_be_bytes(*chunk))
}

/// The flow and number that a frame of the oracle claims, for those who only watch it
/// go by: nothing is checked.
pub fn peek(frame: &[u8]) -> Option<(FlowId, u64)> {
    [ETHERNET_HEADER, ETHERNET_HEADER + IPV4_UDP]
        .into_iter()
        .filter_map(|at| frame.get(at..))
        .find(|record| record.starts_with(&MAGIC))
        .map(|record| (FlowId(read_u32(record, 4)), read_u64(record, 8)))
}

/// Reads a frame. The record is looked for at both places whatever the type
/// field says, since that field may be what changed.
pub(super) fn read(seed: u64, frame: &[u8]) -> Seen {
    let mut seen = Seen::Other;
    for at in [ETHERNET_HEADER, ETHERNET_HEADER + IPV4_UDP] {
        let Some(record) = frame.get(at..) else {
            break;
        };
        if !record.starts_with(&MAGIC) {
            continue;
        }
        let flow = read_u32(record, 4);
        if record.len() >= RECORD
            && read_u32(record, 16) as usize == frame.len()
            && read_u64(record, HASH) == hash(seed, frame, at)
        {
            return Seen::Sound {
                flow,
                number: read_u64(record, 8),
            };
        }
        seen = Seen::Changed { flow };
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use super::*;
    use crate::Mac;

    fn flows() -> [Flow; 2] {
        let end = |n| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 4000);
        let (a, b) = (Mac::local(2, 1), Mac::local(2, 2));
        [
            Flow::private("p", a, b),
            Flow::udp("u", a, b, end(1), end(2)),
        ]
    }

    #[test]
    fn a_frame_is_read_back() {
        for flow in flows() {
            for length in [0, 60, 61, 70, 1514, 9014] {
                let frame = build(7, 3, &flow, 99, length);
                assert_eq!(frame.len(), length.max(smallest(&flow.carrier)));
                assert_eq!(
                    read(7, &frame),
                    Seen::Sound {
                        flow: 3,
                        number: 99
                    }
                );
                assert_eq!(
                    read(8, &frame),
                    Seen::Changed { flow: 3 },
                    "another run's frame"
                );
            }
        }
    }

    #[test]
    fn no_bit_changes_unnoticed() {
        for flow in flows() {
            let frame = build(7, 3, &flow, 99, 0);
            for bit in 0..frame.len() * 8 {
                let mut changed = frame.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    !matches!(read(7, &changed), Seen::Sound { .. }),
                    "bit {bit}"
                );
            }
        }
    }

    #[test]
    fn no_cut_or_padded_frame_is_sound() {
        for flow in flows() {
            let frame = build(7, 3, &flow, 99, 80);
            for length in 0..80 {
                assert!(
                    !matches!(read(7, &frame[..length]), Seen::Sound { .. }),
                    "{length}"
                );
            }
            let longer = [&frame[..], &[0]].concat();
            assert_eq!(read(7, &longer), Seen::Changed { flow: 3 });
        }
    }

    #[test]
    fn the_udp_carrier_is_a_valid_ipv4_datagram() {
        let [_, flow] = flows();
        let frame = build(7, 3, &flow, 99, 300);
        let packet = smoltcp::wire::Ipv4Packet::new_checked(&frame[14..]).expect("lengths agree");
        assert!(packet.verify_checksum());
        let datagram =
            smoltcp::wire::UdpPacket::new_checked(packet.payload()).expect("lengths agree");
        assert_eq!(
            (datagram.src_port(), datagram.dst_port(), datagram.len()),
            (4000, 4000, 266)
        );
    }
}

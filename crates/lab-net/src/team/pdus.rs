//! PDUs of slow protocols as no sound partner sends them.

use crate::mix::{Chance, derive};
use crate::{Frame, Mac};

/// What is wrong with a PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BadPdu {
    /// It ends early.
    Short,
    /// It goes on with arbitrary octets.
    Long,
    /// A subtype that is reserved.
    Subtype,
    /// A version of the future.
    Version,
    /// A TLV with a length that is not its own.
    TlvLength,
    /// A TLV of another type.
    TlvType,
    /// Every octet behind the header is arbitrary.
    Noise,
    /// The partner says it is the team itself.
    OwnSystem,
    /// A marker with a length that is not its own.
    Marker,
    /// A response to a marker that nobody sent.
    Response,
}

impl BadPdu {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Short,
        Self::Long,
        Self::Subtype,
        Self::Version,
        Self::TlvLength,
        Self::TlvType,
        Self::Noise,
        Self::OwnSystem,
        Self::Marker,
        Self::Response,
    ];
}

/// Octets of a LACPDU or marker PDU's frame.
const LENGTH: usize = 124;

/// The `index`th bad PDU of `seed`. All faults take turns; `own` is the team's address.
pub fn bad_pdu(seed: u64, index: u64, source: Mac, own: Mac) -> (BadPdu, Frame) {
    let fault = BadPdu::ALL[(index % BadPdu::ALL.len() as u64) as usize];
    let mut chance = Chance::new(derive(seed, index));
    let mut frame = lacpdu(source, Mac::local(7, 77));
    match fault {
        // Every length down to a bare header.
        BadPdu::Short => frame.truncate(chance.between(14, LENGTH as u64 - 1) as usize),
        BadPdu::Long => {
            let more = chance.between(1, 1_390) as usize;
            frame.extend((0..more).map(|at| (at * 7) as u8));
        }
        BadPdu::Subtype => frame[14] = chance.between(3, 255) as u8,
        BadPdu::Version => frame[15] = chance.between(2, 255) as u8,
        BadPdu::TlvLength => {
            let at = [17, 37, 57][chance.below(3) as usize];
            frame[at] = chance.next() as u8 & !0x14 | 1;
        }
        BadPdu::TlvType => {
            let at = [16, 36, 56][chance.below(3) as usize];
            frame[at] = chance.between(4, 255) as u8;
        }
        BadPdu::Noise => frame[16..].fill_with(|| chance.next() as u8),
        BadPdu::OwnSystem => frame[20..26].copy_from_slice(&own.0),
        BadPdu::Marker | BadPdu::Response => {
            frame[14..].fill(0);
            frame[14] = 2;
            frame[15] = 1;
            frame[16] = if fault == BadPdu::Marker { 1 } else { 2 };
            frame[17] = if fault == BadPdu::Marker {
                chance.between(0, 12) as u8
            } else {
                16
            };
            frame[18..32].fill_with(|| chance.next() as u8);
        }
    }
    (fault, frame)
}

/// A sound LACPDU of a system that has never heard of anybody.
fn lacpdu(source: Mac, system: Mac) -> Frame {
    let mut frame = vec![0; LENGTH];
    frame[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 2]);
    frame[6..12].copy_from_slice(&source.0);
    // Slow protocols, LACP, version 1; the actor's TLV.
    frame[12..18].copy_from_slice(&[0x88, 0x09, 1, 1, 1, 20]);
    frame[18..20].copy_from_slice(&0x8000_u16.to_be_bytes());
    frame[20..26].copy_from_slice(&system.0);
    frame[26..28].copy_from_slice(&[0, 9]);
    frame[28..32].copy_from_slice(&[0, 0x80, 0, 9]);
    frame[32] = 0x07;
    // The partner's and the collector's.
    frame[36..38].copy_from_slice(&[2, 20]);
    frame[56..58].copy_from_slice(&[3, 16]);
    frame
}

#[cfg(test)]
mod tests {
    use lacp::MacAddress;
    use lacp::pdu::{Pdu, parse};

    use super::*;

    #[test]
    fn the_pattern_is_sound_and_the_faults_are_what_they_say() {
        let (source, own) = (Mac::local(7, 1), Mac::local(0, 1));
        let da = MacAddress::SLOW_PROTOCOLS;
        assert!(matches!(
            parse(&lacpdu(source, source), da),
            Ok(Pdu::Lacpdu(_))
        ));
        let mut lengths = std::collections::BTreeSet::new();
        for index in 0..4_000 {
            let (fault, frame) = bad_pdu(3, index, source, own);
            let parsed = parse(&frame, da);
            match fault {
                BadPdu::Short => {
                    lengths.insert(frame.len());
                    assert!(parsed.is_err() || frame.len() > 100, "{}", frame.len());
                }
                BadPdu::Subtype => assert!(parsed.is_err()),
                BadPdu::OwnSystem => match parsed {
                    Ok(Pdu::Lacpdu(pdu)) => assert_eq!(pdu.actor.system.address.0, own.0),
                    other => panic!("{other:?}"),
                },
                _ => {}
            }
        }
        assert!(lengths.len() > 100, "{}", lengths.len());
    }
}

//! Frames with tags that no sound sender makes, and frames that no bridge forwards.
//!
//! What a receiver may make of each is [`Fault::audience`]: it may always drop one.

use std::fmt;

use super::malformed::Addresses;
use crate::mix::{Chance, Content, derive};
use crate::vlan::{TPID, TPID_SERVICE, Tag};
use crate::{Endpoint, Frame, MIN_FRAME, Mac};

/// What is wrong with a frame's tags.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// Ends behind the type that announces a tag.
    TypeOnly,
    /// Ends within the tag.
    HalfTag,
    /// Ends behind the tag: no type follows.
    NoType,
    /// Ends within the type behind the tag.
    HalfType,
    /// Ends behind that type: a header without payload.
    Bare,
    /// A tag behind a tag.
    Nested,
    /// A tag behind a tag, cut.
    NestedCut,
    /// A provider's tag outside.
    Service,
    /// The reserved identifier 4095.
    Reserved,
    /// A priority-only tag, and one with a VLAN behind it.
    PriorityNested,
    /// As many tags as fit.
    Endless,
}

/// Who may get a frame, unless it is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// Nobody.
    Nobody,
    /// Ports of the outer tag's VLAN.
    Vlan,
    /// Ports that get untagged frames.
    Untagged,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::TypeOnly,
        Self::HalfTag,
        Self::NoType,
        Self::HalfType,
        Self::Bare,
        Self::Nested,
        Self::NestedCut,
        Self::Service,
        Self::Reserved,
        Self::PriorityNested,
        Self::Endless,
    ];

    /// Who may get it.
    pub const fn audience(self) -> Audience {
        match self {
            // A tag that is not there whole names no VLAN; 4095 names none either.
            // What a priority-only tag hides must not come out untagged.
            Self::TypeOnly | Self::HalfTag | Self::Reserved | Self::PriorityNested => {
                Audience::Nobody
            }
            Self::NoType
            | Self::HalfType
            | Self::Bare
            | Self::Nested
            | Self::NestedCut
            | Self::Endless => Audience::Vlan,
            // Whoever knows no provider's tags sees an unknown type.
            Self::Service => Audience::Untagged,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TypeOnly => "tag announced, not there",
            Self::HalfTag => "cut tag",
            Self::NoType => "nothing behind the tag",
            Self::HalfType => "cut type behind the tag",
            Self::Bare => "no payload behind the tag",
            Self::Nested => "tag behind a tag",
            Self::NestedCut => "cut tag behind a tag",
            Self::Service => "provider's tag",
            Self::Reserved => "VLAN 4095",
            Self::PriorityNested => "tag behind a priority",
            Self::Endless => "nothing but tags",
        })
    }
}

/// Frame `index` of `seed` that is, as far as it goes, for `vlan`. All faults take turns.
pub fn frame(seed: u64, index: u64, addresses: &Addresses, vlan: u16) -> (Fault, Frame) {
    let seed = derive(seed, index);
    let mut chance = Chance::new(seed);
    let fault = Fault::ALL[(index % Fault::ALL.len() as u64) as usize];
    let control = |chance: &mut Chance, vlan| {
        let priority = chance.below(8) as u8;
        Tag { vlan, priority }.control().to_be_bytes()
    };
    let mut frame = [addresses.destination.0, addresses.source.0].concat();
    let tag = |frame: &mut Frame, chance: &mut Chance, tpid: u16, vlan| {
        frame.extend_from_slice(&tpid.to_be_bytes());
        frame.extend_from_slice(&control(chance, vlan));
    };
    let other = 1 + (vlan + 1) % 4094;
    match fault {
        Fault::Service => tag(&mut frame, &mut chance, TPID_SERVICE, vlan),
        Fault::Reserved => tag(&mut frame, &mut chance, TPID, 4095),
        Fault::PriorityNested => tag(&mut frame, &mut chance, TPID, 0),
        _ => tag(&mut frame, &mut chance, TPID, vlan),
    }
    match fault {
        Fault::TypeOnly => frame.truncate(14),
        Fault::HalfTag => frame.truncate(15),
        Fault::NoType => {}
        Fault::HalfType => frame.push(0x08),
        Fault::Bare => frame.extend_from_slice(&[0x08, 0x00]),
        Fault::NestedCut => {
            tag(&mut frame, &mut chance, TPID, other);
            let kept = chance.between(18, 19) as usize;
            frame.truncate(kept);
        }
        Fault::Endless => {
            let most = usize::from(addresses.mtu);
            while frame.len() + 4 <= most {
                tag(&mut frame, &mut chance, TPID, other);
            }
        }
        Fault::Nested | Fault::Service | Fault::Reserved | Fault::PriorityNested => {
            if fault != Fault::Reserved {
                tag(&mut frame, &mut chance, TPID, other);
            }
            frame.extend_from_slice(&[0x08, 0x00]);
            let start = frame.len();
            let least = MIN_FRAME.max(start + 1) as u64;
            frame.resize(chance.between(least, 200) as usize, 0);
            Content::new(derive(seed, 1)).fill(0, &mut frame[start..]);
        }
    }
    (fault, frame)
}

/// A frame to one of the sixteen group addresses that no bridge forwards (IEEE 802.1Q,
/// 8.6.3): `last` 2 is LACP's.
pub fn link_local(source: Mac, last: u8) -> Frame {
    let mut frame = vec![0; MIN_FRAME];
    frame[..6].copy_from_slice(&link_local_address(last).0);
    frame[6..12].copy_from_slice(&source.0);
    // Slow protocols, LACP.
    frame[12..16].copy_from_slice(&[0x88, 0x09, 0x01, 0x01]);
    frame
}

/// The address 01-80-C2-00-00-0`last`.
pub const fn link_local_address(last: u8) -> Mac {
    Mac([0x01, 0x80, 0xc2, 0, 0, last & 0xf])
}

/// Sends such frames as fast as they are taken.
pub struct Source {
    seed: u64,
    addresses: Addresses,
    vlan: u16,
    total: u64,
    sent: u64,
}

impl Source {
    /// A source of `total` frames.
    pub const fn new(seed: u64, total: u64, addresses: Addresses, vlan: u16) -> Self {
        Self {
            seed,
            addresses,
            vlan,
            total,
            sent: 0,
        }
    }
}

impl Endpoint for Source {
    fn on_frame(&mut self, _now: u64, _frame: &[u8]) {}

    fn poll(&mut self, _now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        while self.sent < self.total {
            let (_, frame) = frame(self.seed, self.sent, &self.addresses, self.vlan);
            self.sent += 1;
            if !out(frame) {
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        (self.sent < self.total).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vlan::{strip, tag_of};

    const ADDRESSES: Addresses = Addresses {
        source: Mac::local(2, 1),
        destination: Mac::local(2, 2),
        mtu: 1500,
    };

    #[test]
    fn every_frame_has_the_fault_it_names() {
        for index in 0..11 * 100 {
            let (fault, frame) = frame(5, index, &ADDRESSES, 20);
            let outer = tag_of(&frame);
            let inner = strip(&frame).map(|(_, rest)| rest);
            let again = inner.as_deref().and_then(tag_of);
            let faulty = match fault {
                Fault::TypeOnly => frame.len() == 14 && outer.is_none(),
                Fault::HalfTag => frame.len() == 15 && outer.is_none(),
                Fault::NoType => frame.len() == 16 && outer.is_some(),
                Fault::HalfType => frame.len() == 17 && outer.is_some(),
                Fault::Bare => frame.len() == 18 && outer.is_some(),
                Fault::Nested => again.is_some_and(|tag| tag.vlan != 20),
                Fault::NestedCut => outer.is_some() && again.is_none(),
                Fault::Service => frame[12..14] == TPID_SERVICE.to_be_bytes(),
                Fault::Reserved => outer.is_some_and(|tag| tag.vlan == 4095),
                Fault::PriorityNested => {
                    outer.is_some_and(|tag| tag.vlan == 0) && again.is_some_and(|tag| tag.vlan > 0)
                }
                Fault::Endless => frame.len() > 1_490 && again.is_some(),
            };
            assert!(faulty, "{fault} ({index}): {frame:02x?}");
            if fault.audience() == Audience::Vlan {
                assert_eq!(outer.map(|tag| tag.vlan), Some(20), "{fault}");
            }
            assert!(frame.len() <= 1_518);
        }
    }

    #[test]
    fn a_source_sends_the_frames_in_order() {
        let mut source = Source::new(9, 25, ADDRESSES, 7);
        let mut frames = Vec::new();
        while source.next_poll(0).is_some() {
            source.poll(0, &mut |frame| {
                frames.push(frame);
                frames.len() % 4 != 0
            });
        }
        let expected: Vec<_> = (0..25).map(|n| frame(9, n, &ADDRESSES, 7).1).collect();
        assert_eq!(frames, expected);
    }

    #[test]
    fn link_local_groups_are_the_sixteen() {
        let lacp = link_local(Mac::local(1, 1), 2);
        assert_eq!(lacp[..6], [1, 0x80, 0xc2, 0, 0, 2]);
        assert_eq!(lacp.len(), MIN_FRAME);
        assert_eq!(link_local_address(0x1f).0[5], 0xf);
    }
}

//! IEEE 802.1Q tags of frames, and an endpoint behind one.
//!
//! ```
//! use lab_net::vlan::{Tag, insert, strip};
//!
//! let frame = [[0xff; 14].as_slice(), b"payload"].concat();
//! let tag = Tag { vlan: 10, priority: 5 };
//! let tagged = insert(&frame, tag).expect("long enough");
//! assert_eq!(strip(&tagged), Some((tag, frame)));
//! ```
//!
//! Pure functions; [`Tagged`] has the concurrency of the endpoint within.

use serde::{Deserialize, Serialize};

use crate::{Endpoint, Frame};

/// The type field that says that a tag follows.
pub const TPID: u16 = 0x8100;
/// The same of a provider's tag (802.1ad).
pub const TPID_SERVICE: u16 = 0x88a8;
/// Where a tag is: behind both addresses.
pub const TAG_AT: usize = 12;
/// Octets of a tag.
pub const TAG: usize = 4;
/// The largest identifier of a VLAN. 4095 is reserved.
pub const LAST_VLAN: u16 = 4094;

/// A tag. The drop-eligible bit is never set by the lab, and ignored.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct Tag {
    /// The VLAN; 0 is none: the tag gives a priority alone.
    pub vlan: u16,
    /// The priority, 0 to 7.
    pub priority: u8,
}

impl Tag {
    /// The tag of a VLAN with the default priority.
    pub const fn vlan(vlan: u16) -> Self {
        Self { vlan, priority: 0 }
    }

    /// The two octets behind the type field.
    pub const fn control(self) -> u16 {
        ((self.priority as u16 & 7) << 13) | (self.vlan & 0xfff)
    }

    /// What two octets behind the type field say.
    pub const fn from_control(control: u16) -> Self {
        Self {
            vlan: control & 0xfff,
            priority: (control >> 13) as u8,
        }
    }
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    let bytes = frame.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

/// The outer tag of a frame, if it has a whole one.
pub fn tag_of(frame: &[u8]) -> Option<Tag> {
    (word(frame, TAG_AT)? == TPID)
        .then(|| word(frame, TAG_AT + 2).map(Tag::from_control))
        .flatten()
}

/// The frame with a tag before its type field; nothing if it has no addresses.
pub fn insert(frame: &[u8], tag: Tag) -> Option<Frame> {
    let (addresses, rest) = frame.split_at_checked(TAG_AT)?;
    let mut tagged = Vec::with_capacity(frame.len() + TAG);
    tagged.extend_from_slice(addresses);
    tagged.extend_from_slice(&TPID.to_be_bytes());
    tagged.extend_from_slice(&tag.control().to_be_bytes());
    tagged.extend_from_slice(rest);
    Some(tagged)
}

/// The outer tag, and the frame without it.
pub fn strip(frame: &[u8]) -> Option<(Tag, Frame)> {
    let tag = tag_of(frame)?;
    let mut rest = frame.get(..TAG_AT)?.to_vec();
    rest.extend_from_slice(frame.get(TAG_AT + TAG..)?);
    Some((tag, rest))
}

/// An endpoint whose frames have a tag on the wire. It sees none of it.
pub struct Tagged<E> {
    tag: Tag,
    inner: E,
}

impl<E: Endpoint> Tagged<E> {
    /// Puts an endpoint behind a tag.
    pub const fn new(tag: Tag, inner: E) -> Self {
        Self { tag, inner }
    }

    /// Whether a frame belongs here: it has the VLAN's tag; with VLAN 0, none or one
    /// that gives a priority alone.
    pub fn is_mine(vlan: u16, frame: &[u8]) -> bool {
        match tag_of(frame) {
            Some(tag) => tag.vlan == vlan,
            None => vlan == 0 && word(frame, TAG_AT) != Some(TPID),
        }
    }
}

impl<E: Endpoint> Endpoint for Tagged<E> {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        if !Self::is_mine(self.tag.vlan, frame) {
            return;
        }
        match strip(frame) {
            Some((_, frame)) => self.inner.on_frame(now, &frame),
            None => self.inner.on_frame(now, frame),
        }
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let tag = self.tag;
        self.inner.poll(now, &mut |frame| {
            // What is too short for a tag goes as it is.
            let tagged = insert(&frame, tag);
            out(tagged.unwrap_or(frame))
        });
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        self.inner.next_poll(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{Mac, lock};

    fn frame(length: usize) -> Frame {
        (0..length).map(|n| n as u8).collect()
    }

    #[test]
    fn a_tag_goes_in_and_comes_out() {
        for length in [12, 14, 60, 1514] {
            for tag in [
                Tag::vlan(0),
                Tag::vlan(1),
                Tag {
                    vlan: 4095,
                    priority: 7,
                },
            ] {
                let tagged = insert(&frame(length), tag).expect("long enough");
                assert_eq!(tagged.len(), length + 4);
                assert_eq!(tag_of(&tagged), Some(tag));
                assert_eq!(strip(&tagged), Some((tag, frame(length))));
            }
        }
        assert_eq!(insert(&frame(11), Tag::vlan(1)), None);
    }

    #[test]
    fn a_cut_tag_is_none() {
        let tagged = insert(&frame(60), Tag::vlan(7)).expect("long enough");
        for length in 0..16 {
            assert_eq!(tag_of(&tagged[..length]), None, "{length}");
            assert_eq!(strip(&tagged[..length]), None, "{length}");
        }
        assert_eq!(tag_of(&tagged[..16]), Some(Tag::vlan(7)));
        // The drop-eligible bit is no part of the identifier.
        let mut eligible = tagged;
        eligible[14] |= 0x10;
        assert_eq!(tag_of(&eligible), Some(Tag::vlan(7)));
    }

    #[derive(Default)]
    struct Echo {
        seen: Vec<Frame>,
        answer: Vec<Frame>,
    }

    impl Endpoint for Echo {
        fn on_frame(&mut self, _now: u64, frame: &[u8]) {
            self.seen.push(frame.to_vec());
            self.answer.push(frame.to_vec());
        }

        fn poll(&mut self, _now: u64, out: &mut dyn FnMut(Frame) -> bool) {
            for frame in self.answer.drain(..) {
                out(frame);
            }
        }

        fn next_poll(&mut self, now: u64) -> Option<u64> {
            (!self.answer.is_empty()).then_some(now)
        }
    }

    #[test]
    fn an_endpoint_hears_its_vlan_and_speaks_in_it() {
        let echo = Arc::new(Mutex::new(Echo::default()));
        let tag = Tag {
            vlan: 10,
            priority: 3,
        };
        let mut member = Tagged::new(tag, Arc::clone(&echo));
        let plain = [&Mac::BROADCAST.0[..], &frame(50)].concat();
        let mine = insert(&plain, Tag::vlan(10)).expect("long enough");
        for other in [
            plain.clone(),
            insert(&plain, Tag::vlan(11)).expect("long enough"),
            insert(&plain, Tag::vlan(0)).expect("long enough"),
            mine[..14].to_vec(),
        ] {
            member.on_frame(0, &other);
        }
        assert!(lock(&echo).seen.is_empty());
        member.on_frame(0, &mine);
        assert_eq!(lock(&echo).seen, std::slice::from_ref(&plain));
        let mut sent = Vec::new();
        member.poll(0, &mut |frame| {
            sent.push(frame);
            true
        });
        assert_eq!(sent, [insert(&plain, tag).expect("long enough")]);
    }

    #[test]
    fn vlan_zero_is_no_vlan() {
        let plain = frame(60);
        let is_mine = |frame: &[u8]| Tagged::<Echo>::is_mine(0, frame);
        assert!(is_mine(&plain));
        let tagged = |vlan| insert(&plain, Tag { vlan, priority: 6 }).expect("long enough");
        assert!(is_mine(&tagged(0)));
        assert!(!is_mine(&tagged(1)));
        assert!(!is_mine(&tagged(0)[..15]), "a cut tag says nothing");
    }
}

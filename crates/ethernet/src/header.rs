//! The header of a frame.
//!
//! One outer tag is understood. A second one behind it is recognised, so that
//! whoever strips the first knows what comes to light; a service tag (802.1ad) on
//! the outside is recognised as foreign. That is Q-in-Q's place.

use crate::mac::Mac;
use crate::tag::{Tag, Tpid};

/// Length of a header without tag.
pub const HEADER_BYTES: usize = 14;
/// Length of a tag.
pub const TAG_BYTES: usize = 4;
/// Length of a header with one tag.
pub const TAGGED_HEADER_BYTES: usize = HEADER_BYTES + TAG_BYTES;
/// As many bytes of a frame as [`Header::parse`] looks at: a header with two tags.
pub const NEEDED_BYTES: usize = TAGGED_HEADER_BYTES + TAG_BYTES;

/// Why a frame has no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than a header.
    Short,
    /// A tag is announced and not there whole.
    TruncatedTag,
}

/// What stands where a tag may stand first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outer {
    /// No tag.
    None,
    /// A customer tag (802.1Q).
    Customer(Tag),
    /// A service tag (802.1ad): not ours to interpret.
    Service(Tag),
}

/// What stands behind the outer tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nested {
    /// No further tag.
    None,
    /// Another tag.
    Tag(Tpid, Tag),
    /// Another tag is announced and not there whole.
    Truncated,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// To whom.
    pub destination: Mac,
    /// From whom.
    pub source: Mac,
    /// The outer tag.
    pub outer: Outer,
    /// A second tag.
    pub nested: Nested,
    /// EtherType (or length) behind the outer tag; that of the nested tag if
    /// there is one.
    pub ethertype: u16,
}

/// Two bytes at a place, if they are there.
fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let rest = bytes.get(at..)?;
    rest.first_chunk().map(|word| u16::from_be_bytes(*word))
}

impl Header {
    /// Reads the header from the first bytes of a frame: all of it, or at least
    /// [`NEEDED_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (Some(destination), Some(source), Some(first)) = (
            Mac::from_slice(bytes),
            bytes.get(6..).and_then(Mac::from_slice),
            word(bytes, 12),
        ) else {
            return Err(Malformed::Short);
        };
        let mut header = Self {
            destination,
            source,
            outer: Outer::None,
            nested: Nested::None,
            ethertype: first,
        };
        let Some(tpid) = Tpid::from_value(first) else {
            return Ok(header);
        };
        let (Some(tci), Some(second)) = (word(bytes, 14), word(bytes, 16)) else {
            return Err(Malformed::TruncatedTag);
        };
        let tag = Tag::from_tci(tci);
        header.outer = match tpid {
            Tpid::Customer => Outer::Customer(tag),
            Tpid::Service => Outer::Service(tag),
        };
        header.ethertype = second;
        if let Some(inner) = Tpid::from_value(second) {
            header.nested = match (word(bytes, 18), word(bytes, 20)) {
                (Some(tci), Some(_)) => Nested::Tag(inner, Tag::from_tci(tci)),
                _ => Nested::Truncated,
            };
        }
        Ok(header)
    }

    /// The customer tag on the outside.
    pub const fn tag(&self) -> Option<Tag> {
        match self.outer {
            Outer::Customer(tag) => Some(tag),
            Outer::None | Outer::Service(_) => None,
        }
    }

    /// Length of the header as far as it is ours: with the customer tag if there
    /// is one.
    pub const fn length(&self) -> usize {
        match self.outer {
            Outer::Customer(_) => TAGGED_HEADER_BYTES,
            Outer::None | Outer::Service(_) => HEADER_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag::Vlan;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn frame(rest: &[u8]) -> Vec<u8> {
        let mut frame = Vec::from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        frame.extend_from_slice(rest);
        frame
    }

    #[test]
    fn plain_and_tagged() {
        let plain = Header::parse(&frame(&[8, 0])).unwrap();
        assert_eq!(plain.destination, Mac([1, 2, 3, 4, 5, 6]));
        assert_eq!(plain.source, Mac([7, 8, 9, 10, 11, 12]));
        assert_eq!((plain.outer, plain.ethertype), (Outer::None, 0x800));
        assert_eq!((plain.length(), plain.tag()), (14, None));

        let tagged = Header::parse(&frame(&[0x81, 0, 0x60, 10, 8, 0])).unwrap();
        let tag = tagged.tag().unwrap();
        assert_eq!((tag.priority.number(), tag.vlan.number()), (3, 10));
        assert_eq!((tagged.ethertype, tagged.length()), (0x800, 18));
        assert_eq!(tagged.nested, Nested::None);
    }

    #[test]
    fn service_and_nested_tags() {
        let service = Header::parse(&frame(&[0x88, 0xA8, 0, 5, 0x81, 0, 0, 6, 8, 0])).unwrap();
        assert!(matches!(service.outer, Outer::Service(tag) if tag.vlan == Vlan::new(5).unwrap()));
        assert_eq!((service.tag(), service.length()), (None, 14));
        assert!(
            matches!(service.nested, Nested::Tag(Tpid::Customer, tag) if tag.vlan.number() == 6)
        );

        let nested = Header::parse(&frame(&[0x81, 0, 0, 10, 0x81, 0, 0x0F, 0xFF, 8, 0])).unwrap();
        assert!(
            matches!(nested.nested, Nested::Tag(Tpid::Customer, tag) if tag.vlan.is_reserved())
        );
        let cut = Header::parse(&frame(&[0x81, 0, 0, 10, 0x81, 0, 0])).unwrap();
        assert_eq!(cut.nested, Nested::Truncated);
    }

    /// Cut at every byte, a tagged frame has a header, or a reason why not.
    #[test]
    fn cut_at_every_byte() {
        let whole = frame(&[0x81, 0, 0x2F, 0xFF, 0x88, 0xA8, 0, 1, 8, 0]);
        for length in 0..=whole.len() {
            let parsed = Header::parse(&whole[..length]);
            match length {
                0..14 => assert_eq!(parsed, Err(Malformed::Short)),
                14..18 => assert_eq!(parsed, Err(Malformed::TruncatedTag)),
                18..22 => assert_eq!(parsed.unwrap().nested, Nested::Truncated),
                _ => assert!(matches!(
                    parsed.unwrap().nested,
                    Nested::Tag(Tpid::Service, _)
                )),
            }
        }
    }

    proptest! {
        /// Only the first bytes count, and what is read is what stands there.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64), tpid in 0_usize..4) {
            let mut bytes = bytes;
            if let Some(place) = bytes.get_mut(12..14) {
                match tpid { 0 => place.copy_from_slice(&[0x81, 0]), 1 => place.copy_from_slice(&[0x88, 0xA8]), _ => {} }
            }
            let parsed = Header::parse(&bytes);
            let first = &bytes[..bytes.len().min(NEEDED_BYTES)];
            prop_assert_eq!(parsed, Header::parse(first));
            if let Ok(header) = parsed {
                prop_assert!(header.length() <= bytes.len());
                prop_assert_eq!(&bytes[..6], &header.destination.0[..]);
                prop_assert_eq!(&bytes[6..12], &header.source.0[..]);
                if let Some(tag) = header.tag() {
                    prop_assert_eq!(&bytes[12..16], &tag.bytes(Tpid::Customer)[..]);
                }
            } else {
                prop_assert!(bytes.len() < TAGGED_HEADER_BYTES);
            }
        }
    }
}

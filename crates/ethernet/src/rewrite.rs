//! Tags put into headers and taken out of them.
//!
//! Only the header changes; what follows it stays where it is. So a driver can
//! give a frame another header without touching, or copying, the rest.

// Bytes have no other names than their order.
#![allow(clippy::many_single_char_names)]

use crate::header::{HEADER_BYTES, TAGGED_HEADER_BYTES};
use crate::tag::{Tag, Tpid};

/// A header without tag.
pub type Plain = [u8; HEADER_BYTES];
/// A header with one tag.
pub type Tagged = [u8; TAGGED_HEADER_BYTES];

/// Puts a customer tag behind the addresses.
pub const fn insert(plain: &Plain, tag: Tag) -> Tagged {
    let [a, b, c, d, e, f, g, h, i, j, k, l, high, low] = *plain;
    let [m, n, o, p] = tag.bytes(Tpid::Customer);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, high, low]
}

/// Takes out what stands behind the addresses.
pub const fn strip(tagged: &Tagged) -> Plain {
    let [a, b, c, d, e, f, g, h, i, j, k, l, _, _, _, _, high, low] = *tagged;
    [a, b, c, d, e, f, g, h, i, j, k, l, high, low]
}

/// Puts a customer tag in place of the one behind the addresses.
pub const fn replace(tagged: &Tagged, tag: Tag) -> Tagged {
    insert(&strip(tagged), tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{Header, Outer};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn inserted_and_stripped(bytes: [u8; 14], tci: u16, other: u16) {
            let (tag, other) = (Tag::from_tci(tci), Tag::from_tci(other));
            let tagged = insert(&bytes, tag);
            prop_assert_eq!(strip(&tagged), bytes);
            prop_assert_eq!(replace(&tagged, other), insert(&bytes, other));
            prop_assert_eq!(&tagged[..12], &bytes[..12]);
            prop_assert_eq!(&tagged[12..14], &[0x81, 0][..]);
            prop_assert_eq!(&tagged[16..], &bytes[12..]);
            let header = Header::parse(&tagged).unwrap();
            prop_assert_eq!(header.outer, Outer::Customer(tag));
            if let Ok(plain) = Header::parse(&bytes) {
                prop_assert_eq!(header.destination, plain.destination);
                prop_assert_eq!(header.source, plain.source);
            }
        }
    }
}

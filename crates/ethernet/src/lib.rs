//! Ethernet as far as a driver between two edges has to know it: MAC addresses,
//! 802.1Q tags in the frame and beside it, the header of a frame.
//!
//! Pure values: no allocation, no lock, no panic on any input, fit for any IRQL.
//! Fields on the wire are big-endian; the out-of-band word is NDIS's
//! (`NDIS_NET_BUFFER_LIST_8021Q_INFO`).
//!
//! | Concern | File |
//! |---|---|
//! | addresses | `mac` |
//! | tag control information, in band and out of band, priority maps | `tag` |
//! | header of a frame | `header` |
//! | tags put into headers and taken out | [`rewrite`] |
//! | flows, and the hashes that spread them over a team | [`flow`] |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod flow;
mod header;
mod mac;
pub mod rewrite;
mod tag;

pub use header::{
    HEADER_BYTES, Header, Malformed, NEEDED_BYTES, Nested, Outer, TAG_BYTES, TAGGED_HEADER_BYTES,
};
pub use mac::Mac;
pub use tag::{OutOfBand, Priority, PriorityMap, Tag, Tpid, Vlan};

//! The wire format of a driver's control device, shared by the drivers, the
//! lab and whatever else reads it.
//!
//! One device control code, METHOD_BUFFERED, read access. The input is a
//! [`Request`], the output a [`Reply`] followed by records of one kind. All
//! integers are little-endian and nothing is aligned; every record starts at a
//! multiple of the record size that the reply names, so that a later version
//! can append to a record without breaking readers (they skip what they do not
//! know). Requests only read; there is nothing to set.
//!
//! Pure: no kernel, no allocation, no panics on any input.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod names;
mod record;
mod team;
mod wire;

pub use names::{Counter, DropReason, EventKind, LowerStateCode, RuleCode, UpperStateCode};
pub use record::{
    CounterRecord, DropRecord, EventRecord, NAME_UNITS, PortRecord, Record, RequestRecord,
    VersionRecord,
};
pub use team::{
    BucketRecord, LacpChurnCode, LacpCounter, LacpCounterRecord, LacpMuxCode, LacpPeriodicCode,
    LacpReceiveCode, LacpRecord, LacpSelectedCode, MemberDropRecord, MemberFlag, MemberRecord,
    MemberRefusal, MemberStateCode, NO_SLOT, TeamModeCode, TeamRecord,
};
pub use wire::{Error, FORMAT, IOCTL_QUERY, Kind, Replies, Reply, ReplyWriter, Request};

//! Requests, replies, and the bytes they are made of.

use crate::record::Record;

/// The version of this format.
pub const FORMAT: u16 = 1;

/// The control code: FILE_DEVICE_NETWORK, function 0x900, METHOD_BUFFERED,
/// FILE_READ_ACCESS.
pub const IOCTL_QUERY: u32 = (0x12 << 16) | (1 << 14) | (0x900 << 2);

/// Why bytes are not a request or a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Shorter than the header, or than the header says.
    TooShort,
    /// Another version of the format.
    Format,
    /// A kind that this version does not know, or another one than was asked for.
    Kind,
    /// A member that must be zero is not, or a size makes no sense.
    Malformed,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// One [`crate::VersionRecord`].
    Version = 1,
    /// A [`crate::PortRecord`] per path between the edges.
    Ports = 2,
    /// The [`crate::CounterRecord`]s of the port that `index` names.
    Counters = 3,
    /// The [`crate::DropRecord`]s of the port that `index` names.
    Drops = 4,
    /// The last [`crate::EventRecord`]s, oldest first.
    Events = 5,
    /// A [`crate::RequestRecord`] per OID in the adapter's list, for the port
    /// that `index` names.
    Requests = 6,
    /// A [`crate::TeamRecord`] per team; none where there are no teams.
    Teams = 7,
    /// A [`crate::MemberRecord`] per member of the team that `index` names.
    Members = 8,
    /// A [`crate::LacpRecord`] per member of the team that `index` names, if it
    /// speaks LACP.
    Lacp = 9,
    /// The [`crate::LacpCounterRecord`]s of all of them.
    LacpCounters = 10,
    /// The [`crate::BucketRecord`]s of the team that `index` names.
    Buckets = 11,
    /// A [`crate::MemberDropRecord`] per member of the team that `index` names and
    /// reason for which lists of it, or for it, were dropped.
    MemberDrops = 12,
}

impl Kind {
    /// All of them, in wire order. A driver of an earlier version refuses those that
    /// it does not know.
    pub const ALL: &'static [Self] = &[
        Self::Version,
        Self::Ports,
        Self::Counters,
        Self::Drops,
        Self::Events,
        Self::Requests,
        Self::Teams,
        Self::Members,
        Self::Lacp,
        Self::LacpCounters,
        Self::Buckets,
        Self::MemberDrops,
    ];

    /// The kind with this number.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Version),
            2 => Some(Self::Ports),
            3 => Some(Self::Counters),
            4 => Some(Self::Drops),
            5 => Some(Self::Events),
            6 => Some(Self::Requests),
            7 => Some(Self::Teams),
            8 => Some(Self::Members),
            9 => Some(Self::Lacp),
            10 => Some(Self::LacpCounters),
            11 => Some(Self::Buckets),
            12 => Some(Self::MemberDrops),
            _ => None,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

/// A request: 12 bytes. Longer input is refused, as a later version's may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub kind: Kind,
    /// Which port or team, for the kinds that have one; else zero.
    pub index: u32,
}

impl Request {
    /// Length on the wire.
    pub const BYTES: usize = 12;

    /// Reads a request; anything but a well-formed one is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let format = u16_at(bytes, 0).ok_or(Error::TooShort)?;
        let code = u16_at(bytes, 2).ok_or(Error::TooShort)?;
        let index = u32_at(bytes, 4).ok_or(Error::TooShort)?;
        let reserved = u32_at(bytes, 8).ok_or(Error::TooShort)?;
        if format != FORMAT {
            return Err(Error::Format);
        }
        let kind = Kind::from_code(code).ok_or(Error::Kind)?;
        if bytes.len() != Self::BYTES || reserved != 0 {
            return Err(Error::Malformed);
        }
        Ok(Self { kind, index })
    }

    /// The request as bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let parts = [u32::from(FORMAT) | (self.kind as u32) << 16, self.index, 0];
        for (chunk, part) in bytes.chunks_exact_mut(4).zip(parts) {
            chunk.copy_from_slice(&part.to_le_bytes());
        }
        bytes
    }
}

/// The head of a reply: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What the records are.
    pub kind: Kind,
    /// Bytes from one record to the next.
    pub record: u16,
    /// Records that follow.
    pub count: u32,
    /// Records that there are; more than `count` if the buffer was too short.
    pub available: u32,
}

impl Reply {
    /// Length on the wire.
    pub const BYTES: usize = 16;

    /// Reads a reply about `kind` and its records; one about something else is refused.
    pub fn of(kind: Kind, bytes: &[u8]) -> Result<(Self, Replies<'_>), Error> {
        let (reply, records) = Self::parse(bytes)?;
        if reply.kind == kind {
            Ok((reply, records))
        } else {
            Err(Error::Kind)
        }
    }

    /// Reads a reply and its records.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Replies<'_>), Error> {
        let format = u16_at(bytes, 0).ok_or(Error::TooShort)?;
        let code = u16_at(bytes, 2).ok_or(Error::TooShort)?;
        let record = u16_at(bytes, 4).ok_or(Error::TooShort)?;
        let reserved = u16_at(bytes, 6).ok_or(Error::TooShort)?;
        let count = u32_at(bytes, 8).ok_or(Error::TooShort)?;
        let available = u32_at(bytes, 12).ok_or(Error::TooShort)?;
        if format != FORMAT {
            return Err(Error::Format);
        }
        let kind = Kind::from_code(code).ok_or(Error::Kind)?;
        if reserved != 0 || record == 0 || available < count {
            return Err(Error::Malformed);
        }
        let length = (count as usize)
            .checked_mul(usize::from(record))
            .ok_or(Error::Malformed)?;
        let end = Self::BYTES.checked_add(length).ok_or(Error::Malformed)?;
        let records = bytes.get(Self::BYTES..end).ok_or(Error::TooShort)?;
        let replies = Replies {
            bytes: records,
            record: usize::from(record),
        };
        Ok((
            Self {
                kind,
                record,
                count,
                available,
            },
            replies,
        ))
    }
}

/// The records of a reply.
#[derive(Clone, Copy, Debug)]
pub struct Replies<'a> {
    bytes: &'a [u8],
    record: usize,
}

impl<'a> Replies<'a> {
    /// The records as values of `R`; a record that is shorter than this version
    /// needs, or malformed, is an error.
    pub fn records<R: Record>(self) -> impl Iterator<Item = Result<R, Error>> + 'a {
        self.bytes
            .chunks_exact(self.record)
            .map(|bytes| R::read(bytes).ok_or(Error::TooShort))
    }
}

/// Writes a reply into a buffer that may be too short.
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    kind: Kind,
    record: usize,
    head: &'a mut [u8],
    rest: &'a mut [u8],
    count: u32,
    available: u32,
}

impl<'a> ReplyWriter<'a> {
    /// A reply with records of type `R`; `None` if not even the head fits.
    pub fn new<R: Record>(kind: Kind, buffer: &'a mut [u8]) -> Option<Self> {
        let (head, rest) = buffer.split_at_mut_checked(Reply::BYTES)?;
        Some(Self {
            kind,
            record: R::BYTES,
            head,
            rest,
            count: 0,
            available: 0,
        })
    }

    /// Appends a record if there is room; counts it in any case.
    pub fn push<R: Record>(&mut self, record: &R) {
        self.available = self.available.saturating_add(1);
        if R::BYTES != self.record || self.available != self.count + 1 {
            return; // once one did not fit, none follows
        }
        let rest = core::mem::take(&mut self.rest);
        match rest.split_at_mut_checked(self.record) {
            Some((place, after)) => {
                record.write(place);
                self.rest = after;
                self.count += 1;
            }
            None => self.rest = &mut [],
        }
    }

    /// Writes the head; returns how many bytes of the buffer are valid.
    pub fn finish(self) -> usize {
        let parts = [
            u32::from(FORMAT) | (self.kind as u32) << 16,
            self.record as u32,
            self.count,
            self.available,
        ];
        for (chunk, part) in self.head.chunks_exact_mut(4).zip(parts) {
            chunk.copy_from_slice(&part.to_le_bytes());
        }
        Reply::BYTES + self.record * self.count as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CounterRecord, VersionRecord};
    use std::vec::Vec;

    #[test]
    fn a_request_survives() {
        for (place, kind) in Kind::ALL.iter().copied().enumerate() {
            let code = kind as u16;
            assert_eq!(usize::from(code), place + 1);
            assert_eq!(Kind::from_code(code), Some(kind));
            let request = Request { kind, index: 7 };
            assert_eq!(Request::parse(&request.to_bytes()), Ok(request));
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_code(Kind::ALL.len() as u16 + 1), None);
    }

    #[test]
    fn each_fault_has_its_error() {
        let good = Request {
            kind: Kind::Ports,
            index: 0,
        }
        .to_bytes();
        for length in 0..Request::BYTES {
            assert_eq!(Request::parse(&good[..length]), Err(Error::TooShort));
        }
        let mut bad = good;
        bad[0] = 2;
        assert_eq!(Request::parse(&bad), Err(Error::Format));
        let mut bad = good;
        bad[2] = 99;
        assert_eq!(Request::parse(&bad), Err(Error::Kind));
        let mut bad = good;
        bad[9] = 1;
        assert_eq!(Request::parse(&bad), Err(Error::Malformed));
        let mut long = good.to_vec();
        long.push(0);
        assert_eq!(Request::parse(&long), Err(Error::Malformed));
    }

    #[test]
    fn a_short_buffer_gets_whole_records_only() {
        for length in 0..120 {
            let mut buffer = std::vec![0xAA; length];
            let Some(mut writer) = ReplyWriter::new::<CounterRecord>(Kind::Counters, &mut buffer)
            else {
                assert!(length < Reply::BYTES);
                continue;
            };
            for id in 0..5 {
                writer.push(&CounterRecord {
                    id,
                    value: u64::from(id) * 3,
                });
            }
            let bytes = writer.finish();
            assert!(bytes <= length);
            assert!(buffer[bytes..].iter().all(|byte| *byte == 0xAA));
            let (reply, records) = Reply::parse(&buffer[..bytes]).unwrap();
            assert_eq!(reply.available, 5);
            let records: Vec<CounterRecord> = records.records().map(Result::unwrap).collect();
            assert_eq!(records.len(), reply.count as usize);
            assert_eq!(records.len(), ((length - 16) / CounterRecord::BYTES).min(5));
            assert!(
                records
                    .iter()
                    .enumerate()
                    .all(|(id, record)| record.id as usize == id)
            );
        }
    }

    /// A reader of this version reads longer records of a later one.
    #[test]
    fn longer_records_are_read() {
        let mut bytes = Vec::new();
        for part in [u32::from(FORMAT) | 3 << 16, 20, 1, 1] {
            bytes.extend_from_slice(&u32::to_le_bytes(part));
        }
        bytes.extend_from_slice(&[4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&[0xFF; 8]);
        let (_, records) = Reply::parse(&bytes).unwrap();
        let records: Vec<_> = records.records::<CounterRecord>().collect();
        assert_eq!(records, [Ok(CounterRecord { id: 4, value: 9 })]);
    }

    proptest::proptest! {
        #[test]
        fn hostile_bytes_are_errors_or_values(bytes: Vec<u8>) {
            if let Ok(request) = Request::parse(&bytes) {
                assert_eq!(request.to_bytes()[..], bytes[..]);
            }
            if let Ok((reply, records)) = Reply::parse(&bytes) {
                assert_eq!(records.records::<VersionRecord>().count(), reply.count as usize);
            }
        }

        #[test]
        fn nearly_right_requests(mut bytes: [u8; 12], index: u32) {
            bytes[..2].copy_from_slice(&FORMAT.to_le_bytes());
            bytes[4..8].copy_from_slice(&index.to_le_bytes());
            bytes[8..].fill(0);
            let known = Kind::from_code(u16::from_le_bytes([bytes[2], bytes[3]]));
            assert_eq!(Request::parse(&bytes).ok().map(|request| request.kind), known);
        }
    }
}

//! What a trace is made of: plain data, written one after the other.
//!
//! A trace is the word [`MAGIC`], then records, each its length (four octets, little-endian)
//! and its bytes in postcard's encoding. A trace that ends in the middle of a record, because
//! the process died, is sound up to there.

use serde::{Deserialize, Serialize};

use crate::report::CallKind;

/// The first octets of a trace.
pub const MAGIC: [u8; 8] = *b"labtrc01";

/// What a named thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    /// An adapter below the driver; its bindings have the adapter's name too.
    Adapter,
    /// A binding of the driver on an adapter.
    Binding,
    /// A virtual miniport of the driver.
    Miniport,
    /// A protocol above a miniport.
    Protocol,
    /// Anything else with a handle.
    Other,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The host starts, or starts over: time begins at 0 again, what was named is forgotten.
    Start {
        /// Seed of what follows.
        seed: u64,
        /// Virtual processors.
        processors: u32,
    },
    /// A number that stands for a text from now on.
    Text {
        /// The number.
        id: u32,
        /// The text.
        text: String,
    },
    /// A number that stands for an object from now on.
    Object {
        /// The number.
        id: u32,
        /// What it is.
        kind: ObjectKind,
        /// Its name.
        name: String,
    },
    /// A task runs for the first time.
    Task {
        /// Its number.
        id: u64,
        /// What it does.
        name: String,
    },
    /// A call between host and driver begins or ends.
    Crossing(Crossing),
    /// A frame is on a wire.
    Wire(Wire),
    /// A rule was broken.
    Finding {
        /// When.
        time: u64,
        /// Virtual processor.
        cpu: u32,
        /// Task, 0 if none.
        task: u64,
        /// Rule id.
        rule: String,
        /// What happened.
        message: String,
    },
    /// So many crossings were wanted and no more: what follows is not in the trace.
    Full,
}

/// A call between host and driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossing {
    /// Nanoseconds since the start.
    pub time: u64,
    /// Virtual processor.
    pub cpu: u32,
    /// IRQL.
    pub irql: u8,
    /// Task.
    pub task: u64,
    /// Which way, or back.
    pub kind: CallKind,
    /// The function: a text.
    pub name: u32,
    /// Arguments; of a return the result.
    pub args: Vec<u64>,
    /// What it is about: objects.
    pub objects: Vec<u32>,
    /// The lists that change hands here.
    pub lists: Vec<List>,
    /// The request that it is about.
    pub oid: Option<Oid>,
}

/// A NET_BUFFER_LIST at a crossing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Its name: one for each journey, from the one who made or filled it back to that one.
    pub id: u32,
    /// The journey begins here.
    pub first: bool,
    /// It ends here.
    pub last: bool,
    /// The list whose data it has.
    pub parent: Option<u32>,
    /// Object of its SourceHandle.
    pub source: Option<u32>,
    /// `Status`.
    pub status: i32,
    /// `NblFlags`.
    pub flags: u32,
    /// 802.1Q information beside its frames.
    pub tag: u32,
    /// Its frames, where it has any that can be read at this crossing.
    pub frames: Vec<Bytes>,
}

/// An OID request at a crossing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oid {
    /// Its name: one for each request and each clone of one.
    pub id: u32,
    /// It begins here.
    pub first: bool,
    /// It ends here.
    pub last: bool,
    /// What it is a clone of.
    pub parent: Option<u32>,
    /// Object identifier.
    pub oid: u32,
    /// `NDIS_REQUEST_TYPE`.
    pub kind: i32,
    /// Status, where it ends.
    pub status: Option<i32>,
}

/// Bytes of a frame, as many as were wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// How long the frame is.
    pub length: u32,
    /// Its beginning.
    #[serde(with = "octets")]
    pub bytes: Vec<u8>,
}

/// A frame on a wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wire {
    /// When it left the adapter, or arrived there.
    pub time: u64,
    /// The adapter: an object.
    pub adapter: u32,
    /// Towards the host.
    pub up: bool,
    /// The adapter dropped it: its link is down, it is gone.
    pub dropped: bool,
    /// The frame.
    pub frame: Bytes,
}

/// Without it each octet would be a number of its own.
mod octets {
    use serde::{Deserializer, Serializer, de::Visitor};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Octets;
        impl Visitor<'_> for Octets {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("octets")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(bytes.to_vec())
            }
        }
        from.deserialize_bytes(Octets)
    }
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It does not begin like one.
    #[error("this is no trace of the lab")]
    NotATrace,
    /// Reading failed.
    #[error("the trace cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A record says nothing that is known.
    #[error("the trace is broken at record {0}: {1}")]
    Broken(u64, postcard::Error),
}

/// Reads a trace record by record.
pub struct Reader<R> {
    from: R,
    records: u64,
    buffer: Vec<u8>,
}

impl<R: std::io::Read> Reader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// When it is no trace.
    pub fn new(mut from: R) -> Result<Self, ReadError> {
        let mut magic = [0; 8];
        from.read_exact(&mut magic)
            .map_err(|_| ReadError::NotATrace)?;
        if magic != MAGIC {
            return Err(ReadError::NotATrace);
        }
        Ok(Self {
            from,
            records: 0,
            buffer: Vec::new(),
        })
    }
}

impl<R: std::io::Read> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut length = [0; 4];
        // What was being written when the process died is not there.
        self.from.read_exact(&mut length).ok()?;
        self.buffer.resize(u32::from_le_bytes(length) as usize, 0);
        self.from.read_exact(&mut self.buffer).ok()?;
        self.records += 1;
        Some(
            postcard::from_bytes(&self.buffer)
                .map_err(|error| ReadError::Broken(self.records, error)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_that_breaks_off_is_sound_up_to_there() {
        let record = Record::Wire(Wire {
            time: 7,
            adapter: 1,
            up: true,
            dropped: false,
            frame: Bytes {
                length: 1514,
                bytes: vec![1, 2, 3],
            },
        });
        let bytes = postcard::to_allocvec(&record).expect("memory");
        let mut trace = MAGIC.to_vec();
        for _ in 0..2 {
            trace.extend((bytes.len() as u32).to_le_bytes());
            trace.extend(&bytes);
        }
        trace.pop();
        let read: Vec<_> = Reader::new(&trace[..])
            .expect("a trace")
            .map(|r| r.expect("sound"))
            .collect();
        assert_eq!(read, [record]);
        assert!(matches!(
            Reader::new(&b"something else"[..]).map(|_| ()),
            Err(ReadError::NotATrace)
        ));
    }
}

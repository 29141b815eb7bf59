//! Frames and bytes by kind of address, per processor.

use crate::data::{Kinds, Traffic};
use core::sync::atomic::{AtomicU64, Ordering};
use ethernet::Mac;

/// What a batch adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// All kinds together.
    pub frames: u32,
    kinds: Kinds,
}

impl Batch {
    /// Adds a frame.
    pub fn add(&mut self, destination: Mac, bytes: u32) {
        let kind = if !destination.is_group() {
            0
        } else if destination.is_broadcast() {
            2
        } else {
            1
        };
        self.frames = self.frames.wrapping_add(1);
        self.kinds.frames[kind] = self.kinds.frames[kind].wrapping_add(1);
        self.kinds.bytes[kind] = self.kinds.bytes[kind].wrapping_add(u64::from(bytes));
    }

    /// Bytes of all kinds.
    pub fn bytes(&self) -> u64 {
        self.kinds.bytes.iter().copied().fold(0, u64::wrapping_add)
    }
}

/// Counters of one direction. Relaxed: they are read only to be shown. Atomic,
/// because a thread below DISPATCH_LEVEL may move while it uses them.
#[derive(Debug, Default)]
pub(super) struct Direction {
    frames: [AtomicU64; 3],
    bytes: [AtomicU64; 3],
}

impl Direction {
    /// Adds a batch.
    pub fn add(&self, batch: &Batch) {
        let frames = self.frames.iter().zip(batch.kinds.frames);
        let bytes = self.bytes.iter().zip(batch.kinds.bytes);
        for ((frames, more), (bytes, longer)) in frames.zip(bytes) {
            // Most batches are of one kind.
            if more != 0 {
                frames.fetch_add(more, Ordering::Relaxed);
                bytes.fetch_add(longer, Ordering::Relaxed);
            }
        }
    }

    fn sum_into(&self, to: &mut Kinds) {
        let all = self.frames.iter().zip(&self.bytes);
        let sums = to.frames.iter_mut().zip(&mut to.bytes);
        for ((frames, bytes), (all_frames, all_bytes)) in all.zip(sums) {
            *all_frames = all_frames.wrapping_add(frames.load(Ordering::Relaxed));
            *all_bytes = all_bytes.wrapping_add(bytes.load(Ordering::Relaxed));
        }
    }
}

/// The counters of one processor.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// From the protocols above.
    pub sent: Direction,
    /// To the protocols above.
    pub received: Direction,
}

/// What all processors counted.
pub(super) fn sum<'a>(counts: impl Iterator<Item = &'a Counts>) -> Traffic {
    let mut traffic = Traffic::default();
    for counts in counts {
        counts.sent.sum_into(&mut traffic.sent);
        counts.received.sum_into(&mut traffic.received);
    }
    traffic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_of_one_kind() {
        let counts = [Counts::default(), Counts::default()];
        let mut batch = Batch::default();
        batch.add(Mac([0, 1, 2, 3, 4, 5]), 60);
        batch.add(Mac([0, 1, 2, 3, 4, 5]), 40);
        batch.add(Mac([1, 0, 0x5E, 0, 0, 1]), 70);
        batch.add(Mac::BROADCAST, 80);
        assert_eq!((batch.frames, batch.bytes()), (4, 250));
        counts[0].received.add(&batch);
        counts[1].received.add(&batch);
        counts[1].sent.add(&Batch::default());
        let traffic = sum(counts.iter());
        assert_eq!(traffic.received.frames, [4, 2, 2]);
        assert_eq!(traffic.received.bytes, [200, 140, 160]);
        assert_eq!(traffic.sent, Kinds::default());
    }
}

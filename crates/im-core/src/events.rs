//! The ring of the last events. It has a fixed size, lives in the driver's
//! static state and never allocates; a reader sees by the sequence numbers what
//! was overwritten. Kept behind a spin lock by the driver.

use heapless::Deque;
use im_control::{EventKind, EventRecord};

/// Events that are remembered.
pub const CAPACITY: usize = 64;

/// The ring.
pub struct EventRing {
    events: Deque<EventRecord, CAPACITY>,
    next: u64,
}

impl EventRing {
    /// No events.
    pub const fn new() -> Self {
        Self {
            events: Deque::new(),
            next: 0,
        }
    }

    /// Remembers an event.
    pub fn push(&mut self, time: u64, kind: EventKind, if_index: u32, value: u64) {
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        if self.events.is_full() {
            let _oldest = self.events.pop_front();
        }
        let event = EventRecord {
            sequence,
            time,
            kind: kind.code(),
            if_index,
            value,
        };
        let _room = self.events.push_back(event);
    }

    /// The event at a place, the oldest first.
    pub fn get(&self, index: usize) -> Option<EventRecord> {
        self.events.get(index).copied()
    }
}

impl Default for EventRing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_oldest_are_overwritten() {
        let mut ring = EventRing::new();
        assert_eq!(ring.get(0), None);
        for value in 0..CAPACITY as u64 + 10 {
            ring.push(value * 2, EventKind::LinkState, 1, value);
        }
        let seen: Vec<u64> = (0..)
            .map_while(|index| ring.get(index))
            .map(|event| event.sequence)
            .collect();
        assert_eq!(seen.len(), CAPACITY);
        assert_eq!(seen.first(), Some(&10));
        assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }
}

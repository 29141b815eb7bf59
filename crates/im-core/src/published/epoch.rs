// Compiled twice: with the atomics of the machine, and in tests with loom's.

use super::sync::{AtomicPtr, AtomicUsize, Ordering, fence};

/// Somebody waits for this count to become zero.
const WATCHED: usize = 1;
/// One reader.
const READER: usize = 2;

/// How the writer waits. Setting at IRQL <= DISPATCH_LEVEL, the rest at
/// PASSIVE_LEVEL.
pub trait Wake {
    /// Forgets what was set.
    fn reset(&self);
    /// Wakes the writer, now or when it comes to wait.
    fn set(&self);
    /// Waits until set.
    fn wait(&self);
}

/// The counts of one processor: readers that entered in even and odd phases.
#[derive(Debug)]
pub struct Slot {
    counts: [AtomicUsize; 2],
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            counts: [AtomicUsize::new(0), AtomicUsize::new(0)],
        }
    }
}

impl Slot {
    fn count(&self, phase: usize) -> &AtomicUsize {
        &self.counts[phase & 1]
    }

    /// Counts a reader in: one atomic addition and a fence, whatever it reads
    /// then.
    #[must_use]
    pub fn enter(&self, phase: &Phase) -> usize {
        let phase = phase.0.load(Ordering::Relaxed) & 1;
        self.count(phase).fetch_add(READER, Ordering::Relaxed);
        // Either the writer sees this reader, or this reader sees what the
        // writer published: one of the two fences comes first.
        fence(Ordering::SeqCst);
        phase
    }

    /// Counts it out. True: it was the last one and the writer waits, so wake it.
    #[must_use]
    pub fn leave(&self, phase: usize) -> bool {
        self.count(phase).fetch_sub(READER, Ordering::Release) == READER | WATCHED
    }

    /// Waits until no reader of a phase is left.
    fn drain(&self, phase: usize, wake: &impl Wake) {
        let count = self.count(phase);
        if count.load(Ordering::Acquire) == 0 {
            return;
        }
        loop {
            wake.reset();
            // Whoever leaves after this sees the mark; whoever left before is
            // not counted any more.
            if count.fetch_or(WATCHED, Ordering::AcqRel) & !WATCHED == 0 {
                break;
            }
            wake.wait();
        }
        count.fetch_and(!WATCHED, Ordering::Relaxed);
    }
}

/// Which of its two counts a reader takes.
#[derive(Debug)]
pub struct Phase(AtomicUsize);

impl Default for Phase {
    fn default() -> Self {
        Self(AtomicUsize::new(0))
    }
}

impl Phase {
    /// Waits until every reader has left that may have seen what was published
    /// before; one caller at a time.
    ///
    /// Readers that enter meanwhile take the other count, so that they cannot
    /// make the wait endless. A reader may have looked at the phase long ago and
    /// take a count only now; that is why both are waited for, and why it then
    /// reads what is new.
    pub fn wait<'a>(&self, slots: impl Iterator<Item = &'a Slot> + Clone, wake: &impl Wake) {
        fence(Ordering::SeqCst);
        let now = self.0.load(Ordering::Relaxed) & 1;
        for slot in slots.clone() {
            slot.drain(1 - now, wake);
        }
        self.0.store(1 - now, Ordering::Relaxed);
        for slot in slots {
            slot.drain(now, wake);
        }
    }
}

/// A pointer that readers follow and a writer replaces.
#[derive(Debug)]
pub struct Place<X>(AtomicPtr<X>);

impl<X> Place<X> {
    /// Nothing published.
    pub fn new() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// What is published.
    pub fn get(&self) -> *mut X {
        self.0.load(Ordering::Acquire)
    }

    /// Publishes something else; what was there before may be read until
    /// [`Phase::wait`] has returned.
    pub fn swap(&self, new: *mut X) -> *mut X {
        self.0.swap(new, Ordering::AcqRel)
    }
}

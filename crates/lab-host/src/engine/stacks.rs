//! Stacks of tasks, in the arena at addresses that repeat.

use std::sync::{Arc, Mutex};

use corosensei::stack::{MIN_STACK_SIZE, Stack, StackPointer};

use crate::arena::{Arena, PAGE, STACKS};

/// Free stacks, lowest first.
pub(crate) struct StackPool {
    arena: Arc<Arena>,
    free: Mutex<Vec<u64>>,
}

impl StackPool {
    pub(crate) fn new(arena: Arc<Arena>) -> Self {
        let pool = Self {
            arena,
            free: Mutex::default(),
        };
        pool.reset();
        pool
    }

    /// A stack, or `None` when all are in use.
    pub(crate) fn take(&self) -> Option<ArenaStack> {
        let index = self.free.lock().expect("stack pool").pop()?;
        let (low, size) = self.arena.stack(index);
        Some(ArenaStack {
            index,
            low: low + PAGE,
            high: low + size,
        })
    }

    /// Whether all are in use.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.lock().expect("stack pool").is_empty()
    }

    pub(crate) fn give(&self, index: u64) {
        self.free.lock().expect("stack pool").push(index);
    }

    pub(crate) fn reset(&self) {
        *self.free.lock().expect("stack pool") = (0..STACKS).rev().collect();
    }
}

/// One stack; below it lies an inaccessible page.
pub(crate) struct ArenaStack {
    pub(crate) index: u64,
    low: u64,
    high: u64,
}

// SAFETY: the range is mapped read-write for the arena's life, page-aligned at both ends,
// larger than the minimum, with a guard page below `limit`.
unsafe impl Stack for ArenaStack {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.high as usize).expect("a stack is not at address zero")
    }

    fn limit(&self) -> StackPointer {
        const { assert!(crate::arena::STACK_SIZE as usize - PAGE as usize > MIN_STACK_SIZE) };
        StackPointer::new((self.low - PAGE) as usize).expect("a stack is not at address zero")
    }
}

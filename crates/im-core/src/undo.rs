//! The undo stack: what was done, to be undone in reverse order.
//!
//! DriverEntry pushes every registration as it is made. A failure in the middle
//! and the unload handler run the same code over the same stack, so that what
//! start does and what stop undoes cannot drift apart (DE-9 to DE-12, UNL-2,
//! UNL-4). Each entry undoes itself when it is dropped.

use arrayvec::ArrayVec;

/// Entries that undo themselves, at most `N`.
pub struct UndoStack<U, const N: usize>(ArrayVec<U, N>);

impl<U, const N: usize> UndoStack<U, N> {
    /// Nothing done yet.
    pub const fn new() -> Self {
        Self(ArrayVec::new_const())
    }

    /// Remembers something that was done. A full stack gives the entry back,
    /// which undoes it at once when the caller drops it.
    pub fn push(&mut self, done: U) -> Result<(), U> {
        self.0
            .try_push(done)
            .map_err(arrayvec::CapacityError::element)
    }

    /// Undoes the last thing, if there is one. Undoing nothing is harmless.
    pub fn pop(&mut self) -> Option<U> {
        self.0.pop()
    }

    /// Takes out the last entry that `which` picks, to undo it ahead of turn.
    pub fn take(&mut self, which: impl Fn(&U) -> bool) -> Option<U> {
        let index = self.0.iter().rposition(which)?;
        if index < self.0.len() {
            self.0.pop_at(index)
        } else {
            None
        }
    }

    /// The last entry that `which` finds something in.
    pub fn find<'a, R>(&'a self, which: impl Fn(&'a U) -> Option<R>) -> Option<R> {
        self.0.iter().rev().find_map(which)
    }
}

impl<U, const N: usize> Default for UndoStack<U, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::vec::Vec;

    struct Step<'a>(u32, &'a RefCell<Vec<u32>>);

    impl Drop for Step<'_> {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }

    /// DE-9, DE-10, DE-12: fail each step in turn; exactly those before it are
    /// undone, last first.
    #[test]
    fn every_failure_undoes_what_came_before() {
        for failing in 0..5 {
            let log = RefCell::new(Vec::new());
            let mut undo: UndoStack<Step<'_>, 8> = UndoStack::new();
            for step in 0..failing {
                assert!(undo.push(Step(step, &log)).is_ok());
            }
            while undo.pop().is_some() {}
            assert!(undo.pop().is_none());
            assert_eq!(*log.borrow(), (0..failing).rev().collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_can_go_ahead_of_turn() {
        let log = RefCell::new(Vec::new());
        let mut undo: UndoStack<Step<'_>, 8> = UndoStack::new();
        for step in 0..3 {
            assert!(undo.push(Step(step, &log)).is_ok());
        }
        drop(undo.take(|step| step.0 == 1));
        assert!(undo.take(|step| step.0 == 1).is_none(), "only once");
        while undo.pop().is_some() {}
        assert_eq!(*log.borrow(), [1, 2, 0]);
    }

    #[test]
    fn a_full_stack_gives_the_step_back() {
        let log = RefCell::new(Vec::new());
        let mut undo: UndoStack<Step<'_>, 1> = UndoStack::new();
        assert!(undo.push(Step(0, &log)).is_ok());
        assert!(undo.push(Step(1, &log)).is_err());
        assert_eq!(*log.borrow(), [1], "dropped, hence undone, at once");
    }
}

//! The algorithm with loom's atomics: it tries the interleavings, and what weak
//! memory allows.

mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};
}

#[path = "turn.rs"]
#[allow(
    clippy::duplicate_mod,
    unreachable_pub,
    reason = "a second copy for loom"
)]
mod turn;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use turn::{Turn, Wake};

/// As an NDIS event: all who wait are woken, and look again.
struct Signal(Mutex<bool>, Condvar);

impl Wake for Signal {
    fn reset(&self) {
        *self.0.lock().unwrap() = false;
    }
    fn set(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
    fn wait(&self) {
        let mut set = self.0.lock().unwrap();
        while !*set {
            set = self.1.wait(set).unwrap();
        }
    }
}

/// One holder at a time, and nobody waits for ever: loom reports both a value
/// that is touched by two and a deadlock.
fn contend(threads: usize) {
    loom::model(move || {
        let world = Arc::new((
            Turn::new(),
            Signal(Mutex::new(false), Condvar::new()),
            UnsafeCell::new(0_usize),
        ));
        let handles: std::vec::Vec<_> = (1..threads)
            .map(|_| {
                let world = world.clone();
                thread::spawn(move || hold(&world))
            })
            .collect();
        hold(&world);
        for handle in handles {
            handle.join().unwrap();
        }
        // SAFETY: (IRQ-22) the model's: everybody has left.
        world.2.with(|value| assert_eq!(unsafe { *value }, threads));
    });
}

fn hold(world: &(Turn, Signal, UnsafeCell<usize>)) {
    world.0.take(&world.1);
    // SAFETY: (IRQ-22) the model's: the turn is ours; loom checks that.
    world.2.with_mut(|value| unsafe { *value += 1 });
    world.0.give(&world.1);
}

#[test]
fn two_take_turns() {
    contend(2);
}

#[test]
fn three_take_turns() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let world = Arc::new((
            Turn::new(),
            Signal(Mutex::new(false), Condvar::new()),
            UnsafeCell::new(0_usize),
        ));
        let handles =
            [world.clone(), world.clone()].map(|world| thread::spawn(move || hold(&world)));
        hold(&world);
        for handle in handles {
            handle.join().unwrap();
        }
    });
}

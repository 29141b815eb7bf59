//! The algorithm with loom's atomics: it tries the interleavings, and what weak
//! memory allows.

mod sync {
    pub(super) use loom::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};
}

#[path = "epoch.rs"]
#[allow(
    clippy::duplicate_mod,
    dead_code,
    unreachable_pub,
    reason = "the model does not use all of it"
)]
mod epoch;

use epoch::{Phase, Place, Slot, Wake};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::boxed::Box;
use std::vec::Vec;

struct Signal(Mutex<bool>, Condvar);

impl Wake for Signal {
    fn reset(&self) {
        *self.0.lock().unwrap() = false;
    }
    fn set(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }
    fn wait(&self) {
        let mut set = self.0.lock().unwrap();
        while !*set {
            set = self.1.wait(set).unwrap();
        }
    }
}

/// A value that loom watches: reading it while, or after, it is taken away is
/// reported, and so is a leak.
struct Value(UnsafeCell<bool>);

struct World {
    phase: Phase,
    slots: Vec<Slot>,
    place: Place<Value>,
    signal: Signal,
}

fn value() -> *mut Value {
    Box::into_raw(Box::new(Value(UnsafeCell::new(true))))
}

/// One batch: two looks at what is published.
fn read(world: &World, slot: usize) {
    let slot = &world.slots[slot];
    let phase = slot.enter(&world.phase);
    for _ in 0..2 {
        // SAFETY: (MEM-2) this is what is tested: inside, it is not freed.
        let there = unsafe { (*world.place.get()).0.with(|value| *value) };
        assert!(there);
    }
    if slot.leave(phase) {
        world.signal.set();
    }
}

/// Replaces the value and frees the old one.
fn write(world: &World) {
    let old = world.place.swap(value());
    world.phase.wait(world.slots.iter(), &world.signal);
    // SAFETY: (MEM-2) this is what is tested: nobody reads it any more.
    unsafe {
        (*old).0.with_mut(|value| *value = false);
        drop(Box::from_raw(old));
    }
}

fn explore(slots: usize, readers: &'static [usize], writes: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let world = Arc::new(World {
            phase: Phase::default(),
            slots: (0..slots).map(|_| Slot::default()).collect(),
            place: Place::new(),
            signal: Signal(Mutex::new(false), Condvar::new()),
        });
        world.place.swap(value());
        let threads: Vec<_> = readers
            .iter()
            .map(|slot| {
                let world = world.clone();
                thread::spawn(move || read(&world, *slot))
            })
            .collect();
        for _ in 0..writes {
            write(&world);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        // SAFETY: (MEM-2) alone now.
        drop(unsafe { Box::from_raw(world.place.get()) });
    });
}

#[test]
fn one_reader_and_two_writes() {
    explore(1, &[0], 2);
}

/// Two threads below DISPATCH_LEVEL on one processor.
#[test]
fn two_readers_of_one_slot() {
    explore(1, &[0, 0], 1);
}

#[test]
fn readers_of_two_slots() {
    explore(2, &[0, 1], 1);
}

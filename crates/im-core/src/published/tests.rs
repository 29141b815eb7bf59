//! The algorithm under the threads of the machine.

use super::epoch::{Phase, Place, Slot, Wake};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::vec::Vec;

#[derive(Default)]
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

/// Readers that never pause do not keep the writer waiting for ever, and none of
/// them sees a value that was taken away.
#[test]
fn threads_read_while_values_come_and_go() {
    const WRITES: usize = if cfg!(miri) { 20 } else { 2_000 };
    let values: Arc<Vec<AtomicUsize>> = Arc::new((0..4).map(|_| AtomicUsize::new(0)).collect());
    let place = Arc::new(Place::new());
    let phase = Arc::new(Phase::default());
    let slots: Arc<Vec<Slot>> = Arc::new((0..2).map(|_| Slot::default()).collect());
    let signal = Arc::new(Signal::default());
    let stop = Arc::new(AtomicBool::new(false));
    let started = Arc::new(Barrier::new(4));
    let raw = |index: usize| core::ptr::from_ref(&values[index % 4]).cast_mut();
    place.swap(raw(0));
    values[0].store(1, Ordering::Relaxed);
    let threads: Vec<_> = (0..3_usize)
        .map(|me| {
            let (values, place, phase, slots, signal, stop, started) = (
                values.clone(),
                place.clone(),
                phase.clone(),
                slots.clone(),
                signal.clone(),
                stop.clone(),
                started.clone(),
            );
            std::thread::spawn(move || {
                let mut batches = 0_usize;
                started.wait();
                while batches == 0 || !stop.load(Ordering::Relaxed) {
                    let slot = &slots[me % 2];
                    let inside = slot.enter(&phase);
                    for _ in 0..4 {
                        let seen = place.get().cast_const();
                        let value = values.iter().find(|v| core::ptr::eq(*v, seen)).unwrap();
                        assert_eq!(value.load(Ordering::Relaxed), 1, "taken away");
                    }
                    if slot.leave(inside) {
                        signal.set();
                    }
                    batches += 1;
                }
                batches
            })
        })
        .collect();
    started.wait();
    for write in 1..=WRITES {
        values[write % 4].store(1, Ordering::Relaxed);
        let old = place.swap(raw(write));
        phase.wait(slots.iter(), &*signal);
        // SAFETY: (MEM-2) one of the values in the vector.
        unsafe { (*old).store(0, Ordering::Relaxed) };
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        assert!(thread.join().unwrap() > 0);
    }
}

#[test]
fn an_empty_place_waits_for_nobody() {
    let (place, phase, slots) = (Place::<u8>::new(), Phase::default(), [Slot::default()]);
    assert!(place.swap(core::ptr::null_mut()).is_null());
    phase.wait(slots.iter(), &Signal::default());
}

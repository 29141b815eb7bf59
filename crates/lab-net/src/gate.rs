//! Endpoints for scenarios that judge frames afterwards: a source that waits for the
//! scenario to begin, and a listener that remembers what came.
//!
//! Both are told and asked from outside while somebody else drives them: a gate is an
//! atomic flag, a listener's frames are behind a mutex.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::{Endpoint, Frame, lock};

/// Closed at first; once opened it stays open. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Lets the endpoints behind it speak. The caller sees to it that they are polled.
    pub fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An endpoint that says nothing before its gate is open.
#[derive(Debug)]
pub struct Gated<E> {
    inner: E,
    gate: Gate,
}

impl<E> Gated<E> {
    /// Puts an endpoint behind a gate.
    pub const fn new(inner: E, gate: Gate) -> Self {
        Self { inner, gate }
    }
}

impl<E: Endpoint> Endpoint for Gated<E> {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        self.inner.on_frame(now, frame);
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        if self.gate.is_open() {
            self.inner.poll(now, out);
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        let open = self.gate.is_open();
        open.then(|| self.inner.next_poll(now)).flatten()
    }
}

/// Says nothing and remembers every different frame. Clones are the same listener.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Mutex<BTreeSet<Frame>>>);

impl Watch {
    /// What came so far.
    pub fn seen(&self) -> MutexGuard<'_, BTreeSet<Frame>> {
        lock(&self.0)
    }
}

impl Endpoint for Watch {
    fn on_frame(&mut self, _now: u64, frame: &[u8]) {
        let mut seen = self.seen();
        if !seen.contains(frame) {
            seen.insert(frame.to_vec());
        }
    }

    fn poll(&mut self, _now: u64, _out: &mut dyn FnMut(Frame) -> bool) {}

    fn next_poll(&mut self, _now: u64) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends one frame at once, and again for each that it hears.
    struct Parrot(Vec<Frame>);

    impl Endpoint for Parrot {
        fn on_frame(&mut self, _now: u64, frame: &[u8]) {
            self.0.push(frame.to_vec());
        }

        fn poll(&mut self, _now: u64, out: &mut dyn FnMut(Frame) -> bool) {
            for frame in self.0.drain(..) {
                out(frame);
            }
        }

        fn next_poll(&mut self, now: u64) -> Option<u64> {
            (!self.0.is_empty()).then_some(now)
        }
    }

    #[test]
    fn a_closed_gate_lets_nothing_out() {
        let gate = Gate::default();
        let mut gated = Gated::new(Parrot(vec![vec![1]]), gate.clone());
        let mut sent = Vec::new();
        let mut poll = |gated: &mut Gated<Parrot>| {
            let mut take = |frame| {
                sent.push(frame);
                true
            };
            gated.poll(0, &mut take);
            sent.clone()
        };
        assert_eq!(gated.next_poll(5), None);
        gated.on_frame(0, &[2]);
        assert!(poll(&mut gated).is_empty());
        gate.open();
        assert_eq!(gated.next_poll(5), Some(5));
        assert_eq!(poll(&mut gated), [vec![1], vec![2]]);
    }

    #[test]
    fn clones_of_a_listener_hear_for_each_other() {
        let watch = Watch::default();
        let mut other = watch.clone();
        other.on_frame(0, &[1, 2]);
        other.on_frame(1, &[1, 2]);
        assert_eq!(watch.seen().iter().collect::<Vec<_>>(), [&vec![1, 2]]);
    }
}

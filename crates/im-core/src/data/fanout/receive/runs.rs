//! Lists for one miniport each, gathered while a batch is dealt out.
//!
//! A small table, found by the miniport's address, with the next place where one is
//! taken: a batch for up to as many miniports as there are places is shown in one
//! call for each. A miniport that finds no place has what is in its first one shown
//! before it; so the order for each is kept in any case.

use super::{Open, Passage, length_above};
use crate::data::fanout::count::Batch;
use crate::data::fanout::decide::{Frame, Strip, Switch};
use crate::data::fanout::tag::{came_back, ready};
use crate::edges::Upper;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering;
use im_control::DropReason;
use ndis::nbl::{FromBelow, Queue, Single};

/// Places of the table; a power of two.
const PLACES: usize = 16;

/// The place of a miniport.
fn place<T: Switch>(upper: &Upper<T>) -> usize {
    let address = core::ptr::from_ref(upper).addr() as u64;
    // The golden ratio spreads addresses that differ in few bits.
    let spread = address.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (spread >> (u64::BITS - PLACES.trailing_zeros())) as usize & (PLACES - 1)
}

/// Lists for one miniport.
pub(super) struct Run<'i, T: Switch> {
    upper: &'i Upper<T>,
    open: Result<Open<'i, T>, DropReason>,
    queue: Queue<FromBelow>,
    batch: Batch,
    changed: bool,
    refused: u32,
    allocated: u64,
}

impl<'i, T: Switch> Run<'i, T> {
    fn new(upper: &'i Upper<T>, way: Passage<'i>) -> Self {
        Self {
            upper,
            open: Open::new(upper, way),
            queue: Queue::new(),
            batch: Batch::default(),
            changed: false,
            refused: 0,
            allocated: 0,
        }
    }

    /// Adds a list, or gives it back.
    pub(super) fn add(
        &mut self,
        list: Single<FromBelow>,
        frame: &Frame,
        strip: Strip,
        back: &mut Queue<FromBelow>,
    ) {
        let Ok(open) = &self.open else {
            self.refused = self.refused.wrapping_add(1);
            back.push(list);
            return;
        };
        match ready(list, strip, T::IDENTITY.tag, &mut self.allocated) {
            Ok(mut list) => {
                open.address(&mut list);
                self.queue.push(list);
                self.batch
                    .add(frame.header.destination, length_above(frame, strip));
                self.changed |= strip != Strip::Keep;
            }
            Err((list, reason)) => {
                self.upper.path.dropped(reason, 1);
                back.push(list);
            }
        }
    }

    /// Shows what was gathered.
    fn flush(mut self, way: Passage<'i>, back: &mut Queue<FromBelow>) {
        if self.allocated != 0 {
            let slot = self.upper.path.flow.at(way.processor);
            slot.allocations
                .fetch_add(self.allocated, Ordering::Relaxed);
        }
        let open = match self.open {
            Ok(open) => open,
            Err(reason) => {
                self.upper.path.dropped(reason, self.refused);
                return;
            }
        };
        if self.queue.is_empty() {
            open.close();
        } else if open.is_over(self.queue.count()) {
            open.lend(&mut self.queue.loan(), &self.batch, way, self.changed);
            let mut chain = self.queue.take();
            while let Some(list) = chain.pop() {
                back.push(came_back(list));
            }
            core::mem::forget(chain); // empty
            open.close();
        } else {
            open.give(&mut self.queue, &self.batch, way, self.changed);
        }
    }
}

/// The table. Flushed before it goes.
pub(super) struct Runs<'i, T: Switch> {
    /// A bit for each place with a run.
    used: u32,
    /// Whose runs they are.
    keys: [*const Upper<T>; PLACES],
    places: [MaybeUninit<Run<'i, T>>; PLACES],
}

impl<'i, T: Switch> Runs<'i, T> {
    /// Empty; a batch for one miniport touches one place.
    pub(super) const fn new() -> Self {
        const { assert!(PLACES <= u32::BITS as usize && PLACES.is_power_of_two()) };
        Self {
            used: 0,
            keys: [core::ptr::null(); PLACES],
            places: [const { MaybeUninit::uninit() }; PLACES],
        }
    }

    /// The run of a miniport; what has its place is shown first.
    pub(super) fn of(
        &mut self,
        upper: &'i Upper<T>,
        way: Passage<'i>,
        back: &mut Queue<FromBelow>,
    ) -> &mut Run<'i, T> {
        let home = place(upper);
        let mut place = home;
        // Places are never given up one by one, so a run is not behind a free one.
        while self.used & (1 << place) != 0 {
            if core::ptr::eq(self.keys[place], upper) {
                // SAFETY: (RCV-7) the bit says that there is a run.
                return unsafe { self.places[place].assume_init_mut() };
            }
            place = (place + 1) & (PLACES - 1);
            if place == home {
                // SAFETY: (RCV-7) all bits are set; it is not there any more, and
                // written anew below.
                unsafe { self.places[home].assume_init_read() }.flush(way, back);
                break;
            }
        }
        self.used |= 1 << place;
        self.keys[place] = upper;
        self.places[place].write(Run::new(upper, way))
    }

    /// Shows everything.
    pub(super) fn flush(&mut self, way: Passage<'i>, back: &mut Queue<FromBelow>) {
        while self.used != 0 {
            let place = self.used.trailing_zeros() as usize & (PLACES - 1);
            self.used &= self.used.wrapping_sub(1);
            // SAFETY: (RCV-7) the bit said that there is a run; it is not there
            // any more.
            unsafe { self.places[place].assume_init_read() }.flush(way, back);
        }
    }
}

impl<T: Switch> Drop for Runs<'_, T> {
    fn drop(&mut self) {
        debug_assert!(self.used == 0, "lists were left in a run");
    }
}

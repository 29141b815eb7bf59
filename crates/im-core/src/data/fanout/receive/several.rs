//! Lists for several miniports, and lists that are only lent to us: lent on to one
//! after the other (RCV-3, RCV-11).

use super::{Decision, Drops, Open, Passage, decide, length_above};
use crate::data::fanout::count::Batch;
use crate::data::fanout::decide::{Delivery, Frame, PortRef, Strip, Switch};
use crate::data::fanout::tag::{
    Trouble, came_back, mark_clone, mark_up, ready, unmark_up, without_tag,
};
use crate::edges::Lower;
use im_control::DropReason;
use ndis::nbl::{FromBelow, Lent, List, Loan, Queue, Sections, Single};

/// Whether two deliveries are to the same miniports of the same group.
fn same<T: Switch>(a: &Delivery<'_, PortRef<T>>, b: &Delivery<'_, PortRef<T>>) -> bool {
    core::ptr::eq(a.targets, b.targets) && a.except == b.except
}

/// Everybody that a delivery is for.
fn targets<'i, T: Switch>(
    delivery: &Delivery<'i, PortRef<T>>,
) -> impl Iterator<Item = PortRef<T>> + use<'i, T> {
    let except = delivery.except;
    let targets = delivery.targets.iter().copied();
    targets.filter(move |target| except != Some(*target))
}

/// Lends lists to everybody that they are for. `address` prepares each for the
/// miniport.
pub(in super::super) fn lend_everywhere<T: Switch>(
    delivery: &Delivery<'_, PortRef<T>>,
    loan: &mut Loan<'_>,
    batch: &Batch,
    way: Passage<'_>,
    changed: bool,
    address: impl Fn(&Open<'_, T>, &mut List),
) {
    for target in targets(delivery) {
        let upper = target.get(way.inside);
        match Open::new(upper, way) {
            Ok(open) => {
                loan.for_each(|list| address(&open, list));
                open.lend(loan, batch, way, changed);
                open.close();
            }
            Err(reason) => upper.path.dropped(reason, loan.count()),
        }
    }
}

/// Lists that follow each other and are for the same miniports.
pub(super) struct Several<'i, T: Switch> {
    delivery: Delivery<'i, PortRef<T>>,
    queue: Queue<FromBelow>,
    batch: Batch,
    changed: bool,
}

impl<'i, T: Switch> Several<'i, T> {
    pub(super) fn new(delivery: Delivery<'i, PortRef<T>>) -> Self {
        Self {
            delivery,
            queue: Queue::new(),
            batch: Batch::default(),
            changed: false,
        }
    }

    pub(super) fn is_for(&self, delivery: &Delivery<'i, PortRef<T>>) -> bool {
        same(&self.delivery, delivery)
    }

    /// Adds a list, or gives it back.
    pub(super) fn add(
        &mut self,
        lower: &Lower<T>,
        list: Single<FromBelow>,
        frame: &Frame,
        strip: Strip,
        back: &mut Queue<FromBelow>,
    ) {
        // Nobody's in particular, so that it is not counted.
        let mut allocated = 0;
        match ready(list, strip, T::IDENTITY.tag, &mut allocated) {
            Ok(list) => {
                self.queue.push(list);
                self.batch
                    .add(frame.header.destination, length_above(frame, strip));
                self.changed |= strip != Strip::Keep;
            }
            Err((list, reason)) => {
                lower.data.dropped(reason, 1);
                back.push(list);
            }
        }
    }

    /// Lends the lists to all but the last one that takes them, who may keep them
    /// within its share.
    pub(super) fn flush(mut self, way: Passage<'i>, back: &mut Queue<FromBelow>) {
        let mut last: Option<Open<'i, T>> = None;
        let lists = self.queue.count();
        for target in targets(&self.delivery) {
            let upper = target.get(way.inside);
            match Open::new(upper, way) {
                Ok(open) => {
                    if let Some(before) = last.replace(open) {
                        self.lend(&before, way);
                        before.close();
                    }
                }
                Err(reason) => upper.path.dropped(reason, lists),
            }
        }
        let Some(last) = last else {
            self.give_back(back);
            return;
        };
        if lists == 0 || last.is_over(lists) {
            self.lend(&last, way);
            last.close();
            self.give_back(back);
        } else {
            self.queue.for_each(|list| last.address(list));
            last.give(&mut self.queue, &self.batch, way, self.changed);
        }
    }

    fn lend(&mut self, open: &Open<'i, T>, way: Passage<'_>) {
        let mut loan = self.queue.loan();
        loan.for_each(|list| open.address(list));
        open.lend(&mut loan, &self.batch, way, self.changed);
    }

    fn give_back(mut self, back: &mut Queue<FromBelow>) {
        let mut chain = self.queue.take();
        while let Some(list) = chain.pop() {
            back.push(came_back(list));
        }
        core::mem::forget(chain); // empty
    }
}

/// What a section of a lent chain is for.
struct Section<'i, T: Switch> {
    delivery: Delivery<'i, PortRef<T>>,
    batch: Batch,
    changed: bool,
}

/// Shows a section and lets the chain be as it came.
fn flush<T: Switch>(
    sections: &mut Sections<'_>,
    current: &mut Option<Section<'_, T>>,
    way: Passage<'_>,
) {
    let Some(section) = current.take() else {
        return;
    };
    sections.section(|loan| {
        let (batch, changed) = (&section.batch, section.changed);
        lend_everywhere(
            &section.delivery,
            loan,
            batch,
            way,
            changed,
            |open, list| {
                open.address(list);
            },
        );
        loan.for_each(unmark_up); // RCV-2
    });
}

/// Deals out a lent chain: lists that follow each other and are for the same
/// miniports are lent on together.
pub(super) fn lend_sections<'i, T: Switch>(
    lower: &'i Lower<T>,
    lent: &mut Lent<'_>,
    way: Passage<'i>,
) {
    let mut drops = Drops::new();
    let mut allocated = 0; // nobody's in particular
    let mut sections = lent.sections();
    let mut current: Option<Section<'i, T>> = None;
    while let Some(mut list) = sections.peek() {
        let decision = match decide(lower, &mut list, way.inside) {
            Ok(decision) => decision,
            Err(reason) => {
                flush(&mut sections, &mut current, way);
                drops.add(lower, reason);
                sections.skip();
                continue;
            }
        };
        let other = |section: &Section<'i, T>| !same(&section.delivery, &decision.delivery);
        if current.as_ref().is_some_and(other) {
            flush(&mut sections, &mut current, way);
        }
        match mark_up(&mut list, decision.strip, T::IDENTITY.tag, &mut allocated) {
            Ok(()) => {
                let section = current.get_or_insert_with(|| Section {
                    delivery: decision.delivery,
                    batch: Batch::default(),
                    changed: false,
                });
                let frame = &decision.frame;
                let length = length_above(frame, decision.strip);
                section.batch.add(frame.header.destination, length);
                section.changed |= decision.strip != Strip::Keep;
                sections.take();
            }
            Err(trouble) => {
                flush(&mut sections, &mut current, way);
                let reason = match trouble {
                    Trouble::Header => lend_copy(&mut list, &decision, way).err(),
                    Trouble::Drop(reason) => Some(reason),
                };
                if let Some(reason) = reason {
                    drops.add(lower, reason);
                }
                sections.skip();
            }
        }
    }
    flush(&mut sections, &mut current, way);
    drops.flush(lower);
}

/// Lends a list of our own in place of one whose tag cannot be taken out in place.
fn lend_copy<T: Switch>(
    list: &mut List,
    decision: &Decision<'_, T>,
    way: Passage<'_>,
) -> Result<(), DropReason> {
    let Strip::InFrame(outer) = decision.strip else {
        return Err(DropReason::ReceiveNoMemory); // cannot be
    };
    let (mut own, splice) = match without_tag(list) {
        Ok(made) => made,
        Err(Trouble::Drop(reason)) => return Err(reason),
        Err(Trouble::Header) => return Err(DropReason::ReceiveNoMemory),
    };
    let null = core::ptr::null_mut();
    if !mark_clone(&mut own, outer, splice, null, T::IDENTITY.tag) {
        own.free(splice);
        return Err(DropReason::ReceiveNoContext);
    }
    let mut batch = Batch::default();
    let length = length_above(&decision.frame, decision.strip);
    batch.add(decision.frame.header.destination, length);
    let mut loan = own.loan();
    lend_everywhere(
        &decision.delivery,
        &mut loan,
        &batch,
        way,
        true,
        |open, list| {
            open.address(list);
        },
    );
    loan.for_each(unmark_up);
    own.free(splice);
    Ok(())
}

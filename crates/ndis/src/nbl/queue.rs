//! Lists one by one: taken off a chain and put on another.

use super::{Chain, FromBelow, LOST, List, Loan};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use ndis_sys::NET_BUFFER_LIST;

/// One list that is ours alone, without links.
#[must_use = "a list that is not handed over is lost"]
#[derive(Debug)]
pub struct Single<K> {
    list: List,
    kind: PhantomData<K>,
}

// SAFETY: (VMI-9) as for a chain.
unsafe impl<K> Send for Single<K> {}

impl<K> Drop for Single<K> {
    fn drop(&mut self) {
        LOST.fetch_add(1, Ordering::Relaxed);
        debug_assert!(false, "a NET_BUFFER_LIST was dropped");
    }
}

impl<K> Deref for Single<K> {
    type Target = List;
    fn deref(&self) -> &List {
        &self.list
    }
}

impl<K> DerefMut for Single<K> {
    fn deref_mut(&mut self) -> &mut List {
        &mut self.list
    }
}

impl<K> Single<K> {
    /// # Safety
    /// The list is ours, not part of a chain, and no other value stands for it.
    pub(super) unsafe fn from_raw(list: NonNull<NET_BUFFER_LIST>) -> Self {
        Self {
            list: List(list),
            kind: PhantomData,
        }
    }

    /// The list as a chain of its own, to be lent to the protocols above.
    pub fn loan(&mut self) -> Loan<'_> {
        Loan {
            head: self.list.0.as_ptr(),
            count: 1,
            owner: PhantomData,
        }
    }

    /// Gives up the value; the list is in the caller's care.
    pub(super) fn into_raw(self) -> NonNull<NET_BUFFER_LIST> {
        ManuallyDrop::new(self).list.0
    }
}

impl<K> Chain<K> {
    /// Takes the first list off.
    pub fn pop(&mut self) -> Option<Single<K>> {
        let first = NonNull::new(self.head)?;
        // SAFETY: (SND-9) only links change, of a list that is ours.
        unsafe {
            self.head = (*first.as_ptr()).Next;
            (*first.as_ptr()).Next = core::ptr::null_mut();
        }
        Some(Single {
            list: List(first),
            kind: PhantomData,
        })
    }
}

/// A chain that grows at its end and knows its length.
#[must_use = "a chain that is not handed over is lost"]
#[derive(Debug)]
pub struct Queue<K> {
    chain: Chain<K>,
    last: *mut NET_BUFFER_LIST,
    count: u32,
}

// SAFETY: (VMI-9) as for a chain.
unsafe impl<K> Send for Queue<K> {}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Queue<K> {
    /// No list.
    pub const fn new() -> Self {
        Self {
            chain: Chain::empty(),
            last: core::ptr::null_mut(),
            count: 0,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// Number of lists.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Adds a list at the end.
    pub fn push(&mut self, one: Single<K>) {
        let raw = one.into_raw().as_ptr();
        if self.chain.head.is_null() {
            self.chain.head = raw;
        } else {
            // SAFETY: (SND-9) only links change, of a list that is ours.
            unsafe { (*self.last).Next = raw };
        }
        self.last = raw;
        self.count = self.count.wrapping_add(1);
    }

    /// Adds a chain at the end; walks over it.
    pub fn append(&mut self, mut chain: Chain<K>) {
        while let Some(one) = chain.pop() {
            self.push(one);
        }
        core::mem::forget(chain); // empty
    }

    /// Adds another queue at the end.
    pub fn join(&mut self, mut other: Self) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            core::mem::swap(self, &mut other);
            return;
        }
        // SAFETY: (SND-9) only links change, of lists that are ours.
        unsafe { (*self.last).Next = other.chain.head };
        self.last = other.last;
        self.count = self.count.wrapping_add(other.count);
        other.chain.head = core::ptr::null_mut();
    }

    /// The chain, leaving nothing.
    pub fn take(&mut self) -> Chain<K> {
        self.last = core::ptr::null_mut();
        self.count = 0;
        self.chain.take()
    }

    /// Visits each list in order.
    pub fn for_each(&mut self, visit: impl FnMut(&mut List)) {
        self.chain.for_each(visit);
    }
}

impl Queue<FromBelow> {
    /// The chain, to be lent to the protocols above.
    pub fn loan(&mut self) -> Loan<'_> {
        Loan {
            head: self.chain.head,
            count: self.count,
            owner: PhantomData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::FromAbove;
    use super::super::tests::Lists;
    use super::*;
    use std::vec::Vec;

    proptest::proptest! {
        /// SND-5: dealing a chain out to queues keeps the order in each and loses
        /// nothing.
        #[test]
        fn dealing_keeps_order(places in proptest::collection::vec(0_usize..3, 0..40)) {
            let mut lists = Lists::linked(places.len());
            let mut chain = lists.chain();
            let mut queues: [Queue<FromAbove>; 3] = [Queue::new(), Queue::new(), Queue::new()];
            for place in &places {
                queues[*place].push(chain.pop().unwrap());
            }
            assert!(chain.pop().is_none());
            core::mem::forget(chain);
            for (index, mut queue) in queues.into_iter().enumerate() {
                let expected: Vec<i32> =
                    (0..).zip(&places).filter(|(_, place)| **place == index).map(|(i, _)| i).collect();
                assert_eq!(queue.count() as usize, expected.len());
                let mut seen = Vec::new();
                // SAFETY: (SND-3) the list belongs to the test's vector.
                queue.for_each(|list| seen.push(unsafe { (*list.as_ptr()).ChildRefCount }));
                assert_eq!(seen, expected);
                core::mem::forget(queue);
            }
        }
    }

    #[test]
    fn taken_and_used_again() {
        let (mut a, mut b) = (Lists::linked(3), Lists::linked(2));
        let mut queue = Queue::<FromAbove>::new();
        queue.append(a.chain());
        let first = queue.take();
        assert_eq!(first.count(), 3);
        assert!(queue.is_empty());
        queue.append(b.chain());
        assert_eq!(queue.count(), 2);
        let mut c = Lists::linked(2);
        let mut other = Queue::new();
        other.append(c.chain());
        other.join(queue);
        let mut queue = Queue::new();
        queue.join(other);
        assert_eq!(queue.count(), 4);
        let joined = queue.take();
        assert_eq!(joined.count(), 4);
        core::mem::forget(joined);
        core::mem::forget((first, queue));
    }
}

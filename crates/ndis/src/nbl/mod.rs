//! NET_BUFFER_LIST chains by ownership.
//!
//! A chain is *ours* while a value of type [`Chain`] exists. It is moved, never
//! shared: every hand-over (send down, complete up, indicate up, return down)
//! takes the value, so that touching a list afterwards (SND-3, RCV-7) or
//! handing it over twice (SND-2, RCV-1, BUG-3) does not compile. What was
//! handed over is *pending*: it comes back through a callback, which makes a
//! new value. A chain that came with the RESOURCES flag is [`Lent`]: it has no
//! hand-over that keeps it, and goes back by the return of the handler (RCV-2).
//!
//! A chain that is dropped without a hand-over is a loss: debug builds stop
//! there, release builds count it in [`lost`], and the host reports it.
//!
//! Hand-overs: any thread, IRQL <= DISPATCH_LEVEL, no lock held (LCK-6).

mod ahead;
mod derived;
mod lent;
mod list;
mod own;
mod queue;

pub use ahead::Ahead;
pub use derived::{Derived, Kind, Splice};
pub use lent::{Lent, Loan, Sections};
pub use list::{Buffer, Buffers, Hash, List, Load};
pub use own::{Copy, ListPool, Own};
pub use queue::{Queue, Single};

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use ndis_sys::{
    NDIS_HANDLE, NET_BUFFER_LIST, NdisMIndicateReceiveNetBufferLists,
    NdisMSendNetBufferListsComplete, NdisReturnNetBufferLists, NdisSendNetBufferLists,
};

/// The handle of a virtual miniport: the upper edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiniportHandle(pub NDIS_HANDLE);

/// The handle of a binding: the lower edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingHandle(pub NDIS_HANDLE);

/// Lists that a protocol above gave us to send.
#[derive(Debug)]
pub enum FromAbove {}

/// Lists that the adapter below gave us, to be returned to it.
#[derive(Debug)]
pub enum FromBelow {}

static LOST: AtomicUsize = AtomicUsize::new(0);

/// How many chains were dropped without a hand-over since the image was
/// loaded. Anything but zero is a defect.
pub fn lost() -> usize {
    LOST.load(Ordering::Relaxed)
}

/// A null-ended chain of lists that is ours alone.
#[derive(Debug)]
#[must_use = "a chain that is not handed over is lost"]
pub struct Chain<K> {
    head: *mut NET_BUFFER_LIST,
    kind: PhantomData<K>,
}

// SAFETY: (VMI-9) a chain belongs to whoever holds the value; lists are plain
// nonpaged memory that any processor may use.
unsafe impl<K> Send for Chain<K> {}

impl<K> Drop for Chain<K> {
    fn drop(&mut self) {
        if !self.head.is_null() {
            LOST.fetch_add(1, Ordering::Relaxed);
            debug_assert!(false, "a NET_BUFFER_LIST chain was dropped");
        }
    }
}

impl<K> Chain<K> {
    /// No list.
    pub const fn empty() -> Self {
        Self {
            head: core::ptr::null_mut(),
            kind: PhantomData,
        }
    }

    /// Takes over what a callback was given.
    ///
    /// # Safety
    /// `head` is null or starts a null-ended chain that NDIS just handed to
    /// this driver, and no other value stands for it.
    pub const unsafe fn adopt(head: *mut NET_BUFFER_LIST) -> Self {
        Self {
            head,
            kind: PhantomData,
        }
    }

    /// Whether there is nothing to hand over.
    pub fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Gives up the value; the lists are in the caller's care.
    fn release(self) -> *mut NET_BUFFER_LIST {
        ManuallyDrop::new(self).head
    }

    /// Visits each list in order.
    pub fn for_each(&mut self, mut visit: impl FnMut(&mut List)) {
        let mut next = self.head;
        while let Some(current) = NonNull::new(next) {
            // SAFETY: (SND-3, RCV-7) every list of the chain is ours. The link
            // is read first, as `visit` may not change it but NDIS calls on
            // the list should not race with the load.
            next = unsafe { (*current.as_ptr()).Next };
            visit(&mut List(current));
        }
    }

    /// Number of lists.
    pub fn count(&self) -> u32 {
        let mut count = 0_u32;
        let mut next = self.head;
        while let Some(current) = NonNull::new(next) {
            // SAFETY: (SND-3, RCV-7) every list of the chain is ours.
            next = unsafe { (*current.as_ptr()).Next };
            count = count.wrapping_add(1);
        }
        count
    }

    /// Visits each list and moves those for which `keep` says no to a chain of
    /// their own; both keep their order (SND-5).
    pub fn reject(&mut self, mut keep: impl FnMut(&mut List) -> bool) -> Self {
        let mut rejected = Self::empty();
        // The place where the link to the next list is written: the head, or
        // the `Next` member of the list before.
        let mut link: *mut *mut NET_BUFFER_LIST = &raw mut self.head;
        let mut reject_link: *mut *mut NET_BUFFER_LIST = &raw mut rejected.head;
        // SAFETY: (SND-3, RCV-7) `link` is the head of our chain.
        while let Some(current) = NonNull::new(unsafe { *link }) {
            let next_link =
                // SAFETY: (SND-3, RCV-7) every list of the chain is ours.
                unsafe { &raw mut (*current.as_ptr()).Next };
            if keep(&mut List(current)) {
                link = next_link;
            } else {
                // SAFETY: (SND-9) only links between lists change; all three
                // places belong to lists or chain heads that are ours.
                unsafe {
                    *link = *next_link;
                    *next_link = core::ptr::null_mut();
                    *reject_link = current.as_ptr();
                }
                reject_link = next_link;
            }
        }
        rejected
    }

    /// Appends a chain: walks to the end of this one, so for slow paths only.
    pub fn append(&mut self, other: Self) {
        let mut link: *mut *mut NET_BUFFER_LIST = &raw mut self.head;
        // SAFETY: (SND-9) walks and changes links of lists that are ours.
        unsafe {
            while let Some(current) = NonNull::new(*link) {
                link = &raw mut (*current.as_ptr()).Next;
            }
            *link = other.release();
        }
    }

    /// The whole chain, leaving nothing.
    pub fn take(&mut self) -> Self {
        core::mem::replace(self, Self::empty())
    }
}

impl Chain<FromAbove> {
    /// Hands the chain to the binding; it is pending until the send completion
    /// handler gets it (SND-8). IRQL <= DISPATCH_LEVEL.
    ///
    /// Every list's source must be the binding (SND-6).
    pub fn send_down(self, binding: BindingHandle, port: u32, flags: u32) {
        let head = self.release();
        if !head.is_null() {
            // SAFETY: (SND-3) the chain was ours and is not touched again; the
            // caller holds the binding open and running (PBS-1).
            unsafe { NdisSendNetBufferLists(binding.0, head, port, flags) };
        }
    }

    /// Completes the chain to the protocol above; it is gone.
    /// IRQL <= DISPATCH_LEVEL.
    pub fn complete_up(self, miniport: MiniportHandle, flags: u32) {
        let head = self.release();
        if !head.is_null() {
            // SAFETY: (SND-2) the chain was ours and is completed once, on the
            // miniport that it was sent through; not touched again (SND-3).
            unsafe { NdisMSendNetBufferListsComplete(miniport.0, head, flags) };
        }
    }
}

impl Chain<FromBelow> {
    /// Hands the chain to the protocols above; it is pending until the return
    /// handler gets it (RCV-7). IRQL <= DISPATCH_LEVEL.
    ///
    /// `count` is the number of lists (RCV-4); `flags` must not have RESOURCES.
    pub fn indicate_up(self, miniport: MiniportHandle, port: u32, count: u32, flags: u32) {
        let head = self.release();
        if !head.is_null() {
            // SAFETY: (RCV-4) the caller knows the miniport to be running; the
            // chain was ours and is not touched again (RCV-7).
            unsafe {
                NdisMIndicateReceiveNetBufferLists(miniport.0, head, port, count, flags);
            }
        }
    }

    /// Gives the chain back to the adapter below; it is gone.
    /// IRQL <= DISPATCH_LEVEL.
    pub fn return_down(self, binding: BindingHandle, flags: u32) {
        let head = self.release();
        if !head.is_null() {
            // SAFETY: (RCV-1, RCV-9) every list came from this binding without
            // the RESOURCES flag and goes back once.
            unsafe { NdisReturnNetBufferLists(binding.0, head, flags) };
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use core::mem::MaybeUninit;
    use ndis_sys::NET_BUFFER;
    use std::vec::Vec;

    /// Lists in memory of the test's own, only ever linked and unlinked here.
    pub(crate) struct Lists(pub(crate) Vec<NET_BUFFER_LIST>);

    impl Lists {
        pub(crate) fn linked(count: usize) -> Self {
            // SAFETY: (NBL-1 does not apply: no list leaves this test) integers
            // and raw pointers, zero is a value of each.
            let mut lists: Vec<NET_BUFFER_LIST> = (0..count)
                .map(|_| unsafe { MaybeUninit::zeroed().assume_init() })
                .collect();
            let base = lists.as_mut_ptr();
            for (index, list) in lists.iter_mut().enumerate() {
                list.ChildRefCount = index as i32;
                if index + 1 < count {
                    list.Next = base.wrapping_add(index + 1);
                }
            }
            Self(lists)
        }

        pub(crate) fn chain(&mut self) -> Chain<FromAbove> {
            let head = if self.0.is_empty() {
                core::ptr::null_mut()
            } else {
                self.0.as_mut_ptr()
            };
            // SAFETY: (SND-3) the vector is used by nobody else meanwhile.
            unsafe { Chain::adopt(head) }
        }
    }

    fn order(chain: Chain<FromAbove>) -> Vec<i32> {
        let mut seen = Vec::new();
        let mut chain = chain;
        chain.for_each(|list| {
            // SAFETY: (SND-3) the list belongs to the test's vector.
            seen.push(unsafe { (*list.as_ptr()).ChildRefCount });
        });
        chain.release();
        seen
    }

    proptest::proptest! {
        /// SND-5: splitting keeps the order on both sides and loses nothing.
        #[test]
        fn rejecting_keeps_order(choices in proptest::collection::vec(proptest::bool::ANY, 0..40)) {
            let mut lists = Lists::linked(choices.len());
            let mut chain = lists.chain();
            let mut index = 0;
            let rejected = chain.reject(|_| { index += 1; choices[index - 1] });
            let kept: Vec<i32> = (0..).zip(&choices).filter(|(_, keep)| **keep).map(|(i, _)| i).collect();
            let gone: Vec<i32> = (0..).zip(&choices).filter(|(_, keep)| !**keep).map(|(i, _)| i).collect();
            assert_eq!(order(chain), kept);
            assert_eq!(order(rejected), gone);
        }

        #[test]
        fn appending_keeps_order(first in 0_usize..10, second in 0_usize..10) {
            let (mut a, mut b) = (Lists::linked(first), Lists::linked(second));
            let mut chain = a.chain();
            chain.append(b.chain());
            assert_eq!(chain.count() as usize, first + second);
            assert_eq!(order(chain).len(), first + second);
        }
    }

    #[test]
    fn load_counts_frames_and_bytes() {
        let mut lists = Lists::linked(1);
        // SAFETY: (NBL-1 does not apply) zero is a value of every member.
        let mut buffers: [NET_BUFFER; 2] = unsafe { MaybeUninit::zeroed().assume_init() };
        buffers[1].DataLength = 40;
        buffers[0].DataLength = 60;
        let second = &raw mut buffers[1];
        buffers[0].Next = second;
        lists.0[0].FirstNetBuffer = &raw mut buffers[0];
        let mut chain = lists.chain();
        let mut load = Load::default();
        chain.for_each(|list| load.add(list.load()));
        chain.release();
        assert_eq!(
            load,
            Load {
                lists: 1,
                buffers: 2,
                bytes: 100
            }
        );
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_dropped_chain_is_noticed() {
        let mut lists = Lists::linked(2);
        let before = lost();
        let chain = lists.chain();
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(chain)));
        assert!(dropped.is_err());
        assert_eq!(lost(), before + 1);
    }
}

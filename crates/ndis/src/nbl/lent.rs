//! Lists that are ours for the time of a call: lent from below, and lent on to
//! the protocols above.

use super::{List, MiniportHandle};
use core::marker::PhantomData;
use core::ptr::NonNull;
use ndis_sys::{NDIS_RECEIVE_FLAGS_RESOURCES, NET_BUFFER_LIST, NdisMIndicateReceiveNetBufferLists};

/// A chain that came with the RESOURCES flag: ours only until the handler
/// returns, and then as it came (RCV-2).
#[derive(Debug)]
pub struct Lent<'a> {
    head: *mut NET_BUFFER_LIST,
    call: PhantomData<&'a mut ()>,
}

impl Lent<'_> {
    /// Borrows what the receive handler was given.
    ///
    /// # Safety
    /// `head` starts a null-ended chain that NDIS lent to the receive handler
    /// that is running, and the value does not outlive that call.
    pub const unsafe fn borrow(head: *mut NET_BUFFER_LIST) -> Self {
        Self {
            head,
            call: PhantomData,
        }
    }

    /// Prepares list after list until `prepare` says no; indicates those before
    /// it to the protocols above with `flags`, which must have RESOURCES
    /// (RCV-3); then lets `restore` undo what was prepared (RCV-8). The chain
    /// is as it came afterwards. Returns how many lists went up.
    ///
    /// IRQL <= DISPATCH_LEVEL.
    pub fn indicate_up(
        &mut self,
        miniport: MiniportHandle,
        port: u32,
        flags: u32,
        mut prepare: impl FnMut(&mut List) -> bool,
        mut restore: impl FnMut(&mut List),
    ) -> u32 {
        let mut count = 0_u32;
        let mut last: *mut NET_BUFFER_LIST = core::ptr::null_mut();
        let mut next = self.head;
        while let Some(current) = NonNull::new(next) {
            if !prepare(&mut List(current)) {
                break;
            }
            count = count.wrapping_add(1);
            last = current.as_ptr();
            // SAFETY: (RCV-2) ours until the handler returns.
            next = unsafe { (*last).Next };
        }
        if last.is_null() {
            return 0;
        }
        // SAFETY: (RCV-2) cutting the chain after the last prepared list; the
        // link is put back below.
        unsafe { (*last).Next = core::ptr::null_mut() };
        // SAFETY: (RCV-3) RESOURCES makes the receivers give the lists back
        // before the call returns.
        unsafe { NdisMIndicateReceiveNetBufferLists(miniport.0, self.head, port, count, flags) };
        let mut restored = self.head;
        while let Some(current) = NonNull::new(restored) {
            // SAFETY: (RCV-8) the lists are ours again.
            restored = unsafe { (*current.as_ptr()).Next };
            restore(&mut List(current));
        }
        // SAFETY: (RCV-2) the original chain is put together again.
        unsafe { (*last).Next = next };
        count
    }

    /// Walks over the chain and cuts it into sections.
    pub fn sections(&mut self) -> Sections<'_> {
        Sections {
            first: core::ptr::null_mut(),
            last: core::ptr::null_mut(),
            count: 0,
            next: self.head,
            call: PhantomData,
        }
    }

    /// Number of lists.
    pub fn count(&self) -> u32 {
        let mut count = 0_u32;
        let mut next = self.head;
        while let Some(current) = NonNull::new(next) {
            // SAFETY: (RCV-2) ours until the handler returns.
            next = unsafe { (*current.as_ptr()).Next };
            count = count.wrapping_add(1);
        }
        count
    }
}

/// A walk over a lent chain. Lists that follow each other are gathered into a
/// section, which is lent on as a chain of its own; the chain is as it came
/// whenever no section is being looked at.
#[derive(Debug)]
pub struct Sections<'a> {
    first: *mut NET_BUFFER_LIST,
    last: *mut NET_BUFFER_LIST,
    count: u32,
    next: *mut NET_BUFFER_LIST,
    call: PhantomData<&'a mut ()>,
}

impl Sections<'_> {
    /// The list that is not yet in the section.
    pub fn peek(&mut self) -> Option<List> {
        NonNull::new(self.next).map(List)
    }

    /// Takes it into the section.
    pub fn take(&mut self) {
        if self.first.is_null() {
            self.first = self.next;
        }
        self.last = self.next;
        self.count = self.count.wrapping_add(1);
        self.step();
    }

    /// Leaves it alone. The section is empty: [`Sections::section`] was called.
    pub fn skip(&mut self) {
        debug_assert!(self.first.is_null());
        self.step();
    }

    fn step(&mut self) {
        if !self.next.is_null() {
            // SAFETY: (RCV-2) ours until the handler returns.
            self.next = unsafe { (*self.next).Next };
        }
    }

    /// Cuts the section out, shows it, and puts the chain together again (RCV-2).
    pub fn section(&mut self, look: impl FnOnce(&mut Loan<'_>)) {
        if self.first.is_null() {
            return;
        }
        // SAFETY: (RCV-2) ours until the handler returns; undone below.
        unsafe { (*self.last).Next = core::ptr::null_mut() };
        look(&mut Loan {
            head: self.first,
            count: self.count,
            owner: PhantomData,
        });
        // SAFETY: (RCV-2) the original chain again.
        unsafe { (*self.last).Next = self.next };
        self.first = core::ptr::null_mut();
        self.count = 0;
    }
}

/// A chain that can be lent to the protocols above, and is there again after
/// each loan (RCV-8).
#[derive(Debug)]
pub struct Loan<'a> {
    pub(super) head: *mut NET_BUFFER_LIST,
    pub(super) count: u32,
    pub(super) owner: PhantomData<&'a mut ()>,
}

impl Loan<'_> {
    /// Number of lists.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Visits each list in order.
    pub fn for_each(&mut self, mut visit: impl FnMut(&mut List)) {
        let mut next = self.head;
        while let Some(current) = NonNull::new(next) {
            // SAFETY: (RCV-8) ours while nobody has the loan.
            next = unsafe { (*current.as_ptr()).Next };
            visit(&mut List(current));
        }
    }

    /// Lends the chain to the protocols above for the time of the call.
    /// IRQL <= DISPATCH_LEVEL. Every list's source must be the miniport (RCV-5).
    pub fn indicate(&mut self, miniport: MiniportHandle, port: u32, flags: u32) {
        let flags = flags | NDIS_RECEIVE_FLAGS_RESOURCES;
        if !self.head.is_null() {
            // SAFETY: (RCV-3, RCV-8) RESOURCES makes the receivers give the lists
            // back before the call returns; the caller knows the miniport to be
            // running (RCV-4).
            unsafe {
                NdisMIndicateReceiveNetBufferLists(miniport.0, self.head, port, self.count, flags);
            }
        }
    }
}

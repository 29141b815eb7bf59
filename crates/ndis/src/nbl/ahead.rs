//! Fetching what a walk over a chain will look at, before it gets there.
//!
//! Where a decision needs the header of each frame, four lines of memory have to
//! be followed for it: list, frame, MDL, bytes. Each is asked for one list earlier
//! than the next one, so that none has to be waited for. Nothing is read that the
//! walk would not read itself. IRQL <= DISPATCH_LEVEL.

use super::Chain;
use core::ptr::null;
use ndis_sys::{MDL, NET_BUFFER, NET_BUFFER_LIST};

/// Asks for a line of memory; any address will do.
fn fetch<V>(address: *const V) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: (SND-3, RCV-7) a hint, which reads nothing and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast::<i8>()) };
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: (SND-3, RCV-7) a hint, which reads nothing and never faults.
    unsafe {
        core::arch::asm!(
            "prfm pldl1keep, [{0}]",
            in(reg) address,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = address;
}

/// How far ahead each of the four is.
#[derive(Debug)]
pub struct Ahead {
    /// The lists whose own lines, frame, MDL and bytes are fetched next, the
    /// farthest first.
    lists: [*const NET_BUFFER_LIST; 4],
}

impl<K> Chain<K> {
    /// A look ahead on this chain. [`Ahead::step`] follows before each list is
    /// taken off at the front, and nothing else is done to the chain meanwhile.
    pub fn ahead(&self) -> Ahead {
        let mut ahead = Ahead {
            lists: [self.head, null(), null(), null()],
        };
        for _ in 0..3 {
            ahead.step();
        }
        ahead
    }
}

impl Ahead {
    /// One list on.
    pub fn step(&mut self) {
        let [list, frame, mdl, bytes] = &mut self.lists;
        *bytes = *mdl;
        *mdl = *frame;
        *frame = *list;
        // SAFETY: (SND-3, RCV-7) lists that are still in the chain, hence ours,
        // with frames and MDLs; null where there is none.
        unsafe {
            if !list.is_null() {
                *list = (**list).Next;
                fetch(*list);
                // Flags and out-of-band information.
                fetch((*list).wrapping_byte_add(128));
            }
            fetch(first(*frame));
            if let Some(frame) = first(*mdl).as_ref() {
                fetch(frame.CurrentMdl);
            }
            if let Some(frame) = first(*bytes).as_ref()
                && let Some(mdl) = current(frame).as_ref()
            {
                let start = mdl.MappedSystemVa.cast::<u8>();
                fetch(start.wrapping_add(frame.CurrentMdlOffset as usize));
            }
        }
    }
}

/// The first frame of a list.
///
/// # Safety
/// Null, or a list that is ours.
unsafe fn first(list: *const NET_BUFFER_LIST) -> *const NET_BUFFER {
    // SAFETY: (SND-3, RCV-7) the caller's promise.
    unsafe { list.as_ref() }.map_or(null(), |list| list.FirstNetBuffer)
}

fn current(frame: &NET_BUFFER) -> *const MDL {
    frame.CurrentMdl
}

//! Lists of our own over the frames of others.
//!
//! A clone refers to the bytes of its parent and has a header of its own in an
//! MDL that NDIS allocates; or it is only a second list over the same MDLs. The
//! parent stays with us and names us as its parent (SND-11): it goes on only
//! after the clone is freed. IRQL <= DISPATCH_LEVEL.

use super::{FromAbove, FromBelow, List, Single};
use crate::{Error, Result};
use core::ptr::NonNull;
use ndis_sys::{
    NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS, NET_BUFFER, NET_BUFFER_LIST,
    NdisAllocateCloneNetBufferList, NdisCopyReceiveNetBufferListInfo,
    NdisCopySendNetBufferListInfo, NdisFreeCloneNetBufferList, RscTcpTimestampDelta,
    TcpRecvSegCoalesceInfo, TcpSendOffloadsSupplementalNetBufferListInfo,
    UdpRecvSegCoalesceOffloadInfo, UdpSegmentationOffloadInfo,
};

/// A list that [`List::with_header`] made, or that [`List::for_each_view`] shows.
#[derive(Debug)]
pub enum Derived {}

/// How a list of our own differs from its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    /// So many bytes of each frame are left out at its start ...
    pub cut: u16,
    /// ... and so many others stand there.
    pub front: u16,
    /// Whether the bytes behind follow, or the others are the whole frame.
    pub rest: bool,
}

impl Splice {
    const REST: u16 = 0x8000;

    /// For context space.
    pub const fn to_bytes(self) -> [u8; 4] {
        let rest = if self.rest { Self::REST } else { 0 };
        let [a, b] = self.cut.to_ne_bytes();
        let [c, d] = (self.front & !Self::REST | rest).to_ne_bytes();
        [a, b, c, d]
    }

    /// From context space.
    pub const fn from_bytes([a, b, c, d]: [u8; 4]) -> Self {
        let front = u16::from_ne_bytes([c, d]);
        Self {
            cut: u16::from_ne_bytes([a, b]),
            front: front & !Self::REST,
            rest: front & Self::REST != 0,
        }
    }

    /// A list over the very same bytes.
    const NONE: Self = Self {
        cut: 0,
        front: 0,
        rest: true,
    };
}

/// Clones a list. The parent is ours and stays so.
fn clone(parent: &List, flags: u32) -> Result<Single<Derived>> {
    let null = core::ptr::null_mut();
    // SAFETY: (NBL-4) the parent is ours; no pools: NDIS uses its own.
    let raw = unsafe { NdisAllocateCloneNetBufferList(parent.as_ptr(), null, null, flags) };
    let raw = NonNull::new(raw).ok_or(Error::NoResources)?;
    // SAFETY: (SND-11) both lists are ours: the clone names its parent, and the
    // parent counts it.
    unsafe {
        (*raw.as_ptr()).ParentNetBufferList = parent.as_ptr();
        (*raw.as_ptr()).NblFlags = parent.flags();
        (*parent.as_ptr()).ChildRefCount = (*parent.as_ptr()).ChildRefCount.wrapping_add(1);
    }
    // SAFETY: (NBL-4) just made, nobody else knows it.
    Ok(unsafe { Single::from_raw(raw) })
}

impl List {
    /// A list over the frames of this one with other bytes at their start, which
    /// `fill` writes: it gets the parent's frame to read and the new bytes, and says
    /// whether it could (locked pages may lack a mapping). Frames without a byte stay
    /// so; others must be longer than what is cut. No byte of the parent is written.
    ///
    /// [`Single::free`] undoes it, with the same `splice`.
    pub fn with_header(
        &mut self,
        splice: Splice,
        mut fill: impl FnMut(&super::Buffer<'_>, &mut [u8]) -> bool,
    ) -> Result<Single<Derived>> {
        let (cut, front) = (u32::from(splice.cut), u32::from(splice.front));
        if self
            .buffers()
            .any(|frame| frame.length() != 0 && frame.length() <= cut)
        {
            return Err(Error::BadLength);
        }
        // The clone begins where the data begin, so what is cut off is out of
        // sight while it is made.
        for mut frame in self.buffers() {
            frame.advance(cut, false);
        }
        let cloned = clone(self, 0);
        for mut frame in self.buffers() {
            if frame.length() != 0 {
                // NBL-7: the bytes are there, so that this needs no memory.
                let back = frame.retreat(cut);
                debug_assert!(back.is_ok());
            }
        }
        let mut cloned = cloned?;
        let mut failed = None;
        let mut done = 0_usize;
        for (frame, mut copy) in self.buffers().zip(cloned.buffers()) {
            if frame.length() != 0 {
                // What lies before the clone's data belongs to the parent and is
                // not to be used.
                if copy.room() != 0 {
                    failed = Some(Error::BadData);
                    break;
                }
                if let Err(error) = copy.retreat(front) {
                    failed = Some(error);
                    break;
                }
                match copy.front(front as usize).map(|bytes| fill(&frame, bytes)) {
                    Some(true) => {}
                    Some(false) => failed = Some(Error::NoResources),
                    None => failed = Some(Error::BadData),
                }
                if !splice.rest {
                    copy.set_length(front);
                }
            }
            done = done.wrapping_add(1);
        }
        match failed {
            None => Ok(cloned),
            Some(error) => {
                let _parent = cloned.dissolve(splice, done, 0);
                Err(error)
            }
        }
    }

    /// Shows each frame of the list that has a byte as a list of its own, over
    /// the same MDLs (RCV-13). Returns how many frames could not be shown.
    pub fn for_each_view(&mut self, mut look: impl FnMut(&mut Single<Derived>)) -> u32 {
        let mut failed = 0_u32;
        let list = self.as_ptr();
        // SAFETY: (SND-3) ours while it is borrowed.
        let first = unsafe { (*list).FirstNetBuffer };
        let mut next: *mut NET_BUFFER = first;
        while let Some(current) = NonNull::new(next) {
            // SAFETY: (SND-9) the links are put back below, before anybody else
            // sees the list.
            let length = unsafe {
                next = (*current.as_ptr()).Next;
                (*current.as_ptr()).DataLength
            };
            if length == 0 {
                continue;
            }
            // SAFETY: (SND-9) as above.
            unsafe {
                (*current.as_ptr()).Next = core::ptr::null_mut();
                (*list).FirstNetBuffer = current.as_ptr();
            }
            let view = clone(self, NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS);
            // SAFETY: (SND-9) the list as it came.
            unsafe {
                (*current.as_ptr()).Next = next;
                (*list).FirstNetBuffer = first;
            }
            match view {
                Ok(mut view) => {
                    look(&mut view);
                    let _parent =
                        view.dissolve(Splice::NONE, 0, NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS);
                }
                Err(_) => failed = failed.wrapping_add(1),
            }
        }
        failed
    }

    /// Copies out-of-band information of a received list (RCV-10).
    pub fn copy_receive_info(&mut self, from: &List) {
        // SAFETY: (RCV-10) both lists are ours.
        unsafe { NdisCopyReceiveNetBufferListInfo(self.as_ptr(), from.as_ptr()) };
        for entry in [
            TcpRecvSegCoalesceInfo,
            RscTcpTimestampDelta,
            UdpRecvSegCoalesceOffloadInfo,
        ] {
            // SAFETY: (RCV-10) not on NDIS's list; both lists are ours.
            unsafe { self.info(entry).write(from.info(entry).read()) };
        }
    }

    /// Copies out-of-band information of a list to send (SND-10, SND-14).
    pub fn copy_send_info(&mut self, from: &List) {
        // SAFETY: (SND-10) both lists are ours.
        unsafe { NdisCopySendNetBufferListInfo(self.as_ptr(), from.as_ptr()) };
        for entry in [
            UdpSegmentationOffloadInfo,
            TcpSendOffloadsSupplementalNetBufferListInfo,
        ] {
            // SAFETY: (SND-10) not on NDIS's list; both lists are ours.
            unsafe { self.info(entry).write(from.info(entry).read()) };
        }
    }

    /// Says which bits of NDIS_NBL_FLAGS_xxx are set.
    pub fn set_flags(&mut self, flags: u32) {
        // SAFETY: (SND-3, RCV-7) the list is ours while it is borrowed.
        unsafe { (*self.as_ptr()).NblFlags = flags };
    }
}

impl Single<Derived> {
    /// Frees the list: the new bytes of the first `frames` frames, then the rest,
    /// with the flags that it was made with (NBL-4). Returns its parent.
    fn dissolve(mut self, splice: Splice, frames: usize, flags: u32) -> *mut NET_BUFFER_LIST {
        let mut parent = NonNull::new(self.parent()).map(List);
        if let Some(parent) = &mut parent {
            let (cut, front) = (u32::from(splice.cut), u32::from(splice.front));
            let both = parent.buffers().zip(self.buffers());
            for (frame, mut copy) in both.take(frames) {
                if frame.length() != 0 {
                    copy.advance(front, true); // NBL-7
                    copy.set_length(frame.length().saturating_sub(cut));
                }
            }
        }
        let raw = self.into_raw().as_ptr();
        // SAFETY: (SND-11) the clone is ours, and so is its parent.
        let parent = unsafe { (*raw).ParentNetBufferList };
        // SAFETY: (NBL-4) made by `clone` with the same flags, freed once.
        unsafe { NdisFreeCloneNetBufferList(raw, flags) };
        if !parent.is_null() {
            // SAFETY: (SND-11) ours again.
            unsafe { (*parent).ChildRefCount = (*parent).ChildRefCount.wrapping_sub(1) };
        }
        parent
    }

    /// Frees a list that [`List::with_header`] made.
    pub fn free(self, splice: Splice) {
        let _parent = self.dissolve(splice, usize::MAX, 0);
    }

    /// Goes on in place of its parent, which is kept until
    /// [`Single::into_parent`].
    pub fn instead_of<K>(self, parent: Single<K>) -> Single<K> {
        debug_assert!(self.parent() == parent.as_ptr());
        let _kept = parent.into_raw();
        // SAFETY: (SND-11) the clone is ours; it stands for its parent now.
        unsafe { Single::from_raw(self.into_raw()) }
    }
}

impl List {
    fn parent(&self) -> *mut NET_BUFFER_LIST {
        // SAFETY: (SND-11) the list is ours while it is borrowed.
        unsafe { (*self.as_ptr()).ParentNetBufferList }
    }
}

/// Who lists that go on in place of their parent are from.
pub trait Kind {}
impl Kind for FromAbove {}
impl Kind for FromBelow {}

impl<K: Kind> Single<K> {
    /// Frees a list that went on in place of its parent; the parent goes on.
    ///
    /// # Safety
    /// The list came from [`Single::instead_of`], and was made with this `splice`.
    pub unsafe fn into_parent(self, splice: Splice) -> Single<K> {
        // SAFETY: (SND-11) the caller's promise: it is a clone.
        let clone: Single<Derived> = unsafe { Single::from_raw(self.into_raw()) };
        let parent = clone.dissolve(splice, usize::MAX, 0);
        // SAFETY: (SND-11) `instead_of` kept the parent for this; a clone always
        // has one.
        unsafe { Single::from_raw(NonNull::new_unchecked(parent)) }
    }
}

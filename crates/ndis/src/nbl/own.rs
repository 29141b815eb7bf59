//! Lists of our own to send: frames that nobody above made, and further copies of
//! a list that goes more than one way.
//!
//! Both come from a pool that was made with the protocol driver's handle (NBL-3).
//! They come back through the send completion among everybody else's, and are told
//! from them by their pool ([`List::is_of`]).

use super::{FromAbove, List, Single};
use crate::header::header;
use crate::memory::Tag;
use crate::{Error, Result};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, Ordering};
use ndis_sys::{
    NDIS_HANDLE, NDIS_OBJECT_TYPE_DEFAULT, NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
    NDIS_STATUS, NDIS_STATUS_SUCCESS, NET_BUFFER_LIST, NET_BUFFER_LIST_POOL_PARAMETERS,
    NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1, NdisAllocateCloneNetBufferList,
    NdisAllocateNetBufferList, NdisAllocateNetBufferListPool, NdisFreeCloneNetBufferList,
    NdisFreeNetBufferList, NdisFreeNetBufferListPool,
};

/// A list of our own with memory of its own.
#[derive(Debug)]
pub enum Own {}

/// A further list over the frames of another one.
#[derive(Debug)]
pub enum Copy {}

/// Where lists of our own come from. Every list is freed before it (NBL-4).
#[derive(Debug)]
pub struct ListPool {
    handle: NDIS_HANDLE,
    data: u32,
}

// SAFETY: (NBL-1) NDIS synchronises what is done to a pool.
unsafe impl Send for ListPool {}
// SAFETY: (NBL-1) as above.
unsafe impl Sync for ListPool {}

impl ListPool {
    /// A pool for sends, of lists with one frame of up to `data` bytes, or of copies
    /// if that is zero. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Safety
    /// `protocol` is the protocol driver's handle, registered as long as the pool
    /// lives (NBL-3).
    pub unsafe fn for_sends(protocol: NDIS_HANDLE, tag: Tag, data: u32) -> Result<Self> {
        let parameters = NET_BUFFER_LIST_POOL_PARAMETERS {
            Header: header(
                NDIS_OBJECT_TYPE_DEFAULT,
                NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                usize::from(NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1),
            ),
            ProtocolId: 0, // NDIS_PROTOCOL_ID_DEFAULT
            fAllocateNetBuffer: 1,
            ContextSize: 0,
            PoolTag: tag.0,
            DataSize: data,
            Flags: 0,
        };
        // SAFETY: (NBL-2) complete parameters; the handle is the caller's promise.
        let handle = unsafe { NdisAllocateNetBufferListPool(protocol, &raw const parameters) };
        if handle.is_null() {
            return Err(Error::NoResources);
        }
        Ok(Self { handle, data })
    }

    /// A list with one frame without a byte. IRQL <= DISPATCH_LEVEL.
    pub fn make(&self) -> Result<Single<Own>> {
        // SAFETY: (NBL-1) a live pool; the context space comes later, if at all.
        let raw = unsafe { NdisAllocateNetBufferList(self.handle, 0, 0) };
        let raw = NonNull::new(raw).ok_or(Error::NoResources)?;
        // SAFETY: (NBL-1) just made, nobody else knows it.
        Ok(unsafe { Single::from_raw(raw) })
    }

    /// Bytes that a frame can have.
    pub fn frame_bytes(&self) -> u32 {
        self.data
    }
}

impl Drop for ListPool {
    fn drop(&mut self) {
        // SAFETY: (NBL-4) the owner has freed every list.
        unsafe { NdisFreeNetBufferListPool(self.handle) };
    }
}

impl List {
    /// Whether the list came from this pool.
    pub fn is_of(&self, pool: &ListPool) -> bool {
        self.pool() == pool.handle
    }

    /// The pool that the list came from.
    pub fn pool(&self) -> NDIS_HANDLE {
        // SAFETY: (SND-3, RCV-7) the list is ours while it is borrowed.
        unsafe { (*self.as_ptr()).NdisPoolHandle }
    }

    /// Its count of copies. Copies end on any processor.
    fn copies(&self) -> &AtomicI32 {
        // SAFETY: (SND-11) an aligned member of a list that is ours; while copies
        // are out it is reached through this only.
        unsafe { AtomicI32::from_ptr(&raw mut (*self.as_ptr()).ChildRefCount) }
    }
}

impl Single<Own> {
    /// Writes the frame. False: it is too long, or its memory cannot be reached.
    pub fn fill(&mut self, pool: &ListPool, bytes: &[u8]) -> bool {
        let list = self.as_ptr();
        // SAFETY: (SND-3, SND-14) ours; what an earlier use left beside the list is
        // forgotten, a cancel id above all. The frame begins where its memory does.
        unsafe {
            (*list).NetBufferListInfo = [core::ptr::null_mut(); 27];
            (*list).Status = NDIS_STATUS_SUCCESS;
            (*list).NblFlags = 0;
            let Some(buffer) = (*list).FirstNetBuffer.as_mut() else {
                return false;
            };
            if bytes.len() > pool.data as usize {
                return false;
            }
            buffer.CurrentMdl = buffer.MdlChain;
            buffer.CurrentMdlOffset = 0;
            buffer.DataOffset = 0;
            buffer.DataLength = bytes.len() as u32;
        }
        let Some(mut buffer) = self.sole_buffer() else {
            return false;
        };
        match buffer.front(bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    /// Goes down among the lists from above.
    pub fn outgoing(self) -> Single<FromAbove> {
        // SAFETY: (SND-3) ours, and this value stands for it from here on.
        unsafe { Single::from_raw(self.into_raw()) }
    }

    /// Gives it back to its pool.
    pub fn free(self) {
        let raw = self.into_raw().as_ptr();
        // SAFETY: (NBL-4) made by `make`, freed once; its frame goes with it.
        unsafe { NdisFreeNetBufferList(raw) };
    }
}

impl Single<FromAbove> {
    /// Takes a list of our own back, if it came from this pool.
    pub fn into_own(self, pool: &ListPool) -> core::result::Result<Single<Own>, Self> {
        if !self.is_of(pool) {
            return Err(self);
        }
        // SAFETY: (NBL-1) only `make` takes lists from a pool with data.
        Ok(unsafe { Single::from_raw(self.into_raw()) })
    }

    /// A further list over the frames of this one, which stays with us until
    /// [`Single::into_original`] gives it back (SND-11). IRQL <= DISPATCH_LEVEL.
    pub fn copy(&mut self, pool: &ListPool) -> Result<Single<Copy>> {
        // SAFETY: (NBL-4) the parent is ours and the pool one of ours for clones.
        let raw = unsafe {
            NdisAllocateCloneNetBufferList(self.as_ptr(), pool.handle, core::ptr::null_mut(), 0)
        };
        let raw = NonNull::new(raw).ok_or(Error::NoResources)?;
        // SAFETY: (SND-11) the clone is ours and names its parent.
        unsafe {
            (*raw.as_ptr()).ParentNetBufferList = self.as_ptr();
            (*raw.as_ptr()).NblFlags = self.flags();
        }
        // SAFETY: (NBL-4) just made, nobody else knows it.
        let mut made: Single<Copy> = unsafe { Single::from_raw(raw) };
        made.copy_send_info(self);
        self.copies().fetch_add(1, Ordering::Relaxed);
        Ok(made)
    }

    /// Waits for its copies: the last one's [`Single::into_original`] gives it back,
    /// with this status unless one of them succeeded.
    pub fn wait_for_copies(mut self, status: NDIS_STATUS) {
        debug_assert!(self.copies().load(Ordering::Relaxed) > 0);
        self.set_status(status);
        let _kept = self.into_raw();
    }
}

impl Single<Copy> {
    /// Goes down among the lists from above. Its original waits by then.
    pub fn outgoing(self) -> Single<FromAbove> {
        // SAFETY: (SND-3) ours, and this value stands for it from here on.
        unsafe { Single::from_raw(self.into_raw()) }
    }

    /// Frees it; the original, if it was the last one.
    ///
    /// # Safety
    /// The original waits for its copies.
    pub unsafe fn into_original(self) -> Option<Single<FromAbove>> {
        let status = self.status();
        let raw = self.into_raw().as_ptr();
        // SAFETY: (SND-11) the clone is ours and names its parent, which waits.
        let parent = NonNull::new(unsafe { (*raw).ParentNetBufferList });
        // SAFETY: (NBL-4) made by `copy`, without flags, freed once.
        unsafe { NdisFreeCloneNetBufferList(raw, 0) };
        give_back(parent?, status)
    }
}

/// Counts one copy of a list out.
fn give_back(parent: NonNull<NET_BUFFER_LIST>, status: NDIS_STATUS) -> Option<Single<FromAbove>> {
    if status == NDIS_STATUS_SUCCESS {
        // SAFETY: (SND-4) the parent waits for us; all that write here write the same.
        unsafe { AtomicI32::from_ptr((&raw mut (*parent.as_ptr()).Status).cast()) }
            .store(status.0, Ordering::Relaxed);
    }
    let last = List(parent).copies().fetch_sub(1, Ordering::AcqRel) == 1;
    // SAFETY: (SND-11) whoever counted the last copy out has the list to itself.
    last.then(|| unsafe { Single::from_raw(parent) })
}

impl Single<FromAbove> {
    /// Takes a copy that comes back, if it came from this pool.
    pub fn into_copy(self, pool: &ListPool) -> core::result::Result<Single<Copy>, Self> {
        if !self.is_of(pool) {
            return Err(self);
        }
        // SAFETY: (NBL-1) only `copy` takes lists from a pool without data.
        Ok(unsafe { Single::from_raw(self.into_raw()) })
    }
}

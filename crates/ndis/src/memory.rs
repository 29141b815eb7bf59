//! Nonpaged memory that may run out: boxes and arrays with a tag of their own.
//!
//! The global allocator of a driver knows no alignment above that of the pool
//! and ends in a bug check when an infallible call fails, so everything that
//! lives across callbacks or is aligned to cache lines comes from here
//! (MEM-1, MEM-2). Allocation and release: any thread, IRQL <= DISPATCH_LEVEL.

use crate::{Error, Result};
use core::fmt;
use core::marker::PhantomData;
use core::mem::{align_of, size_of};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use ndis_sys::{
    NDIS_HANDLE, NdisAllocateMemoryWithTagPriority, NdisFreeMemory, NormalPoolPriority, PVOID,
};

/// The alignment that pool memory has without any help on 64-bit systems
/// (`MEMORY_ALLOCATION_ALIGNMENT`).
pub const POOL_ALIGNMENT: usize = 16;

/// Bytes that never share a cache line with those of another processor. Two
/// lines, because processors fetch lines in pairs.
pub const CACHE_LINE: usize = 128;

/// A pool tag of the driver's own (MEM-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub u32);

impl Tag {
    /// The tag as it is read in a pool listing, first character first.
    pub const fn new(name: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(name))
    }
}

/// Where allocations come from: the NDIS handle they are charged to (MEM-1)
/// and the tag they carry.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// A driver or adapter handle that is valid as long as the memory.
    pub handle: NDIS_HANDLE,
    /// The tag.
    pub tag: Tag,
}

/// Room and place for `size` bytes at `align`: how much to ask for, so that an
/// aligned block with a pointer to the real start before it fits.
const fn padded(size: usize, align: usize) -> Option<u32> {
    let extra = if align > POOL_ALIGNMENT { align } else { 0 };
    match size.checked_add(extra) {
        Some(total) if total <= u32::MAX as usize && total > 0 => Some(total as u32),
        _ => None,
    }
}

/// A block, with the address that has to be given back.
struct Block {
    aligned: NonNull<u8>,
    start: NonNull<u8>,
}

fn allocate(pool: Pool, size: usize, align: usize) -> Result<Block> {
    let length = padded(size.max(1), align).ok_or(Error::NoResources)?;
    // SAFETY: (MEM-1) the handle is valid by `Pool`'s contract, the tag is ours.
    let start = unsafe {
        NdisAllocateMemoryWithTagPriority(pool.handle, length, pool.tag.0, NormalPoolPriority)
    };
    let start = NonNull::new(start.cast::<u8>()).ok_or(Error::NoResources)?; // MEM-2
    // `align` is a power of two, as every alignment of a type.
    let offset = start.as_ptr().addr().wrapping_neg() & align.wrapping_sub(1);
    if offset > length as usize - size {
        // Cannot be while the pool keeps its 16 bytes; give back and refuse.
        // SAFETY: (MEM-2) allocated above, given back once.
        unsafe { NdisFreeMemory(start.as_ptr().cast(), 0, 0) };
        return Err(Error::NoResources);
    }
    // SAFETY: (MEM-1) `offset + size` is within the `length` bytes just allocated.
    let aligned = unsafe { start.add(offset) };
    Ok(Block { aligned, start })
}

/// One value in nonpaged memory; it does not move until it is dropped.
pub struct PoolBox<T> {
    value: NonNull<T>,
    start: NonNull<u8>,
    owns: PhantomData<T>,
}

// SAFETY: (MEM-1) the box owns its value as `alloc::boxed::Box` does.
unsafe impl<T: Send> Send for PoolBox<T> {}
// SAFETY: (MEM-1) sharing the box shares the value only.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

impl<T> PoolBox<T> {
    /// Moves `value` into nonpaged memory. IRQL <= DISPATCH_LEVEL.
    pub fn try_new(pool: Pool, value: T) -> Result<Self> {
        let block = allocate(pool, size_of::<T>(), align_of::<T>())?;
        let place = block.aligned.cast::<T>();
        // SAFETY: (MEM-1) the block has size and alignment of `T` and no other user.
        unsafe { place.write(value) };
        Ok(Self {
            value: place,
            start: block.start,
            owns: PhantomData,
        })
    }

    /// Makes a value where it stays, for one that is too large for the kernel's
    /// stack. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Safety
    /// `fill` writes a complete value to the place that it is given.
    pub unsafe fn try_in_place(pool: Pool, fill: impl FnOnce(NonNull<T>)) -> Result<Self> {
        let block = allocate(pool, size_of::<T>(), align_of::<T>())?;
        let place = block.aligned.cast::<T>();
        fill(place);
        Ok(Self {
            value: place,
            start: block.start,
            owns: PhantomData,
        })
    }

    /// Gives the value into the care of a pointer, such as a context handle
    /// that NDIS keeps. [`PoolBox::from_raw`] takes it back.
    pub fn into_raw(self) -> *mut T {
        let raw = self.value.as_ptr();
        core::mem::forget(self);
        raw
    }

    /// Takes back what [`PoolBox::into_raw`] gave away.
    ///
    /// # Safety
    /// `raw` came from `into_raw` of a box whose type has no more than pool
    /// alignment, nobody uses it any more, and it is taken back once (MEM-2).
    pub unsafe fn from_raw(raw: NonNull<T>) -> Self {
        const { assert!(align_of::<T>() <= POOL_ALIGNMENT) };
        Self {
            value: raw,
            start: raw.cast(),
            owns: PhantomData,
        }
    }

    /// The address of the value.
    pub fn as_ptr(&self) -> *mut T {
        self.value.as_ptr()
    }
}

impl<T> Deref for PoolBox<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: (MEM-2) written in `try_new`, freed only in `drop`.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for PoolBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: (MEM-2) as in `deref`, and the box is borrowed mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for PoolBox<T> {
    fn drop(&mut self) {
        // SAFETY: (MEM-2) the value is live and nobody can use it afterwards;
        // `start` is what the allocation returned, flags are zero.
        unsafe {
            core::ptr::drop_in_place(self.value.as_ptr());
            NdisFreeMemory(self.start.as_ptr().cast(), 0, 0);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A fixed number of values in nonpaged memory, each at the alignment of `T`.
pub struct PoolArray<T> {
    first: NonNull<T>,
    length: usize,
    start: NonNull<u8>,
    owns: PhantomData<T>,
}

// SAFETY: (MEM-1) owns its values as a boxed slice does.
unsafe impl<T: Send> Send for PoolArray<T> {}
// SAFETY: (MEM-1) sharing the array shares the values only.
unsafe impl<T: Sync> Sync for PoolArray<T> {}

impl<T> PoolArray<T> {
    /// `length` values, each made by `make`. IRQL <= DISPATCH_LEVEL.
    pub fn try_with(pool: Pool, length: usize, mut make: impl FnMut(usize) -> T) -> Result<Self> {
        let bytes = size_of::<T>()
            .checked_mul(length)
            .ok_or(Error::NoResources)?;
        let block = allocate(pool, bytes, align_of::<T>())?;
        let first = block.aligned.cast::<T>();
        for index in 0..length {
            // SAFETY: (MEM-1) `index < length`, and the block holds `length` values.
            unsafe { first.add(index).write(make(index)) };
        }
        Ok(Self {
            first,
            length,
            start: block.start,
            owns: PhantomData,
        })
    }

    /// The values.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: (MEM-2) `length` values were written in `try_with`.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.length) }
    }

    /// The values, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: (MEM-2) as in `as_slice`, and the array is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.first.as_ptr(), self.length) }
    }
}

impl<T> Drop for PoolArray<T> {
    fn drop(&mut self) {
        // SAFETY: (MEM-2) all values are live; freed once, flags zero.
        unsafe {
            core::ptr::drop_in_place(core::ptr::slice_from_raw_parts_mut(
                self.first.as_ptr(),
                self.length,
            ));
            NdisFreeMemory(self.start.as_ptr().cast(), 0, 0);
        }
    }
}

impl<T> Deref for PoolArray<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// Frees memory that NDIS allocated for us (BND-16). IRQL <= DISPATCH_LEVEL.
///
/// # Safety
/// `memory` was returned by a function whose page says so, and is freed once.
pub unsafe fn free_ndis_memory(memory: PVOID) {
    // SAFETY: (MEM-2) the caller's promise; flags are zero.
    unsafe { NdisFreeMemory(memory, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_makes_room_for_the_alignment() {
        assert_eq!(padded(100, 8), Some(100));
        assert_eq!(padded(100, 16), Some(100));
        assert_eq!(padded(256, 128), Some(384));
        assert_eq!(padded(usize::MAX, 128), None);
        assert_eq!(padded(u32::MAX as usize + 1, 8), None);
    }

    #[test]
    fn tags_read_from_left_to_right() {
        assert_eq!(Tag::new(*b"PtLo").0.to_le_bytes(), *b"PtLo");
    }
}

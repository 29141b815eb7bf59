//! Misdeeds about counted references (BUG).

use core::ptr::null_mut;

use ndis_sys::*;

use crate::entry::associate;
use crate::raw::TAG;
use crate::table::misdeeds;

/// A tag that nothing is taken with.
const OTHER: u32 = u32::from_le_bytes(*b"Othr");
/// Any way of access.
const ALL: u32 = 0x001F_FFFF;
/// `sizeof(IO_REMOVE_LOCK)`.
const LOCK: usize = 32;

unsafe extern "efiapi" fn ends(_: PVOID) {}

/// A thread that ends at once, with a handle that keeps its object: `act` gets both.
fn with_thread(act: impl FnOnce(HANDLE)) {
    let mut handle = null_mut();
    // SAFETY: (IRQ-11) PASSIVE_LEVEL; the handle is written before it returns.
    let status = unsafe {
        PsCreateSystemThread(
            &raw mut handle,
            ALL,
            null_mut(),
            null_mut(),
            null_mut(),
            Some(ends),
            null_mut(),
        )
    };
    if status.0 == 0 {
        act(handle);
        // SAFETY: (IRQ-11) the driver's own handle, once.
        unsafe { ZwClose(handle) };
    }
}

/// A reference to the thread, with a tag; the thread is over.
fn referenced(handle: HANDLE, tag: u32) -> PVOID {
    let mut thread = null_mut();
    let (any, kernel) = (null_mut(), KernelMode.0 as KPROCESSOR_MODE);
    // SAFETY: (IRQ-11, UNL-4) PASSIVE_LEVEL; the handle is open; the reference keeps the object
    // while it is waited for.
    unsafe {
        ObReferenceObjectByHandleWithTag(
            handle,
            ALL,
            any,
            kernel,
            tag,
            &raw mut thread,
            null_mut(),
        );
        KeWaitForSingleObject(thread, Executive, kernel, 0, null_mut());
    }
    thread
}

misdeeds! {
    "BUG-2" "twice" in "load":
        "releases a reference to an object twice, while a handle still keeps the object" =>
        Associate(|| {
            with_thread(|handle| {
                let thread = referenced(handle, TAG);
                // SAFETY: (BUG-2) the second broken on purpose: the handle keeps the object.
                unsafe {
                    ObfDereferenceObjectWithTag(thread, TAG);
                    ObfDereferenceObjectWithTag(thread, TAG);
                }
            });
            associate();
        });
    "BUG-2" "other-tag" in "load": "releases a reference with another tag than it took it with" =>
        Associate(|| {
            with_thread(|handle| {
                let thread = referenced(handle, TAG);
                // SAFETY: (BUG-2) broken on purpose: what is released is the driver's, with
                // another tag.
                unsafe { ObfDereferenceObjectWithTag(thread, OTHER) };
            });
            associate();
        });
    "BUG-2" "untagged" in "load": "releases a reference without the tag that it took it with" =>
        Associate(|| {
            with_thread(|handle| {
                let thread = referenced(handle, TAG);
                // SAFETY: (BUG-2) broken on purpose: what is released is the driver's, without
                // its tag.
                unsafe { ObfDereferenceObject(thread) };
            });
            associate();
        });
    "BUG-2" "remove-lock" in "load":
        "releases a remove lock with another tag than it acquired it with" =>
        Associate(|| {
            let mut lock = [0_u64; LOCK / 8];
            let lock: PVOID = lock.as_mut_ptr().cast();
            let (tag, other) = (TAG as usize as PVOID, OTHER as usize as PVOID);
            // SAFETY: (BUG-2) the release broken on purpose: the lock lives in this frame, and
            // nobody else has it; the tags are numbers.
            unsafe {
                IoInitializeRemoveLockEx(lock, TAG, 0, 0, LOCK as u32);
                IoAcquireRemoveLockEx(lock, tag, null_mut(), 0, LOCK as u32);
                IoReleaseRemoveLockEx(lock, other, LOCK as u32);
            }
            associate();
        });
}

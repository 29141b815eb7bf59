//! Misdeeds about memory and objects (MEM).

use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;

use ndis_sys::*;

use super::tools::{free, memory, pool_parameters};
use crate::entry::{DRIVER, OBJECT};
use crate::miniport::{honest_initialize, honest_restart};
use crate::raw::TAG;
use crate::table::misdeeds;

misdeeds! {
    "MEM-1" "no-tag" in "bind"
    : "allocates memory without a tag" =>
        Restart(|lane, parameters| {
            // SAFETY: (MEM-1) broken on purpose: a tag of zero, the same for both.
            unsafe {
                let memory = NdisAllocateMemoryWithTagPriority(DRIVER.get(), 64, 0, NormalPoolPriority);
                NdisFreeMemoryWithTagPriority(DRIVER.get(), memory, 0);
            }
            honest_restart(lane, parameters)
        });

    "MEM-1" "no-handle" in "bind"
    : "allocates memory with a handle that is none" =>
        Restart(|lane, parameters| {
            // SAFETY: (MEM-1) broken on purpose: no handle; freed with one.
            unsafe {
                let memory = NdisAllocateMemoryWithTagPriority(null_mut(), 64, TAG, NormalPoolPriority);
                NdisFreeMemoryWithTagPriority(DRIVER.get(), memory, TAG);
            }
            honest_restart(lane, parameters)
        });

    "MEM-2" "freed-twice" in "bind"
    : "frees memory twice" =>
        Restart(|lane, parameters| {
            let memory = memory(64);
            free(memory);
            free(memory);
            honest_restart(lane, parameters)
        });

    "MEM-2" "used-after-free" in "bind"
    : "writes into memory that it has freed" =>
        Restart(|lane, parameters| {
            let memory = memory(64);
            free(memory);
            // SAFETY: (MEM-2) broken on purpose: the memory is freed; the host stops the write.
            unsafe { memory.write_volatile(1) };
            honest_restart(lane, parameters)
        });

    "MEM-2" "flags" in "bind"
    : "frees memory with flags" =>
        Restart(|lane, parameters| {
            let memory = memory(64);
            // SAFETY: (MEM-2) broken on purpose: the driver's own memory, with flags that it was
            // not allocated with.
            unsafe { NdisFreeMemory(memory.cast(), 64, 1) };
            honest_restart(lane, parameters)
        });

    "MEM-3" "null" in "bind"
    : "writes through a null pointer" =>
        Restart(|lane, parameters| {
            let at = core::hint::black_box(null_mut::<u8>());
            // SAFETY: (MEM-3) broken on purpose: the host stops the write.
            unsafe { at.write_volatile(1) };
            honest_restart(lane, parameters)
        });

    "MEM-4" "dependent" in "bind"
    : "frees a generic object before the pool that was made with it" =>
        Restart(|lane, parameters| {
            let mut p = pool_parameters();
            // SAFETY: (MEM-4) broken on purpose: the driver's object and the pool's parameters
            // live longer; the order is wrong.
            unsafe {
                let object = NdisAllocateGenericObject(OBJECT.load(SeqCst), TAG, 64);
                let pool = NdisAllocateNetBufferListPool(object.cast(), &raw mut p);
                NdisFreeGenericObject(object);
                NdisFreeNetBufferListPool(pool);
            }
            honest_restart(lane, parameters)
        });

    "MEM-5" "work-item-left" in "bind"
    : "leaves a work item that it allocated when it was initialised" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            // SAFETY: (MEM-5) broken on purpose: the handle that the handler was given; the item
            // is forgotten.
            unsafe { NdisAllocateIoWorkItem(handle) };
            status
        });

    "MEM-6" "of-a-binding" in "bind"
    : "allocates a work item with a binding's handle" =>
        Restart(|lane, parameters| {
            // SAFETY: (MEM-6) broken on purpose: a binding's handle, which makes no work items.
            unsafe { NdisFreeIoWorkItem(NdisAllocateIoWorkItem(lane.binding())) };
            honest_restart(lane, parameters)
        });
}

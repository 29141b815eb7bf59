//! What only a kernel image has; the same as in other drivers.

use wdk_alloc::WdkAllocator;
// The crate's panic handler is all that is wanted of it.
use wdk_panic as _;
use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING};

/// Not used: misdeeds take their memory from NDIS. The kit's crates ask for one.
#[global_allocator]
static ALLOCATOR: WdkAllocator = WdkAllocator;

/// The one absolute address that an image must have to be moved.
static RELOCATED: extern "system" fn(*mut DRIVER_OBJECT, PCUNICODE_STRING) -> NTSTATUS =
    driver_entry;

/// DriverEntry (DE-1). IRQL = PASSIVE_LEVEL.
// SAFETY: the kernel looks the entry point up by this name (DE-1); no other symbol has it.
#[unsafe(export_name = "DriverEntry")]
extern "system" fn driver_entry(
    driver: *mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    core::hint::black_box(&RELOCATED);
    crate::entry::start(driver.cast(), registry_path.cast_mut().cast())
}

//! What only a kernel image has; as in passthrough.

use crate::misdeeds::Broken;
use im_core::Topology;
use wdk_alloc::WdkAllocator;
// The crate's panic handler is all that is wanted of it.
use wdk_panic as _;
use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING};

#[global_allocator]
static ALLOCATOR: WdkAllocator = WdkAllocator;

/// DriverEntry (DE-1). IRQL = PASSIVE_LEVEL.
// SAFETY: the kernel looks the entry point up by this name (DE-1); no other
// symbol has it.
#[unsafe(export_name = "DriverEntry")]
extern "system" fn driver_entry(
    driver: *mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    wdk::println!("broken: misdeed {}", crate::misdeeds::chosen());
    // SAFETY: (DE-3) the kernel's own arguments, passed on as they are.
    let status = unsafe { Broken::driver().start(driver.cast(), registry_path.cast_mut().cast()) };
    status.0
}

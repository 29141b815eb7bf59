//! What only a kernel image has. Compiled for Windows targets alone.

use crate::topology::Passthrough;
use im_core::{Notice, Topology};
use wdk_alloc::WdkAllocator;
// The crate's panic handler is all that is wanted of it.
use wdk_panic as _;
use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING};

/// Serves fallible collections only (`try_reserve`); what lives longer than a
/// call comes from `ndis::memory`.
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
    // SAFETY: (DE-3) the kernel's own arguments, passed on as they are.
    let status =
        unsafe { Passthrough::driver().start(driver.cast(), registry_path.cast_mut().cast()) };
    status.0
}

/// Shows a notice in the debugger. IRQL = PASSIVE_LEVEL.
pub fn say(notice: Notice) {
    match notice {
        Notice::Loaded(major, minor) => {
            wdk::println!("passthrough: loaded, NDIS {major}.{minor}");
        }
        Notice::NotLoaded(status) => wdk::println!("passthrough: not loaded: {status:#x}"),
        Notice::Unloaded(lost) => wdk::println!("passthrough: unloaded, {lost} chains lost"),
        Notice::Bound(index) => wdk::println!("passthrough: interface {index} bound"),
        Notice::NotBound(status) => wdk::println!("passthrough: bind failed: {status:#x}"),
        Notice::Unbound(index) => wdk::println!("passthrough: interface {index} unbound"),
        _ => {}
    }
}

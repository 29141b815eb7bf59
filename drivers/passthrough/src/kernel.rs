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

/// The one absolute address of the image. Position-independent code needs none, and
/// loaders take an image without any relocation for one that cannot be moved.
static RELOCATED: extern "system" fn(*mut DRIVER_OBJECT, PCUNICODE_STRING) -> NTSTATUS =
    driver_entry;

/// DriverEntry (DE-1). IRQL = PASSIVE_LEVEL.
// SAFETY: the kernel looks the entry point up by this name (DE-1); no other
// symbol has it.
#[unsafe(export_name = "DriverEntry")]
extern "system" fn driver_entry(
    driver: *mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    wdk::paged_code!();
    core::hint::black_box(&RELOCATED);
    // SAFETY: (DE-3) the kernel's own arguments, passed on as they are.
    let status =
        unsafe { Passthrough::driver().start(driver.cast(), registry_path.cast_mut().cast()) };
    status.0
}

/// Prints a line with numbers of 32 bits to the debugger. `DbgPrint` does the
/// formatting: Rust's would bring panics into the image that nothing reaches and the
/// optimiser cannot remove.
macro_rules! print {
    ($format:literal $(, $value:expr)*) => {
        // SAFETY: the format ends with NUL and names as many 32-bit values as follow it;
        // notices come at PASSIVE_LEVEL, where DbgPrint may be called.
        unsafe { wdk_sys::ntddk::DbgPrint($format.as_ptr().cast() $(, $value)*) }
    };
}

/// Shows a notice in the debugger. IRQL = PASSIVE_LEVEL.
pub fn say(notice: Notice) {
    let _characters = match notice {
        Notice::Loaded(major, minor) => print!(
            c"passthrough: loaded, NDIS %u.%u\n",
            u32::from(major),
            u32::from(minor)
        ),
        Notice::NotLoaded(status) => print!(c"passthrough: not loaded: 0x%x\n", status),
        Notice::Unloaded(lost) => {
            print!(c"passthrough: unloaded, %u chains lost\n", lost as u32)
        }
        Notice::Bound(index) => print!(c"passthrough: interface %u bound\n", index),
        Notice::NotBound(status) => print!(c"passthrough: bind failed: 0x%x\n", status),
        Notice::Unbound(index) => print!(c"passthrough: interface %u unbound\n", index),
        _ => 0,
    };
}

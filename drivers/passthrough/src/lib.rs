//! The transparent intermediate driver.

#![cfg_attr(windows, no_std)]

#[cfg(windows)]
mod kernel {
    use wdk_alloc::WdkAllocator;
    // The crate's panic handler is all that is wanted of it.
    use wdk_panic as _;
    use wdk_sys::{NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, STATUS_SUCCESS};

    #[global_allocator]
    static ALLOCATOR: WdkAllocator = WdkAllocator;

    /// Entry point. IRQL: PASSIVE_LEVEL.
    // SAFETY: the kernel looks the entry point up by this name; no other symbol has it.
    #[unsafe(export_name = "DriverEntry")]
    extern "system" fn driver_entry(
        _driver: PDRIVER_OBJECT,
        _registry_path: PCUNICODE_STRING,
    ) -> NTSTATUS {
        wdk::println!("passthrough: loaded");
        STATUS_SUCCESS
    }
}

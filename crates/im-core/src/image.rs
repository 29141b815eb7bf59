//! What only a kernel image has: entry point, global allocator, panic handler,
//! debug output. The same in every driver, so a macro makes it.

/// Makes a kernel image of a topology: `im_core::kernel_image!(Mux, "mux");` in a
/// module that is compiled for Windows targets alone. The second argument begins
/// each line of debug output.
///
/// The driver's crate depends on Microsoft's `wdk`, `wdk-alloc`, `wdk-panic` and
/// `wdk-sys` itself: their features and link settings are the image's.
///
/// In the module there is then `say`, which the topology's `notice` calls.
#[macro_export]
macro_rules! kernel_image {
    ($topology:ty, $name:literal) => {
        // The crate's panic handler is all that is wanted of it.
        use ::wdk_panic as _;

        /// Serves fallible collections only (`try_reserve`); what lives longer than
        /// a call comes from `ndis::memory`, but for what topologies keep.
        #[global_allocator]
        static ALLOCATOR: ::wdk_alloc::WdkAllocator = ::wdk_alloc::WdkAllocator;

        /// The one absolute address of the image. Position-independent code needs
        /// none, and loaders take an image without any relocation for one that
        /// cannot be moved.
        static RELOCATED: extern "system" fn(
            *mut ::wdk_sys::DRIVER_OBJECT,
            ::wdk_sys::PCUNICODE_STRING,
        ) -> ::wdk_sys::NTSTATUS = driver_entry;

        /// DriverEntry (DE-1). IRQL = PASSIVE_LEVEL.
        // SAFETY: the kernel looks the entry point up by this name (DE-1); no other
        // symbol has it.
        #[unsafe(export_name = "DriverEntry")]
        extern "system" fn driver_entry(
            driver: *mut ::wdk_sys::DRIVER_OBJECT,
            registry_path: ::wdk_sys::PCUNICODE_STRING,
        ) -> ::wdk_sys::NTSTATUS {
            ::wdk::paged_code!();
            ::core::hint::black_box(&RELOCATED);
            let topology = <$topology as $crate::Topology>::driver();
            // SAFETY: (DE-3) the kernel's own arguments, passed on as they are.
            let status = unsafe { topology.start(driver.cast(), registry_path.cast_mut().cast()) };
            status.0
        }

        /// Shows a notice in the debugger. IRQL = PASSIVE_LEVEL.
        pub fn say(notice: $crate::Notice) {
            // `DbgPrint` does the formatting: Rust's would bring panics into the
            // image that nothing reaches and the optimiser cannot remove.
            // SAFETY: every format ends with NUL and names as many 32-bit values as
            // follow it; notices come at PASSIVE_LEVEL, where DbgPrint may be called.
            let _characters = unsafe {
                use ::wdk_sys::ntddk::DbgPrint;
                match notice {
                    $crate::Notice::Loaded(major, minor) => DbgPrint(
                        $crate::debug_line!($name, "loaded, NDIS %u.%u"),
                        u32::from(major),
                        u32::from(minor),
                    ),
                    $crate::Notice::NotLoaded(status) => {
                        DbgPrint($crate::debug_line!($name, "not loaded: 0x%x"), status)
                    }
                    $crate::Notice::Unloaded(lost) => DbgPrint(
                        $crate::debug_line!($name, "unloaded, %u chains lost"),
                        lost as u32,
                    ),
                    $crate::Notice::Bound(index) => {
                        DbgPrint($crate::debug_line!($name, "interface %u bound"), index)
                    }
                    $crate::Notice::NotBound(status) => {
                        DbgPrint($crate::debug_line!($name, "bind failed: 0x%x"), status)
                    }
                    $crate::Notice::Unbound(index) => {
                        DbgPrint($crate::debug_line!($name, "interface %u unbound"), index)
                    }
                    _ => 0,
                }
            };
        }
    };
}

/// A line of debug output as C has it, for [`kernel_image!`].
#[doc(hidden)]
#[macro_export]
macro_rules! debug_line {
    ($name:literal, $text:literal) => {
        concat!($name, ": ", $text, "\n\0").as_ptr().cast()
    };
}

//! Functions that are looked up by name.

use crate::api::api;

api! { exports:
    /// Address of a kernel function by name, or null.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn MmGetSystemRoutineAddress(host, name: u64) -> u64 {
        let name = host.get_string(name, "SystemRoutineName");
        host.stub("ntoskrnl.exe", &name).unwrap_or(0)
    }
}

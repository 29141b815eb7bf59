//! Bug checks.

use crate::api::api;
use crate::report::CrashKind;

api! { exports:
    /// Stops the system.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeBugCheckEx(host, code: u32, p1: u64, p2: u64, p3: u64, p4: u64) {
        host.stop(
            CrashKind::BugCheck { code, parameters: [p1, p2, p3, p4] },
            &format!("the driver called KeBugCheckEx({code:#x}, {p1:#x}, {p2:#x}, {p3:#x}, {p4:#x})"),
        );
    }
}

//! The I/O manager's part that a control device needs.

use crate::api::api;

/// How an IRP ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IrpResult {
    /// `IoStatus.Status`.
    pub(crate) status: i32,
    /// `IoStatus.Information`.
    pub(crate) information: u64,
}

const IRP_IO_STATUS: u64 = std::mem::offset_of!(ndis_sys::IRP, IoStatus) as u64;

api! { exports:
    /// Completes an IRP.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IofCompleteRequest(host, irp: u64, _boost: i8) {
        let status: i32 = host.get(irp + IRP_IO_STATUS, "Irp");
        let information: u64 = host.get(irp + IRP_IO_STATUS + 8, "Irp");
        let (again, waiter) = {
            let mut nt = host.nt.lock().expect("nt");
            let before = nt.completed.insert(irp, IrpResult { status, information });
            (before.is_some(), nt.irp_waiters.get(&irp).copied())
        };
        if let Some(task) = waiter {
            host.engine().wake(task);
        }
        if again {
            host.fatal("HOST-IRP", &format!("the IRP at {irp:#x} is completed twice"));
        }
    }

    /// Address of a kernel function by name, or null.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn MmGetSystemRoutineAddress(host, name: u64) -> u64 {
        let name = host.get_string(name, "SystemRoutineName");
        host.stub("ntoskrnl.exe", &name).unwrap_or(0)
    }
}

//! Processes: the system's own, and that of a program that talks to the driver.

use super::object::{ObjectKind, STATUS_INVALID_PARAMETER};
use super::variables::object_type;
use crate::api::api;
use crate::host::Host;

/// Number of the system process.
pub(super) const SYSTEM: u64 = 4;
/// Number of the program that opens devices.
pub(super) const PROGRAM: u64 = 0x1A4;
const PROCESS_SIZE: u64 = 0x100;

/// Address of the process that the caller runs in.
pub(super) fn current(host: &Host) -> u64 {
    if number(host) == PROGRAM {
        program(host)
    } else {
        object_type(&host.arena, "PsInitialSystemProcess")
    }
}

/// Number of the process that the caller runs in.
pub(super) fn number(host: &Host) -> u64 {
    let me = host.local().id;
    if host.nt.lock().expect("nt").programs.contains(&me) {
        PROGRAM
    } else {
        SYSTEM
    }
}

/// The program's process object.
fn program(host: &Host) -> u64 {
    let known = host.objects(|o| {
        let mut all = o.all.iter();
        all.find(|(_, v)| v.kind == ObjectKind::Process)
            .map(|(&at, _)| at)
    });
    known.unwrap_or_else(|| {
        let at = host.allocate(PROCESS_SIZE, u32::from_le_bytes(*b"Proc"), "process object");
        host.objects(|o| o.insert(at, ObjectKind::Process, "", true));
        at
    })
}

impl Host {
    /// Runs `f` in the context of a program's process, as a dispatch routine is called.
    pub(super) fn as_program<R>(&self, f: impl FnOnce() -> R) -> R {
        let me = self.local().id;
        let fresh = self.nt.lock().expect("nt").programs.insert(me);
        let result = f();
        if fresh {
            self.nt.lock().expect("nt").programs.remove(&me);
        }
        result
    }

    /// Tells the routines that the driver registered that a program starts or ends.
    pub fn notify_process(&self, starts: bool) {
        let routines = self.nt.lock().expect("nt").process_routines.clone();
        for routine in routines {
            let args = [SYSTEM, PROGRAM, u64::from(starts)];
            self.call("PCREATE_PROCESS_NOTIFY_ROUTINE", 0, routine, &args);
        }
    }
}

api! { exports:
    /// Number of the process that the caller runs in.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn PsGetCurrentProcessId(host) -> u64 {
        number(host)
    }

    /// Address of the process that the caller runs in.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoGetCurrentProcess(host) -> u64 {
        current(host)
    }

    /// Address of the process that the caller runs in.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn PsGetCurrentProcess(host) -> u64 {
        current(host)
    }

    /// Number of a process.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn PsGetProcessId(host, process: u64) -> u64 {
        if process == object_type(&host.arena, "PsInitialSystemProcess") { SYSTEM } else { PROGRAM }
    }

    /// A counted pointer to the process of a number.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn PsLookupProcessByProcessId(host, number: u64, out: u64) -> i32 {
        let process = match number {
            SYSTEM => object_type(&host.arena, "PsInitialSystemProcess"),
            PROGRAM => program(host),
            _ => return 0xC000_000B_u32 as i32,
        };
        host.give_reference(process, super::reference::DEFAULT);
        host.put(out, process, "Process");
        0
    }

    /// Calls a routine when a process starts or ends, or no longer.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn PsSetCreateProcessNotifyRoutine(host, routine: u64, remove: u8) -> i32 {
        if remove == 0 && host.fails("PsSetCreateProcessNotifyRoutine") {
            return STATUS_INVALID_PARAMETER;
        }
        let mut nt = host.nt.lock().expect("nt");
        let known = nt.process_routines.iter().position(|&r| r == routine);
        match (remove != 0, known) {
            (false, None) => nt.process_routines.push(routine),
            (true, Some(at)) => {
                nt.process_routines.remove(at);
            }
            (false, Some(_)) => return STATUS_INVALID_PARAMETER,
            (true, None) => return 0xC000_007A_u32 as i32,
        }
        0
    }

    /// Enters the address space of a process; here all share one.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn KeStackAttachProcess(host, process: u64, state: u64) {
        host.put(state, [0_u64, 0, 0, 0, process, 0], "ApcState");
    }

    /// Leaves it.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn KeUnstackDetachProcess(host, state: u64) {
        let _: u64 = host.get(state, "ApcState");
    }

    /// Whether the program that sent an IRP has 32 bits.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoIs32bitProcess(host, irp: u64) -> u8 {
        if irp != 0 {
            let _: u16 = host.get(irp, "Irp");
        }
        0
    }

    /// Whether a thread is one of the system's.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn PsIsSystemThread(host, _thread: u64) -> u8 {
        u8::from(number(host) == SYSTEM)
    }

    /// The mode that the running thread was in before.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ExGetPreviousMode(host) -> u8 {
        u8::from(number(host) == PROGRAM)
    }
}

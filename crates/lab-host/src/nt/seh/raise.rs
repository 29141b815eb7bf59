//! Functions that raise an exception in their caller.
//!
//! Their import stubs go through [`saving_entry`], which keeps the caller's registers on the
//! stack, between the caller's frame and the function's: from there the search begins. None of
//! them takes more than four arguments, so that nothing of the caller's stack is looked for in
//! the wrong place.

use std::arch::naked_asm;

use super::context::Context;
use super::{
    NONCONTINUABLE, Record, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT, dispatch,
    unhandled,
};
use crate::api::{Api, api};
use crate::host::Host;

/// Functions with that kind of stub.
const RAISING: [&str; 17] = [
    "ExAllocatePool2",
    "ExAllocatePool3",
    "ExAllocatePoolWithQuotaTag",
    "ExAllocatePoolWithTag",
    "ExAllocatePoolWithTagPriority",
    "ExRaiseAccessViolation",
    "ExRaiseDatatypeMisalignment",
    "ExRaiseStatus",
    "KeReleaseMutex",
    "KeReleaseSemaphore",
    "MmProbeAndLockPages",
    "ObCloseHandle",
    "ProbeForRead",
    "ProbeForWrite",
    "RtlRaiseException",
    "RtlRaiseStatus",
    "ZwClose",
];

/// Whether a function's stub saves the caller's registers.
pub(crate) fn is_raising(name: &str) -> bool {
    RAISING.contains(&name)
}

const MARK: [u64; 2] = [0x5EED_CA11_E25A_7ED1, 0xA6A6_1DE5_5EED_0000];
/// Bytes that are looked through for saved registers: the function's own frames.
const REACH: u64 = 64 << 10;

/// What the entry leaves on the stack.
#[derive(Clone, Copy)]
#[repr(C)]
struct Saved {
    mark: [u64; 2],
    rbx: u64,
    rbp: u64,
    rsi: u64,
    rdi: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    /// Just above the return address.
    rsp: u64,
    rip: u64,
    xmm: [u128; 10],
}

const _: () = assert!(size_of::<Saved>() == 256);

/// Keeps what a caller expects to find again, then calls the function in `r11`.
#[unsafe(naked)]
pub(crate) extern "win64" fn saving_entry() {
    naked_asm!(
        // 256 bytes of registers, 32 for the function, 8 to align.
        "sub rsp, 296",
        "mov rax, {mark0}",
        "mov [rsp + 32], rax",
        "mov rax, {mark1}",
        "mov [rsp + 40], rax",
        "mov [rsp + 48], rbx",
        "mov [rsp + 56], rbp",
        "mov [rsp + 64], rsi",
        "mov [rsp + 72], rdi",
        "mov [rsp + 80], r12",
        "mov [rsp + 88], r13",
        "mov [rsp + 96], r14",
        "mov [rsp + 104], r15",
        "lea rax, [rsp + 304]",
        "mov [rsp + 112], rax",
        "mov rax, [rsp + 296]",
        "mov [rsp + 120], rax",
        "movups [rsp + 128], xmm6",
        "movups [rsp + 144], xmm7",
        "movups [rsp + 160], xmm8",
        "movups [rsp + 176], xmm9",
        "movups [rsp + 192], xmm10",
        "movups [rsp + 208], xmm11",
        "movups [rsp + 224], xmm12",
        "movups [rsp + 240], xmm13",
        "movups [rsp + 256], xmm14",
        "movups [rsp + 272], xmm15",
        "call r11",
        // No stale mark stays where a later frame might lie.
        "mov qword ptr [rsp + 32], 0",
        "add rsp, 296",
        "ret",
        mark0 = const MARK[0],
        mark1 = const MARK[1],
    )
}

/// The caller's registers, looked for upward from `from`.
fn saved(host: &Host, from: u64) -> Option<Context> {
    let mut at = from.next_multiple_of(8);
    let found = loop {
        if at >= from + REACH {
            return None;
        }
        if host.arena.read::<[u64; 2]>(at).ok()? == MARK {
            break host.arena.read::<Saved>(at).ok()?;
        }
        at += 8;
    };
    let mut context = Context::new();
    context.rbx = found.rbx;
    context.rbp = found.rbp;
    context.rsi = found.rsi;
    context.rdi = found.rdi;
    context.r12 = found.r12;
    context.r13 = found.r13;
    context.r14 = found.r14;
    context.r15 = found.r15;
    context.rsp = found.rsp;
    context.rip = found.rip;
    context.xmm[6..].copy_from_slice(&found.xmm);
    context.eflags = 0x202;
    Some(context)
}

impl Host {
    /// Raises an exception in the driver, at its call of the import that is being carried out.
    pub(crate) fn raise(&self, status: i32) -> ! {
        self.raise_with(status, &[])
    }

    /// As [`Host::raise`], with parameters.
    pub(crate) fn raise_with(&self, status: i32, parameters: &[u64]) -> ! {
        let record = Record::new(status, 0, parameters);
        self.raise_record(record)
    }

    fn raise_record(&self, mut record: Record) -> ! {
        let (name, rsp) = self
            .local()
            .frames
            .borrow()
            .last()
            .map_or(("the host", 0), |f| (f.name, f.rsp));
        let Some(mut context) = saved(self, rsp) else {
            self.fatal("HOST-SEH", &format!("{name} raises {:#010x}", record.code));
        };
        record.flags |= NONCONTINUABLE;
        if record.address == 0 {
            record.address = context.rip;
        }
        // The import is over: what handles the exception calls others.
        self.local().frames.borrow_mut().pop();
        // The return address belongs to the instruction after the call, which may lie in the next
        // scope already.
        context.rip -= 1;
        dispatch(self, &mut record, &mut context);
        context.rip += 1;
        unhandled(self, &record, &context)
    }
}

api! { raising:
    /// Raises an exception with a status.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExRaiseStatus(host, status: i32) {
        host.raise(status)
    }

    /// Raises an exception with a status.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn RtlRaiseStatus(host, status: i32) {
        host.raise(status)
    }

    /// Raises STATUS_ACCESS_VIOLATION.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExRaiseAccessViolation(host) {
        host.raise(STATUS_ACCESS_VIOLATION)
    }

    /// Raises STATUS_DATATYPE_MISALIGNMENT.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn ExRaiseDatatypeMisalignment(host) {
        host.raise(STATUS_DATATYPE_MISALIGNMENT)
    }

    /// Raises an exception that the caller describes.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn RtlRaiseException(host, record: u64) {
        let record: Record = host.get(record, "ExceptionRecord");
        host.raise_record(record)
    }
}

/// The functions that do nothing but raise.
pub(super) fn exports() -> Vec<Api> {
    raising()
}

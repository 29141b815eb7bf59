//! Cancel-safe queues: the driver keeps the queue, these keep it free of races with
//! cancellation.

use super::irp::{at, location};
use super::sync;
use super::variables::cancel_lock;
use crate::api::api;
use crate::host::Host;
use crate::vp::DISPATCH;

// IO_CSQ.
const INSERT: u64 = 8;
const REMOVE: u64 = 16;
const PEEK: u64 = 24;
const ACQUIRE: u64 = 32;
const RELEASE: u64 = 40;
const COMPLETE: u64 = 48;
const TYPE_CSQ: u32 = 2;
const TYPE_CSQ_EX: u32 = 3;
const TYPE_CONTEXT: u32 = 1;
/// `DriverContext[3]` of an IRP in a queue leads to the queue or to the caller's context.
const BACK: u64 = at::DRIVER_CONTEXT + 24;
// IO_CSQ_IRP_CONTEXT.
const CONTEXT_IRP: u64 = 8;
const CONTEXT_CSQ: u64 = 16;
const CANCELLED: i32 = 0xC000_0120_u32 as i32;

fn function(host: &Host, csq: u64, which: u64) -> u64 {
    host.get(csq + which, "Csq")
}

/// Calls the queue's own functions between its own lock.
fn locked<R>(host: &Host, csq: u64, f: impl FnOnce() -> R) -> R {
    let slot = host.allocate(8, u32::from_le_bytes(*b"Csq "), "Irql");
    let before = host.vp().irql();
    let acquire = function(host, csq, ACQUIRE);
    raised(host, "CSQ_ACQUIRE_LOCK", csq, acquire, &[csq, slot]);
    let result = f();
    let irql: u8 = host.get(slot, "Irql");
    let release = function(host, csq, RELEASE);
    raised(
        host,
        "CSQ_RELEASE_LOCK",
        csq,
        release,
        &[csq, u64::from(irql)],
    );
    if host.vp().irql() != before {
        host.violate(
            "IRQ-24",
            "CsqReleaseLock left another IRQL than CsqAcquireLock found".into(),
        );
        host.vp().set_irql(before);
    }
    host.release(slot);
    result
}

/// Calls a function that changes the IRQL and holds a lock when it returns, or the reverse.
fn raised(host: &Host, name: &'static str, csq: u64, target: u64, args: &[u64]) {
    let mut after = 0;
    let mut kept = Vec::new();
    let before = host.vp().irql();
    host.call_by(name, csq, target, args, |target, args| {
        // SAFETY: `call_by` checked that the target is the driver's code; both take two.
        let f: extern "win64" fn(u64, u64) = unsafe { std::mem::transmute(target as usize) };
        f(args[0], args[1]);
        after = host.vp().irql();
        host.vp().set_irql(before);
        kept = std::mem::take(&mut *host.local().locks.borrow_mut());
        0
    });
    *host.local().locks.borrow_mut() = kept;
    host.vp().set_irql(after);
}

fn insert(host: &Host, csq: u64, irp: u64, context: u64, extra: Option<u64>) -> i32 {
    host.put(irp + BACK, if context == 0 { csq } else { context }, "Irp");
    if context != 0 {
        host.put(context, TYPE_CONTEXT, "Context");
        host.put(context + CONTEXT_IRP, [irp, csq], "Context");
    }
    let (status, cancelled) = locked(host, csq, || {
        let routine = function(host, csq, INSERT);
        let status = match extra {
            None => {
                mark_pending(host, irp);
                host.call("CSQ_INSERT_IRP", csq, routine, &[csq, irp]);
                0
            }
            Some(extra) => {
                mark_pending(host, irp);
                host.call("CSQ_INSERT_IRP_EX", csq, routine, &[csq, irp, extra]) as u32 as i32
            }
        };
        if status < 0 {
            host.put(irp + BACK, 0_u64, "Irp");
            return (status, false);
        }
        let stub = host
            .stub("ntoskrnl.exe", "IopCsqCancelRoutine")
            .unwrap_or(0);
        host.put(irp + at::CANCEL_ROUTINE, stub, "Irp");
        // Cancelled before it had the routine: nobody else will do it.
        let cancel: u8 = host.get(irp + at::CANCEL, "Irp");
        let mine = cancel != 0 && take_routine(host, irp);
        if mine {
            let routine = function(host, csq, REMOVE);
            host.call("CSQ_REMOVE_IRP", csq, routine, &[csq, irp]);
            unlink(host, irp);
        }
        (status, mine)
    });
    if cancelled {
        let routine = function(host, csq, COMPLETE);
        host.call("CSQ_COMPLETE_CANCELED_IRP", csq, routine, &[csq, irp]);
    }
    status
}

fn mark_pending(host: &Host, irp: u64) {
    let stack: u64 = host.get(irp + at::STACK, "Irp");
    let control: u8 = host.get(stack + location::CONTROL, "IO_STACK_LOCATION");
    host.put(stack + location::CONTROL, control | 1, "IO_STACK_LOCATION");
}

/// Takes the cancel routine away; whether it was there.
fn take_routine(host: &Host, irp: u64) -> bool {
    let routine: u64 = host.get(irp + at::CANCEL_ROUTINE, "Irp");
    host.put(irp + at::CANCEL_ROUTINE, 0_u64, "Irp");
    routine != 0
}

fn unlink(host: &Host, irp: u64) {
    let back: u64 = host.get(irp + BACK, "Irp");
    if back != 0 && host.get::<u32>(back, "Context") == TYPE_CONTEXT {
        host.put(back + CONTEXT_IRP, 0_u64, "Context");
    }
    host.put(irp + BACK, 0_u64, "Irp");
}

fn initialize(host: &Host, csq: u64, kind: u32, functions: [u64; 6]) -> i32 {
    host.put(csq, u64::from(kind), "Csq");
    host.put(csq + INSERT, functions, "Csq");
    host.put(csq + 56, 0_u64, "Csq");
    0
}

api! { exports:
    /// Makes a queue of the driver's functions.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoCsqInitialize(host, csq: u64, insert: u64, remove: u64, peek: u64, acquire: u64,
        release: u64, complete: u64) -> i32 {
        initialize(host, csq, TYPE_CSQ, [insert, remove, peek, acquire, release, complete])
    }

    /// The same with an insertion that can fail.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoCsqInitializeEx(host, csq: u64, insert: u64, remove: u64, peek: u64, acquire: u64,
        release: u64, complete: u64) -> i32 {
        initialize(host, csq, TYPE_CSQ_EX, [insert, remove, peek, acquire, release, complete])
    }

    /// Marks an IRP pending and puts it into the queue.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoCsqInsertIrp(host, csq: u64, irp: u64, context: u64) {
        let extra = (host.get::<u32>(csq, "Csq") == TYPE_CSQ_EX).then_some(0);
        insert(host, csq, irp, context, extra);
    }

    /// The same with a parameter and a result.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoCsqInsertIrpEx(host, csq: u64, irp: u64, context: u64, extra: u64) -> i32 {
        let extra = (host.get::<u32>(csq, "Csq") == TYPE_CSQ_EX).then_some(extra);
        insert(host, csq, irp, context, extra)
    }

    /// Takes the next IRP that matches and is not being cancelled, or null.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoCsqRemoveNextIrp(host, csq: u64, peek_context: u64) -> u64 {
        locked(host, csq, || {
            let peek = function(host, csq, PEEK);
            let mut irp = 0;
            loop {
                irp = host.call("CSQ_PEEK_NEXT_IRP", csq, peek, &[csq, irp, peek_context]);
                if irp == 0 {
                    return 0;
                }
                if take_routine(host, irp) {
                    break;
                }
            }
            let remove = function(host, csq, REMOVE);
            host.call("CSQ_REMOVE_IRP", csq, remove, &[csq, irp]);
            unlink(host, irp);
            irp
        })
    }

    /// Takes the IRP of a context, or null if it is gone.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoCsqRemoveIrp(host, csq: u64, context: u64) -> u64 {
        locked(host, csq, || {
            let irp: u64 = host.get(context + CONTEXT_IRP, "Context");
            if irp == 0 || !take_routine(host, irp) {
                return 0;
            }
            let remove = function(host, csq, REMOVE);
            host.call("CSQ_REMOVE_IRP", csq, remove, &[csq, irp]);
            unlink(host, irp);
            irp
        })
    }

    /// The cancel routine of IRPs in a queue.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn IopCsqCancelRoutine(host, _device: u64, irp: u64) {
        let irql: u8 = host.get(irp + at::CANCEL_IRQL, "Irp");
        sync::release(host, cancel_lock(&host.arena), false, Some(irql));
        host.vp().set_irql(irql.min(DISPATCH));
        let back: u64 = host.get(irp + BACK, "Irp");
        let csq = if host.get::<u32>(back, "Context") == TYPE_CONTEXT {
            host.get(back + CONTEXT_CSQ, "Context")
        } else {
            back
        };
        locked(host, csq, || {
            let remove = function(host, csq, REMOVE);
            host.call("CSQ_REMOVE_IRP", csq, remove, &[csq, irp]);
            unlink(host, irp);
        });
        host.put(irp + at::STATUS, CANCELLED, "Irp");
        let complete = function(host, csq, COMPLETE);
        host.call("CSQ_COMPLETE_CANCELED_IRP", csq, complete, &[csq, irp]);
    }
}

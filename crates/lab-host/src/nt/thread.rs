//! System threads of the driver.

use std::arch::naked_asm;

use super::object::{ObjectKind, STATUS_INSUFFICIENT_RESOURCES};
use super::wait::{SIGNAL, current_thread, kind, put_header, signal};
use crate::api::api;
use crate::engine::Job;
use crate::host::Host;

/// Bytes of a `KTHREAD` that drivers have no business in.
const THREAD_SIZE: u64 = 0x600;
const STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32 as i32;

/// Registers of the host's function that a thread began in.
#[repr(C)]
#[derive(Default)]
pub(super) struct Way {
    rsp: u64,
}

/// Calls a thread's routine, so that [`back`] can come back here out of any depth.
#[unsafe(naked)]
unsafe extern "sysv64" fn out(_way: *mut Way, _routine: u64, _context: u64) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 40",
        "mov [rdi], rsp",
        "mov rcx, rdx",
        "call rsi",
        "add rsp, 40",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Comes back from [`out`].
#[unsafe(naked)]
unsafe extern "sysv64" fn back(_way: *const Way) -> ! {
    naked_asm!(
        "mov rsp, [rdi]",
        "add rsp, 40",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// What a thread of the driver runs in.
fn run(host: &Host, thread: u64, routine: u64, context: u64) {
    let local = host.local();
    local.thread.set(thread);
    host.vp().set_thread(thread);
    let mut way = Way::default();
    let me = local.id;
    host.nt
        .lock()
        .expect("nt")
        .threads
        .insert(me, (&raw mut way as u64, thread));
    host.call_by(
        "PKSTART_ROUTINE",
        thread,
        routine,
        &[context],
        |target, args| {
            // SAFETY: `call_by` checked that the target is the driver's code; it takes one argument.
            // The frames that `back` leaves behind are the driver's, and the host's for its last
            // import, which own nothing.
            unsafe { out(&raw mut way, target, args[0]) };
            0
        },
    );
    host.nt.lock().expect("nt").threads.remove(&me);
    let regions = host.nt.lock().expect("nt").regions.remove(&me);
    if let Some([critical, guarded]) = regions {
        host.violate(
            "IRQ-24",
            format!(
                "a system thread ends inside {critical} critical and {guarded} guarded regions"
            ),
        );
    }
    signal(host, thread, |arena| {
        let _ = arena.write(thread + SIGNAL, 1_i32);
        ((), true)
    });
    host.drop_reference(thread);
}

api! { exports:
    /// Starts a thread; the handle is the caller's to close.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn PsCreateSystemThread(host, out: u64, _access: u32, _attributes: u64, _process: u64,
        client: u64, routine: u64, context: u64) -> i32 {
        if host.fails("PsCreateSystemThread") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let thread = host.allocate(THREAD_SIZE, u32::from_le_bytes(*b"Thre"), "thread object");
        put_header(host, thread, kind::THREAD, 6, 0, "Thread");
        let handle = host.objects(|o| {
            o.insert(thread, ObjectKind::Thread, "", true);
            o.open(thread)
        });
        host.put(out, handle, "ThreadHandle");
        let id = host.spawn(Job::thread("system thread", move |host| run(host, thread, routine, context)));
        if client != 0 {
            // CLIENT_ID: process and thread.
            host.put(client, [super::process::SYSTEM, 4 * id], "ClientId");
        }
        0
    }

    /// Ends the calling thread, which `PsCreateSystemThread` made.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn PsTerminateSystemThread(host, _status: i32) -> i32 {
        let me = host.local().id;
        let found = host.nt.lock().expect("nt").threads.get(&me).copied();
        let Some((way, _)) = found else {
            return STATUS_INVALID_PARAMETER;
        };
        // The open calls of the thread end here.
        host.local().frames.borrow_mut().pop();
        // SAFETY: the record lies on the stack of the thread's first function, which is open.
        unsafe { back(way as *const Way) }
    }

    /// Address of the running thread.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeGetCurrentThread(host) -> u64 {
        current_thread(host)
    }

    /// Address of the running thread.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn PsGetCurrentThread(host) -> u64 {
        current_thread(host)
    }

    /// Number of the running thread.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn PsGetCurrentThreadId(host) -> u64 {
        4 * host.local().id
    }

    /// Number of a thread.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn PsGetThreadId(host, thread: u64) -> u64 {
        let nt = host.nt.lock().expect("nt");
        nt.threads.iter().find(|(_, t)| t.1 == thread).map_or(4 * host.local().id, |(id, _)| 4 * id)
    }

    /// Sets a thread's priority; the seed decides who runs. The one before is the result.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn KeSetPriorityThread(host, thread: u64, priority: i32) -> i32 {
        let mut nt = host.nt.lock().expect("nt");
        nt.priorities.insert(thread, priority).unwrap_or(8)
    }

    /// Priority of a thread.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn KeQueryPriorityThread(host, thread: u64) -> i32 {
        host.nt.lock().expect("nt").priorities.get(&thread).copied().unwrap_or(8)
    }

    /// Lets others run.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwYieldExecution(host) -> i32 {
        host.sleep(1);
        0
    }

    /// Ties the thread to processors; on this host a thread goes where the seed says.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn KeSetSystemGroupAffinityThread(host, affinity: u64, before: u64) {
        let _: [u64; 2] = host.get(affinity, "Affinity");
        if before != 0 {
            let all = 1_u64.checked_shl(host.processors()).map_or(u64::MAX, |m| m - 1);
            host.put(before, [all, 0], "PreviousAffinity");
        }
    }

    /// Undoes it.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn KeRevertToUserGroupAffinityThread(host, before: u64) {
        let _: [u64; 2] = host.get(before, "PreviousAffinity");
    }
}

//! Stopping a task between two instructions of the driver.
//!
//! A signal handler cannot switch coroutines: it would take its own frame along. So it writes
//! the address at which the driver goes on below the driver's stack pointer and returns to
//! [`trampoline`]; Windows code keeps nothing there. The trampoline saves every register, with
//! flags and vectors, calls the host on the task's own stack, where switching is what it is in
//! any host call, and goes on as if nothing had been. A driver that is executed step by step is
//! not so in between: the trap flag is among the flags that come back at the end.

use std::arch::naked_asm;

use crate::vp::Vp;

/// Bytes for `xsave` with x87, SSE and AVX: 512 for the first two, 64 for the header, 256.
const VECTORS: usize = 832;
/// RFLAGS: stop after each instruction.
const TRAP_FLAG: i64 = 1 << 8;

/// Whether the processor can save its vectors in one instruction.
pub(crate) fn is_possible() -> bool {
    std::arch::is_x86_feature_detected!("xsave")
}

/// Sends the interrupted driver code through the trampoline; it goes on at `next`. Its flags lie
/// 16 bytes below its stack pointer until then.
///
/// # Safety
/// `context` is that of a signal that interrupted driver code on a stack of the arena, with at
/// least 4 KiB left below its stack pointer.
pub(crate) unsafe fn divert(context: &mut libc::mcontext_t, next: u64) {
    let rsp = (context.gregs[libc::REG_RSP as usize] as u64).wrapping_sub(8);
    let flags = context.gregs[libc::REG_EFL as usize];
    let rsp = rsp.wrapping_sub(8);
    // SAFETY: the caller says that this is the task's stack.
    unsafe { (rsp as *mut [u64; 2]).write_unaligned([flags as u64, next]) };
    context.gregs[libc::REG_EFL as usize] = flags & !TRAP_FLAG;
    context.gregs[libc::REG_RSP as usize] = rsp as i64;
    context.gregs[libc::REG_RIP as usize] = trampoline as *const () as i64;
}

/// See the module's text. Entered with the flags on top of the stack, and the address to go on
/// at behind them.
#[unsafe(naked)]
unsafe extern "C" fn trampoline() {
    naked_asm!(
        "cld",
        "push rax",
        "push rcx",
        "push rdx",
        "push rbx",
        "push rbp",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov rbx, rsp",
        "sub rsp, {vectors}",
        "and rsp, -64",
        // The header must be zero before the first use.
        "xor eax, eax",
        "mov ecx, 8",
        "lea rdi, [rsp + 512]",
        "rep stosq",
        "mov eax, 7",
        "xor edx, edx",
        "xsave64 [rsp]",
        "call {preempted}",
        "mov eax, 7",
        "xor edx, edx",
        "xrstor64 [rsp]",
        "mov rsp, rbx",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rbp",
        "pop rbx",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "popfq",
        "ret",
        vectors = const VECTORS,
        preempted = sym preempted,
    )
}

/// On the task's own stack, between two instructions of the driver.
extern "C" fn preempted() {
    Vp::current().host().preempted();
}

//! `CONTEXT` of x64: the registers of a thread at a point in driver code.

use std::arch::naked_asm;

/// `CONTEXT_FULL` with the floating point part.
const FULL: u32 = 0x0010_000B;

/// `CONTEXT`, as exception filters see it.
#[derive(Clone)]
#[repr(C, align(16))]
pub(crate) struct Context {
    home: [u64; 6],
    pub(crate) flags: u32,
    pub(crate) mxcsr: u32,
    segments: [u16; 6],
    pub(crate) eflags: u32,
    debug: [u64; 6],
    pub(crate) rax: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rbx: u64,
    pub(crate) rsp: u64,
    pub(crate) rbp: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    pub(crate) r8: u64,
    pub(crate) r9: u64,
    pub(crate) r10: u64,
    pub(crate) r11: u64,
    pub(crate) r12: u64,
    pub(crate) r13: u64,
    pub(crate) r14: u64,
    pub(crate) r15: u64,
    pub(crate) rip: u64,
    float: [u8; 0xA0],
    pub(crate) xmm: [u128; 16],
    float_rest: [u8; 0x60],
    vector: [u8; 0x1A0],
    vector_control: u64,
    debug_control: [u64; 5],
}

const _: () = assert!(size_of::<Context>() == 0x4D0);
const _: () = assert!(std::mem::offset_of!(Context, rax) == 0x78);
const _: () = assert!(std::mem::offset_of!(Context, rip) == 0xF8);
const _: () = assert!(std::mem::offset_of!(Context, xmm) == 0x1A0);

impl Context {
    /// All registers zero.
    pub(crate) fn new() -> Self {
        // SAFETY: integers only; zero is a value of each.
        let mut context: Self = unsafe { std::mem::zeroed() };
        context.flags = FULL;
        context.mxcsr = 0x1F80;
        context
    }

    /// What a signal interrupted.
    pub(crate) fn of_signal(from: &libc::ucontext_t) -> Self {
        let mut context = Self::new();
        let gregs = &from.uc_mcontext.gregs;
        let get = |index: i32| gregs[index as usize] as u64;
        for (to, index) in context.registers().into_iter().zip(SIGNAL_ORDER) {
            *to = get(index);
        }
        context.rip = get(libc::REG_RIP);
        context.eflags = get(libc::REG_EFL) as u32;
        // SAFETY: the kernel saves the floating point state with every signal of this process;
        // the pointer lives as long as the signal's context.
        if let Some(float) = unsafe { from.uc_mcontext.fpregs.as_ref() } {
            context.mxcsr = float.mxcsr;
            for (to, from) in context.xmm.iter_mut().zip(&float._xmm) {
                let e = from.element.map(u128::from);
                *to = e[0] | e[1] << 32 | e[2] << 64 | e[3] << 96;
            }
        }
        context
    }

    /// The general registers in the order of their numbers.
    pub(super) fn registers(&mut self) -> [&mut u64; 16] {
        [
            &mut self.rax,
            &mut self.rcx,
            &mut self.rdx,
            &mut self.rbx,
            &mut self.rsp,
            &mut self.rbp,
            &mut self.rsi,
            &mut self.rdi,
            &mut self.r8,
            &mut self.r9,
            &mut self.r10,
            &mut self.r11,
            &mut self.r12,
            &mut self.r13,
            &mut self.r14,
            &mut self.r15,
        ]
    }

    /// The thread goes on with these registers.
    pub(crate) fn resume(&self) -> ! {
        // SAFETY: the context is that of a frame of the driver on the calling thread's own stack,
        // above every frame of the host that is left behind; those have nothing to drop.
        unsafe { restore(self) }
    }
}

/// Indices of the general registers in a signal's context, in the order of their numbers.
pub(crate) const SIGNAL_ORDER: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Loads every register out of a context. Flags and instruction pointer go over the new
/// stack, just below the stack pointer, where nothing lives in this calling convention. The
/// context may itself lie there: it is read before that is written, but for what `rcx` points to
/// last, so it must not overlap the 32 bytes below the new stack pointer.
#[unsafe(naked)]
unsafe extern "sysv64" fn restore(_: *const Context) -> ! {
    naked_asm!(
        "ldmxcsr [rdi + 0x34]",
        "movups xmm0, [rdi + 0x1A0]",
        "movups xmm1, [rdi + 0x1B0]",
        "movups xmm2, [rdi + 0x1C0]",
        "movups xmm3, [rdi + 0x1D0]",
        "movups xmm4, [rdi + 0x1E0]",
        "movups xmm5, [rdi + 0x1F0]",
        "movups xmm6, [rdi + 0x200]",
        "movups xmm7, [rdi + 0x210]",
        "movups xmm8, [rdi + 0x220]",
        "movups xmm9, [rdi + 0x230]",
        "movups xmm10, [rdi + 0x240]",
        "movups xmm11, [rdi + 0x250]",
        "movups xmm12, [rdi + 0x260]",
        "movups xmm13, [rdi + 0x270]",
        "movups xmm14, [rdi + 0x280]",
        "movups xmm15, [rdi + 0x290]",
        "mov rax, [rdi + 0x78]",
        "mov rdx, [rdi + 0x88]",
        "mov rbx, [rdi + 0x90]",
        "mov rbp, [rdi + 0xA0]",
        "mov rsi, [rdi + 0xA8]",
        "mov r8, [rdi + 0xB8]",
        "mov r9, [rdi + 0xC0]",
        "mov r10, [rdi + 0xC8]",
        "mov r11, [rdi + 0xD0]",
        "mov r12, [rdi + 0xD8]",
        "mov r13, [rdi + 0xE0]",
        "mov r14, [rdi + 0xE8]",
        "mov r15, [rdi + 0xF0]",
        // The rest is stored below the new stack pointer: rip, flags, rdi, rcx upward from the
        // lowest, popped in that order.
        "mov rcx, [rdi + 0x98]",
        "sub rcx, 32",
        "push qword ptr [rdi + 0xF8]",
        "push qword ptr [rdi + 0x80]",
        "push qword ptr [rdi + 0xB0]",
        "mov edi, [rdi + 0x44]",
        "push rdi",
        // flags, rdi, rcx, rip
        "pop qword ptr [rcx]",
        "pop qword ptr [rcx + 8]",
        "pop qword ptr [rcx + 16]",
        "pop qword ptr [rcx + 24]",
        "mov rsp, rcx",
        "popfq",
        "pop rdi",
        "pop rcx",
        "ret",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the code under test leaves in its registers.
    #[unsafe(naked)]
    extern "sysv64" fn landing() {
        naked_asm!(
            "mov rax, rbx",
            "add rax, r15",
            "add rax, rcx",
            "mov rsp, rbp",
            "pop r15",
            "pop rbx",
            "pop rbp",
            "ret"
        )
    }

    /// Calls `restore` with the caller's stack noted in `rbp` of the context.
    #[unsafe(naked)]
    extern "sysv64" fn leap(_: *mut Context) -> u64 {
        naked_asm!(
            "push rbp", "push rbx", "push r15",
            "mov [rdi + 0xA0], rsp",
            "mov [rdi + 0xD8], r12",
            "mov [rdi + 0xE0], r13",
            "mov [rdi + 0xE8], r14",
            "lea rax, [rsp - 256]",
            "mov [rdi + 0x98], rax",
            "jmp {restore}",
            restore = sym restore
        )
    }

    #[test]
    fn every_register_comes_out_of_the_context() {
        let mut context = Context::new();
        context.rip = landing as *const () as u64;
        context.rbx = 1000;
        context.r15 = 200;
        context.rcx = 34;
        context.eflags = 0x202;
        assert_eq!(leap(&raw mut context), 1234);
    }
}

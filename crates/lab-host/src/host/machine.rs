//! What an image is told that asks the machine: time stamps from virtual time, random numbers
//! from the seed, and a processor that is the same on every machine.

use super::Host;
use crate::code::Special;
use crate::nt::seh::context::SIGNAL_ORDER;
use crate::vp::Vp;

/// Cycles of the time stamp counter in a nanosecond.
const CYCLES: u64 = 3;
/// Carry, parity, adjust, zero, sign and overflow.
const STATUS_FLAGS: i64 = 0x8D5;
const CARRY: i64 = 1;

impl Host {
    /// Does what the instruction would do, but for going on to the next.
    ///
    /// Runs in a signal handler, on the thread that was in driver code.
    pub(super) fn answer(
        &self,
        context: &mut libc::mcontext_t,
        what: Special,
        register: u8,
        size: u8,
    ) {
        self.engine.tick();
        let mut set = |register: i32, value: u64| context.gregs[register as usize] = value as i64;
        match what {
            Special::Rdtsc | Special::Rdtscp => {
                let cycles = self.engine.now().wrapping_mul(CYCLES);
                set(libc::REG_RAX, cycles & 0xFFFF_FFFF);
                set(libc::REG_RDX, cycles >> 32);
                if what == Special::Rdtscp {
                    set(libc::REG_RCX, u64::from(Vp::current().index));
                }
            }
            Special::Rdrand | Special::Rdseed => {
                let value = self.engine.random(u64::MAX);
                let to = SIGNAL_ORDER[usize::from(register & 15)] as usize;
                let old = context.gregs[to] as u64;
                context.gregs[to] = match size {
                    2 => (old & !0xFFFF) | (value & 0xFFFF),
                    4 => value & 0xFFFF_FFFF,
                    _ => value,
                } as i64;
                let flags = &mut context.gregs[libc::REG_EFL as usize];
                *flags = (*flags & !STATUS_FLAGS) | CARRY;
            }
            Special::Cpuid => {
                let leaf = context.gregs[libc::REG_RAX as usize] as u32;
                let [a, b, c, d] = cpuid(leaf, Vp::current().index);
                let mut set = |register: i32, value: u32| {
                    context.gregs[register as usize] = i64::from(value);
                };
                set(libc::REG_RAX, a);
                set(libc::REG_RBX, b);
                set(libc::REG_RCX, c);
                set(libc::REG_RDX, d);
            }
            _ => {}
        }
    }
}

/// A processor with what every x64 version of Windows 10 asks for, and no more: an image that
/// looks for more must do without it on any machine.
fn cpuid(leaf: u32, processor: u32) -> [u32; 4] {
    // SSE3, CX16.
    const ECX: u32 = 1 | 1 << 13;
    // FPU, TSC, MSR, PAE, CX8, APIC, SEP, PGE, CMOV, MMX, FXSR, SSE, SSE2.
    const EDX: u32 = 1
        | 1 << 4
        | 1 << 5
        | 1 << 6
        | 1 << 8
        | 1 << 9
        | 1 << 11
        | 1 << 13
        | 1 << 15
        | 1 << 23
        | 1 << 24
        | 1 << 25
        | 1 << 26;
    let word = |text: &[u8; 4]| u32::from_le_bytes(*text);
    match leaf {
        0 => [1, word(b"Virt"), word(b"CPU "), word(b"ual ")],
        1 => [0x0006_0F00, processor << 24 | 8 << 8, ECX, EDX],
        0x8000_0000 => [0x8000_0001, 0, 0, 0],
        // LAHF; SYSCALL, NX, RDTSCP, long mode.
        0x8000_0001 => [0, 0, 1, 1 << 11 | 1 << 20 | 1 << 27 | 1 << 29],
        _ => [0; 4],
    }
}

//! Faults of driver code that are none on Windows, and those that are exceptions.
//!
//! Instructions that a kernel driver may execute and a process may not are carried out here:
//! `mov` to and from `cr8` (the IRQL), reads of `KUSER_SHARED_DATA`, `int 29h`. Other faults
//! become structured exceptions where Windows makes exceptions of them.
//!
//! [`Host::faulted`] runs in a signal handler, on the thread that faulted. That thread was in
//! driver code, so it holds no lock of the host. Nothing is searched for there: the thread is
//! sent to a function of the host on its own stack, with its registers saved above it.

use std::collections::BTreeMap;

use iced_x86::{Code, Decoder, DecoderOptions, Encoder, Instruction, MemorySize, OpKind, Register};

use super::Host;
use crate::arena::{PAGE, Protection, SCRATCH_SIZE};
use crate::nt::seh::context::{Context, SIGNAL_ORDER};
use crate::nt::seh::{
    self, Record, STATUS_ACCESS_VIOLATION, STATUS_ASSERTION_FAILURE, STATUS_BREAKPOINT,
    STATUS_ILLEGAL_INSTRUCTION, STATUS_INTEGER_DIVIDE_BY_ZERO,
};
use crate::report::{CrashKind, Event, StackSnapshot};
use crate::vp::{DISPATCH, HIGH};

/// Where Windows maps `KUSER_SHARED_DATA` for the kernel.
const SHARED_DATA: u64 = 0xFFFF_F780_0000_0000;
/// First address that no user process has: a touch at or above it is no exception.
const USER_END: u64 = 0x0000_8000_0000_0000;
/// Bytes of an instruction carried out elsewhere, with the jump back.
const SLOT: u64 = 32;
/// Bytes that the search for a handler needs of the driver's stack.
const SEARCH_STACK: u64 = 32 << 10;
/// Direction, trap and alignment flags, which code of the host must not have.
const FOREIGN_FLAGS: i64 = 0x400 | 0x100 | 0x4_0000;
/// `si_code` of a fault without an address.
const SI_KERNEL: i32 = 0x80;
const ERROR_WRITE: u64 = 2;
const ERROR_FETCH: u64 = 16;
const STATUS_PRIVILEGED_INSTRUCTION: i32 = 0xC000_0096_u32 as i32;
const KERNEL_SECURITY_CHECK_FAILURE: u32 = 0x139;

/// Instructions that were carried out elsewhere: where they stand and what they read, and
/// where their copy is.
#[derive(Default)]
pub(super) struct Emulation {
    copies: BTreeMap<(u64, u64), u64>,
}

/// What a thread that faulted is to do.
#[repr(C)]
struct Landing {
    context: Context,
    record: Record,
    /// `int 29h`: the code in `ecx`.
    fast_fail: Option<u32>,
    /// The fault repeats when the instruction does: an exception that nothing handles is
    /// reported as that fault.
    repeats: bool,
}

impl Host {
    /// Opens the pages that emulation needs.
    pub(super) fn prepare_emulation(&self) -> std::io::Result<()> {
        let arena = &self.arena;
        arena.protect(arena.shared_data(), PAGE, Protection::Read)?;
        arena.protect(arena.scratch(), SCRATCH_SIZE, Protection::ReadExecute)
    }

    /// A signal stopped the calling thread in driver code: true when it goes on where
    /// `context` says.
    pub fn faulted(
        &self,
        signal: i32,
        info: &libc::siginfo_t,
        context: &mut libc::ucontext_t,
    ) -> bool {
        let gregs = &mut context.uc_mcontext.gregs;
        let rip = self.original_place(gregs[libc::REG_RIP as usize] as u64);
        gregs[libc::REG_RIP as usize] = rip as i64;
        let rsp = gregs[libc::REG_RSP as usize] as u64;
        let raw = crate::nt::raw_code().contains(&rip);
        // Somewhere else than in driver code, or without a stack of a task.
        if self.arena.stack_of(rsp).is_none() || !(raw || self.in_driver(rip)) {
            return false;
        }
        // SAFETY: the kernel fills in the address for these signals; it is 0 without one.
        let address = unsafe { info.si_addr() } as u64;
        match signal {
            libc::SIGSEGV => self.segment(rip, address, info.si_code, raw, context),
            libc::SIGFPE => self.land(rip, STATUS_INTEGER_DIVIDE_BY_ZERO, &[], context),
            libc::SIGILL => self.land(rip, STATUS_ILLEGAL_INSTRUCTION, &[], context),
            // The processor has gone past the breakpoint.
            libc::SIGTRAP if self.byte(rip - 1) == 0xCC => {
                context.uc_mcontext.gregs[libc::REG_RIP as usize] = (rip - 1) as i64;
                let lands = self.land(rip - 1, STATUS_BREAKPOINT, &[0], context);
                if !lands {
                    context.uc_mcontext.gregs[libc::REG_RIP as usize] = rip as i64;
                }
                lands
            }
            _ => false,
        }
    }

    fn in_driver(&self, rip: u64) -> bool {
        self.image_at(rip).is_some_and(|image| image.is_code(rip))
    }

    fn byte(&self, at: u64) -> u8 {
        self.arena.read(at).unwrap_or(0)
    }

    fn instruction(&self, rip: u64, raw: bool) -> Option<Instruction> {
        let mut bytes = [0_u8; 15];
        if raw {
            // SAFETY: code of this process; its readable section is longer than the functions.
            unsafe { std::ptr::copy_nonoverlapping(rip as *const u8, bytes.as_mut_ptr(), 15) };
        } else {
            // As it is in the file: a breakpoint may stand over it.
            let image = self.image_at(rip)?;
            let from = image.pristine().get((rip - image.base) as usize..)?;
            let n = from.len().min(15);
            bytes[..n].copy_from_slice(&from[..n]);
        }
        let mut decoder = Decoder::with_ip(64, &bytes, rip, DecoderOptions::NONE);
        let instruction = decoder.decode();
        (!instruction.is_invalid()).then_some(instruction)
    }

    fn segment(
        &self,
        rip: u64,
        address: u64,
        code: i32,
        raw: bool,
        context: &mut libc::ucontext_t,
    ) -> bool {
        let Some(instruction) = self.instruction(rip, raw) else {
            return false;
        };
        let gregs = &mut context.uc_mcontext.gregs;
        let error = gregs[libc::REG_ERR as usize] as u64;
        if code == SI_KERNEL {
            return match instruction.code() {
                Code::Int_imm8 if instruction.immediate8() == 0x29 => {
                    let why = gregs[libc::REG_RCX as usize] as u32;
                    self.send(context, Record::new(0, rip, &[]), Some(why), false)
                }
                Code::Int_imm8 if instruction.immediate8() == 0x2C => self.send(
                    context,
                    Record::new(STATUS_ASSERTION_FAILURE, rip, &[]),
                    None,
                    false,
                ),
                Code::Mov_r64_cr | Code::Mov_cr_r64 => self.move_cr8(&instruction, context),
                Code::Hlt
                | Code::Cli
                | Code::Sti
                | Code::Rdmsr
                | Code::Wrmsr
                | Code::Invd
                | Code::Wbinvd
                | Code::Swapgs => self.land(rip, STATUS_PRIVILEGED_INSTRUCTION, &[], context),
                // An address that no page can have.
                _ if instruction.memory_size() != MemorySize::Unknown => {
                    self.land(rip, STATUS_ACCESS_VIOLATION, &[0, u64::MAX], context)
                }
                _ => false,
            };
        }
        if (SHARED_DATA..SHARED_DATA + PAGE).contains(&address) {
            return error & ERROR_WRITE == 0 && self.read_shared(&instruction, address, context);
        }
        if raw {
            // Nobody knows the function's own code; the touch is its caller's.
            let [ip, sp] = [libc::REG_RIP as usize, libc::REG_RSP as usize];
            if let Ok(back) = self.arena.read::<u64>(gregs[sp] as u64) {
                gregs[ip] = back as i64;
                gregs[sp] += 8;
            }
        }
        if address >= USER_END || self.arena.contains(address) {
            return false;
        }
        let kind = match error {
            e if e & ERROR_FETCH != 0 => 8,
            e if e & ERROR_WRITE != 0 => 1,
            _ => 0,
        };
        let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64;
        if raw {
            // The call is over: it does not repeat from where it returns to.
            let record = Record::new(STATUS_ACCESS_VIOLATION, rip, &[kind, address]);
            return self.vp().irql() < DISPATCH
                && self.handles(context, rip)
                && self.send(context, record, None, false);
        }
        self.vp().irql() < DISPATCH
            && self.land(rip, STATUS_ACCESS_VIOLATION, &[kind, address], context)
    }

    /// `mov` between a register and `cr8`.
    fn move_cr8(&self, instruction: &Instruction, context: &mut libc::ucontext_t) -> bool {
        let gregs = &mut context.uc_mcontext.gregs;
        let writes = instruction.op0_register() == Register::CR8;
        let general = if writes {
            instruction.op1_register()
        } else if instruction.op1_register() == Register::CR8 {
            instruction.op0_register()
        } else {
            return false;
        };
        let Some(&index) = SIGNAL_ORDER.get(general.number()) else {
            return false;
        };
        let register = &mut gregs[index as usize];
        if writes {
            let Some(irql) = u8::try_from(*register).ok().filter(|&i| i <= HIGH) else {
                return false;
            };
            self.note(
                crate::report::CallKind::Import,
                "mov cr8",
                &[u64::from(irql)],
            );
            self.vp().set_irql(irql);
        } else {
            *register = i64::from(self.vp().irql());
        }
        gregs[libc::REG_RIP as usize] += instruction.len() as i64;
        true
    }

    /// A read of `KUSER_SHARED_DATA`: the instruction is carried out on a page of the arena.
    fn read_shared(
        &self,
        instruction: &Instruction,
        address: u64,
        context: &mut libc::ucontext_t,
    ) -> bool {
        let explicit =
            (0..instruction.op_count()).any(|i| instruction.op_kind(i) == OpKind::Memory);
        if !explicit {
            return false;
        }
        self.engine.tick();
        crate::nt::write_shared_data(self);
        let key = (instruction.ip(), address);
        let mut emulation = self.emulation.lock().expect("emulation");
        let known = emulation.copies.get(&key).copied();
        let copy = if let Some(copy) = known {
            copy
        } else {
            let at = SLOT * emulation.copies.len() as u64;
            if at + SLOT > SCRATCH_SIZE {
                return false;
            }
            let at = self.arena.scratch() + at;
            let mut moved = *instruction;
            moved.set_memory_base(Register::RIP);
            moved.set_memory_index(Register::None);
            moved.set_memory_index_scale(1);
            moved.set_memory_displ_size(8);
            moved.set_memory_displacement64(self.arena.shared_data() + (address - SHARED_DATA));
            let mut encoder = Encoder::new(64);
            let Ok(len) = encoder.encode(&moved, at) else {
                return false;
            };
            let mut code = encoder.take_buffer();
            code.truncate(len);
            // jmp [rip]; the address of the next instruction follows.
            code.extend([0xFF, 0x25, 0, 0, 0, 0]);
            code.extend(instruction.next_ip().to_le_bytes());
            let to = self.arena.trusted(at);
            // SAFETY: a slot of the scratch area, which is the host's; 15 + 14 bytes fit.
            unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), to, code.len()) };
            emulation.copies.insert(key, at);
            at
        };
        context.uc_mcontext.gregs[libc::REG_RIP as usize] = copy as i64;
        true
    }

    /// Whether any frame from here has a handler: `rip` is where a call returned to.
    fn handles(&self, context: &libc::ucontext_t, rip: u64) -> bool {
        let mut context = Context::of_signal(context);
        context.rip = rip.wrapping_sub(1);
        seh::has_handler(self, context)
    }

    /// Makes an exception of a fault, unless its search has just found no handler.
    fn land(
        &self,
        rip: u64,
        code: i32,
        parameters: &[u64],
        context: &mut libc::ucontext_t,
    ) -> bool {
        let local = self.local();
        if local.unhandled.replace(0) == rip {
            return false;
        }
        self.send(context, Record::new(code, rip, parameters), None, true)
    }

    /// Sends the thread to [`landing`], on its own stack.
    fn send(
        &self,
        context: &mut libc::ucontext_t,
        record: Record,
        fast_fail: Option<u32>,
        repeats: bool,
    ) -> bool {
        let rsp = context.uc_mcontext.gregs[libc::REG_RSP as usize] as u64;
        let Some((low, _)) = self.arena.stack_of(rsp).map(|s| self.arena.stack(s)) else {
            return false;
        };
        let size = size_of::<Landing>() as u64;
        let at = (rsp - 256 - size) & !63;
        if at < low + PAGE + SEARCH_STACK {
            return false;
        }
        let landing_data = Landing {
            context: Context::of_signal(context),
            record,
            fast_fail,
            repeats,
        };
        // SAFETY: below the stack pointer of a thread that is stopped, within its stack.
        unsafe { (at as *mut Landing).write(landing_data) };
        let gregs = &mut context.uc_mcontext.gregs;
        gregs[libc::REG_RIP as usize] = landing as *const () as i64;
        gregs[libc::REG_RDI as usize] = at as i64;
        // As after a call: the stack pointer is 8 below a multiple of 16.
        gregs[libc::REG_RSP as usize] = at as i64 - 8;
        gregs[libc::REG_EFL as usize] &= !FOREIGN_FLAGS;
        true
    }

    /// Ends the run for what happened at a point in driver code.
    pub(crate) fn stop_at(&self, kind: CrashKind, message: &str, context: &Context) -> ! {
        const MOST: u64 = 16 << 10;
        let vp = self.vp();
        self.crashed
            .store(true, std::sync::atomic::Ordering::Relaxed);
        let stack = self.image_at(context.rip).and_then(|image| {
            let (low, size) = self.arena.stack(self.arena.stack_of(context.rsp)?);
            let len = (low + size).saturating_sub(context.rsp).min(MOST);
            let mut bytes = vec![0; len as usize];
            self.arena.read_bytes(context.rsp, &mut bytes).ok()?;
            Some(StackSnapshot {
                rip: context.rip,
                rsp: context.rsp,
                rbp: context.rbp,
                bytes,
                image_base: image.base,
                image_size: image.size,
            })
        });
        self.sink.event(Event::Crash(crate::report::Crash {
            kind,
            message: message.to_owned(),
            registers: Vec::new(),
            time: self.engine.now(),
            cpu: vp.index,
            irql: vp.irql(),
            calls: self.calls(),
            stack,
        }));
        self.engine.abandon()
    }
}

/// Where a thread goes on that faulted in driver code.
///
/// # Safety
/// `landing` is what the signal handler wrote on the thread's own stack.
unsafe extern "sysv64" fn landing(landing: *mut Landing) -> ! {
    let host = crate::api::host();
    // SAFETY: the signal handler wrote it just above this frame.
    let landing = unsafe { &mut *landing };
    let Landing {
        context,
        record,
        fast_fail,
        repeats,
    } = landing;
    if let Some(why) = *fast_fail {
        host.stop_at(
            CrashKind::BugCheck {
                code: KERNEL_SECURITY_CHECK_FAILURE,
                parameters: [u64::from(why), 0, 0, 0],
            },
            &format!("the driver failed fast (int 29h) with code {why}"),
            context,
        );
    }
    seh::dispatch(host, record, context);
    if !*repeats {
        seh::unhandled(host, record, context);
    }
    host.local().unhandled.set(context.rip);
    context.resume()
}

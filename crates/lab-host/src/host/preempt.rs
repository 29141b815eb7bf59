//! Stops inside driver code that belong to the schedule: locked instructions, single steps,
//! loops that wait, and instructions that ask the machine.
//!
//! Each such instruction is replaced by a breakpoint, once per image. It is not put back to
//! be executed: a copy of it, moved to an area of the arena, is executed in its place, so that
//! one signal is all it costs and the breakpoint never leaves. Only the deterministic engine
//! stops there; on real threads the driver's code is what it is in the file.
//!
//! A callback that is executed step by step is watched for updates that it loses; see the
//! module `updates`.
//!
//! [`Host::trapped`] runs in a signal handler on the thread that was in driver code, which
//! holds no lock of the host. [`Host::preempted`] runs on the task's own stack.

mod updates;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use iced_x86::{Decoder, DecoderOptions, Instruction, Register};

use super::Host;
use crate::arena::{Arena, DISPLACED_SIZE, Protection};
use crate::code::{Code, Special, displace};
use crate::engine::{Schedule, preempt};
use crate::image::Image;
use crate::report::{CrashKind, StackSnapshot};
use crate::vp::{DISPATCH, Local};

use updates::{Lost, Machine, Updates};

/// Trap flag of `EFLAGS`.
const TF: i64 = 0x100;
/// `#DB`, a single step; anything else that raises SIGTRAP here is a breakpoint.
const DEBUG_TRAP: i64 = 1;
/// Rounds of a loop that waits without a call of the host.
const ROUNDS: u64 = 50_000;
/// Bytes of a displaced instruction with the jump back.
const DISPLACED: u64 = 32;
/// Stack that goes into a report.
const SHOWN: u64 = 8192;
/// Instructions after the chosen one that are executed step by step as well, when others changed
/// what the callback had loaded: one of them may store what it made of that.
const WATCHED: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A locked instruction.
    Locked,
    /// `pause`, or what a loop that changes nothing looks at.
    Wait,
    /// A jump to itself.
    Forever,
    /// Answered by the host; register number and size in bytes where it has one.
    Machine(Special, u8, u8),
}

struct Site {
    kind: Kind,
    original: u8,
    /// The displaced copy, or 0.
    copy: u64,
    next: u64,
    armed: bool,
}

/// Why a task was diverted.
#[derive(Clone, Copy)]
enum Why {
    Locked,
    Step,
    Wait,
    /// An update was lost.
    Lost(Lost),
}

impl Why {
    /// For the digest.
    const fn number(self) -> u8 {
        match self {
            Self::Locked => 0,
            Self::Step => 1,
            Self::Wait => 2,
            Self::Lost(_) => 3,
        }
    }
}

#[derive(Clone, Copy)]
struct Pending {
    why: Why,
    at: u64,
    rsp: u64,
    rbp: u64,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    sites: BTreeMap<u64, Site>,
    displaced: u64,
    /// Instructions that the task that steps has still to begin.
    left: u64,
    /// The chosen instruction is behind it.
    watching: bool,
    /// What the task that steps has loaded.
    updates: Updates,
    pending: Option<Pending>,
}

/// The machine as a callback sees it that was stopped by a signal; or, without registers, between
/// its calls.
struct Stopped<'a> {
    arena: &'a Arena,
    registers: Option<&'a libc::mcontext_t>,
}

impl Machine for Stopped<'_> {
    fn register(&self, register: Register) -> u64 {
        /// In the order of their numbers.
        const PLACES: [i32; 16] = [
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
        let place = register.is_gpr64().then(|| PLACES[register.number()]);
        let context = self.registers.zip(place);
        context.map_or(0, |(context, place)| context.gregs[place as usize] as u64)
    }

    fn memory(&self, address: u64, size: u8) -> Option<u64> {
        let mut bytes = [0; 8];
        let wanted = bytes.get_mut(..usize::from(size))?;
        self.arena.read_bytes(address, wanted).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    fn is_shared(&self, address: u64) -> bool {
        self.arena.contains(address) && self.arena.stack_of(address).is_none()
    }
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Preempt {
    state: Mutex<State>,
    /// Task that executes step by step; 0 = none.
    stepping: AtomicU64,
}

impl Host {
    /// How the deterministic engine interleaves from now on. Between runs.
    pub fn set_schedule(&self, schedule: &Schedule) {
        self.engine.schedule(schedule);
        let mut state = self.preempt.state.lock().expect("preempt");
        state.schedule.clone_from(schedule);
        self.arm(&mut state);
    }

    /// Points at which tasks could have been switched so far: host calls, and locked
    /// instructions if the schedule has them.
    pub fn switch_points(&self) -> u64 {
        self.engine.points()
    }

    /// Whether anything but host calls can be a point of switching.
    pub(super) fn can_preempt(&self) -> bool {
        self.engine.is_virtual()
            && !self.config.bare
            && crate::signals::handled()
            && preempt::is_possible()
    }

    /// Makes the sites of an image.
    pub(super) fn find_sites(&self, image: &Image) {
        if !self.can_preempt() {
            return;
        }
        let code = image.code();
        let mut state = self.preempt.state.lock().expect("preempt");
        // What was loaded at the same place before is gone.
        state.sites.retain(|&at, _| !image.contains(at));
        if state.sites.is_empty() {
            state.displaced = 0;
        }
        for (at, kind) in wanted(image, &code) {
            let _ = self.add_site(&mut state, image, at, kind);
        }
        let used = state.displaced * DISPLACED;
        if used > 0 {
            let _ = self
                .arena
                .protect(self.arena.displaced(), used, Protection::ReadExecute);
        }
        self.arm(&mut state);
    }

    /// Forgets the sites of all images.
    pub(super) fn forget_sites(&self) {
        self.preempt.state.lock().expect("preempt").sites.clear();
    }

    fn add_site(&self, state: &mut State, image: &Image, at: u64, kind: Kind) -> Option<()> {
        let bytes = image.pristine().get((at - image.base) as usize..)?;
        let length = length(bytes, at)?;
        let mut copy = 0;
        if matches!(kind, Kind::Locked | Kind::Wait) {
            let place = state.displaced * DISPLACED;
            if place + DISPLACED > DISPLACED_SIZE {
                return None;
            }
            copy = self.arena.displaced() + place;
            let mut code = displace(bytes, at, copy)?;
            // jmp [rip]; the target follows.
            code.extend([0xFF, 0x25, 0, 0, 0, 0]);
            code.extend((at + length).to_le_bytes());
            let to = self.arena.trusted(copy);
            // SAFETY: the slot lies in the area for displaced instructions, checked above, and
            // is longer than an instruction (15 bytes) and the jump.
            unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), to, code.len()) };
            state.displaced += 1;
        }
        state.sites.insert(
            at,
            Site {
                kind,
                original: *bytes.first()?,
                copy,
                next: at + length,
                armed: false,
            },
        );
        Some(())
    }

    /// Sets the breakpoints that the schedule asks for, and takes the others away.
    fn arm(&self, state: &mut State) {
        let locked = state.schedule.locked_every > 0;
        for (&at, site) in &mut state.sites {
            let wanted = locked || site.kind != Kind::Locked;
            if wanted != site.armed {
                site.armed = wanted;
                self.set_code(at, if wanted { 0xCC } else { site.original });
            }
        }
    }

    /// Sets the breakpoints again after the image was written anew, or one after a trap there
    /// was taken away.
    pub(super) fn rearm(&self, only: Option<u64>) {
        let state = self.preempt.state.lock().expect("preempt");
        let armed = state.sites.iter().filter(|(_, site)| site.armed);
        for (&at, _) in armed.filter(|&(&at, _)| only.is_none_or(|o| o == at)) {
            self.set_code(at, 0xCC);
        }
    }

    fn set_code(&self, at: u64, byte: u8) {
        // SAFETY: the address is code of a loaded image; the host's view is always writable.
        unsafe { self.arena.trusted(at).write(byte) };
    }

    /// A `SIGTRAP` hit the calling thread in driver code: true when a trap, a step or the
    /// schedule explains it.
    pub fn trapped(&self, context: &mut libc::mcontext_t) -> bool {
        if context.gregs[libc::REG_TRAPNO as usize] == DEBUG_TRAP {
            let trap = self.traps.hit(&self.arena, context);
            if self.is_stepping() {
                self.stepped(context);
                return true;
            }
            // A flag of before, which a saved context brought back: the stepping is over.
            let stray = !trap && context.gregs[libc::REG_EFL as usize] & TF != 0;
            context.gregs[libc::REG_EFL as usize] &= !TF;
            return trap || stray;
        }
        if self.marks.hit(&self.arena, context) {
            return true;
        }
        let at = (context.gregs[libc::REG_RIP as usize] as u64).wrapping_sub(1);
        let mut state = self.preempt.state.lock().expect("preempt");
        let Some(site) = state.sites.get(&at).filter(|site| site.armed) else {
            drop(state);
            return self.traps.hit(&self.arena, context);
        };
        let (kind, copy, next) = (site.kind, site.copy, site.next);
        context.gregs[libc::REG_RIP as usize] = at as i64;
        self.marks.pass(at);
        self.traps.pass(at, context);
        if context.gregs[libc::REG_RIP as usize] as u64 != at {
            return true;
        }
        let why = match kind {
            Kind::Machine(what, register, size) => {
                self.answer(context, what, register, size);
                context.gregs[libc::REG_RIP as usize] = next as i64;
                return true;
            }
            Kind::Locked => {
                context.gregs[libc::REG_RIP as usize] = copy as i64;
                if !self.engine.point() {
                    return true;
                }
                Why::Locked
            }
            Kind::Wait | Kind::Forever => Why::Wait,
        };
        let go_on = if copy == 0 { at } else { copy };
        state.pending = Some(pending(why, at, context));
        // SAFETY: the driver was interrupted on its own stack.
        unsafe { preempt::divert(context, go_on) };
        true
    }

    /// A single step of the task that steps ended.
    fn stepped(&self, context: &mut libc::mcontext_t) {
        let rip = context.gregs[libc::REG_RIP as usize] as u64;
        let mut state = self.preempt.state.lock().expect("preempt");
        if self.arena.in_stubs(rip) {
            // Into the host: `leave` goes on with it.
            context.gregs[libc::REG_EFL as usize] &= !TF;
            state.updates.called();
            return;
        }
        // In the host's own code the flag is as it is: it may have been cleared just now.
        let Some(image) = self.image_at(rip) else {
            return;
        };
        context.gregs[libc::REG_EFL as usize] |= TF;
        let next = instruction(&image, rip);
        let machine = Stopped {
            arena: &self.arena,
            registers: Some(context),
        };
        state.left = state.left.saturating_sub(1);
        let over = state.left == 0;
        let why = if over && !state.watching {
            state.updates.begin(&next, &machine);
            Why::Step
        } else if let Some(lost) = state.updates.step(&next, &machine) {
            Why::Lost(lost)
        } else if over {
            self.preempt.stepping.store(0, Ordering::Relaxed);
            context.gregs[libc::REG_EFL as usize] &= !TF;
            return;
        } else {
            return;
        };
        self.preempt.stepping.store(0, Ordering::Relaxed);
        context.gregs[libc::REG_EFL as usize] &= !TF;
        state.pending = Some(pending(why, rip, context));
        // SAFETY: the driver was interrupted on its own stack.
        unsafe { preempt::divert(context, rip) };
    }

    /// The task was stopped between two instructions; it goes on when this returns.
    pub(crate) fn preempted(&self) {
        let taken = self.preempt.state.lock().expect("preempt").pending.take();
        let Some(stop) = taken else { return };
        // The address of the copy that is loaded here says nothing elsewhere.
        let base = self.image_at(stop.at).map_or(0, |image| image.base);
        self.note_stop(stop.why.number(), stop.at - base);
        match stop.why {
            Why::Locked if self.vp().irql() <= DISPATCH => {
                self.watched(|| self.engine.preempt());
            }
            Why::Step if self.vp().irql() <= DISPATCH => self.chosen(stop),
            Why::Locked | Why::Step => {}
            Why::Wait => self.waits(stop),
            Why::Lost(lost) => self.lost(stop, lost),
        }
    }

    /// Lets others run; if the calling task steps, it is found out what they changed.
    pub(super) fn watched(&self, others_run: impl FnOnce()) {
        if !self.is_stepping() {
            return others_run();
        }
        let machine = self.between_calls();
        self.preempting(|state| state.updates.settle(&machine));
        others_run();
        self.preempting(|state| state.updates.compare(&machine));
    }

    fn preempting<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.preempt.state.lock().expect("preempt"))
    }

    /// Memory as it is, of a task that runs host code.
    fn between_calls(&self) -> Stopped<'_> {
        Stopped {
            arena: &self.arena,
            registers: None,
        }
    }

    /// Before the chosen instruction: others run, and may be executed step by step themselves.
    fn chosen(&self, stop: Pending) {
        let machine = self.between_calls();
        let mut mine = self.preempting(|state| std::mem::take(&mut state.updates));
        mine.settle(&machine);
        self.engine.preempt();
        if !mine.compare(&machine) {
            return;
        }
        let id = self.local().id;
        let free =
            self.preempt
                .stepping
                .compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed);
        if free.is_err() {
            return;
        }
        self.preempting(|state| {
            state.updates = mine;
            state.watching = true;
            state.left = WATCHED;
        });
        // The flags that the trampoline restores; `divert` put them there.
        let flags = stop.rsp - 16;
        let word: u64 = self.get(flags, "flags");
        self.put(flags, word | TF as u64, "flags");
    }

    /// VMI-9: an update of somebody else is about to be overwritten.
    fn lost(&self, stop: Pending, lost: Lost) {
        let local = self.local();
        let inside = local.frames.borrow().last().map_or("", |f| f.name);
        self.violate_with(
            "VMI-9",
            format!(
                "{inside} loads {:#x} at {}, somebody else makes {:#x} of it, and at {} it stores what it made of the older value: that update is lost. The memory is {}; neither a lock nor an interlocked operation guards it",
                lost.old,
                self.place_of(lost.loaded),
                lost.new,
                self.place_of(lost.stored),
                self.describe(lost.address),
            ),
            self.stack_at(stop.at, stop.rsp, stop.rbp),
        );
    }

    /// One round of a loop that waits for memory.
    fn waits(&self, stop: Pending) {
        let local: *const Local = self.local();
        // SAFETY: the task's `Local` outlives this call, which runs in the task.
        let local = unsafe { &*local };
        let rounds = local.rounds.get() + 1;
        local.rounds.set(rounds);
        let alive = self.engine.spin();
        if alive && rounds < ROUNDS {
            return;
        }
        let inside = local.frames.borrow().last().map_or("", |f| f.name);
        let vp = self.vp();
        let message = format!(
            "the driver waits in a loop at {} for memory that {}, at IRQL {} on processor {}, inside {inside}: {rounds} rounds without a call of the host",
            self.place_of(stop.at),
            if alive {
                "does not become what it wants"
            } else {
                "nobody is left to change"
            },
            vp.irql(),
            vp.index,
        );
        let stack = self.stack_at(stop.at, stop.rsp, stop.rbp);
        self.violate_with("HOST-SPIN", message.clone(), stack.clone());
        self.stop_with(
            CrashKind::Hang {
                waiting: vec![message.clone()],
            },
            &message,
            stack,
        )
    }

    /// An address of an image as an offset in it, which is the same in every run.
    pub(super) fn place_of(&self, at: u64) -> String {
        match self.image_at(at) {
            Some(image) => format!("image+{:#x}", at - image.base),
            None => format!("{at:#x}"),
        }
    }

    fn stack_at(&self, rip: u64, rsp: u64, rbp: u64) -> Option<StackSnapshot> {
        let image = self.image_at(rip)?;
        let (low, size) = self.arena.stack(self.arena.stack_of(rsp)?);
        let mut bytes = vec![0; (low + size - rsp).min(SHOWN) as usize];
        self.arena.read_bytes(rsp, &mut bytes).ok()?;
        Some(StackSnapshot {
            rip,
            rsp,
            rbp,
            bytes,
            image_base: image.base,
            image_size: image.size,
        })
    }

    /// Where an instruction stands that is executed somewhere else; other addresses are what
    /// they are. For faults: their place is that of the original.
    pub fn original_place(&self, rip: u64) -> u64 {
        if !self.arena.in_displaced(rip) {
            return rip;
        }
        let state = self.preempt.state.lock().expect("preempt");
        let copy = rip - (rip - self.arena.displaced()) % DISPLACED;
        state
            .sites
            .iter()
            .find(|(_, site)| site.copy == copy)
            .map_or(rip, |(&at, _)| at)
    }

    /// A callback begins, its frame is open: whether it is to be executed step by step.
    pub(super) fn steps_into(&self, name: &str, call: impl FnOnce() -> u64) -> bool {
        // Only who is asked for pays.
        if self.preempt.stepping.load(Ordering::Relaxed) != 0 || !self.has_steps() {
            return false;
        }
        let mut state = self.preempt.state.lock().expect("preempt");
        if !state.schedule.steps.iter().any(|s| s.callback == name) {
            return false;
        }
        let call = call();
        let step = state
            .schedule
            .steps
            .iter()
            .find(|s| s.callback == name && s.call == call);
        let Some(k) = step.map(|s| s.instruction.max(1)) else {
            return false;
        };
        state.left = k;
        state.watching = false;
        state.updates.clear();
        drop(state);
        let local = self.local();
        local.stepped.set(local.frames.borrow().len());
        self.preempt.stepping.store(local.id, Ordering::Relaxed);
        true
    }

    fn has_steps(&self) -> bool {
        self.engine.has_steps() && self.can_preempt()
    }

    /// Whether the calling task is the one that executes step by step.
    fn is_stepping(&self) -> bool {
        let stepping = self.preempt.stepping.load(Ordering::Relaxed);
        stepping != 0 && stepping == self.local().id
    }

    /// A callback that was executed step by step ended; another may be by now.
    pub(super) fn steps_out(&self) {
        trap_flag(false);
        if self.is_stepping() {
            self.preempt.stepping.store(0, Ordering::Relaxed);
        }
    }

    /// The host goes back into the driver. A callback inside the one that is executed step by
    /// step is not: when it ends, host code goes on.
    pub(super) fn steps_on(&self, local: &Local) {
        if self.is_stepping() && local.frames.borrow().len() == local.stepped.get() {
            trap_flag(true);
        }
    }

    /// Ends stepping, whoever steps.
    pub(super) fn reset_steps(&self) {
        self.preempt.stepping.store(0, Ordering::Relaxed);
        self.preempt.state.lock().expect("preempt").pending = None;
    }
}

fn pending(why: Why, at: u64, context: &libc::mcontext_t) -> Pending {
    Pending {
        why,
        at,
        rsp: context.gregs[libc::REG_RSP as usize] as u64,
        rbp: context.gregs[libc::REG_RBP as usize] as u64,
    }
}

/// Sets or clears the trap flag of the calling thread.
#[inline]
fn trap_flag(on: bool) {
    // SAFETY: only the trap flag changes. While it is set, each instruction raises a signal
    // that the handler takes (`can_preempt` asked for one) until the driver's code is left.
    unsafe {
        if on {
            std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq");
        } else {
            std::arch::asm!("pushfq", "and qword ptr [rsp], -257", "popfq");
        }
    }
}

pub(super) fn step_now() {
    trap_flag(true);
}

/// The instruction there, as it is in the file.
fn instruction(image: &Image, at: u64) -> Instruction {
    let bytes = image.pristine();
    let from = (at - image.base) as usize;
    let bytes = bytes
        .get(from..(from + 15).min(bytes.len()))
        .unwrap_or_default();
    Decoder::with_ip(64, bytes, at, DecoderOptions::NONE).decode()
}

fn length(bytes: &[u8], at: u64) -> Option<u64> {
    let mut decoder = Decoder::with_ip(
        64,
        bytes.get(..bytes.len().min(15))?,
        at,
        DecoderOptions::NONE,
    );
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then(|| instruction.len() as u64)
}

/// The sites of an image; where two are one, the later kind here counts.
fn wanted(image: &Image, code: &Code) -> Vec<(u64, Kind)> {
    let mut list: Vec<(u64, Kind)> = code.locked.iter().map(|&at| (at, Kind::Locked)).collect();
    for &(at, what) in &code.special {
        match what {
            Special::Pause => list.push((at, Kind::Wait)),
            Special::Rdtsc
            | Special::Rdtscp
            | Special::Rdrand
            | Special::Rdseed
            | Special::Cpuid => {
                let (register, size) = operand(image, at);
                list.push((at, Kind::Machine(what, register, size)));
            }
            _ => {}
        }
    }
    let pauses: Vec<u64> = code
        .special
        .iter()
        .filter(|(_, what)| *what == Special::Pause)
        .map(|&(at, _)| at)
        .collect();
    for wait in &code.waits {
        // A loop with a pause in it is stopped there.
        if pauses.iter().any(|&at| at >= wait.head && at <= wait.jump) {
            continue;
        }
        list.push(match wait.look {
            Some(look) => (look, Kind::Wait),
            None => (wait.jump, Kind::Forever),
        });
    }
    list
}

/// Number and size of an instruction's register operand.
fn operand(image: &Image, at: u64) -> (u8, u8) {
    let register = instruction(image, at).op0_register();
    if register.is_gpr() {
        (
            register.full_register().number() as u8,
            register.size() as u8,
        )
    } else {
        (0, 0)
    }
}

#[cfg(test)]
mod tests;

//! What the code of an image does, found by disassembly: where each import is called, which
//! instructions are locked, which ones ask the machine, which loops wait for memory.
//!
//! Instructions are found by following control flow from every place that is known to be code
//! (entry point, exports, unwind information, relocated pointers, addresses taken), and, in
//! functions with unwind information, in the gaps that decode without a remainder. Nothing that
//! is only guessed to be code is listed: a trap may be set on any address here.
//!
//! Pure: runs at load, on the pristine bytes, touches no driver memory.

mod displace;
mod explore;
mod flow;
mod waits;

use std::collections::BTreeMap;
use std::sync::Arc;

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use crate::image::Image;
pub use displace::displace;

/// How an import is reached from a call site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// `call [slot]`.
    Direct,
    /// `call register` after the slot was loaded into it.
    Register,
    /// A call of a thunk that jumps through the slot.
    Thunk,
    /// A jump through the slot, or to a thunk, at the end of a function: the return address that
    /// the import sees is that of the function's caller.
    Tail,
    /// The address of the import is taken and not seen to be called: who calls it is not known.
    Taken,
}

/// A place that reaches an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSite {
    /// Address of the instruction.
    pub at: u64,
    /// Address of the next one: the return address, but for [`How::Tail`].
    pub next: u64,
    /// `dll!name`.
    pub import: Arc<str>,
    /// How.
    pub how: How,
}

/// Instructions that ask the machine, or that user mode cannot have as a driver means them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Special {
    /// `rdtsc`.
    Rdtsc,
    /// `rdtscp`.
    Rdtscp,
    /// `rdrand`.
    Rdrand,
    /// `rdseed`.
    Rdseed,
    /// `cpuid`.
    Cpuid,
    /// A move from or to `cr8`.
    Cr8,
    /// `int 29h`, `__fastfail`.
    FastFail,
    /// `int 2Ch`, an assertion.
    Assertion,
    /// `int3`.
    Breakpoint,
    /// `hlt`.
    Halt,
    /// `pause`.
    Pause,
    /// Another instruction that only the kernel may execute.
    Privileged,
}

/// A loop that changes nothing and reads memory: it ends only if somebody else writes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitLoop {
    /// First instruction.
    pub head: u64,
    /// The jump back.
    pub jump: u64,
    /// The instruction of it that looks at memory; a jump to itself has none.
    pub look: Option<u64>,
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Starts of all instructions, ascending.
    pub instructions: Vec<u64>,
    /// Starts of functions, ascending.
    pub functions: Vec<u64>,
    /// What is reached by a jump, or follows one: starts of basic blocks, ascending.
    pub blocks: Vec<u64>,
    /// Call sites of imports, by address.
    pub calls: Vec<CallSite>,
    /// Instructions with a lock prefix, and exchanges with memory.
    pub locked: Vec<u64>,
    /// Special instructions, by address.
    pub special: Vec<(u64, Special)>,
    /// Loops that wait.
    pub waits: Vec<WaitLoop>,
}

impl Code {
    /// Disassembles a loaded image.
    pub fn of(image: &Image) -> Self {
        let found = explore::explore(image);
        let calls = flow::calls(image, &found);
        let mut locked = Vec::new();
        let mut special = Vec::new();
        for (&at, instruction) in &found.instructions {
            if is_locked(instruction) {
                locked.push(at);
            }
            if let Some(what) = special_of(instruction) {
                special.push((at, what));
            }
        }
        Self {
            waits: waits::find(&found.instructions),
            instructions: found.instructions.keys().copied().collect(),
            functions: found.functions.into_iter().collect(),
            blocks: found.leaders.into_iter().collect(),
            calls,
            locked,
            special,
        }
    }

    /// Whether an instruction starts there.
    pub fn is_instruction(&self, at: u64) -> bool {
        self.instructions.binary_search(&at).is_ok()
    }

    /// The call site with this return address; a tail jump has none of its own.
    pub fn returning_to(&self, address: u64) -> Option<&CallSite> {
        // A site's next instruction begins behind it: the site is the last one before it.
        let behind = self.calls.partition_point(|c| c.at < address);
        let site = self.calls.get(behind.checked_sub(1)?)?;
        let called = !matches!(site.how, How::Tail | How::Taken);
        (called && site.next == address).then_some(site)
    }

    /// Start of the function that holds an instruction.
    pub fn function_of(&self, at: u64) -> Option<u64> {
        let behind = self.functions.partition_point(|&f| f <= at);
        self.functions.get(behind.checked_sub(1)?).copied()
    }

    /// How many places reach each import.
    pub fn by_import(&self) -> BTreeMap<Arc<str>, Vec<&CallSite>> {
        let mut map: BTreeMap<Arc<str>, Vec<&CallSite>> = BTreeMap::new();
        for call in &self.calls {
            map.entry(Arc::clone(&call.import)).or_default().push(call);
        }
        map
    }
}

/// Whether an instruction loads and stores in one, so that nobody comes in between.
pub(crate) fn is_locked(i: &Instruction) -> bool {
    let memory = (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory);
    i.has_lock_prefix() || (i.mnemonic() == Mnemonic::Xchg && memory)
}

fn special_of(i: &Instruction) -> Option<Special> {
    Some(match i.mnemonic() {
        Mnemonic::Rdtsc => Special::Rdtsc,
        Mnemonic::Rdtscp => Special::Rdtscp,
        Mnemonic::Rdrand => Special::Rdrand,
        Mnemonic::Rdseed => Special::Rdseed,
        Mnemonic::Cpuid => Special::Cpuid,
        Mnemonic::Pause => Special::Pause,
        Mnemonic::Hlt => Special::Halt,
        Mnemonic::Int3 => Special::Breakpoint,
        Mnemonic::Int if i.immediate8() == 0x29 => Special::FastFail,
        Mnemonic::Int if i.immediate8() == 0x2C => Special::Assertion,
        Mnemonic::Int if i.immediate8() == 3 => Special::Breakpoint,
        Mnemonic::Mov if i.op0_register() == Register::CR8 || i.op1_register() == Register::CR8 => {
            Special::Cr8
        }
        _ if i.is_privileged() => Special::Privileged,
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests;

//! Unwind information of x64 (`.pdata`, `.xdata`), as Windows reads it.
//!
//! Everything here comes out of an image or off a driver's stack: no byte is trusted, no sum is
//! expected to fit, nothing loops more often than the information is long. What cannot be read
//! is `None`.

use iced_x86::{Code as Op, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};

use super::context::Context;

/// `UNW_FLAG_EHANDLER`.
const EXCEPTION: u8 = 1;
/// `UNW_FLAG_UHANDLER`.
const TERMINATION: u8 = 2;
/// `UNW_FLAG_CHAININFO`.
const CHAINED: u8 = 4;
/// Parts that a function is cut into; more is a circle.
const MOST_PARTS: usize = 32;
/// Instructions of an epilogue: one that moves the stack, eight pops, one that leaves.
const MOST_EPILOGUE: usize = 12;
const RSP: usize = 4;

/// An image and its function table.
#[derive(Clone, Copy)]
pub(super) struct Code<'a> {
    image: &'a [u8],
    table: &'a [u8],
    table_at: u32,
}

/// A `RUNTIME_FUNCTION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    begin: u32,
    end: u32,
    info: u32,
}

/// A frame that was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// Where the function's entry is; `None` for a leaf, which has none.
    pub(super) entry: Option<u32>,
    /// What handlers know the frame by.
    pub(super) establisher: u64,
    pub(super) handler: Option<Language>,
}

/// What a function says of its handler. Places count from the image's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Language {
    pub(super) at: u32,
    pub(super) data: u32,
    pub(super) exception: bool,
    pub(super) termination: bool,
}

/// `UNWIND_INFO`.
#[derive(Clone, Copy)]
struct Info<'a> {
    version: u8,
    flags: u8,
    prologue: u8,
    frame: Option<usize>,
    frame_offset: u64,
    codes: &'a [u8],
    /// Where what is behind the codes begins.
    rest: u32,
}

/// One step of a prologue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Push(usize),
    Allocate(u32),
    SetFrame,
    Save(usize, u32),
    SaveXmm(usize, u32),
    /// An interrupt's frame, with an error code or without.
    Machine(bool),
    /// Says something else.
    Nothing,
}

fn word(bytes: &[u8], at: u32) -> Option<u32> {
    let part = bytes.get(at as usize..)?.first_chunk()?;
    Some(u32::from_le_bytes(*part))
}

impl<'a> Code<'a> {
    /// `table` is where the function table is in the image, and how long.
    pub(super) fn new(image: &'a [u8], table: (u32, u32)) -> Option<Self> {
        let (table_at, len) = table;
        let table = image.get(table_at as usize..)?.get(..len as usize)?;
        Some(Self {
            image,
            table,
            table_at,
        })
    }

    fn entry(&self, index: usize) -> Option<Function> {
        let entry = self.table.get(index.checked_mul(12)?..)?.get(..12)?;
        function(entry, 0)
    }

    /// The entry of the function that `pc` lies in, and where it is.
    fn lookup(&self, pc: u32) -> Option<(u32, Function)> {
        // The linker sorts them by their beginning.
        let (mut low, mut high) = (0, self.table.len() / 12);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.entry(middle)?.begin <= pc {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let index = low.checked_sub(1)?;
        let mut found = self.entry(index)?;
        if pc >= found.end {
            return None;
        }
        if found.info & 1 != 0 {
            // It stands for another entry.
            found = function(self.image, found.info & !1)?;
        }
        Some((self.table_at + 12 * index as u32, found))
    }

    fn info(&self, at: u32) -> Option<Info<'a>> {
        let bytes = self.image.get(at as usize..)?;
        let &[first, prologue, count, frame] = bytes.first_chunk()?;
        let count = u32::from(count);
        // Padded to an even number.
        let rest = at.checked_add(4 + 2 * count.next_multiple_of(2))?;
        let frame_register = usize::from(frame & 15);
        Some(Info {
            version: first & 7,
            flags: first >> 3,
            prologue,
            frame: (frame_register != 0).then_some(frame_register),
            frame_offset: u64::from(frame >> 4) * 16,
            codes: bytes.get(4..4 + 2 * count as usize)?,
            rest,
        })
    }

    /// The part that `function` is chained to, or itself.
    fn primary(&self, mut function: Function) -> Option<Function> {
        for _ in 0..MOST_PARTS {
            let info = self.info(function.info)?;
            if info.flags & CHAINED == 0 {
                return Some(function);
            }
            function = self::function(self.image, info.rest)?;
        }
        None
    }

    /// Goes from a point in a function to its caller: `context` is changed to what it is behind
    /// the call. `read` reads the stack. `None` where something is damaged.
    pub(super) fn unwind(
        &self,
        context: &mut Context,
        pc: u32,
        read: &dyn Fn(u64) -> Option<u64>,
    ) -> Option<Left> {
        let mut left = Left {
            entry: None,
            establisher: context.rsp,
            handler: None,
        };
        let Some((entry, mut function)) = self.lookup(pc) else {
            context.rip = pop(context, read)?;
            return Some(left);
        };
        left.entry = Some(entry);
        let mut info = self.info(function.info)?;
        let offset = pc.wrapping_sub(function.begin);
        if self.leave(function, info, pc, context, read)? {
            return Some(left); // In an epilogue nothing is handled any more.
        }
        if let Some(register) = info.frame {
            let set = info.steps().find_map(|(place, step)| match step? {
                Step::SetFrame => Some(u32::from(place)),
                _ => None,
            });
            let whole = info.flags & CHAINED != 0 || offset >= u32::from(info.prologue);
            if whole || set.is_some_and(|place| offset >= place) {
                let value = *context.registers()[register];
                left.establisher = value.wrapping_sub(info.frame_offset);
            }
        }
        for part in 0..MOST_PARTS {
            for (place, step) in info.steps() {
                let step = step?;
                if part == 0 && u32::from(place) > offset {
                    continue;
                }
                if let Step::Machine(code) = step {
                    let at = context.rsp.wrapping_add(if code { 8 } else { 0 });
                    context.rip = read(at)?;
                    context.rsp = read(at.wrapping_add(24))?;
                    return Some(left);
                }
                step.undo(info, left.establisher, context, read)?;
            }
            if info.flags & CHAINED == 0 {
                break;
            }
            function = self::function(self.image, info.rest)?;
            info = self.info(function.info)?;
        }
        context.rip = pop(context, read)?;
        let past = pc.wrapping_sub(function.begin) >= u32::from(info.prologue);
        if past && info.flags & CHAINED == 0 && info.flags & (EXCEPTION | TERMINATION) != 0 {
            left.handler = Some(Language {
                at: word(self.image, info.rest)?,
                data: info.rest.checked_add(4)?,
                exception: info.flags & EXCEPTION != 0,
                termination: info.flags & TERMINATION != 0,
            });
        }
        Some(left)
    }

    /// Does what is left of the epilogue that `pc` is in; whether it is in one.
    fn leave(
        &self,
        function: Function,
        info: Info<'_>,
        pc: u32,
        context: &mut Context,
        read: &dyn Fn(u64) -> Option<u64>,
    ) -> Option<bool> {
        let end = (function.end as usize).min(self.image.len());
        let Some(code) = self.image.get(pc as usize..end) else {
            return Some(false);
        };
        let mut decoder = Decoder::with_ip(64, code, u64::from(pc), DecoderOptions::NONE);
        let mut after = context.clone();
        for index in 0..MOST_EPILOGUE {
            let instruction = decoder.decode();
            let bytes = usize::try_from(instruction.ip() - u64::from(pc))
                .ok()
                .and_then(|from| code.get(from..));
            if instruction.is_invalid() || bytes.is_none() {
                return Some(false);
            }
            if index == 0
                && let Some(rsp) = moves_stack(&instruction, info, &mut after)
            {
                after.rsp = rsp;
            } else if instruction.mnemonic() == Mnemonic::Pop
                && instruction.op0_kind() == OpKind::Register
                && instruction.op0_register().is_gpr64()
            {
                let value = pop(&mut after, read)?;
                *after.registers()[instruction.op0_register().number()] = value;
            } else if self.ends(function, &instruction, bytes?) {
                after.rip = pop(&mut after, read)?;
                *context = after;
                return Some(true);
            } else {
                return Some(false);
            }
        }
        Some(false)
    }

    /// Whether an instruction is the last one of an epilogue.
    fn ends(&self, function: Function, instruction: &Instruction, bytes: &[u8]) -> bool {
        match instruction.code() {
            Op::Retnq | Op::Retnq_imm16 => true,
            Op::Jmp_rel8_64 | Op::Jmp_rel32_64 => {
                let Ok(target) = u32::try_from(instruction.near_branch_target()) else {
                    return true;
                };
                if target == function.begin {
                    return true; // The function calls itself last of all.
                }
                if (function.begin..function.end).contains(&target) {
                    return false;
                }
                // A jump to another part of the same function leaves nothing.
                let other = self.lookup(target).and_then(|(_, f)| self.primary(f));
                other.is_none() || other != self.primary(function)
            }
            // By memory beside the code, or marked with the prefix; a table's jumps are not.
            Op::Jmp_rm64 => {
                bytes.starts_with(&[0xFF, 0x25]) || bytes.first().is_some_and(|b| b & 0xF8 == 0x48)
            }
            _ => false,
        }
    }
}

impl<'a> Info<'a> {
    /// The steps of the prologue, the last one first, with the place behind each. A step that
    /// cannot be read is `None`, and the last.
    fn steps(self) -> impl Iterator<Item = (u8, Option<Step>)> + use<'a> {
        let mut codes = self.codes;
        std::iter::from_fn(move || {
            let &[place, code] = codes.first_chunk()?;
            let step = step(codes, code & 15, code >> 4, self.version);
            codes = match step {
                Some((slots, _)) => codes.get(2 * slots..).unwrap_or_default(),
                None => &[],
            };
            Some((place, step.map(|(_, step)| step)))
        })
    }
}

/// One step and how many slots it takes.
fn step(codes: &[u8], op: u8, extra: u8, version: u8) -> Option<(usize, Step)> {
    let half = |at: usize| {
        let bytes = codes.get(at..)?.first_chunk()?;
        Some(u32::from(u16::from_le_bytes(*bytes)))
    };
    let register = usize::from(extra);
    Some(match (op, extra) {
        (0, _) => (1, Step::Push(register)),
        (1, 0) => (2, Step::Allocate(half(2)? * 8)),
        (1, 1) => (3, Step::Allocate(word(codes, 2)?)),
        (2, _) => (1, Step::Allocate(u32::from(extra) * 8 + 8)),
        (3, _) => (1, Step::SetFrame),
        (4, _) => (2, Step::Save(register, half(2)? * 8)),
        (5, _) => (3, Step::Save(register, word(codes, 2)?)),
        // Where epilogues are, which are found by their instructions.
        (6, _) if version >= 2 => (1, Step::Nothing),
        (7, _) if version >= 2 => (2, Step::Nothing),
        (8, _) => (2, Step::SaveXmm(register, half(2)? * 16)),
        (9, _) => (3, Step::SaveXmm(register, word(codes, 2)?)),
        (10, 0 | 1) => (1, Step::Machine(extra == 1)),
        _ => return None,
    })
}

impl Step {
    /// Undoes it. Saved registers lie above `base`, where the stack ended behind the prologue.
    fn undo(
        self,
        info: Info<'_>,
        base: u64,
        context: &mut Context,
        read: &dyn Fn(u64) -> Option<u64>,
    ) -> Option<()> {
        match self {
            Self::Push(register) => {
                let value = pop(context, read)?;
                *context.registers()[register] = value;
            }
            Self::Allocate(bytes) => context.rsp = context.rsp.wrapping_add(u64::from(bytes)),
            Self::SetFrame => {
                if let Some(register) = info.frame {
                    let frame = *context.registers()[register];
                    context.rsp = frame.wrapping_sub(info.frame_offset);
                }
            }
            Self::Save(register, offset) => {
                let value = read(base.wrapping_add(u64::from(offset)))?;
                *context.registers()[register] = value;
            }
            Self::SaveXmm(register, offset) => {
                let at = base.wrapping_add(u64::from(offset));
                let (low, high) = (read(at)?, read(at.wrapping_add(8))?);
                context.xmm[register] = u128::from(low) | u128::from(high) << 64;
            }
            Self::Machine(_) | Self::Nothing => {}
        }
        Some(())
    }
}

/// The stack pointer behind the first instruction of an epilogue, if it is such a one.
fn moves_stack(instruction: &Instruction, info: Info<'_>, context: &mut Context) -> Option<u64> {
    if instruction.op0_kind() != OpKind::Register
        || !instruction.op0_register().is_gpr64()
        || instruction.op0_register().number() != RSP
    {
        return None;
    }
    match instruction.code() {
        Op::Add_rm64_imm8 | Op::Add_rm64_imm32 => {
            Some(context.rsp.wrapping_add(instruction.immediate(1)))
        }
        Op::Lea_r64_m if instruction.memory_index() == iced_x86::Register::None => {
            let base = instruction.memory_base();
            if !base.is_gpr64() || Some(base.number()) != info.frame {
                return None;
            }
            let frame = *context.registers()[base.number()];
            Some(frame.wrapping_add(instruction.memory_displacement64()))
        }
        _ => None,
    }
}

fn pop(context: &mut Context, read: &dyn Fn(u64) -> Option<u64>) -> Option<u64> {
    let value = read(context.rsp)?;
    context.rsp = context.rsp.wrapping_add(8);
    Some(value)
}

fn function(bytes: &[u8], at: u32) -> Option<Function> {
    let member = |index: u32| word(bytes, at.checked_add(4 * index)?);
    Some(Function {
        begin: member(0)?,
        end: member(1)?,
        info: member(2)?,
    })
}

#[cfg(test)]
mod tests;

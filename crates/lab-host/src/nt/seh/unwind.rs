//! One frame of the driver: what its unwind information says.

use std::ops::ControlFlow;

use pe_unwind_info::x86_64::{
    FunctionTableEntries, Register, RuntimeFunction, UnwindInfo, UnwindInfoFlags, UnwindState,
    XmmRegister,
};

use super::context::Context;
use crate::host::Host;
use crate::image::Image;

/// A frame.
pub(super) struct FrameInfo {
    /// Address of its `RUNTIME_FUNCTION`; 0 for a leaf.
    pub(super) function: u64,
    /// What handlers know the frame by.
    pub(super) establisher: u64,
    pub(super) handler: Option<Handler>,
}

/// A language handler.
#[derive(Clone, Copy)]
pub(super) struct Handler {
    pub(super) address: u64,
    pub(super) data: u64,
    pub(super) exception: bool,
    pub(super) termination: bool,
}

struct State<'a> {
    host: &'a Host,
    context: &'a mut Context,
}

impl UnwindState for State<'_> {
    fn read_register(&mut self, register: Register) -> u64 {
        *self.context.registers()[register as usize]
    }

    fn read_stack(&mut self, address: u64) -> Option<u64> {
        self.host.arena.stack_of(address)?;
        self.host.arena.read(address).ok()
    }

    fn write_register(&mut self, register: Register, value: u64) {
        *self.context.registers()[register as usize] = value;
    }

    fn write_xmm_register(&mut self, register: XmmRegister, value: u128) {
        self.context.xmm[register as usize] = value;
    }
}

/// Unwinds `context` by one frame; what the frame was. `None` at the end, or where the stack or
/// the information is damaged.
pub(super) fn step(host: &Host, image: &Image, context: &mut Context) -> Option<FrameInfo> {
    // SAFETY: the image's range lies in the arena and stays mapped; it changes only where the
    // driver writes its own data.
    let memory =
        unsafe { std::slice::from_raw_parts(host.arena.trusted(image.base), image.size as usize) };
    let (at, len) = image.function_table;
    let table = memory.get(at as usize..)?.get(..len as usize)?;
    let table = FunctionTableEntries::parse(table);
    let at = |part: &[u8]| part.as_ptr() as u64 - memory.as_ptr() as u64 + image.base;
    let pc = u32::try_from(context.rip - image.base).ok()?;
    let mut info = FrameInfo {
        function: 0,
        establisher: context.rsp,
        handler: None,
    };
    if let Some(function) = table.lookup(pc) {
        let entry: *const RuntimeFunction = function;
        info.function = entry as u64 - memory.as_ptr() as u64 + image.base;
        let mut function = *function;
        let begin = function.begin_address.get();
        let mut chained = false;
        for _ in 0..32 {
            let unwind =
                UnwindInfo::parse(memory.get(function.unwind_info_address.get() as usize..)?)?;
            let past = chained || pc - begin >= u32::from(prologue(memory, &function)?);
            if let Some(register) = unwind.frame_register().filter(|_| past) {
                info.establisher = *context.registers()[register as usize]
                    - u64::from(unwind.frame_register_offset());
            }
            let flags = unwind.flags();
            let rest = behind_codes(memory, &function)?;
            let word = |index: usize| {
                let bytes = rest.get(4 * index..)?.first_chunk()?;
                Some(u32::from_le_bytes(*bytes))
            };
            let handled = UnwindInfoFlags::EHANDLER | UnwindInfoFlags::UHANDLER;
            if !flags.intersects(handled) {
                if !flags.contains(UnwindInfoFlags::CHAININFO) {
                    break;
                }
                function.begin_address = word(0)?.into();
                function.end_address = word(1)?.into();
                function.unwind_info_address = word(2)?.into();
                chained = true;
                continue;
            }
            let (rva, data) = (word(0)?, rest.get(4..)?);
            let address = image.base + u64::from(rva);
            // In the prologue the frame is not there yet.
            if past && image.is_code(address) {
                info.handler = Some(Handler {
                    address,
                    data: at(data),
                    exception: flags.contains(UnwindInfoFlags::EHANDLER),
                    termination: flags.contains(UnwindInfoFlags::UHANDLER),
                });
            }
            break;
        }
        if chained {
            context.rip = unwind_chained(host, memory, &table, context, pc)?;
            return Some(info);
        }
    }
    let before = context.rsp;
    let mut state = State { host, context };
    let rip = table.unwind_frame(&mut state, |rva| memory.get(rva as usize..), pc)?;
    context.rip = rip;
    // A stack that does not go up is damaged.
    (context.rsp > before).then_some(info)
}

/// What stands behind a function's unwind codes: a handler and its data, or another function.
/// The codes are padded to an even number, which the crate's own reading of it leaves out.
fn behind_codes<'a>(memory: &'a [u8], function: &RuntimeFunction) -> Option<&'a [u8]> {
    let info = memory.get(function.unwind_info_address.get() as usize..)?;
    let count = usize::from(*info.get(2)?).next_multiple_of(2);
    info.get(4 + 2 * count..)
}

/// Unwinds a frame whose information is that of a part of a function, chained to another's: the
/// codes of each that lie behind the point, then the return address.
fn unwind_chained(
    host: &Host,
    memory: &[u8],
    table: &FunctionTableEntries<'_>,
    context: &mut Context,
    pc: u32,
) -> Option<u64> {
    let mut state = State { host, context };
    let mut function = *table.lookup(pc)?;
    let offset = pc - function.begin_address.get();
    for round in 0..32 {
        let at = function.unwind_info_address.get() as usize;
        let unwind = UnwindInfo::parse(memory.get(at..)?)?;
        for (place, op) in unwind.unwind_operations() {
            if round > 0 || u32::from(place) <= offset {
                let step = unwind.resolve_operation(&mut state, &op)?;
                if let ControlFlow::Break(rip) = step {
                    return Some(rip);
                }
            }
        }
        if !unwind.flags().contains(UnwindInfoFlags::CHAININFO) {
            break;
        }
        let next = behind_codes(memory, &function)?.get(..12)?;
        function = *FunctionTableEntries::parse(next).functions()?.first()?;
    }
    let rsp = state.read_register(Register::RSP);
    let rip = state.read_stack(rsp)?;
    state.write_register(Register::RSP, rsp + 8);
    Some(rip)
}

/// Length of a function's prologue.
fn prologue(memory: &[u8], function: &RuntimeFunction) -> Option<u8> {
    memory
        .get(function.unwind_info_address.get() as usize + 1)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_number_of_codes_is_padded() {
        let function = RuntimeFunction {
            begin_address: 0.into(),
            end_address: 0.into(),
            unwind_info_address: 4.into(),
        };
        let mut memory: Vec<u8> = (0..32).collect();
        for (codes, first) in [(0, 8), (1, 12), (2, 12), (3, 16)] {
            memory[6] = codes;
            assert_eq!(behind_codes(&memory, &function).unwrap()[0], first);
        }
    }
}

//! One frame of the driver: what its unwind information says.

use pe_unwind_info::x86_64::{
    FunctionTableEntries, Register, RuntimeFunction, UnwindInfo, UnwindInfoFlags,
    UnwindInfoTrailer, UnwindState, XmmRegister,
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
            let (rva, data) = match unwind.trailer() {
                Some(UnwindInfoTrailer::ChainedUnwindInfo { chained: next }) => {
                    function = *next;
                    chained = true;
                    continue;
                }
                Some(
                    UnwindInfoTrailer::ExceptionHandler {
                        handler_address,
                        handler_data,
                    }
                    | UnwindInfoTrailer::TerminationHandler {
                        handler_address,
                        handler_data,
                    },
                ) => (handler_address.get(), handler_data),
                None => break,
            };
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
    }
    let before = context.rsp;
    let mut state = State { host, context };
    let rip = table.unwind_frame(&mut state, |rva| memory.get(rva as usize..), pc)?;
    context.rip = rip;
    // A stack that does not go up is damaged.
    (context.rsp > before).then_some(info)
}

/// Length of a function's prologue.
fn prologue(memory: &[u8], function: &RuntimeFunction) -> Option<u8> {
    memory
        .get(function.unwind_info_address.get() as usize + 1)
        .copied()
}

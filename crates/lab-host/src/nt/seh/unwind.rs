//! One frame of the driver: what its unwind information says.

use super::codes::Code;
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

/// Unwinds `context` by one frame; what the frame was. `None` at the end, or where the stack or
/// the information is damaged.
pub(super) fn step(host: &Host, image: &Image, context: &mut Context) -> Option<FrameInfo> {
    // As it was loaded: without the traps that stand in its code.
    let code = Code::new(image.pristine(), image.function_table)?;
    let pc = u32::try_from(context.rip.checked_sub(image.base)?).ok()?;
    let before = context.rsp;
    let left = code.unwind(context, pc, &|address| {
        host.arena.stack_of(address)?;
        host.arena.read(address).ok()
    })?;
    // A stack that does not go up is damaged.
    if context.rsp <= before {
        return None;
    }
    let address = |rva: u32| image.base + u64::from(rva);
    let handler = left.handler.filter(|h| image.is_code(address(h.at)));
    Some(FrameInfo {
        function: left.entry.map_or(0, address),
        establisher: left.establisher,
        handler: handler.map(|h| Handler {
            address: address(h.at),
            data: address(h.data),
            exception: h.exception,
            termination: h.termination,
        }),
    })
}

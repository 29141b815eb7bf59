//! Structured exceptions of driver code.
//!
//! An exception comes from a fault of the driver (see `host/emulate`) or from a function that
//! raises one in its caller. Its search walks the driver's frames by the image's unwind
//! information, on the driver's own stack, and calls the handlers that it names; that of C,
//! `__C_specific_handler`, is an export here. A handler that takes the exception is where the
//! thread goes on, after the `__finally` blocks between.
//!
//! The search ends at the frame of the host that called the driver: no exception goes through
//! the host. On Windows one that leaves a callback stops the system, and so it does here.
//!
//! What is no exception on Windows is none here: a touch of system memory that the driver may
//! not touch (freed pool, lists that were handed over), or of anything pageable at
//! `DISPATCH_LEVEL`, stops the system in spite of any `__try`.

mod codes;
pub(crate) mod context;
mod handler;
mod raise;
#[cfg(test)]
mod tests;
mod unwind;

use context::Context;
use unwind::FrameInfo;

use crate::host::Host;
use crate::image::Image;
use crate::report::{CallKind, CrashKind};

pub(crate) use handler::exports;
pub(crate) use raise::{is_raising, saving_entry};

pub(crate) const STATUS_ACCESS_VIOLATION: i32 = 0xC000_0005_u32 as i32;
pub(crate) const STATUS_DATATYPE_MISALIGNMENT: i32 = 0x8000_0002_u32 as i32;
pub(crate) const STATUS_BREAKPOINT: i32 = 0x8000_0003_u32 as i32;
pub(crate) const STATUS_ILLEGAL_INSTRUCTION: i32 = 0xC000_001D_u32 as i32;
pub(crate) const STATUS_INTEGER_DIVIDE_BY_ZERO: i32 = 0xC000_0094_u32 as i32;
pub(crate) const STATUS_ASSERTION_FAILURE: i32 = 0xC000_0420_u32 as i32;
const KMODE_EXCEPTION_NOT_HANDLED: u32 = 0x1E;

const NONCONTINUABLE: u32 = 0x01;
const UNWINDING: u32 = 0x02;
const TARGET_UNWIND: u32 = 0x20;
const CONTINUE_EXECUTION: u32 = 0;
/// Frames that are looked at; more is a damaged stack.
const MOST_FRAMES: usize = 1000;

/// `EXCEPTION_RECORD`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Record {
    pub(crate) code: i32,
    pub(crate) flags: u32,
    nested: u64,
    pub(crate) address: u64,
    count: u32,
    _pad: u32,
    information: [u64; 15],
}

/// `DISPATCHER_CONTEXT`.
#[repr(C)]
pub(super) struct Dispatcher {
    control_pc: u64,
    image_base: u64,
    function_entry: u64,
    establisher_frame: u64,
    target_ip: u64,
    context_record: u64,
    language_handler: u64,
    handler_data: u64,
    history_table: u64,
    scope_index: u32,
    _fill: u32,
}

impl Record {
    /// A record with up to 15 parameters.
    pub(crate) fn new(code: i32, address: u64, parameters: &[u64]) -> Self {
        let mut record = Self {
            code,
            address,
            count: parameters.len().min(15) as u32,
            ..Self::default()
        };
        for (to, from) in record.information.iter_mut().zip(parameters) {
            *to = *from;
        }
        record
    }

    pub(crate) fn parameters(&self) -> &[u64] {
        &self.information[..(self.count as usize).min(15)]
    }
}

impl Dispatcher {
    fn new(image: &Image, context: &Context, frame: &FrameInfo) -> Self {
        Self {
            control_pc: context.rip,
            image_base: image.base,
            function_entry: frame.function,
            establisher_frame: frame.establisher,
            target_ip: 0,
            context_record: &raw const *context as u64,
            language_handler: frame.handler.map_or(0, |h| h.address),
            handler_data: frame.handler.map_or(0, |h| h.data),
            history_table: 0,
            scope_index: 0,
            _fill: 0,
        }
    }
}

/// Calls a language handler of the driver.
fn call_handler(
    address: u64,
    record: &mut Record,
    frame: u64,
    context: &mut Context,
    dispatcher: &mut Dispatcher,
) -> u32 {
    // SAFETY: the address comes out of the image's unwind information and was checked to be its
    // code; the arguments are those of an exception routine and outlive the call.
    unsafe {
        let handler: extern "win64" fn(*mut Record, u64, *mut Context, *mut Dispatcher) -> u32 =
            std::mem::transmute(address as usize);
        handler(record, frame, context, dispatcher)
    }
}

/// The image that holds a frame's code; none for frames of the host. Not counted: what uses it
/// may never return.
fn image_of<'a>(host: &'a Host, context: &Context) -> Option<&'a Image> {
    let image = host.image_at(context.rip)?;
    // SAFETY: the host keeps the images that code runs in; none is replaced before the run ends.
    let image = unsafe { &*std::sync::Arc::as_ptr(&image) };
    image.is_code(context.rip).then_some(image)
}

/// Whether any frame of the driver from here on has an exception handler.
pub(crate) fn has_handler(host: &Host, mut here: Context) -> bool {
    for _ in 0..MOST_FRAMES {
        let Some(image) = image_of(host, &here) else {
            return false;
        };
        match unwind::step(host, image, &mut here) {
            Some(frame) if frame.handler.is_some_and(|h| h.exception) => return true,
            Some(_) => {}
            None => return false,
        }
    }
    false
}

/// Looks for a handler of an exception. Returns when there is none; else the thread goes on
/// elsewhere, and nothing that lies on the stack of this call is ever dropped.
pub(crate) fn dispatch(host: &Host, record: &mut Record, context: &mut Context) {
    host.note(
        CallKind::Import,
        "exception",
        &[u64::from(record.code as u32), record.address],
    );
    let mut here = context.clone();
    for _ in 0..MOST_FRAMES {
        let Some(image) = image_of(host, &here) else {
            return;
        };
        let mut next = here.clone();
        let Some(frame) = unwind::step(host, image, &mut next) else {
            return;
        };
        if let Some(handler) = frame.handler.filter(|h| h.exception) {
            let mut dispatcher = Dispatcher::new(image, &here, &frame);
            let disposition = call_handler(
                handler.address,
                record,
                frame.establisher,
                context,
                &mut dispatcher,
            );
            if disposition == CONTINUE_EXECUTION && record.flags & NONCONTINUABLE == 0 {
                context.resume();
            }
        }
        here = next;
    }
}

/// Runs the termination handlers from the exception up to the frame `target`, and goes on
/// there at `ip`.
fn unwind_to(
    host: &Host,
    target: u64,
    ip: u64,
    record: &mut Record,
    value: u64,
    origin: &Context,
) -> ! {
    record.flags |= UNWINDING;
    let mut here = origin.clone();
    for _ in 0..MOST_FRAMES {
        let Some(image) = image_of(host, &here) else {
            break;
        };
        let mut next = here.clone();
        let Some(frame) = unwind::step(host, image, &mut next) else {
            break;
        };
        if frame.establisher == target {
            record.flags |= TARGET_UNWIND;
        }
        if let Some(handler) = frame.handler.filter(|h| h.termination) {
            let mut dispatcher = Dispatcher::new(image, &here, &frame);
            dispatcher.target_ip = ip;
            let mut copy = here.clone();
            dispatcher.context_record = &raw const copy as u64;
            call_handler(
                handler.address,
                record,
                frame.establisher,
                &mut copy,
                &mut dispatcher,
            );
        }
        if frame.establisher == target {
            here.rip = ip;
            here.rax = value;
            here.resume();
        }
        here = next;
    }
    host.stop(
        CrashKind::BugCheck {
            code: KMODE_EXCEPTION_NOT_HANDLED,
            parameters: [0xC000_0028, ip, target, 0],
        },
        "an exception handler's frame is not on the stack (STATUS_BAD_STACK)",
    )
}

/// Ends the run for an exception that nothing handles.
pub(crate) fn unhandled(host: &Host, record: &Record, context: &Context) -> ! {
    let first = |n: usize| record.parameters().get(n).copied().unwrap_or(0);
    host.stop_at(
        CrashKind::BugCheck {
            code: KMODE_EXCEPTION_NOT_HANDLED,
            parameters: [
                u64::from(record.code as u32),
                record.address,
                first(0),
                first(1),
            ],
        },
        &format!(
            "an exception that nothing handles: {:#010x}{}",
            record.code,
            name(record.code)
        ),
        context,
    )
}

/// The name of an exception code, in brackets.
fn name(code: i32) -> &'static str {
    match code {
        STATUS_ACCESS_VIOLATION => " (STATUS_ACCESS_VIOLATION)",
        STATUS_DATATYPE_MISALIGNMENT => " (STATUS_DATATYPE_MISALIGNMENT)",
        STATUS_BREAKPOINT => " (STATUS_BREAKPOINT)",
        STATUS_ILLEGAL_INSTRUCTION => " (STATUS_ILLEGAL_INSTRUCTION)",
        STATUS_INTEGER_DIVIDE_BY_ZERO => " (STATUS_INTEGER_DIVIDE_BY_ZERO)",
        STATUS_ASSERTION_FAILURE => " (STATUS_ASSERTION_FAILURE)",
        _ => "",
    }
}

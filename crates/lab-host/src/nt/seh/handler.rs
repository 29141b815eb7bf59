//! `__C_specific_handler`: `__try`, `__except`, `__finally` of C.
//!
//! Called by the search and by the unwinding, with the scope table of the function: ranges of
//! its code, each with a filter and the place of its `__except` block, or with its `__finally`
//! block.

use super::context::Context;
use super::{Dispatcher, Record, TARGET_UNWIND, UNWINDING, unwind_to};
use crate::api::Api;
use crate::host::Host;

const CONTINUE_SEARCH: u32 = 1;
/// In place of a filter: the exception is always taken.
const EXECUTE_HANDLER: u32 = 1;
/// Entries of a scope table that are believed.
const MOST_SCOPES: u32 = 10_000;

#[derive(Clone, Copy)]
#[repr(C)]
struct Scope {
    begin: u32,
    end: u32,
    handler: u32,
    jump: u32,
}

/// `EXCEPTION_POINTERS`.
#[repr(C)]
struct Pointers {
    record: *mut Record,
    context: *mut Context,
}

fn scope(host: &Host, table: u64, index: u32) -> Scope {
    host.get(table + 4 + 16 * u64::from(index), "scope table")
}

/// Looks through the scopes of one frame.
unsafe extern "win64" fn c_specific_handler(
    record: *mut Record,
    frame: u64,
    context: *mut Context,
    dispatcher: *mut Dispatcher,
) -> u32 {
    let host = crate::api::host();
    // SAFETY: the search and the unwinding pass pointers to their own values, which the
    // compiler's wrappers in the driver hand on.
    let (record, dispatcher) = unsafe { (&mut *record, &mut *dispatcher) };
    let base = dispatcher.image_base;
    let table = dispatcher.handler_data;
    let pc = (dispatcher.control_pc - base) as u32;
    let count = host.get::<u32>(table, "scope table").min(MOST_SCOPES);
    let unwinding = record.flags & UNWINDING != 0;
    let target = (record.flags & TARGET_UNWIND != 0).then(|| (dispatcher.target_ip - base) as u32);
    for index in dispatcher.scope_index..count {
        let s = scope(host, table, index);
        if pc < s.begin || pc >= s.end {
            continue;
        }
        if !unwinding {
            if s.jump == 0 {
                continue;
            }
            let verdict = if s.handler == EXECUTE_HANDLER {
                1
            } else {
                let mut pointers = Pointers { record, context };
                // SAFETY: the scope table names the filter's funclet in the image; it takes the
                // exception and its parent's frame.
                let filter: extern "win64" fn(*mut Pointers, u64) -> i32 =
                    unsafe { std::mem::transmute((base + u64::from(s.handler)) as usize) };
                filter(&raw mut pointers, frame)
            };
            if verdict < 0 {
                return super::CONTINUE_EXECUTION;
            }
            if verdict > 0 {
                // SAFETY: the search's own context, valid until it returns.
                let origin = unsafe { &*context };
                let value = u64::from(record.code as u32);
                unwind_to(host, frame, base + u64::from(s.jump), record, value, origin);
            }
            continue;
        }
        if let Some(target) = target {
            // A jump to a place inside the same `__try` does not leave it.
            let inside = (0..count).map(|i| scope(host, table, i)).any(|t| {
                target >= t.begin && target < t.end && t.handler == s.handler && t.jump == s.jump
            });
            if inside || (s.jump != 0 && s.jump == target) {
                return CONTINUE_SEARCH;
            }
        }
        if s.jump == 0 {
            dispatcher.scope_index = index + 1;
            // SAFETY: the scope table names the `__finally` block's funclet in the image; it takes
            // whether the block was left abnormally, and its parent's frame.
            let finally: extern "win64" fn(u8, u64) =
                unsafe { std::mem::transmute((base + u64::from(s.handler)) as usize) };
            finally(1, frame);
        }
    }
    CONTINUE_SEARCH
}

/// Unwinds to a frame, for `longjmp` and `_local_unwind`.
unsafe extern "win64" fn local_unwind(frame: u64, ip: u64) {
    let host = crate::api::host();
    host.fatal(
        "HOST-SEH",
        &format!(
            "a jump out of a __finally block to {ip:#x} in the frame {frame:#x} is not provided"
        ),
    );
}

/// The functions of this module; they are called with a frame of their own kind, not as
/// imports.
pub(crate) fn exports() -> Vec<Api> {
    let entry = |name, args, thunk: *const ()| Api {
        dll: "ntoskrnl.exe",
        name,
        low: 0,
        high: 15,
        rule: "IRQ-11",
        args,
        thunk: thunk as usize,
    };
    let mut all = super::raise::exports();
    all.push(entry(
        "__C_specific_handler",
        4,
        c_specific_handler as *const (),
    ));
    all.push(entry("_local_unwind", 2, local_unwind as *const ()));
    all
}

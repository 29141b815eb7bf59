//! IRPs: how they are made, passed on, completed and cancelled.

use super::mdl::{allocate_mdl, free_mdl, lock_and_map};
use super::variables::cancel_lock;
use super::{set_event, sync};
use crate::api::api;
use crate::host::Host;
use crate::vp::DISPATCH;

const TAG: u32 = u32::from_le_bytes(*b"Irp ");
/// Bytes of an IRP, and of each stack location behind it.
pub(super) const IRP_SIZE: u64 = 208;
pub(super) const STACK_SIZE: u64 = 72;
/// Offsets in an IRP.
pub(super) mod at {
    pub(crate) const MDL: u64 = 8;
    pub(crate) const SYSTEM_BUFFER: u64 = 24;
    pub(crate) const STATUS: u64 = 48;
    pub(crate) const INFORMATION: u64 = 56;
    pub(crate) const MODE: u64 = 64;
    pub(crate) const PENDING_RETURNED: u64 = 65;
    pub(crate) const STACK_COUNT: u64 = 66;
    pub(crate) const LOCATION: u64 = 67;
    pub(crate) const CANCEL: u64 = 68;
    pub(crate) const CANCEL_IRQL: u64 = 69;
    pub(crate) const USER_IOSB: u64 = 72;
    pub(crate) const USER_EVENT: u64 = 80;
    pub(crate) const CANCEL_ROUTINE: u64 = 104;
    pub(crate) const USER_BUFFER: u64 = 112;
    pub(crate) const DRIVER_CONTEXT: u64 = 120;
    pub(crate) const THREAD: u64 = 152;
    pub(crate) const STACK: u64 = 184;
    pub(crate) const FILE: u64 = 192;
}
/// Offsets in a stack location.
pub(super) mod location {
    pub(crate) const CONTROL: u64 = 3;
    pub(crate) const PARAMETERS: u64 = 8;
    pub(crate) const DEVICE: u64 = 40;
    pub(crate) const FILE: u64 = 48;
    pub(crate) const ROUTINE: u64 = 56;
}
const SL_PENDING_RETURNED: u8 = 0x01;
const SL_INVOKE_ON_CANCEL: u8 = 0x20;
const SL_INVOKE_ON_SUCCESS: u8 = 0x40;
const SL_INVOKE_ON_ERROR: u8 = 0x80;
const MORE_PROCESSING_REQUIRED: i32 = 0xC000_0016_u32 as i32;
pub(super) const STATUS_PENDING: i32 = 0x103;
pub(super) const STATUS_INVALID_DEVICE_REQUEST: i32 = 0xC000_0010_u32 as i32;
pub(super) const IRP_MJ_READ: u8 = 3;
pub(super) const IRP_MJ_WRITE: u8 = 4;
pub(super) const IRP_MJ_DEVICE_CONTROL: u8 = 14;
const IRP_MJ_INTERNAL_DEVICE_CONTROL: u8 = 15;
const DO_BUFFERED_IO: u32 = 0x04;
const DO_DIRECT_IO: u32 = 0x10;

/// How an IRP ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IrpResult {
    /// `IoStatus.Status`.
    pub(crate) status: i32,
    /// `IoStatus.Information`.
    pub(crate) information: u64,
}

/// What is asked of a device.
#[derive(Clone, Copy, Default)]
pub(crate) struct Request<'a> {
    pub(crate) major: u8,
    pub(crate) code: u32,
    pub(crate) input: &'a [u8],
    pub(crate) output: usize,
    /// The file object, or 0.
    pub(crate) file: u64,
    /// Bytes from the start of what is read or written.
    pub(crate) offset: u64,
}

/// A request that a driver was given.
#[derive(Debug)]
pub struct PendingRequest {
    major: u8,
    irp: u64,
    /// Memory of the request: what the system, and what the program has.
    buffers: Vec<u64>,
    mdl: u64,
    /// Where what comes back lies, and how much there is room for.
    out: (u64, usize),
    returned: i32,
}

impl PendingRequest {
    /// Whether the dispatch routine left it pending.
    pub const fn is_pending(&self) -> bool {
        self.returned == STATUS_PENDING
    }
}

/// What a request came back with: status, information, bytes.
pub(crate) struct Answer {
    pub(crate) result: IrpResult,
    pub(crate) output: Vec<u8>,
}

fn new_irp(host: &Host, stack: u8, by: &'static str) -> Option<u64> {
    let size = IRP_SIZE + STACK_SIZE * u64::from(stack);
    let irp = host.heap().allocate(&host.arena, size, TAG, by, true)?;
    // Type, size; one above the highest stack location.
    host.put(irp, [6_u16, size as u16], "Irp");
    host.put(irp + at::STACK_COUNT, [stack, stack + 1], "Irp");
    host.put(irp + at::STACK, irp + size, "Irp");
    let list = irp + 32;
    host.put(list, [list, list], "Irp");
    Some(irp)
}

/// Goes down by one stack location, whose device is given; the location.
fn descend(host: &Host, irp: u64, device: u64) -> u64 {
    let now: i8 = host.get(irp + at::LOCATION, "Irp");
    if now <= 1 {
        host.fatal(
            "HOST-IRP",
            &format!("the IRP at {irp:#x} has no stack location left"),
        );
    }
    let stack: u64 = host.get::<u64>(irp + at::STACK, "Irp") - STACK_SIZE;
    host.put(irp + at::LOCATION, now - 1, "Irp");
    host.put(irp + at::STACK, stack, "Irp");
    host.put(stack + location::DEVICE, device, "IO_STACK_LOCATION");
    stack
}

/// Calls the dispatch routine; what it returned.
fn dispatch(host: &Host, device: u64, irp: u64, stack: u64, handler: u64) -> i32 {
    if handler == 0 {
        host.put(irp + at::STATUS, STATUS_INVALID_DEVICE_REQUEST, "Irp");
        complete(host, irp);
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    let returned = host.call("DriverDispatch", device, handler, &[device, irp]) as u32 as i32;
    // A request that is over may be gone with its stack locations.
    if let Ok(control) = host.arena.read::<u8>(stack + location::CONTROL) {
        let marked = control & SL_PENDING_RETURNED != 0;
        if marked && returned != STATUS_PENDING {
            host.violate(
                "HOST-IRP",
                format!("dispatch marked the IRP pending and returned {returned:#x}"),
            );
        }
    }
    returned
}

impl Host {
    /// Gives a device a request, as a program's call does.
    pub(crate) fn start_request(
        &self,
        device: u64,
        handler: u64,
        request: &Request<'_>,
    ) -> PendingRequest {
        let irp = new_irp(self, 1, "IRP").expect("room for an IRP");
        let (mut buffers, mut mdl, mut out) = (Vec::new(), 0, (0, request.output));
        let mut take = |len: usize, bytes: &[u8]| {
            if len == 0 {
                return 0;
            }
            let at = self.allocate(len as u64, TAG, "request buffer");
            let _ = self.arena.write_bytes(at, bytes);
            buffers.push(at);
            at
        };
        // METHOD_BUFFERED, IN_DIRECT, OUT_DIRECT, NEITHER; reads and writes as the device says.
        let method = if matches!(request.major, IRP_MJ_READ | IRP_MJ_WRITE) {
            match self.get::<u32>(device + 48, "DeviceObject") {
                flags if flags & DO_BUFFERED_IO != 0 => 0,
                flags if flags & DO_DIRECT_IO != 0 => 4,
                _ => 5,
            }
        } else {
            request.code & 3
        };
        let (input, output) = (request.input, request.output);
        let (mut system, mut user, mut third) = (0, 0, 0);
        match method {
            0 => {
                system = take(input.len().max(output), input);
                out.0 = system;
            }
            1 | 2 => {
                system = take(input.len(), input);
                out.0 = take(output, &[]);
            }
            3 => {
                third = take(input.len(), input);
                user = take(output, &[]);
                out.0 = user;
            }
            _ => {
                user = take(input.len().max(output), input);
                out.0 = user;
            }
        }
        if matches!(method, 1 | 2 | 4) && out.0 != 0 {
            let len = input.len() * usize::from(method == 4);
            mdl = allocate_mdl(self, out.0, len.max(output) as u32, "request MDL");
            lock_and_map(self, mdl);
        }
        self.put(irp + at::SYSTEM_BUFFER, system, "Irp");
        self.put(irp + at::MDL, mdl, "Irp");
        self.put(irp + at::USER_BUFFER, user, "Irp");
        // RequestorMode: user.
        self.put(irp + at::MODE, 1_u8, "Irp");
        self.put(irp + at::THREAD, super::wait::current_thread(self), "Irp");
        self.put(irp + at::FILE, request.file, "Irp");
        let stack = descend(self, irp, device);
        self.put(stack, request.major, "IO_STACK_LOCATION");
        self.put(stack + location::FILE, request.file, "IO_STACK_LOCATION");
        let parameters = stack + location::PARAMETERS;
        if matches!(request.major, IRP_MJ_READ | IRP_MJ_WRITE) {
            self.put(
                parameters,
                input.len().max(output) as u32,
                "IO_STACK_LOCATION",
            );
            self.put(parameters + 16, request.offset, "IO_STACK_LOCATION");
        } else {
            self.put(parameters, output as u32, "IO_STACK_LOCATION");
            self.put(parameters + 8, input.len() as u32, "IO_STACK_LOCATION");
            self.put(parameters + 16, request.code, "IO_STACK_LOCATION");
            self.put(parameters + 24, third, "IO_STACK_LOCATION");
        }
        self.nt.lock().expect("nt").requests.insert(irp);
        let returned = self.as_program(|| dispatch(self, device, irp, stack, handler));
        if returned == STATUS_PENDING {
            let control: u8 = self.get(stack + location::CONTROL, "IO_STACK_LOCATION");
            if control & SL_PENDING_RETURNED == 0 {
                self.violate(
                    "HOST-IRP",
                    "dispatch returned STATUS_PENDING without IoMarkIrpPending".into(),
                );
            }
        }
        PendingRequest {
            major: request.major,
            irp,
            buffers,
            mdl,
            out,
            returned,
        }
    }

    /// Whether a request is over.
    pub fn request_is_over(&self, request: &PendingRequest) -> bool {
        let nt = self.nt.lock().expect("nt");
        nt.completed.contains_key(&request.irp)
    }

    /// Cancels a request, as a program's thread does; whether its cancel routine was called.
    pub fn cancel_request(&self, request: &PendingRequest) -> bool {
        !self.request_is_over(request) && cancel(self, request.irp)
    }

    /// Waits for a request to be over and takes it apart.
    pub(crate) fn end_request(&self, request: PendingRequest, limit: u64) -> Answer {
        let irp = request.irp;
        if request.returned == STATUS_PENDING {
            let me = self.local().id;
            self.nt.lock().expect("nt").irp_waiters.insert(irp, me);
            // It is woken; the other engine's wake may come before its wait.
            let step = if self.engine().is_virtual() {
                limit
            } else {
                1_000_000
            };
            self.wait_until("for IoCompleteRequest", step, limit, |h| {
                h.nt.lock().expect("nt").completed.contains_key(&irp)
            });
            self.nt.lock().expect("nt").irp_waiters.remove(&irp);
        }
        let done = {
            let mut nt = self.nt.lock().expect("nt");
            nt.requests.remove(&irp);
            nt.completed.remove(&irp)
        };
        let result = done.unwrap_or_else(|| {
            self.violate(
                "HOST-IRP",
                format!("an IRP_MJ {} request was not completed", request.major),
            );
            IrpResult {
                status: request.returned,
                information: 0,
            }
        });
        if request.returned != STATUS_PENDING && request.returned != result.status {
            self.violate(
                "HOST-IRP",
                format!(
                    "dispatch returned {:#x}, the IRP ended with {:#x}",
                    request.returned, result.status
                ),
            );
        }
        let (at, room) = request.out;
        let counts = matches!(request.major, IRP_MJ_READ | IRP_MJ_DEVICE_CONTROL);
        if counts && result.information > room as u64 {
            self.violate(
                "HOST-IRP",
                format!(
                    "Information is {} for an output buffer of {room}",
                    result.information
                ),
            );
        }
        let shown = if counts {
            (result.information as usize).min(room)
        } else {
            0
        };
        let output = if shown == 0 {
            Vec::new()
        } else {
            self.get_bytes(at, shown, "request buffer")
        };
        if request.mdl != 0 {
            self.put(request.mdl + 10, 0_u16, "Mdl");
            free_mdl(self, request.mdl, "the end of the request");
        }
        self.release(irp);
        for buffer in request.buffers {
            self.release(buffer);
        }
        Answer { result, output }
    }
}

/// Cancels an IRP; whether it had a cancel routine.
fn cancel(host: &Host, irp: u64) -> bool {
    let lock = cancel_lock(&host.arena);
    let old = host.vp().irql();
    host.vp().set_irql(old.max(DISPATCH));
    sync::acquire(host, lock, false, old);
    host.put(irp + at::CANCEL, 1_u8, "Irp");
    let routine: u64 = host.get(irp + at::CANCEL_ROUTINE, "Irp");
    host.put(irp + at::CANCEL_ROUTINE, 0_u64, "Irp");
    if routine == 0 {
        sync::release(host, lock, false, Some(old));
        host.vp().set_irql(old);
        return false;
    }
    host.put(irp + at::CANCEL_IRQL, old, "Irp");
    let stack: u64 = host.get(irp + at::STACK, "Irp");
    let device: u64 = host.get(stack + location::DEVICE, "IO_STACK_LOCATION");
    // The routine releases the lock, which brings the IRQL back to what it was.
    host.call_cancel(device, routine, irp, old);
    true
}

impl Host {
    fn call_cancel(&self, device: u64, routine: u64, irp: u64, old: u8) {
        self.call_by(
            "DRIVER_CANCEL",
            device,
            routine,
            &[device, irp],
            |target, args| {
                // SAFETY: `call_by` checked that the target is the driver's code; a cancel routine
                // takes these two.
                let f: extern "win64" fn(u64, u64) =
                    unsafe { std::mem::transmute(target as usize) };
                f(args[0], args[1]);
                // It came at DISPATCH_LEVEL and leaves at what it was before, by design.
                let left = self.vp().irql();
                if left == old {
                    self.vp().set_irql(DISPATCH);
                }
                0
            },
        );
        let lock = cancel_lock(&self.arena);
        if self
            .local()
            .locks
            .borrow()
            .iter()
            .any(|l| l.address == lock)
        {
            self.violate(
                "LCK-2",
                "a cancel routine returned with the cancel spin lock held".into(),
            );
            sync::release(self, lock, false, None);
        }
        self.vp().set_irql(old);
    }
}

/// Completes an IRP: upward through the stack locations, with their completion routines.
fn complete(host: &Host, irp: u64) {
    let routine: u64 = host.get(irp + at::CANCEL_ROUTINE, "Irp");
    if routine != 0 {
        host.fatal(
            "HOST-IRP",
            &format!("the IRP at {irp:#x} is completed with its cancel routine set"),
        );
    }
    let status: i32 = host.get(irp + at::STATUS, "Irp");
    if status == STATUS_PENDING {
        host.fatal(
            "HOST-IRP",
            &format!("the IRP at {irp:#x} is completed with STATUS_PENDING"),
        );
    }
    let count: i8 = host.get(irp + at::STACK_COUNT, "Irp");
    loop {
        let now: i8 = host.get(irp + at::LOCATION, "Irp");
        if now > count {
            break;
        }
        let stack: u64 = host.get(irp + at::STACK, "Irp");
        let control: u8 = host.get(stack + location::CONTROL, "IO_STACK_LOCATION");
        let [routine, context]: [u64; 2] = host.get(stack + location::ROUTINE, "IO_STACK_LOCATION");
        host.put(irp + at::LOCATION, now + 1, "Irp");
        host.put(irp + at::STACK, stack + STACK_SIZE, "Irp");
        host.put(
            irp + at::PENDING_RETURNED,
            control & SL_PENDING_RETURNED,
            "Irp",
        );
        let status: i32 = host.get(irp + at::STATUS, "Irp");
        let cancelled: u8 = host.get(irp + at::CANCEL, "Irp");
        let asked = (status >= 0 && control & SL_INVOKE_ON_SUCCESS != 0)
            || (status < 0 && control & SL_INVOKE_ON_ERROR != 0)
            || (cancelled != 0 && control & SL_INVOKE_ON_CANCEL != 0);
        if asked && routine != 0 {
            let device = if now < count {
                host.get(stack + STACK_SIZE + location::DEVICE, "IO_STACK_LOCATION")
            } else {
                0
            };
            let verdict = host.call(
                "IO_COMPLETION_ROUTINE",
                device,
                routine,
                &[device, irp, context],
            );
            if verdict as u32 as i32 == MORE_PROCESSING_REQUIRED {
                return;
            }
        } else if now < count && control & SL_PENDING_RETURNED != 0 {
            let above = stack + STACK_SIZE + location::CONTROL;
            let upper: u8 = host.get(above, "IO_STACK_LOCATION");
            host.put(above, upper | SL_PENDING_RETURNED, "IO_STACK_LOCATION");
        }
    }
    finish(host, irp);
}

/// The end of an IRP that nobody took back.
fn finish(host: &Host, irp: u64) {
    let status: i32 = host.get(irp + at::STATUS, "Irp");
    let information: u64 = host.get(irp + at::INFORMATION, "Irp");
    let (ours, again, waiter) = {
        let mut nt = host.nt.lock().expect("nt");
        let ours = nt.requests.contains(&irp);
        let result = IrpResult {
            status,
            information,
        };
        let again = ours && nt.completed.insert(irp, result).is_some();
        (ours, again, nt.irp_waiters.get(&irp).copied())
    };
    if let Some(task) = waiter {
        host.engine().wake(task);
    }
    if again {
        host.fatal(
            "HOST-IRP",
            &format!("the IRP at {irp:#x} is completed twice"),
        );
    }
    if ours {
        return;
    }
    // One of IoBuildDeviceIoControlRequest: its maker waits for the event.
    let iosb: u64 = host.get(irp + at::USER_IOSB, "Irp");
    let event: u64 = host.get(irp + at::USER_EVENT, "Irp");
    if iosb != 0 {
        let [user, system]: [u64; 2] = [
            host.get(irp + at::USER_BUFFER, "Irp"),
            host.get(irp + at::SYSTEM_BUFFER, "Irp"),
        ];
        if user != 0 && system != 0 && status >= 0 {
            let bytes = host.get_bytes(system, information as usize, "SystemBuffer");
            if let Err(wild) = host.arena.write_bytes(user, &bytes) {
                host.fatal("HOST-WILD", &format!("OutputBuffer is {:#x}", wild.address));
            }
        }
        host.put(iosb, status, "IoStatusBlock");
        host.put(iosb + 8, information, "IoStatusBlock");
        if system != 0 {
            super::free_pool(host, system, None, "the end of the request");
        }
    }
    super::free_pool(host, irp, None, "the end of the request");
    if event != 0 {
        set_event(host, event);
    }
}

api! { exports:
    /// Completes an IRP.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IofCompleteRequest(host, irp: u64, _boost: i8) {
        complete(host, irp);
    }

    /// Passes an IRP to a device.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IofCallDriver(host, device: u64, irp: u64) -> i32 {
        let stack = descend(host, irp, device);
        let major: u8 = host.get(stack, "IO_STACK_LOCATION");
        let handler = super::device::handler(host, device, major);
        dispatch(host, device, irp, stack, handler)
    }

    /// Makes an IRP for so many drivers.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoAllocateIrp(host, stack: i8, _charge: u8) -> u64 {
        if host.fails("IoAllocateIrp") {
            return 0;
        }
        new_irp(host, stack as u8, "IoAllocateIrp").unwrap_or(0)
    }

    /// Frees one.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoFreeIrp(host, irp: u64) {
        super::free_pool(host, irp, None, "IoFreeIrp");
    }

    /// Makes one as good as new.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoReuseIrp(host, irp: u64, status: i32) {
        let count: u8 = host.get(irp + at::STACK_COUNT, "Irp");
        let size = IRP_SIZE + STACK_SIZE * u64::from(count);
        for word in (8..size).step_by(8) {
            host.put(irp + word, 0_u64, "Irp");
        }
        host.put(irp + at::STATUS, status, "Irp");
        host.put(irp + at::STACK_COUNT, [count, count + 1], "Irp");
        host.put(irp + at::STACK, irp + size, "Irp");
    }

    /// Makes an IRP that asks a device something; its maker waits for the event.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn IoBuildDeviceIoControlRequest(host, code: u32, device: u64, input: u64, input_len: u32,
        output: u64, output_len: u32, internal: u8, event: u64, iosb: u64) -> u64 {
        if host.fails("IoBuildDeviceIoControlRequest") {
            return 0;
        }
        let depth: u8 = host.get(device + 76, "DeviceObject");
        let Some(irp) = new_irp(host, depth, "IoBuildDeviceIoControlRequest") else {
            return 0;
        };
        let room = input_len.max(output_len);
        if code.trailing_zeros() >= 2 && room > 0 {
            let system = host.allocate(u64::from(room), TAG, "system buffer");
            if input_len > 0 {
                let bytes = host.get_bytes(input, input_len as usize, "InputBuffer");
                let _ = host.arena.write_bytes(system, &bytes);
            }
            host.put(irp + at::SYSTEM_BUFFER, system, "Irp");
        }
        host.put(irp + at::USER_BUFFER, output, "Irp");
        host.put(irp + at::USER_IOSB, [iosb, event], "Irp");
        let stack = host.get::<u64>(irp + at::STACK, "Irp") - STACK_SIZE;
        let major = if internal == 0 { IRP_MJ_DEVICE_CONTROL } else { IRP_MJ_INTERNAL_DEVICE_CONTROL };
        host.put(stack, major, "IO_STACK_LOCATION");
        let parameters = stack + location::PARAMETERS;
        host.put(parameters, output_len, "IO_STACK_LOCATION");
        host.put(parameters + 8, input_len, "IO_STACK_LOCATION");
        host.put(parameters + 16, code, "IO_STACK_LOCATION");
        host.put(parameters + 24, input, "IO_STACK_LOCATION");
        irp
    }

    /// Cancels an IRP; TRUE if it had a cancel routine.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoCancelIrp(host, irp: u64) -> u8 {
        u8::from(cancel(host, irp))
    }

    /// Acquires the lock that guards cancellation.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn IoAcquireCancelSpinLock(host, irql: u64) {
        let old = host.vp().irql();
        host.vp().set_irql(DISPATCH);
        sync::acquire(host, cancel_lock(&host.arena), false, old);
        host.put(irql, old, "Irql");
    }

    /// Releases it.
    "ntoskrnl.exe" 2..=2 "IRQ-9"
    fn IoReleaseCancelSpinLock(host, irql: u8) {
        sync::release(host, cancel_lock(&host.arena), false, Some(irql));
        host.vp().set_irql(irql.min(DISPATCH));
    }

    /// Number of the program that sent an IRP.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoGetRequestorProcessId(host, irp: u64) -> u32 {
        let mode: u8 = host.get(irp + at::MODE, "Irp");
        (if mode == 0 { super::process::SYSTEM } else { super::process::PROGRAM }) as u32
    }
}

//! The crossing between host and driver: IRQL, locks, stack use and the recent calls.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use super::Host;
use super::digest::Digest;
use super::follow::Track;
use crate::api::Api;
use crate::report::{CallKind, CallRecord};
use crate::vp::{DISPATCH, Frame, HeldLock, Local, Vp};

/// Most bytes of stack the driver's own frames should use.
const STACK_LIMIT: u64 = 12 << 10;
const RING: usize = 64;
/// Callbacks whose result is a status; the others leave anything in the result register.
const STATUS: [&str; 12] = [
    "DriverEntry",
    "DriverDispatch",
    "MiniportSetOptions",
    "MiniportInitializeEx",
    "MiniportPause",
    "MiniportRestart",
    "MiniportOidRequest",
    "MiniportDirectOidRequest",
    "ProtocolSetOptions",
    "ProtocolBindAdapterEx",
    "ProtocolUnbindAdapterEx",
    "ProtocolNetPnPEvent",
];

pub(super) struct Record {
    time: u64,
    cpu: u32,
    irql: u8,
    kind: CallKind,
    name: &'static str,
    args: [u64; 6],
    count: u8,
}

#[derive(Default)]
pub(super) struct Ring {
    records: VecDeque<Record>,
    digest: Digest,
    calls: u64,
    /// How often each callback was called, and the number of the last such crossing.
    callbacks: Vec<(&'static str, u64, u64)>,
    /// Crossings that somebody follows.
    pub(super) track: Track,
}

impl Host {
    /// An import begins. `here` is an address on the thunk's own frame.
    pub(crate) fn enter(&self, api: &'static Api, args: &[u64], here: u64) {
        // Before anything else can run on this processor.
        let site = Vp::caller();
        let vp = self.vp();
        let irql = vp.irql();
        // Surplus slots of a variadic call hold whatever the caller had there.
        let fixed = match api.name {
            "NdisWriteErrorLogEntry" => 3,
            _ => args.len(),
        };
        self.record(CallKind::Import, api.name, &args[..fixed], vp.index, irql);
        self.traced(CallKind::Import, api.name, &args[..fixed], 0);
        let local = self.local();
        local.rounds.set(0);
        self.measure(local, here);
        local.frames.borrow_mut().push(Frame {
            name: api.name,
            rsp: here,
            callback: false,
            subject: 0,
            locks: 0,
            began: self.crossings(),
            site,
        });
        let right = (api.low..=api.high).contains(&irql);
        // Events neither wait nor call back; Microsoft's own samples set them under a lock.
        let harmless = || {
            (api.name.contains("Lock") || api.name.ends_with("Event"))
                && api.name != "NdisWaitEvent"
        };
        let held = !local.locks.borrow().is_empty();
        if held && right && api.dll == "ndis.sys" && !harmless() {
            self.no_lock_held(api.name);
        }
        self.not_pageable(site, irql);
        let waits = || {
            ["Free", "Wait", "Sleep"]
                .iter()
                .any(|w| api.name.contains(w))
        };
        if self.in_shutdown() && (!right || waits()) {
            self.violate(
                "DPE-3",
                format!(
                    "{} is called inside MiniportShutdownEx, at IRQL {irql}",
                    api.name
                ),
            );
        } else if !right {
            self.violate(
                api.rule,
                format!(
                    "{} called at IRQL {irql}, legal is {}",
                    api.name,
                    if api.low == api.high {
                        api.low.to_string()
                    } else {
                        format!("{} to {}", api.low, api.high)
                    }
                ),
            );
        }
        if irql <= DISPATCH {
            self.watched(|| self.engine.switch());
        }
    }

    /// DPE-3: a miniport that is told that the system stops frees nothing, waits for nothing,
    /// and at HIGH_LEVEL calls only what is legal there.
    fn in_shutdown(&self) -> bool {
        let frames = self.local().frames.borrow();
        let callback = frames.iter().rev().find(|f| f.callback);
        callback.is_some_and(|f| f.name == "MiniportShutdownEx")
    }

    /// An import ends.
    pub(crate) fn leave(&self, api: &'static Api, result: u64) {
        let vp = self.vp();
        if vp.irql() <= DISPATCH {
            self.watched(|| self.engine.switch());
        }
        let vp = self.vp();
        self.record(CallKind::Return, api.name, &[result], vp.index, vp.irql());
        self.traced(CallKind::Return, api.name, &[result], 0);
        let local = self.local();
        local.frames.borrow_mut().pop();
        self.steps_on(local);
    }

    /// Notes something that is neither an import nor a callback: an exception, an instruction
    /// that the host carried out.
    pub(crate) fn note(&self, kind: CallKind, name: &'static str, args: &[u64]) {
        let vp = self.vp();
        self.record(kind, name, args, vp.index, vp.irql());
    }

    fn record(&self, kind: CallKind, name: &'static str, args: &[u64], cpu: u32, irql: u8) {
        let mut six = [0; 6];
        let count = args.len().min(6);
        six[..count].copy_from_slice(&args[..count]);
        let time = self.engine.now();
        let event = self.event_of(kind, name, &six);
        let mut ring = self.ring.lock().expect("ring");
        ring.track.note(|| (time, kind, name, six, event));
        // Of real threads no two runs are equal.
        if self.engine.is_virtual() {
            let digest = &mut ring.digest;
            let what = (kind as u64) << 56
                | u64::from(irql) << 48
                | u64::from(cpu) << 32
                | args.len() as u64;
            digest.word(what);
            digest.word(time);
            digest.bytes(name.as_bytes());
            for &arg in args {
                digest.value(&self.arena, arg);
            }
            digest.handed_over(&self.arena, name, args);
        }
        ring.calls += 1;
        if kind == CallKind::Callback {
            let serial = ring.calls;
            match ring.callbacks.iter_mut().find(|c| c.0 == name) {
                Some(entry) => (entry.1, entry.2) = (entry.1 + 1, serial),
                None => ring.callbacks.push((name, 1, serial)),
            }
        }
        if ring.records.len() == RING {
            ring.records.pop_front();
        }
        ring.records.push_back(Record {
            time,
            cpu,
            irql,
            kind,
            name,
            args: six,
            count: count as u8,
        });
    }

    /// IRQ-24: code that runs at a raised IRQL is not pageable.
    fn not_pageable(&self, code: u64, irql: u8) {
        if irql < DISPATCH {
            return;
        }
        let Some(image) = self.image_at(code) else {
            return;
        };
        let section = image
            .sections
            .iter()
            .find(|s| (s.start..s.start + s.len).contains(&code));
        if let Some(section) = section.filter(|s| s.name.starts_with("PAGE")) {
            self.violate(
                "IRQ-24",
                format!(
                    "code at {code:#x} in the pageable section {} runs at IRQL {irql}",
                    section.name
                ),
            );
        }
    }

    /// Adds up the driver's own stack bytes of all open callbacks.
    fn measure(&self, local: &Local, here: u64) {
        let frames = local.frames.borrow();
        let mut used = 0;
        let mut inner = here;
        for frame in frames.iter().rev() {
            if frame.callback {
                used += frame.rsp.saturating_sub(inner);
            }
            inner = frame.rsp;
        }
        let name = frames.iter().rev().find(|f| f.callback).map(|f| f.name);
        drop(frames);
        let before = self.deepest.fetch_max(used, Ordering::Relaxed);
        if used > STACK_LIMIT && before <= STACK_LIMIT {
            self.violate(
                "HOST-STACK",
                format!(
                    "{used} bytes of stack are in use by the driver inside {}",
                    name.unwrap_or("an import")
                ),
            );
        }
    }

    /// Most bytes of its own stack the driver used at any crossing.
    pub fn deepest_stack(&self) -> u64 {
        self.deepest.load(Ordering::Relaxed)
    }

    /// Calls the driver at the current IRQL. `subject` is the handle the callback is about.
    pub(crate) fn call(&self, name: &'static str, subject: u64, target: u64, args: &[u64]) -> u64 {
        self.call_by(name, subject, target, args, invoke)
    }

    /// As [`Host::call`], with another way to get there.
    pub(crate) fn call_by(
        &self,
        name: &'static str,
        subject: u64,
        target: u64,
        args: &[u64],
        invoke: impl FnOnce(u64, &[u64]) -> u64,
    ) -> u64 {
        // In unit tests of the host the driver is host code.
        let code = cfg!(test) || self.image_at(target).is_some_and(|i| i.is_code(target));
        if !code {
            self.fatal(
                "MEM-3",
                &format!("{name} is {target:#x}, which is not code of the driver"),
            );
        }
        let vp = self.vp();
        let irql = vp.irql();
        self.not_pageable(target, irql);
        let raised = self.local().raised.borrow().len();
        self.record(CallKind::Callback, name, args, vp.index, irql);
        self.traced(CallKind::Callback, name, args, subject);
        let here = 0_u8;
        let local: *const Local = self.local();
        // SAFETY: the task's `Local` outlives this call, which runs in the task.
        let local = unsafe { &*local };
        let locks = local.locks.borrow().len();
        local.frames.borrow_mut().push(Frame {
            name,
            rsp: &raw const here as u64,
            callback: true,
            subject,
            locks,
            began: self.crossings(),
            site: 0,
        });
        let steps = self.steps_into(name, || self.callbacks(name).0);
        let start = self.now();
        if steps {
            super::preempt::step_now();
        }
        let result = invoke(target, args);
        if steps {
            self.steps_out();
        }
        self.judge_duration(name, start);
        local.frames.borrow_mut().pop();
        let vp = self.vp();
        let status = [result & 0xFFFF_FFFF];
        let shown: &[u64] = if STATUS.contains(&name) { &status } else { &[] };
        self.record(CallKind::Return, name, shown, vp.index, vp.irql());
        self.traced(CallKind::Return, name, shown, subject);
        local.raised.borrow_mut().truncate(raised);
        if vp.irql() != irql {
            self.violate(
                "IRQ-24",
                format!(
                    "{name} was called at IRQL {irql} and returned at {}",
                    vp.irql()
                ),
            );
            vp.set_irql(irql);
        }
        let held: Vec<HeldLock> = {
            let mut held = local.locks.borrow_mut();
            let keep = locks.min(held.len());
            held.drain(keep..).collect()
        };
        for lock in held {
            if lock.shared {
                self.violate(
                    "LCK-7",
                    format!(
                        "{name} returned with the read-write lock {:#x} held",
                        lock.address
                    ),
                );
                self.let_go_shared(lock.address);
            } else {
                self.violate(
                    "LCK-2",
                    format!(
                        "{name} returned with the spin lock at {:#x} held",
                        lock.address
                    ),
                );
                crate::nt::let_go(self, lock.address);
            }
        }
        result
    }

    /// BUG-1: handlers that hold up the stack and have nothing to wait for end promptly. Those
    /// that wait for lists have limits of their own (SND-20, PBS-2, MPS-3).
    fn judge_duration(&self, name: &str, began: u64) {
        const LIMIT: u64 = 10_000_000_000;
        const PROMPT: [&str; 3] = ["MiniportHaltEx", "MiniportPause", "ProtocolStatusEx"];
        let took = self.now().saturating_sub(began);
        if took > LIMIT && PROMPT.contains(&name) {
            self.violate("BUG-1", format!("{name} took {} s", took / 1_000_000_000));
        }
    }

    /// The last host calls, oldest first.
    pub fn calls(&self) -> Vec<CallRecord> {
        let Ok(ring) = self.ring.try_lock() else {
            return Vec::new();
        };
        ring.records
            .iter()
            .map(|r| CallRecord {
                time: r.time,
                cpu: r.cpu,
                irql: r.irql,
                kind: r.kind,
                name: r.name.to_owned(),
                args: r.args[..usize::from(r.count)].to_vec(),
            })
            .collect()
    }

    /// Callbacks that were called since the start.
    pub fn callbacks_called(&self) -> Vec<&'static str> {
        let ring = self.ring.lock().expect("ring");
        ring.callbacks.iter().map(|entry| entry.0).collect()
    }

    /// How often a callback of this name was called, and the number of its last crossing:
    /// of two callbacks, the one with the larger number was called later.
    pub fn callbacks(&self, name: &str) -> (u64, u64) {
        let ring = self.ring.lock().expect("ring");
        ring.callbacks
            .iter()
            .find(|c| c.0 == name)
            .map_or((0, 0), |c| (c.1, c.2))
    }

    /// Digest of every call so far with time, processor, IRQL, arguments, results and bytes of
    /// frames; see the module `digest`.
    pub fn trace_hash(&self) -> u64 {
        self.ring.lock().expect("ring").digest.finish()
    }

    /// Takes a stop inside driver code into the digest.
    pub(super) fn note_stop(&self, why: u8, place: u64) {
        let mut ring = self.ring.lock().expect("ring");
        ring.digest.word(u64::from(why) << 56 | 1 << 55);
        ring.digest.word(place);
    }

    /// Number of crossings so far.
    pub fn crossings(&self) -> u64 {
        self.ring.lock().expect("ring").calls
    }
}

/// Calls `target` with the Windows x64 convention.
fn invoke(target: u64, args: &[u64]) -> u64 {
    let arg = |i: usize| args.get(i).copied().unwrap_or(0);
    // SAFETY: the caller checked that `target` is code of the loaded driver, and passes the
    // arguments that callback takes; surplus register arguments are ignored by the callee.
    unsafe {
        match args.len() {
            0..=4 => {
                let f: extern "win64" fn(u64, u64, u64, u64) -> u64 =
                    std::mem::transmute(target as usize);
                f(arg(0), arg(1), arg(2), arg(3))
            }
            5 => {
                let f: extern "win64" fn(u64, u64, u64, u64, u64) -> u64 =
                    std::mem::transmute(target as usize);
                f(arg(0), arg(1), arg(2), arg(3), arg(4))
            }
            _ => {
                let f: extern "win64" fn(u64, u64, u64, u64, u64, u64) -> u64 =
                    std::mem::transmute(target as usize);
                f(arg(0), arg(1), arg(2), arg(3), arg(4), arg(5))
            }
        }
    }
}

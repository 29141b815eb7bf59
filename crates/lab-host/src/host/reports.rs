//! What the host says: findings, crashes, log lines, and the driver's stack with them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Host;
use crate::report::{Crash, CrashKind, Event, Finding, Severity, Sink, StackSnapshot};
use crate::vp::Vp;

impl Host {
    /// Where events go.
    pub fn sink(&self) -> &Arc<dyn Sink> {
        &self.sink
    }

    /// Logs a line.
    pub fn log(&self, level: u32, source: &str, text: impl Into<String>) {
        self.sink.event(Event::Log {
            level,
            source: source.into(),
            text: text.into(),
            time: self.engine.now(),
        });
    }

    /// Whether the driver's own lines are shown (they are, until this says otherwise).
    pub fn set_quiet(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::Relaxed);
    }

    /// A line the driver printed.
    pub(crate) fn driver_line(&self, level: u32, text: &str) {
        if !self.quiet.load(Ordering::Relaxed) {
            self.log(level, "driver", text);
        }
    }

    /// Reports a broken rule; the run goes on.
    pub fn violate(&self, rule: &str, message: String) {
        let stack = self.in_task().and_then(|vp| self.stack(vp));
        self.violate_with(rule, message, stack);
    }

    /// The same, with the stack to show.
    pub(crate) fn violate_with(&self, rule: &str, message: String, stack: Option<StackSnapshot>) {
        let severity = self
            .severities
            .get(rule)
            .copied()
            .unwrap_or(Severity::Error);
        let in_task = self.in_task();
        let (cpu, irql) = in_task.map_or((0, 0), |vp| (vp.index, vp.irql()));
        let task = in_task.and_then(Vp::local).map_or(0, |local| local.id);
        self.trace_finding(cpu, task, rule, &message);
        self.publish(Finding {
            rule: rule.to_owned(),
            severity,
            objects: self.objects_in(&message),
            page: self.page_of(rule),
            message,
            time: self.engine.now(),
            cpu,
            irql,
            calls: self.calls(),
            stack,
        });
    }

    /// Reports the rule that a fault of the driver breaks. For the thread that died: asks
    /// nothing that it may have been in the middle of.
    pub fn blame_fault(&self, address: u64, stack: Option<StackSnapshot>) {
        let (rule, message) = self.fault_rule(address);
        let calls = self.calls();
        let (time, cpu, irql) = calls
            .last()
            .map_or((0, 0, 0), |call| (call.time, call.cpu, call.irql));
        self.publish(Finding {
            rule: rule.to_owned(),
            severity: Severity::Bugcheck,
            objects: self.objects_in(&message),
            page: self.page_of(rule),
            message,
            time,
            cpu,
            irql,
            calls,
            stack,
        });
    }

    /// Page of the documentation that a rule is from.
    fn page_of(&self, rule: &str) -> String {
        self.pages.get(rule).cloned().unwrap_or_default()
    }

    fn publish(&self, finding: Finding) {
        self.findings
            .lock()
            .expect("findings")
            .push(finding.clone());
        self.sink.event(Event::Finding(finding));
    }

    /// Reports a broken rule after which the driver cannot go on.
    pub(crate) fn fatal(&self, rule: &str, message: &str) -> ! {
        self.violate(rule, message.to_owned());
        self.stop(
            CrashKind::BugCheck {
                code: 0x7C,
                parameters: [0; 4],
            },
            message,
        )
    }

    /// Ends the run with a crash record.
    pub(crate) fn stop(&self, kind: CrashKind, message: &str) -> ! {
        let stack = self.stack(self.vp());
        self.stop_with(kind, message, stack)
    }

    /// The same, with the stack to show.
    pub(crate) fn stop_with(
        &self,
        kind: CrashKind,
        message: &str,
        stack: Option<StackSnapshot>,
    ) -> ! {
        let vp = self.vp();
        self.crashed.store(true, Ordering::Relaxed);
        self.trace_flush();
        self.sink.event(Event::Crash(Crash {
            kind,
            message: message.to_owned(),
            registers: Vec::new(),
            time: self.engine.now(),
            cpu: vp.index,
            irql: vp.irql(),
            calls: self.calls(),
            stack,
        }));
        self.engine.abandon()
    }

    /// A driver handed in a handle that is stale or of another kind.
    pub(crate) fn bad_handle(&self, what: &str, handle: u64, error: crate::handle::HandleError) {
        let name = self
            .local()
            .frames
            .borrow()
            .last()
            .map_or("the host", |f| f.name);
        // What stands for an edge has one rule wherever it is used (DE-6), and a miniport that
        // was halted another (HLT-4).
        let edge = what.contains("Driver") || what.contains("Protocol");
        let rule = match error {
            crate::handle::HandleError::Stale(crate::handle::Kind::Miniport) => "HLT-4",
            _ if edge => "DE-6",
            _ => "HOST-HANDLE",
        };
        self.violate(rule, format!("{name}: {what} {handle:#x} {error}"));
    }

    /// Sets a trap on an instruction of the driver; false when `at` is not its code.
    pub fn set_trap(&self, at: u64, stays: bool, action: crate::trap::Action) -> bool {
        let Some(image) = self.image_at(at).filter(|i| i.is_code(at)) else {
            return false;
        };
        let Some(&original) = image.pristine().get((at - image.base) as usize) else {
            return false;
        };
        self.marks.yield_to_trap(&self.arena, at);
        self.traps.set(&self.arena, at, original, stays, action);
        self.rearm(Some(at));
        true
    }

    /// Takes a trap away; how often it was hit.
    pub fn clear_trap(&self, at: u64) -> u64 {
        let hits = self.traps.clear(&self.arena, at);
        self.rearm(Some(at));
        hits
    }

    /// Stops the task for good that the calling thread ran when its driver code faulted, and
    /// the run with it, which ends as dead: the process goes on with [`Host::reset`]. Only on the
    /// deterministic engine, where a run has one thread.
    pub fn give_up_task(&self) -> ! {
        self.crashed.store(true, Ordering::Relaxed);
        self.engine.abandon()
    }

    fn in_task(&self) -> Option<&Vp> {
        // A task runs on this thread exactly when its stack is one of the arena's.
        let here = 0_u8;
        self.arena
            .stack_of(&raw const here as u64)
            .map(|_| self.vp())
            .filter(|vp| vp.local().is_some())
    }

    /// What was found so far.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.lock().expect("findings").clone()
    }

    /// Whether the run ended early.
    pub fn crashed(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    /// The driver's stack at its last call into the host: the return address is found by
    /// looking upward for a word that points just behind a call instruction of the image.
    fn stack(&self, vp: &Vp) -> Option<StackSnapshot> {
        let image = self.image()?;
        let here = 0_u8;
        let local = vp.local()?;
        let (low, size) = self
            .arena
            .stack(self.arena.stack_of(&raw const here as u64)?);
        let top = low + size;
        let frames = local.frames.borrow();
        let start = frames.last().map_or(&raw const here as u64, |f| f.rsp);
        drop(frames);
        let mut at = start & !7;
        while at + 8 <= top {
            let word: u64 = self.arena.read(at).ok()?;
            if image.is_code(word) && self.follows_call(word) {
                let len = (top - at - 8).min(8192) as usize;
                let mut bytes = vec![0; len];
                self.arena.read_bytes(at + 8, &mut bytes).ok()?;
                return Some(StackSnapshot {
                    rip: word,
                    rsp: at + 8,
                    rbp: 0,
                    bytes,
                    image_base: image.base,
                    image_size: image.size,
                });
            }
            at += 8;
        }
        None
    }

    fn follows_call(&self, address: u64) -> bool {
        let mut before = [0_u8; 7];
        if self.arena.read_bytes(address - 7, &mut before).is_err() {
            return false;
        }
        // call rel32; call [rip+disp32]; call reg; call [reg+disp8]
        before[2] == 0xE8
            || (before[1] == 0xFF && before[2] & 0x38 == 0x10)
            || (before[5] == 0xFF && before[6] & 0x38 == 0x10)
            || (before[4] == 0xFF && before[5] & 0x38 == 0x10)
    }
}

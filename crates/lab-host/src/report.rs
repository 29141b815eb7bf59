//! What the host tells the outside: log lines, findings, progress, the summary
//! and the record of a crash. Every type is plain data, so that the confined
//! child process can hand it to its parent over a pipe.

use serde::{Deserialize, Serialize};

/// How bad a finding is; the words of the rule table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Goes against advice.
    Warning,
    /// Breaks a stated requirement.
    Error,
    /// What NDIS or Driver Verifier stops the system for.
    Bugcheck,
}

/// One line of the ring of host calls: the driver called an import, or the host called a callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Nanoseconds since the host started (virtual in deterministic runs).
    pub time: u64,
    /// Virtual processor.
    pub cpu: u32,
    /// IRQL at the call.
    pub irql: u8,
    /// `import` (driver to host), `callback` (host to driver), or `return` of either.
    pub kind: CallKind,
    /// Name of the function, `ndis.sys!NdisOpenAdapterEx` or `ProtocolBindAdapterEx`.
    pub name: String,
    /// Arguments as passed in registers (the result for `return`).
    pub args: Vec<u64>,
}

/// Direction of a [`CallRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// Driver into host.
    Import,
    /// Host into driver.
    Callback,
    /// End of an import or callback.
    Return,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Rule id of the contract, `SND-7`; ids that start with `HOST-` are the host's own.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What happened, with the objects involved.
    pub message: String,
    /// Page of the documentation, empty for the host's own rules.
    #[serde(default)]
    pub page: String,
    /// The objects that the message names, and their past.
    #[serde(default)]
    pub objects: Vec<ObjectRecord>,
    /// Virtual time in nanoseconds.
    pub time: u64,
    /// Virtual processor.
    pub cpu: u32,
    /// IRQL then.
    pub irql: u8,
    /// The last host calls, oldest first.
    pub calls: Vec<CallRecord>,
    /// The driver's stack, for the parent to unwind.
    pub stack: Option<StackSnapshot>,
}

/// An object that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// Its address, or the handle.
    pub address: u64,
    /// What it is.
    pub what: String,
    /// Who had it when, and by which call; oldest first.
    pub history: Vec<String>,
}

/// Registers and raw stack bytes at a point inside or just outside driver code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackSnapshot {
    /// Instruction pointer (absolute).
    pub rip: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// Frame pointer.
    pub rbp: u64,
    /// Bytes from `rsp` upward, at most a few KiB.
    pub bytes: Vec<u8>,
    /// Where the image is mapped.
    pub image_base: u64,
    /// Its size.
    pub image_size: u64,
}

/// The driver faulted, bug-checked or hung; the run is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// What kind of end.
    pub kind: CrashKind,
    /// One sentence.
    pub message: String,
    /// General registers by name, where known.
    pub registers: Vec<(String, u64)>,
    /// Virtual time in nanoseconds.
    pub time: u64,
    /// Virtual processor.
    pub cpu: u32,
    /// IRQL then.
    pub irql: u8,
    /// The last host calls, oldest first.
    pub calls: Vec<CallRecord>,
    /// The driver's stack.
    pub stack: Option<StackSnapshot>,
}

/// Kinds of [`Crash`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashKind {
    /// A fault at an instruction of the driver.
    Fault {
        /// Signal number.
        signal: i32,
        /// Faulting address.
        address: u64,
        /// What the host knows of that address ("freed pool 'Pthr', freed by …").
        what: String,
    },
    /// `KeBugCheckEx`, or a finding after which the driver cannot go on.
    BugCheck {
        /// Bug check code.
        code: u32,
        /// Its four parameters.
        parameters: [u64; 4],
    },
    /// Nothing can run any more and nothing is due.
    Hang {
        /// Who waits for what, a line each.
        waiting: Vec<String>,
    },
    /// The host itself failed; not the driver's fault.
    Host,
}

/// What goes to the sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A line the driver printed (`DbgPrint` and the like) or the host logs.
    Log {
        /// `DPFLTR` level of the driver's line (0 error … 3 info); 3 for plain `DbgPrint`.
        level: u32,
        /// Who: `driver` or a part of the host.
        source: String,
        /// The line.
        text: String,
        /// Nanoseconds.
        time: u64,
    },
    /// A broken rule.
    Finding(Finding),
    /// How far a long step is.
    Progress {
        /// What is being done.
        what: String,
        /// Done so far.
        done: u64,
        /// Of how many (0 = unknown).
        total: u64,
    },
    /// Results of the scenario, as JSON for the renderer.
    Summary {
        /// The document.
        value: serde_json::Value,
    },
    /// The end, early.
    Crash(Crash),
}

/// Where events go.
pub trait Sink: Send + Sync {
    /// Takes one event. Called from driver context: must not block on the host's own locks.
    fn event(&self, event: Event);
}

/// Keeps events in memory; for tests.
#[derive(Default)]
pub struct Collect(pub std::sync::Mutex<Vec<Event>>);

impl Sink for Collect {
    fn event(&self, event: Event) {
        self.0.lock().expect("collector").push(event);
    }
}

//! Writes down every crossing, for those who want to see what happened.
//!
//! A host that was not told to trace compares one word per crossing. One that was writes a
//! [`Record`] for each import, callback and return, with what it is about under a name that
//! stays: lists, requests, bindings, miniports. Names follow from the crossings alone, so that
//! equal runs have equal traces.
//!
//! The tracer's lock is a leaf: it may be taken under that of the NDIS part, never the other way,
//! and is not held while the driver or another part of the host runs.

pub(crate) mod coverage;
mod follow;
mod read;
pub mod record;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use coverage::Block;
pub use record::{Bytes, Crossing, List, ObjectKind, Oid, ReadError, Reader, Record, Wire};

use crate::handle::{Kind, is_handle};
use crate::host::Host;
use crate::ndis::Ndis;
use crate::report::CallKind;
use follow::Follow;

/// Bytes that are written together.
const CHUNK: usize = 256 << 10;

/// What is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Octets of each frame that are kept; 0 for none.
    pub snap: u32,
    /// Crossings after which the trace is full.
    pub limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            snap: 65_535,
            limit: u64::MAX,
        }
    }
}

/// Writes a trace.
pub(crate) struct Tracer {
    options: Options,
    /// No more is written.
    full: AtomicBool,
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    texts: HashMap<&'static str, u32>,
    objects: HashMap<u64, u32>,
    /// Adapters by their number in the host.
    adapters: HashMap<usize, u32>,
    /// Objects so far, and how many of each other kind.
    made: u32,
    kinds: HashMap<&'static str, u32>,
    tasks: HashSet<u64>,
    follow: Follow,
    crossings: u64,
}

impl State {
    fn put(&mut self, record: &Record) {
        let start = self.buffer.len();
        self.buffer.extend([0; 4]);
        // Writing into memory; the types have no form that cannot be written.
        let taken = std::mem::take(&mut self.buffer);
        self.buffer = postcard::to_extend(record, taken).unwrap_or_default();
        let length = self.buffer.len().saturating_sub(start + 4) as u32;
        if let Some(at) = self.buffer.get_mut(start..start + 4) {
            at.copy_from_slice(&length.to_le_bytes());
        }
        if self.buffer.len() >= CHUNK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // A reader that is gone is a parent that is gone.
        let _ = self.out.write_all(&self.buffer);
        let _ = self.out.flush();
        self.buffer.clear();
    }

    fn text(&mut self, text: &'static str) -> u32 {
        if let Some(&id) = self.texts.get(text) {
            return id;
        }
        let id = self.texts.len() as u32;
        self.texts.insert(text, id);
        self.put(&Record::Text {
            id,
            text: text.to_owned(),
        });
        id
    }

    fn object(&mut self, kind: ObjectKind, name: String) -> u32 {
        let id = self.made;
        self.made += 1;
        self.put(&Record::Object { id, kind, name });
        id
    }

    fn adapter(&mut self, index: usize, name: impl FnOnce() -> String) -> u32 {
        if let Some(&id) = self.adapters.get(&index) {
            return id;
        }
        let id = self.object(ObjectKind::Adapter, name());
        self.adapters.insert(index, id);
        id
    }

    /// The object of a handle.
    fn handle(&mut self, n: &Ndis, handle: u64) -> Option<u32> {
        if !is_handle(handle) {
            return None;
        }
        if let Some(&id) = self.objects.get(&handle) {
            return Some(id);
        }
        let nic_name = |nic: usize| n.nics.get(nic).map(|x| x.config.name.clone());
        let found = n.handles.kind(handle).ok()?;
        let (kind, name, nic) = match found {
            Kind::Binding => {
                let nic = n.bindings.get(&handle).map(|b| b.nic);
                let name = nic.and_then(nic_name).unwrap_or_default();
                (ObjectKind::Binding, name, None)
            }
            Kind::Bind => {
                let nic = n.binds.get(&handle)?.nic;
                (
                    ObjectKind::Other,
                    format!("bind of {}", nic_name(nic)?),
                    None,
                )
            }
            Kind::Miniport => (
                ObjectKind::Miniport,
                n.miniports.get(&handle)?.name.clone(),
                None,
            ),
            Kind::Nic => {
                let nic = n.nics.iter().position(|x| x.sources().contains(&handle))?;
                (ObjectKind::Adapter, nic_name(nic)?, Some(nic))
            }
            Kind::Upper => {
                let upper = n.uppers.iter().find(|u| u.source() == handle)?;
                (ObjectKind::Protocol, upper.config.device.clone(), None)
            }
            other => (ObjectKind::Other, words(other).to_owned(), None),
        };
        let id = match (kind, nic) {
            (_, Some(nic)) => self.adapter(nic, || name),
            (ObjectKind::Other, None) => {
                // Handles of one kind are told apart by their order.
                let count = self.kinds.entry(words(found)).or_default();
                *count += 1;
                let name = format!("{name} {count}");
                self.object(ObjectKind::Other, name)
            }
            (kind, None) => self.object(kind, name),
        };
        self.objects.insert(handle, id);
        Some(id)
    }
}

/// What a handle is called.
fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::MiniportDriver => "miniport driver",
        Kind::ProtocolDriver => "protocol driver",
        Kind::Bind => "bind",
        Kind::Unbind => "unbind",
        Kind::Configuration => "configuration",
        Kind::NblPool => "list pool",
        Kind::NbPool => "buffer pool",
        Kind::WorkItem => "work item",
        Kind::Timer => "timer",
        Kind::RwLock => "lock",
        Kind::Device => "device",
        _ => "object",
    }
}

/// A crossing as the host sees it.
pub(crate) struct Seen<'a> {
    pub(crate) kind: CallKind,
    pub(crate) name: &'static str,
    pub(crate) args: &'a [u64],
    /// Handle that a callback is about, 0 if none.
    pub(crate) subject: u64,
}

impl Tracer {
    fn new(out: Box<dyn Write + Send>, options: Options, seed: u64, processors: u32) -> Self {
        let mut state = State {
            out,
            buffer: record::MAGIC.to_vec(),
            texts: HashMap::new(),
            objects: HashMap::new(),
            adapters: HashMap::new(),
            made: 0,
            kinds: HashMap::new(),
            tasks: HashSet::new(),
            follow: Follow::default(),
            crossings: 0,
        };
        state.put(&Record::Start { seed, processors });
        Self {
            options,
            full: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn crossing(&self, host: &Host, seen: &Seen<'_>) {
        if self.full.load(Ordering::Relaxed) {
            return;
        }
        let vp = host.vp();
        let (cpu, irql) = (vp.index, vp.irql());
        let task = host.local().id;
        let time = host.now();
        host.ndis(|n| self.write(host, n, seen, (time, cpu, irql, task)));
    }

    fn write(
        &self,
        host: &Host,
        n: &Ndis,
        seen: &Seen<'_>,
        (time, cpu, irql, task): (u64, u32, u8, u64),
    ) {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.crossings >= self.options.limit {
            self.full.store(true, Ordering::Relaxed);
            state.put(&Record::Full);
            state.flush();
            return;
        }
        state.crossings += 1;
        if state.tasks.insert(task) {
            let name = host.local().name.clone();
            state.put(&Record::Task { id: task, name });
        }
        let name = state.text(seen.name);
        let mut objects = Vec::new();
        for &handle in std::iter::once(&seen.subject).chain(seen.args) {
            if let Some(id) = state.handle(n, handle)
                && !objects.contains(&id)
            {
                objects.push(id);
            }
        }
        let mut follow = std::mem::take(&mut state.follow);
        let (lists, oid) = follow.crossing(host, task, seen, self.options.snap, &mut |handle| {
            state.handle(n, handle)
        });
        state.follow = follow;
        state.put(&Record::Crossing(Crossing {
            time,
            cpu,
            irql,
            task,
            kind: seen.kind,
            name,
            args: seen.args.to_vec(),
            objects,
            lists,
            oid,
        }));
    }

    /// A frame is on the wire of an adapter. Called under the lock of the NDIS part.
    pub(crate) fn wire(
        &self,
        nic: usize,
        name: &str,
        time: u64,
        up: bool,
        dropped: bool,
        frame: &[u8],
    ) {
        if self.full.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state();
        let adapter = state.adapter(nic, || name.to_owned());
        let kept = frame.len().min(self.options.snap as usize);
        state.put(&Record::Wire(Wire {
            time,
            adapter,
            up,
            dropped,
            frame: Bytes {
                length: frame.len() as u32,
                bytes: frame[..kept].to_vec(),
            },
        }));
    }
}

impl Host {
    /// Writes every crossing to `out` from now on, for as long as the host lives; whether this
    /// was the first such order.
    pub fn trace_to(&self, out: Box<dyn Write + Send>, options: Options) -> bool {
        let tracer = Tracer::new(out, options, self.config.seed, self.processors());
        let tracer = Arc::new(tracer);
        let first = self.tracer.set(Arc::clone(&tracer)).is_ok();
        if first {
            self.ndis(|n| {
                for (index, nic) in n.nics.iter_mut().enumerate() {
                    nic.trace_with(index, Some(&tracer));
                }
            });
        }
        first
    }

    /// Writes out what the tracer still holds. Never waits for a lock: also for a process
    /// that is about to die.
    pub fn trace_flush(&self) {
        if let Some(tracer) = self.tracer.get()
            && let Ok(mut state) = tracer.state.try_lock()
        {
            state.flush();
        }
    }

    /// A crossing; without a tracer this is one comparison.
    #[inline]
    pub(crate) fn traced(&self, kind: CallKind, name: &'static str, args: &[u64], subject: u64) {
        if let Some(tracer) = self.tracer.get() {
            tracer.crossing(
                self,
                &Seen {
                    kind,
                    name,
                    args,
                    subject,
                },
            );
        }
    }

    /// The host starts over.
    pub(crate) fn trace_reset(&self, seed: u64) {
        let Some(tracer) = self.tracer.get() else {
            return;
        };
        let mut state = tracer.state();
        state.objects.clear();
        state.adapters.clear();
        state.kinds.clear();
        state.tasks.clear();
        state.follow = Follow::default();
        state.put(&Record::Start {
            seed,
            processors: self.processors(),
        });
    }

    /// A rule was broken.
    pub(crate) fn trace_finding(&self, cpu: u32, task: u64, rule: &str, message: &str) {
        let Some(tracer) = self.tracer.get() else {
            return;
        };
        let time = self.now();
        tracer.state().put(&Record::Finding {
            time,
            cpu,
            task,
            rule: rule.to_owned(),
            message: message.to_owned(),
        });
    }
}

/// Where a host's trace goes, for those who have no host at hand.
pub(crate) type Shared = std::sync::OnceLock<Arc<Tracer>>;

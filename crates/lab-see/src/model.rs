//! A trace, read whole, with every number turned into its name.

use std::collections::HashMap;
use std::io::Read;

use lab_host::report::CallKind;
use lab_host::trace::{Crossing, List, ObjectKind, Oid, ReadError, Reader, Record};

/// A named thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
}

/// A call that begins or ends.
#[derive(Clone, Debug)]
pub struct Call {
    /// IRQL.
    pub irql: u8,
    /// Which way, or back.
    pub kind: CallKind,
    /// The function.
    pub name: String,
    /// Arguments; of a return the result.
    pub args: Vec<u64>,
    /// Objects it is about.
    pub objects: Vec<usize>,
    /// Lists that change hands.
    pub lists: Vec<List>,
    /// The request it is about.
    pub oid: Option<Oid>,
    /// Calls of the task that are open around it.
    pub depth: usize,
    /// The driver is the one that is called (else the host): of a return, the one that was.
    pub callback: bool,
}

/// A frame on a wire.
#[derive(Clone, Debug)]
pub struct OnWire {
    /// The adapter.
    pub adapter: usize,
    /// Towards the host.
    pub up: bool,
    /// It is lost there.
    pub dropped: bool,
    /// How long it is.
    pub length: u32,
    /// Its bytes, as far as they were kept.
    pub bytes: Vec<u8>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// A call begins or ends.
    Call(Call),
    /// A frame is on a wire.
    Wire(OnWire),
    /// A rule was broken.
    Finding {
        /// Its id.
        rule: String,
        /// What happened.
        message: String,
    },
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Nanoseconds of virtual time.
    pub time: u64,
    /// The same, made different for each event: virtual time stands still while code runs, so
    /// an event is shown at least a nanosecond after the one before it.
    pub shown: u64,
    /// Virtual processor; of a frame on a wire 0.
    pub cpu: u32,
    /// Task; 0 for none.
    pub task: u64,
    /// What.
    pub what: What,
}

impl Event {
    /// The call, if it is one.
    pub fn call(&self) -> Option<&Call> {
        match &self.what {
            What::Call(call) => Some(call),
            _ => None,
        }
    }
}

/// A trace.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Virtual processors.
    pub processors: u32,
    /// Seeds of its runs: the host may have started over.
    pub seeds: Vec<u64>,
    /// Things with a name.
    pub objects: Vec<Object>,
    /// Names of tasks.
    pub tasks: HashMap<u64, String>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// More happened than was to be traced.
    pub full: bool,
}

/// Names within one run of the host.
#[derive(Default)]
struct Run {
    objects: HashMap<u32, usize>,
    depth: HashMap<u64, Vec<(u32, bool)>>,
    /// What is added to the numbers of tasks, lists and requests, so that those of two runs
    /// are told apart.
    tasks: u64,
    lists: u32,
    requests: u32,
    /// When it began.
    began: u64,
}

impl Trace {
    /// Reads a trace.
    ///
    /// # Errors
    /// When it is none, or broken.
    pub fn read(from: impl Read) -> Result<Self, ReadError> {
        let mut trace = Self::default();
        let mut texts = HashMap::new();
        let mut run = Run::default();
        let mut most = (0, 0, 0);
        for record in Reader::new(from)? {
            match record? {
                Record::Start { seed, processors } => {
                    trace.processors = trace.processors.max(processors);
                    trace.seeds.push(seed);
                    run = Run {
                        tasks: most.0,
                        lists: most.1,
                        requests: most.2,
                        began: trace.events.last().map_or(0, |e| e.shown + 1),
                        ..Run::default()
                    };
                }
                Record::Text { id, text } => drop(texts.insert(id, text)),
                Record::Object { id, kind, name } => {
                    let object = Object { kind, name };
                    let at = trace.objects.iter().position(|o| *o == object);
                    let at = at.unwrap_or_else(|| {
                        trace.objects.push(object);
                        trace.objects.len() - 1
                    });
                    run.objects.insert(id, at);
                }
                Record::Task { id, name } => drop(trace.tasks.insert(id + run.tasks, name)),
                Record::Crossing(crossing) => {
                    let name = texts.get(&crossing.name).cloned().unwrap_or_default();
                    let event = trace.crossing(&mut run, crossing, name);
                    most.0 = most.0.max(event.0);
                    most.1 = most.1.max(event.1);
                    most.2 = most.2.max(event.2);
                }
                Record::Wire(wire) => {
                    let what = What::Wire(OnWire {
                        adapter: run.objects.get(&wire.adapter).copied().unwrap_or(0),
                        up: wire.up,
                        dropped: wire.dropped,
                        length: wire.frame.length,
                        bytes: wire.frame.bytes,
                    });
                    trace.push(&run, wire.time, 0, 0, what);
                }
                Record::Finding {
                    time,
                    cpu,
                    task,
                    rule,
                    message,
                } => {
                    let task = if task == 0 { 0 } else { task + run.tasks };
                    trace.push(&run, time, cpu, task, What::Finding { rule, message });
                }
                Record::Full => trace.full = true,
            }
        }
        Ok(trace)
    }

    fn push(&mut self, run: &Run, time: u64, cpu: u32, task: u64, what: What) {
        let time = run.began + time;
        let shown = self
            .events
            .last()
            .map_or(time, |last| time.max(last.shown + 1));
        self.events.push(Event {
            time,
            shown,
            cpu,
            task,
            what,
        });
    }

    /// The largest numbers in it.
    fn crossing(&mut self, run: &mut Run, crossing: Crossing, name: String) -> (u64, u32, u32) {
        let task = crossing.task + run.tasks;
        let open = run.depth.entry(task).or_default();
        let (depth, callback) = match crossing.kind {
            CallKind::Return => {
                // What an exception left has no return of its own.
                let at = open.iter().rposition(|&(n, _)| n == crossing.name);
                let callback = at.is_some_and(|at| open[at].1);
                open.truncate(at.unwrap_or(0));
                (open.len(), callback)
            }
            kind => {
                open.push((crossing.name, kind == CallKind::Callback));
                (open.len() - 1, kind == CallKind::Callback)
            }
        };
        let mut most = (task, 0, 0);
        let mut lists = crossing.lists;
        for list in &mut lists {
            list.id += run.lists;
            list.parent = list.parent.map(|p| p + run.lists);
            list.source = list
                .source
                .and_then(|s| run.objects.get(&s))
                .map(|&s| s as u32);
            most.1 = most.1.max(list.id);
        }
        let mut oid = crossing.oid;
        if let Some(oid) = &mut oid {
            oid.id += run.requests;
            oid.parent = oid.parent.map(|p| p + run.requests);
            most.2 = oid.id;
        }
        let objects = crossing
            .objects
            .iter()
            .filter_map(|o| run.objects.get(o).copied())
            .collect();
        let call = Call {
            irql: crossing.irql,
            kind: crossing.kind,
            name,
            args: crossing.args,
            objects,
            lists,
            oid,
            depth,
            callback,
        };
        self.push(run, crossing.time, crossing.cpu, task, What::Call(call));
        most
    }

    /// Name of an object.
    pub fn name(&self, object: usize) -> &str {
        self.objects.get(object).map_or("?", |o| &o.name)
    }

    /// The edge that a call is at: a miniport, a binding, or none.
    pub fn edge(&self, call: &Call) -> Option<usize> {
        let kind = |wanted: ObjectKind| {
            let mut of_kind = call.objects.iter().copied();
            of_kind.find(|&o| self.objects.get(o).is_some_and(|o| o.kind == wanted))
        };
        kind(ObjectKind::Miniport).or_else(|| kind(ObjectKind::Binding))
    }
}

/// A name without the parts of the kernel's namespace: `\DEVICE\VM0` is `VM0`.
pub fn short(name: &str) -> &str {
    name.rsplit('\\').next().unwrap_or(name)
}

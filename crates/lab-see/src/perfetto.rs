//! A timeline for Perfetto.
//!
//! Each virtual processor has a track with the calls that ran on it, and a counter of its
//! IRQL; each edge of the driver (a miniport, a binding) has one with the calls about it; each
//! wire of an adapter one with its frames. A list is a flow: arrows join the calls that it
//! passed. Times are virtual; see [`crate::model::Event::shown`].
//!
//! The messages are those of Perfetto's `trace_packet.proto`, as far as they are used.

use std::collections::{HashMap, HashSet};

use lab_host::report::CallKind;
use lab_host::trace::ObjectKind;
use prost::Message as _;

use crate::model::{Call, Event, Trace, What, short};

/// The messages, with Perfetto's names and numbers.
#[allow(missing_docs, reason = "Perfetto's documentation has them")]
pub mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Trace {
        #[prost(message, repeated, tag = "1")]
        pub packet: Vec<TracePacket>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TracePacket {
        #[prost(uint64, optional, tag = "8")]
        pub timestamp: Option<u64>,
        #[prost(uint32, optional, tag = "10")]
        pub trusted_packet_sequence_id: Option<u32>,
        #[prost(message, optional, tag = "11")]
        pub track_event: Option<TrackEvent>,
        #[prost(uint32, optional, tag = "13")]
        pub sequence_flags: Option<u32>,
        #[prost(message, optional, tag = "60")]
        pub track_descriptor: Option<TrackDescriptor>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TrackDescriptor {
        #[prost(uint64, optional, tag = "1")]
        pub uuid: Option<u64>,
        #[prost(string, optional, tag = "2")]
        pub name: Option<String>,
        #[prost(uint64, optional, tag = "5")]
        pub parent_uuid: Option<u64>,
        #[prost(message, optional, tag = "8")]
        pub counter: Option<CounterDescriptor>,
        #[prost(int32, optional, tag = "11")]
        pub child_ordering: Option<i32>,
        #[prost(int32, optional, tag = "12")]
        pub sibling_order_rank: Option<i32>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct CounterDescriptor {
        #[prost(string, optional, tag = "6")]
        pub unit_name: Option<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TrackEvent {
        #[prost(message, repeated, tag = "4")]
        pub debug_annotations: Vec<DebugAnnotation>,
        #[prost(int32, optional, tag = "9")]
        pub r#type: Option<i32>,
        #[prost(uint64, optional, tag = "11")]
        pub track_uuid: Option<u64>,
        #[prost(string, repeated, tag = "22")]
        pub categories: Vec<String>,
        #[prost(string, optional, tag = "23")]
        pub name: Option<String>,
        #[prost(int64, optional, tag = "30")]
        pub counter_value: Option<i64>,
        #[prost(fixed64, repeated, packed = "false", tag = "47")]
        pub flow_ids: Vec<u64>,
        #[prost(fixed64, repeated, packed = "false", tag = "48")]
        pub terminating_flow_ids: Vec<u64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct DebugAnnotation {
        #[prost(string, optional, tag = "10")]
        pub name: Option<String>,
        #[prost(uint64, optional, tag = "3")]
        pub uint_value: Option<u64>,
        #[prost(string, optional, tag = "6")]
        pub string_value: Option<String>,
    }

    /// `TrackEvent.Type`.
    pub const BEGIN: i32 = 1;
    pub const END: i32 = 2;
    pub const INSTANT: i32 = 3;
    pub const COUNTER: i32 = 4;
    /// `TrackDescriptor.ChildTracksOrdering.EXPLICIT`.
    pub const EXPLICIT: i32 = 3;
    /// `TracePacket.SequenceFlags.SEQ_INCREMENTAL_STATE_CLEARED`.
    pub const CLEARED: u32 = 1;
}

use proto::{
    BEGIN, CLEARED, COUNTER, CounterDescriptor, DebugAnnotation, END, EXPLICIT, INSTANT,
    TracePacket, TrackDescriptor, TrackEvent,
};

/// Our packets are one sequence.
const SEQUENCE: u32 = 1;
/// Lists of one call that get arrows; a chain of hundreds would be a brush.
const ARROWS: usize = 64;

/// Numbers of tracks: kind and index.
const fn uuid(kind: u64, index: u64) -> u64 {
    0x1AB0_0000_0000_0000 | kind << 40 | index
}

const GROUPS: u64 = 1;
const PROCESSOR: u64 = 2;
const IRQL: u64 = 3;
const EDGE: u64 = 4;
const LANE: u64 = 5;
const WIRE: u64 = 6;

/// An open slice.
#[derive(Clone)]
struct Slice {
    name: String,
    depth: usize,
}

/// The tasks that have open calls at an edge, one lane each.
#[derive(Default)]
struct Lanes {
    /// Task, its open slices.
    lanes: Vec<Option<(u64, Vec<usize>)>>,
}

struct Writer<'a> {
    trace: &'a Trace,
    out: Vec<u8>,
    /// Open calls of each task.
    open: HashMap<u64, Vec<Slice>>,
    /// Which task's calls are shown on each processor.
    shown: HashMap<u32, u64>,
    irql: HashMap<u32, u8>,
    edges: HashMap<usize, Lanes>,
    declared: HashSet<u64>,
    groups: u64,
}

/// The timeline of a trace, as a Perfetto trace file.
pub fn timeline(trace: &Trace) -> Vec<u8> {
    let mut writer = Writer {
        trace,
        out: Vec::new(),
        open: HashMap::new(),
        shown: HashMap::new(),
        irql: HashMap::new(),
        edges: HashMap::new(),
        declared: HashSet::new(),
        groups: 0,
    };
    writer.begin();
    for event in &trace.events {
        match &event.what {
            What::Call(call) => writer.call(event, call),
            What::Wire(wire) => {
                let track = writer.wire(wire.adapter);
                let way = if wire.up { "up" } else { "down" };
                let lost = if wire.dropped { ", lost" } else { "" };
                let name = format!("{way}, {} bytes{lost}", wire.length);
                writer.event(
                    event.shown,
                    track,
                    INSTANT,
                    Some(name),
                    TrackEvent::default(),
                );
            }
            What::Finding { rule, message } => {
                let track = uuid(PROCESSOR, u64::from(event.cpu));
                let note = TrackEvent {
                    debug_annotations: vec![text("message", message.clone())],
                    categories: vec!["finding".to_owned()],
                    ..TrackEvent::default()
                };
                let name = format!("{rule} is broken");
                writer.event(event.shown, track, INSTANT, Some(name), note);
            }
        }
    }
    writer.end();
    writer.out
}

fn text(name: &str, value: String) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.to_owned()),
        string_value: Some(value),
        uint_value: None,
    }
}

fn number(name: &str, value: u64) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.to_owned()),
        string_value: None,
        uint_value: Some(value),
    }
}

impl Writer<'_> {
    fn put(&mut self, packet: TracePacket) {
        let trace = proto::Trace {
            packet: vec![packet],
        };
        // Growing a vector does not fail; concatenated messages are one message.
        let _ = trace.encode(&mut self.out);
    }

    fn track(&mut self, descriptor: TrackDescriptor) -> u64 {
        let id = descriptor.uuid.unwrap_or_default();
        if self.declared.insert(id) {
            self.put(TracePacket {
                trusted_packet_sequence_id: Some(SEQUENCE),
                track_descriptor: Some(descriptor),
                ..TracePacket::default()
            });
        }
        id
    }

    fn group(&mut self, name: &str) -> u64 {
        self.groups += 1;
        self.track(TrackDescriptor {
            uuid: Some(uuid(GROUPS, self.groups)),
            name: Some(name.to_owned()),
            child_ordering: Some(EXPLICIT),
            sibling_order_rank: Some(self.groups as i32),
            ..TrackDescriptor::default()
        })
    }

    fn begin(&mut self) {
        self.put(TracePacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            sequence_flags: Some(CLEARED),
            ..TracePacket::default()
        });
        let group = self.group("processors");
        for cpu in 0..u64::from(self.trace.processors) {
            let track = self.track(TrackDescriptor {
                uuid: Some(uuid(PROCESSOR, cpu)),
                name: Some(format!("processor {cpu}")),
                parent_uuid: Some(group),
                sibling_order_rank: Some(2 * cpu as i32),
                ..TrackDescriptor::default()
            });
            self.track(TrackDescriptor {
                uuid: Some(uuid(IRQL, cpu)),
                name: Some(format!("IRQL of processor {cpu}")),
                parent_uuid: Some(group),
                counter: Some(CounterDescriptor {
                    unit_name: Some("IRQL".to_owned()),
                }),
                sibling_order_rank: Some(2 * cpu as i32 + 1),
                ..TrackDescriptor::default()
            });
            debug_assert_eq!(track, uuid(PROCESSOR, cpu));
        }
        // Every edge that the driver has, in order of their names.
        for (kind, title) in [
            (ObjectKind::Miniport, "miniport edge"),
            (ObjectKind::Binding, "protocol edge"),
        ] {
            let group = self.group(title);
            let mut all: Vec<_> = self.trace.objects.iter().enumerate().collect();
            all.retain(|(_, o)| o.kind == kind);
            all.sort_by_key(|(_, o)| &o.name);
            for (rank, (index, object)) in all.into_iter().enumerate() {
                let what = if kind == ObjectKind::Miniport {
                    "miniport"
                } else {
                    "binding to"
                };
                self.track(TrackDescriptor {
                    uuid: Some(uuid(EDGE, index as u64)),
                    name: Some(format!("{what} {}", short(&object.name))),
                    parent_uuid: Some(group),
                    sibling_order_rank: Some(rank as i32),
                    ..TrackDescriptor::default()
                });
            }
        }
    }

    fn wire(&mut self, adapter: usize) -> u64 {
        let name = format!("wire of {}", short(self.trace.name(adapter)));
        self.track(TrackDescriptor {
            uuid: Some(uuid(WIRE, adapter as u64)),
            name: Some(name),
            sibling_order_rank: Some(100),
            ..TrackDescriptor::default()
        })
    }

    fn event(&mut self, at: u64, track: u64, kind: i32, name: Option<String>, rest: TrackEvent) {
        self.put(TracePacket {
            timestamp: Some(at),
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_event: Some(TrackEvent {
                r#type: Some(kind),
                track_uuid: Some(track),
                name,
                ..rest
            }),
            ..TracePacket::default()
        });
    }

    /// The processor shows the calls of this task and no others.
    fn show(&mut self, at: u64, cpu: u32, task: u64) {
        if self.shown.get(&cpu) == Some(&task) {
            return;
        }
        // It may have been suspended on another processor.
        let elsewhere: Vec<u32> = self
            .shown
            .iter()
            .filter(|&(&c, &t)| c != cpu && t == task)
            .map(|(&c, _)| c)
            .collect();
        for other in elsewhere {
            self.hide(at, other);
        }
        self.hide(at, cpu);
        let slices = self.open.get(&task).cloned().unwrap_or_default();
        for slice in slices {
            let again = TrackEvent {
                debug_annotations: vec![text("goes on", self.task(task))],
                ..TrackEvent::default()
            };
            let track = uuid(PROCESSOR, u64::from(cpu));
            self.event(at, track, BEGIN, Some(slice.name), again);
        }
        self.shown.insert(cpu, task);
    }

    fn hide(&mut self, at: u64, cpu: u32) {
        let Some(task) = self.shown.remove(&cpu) else {
            return;
        };
        let count = self.open.get(&task).map_or(0, Vec::len);
        for _ in 0..count {
            let track = uuid(PROCESSOR, u64::from(cpu));
            self.event(at, track, END, None, TrackEvent::default());
        }
    }

    fn task(&self, task: u64) -> String {
        let name = self.trace.tasks.get(&task).map_or("", String::as_str);
        format!("task {task}, {name}")
    }

    fn call(&mut self, event: &Event, call: &Call) {
        let (at, cpu, task) = (event.shown, event.cpu, event.task);
        if self.irql.insert(cpu, call.irql) != Some(call.irql) {
            let value = TrackEvent {
                counter_value: Some(i64::from(call.irql)),
                ..TrackEvent::default()
            };
            self.event(at, uuid(IRQL, u64::from(cpu)), COUNTER, None, value);
        }
        self.show(at, cpu, task);
        let processor = uuid(PROCESSOR, u64::from(cpu));
        let edge = self.trace.edge(call);
        if call.kind == CallKind::Return {
            self.returns(at, processor, task, call);
            return;
        }
        let slice = Slice {
            name: call.name.clone(),
            depth: call.depth,
        };
        self.open.entry(task).or_default().push(slice);
        let mut note = self.note(event, call);
        self.event(at, processor, BEGIN, Some(call.name.clone()), note.clone());
        if let Some(edge) = edge {
            // Arrows go along the processors; twice would be two of each.
            note.flow_ids.clear();
            note.terminating_flow_ids.clear();
            let lane = self.lane(edge, task, call.depth);
            self.event(at, lane, BEGIN, Some(call.name.clone()), note);
        }
    }

    fn returns(&mut self, at: u64, processor: u64, task: u64, call: &Call) {
        let open = self.open.entry(task).or_default();
        let mut ends = 0;
        while open.last().is_some_and(|slice| slice.depth >= call.depth) {
            open.pop();
            ends += 1;
        }
        if open.is_empty() {
            self.open.remove(&task);
        }
        for _ in 0..ends {
            self.event(at, processor, END, None, TrackEvent::default());
        }
        let edges: Vec<usize> = self.edges.keys().copied().collect();
        for edge in edges {
            let mut ended = Vec::new();
            if let Some(lanes) = self.edges.get_mut(&edge) {
                for (index, lane) in lanes.lanes.iter_mut().enumerate() {
                    let Some((owner, depths)) = lane else {
                        continue;
                    };
                    if *owner != task {
                        continue;
                    }
                    while depths.last().is_some_and(|d| *d >= call.depth) {
                        depths.pop();
                        ended.push(index);
                    }
                    if depths.is_empty() {
                        *lane = None;
                    }
                }
            }
            for index in ended {
                let track = lane_uuid(edge, index);
                self.event(at, track, END, None, TrackEvent::default());
            }
        }
    }

    /// The lane of a task at an edge: calls of two tasks are not within each other.
    fn lane(&mut self, edge: usize, task: u64, depth: usize) -> u64 {
        let lanes = &mut self.edges.entry(edge).or_default().lanes;
        let mine = lanes
            .iter()
            .position(|l| l.as_ref().is_some_and(|(t, _)| *t == task));
        let index = mine
            .or_else(|| lanes.iter().position(Option::is_none))
            .unwrap_or_else(|| {
                lanes.push(None);
                lanes.len() - 1
            });
        lanes[index]
            .get_or_insert_with(|| (task, Vec::new()))
            .1
            .push(depth);
        self.track(TrackDescriptor {
            uuid: Some(lane_uuid(edge, index)),
            name: Some(format!("calls {}", index + 1)),
            parent_uuid: Some(uuid(EDGE, edge as u64)),
            sibling_order_rank: Some(index as i32),
            ..TrackDescriptor::default()
        })
    }

    fn note(&self, event: &Event, call: &Call) -> TrackEvent {
        let way = match call.kind {
            CallKind::Callback => "callback",
            _ => "import",
        };
        let mut notes = vec![
            number("virtual time (ns)", event.time),
            number("IRQL", u64::from(call.irql)),
            text("task", self.task(event.task)),
        ];
        if !call.objects.is_empty() {
            let names: Vec<_> = call.objects.iter().map(|&o| self.trace.name(o)).collect();
            notes.push(text("objects", names.join(", ")));
        }
        if !call.lists.is_empty() {
            notes.push(text("lists", crate::table::lists(&call.lists)));
        }
        if let Some(oid) = &call.oid {
            notes.push(text("request", crate::table::oid(oid)));
        }
        let args: Vec<_> = call.args.iter().map(|a| format!("{a:#x}")).collect();
        notes.push(text("arguments", args.join(", ")));
        let (mut flows, mut ends) = (Vec::new(), Vec::new());
        for list in call.lists.iter().take(ARROWS) {
            let id = u64::from(list.id);
            if list.last {
                ends.push(id);
            } else {
                flows.push(id);
            }
        }
        TrackEvent {
            debug_annotations: notes,
            categories: vec![way.to_owned()],
            flow_ids: flows,
            terminating_flow_ids: ends,
            ..TrackEvent::default()
        }
    }

    /// A trace may end in the middle of calls: they end with it.
    fn end(&mut self) {
        let at = self.trace.events.last().map_or(0, |e| e.shown + 1);
        let cpus: Vec<u32> = self.shown.keys().copied().collect();
        for cpu in cpus {
            self.hide(at, cpu);
        }
        let edges: Vec<(usize, usize, usize)> = self
            .edges
            .iter()
            .flat_map(|(&edge, lanes)| {
                let each = lanes.lanes.iter().enumerate();
                each.filter_map(move |(i, l)| l.as_ref().map(|(_, d)| (edge, i, d.len())))
            })
            .collect();
        for (edge, index, count) in edges {
            for _ in 0..count {
                let track = lane_uuid(edge, index);
                self.event(at, track, END, None, TrackEvent::default());
            }
        }
    }
}

const fn lane_uuid(edge: usize, index: usize) -> u64 {
    uuid(LANE, (edge as u64) << 8 | index as u64 & 0xFF)
}

//! Where lists come from and where they go: who has a frame, which member or port it went to,
//! and why, as far as that shows.
//!
//! The driver's reasons are not visible; what is visible is the frame, what each edge may
//! carry, and what happened to the frames of the same flow before. That is what is said.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ethernet::flow::Flow;
use ethernet::{Mac, OutOfBand};
use lab_host::report::CallKind;
use lab_host::trace::ObjectKind;

use crate::model::{Call, Trace, What, short};

/// What is known of the network around the driver.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Adapters, and the wire that each is plugged into.
    pub adapters: BTreeMap<String, Option<String>>,
    /// Miniports by their device's last name.
    pub miniports: BTreeMap<String, MiniportPlace>,
}

/// What is known of a miniport.
#[derive(Clone, Debug, Default)]
pub struct MiniportPlace {
    /// Adapters below it.
    pub adapters: Vec<String>,
    /// VLAN of its frames on the wire.
    pub vlan: Option<u16>,
}

impl Places {
    /// Miniports above an adapter.
    fn above(&self, adapter: &str) -> usize {
        let over = |m: &&MiniportPlace| m.adapters.iter().any(|a| a == adapter);
        self.miniports.values().filter(over).count()
    }
}

/// A frame at an edge.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Event in the trace.
    pub event: usize,
    /// The edge: an object.
    pub edge: usize,
    /// The driver has it now (else it gives it away).
    pub arrives: bool,
    /// Towards the protocols above.
    pub up: bool,
    /// The list.
    pub list: u32,
    /// Place in the list.
    pub buffer: usize,
    /// Its length.
    pub length: u32,
    /// Its bytes, as far as they were kept.
    pub bytes: Vec<u8>,
    /// 802.1Q information beside it.
    pub tag: u32,
    /// What is to be said of it.
    pub comment: String,
}

/// What became of every frame.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// Each frame at each edge, in order.
    pub sightings: Vec<Sighting>,
    /// The list that a list has its data from.
    pub origin: HashMap<u32, u32>,
}

/// What is remembered of a flow at a miniport with several adapters.
#[derive(Default)]
struct Habit {
    adapter: usize,
    since: u64,
    frames: u64,
}

/// What is remembered of a list that arrived.
struct Arrival {
    sighting: usize,
    /// Where it went on.
    onward: Vec<usize>,
}

/// Bytes at the end of a frame by which a copy is known.
const TAIL: usize = 64;

fn tail(bytes: &[u8]) -> &[u8] {
    // What a tag moves stands before this.
    let start = bytes.len().saturating_sub(TAIL).max(18.min(bytes.len()));
    &bytes[start..]
}

/// Function, whether frames arrive at the driver there, and whether they go up.
fn sight(name: &str) -> Option<(bool, bool)> {
    Some(match name {
        "MiniportSendNetBufferLists" => (true, false),
        "NdisSendNetBufferLists" => (false, false),
        "ProtocolReceiveNetBufferLists" => (true, true),
        "NdisMIndicateReceiveNetBufferLists" => (false, true),
        _ => return None,
    })
}

fn flow(bytes: &[u8], tag: u32) -> Option<Flow> {
    // All zero is nothing beside the frame.
    let beside = (tag & 0xFFFF != 0).then(|| OutOfBand(tag as usize).tag());
    Flow::parse(bytes, beside)
}

/// A list that goes on, and the one that it was made of.
fn whose(story: &Story, at: usize, from: u32) -> String {
    let list = story.sightings[at].list;
    if list == from {
        format!("nbl {list}")
    } else {
        format!("nbl {list}, made of nbl {from}")
    }
}

/// A flow in words.
pub fn flow_text(flow: &Flow) -> String {
    let mac = |mac: Mac| {
        let parts: Vec<String> = mac.0.iter().map(|b| format!("{b:02x}")).collect();
        parts.join(":")
    };
    match flow.network {
        Some(network) => match network.ports {
            Some(ports) => format!(
                "{} port {} to {} port {}",
                network.source, ports.source, network.destination, ports.destination
            ),
            None => format!("{} to {}", network.source, network.destination),
        },
        None => format!("{} to {}", mac(flow.source), mac(flow.destination)),
    }
}

impl Story {
    /// Follows every list of a trace.
    pub fn new(trace: &Trace, places: &Places) -> Self {
        let mut story = Self::default();
        let mut teller = Teller {
            trace,
            places,
            arrivals: HashMap::new(),
            inside: HashMap::new(),
            habits: HashMap::new(),
            own: HashMap::new(),
        };
        for (index, event) in trace.events.iter().enumerate() {
            if let What::Call(call) = &event.what {
                teller.call(&mut story, index, event.task, call);
            }
        }
        teller.end(&mut story);
        story
    }

    /// The list that began it: the one that came to the driver.
    pub fn root(&self, mut list: u32) -> u32 {
        for _ in 0..64 {
            match self.origin.get(&list) {
                Some(&parent) if parent != list => list = parent,
                _ => break,
            }
        }
        list
    }

    /// The list and all that have its data.
    pub fn family(&self, list: u32) -> BTreeSet<u32> {
        let root = self.root(list);
        let mut all: BTreeSet<u32> = self
            .origin
            .keys()
            .copied()
            .filter(|&l| self.root(l) == root)
            .collect();
        all.insert(root);
        all
    }
}

struct Teller<'a> {
    trace: &'a Trace,
    places: &'a Places,
    arrivals: HashMap<u32, Arrival>,
    /// Arrivals of the open callbacks of each task.
    inside: HashMap<u64, Vec<(usize, Vec<u32>)>>,
    habits: HashMap<(usize, Flow), Habit>,
    /// Addresses that were seen as the source of what a miniport sent.
    own: HashMap<usize, BTreeSet<Mac>>,
}

impl Teller<'_> {
    fn call(&mut self, story: &mut Story, index: usize, task: u64, call: &Call) {
        if call.kind == CallKind::Return
            && let Some(open) = self.inside.get_mut(&task)
        {
            open.retain(|(depth, _)| *depth < call.depth);
        }
        for list in &call.lists {
            if let Some(parent) = list.parent {
                story.origin.insert(list.id, parent);
            }
        }
        let Some((arrives, up)) = sight(&call.name).filter(|_| call.kind != CallKind::Return)
        else {
            return;
        };
        let Some(edge) = self.trace.edge(call) else {
            return;
        };
        for list in &call.lists {
            // A list that travels through whole is its own origin.
            for (buffer, frame) in list.frames.iter().enumerate() {
                let at = story.sightings.len();
                story.sightings.push(Sighting {
                    event: index,
                    edge,
                    arrives,
                    up,
                    list: list.id,
                    buffer,
                    length: frame.length,
                    bytes: frame.bytes.clone(),
                    tag: list.tag,
                    comment: String::new(),
                });
                if arrives {
                    self.arrived(at, &story.sightings[at]);
                } else {
                    self.went(story, at, task, call.depth);
                }
            }
        }
        if arrives {
            let lists = call.lists.iter().map(|l| l.id).collect();
            let open = self.inside.entry(task).or_default();
            open.push((call.depth, lists));
        }
    }

    fn arrived(&mut self, at: usize, sighting: &Sighting) {
        if sighting.buffer == 0 {
            let arrival = Arrival {
                sighting: at,
                onward: Vec::new(),
            };
            self.arrivals.insert(sighting.list, arrival);
        }
        if !sighting.up
            && let Some(flow) = flow(&sighting.bytes, sighting.tag)
        {
            self.own
                .entry(sighting.edge)
                .or_default()
                .insert(flow.source);
        }
    }

    /// A frame leaves the driver: whose is it?
    fn went(&mut self, story: &mut Story, at: usize, task: u64, depth: usize) {
        let list = story.sightings[at].list;
        let root = story.root(list);
        let mut from = self.arrivals.contains_key(&root).then_some(root);
        if from.is_none() {
            // A copy says nothing of its origin: it is one of the lists of the call that it
            // is made in, by its last bytes.
            let open = self.inside.get(&task);
            let around = open
                .into_iter()
                .flatten()
                .rev()
                .find(|(outer, _)| *outer < depth)
                .map_or(&[][..], |(_, lists)| lists);
            let wanted = tail(&story.sightings[at].bytes);
            from = around
                .iter()
                .copied()
                .find(|of| match self.arrivals.get(of) {
                    Some(a) => tail(&story.sightings[a.sighting].bytes) == wanted,
                    None => false,
                });
            if let Some(of) = from {
                story.origin.insert(list, of);
            }
        }
        let Some(from) = from else {
            story.sightings[at].comment = format!("nbl {list}, the driver's own frame");
            return;
        };
        let Some(arrival) = self.arrivals.get_mut(&from) else {
            return;
        };
        arrival.onward.push(at);
        let came = arrival.sighting;
        let copies = arrival.onward.len();
        let comment = if story.sightings[at].up {
            self.up(story, at, came, from)
        } else {
            self.down(story, at, came, from, copies)
        };
        story.sightings[at].comment = comment;
    }

    fn name(&self, object: usize) -> &str {
        short(self.trace.name(object))
    }

    /// From a miniport down to an adapter.
    fn down(&mut self, story: &Story, at: usize, came: usize, from: u32, copies: usize) -> String {
        let (here, there) = (&story.sightings[at], &story.sightings[came]);
        let whose = whose(story, at, from);
        let (port, member) = (
            self.name(there.edge).to_owned(),
            self.name(here.edge).to_owned(),
        );
        let begin = format!(
            "{whose}, sent by the protocol above {port}; owner: adapter {member}, chosen because"
        );
        if there.up {
            return format!(
                "{whose}, received by adapter {port}; owner: adapter {member}, the driver passes it on down"
            );
        }
        let below = self
            .places
            .miniports
            .get(&port)
            .map(|m| m.adapters.as_slice());
        let why = match below {
            Some([_]) => format!("it is the only adapter below {port}"),
            _ => self.habit(story, at, came, copies),
        };
        format!("{begin} {why}")
    }

    /// Why this member, as far as the frames before show it.
    fn habit(&mut self, story: &Story, at: usize, came: usize, copies: usize) -> String {
        let (here, there) = (&story.sightings[at], &story.sightings[came]);
        let now = self.trace.events[here.event].time;
        if copies > 1 {
            return format!("a copy goes to each of several members, this is number {copies}");
        }
        let Some(flow) = flow(&there.bytes, there.tag) else {
            return "the frame has no whole header, so no flow".to_owned();
        };
        let text = flow_text(&flow);
        let new = !self.habits.contains_key(&(there.edge, flow));
        let habit = self.habits.entry((there.edge, flow)).or_default();
        if new {
            *habit = Habit {
                adapter: here.edge,
                since: now,
                frames: 1,
            };
            return format!("its flow ({text}) begins here");
        }
        habit.frames += 1;
        if habit.adapter == here.edge {
            return format!(
                "its flow ({text}) is carried there since {} ns: frame {} of it",
                habit.since, habit.frames
            );
        }
        let before = habit.adapter;
        habit.adapter = here.edge;
        habit.since = now;
        habit.frames = 1;
        format!(
            "its flow ({text}) moves there from {}",
            short(self.trace.name(before))
        )
    }

    /// From an adapter up to a miniport.
    fn up(&self, story: &Story, at: usize, came: usize, from: u32) -> String {
        let (here, there) = (&story.sightings[at], &story.sightings[came]);
        let whose = whose(story, at, from);
        let port = self.name(here.edge);
        if !there.up {
            let sender = self.name(there.edge);
            return format!(
                "{whose}, sent by the protocol above {sender}; owner: the protocol above {port}, because the driver passes it on between miniports: {}",
                self.port_reasons(here, there)
            );
        }
        let adapter = self.name(there.edge);
        let why = if self.places.above(adapter) == 1 {
            format!("it is the only miniport above {adapter}")
        } else {
            self.port_reasons(here, there)
        };
        format!(
            "{whose}, received by adapter {adapter}; owner: the protocol above {port}, chosen because {why}"
        )
    }

    /// What a frame and a miniport have in common.
    fn port_reasons(&self, here: &Sighting, there: &Sighting) -> String {
        let port = self.name(here.edge);
        let mut reasons = Vec::new();
        let flow = flow(&there.bytes, there.tag);
        let vlan = self.places.miniports.get(port).and_then(|m| m.vlan);
        let tagged = flow.map(|flow| flow.vlan.number()).filter(|&v| v != 0);
        match (tagged, vlan) {
            (Some(tag), Some(vlan)) if tag == vlan => {
                reasons.push(format!("its VLAN is {port}'s, {vlan}"));
            }
            (None, None) => reasons.push(format!("it is untagged, as {port}'s frames are")),
            (tag, vlan) => reasons.push(format!(
                "its VLAN is {}, {port}'s is {}",
                tag.map_or("none".into(), |t| t.to_string()),
                vlan.map_or("none".into(), |v| v.to_string())
            )),
        }
        if let Some(flow) = flow {
            let to = flow.destination;
            if to.0 == [0xFF; 6] {
                reasons.push("its destination is everybody".to_owned());
            } else if to.0[0] & 1 == 1 {
                reasons.push("its destination is a group".to_owned());
            } else if self
                .own
                .get(&here.edge)
                .is_some_and(|own| own.contains(&to))
            {
                reasons.push(format!(
                    "its destination is the address that {port} sends from"
                ));
            } else {
                reasons.push("its destination is an address that was not seen to send".to_owned());
            }
        }
        reasons.join(", ")
    }

    /// What arrived gets its comment when it is known where it went.
    fn end(&self, story: &mut Story) {
        for (list, arrival) in &self.arrivals {
            let here = &story.sightings[arrival.sighting];
            let edge = self.name(here.edge);
            let came = if here.up {
                format!("nbl {list}, received by adapter {edge}; owner: the driver")
            } else {
                format!("nbl {list}, sent by the protocol above {edge}; owner: the driver")
            };
            let goes: BTreeSet<String> = arrival
                .onward
                .iter()
                .map(|&at| {
                    let s = &story.sightings[at];
                    let kind = self.trace.objects.get(s.edge).map(|o| o.kind);
                    let what = if kind == Some(ObjectKind::Miniport) {
                        "the protocol above"
                    } else {
                        "adapter"
                    };
                    format!("{what} {}", self.name(s.edge))
                })
                .collect();
            let onward = if goes.is_empty() {
                "it goes on to nobody: dropped, refused or the driver's".to_owned()
            } else {
                let all: Vec<_> = goes.into_iter().collect();
                format!("it goes on to {}", all.join(", "))
            };
            story.sightings[arrival.sighting].comment = format!("{came}; {onward}");
        }
        for sighting in &mut story.sightings {
            if sighting.comment.is_empty() {
                sighting.comment =
                    format!("nbl {}, frame {} of it", sighting.list, sighting.buffer + 1);
            }
        }
    }
}

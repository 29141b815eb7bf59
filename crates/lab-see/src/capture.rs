//! Captures with comments: what each adapter's binding and each miniport saw, and each wire.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use lab_host::trace::ObjectKind;
use lab_net::Mac;
use lab_net::pcap::{Direction, Interface, PcapError, Recorder};

use crate::model::{Trace, What, short};
use crate::story::{Places, Story};

/// A capture file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Name without extension: `adapter-nic0`, `miniport-vm0`, `wire-w0`.
    pub name: String,
    /// Its frames.
    pub frames: usize,
    /// The file.
    pub bytes: Vec<u8>,
}

/// A name that is a file's.
fn file(text: &str) -> String {
    let safe = text.chars();
    safe.map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
        _ => '_',
    })
    .collect()
}

/// All captures of a trace, those without a frame left out.
///
/// # Errors
/// When a capture cannot be written, which for one in memory is an interface that was not
/// declared.
pub fn captures(trace: &Trace, story: &Story, places: &Places) -> Result<Vec<Capture>, PcapError> {
    let mut all = edges(trace, story)?;
    all.extend(wires(trace, story, places)?);
    Ok(all)
}

fn edges(trace: &Trace, story: &Story) -> Result<Vec<Capture>, PcapError> {
    let mut edges: BTreeMap<(ObjectKind, usize), Vec<usize>> = BTreeMap::new();
    for (at, sighting) in story.sightings.iter().enumerate() {
        let Some(object) = trace.objects.get(sighting.edge) else {
            continue;
        };
        let key = (object.kind, sighting.edge);
        edges.entry(key).or_default().push(at);
    }
    let mut all = Vec::new();
    for ((kind, edge), frames) in edges {
        let name = short(trace.name(edge));
        let (word, words) = if kind == ObjectKind::Miniport {
            (
                "miniport",
                "what the protocol above and the driver hand each other",
            )
        } else {
            ("adapter", "what the driver and the adapter hand each other")
        };
        let interface = Interface {
            description: Some(words.to_owned()),
            ..Interface::new(name)
        };
        let mut recorder = Recorder::new(Vec::new(), &[interface])?;
        for &at in &frames {
            let sighting = &story.sightings[at];
            let direction = if sighting.up {
                Direction::Inbound
            } else {
                Direction::Outbound
            };
            let event = &trace.events[sighting.event];
            let mut comment = sighting.comment.clone();
            if sighting.tag & 0xFFFF != 0 {
                let (priority, vlan) = (sighting.tag & 7, sighting.tag >> 4 & 0xFFF);
                comment = format!("{comment}; beside it: VLAN {vlan}, priority {priority}");
            }
            if (sighting.bytes.len() as u64) < u64::from(sighting.length) {
                comment = format!("{comment}; of {} bytes", sighting.length);
            }
            recorder.record(0, event.shown, direction, &sighting.bytes, Some(&comment))?;
        }
        all.push(Capture {
            name: file(&format!("{word}-{name}")),
            frames: frames.len(),
            bytes: recorder.finish()?,
        });
    }
    Ok(all)
}

/// Bytes, 802.1Q information and comment of frames at an adapter, by its name and whether
/// they come up, in order.
type Queues = HashMap<(String, bool), VecDeque<(Vec<u8>, u32, String)>>;

/// Comments of frames that go down at an adapter, or come up.
fn queues(trace: &Trace, story: &Story) -> Queues {
    let mut queues = Queues::new();
    for sighting in &story.sightings {
        let Some(object) = trace.objects.get(sighting.edge) else {
            continue;
        };
        // Down what the driver gives away, up what it gets.
        if object.kind == ObjectKind::Miniport || sighting.up != sighting.arrives {
            continue;
        }
        queues
            .entry((object.name.clone(), sighting.up))
            .or_default()
            .push_back((
                sighting.bytes.clone(),
                sighting.tag,
                sighting.comment.clone(),
            ));
    }
    queues
}

/// Whether two frames are one, with its tag inside or beside.
fn same(wire: &[u8], edge: &[u8], tag: u32) -> bool {
    if wire == edge {
        return true;
    }
    // All zero beside a frame is nothing: then the bytes would be equal.
    tag & 0xFFFF != 0
        && wire.len() == edge.len() + 4
        && wire.get(..12) == edge.get(..12)
        && wire.get(16..) == edge.get(12..)
}

/// How far a frame is looked for: some that went down were dropped before the wire.
const LOOK: usize = 512;

fn wires(trace: &Trace, story: &Story, places: &Places) -> Result<Vec<Capture>, PcapError> {
    let mut queues = queues(trace, story);
    let of = |adapter: &str| -> String {
        let wire = places.adapters.get(adapter).cloned().flatten();
        wire.unwrap_or_else(|| format!("of-{adapter}"))
    };
    // Interfaces of a wire are the adapters that are plugged into it.
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in &trace.events {
        if let What::Wire(wire) = &event.what {
            let adapter = short(trace.name(wire.adapter)).to_owned();
            names.entry(of(&adapter)).or_default().insert(adapter);
        }
    }
    let mut all = Vec::new();
    for (wire_name, adapters) in names {
        let adapters: Vec<String> = adapters.into_iter().collect();
        let interfaces: Vec<Interface> = adapters
            .iter()
            .map(|name| Interface {
                description: Some(format!("wire {wire_name} at adapter {name}")),
                mac: None::<Mac>,
                ..Interface::new(name)
            })
            .collect();
        let mut recorder = Recorder::new(Vec::new(), &interfaces)?;
        let mut frames = 0;
        for event in &trace.events {
            let What::Wire(wire) = &event.what else {
                continue;
            };
            let full = trace.name(wire.adapter);
            let Some(index) = adapters.iter().position(|a| a == short(full)) else {
                continue;
            };
            let queue = queues.get_mut(&(full.to_owned(), wire.up));
            let found = queue.and_then(|queue| {
                let near = queue.iter().take(LOOK);
                let at = near
                    .enumerate()
                    .find(|(_, (bytes, tag, _))| same(&wire.bytes, bytes, *tag))
                    .map(|(at, _)| at)?;
                queue.remove(at).map(|(_, _, comment)| comment)
            });
            let adapter = short(full);
            let comment = match (found, wire.up, wire.dropped) {
                (_, _, true) => format!("lost at adapter {adapter}: no link, or gone"),
                (Some(comment), false, _) => format!("owner: wire {wire_name}; {comment}"),
                (Some(comment), true, _) => comment,
                (None, true, _) => format!("owner: adapter {adapter}; not indicated to the driver"),
                (None, false, _) => format!("owner: wire {wire_name}"),
            };
            let direction = if wire.up {
                Direction::Inbound
            } else {
                Direction::Outbound
            };
            recorder.record(index, event.shown, direction, &wire.bytes, Some(&comment))?;
            frames += 1;
        }
        all.push(Capture {
            name: file(&format!("wire-{wire_name}")),
            frames,
            bytes: recorder.finish()?,
        });
    }
    Ok(all)
}

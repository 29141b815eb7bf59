//! A sequence diagram, for Mermaid, of one list or one request with all that was made of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use lab_host::report::CallKind;
use lab_host::trace::ObjectKind;

use crate::model::{Call, Event, Trace, short};
use crate::story::Story;

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// A list by its number.
    List(u32),
    /// A request by its number.
    Request(u32),
}

/// Most steps of a diagram; more cannot be read.
const STEPS: usize = 400;

/// Who takes part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Above(String),
    Driver,
    Below(String),
    Ndis,
}

impl Who {
    fn id(&self) -> String {
        let word = |name: &str| -> String {
            let safe = name.chars();
            safe.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect()
        };
        match self {
            Self::Above(name) => format!("above_{}", word(name)),
            Self::Driver => "driver".to_owned(),
            Self::Below(name) => format!("below_{}", word(name)),
            Self::Ndis => "ndis".to_owned(),
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Above(name) => format!("protocol above {}", plain(name)),
            Self::Driver => "the driver".to_owned(),
            Self::Below(name) => format!("adapter {}", plain(name)),
            Self::Ndis => "NDIS".to_owned(),
        }
    }
}

/// Text that means nothing to Mermaid.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '#' | ';' | ':' | '<' | '>' | '{' | '}' | '%' | '\n' | '\r' => ' ',
            c => c,
        })
        .collect()
}

/// Who is at the other side of a call.
fn other(trace: &Trace, call: &Call) -> Who {
    match trace.edge(call).and_then(|edge| trace.objects.get(edge)) {
        Some(o) if o.kind == ObjectKind::Miniport => Who::Above(short(&o.name).to_owned()),
        Some(o) => Who::Below(short(&o.name).to_owned()),
        None => Who::Ndis,
    }
}

/// Lists and requests of a call that are wanted.
fn wanted(call: &Call, lists: &BTreeSet<u32>, requests: &BTreeSet<u32>) -> Vec<String> {
    let mut all: Vec<String> = call
        .lists
        .iter()
        .filter(|l| lists.contains(&l.id))
        .map(|l| match (l.first, l.parent) {
            (true, Some(parent)) => format!("nbl {} made of nbl {parent}", l.id),
            (true, None) => format!("nbl {} begins", l.id),
            _ if l.last => format!("nbl {} ends, status {:#x}", l.id, l.status as u32),
            _ => format!("nbl {}", l.id),
        })
        .collect();
    if let Some(oid) = call.oid.as_ref().filter(|o| requests.contains(&o.id)) {
        let mut text = format!("oid {} ({:#010x})", oid.id, oid.oid);
        if let Some(parent) = oid.parent.filter(|_| oid.first) {
            let _ = write!(text, " clone of oid {parent}");
        }
        if let Some(status) = oid.status {
            let _ = write!(text, " status {:#x}", status as u32);
        }
        all.push(text);
    }
    all
}

/// The requests that have to do with one: those it was cloned from and its clones.
fn clones(trace: &Trace, request: u32) -> BTreeSet<u32> {
    let mut all = BTreeSet::from([request]);
    // Twice: forward finds clones, the second time those of parents.
    for _ in 0..2 {
        for oid in trace
            .events
            .iter()
            .filter_map(Event::call)
            .filter_map(|c| c.oid.as_ref())
        {
            if let Some(parent) = oid.parent
                && (all.contains(&parent) || all.contains(&oid.id))
            {
                all.extend([parent, oid.id]);
            }
        }
    }
    all
}

/// The diagram; none if the trace does not have what is to be followed.
pub fn sequence(trace: &Trace, story: &Story, follow: Follow) -> Option<String> {
    let (lists, requests, title) = match follow {
        Follow::List(id) => (story.family(id), BTreeSet::new(), format!("nbl {id}")),
        Follow::Request(id) => (BTreeSet::new(), clones(trace, id), format!("oid {id}")),
    };
    let mut steps = Vec::new();
    for event in &trace.events {
        let Some(call) = event.call() else {
            continue;
        };
        let what = wanted(call, &lists, &requests);
        if !what.is_empty() {
            steps.push((event, call, what.join(", ")));
        }
    }
    if steps.is_empty() {
        return None;
    }
    let mut who: Vec<Who> = vec![Who::Driver];
    for (_, call, _) in &steps {
        let other = other(trace, call);
        if !who.contains(&other) {
            who.push(other);
        }
    }
    // From the top of the stack to its bottom.
    who.sort();
    let mut out = String::from("sequenceDiagram\n");
    let _ = writeln!(
        out,
        "    %% {title}, seed {:#x}",
        trace.seeds.first().unwrap_or(&0)
    );
    for w in &who {
        let _ = writeln!(out, "    participant {} as {}", w.id(), w.title());
    }
    let mut before = None;
    for (event, call, what) in steps.iter().take(STEPS) {
        let other = other(trace, call).id();
        if before != Some((event.time, event.cpu, call.irql)) {
            let _ = writeln!(
                out,
                "    Note over driver: {} ns, processor {}, IRQL {}",
                event.time, event.cpu, call.irql
            );
            before = Some((event.time, event.cpu, call.irql));
        }
        let (from, to) = if call.callback == (call.kind != CallKind::Return) {
            (other.as_str(), "driver")
        } else {
            ("driver", other.as_str())
        };
        let arrow = if call.kind == CallKind::Return {
            "-->>"
        } else {
            "->>"
        };
        let verb = if call.kind == CallKind::Return {
            "end of "
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "    {from}{arrow}{to}: {verb}{}, {}",
            plain(&call.name),
            plain(what)
        );
    }
    if steps.len() > STEPS {
        let _ = writeln!(
            out,
            "    Note over driver: {} more steps",
            steps.len() - STEPS
        );
    }
    Some(out)
}

/// What is worth following when nobody says: the first list with the most relatives and
/// steps, and the first request that the driver passed on.
pub fn choose(trace: &Trace, story: &Story) -> Vec<Follow> {
    let mut steps: std::collections::BTreeMap<u32, usize> = std::collections::BTreeMap::new();
    let mut request = None;
    for call in trace.events.iter().filter_map(Event::call) {
        for list in &call.lists {
            *steps.entry(story.root(list.id)).or_default() += 1;
        }
        if let Some(oid) = &call.oid {
            let cloned = oid.parent.is_some();
            match request {
                Some((_, true)) => {}
                None => request = Some((oid.parent.unwrap_or(oid.id), cloned)),
                Some(_) if cloned => request = Some((oid.parent.unwrap_or(oid.id), true)),
                Some(_) => {}
            }
        }
    }
    // The longest of what can still be read; of equals the first.
    let list = steps
        .into_iter()
        .filter(|(_, n)| *n <= 40)
        .max_by_key(|&(id, n)| (n, std::cmp::Reverse(id)))
        .map(|(id, _)| Follow::List(id));
    list.into_iter()
        .chain(request.map(|(id, _)| Follow::Request(id)))
        .collect()
}

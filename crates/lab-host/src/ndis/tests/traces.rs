//! What a trace says of a frame on its way.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use ndis_sys::NDIS_STATUS_SUCCESS;

use super::driver::{self, PORTS, SENDING, SENT, complete, host, send_down};
use super::many::{ALL, Talker, frame, start, uppers};
use crate::ndis::NicConfig;
use crate::ndis::list::at;
use crate::ndis::nbl::tests::{clone, copy_send, free_clone};
use crate::report::CallKind;
use crate::trace::{Crossing, List, ObjectKind, Options, Reader, Record};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("memory").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One frame each way through a driver that sends a clone; the trace of it.
fn traced(options: Options) -> Vec<Record> {
    let above = Talker::with(&[frame([2, 8, 8, 8, 8, 8], 1)]);
    let far = Talker::with(&[frame(ALL, 2)]);
    let one = uppers(1, std::slice::from_ref(&above));
    let host_ = driver::set_up(7, NicConfig::default(), Box::new(far), one);
    let memory = Memory::default();
    assert!(host_.trace_to(Box::new(memory.clone()), options));
    SENDING.set(Some(|_, list| {
        let child = clone(list, 0, 0, 0);
        host().put(
            child + at!(NET_BUFFER_LIST.ParentNetBufferList),
            list,
            "parent",
        );
        host().put(list + at!(NET_BUFFER_LIST.ChildRefCount), 1_i32, "children");
        copy_send(child, list);
        send_down(child);
    }));
    SENT.set(Some(|list| {
        let parent: u64 = host().get(list + at!(NET_BUFFER_LIST.ParentNetBufferList), "parent");
        free_clone(list, 0);
        if parent != 0 {
            host().put(
                parent + at!(NET_BUFFER_LIST.ChildRefCount),
                0_i32,
                "children",
            );
            complete(PORTS.with_borrow(|p| p[0]), parent, NDIS_STATUS_SUCCESS);
        }
    }));
    host_.run("test", |host| {
        start(host, 1);
        host.nic_kick(0);
        host.sleep(50_000_000);
    });
    host_.violate("HOST-TEST", "for the trace".into());
    host_.trace_flush();
    let bytes = memory.0.lock().expect("memory").clone();
    Reader::new(&bytes[..])
        .expect("a trace")
        .map(|record| record.expect("sound"))
        .collect()
}

fn crossings(records: &[Record]) -> Vec<(&str, &Crossing)> {
    let text = |wanted: u32| {
        records.iter().find_map(|record| match record {
            Record::Text { id, text } if *id == wanted => Some(text.as_str()),
            _ => None,
        })
    };
    records
        .iter()
        .filter_map(|record| match record {
            Record::Crossing(c) => Some((text(c.name).expect("named before"), c)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_list_has_one_name_from_its_sender_and_back_and_a_clone_knows_its_parent() {
    let records = traced(Options::default());
    let crossings = crossings(&records);
    let way = |id: u32| -> Vec<(&str, CallKind, &List)> {
        let mut all = Vec::new();
        for (name, crossing) in &crossings {
            let lists = crossing.lists.iter().filter(|list| list.id == id);
            all.extend(lists.map(|list| (*name, crossing.kind, list)));
        }
        all
    };
    let (_, sent) = crossings
        .iter()
        .find(|(name, _)| *name == "MiniportSendNetBufferLists")
        .expect("a send");
    let parent = way(sent.lists[0].id);
    let names: Vec<_> = parent.iter().map(|step| step.0).collect();
    assert_eq!(
        names,
        [
            "MiniportSendNetBufferLists",
            "NdisMSendNetBufferListsComplete"
        ]
    );
    assert!(parent[0].2.first && parent[1].2.last);
    let (_, down) = crossings
        .iter()
        .find(|(name, _)| *name == "NdisSendNetBufferLists")
        .expect("it goes down");
    let child = way(down.lists[0].id);
    let names: Vec<_> = child.iter().map(|step| (step.0, step.1)).collect();
    assert_eq!(
        names,
        [
            ("NdisAllocateCloneNetBufferList", CallKind::Return),
            ("NdisSendNetBufferLists", CallKind::Import),
            ("ProtocolSendNetBufferListsComplete", CallKind::Callback),
            ("NdisFreeCloneNetBufferList", CallKind::Import),
        ]
    );
    assert!(
        child
            .iter()
            .all(|step| step.2.parent == Some(sent.lists[0].id))
    );
    assert_eq!(child[1].2.frames, parent[0].2.frames);
    assert_eq!(child[1].2.frames[0].bytes, frame([2, 8, 8, 8, 8, 8], 1));
    // The same frame is on the wire, and the adapter has a name.
    let wired = records.iter().any(|record| {
        matches!(record, Record::Wire(w) if !w.up && !w.dropped && w.frame == child[1].2.frames[0])
    });
    assert!(wired);
    let kinds: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Object { kind, .. } => Some(*kind),
            _ => None,
        })
        .collect();
    for kind in [
        ObjectKind::Adapter,
        ObjectKind::Binding,
        ObjectKind::Miniport,
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(
        records
            .iter()
            .any(|r| matches!(r, Record::Finding { rule, .. } if rule == "HOST-TEST"))
    );
}

#[test]
fn every_crossing_is_in_the_trace_and_returns() {
    let records = traced(Options::default());
    let mut open: std::collections::BTreeMap<u64, Vec<&str>> = std::collections::BTreeMap::new();
    let mut count = 0;
    for (name, crossing) in crossings(&records) {
        count += 1;
        let calls = open.entry(crossing.task).or_default();
        if crossing.kind == CallKind::Return {
            assert_eq!(calls.pop(), Some(name));
        } else {
            calls.push(name);
        }
    }
    assert!(count > 20, "{count}");
    assert!(open.values().all(Vec::is_empty));
}

#[test]
fn a_trace_ends_where_it_is_full_and_keeps_what_is_wanted_of_frames() {
    let records = traced(Options { snap: 14, limit: 9 });
    assert_eq!(crossings(&records).len(), 9);
    assert!(records.contains(&Record::Full));
    let short = traced(Options {
        snap: 14,
        limit: u64::MAX,
    });
    let frames = crossings(&short)
        .iter()
        .flat_map(|(_, c)| c.lists.iter().flat_map(|l| l.frames.clone()))
        .collect::<Vec<_>>();
    assert!(!frames.is_empty());
    assert!(
        frames.iter().all(|f| f.bytes.len() == 14 && f.length > 14),
        "{frames:?}"
    );
}

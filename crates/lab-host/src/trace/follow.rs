//! Which list and which request a crossing is about, and whether its journey begins or ends.
//!
//! A list of the host's is used again and again: what has a name is one journey, from the
//! hand-over to the driver until it is back. A list of the driver's has one name from its
//! allocation until it is freed.

use std::collections::HashMap;

use ndis_sys::{NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_STATUS_PENDING};

use super::{List, Oid, Seen, read};
use crate::host::Host;
use crate::report::CallKind;

/// What a chain at a crossing means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// To the driver, from the end it starts at; frames can be read.
    In,
    /// On from the driver; frames can be read.
    On,
    /// Back to the driver.
    Back,
    /// Back to whom the driver had it from.
    Done,
}

/// Of a function that moves lists: argument with the chain, what it means, and argument with
/// the receive flags.
fn moves(name: &str) -> Option<(usize, Step, Option<usize>)> {
    Some(match name {
        "MiniportSendNetBufferLists" => (1, Step::In, None),
        "NdisSendNetBufferLists" => (1, Step::On, None),
        "ProtocolSendNetBufferListsComplete" | "MiniportReturnNetBufferLists" => {
            (1, Step::Back, None)
        }
        "NdisMSendNetBufferListsComplete" | "NdisReturnNetBufferLists" => (1, Step::Done, None),
        "ProtocolReceiveNetBufferLists" => (1, Step::In, Some(4)),
        "NdisMIndicateReceiveNetBufferLists" => (1, Step::On, Some(4)),
        _ => return None,
    })
}

/// Argument with the list that a function frees.
fn frees(name: &str) -> Option<usize> {
    matches!(
        name,
        "NdisFreeNetBufferList"
            | "NdisFreeCloneNetBufferList"
            | "NdisFreeFragmentNetBufferList"
            | "NdisFreeReassembledNetBufferList"
    )
    .then_some(0)
}

/// Whether a function returns a list, and whether it was made of its first argument.
fn makes(name: &str) -> Option<bool> {
    Some(match name {
        "NdisAllocateNetBufferList" | "NdisAllocateNetBufferAndNetBufferList" => false,
        "NdisAllocateCloneNetBufferList"
        | "NdisAllocateFragmentNetBufferList"
        | "NdisAllocateReassembledNetBufferList" => true,
        _ => return None,
    })
}

/// Argument with a request, and of the functions that complete one that with its status.
fn asks(name: &str) -> Option<(usize, Option<usize>)> {
    Some(match name {
        "MiniportOidRequest"
        | "MiniportDirectOidRequest"
        | "NdisOidRequest"
        | "NdisDirectOidRequest"
        | "NdisFreeCloneOidRequest" => (1, None),
        "NdisMOidRequestComplete"
        | "NdisMDirectOidRequestComplete"
        | "ProtocolOidRequestComplete"
        | "ProtocolDirectOidRequestComplete" => (1, Some(2)),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
struct Journey {
    id: u32,
    parent: Option<u32>,
    /// The driver made it.
    own: bool,
}

/// An open call of a task.
struct Open {
    name: &'static str,
    args: Vec<u64>,
    /// Lists that are lent for the time of the call.
    lent: Vec<u64>,
}

/// Names of lists and requests, and the open calls of each task.
#[derive(Default)]
pub(super) struct Follow {
    lists: HashMap<u64, Journey>,
    requests: HashMap<u64, Journey>,
    open: HashMap<u64, Vec<Open>>,
    list_names: u32,
    request_names: u32,
}

impl Follow {
    /// The lists and the request of a crossing.
    pub(super) fn crossing(
        &mut self,
        host: &Host,
        task: u64,
        seen: &Seen<'_>,
        snap: u32,
        object: &mut dyn FnMut(u64) -> Option<u32>,
    ) -> (Vec<List>, Option<Oid>) {
        if seen.kind == CallKind::Return {
            return self.returns(host, task, seen, object);
        }
        let mut open = Open {
            name: seen.name,
            args: seen.args.to_vec(),
            lent: Vec::new(),
        };
        let arg = |i: usize| seen.args.get(i).copied().unwrap_or(0);
        let mut lists = Vec::new();
        if let Some((at, step, flags)) = moves(seen.name) {
            let lent = flags.is_some_and(|f| arg(f) as u32 & NDIS_RECEIVE_FLAGS_RESOURCES != 0);
            for (address, facts) in read::chain(host, arg(at)) {
                lists.push(self.moved(host, address, &facts, step, snap, object));
                if lent {
                    open.lent.push(address);
                }
            }
        }
        if let Some(at) = frees(seen.name)
            && let Some(facts) = read::list(host, arg(at))
        {
            lists.push(self.ended(arg(at), &facts, object));
        }
        let oid = self.asked(host, seen);
        self.open.entry(task).or_default().push(open);
        (lists, oid)
    }

    fn name_list(&mut self, address: u64, parent: Option<u32>, own: bool) -> Journey {
        self.list_names += 1;
        let journey = Journey {
            id: self.list_names,
            parent,
            own,
        };
        self.lists.insert(address, journey);
        journey
    }

    fn moved(
        &mut self,
        host: &Host,
        address: u64,
        facts: &read::Facts,
        step: Step,
        snap: u32,
        object: &mut dyn FnMut(u64) -> Option<u32>,
    ) -> List {
        let known = self.lists.get(&address).copied();
        let journey = known.unwrap_or_else(|| {
            let parent = self.lists.get(&facts.parent).map(|p| p.id);
            self.name_list(address, parent, false)
        });
        let parent = self.lists.get(&facts.parent).map(|p| p.id);
        let last = step == Step::Done && !journey.own;
        if last {
            self.lists.remove(&address);
        }
        List {
            id: journey.id,
            first: known.is_none(),
            last,
            parent: parent.or(journey.parent),
            source: object(facts.source),
            status: facts.status,
            flags: facts.flags,
            tag: facts.tag,
            frames: match step {
                Step::In | Step::On if snap > 0 => read::frames(host, facts, snap),
                _ => Vec::new(),
            },
        }
    }

    fn ended(
        &mut self,
        address: u64,
        facts: &read::Facts,
        object: &mut dyn FnMut(u64) -> Option<u32>,
    ) -> List {
        let journey = self
            .lists
            .remove(&address)
            .unwrap_or_else(|| self.unknown());
        List {
            id: journey.id,
            first: false,
            last: true,
            parent: journey.parent,
            source: object(facts.source),
            status: facts.status,
            flags: facts.flags,
            tag: facts.tag,
            frames: Vec::new(),
        }
    }

    /// A name for what was never seen before.
    fn unknown(&mut self) -> Journey {
        self.list_names += 1;
        Journey {
            id: self.list_names,
            parent: None,
            own: false,
        }
    }

    fn asked(&mut self, host: &Host, seen: &Seen<'_>) -> Option<Oid> {
        let (at, status) = asks(seen.name)?;
        let address = *seen.args.get(at)?;
        let known = self.requests.get(&address).copied();
        let (oid, kind) = read::request(host, address)?;
        let journey = known.unwrap_or_else(|| {
            self.request_names += 1;
            let journey = Journey {
                id: self.request_names,
                parent: None,
                own: false,
            };
            self.requests.insert(address, journey);
            journey
        });
        let status = status
            .and_then(|i| seen.args.get(i))
            .map(|&s| s as u32 as i32);
        // A clone lives until it is freed, any other until it is complete.
        let last = seen.name == "NdisFreeCloneOidRequest" || status.is_some() && !journey.own;
        if last {
            self.requests.remove(&address);
        }
        Some(Oid {
            id: journey.id,
            first: known.is_none(),
            last,
            parent: journey.parent,
            oid,
            kind,
            status,
        })
    }

    fn returns(
        &mut self,
        host: &Host,
        task: u64,
        seen: &Seen<'_>,
        object: &mut dyn FnMut(u64) -> Option<u32>,
    ) -> (Vec<List>, Option<Oid>) {
        let Some(calls) = self.open.get_mut(&task) else {
            return (Vec::new(), None);
        };
        // A call that an exception left has no return of its own.
        let Some(at) = calls.iter().rposition(|open| open.name == seen.name) else {
            return (Vec::new(), None);
        };
        let mut open = calls.drain(at..).next();
        if calls.is_empty() {
            self.open.remove(&task);
        }
        let Some(open) = &mut open else {
            return (Vec::new(), None);
        };
        let result = seen.args.first().copied().unwrap_or(0);
        let mut lists = Vec::new();
        for address in std::mem::take(&mut open.lent) {
            let Some(facts) = read::list(host, address) else {
                continue;
            };
            // What the host lent ends with the call; what the driver lent is the driver's again.
            let host_lent = open.name == "ProtocolReceiveNetBufferLists";
            if host_lent {
                lists.push(self.ended(address, &facts, object));
            } else {
                lists.push(self.moved(host, address, &facts, Step::Back, 0, object));
            }
        }
        if let Some(of) = makes(open.name)
            && result != 0
            && let Some(facts) = read::list(host, result)
        {
            let parent = of
                .then(|| open.args.first())
                .flatten()
                .and_then(|of| self.lists.get(of))
                .map(|p| p.id);
            let journey = self.name_list(result, parent, true);
            lists.push(List {
                id: journey.id,
                first: true,
                last: false,
                parent,
                source: object(facts.source),
                status: facts.status,
                flags: facts.flags,
                tag: facts.tag,
                frames: Vec::new(),
            });
        }
        (lists, self.answered(host, open, result))
    }

    /// A call about a request returns: it is complete, unless it pends; or a clone was made.
    fn answered(&mut self, host: &Host, open: &Open, result: u64) -> Option<Oid> {
        let status = result as u32 as i32;
        if open.name == "NdisAllocateCloneOidRequest" && status == 0 {
            let clone: u64 = host.arena.read(*open.args.get(3)?).ok()?;
            let (oid, kind) = read::request(host, clone)?;
            let parent = self.requests.get(open.args.get(1)?).map(|p| p.id);
            self.request_names += 1;
            let journey = Journey {
                id: self.request_names,
                parent,
                own: true,
            };
            self.requests.insert(clone, journey);
            return Some(Oid {
                id: journey.id,
                first: true,
                last: false,
                parent,
                oid,
                kind,
                status: None,
            });
        }
        let begins = matches!(
            open.name,
            "MiniportOidRequest"
                | "MiniportDirectOidRequest"
                | "NdisOidRequest"
                | "NdisDirectOidRequest"
        );
        if !begins || status == NDIS_STATUS_PENDING.0 {
            return None;
        }
        let address = *open.args.get(1)?;
        let journey = *self.requests.get(&address)?;
        let (oid, kind) = read::request(host, address)?;
        if !journey.own {
            self.requests.remove(&address);
        }
        Some(Oid {
            id: journey.id,
            first: false,
            last: !journey.own,
            parent: journey.parent,
            oid,
            kind,
            status: Some(status),
        })
    }
}

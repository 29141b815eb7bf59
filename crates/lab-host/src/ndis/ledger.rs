//! Who owns each NET_BUFFER_LIST, since when, and what it looked like when it was handed
//! to the driver.

use std::collections::{BTreeMap, BTreeSet};

use ndis_sys::{NDIS_NBL_FLAGS_RECV_READ_ONLY, NDIS_NBL_FLAGS_SEND_READ_ONLY};

use super::history::{History, Holder};
use super::list::at;
use super::nbl::{Made, look};
use crate::host::Host;

/// What a list has in its Scratch field after others had it.
const SCRATCH: u64 = 0x5C5C_5C5C_5C5C_5C5C;

/// What Status holds when a list is sent: no final status (SND-4).
const POISON: i32 = 0x5C5C_5C5C;

/// Who may touch a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The driver under test.
    Driver,
    /// The adapter below, for this binding.
    Below(u64),
    /// The protocol above, on this miniport.
    Above(u64),
}

/// Which way a list of the host travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Down: sent by protocol `upper` on `miniport`.
    Send { upper: usize, miniport: u64 },
    /// Up: indicated by `nic` on `binding`; lent ones carry the RESOURCES flag.
    Receive {
        nic: usize,
        binding: u64,
        lent: bool,
    },
    /// The driver made it.
    Own,
}

/// One list.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) owner: Owner,
    pub(crate) path: Path,
    pub(crate) source: u64,
    /// Digest of NET_BUFFERs and MDLs.
    pub(crate) layout: u64,
    /// What else is to come back as it was.
    pub(crate) rest: look::Rest,
    /// Digest of the bytes, of lists whose bytes are to come back as they were.
    pub(crate) bytes: Option<u64>,
    /// Digest of the data, where somebody offers offloads (OFF-2).
    pub(crate) payload: Option<u64>,
    /// The connection that its frames belong to.
    pub(crate) flow: u64,
    /// Number among all that were handed to drivers (SND-5).
    pub(crate) order: u64,
    /// When it was handed to the driver.
    pub(crate) born: u64,
    /// It, or a list over its data, went down.
    pub(crate) down: bool,
    /// Digest at the last hand-over, where memory is not made inaccessible.
    seal: Option<u64>,
    /// NblFlags as the list came.
    flags: u32,
    /// Bytes of its longest frame as it came.
    pub(crate) longest: u32,
    pub(crate) since: u64,
    pub(crate) by: &'static str,
    /// While it is out: what the driver answers for as long as others have it.
    out: Option<Box<Out>>,
    /// How its children fared below (SND-12).
    pub(crate) children: Children,
    /// Where drivers are stacked: what the list is to the driver that passed it on.
    under: Option<Box<Self>>,
}

/// How the children of a list fared. One that carries a part of its frames must not fail, of
/// those that each carry all of them one at least has to arrive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Children {
    part_failed: bool,
    copy_failed: bool,
    copy_arrived: bool,
}

impl Children {
    /// Whether the list may not be completed with success.
    pub(crate) const fn failed(self) -> bool {
        self.part_failed || (self.copy_failed && !self.copy_arrived)
    }
}

/// What stays in use while a list that the driver made or rebuilt is with others.
#[derive(Clone, Debug)]
struct Out {
    bytes: u64,
    lists: Vec<u64>,
    mdls: Vec<u64>,
}

/// The lists that are under way.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) lists: BTreeMap<u64, Record>,
    /// Lists the driver made, whoever has them.
    pub(crate) made: BTreeMap<u64, Made>,
    /// Who had which list when.
    pub(crate) history: History,
    /// Lists of the host whose memory is used by lists that are out, and by how many.
    users: BTreeMap<u64, u32>,
    /// MDLs of the driver in lists that are out.
    mdls: BTreeMap<u64, u64>,
    /// MDLs that a retreat added; whether the driver allocated them.
    pub(crate) added: BTreeMap<u64, bool>,
    /// Data blocks apart from their list: block to list.
    pub(crate) parts: BTreeMap<u64, u64>,
    /// The other way, and whether the driver may only read the block.
    pub(crate) data: BTreeMap<u64, (u64, bool)>,
    /// Lists handed to drivers so far.
    handed: u64,
    /// Highest number of each connection that went down: by binding, protocol and flow.
    pub(crate) sent: BTreeMap<(u64, usize, u64), u64>,
    /// High bytes of cancel ids that the driver was given.
    pub(crate) partial_ids: BTreeSet<u8>,
    /// Calls of NdisCancelSendNetBufferLists: binding and id.
    pub(crate) cancels: Vec<(u64, u64)>,
    /// Bindings on which such a call is under way.
    pub(crate) cancelling: BTreeMap<u64, u32>,
    /// Sends that were queued in the driver when they were cancelled, and since when.
    pub(super) aborting: BTreeMap<u64, u64>,
    /// When an adapter was closed last.
    pub(crate) last_close: u64,
    /// Lists that were taken away from the driver when their loss was reported.
    taken: BTreeSet<u64>,
    /// When a send of a miniport was completed last, or the first came.
    pub(super) progress: BTreeMap<u64, u64>,
    /// Whether somebody watches the time of sends.
    pub(super) watched: bool,
    /// Whether a miniport offers offloads.
    pub(crate) offloads: bool,
    /// Net bytes that the driver moved the start of NET_BUFFERs of others by (NBL-7).
    pub(crate) moved: BTreeMap<u64, i64>,
}

impl Ledger {
    /// The driver made a list.
    pub(crate) fn own(&mut self, list: u64, since: u64, by: &'static str) {
        self.history.begin(list);
        self.history
            .note(list, since, Holder::Owner(Owner::Driver), by);
        self.lists.insert(
            list,
            Record {
                owner: Owner::Driver,
                path: Path::Own,
                source: 0,
                layout: 0,
                rest: look::Rest::default(),
                bytes: None,
                payload: None,
                flow: 0,
                order: 0,
                born: since,
                down: false,
                seal: None,
                flags: 0,
                longest: 0,
                since,
                by,
                out: None,
                children: Children::default(),
                under: None,
            },
        );
    }

    /// Takes the record of the last edge that a list passed; the one before counts again.
    pub(crate) fn pop(&mut self, list: u64) -> Option<Record> {
        let mut record = self.lists.remove(&list)?;
        if let Some(under) = record.under.take() {
            self.lists.insert(list, *under);
        }
        Some(record)
    }

    /// Whether the data of a list is that of another, which may be what it was made over
    /// itself, by a driver above.
    pub(crate) fn stems(&self, list: u64, of: u64) -> bool {
        let below = self.lists.get(&list).and_then(|r| r.under.as_ref());
        let out = below.and_then(|r| r.out.as_ref());
        out.is_some_and(|out| out.lists.contains(&of))
    }

    /// The list that is out and has this MDL of the driver.
    pub(crate) fn out_with(&self, mdl: u64) -> Option<u64> {
        self.mdls.get(&mdl).copied()
    }

    /// Whether lists over the data of this one are out.
    pub(super) fn is_used(&self, list: u64) -> bool {
        self.users.get(&list).is_some_and(|&count| count > 0)
    }

    /// Takes a list away from the driver; what it does with it from now on counts no more.
    pub(super) fn take_away(&mut self, list: u64) -> Option<Record> {
        let record = self.pop(list)?;
        if let Some(out) = &record.out {
            self.settle(out);
        }
        self.taken.insert(list);
        Some(record)
    }

    /// What a list that comes back used is free again.
    fn settle(&mut self, out: &Out) {
        for list in &out.lists {
            if let Some(count) = self.users.get_mut(list) {
                *count -= 1;
                if *count == 0 {
                    self.users.remove(list);
                }
            }
        }
        for mdl in &out.mdls {
            self.mdls.remove(mdl);
        }
    }

    /// The driver frees a list of its own; whether it could.
    pub(crate) fn disown(&mut self, list: u64, time: u64, by: &'static str) -> bool {
        let own = self
            .lists
            .get(&list)
            .is_some_and(|r| r.path == Path::Own && r.owner == Owner::Driver);
        if own {
            self.lists.remove(&list);
            self.history.note(list, time, Holder::Nobody, by);
        }
        own
    }
}

impl Host {
    /// Enters a list of the host's that goes to the driver now.
    pub(crate) fn hand_in(&self, list: u64, path: Path, by: &'static str) {
        self.ndis(|n| n.ledger.lists.remove(&list));
        self.hand_on(list, path, by);
    }

    /// Enters a list that goes to a driver now, from the host or from another driver, whose
    /// record is kept under the new one.
    pub(crate) fn hand_on(&self, list: u64, path: Path, by: &'static str) {
        let source: u64 = self.get(list + at!(NET_BUFFER_LIST.SourceHandle), "NET_BUFFER_LIST");
        let flags: u32 = self.get(list + at!(NET_BUFFER_LIST.NblFlags), "NET_BUFFER_LIST");
        let layout = look::layout(self, list);
        let rest = look::rest(self, list);
        // A sender wants its bytes back; an adapter only those that were lent read-only.
        let wanted = match path {
            Path::Send { .. } => true,
            Path::Receive { .. } => flags & NDIS_NBL_FLAGS_RECV_READ_ONLY != 0,
            Path::Own => false,
        };
        let glance = look::glance(self, list);
        let bytes = wanted.then_some(glance.bytes);
        let offloads = matches!(path, Path::Send { .. }) && self.ndis(|n| n.ledger.offloads);
        let payload = offloads.then(|| look::payload(self, list));
        let since = self.now();
        self.guard(list, false);
        // NBL-6: Scratch is lost at every hand-over.
        self.put(list + at!(NET_BUFFER_LIST.Scratch), SCRATCH, "Scratch");
        if let Path::Send { miniport, .. } = path {
            self.put(list + at!(NET_BUFFER_LIST.Status), POISON, "Status");
            self.watch_sends(miniport);
        }
        self.ndis(|n| {
            n.ledger.handed += 1;
            let order = n.ledger.handed;
            n.ledger.taken.remove(&list);
            let under = n.ledger.lists.remove(&list).map(Box::new);
            n.ledger
                .history
                .note(list, since, Holder::Owner(Owner::Driver), by);
            n.ledger.lists.insert(
                list,
                Record {
                    under,
                    owner: Owner::Driver,
                    path,
                    source,
                    layout,
                    rest,
                    bytes,
                    payload,
                    flow: glance.flow,
                    order,
                    born: since,
                    down: false,
                    seal: None,
                    flags,
                    longest: glance.longest,
                    since,
                    by,
                    out: None,
                    children: Children::default(),
                },
            );
        });
    }

    /// The driver passes a list on; `None` (and a finding) when it is not the driver's to pass.
    pub(crate) fn hand_over(
        &self,
        list: u64,
        to: Owner,
        by: &'static str,
        rule: &str,
    ) -> Option<Record> {
        let since = self.now();
        let result = self.ndis(|n| match n.ledger.lists.get_mut(&list) {
            Some(r) if r.owner == Owner::Driver => {
                let before = r.clone();
                r.owner = to;
                r.since = since;
                r.by = by;
                n.ledger.history.note(list, since, Holder::Owner(to), by);
                Ok(before)
            }
            Some(r) => Err(Some((r.owner, r.since, r.by))),
            None => Err(None),
        });
        match result {
            Ok(record) => {
                self.check_read_only(list, &record);
                if record.path == Path::Own || look::layout(self, list) != record.layout {
                    self.take_out(list);
                } else {
                    self.check_reserved(list, &record);
                }
                let down = matches!(to, Owner::Below(_));
                let seal = self.seal(list);
                self.ndis(|n| {
                    if let Some(r) = n.ledger.lists.get_mut(&list) {
                        r.seal = seal;
                        r.down |= down;
                    }
                });
                self.guard(list, true);
                Some(record)
            }
            Err(Some((owner, since, before))) => {
                let rule = match (owner, to) {
                    // RCV-11: a list is out on one miniport at a time.
                    (Owner::Above(one), Owner::Above(other)) if one != other => "RCV-11",
                    // SND-8: completions come in any order.
                    (Owner::Below(_), Owner::Above(_))
                        if self.is_inside("ProtocolSendNetBufferListsComplete") =>
                    {
                        "SND-8"
                    }
                    _ => rule,
                };
                self.violate(
                    rule,
                    format!(
                        "{by} gives away list {list:#x}, which {owner:?} has since {since} ns by {before}"
                    ),
                );
                None
            }
            Err(None) if self.ndis(|n| n.ledger.taken.remove(&list)) => None,
            Err(None) => {
                let known = self
                    .heap()
                    .find(list)
                    .is_some_and(|a| a.address == list && a.by == "host list");
                self.violate(
                    if known { rule } else { "NBL-1" },
                    format!(
                        "{by} gives away list {list:#x}, which is not under way (completed or returned before?): {}",
                        self.describe(list)
                    ),
                );
                None
            }
        }
    }

    /// Notes what a list that goes out is made of.
    fn take_out(&self, list: u64) {
        let uses = look::uses(self, list);
        let bytes = look::bytes(self, list);
        self.ndis(|n| {
            for &of in &uses.lists {
                *n.ledger.users.entry(of).or_default() += 1;
                if let Some(r) = n.ledger.lists.get_mut(&of) {
                    r.down = true;
                }
            }
            for &mdl in &uses.mdls {
                n.ledger.mdls.insert(mdl, list);
            }
            let out = Box::new(Out {
                bytes,
                lists: uses.lists,
                mdls: uses.mdls,
            });
            if let Some(r) = n.ledger.lists.get_mut(&list) {
                r.out = Some(out);
            }
        });
    }

    /// A list is done with below: so is a child of each list whose data it has (SND-12).
    pub(crate) fn child_done(&self, list: u64, arrived: bool) {
        self.ndis(|n| {
            let child = n.ledger.lists.get(&list).filter(|r| r.path == Path::Own);
            let Some(out) = child.and_then(|r| r.out.as_ref()) else {
                return;
            };
            let (bytes, parents) = (out.bytes, out.lists.clone());
            for parent in parents {
                let Some(r) = n.ledger.lists.get_mut(&parent) else {
                    continue;
                };
                let all = r.bytes == Some(bytes);
                r.children.part_failed |= !arrived && !all;
                r.children.copy_failed |= !arrived && all;
                r.children.copy_arrived |= arrived && all;
            }
        });
    }

    /// NBL-6: reserved fields have one user along the stack, which a driver that forwards a
    /// list is not.
    fn check_reserved(&self, list: u64, record: &Record) {
        let sent = matches!(record.path, Path::Send { .. });
        let now = look::rest(self, list);
        if let Some(("NBL-6", what)) = record.rest.changed(&now, sent, "") {
            self.violate(
                "NBL-6",
                format!("{what} of list {list:#x}, which is only forwarded, are used"),
            );
        }
    }

    /// Digest of a list that goes out where its memory stays accessible.
    fn seal(&self, list: u64) -> Option<u64> {
        let guarded = self.config.guard_hand_overs && self.heap().pages_of(list).is_some();
        (!guarded).then(|| look::layout(self, list).rotate_left(1) ^ look::bytes(self, list))
    }

    /// RCV-15: what is read-only is not changed in place.
    fn check_read_only(&self, list: u64, record: &Record) {
        let read_only = NDIS_NBL_FLAGS_RECV_READ_ONLY | NDIS_NBL_FLAGS_SEND_READ_ONLY;
        if record.flags & read_only == 0 {
            return;
        }
        if look::layout(self, list) != record.layout {
            self.violate(
                "RCV-15",
                format!(
                    "the NET_BUFFERs or MDLs of list {list:#x}, which is read-only, are changed"
                ),
            );
        } else if record.bytes != Some(look::bytes(self, list)) {
            self.violate(
                "RCV-15",
                format!("the data of list {list:#x}, which is read-only, is changed"),
            );
        }
    }

    /// A list comes back to the driver.
    pub(crate) fn hand_back(&self, list: u64, by: &'static str) {
        let since = self.now();
        self.guard(list, false);
        // NBL-6: Scratch is lost at every hand-over.
        self.put(list + at!(NET_BUFFER_LIST.Scratch), SCRATCH, "Scratch");
        let (before, out) = self
            .ndis(|n| {
                let r = n.ledger.lists.get_mut(&list)?;
                let before = (r.owner, r.seal.take());
                r.owner = Owner::Driver;
                r.since = since;
                r.by = by;
                n.ledger
                    .history
                    .note(list, since, Holder::Owner(Owner::Driver), by);
                let out = r.out.take();
                if let Some(out) = &out {
                    n.ledger.settle(out);
                }
                Some((before, out))
            })
            .unzip();
        let changed = match (&before, out) {
            (Some((_, Some(seal))), _) => self.seal(list).is_some_and(|now| now != *seal),
            (_, Some(Some(out))) => look::bytes(self, list) != out.bytes,
            _ => false,
        };
        if let Some((owner, _)) = before
            && changed
        {
            self.violate(
                if matches!(owner, Owner::Above(_)) {
                    "RCV-7"
                } else {
                    "SND-3"
                },
                format!("the data of list {list:#x} changed while {owner:?} had it"),
            );
        }
    }

    /// A list of the host's came back to where it started; checks what the rules want restored.
    pub(crate) fn hand_out(
        &self,
        list: u64,
        record: &Record,
        source_rule: &str,
        shape_rule: &'static str,
    ) {
        let source: u64 = self.get(list + at!(NET_BUFFER_LIST.SourceHandle), "NET_BUFFER_LIST");
        if source != record.source {
            self.violate(
                source_rule,
                format!(
                    "list {list:#x} comes back with SourceHandle {source:#x}, it was {:#x}",
                    record.source
                ),
            );
        }
        let sent = matches!(record.path, Path::Send { .. });
        let children: i32 = self.get(list + at!(NET_BUFFER_LIST.ChildRefCount), "NET_BUFFER_LIST");
        if children != 0 {
            self.violate(
                if sent { "SND-11" } else { "RCV-11" },
                format!("list {list:#x} comes back with {children} children"),
            );
        }
        let moved = self.take_moved(list);
        let rest = record
            .rest
            .changed(&look::rest(self, list), sent, shape_rule);
        if look::layout(self, list) != record.layout {
            // NBL-7: a retreat is undone by an advance of the same size.
            self.violate(
                if moved == 0 { shape_rule } else { "NBL-7" },
                format!(
                    "list {list:#x} comes back changed: buffers, MDLs or offsets; its data starts {moved} bytes earlier by the driver's calls"
                ),
            );
        } else if let Some((rule, what)) = rest {
            self.violate(rule, format!("list {list:#x} comes back changed: {what}"));
        } else if let Some(bytes) = record.bytes
            && bytes != look::bytes(self, list)
        {
            self.violate(
                if sent { shape_rule } else { "RCV-15" },
                format!("list {list:#x} comes back with other bytes in its frames"),
            );
        }
        let users = self.ndis(|n| {
            if let Some(out) = n.ledger.pop(list).and_then(|r| r.out) {
                n.ledger.settle(&out);
            }
            n.ledger.users.get(&list).copied().unwrap_or(0)
        });
        if users > 0 {
            self.violate(
                if sent { "SND-11" } else { "RCV-11" },
                format!("list {list:#x} comes back while {users} lists over its data are out"),
            );
        }
    }

    /// Net bytes by which the driver moved the starts of a list's NET_BUFFERs; forgets them.
    fn take_moved(&self, list: u64) -> i64 {
        if self.ndis(|n| n.ledger.moved.is_empty()) {
            return 0;
        }
        let all = super::list::buffers(self, list);
        self.ndis(|n| {
            let moved = all.iter().filter_map(|b| n.ledger.moved.remove(b));
            moved.max_by_key(|by| by.abs()).unwrap_or(0)
        })
    }

    /// Reports use of a list by the driver while it is somebody else's.
    pub(crate) fn must_own(&self, by: &str, list: u64) {
        let other = self.ndis(|n| {
            n.ledger
                .lists
                .get(&list)
                .filter(|r| r.owner != Owner::Driver)
                .map(|r| format!("{:?} since {} ns by {}", r.owner, r.since, r.by))
        });
        if let Some(other) = other {
            self.violate(
                "SND-3",
                format!("{by} on list {list:#x}, which is with {other}"),
            );
        }
    }

    /// A list is where it came from.
    pub(crate) fn note_home(&self, list: u64, by: &'static str) {
        let now = self.now();
        self.ndis(|n| n.ledger.history.note(list, now, Holder::Home, by));
    }

    /// Sends and receives of others that the driver has.
    pub(crate) fn driver_has(&self) -> (u64, u64) {
        self.ndis(|n| {
            let mut counts = (0, 0);
            for r in n.ledger.lists.values().filter(|r| r.owner == Owner::Driver) {
                match r.path {
                    Path::Send { .. } => counts.0 += 1,
                    Path::Receive { .. } => counts.1 += 1,
                    Path::Own => {}
                }
            }
            counts
        })
    }

    /// Lists under way, by owner; the first line of a report about a hang.
    pub fn who_has_it(&self) -> String {
        self.ndis(|n| {
            // Of each holder: how many lists, and the oldest of them: since, list, call.
            let mut counts: BTreeMap<&str, (u64, (u64, u64, &str))> = BTreeMap::new();
            for (&list, r) in &n.ledger.lists {
                let who = match (r.owner, r.path) {
                    (Owner::Driver, Path::Own) => continue,
                    (Owner::Driver, Path::Send { .. }) => "driver (sends)",
                    (Owner::Driver, Path::Receive { .. }) => "driver (receives)",
                    (Owner::Below(_), _) => "adapter below",
                    (Owner::Above(_), _) => "protocol above",
                };
                let entry = counts.entry(who).or_insert((0, (u64::MAX, 0, "")));
                entry.0 += 1;
                entry.1 = entry.1.min((r.since, list, r.by));
            }
            if counts.is_empty() {
                return "nobody has any list".to_owned();
            }
            counts
                .iter()
                .map(|(who, (count, (since, list, by)))| {
                    format!("{who}: {count} lists, the oldest {list:#x} since {since} ns by {by}")
                })
                .collect::<Vec<_>>()
                .join("; ")
        })
    }
}

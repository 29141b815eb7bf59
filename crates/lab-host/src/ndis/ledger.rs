//! Who owns each NET_BUFFER_LIST, since when, and what it looked like when it was handed
//! to the driver.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use ndis_sys::NET_BUFFER;

use super::list::at;
use crate::host::Host;

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
    pub(crate) shape: u64,
    pub(crate) since: u64,
    pub(crate) by: &'static str,
}

/// The lists that are under way.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) lists: BTreeMap<u64, Record>,
}

impl Ledger {
    /// The driver made a list.
    pub(crate) fn own(&mut self, list: u64) {
        self.lists.insert(
            list,
            Record {
                owner: Owner::Driver,
                path: Path::Own,
                source: 0,
                shape: 0,
                since: 0,
                by: "NdisAllocateNetBufferAndNetBufferList",
            },
        );
    }

    /// The driver frees a list of its own; whether it could.
    pub(crate) fn disown(&mut self, list: u64) -> bool {
        let own = self
            .lists
            .get(&list)
            .is_some_and(|r| r.path == Path::Own && r.owner == Owner::Driver);
        if own {
            self.lists.remove(&list);
        }
        own
    }
}

/// Digest of what the rules want unchanged: NET_BUFFER chain, MDL chains, offsets, lengths and
/// the context area's fill level.
pub(crate) fn shape(host: &Host, list: u64) -> u64 {
    let mut hash = DefaultHasher::new();
    let context: u64 = host.get(list + at!(NET_BUFFER_LIST.Context), "NET_BUFFER_LIST");
    context.hash(&mut hash);
    if context != 0 {
        let level: [u16; 2] = host.get(context + 8, "Context");
        level.hash(&mut hash);
    }
    for buffer in super::list::buffers(host, list) {
        let b: NET_BUFFER = host.get(buffer, "NET_BUFFER");
        (
            buffer,
            b.MdlChain as u64,
            b.CurrentMdl as u64,
            b.CurrentMdlOffset,
            b.DataOffset,
            b.DataLength,
        )
            .hash(&mut hash);
        let mut mdl = b.MdlChain as u64;
        let mut hops = 0;
        while mdl != 0 && hops < 64 {
            let m: ndis_sys::MDL = host.get(mdl, "MDL");
            (m.ByteCount, m.MappedSystemVa as u64).hash(&mut hash);
            mdl = m.Next as u64;
            hops += 1;
        }
    }
    // Reserved fields with one user along the stack (NBL-6).
    let reserved: [u64; 6] = host.get(
        list + at!(NET_BUFFER_LIST.ProtocolReserved),
        "NET_BUFFER_LIST",
    );
    reserved.hash(&mut hash);
    hash.finish()
}

impl Host {
    /// Enters a list of the host's that goes to the driver now.
    pub(crate) fn hand_in(&self, list: u64, path: Path, by: &'static str) {
        let source: u64 = self.get(list + at!(NET_BUFFER_LIST.SourceHandle), "NET_BUFFER_LIST");
        let shape = shape(self, list);
        let since = self.now();
        self.guard(list, false);
        self.ndis(|n| {
            n.ledger.lists.insert(
                list,
                Record {
                    owner: Owner::Driver,
                    path,
                    source,
                    shape,
                    since,
                    by,
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
                Ok(before)
            }
            Some(r) => Err(Some(r.clone())),
            None => Err(None),
        });
        match result {
            Ok(record) => {
                self.guard(list, true);
                Some(record)
            }
            Err(Some(r)) => {
                self.violate(
                    rule,
                    format!(
                        "{by} gives away list {list:#x}, which {:?} has since {} ns by {}",
                        r.owner, r.since, r.by
                    ),
                );
                None
            }
            Err(None) => {
                self.violate(
                    rule,
                    format!("{by} gives away list {list:#x}, which is not under way (completed or returned before?)"),
                );
                None
            }
        }
    }

    /// A list comes back to the driver.
    pub(crate) fn hand_back(&self, list: u64, by: &'static str) {
        let since = self.now();
        self.guard(list, false);
        self.ndis(|n| {
            if let Some(r) = n.ledger.lists.get_mut(&list) {
                r.owner = Owner::Driver;
                r.since = since;
                r.by = by;
            }
        });
    }

    /// A list of the host's came back to where it started; checks what the rules want restored.
    pub(crate) fn hand_out(&self, list: u64, record: &Record, source_rule: &str, shape_rule: &str) {
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
        if shape(self, list) != record.shape {
            self.violate(
                shape_rule,
                format!("list {list:#x} comes back changed: buffers, MDLs, offsets, context or reserved fields"),
            );
        }
        self.ndis(|n| n.ledger.lists.remove(&list));
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
            let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            for r in n.ledger.lists.values() {
                let who = match (r.owner, r.path) {
                    (Owner::Driver, Path::Own) => continue,
                    (Owner::Driver, Path::Send { .. }) => "driver (sends)",
                    (Owner::Driver, Path::Receive { .. }) => "driver (receives)",
                    (Owner::Below(_), _) => "adapter below",
                    (Owner::Above(_), _) => "protocol above",
                };
                let entry = counts.entry(who.to_owned()).or_insert((0, u64::MAX));
                entry.0 += 1;
                entry.1 = entry.1.min(r.since);
            }
            if counts.is_empty() {
                return "nobody has any list".to_owned();
            }
            counts
                .iter()
                .map(|(who, (count, since))| {
                    format!("{who}: {count} lists, the oldest since {since} ns")
                })
                .collect::<Vec<_>>()
                .join("; ")
        })
    }
}

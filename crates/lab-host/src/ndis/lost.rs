//! Lists that do not come back: sends that take too long (SND-20, SND-21), what a driver keeps
//! when it may not, and sends that are cancelled (SND-13).
//!
//! Each loss is reported once, under the rule that says most; then the list is taken away from
//! the driver, so that what follows from the loss is not reported as well.

use ndis_sys::NetBufferListCancelId;

use super::ledger::{Owner, Path};
use super::list::at;
use super::nbl::info;
use crate::engine::Job;
use crate::host::Host;
use crate::vp::PASSIVE;

/// Longest time a send may take (SND-20).
const SEND: u64 = 30_000_000_000;
/// Longest time without a completion while sends pend (SND-21).
const PROGRESS: u64 = 22_000_000_000;
/// Time that calls under way have to end after a cancel.
const SETTLE: u64 = 1_000_000;

/// A send that the driver has.
struct Kept {
    list: u64,
    born: u64,
    miniport: u64,
}

impl Host {
    /// Watches the time of sends, of all miniports, as long as there are any.
    pub(super) fn watch_sends(&self, miniport: u64) {
        let now = self.now();
        let start = self.ndis(|n| {
            if n.miniports.get(&miniport).is_some_and(|m| m.sends == 0) {
                n.ledger.progress.insert(miniport, now);
            }
            !std::mem::replace(&mut n.ledger.watched, true)
        });
        if start {
            self.spawn_after(PROGRESS, Job::dpc("send watch", Self::check_sends));
        }
    }

    /// A send of a miniport is complete.
    pub(super) fn send_done(&self, miniport: u64) {
        let now = self.now();
        self.ndis(|n| n.ledger.progress.insert(miniport, now));
    }

    /// The sends that the driver has, and nobody for it.
    fn kept_sends(&self) -> Vec<Kept> {
        let mut all: Vec<Kept> = self.ndis(|n| {
            let kept = n.ledger.lists.iter().filter_map(|(&list, r)| match r.path {
                Path::Send { miniport, .. }
                    if r.owner == Owner::Driver && !n.ledger.is_used(list) =>
                {
                    Some(Kept {
                        list,
                        born: r.born,
                        miniport,
                    })
                }
                _ => None,
            });
            kept.collect()
        });
        // Its children may be full copies.
        all.retain(|kept| {
            let children = self
                .arena
                .read::<i32>(kept.list + at!(NET_BUFFER_LIST.ChildRefCount));
            children.is_ok_and(|count| count <= 0)
        });
        all
    }

    fn check_sends(&self) {
        let now = self.now();
        let kept = self.kept_sends();
        let mut next = now + PROGRESS;
        for kept in &kept {
            if now >= kept.born + SEND {
                self.violate(
                    "SND-20",
                    format!(
                        "list {:#x} was sent {} ms ago and is not complete: {}",
                        kept.list,
                        (now - kept.born) / 1_000_000,
                        self.who_has_it()
                    ),
                );
                self.reclaim(kept.list);
                continue;
            }
            next = next.min(kept.born + SEND);
            let since = self.ndis(|n| n.ledger.progress.get(&kept.miniport).copied());
            let since = since.unwrap_or(kept.born);
            if now >= since + PROGRESS {
                self.violate(
                    "SND-21",
                    format!(
                        "no send of miniport {:#x} was completed for {} ms, list {:#x} pends: {}",
                        kept.miniport,
                        (now - since) / 1_000_000,
                        kept.list,
                        self.who_has_it()
                    ),
                );
                self.send_done(kept.miniport);
            } else {
                next = next.min(since + PROGRESS);
            }
        }
        let left = self.ndis(|n| {
            let sends = n.ledger.lists.values();
            let left = sends
                .filter(|r| matches!(r.path, Path::Send { .. }))
                .count()
                > 0;
            n.ledger.watched = left;
            left
        });
        if left {
            let wait = next.saturating_sub(now).max(1_000_000);
            self.spawn_after(wait, Job::dpc("send watch", Self::check_sends));
        }
    }

    /// Takes a list of the host's away from the driver, which has lost it.
    pub(crate) fn reclaim(&self, list: u64) {
        let Some(record) = self.ndis(|n| n.ledger.take_away(list)) else {
            return;
        };
        self.note_home(list, "the host, after its loss was reported");
        self.guard(list, true);
        match record.path {
            Path::Send { upper, miniport } => {
                self.ndis(|n| {
                    if let Some(m) = n.miniports.get_mut(&miniport) {
                        m.sends = m.sends.saturating_sub(1);
                    }
                });
                self.upper_lost(upper, list);
                self.upper_kick(upper);
            }
            Path::Receive { binding, .. } => self.ndis(|n| {
                if let Some(b) = n.bindings.get_mut(&binding) {
                    b.receives = b.receives.saturating_sub(1);
                }
            }),
            Path::Own => {}
        }
    }

    /// SND-1: a miniport halts, and the driver has sends of it.
    pub(crate) fn blame_sends(&self, miniport: u64) {
        for kept in self.kept_sends() {
            if kept.miniport == miniport {
                self.violate(
                    "SND-1",
                    format!(
                        "the virtual miniport halts, and list {:#x} that it accepted is not completed",
                        kept.list
                    ),
                );
                self.reclaim(kept.list);
            }
        }
    }

    /// Lists of an adapter are with the driver that should be back: each is reported under the
    /// rule it broke. Whether there were any.
    pub(crate) fn blame_receives(&self, binding: u64) -> bool {
        let unbinding = self.ndis(|n| n.bindings.get(&binding).is_some_and(|b| b.unbinding));
        let kept: Vec<(u64, bool)> = self.ndis(|n| {
            let lists = n.ledger.lists.iter();
            lists
                .filter(|&(&list, r)| {
                    matches!(r.path, Path::Receive { binding: b, .. } if b == binding)
                        && r.owner == Owner::Driver
                        && !n.ledger.is_used(list)
                })
                .map(|(&list, r)| (list, r.by == "NdisMIndicateReceiveNetBufferLists returned"))
                .collect()
        });
        for &(list, own) in &kept {
            if own {
                self.violate(
                    "RCV-8",
                    format!("list {list:#x} was indicated with RESOURCES, is the driver's again since that call returned, and is not returned"),
                );
            } else {
                self.violate(
                    if unbinding { "NBL-10" } else { "RCV-1" },
                    format!("list {list:#x} is not returned: {}", self.who_has_it()),
                );
            }
            self.reclaim(list);
        }
        !kept.is_empty()
    }

    /// A protocol cancels its sends with an id on a miniport, by `cancel`; SND-13 says what
    /// that has to do.
    pub(crate) fn judge_cancel(&self, miniport: u64, id: u64, cancel: impl FnOnce()) {
        let with_id = |host: &Self| -> Vec<(u64, Owner, u64)> {
            let lists: Vec<(u64, Owner, u64, bool)> = host.ndis(|n| {
                let all = n.ledger.lists.iter().map(|(&list, r)| {
                    let sent = matches!(r.path, Path::Send { miniport: m, .. } if m == miniport);
                    (list, r.owner, r.since, sent)
                });
                all.collect()
            });
            lists
                .into_iter()
                .filter(|&(list, owner, _, sent)| {
                    // Children carry the id too (SND-14).
                    let below = matches!(owner, Owner::Below(_));
                    (sent || below)
                        && host
                            .arena
                            .read::<u64>(info(list, NetBufferListCancelId))
                            .is_ok_and(|of| of == id)
                })
                .map(|(list, owner, since, _)| (list, owner, since))
                .collect()
        };
        let before = with_id(self);
        self.ndis(|n| {
            n.ledger.cancels.clear();
            // What has copies below is not queued: how those end decides.
            n.ledger.aborting = before
                .iter()
                .filter(|(list, owner, _)| *owner == Owner::Driver && !n.ledger.is_used(*list))
                .map(|&(list, _, since)| (list, since))
                .collect();
        });
        cancel();
        if self.vp().irql() == PASSIVE && !before.is_empty() {
            self.sleep(SETTLE);
        }
        self.ndis(|n| n.ledger.aborting.clear());
        for (list, owner, since) in with_id(self) {
            if !before.contains(&(list, owner, since)) {
                continue;
            }
            match owner {
                Owner::Driver if !self.ndis(|n| n.ledger.is_used(list)) => self.violate(
                    "SND-13",
                    format!("list {list:#x} with cancel id {id} is still queued in the driver after MiniportCancelSend"),
                ),
                Owner::Below(binding) if !self.ndis(|n| n.ledger.cancels.contains(&(binding, id))) => {
                    self.violate(
                        "SND-13",
                        format!("list {list:#x} with cancel id {id} is below, and NdisCancelSendNetBufferLists was not called on binding {binding:#x}"),
                    );
                }
                Owner::Driver | Owner::Below(_) | Owner::Above(_) => {}
            }
        }
    }

    /// SND-13: a queued send that is cancelled is completed with SEND_ABORTED.
    pub(crate) fn check_aborted(&self, list: u64, since: u64, status: i32) {
        let queued = self.ndis(|n| n.ledger.aborting.get(&list) == Some(&since));
        if queued
            && status != ndis_sys::NDIS_STATUS_SEND_ABORTED.0
            && self.is_inside("MiniportCancelSend")
        {
            self.violate(
                "SND-13",
                format!("list {list:#x}, which is cancelled, is completed with status {status:#x}"),
            );
        }
    }

    /// SND-16: after the close of every adapter below a send that went nowhere is failed.
    pub(crate) fn check_orphan(&self, list: u64, miniport: u64) {
        let orphan = self.ndis(|n| {
            let m = n.miniports.get(&miniport);
            n.ledger.last_close > 0 && m.is_some_and(|m| !n.is_open_below(&m.name))
        });
        if orphan {
            self.violate(
                "SND-16",
                format!("list {list:#x} is completed with success after NdisCloseAdapterEx, and went nowhere"),
            );
        }
    }
}

//! The send path: lists the driver sends down, and completes upward.

use ndis_sys::{
    NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK,
    NDIS_SEND_FLAGS_DISPATCH_LEVEL, NDIS_STATUS_FAILURE, NDIS_STATUS_INVALID_LENGTH,
    NDIS_STATUS_LOW_POWER_STATE, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_PAUSED,
    NDIS_STATUS_RESET_IN_PROGRESS, NDIS_STATUS_RESOURCES, NDIS_STATUS_SEND_ABORTED,
    NDIS_STATUS_SUCCESS,
};

use super::EdgeState;
use super::ledger::{Owner, Path};
use super::list::{at, chain};
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;
use crate::vp::DISPATCH;

/// SND-4.
const FINAL: [i32; 9] = [
    NDIS_STATUS_SUCCESS.0,
    NDIS_STATUS_INVALID_LENGTH.0,
    NDIS_STATUS_RESOURCES.0,
    NDIS_STATUS_PAUSED.0,
    NDIS_STATUS_SEND_ABORTED.0,
    NDIS_STATUS_RESET_IN_PROGRESS.0,
    NDIS_STATUS_LOW_POWER_STATE.0,
    NDIS_STATUS_NOT_ACCEPTED.0,
    NDIS_STATUS_FAILURE.0,
];

impl Host {
    /// A spin lock of the driver is held across a call into NDIS (LCK-6).
    pub(crate) fn no_lock_held(&self, name: &str) {
        let held = {
            let locks = self.local().locks.borrow();
            locks.iter().rfind(|lock| !lock.shared).copied()
        };
        if let Some(lock) = held {
            self.violate(
                "LCK-6",
                format!(
                    "{name} is called with the spin lock at {:#x} held",
                    lock.address
                ),
            );
        }
    }

    /// IRQ-21: a dispatch flag that is set must be true.
    pub(crate) fn dispatch_flag(&self, name: &str, set: bool) {
        if set && self.vp().irql() < DISPATCH {
            self.violate(
                "IRQ-21",
                format!(
                    "{name} carries the dispatch-level flag at IRQL {}",
                    self.vp().irql()
                ),
            );
        }
    }
}

api! { exports:
    /// Lists go down through a binding.
    "ndis.sys" 0..=2 "IRQ-4"
    fn NdisSendNetBufferLists(host, binding: u64, first: u64, port: u32, flags: u32) {
        if !host.check("NdisBindingHandle", binding, Kind::Binding) {
            return;
        }
        host.judge_port("NdisSendNetBufferLists", port);
        host.goes_down();
        host.dispatch_flag("NdisSendNetBufferLists", flags & NDIS_SEND_FLAGS_DISPATCH_LEVEL != 0);
        if flags & NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK != 0 {
            host.violate("SND-19", "CHECK_FOR_LOOPBACK is passed down".into());
        }
        let (state, closed, asleep, nic, seen) = host.ndis(|n| {
            let b = &n.bindings[&binding];
            (b.state, b.closed, b.asleep, b.nic, b.pause_seen)
        });
        // A send that was under way when the event came may still arrive; the driver waits for it.
        let began = host.local().frames.borrow().iter().find(|f| f.callback).map_or(0, |f| f.began);
        // A driver opens its gate inside the restart handler: it cannot know when that has returned.
        let under_way = state == EdgeState::Restarting
            || (state == EdgeState::Pausing && seen.is_none_or(|seen| began < seen));
        if closed {
            host.violate("UNB-6", "NdisSendNetBufferLists on a binding that is being closed".into());
        } else if state != EdgeState::Running && !under_way {
            let rule = host.rule_of_stray_send(binding, first);
            host.violate(rule, format!("NdisSendNetBufferLists while the binding is {state:?}"));
        } else if asleep {
            host.violate("PWR-4", "NdisSendNetBufferLists while the adapter below is asleep".into());
        }
        host.not_in_reset(nic, "NdisSendNetBufferLists");
        let mut lists = Vec::new();
        let all = chain(host, first);
        for &list in &all {
            let source: u64 = host.get(list + at!(NET_BUFFER_LIST.SourceHandle), "NetBufferList");
            if source != binding {
                host.violate("SND-6", format!("list {list:#x} goes down with SourceHandle {source:#x}, the binding is {binding:#x}"));
            }
        }
        for list in all {
            host.check_sent(list, nic);
            host.check_order(list, binding);
            if host.hand_over(list, Owner::Below(binding), "NdisSendNetBufferLists", "BUG-3").is_some() {
                lists.push(list);
            }
        }
        host.ndis(|n| {
            if let Some(b) = n.bindings.get_mut(&binding) {
                b.sends += lists.len() as u64;
            }
        });
        host.nic_send(nic, binding, &lists);
    }

    /// Lists are completed toward the protocols above.
    "ndis.sys" 0..=2 "IRQ-4"
    fn NdisMSendNetBufferListsComplete(host, miniport: u64, first: u64, flags: u32) {
        if !host.check("MiniportAdapterHandle", miniport, Kind::Miniport) {
            return;
        }
        host.dispatch_flag("NdisMSendNetBufferListsComplete", flags & NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL != 0);
        let mut kicked = Vec::new();
        let mut above = Vec::new();
        for list in chain(host, first) {
            let status: i32 = host.get(list + at!(NET_BUFFER_LIST.Status), "NetBufferList");
            let Some(record) = host.hand_over(list, Owner::Above(miniport), "NdisMSendNetBufferListsComplete", "SND-2") else {
                continue;
            };
            if !FINAL.contains(&status) {
                host.violate("SND-4", format!("list {list:#x} is completed with status {status:#x}"));
            }
            match record.path {
                Path::Send { upper, miniport: from } => {
                    host.judge_refused(miniport, list, status, record.since);
                    if from != miniport {
                        host.violate("SND-2", format!("list {list:#x} of one virtual miniport is completed on another"));
                    }
                    host.hand_out(list, &record, "SND-7", "SND-9");
                    host.send_done(from);
                    host.check_aborted(list, record.since, status);
                    if status == NDIS_STATUS_SUCCESS.0 {
                        host.check_large_send(list, &record);
                    }
                    if status == NDIS_STATUS_SUCCESS.0 && !record.down {
                        host.check_orphan(list, from);
                    }
                    if record.children.failed() && status == NDIS_STATUS_SUCCESS.0 {
                        host.violate("SND-12", format!("list {list:#x} is completed with success, a child of it failed"));
                    }
                    host.ndis(|n| {
                        if let Some(m) = n.miniports.get_mut(&from) {
                            m.sends = m.sends.saturating_sub(1);
                        }
                    });
                    if host.is_edge(upper) {
                        above.push((list, status));
                        continue;
                    }
                    host.upper_completed(upper, list, status == 0);
                    if !kicked.contains(&upper) {
                        kicked.push(upper);
                    }
                }
                Path::Receive { .. } | Path::Own => {
                    host.violate("SND-2", format!("list {list:#x} was not sent by a protocol above"));
                }
            }
        }
        host.complete_above(&above);
        for upper in kicked {
            host.upper_kick(upper);
        }
    }

    /// Cancels sends by their id on one binding.
    "ndis.sys" 0..=2 "IRQ-4"
    fn NdisCancelSendNetBufferLists(host, binding: u64, id: u64) {
        if host.check("NdisBindingHandle", binding, Kind::Binding) {
            host.ndis(|n| {
                n.ledger.cancels.push((binding, id));
                *n.ledger.cancelling.entry(binding).or_default() += 1;
            });
            host.engine().switch();
            host.nic_cancel(binding, id);
            host.engine().switch();
            host.ndis(|n| {
                if let Some(calls) = n.ledger.cancelling.get_mut(&binding) {
                    *calls -= 1;
                    if *calls == 0 {
                        n.ledger.cancelling.remove(&binding);
                    }
                }
            });
        }
    }
}

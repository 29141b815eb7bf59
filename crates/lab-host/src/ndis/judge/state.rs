//! States of the two edges: binds, initialisation, pauses, and sends that come at the wrong time.

use ndis_sys::{
    NDIS_STATUS_LOW_POWER_STATE, NDIS_STATUS_NETWORK_CHANGE, NDIS_STATUS_NOT_ACCEPTED,
    NDIS_STATUS_PAUSED, NDIS_STATUS_SUCCESS,
};

use crate::host::Host;
use crate::ndis::EdgeState;
use crate::ndis::binding::Bind;
use crate::ndis::instance::Miniport;
use crate::ndis::ledger::Path;
use crate::ndis::list::{Shape, link};
use crate::ndis::serving::{names_above, names_due};

impl Host {
    /// A bind is over.
    pub(crate) fn judge_bind(&self, handle: u64, bind: &Bind, status: i32, injected: bool) {
        if let Some(failed) = bind.open_failed
            && status != failed
            && status != NDIS_STATUS_SUCCESS.0
        {
            self.violate(
                "BND-4",
                format!("the open failed with {failed:#x}, the bind ends with {status:#x}"),
            );
        }
        let kept = bind.opened.filter(|_| status == 0);
        let (open, names) = self.ndis(|n| {
            let open = n.configurations.values();
            let open = open
                .filter(|c| c.owner == bind.parameters || c.owner == handle)
                .count();
            n.configurations
                .retain(|_, c| c.owner != bind.parameters && c.owner != handle);
            // What was asked for in the bind belongs to the binding from now on.
            let names = n.judge.names.values_mut().filter(|of| **of == handle);
            for of in names {
                *of = kept.unwrap_or(0);
            }
            let gone = n.judge.names.extract_if(.., |_, of| *of == 0);
            (open, gone.map(|(at, _)| at).collect::<Vec<_>>())
        });
        for &block in &names {
            self.release(block);
        }
        let names = names.len();
        if open > 0 {
            self.violate(
                "BND-12",
                format!("{open} configurations opened with the bind parameters are open when the bind ends"),
            );
        }
        if names > 0 {
            self.violate(
                "BND-16",
                "a string of NdisQueryBindInstanceName is not freed when the bind fails".into(),
            );
        }
        let Some(binding) = kept.filter(|_| !injected) else {
            return;
        };
        let missing = self.ndis(|n| {
            let Some(b) = n.bindings.get(&binding) else {
                return Vec::new();
            };
            // ASC-1: before the edges are associated nothing may be asked for.
            if n.drivers.values().all(|d| d.protocol.is_none()) {
                return Vec::new();
            }
            let mut names = names_due(&b.values);
            names.retain(|name| {
                let key = name.to_uppercase();
                !bind.asked.contains(&key) && n.instances.get(&key).is_none_or(|i| !i.is_wanted())
            });
            names
        });
        if let Some(name) = missing.first() {
            self.violate(
                "BND-13",
                format!("{name} is in UpperBindings and was not asked for in the bind"),
            );
        }
    }

    /// An unbind is over.
    pub(crate) fn judge_unbound(&self, binding: u64) {
        let left = self.ndis(|n| {
            let names = n.judge.names.extract_if(.., |_, of| *of == binding);
            names.map(|(at, _)| at).collect::<Vec<_>>()
        });
        for &block in &left {
            self.release(block);
        }
        let left = left.len();
        if left > 0 {
            self.violate(
                "BND-16",
                format!(
                    "{left} strings of NdisQueryBindInstanceName are not freed when the unbind ends"
                ),
            );
        }
    }

    /// BND-13: a virtual miniport is asked for.
    pub(crate) fn judge_request(&self, key: &str) {
        let listed = self.ndis(|n| {
            let lists = |values: &Vec<_>| {
                let names = names_above(values);
                names.iter().any(|name| name.eq_ignore_ascii_case(key))
            };
            // A member stays in its team as long as it is bound, whatever is listed meanwhile.
            let team = n.instances.get(key).is_some_and(|i| i.team);
            n.bindings
                .values()
                .any(|b| lists(&b.values) || team && b.listed.iter().any(|name| name == key))
                || n.binds.values().any(|b| lists(&b.values))
                || (n.bindings.is_empty() && n.binds.is_empty())
        });
        if !listed && !cfg!(test) {
            self.violate(
                "BND-13",
                format!("{key} is asked for and is in no UpperBindings"),
            );
        }
    }

    /// A status comes while the close is under way, as it may (BND-14, UNB-6).
    pub(crate) fn late_status(&self, binding: u64) {
        let found = self.ndis(|n| {
            let b = n.bindings.get(&binding)?;
            let handler = n.protocols.get(&b.protocol)?.chars.StatusHandlerEx?;
            Some((b.context, handler as usize as u64, b.nic))
        });
        let Some((context, handler, nic)) = found else {
            return;
        };
        self.spawn_after(
            2_000,
            crate::engine::Job::dpc("late status", move |host| {
                if host.ndis(|n| n.bindings.contains_key(&binding)) {
                    host.tell(
                        nic,
                        binding,
                        context,
                        handler,
                        NDIS_STATUS_NETWORK_CHANGE.0,
                        &[1, 0, 0, 0],
                    );
                }
            }),
        );
    }

    /// A protocol above sends a frame now, whatever the state of the virtual miniport: one list,
    /// of no endpoint. How it was completed before the call returned, if it was; `None` if
    /// nothing can send.
    pub fn send_anyway(&self, miniport: u64) -> Option<Option<i32>> {
        let upper = *self.uppers_of(miniport).first()?;
        if self.is_edge(upper) {
            return None;
        }
        let (context, handler) = self.ndis(|n| {
            let m = n.miniports.get(&miniport)?;
            let handler = n.drivers.get(&m.driver)?.chars.SendNetBufferListsHandler?;
            Some((m.context, handler as usize as u64))
        })?;
        let mut frame = vec![0xFF_u8; 60];
        frame[6..12].copy_from_slice(&self.ndis(|n| n.miniports[&miniport].facts.mac));
        // EtherType of local experiments.
        frame[12..14].copy_from_slice(&[0x88, 0xB5]);
        let list = self.lend_from_upper(upper, &frame, &Shape::default())?;
        let first = link(self, &[list]);
        self.hand_in(
            list,
            Path::Send { upper, miniport },
            "MiniportSendNetBufferLists",
        );
        self.ndis(|n| {
            if let Some(m) = n.miniports.get_mut(&miniport) {
                m.sends += 1;
            }
            n.judge.odd_sends.insert(list, None);
        });
        self.call(
            "MiniportSendNetBufferLists",
            miniport,
            handler,
            &[context, first, 0, 0],
        );
        Some(self.ndis(|n| {
            let status = n.judge.odd_sends.remove(&list).flatten();
            if status.is_none() {
                n.judge.odd_late.insert(list);
            }
            status
        }))
    }

    /// MPS-4, PWR-4: what comes while the virtual miniport does not run or sleeps is completed
    /// at once, with the status that says why.
    pub fn judge_odd_send(&self, miniport: u64) {
        let found = self.ndis(|n| n.miniports.get(&miniport).map(|m| (m.state, m.asleep)));
        let Some((state, asleep)) = found else { return };
        let idle = matches!(state, EdgeState::Paused | EdgeState::Pausing);
        let Some(status) = self.send_anyway(miniport) else {
            return;
        };
        // Whatever else is the case, an adapter that is gone says so (DPE-1).
        let removed = |m: &Miniport| m.removed;
        if status == Some(NDIS_STATUS_NOT_ACCEPTED.0)
            && self.ndis(|n| n.miniports.get(&miniport).is_none_or(removed))
        {
            return;
        }
        let name = |s: Option<i32>| {
            s.map_or("not completed".to_owned(), |s| {
                format!("completed with {s:#x}")
            })
        };
        if asleep {
            // It may be paused or halted meanwhile.
            let runs = |m: &Miniport| m.state == EdgeState::Running;
            let ran = state == EdgeState::Running
                && self.ndis(|n| n.miniports.get(&miniport).is_some_and(runs));
            let right = status == Some(NDIS_STATUS_LOW_POWER_STATE.0)
                || (!ran && status == Some(NDIS_STATUS_PAUSED.0));
            if !right {
                self.violate(
                    "PWR-4",
                    format!(
                        "a send is {} while the virtual miniport is asleep",
                        name(status)
                    ),
                );
            }
        } else if idle && status != Some(NDIS_STATUS_PAUSED.0) {
            self.violate(
                "MPS-4",
                format!(
                    "a send is {} while the virtual miniport is {state:?}",
                    name(status)
                ),
            );
        }
    }

    /// A list is completed upward: MPS-9, PWR-1. `since` is when it came.
    pub(crate) fn judge_refused(&self, miniport: u64, list: u64, status: i32, since: u64) {
        let odd = self.ndis(|n| {
            if let Some(s) = n.judge.odd_sends.get_mut(&list) {
                *s = Some(status);
                return true;
            }
            n.judge.odd_late.contains(&list)
        });
        if odd {
            return;
        }
        let low = status == NDIS_STATUS_LOW_POWER_STATE.0;
        if !low && status != NDIS_STATUS_PAUSED.0 {
            return;
        }
        let able = self.ndis(|n| {
            let m = &n.miniports[&miniport];
            let below = n.below_of(miniport);
            let runs = |b: &u64| {
                let b = &n.bindings[b];
                let x = &n.nics[b.nic];
                b.state == EdgeState::Running && !b.asleep && !x.in_reset && !x.gone
            };
            m.state == EdgeState::Running
                && !m.asleep
                && !below.is_empty()
                && below.iter().all(runs)
                && since > n.judge.disturbed
        });
        if !able {
            return;
        }
        if low {
            self.violate(
                "PWR-1",
                format!("list {list:#x} is refused for low power, both edges are in D0"),
            );
        } else {
            self.violate(
                "MPS-9",
                format!("list {list:#x} is refused as paused, both edges run"),
            );
        }
    }

    /// A driver does what it may do only while nothing is in the way: notes a call downward for
    /// the order of events (PNP-7).
    pub(crate) fn goes_down(&self) {
        let task = self.local().id;
        self.ndis(|n| {
            let mut mine = n.judge.events.values_mut().filter(|e| e.task == task);
            if let Some(event) = mine.next_back() {
                if event.answer.is_some() {
                    event.down_after = true;
                } else {
                    event.down_before = true;
                }
            }
        });
    }

    /// PBS-6 or PBS-1: a list goes down on a binding that does not run.
    pub(crate) fn rule_of_stray_send(&self, binding: u64, first: u64) -> &'static str {
        self.ndis(|n| {
            let b = &n.bindings[&binding];
            if !b.restarted {
                return "BND-7";
            }
            let came = n
                .ledger
                .lists
                .get(&first)
                .filter(|r| matches!(r.path, Path::Send { .. }));
            match came {
                Some(r) if b.paused_at.is_some_and(|at| r.since >= at) => "PBS-6",
                _ => "PBS-1",
            }
        })
    }
}

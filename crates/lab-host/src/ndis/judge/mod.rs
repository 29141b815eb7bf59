//! Rules about the edges of a driver and what joins them: bind and unbind, states, requests,
//! statuses, events, power, the interface stack and teams.
//!
//! A rule that one call breaks is checked where the call is. Here is what needs a memory: what
//! was asked for and has to follow, within a second of virtual time in which nothing else
//! happened to the edges ([`Host::owed`]); and what several objects say together.

mod assist;
mod cancel;
mod duty;
mod event;
mod oid;
mod state;
mod status;
mod team;

use std::collections::{BTreeMap, BTreeSet};

use super::Ndis;
use super::serving::names_above;
use crate::engine::Job;
use crate::handle::{HandleError, Kind};
use crate::host::Host;

pub(crate) use assist::{FILTERS, SWITCH};
pub use duty::Breach;
pub(crate) use event::EventTrace;
pub(crate) use oid::{Below, Ended, How, NO_REVISION, Past};
pub(crate) use team::Common;

/// How long a driver has for what it owes after an event.
pub(crate) const SOON: u64 = 1_000_000_000;

/// What has to be remembered.
#[derive(Default)]
pub(crate) struct Judge {
    /// Grows whenever an edge is disturbed.
    epoch: u64,
    /// Strings of `NdisQueryBindInstanceName`, and the bind each was asked in.
    pub(crate) names: BTreeMap<u64, u64>,
    /// Events on their way through a `ProtocolNetPnPEvent`.
    pub(crate) events: BTreeMap<u64, EventTrace>,
    /// Regular requests that are over: by their address, how.
    pub(crate) past: BTreeMap<u64, oid::Past>,
    /// Miniports whose link changed below while they could not say so.
    pub(crate) stale_links: BTreeSet<u64>,
    /// Bindings whose driver is told right now that the adapter is back in D0.
    pub(crate) waking: u32,
    /// When an edge was disturbed last.
    pub(crate) disturbed: u64,
    /// Grows with each reason to tell the link state.
    pub(crate) links: u64,
    /// Lists that were sent out of turn, and how they were completed.
    pub(crate) odd_sends: BTreeMap<u64, Option<i32>>,
    /// Of them those that were not complete when the call returned.
    pub(crate) odd_late: BTreeSet<u64>,
    /// Sends that came back because an adapter reset.
    pub(crate) reset_back: BTreeSet<u64>,
    /// A pause for the usual reason was begun without an error (MPS-10).
    pub(crate) paused_fine: bool,
    /// Pauses of virtual miniports so far.
    pub(crate) pauses: u64,
    /// What NDIS owes to the driver.
    duties: duty::Duties,
}

impl Ndis {
    /// The bindings that a virtual miniport lies on.
    pub(crate) fn below_of(&self, miniport: u64) -> Vec<u64> {
        self.miniports
            .get(&miniport)
            .map_or_else(Vec::new, |m| self.serving(&m.name).collect())
    }

    /// Whether a virtual miniport is that of a team, even if it has one member now.
    pub(crate) fn is_team(&self, miniport: u64) -> bool {
        let Some(m) = self.miniports.get(&miniport) else {
            return false;
        };
        m.team || self.instances.get(&m.name).is_some_and(|i| i.team)
    }

    /// The one binding of a virtual miniport which is the only one on it.
    pub(crate) fn one_to_one(&self, miniport: u64) -> Option<u64> {
        let below = self.below_of(miniport);
        let &[one] = below.as_slice() else {
            return None;
        };
        if self.is_team(miniport) {
            return None;
        }
        (names_above(&self.bindings[&one].values).len() == 1).then_some(one)
    }

    /// The initialised virtual miniports on a binding.
    pub(crate) fn above_of(&self, binding: u64) -> Vec<u64> {
        let Some(b) = self.bindings.get(&binding) else {
            return Vec::new();
        };
        let names = names_above(&b.values);
        let upper: Vec<String> = names.iter().map(|n| n.to_uppercase()).collect();
        self.miniports
            .iter()
            .filter(|(_, m)| m.initialized && upper.contains(&m.name))
            .map(|(&h, _)| h)
            .collect()
    }
}

impl Host {
    /// Something happens to an edge: what is waited for undisturbed is waited for no more.
    pub(crate) fn disturb(&self) {
        let now = self.now();
        self.ndis(|n| {
            n.judge.epoch += 1;
            n.judge.disturbed = now;
        });
    }

    /// Judges after a second, if no edge was disturbed meanwhile.
    pub(crate) fn owed(&self, judge: impl FnOnce(&Self) + Send + 'static) {
        let epoch = self.ndis(|n| n.judge.epoch);
        self.spawn_after(
            SOON,
            Job::dpc("what was owed", move |host| {
                if host.ndis(|n| n.judge.epoch == epoch) {
                    judge(host);
                }
            }),
        );
    }

    /// The innermost callback the running task is in, and the handle it is about.
    pub(crate) fn inside(&self) -> Option<(&'static str, u64)> {
        let frames = self.local().frames.borrow();
        let frame = frames.iter().rev().find(|f| f.callback)?;
        Some((frame.name, frame.subject))
    }

    /// Whether the running task is inside a callback of this name.
    pub(crate) fn is_inside(&self, name: &str) -> bool {
        let frames = self.local().frames.borrow();
        frames.iter().any(|f| f.callback && f.name == name)
    }

    /// The import that is open.
    pub(crate) fn import(&self) -> &'static str {
        let frames = self.local().frames.borrow();
        frames.last().map_or("the host", |f| f.name)
    }

    /// The rule that a bad handle breaks, where one is about such handles.
    pub(crate) fn rule_of_handle(&self, wanted: Kind, error: HandleError) -> Option<&'static str> {
        let name = self.import();
        match (wanted, error) {
            (Kind::Bind, _) if name == "NdisCompleteBindAdapterEx" => Some("BND-5"),
            (Kind::Bind, _) => Some("BND-1"),
            (Kind::Unbind, _) => Some("UNB-1"),
            (
                Kind::Binding,
                HandleError::Stale(Kind::Opening)
                | HandleError::WrongKind {
                    found: Kind::Opening,
                    ..
                },
            ) => Some(match name {
                "NdisOidRequest" | "NdisDirectOidRequest" | "NdisSendNetBufferLists" => "BND-7",
                _ => "BND-3",
            }),
            (Kind::Binding, HandleError::Stale(Kind::Binding)) => Some("UNB-6"),
            _ => None,
        }
    }

    /// UNB-6: a binding handle is used after the close was asked for.
    pub(crate) fn not_closed(&self, binding: u64) {
        let name = self.import();
        // Receives that came during the close go back; the close and the send have rules of
        // their own.
        if matches!(
            name,
            "NdisReturnNetBufferLists" | "NdisCloseAdapterEx" | "NdisSendNetBufferLists"
        ) {
            return;
        }
        if self.ndis(|n| n.bindings.get(&binding).is_some_and(|b| b.closed)) {
            self.violate("UNB-6", format!("{name} on a binding that is being closed"));
        }
    }

    /// Memory is freed that others still use: BND-14, OID-17, BND-16.
    pub(crate) fn judge_freed(&self, address: u64, len: u64, by: &str) {
        let within = |at: u64| at >= address && at < address + len.max(1);
        let (context, request, name) = self.ndis(|n| {
            let context = n.bindings.values().any(|b| within(b.context));
            (
                context,
                n.oids.below_within(within),
                n.judge.names.remove(&address),
            )
        });
        if context {
            self.violate(
                "BND-14",
                format!("{by} frees the context of a binding that is not closed ({address:#x})"),
            );
        }
        if let Some(request) = request {
            self.violate(
                "OID-17",
                format!(
                    "{by} frees memory of the request {request:#x}, which the adapter below has"
                ),
            );
        }
        if name.is_some() && by != "NdisFreeMemory" {
            self.violate(
                "BND-16",
                format!("a string of NdisQueryBindInstanceName is freed by {by}"),
            );
        }
    }
}

//! What NDIS owes to a driver (OID-1, UNI-1).
//!
//! No driver can break these rules, so that whoever plays NDIS is judged here: directly before
//! the call, by a memory of its own that nothing but these checks reads. What the host does to
//! keep to the rules (a miniport's turn among requests, the order at the end) stands elsewhere.
//! That the checks are awake shows when the host is told to break a rule ([`Breach`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::host::Host;
use crate::vp::PASSIVE;

/// A rule that the host breaks on purpose: NDIS does not keep its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// Regular OID requests do not wait for their turn (OID-1).
    OidsAtOnce,
    /// The protocol edge uninstalls before its bindings are unbound (UNI-1).
    UninstallBound,
    /// It does so at `DISPATCH_LEVEL` (UNI-1).
    UninstallRaised,
    /// The driver unloads without that call (UNI-1).
    NoUninstall,
}

/// What the checks remember.
#[derive(Default)]
pub(crate) struct Duties {
    breach: Option<Breach>,
    /// Regular requests that a miniport was handed and has not completed, and whose each is.
    handed: BTreeMap<u64, u64>,
    /// Protocol edges that were uninstalled.
    uninstalled: BTreeSet<u64>,
}

impl Host {
    /// Breaks a rule of NDIS from now on, or none; a reset forgets it.
    pub fn set_breach(&self, breach: Option<Breach>) {
        self.ndis(|n| n.judge.duties.breach = breach);
    }

    /// Whether that is the rule to break.
    pub fn breaches(&self, breach: Breach) -> bool {
        self.ndis(|n| n.judge.duties.breach == Some(breach))
    }

    /// OID-1, before each call of `MiniportOidRequest`.
    pub(crate) fn hand_request(&self, miniport: u64, request: u64) {
        let other = self.ndis(|n| {
            let handed = &mut n.judge.duties.handed;
            let mut others = handed.iter().filter(|&(_, &whose)| whose == miniport);
            let other = others.next().map(|(&other, _)| other);
            handed.insert(request, miniport);
            other
        });
        if let Some(other) = other {
            self.violate(
                "OID-1",
                format!(
                    "MiniportOidRequest is called with the request {request:#x} while the miniport has {other:#x}"
                ),
            );
        }
    }

    /// The miniport has completed a request, or nobody waits for it any more (OID-8).
    pub(crate) fn request_over(&self, request: u64) {
        self.ndis(|n| n.judge.duties.handed.remove(&request));
    }

    /// UNI-1, before each call of `ProtocolUninstall`.
    pub(crate) fn judge_uninstall(&self, protocol: u64) {
        let irql = self.vp().irql();
        if irql != PASSIVE {
            self.violate(
                "UNI-1",
                format!("ProtocolUninstall is called at IRQL {irql}"),
            );
        }
        self.judge_unbound_all(protocol, "ProtocolUninstall");
        self.ndis(|n| n.judge.duties.uninstalled.insert(protocol));
    }

    /// UNI-1, before the unload handler of a driver that was uninstalled.
    pub(crate) fn judge_unload(&self, driver: u64) {
        let edges: Vec<(u64, bool)> = self.ndis(|n| {
            let all = n.protocols.iter();
            all.filter(|(_, p)| p.driver_object == driver)
                .map(|(&protocol, p)| {
                    let told = n.judge.duties.uninstalled.contains(&protocol);
                    (protocol, told || p.chars.UninstallHandler.is_none())
                })
                .collect()
        });
        for (protocol, told) in edges {
            if !told {
                self.violate(
                    "UNI-1",
                    "the unload handler is called before ProtocolUninstall".into(),
                );
            }
            self.judge_unbound_all(protocol, "the unload handler");
        }
    }

    /// Every binding of a protocol edge is unbound: `ProtocolUnbindAdapterEx` was called for it,
    /// and is over. What a driver leaves open over that is UNB-2.
    fn judge_unbound_all(&self, protocol: u64, before: &str) {
        let bound = self.ndis(|n| {
            let all = n.bindings.iter().filter(|(_, b)| b.protocol == protocol);
            all.filter(|(binding, b)| !b.unbinding || n.leaving.contains_key(binding))
                .count()
        });
        if bound > 0 {
            self.violate(
                "UNI-1",
                format!("{before} is called while {bound} bindings are not unbound"),
            );
        }
    }
}

//! Plans in which NDIS breaks a promise of its own: what no driver can break is proven by the
//! host, above a driver that behaves.

use lab_host::{Breach, Manner};
use ndis_sys::{OID_GEN_RCV_OK, OID_GEN_VENDOR_ID, OID_GEN_XMIT_OK};

use super::{Plans, query};
use crate::plan::{Action, Plan, Shape};

/// See [`super::PLANS`]. Without a misdeed these are not clean.
pub const PLANS: Plans = &[
    ("oids-at-once", oids_at_once),
    ("uninstall-bound", || {
        end("uninstall-bound", Breach::UninstallBound)
    }),
    ("uninstall-raised", || {
        end("uninstall-raised", Breach::UninstallRaised)
    }),
    ("no-uninstall", || end("no-uninstall", Breach::NoUninstall)),
];

/// Requests that all come while the adapter has the first.
fn oids_at_once() -> Plan {
    let actions = vec![
        query(OID_GEN_VENDOR_ID.0, 4),
        query(OID_GEN_XMIT_OK.0, 8),
        query(OID_GEN_RCV_OK.0, 8),
    ];
    let mut plan = Plan::life(
        "oids-at-once",
        Shape::default(),
        vec![Action::Together { actions }],
    );
    plan.knobs.manner = Manner::Pending;
    plan.knobs.breach = Some(Breach::OidsAtOnce);
    plan
}

/// A bind, and the end; whoever plays it unbinds, uninstalls and unloads.
fn end(name: &str, breach: Breach) -> Plan {
    let mut plan = Plan::new(
        name,
        vec![Action::Entry, Action::Bind { adapter: 0 }, Action::Unload],
    );
    plan.knobs.breach = Some(breach);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_plans_break_a_promise() {
        let breach = |plan: &Plan| plan.knobs.breach.is_some();
        assert!(PLANS.iter().all(|(_, make)| breach(&make())));
        let rest = super::super::PLANS;
        assert!(!rest.iter().any(|(_, make)| breach(&make())));
    }
}

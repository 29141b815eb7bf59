//! Runs the misdeeds of `tests/drivers/misdeed`: one plan each, and what must be found.
//!
//! A misdeed may end the process that runs it, by a fault of the driver or by a loop, so that
//! whoever runs many gives each a process of its own; this is what happens inside.

mod breaches;
pub mod child;
mod edges;

use std::collections::BTreeSet;
use std::sync::Arc;

use lab_host::report::Sink;
use lab_host::{Host, Schedule, Step};
use misdeed::Misdeed;
use ndis_sys::{
    NDIS_STATUS_MEDIA_SPECIFIC_INDICATION, NDIS_STATUS_NETWORK_CHANGE, NetEventQueryPower,
    OID_GEN_CURRENT_LOOKAHEAD, OID_GEN_CURRENT_PACKET_FILTER, OID_GEN_RECEIVE_SCALE_PARAMETERS,
    OID_GEN_STATISTICS, OID_GEN_VENDOR_ID, OID_GEN_XMIT_OK, OID_QOS_PARAMETERS,
};

use crate::plan::{Action, Adapter, Fault, Knobs, Plan, Request, Setting, Shape, Start};
use crate::play::{Outcome, Trouble, host, play};

pub use misdeed::misdeeds::all;

/// The exported variable that picks a misdeed.
pub const VARIABLE: &str = "MISDEED";

/// The service whose registry key the driver is started with.
pub const SERVICE: &str = "ImMisdeed";

/// A list of plans by name; a plan's name is what stands behind `in` in the driver's tables.
pub type Plans = &'static [(&'static str, fn() -> Plan)];

/// The plans that misdeeds show in.
pub const PLANS: Plans = &[
    ("load", load),
    ("life", life),
    ("bind", || Plan::life("bind", Shape::default(), Vec::new())),
    ("inside", || started(Start::Inside)),
    ("later", || started(Start::Later)),
    ("never", || started(Start::Never)),
    ("pauses", pauses),
    ("lent", || receives(Some(true))),
    ("kept", || receives(Some(false))),
    ("pended", pended),
    ("mixed", mixed),
    ("oids", oids),
    ("status", status),
    ("power", power),
    ("vanish", vanish),
    ("halt", halt),
    ("reset", reset),
    ("two", two),
    ("two-kept", two_kept),
    ("lent-back", lent_back),
    ("brief", || alone("brief", vec![send(8), sleep(1_000_000)])),
    ("unready", unready),
    ("unplugged", unplugged),
    ("cancel", || cancels("cancel")),
    ("cancel-ids", || cancels("cancel-ids")),
    ("cancel-idle", || alone("cancel-idle", vec![cancel(1)])),
    ("minute", minute),
    ("stall", || {
        alone("stall", vec![send(4), sleep(25 * SECOND), send(4)])
    }),
    ("silent", silent),
    ("read-only", read_only),
    ("kept-to-the-end", kept_to_the_end),
    ("racing", racing),
    ("tasks", || tasks("tasks", 4096)),
    ("small-sends", || tasks("small-sends", 64)),
    ("optional", optional),
    ("coalesced", coalesced),
    ("two-idle", || two_with("two-idle", Vec::new())),
    ("early", early),
    ("attributes", || {
        alone("attributes", vec![Action::AskAll { upper: 0 }])
    }),
    ("settings", settings),
    ("wakes", wakes),
    ("sends", || alone("sends", vec![send(4), Action::Settle])),
    ("vanish-idle", || {
        alone("vanish-idle", vec![Action::Vanish { adapter: 0 }])
    }),
    ("shutdown", shutdown),
    ("unload-bound", unload_bound),
    ("crossing", crossing),
];

fn send(lists: u32) -> Action {
    Action::Send { upper: 0, lists }
}

fn receive(lists: u32) -> Action {
    Action::Receive {
        adapter: 0,
        upper: 0,
        lists,
        resources: None,
    }
}

fn alone(name: &str, middle: Vec<Action>) -> Plan {
    Plan::life(name, Shape::default(), middle)
}

/// `DriverEntry` and unload, nothing bound.
fn load() -> Plan {
    Plan::new(
        "load",
        vec![Action::Entry, Action::Uninstall, Action::Unload],
    )
}

/// A little of everything that is ordinary.
fn life() -> Plan {
    alone(
        "life",
        vec![
            send(8),
            receive(8),
            query(OID_GEN_STATISTICS.0, 200),
            Action::Settle,
            Action::PauseUpper { upper: 0 },
            Action::RestartUpper { upper: 0 },
            send(4),
            receive(4),
            Action::Settle,
        ],
    )
}

fn started(start: Start) -> Plan {
    let mut shape = Shape::default();
    shape.miniports[0].start = start;
    let name = match start {
        Start::Inside => "inside",
        Start::Later => "later",
        _ => "never",
    };
    Plan::life(name, shape, vec![send(4), receive(4)])
}

/// Both edges pause and restart under traffic.
fn pauses() -> Plan {
    alone(
        "pauses",
        vec![
            send(8),
            receive(8),
            Action::PauseUpper { upper: 0 },
            receive(2),
            Action::RestartUpper { upper: 0 },
            send(8),
            receive(8),
            Action::PauseLower { adapter: 0 },
            send(2),
            Action::RestartLower { adapter: 0 },
            send(4),
            Action::Settle,
        ],
    )
}

fn receives(resources: Option<bool>) -> Plan {
    let receive = |lists| Action::Receive {
        adapter: 0,
        upper: 0,
        lists,
        resources,
    };
    let name = if resources == Some(true) {
        "lent"
    } else {
        "kept"
    };
    alone(
        name,
        vec![receive(8), Action::Settle, receive(1), receive(8)],
    )
}

/// The adapter completes nothing before the call returns.
fn pended() -> Plan {
    let mut shape = Shape::default();
    shape.adapters[0].pend = 100;
    Plan::life("pended", shape, vec![send(8), Action::Settle, send(8)])
}

/// Sends that come back in batches of any size and order: some batch comes while others are
/// below, whatever the seed.
fn mixed() -> Plan {
    let mut shape = Shape::default();
    shape.adapters[0].pend = 100;
    let rounds = (0..12).flat_map(|_| [send(8), Action::Settle]);
    Plan::life("mixed", shape, rounds.collect())
}

/// A query of the protocol above.
fn query(oid: u32, output: u32) -> Action {
    Action::Oid {
        upper: 0,
        kind: Request::Query,
        oid,
        input: Vec::new(),
        output,
        direct: false,
        cancel_after: None,
    }
}

/// A word that the protocol above sets.
fn set(oid: u32, value: u32) -> Action {
    Action::Oid {
        upper: 0,
        kind: Request::Set,
        oid,
        input: value.to_ne_bytes().to_vec(),
        output: 0,
        direct: false,
        cancel_after: None,
    }
}

fn oids() -> Plan {
    let cancelled = |direct| Action::Oid {
        upper: 0,
        kind: Request::Query,
        oid: OID_GEN_VENDOR_ID.0,
        input: Vec::new(),
        output: 4,
        direct,
        cancel_after: Some(50_000),
    };
    alone(
        "oids",
        vec![
            query(OID_GEN_VENDOR_ID.0, 4),
            query(OID_GEN_XMIT_OK.0, 8),
            query(OID_GEN_STATISTICS.0, 200),
            set(OID_GEN_CURRENT_PACKET_FILTER.0, 0xB),
            set(OID_GEN_CURRENT_LOOKAHEAD.0, 256),
            Action::HoldOids { hold: true },
            cancelled(false),
            cancelled(true),
            Action::HoldOids { hold: false },
            query(OID_GEN_VENDOR_ID.0, 4),
        ],
    )
}

fn status() -> Plan {
    let status = |code: i32, bytes| Action::Status {
        adapter: 0,
        code: code as u32,
        bytes,
        times: 2,
    };
    alone(
        "status",
        vec![
            status(NDIS_STATUS_NETWORK_CHANGE.0, 4),
            status(NDIS_STATUS_MEDIA_SPECIFIC_INDICATION.0, 16),
            Action::Link {
                adapter: 0,
                up: false,
            },
            Action::Link {
                adapter: 0,
                up: true,
            },
        ],
    )
}

fn power() -> Plan {
    alone(
        "power",
        vec![
            send(4),
            Action::NetEvent {
                adapter: 0,
                code: NetEventQueryPower.0,
            },
            Action::PowerUpper {
                upper: 0,
                up: false,
            },
            Action::PowerLower {
                adapter: 0,
                up: false,
            },
            Action::PowerLower {
                adapter: 0,
                up: true,
            },
            Action::PowerUpper { upper: 0, up: true },
            send(4),
        ],
    )
}

fn vanish() -> Plan {
    alone(
        "vanish",
        vec![send(8), receive(8), Action::Vanish { adapter: 0 }],
    )
}

fn halt() -> Plan {
    alone(
        "halt",
        vec![
            send(8),
            receive(8),
            Action::Settle,
            Action::Halt { upper: 0 },
        ],
    )
}

fn reset() -> Plan {
    alone(
        "reset",
        vec![
            send(4),
            Action::Reset {
                adapter: 0,
                ns: 100_000,
            },
            send(4),
        ],
    )
}

/// Two adapters with a miniport each.
fn two() -> Plan {
    two_with("two", vec![send(4), receive(4)])
}

fn two_with(name: &str, middle: Vec<Action>) -> Plan {
    let mut shape = Shape::default();
    shape.miniports.push(shape.miniports[0].clone());
    shape.adapters.push(Adapter {
        upper: vec![1],
        ..Adapter::default()
    });
    Plan::life(name, shape, middle)
}

/// The adapter is there before `DriverEntry` is over.
fn early() -> Plan {
    let mut plan = alone("early", vec![send(4), receive(4)]);
    plan.actions.insert(0, Action::BindEarly { adapter: 0 });
    plan
}

/// The binding's key has a number that nobody asked for.
fn settings() -> Plan {
    let mut shape = Shape::default();
    let values = &mut shape.adapters[0].values;
    values.insert("Tune".into(), Setting::Integer(7));
    Plan::life("settings", shape, Vec::new())
}

/// The adapter can wake the system.
fn wakes() -> Plan {
    let mut shape = Shape::default();
    shape.adapters[0].wakes = true;
    Plan::life("wakes", shape, Vec::new())
}

fn shutdown() -> Plan {
    let shutdown = |bug_check| Action::Shutdown {
        upper: 0,
        bug_check,
    };
    alone(
        "shutdown",
        vec![send(4), Action::Settle, shutdown(false), shutdown(true)],
    )
}

fn unload_bound() -> Plan {
    Plan::new(
        "unload-bound",
        vec![
            Action::Entry,
            Action::Bind { adapter: 0 },
            Action::UnloadBound,
        ],
    )
}

/// Two protocols send at once; each send handler stops early on, until others have done what they
/// can.
fn crossing() -> Plan {
    let both = || [0, 1].map(|upper| Action::Send { upper, lists: 4 });
    let rounds = (0..8).flat_map(|_| both().into_iter().chain([Action::Settle]));
    let mut plan = two_with("crossing", rounds.collect());
    plan.knobs.schedule = Schedule {
        switch_every: 16,
        steps: (1..=16)
            .map(|call| Step {
                callback: "MiniportSendNetBufferLists".into(),
                call,
                instruction: 600,
            })
            .collect(),
        ..Schedule::default()
    };
    plan
}

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

const fn sleep(ns: u64) -> Action {
    Action::Sleep { ns }
}

const fn cancel(id: u64) -> Action {
    Action::CancelSends { upper: 0, id }
}

/// Two adapters with a miniport each; nothing is lent.
fn two_kept() -> Plan {
    let mut plan = two();
    plan.name = "two-kept".into();
    for adapter in &mut plan.shape.adapters {
        adapter.resources = 0;
    }
    let unbind = plan
        .actions
        .iter()
        .position(|a| matches!(a, Action::Unbind { .. }));
    plan.actions
        .insert(unbind.unwrap_or_default(), Action::Settle);
    plan
}

/// Everything is lent, and the protocol above keeps nothing.
fn lent_back() -> Plan {
    let mut shape = Shape::default();
    shape.miniports[0].keeps = Some(0);
    let receive = Action::Receive {
        adapter: 0,
        upper: 0,
        lists: 8,
        resources: Some(true),
    };
    Plan::life("lent-back", shape, vec![receive, Action::Settle])
}

/// Sends that cannot go on.
fn unready() -> Plan {
    alone(
        "unready",
        vec![
            Action::PauseLower { adapter: 0 },
            send(2),
            sleep(1_000_000),
            Action::RestartLower { adapter: 0 },
        ],
    )
}

/// Sends that the adapter fails: its cable is out.
fn unplugged() -> Plan {
    let link = |up| Action::Link { adapter: 0, up };
    alone(
        "unplugged",
        vec![link(false), send(4), sleep(1_000_000), link(true)],
    )
}

/// Sends that are cancelled while the adapter has them.
fn cancels(name: &str) -> Plan {
    let hold = |hold| Action::HoldSends { adapter: 0, hold };
    let id = 0x0100_0000_0000_0001;
    alone(
        name,
        vec![
            hold(true),
            cancel(id),
            send(4),
            sleep(1_000_000),
            cancel(id),
            hold(false),
        ],
    )
}

/// A minute with a send now and then.
fn minute() -> Plan {
    let mut all = vec![send(8)];
    for _ in 0..5 {
        all.extend([sleep(10 * SECOND), send(2)]);
    }
    alone("minute", all)
}

/// The protocol above sets no packet filter.
fn silent() -> Plan {
    let mut shape = Shape::default();
    shape.miniports[0].silent = true;
    Plan::life("silent", shape, vec![send(4)])
}

/// Received lists are read-only, and kept.
fn read_only() -> Plan {
    let mut shape = Shape::default();
    shape.adapters[0].read_only = 100;
    shape.adapters[0].resources = 0;
    Plan::life(
        "read-only",
        shape,
        vec![receive(8), Action::Settle, receive(8)],
    )
}

/// Receives, and at once the end.
fn kept_to_the_end() -> Plan {
    let mut shape = Shape::default();
    shape.adapters[0].resources = 0;
    Plan::life("kept-to-the-end", shape, vec![receive(8), sleep(1_000_000)])
}

/// The device starts later than anybody waits for it.
fn racing() -> Plan {
    let mut shape = Shape::default();
    shape.miniports[0].start = Start::Later;
    Plan::life("racing", shape, Vec::new())
}

/// An adapter with checksums and large sends, and a protocol that asks for them.
fn tasks(name: &str, large_send: u32) -> Plan {
    let mut shape = Shape::default();
    shape.adapters[0].pend = 100;
    shape.adapters[0].tasks.checksums = true;
    shape.adapters[0].tasks.large_send = large_send;
    shape.miniports[0].large_sends = large_send > 64;
    Plan::life(name, shape, vec![send(8), Action::Settle, send(4)])
}

/// An adapter that coalesces what it receives.
fn coalesced() -> Plan {
    let mut shape = Shape::default();
    shape.adapters[0].tasks.coalesce = true;
    Plan::life(
        "coalesced",
        shape,
        vec![receive(8), Action::Settle, receive(8)],
    )
}

/// Requests that a miniport may not know.
fn optional() -> Plan {
    alone(
        "optional",
        vec![
            set(OID_GEN_RECEIVE_SCALE_PARAMETERS.0, 0),
            set(OID_QOS_PARAMETERS.0, 0),
        ],
    )
}

/// The plans that are clean without a misdeed: [`PLANS`], and those about edges.
pub fn honest_plans() -> impl Iterator<Item = &'static (&'static str, fn() -> Plan)> {
    PLANS.iter().chain(edges::PLANS)
}

/// All plans, with those in which NDIS breaks a promise.
pub fn plans() -> impl Iterator<Item = &'static (&'static str, fn() -> Plan)> {
    honest_plans().chain(breaches::PLANS)
}

/// The plan of this name. `NAME!3` is the plan with its third fallible call failing,
/// `NAME!NdisOpenAdapterEx` with the first call of that function failing, `…:2` the second.
pub fn plan(name: &str) -> Option<Plan> {
    let (name, faults) = match name.split_once('!') {
        Some((name, what)) => (name, vec![fault(what)?]),
        None => (name, Vec::new()),
    };
    let (_, make) = plans().find(|(known, _)| *known == name)?;
    let mut plan = make();
    plan.knobs = Knobs {
        faults,
        ..plan.knobs
    };
    Some(plan)
}

fn fault(what: &str) -> Option<Fault> {
    if let Ok(nth) = what.parse() {
        return Some(Fault {
            nth,
            ..Fault::default()
        });
    }
    let (call, nth) = what.split_once(':').unwrap_or((what, "1"));
    Some(Fault {
        call: Some(call.to_owned()),
        nth: nth.parse().ok()?,
        ..Fault::default()
    })
}

/// The misdeed with this key.
pub fn find(key: u32) -> Option<&'static Misdeed> {
    all().find(|misdeed| misdeed.key() == key)
}

/// Why a misdeed cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// As for every driver.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// Another image.
    #[error("the image exports no variable {VARIABLE}: it is not the driver of the misdeeds")]
    NoVariable,
    /// A plan that there is not.
    #[error("there is no plan {0:?}")]
    NoPlan(String),
    /// The process could not be confined.
    #[error("{0}")]
    Confine(String),
}

/// A host with the driver loaded and the misdeed chosen; 0 behaves.
///
/// # Errors
/// [`Unfit`].
pub fn prepare(image: &[u8], key: u32, sink: Arc<dyn Sink>) -> Result<Box<Host>, Unfit> {
    let host = host(true, sink).map_err(Trouble::from)?;
    let image = host.load(image).map_err(Trouble::from)?;
    if !host.set_export(&image, VARIABLE, key) {
        return Err(Unfit::NoVariable);
    }
    Ok(host)
}

/// Plays a plan on such a host.
///
/// # Errors
/// When the image cannot be restored.
pub fn run(host: &Host, plan: &Plan) -> std::io::Result<Outcome> {
    play(host, plan, SERVICE)
}

/// The finding that frames were lost, doubled or changed: a consequence of many misdeeds, and
/// of no rule.
const DATA: &str = "HOST-DATA";

/// What was found and should not have been, and what should have been and was not. Frames that
/// suffer from a broken rule are no second finding.
pub fn compare(misdeed: &Misdeed, found: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let expected: BTreeSet<String> = misdeed.expected().map(str::to_owned).collect();
    let extra = found.difference(&expected).filter(|id| *id != DATA);
    (
        extra.cloned().collect(),
        expected.difference(found).cloned().collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_misdeed_has_a_plan_and_a_rule() {
        let rules = lab_host::rules::severities();
        for misdeed in all() {
            assert!(plan(misdeed.plan).is_some(), "{misdeed:?}: no such plan");
            for id in misdeed.expected() {
                let known = rules.contains_key(id) || id.starts_with("HOST-");
                assert!(known, "{misdeed:?}: {id} is no rule");
            }
        }
    }

    #[test]
    fn plans_have_one_name_each() {
        let names: BTreeSet<_> = plans().map(|(name, _)| name).collect();
        assert_eq!(names.len(), plans().count());
        for (name, make) in plans() {
            assert_eq!(make().name, *name);
        }
    }
}

//! Every call that can fail is made to fail, one at a time: in `DriverEntry`, then from bind to
//! unbind. And every NDIS version the host can claim.
//!
//! Each try starts from a pristine image and an empty arena, and runs the same seed up to the
//! failure. What a failure may lead to is decided by the rules alone: either the driver refuses
//! with the status of the step that failed and leaves nothing behind (DE-8 to DE-12, BND-4,
//! BND-8, VMI-7), or it does without and must then work, unbind and unload as ever.

use lab_host::ndis::EdgeState;
use lab_host::{Host, RunEnd};
use ndis_sys as sys;

use super::stage::{Stage, device};
use super::{progress, step};
use crate::process::RunJob;
use crate::summary::{Counter, Summary};
use crate::topology::Topology;
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
/// Most sites that are tried in one part, so that a driver that allocates without end ends too.
const MOST: u64 = 512;

/// What the failure of one call led to.
enum Outcome {
    /// Fewer calls than that were made: every site has been tried.
    NotReached,
    /// The driver refused, and with what.
    Refused(&'static str, i32),
    /// The driver did without.
    Survived(&'static str),
    /// The driver was stopped; that was reported.
    Stopped,
}

/// The scenario.
pub fn run(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    let mut topology = job.topology.clone();
    for g in &mut topology.generators {
        g.frames = 16;
        g.burst = 4;
        g.interval_us = 20;
    }
    if !versions(host, job, summary)? {
        return Ok(());
    }
    for (part, name) in [
        (entry as Part, "DriverEntry"),
        (life as Part, "bind to unbind"),
    ] {
        if !sweep(host, job, &topology, summary, name, part)? {
            return Ok(());
        }
    }
    host.set_quiet(false);
    Ok(())
}

/// One try: runs the driver with the n-th call failing from where the part begins.
type Part = fn(&Host, &Stage, Option<u64>) -> Outcome;

/// Tries every site of a part. False when the driver was stopped.
fn sweep(
    host: &Host,
    job: &RunJob,
    topology: &Topology,
    summary: &mut Summary,
    name: &str,
    part: Part,
) -> Result<bool, Trouble> {
    let mut sites = 0;
    let (mut refused, mut survived) = (0_u64, 0_u64);
    let mut optional = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for n in 0..=MOST {
        host.reset(job.seed)
            .map_err(|e| Trouble::host(e.to_string()))?;
        // The driver's lines would be the same each time.
        host.set_quiet(true);
        let stage = Stage::new(host, job, topology, job.seed, Vec::new())?;
        let mut outcome = Outcome::Stopped;
        // The first time nothing fails: that shows how many sites there are.
        let nth = (n > 0).then_some(n);
        let end = host.run(name, |host| outcome = part(host, &stage, nth));
        if end != RunEnd::Done {
            step(
                summary,
                name,
                false,
                format!("the driver was stopped after the failure of call {n}"),
            );
            return Ok(false);
        }
        let findings = host.findings();
        if let Some(first) = findings.first() {
            wrong.push(format!(
                "call {n} failed: {} ({})",
                first.rule, first.message
            ));
        }
        if n == 0 {
            sites = host.fault_sites().len() as u64;
            if !matches!(outcome, Outcome::Survived(_)) || sites == 0 {
                wrong.push(format!(
                    "without a failure: it does not work, or makes no call that can fail ({sites})"
                ));
                break;
            }
            continue;
        }
        match outcome {
            Outcome::NotReached => break,
            Outcome::Stopped => wrong.push(format!("call {n}: no outcome")),
            Outcome::Survived(site) => {
                survived += 1;
                optional.insert(site);
            }
            // Every call that the host lets fail fails for want of resources.
            Outcome::Refused(site, status) => {
                refused += 1;
                if status != sys::NDIS_STATUS_RESOURCES.0 {
                    wrong.push(format!("call {n}, {site}: refused with {status:#010x}"));
                }
            }
        }
        progress(host, &format!("{name}, failing calls"), n, sites);
    }
    if refused + survived < sites.min(MOST) {
        wrong.push(format!(
            "only {} of {sites} calls were tried",
            refused + survived
        ));
    }
    for (what, value) in [
        ("tried", refused + survived),
        ("refused", refused),
        ("done without", survived),
    ] {
        summary.counters.push(Counter {
            owner: format!("failing calls, {name}"),
            name: what.into(),
            value,
        });
    }
    let optional: Vec<_> = optional.into_iter().collect();
    let count = wrong.len();
    step(
        summary,
        &format!("every failure: {name}"),
        count == 0,
        wrong.into_iter().next().map_or_else(
            || {
                format!(
                    "{} calls failed in turn: {refused} refused, {survived} done without ({})",
                    refused + survived,
                    optional.join(", ")
                )
            },
            |first| format!("{count} wrong, first: {first}"),
        ),
    );
    Ok(true)
}

/// The site that failed, if it was reached.
fn failed(host: &Host, nth: Option<u64>) -> Option<&'static str> {
    let Some(nth) = nth else {
        return Some("nothing");
    };
    let at = usize::try_from(nth).ok()?.checked_sub(1)?;
    host.fault_sites().get(at).copied()
}

/// `DriverEntry` fails at the n-th call.
fn entry(host: &Host, stage: &Stage, nth: Option<u64>) -> Outcome {
    host.fail_nth(nth);
    let status = host.driver_entry(&stage.service);
    let site = failed(host, nth);
    if status < 0 {
        // The host has checked that nothing stays registered or allocated; and nobody calls
        // the unload handler of a driver that was never loaded (DE-11).
        host.unload();
        if host.callbacks("MiniportDriverUnload").0 > 0 {
            host.violate(
                "DE-11",
                "the unload handler is reachable after a failed DriverEntry".into(),
            );
        }
        return site.map_or(Outcome::Stopped, |site| Outcome::Refused(site, status));
    }
    // It may have done without what failed; then it has to work.
    if nth.is_some() && site.is_some() {
        host.fail_nth(None);
        let bindings = bind_all(host, stage).unwrap_or_default();
        if bindings.is_empty() {
            host.violate(
                "DE-8",
                "DriverEntry succeeded without a part that a bind needs".into(),
            );
        }
        for binding in bindings {
            host.unbind(binding);
        }
    }
    leave(host);
    site.map_or(Outcome::NotReached, Outcome::Survived)
}

/// The n-th call from bind to unbind fails, with traffic in between.
fn life(host: &Host, stage: &Stage, nth: Option<u64>) -> Outcome {
    host.fail_nth(None);
    if host.driver_entry(&stage.service) < 0 {
        return Outcome::Stopped;
    }
    // What is under way when the life ends may be dropped; nothing may be doubled or damaged.
    stage
        .endpoints
        .ledger
        .open_window("a failing call", host.now(), u64::MAX);
    host.fail_nth(nth);
    let bound = bind_all(host, stage);
    if let Ok(bindings) = &bound {
        stage.endpoints.start_generators(host.now());
        stage.kick(host);
        host.sleep(MS);
        for &binding in bindings {
            host.pause_binding(binding);
            host.restart_binding(binding);
        }
        for m in &stage.topology.miniports {
            if let Some(miniport) = host.miniport(&device(&m.name)) {
                host.pause_miniport(miniport);
                host.restart_miniport(miniport);
            }
        }
        host.sleep(MS / 4);
        stage.endpoints.stop_generators();
    }
    for binding in host.bindings() {
        host.unbind(binding);
    }
    let site = failed(host, nth);
    leave(host);
    let verdict = stage.endpoints.ledger.verdict();
    if verdict.duplicated + verdict.corrupted + verdict.alien > 0 {
        host.violate(
            "HOST-DATA",
            format!("frames were doubled or damaged: {verdict:?}"),
        );
    }
    match (bound, site) {
        (_, None) => Outcome::NotReached,
        (Ok(_), Some(site)) => Outcome::Survived(site),
        (Err(status), Some(site)) => Outcome::Refused(site, status),
    }
}

/// Binds to every adapter; the bindings, or the status of the first that was refused.
fn bind_all(host: &Host, stage: &Stage) -> Result<Vec<u64>, i32> {
    let mut bindings = Vec::new();
    for request in stage.bind_requests() {
        let binding = host.bind(request)?;
        host.restart_binding(binding);
        bindings.push(binding);
    }
    host.wait_until("for the virtual miniports", MS / 10, 5 * MS, |host| {
        stage.topology.miniports.iter().all(|m| {
            host.miniport(&device(&m.name))
                .is_some_and(|m| host.miniport_state(m) == Some(EdgeState::Running))
        })
    });
    Ok(bindings)
}

/// Uninstall and unload, and their order (UNI-1).
fn leave(host: &Host) {
    host.uninstall();
    host.unload();
    let (unbinds, last_unbind) = host.callbacks("ProtocolUnbindAdapterEx");
    let (uninstalls, uninstall) = host.callbacks("ProtocolUninstall");
    let (unloads, unload) = host.callbacks("MiniportDriverUnload");
    let ordered = unloads == 1
        && (uninstalls == 0 || uninstall < unload)
        && (unbinds == 0 || last_unbind < unload)
        && (unbinds == 0 || uninstalls == 0 || last_unbind < uninstall);
    if !ordered {
        host.violate(
            "UNI-1",
            format!("{unbinds} unbinds until {last_unbind}, {uninstalls} uninstalls at {uninstall}, {unloads} unloads at {unload}"),
        );
    }
}

/// What the host claims to be, and what a driver for 6.84 to 6.87 makes of it.
fn versions(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<bool, Trouble> {
    for (claimed, expected) in [
        (84, Some(84)),
        (85, Some(85)),
        (86, Some(86)),
        (87, Some(87)),
        (89, Some(87)),
        (83, None),
        (30, None),
    ] {
        host.reset(job.seed)
            .map_err(|e| Trouble::host(e.to_string()))?;
        host.set_ndis_version((6, claimed));
        let mut seen = None;
        let end = host.run("versions", |host| {
            let status = host.driver_entry(&job.service);
            let registered = host.registered_versions();
            if status >= 0 {
                leave(host);
            }
            seen = Some((status, registered, host.callbacks("MiniportDriverUnload").0));
        });
        let Some((status, registered, unloads)) = seen.filter(|_| end == RunEnd::Done) else {
            step(
                summary,
                "NDIS versions",
                false,
                format!("the driver was stopped on NDIS 6.{claimed}"),
            );
            return Ok(false);
        };
        let clean = host.findings().is_empty();
        let (ok, detail) = match expected {
            Some(minor) => (
                clean && status == 0 && registered == [(6, minor); 2],
                format!("registers {registered:?}"),
            ),
            None => (
                clean
                    && status == sys::NDIS_STATUS_BAD_VERSION.0
                    && registered.is_empty()
                    && unloads == 0,
                format!(
                    "refused with {status:#010x}, {} edges left",
                    registered.len()
                ),
            ),
        };
        step(summary, &format!("on NDIS 6.{claimed}"), ok, detail);
    }
    Ok(true)
}

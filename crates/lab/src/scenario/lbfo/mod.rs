//! Scenario `lbfo`: several adapters, one miniport.
//!
//! A life of the driver, from `DriverEntry` to unload, for each mode with two, four and
//! eight members: ten thousand flows at the speed of the links, a pulled cable, its way
//! back, an adapter that vanishes. Then lives with members of unlike speed, with LACP's
//! own disturbances, and with configurations that must be refused.

mod bad;
mod change;
pub(super) mod churn;
mod load;
mod paper;
pub(super) mod plan;
mod protocol;
pub(super) mod rig;

use lab_host::{Host, RunEnd};

use self::change::Loss;
use self::plan::{Mode, Plan};
use self::rig::Rig;
use super::stage::Files;
use super::{progress, step, teams, tour};
use crate::process::RunJob;
use crate::summary::{Summary, Udp};
use crate::trouble::Trouble;

/// Name of the scenario.
pub const NAME: &str = "lbfo";
/// Name of the schedules.
pub const CHURN: &str = "lbfo-churn";
/// Names of parts of it that can be run alone.
pub const LACP: &str = "lbfo-lacp";
/// Configurations that are wrong.
pub const BAD: &str = "lbfo-bad";
/// Flows of a load.
const FLOWS: u16 = 10_000;
/// Members.
const SIZES: [usize; 3] = [2, 4, 8];
/// Speed of equal members in Mbit/s.
const MBPS: u64 = 100;

/// What is run under load.
fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for members in SIZES {
        plans.extend(Mode::ALL.map(|mode| Plan::equal(mode, members, MBPS)));
    }
    // Shares by link speed, and by settings.
    let mixed = || vec![MBPS, MBPS, 5 * MBPS / 2, 10 * MBPS];
    plans.extend([Mode::Hash, Mode::Lacp, Mode::Dynamic].map(|mode| Plan::of(mode, mixed())));
    plans.push(
        Plan::equal(Mode::Hash, 3, MBPS)
            .with_member(0, "MemberWeight", 100)
            .with_member(1, "MemberWeight", 50)
            .with_member(2, "MemberWeight", 50),
    );
    plans
}

/// The scenario.
pub fn run(
    host: &Host,
    job: &RunJob,
    mut files: Files,
    summary: &mut Summary,
) -> Result<(), Trouble> {
    match job.scenario.as_deref() {
        Some(LACP) => return protocol::run(host, job, summary),
        Some(BAD) => return bad::run(host, job, summary),
        _ => {}
    }
    let plans = plans();
    let total = plans.len() as u64;
    for (number, plan) in plans.iter().enumerate() {
        if number > 0 {
            again(host, job, summary)?;
        }
        // A capture is of the first life.
        let files = std::mem::take(&mut files);
        let rig = Rig::new(host, job, plan, FLOWS, job.seed, files)?;
        let end = host.run(NAME, |host| life(host, &rig, number == 0, summary));
        finish(host, &rig, summary);
        rig.stage.captured()?;
        if end != RunEnd::Done {
            return Ok(());
        }
        progress(host, "teams", number as u64 + 1, total);
    }
    again(host, job, summary)?;
    protocol::run(host, job, summary)?;
    again(host, job, summary)?;
    bad::run(host, job, summary)?;
    host.set_quiet(false);
    Ok(())
}

/// A pristine driver on an empty host.
pub(super) fn again(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    summary.virtual_ns += host.now();
    host.reset(job.seed)
        .map_err(|error| Trouble::host(error.to_string()))?;
    // The driver's lines would be the same each time.
    host.set_quiet(true);
    Ok(())
}

/// What the life left in the endpoints' books.
fn finish(host: &Host, rig: &Rig, summary: &mut Summary) {
    summary.leaks.extend(super::leaks(host));
    let flood = |name: &str| {
        let verdicts = rig.stage.endpoints.ledger.flow_verdicts();
        let mut udp = Udp {
            path: format!(
                "{} with {} members, {name}",
                rig.plan.mode.name(),
                rig.members()
            ),
            ..Udp::default()
        };
        for (_, v) in verdicts.iter().filter(|(known, _)| known == name) {
            udp.sent += v.sent;
            udp.received += v.received;
            // What may be lost is judged where it is lost, to the frame.
            udp.allowed_drops += v.lost + v.excused_total();
            udp.damaged += v.corrupted;
        }
        udp
    };
    for udp in ["down", "up"].map(flood) {
        if udp.sent > 0 {
            summary.udp.push(udp);
        }
    }
}

/// One life.
fn life(host: &Host, rig: &Rig, first: bool, summary: &mut Summary) {
    let Some(mut bindings) = rig.bring_up(host, summary) else {
        return;
    };
    let pairs = tour::pairs(&rig.stage);
    // Of a broadcast request every copy is answered: more answers than requests.
    let once = rig.plan.mode != Mode::Broadcast;
    if once {
        tour::introduce(host, &rig.stage, &pairs, summary);
        let answered = tour::ping_all(host, &rig.stage, &pairs, summary, first);
        step(
            summary,
            &title(rig, "hosts hear each other"),
            answered && !pairs.is_empty(),
            format!("{} pairs, every echo answered", pairs.len()),
        );
    }
    load::run(host, rig, summary);
    if first || rig.plan.mode == Mode::Lacp && rig.members() == 4 {
        show(host, "after the load", summary);
    }
    let (nic, change) = change::leave(host, rig, &mut bindings, Loss::Cable);
    summary.changes.push(change);
    let back = change::come_back(host, rig, nic, Loss::Cable);
    summary.changes.push(back);
    if rig.plan.mode == Mode::Lacp {
        let (nic, change) = change::leave(host, rig, &mut bindings, Loss::Silence);
        summary.changes.push(change);
        let back = change::come_back(host, rig, nic, Loss::Silence);
        summary.changes.push(back);
    }
    let (_, change) = change::leave(host, rig, &mut bindings, Loss::Surprise);
    summary.changes.push(change);
    if once {
        let answered = tour::ping_all(host, &rig.stage, &pairs, summary, false);
        step(
            summary,
            &title(rig, "hosts hear each other after that"),
            answered,
            "every echo answered",
        );
    }
    bindings.retain(|binding| *binding != 0);
    tour::bring_down(host, &bindings, summary);
}

/// A step's name for one team.
fn title(rig: &Rig, what: &str) -> String {
    format!(
        "{} with {} members: {what}",
        rig.plan.mode.name(),
        rig.members()
    )
}

/// What the driver shows of itself.
fn show(host: &Host, when: &str, summary: &mut Summary) {
    match teams::shown(host, when) {
        Ok(shown) => {
            step(
                summary,
                "the control device shows the team",
                !shown.is_empty() && shown.iter().all(|team| !team.members.is_empty()),
                format!("{} teams", shown.len()),
            );
            summary.shown.extend(shown);
        }
        Err(why) => step(summary, "the control device shows the team", false, why),
    }
}

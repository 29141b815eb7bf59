//! Bind, traffic, pause, restart, unbind, over and over, each with a schedule of its own.
//!
//! Every cycle starts from a pristine image and an empty arena, restored in place. Its seed
//! is the run's seed plus the cycle's number, so that one cycle can be run again alone.

use lab_host::report::Severity;
use lab_host::{Host, RunEnd};

use super::stage::{Stage, device};
use super::{progress, step, tour};
use crate::process::RunJob;
use crate::summary::{NicMix, Summary, Udp};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
/// Frames each generator sends in a cycle, spread over its life.
const FRAMES: u64 = 48;

/// Runs the job's cycles.
pub fn run(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    let mut topology = job.topology.clone();
    for g in &mut topology.generators {
        g.frames = FRAMES;
        g.burst = 8;
        g.interval_us = 40;
    }
    let mut total = Udp {
        path: "all cycles".into(),
        ..Udp::default()
    };
    let mut mix = NicMix {
        adapter: "all cycles".into(),
        ..NicMix::default()
    };
    let mut broken = 0_u64;
    let mut first_bad = None;
    for cycle in 0..job.cycles {
        let seed = job.seed.wrapping_add(cycle);
        // The driver's lines would be the same each time.
        host.set_quiet(cycle > 0);
        if cycle > 0 {
            host.reset(seed).map_err(|e| Trouble::host(e.to_string()))?;
        }
        let stage = Stage::new(host, job, &topology, seed, Vec::new())?;
        let mut one = Summary::default();
        let end = host.run("cycle", |host| life(host, &stage, &mut one));
        if end != RunEnd::Done {
            return Ok(());
        }
        stage.finish(host, &mut one);
        // A cycle may be so short that nothing arrives; the sum over all of them may not.
        let udp = std::mem::take(&mut one.udp);
        let wrong = udp
            .iter()
            .any(|u| u.lost + u.duplicated + u.damaged + u.reordered > 0);
        let found = host.findings();
        let broke = found.iter().any(|f| f.severity != Severity::Warning);
        let bad = wrong || !one.failures().is_empty() || broke;
        broken += u64::from(bad);
        if bad && first_bad.is_none() {
            first_bad = Some(format!(
                "cycle {cycle} (seed {seed:#x}): {}",
                one.failures().join("; ")
            ));
        }
        for u in &udp {
            total.add(u);
        }
        for n in &one.nics {
            mix.sends += n.sends;
            mix.inline += n.inline;
            mix.pended += n.pended;
            mix.out_of_order += n.out_of_order;
            mix.other_processor += n.other_processor;
            mix.receives += n.receives;
            mix.resources += n.resources;
        }
        summary.leaks.extend(one.leaks);
        summary.virtual_ns += host.now();
        if cycle % 64 == 63 || cycle + 1 == job.cycles {
            progress(host, "cycles", cycle + 1, job.cycles);
        }
        if broken > 16 {
            break;
        }
    }
    summary.virtual_ns = summary.virtual_ns.saturating_sub(host.now());
    summary.udp.push(total);
    summary.nics.push(mix);
    step(
        summary,
        "cycles",
        broken == 0,
        first_bad.unwrap_or_else(|| format!("{} of {} clean", job.cycles, job.cycles)),
    );
    Ok(())
}

/// One life, with traffic from the first moment to the last.
fn life(host: &Host, stage: &Stage, summary: &mut Summary) {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    // What is under way when an edge stops may be dropped, by NDIS's own rules; it may never
    // be doubled, damaged or overtaken, and every list must come back.
    stage
        .endpoints
        .ledger
        .open_window("pause, restart, unbind", host.now(), u64::MAX);
    stage.endpoints.start_generators(host.now());
    stage.kick(host);
    host.sleep(host.engine().random(MS / 4));
    for _ in 0..=host.engine().random(2) {
        let above = host.engine().random(2) == 0;
        for m in &stage.topology.miniports {
            if let Some(miniport) = host.miniport(&device(&m.name)).filter(|_| above) {
                host.pause_miniport(miniport);
                host.sleep(host.engine().random(MS / 20));
                host.restart_miniport(miniport);
            }
        }
        for &binding in bindings.iter().filter(|_| !above) {
            host.pause_binding(binding);
            host.sleep(host.engine().random(MS / 20));
            host.restart_binding(binding);
        }
        host.sleep(host.engine().random(MS / 8));
    }
    tour::bring_down(host, &bindings, summary);
    stage.endpoints.stop_generators();
}

//! A child's side: one driver through the whole script, or measured bare.
//!
//! Everything here runs inside the host, as a thread of its engine.

use lab_host::Host;
use lab_host::ndis::BenchPass;
use lab_host::report::Event;
use serde::Serialize;

use super::network::{Network, Station};
use super::report::{Cost, Life, Shape, rounded};
use super::{decides, hears, script};
use crate::process::RunJob;
use crate::scenario::{Stage, tour};
use crate::summary::Summary;
use crate::trouble::Trouble;

/// Name of the child's work that runs the script.
pub const LIFE: &str = "compare-life";
/// Name of the child's work that measures what a frame costs.
pub const COST: &str = "compare-cost";

/// Lists in a chain.
const BATCHES: [usize; 3] = [1, 32, 256];
/// Room of each list's context area: as much as any driver here asks for.
const CONTEXT: u16 = 256;

/// Before the import, in the name of a child's work that runs the script with a driver that
/// forgets a call: `compare-life-without/5/NdisFoo` leaves out every fifth.
pub const WITHOUT: &str = "compare-life-without/";

/// Whether a child's work is one of these.
pub fn is_mine(scenario: Option<&str>) -> bool {
    scenario.is_some_and(|name| matches!(name, LIFE | COST) || name.starts_with(WITHOUT))
}

/// What is left out, of this work.
fn left_out(scenario: Option<&str>) -> Option<(u64, &str)> {
    let (every, name) = scenario?.strip_prefix(WITHOUT)?.split_once('/')?;
    Some((every.parse().ok()?, name))
}

/// Does it; the results go out as the summary.
pub fn run(host: &Host, job: &RunJob) -> Result<(), Trouble> {
    let mut made = None;
    let stage = Stage::with(
        host,
        job,
        &job.topology,
        job.seed,
        Vec::new(),
        |endpoints| {
            made = Some(Network::join(&job.topology, endpoints));
        },
    )?;
    let network = made.ok_or_else(|| Trouble::host("the network was not made"))?;
    let mut summary = Summary::default();
    if job.scenario.as_deref() == Some(COST) {
        let mut costs = Vec::new();
        host.run(COST, |host| {
            costs = cost(host, &stage, &network, job, &mut summary);
        });
        finish(host, &stage, &mut summary);
        if let Some(failure) = summary.failures().into_iter().next() {
            return Err(Trouble::host(failure));
        }
        return tell(host, &costs);
    }
    let left_out = left_out(job.scenario.as_deref());
    if let Some((every, name)) = left_out {
        host.leave_out(name, every);
    }
    let mut life = Life::default();
    let forgets = left_out.is_some();
    host.run(LIFE, |host| {
        whole(host, &stage, &network, forgets, &mut life, &mut summary);
    });
    if host.crashed() {
        return Ok(());
    }
    finish(host, &stage, &mut summary);
    // Losses are the subject here, not a fault: the oracle's windows are judged above.
    summary.udp.clear();
    life.failures.extend(summary.failures());
    life.trace = summary.trace.unwrap_or_default();
    tell(host, &life)
}

fn finish(host: &Host, stage: &Stage, summary: &mut Summary) {
    stage.finish(host, summary);
}

fn tell(host: &Host, what: &impl Serialize) -> Result<(), Trouble> {
    let value = serde_json::to_value(what)
        .map_err(|error| Trouble::host(format!("the results: {error}")))?;
    host.sink().event(Event::Summary { value });
    Ok(())
}

fn whole(
    host: &Host,
    stage: &Stage,
    network: &Network,
    forgets: bool,
    life: &mut Life,
    summary: &mut Summary,
) {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    // What starting up has under way ends first.
    host.sleep(5_000_000);
    let stations = Network::stations(host, stage);
    life.shape = shape(host, &bindings, &stations);
    if forgets {
        script::Script::new(host, stage, network, &bindings, &stations).run_first_act(life);
    } else {
        life.hears = hears::find(host, stage, network, &stations);
        life.decides = decides::find(host, stage, network, &stations);
        // Probes had made-up senders: only those of the mix count.
        lab_net::lock(&network.switch).forget_seen();
        script::Script::new(host, stage, network, &bindings, &stations).run(life);
    }
    let names: Vec<&str> = stage
        .topology
        .adapters
        .iter()
        .map(|a| a.name.as_str())
        .collect();
    let mut switch = lab_net::lock(&network.switch);
    switch.set_awake(false);
    life.switch = switch.learned(&names);
    drop(switch);
    let left: Vec<u64> = bindings
        .into_iter()
        .filter(|b| host.bindings().contains(b))
        .collect();
    tour::bring_down(host, &left, summary);
}

/// Counts bindings and miniports as the host has them.
fn shape(host: &Host, bindings: &[u64], stations: &[Station]) -> Shape {
    let above: Vec<Vec<u64>> = bindings.iter().map(|&b| host.miniports_of(b)).collect();
    let per_binding = above.iter().map(Vec::len).max().unwrap_or(0);
    let below = |miniport: u64| above.iter().filter(|all| all.contains(&miniport)).count();
    let per_miniport = stations.iter().map(|s| below(s.handle)).max().unwrap_or(0);
    let promiscuous = |binding: &&u64| {
        host.binding_filter(**binding) & ndis_sys::NDIS_PACKET_TYPE_PROMISCUOUS != 0
    };
    let (ours, microsoft) = match (per_miniport > 1, per_binding > 1) {
        (false, false) => ("1:1", "one-to-one"),
        (false, true) => ("1:N", "n-to-one"),
        (true, false) => ("N:1", "one-to-n"),
        (true, true) => ("N:M", "n-to-n"),
    };
    Shape {
        bindings: bindings.len() as u64,
        miniports: stations.len() as u64,
        miniports_per_binding: per_binding as u64,
        bindings_per_miniport: per_miniport as u64,
        promiscuous: bindings.iter().filter(promiscuous).count() as u64,
        ours: ours.into(),
        microsoft: microsoft.into(),
    }
}

/// Measures both ways in every batch size, with and without the driver in turn.
fn cost(
    host: &Host,
    stage: &Stage,
    network: &Network,
    job: &RunJob,
    summary: &mut Summary,
) -> Vec<Cost> {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return Vec::new();
    };
    // What starting up has under way ends first.
    host.sleep(50_000_000);
    lab_net::lock(&network.switch).set_awake(false);
    host.sleep(1_000_000);
    // Everybody is measured with frames without a tag, those that all topologies carry.
    let stations = Network::stations(host, stage);
    let first = stations.iter().find(|station| station.tag.is_none());
    let Some(station) = first else {
        return Vec::new();
    };
    let mine = |binding: &&u64| host.miniports_of(**binding).contains(&station.handle);
    let below: Vec<u64> = bindings.iter().filter(mine).copied().collect();
    let kinds: Vec<(bool, usize)> = [false, true]
        .into_iter()
        .flat_map(|receive| BATCHES.map(|batch| (receive, batch)))
        .collect();
    let mut times = vec![[const { Vec::new() }; 2]; kinds.len()];
    {
        // One miniport over its adapters, be they one or many: the same frames for everybody.
        let mut bench = host.bench_team(&below, station.handle, station.mac.0, CONTEXT);
        for pass in 0..=job.cycles {
            for (&(receive, batch), times) in kinds.iter().zip(&mut times) {
                for (through, times) in [true, false].into_iter().zip(times) {
                    let order = BenchPass {
                        receive,
                        batch,
                        busy: below.len(),
                        through,
                    };
                    match bench.pass(&order) {
                        // The first pass of each kind warms up.
                        Ok(time) if pass > 0 => times.push(time),
                        Ok(_) => {}
                        Err(why) => {
                            summary.steps.push(crate::summary::Step {
                                name: "measurement".into(),
                                ok: false,
                                detail: format!("{order:?}: {why}"),
                            });
                            return Vec::new();
                        }
                    }
                }
            }
        }
    }
    tour::bring_down(host, &bindings, summary);
    let each = kinds.into_iter().zip(times);
    each.map(|((receive, batch), [through, without])| {
        let (through, without) = (median(through), median(without));
        Cost {
            way: if receive { "up" } else { "down" }.into(),
            batch: batch as u64,
            through_ns: rounded(through, 1),
            without_ns: rounded(without, 1),
            ratio: rounded(through / without, 2),
        }
    })
    .collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

//! Scenario `stacked`: two drivers, one on the other.
//!
//! The topology's bindings to adapters are those of the driver below, its bindings to
//! miniports those of the driver above. Lists, requests, statuses and events cross from one
//! driver into the other as they are; each edge of each driver is held to every rule.

use std::fs::File;
use std::io::Read as _;

use lab_host::Host;
use lab_host::ndis::{BindRequest, EdgeState};
use lab_net::lock;

use super::stage::{Files, Stage, device, upper_values, values};
use super::{step, tour};
use crate::crash::handler;
use crate::host::load_trouble;
use crate::process::{FileUse, RunJob};
use crate::summary::Summary;
use crate::trouble::Trouble;

/// Name of the scenario.
pub const NAME: &str = "stacked";

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Bytes of each TCP transfer.
const TRANSFER: u64 = 8 << 20;

/// The scenario.
pub fn run(
    host: &Host,
    job: &RunJob,
    mut files: Files,
    summary: &mut Summary,
) -> Result<(), Trouble> {
    let service = load(host, &mut files)?;
    let stage = Stage::new(host, job, &job.topology, job.seed, files)?;
    let edges = stack(host, &stage, &service);
    if edges.is_empty() {
        return Err(
            Trouble::input("no binding of the topology has a miniport as its adapter")
                .hint("--topology takes the topology of two drivers, one on the other"),
        );
    }
    host.run(NAME, |host| {
        life(host, &stage, &service, &edges, summary);
    });
    stage.finish(host, summary);
    stage.captured()
}

/// Loads the driver above beside the one below; its service.
fn load(host: &Host, files: &mut Files) -> Result<String, Trouble> {
    let above = files
        .iter()
        .position(|(usage, _)| matches!(usage, FileUse::Above(_)));
    let (FileUse::Above(service), fd) = files.remove(above.ok_or_else(|| {
        Trouble::input("the scenario `stacked` needs a second driver")
            .hint("name its package with --above DIR")
    })?) else {
        return Err(Trouble::host("a descriptor is not what it was"));
    };
    let mut image = Vec::new();
    File::from(fd)
        .read_to_end(&mut image)
        .map_err(|error| Trouble::host(format!("cannot read the image above: {error}")))?;
    let above = host
        .load_beside(&image)
        .map_err(|error| load_trouble(&error))?;
    if let Some(below) = host.image() {
        handler::set_image(below.base, above.base + above.size - below.base);
    }
    Ok(service)
}

/// Bindings of the driver above, of which NDIS takes care; the indices of their adapters.
fn stack(host: &Host, stage: &Stage, service: &str) -> Vec<usize> {
    let topology = &stage.topology;
    let above = topology
        .bindings
        .iter()
        .filter(|b| topology.miniports.iter().any(|m| m.name == b.adapter));
    above
        .map(|b| {
            let mut list = values(&b.values);
            list.extend(upper_values(b.upper.iter().map(|n| device(n)).collect()));
            host.stack_on(&device(&b.adapter), service, list)
        })
        .collect()
}

fn life(host: &Host, stage: &Stage, service: &str, edges: &[usize], summary: &mut Summary) {
    let Some(bindings) = bring_up(host, stage, service, summary) else {
        return;
    };
    let pairs = tour::pairs(stage);
    // A team with LACP comes up with its partner.
    host.sleep(3 * SECOND);
    let first = tour::ping_all(host, stage, &pairs, summary, true);
    step(
        summary,
        "traffic through both",
        first && !pairs.is_empty(),
        "",
    );
    if let Some(pair) = pairs.first() {
        tour::tcp(host, stage, pair, TRANSFER, summary);
    }
    tour::flood(host, stage, summary);
    pauses(host, stage, &bindings, edges, summary);
    host.sleep(3 * SECOND);
    answers(host, stage, "traffic after the pauses", summary);
    cables(host, stage, summary);
    leave(host, stage, &bindings, summary);
}

pub(super) fn answers(host: &Host, stage: &Stage, name: &str, summary: &mut Summary) {
    let again = tour::still_answers(host, stage, summary);
    step(summary, name, again, "every echo answered");
}

/// Both drivers start; NDIS binds the one above as miniports of the one below come.
fn bring_up(host: &Host, stage: &Stage, service: &str, summary: &mut Summary) -> Option<Vec<u64>> {
    let below = host.driver_entry(&stage.service);
    let image = host.images().get(1).cloned()?;
    let above = host.driver_entry_of(&image, service);
    step(
        summary,
        "DriverEntry of both",
        below >= 0 && above >= 0,
        format!("status {below:#x} below, {above:#x} above"),
    );
    let mut bindings = Vec::new();
    for request in stage.bind_requests() {
        let name = stage.topology.adapters[request.nic].name.clone();
        let service = Some(stage.service.clone());
        match host.bind(BindRequest { service, ..request }) {
            Ok(binding) => {
                host.restart_binding(binding);
                bindings.push(binding);
            }
            Err(status) => step(summary, "bind", false, format!("{name}: {status:#x}")),
        }
    }
    let up = host.wait_until("for both drivers' miniports", MS, 10 * SECOND, |host| {
        running(host, stage).1 == 0
    });
    let (on, off) = running(host, stage);
    step(
        summary,
        "bind and start",
        up,
        format!("{on} virtual miniports of both run, {off} do not"),
    );
    up.then_some(bindings)
}

/// Virtual miniports that run and that do not.
pub(super) fn running(host: &Host, stage: &Stage) -> (usize, usize) {
    let all = stage.topology.miniports.iter();
    let states = all.map(|m| {
        let miniport = host.miniport(&device(&m.name));
        miniport.and_then(|m| host.miniport_state(m)) == Some(EdgeState::Running)
    });
    let (on, off): (Vec<bool>, Vec<bool>) = states.partition(|&on| on);
    (on.len(), off.len())
}

/// Every edge of both drivers pauses and restarts. A pause of a miniport below is one of the
/// binding above first.
pub(super) fn pauses(
    host: &Host,
    stage: &Stage,
    bindings: &[u64],
    edges: &[usize],
    summary: &mut Summary,
) {
    for m in &stage.topology.miniports {
        let Some(miniport) = host.miniport(&device(&m.name)) else {
            continue;
        };
        host.pause_miniport(miniport);
        host.sleep(MS);
        let ok = host.restart_miniport(miniport);
        step(summary, "pause and restart a miniport", ok, m.name.clone());
    }
    let above = edges.iter().flat_map(|&nic| host.bindings_on(nic));
    let all: Vec<u64> = bindings.iter().copied().chain(above).collect();
    let mut ran = 0;
    for &binding in &all {
        host.pause_binding(binding);
        host.sleep(MS);
        host.restart_binding(binding);
        ran += usize::from(host.binding_state(binding) == Some(EdgeState::Running));
    }
    step(
        summary,
        "pause and restart the bindings",
        ran == all.len(),
        format!("{ran} of {} of both drivers", all.len()),
    );
}

/// Pulls or plugs the cable of an adapter, at both its ends.
fn plug(host: &Host, stage: &Stage, nic: usize, up: bool) {
    let wire = stage.topology.adapters[nic].wire.as_deref();
    let switch = wire.and_then(|wire| stage.topology.switch_of(wire));
    if let (Some(wire), Some(described)) = (wire, switch)
        && let Some(port) = described.wires.iter().position(|known| known == wire)
        && let Some(switch) = stage.switch(&described.name)
    {
        lock(switch).set_link(host.now(), port, up);
    }
    host.set_link(nic, up);
}

/// Pulls the cables one by one, then all: what both drivers show above follows.
pub(super) fn cables(host: &Host, stage: &Stage, summary: &mut Summary) {
    let count = stage.topology.adapters.len();
    for nic in 0..count {
        plug(host, stage, nic, false);
        host.sleep(100 * MS);
        // A member of a team is missed by nobody above; a port of a lone adapter is.
        if count > 1 {
            answers(host, stage, "traffic with a cable pulled", summary);
        }
        plug(host, stage, nic, true);
        host.sleep(3 * SECOND);
    }
    let shown = |host: &Host| {
        let miniports = stage.topology.miniports.iter();
        let facts = miniports.filter_map(|m| host.miniport_facts(host.miniport(&device(&m.name))?));
        facts.filter(|f| f.connect_state == 1).count()
    };
    for nic in 0..count {
        plug(host, stage, nic, false);
    }
    host.sleep(SECOND);
    let dark = shown(host);
    for nic in 0..count {
        plug(host, stage, nic, true);
    }
    host.sleep(5 * SECOND);
    let lit = shown(host);
    step(
        summary,
        "link through both",
        dark == 0 && lit == stage.topology.miniports.len(),
        format!("{dark} miniports connected without a cable, {lit} with"),
    );
    answers(host, stage, "traffic after the cables", summary);
}

/// The adapters are unbound under traffic, and both drivers go, the one above first.
fn leave(host: &Host, stage: &Stage, bindings: &[u64], summary: &mut Summary) {
    stage
        .endpoints
        .ledger
        .open_window("unbind", host.now(), 10 * SECOND);
    tour::start_flood(host, stage);
    host.sleep(MS);
    for &binding in bindings {
        host.unbind(binding);
    }
    stage.endpoints.stop_generators();
    let (left, miniports) = (host.bindings().len(), running(host, stage).0);
    step(
        summary,
        "unbind",
        left == 0 && miniports == 0,
        format!("{left} bindings and {miniports} miniports of both left"),
    );
    for _ in 0..2 {
        host.uninstall();
        host.unload();
    }
    let leaks = super::leaks(host);
    step(
        summary,
        "unload both",
        leaks.is_empty(),
        format!("{} leaks", leaks.len()),
    );
}

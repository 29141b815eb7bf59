//! The default scenario: traffic, every disturbance, a clean end.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use lab_host::Host;
use lab_host::ndis::EdgeState;
use lab_net::host::{IpHost, JobId, JobReport, JobState, Ping, Tcp};
use lab_net::lock;

use super::stage::{Stage, device};
use super::{control, oids, progress, step};
use crate::summary::{self, Summary};
use crate::topology::{self, Place};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Bytes of each TCP transfer.
const TRANSFER: u64 = 64 << 20;

type Shared = Arc<Mutex<IpHost>>;

/// A host above and one below that can talk.
pub(super) struct Pair {
    above: Shared,
    below: Shared,
    to_below: IpAddr,
    to_above: IpAddr,
    /// What the hosts are called.
    pub(super) names: (String, String),
}

pub(super) fn pairs(stage: &Stage) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (h, above) in stage.hosts() {
        let Place::Miniport(miniport) = &h.on else {
            continue;
        };
        let wire = stage
            .nic_of(miniport)
            .and_then(|n| stage.topology.adapters[n].wire.clone());
        let wire = wire.unwrap_or_default();
        let below = match stage.topology.switch_of(&wire) {
            Some(switch) => Place::Switch(switch.name.clone()),
            None => Place::Wire(wire),
        };
        for (far, other) in stage.hosts() {
            if far.on != below
                || far.tag.map_or(0, |tag| tag.vlan) != stage.topology.vlan_of(miniport)
            {
                continue;
            }
            let mut add = |to_below, to_above| {
                pairs.push(Pair {
                    above: Arc::clone(above),
                    below: Arc::clone(other),
                    to_below,
                    to_above,
                    names: (h.name.clone(), far.name.clone()),
                });
            };
            if let (Some(a), Some(b)) = (h.ipv4, far.ipv4)
                && topology::same_network(IpAddr::V4(a.0), IpAddr::V4(b.0), a.1)
            {
                add(IpAddr::V4(b.0), IpAddr::V4(a.0));
            }
            if let (Some(a), Some(b)) = (h.ipv6, far.ipv6)
                && topology::same_network(IpAddr::V6(a.0), IpAddr::V6(b.0), a.1)
            {
                add(IpAddr::V6(b.0), IpAddr::V6(a.0));
            }
        }
    }
    pairs
}

/// DriverEntry, every bind, and the wait until data may flow.
pub fn bring_up(host: &Host, stage: &Stage, summary: &mut Summary) -> Option<Vec<u64>> {
    let status = host.driver_entry(&stage.service);
    step(
        summary,
        "DriverEntry",
        status >= 0,
        format!("status {status:#x}"),
    );
    if status < 0 {
        return None;
    }
    let mut bindings = Vec::new();
    for request in stage.bind_requests() {
        let name = stage.topology.adapters[request.nic].name.clone();
        match host.bind(request) {
            Ok(binding) => {
                host.restart_binding(binding);
                bindings.push(binding);
            }
            Err(status) => {
                step(
                    summary,
                    "bind",
                    false,
                    format!("{name}: status {status:#x}"),
                );
            }
        }
    }
    // A timeline may bring more later.
    let bound = stage.topology.bindings.iter().flat_map(|b| &b.upper);
    let names: Vec<String> = bound.map(|name| device(name)).collect();
    // Looked at in their order: those that are up are not looked at again each time.
    let mut first = 0;
    let started = |host: &Host, first: &mut usize| {
        while let Some(name) = names.get(*first) {
            let state = host.miniport(name).and_then(|m| host.miniport_state(m));
            if state != Some(EdgeState::Running) {
                return false;
            }
            *first += 1;
        }
        true
    };
    let end = host.now() + 10 * SECOND;
    let up = loop {
        let up = host.wait_until("for the virtual miniports", MS / 10, 2 * MS, |host| {
            started(host, &mut first)
        });
        if up || host.now() > end {
            break up;
        }
        let total = names.len() as u64;
        progress(host, "ports that are up", first as u64, total);
    };
    step(
        summary,
        "bind and start",
        up && !bindings.is_empty(),
        format!(
            "{} bindings, {} virtual miniports",
            bindings.len(),
            names.len()
        ),
    );
    up.then_some(bindings)
}

/// Unbinds everything, uninstalls, unloads.
pub fn bring_down(host: &Host, bindings: &[u64], summary: &mut Summary) {
    for &binding in bindings {
        host.unbind(binding);
    }
    let left = host.bindings().len();
    step(
        summary,
        "unbind",
        left == 0,
        format!("{left} bindings left"),
    );
    host.uninstall();
    host.unload();
    let leaks = super::leaks(host);
    step(
        summary,
        "unload",
        leaks.is_empty(),
        format!("{} leaks", leaks.len()),
    );
}

/// The default scenario.
pub fn tour(host: &Host, stage: &Stage, summary: &mut Summary) {
    let Some(bindings) = bring_up(host, stage, summary) else {
        return;
    };
    let pairs = pairs(stage);
    ping_all(host, stage, &pairs, summary, true);
    tcp_all(host, stage, &pairs, summary);
    flood(host, stage, summary);
    pause_restart(host, stage, &pairs, &bindings, summary);
    oids::compare(host, stage, summary);
    link_flap(host, stage, &pairs, summary);
    power_cycle(host, stage, &pairs, &bindings, summary);
    control::ask(host, stage, summary);
    bring_down(host, &bindings, summary);
}

/// The adapter vanishes under traffic.
pub fn surprise(host: &Host, stage: &Stage, summary: &mut Summary) {
    let Some(bindings) = bring_up(host, stage, summary) else {
        return;
    };
    let pairs = pairs(stage);
    ping_all(host, stage, &pairs, summary, true);
    stage
        .endpoints
        .ledger
        .open_window("surprise removal", host.now(), SECOND);
    start_flood(host, stage);
    host.sleep(MS);
    for (i, &binding) in bindings.iter().enumerate() {
        let miniport = stage
            .topology
            .bindings
            .get(i)
            .and_then(|b| b.upper.first())
            .and_then(|name| host.miniport(&device(name)));
        let nic = stage.bind_requests().get(i).map_or(0, |r| r.nic);
        host.surprise_remove(nic, binding, miniport);
    }
    stage.endpoints.stop_generators();
    step(
        summary,
        "surprise removal",
        host.bindings().is_empty(),
        "under traffic",
    );
    bring_down(host, &[], summary);
}

fn wait_jobs(host: &Host, what: &str, limit: u64, jobs: &[(Shared, JobId)]) -> bool {
    host.wait_until(what, MS / 4, limit, |_| {
        jobs.iter().all(|(h, id)| lock(h).is_done(*id))
    })
}

pub(super) fn ping_all(
    host: &Host,
    stage: &Stage,
    pairs: &[Pair],
    summary: &mut Summary,
    note: bool,
) -> bool {
    ping_each(host, stage, pairs, summary, (u16::MAX, note))
}

/// Lets every pair find each other's link addresses, by an echo that nobody judges.
///
/// The hosts are of a stack that drops what it cannot address yet, where others keep it: an
/// echo request that overtakes the answer to its receiver's own look-up gets no reply. One
/// link keeps the two in order. A team does not: they are different flows, and may come by
/// different members.
pub(super) fn introduce(host: &Host, stage: &Stage, pairs: &[Pair], summary: &mut Summary) {
    ping_each(host, stage, pairs, summary, (1, false));
}

/// Each pair pings both ways, so often at most.
fn ping_each(
    host: &Host,
    stage: &Stage,
    pairs: &[Pair],
    summary: &mut Summary,
    (most, note): (u16, bool),
) -> bool {
    let mut jobs = Vec::new();
    for pair in pairs {
        for (from, to, path) in [
            (
                &pair.above,
                pair.to_below,
                format!("{} -> {}", pair.names.0, pair.to_below),
            ),
            (
                &pair.below,
                pair.to_above,
                format!("{} -> {}", pair.names.1, pair.to_above),
            ),
        ] {
            let order = Ping::to(to);
            let count = order.count.min(most);
            let ordered = lock(from).ping(Ping { count, ..order });
            match ordered {
                Ok(id) => jobs.push((Arc::clone(from), id, path)),
                Err(e) => step(summary, "ping", false, format!("{path}: {e}")),
            }
        }
    }
    stage.kick(host);
    let waiting: Vec<_> = jobs.iter().map(|(h, id, _)| (Arc::clone(h), *id)).collect();
    wait_jobs(host, "for echo replies", 30 * SECOND, &waiting);
    let mut all = true;
    for (from, id, path) in jobs {
        let JobReport::Ping(r) = lock(&from).report(id) else {
            continue;
        };
        all &= r.received == r.count && r.state == JobState::Done;
        if summary.first_frame_ms.is_none() && r.received > 0 {
            summary.first_frame_ms = Some(stage.started.elapsed().as_millis() as u64);
        }
        if note {
            summary.ping.push(summary::Ping {
                path,
                sent: u64::from(r.count),
                answered: u64::from(r.received),
            });
        }
    }
    all
}

/// Lets every host above ask its peer, and does not wait; how many requests that makes.
pub fn ask_without_waiting(stage: &Stage) -> u64 {
    pairs(stage)
        .iter()
        .filter_map(|pair| lock(&pair.above).ping(Ping::to(pair.to_below)).ok())
        .count() as u64
}

/// Whether every host still answers every other.
pub fn still_answers(host: &Host, stage: &Stage, summary: &mut Summary) -> bool {
    let pairs = pairs(stage);
    ping_all(host, stage, &pairs, summary, false)
}

/// A transfer each way between the first two that can talk.
fn tcp_all(host: &Host, stage: &Stage, pairs: &[Pair], summary: &mut Summary) {
    if let Some(pair) = pairs.first() {
        tcp(host, stage, pair, TRANSFER, summary);
    }
}

/// A transfer each way between two hosts.
pub(super) fn tcp(host: &Host, stage: &Stage, pair: &Pair, bytes: u64, summary: &mut Summary) {
    for (from, to, address, path) in [
        (
            &pair.above,
            &pair.below,
            pair.to_below,
            format!("{} -> {}", pair.names.0, pair.names.1),
        ),
        (
            &pair.below,
            &pair.above,
            pair.to_above,
            format!("{} -> {}", pair.names.1, pair.names.0),
        ),
    ] {
        let order = Tcp::sink(5001, bytes, 7);
        let started = host.now();
        let sink = lock(to).tcp(order);
        let source = lock(from).tcp(order.peer(SocketAddr::new(address, 5001)));
        let (Ok(sink), Ok(source)) = (sink, source) else {
            step(
                summary,
                "TCP",
                false,
                format!("{path}: the order was refused"),
            );
            continue;
        };
        stage.kick(host);
        let end = host.now() + 120 * SECOND;
        loop {
            let done = host.wait_until("for the transfer", MS / 4, 20 * MS, |_| {
                lock(to).is_done(sink) && lock(from).is_done(source)
            });
            if let JobReport::Tcp(r) = lock(to).report(sink) {
                progress(
                    host,
                    &format!("TCP {path}, MiB"),
                    r.received >> 20,
                    bytes >> 20,
                );
            }
            if done || host.now() > end {
                break;
            }
        }
        if let JobReport::Tcp(r) = lock(to).report(sink) {
            if let JobState::Failed(why) = &r.state {
                step(summary, "TCP", false, format!("{path}: {why}"));
            }
            summary.tcp.push(summary::Tcp {
                path,
                wanted: bytes,
                arrived: r.received,
                first_wrong: None,
                ns: host.now() - started,
            });
        }
    }
}

pub(super) fn start_flood(host: &Host, stage: &Stage) {
    stage.endpoints.start_generators(host.now());
    stage.kick(host);
}

pub(super) fn flood(host: &Host, stage: &Stage, summary: &mut Summary) {
    if stage.topology.generators.is_empty() {
        return;
    }
    start_flood(host, stage);
    let total: u64 = stage.topology.generators.iter().map(|g| g.frames).sum();
    let end = host.now() + 60 * SECOND;
    loop {
        let done = host.wait_until("for the flood", MS / 4, 20 * MS, |_| {
            stage.endpoints.generators_done() && stage.endpoints.ledger.missing() == 0
        });
        let sent: u64 = stage.endpoints.generated().map(|(_, n)| n).sum();
        progress(host, "UDP flood, frames", sent, total);
        if done || host.now() > end {
            break;
        }
    }
    let v = stage.endpoints.ledger.verdict();
    step(
        summary,
        "UDP flood",
        v.is_clean() && v.sent == total,
        format!(
            "{} of {} frames arrived, {} lost",
            v.received, v.sent, v.lost
        ),
    );
}

/// Each edge pauses and restarts while traffic wants to flow.
fn pause_restart(
    host: &Host,
    stage: &Stage,
    pairs: &[Pair],
    bindings: &[u64],
    summary: &mut Summary,
) {
    for m in &stage.topology.miniports {
        if let Some(miniport) = host.miniport(&device(&m.name)) {
            host.pause_miniport(miniport);
            host.sleep(MS);
            let ok = host.restart_miniport(miniport);
            step(summary, "pause and restart above", ok, m.name.clone());
        }
    }
    for &binding in bindings {
        host.pause_binding(binding);
        host.sleep(MS);
        host.restart_binding(binding);
        let ok = host.binding_state(binding) == Some(EdgeState::Running);
        step(summary, "pause and restart below", ok, String::new());
    }
    let again = ping_all(host, stage, pairs, summary, false);
    step(
        summary,
        "traffic after restart",
        again,
        "every echo answered",
    );
}

pub(super) fn link_flap(host: &Host, stage: &Stage, pairs: &[Pair], summary: &mut Summary) {
    for (nic, adapter) in stage.topology.adapters.iter().enumerate() {
        if adapter.wire.is_none() {
            continue;
        }
        let above: Vec<u64> = stage
            .topology
            .miniports
            .iter()
            .filter(|m| stage.nic_of(&m.name) == Some(nic))
            .filter_map(|m| host.miniport(&device(&m.name)))
            .collect();
        let shown = |host: &Host| {
            above
                .iter()
                .all(|&m| host.miniport_facts(m).is_some_and(|f| f.connect_state == 1))
        };
        host.set_link(nic, false);
        host.sleep(MS);
        let down = above.is_empty() || !shown(host);
        host.set_link(nic, true);
        host.sleep(MS);
        let up = shown(host);
        step(
            summary,
            "link flap",
            down && up,
            format!(
                "{}: down seen above {down}, up seen above {up}",
                adapter.name
            ),
        );
    }
    let again = ping_all(host, stage, pairs, summary, false);
    step(
        summary,
        "traffic after link flap",
        again,
        "every echo answered",
    );
}

pub(super) fn power_cycle(
    host: &Host,
    stage: &Stage,
    pairs: &[Pair],
    bindings: &[u64],
    summary: &mut Summary,
) {
    let miniports: Vec<u64> = stage
        .topology
        .miniports
        .iter()
        .filter_map(|m| host.miniport(&device(&m.name)))
        .collect();
    let mut statuses = Vec::new();
    for &m in &miniports {
        statuses.push(host.set_miniport_power(m, false));
    }
    for &b in bindings {
        statuses.push(host.set_binding_power(b, false));
    }
    host.sleep(5 * MS);
    for &b in bindings {
        statuses.push(host.set_binding_power(b, true));
    }
    for &m in &miniports {
        statuses.push(host.set_miniport_power(m, true));
    }
    step(
        summary,
        "power cycle",
        statuses.iter().all(|&s| s == 0),
        format!("{} transitions", statuses.len()),
    );
    let again = ping_all(host, stage, pairs, summary, false);
    step(
        summary,
        "traffic after power cycle",
        again,
        "every echo answered",
    );
}

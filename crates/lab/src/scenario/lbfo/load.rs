//! Ten thousand flows: over which members they go, and how fast they all arrive.
#![expect(
    clippy::cast_precision_loss,
    reason = "frames and bits stay far below 2^52"
)]

use lab_host::Host;
use lab_net::lock;
use lab_net::oracle::SwarmPace;

use super::paper;
use super::plan::Mode;
use super::rig::{LENGTH, Rig, ends, wire_bits};
use crate::scenario::{step, teams};
use crate::summary::{Summary, TeamRun};

/// Frames of each flow.
const EACH: u64 = 1;
/// What a mode that spreads frames evenly has to make of the links.
const EVEN: f64 = 0.95;
/// How much less than on paper is accepted.
const SLACK: f64 = 0.02;

/// What the flood saw before.
struct Before {
    reordered: u64,
    duplicated: u64,
    lost: u64,
}

fn so_far(rig: &Rig) -> Before {
    let verdict = rig.stage.endpoints.ledger.verdict();
    Before {
        reordered: verdict.reordered,
        duplicated: verdict.duplicated,
        lost: verdict.lost,
    }
}

/// Runs the load and judges it.
pub fn run(host: &Host, rig: &Rig, summary: &mut Summary) {
    let flows = lock(&rig.down).flows().len();
    let members = rig.members();
    let mut order = SwarmPace {
        length: LENGTH,
        ..SwarmPace::default()
    };
    if rig.plan.mode == Mode::Dynamic {
        // Moves need gaps: what came before the measurement finds the members' loads.
        order.frames = flows as u64;
        rig.send(host, flows as u64, order);
    }
    // The adapters' numbers in the driver's table are slots.
    let slots = slots(host, rig);
    lock(&rig.book).clear(rig.stage.topology.adapters.len(), flows);
    let before = so_far(rig);
    let frames = EACH * flows as u64;
    let started = host.now();
    let arrived = lock(&rig.far).frames;
    let done = rig.send(host, frames, order);
    let ns = lock(&rig.far).last.saturating_sub(started).max(1);
    let arrived = lock(&rig.far).frames - arrived;
    let after = so_far(rig);
    let (member_frames, by_flow) = {
        let book = lock(&rig.book);
        (book.frames.clone(), book.members.clone())
    };
    let mode = rig.plan.mode;
    let speeds = &rig.plan.speeds;
    let mut run = TeamRun {
        mode: mode.name().to_owned(),
        speeds: speeds.clone(),
        flows: flows as u64,
        frames,
        member_flows: (0..members)
            .map(|nic| by_flow.iter().filter(|set| *set & 1 << nic != 0).count() as u64)
            .collect(),
        member_frames,
        ns,
        reordered: after.reordered - before.reordered,
        duplicated: after.duplicated - before.duplicated,
        lost: after.lost - before.lost,
        ..TeamRun::default()
    };
    let total_speed: u64 = speeds.iter().sum();
    let unique = arrived.saturating_sub(run.duplicated);
    // Mbit/s are bits in a microsecond.
    run.goodput = (unique * wire_bits(LENGTH)) as f64 / (ns as f64 / 1e3) / total_speed as f64;
    let mut sound = done && run.lost == 0;
    match mode {
        Mode::ActiveBackup => {
            let used = run.member_frames.iter().position(|count| *count > 0);
            let carried = run.member_frames.iter().filter(|count| **count > 0).count();
            let speed = used.map_or(0, |nic| speeds[nic]);
            run.expected = speed as f64 / total_speed as f64;
            run.least = run.expected - SLACK;
            sound &= carried == 1;
        }
        Mode::Hash | Mode::Lacp => {
            let paper = on_paper(flows as u16, slots.as_deref(), members);
            run.strayed = paper.as_ref().map_or(flows as u64, |(of_flow, _)| {
                let pairs = of_flow.iter().zip(&by_flow);
                pairs.filter(|(nic, set)| **set != 1 << **nic).count() as u64
            });
            if let Some((_, counts)) = paper {
                let bits: Vec<u64> = counts
                    .iter()
                    .map(|n| n * EACH * wire_bits(LENGTH))
                    .collect();
                run.expected = paper::goodput(&bits, speeds);
                run.paper_flows = Some(counts);
            }
            run.least = run.expected - SLACK;
            sound &= run.strayed == 0 && run.paper_flows.is_some();
        }
        Mode::RoundRobin | Mode::Dynamic => {
            run.expected = 1.0;
            run.least = EVEN;
        }
        Mode::Broadcast => {
            let least = speeds.iter().min().copied().unwrap_or(0);
            run.expected = least as f64 / total_speed as f64;
            run.least = run.expected - SLACK;
            sound &= run.member_frames.iter().all(|count| *count == frames);
            sound &= run.duplicated == frames * (members as u64 - 1);
        }
    }
    if mode.is_hashed() {
        spread(&mut run, &weights(rig));
        sound &= run.farthest <= run.bound;
    }
    if mode.keeps_order() {
        sound &= run.reordered == 0 && run.duplicated == 0;
    }
    run.ok = sound && run.goodput >= run.least;
    if !done {
        step(summary, "the load", false, "it did not come to its end");
    }
    summary.teams.push(run);
}

/// What each member weighs.
fn weights(rig: &Rig) -> Vec<u64> {
    let set = |at: usize| {
        let mut settings = rig.plan.member_settings.iter();
        let found = settings.find(|(place, name, _)| *place == at && *name == "MemberWeight");
        found.and_then(|(_, _, value)| value.number())
    };
    let speeds = rig.plan.speeds.iter().enumerate();
    speeds
        .map(|(at, speed)| set(at).map_or(*speed, u64::from))
        .collect()
}

/// How far each member is from its share, and how far it may be.
fn spread(run: &mut TeamRun, weights: &[u64]) {
    let shares = paper::shares(weights);
    let mut worst = (f64::MIN, 0.0, 0.0);
    for (share, flows) in shares.iter().zip(&run.member_flows) {
        let far = (*flows as f64 - share * run.flows as f64).abs();
        let bound = paper::bound(run.flows, *share);
        if far - bound > worst.0 {
            worst = (far - bound, far, bound);
        }
    }
    (run.farthest, run.bound) = (worst.1, worst.2);
}

/// The adapter of each of the driver's slots, by interface index.
fn slots(host: &Host, rig: &Rig) -> Option<Vec<Option<usize>>> {
    let team = teams::teams(host).ok()?.into_iter().next()?;
    let members = teams::members(host, team.index).ok()?;
    let buckets = teams::buckets(host, team.index).ok()?;
    // A NIC's interface index is its place in the topology, and one.
    let nic_of = |slot: u32| {
        let member = members.iter().find(|member| member.slot == slot)?;
        let nic = member.if_index.checked_sub(1)? as usize;
        (nic < rig.stage.topology.adapters.len()).then_some(nic)
    };
    Some(
        buckets
            .into_iter()
            .map(|slot| slot.and_then(nic_of))
            .collect(),
    )
}

/// The adapter of each flow, and the flows of each adapter.
fn on_paper(
    flows: u16,
    table: Option<&[Option<usize>]>,
    members: usize,
) -> Option<(Vec<usize>, Vec<u64>)> {
    let table = table?;
    let mut counts = vec![0; members];
    let mut of_flow = Vec::new();
    for number in 0..flows {
        let (from, to) = ends(number, false);
        let nic = (*table.get(paper::bucket(from, to) as usize)?)?;
        *counts.get_mut(nic)? += 1;
        of_flow.push(nic);
    }
    Some((of_flow, counts))
}

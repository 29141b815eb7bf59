//! Malformed tags from both sides, in absurd MDL chains, beside sound traffic: none of
//! them may come out where its tag has no business, and no sound frame may be lost.

use std::collections::BTreeSet;

use lab_host::Host;
use lab_net::gate::{Gate, Gated, Watch};
use lab_net::oracle::malformed::Addresses;
use lab_net::oracle::tagged::{self, Audience};
use lab_net::vlan::{strip, tag_of};
use lab_net::{Frame, Mac};

use super::super::stage::Stage;
use super::super::{progress, step, tour};
use crate::process::RunJob;
use crate::summary::Summary;
use crate::topology::endpoints::Endpoints;
use crate::topology::{Place, Topology};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Malformed frames from each source.
const FRAMES: u64 = 1_100;
/// Kind of the addresses that malformed frames of ports come from.
const FORGER: u8 = 0x60;

/// A port with who watches above it.
struct Port {
    name: String,
    vlan: u16,
    /// Malformed frames that it sends come from here.
    forger: Mac,
    above: Watch,
    seed: u64,
}

impl Port {
    /// The VLAN of malformed frames from below; for a port without one, one that nobody has.
    const fn below(&self) -> u16 {
        if self.vlan == 0 { 4_000 } else { self.vlan }
    }
}

/// Everybody, and the frames from the wire.
struct Rough {
    ports: Vec<Port>,
    wire: Watch,
    gate: Gate,
    from_wire: Addresses,
}

fn set_up(endpoints: &mut Endpoints, topology: &Topology, seed: u64) -> Rough {
    let gate = Gate::default();
    let adapter = topology.adapters.first();
    let mtu = adapter.map_or(1_500, |a| a.mtu.min(9_000) as u16);
    let wire_name = adapter.and_then(|a| a.wire.clone()).unwrap_or_default();
    let wire_place = Place::Wire(wire_name);
    let wire = Watch::default();
    endpoints.attach(&wire_place, None, wire.clone());
    let mut source = |place: &Place, seed, addresses, vlan| {
        let source = tagged::Source::new(seed, FRAMES, addresses, vlan);
        endpoints.attach(place, None, Gated::new(source, gate.clone()));
    };
    let from_wire = Addresses {
        source: Mac::local(FORGER, 0xffff),
        destination: Mac::BROADCAST,
        mtu,
    };
    let names = topology.bindings.first().map_or(&[][..], |b| &b.upper);
    let mut ports = Vec::new();
    for (name, number) in names.iter().zip(1_u16..) {
        let vlan = topology.vlan_of(name);
        let forger = Mac::local(FORGER, number);
        let seed = seed ^ (u64::from(number) << 40);
        let addresses = Addresses {
            source: forger,
            ..from_wire
        };
        source(&Place::Miniport(name.clone()), seed, addresses, vlan);
        let port = Port {
            name: name.clone(),
            vlan,
            forger,
            above: Watch::default(),
            seed,
        };
        source(&wire_place, seed ^ 1, from_wire, port.below());
        ports.push(port);
    }
    for port in &ports {
        endpoints.attach(
            &Place::Miniport(port.name.clone()),
            None,
            port.above.clone(),
        );
    }
    Rough {
        ports,
        wire,
        gate,
        from_wire,
    }
}

/// A life with rough neighbours.
pub fn run(
    host: &Host,
    job: &RunJob,
    topology: &Topology,
    summary: &mut Summary,
) -> Result<(), Trouble> {
    let mut topology = topology.clone();
    for generator in &mut topology.generators {
        generator.frames = generator.frames.min(1_000);
    }
    // What is in the frames is looked at: nobody moves tags beside them or back.
    for miniport in &mut topology.miniports {
        miniport.fold_tags = false;
    }
    let mut made = None;
    let stage = Stage::rough(host, job, &topology, |endpoints| {
        made = Some(set_up(endpoints, &topology, job.seed));
    })?;
    let rough = made.ok_or_else(|| Trouble::host("the sources were not set"))?;
    host.run("malformed tags", |host| life(host, &stage, &rough, summary));
    Ok(())
}

fn life(host: &Host, stage: &Stage, rough: &Rough, summary: &mut Summary) {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    rough.gate.open();
    stage.endpoints.start_generators(host.now());
    stage.kick(host);
    let end = host.now() + 30 * SECOND;
    loop {
        let done = host.wait_until("for the frames", MS / 4, 20 * MS, |_| {
            stage.endpoints.generators_done() && stage.endpoints.ledger.missing() == 0
        });
        let sent: u64 = stage.endpoints.generated().map(|(_, frames)| frames).sum();
        progress(host, "sound frames beside malformed tags", sent, 0);
        if done || host.now() > end {
            break;
        }
    }
    // The last of the malformed ones are on their way.
    host.sleep(20 * MS);
    let (above, arrived) = judge_above(rough);
    let (below, left) = judge_below(rough);
    for (name, wrong, good) in [
        ("malformed tags from the wire", above, arrived),
        ("malformed tags from the ports", below, left),
    ] {
        let count = wrong.len();
        step(
            summary,
            name,
            count == 0,
            wrong.into_iter().next().map_or_else(
                || format!("{good} came through where they may, the others were dropped"),
                |first| format!("{count} where they may not be, first: {first}"),
            ),
        );
    }
    let verdict = stage.endpoints.ledger.verdict();
    step(
        summary,
        "sound frames beside malformed tags",
        verdict.is_clean() && verdict.sent > 0 && verdict.received == verdict.sent,
        format!("{} of {} arrived", verdict.received, verdict.sent),
    );
    let answered = tour::still_answers(host, stage, summary);
    step(
        summary,
        "traffic after malformed tags",
        answered,
        "every echo answered",
    );
    tour::bring_down(host, &bindings, summary);
}

/// What of the wire's malformed frames may be above a port: whole or without the outer tag,
/// where the tag leads there.
fn allowed(rough: &Rough, port: &Port) -> BTreeSet<Frame> {
    let mut allowed = BTreeSet::new();
    for source in &rough.ports {
        let vlan = source.below();
        for index in 0..FRAMES {
            let (fault, frame) = tagged::frame(source.seed ^ 1, index, &rough.from_wire, vlan);
            let may = match fault.audience() {
                Audience::Nobody => false,
                Audience::Vlan => port.vlan == vlan,
                Audience::Untagged => port.vlan == 0,
            };
            if may {
                allowed.extend(strip(&frame).map(|(_, bare)| bare));
                allowed.insert(frame);
            }
        }
    }
    allowed
}

/// Malformed frames from the wire that are above a port where they may not be, and how
/// many are where they may.
fn judge_above(rough: &Rough) -> (Vec<String>, u64) {
    let mut wrong = Vec::new();
    let mut good = 0;
    for port in &rough.ports {
        let allowed = allowed(rough, port);
        for frame in port.above.seen().iter() {
            if frame.get(6..12) != Some(&rough.from_wire.source.0[..]) {
                continue;
            }
            if allowed.contains(frame) {
                good += 1;
            } else {
                let start = &frame[..frame.len().min(22)];
                wrong.push(format!(
                    "above {}: {} octets, {start:02x?}",
                    port.name,
                    frame.len()
                ));
            }
        }
    }
    (wrong, good)
}

/// The same of frames from ports on the wire: all of them have the port's tag.
fn judge_below(rough: &Rough) -> (Vec<String>, u64) {
    let mut wrong = Vec::new();
    let mut good = 0;
    let seen = rough.wire.seen();
    for frame in seen.iter() {
        let source = frame.get(6..12);
        let port = rough
            .ports
            .iter()
            .find(|port| source == Some(&port.forger.0[..]));
        let Some(port) = port else { continue };
        let vlan = tag_of(frame).map_or(0, |tag| tag.vlan);
        if vlan == port.vlan {
            good += 1;
        } else {
            let start = &frame[..frame.len().min(22)];
            wrong.push(format!("of {} in VLAN {vlan}: {start:02x?}", port.name));
        }
    }
    (wrong, good)
}

//! `all-vlans`: a port on every VLAN there is, 4094 of them on one adapter, 64 of them
//! with traffic. Each hears its VLAN and nothing else.

use std::collections::BTreeMap;

use lab_host::{Host, RunEnd};
use lab_net::vlan::{LAST_VLAN, Tag};
use lab_net::{Mac, lock};

use super::mux::matrix::{STRANGER, settle, unasked};
use super::mux::probe;
use super::mux::{Posts, stage};
use super::stage::{Files, Stage};
use super::{progress, step, tour};
use crate::process::RunJob;
use crate::summary::Summary;
use crate::topology::ports::VLAN_ID;
use crate::topology::{Carrier, ConfigValue, Generator, Miniport, Place, Sink, Topology};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Ports with traffic.
const BUSY: u16 = 64;
/// Frames each way on each of those.
const FRAMES: u64 = 200;

/// The topology's adapter with a port on every VLAN.
fn all_vlans(from: &Topology) -> Topology {
    let mut topology = from.clone();
    topology.hosts.clear();
    topology.generators.clear();
    topology.sinks.clear();
    topology.timeline.clear();
    topology.adapters.truncate(1);
    topology.bindings.truncate(1);
    let name = |vlan: u16| format!("p{vlan}");
    topology.miniports = (1..=LAST_VLAN)
        .map(|vlan| {
            let value = ConfigValue::Number(vlan.into());
            Miniport {
                name: name(vlan),
                fold_tags: false,
                window: None,
                properties: BTreeMap::from([(VLAN_ID.to_owned(), value)]),
                protocol: None,
            }
        })
        .collect();
    for binding in &mut topology.bindings {
        binding.upper = topology.miniports.iter().map(|m| m.name.clone()).collect();
    }
    let wire = topology.adapters.first().and_then(|a| a.wire.clone());
    let wire = Place::Wire(wire.unwrap_or_default());
    // Spread over all of them, the first and the last among them.
    for index in 0..BUSY {
        let vlan =
            1 + u16::try_from(u32::from(index) * u32::from(LAST_VLAN - 1) / u32::from(BUSY - 1))
                .unwrap_or(0);
        let above = Place::Miniport(name(vlan));
        for (way, on, to) in [("down", &above, &wire), ("up", &wire, &above)] {
            let tag = |place: &Place| matches!(place, Place::Wire(_)).then(|| Tag::vlan(vlan));
            let sink = format!("{way}-sink-{vlan}");
            topology.generators.push(Generator {
                name: format!("{way}-{vlan}"),
                on: on.clone(),
                to: sink.clone(),
                frames: FRAMES,
                burst: 4,
                interval_us: 100,
                carrier: Carrier::Private,
                tag: tag(on),
            });
            topology.sinks.push(Sink {
                name: sink,
                on: to.clone(),
                tag: tag(to),
            });
        }
    }
    topology
}

/// The scenario.
pub fn run(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    let topology = all_vlans(&job.topology);
    let (stage, posts) = stage(host, job, &topology, Files::new())?;
    let end = host.run("all VLANs", |host| life(host, &stage, &posts, summary));
    if end == RunEnd::Done {
        stage.finish(host, summary);
        // 64 flows each way are one line in the report, unless something is wrong.
        let good = summary.udp.iter().all(crate::summary::Udp::ok);
        if good && !summary.udp.is_empty() {
            let sent = summary.udp.iter().map(|u| u.sent).sum();
            let received = summary.udp.iter().map(|u| u.received).sum();
            summary.udp = vec![crate::summary::Udp {
                path: format!("{BUSY} ports, both ways"),
                sent,
                received,
                ..crate::summary::Udp::default()
            }];
        }
    }
    Ok(())
}

fn life(host: &Host, stage: &Stage, posts: &Posts, summary: &mut Summary) {
    progress(host, "4,094 ports, bind and start", 0, 0);
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    let adapter = stage.topology.adapters.first().map_or(STRANGER, |a| a.mac);
    hear(host, stage, posts, adapter, summary);
    speak(host, stage, posts, adapter, summary);
    let spare = unasked(host);
    step(
        summary,
        "frames that nobody asked for",
        spare == 0,
        format!("{spare} reached a port"),
    );
    floods(host, stage, summary);
    progress(host, "4,094 ports, unbind", 0, 0);
    tour::bring_down(host, &bindings, summary);
}

/// One frame for each VLAN and everybody in it, one for each port's address; and some
/// that nobody may hear.
fn hear(host: &Host, stage: &Stage, posts: &Posts, adapter: Mac, summary: &mut Summary) {
    let vlans: Vec<u16> = (1..=LAST_VLAN).collect();
    for (index, vlans) in vlans.chunks(256).enumerate() {
        for &vlan in vlans {
            let serial = u32::from(vlan) * 4;
            let tag = Some(Tag::vlan(vlan));
            posts
                .wire
                .send(probe::frame(serial, STRANGER, Mac::BROADCAST, tag));
            posts
                .wire
                .send(probe::frame(serial + 1, STRANGER, adapter, tag));
        }
        settle(host, stage, posts);
        progress(
            host,
            "a frame on every VLAN",
            256 * index as u64 + vlans.len() as u64,
            LAST_VLAN.into(),
        );
    }
    for (serial, tag) in [
        (0, None),
        (1, Some(Tag::default())),
        (2, Some(Tag::vlan(4095))),
    ] {
        posts
            .wire
            .send(probe::frame(serial, STRANGER, Mac::BROADCAST, tag));
    }
    settle(host, stage, posts);
    let mut wrong = Vec::new();
    for (post, vlan) in posts.ports.iter().zip(1_u32..) {
        let heard: Vec<(u32, u32)> = post
            .take()
            .into_iter()
            .map(|(heard, times)| (heard.serial, times * u32::from(heard.sound)))
            .collect();
        if heard != [(4 * vlan, 1), (4 * vlan + 1, 1)] {
            wrong.push(format!("p{vlan} hears {heard:?}"));
        }
    }
    let count = wrong.len();
    step(
        summary,
        "each port hears its VLAN",
        count == 0 && posts.ports.len() == usize::from(LAST_VLAN),
        wrong.into_iter().next().map_or_else(
            || {
                format!(
                    "{} ports, broadcast and unicast, each once",
                    posts.ports.len()
                )
            },
            |first| format!("{count} ports do not, first: {first}"),
        ),
    );
}

/// One frame from each port.
fn speak(host: &Host, stage: &Stage, posts: &Posts, adapter: Mac, summary: &mut Summary) {
    posts.wire.take();
    for (index, posts_of) in posts.ports.chunks(256).enumerate() {
        for (at, post) in posts_of.iter().enumerate() {
            let vlan = (256 * index + at + 1) as u32;
            post.send(probe::frame(vlan, adapter, Mac::BROADCAST, None));
        }
        settle(host, stage, posts);
        let done = 256 * index + posts_of.len();
        progress(
            host,
            "a frame from every port",
            done as u64,
            LAST_VLAN.into(),
        );
    }
    let heard = lock(&posts.wire.0).heard.clone();
    let right = (1..=LAST_VLAN)
        .filter(|&vlan| {
            let probe = probe::Heard {
                serial: vlan.into(),
                tag: Some(Tag::vlan(vlan)),
                sound: true,
            };
            heard.get(&probe) == Some(&1)
        })
        .count();
    let talked: usize = posts.ports.iter().map(|post| post.take().len()).sum();
    step(
        summary,
        "each port speaks in its VLAN",
        right == usize::from(LAST_VLAN) && heard.len() == right && talked == 0,
        format!(
            "{right} frames with the right tag of {} on the wire, {talked} heard by other ports",
            heard.len()
        ),
    );
}

fn floods(host: &Host, stage: &Stage, summary: &mut Summary) {
    stage.endpoints.start_generators(host.now());
    stage.kick(host);
    let total = 2 * u64::from(BUSY) * FRAMES;
    let end = host.now() + 20 * SECOND;
    loop {
        let done = host.wait_until("for the floods", MS, 20 * MS, |_| {
            stage.endpoints.generators_done() && stage.endpoints.ledger.missing() == 0
        });
        let sent = stage.endpoints.generated().map(|(_, frames)| frames).sum();
        progress(host, "floods on 64 ports, frames", sent, total);
        if done || host.now() > end {
            break;
        }
    }
    let verdict = stage.endpoints.ledger.verdict();
    step(
        summary,
        "floods on 64 ports",
        verdict.is_clean() && verdict.sent == total,
        format!("{} of {} frames arrived", verdict.received, verdict.sent),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_port_on_every_vlan() {
        let text = "[[adapter]]\nname = \"n\"\nwire = \"w\"\n[[wire]]\nname = \"w\"\n\
                    [[miniport]]\nname = \"v\"\n[[binding]]\nadapter = \"n\"\nupper = [\"v\"]\n";
        let small = Topology::parse("t.toml".as_ref(), text).expect("sound");
        let topology = all_vlans(&small);
        let vlans: Vec<u16> = topology.miniports.iter().map(Miniport::vlan).collect();
        assert!(vlans.into_iter().eq(1..=4094));
        assert_eq!(topology.bindings[0].upper.len(), 4094);
        assert_eq!(topology.generators.len(), 128);
        assert_eq!(topology.sinks.len(), 128);
        let last = topology.generators.last().expect("some");
        assert_eq!(
            (last.name.as_str(), last.tag),
            ("up-4094", Some(Tag::vlan(4094)))
        );
        assert_eq!(topology.generators[0].on, Place::Miniport("p1".into()));
    }
}

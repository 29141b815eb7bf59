//! Who decides per frame, found by asking: frames that differ in one part alone are sent one
//! at a time, and where each comes out is noted. What makes a difference decides.

use std::collections::BTreeSet;

use lab_host::Host;
use lab_net::vlan::Tag;
use lab_net::{Mac, lock};

use super::network::{FAR, Network, Station};
use super::report::{Decides, Decision};
use super::switch::Probe;
use crate::scenario::Stage;

/// An address that nobody has.
const NOBODY: Mac = Mac::local(0x71, 2);
/// Different values of a part that has no natural set.
const VALUES: u8 = 12;

/// A part of a frame, and the base frame with each of its values.
struct Part {
    name: &'static str,
    probes: Vec<Probe>,
}

fn parts(base: Probe, addresses: &[Mac], vlans: &[Option<Tag>], up: bool) -> Vec<Part> {
    let with = |change: &dyn Fn(&mut Probe, u8)| {
        let one = |value| {
            let mut probe = base;
            change(&mut probe, value);
            probe
        };
        (0..VALUES).map(one).collect()
    };
    let destinations = addresses.iter().map(|&to| Probe { to, ..base });
    let tagged = vlans.iter().map(|&tag| Probe { tag, ..base });
    vec![
        Part {
            name: "destination MAC",
            probes: destinations
                .filter(|probe| probe.to != base.source)
                .collect(),
        },
        Part {
            name: "source MAC",
            // Another source on the way down is another sender: the switch learns from it.
            probes: with(&|probe, value| {
                let kind = if up { 0x72 } else { 0x73 };
                if value > 0 {
                    probe.source = Mac::local(kind, u16::from(value));
                }
            }),
        },
        Part {
            name: "VLAN",
            probes: tagged.collect(),
        },
        Part {
            name: "IPv4 addresses",
            probes: with(&|probe, value| {
                probe.addresses = (10 + value, 100 + 7 * (value / 2));
            }),
        },
        Part {
            name: "UDP ports",
            probes: with(&|probe, value| {
                probe.ports = (3_000 + 17 * u16::from(value), 4_000 + u16::from(value / 2));
            }),
        },
    ]
}

/// Tries every part both ways: up from the first adapter's wire, down from the first miniport.
pub fn find(host: &Host, stage: &Stage, network: &Network, stations: &[Station]) -> Decides {
    let Some(first) = stations.first() else {
        return Decides::default();
    };
    let mut addresses: Vec<Mac> = stations.iter().map(|station| station.mac).collect();
    addresses.extend(stage.topology.adapters.iter().map(|adapter| adapter.mac));
    addresses.extend([FAR, NOBODY]);
    addresses.sort_unstable();
    addresses.dedup();
    let mut tags: Vec<Option<Tag>> = super::network::vlans(stations);
    for vlan in [10, 20, 30] {
        if !tags.contains(&Some(Tag::vlan(vlan))) {
            tags.push(Some(Tag::vlan(vlan)));
        }
    }
    let mut serial = 1_000;
    let mut rows = Vec::new();
    for up in [false, true] {
        let base = Probe {
            serial,
            source: if up { FAR } else { first.mac },
            to: if up { first.mac } else { FAR },
            tag: first.tag.filter(|_| up),
            addresses: (1, 2),
            ports: (3_000, 4_000),
        };
        for part in parts(base, &addresses, &tags, up) {
            let mut places = BTreeSet::new();
            let mut tried = 0;
            for mut probe in part.probes {
                serial += 1;
                probe.serial = serial;
                let place = if up {
                    rises(host, stage, network, stations, &probe)
                } else {
                    Some(sinks(host, stage, network, &probe))
                };
                if let Some(place) = place {
                    tried += 1;
                    places.insert(place);
                }
            }
            rows.push(Decision {
                way: way(up).to_owned(),
                part: part.name.to_owned(),
                tried,
                places: places.len() as u64,
                decides: places.len() > 1,
            });
        }
    }
    Decides {
        down: sentence(&rows, way(false)),
        up: sentence(&rows, way(true)),
        rows,
    }
}

const fn way(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

fn sentence(rows: &[Decision], way: &str) -> String {
    let parts: Vec<&str> = rows
        .iter()
        .filter(|row| row.way == way && row.decides)
        .map(|row| row.part.as_str())
        .collect();
    if parts.is_empty() {
        "nobody: every frame goes the same way".into()
    } else {
        format!("the driver, by {}", parts.join(", "))
    }
}

/// Which miniports a frame on the first wire reaches; nothing if the adapter kept it from
/// the driver.
fn rises(
    host: &Host,
    stage: &Stage,
    network: &Network,
    stations: &[Station],
    probe: &Probe,
) -> Option<Vec<String>> {
    network.forget();
    let before = host.nic_mix(0).receives;
    lock(&network.switch).inject(0, probe.frame());
    network.settle(host, stage);
    if host.nic_mix(0).receives == before {
        return None;
    }
    let heard = stations.iter().zip(&network.above).filter(|(_, post)| {
        let heard = lock(post).take_heard();
        heard.keys().any(|(serial, _)| *serial == probe.serial)
    });
    Some(heard.map(|(station, _)| station.name.clone()).collect())
}

/// At which ports of the switch, and in which VLAN, what the first miniport sends comes out.
fn sinks(host: &Host, stage: &Stage, network: &Network, probe: &Probe) -> Vec<String> {
    network.forget();
    if let Some(post) = network.above.first() {
        lock(post).send(probe.frame());
    }
    network.settle(host, stage);
    let heard = lock(&network.switch).take_heard();
    let mine = heard
        .keys()
        .filter(|(_, (serial, _))| *serial == probe.serial);
    // A tag that the sender put in is not the driver's decision.
    let own = probe.tag.map_or(0, |tag| tag.vlan);
    mine.map(|(port, (_, vlan))| {
        let tag = if *vlan == own { 0 } else { *vlan };
        format!("{port}/{tag}")
    })
    .collect()
}

//! Who hears whom, from frames really heard: everybody sends one frame to each address and a
//! broadcast, and everybody counts.

use lab_host::Host;
use lab_net::{Mac, lock};

use super::network::{FAR, FAR_NAME, Network, Station, vlans};
use super::report::{Cell, Matrix, Row};
use super::switch::Probe;
use crate::scenario::Stage;

/// Fills the matrix.
pub fn find(host: &Host, stage: &Stage, network: &Network, stations: &[Station]) -> Matrix {
    let parties = network.parties(stations);
    let mut addresses: Vec<Mac> = parties.iter().map(|(_, mac, _)| *mac).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.push(Mac::BROADCAST);
    let mut rows = Vec::new();
    let mut serial = 1;
    for (name, source, post) in &parties {
        network.forget();
        let mut sent = Vec::new();
        // Above a port the driver puts the tag; beyond the switch the station does.
        let tags = if *name == FAR_NAME {
            vlans(stations)
        } else {
            vec![None]
        };
        for tag in tags {
            for &to in addresses.iter().filter(|to| *to != source) {
                let probe = Probe {
                    serial,
                    source: *source,
                    to,
                    tag,
                    addresses: (1, 2),
                    ports: (1, serial as u16),
                };
                serial += 1;
                sent.push((probe.serial, to));
                lock(post).send(probe.frame());
            }
        }
        network.settle(host, stage);
        let heard = parties.iter().map(|(_, own, listener)| {
            let mut cell = Cell::default();
            for ((serial, _), count) in lock(listener).take_heard() {
                let Some((_, to)) = sent.iter().find(|(known, _)| *known == serial) else {
                    continue;
                };
                if to == own {
                    cell.unicast += count;
                } else if *to == Mac::BROADCAST {
                    cell.broadcast += count;
                } else {
                    cell.others += count;
                }
            }
            cell
        });
        rows.push(Row {
            speaker: (*name).to_owned(),
            heard: heard.collect(),
        });
    }
    debug_assert!(addresses.contains(&FAR));
    Matrix {
        listeners: parties
            .iter()
            .map(|(name, ..)| (*name).to_owned())
            .collect(),
        rows,
    }
}

//! The stage of a comparison: stations, the switch between them, and waiting for both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lab_host::Host;
use lab_net::vlan::Tag;
use lab_net::{Mac, lock};

use super::switch::{Shared, Switch, SwitchPort};
use super::topologies::aggregates;
use crate::scenario::{Stage, device};
use crate::topology::endpoints::Endpoints;
use crate::topology::{Place, Topology};

const MS: u64 = 1_000_000;
/// The station beyond the switch.
pub const FAR: Mac = Mac::local(0x71, 1);
/// What it is called.
pub const FAR_NAME: &str = "far";

/// Everybody who sends and takes frames.
pub struct Network {
    /// Between the adapters and the far station.
    pub switch: Arc<Mutex<Switch>>,
    /// Beyond the switch.
    pub far: Shared,
    /// Above each miniport, in the order of the topology.
    pub above: Vec<Shared>,
}

/// A virtual miniport that runs.
#[derive(Clone, Debug)]
pub struct Station {
    /// Its name.
    pub name: String,
    /// Its handle.
    pub handle: u64,
    /// The address that it shows.
    pub mac: Mac,
    /// The largest packet that it takes.
    pub mtu: u32,
    /// The tag of its frames on the wire.
    pub tag: Option<Tag>,
}

impl Network {
    /// A network for a topology, joined to its endpoints.
    pub fn join(topology: &Topology, endpoints: &mut Endpoints) -> Self {
        let switch = Switch::new(topology.adapters.len(), aggregates(topology));
        let far = Arc::clone(&switch.far);
        let switch = Arc::new(Mutex::new(switch));
        for (port, adapter) in topology.adapters.iter().enumerate() {
            let wire = Place::Wire(adapter.wire.clone().unwrap_or_default());
            let switch = Arc::clone(&switch);
            endpoints.attach(&wire, None, SwitchPort { switch, port });
        }
        let above = topology.miniports.iter().map(|miniport| {
            let station = Shared::default();
            let place = Place::Miniport(miniport.name.clone());
            endpoints.attach(&place, None, Arc::clone(&station));
            station
        });
        Self {
            above: above.collect(),
            switch,
            far,
        }
    }

    /// The miniports that run now, in the order of the topology.
    pub fn stations(host: &Host, stage: &Stage) -> Vec<Station> {
        let each = stage.topology.miniports.iter();
        each.filter_map(|miniport| {
            let handle = host.miniport(&device(&miniport.name))?;
            let vlan = miniport.vlan();
            let facts = host.miniport_facts(handle)?;
            Some(Station {
                name: miniport.name.clone(),
                handle,
                mac: Mac(facts.mac),
                mtu: facts.mtu,
                tag: (vlan != 0).then(|| Tag::vlan(vlan)),
            })
        })
        .collect()
    }

    /// Waits until nothing is under way.
    pub fn settle(&self, host: &Host, stage: &Stage) -> bool {
        stage.kick(host);
        let idle = |host: &Host| {
            lock(&self.switch).is_idle()
                && self.above.iter().all(|post| lock(post).is_idle())
                && (0..stage.topology.adapters.len()).all(|nic| host.nic_is_idle(nic))
                && (0..host.uppers()).all(|upper| host.upper_is_idle(upper))
        };
        let quiet = host.wait_until("for frames under way", MS / 20, 500 * MS, idle);
        // What was just given to somebody may be answered through a deferred call.
        host.sleep(MS / 10);
        quiet && host.wait_until("for frames under way", MS / 20, 500 * MS, idle)
    }

    /// Every station with its name: those above, then the far one.
    pub fn parties<'a>(&'a self, stations: &'a [Station]) -> Vec<(&'a str, Mac, &'a Shared)> {
        let mut parties: Vec<_> = stations
            .iter()
            .zip(&self.above)
            .map(|(station, post)| (station.name.as_str(), station.mac, post))
            .collect();
        parties.push((FAR_NAME, FAR, &self.far));
        parties
    }

    /// Forgets every probe that was heard.
    pub fn forget(&self) {
        lock(&self.switch).take_heard();
        for post in self.above.iter().chain([&self.far]) {
            lock(post).take_heard();
        }
    }
}

/// VLANs in use: none first.
pub fn vlans(stations: &[Station]) -> Vec<Option<Tag>> {
    let all = stations
        .iter()
        .map(|s| (s.tag.map_or(0, |t| t.vlan), s.tag));
    all.collect::<BTreeMap<_, _>>().into_values().collect()
}

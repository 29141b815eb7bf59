//! From a topology to endpoints that can be driven: embedded hosts, generators,
//! sinks and replays, put together place by place.
//!
//! # Use
//!
//! ```no_run
//! # fn attach(_: &lab::topology::Place, _: lab_net::hub::Hub) {}
//! # fn run(topology: &lab::topology::Topology) -> Result<(), lab::topology::endpoints::BuildError> {
//! use lab::topology::endpoints::Endpoints;
//!
//! let mut endpoints = Endpoints::build(topology, 42, |replay| {
//!     let file = std::fs::File::open(topology.path(&replay.file))?;
//!     lab_net::pcap::Replay::read(std::io::BufReader::new(file), None)
//! })?;
//! for (place, hub) in endpoints.take_hubs() {
//!     attach(&place, hub); // A NIC's far end, or a protocol above a miniport.
//! }
//! let upper = endpoints.host("upper").expect("the topology has it");
//! let ping = lab_net::host::Ping::to([10, 0, 0, 2].into());
//! let job = lab_net::lock(upper).ping(ping).expect("reachable");
//! // … drive, then:
//! assert!(lab_net::lock(upper).is_done(job));
//! assert!(endpoints.ledger.verdict().is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! Hosts of stack `linux` are left out: whoever may open devices makes one for
//! [`Topology::port`], and [`Endpoints::attach`] takes it.
//! Generators are there from the start but send nothing until
//! [`Endpoints::start_generators`].
//!
//! Addresses: above an adapter or a miniport everybody has the address of the
//! adapter at the bottom, as protocols do, or the miniport's `NetworkAddress`. On a
//! wire everybody has one of his own.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use lab_net::host::{HostConfig, HostError, IpHost};
use lab_net::hub::Hub;
use lab_net::mix::derive;
use lab_net::oracle::{self, Flow, FlowId, Ledger, Pace};
use lab_net::pcap::{self, PcapError};
use lab_net::vlan::{TAG, Tag};
use lab_net::{Endpoint, Mac, lock};

use super::{Carrier, ConfigValue, Generator, Host, Place, Replay, Stack, Topology};

/// Why endpoints cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A host's configuration is refused.
    #[error("host `{name}`: {error}")]
    Host {
        /// The host.
        name: String,
        /// Why.
        error: HostError,
    },
    /// A replay's file cannot be read.
    #[error("replay `{name}`: {error}")]
    Replay {
        /// The replay.
        name: String,
        /// Why.
        error: PcapError,
    },
}

/// Who stands at a place: his address, and the largest packet there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Station {
    /// The address.
    pub mac: Mac,
    /// The largest packet.
    pub mtu: u32,
}

/// The endpoints of a topology. See the module's documentation.
pub struct Endpoints {
    /// The oracle's books.
    pub ledger: Ledger,
    hosts: Vec<(String, Arc<Mutex<IpHost>>)>,
    generators: Vec<(String, Arc<Mutex<oracle::Generator>>)>,
    replays: Vec<(String, Arc<Mutex<pcap::Replay>>)>,
    /// A flow for each generator, in their order.
    flows: Vec<FlowId>,
    /// The largest packet of the port with the least: any port may become like it.
    smallest: u32,
    /// Behind a lock only so that the whole may be shared between threads.
    hubs: Mutex<Vec<(Place, Hub)>>,
}

impl Endpoints {
    /// Makes all endpoints. `seed` decides everything about them; `open` reads a
    /// replay's file.
    pub fn build(
        topology: &Topology,
        seed: u64,
        mut open: impl FnMut(&Replay) -> Result<pcap::Replay, PcapError>,
    ) -> Result<Self, BuildError> {
        let mut endpoints = Self {
            ledger: Ledger::new(derive(seed, 0)),
            hosts: Vec::new(),
            generators: Vec::new(),
            replays: Vec::new(),
            flows: Vec::new(),
            smallest: topology.smallest_mtu(),
            hubs: Mutex::default(),
        };
        for (index, host) in topology.hosts.iter().enumerate() {
            if host.stack == Stack::Embedded {
                endpoints.add_host(topology, index, host, derive(seed, 1 + index as u64))?;
            }
        }
        let mut flows = Vec::new();
        for (index, generator) in topology.generators.iter().enumerate() {
            flows.push(endpoints.add_generator(topology, index, generator));
        }
        for (index, sink) in topology.sinks.iter().enumerate() {
            let each = topology.generators.iter().zip(&flows);
            let mine: Vec<FlowId> = each
                .filter(|(generator, _)| generator.to == sink.name)
                .map(|(_, flow)| *flow)
                .collect();
            let mac = topology.sink_station(index).mac;
            let taker = oracle::Sink::new(&endpoints.ledger, mac, &mine);
            // On a wire the address is the sink's alone; above an adapter it is
            // the adapter's, and hosts have it too.
            let alone = matches!(sink.on, Place::Wire(_) | Place::Switch(_));
            let taker = if alone { taker.strict() } else { taker };
            endpoints.place(topology, &sink.on, sink.tag, mac, taker);
        }
        endpoints.flows = flows;
        for replay in &topology.replays {
            let read = open(replay).map_err(|error| BuildError::Replay {
                name: replay.name.clone(),
                error,
            })?;
            let read = Arc::new(Mutex::new(read));
            endpoints
                .replays
                .push((replay.name.clone(), Arc::clone(&read)));
            // It sends and takes nothing.
            endpoints.hub(&replay.on).add(Some(Mac([0; 6])), read);
        }
        Ok(endpoints)
    }

    fn add_host(
        &mut self,
        topology: &Topology,
        index: usize,
        host: &Host,
        seed: u64,
    ) -> Result<(), BuildError> {
        let station = topology.host_station(index);
        let mut config =
            HostConfig::new(host.name.clone(), station.mac, seed).mtu(station.mtu as u16);
        if let Some((address, prefix)) = host.ipv4 {
            config = config.address(IpAddr::V4(address), prefix);
        }
        if let Some((address, prefix)) = host.ipv6 {
            config = config.address(IpAddr::V6(address), prefix);
        }
        let made = IpHost::new(config).map_err(|error| BuildError::Host {
            name: host.name.clone(),
            error,
        })?;
        let made = Arc::new(Mutex::new(made));
        self.hosts.push((host.name.clone(), Arc::clone(&made)));
        self.place(topology, &host.on, host.tag, station.mac, made);
        Ok(())
    }

    fn add_generator(
        &mut self,
        topology: &Topology,
        index: usize,
        generator: &Generator,
    ) -> FlowId {
        let from = topology.generator_station(index);
        // The name was checked when the file was read.
        let sink = topology
            .sinks
            .iter()
            .position(|sink| sink.name == generator.to)
            .unwrap_or(0);
        let to = topology.sink_station(sink);
        let flow = match generator.carrier {
            Carrier::Private => Flow::private(generator.name.clone(), from.mac, to.mac),
            Carrier::Udp => {
                // RFC 5737's second block for documentation: no host of a sensible
                // topology has such an address, so none answers.
                let end = |kind: u8| {
                    let address = Ipv4Addr::new(198, 51, 100, kind);
                    SocketAddrV4::new(address, 20_000 + index as u16)
                };
                Flow::udp(generator.name.clone(), from.mac, to.mac, end(1), end(2))
            }
        };
        let flow = self.ledger.add_flow(flow);
        let pace = Pace {
            frames: generator.frames,
            mtu: from.mtu.min(to.mtu).min(self.smallest) as u16,
            interval: generator.interval_us * 1_000,
            burst: generator.burst,
        };
        let made = oracle::Generator::starting_at(&self.ledger, flow, pace, u64::MAX);
        let made = Arc::new(Mutex::new(made));
        self.generators
            .push((generator.name.clone(), Arc::clone(&made)));
        self.place(topology, &generator.on, generator.tag, from.mac, made);
        flow
    }

    fn place(
        &mut self,
        topology: &Topology,
        on: &Place,
        tag: Option<Tag>,
        mac: Mac,
        endpoint: impl Endpoint + 'static,
    ) {
        // Where tags are beside the frames the protocol shows them in the frames: these
        // endpoints want neither.
        let folds = matches!(on, Place::Miniport(name)
            if topology.miniports.iter().any(|m| m.name == *name && m.fold_tags));
        match tag.or(folds.then(Tag::default)) {
            Some(tag) => self.hub(on).add_tagged(tag, Some(mac), endpoint),
            None => self.hub(on).add(Some(mac), endpoint),
        }
    }

    fn hub(&mut self, place: &Place) -> &mut Hub {
        let hubs = self.hubs.get_mut().unwrap_or_else(PoisonError::into_inner);
        let index = hubs
            .iter()
            .position(|(known, _)| known == place)
            .unwrap_or_else(|| {
                hubs.push((place.clone(), Hub::new()));
                hubs.len() - 1
            });
        &mut hubs[index].1
    }

    /// Adds one more at a place, such as the TAP device of a `linux` host. With an
    /// address it gets frames for that address and groups only.
    pub fn attach(&mut self, place: &Place, mac: Option<Mac>, endpoint: impl Endpoint + 'static) {
        self.hub(place).add(mac, endpoint);
    }

    /// Everything that stands at each place, once.
    pub fn take_hubs(&mut self) -> Vec<(Place, Hub)> {
        std::mem::take(self.hubs.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// The embedded hosts by name, in the order of the file.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Arc<Mutex<IpHost>>)> {
        self.hosts.iter().map(|(name, host)| (name.as_str(), host))
    }

    /// One embedded host.
    pub fn host(&self, name: &str) -> Option<&Arc<Mutex<IpHost>>> {
        self.hosts()
            .find(|(known, _)| *known == name)
            .map(|(_, host)| host)
    }

    /// Lets the generators send from `now` on. Whoever calls it lets their places
    /// be polled.
    pub fn start_generators(&self, now: u64) {
        for (_, generator) in &self.generators {
            lock(generator).begin(now);
        }
    }

    /// Lets the generators send no more.
    pub fn stop_generators(&self) {
        for (_, generator) in &self.generators {
            lock(generator).stop();
        }
    }

    /// Flows that begin or end above a miniport.
    pub fn flows_of(&self, topology: &Topology, miniport: &str) -> Vec<FlowId> {
        let here = |on: &Place| matches!(on, Place::Miniport(name) if name == miniport);
        let ends_here = |generator: &Generator| {
            let sink = topology.sinks.iter().find(|sink| sink.name == generator.to);
            here(&generator.on) || sink.is_some_and(|sink| here(&sink.on))
        };
        let each = topology.generators.iter().zip(&self.flows);
        each.filter(|(generator, _)| ends_here(generator))
            .map(|(_, flow)| *flow)
            .collect()
    }

    /// Whether every generator has sent what it was ordered to.
    pub fn generators_done(&self) -> bool {
        self.generators
            .iter()
            .all(|(_, generator)| lock(generator).is_done())
    }

    /// Frames that each generator has sent.
    pub fn generated(&self) -> impl Iterator<Item = (&str, u64)> {
        self.generators
            .iter()
            .map(|(name, generator)| (name.as_str(), lock(generator).sent()))
    }

    /// Whether every capture has been played back.
    pub fn replays_done(&self) -> bool {
        self.replays
            .iter()
            .all(|(_, replay)| lock(replay).is_done())
    }
}

/// The address in a `NetworkAddress` value: twelve hexadecimal digits, with or without a
/// dash or a colon after each pair.
pub fn network_address(value: &ConfigValue) -> Option<Mac> {
    let ConfigValue::Text(text) = value else {
        return None;
    };
    let digits: String = text.chars().filter(|c| !"-:".contains(*c)).collect();
    if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let number = u64::from_str_radix(&digits, 16).ok()?;
    let [_, _, octets @ ..] = number.to_be_bytes();
    Some(Mac(octets)).filter(|mac| mac.is_unicast())
}

/// Kinds of stations on a wire, in the addresses they are given.
const HOST: u8 = 1;
const GENERATOR: u8 = 2;
const SINK: u8 = 3;

impl Topology {
    /// The adapter at the bottom of a place: of a miniport, the first one that
    /// its bindings lead down to.
    pub fn bottom(&self, place: &Place) -> Option<&super::Adapter> {
        let mut name = match place {
            Place::Wire(wire) => return self.adapter_on_wire(wire),
            Place::Switch(switch) => {
                let switch = self.switches.iter().find(|known| known.name == *switch)?;
                return self.adapter_on_wire(switch.wires.first()?);
            }
            Place::Adapter(name) | Place::Miniport(name) => name,
        };
        // A checked topology has no cycle; the count holds for one made by hand.
        for _ in 0..=self.bindings.len() {
            if let Some(adapter) = self.adapter(name) {
                return Some(adapter);
            }
            name = &self
                .bindings
                .iter()
                .find(|binding| binding.upper.contains(name))?
                .adapter;
        }
        None
    }

    /// The largest packet above a miniport: a tag that goes into the frame takes four of
    /// the adapter's octets. It is there on a VLAN, and wherever a priority may be put on.
    pub fn mtu_above(&self, miniport: &str) -> u32 {
        let place = Place::Miniport(miniport.to_owned());
        let Some(adapter) = self.bottom(&place) else {
            return 1_500;
        };
        if let Some(team) = self.team(miniport) {
            // As much as every member carries.
            let members = team.members.iter().map(|name| {
                let adapter = self.adapter(name);
                adapter.map_or_else(|| self.mtu_above(name), |adapter| adapter.mtu)
            });
            return members.min().unwrap_or(1_500);
        }
        let known = self.miniports.iter().find(|known| known.name == miniport);
        let binding = self
            .bindings
            .iter()
            .find(|binding| binding.upper.iter().any(|name| name == miniport));
        let in_band = binding.is_some_and(|binding| {
            let value = binding.values.get("InBandTags");
            value.and_then(ConfigValue::number) == Some(1)
        });
        let tags = known.is_some_and(|known| {
            let number = |name: &str| known.properties.get(name).and_then(ConfigValue::number);
            let map = known.properties.get("PriorityOut");
            known.vlan() != 0
                || number("DefaultPriority").is_some_and(|priority| priority != 0)
                || map.is_some_and(|map| *map != ConfigValue::Text("01234567".into()))
        });
        if tags && (in_band || !adapter.vlan_offload) {
            adapter.mtu - TAG as u32
        } else {
            adapter.mtu
        }
    }

    /// The largest packet above the miniport with the least.
    fn smallest_mtu(&self) -> u32 {
        // Ports by the hundred differ in their VLAN only: a few tell.
        let few = self.miniports.iter().take(64);
        let each = few.map(|miniport| self.mtu_above(&miniport.name));
        each.min().unwrap_or(u32::MAX)
    }

    /// The address of whoever stands at a place that gives one.
    pub fn mac_above(&self, place: &Place) -> Mac {
        self.station(place, None, HOST, 0).mac
    }

    /// The address that a miniport is configured with, or the miniport that it lies on.
    fn above(&self, place: &Place) -> Option<Mac> {
        let Place::Miniport(name) = place else {
            return None;
        };
        let mut name = name;
        // A checked topology has no cycle; the count holds for one made by hand.
        for _ in 0..=self.bindings.len() {
            let miniport = self.miniports.iter().find(|m| m.name == *name)?;
            if let Some(address) = miniport.properties.get("NetworkAddress") {
                return network_address(address);
            }
            let mut bindings = self.bindings.iter();
            name = &bindings.find(|b| b.upper.contains(name))?.adapter;
        }
        None
    }

    fn station(&self, place: &Place, tag: Option<Tag>, kind: u8, index: usize) -> Station {
        let bottom = self.bottom(place);
        let own = Mac::local(kind, index as u16);
        let full = bottom.map_or(1_500, |adapter| adapter.mtu);
        let in_band = match bottom {
            Some(adapter) if adapter.vlan_offload => full,
            _ => full - TAG as u32,
        };
        let above = self.above(place);
        Station {
            mac: match (place, bottom) {
                (Place::Miniport(_), Some(adapter)) => above.unwrap_or(adapter.mac),
                (Place::Adapter(_), Some(adapter)) => adapter.mac,
                _ => own,
            },
            mtu: match place {
                Place::Miniport(name) => self.mtu_above(name),
                // What it sends with a tag must fit where it arrives.
                Place::Wire(_) | Place::Switch(_) if tag.is_some_and(|tag| tag.vlan != 0) => {
                    in_band
                }
                _ => full,
            },
        }
    }

    /// Who a host is: the `index`th of the file.
    pub fn host_station(&self, index: usize) -> Station {
        let host = &self.hosts[index];
        let station = self.station(&host.on, host.tag, HOST, index);
        Station {
            mac: host.mac.unwrap_or(station.mac),
            mtu: host.mtu.unwrap_or(station.mtu),
        }
    }

    /// The TAP device that a host of stack `linux` needs: interface `lab0` for the
    /// first host of the file, and so on.
    #[cfg(target_os = "linux")]
    pub fn port(&self, index: usize) -> lab_net::netns::Port {
        let (host, station) = (&self.hosts[index], self.host_station(index));
        lab_net::netns::Port {
            name: format!("lab{index}"),
            mac: station.mac,
            mtu: station.mtu as u16,
            ipv4: host.ipv4,
            ipv6: host.ipv6,
        }
    }

    /// Who a generator is.
    pub fn generator_station(&self, index: usize) -> Station {
        {
            let generator = &self.generators[index];
            self.station(&generator.on, generator.tag, GENERATOR, index)
        }
    }

    /// Who a sink is.
    pub fn sink_station(&self, index: usize) -> Station {
        {
            let sink = &self.sinks[index];
            self.station(&sink.on, sink.tag, SINK, index)
        }
    }
}

#[cfg(test)]
mod tests {
    use lab_net::host::{JobState, Ping, SECOND, Tcp};
    use lab_net::wire::{Impairment, Wire};

    use super::*;

    const SHIPPED: &str = include_str!("../../../../drivers/passthrough/lab.toml");

    fn shipped() -> Topology {
        Topology::parse("lab.toml".as_ref(), SHIPPED).expect("good")
    }

    fn no_replay(_: &Replay) -> Result<pcap::Replay, PcapError> {
        unreachable!("the topology has none")
    }

    #[test]
    fn everybody_has_a_sensible_address() {
        let topology = shipped();
        let nic = topology.adapters[0].mac;
        assert_eq!(
            topology.host_station(0),
            Station {
                mac: nic,
                mtu: 1500
            }
        );
        assert_eq!(Some(topology.host_station(1).mac), topology.hosts[1].mac);
        assert_eq!(topology.generator_station(0).mac, nic);
        #[cfg(target_os = "linux")]
        assert_eq!(
            topology.port(0),
            lab_net::netns::Port::new("lab0", nic)
                .ipv4([10, 0, 0, 1].into(), 24)
                .ipv6([0xfd00, 0x6c61, 0x6200, 0, 0, 0, 0, 1].into(), 64)
        );
        assert_eq!(topology.generator_station(1).mac, Mac::local(GENERATOR, 1));
        assert_eq!(topology.sink_station(0).mac, Mac::local(SINK, 0));
        assert_eq!(topology.sink_station(1).mac, nic);
    }

    #[test]
    fn the_bottom_is_found_through_stacked_bindings() {
        let text = r#"
            [[adapter]]
            name = "nic0"
            mtu = 9000
            [[miniport]]
            name = "vm0"
            [[miniport]]
            name = "vm1"
            [[binding]]
            adapter = "vm0"
            upper = ["vm1"]
            [[binding]]
            adapter = "nic0"
            upper = ["vm0"]
            [[host]]
            name = "h"
            on = "miniport:vm1"
            ipv4 = "10.0.0.1/8"
        "#;
        let mut topology = Topology::parse("lab.toml".as_ref(), text).expect("good");
        assert_eq!(topology.host_station(0).mtu, 9000);
        // Made by hand, with a cycle: an answer all the same.
        topology.bindings[1].adapter = "vm1".to_owned();
        assert_eq!(topology.bottom(&Place::Miniport("vm1".to_owned())), None);
    }

    /// The default scenario's traffic, over a wire without any driver.
    #[test]
    fn the_shipped_topology_carries_its_traffic() {
        let topology = shipped();
        let mut endpoints = Endpoints::build(&topology, 7, no_replay).expect("good");
        let mut hubs = endpoints.take_hubs();
        assert!(endpoints.take_hubs().is_empty());
        assert_eq!(hubs.len(), 2);
        hubs.sort_by_key(|(place, _)| place.to_string());
        let (wire_place, mut far) = hubs.pop().expect("two");
        let (miniport, mut near) = hubs.pop().expect("two");
        assert_eq!(
            (miniport.to_string(), wire_place.to_string()),
            ("miniport:vm0".into(), "wire:w0".into())
        );
        assert_eq!((near.len(), far.len()), (3, 3));

        let (upper, peer) = (
            endpoints.host("upper").expect("upper"),
            endpoints.host("peer").expect("peer"),
        );
        let mut wire = Wire::new(Impairment::default(), 7);
        let ping = lock(upper)
            .ping(Ping::to([10, 0, 0, 2].into()))
            .expect("reachable");
        let order = Tcp {
            send: 1 << 20,
            ..Tcp::sink(5001, 1 << 20, 7)
        };
        let server = lock(peer).tcp(order).expect("free port");
        let client = lock(upper)
            .tcp(order.peer(([10, 0, 0, 2], 5001).into()))
            .expect("reachable");
        assert!(wire.run(&mut near, &mut far, 10 * SECOND, |_, _| {
            lock(upper).is_done(ping) && lock(upper).is_done(client) && lock(peer).is_done(server)
        }));
        for job in [ping, client] {
            assert_eq!(*lock(upper).report(job).state(), JobState::Done);
        }
        assert!(endpoints.generated().all(|(_, sent)| sent == 0));

        endpoints.start_generators(wire.now());
        wire.run(&mut near, &mut far, 100 * SECOND, |_, _| {
            endpoints.generators_done() && endpoints.ledger.missing() == 0
        });
        let verdict = endpoints.ledger.verdict();
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!((verdict.sent, verdict.received), (100_000, 100_000));
        assert!(endpoints.replays_done());
    }

    #[test]
    fn what_cannot_be_made_is_named() {
        let text = format!(
            "{SHIPPED}\n[[replay]]\nname = \"old\"\non = \"wire:w0\"\nfile = \"old.pcapng\"\n"
        );
        let topology = Topology::parse("lab.toml".as_ref(), &text).expect("good");
        let error =
            Endpoints::build(&topology, 1, |_| pcap::Replay::read(&b"no"[..], None)).map(|_| ());
        assert_eq!(
            error.expect_err("no capture").to_string(),
            "replay `old`: this is no pcapng file"
        );
    }
}

//! A topology made real: NICs with their wires, devices, protocols above them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use lab_host::Host;
use lab_host::ndis::{
    Assist, BindRequest, InstanceStart, Medium, NicConfig, Split, UpperConfig, Value,
};
use lab_net::host::IpHost;
use lab_net::hub::Hub;
use lab_net::pcap::{Direction, Interface, PcapError, Recorder, Replay};
use lab_net::tap::{Tap, TapEndpoint, TapWatch};
use lab_net::team::{self, Bond, Lacp, Switch, SwitchConfig};
use lab_net::{Endpoint, lock};

use crate::process::{FileUse, RunJob};
use crate::summary::{Counter, NicMix, Summary, Udp};
use crate::topology::endpoints::Endpoints;
use crate::topology::{self, Capability, ConfigValue, Place, Stack, Topology};
use crate::trouble::Trouble;

/// Descriptors handed over by the parent.
pub type Files = Vec<(FileUse, OwnedFd)>;

/// A capture.
struct Capture {
    recorder: Recorder<File>,
    /// Of one adapter's wire; else of all.
    nic: Option<usize>,
    /// Without TCP: for those who want to see what else is on the wire.
    slim: bool,
}

impl Capture {
    fn wants(&self, nic: usize, frame: &[u8]) -> bool {
        self.nic.is_none_or(|own| own == nic) && !(self.slim && is_tcp(frame))
    }
}

/// Whether a frame is TCP, over IPv4 or IPv6 and without a tag.
fn is_tcp(frame: &[u8]) -> bool {
    const TCP: u8 = 6;
    match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(23) == Some(&TCP),
        Some([0x86, 0xdd]) => frame.get(20) == Some(&TCP),
        _ => false,
    }
}

/// Captures, and the first error of any.
type Captures = Arc<Mutex<(Vec<Capture>, Option<PcapError>)>>;

/// Who sees each frame go by: when, which adapter, up?, the frame.
type Watch = Box<dyn FnMut(u64, usize, bool, &[u8]) + Send>;
type Watcher = Arc<Mutex<Option<Watch>>>;

/// Records what is on an adapter's wire, and shows it.
fn listen(host: &Host, nic: usize, captures: Captures, watcher: Watcher) {
    host.listen(
        nic,
        Box::new(move |now, up, frame| {
            let direction = if up {
                Direction::Inbound
            } else {
                Direction::Outbound
            };
            {
                let (recorders, lost) = &mut *lock(&captures);
                for capture in recorders.iter_mut().filter(|c| c.wants(nic, frame)) {
                    let done = capture.recorder.record(nic, now, direction, frame, None);
                    *lost = lost.take().or(done.err());
                }
            }
            if let Some(watch) = &mut *lock(&watcher) {
                watch(now, nic, up, frame);
            }
        }),
    );
}

/// Everything a scenario acts on.
pub struct Stage {
    /// The topology.
    pub topology: Topology,
    /// When the stage was set, for the time to the first frame.
    pub started: Instant,
    /// Hosts, generators, sinks and the oracle's books.
    pub endpoints: Endpoints,
    /// Service of the protocol edge.
    pub service: String,
    captures: Captures,
    /// Index of the protocol above each miniport that has one.
    uppers: BTreeMap<String, usize>,
    /// TAP devices, and who is to be told when one has something.
    watches: Vec<(TapWatch, Speaker)>,
    /// What several wires lead to, by name.
    switches: BTreeMap<String, team::Shared>,
    /// Devices of images by which frames go.
    pub ports: Vec<usize>,
}

/// Who lets an endpoint speak.
#[derive(Clone, Copy, Debug)]
pub enum Speaker {
    /// The adapter of this index lets the far end of its wire speak.
    Nic(usize),
    /// The protocol of this index speaks itself.
    Upper(usize),
}

impl Speaker {
    /// Lets it speak. May be called from any thread.
    pub fn kick(self, host: &Host) {
        match self {
            Self::Nic(nic) => host.nic_kick(nic),
            Self::Upper(upper) => host.upper_kick(upper),
        }
    }
}

/// Full device name of a virtual miniport.
pub fn device(name: &str) -> String {
    format!("\\DEVICE\\{}", name.to_uppercase())
}

/// Bytes of strings that NDIS gives to a driver in one REG_MULTI_SZ value: a counted
/// string's, without the zero at the end.
const FULL: usize = 65_532;

/// `UpperBindings` with these names, and `UpperBindings2` and so on for what does not fit;
/// the one behind the last is empty, so that what an older list has there ends.
pub fn upper_values(names: Vec<String>) -> Vec<(String, Value)> {
    let mut lists = vec![Vec::new()];
    let mut used = 0;
    for name in names {
        let bytes = 2 * (name.encode_utf16().count() + 1);
        if used + bytes > FULL {
            lists.push(Vec::new());
            used = 0;
        }
        used += bytes;
        if let Some(list) = lists.last_mut() {
            list.push(name);
        }
    }
    if lists.len() > 1 {
        lists.push(Vec::new());
    }
    let name = |index| match index {
        0 => "UpperBindings".to_owned(),
        index => format!("UpperBindings{}", index + 1),
    };
    let named = lists.into_iter().enumerate();
    named
        .map(|(index, list)| (name(index), Value::Strings(list)))
        .collect()
}

/// The adapter that an image is: NDIS binds the driver above when it starts.
fn stack_adapter(
    host: &Host,
    topology: &Topology,
    adapter: &topology::Adapter,
    service: &str,
) -> usize {
    let mut bound = topology.bindings.iter();
    let mut list = Vec::new();
    if let Some(b) = bound.find(|b| b.adapter == adapter.name) {
        list = values(&b.values);
        list.extend(upper_values(b.upper.iter().map(|n| device(n)).collect()));
    }
    host.stack_on(&device(&adapter.name), service, list)
}

/// Takes the descriptor of a use out of the list.
pub fn take(files: &mut Files, wanted: &FileUse) -> Option<OwnedFd> {
    let at = files.iter().position(|(usage, _)| usage == wanted)?;
    Some(files.remove(at).1)
}

impl Stage {
    /// Sets the stage on a host that has a driver loaded and nothing else.
    pub fn new(
        host: &Host,
        job: &RunJob,
        topology: &Topology,
        seed: u64,
        files: Files,
    ) -> Result<Self, Trouble> {
        Self::build(host, job, topology, (seed, false), files, |_| {})
    }

    /// The same with more endpoints.
    pub fn with(
        host: &Host,
        job: &RunJob,
        topology: &Topology,
        seed: u64,
        files: Files,
        more: impl FnOnce(&mut Endpoints),
    ) -> Result<Self, Trouble> {
        Self::build(host, job, topology, (seed, false), files, more)
    }

    /// The same with rough adapters and protocols: they send and indicate what no sound one
    /// does. `more` adds endpoints.
    pub fn rough(
        host: &Host,
        job: &RunJob,
        topology: &Topology,
        more: impl FnOnce(&mut Endpoints),
    ) -> Result<Self, Trouble> {
        Self::build(host, job, topology, (job.seed, true), Files::new(), more)
    }

    fn build(
        host: &Host,
        job: &RunJob,
        topology: &Topology,
        (seed, rough): (u64, bool),
        mut files: Files,
        more: impl FnOnce(&mut Endpoints),
    ) -> Result<Self, Trouble> {
        let open = |replay: &topology::Replay| {
            let fd = take(&mut files, &FileUse::Replay(replay.name.clone()));
            let fd = fd.ok_or_else(|| {
                PcapError::from(std::io::Error::other("no capture was handed over"))
            })?;
            Replay::read(BufReader::new(File::from(fd)), None)
        };
        let mut endpoints = Endpoints::build(topology, seed, open)
            .map_err(|e| Trouble::input(e.to_string()).at(topology.file.display()))?;
        let mut taps = Vec::new();
        // Where a switch stands, its trunk is what the wire leads to, and not the hosts.
        for wire in &topology.wires {
            if let Some(fd) = take(&mut files, &FileUse::Trunk(wire.name.clone())) {
                let place = Place::Wire(wire.name.clone());
                let (endpoint, watch) = TapEndpoint::watched(Tap::from(fd));
                endpoints.attach(&place, None, endpoint);
                taps.push((place, watch));
            }
        }
        let switched: Vec<Place> = taps.iter().map(|(place, _)| place.clone()).collect();
        // Who is behind a switch of Linux's own is behind it there.
        let behind = |h: &topology::Host| matches!(h.on, Place::Switch(_));
        let of_linux = |h: &&topology::Host| {
            h.stack == Stack::Linux && !switched.contains(&h.on) && !behind(h)
        };
        for h in topology.hosts.iter().filter(of_linux) {
            let fd = take(&mut files, &FileUse::Tap(h.name.clone())).ok_or_else(|| {
                Trouble::host(format!("no TAP device was handed over for {}", h.name))
            })?;
            let (endpoint, watch) = TapEndpoint::watched(Tap::from(fd));
            endpoints.attach(&h.on, None, endpoint);
            taps.push((h.on.clone(), watch));
        }
        more(&mut endpoints);
        let captures = captures(topology, &mut files)?;
        let mut hubs = endpoints.take_hubs();
        let mut hub = |place: &Place| {
            let at = hubs.iter().position(|(known, _)| known == place)?;
            Some(hubs.swap_remove(at).1)
        };
        let mut ports = Vec::new();
        let mut speakers = Vec::new();
        let mut uppers = BTreeMap::new();
        let mut switches = BTreeMap::new();
        for switch in &topology.switches {
            let mut made = Switch::new(switch_config(switch, seed));
            if let Some(inside) = hub(&Place::Switch(switch.name.clone())) {
                *made.inside() = inside;
            }
            switches.insert(switch.name.clone(), made.shared());
        }
        let mut fars: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, adapter) in topology.adapters.iter().enumerate() {
            let wire = adapter.wire.clone().unwrap_or_default();
            let port = topology.switch_of(&wire).and_then(|switch| {
                let port = switch.wires.iter().position(|known| *known == wire)?;
                fars.entry(&switch.name).or_default().push(index);
                Some(Switch::port(switches.get(&switch.name)?, port))
            });
            let place = Place::Wire(wire);
            // A switch of Linux's own comes before the lab's.
            let far: Box<dyn Endpoint> = match (hub(&place), port) {
                (Some(hub), _) => Box::new(hub),
                (None, Some(port)) => Box::new(port),
                (None, None) => Box::new(Hub::new()),
            };
            let config = NicConfig {
                rough,
                ..nic_config(adapter, index)
            };
            let nic = if adapter.driver.is_none() {
                host.add_nic(config, far)
            } else {
                let nic = stack_adapter(host, topology, adapter, &job.service);
                let wire = format!("{}.tap", device(&adapter.name));
                ports.push(host.frames_to_wire(&wire, nic, far));
                nic
            };
            speakers.push((place, Speaker::Nic(nic)));
            if !lock(&captures).0.is_empty() {
                listen(host, nic, Arc::clone(&captures), Arc::default());
            }
        }
        for nics in fars.values() {
            host.share_far(nics);
        }
        for miniport in &topology.miniports {
            let place = Place::Miniport(miniport.name.clone());
            let name = device(&miniport.name);
            host.add_device(&name, InstanceStart::Either, values(&miniport.properties));
            let listed = |b: &&crate::topology::Binding| b.upper.contains(&miniport.name);
            if topology.teams.iter().any(|t| t.name == miniport.name)
                || topology.bindings.iter().filter(listed).count() > 1
            {
                host.set_team(&name);
            }
            let above = hub(&place);
            if let Some(protocol) = &miniport.protocol {
                host.stack_on(&name, protocol, Vec::new());
                let upper = host.uppers() - 1;
                let above = above.unwrap_or_else(Hub::new);
                let frames = format!("\\Device\\{protocol}-{}", miniport.name);
                ports.push(host.frames_to_endpoint(&frames, upper, Box::new(above)));
                uppers.insert(miniport.name.clone(), upper);
                speakers.push((place, Speaker::Upper(upper)));
                continue;
            }
            let Some(above) = above else { continue };
            let config = UpperConfig {
                name: miniport.name.clone(),
                device: name,
                rough,
                fold_tags: miniport.fold_tags,
                window: miniport
                    .window
                    .unwrap_or_else(|| UpperConfig::default().window),
                ..UpperConfig::default()
            };
            let upper = host.add_upper(config, Box::new(above));
            uppers.insert(miniport.name.clone(), upper);
            speakers.push((place, Speaker::Upper(upper)));
        }
        let watches = taps.into_iter().filter_map(|(on, watch)| {
            let speaker = speakers.iter().find(|(place, _)| *place == on)?.1;
            Some((watch, speaker))
        });
        Ok(Self {
            watches: watches.collect(),
            switches,
            ports,
            uppers,
            topology: topology.clone(),
            started: Instant::now(),
            endpoints,
            service: job.service.clone(),
            captures,
        })
    }

    /// Shows every frame on every wire as the adapter sends or takes it: when, which
    /// adapter, up?, the frame.
    pub fn watch(
        &self,
        host: &Host,
        watcher: impl FnMut(u64, usize, bool, &[u8]) + Send + 'static,
    ) {
        let watcher: Watcher = Arc::new(Mutex::new(Some(Box::new(watcher))));
        for nic in 0..self.topology.adapters.len() {
            listen(host, nic, Arc::clone(&self.captures), Arc::clone(&watcher));
        }
    }

    /// TAP devices, and who is to be told when one has something.
    pub fn watches(&self) -> &[(TapWatch, Speaker)] {
        &self.watches
    }

    /// The switch of a name.
    pub fn switch(&self, name: &str) -> Option<&team::Shared> {
        self.switches.get(name)
    }

    /// Embedded hosts with what the topology says of them.
    pub fn hosts(&self) -> impl Iterator<Item = (&topology::Host, &Arc<Mutex<IpHost>>)> {
        self.topology
            .hosts
            .iter()
            .filter_map(|h| Some((h, self.endpoints.host(&h.name)?)))
    }

    /// What each `[[binding]]` asks of the host.
    pub fn bind_requests(&self) -> Vec<BindRequest> {
        self.topology
            .bindings
            .iter()
            .filter_map(|b| {
                let nic = self
                    .topology
                    .adapters
                    .iter()
                    .position(|a| a.name == b.adapter)?;
                let names = b.upper.iter().map(|n| device(n)).collect();
                let mut values = values(&b.values);
                values.extend(upper_values(names));
                Some(BindRequest {
                    nic,
                    values,
                    ..BindRequest::default()
                })
            })
            .collect()
    }

    /// Lets everybody speak who has something to say.
    pub fn kick(&self, host: &Host) {
        for nic in 0..self.topology.adapters.len() {
            host.nic_kick(nic);
        }
        for upper in 0..host.uppers() {
            host.upper_kick(upper);
        }
    }

    /// Index of the protocol above a miniport.
    pub fn upper_of(&self, miniport: &str) -> Option<usize> {
        self.uppers.get(miniport).copied()
    }

    /// Index of the adapter a miniport leads to.
    pub fn nic_of(&self, miniport: &str) -> Option<usize> {
        let adapter = self
            .topology
            .bottom(&Place::Miniport(miniport.to_owned()))?;
        self.topology
            .adapters
            .iter()
            .position(|a| a.name == adapter.name)
    }

    /// Whether everything that was to be recorded was; to be asked at the end.
    pub fn captured(&self) -> Result<(), Trouble> {
        lock(&self.captures).1.take().map_or(Ok(()), |error| {
            Err(
                Trouble::input(format!("the capture is not complete: {error}"))
                    .hint("make room on its disk, or record to another one"),
            )
        })
    }

    /// Adds to the summary what the endpoints and NICs saw.
    pub fn finish(&self, host: &Host, summary: &mut Summary) {
        for (name, v) in self.endpoints.ledger.flow_verdicts() {
            if v.sent == 0 {
                continue;
            }
            summary.udp.push(Udp {
                path: name,
                sent: v.sent,
                received: v.received,
                lost: v.lost,
                duplicated: v.duplicated,
                reordered: v.misordered,
                damaged: v.corrupted + v.alien,
                allowed_drops: v.excused_total(),
                reordering_allowed: false,
            });
        }
        for (i, adapter) in self.topology.adapters.iter().enumerate() {
            let mix = host.nic_mix(i);
            summary.nics.push(NicMix {
                adapter: adapter.name.clone(),
                sends: mix.sends,
                inline: mix.completed_inside,
                pended: mix.pended,
                out_of_order: mix.out_of_order,
                other_processor: mix.other_processor,
                receives: mix.receives,
                resources: mix.lent,
            });
        }
        for (name, value) in [
            ("host calls and callbacks", host.crossings()),
            ("deepest driver stack, bytes", host.deepest_stack()),
        ] {
            summary.counters.push(Counter {
                owner: "host".into(),
                name: name.into(),
                value,
            });
        }
        // The machine's clock and threads leave no two equal runs.
        let repeats = host.engine().is_virtual();
        summary.trace = repeats.then(|| format!("{:#018x}", host.trace_hash()));
        let (recorders, lost) = &mut *lock(&self.captures);
        for capture in recorders {
            *lost = lost.take().or(capture.recorder.flush().err());
        }
        if summary.leaks.is_empty() {
            summary.leaks = super::leaks(host);
        }
    }
}

/// One recorder for everything (`--pcap`), one for each wire with `record`.
fn captures(topology: &Topology, files: &mut Files) -> Result<Captures, Trouble> {
    let interfaces: Vec<_> = topology
        .adapters
        .iter()
        .map(|a| Interface::new(&a.name))
        .collect();
    let mut list = Vec::new();
    let mut wanted = vec![(FileUse::Capture, None, false)];
    wanted.extend(topology.wires.iter().map(|wire| {
        let mut adapters = topology.adapters.iter();
        let nic = adapters.position(|adapter| adapter.wire.as_ref() == Some(&wire.name));
        // What iperf3 sends through a team is of no interest, and gigabytes.
        let slim = wire.record.is_none() && topology.switch_of(&wire.name).is_some();
        (FileUse::Record(wire.name.clone()), nic, slim)
    }));
    for (usage, nic, slim) in wanted {
        if let Some(fd) = take(files, &usage) {
            let recorder = Recorder::new(File::from(fd), &interfaces);
            let recorder = recorder.map_err(|error| {
                Trouble::input(format!("the capture cannot be written: {error}"))
                    .hint("make room on its disk, or record to another one")
            })?;
            list.push(Capture {
                recorder,
                nic,
                slim,
            });
        }
    }
    Ok(Arc::new(Mutex::new((list, None))))
}

pub(super) fn values(list: &BTreeMap<String, ConfigValue>) -> Vec<(String, Value)> {
    list.iter()
        .map(|(key, value)| {
            let value = match value {
                ConfigValue::Text(text) => Value::String(text.clone()),
                ConfigValue::Number(number) => Value::Integer(*number),
                ConfigValue::List(list) => Value::Strings(list.clone()),
            };
            (key.clone(), value)
        })
        .collect()
}

fn switch_config(switch: &topology::Switch, seed: u64) -> SwitchConfig {
    let bond = match switch.bond {
        topology::Bond::Bridge => Bond::Bridge,
        topology::Bond::Static => Bond::Static,
        topology::Bond::Lacp => Bond::Lacp(vec![partner(&switch.partner)]),
    };
    SwitchConfig {
        seed,
        ..SwitchConfig::new(switch.wires.len(), bond)
    }
}

/// The partner that a topology describes.
pub(super) const fn partner(partner: &topology::Partner) -> Lacp {
    Lacp {
        priority: partner.priority,
        system: partner.system,
        key: partner.key,
        active: partner.active,
        fast: partner.fast,
        ports: Vec::new(),
    }
}

/// Queues of an adapter with `vmq`.
const QUEUES: u32 = 8;
/// Ports of the NIC switch of an adapter with `sriov`.
const VPORTS: u32 = 8;

fn nic_config(adapter: &topology::Adapter, index: usize) -> NicConfig {
    let can = |c: Capability| adapter.capabilities.contains(&c);
    NicConfig {
        name: adapter.name.to_uppercase(),
        mac: adapter.mac.0,
        mtu: adapter.mtu,
        link_speed: adapter.link_speed_mbps * 1_000_000,
        latency: adapter.latency_us * 1_000,
        queue_depth: adapter.queue_depth as usize,
        // No more of them than frames that may wait for one.
        receive_lists: NicConfig::default()
            .receive_lists
            .min(adapter.queue_depth.into()),
        pend: adapter.pend_ratio,
        resources: adapter.resources_ratio,
        out_of_order: adapter.out_of_order,
        pm: can(Capability::Pm),
        rss: can(Capability::Rss),
        offload: can(Capability::Offload),
        assist: Assist {
            queues: if can(Capability::Vmq) { QUEUES } else { 0 },
            vports: if can(Capability::Sriov) { VPORTS } else { 0 },
            ..Assist::default()
        },
        if_index: 1 + index as u32,
        connected: adapter.wire.is_some(),
        vlan_offload: adapter.vlan_offload,
        refuse_promiscuous: adapter.refuse_promiscuous,
        medium: match adapter.medium {
            topology::Medium::Ethernet => Medium::Ethernet,
            topology::Medium::Wifi => Medium::Wifi,
        },
        read_only_ratio: adapter.read_only_ratio,
        split: if adapter.split_headers {
            Split::Headers
        } else {
            Split::Deep
        },
        paced: adapter.paced,
        ..NicConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_ports_goes_on_in_further_values() {
        let names = |count: u32| (1..=count).map(|n| device(&format!("p{n}"))).collect();
        let few = upper_values(names(3));
        assert_eq!(few.len(), 1);
        let all: Vec<String> = names(4094);
        let many = upper_values(all.clone());
        let keys: Vec<_> = many.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["UpperBindings", "UpperBindings2", "UpperBindings3"]);
        let mut found = Vec::new();
        for (_, value) in many {
            let Value::Strings(list) = value else {
                panic!("{value:?}")
            };
            let units: usize = list.iter().map(|name| name.len() + 1).sum();
            assert!(2 * (units + 1) < 1 << 16, "with the zero at the end");
            found.extend(list);
        }
        assert_eq!(found, all);
    }
}

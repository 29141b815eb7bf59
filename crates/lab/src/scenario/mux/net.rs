//! What the topology and the ports themselves say a net is, for the model.

use lab_host::Host;
use lab_host::ndis::EdgeState;
use lab_net::Mac;

use super::super::stage::{Stage, device};
use super::super::step;
use super::matrix::LISTED;
use super::model::{Hears, Mode, Net, Port};
use crate::summary::Summary;
use crate::topology::endpoints::network_address;
use crate::topology::{Binding, ConfigValue, Miniport, Topology};

/// The driver's values that the model needs.
const MODE: &str = "Mode";
const NETWORK_ADDRESS: &str = "NetworkAddress";
const MAC_MODE: &str = "MacMode";
const ACCEPT_UNTAGGED: &str = "AcceptUntagged";
const PRIORITY_OUT: &str = "PriorityOut";
const PRIORITY_IN: &str = "PriorityIn";
const DEFAULT_PRIORITY: &str = "DefaultPriority";

fn number(miniport: &Miniport, name: &str) -> u32 {
    let value = miniport.properties.get(name);
    value.and_then(ConfigValue::number).unwrap_or(0)
}

/// The mode of a binding.
pub fn mode(binding: &Binding) -> Mode {
    let number = binding.values.get(MODE).and_then(ConfigValue::number);
    let known = Mode::ALL.get(number.unwrap_or(0) as usize);
    known.copied().unwrap_or(Mode::Private)
}

/// The topology with another mode; `passthru` has the first port without a VLAN alone,
/// with the adapter's address.
pub fn with_mode(topology: &Topology, mode: Mode) -> Topology {
    let mut topology = topology.clone();
    let miniports = topology.miniports.clone();
    let at = Mode::ALL.iter().position(|known| *known == mode);
    for binding in &mut topology.bindings {
        let number = ConfigValue::Number(at.unwrap_or(0) as u32);
        binding.values.insert(MODE.to_owned(), number);
        if mode == Mode::Passthru {
            let untagged = |name: &&String| {
                let mut all = miniports.iter();
                all.any(|miniport| miniport.name == **name && miniport.vlan() == 0)
            };
            let only = binding.upper.iter().find(untagged).cloned();
            binding.upper = only.into_iter().collect();
        }
    }
    if mode == Mode::Passthru {
        // Its tags are where the adapter has them: in the frames, or beside.
        let beside = topology.adapters.iter().any(|adapter| adapter.vlan_offload);
        for miniport in &mut topology.miniports {
            miniport.properties.remove(NETWORK_ADDRESS);
            miniport.fold_tags = beside;
        }
    }
    topology
}

/// What becomes of each priority: eight digits.
fn priorities(value: Option<&ConfigValue>) -> [u8; 8] {
    let mut map = [0, 1, 2, 3, 4, 5, 6, 7];
    if let Some(ConfigValue::Text(text)) = value {
        for (to, digit) in map.iter_mut().zip(text.bytes()) {
            *to = digit.wrapping_sub(b'0') & 7;
        }
    }
    map
}

/// A port as its values say, with the address that it shows.
fn port(host: &Host, miniport: &Miniport) -> Option<Port> {
    let handle = host.miniport(&device(&miniport.name))?;
    let facts = host.miniport_facts(handle)?;
    Some(Port {
        name: miniport.name.clone(),
        vlan: miniport.vlan(),
        mac: Mac(facts.mac),
        hears: Hears::Usual,
        groups: vec![LISTED],
        accept_untagged: number(miniport, ACCEPT_UNTAGGED) == 1,
        priority_out: priorities(miniport.properties.get(PRIORITY_OUT)),
        priority_in: priorities(miniport.properties.get(PRIORITY_IN)),
        sees_beside: miniport.fold_tags,
        default_priority: (number(miniport, DEFAULT_PRIORITY) & 7) as u8,
    })
}

/// The net on the topology's first binding: its ports that are there.
pub fn net(host: &Host, stage: &Stage) -> Net {
    let first = stage.topology.bindings.first();
    let ports = first.map_or(&[][..], |binding| &binding.upper);
    let known = |name: &String| {
        let all = &stage.topology.miniports;
        all.iter().find(|miniport| miniport.name == *name)
    };
    Net {
        mode: first.map_or(Mode::Private, mode),
        ports: ports
            .iter()
            .filter_map(|name| port(host, known(name)?))
            .collect(),
        reflecting: false,
    }
}

/// What address a port has to show: the rule of the driver's documentation.
enum Address {
    /// This one.
    Is(Mac),
    /// One of its own, locally administered.
    Derived,
}

fn address(miniport: &Miniport, adapter: Mac, mode: Mode) -> Address {
    let configured = miniport.properties.get(NETWORK_ADDRESS);
    if let Some(mac) = configured.and_then(network_address) {
        return Address::Is(mac);
    }
    match number(miniport, MAC_MODE) {
        1 => Address::Is(adapter),
        2 => Address::Derived,
        _ if miniport.vlan() != 0 || mode == Mode::Passthru => Address::Is(adapter),
        _ => Address::Derived,
    }
}

/// Holds the addresses that the ports show against their values.
pub fn check_addresses(host: &Host, stage: &Stage, net: &Net, summary: &mut Summary) {
    let mut wrong = Vec::new();
    let mut taken = Vec::new();
    let adapter = stage.topology.adapters.first().map(|adapter| adapter.mac);
    for port in &net.ports {
        let miniport = stage
            .topology
            .miniports
            .iter()
            .find(|m| m.name == port.name);
        let (Some(miniport), Some(adapter)) = (miniport, adapter) else {
            continue;
        };
        let right = match address(miniport, adapter, net.mode) {
            Address::Is(mac) => port.mac == mac,
            // Locally administered, and not the adapter's.
            Address::Derived => {
                port.mac.is_unicast() && port.mac.0[0] & 2 != 0 && port.mac != adapter
            }
        };
        if !right {
            wrong.push(format!("{} has {}", port.name, port.mac));
        }
        if taken.contains(&(port.vlan, port.mac)) {
            wrong.push(format!("{} twice in VLAN {}", port.mac, port.vlan));
        }
        taken.push((port.vlan, port.mac));
        let handle = host.miniport(&device(&port.name));
        let facts = handle.and_then(|handle| host.miniport_facts(handle));
        let mtu = stage.topology.mtu_above(&port.name);
        if facts.as_ref().is_none_or(|facts| facts.mtu != mtu) {
            let shown = facts.map(|facts| facts.mtu);
            wrong.push(format!("{} has MTU {shown:?} instead of {mtu}", port.name));
        }
        let state = handle.and_then(|handle| host.miniport_state(handle));
        if state != Some(EdgeState::Running) {
            wrong.push(format!("{} is {state:?}", port.name));
        }
    }
    let shown: Vec<String> = net
        .ports
        .iter()
        .map(|port| format!("{} {}", port.name, port.mac))
        .collect();
    step(
        summary,
        "addresses of the ports",
        wrong.is_empty() && !net.ports.is_empty(),
        if wrong.is_empty() { shown } else { wrong }.join(", "),
    );
}

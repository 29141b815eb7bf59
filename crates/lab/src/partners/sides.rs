//! Who stands where: the hosts of a topology as Linux namespaces, and who may hear whom.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lab_net::{Mac, netns::Namespace};

use super::trunk::Known;
use crate::topology::{ConfigValue, Host, Place, Topology, ports::VLAN_ID};

/// One end: a host of the topology in a namespace of its own.
pub struct Side {
    /// Its name.
    pub name: String,
    /// Its TAP device.
    pub interface: String,
    /// Where it lives.
    pub namespace: Namespace,
    /// Its IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// Its MAC address.
    pub mac: Mac,
    /// Its VLAN; 0: none.
    pub vlan: u16,
    /// The miniport that it stands on, or it is at the far end.
    pub port: Option<String>,
}

impl Side {
    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.map(IpAddr::V4);
        v4.into_iter().chain(self.v6.map(IpAddr::V6))
    }
}

/// What the hosts at both ends of a wire are on its trunk.
pub fn known(topology: &Topology, wire: &str) -> Vec<Known> {
    let hosts = topology.hosts.iter().enumerate();
    hosts
        .filter(|(_, host)| wire_below(topology, host) == Some(wire))
        .map(|(index, host)| Known {
            name: host.name.clone(),
            mac: topology.host_station(index).mac,
            vlan: vlan(topology, host),
            priority: priority(topology, host),
            addresses: {
                let v4 = host.ipv4.map(|(address, _)| IpAddr::V4(address));
                let v6 = host.ipv6.map(|(address, _)| IpAddr::V6(address));
                v4.into_iter().chain(v6).collect()
            },
        })
        .collect()
}

fn property<'a>(topology: &'a Topology, port: &str, name: &str) -> Option<&'a ConfigValue> {
    let miniport = topology.miniports.iter().find(|m| m.name == port)?;
    miniport.properties.get(name)
}

fn number(value: Option<&ConfigValue>) -> u16 {
    match value {
        Some(ConfigValue::Number(number)) => u16::try_from(*number).unwrap_or(0),
        Some(ConfigValue::Text(text)) => text.trim().parse().unwrap_or(0),
        _ => 0,
    }
}

/// The VLAN of a host: that of its port, or of its tag on the wire.
pub fn vlan(topology: &Topology, host: &Host) -> u16 {
    match &host.on {
        Place::Miniport(port) => number(property(topology, port, VLAN_ID)),
        Place::Wire(_) | Place::Adapter(_) | Place::Switch(_) => host.tag.map_or(0, |tag| tag.vlan),
    }
}

/// The priority that a host's frames have on the trunk: what the port gives to frames
/// without one, or what the switch does.
fn priority(topology: &Topology, host: &Host) -> u8 {
    let Place::Miniport(port) = &host.on else {
        return host.tag.map_or(0, |tag| tag.priority);
    };
    let given = number(property(topology, port, "DefaultPriority"));
    let Some(ConfigValue::Text(map)) = property(topology, port, "PriorityOut") else {
        return given.try_into().unwrap_or(0);
    };
    let digit = map.as_bytes().get(usize::from(given)).copied();
    digit.map_or(0, |digit| digit.wrapping_sub(b'0') & 7)
}

/// The wire below a miniport.
fn wire_below<'a>(topology: &'a Topology, host: &'a Host) -> Option<&'a str> {
    match &host.on {
        Place::Wire(wire) => Some(wire),
        Place::Miniport(_) => topology.bottom(&host.on)?.wire.as_deref(),
        Place::Adapter(_) | Place::Switch(_) => None,
    }
}

/// Wires that need a switch: there is a VLAN on them, or there are several hosts.
pub fn switched(topology: &Topology) -> Vec<String> {
    let names = topology.wires.iter().map(|wire| &wire.name);
    names
        .filter(|name| {
            let place = Place::Wire((*name).clone());
            let hosts = || topology.hosts.iter().filter(|host| host.on == place);
            hosts().count() > 1 || hosts().any(|host| host.tag.is_some())
        })
        .cloned()
        .collect()
}

/// Whether the driver's ports on the adapter of a wire are switched among each other.
fn is_bridge(topology: &Topology, wire: &str) -> bool {
    let adapter = topology.adapter_on_wire(wire).map(|adapter| &adapter.name);
    let mut bindings = topology.bindings.iter();
    let binding = bindings.find(|binding| Some(&binding.adapter) == adapter);
    binding.is_some_and(|binding| number(binding.values.get("Mode")) == 2)
}

/// Pairs of hosts that have to hear each other, and pairs of which the first must not reach
/// the second. All are indices; a pair of the first kind has the one above the driver first.
pub struct Relations {
    /// Same wire, VLAN and subnet, one above and one below.
    pub pairs: Vec<(usize, usize)>,
    /// Everybody else on the same wire, one of them above at least, each way.
    pub strangers: Vec<(usize, usize)>,
    /// How many of these are in different VLANs.
    pub across: u64,
}

/// Who stands how to whom.
pub fn relations(topology: &Topology) -> Relations {
    let mut relations = Relations {
        pairs: Vec::new(),
        strangers: Vec::new(),
        across: 0,
    };
    let above = |host: &Host| matches!(host.on, Place::Miniport(_));
    for (a, from) in topology.hosts.iter().enumerate() {
        for (b, to) in topology.hosts.iter().enumerate() {
            let (Some(wire), Some((address, _)), Some((other, prefix))) =
                (wire_below(topology, from), from.ipv4, to.ipv4)
            else {
                continue;
            };
            if a == b || Some(wire) != wire_below(topology, to) || !(above(from) || above(to)) {
                continue;
            }
            if vlan(topology, from) != vlan(topology, to) {
                relations.across += 1;
                relations.strangers.push((a, b));
            } else if above(from) && above(to) {
                // Two ports of a VLAN: by the driver's mode.
                if !is_bridge(topology, wire) {
                    relations.strangers.push((a, b));
                }
            } else if above(from) && same_subnet(address, other, prefix) {
                relations.pairs.push((a, b));
            }
        }
    }
    relations
}

fn same_subnet(a: Ipv4Addr, b: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX
        .checked_shl(32 - u32::from(prefix.min(32)))
        .unwrap_or(0);
    (u32::from(a) ^ u32::from(b)) & mask == 0
}

/// Who has to answer an echo request of `from` to all nodes of its link (RFC 4291, ff02::1),
/// by index: everybody in its VLAN, but for those that the driver keeps apart.
pub fn listeners(topology: &Topology, from: usize) -> Vec<usize> {
    let sender = &topology.hosts[from];
    let above = |host: &Host| matches!(host.on, Place::Miniport(_));
    let Some(wire) = wire_below(topology, sender) else {
        return Vec::new();
    };
    let bridge = is_bridge(topology, wire);
    let hosts = topology.hosts.iter().enumerate();
    hosts
        .filter(|(index, host)| {
            *index != from
                && host.ipv6.is_some()
                && wire_below(topology, host) == Some(wire)
                && vlan(topology, host) == vlan(topology, sender)
                && !(above(host) && above(sender) && !bridge)
        })
        .map(|(index, _)| index)
        .collect()
}

/// The link-local address that Linux derives from an interface's (RFC 4291, appendix A).
pub fn link_local(mac: Mac) -> Ipv6Addr {
    let (maker, device) = mac.0.split_at(3);
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&[0xfe, 0x80]);
    octets[8..11].copy_from_slice(maker);
    octets[8] ^= 2;
    octets[11..13].copy_from_slice(&[0xff, 0xfe]);
    octets[13..].copy_from_slice(device);
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(mode: u32) -> Topology {
        let text = format!(
            r#"
            [[adapter]]
            name = "n"
            wire = "w"
            [[wire]]
            name = "w"
            [[miniport]]
            name = "p10"
            properties = {{ VlanID = 10 }}
            [[miniport]]
            name = "p20"
            properties = {{ VlanID = 20, DefaultPriority = 3, PriorityOut = "01267345" }}
            [[miniport]]
            name = "q20"
            properties = {{ VlanID = 20, NetworkAddress = "02-00-00-00-00-20" }}
            [[binding]]
            adapter = "n"
            upper = ["p10", "p20", "q20"]
            values = {{ Mode = {mode} }}
            [[host]]
            name = "a10"
            on = "miniport:p10"
            ipv4 = "10.1.0.1/24"
            [[host]]
            name = "w10"
            on = "wire:w"
            vlan = 10
            ipv4 = "10.1.0.2/24"
            [[host]]
            name = "a20"
            on = "miniport:p20"
            ipv4 = "10.2.0.1/24"
            ipv6 = "fd00::1/64"
            [[host]]
            name = "b20"
            on = "miniport:q20"
            ipv4 = "10.2.0.3/24"
            ipv6 = "fd00::3/64"
            [[host]]
            name = "w20"
            on = "wire:w"
            vlan = 20
            priority = 5
            ipv4 = "10.2.0.2/24"
            ipv6 = "fd00::2/64"
            "#
        );
        Topology::parse("t.toml".as_ref(), &text).expect("sound")
    }

    #[test]
    fn vlans_and_priorities_come_from_both_ends() {
        let known = known(&topology(0), "w");
        let vlans: Vec<_> = known
            .iter()
            .map(|host| (host.vlan, host.priority))
            .collect();
        assert_eq!(vlans, [(10, 0), (10, 0), (20, 6), (20, 0), (20, 5)]);
        assert_eq!(known[3].mac, Mac([2, 0, 0, 0, 0, 0x20]));
        assert_eq!(known[4].addresses.len(), 2);
    }

    #[test]
    fn only_a_wire_with_vlans_or_several_hosts_needs_a_switch() {
        assert_eq!(switched(&topology(0)), ["w"]);
        let shipped = include_str!("../../../../drivers/passthrough/lab.toml");
        let shipped = Topology::parse("lab.toml".as_ref(), shipped).expect("sound");
        assert!(switched(&shipped).is_empty());
        assert_eq!(relations(&shipped).pairs, [(0, 1)]);
        assert!(relations(&shipped).strangers.is_empty());
    }

    #[test]
    fn the_driver_keeps_ports_apart_but_in_bridge_mode() {
        let private = relations(&topology(0));
        assert_eq!(private.pairs, [(0, 1), (2, 4), (3, 4)]);
        assert!(private.strangers.contains(&(2, 3)) && private.strangers.contains(&(3, 2)));
        let bridge = relations(&topology(2));
        assert_eq!(bridge.pairs, private.pairs);
        assert_eq!(bridge.strangers.len(), private.strangers.len() - 2);
        // Across VLANs: a10 and w20, a20 and w10, b20 and w10, a10 with both above, each way.
        assert_eq!((bridge.strangers.len(), bridge.across), (10, 10));
    }

    #[test]
    fn listeners_are_those_of_the_vlan() {
        assert_eq!(listeners(&topology(0), 2), [4]);
        assert_eq!(listeners(&topology(0), 4), [2, 3]);
        assert_eq!(listeners(&topology(2), 2), [3, 4]);
        assert!(listeners(&topology(0), 0).is_empty());
    }

    #[test]
    fn link_local_addresses_are_linuxs() {
        let mac = Mac([0x02, 0x4c, 0x41, 0x42, 0x00, 0x01]);
        assert_eq!(link_local(mac).to_string(), "fe80::4c:41ff:fe42:1");
    }
}

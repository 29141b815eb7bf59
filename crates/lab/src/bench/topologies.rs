//! Topologies of the benchmark: an adapter that takes and gives tags beside the frames, as
//! server adapters do, and so many ports above it, each with a VLAN of its own.

use std::fmt::Write as _;
use std::path::Path;

use crate::topology::Topology;

/// A driver with one miniport and no VLAN, or one with so many ports.
pub fn topology(ports: Option<usize>, seed: u64) -> Topology {
    let above = match ports {
        None => "[[miniport]]\nname = \"p1\"\n".to_owned(),
        Some(count) => format!(
            "[[ports]]\nname = \"p{{n}}\"\nadapter = \"nic0\"\ncount = {count}\nvlan_from = 1\n"
        ),
    };
    let upper = if ports.is_none() { "\"p1\"" } else { "" };
    let text = format!(
        r#"
        [lab]
        processors = 1
        ndis_version = "6.87"
        engine = "deterministic"
        [[adapter]]
        name = "nic0"
        mac = "02:4c:41:42:00:01"
        queue_depth = 4096
        capabilities = ["offload", "rss", "pm"]
        vlan_offload = true
        wire = "w0"
        [[wire]]
        name = "w0"
        [[binding]]
        adapter = "nic0"
        upper = [{upper}]
        {above}"#
    );
    let path = Path::new("bench.toml");
    let mut topology = Topology::parse(path, &text).expect("the benchmark's own topology is sound");
    topology.lab.seed = Some(seed);
    topology
}

/// A team of so many adapters in a mode, by the number of its setting.
pub fn team(members: usize, mode: u32, seed: u64) -> Topology {
    let mut text = "[lab]\nprocessors = 1\nndis_version = \"6.87\"\n".to_owned();
    let mut list = Vec::new();
    for n in 0..members {
        let _infallible = write!(
            text,
            "[[adapter]]\nname = \"nic{n}\"\nmac = \"02:4c:41:42:10:{n:02x}\"\n\
             capabilities = [\"offload\", \"rss\", \"pm\"]\nwire = \"w{n}\"\n\
             [[wire]]\nname = \"w{n}\"\n"
        );
        list.push(format!("{{ adapter = \"nic{n}\" }}"));
    }
    let _infallible = write!(
        text,
        "[[team]]\nname = \"team0\"\nmember = [{}]\n\
         properties = {{ Mode = {mode}, NetworkAddress = \"024C41421100\" }}\n",
        list.join(", ")
    );
    let path = Path::new("bench.toml");
    let mut topology = Topology::parse(path, &text).expect("the benchmark's own topology is sound");
    topology.lab.seed = Some(seed);
    topology
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_of_team_makes_a_topology() {
        for members in [1, 32] {
            let topology = team(members, 5, 7);
            assert_eq!(topology.teams[0].members.len(), members);
            assert_eq!(topology.bindings.len(), members);
        }
    }

    #[test]
    fn every_number_of_ports_makes_a_topology() {
        let one = topology(None, 1);
        assert_eq!((one.miniports.len(), one.miniports[0].vlan()), (1, 0));
        for count in [1, 16, 256, 4094] {
            let many = topology(Some(count), 1);
            assert_eq!(many.miniports.len(), count);
            assert_eq!(many.bindings[0].upper.len(), count);
            let last = many.miniports.last().expect("one at least");
            assert_eq!(usize::from(last.vlan()), count);
            assert!(many.adapters[0].vlan_offload);
        }
    }
}

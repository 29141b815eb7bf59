//! Topologies of the benchmark: an adapter that takes and gives tags beside the frames, as
//! server adapters do, and so many ports above it, each with a VLAN of its own.

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

#[cfg(test)]
mod tests {
    use super::*;

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

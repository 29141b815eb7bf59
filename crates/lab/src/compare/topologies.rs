//! The machine of a comparison: two adapters, each plugged into a port of one switch, and
//! above them what each topology makes of two adapters.

use std::path::Path;

use crate::topology::{ConfigValue, Topology};

/// Both adapters, alike for everybody.
const MACHINE: &str = r#"
[lab]
processors = 4
ndis_version = "6.87"
engine = "deterministic"

[[adapter]]
name = "nic0"
mac = "02:4c:41:42:00:01"
mtu = 1504
queue_depth = 4096
capabilities = ["offload", "rss", "pm"]
wire = "w0"

[[adapter]]
name = "nic1"
mac = "02:4c:41:42:00:02"
mtu = 1504
queue_depth = 4096
capabilities = ["offload", "rss", "pm"]
wire = "w1"

[[wire]]
name = "w0"

[[wire]]
name = "w1"
"#;

/// 1:1.
const STRAIGHT: &str = r#"
[[miniport]]
name = "vm0"

[[miniport]]
name = "vm1"

[[binding]]
adapter = "nic0"
upper = ["vm0"]

[[binding]]
adapter = "nic1"
upper = ["vm1"]
"#;

/// 1:N: on each adapter a port without a VLAN, and two on VLAN 10 of which one has an
/// address of its own.
const FANOUT: &str = r#"
[[miniport]]
name = "p0"

[[miniport]]
name = "p0v10"
properties = { VlanID = 10 }

[[miniport]]
name = "p0own"
properties = { VlanID = 10, NetworkAddress = "024C41420010" }

[[miniport]]
name = "p1"

[[miniport]]
name = "p1v10"
properties = { VlanID = 10 }

[[miniport]]
name = "p1own"
properties = { VlanID = 10, NetworkAddress = "024C41420011" }

[[binding]]
adapter = "nic0"
upper = ["p0", "p0v10", "p0own"]

[[binding]]
adapter = "nic1"
upper = ["p1", "p1v10", "p1own"]
"#;

/// N:1.
const TEAM: &str = r#"
[[miniport]]
name = "team0"
properties = { Mode = MODE, NetworkAddress = "024C41420020" }

[[binding]]
adapter = "nic0"
upper = ["team0"]

[[binding]]
adapter = "nic1"
upper = ["team0"]
"#;

/// What stands above the adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A miniport on each adapter.
    Straight,
    /// Three ports on each adapter.
    Fanout,
    /// One team of both, one member active.
    Backup,
    /// One team of both, flows spread by their hash.
    Spread,
}

/// `Mode` of a team that has one member active, and of one that spreads flows by a hash.
const BACKUP: u32 = 0;
const SPREAD: u32 = 1;

impl Kind {
    /// The machine with this above it.
    pub fn topology(self) -> Topology {
        let above = match self {
            Self::Straight => STRAIGHT.to_owned(),
            Self::Fanout => FANOUT.to_owned(),
            Self::Backup => TEAM.replace("MODE", &BACKUP.to_string()),
            Self::Spread => TEAM.replace("MODE", &SPREAD.to_string()),
        };
        let text = format!("{MACHINE}{above}");
        Topology::parse(Path::new("compare.toml"), &text)
            .expect("the comparison's own topologies are sound")
    }

    /// What the heading says beside the driver's name.
    pub const fn heading(self) -> Option<&'static str> {
        match self {
            Self::Straight | Self::Fanout => None,
            Self::Backup => Some("active-backup"),
            Self::Spread => Some("hash"),
        }
    }
}

/// Whether the switch has to treat its ports as one: a team sends from several members at
/// once in every mode but active-backup.
pub fn aggregates(topology: &Topology) -> bool {
    topology.miniports.iter().any(|miniport| {
        let below = |b: &&crate::topology::Binding| b.upper.contains(&miniport.name);
        let mode = miniport
            .properties
            .get("Mode")
            .and_then(ConfigValue::number);
        topology.bindings.iter().filter(below).count() > 1 && mode.unwrap_or(BACKUP) != BACKUP
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_same_adapters() {
        let all = [Kind::Straight, Kind::Fanout, Kind::Backup, Kind::Spread].map(Kind::topology);
        for topology in &all {
            assert_eq!(topology.adapters, all[0].adapters);
        }
        assert_eq!(all.each_ref().map(|t| t.miniports.len()), [2, 6, 1, 1]);
        assert_eq!(all.each_ref().map(aggregates), [false, false, false, true]);
    }
}

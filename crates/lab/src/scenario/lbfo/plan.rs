//! What is run: modes, members and their speeds, as topologies made from the job's.

use std::collections::BTreeMap;

use crate::topology::{Binding, Bond, ConfigValue, Topology};
use crate::trouble::Trouble;

/// How the driver spreads frames, by the number of its setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// All on one.
    ActiveBackup,
    /// By the hash of their flow, on a static aggregation.
    Hash,
    /// The same with LACP.
    Lacp,
    /// In turn.
    RoundRobin,
    /// On all.
    Broadcast,
    /// By flowlets and load.
    Dynamic,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ActiveBackup,
        Self::Hash,
        Self::Lacp,
        Self::RoundRobin,
        Self::Broadcast,
        Self::Dynamic,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActiveBackup => "active-backup",
            Self::Hash => "hash",
            Self::Lacp => "lacp",
            Self::RoundRobin => "round-robin",
            Self::Broadcast => "broadcast",
            Self::Dynamic => "dynamic",
        }
    }

    /// The number of the driver's setting.
    pub const fn number(self) -> u32 {
        match self {
            Self::ActiveBackup => 0,
            Self::Hash => 1,
            Self::Lacp => 2,
            Self::RoundRobin => 3,
            Self::Broadcast => 4,
            Self::Dynamic => 5,
        }
    }

    /// Whether the frames of a flow arrive in the order in which they were sent, and once.
    pub const fn keeps_order(self) -> bool {
        !matches!(self, Self::RoundRobin | Self::Broadcast)
    }

    /// What an administrator tells the switch at the other end.
    pub const fn bond(self) -> Bond {
        match self {
            Self::ActiveBackup | Self::Broadcast => Bond::Bridge,
            Self::Lacp => Bond::Lacp,
            Self::Hash | Self::RoundRobin | Self::Dynamic => Bond::Static,
        }
    }

    /// Whether a flow's member follows from its hash.
    pub const fn is_hashed(self) -> bool {
        matches!(self, Self::Hash | Self::Lacp)
    }
}

/// The seed of the driver's hash, so that it is known on paper.
pub const HASH_SEED: u32 = 0x1234_5678;
/// Lists that the protocol above the team may have under way: enough for no member to
/// wait for another.
pub const WINDOW: u64 = 1_024;

/// A team to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How it spreads frames.
    pub mode: Mode,
    /// Link speed of each member in Mbit/s.
    pub speeds: Vec<u64>,
    /// Lists that the protocol above may have under way.
    pub window: u64,
    /// Further settings of the team.
    pub settings: Vec<(&'static str, ConfigValue)>,
    /// Further settings of members, by place.
    pub member_settings: Vec<(usize, &'static str, ConfigValue)>,
}

impl Plan {
    /// Equal members.
    pub fn equal(mode: Mode, members: usize, mbps: u64) -> Self {
        Self::of(mode, vec![mbps; members])
    }

    /// Members of these speeds.
    pub fn of(mode: Mode, speeds: Vec<u64>) -> Self {
        // Where load decides, the sender has to feel it: as a stack does, it waits for
        // what is under way.
        let window = match mode {
            Mode::Dynamic => 32 * speeds.len() as u64,
            _ => WINDOW,
        };
        let plan = Self {
            mode,
            speeds,
            window,
            settings: Vec::new(),
            member_settings: Vec::new(),
        };
        match mode {
            Mode::Dynamic => plan.with("FlowletGap", 50),
            _ => plan,
        }
    }

    /// With a setting of the team.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: u32) -> Self {
        self.settings.push((name, ConfigValue::Number(value)));
        self
    }

    /// With a setting of a member.
    #[must_use]
    pub fn with_member(mut self, at: usize, name: &'static str, value: u32) -> Self {
        let value = ConfigValue::Number(value);
        self.member_settings.push((at, name, value));
        self
    }

    /// The job's topology with this team: its first two members are the pattern.
    pub fn topology(&self, pattern: &Topology) -> Result<Topology, Trouble> {
        let missing = |what: &str| {
            Trouble::input(format!("the topology has no {what}"))
                .at(pattern.file.display())
                .hint(
                    "drivers/lbfo/lab.toml has a [[team]] of two whose wires lead to a [[switch]]",
                )
        };
        let mut topology = pattern.clone();
        let team = topology
            .teams
            .first()
            .cloned()
            .ok_or_else(|| missing("[[team]]"))?;
        let last = team.members.last().ok_or_else(|| missing("member"))?;
        let last = topology
            .adapter(last)
            .cloned()
            .ok_or_else(|| missing("adapter"))?;
        let Some(switch) = topology.switches.first_mut() else {
            return Err(missing("[[switch]]"));
        };
        switch.bond = self.mode.bond();
        // The floods are the scenario's own.
        topology.generators.clear();
        topology.sinks.clear();
        topology.timeline.clear();
        let have = team.members.len();
        for at in have..self.speeds.len() {
            let mut adapter = last.clone();
            adapter.name = format!("{}x{at}", last.name);
            adapter.wire = Some(format!("{}x{at}", last.wire.as_deref().unwrap_or("w")));
            adapter.mac.0[4] = 3;
            adapter.mac.0[5] = at as u8;
            let mut values = BTreeMap::new();
            // The last number is 32; without one a member takes the next that is free.
            if at < 32 {
                let number = ConfigValue::Number(at as u32 + 1);
                values.insert("MemberIndex".to_owned(), number);
            }
            let binding = Binding {
                adapter: adapter.name.clone(),
                upper: vec![team.name.clone()],
                values,
            };
            topology.add_member(0, adapter, binding);
        }
        topology.drop_members(0, self.speeds.len());
        for (at, speed) in self.speeds.iter().enumerate() {
            let name = topology.teams[0].members[at].clone();
            let mut adapters = topology.adapters.iter_mut();
            if let Some(adapter) = adapters.find(|adapter| adapter.name == name) {
                adapter.link_speed_mbps = *speed;
            }
        }
        for (at, name, value) in &self.member_settings {
            let adapter = topology.teams[0].members[*at].clone();
            let mut bindings = topology.bindings.iter_mut();
            if let Some(binding) = bindings.find(|binding| binding.adapter == adapter) {
                binding.values.insert((*name).to_owned(), value.clone());
            }
        }
        if let Some(miniport) = topology.miniport_mut(&team.name) {
            miniport.window = Some(self.window);
            let mut set = |name: &str, value| {
                miniport.properties.insert(name.to_owned(), value);
            };
            set("Mode", ConfigValue::Number(self.mode.number()));
            set("HashSeed", ConfigValue::Number(HASH_SEED));
            for (name, value) in &self.settings {
                set(name, value.clone());
            }
        }
        Ok(topology)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_pattern_makes_teams_of_every_size() {
        let text = include_str!("../../../../../drivers/lbfo/lab.toml");
        let pattern = Topology::parse("lab.toml".as_ref(), text).expect("good");
        for (members, mode) in [1, 2, 4, 8, 32].into_iter().zip(Mode::ALL) {
            let plan = Plan::equal(mode, members, 1_000).with("MinLinks", 1);
            let topology = plan.topology(&pattern).expect("a team");
            assert_eq!(topology.teams[0].members.len(), members);
            assert_eq!(topology.adapters.len(), members);
            assert_eq!(topology.bindings.len(), members);
            assert_eq!(topology.switches[0].wires.len(), members);
            assert_eq!(topology.switches[0].bond, mode.bond());
            let mut macs: Vec<_> = topology.adapters.iter().map(|a| a.mac).collect();
            macs.sort_unstable();
            macs.dedup();
            assert_eq!(macs.len(), members, "addresses differ");
            let team = &topology.miniports[0];
            assert_eq!(team.properties["Mode"], ConfigValue::Number(mode.number()));
        }
        let mixed = Plan::of(Mode::Hash, vec![1_000, 10_000])
            .with_member(1, "MemberWeight", 3)
            .topology(&pattern)
            .expect("a team");
        assert_eq!(mixed.adapters[1].link_speed_mbps, 10_000);
        assert_eq!(
            mixed.bindings[1].values["MemberWeight"],
            ConfigValue::Number(3)
        );
    }
}

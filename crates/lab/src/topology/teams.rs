//! `[[team]]`: several adapters under one miniport; `[[switch]]`: what their wires lead to.
//!
//! ```
//! # let topology = lab::topology::Topology::parse("lab.toml".as_ref(), r#"
//! # [[adapter]]
//! # name = "nic0"
//! # wire = "w0"
//! # [[wire]]
//! # name = "w0"
//! # [[adapter]]
//! # name = "nic1"
//! # wire = "w1"
//! # [[wire]]
//! # name = "w1"
//! [[team]]
//! name = "team0"
//! member = [
//!     { adapter = "nic0", values = { Primary = 1 } },
//!     { adapter = "nic1" },
//! ]
//! properties = { Mode = 2 }
//!
//! [[switch]]
//! name = "sw0"
//! wires = ["w0", "w1"]
//! bond = "lacp"
//!
//! [[host]]
//! name = "far"
//! on = "switch:sw0"
//! ipv4 = "10.0.0.2/24"
//! # "#).unwrap();
//! # assert_eq!(topology.bindings.len(), 2);
//! # assert_eq!(topology.bindings[1].upper, ["team0"]);
//! # assert_eq!(topology.switch_of("w1").unwrap().name, "sw0");
//! ```
//!
//! A team is short for its miniport and a binding for each member: a topology has these
//! in its lists too.

use lab_net::Mac;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::check::{Field, Kind, Names, Once};
use super::problem::Report;
use super::raw::{self, File};
use super::{Adapter, Binding, Miniport, Topology};

const SWITCH: &str = "[[switch]]";
/// Members of a team.
pub const MOST_MEMBERS: usize = 32;

/// What the ports of a switch are to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bond {
    /// Ports like any other: it learns and floods.
    Bridge,
    /// One link aggregation without a protocol.
    Static,
    /// LACP decides.
    Lacp,
}

const BONDS: [(&str, Bond); 3] = [
    ("bridge", Bond::Bridge),
    ("static", Bond::Static),
    ("lacp", Bond::Lacp),
];

/// How Open vSwitch spreads what it sends to the team, with `--tap`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Spread {
    /// By the hash of each flow; with LACP.
    BalanceTcp,
    /// By source address and VLAN.
    BalanceSlb,
    /// All on one member.
    ActiveBackup,
}

const SPREADS: [(&str, Spread); 3] = [
    ("balance-tcp", Spread::BalanceTcp),
    ("balance-slb", Spread::BalanceSlb),
    ("active-backup", Spread::ActiveBackup),
];

impl Spread {
    /// Its name.
    pub fn name(self) -> &'static str {
        let known = SPREADS.iter().find(|(_, spread)| *spread == self);
        known.map_or("active-backup", |(name, _)| name)
    }
}

/// How the partner speaks LACP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Partner {
    /// System priority.
    pub priority: u16,
    /// System address.
    pub system: Mac,
    /// Key of all ports.
    pub key: u16,
    /// Speaks first.
    pub active: bool,
    /// Wants to be spoken to every second.
    pub fast: bool,
}

impl Default for Partner {
    fn default() -> Self {
        let default = lab_net::team::Lacp::default();
        Self {
            priority: default.priority,
            system: default.system,
            key: default.key,
            active: default.active,
            fast: default.fast,
        }
    }
}

/// `[[switch]]`: what the wires of several adapters lead to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Switch {
    /// Its name.
    pub name: String,
    /// Its ports.
    pub wires: Vec<String>,
    /// What they are to it.
    pub bond: Bond,
    /// For LACP.
    pub partner: Partner,
    /// For Open vSwitch.
    pub spread: Spread,
}

/// `[[team]]`: which of the miniports is a team, and of whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Team {
    /// Its miniport.
    pub name: String,
    /// The adapters or miniports below.
    pub members: Vec<String>,
}

/// Writes the teams out: miniports and bindings.
pub(super) fn expand(file: &mut File, report: &mut Report) -> Vec<Team> {
    let mut teams = Vec::new();
    for team in std::mem::take(&mut file.teams) {
        let count = team.member.len();
        if count == 0 {
            let what = format!("the team `{}` has no member", team.name.get_ref());
            report.add(&team.name.span(), what);
        } else if count > MOST_MEMBERS {
            let what = format!(
                "the team `{}` has {count} members; {MOST_MEMBERS} is the most",
                team.name.get_ref()
            );
            report.add(&team.name.span(), what);
        }
        teams.push(Team {
            name: team.name.get_ref().clone(),
            members: team
                .member
                .iter()
                .map(|member| member.adapter.get_ref().clone())
                .collect(),
        });
        for member in team.member {
            let span = member.adapter.span();
            // A name that is bound twice is reported where all bindings are checked.
            file.bindings.push(raw::Binding {
                adapter: member.adapter,
                upper: Spanned::new(
                    span.clone(),
                    vec![Spanned::new(span, team.name.get_ref().clone())],
                ),
                values: member.values,
            });
        }
        if count == 0 {
            // What is missing is nobody else's fault.
            file.incomplete = true;
        }
        file.miniports.push(raw::Miniport {
            name: team.name,
            fold_tags: team.fold_tags,
            window: team.window,
            properties: team.properties,
            protocol: None,
        });
    }
    teams
}

/// From tables to switches. A wire leads to one of them at most.
pub(super) fn switches(raw: &[raw::Switch], names: &Names, report: &mut Report) -> Vec<Switch> {
    let mut taken = Once::new();
    let mut switches = Vec::new();
    for raw in raw {
        let wires = raw.wires.get_ref();
        if wires.is_empty() || wires.len() > MOST_MEMBERS {
            let what = format!(
                "`wires` of the switch `{}` has {} names (1 to {MOST_MEMBERS})",
                raw.name.get_ref(),
                wires.len()
            );
            report.add(&raw.wires.span(), what);
        }
        for wire in wires {
            let name = wire.get_ref();
            if names.refer(&[Kind::Wire], name, &wire.span(), report) {
                taken.claim(name.clone(), wire.span(), report, |line| {
                    format!("wire `{name}` already leads to the switch in line {line}")
                });
            }
        }
        let mut field = Field(report, SWITCH);
        let bond = match &raw.bond {
            None => Bond::Bridge,
            Some(bond) => field.choice("bond", bond, &BONDS).unwrap_or(Bond::Bridge),
        };
        let default = Partner::default();
        let partner = Partner {
            priority: field.number(
                "priority",
                raw.priority.as_ref(),
                0..=65_535,
                default.priority.into(),
            ) as u16,
            system: field.mac(raw.system.as_ref()).unwrap_or(default.system),
            key: field.number("key", raw.key.as_ref(), 1..=65_535, default.key.into()) as u16,
            active: raw.active.unwrap_or(default.active),
            fast: raw.fast.unwrap_or(default.fast),
        };
        let tells = raw.priority.is_some()
            || raw.system.is_some()
            || raw.key.is_some()
            || raw.active.is_some()
            || raw.fast.is_some();
        if tells && bond != Bond::Lacp {
            let what = format!(
                "the switch `{}` speaks no LACP: `priority`, `system`, `key`, `active` and \
                 `fast` are for `bond` = \"lacp\"",
                raw.name.get_ref()
            );
            report.add(&raw.name.span(), what);
        }
        let spread = match &raw.spread {
            Some(spread) => Field(report, SWITCH).choice("spread", spread, &SPREADS),
            None if bond == Bond::Lacp => Some(Spread::BalanceTcp),
            None => Some(Spread::ActiveBackup),
        };
        switches.push(Switch {
            spread: spread.unwrap_or(Spread::ActiveBackup),
            name: raw.name.get_ref().clone(),
            wires: wires.iter().map(|wire| wire.get_ref().clone()).collect(),
            bond,
            partner,
        });
    }
    switches
}

/// Nobody may stand on a wire that leads to a switch.
pub(super) fn check_places<'a>(
    switches: &[Switch],
    places: impl Iterator<Item = &'a Spanned<String>>,
    report: &mut Report,
) {
    for on in places {
        let Some(wire) = on.get_ref().strip_prefix("wire:") else {
            continue;
        };
        let mut all = switches.iter();
        if let Some(switch) = all.find(|switch| switch.wires.iter().any(|known| known == wire)) {
            let what = format!(
                "wire `{wire}` leads to a switch: who is behind that stands on \"switch:{}\"",
                switch.name
            );
            report.add(&on.span(), what);
        }
    }
}

impl Topology {
    /// The switch that a wire leads to.
    pub fn switch_of(&self, wire: &str) -> Option<&Switch> {
        self.switches
            .iter()
            .find(|switch| switch.wires.iter().any(|known| known == wire))
    }

    /// The team whose miniport has this name.
    pub fn team(&self, miniport: &str) -> Option<&Team> {
        self.teams.iter().find(|team| team.name == miniport)
    }

    /// Adds a member to a team: an adapter on a wire of its own that leads to the same
    /// switch as those of the others.
    pub fn add_member(&mut self, team: usize, adapter: Adapter, values: Binding) {
        let name = adapter.name.clone();
        if let Some(wire) = &adapter.wire {
            let first = self.teams[team].members.first().cloned();
            let beside = first.and_then(|first| self.adapter(&first)?.wire.clone());
            let mut switches = self.switches.iter_mut();
            if let Some(beside) = beside
                && let Some(switch) = switches.find(|switch| switch.wires.contains(&beside))
            {
                switch.wires.push(wire.clone());
            }
            self.wires.push(super::Wire {
                name: wire.clone(),
                record: None,
            });
        }
        self.adapters.push(adapter);
        self.teams[team].members.push(name);
        self.bindings.push(values);
    }

    /// Leaves a team its first `count` members; the adapters and wires of the others go.
    pub fn drop_members(&mut self, team: usize, count: usize) {
        let members = &mut self.teams[team].members;
        let gone = members.split_off(count.min(members.len()));
        let mut wires = Vec::new();
        self.adapters.retain(|adapter| {
            let stays = !gone.contains(&adapter.name);
            if !stays {
                wires.extend(adapter.wire.clone());
            }
            stays
        });
        self.bindings
            .retain(|binding| !gone.contains(&binding.adapter));
        self.wires.retain(|wire| !wires.contains(&wire.name));
        for switch in &mut self.switches {
            switch.wires.retain(|wire| !wires.contains(wire));
        }
    }

    /// The miniport of this name, to be changed.
    pub fn miniport_mut(&mut self, name: &str) -> Option<&mut Miniport> {
        self.miniports.iter_mut().find(|known| known.name == name)
    }
}

//! What several adapters below a virtual miniport have to do with it, and the interface stack.

use ndis_sys::{
    NDIS_STATUS, NDIS_STATUS_PM_HARDWARE_CAPABILITIES,
    NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES,
};

use super::SOON;
use super::assist::{self, Numbers};
use crate::engine::Job;
use crate::host::Host;
use crate::ndis::EdgeState;
use crate::ndis::Ndis;

/// What the adapters below a virtual miniport have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Common {
    /// They can wake.
    wakes: bool,
    /// They offload.
    offload: bool,
    /// They have receive filters and NIC switches.
    pub(super) assist: Numbers,
}

impl Ndis {
    /// Whether a member can carry traffic.
    fn is_good(&self, binding: u64) -> bool {
        let b = &self.bindings[&binding];
        let x = &self.nics[b.nic];
        b.state == EdgeState::Running
            && !b.asleep
            && !b.unbinding
            && x.config.connected
            && !x.in_reset
            && !x.gone
    }

    /// What the adapters below have in common.
    fn common(&self, miniport: u64) -> Common {
        let below = self.below_of(miniport);
        let config = |b: &u64| &self.nics[self.bindings[b].nic].config;
        Common {
            wakes: !below.is_empty() && below.iter().all(|b| config(b).pm),
            offload: !below.is_empty() && below.iter().all(|b| config(b).offload),
            assist: self.common_assist(miniport),
        }
    }
}

/// What a team does not tell, by the status that would.
fn not_told(code: NDIS_STATUS, now: bool) -> String {
    format!(
        "the members of the team {} have the capability in common, and {:#x} is not indicated",
        if now { "now" } else { "no longer" },
        code.0
    )
}

impl Host {
    /// A virtual miniport is initialised: what it shows fits what is below.
    pub(crate) fn judge_initialized(&self, miniport: u64) {
        let found = self.ndis(|n| {
            let below = n.below_of(miniport);
            let common = n.common(miniport);
            let (major, minor) = n.version_of(miniport);
            let m = n.miniports.get_mut(&miniport)?;
            m.shown = Common {
                wakes: m.facts.pm,
                offload: m.facts.offload,
                ..common
            };
            m.team |= below.len() > 1;
            let mut late = false;
            let f = m.facts.clone();
            let mut found: Vec<(&'static str, String)> = Vec::new();
            if common.wakes && !f.pm && (major, minor) >= (6, 20) {
                found.push(("BND-11", "the adapters below can wake, the virtual miniport shows no power management capabilities".into()));
            }
            for &b in &below {
                let b = &n.bindings[&b];
                let c = &n.nics[b.nic].config;
                if below.len() > 1 {
                    let lacks = f.packet_filters & !c.packet_filters();
                    if f.mtu > c.mtu || f.multicast > c.max_multicast || f.data_backfill < c.data_backfill || lacks != 0 {
                        found.push(("LBF-8", format!(
                            "MTU {}, multicast list {}, backfill {}, filters {:#x} of the virtual miniport are more than {} can serve: {}, {}, {}, {:#x}",
                            f.mtu, f.multicast, f.data_backfill, f.packet_filters, c.name, c.mtu, c.max_multicast, c.data_backfill, c.packet_filters()
                        )));
                    }
                } else {
                    if f.mtu > c.mtu && c.mtu != b.told.0 {
                        found.push(("PBS-4", format!("MTU {} is shown, the adapter's was {} and is {} since its binding was restarted", f.mtu, b.told.0, c.mtu)));
                    }
                    // Its status may still be on the way.
                    late |= f.connect_state != c.connect_state().0 && c.connected != b.told.2;
                }
            }
            if late {
                n.judge.stale_links.insert(miniport);
            }
            Some((found, late))
        });
        let Some((found, late)) = found else { return };
        for (rule, text) in found {
            self.violate(rule, text);
        }
        if late {
            self.link_owed_by(miniport);
        }
    }

    /// IFS-1, IFS-5: the interface stack is as the bindings are.
    pub(crate) fn stack_is_owed(&self) {
        self.owed(|host| {
            if host.injected() > 0 {
                return; // an adapter whose configuration cannot be read may stay outside
            }
            let wrong = host.ndis(|n| {
                for (&miniport, m) in &n.miniports {
                    let upper = n.instances.get(&m.name).map_or(0, |i| i.if_index);
                    if !m.initialized || upper == 0 || m.state == EdgeState::Closing {
                        continue;
                    }
                    for binding in n.below_of(miniport) {
                        let b = &n.bindings[&binding];
                        let lower = n.nics[b.nic].config.if_index;
                        let changed = lower != b.told.1;
                        if !n.stack_entries.contains(&(upper, lower))
                            || changed && n.stack_entries.contains(&(upper, b.told.1))
                        {
                            let rule = if changed { "IFS-5" } else { "IFS-1" };
                            return Some((rule, upper, lower));
                        }
                    }
                }
                None
            });
            if let Some((rule, upper, lower)) = wrong {
                host.violate(
                    rule,
                    format!("the interface stack does not say that {upper} lies on {lower}"),
                );
            }
        });
    }

    /// LBF-1, LBF-2, LBF-3: members came or went, or changed what they can do.
    pub(crate) fn members_changed(&self) {
        self.owed(|host| {
            let wrong = host.ndis(|n| {
                let all: Vec<u64> = n.miniports.keys().copied().collect();
                let mut wrong = Vec::new();
                for miniport in all {
                    let common = n.common(miniport);
                    let several = n.below_of(miniport).len() > 1;
                    let Some(m) = n.miniports.get_mut(&miniport) else {
                        continue;
                    };
                    if !m.initialized || m.asleep || m.state != EdgeState::Running {
                        continue;
                    }
                    m.team |= several;
                    if !m.team {
                        continue;
                    }
                    if m.facts.pm && m.shown.wakes != common.wakes {
                        let code = NDIS_STATUS_PM_HARDWARE_CAPABILITIES;
                        wrong.push(("LBF-1", not_told(code, common.wakes)));
                        m.shown.wakes = common.wakes;
                    }
                    if m.facts.offload && m.shown.offload != common.offload {
                        let code = NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES;
                        wrong.push(("LBF-2", not_told(code, common.offload)));
                        m.shown.offload = common.offload;
                    }
                    let untold = n.untold(miniport, &common);
                    wrong.extend(untold.into_iter().map(|text| ("LBF-3", text)));
                    let m = n.miniports.get_mut(&miniport).expect("found above");
                    m.shown.assist = common.assist;
                }
                wrong
            });
            for (rule, text) in wrong {
                host.violate(rule, text);
            }
        });
    }

    /// The driver has said what its virtual miniport can do (LBF-1, LBF-2, LBF-3).
    pub(crate) fn capabilities_told(&self, miniport: u64, code: i32, bytes: &[u8]) {
        self.ndis(|n| {
            let common = n.common(miniport);
            let Some(m) = n.miniports.get_mut(&miniport) else {
                return;
            };
            if code == NDIS_STATUS_PM_HARDWARE_CAPABILITIES.0 {
                m.shown.wakes = common.wakes;
            }
            if code == NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES.0 {
                m.shown.offload = common.offload;
            }
            assist::is_told(m, &common, code, bytes);
        });
    }

    /// LBF-7: a member goes down. Teams that were up and have another good member stay up.
    pub(crate) fn member_goes(&self, nic: usize) {
        let teams: Vec<(u64, u64)> = self.ndis(|n| {
            let up = n.miniports.iter().filter(|(_, m)| {
                m.initialized
                    && !m.asleep
                    && m.state == EdgeState::Running
                    && m.facts.connect_state == ndis_sys::MediaConnectStateConnected.0
            });
            let mut teams = Vec::new();
            for (&miniport, _) in up {
                let below = n.below_of(miniport);
                let goes = below.iter().any(|b| n.bindings[b].nic == nic);
                let mut others = below.iter().filter(|b| n.bindings[b].nic != nic);
                if let Some(&other) = others.find(|&&b| n.is_good(b))
                    && goes
                {
                    teams.push((miniport, other));
                }
            }
            teams
        });
        if teams.is_empty() {
            return;
        }
        let epoch = self.ndis(|n| n.judge.epoch);
        self.spawn_after(
            10 * SOON,
            Job::dpc("a team without a member", move |host| {
                for (miniport, other) in teams {
                    let down = host.ndis(|n| {
                        n.judge.epoch == epoch
                            && n.bindings.contains_key(&other)
                            && n.is_good(other)
                            && n.miniports.get(&miniport).is_some_and(|m| {
                                m.facts.connect_state
                                    == ndis_sys::MediaConnectStateDisconnected.0
                            })
                    });
                    if down {
                        host.violate(
                            "LBF-7",
                            "the team is down since one member went, another one could carry its traffic".into(),
                        );
                    }
                }
            }),
        );
    }
}

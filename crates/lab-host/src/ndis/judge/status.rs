//! Statuses that have to go up.

use ndis_sys::{
    NDIS_STATUS, NDIS_STATUS_LINK_STATE, NDIS_STATUS_MEDIA_SPECIFIC_INDICATION,
    NDIS_STATUS_NETWORK_CHANGE, NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG,
};

use crate::host::Host;
use crate::ndis::EdgeState;

/// What a driver has no reason to keep for itself.
const PASSED_ON: [NDIS_STATUS; 3] = [
    NDIS_STATUS_NETWORK_CHANGE,
    NDIS_STATUS_MEDIA_SPECIFIC_INDICATION,
    NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG,
];

impl Host {
    /// A virtual miniport owes a status, within a second.
    pub(crate) fn expect_status(
        &self,
        miniport: u64,
        code: NDIS_STATUS,
        rule: &'static str,
        why: &'static str,
    ) {
        let before = self.ndis(|n| {
            let m = n.miniports.get(&miniport)?;
            Some(m.told.get(&code.0).copied().unwrap_or(0))
        });
        let Some(before) = before else { return };
        self.owed(move |host| {
            let same = host.ndis(|n| {
                n.miniports.get(&miniport).is_some_and(|m| {
                    !m.asleep
                        && m.state == EdgeState::Running
                        && m.told.get(&code.0).copied().unwrap_or(0) == before
                })
            });
            if same {
                host.violate(
                    rule,
                    format!("{why}, and status {:#x} is not indicated", code.0),
                );
            }
        });
    }

    /// A NIC has indicated a status: what a 1:1 driver passes on (STS-7).
    pub(crate) fn status_came(&self, nic: usize, code: i32, before: &[(u64, u64)]) {
        if !PASSED_ON.iter().any(|c| c.0 == code) {
            return;
        }
        for &(miniport, count) in before {
            let one = self.ndis(|n| {
                let binding = n.one_to_one(miniport)?;
                let b = n.bindings.get(&binding)?;
                let m = n.miniports.get(&miniport)?;
                let runs = b.nic == nic && b.state == EdgeState::Running && !b.asleep;
                (runs && !m.asleep && m.state == EdgeState::Running).then_some(())
            });
            if one.is_none() {
                continue;
            }
            self.owed(move |host| {
                let same = host.ndis(|n| {
                    n.miniports
                        .get(&miniport)
                        .is_some_and(|m| m.told.get(&code).copied().unwrap_or(0) == count)
                });
                if same {
                    host.violate(
                        "STS-7",
                        format!("status {code:#x} of the adapter is not passed on"),
                    );
                }
            });
        }
    }

    /// How often the miniports on a NIC have indicated a code.
    pub(crate) fn indicated(&self, nic: usize, code: i32) -> Vec<(u64, u64)> {
        self.ndis(|n| {
            let on: Vec<u64> = n
                .bindings
                .iter()
                .filter(|(_, b)| b.nic == nic)
                .map(|(&h, _)| h)
                .collect();
            let above = on.iter().flat_map(|&b| n.above_of(b));
            above
                .map(|m| (m, n.miniports[&m].told.get(&code).copied().unwrap_or(0)))
                .collect()
        })
    }

    /// STS-4, STS-5, PWR-8: what a virtual miniport says of its link is what the adapter below
    /// said last.
    pub(crate) fn link_is_owed(&self, nic: usize) {
        let bound: Vec<u64> = self.ndis(|n| {
            let on = n
                .bindings
                .iter()
                .filter(|(_, b)| b.nic == nic && b.opened && !b.closed);
            on.map(|(&h, _)| h).collect()
        });
        for binding in bound {
            for miniport in self.ndis(|n| n.above_of(binding)) {
                // Who cannot say it now owes it when it can.
                self.ndis(|n| {
                    if n.miniports[&miniport].asleep {
                        n.judge.stale_links.insert(miniport);
                    }
                });
                self.link_owed_by(miniport);
            }
        }
    }

    /// The same for one virtual miniport.
    pub(crate) fn link_owed_by(&self, miniport: u64) {
        self.owed(move |host| {
            let wrong = host.ndis(|n| {
                let below = n.below_of(miniport);
                let &[one] = below.as_slice() else {
                    return None;
                };
                if n.is_team(miniport) {
                    return None; // its members and their partner decide
                }
                let m = n.miniports.get(&miniport)?;
                let b = &n.bindings[&one];
                let x = &n.nics[b.nic];
                let plain = !m.asleep
                    && m.state == EdgeState::Running
                    && b.state == EdgeState::Running
                    && !b.asleep
                    && !x.in_reset
                    && !x.gone;
                let says = m.facts.connect_state;
                let is = x.config.connect_state().0;
                if !plain || says == is {
                    n.judge.stale_links.remove(&miniport);
                    return None;
                }
                let rule = if n.judge.stale_links.remove(&miniport) {
                    "STS-5"
                } else if says == ndis_sys::MediaConnectStateUnknown.0 {
                    "PWR-8"
                } else {
                    "STS-4"
                };
                Some((rule, says, is))
            });
            if let Some((rule, says, is)) = wrong {
                host.violate(
                    rule,
                    format!(
                        "the virtual miniport shows connect state {says}, its adapter has {is}"
                    ),
                );
            }
        });
    }

    /// STS-4: a link state that says nothing new. What a driver was told below, or a wake-up,
    /// is a reason to say it again.
    pub(crate) fn link_is_told(&self, miniport: u64, bytes: &[u8]) {
        let again = self.ndis(|n| {
            let now = n.judge.links;
            let m = n.miniports.get_mut(&miniport)?;
            let same = m
                .link
                .as_ref()
                .is_some_and(|(b, at)| b == bytes && *at == now);
            m.link = Some((bytes.to_vec(), now));
            same.then_some(())
        });
        if again.is_some() {
            self.violate(
                "STS-4",
                format!(
                    "{:#x} is indicated again without a change",
                    NDIS_STATUS_LINK_STATE.0
                ),
            );
        }
    }
}

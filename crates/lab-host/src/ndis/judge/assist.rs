//! Receive filters and NIC switches that a team shows (LBF-3, LBF-4).

use ndis_sys::{
    NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES, NDIS_NIC_SWITCH_CAPABILITIES,
    NDIS_OBJECT_TYPE_DEFAULT, NDIS_RECEIVE_FILTER_CAPABILITIES,
    NDIS_RECEIVE_FILTER_IMPLAT_MIN_OF_QUEUES_MODE, NDIS_RECEIVE_FILTER_IMPLAT_SUM_OF_QUEUES_MODE,
    NDIS_RECEIVE_QUEUE_PARAMETERS_CHANGE_MASK,
    NDIS_RECEIVE_QUEUE_PARAMETERS_INTERRUPT_COALESCING_DOMAIN_ID_CHANGED, NDIS_STATUS,
    NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES, NDIS_STATUS_NIC_SWITCH_HARDWARE_CAPABILITIES,
    NDIS_STATUS_RECEIVE_FILTER_CURRENT_CAPABILITIES,
    NDIS_STATUS_RECEIVE_FILTER_HARDWARE_CAPABILITIES, NDIS_STATUS_RECEIVE_FILTER_QUEUE_PARAMETERS,
};

use super::team::Common;
use crate::host::Host;
use crate::ndis::handed::Handed;
use crate::ndis::instance::Miniport;
use crate::ndis::{Assist, EdgeState, Ndis};

/// A number for each of [`STATUSES`]: queues, queues, ports, ports.
pub(crate) type Numbers = [Option<u32>; 4];

/// What tells that a capability is another one: receive filters of the hardware and those that
/// are switched on, NIC switch of the hardware and as it is switched on.
const STATUSES: [NDIS_STATUS; 4] = [
    NDIS_STATUS_RECEIVE_FILTER_HARDWARE_CAPABILITIES,
    NDIS_STATUS_RECEIVE_FILTER_CURRENT_CAPABILITIES,
    NDIS_STATUS_NIC_SWITCH_HARDWARE_CAPABILITIES,
    NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES,
];
/// Receive filters that are switched on, among [`STATUSES`].
pub(crate) const FILTERS: usize = 1;
/// The NIC switch as it is switched on.
pub(crate) const SWITCH: usize = 3;
/// The version that has these statuses.
const SINCE: (u8, u8) = (6, 30);

/// Where the number is in a status of [`STATUSES`].
const fn number_at(status: usize) -> usize {
    if status <= FILTERS {
        std::mem::offset_of!(NDIS_RECEIVE_FILTER_CAPABILITIES, NumQueues)
    } else {
        std::mem::offset_of!(NDIS_NIC_SWITCH_CAPABILITIES, MaxNumVPorts)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

impl Ndis {
    /// What the adapters below a virtual miniport have in common; where its queues add up, their
    /// sum. Nothing, if one has none.
    pub(super) fn common_assist(&self, miniport: u64) -> Numbers {
        let below = self.below_of(miniport);
        let adds = self
            .miniports
            .get(&miniport)
            .is_some_and(|m| m.facts.queues_add);
        let all = |number: &dyn Fn(&Assist) -> Option<u32>, adds: bool| {
            let each = below
                .iter()
                .map(|b| number(&self.nics[self.bindings[b].nic].config.assist));
            let each: Vec<u32> = each.collect::<Option<_>>()?;
            if adds && !each.is_empty() {
                Some(each.iter().fold(0, |sum: u32, n| sum.saturating_add(*n)))
            } else {
                each.into_iter().min()
            }
        };
        [
            all(&|a| a.queues(false), adds),
            all(&|a| a.queues(true), adds),
            all(&|a| a.vports(false), false),
            all(&|a| a.vports(true), false),
        ]
    }

    /// What a team should have told and did not, in words.
    pub(super) fn untold(&self, miniport: u64, common: &Common) -> Vec<String> {
        let Some(m) = self.miniports.get(&miniport) else {
            return Vec::new();
        };
        if self.version_of(miniport) < SINCE {
            return Vec::new();
        }
        let text = |number: Option<u32>| number.map_or("none".to_owned(), |n| n.to_string());
        let mut untold = Vec::new();
        for (at, status) in STATUSES.into_iter().enumerate() {
            // Who shows none owes nothing.
            let Some(shows) = m.facts.assist[at] else {
                continue;
            };
            let what = if at <= FILTERS {
                "queues"
            } else {
                "switch ports"
            };
            let code = status.0;
            let (was, is) = (m.shown.assist[at], common.assist[at]);
            if was != is {
                let (was, is) = (text(was), text(is));
                untold.push(format!("the members of the team have {is} {what} in common, before {was}, and {code:#x} is not indicated"));
            } else if m.told.get(&code).is_some_and(|&n| n > 0) && shows > is.unwrap_or(0) {
                let is = text(is);
                untold.push(format!(
                    "{code:#x} says {shows} {what}, the members of the team have {is} in common"
                ));
            }
        }
        untold
    }
}

/// A status of these is indicated: what it says is what the miniport shows from now on.
pub(super) fn is_told(m: &mut Miniport, common: &Common, code: i32, bytes: &[u8]) {
    let Some(at) = STATUSES.iter().position(|status| status.0 == code) else {
        return;
    };
    m.shown.assist[at] = common.assist[at];
    if m.facts.assist[at].is_some() {
        m.facts.assist[at] = word(bytes, number_at(at));
    }
}

impl Host {
    /// Hardware assist attributes: what a miniport shows of this. LBF-4: how a team's queues add
    /// up is said by one flag at most, and by teams only.
    pub(crate) fn judge_assist(&self, miniport: u64, at: u64) {
        let name = "MiniportAttributes";
        let a: NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES = self.headed(at, name);
        let several = self.ndis(|n| n.below_of(miniport).len() > 1 || n.is_team(miniport));
        let mut shows: Numbers = [None; 4];
        let mut adds = false;
        for (at, p) in [
            a.HardwareReceiveFilterCapabilities,
            a.CurrentReceiveFilterCapabilities,
        ]
        .into_iter()
        .enumerate()
        .filter(|(_, p)| !p.is_null())
        {
            let name = "NDIS_RECEIVE_FILTER_CAPABILITIES";
            let c: NDIS_RECEIVE_FILTER_CAPABILITIES = self.headed(p as u64, name);
            shows[at] = Some(c.NumQueues);
            let sum = NDIS_RECEIVE_FILTER_IMPLAT_SUM_OF_QUEUES_MODE;
            let both = NDIS_RECEIVE_FILTER_IMPLAT_MIN_OF_QUEUES_MODE | sum;
            let flags = c.SupportedQueueProperties & both;
            adds |= flags & sum != 0;
            // The bit of the smallest number has another meaning to an adapter.
            if flags == both || (flags & sum != 0 && !several) {
                self.violate(
                    "LBF-4",
                    format!(
                        "receive filter capabilities with queue properties {:#x}",
                        c.SupportedQueueProperties
                    ),
                );
            }
        }
        for (at, p) in [
            a.HardwareNicSwitchCapabilities,
            a.CurrentNicSwitchCapabilities,
        ]
        .into_iter()
        .enumerate()
        .filter(|(_, p)| !p.is_null())
        {
            let name = "NDIS_NIC_SWITCH_CAPABILITIES";
            let c: NDIS_NIC_SWITCH_CAPABILITIES = self.headed(p as u64, name);
            shows[FILTERS + 1 + at] = Some(c.MaxNumVPorts);
        }
        let qos = !a.HardwareQosCapabilities.is_null() || !a.CurrentQosCapabilities.is_null();
        self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport).expect("checked handle");
            m.facts.qos = qos;
            m.facts.assist = shows;
            m.facts.queues_add = adds;
        });
    }

    /// STS-1: a status about receive filters or the NIC switch has the structure that its page
    /// says; true if it has, or is about something else.
    pub(crate) fn assist_has_form(&self, miniport: u64, code: NDIS_STATUS, bytes: &[u8]) -> bool {
        let queue = code == NDIS_STATUS_RECEIVE_FILTER_QUEUE_PARAMETERS;
        let known = STATUSES.iter().position(|status| *status == code);
        let what = match known {
            Some(at) if at <= FILTERS => Handed::Filters,
            Some(_) => Handed::Switch,
            None if queue => Handed::Queue,
            None => return true,
        };
        let minor = self.declared(miniport);
        // The pages name the revision of 6.30; who declares more may have a later one.
        let fits = |minor: u8| {
            let (revision, size) = what.of(minor);
            let [low, high] = size.to_le_bytes();
            bytes.len() >= usize::from(size)
                && bytes[..4] == [NDIS_OBJECT_TYPE_DEFAULT, revision, low, high]
        };
        let has_form = fits(minor) || fits(minor.min(SINCE.1));
        if !has_form {
            let header = &bytes[..bytes.len().min(4)];
            self.violate(
                "STS-1",
                format!("status {:#x} has {} bytes that begin with {header:02x?}, which is no {what:?} structure of NDIS 6.{minor}", code.0, bytes.len()),
            );
            return false;
        }
        let changed = word(bytes, 4).unwrap_or(0) & NDIS_RECEIVE_QUEUE_PARAMETERS_CHANGE_MASK;
        // Since NDIS 6.30 this status is about the domain and nothing else.
        if queue && changed != NDIS_RECEIVE_QUEUE_PARAMETERS_INTERRUPT_COALESCING_DOMAIN_ID_CHANGED
        {
            self.violate(
                "STS-1",
                format!(
                    "status {:#x} says that {changed:#x} changed, which it is not for",
                    code.0
                ),
            );
            return false;
        }
        true
    }

    /// LBF-3: an adapter's queue gets other parameters. Teams above that show queues tell.
    pub(crate) fn queue_is_owed(&self, nic: usize) {
        let teams: Vec<u64> = self.ndis(|n| {
            let shows = n.miniports.iter().filter(|(miniport, m)| {
                let queues = m.facts.assist[FILTERS].is_some_and(|queues| queues > 0);
                queues
                    && m.initialized
                    && !m.asleep
                    && m.state == EdgeState::Running
                    && n.is_team(**miniport)
                    && n.version_of(**miniport) >= SINCE
            });
            let shows = shows.map(|(&miniport, _)| miniport);
            shows
                .filter(|&miniport| {
                    let below = n.below_of(miniport);
                    below.iter().any(|b| n.bindings[b].nic == nic)
                })
                .collect()
        });
        for miniport in teams {
            self.expect_status(
                miniport,
                NDIS_STATUS_RECEIVE_FILTER_QUEUE_PARAMETERS,
                "LBF-3",
                "a queue of a member moved into another interrupt coalescing domain",
            );
        }
    }
}

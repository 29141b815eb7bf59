//! How a request from above was answered.

use ndis_sys::{
    NDIS_INTERRUPT_MODERATION_PARAMETERS, NDIS_OID, NDIS_PACKET_TYPE_ALL_MULTICAST,
    NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_DIRECTED, NDIS_PACKET_TYPE_MULTICAST,
    NDIS_PACKET_TYPE_PROMISCUOUS, NDIS_STATISTICS_INFO, NDIS_STATUS_ADAPTER_NOT_READY,
    NDIS_STATUS_BUFFER_OVERFLOW, NDIS_STATUS_BUFFER_TOO_SHORT, NDIS_STATUS_FAILURE,
    NDIS_STATUS_INDICATION_REQUIRED, NDIS_STATUS_INVALID_LENGTH, NDIS_STATUS_INVALID_OID,
    NDIS_STATUS_LOW_POWER_STATE, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_NOT_SUPPORTED,
    NDIS_STATUS_PAUSED, NDIS_STATUS_REQUEST_ABORTED, NDIS_STATUS_SUCCESS,
    NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, OID_802_3_CURRENT_ADDRESS, OID_802_3_MULTICAST_LIST,
    OID_GEN_BYTES_RCV, OID_GEN_BYTES_XMIT, OID_GEN_CURRENT_LOOKAHEAD,
    OID_GEN_CURRENT_PACKET_FILTER, OID_GEN_DIRECTED_BYTES_RCV, OID_GEN_INTERRUPT_MODERATION,
    OID_GEN_MAXIMUM_TOTAL_SIZE, OID_GEN_NETWORK_LAYER_ADDRESSES, OID_GEN_RCV_DISCARDS,
    OID_GEN_RCV_ERROR, OID_GEN_RCV_OK, OID_GEN_RECEIVE_BLOCK_SIZE, OID_GEN_RECEIVE_BUFFER_SPACE,
    OID_GEN_RECEIVE_SCALE_PARAMETERS, OID_GEN_STATISTICS, OID_GEN_TRANSMIT_BLOCK_SIZE,
    OID_GEN_TRANSMIT_BUFFER_SPACE, OID_GEN_VENDOR_DESCRIPTION, OID_GEN_VENDOR_DRIVER_VERSION,
    OID_GEN_VENDOR_ID, OID_GEN_XMIT_ERROR, OID_GEN_XMIT_OK, OID_OFFLOAD_ENCAPSULATION,
    OID_PM_ADD_PROTOCOL_OFFLOAD, OID_PM_ADD_WOL_PATTERN, OID_PM_PARAMETERS,
    OID_PM_REMOVE_PROTOCOL_OFFLOAD, OID_PM_REMOVE_WOL_PATTERN, OID_PNP_QUERY_POWER,
    OID_PNP_SET_POWER, OID_TCP_OFFLOAD_PARAMETERS,
};

use super::super::oid::{Active, OidCall, OidKind, OidReply, Requests, Target};
use crate::host::Host;
use crate::ndis::EdgeState;

/// How a request ended that the driver sent down for one from above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The call returned its status.
    Inside,
    /// Its completion came before the call returned.
    Early,
    /// Its completion came later.
    Late,
}

/// The end of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    /// Bytes written, read, needed.
    pub(crate) counts: (u32, u32, u32),
    pub(crate) how: How,
}

/// What went down for a request from above.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Below {
    pub(crate) requests: u32,
    pub(crate) ended: Option<Ended>,
    /// `NdisCancelOidRequest` named one of them.
    pub(crate) cancelled: bool,
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    /// It pended.
    pub(crate) pended: bool,
    /// A work item completed it.
    pub(crate) by_item: bool,
}

/// How things were when a request came.
pub(crate) struct Asked {
    epoch: u64,
    injected: u64,
    state: EdgeState,
    asleep: bool,
    /// It was removed by surprise: it accepts nothing any more (DPE-1).
    removed: bool,
    /// Each adapter below can be asked, and there is one.
    able: bool,
}

/// Queries that every driver answers, and the length of the answer.
const QUERIES: [(NDIS_OID, u32); 12] = [
    (OID_GEN_MAXIMUM_TOTAL_SIZE, 4),
    (OID_GEN_RCV_OK, 4),
    (OID_GEN_XMIT_OK, 4),
    (OID_GEN_RECEIVE_BLOCK_SIZE, 4),
    (OID_GEN_RECEIVE_BUFFER_SPACE, 4),
    (OID_GEN_TRANSMIT_BLOCK_SIZE, 4),
    (OID_GEN_TRANSMIT_BUFFER_SPACE, 4),
    (OID_GEN_STATISTICS, size_of::<NDIS_STATISTICS_INFO>() as u32),
    (OID_GEN_VENDOR_DRIVER_VERSION, 4),
    (OID_GEN_VENDOR_ID, 4),
    (
        OID_GEN_INTERRUPT_MODERATION,
        size_of::<NDIS_INTERRUPT_MODERATION_PARAMETERS>() as u32,
    ),
    // Of any length.
    (OID_GEN_VENDOR_DESCRIPTION, 256),
];

/// Sets that every driver takes.
const SETS: [(NDIS_OID, u32); 2] = [
    (OID_GEN_CURRENT_PACKET_FILTER, 4),
    (OID_GEN_CURRENT_LOOKAHEAD, 4),
];

/// Statistics that may be asked for as 32 or 64 bits.
const COUNTERS: [NDIS_OID; 8] = [
    OID_GEN_XMIT_OK,
    OID_GEN_RCV_OK,
    OID_GEN_XMIT_ERROR,
    OID_GEN_RCV_ERROR,
    OID_GEN_BYTES_RCV,
    OID_GEN_BYTES_XMIT,
    OID_GEN_DIRECTED_BYTES_RCV,
    OID_GEN_RCV_DISCARDS,
];

/// Sets of a structure with a version.
const VERSIONED: [NDIS_OID; 4] = [
    OID_PM_PARAMETERS,
    OID_GEN_RECEIVE_SCALE_PARAMETERS,
    OID_TCP_OFFLOAD_PARAMETERS,
    OID_OFFLOAD_ENCAPSULATION,
];

/// Wake-up requests.
const WAKE: [NDIS_OID; 3] = [
    OID_PM_PARAMETERS,
    OID_PM_ADD_WOL_PATTERN,
    OID_PM_REMOVE_WOL_PATTERN,
];

/// What a removal undoes.
const REMOVALS: [(NDIS_OID, NDIS_OID); 2] = [
    (OID_PM_REMOVE_WOL_PATTERN, OID_PM_ADD_WOL_PATTERN),
    (OID_PM_REMOVE_PROTOCOL_OFFLOAD, OID_PM_ADD_PROTOCOL_OFFLOAD),
];

/// What the driver does not know, in its own words.
fn is_unknown(status: i32) -> bool {
    [NDIS_STATUS_NOT_SUPPORTED.0, NDIS_STATUS_INVALID_OID.0].contains(&status)
}

/// The buffer does not fit.
fn is_length(status: i32) -> bool {
    [
        NDIS_STATUS_INVALID_LENGTH.0,
        NDIS_STATUS_BUFFER_TOO_SHORT.0,
        NDIS_STATUS_BUFFER_OVERFLOW.0,
    ]
    .contains(&status)
}

/// What stands in SupportedRevision of a request that goes to a driver.
pub(crate) const NO_REVISION: u8 = 0xEE;

impl Requests {
    /// A request that an adapter has and whose memory is so described.
    pub(super) fn below_within(&self, within: impl Fn(u64) -> bool) -> Option<u64> {
        let mut all = self.active.iter();
        all.find(|(at, a)| matches!(a.target, Target::Binding(_)) && within(**at))
            .map(|(&at, _)| at)
    }
}

/// Bits of a packet filter that adapters of Ethernet have. Source routing is Token Ring's, SMT
/// FDDI's; local frames and groups are NDIS's own affair.
const KNOWN_FILTERS: u32 = NDIS_PACKET_TYPE_DIRECTED
    | NDIS_PACKET_TYPE_MULTICAST
    | NDIS_PACKET_TYPE_ALL_MULTICAST
    | NDIS_PACKET_TYPE_BROADCAST
    | NDIS_PACKET_TYPE_PROMISCUOUS;

impl Host {
    /// Requests that a binding has out: clones, and the driver's own.
    pub(crate) fn oids_out(&self, binding: u64) -> (usize, usize) {
        self.ndis(|n| {
            let out = n.oids.active.iter();
            let out = out.filter(|(_, a)| a.target == Target::Binding(binding));
            let (mut clones, mut own) = (0, 0);
            for (at, _) in out {
                if n.oids.clones.contains_key(at) {
                    clones += 1;
                } else {
                    own += 1;
                }
            }
            (clones, own)
        })
    }

    /// A request is on its way to a virtual miniport.
    pub(crate) fn asking(&self, miniport: u64) -> Asked {
        let injected = self.injected();
        self.ndis(|n| {
            let m = n.miniports.get(&miniport);
            let below = n.below_of(miniport);
            let able = |b: &u64| {
                let b = &n.bindings[b];
                let x = &n.nics[b.nic];
                !b.asleep && !x.in_reset && !x.gone
            };
            Asked {
                epoch: n.judge.epoch,
                injected,
                state: m.map_or(EdgeState::Closing, |m| m.state),
                asleep: m.is_none_or(|m| m.asleep),
                removed: m.is_some_and(|m| m.removed),
                able: !below.is_empty()
                    && below.iter().all(able)
                    && n.judge.waking == 0
                    && !n.oids.stuck,
            }
        })
    }

    /// A request was completed twice, or though it was over.
    pub(crate) fn completed_again(&self, request: u64, past: Past) {
        let item = past.by_item || self.is_inside("NdisIoWorkItemFunction");
        if !past.pended {
            self.violate(
                "OID-2",
                format!("request {request:#x} is completed after a final status was returned"),
            );
        } else if item {
            self.violate(
                "OID-4",
                format!("request {request:#x} is completed by a work item and again"),
            );
        } else {
            self.violate("OID-5", format!("request {request:#x} is completed twice"));
        }
    }

    /// OID-15: what is said of the original is what was said of its clone, which is freed.
    pub(crate) fn clone_is_gone(&self, request: u64) {
        let left = self.ndis(|n| n.oids.clones.values().any(|&(_, from)| from == request));
        if left {
            self.violate(
                "OID-15",
                format!("request {request:#x} is completed before its clone is freed"),
            );
        }
    }

    /// A request did not end in time.
    pub(crate) fn oid_is_late(&self, call: &OidCall, below: Below) {
        let how = below.ended.map(|e| e.how);
        match how {
            Some(How::Inside) => self.violate(
                "OID-16",
                format!(
                    "OID {:#010x} waits for a completion that does not come: NdisOidRequest returned its status",
                    call.oid
                ),
            ),
            Some(How::Early) => self.violate(
                "OID-16",
                format!(
                    "OID {:#010x}: its completion came before NdisOidRequest returned PENDING, and was missed",
                    call.oid
                ),
            ),
            Some(How::Late) | None => self.violate(
                "OID-8",
                format!("OID {:#010x} is not complete after 12 s", call.oid),
            ),
        }
    }

    /// Judges the answer to a request.
    pub(crate) fn answered(
        &self,
        miniport: u64,
        call: &OidCall,
        asked: &Asked,
        reply: &OidReply,
        below: Below,
        revision: u8,
    ) {
        let oid = NDIS_OID(call.oid);
        let status = reply.status;
        let fine = status == NDIS_STATUS_SUCCESS.0;
        if status == NDIS_STATUS_INDICATION_REQUIRED.0 {
            self.violate(
                "OID-27",
                format!("OID {:#010x} ends with INDICATION_REQUIRED", call.oid),
            );
            return;
        }
        if let Some(ended) = below.ended
            && below.requests == 1
            && ended.status == status
            && (fine || is_length(status))
            && ended.counts != (reply.written, reply.read, reply.needed)
        {
            self.violate(
                "OID-15",
                format!(
                    "OID {:#010x}: written, read and needed are {:?}, the adapter said {:?}",
                    call.oid,
                    (reply.written, reply.read, reply.needed),
                    ended.counts
                ),
            );
        }
        if oid == OID_PNP_QUERY_POWER && !fine {
            self.violate(
                "OID-20",
                format!("OID_PNP_QUERY_POWER is answered with {status:#x}"),
            );
        }
        if call.direct {
            return;
        }
        self.judge_lengths(call, reply, below.requests == 0);
        if fine && call.kind == OidKind::Set {
            if VERSIONED.contains(&oid) && revision == NO_REVISION {
                self.violate(
                    "OID-13",
                    format!("OID {:#010x}: SupportedRevision is not set", call.oid),
                );
            }
            if oid == OID_802_3_CURRENT_ADDRESS {
                self.violate(
                    "LBF-5",
                    "the current address is set by a request; the configuration sets it".into(),
                );
            }
        }
        self.judge_removal(miniport, call, status);
        let quiet =
            self.ndis(|n| n.judge.epoch == asked.epoch) && self.injected() == asked.injected;
        if !quiet {
            return;
        }
        let power = [OID_PNP_SET_POWER, OID_PNP_QUERY_POWER].contains(&oid);
        if asked.asleep {
            if fine && !power {
                self.violate(
                    "PWR-5",
                    format!(
                        "OID {:#010x} succeeds while the virtual miniport is asleep",
                        call.oid
                    ),
                );
            }
            return;
        }
        if !asked.able || power || call.cancel_after.is_some() {
            return;
        }
        if status == NDIS_STATUS_LOW_POWER_STATE.0 {
            self.violate(
                "PWR-1",
                format!(
                    "OID {:#010x} is refused for low power, both edges are in D0",
                    call.oid
                ),
            );
            return;
        }
        self.judge_mandatory(call, asked, status);
        self.judge_wake(miniport, call, status, below.requests);
        self.judge_filters(miniport, call, fine);
        if fine
            && call.kind == OidKind::Set
            && [OID_TCP_OFFLOAD_PARAMETERS, OID_OFFLOAD_ENCAPSULATION].contains(&oid)
        {
            self.expect_status(
                miniport,
                NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG,
                "STS-6",
                "the offload settings were changed",
            );
        }
    }

    /// OID-11, OID-12, OID-24, OID-25.
    fn judge_lengths(&self, call: &OidCall, reply: &OidReply, local: bool) {
        let oid = NDIS_OID(call.oid);
        let status = reply.status;
        let fine = status == NDIS_STATUS_SUCCESS.0;
        if call.kind == OidKind::Query {
            let tail = (reply.written.min(call.output)) as usize;
            if fine && reply.buffer.get(tail..) != call.buffer.get(tail..) {
                self.violate(
                    "OID-12",
                    format!(
                        "OID {:#010x}: bytes beyond the {} that are said to be written were changed",
                        call.oid, reply.written
                    ),
                );
            }
            // Out of power, memory or service comes before any length.
            let refused = !fine && !is_length(status) && !is_unknown(status);
            if COUNTERS.contains(&oid) && !is_unknown(status) && !refused {
                let right = match call.output {
                    8.. => fine && reply.written == 8,
                    4..=7 => fine && reply.written == 4 && reply.needed == 8,
                    _ => {
                        status == NDIS_STATUS_INVALID_LENGTH.0
                            && reply.written == 0
                            && reply.needed == 8
                    }
                };
                if !right {
                    self.violate(
                        "OID-24",
                        format!(
                            "OID {:#010x} with {} bytes: status {status:#x}, {} written, {} needed",
                            call.oid, call.output, reply.written, reply.needed
                        ),
                    );
                }
                return;
            }
        }
        if oid == OID_802_3_MULTICAST_LIST
            && call.kind == OidKind::Set
            && fine
            && !call.input.is_multiple_of(6)
        {
            self.violate(
                "OID-25",
                format!("a multicast list of {} bytes is taken", call.input),
            );
        }
        if !local {
            return;
        }
        let size = match call.kind {
            OidKind::Set => SETS.iter().find(|(o, _)| *o == oid).map(|s| s.1),
            OidKind::Query if oid != OID_GEN_VENDOR_DESCRIPTION => {
                QUERIES.iter().find(|(o, _)| *o == oid).map(|s| s.1)
            }
            _ => None,
        };
        let given = if call.kind == OidKind::Set {
            call.input
        } else {
            call.output
        };
        if let Some(size) = size.filter(|&s| given < s) {
            let right = is_unknown(status) || (is_length(status) && reply.needed >= size);
            // Out of power, memory or service comes before any length.
            let other = !fine && !is_length(status);
            if !right && !other {
                self.violate(
                    "OID-11",
                    format!(
                        "OID {:#010x} with {given} of {size} bytes: status {status:#x}, {} needed",
                        call.oid, reply.needed
                    ),
                );
            }
        }
    }

    /// OID-10: what was granted can be taken back.
    fn judge_removal(&self, miniport: u64, call: &OidCall, status: i32) {
        let oid = NDIS_OID(call.oid);
        let fine = status == NDIS_STATUS_SUCCESS.0;
        let Some(&(removal, add)) = REMOVALS.iter().find(|(r, a)| *r == oid || *a == oid) else {
            return;
        };
        let granted = self.ndis(|n| {
            let Some(m) = n.miniports.get_mut(&miniport) else {
                return false;
            };
            if oid == add {
                if fine {
                    m.granted.insert(add.0);
                }
                return false;
            }
            m.granted.remove(&add.0)
        });
        let legal = [
            NDIS_STATUS_SUCCESS.0,
            NDIS_STATUS_NOT_ACCEPTED.0,
            NDIS_STATUS_REQUEST_ABORTED.0,
        ];
        if oid == removal && granted && !legal.contains(&status) {
            self.violate(
                "OID-10",
                format!(
                    "OID {:#010x} must succeed and ends with {status:#x}",
                    call.oid
                ),
            );
        }
    }

    /// OID-23, OID-30.
    fn judge_mandatory(&self, call: &OidCall, asked: &Asked, status: i32) {
        let oid = NDIS_OID(call.oid);
        let (all, given) = match call.kind {
            OidKind::Query => (&QUERIES[..], call.output),
            OidKind::Set => (&SETS[..], call.input),
            OidKind::Statistics | OidKind::Method => return,
        };
        let Some(_) = all.iter().find(|(o, size)| *o == oid && given >= *size) else {
            return;
        };
        // A filter with bits that no Ethernet has is not supported, and is said to be so.
        let value = call
            .buffer
            .first_chunk()
            .copied()
            .map_or(0, u32::from_le_bytes);
        if oid == OID_GEN_CURRENT_PACKET_FILTER
            && call.kind == OidKind::Set
            && value & !KNOWN_FILTERS != 0
        {
            return;
        }
        let refusals = [
            NDIS_STATUS_PAUSED.0,
            NDIS_STATUS_NOT_ACCEPTED.0,
            NDIS_STATUS_FAILURE.0,
            NDIS_STATUS_ADAPTER_NOT_READY.0,
        ];
        if asked.state == EdgeState::Running {
            if is_unknown(status) {
                self.violate(
                    "OID-23",
                    format!(
                        "OID {:#010x} is mandatory and ends with {status:#x}",
                        call.oid
                    ),
                );
            }
        } else if matches!(
            asked.state,
            EdgeState::Paused | EdgeState::Restarting | EdgeState::Pausing
        ) && !asked.removed
            && call.kind == OidKind::Query
            && (refusals.contains(&status) || is_unknown(status))
        {
            self.violate(
                "OID-30",
                format!(
                    "OID {:#010x} ends with {status:#x} while the virtual miniport is {:?}",
                    call.oid, asked.state
                ),
            );
        }
    }

    /// OID-22, OID-26.
    fn judge_wake(&self, miniport: u64, call: &OidCall, status: i32, down: u32) {
        let oid = NDIS_OID(call.oid);
        let wakes = self.ndis(|n| {
            let one = n.one_to_one(miniport)?;
            Some(n.nics[n.bindings[&one].nic].config.pm)
        });
        let Some(wakes) = wakes.filter(|_| call.kind == OidKind::Set) else {
            return;
        };
        if WAKE.contains(&oid) {
            if wakes && down == 0 && is_unknown(status) {
                self.violate(
                    "OID-22",
                    format!(
                        "OID {:#010x} is not asked of the adapter, which can wake",
                        call.oid
                    ),
                );
            } else if !wakes
                // A removal says nothing but that it is done, or refused (OID-7).
                && oid != OID_PM_REMOVE_WOL_PATTERN
                && !is_unknown(status)
                && status != NDIS_STATUS_INVALID_LENGTH.0
            {
                self.violate(
                    "OID-22",
                    format!(
                        "OID {:#010x} ends with {status:#x}, the adapter below cannot wake",
                        call.oid
                    ),
                );
            }
        }
        if oid == OID_GEN_NETWORK_LAYER_ADDRESSES && down == 0 {
            self.violate(
                "OID-26",
                "OID_GEN_NETWORK_LAYER_ADDRESSES is not forwarded".into(),
            );
        }
    }

    /// OID-25, LBF-6: what the adapters filter for is what the miniports on them want.
    fn judge_filters(&self, miniport: u64, call: &OidCall, fine: bool) {
        let oid = NDIS_OID(call.oid);
        let about = [OID_802_3_MULTICAST_LIST, OID_GEN_CURRENT_PACKET_FILTER].contains(&oid);
        if !fine || call.kind != OidKind::Set || !about {
            return;
        }
        self.owed(move |host| host.judge_what_is_set(miniport));
    }

    fn judge_what_is_set(&self, miniport: u64) {
        let wide = NDIS_PACKET_TYPE_PROMISCUOUS;
        let wrong = self.ndis(|n| {
            let below = n.below_of(miniport);
            let rule = if below.len() > 1 { "LBF-6" } else { "OID-25" };
            if n.oids.active.values().any(Active::is_set) {
                return None;
            }
            for binding in below {
                let b = &n.bindings[&binding];
                let x = &n.nics[b.nic];
                if b.state != EdgeState::Running || b.asleep || x.gone || x.in_reset {
                    continue;
                }
                let above = n.above_of(binding);
                let mut filter = 0;
                let mut groups: Vec<[u8; 6]> = Vec::new();
                for m in above {
                    let m = &n.miniports[&m];
                    if m.asleep {
                        return None;
                    }
                    filter |= m.packet_filter.unwrap_or(0);
                    groups.extend(&m.groups);
                }
                let all = wide | NDIS_PACKET_TYPE_ALL_MULTICAST;
                let has = b.packet_filter;
                let missing = filter & !has;
                if missing != 0 && has & wide == 0 {
                    return Some((
                        rule,
                        format!("packet filter {filter:#x} is wanted above, {has:#x} is set below"),
                    ));
                }
                let listed: Vec<&[u8]> = b.multicast.chunks(6).collect();
                let lacks = groups.iter().find(|g| !listed.contains(&&g[..]));
                if let Some(group) = lacks
                    && has & all == 0
                    && filter & NDIS_PACKET_TYPE_MULTICAST != 0
                {
                    return Some((
                        rule,
                        format!("multicast address {group:x?} is wanted above and not set below"),
                    ));
                }
                let extra = listed
                    .iter()
                    .find(|l| !groups.iter().any(|g| &g[..] == **l));
                if let Some(group) = extra
                    && rule == "OID-25"
                {
                    return Some((
                        rule,
                        format!("multicast address {group:x?} is set below and wanted by nobody"),
                    ));
                }
            }
            None
        });
        if let Some((rule, text)) = wrong {
            self.violate(rule, text);
        }
    }
}

impl Active {
    /// A set that is under way.
    fn is_set(&self) -> bool {
        self.set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Config;
    use crate::report::Collect;

    /// Ids of the rules that a judgement reports.
    fn found(judge: impl FnOnce(&Host) + Send) -> Vec<String> {
        let sink = std::sync::Arc::new(Collect::default());
        let host = Host::new(Config::default(), sink).expect("host");
        host.run("test", judge);
        host.findings().into_iter().map(|f| f.rule).collect()
    }

    fn asked(state: EdgeState) -> Asked {
        Asked {
            epoch: 0,
            injected: 0,
            state,
            asleep: false,
            removed: false,
            able: true,
        }
    }

    /// A counter is answered in 32 or 64 bits, or refused with the length that it needs; where
    /// the adapter sleeps, or does not count, there is no length to judge (OID-24).
    #[test]
    fn a_counter_that_cannot_be_read_has_no_length() {
        for (status, room, written, needed, broken) in [
            (NDIS_STATUS_SUCCESS, 8, 8, 0, false),
            (NDIS_STATUS_SUCCESS, 8, 4, 0, true),
            (NDIS_STATUS_SUCCESS, 4, 4, 8, false),
            (NDIS_STATUS_SUCCESS, 4, 4, 0, true),
            (NDIS_STATUS_INVALID_LENGTH, 2, 0, 8, false),
            (NDIS_STATUS_BUFFER_TOO_SHORT, 2, 0, 8, true),
            (NDIS_STATUS_LOW_POWER_STATE, 8, 0, 0, false),
            (NDIS_STATUS_NOT_SUPPORTED, 8, 0, 0, false),
            (NDIS_STATUS_FAILURE, 8, 0, 0, false),
        ] {
            let call = OidCall::query(OID_GEN_RCV_OK, room);
            let reply = OidReply {
                status: status.0,
                written,
                read: 0,
                needed,
                buffer: call.buffer.clone(),
                forwarded: false,
            };
            let ids = found(move |host| host.judge_lengths(&call, &reply, true));
            let expected: &[&str] = if broken { &["OID-24"] } else { &[] };
            assert_eq!(
                ids, expected,
                "{status:?} with {room} bytes, {written} written"
            );
        }
    }

    /// What was removed by surprise accepts nothing, paused or not (DPE-1); anything else that is
    /// paused answers (OID-30).
    #[test]
    fn a_removed_miniport_answers_nothing() {
        for removed in [false, true] {
            let ids = found(move |host| {
                let asked = Asked {
                    removed,
                    ..asked(EdgeState::Paused)
                };
                let call = OidCall::query(OID_GEN_VENDOR_ID, 4);
                host.judge_mandatory(&call, &asked, NDIS_STATUS_NOT_ACCEPTED.0);
            });
            let expected: &[&str] = if removed { &[] } else { &["OID-30"] };
            assert_eq!(ids, expected, "removed: {removed}");
        }
    }

    /// A set of the packet filter may be refused for a bit that nobody knows, and for nothing
    /// else (OID-23).
    #[test]
    fn a_filter_of_unknown_bits_may_be_refused() {
        for (filter, broken) in [
            (NDIS_PACKET_TYPE_DIRECTED, true),
            (KNOWN_FILTERS, true),
            (KNOWN_FILTERS + 1, false),
            (NDIS_PACKET_TYPE_DIRECTED | 1 << 31, false),
        ] {
            let call = OidCall::set(OID_GEN_CURRENT_PACKET_FILTER, &filter.to_ne_bytes());
            let ids = found(move |host| {
                let asked = asked(EdgeState::Running);
                host.judge_mandatory(&call, &asked, NDIS_STATUS_NOT_SUPPORTED.0);
            });
            let expected: &[&str] = if broken { &["OID-23"] } else { &[] };
            assert_eq!(ids, expected, "filter {filter:#x}");
        }
        // Another set with those bits has no such way out.
        let call = OidCall::set(
            OID_GEN_CURRENT_LOOKAHEAD,
            &(KNOWN_FILTERS + 1).to_ne_bytes(),
        );
        let ids = found(move |host| {
            let asked = asked(EdgeState::Running);
            host.judge_mandatory(&call, &asked, NDIS_STATUS_NOT_SUPPORTED.0);
        });
        assert_eq!(ids, ["OID-23"]);
    }
}

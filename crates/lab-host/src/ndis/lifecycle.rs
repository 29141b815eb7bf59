//! Pause and restart of both edges.

use ndis_sys::{
    NDIS_MINIPORT_PAUSE_PARAMETERS, NDIS_MINIPORT_RESTART_PARAMETERS, NDIS_OBJECT_TYPE_DEFAULT,
    NDIS_OBJECT_TYPE_PROTOCOL_RESTART_PARAMETERS, NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES,
    NDIS_PROTOCOL_RESTART_PARAMETERS, NDIS_PROTOCOL_RESTART_PARAMETERS_REVISION_1,
    NDIS_RESTART_ATTRIBUTES, NDIS_RESTART_GENERAL_ATTRIBUTES, NDIS_STATUS_FAILURE,
    NDIS_STATUS_RESOURCES, NET_PNP_EVENT_CODE, NetEventPause, NetEventRestart,
    OID_GEN_MINIPORT_RESTART_ATTRIBUTES,
};

use super::EdgeState;
use super::binding::{PENDING, header};
use super::handed::Handed;
use super::nic::NicConfig;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

/// The longest a pause, restart or drain may take in the host's eyes before it says so (HWF-11
/// gives 10 s for filters; the same guide is used for both edges).
const LIMIT: u64 = 10_000_000_000;

/// What an adapter says of itself at a restart, to a driver of NDIS 6.`minor`.
fn general_attributes(config: &NicConfig, minor: u8) -> NDIS_RESTART_GENERAL_ATTRIBUTES {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut g: NDIS_RESTART_GENERAL_ATTRIBUTES = unsafe { std::mem::zeroed() };
    g.Header = Handed::Restart.header(NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES, minor);
    g.MtuSize = config.mtu;
    g.MaxXmitLinkSpeed = config.link_speed;
    g.MaxRcvLinkSpeed = config.link_speed;
    g.LookaheadSize = config.mtu;
    g.MacOptions = config.mac_options();
    g.SupportedPacketFilters = config.packet_filters();
    g.MaxMulticastListSize = config.max_multicast;
    g.AccessType = ndis_sys::NET_IF_ACCESS_BROADCAST;
    g.ConnectionType = ndis_sys::NET_IF_CONNECTION_DEDICATED;
    g.DataBackFillSize = config.data_backfill;
    g.ContextBackFillSize = config.context_backfill;
    g
}

/// Restart attributes that a miniport was given, and what is in them.
struct Attributes {
    list: u64,
    bytes: Vec<u8>,
}

impl Host {
    /// Whether a protocol above sends once though its miniport pauses: every other time.
    fn sends_out_of_turn(&self) -> bool {
        !cfg!(test) && self.engine().is_virtual() && self.every_other()
    }

    /// True every other time, as the number of crossings so far says; of calls with an end of
    /// their own it is even.
    pub(crate) fn every_other(&self) -> bool {
        (self.crossings() / 2).is_multiple_of(2)
    }

    /// Restart attributes for a virtual miniport: every other time none, and of the two revisions
    /// one in turn (MPS-8) if its driver knows both.
    fn restart_attributes(&self, miniport: u64) -> Option<Attributes> {
        const TAG: u32 = u32::from_le_bytes(*b"Rest");
        let turn = self.crossings() / 2 % 4;
        if turn < 2 || cfg!(test) {
            return None;
        }
        let mut g = self.ndis(|n| {
            let below = n.below_of(miniport);
            let b = n.bindings.get(below.first()?)?;
            let (_, minor) = n.version_of(miniport);
            Some(general_attributes(&n.nics[b.nic].config, minor))
        })?;
        if turn == 2 {
            g.Header = Handed::Restart.header(NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES, 0);
        }
        let length = u64::from(g.Header.Size);
        let data = std::mem::offset_of!(NDIS_RESTART_ATTRIBUTES, Data) as u64;
        let list = self.allocate(data + length, TAG, "NDIS_RESTART_ATTRIBUTES");
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut a: NDIS_RESTART_ATTRIBUTES = unsafe { std::mem::zeroed() };
        a.Oid = OID_GEN_MINIPORT_RESTART_ATTRIBUTES;
        a.DataLength = length as u32;
        // SAFETY: structures of plain data are read as bytes.
        let (head, body) = unsafe {
            (
                std::slice::from_raw_parts((&raw const a).cast::<u8>(), data as usize),
                std::slice::from_raw_parts((&raw const g).cast::<u8>(), length as usize),
            )
        };
        let bytes = [head, body].concat();
        let _ = self.arena.write_bytes(list, &bytes);
        Some(Attributes { list, bytes })
    }

    /// MPS-8: a failed restart leaves the attributes alone, and what was added is pool of
    /// `NdisAllocateMemoryWithTagPriority`, which NDIS frees.
    fn judge_restart_attributes(&self, given: &Attributes, ok: bool) {
        let now = self.get_bytes(given.list, given.bytes.len(), "NDIS_RESTART_ATTRIBUTES");
        if !ok && now != given.bytes {
            self.violate(
                "MPS-8",
                "a failed restart has changed the restart attributes".into(),
            );
        }
        let mut next: u64 = self.get(given.list, "NDIS_RESTART_ATTRIBUTES");
        while next != 0 {
            let by = self
                .heap()
                .find(next)
                .filter(|a| a.address == next)
                .map(|a| a.by);
            if by != Some("NdisAllocateMemoryWithTagPriority") {
                self.violate(
                    "MPS-8",
                    format!("the restart attributes at {next:#x} are not memory of NdisAllocateMemoryWithTagPriority: {}", self.describe(next)),
                );
                break;
            }
            let after: u64 = self.get(next, "NDIS_RESTART_ATTRIBUTES");
            self.release(next);
            next = after;
        }
        self.release(given.list);
    }

    /// Pauses a virtual miniport (10.1): protocols above stop first. A restart or another pause
    /// that is under way ends before: NDIS takes an adapter from state to state by one at a time.
    pub fn pause_miniport(&self, miniport: u64) {
        // One that takes too long is reported by who waits for it.
        self.wait_until("for the restart before a pause", 10_000, LIMIT, |h| {
            h.ndis(|n| {
                let state = n.miniports.get(&miniport).map(|m| m.state);
                !matches!(state, Some(EdgeState::Restarting | EdgeState::Pausing))
            })
        });
        let found = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport)?;
            if m.state != EdgeState::Running {
                return None;
            }
            let driver = m.driver;
            let context = m.context;
            Some((
                context,
                n.drivers.get(&driver)?.chars.PauseHandler? as usize as u64,
            ))
        });
        let Some((context, handler)) = found else {
            return;
        };
        self.disturb();
        self.pause_uppers(miniport);
        self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport).expect("miniport");
            m.state = EdgeState::Pausing;
            m.pausing = None;
        });
        // Protocols above give back what they hold while the miniport pauses.
        self.return_held(miniport);
        let at = self.allocate(
            size_of::<NDIS_MINIPORT_PAUSE_PARAMETERS>() as u64,
            u32::from_le_bytes(*b"Paus"),
            "NDIS_MINIPORT_PAUSE_PARAMETERS",
        );
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut p: NDIS_MINIPORT_PAUSE_PARAMETERS = unsafe { std::mem::zeroed() };
        p.Header = header(
            NDIS_OBJECT_TYPE_DEFAULT,
            1,
            size_of::<NDIS_MINIPORT_PAUSE_PARAMETERS>(),
        );
        // MPS-10: below NDIS 6.40 the reason says nothing.
        let (told, pauses) = self.ndis(|n| {
            n.judge.pauses += 1;
            (n.version_of(miniport) < (6, 40), n.judge.pauses)
        });
        p.PauseReason = if told && pauses.is_multiple_of(2) {
            ndis_sys::NDIS_PAUSE_LOW_POWER
        } else {
            ndis_sys::NDIS_PAUSE_NDIS_INTERNAL
        };
        let odd = p.PauseReason != ndis_sys::NDIS_PAUSE_NDIS_INTERNAL;
        self.put(at, p, "NDIS_MINIPORT_PAUSE_PARAMETERS");
        let status = self.call("MiniportPause", miniport, handler, &[context, at]) as u32 as i32;
        self.release(at);
        if matches!(status, 0 | PENDING) && !odd {
            self.ndis(|n| n.judge.paused_fine = true);
        }
        if matches!(status, 0 | PENDING) && self.sends_out_of_turn() {
            self.judge_odd_send(miniport);
        }
        match status {
            0 => {
                if self.ndis(|n| n.miniports[&miniport].pausing.is_some()) {
                    self.violate(
                        "MPS-6",
                        "MiniportPause succeeded and was completed as well".into(),
                    );
                }
            }
            PENDING => {
                let done = self.wait_until("for NdisMPauseComplete", 1_000_000, LIMIT, |h| {
                    h.ndis(|n| {
                        n.miniports
                            .get(&miniport)
                            .is_none_or(|m| m.pausing.is_some())
                    })
                });
                if !done {
                    self.report_slow("MiniportPause", miniport);
                }
            }
            other if odd && self.ndis(|n| n.judge.paused_fine) => self.violate(
                "MPS-10",
                format!("MiniportPause returned {other:#x} for a reason that means nothing"),
            ),
            other => self.violate("MPS-2", format!("MiniportPause returned {other:#x}")),
        }
        let out = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport).expect("miniport");
            m.state = EdgeState::Paused;
            (m.sends, m.receives, m.indicating)
        });
        if out != (0, 0, 0) {
            self.violate(
                "MPS-3",
                format!(
                    "the pause is complete with {} sends not completed, {} receives not returned and {} indications under way",
                    out.0, out.1, out.2
                ),
            );
        }
        self.disturb();
    }

    /// Restarts a virtual miniport; false when the driver failed it, or when NDIS would not: it
    /// sleeps, no protocol has bound to it, or it is being halted.
    pub fn restart_miniport(&self, miniport: u64) -> bool {
        let found = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport)?;
            let may = m.bound && !m.asleep && !m.waking && !m.halting;
            if m.state != EdgeState::Paused || !may {
                return None;
            }
            m.state = EdgeState::Restarting;
            m.restarting = None;
            let driver = m.driver;
            let context = m.context;
            Some((
                context,
                n.drivers.get(&driver)?.chars.RestartHandler? as usize as u64,
            ))
        });
        let Some((context, handler)) = found else {
            return false;
        };
        let at = self.allocate(
            size_of::<NDIS_MINIPORT_RESTART_PARAMETERS>() as u64,
            u32::from_le_bytes(*b"Rest"),
            "NDIS_MINIPORT_RESTART_PARAMETERS",
        );
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut p: NDIS_MINIPORT_RESTART_PARAMETERS = unsafe { std::mem::zeroed() };
        p.Header = header(
            NDIS_OBJECT_TYPE_DEFAULT,
            1,
            size_of::<NDIS_MINIPORT_RESTART_PARAMETERS>(),
        );
        self.disturb();
        let attributes = self.restart_attributes(miniport);
        p.RestartAttributes = attributes.as_ref().map_or(0, |a| a.list) as *mut _;
        self.put(at, p, "NDIS_MINIPORT_RESTART_PARAMETERS");
        let status = self.call("MiniportRestart", miniport, handler, &[context, at]) as u32 as i32;
        self.release(at);
        let status = if status == PENDING {
            let done = self.wait_until("for NdisMRestartComplete", 1_000_000, LIMIT, |h| {
                h.ndis(|n| {
                    n.miniports
                        .get(&miniport)
                        .is_none_or(|m| m.restarting.is_some())
                })
            });
            if !done {
                self.report_slow("MiniportRestart", miniport);
            }
            self.ndis(|n| {
                n.miniports
                    .get(&miniport)
                    .and_then(|m| m.restarting)
                    .unwrap_or(-1)
            })
        } else {
            status
        };
        let ok = status == 0;
        if !ok && ![NDIS_STATUS_RESOURCES.0, NDIS_STATUS_FAILURE.0].contains(&status) {
            self.violate("MPS-7", format!("MiniportRestart ends with {status:#x}"));
        }
        if let Some(attributes) = attributes {
            self.judge_restart_attributes(&attributes, ok);
        }
        self.disturb();
        self.ndis(|n| {
            if let Some(m) = n.miniports.get_mut(&miniport) {
                m.state = if ok {
                    EdgeState::Running
                } else {
                    EdgeState::Paused
                };
            }
        });
        if ok {
            self.resume_uppers(miniport);
            self.stack_is_owed();
            self.link_owed_by(miniport);
            self.members_changed();
        }
        ok
    }

    /// Pauses a binding by NetEventPause (PBS-2).
    pub fn pause_binding(&self, binding: u64) {
        let go = self.ndis(|n| {
            let Some(b) = n.bindings.get_mut(&binding) else {
                return false;
            };
            let go = b.state == EdgeState::Running;
            if go {
                b.state = EdgeState::Pausing;
                b.pause_seen = None;
            }
            go
        });
        if !go {
            return;
        }
        self.disturb();
        if let Some(nic) = self.ndis(|n| n.bindings.get(&binding).map(|b| b.nic)) {
            self.member_goes(nic);
        }
        // A failure is judged with the event.
        let _ = self.net_event(binding, NetEventPause, &[]);
        let now = self.now();
        let sends = self.ndis(|n| {
            let b = n.bindings.get_mut(&binding)?;
            b.state = EdgeState::Paused;
            b.paused_at = Some(now);
            Some(b.sends)
        });
        self.receive_late(binding);
        self.disturb();
        if sends.is_some_and(|s| s > 0) {
            self.violate(
                "PBS-2",
                format!(
                    "the binding's pause is complete with {} sends out",
                    sends.unwrap_or(0)
                ),
            );
        }
        // The adapter's own pause follows: it waits for its receives.
        let back = self.wait_until(
            "for the adapter's lists to come back",
            1_000_000,
            LIMIT,
            |h| h.ndis(|n| n.bindings.get(&binding).is_none_or(|b| b.receives == 0)),
        );
        if !back && !self.blame_receives(binding) {
            self.violate(
                "UNB-5",
                format!(
                    "lists of the adapter did not come back: {}",
                    self.who_has_it()
                ),
            );
        }
    }

    /// Restarts a binding by NetEventRestart (PBS-4). Whether the event carries the adapter's
    /// attributes is the seed's choice.
    pub fn restart_binding(&self, binding: u64) {
        let told = self.engine().random(2) == 0;
        self.restart_with(binding, told);
    }

    /// Restarts a binding, with the adapter's attributes as they are now if `told`.
    pub(crate) fn restart_with(&self, binding: u64, told: bool) {
        let go = self.ndis(|n| {
            n.bindings.get_mut(&binding).is_some_and(|b| {
                let go = b.state == EdgeState::Paused;
                if go {
                    b.state = EdgeState::Restarting;
                }
                go
            })
        });
        if !go {
            return;
        }
        self.disturb();
        // A failure is judged with the event.
        let _ = if told {
            self.restart_event(binding)
        } else {
            self.net_event(binding, NetEventRestart, &[])
        };
        let nic = self.ndis(|n| {
            n.bindings.get_mut(&binding).map(|b| {
                b.state = EdgeState::Running;
                b.restarted = true;
                b.nic
            })
        });
        self.disturb();
        self.stack_is_owed();
        self.members_changed();
        if let Some(nic) = nic {
            self.nic_kick(nic);
        }
    }

    /// NetEventRestart with `NDIS_PROTOCOL_RESTART_PARAMETERS`.
    fn restart_event(&self, binding: u64) -> i32 {
        const TAG: u32 = u32::from_le_bytes(*b"Rest");
        let Some((config, minor)) = self.ndis(|n| {
            let b = n.bindings.get(&binding)?;
            Some((n.nics[b.nic].config.clone(), n.minor_of_binding(binding)))
        }) else {
            return 0;
        };
        let mut g = general_attributes(&config, minor);
        let rss = config.rss.then(|| {
            let caps = config.rss_capabilities();
            let name = "NDIS_RECEIVE_SCALE_CAPABILITIES";
            self.hand(Handed::Rss, minor, &caps, TAG, name)
        });
        g.RecvScaleCapabilities = rss.unwrap_or(0) as *mut _;
        let data = std::mem::offset_of!(NDIS_RESTART_ATTRIBUTES, Data) as u64;
        let length = u64::from(g.Header.Size);
        let list = self.allocate(data + length, TAG, "NDIS_RESTART_ATTRIBUTES");
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut a: NDIS_RESTART_ATTRIBUTES = unsafe { std::mem::zeroed() };
        a.Oid = OID_GEN_MINIPORT_RESTART_ATTRIBUTES;
        a.DataLength = length as u32;
        // SAFETY: structures of plain data are read as bytes; no revision is longer than the last.
        let (head, body) = unsafe {
            (
                std::slice::from_raw_parts((&raw const a).cast::<u8>(), data as usize),
                std::slice::from_raw_parts((&raw const g).cast::<u8>(), length as usize),
            )
        };
        let _ = self.arena.write_bytes(list, &[head, body].concat());
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut p: NDIS_PROTOCOL_RESTART_PARAMETERS = unsafe { std::mem::zeroed() };
        p.Header = header(
            NDIS_OBJECT_TYPE_PROTOCOL_RESTART_PARAMETERS,
            NDIS_PROTOCOL_RESTART_PARAMETERS_REVISION_1,
            size_of::<NDIS_PROTOCOL_RESTART_PARAMETERS>(),
        );
        p.RestartAttributes = list as *mut _;
        p.BoundIfIndex = config.if_index;
        let mut bytes = [0_u8; size_of::<NDIS_PROTOCOL_RESTART_PARAMETERS>()];
        // SAFETY: a structure of plain data is copied into as many bytes.
        unsafe {
            bytes
                .as_mut_ptr()
                .cast::<NDIS_PROTOCOL_RESTART_PARAMETERS>()
                .write_unaligned(p);
        };
        let status = self.net_event(binding, NetEventRestart, &bytes);
        self.release(list);
        if let Some(rss) = rss {
            self.release(rss);
        }
        status
    }

    fn report_slow(&self, what: &str, miniport: u64) {
        let (sends, receives) = self.ndis(|n| {
            n.miniports
                .get(&miniport)
                .map_or((0, 0), |m| (m.sends, m.receives))
        });
        self.violate(
            "BUG-1",
            format!(
                "{what} is not complete after 10 s; {sends} sends and {receives} receives are out: {}",
                self.who_has_it()
            ),
        );
    }

    /// Sends one event to a binding's ProtocolNetPnPEvent and waits for its end.
    pub fn net_event(&self, binding: u64, code: NET_PNP_EVENT_CODE, buffer: &[u8]) -> i32 {
        self.pnp_event(binding, code, buffer)
    }
}

api! { exports:
    /// A pause that pended is over.
    "ndis.sys" 0..=2 "IRQ-3"
    fn NdisMPauseComplete(host, miniport: u64) {
        if !host.check("MiniportAdapterHandle", miniport, Kind::Miniport) {
            return;
        }
        let wrong = host.ndis(|n| {
            let m = n.miniports.get_mut(&miniport).expect("checked handle");
            let wrong = m.state != EdgeState::Pausing || m.pausing.is_some();
            m.pausing = Some(0);
            wrong
        });
        if wrong {
            host.violate("MPS-6", "NdisMPauseComplete without a pause that is pending".into());
        }
    }

    /// A restart that pended is over.
    "ndis.sys" 0..=2 "IRQ-3"
    fn NdisMRestartComplete(host, miniport: u64, status: i32) {
        if !host.check("MiniportAdapterHandle", miniport, Kind::Miniport) {
            return;
        }
        let wrong = host.ndis(|n| {
            let m = n.miniports.get_mut(&miniport).expect("checked handle");
            let wrong = m.state != EdgeState::Restarting || m.restarting.is_some();
            m.restarting = Some(status);
            wrong
        });
        if wrong {
            host.violate("MPS-6", "NdisMRestartComplete without a restart that is pending".into());
        }
    }
}

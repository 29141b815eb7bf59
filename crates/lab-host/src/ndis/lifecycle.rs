//! Pause and restart of both edges.

use ndis_sys::{
    NDIS_MINIPORT_PAUSE_PARAMETERS, NDIS_MINIPORT_RESTART_PARAMETERS, NDIS_OBJECT_TYPE_DEFAULT,
    NDIS_OBJECT_TYPE_PROTOCOL_RESTART_PARAMETERS, NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES,
    NDIS_PROTOCOL_RESTART_PARAMETERS, NDIS_PROTOCOL_RESTART_PARAMETERS_REVISION_1,
    NDIS_RESTART_ATTRIBUTES, NDIS_RESTART_GENERAL_ATTRIBUTES,
    NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_2, NET_PNP_EVENT_CODE, NetEventPause, NetEventRestart,
    OID_GEN_MINIPORT_RESTART_ATTRIBUTES,
};

use super::EdgeState;
use super::binding::{PENDING, header};
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

/// The longest a pause, restart or drain may take in the host's eyes before it says so (HWF-11
/// gives 10 s for filters; the same guide is used for both edges).
const LIMIT: u64 = 10_000_000_000;

impl Host {
    /// Pauses a virtual miniport (10.1): protocols above stop first.
    pub fn pause_miniport(&self, miniport: u64) {
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
        p.PauseReason = ndis_sys::NDIS_PAUSE_NDIS_INTERNAL;
        self.put(at, p, "NDIS_MINIPORT_PAUSE_PARAMETERS");
        let status = self.call("MiniportPause", miniport, handler, &[context, at]) as u32 as i32;
        self.release(at);
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
    }

    /// Restarts a virtual miniport; false when the driver failed it.
    pub fn restart_miniport(&self, miniport: u64) -> bool {
        let found = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport)?;
            if m.state != EdgeState::Paused {
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
        let status = self.net_event(binding, NetEventPause, &[]);
        if status != 0 {
            self.violate("PNP-2", format!("NetEventPause ended with {status:#x}"));
        }
        let sends = self.ndis(|n| {
            let b = n.bindings.get_mut(&binding)?;
            b.state = EdgeState::Paused;
            Some(b.sends)
        });
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
        if !back {
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
        let status = if told {
            self.restart_event(binding)
        } else {
            self.net_event(binding, NetEventRestart, &[])
        };
        if status != 0 {
            self.violate("PNP-2", format!("NetEventRestart ended with {status:#x}"));
        }
        let nic = self.ndis(|n| {
            n.bindings.get_mut(&binding).map(|b| {
                b.state = EdgeState::Running;
                b.nic
            })
        });
        if let Some(nic) = nic {
            self.nic_kick(nic);
        }
    }

    /// NetEventRestart with `NDIS_PROTOCOL_RESTART_PARAMETERS`.
    fn restart_event(&self, binding: u64) -> i32 {
        const TAG: u32 = u32::from_le_bytes(*b"Rest");
        let Some(config) = self.ndis(|n| {
            let b = n.bindings.get(&binding)?;
            Some(n.nics[b.nic].config.clone())
        }) else {
            return 0;
        };
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut g: NDIS_RESTART_GENERAL_ATTRIBUTES = unsafe { std::mem::zeroed() };
        g.Header = header(
            NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES,
            NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_2,
            size_of::<NDIS_RESTART_GENERAL_ATTRIBUTES>(),
        );
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
        let rss = config.rss.then(|| {
            let caps = config.rss_capabilities();
            let at = self.allocate(
                size_of_val(&caps) as u64,
                TAG,
                "NDIS_RECEIVE_SCALE_CAPABILITIES",
            );
            self.put(at, caps, "NDIS_RECEIVE_SCALE_CAPABILITIES");
            at
        });
        g.RecvScaleCapabilities = rss.unwrap_or(0) as *mut _;
        let data = std::mem::offset_of!(NDIS_RESTART_ATTRIBUTES, Data) as u64;
        let length = size_of::<NDIS_RESTART_GENERAL_ATTRIBUTES>() as u64;
        let list = self.allocate(data + length, TAG, "NDIS_RESTART_ATTRIBUTES");
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut a: NDIS_RESTART_ATTRIBUTES = unsafe { std::mem::zeroed() };
        a.Oid = OID_GEN_MINIPORT_RESTART_ATTRIBUTES;
        a.DataLength = length as u32;
        self.put(list, a, "NDIS_RESTART_ATTRIBUTES");
        self.put(list + data, g, "NDIS_RESTART_GENERAL_ATTRIBUTES");
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

//! One driver on another: the protocol edge of one binds to a virtual miniport of the other.
//!
//! To the driver above, the virtual miniport is an adapter like any: it has an entry among the
//! NICs whose configuration is what the miniport said of itself. What crosses is not copied:
//! the lists of the driver above go into `MiniportSendNetBufferLists` of the driver below and
//! back, and so do received lists the other way; the ledger keeps one record for each edge a
//! list has passed. Requests, statuses and PnP events cross too. NDIS binds the driver above
//! when the miniport is initialised, pauses it before the miniport and unbinds it before the
//! miniport halts.

use lab_net::{Endpoint, Frame};
use ndis_sys::{
    Ieee8021QNetBufferListInfo, NDIS_LINK_STATE, NDIS_MAC_OPTION_8021Q_VLAN, NDIS_OID,
    NDIS_OID_REQUEST, NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_SEND_FLAGS_DISPATCH_LEVEL, NDIS_STATUS,
    NDIS_STATUS_FAILURE, NDIS_STATUS_LINK_STATE, NDIS_STATUS_SUCCESS, NET_PNP_EVENT_CODE,
    NdisRequestMethod, NdisRequestQueryStatistics, NdisRequestSetInformation,
    OID_802_3_CURRENT_ADDRESS, OID_802_3_MAXIMUM_LIST_SIZE, OID_802_3_MULTICAST_LIST,
    OID_802_3_PERMANENT_ADDRESS, OID_GEN_CURRENT_PACKET_FILTER, OID_GEN_MAC_OPTIONS,
    OID_GEN_MAXIMUM_FRAME_SIZE,
};

use super::attributes::MiniportFacts;
use super::binding::BindRequest;
use super::configuration::Value;
use super::judge::{FILTERS, SWITCH};
use super::ledger::{Owner, Path};
use super::list::link;
use super::nbl::info;
use super::nic::{Assist, NicConfig};
use super::oid::{OidCall, OidKind};
use super::tag::Tag;
use super::{EdgeState, Ndis, UpperConfig, filter};
use crate::host::Host;
use crate::vp::DISPATCH;

/// What NDIS answers itself, out of the attributes of the miniport.
const ANSWERED: [NDIS_OID; 5] = [
    OID_802_3_CURRENT_ADDRESS,
    OID_802_3_PERMANENT_ADDRESS,
    OID_802_3_MAXIMUM_LIST_SIZE,
    OID_GEN_MAC_OPTIONS,
    OID_GEN_MAXIMUM_FRAME_SIZE,
];

/// The driver that binds to a virtual miniport.
#[derive(Clone)]
pub(crate) struct Edge {
    /// The entry that the virtual miniport has among the adapters.
    nic: usize,
    /// Service of the driver above.
    service: String,
    /// Values of its binding.
    values: Vec<(String, Value)>,
}

/// The end of no wire.
struct Nothing;

impl Endpoint for Nothing {
    fn on_frame(&mut self, _: u64, _: &[u8]) {}

    fn poll(&mut self, _: u64, _: &mut dyn FnMut(Frame) -> bool) {}

    fn next_poll(&mut self, _: u64) -> Option<u64> {
        None
    }
}

/// The adapter that a miniport is to the driver above.
fn adapter(config: &mut NicConfig, facts: &MiniportFacts, if_index: u32) {
    config.mac = facts.mac;
    config.mtu = facts.mtu;
    config.link_speed = facts.link_speed;
    config.connected = facts.connect_state == ndis_sys::MediaConnectStateConnected.0;
    config.data_backfill = facts.data_backfill;
    config.context_backfill = facts.context_backfill;
    config.vlan_offload = facts.mac_options & NDIS_MAC_OPTION_8021Q_VLAN != 0;
    config.max_multicast = facts.multicast;
    config.rss = facts.rss;
    config.offload = facts.offload;
    config.assist = Assist {
        queues: facts.assist[FILTERS].unwrap_or(0),
        vports: facts.assist[SWITCH].unwrap_or(0),
        ..Assist::default()
    };
    // A virtual miniport wakes nobody (ATR-6).
    config.pm = false;
    config.if_index = if_index;
}

impl Ndis {
    /// The virtual miniport that an adapter is, while there is one.
    fn below(&self, nic: usize) -> Option<u64> {
        self.uppers[self.nics[nic].over?].miniport
    }

    /// The driver bound to a virtual miniport: its protocol and the adapter it sees.
    fn above(&self, miniport: u64) -> Option<(usize, usize)> {
        let m = self.miniports.get(&miniport)?;
        let edge = |&upper: &usize| Some((upper, self.uppers[upper].edge.as_ref()?.nic));
        m.uppers.iter().find_map(edge)
    }
}

impl Host {
    /// Lets the driver of a service bind to a virtual miniport of another driver as soon as
    /// that is initialised; returns the index that the miniport has among the adapters. No
    /// protocol of the host may be above the same device.
    pub fn stack_on(&self, device: &str, service: &str, values: Vec<(String, Value)>) -> usize {
        let device = device.to_uppercase();
        let name = device.strip_prefix("\\DEVICE\\").unwrap_or(&device);
        let config = NicConfig {
            name: name.to_owned(),
            ..NicConfig::default()
        };
        let nic = self.add_nic(config, Box::new(Nothing));
        let config = UpperConfig {
            name: service.to_owned(),
            device,
            ..UpperConfig::default()
        };
        let upper = self.add_upper(config, Box::new(Nothing));
        self.ndis(|n| {
            n.nics[nic].over = Some(upper);
            n.uppers[upper].edge = Some(Edge {
                nic,
                service: service.to_owned(),
                values,
            });
        });
        nic
    }

    /// The bindings on an adapter.
    pub fn bindings_on(&self, nic: usize) -> Vec<u64> {
        self.ndis(|n| {
            let all = n.bindings.iter().filter(|(_, b)| b.nic == nic);
            all.map(|(&handle, _)| handle).collect()
        })
    }

    /// Bindings of the driver above a virtual miniport.
    fn bound_above(&self, miniport: u64) -> Vec<u64> {
        let nic = self.ndis(|n| n.above(miniport).map(|(_, nic)| nic));
        nic.map_or_else(Vec::new, |nic| self.bindings_on(nic))
    }

    /// The adapter that a virtual miniport is takes the miniport's attributes.
    pub(crate) fn show_above(&self, miniport: u64) {
        self.ndis(|n| {
            let Some((_, nic)) = n.above(miniport) else {
                return;
            };
            let m = &n.miniports[&miniport];
            let if_index = n.instances.get(&m.name).map_or(0, |i| i.if_index);
            adapter(&mut n.nics[nic].config, &m.facts, if_index);
        });
    }

    /// NDIS binds the driver above to a virtual miniport, which is paused.
    pub(crate) fn bind_above(&self, miniport: u64) {
        let request = self.ndis(|n| {
            let (upper, nic) = n.above(miniport)?;
            let edge = n.uppers[upper].edge.as_ref()?;
            Some(BindRequest {
                nic,
                values: edge.values.clone(),
                service: Some(edge.service.clone()),
            })
        });
        if let Some(request) = request
            && let Err(status) = self.bind(request)
        {
            self.log(1, "NDIS", format!("the driver above refused: {status:#x}"));
        }
    }

    /// The driver above stops before the miniport is paused.
    pub(crate) fn pause_above(&self, miniport: u64) {
        for binding in self.bound_above(miniport) {
            self.pause_binding(binding);
        }
    }

    /// The driver above goes on when the miniport runs.
    pub(crate) fn restart_above(&self, miniport: u64) {
        for binding in self.bound_above(miniport) {
            self.restart_with(binding, true);
        }
    }

    /// The driver above lets go before the miniport halts.
    pub(crate) fn unbind_above(&self, miniport: u64) {
        for binding in self.bound_above(miniport) {
            self.unbind(binding);
            // Another thread may have been at it.
            self.wait_until("for the unbind above", 100_000, 30_000_000_000, |h| {
                h.binding_state(binding).is_none()
            });
        }
    }

    /// Lists of the driver above go into the driver below; false if this adapter is none.
    pub(crate) fn send_below(&self, nic: usize, binding: u64, lists: &[u64]) -> bool {
        let Some(upper) = self.ndis(|n| n.nics[nic].over) else {
            return false;
        };
        if lists.is_empty() {
            return true;
        }
        for &list in lists {
            let beside = self.get(info(list, Ieee8021QNetBufferListInfo), "8021Q");
            self.check_out_of_band(nic, list, Tag::from_info(beside));
        }
        let found = self.ndis(|n| {
            let miniport = n.below(nic)?;
            let m = n.miniports.get_mut(&miniport)?;
            let flows = matches!(
                m.state,
                EdgeState::Running | EdgeState::Pausing | EdgeState::Restarting
            );
            if !flows || m.asleep {
                return None;
            }
            let (context, driver) = (m.context, m.driver);
            let chars = &n.drivers.get(&driver)?.chars;
            let handler = chars.SendNetBufferListsHandler? as usize as u64;
            if let Some(m) = n.miniports.get_mut(&miniport) {
                m.sends += lists.len() as u64;
            }
            n.nics[nic].mix.sends += lists.len() as u64;
            Some((miniport, context, handler))
        });
        let Some((miniport, context, handler)) = found else {
            let failed: Vec<_> = lists.iter().map(|&list| (list, true)).collect();
            self.complete_sends(binding, &failed);
            return true;
        };
        for &list in lists {
            let path = Path::Send { upper, miniport };
            self.hand_on(list, path, "MiniportSendNetBufferLists");
        }
        let first = link(self, lists);
        let flags = if self.vp().irql() >= DISPATCH {
            NDIS_SEND_FLAGS_DISPATCH_LEVEL
        } else {
            0
        };
        self.call(
            "MiniportSendNetBufferLists",
            miniport,
            handler,
            &[context, first, 0, u64::from(flags)],
        );
        true
    }

    /// Whether this protocol is the edge of another driver.
    pub(crate) fn is_edge(&self, upper: usize) -> bool {
        self.ndis(|n| n.uppers[upper].edge.is_some())
    }

    /// Lists of the driver above that the driver below has completed go on to it.
    pub(crate) fn complete_above(&self, lists: &[(u64, i32)]) {
        let mut rest: Vec<(u64, u64, i32)> = self.ndis(|n| {
            let from = |&(list, status): &(u64, i32)| match n.ledger.lists.get(&list)?.owner {
                Owner::Below(binding) => Some((binding, list, status)),
                Owner::Driver | Owner::Above(_) => None,
            };
            lists.iter().filter_map(from).collect()
        });
        while let Some(&(binding, ..)) = rest.first() {
            let mine = rest.extract_if(.., |r| r.0 == binding);
            let done: Vec<_> = mine.map(|(_, list, status)| (list, status)).collect();
            self.complete_with(binding, &done);
        }
    }

    /// Lists that the driver below indicates go on to the driver above, as far as its filter
    /// asks for them. `None`: no driver is above. Else those that it has not kept.
    pub(crate) fn receive_above(
        &self,
        miniport: u64,
        lists: &[u64],
        frames: &[Vec<u8>],
        flags: u32,
    ) -> Option<Vec<u64>> {
        let lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
        let (nic, found) = self.ndis(|n| {
            let (_, nic) = n.above(miniport)?;
            let mac = n.nics[nic].config.mac;
            let running = |b: &super::binding::Binding| b.state == EdgeState::Running && !b.asleep;
            let bound = n
                .bindings
                .iter_mut()
                .find(|(_, b)| b.nic == nic && running(b));
            let Some((&binding, b)) = bound else {
                return Some((nic, None));
            };
            let wants = |frame: &Vec<u8>| {
                frame.len() < 6 || filter::wants(b.packet_filter, mac, &b.multicast, frame)
            };
            let wanted: Vec<bool> = frames.iter().map(wants).collect();
            let count = wanted.iter().filter(|&&w| w).count() as u64;
            b.receives += count;
            let (context, protocol) = (b.context, b.protocol);
            let chars = &n.protocols.get(&protocol)?.chars;
            let handler = chars.ReceiveNetBufferListsHandler? as usize as u64;
            n.nics[nic].mix.receives += count;
            n.nics[nic].mix.filtered += wanted.len() as u64 - count;
            Some((nic, Some((binding, context, handler, wanted))))
        })?;
        let Some((binding, context, handler, wanted)) = found else {
            return Some(lists.to_vec());
        };
        let part = |which: bool| -> Vec<u64> {
            let mine = lists.iter().zip(&wanted).filter(|(_, w)| **w == which);
            mine.map(|(&list, _)| list).collect()
        };
        let (up, back) = (part(true), part(false));
        if up.is_empty() {
            return Some(back);
        }
        for &list in &up {
            let path = Path::Receive { nic, binding, lent };
            self.hand_on(list, path, "ProtocolReceiveNetBufferLists");
        }
        let first = link(self, &up);
        self.call(
            "ProtocolReceiveNetBufferLists",
            binding,
            handler,
            &[context, first, 0, up.len() as u64, u64::from(flags)],
        );
        if !lent {
            return Some(back);
        }
        self.settle_lent(first, &up);
        self.ndis(|n| {
            if let Some(b) = n.bindings.get_mut(&binding) {
                b.receives = b.receives.saturating_sub(up.len() as u64);
            }
        });
        // RCV-2: the driver below finds its chain as it was.
        link(self, lists);
        Some(lists.to_vec())
    }

    /// Lists that the driver above returned go back into the driver below; false if this
    /// adapter is no virtual miniport.
    pub(crate) fn return_below(&self, nic: usize, lists: &[u64]) -> bool {
        let Some(upper) = self.ndis(|n| n.nics[nic].over) else {
            return false;
        };
        if let Some(miniport) = self.ndis(|n| n.uppers[upper].miniport) {
            self.give_up(miniport, lists);
        }
        true
    }

    /// A status of the driver below reaches the driver above.
    pub(crate) fn status_above(&self, miniport: u64, code: NDIS_STATUS, bytes: &[u8]) {
        let Some((_, nic)) = self.ndis(|n| n.above(miniport)) else {
            return;
        };
        if code == NDIS_STATUS_LINK_STATE && bytes.len() >= size_of::<NDIS_LINK_STATE>() {
            // SAFETY: as many bytes of plain data are there, whatever their alignment.
            let link = unsafe { bytes.as_ptr().cast::<NDIS_LINK_STATE>().read_unaligned() };
            self.ndis(|n| {
                let config = &mut n.nics[nic].config;
                config.connected = link.MediaConnectState == ndis_sys::MediaConnectStateConnected;
                config.link_speed = link.XmitLinkSpeed;
            });
        }
        self.nic_status(nic, code.0, bytes);
    }

    /// An event that the driver below passes on reaches the driver above: its answer, or
    /// `None` if there is none.
    pub(crate) fn event_above(
        &self,
        miniport: u64,
        code: NET_PNP_EVENT_CODE,
        buffer: &[u8],
    ) -> Option<i32> {
        self.ndis(|n| n.above(miniport))?;
        let mut answer = NDIS_STATUS_SUCCESS.0;
        for binding in self.bound_above(miniport) {
            let status = self.pnp_event(binding, code, buffer);
            if status != 0 {
                answer = status;
            }
        }
        Some(answer)
    }

    /// The device context of the virtual miniport that a binding of the driver above leads to.
    pub(crate) fn context_below(&self, binding: u64) -> Option<u64> {
        self.ndis(|n| {
            let miniport = n.below(n.bindings.get(&binding)?.nic)?;
            n.miniports.get(&miniport).map(|m| m.device_context)
        })
    }

    /// Whether an adapter is a virtual miniport.
    pub(crate) fn is_stacked(&self, nic: usize) -> bool {
        self.ndis(|n| n.nics[nic].over.is_some())
    }

    /// Cancels sends of the driver above at the driver below; false if the adapter is none.
    pub(crate) fn cancel_below(&self, nic: usize, id: u64) -> bool {
        let Some(upper) = self.ndis(|n| n.nics[nic].over) else {
            return false;
        };
        self.cancel_sends(upper, id);
        true
    }

    /// Executes a request of the driver above at the driver below; writes what it answered
    /// into the request and returns the status. `PASSIVE_LEVEL`; waits.
    pub(crate) fn oid_below(&self, nic: usize, binding: u64, request: u64, direct: bool) -> i32 {
        let mut r: NDIS_OID_REQUEST = self.get(request, "OidRequest");
        // SAFETY: the OID is the first word of every view.
        let oid = unsafe { r.DATA.Oid };
        let set = r.RequestType == NdisRequestSetInformation;
        if !set && ANSWERED.contains(&oid) {
            return self.adapter_oid(nic, binding, request);
        }
        let Some(miniport) = self.ndis(|n| n.below(nic)) else {
            return NDIS_STATUS_FAILURE.0;
        };
        // SAFETY: every view of the union is plain data; the request's type says which is meant.
        let (at, input, output) = unsafe {
            if set {
                let v = r.DATA.SET_INFORMATION;
                (v.InformationBuffer as u64, v.InformationBufferLength, 0)
            } else if r.RequestType == NdisRequestMethod {
                let v = r.DATA.METHOD_INFORMATION;
                (
                    v.InformationBuffer as u64,
                    v.InputBufferLength,
                    v.OutputBufferLength,
                )
            } else {
                let v = r.DATA.QUERY_INFORMATION;
                (v.InformationBuffer as u64, 0, v.InformationBufferLength)
            }
        };
        let mut buffer = if input == 0 {
            Vec::new()
        } else {
            self.get_bytes(at, input as usize, "InformationBuffer")
        };
        buffer.resize(input.max(output) as usize, 0);
        let call = OidCall {
            kind: if set {
                OidKind::Set
            } else if r.RequestType == NdisRequestMethod {
                OidKind::Method
            } else if r.RequestType == NdisRequestQueryStatistics {
                OidKind::Statistics
            } else {
                OidKind::Query
            },
            oid: oid.0,
            buffer,
            input,
            output,
            misalign: 0,
            direct,
            cancel_after: None,
        };
        let reply = self.oid(miniport, &call);
        // Only writes; the view is the one that was read.
        if set {
            r.DATA.SET_INFORMATION.BytesRead = reply.read;
            r.DATA.SET_INFORMATION.BytesNeeded = reply.needed;
        } else if r.RequestType == NdisRequestMethod {
            r.DATA.METHOD_INFORMATION.BytesRead = reply.read;
            r.DATA.METHOD_INFORMATION.BytesWritten = reply.written;
            r.DATA.METHOD_INFORMATION.BytesNeeded = reply.needed;
        } else {
            r.DATA.QUERY_INFORMATION.BytesWritten = reply.written;
            r.DATA.QUERY_INFORMATION.BytesNeeded = reply.needed;
        }
        self.put(request, r, "OidRequest");
        let written = reply.written.min(output) as usize;
        if let Some(bytes) = reply.buffer.get(..written) {
            for (i, byte) in bytes.iter().enumerate() {
                self.put(at + i as u64, *byte, "InformationBuffer");
            }
        }
        if set && reply.status == 0 {
            self.note_set(binding, oid, &call.buffer);
        }
        reply.status
    }

    /// NDIS filters for the binding by what was set on it.
    fn note_set(&self, binding: u64, oid: NDIS_OID, value: &[u8]) {
        self.ndis(|n| {
            let Some(b) = n.bindings.get_mut(&binding) else {
                return;
            };
            match oid {
                OID_GEN_CURRENT_PACKET_FILTER => {
                    if let Some(filter) = value.first_chunk::<4>() {
                        b.packet_filter = u32::from_le_bytes(*filter);
                    }
                }
                OID_802_3_MULTICAST_LIST => b.multicast = value.to_vec(),
                _ => {}
            }
        });
    }
}

//! Bind, open, close, unbind: the lower edge of the driver meets a NIC.

use std::collections::BTreeSet;

use ndis_sys::{
    NDIS_BIND_PARAMETERS, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_BIND_PARAMETERS,
    NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS, NDIS_STATUS,
    NDIS_STATUS_ADAPTER_NOT_FOUND, NDIS_STATUS_FAILURE, NDIS_STATUS_INVALID_PARAMETER,
    NDIS_STATUS_PENDING, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, NDIS_STATUS_UNSUPPORTED_MEDIA,
    NdisMedium802_3,
};

use super::EdgeState;
use super::configuration::Value;
use super::handed::Handed;
use super::nic::NicConfig;
use super::serving::names_above;
use crate::api::api;
use crate::engine::Job;
use crate::handle::Kind;
use crate::host::Host;

/// `NDIS_STATUS_PENDING`, as callbacks return it.
pub(crate) const PENDING: i32 = NDIS_STATUS_PENDING.0;
const TAG: u32 = u32::from_le_bytes(*b"Bind");
/// `NDIS_MAX_FRAME_TYPES_PER_OPEN`.
const MAX_FRAME_TYPES: u32 = 16;
/// The longest that a close waits for status handlers that run, in nanoseconds.
const CLOSE_LIMIT: u64 = 10_000_000_000;

/// What a bind is asked for.
#[derive(Clone, Debug, Default)]
pub struct BindRequest {
    /// Which NIC.
    pub nic: usize,
    /// Values of the binding's registry key: `UpperBindings` and whatever the topology says.
    pub values: Vec<(String, Value)>,
    /// Whose protocol edge; `None`: that of the driver that registered first.
    pub service: Option<String>,
}

/// A bind under way.
pub(crate) struct Bind {
    pub(crate) nic: usize,
    pub(crate) values: Vec<(String, Value)>,
    pub(crate) parameters: u64,
    pub(crate) adapter_name: String,
    /// Binding opened during this bind.
    pub(crate) opened: Option<u64>,
    /// Status from NdisCompleteBindAdapterEx.
    pub(crate) completed: Option<i32>,
    /// Status the handler returned.
    pub(crate) returned: Option<i32>,
    /// How the open failed.
    pub(crate) open_failed: Option<i32>,
    /// Devices asked for while the bind was under way, in capitals.
    pub(crate) asked: BTreeSet<String>,
}

/// An open binding.
pub(crate) struct Binding {
    pub(crate) protocol: u64,
    pub(crate) nic: usize,
    /// ProtocolBindingContext.
    pub(crate) context: u64,
    pub(crate) state: EdgeState,
    pub(crate) values: Vec<(String, Value)>,
    /// Lists that went down and did not come back.
    pub(crate) sends: u64,
    /// Lists that went up and did not come back.
    pub(crate) receives: u64,
    /// OIDs the driver issued that are not complete.
    pub(crate) oids: u64,
    pub(crate) packet_filter: u32,
    pub(crate) multicast: Vec<u8>,
    pub(crate) closed: bool,
    pub(crate) opened: bool,
    /// Not in D0.
    pub(crate) asleep: bool,
    /// Crossings when the driver had answered that it knows.
    pub(crate) sleep_told: u64,
    /// It was told of a reset of its adapter.
    pub(crate) reset_told: bool,
    /// A reset ended while it was being unbound.
    pub(crate) reset_at_end: bool,
    /// The miniports, in capitals, that its `UpperBindings` listed when it was made.
    pub(crate) listed: Vec<String>,
    pub(crate) unbinding: bool,
    /// Crossings when the pause event's handler had returned.
    pub(crate) pause_seen: Option<u64>,
    /// It was restarted since it was opened.
    pub(crate) restarted: bool,
    /// Statuses that the driver is told right now.
    pub(crate) telling: u32,
    /// Wake-up patterns and protocol offloads that the driver added and has to take back.
    pub(crate) wake: BTreeSet<u32>,
    /// The adapter's MTU, interface index and link when it was opened.
    pub(crate) told: (u32, u32, bool),
    /// When it was paused last.
    pub(crate) paused_at: Option<u64>,
}

impl Binding {
    /// A binding that is being opened.
    pub(crate) fn new(
        protocol: u64,
        nic: usize,
        context: u64,
        values: Vec<(String, Value)>,
        told: (u32, u32, bool),
    ) -> Self {
        let listed = super::serving::names_above(&values);
        let listed = listed.iter().map(|name| name.to_uppercase()).collect();
        Self {
            protocol,
            nic,
            context,
            state: EdgeState::Initializing,
            values,
            sends: 0,
            receives: 0,
            oids: 0,
            packet_filter: 0,
            multicast: Vec::new(),
            closed: false,
            opened: false,
            asleep: false,
            sleep_told: 0,
            reset_told: false,
            reset_at_end: false,
            listed,
            unbinding: false,
            pause_seen: None,
            restarted: false,
            telling: 0,
            wake: BTreeSet::new(),
            told,
            paused_at: None,
        }
    }
}

/// Header of a structure the host hands out.
pub(crate) const fn header(kind: u8, revision: u8, size: usize) -> NDIS_OBJECT_HEADER {
    NDIS_OBJECT_HEADER {
        Type: kind,
        Revision: revision,
        Size: size as u16,
    }
}

impl Host {
    /// Binds the driver's protocol edge to a NIC; returns the binding.
    ///
    /// # Errors
    /// The driver's status when it refused.
    pub fn bind(&self, request: BindRequest) -> Result<u64, i32> {
        let found = self.ndis(|n| {
            let mut all = n.protocols.iter();
            let (&h, p) = match &request.service {
                None => all.next()?,
                Some(service) => all.find(|(_, p)| p.name.eq_ignore_ascii_case(service))?,
            };
            Some((h, p.context, p.chars.BindAdapterHandlerEx? as usize as u64))
        });
        let Some((protocol, context, handler)) = found else {
            return Err(NDIS_STATUS_FAILURE.0);
        };
        let config = self.ndis(|n| n.nics[request.nic].config.clone());
        let name = format!("\\DEVICE\\{}", config.name);
        let parameters = self.bind_parameters(&config, &name, protocol);
        let bind = self.ndis(|n| {
            let h = n.handles.open(Kind::Bind);
            n.binds.insert(
                h,
                Bind {
                    nic: request.nic,
                    values: request.values,
                    parameters: parameters[0],
                    adapter_name: name,
                    opened: None,
                    completed: None,
                    returned: None,
                    open_failed: None,
                    asked: BTreeSet::new(),
                },
            );
            h
        });
        self.disturb();
        let injected = self.injected();
        let status = self.call(
            "ProtocolBindAdapterEx",
            bind,
            handler,
            &[context, bind, parameters[0]],
        ) as u32 as i32;
        self.ndis(|n| n.binds.get_mut(&bind).expect("bind").returned = Some(status));
        let status = if status == PENDING {
            self.wait_until(
                "for NdisCompleteBindAdapterEx",
                1_000_000,
                u64::MAX / 2,
                |h| h.ndis(|n| n.binds[&bind].completed.is_some()),
            );
            self.ndis(|n| n.binds[&bind].completed.unwrap_or(NDIS_STATUS_FAILURE.0))
        } else {
            if self.ndis(|n| n.binds[&bind].completed.is_some()) {
                self.violate(
                    "BND-5",
                    format!("a bind that returned {status:#x} was completed as well"),
                );
            }
            status
        };
        let record = self.ndis(|n| {
            n.handles.close(bind);
            n.binds.remove(&bind).expect("bind")
        });
        for block in parameters {
            self.release(block);
        }
        self.disturb();
        self.members_changed();
        self.judge_bind(bind, &record, status, self.injected() != injected);
        let open = record
            .opened
            .filter(|b| self.ndis(|n| n.bindings.get(b).is_some_and(|b| !b.closed)));
        match (status, open) {
            (0, Some(binding)) => {
                if !self.ndis(|n| n.bindings[&binding].opened) {
                    self.violate(
                        "BND-6",
                        "the bind succeeded before the open was complete".into(),
                    );
                }
                Ok(binding)
            }
            (0, None) => {
                self.violate("BND-6", "the bind succeeded without an open adapter".into());
                Err(NDIS_STATUS_FAILURE.0)
            }
            (_, Some(binding)) => {
                self.violate(
                    "BND-8",
                    format!("the bind failed with {status:#x} and left the adapter open"),
                );
                self.ndis(|n| {
                    n.bindings.remove(&binding);
                    n.handles.close(binding);
                });
                Err(status)
            }
            (_, None) => Err(status),
        }
    }

    /// `NDIS_BIND_PARAMETERS` and all it points to; the first block is the structure.
    fn bind_parameters(&self, config: &NicConfig, name: &str, protocol: u64) -> Vec<u64> {
        let (service, minor) = self.ndis(|n| {
            let service = n.protocols[&protocol].name.clone();
            (service, n.minor_of_protocol(protocol))
        });
        let section = self.unicode(&format!("{service}\\Parameters\\Adapters\\{}", config.name));
        let adapter = self.unicode(name);
        let bound = self.unicode(name);
        let mut blocks = vec![section, adapter, bound];
        let (old_pm, pm) = if config.pm {
            self.hand_power(minor, &config.pm_capabilities(), TAG)
        } else {
            (0, 0)
        };
        let rss = if config.rss {
            let caps = config.rss_capabilities();
            let name = "NDIS_RECEIVE_SCALE_CAPABILITIES";
            self.hand(Handed::Rss, minor, &caps, TAG, name)
        } else {
            0
        };
        let offload = if config.offload {
            let caps = config.offload_capabilities();
            self.hand(Handed::Offload, minor, &caps, TAG, "NDIS_OFFLOAD")
        } else {
            0
        };
        let assist = if minor >= 20 {
            (config.assist.filters(true), config.assist.switch(true))
        } else {
            (None, None) // no members for them, nor structures
        };
        let name = "NDIS_RECEIVE_FILTER_CAPABILITIES";
        let filters = (assist.0).map_or(0, |c| self.hand(Handed::Filters, minor, &c, TAG, name));
        let name = "NDIS_NIC_SWITCH_CAPABILITIES";
        let switch = (assist.1).map_or(0, |c| self.hand(Handed::Switch, minor, &c, TAG, name));
        let all = [old_pm, pm, rss, offload, filters, switch];
        blocks.extend(all.into_iter().filter(|&at| at != 0));
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut p: NDIS_BIND_PARAMETERS = unsafe { std::mem::zeroed() };
        p.Header = Handed::Bind.header(NDIS_OBJECT_TYPE_BIND_PARAMETERS, minor);
        p.ProtocolSection = section as *mut _;
        p.AdapterName = adapter as *mut _;
        p.BoundAdapterName = bound as *mut _;
        p.MediaType = NdisMedium802_3;
        p.PhysicalMediumType = config.physical_medium();
        p.MtuSize = config.mtu;
        p.MaxXmitLinkSpeed = config.link_speed;
        p.XmitLinkSpeed = config.link_speed;
        p.MaxRcvLinkSpeed = config.link_speed;
        p.RcvLinkSpeed = config.link_speed;
        p.MediaConnectState = config.connect_state();
        p.MediaDuplexState = ndis_sys::MediaDuplexStateFull;
        p.LookaheadSize = config.mtu;
        p.SupportedPacketFilters = config.packet_filters();
        p.MaxMulticastListSize = config.max_multicast;
        p.MacAddressLength = 6;
        p.CurrentMacAddress[..6].copy_from_slice(&config.mac);
        p.BoundIfIndex = config.if_index;
        p.LowestIfIndex = config.if_index;
        p.AccessType = ndis_sys::NET_IF_ACCESS_BROADCAST;
        p.DirectionType = ndis_sys::NET_IF_DIRECTION_SENDRECEIVE;
        p.ConnectionType = ndis_sys::NET_IF_CONNECTION_DEDICATED;
        p.IfType = 6;
        p.IfConnectorPresent = 1;
        p.DataBackFillSize = config.data_backfill;
        p.ContextBackFillSize = config.context_backfill;
        p.MacOptions = config.mac_options();
        p.CompartmentId = ndis_sys::NET_IF_COMPARTMENT_ID_PRIMARY;
        p.PowerManagementCapabilities = old_pm as *mut _;
        p.PowerManagementCapabilitiesEx = pm as *mut _;
        p.RcvScaleCapabilities = rss as *mut _;
        p.DefaultOffloadConfiguration = offload as *mut _;
        p.ReceiveFilterCapabilities = filters as *mut _;
        p.NicSwitchCapabilities = switch as *mut _;
        let name = "NDIS_BIND_PARAMETERS";
        blocks.insert(0, self.hand(Handed::Bind, minor, &p, TAG, name));
        blocks
    }

    /// Unbinds: pause, `ProtocolUnbindAdapterEx`, and all that follows from it.
    pub fn unbind(&self, binding: u64) {
        let found = self.ndis(|n| {
            let b = n.bindings.get_mut(&binding)?;
            if b.unbinding {
                return None;
            }
            b.unbinding = true;
            let p = &n.protocols[&b.protocol];
            Some((b.context, p.chars.UnbindAdapterHandlerEx? as usize as u64))
        });
        let Some((context, handler)) = found else {
            // Somebody is at it: it is over when that is.
            self.wait_until("for the unbind under way", 10_000, 60_000_000_000, |h| {
                h.ndis(|n| !n.bindings.contains_key(&binding) && !n.leaving.contains_key(&binding))
            });
            return;
        };
        let devices = self.upper_bindings(binding);
        let served: Vec<(String, u64)> = devices
            .iter()
            .filter_map(|name| Some((name.clone(), self.miniport(name)?)))
            .collect();
        let below = self.ndis(|n| n.nics[n.bindings[&binding].nic].config.if_index);
        self.ndis(|n| n.leaving.insert(binding, devices.clone()));
        self.pause_binding(binding);
        let unbind = self.ndis(|n| {
            let h = n.handles.open(Kind::Unbind);
            n.unbinds.insert(h, None);
            h
        });
        let status = self.call(
            "ProtocolUnbindAdapterEx",
            binding,
            handler,
            &[unbind, context],
        ) as u32 as i32;
        if status == PENDING {
            self.wait_until(
                "for NdisCompleteUnbindAdapterEx",
                1_000_000,
                u64::MAX / 2,
                |h| h.ndis(|n| n.unbinds[&unbind].is_some()),
            );
        } else if status != 0 {
            self.violate(
                "UNB-1",
                format!("ProtocolUnbindAdapterEx returned {status:#x}"),
            );
        }
        let closed = self.ndis(|n| {
            n.unbinds.remove(&unbind);
            n.handles.close(unbind);
            n.bindings.get(&binding).is_none_or(|b| b.closed)
        });
        self.disturb();
        self.judge_unbound(binding);
        self.members_changed();
        // The close may pend; what asked for it has to wait for its end.
        if closed && self.ndis(|n| n.bindings.contains_key(&binding)) {
            self.violate(
                "UNB-2",
                "the unbind ended before the close was complete".into(),
            );
        }
        self.ndis(|n| n.leaving.remove(&binding));
        // Where several adapters serve one device, the last one that goes takes it along.
        let unserved = |name: &str| !self.ndis(|n| n.is_served(name));
        let requested = devices
            .iter()
            .filter(|d| unserved(d) && self.device_is_requested(d));
        if let Some(device) = requested.last() {
            self.violate(
                "CAN-1",
                format!("{device} is still requested when the unbind of its adapter ends"),
            );
        }
        for (device, miniport) in &served {
            let alone = !self.ndis(|n| n.rests_on_others(device, binding));
            if alone && unserved(device) && self.miniport(device) == Some(*miniport) {
                self.violate(
                    "UNB-7",
                    format!("{device} is still there when the unbind of its last adapter ends"),
                );
            }
        }
        self.no_stack_entry("unbind", |&(_, lower)| lower == below);
        if !closed {
            self.violate(
                "UNB-2",
                "the unbind ended and the adapter is not closed".into(),
            );
            self.ndis(|n| {
                n.bindings.remove(&binding);
                n.handles.close(binding);
            });
        }
    }

    /// Names in a binding's `UpperBindings`, and in `UpperBindings2` to `UpperBindings9`, in
    /// which a list goes on that is too long for one value.
    pub fn upper_bindings(&self, binding: u64) -> Vec<String> {
        self.ndis(|n| {
            let b = n.bindings.get(&binding);
            b.map_or_else(Vec::new, |b| names_above(&b.values))
        })
    }

    /// The bindings that serve a device now, by their `UpperBindings`: the members of a team.
    pub fn bindings_of(&self, device: &str) -> Vec<u64> {
        self.ndis(|n| n.serving(device).collect())
    }

    /// Changes a binding's `UpperBindings` and tells the driver, as Windows does when virtual
    /// devices are added or removed. Returns how the event ended.
    pub fn set_upper_bindings(&self, binding: u64, names: Vec<String>) -> i32 {
        let value = ("UpperBindings".to_owned(), Value::Strings(names));
        self.set_binding_values(binding, vec![value]);
        self.reconfigure(Some(binding))
    }

    /// Bindings that are open.
    pub fn bindings(&self) -> Vec<u64> {
        self.ndis(|n| n.bindings.keys().copied().collect())
    }

    /// State of a binding.
    pub fn binding_state(&self, binding: u64) -> Option<EdgeState> {
        self.ndis(|n| n.bindings.get(&binding).map(|b| b.state))
    }

    /// The packet filter the driver set on a binding, 0 if it is gone.
    pub fn binding_filter(&self, binding: u64) -> u32 {
        self.ndis(|n| n.bindings.get(&binding).map_or(0, |b| b.packet_filter))
    }

    fn finish_open(&self, binding: u64) {
        self.ndis(|n| {
            let b = n.bindings.get_mut(&binding).expect("binding");
            b.opened = true;
            b.state = EdgeState::Paused;
        });
    }

    fn finish_close(&self, binding: u64) {
        // No callback of the binding runs when its close is complete.
        self.wait_until(
            "status handlers of a closing binding",
            1_000,
            CLOSE_LIMIT,
            |h| h.ndis(|n| n.bindings.get(&binding).is_none_or(|b| b.telling == 0)),
        );
        self.ndis(|n| {
            n.bindings.remove(&binding);
            n.handles.close(binding);
            n.configurations.retain(|_, c| c.owner != binding);
        });
    }
}

api! { exports:
    /// Opens the adapter of a bind.
    "ndis.sys" 0..=0 "IRQ-2"
    fn NdisOpenAdapterEx(host, protocol: u64, context: u64, parameters: u64, bind: u64,
        out: u64) -> NDIS_STATUS {
        if !host.check("NdisProtocolHandle", protocol, Kind::ProtocolDriver) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if !host.check("BindContext", bind, Kind::Bind) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let p: NDIS_OPEN_PARAMETERS = host.get(parameters, "OpenParameters");
        if p.Header.Type != NDIS_OBJECT_TYPE_OPEN_PARAMETERS || p.Header.Revision != 1 {
            host.violate("BND-2", format!("OpenParameters has type {:#x} revision {}", p.Header.Type, p.Header.Revision));
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if p.MediumArraySize == 0 || p.SelectedMediumIndex.is_null() {
            host.violate("BND-2", "the medium array is empty or SelectedMediumIndex is NULL".into());
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if p.FrameTypeArraySize > MAX_FRAME_TYPES {
            host.violate("BND-2", format!("{} frame types, at most {MAX_FRAME_TYPES} are allowed", p.FrameTypeArraySize));
        }
        let name = host.get_string(p.AdapterName as u64, "AdapterName");
        let (nic, wanted, values) = host.ndis(|n| {
            let b = &n.binds[&bind];
            (b.nic, b.adapter_name.clone(), b.values.clone())
        });
        if name != wanted {
            host.violate("BND-2", format!("AdapterName is {name:?}, the bind is for {wanted:?}"));
            return NDIS_STATUS_ADAPTER_NOT_FOUND;
        }
        let mut index = None;
        for i in 0..p.MediumArraySize.min(32) {
            let medium: i32 = host.get(p.MediumArray as u64 + 4 * u64::from(i), "MediumArray");
            if medium == NdisMedium802_3.0 {
                index = Some(i);
                break;
            }
        }
        let Some(index) = index else {
            host.ndis(|n| n.binds.get_mut(&bind).expect("bind").open_failed = Some(NDIS_STATUS_UNSUPPORTED_MEDIA.0));
            return NDIS_STATUS_UNSUPPORTED_MEDIA;
        };
        if host.fails("NdisOpenAdapterEx") {
            host.ndis(|n| n.binds.get_mut(&bind).expect("bind").open_failed = Some(NDIS_STATUS_RESOURCES.0));
            let handler = host.ndis(|n| n.protocols.get(&protocol).and_then(|p| p.chars.OpenAdapterCompleteHandlerEx));
            // A failure, too, may come at once or later.
            let pends = host.engine().random(2) == 0;
            let before = host.callbacks("ProtocolOpenAdapterCompleteEx").0;
            if let Some(handler) = handler
                && host.later(pends)
            {
                host.spawn_after(host.takes(5_000), Job::thread("open fails", move |host| {
                    let status = u64::from(NDIS_STATUS_RESOURCES.0 as u32);
                    host.call("ProtocolOpenAdapterCompleteEx", bind, handler as usize as u64, &[context, status]);
                }));
                host.let_finish(|h| h.callbacks("ProtocolOpenAdapterCompleteEx").0 > before);
                return NDIS_STATUS_PENDING;
            }
            return NDIS_STATUS_RESOURCES;
        }
        let binding = host.ndis(|n| {
            let h = n.handles.open(Kind::Binding);
            let config = &n.nics[nic].config;
            let told = (config.mtu, config.if_index, config.connected);
            n.bindings.insert(h, Binding::new(protocol, nic, context, values, told));
            n.binds.get_mut(&bind).expect("bind").opened = Some(h);
            h
        });
        let selected = p.SelectedMediumIndex as u64;
        // Half of the opens pend (BND-3): the results are written when they complete.
        let pends = host.engine().random(2) == 0;
        let before = host.callbacks("ProtocolOpenAdapterCompleteEx").0;
        if host.later(pends) {
            // Whatever reads it before its time finds what is no binding.
            let early = host.ndis(|n| n.handles.open(Kind::Opening));
            host.put(out, early, "NdisBindingHandle");
            host.spawn_after(host.takes(5_000), Job::thread("open completes", move |host| {
                host.ndis(|n| n.handles.close(early));
                host.put(selected, index, "SelectedMediumIndex");
                host.put(out, binding, "NdisBindingHandle");
                host.finish_open(binding);
                let handler = host.ndis(|n| n.protocols.get(&protocol).and_then(|p| p.chars.OpenAdapterCompleteHandlerEx));
                if let Some(handler) = handler {
                    host.call("ProtocolOpenAdapterCompleteEx", binding, handler as usize as u64, &[context, 0]);
                }
            }));
            host.let_finish(|h| h.callbacks("ProtocolOpenAdapterCompleteEx").0 > before);
            return NDIS_STATUS_PENDING;
        }
        host.put(selected, index, "SelectedMediumIndex");
        host.put(out, binding, "NdisBindingHandle");
        host.finish_open(binding);
        NDIS_STATUS_SUCCESS
    }

    /// Ends a bind that pended.
    "ndis.sys" 0..=2 "IRQ-2"
    fn NdisCompleteBindAdapterEx(host, bind: u64, status: i32) {
        if !host.check("BindAdapterContext", bind, Kind::Bind) {
            return;
        }
        let wrong = host.ndis(|n| {
            let b = n.binds.get_mut(&bind).expect("bind");
            let wrong = b.completed.is_some() || b.returned.is_some_and(|r| r != PENDING);
            b.completed = Some(status);
            wrong
        });
        if wrong {
            host.violate("BND-5", "a bind is completed twice, or after it returned a final status".into());
        }
    }

    /// Closes a binding.
    "ndis.sys" 0..=0 "IRQ-2"
    fn NdisCloseAdapterEx(host, binding: u64) -> NDIS_STATUS {
        if !host.check("NdisBindingHandle", binding, Kind::Binding) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if host.ndis(|n| n.ledger.cancelling.contains_key(&binding)) {
            host.violate("SND-15", format!("NdisCloseAdapterEx of {binding:#x} while NdisCancelSendNetBufferLists runs on it"));
            return NDIS_STATUS_SUCCESS;
        }
        let now = host.now();
        let (again, sends, receives, filter, multicast, wake) = host.ndis(|n| {
            n.ledger.last_close = now;
            let b = n.bindings.get_mut(&binding).expect("binding");
            let again = b.closed;
            b.closed = true;
            b.state = EdgeState::Closing;
            (again, b.sends, b.receives, b.packet_filter, b.multicast.len(), b.wake.len())
        });
        if again {
            host.violate("UNB-2", "NdisCloseAdapterEx is called twice".into());
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let allowed = host.ndis(|n| n.bindings[&binding].unbinding || n.binds.values().any(|b| b.opened == Some(binding)));
        if !allowed {
            host.violate("UNB-3", "NdisCloseAdapterEx outside bind and unbind".into());
        }
        let (clones, own) = host.oids_out(binding);
        if own > 0 {
            host.violate("OID-17", format!("{own} requests of the driver's own are out at NdisCloseAdapterEx"));
        }
        if sends + receives + clones as u64 > 0 {
            host.violate("UNB-5", format!("{sends} sends, {receives} receives and {clones} clones are out at NdisCloseAdapterEx"));
        }
        let left = host.ndis(|n| {
            let above = n.above_of(binding);
            let mut names = above.iter().map(|m| n.miniports[m].name.clone());
            names.find(|name| n.serving(name).next().is_none() && !n.rests_on_others(name, binding) && n.bindings[&binding].restarted)
        });
        if let Some(name) = left {
            host.violate("UNB-7", format!("the last adapter of {name} is closed before it is taken down"));
        }
        // RST-2 forbids to clear them while the adapter resets.
        let (resetting, asleep) = host.ndis(|n| {
            let b = &n.bindings[&binding];
            (n.nics[b.nic].in_reset || b.reset_at_end, b.asleep)
        });
        // PBS-5: asleep it takes none; and a request that was made to fail is not the driver's fault.
        let excused = resetting || asleep || host.injected() > 0;
        if !excused && (filter != 0 || multicast != 0 || wake != 0) {
            host.violate("UNB-4", format!("packet filter {filter:#x}, {multicast} bytes of multicast list and {wake} wake-up patterns or offloads are still set"));
        }
        let pends = host.engine().random(2) == 0;
        if host.later(pends) {
            let found = host.ndis(|n| {
                let b = &n.bindings[&binding];
                n.protocols.get(&b.protocol).and_then(|p| p.chars.CloseAdapterCompleteHandlerEx).map(|h| (h as usize as u64, b.context))
            });
            if let Some((handler, context)) = found {
                host.late_status(binding);
                let before = host.callbacks("ProtocolCloseAdapterCompleteEx").0;
                host.spawn_after(host.takes(5_000), Job::thread("close completes", move |host| {
                    host.finish_close(binding);
                    host.call("ProtocolCloseAdapterCompleteEx", binding, handler, &[context]);
                }));
                host.let_finish(|h| h.callbacks("ProtocolCloseAdapterCompleteEx").0 > before);
                return NDIS_STATUS_PENDING;
            }
        }
        host.finish_close(binding);
        NDIS_STATUS_SUCCESS
    }

    /// Ends an unbind that pended.
    "ndis.sys" 0..=2 "IRQ-2"
    fn NdisCompleteUnbindAdapterEx(host, unbind: u64) {
        if !host.check("UnbindContext", unbind, Kind::Unbind) {
            return;
        }
        let again = host.ndis(|n| n.unbinds.insert(unbind, Some(0)).flatten().is_some());
        if again {
            host.violate("UNB-1", "an unbind is completed twice".into());
        }
    }

    /// Name of the adapter of a bind; the caller frees its buffer (BND-16).
    "ndis.sys" 0..=2 "IRQ-2"
    fn NdisQueryBindInstanceName(host, out: u64, bind: u64) -> NDIS_STATUS {
        if !host.check("BindingContext", bind, Kind::Bind) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if host.fails("NdisQueryBindInstanceName") {
            return NDIS_STATUS_RESOURCES;
        }
        let nic = host.ndis(|n| n.binds[&bind].nic);
        let name = host.ndis(|n| n.nics[nic].config.name.clone());
        let units: Vec<u16> = name.encode_utf16().collect();
        let block = host.allocate(2 * units.len() as u64 + 2, TAG, "NdisQueryBindInstanceName");
        for (i, unit) in units.iter().enumerate() {
            host.put(block + 2 * i as u64, *unit, "name");
        }
        let length = (2 * units.len()) as u16;
        host.put(out, [length, length + 2], "pAdapterInstanceName");
        host.put(out + 8, block, "pAdapterInstanceName");
        host.ndis(|n| n.judge.names.insert(block, bind));
        NDIS_STATUS_SUCCESS
    }

    /// Asks NDIS to unbind.
    "ndis.sys" 0..=2 "IRQ-2"
    fn NdisUnbindAdapter(host, binding: u64) -> NDIS_STATUS {
        if !host.check("NdisBindingHandle", binding, Kind::Binding) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let asleep = host.ndis(|n| {
            n.bindings.get(&binding).is_some_and(|b| b.asleep)
                || n.judge.events.values().any(|e| e.binding == binding && e.sleep)
        });
        if asleep {
            host.violate("PWR-7", "the driver lets go of an adapter that only sleeps".into());
        }
        host.spawn(Job::thread("NdisUnbindAdapter", move |host| host.unbind(binding)));
        NDIS_STATUS_SUCCESS
    }

    /// Asks NDIS to look for new bindings; the host's bindings come from the topology only.
    "ndis.sys" 0..=0 "IRQ-2"
    fn NdisReEnumerateProtocolBindings(host, protocol: u64) {
        host.check("NdisProtocolHandle", protocol, Kind::ProtocolDriver);
        host.ndis(|n| n.enumerations += 1);
        if let Some((name, binding)) = host.inside()
            && (matches!(name, "ProtocolBindAdapterEx" | "ProtocolUnbindAdapterEx")
                || name == "ProtocolNetPnPEvent" && binding != 0)
        {
            host.violate("BND-15", format!("NdisReEnumerateProtocolBindings inside {name}"));
        }
    }
}

//! PnP events: to the driver's protocol edge, and from its miniport edge to the protocols above.

use ndis_sys::{
    NDIS_OBJECT_TYPE_DEFAULT, NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER,
    NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_SUCCESS, NET_DEVICE_PNP_EVENT, NET_PNP_EVENT_CODE,
    NET_PNP_EVENT_NOTIFICATION, NetEventIMReEnableDevice, NetEventPause, NetEventPortActivation,
    NetEventQueryPower, NetEventQueryRemoveDevice, NetEventReconfigure, NetEventRestart,
};

use super::binding::{PENDING, header};
use super::handed::Handed;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

/// Events that went up, and what the protocols above answer.
#[derive(Default)]
pub(crate) struct Propagated {
    answer: i32,
    codes: Vec<i32>,
}

impl Host {
    /// Sends one event to a binding and waits for its end; returns the status.
    pub fn pnp_event(&self, binding: u64, code: NET_PNP_EVENT_CODE, buffer: &[u8]) -> i32 {
        let found = self.ndis(|n| {
            let b = n.bindings.get(&binding)?;
            let handler = n.protocols.get(&b.protocol)?.chars.NetPnPEventHandler?;
            Some((b.context, handler as usize as u64))
        });
        let Some((context, handler)) = found else {
            return NDIS_STATUS_INVALID_PARAMETER.0;
        };
        self.deliver_event(binding, context, handler, code, buffer)
    }

    /// Sends one event without a binding.
    pub fn global_event(&self, code: NET_PNP_EVENT_CODE, buffer: &[u8]) -> i32 {
        let handler = self.ndis(|n| {
            n.protocols
                .values()
                .next()
                .and_then(|p| p.chars.NetPnPEventHandler)
        });
        handler.map_or(NDIS_STATUS_INVALID_PARAMETER.0, |h| {
            self.deliver_event(0, 0, h as usize as u64, code, buffer)
        })
    }

    /// Tells the driver that its configuration changed: of one binding, or without one, after
    /// which it asks NDIS for new bindings within a second (PNP-8).
    pub fn reconfigure(&self, binding: Option<u64>) -> i32 {
        if let Some(binding) = binding {
            return self.pnp_event(binding, NetEventReconfigure, &[]);
        }
        let before = self.ndis(|n| n.enumerations);
        let status = self.global_event(NetEventReconfigure, &[]);
        let asked = self.wait_until(
            "for NdisReEnumerateProtocolBindings",
            1_000_000,
            1_000_000_000,
            |h| h.ndis(|n| n.enumerations) > before,
        );
        if !asked {
            self.violate(
                "PNP-8",
                "NdisReEnumerateProtocolBindings is not called after Reconfigure without a binding"
                    .into(),
            );
        }
        status
    }

    /// Asks for a virtual miniport again, by the name of its device (PNP-9).
    pub fn re_enable_event(&self, device: &str) -> i32 {
        let string = self.unicode(device);
        self.ndis(|n| n.asked.clear());
        // The event's copy of the counted string points to the same units.
        let bytes = self.get_bytes(string, 16, "UNICODE_STRING");
        let status = self.global_event(NetEventIMReEnableDevice, &bytes);
        self.free_unicode(string);
        self.judge_re_enabled(device, status);
        status
    }

    /// PNP-9: one device was asked for again, and no other.
    fn judge_re_enabled(&self, device: &str, status: i32) {
        let key = device.to_uppercase();
        // It may be asked for on another thread.
        let asked = |h: &Self| {
            h.ndis(|n| {
                n.asked.contains(&key)
                    || n.instances
                        .get(&key)
                        .is_none_or(super::instance::Instance::is_wanted)
            })
        };
        let listed = self.ndis(|n| n.serving(&key).next().is_some());
        let in_time = !listed
            || status != 0
            || self.wait_until(
                "for the device to be asked for",
                100_000,
                1_000_000_000,
                asked,
            );
        let others = self.ndis(|n| n.asked.iter().any(|name| *name != key));
        if !in_time || others {
            self.violate(
                "PNP-9",
                format!(
                    "after NetEventIMReEnableDevice for {device} {}",
                    if others {
                        "another device is asked for"
                    } else {
                        "it is not asked for"
                    }
                ),
            );
        }
    }

    /// What the protocols above answer to events from now on.
    pub fn uppers_answer(&self, status: i32) {
        self.ndis(|n| n.propagated.answer = status);
    }

    /// Codes of the events that were passed to the protocols above since the last call.
    pub fn take_propagated(&self) -> Vec<i32> {
        self.ndis(|n| std::mem::take(&mut n.propagated.codes))
    }

    fn deliver_event(
        &self,
        binding: u64,
        context: u64,
        handler: u64,
        code: NET_PNP_EVENT_CODE,
        buffer: &[u8],
    ) -> i32 {
        let size = size_of::<NET_PNP_EVENT_NOTIFICATION>() as u64;
        let at = self.allocate(
            size + buffer.len() as u64,
            u32::from_le_bytes(*b"NPnP"),
            "NET_PNP_EVENT_NOTIFICATION",
        );
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut e: NET_PNP_EVENT_NOTIFICATION = unsafe { std::mem::zeroed() };
        // An event about no binding is the first protocol's.
        let minor = self.ndis(|n| match binding {
            0 => n
                .protocols
                .keys()
                .next()
                .map_or(0, |&p| n.minor_of_protocol(p)),
            some => n.minor_of_binding(some),
        });
        e.Header = Handed::Event.header(NDIS_OBJECT_TYPE_DEFAULT, minor);
        e.NetPnPEvent.NetEvent = code;
        if !buffer.is_empty() {
            e.NetPnPEvent.Buffer = (at + size) as *mut _;
            e.NetPnPEvent.BufferLength = buffer.len() as u32;
        }
        self.put(at, e, "NET_PNP_EVENT_NOTIFICATION");
        let _ = self.arena.write_bytes(at + size, buffer);
        self.ndis(|n| n.pnp.insert(at, None));
        self.event_begins(at, binding, code, buffer);
        let begun = self.now();
        let returned =
            self.call("ProtocolNetPnPEvent", binding, handler, &[context, at]) as u32 as i32;
        let took = self.now() - begun;
        let completed = self.ndis(|n| n.pnp[&at]);
        if code == NetEventPause {
            let seen = self.crossings();
            self.ndis(|n| {
                if let Some(b) = n.bindings.get_mut(&binding) {
                    b.pause_seen = Some(seen);
                }
            });
        }
        let status = if returned == PENDING {
            let done = self.wait_until(
                "for NdisCompleteNetPnPEvent",
                1_000_000,
                10_000_000_000,
                |h| h.ndis(|n| n.pnp[&at].is_some()),
            );
            if !done {
                self.violate(
                    "BUG-1",
                    format!(
                        "event {} is not complete after 10 s: {}",
                        code.0,
                        self.who_has_it()
                    ),
                );
            }
            self.ndis(|n| n.pnp[&at].unwrap_or(0))
        } else {
            if completed.is_some() {
                self.violate(
                    "PNP-3",
                    format!("event {} was completed and returned {returned:#x}", code.0),
                );
            }
            returned
        };
        let judged = self.event_ends(at, status, took);
        if judged {
            // By a rule that says more.
        } else if status == NDIS_STATUS_NOT_SUPPORTED.0 {
            self.violate(
                "PNP-1",
                format!("event {} ended with NOT_SUPPORTED", code.0),
            );
        } else if status != 0
            && code != NetEventQueryRemoveDevice
            && code != NetEventPortActivation
            // PNP-6: the answer of the protocols above is the driver's.
            && !(code == NetEventQueryPower && status == self.ndis(|n| n.propagated.answer))
            && code == NetEventRestart
            && buffer.is_empty()
        {
            self.violate(
                "PBS-4",
                format!("NetEventRestart without a buffer failed with {status:#x}"),
            );
        } else if status != 0
            && code != NetEventQueryRemoveDevice
            && code != NetEventPortActivation
            && !(code == NetEventQueryPower && status == self.ndis(|n| n.propagated.answer))
        {
            self.violate("PNP-2", format!("event {} failed with {status:#x}", code.0));
        }
        self.ndis(|n| n.pnp.remove(&at));
        self.release(at);
        status
    }

    /// Tells a virtual miniport about its device (surprise removal, power profile).
    pub fn device_event(&self, miniport: u64, code: i32, buffer: &[u8]) {
        let found = self.ndis(|n| {
            let m = n.miniports.get(&miniport)?;
            let handler = n
                .drivers
                .get(&m.driver)?
                .chars
                .DevicePnPEventNotifyHandler?;
            Some((m.context, handler as usize as u64))
        });
        let Some((context, handler)) = found else {
            return;
        };
        let size = size_of::<NET_DEVICE_PNP_EVENT>() as u64;
        let at = self.allocate(
            size + buffer.len() as u64,
            u32::from_le_bytes(*b"DPnP"),
            "NET_DEVICE_PNP_EVENT",
        );
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut e: NET_DEVICE_PNP_EVENT = unsafe { std::mem::zeroed() };
        e.Header = header(
            NDIS_OBJECT_TYPE_DEFAULT,
            1,
            size_of::<NET_DEVICE_PNP_EVENT>(),
        );
        e.DevicePnPEvent.0 = code;
        if !buffer.is_empty() {
            e.InformationBuffer = (at + size) as *mut _;
            e.InformationBufferLength = buffer.len() as u32;
        }
        self.put(at, e, "NET_DEVICE_PNP_EVENT");
        let _ = self.arena.write_bytes(at + size, buffer);
        self.call(
            "MiniportDevicePnPEventNotify",
            miniport,
            handler,
            &[context, at],
        );
        self.release(at);
    }
}

api! { exports:
    /// An event that pended is over.
    "ndis.sys" 0..=0 "IRQ-2"
    fn NdisCompleteNetPnPEvent(host, binding: u64, notification: u64, status: i32) {
        host.check("NdisBindingHandle", binding, Kind::Binding);
        let of = host.ndis(|n| n.judge.events.get(&notification).map(|e| e.binding));
        if of.is_some_and(|of| of != binding && of != 0) {
            host.violate("PNP-3", format!("an event of binding {:#x} is completed on {binding:#x}", of.unwrap_or(0)));
        }
        let ok = host.ndis(|n| match n.pnp.get_mut(&notification) {
            Some(slot @ None) => { *slot = Some(status); true }
            _ => false,
        });
        if !ok {
            host.violate("PNP-3", format!("NdisCompleteNetPnPEvent for {notification:#x}, which is not pending"));
        }
    }

    /// A virtual miniport passes an event to the protocols above.
    "ndis.sys" 0..=0 "IRQ-2"
    fn NdisMNetPnPEvent(host, miniport: u64, notification: u64) -> NDIS_STATUS {
        if !host.check("MiniportAdapterHandle", miniport, Kind::Miniport) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let e: NET_PNP_EVENT_NOTIFICATION = host.get(notification, "NetPnPEvent");
        let code = e.NetPnPEvent.NetEvent;
        host.event_goes_up(notification, &e);
        let callback = host.local().frames.borrow().iter().rev().find(|f| f.callback).map(|f| f.name);
        if callback == Some("MiniportOidRequest") || host.ndis(|n| n.miniports[&miniport].oid_busy) && callback != Some("ProtocolNetPnPEvent") {
            host.violate("OID-9", "NdisMNetPnPEvent while an OID request is under way".into());
        }
        let length = (e.NetPnPEvent.BufferLength as usize).min(4096);
        let buffer = if length == 0 || e.NetPnPEvent.Buffer.is_null() {
            Vec::new()
        } else {
            host.get_bytes(e.NetPnPEvent.Buffer as u64, length, "NetPnPEvent.Buffer")
        };
        let answer = host.event_above(miniport, code, &buffer).unwrap_or_else(|| {
            host.ndis(|n| {
                n.propagated.codes.push(code.0);
                n.propagated.answer
            })
        });
        // Only of the two questions the answer counts; everything else ends with success
        // (the function's page), whatever the protocols above say.
        let asked = [NetEventQueryPower, NetEventQueryRemoveDevice].contains(&code);
        let answer = if asked { answer } else { NDIS_STATUS_SUCCESS.0 };
        host.event_answered(code, answer);
        NDIS_STATUS(answer)
    }
}

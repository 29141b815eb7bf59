//! Events on the lower edge and what goes up of them.

use ndis_sys::{
    NDIS_OBJECT_TYPE_DEFAULT, NET_PNP_EVENT_CODE, NET_PNP_EVENT_NOTIFICATION, NetEventBindList,
    NetEventBindsComplete, NetEventIMReEnableDevice, NetEventPause, NetEventPortActivation,
    NetEventPortDeactivation, NetEventQueryPower, NetEventQueryRemoveDevice, NetEventReconfigure,
    NetEventRestart, NetEventSetPower,
};

use super::SOON;
use crate::host::Host;

/// An event that a driver is told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventTrace {
    /// Of the call.
    pub(crate) task: u64,
    pub(crate) binding: u64,
    pub(crate) code: NET_PNP_EVENT_CODE,
    /// For a sleeping state.
    pub(crate) sleep: bool,
    /// What the protocols above said.
    pub(crate) answer: Option<i32>,
    pub(crate) down_before: bool,
    pub(crate) down_after: bool,
}

impl Host {
    /// An event begins.
    pub(crate) fn event_begins(
        &self,
        at: u64,
        binding: u64,
        code: NET_PNP_EVENT_CODE,
        buffer: &[u8],
    ) {
        let d0 = ndis_sys::NdisDeviceStateD0.0.to_le_bytes();
        let trace = EventTrace {
            task: self.local().id,
            binding,
            code,
            sleep: code == NetEventSetPower && buffer.get(..4) != Some(&d0[..]),
            answer: None,
            down_before: false,
            down_after: false,
        };
        self.ndis(|n| n.judge.events.insert(at, trace));
    }

    /// An event is over: PNP-4, PNP-6, PNP-7, PWR-3. Whether the status is judged already.
    pub(crate) fn event_ends(&self, at: u64, status: i32, took: u64) -> bool {
        let Some(trace) = self.ndis(|n| n.judge.events.remove(&at)) else {
            return false;
        };
        if trace.code == NetEventSetPower && trace.answer.is_some() {
            if trace.sleep && trace.down_before {
                self.violate(
                    "PNP-7",
                    "on the way to a sleeping state the event is passed up after the driver acted on it".into(),
                );
            }
            if !trace.sleep && trace.down_after {
                self.violate(
                    "PNP-7",
                    "on the way to D0 the event is passed up before the driver acted on it".into(),
                );
            }
        }
        if trace.sleep && took > SOON && self.engine().is_virtual() {
            self.violate(
                "PWR-3",
                format!(
                    "the handler of NetEventSetPower waited for {} ms",
                    took / 1_000_000
                ),
            );
        }
        let query = [NetEventQueryPower, NetEventQueryRemoveDevice].contains(&trace.code);
        if let Some(answer) = trace.answer
            && answer != status
            && query
        {
            self.violate(
                "PNP-6",
                format!(
                    "event {} ends with {status:#x}, the protocols above said {answer:#x}",
                    trace.code.0
                ),
            );
            return true;
        }
        false
    }

    /// A virtual miniport passes an event up: PNP-4, PNP-5, PNP-11.
    pub(crate) fn event_goes_up(&self, at: u64, e: &NET_PNP_EVENT_NOTIFICATION) {
        let code = e.NetPnPEvent.NetEvent;
        let task = self.local().id;
        let trace = self.ndis(|n| {
            let mine = n.judge.events.values().filter(|t| t.task == task);
            mine.copied().next_back()
        });
        if e.Header.Type != NDIS_OBJECT_TYPE_DEFAULT
            || e.Header.Revision == 0
            || e.PortNumber != 0
            || e.NetPnPEvent.BufferLength > 0 && e.NetPnPEvent.Buffer.is_null()
            || !(0..=64).contains(&code.0)
        {
            self.violate(
                "PNP-11",
                format!(
                    "event {} goes up with type {:#x}, revision {}, port {} and {} bytes at {:?}",
                    code.0,
                    e.Header.Type,
                    e.Header.Revision,
                    e.PortNumber,
                    e.NetPnPEvent.BufferLength,
                    e.NetPnPEvent.Buffer
                ),
            );
            return;
        }
        let never = [
            NetEventBindsComplete,
            NetEventPause,
            NetEventRestart,
            NetEventPortActivation,
            NetEventPortDeactivation,
            NetEventIMReEnableDevice,
        ];
        let bound = [NetEventReconfigure, NetEventBindList];
        let given = self.ndis(|n| n.pnp.contains_key(&at));
        match trace {
            Some(t)
                if t.code == code
                    && (never.contains(&code) || bound.contains(&code) && t.binding == 0) =>
            {
                self.violate("PNP-5", format!("event {} is propagated", code.0));
            }
            Some(t) if t.code == code => {}
            // The driver's own.
            _ if !given
                && !never.contains(&code)
                && self.inside().is_none_or(|i| i.0 != "ProtocolNetPnPEvent") =>
            {
                let foreign = self.ndis(|n| n.judge.events.values().any(|t| t.code == code));
                if foreign {
                    self.violate(
                        "PNP-4",
                        format!(
                            "event {} is passed up outside its ProtocolNetPnPEvent",
                            code.0
                        ),
                    );
                }
            }
            _ if given => self.violate(
                "PNP-4",
                format!(
                    "event {} is passed up outside its ProtocolNetPnPEvent",
                    code.0
                ),
            ),
            _ => {}
        }
    }

    /// The protocols above have answered an event.
    pub(crate) fn event_answered(&self, code: NET_PNP_EVENT_CODE, answer: i32) {
        let task = self.local().id;
        self.ndis(|n| {
            let mut mine = n.judge.events.values_mut().filter(|t| t.task == task);
            if let Some(t) = mine.next_back()
                && t.code == code
            {
                // Of several miniports the first that objects counts.
                t.answer = Some(t.answer.filter(|&a| a != 0).unwrap_or(answer));
            }
        });
    }
}

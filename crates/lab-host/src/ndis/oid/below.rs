//! OID requests from the driver to a NIC.

use ndis_sys::{
    NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST, NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER,
    NDIS_STATUS_PENDING, NDIS_STATUS_REQUEST_ABORTED, NdisRequestSetInformation,
    OID_802_3_CURRENT_ADDRESS, OID_PNP_CAPABILITIES, OID_PNP_QUERY_POWER, OID_PNP_SET_POWER,
};

use super::{Active, OidCall, OidReply, TAG, Target, counts, write_request};
use crate::engine::{Job, Level};
use crate::host::Host;
use crate::ndis::judge::{Below, Ended, How};

impl Host {
    /// The driver's request reaches the NIC of a binding.
    pub(super) fn oid_down(&self, binding: u64, request: u64, direct: bool) -> NDIS_STATUS {
        let r: NDIS_OID_REQUEST = self.get(request, "OidRequest");
        let first = size_of::<NDIS_OID_REQUEST>() as u16;
        if r.Header.Type != NDIS_OBJECT_TYPE_OID_REQUEST
            || r.Header.Revision == 0
            || (r.Header.Revision <= 2 && r.Header.Size > first)
        {
            self.violate(
                "OID-17",
                format!(
                    "a request with type {:#x}, revision {} and {} bytes goes down",
                    r.Header.Type, r.Header.Revision, r.Header.Size
                ),
            );
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the OID is the first word of every view.
        let oid = unsafe { r.DATA.Oid };
        let (closed, opened, state, asleep, nic) = self.ndis(|n| {
            let b = &n.bindings[&binding];
            (b.closed, b.opened, b.state, b.asleep, b.nic)
        });
        self.goes_down();
        if closed {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if !opened {
            self.violate(
                "BND-7",
                format!(
                    "OID {:#010x} goes down while the binding is {state:?}",
                    oid.0
                ),
            );
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        // What was under way when the driver answered the event may still arrive.
        let told = self.ndis(|n| n.bindings[&binding].sleep_told);
        if asleep && oid != OID_PNP_SET_POWER && self.call_began() >= told {
            self.violate(
                "PBS-5",
                format!("OID {:#010x} goes down while the adapter is asleep", oid.0),
            );
        }
        if oid == OID_PNP_SET_POWER || oid == OID_PNP_QUERY_POWER {
            self.violate("OID-20", format!("OID {:#010x} is forwarded", oid.0));
        }
        if oid == OID_PNP_CAPABILITIES {
            self.violate(
                "OID-21",
                "OID_PNP_CAPABILITIES is asked of the adapter below".into(),
            );
        }
        // A request from above goes through a one-to-one driver whatever it asks for; the adapter
        // answers it.
        let own = self.ndis(|n| !n.oids.clones.contains_key(&request));
        if own && oid == OID_802_3_CURRENT_ADDRESS && r.RequestType == NdisRequestSetInformation {
            self.violate(
                "LBF-5",
                "the current address of the adapter below is set by a request".into(),
            );
        }
        self.not_in_reset(nic, "an OID request goes down");
        let since = self.now();
        let original_goes_down = self.ndis(|n| {
            let original = n.oids.active.contains_key(&request);
            if let Some((_, from)) = n.oids.clones.get(&request).copied()
                && let Some(a) = n.oids.active.get_mut(&from)
            {
                a.forwarded = true;
                a.below.requests += 1;
            }
            original
        });
        if original_goes_down {
            self.violate(
                "OID-14",
                format!(
                    "OID {:#010x}: the original request goes down, not a clone",
                    oid.0
                ),
            );
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        self.ndis(|n| {
            n.oids.active.insert(
                request,
                Active {
                    target: Target::Binding(binding),
                    direct,
                    returned: None,
                    completed: None,
                    forwarded: false,
                    task: None,
                    id: r.RequestId as u64,
                    since,
                    set: r.RequestType == NdisRequestSetInformation,
                    below: Below::default(),
                    in_call: true,
                    by_item: false,
                },
            );
            if let Some(b) = n.bindings.get_mut(&binding) {
                b.oids += 1;
            }
        });
        if self.is_stacked(nic) {
            let delay = self.engine().random(5_000);
            let job = Job::thread("a request goes to the driver below", move |host| {
                let status = host.oid_below(nic, binding, request, direct);
                host.oid_up(request, status);
            });
            let task = self.spawn_after(delay, job);
            self.ndis(|n| {
                if let Some(a) = n.oids.active.get_mut(&request) {
                    a.task = Some(task);
                }
            });
            return NDIS_STATUS_PENDING;
        }
        let stuck =
            self.ndis(|n| n.oids.stuck) && oid.0 != ndis_sys::OID_GEN_CURRENT_PACKET_FILTER.0;
        let roll = self.engine().random(4);
        if stuck || self.later(roll < 2) {
            // Pends; completes on a thread or a DPC, perhaps before this call returns.
            let job = Job {
                name: "NIC completes an OID".into(),
                level: if roll.is_multiple_of(2) {
                    Level::Passive
                } else {
                    Level::Dispatch(None)
                },
                body: Box::new(move |host| {
                    let status = host.adapter_oid(nic, binding, request);
                    host.oid_up(request, status);
                }),
            };
            if !stuck {
                let delay = self.takes(self.engine().random(40_000));
                let task = self.spawn_after(delay, job);
                self.ndis(|n| {
                    if let Some(a) = n.oids.active.get_mut(&request) {
                        a.task = Some(task);
                    }
                });
                self.let_finish(|h| {
                    h.ndis(|n| n.oids.active.get(&request).is_none_or(|a| a.since != since))
                });
            }
            return NDIS_STATUS_PENDING;
        }
        let status = self.adapter_oid(nic, binding, request);
        self.below_ended(request, status, How::Inside);
        self.ndis(|n| {
            n.oids.active.remove(&request);
            if let Some(b) = n.bindings.get_mut(&binding) {
                b.oids -= 1;
            }
        });
        NDIS_STATUS(status)
    }

    /// `NdisOidRequest` returns.
    pub(super) fn oid_call_over(&self, request: u64) {
        self.ndis(|n| {
            if let Some(a) = n.oids.active.get_mut(&request) {
                a.in_call = false;
            }
        });
    }

    /// The end of a clone is noted with its original.
    fn below_ended(&self, request: u64, status: i32, how: How) {
        let r: NDIS_OID_REQUEST = self.get(request, "OidRequest");
        let ended = Ended {
            status,
            counts: counts(&r),
            how,
        };
        self.ndis(|n| {
            if let Some((_, from)) = n.oids.clones.get(&request).copied()
                && let Some(a) = n.oids.active.get_mut(&from)
            {
                a.below.ended = Some(ended);
            }
        });
    }

    /// A request ends at the NIC; tells the driver.
    fn oid_up(&self, request: u64, status: i32) {
        let in_call = self.ndis(|n| n.oids.active.get(&request).map(|a| a.in_call));
        match in_call {
            Some(true) => self.below_ended(request, status, How::Early),
            Some(false) => self.below_ended(request, status, How::Late),
            None => {}
        }
        let found = self.ndis(|n| {
            let a = n.oids.active.remove(&request)?;
            let Target::Binding(binding) = a.target else {
                return None;
            };
            let b = n.bindings.get_mut(&binding)?;
            b.oids = b.oids.saturating_sub(1);
            let context = b.context;
            let protocol = b.protocol;
            let chars = &n.protocols.get(&protocol)?.chars;
            let handler = if a.direct {
                chars.DirectOidRequestCompleteHandler? as usize as u64
            } else {
                chars.OidRequestCompleteHandler? as usize as u64
            };
            Some((binding, context, handler, a.direct))
        });
        if let Some((binding, context, handler, direct)) = found {
            let name = if direct {
                "ProtocolDirectOidRequestComplete"
            } else {
                "ProtocolOidRequestComplete"
            };
            self.call(
                name,
                binding,
                handler,
                &[context, request, u64::from(status as u32)],
            );
        }
    }

    /// Requests that reach a NIC pend until they are cancelled (true), or not; then those it
    /// kept are completed.
    pub fn oids_stick(&self, stuck: bool) {
        let kept = self.ndis(|n| {
            n.oids.stuck = stuck;
            let kept = n
                .oids
                .active
                .iter()
                .filter_map(|(&request, a)| match a.target {
                    Target::Binding(binding) if a.task.is_none() => {
                        let nic = n.bindings.get(&binding)?.nic;
                        Some((nic, binding, request, a.id))
                    }
                    Target::Binding(_) | Target::Miniport(_) => None,
                });
            if stuck { Vec::new() } else { kept.collect() }
        });
        for (nic, binding, request, id) in kept {
            self.spawn(Job::dpc("NIC completes an OID", move |host| {
                let still = host.ndis(|n| n.oids.active.get(&request).is_some_and(|a| a.id == id));
                if still {
                    let status = host.adapter_oid(nic, binding, request);
                    host.oid_up(request, status);
                }
            }));
        }
    }

    pub(super) fn cancel_down(&self, binding: u64, id: u64) {
        let found = self.ndis(|n| {
            n.oids
                .active
                .iter()
                .find(|(_, a)| a.target == Target::Binding(binding) && a.id == id && id != 0)
                .map(|(&r, a)| (r, a.task))
        });
        let Some((request, task)) = found else {
            return;
        };
        self.ndis(|n| {
            if let Some((_, from)) = n.oids.clones.get(&request).copied()
                && let Some(a) = n.oids.active.get_mut(&from)
            {
                a.below.cancelled = true;
            }
        });
        let stopped = task.is_none_or(|t| self.engine().cancel(t));
        if stopped {
            self.spawn_after(
                self.engine().random(10_000),
                Job::dpc("NIC aborts an OID", move |host| {
                    host.oid_up(request, NDIS_STATUS_REQUEST_ABORTED.0);
                }),
            );
        }
    }

    /// What a NIC itself answers to a request: the measure for what comes through a driver.
    pub fn ask_nic(&self, nic: usize, call: &OidCall) -> OidReply {
        let (binding, minor) = self.ndis(|n| {
            let mut all = n.bindings.iter();
            let binding = all.find(|(_, b)| b.nic == nic).map_or(0, |(h, _)| *h);
            (binding, n.minor_of_binding(binding))
        });
        let request = self.allocate(
            size_of::<NDIS_OID_REQUEST>() as u64,
            TAG,
            "NDIS_OID_REQUEST",
        );
        let length = call.buffer.len() as u64;
        let block = self.allocate(length, TAG, "OID buffer");
        let _ = self.arena.write_bytes(block, &call.buffer);
        let buffer = if length == 0 { 0 } else { block };
        write_request(self, request, buffer, call, (0, minor));
        let status = self.adapter_oid(nic, binding, request);
        let r: NDIS_OID_REQUEST = self.get(request, "NDIS_OID_REQUEST");
        let (written, read, needed) = counts(&r);
        let buffer = if length == 0 {
            Vec::new()
        } else {
            self.get_bytes(block, length as usize, "OID buffer")
        };
        self.release(request);
        self.release(block);
        OidReply {
            status,
            written,
            read,
            needed,
            buffer,
            forwarded: false,
        }
    }
}

//! OID requests from the protocols above to the driver.

use ndis_sys::{
    NDIS_OID, NDIS_OID_REQUEST, NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_NOT_ACCEPTED,
    NDIS_STATUS_REQUEST_ABORTED, NDIS_STATUS_SUCCESS, OID_802_3_MULTICAST_LIST,
    OID_GEN_CURRENT_PACKET_FILTER, OID_PNP_SET_POWER,
};

use super::{Active, OidCall, OidKind, OidReply, TAG, Target, counts, write_request};
use crate::engine::Job;
use crate::handle::Kind;
use crate::host::Host;
use crate::ndis::binding::PENDING;
use crate::ndis::judge::{Below, Past, SOON};
use crate::ndis::{Breach, EdgeState};

/// OID-8.
const LIMIT: u64 = 12_000_000_000;

impl Host {
    /// Sets a 32-bit OID on a virtual miniport.
    pub(crate) fn oid_set_u32(&self, miniport: u64, oid: NDIS_OID, value: u32) -> i32 {
        self.oid(miniport, &OidCall::set(oid, &value.to_le_bytes()))
            .status
    }

    /// Sends a request to a virtual miniport and waits for its end. Regular requests go one at a
    /// time (OID-1).
    pub fn oid(&self, miniport: u64, call: &OidCall) -> OidReply {
        let fail = |status: NDIS_STATUS| OidReply {
            status: status.0,
            written: 0,
            read: 0,
            needed: 0,
            buffer: Vec::new(),
            forwarded: false,
        };
        if !call.direct && !self.breaches(Breach::OidsAtOnce) {
            let free = self.wait_until(
                "for its turn among OID requests",
                100_000,
                60_000_000_000,
                |h| {
                    h.ndis(|n| match n.miniports.get_mut(&miniport) {
                        Some(m) => !std::mem::replace(&mut m.oid_busy, true),
                        None => true,
                    })
                },
            );
            if !free {
                return fail(NDIS_STATUS_FAILURE);
            }
        }
        let found = self.ndis(|n| {
            let m = n.miniports.get(&miniport)?;
            if m.state == EdgeState::Closing {
                return None;
            }
            let chars = &n.drivers.get(&m.driver)?.chars;
            let handler = if call.direct {
                chars.DirectOidRequestHandler? as usize as u64
            } else {
                chars.OidRequestHandler? as usize as u64
            };
            let cancel = if call.direct {
                chars.CancelDirectOidRequestHandler? as usize as u64
            } else {
                chars.CancelOidRequestHandler? as usize as u64
            };
            Some((m.context, handler, cancel))
        });
        let Some((context, handler, cancel)) = found else {
            self.ndis(|n| {
                if let Some(m) = n.miniports.get_mut(&miniport).filter(|_| !call.direct) {
                    m.oid_busy = false;
                }
            });
            return fail(NDIS_STATUS_NOT_ACCEPTED);
        };
        let size = size_of::<NDIS_OID_REQUEST>() as u64;
        let request = self.allocate(size, TAG, "NDIS_OID_REQUEST");
        let length = call.buffer.len() as u64;
        let block = self.allocate(length + call.misalign, TAG, "OID buffer");
        let buffer = if length == 0 {
            0
        } else {
            block + call.misalign
        };
        if length > 0 {
            let _ = self.arena.write_bytes(buffer, &call.buffer);
        }
        let since = self.now();
        let named = self.ndis(|n| {
            n.oids.serial += 1;
            n.judge.past.remove(&request);
            n.oids.active.insert(
                request,
                Active {
                    target: Target::Miniport(miniport),
                    direct: call.direct,
                    returned: None,
                    completed: None,
                    forwarded: false,
                    task: None,
                    id: n.oids.serial,
                    since,
                    set: call.kind == OidKind::Set,
                    below: Below::default(),
                    in_call: false,
                    by_item: false,
                },
            );
            (n.oids.serial, n.version_of(miniport).1)
        });
        write_request(self, request, buffer, call, named);
        if let Some(after) = call.cancel_after {
            self.spawn_after(
                after,
                Job::dpc("cancel OID", move |host| {
                    host.cancel_again(request, named.0, miniport, cancel, context, 100);
                }),
            );
        }
        let name = if call.direct {
            "MiniportDirectOidRequest"
        } else {
            "MiniportOidRequest"
        };
        // RCV-14: the adapter may have the filter before the request is complete.
        let filter = call.kind == OidKind::Set
            && call.oid == OID_GEN_CURRENT_PACKET_FILTER.0
            && call.buffer.iter().take(4).any(|&byte| byte != 0);
        self.ndis(|n| {
            if let Some(m) = n.miniports.get_mut(&miniport).filter(|_| filter) {
                m.filter_asked += 1;
            }
        });
        let asked = self.asking(miniport);
        if !call.direct {
            self.hand_request(miniport, request);
        }
        let begun = self.now();
        let returned = self.call(name, miniport, handler, &[context, request]) as u32 as i32;
        if self.engine().is_virtual() && self.now() - begun > SOON {
            self.violate(
                "OID-19",
                format!(
                    "{name} for OID {:#010x} kept its caller for {} ms",
                    call.oid,
                    (self.now() - begun) / 1_000_000
                ),
            );
        }
        let early = self.ndis(|n| {
            let a = n.oids.active.get_mut(&request).expect("active");
            a.returned = Some(returned);
            a.completed
        });
        let status = if returned == PENDING {
            let done = self.wait_until("for NdisMOidRequestComplete", 1_000_000, LIMIT, |h| {
                h.ndis(|n| n.oids.active[&request].completed.is_some())
            });
            if !done {
                let below = self.ndis(|n| n.oids.active[&request].below);
                self.oid_is_late(call, below);
                // Whoever is only slow is heard out.
                self.wait_until(
                    "for NdisMOidRequestComplete",
                    1_000_000,
                    30_000_000_000,
                    |h| h.ndis(|n| n.oids.active[&request].completed.is_some()),
                );
            }
            self.ndis(|n| {
                n.oids.active[&request]
                    .completed
                    .unwrap_or(NDIS_STATUS_FAILURE.0)
            })
        } else {
            if early.is_some() {
                self.violate(
                    "OID-3",
                    format!(
                        "OID {:#010x} returned {returned:#x} and was completed too",
                        call.oid
                    ),
                );
            }
            returned
        };
        self.request_over(request);
        let (forwarded, below) = self.ndis(|n| {
            let a = n.oids.active.remove(&request).expect("active");
            if let Some(m) = n.miniports.get_mut(&miniport).filter(|_| !call.direct) {
                m.oid_busy = false;
            }
            let past = Past {
                pended: returned == PENDING,
                by_item: a.by_item,
            };
            n.judge.past.insert(request, past);
            if n.judge.past.len() > 64 {
                n.judge.past.pop_first();
            }
            (a.forwarded, a.below)
        });
        self.check_final(NDIS_OID(call.oid), status);
        if call.kind == OidKind::Set && call.oid == OID_802_3_MULTICAST_LIST.0 && status == 0 {
            let chunks = call.buffer.chunks_exact(6);
            let groups = chunks
                .filter_map(|c| c.first_chunk::<6>().copied())
                .collect();
            self.ndis(|n| {
                if let Some(m) = n.miniports.get_mut(&miniport) {
                    m.groups = groups;
                }
            });
        }
        self.check_optional(miniport, call.oid, status, forwarded);
        self.ndis(|n| {
            if let Some(m) = n.miniports.get_mut(&miniport).filter(|_| filter) {
                m.filter_asked = m.filter_asked.saturating_sub(1);
            }
        });
        if call.kind == OidKind::Set
            && call.oid == OID_GEN_CURRENT_PACKET_FILTER.0
            && status == 0
            && let Some(&filter) = call.buffer.first_chunk::<4>()
        {
            self.ndis(|n| {
                if let Some(m) = n.miniports.get_mut(&miniport) {
                    m.packet_filter = Some(u32::from_le_bytes(filter));
                }
            });
        }
        let r: NDIS_OID_REQUEST = self.get(request, "NDIS_OID_REQUEST");
        let (written, read, needed) = counts(&r);
        if written > call.output || read > call.input {
            self.violate(
                "OID-12",
                format!(
                    "OID {:#010x}: {written} bytes written of {}, {read} read of {}",
                    call.oid, call.output, call.input
                ),
            );
        }
        let after = if length == 0 {
            Vec::new()
        } else {
            self.get_bytes(buffer, length as usize, "InformationBuffer")
        };
        self.release(request);
        self.release(block);
        let reply = OidReply {
            status,
            written,
            read,
            needed,
            buffer: after,
            forwarded,
        };
        self.answered(miniport, call, &asked, &reply, below, r.SupportedRevision);
        reply
    }

    /// Sends a synchronous request to a virtual miniport; its status, or `None` if the driver
    /// has no handler for such (OID-29).
    pub fn synchronous_oid(&self, miniport: u64, call: &OidCall) -> Option<i32> {
        let (context, handler) = self.ndis(|n| {
            let m = n.miniports.get(&miniport)?;
            let driver = n.drivers.get(&m.driver)?;
            let handler = driver.chars.SynchronousOidRequestHandler?;
            (m.state != EdgeState::Closing).then_some((m.context, handler as usize as u64))
        })?;
        let request = self.allocate(
            size_of::<NDIS_OID_REQUEST>() as u64,
            TAG,
            "NDIS_OID_REQUEST",
        );
        let length = call.buffer.len() as u64;
        let block = self.allocate(length, TAG, "OID buffer");
        let _ = self.arena.write_bytes(block, &call.buffer);
        let named = (0, self.ndis(|n| n.version_of(miniport).1));
        let buffer = if length == 0 { 0 } else { block };
        write_request(self, request, buffer, call, named);
        let begun = self.now();
        let status = self.call(
            "MiniportSynchronousOidRequest",
            miniport,
            handler,
            &[context, request],
        ) as u32 as i32;
        let took = self.now() - begun;
        if status == PENDING || status == NDIS_STATUS_REQUEST_ABORTED.0 {
            self.violate(
                "OID-29",
                format!(
                    "the synchronous OID {:#010x} ends with {status:#x}",
                    call.oid
                ),
            );
        } else if took > SOON && self.engine().is_virtual() {
            self.violate(
                "OID-29",
                format!(
                    "the synchronous OID {:#010x} kept its caller for {} ms",
                    call.oid,
                    took / 1_000_000
                ),
            );
        }
        self.release(request);
        self.release(block);
        Some(status)
    }

    /// Cancels a request, and again every millisecond while it lasts: a cancel that comes while
    /// the driver's handler is only starting may find nothing yet, and whoever wants a request
    /// gone asks again.
    fn cancel_again(
        &self,
        request: u64,
        id: u64,
        miniport: u64,
        cancel: u64,
        context: u64,
        left: u32,
    ) {
        let live = self.ndis(|n| {
            n.oids
                .active
                .get(&request)
                .is_some_and(|a| a.completed.is_none() && a.id == id)
                && n.miniports.contains_key(&miniport)
        });
        if !live || left == 0 {
            return;
        }
        self.call("MiniportCancelOidRequest", miniport, cancel, &[context, id]);
        if left == 98 {
            self.cancel_is_due(request, id);
        }
        self.spawn_after(
            1_000_000,
            Job::dpc("cancel OID again", move |host| {
                host.cancel_again(request, id, miniport, cancel, context, left - 1);
            }),
        );
    }

    /// OID-7.
    fn check_final(&self, oid: NDIS_OID, status: i32) {
        if status == PENDING {
            self.violate("OID-7", format!("OID {:#010x} ends with PENDING", oid.0));
        }
        if oid == OID_PNP_SET_POWER
            && ![NDIS_STATUS_SUCCESS.0, NDIS_STATUS_NOT_ACCEPTED.0].contains(&status)
        {
            self.violate("OID-7", format!("OID_PNP_SET_POWER ends with {status:#x}"));
        }
    }

    pub(super) fn complete_from_driver(
        &self,
        miniport: u64,
        request: u64,
        status: i32,
        direct: bool,
    ) {
        enum Verdict {
            Fine,
            Unknown,
            WrongPath,
            Again(Past),
        }
        if !self.check("MiniportAdapterHandle", miniport, Kind::Miniport) {
            return;
        }
        self.clone_is_gone(request);
        let item = self.is_inside("NdisIoWorkItemFunction");
        let verdict = self.ndis(|n| match n.oids.active.get_mut(&request) {
            None => match n.judge.past.get(&request) {
                Some(&past) => Verdict::Again(past),
                None => Verdict::Unknown,
            },
            Some(a) if a.target != Target::Miniport(miniport) => Verdict::Unknown,
            Some(a) if a.direct != direct => Verdict::WrongPath,
            Some(a) if a.completed.is_some() => Verdict::Again(Past {
                pended: true,
                by_item: a.by_item,
            }),
            Some(a) if a.returned.is_some_and(|r| r != PENDING) => Verdict::Again(Past {
                pended: false,
                by_item: false,
            }),
            Some(a) => {
                a.completed = Some(status);
                a.by_item = item;
                Verdict::Fine
            }
        });
        match verdict {
            Verdict::Fine => {
                self.request_over(request);
                self.filter_is_set(miniport, request, status);
            }
            Verdict::Unknown => self.violate(
                "OID-6",
                format!("request {request:#x} is completed and is not pending on this miniport"),
            ),
            Verdict::Again(past) => self.completed_again(request, past),
            Verdict::WrongPath => self.violate(
                "OID-28",
                format!("request {request:#x} is completed on the other path"),
            ),
        }
    }

    /// Whether a packet filter is being set on a miniport.
    pub(crate) fn filter_under_way(&self, miniport: u64) -> bool {
        self.ndis(|n| {
            n.miniports
                .get(&miniport)
                .is_some_and(|m| m.filter_asked > 0)
        })
    }

    /// A packet filter holds from its completion on, whenever the protocol that set it goes on.
    fn filter_is_set(&self, miniport: u64, request: u64, status: i32) {
        let r: NDIS_OID_REQUEST = self.get(request, "NDIS_OID_REQUEST");
        if status != 0 || r.RequestType != ndis_sys::NdisRequestSetInformation {
            return;
        }
        // SAFETY: the request's type says that this view is the one in use.
        let set = unsafe { r.DATA.SET_INFORMATION };
        if set.Oid != OID_GEN_CURRENT_PACKET_FILTER || set.InformationBufferLength < 4 {
            return;
        }
        let filter = self.get(set.InformationBuffer as u64, "InformationBuffer");
        self.ndis(|n| {
            if let Some(m) = n.miniports.get_mut(&miniport) {
                m.packet_filter = Some(filter);
            }
        });
    }
}

//! OID requests from the protocols above to the driver.

use ndis_sys::{
    NDIS_OID, NDIS_OID_REQUEST, NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_NOT_ACCEPTED,
    NDIS_STATUS_SUCCESS, OID_GEN_CURRENT_PACKET_FILTER, OID_PNP_SET_POWER,
};

use super::{Active, OidCall, OidKind, OidReply, TAG, Target, counts, write_request};
use crate::engine::Job;
use crate::handle::Kind;
use crate::host::Host;
use crate::ndis::EdgeState;
use crate::ndis::binding::PENDING;

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
        if !call.direct {
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
        let id = self.ndis(|n| {
            n.oids.serial += 1;
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
                },
            );
            n.oids.serial
        });
        write_request(self, request, buffer, call, id);
        if let Some(after) = call.cancel_after {
            self.spawn_after(
                after,
                Job::dpc("cancel OID", move |host| {
                    host.cancel_again(request, id, miniport, cancel, context, 100);
                }),
            );
        }
        let name = if call.direct {
            "MiniportDirectOidRequest"
        } else {
            "MiniportOidRequest"
        };
        let returned = self.call(name, miniport, handler, &[context, request]) as u32 as i32;
        let early = self.ndis(|n| {
            let a = n.oids.active.get_mut(&request).expect("active");
            a.returned = Some(returned);
            a.completed
        });
        let status = if returned == PENDING {
            let done = self.wait_until(
                "for NdisMOidRequestComplete",
                1_000_000,
                30_000_000_000,
                |h| h.ndis(|n| n.oids.active[&request].completed.is_some()),
            );
            if !done {
                self.violate(
                    "OID-8",
                    format!("OID {:#010x} is not complete after 30 s", call.oid),
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
        let forwarded = self.ndis(|n| {
            let a = n.oids.active.remove(&request).expect("active");
            if let Some(m) = n.miniports.get_mut(&miniport).filter(|_| !call.direct) {
                m.oid_busy = false;
            }
            a.forwarded
        });
        let took = self.now() - since;
        if took > 12_000_000_000 {
            self.violate(
                "OID-8",
                format!("OID {:#010x} took {} s", call.oid, took / 1_000_000_000),
            );
        }
        self.check_final(NDIS_OID(call.oid), status);
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
        OidReply {
            status,
            written,
            read,
            needed,
            buffer: after,
            forwarded,
        }
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
            Twice,
            WrongPath,
            Final,
        }
        if !self.check("MiniportAdapterHandle", miniport, Kind::Miniport) {
            return;
        }
        let verdict = self.ndis(|n| match n.oids.active.get_mut(&request) {
            None => Verdict::Unknown,
            Some(a) if a.target != Target::Miniport(miniport) => Verdict::Unknown,
            Some(a) if a.direct != direct => Verdict::WrongPath,
            Some(a) if a.completed.is_some() => Verdict::Twice,
            Some(a) if a.returned.is_some_and(|r| r != PENDING) => Verdict::Final,
            Some(a) => {
                a.completed = Some(status);
                Verdict::Fine
            }
        });
        match verdict {
            Verdict::Fine => {}
            Verdict::Unknown => self.violate(
                "OID-6",
                format!("request {request:#x} is completed and is not pending on this miniport"),
            ),
            Verdict::Twice => {
                self.violate("OID-5", format!("request {request:#x} is completed twice"));
            }
            Verdict::WrongPath => self.violate(
                "OID-28",
                format!("request {request:#x} is completed on the other path"),
            ),
            Verdict::Final => self.violate(
                "OID-2",
                format!("request {request:#x} is completed after a final status was returned"),
            ),
        }
    }
}

//! OID requests: from the protocols above to the driver, and from the driver to a NIC.

use std::collections::BTreeMap;

use ndis_sys::{
    NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID, NDIS_OID_REQUEST, NDIS_STATUS, NDIS_STATUS_FAILURE,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_PENDING,
    NDIS_STATUS_REQUEST_ABORTED, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, NdisRequestMethod,
    NdisRequestQueryInformation, NdisRequestQueryStatistics, NdisRequestSetInformation,
    OID_GEN_CURRENT_PACKET_FILTER, OID_PNP_QUERY_POWER, OID_PNP_SET_POWER,
};

use super::EdgeState;
use super::binding::{PENDING, header};
use crate::api::api;
use crate::engine::{Job, Level};
use crate::handle::Kind;
use crate::host::Host;

mod adapter;

pub use adapter::{OID_LAB_REVERSE, OID_LAB_SCRATCH};

const TAG: u32 = u32::from_le_bytes(*b"OIDr");

/// Kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OidKind {
    /// Query.
    Query,
    /// Query of statistics.
    Statistics,
    /// Set.
    Set,
    /// Method.
    Method,
}

/// A request from above.
#[derive(Clone, Debug)]
pub struct OidCall {
    /// Kind.
    pub kind: OidKind,
    /// Object identifier.
    pub oid: u32,
    /// Information buffer as it goes in.
    pub buffer: Vec<u8>,
    /// Input length (sets and methods; the buffer's length unless hostile).
    pub input: u32,
    /// Output length (queries and methods).
    pub output: u32,
    /// Bytes by which the buffer is misaligned.
    pub misalign: u64,
    /// On the direct path.
    pub direct: bool,
    /// Cancel it after so many nanoseconds.
    pub cancel_after: Option<u64>,
}

impl OidCall {
    /// A query with room for `output` bytes.
    pub fn query(oid: NDIS_OID, output: u32) -> Self {
        Self {
            kind: OidKind::Query,
            oid: oid.0,
            buffer: vec![0; output as usize],
            input: 0,
            output,
            misalign: 0,
            direct: false,
            cancel_after: None,
        }
    }

    /// A set.
    pub fn set(oid: NDIS_OID, buffer: &[u8]) -> Self {
        Self {
            kind: OidKind::Set,
            oid: oid.0,
            buffer: buffer.to_vec(),
            input: buffer.len() as u32,
            output: 0,
            misalign: 0,
            direct: false,
            cancel_after: None,
        }
    }

    /// A method.
    pub fn method(oid: NDIS_OID, input: &[u8], output: u32) -> Self {
        let mut buffer = input.to_vec();
        buffer.resize(input.len().max(output as usize), 0);
        Self {
            kind: OidKind::Method,
            oid: oid.0,
            buffer,
            input: input.len() as u32,
            output,
            misalign: 0,
            direct: false,
            cancel_after: None,
        }
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidReply {
    /// Final status.
    pub status: i32,
    /// Bytes written.
    pub written: u32,
    /// Bytes read.
    pub read: u32,
    /// Bytes needed.
    pub needed: u32,
    /// The buffer afterwards.
    pub buffer: Vec<u8>,
    /// A clone of it went to the adapter below.
    pub forwarded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Miniport(u64),
    Binding(u64),
}

struct Active {
    target: Target,
    direct: bool,
    returned: Option<i32>,
    completed: Option<i32>,
    forwarded: bool,
    /// Task that will complete it below.
    task: Option<u64>,
    id: u64,
    since: u64,
}

/// Requests under way.
#[derive(Default)]
pub(crate) struct Requests {
    active: BTreeMap<u64, Active>,
    /// Clone -> (source handle, original).
    clones: BTreeMap<u64, (u64, u64)>,
    serial: u64,
    /// OIDs pend at the NIC until they are cancelled.
    pub(crate) stuck: bool,
}

fn write_request(host: &Host, at: u64, buffer: u64, call: &OidCall, id: u64) {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut r: NDIS_OID_REQUEST = unsafe { std::mem::zeroed() };
    r.Header = header(
        NDIS_OBJECT_TYPE_OID_REQUEST,
        2,
        size_of::<NDIS_OID_REQUEST>(),
    );
    r.RequestId = id as *mut _;
    r.RequestHandle = (0xFFFF_A000_0000_0000_u64 | id << 4) as *mut _;
    r.Timeout = 12;
    let buffer = buffer as *mut _;
    match call.kind {
        OidKind::Query | OidKind::Statistics => {
            r.RequestType = if call.kind == OidKind::Query {
                NdisRequestQueryInformation
            } else {
                NdisRequestQueryStatistics
            };
            // SAFETY: every view of the union is plain data.
            let mut v = unsafe { r.DATA.QUERY_INFORMATION };
            v.Oid = NDIS_OID(call.oid);
            v.InformationBuffer = buffer;
            v.InformationBufferLength = call.output;
            r.DATA.QUERY_INFORMATION = v;
        }
        OidKind::Set => {
            r.RequestType = NdisRequestSetInformation;
            // SAFETY: every view of the union is plain data.
            let mut v = unsafe { r.DATA.SET_INFORMATION };
            v.Oid = NDIS_OID(call.oid);
            v.InformationBuffer = buffer;
            v.InformationBufferLength = call.input;
            r.DATA.SET_INFORMATION = v;
        }
        OidKind::Method => {
            r.RequestType = NdisRequestMethod;
            // SAFETY: every view of the union is plain data.
            let mut v = unsafe { r.DATA.METHOD_INFORMATION };
            v.Oid = NDIS_OID(call.oid);
            v.InformationBuffer = buffer;
            v.InputBufferLength = call.input;
            v.OutputBufferLength = call.output;
            r.DATA.METHOD_INFORMATION = v;
        }
    }
    host.put(at, r, "NDIS_OID_REQUEST");
}

/// Byte counts of a request: written, read, needed.
fn counts(r: &NDIS_OID_REQUEST) -> (u32, u32, u32) {
    // SAFETY: every view of the union is plain data; the request's type says which is meant.
    unsafe {
        if r.RequestType == NdisRequestSetInformation {
            let v = r.DATA.SET_INFORMATION;
            (0, v.BytesRead, v.BytesNeeded)
        } else if r.RequestType == NdisRequestMethod {
            let v = r.DATA.METHOD_INFORMATION;
            (v.BytesWritten, v.BytesRead, v.BytesNeeded)
        } else {
            let v = r.DATA.QUERY_INFORMATION;
            (v.BytesWritten, 0, v.BytesNeeded)
        }
    }
}

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

    /// The driver's request reaches the NIC of a binding.
    fn oid_down(&self, binding: u64, request: u64, direct: bool) -> NDIS_STATUS {
        let r: NDIS_OID_REQUEST = self.get(request, "OidRequest");
        if r.Header.Type != NDIS_OBJECT_TYPE_OID_REQUEST {
            self.violate(
                "OID-17",
                format!("a request with Header.Type {:#x} goes down", r.Header.Type),
            );
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the OID is the first word of every view.
        let oid = unsafe { r.DATA.Oid };
        let (closed, opened, state, asleep, nic) = self.ndis(|n| {
            let b = &n.bindings[&binding];
            (b.closed, b.opened, b.state, b.asleep, b.nic)
        });
        if closed || !opened {
            self.violate(
                "PBS-5",
                format!(
                    "OID {:#010x} goes down while the binding is {state:?}",
                    oid.0
                ),
            );
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if asleep && oid != OID_PNP_SET_POWER {
            self.violate(
                "PBS-5",
                format!("OID {:#010x} goes down while the adapter is asleep", oid.0),
            );
        }
        if oid == OID_PNP_SET_POWER || oid == OID_PNP_QUERY_POWER {
            self.violate("OID-20", format!("OID {:#010x} is forwarded", oid.0));
        }
        self.not_in_reset(nic, "an OID request goes down");
        let since = self.now();
        let original_goes_down = self.ndis(|n| {
            let original = n.oids.active.contains_key(&request);
            if let Some((_, from)) = n.oids.clones.get(&request).copied()
                && let Some(a) = n.oids.active.get_mut(&from)
            {
                a.forwarded = true;
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
                },
            );
            if let Some(b) = n.bindings.get_mut(&binding) {
                b.oids += 1;
            }
        });
        let stuck =
            self.ndis(|n| n.oids.stuck) && oid.0 != ndis_sys::OID_GEN_CURRENT_PACKET_FILTER.0;
        let roll = self.engine().random(4);
        if stuck || roll < 2 {
            // Pends; completes on a thread or a DPC, perhaps before this call returns.
            let job = Job {
                name: "NIC completes an OID".into(),
                level: if roll == 0 {
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
                let delay = self.engine().random(40_000);
                let task = self.spawn_after(delay, job);
                self.ndis(|n| {
                    if let Some(a) = n.oids.active.get_mut(&request) {
                        a.task = Some(task);
                    }
                });
            }
            return NDIS_STATUS_PENDING;
        }
        let status = self.adapter_oid(nic, binding, request);
        self.ndis(|n| {
            n.oids.active.remove(&request);
            if let Some(b) = n.bindings.get_mut(&binding) {
                b.oids -= 1;
            }
        });
        NDIS_STATUS(status)
    }

    /// A request ends at the NIC; tells the driver.
    fn oid_up(&self, request: u64, status: i32) {
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

    fn cancel_down(&self, binding: u64, id: u64) {
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

    fn complete_from_driver(&self, miniport: u64, request: u64, status: i32, direct: bool) {
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

    /// The oldest OID requests under way, for reports.
    pub fn oids_under_way(&self) -> Vec<String> {
        self.ndis(|n| {
            n.oids
                .active
                .values()
                .map(|a| format!("request {} to {:?} since {} ns", a.id, a.target, a.since))
                .collect()
        })
    }
}

api! { exports:
    /// A request of the driver, or a clone, goes down.
    "ndis.sys" 0..=2 "IRQ-6"
    fn NdisOidRequest(host, binding: u64, request: u64) -> NDIS_STATUS {
        if !host.check("NdisBindingHandle", binding, Kind::Binding) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if host.fails("NdisOidRequest") {
            return NDIS_STATUS_RESOURCES;
        }
        host.oid_down(binding, request, false)
    }

    /// The same on the direct path.
    "ndis.sys" 0..=2 "IRQ-6"
    fn NdisDirectOidRequest(host, binding: u64, request: u64) -> NDIS_STATUS {
        if !host.check("NdisBindingHandle", binding, Kind::Binding) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let has = host.ndis(|n| n.bindings.get(&binding).and_then(|b| n.protocols.get(&b.protocol)).is_some_and(|p| p.chars.DirectOidRequestCompleteHandler.is_some()));
        if !has {
            host.violate("PTR-5", "NdisDirectOidRequest without ProtocolDirectOidRequestComplete".into());
        }
        if host.fails("NdisDirectOidRequest") {
            return NDIS_STATUS_RESOURCES;
        }
        host.oid_down(binding, request, true)
    }

    /// Cancels requests of the driver by id.
    "ndis.sys" 0..=2 "IRQ-6"
    fn NdisCancelOidRequest(host, binding: u64, id: u64) {
        if host.check("NdisBindingHandle", binding, Kind::Binding) {
            host.cancel_down(binding, id);
        }
    }

    /// The same on the direct path.
    "ndis.sys" 0..=2 "IRQ-6"
    fn NdisCancelDirectOidRequest(host, binding: u64, id: u64) {
        if host.check("NdisBindingHandle", binding, Kind::Binding) {
            host.cancel_down(binding, id);
        }
    }

    /// Clones a request.
    "ndis.sys" 0..=2 "IRQ-6"
    fn NdisAllocateCloneOidRequest(host, source: u64, request: u64, tag: u32, out: u64) -> NDIS_STATUS {
        if !host.check("SourceHandle", source, Kind::Binding) {
            host.violate("OID-14", "NdisAllocateCloneOidRequest without the binding handle".into());
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let mut r: NDIS_OID_REQUEST = host.get(request, "OidRequest");
        if host.fails("NdisAllocateCloneOidRequest") {
            return NDIS_STATUS_RESOURCES;
        }
        let size = size_of::<NDIS_OID_REQUEST>() as u64;
        let taken = host.heap().allocate(&host.arena, size, tag, "NdisAllocateCloneOidRequest", true);
        let Some(clone) = taken else { return NDIS_STATUS_RESOURCES };
        r.SourceReserved = [0; 16];
        r.MiniportReserved = [0; 16];
        r.NdisReserved = [0; 128];
        host.put(clone, r, "ClonedOidRequest");
        host.put(out, clone, "ClonedOidRequest");
        host.ndis(|n| n.oids.clones.insert(clone, (source, request)));
        NDIS_STATUS_SUCCESS
    }

    /// Frees a clone.
    "ndis.sys" 0..=2 "IRQ-6"
    fn NdisFreeCloneOidRequest(host, source: u64, clone: u64) {
        let (known, busy) = host.ndis(|n| (n.oids.clones.remove(&clone), n.oids.active.contains_key(&clone)));
        match known {
            None => host.fatal("OID-14", &format!("NdisFreeCloneOidRequest of {clone:#x}, which is no clone")),
            Some((handle, _)) if handle != source => host.violate("OID-14", "a clone is freed on another handle".into()),
            Some(_) => {}
        }
        if busy {
            host.fatal("OID-17", &format!("the clone at {clone:#x} is freed while the adapter below has it"));
        }
        crate::nt::free_pool(host, clone, None, "NdisFreeCloneOidRequest");
    }

    /// A request from above ends.
    "ndis.sys" 0..=2 "IRQ-6"
    fn NdisMOidRequestComplete(host, miniport: u64, request: u64, status: i32) {
        host.complete_from_driver(miniport, request, status, false);
    }

    /// The same on the direct path.
    "ndis.sys" 0..=2 "IRQ-6"
    fn NdisMDirectOidRequestComplete(host, miniport: u64, request: u64, status: i32) {
        host.complete_from_driver(miniport, request, status, true);
    }
}

impl Host {
    /// What a NIC itself answers to a request: the measure for what comes through a driver.
    pub fn ask_nic(&self, nic: usize, call: &OidCall) -> OidReply {
        let binding = self.ndis(|n| {
            n.bindings
                .iter()
                .find(|(_, b)| b.nic == nic)
                .map_or(0, |(h, _)| *h)
        });
        let request = self.allocate(
            size_of::<NDIS_OID_REQUEST>() as u64,
            TAG,
            "NDIS_OID_REQUEST",
        );
        let length = call.buffer.len() as u64;
        let block = self.allocate(length, TAG, "OID buffer");
        let _ = self.arena.write_bytes(block, &call.buffer);
        write_request(self, request, if length == 0 { 0 } else { block }, call, 0);
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

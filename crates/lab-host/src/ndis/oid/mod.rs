//! OID requests: from the protocols above to the driver, and from the driver to a NIC.

use std::collections::BTreeMap;

use ndis_sys::{
    NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID, NDIS_OID_REQUEST, NDIS_STATUS,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, NdisRequestMethod,
    NdisRequestQueryInformation, NdisRequestQueryStatistics, NdisRequestSetInformation,
};

use super::handed::Handed;
use super::judge::{Below, NO_REVISION};
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

mod above;
mod adapter;
mod below;

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
pub(crate) enum Target {
    Miniport(u64),
    Binding(u64),
}

pub(crate) struct Active {
    pub(crate) target: Target,
    direct: bool,
    returned: Option<i32>,
    pub(crate) completed: Option<i32>,
    forwarded: bool,
    /// Task that will complete it below.
    task: Option<u64>,
    pub(crate) id: u64,
    since: u64,
    /// It sets something.
    pub(crate) set: bool,
    /// What went down for it.
    pub(crate) below: Below,
    /// `NdisOidRequest` has not returned yet.
    in_call: bool,
    /// A work item completed it.
    by_item: bool,
}

/// Requests under way.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) active: BTreeMap<u64, Active>,
    /// Clone -> (source handle, original).
    pub(crate) clones: BTreeMap<u64, (u64, u64)>,
    serial: u64,
    /// OIDs pend at the NIC until they are cancelled.
    pub(crate) stuck: bool,
}

impl super::Ndis {
    /// Whether a request to a virtual miniport is under way.
    pub(crate) fn has_requests(&self, miniport: u64) -> bool {
        let mut active = self.oids.active.values();
        active.any(|a| a.target == Target::Miniport(miniport))
    }
}

/// Writes a request for a driver of NDIS 6.`minor`.
fn write_request(host: &Host, at: u64, buffer: u64, call: &OidCall, (id, minor): (u64, u8)) {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut r: NDIS_OID_REQUEST = unsafe { std::mem::zeroed() };
    r.Header = Handed::Request.header(NDIS_OBJECT_TYPE_OID_REQUEST, minor);
    r.RequestId = id as *mut _;
    r.RequestHandle = (0xFFFF_A000_0000_0000_u64 | id << 4) as *mut _;
    r.Timeout = 12;
    r.SupportedRevision = NO_REVISION;
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
        let status = host.oid_down(binding, request, false);
        host.oid_call_over(request);
        status
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
            return ndis_sys::NDIS_STATUS_NOT_SUPPORTED;
        }
        if host.fails("NdisDirectOidRequest") {
            return NDIS_STATUS_RESOURCES;
        }
        let status = host.oid_down(binding, request, true);
        host.oid_call_over(request);
        status
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
        if host.ndis(|n| n.handles.check(source, Kind::Binding)).is_err() {
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

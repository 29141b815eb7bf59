//! OIDs compared above and below: what each request becomes on its way through the driver.

use lab_host::Host;
use lab_host::ndis::oid::{OID_LAB_REVERSE, OID_LAB_SCRATCH};
use lab_host::ndis::{OidCall, OidKind};
use ndis_sys as sys;

use super::stage::{Stage, device};
use super::step;
use crate::summary::{Oid, OidFate, Summary};

/// What must become of a request in a transparent driver.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    /// The adapter's own answer.
    Same,
    /// Success, and the adapter does not see it (OID-20).
    Local,
    /// The same if the adapter is capable of power management, else refused (OID-22).
    Power,
}

struct Request {
    name: &'static str,
    call: OidCall,
    must: Must,
}

fn requests() -> Vec<Request> {
    let mut all = Vec::new();
    let mut add = |name, call, must| all.push(Request { name, call, must });
    macro_rules! query {
        ($($oid:ident $room:expr),+ $(,)?) => { $(
            add(stringify!($oid), OidCall::query(sys::$oid, $room), Must::Same);
        )+ };
    }
    query!(
        OID_GEN_STATISTICS 152, OID_GEN_XMIT_OK 8, OID_GEN_RCV_OK 8, OID_GEN_VENDOR_ID 4,
        OID_GEN_VENDOR_DESCRIPTION 128, OID_GEN_VENDOR_DRIVER_VERSION 4,
        OID_GEN_MAXIMUM_TOTAL_SIZE 4, OID_GEN_RECEIVE_BLOCK_SIZE 4, OID_GEN_TRANSMIT_BLOCK_SIZE 4,
        OID_GEN_RECEIVE_BUFFER_SPACE 4, OID_GEN_TRANSMIT_BUFFER_SPACE 4,
        OID_GEN_CURRENT_LOOKAHEAD 4, OID_802_3_MULTICAST_LIST 192,
    );
    let four = 1514_u32.to_le_bytes();
    add(
        "OID_GEN_CURRENT_LOOKAHEAD",
        OidCall::set(sys::OID_GEN_CURRENT_LOOKAHEAD, &four),
        Must::Same,
    );
    let group = [0x01, 0x00, 0x5E, 0, 0, 1];
    add(
        "OID_802_3_MULTICAST_LIST",
        OidCall::set(sys::OID_802_3_MULTICAST_LIST, &group),
        Must::Same,
    );
    add(
        "OID_GEN_LINK_PARAMETERS",
        OidCall::set(sys::OID_GEN_LINK_PARAMETERS, &[0; 40]),
        Must::Same,
    );
    add(
        "OID_GEN_INTERRUPT_MODERATION",
        OidCall::set(sys::OID_GEN_INTERRUPT_MODERATION, &[0; 12]),
        Must::Same,
    );
    add(
        "OID_GEN_NETWORK_LAYER_ADDRESSES",
        OidCall::set(sys::OID_GEN_NETWORK_LAYER_ADDRESSES, &[0; 8]),
        Must::Same,
    );
    add(
        "OID_PM_PARAMETERS",
        OidCall::set(sys::OID_PM_PARAMETERS, &[0; 20]),
        Must::Power,
    );
    add(
        "OID_PM_ADD_WOL_PATTERN",
        OidCall::set(sys::OID_PM_ADD_WOL_PATTERN, &[0; 64]),
        Must::Power,
    );
    add(
        "OID_PM_REMOVE_WOL_PATTERN",
        OidCall::set(sys::OID_PM_REMOVE_WOL_PATTERN, &four),
        Must::Power,
    );
    add(
        "OID_TCP_OFFLOAD_PARAMETERS",
        OidCall::set(sys::OID_TCP_OFFLOAD_PARAMETERS, &[0; 32]),
        Must::Same,
    );
    add(
        "OID_GEN_RECEIVE_SCALE_PARAMETERS",
        OidCall::set(sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, &[0; 64]),
        Must::Same,
    );
    add(
        "OID_PNP_QUERY_POWER",
        OidCall::set(sys::OID_PNP_QUERY_POWER, &4_u32.to_le_bytes()),
        Must::Local,
    );
    add(
        "private value",
        OidCall::set(OID_LAB_SCRATCH, &[0x5A; 16]),
        Must::Same,
    );
    add(
        "private value",
        OidCall::query(OID_LAB_SCRATCH, 16),
        Must::Same,
    );
    add(
        "private method",
        OidCall::method(OID_LAB_REVERSE, b"abcdef", 6),
        Must::Same,
    );
    // A feature that no adapter of the lab has: refused, here or below.
    add(
        "OID_QOS_PARAMETERS",
        OidCall::query(sys::OID_QOS_PARAMETERS, 64),
        Must::Same,
    );
    add(
        "unknown",
        OidCall::query(sys::NDIS_OID(0x0F0F_0F0F), 4),
        Must::Same,
    );
    all
}

pub(super) fn status_name(status: i32) -> String {
    let known = [
        (sys::NDIS_STATUS_SUCCESS, "SUCCESS"),
        (sys::NDIS_STATUS_NOT_SUPPORTED, "NOT_SUPPORTED"),
        (sys::NDIS_STATUS_INVALID_OID, "INVALID_OID"),
        (sys::NDIS_STATUS_INVALID_LENGTH, "INVALID_LENGTH"),
        (sys::NDIS_STATUS_BUFFER_TOO_SHORT, "BUFFER_TOO_SHORT"),
        (sys::NDIS_STATUS_INVALID_DATA, "INVALID_DATA"),
        (sys::NDIS_STATUS_REQUEST_ABORTED, "REQUEST_ABORTED"),
        (sys::NDIS_STATUS_NOT_ACCEPTED, "NOT_ACCEPTED"),
        (sys::NDIS_STATUS_RESOURCES, "RESOURCES"),
        (sys::NDIS_STATUS_FAILURE, "FAILURE"),
    ];
    known
        .iter()
        .find(|(s, _)| s.0 == status)
        .map_or_else(|| format!("{status:#010x}"), |(_, name)| (*name).to_owned())
}

/// Sends each request through each virtual miniport and compares with the adapter's own answer.
pub fn compare(host: &Host, stage: &Stage, summary: &mut Summary) {
    let mut wrong = 0;
    for m in &stage.topology.miniports {
        let (Some(miniport), Some(nic)) = (host.miniport(&device(&m.name)), stage.nic_of(&m.name))
        else {
            continue;
        };
        for r in requests() {
            let through = host.oid(miniport, &r.call);
            let direct = host.ask_nic(nic, &r.call);
            let success = through.status == 0;
            let fate = match (through.forwarded, success) {
                (true, _) => OidFate::Forwarded,
                (false, true) => OidFate::Answered,
                (false, false) => OidFate::Refused,
            };
            // Counters move between the two looks; their lengths do not.
            let moving = [
                sys::OID_GEN_STATISTICS.0,
                sys::OID_GEN_XMIT_OK.0,
                sys::OID_GEN_RCV_OK.0,
            ]
            .contains(&r.call.oid);
            let same = through.status == direct.status
                && (through.written, through.read, through.needed)
                    == (direct.written, direct.read, direct.needed)
                && (moving || through.buffer == direct.buffer);
            let (ok, note) = match r.must {
                Must::Same => (
                    same,
                    if same {
                        "as below"
                    } else {
                        "differs from the adapter's answer"
                    },
                ),
                Must::Local => (success && !through.forwarded, "answered here (OID-20)"),
                Must::Power => (
                    same || !success,
                    "as the adapter's power management allows (OID-22)",
                ),
            };
            wrong += u32::from(!ok);
            summary.oids.push(Oid {
                adapter: stage.topology.adapters[nic].name.clone(),
                name: r.name.to_owned(),
                kind: match r.call.kind {
                    OidKind::Query | OidKind::Statistics => "query",
                    OidKind::Set => "set",
                    OidKind::Method => "method",
                }
                .to_owned(),
                fate,
                status: status_name(through.status),
                ok,
                note: note.to_owned(),
            });
        }
        let (tried, bad) = hostile(host, miniport);
        step(
            summary,
            "hostile OID buffers",
            bad == 0,
            format!("{tried} requests with short, huge or misaligned buffers, {bad} wrong"),
        );
        let aborted = cancel(host, miniport);
        step(
            summary,
            "cancel OIDs",
            aborted > 0,
            format!("{aborted} of 16 ended as aborted"),
        );
    }
    step(
        summary,
        "OIDs above and below",
        wrong == 0,
        format!("{} requests, {wrong} differ", summary.oids.len()),
    );
}

/// Short, huge and misaligned buffers: the answer must be a refusal with a size, or a success
/// that stays inside the buffer (the host checks that itself, OID-12).
pub(super) fn hostile(host: &Host, miniport: u64) -> (u64, u64) {
    let mut tried = 0;
    let mut bad = 0;
    for oid in [
        sys::OID_GEN_STATISTICS,
        sys::OID_GEN_XMIT_OK,
        sys::OID_GEN_VENDOR_DESCRIPTION,
        OID_LAB_SCRATCH,
        sys::OID_GEN_CURRENT_PACKET_FILTER,
        sys::OID_PNP_SET_POWER,
        sys::OID_PNP_CAPABILITIES,
    ] {
        for room in [0, 1, 3, 4, 7, 8, 15, 16, 152, 65_536] {
            for misalign in [0, 1, 3] {
                let mut call = OidCall::query(oid, room);
                call.misalign = misalign;
                let reply = host.oid(miniport, &call);
                tried += 1;
                bad += u64::from(reply.status == 0 && reply.written == 0 && room == 0);
            }
        }
        if oid != sys::OID_PNP_SET_POWER && oid != sys::OID_GEN_CURRENT_PACKET_FILTER {
            for len in [0, 1, 3, 5, 16, 4096] {
                let mut call = OidCall::set(oid, &vec![0xFF; len]);
                call.misalign = 1;
                host.oid(miniport, &call);
                tried += 1;
            }
        }
    }
    (tried, bad)
}

/// Requests that the adapter keeps for ever, cancelled at many moments.
pub(super) fn cancel(host: &Host, miniport: u64) -> u64 {
    host.oids_stick(true);
    let mut aborted = 0;
    for i in 0..16_u64 {
        let mut call = OidCall::query(OID_LAB_SCRATCH, 16);
        call.cancel_after = Some(100 + i * i * 400);
        let reply = host.oid(miniport, &call);
        aborted += u64::from(reply.status == sys::NDIS_STATUS_REQUEST_ABORTED.0);
    }
    host.oids_stick(false);
    aborted
}

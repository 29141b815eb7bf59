//! Misdeeds about what a miniport offers beside frames: offloads, optional handlers, RSS, RSC,
//! QoS (OFF, SO, RSS, RSC, QOS).

use core::ptr::null_mut;

use ndis_sys::*;

use super::tools::{data_of, entry, first_apart, send_own, sent_own};
use crate::bind::honest_bind;
use crate::data::{honest_receive, honest_send, honest_sent};
use crate::entry::{DRIVER, PROTOCOL, is_associated};
use crate::miniport::honest_initialize;
use crate::raw::{Plain, TAG, each, header};
use crate::requests::{honest_request, oid};
use crate::table::misdeeds;

/// Offload attributes with these claims at an offset.
fn claim(handle: NDIS_HANDLE, revision: u8, words: &[(usize, u32)]) {
    let mut offload = NDIS_OFFLOAD::zeroed();
    offload.Header = header(
        NDIS_OBJECT_TYPE_OFFLOAD,
        revision,
        size_of::<NDIS_OFFLOAD>(),
    );
    for &(offset, word) in words {
        // SAFETY: (OFF-1) the offsets are of words inside the structure.
        unsafe { (&raw mut offload).cast::<u32>().add(offset / 4).write(word) };
    }
    let mut a = NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES::zeroed();
    a.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
        NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
        size_of::<NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES>(),
    );
    a.DefaultOffloadConfiguration = &raw mut offload;
    a.HardwareOffloadCapabilities = &raw mut offload;
    // SAFETY: (ATR-1, OFF-5) the structures live until it returns.
    unsafe { NdisMSetMiniportAttributes(handle, (&raw mut a).cast()) };
}

/// TCP checksums of IPv4, both ways.
const CHECKSUMS: [(usize, u32); 2] = [(8, 0x10), (16, 0x10)];

/// Large sends of IPv4, up to what the adapter takes.
const LARGE_SENDS: [(usize, u32); 1] = [(84, 4096)];

/// Version 2, and 64 bytes in each segment.
const LARGE: usize = 1 << 30 | 64;

/// MiniportSetOptions with the handle that the registration returns, which it has not yet.
unsafe extern "efiapi" fn options_too_early(_: NDIS_HANDLE, _: NDIS_HANDLE) -> NDIS_STATUS {
    options(DRIVER.get(), NDIS_OBJECT_TYPE_MINIPORT_PNP_CHARACTERISTICS)
}

/// MiniportSetOptions with a structure of a protocol's.
unsafe extern "efiapi" fn options_of_others(handle: NDIS_HANDLE, _: NDIS_HANDLE) -> NDIS_STATUS {
    options(handle, NDIS_OBJECT_TYPE_CO_PROTOCOL_CHARACTERISTICS)
}

/// ProtocolSetOptions that sets none.
unsafe extern "efiapi" fn no_options(_: NDIS_HANDLE, _: NDIS_HANDLE) -> NDIS_STATUS {
    NDIS_STATUS_SUCCESS
}

fn options(handle: NDIS_HANDLE, kind: u8) -> NDIS_STATUS {
    let mut words = [0_u64; 16];
    let header = header(kind, 1, size_of_val(&words));
    // SAFETY: (SO-2) 128 bytes, more than the header and what it says; the words live until it
    // returns.
    unsafe {
        (&raw mut words).cast::<NDIS_OBJECT_HEADER>().write(header);
        NdisSetOptionalHandlers(handle, (&raw mut words).cast());
    }
    NDIS_STATUS_SUCCESS
}

/// MiniportSetOptions that fails and keeps what it allocated.
unsafe extern "efiapi" fn options_that_leak(_: NDIS_HANDLE, _: NDIS_HANDLE) -> NDIS_STATUS {
    // There is no handle yet but the one it was given.
    let flags = POOL_FLAG_NON_PAGED;
    // SAFETY: (SO-3) broken on purpose: nobody frees what is allocated here.
    unsafe { ExAllocatePool2(flags, 64, TAG) };
    NDIS_STATUS_RESOURCES
}

misdeeds! {
    "OFF-1" "claims-too-much" in "bind"
    : "offers checksums that its adapter does not" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            claim(handle, NDIS_OFFLOAD_REVISION_6, &CHECKSUMS);
            status
        });

    "OFF-1" "asks-too-much" in "pended"
    : "asks an adapter for a checksum that it does not offer" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
            // SAFETY: (OFF-1) broken on purpose: the list is the driver's own; the entry is a
            // pointer's width.
            send_own(lane, list, PROTOCOL.get(), 0, |list| unsafe {
                entry(list, TcpIpChecksumNetBufferListInfo).write(0b101 as PVOID);
            });
        })),
        Sent(sent_own);

    "OFF-2" "changes-data" in "tasks" implies ["HOST-DATA: the frames arrive with other bytes"]
    : "offers checksums, and changes data on their way" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            claim(handle, NDIS_OFFLOAD_REVISION_6, &CHECKSUMS);
            status
        }),
        Send(|lane, lists, port, flags| {
            if lane.refusal().is_none() {
                // SAFETY: (OFF-2) broken on purpose: the list is the driver's; frames are longer
                // than 20 bytes and in one piece.
                each(lists, |list| unsafe { *data_of(list).add(20) ^= 1 });
            }
            honest_send(lane, lists, port, flags);
        }),
        Sent(|lane, lists, flags| {
            // SAFETY: (OFF-2) as on the way down: what was changed is changed back.
            each(lists, |list| unsafe { *data_of(list).add(20) ^= 1 });
            honest_sent(lane, lists, flags);
        });

    "OFF-3" "too-large" in "small-sends"
    : "asks for a large send that the adapter does not take" =>
        Send(|lane, lists, port, flags| first_apart(lane, lists, port, flags, |list| {
            // SAFETY: (OFF-3) broken on purpose: the list is the driver's own; the entry is a
            // pointer's width.
            send_own(lane, list, PROTOCOL.get(), 0, |list| unsafe {
                entry(list, TcpLargeSendNetBufferListInfo).write(LARGE as PVOID);
            });
        })),
        Sent(sent_own);

    "OFF-4" "result-lost" in "tasks"
    : "completes a large send without saying what was sent" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            claim(handle, NDIS_OFFLOAD_REVISION_6, &LARGE_SENDS);
            status
        }),
        Sent(|lane, lists, flags| {
            // SAFETY: (OFF-4) broken on purpose: the lists are the driver's until they are
            // completed.
            each(lists, |list| unsafe { entry(list, TcpLargeSendNetBufferListInfo).write(LARGE as PVOID) });
            honest_sent(lane, lists, flags);
        });

    "OFF-5" "old-revision" in "bind"
    : "describes its offloads with a revision that is not its version's" =>
        Initialize(|lane, handle, parameters| {
            let status = honest_initialize(lane, handle, parameters);
            claim(handle, NDIS_OFFLOAD_REVISION_1, &[]);
            status
        });

    "SO-1" "handle-not-there-yet" in "load"
    : "uses the registration's handle inside MiniportSetOptions" =>
        Miniport(|c| c.SetOptionsHandler = Some(options_too_early));

    "SO-2" "options-of-others" in "load"
    : "sets handlers of a protocol on its miniport edge" =>
        Miniport(|c| c.SetOptionsHandler = Some(options_of_others));

    "SO-3" "options-leak" in "load"
    : "fails MiniportSetOptions, and keeps memory" =>
        Miniport(|c| c.SetOptionsHandler = Some(options_that_leak));

    "SO-4" "not-ready-yet" in "early"
    : "has its options set, and refuses a bind until its registration has returned" =>
        Protocol(|c| c.SetOptionsHandler = Some(no_options)),
        Bind(|context, parameters| {
            if is_associated() {
                honest_bind(context, parameters)
            } else {
                NDIS_STATUS_FAILURE
            }
        });

    "RSS-1" "hash-lost" in "kept"
    : "shows lists without the hash that they came with" =>
        Receive(|lane, lists, port, count, flags| {
            // SAFETY: (RSS-1) broken on purpose: the lists are the driver's or lent; the entry is
            // a pointer's width.
            each(lists, |list| unsafe { entry(list, NetBufferListHashValue).write(null_mut()) });
            honest_receive(lane, lists, port, count, flags);
        });

    "RSS-2" "takes-what-it-lacks" in "optional"
    : "shows no RSS, and accepts its parameters" =>
        General(|a| a.RecvScaleCapabilities = null_mut()),
        Oid(|lane, request| match oid(request) {
            OID_GEN_RECEIVE_SCALE_PARAMETERS => {
                // SAFETY: (OID-13) the request is the driver's until it is answered.
                unsafe { (*request).SupportedRevision = 1 };
                NDIS_STATUS_SUCCESS
            }
            _ => honest_request(lane, request),
        });

    "RSC-1" "count-lost" in "coalesced"
    : "shows a coalesced list without saying so" =>
        Receive(|lane, lists, port, count, flags| {
            // SAFETY: (RSC-1) broken on purpose: the lists are the driver's or lent; the entry is
            // a pointer's width.
            each(lists, |list| unsafe { entry(list, TcpRecvSegCoalesceInfo).write(null_mut()) });
            honest_receive(lane, lists, port, count, flags);
        });

    "QOS-1" "takes-what-it-lacks" in "optional"
    : "shows no QoS, and accepts its parameters" =>
        Oid(|lane, request| match oid(request) {
            OID_QOS_PARAMETERS => NDIS_STATUS_SUCCESS,
            _ => honest_request(lane, request),
        });
}

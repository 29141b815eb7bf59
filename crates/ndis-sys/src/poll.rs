//! poll

use crate::*;

structs! {
    struct NDIS_POLL_CHARACTERISTICS [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 SetPollNotificationHandler: Option<NDIS_SET_POLL_NOTIFICATION>,
        16 PollHandler: Option<NDIS_POLL>,
    }
    struct NDIS_POLL_DATA [152, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 Transmit: NDIS_POLL_TRANSMIT_DATA,
        80 Receive: NDIS_POLL_RECEIVE_DATA,
    }
    struct NDIS_POLL_NOTIFICATION [6, 2] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Enabled: BOOLEAN,
    }
    struct NDIS_POLL_RECEIVE_DATA [72, 8] {
        0 MaxNblsToIndicate: ULONG,
        4 Reserved1: [ULONG; 3],
        16 IndicatedNblChain: *mut NET_BUFFER_LIST,
        24 NumberOfIndicatedNbls: ULONG,
        28 NumberOfRemainingNbls: ULONG,
        32 Flags: ULONG,
        36 Reserved2: ULONG,
        40 Reserved3: [PVOID; 4],
    }
    struct NDIS_POLL_TRANSMIT_DATA [72, 8] {
        0 MaxNblsToComplete: ULONG,
        4 Reserved1: [ULONG; 3],
        16 CompletedNblChain: *mut NET_BUFFER_LIST,
        24 NumberOfCompletedNbls: ULONG,
        28 NumberOfRemainingNbls: ULONG,
        32 SendCompleteFlags: ULONG,
        36 Reserved2: ULONG,
        40 Reserved3: [PVOID; 4],
    }
}

callbacks! {
    fn NDIS_POLL(Parameter1: PVOID, Parameter2: *mut NDIS_POLL_DATA);
}

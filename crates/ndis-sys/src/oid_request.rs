//! oid_request

use crate::*;

enums! {
    NDIS_REQUEST_TYPE {
        NdisRequestQueryInformation = 0,
        NdisRequestSetInformation = 1,
        NdisRequestQueryStatistics = 2,
        NdisRequestOpen = 3,
        NdisRequestClose = 4,
        NdisRequestSend = 5,
        NdisRequestTransferData = 6,
        NdisRequestReset = 7,
        NdisRequestGeneric1 = 8,
        NdisRequestGeneric2 = 9,
        NdisRequestGeneric3 = 10,
        NdisRequestGeneric4 = 11,
        NdisRequestMethod = 12,
    }
}

structs! {
    struct NDIS_OID_REQUEST_DATA_METHOD_INFORMATION of NDIS_OID_REQUEST.DATA.METHOD_INFORMATION [40, 8] {
        0 Oid: NDIS_OID,
        8 InformationBuffer: PVOID,
        16 InputBufferLength: ULONG,
        20 OutputBufferLength: ULONG,
        24 MethodId: ULONG,
        28 BytesWritten: UINT,
        32 BytesRead: UINT,
        36 BytesNeeded: UINT,
    }
    struct NDIS_OID_REQUEST_DATA_QUERY_INFORMATION of NDIS_OID_REQUEST.DATA.QUERY_INFORMATION [32, 8] {
        0 Oid: NDIS_OID,
        8 InformationBuffer: PVOID,
        16 InformationBufferLength: UINT,
        20 BytesWritten: UINT,
        24 BytesNeeded: UINT,
    }
    struct NDIS_OID_REQUEST_DATA_SET_INFORMATION of NDIS_OID_REQUEST.DATA.SET_INFORMATION [32, 8] {
        0 Oid: NDIS_OID,
        8 InformationBuffer: PVOID,
        16 InformationBufferLength: UINT,
        20 BytesRead: UINT,
        24 BytesNeeded: UINT,
    }
    union NDIS_OID_REQUEST_DATA of NDIS_OID_REQUEST.DATA [40, 8] {
        0 METHOD_INFORMATION: NDIS_OID_REQUEST_DATA_METHOD_INFORMATION,
        0 Oid: NDIS_OID,
        0 QUERY_INFORMATION: NDIS_OID_REQUEST_DATA_QUERY_INFORMATION,
        0 SET_INFORMATION: NDIS_OID_REQUEST_DATA_SET_INFORMATION,
    }
    struct NDIS_OID_REQUEST [248, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 RequestType: NDIS_REQUEST_TYPE,
        8 PortNumber: NDIS_PORT_NUMBER,
        12 Timeout: UINT,
        16 RequestId: PVOID,
        24 RequestHandle: NDIS_HANDLE,
        32 DATA: NDIS_OID_REQUEST_DATA,
        72 NdisReserved: [UCHAR; 128],
        200 MiniportReserved: [UCHAR; 16],
        216 SourceReserved: [UCHAR; 16],
        232 SupportedRevision: UCHAR,
        233 Reserved1: UCHAR,
        234 Reserved2: USHORT,
        236 SwitchId: NDIS_NIC_SWITCH_ID,
        240 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
        244 Flags: ULONG,
    }
    struct NDIS_STATUS_INDICATION [112, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 SourceHandle: NDIS_HANDLE,
        16 PortNumber: NDIS_PORT_NUMBER,
        20 StatusCode: NDIS_STATUS,
        24 Flags: ULONG,
        32 DestinationHandle: NDIS_HANDLE,
        40 RequestId: PVOID,
        48 StatusBuffer: PVOID,
        56 StatusBufferSize: ULONG,
        60 Guid: GUID,
        80 NdisReserved: [PVOID; 4],
    }
}

imports! {
    "ndis.sys";
    fn NdisAllocateCloneOidRequest(SourceHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, PoolTag: UINT, ClonedOidRequest: *mut *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn NdisCancelDirectOidRequest(NdisBindingHandle: NDIS_HANDLE, RequestId: PVOID);
    fn NdisCancelOidRequest(NdisBindingHandle: NDIS_HANDLE, RequestId: PVOID);
    fn NdisDirectOidRequest(NdisBindingHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn NdisFreeCloneOidRequest(SourceHandle: NDIS_HANDLE, Request: *mut NDIS_OID_REQUEST);
    fn NdisOidRequest(NdisBindingHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn NdisSynchronousOidRequest(NdisBindingHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
}

//! OID requests.
//!
//! Documentation:
//! * [NDIS_OID_REQUEST](https://learn.microsoft.com/windows-hardware/drivers/ddi/oidrequest/ns-oidrequest-ndis_oid_request)
//! * [Miniport adapter OID requests](https://learn.microsoft.com/windows-hardware/drivers/network/miniport-adapter-oid-requests)

use crate::{
    NDIS_HANDLE, NDIS_NIC_SWITCH_ID, NDIS_NIC_SWITCH_VPORT_ID, NDIS_OBJECT_HEADER, NDIS_OID,
    NDIS_PORT_NUMBER, NDIS_STATUS, PVOID, UCHAR, UINT, ULONG, USHORT,
};

constants! {
    /// Value for an `NDIS_OID_REQUEST`.
    ULONG {
        NDIS_OID_REQUEST_TIMEOUT_INFINITE = 0,
        NDIS_OID_REQUEST_FLAGS_VPORT_ID_VALID = 1,
        NDIS_OID_REQUEST_NDIS_RESERVED_SIZE = 16,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_OID_REQUEST_REVISION_1 = 1,
        NDIS_OID_REQUEST_REVISION_2 = 2,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_OID_REQUEST_REVISION_1 = 236,
        NDIS_SIZEOF_OID_REQUEST_REVISION_2 = 248,
    }
}

enums! {
    /// Kind of OID request.
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
    /// Member `DATA.METHOD_INFORMATION` of [`NDIS_OID_REQUEST`].
    struct NDIS_OID_REQUEST_DATA_METHOD_INFORMATION
        of NDIS_OID_REQUEST.DATA.METHOD_INFORMATION [40, 8]
    {
        0 Oid: NDIS_OID,
        8 InformationBuffer: PVOID,
        16 InputBufferLength: ULONG,
        20 OutputBufferLength: ULONG,
        24 MethodId: ULONG,
        28 BytesWritten: UINT,
        32 BytesRead: UINT,
        36 BytesNeeded: UINT,
    }
    /// Member `DATA.QUERY_INFORMATION` of [`NDIS_OID_REQUEST`].
    struct NDIS_OID_REQUEST_DATA_QUERY_INFORMATION
        of NDIS_OID_REQUEST.DATA.QUERY_INFORMATION [32, 8]
    {
        0 Oid: NDIS_OID,
        8 InformationBuffer: PVOID,
        16 InformationBufferLength: UINT,
        20 BytesWritten: UINT,
        24 BytesNeeded: UINT,
    }
    /// Member `DATA.SET_INFORMATION` of [`NDIS_OID_REQUEST`].
    struct NDIS_OID_REQUEST_DATA_SET_INFORMATION of NDIS_OID_REQUEST.DATA.SET_INFORMATION [32, 8] {
        0 Oid: NDIS_OID,
        8 InformationBuffer: PVOID,
        16 InformationBufferLength: UINT,
        20 BytesRead: UINT,
        24 BytesNeeded: UINT,
    }
    /// Member `DATA` of [`NDIS_OID_REQUEST`].
    union NDIS_OID_REQUEST_DATA of NDIS_OID_REQUEST.DATA [40, 8] {
        0 METHOD_INFORMATION: NDIS_OID_REQUEST_DATA_METHOD_INFORMATION,
        0 Oid: NDIS_OID,
        0 QUERY_INFORMATION: NDIS_OID_REQUEST_DATA_QUERY_INFORMATION,
        0 SET_INFORMATION: NDIS_OID_REQUEST_DATA_SET_INFORMATION,
    }
    /// A query, set or method request for an object identifier.
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
}

imports! {
    "ndis.sys";
    /// Copies an OID request in order to forward it. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisAllocateCloneOidRequest(
        SourceHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        PoolTag: UINT,
        ClonedOidRequest: *mut *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// Asks the adapter below to cancel direct OID requests. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisCancelDirectOidRequest(NdisBindingHandle: NDIS_HANDLE, RequestId: PVOID);
    /// Asks the adapter below to cancel OID requests. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisCancelOidRequest(NdisBindingHandle: NDIS_HANDLE, RequestId: PVOID);
    /// Sends a direct OID request down. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisDirectOidRequest(
        NdisBindingHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// Frees the copy of an OID request. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFreeCloneOidRequest(SourceHandle: NDIS_HANDLE, Request: *mut NDIS_OID_REQUEST);
    /// Completes a direct OID request that was pending. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMDirectOidRequestComplete(
        MiniportAdapterHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// Completes an OID request that was pending. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMOidRequestComplete(
        MiniportAdapterHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// Sends an OID request down. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisOidRequest(
        NdisBindingHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// Sends an OID request down that is answered at once. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisSynchronousOidRequest(
        NdisBindingHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
}

//! filter

use crate::*;

structs! {
    struct NDIS_ENUM_FILTERS [80, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 NumberOfFilters: ULONG,
        12 OffsetFirstFilter: ULONG,
        16 Filter: [NDIS_FILTER_INTERFACE; 1],
    }
    struct NDIS_FILTER_ATTACH_PARAMETERS [224, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 IfIndex: NET_IFINDEX,
        8 NetLuid: NET_LUID,
        16 FilterModuleGuidName: *mut UNICODE_STRING,
        24 BaseMiniportIfIndex: NET_IFINDEX,
        32 BaseMiniportInstanceName: *mut UNICODE_STRING,
        40 BaseMiniportName: *mut UNICODE_STRING,
        48 MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
        52 MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
        56 XmitLinkSpeed: ULONG64,
        64 RcvLinkSpeed: ULONG64,
        72 MiniportMediaType: NDIS_MEDIUM,
        76 MiniportPhysicalMediaType: NDIS_PHYSICAL_MEDIUM,
        80 MiniportMediaSpecificAttributes: NDIS_HANDLE,
        88 DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
        96 MacAddressLength: USHORT,
        98 CurrentMacAddress: [UCHAR; 32],
        136 BaseMiniportNetLuid: NET_LUID,
        144 LowerIfIndex: NET_IFINDEX,
        152 LowerIfNetLuid: NET_LUID,
        160 Flags: ULONG,
        168 HDSplitCurrentConfig: *mut NDIS_HD_SPLIT_CURRENT_CONFIG,
        176 ReceiveFilterCapabilities: *mut NDIS_RECEIVE_FILTER_CAPABILITIES,
        184 MiniportPhysicalDeviceObject: *mut DEVICE_OBJECT,
        192 NicSwitchCapabilities: *mut NDIS_NIC_SWITCH_CAPABILITIES,
        200 BaseMiniportIfConnectorPresent: BOOLEAN,
        208 SriovCapabilities: *mut NDIS_SRIOV_CAPABILITIES,
        216 NicSwitchArray: *mut NDIS_NIC_SWITCH_INFO_ARRAY,
    }
    struct NDIS_FILTER_ATTRIBUTES [8, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
    }
    struct NDIS_FILTER_DRIVER_CHARACTERISTICS [240, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MajorNdisVersion: UCHAR,
        5 MinorNdisVersion: UCHAR,
        6 MajorDriverVersion: UCHAR,
        7 MinorDriverVersion: UCHAR,
        8 Flags: ULONG,
        16 FriendlyName: NDIS_STRING,
        32 UniqueName: NDIS_STRING,
        48 ServiceName: NDIS_STRING,
        64 SetOptionsHandler: Option<SET_OPTIONS>,
        72 SetFilterModuleOptionsHandler: Option<FILTER_SET_MODULE_OPTIONS>,
        80 AttachHandler: Option<FILTER_ATTACH>,
        88 DetachHandler: Option<FILTER_DETACH>,
        96 RestartHandler: Option<FILTER_RESTART>,
        104 PauseHandler: Option<FILTER_PAUSE>,
        112 SendNetBufferListsHandler: Option<FILTER_SEND_NET_BUFFER_LISTS>,
        120 SendNetBufferListsCompleteHandler: Option<FILTER_SEND_NET_BUFFER_LISTS_COMPLETE>,
        128 CancelSendNetBufferListsHandler: Option<FILTER_CANCEL_SEND_NET_BUFFER_LISTS>,
        136 ReceiveNetBufferListsHandler: Option<FILTER_RECEIVE_NET_BUFFER_LISTS>,
        144 ReturnNetBufferListsHandler: Option<FILTER_RETURN_NET_BUFFER_LISTS>,
        152 OidRequestHandler: Option<FILTER_OID_REQUEST>,
        160 OidRequestCompleteHandler: Option<FILTER_OID_REQUEST_COMPLETE>,
        168 CancelOidRequestHandler: Option<FILTER_CANCEL_OID_REQUEST>,
        176 DevicePnPEventNotifyHandler: Option<FILTER_DEVICE_PNP_EVENT_NOTIFY>,
        184 NetPnPEventHandler: Option<FILTER_NET_PNP_EVENT>,
        192 StatusHandler: Option<FILTER_STATUS>,
        200 DirectOidRequestHandler: Option<FILTER_DIRECT_OID_REQUEST>,
        208 DirectOidRequestCompleteHandler: Option<FILTER_DIRECT_OID_REQUEST_COMPLETE>,
        216 CancelDirectOidRequestHandler: Option<FILTER_CANCEL_DIRECT_OID_REQUEST>,
        224 SynchronousOidRequestHandler: Option<FILTER_SYNCHRONOUS_OID_REQUEST>,
        232 SynchronousOidRequestCompleteHandler: Option<FILTER_SYNCHRONOUS_OID_REQUEST_COMPLETE>,
    }
    struct NDIS_FILTER_PARTIAL_CHARACTERISTICS [48, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SendNetBufferListsHandler: Option<FILTER_SEND_NET_BUFFER_LISTS>,
        16 SendNetBufferListsCompleteHandler: Option<FILTER_SEND_NET_BUFFER_LISTS_COMPLETE>,
        24 CancelSendNetBufferListsHandler: Option<FILTER_CANCEL_SEND_NET_BUFFER_LISTS>,
        32 ReceiveNetBufferListsHandler: Option<FILTER_RECEIVE_NET_BUFFER_LISTS>,
        40 ReturnNetBufferListsHandler: Option<FILTER_RETURN_NET_BUFFER_LISTS>,
    }
    struct NDIS_FILTER_PAUSE_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 PauseReason: ULONG,
    }
    struct NDIS_FILTER_RESTART_PARAMETERS [48, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MiniportMediaType: NDIS_MEDIUM,
        8 MiniportPhysicalMediaType: NDIS_PHYSICAL_MEDIUM,
        16 RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
        24 LowerIfIndex: NET_IFINDEX,
        32 LowerIfNetLuid: NET_LUID,
        40 Flags: ULONG,
    }
}

callbacks! {
    fn FILTER_ATTACH(NdisFilterHandle: NDIS_HANDLE, FilterDriverContext: NDIS_HANDLE, AttachParameters: *mut NDIS_FILTER_ATTACH_PARAMETERS) -> NDIS_STATUS;
    fn FILTER_CANCEL_DIRECT_OID_REQUEST(FilterModuleContext: NDIS_HANDLE, RequestId: PVOID);
    fn FILTER_CANCEL_OID_REQUEST(FilterModuleContext: NDIS_HANDLE, RequestId: PVOID);
    fn FILTER_CANCEL_SEND_NET_BUFFER_LISTS(FilterModuleContext: NDIS_HANDLE, CancelId: PVOID);
    fn FILTER_DETACH(FilterModuleContext: NDIS_HANDLE);
    fn FILTER_DEVICE_PNP_EVENT_NOTIFY(FilterModuleContext: NDIS_HANDLE, NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT);
    fn FILTER_DIRECT_OID_REQUEST(FilterModuleContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn FILTER_DIRECT_OID_REQUEST_COMPLETE(FilterModuleContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn FILTER_NET_PNP_EVENT(FilterModuleContext: NDIS_HANDLE, NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS;
    fn FILTER_OID_REQUEST(FilterModuleContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn FILTER_OID_REQUEST_COMPLETE(FilterModuleContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn FILTER_PAUSE(FilterModuleContext: NDIS_HANDLE, PauseParameters: *mut NDIS_FILTER_PAUSE_PARAMETERS) -> NDIS_STATUS;
    fn FILTER_RECEIVE_NET_BUFFER_LISTS(FilterModuleContext: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, NumberOfNetBufferLists: ULONG, ReceiveFlags: ULONG);
    fn FILTER_RESTART(FilterModuleContext: NDIS_HANDLE, RestartParameters: *mut NDIS_FILTER_RESTART_PARAMETERS) -> NDIS_STATUS;
    fn FILTER_RETURN_NET_BUFFER_LISTS(FilterModuleContext: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, ReturnFlags: ULONG);
    fn FILTER_SEND_NET_BUFFER_LISTS(FilterModuleContext: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, SendFlags: ULONG);
    fn FILTER_SEND_NET_BUFFER_LISTS_COMPLETE(FilterModuleContext: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, SendCompleteFlags: ULONG);
    fn FILTER_SET_MODULE_OPTIONS(FilterModuleContext: NDIS_HANDLE) -> NDIS_STATUS;
    fn FILTER_STATUS(FilterModuleContext: NDIS_HANDLE, StatusIndication: *mut NDIS_STATUS_INDICATION);
    fn FILTER_SYNCHRONOUS_OID_REQUEST(FilterModuleContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, CallContext: *mut PVOID) -> NDIS_STATUS;
    fn FILTER_SYNCHRONOUS_OID_REQUEST_COMPLETE(FilterModuleContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: *mut NDIS_STATUS, CallContext: PVOID);
}

imports! {
    "ndis.sys";
    fn NdisFCancelDirectOidRequest(NdisFilterHandle: NDIS_HANDLE, RequestId: PVOID);
    fn NdisFCancelOidRequest(NdisFilterHandle: NDIS_HANDLE, RequestId: PVOID);
    fn NdisFCancelSendNetBufferLists(NdisFilterHandle: NDIS_HANDLE, CancelId: PVOID);
    fn NdisFDeregisterFilterDriver(NdisFilterDriverHandle: NDIS_HANDLE);
    fn NdisFDevicePnPEventNotify(NdisFilterHandle: NDIS_HANDLE, NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT);
    fn NdisFDirectOidRequest(NdisFilterHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn NdisFDirectOidRequestComplete(NdisFilterHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn NdisFIndicateReceiveNetBufferLists(NdisFilterHandle: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, NumberOfNetBufferLists: ULONG, ReceiveFlags: ULONG);
    fn NdisFIndicateStatus(NdisFilterHandle: NDIS_HANDLE, StatusIndication: *mut NDIS_STATUS_INDICATION);
    fn NdisFNetPnPEvent(NdisFilterHandle: NDIS_HANDLE, NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS;
    fn NdisFOidRequest(NdisFilterHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn NdisFOidRequestComplete(NdisFilterHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn NdisFPauseComplete(NdisFilterHandle: NDIS_HANDLE);
    fn NdisFRegisterFilterDriver(DriverObject: *mut DRIVER_OBJECT, FilterDriverContext: NDIS_HANDLE, FilterDriverCharacteristics: *mut NDIS_FILTER_DRIVER_CHARACTERISTICS, NdisFilterDriverHandle: *mut PVOID) -> NDIS_STATUS;
    fn NdisFRestartComplete(NdisFilterHandle: NDIS_HANDLE, Status: NDIS_STATUS);
    fn NdisFRestartFilter(NdisFilterHandle: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisFReturnNetBufferLists(NdisFilterHandle: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, ReturnFlags: ULONG);
    fn NdisFSendNetBufferLists(NdisFilterHandle: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, SendFlags: ULONG);
    fn NdisFSendNetBufferListsComplete(NdisFilterHandle: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, SendCompleteFlags: ULONG);
    fn NdisFSetAttributes(NdisFilterHandle: NDIS_HANDLE, FilterModuleContext: NDIS_HANDLE, FilterAttributes: *mut NDIS_FILTER_ATTRIBUTES) -> NDIS_STATUS;
    fn NdisFSynchronousOidRequest(NdisFilterModuleHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
}

//! Filter drivers: registration, callbacks and calls.
//!
//! An intermediate driver calls none of these; a host offers them to others.
//!
//! Documentation:
//! * [NDIS filter drivers](https://learn.microsoft.com/windows-hardware/drivers/network/ndis-filter-drivers)

use crate::{
    BOOLEAN, DEVICE_OBJECT, DRIVER_OBJECT, NDIS_FILTER_INTERFACE, NDIS_HANDLE,
    NDIS_HD_SPLIT_CURRENT_CONFIG, NDIS_MEDIA_CONNECT_STATE, NDIS_MEDIUM,
    NDIS_NIC_SWITCH_CAPABILITIES, NDIS_NIC_SWITCH_INFO_ARRAY, NDIS_OBJECT_HEADER, NDIS_OFFLOAD,
    NDIS_OID_REQUEST, NDIS_PHYSICAL_MEDIUM, NDIS_PORT_NUMBER, NDIS_RECEIVE_FILTER_CAPABILITIES,
    NDIS_RESTART_ATTRIBUTES, NDIS_SRIOV_CAPABILITIES, NDIS_STATUS, NDIS_STATUS_INDICATION,
    NDIS_STRING, NET_BUFFER_LIST, NET_DEVICE_PNP_EVENT, NET_IF_MEDIA_DUPLEX_STATE, NET_IFINDEX,
    NET_LUID, NET_PNP_EVENT_NOTIFICATION, PVOID, SET_OPTIONS, UCHAR, ULONG, ULONG64,
    UNICODE_STRING, USHORT,
};

constants! {
    /// Flag of the filter edge.
    ULONG {
        NDIS_FILTER_ATTACH_FLAGS_IGNORE_MANDATORY = 1,
        NDIS_FILTER_DRIVER_MANDATORY = 1,
        NDIS_FILTER_DRIVER_SUPPORTS_CURRENT_MAC_ADDRESS_CHANGE = 2,
        NDIS_FILTER_DRIVER_SUPPORTS_L2_MTU_SIZE_CHANGE = 4,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_ENUM_FILTERS_REVISION_1 = 1,
        NDIS_FILTER_ATTACH_PARAMETERS_REVISION_1 = 1,
        NDIS_FILTER_ATTACH_PARAMETERS_REVISION_2 = 2,
        NDIS_FILTER_ATTACH_PARAMETERS_REVISION_3 = 3,
        NDIS_FILTER_ATTACH_PARAMETERS_REVISION_4 = 4,
        NDIS_FILTER_ATTRIBUTES_REVISION_1 = 1,
        NDIS_FILTER_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_FILTER_CHARACTERISTICS_REVISION_2 = 2,
        NDIS_FILTER_CHARACTERISTICS_REVISION_3 = 3,
        NDIS_FILTER_PARTIAL_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_FILTER_PAUSE_PARAMETERS_REVISION_1 = 1,
        NDIS_FILTER_RESTART_PARAMETERS_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_ENUM_FILTERS_REVISION_1 = 80,
        NDIS_SIZEOF_FILTER_ATTACH_PARAMETERS_REVISION_1 = 164,
        NDIS_SIZEOF_FILTER_ATTACH_PARAMETERS_REVISION_2 = 176,
        NDIS_SIZEOF_FILTER_ATTACH_PARAMETERS_REVISION_3 = 200,
        NDIS_SIZEOF_FILTER_ATTACH_PARAMETERS_REVISION_4 = 224,
        NDIS_SIZEOF_FILTER_ATTRIBUTES_REVISION_1 = 8,
        NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_1 = 200,
        NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_2 = 224,
        NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_3 = 240,
        NDIS_SIZEOF_FILTER_PARTIAL_CHARACTERISTICS_REVISION_1 = 48,
        NDIS_SIZEOF_FILTER_PAUSE_PARAMETERS_REVISION_1 = 12,
        NDIS_SIZEOF__FILTER_RESTART_PARAMETERS_REVISION_1 = 44,
    }
}

structs! {
    /// The filter modules on an adapter.
    struct NDIS_ENUM_FILTERS [80, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 NumberOfFilters: ULONG,
        12 OffsetFirstFilter: ULONG,
        16 Filter: [NDIS_FILTER_INTERFACE; 1],
    }
    /// The adapter that a filter module is attached to.
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
    /// What a filter module tells NDIS while attaching.
    struct NDIS_FILTER_ATTRIBUTES [8, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
    }
    /// Names, version and handlers of a filter driver.
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
    /// Data path handlers that a filter module can change.
    struct NDIS_FILTER_PARTIAL_CHARACTERISTICS [48, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SendNetBufferListsHandler: Option<FILTER_SEND_NET_BUFFER_LISTS>,
        16 SendNetBufferListsCompleteHandler: Option<FILTER_SEND_NET_BUFFER_LISTS_COMPLETE>,
        24 CancelSendNetBufferListsHandler: Option<FILTER_CANCEL_SEND_NET_BUFFER_LISTS>,
        32 ReceiveNetBufferListsHandler: Option<FILTER_RECEIVE_NET_BUFFER_LISTS>,
        40 ReturnNetBufferListsHandler: Option<FILTER_RETURN_NET_BUFFER_LISTS>,
    }
    /// Why a filter module is paused.
    struct NDIS_FILTER_PAUSE_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 PauseReason: ULONG,
    }
    /// The attributes with which a filter module restarts.
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
    /// Attaches a module to an adapter. IRQL: `PASSIVE_LEVEL`.
    fn FILTER_ATTACH(
        NdisFilterHandle: NDIS_HANDLE,
        FilterDriverContext: NDIS_HANDLE,
        AttachParameters: *mut NDIS_FILTER_ATTACH_PARAMETERS,
    ) -> NDIS_STATUS;
    /// Cancels direct OID requests. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_CANCEL_DIRECT_OID_REQUEST(FilterModuleContext: NDIS_HANDLE, RequestId: PVOID);
    /// Cancels OID requests. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_CANCEL_OID_REQUEST(FilterModuleContext: NDIS_HANDLE, RequestId: PVOID);
    /// Cancels sends. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_CANCEL_SEND_NET_BUFFER_LISTS(FilterModuleContext: NDIS_HANDLE, CancelId: PVOID);
    /// Detaches a module. IRQL: `PASSIVE_LEVEL`.
    fn FILTER_DETACH(FilterModuleContext: NDIS_HANDLE);
    /// A PnP event on its way down. IRQL: `PASSIVE_LEVEL`.
    fn FILTER_DEVICE_PNP_EVENT_NOTIFY(
        FilterModuleContext: NDIS_HANDLE,
        NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT,
    );
    /// A direct OID request on its way down. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_DIRECT_OID_REQUEST(
        FilterModuleContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// A direct OID request of the module or from above is complete. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_DIRECT_OID_REQUEST_COMPLETE(
        FilterModuleContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// A PnP or power event on its way up. IRQL: `PASSIVE_LEVEL`.
    fn FILTER_NET_PNP_EVENT(
        FilterModuleContext: NDIS_HANDLE,
        NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS;
    /// An OID request on its way down. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_OID_REQUEST(
        FilterModuleContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// An OID request of the module or from above is complete. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_OID_REQUEST_COMPLETE(
        FilterModuleContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// Pauses a module. IRQL: `PASSIVE_LEVEL`.
    fn FILTER_PAUSE(
        FilterModuleContext: NDIS_HANDLE,
        PauseParameters: *mut NDIS_FILTER_PAUSE_PARAMETERS,
    ) -> NDIS_STATUS;
    /// Received lists on their way up. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_RECEIVE_NET_BUFFER_LISTS(
        FilterModuleContext: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        NumberOfNetBufferLists: ULONG,
        ReceiveFlags: ULONG,
    );
    /// Restarts a module. IRQL: `PASSIVE_LEVEL`.
    fn FILTER_RESTART(
        FilterModuleContext: NDIS_HANDLE,
        RestartParameters: *mut NDIS_FILTER_RESTART_PARAMETERS,
    ) -> NDIS_STATUS;
    /// Received lists on their way back. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_RETURN_NET_BUFFER_LISTS(
        FilterModuleContext: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        ReturnFlags: ULONG,
    );
    /// Lists to send on their way down. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_SEND_NET_BUFFER_LISTS(
        FilterModuleContext: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        SendFlags: ULONG,
    );
    /// Sent lists on their way back. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_SEND_NET_BUFFER_LISTS_COMPLETE(
        FilterModuleContext: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        SendCompleteFlags: ULONG,
    );
    /// Lets a module change its handlers before it restarts. IRQL: `PASSIVE_LEVEL`.
    fn FILTER_SET_MODULE_OPTIONS(FilterModuleContext: NDIS_HANDLE) -> NDIS_STATUS;
    /// A status indication on its way up. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_STATUS(
        FilterModuleContext: NDIS_HANDLE,
        StatusIndication: *mut NDIS_STATUS_INDICATION,
    );
    /// A synchronous OID request on its way down. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_SYNCHRONOUS_OID_REQUEST(
        FilterModuleContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        CallContext: *mut PVOID,
    ) -> NDIS_STATUS;
    /// A synchronous OID request on its way back. IRQL: `<= DISPATCH_LEVEL`.
    fn FILTER_SYNCHRONOUS_OID_REQUEST_COMPLETE(
        FilterModuleContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: *mut NDIS_STATUS,
        CallContext: PVOID,
    );
}

imports! {
    "ndis.sys";
    /// Lists the filter modules between a binding and its adapter. IRQL: `PASSIVE_LEVEL`.
    fn NdisEnumerateFilterModules(
        NdisHandle: NDIS_HANDLE,
        InterfaceBuffer: PVOID,
        InterfaceBufferLength: ULONG,
        BytesNeeded: *mut ULONG,
        BytesWritten: *mut ULONG,
    ) -> NDIS_STATUS;
    /// Cancels direct OID requests below a module. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFCancelDirectOidRequest(NdisFilterHandle: NDIS_HANDLE, RequestId: PVOID);
    /// Cancels OID requests below a module. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFCancelOidRequest(NdisFilterHandle: NDIS_HANDLE, RequestId: PVOID);
    /// Cancels sends below a module. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFCancelSendNetBufferLists(NdisFilterHandle: NDIS_HANDLE, CancelId: PVOID);
    /// Deregisters a filter driver. IRQL: `PASSIVE_LEVEL`.
    fn NdisFDeregisterFilterDriver(NdisFilterDriverHandle: NDIS_HANDLE);
    /// Passes a PnP event down. IRQL: `PASSIVE_LEVEL`.
    fn NdisFDevicePnPEventNotify(
        NdisFilterHandle: NDIS_HANDLE,
        NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT,
    );
    /// Passes a direct OID request down. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFDirectOidRequest(
        NdisFilterHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// Completes a direct OID request. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFDirectOidRequestComplete(
        NdisFilterHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// Passes received lists up. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFIndicateReceiveNetBufferLists(
        NdisFilterHandle: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        NumberOfNetBufferLists: ULONG,
        ReceiveFlags: ULONG,
    );
    /// Passes a status up. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFIndicateStatus(
        NdisFilterHandle: NDIS_HANDLE,
        StatusIndication: *mut NDIS_STATUS_INDICATION,
    );
    /// Passes a PnP or power event up. IRQL: `PASSIVE_LEVEL`.
    fn NdisFNetPnPEvent(
        NdisFilterHandle: NDIS_HANDLE,
        NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS;
    /// Passes an OID request down. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFOidRequest(
        NdisFilterHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// Completes an OID request. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFOidRequestComplete(
        NdisFilterHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// Completes a pause that was pending. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFPauseComplete(NdisFilterHandle: NDIS_HANDLE);
    /// Registers a filter driver. IRQL: `PASSIVE_LEVEL`.
    fn NdisFRegisterFilterDriver(
        DriverObject: *mut DRIVER_OBJECT,
        FilterDriverContext: NDIS_HANDLE,
        FilterDriverCharacteristics: *mut NDIS_FILTER_DRIVER_CHARACTERISTICS,
        NdisFilterDriverHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Completes a restart that was pending. IRQL: `PASSIVE_LEVEL`.
    fn NdisFRestartComplete(NdisFilterHandle: NDIS_HANDLE, Status: NDIS_STATUS);
    /// Asks for a pause and restart of a module. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFRestartFilter(NdisFilterHandle: NDIS_HANDLE) -> NDIS_STATUS;
    /// Passes received lists back down. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFReturnNetBufferLists(
        NdisFilterHandle: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        ReturnFlags: ULONG,
    );
    /// Passes lists to send down. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFSendNetBufferLists(
        NdisFilterHandle: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        SendFlags: ULONG,
    );
    /// Passes sent lists back up. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFSendNetBufferListsComplete(
        NdisFilterHandle: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        SendCompleteFlags: ULONG,
    );
    /// Sets the attributes of a module while it attaches. IRQL: `PASSIVE_LEVEL`.
    fn NdisFSetAttributes(
        NdisFilterHandle: NDIS_HANDLE,
        FilterModuleContext: NDIS_HANDLE,
        FilterAttributes: *mut NDIS_FILTER_ATTRIBUTES,
    ) -> NDIS_STATUS;
    /// Passes a synchronous OID request down. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisFSynchronousOidRequest(
        NdisFilterModuleHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
}

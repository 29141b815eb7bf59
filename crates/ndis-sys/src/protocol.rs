//! protocol

use crate::*;

constants! {
    UCHAR {
        NDIS_BIND_FAILED_NOTIFICATION_REVISION_1 = 1,
        NDIS_BIND_PARAMETERS_REVISION_1 = 1,
        NDIS_OPEN_PARAMETERS_REVISION_1 = 1,
        NDIS_PROTOCOL_CO_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_PROTOCOL_PAUSE_PARAMETERS_REVISION_1 = 1,
        NDIS_PROTOCOL_RESTART_PARAMETERS_REVISION_1 = 1,
        NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_1 = 1,
        NDIS_BIND_PARAMETERS_REVISION_2 = 2,
        NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2 = 2,
        NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_2 = 2,
        NDIS_BIND_PARAMETERS_REVISION_3 = 3,
        NDIS_BIND_PARAMETERS_REVISION_4 = 4,
    }
    ULONG {
        NDIS_PROTOCOL_ID_DEFAULT = 0,
        NDIS_OPEN_RECEIVE_NOT_REENTRANT = 1,
        NDIS_RESTART_GENERAL_ATTRIBUTES_MAX_LOOKAHEAD_ACCESSED_DEFINED = 1,
        NDIS_PROTOCOL_DRIVER_SUPPORTS_CURRENT_MAC_ADDRESS_CHANGE = 2,
        NDIS_PROTOCOL_ID_TCP_IP = 2,
        NDIS_PROTOCOL_ID_IP6 = 3,
        NDIS_PROTOCOL_DRIVER_SUPPORTS_L2_MTU_SIZE_CHANGE = 4,
        NDIS_PROTOCOL_ID_IPX = 6,
        NDIS_PROTOCOL_MAJOR_VERSION = 6,
        NDIS_PROTOCOL_MINIMUM_MAJOR_VERSION = 6,
        NDIS_PROTOCOL_ID_NBF = 7,
        NDIS_PROTOCOL_ID_MASK = 15,
        NDIS_PROTOCOL_ID_MAX = 15,
        NDIS_PROTOCOL_MINIMUM_MINOR_VERSION = 87,
        NDIS_PROTOCOL_MINOR_VERSION = 87,
    }
}

structs! {
    struct NDIS_BIND_PARAMETERS [312, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 ProtocolSection: *mut UNICODE_STRING,
        16 AdapterName: *mut UNICODE_STRING,
        24 PhysicalDeviceObject: *mut DEVICE_OBJECT,
        32 MediaType: NDIS_MEDIUM,
        36 MtuSize: ULONG,
        40 MaxXmitLinkSpeed: ULONG64,
        48 XmitLinkSpeed: ULONG64,
        56 MaxRcvLinkSpeed: ULONG64,
        64 RcvLinkSpeed: ULONG64,
        72 MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
        76 MediaDuplexState: NDIS_MEDIA_DUPLEX_STATE,
        80 LookaheadSize: ULONG,
        88 PowerManagementCapabilities: *mut NDIS_PNP_CAPABILITIES,
        96 SupportedPacketFilters: ULONG,
        100 MaxMulticastListSize: ULONG,
        104 MacAddressLength: USHORT,
        106 CurrentMacAddress: [UCHAR; 32],
        140 PhysicalMediumType: NDIS_PHYSICAL_MEDIUM,
        144 RcvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
        152 BoundIfNetluid: NET_LUID,
        160 BoundIfIndex: NET_IFINDEX,
        168 LowestIfNetluid: NET_LUID,
        176 LowestIfIndex: NET_IFINDEX,
        180 AccessType: NET_IF_ACCESS_TYPE,
        184 DirectionType: NET_IF_DIRECTION_TYPE,
        188 ConnectionType: NET_IF_CONNECTION_TYPE,
        192 IfType: NET_IFTYPE,
        194 IfConnectorPresent: BOOLEAN,
        200 ActivePorts: *mut NDIS_PORT,
        208 DataBackFillSize: ULONG,
        212 ContextBackFillSize: ULONG,
        216 MacOptions: ULONG,
        220 CompartmentId: NET_IF_COMPARTMENT_ID,
        224 DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
        232 TcpConnectionOffloadCapabilities: PVOID,
        240 BoundAdapterName: *mut UNICODE_STRING,
        248 HDSplitCurrentConfig: *mut NDIS_HD_SPLIT_CURRENT_CONFIG,
        256 ReceiveFilterCapabilities: *mut NDIS_RECEIVE_FILTER_CAPABILITIES,
        264 PowerManagementCapabilitiesEx: *mut NDIS_PM_CAPABILITIES,
        272 NicSwitchCapabilities: *mut NDIS_NIC_SWITCH_CAPABILITIES,
        280 NDKEnabled: BOOLEAN,
        288 NDKCapabilities: PVOID,
        296 SriovCapabilities: *mut NDIS_SRIOV_CAPABILITIES,
        304 NicSwitchArray: *mut NDIS_NIC_SWITCH_INFO_ARRAY,
    }
    struct NDIS_OPEN_PARAMETERS [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 AdapterName: *mut UNICODE_STRING,
        16 MediumArray: *mut NDIS_MEDIUM,
        24 MediumArraySize: UINT,
        32 SelectedMediumIndex: *mut UINT,
        40 FrameTypeArray: *mut USHORT,
        48 FrameTypeArraySize: UINT,
    }
    struct NDIS_PROTOCOL_DRIVER_CHARACTERISTICS [128, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MajorNdisVersion: UCHAR,
        5 MinorNdisVersion: UCHAR,
        6 MajorDriverVersion: UCHAR,
        7 MinorDriverVersion: UCHAR,
        8 Flags: ULONG,
        16 Name: NDIS_STRING,
        32 SetOptionsHandler: Option<SET_OPTIONS>,
        40 BindAdapterHandlerEx: Option<PROTOCOL_BIND_ADAPTER_EX>,
        48 UnbindAdapterHandlerEx: Option<PROTOCOL_UNBIND_ADAPTER_EX>,
        56 OpenAdapterCompleteHandlerEx: Option<PROTOCOL_OPEN_ADAPTER_COMPLETE_EX>,
        64 CloseAdapterCompleteHandlerEx: Option<PROTOCOL_CLOSE_ADAPTER_COMPLETE_EX>,
        72 NetPnPEventHandler: Option<PROTOCOL_NET_PNP_EVENT>,
        80 UninstallHandler: Option<PROTOCOL_UNINSTALL>,
        88 OidRequestCompleteHandler: Option<PROTOCOL_OID_REQUEST_COMPLETE>,
        96 StatusHandlerEx: Option<PROTOCOL_STATUS_EX>,
        104 ReceiveNetBufferListsHandler: Option<PROTOCOL_RECEIVE_NET_BUFFER_LISTS>,
        112 SendNetBufferListsCompleteHandler: Option<PROTOCOL_SEND_NET_BUFFER_LISTS_COMPLETE>,
        120 DirectOidRequestCompleteHandler: Option<PROTOCOL_DIRECT_OID_REQUEST_COMPLETE>,
    }
    struct NDIS_PROTOCOL_PAUSE_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 PauseReason: ULONG,
    }
    struct NDIS_PROTOCOL_RESTART_PARAMETERS [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 FilterModuleNameBuffer: *mut UCHAR,
        16 FilterModuleNameBufferLength: ULONG,
        24 RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
        32 BoundIfIndex: NET_IFINDEX,
        40 BoundIfNetluid: NET_LUID,
        48 Flags: ULONG,
    }
    #[repr(align(16))]
    struct NDIS_RESTART_ATTRIBUTES [32, 16] {
        0 Next: *mut NDIS_RESTART_ATTRIBUTES,
        8 Oid: NDIS_OID,
        12 DataLength: ULONG,
        16 Data: [UCHAR; 1],
    }
    struct NDIS_RESTART_GENERAL_ATTRIBUTES [88, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MtuSize: ULONG,
        8 MaxXmitLinkSpeed: ULONG64,
        16 MaxRcvLinkSpeed: ULONG64,
        24 LookaheadSize: ULONG,
        28 MacOptions: ULONG,
        32 SupportedPacketFilters: ULONG,
        36 MaxMulticastListSize: ULONG,
        40 RecvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
        48 AccessType: NET_IF_ACCESS_TYPE,
        52 Flags: ULONG,
        56 ConnectionType: NET_IF_CONNECTION_TYPE,
        60 SupportedStatistics: ULONG,
        64 DataBackFillSize: ULONG,
        68 ContextBackFillSize: ULONG,
        72 SupportedOidList: *mut ULONG,
        80 SupportedOidListLength: ULONG,
        84 MaxLookaheadSizeAccessed: ULONG,
    }
}

callbacks! {
    fn PROTOCOL_BIND_ADAPTER_EX(ProtocolDriverContext: NDIS_HANDLE, BindContext: NDIS_HANDLE, BindParameters: *mut NDIS_BIND_PARAMETERS) -> NDIS_STATUS;
    fn PROTOCOL_CLOSE_ADAPTER_COMPLETE_EX(ProtocolBindingContext: NDIS_HANDLE);
    fn PROTOCOL_DIRECT_OID_REQUEST_COMPLETE(ProtocolBindingContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn PROTOCOL_NET_PNP_EVENT(ProtocolBindingContext: NDIS_HANDLE, NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS;
    fn PROTOCOL_OID_REQUEST_COMPLETE(ProtocolBindingContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn PROTOCOL_OPEN_ADAPTER_COMPLETE_EX(ProtocolBindingContext: NDIS_HANDLE, Status: NDIS_STATUS);
    fn PROTOCOL_RECEIVE_NET_BUFFER_LISTS(ProtocolBindingContext: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, NumberOfNetBufferLists: ULONG, ReceiveFlags: ULONG);
    fn PROTOCOL_SEND_NET_BUFFER_LISTS_COMPLETE(ProtocolBindingContext: NDIS_HANDLE, SendCompleteFlags: *mut NET_BUFFER_LIST, NetBufferList: ULONG);
    fn PROTOCOL_STATUS_EX(ProtocolBindingContext: NDIS_HANDLE, StatusIndication: *mut NDIS_STATUS_INDICATION);
    fn PROTOCOL_UNBIND_ADAPTER_EX(UnbindContext: NDIS_HANDLE, ProtocolBindingContext: NDIS_HANDLE) -> NDIS_STATUS;
    fn PROTOCOL_UNINSTALL();
}

imports! {
    "ndis.sys";
    fn NdisCloseAdapterEx(NdisBindingHandle: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisCompleteBindAdapterEx(BindAdapterContext: NDIS_HANDLE, Status: NDIS_STATUS);
    fn NdisCompleteUnbindAdapterEx(UnbindContext: NDIS_HANDLE);
    fn NdisDeregisterProtocolDriver(NdisProtocolHandle: NDIS_HANDLE);
    fn NdisOpenAdapterEx(NdisProtocolHandle: NDIS_HANDLE, ProtocolBindingContext: NDIS_HANDLE, OpenParameters: *mut NDIS_OPEN_PARAMETERS, BindContext: NDIS_HANDLE, NdisBindingHandle: *mut PVOID) -> NDIS_STATUS;
    fn NdisQueryAdapterInstanceName(pAdapterInstanceName: *mut UNICODE_STRING, NdisBindingHandle: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisQueryBindInstanceName(pAdapterInstanceName: *mut UNICODE_STRING, BindingContext: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisReEnumerateProtocolBindings(NdisProtocolHandle: NDIS_HANDLE);
    fn NdisRegisterProtocolDriver(ProtocolDriverContext: NDIS_HANDLE, ProtocolCharacteristics: *mut NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, NdisProtocolHandle: *mut PVOID) -> NDIS_STATUS;
    fn NdisUnbindAdapter(NdisBindingHandle: NDIS_HANDLE) -> NDIS_STATUS;
}

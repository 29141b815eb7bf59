//! Protocol drivers: registration, callbacks, bindings.
//!
//! Documentation:
//! * [NDIS protocol drivers](https://learn.microsoft.com/windows-hardware/drivers/network/ndis-protocol-drivers2)
//! * [Protocol binding states and operations](https://learn.microsoft.com/windows-hardware/drivers/network/protocol-binding-states-and-operations)

use crate::{
    BOOLEAN, DEVICE_OBJECT, NDIS_HANDLE, NDIS_HD_SPLIT_CURRENT_CONFIG, NDIS_MEDIA_CONNECT_STATE,
    NDIS_MEDIA_DUPLEX_STATE, NDIS_MEDIUM, NDIS_NDK_CAPABILITIES, NDIS_NIC_SWITCH_CAPABILITIES,
    NDIS_NIC_SWITCH_INFO_ARRAY, NDIS_OBJECT_HEADER, NDIS_OFFLOAD, NDIS_OID_REQUEST,
    NDIS_PHYSICAL_MEDIUM, NDIS_PM_CAPABILITIES, NDIS_PNP_CAPABILITIES, NDIS_PORT, NDIS_PORT_NUMBER,
    NDIS_RECEIVE_FILTER_CAPABILITIES, NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_RESTART_ATTRIBUTES,
    NDIS_SRIOV_CAPABILITIES, NDIS_STATUS, NDIS_STATUS_INDICATION, NDIS_STRING, NET_BUFFER_LIST,
    NET_IF_ACCESS_TYPE, NET_IF_COMPARTMENT_ID, NET_IF_CONNECTION_TYPE, NET_IF_DIRECTION_TYPE,
    NET_IFINDEX, NET_IFTYPE, NET_LUID, NET_PNP_EVENT_NOTIFICATION, PVOID, SET_OPTIONS, UCHAR, UINT,
    ULONG, ULONG64, UNICODE_STRING, USHORT,
};

constants! {
    /// Identifier of a protocol, for `NdisGetNetBufferListProtocolId`.
    ULONG {
        NDIS_PROTOCOL_ID_DEFAULT = 0,
        NDIS_PROTOCOL_ID_TCP_IP = 2,
        NDIS_PROTOCOL_ID_IP6 = 3,
        NDIS_PROTOCOL_ID_IPX = 6,
        NDIS_PROTOCOL_ID_NBF = 7,
        NDIS_PROTOCOL_ID_MASK = 0xF,
        NDIS_PROTOCOL_ID_MAX = 15,
    }
    /// Flag of `NDIS_PROTOCOL_DRIVER_CHARACTERISTICS::Flags`.
    ULONG {
        NDIS_PROTOCOL_DRIVER_SUPPORTS_CURRENT_MAC_ADDRESS_CHANGE = 2,
        NDIS_PROTOCOL_DRIVER_SUPPORTS_L2_MTU_SIZE_CHANGE = 4,
    }
    /// Flag of opening a binding.
    ULONG {
        NDIS_OPEN_RECEIVE_NOT_REENTRANT = 1,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_BIND_PARAMETERS_REVISION_1 = 1,
        NDIS_BIND_PARAMETERS_REVISION_2 = 2,
        NDIS_BIND_PARAMETERS_REVISION_3 = 3,
        NDIS_BIND_PARAMETERS_REVISION_4 = 4,
        NDIS_OPEN_PARAMETERS_REVISION_1 = 1,
        NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2 = 2,
        NDIS_PROTOCOL_PAUSE_PARAMETERS_REVISION_1 = 1,
        NDIS_PROTOCOL_RESTART_PARAMETERS_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_BIND_PARAMETERS_REVISION_1 = 248,
        NDIS_SIZEOF_BIND_PARAMETERS_REVISION_2 = 256,
        NDIS_SIZEOF_BIND_PARAMETERS_REVISION_3 = 280,
        NDIS_SIZEOF_BIND_PARAMETERS_REVISION_4 = 312,
        NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1 = 52,
        NDIS_SIZEOF_OPEN_PARAMETERS_REVSION_1 = 52,
        NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1 = 120,
        NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2 = 128,
        NDIS_SIZEOF_PROTOCOL_PAUSE_PARAMETERS_REVISION_1 = 12,
        NDIS_SIZEOF_PROTOCOL_RESTART_PARAMETERS_REVISION_1 = 52,
    }
}

structs! {
    /// The adapter that a protocol may bind to.
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
        288 NDKCapabilities: *mut NDIS_NDK_CAPABILITIES,
        296 SriovCapabilities: *mut NDIS_SRIOV_CAPABILITIES,
        304 NicSwitchArray: *mut NDIS_NIC_SWITCH_INFO_ARRAY,
    }
    /// How a protocol opens a binding.
    struct NDIS_OPEN_PARAMETERS [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 AdapterName: *mut UNICODE_STRING,
        16 MediumArray: *mut NDIS_MEDIUM,
        24 MediumArraySize: UINT,
        32 SelectedMediumIndex: *mut UINT,
        40 FrameTypeArray: *mut USHORT,
        48 FrameTypeArraySize: UINT,
    }
    /// Name, version and handlers of a protocol driver.
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
    /// Why a binding is paused.
    struct NDIS_PROTOCOL_PAUSE_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 PauseReason: ULONG,
    }
    /// The attributes with which a binding restarts.
    struct NDIS_PROTOCOL_RESTART_PARAMETERS [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 FilterModuleNameBuffer: *mut UCHAR,
        16 FilterModuleNameBufferLength: ULONG,
        24 RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
        32 BoundIfIndex: NET_IFINDEX,
        40 BoundIfNetluid: NET_LUID,
        48 Flags: ULONG,
    }
}

callbacks! {
    /// Asks a protocol to bind to an adapter. IRQL: `PASSIVE_LEVEL`.
    fn PROTOCOL_BIND_ADAPTER_EX(
        ProtocolDriverContext: NDIS_HANDLE,
        BindContext: NDIS_HANDLE,
        BindParameters: *mut NDIS_BIND_PARAMETERS,
    ) -> NDIS_STATUS;
    /// A binding is closed. IRQL: `PASSIVE_LEVEL`.
    fn PROTOCOL_CLOSE_ADAPTER_COMPLETE_EX(ProtocolBindingContext: NDIS_HANDLE);
    /// A direct OID request of the protocol is complete. IRQL: `<= DISPATCH_LEVEL`.
    fn PROTOCOL_DIRECT_OID_REQUEST_COMPLETE(
        ProtocolBindingContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// Tells a protocol of a PnP or power event. IRQL: `PASSIVE_LEVEL`.
    fn PROTOCOL_NET_PNP_EVENT(
        ProtocolBindingContext: NDIS_HANDLE,
        NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS;
    /// An OID request of the protocol is complete. IRQL: `<= DISPATCH_LEVEL`.
    fn PROTOCOL_OID_REQUEST_COMPLETE(
        ProtocolBindingContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// A binding is open, or could not be opened. IRQL: `PASSIVE_LEVEL`.
    fn PROTOCOL_OPEN_ADAPTER_COMPLETE_EX(ProtocolBindingContext: NDIS_HANDLE, Status: NDIS_STATUS);
    /// Hands a protocol received lists. IRQL: `<= DISPATCH_LEVEL`.
    fn PROTOCOL_RECEIVE_NET_BUFFER_LISTS(
        ProtocolBindingContext: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        NumberOfNetBufferLists: ULONG,
        ReceiveFlags: ULONG,
    );
    /// Gives sent lists back to a protocol. IRQL: `<= DISPATCH_LEVEL`.
    fn PROTOCOL_SEND_NET_BUFFER_LISTS_COMPLETE(
        ProtocolBindingContext: NDIS_HANDLE,
        SendCompleteFlags: *mut NET_BUFFER_LIST,
        NetBufferList: ULONG,
    );
    /// Tells a protocol of a status. IRQL: `<= DISPATCH_LEVEL`.
    fn PROTOCOL_STATUS_EX(
        ProtocolBindingContext: NDIS_HANDLE,
        StatusIndication: *mut NDIS_STATUS_INDICATION,
    );
    /// Asks a protocol to give up a binding. IRQL: `PASSIVE_LEVEL`.
    fn PROTOCOL_UNBIND_ADAPTER_EX(
        UnbindContext: NDIS_HANDLE,
        ProtocolBindingContext: NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Asks a protocol driver to clean up before it is unloaded. IRQL: `PASSIVE_LEVEL`.
    fn PROTOCOL_UNINSTALL();
}

imports! {
    "ndis.sys";
    /// Closes a binding. IRQL: `PASSIVE_LEVEL`.
    fn NdisCloseAdapterEx(NdisBindingHandle: NDIS_HANDLE) -> NDIS_STATUS;
    /// Completes a bind that was pending. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisCompleteBindAdapterEx(BindAdapterContext: NDIS_HANDLE, Status: NDIS_STATUS);
    /// Completes an unbind that was pending. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisCompleteUnbindAdapterEx(UnbindContext: NDIS_HANDLE);
    /// Deregisters a protocol driver, after its last unbind. IRQL: `PASSIVE_LEVEL`.
    fn NdisDeregisterProtocolDriver(NdisProtocolHandle: NDIS_HANDLE);
    /// Opens a binding. IRQL: `PASSIVE_LEVEL`.
    fn NdisOpenAdapterEx(
        NdisProtocolHandle: NDIS_HANDLE,
        ProtocolBindingContext: NDIS_HANDLE,
        OpenParameters: *mut NDIS_OPEN_PARAMETERS,
        BindContext: NDIS_HANDLE,
        NdisBindingHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Returns the name of the adapter of a binding. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisQueryAdapterInstanceName(
        pAdapterInstanceName: *mut UNICODE_STRING,
        NdisBindingHandle: NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Returns the name of the adapter of a bind. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisQueryBindInstanceName(
        pAdapterInstanceName: *mut UNICODE_STRING,
        BindingContext: NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Asks for binds to all adapters that are not bound. IRQL: `PASSIVE_LEVEL`.
    fn NdisReEnumerateProtocolBindings(NdisProtocolHandle: NDIS_HANDLE);
    /// Registers a protocol driver. IRQL: `PASSIVE_LEVEL`.
    fn NdisRegisterProtocolDriver(
        ProtocolDriverContext: NDIS_HANDLE,
        ProtocolCharacteristics: *mut NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
        NdisProtocolHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Asks NDIS to unbind a binding. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisUnbindAdapter(NdisBindingHandle: NDIS_HANDLE) -> NDIS_STATUS;
}

//! What a miniport tells NDIS about its adapter while initialising.
//!
//! Documentation:
//! * [NdisMSetMiniportAttributes](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/nf-ndis-ndismsetminiportattributes)

use crate::{
    BOOLEAN, NDIS_GFT_OFFLOAD_CAPABILITIES, NDIS_HANDLE, NDIS_INTERFACE_TYPE,
    NDIS_MEDIA_CONNECT_STATE, NDIS_MEDIA_DUPLEX_STATE, NDIS_MEDIUM, NDIS_NDK_CAPABILITIES,
    NDIS_NIC_SWITCH_CAPABILITIES, NDIS_OBJECT_HEADER, NDIS_OFFLOAD, NDIS_OID, NDIS_PHYSICAL_MEDIUM,
    NDIS_PM_CAPABILITIES, NDIS_PNP_CAPABILITIES, NDIS_QOS_CAPABILITIES,
    NDIS_RECEIVE_FILTER_CAPABILITIES, NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_SRIOV_CAPABILITIES,
    NDIS_STATUS, NET_IF_ACCESS_TYPE, NET_IF_CONNECTION_TYPE, NET_IF_DIRECTION_TYPE, NET_IFTYPE,
    PVOID, UCHAR, UINT, ULONG, ULONG64, USHORT,
};

constants! {
    /// Flag of `NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES::AttributeFlags`.
    ULONG {
        NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE = 1,
        NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM = 2,
        NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK = 4,
        NDIS_MINIPORT_ATTRIBUTES_NOT_CO_NDIS = 8,
        NDIS_MINIPORT_ATTRIBUTES_DO_NOT_BIND_TO_ALL_CO = 0x10,
        NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND = 0x20,
        NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER = 0x40,
        NDIS_MINIPORT_ATTRIBUTES_CONTROLS_DEFAULT_PORT = 0x80,
        NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND = 0x100,
        NDIS_MINIPORT_ATTRIBUTES_NO_OID_INTERCEPT_ON_NONDEFAULT_PORTS = 0x200,
        NDIS_MINIPORT_ATTRIBUTES_REGISTER_BUGCHECK_CALLBACK = 0x400,
    }
    /// Flag of header-data split.
    ULONG {
        NDIS_HD_SPLIT_CAPS_SUPPORTS_HEADER_DATA_SPLIT = 1,
        NDIS_HD_SPLIT_COMBINE_ALL_HEADERS = 1,
        NDIS_HD_SPLIT_ENABLE_HEADER_DATA_SPLIT = 1,
        NDIS_HD_SPLIT_CAPS_SUPPORTS_IPV4_OPTIONS = 2,
        NDIS_HD_SPLIT_CAPS_SUPPORTS_IPV6_EXTENSION_HEADERS = 4,
        NDIS_HD_SPLIT_CAPS_SUPPORTS_TCP_OPTIONS = 8,
    }
    /// Flag of interrupt moderation.
    ULONG {
        NDIS_INTERRUPT_MODERATION_CHANGE_NEEDS_RESET = 1,
        NDIS_INTERRUPT_MODERATION_CHANGE_NEEDS_REINITIALIZE = 2,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_HD_SPLIT_ATTRIBUTES_REVISION_1 = 1,
        NDIS_HD_SPLIT_CURRENT_CONFIG_REVISION_1 = 1,
        NDIS_HD_SPLIT_PARAMETERS_REVISION_1 = 1,
        NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_802_11_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_802_11_ATTRIBUTES_REVISION_2 = 2,
        NDIS_MINIPORT_ADAPTER_802_11_ATTRIBUTES_REVISION_3 = 3,
        NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2 = 2,
        NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_2 = 2,
        NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_3 = 3,
        NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_4 = 4,
        NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_PACKET_DIRECT_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2 = 2,
        NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_HD_SPLIT_ATTRIBUTES_REVISION_1 = 24,
        NDIS_SIZEOF_HD_SPLIT_CURRENT_CONFIG_REVISION_1 = 28,
        NDIS_SIZEOF_HD_SPLIT_PARAMETERS_REVISION_1 = 8,
        NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1 = 12,
        NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1 = 216,
        NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2 = 224,
        NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_1 = 16,
        NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_2 = 48,
        NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_3 = 80,
        NDIS_SIZEOF_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_4 = 96,
        NDIS_SIZEOF_MINIPORT_ADAPTER_NATIVE_802_11_ATTRIBUTES_REVISION_1 = 40,
        NDIS_SIZEOF_MINIPORT_ADAPTER_NATIVE_802_11_ATTRIBUTES_REVISION_2 = 56,
        NDIS_SIZEOF_MINIPORT_ADAPTER_NATIVE_802_11_ATTRIBUTES_REVISION_3 = 64,
        NDIS_SIZEOF_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1 = 16,
        NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1 = 40,
        NDIS_SIZEOF_MINIPORT_ADAPTER_PACKET_DIRECT_ATTRIBUTES_REVISION_1 = 9,
        NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1 = 28,
        NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2 = 28,
        NDIS_SIZEOF_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES_REVISION_1 = 20,
    }
}

enums! {
    /// Whether interrupts are moderated.
    NDIS_INTERRUPT_MODERATION {
        NdisInterruptModerationUnknown = 0,
        NdisInterruptModerationNotSupported = 1,
        NdisInterruptModerationEnabled = 2,
        NdisInterruptModerationDisabled = 3,
    }
}

structs! {
    /// Header-data split that a miniport asks for or gets.
    struct NDIS_HD_SPLIT_ATTRIBUTES [24, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 HardwareCapabilities: ULONG,
        8 CurrentCapabilities: ULONG,
        12 HDSplitFlags: ULONG,
        16 BackfillSize: ULONG,
        20 MaxHeaderSize: ULONG,
    }
    /// Header-data split as it is set now.
    struct NDIS_HD_SPLIT_CURRENT_CONFIG [28, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 HardwareCapabilities: ULONG,
        8 CurrentCapabilities: ULONG,
        12 HDSplitFlags: ULONG,
        16 HDSplitCombineFlags: ULONG,
        20 BackfillSize: ULONG,
        24 MaxHeaderSize: ULONG,
    }
    /// Header-data split to be set.
    struct NDIS_HD_SPLIT_PARAMETERS [8, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 HDSplitCombineFlags: ULONG,
    }
    /// Whether interrupts are moderated.
    struct NDIS_INTERRUPT_MODERATION_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 InterruptModeration: NDIS_INTERRUPT_MODERATION,
    }
    /// All kinds of attributes that can be set.
    union NDIS_MINIPORT_ADAPTER_ATTRIBUTES [224, 8] {
        0 AddDeviceRegistrationAttributes: NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES,
        0 GeneralAttributes: NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
        0 HardwareAssistAttributes: NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
        0 Header: NDIS_OBJECT_HEADER,
        0 NDKAttributes: NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES,
        0 Native_802_11_Attributes: NDIS_MINIPORT_ADAPTER_NATIVE_802_11_ATTRIBUTES,
        0 OffloadAttributes: NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
        0 PacketDirectAttributes: NDIS_MINIPORT_ADAPTER_PACKET_DIRECT_ATTRIBUTES,
        0 RegistrationAttributes: NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
    }
    /// Medium, sizes, speeds, addresses and OIDs of an adapter.
    struct NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES [224, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 MediaType: NDIS_MEDIUM,
        12 PhysicalMediumType: NDIS_PHYSICAL_MEDIUM,
        16 MtuSize: ULONG,
        24 MaxXmitLinkSpeed: ULONG64,
        32 XmitLinkSpeed: ULONG64,
        40 MaxRcvLinkSpeed: ULONG64,
        48 RcvLinkSpeed: ULONG64,
        56 MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
        60 MediaDuplexState: NDIS_MEDIA_DUPLEX_STATE,
        64 LookaheadSize: ULONG,
        72 PowerManagementCapabilities: *mut NDIS_PNP_CAPABILITIES,
        80 MacOptions: ULONG,
        84 SupportedPacketFilters: ULONG,
        88 MaxMulticastListSize: ULONG,
        92 MacAddressLength: USHORT,
        94 PermanentMacAddress: [UCHAR; 32],
        126 CurrentMacAddress: [UCHAR; 32],
        160 RecvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
        168 AccessType: NET_IF_ACCESS_TYPE,
        172 DirectionType: NET_IF_DIRECTION_TYPE,
        176 ConnectionType: NET_IF_CONNECTION_TYPE,
        180 IfType: NET_IFTYPE,
        182 IfConnectorPresent: BOOLEAN,
        184 SupportedStatistics: ULONG,
        188 SupportedPauseFunctions: ULONG,
        192 DataBackFillSize: ULONG,
        196 ContextBackFillSize: ULONG,
        200 SupportedOidList: *mut NDIS_OID,
        208 SupportedOidListLength: ULONG,
        212 AutoNegotiationFlags: ULONG,
        216 PowerManagementCapabilitiesEx: *mut NDIS_PM_CAPABILITIES,
    }
    /// Header-data split, queue, switch and flow capabilities.
    struct NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES [96, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 HDSplitAttributes: *mut NDIS_HD_SPLIT_ATTRIBUTES,
        16 HardwareReceiveFilterCapabilities: *mut NDIS_RECEIVE_FILTER_CAPABILITIES,
        24 CurrentReceiveFilterCapabilities: *mut NDIS_RECEIVE_FILTER_CAPABILITIES,
        32 HardwareNicSwitchCapabilities: *mut NDIS_NIC_SWITCH_CAPABILITIES,
        40 CurrentNicSwitchCapabilities: *mut NDIS_NIC_SWITCH_CAPABILITIES,
        48 HardwareSriovCapabilities: *mut NDIS_SRIOV_CAPABILITIES,
        56 CurrentSriovCapabilities: *mut NDIS_SRIOV_CAPABILITIES,
        64 HardwareQosCapabilities: *mut NDIS_QOS_CAPABILITIES,
        72 CurrentQosCapabilities: *mut NDIS_QOS_CAPABILITIES,
        80 HardwareGftOffloadCapabilities: *mut NDIS_GFT_OFFLOAD_CAPABILITIES,
        88 CurrentGftOffloadCapabilities: *mut NDIS_GFT_OFFLOAD_CAPABILITIES,
    }
    /// Attributes of a native 802.11 adapter.
    struct NDIS_MINIPORT_ADAPTER_NATIVE_802_11_ATTRIBUTES [64, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 OpModeCapability: ULONG,
        8 NumOfTXBuffers: ULONG,
        12 NumOfRXBuffers: ULONG,
        16 MultiDomainCapabilityImplemented: BOOLEAN,
        20 NumSupportedPhys: ULONG,
        24 SupportedPhyAttributes: PVOID,
        32 ExtSTAAttributes: PVOID,
        40 VWiFiAttributes: PVOID,
        48 ExtAPAttributes: PVOID,
        56 WFDAttributes: PVOID,
    }
    /// Attributes of an adapter with network direct.
    struct NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES [16, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Enabled: BOOLEAN,
        8 NdkCapabilities: *mut NDIS_NDK_CAPABILITIES,
    }
    /// Offload that is on by default and offload that is possible.
    struct NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES [40, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
        16 HardwareOffloadCapabilities: *mut NDIS_OFFLOAD,
        24 DefaultTcpConnectionOffloadConfiguration: PVOID,
        32 TcpConnectionOffloadHardwareCapabilities: PVOID,
    }
    /// Attributes of an adapter with packet direct.
    struct NDIS_MINIPORT_ADAPTER_PACKET_DIRECT_ATTRIBUTES [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 DmaAddressWidth: UCHAR,
    }
    /// Adapter context, attribute flags and bus type.
    struct NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES [32, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 MiniportAdapterContext: NDIS_HANDLE,
        16 AttributeFlags: ULONG,
        20 CheckForHangTimeInSeconds: UINT,
        24 InterfaceType: NDIS_INTERFACE_TYPE,
    }
    /// Context of a device, set while it is added.
    struct NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 MiniportAddDeviceContext: NDIS_HANDLE,
        16 Flags: ULONG,
    }
}

imports! {
    "ndis.sys";
    /// Sets attributes of an adapter while it initialises. IRQL: `PASSIVE_LEVEL`.
    fn NdisMSetMiniportAttributes(
        NdisMiniportHandle: NDIS_HANDLE,
        MiniportAttributes: *mut NDIS_MINIPORT_ADAPTER_ATTRIBUTES,
    ) -> NDIS_STATUS;
}

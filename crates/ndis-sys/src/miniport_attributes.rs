//! miniport_attributes

use crate::*;

structs! {
    struct NDIS_HD_SPLIT_ATTRIBUTES [24, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 HardwareCapabilities: ULONG,
        8 CurrentCapabilities: ULONG,
        12 HDSplitFlags: ULONG,
        16 BackfillSize: ULONG,
        20 MaxHeaderSize: ULONG,
    }
    struct NDIS_HD_SPLIT_CURRENT_CONFIG [28, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 HardwareCapabilities: ULONG,
        8 CurrentCapabilities: ULONG,
        12 HDSplitFlags: ULONG,
        16 HDSplitCombineFlags: ULONG,
        20 BackfillSize: ULONG,
        24 MaxHeaderSize: ULONG,
    }
    struct NDIS_HD_SPLIT_PARAMETERS [8, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 HDSplitCombineFlags: ULONG,
    }
    struct NDIS_INTERRUPT_MODERATION_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 InterruptModeration: NDIS_INTERRUPT_MODERATION,
    }
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
        200 SupportedOidList: *mut ULONG,
        208 SupportedOidListLength: ULONG,
        212 AutoNegotiationFlags: ULONG,
        216 PowerManagementCapabilitiesEx: *mut NDIS_PM_CAPABILITIES,
    }
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
    struct NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES [16, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Enabled: BOOLEAN,
        8 NdkCapabilities: PVOID,
    }
    struct NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES [40, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
        16 HardwareOffloadCapabilities: *mut NDIS_OFFLOAD,
        24 DefaultTcpConnectionOffloadConfiguration: PVOID,
        32 TcpConnectionOffloadHardwareCapabilities: PVOID,
    }
    struct NDIS_MINIPORT_ADAPTER_PACKET_DIRECT_ATTRIBUTES [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 DmaAddressWidth: UCHAR,
    }
    struct NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES [32, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 MiniportAdapterContext: NDIS_HANDLE,
        16 AttributeFlags: ULONG,
        20 CheckForHangTimeInSeconds: UINT,
        24 InterfaceType: NDIS_INTERFACE_TYPE,
    }
}

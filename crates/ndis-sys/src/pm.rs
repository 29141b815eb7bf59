//! Power management: capabilities, wake-up patterns, protocol offload.
//!
//! Documentation:
//! * [Power management enhancements in NDIS 6.20](https://learn.microsoft.com/windows-hardware/drivers/network/power-management-enhancements-in-ndis-6-20)
//! * [NDIS_PM_CAPABILITIES](https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddndis/ns-ntddndis-_ndis_pm_capabilities)

use crate::{
    MINIPORT_CANCEL_IDLE_NOTIFICATION, MINIPORT_IDLE_NOTIFICATION, NDIS_HANDLE, NDIS_OBJECT_HEADER,
    UCHAR, ULONG, ULONGLONG, USHORT, WCHAR,
};

constants! {
    /// Wake-up event, for `OID_PNP_ENABLE_WAKE_UP`.
    ULONG {
        NDIS_PNP_WAKE_UP_MAGIC_PACKET = 1,
        NDIS_PNP_WAKE_UP_PATTERN_MATCH = 2,
        NDIS_PNP_WAKE_UP_LINK_CHANGE = 4,
    }
    /// Wake-up event that an adapter can be set to.
    ULONG {
        NDIS_DEVICE_WAKE_UP_ENABLE = 1,
        NDIS_PM_WAKE_ON_LINK_CHANGE_ENABLED = 1,
        NDIS_PM_WAKE_ON_MEDIA_CONNECT_SUPPORTED = 1,
        NDIS_DEVICE_WAKE_ON_PATTERN_MATCH_ENABLE = 2,
        NDIS_PM_WAKE_ON_MEDIA_DISCONNECT_ENABLED = 2,
        NDIS_PM_WAKE_ON_MEDIA_DISCONNECT_SUPPORTED = 2,
        NDIS_DEVICE_WAKE_ON_MAGIC_PACKET_ENABLE = 4,
    }
    /// Wake-up pattern.
    ULONG {
        NDIS_PM_WOL_BITMAP_PATTERN_ENABLED = 1,
        NDIS_PM_WOL_BITMAP_PATTERN_SUPPORTED = 1,
        NDIS_PM_WOL_PRIORITY_HIGHEST = 1,
        NDIS_PM_WOL_MAGIC_PACKET_ENABLED = 2,
        NDIS_PM_WOL_MAGIC_PACKET_SUPPORTED = 2,
        NDIS_PM_WOL_IPV4_TCP_SYN_ENABLED = 4,
        NDIS_PM_WOL_IPV4_TCP_SYN_SUPPORTED = 4,
        NDIS_PM_WOL_IPV6_TCP_SYN_ENABLED = 8,
        NDIS_PM_WOL_IPV6_TCP_SYN_SUPPORTED = 8,
        NDIS_PM_WOL_IPV4_DEST_ADDR_WILDCARD_ENABLED = 0x200,
        NDIS_PM_WOL_IPV4_DEST_ADDR_WILDCARD_SUPPORTED = 0x200,
        NDIS_PM_WOL_IPV6_DEST_ADDR_WILDCARD_ENABLED = 0x800,
        NDIS_PM_WOL_IPV6_DEST_ADDR_WILDCARD_SUPPORTED = 0x800,
        NDIS_PM_WOL_EAPOL_REQUEST_ID_MESSAGE_ENABLED = 0x0001_0000,
        NDIS_PM_WOL_EAPOL_REQUEST_ID_MESSAGE_SUPPORTED = 0x0001_0000,
        NDIS_PM_WOL_PRIORITY_NORMAL = 0x1000_0000,
        NDIS_PM_WOL_PRIORITY_LOWEST = 0xFFFF_FFFF,
    }
    /// Protocol that an adapter can answer in low power.
    ULONG {
        NDIS_PM_PROTOCOL_OFFLOAD_ARP_ENABLED = 1,
        NDIS_PM_PROTOCOL_OFFLOAD_ARP_SUPPORTED = 1,
        NDIS_PM_PROTOCOL_OFFLOAD_PRIORITY_HIGHEST = 1,
        NDIS_PM_PROTOCOL_OFFLOAD_NS_ENABLED = 2,
        NDIS_PM_PROTOCOL_OFFLOAD_NS_SUPPORTED = 2,
        NDIS_PM_PROTOCOL_OFFLOAD_80211_RSN_REKEY_ENABLED = 0x80,
        NDIS_PM_PROTOCOL_OFFLOAD_80211_RSN_REKEY_SUPPORTED = 0x80,
        NDIS_PM_PROTOCOL_OFFLOAD_PRIORITY_NORMAL = 0x1000_0000,
        NDIS_PM_PROTOCOL_OFFLOAD_PRIORITY_LOWEST = 0xFFFF_FFFF,
    }
    /// Value for power management.
    ULONG {
        NDIS_PM_PRIVATE_PATTERN_ID = 1,
        NDIS_PM_WAKE_PACKET_INDICATION_SUPPORTED = 1,
        NDIS_PM_SELECTIVE_SUSPEND_SUPPORTED = 2,
        NDIS_PM_SELECTIVE_SUSPEND_ENABLED = 0x10,
        NDIS_PM_MAX_STRING_SIZE = 64,
        NDIS_PM_MAX_PATTERN_ID = 0xFFFF,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_MINIPORT_SS_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_PM_CAPABILITIES_REVISION_1 = 1,
        NDIS_PM_CAPABILITIES_REVISION_2 = 2,
        NDIS_PM_PARAMETERS_REVISION_1 = 1,
        NDIS_PM_PARAMETERS_REVISION_2 = 2,
        NDIS_PM_PROTOCOL_OFFLOAD_REVISION_1 = 1,
        NDIS_PM_PROTOCOL_OFFLOAD_REVISION_2 = 2,
        NDIS_PM_WAKE_PACKET_REVISION_1 = 1,
        NDIS_PM_WAKE_REASON_REVISION_1 = 1,
        NDIS_PM_WOL_PATTERN_REVISION_1 = 1,
        NDIS_PM_WOL_PATTERN_REVISION_2 = 2,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_MINIPORT_SS_CHARACTERISTICS_REVISION_1 = 24,
        NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_1 = 52,
        NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_2 = 60,
        NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_1 = 16,
        NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_2 = 20,
        NDIS_SIZEOF_NDIS_PM_PROTOCOL_OFFLOAD_REVISION_1 = 240,
        NDIS_SIZEOF_NDIS_PM_PROTOCOL_OFFLOAD_REVISION_2 = 256,
        NDIS_SIZEOF_NDIS_PM_WOL_PATTERN_REVISION_1 = 196,
        NDIS_SIZEOF_NDIS_PM_WOL_PATTERN_REVISION_2 = 196,
        NDIS_SIZEOF_PM_WAKE_PACKET_REVISION_1 = 156,
        NDIS_SIZEOF_PM_WAKE_REASON_REVISION_1 = 20,
    }
}

enums! {
    /// Power state of an adapter.
    NDIS_DEVICE_POWER_STATE {
        NdisDeviceStateUnspecified = 0,
        NdisDeviceStateD0 = 1,
        NdisDeviceStateD1 = 2,
        NdisDeviceStateD2 = 3,
        NdisDeviceStateD3 = 4,
        NdisDeviceStateMaximum = 5,
    }
    /// Administrator's setting of one capability.
    NDIS_PM_ADMIN_CONFIG_STATE {
        NdisPMAdminConfigUnspecified = 0,
        NdisPMAdminConfigDisabled = 1,
        NdisPMAdminConfigEnabled = 2,
    }
    /// Whether a capability is there and in use.
    NDIS_PM_CAPABILITY_STATE {
        NdisPMAdminConfigUnsupported = 0,
        NdisPMAdminConfigInactive = 1,
        NdisPMAdminConfigActive = 2,
    }
    /// Protocol that an adapter can answer in low power.
    NDIS_PM_PROTOCOL_OFFLOAD_TYPE {
        NdisPMProtocolOffloadIdUnspecified = 0,
        NdisPMProtocolOffloadIdIPv4ARP = 1,
        NdisPMProtocolOffloadIdIPv6NS = 2,
        NdisPMProtocolOffload80211RSNRekey = 3,
        NdisPMProtocolOffload80211RSNRekeyV2 = 4,
        NdisPMProtocolOffloadIdMaximum = 5,
    }
    /// Why an adapter woke the system.
    NDIS_PM_WAKE_REASON_TYPE {
        NdisWakeReasonUnspecified = 0,
        NdisWakeReasonPacket = 1,
        NdisWakeReasonMediaDisconnect = 2,
        NdisWakeReasonMediaConnect = 3,
        NdisWakeReasonWlanNLODiscovery = 4096,
        NdisWakeReasonWlanAPAssociationLost = 4097,
        NdisWakeReasonWlanGTKHandshakeError = 4098,
        NdisWakeReasonWlan4WayHandshakeRequest = 4099,
        NdisWakeReasonWwanRegisterState = 8192,
        NdisWakeReasonWwanSMSReceive = 8193,
        NdisWakeReasonWwanUSSDReceive = 8194,
        NdisWakeReasonWwanPacketState = 8196,
        NdisWakeReasonWwanUiccChange = 8197,
    }
    /// Packet that wakes the system.
    NDIS_PM_WOL_PACKET {
        NdisPMWoLPacketUnspecified = 0,
        NdisPMWoLPacketBitmapPattern = 1,
        NdisPMWoLPacketMagicPacket = 2,
        NdisPMWoLPacketIPv4TcpSyn = 3,
        NdisPMWoLPacketIPv6TcpSyn = 4,
        NdisPMWoLPacketEapolRequestIdMessage = 5,
        NdisPMWoLPacketMaximum = 6,
    }
}

structs! {
    /// Handlers of a miniport for selective suspend.
    struct NDIS_MINIPORT_SS_CHARACTERISTICS [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 IdleNotificationHandler: Option<MINIPORT_IDLE_NOTIFICATION>,
        16 CancelIdleNotificationHandler: Option<MINIPORT_CANCEL_IDLE_NOTIFICATION>,
    }
    /// What an adapter can do in low power.
    struct NDIS_PM_CAPABILITIES [60, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 SupportedWoLPacketPatterns: ULONG,
        12 NumTotalWoLPatterns: ULONG,
        16 MaxWoLPatternSize: ULONG,
        20 MaxWoLPatternOffset: ULONG,
        24 MaxWoLPacketSaveBuffer: ULONG,
        28 SupportedProtocolOffloads: ULONG,
        32 NumArpOffloadIPv4Addresses: ULONG,
        36 NumNSOffloadIPv6Addresses: ULONG,
        40 MinMagicPacketWakeUp: NDIS_DEVICE_POWER_STATE,
        44 MinPatternWakeUp: NDIS_DEVICE_POWER_STATE,
        48 MinLinkChangeWakeUp: NDIS_DEVICE_POWER_STATE,
        52 SupportedWakeUpEvents: ULONG,
        56 MediaSpecificWakeUpEvents: ULONG,
    }
    /// A counted string of power management.
    struct NDIS_PM_COUNTED_STRING [132, 2] {
        0 Length: USHORT,
        2 String: [WCHAR; 65],
    }
    /// A wake-up pattern of NDIS before 6.20.
    struct NDIS_PM_PACKET_PATTERN [24, 4] {
        0 Priority: ULONG,
        4 Reserved: ULONG,
        8 MaskSize: ULONG,
        12 PatternOffset: ULONG,
        16 PatternSize: ULONG,
        20 PatternFlags: ULONG,
    }
    /// What an adapter is to do in low power.
    struct NDIS_PM_PARAMETERS [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 EnabledWoLPacketPatterns: ULONG,
        8 EnabledProtocolOffloads: ULONG,
        12 WakeUpFlags: ULONG,
        16 MediaSpecificWakeUpEvents: ULONG,
    }
    /// Member `ProtocolOffloadParameters.Dot11RSNRekeyParameters` of [`NDIS_PM_PROTOCOL_OFFLOAD`].
    struct NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters_Dot11RSNRekeyParameters
        of NDIS_PM_PROTOCOL_OFFLOAD.ProtocolOffloadParameters.Dot11RSNRekeyParameters [48, 8]
    {
        0 Flags: ULONG,
        4 KCK: [UCHAR; 16],
        20 KEK: [UCHAR; 16],
        40 KeyReplayCounter: ULONGLONG,
    }
    /// Member `ProtocolOffloadParameters.Dot11RSNRekeyParametersV2` of [`NDIS_PM_PROTOCOL_OFFLOAD`].
    struct NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters_Dot11RSNRekeyParametersV2
        of NDIS_PM_PROTOCOL_OFFLOAD.ProtocolOffloadParameters.Dot11RSNRekeyParametersV2 [96, 8]
    {
        0 Flags: ULONG,
        8 KeyReplayCounter: ULONGLONG,
        16 AuthAlgo: ULONG,
        20 KCKLength: ULONG,
        24 KEKLength: ULONG,
        28 KCK: [UCHAR; 32],
        60 KEK: [UCHAR; 32],
    }
    /// Member `ProtocolOffloadParameters.IPv4ARPParameters` of [`NDIS_PM_PROTOCOL_OFFLOAD`].
    struct NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters_IPv4ARPParameters
        of NDIS_PM_PROTOCOL_OFFLOAD.ProtocolOffloadParameters.IPv4ARPParameters [20, 4]
    {
        0 Flags: ULONG,
        4 RemoteIPv4Address: [UCHAR; 4],
        8 HostIPv4Address: [UCHAR; 4],
        12 MacAddress: [UCHAR; 6],
    }
    /// Member `ProtocolOffloadParameters.IPv6NSParameters` of [`NDIS_PM_PROTOCOL_OFFLOAD`].
    struct NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters_IPv6NSParameters
        of NDIS_PM_PROTOCOL_OFFLOAD.ProtocolOffloadParameters.IPv6NSParameters [76, 4]
    {
        0 Flags: ULONG,
        4 RemoteIPv6Address: [UCHAR; 16],
        20 SolicitedNodeIPv6Address: [UCHAR; 16],
        36 MacAddress: [UCHAR; 6],
        42 TargetIPv6Addresses: [[UCHAR; 16]; 2],
    }
    /// Member `ProtocolOffloadParameters` of [`NDIS_PM_PROTOCOL_OFFLOAD`].
    union NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters
        of NDIS_PM_PROTOCOL_OFFLOAD.ProtocolOffloadParameters [96, 8]
    {
        0 Dot11RSNRekeyParameters: NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters_Dot11RSNRekeyParameters,
        0 Dot11RSNRekeyParametersV2: NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters_Dot11RSNRekeyParametersV2,
        0 IPv4ARPParameters: NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters_IPv4ARPParameters,
        0 IPv6NSParameters: NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters_IPv6NSParameters,
    }
    /// A protocol that an adapter is to answer in low power.
    struct NDIS_PM_PROTOCOL_OFFLOAD [256, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 Priority: ULONG,
        12 ProtocolOffloadType: NDIS_PM_PROTOCOL_OFFLOAD_TYPE,
        16 FriendlyName: NDIS_PM_COUNTED_STRING,
        148 ProtocolOffloadId: ULONG,
        152 NextProtocolOffloadOffset: ULONG,
        160 ProtocolOffloadParameters: NDIS_PM_PROTOCOL_OFFLOAD_ProtocolOffloadParameters,
    }
    /// The packet that woke the system.
    struct NDIS_PM_WAKE_PACKET [156, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 PatternId: ULONG,
        12 PatternFriendlyName: NDIS_PM_COUNTED_STRING,
        144 OriginalPacketSize: ULONG,
        148 SavedPacketSize: ULONG,
        152 SavedPacketOffset: ULONG,
    }
    /// Why an adapter woke the system.
    struct NDIS_PM_WAKE_REASON [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 WakeReason: NDIS_PM_WAKE_REASON_TYPE,
        12 InfoBufferOffset: ULONG,
        16 InfoBufferSize: ULONG,
    }
    /// Lowest power states from which an adapter can wake the system.
    struct NDIS_PM_WAKE_UP_CAPABILITIES [12, 4] {
        0 MinMagicPacketWakeUp: NDIS_DEVICE_POWER_STATE,
        4 MinPatternWakeUp: NDIS_DEVICE_POWER_STATE,
        8 MinLinkChangeWakeUp: NDIS_DEVICE_POWER_STATE,
    }
    /// Member `WoLPattern.EapolRequestIdMessageParameters` of [`NDIS_PM_WOL_PATTERN`].
    struct NDIS_PM_WOL_PATTERN_WoLPattern_EapolRequestIdMessageParameters
        of NDIS_PM_WOL_PATTERN.WoLPattern.EapolRequestIdMessageParameters [4, 4]
    {
        0 Flags: ULONG,
    }
    /// Member `WoLPattern.IPv4TcpSynParameters` of [`NDIS_PM_WOL_PATTERN`].
    struct NDIS_PM_WOL_PATTERN_WoLPattern_IPv4TcpSynParameters
        of NDIS_PM_WOL_PATTERN.WoLPattern.IPv4TcpSynParameters [16, 4]
    {
        0 Flags: ULONG,
        4 IPv4SourceAddress: [UCHAR; 4],
        8 IPv4DestAddress: [UCHAR; 4],
        12 TCPSourcePortNumber: USHORT,
        14 TCPDestPortNumber: USHORT,
    }
    /// Member `WoLPattern.IPv6TcpSynParameters` of [`NDIS_PM_WOL_PATTERN`].
    struct NDIS_PM_WOL_PATTERN_WoLPattern_IPv6TcpSynParameters
        of NDIS_PM_WOL_PATTERN.WoLPattern.IPv6TcpSynParameters [40, 4]
    {
        0 Flags: ULONG,
        4 IPv6SourceAddress: [UCHAR; 16],
        20 IPv6DestAddress: [UCHAR; 16],
        36 TCPSourcePortNumber: USHORT,
        38 TCPDestPortNumber: USHORT,
    }
    /// Member `WoLPattern.WoLBitMapPattern` of [`NDIS_PM_WOL_PATTERN`].
    struct NDIS_PM_WOL_PATTERN_WoLPattern_WoLBitMapPattern
        of NDIS_PM_WOL_PATTERN.WoLPattern.WoLBitMapPattern [20, 4]
    {
        0 Flags: ULONG,
        4 MaskOffset: ULONG,
        8 MaskSize: ULONG,
        12 PatternOffset: ULONG,
        16 PatternSize: ULONG,
    }
    /// Member `WoLPattern` of [`NDIS_PM_WOL_PATTERN`].
    union NDIS_PM_WOL_PATTERN_WoLPattern of NDIS_PM_WOL_PATTERN.WoLPattern [40, 4] {
        0 EapolRequestIdMessageParameters: NDIS_PM_WOL_PATTERN_WoLPattern_EapolRequestIdMessageParameters,
        0 IPv4TcpSynParameters: NDIS_PM_WOL_PATTERN_WoLPattern_IPv4TcpSynParameters,
        0 IPv6TcpSynParameters: NDIS_PM_WOL_PATTERN_WoLPattern_IPv6TcpSynParameters,
        0 WoLBitMapPattern: NDIS_PM_WOL_PATTERN_WoLPattern_WoLBitMapPattern,
    }
    /// A wake-up pattern.
    struct NDIS_PM_WOL_PATTERN [196, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 Priority: ULONG,
        12 WoLPacketType: NDIS_PM_WOL_PACKET,
        16 FriendlyName: NDIS_PM_COUNTED_STRING,
        148 PatternId: ULONG,
        152 NextWoLPatternOffset: ULONG,
        156 WoLPattern: NDIS_PM_WOL_PATTERN_WoLPattern,
    }
    /// Power management capabilities of NDIS before 6.20.
    struct NDIS_PNP_CAPABILITIES [16, 4] {
        0 Flags: ULONG,
        4 WakeUpCapabilities: NDIS_PM_WAKE_UP_CAPABILITIES,
    }
}

imports! {
    "ndis.sys";
    /// Completes an idle notification. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMIdleNotificationComplete(MiniportAdapterHandle: NDIS_HANDLE);
    /// Says that an idle adapter may sleep. IRQL: `PASSIVE_LEVEL`.
    fn NdisMIdleNotificationConfirm(
        MiniportAdapterHandle: NDIS_HANDLE,
        IdlePowerState: NDIS_DEVICE_POWER_STATE,
    );
}

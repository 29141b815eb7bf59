//! general

use crate::*;

aliases! {
    NDIS_MEDIA_CONNECT_STATE = NET_IF_MEDIA_CONNECT_STATE;
    NDIS_MEDIA_DUPLEX_STATE = NET_IF_MEDIA_DUPLEX_STATE;
}

constants! {
    UCHAR {
        NDIS_LINK_PARAMETERS_REVISION_1 = 1,
        NDIS_LINK_STATE_REVISION_1 = 1,
        NDIS_STATISTICS_INFO_REVISION_1 = 1,
    }
    ULONG64 {
        NDIS_LINK_SPEED_UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF,
    }
    ULONG {
        NDIS_LINK_STATE_XMIT_LINK_SPEED_AUTO_NEGOTIATED = 1,
        NDIS_MAC_OPTION_COPY_LOOKAHEAD_DATA = 1,
        NDIS_MEDIA_CAP_TRANSMIT = 1,
        NDIS_PACKET_TYPE_DIRECTED = 1,
        NDIS_PAUSE_NDIS_INTERNAL = 1,
        NDIS_PROT_OPTION_ESTIMATED_LENGTH = 1,
        NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_RCV = 1,
        NDIS_STATISTICS_XMIT_OK_SUPPORTED = 1,
        NDIS_LINK_STATE_RCV_LINK_SPEED_AUTO_NEGOTIATED = 2,
        NDIS_MAC_OPTION_RECEIVE_SERIALIZED = 2,
        NDIS_MEDIA_CAP_RECEIVE = 2,
        NDIS_PACKET_TYPE_MULTICAST = 2,
        NDIS_PAUSE_LOW_POWER = 2,
        NDIS_PROT_OPTION_NO_LOOPBACK = 2,
        NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_RCV = 2,
        NDIS_STATISTICS_RCV_OK_SUPPORTED = 2,
        NDIS_LINK_STATE_DUPLEX_AUTO_NEGOTIATED = 4,
        NDIS_MAC_OPTION_TRANSFERS_NOT_PEND = 4,
        NDIS_PACKET_TYPE_ALL_MULTICAST = 4,
        NDIS_PAUSE_BIND_PROTOCOL = 4,
        NDIS_PROT_OPTION_NO_RSVD_ON_RCVPKT = 4,
        NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_RCV = 4,
        NDIS_STATISTICS_XMIT_ERROR_SUPPORTED = 4,
        NDIS_LINK_STATE_PAUSE_FUNCTIONS_AUTO_NEGOTIATED = 8,
        NDIS_MAC_OPTION_NO_LOOPBACK = 8,
        NDIS_PACKET_TYPE_BROADCAST = 8,
        NDIS_PAUSE_UNBIND_PROTOCOL = 8,
        NDIS_PROT_OPTION_SEND_RESTRICTED = 8,
        NDIS_STATISTICS_FLAGS_VALID_BYTES_RCV = 8,
        NDIS_STATISTICS_RCV_ERROR_SUPPORTED = 8,
        NDIS_MAC_OPTION_FULL_DUPLEX = 0x10,
        NDIS_PACKET_TYPE_SOURCE_ROUTING = 0x10,
        NDIS_PAUSE_ATTACH_FILTER = 0x10,
        NDIS_STATISTICS_FLAGS_VALID_RCV_DISCARDS = 0x10,
        NDIS_STATISTICS_RCV_NO_BUFFER_SUPPORTED = 0x10,
        NDIS_MAC_OPTION_EOTX_INDICATION = 0x20,
        NDIS_PACKET_TYPE_PROMISCUOUS = 0x20,
        NDIS_PAUSE_DETACH_FILTER = 0x20,
        NDIS_STATISTICS_DIRECTED_BYTES_XMIT_SUPPORTED = 0x20,
        NDIS_STATISTICS_FLAGS_VALID_RCV_ERROR = 0x20,
        NDIS_MAC_OPTION_8021P_PRIORITY = 0x40,
        NDIS_PACKET_TYPE_SMT = 0x40,
        NDIS_PAUSE_FILTER_RESTART_STACK = 0x40,
        NDIS_STATISTICS_DIRECTED_FRAMES_XMIT_SUPPORTED = 0x40,
        NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_XMIT = 0x40,
        NDIS_MAC_OPTION_SUPPORTS_MAC_ADDRESS_OVERWRITE = 0x80,
        NDIS_PACKET_TYPE_ALL_LOCAL = 0x80,
        NDIS_PAUSE_MINIPORT_DEVICE_REMOVE = 0x80,
        NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_XMIT = 0x80,
        NDIS_STATISTICS_MULTICAST_BYTES_XMIT_SUPPORTED = 0x80,
        NDIS_MAC_OPTION_RECEIVE_AT_DPC = 0x100,
        NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_XMIT = 0x100,
        NDIS_STATISTICS_MULTICAST_FRAMES_XMIT_SUPPORTED = 0x100,
        NDIS_MAC_OPTION_8021Q_VLAN = 0x200,
        NDIS_STATISTICS_BROADCAST_BYTES_XMIT_SUPPORTED = 0x200,
        NDIS_STATISTICS_FLAGS_VALID_BYTES_XMIT = 0x200,
        NDIS_STATISTICS_BROADCAST_FRAMES_XMIT_SUPPORTED = 0x400,
        NDIS_STATISTICS_FLAGS_VALID_XMIT_ERROR = 0x400,
        NDIS_STATISTICS_DIRECTED_BYTES_RCV_SUPPORTED = 0x800,
        NDIS_PACKET_TYPE_GROUP = 0x1000,
        NDIS_STATISTICS_DIRECTED_FRAMES_RCV_SUPPORTED = 0x1000,
        NDIS_PACKET_TYPE_ALL_FUNCTIONAL = 0x2000,
        NDIS_STATISTICS_MULTICAST_BYTES_RCV_SUPPORTED = 0x2000,
        NDIS_PACKET_TYPE_FUNCTIONAL = 0x4000,
        NDIS_STATISTICS_MULTICAST_FRAMES_RCV_SUPPORTED = 0x4000,
        NDIS_PACKET_TYPE_MAC_FRAME = 0x8000,
        NDIS_STATISTICS_BROADCAST_BYTES_RCV_SUPPORTED = 0x8000,
        NDIS_STATISTICS_FLAGS_VALID_XMIT_DISCARDS = 0x8000,
        NDIS_PACKET_TYPE_NO_LOCAL = 0x0001_0000,
        NDIS_STATISTICS_BROADCAST_FRAMES_RCV_SUPPORTED = 0x0001_0000,
        NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_RCV = 0x0001_0000,
        NDIS_MEDIA_SPECIFIC_INFO_TUNDL = 0x0001_0001,
        NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_RCV = 0x0002_0000,
        NDIS_STATISTICS_RCV_CRC_ERROR_SUPPORTED = 0x0002_0000,
        NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_RCV = 0x0004_0000,
        NDIS_STATISTICS_TRANSMIT_QUEUE_LENGTH_SUPPORTED = 0x0004_0000,
        NDIS_STATISTICS_BYTES_RCV_SUPPORTED = 0x0008_0000,
        NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_XMIT = 0x0008_0000,
        NDIS_STATISTICS_BYTES_XMIT_SUPPORTED = 0x0010_0000,
        NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_XMIT = 0x0010_0000,
        NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_XMIT = 0x0020_0000,
        NDIS_STATISTICS_RCV_DISCARDS_SUPPORTED = 0x0020_0000,
        NDIS_STATISTICS_GEN_STATISTICS_SUPPORTED = 0x0040_0000,
        NDIS_STATISTICS_XMIT_DISCARDS_SUPPORTED = 0x0800_0000,
        NDIS_MAC_OPTION_RESERVED = 0x8000_0000,
        NDIS_MEDIA_SPECIFIC_INFO_FCOE = 0x8001_0000,
        NDIS_MEDIA_SPECIFIC_INFO_EAPOL = 0x8001_0001,
        NDIS_MEDIA_SPECIFIC_INFO_LLDP = 0x8001_0002,
        NDIS_MEDIA_SPECIFIC_INFO_TIMESYNC = 0x8001_0003,
    }
}

enums! {
    NDIS_HARDWARE_STATUS {
        NdisHardwareStatusReady = 0,
        NdisHardwareStatusInitializing = 1,
        NdisHardwareStatusReset = 2,
        NdisHardwareStatusClosing = 3,
        NdisHardwareStatusNotReady = 4,
    }
    NDIS_INTERFACE_TYPE {
        NdisInterfaceInternal = 0,
        NdisInterfaceIsa = 1,
        NdisInterfaceEisa = 2,
        NdisInterfaceMca = 3,
        NdisInterfaceTurboChannel = 4,
        NdisInterfacePci = 5,
        NdisInterfacePcMcia = 8,
        NdisInterfaceCBus = 9,
        NdisInterfaceMPIBus = 10,
        NdisInterfaceMPSABus = 11,
        NdisInterfaceProcessorInternal = 12,
        NdisInterfaceInternalPowerBus = 13,
        NdisInterfacePNPISABus = 14,
        NdisInterfacePNPBus = 15,
        NdisInterfaceUSB = 16,
        NdisInterfaceIrda = 17,
        NdisInterface1394 = 18,
        NdisMaximumInterfaceType = 19,
    }
    NDIS_MEDIA_STATE {
        NdisMediaStateConnected = 0,
        NdisMediaStateDisconnected = 1,
    }
    NDIS_MEDIUM {
        NdisMedium802_3 = 0,
        NdisMedium802_5 = 1,
        NdisMediumFddi = 2,
        NdisMediumWan = 3,
        NdisMediumLocalTalk = 4,
        NdisMediumDix = 5,
        NdisMediumArcnetRaw = 6,
        NdisMediumArcnet878_2 = 7,
        NdisMediumAtm = 8,
        NdisMediumWirelessWan = 9,
        NdisMediumIrda = 10,
        NdisMediumBpc = 11,
        NdisMediumCoWan = 12,
        NdisMedium1394 = 13,
        NdisMediumInfiniBand = 14,
        NdisMediumTunnel = 15,
        NdisMediumNative802_11 = 16,
        NdisMediumLoopback = 17,
        NdisMediumWiMAX = 18,
        NdisMediumIP = 19,
        NdisMediumMax = 20,
    }
    NDIS_PHYSICAL_MEDIUM {
        NdisPhysicalMediumUnspecified = 0,
        NdisPhysicalMediumWirelessLan = 1,
        NdisPhysicalMediumCableModem = 2,
        NdisPhysicalMediumPhoneLine = 3,
        NdisPhysicalMediumPowerLine = 4,
        NdisPhysicalMediumDSL = 5,
        NdisPhysicalMediumFibreChannel = 6,
        NdisPhysicalMedium1394 = 7,
        NdisPhysicalMediumWirelessWan = 8,
        NdisPhysicalMediumNative802_11 = 9,
        NdisPhysicalMediumBluetooth = 10,
        NdisPhysicalMediumInfiniband = 11,
        NdisPhysicalMediumWiMax = 12,
        NdisPhysicalMediumUWB = 13,
        NdisPhysicalMedium802_3 = 14,
        NdisPhysicalMedium802_5 = 15,
        NdisPhysicalMediumIrda = 16,
        NdisPhysicalMediumWiredWAN = 17,
        NdisPhysicalMediumWiredCoWan = 18,
        NdisPhysicalMediumOther = 19,
        NdisPhysicalMediumNative802_15_4 = 20,
        NdisPhysicalMediumMax = 21,
    }
    NDIS_SUPPORTED_PAUSE_FUNCTIONS {
        NdisPauseFunctionsUnsupported = 0,
        NdisPauseFunctionsSendOnly = 1,
        NdisPauseFunctionsReceiveOnly = 2,
        NdisPauseFunctionsSendAndReceive = 3,
        NdisPauseFunctionsUnknown = 4,
    }
}

structs! {
    struct NDIS_IP_OPER_STATE [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 IpOperationalStatus: NDIS_IP_OPER_STATUS,
    }
    struct NDIS_IP_OPER_STATUS [12, 4] {
        0 AddressFamily: ULONG,
        4 OperationalStatus: NET_IF_OPER_STATUS,
        8 OperationalStatusFlags: ULONG,
    }
    struct NDIS_IP_OPER_STATUS_INFO [396, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 NumberofAddressFamiliesReturned: ULONG,
        12 IpOperationalStatus: [NDIS_IP_OPER_STATUS; 32],
    }
    struct NDIS_LINK_PARAMETERS [32, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MediaDuplexState: NDIS_MEDIA_DUPLEX_STATE,
        8 XmitLinkSpeed: ULONG64,
        16 RcvLinkSpeed: ULONG64,
        24 PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
        28 AutoNegotiationFlags: ULONG,
    }
    struct NDIS_LINK_STATE [40, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
        8 MediaDuplexState: NDIS_MEDIA_DUPLEX_STATE,
        16 XmitLinkSpeed: ULONG64,
        24 RcvLinkSpeed: ULONG64,
        32 PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
        36 AutoNegotiationFlags: ULONG,
    }
    struct NDIS_OPER_STATE [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 OperationalStatus: NET_IF_OPER_STATUS,
        8 OperationalStatusFlags: ULONG,
    }
    struct NDIS_STATISTICS_INFO [152, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 SupportedStatistics: ULONG,
        8 ifInDiscards: ULONG64,
        16 ifInErrors: ULONG64,
        24 ifHCInOctets: ULONG64,
        32 ifHCInUcastPkts: ULONG64,
        40 ifHCInMulticastPkts: ULONG64,
        48 ifHCInBroadcastPkts: ULONG64,
        56 ifHCOutOctets: ULONG64,
        64 ifHCOutUcastPkts: ULONG64,
        72 ifHCOutMulticastPkts: ULONG64,
        80 ifHCOutBroadcastPkts: ULONG64,
        88 ifOutErrors: ULONG64,
        96 ifOutDiscards: ULONG64,
        104 ifHCInUcastOctets: ULONG64,
        112 ifHCInMulticastOctets: ULONG64,
        120 ifHCInBroadcastOctets: ULONG64,
        128 ifHCOutUcastOctets: ULONG64,
        136 ifHCOutMulticastOctets: ULONG64,
        144 ifHCOutBroadcastOctets: ULONG64,
    }
    struct NDIS_STATISTICS_VALUE [12, 4] {
        0 Oid: NDIS_OID,
        4 DataLength: ULONG,
        8 Data: [UCHAR; 1],
    }
    struct NDIS_STATISTICS_VALUE_EX [16, 4] {
        0 Oid: NDIS_OID,
        4 DataLength: ULONG,
        8 Length: ULONG,
        12 Data: [UCHAR; 1],
    }
    struct NDIS_TIMESTAMP_CAPABILITIES [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 HardwareClockFrequencyHz: ULONG64,
        16 CrossTimestamp: BOOLEAN,
        24 Reserved1: ULONG64,
        32 Reserved2: ULONG64,
        40 TimestampFlags: NDIS_TIMESTAMP_CAPABILITY_FLAGS,
    }
    struct NDIS_TIMESTAMP_CAPABILITY_FLAGS [14, 1] {
        0 PtpV2OverUdpIPv4EventMsgReceiveHw: BOOLEAN,
        1 PtpV2OverUdpIPv4AllMsgReceiveHw: BOOLEAN,
        2 PtpV2OverUdpIPv4EventMsgTransmitHw: BOOLEAN,
        3 PtpV2OverUdpIPv4AllMsgTransmitHw: BOOLEAN,
        4 PtpV2OverUdpIPv6EventMsgReceiveHw: BOOLEAN,
        5 PtpV2OverUdpIPv6AllMsgReceiveHw: BOOLEAN,
        6 PtpV2OverUdpIPv6EventMsgTransmitHw: BOOLEAN,
        7 PtpV2OverUdpIPv6AllMsgTransmitHw: BOOLEAN,
        8 AllReceiveHw: BOOLEAN,
        9 AllTransmitHw: BOOLEAN,
        10 TaggedTransmitHw: BOOLEAN,
        11 AllReceiveSw: BOOLEAN,
        12 AllTransmitSw: BOOLEAN,
        13 TaggedTransmitSw: BOOLEAN,
    }
    struct NETWORK_ADDRESS [6, 2] {
        0 AddressLength: USHORT,
        2 AddressType: USHORT,
        4 Address: [UCHAR; 1],
    }
    struct NETWORK_ADDRESS_IP [16, 4] {
        0 sin_port: USHORT,
        4 in_addr: ULONG,
        8 sin_zero: [UCHAR; 8],
    }
    struct NETWORK_ADDRESS_IP6 [28, 4] {
        0 sin6_port: USHORT,
        4 sin6_flowinfo: ULONG,
        8 sin6_addr: [USHORT; 8],
        24 sin6_scope_id: ULONG,
    }
    struct NETWORK_ADDRESS_LIST [12, 4] {
        0 AddressCount: LONG,
        4 AddressType: USHORT,
        6 Address: [NETWORK_ADDRESS; 1],
    }
    struct TRANSPORT_HEADER_OFFSET [4, 2] {
        0 ProtocolType: USHORT,
        2 HeaderOffset: USHORT,
    }
}

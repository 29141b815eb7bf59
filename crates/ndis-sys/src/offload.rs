//! offload

use crate::*;

constants! {
    ULONG {
        IPSEC_OFFLOAD_V2_UDP_ESP_ENCAPSULATION_NONE = 0,
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_NOT_SUPPORTED = 0,
        NDIS_ENCAPSULATION_NOT_SUPPORTED = 0,
        NDIS_OFFLOAD_NOT_SUPPORTED = 0,
        NDIS_OFFLOAD_PARAMETERS_NO_CHANGE = 0,
        NDIS_OFFLOAD_SET_NO_CHANGE = 0,
        NDIS_TCP_LARGE_SEND_OFFLOAD_IPv4 = 0,
        NDIS_TCP_LARGE_SEND_OFFLOAD_V1_TYPE = 0,
        NDIS_UDP_SEGMENTATION_OFFLOAD_IPV4 = 0,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_MD5 = 1,
        IPSEC_OFFLOAD_V2_ENCRYPTION_NONE = 1,
        IPSEC_OFFLOAD_V2_ESN_SA = 1,
        IPSEC_OFFLOAD_V2_INBOUND = 1,
        IPSEC_OFFLOAD_V2_UDP_ESP_ENCAPSULATION_TRANSPORT = 1,
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_INNER_IPV4 = 1,
        NDIS_ENCAPSULATION_NULL = 1,
        NDIS_ENCAPSULATION_TYPE_GRE_MAC = 1,
        NDIS_OFFLOAD_FLAGS_GROUP_CHECKSUM_CAPABILITIES = 1,
        NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_IPSECV1_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_IPSECV2_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_LSOV1_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_LSOV2_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_SKIP_REGISTRY_UPDATE = 1,
        NDIS_OFFLOAD_PARAMETERS_TX_RX_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_USO_DISABLED = 1,
        NDIS_OFFLOAD_SET_ON = 1,
        NDIS_OFFLOAD_SUPPORTED = 1,
        NDIS_TASK_OFFLOAD_VERSION = 1,
        NDIS_TCP_LARGE_SEND_OFFLOAD_IPv6 = 1,
        NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE = 1,
        NDIS_UDP_SEGMENTATION_OFFLOAD_IPV6 = 1,
        IPSEC_OFFLOAD_V2_AND_TCP_CHECKSUM_COEXISTENCE = 2,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_SHA_1 = 2,
        IPSEC_OFFLOAD_V2_ENCRYPTION_DES_CBC = 2,
        IPSEC_OFFLOAD_V2_MAX_EXTENSION_HEADERS = 2,
        IPSEC_OFFLOAD_V2_UDP_ESP_ENCAPSULATION_TUNNEL = 2,
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_OUTER_IPV4 = 2,
        NDIS_ENCAPSULATION_IEEE_802_3 = 2,
        NDIS_ENCAPSULATION_TYPE_VXLAN = 2,
        NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_IPSECV1_AH_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_IPSECV2_AH_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_LSOV1_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_LSOV2_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_TX_ENABLED_RX_DISABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_USO_ENABLED = 2,
        NDIS_OFFLOAD_SET_OFF = 2,
        NDIS_OFFLOAD_PARAMETERS_IPSECV1_ESP_ENABLED = 3,
        NDIS_OFFLOAD_PARAMETERS_IPSECV2_ESP_ENABLED = 3,
        NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED = 3,
        IPSEC_OFFLOAD_V2_AND_UDP_CHECKSUM_COEXISTENCE = 4,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_SHA_256 = 4,
        IPSEC_OFFLOAD_V2_ENCRYPTION_3_DES_CBC = 4,
        IPSEC_OFFLOAD_V2_TRANSPORT_OVER_UDP_ESP_ENCAPSULATION_TUNNEL = 4,
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_INNER_IPV6 = 4,
        NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q = 4,
        NDIS_OFFLOAD_PARAMETERS_IPSECV1_AH_AND_ESP_ENABLED = 4,
        NDIS_OFFLOAD_PARAMETERS_IPSECV2_AH_AND_ESP_ENABLED = 4,
        NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED = 4,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_AES_GCM_128 = 8,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_GCM_128 = 8,
        IPSEC_OFFLOAD_V2_UDP_ESP_ENCAPSULATION_TRANSPORT_OVER_TUNNEL = 8,
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_OUTER_IPV6 = 8,
        NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB = 8,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_AES_GCM_192 = 0x10,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_GCM_192 = 0x10,
        IPSEC_OFFLOAD_V2_IPv6 = 0x10,
        NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED = 0x10,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_AES_GCM_256 = 0x20,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_GCM_256 = 0x20,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_CBC_128 = 0x40,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_CBC_192 = 0x80,
        NDIS_LARGE_SEND_OFFLOAD_MAX_HEADER_LENGTH = 0x80,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_CBC_256 = 0x100,
    }
    UCHAR {
        NDIS_IPSEC_OFFLOAD_V2_DELETE_SA_REVISION_1 = 1,
        NDIS_OFFLOAD_ENCAPSULATION_REVISION_1 = 1,
        NDIS_OFFLOAD_PARAMETERS_REVISION_1 = 1,
        NDIS_OFFLOAD_REVISION_1 = 1,
        NDIS_TCP_CONNECTION_OFFLOAD_REVISION_1 = 1,
        NDIS_TCP_RECV_SEG_COALESC_OFFLOAD_REVISION_1 = 1,
        NDIS_OFFLOAD_PARAMETERS_REVISION_2 = 2,
        NDIS_OFFLOAD_REVISION_2 = 2,
        NDIS_TCP_CONNECTION_OFFLOAD_REVISION_2 = 2,
        NDIS_OFFLOAD_PARAMETERS_REVISION_3 = 3,
        NDIS_OFFLOAD_REVISION_3 = 3,
        NDIS_OFFLOAD_PARAMETERS_REVISION_4 = 4,
        NDIS_OFFLOAD_REVISION_4 = 4,
        NDIS_OFFLOAD_PARAMETERS_REVISION_5 = 5,
        NDIS_OFFLOAD_REVISION_5 = 5,
        NDIS_OFFLOAD_REVISION_6 = 6,
        NDIS_OFFLOAD_REVISION_7 = 7,
    }
}

enums! {
    NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS {
        NDIS_RFC6877_464XLAT_OFFLOAD_NOT_SUPPORTED = 0,
        NDIS_RFC6877_464XLAT_OFFLOAD_DISABLED = 1,
        NDIS_RFC6877_464XLAT_OFFLOAD_ENABLED = 2,
        NDIS_RFC6877_464XLAT_OFFLOAD_ON_DEMAND = 3,
    }
    NDIS_UDP_HEADER_FIELD {
        NdisUdpHeaderFieldUndefined = 0,
        NdisUdpHeaderFieldDestinationPort = 1,
        NdisUdpHeaderFieldMaximum = 2,
    }
}

structs! {
    struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD [8, 4] {
        0 Bits: ULONG,
        4 MaxHeaderSizeSupported: ULONG,
        bits Bits {
            TransmitChecksumOffloadSupported: 0, 4;
            ReceiveChecksumOffloadSupported: 4, 4;
            LsoV2Supported: 8, 4;
            RssSupported: 12, 4;
            VmqSupported: 16, 4;
            UsoSupported: 20, 4;
            Reserved: 24, 8;
        }
    }
    struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo_VxlanInfo of NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2.EncapsulationProtocolInfo.VxlanInfo [4, 2] {
        0 VxlanUDPPortNumber: USHORT,
        2 Bits: USHORT,
        bits Bits {
            VxlanUDPPortNumberConfigurable: 0, 1;
        }
    }
    union NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo of NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2.EncapsulationProtocolInfo [4, 4] {
        0 Value: ULONG,
        0 VxlanInfo: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo_VxlanInfo,
    }
    struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2 [20, 4] {
        0 Bits: ULONG,
        4 MaxHeaderSizeSupported: ULONG,
        8 EncapsulationProtocolInfo: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo,
        12 Reserved1: ULONG,
        16 Reserved2: ULONG,
        bits Bits {
            TransmitChecksumOffloadSupported: 0, 4;
            ReceiveChecksumOffloadSupported: 4, 4;
            LsoV2Supported: 8, 4;
            RssSupported: 12, 4;
            VmqSupported: 16, 4;
            UsoSupported: 20, 4;
            Reserved: 24, 8;
        }
    }
    struct NDIS_IPSEC_OFFLOAD_V1_IPv4AH of NDIS_IPSEC_OFFLOAD_V1.IPv4AH [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            Md5: 0, 2;
            Sha_1: 2, 2;
            Transport: 4, 2;
            Tunnel: 6, 2;
            Send: 8, 2;
            Receive: 10, 2;
        }
    }
    struct NDIS_IPSEC_OFFLOAD_V1_IPv4ESP of NDIS_IPSEC_OFFLOAD_V1.IPv4ESP [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            Des: 0, 2;
            Reserved: 2, 2;
            TripleDes: 4, 2;
            NullEsp: 6, 2;
            Transport: 8, 2;
            Tunnel: 10, 2;
            Send: 12, 2;
            Receive: 14, 2;
        }
    }
    struct NDIS_IPSEC_OFFLOAD_V1_Supported of NDIS_IPSEC_OFFLOAD_V1.Supported [20, 4] {
        0 Encapsulation: ULONG,
        4 AhEspCombined: ULONG,
        8 TransportTunnelCombined: ULONG,
        12 IPv4Options: ULONG,
        16 Flags: ULONG,
    }
    struct NDIS_IPSEC_OFFLOAD_V1 [28, 4] {
        0 Supported: NDIS_IPSEC_OFFLOAD_V1_Supported,
        20 IPv4AH: NDIS_IPSEC_OFFLOAD_V1_IPv4AH,
        24 IPv4ESP: NDIS_IPSEC_OFFLOAD_V1_IPv4ESP,
    }
    struct NDIS_IPSEC_OFFLOAD_V2 [32, 4] {
        0 Encapsulation: ULONG,
        4 IPv6Supported: BOOLEAN,
        5 IPv4Options: BOOLEAN,
        6 IPv6NonIPsecExtensionHeaders: BOOLEAN,
        7 Ah: BOOLEAN,
        8 Esp: BOOLEAN,
        9 AhEspCombined: BOOLEAN,
        10 Transport: BOOLEAN,
        11 Tunnel: BOOLEAN,
        12 TransportTunnelCombined: BOOLEAN,
        13 LsoSupported: BOOLEAN,
        14 ExtendedSequenceNumbers: BOOLEAN,
        16 UdpEsp: ULONG,
        20 AuthenticationAlgorithms: ULONG,
        24 EncryptionAlgorithms: ULONG,
        28 SaOffloadCapacity: ULONG,
    }
    struct NDIS_OFFLOAD [216, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Checksum: NDIS_TCP_IP_CHECKSUM_OFFLOAD,
        36 LsoV1: NDIS_TCP_LARGE_SEND_OFFLOAD_V1,
        52 IPsecV1: NDIS_IPSEC_OFFLOAD_V1,
        80 LsoV2: NDIS_TCP_LARGE_SEND_OFFLOAD_V2,
        108 Flags: ULONG,
        112 IPsecV2: NDIS_IPSEC_OFFLOAD_V2,
        144 Rsc: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD,
        148 EncapsulatedPacketTaskOffloadGre: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD,
        156 EncapsulatedPacketTaskOffloadVxlan: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2,
        176 EncapsulationTypes: UCHAR,
        180 Rfc6877Xlat: NDIS_RFC6877_464XLAT_OFFLOAD,
        188 UdpSegmentation: NDIS_UDP_SEGMENTATION_OFFLOAD,
    }
    struct NDIS_OFFLOAD_ENCAPSULATION_IPv4 of NDIS_OFFLOAD_ENCAPSULATION.IPv4 [12, 4] {
        0 Enabled: ULONG,
        4 EncapsulationType: ULONG,
        8 HeaderSize: ULONG,
    }
    struct NDIS_OFFLOAD_ENCAPSULATION_IPv6 of NDIS_OFFLOAD_ENCAPSULATION.IPv6 [12, 4] {
        0 Enabled: ULONG,
        4 EncapsulationType: ULONG,
        8 HeaderSize: ULONG,
    }
    struct NDIS_OFFLOAD_ENCAPSULATION [28, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 IPv4: NDIS_OFFLOAD_ENCAPSULATION_IPv4,
        16 IPv6: NDIS_OFFLOAD_ENCAPSULATION_IPv6,
    }
    struct NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters_VxlanParameters of NDIS_OFFLOAD_PARAMETERS.EncapsulationProtocolParameters.VxlanParameters [2, 2] {
        0 VxlanUDPPortNumber: USHORT,
    }
    union NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters of NDIS_OFFLOAD_PARAMETERS.EncapsulationProtocolParameters [4, 4] {
        0 Value: ULONG,
        0 VxlanParameters: NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters_VxlanParameters,
    }
    struct NDIS_OFFLOAD_PARAMETERS_UdpSegmentation of NDIS_OFFLOAD_PARAMETERS.UdpSegmentation [2, 1] {
        0 IPv4: UCHAR,
        1 IPv6: UCHAR,
    }
    struct NDIS_OFFLOAD_PARAMETERS [36, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 IPv4Checksum: UCHAR,
        5 TCPIPv4Checksum: UCHAR,
        6 UDPIPv4Checksum: UCHAR,
        7 TCPIPv6Checksum: UCHAR,
        8 UDPIPv6Checksum: UCHAR,
        9 LsoV1: UCHAR,
        10 IPsecV1: UCHAR,
        11 LsoV2IPv4: UCHAR,
        12 LsoV2IPv6: UCHAR,
        13 TcpConnectionIPv4: UCHAR,
        14 TcpConnectionIPv6: UCHAR,
        16 Flags: ULONG,
        20 IPsecV2: UCHAR,
        21 IPsecV2IPv4: UCHAR,
        22 RscIPv4: UCHAR,
        23 RscIPv6: UCHAR,
        24 EncapsulatedPacketTaskOffload: UCHAR,
        25 EncapsulationTypes: UCHAR,
        28 EncapsulationProtocolParameters: NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters,
        32 UdpSegmentation: NDIS_OFFLOAD_PARAMETERS_UdpSegmentation,
    }
    struct NDIS_RFC6877_464XLAT_OFFLOAD [8, 4] {
        0 XlatOffload: NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS,
        4 Flags: ULONG,
    }
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Receive of NDIS_TCP_IP_CHECKSUM_OFFLOAD.IPv4Receive [8, 4] {
        0 Encapsulation: ULONG,
        4 Bits: ULONG,
        bits Bits {
            IpOptionsSupported: 0, 2;
            TcpOptionsSupported: 2, 2;
            TcpChecksum: 4, 2;
            UdpChecksum: 6, 2;
            IpChecksum: 8, 2;
        }
    }
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Transmit of NDIS_TCP_IP_CHECKSUM_OFFLOAD.IPv4Transmit [8, 4] {
        0 Encapsulation: ULONG,
        4 Bits: ULONG,
        bits Bits {
            IpOptionsSupported: 0, 2;
            TcpOptionsSupported: 2, 2;
            TcpChecksum: 4, 2;
            UdpChecksum: 6, 2;
            IpChecksum: 8, 2;
        }
    }
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Receive of NDIS_TCP_IP_CHECKSUM_OFFLOAD.IPv6Receive [8, 4] {
        0 Encapsulation: ULONG,
        4 Bits: ULONG,
        bits Bits {
            IpExtensionHeadersSupported: 0, 2;
            TcpOptionsSupported: 2, 2;
            TcpChecksum: 4, 2;
            UdpChecksum: 6, 2;
        }
    }
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Transmit of NDIS_TCP_IP_CHECKSUM_OFFLOAD.IPv6Transmit [8, 4] {
        0 Encapsulation: ULONG,
        4 Bits: ULONG,
        bits Bits {
            IpExtensionHeadersSupported: 0, 2;
            TcpOptionsSupported: 2, 2;
            TcpChecksum: 4, 2;
            UdpChecksum: 6, 2;
        }
    }
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD [32, 4] {
        0 IPv4Transmit: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Transmit,
        8 IPv4Receive: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Receive,
        16 IPv6Transmit: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Transmit,
        24 IPv6Receive: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Receive,
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_V1_IPv4 of NDIS_TCP_LARGE_SEND_OFFLOAD_V1.IPv4 [16, 4] {
        0 Encapsulation: ULONG,
        4 MaxOffLoadSize: ULONG,
        8 MinSegmentCount: ULONG,
        12 Bits: ULONG,
        bits Bits {
            TcpOptions: 0, 2;
            IpOptions: 2, 2;
        }
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_V1 [16, 4] {
        0 IPv4: NDIS_TCP_LARGE_SEND_OFFLOAD_V1_IPv4,
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv4 of NDIS_TCP_LARGE_SEND_OFFLOAD_V2.IPv4 [12, 4] {
        0 Encapsulation: ULONG,
        4 MaxOffLoadSize: ULONG,
        8 MinSegmentCount: ULONG,
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv6 of NDIS_TCP_LARGE_SEND_OFFLOAD_V2.IPv6 [16, 4] {
        0 Encapsulation: ULONG,
        4 MaxOffLoadSize: ULONG,
        8 MinSegmentCount: ULONG,
        12 Bits: ULONG,
        bits Bits {
            IpExtensionHeadersSupported: 0, 2;
            TcpOptionsSupported: 2, 2;
        }
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2 [28, 4] {
        0 IPv4: NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv4,
        12 IPv6: NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv6,
    }
    struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv4 of NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD.IPv4 [1, 1] {
        0 Enabled: BOOLEAN,
    }
    struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv6 of NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD.IPv6 [1, 1] {
        0 Enabled: BOOLEAN,
    }
    struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD [2, 1] {
        0 IPv4: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv4,
        1 IPv6: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv6,
    }
    struct NDIS_UDP_SEGMENTATION_OFFLOAD_IPv4 of NDIS_UDP_SEGMENTATION_OFFLOAD.IPv4 [12, 4] {
        0 Encapsulation: ULONG,
        4 MaxOffLoadSize: ULONG,
        8 Bits: ULONG,
        bits Bits {
            MinSegmentCount: 0, 6;
            SubMssFinalSegmentSupported: 6, 1;
            Reserved: 7, 25;
        }
    }
    struct NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6 of NDIS_UDP_SEGMENTATION_OFFLOAD.IPv6 [16, 4] {
        0 Encapsulation: ULONG,
        4 MaxOffLoadSize: ULONG,
        8 Bits2: ULONG,
        12 Bits1: ULONG,
        bits Bits2 {
            MinSegmentCount: 0, 6;
            SubMssFinalSegmentSupported: 6, 1;
            Reserved1: 7, 25;
        }
        bits Bits1 {
            IpExtensionHeadersSupported: 0, 2;
            Reserved2: 2, 30;
        }
    }
    struct NDIS_UDP_SEGMENTATION_OFFLOAD [28, 4] {
        0 IPv4: NDIS_UDP_SEGMENTATION_OFFLOAD_IPv4,
        12 IPv6: NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6,
    }
}

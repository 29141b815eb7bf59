//! Task offload: checksums, large sends, segmentation, coalescing, IPsec.
//!
//! Documentation:
//! * [Task offload](https://learn.microsoft.com/windows-hardware/drivers/network/task-offload)
//! * [NDIS_OFFLOAD](https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddndis/ns-ntddndis-_ndis_offload)
//! * [NDIS_OFFLOAD_PARAMETERS](https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddndis/ns-ntddndis-_ndis_offload_parameters)

use crate::{
    BOOLEAN, NDIS_IPSEC_OFFLOAD_V1, NDIS_IPSEC_OFFLOAD_V2, NDIS_OBJECT_HEADER, UCHAR, ULONG, USHORT,
};

constants! {
    /// Setting of one task, for `NDIS_OFFLOAD_PARAMETERS`.
    ULONG {
        NDIS_OFFLOAD_PARAMETERS_NO_CHANGE = 0,
        NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_LSOV1_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_LSOV2_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_SKIP_REGISTRY_UPDATE = 1,
        NDIS_OFFLOAD_PARAMETERS_TX_RX_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_USO_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_LSOV1_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_LSOV2_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_TX_ENABLED_RX_DISABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_USO_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED = 3,
        NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED = 4,
    }
    /// Flag of an encapsulation.
    ULONG {
        NDIS_ENCAPSULATION_NOT_SUPPORTED = 0,
        NDIS_ENCAPSULATION_NULL = 1,
        NDIS_ENCAPSULATION_TYPE_GRE_MAC = 1,
        NDIS_ENCAPSULATION_IEEE_802_3 = 2,
        NDIS_ENCAPSULATION_TYPE_VXLAN = 2,
        NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q = 4,
        NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB = 8,
        NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED = 0x10,
    }
    /// Flag of offload for encapsulated packets.
    ULONG {
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_NOT_SUPPORTED = 0,
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_INNER_IPV4 = 1,
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_OUTER_IPV4 = 2,
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_INNER_IPV6 = 4,
        NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_OUTER_IPV6 = 8,
    }
    /// Value for task offload capabilities.
    ULONG {
        NDIS_OFFLOAD_NOT_SUPPORTED = 0,
        NDIS_OFFLOAD_SET_NO_CHANGE = 0,
        NDIS_TCP_LARGE_SEND_OFFLOAD_IPv4 = 0,
        NDIS_TCP_LARGE_SEND_OFFLOAD_V1_TYPE = 0,
        NDIS_UDP_SEGMENTATION_OFFLOAD_IPV4 = 0,
        NDIS_OFFLOAD_FLAGS_GROUP_CHECKSUM_CAPABILITIES = 1,
        NDIS_OFFLOAD_SET_ON = 1,
        NDIS_OFFLOAD_SUPPORTED = 1,
        NDIS_TCP_LARGE_SEND_OFFLOAD_IPv6 = 1,
        NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE = 1,
        NDIS_UDP_SEGMENTATION_OFFLOAD_IPV6 = 1,
        NDIS_OFFLOAD_SET_OFF = 2,
        NDIS_LARGE_SEND_OFFLOAD_MAX_HEADER_LENGTH = 128,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_OFFLOAD_ENCAPSULATION_REVISION_1 = 1,
        NDIS_OFFLOAD_PARAMETERS_REVISION_1 = 1,
        NDIS_OFFLOAD_PARAMETERS_REVISION_2 = 2,
        NDIS_OFFLOAD_PARAMETERS_REVISION_3 = 3,
        NDIS_OFFLOAD_PARAMETERS_REVISION_4 = 4,
        NDIS_OFFLOAD_PARAMETERS_REVISION_5 = 5,
        NDIS_OFFLOAD_REVISION_1 = 1,
        NDIS_OFFLOAD_REVISION_2 = 2,
        NDIS_OFFLOAD_REVISION_3 = 3,
        NDIS_OFFLOAD_REVISION_4 = 4,
        NDIS_OFFLOAD_REVISION_5 = 5,
        NDIS_OFFLOAD_REVISION_6 = 6,
        NDIS_OFFLOAD_REVISION_7 = 7,
        NDIS_TCP_RECV_SEG_COALESC_OFFLOAD_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_ENCAPSULATED_PACKET_TASK_OFFLOAD_REVISION_1 = 8,
        NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_1 = 112,
        NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_2 = 144,
        NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_3 = 156,
        NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_4 = 177,
        NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_5 = 188,
        NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_6 = 216,
        NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_7 = 216,
        NDIS_SIZEOF_OFFLOAD_ENCAPSULATION_REVISION_1 = 28,
        NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1 = 20,
        NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_2 = 22,
        NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3 = 26,
        NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_4 = 32,
        NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_5 = 34,
        NDIS_SIZEOF_TCP_RECV_SEG_COALESC_OFFLOAD_REVISION_1 = 2,
    }
}

enums! {
    /// Whether translation of RFC 6877 is supported or on.
    NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS {
        NDIS_RFC6877_464XLAT_OFFLOAD_NOT_SUPPORTED = 0,
        NDIS_RFC6877_464XLAT_OFFLOAD_DISABLED = 1,
        NDIS_RFC6877_464XLAT_OFFLOAD_ENABLED = 2,
        NDIS_RFC6877_464XLAT_OFFLOAD_ON_DEMAND = 3,
    }
}

structs! {
    /// Offload capabilities for NVGRE packets.
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
    /// Member `EncapsulationProtocolInfo.VxlanInfo` of [`NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2`].
    struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo_VxlanInfo
        of NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2.EncapsulationProtocolInfo.VxlanInfo [4, 2]
    {
        0 VxlanUDPPortNumber: USHORT,
        2 Bits: USHORT,
        bits Bits {
            VxlanUDPPortNumberConfigurable: 0, 1;
        }
    }
    /// Member `EncapsulationProtocolInfo` of [`NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2`].
    union NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo
        of NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2.EncapsulationProtocolInfo [4, 4]
    {
        0 Value: ULONG,
        0 VxlanInfo: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo_VxlanInfo,
    }
    /// Offload capabilities for VXLAN packets.
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
    /// Task offload that an adapter can do, or does now.
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
    /// Member `IPv4` of [`NDIS_OFFLOAD_ENCAPSULATION`].
    struct NDIS_OFFLOAD_ENCAPSULATION_IPv4 of NDIS_OFFLOAD_ENCAPSULATION.IPv4 [12, 4] {
        0 Enabled: ULONG,
        4 EncapsulationType: ULONG,
        8 HeaderSize: ULONG,
    }
    /// Member `IPv6` of [`NDIS_OFFLOAD_ENCAPSULATION`].
    struct NDIS_OFFLOAD_ENCAPSULATION_IPv6 of NDIS_OFFLOAD_ENCAPSULATION.IPv6 [12, 4] {
        0 Enabled: ULONG,
        4 EncapsulationType: ULONG,
        8 HeaderSize: ULONG,
    }
    /// The encapsulation that a protocol uses.
    struct NDIS_OFFLOAD_ENCAPSULATION [28, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 IPv4: NDIS_OFFLOAD_ENCAPSULATION_IPv4,
        16 IPv6: NDIS_OFFLOAD_ENCAPSULATION_IPv6,
    }
    /// Member `EncapsulationProtocolParameters.VxlanParameters` of [`NDIS_OFFLOAD_PARAMETERS`].
    struct NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters_VxlanParameters
        of NDIS_OFFLOAD_PARAMETERS.EncapsulationProtocolParameters.VxlanParameters [2, 2]
    {
        0 VxlanUDPPortNumber: USHORT,
    }
    /// Member `EncapsulationProtocolParameters` of [`NDIS_OFFLOAD_PARAMETERS`].
    union NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters
        of NDIS_OFFLOAD_PARAMETERS.EncapsulationProtocolParameters [4, 4]
    {
        0 Value: ULONG,
        0 VxlanParameters: NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters_VxlanParameters,
    }
    /// Member `UdpSegmentation` of [`NDIS_OFFLOAD_PARAMETERS`].
    struct NDIS_OFFLOAD_PARAMETERS_UdpSegmentation
        of NDIS_OFFLOAD_PARAMETERS.UdpSegmentation [2, 1]
    {
        0 IPv4: UCHAR,
        1 IPv6: UCHAR,
    }
    /// Task offload to turn on or off.
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
    /// Translation of RFC 6877 that an adapter can do.
    struct NDIS_RFC6877_464XLAT_OFFLOAD [8, 4] {
        0 XlatOffload: NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS,
        4 Flags: ULONG,
    }
    /// Member `IPv4Receive` of [`NDIS_TCP_IP_CHECKSUM_OFFLOAD`].
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Receive
        of NDIS_TCP_IP_CHECKSUM_OFFLOAD.IPv4Receive [8, 4]
    {
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
    /// Member `IPv4Transmit` of [`NDIS_TCP_IP_CHECKSUM_OFFLOAD`].
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Transmit
        of NDIS_TCP_IP_CHECKSUM_OFFLOAD.IPv4Transmit [8, 4]
    {
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
    /// Member `IPv6Receive` of [`NDIS_TCP_IP_CHECKSUM_OFFLOAD`].
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Receive
        of NDIS_TCP_IP_CHECKSUM_OFFLOAD.IPv6Receive [8, 4]
    {
        0 Encapsulation: ULONG,
        4 Bits: ULONG,
        bits Bits {
            IpExtensionHeadersSupported: 0, 2;
            TcpOptionsSupported: 2, 2;
            TcpChecksum: 4, 2;
            UdpChecksum: 6, 2;
        }
    }
    /// Member `IPv6Transmit` of [`NDIS_TCP_IP_CHECKSUM_OFFLOAD`].
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Transmit
        of NDIS_TCP_IP_CHECKSUM_OFFLOAD.IPv6Transmit [8, 4]
    {
        0 Encapsulation: ULONG,
        4 Bits: ULONG,
        bits Bits {
            IpExtensionHeadersSupported: 0, 2;
            TcpOptionsSupported: 2, 2;
            TcpChecksum: 4, 2;
            UdpChecksum: 6, 2;
        }
    }
    /// Checksums that an adapter can compute and check.
    struct NDIS_TCP_IP_CHECKSUM_OFFLOAD [32, 4] {
        0 IPv4Transmit: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Transmit,
        8 IPv4Receive: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Receive,
        16 IPv6Transmit: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Transmit,
        24 IPv6Receive: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Receive,
    }
    /// Member `IPv4` of [`NDIS_TCP_LARGE_SEND_OFFLOAD_V1`].
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
    /// Large sends version 1 that an adapter can do.
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_V1 [16, 4] {
        0 IPv4: NDIS_TCP_LARGE_SEND_OFFLOAD_V1_IPv4,
    }
    /// Member `IPv4` of [`NDIS_TCP_LARGE_SEND_OFFLOAD_V2`].
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv4 of NDIS_TCP_LARGE_SEND_OFFLOAD_V2.IPv4 [12, 4] {
        0 Encapsulation: ULONG,
        4 MaxOffLoadSize: ULONG,
        8 MinSegmentCount: ULONG,
    }
    /// Member `IPv6` of [`NDIS_TCP_LARGE_SEND_OFFLOAD_V2`].
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
    /// Large sends version 2 that an adapter can do.
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2 [28, 4] {
        0 IPv4: NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv4,
        12 IPv6: NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv6,
    }
    /// Member `IPv4` of [`NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD`].
    struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv4
        of NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD.IPv4 [1, 1]
    {
        0 Enabled: BOOLEAN,
    }
    /// Member `IPv6` of [`NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD`].
    struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv6
        of NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD.IPv6 [1, 1]
    {
        0 Enabled: BOOLEAN,
    }
    /// Receive segment coalescing that an adapter can do.
    struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD [2, 1] {
        0 IPv4: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv4,
        1 IPv6: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv6,
    }
    /// Member `IPv4` of [`NDIS_UDP_SEGMENTATION_OFFLOAD`].
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
    /// Member `IPv6` of [`NDIS_UDP_SEGMENTATION_OFFLOAD`].
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
    /// UDP segmentation that an adapter can do.
    struct NDIS_UDP_SEGMENTATION_OFFLOAD [28, 4] {
        0 IPv4: NDIS_UDP_SEGMENTATION_OFFLOAD_IPv4,
        12 IPv6: NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6,
    }
}

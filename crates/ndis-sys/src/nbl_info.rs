//! nbl_info

use crate::*;

structs! {
    struct NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO_Receive of NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO.Receive [4, 2] {
        0 Bits: USHORT,
        2 CryptoStatus: USHORT,
        bits Bits {
            SaDeleteReq: 0, 1;
            CryptoDone: 1, 1;
            NextCryptoDone: 2, 1;
            Pad: 3, 13;
        }
    }
    struct NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO_Transmit of NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO.Transmit [8, 8] {
        0 OffloadHandle: NDIS_HANDLE,
    }
    union NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO [8, 8] {
        0 Receive: NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO_Receive,
        0 Transmit: NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO_Transmit,
    }
    struct NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO_Receive of NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO.Receive [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            NextHeader: 0, 8;
            PadLength: 8, 8;
            HeaderInfoSet: 16, 1;
        }
    }
    struct NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO_Transmit of NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO.Transmit [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            NextHeader: 0, 8;
            PadLength: 8, 8;
            AhHeaderOffset: 16, 8;
            EspHeaderOffset: 24, 8;
        }
    }
    union NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO [4, 4] {
        0 Receive: NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO_Receive,
        0 Transmit: NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO_Transmit,
    }
    struct NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO_Receive of NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO.Receive [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            SaDeleteReq: 0, 1;
            CryptoDone: 1, 1;
            NextCryptoDone: 2, 1;
            Reserved: 3, 13;
            CryptoStatus: 16, 16;
        }
    }
    struct NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO_Transmit of NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO.Transmit [8, 8] {
        0 OffloadHandle: PVOID,
    }
    union NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO [8, 8] {
        0 Receive: NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO_Receive,
        0 Transmit: NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO_Transmit,
    }
    struct NDIS_IPSEC_OFFLOAD_V2_TUNNEL_NET_BUFFER_LIST_INFO_Transmit of NDIS_IPSEC_OFFLOAD_V2_TUNNEL_NET_BUFFER_LIST_INFO.Transmit [8, 8] {
        0 TunnelHandle: NDIS_HANDLE,
    }
    struct NDIS_IPSEC_OFFLOAD_V2_TUNNEL_NET_BUFFER_LIST_INFO [8, 8] {
        0 Transmit: NDIS_IPSEC_OFFLOAD_V2_TUNNEL_NET_BUFFER_LIST_INFO_Transmit,
    }
    union NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo_QueueVPortInfo of NDIS_NET_BUFFER_LIST_FILTERING_INFO.FilteringInfo.QueueVPortInfo [2, 2] {
        0 QueueId: USHORT,
        0 VPortId: USHORT,
    }
    struct NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo of NDIS_NET_BUFFER_LIST_FILTERING_INFO.FilteringInfo [4, 2] {
        0 FilterId: USHORT,
        2 QueueVPortInfo: NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo_QueueVPortInfo,
    }
    union NDIS_NET_BUFFER_LIST_FILTERING_INFO [8, 8] {
        0 FilteringInfo: NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo,
        0 Value: PVOID,
    }
    struct NDIS_NET_BUFFER_LIST_GFT_OFFLOAD_INFO [8, 4] {
        0 Flags: ULONG,
        4 VPortId: USHORT,
        6 Reserved: USHORT,
    }
    union NDIS_NET_BUFFER_LIST_MEDIA_SPECIFIC_INFO [8, 8] {
        0 MediaSpecificInfo: PVOID,
        0 NativeWifiSpecificInfo: PVOID,
        0 Value: PVOID,
    }
    #[repr(align(8))]
    struct NDIS_NET_BUFFER_LIST_VIRTUAL_SUBNET_INFO [8, 8] {
        0 Bits: UINT32,
        4 Reserved: UINT32,
        also {
            0 Value: PVOID,
        }
        bits Bits {
            VirtualSubnetId: 0, 24;
            ReservedVsidBits: 24, 8;
        }
    }
    struct NDIS_RSC_NBL_INFO_Info of NDIS_RSC_NBL_INFO.Info [4, 2] {
        0 CoalescedSegCount: USHORT,
        2 DupAckCount: USHORT,
    }
    union NDIS_RSC_NBL_INFO [8, 8] {
        0 Info: NDIS_RSC_NBL_INFO_Info,
        0 Value: PVOID,
    }
    struct NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Receive of NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO.Receive [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            TcpChecksumFailed: 0, 1;
            UdpChecksumFailed: 1, 1;
            IpChecksumFailed: 2, 1;
            TcpChecksumSucceeded: 3, 1;
            UdpChecksumSucceeded: 4, 1;
            IpChecksumSucceeded: 5, 1;
            Loopback: 6, 1;
            TcpChecksumValueInvalid: 7, 1;
            IpChecksumValueInvalid: 8, 1;
        }
    }
    struct NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Transmit of NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO.Transmit [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            IsIPv4: 0, 1;
            IsIPv6: 1, 1;
            TcpChecksum: 2, 1;
            UdpChecksum: 3, 1;
            IpHeaderChecksum: 4, 1;
            Reserved: 5, 11;
            TcpHeaderOffset: 16, 10;
        }
    }
    union NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO [8, 8] {
        0 Receive: NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Receive,
        0 Transmit: NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Transmit,
        0 Value: PVOID,
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1Transmit of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.LsoV1Transmit [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            MSS: 0, 20;
            TcpHeaderOffset: 20, 10;
            Type: 30, 1;
            Reserved2: 31, 1;
        }
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1TransmitComplete of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.LsoV1TransmitComplete [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            TcpPayload: 0, 30;
            Type: 30, 1;
            Reserved2: 31, 1;
        }
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2Transmit of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.LsoV2Transmit [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            MSS: 0, 20;
            TcpHeaderOffset: 20, 10;
            Type: 30, 1;
            IPVersion: 31, 1;
        }
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2TransmitComplete of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.LsoV2TransmitComplete [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            Reserved: 0, 30;
            Type: 30, 1;
            Reserved2: 31, 1;
        }
    }
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.Transmit [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            Unused: 0, 30;
            Type: 30, 1;
            Reserved2: 31, 1;
        }
    }
    union NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO [8, 8] {
        0 LsoV1Transmit: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1Transmit,
        0 LsoV1TransmitComplete: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1TransmitComplete,
        0 LsoV2Transmit: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2Transmit,
        0 LsoV2TransmitComplete: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2TransmitComplete,
        0 Transmit: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit,
        0 Value: PVOID,
    }
    struct NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO_EncapsulatedPacketOffsets of NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO.EncapsulatedPacketOffsets [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            IsEncapsulatedPacket: 0, 1;
            EncapsulatedPacketOffsetsValid: 1, 1;
            InnerFrameOffset: 2, 8;
            TransportIpHeaderRelativeOffset: 10, 6;
            TcpHeaderRelativeOffset: 16, 10;
            IsInnerIPv6: 26, 1;
            TcpOptionsPresent: 27, 1;
            Reserved: 28, 4;
        }
    }
    union NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO [8, 8] {
        0 EncapsulatedPacketOffsets: NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO_EncapsulatedPacketOffsets,
        0 Value: PVOID,
    }
    struct NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO_Receive of NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO.Receive [4, 2] {
        0 SegCount: USHORT,
        2 SegSize: USHORT,
    }
    union NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO [8, 8] {
        0 Receive: NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO_Receive,
        0 Value: PVOID,
    }
    struct NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit of NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO.Transmit [4, 4] {
        0 Bits: ULONG,
        bits Bits {
            MSS: 0, 20;
            UdpHeaderOffset: 20, 10;
            Reserved: 30, 1;
            IPVersion: 31, 1;
        }
    }
    union NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO [8, 8] {
        0 Transmit: NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit,
        0 Value: PVOID,
    }
}

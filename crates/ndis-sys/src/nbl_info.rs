//! Out-of-band information of a NET_BUFFER_LIST.
//!
//! Each type is one entry of `NetBufferListInfo`, as wide as a pointer.
//!
//! Documentation:
//! * [Accessing TCP/IP offload NET_BUFFER_LIST information](https://learn.microsoft.com/windows-hardware/drivers/network/accessing-tcp-ip-offload-net-buffer-list-information)
//! * [NDIS_NET_BUFFER_LIST_INFO](https://learn.microsoft.com/windows-hardware/drivers/ddi/nblinfo/ne-nblinfo-ndis_net_buffer_list_info)

use crate::{NDIS_HANDLE, NDIS_OBJECT_HEADER, PVOID, UCHAR, UINT32, ULONG, USHORT};

scalars! {
    /// A port of an extensible switch.
    NDIS_SWITCH_PORT_ID = UINT32;
    /// The PCI Express requestor of a virtual function.
    NDIS_VF_RID = ULONG;
}

constants! {
    /// Tag of media specific information.
    ULONG {
        NDIS_MEDIA_SPECIFIC_INFO_TUNDL = 0x0001_0001,
        NDIS_MEDIA_SPECIFIC_INFO_FCOE = 0x8001_0000,
        NDIS_MEDIA_SPECIFIC_INFO_EAPOL = 0x8001_0001,
        NDIS_MEDIA_SPECIFIC_INFO_LLDP = 0x8001_0002,
        NDIS_MEDIA_SPECIFIC_INFO_TIMESYNC = 0x8001_0003,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_NBL_MEDIA_SPECIFIC_INFO_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_NBL_MEDIA_SPECIFIC_INFO_REVISION_1 = 32,
    }
}

enums! {
    /// Index of an entry in `NetBufferListInfo`.
    NDIS_NET_BUFFER_LIST_INFO {
        TcpIpChecksumNetBufferListInfo = 0,
        TcpOffloadBytesTransferred = 0,
        IPsecOffloadV1NetBufferListInfo = 1,
        IPsecOffloadV2NetBufferListInfo = 1,
        TcpLargeSendNetBufferListInfo = 2,
        TcpReceiveNoPush = 2,
        ClassificationHandleNetBufferListInfo = 3,
        Ieee8021QNetBufferListInfo = 4,
        NetBufferListCancelId = 5,
        MediaSpecificInformation = 6,
        NetBufferListFrameType = 7,
        NetBufferListProtocolId = 7,
        NetBufferListHashValue = 8,
        NetBufferListHashInfo = 9,
        WfpNetBufferListInfo = 10,
        IPsecOffloadV2TunnelNetBufferListInfo = 11,
        IPsecOffloadV2HeaderNetBufferListInfo = 12,
        NetBufferListCorrelationId = 13,
        NetBufferListFilteringInfo = 14,
        MediaSpecificInformationEx = 15,
        NblOriginalInterfaceIfIndex = 16,
        NblReAuthWfpFlowContext = 16,
        NrtNameResolutionId = 17,
        TcpReceiveBytesTransferred = 17,
        UdpRecvSegCoalesceOffloadInfo = 17,
        SwitchForwardingReserved = 18,
        SwitchForwardingDetail = 19,
        VirtualSubnetInfo = 20,
        IMReserved = 21,
        TcpRecvSegCoalesceInfo = 22,
        UdpSegmentationOffloadInfo = 22,
        RscTcpTimestampDelta = 23,
        TcpSendOffloadsSupplementalNetBufferListInfo = 23,
        GftOffloadInformation = 24,
        GftFlowEntryId = 25,
        NetBufferListInfoReserved3 = 26,
        MaxNetBufferListInfo = 27,
    }
}

structs! {
    /// Member `Receive` of [`NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO`].
    struct NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO_Receive
        of NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO.Receive [4, 2]
    {
        0 Bits: USHORT,
        2 CryptoStatus: USHORT,
        bits Bits {
            SaDeleteReq: 0, 1;
            CryptoDone: 1, 1;
            NextCryptoDone: 2, 1;
            Pad: 3, 13;
        }
    }
    /// Member `Transmit` of [`NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO`].
    struct NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO_Transmit
        of NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO.Transmit [8, 8]
    {
        0 OffloadHandle: NDIS_HANDLE,
    }
    /// Entry `IPsecOffloadV1NetBufferListInfo`.
    union NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO [8, 8] {
        0 Receive: NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO_Receive,
        0 Transmit: NDIS_IPSEC_OFFLOAD_V1_NET_BUFFER_LIST_INFO_Transmit,
    }
    /// Member `Receive` of [`NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO`].
    struct NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO_Receive
        of NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO.Receive [4, 4]
    {
        0 Bits: ULONG,
        bits Bits {
            NextHeader: 0, 8;
            PadLength: 8, 8;
            HeaderInfoSet: 16, 1;
        }
    }
    /// Member `Transmit` of [`NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO`].
    struct NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO_Transmit
        of NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO.Transmit [4, 4]
    {
        0 Bits: ULONG,
        bits Bits {
            NextHeader: 0, 8;
            PadLength: 8, 8;
            AhHeaderOffset: 16, 8;
            EspHeaderOffset: 24, 8;
        }
    }
    /// Entry `IPsecOffloadV2HeaderNetBufferListInfo`.
    union NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO [4, 4] {
        0 Receive: NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO_Receive,
        0 Transmit: NDIS_IPSEC_OFFLOAD_V2_HEADER_NET_BUFFER_LIST_INFO_Transmit,
    }
    /// Member `Receive` of [`NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO`].
    struct NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO_Receive
        of NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO.Receive [4, 4]
    {
        0 Bits: ULONG,
        bits Bits {
            SaDeleteReq: 0, 1;
            CryptoDone: 1, 1;
            NextCryptoDone: 2, 1;
            Reserved: 3, 13;
            CryptoStatus: 16, 16;
        }
    }
    /// Member `Transmit` of [`NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO`].
    struct NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO_Transmit
        of NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO.Transmit [8, 8]
    {
        0 OffloadHandle: PVOID,
    }
    /// Entry `IPsecOffloadV2NetBufferListInfo`.
    union NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO [8, 8] {
        0 Receive: NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO_Receive,
        0 Transmit: NDIS_IPSEC_OFFLOAD_V2_NET_BUFFER_LIST_INFO_Transmit,
    }
    /// Member `Transmit` of [`NDIS_IPSEC_OFFLOAD_V2_TUNNEL_NET_BUFFER_LIST_INFO`].
    struct NDIS_IPSEC_OFFLOAD_V2_TUNNEL_NET_BUFFER_LIST_INFO_Transmit
        of NDIS_IPSEC_OFFLOAD_V2_TUNNEL_NET_BUFFER_LIST_INFO.Transmit [8, 8]
    {
        0 TunnelHandle: NDIS_HANDLE,
    }
    /// Entry `IPsecOffloadV2TunnelNetBufferListInfo`.
    struct NDIS_IPSEC_OFFLOAD_V2_TUNNEL_NET_BUFFER_LIST_INFO [8, 8] {
        0 Transmit: NDIS_IPSEC_OFFLOAD_V2_TUNNEL_NET_BUFFER_LIST_INFO_Transmit,
    }
    /// Media specific information, chained.
    struct NDIS_NBL_MEDIA_SPECIFIC_INFORMATION_EX [32, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 NextEntry: *mut NDIS_NBL_MEDIA_SPECIFIC_INFORMATION_EX,
        16 Tag: ULONG,
        24 Data: PVOID,
    }
    /// Member `TagHeader` of [`NDIS_NET_BUFFER_LIST_8021Q_INFO`].
    struct NDIS_NET_BUFFER_LIST_8021Q_INFO_TagHeader
        of NDIS_NET_BUFFER_LIST_8021Q_INFO.TagHeader [4, 4]
    {
        0 Bits: UINT32,
        bits Bits {
            UserPriority: 0, 3;
            CanonicalFormatId: 3, 1;
            VlanId: 4, 12;
            Reserved: 16, 16;
        }
    }
    /// Member `WLanTagHeader` of [`NDIS_NET_BUFFER_LIST_8021Q_INFO`].
    struct NDIS_NET_BUFFER_LIST_8021Q_INFO_WLanTagHeader
        of NDIS_NET_BUFFER_LIST_8021Q_INFO.WLanTagHeader [4, 4]
    {
        0 Bits: UINT32,
        bits Bits {
            UserPriority: 0, 3;
            CanonicalFormatId: 3, 1;
            VlanId: 4, 12;
            WMMInfo: 16, 4;
            Reserved: 20, 12;
        }
    }
    /// Entry `Ieee8021QNetBufferListInfo`.
    union NDIS_NET_BUFFER_LIST_8021Q_INFO [8, 8] {
        0 TagHeader: NDIS_NET_BUFFER_LIST_8021Q_INFO_TagHeader,
        0 Value: PVOID,
        0 WLanTagHeader: NDIS_NET_BUFFER_LIST_8021Q_INFO_WLanTagHeader,
    }
    /// Member `FilteringInfo.QueueVPortInfo` of [`NDIS_NET_BUFFER_LIST_FILTERING_INFO`].
    union NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo_QueueVPortInfo
        of NDIS_NET_BUFFER_LIST_FILTERING_INFO.FilteringInfo.QueueVPortInfo [2, 2]
    {
        0 QueueId: USHORT,
        0 VPortId: USHORT,
    }
    /// Member `FilteringInfo` of [`NDIS_NET_BUFFER_LIST_FILTERING_INFO`].
    struct NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo
        of NDIS_NET_BUFFER_LIST_FILTERING_INFO.FilteringInfo [4, 2]
    {
        0 FilterId: USHORT,
        2 QueueVPortInfo: NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo_QueueVPortInfo,
    }
    /// Entry `NetBufferListFilteringInfo`.
    union NDIS_NET_BUFFER_LIST_FILTERING_INFO [8, 8] {
        0 FilteringInfo: NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo,
        0 Value: PVOID,
    }
    /// Entry `GftOffloadInformation`.
    struct NDIS_NET_BUFFER_LIST_GFT_OFFLOAD_INFO [8, 4] {
        0 Flags: ULONG,
        4 VPortId: USHORT,
        6 Reserved: USHORT,
    }
    /// Entry `MediaSpecificInformation`.
    union NDIS_NET_BUFFER_LIST_MEDIA_SPECIFIC_INFO [8, 8] {
        0 MediaSpecificInfo: PVOID,
        0 NativeWifiSpecificInfo: PVOID,
        0 Value: PVOID,
    }
    /// Entry `VirtualSubnetInfo`.
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
    /// Member `Info` of [`NDIS_RSC_NBL_INFO`].
    struct NDIS_RSC_NBL_INFO_Info of NDIS_RSC_NBL_INFO.Info [4, 2] {
        0 CoalescedSegCount: USHORT,
        2 DupAckCount: USHORT,
    }
    /// Entry `TcpRecvSegCoalesceInfo`.
    union NDIS_RSC_NBL_INFO [8, 8] {
        0 Info: NDIS_RSC_NBL_INFO_Info,
        0 Value: PVOID,
    }
    /// Member `Receive` of [`NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO`].
    struct NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Receive
        of NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO.Receive [4, 4]
    {
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
    /// Member `Transmit` of [`NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO`].
    struct NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Transmit
        of NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO.Transmit [4, 4]
    {
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
    /// Entry `TcpIpChecksumNetBufferListInfo`.
    union NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO [8, 8] {
        0 Receive: NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Receive,
        0 Transmit: NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Transmit,
        0 Value: PVOID,
    }
    /// Member `LsoV1Transmit` of [`NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO`].
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1Transmit
        of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.LsoV1Transmit [4, 4]
    {
        0 Bits: ULONG,
        bits Bits {
            MSS: 0, 20;
            TcpHeaderOffset: 20, 10;
            Type: 30, 1;
            Reserved2: 31, 1;
        }
    }
    /// Member `LsoV1TransmitComplete` of [`NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO`].
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1TransmitComplete
        of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.LsoV1TransmitComplete [4, 4]
    {
        0 Bits: ULONG,
        bits Bits {
            TcpPayload: 0, 30;
            Type: 30, 1;
            Reserved2: 31, 1;
        }
    }
    /// Member `LsoV2Transmit` of [`NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO`].
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2Transmit
        of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.LsoV2Transmit [4, 4]
    {
        0 Bits: ULONG,
        bits Bits {
            MSS: 0, 20;
            TcpHeaderOffset: 20, 10;
            Type: 30, 1;
            IPVersion: 31, 1;
        }
    }
    /// Member `LsoV2TransmitComplete` of [`NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO`].
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2TransmitComplete
        of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.LsoV2TransmitComplete [4, 4]
    {
        0 Bits: ULONG,
        bits Bits {
            Reserved: 0, 30;
            Type: 30, 1;
            Reserved2: 31, 1;
        }
    }
    /// Member `Transmit` of [`NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO`].
    struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit
        of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.Transmit [4, 4]
    {
        0 Bits: ULONG,
        bits Bits {
            Unused: 0, 30;
            Type: 30, 1;
            Reserved2: 31, 1;
        }
    }
    /// Entry `TcpLargeSendNetBufferListInfo`.
    union NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO [8, 8] {
        0 LsoV1Transmit: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1Transmit,
        0 LsoV1TransmitComplete: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1TransmitComplete,
        0 LsoV2Transmit: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2Transmit,
        0 LsoV2TransmitComplete: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2TransmitComplete,
        0 Transmit: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit,
        0 Value: PVOID,
    }
    /// Member `EncapsulatedPacketOffsets` of [`NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO`].
    struct NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO_EncapsulatedPacketOffsets
        of NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO.EncapsulatedPacketOffsets [4, 4]
    {
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
    /// Entry `TcpSendOffloadsSupplementalNetBufferListInfo`.
    union NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO [8, 8] {
        0 EncapsulatedPacketOffsets: NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO_EncapsulatedPacketOffsets,
        0 Value: PVOID,
    }
    /// Member `Receive` of [`NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO`].
    struct NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO_Receive
        of NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO.Receive [4, 2]
    {
        0 SegCount: USHORT,
        2 SegSize: USHORT,
    }
    /// Entry `UdpRecvSegCoalesceOffloadInfo`.
    union NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO [8, 8] {
        0 Receive: NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO_Receive,
        0 Value: PVOID,
    }
    /// Member `Transmit` of [`NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO`].
    struct NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit
        of NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO.Transmit [4, 4]
    {
        0 Bits: ULONG,
        bits Bits {
            MSS: 0, 20;
            UdpHeaderOffset: 20, 10;
            Reserved: 30, 1;
            IPVersion: 31, 1;
        }
    }
    /// Entry `UdpSegmentationOffloadInfo`.
    union NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO [8, 8] {
        0 Transmit: NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit,
        0 Value: PVOID,
    }
}

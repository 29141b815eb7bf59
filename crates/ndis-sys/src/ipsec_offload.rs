//! IPsec task offload.
//!
//! Documentation:
//! * [IPsec task offload version 2](https://learn.microsoft.com/windows-hardware/drivers/network/ipsec-task-offload-version-2-in-ndis-6-1)

use crate::{BOOLEAN, ULONG};

constants! {
    /// Flag of IPsec task offload.
    ULONG {
        IPSEC_OFFLOAD_V2_UDP_ESP_ENCAPSULATION_NONE = 0,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_MD5 = 1,
        IPSEC_OFFLOAD_V2_ENCRYPTION_NONE = 1,
        IPSEC_OFFLOAD_V2_ESN_SA = 1,
        IPSEC_OFFLOAD_V2_INBOUND = 1,
        IPSEC_OFFLOAD_V2_UDP_ESP_ENCAPSULATION_TRANSPORT = 1,
        NDIS_OFFLOAD_PARAMETERS_IPSECV1_DISABLED = 1,
        NDIS_OFFLOAD_PARAMETERS_IPSECV2_DISABLED = 1,
        IPSEC_OFFLOAD_V2_AND_TCP_CHECKSUM_COEXISTENCE = 2,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_SHA_1 = 2,
        IPSEC_OFFLOAD_V2_ENCRYPTION_DES_CBC = 2,
        IPSEC_OFFLOAD_V2_MAX_EXTENSION_HEADERS = 2,
        IPSEC_OFFLOAD_V2_UDP_ESP_ENCAPSULATION_TUNNEL = 2,
        NDIS_OFFLOAD_PARAMETERS_IPSECV1_AH_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_IPSECV2_AH_ENABLED = 2,
        NDIS_OFFLOAD_PARAMETERS_IPSECV1_ESP_ENABLED = 3,
        NDIS_OFFLOAD_PARAMETERS_IPSECV2_ESP_ENABLED = 3,
        IPSEC_OFFLOAD_V2_AND_UDP_CHECKSUM_COEXISTENCE = 4,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_SHA_256 = 4,
        IPSEC_OFFLOAD_V2_ENCRYPTION_3_DES_CBC = 4,
        IPSEC_OFFLOAD_V2_TRANSPORT_OVER_UDP_ESP_ENCAPSULATION_TUNNEL = 4,
        NDIS_OFFLOAD_PARAMETERS_IPSECV1_AH_AND_ESP_ENABLED = 4,
        NDIS_OFFLOAD_PARAMETERS_IPSECV2_AH_AND_ESP_ENABLED = 4,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_AES_GCM_128 = 8,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_GCM_128 = 8,
        IPSEC_OFFLOAD_V2_UDP_ESP_ENCAPSULATION_TRANSPORT_OVER_TUNNEL = 8,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_AES_GCM_192 = 0x10,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_GCM_192 = 0x10,
        IPSEC_OFFLOAD_V2_IPv6 = 0x10,
        IPSEC_OFFLOAD_V2_AUTHENTICATION_AES_GCM_256 = 0x20,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_GCM_256 = 0x20,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_CBC_128 = 0x40,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_CBC_192 = 0x80,
        IPSEC_OFFLOAD_V2_ENCRYPTION_AES_CBC_256 = 0x100,
    }
}

structs! {
    /// Member `IPv4AH` of [`NDIS_IPSEC_OFFLOAD_V1`].
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
    /// Member `IPv4ESP` of [`NDIS_IPSEC_OFFLOAD_V1`].
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
    /// Member `Supported` of [`NDIS_IPSEC_OFFLOAD_V1`].
    struct NDIS_IPSEC_OFFLOAD_V1_Supported of NDIS_IPSEC_OFFLOAD_V1.Supported [20, 4] {
        0 Encapsulation: ULONG,
        4 AhEspCombined: ULONG,
        8 TransportTunnelCombined: ULONG,
        12 IPv4Options: ULONG,
        16 Flags: ULONG,
    }
    /// IPsec offload version 1 that an adapter can do.
    struct NDIS_IPSEC_OFFLOAD_V1 [28, 4] {
        0 Supported: NDIS_IPSEC_OFFLOAD_V1_Supported,
        20 IPv4AH: NDIS_IPSEC_OFFLOAD_V1_IPv4AH,
        24 IPv4ESP: NDIS_IPSEC_OFFLOAD_V1_IPv4ESP,
    }
    /// IPsec offload version 2 that an adapter can do.
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
}

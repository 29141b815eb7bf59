//! Packet filters and MAC and protocol options.
//!
//! Documentation:
//! * [OID_GEN_CURRENT_PACKET_FILTER](https://learn.microsoft.com/windows-hardware/drivers/network/oid-gen-current-packet-filter)
//! * [OID_GEN_MAC_OPTIONS](https://learn.microsoft.com/windows-hardware/drivers/network/oid-gen-mac-options)

use crate::ULONG;

constants! {
    /// Bit of the packet filter.
    ULONG {
        NDIS_PACKET_TYPE_DIRECTED = 1,
        NDIS_PACKET_TYPE_MULTICAST = 2,
        NDIS_PACKET_TYPE_ALL_MULTICAST = 4,
        NDIS_PACKET_TYPE_BROADCAST = 8,
        NDIS_PACKET_TYPE_SOURCE_ROUTING = 0x10,
        NDIS_PACKET_TYPE_PROMISCUOUS = 0x20,
        NDIS_PACKET_TYPE_SMT = 0x40,
        NDIS_PACKET_TYPE_ALL_LOCAL = 0x80,
        NDIS_PACKET_TYPE_GROUP = 0x1000,
        NDIS_PACKET_TYPE_ALL_FUNCTIONAL = 0x2000,
        NDIS_PACKET_TYPE_FUNCTIONAL = 0x4000,
        NDIS_PACKET_TYPE_MAC_FRAME = 0x8000,
        NDIS_PACKET_TYPE_NO_LOCAL = 0x0001_0000,
    }
    /// Bit of `OID_GEN_MAC_OPTIONS`.
    ULONG {
        NDIS_802_3_MAC_OPTION_PRIORITY = 1,
        NDIS_MAC_OPTION_COPY_LOOKAHEAD_DATA = 1,
        NDIS_MAC_OPTION_RECEIVE_SERIALIZED = 2,
        NDIS_MAC_OPTION_TRANSFERS_NOT_PEND = 4,
        NDIS_MAC_OPTION_NO_LOOPBACK = 8,
        NDIS_MAC_OPTION_FULL_DUPLEX = 0x10,
        NDIS_MAC_OPTION_EOTX_INDICATION = 0x20,
        NDIS_MAC_OPTION_8021P_PRIORITY = 0x40,
        NDIS_MAC_OPTION_SUPPORTS_MAC_ADDRESS_OVERWRITE = 0x80,
        NDIS_MAC_OPTION_RECEIVE_AT_DPC = 0x100,
        NDIS_MAC_OPTION_8021Q_VLAN = 0x200,
        NDIS_MAC_OPTION_RESERVED = 0x8000_0000,
    }
    /// Bit of `OID_GEN_PROTOCOL_OPTIONS`.
    ULONG {
        NDIS_PROT_OPTION_ESTIMATED_LENGTH = 1,
        NDIS_PROT_OPTION_NO_LOOPBACK = 2,
        NDIS_PROT_OPTION_NO_RSVD_ON_RCVPKT = 4,
        NDIS_PROT_OPTION_SEND_RESTRICTED = 8,
    }
    /// Bit of `OID_GEN_MEDIA_CAPABILITIES`.
    ULONG {
        NDIS_MEDIA_CAP_TRANSMIT = 1,
        NDIS_MEDIA_CAP_RECEIVE = 2,
    }
}

//! Network addresses that protocols report, and Ethernet lengths and types.
//!
//! Documentation:
//! * [OID_GEN_NETWORK_LAYER_ADDRESSES](https://learn.microsoft.com/windows-hardware/drivers/network/oid-gen-network-layer-addresses)

use crate::{LONG, UCHAR, ULONG, USHORT};

constants! {
    /// Ethernet type.
    ULONG {
        NDIS_ETH_TYPE_IPV4 = 0x800,
        NDIS_ETH_TYPE_ARP = 0x806,
        NDIS_ETH_TYPE_802_1Q = 0x8100,
        NDIS_ETH_TYPE_IPV6 = 0x86DD,
        NDIS_ETH_TYPE_SLOW_PROTOCOL = 0x8809,
        NDIS_ETH_TYPE_802_1X = 0x888E,
    }
    /// Length of an address.
    ULONG {
        ETHERNET_LENGTH_OF_ADDRESS = 6,
        ETH_LENGTH_OF_ADDRESS = 6,
        NDIS_MAX_PHYS_ADDRESS_LENGTH = 32,
    }
}

structs! {
    /// One network layer address.
    struct NETWORK_ADDRESS [6, 2] {
        0 AddressLength: USHORT,
        2 AddressType: USHORT,
        4 Address: [UCHAR; 1],
    }
    /// An IPv4 address and port.
    struct NETWORK_ADDRESS_IP [16, 4] {
        0 sin_port: USHORT,
        4 in_addr: ULONG,
        8 sin_zero: [UCHAR; 8],
    }
    /// An IPv6 address and port.
    struct NETWORK_ADDRESS_IP6 [28, 4] {
        0 sin6_port: USHORT,
        4 sin6_flowinfo: ULONG,
        8 sin6_addr: [USHORT; 8],
        24 sin6_scope_id: ULONG,
    }
    /// The network layer addresses of a binding.
    struct NETWORK_ADDRESS_LIST [12, 4] {
        0 AddressCount: LONG,
        4 AddressType: USHORT,
        6 Address: [NETWORK_ADDRESS; 1],
    }
    /// Where a protocol's header starts.
    struct TRANSPORT_HEADER_OFFSET [4, 2] {
        0 ProtocolType: USHORT,
        2 HeaderOffset: USHORT,
    }
}

//! Network interfaces: identities, types, stack entries, providers.
//!
//! Documentation:
//! * [NDIS network interfaces](https://learn.microsoft.com/windows-hardware/drivers/network/ndis-network-interfaces2)

use crate::{
    BOOLEAN, GUID, NDIS_HANDLE, NDIS_MEDIUM, NDIS_OBJECT_HEADER, NDIS_OID, NDIS_PHYSICAL_MEDIUM,
    NDIS_STATUS, NDIS_STRING, PVOID, UCHAR, UINT, UINT16, UINT32, ULONG, ULONG32, ULONG64, USHORT,
    WCHAR,
};

scalars! {
    /// An index of an interface.
    NET_IFINDEX = ULONG;
    /// A type of an interface.
    NET_IFTYPE = UINT16;
    /// A routing compartment.
    NET_IF_COMPARTMENT_ID = UINT32;
    /// An object of an interface provider.
    NET_IF_OBJECT_ID = ULONG32;
}

aliases! {
    /// A counted string, as NDIS names it.
    NDIS_IF_COUNTED_STRING = IF_COUNTED_STRING_LH;
    /// A physical address, as NDIS names it.
    NDIS_IF_PHYSICAL_ADDRESS = IF_PHYSICAL_ADDRESS_LH;
    /// The network that an interface is connected to.
    NET_IF_NETWORK_GUID = GUID;
    /// The locally unique identifier of an interface.
    NET_LUID = NET_LUID_LH;
    /// Where on its bus an interface's hardware is.
    NET_PHYSICAL_LOCATION = NET_PHYSICAL_LOCATION_LH;
}

constants! {
    /// Flag of `NDIS_FILTER_INTERFACE::FilterType`.
    ULONG {
        NDIS_FILTER_INTERFACE_IM_FILTER = 1,
        NDIS_FILTER_INTERFACE_LW_FILTER = 2,
        NDIS_FILTER_INTERFACE_SEND_BYPASS = 4,
        NDIS_FILTER_INTERFACE_RECEIVE_BYPASS = 8,
    }
    /// Flag of `NDIS_GUID::Flags`.
    ULONG {
        fNDIS_GUID_TO_OID = 1,
        fNDIS_GUID_TO_STATUS = 2,
        fNDIS_GUID_ANSI_STRING = 4,
        fNDIS_GUID_UNICODE_STRING = 8,
        fNDIS_GUID_ARRAY = 0x10,
        fNDIS_GUID_ALLOW_READ = 0x20,
        fNDIS_GUID_ALLOW_WRITE = 0x40,
        fNDIS_GUID_METHOD = 0x80,
        fNDIS_GUID_NDIS_RESERVED = 0x100,
        fNDIS_GUID_SUPPORT_COMMON_HEADER = 0x200,
    }
    /// Type of an interface.
    ULONG {
        IF_TYPE_OTHER = 1,
        IF_TYPE_ETHERNET_CSMACD = 6,
        IF_TYPE_PPP = 23,
        IF_TYPE_SOFTWARE_LOOPBACK = 24,
        IF_TYPE_IEEE80211 = 71,
        IF_TYPE_TUNNEL = 131,
    }
    /// Value for an interface.
    ULONG {
        NET_IFINDEX_UNSPECIFIED = 0,
        NET_IFLUID_UNSPECIFIED = 0,
        NET_IF_COMPARTMENT_ID_UNSPECIFIED = 0,
        NET_IF_COMPARTMENT_SCOPE_UNSPECIFIED = 0,
        NET_IF_COMPARTMENT_ID_PRIMARY = 1,
        NET_IF_OID_IF_ALIAS = 1,
        NET_IF_OPER_STATUS_DOWN_NOT_AUTHENTICATED = 1,
        NET_IF_OID_COMPARTMENT_ID = 2,
        NET_IF_OPER_STATUS_DOWN_NOT_MEDIA_CONNECTED = 2,
        NET_IF_OID_NETWORK_GUID = 3,
        NET_IF_OID_IF_ENTRY = 4,
        NET_IF_OPER_STATUS_DORMANT_PAUSED = 4,
        NET_IF_OPER_STATUS_DORMANT_LOW_POWER = 8,
        NET_IF_COMPARTMENT_SCOPE_ALL = 0xFFFF_FFFF,
    }
    /// Value for an interface.
    ULONG64 {
        NET_IF_LINK_SPEED_UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF,
    }
    /// Flag of an interface in an INF or at a provider.
    ULONG {
        NIIF_HARDWARE_INTERFACE = 1,
        NIIF_FILTER_INTERFACE = 2,
        NIIF_NDIS_RESERVED1 = 4,
        NIIF_NDIS_RESERVED2 = 8,
        NIIF_NDIS_RESERVED3 = 0x10,
        NIIF_NDIS_WDM_INTERFACE = 0x20,
        NIIF_NDIS_ENDPOINT_INTERFACE = 0x40,
        NIIF_NDIS_ISCSI_INTERFACE = 0x80,
        NIIF_NDIS_RESERVED4 = 0x100,
        NIIF_BUS_NUMBER_UNKNOWN = 0xFFFF_FFFF,
        NIIF_FUNCTION_NUMBER_UNKNOWN = 0xFFFF_FFFF,
        NIIF_SLOT_NUMBER_UNKNOWN = 0xFFFF_FFFF,
        NIIF_WAN_TUNNEL_TYPE_UNKNOWN = 0xFFFF_FFFF,
    }
    /// Limit or default of an interface.
    ULONG {
        UNSPECIFIED_COMPARTMENT_ID = 0,
        IF_MAX_PHYS_ADDRESS_LENGTH = 32,
        IF_MAX_STRING_SIZE = 256,
        NDIS_IF_MAX_STRING_SIZE = 256,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_FILTER_INTERFACE_REVISION_1 = 1,
        NDIS_FILTER_INTERFACE_REVISION_2 = 2,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_FILTER_INTERFACE_REVISION_1 = 64,
        NDIS_SIZEOF_FILTER_INTERFACE_REVISION_2 = 64,
        NDIS_SIZEOF_IF_PROVIDER_CHARACTERISTICS_REVISION_1 = 40,
        NDIS_SIZEOF_NET_IF_INFORMATION_REVISION_1 = 96,
    }
}

enums! {
    /// How an interface reaches its peers.
    NET_IF_ACCESS_TYPE {
        NET_IF_ACCESS_LOOPBACK = 1,
        NET_IF_ACCESS_BROADCAST = 2,
        NET_IF_ACCESS_POINT_TO_POINT = 3,
        NET_IF_ACCESS_POINT_TO_MULTI_POINT = 4,
        NET_IF_ACCESS_MAXIMUM = 5,
    }
    /// State that the administrator wants.
    NET_IF_ADMIN_STATUS {
        NET_IF_ADMIN_STATUS_UP = 1,
        NET_IF_ADMIN_STATUS_DOWN = 2,
        NET_IF_ADMIN_STATUS_TESTING = 3,
    }
    /// How an interface is connected.
    NET_IF_CONNECTION_TYPE {
        NET_IF_CONNECTION_DEDICATED = 1,
        NET_IF_CONNECTION_PASSIVE = 2,
        NET_IF_CONNECTION_DEMAND = 3,
        NET_IF_CONNECTION_MAXIMUM = 4,
    }
    /// Whether an interface sends, receives or both.
    NET_IF_DIRECTION_TYPE {
        NET_IF_DIRECTION_SENDRECEIVE = 0,
        NET_IF_DIRECTION_SENDONLY = 1,
        NET_IF_DIRECTION_RECEIVEONLY = 2,
        NET_IF_DIRECTION_MAXIMUM = 3,
    }
    /// Whether the medium is connected.
    NET_IF_MEDIA_CONNECT_STATE {
        MediaConnectStateUnknown = 0,
        MediaConnectStateConnected = 1,
        MediaConnectStateDisconnected = 2,
    }
    /// Whether the link is duplex.
    NET_IF_MEDIA_DUPLEX_STATE {
        MediaDuplexStateUnknown = 0,
        MediaDuplexStateHalf = 1,
        MediaDuplexStateFull = 2,
    }
    /// State that an interface is in.
    NET_IF_OPER_STATUS {
        NET_IF_OPER_STATUS_UP = 1,
        NET_IF_OPER_STATUS_DOWN = 2,
        NET_IF_OPER_STATUS_TESTING = 3,
        NET_IF_OPER_STATUS_UNKNOWN = 4,
        NET_IF_OPER_STATUS_DORMANT = 5,
        NET_IF_OPER_STATUS_NOT_PRESENT = 6,
        NET_IF_OPER_STATUS_LOWER_LAYER_DOWN = 7,
    }
    /// Kind of an address that an interface receives.
    NET_IF_RCV_ADDRESS_TYPE {
        NET_IF_RCV_ADDRESS_TYPE_OTHER = 1,
        NET_IF_RCV_ADDRESS_TYPE_VOLATILE = 2,
        NET_IF_RCV_ADDRESS_TYPE_NON_VOLATILE = 3,
    }
}

structs! {
    /// A counted string of at most `IF_MAX_STRING_SIZE` characters.
    struct IF_COUNTED_STRING_LH [516, 2] {
        0 Length: USHORT,
        2 String: [WCHAR; 257],
    }
    /// A counted physical address of an interface.
    struct IF_PHYSICAL_ADDRESS_LH [34, 2] {
        0 Length: USHORT,
        2 Address: [UCHAR; 32],
    }
    /// One filter module in [`NDIS_ENUM_FILTERS`](crate::NDIS_ENUM_FILTERS).
    struct NDIS_FILTER_INTERFACE [64, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 FilterType: ULONG,
        12 FilterRunType: ULONG,
        16 IfIndex: NET_IFINDEX,
        24 NetLuid: NET_LUID,
        32 FilterClass: NDIS_STRING,
        48 FilterInstanceName: NDIS_STRING,
    }
    /// The GUID of an OID or of a status, for WMI.
    struct NDIS_GUID [28, 4] {
        0 Guid: GUID,
        16 Oid: NDIS_OID,
        20 Size: ULONG,
        24 Flags: ULONG,
        also {
            16 Status: NDIS_STATUS,
        }
    }
    /// The handlers of an interface provider.
    struct NDIS_IF_PROVIDER_CHARACTERISTICS [40, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 QueryObjectHandler: Option<IF_QUERY_OBJECT>,
        16 SetObjectHandler: Option<IF_SET_OBJECT>,
        24 Reserved1: PVOID,
        32 Reserved2: PVOID,
    }
    /// An interface to register.
    struct NET_IF_INFORMATION [96, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 PhysicalLocation: NET_PHYSICAL_LOCATION,
        20 WanTunnelType: ULONG,
        24 PortNumber: ULONG,
        28 AccessType: NET_IF_ACCESS_TYPE,
        32 DirectionType: NET_IF_DIRECTION_TYPE,
        36 ConnectionType: NET_IF_CONNECTION_TYPE,
        40 ifConnectorPresent: BOOLEAN,
        42 PhysAddressLength: USHORT,
        44 PhysAddressOffset: USHORT,
        46 PermanentPhysAddressOffset: USHORT,
        48 FriendlyNameLength: USHORT,
        50 FriendlyNameOffset: USHORT,
        52 InterfaceGuid: GUID,
        68 NetworkGuid: NET_IF_NETWORK_GUID,
        84 SupportedStatistics: ULONG,
        88 MediaType: NDIS_MEDIUM,
        92 PhysicalMediumType: NDIS_PHYSICAL_MEDIUM,
    }
    /// Member `Info` of [`NET_LUID_LH`].
    struct NET_LUID_LH_Info of NET_LUID_LH.Info [8, 8] {
        0 Bits: ULONG64,
        bits Bits {
            Reserved: 0, 24;
            NetLuidIndex: 24, 24;
            IfType: 48, 16;
        }
    }
    /// The locally unique identifier of an interface.
    union NET_LUID_LH [8, 8] {
        0 Info: NET_LUID_LH_Info,
        0 Value: ULONG64,
    }
    /// Where on its bus an interface's hardware is.
    struct NET_PHYSICAL_LOCATION_LH [12, 4] {
        0 BusNumber: ULONG,
        4 SlotNumber: ULONG,
        8 FunctionNumber: ULONG,
    }
}

callbacks! {
    /// Asks an interface provider for an object. IRQL: `PASSIVE_LEVEL`.
    fn IF_QUERY_OBJECT(
        ProviderIfContext: NDIS_HANDLE,
        ObjectId: NET_IF_OBJECT_ID,
        pOutputBufferLength: *mut ULONG,
        pOutputBuffer: PVOID,
    ) -> NDIS_STATUS;
    /// Sets an object of an interface provider. IRQL: `PASSIVE_LEVEL`.
    fn IF_SET_OBJECT(
        ProviderIfContext: NDIS_HANDLE,
        ObjectId: NET_IF_OBJECT_ID,
        InputBufferLength: ULONG,
        pInputBuffer: PVOID,
    ) -> NDIS_STATUS;
}

imports! {
    "ndis.sys";
    /// Says which interface runs over which. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfAddIfStackEntry(
        HigherLayerIfIndex: NET_IFINDEX,
        LowerLayerIfIndex: NET_IFINDEX,
    ) -> NDIS_STATUS;
    /// Allocates an index for identifiers of interfaces. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfAllocateNetLuidIndex(ifType: NET_IFTYPE, pNetLuidIndex: *mut UINT) -> NDIS_STATUS;
    /// Takes that back. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfDeleteIfStackEntry(HigherLayerIfIndex: NET_IFINDEX, LowerLayerIfIndex: NET_IFINDEX);
    /// Deregisters an interface. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfDeregisterInterface(ifIndex: NET_IFINDEX);
    /// Deregisters an interface provider. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfDeregisterProvider(NdisProviderHandle: NDIS_HANDLE);
    /// Frees an index for identifiers of interfaces. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfFreeNetLuidIndex(ifType: NET_IFTYPE, NetLuidIndex: UINT32) -> NDIS_STATUS;
    /// Returns the index of an interface. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfGetInterfaceIndexFromNetLuid(NetLuid: NET_LUID, pIfIndex: *mut ULONG) -> NDIS_STATUS;
    /// Returns the identifier of an interface. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfGetNetLuidFromInterfaceIndex(
        ifIndex: NET_IFINDEX,
        pNetLuid: *mut NET_LUID,
    ) -> NDIS_STATUS;
    /// Returns the interfaces of a binding. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfQueryBindingIfIndex(
        NdisBindingHandle: NDIS_HANDLE,
        pBoundIfIndex: *mut ULONG,
        pBoundIfNetLuid: *mut NET_LUID,
        pLowestIfIndex: *mut ULONG,
        pLowestIfNetLuid: *mut NET_LUID,
    ) -> NDIS_STATUS;
    /// Registers an interface. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfRegisterInterface(
        NdisProviderHandle: NDIS_HANDLE,
        NetLuid: NET_LUID,
        ProviderIfContext: NDIS_HANDLE,
        pIfInfo: *mut NET_IF_INFORMATION,
        pfIndex: *mut ULONG,
    ) -> NDIS_STATUS;
    /// Registers an interface provider. IRQL: `PASSIVE_LEVEL`.
    fn NdisIfRegisterProvider(
        ProviderCharacteristics: *mut NDIS_IF_PROVIDER_CHARACTERISTICS,
        IfProviderContext: NDIS_HANDLE,
        pNdisIfProviderHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
}

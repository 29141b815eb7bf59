//! NDIS ports.
//!
//! Documentation:
//! * [Overview of NDIS ports](https://learn.microsoft.com/windows-hardware/drivers/network/overview-of-ndis-ports)

use crate::{
    NDIS_HANDLE, NDIS_MEDIA_CONNECT_STATE, NDIS_OBJECT_HEADER, NDIS_STATUS, NET_IF_DIRECTION_TYPE,
    PVOID, UCHAR, ULONG, ULONG64, USHORT,
};

scalars! {
    /// A number of a port; zero is the default port.
    NDIS_PORT_NUMBER = ULONG;
}

constants! {
    /// Value for ports.
    ULONG {
        NDIS_DEFAULT_PORT_NUMBER = 0,
        NDIS_PORT_CHAR_USE_DEFAULT_AUTH_SETTINGS = 1,
        NDIS_MAXIMUM_PORTS = 0x0100_0000,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_PORT_ARRAY_REVISION_1 = 1,
        NDIS_PORT_AUTHENTICATION_PARAMETERS_REVISION_1 = 1,
        NDIS_PORT_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_PORT_STATE_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_PORT_ARRAY_REVISION_1 = 80,
        NDIS_SIZEOF_PORT_AUTHENTICATION_PARAMETERS_REVISION_1 = 20,
        NDIS_SIZEOF_PORT_CHARACTERISTICS_REVISION_1 = 60,
        NDIS_SIZEOF_PORT_STATE_REVISION_1 = 48,
    }
}

enums! {
    /// Authorization state of a port.
    NDIS_PORT_AUTHORIZATION_STATE {
        NdisPortAuthorizationUnknown = 0,
        NdisPortAuthorized = 1,
        NdisPortUnauthorized = 2,
        NdisPortReauthorizing = 3,
    }
    /// Control state of a port.
    NDIS_PORT_CONTROL_STATE {
        NdisPortControlStateUnknown = 0,
        NdisPortControlStateControlled = 1,
        NdisPortControlStateUncontrolled = 2,
    }
    /// Kind of port.
    NDIS_PORT_TYPE {
        NdisPortTypeUndefined = 0,
        NdisPortTypeBridge = 1,
        NdisPortTypeRasConnection = 2,
        NdisPortType8021xSupplicant = 3,
        NdisPortTypeNdisImPlatform = 4,
        NdisPortTypeMax = 5,
    }
}

structs! {
    /// One port in a list of ports.
    struct NDIS_PORT [96, 8] {
        0 Next: *mut NDIS_PORT,
        8 NdisReserved: PVOID,
        16 MiniportReserved: PVOID,
        24 ProtocolReserved: PVOID,
        32 PortCharacteristics: NDIS_PORT_CHARACTERISTICS,
    }
    /// The ports of an adapter.
    struct NDIS_PORT_ARRAY [80, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 NumberOfPorts: ULONG,
        8 OffsetFirstPort: ULONG,
        12 ElementSize: ULONG,
        16 Ports: [NDIS_PORT_CHARACTERISTICS; 1],
    }
    /// Control and authorization states of a port.
    struct NDIS_PORT_AUTHENTICATION_PARAMETERS [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 SendControlState: NDIS_PORT_CONTROL_STATE,
        8 RcvControlState: NDIS_PORT_CONTROL_STATE,
        12 SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
        16 RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
    }
    /// A port of an adapter.
    struct NDIS_PORT_CHARACTERISTICS [64, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 PortNumber: NDIS_PORT_NUMBER,
        8 Flags: ULONG,
        12 Type: NDIS_PORT_TYPE,
        16 MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
        24 XmitLinkSpeed: ULONG64,
        32 RcvLinkSpeed: ULONG64,
        40 Direction: NET_IF_DIRECTION_TYPE,
        44 SendControlState: NDIS_PORT_CONTROL_STATE,
        48 RcvControlState: NDIS_PORT_CONTROL_STATE,
        52 SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
        56 RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
    }
    /// The state of a port, for `NDIS_STATUS_PORT_STATE`.
    struct NDIS_PORT_STATE [48, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
        8 XmitLinkSpeed: ULONG64,
        16 RcvLinkSpeed: ULONG64,
        24 Direction: NET_IF_DIRECTION_TYPE,
        28 SendControlState: NDIS_PORT_CONTROL_STATE,
        32 RcvControlState: NDIS_PORT_CONTROL_STATE,
        36 SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
        40 RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
        44 Flags: ULONG,
    }
}

imports! {
    "ndis.sys";
    /// Allocates a port of an adapter. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMAllocatePort(
        NdisMiniportHandle: NDIS_HANDLE,
        PortCharacteristics: *mut NDIS_PORT_CHARACTERISTICS,
    ) -> NDIS_STATUS;
    /// Frees a port of an adapter. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMFreePort(NdisMiniportHandle: NDIS_HANDLE, PortNumber: NDIS_PORT_NUMBER) -> NDIS_STATUS;
}

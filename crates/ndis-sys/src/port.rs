//! port

use crate::*;

scalars! {
    NDIS_PORT_NUMBER = ULONG;
}

constants! {
    ULONG {
        NDIS_DEFAULT_PORT_NUMBER = 0,
        NDIS_PORT_CHAR_USE_DEFAULT_AUTH_SETTINGS = 1,
    }
    UCHAR {
        NDIS_PORT_ARRAY_REVISION_1 = 1,
        NDIS_PORT_AUTHENTICATION_PARAMETERS_REVISION_1 = 1,
        NDIS_PORT_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_PORT_STATE_REVISION_1 = 1,
    }
}

enums! {
    NDIS_PORT_AUTHORIZATION_STATE {
        NdisPortAuthorizationUnknown = 0,
        NdisPortAuthorized = 1,
        NdisPortUnauthorized = 2,
        NdisPortReauthorizing = 3,
    }
    NDIS_PORT_CONTROL_STATE {
        NdisPortControlStateUnknown = 0,
        NdisPortControlStateControlled = 1,
        NdisPortControlStateUncontrolled = 2,
    }
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
    struct NDIS_PORT [96, 8] {
        0 Next: *mut NDIS_PORT,
        8 NdisReserved: PVOID,
        16 MiniportReserved: PVOID,
        24 ProtocolReserved: PVOID,
        32 PortCharacteristics: NDIS_PORT_CHARACTERISTICS,
    }
    struct NDIS_PORT_ARRAY [80, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 NumberOfPorts: ULONG,
        8 OffsetFirstPort: ULONG,
        12 ElementSize: ULONG,
        16 Ports: [NDIS_PORT_CHARACTERISTICS; 1],
    }
    struct NDIS_PORT_AUTHENTICATION_PARAMETERS [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 SendControlState: NDIS_PORT_CONTROL_STATE,
        8 RcvControlState: NDIS_PORT_CONTROL_STATE,
        12 SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
        16 RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
    }
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

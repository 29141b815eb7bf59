//! pnp

use crate::*;

enums! {
    NDIS_DEVICE_PNP_EVENT {
        NdisDevicePnPEventQueryRemoved = 0,
        NdisDevicePnPEventRemoved = 1,
        NdisDevicePnPEventSurpriseRemoved = 2,
        NdisDevicePnPEventQueryStopped = 3,
        NdisDevicePnPEventStopped = 4,
        NdisDevicePnPEventPowerProfileChanged = 5,
        NdisDevicePnPEventFilterListChanged = 6,
        NdisDevicePnPEventMaximum = 7,
    }
    NDIS_NETWORK_CHANGE_TYPE {
        NdisPossibleNetworkChange = 1,
        NdisDefinitelyNetworkChange = 2,
        NdisNetworkChangeFromMediaConnect = 3,
        NdisNetworkChangeMax = 4,
    }
    NDIS_POWER_PROFILE {
        NdisPowerProfileBattery = 0,
        NdisPowerProfileAcOnLine = 1,
    }
    NET_DEVICE_POWER_STATE {
        NetDeviceStateUnspecified = 0,
        NetDeviceStateD0 = 1,
        NetDeviceStateD1 = 2,
        NetDeviceStateD2 = 3,
        NetDeviceStateD3 = 4,
        NetDeviceStateMaximum = 5,
    }
    NET_PNP_EVENT_CODE {
        NetEventSetPower = 0,
        NetEventQueryPower = 1,
        NetEventQueryRemoveDevice = 2,
        NetEventCancelRemoveDevice = 3,
        NetEventReconfigure = 4,
        NetEventBindList = 5,
        NetEventBindsComplete = 6,
        NetEventPnPCapabilities = 7,
        NetEventPause = 8,
        NetEventRestart = 9,
        NetEventPortActivation = 10,
        NetEventPortDeactivation = 11,
        NetEventIMReEnableDevice = 12,
        NetEventNDKEnable = 13,
        NetEventNDKDisable = 14,
        NetEventFilterPreDetach = 15,
        NetEventBindFailed = 16,
        NetEventSwitchActivate = 17,
        NetEventAllowBindsAbove = 18,
        NetEventInhibitBindsAbove = 19,
        NetEventAllowStart = 20,
        NetEventRequirePause = 21,
        NetEventUploadGftFlowEntries = 22,
        NetEventMaximum = 23,
    }
}

structs! {
    struct NET_DEVICE_PNP_EVENT [48, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 PortNumber: NDIS_PORT_NUMBER,
        8 DevicePnPEvent: NDIS_DEVICE_PNP_EVENT,
        16 InformationBuffer: PVOID,
        24 InformationBufferLength: ULONG,
        28 NdisReserved: [UCHAR; 16],
    }
    struct NET_PNP_EVENT [152, 8] {
        0 NetEvent: NET_PNP_EVENT_CODE,
        8 Buffer: PVOID,
        16 BufferLength: ULONG,
        24 NdisReserved: [ULONG_PTR; 4],
        56 TransportReserved: [ULONG_PTR; 4],
        88 TdiReserved: [ULONG_PTR; 4],
        120 TdiClientReserved: [ULONG_PTR; 4],
    }
    struct NET_PNP_EVENT_NOTIFICATION [176, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 PortNumber: NDIS_PORT_NUMBER,
        8 NetPnPEvent: NET_PNP_EVENT,
        160 Flags: ULONG,
        164 SwitchId: NDIS_NIC_SWITCH_ID,
        168 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
    }
}

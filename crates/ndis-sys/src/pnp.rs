//! Plug and play and power events.
//!
//! Documentation:
//! * [Handling PnP events and power management events in a protocol driver](https://learn.microsoft.com/windows-hardware/drivers/network/handling-pnp-events-and-power-management-events-in-a-protocol-driver)
//! * [NET_PNP_EVENT_NOTIFICATION](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/ns-ndis-_net_pnp_event_notification)

use crate::{
    NDIS_NIC_SWITCH_ID, NDIS_NIC_SWITCH_VPORT_ID, NDIS_OBJECT_HEADER, NDIS_PORT_NUMBER, PVOID,
    UCHAR, ULONG, ULONG_PTR, USHORT,
};

constants! {
    /// Flag of a PnP event.
    ULONG {
        NET_EVENT_HALT_MINIPORT_ON_LOW_POWER = 1,
        NET_EVENT_FLAGS_VPORT_ID_VALID = 2,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NET_PNP_EVENT_NOTIFICATION_REVISION_1 = 1,
        NET_PNP_EVENT_NOTIFICATION_REVISION_2 = 2,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_NET_DEVICE_PNP_EVENT_REVISION_1 = 44,
        NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1 = 164,
        NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_2 = 172,
    }
}

enums! {
    /// PnP event of a miniport adapter.
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
    /// How surely the network has changed.
    NDIS_NETWORK_CHANGE_TYPE {
        NdisPossibleNetworkChange = 1,
        NdisDefinitelyNetworkChange = 2,
        NdisNetworkChangeFromMediaConnect = 3,
        NdisNetworkChangeMax = 4,
    }
    /// Whether the system runs on battery.
    NDIS_POWER_PROFILE {
        NdisPowerProfileBattery = 0,
        NdisPowerProfileAcOnLine = 1,
    }
    /// Power state in a PnP event.
    NET_DEVICE_POWER_STATE {
        NetDeviceStateUnspecified = 0,
        NetDeviceStateD0 = 1,
        NetDeviceStateD1 = 2,
        NetDeviceStateD2 = 3,
        NetDeviceStateD3 = 4,
        NetDeviceStateMaximum = 5,
    }
    /// Kind of PnP or power event.
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
    /// A PnP event for a miniport adapter.
    struct NET_DEVICE_PNP_EVENT [48, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 PortNumber: NDIS_PORT_NUMBER,
        8 DevicePnPEvent: NDIS_DEVICE_PNP_EVENT,
        16 InformationBuffer: PVOID,
        24 InformationBufferLength: ULONG,
        28 NdisReserved: [UCHAR; 16],
    }
    /// A PnP or power event, without the head that NDIS 6 added.
    struct NET_PNP_EVENT [152, 8] {
        0 NetEvent: NET_PNP_EVENT_CODE,
        8 Buffer: PVOID,
        16 BufferLength: ULONG,
        24 NdisReserved: [ULONG_PTR; 4],
        56 TransportReserved: [ULONG_PTR; 4],
        88 TdiReserved: [ULONG_PTR; 4],
        120 TdiClientReserved: [ULONG_PTR; 4],
    }
    /// A PnP or power event for a protocol or a miniport.
    struct NET_PNP_EVENT_NOTIFICATION [176, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 PortNumber: NDIS_PORT_NUMBER,
        8 NetPnPEvent: NET_PNP_EVENT,
        160 Flags: ULONG,
        164 SwitchId: NDIS_NIC_SWITCH_ID,
        168 VPortId: NDIS_NIC_SWITCH_VPORT_ID,
    }
}

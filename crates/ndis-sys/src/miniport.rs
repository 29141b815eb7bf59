//! miniport

use crate::*;

constants! {
    UCHAR {
        NDIS_MINIPORT_ADAPTER_802_11_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_PACKET_DIRECT_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES_REVISION_1 = 1,
        NDIS_MINIPORT_CO_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1 = 1,
        NDIS_MINIPORT_PAUSE_PARAMETERS_REVISION_1 = 1,
        NDIS_MINIPORT_PNP_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_MINIPORT_RESTART_PARAMETERS_REVISION_1 = 1,
        NDIS_MINIPORT_SS_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_MINIPORT_ADAPTER_802_11_ATTRIBUTES_REVISION_2 = 2,
        NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2 = 2,
        NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_2 = 2,
        NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2 = 2,
        NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2 = 2,
        NDIS_MINIPORT_ADAPTER_802_11_ATTRIBUTES_REVISION_3 = 3,
        NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_3 = 3,
        NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3 = 3,
        NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES_REVISION_4 = 4,
    }
    ULONG {
        NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE = 1,
        NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM = 2,
        NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK = 4,
        NDIS_MINIPORT_MAJOR_VERSION = 6,
        NDIS_MINIPORT_MINIMUM_MAJOR_VERSION = 6,
        NDIS_MINIPORT_ATTRIBUTES_NOT_CO_NDIS = 8,
        NDIS_MINIPORT_ATTRIBUTES_DO_NOT_BIND_TO_ALL_CO = 0x10,
        NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND = 0x20,
        NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER = 0x40,
        NDIS_MINIPORT_MINIMUM_MINOR_VERSION = 87,
        NDIS_MINIPORT_MINOR_VERSION = 87,
        NDIS_MINIPORT_ATTRIBUTES_CONTROLS_DEFAULT_PORT = 0x80,
        NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND = 0x100,
        NDIS_MINIPORT_ATTRIBUTES_NO_OID_INTERCEPT_ON_NONDEFAULT_PORTS = 0x200,
        NDIS_MINIPORT_ATTRIBUTES_REGISTER_BUGCHECK_CALLBACK = 0x400,
        NDIS_RUNTIME_VERSION_60 = 0x0006_0000,
        NDIS_RUNTIME_VERSION_61 = 0x0006_0001,
        NDIS_RUNTIME_VERSION_620 = 0x0006_0014,
        NDIS_RUNTIME_VERSION_630 = 0x0006_001E,
        NDIS_RUNTIME_VERSION_640 = 0x0006_0028,
        NDIS_RUNTIME_VERSION_650 = 0x0006_0032,
        NDIS_RUNTIME_VERSION_651 = 0x0006_0033,
        NDIS_RUNTIME_VERSION_660 = 0x0006_003C,
        NDIS_RUNTIME_VERSION_670 = 0x0006_0046,
        NDIS_RUNTIME_VERSION_680 = 0x0006_0050,
        NDIS_RUNTIME_VERSION_681 = 0x0006_0051,
        NDIS_RUNTIME_VERSION_682 = 0x0006_0052,
        NDIS_RUNTIME_VERSION_683 = 0x0006_0053,
        NDIS_RUNTIME_VERSION_684 = 0x0006_0054,
        NDIS_RUNTIME_VERSION_685 = 0x0006_0055,
        NDIS_RUNTIME_VERSION_686 = 0x0006_0056,
        NDIS_RUNTIME_VERSION_687 = 0x0006_0057,
    }
}

enums! {
    NDIS_HALT_ACTION {
        NdisHaltDeviceDisabled = 0,
        NdisHaltDeviceInstanceDeInitialized = 1,
        NdisHaltDevicePoweredDown = 2,
        NdisHaltDeviceSurpriseRemoved = 3,
        NdisHaltDeviceFailed = 4,
        NdisHaltDeviceInitializationFailed = 5,
        NdisHaltDeviceStopped = 6,
    }
    NDIS_SHUTDOWN_ACTION {
        NdisShutdownPowerOff = 0,
        NdisShutdownBugCheck = 1,
    }
}

structs! {
    struct NDIS_DRIVER_OPTIONAL_HANDLERS [4, 2] {
        0 Header: NDIS_OBJECT_HEADER,
    }
    struct NDIS_MINIPORT_DRIVER_CHARACTERISTICS [160, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MajorNdisVersion: UCHAR,
        5 MinorNdisVersion: UCHAR,
        6 MajorDriverVersion: UCHAR,
        7 MinorDriverVersion: UCHAR,
        8 Flags: ULONG,
        16 SetOptionsHandler: Option<SET_OPTIONS>,
        24 InitializeHandlerEx: Option<MINIPORT_INITIALIZE>,
        32 HaltHandlerEx: Option<MINIPORT_HALT>,
        40 UnloadHandler: Option<MINIPORT_UNLOAD>,
        48 PauseHandler: Option<MINIPORT_PAUSE>,
        56 RestartHandler: Option<MINIPORT_RESTART>,
        64 OidRequestHandler: Option<MINIPORT_OID_REQUEST>,
        72 SendNetBufferListsHandler: Option<MINIPORT_SEND_NET_BUFFER_LISTS>,
        80 ReturnNetBufferListsHandler: Option<MINIPORT_RETURN_NET_BUFFER_LISTS>,
        88 CancelSendHandler: Option<MINIPORT_CANCEL_SEND>,
        96 CheckForHangHandlerEx: Option<MINIPORT_CHECK_FOR_HANG>,
        104 ResetHandlerEx: Option<MINIPORT_RESET>,
        112 DevicePnPEventNotifyHandler: Option<MINIPORT_DEVICE_PNP_EVENT_NOTIFY>,
        120 ShutdownHandlerEx: Option<MINIPORT_SHUTDOWN>,
        128 CancelOidRequestHandler: Option<MINIPORT_CANCEL_OID_REQUEST>,
        136 DirectOidRequestHandler: Option<MINIPORT_DIRECT_OID_REQUEST>,
        144 CancelDirectOidRequestHandler: Option<MINIPORT_CANCEL_DIRECT_OID_REQUEST>,
        152 SynchronousOidRequestHandler: Option<MINIPORT_SYNCHRONOUS_OID_REQUEST>,
    }
    struct NDIS_MINIPORT_INIT_PARAMETERS [64, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 AllocatedResources: PVOID,
        16 IMDeviceInstanceContext: NDIS_HANDLE,
        24 MiniportAddDeviceContext: NDIS_HANDLE,
        32 IfIndex: NET_IFINDEX,
        40 NetLuid: NET_LUID,
        48 DefaultPortAuthStates: *mut NDIS_PORT_AUTHENTICATION_PARAMETERS,
        56 PciDeviceCustomProperties: PVOID,
    }
    struct NDIS_MINIPORT_PAUSE_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 PauseReason: ULONG,
    }
    struct NDIS_MINIPORT_PNP_CHARACTERISTICS [48, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 MiniportAddDeviceHandler: Option<MINIPORT_ADD_DEVICE>,
        16 MiniportRemoveDeviceHandler: Option<MINIPORT_REMOVE_DEVICE>,
        24 MiniportFilterResourceRequirementsHandler: Option<MINIPORT_PNP_IRP>,
        32 MiniportStartDeviceHandler: Option<MINIPORT_PNP_IRP>,
        40 Flags: ULONG,
    }
    struct NDIS_MINIPORT_RESTART_PARAMETERS [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
        16 Flags: ULONG,
    }
    struct NDIS_MINIPORT_SS_CHARACTERISTICS [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 IdleNotificationHandler: Option<MINIPORT_IDLE_NOTIFICATION>,
        16 CancelIdleNotificationHandler: Option<MINIPORT_CANCEL_IDLE_NOTIFICATION>,
    }
    struct NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 MiniportAddDeviceContext: NDIS_HANDLE,
        16 Flags: ULONG,
    }
}

callbacks! {
    fn MINIPORT_ADD_DEVICE(NdisMiniportHandle: NDIS_HANDLE, MiniportDriverContext: NDIS_HANDLE) -> NDIS_STATUS;
    fn MINIPORT_CANCEL_DIRECT_OID_REQUEST(MiniportAdapterContext: NDIS_HANDLE, RequestId: PVOID);
    fn MINIPORT_CANCEL_IDLE_NOTIFICATION(MiniportAdapterContext: NDIS_HANDLE);
    fn MINIPORT_CANCEL_OID_REQUEST(MiniportAdapterContext: NDIS_HANDLE, RequestId: PVOID);
    fn MINIPORT_CANCEL_SEND(MiniportAdapterContext: NDIS_HANDLE, CancelId: PVOID);
    fn MINIPORT_CHECK_FOR_HANG(MiniportAdapterContext: NDIS_HANDLE) -> BOOLEAN;
    fn MINIPORT_DEVICE_PNP_EVENT_NOTIFY(MiniportAdapterContext: NDIS_HANDLE, NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT);
    fn MINIPORT_DIRECT_OID_REQUEST(MiniportAdapterContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn MINIPORT_HALT(MiniportAdapterContext: NDIS_HANDLE, HaltAction: NDIS_HALT_ACTION);
    fn MINIPORT_IDLE_NOTIFICATION(MiniportAdapterContext: NDIS_HANDLE, ForceIdle: BOOLEAN) -> NDIS_STATUS;
    fn MINIPORT_INITIALIZE(NdisMiniportHandle: NDIS_HANDLE, MiniportDriverContext: NDIS_HANDLE, MiniportInitParameters: *mut NDIS_MINIPORT_INIT_PARAMETERS) -> NDIS_STATUS;
    fn MINIPORT_OID_REQUEST(MiniportAdapterContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn MINIPORT_PAUSE(MiniportAdapterContext: NDIS_HANDLE, PauseParameters: *mut NDIS_MINIPORT_PAUSE_PARAMETERS) -> NDIS_STATUS;
    fn MINIPORT_PNP_IRP(MiniportAddDeviceContext: NDIS_HANDLE, Irp: *mut IRP) -> NDIS_STATUS;
    fn MINIPORT_REMOVE_DEVICE(MiniportAddDeviceContext: NDIS_HANDLE);
    fn MINIPORT_RESET(MiniportAdapterContext: NDIS_HANDLE, AddressingReset: *mut BOOLEAN) -> NDIS_STATUS;
    fn MINIPORT_RESTART(MiniportAdapterContext: NDIS_HANDLE, RestartParameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS) -> NDIS_STATUS;
    fn MINIPORT_RETURN_NET_BUFFER_LISTS(MiniportAdapterContext: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, ReturnFlags: ULONG);
    fn MINIPORT_SEND_NET_BUFFER_LISTS(MiniportAdapterContext: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, SendFlags: ULONG);
    fn MINIPORT_SHUTDOWN(MiniportAdapterContext: NDIS_HANDLE, ShutdownAction: NDIS_SHUTDOWN_ACTION);
    fn MINIPORT_SYNCHRONOUS_OID_REQUEST(MiniportAdapterContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn MINIPORT_UNLOAD(DriverObject: *mut DRIVER_OBJECT);
    fn SET_OPTIONS(NdisDriverHandle: NDIS_HANDLE, DriverContext: NDIS_HANDLE) -> NDIS_STATUS;
}

imports! {
    "ndis.sys";
    fn NdisMAllocatePort(NdisMiniportHandle: NDIS_HANDLE, PortCharacteristics: *mut NDIS_PORT_CHARACTERISTICS) -> NDIS_STATUS;
    fn NdisMDeregisterMiniportDriver(NdisMiniportDriverHandle: NDIS_HANDLE);
    fn NdisMDirectOidRequestComplete(MiniportAdapterHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn NdisMFreePort(NdisMiniportHandle: NDIS_HANDLE, PortNumber: NDIS_PORT_NUMBER) -> NDIS_STATUS;
    fn NdisMGetDeviceProperty(MiniportAdapterHandle: NDIS_HANDLE, PhysicalDeviceObject: *mut *mut DEVICE_OBJECT, FunctionalDeviceObject: *mut *mut DEVICE_OBJECT, NextDeviceObject: *mut *mut DEVICE_OBJECT, AllocatedResources: *mut PVOID, AllocatedResourcesTranslated: *mut PVOID);
    fn NdisMIdleNotificationComplete(MiniportAdapterHandle: NDIS_HANDLE);
    fn NdisMIdleNotificationConfirm(MiniportAdapterHandle: NDIS_HANDLE, IdlePowerState: NDIS_DEVICE_POWER_STATE);
    fn NdisMIndicateReceiveNetBufferLists(MiniportAdapterHandle: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, NumberOfNetBufferLists: ULONG, ReceiveFlags: ULONG);
    fn NdisMIndicateStatusEx(MiniportAdapterHandle: NDIS_HANDLE, StatusIndication: *mut NDIS_STATUS_INDICATION);
    fn NdisMNetPnPEvent(MiniportAdapterHandle: NDIS_HANDLE, NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS;
    fn NdisMOidRequestComplete(MiniportAdapterHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn NdisMPauseComplete(MiniportAdapterHandle: NDIS_HANDLE);
    fn NdisMQueryAdapterInstanceName(pAdapterInstanceName: *mut UNICODE_STRING, MiniportHandle: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisMRegisterMiniportDriver(DriverObject: *mut DRIVER_OBJECT, RegistryPath: *mut UNICODE_STRING, MiniportDriverContext: NDIS_HANDLE, MiniportDriverCharacteristics: *mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS, NdisMiniportDriverHandle: *mut PVOID) -> NDIS_STATUS;
    fn NdisMRemoveMiniport(MiniportHandle: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisMResetComplete(MiniportAdapterHandle: NDIS_HANDLE, Status: NDIS_STATUS, AddressingReset: BOOLEAN);
    fn NdisMResetMiniport(MiniportAdapterHandle: NDIS_HANDLE);
    fn NdisMRestartComplete(MiniportAdapterHandle: NDIS_HANDLE, Status: NDIS_STATUS);
    fn NdisMSendNetBufferListsComplete(MiniportAdapterHandle: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, SendCompleteFlags: ULONG);
    fn NdisMSetMiniportAttributes(NdisMiniportHandle: NDIS_HANDLE, MiniportAttributes: *mut NDIS_MINIPORT_ADAPTER_ATTRIBUTES) -> NDIS_STATUS;
    fn NdisMaxGroupCount() -> USHORT;
}

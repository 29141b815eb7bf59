//! Miniport drivers: registration, callbacks, life cycle.
//!
//! Documentation:
//! * [Initializing a miniport driver](https://learn.microsoft.com/windows-hardware/drivers/network/initializing-a-miniport-driver)
//! * [Miniport adapter states and operations](https://learn.microsoft.com/windows-hardware/drivers/network/miniport-adapter-states-and-operations)

use crate::{
    BOOLEAN, DEVICE_OBJECT, DRIVER_OBJECT, IRP, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_OID_REQUEST,
    NDIS_PORT_AUTHENTICATION_PARAMETERS, NDIS_PORT_NUMBER, NDIS_RESTART_ATTRIBUTES, NDIS_STATUS,
    NET_BUFFER_LIST, NET_DEVICE_PNP_EVENT, NET_IFINDEX, NET_LUID, PVOID, UCHAR, ULONG,
    UNICODE_STRING, USHORT,
};

constants! {
    /// Kind of device, for the registration attributes.
    ULONG {
        NDIS_DEVICE_TYPE_ENDPOINT = 1,
    }
    /// Flag of `NDIS_MINIPORT_DRIVER_CHARACTERISTICS::Flags`.
    ULONG {
        NDIS_INTERMEDIATE_DRIVER = 1,
        NDIS_WDM_DRIVER = 2,
    }
    /// Reason of a pause.
    ULONG {
        NDIS_PAUSE_NDIS_INTERNAL = 1,
        NDIS_PAUSE_LOW_POWER = 2,
        NDIS_PAUSE_BIND_PROTOCOL = 4,
        NDIS_PAUSE_UNBIND_PROTOCOL = 8,
        NDIS_PAUSE_ATTACH_FILTER = 0x10,
        NDIS_PAUSE_DETACH_FILTER = 0x20,
        NDIS_PAUSE_FILTER_RESTART_STACK = 0x40,
        NDIS_PAUSE_MINIPORT_DEVICE_REMOVE = 0x80,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2 = 2,
        NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3 = 3,
        NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1 = 1,
        NDIS_MINIPORT_PAUSE_PARAMETERS_REVISION_1 = 1,
        NDIS_MINIPORT_PNP_CHARACTERISTICS_REVISION_1 = 1,
        NDIS_MINIPORT_RESTART_PARAMETERS_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1 = 136,
        NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2 = 152,
        NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3 = 160,
        NDIS_SIZEOF_MINIPORT_INIT_PARAMETER_REVISION_1 = 64,
        NDIS_SIZEOF_MINIPORT_PAUSE_PARAMETERS_REVISION_1 = 12,
        NDIS_SIZEOF_MINIPORT_PNP_CHARACTERISTICS_REVISION_1 = 44,
        NDIS_SIZEOF_MINIPORT_RESTART_PARAMETERS_REVISION_1 = 20,
    }
}

enums! {
    /// Why an adapter is halted.
    NDIS_HALT_ACTION {
        NdisHaltDeviceDisabled = 0,
        NdisHaltDeviceInstanceDeInitialized = 1,
        NdisHaltDevicePoweredDown = 2,
        NdisHaltDeviceSurpriseRemoved = 3,
        NdisHaltDeviceFailed = 4,
        NdisHaltDeviceInitializationFailed = 5,
        NdisHaltDeviceStopped = 6,
    }
    /// Why an adapter is shut down.
    NDIS_SHUTDOWN_ACTION {
        NdisShutdownPowerOff = 0,
        NdisShutdownBugCheck = 1,
    }
}

structs! {
    /// The common head of optional sets of handlers.
    struct NDIS_DRIVER_OPTIONAL_HANDLERS [4, 2] {
        0 Header: NDIS_OBJECT_HEADER,
    }
    /// Version and handlers of a miniport driver.
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
    /// What a miniport learns about its adapter while initialising.
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
    /// Why a miniport adapter is paused.
    struct NDIS_MINIPORT_PAUSE_PARAMETERS [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 PauseReason: ULONG,
    }
    /// Handlers of a miniport for PnP requests.
    struct NDIS_MINIPORT_PNP_CHARACTERISTICS [48, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 MiniportAddDeviceHandler: Option<MINIPORT_ADD_DEVICE>,
        16 MiniportRemoveDeviceHandler: Option<MINIPORT_REMOVE_DEVICE>,
        24 MiniportFilterResourceRequirementsHandler: Option<MINIPORT_PNP_IRP>,
        32 MiniportStartDeviceHandler: Option<MINIPORT_PNP_IRP>,
        40 Flags: ULONG,
    }
    /// The attributes with which a miniport adapter restarts.
    struct NDIS_MINIPORT_RESTART_PARAMETERS [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
        16 Flags: ULONG,
    }
}

callbacks! {
    /// Tells a miniport that a device is added. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_ADD_DEVICE(
        NdisMiniportHandle: NDIS_HANDLE,
        MiniportDriverContext: NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Cancels direct OID requests by their identifier. IRQL: `<= DISPATCH_LEVEL`.
    fn MINIPORT_CANCEL_DIRECT_OID_REQUEST(MiniportAdapterContext: NDIS_HANDLE, RequestId: PVOID);
    /// Takes an idle notification back. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_CANCEL_IDLE_NOTIFICATION(MiniportAdapterContext: NDIS_HANDLE);
    /// Cancels OID requests by their identifier. IRQL: `<= DISPATCH_LEVEL`.
    fn MINIPORT_CANCEL_OID_REQUEST(MiniportAdapterContext: NDIS_HANDLE, RequestId: PVOID);
    /// Cancels sends by their cancel identifier. IRQL: `<= DISPATCH_LEVEL`.
    fn MINIPORT_CANCEL_SEND(MiniportAdapterContext: NDIS_HANDLE, CancelId: PVOID);
    /// Asks whether an adapter works. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_CHECK_FOR_HANG(MiniportAdapterContext: NDIS_HANDLE) -> BOOLEAN;
    /// Tells an adapter of a PnP event. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_DEVICE_PNP_EVENT_NOTIFY(
        MiniportAdapterContext: NDIS_HANDLE,
        NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT,
    );
    /// Hands an adapter a direct OID request. IRQL: `<= DISPATCH_LEVEL`.
    fn MINIPORT_DIRECT_OID_REQUEST(
        MiniportAdapterContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// Frees everything of an adapter. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_HALT(MiniportAdapterContext: NDIS_HANDLE, HaltAction: NDIS_HALT_ACTION);
    /// Tells an adapter that it is idle. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_IDLE_NOTIFICATION(
        MiniportAdapterContext: NDIS_HANDLE,
        ForceIdle: BOOLEAN,
    ) -> NDIS_STATUS;
    /// Initialises an adapter. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_INITIALIZE(
        NdisMiniportHandle: NDIS_HANDLE,
        MiniportDriverContext: NDIS_HANDLE,
        MiniportInitParameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
    ) -> NDIS_STATUS;
    /// Hands an adapter an OID request. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_OID_REQUEST(
        MiniportAdapterContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// Stops the data path of an adapter. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_PAUSE(
        MiniportAdapterContext: NDIS_HANDLE,
        PauseParameters: *mut NDIS_MINIPORT_PAUSE_PARAMETERS,
    ) -> NDIS_STATUS;
    /// Lets a miniport handle a PnP IRP. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_PNP_IRP(MiniportAddDeviceContext: NDIS_HANDLE, Irp: *mut IRP) -> NDIS_STATUS;
    /// Tells a miniport that a device is gone. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_REMOVE_DEVICE(MiniportAddDeviceContext: NDIS_HANDLE);
    /// Resets an adapter. IRQL: `<= DISPATCH_LEVEL`.
    fn MINIPORT_RESET(
        MiniportAdapterContext: NDIS_HANDLE,
        AddressingReset: *mut BOOLEAN,
    ) -> NDIS_STATUS;
    /// Starts the data path of an adapter. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_RESTART(
        MiniportAdapterContext: NDIS_HANDLE,
        RestartParameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
    ) -> NDIS_STATUS;
    /// Gives received lists back to an adapter. IRQL: `<= DISPATCH_LEVEL`.
    fn MINIPORT_RETURN_NET_BUFFER_LISTS(
        MiniportAdapterContext: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        ReturnFlags: ULONG,
    );
    /// Gives an adapter lists to send. IRQL: `<= DISPATCH_LEVEL`.
    fn MINIPORT_SEND_NET_BUFFER_LISTS(
        MiniportAdapterContext: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        SendFlags: ULONG,
    );
    /// Tells an adapter that the system goes down or crashes.
    ///
    /// IRQL: `PASSIVE_LEVEL, or any level with `NdisShutdownBugCheck`.
    fn MINIPORT_SHUTDOWN(MiniportAdapterContext: NDIS_HANDLE, ShutdownAction: NDIS_SHUTDOWN_ACTION);
    /// Hands an adapter an OID request that it answers at once. IRQL: `<= DISPATCH_LEVEL`.
    fn MINIPORT_SYNCHRONOUS_OID_REQUEST(
        MiniportAdapterContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS;
    /// Last call into a miniport driver. IRQL: `PASSIVE_LEVEL`.
    fn MINIPORT_UNLOAD(DriverObject: *mut DRIVER_OBJECT);
    /// Lets a driver register optional handlers. IRQL: `PASSIVE_LEVEL`.
    fn SET_OPTIONS(NdisDriverHandle: NDIS_HANDLE, DriverContext: NDIS_HANDLE) -> NDIS_STATUS;
}

imports! {
    "ndis.sys";
    /// Deregisters a miniport driver. IRQL: `PASSIVE_LEVEL`.
    fn NdisMDeregisterMiniportDriver(NdisMiniportDriverHandle: NDIS_HANDLE);
    /// Returns the device objects of an adapter. IRQL: `PASSIVE_LEVEL`.
    fn NdisMGetDeviceProperty(
        MiniportAdapterHandle: NDIS_HANDLE,
        PhysicalDeviceObject: *mut *mut DEVICE_OBJECT,
        FunctionalDeviceObject: *mut *mut DEVICE_OBJECT,
        NextDeviceObject: *mut *mut DEVICE_OBJECT,
        AllocatedResources: *mut PVOID,
        AllocatedResourcesTranslated: *mut PVOID,
    );
    /// Passes received lists up. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMIndicateReceiveNetBufferLists(
        MiniportAdapterHandle: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        NumberOfNetBufferLists: ULONG,
        ReceiveFlags: ULONG,
    );
    /// Completes a pause that was pending. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMPauseComplete(MiniportAdapterHandle: NDIS_HANDLE);
    /// Returns the name of an adapter. IRQL: `PASSIVE_LEVEL`.
    fn NdisMQueryAdapterInstanceName(
        pAdapterInstanceName: *mut UNICODE_STRING,
        MiniportHandle: NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Registers a miniport driver. IRQL: `PASSIVE_LEVEL`.
    fn NdisMRegisterMiniportDriver(
        DriverObject: *mut DRIVER_OBJECT,
        RegistryPath: *mut UNICODE_STRING,
        MiniportDriverContext: NDIS_HANDLE,
        MiniportDriverCharacteristics: *mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
        NdisMiniportDriverHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Asks for the removal of a failed adapter. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMRemoveMiniport(MiniportHandle: NDIS_HANDLE) -> NDIS_STATUS;
    /// Completes a reset that was pending. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMResetComplete(
        MiniportAdapterHandle: NDIS_HANDLE,
        Status: NDIS_STATUS,
        AddressingReset: BOOLEAN,
    );
    /// Asks for a reset of an adapter. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMResetMiniport(MiniportAdapterHandle: NDIS_HANDLE);
    /// Completes a restart that was pending. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMRestartComplete(MiniportAdapterHandle: NDIS_HANDLE, Status: NDIS_STATUS);
    /// Gives sent lists back. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisMSendNetBufferListsComplete(
        MiniportAdapterHandle: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        SendCompleteFlags: ULONG,
    );
    /// Registers optional handlers. IRQL: `PASSIVE_LEVEL`.
    fn NdisSetOptionalHandlers(
        NdisHandle: NDIS_HANDLE,
        OptionalHandlers: *mut NDIS_DRIVER_OPTIONAL_HANDLERS,
    ) -> NDIS_STATUS;
}

//! Media, link state and link parameters.
//!
//! Documentation:
//! * [NDIS_LINK_STATE](https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddndis/ns-ntddndis-_ndis_link_state)

use crate::{NDIS_OBJECT_HEADER, NET_IF_OPER_STATUS, UCHAR, ULONG, ULONG64, USHORT};

aliases! {
    /// Whether the medium is connected, as NDIS names it.
    NDIS_MEDIA_CONNECT_STATE = NET_IF_MEDIA_CONNECT_STATE;
    /// Whether the link is duplex, as NDIS names it.
    NDIS_MEDIA_DUPLEX_STATE = NET_IF_MEDIA_DUPLEX_STATE;
}

constants! {
    /// Value for the state of a link.
    ULONG {
        NDIS_LINK_STATE_XMIT_LINK_SPEED_AUTO_NEGOTIATED = 1,
        NDIS_LINK_STATE_RCV_LINK_SPEED_AUTO_NEGOTIATED = 2,
        NDIS_LINK_STATE_DUPLEX_AUTO_NEGOTIATED = 4,
        NDIS_LINK_STATE_PAUSE_FUNCTIONS_AUTO_NEGOTIATED = 8,
    }
    /// Value for the state of a link.
    ULONG64 {
        NDIS_LINK_SPEED_UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF,
    }
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_LINK_PARAMETERS_REVISION_1 = 1,
        NDIS_LINK_STATE_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_IP_OPER_STATE_REVISION_1 = 20,
        NDIS_SIZEOF_IP_OPER_STATUS_INFO_REVISION_1 = 396,
        NDIS_SIZEOF_LINK_PARAMETERS_REVISION_1 = 32,
        NDIS_SIZEOF_LINK_STATE_REVISION_1 = 40,
        NDIS_SIZEOF_OPER_STATE_REVISION_1 = 12,
    }
}

enums! {
    /// State of the hardware.
    NDIS_HARDWARE_STATUS {
        NdisHardwareStatusReady = 0,
        NdisHardwareStatusInitializing = 1,
        NdisHardwareStatusReset = 2,
        NdisHardwareStatusClosing = 3,
        NdisHardwareStatusNotReady = 4,
    }
    /// Bus of an adapter.
    NDIS_INTERFACE_TYPE {
        NdisInterfaceInternal = 0,
        NdisInterfaceIsa = 1,
        NdisInterfaceEisa = 2,
        NdisInterfaceMca = 3,
        NdisInterfaceTurboChannel = 4,
        NdisInterfacePci = 5,
        NdisInterfacePcMcia = 8,
        NdisInterfaceCBus = 9,
        NdisInterfaceMPIBus = 10,
        NdisInterfaceMPSABus = 11,
        NdisInterfaceProcessorInternal = 12,
        NdisInterfaceInternalPowerBus = 13,
        NdisInterfacePNPISABus = 14,
        NdisInterfacePNPBus = 15,
        NdisInterfaceUSB = 16,
        NdisInterfaceIrda = 17,
        NdisInterface1394 = 18,
        NdisMaximumInterfaceType = 19,
    }
    /// Whether the medium is connected, before NDIS 6.
    NDIS_MEDIA_STATE {
        NdisMediaStateConnected = 0,
        NdisMediaStateDisconnected = 1,
    }
    /// Medium that an adapter presents.
    NDIS_MEDIUM {
        NdisMedium802_3 = 0,
        NdisMedium802_5 = 1,
        NdisMediumFddi = 2,
        NdisMediumWan = 3,
        NdisMediumLocalTalk = 4,
        NdisMediumDix = 5,
        NdisMediumArcnetRaw = 6,
        NdisMediumArcnet878_2 = 7,
        NdisMediumAtm = 8,
        NdisMediumWirelessWan = 9,
        NdisMediumIrda = 10,
        NdisMediumBpc = 11,
        NdisMediumCoWan = 12,
        NdisMedium1394 = 13,
        NdisMediumInfiniBand = 14,
        NdisMediumTunnel = 15,
        NdisMediumNative802_11 = 16,
        NdisMediumLoopback = 17,
        NdisMediumWiMAX = 18,
        NdisMediumIP = 19,
        NdisMediumMax = 20,
    }
    /// Physical medium below the one that an adapter presents.
    NDIS_PHYSICAL_MEDIUM {
        NdisPhysicalMediumUnspecified = 0,
        NdisPhysicalMediumWirelessLan = 1,
        NdisPhysicalMediumCableModem = 2,
        NdisPhysicalMediumPhoneLine = 3,
        NdisPhysicalMediumPowerLine = 4,
        NdisPhysicalMediumDSL = 5,
        NdisPhysicalMediumFibreChannel = 6,
        NdisPhysicalMedium1394 = 7,
        NdisPhysicalMediumWirelessWan = 8,
        NdisPhysicalMediumNative802_11 = 9,
        NdisPhysicalMediumBluetooth = 10,
        NdisPhysicalMediumInfiniband = 11,
        NdisPhysicalMediumWiMax = 12,
        NdisPhysicalMediumUWB = 13,
        NdisPhysicalMedium802_3 = 14,
        NdisPhysicalMedium802_5 = 15,
        NdisPhysicalMediumIrda = 16,
        NdisPhysicalMediumWiredWAN = 17,
        NdisPhysicalMediumWiredCoWan = 18,
        NdisPhysicalMediumOther = 19,
        NdisPhysicalMediumNative802_15_4 = 20,
        NdisPhysicalMediumMax = 21,
    }
    /// Pause frames of 802.3.
    NDIS_SUPPORTED_PAUSE_FUNCTIONS {
        NdisPauseFunctionsUnsupported = 0,
        NdisPauseFunctionsSendOnly = 1,
        NdisPauseFunctionsReceiveOnly = 2,
        NdisPauseFunctionsSendAndReceive = 3,
        NdisPauseFunctionsUnknown = 4,
    }
}

structs! {
    /// The state of one IP version over an interface.
    struct NDIS_IP_OPER_STATE [20, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 IpOperationalStatus: NDIS_IP_OPER_STATUS,
    }
    /// The state of one address family.
    struct NDIS_IP_OPER_STATUS [12, 4] {
        0 AddressFamily: ULONG,
        4 OperationalStatus: NET_IF_OPER_STATUS,
        8 OperationalStatusFlags: ULONG,
    }
    /// The states of all address families, for `OID_GEN_IP_OPER_STATUS`.
    struct NDIS_IP_OPER_STATUS_INFO [396, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 NumberofAddressFamiliesReturned: ULONG,
        12 IpOperationalStatus: [NDIS_IP_OPER_STATUS; 32],
    }
    /// The link that an adapter is to use, for `OID_GEN_LINK_PARAMETERS`.
    struct NDIS_LINK_PARAMETERS [32, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MediaDuplexState: NDIS_MEDIA_DUPLEX_STATE,
        8 XmitLinkSpeed: ULONG64,
        16 RcvLinkSpeed: ULONG64,
        24 PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
        28 AutoNegotiationFlags: ULONG,
    }
    /// The link as it is, for `NDIS_STATUS_LINK_STATE`.
    struct NDIS_LINK_STATE [40, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
        8 MediaDuplexState: NDIS_MEDIA_DUPLEX_STATE,
        16 XmitLinkSpeed: ULONG64,
        24 RcvLinkSpeed: ULONG64,
        32 PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
        36 AutoNegotiationFlags: ULONG,
    }
    /// The operational state of an interface.
    struct NDIS_OPER_STATE [12, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 OperationalStatus: NET_IF_OPER_STATUS,
        8 OperationalStatusFlags: ULONG,
    }
}

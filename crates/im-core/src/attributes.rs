//! What a virtual miniport tells NDIS about itself (ATR-*).
//!
//! [`Shown`] is plain data: made by a pure function from the facts below, then
//! handed over in the order that NDIS asks for. PASSIVE_LEVEL, called from
//! MiniportInitializeEx only.

use crate::facts::{Facts, Link, MAX_MAC};
use crate::statistics::ALL_STATISTICS;
use ndis::Result;
use ndis::header::{Zeroed, header};
use ndis::nbl::MiniportHandle;
use ndis::nbl_context::CONTEXT_BYTES;
use ndis::status::check;
use ndis::sys::{
    NDIS_HANDLE, NDIS_MAC_OPTION_8021P_PRIORITY, NDIS_MAC_OPTION_NO_LOOPBACK,
    NDIS_MAC_OPTION_RESERVED, NDIS_MAC_OPTION_TRANSFERS_NOT_PEND, NDIS_MEDIA_CONNECT_STATE,
    NDIS_MEDIA_DUPLEX_STATE, NDIS_MEDIUM, NDIS_MINIPORT_ADAPTER_ATTRIBUTES,
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND,
    NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, NDIS_OFFLOAD, NDIS_OID,
    NDIS_PHYSICAL_MEDIUM, NDIS_PM_CAPABILITIES, NDIS_RECEIVE_SCALE_CAPABILITIES,
    NDIS_RSS_CAPS_SUPPORTS_INDEPENDENT_ENTRY_MOVE, NET_IF_ACCESS_TYPE, NET_IF_CONNECTION_TYPE,
    NET_IF_DIRECTION_TYPE, NdisDeviceStateUnspecified, NdisInterfaceInternal,
    NdisMSetMiniportAttributes,
};

/// What is shown above.
#[derive(Clone, Copy)]
pub struct Shown {
    /// Medium.
    pub medium: NDIS_MEDIUM,
    /// Physical medium.
    pub physical: NDIS_PHYSICAL_MEDIUM,
    /// Largest payload.
    pub mtu: u32,
    /// Bits per second.
    pub max_xmit: u64,
    /// Bits per second.
    pub max_rcv: u64,
    /// The link.
    pub link: Link,
    /// Lookahead size.
    pub lookahead: u32,
    /// Supported packet filters.
    pub filters: u32,
    /// Longest multicast list.
    pub multicast: u32,
    /// Permanent and current address.
    pub mac: [u8; MAX_MAC],
    /// How much of it counts.
    pub mac_length: u16,
    /// NDIS_MAC_OPTION_xxx.
    pub mac_options: u32,
    /// Access type.
    pub access: NET_IF_ACCESS_TYPE,
    /// Direction type.
    pub direction: NET_IF_DIRECTION_TYPE,
    /// Connection type.
    pub connection: NET_IF_CONNECTION_TYPE,
    /// Interface type.
    pub if_type: u16,
    /// Bytes before the data.
    pub data_backfill: u32,
    /// Bytes of context space.
    pub context_backfill: u32,
    /// Power management, or absent.
    pub pm: Option<NDIS_PM_CAPABILITIES>,
    /// RSS, or absent.
    pub rss: Option<NDIS_RECEIVE_SCALE_CAPABILITIES>,
    /// Task offload as configured, or absent.
    pub offload: Option<NDIS_OFFLOAD>,
    /// Task offload of the hardware, or absent.
    pub offload_hardware: Option<NDIS_OFFLOAD>,
}

impl Shown {
    /// What a miniport shows that stands alone on one adapter and changes no
    /// frame: the adapter's own values (ATR-7), except what ATR-3, ATR-6, ATR-8
    /// and ATR-9 demand.
    pub fn one_to_one(facts: &Facts) -> Self {
        Self {
            medium: facts.medium,
            physical: facts.physical,
            mtu: facts.mtu,
            max_xmit: facts.max_xmit,
            max_rcv: facts.max_rcv,
            link: facts.link,
            lookahead: facts.lookahead,
            filters: facts.filters,
            multicast: facts.multicast,
            mac: facts.mac,
            mac_length: facts.mac_length,
            mac_options: mac_options(facts.mac_options),
            access: facts.access,
            direction: facts.direction,
            connection: facts.connection,
            if_type: facts.if_type,
            data_backfill: facts.data_backfill,
            // ATR-9: room for what we remember of each list.
            context_backfill: facts
                .context_backfill
                .saturating_add(u32::from(CONTEXT_BYTES)),
            pm: facts.pm.map(no_wake_up),
            rss: facts.rss.map(without_independent_moves),
            offload: facts.offload,
            offload_hardware: facts.offload_hardware.or(facts.offload),
        }
    }
}

/// ATR-8: no loopback hardware, priority as NDIS 6 requires, nothing reserved.
pub(crate) const fn mac_options(below: u32) -> u32 {
    (below
        | NDIS_MAC_OPTION_NO_LOOPBACK
        | NDIS_MAC_OPTION_8021P_PRIORITY
        | NDIS_MAC_OPTION_TRANSFERS_NOT_PEND)
        & !NDIS_MAC_OPTION_RESERVED
}

/// ATR-6: the miniport itself wakes nothing; wake-up stays with the adapter.
pub(crate) fn no_wake_up(mut pm: NDIS_PM_CAPABILITIES) -> NDIS_PM_CAPABILITIES {
    pm.MinMagicPacketWakeUp = NdisDeviceStateUnspecified;
    pm.MinPatternWakeUp = NdisDeviceStateUnspecified;
    pm.MinLinkChangeWakeUp = NdisDeviceStateUnspecified;
    pm
}

/// RSSv2 needs a synchronous OID handler (MPR-8), which we do not have.
fn without_independent_moves(
    mut rss: NDIS_RECEIVE_SCALE_CAPABILITIES,
) -> NDIS_RECEIVE_SCALE_CAPABILITIES {
    rss.CapabilitiesFlags &= !NDIS_RSS_CAPS_SUPPORTS_INDEPENDENT_ENTRY_MOVE;
    rss
}

/// Hands over one attribute structure.
///
/// # Safety
/// `attributes` points to a structure with a correct header (VER-5).
unsafe fn set<A>(handle: MiniportHandle, attributes: *mut A) -> Result<()> {
    // SAFETY: (ATR-1, ATR-2) inside MiniportInitializeEx, in the right order;
    // the header tells NDIS which structure it is.
    check(unsafe {
        NdisMSetMiniportAttributes(
            handle.0,
            attributes.cast::<NDIS_MINIPORT_ADAPTER_ATTRIBUTES>(),
        )
    })
}

/// Registration attributes (ATR-1, ATR-3, ATR-4).
pub(crate) fn register(handle: MiniportHandle, context: NDIS_HANDLE) -> Result<()> {
    let mut attributes = NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES::zeroed();
    attributes.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
        ndis::sys::NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
        size_of::<NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES>(),
    );
    attributes.MiniportAdapterContext = context;
    // No NO_PAUSE_ON_SUSPEND: NDIS pauses us before low power, so that nothing
    // is outstanding then (PWR-6, appendix B, row 20).
    attributes.AttributeFlags =
        NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND | NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK;
    attributes.InterfaceType = NdisInterfaceInternal;
    // SAFETY: (VER-5) header set above.
    unsafe { set(handle, &raw mut attributes) }
}

/// General attributes, then offload attributes if there are any (ATR-2, ATR-12).
///
/// `oids` is what the miniport supports: those of the adapter that are not
/// refused, and nothing else (ATR-10).
pub(crate) fn show(handle: MiniportHandle, shown: &Shown, oids: &mut [NDIS_OID]) -> Result<()> {
    // NDIS copies what these point to before the call returns.
    let mut pm = shown.pm;
    let mut rss = shown.rss;
    let mut attributes = NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES::zeroed();
    attributes.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
        ndis::sys::NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2, // ATR-5
        size_of::<NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES>(),
    );
    attributes.MediaType = shown.medium;
    attributes.PhysicalMediumType = shown.physical;
    attributes.MtuSize = shown.mtu;
    attributes.MaxXmitLinkSpeed = shown.max_xmit;
    attributes.XmitLinkSpeed = shown.link.xmit;
    attributes.MaxRcvLinkSpeed = shown.max_rcv;
    attributes.RcvLinkSpeed = shown.link.rcv;
    attributes.MediaConnectState = NDIS_MEDIA_CONNECT_STATE(shown.link.connect);
    attributes.MediaDuplexState = NDIS_MEDIA_DUPLEX_STATE(shown.link.duplex);
    attributes.LookaheadSize = shown.lookahead;
    attributes.MacOptions = shown.mac_options;
    attributes.SupportedPacketFilters = shown.filters;
    attributes.MaxMulticastListSize = shown.multicast;
    attributes.MacAddressLength = shown.mac_length;
    attributes.PermanentMacAddress = shown.mac;
    attributes.CurrentMacAddress = shown.mac;
    attributes.RecvScaleCapabilities = rss.as_mut().map_or(core::ptr::null_mut(), |rss| rss);
    attributes.AccessType = shown.access;
    attributes.DirectionType = shown.direction;
    attributes.ConnectionType = shown.connection;
    attributes.IfType = shown.if_type;
    attributes.IfConnectorPresent = 0; // ATR-7
    attributes.SupportedStatistics = ALL_STATISTICS; // ATR-11
    attributes.SupportedPauseFunctions = shown.link.pause as u32;
    attributes.DataBackFillSize = shown.data_backfill;
    attributes.ContextBackFillSize = shown.context_backfill;
    attributes.AutoNegotiationFlags = shown.link.negotiated;
    if !oids.is_empty() {
        attributes.SupportedOidList = oids.as_mut_ptr();
        attributes.SupportedOidListLength = size_of_val(oids) as u32; // in bytes
    }
    attributes.PowerManagementCapabilitiesEx = pm.as_mut().map_or(core::ptr::null_mut(), |pm| pm);
    // SAFETY: (VER-5) header set above; pointers outlive the call.
    unsafe { set(handle, &raw mut attributes) }?;

    let mut now = shown.offload;
    let mut hardware = shown.offload_hardware;
    if let (Some(now), Some(hardware)) = (now.as_mut(), hardware.as_mut()) {
        let mut attributes = NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES::zeroed();
        attributes.Header = header(
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
            ndis::sys::NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
            size_of::<NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES>(),
        );
        attributes.DefaultOffloadConfiguration = now;
        attributes.HardwareOffloadCapabilities = hardware;
        // SAFETY: (VER-5) header set above; pointers outlive the call.
        unsafe { set(handle, &raw mut attributes) }?;
    }
    Ok(())
}

//! What is known about an adapter below.
//!
//! Copied out of NDIS_BIND_PARAMETERS during the bind, because the structure is
//! gone afterwards (BND-9), and refreshed on restart (PBS-4) and on link status
//! (STS-4). Plain data behind the binding's leaf lock.

use core::mem::offset_of;
use ndis::header::{clamp_header, read_optional, read_versioned};
use ndis::sys::{
    MediaConnectStateDisconnected, MediaDuplexStateUnknown, NDIS_BIND_PARAMETERS, NDIS_LINK_STATE,
    NDIS_MEDIUM, NDIS_OBJECT_TYPE_BIND_PARAMETERS, NDIS_OBJECT_TYPE_DEFAULT,
    NDIS_OBJECT_TYPE_OFFLOAD, NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES,
    NDIS_OBJECT_TYPE_RSS_CAPABILITIES, NDIS_OFFLOAD, NDIS_OFFLOAD_REVISION_7, NDIS_PHYSICAL_MEDIUM,
    NDIS_PM_CAPABILITIES, NDIS_PM_CAPABILITIES_REVISION_2, NDIS_RECEIVE_SCALE_CAPABILITIES,
    NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_3, NDIS_RESTART_ATTRIBUTES,
    NDIS_RESTART_GENERAL_ATTRIBUTES, NET_IF_ACCESS_TYPE, NET_IF_CONNECTION_TYPE,
    NET_IF_DIRECTION_TYPE, OID_GEN_MINIPORT_RESTART_ATTRIBUTES, VOID,
};
use ndis::{Error, Result};

/// Longest MAC address that NDIS knows.
pub const MAX_MAC: usize = 32;

/// The link below, as last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// NDIS_MEDIA_CONNECT_STATE.
    pub connect: i32,
    /// NDIS_MEDIA_DUPLEX_STATE.
    pub duplex: i32,
    /// Bits per second.
    pub xmit: u64,
    /// Bits per second.
    pub rcv: u64,
    /// NDIS_SUPPORTED_PAUSE_FUNCTIONS.
    pub pause: i32,
    /// NDIS_LINK_STATE_xxx_AUTO_NEGOTIATED.
    pub negotiated: u32,
}

impl Link {
    /// No cable, and nothing known.
    pub const DOWN: Self = Self {
        connect: MediaConnectStateDisconnected.0,
        duplex: MediaDuplexStateUnknown.0,
        xmit: u64::MAX,
        rcv: u64::MAX,
        pause: 0,
        negotiated: 0,
    };

    /// Reads a link status from below; malformed is `None` (STS-4).
    ///
    /// # Safety
    /// `buffer` is null or readable for `length` bytes.
    pub unsafe fn read(buffer: *const u8, length: u32) -> Option<Self> {
        if (length as usize) < size_of::<NDIS_LINK_STATE>() {
            return None;
        }
        // SAFETY: (VER-4) long enough for our revision; checked again by header.
        let state: NDIS_LINK_STATE = unsafe {
            read_optional(
                buffer.cast(),
                NDIS_OBJECT_TYPE_DEFAULT,
                size_of::<NDIS_LINK_STATE>(),
            )
        }?;
        Some(Self {
            connect: state.MediaConnectState.0,
            duplex: state.MediaDuplexState.0,
            xmit: state.XmitLinkSpeed,
            rcv: state.RcvLinkSpeed,
            pause: state.PauseFunctions.0,
            negotiated: state.AutoNegotiationFlags,
        })
    }
}

/// What an adapter below told us.
#[derive(Clone, Copy)]
pub struct Facts {
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
    /// Current address.
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
    /// Bytes before the data that the adapter wants (ATR-9).
    pub data_backfill: u32,
    /// Bytes of context space that the adapter wants (ATR-9).
    pub context_backfill: u32,
    /// Index of the topmost interface below us (IFS-1).
    pub if_index: u32,
    /// Power management (BND-11); absent: not PM-aware.
    pub pm: Option<NDIS_PM_CAPABILITIES>,
    /// RSS; absent: none.
    pub rss: Option<NDIS_RECEIVE_SCALE_CAPABILITIES>,
    /// Task offload as configured; absent: none.
    pub offload: Option<NDIS_OFFLOAD>,
    /// Task offload that the hardware has.
    pub offload_hardware: Option<NDIS_OFFLOAD>,
}

/// Whether a structure of `size` bytes reaches past the member at `offset`.
const fn covers(size: u16, offset: usize, member: usize) -> bool {
    size as usize >= offset + member
}

impl Facts {
    /// Reads the bind parameters (BND-9, BND-10, VER-4).
    ///
    /// # Safety
    /// `parameters` is null or the structure of the bind that is under way.
    pub unsafe fn read(parameters: *const NDIS_BIND_PARAMETERS) -> Result<Self> {
        // SAFETY: (VER-4) the caller's promise; all of revision 1 is needed.
        let bind: NDIS_BIND_PARAMETERS = unsafe {
            read_versioned(
                parameters,
                NDIS_OBJECT_TYPE_BIND_PARAMETERS,
                offset_of!(NDIS_BIND_PARAMETERS, HDSplitCurrentConfig),
            )
        }?;
        if usize::from(bind.MacAddressLength) > MAX_MAC {
            return Err(Error::BadData);
        }
        let pm = if covers(
            bind.Header.Size,
            offset_of!(NDIS_BIND_PARAMETERS, PowerManagementCapabilitiesEx),
            size_of::<usize>(),
        ) {
            // SAFETY: (BND-10, BND-11) null or valid during the bind.
            unsafe {
                read_optional(
                    bind.PowerManagementCapabilitiesEx.cast_const(),
                    NDIS_OBJECT_TYPE_DEFAULT,
                    offset_of!(NDIS_PM_CAPABILITIES, MinLinkChangeWakeUp) + 4,
                )
            }
        } else {
            None
        };
        // SAFETY: (BND-10) null or valid during the bind.
        let rss = unsafe {
            read_optional(
                bind.RcvScaleCapabilities.cast_const(),
                NDIS_OBJECT_TYPE_RSS_CAPABILITIES,
                offset_of!(
                    NDIS_RECEIVE_SCALE_CAPABILITIES,
                    NumberOfIndirectionTableEntries
                ),
            )
        };
        // SAFETY: (BND-10) null or valid during the bind.
        let offload = unsafe { read_offload(bind.DefaultOffloadConfiguration.cast_const()) };
        Ok(Self {
            medium: bind.MediaType,
            physical: bind.PhysicalMediumType,
            mtu: bind.MtuSize,
            max_xmit: bind.MaxXmitLinkSpeed,
            max_rcv: bind.MaxRcvLinkSpeed,
            link: Link {
                connect: bind.MediaConnectState.0,
                duplex: bind.MediaDuplexState.0,
                xmit: bind.XmitLinkSpeed,
                rcv: bind.RcvLinkSpeed,
                pause: ndis::sys::NdisPauseFunctionsUnknown.0,
                negotiated: 0,
            },
            lookahead: bind.LookaheadSize,
            filters: bind.SupportedPacketFilters,
            multicast: bind.MaxMulticastListSize,
            mac: bind.CurrentMacAddress,
            mac_length: bind.MacAddressLength,
            mac_options: bind.MacOptions,
            access: bind.AccessType,
            direction: bind.DirectionType,
            connection: bind.ConnectionType,
            if_type: bind.IfType,
            data_backfill: bind.DataBackFillSize,
            context_backfill: bind.ContextBackFillSize,
            if_index: bind.BoundIfIndex,
            pm: pm.map(|mut pm: NDIS_PM_CAPABILITIES| {
                pm.Header = clamp_header(
                    pm.Header,
                    NDIS_PM_CAPABILITIES_REVISION_2,
                    size_of::<NDIS_PM_CAPABILITIES>(),
                );
                pm
            }),
            rss: rss.map(|mut rss: NDIS_RECEIVE_SCALE_CAPABILITIES| {
                rss.Header = clamp_header(
                    rss.Header,
                    NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_3,
                    size_of::<NDIS_RECEIVE_SCALE_CAPABILITIES>(),
                );
                rss
            }),
            offload,
            offload_hardware: None,
        })
    }

    /// Takes over what a restart says (PBS-4). A list that is malformed or
    /// endless is read as far as it makes sense.
    ///
    /// # Safety
    /// `list` is null or the attribute list of the restart that is under way.
    pub unsafe fn refresh(&mut self, list: *const NDIS_RESTART_ATTRIBUTES) {
        let mut next = list;
        for _ in 0..64 {
            if next.is_null() {
                return;
            }
            // SAFETY: (PBS-4) not null, part of the list that NDIS made.
            let (oid, length) = unsafe { ((*next).Oid, (*next).DataLength) };
            // SAFETY: (PBS-4) `Data` is where the data start, whatever their length.
            let data = unsafe { (&raw const (*next).Data).cast::<VOID>() }
                .cast::<NDIS_RESTART_GENERAL_ATTRIBUTES>();
            let minimum = offset_of!(NDIS_RESTART_GENERAL_ATTRIBUTES, SupportedOidList);
            if oid == OID_GEN_MINIPORT_RESTART_ATTRIBUTES && length as usize >= minimum {
                // SAFETY: (VER-4) `DataLength` covers the minimum; the header
                // says how much more there is.
                let read = unsafe {
                    read_versioned::<NDIS_RESTART_GENERAL_ATTRIBUTES>(
                        data,
                        NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES,
                        minimum,
                    )
                };
                if let Ok(general) = read {
                    self.mtu = general.MtuSize;
                    self.max_xmit = general.MaxXmitLinkSpeed;
                    self.max_rcv = general.MaxRcvLinkSpeed;
                    self.lookahead = general.LookaheadSize;
                    self.filters = general.SupportedPacketFilters;
                    self.multicast = general.MaxMulticastListSize;
                    self.mac_options = general.MacOptions;
                    self.data_backfill = general.DataBackFillSize;
                    self.context_backfill = general.ContextBackFillSize;
                }
            }
            // SAFETY: (PBS-4) as above.
            next = unsafe { (*next).Next };
        }
    }

    /// Whether the adapter below is PM-aware (BND-11).
    pub const fn pm_aware(&self) -> bool {
        self.pm.is_some()
    }
}

/// Reads task offload capabilities, with a header that fits the copy (OFF-5).
///
/// # Safety
/// `source` is null or readable for as many bytes as its header says.
pub unsafe fn read_offload(source: *const NDIS_OFFLOAD) -> Option<NDIS_OFFLOAD> {
    // SAFETY: (BND-10) the caller's promise; up to LSOv2 there since 6.0.
    let mut offload: NDIS_OFFLOAD = unsafe {
        read_optional(
            source,
            NDIS_OBJECT_TYPE_OFFLOAD,
            offset_of!(NDIS_OFFLOAD, Flags),
        )
    }?;
    offload.Header = clamp_header(
        offload.Header,
        NDIS_OFFLOAD_REVISION_7,
        size_of::<NDIS_OFFLOAD>(),
    );
    Some(offload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{Shown, mac_options, no_wake_up};
    use ndis::header::{Zeroed, header};
    use ndis::nbl_context::CONTEXT_BYTES;
    use ndis::sys::{
        NDIS_MAC_OPTION_8021P_PRIORITY, NDIS_MAC_OPTION_8021Q_VLAN, NDIS_MAC_OPTION_NO_LOOPBACK,
        NDIS_MAC_OPTION_RESERVED, NdisDeviceStateD2, NdisDeviceStateUnspecified,
    };

    fn bind(size: usize) -> NDIS_BIND_PARAMETERS {
        let mut bind = NDIS_BIND_PARAMETERS::zeroed();
        bind.Header = header(NDIS_OBJECT_TYPE_BIND_PARAMETERS, 4, size);
        bind.MtuSize = 1500;
        bind.MacAddressLength = 6;
        bind.ContextBackFillSize = 32;
        bind
    }

    fn pm() -> NDIS_PM_CAPABILITIES {
        let mut pm = NDIS_PM_CAPABILITIES::zeroed();
        pm.Header = header(
            NDIS_OBJECT_TYPE_DEFAULT,
            2,
            size_of::<NDIS_PM_CAPABILITIES>(),
        );
        pm.MinMagicPacketWakeUp = NdisDeviceStateD2;
        pm.MinPatternWakeUp = NdisDeviceStateD2;
        pm.NumTotalWoLPatterns = 7;
        pm
    }

    /// BND-10: absent members are absent, not followed.
    #[test]
    fn optional_members_may_be_null() {
        let bind = bind(size_of::<NDIS_BIND_PARAMETERS>());
        // SAFETY: (BND-9) lives until the end of the test.
        let facts = unsafe { Facts::read(&raw const bind) }.unwrap();
        assert!(!facts.pm_aware() && facts.rss.is_none() && facts.offload.is_none());
        assert_eq!((facts.mtu, facts.mac_length), (1500, 6));
    }

    /// VER-4, BND-10: a member of a later revision is read only if the size
    /// covers it.
    #[test]
    fn members_past_the_size_are_not_read() {
        let mut pm = pm();
        let short = offset_of!(NDIS_BIND_PARAMETERS, PowerManagementCapabilitiesEx);
        for (size, aware) in [(short, false), (short + 8, true)] {
            let mut bind = bind(size);
            bind.PowerManagementCapabilitiesEx = &raw mut pm;
            // SAFETY: (BND-9) lives until the end of the loop.
            let facts = unsafe { Facts::read(&raw const bind) }.unwrap();
            assert_eq!(facts.pm_aware(), aware);
        }
        let bind = bind(16);
        // SAFETY: (VER-4) the structure is longer than it says.
        assert!(unsafe { Facts::read(&raw const bind) }.is_err());
        // SAFETY: (MEM-3) null is refused.
        assert!(unsafe { Facts::read(core::ptr::null()) }.is_err());
    }

    #[test]
    fn an_absurd_address_length_is_refused() {
        let mut bind = bind(size_of::<NDIS_BIND_PARAMETERS>());
        bind.MacAddressLength = 33;
        // SAFETY: (BND-9) lives until the end of the test.
        assert!(unsafe { Facts::read(&raw const bind) }.is_err());
    }

    /// ATR-6, ATR-7, ATR-8, ATR-9: the adapter's values but for what they demand.
    #[test]
    fn what_is_shown() {
        let mut pm = pm();
        let mut bind = bind(size_of::<NDIS_BIND_PARAMETERS>());
        bind.PowerManagementCapabilitiesEx = &raw mut pm;
        bind.MacOptions = NDIS_MAC_OPTION_RESERVED | NDIS_MAC_OPTION_8021Q_VLAN;
        // SAFETY: (BND-9) lives until the end of the test.
        let facts = unsafe { Facts::read(&raw const bind) }.unwrap();
        let shown = Shown::one_to_one(&facts);
        assert_eq!(shown.mtu, facts.mtu);
        assert_eq!(shown.link, facts.link);
        assert_eq!(shown.context_backfill, 32 + u32::from(CONTEXT_BYTES));
        let wake = shown.pm.unwrap();
        assert_eq!(wake.MinMagicPacketWakeUp, NdisDeviceStateUnspecified);
        assert_eq!(wake.MinPatternWakeUp, NdisDeviceStateUnspecified);
        assert_eq!(wake.NumTotalWoLPatterns, 7);
        assert_eq!(no_wake_up(wake).NumTotalWoLPatterns, 7);
        let options = mac_options(facts.mac_options);
        assert_eq!(shown.mac_options, options);
        assert_eq!(options & NDIS_MAC_OPTION_RESERVED, 0);
        for bit in [
            NDIS_MAC_OPTION_NO_LOOPBACK,
            NDIS_MAC_OPTION_8021P_PRIORITY,
            NDIS_MAC_OPTION_8021Q_VLAN,
        ] {
            assert_ne!(options & bit, 0);
        }
    }

    /// STS-4: a link status that is too short or malformed is not believed.
    #[test]
    fn link_status_is_checked() {
        let mut state = NDIS_LINK_STATE::zeroed();
        state.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, size_of::<NDIS_LINK_STATE>());
        state.XmitLinkSpeed = 42;
        let buffer = (&raw const state).cast::<u8>();
        for length in 0..size_of::<NDIS_LINK_STATE>() as u32 {
            // SAFETY: (STS-4) the structure is at least that long.
            assert_eq!(unsafe { Link::read(buffer, length) }, None);
        }
        // SAFETY: (STS-4) the structure's own length.
        let link = unsafe { Link::read(buffer, size_of::<NDIS_LINK_STATE>() as u32) };
        assert_eq!(link.unwrap().xmit, 42);
        state.Header.Type = 1;
        // SAFETY: (STS-4) the structure's own length.
        let link = unsafe { Link::read((&raw const state).cast(), size_of_val(&state) as u32) };
        assert_eq!(link, None);
    }

    /// PBS-4: unknown, short and circular attribute lists change nothing.
    #[test]
    fn hostile_restart_attributes() {
        let bind = bind(size_of::<NDIS_BIND_PARAMETERS>());
        // SAFETY: (BND-9) lives until the end of the test.
        let mut facts = unsafe { Facts::read(&raw const bind) }.unwrap();
        // SAFETY: (PBS-4 does not apply: the list is the test's) zero is a value.
        let mut list: NDIS_RESTART_ATTRIBUTES =
            unsafe { core::mem::MaybeUninit::zeroed().assume_init() };
        list.Oid = OID_GEN_MINIPORT_RESTART_ATTRIBUTES;
        list.DataLength = 4;
        list.Next = &raw mut list;
        // SAFETY: (PBS-4) a list of one that points to itself.
        unsafe { facts.refresh(&raw const list) };
        assert_eq!(facts.mtu, 1500);
        // SAFETY: (PBS-4) null is an empty list.
        unsafe { facts.refresh(core::ptr::null()) };
    }
}

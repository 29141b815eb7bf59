//! Attributes a miniport sets while it initialises, and the checks on them.

use ndis_sys::{
    NDIS_MAC_OPTION_8021P_PRIORITY, NDIS_MAC_OPTION_NO_LOOPBACK, NDIS_MAC_OPTION_RESERVED,
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER,
    NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE, NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM,
    NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND, NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND,
    NDIS_MINIPORT_ATTRIBUTES_REGISTER_BUGCHECK_CALLBACK, NDIS_OBJECT_HEADER,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, NDIS_PM_CAPABILITIES,
    NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2, NDIS_STATUS, NDIS_STATUS_FAILURE,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_SUCCESS, NdisDeviceStateUnspecified,
    NdisMedium802_3,
};

use super::EdgeState;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

/// What a virtual miniport said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MiniportFacts {
    /// Registration attributes were set.
    pub registered: bool,
    /// General attributes were set.
    pub general: bool,
    /// Attribute flags.
    pub flags: u32,
    /// MTU without the Ethernet header.
    pub mtu: u32,
    /// Bits per second.
    pub link_speed: u64,
    /// `NDIS_MEDIA_CONNECT_STATE`.
    pub connect_state: i32,
    /// Packet filters it can honour.
    pub packet_filters: u32,
    /// `MacOptions`.
    pub mac_options: u32,
    /// Multicast addresses it can hold.
    pub multicast: u32,
    /// Current address.
    pub mac: [u8; 6],
    /// What senders must leave before the data.
    pub data_backfill: u32,
    /// What senders must leave in the context area.
    pub context_backfill: u32,
    /// `IfConnectorPresent`.
    pub connector: bool,
    /// Lookahead.
    pub lookahead: u32,
    /// Power management capabilities are reported.
    pub pm: bool,
    /// RSS capabilities are reported.
    pub rss: bool,
    /// Offload attributes were set.
    pub offload: bool,
    /// They name anything that is done.
    pub tasks: bool,
    /// QoS capabilities are reported.
    pub qos: bool,
    /// Queues of receive filters, in hardware and switched on, and ports of the NIC switch, the
    /// same: as it showed or told them last, if it shows such.
    pub assist: [Option<u32>; 4],
    /// Its queues are those of all members together.
    pub queues_add: bool,
    /// OIDs it says it supports.
    pub oids: Vec<u32>,
    /// Supported statistics.
    pub statistics: u32,
}

/// `NDIS_STATISTICS_FLAGS_VALID_xxx` of all members.
const ALL_STATISTICS: u32 = 0x003F_FFFF;

/// Bytes of revision 2 of the general attributes.
const GENERAL_2: usize = NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2 as usize;

impl Host {
    /// Minor number of the NDIS version that a miniport's driver declared.
    pub(crate) fn declared(&self, miniport: u64) -> u8 {
        self.ndis(|n| {
            let driver = n
                .miniports
                .get(&miniport)
                .and_then(|m| n.drivers.get(&m.driver));
            driver.map_or(0, |d| d.chars.MinorNdisVersion)
        })
    }
}

impl Host {
    /// ATR-10, ATR-12: asks a virtual miniport for every OID that it says it supports, or has to
    /// for a feature that it shows.
    pub fn walk_oids(&self, miniport: u64) {
        let unknown = |status: i32| {
            [
                ndis_sys::NDIS_STATUS_NOT_SUPPORTED.0,
                ndis_sys::NDIS_STATUS_INVALID_OID.0,
            ]
            .contains(&status)
        };
        let Some(facts) = self.miniport_facts(miniport) else {
            return;
        };
        for (shown, name, oid) in [
            (facts.rss, "RSS", ndis_sys::OID_GEN_RECEIVE_SCALE_PARAMETERS),
            (
                facts.offload,
                "task offload",
                ndis_sys::OID_TCP_OFFLOAD_PARAMETERS,
            ),
        ] {
            if shown && unknown(self.oid(miniport, &super::OidCall::set(oid, &[])).status) {
                self.violate(
                    "ATR-12",
                    format!("{name} is shown, and its OID {:#x} is not supported", oid.0),
                );
            }
        }
        for oid in facts.oids {
            let asked = ndis_sys::NDIS_OID(oid);
            let query = self
                .oid(miniport, &super::OidCall::query(asked, 1024))
                .status;
            // What can only be set is asked with nothing, which changes nothing.
            if unknown(query)
                && unknown(self.oid(miniport, &super::OidCall::set(asked, &[])).status)
            {
                self.violate(
                    "ATR-10",
                    format!("OID {oid:#x} is in SupportedOidList and is answered {query:#x}"),
                );
            }
        }
    }
}

/// What a virtual miniport cannot have more of than the adapters below it (ATR-7, ATR-9,
/// ATR-12).
fn below(host: &Host, miniport: u64, a: &NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES) {
    let nics: Vec<_> = host.ndis(|n| {
        let Some(m) = n.miniports.get(&miniport) else {
            return Vec::new();
        };
        let serving = n.serving(&m.name);
        serving
            .filter_map(|b| Some(n.nics.get(n.bindings.get(&b)?.nic)?.config.clone()))
            .collect()
    });
    let Some(mtu) = nics.iter().map(|nic| nic.mtu).max() else {
        return;
    };
    if a.MtuSize > mtu {
        host.violate(
            "ATR-7",
            format!("MtuSize is {}, the adapter's is {mtu}", a.MtuSize),
        );
    }
    let data = nics.iter().map(|nic| nic.data_backfill).max().unwrap_or(0);
    let context = nics
        .iter()
        .map(|nic| nic.context_backfill)
        .max()
        .unwrap_or(0);
    if a.DataBackFillSize < data || a.ContextBackFillSize < context {
        host.violate(
            "ATR-9",
            format!(
                "room for {} and {} bytes is asked for, the adapter needs {data} and {context}",
                a.DataBackFillSize, a.ContextBackFillSize
            ),
        );
    }
    if !a.RecvScaleCapabilities.is_null() && !nics.iter().any(|nic| nic.rss) {
        host.violate("ATR-12", "RSS is shown and no adapter below has it".into());
    }
    if !a.PowerManagementCapabilitiesEx.is_null() && !nics.iter().any(|nic| nic.pm) {
        host.violate(
            "ATR-6",
            "power management is shown and no adapter below has it".into(),
        );
    }
}

fn registration(host: &Host, miniport: u64, at: u64) -> NDIS_STATUS {
    let a: NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES = host.get(at, "MiniportAttributes");
    let forbidden = NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE
        | NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER
        | NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM;
    if a.AttributeFlags & NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND == 0
        || a.AttributeFlags & forbidden != 0
        || a.InterfaceType.0 != 0
        || a.MiniportAdapterContext.is_null()
    {
        host.violate(
            "ATR-3",
            format!(
                "registration attributes: flags {:#x}, interface type {}, context {:?}",
                a.AttributeFlags, a.InterfaceType.0, a.MiniportAdapterContext
            ),
        );
    }
    if a.AttributeFlags & NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND != 0 && a.Header.Revision < 2
    {
        host.violate("ATR-4", "NO_PAUSE_ON_SUSPEND needs revision 2".into());
    } else if a.AttributeFlags & NDIS_MINIPORT_ATTRIBUTES_REGISTER_BUGCHECK_CALLBACK != 0 {
        host.violate(
            "ATR-4",
            "a virtual miniport has no reason to want a bug check callback".into(),
        );
    } else if a.Header.Revision < 2 && host.declared(miniport) >= 30 {
        host.violate(
            "VER-3",
            "a driver of NDIS 6.30 or later sets registration attributes of revision 1".into(),
        );
    }
    let other = host.ndis(|n| {
        let mut others = n
            .miniports
            .iter()
            .filter(|(h, m)| **h != miniport && m.facts.registered);
        others
            .find(|(_, m)| m.context == a.MiniportAdapterContext as u64)
            .map(|(_, m)| m.name.clone())
    });
    if let Some(other) = other {
        host.violate(
            "VMI-5",
            format!("MiniportAdapterContext is that of {other}: two adapters share one state"),
        );
        return NDIS_STATUS_INVALID_PARAMETER;
    }
    host.ndis(|n| {
        let m = n.miniports.get_mut(&miniport).expect("checked handle");
        m.context = a.MiniportAdapterContext as u64;
        m.facts.registered = true;
        m.facts.flags = a.AttributeFlags;
    });
    NDIS_STATUS_SUCCESS
}

fn general(host: &Host, miniport: u64, at: u64) -> NDIS_STATUS {
    if !host.ndis(|n| n.miniports[&miniport].facts.registered) {
        host.violate(
            "ATR-1",
            "general attributes come before the registration attributes".into(),
        );
    }
    let a: NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES = host.get(at, "MiniportAttributes");
    let minor = host.declared(miniport);
    if minor >= 20 && (a.Header.Revision < 2 || usize::from(a.Header.Size) < GENERAL_2) {
        host.violate(
            "ATR-5",
            format!(
                "general attributes of revision {} with {} bytes by a driver of NDIS 6.{minor}",
                a.Header.Revision, a.Header.Size
            ),
        );
    } else if minor >= 20 && !a.PowerManagementCapabilities.is_null() {
        if a.PowerManagementCapabilitiesEx.is_null() {
            host.violate("VER-1", format!("a driver of NDIS 6.{minor} shows power by NDIS_PNP_CAPABILITIES, which 6.20 replaced"));
        } else {
            host.violate(
                "ATR-5",
                "PowerManagementCapabilities, which 6.20 replaced, is not NULL".into(),
            );
        }
    }
    below(host, miniport, &a);
    if a.MediaType != NdisMedium802_3 || a.MacAddressLength != 6 || a.MtuSize == 0 {
        host.violate(
            "ATR-7",
            "medium, address length or MTU do not fit Ethernet".into(),
        );
    }
    if a.IfConnectorPresent != 0 {
        host.violate(
            "ATR-7",
            "IfConnectorPresent is TRUE for a virtual miniport".into(),
        );
    }
    let mac = a.MacOptions;
    // 8021Q_VLAN implies 8021P_PRIORITY, which is demanded in any case.
    let needed = NDIS_MAC_OPTION_NO_LOOPBACK | NDIS_MAC_OPTION_8021P_PRIORITY;
    if mac & needed != needed || mac & NDIS_MAC_OPTION_RESERVED != 0 {
        host.violate("ATR-8", format!("MacOptions is {mac:#x}"));
    }
    if a.SupportedStatistics & ALL_STATISTICS != ALL_STATISTICS {
        host.violate(
            "ATR-11",
            format!(
                "SupportedStatistics {:#x} lacks {:#x}",
                a.SupportedStatistics,
                ALL_STATISTICS & !a.SupportedStatistics
            ),
        );
    }
    let mac = &a.CurrentMacAddress[..6];
    if a.MacAddressLength == 6 && (mac[0] & 1 != 0 || mac.iter().all(|b| *b == 0)) {
        host.violate(
            "ATR-13",
            format!("CurrentMacAddress {mac:02x?} is no unicast address"),
        );
    }
    if !a.PowerManagementCapabilitiesEx.is_null() {
        let pm: NDIS_PM_CAPABILITIES = host.get(
            a.PowerManagementCapabilitiesEx as u64,
            "PowerManagementCapabilitiesEx",
        );
        let unspecified = NdisDeviceStateUnspecified;
        if pm.MinMagicPacketWakeUp != unspecified
            || pm.MinPatternWakeUp != unspecified
            || pm.MinLinkChangeWakeUp != unspecified
        {
            host.violate(
                "ATR-6",
                "a wake-up state of a virtual miniport is not Unspecified".into(),
            );
        }
    }
    if !a.SupportedOidListLength.is_multiple_of(4) {
        host.violate(
            "ATR-10",
            format!(
                "SupportedOidListLength is {} bytes",
                a.SupportedOidListLength
            ),
        );
    }
    let oids = (0..a.SupportedOidListLength.min(4096) / 4)
        .map(|i| {
            host.get(
                a.SupportedOidList as u64 + 4 * u64::from(i),
                "SupportedOidList",
            )
        })
        .collect();
    let mut address = [0; 6];
    address.copy_from_slice(&a.CurrentMacAddress[..6]);
    host.ndis(|n| {
        let m = n.miniports.get_mut(&miniport).expect("checked handle");
        let f = &mut m.facts;
        f.general = true;
        f.mtu = a.MtuSize;
        f.link_speed = a.XmitLinkSpeed;
        f.connect_state = a.MediaConnectState.0;
        f.packet_filters = a.SupportedPacketFilters;
        f.mac_options = a.MacOptions;
        f.multicast = a.MaxMulticastListSize;
        f.mac = address;
        f.data_backfill = a.DataBackFillSize;
        f.context_backfill = a.ContextBackFillSize;
        f.connector = a.IfConnectorPresent != 0;
        f.lookahead = a.LookaheadSize;
        f.pm = !a.PowerManagementCapabilitiesEx.is_null();
        f.rss = !a.RecvScaleCapabilities.is_null();
        f.statistics = a.SupportedStatistics;
        f.oids = oids;
    });
    NDIS_STATUS_SUCCESS
}

fn offload(host: &Host, miniport: u64, at: u64) -> NDIS_STATUS {
    let a: NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES = host.get(at, "MiniportAttributes");
    let minor = host.ndis(|n| {
        let driver = n.miniports[&miniport].driver;
        n.drivers
            .get(&driver)
            .map_or(0, |d| d.chars.MinorNdisVersion)
    });
    let mut tasks = false;
    for p in [a.DefaultOffloadConfiguration, a.HardwareOffloadCapabilities] {
        if !p.is_null() {
            tasks |= host.check_offload(miniport, p as u64, minor);
        }
    }
    host.ndis(|n| {
        n.ledger.offloads |= tasks;
        let m = n.miniports.get_mut(&miniport).expect("checked handle");
        m.facts.tasks = tasks;
        m.facts.offload = !a.DefaultOffloadConfiguration.is_null();
    });
    NDIS_STATUS_SUCCESS
}

api! { exports:
    /// Takes over one attribute structure of a miniport that initialises.
    "ndis.sys" 0..=0 "IRQ-3"
    fn NdisMSetMiniportAttributes(host, miniport: u64, attributes: u64) -> NDIS_STATUS {
        if !host.check("NdisMiniportHandle", miniport, Kind::Miniport) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let h: NDIS_OBJECT_HEADER = host.get(attributes, "MiniportAttributes");
        let initializing = host.ndis(|n| n.miniports[&miniport].state == EdgeState::Initializing);
        if !initializing {
            host.violate("ATR-1", "attributes are set outside MiniportInitializeEx".into());
            return NDIS_STATUS_FAILURE;
        }
        if host.fails("NdisMSetMiniportAttributes") {
            return ndis_sys::NDIS_STATUS_RESOURCES;
        }
        match h.Type {
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES => registration(host, miniport, attributes),
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES => general(host, miniport, attributes),
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES => {
                if !host.ndis(|n| n.miniports[&miniport].facts.general) {
                    host.violate("ATR-2", "offload attributes come before the general attributes".into());
                }
                offload(host, miniport, attributes)
            }
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES => {
                host.judge_assist(miniport, attributes);
                NDIS_STATUS_SUCCESS
            }
            other => {
                if !host.ndis(|n| n.miniports[&miniport].facts.general) {
                    host.violate("ATR-2", format!("attributes of type {other:#x} come before the general attributes"));
                }
                NDIS_STATUS_SUCCESS
            }
        }
    }
}

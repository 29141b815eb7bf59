//! How im-core asks the decisions of this crate.
//!
//! What im-core knows becomes their arguments here, and their answers become what
//! im-core carries out. [`Adapter`] and [`Port`] are made once, at PASSIVE_LEVEL,
//! and never change; the data path reads them on any processor.

use crate::address;
use crate::classify::{self, Drop, Group};
use crate::merge::{self, Tagging};
use crate::settings::{self, Id, Mode};
use crate::switch;
use crate::tag::{Policy, Refusal};
use ethernet::{Mac, TAG_BYTES, Tag, Vlan};
use im_control::DropReason;
use im_core::data::fanout::{
    CONTEXT_BYTES, Delivery, Fanout, Frame, Look, MAX_MULTICAST, PortRef, PortView, Route, Strip,
    Switch,
};
use im_core::facts::Link;
use im_core::merge::{Merged, Wish};
use im_core::oid_table::{self, Below, Rule};
use im_core::settings::{Reason, Refused, Values};
use im_core::status_table::{self, StatusRule};
use im_core::{Driver, Facts, Identity, Notice, Shown, Topology};
use ndis::memory::Tag as PoolTag;
use ndis::oid::Facts as Asked;
use ndis::string::wide;
use ndis::sys::{
    MediaConnectStateConnected, MediaConnectStateDisconnected, MediaDuplexStateUnknown,
    NDIS_LINK_SPEED_UNKNOWN, NDIS_MAC_OPTION_8021Q_VLAN, NDIS_OFFLOAD, NDIS_STATUS,
    NDIS_STATUS_FAILURE, NdisMedium802_3, NdisPhysicalMediumNative802_11,
    NdisPhysicalMediumWirelessLan,
};
use ndis::{Error, Result};

/// The 1:N topology.
#[derive(Debug)]
pub enum Mux {}

/// The driver's one static: handles, table of bindings, events.
static DRIVER: Driver<Mux> = Driver::new();

/// What is known about an adapter.
#[derive(Clone, Copy, Debug)]
pub struct Adapter {
    /// Its settings.
    pub settings: settings::Adapter,
    /// It takes tags beside the frames, and may.
    pub beside: bool,
}

/// What is known about a port.
#[derive(Debug)]
pub struct Port {
    /// Its settings.
    pub settings: settings::Port,
    /// Its address.
    pub mac: Mac,
    /// What it does with what it sends and receives.
    mode: Mode,
}

impl Port {
    /// What it does with what it sends and receives.
    pub fn policy(&self) -> Policy<'_> {
        Policy::new(self.mode, self.mac, &self.settings)
    }
}

/// The adapter's address; the bind saw to it that there is one.
fn own_mac(facts: &Facts) -> Mac {
    Mac::from_slice(&facts.mac).unwrap_or(Mac::ZERO)
}

/// How a port's tags get to the adapter.
fn tagging(adapter: Adapter, port: &Port) -> Tagging {
    match (port.policy().tags(), adapter.beside) {
        (false, _) => Tagging::None,
        (true, true) => Tagging::Beside,
        (true, false) => Tagging::InBand,
    }
}

/// The name under which a drop is counted.
const fn counted(drop: Drop) -> DropReason {
    match drop {
        Drop::ReservedVlan | Drop::NestedTag | Drop::ForeignTag => DropReason::ReceiveVlan,
        Drop::OwnSource => DropReason::ReceiveReflected,
        Drop::Unwanted => DropReason::ReceiveUnwanted,
    }
}

/// The link of a port whose adapter has this one.
fn link_of(port: &settings::Port, below: Link) -> Link {
    if !port.up {
        return Link {
            connect: MediaConnectStateDisconnected.0,
            duplex: MediaDuplexStateUnknown.0,
            xmit: NDIS_LINK_SPEED_UNKNOWN,
            rcv: NDIS_LINK_SPEED_UNKNOWN,
            ..below
        };
    }
    if port.loose {
        return Link {
            connect: MediaConnectStateConnected.0,
            ..below
        };
    }
    below
}

/// The group of a VLAN: its members, each with its packet filter and multicast
/// list.
fn group_of<'a, P, I>(mode: Mode, vlan: Vlan, members: &I) -> Result<Group<P>>
where
    P: Copy + PartialEq + 'a,
    I: Iterator<Item = (P, &'a Port, u32, &'a [Mac])> + Clone,
{
    let views = members
        .clone()
        .map(|(at, port, filter, multicast)| classify::PortView {
            port: at,
            mac: port.mac,
            // A port that is down hears nothing.
            filter: if port.settings.up { filter } else { 0 },
            multicast,
            guest: port.settings.vlan != vlan,
        });
    Group::build(mode, &views).map_err(|_| Error::NoResources)
}

/// What becomes of a frame that a port sends.
fn route_of<'g, P: Copy + PartialEq>(
    port: &Port,
    at: P,
    group: Option<&'g Group<P>>,
    frame: &Frame,
) -> Route<'g, P> {
    if !port.settings.up {
        return Route::Refuse(NDIS_STATUS_FAILURE, DropReason::SendPort);
    }
    let (egress, strip) = match port.policy().leave(&frame.header, frame.beside) {
        Ok(leaves) => leaves,
        Err(refusal) => {
            let reason = match refusal {
                Refusal::ForeignTag => DropReason::SendTagged,
                Refusal::Spoofed => DropReason::SendSpoofed,
            };
            return Route::Refuse(NDIS_STATUS_FAILURE, reason); // SND-4
        }
    };
    let Some(group) = group else {
        return Route::Down(egress);
    };
    let ways = switch::ways(group, at, frame.header.destination);
    match ways.local {
        None => Route::Down(egress),
        Some(local) if ways.down => Route::Both(egress, strip, local),
        Some(local) => Route::Local(strip, local),
    }
}

impl Topology for Mux {
    const IDENTITY: Identity = Identity {
        service: &wide(b"ImMux"),
        device: &wide(b"\\Device\\mux"),
        link: &wide(b"\\DosDevices\\mux"),
        major: 0,
        minor: 1,
        tag: PoolTag::new(*b"ImMx"),
    };

    const UPPERS_PER_LOWER: usize = usize::MAX;

    type Adapter = Adapter;
    type Port = Port;
    type Data = Fanout;

    fn driver() -> &'static Driver<Self> {
        &DRIVER
    }

    fn notice(notice: Notice) {
        #[cfg(windows)]
        crate::kernel::say(notice);
        #[cfg(not(windows))]
        let _ = notice;
    }

    fn accepts(facts: &Facts) -> Result<()> {
        // Frames are told apart by what an Ethernet header says.
        let ethernet = facts.medium == NdisMedium802_3
            && usize::from(facts.mac_length) == Mac::ZERO.0.len()
            && own_mac(facts).is_station();
        if ethernet {
            Ok(())
        } else {
            Err(Error::UnsupportedMedium)
        }
    }

    fn adapter(facts: &Facts, values: &dyn Values) -> core::result::Result<Adapter, Refused> {
        let settings = settings::Adapter::read(values)?;
        Ok(Adapter {
            settings,
            beside: facts.mac_options & NDIS_MAC_OPTION_8021Q_VLAN != 0 && !settings.in_band,
        })
    }

    fn port(
        adapter: &Adapter,
        facts: &Facts,
        position: u32,
        values: &dyn Values,
    ) -> core::result::Result<Port, Refused> {
        let settings = settings::Port::read(position, values)?;
        let mode = adapter.settings.mode;
        if mode == Mode::Passthru {
            // One port, with all of the adapter's VLANs.
            if position > 0 {
                return Err(Id::Mode.refused(Reason::Conflict));
            }
            if !settings.vlan.is_none() {
                return Err(Id::VlanId.refused(Reason::Conflict));
            }
        }
        let below = address::Below {
            mac: own_mac(facts),
            one_address: facts.physical == NdisPhysicalMediumNative802_11
                || facts.physical == NdisPhysicalMediumWirelessLan,
        };
        let mac = address::resolve(mode, &settings, below)?;
        Ok(Port {
            settings,
            mac,
            mode,
        })
    }

    const KEY_SETTING: u8 = Id::VlanId as u8;

    fn key(port: &Port) -> Option<u64> {
        Some(address::key(port.settings.vlan, port.mac))
    }

    fn shown(adapter: &Adapter, facts: &Facts, port: &Port) -> Shown {
        let tagging = tagging(*adapter, port);
        let mode = adapter.settings.mode;
        let mut shown = Shown::one_to_one(facts);
        shown.mtu = merge::mtu(facts.mtu, tagging);
        shown.link = link_of(&port.settings, facts.link);
        // Longer lists than the adapter's become all-multicast below.
        shown.multicast = MAX_MULTICAST as u32;
        shown.mac = [0; im_core::facts::MAX_MAC];
        for (to, from) in shown.mac.iter_mut().zip(port.mac.0) {
            *to = from;
        }
        if mode != Mode::Passthru {
            // The VLAN is the port's affair, not that of whoever sends through it.
            shown.mac_options &= !NDIS_MAC_OPTION_8021Q_VLAN;
        }
        if tagging == Tagging::InBand {
            // Room for the tag in front of the payload (ATR-9).
            shown.data_backfill = facts.data_backfill.saturating_add(TAG_BYTES as u32);
        }
        shown.context_backfill = facts
            .context_backfill
            .saturating_add(u32::from(CONTEXT_BYTES));
        shown.pm = facts.pm.as_ref().map(merge::power);
        // One indirection table below cannot be several above (RSS-2).
        shown.rss = None;
        let offered = |below: Option<&NDIS_OFFLOAD>| {
            below.and_then(|below| merge::offload(below, tagging, mode))
        };
        shown.offload = offered(facts.offload.as_ref());
        shown.offload_hardware =
            offered(facts.offload_hardware.as_ref().or(facts.offload.as_ref()));
        shown
    }

    fn merge<'a>(
        _adapter: &Adapter,
        facts: &Facts,
        wishes: &mut dyn Iterator<Item = Wish<'a, Port>>,
        groups: &mut [Mac],
    ) -> Merged
    where
        Port: 'a,
    {
        let able = merge::Able {
            mac: own_mac(facts),
            filters: facts.filters,
        };
        let asks = wishes.map(|wish| merge::Ask {
            mac: wish.mac,
            filter: if wish.port.settings.up {
                wish.filter
            } else {
                0
            },
            groups: wish.groups,
        });
        merge::together(able, asks, groups)
    }

    fn link(port: &Port, below: Link) -> Link {
        link_of(&port.settings, below)
    }

    fn vlan_id(port: &Port) -> u16 {
        port.settings.vlan.number()
    }

    fn follows_mac(_adapter: &Adapter, port: &Port) -> bool {
        address::follows(&port.settings)
    }

    fn request_rule(asked: Asked, below: Below) -> Rule {
        oid_table::one_to_many(asked, below)
    }

    fn status_rule(code: NDIS_STATUS, below: Below) -> StatusRule {
        status_table::one_to_many(code, below)
    }
}

impl Switch for Mux {
    type Group = Group<PortRef<Self>>;

    fn vlan(port: &Port) -> Vlan {
        port.settings.vlan
    }

    fn takes_untagged(port: &Port) -> bool {
        port.settings.accept_untagged && !port.settings.vlan.is_none()
    }

    fn build(adapter: &Adapter, vlan: Vlan, members: &[PortView<'_, Self>]) -> Result<Self::Group> {
        let members = members
            .iter()
            .map(|member| (member.at, member.port, member.filter, member.multicast));
        group_of(adapter.settings.mode, vlan, &members)
    }

    fn arrival(
        adapter: &Adapter,
        frame: &Frame,
    ) -> core::result::Result<(Vlan, Strip), DropReason> {
        classify::arrival(adapter.settings.mode, &frame.header, frame.beside).map_err(counted)
    }

    fn receive<'g>(
        _adapter: &Adapter,
        group: &'g Self::Group,
        frame: &Frame,
    ) -> core::result::Result<Delivery<'g, PortRef<Self>>, DropReason> {
        group
            .received(frame.header.destination, frame.header.source)
            .map_err(counted)
    }

    fn above(port: &Port, tag: Tag) -> Tag {
        port.policy().above(tag)
    }

    fn look(adapter: &Adapter, port: &Port) -> Look {
        match adapter.settings.mode {
            Mode::Passthru if port.settings.up && !port.settings.anti_spoof => Look::No,
            // A tag, or its absence, is what keeps the ports apart.
            Mode::Private | Mode::Vepa | Mode::Passthru => Look::Header,
            Mode::Bridge => Look::Group,
        }
    }

    fn send<'g>(
        _adapter: &Adapter,
        port: &Port,
        at: PortRef<Self>,
        group: Option<&'g Self::Group>,
        frame: &Frame,
    ) -> Route<'g, PortRef<Self>> {
        route_of(port, at, group, frame)
    }

    fn tags_beside(adapter: &Adapter) -> bool {
        adapter.beside
    }

    fn share(port: &Port) -> u32 {
        port.settings.share
    }
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;

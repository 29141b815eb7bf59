//! Whose is a received frame?
//!
//! Two steps. [`arrival`] looks at the header and at the word beside the list and
//! says to which VLAN the frame belongs; the adapter has a [`Group`] for each VLAN
//! with ports. [`Group::received`] then says which ports of the group get it,
//! exactly as NDIS defines packet filters (OID_GEN_CURRENT_PACKET_FILTER).
//!
//! Both steps take constant time and no lock, no atomic operation and no memory
//! (IRQL <= DISPATCH_LEVEL). A group never changes: when a port changes, a new
//! group is built (PASSIVE_LEVEL) and published in the old one's place.
//!
//! A port's wire is its VLAN. A promiscuous port hears everything on it, and
//! nothing of other VLANs, as if it were plugged into an access port.

use crate::mac_table::{MacTable, NoMemory, filled};
use crate::settings::Mode;
use ethernet::{Header, Mac, Nested, OutOfBand, Outer, Vlan};
use im_core::data::fanout::{Delivery, Strip};
use im_core::list::List;
use ndis::sys::{
    NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_DIRECTED,
    NDIS_PACKET_TYPE_MULTICAST, NDIS_PACKET_TYPE_PROMISCUOUS,
};

/// Why a received frame goes to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drop {
    /// VLAN 4095, which may be on no wire.
    ReservedVlan,
    /// A tag behind one that has only a priority: with that taken off, a frame
    /// of one VLAN would come to ports without any.
    NestedTag,
    /// A service tag (802.1ad) in front: another network's.
    ForeignTag,
    /// From a port's own address: the network sent back what a port had sent.
    OwnSource,
    /// No port has asked for it.
    Unwanted,
}

/// The VLAN that a received frame belongs to, [`Vlan::NONE`] for untagged frames
/// and those with a priority only, and what becomes of its tag.
pub const fn arrival(
    mode: Mode,
    header: &Header,
    beside: OutOfBand,
) -> Result<(Vlan, Strip), Drop> {
    let word = beside.tag();
    // An adapter that took the tag out put it into the word; what is in the frame
    // then stood behind it and is payload.
    let (vlan, strip) = match header.outer {
        Outer::Customer(tag) if word.vlan.is_none() => (tag.vlan, Strip::InFrame(tag)),
        _ if word.tci() == 0 => (Vlan::NONE, Strip::Keep),
        _ => (word.vlan, Strip::Beside(word)),
    };
    if vlan.is_reserved() {
        return Err(Drop::ReservedVlan);
    }
    if matches!(mode, Mode::Passthru) {
        // The one port is the adapter, with all of its VLANs.
        return Ok((Vlan::NONE, Strip::Keep));
    }
    // What is left for ports without a VLAN must have no tag in it. Behind a
    // VLAN's tag, others are payload.
    match (vlan.is_none(), header.outer, header.nested) {
        (true, Outer::Service(_), _) => Err(Drop::ForeignTag),
        (true, Outer::Customer(_), Nested::Tag(..) | Nested::Truncated) => Err(Drop::NestedTag),
        _ => Ok((vlan, strip)),
    }
}

/// What a group has to know about a port.
#[derive(Clone, Copy, Debug)]
pub struct PortView<'a, P> {
    /// The port.
    pub port: P,
    /// Its address.
    pub mac: Mac,
    /// The packet filter that was set above; zero: nothing (RCV-14).
    pub filter: u32,
    /// The multicast list that was set above.
    pub multicast: &'a [Mac],
    /// It belongs to another VLAN and takes untagged frames besides. Only in the
    /// group of untagged frames.
    pub guest: bool,
}

impl<'a, P> PortView<'a, P> {
    const fn wants(&self, filter: u32) -> bool {
        self.filter & filter != 0
    }

    fn promiscuous(&self) -> bool {
        self.wants(NDIS_PACKET_TYPE_PROMISCUOUS)
    }

    fn all_multicast(&self) -> bool {
        self.wants(NDIS_PACKET_TYPE_ALL_MULTICAST | NDIS_PACKET_TYPE_PROMISCUOUS)
    }

    fn broadcast(&self) -> bool {
        self.wants(NDIS_PACKET_TYPE_BROADCAST | NDIS_PACKET_TYPE_PROMISCUOUS)
    }

    /// Addresses that are looked up for this port: its own, and the multicast
    /// list's as far as it has no wider filter. A list is made by a protocol
    /// above; what is no multicast address in it never matches.
    fn multicast(&self) -> impl Iterator<Item = Mac> + Clone + use<'a, P> {
        let listed = self.wants(NDIS_PACKET_TYPE_MULTICAST) && !self.all_multicast();
        let list: &'a [Mac] = if listed { self.multicast } else { &[] };
        list.iter().copied().filter(|mac| mac.is_multicast())
    }
}

/// Longest list of targets. Every address that is named has a list of its own, and
/// those who take everything are in each: thousands of ports that list different
/// groups beside thousands that take all of them would fill the pool.
const MOST_TARGETS: u32 = 1 << 22;

/// A part of a group's list of targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    first: u32,
    count: u32,
}

impl Span {
    /// Writes a port behind the last one.
    fn push<P>(&mut self, all: &mut [P], port: P) {
        let at = self.first.saturating_add(self.count) as usize;
        if let Some(place) = all.get_mut(at) {
            *place = port;
            self.count = self.count.saturating_add(1);
        }
    }

    fn of<P>(self, all: &[P]) -> &[P] {
        let first = self.first as usize;
        all.get(first..first.saturating_add(self.count as usize))
            .unwrap_or(&[])
    }
}

/// What is known about an address.
#[derive(Clone, Copy, Debug)]
struct Entry<P> {
    /// Everybody who gets frames to it; empty if nobody named it.
    targets: Span,
    /// The port whose address it is.
    owner: Option<P>,
    /// While the group is built: the view that was counted last.
    last: u32,
}

/// The ports of one VLAN, ready for look-ups. `P` is a reference to a port.
#[derive(Debug)]
pub struct Group<P> {
    mode: Mode,
    table: MacTable<Entry<P>>,
    targets: List<P>,
    promiscuous: Span,
    all_multicast: Span,
    broadcast: Span,
}

/// Nobody but, at most, the one that it comes from.
fn is_nobody<P: PartialEq>(delivery: &Delivery<'_, P>) -> bool {
    match &delivery.except {
        None => delivery.targets.is_empty(),
        Some(except) => delivery.targets.iter().all(|port| port == except),
    }
}

impl<P: Copy + PartialEq> Group<P> {
    /// Builds the group of one VLAN. The views are walked several times, in the
    /// same order each time. PASSIVE_LEVEL.
    pub fn build<'a, I>(mode: Mode, views: &I) -> Result<Self, NoMemory>
    where
        P: 'a,
        I: Iterator<Item = PortView<'a, P>> + Clone,
    {
        let entry = Entry {
            targets: Span::default(),
            owner: None,
            last: u32::MAX,
        };
        let mut table = MacTable::new(
            &views
                .clone()
                .flat_map(|view| core::iter::once(view.mac).chain(view.multicast())),
            entry,
        )?;
        let Some(filler) = views.clone().next().map(|view| view.port) else {
            return Ok(Self {
                mode,
                table,
                targets: List::new(),
                promiscuous: Span::default(),
                all_multicast: Span::default(),
                broadcast: Span::default(),
            });
        };

        // How many ports name each address; one that lists it twice counts once.
        for_each_named(views.clone(), &mut table, |_, entry| {
            entry.targets.count = entry.targets.count.saturating_add(1);
        });
        let mut next = 0_u32;
        let mut span = |count: u32| {
            let first = next;
            next = next.checked_add(count).ok_or(NoMemory)?;
            Ok(Span { first, count })
        };
        let count = |chosen: fn(&PortView<'a, P>) -> bool| {
            u32::try_from(views.clone().filter(chosen).count()).map_err(|_| NoMemory)
        };
        let promiscuous = span(count(PortView::promiscuous)?)?;
        let all_multicast = span(count(PortView::all_multicast)?)?;
        let broadcast = span(count(PortView::broadcast)?)?;
        let common = |mac: Mac| {
            if mac.is_group() {
                all_multicast
            } else {
                promiscuous
            }
        };
        for (mac, entry) in table.entries_mut() {
            let named = entry.targets.count;
            if named > 0 {
                let all = named.checked_add(common(mac).count).ok_or(NoMemory)?;
                entry.targets = Span {
                    count: 0, // counted again while they are written
                    ..span(all)?
                };
            }
            entry.last = u32::MAX;
        }

        if next > MOST_TARGETS {
            return Err(NoMemory);
        }
        let mut targets = filled(next as usize, filler)?;
        let mut put = |span: Span, chosen: fn(&PortView<'a, P>) -> bool| {
            let places = targets.iter_mut().skip(span.first as usize);
            let ports = views.clone().filter(chosen);
            for (place, view) in places.zip(ports) {
                *place = view.port;
            }
        };
        put(promiscuous, PortView::promiscuous);
        put(all_multicast, PortView::all_multicast);
        put(broadcast, PortView::broadcast);
        for_each_named(views.clone(), &mut table, |view, entry| {
            entry.targets.push(&mut targets, view.port);
        });
        // Those who take everything get what somebody named as well.
        for (mac, entry) in table.entries_mut() {
            if entry.targets.count > 0 {
                let common = common(mac);
                for index in 0..common.count {
                    let at = common.first.saturating_add(index) as usize;
                    if let Some(port) = targets.get(at).copied() {
                        entry.targets.push(&mut targets, port);
                    }
                }
            }
        }

        // A guest has its own address in its own VLAN; here the address is first
        // of all that of a port at home.
        for guest in [false, true] {
            for view in views.clone().filter(|view| view.guest == guest) {
                if let Some(entry) = table.get_mut(view.mac) {
                    entry.owner.get_or_insert(view.port);
                }
            }
        }
        Ok(Self {
            mode,
            table,
            targets,
            promiscuous,
            all_multicast,
            broadcast,
        })
    }

    /// The ports whose filters match a destination.
    pub fn matching(&self, destination: Mac) -> &[P] {
        let span = if destination.is_broadcast() {
            self.broadcast
        } else {
            match self.table.get(destination) {
                Some(entry) if entry.targets.count > 0 => entry.targets,
                _ if destination.is_group() => self.all_multicast,
                _ => self.promiscuous,
            }
        };
        span.of(&self.targets)
    }

    /// The port whose address this is.
    pub fn owner(&self, mac: Mac) -> Option<P> {
        self.table.get(mac)?.owner
    }

    /// How the ports of the adapter stand to each other.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The ports that get a frame which came from below.
    pub fn received(&self, destination: Mac, source: Mac) -> Result<Delivery<'_, P>, Drop> {
        let except = match self.mode {
            // Ports do not hear each other, nor themselves. With a bridge, who
            // was to hear it has heard it already.
            Mode::Private | Mode::Bridge => {
                if self.owner(source).is_some() {
                    return Err(Drop::OwnSource);
                }
                None
            }
            // What the switch sends back is for the others.
            Mode::Vepa => self.owner(source),
            Mode::Passthru => None,
        };
        self.deliver(destination, except).ok_or(Drop::Unwanted)
    }

    /// Everybody who hears a destination, but for the one that the frame comes
    /// from; `None` if that is nobody.
    pub fn deliver(&self, destination: Mac, except: Option<P>) -> Option<Delivery<'_, P>> {
        let targets = self.matching(destination);
        let delivery = Delivery { targets, except };
        (!is_nobody(&delivery)).then_some(delivery)
    }
}

/// Visits every address that a port named for itself alone: the port's own if it
/// takes directed frames, those of its multicast list. Each once a port.
fn for_each_named<'a, P, I>(
    views: I,
    table: &mut MacTable<Entry<P>>,
    mut visit: impl FnMut(&PortView<'a, P>, &mut Entry<P>),
) where
    P: Copy + 'a,
    I: Iterator<Item = PortView<'a, P>>,
{
    for (index, view) in (0_u32..).zip(views) {
        let directed = view.wants(NDIS_PACKET_TYPE_DIRECTED) && !view.promiscuous();
        let own = directed.then_some(view.mac).filter(|mac| !mac.is_group());
        for mac in own.into_iter().chain(view.multicast()) {
            if let Some(entry) = table.get_mut(mac)
                && entry.last != index
            {
                entry.last = index;
                visit(&view, entry);
            }
        }
    }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;

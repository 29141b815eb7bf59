//! What the virtual miniports of one adapter want of it together: plain data
//! that the topology's pure functions work on, and the one that puts wishes
//! together (OID-25).

use ethernet::Mac;
use ndis::sys::{
    NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_DIRECTED,
    NDIS_PACKET_TYPE_MULTICAST, NDIS_PACKET_TYPE_PROMISCUOUS,
};

/// What one virtual miniport asked for.
#[derive(Debug)]
pub struct Wish<'a, P> {
    /// What the topology keeps about it.
    pub port: &'a P,
    /// Its address.
    pub mac: Mac,
    /// Its packet filter, NDIS_PACKET_TYPE_xxx; zero: nothing.
    pub filter: u32,
    /// Its multicast list.
    pub groups: &'a [Mac],
}

impl<P> Clone for Wish<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Wish<'_, P> {}

/// What the adapter is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The packet filter below.
    pub filter: u32,
    /// How many addresses of the multicast list below are used.
    pub groups: usize,
    /// More groups than the adapter can hold: it is asked for all of them.
    pub overflow: bool,
    /// Promiscuous only because of an address that is not the adapter's own, whose
    /// frames come no other way.
    pub promiscuous: bool,
    /// There is such an address, and the adapter has no promiscuous mode: its frames
    /// do not come.
    pub deaf: bool,
}

/// Filters that mean something on Ethernet, and that can be merged.
const SHARED: u32 = NDIS_PACKET_TYPE_DIRECTED
    | NDIS_PACKET_TYPE_MULTICAST
    | NDIS_PACKET_TYPE_ALL_MULTICAST
    | NDIS_PACKET_TYPE_BROADCAST
    | NDIS_PACKET_TYPE_PROMISCUOUS;

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The address that is meant.
    pub mac: Mac,
    /// The packet filter; zero: nothing.
    pub filter: u32,
    /// The multicast list.
    pub groups: &'a [Mac],
}

/// What the adapter can be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Able {
    /// Its address.
    pub mac: Mac,
    /// The packet filters that it has.
    pub filters: u32,
}

/// Puts an address into the sorted beginning of a list; false if it is full.
fn put(list: &mut [Mac], used: &mut usize, mac: Mac) -> bool {
    let Some(sorted) = list.get(..*used) else {
        return false;
    };
    let Err(at) = sorted.binary_search(&mac) else {
        return true;
    };
    let Some(moved) = list.get_mut(at..used.saturating_add(1)) else {
        return false;
    };
    // Each one moves up by a place, the last one into the free place.
    let mut carried = mac;
    for place in moved {
        core::mem::swap(place, &mut carried);
    }
    *used = used.saturating_add(1);
    true
}

/// Everybody's filters and groups in one (OID-25). `list` is as long as the
/// adapter's multicast list.
pub fn together<'a>(able: Able, asks: impl Iterator<Item = Ask<'a>>, list: &mut [Mac]) -> Merged {
    let mut union = 0;
    let mut foreign = false;
    let mut used = 0;
    let mut overflow = false;
    for ask in asks {
        union |= ask.filter & SHARED;
        foreign |= ask.filter & NDIS_PACKET_TYPE_DIRECTED != 0 && ask.mac != able.mac;
        if ask.filter & NDIS_PACKET_TYPE_MULTICAST != 0 {
            for group in ask.groups.iter().filter(|mac| mac.is_multicast()) {
                overflow |= !put(list, &mut used, *group);
            }
        }
    }
    let everything = |filter: u32| filter & NDIS_PACKET_TYPE_PROMISCUOUS != 0;
    let all_groups = NDIS_PACKET_TYPE_ALL_MULTICAST | NDIS_PACKET_TYPE_PROMISCUOUS;
    // Whoever gets all groups anyway needs no list.
    let overflow = overflow && union & all_groups == 0;
    let promiscuous = foreign && !everything(union);
    if overflow {
        union |= NDIS_PACKET_TYPE_ALL_MULTICAST;
    }
    if union & NDIS_PACKET_TYPE_ALL_MULTICAST & !able.filters != 0 {
        union |= NDIS_PACKET_TYPE_PROMISCUOUS; // the next wider one
    }
    if foreign {
        union |= NDIS_PACKET_TYPE_PROMISCUOUS;
    }
    if union & all_groups != 0 {
        used = 0;
    }
    // A filter that the adapter does not have would have it refuse the rest.
    let filter = union & able.filters;
    Merged {
        filter,
        groups: used,
        overflow,
        promiscuous: promiscuous && everything(filter),
        deaf: foreign && !everything(filter),
    }
}

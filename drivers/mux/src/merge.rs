//! What the adapter is asked for on behalf of all ports, and what each port shows
//! of it.
//!
//! Pure; PASSIVE_LEVEL.

use crate::settings::Mode;
use ethernet::{Mac, TAG_BYTES};
use ndis::header::Zeroed;
use ndis::sys::{
    NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q, NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB,
    NDIS_OFFLOAD, NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST,
    NDIS_PACKET_TYPE_DIRECTED, NDIS_PACKET_TYPE_MULTICAST, NDIS_PACKET_TYPE_PROMISCUOUS,
    NDIS_PM_CAPABILITIES, NdisDeviceStateUnspecified,
};

/// Filters that mean something on Ethernet, and that ports can share.
const SHARED: u32 = NDIS_PACKET_TYPE_DIRECTED
    | NDIS_PACKET_TYPE_MULTICAST
    | NDIS_PACKET_TYPE_ALL_MULTICAST
    | NDIS_PACKET_TYPE_BROADCAST
    | NDIS_PACKET_TYPE_PROMISCUOUS;

/// What one port asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The port's address.
    pub mac: Mac,
    /// Its packet filter; zero: nothing.
    pub filter: u32,
    /// Its multicast list.
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

/// What it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Together {
    /// The packet filter.
    pub filter: u32,
    /// How many addresses of the list are used.
    pub groups: usize,
    /// More groups than the list has room for: all of them are asked for.
    pub overflow: bool,
    /// Promiscuous, though no port asked for that: a port's address is not the
    /// adapter's, and its frames come no other way.
    pub promiscuous: bool,
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
pub fn together<'a>(able: Able, asks: impl Iterator<Item = Ask<'a>>, list: &mut [Mac]) -> Together {
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
    Together {
        filter,
        groups: used,
        overflow,
        promiscuous: promiscuous && everything(filter),
    }
}

/// How the tags that a port puts on its frames get to the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// There are none.
    None,
    /// Beside the frames.
    Beside,
    /// In the frames.
    InBand,
}

/// The port's largest payload. An adapter that takes the tag beside the frame
/// makes room for it on the wire; in the frame it is part of what the adapter
/// counts.
pub const fn mtu(below: u32, tagging: Tagging) -> u32 {
    match tagging {
        Tagging::None | Tagging::Beside => below,
        Tagging::InBand => below.saturating_sub(TAG_BYTES as u32),
    }
}

/// Encapsulations in which a task is offered, given those in which the adapter
/// can do it; zero is none.
const fn encapsulation(below: u32, tagging: Tagging) -> u32 {
    const BESIDE: u32 = NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB;
    const IN_BAND: u32 = NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q;
    match tagging {
        Tagging::None => below,
        // A tag of the port's own in the frame is moved beside it, and would
        // take the places that a request names with it: not offered.
        Tagging::Beside if below & BESIDE != 0 => below & !IN_BAND,
        Tagging::InBand if below & IN_BAND != 0 => below & !IN_BAND,
        Tagging::Beside | Tagging::InBand => 0,
    }
}

/// Keeps a section as far as its encapsulation allows.
macro_rules! keep {
    ($shown:ident, $below:ident, $tagging:ident, $($section:ident).+) => {{
        let encapsulation = encapsulation($below.$($section).+.Encapsulation, $tagging);
        if encapsulation != 0 {
            $shown.$($section).+ = $below.$($section).+;
            $shown.$($section).+.Encapsulation = encapsulation;
        }
        encapsulation != 0
    }};
}

/// The task offload that a port offers: what the adapter has, as far as tags and
/// local switching leave it true (OFF-1); `None` if nothing is left (OFF-2).
///
/// * IPsec, encapsulated packets and translation need requests of their own that
///   a port does not pass on.
/// * A request names places in the frame (TcpHeaderOffset, UdpHeaderOffset). A
///   tag put into the frame moves them, so such a port asks for nothing on the
///   way down. Results on the way up have no places.
/// * What is switched locally never reaches the hardware that would have finished
///   it, so nothing is left open on the way down.
/// * Coalesced segments are one frame with one tag, beside it; in the frame, no
///   page says what becomes of the tags of the others.
pub fn offload(below: &NDIS_OFFLOAD, tagging: Tagging, mode: Mode) -> Option<NDIS_OFFLOAD> {
    let mut shown = NDIS_OFFLOAD::zeroed();
    shown.Header = below.Header;
    shown.Flags = below.Flags;
    let mut any = keep!(shown, below, tagging, Checksum.IPv4Receive);
    any |= keep!(shown, below, tagging, Checksum.IPv6Receive);
    if tagging != Tagging::InBand && mode != Mode::Bridge {
        any |= keep!(shown, below, tagging, Checksum.IPv4Transmit);
        any |= keep!(shown, below, tagging, Checksum.IPv6Transmit);
        any |= keep!(shown, below, tagging, LsoV1.IPv4);
        any |= keep!(shown, below, tagging, LsoV2.IPv4);
        any |= keep!(shown, below, tagging, LsoV2.IPv6);
        any |= keep!(shown, below, tagging, UdpSegmentation.IPv4);
        any |= keep!(shown, below, tagging, UdpSegmentation.IPv6);
    }
    if tagging != Tagging::InBand {
        shown.Rsc = below.Rsc;
        any |= below.Rsc.IPv4.Enabled != 0 || below.Rsc.IPv6.Enabled != 0;
    }
    any.then_some(shown)
}

/// Power management of a port: it follows the adapter to sleep and wakes nothing
/// (ATR-6). Patterns and protocols that answer while asleep are one adapter's,
/// not one port's; merging them has its place here.
pub fn power(below: &NDIS_PM_CAPABILITIES) -> NDIS_PM_CAPABILITIES {
    let mut shown = NDIS_PM_CAPABILITIES::zeroed();
    shown.Header = below.Header;
    shown.MinMagicPacketWakeUp = NdisDeviceStateUnspecified;
    shown.MinPatternWakeUp = NdisDeviceStateUnspecified;
    shown.MinLinkChangeWakeUp = NdisDeviceStateUnspecified;
    shown
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;

//! What the adapter is asked for on behalf of all ports, and what each port shows
//! of it.
//!
//! Pure; PASSIVE_LEVEL.

use crate::settings::Mode;
use ethernet::TAG_BYTES;
use ndis::header::Zeroed;
use ndis::sys::{
    NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q, NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB,
    NDIS_OFFLOAD, NDIS_PM_CAPABILITIES, NdisDeviceStateUnspecified,
};

pub use im_core::merge::{Able, Ask, together};

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

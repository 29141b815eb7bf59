//! Status indications from below, rebuilt for the protocols above (STS-1).
//!
//! They come at up to DISPATCH_LEVEL, several at once, before the miniport
//! exists and while it goes. `Upper::indications` is open while the miniport may
//! indicate: from its initialisation to its halt (STS-2), not in low power
//! (PWR-2).

use crate::attributes::no_wake_up;
use crate::data::DataPath;
use crate::edges::{Lower, Upper};
use crate::facts::{Link, read_offload};
use crate::gate::bit;
use crate::status_table::StatusRule;
use crate::team::is_shared;
use crate::topology::Topology;
use crate::{offload, sync};
use core::mem::offset_of;
use im_control::EventKind;
use ndis::header::{Zeroed, clamp_header, header, read_optional};
use ndis::sys::{
    NDIS_HANDLE, NDIS_LINK_STATE, NDIS_LINK_STATE_REVISION_1, NDIS_MEDIA_CONNECT_STATE,
    NDIS_MEDIA_DUPLEX_STATE, NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_STATUS_INDICATION,
    NDIS_PM_CAPABILITIES, NDIS_PM_CAPABILITIES_REVISION_2, NDIS_STATUS_INDICATION,
    NDIS_STATUS_INDICATION_REVISION_1, NDIS_STATUS_LINK_STATE,
    NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, NDIS_SUPPORTED_PAUSE_FUNCTIONS, NdisMIndicateStatusEx,
    PVOID,
};

/// ProtocolStatusEx. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn status<T: Topology>(
    context: NDIS_HANDLE,
    indication: *mut NDIS_STATUS_INDICATION,
) {
    // SAFETY: (BND-14) the ProtocolBindingContext.
    let lower = unsafe { &*context.cast::<Lower<T>>() };
    // SAFETY: (VER-4) null or valid until this returns; all of revision 1.
    let below: Option<NDIS_STATUS_INDICATION> = unsafe {
        read_optional(
            indication.cast_const(),
            NDIS_OBJECT_TYPE_STATUS_INDICATION,
            offset_of!(NDIS_STATUS_INDICATION, Guid),
        )
    };
    let Some(below) = below else { return };
    if below.PortNumber != 0 {
        return; // PRT-1: only the default port is ours
    }
    match T::status_rule(below.StatusCode, lower.team().below()) {
        StatusRule::Keep => {}
        StatusRule::PassOn => relay(lower, &below),
        StatusRule::Link => {
            // SAFETY: (STS-4) NDIS vouches for buffer and length.
            let link = unsafe { Link::read(below.StatusBuffer.cast(), below.StatusBufferSize) };
            let Some(link) = link else { return };
            let index = {
                let mut facts = lower.facts.lock();
                facts.link = link;
                facts.if_index
            };
            lower
                .driver
                .event(EventKind::LinkState, index, link.connect as u64);
            T::Data::changed(lower);
        }
        StatusRule::Offload => {
            if below.StatusCode == NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG {
                // SAFETY: (STS-1) NDIS vouches for buffer and length; the
                // header is compared with the length first.
                let offload = unsafe {
                    fits(&below)
                        .then(|| read_offload(below.StatusBuffer.cast()))
                        .flatten()
                };
                if offload.is_some() {
                    lower.facts.lock().offload = offload; // OFF-1, STS-6
                }
            }
            relay(lower, &below);
        }
        StatusRule::OwnOffload => {
            if below.StatusCode == NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG {
                // SAFETY: (STS-1) as above.
                let offload = unsafe {
                    fits(&below)
                        .then(|| read_offload(below.StatusBuffer.cast()))
                        .flatten()
                };
                if offload.is_none() {
                    return;
                }
                lower.facts.lock().offload = offload;
                if is_shared::<T>() {
                    lower.team().fold();
                }
                for upper in lower.uppers() {
                    if let Some(_inside) = upper.indications.enter() {
                        offload::renew(&upper); // OFF-1
                        offload::indicate(&upper); // STS-6
                    }
                }
            }
        }
        StatusRule::Address => sync::address_changed(lower),
        StatusRule::Power => power_capabilities(lower, &below),
        StatusRule::ResetStart => {
            lower.set_bits(bit::LOWER_RESETTING, 0); // RST-2
            T::Data::changed(lower);
            lower
                .driver
                .event(EventKind::ResetStart, lower.if_index(), 0);
        }
        StatusRule::ResetEnd => {
            // Paths first let go what they hold; a miniport that is added now
            // starts without the bits.
            lower.core.lock().bits &= !bit::LOWER_RESETTING;
            lower.driver.event(EventKind::ResetEnd, lower.if_index(), 0);
            T::Data::end_reset(lower); // RST-3
            T::Data::changed(lower);
            sync::merge_again(lower.team());
        }
    }
}

/// Whether the buffer holds a versioned structure as long as it says.
///
/// # Safety
/// The buffer is valid for its length.
unsafe fn fits(below: &NDIS_STATUS_INDICATION) -> bool {
    if below.StatusBuffer.is_null() || below.StatusBufferSize < 4 {
        return false;
    }
    // SAFETY: (VER-4) at least four bytes, just looked at.
    let head = unsafe {
        below
            .StatusBuffer
            .cast::<ndis::sys::NDIS_OBJECT_HEADER>()
            .read_unaligned()
    };
    u32::from(head.Size) <= below.StatusBufferSize
}

/// Passes a status on as it is, in a structure of our own.
fn relay<T: Topology>(lower: &Lower<T>, below: &NDIS_STATUS_INDICATION) {
    for upper in lower.uppers() {
        indicate(&upper, below, below.StatusBuffer, below.StatusBufferSize);
    }
}

/// Wake-up capabilities: noted, and passed on without those that the miniport
/// does not have itself (ATR-6).
fn power_capabilities<T: Topology>(lower: &Lower<T>, below: &NDIS_STATUS_INDICATION) {
    // SAFETY: (VER-4) valid for its length; the header is compared first.
    let read: Option<NDIS_PM_CAPABILITIES> = unsafe {
        fits(below)
            .then(|| {
                read_optional(
                    below.StatusBuffer.cast(),
                    NDIS_OBJECT_TYPE_DEFAULT,
                    offset_of!(NDIS_PM_CAPABILITIES, SupportedWakeUpEvents),
                )
            })
            .flatten()
    };
    let Some(mut capabilities) = read else { return };
    capabilities.Header = clamp_header(
        capabilities.Header,
        NDIS_PM_CAPABILITIES_REVISION_2,
        size_of::<NDIS_PM_CAPABILITIES>(),
    );
    lower.facts.lock().pm = Some(capabilities);
    let mut shown = no_wake_up(capabilities);
    let length = u32::from(shown.Header.Size);
    for upper in lower.uppers() {
        indicate(&upper, below, (&raw mut shown).cast(), length);
    }
}

/// Shows the link below, if it differs from what was shown last (STS-4) and the
/// miniport may indicate; else it is shown later (STS-5).
/// IRQL <= DISPATCH_LEVEL.
///
/// One thread at a time shows it, so that two changes do not overtake each other on
/// their way up; who comes meanwhile leaves it to that one.
pub(crate) fn show_link<T: Topology>(upper: &Upper<T>) {
    let Some(_inside) = upper.indications.enter() else {
        return;
    };
    {
        let mut shown = upper.shown_link.lock();
        shown.again = true;
        if core::mem::replace(&mut shown.busy, true) {
            return;
        }
    }
    for round in 1.. {
        // Looked at after the word is taken back: what changes later sets it again.
        upper.shown_link.lock().again = false;
        let link = link_of(upper);
        {
            let mut shown = upper.shown_link.lock();
            let told = shown.last == Some(link);
            if (told && !shown.again) || round > MOST_ROUNDS {
                shown.busy = false;
                return;
            }
            if told {
                continue;
            }
            shown.last = Some(link);
        }
        indicate_link(upper, link);
    }
}

/// Rounds after which a link that keeps changing is left to its next status.
const MOST_ROUNDS: u32 = 8;

/// The link that a miniport shows now.
pub(crate) fn link_of<T: Topology>(upper: &Upper<T>) -> Link {
    let below = upper.team().look(|facts| facts.link).unwrap_or(Link::DOWN);
    upper.port().map_or(below, |port| T::link(port, below))
}

/// A link as NDIS has it.
pub(crate) fn link_state(link: Link) -> NDIS_LINK_STATE {
    let mut state = NDIS_LINK_STATE::zeroed();
    state.Header = header(
        NDIS_OBJECT_TYPE_DEFAULT,
        NDIS_LINK_STATE_REVISION_1,
        size_of::<NDIS_LINK_STATE>(),
    );
    state.MediaConnectState = NDIS_MEDIA_CONNECT_STATE(link.connect);
    state.MediaDuplexState = NDIS_MEDIA_DUPLEX_STATE(link.duplex);
    state.XmitLinkSpeed = link.xmit;
    state.RcvLinkSpeed = link.rcv;
    state.PauseFunctions = NDIS_SUPPORTED_PAUSE_FUNCTIONS(link.pause);
    state.AutoNegotiationFlags = link.negotiated;
    state
}

/// Indicates one link state.
fn indicate_link<T: Topology>(upper: &Upper<T>, link: Link) {
    let mut state = link_state(link);
    let mut status = NDIS_STATUS_INDICATION::zeroed();
    status.StatusCode = NDIS_STATUS_LINK_STATE;
    indicate(
        upper,
        &status,
        (&raw mut state).cast(),
        size_of::<NDIS_LINK_STATE>() as u32,
    );
}

/// Indicates a status on a virtual miniport, if it may (STS-2, STS-5).
/// IRQL <= DISPATCH_LEVEL, no lock held.
pub(crate) fn indicate<T: Topology>(
    upper: &Upper<T>,
    below: &NDIS_STATUS_INDICATION,
    buffer: PVOID,
    length: u32,
) {
    let Some(_inside) = upper.indications.enter() else {
        return;
    };
    let mut status = NDIS_STATUS_INDICATION::zeroed(); // STS-1: rebuilt
    status.Header = header(
        NDIS_OBJECT_TYPE_STATUS_INDICATION,
        NDIS_STATUS_INDICATION_REVISION_1.0 as u8, // typed like a status
        size_of::<NDIS_STATUS_INDICATION>(),
    );
    status.SourceHandle = upper.handle().0;
    status.StatusCode = below.StatusCode;
    status.StatusBuffer = buffer;
    status.StatusBufferSize = length;
    status.Guid = below.Guid;
    if !below.RequestId.is_null() {
        // OID-27: the answer to a request from above, which it must name.
        let mut awaited = upper.awaited.lock();
        let index = awaited.iter().position(|entry| entry.id == below.RequestId);
        if let Some(entry) = index.and_then(|index| awaited.pop_at(index)) {
            status.RequestId = entry.id;
            status.DestinationHandle = entry.handle;
        }
    }
    // SAFETY: (STS-1, STS-2) initialised and not halted: the run-down is held;
    // buffer and structure outlive the call; no lock is held.
    unsafe { NdisMIndicateStatusEx(upper.handle().0, &raw mut status) };
}

//! Requests that are answered without asking anybody: what a virtual miniport
//! is, what it has, what it counted.
//!
//! All at PASSIVE_LEVEL, inside MiniportOidRequest, one at a time per miniport
//! (OID-1). Lengths are checked where the answer is written (OID-11, OID-12).

use crate::attributes::mac_options;
use crate::edges::Upper;
use crate::oid_table::Local;
use crate::status::{link_of, link_state};
use crate::topology::Topology;
use crate::{offload, oid, statistics};
use core::sync::atomic::Ordering;
use ndis::header::{Zeroed, header};
use ndis::oid::Request;
use ndis::sys::{
    MediaConnectStateDisconnected, NDIS_INTERRUPT_MODERATION_PARAMETERS,
    NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1, NDIS_OBJECT_TYPE_DEFAULT,
    NDIS_PNP_CAPABILITIES, NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_NOT_ACCEPTED,
    NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_SUCCESS, NdisDeviceStateMaximum,
    NdisInterruptModerationNotSupported, NdisMediaStateConnected, NdisMediaStateDisconnected,
};

/// Bytes of an Ethernet header: a frame is that much longer than its payload.
const HEADER_BYTES: u32 = ethernet::HEADER_BYTES as u32;

/// Bytes of NDIS_PM_PARAMETERS.
const PARAMETERS: usize = size_of::<ndis::sys::NDIS_PM_PARAMETERS>();

/// The bytes of a structure that NDIS defines.
///
/// # Safety
/// Plain data without padding, or with padding that was zeroed.
unsafe fn bytes_of<S>(value: &S, length: usize) -> &[u8] {
    // SAFETY: (OID-12) the caller's promise; never longer than the structure.
    unsafe {
        core::slice::from_raw_parts(
            core::ptr::from_ref(value).cast::<u8>(),
            length.min(size_of::<S>()),
        )
    }
}

/// OID_GEN_VENDOR_ID of who has no number of the IEEE's.
const NO_IEEE_NUMBER: u32 = 0x00FF_FFFF;

/// Answers a request. IRQL = PASSIVE_LEVEL.
pub(crate) fn answer<T: Topology>(upper: &Upper<T>, request: Request, local: Local) -> NDIS_STATUS {
    let number = |value: u32| request.answer(&value.to_ne_bytes());
    match local {
        // OID-20: an intermediate driver guarantees the transition.
        Local::QueryPower => NDIS_STATUS_SUCCESS,
        Local::SetPower => match request.set_u32() {
            Ok(state) if state > 0 && (state as i32) < NdisDeviceStateMaximum.0 => {
                oid::set_power(upper, state as i32);
                request.accept_set(4)
            }
            _ => NDIS_STATUS_NOT_ACCEPTED, // OID-7: nothing else may be said
        },
        // OID-21: no flag, and every wake-up value Unspecified, is all zeroes.
        Local::Capabilities => request.answer(&[0; size_of::<NDIS_PNP_CAPABILITIES>()]),
        Local::MacOptions => {
            let below = upper.team().look(|facts| facts.mac_options).unwrap_or(0);
            number(
                upper
                    .shown(|shown| shown.mac_options)
                    .unwrap_or(mac_options(below)),
            )
        }
        Local::PacketFilter => number(upper.filter.load(Ordering::Relaxed)),
        Local::Lookahead => number(upper.lookahead.load(Ordering::Relaxed)),
        Local::SetLookahead => match request.set_u32() {
            Ok(value) if Some(value) <= upper.shown(|shown| shown.mtu) => {
                upper.lookahead.store(value, Ordering::Relaxed);
                request.accept_set(4)
            }
            Ok(_) => {
                request.refused();
                ndis::sys::NDIS_STATUS_INVALID_DATA // OID-11
            }
            Err(_) => request.set_too_short(4),
        },
        Local::FrameSize => show(upper, request, |shown| shown.mtu),
        Local::TotalSize | Local::BufferSpace => show(upper, request, |shown| {
            shown.mtu.saturating_add(HEADER_BYTES)
        }),
        Local::MediaConnect => {
            let down = link_of(upper).connect == MediaConnectStateDisconnected.0;
            let state = if down {
                NdisMediaStateDisconnected
            } else {
                NdisMediaStateConnected
            };
            number(state.0 as u32)
        }
        Local::LinkState => {
            let state = link_state(link_of(upper));
            // SAFETY: (STS-4) zeroed before it was filled.
            request.answer(unsafe { bytes_of(&state, usize::MAX) })
        }
        Local::DriverVersion => {
            number(u32::from(T::IDENTITY.major) << 16 | u32::from(T::IDENTITY.minor))
        }
        Local::VendorId => number(NO_IEEE_NUMBER),
        Local::VendorDescription => {
            let mut text = [0; 32];
            let letters = T::IDENTITY.service.iter().map(|unit| *unit as u8);
            let room = text.len().saturating_sub(1); // it ends with a zero
            for (to, from) in text.iter_mut().take(room).zip(letters) {
                *to = from;
            }
            let length = T::IDENTITY.service.len().min(room).saturating_add(1);
            request.answer(text.get(..length).unwrap_or(&[]))
        }
        Local::NetworkAddresses => request.accept_set(request.facts().length),
        Local::InterruptModeration => {
            let mut answer = NDIS_INTERRUPT_MODERATION_PARAMETERS::zeroed();
            answer.Header = header(
                NDIS_OBJECT_TYPE_DEFAULT,
                NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1,
                size_of_val(&answer),
            );
            answer.InterruptModeration = NdisInterruptModerationNotSupported;
            // SAFETY: (OID-23) zeroed before it was filled.
            request.answer(unsafe { bytes_of(&answer, usize::MAX) })
        }
        Local::VlanId => number(upper.port().map_or(0, T::vlan_id).into()),
        Local::Address => {
            let mac = upper.shown(|shown| (shown.mac, shown.mac_length));
            let bytes = mac
                .as_ref()
                .and_then(|(mac, length)| mac.get(..usize::from(*length)));
            bytes.map_or(NDIS_STATUS_NOT_SUPPORTED, |bytes| request.answer(bytes))
        }
        Local::ListSize => show(upper, request, |shown| shown.multicast),
        Local::Statistics => {
            let all = statistics::all_counters(upper);
            // SAFETY: (ATR-11) zeroed before it was filled.
            request.answer(unsafe { bytes_of(&all, usize::MAX) })
        }
        Local::Counter(which) => request.answer_counter(statistics::counter(upper, which)),
        Local::PowerCapabilities => {
            // Without a miniport that shows any, the rule does not lead here.
            let Some(shown) = upper.shown(|shown| shown.pm).flatten() else {
                return NDIS_STATUS_NOT_SUPPORTED;
            };
            // SAFETY: (ATR-6) integers only; the header says how many bytes
            // count.
            request.answer(unsafe { bytes_of(&shown, shown.Header.Size.into()) })
        }
        Local::PowerParameters => power_parameters(request),
        Local::OffloadConfig => show_offload(upper, request, |shown| shown.offload),
        Local::OffloadHardware => show_offload(upper, request, |shown| shown.offload_hardware),
        Local::OffloadParameters => {
            if upper.shown(|shown| shown.offload.is_some()) == Some(true) {
                offload::set_parameters(upper, request)
            } else {
                request.refused();
                NDIS_STATUS_NOT_SUPPORTED // OFF-2
            }
        }
    }
}

/// Answers with a number that the attributes have too.
fn show<T: Topology>(
    upper: &Upper<T>,
    request: Request,
    read: fn(&crate::Shown) -> u32,
) -> NDIS_STATUS {
    let value = upper.shown(read).unwrap_or(0);
    request.answer(&value.to_ne_bytes())
}

/// Answers with a task offload configuration (OFF-1).
fn show_offload<T: Topology>(
    upper: &Upper<T>,
    request: Request,
    read: fn(&crate::Shown) -> Option<ndis::sys::NDIS_OFFLOAD>,
) -> NDIS_STATUS {
    let Some(offload) = upper.shown(read).flatten() else {
        request.refused();
        return NDIS_STATUS_NOT_SUPPORTED; // OFF-2
    };
    // SAFETY: (OFF-5) integers only; the header says how many bytes count.
    request.answer(unsafe { bytes_of(&offload, offload.Header.Size.into()) })
}

/// OID_PM_PARAMETERS, set: switching everything off is all that can be done
/// (OID-22).
fn power_parameters(request: Request) -> NDIS_STATUS {
    let mut bytes = [0; PARAMETERS];
    if request.set_bytes(0, &mut bytes).is_err() {
        return request.set_too_short(PARAMETERS as u32); // OID-11
    }
    // Patterns, offloads, flags, events: behind the header.
    if bytes.iter().skip(4).all(|byte| *byte == 0) {
        request.accept_set(PARAMETERS as u32)
    } else {
        request.refused();
        NDIS_STATUS_INVALID_PARAMETER
    }
}

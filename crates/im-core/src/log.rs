//! The system event log: what an administrator must see.
//!
//! Needs the handle of a virtual miniport; what happens without one is in the
//! event ring only. IRQL <= DISPATCH_LEVEL.

use crate::edges::Lower;
use crate::topology::Topology;
use im_control::EventKind;
use ndis::nbl::MiniportHandle;
use ndis::sys::{
    EVENT_NDIS_DRIVER_FAILURE, EVENT_NDIS_HARDWARE_FAILURE, EVENT_NDIS_MAXMULTICAST_ERROR,
    EVENT_NDIS_OUT_OF_RESOURCE, EVENT_NDIS_UNSUPPORTED_CONFIGURATION, NDIS_STATUS_RESOURCES,
    NdisWriteErrorLogEntry,
};

/// The log entry of an event with its value, for those that have one.
pub(crate) const fn code(kind: EventKind, value: u32) -> Option<u32> {
    match kind {
        EventKind::MiniportFailed if value == NDIS_STATUS_RESOURCES.0 as u32 => {
            Some(EVENT_NDIS_OUT_OF_RESOURCE)
        }
        EventKind::MiniportFailed | EventKind::BadMove => Some(EVENT_NDIS_DRIVER_FAILURE),
        EventKind::TooManyMiniports | EventKind::BadSetting | EventKind::DoubledNames => {
            Some(EVENT_NDIS_UNSUPPORTED_CONFIGURATION)
        }
        EventKind::MulticastOverflow => Some(EVENT_NDIS_MAXMULTICAST_ERROR),
        EventKind::PromiscuousRefused | EventKind::MergeRefused => {
            Some(EVENT_NDIS_HARDWARE_FAILURE)
        }
        _ => None,
    }
}

/// Writes an event with its value to the log, if it belongs there.
pub(crate) fn write(miniport: MiniportHandle, kind: EventKind, value: u32) {
    let Some(entry) = code(kind, value) else {
        return;
    };
    if miniport.0.is_null() {
        return;
    }
    // SAFETY: (IRQ-3) a miniport that exists; as many values as are counted.
    unsafe { NdisWriteErrorLogEntry(miniport.0, entry, 2_u32, kind.code(), value) };
}

/// Writes an event of a binding to the log, through the first of its miniports
/// that is there.
pub(crate) fn of_binding<T: Topology>(lower: &Lower<T>, kind: EventKind, value: u32) {
    for upper in lower.uppers() {
        if let Some(_inside) = upper.handlers.enter() {
            return write(upper.handle(), kind, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_an_administrator() {
        let logged: std::vec::Vec<EventKind> = EventKind::ALL
            .iter()
            .copied()
            .filter(|kind| code(*kind, 0).is_some())
            .collect();
        assert_eq!(
            logged,
            [
                EventKind::MiniportFailed,
                EventKind::TooManyMiniports,
                EventKind::BadMove,
                EventKind::BadSetting,
                EventKind::DoubledNames,
                EventKind::PromiscuousRefused,
                EventKind::MulticastOverflow,
                EventKind::MergeRefused,
            ]
        );
        let want = NDIS_STATUS_RESOURCES.0 as u32;
        let memory = code(EventKind::MiniportFailed, want);
        assert_eq!(memory, Some(EVENT_NDIS_OUT_OF_RESOURCE));
    }
}

//! The system event log: what an administrator must see.
//!
//! Needs the handle of a virtual miniport; what happens without one is in the
//! event ring only. IRQL <= DISPATCH_LEVEL.

use im_control::EventKind;
use ndis::nbl::MiniportHandle;
use ndis::sys::{
    EVENT_NDIS_DRIVER_FAILURE, EVENT_NDIS_OUT_OF_RESOURCE, EVENT_NDIS_UNSUPPORTED_CONFIGURATION,
    NdisWriteErrorLogEntry,
};

/// The log entry of an event, for those that have one.
pub(crate) const fn code(kind: EventKind) -> Option<u32> {
    match kind {
        EventKind::MiniportFailed => Some(EVENT_NDIS_OUT_OF_RESOURCE),
        EventKind::TooManyMiniports => Some(EVENT_NDIS_UNSUPPORTED_CONFIGURATION),
        EventKind::BadMove => Some(EVENT_NDIS_DRIVER_FAILURE),
        _ => None,
    }
}

/// Writes an event with its value to the log, if it belongs there.
pub(crate) fn write(miniport: MiniportHandle, kind: EventKind, value: u32) {
    let Some(entry) = code(kind) else { return };
    if miniport.0.is_null() {
        return;
    }
    // SAFETY: (IRQ-3) a miniport that exists; as many values as are counted.
    unsafe { NdisWriteErrorLogEntry(miniport.0, entry, 2_u32, kind.code(), value) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_an_administrator() {
        let logged: std::vec::Vec<EventKind> = EventKind::ALL
            .iter()
            .copied()
            .filter(|kind| code(*kind).is_some())
            .collect();
        assert_eq!(
            logged,
            [
                EventKind::MiniportFailed,
                EventKind::TooManyMiniports,
                EventKind::BadMove
            ]
        );
    }
}

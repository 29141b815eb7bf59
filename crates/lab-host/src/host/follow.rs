//! Following some crossings from beginning to end of a step, however many others lie
//! between them: the ring of recent calls is too short for that.

use ndis_sys::NET_PNP_EVENT_NOTIFICATION;

use super::Host;
use crate::report::CallKind;

/// A crossing that was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Nanoseconds since the host started.
    pub time: u64,
    /// Which way.
    pub kind: CallKind,
    /// Function.
    pub name: &'static str,
    /// Arguments as passed in registers; of a return the result, where it is one.
    pub args: [u64; 6],
    /// Code of the event that `ProtocolNetPnPEvent` is called with.
    pub event: Option<i32>,
}

/// Who is followed, and what was seen.
#[derive(Default)]
pub(super) struct Track {
    names: &'static [&'static str],
    seen: Vec<Followed>,
}

impl Track {
    /// Keeps a crossing if it is followed. With nobody to follow this is one comparison.
    pub(super) fn note(
        &mut self,
        crossing: impl FnOnce() -> (u64, CallKind, &'static str, [u64; 6], Option<i32>),
    ) {
        if self.names.is_empty() {
            return;
        }
        let (time, kind, name, args, event) = crossing();
        if self.names.contains(&name) {
            self.seen.push(Followed {
                time,
                kind,
                name,
                args,
                event,
            });
        }
    }
}

impl Host {
    /// Keeps every crossing of these names from now on; none ends it. What was kept before
    /// is forgotten.
    pub fn follow(&self, names: &'static [&'static str]) {
        self.ring.lock().expect("ring").track = Track {
            names,
            seen: Vec::new(),
        };
    }

    /// What was kept since the last call.
    pub fn followed(&self) -> Vec<Followed> {
        std::mem::take(&mut self.ring.lock().expect("ring").track.seen)
    }

    /// Which event a call of `ProtocolNetPnPEvent` is about.
    pub(super) fn event_of(&self, kind: CallKind, name: &str, args: &[u64; 6]) -> Option<i32> {
        if kind != CallKind::Callback || name != "ProtocolNetPnPEvent" {
            return None;
        }
        let event: NET_PNP_EVENT_NOTIFICATION = self.get(args[1], "NET_PNP_EVENT_NOTIFICATION");
        Some(event.NetPnPEvent.NetEvent.0)
    }
}

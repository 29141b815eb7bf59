//! What a driver registers: headers by declared version, handlers, and that NDIS copies them.

use std::collections::BTreeMap;

use ndis_sys::{
    NDIS_INTERMEDIATE_DRIVER, NDIS_MINIPORT_DRIVER_CHARACTERISTICS, NDIS_OBJECT_HEADER,
    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
};

use crate::host::Host;

/// Bytes of a structure that was registered, after the call: nothing may depend on them.
const POISON: u8 = 0xDB;

/// Which revisions a driver of a version may register, and how long each is at least.
pub(crate) struct Sizes(pub(crate) &'static [(u8, usize)]);

/// `NDIS_MINIPORT_DRIVER_CHARACTERISTICS`.
const MINIPORT: Sizes = Sizes(&[(1, 136), (2, 152), (3, 160)]);
/// `NDIS_PROTOCOL_DRIVER_CHARACTERISTICS`.
const PROTOCOL: Sizes = Sizes(&[(1, 120), (2, 128)]);

impl Sizes {
    /// Why a header does not fit the declared version.
    pub(crate) fn refuse(&self, header: NDIS_OBJECT_HEADER, minor: u8) -> Option<String> {
        // 6.1 brought the second revision, 6.20 demands it, 6.80 brought the third.
        let (least, most) = match minor {
            0 => (1, 1),
            1 => (1, 2),
            20..80 => (2, 2),
            _ => (2, 3),
        };
        let revision = header.Revision;
        let known = self.0.iter().find(|(known, _)| *known == revision);
        match known {
            Some(_) if revision < least || revision > most => Some(format!(
                "revision {revision} is registered by a driver of NDIS 6.{minor}"
            )),
            Some((_, size)) if usize::from(header.Size) < *size => Some(format!(
                "revision {revision} has {size} bytes, the header says {}",
                header.Size
            )),
            Some(_) => None,
            None => Some(format!("there is no revision {revision}")),
        }
    }
}

/// What was registered with which structure of the image, for MPR-9 and MPR-11.
#[derive(Default)]
pub(crate) struct Registered {
    /// Structures in an image that were overwritten after the call: bytes from, length, by the
    /// driver object.
    poisoned: Vec<(u64, u64, usize)>,
    /// Miniport edges that a driver object ever had.
    pub(crate) edges: BTreeMap<u64, u32>,
}

fn address<F>(handler: Option<F>) -> u64 {
    // SAFETY: an optional function is a pointer that may be null.
    handler.map_or(0, |f| unsafe { std::mem::transmute_copy::<F, u64>(&f) })
}

impl Host {
    /// Whether every handler that is there is code of an image; names one that is not.
    fn handlers_are_code(&self, rule: &str, handlers: &[(u64, &str)]) -> bool {
        let wild = handlers.iter().find(|(at, _)| {
            *at != 0 && !self.image_at(*at).is_some_and(|image| image.is_code(*at))
        });
        if let Some((at, name)) = wild {
            self.violate(
                rule,
                format!(
                    "{name} is {at:#x}, which is no code: {}",
                    self.describe(*at)
                ),
            );
        }
        wild.is_none()
    }

    /// The miniport edge's header and handlers; false if the registration is refused.
    pub(crate) fn judge_miniport_edge(
        &self,
        c: &NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
        intermediate: bool,
    ) -> bool {
        if let Some(why) = MINIPORT.refuse(c.Header, c.MinorNdisVersion) {
            self.violate("MPR-1", why);
            return false;
        }
        let required = [
            (address(c.InitializeHandlerEx), "InitializeHandlerEx"),
            (address(c.HaltHandlerEx), "HaltHandlerEx"),
            (address(c.UnloadHandler), "UnloadHandler"),
            (address(c.PauseHandler), "PauseHandler"),
            (address(c.RestartHandler), "RestartHandler"),
            (address(c.OidRequestHandler), "OidRequestHandler"),
            (
                address(c.SendNetBufferListsHandler),
                "SendNetBufferListsHandler",
            ),
            (
                address(c.ReturnNetBufferListsHandler),
                "ReturnNetBufferListsHandler",
            ),
            (address(c.CancelSendHandler), "CancelSendHandler"),
            (
                address(c.DevicePnPEventNotifyHandler),
                "DevicePnPEventNotifyHandler",
            ),
            (address(c.ShutdownHandlerEx), "ShutdownHandlerEx"),
            (
                address(c.CancelOidRequestHandler),
                "CancelOidRequestHandler",
            ),
        ];
        let direct = (
            address(c.DirectOidRequestHandler),
            address(c.CancelDirectOidRequestHandler),
        );
        let synchronous = if c.Header.Size >= 160 {
            address(c.SynchronousOidRequestHandler)
        } else {
            0
        };
        let mut all = required.to_vec();
        all.extend([
            (address(c.SetOptionsHandler), "SetOptionsHandler"),
            (direct.0, "DirectOidRequestHandler"),
            (direct.1, "CancelDirectOidRequestHandler"),
            (synchronous, "SynchronousOidRequestHandler"),
        ]);
        if !self.handlers_are_code("MPR-3", &all) {
            return false;
        }
        if let Some((_, name)) = required.iter().find(|(at, _)| *at == 0) {
            self.violate("MPR-4", format!("{name} is missing"));
            return false;
        }
        if intermediate && (c.CheckForHangHandlerEx.is_some() || c.ResetHandlerEx.is_some()) {
            self.violate(
                "MPR-5",
                "CheckForHangHandlerEx or ResetHandlerEx is set".into(),
            );
        }
        match direct {
            // Who handles no direct requests sets neither; the structure's page says so.
            (0, 0) => {}
            (0, _) | (_, 0) => self.violate(
                "MPR-7",
                "only one of the two direct OID handlers is set".into(),
            ),
            _ => {}
        }
        if synchronous != 0 && c.Header.Revision < 3 {
            self.violate(
                "MPR-8",
                format!(
                    "SynchronousOidRequestHandler is set in revision {}",
                    c.Header.Revision
                ),
            );
        }
        true
    }

    /// The protocol edge's header and handlers; false if the registration is refused.
    pub(crate) fn judge_protocol_edge(&self, c: &NDIS_PROTOCOL_DRIVER_CHARACTERISTICS) -> bool {
        if let Some(why) = PROTOCOL.refuse(c.Header, c.MinorNdisVersion) {
            self.violate("PTR-1", why);
            return false;
        }
        let required = [
            (address(c.BindAdapterHandlerEx), "BindAdapterHandlerEx"),
            (address(c.UnbindAdapterHandlerEx), "UnbindAdapterHandlerEx"),
            (
                address(c.OpenAdapterCompleteHandlerEx),
                "OpenAdapterCompleteHandlerEx",
            ),
            (
                address(c.CloseAdapterCompleteHandlerEx),
                "CloseAdapterCompleteHandlerEx",
            ),
            (address(c.NetPnPEventHandler), "NetPnPEventHandler"),
            (address(c.StatusHandlerEx), "StatusHandlerEx"),
            (
                address(c.OidRequestCompleteHandler),
                "OidRequestCompleteHandler",
            ),
            (
                address(c.ReceiveNetBufferListsHandler),
                "ReceiveNetBufferListsHandler",
            ),
            (
                address(c.SendNetBufferListsCompleteHandler),
                "SendNetBufferListsCompleteHandler",
            ),
        ];
        let mut all = required.to_vec();
        all.extend([
            (address(c.SetOptionsHandler), "SetOptionsHandler"),
            (address(c.UninstallHandler), "UninstallHandler"),
        ]);
        if c.Header.Revision >= 2 {
            let direct = address(c.DirectOidRequestCompleteHandler);
            all.push((direct, "DirectOidRequestCompleteHandler"));
        }
        if !self.handlers_are_code("DE-1", &all) {
            return false;
        }
        if let Some((_, name)) = required.iter().find(|(at, _)| *at == 0) {
            self.violate("PTR-4", format!("{name} is missing"));
            return false;
        }
        true
    }

    /// VER-5: the header of a structure that the driver hands over.
    pub(crate) fn judge_header(
        &self,
        what: &str,
        header: NDIS_OBJECT_HEADER,
        kind: u8,
        revision: u8,
        size: usize,
    ) {
        let fits =
            header.Type == kind && header.Revision >= revision && usize::from(header.Size) >= size;
        if !fits {
            self.violate(
                "VER-5",
                format!(
                    "{what} has type {:#x}, revision {}, size {}; type {kind:#x}, revision {revision} or later, size {size} or more are right",
                    header.Type, header.Revision, header.Size
                ),
            );
        }
    }

    /// NDIS has copied what it needs: the caller's structure is overwritten (MPR-9).
    pub(crate) fn copied(&self, object: u64, at: u64, len: usize) {
        if self.arena.write_bytes(at, &vec![POISON; len]).is_ok() && self.image_at(at).is_some() {
            self.ndis(|n| n.registered.poisoned.push((object, at, len)));
        }
    }

    /// MPR-9: what was written into a structure after its registration had no effect.
    pub(crate) fn judge_copies(&self, object: u64) {
        let mine: Vec<_> = self.ndis(|n| {
            let all = &mut n.registered.poisoned;
            let mine = all.iter().copied().filter(|p| p.0 == object).collect();
            all.retain(|p| p.0 != object);
            mine
        });
        for (_, at, len) in mine {
            let mut bytes = vec![0; len];
            let read = self.arena.read_bytes(at, &mut bytes).is_ok();
            if let Some(offset) = bytes.iter().position(|b| read && *b != POISON) {
                self.violate(
                    "MPR-9",
                    format!(
                        "byte {offset} of the characteristics at {at:#x} was written after the registration, which copies them"
                    ),
                );
            }
        }
    }

    /// Whether one of a driver's miniport edges is an intermediate one (DE-3).
    pub(crate) fn has_intermediate_edge(&self, object: u64) -> bool {
        self.ndis(|n| {
            let mut mine = n.drivers.values().filter(|d| d.driver_object == object);
            mine.any(|d| d.chars.Flags & NDIS_INTERMEDIATE_DRIVER != 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_follow_the_declared_version() {
        let header = |revision, size| NDIS_OBJECT_HEADER {
            Type: 0,
            Revision: revision,
            Size: size,
        };
        for (revision, size, minor, fits) in [
            (1, 136, 0, true),
            (2, 152, 0, false),
            (1, 136, 1, true),
            (2, 152, 1, true),
            (1, 136, 20, false),
            (2, 152, 30, true),
            (3, 160, 30, false),
            (3, 160, 80, true),
            (2, 160, 87, true),
            (2, 136, 87, false),
            (4, 168, 87, false),
        ] {
            assert_eq!(
                MINIPORT.refuse(header(revision, size), minor).is_none(),
                fits,
                "revision {revision}, {size} bytes, 6.{minor}"
            );
        }
    }
}

//! XxxSetOptions: what it may do, and what it leaves (SO-1 to SO-3).

use std::collections::BTreeSet;

use ndis_sys::{NDIS_OBJECT_HEADER, NDIS_STATUS_PENDING};

use crate::handle::Kind;
use crate::host::Host;

/// `Header.Type` of what a miniport edge may set: PnP, CoNDIS and selective suspend handlers.
const MINIPORT: [u8; 3] = [0x91, 0x8E, 0xB4];
/// Of what a protocol edge may set: CoNDIS, client and call manager handlers.
const PROTOCOL: [u8; 3] = [0x96, 0x98, 0x99];

impl Host {
    /// Calls an XxxSetOptions; its status.
    pub(super) fn set_options(
        &self,
        name: &'static str,
        handle: u64,
        at: u64,
        context: u64,
    ) -> i32 {
        let before = self.driver_blocks();
        let status = self.call(name, handle, at, &[handle, context]) as u32 as i32;
        let made: Vec<u64> = self.driver_blocks().difference(&before).copied().collect();
        if status == NDIS_STATUS_PENDING.0 {
            self.violate(
                "SO-1",
                format!(
                    "{name} returned PENDING: it runs inside the registration and ends with it"
                ),
            );
        }
        if status == 0 {
            self.ndis(|n| n.options.extend(made));
        } else {
            self.blame_blocks(&made, &format!("{name} failed"));
        }
        status
    }

    /// What the driver has allocated.
    fn driver_blocks(&self) -> BTreeSet<u64> {
        let heap = self.heap();
        heap.live()
            .filter(|a| a.by.starts_with("Ndis") || a.by.starts_with("Ex"))
            .map(|a| a.address)
            .collect()
    }

    /// SO-3: memory that is left; it is freed, so that it is reported once.
    fn blame_blocks(&self, blocks: &[u64], after: &str) {
        for &block in blocks {
            let text = self.describe(block);
            self.violate("SO-3", format!("{after} and left {block:#x}: {text}"));
            crate::nt::free_pool(self, block, None, "the host, after its loss was reported");
        }
    }

    /// SO-3: what a successful XxxSetOptions allocated and unload did not free.
    pub(super) fn options_left(&self, after: &str) {
        let made = self.ndis(|n| std::mem::take(&mut n.options));
        let live = self.driver_blocks();
        let left: Vec<u64> = made.into_iter().filter(|b| live.contains(b)).collect();
        self.blame_blocks(&left, &format!("after {after}: XxxSetOptions allocated"));
    }

    /// SO-2: when, for what and with which structure optional handlers are set. The host
    /// provides none of the services they are for.
    pub(super) fn check_options(&self, handle: u64, handlers: u64) {
        let inside = |name: &str| self.is_inside(name);
        let options = inside("MiniportSetOptions") || inside("ProtocolSetOptions");
        let kind = self.ndis(|n| n.handles.kind(handle));
        let allowed: &[u8] = match kind {
            Ok(Kind::MiniportDriver) if inside("MiniportSetOptions") => &MINIPORT,
            Ok(Kind::ProtocolDriver) if inside("ProtocolSetOptions") => &PROTOCOL,
            Ok(Kind::Binding)
                if inside("ProtocolBindAdapterEx") || inside("ProtocolOpenAdapterCompleteEx") =>
            {
                &PROTOCOL
            }
            // The variable of the registration is not written yet.
            Err(_) if options && handle == 0 => {
                return self.violate(
                    "SO-1",
                    "NdisSetOptionalHandlers with a handle of zero inside XxxSetOptions: the registration returns it, the handler is given it".into(),
                );
            }
            other => {
                return self.violate(
                    "SO-2",
                    format!("NdisSetOptionalHandlers with {handle:#x} ({other:?}) outside the handler that it belongs to"),
                );
            }
        };
        let header: NDIS_OBJECT_HEADER = self.get(handlers, "OptionalHandlers");
        if header.Type == ndis_sys::NDIS_OBJECT_TYPE_CO_MINIPORT_CHARACTERISTICS {
            self.violate(
                "PTR-6",
                "the upper edge registers connection-oriented handlers".into(),
            );
        } else if !allowed.contains(&header.Type) {
            self.violate(
                "SO-2",
                format!(
                    "NdisSetOptionalHandlers with a structure of type {:#x}",
                    header.Type
                ),
            );
        }
    }

    /// CAN-4: contexts of devices whose request was cancelled, which only the driver can free.
    pub(super) fn contexts_left(&self) {
        let contexts = self.ndis(|n| std::mem::take(&mut n.cancelled));
        for context in contexts {
            let whole = self
                .heap()
                .find(context)
                .is_some_and(|a| a.address == context);
            if whole {
                self.violate(
                    "CAN-4",
                    format!("the context {context:#x} of a device whose request was cancelled is not freed"),
                );
                crate::nt::free_pool(self, context, None, "the host, after its loss was reported");
            }
        }
    }
}

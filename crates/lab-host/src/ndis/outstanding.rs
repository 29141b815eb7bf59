//! What is under way at an edge: lists and requests that were handed over and are not back.

use crate::host::Host;

/// What one edge has out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// Lists sent and not completed.
    pub sends: u64,
    /// Lists indicated and not returned.
    pub receives: u64,
    /// Requests of the driver's own that are not complete; of a binding only.
    pub requests: u64,
}

impl Host {
    /// What a binding has out; nothing if there is none.
    pub fn binding_outstanding(&self, binding: u64) -> Outstanding {
        self.ndis(|n| {
            n.bindings
                .get(&binding)
                .map_or_else(Outstanding::default, |b| Outstanding {
                    sends: b.sends,
                    receives: b.receives,
                    requests: b.oids,
                })
        })
    }

    /// What a virtual miniport has out; nothing if there is none.
    pub fn miniport_outstanding(&self, miniport: u64) -> Outstanding {
        self.ndis(|n| {
            n.miniports
                .get(&miniport)
                .map_or_else(Outstanding::default, |m| Outstanding {
                    sends: m.sends,
                    receives: m.receives,
                    requests: 0,
                })
        })
    }

    /// The driver's own context of a binding, as its callbacks get it.
    pub fn binding_context(&self, binding: u64) -> Option<u64> {
        self.ndis(|n| n.bindings.get(&binding).map(|b| b.context))
    }

    /// The driver's own context of a virtual miniport, as its callbacks get it.
    pub fn miniport_context(&self, miniport: u64) -> Option<u64> {
        self.ndis(|n| n.miniports.get(&miniport).map(|m| m.context))
    }
}

//! Binds inside `NdisRegisterProtocolDriver`, which NDIS may do before that call returns (DE-7).

use super::BindRequest;
use crate::host::Host;

/// Binds that come early, and what became of those that came.
#[derive(Default)]
pub(crate) struct Early {
    wanted: Vec<BindRequest>,
    done: Vec<(usize, Result<u64, i32>)>,
}

impl Host {
    /// An adapter is offered as soon as the protocol edge is registered, inside that call.
    pub fn bind_early(&self, request: BindRequest) {
        self.ndis(|n| n.early.wanted.push(request));
    }

    /// Adapters that were offered early, and what the driver answered.
    pub fn take_early(&self) -> Vec<(usize, Result<u64, i32>)> {
        self.ndis(|n| std::mem::take(&mut n.early.done))
    }

    /// Offers them. Nothing was made to fail, so that the driver has no reason but that it is
    /// not ready.
    pub(crate) fn bind_now(&self, options: bool) {
        for request in self.ndis(|n| std::mem::take(&mut n.early.wanted)) {
            let nic = request.nic;
            let result = self.bind(request);
            if let Err(status) = result {
                self.violate(
                    // After its options it has said that it is ready.
                    if options { "SO-4" } else { "DE-7" },
                    format!("a bind inside NdisRegisterProtocolDriver fails with {status:#x}: the driver is not ready for it"),
                );
            }
            self.ndis(|n| n.early.done.push((nic, result)));
        }
    }
}

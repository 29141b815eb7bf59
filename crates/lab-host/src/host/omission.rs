//! Drivers that forget a call: the host does nothing for some calls of one import, so that
//! what it sees is a driver that does not make them. Any driver becomes a broken one this
//! way, without a second image of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Host;
use crate::api::Api;

/// Which calls are left out; none of a host that was told nothing.
#[derive(Default)]
pub(super) struct Omission(OnceLock<Left>);

struct Left {
    name: String,
    every: u64,
    calls: AtomicU64,
}

impl Host {
    /// Does nothing for each call of this import whose number `every` divides, counted from
    /// 1: the driver behaves as if it had forgotten it. Holds for as long as the host lives;
    /// whether it was the first such order.
    pub fn leave_out(&self, name: &str, every: u64) -> bool {
        let left = Left {
            name: name.to_owned(),
            every: every.max(1),
            calls: AtomicU64::new(0),
        };
        self.omission.0.set(left).is_ok()
    }

    /// Whether this call is one of them.
    pub(crate) fn leaves_out(&self, api: &Api) -> bool {
        let Some(left) = self.omission.0.get() else {
            return false;
        };
        left.name == api.name
            && (left.calls.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(left.every)
    }
}

//! The functions drivers handle NET_BUFFER_LISTs with, and what the rules want of the lists
//! that drivers make or rebuild.
//!
//! * [`pool`]: pools, lists and NET_BUFFERs out of them, context areas;
//! * [`data`]: MDLs, where data starts, copies;
//! * [`derived`]: clones and out-of-band information;
//! * [`checks`]: digests and the checks at each hand-over.

pub(crate) mod checks;
mod data;
mod derived;
mod pool;

use crate::api::Api;

pub(crate) use derived::info;
pub(crate) use pool::{BufferPool, Made, Pool};

/// Functions of this part.
pub(crate) fn exports() -> Vec<Api> {
    let mut all = pool::exports();
    all.extend(data::exports());
    all.extend(derived::exports());
    all
}

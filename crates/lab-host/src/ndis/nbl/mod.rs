//! The functions drivers handle NET_BUFFER_LISTs with, and what the rules want of the lists
//! that drivers make or rebuild.
//!
//! * [`pool`]: pools, lists and NET_BUFFERs out of them, context areas;
//! * [`data`]: MDLs, where data starts, copies;
//! * [`derived`]: clones and out-of-band information;
//! * [`look`]: what can be seen of a list: digests, whose memory it uses.
//! * [`checks`]: the checks at each hand-over.

mod checks;
mod data;
mod derived;
pub(crate) mod look;
mod pool;

use crate::api::Api;

pub(crate) use derived::{SEND, info};
pub(crate) use pool::{BufferPool, Made, Pool, Single};

/// Functions of this part.
pub(crate) fn exports() -> Vec<Api> {
    let mut all = pool::exports();
    all.extend(data::exports());
    all.extend(derived::exports());
    all
}

/// The functions under their tests' names.
#[cfg(test)]
pub(crate) mod tests {
    use ndis_sys::NDIS_STATUS;

    pub(crate) use super::data::{NdisAllocateMdl as mdl, NdisFreeMdl as free_mdl};
    pub(crate) use super::derived::{
        NdisAllocateCloneNetBufferList as clone, NdisCopyReceiveNetBufferListInfo as copy_receive,
        NdisCopySendNetBufferListInfo as copy_send, NdisFreeCloneNetBufferList as free_clone,
    };
    pub(crate) use super::pool::{
        NdisAllocateNetBufferListPool as allocate_pool, NdisFreeNetBufferList as free,
        NdisFreeNetBufferListPool as free_pool,
    };

    pub(crate) fn make(pool: u64, mdl: u64, length: u64) -> u64 {
        super::pool::NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, mdl, 0, length)
    }

    pub(crate) fn retreat(buffer: u64, delta: u32, backfill: u32) -> NDIS_STATUS {
        super::data::NdisRetreatNetBufferDataStart(buffer, delta, backfill, 0)
    }

    pub(crate) fn advance(buffer: u64, delta: u32, free: bool) {
        super::data::NdisAdvanceNetBufferDataStart(buffer, delta, u8::from(free), 0);
    }
}

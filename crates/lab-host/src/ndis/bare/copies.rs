//! Copies of lists for the benchmark: what NDIS does for `NdisAllocateCloneNetBufferList`
//! without flags, out of blocks that are used again.

use ndis_sys::{MDL, NET_BUFFER, NET_BUFFER_LIST};

use crate::api::host;
use crate::ndis::list::{BUFFER, LIST, MDL_FLAGS, MDL_SIZE};
use crate::ndis::nbl::SEND;

const TAG: u32 = u32::from_le_bytes(*b"Copy");
/// Blocks made at a time.
const MORE: u64 = 64;
/// MDLs of a copy.
const MDLS: usize = 4;
const BLOCK: u64 = LIST + BUFFER + MDL_SIZE * MDLS as u64;

/// A block for a copy.
fn take() -> u64 {
    let free = &host().bare.copies;
    if let Some(block) = free.borrow_mut().pop() {
        return block;
    }
    let size = BLOCK.next_multiple_of(64);
    let first = host().allocate(size * MORE, TAG, "bare copies");
    let mut free = free.borrow_mut();
    free.extend((1..MORE).map(|i| first + i * size));
    first
}

/// A copy over the data of a list with one NET_BUFFER in a few MDLs, as those of a measurement
/// are; none of any other.
pub(super) extern "win64" fn allocate(original: u64, pool: u64, _buffers: u64, _flags: u32) -> u64 {
    // SAFETY: a list of the benchmark with its NET_BUFFER, mapped for the driver.
    let nb = unsafe {
        let list = &*(original as *const NET_BUFFER_LIST);
        let nb = &*list.FirstNetBuffer.cast_const();
        if !nb.Next.is_null() {
            return 0;
        }
        nb
    };
    let block = take();
    let (buffer, mdls) = (block + LIST, block + LIST + BUFFER);
    let (mut left, mut skip) = (nb.DataLength, nb.CurrentMdlOffset);
    let mut from = nb.CurrentMdl.cast_const();
    let mut used = 0;
    while left > 0 && !from.is_null() {
        if used == MDLS {
            host().bare.copies.borrow_mut().push(block);
            return 0;
        }
        let at = mdls + MDL_SIZE * used as u64;
        // SAFETY: MDLs of the benchmark's list, and the copy's own block.
        unsafe {
            let source = &*from;
            let here = source.ByteCount.saturating_sub(skip).min(left);
            let address = source.MappedSystemVa as u64 + u64::from(skip);
            let mut mdl: MDL = std::mem::zeroed();
            mdl.Size = MDL_SIZE as i16;
            mdl.MdlFlags = MDL_FLAGS;
            mdl.MappedSystemVa = address as *mut _;
            mdl.StartVa = (address & !0xFFF) as *mut _;
            mdl.ByteOffset = (address & 0xFFF) as u32;
            mdl.ByteCount = here;
            if here < left {
                mdl.Next = (at + MDL_SIZE) as *mut _;
            }
            (at as *mut MDL).write(mdl);
            left -= here;
            from = source.Next.cast_const();
        }
        skip = 0;
        used += 1;
    }
    // SAFETY: plain data of the ABI, all zero is a value of it; the copy's own block.
    unsafe {
        let mut copy: NET_BUFFER = std::mem::zeroed();
        copy.DataLength = nb.DataLength;
        copy.MdlChain = mdls as *mut _;
        copy.CurrentMdl = mdls as *mut _;
        copy.NdisPoolHandle = pool as *mut _;
        (buffer as *mut NET_BUFFER).write(copy);
        let mut list: NET_BUFFER_LIST = std::mem::zeroed();
        list.FirstNetBuffer = buffer as *mut _;
        list.NdisPoolHandle = pool as *mut _;
        (block as *mut NET_BUFFER_LIST).write(list);
    }
    block
}

/// Gives the block of a copy back.
pub(super) extern "win64" fn free(list: u64, _flags: u32) {
    host().bare.copies.borrow_mut().push(list);
}

/// What `NdisCopySendNetBufferListInfo` does.
pub(super) extern "win64" fn information(to: *mut NET_BUFFER_LIST, from: *const NET_BUFFER_LIST) {
    // SAFETY: two lists of the benchmark, mapped for the driver.
    unsafe {
        for entry in SEND {
            let at = entry.0 as usize;
            (*to).NetBufferListInfo[at] = (*from).NetBufferListInfo[at];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::RunEnd;
    use crate::handle::Kind;
    use crate::host::{Config, Host};
    use crate::ndis::list::{FrameList, Shape, frame_of};

    #[test]
    fn a_copy_has_the_frame_and_its_block_is_used_again() {
        let quiet = std::sync::Arc::new(crate::report::Collect::default());
        let host = Host::new(Config::default(), quiet).expect("host");
        let end = host.run("test", |host| {
            let source = host.ndis(|n| n.handles.open(Kind::Upper));
            let mut pool = FrameList::new(source, 4, 200, 0, 0);
            let frame: Vec<u8> = (0..150).collect();
            let list = pool
                .take(host, &frame, &Shape::split(20, 150))
                .expect("a list");
            let copy = allocate(list, 7, 0, 0);
            let copied: NET_BUFFER_LIST = host.get(copy, "copy");
            assert_eq!(frame_of(host, copied.FirstNetBuffer as u64), frame);
            assert_eq!(copied.NdisPoolHandle as u64, 7);
            let other = allocate(list, 7, 0, 0);
            assert_ne!(copy, other);
            free(copy, 0);
            assert_eq!(allocate(list, 7, 0, 0), copy);
        });
        assert_eq!(end, RunEnd::Done);
        assert_eq!(host.findings().len(), 0);
    }
}

//! As much of NDIS and the kernel as a team needs, with threads of the machine as
//! processors: adapters that keep what they are given until somebody puts it on the
//! wire, and a stack above that takes lists back. Whatever a list must have kept is
//! looked at when it comes back.

#![expect(
    clippy::cast_ptr_alignment,
    reason = "blocks are aligned as pool memory is"
)]

use super::Stage;
use ndis::sys::{
    EX_POOL_PRIORITY, KIRQL, KSPIN_LOCK, MDL, NDIS_EVENT, NDIS_HANDLE, NDIS_STATUS_SUCCESS,
    NET_BUFFER, NET_BUFFER_LIST, NET_BUFFER_LIST_POOL_PARAMETERS, PVOID,
};
use std::alloc::Layout;
use std::boxed::Box;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::vec::Vec;

/// Processors that there are.
pub const PROCESSORS: usize = 4;

/// What lists from above come with, and must leave with.
pub const ABOVE: usize = 0x5000;

std::thread_local! {
    static PROCESSOR: Cell<usize> = const { Cell::new(0) };
}

/// Says which processor this thread is.
pub fn be_processor(index: usize) {
    PROCESSOR.set(index % PROCESSORS);
}

pub fn zeroed<V>() -> V {
    // SAFETY: (NBL-1 does not apply: nothing leaves the test) integers and raw
    // pointers, zero is a value of each.
    unsafe { core::mem::MaybeUninit::zeroed().assume_init() }
}

/// A list with a frame of its own memory.
#[repr(C, align(16))]
pub struct OneFrame {
    pub list: NET_BUFFER_LIST,
    pub buffer: NET_BUFFER,
    pub mdl: MDL,
    pub bytes: [u8; 256],
}

impl OneFrame {
    pub fn make(frame: &[u8], source: usize) -> *mut NET_BUFFER_LIST {
        let raw = Box::into_raw(Box::new(Self {
            list: zeroed(),
            buffer: zeroed(),
            mdl: zeroed(),
            bytes: [0; 256],
        }));
        // SAFETY: (NBL-1 does not apply) just made.
        unsafe {
            (&mut (*raw).bytes)[..frame.len()].copy_from_slice(frame);
            (*raw).mdl.MdlFlags = 5;
            (*raw).mdl.ByteCount = 256;
            (*raw).mdl.MappedSystemVa = (&raw mut (*raw).bytes).cast();
            (*raw).buffer.MdlChain = &raw mut (*raw).mdl;
            (*raw).buffer.CurrentMdl = &raw mut (*raw).mdl;
            (*raw).buffer.DataLength = frame.len() as u32;
            (*raw).list.FirstNetBuffer = &raw mut (*raw).buffer;
            (*raw).list.SourceHandle = core::ptr::without_provenance_mut(source);
        }
        raw.cast()
    }

    /// Frees it, after a look at what it must have kept.
    ///
    /// # Safety
    /// From [`OneFrame::make`], and not used any more.
    pub unsafe fn free(raw: *mut NET_BUFFER_LIST, source: usize) -> Box<Self> {
        // SAFETY: (NBL-1 does not apply) the caller's promise.
        unsafe {
            assert_eq!((*raw).SourceHandle.addr(), source, "another source");
            assert_eq!((*raw).ChildRefCount, 0, "with copies out");
            let context = (*raw).Context;
            if !context.is_null() {
                assert_eq!((*context).Offset, (*context).Size, "context space in use");
                // As `fanout`'s fake made it: 16 bytes of header and 64 of data.
                let layout = Layout::from_size_align_unchecked(80, 16);
                std::alloc::dealloc(context.cast(), layout);
            }
            Box::from_raw(raw.cast())
        }
    }
}

/// The bytes of a list's frame.
///
/// # Safety
/// A list of the test's with one frame in one piece.
pub unsafe fn bytes_of<'a>(list: *mut NET_BUFFER_LIST) -> &'a [u8] {
    // SAFETY: (NBL-1 does not apply) the caller's promise.
    unsafe {
        let buffer = (*list).FirstNetBuffer;
        let mdl = (*buffer).CurrentMdl;
        let start: *const u8 = (*mdl).MappedSystemVa.cast();
        let start = start.add((*buffer).CurrentMdlOffset as usize);
        core::slice::from_raw_parts(start, (*buffer).DataLength as usize)
    }
}

/// A list that is somewhere.
#[derive(Clone, Copy)]
pub struct Raw(pub *mut NET_BUFFER_LIST);
// SAFETY: (VMI-9) lists are plain memory; whoever takes one from a queue has it alone.
unsafe impl Send for Raw {}

/// An adapter below.
#[derive(Default)]
pub struct Adapter {
    /// What it has, and whether it is dead.
    pub queue: Mutex<(VecDeque<Raw>, bool)>,
    /// What it cannot send any more.
    pub failed: Mutex<Vec<Raw>>,
    pub drained: AtomicBool,
    pub returned: AtomicUsize,
}

/// Splits a chain into its lists.
///
/// # Safety
/// A null-ended chain that nobody else has.
unsafe fn lists(mut next: *mut NET_BUFFER_LIST) -> Vec<*mut NET_BUFFER_LIST> {
    let mut all = Vec::new();
    while !next.is_null() {
        all.push(next);
        // SAFETY: (SND-9) the caller's promise.
        unsafe {
            let after = (*next).Next;
            (*next).Next = core::ptr::null_mut();
            next = after;
        }
    }
    all
}

/// Links lists to a chain.
pub fn chain_of(lists: &[Raw]) -> *mut NET_BUFFER_LIST {
    for pair in lists.windows(2) {
        // SAFETY: (SND-9) lists of the test.
        unsafe { (*pair[0].0).Next = pair[1].0 };
    }
    lists.first().map_or(core::ptr::null_mut(), |list| list.0)
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisSendNetBufferLists(
    binding: NDIS_HANDLE,
    chain: *mut NET_BUFFER_LIST,
    _port: u32,
    _flags: u32,
) {
    // SAFETY: (SND-6) an adapter of a stage that lives.
    let adapter = unsafe { &*binding.cast::<Adapter>() };
    // SAFETY: (SND-3) handed to us.
    for list in unsafe { lists(chain) } {
        // SAFETY: (SND-3) as above.
        assert_eq!(unsafe { (*list).SourceHandle }, binding);
        let mut queue = adapter.queue.lock().unwrap();
        if queue.1 {
            adapter.failed.lock().unwrap().push(Raw(list));
        } else {
            queue.0.push_back(Raw(list));
        }
    }
    if PROCESSOR.get() & 1 == 1 {
        std::thread::yield_now();
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisCancelSendNetBufferLists(_binding: NDIS_HANDLE, _id: PVOID) {}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisMSendNetBufferListsComplete(
    miniport: NDIS_HANDLE,
    chain: *mut NET_BUFFER_LIST,
    _flags: u32,
) {
    // SAFETY: (SND-2) a stage that lives.
    let stage = unsafe { &*miniport.cast::<Stage>() };
    // SAFETY: (SND-2) handed to us.
    for list in unsafe { lists(chain) } {
        // SAFETY: (SND-2) as above.
        let succeeded = unsafe { (*list).Status } == NDIS_STATUS_SUCCESS;
        // SAFETY: (SND-2) from above, and nobody uses it any more.
        let frame = unsafe { OneFrame::free(list, ABOVE) };
        stage.completed(&frame.bytes, succeeded);
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisMIndicateReceiveNetBufferLists(
    miniport: NDIS_HANDLE,
    chain: *mut NET_BUFFER_LIST,
    _port: u32,
    count: u32,
    flags: u32,
) {
    // SAFETY: (RCV-4) a stage that lives.
    let stage = unsafe { &*miniport.cast::<Stage>() };
    if flags & ndis::sys::NDIS_RECEIVE_FLAGS_RESOURCES != 0 {
        let (mut next, mut seen) = (chain, 0);
        while !next.is_null() {
            // SAFETY: (RCV-3) lent to us.
            unsafe {
                assert_eq!((*next).SourceHandle, miniport);
                stage.arrived(bytes_of(next));
                next = (*next).Next;
            }
            seen += 1;
        }
        assert_eq!(seen, count);
        return;
    }
    // SAFETY: (RCV-4) handed to us.
    let all = unsafe { lists(chain) };
    assert_eq!(all.len(), count as usize);
    for list in all {
        // SAFETY: (RCV-5) ours until we return it.
        unsafe {
            assert_eq!((*list).SourceHandle, miniport);
            stage.arrived(bytes_of(list));
        }
        stage.above.lock().unwrap().push(Raw(list));
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisReturnNetBufferLists(
    binding: NDIS_HANDLE,
    chain: *mut NET_BUFFER_LIST,
    _flags: u32,
) {
    // SAFETY: (RCV-9) an adapter of a stage that lives.
    let adapter = unsafe { &*binding.cast::<Adapter>() };
    // SAFETY: (RCV-9) handed to us.
    for list in unsafe { lists(chain) } {
        // SAFETY: (RCV-9) made by the test for this adapter.
        drop(unsafe { OneFrame::free(list, binding.addr()) });
        adapter.returned.fetch_add(1, Ordering::SeqCst);
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisAllocateNetBufferListPool(
    _handle: NDIS_HANDLE,
    parameters: *const NET_BUFFER_LIST_POOL_PARAMETERS,
) -> NDIS_HANDLE {
    // SAFETY: (NBL-2) the caller's.
    let data = unsafe { (*parameters).DataSize };
    Box::into_raw(Box::new((data, AtomicUsize::new(0)))).cast()
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisFreeNetBufferListPool(pool: NDIS_HANDLE) {
    // SAFETY: (NBL-4) made above.
    let pool = unsafe { Box::from_raw(pool.cast::<(u32, AtomicUsize)>()) };
    assert_eq!(
        pool.1.load(Ordering::SeqCst),
        0,
        "a pool goes before its lists"
    );
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisAllocateNetBufferList(
    pool: NDIS_HANDLE,
    _context: u16,
    _backfill: u16,
) -> *mut NET_BUFFER_LIST {
    // SAFETY: (NBL-1) a pool made above.
    unsafe { &(*pool.cast::<(u32, AtomicUsize)>()).1 }.fetch_add(1, Ordering::SeqCst);
    let list = OneFrame::make(&[], 0);
    // SAFETY: (NBL-1) just made.
    unsafe { (*list).NdisPoolHandle = pool };
    list
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisFreeNetBufferList(list: *mut NET_BUFFER_LIST) {
    // SAFETY: (NBL-4) made above.
    unsafe {
        let pool = (*list).NdisPoolHandle.cast::<(u32, AtomicUsize)>();
        (*pool).1.fetch_sub(1, Ordering::SeqCst);
        let source = (*list).SourceHandle.addr();
        drop(OneFrame::free(list, source));
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn KeGetCurrentProcessorNumberEx(_number: PVOID) -> u32 {
    PROCESSOR.get() as u32
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn KeQueryActiveProcessorCountEx(_group: u16) -> u32 {
    PROCESSORS as u32
}

/// The clock is slow, as the machine may be: limits are meant for others.
fn since_start() -> u64 {
    const SLOWER: u128 = 50;
    static START: OnceLock<Instant> = OnceLock::new();
    (START.get_or_init(Instant::now).elapsed().as_nanos() / 100 / SLOWER) as u64
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn KeQueryUnbiasedInterruptTime() -> u64 {
    since_start()
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn KeQueryInterruptTimePrecise(_counter: *mut u64) -> u64 {
    since_start()
}

/// Memory blocks keep their size before them.
const BEFORE: usize = 16;

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisAllocateMemoryWithTagPriority(
    _handle: NDIS_HANDLE,
    length: u32,
    _tag: u32,
    _priority: EX_POOL_PRIORITY,
) -> PVOID {
    let size = length as usize + BEFORE;
    // SAFETY: (MEM-1) not empty, and aligned to a power of two.
    unsafe {
        let start = std::alloc::alloc(Layout::from_size_align_unchecked(size, 16));
        start.cast::<usize>().write(size);
        start.add(BEFORE).cast()
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisFreeMemory(address: PVOID, _length: u32, _flags: u32) {
    // SAFETY: (MEM-2) allocated above.
    unsafe {
        let start = address.cast::<u8>().sub(BEFORE);
        let size = start.cast::<usize>().read();
        std::alloc::dealloc(start, Layout::from_size_align_unchecked(size, 16));
    }
}

fn word<'a>(lock: *mut KSPIN_LOCK) -> &'a AtomicUsize {
    // SAFETY: (LCK-1) an aligned word that is used through this only.
    unsafe { AtomicUsize::from_ptr(lock.cast()) }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn KeAcquireSpinLockAtDpcLevel(lock: *mut KSPIN_LOCK) {
    while word(lock).swap(1, Ordering::Acquire) != 0 {
        std::thread::yield_now();
    }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn KeAcquireSpinLockRaiseToDpc(lock: *mut KSPIN_LOCK) -> KIRQL {
    // SAFETY: (LCK-1) the same lock.
    unsafe { KeAcquireSpinLockAtDpcLevel(lock) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn KeReleaseSpinLockFromDpcLevel(lock: *mut KSPIN_LOCK) {
    word(lock).store(0, Ordering::Release);
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn KeReleaseSpinLock(lock: *mut KSPIN_LOCK, _irql: KIRQL) {
    word(lock).store(0, Ordering::Release);
}

fn signal<'a>(event: *mut NDIS_EVENT) -> &'a AtomicU32 {
    // SAFETY: (IRQ-9) the first bytes of an event, used through this only.
    unsafe { AtomicU32::from_ptr(event.cast()) }
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisInitializeEvent(event: *mut NDIS_EVENT) {
    signal(event).store(0, Ordering::SeqCst);
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisSetEvent(event: *mut NDIS_EVENT) {
    signal(event).store(1, Ordering::SeqCst);
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisResetEvent(event: *mut NDIS_EVENT) {
    signal(event).store(0, Ordering::SeqCst);
}

#[unsafe(no_mangle)]
unsafe extern "efiapi" fn NdisWaitEvent(event: *mut NDIS_EVENT, milliseconds: u32) -> u8 {
    let until = Instant::now() + Duration::from_millis(u64::from(milliseconds));
    while signal(event).load(Ordering::SeqCst) == 0 {
        if milliseconds != 0 && Instant::now() >= until {
            return 0;
        }
        std::thread::yield_now();
    }
    1
}

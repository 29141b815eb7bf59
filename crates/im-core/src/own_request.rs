//! The driver's own OID requests, beside those it forwards.
//!
//! Made at PASSIVE_LEVEL by bind, unbind and the binding's worker, one at a time
//! per binding, and waited for: the worker starts after the bind has asked, is
//! closed before the unbind asks, and holds `Desk::sync` in between. The request lives in the binding, so that an unbind, which cannot
//! fail, needs no memory (OID-17, UNB-1).

use crate::edges::Lower;
use crate::gate::bit;
use crate::state::lower_takes_requests;
use crate::topology::Topology;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI32, Ordering};
use ndis::event::Event;
use ndis::header::{Zeroed, header};
use ndis::memory::PoolArray;
use ndis::oid::{Origin, set_origin};
use ndis::sys::{
    NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OFFLOAD, NDIS_OID, NDIS_OID_REQUEST,
    NDIS_OID_REQUEST_REVISION_2, NDIS_STATUS, NDIS_STATUS_PENDING, NDIS_STATUS_SUCCESS,
    NdisDeviceStateD0, NdisOidRequest, NdisRequestQueryInformation, NdisRequestSetInformation,
    OID_802_3_MULTICAST_LIST, OID_GEN_CURRENT_PACKET_FILTER, OID_GEN_SUPPORTED_LIST,
    OID_PM_REMOVE_PROTOCOL_OFFLOAD, OID_PM_REMOVE_WOL_PATTERN,
    OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
};
use ndis::{Error, Result};

/// Words of a buffer that is part of the binding, for small requests.
const SCRATCH: usize = 64;

/// Longest OID list that is looked at.
const MAX_LIST: usize = 2048;

/// A request with its memory.
pub(crate) struct OwnRequest {
    request: UnsafeCell<NDIS_OID_REQUEST>,
    scratch: UnsafeCell<[u32; SCRATCH]>,
    status: AtomicI32,
    done: Event,
}

// SAFETY: (OID-17) one thread at a time uses it, see the module's description;
// the completion touches the status and the event only.
unsafe impl Sync for OwnRequest {}

impl OwnRequest {
    pub(crate) fn new() -> Self {
        Self {
            request: UnsafeCell::new(NDIS_OID_REQUEST::zeroed()),
            scratch: UnsafeCell::new([0; SCRATCH]),
            status: AtomicI32::new(0),
            done: Event::new(),
        }
    }

    /// Initialises the event in place.
    ///
    /// # Safety
    /// As [`Event::init`].
    pub(crate) unsafe fn init(&self) {
        // SAFETY: (IRQ-9) the caller's promise.
        unsafe { self.done.init() };
    }

    /// The completion of a request that pended. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn completed(&self, status: NDIS_STATUS) {
        self.status.store(status.0, Ordering::Release);
        self.done.set(); // last: whoever waits goes on
    }
}

/// Query or set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Query,
    Set,
}

/// Sends a request and waits for it. The number is of bytes written, or of
/// bytes needed when it was too short.
///
/// # Safety
/// `buffer` is nonpaged, valid for `length` bytes until this returns; called at
/// PASSIVE_LEVEL by the one thread that may ask, see the module's description.
pub(crate) unsafe fn ask<T: Topology>(
    lower: &Lower<T>,
    ask: Ask,
    oid: NDIS_OID,
    buffer: *mut u8,
    length: u32,
) -> (NDIS_STATUS, u32) {
    let Some(_inside) = lower.requests.enter() else {
        return (Error::NotAccepted.status(), 0);
    };
    let own = &lower.own;
    let request = own.request.get();
    // SAFETY: (OID-17) ours alone; nonpaged, as the binding is.
    unsafe {
        *request = NDIS_OID_REQUEST::zeroed();
        (*request).Header = header(
            NDIS_OBJECT_TYPE_OID_REQUEST,
            NDIS_OID_REQUEST_REVISION_2,
            size_of::<NDIS_OID_REQUEST>(),
        );
        (*request).RequestId = request.cast();
        let owner = core::ptr::from_ref(own).cast_mut().cast();
        set_origin(
            request,
            Origin {
                original: core::ptr::null_mut(),
                owner,
            },
        );
        match ask {
            Ask::Query => {
                (*request).RequestType = NdisRequestQueryInformation;
                let query = &raw mut (*request).DATA.QUERY_INFORMATION;
                (*query).Oid = oid;
                (*query).InformationBuffer = buffer.cast();
                (*query).InformationBufferLength = length;
            }
            Ask::Set => {
                (*request).RequestType = NdisRequestSetInformation;
                let set = &raw mut (*request).DATA.SET_INFORMATION;
                (*set).Oid = oid;
                (*set).InformationBuffer = buffer.cast();
                (*set).InformationBufferLength = length;
            }
        }
    }
    own.done.reset();
    // The caller looked before; between two of its requests the adapter may fall asleep.
    if lower.power.load(Ordering::Acquire) != NdisDeviceStateD0.0 {
        return (Error::LowPower.status(), 0);
    }
    // SAFETY: (PBS-5) the caller looked at the state; the run-down keeps the
    // binding open.
    let mut status = unsafe { NdisOidRequest(lower.handle().0, request) };
    if status == NDIS_STATUS_PENDING {
        own.done.wait();
        status = NDIS_STATUS(own.status.load(Ordering::Acquire));
    }
    // SAFETY: (OID-16) the request ended, it is ours again.
    let bytes = unsafe {
        match ask {
            Ask::Set => (*request).DATA.SET_INFORMATION.BytesRead,
            Ask::Query if status == NDIS_STATUS_SUCCESS => {
                (*request).DATA.QUERY_INFORMATION.BytesWritten.min(length)
            }
            Ask::Query => (*request).DATA.QUERY_INFORMATION.BytesNeeded,
        }
    };
    (status, bytes)
}

/// Whether requests may go down now (PBS-5).
pub(crate) fn may_ask<T: Topology>(lower: &Lower<T>) -> Result<()> {
    let core = lower.core.lock();
    if !lower_takes_requests(core.state) {
        Err(Error::NotAccepted)
    } else if core.bits & bit::LOWER_LOW_POWER != 0 {
        Err(Error::LowPower)
    } else if core.bits & bit::LOWER_RESETTING != 0 {
        Err(Error::Refused(ndis::sys::NDIS_STATUS_RESET_IN_PROGRESS)) // RST-2
    } else {
        Ok(())
    }
}

/// Asks for what the bind parameters do not say: the OIDs of the adapter and
/// what its offload hardware can do. Either may be unknown afterwards.
/// IRQL = PASSIVE_LEVEL, inside the bind.
pub(crate) fn interview<T: Topology>(lower: &Lower<T>) -> Option<PoolArray<u32>> {
    if lower.facts.lock().offload.is_some() {
        const { assert!(size_of::<NDIS_OFFLOAD>() <= SCRATCH * 4) };
        let word = lower.own.scratch.get();
        let buffer = word.cast::<u8>();
        let oid = OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES;
        // SAFETY: (OID-17) the scratch words are nonpaged and ours meanwhile.
        let (status, bytes) = unsafe { ask(lower, Ask::Query, oid, buffer, SCRATCH as u32 * 4) };
        if status == NDIS_STATUS_SUCCESS {
            // SAFETY: (VER-4, OID-12) readable for all of the scratch words,
            // which is more than any size that passes the check below.
            let header = unsafe { word.cast::<ndis::sys::NDIS_OBJECT_HEADER>().read() };
            if u32::from(header.Size) <= bytes {
                // SAFETY: (VER-4) `bytes` cover what the header says.
                let read = unsafe { crate::facts::read_offload(buffer.cast()) };
                lower.facts.lock().offload_hardware = read;
            }
        }
    }
    // SAFETY: (OID-17) no buffer: it answers how long the list is.
    let (_, needed) = unsafe {
        ask(
            lower,
            Ask::Query,
            OID_GEN_SUPPORTED_LIST,
            core::ptr::null_mut(),
            0,
        )
    };
    let length = (needed as usize / 4).min(MAX_LIST);
    if length == 0 {
        return None;
    }
    let mut list = PoolArray::try_with(lower.driver.pool(), length, |_| 0_u32).ok()?;
    let buffer = list.as_mut_slice().as_mut_ptr().cast::<u8>();
    // SAFETY: (OID-17) pool memory of this length, ours until it is returned.
    let (status, bytes) = unsafe {
        ask(
            lower,
            Ask::Query,
            OID_GEN_SUPPORTED_LIST,
            buffer,
            length as u32 * 4,
        )
    };
    (status == NDIS_STATUS_SUCCESS && bytes as usize == length * 4).then_some(list)
}

/// Leaves the adapter as if we had never asked it for anything (UNB-4).
/// IRQL = PASSIVE_LEVEL, before the close.
pub(crate) fn clean_up<T: Topology>(lower: &Lower<T>) {
    if may_ask(lower).is_err() {
        return; // PBS-5: asleep or resetting
    }
    let word = lower.own.scratch.get().cast::<u32>();
    let set = |oid, value: u32, length: u32| {
        // Nobody asks after us: what failed for want of memory gets a second chance.
        for _ in 0..2 {
            // SAFETY: (OID-17) the scratch words are nonpaged and ours meanwhile.
            let (status, _) = unsafe {
                word.write(value);
                ask(lower, Ask::Set, oid, word.cast(), length)
            };
            if status == NDIS_STATUS_SUCCESS {
                break;
            }
        }
    };
    set(OID_GEN_CURRENT_PACKET_FILTER, 0, 4);
    set(OID_802_3_MULTICAST_LIST, 0, 0); // OID-25: length zero clears
    loop {
        let next = lower.wake_ups.lock().pop();
        match next {
            Some(WakeUp::Pattern(id)) => set(OID_PM_REMOVE_WOL_PATTERN, id, 4),
            Some(WakeUp::Offload(id)) => set(OID_PM_REMOVE_PROTOCOL_OFFLOAD, id, 4),
            None => return,
        }
    }
}

/// Something that was added below through us and not removed yet (UNB-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeUp {
    /// A wake-on-LAN pattern, by id.
    Pattern(u32),
    /// A protocol offload, by id.
    Offload(u32),
}

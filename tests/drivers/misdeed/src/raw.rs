//! The few helpers that raw structures need.

use ndis_sys::{NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_STATUS, NET_BUFFER_LIST, UNICODE_STRING};

/// Plain data that may be all zeroes.
///
/// # Safety
/// Every member is an integer, a pointer, or an optional function.
pub(crate) unsafe trait Plain: Sized {
    /// All zeroes.
    fn zeroed() -> Self {
        // SAFETY: the implementer's promise.
        unsafe { core::mem::zeroed() }
    }
}

macro_rules! plain {
    ($($t:ident),* $(,)?) => { $(
        // SAFETY: a structure of the ABI: integers, pointers, optional functions.
        unsafe impl Plain for ndis_sys::$t {}
    )* };
}
plain!(
    NDIS_CONFIGURATION_OBJECT,
    NDIS_DEVICE_OBJECT_ATTRIBUTES,
    NDIS_EVENT,
    NDIS_LINK_STATE,
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
    NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_NIC_SWITCH_CAPABILITIES,
    NDIS_OFFLOAD,
    NDIS_OID_REQUEST,
    NDIS_OPEN_PARAMETERS,
    NDIS_PM_CAPABILITIES,
    NDIS_PORT_CHARACTERISTICS,
    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
    NDIS_RECEIVE_FILTER_CAPABILITIES,
    NDIS_RECEIVE_SCALE_CAPABILITIES,
    NDIS_STATUS_INDICATION,
    NDIS_TIMER_CHARACTERISTICS,
    NET_BUFFER_LIST_POOL_PARAMETERS,
    NET_BUFFER_POOL_PARAMETERS,
    NET_PNP_EVENT_NOTIFICATION,
);

/// The header of a structure of this size.
pub(crate) const fn header(kind: u8, revision: u8, size: usize) -> NDIS_OBJECT_HEADER {
    NDIS_OBJECT_HEADER {
        Type: kind,
        Revision: revision,
        Size: size as u16,
    }
}

/// A counted string over these units.
pub(crate) const fn counted(units: &[u16]) -> UNICODE_STRING {
    let bytes = (units.len() * 2) as u16;
    UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: units.as_ptr().cast_mut(),
    }
}

/// ASCII as UTF-16, at compile time.
pub(crate) const fn wide<const N: usize>(text: &[u8; N]) -> [u16; N] {
    let mut units = [0; N];
    let mut i = 0;
    while i < N {
        units[i] = text[i] as u16;
        i += 1;
    }
    units
}

/// The tag of everything that the driver allocates.
pub(crate) const TAG: u32 = u32::from_le_bytes(*b"Misd");

/// Success is zero or more.
pub(crate) const fn ok(status: NDIS_STATUS) -> bool {
    status.0 == 0
}

/// Lists of a chain, one after the other; `visit` may not touch `Next`.
pub(crate) fn each(
    first: *mut NET_BUFFER_LIST,
    mut visit: impl FnMut(*mut NET_BUFFER_LIST),
) -> i32 {
    let (mut list, mut count) = (first, 0);
    while !list.is_null() {
        visit(list);
        count += 1;
        // SAFETY: (SND-1, RCV-1) the chain is the driver's.
        list = unsafe { (*list).Next };
    }
    count
}

/// What a list that is forwarded came with.
#[repr(C)]
#[derive(Clone, Copy)]
struct Saved {
    source: NDIS_HANDLE,
    unused: usize,
}

/// Bytes of context space of a list that is forwarded.
pub(crate) const CONTEXT_BYTES: u16 = size_of::<Saved>() as u16;

/// Keeps the source handle of a list in its context space and writes another one. False
/// without memory.
pub(crate) fn push(list: *mut NET_BUFFER_LIST, source: NDIS_HANDLE) -> bool {
    // SAFETY: (NBL-5) the list is the driver's, the size a multiple of a pointer's.
    unsafe {
        let status = ndis_sys::NdisAllocateNetBufferListContext(list, CONTEXT_BYTES, 0, TAG);
        if !ok(status) {
            return false;
        }
        kept(list).write(Saved {
            source: (*list).SourceHandle,
            unused: 0,
        });
        (*list).SourceHandle = source; // SND-6, RCV-5
    }
    true
}

/// Puts the source handle back that [`push`] kept (SND-7, RCV-6).
pub(crate) fn pop(list: *mut NET_BUFFER_LIST) {
    // SAFETY: (NBL-5) what is kept was written by `push` and is the part in use.
    unsafe {
        (*list).SourceHandle = kept(list).read().source;
        ndis_sys::NdisFreeNetBufferListContext(list, CONTEXT_BYTES);
    }
}

/// Start of the context data in use.
///
/// # Safety
/// The list is the driver's and has context.
unsafe fn kept(list: *mut NET_BUFFER_LIST) -> *mut Saved {
    // SAFETY: (NBL-5) the data follow the context's header.
    unsafe {
        let context = (*list).Context;
        let start = (&raw mut (*context).ContextData).cast::<u8>();
        start.add(usize::from((*context).Offset)).cast()
    }
}

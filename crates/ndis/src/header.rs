//! Object headers: stamping ours, reading those of others.
//!
//! A structure that NDIS allocated may be longer or shorter than the one this
//! driver was built with (VER-4): a member is read only when `Header.Size`
//! covers it, and a newer revision is read as the one we know.

use crate::{Error, Result};
use core::mem::{MaybeUninit, size_of};
use ndis_sys::NDIS_OBJECT_HEADER;

/// The header of a structure that we hand over (VER-5).
pub const fn header(kind: u8, revision: u8, size: usize) -> NDIS_OBJECT_HEADER {
    NDIS_OBJECT_HEADER {
        Type: kind,
        Revision: revision,
        Size: size as u16,
    }
}

/// Plain data for which all-zero bytes are a value: every NDIS structure.
///
/// # Safety
/// The type has no invalid bit patterns when zeroed: integers, raw pointers,
/// options of function pointers and aggregates of those only.
pub unsafe trait Zeroed: Sized {
    /// The zeroed value. MPR-3 asks for it before a structure is filled.
    fn zeroed() -> Self {
        // SAFETY: the trait's contract: all-zero bytes are a value of the type.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

macro_rules! zeroed {
    ($($name:ident)*) => {$(
        // SAFETY: a C structure of integers, raw pointers and optional
        // function pointers: zero is a value of each of them (ABI test).
        unsafe impl Zeroed for ndis_sys::$name {}
    )*};
}

zeroed! {
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS NDIS_PROTOCOL_DRIVER_CHARACTERISTICS
    NDIS_OPEN_PARAMETERS NDIS_CONFIGURATION_OBJECT NDIS_BIND_PARAMETERS
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES
    NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES
    NDIS_MINIPORT_INIT_PARAMETERS NDIS_RESTART_GENERAL_ATTRIBUTES
    NDIS_PROTOCOL_RESTART_PARAMETERS NDIS_MINIPORT_RESTART_PARAMETERS
    NDIS_STATUS_INDICATION NDIS_OID_REQUEST NDIS_PM_CAPABILITIES
    NDIS_LINK_STATE NDIS_DEVICE_OBJECT_ATTRIBUTES NDIS_OFFLOAD
    NDIS_RECEIVE_SCALE_CAPABILITIES NDIS_TIMER_CHARACTERISTICS
    NDIS_PNP_CAPABILITIES NDIS_STATISTICS_INFO NDIS_EVENT
    NET_PNP_EVENT_NOTIFICATION NET_DEVICE_PNP_EVENT
    NDIS_OFFLOAD_ENCAPSULATION NDIS_OFFLOAD_PARAMETERS
    NDIS_TCP_LARGE_SEND_OFFLOAD_V1 NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv4
    NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv6 NDIS_UDP_SEGMENTATION_OFFLOAD_IPv4
    NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6 NDIS_PM_PARAMETERS
    NDIS_INTERRUPT_MODERATION_PARAMETERS
}

/// Reads a versioned structure that NDIS allocated.
///
/// Bytes that the structure does not have (an older revision) are zero, bytes
/// that ours does not have (a newer one) are left alone. `minimum` is the size
/// without which the structure is of no use.
///
/// # Safety
/// `source` is null, or points to memory that is readable for as many bytes as
/// the header at its start says.
pub unsafe fn read_versioned<T: Zeroed>(source: *const T, kind: u8, minimum: usize) -> Result<T> {
    if source.is_null() {
        return Err(Error::BadData); // MEM-3
    }
    // SAFETY: not null, and every versioned structure starts with its header (VER-4).
    let head = unsafe { source.cast::<NDIS_OBJECT_HEADER>().read_unaligned() };
    if head.Type != kind || head.Revision == 0 || usize::from(head.Size) < minimum {
        return Err(Error::BadData);
    }
    let length = usize::from(head.Size).min(size_of::<T>());
    let mut value = T::zeroed();
    // SAFETY: the source is readable for `Header.Size` bytes (caller), `length`
    // is not above that nor above our own size (VER-4, BND-10).
    unsafe {
        core::ptr::copy_nonoverlapping(source.cast::<u8>(), (&raw mut value).cast::<u8>(), length);
    }
    Ok(value)
}

/// Like [`read_versioned`], for a member that may be absent (BND-10): null or
/// malformed is `None`.
///
/// # Safety
/// As [`read_versioned`].
pub unsafe fn read_optional<T: Zeroed>(source: *const T, kind: u8, minimum: usize) -> Option<T> {
    // SAFETY: the caller's promise is passed on unchanged (BND-10).
    unsafe { read_versioned(source, kind, minimum) }.ok()
}

/// What header to put on a copy of a versioned structure: the revision and
/// size of the original, or ours where the original is newer (VER-4).
pub const fn clamp_header(
    original: NDIS_OBJECT_HEADER,
    our_revision: u8,
    our_size: usize,
) -> NDIS_OBJECT_HEADER {
    if original.Revision > our_revision || original.Size as usize > our_size {
        header(original.Type, our_revision, our_size)
    } else {
        original
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndis_sys::{NDIS_LINK_STATE, NDIS_OBJECT_TYPE_DEFAULT};
    use std::vec::Vec;

    fn bytes_of(length: usize, revision: u8) -> Vec<u64> {
        let mut words = std::vec![0x0101_0101_0101_0101_u64; length.div_ceil(8)];
        words[0] = u64::from_le_bytes([
            NDIS_OBJECT_TYPE_DEFAULT,
            revision,
            length as u8,
            (length >> 8) as u8,
            1,
            1,
            1,
            1,
        ]);
        words
    }

    /// VER-4: longer is read as ours, shorter leaves the rest zero.
    #[test]
    fn other_sizes_are_read_within_bounds() {
        let kind = NDIS_OBJECT_TYPE_DEFAULT;
        let newer = bytes_of(64, 9);
        // SAFETY: (VER-4) the vector holds the 64 bytes that its header says.
        let read = unsafe { read_versioned::<NDIS_LINK_STATE>(newer.as_ptr().cast(), kind, 8) };
        assert_eq!(read.unwrap().XmitLinkSpeed, 0x0101_0101_0101_0101);
        let older = bytes_of(24, 1);
        // SAFETY: (VER-4) the vector holds the 24 bytes that its header says.
        let read = unsafe { read_versioned::<NDIS_LINK_STATE>(older.as_ptr().cast(), kind, 8) };
        let read = read.unwrap();
        assert_eq!(read.XmitLinkSpeed, 0x0101_0101_0101_0101);
        assert_eq!(read.RcvLinkSpeed, 0);
    }

    #[test]
    fn nonsense_is_refused() {
        let kind = NDIS_OBJECT_TYPE_DEFAULT;
        let short = bytes_of(8, 1);
        let wrong = bytes_of(40, 0);
        for (source, minimum) in [(&short, 24), (&wrong, 8)] {
            // SAFETY: (VER-4) both vectors hold what their headers say.
            let read =
                unsafe { read_versioned::<NDIS_LINK_STATE>(source.as_ptr().cast(), kind, minimum) };
            assert!(read.is_err());
        }
        // SAFETY: (MEM-3) null is allowed and refused.
        let read = unsafe { read_versioned::<NDIS_LINK_STATE>(core::ptr::null(), kind, 8) };
        assert!(read.is_err());
    }

    #[test]
    fn a_newer_header_is_clamped() {
        let newer = header(1, 9, 200);
        let clamped = clamp_header(newer, 3, 100);
        assert_eq!((clamped.Revision, clamped.Size), (3, 100));
        let older = header(1, 2, 60);
        let kept = clamp_header(older, 3, 100);
        assert_eq!((kept.Revision, kept.Size), (2, 60));
    }
}

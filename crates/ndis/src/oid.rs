//! OID requests: reading them, answering them, cloning them for the way down.
//!
//! A request that a miniport handler was given is ours until it is completed.
//! It goes down only as a clone (OID-14), which remembers its original. Regular
//! and direct requests differ only in the functions that carry them.
//!
//! IRQL <= DISPATCH_LEVEL throughout.

use crate::memory::Tag;
use crate::nbl::{BindingHandle, MiniportHandle};
use crate::status::check;
use crate::{Error, Result};
use core::ptr::NonNull;
use ndis_sys::{
    NDIS_OID, NDIS_OID_REQUEST, NDIS_STATUS, NDIS_STATUS_INVALID_LENGTH, NDIS_STATUS_SUCCESS,
    NdisAllocateCloneOidRequest, NdisCancelDirectOidRequest, NdisCancelOidRequest,
    NdisDirectOidRequest, NdisFreeCloneOidRequest, NdisMDirectOidRequestComplete,
    NdisMOidRequestComplete, NdisOidRequest, NdisRequestMethod, NdisRequestQueryInformation,
    NdisRequestQueryStatistics, NdisRequestSetInformation, PVOID,
};

/// Which of the two request paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One at a time, at PASSIVE_LEVEL from above (OID-1).
    Regular,
    /// Any number, up to DISPATCH_LEVEL (OID-28).
    Direct,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Query, for information or statistics.
    Query,
    /// Set.
    Set,
    /// Method: input and output in one buffer.
    Method,
    /// A request type that carries no OID.
    Other,
}

/// What a decision about a request is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The OID.
    pub oid: NDIS_OID,
    /// Query, set or method.
    pub kind: Kind,
    /// Length of the buffer: of the output for a query, of the input for a set
    /// or method.
    pub length: u32,
}

/// A request that a miniport handler was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request(NonNull<NDIS_OID_REQUEST>);

// SAFETY: (OID-14) the request belongs to the handler that holds it, and is
// nonpaged memory (appendix B, row 13).
unsafe impl Send for Request {}

impl Request {
    /// Takes what a handler was given; `None` for null (MEM-3).
    ///
    /// # Safety
    /// `request` is null or a request that is ours until it is completed.
    pub unsafe fn adopt(request: *mut NDIS_OID_REQUEST) -> Option<Self> {
        NonNull::new(request).map(Self)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut NDIS_OID_REQUEST {
        self.0.as_ptr()
    }

    /// OID, kind and length.
    pub fn facts(self) -> Facts {
        // SAFETY: (OID-2) ours until completed; the request type says which
        // member of the union is in use, and all have the OID first.
        unsafe {
            let request = self.0.as_ptr();
            let kind = match (*request).RequestType {
                NdisRequestQueryInformation | NdisRequestQueryStatistics => Kind::Query,
                NdisRequestSetInformation => Kind::Set,
                NdisRequestMethod => Kind::Method,
                _ => Kind::Other,
            };
            let data = &raw const (*request).DATA;
            let length = match kind {
                Kind::Query => (*data).QUERY_INFORMATION.InformationBufferLength,
                Kind::Set => (*data).SET_INFORMATION.InformationBufferLength,
                Kind::Method => (*data).METHOD_INFORMATION.InputBufferLength,
                Kind::Other => 0,
            };
            Facts {
                oid: (*data).QUERY_INFORMATION.Oid,
                kind,
                length,
            }
        }
    }

    /// The id that a cancel names.
    pub fn id(self) -> PVOID {
        // SAFETY: (OID-2) ours until completed.
        unsafe { (*self.0.as_ptr()).RequestId }
    }

    /// The handle that a later status for this request must carry (OID-27).
    pub fn handle(self) -> PVOID {
        // SAFETY: (OID-2) ours until completed.
        unsafe { (*self.0.as_ptr()).RequestHandle }
    }

    /// The first four bytes of a set request, unaligned (OID-11).
    pub fn set_u32(self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.set_bytes(0, &mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    /// Bytes of a set request's buffer from `offset`, if it is that long
    /// (OID-11).
    pub fn set_bytes(self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let facts = self.facts();
        let end = offset.checked_add(bytes.len()).ok_or(Error::BadLength)?;
        if facts.kind != Kind::Set || (facts.length as usize) < end {
            return Err(Error::BadLength);
        }
        // SAFETY: (OID-11) a set request, at least `end` bytes long, ours.
        unsafe {
            let buffer = (*self.0.as_ptr()).DATA.SET_INFORMATION.InformationBuffer;
            if buffer.is_null() {
                return Err(Error::BadLength); // MEM-3
            }
            core::ptr::copy_nonoverlapping(
                buffer.cast::<u8>().add(offset),
                bytes.as_mut_ptr(),
                bytes.len(),
            );
        }
        Ok(())
    }

    /// Says that a set was taken, with the bytes read. Of a structure with a version the first
    /// is what is known here (OID-13); without one nobody looks.
    pub fn accept_set(self, read: u32) -> NDIS_STATUS {
        self.accept_versioned(read, 1)
    }

    /// The same, of a structure of which this revision is the highest that is known.
    pub fn accept_versioned(self, read: u32, revision: u8) -> NDIS_STATUS {
        // SAFETY: (OID-12, OID-13) a set request that is ours; `read` bytes were read.
        unsafe {
            (*self.0.as_ptr()).DATA.SET_INFORMATION.BytesRead = read;
            (*self.0.as_ptr()).SupportedRevision = revision;
        }
        NDIS_STATUS_SUCCESS
    }

    /// Says that a set is too short, and how long it must be (OID-11).
    pub fn set_too_short(self, needed: u32) -> NDIS_STATUS {
        // SAFETY: (OID-11) a set request that is ours.
        unsafe {
            (*self.0.as_ptr()).DATA.SET_INFORMATION.BytesRead = 0;
            (*self.0.as_ptr()).DATA.SET_INFORMATION.BytesNeeded = needed;
        }
        NDIS_STATUS_INVALID_LENGTH
    }

    /// Says that nothing was read, written or needed: the request was refused as
    /// such, not for its length (OID-12).
    pub fn refused(self) {
        let kind = self.facts().kind;
        // SAFETY: (OID-12) ours; the kind names the member in use.
        unsafe {
            let data = &raw mut (*self.0.as_ptr()).DATA;
            match kind {
                Kind::Query => {
                    (*data).QUERY_INFORMATION.BytesWritten = 0;
                    (*data).QUERY_INFORMATION.BytesNeeded = 0;
                }
                Kind::Set => {
                    (*data).SET_INFORMATION.BytesRead = 0;
                    (*data).SET_INFORMATION.BytesNeeded = 0;
                }
                Kind::Method => {
                    (*data).METHOD_INFORMATION.BytesWritten = 0;
                    (*data).METHOD_INFORMATION.BytesRead = 0;
                    (*data).METHOD_INFORMATION.BytesNeeded = 0;
                }
                Kind::Other => {}
            }
        }
    }

    /// Answers a query with `bytes` (OID-11, OID-12).
    pub fn answer(self, bytes: &[u8]) -> NDIS_STATUS {
        let facts = self.facts();
        let needed = bytes.len() as u32;
        // SAFETY: (OID-12) a query request that is ours; written only if the
        // buffer is long enough, and then no more than it holds.
        unsafe {
            let query = &raw mut (*self.0.as_ptr()).DATA.QUERY_INFORMATION;
            let buffer = (*query).InformationBuffer.cast::<u8>();
            if facts.length < needed || buffer.is_null() {
                (*query).BytesWritten = 0;
                (*query).BytesNeeded = needed;
                return NDIS_STATUS_INVALID_LENGTH;
            }
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len());
            (*query).BytesWritten = needed;
            (*query).BytesNeeded = 0;
        }
        NDIS_STATUS_SUCCESS
    }

    /// Answers a query with a counter: as much of its 64 bits as there is room
    /// for (OID-24).
    pub fn answer_counter(self, value: u64) -> NDIS_STATUS {
        let room = self.facts().length;
        if room >= 8 {
            return self.answer(&value.to_ne_bytes());
        }
        let status = self.answer(&(value as u32).to_ne_bytes());
        // SAFETY: (OID-24) a query request that is ours.
        unsafe { (*self.0.as_ptr()).DATA.QUERY_INFORMATION.BytesNeeded = 8 };
        status
    }

    /// Answers a query with pieces, one after the other (OID-11, OID-12).
    pub fn answer_with<'a>(
        self,
        pieces: impl Iterator<Item = &'a [u8]> + core::clone::Clone,
    ) -> NDIS_STATUS {
        let facts = self.facts();
        let needed = pieces
            .clone()
            .fold(0_u32, |sum, piece| sum.saturating_add(piece.len() as u32));
        // SAFETY: (OID-12) a query request that is ours; written only if the
        // buffer is long enough for all pieces, and then no more than that.
        unsafe {
            let query = &raw mut (*self.0.as_ptr()).DATA.QUERY_INFORMATION;
            let mut to = (*query).InformationBuffer.cast::<u8>();
            if facts.length < needed || (to.is_null() && needed != 0) {
                (*query).BytesWritten = 0;
                (*query).BytesNeeded = needed;
                return NDIS_STATUS_INVALID_LENGTH;
            }
            for piece in pieces {
                core::ptr::copy_nonoverlapping(piece.as_ptr(), to, piece.len());
                to = to.add(piece.len());
            }
            (*query).BytesWritten = needed;
            (*query).BytesNeeded = 0;
        }
        NDIS_STATUS_SUCCESS
    }

    /// Completes a request whose handler returned PENDING, once (OID-2).
    pub fn complete(self, miniport: MiniportHandle, route: Route, status: NDIS_STATUS) {
        // SAFETY: (OID-2, OID-6) pending, on the handle that it came on.
        unsafe {
            match route {
                Route::Regular => NdisMOidRequestComplete(miniport.0, self.0.as_ptr(), status),
                Route::Direct => {
                    NdisMDirectOidRequestComplete(miniport.0, self.0.as_ptr(), status);
                }
            }
        }
    }
}

/// What `SourceReserved` of a request that goes down holds: whose it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The request from above; null for the driver's own requests.
    pub original: *mut NDIS_OID_REQUEST,
    /// Whatever the sender wants back: the path of a forwarded request, the
    /// record of an own one.
    pub owner: PVOID,
}

const _: () = assert!(size_of::<Origin>() == 16);

/// Reads the origin of a request that came back.
///
/// # Safety
/// The request is one that this driver sent down after [`set_origin`].
pub unsafe fn origin(request: *const NDIS_OID_REQUEST) -> Origin {
    // SAFETY: (OID-15) SourceReserved is the sender's; 16 bytes, any alignment.
    unsafe {
        (&raw const (*request).SourceReserved)
            .cast::<Origin>()
            .read_unaligned()
    }
}

/// Writes the origin into a request before it goes down.
///
/// # Safety
/// The request is ours and not sent yet.
pub unsafe fn set_origin(request: *mut NDIS_OID_REQUEST, origin: Origin) {
    // SAFETY: (OID-15) as in `origin`.
    unsafe {
        (&raw mut (*request).SourceReserved)
            .cast::<Origin>()
            .write_unaligned(origin);
    };
}

/// A clone that is ours: not sent yet, or back again. Frees itself.
#[derive(Debug)]
pub struct Clone {
    request: NonNull<NDIS_OID_REQUEST>,
    binding: BindingHandle,
}

impl Clone {
    /// Clones a request for a binding (OID-14).
    pub fn of(original: Request, owner: PVOID, binding: BindingHandle, tag: Tag) -> Result<Self> {
        let mut clone: *mut NDIS_OID_REQUEST = core::ptr::null_mut();
        // SAFETY: (OID-14) the binding is open (caller), the tag is ours.
        check(unsafe {
            NdisAllocateCloneOidRequest(binding.0, original.as_ptr(), tag.0, &raw mut clone)
        })?;
        let request = NonNull::new(clone).ok_or(Error::NoResources)?;
        // SAFETY: (OID-14, OID-18) ours and not sent; the id is kept so that a
        // cancel can name it.
        unsafe {
            set_origin(
                clone,
                Origin {
                    original: original.as_ptr(),
                    owner,
                },
            );
            (*clone).RequestId = original.id();
        }
        Ok(Self { request, binding })
    }

    /// Takes back a clone that NDIS completed.
    ///
    /// # Safety
    /// `request` is a clone that [`Clone::send`] gave away on this binding.
    pub unsafe fn returned(request: NonNull<NDIS_OID_REQUEST>, binding: BindingHandle) -> Self {
        Self { request, binding }
    }

    /// Sends the clone down. `Err` when it ended at once: the clone is ours
    /// again and no completion comes (OID-16). `Ok` means that the completion
    /// handler gets it, or already had it.
    pub fn send(self, route: Route) -> core::result::Result<(), (Self, NDIS_STATUS)> {
        let request = self.request.as_ptr();
        let binding = self.binding;
        // From here on the completion handler may own the clone.
        let keep = core::mem::ManuallyDrop::new(self);
        // SAFETY: (OID-14) a clone made with this binding; the binding takes
        // requests (PBS-5, caller).
        let status = unsafe {
            match route {
                Route::Regular => NdisOidRequest(binding.0, request),
                Route::Direct => NdisDirectOidRequest(binding.0, request),
            }
        };
        if status == ndis_sys::NDIS_STATUS_PENDING {
            Ok(())
        } else {
            Err((core::mem::ManuallyDrop::into_inner(keep), status))
        }
    }

    /// Copies the results to the original and frees the clone (OID-15).
    pub fn finish(self) -> Option<Request> {
        // SAFETY: (OID-15) the clone is back, its origin was set in `of`, and
        // the original is pending, hence valid.
        unsafe {
            let original = NonNull::new(origin(self.request.as_ptr()).original)?;
            copy_back(self.request.as_ref(), &mut *original.as_ptr());
            Some(Request(original))
        }
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        // SAFETY: (OID-14) ours, freed once, on the binding it was made with.
        unsafe { NdisFreeCloneOidRequest(self.binding.0, self.request.as_ptr()) };
    }
}

/// Asks the binding to give up a request. It may have ended already (OID-18).
/// IRQL <= DISPATCH_LEVEL; the binding stays open meanwhile.
#[expect(clippy::not_unsafe_ptr_arg_deref, reason = "a request id is a name")]
pub fn cancel(binding: BindingHandle, route: Route, id: PVOID) {
    // SAFETY: (OID-18) the binding is open; the id is one that was sent down.
    unsafe {
        match route {
            Route::Regular => NdisCancelOidRequest(binding.0, id),
            Route::Direct => NdisCancelDirectOidRequest(binding.0, id),
        }
    }
}

/// Copies counts and revision from an ended clone to its original, by request
/// type (OID-13, OID-15).
///
/// # Safety
/// Both are requests of the same type with valid unions.
pub unsafe fn copy_back(clone: &NDIS_OID_REQUEST, original: &mut NDIS_OID_REQUEST) {
    // SAFETY: (OID-15) the request type names the member in use in both.
    unsafe {
        match original.RequestType {
            NdisRequestQueryInformation | NdisRequestQueryStatistics => {
                let (to, from) = (
                    &mut original.DATA.QUERY_INFORMATION,
                    &clone.DATA.QUERY_INFORMATION,
                );
                // OID-12: whatever the driver below claims, never more than
                // the buffer holds.
                to.BytesWritten = from.BytesWritten.min(to.InformationBufferLength);
                to.BytesNeeded = from.BytesNeeded;
            }
            NdisRequestSetInformation => {
                let (to, from) = (
                    &mut original.DATA.SET_INFORMATION,
                    &clone.DATA.SET_INFORMATION,
                );
                to.BytesRead = from.BytesRead.min(to.InformationBufferLength);
                to.BytesNeeded = from.BytesNeeded;
            }
            NdisRequestMethod => {
                let (to, from) = (
                    &mut original.DATA.METHOD_INFORMATION,
                    &clone.DATA.METHOD_INFORMATION,
                );
                let room = to.OutputBufferLength;
                to.OutputBufferLength = from.OutputBufferLength;
                to.BytesWritten = from.BytesWritten.min(room);
                to.BytesRead = from.BytesRead.min(to.InputBufferLength);
                to.BytesNeeded = from.BytesNeeded;
            }
            _ => {}
        }
    }
    original.SupportedRevision = clone.SupportedRevision; // OID-13
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Zeroed;
    use ndis_sys::OID_GEN_STATISTICS;

    fn query(buffer: &mut [u8]) -> NDIS_OID_REQUEST {
        let mut request = NDIS_OID_REQUEST::zeroed();
        request.RequestType = NdisRequestQueryInformation;
        request.DATA.QUERY_INFORMATION.Oid = OID_GEN_STATISTICS;
        request.DATA.QUERY_INFORMATION.InformationBuffer = buffer.as_mut_ptr().cast();
        request.DATA.QUERY_INFORMATION.InformationBufferLength = buffer.len() as u32;
        request
    }

    /// OID-11, OID-12: short, exact and long buffers.
    #[test]
    fn answers_fit_or_say_what_they_need() {
        for length in 0..12 {
            let mut buffer = [0xEE_u8; 12];
            let mut raw = query(&mut buffer[..length]);
            // SAFETY: (OID-2) the request lives until the end of the loop.
            let request = unsafe { Request::adopt(&raw mut raw) }.unwrap();
            let status = request.answer(&[1, 2, 3, 4, 5, 6, 7, 8]);
            // SAFETY: (OID-12) a query request.
            let result = unsafe { raw.DATA.QUERY_INFORMATION };
            if length < 8 {
                assert_eq!(status, NDIS_STATUS_INVALID_LENGTH);
                assert_eq!((result.BytesWritten, result.BytesNeeded), (0, 8));
                assert_eq!(buffer, [0xEE; 12]);
            } else {
                assert_eq!(status, NDIS_STATUS_SUCCESS);
                assert_eq!(result.BytesWritten, 8);
                assert_eq!(buffer[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
                assert_eq!(buffer[8..], [0xEE; 4]);
            }
        }
    }

    /// OID-24: 8 bytes, 4 or none, and 8 needed where it was less.
    #[test]
    fn counters_fit_as_far_as_they_can() {
        for (length, status, written, needed) in [
            (0, NDIS_STATUS_INVALID_LENGTH, 0, 8),
            (3, NDIS_STATUS_INVALID_LENGTH, 0, 8),
            (4, NDIS_STATUS_SUCCESS, 4, 8),
            (7, NDIS_STATUS_SUCCESS, 4, 8),
            (8, NDIS_STATUS_SUCCESS, 8, 0),
            (12, NDIS_STATUS_SUCCESS, 8, 0),
        ] {
            let mut buffer = [0_u8; 12];
            let mut raw = query(&mut buffer[..length]);
            // SAFETY: (OID-2) the request lives until the end of the loop.
            let request = unsafe { Request::adopt(&raw mut raw) }.unwrap();
            assert_eq!(request.answer_counter(0x1_0000_0002), status);
            // SAFETY: (OID-12) a query request.
            let result = unsafe { raw.DATA.QUERY_INFORMATION };
            assert_eq!((result.BytesWritten, result.BytesNeeded), (written, needed));
            let expected = 0x1_0000_0002_u64.to_ne_bytes();
            assert_eq!(buffer[..written as usize], expected[..written as usize]);
        }
    }

    /// OID-11, OID-12: all pieces or none.
    #[test]
    fn pieces_are_answered_whole() {
        for length in 0..8_usize {
            let mut buffer = [0xEE_u8; 8];
            let mut raw = query(&mut buffer[..length]);
            // SAFETY: (OID-2) the request lives until the end of the loop.
            let request = unsafe { Request::adopt(&raw mut raw) }.unwrap();
            let status = request.answer_with([&[1_u8, 2, 3][..], &[4, 5]].into_iter());
            if length < 5 {
                assert_eq!(status, NDIS_STATUS_INVALID_LENGTH);
                assert_eq!(buffer, [0xEE; 8]);
            } else {
                assert_eq!(status, NDIS_STATUS_SUCCESS);
                assert_eq!(buffer[..5], [1, 2, 3, 4, 5]);
            }
        }
    }

    /// OID-11: short, misaligned and missing set buffers.
    #[test]
    fn sets_are_length_checked() {
        let mut bytes = [0_u8, 1, 2, 3, 4, 5];
        for length in 0..5_u32 {
            let mut raw = NDIS_OID_REQUEST::zeroed();
            raw.RequestType = NdisRequestSetInformation;
            raw.DATA.SET_INFORMATION.InformationBuffer = bytes[1..].as_mut_ptr().cast();
            raw.DATA.SET_INFORMATION.InformationBufferLength = length;
            // SAFETY: (OID-2) the request lives until the end of the loop.
            let request = unsafe { Request::adopt(&raw mut raw) }.unwrap();
            if length < 4 {
                assert_eq!(request.set_u32(), Err(Error::BadLength));
            } else {
                assert_eq!(request.set_u32(), Ok(u32::from_ne_bytes([1, 2, 3, 4])));
            }
        }
        let mut raw = NDIS_OID_REQUEST::zeroed();
        raw.RequestType = NdisRequestSetInformation;
        raw.DATA.SET_INFORMATION.InformationBufferLength = 16;
        // SAFETY: (OID-2) the request lives until the end of the test.
        let request = unsafe { Request::adopt(&raw mut raw) }.unwrap();
        assert_eq!(request.set_u32(), Err(Error::BadLength));
    }

    /// OID-13, OID-15, OID-12: each type copies its own members, within bounds.
    #[test]
    fn results_are_copied_by_type() {
        let mut original = NDIS_OID_REQUEST::zeroed();
        original.RequestType = NdisRequestQueryStatistics;
        original.DATA.QUERY_INFORMATION.InformationBufferLength = 10;
        let mut clone = NDIS_OID_REQUEST::zeroed();
        clone.SupportedRevision = 3;
        clone.DATA.QUERY_INFORMATION.BytesWritten = 99;
        clone.DATA.QUERY_INFORMATION.BytesNeeded = 20;
        // SAFETY: (OID-15) same type, zeroed unions.
        unsafe { copy_back(&clone, &mut original) };
        // SAFETY: (OID-12) a query request.
        let query = unsafe { original.DATA.QUERY_INFORMATION };
        assert_eq!((query.BytesWritten, query.BytesNeeded), (10, 20));
        assert_eq!(original.SupportedRevision, 3);

        let mut original = NDIS_OID_REQUEST::zeroed();
        original.RequestType = NdisRequestMethod;
        original.DATA.METHOD_INFORMATION.InputBufferLength = 8;
        original.DATA.METHOD_INFORMATION.OutputBufferLength = 8;
        let mut clone = original;
        clone.DATA.METHOD_INFORMATION.OutputBufferLength = 6;
        clone.DATA.METHOD_INFORMATION.BytesWritten = 6;
        clone.DATA.METHOD_INFORMATION.BytesRead = 8;
        clone.DATA.METHOD_INFORMATION.BytesNeeded = 7;
        // SAFETY: (OID-15) same type, zeroed unions.
        unsafe { copy_back(&clone, &mut original) };
        // SAFETY: (OID-12) a method request.
        let method = unsafe { original.DATA.METHOD_INFORMATION };
        assert_eq!(method.OutputBufferLength, 6);
        assert_eq!(
            (method.BytesWritten, method.BytesRead, method.BytesNeeded),
            (6, 8, 7)
        );
    }

    #[test]
    fn the_origin_survives() {
        let mut request = NDIS_OID_REQUEST::zeroed();
        let original = &raw mut request;
        let mut clone = NDIS_OID_REQUEST::zeroed();
        let mark = Origin {
            original,
            owner: 0x1234 as PVOID,
        };
        // SAFETY: (OID-15) ours.
        unsafe { set_origin(&raw mut clone, mark) };
        // SAFETY: (OID-15) set just now.
        assert_eq!(unsafe { origin(&raw const clone) }, mark);
    }
}

//! Errors, and the one place where they become an `NDIS_STATUS`.

use ndis_sys::{
    NDIS_STATUS, NDIS_STATUS_ADAPTER_NOT_FOUND, NDIS_STATUS_BAD_VERSION,
    NDIS_STATUS_BUFFER_TOO_SHORT, NDIS_STATUS_FAILURE, NDIS_STATUS_INVALID_DATA,
    NDIS_STATUS_INVALID_LENGTH, NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_INVALID_STATE,
    NDIS_STATUS_LOW_POWER_STATE, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_NOT_SUPPORTED,
    NDIS_STATUS_PENDING, NDIS_STATUS_REQUEST_ABORTED, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
    NDIS_STATUS_UNSUPPORTED_MEDIA,
};

/// Why something could not be done, and whose fault that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Memory, or room in a table of fixed capacity, ran out.
    NoResources,
    /// The running NDIS is older than the driver can work with.
    UnsupportedNdis,
    /// A buffer is too short or not a multiple of its element.
    BadLength,
    /// A buffer is too short; the caller is told how long it must be.
    TooShort,
    /// A value is out of range, or a structure is not what it says it is.
    BadData,
    /// A parameter that the caller chose makes no sense.
    BadParameter,
    /// The request is not one that this driver answers or passes on.
    NotSupported,
    /// The object is gone or going.
    NotAccepted,
    /// The request was cancelled before it was answered.
    Aborted,
    /// An edge that the request needs is not in D0.
    LowPower,
    /// The medium below is not one that the driver can bind to.
    UnsupportedMedium,
    /// A name, or an adapter of that name, is not there.
    NotFound,
    /// A move that the state table does not have: a mistake of ours or of the
    /// caller's, never made silently.
    BadState,
    /// NDIS or the driver below refused with this status.
    Refused(NDIS_STATUS),
}

impl Error {
    /// The status that stands for this error. It is never `SUCCESS` and never
    /// `PENDING`, so that a failure cannot be mistaken for either.
    pub const fn status(self) -> NDIS_STATUS {
        match self {
            Self::NoResources => NDIS_STATUS_RESOURCES,
            Self::UnsupportedNdis => NDIS_STATUS_BAD_VERSION,
            Self::BadLength => NDIS_STATUS_INVALID_LENGTH,
            Self::TooShort => NDIS_STATUS_BUFFER_TOO_SHORT,
            Self::BadData => NDIS_STATUS_INVALID_DATA,
            Self::BadParameter => NDIS_STATUS_INVALID_PARAMETER,
            Self::NotSupported => NDIS_STATUS_NOT_SUPPORTED,
            Self::NotAccepted => NDIS_STATUS_NOT_ACCEPTED,
            Self::Aborted => NDIS_STATUS_REQUEST_ABORTED,
            Self::LowPower => NDIS_STATUS_LOW_POWER_STATE,
            Self::UnsupportedMedium => NDIS_STATUS_UNSUPPORTED_MEDIA,
            Self::NotFound => NDIS_STATUS_ADAPTER_NOT_FOUND,
            Self::BadState => NDIS_STATUS_INVALID_STATE,
            Self::Refused(status) => match status.0 {
                code if code == NDIS_STATUS_SUCCESS.0 || code == NDIS_STATUS_PENDING.0 => {
                    NDIS_STATUS_FAILURE
                }
                _ => status,
            },
        }
    }
}

/// Success becomes `Ok`, anything else the error that carries it.
///
/// `PENDING` is an error here: callers that may see it look for it first.
pub const fn check(status: NDIS_STATUS) -> Result<(), Error> {
    if status.0 == NDIS_STATUS_SUCCESS.0 {
        Ok(())
    } else {
        Err(Error::Refused(status))
    }
}

/// The status of a result, for the last line of a handler.
pub const fn status_of(result: Result<(), Error>) -> NDIS_STATUS {
    match result {
        Ok(()) => NDIS_STATUS_SUCCESS,
        Err(error) => error.status(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Error; 14] = [
        Error::NoResources,
        Error::UnsupportedNdis,
        Error::BadLength,
        Error::TooShort,
        Error::BadData,
        Error::BadParameter,
        Error::NotSupported,
        Error::NotAccepted,
        Error::Aborted,
        Error::LowPower,
        Error::UnsupportedMedium,
        Error::NotFound,
        Error::BadState,
        Error::Refused(NDIS_STATUS_FAILURE),
    ];

    #[test]
    fn each_error_has_a_status_of_its_own() {
        for (index, error) in ALL.iter().enumerate() {
            for other in ALL.iter().skip(index + 1) {
                assert_ne!(error.status(), other.status(), "{error:?} and {other:?}");
            }
        }
    }

    #[test]
    fn no_error_looks_like_success_or_pending() {
        for error in ALL {
            assert_ne!(error.status(), NDIS_STATUS_SUCCESS);
            assert_ne!(error.status(), NDIS_STATUS_PENDING);
        }
        assert_eq!(
            Error::Refused(NDIS_STATUS_SUCCESS).status(),
            NDIS_STATUS_FAILURE
        );
        assert_eq!(
            Error::Refused(NDIS_STATUS_PENDING).status(),
            NDIS_STATUS_FAILURE
        );
    }

    #[test]
    fn the_statuses_the_contract_names() {
        assert_eq!(Error::UnsupportedNdis.status(), NDIS_STATUS_BAD_VERSION);
        assert_eq!(Error::NoResources.status(), NDIS_STATUS_RESOURCES);
        assert_eq!(Error::Aborted.status(), NDIS_STATUS_REQUEST_ABORTED); // OID-18
        assert_eq!(Error::NotAccepted.status(), NDIS_STATUS_NOT_ACCEPTED); // DPE-1
        assert_eq!(check(NDIS_STATUS_SUCCESS), Ok(()));
        assert_eq!(
            status_of(check(NDIS_STATUS_RESOURCES)),
            NDIS_STATUS_RESOURCES
        );
    }
}

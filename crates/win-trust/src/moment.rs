//! Points in time, in whole seconds, as certificates and signatures hold them.

use std::fmt;
use std::time::{Duration, SystemTime};

use der::asn1::{GeneralizedTime, UtcTime};
use x509_cert::time::Time;

use crate::error::{Error, Result};

/// Seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(since.map_or(0, |since| since.as_secs()))
    }

    /// As ASN.1 has it: UTCTime up to 2049, GeneralizedTime from then on.
    pub fn to_asn1(self) -> Result<Time> {
        let since = Duration::from_secs(self.0);
        UtcTime::from_unix_duration(since)
            .map(Time::UtcTime)
            .or_else(|_| GeneralizedTime::from_unix_duration(since).map(Time::GeneralTime))
            .map_err(Error::malformed("Time"))
    }
}

impl From<Time> for Moment {
    fn from(time: Time) -> Self {
        Self(time.to_unix_duration().as_secs())
    }
}

impl From<GeneralizedTime> for Moment {
    fn from(time: GeneralizedTime) -> Self {
        Self(time.to_unix_duration().as_secs())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match GeneralizedTime::from_unix_duration(Duration::from_secs(self.0)) {
            Ok(time) => write!(f, "{}", time.to_date_time()),
            Err(_) => write!(f, "{} s", self.0),
        }
    }
}

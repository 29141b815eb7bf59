//! The decisions of the 1:1 topology: every one of them the plainest there is.

use im_core::data::Straight;
use im_core::oid_table::{self, Below, Rule};
use im_core::settings::{Refused, Values};
use im_core::status_table::{self, StatusRule};
use im_core::{Driver, Facts, Identity, Notice, Shown, Topology};
use ndis::memory::Tag;
use ndis::oid::Facts as Asked;
use ndis::string::wide;
use ndis::sys::{NDIS_STATUS, NdisMedium802_3};
use ndis::{Error, Result};

/// The 1:1 topology.
#[derive(Debug)]
pub enum Passthrough {}

/// The driver's one static: handles, table of bindings, events.
static DRIVER: Driver<Passthrough> = Driver::new();

impl Topology for Passthrough {
    const IDENTITY: Identity = Identity {
        service: &wide(b"ImPassthrough"),
        device: &wide(b"\\Device\\passthrough"),
        link: &wide(b"\\DosDevices\\passthrough"),
        major: 0,
        minor: 1,
        tag: Tag::new(*b"ImPt"),
    };

    const UPPERS_PER_LOWER: usize = 1;

    // Nothing to know beyond what NDIS tells.
    type Adapter = ();
    type Port = ();
    type Data = Straight;

    fn driver() -> &'static Driver<Self> {
        &DRIVER
    }

    fn notice(notice: Notice) {
        #[cfg(windows)]
        crate::kernel::say(notice);
        #[cfg(not(windows))]
        let _ = notice;
    }

    fn accepts(facts: &Facts) -> Result<()> {
        if facts.medium == NdisMedium802_3 {
            Ok(())
        } else {
            Err(Error::UnsupportedMedium)
        }
    }

    fn adapter(_facts: &Facts, _values: &dyn Values) -> core::result::Result<(), Refused> {
        Ok(())
    }

    fn port(
        _adapter: &(),
        _facts: &Facts,
        _position: u32,
        _values: &dyn Values,
    ) -> core::result::Result<(), Refused> {
        Ok(())
    }

    fn key(_port: &()) -> Option<u64> {
        None
    }

    fn shown(_adapter: &(), facts: &Facts, _port: &()) -> Shown {
        Shown::one_to_one(facts)
    }

    fn request_rule(asked: Asked, below: Below) -> Rule {
        oid_table::one_to_one(asked, below)
    }

    fn status_rule(code: NDIS_STATUS, below: Below) -> StatusRule {
        status_table::one_to_one(code, below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PTR-3: the protocol's name is the service of the protocol INF. The packager looks for it
    /// in the image as well.
    #[test]
    fn the_protocol_is_named_like_the_service_of_its_inf() {
        assert_eq!(
            String::from_utf16_lossy(Passthrough::IDENTITY.service),
            "ImPassthrough"
        );
    }
}

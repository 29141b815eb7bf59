//! What the registry says about an adapter or a virtual miniport, and why it
//! may be refused.
//!
//! A topology reads its settings through [`Values`], so that the check of them
//! is tested on any host. All at PASSIVE_LEVEL.

use ndis::Error;
use ndis::config::Configuration;

/// Why a setting cannot be used. The numbers are part of the event's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The value has another type than the setting.
    WrongType = 1,
    /// The value is out of the setting's range.
    OutOfRange = 2,
    /// The value is none of those that the setting knows.
    Unknown = 3,
    /// Another virtual miniport of the adapter has the same.
    Duplicate = 4,
    /// It contradicts another setting or what the adapter can do.
    Conflict = 5,
    /// There was no memory to keep it in.
    NoMemory = 6,
}

/// A setting that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The place of the setting in the topology's table.
    pub setting: u8,
    /// Why.
    pub reason: Reason,
}

impl Refused {
    /// The value of the event that reports it: setting, then reason.
    pub const fn value(self) -> u64 {
        (self.setting as u64) << 8 | self.reason as u64
    }
}

/// Where values are read from. Names are in UTF-16 without a terminator.
pub trait Values {
    /// A whole number: a DWORD, or a string of decimal digits.
    fn integer(&self, name: &[u16]) -> core::result::Result<Option<u32>, Reason>;

    /// A string, without its terminator.
    fn string(&self, name: &[u16]) -> core::result::Result<Option<&[u16]>, Reason>;

    /// A multi-string; [`ndis::multi_sz::names`] splits it.
    fn strings(&self, name: &[u16]) -> core::result::Result<Option<&[u16]>, Reason>;

    /// The address that an administrator gave to the adapter
    /// (NdisReadNetworkAddress).
    fn network_address(&self) -> Option<&[u8]>;

    /// The device name of the miniport whose settings these are; empty for an
    /// adapter's.
    fn device_name(&self) -> &[u16] {
        &[]
    }
}

/// The registry; without a handle, every value is absent.
pub(crate) struct Registry<'a> {
    pub configuration: Option<Configuration<'a>>,
    /// The device name of the miniport that it is about.
    pub device: &'a [u16],
}

/// Absent is no mistake, another type is.
fn found<V>(read: ndis::Result<V>) -> core::result::Result<Option<V>, Reason> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Error::BadData) => Err(Reason::WrongType),
        Err(_) => Ok(None),
    }
}

/// A number in decimal digits, and nothing else. NDIS would take the digits that
/// a text begins with, and zero for a text without any.
fn decimal(text: &[u16]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |number, unit| {
        let digit = char::from_u32(u32::from(*unit))?.to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

impl Values for Registry<'_> {
    fn integer(&self, name: &[u16]) -> core::result::Result<Option<u32>, Reason> {
        let Some(key) = &self.configuration else {
            return Ok(None);
        };
        // A text is read as one, so that what is no number is seen.
        if let Ok(text) = key.string(name) {
            return decimal(text).map(Some).ok_or(Reason::WrongType);
        }
        found(key.integer(name))
    }

    fn string(&self, name: &[u16]) -> core::result::Result<Option<&[u16]>, Reason> {
        self.configuration
            .as_ref()
            .map_or(Ok(None), |key| found(key.string(name)))
    }

    fn strings(&self, name: &[u16]) -> core::result::Result<Option<&[u16]>, Reason> {
        self.configuration
            .as_ref()
            .map_or(Ok(None), |key| found(key.multi_string(name)))
    }

    fn network_address(&self) -> Option<&[u8]> {
        self.configuration.as_ref()?.network_address().ok()
    }

    fn device_name(&self) -> &[u16] {
        self.device
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn parsed(text: &str) -> Option<u32> {
        let units: Vec<u16> = text.encode_utf16().collect();
        decimal(&units)
    }

    #[test]
    fn words_are_no_numbers() {
        for text in [
            "",
            " ",
            "ten",
            "10x",
            "0x10",
            "-1",
            "1 0",
            "4294967296",
            "\u{664}",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
        assert_eq!(parsed("0010"), Some(10));
    }

    proptest! {
        #[test]
        fn numbers_are_read(number: u32, text in "[0-9a-f ]{0,12}") {
            prop_assert_eq!(parsed(&number.to_string()), Some(number));
            let expected: Option<u32> = text.parse().ok();
            let plain: String = text.clone();
            prop_assert_eq!(parsed(&plain), expected);
        }
    }
}

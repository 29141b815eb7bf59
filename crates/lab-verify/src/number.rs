//! Numbers that name a play: `0x` and sixteen digits say which driver and configuration it is
//! of, which suite, and which of its plays. The same number is the same play on every machine
//! that has the driver.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::suite::Suite;

/// Bits of the play within its suite.
const PLAY: u32 = 48;
/// Bits of the suite.
const SUITE: u32 = 4;

/// A number. Serialised as text: JSON has no room for 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number(pub u64);

/// Text that is no number.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is not the number of a play (0x and sixteen hexadecimal digits)")]
pub struct BadNumber(String);

impl Number {
    /// The number of a play.
    pub fn new(tag: u16, suite: Suite, play: u64) -> Self {
        let tag = u64::from(tag) << (PLAY + SUITE);
        Self(tag | suite.code() << PLAY | play & ((1 << PLAY) - 1))
    }

    /// What tells drivers and their configurations apart; twelve bits.
    pub fn tag(service: &str, variant: &str) -> u16 {
        let mut hash = 0x811c_9dc5_u32;
        for byte in service.bytes().chain([0]).chain(variant.bytes()) {
            hash = (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
        }
        ((hash ^ hash >> 12 ^ hash >> 24) & 0xfff) as u16
    }

    /// Whether it is of this driver and configuration.
    pub fn is_of(self, service: &str, variant: &str) -> bool {
        self.0 >> (PLAY + SUITE) == u64::from(Self::tag(service, variant))
    }

    /// The suite, if there is such a one.
    pub fn suite(self) -> Option<Suite> {
        let code = self.0 >> PLAY & ((1 << SUITE) - 1);
        Suite::ALL.into_iter().find(|suite| suite.code() == code)
    }

    /// The play within the suite.
    pub const fn play(self) -> u64 {
        self.0 & ((1 << PLAY) - 1)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.to_string()
    }
}

impl TryFrom<String> for Number {
    type Error = BadNumber;

    fn try_from(text: String) -> Result<Self, BadNumber> {
        text.parse()
    }
}

impl FromStr for Number {
    type Err = BadNumber;

    fn from_str(text: &str) -> Result<Self, BadNumber> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or_else(|| BadNumber(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_whose_and_which_it_is() {
        for suite in Suite::ALL {
            let number = Number::new(Number::tag("ImMux", "bridge"), suite, 0x1234_5678_9abc);
            assert_eq!(number.suite(), Some(suite));
            assert_eq!(number.play(), 0x1234_5678_9abc);
            assert!(number.is_of("immux", "bridge"));
            assert!(!number.is_of("ImMux", ""));
            assert!(!number.is_of("ImLbfo", "bridge"));
            assert_eq!(number.to_string().parse(), Ok(number));
        }
        for bad in [
            "",
            "0x",
            "12",
            "0xg",
            "0x1_0",
            "0x+1",
            "0x11112222333344445",
        ] {
            assert!(bad.parse::<Number>().is_err(), "{bad}");
        }
    }
}

//! MAC addresses.

// The bytes of an address have no other names than their order.
#![allow(clippy::many_single_char_names)]

use core::fmt;

/// A MAC address, its six bytes in the order of the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address of everybody.
    pub const BROADCAST: Self = Self([0xFF; 6]);
    /// No address.
    pub const ZERO: Self = Self([0; 6]);

    /// From the first six bytes; `None` if there are fewer.
    pub const fn from_slice(bytes: &[u8]) -> Option<Self> {
        match bytes.first_chunk::<6>() {
            Some(bytes) => Some(Self(*bytes)),
            None => None,
        }
    }

    /// A group address, the broadcast address among them (I/G bit).
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// The address of everybody.
    pub const fn is_broadcast(self) -> bool {
        self.number() == Self::BROADCAST.number()
    }

    /// A group address other than everybody's.
    pub const fn is_multicast(self) -> bool {
        self.is_group() && !self.is_broadcast()
    }

    /// An address that a station can have: of one station, and not zero.
    pub const fn is_station(self) -> bool {
        !self.is_group() && self.number() != 0
    }

    /// Administered locally, not by the maker (U/L bit).
    pub const fn is_local(self) -> bool {
        self.0[0] & 2 != 0
    }

    /// One of 01-80-C2-00-00-00 to -0F, which no bridge forwards (IEEE 802.1Q,
    /// 8.6.3): spanning tree, pause, LACP, LLDP, port authentication.
    pub const fn is_link_local(self) -> bool {
        self.number() & !0xF == 0x0180_C200_0000
    }

    /// The address as a number, the first byte on top.
    pub const fn number(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The address with this number; bits above the 48th are ignored.
    pub const fn from_number(number: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
        Self([a, b, c, d, e, f])
    }

    /// Reads twelve hexadecimal digits, with `-` or `:` between bytes or nothing,
    /// in UTF-16 as the registry has them. `None` for anything else.
    pub fn from_text(text: &[u16]) -> Option<Self> {
        let mut number = 0_u64;
        let mut digits = 0_u32;
        let mut separators = 0_u32;
        let mut after_separator = false;
        for unit in text {
            let character = char::from_u32(u32::from(*unit))?;
            if let Some(digit) = character.to_digit(16) {
                digits = digits.checked_add(1).filter(|digits| *digits <= 12)?;
                number = number << 4 | u64::from(digit);
                after_separator = false;
            } else {
                let between =
                    digits.is_multiple_of(2) && digits > 0 && digits < 12 && !after_separator;
                if !matches!(character, '-' | ':') || !between {
                    return None;
                }
                separators = separators.saturating_add(1);
                after_separator = true;
            }
        }
        (digits == 12 && matches!(separators, 0 | 5)).then(|| Self::from_number(number))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}-{b:02X}-{c:02X}-{d:02X}-{e:02X}-{g:02X}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;
    use std::vec::Vec;

    fn units(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn kinds_of_addresses() {
        assert!(Mac::BROADCAST.is_group() && Mac::BROADCAST.is_broadcast());
        assert!(!Mac::BROADCAST.is_multicast() && !Mac::BROADCAST.is_station());
        let lacp = Mac([1, 0x80, 0xC2, 0, 0, 2]);
        assert!(lacp.is_link_local() && lacp.is_multicast());
        assert!(!Mac([1, 0x80, 0xC2, 0, 0, 0x10]).is_link_local());
        assert!(!Mac([1, 0x80, 0xC3, 0, 0, 2]).is_link_local());
        assert!(!Mac::ZERO.is_station());
        assert!(Mac([2, 0, 0, 0, 0, 1]).is_local() && Mac([2, 0, 0, 0, 0, 1]).is_station());
    }

    #[test]
    fn text_forms() {
        let mac = Mac([0, 0x1A, 0x2B, 0x3C, 0x4D, 0x5E]);
        for good in ["001A2B3C4D5E", "00-1a-2B-3c-4D-5e", "00:1A:2B:3C:4D:5E"] {
            assert_eq!(Mac::from_text(&units(good)), Some(mac), "{good}");
        }
        for bad in [
            "",
            "001A2B3C4D5",
            "001A2B3C4D5E0",
            "00-1A2B3C4D5E",
            "00--1A-2B-3C-4D-5E",
            "-001A2B3C4D5E",
            "00-1A-2B-3C-4D-5E-",
            "0-01A-2B-3C-4D-5E",
            "00 1A 2B 3C 4D 5E",
            "zz1A2B3C4D5E",
        ] {
            assert_eq!(Mac::from_text(&units(bad)), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn numbers_and_text_round(bytes: [u8; 6]) {
            let mac = Mac(bytes);
            prop_assert_eq!(Mac::from_number(mac.number()), mac);
            prop_assert_eq!(Mac::from_text(&units(&mac.to_string())), Some(mac));
            prop_assert_eq!(Mac::from_slice(&bytes), Some(mac));
            let kinds = [mac.is_broadcast(), mac.is_multicast(), mac.is_station(), mac == Mac::ZERO];
            prop_assert_eq!(kinds.iter().filter(|kind| **kind).count(), 1);
        }

        #[test]
        fn any_text_is_read_or_refused(text: Vec<u16>) {
            if let Some(mac) = Mac::from_text(&text) {
                let digits: std::string::String = std::string::String::from_utf16_lossy(&text)
                    .chars().filter(char::is_ascii_hexdigit).collect();
                prop_assert_eq!(mac.to_string().replace('-', "").to_lowercase(), digits.to_lowercase());
            }
        }
    }
}

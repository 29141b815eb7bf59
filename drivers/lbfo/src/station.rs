//! IP addresses on VLANs, as the registry has them.
//!
//! The address is read here, not by `core`, whose parser can panic as far as the
//! compiler sees; an image of this workspace has no panic in it. The tests compare the
//! two. PASSIVE_LEVEL.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Deref;
use ethernet::Vlan;

/// Largest number of stations in a list.
pub const MOST_STATIONS: usize = 16;

/// An IP address on a VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// The address, of one station.
    pub address: IpAddr,
    /// The VLAN, or none.
    pub vlan: Vlan,
}

/// Stations, in the order in which they were written. Plain data: copying it runs no
/// code that could fail.
#[derive(Clone, Copy, Debug)]
pub struct Stations {
    places: [Station; MOST_STATIONS],
    used: usize,
}

impl Stations {
    /// None.
    pub const fn new() -> Self {
        const NOBODY: Station = Station {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            vlan: Vlan::NONE,
        };
        Self {
            places: [NOBODY; MOST_STATIONS],
            used: 0,
        }
    }

    /// Adds one; false if there is no room.
    pub fn push(&mut self, station: Station) -> bool {
        let Some(place) = self.places.get_mut(self.used) else {
            return false;
        };
        *place = station;
        self.used = self.used.saturating_add(1);
        true
    }
}

impl Default for Stations {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Stations {
    type Target = [Station];

    fn deref(&self) -> &[Station] {
        self.places.get(..self.used).unwrap_or(&[])
    }
}

impl PartialEq for Stations {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Stations {}

impl<'a> IntoIterator for &'a Stations {
    type Item = &'a Station;
    type IntoIter = core::slice::Iter<'a, Station>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Station> for Stations {
    /// As many as there is room for.
    fn from_iter<I: IntoIterator<Item = Station>>(stations: I) -> Self {
        let mut list = Self::new();
        for station in stations {
            if !list.push(station) {
                break;
            }
        }
        list
    }
}

impl Station {
    /// Reads `192.0.2.1`, `2001:db8::1`, and either with a VLAN: `192.0.2.1%20`.
    /// `None` for anything else, and for addresses that no station has.
    pub fn from_text(text: &[u16]) -> Option<Self> {
        let mut parts = text.splitn(2, |unit| is(*unit, b'%'));
        let address = address(parts.next()?)?;
        let vlan = match parts.next() {
            None => Vlan::NONE,
            Some(digits) => vlan(digits)?,
        };
        let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
        let nobody = address.is_unspecified() || address.is_multicast() || broadcast;
        (!nobody && !address.is_loopback()).then_some(Self { address, vlan })
    }
}

const fn is(unit: u16, letter: u8) -> bool {
    unit == letter as u16
}

/// A number of at most so many digits, and nothing else.
fn number(digits: &[u16], radix: u32, most: usize) -> Option<u16> {
    if digits.is_empty() || digits.len() > most {
        return None;
    }
    digits.iter().try_fold(0_u16, |number, unit| {
        let digit = char::from_u32(u32::from(*unit))?.to_digit(radix)?;
        let (digit, radix) = (u16::try_from(digit).ok()?, u16::try_from(radix).ok()?);
        number.checked_mul(radix)?.checked_add(digit)
    })
}

/// A VLAN that a frame can be in: 1 to 4094.
fn vlan(digits: &[u16]) -> Option<Vlan> {
    let number = number(digits, 10, 16)?;
    Vlan::new(number).filter(|vlan| !vlan.is_none() && !vlan.is_reserved())
}

/// An address of either family.
fn address(text: &[u16]) -> Option<IpAddr> {
    if text.iter().any(|unit| is(*unit, b':')) {
        six(text).map(IpAddr::V6)
    } else {
        four(text).map(IpAddr::V4)
    }
}

/// Four numbers, none of them written as one could write octal numbers.
fn four(text: &[u16]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|unit| is(*unit, b'.'));
    for octet in &mut octets {
        let digits = parts.next()?;
        if digits.len() > 1 && digits.first().is_some_and(|unit| is(*unit, b'0')) {
            return None;
        }
        *octet = u8::try_from(number(digits, 10, 3)?).ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// The groups of an IPv6 address.
#[derive(Clone, Copy, Default)]
struct Groups {
    words: [u16; 8],
    used: usize,
}

impl Groups {
    fn push(&mut self, word: u16) -> Option<()> {
        *self.words.get_mut(self.used)? = word;
        self.used = self.used.checked_add(1)?;
        Some(())
    }

    /// Reads groups between colons; the last one may be an IPv4 address.
    fn read(text: &[u16], with_four: bool) -> Option<Self> {
        let mut groups = Self::default();
        if text.is_empty() {
            return Some(groups);
        }
        let mut parts = text.split(|unit| is(*unit, b':')).peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            if last && with_four && part.iter().any(|unit| is(*unit, b'.')) {
                let [a, b, c, d] = four(part)?.octets();
                groups.push(u16::from_be_bytes([a, b]))?;
                groups.push(u16::from_be_bytes([c, d]))?;
            } else {
                groups.push(number(part, 16, 4)?)?;
            }
        }
        Some(groups)
    }

    fn used(&self) -> &[u16] {
        self.words.get(..self.used).unwrap_or(&[])
    }
}

/// Eight groups, or fewer around `::`, which stands for at least one.
fn six(text: &[u16]) -> Option<Ipv6Addr> {
    let colons = |pair: &[u16]| pair.iter().all(|unit| is(*unit, b':'));
    let Some(gap) = text.windows(2).position(colons) else {
        let groups = Groups::read(text, true)?;
        return (groups.used == 8).then(|| Ipv6Addr::from(groups.words));
    };
    let (head, rest) = text.split_at_checked(gap)?;
    let head = Groups::read(head, false)?;
    let tail = Groups::read(rest.get(2..)?, true)?;
    if head.used.checked_add(tail.used)? > 7 {
        return None;
    }
    let mut words = head.words;
    // From behind, so that the gap is what is left between them.
    let from_behind = words.iter_mut().rev().zip(tail.used().iter().rev());
    for (to, from) in from_behind {
        *to = *from;
    }
    Some(Ipv6Addr::from(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn units(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn station(text: &str) -> Option<Station> {
        Station::from_text(&units(text))
    }

    /// What `core` makes of it.
    fn expected(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn addresses_with_and_without_vlans() {
        let plain = station("192.0.2.1").unwrap();
        assert!(plain.vlan.is_none());
        assert_eq!(plain.address.to_string(), "192.0.2.1");
        let tagged = station("fe80::1%20").unwrap();
        assert_eq!(tagged.vlan.number(), 20, "% is a VLAN, never a zone");
        assert!(station("2001:db8:1111:2222:3333:4444:255.255.255.255").is_some());
        for bad in [
            "",
            "%",
            "%20",
            "192.0.2",
            "192.0.2.1%",
            "192.0.2.1%0",
            "192.0.2.1%4095",
            "192.0.2.1%65556",
            "192.0.2.1%2x",
            "192.0.2.1%20%20",
            " 192.0.2.1",
            "192.0.2.1 ",
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
            "2001:db8::1::2",
            "\u{661}92.0.2.1",
            "[2001:db8::1]",
            "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
        ] {
            assert_eq!(station(bad), None, "{bad:?}");
        }
    }

    /// The corners of the notation, as `core` sees them.
    #[test]
    fn corners() {
        for text in [
            "1.2.3.4",
            "01.2.3.4",
            "1.2.3.256",
            "1.2.3.0",
            "1.2.3.00",
            "1.2.3.4.5",
            "1..2.3",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1::8",
            "1:2:3:4::5:6:7:8",
            "1:2:3:4:5:6:7:8:9",
            ":",
            ":::",
            "1:",
            ":1",
            "1::",
            "::1.2.3.4",
            "::1.2.3.4:5",
            "1.2.3.4::",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1:2:3:4:5::1.2.3.4",
            "1:2:3:4:5:6::1.2.3.4",
            "::ffff:1.2.3",
            "12345::",
            "::g",
            "::0001",
            "::00001",
            "::1%",
        ] {
            assert_eq!(address(&units(text)), expected(text), "{text}");
        }
    }

    #[test]
    fn a_list_is_full_some_time() {
        let one = station("192.0.2.1").unwrap();
        let list: Stations = core::iter::repeat_n(one, 40).collect();
        assert_eq!(list.len(), MOST_STATIONS);
        let mut short = Stations::default();
        assert!(short.push(one) && short != list && short[..] == list[..1]);
    }

    proptest! {
        /// What is written is what is read.
        #[test]
        fn stations_round(bits: u128, six: bool, vlan in 0_u16..4095) {
            let address = if six {
                IpAddr::V6(bits.into())
            } else {
                IpAddr::V4((bits as u32).into())
            };
            let text = match vlan {
                0 => address.to_string(),
                _ => std::format!("{address}%{vlan}"),
            };
            if let Some(read) = station(&text) {
                prop_assert_eq!((read.address, read.vlan.number()), (address, vlan));
            } else {
                prop_assert!(
                    address.is_unspecified() || address.is_multicast() || address.is_loopback()
                        || address == IpAddr::V4(Ipv4Addr::BROADCAST)
                );
            }
        }

        /// Texts that are nearly addresses: `core` decides.
        #[test]
        fn as_core_reads_them(
            groups in proptest::collection::vec("[0-9a-fA-F]{1,4}", 0..9),
            gap in proptest::option::of(0_usize..9),
            four in proptest::option::of("(0|1[0-9]{0,2}|2[0-9]{0,2}|0[1-9])(\\.[0-9]{1,3}){2,4}"),
            odd in proptest::option::of((0_usize..40, "[:.0-9g]")),
        ) {
            let mut text = String::new();
            for (place, group) in groups.iter().enumerate() {
                if place > 0 {
                    text.push(':');
                }
                if gap == Some(place) {
                    text.push(':');
                }
                text.push_str(group);
            }
            if let Some(four) = four {
                if !text.is_empty() {
                    text.push(':');
                }
                text.push_str(&four);
            }
            if let Some((place, letter)) = odd {
                text.insert_str(place.min(text.len()), &letter);
            }
            prop_assert_eq!(address(&units(&text)), expected(&text), "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text: Vec<u16>) {
            let read = Station::from_text(&text);
            let plain = String::from_utf16(&text).ok();
            let parts = plain.as_deref().map(|text| text.split_once('%').unwrap_or((text, "")));
            let parsed = parts.and_then(|(address, _)| expected(address));
            prop_assert!(read.is_none_or(|read| Some(read.address) == parsed));
        }
    }
}

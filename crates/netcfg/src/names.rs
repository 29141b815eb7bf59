//! Names of adapters: interface GUIDs, MAC addresses, PCI locations.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A GUID; as text `{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub u128);

/// The text is not of the form expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed")
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{{{:08X}-{:04X}-{:04X}-{:04X}-{:012X}}}",
            v >> 96,
            v >> 80 & 0xffff,
            v >> 64 & 0xffff,
            v >> 48 & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Guid {
    type Err = Malformed;

    /// With or without braces, letters of either case.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let inner = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}').ok_or(Malformed)?,
            None => text,
        };
        let mut value = 0;
        let mut lengths = [8, 4, 4, 4, 12].into_iter();
        for part in inner.split('-') {
            if Some(part.len()) != lengths.next() || !is_hex(part) {
                return Err(Malformed);
            }
            let digits = u128::from_str_radix(part, 16).map_err(|_| Malformed)?;
            value = value << (4 * part.len()) | digits;
        }
        lengths
            .next()
            .is_none()
            .then_some(Self(value))
            .ok_or(Malformed)
    }
}

/// `from_str_radix` would take a sign.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A MAC address; as text `00-11-22-33-44-55`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02X}")?;
        rest.iter().try_for_each(|byte| write!(f, "-{byte:02X}"))
    }
}

impl FromStr for Mac {
    type Err = Malformed;

    /// Six pairs of digits with `-` or `:` between them.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut bytes = [0; 6];
        let mut parts = text.split(['-', ':']);
        for byte in &mut bytes {
            let part = parts.next().ok_or(Malformed)?;
            if part.len() != 2 || !is_hex(part) {
                return Err(Malformed);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| Malformed)?;
        }
        parts
            .next()
            .is_none()
            .then_some(Self(bytes))
            .ok_or(Malformed)
    }
}

/// A place on the PCI bus; as text `pci:BUS:DEVICE.FUNCTION`, decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Bus, with the segment in the upper bits as Windows counts it.
    pub bus: u32,
    /// Device on it.
    pub device: u16,
    /// Function of that.
    pub function: u16,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pci:{}:{}.{}", self.bus, self.device, self.function)
    }
}

impl FromStr for Location {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        fn number<T: FromStr>(text: &str) -> Result<T, Malformed> {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().ok_or(Malformed)
        }
        let place = text.strip_prefix("pci:").ok_or(Malformed)?;
        let (bus, place) = place.split_once(':').ok_or(Malformed)?;
        let (device, function) = place.split_once('.').ok_or(Malformed)?;
        Ok(Self {
            bus: number(bus)?,
            device: number(device)?,
            function: number(function)?,
        })
    }
}

macro_rules! as_text {
    ($($type:ty)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_string())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|_| D::Error::custom(format!("`{text}` is malformed")))
            }
        }
    )*};
}

as_text!(Guid Mac Location);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_what_they_write() {
        let guid = "{4D36E975-E325-11CE-BFC1-08002BE10318}";
        assert_eq!(guid.parse::<Guid>().unwrap().to_string(), guid);
        let lower = guid.trim_matches(['{', '}']).to_lowercase();
        assert_eq!(lower.parse::<Guid>().unwrap().to_string(), guid);
        assert_eq!(
            "00:aA-22:33-44:55".parse(),
            Ok(Mac([0, 0xaa, 0x22, 0x33, 0x44, 0x55]))
        );
        let place = "pci:0:31.6".parse::<Location>().unwrap();
        assert_eq!(
            place,
            Location {
                bus: 0,
                device: 31,
                function: 6
            }
        );
        assert_eq!(place.to_string(), "pci:0:31.6");
    }

    #[test]
    fn malformed_names() {
        for text in [
            "",
            "{}",
            "{4D36E975-E325-11CE-BFC1-08002BE10318",
            "4D36E975-E325-11CE-BFC1",
            "4D36E975-E325-11CE-BFC1-08002BE10318-",
            "+D36E975-E325-11CE-BFC1-08002BE10318",
            "4D36E975E325-11CE-BFC1-08002BE103181111",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(Malformed), "{text}");
        }
        for text in [
            "",
            "00-11-22-33-44",
            "00-11-22-33-44-55-66",
            "0-11-22-33-44-555",
            "+0-11-22-33-44-55",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(Malformed), "{text}");
        }
        for text in [
            "pci:",
            "pci:1:2",
            "pci:+1:2.3",
            "pci:1:2.3.4",
            "pci:1:70000.0",
            "PCI:1:2.3",
        ] {
            assert_eq!(text.parse::<Location>(), Err(Malformed), "{text}");
        }
    }
}

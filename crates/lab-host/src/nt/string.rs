//! Counted strings.

use crate::api::api;
use crate::host::Host;

fn units(host: &Host, string: u64) -> Vec<u16> {
    let len: u16 = host.get(string, "string");
    let buffer: u64 = host.get(string + 8, "string");
    if len == 0 {
        return Vec::new();
    }
    host.get_bytes(buffer, usize::from(len), "string.Buffer")
        .chunks_exact(2)
        .map(|c| u16::from_le_bytes([c[0], c[1]]))
        .collect()
}

fn upcase(unit: u16) -> u16 {
    char::from_u32(u32::from(unit))
        .and_then(|c| {
            let mut upper = c.to_uppercase();
            upper.next().filter(|_| upper.next().is_none())
        })
        .and_then(|c| u16::try_from(u32::from(c)).ok())
        .unwrap_or(unit)
}

api! { exports:
    /// Makes a counted string of a terminated one.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlInitUnicodeString(host, string: u64, source: u64) {
        let mut len = 0_u16;
        if source != 0 {
            while len < 0xFFFC && host.get::<u16>(source + u64::from(len), "SourceString") != 0 {
                len += 2;
            }
        }
        let maximum = if source == 0 { 0 } else { len + 2 };
        host.put(string, [len, maximum], "DestinationString");
        host.put(string + 8, source, "DestinationString");
    }

    /// Whether two strings are equal.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlEqualUnicodeString(host, a: u64, b: u64, insensitive: u8) -> u8 {
        let (a, b) = (units(host, a), units(host, b));
        let equal = if insensitive == 0 {
            a == b
        } else {
            a.len() == b.len() && a.iter().zip(&b).all(|(&x, &y)| upcase(x) == upcase(y))
        };
        u8::from(equal)
    }

    /// Copies a string as far as there is room.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlCopyUnicodeString(host, to: u64, from: u64) {
        let source = if from == 0 { Vec::new() } else { units(host, from) };
        let maximum: u16 = host.get(to + 2, "DestinationString");
        let buffer: u64 = host.get(to + 8, "DestinationString");
        let n = source.len().min(usize::from(maximum / 2));
        for (i, unit) in source.iter().take(n).enumerate() {
            host.put(buffer + 2 * i as u64, *unit, "DestinationString.Buffer");
        }
        host.put(to, (2 * n) as u16, "DestinationString");
    }
}

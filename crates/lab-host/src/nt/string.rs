//! Counted strings, ANSI and Unicode. The ANSI code page is Latin 1: a byte is a character.

use super::object::{STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER};
use crate::api::api;
use crate::host::Host;

const STATUS_BUFFER_OVERFLOW: i32 = 0x8000_0005_u32 as i32;
const STATUS_BUFFER_TOO_SMALL: i32 = 0xC000_0023_u32 as i32;
const STATUS_INVALID_PARAMETER_2: i32 = 0xC000_00F0_u32 as i32;
const TAG: u32 = u32::from_le_bytes(*b"RtlS");

fn bytes(host: &Host, string: u64) -> Vec<u8> {
    let len: u16 = host.get(string, "string");
    let buffer: u64 = host.get(string + 8, "string");
    if len == 0 {
        return Vec::new();
    }
    host.get_bytes(buffer, usize::from(len), "string.Buffer")
}

/// The UTF-16 units of a `UNICODE_STRING`.
pub(super) fn units(host: &Host, string: u64) -> Vec<u16> {
    let bytes = bytes(host, string);
    let pairs = bytes.chunks_exact(2);
    pairs.map(|c| u16::from_le_bytes([c[0], c[1]])).collect()
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

fn downcase(unit: u16) -> u16 {
    char::from_u32(u32::from(unit))
        .and_then(|c| {
            let mut lower = c.to_lowercase();
            lower.next().filter(|_| lower.next().is_none())
        })
        .and_then(|c| u16::try_from(u32::from(c)).ok())
        .unwrap_or(unit)
}

fn fold(units: Vec<u16>, insensitive: bool) -> Vec<u16> {
    if insensitive {
        units.into_iter().map(upcase).collect()
    } else {
        units
    }
}

/// Length and room of a string whose characters are elsewhere.
fn put_lengths(host: &Host, string: u64, length: usize, maximum: usize) {
    host.put(string, [length as u16, maximum as u16], "DestinationString");
}

fn room(host: &Host, string: u64) -> (usize, u64) {
    let maximum: u16 = host.get(string + 2, "DestinationString");
    (
        usize::from(maximum),
        host.get(string + 8, "DestinationString"),
    )
}

fn put_units(host: &Host, at: u64, units: &[u16]) {
    for (i, unit) in units.iter().enumerate() {
        host.put(at + 2 * i as u64, *unit, "DestinationString.Buffer");
    }
}

/// Takes a buffer for a string that a function allocates.
fn take(host: &Host, string: u64, len: usize, by: &'static str) -> Option<u64> {
    if host.fails(by) {
        return None;
    }
    let buffer = host
        .heap()
        .allocate(&host.arena, len as u64, TAG, by, false)?;
    host.put(string + 8, buffer, "DestinationString");
    put_lengths(host, string, 0, len);
    Some(buffer)
}

fn free(host: &Host, string: u64, by: &str) {
    let buffer: u64 = host.get(string + 8, "string");
    if buffer != 0 {
        super::free_pool(host, buffer, None, by);
        host.put(string, [0_u64, 0], "string");
    }
}

/// Copies a Unicode string as ANSI; what RtlUnicodeStringToAnsiString does.
fn to_ansi(host: &Host, to: u64, from: u64, allocate: bool, upper: bool, by: &'static str) -> i32 {
    let text: Vec<u8> = fold(units(host, from), upper)
        .into_iter()
        .map(|u| u8::try_from(u).unwrap_or(b'?'))
        .collect();
    if text.len() >= usize::from(u16::MAX) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if allocate && take(host, to, text.len() + 1, by).is_none() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let (maximum, buffer) = room(host, to);
    if maximum == 0 {
        return STATUS_BUFFER_OVERFLOW;
    }
    let fits = text.len().min(maximum - 1);
    for (i, byte) in text.iter().take(fits).chain([&0]).enumerate() {
        host.put(buffer + i as u64, *byte, "DestinationString.Buffer");
    }
    put_lengths(host, to, fits, maximum);
    if fits < text.len() {
        STATUS_BUFFER_OVERFLOW
    } else {
        0
    }
}

fn append(host: &Host, to: u64, more: &[u16]) -> i32 {
    let length: u16 = host.get(to, "Destination");
    let (maximum, buffer) = room(host, to);
    let end = usize::from(length) + 2 * more.len();
    if end > maximum {
        return STATUS_BUFFER_TOO_SMALL;
    }
    put_units(host, buffer + u64::from(length), more);
    if end + 2 <= maximum {
        host.put(buffer + end as u64, 0_u16, "Destination.Buffer");
    }
    put_lengths(host, to, end, maximum);
    0
}

/// Digits of a base that Windows knows; 0 stands for 10.
fn base(base: u32) -> Option<u32> {
    match base {
        0 => Some(10),
        2 | 8 | 10 | 16 => Some(base),
        _ => None,
    }
}

fn guid_text(host: &Host, guid: u64) -> String {
    let a: u32 = host.get(guid, "Guid");
    let [b, c]: [u16; 2] = host.get(guid + 4, "Guid");
    let d: [u8; 8] = host.get(guid + 8, "Guid");
    format!(
        "{{{a:08X}-{b:04X}-{c:04X}-{:02X}{:02X}-{:02X}{:02X}{:02X}{:02X}{:02X}{:02X}}}",
        d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]
    )
}

fn compare(a: &[u16], b: &[u16]) -> i32 {
    match a.iter().zip(b).find(|(x, y)| x != y) {
        Some((x, y)) => i32::from(*x) - i32::from(*y),
        None => a.len() as i32 - b.len() as i32,
    }
}

/// Counts a terminated string; without one the counted string is empty.
fn init_unicode(host: &Host, string: u64, source: u64) {
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

api! { exports:
    /// Makes a counted string of a terminated one.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlInitUnicodeString(host, string: u64, source: u64) {
        init_unicode(host, string, source);
    }

    /// Makes a counted string of a terminated one of bytes.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlInitAnsiString(host, string: u64, source: u64) {
        initialize_ansi(host, string, source);
    }

    /// Makes a counted string of a terminated one of bytes.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlInitString(host, string: u64, source: u64) {
        initialize_ansi(host, string, source);
    }

    /// NDIS's name for it.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisInitAnsiString(host, string: u64, source: u64) {
        initialize_ansi(host, string, source);
    }

    /// NDIS's name for `RtlInitUnicodeString`.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisInitUnicodeString(host, string: u64, source: u64) {
        init_unicode(host, string, source);
    }

    /// Makes a Unicode string of bytes, in memory of NDIS.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisInitializeString(host, string: u64, source: u64) {
        let text = super::printf::terminated(host, source, false, Some(0x7FFE));
        host.put(string, [0_u64, 0], "Destination");
        if let Some(buffer) = take(host, string, 2 * text.len() + 2, "NdisInitializeString") {
            put_units(host, buffer, &text);
            host.put(buffer + 2 * text.len() as u64, 0_u16, "Destination.Buffer");
            put_lengths(host, string, 2 * text.len(), 2 * text.len() + 2);
        }
    }

    /// Whether two strings are equal.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlEqualUnicodeString(host, a: u64, b: u64, insensitive: u8) -> u8 {
        let (a, b) = (units(host, a), units(host, b));
        u8::from(fold(a, insensitive != 0) == fold(b, insensitive != 0))
    }

    /// How two strings are ordered.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlCompareUnicodeString(host, a: u64, b: u64, insensitive: u8) -> i32 {
        let (a, b) = (units(host, a), units(host, b));
        compare(&fold(a, insensitive != 0), &fold(b, insensitive != 0))
    }

    /// Whether one string is the beginning of another.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlPrefixUnicodeString(host, a: u64, b: u64, insensitive: u8) -> u8 {
        let (a, b) = (units(host, a), units(host, b));
        u8::from(fold(b, insensitive != 0).starts_with(&fold(a, insensitive != 0)))
    }

    /// Whether two strings of bytes are equal.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlEqualString(host, a: u64, b: u64, insensitive: u8) -> u8 {
        let (a, b) = (bytes(host, a), bytes(host, b));
        u8::from(if insensitive == 0 { a == b } else { a.eq_ignore_ascii_case(&b) })
    }

    /// How two strings of bytes are ordered.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlCompareString(host, a: u64, b: u64, insensitive: u8) -> i32 {
        let wide = |s| fold(bytes(host, s).into_iter().map(u16::from).collect(), insensitive != 0);
        compare(&wide(a), &wide(b))
    }

    /// Copies a string as far as there is room.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlCopyUnicodeString(host, to: u64, from: u64) {
        let source = if from == 0 { Vec::new() } else { units(host, from) };
        let (maximum, buffer) = room(host, to);
        let n = source.len().min(maximum / 2);
        put_units(host, buffer, &source[..n]);
        host.put(to, (2 * n) as u16, "DestinationString");
    }

    /// Adds a string at the end of another.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlAppendUnicodeStringToString(host, to: u64, from: u64) -> i32 {
        append(host, to, &units(host, from))
    }

    /// Adds a terminated string at the end of a counted one.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlAppendUnicodeToString(host, to: u64, from: u64) -> i32 {
        if from == 0 {
            return 0;
        }
        append(host, to, &super::printf::terminated(host, from, true, Some(0x7FFF)))
    }

    /// A character as its capital.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlUpcaseUnicodeChar(host, unit: u16) -> u16 {
        let _ = host;
        upcase(unit)
    }

    /// A character as its small form.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlDowncaseUnicodeChar(host, unit: u16) -> u16 {
        let _ = host;
        downcase(unit)
    }

    /// A byte as its capital.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlUpperChar(host, byte: u8) -> u8 {
        let _ = host;
        byte.to_ascii_uppercase()
    }

    /// A string in capitals.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlUpcaseUnicodeString(host, to: u64, from: u64, allocate: u8) -> i32 {
        let text = fold(units(host, from), true);
        if allocate != 0 && take(host, to, 2 * text.len(), "RtlUpcaseUnicodeString").is_none() {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let (maximum, buffer) = room(host, to);
        if 2 * text.len() > maximum {
            return STATUS_BUFFER_OVERFLOW;
        }
        put_units(host, buffer, &text);
        put_lengths(host, to, 2 * text.len(), maximum);
        0
    }

    /// A Unicode string as bytes.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlUnicodeStringToAnsiString(host, to: u64, from: u64, allocate: u8) -> i32 {
        to_ansi(host, to, from, allocate != 0, false, "RtlUnicodeStringToAnsiString")
    }

    /// A Unicode string as bytes, in capitals.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlUpcaseUnicodeStringToAnsiString(host, to: u64, from: u64, allocate: u8) -> i32 {
        to_ansi(host, to, from, allocate != 0, true, "RtlUpcaseUnicodeStringToAnsiString")
    }

    /// NDIS's name for it, into room that is there.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisUnicodeStringToAnsiString(host, to: u64, from: u64) -> i32 {
        to_ansi(host, to, from, false, false, "NdisUnicodeStringToAnsiString")
    }

    /// Bytes as a Unicode string.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlAnsiStringToUnicodeString(host, to: u64, from: u64, allocate: u8) -> i32 {
        let text: Vec<u16> = bytes(host, from).into_iter().map(u16::from).collect();
        let len = 2 * text.len();
        if len + 2 > usize::from(u16::MAX) {
            return STATUS_INVALID_PARAMETER_2;
        }
        if allocate != 0 && take(host, to, len + 2, "RtlAnsiStringToUnicodeString").is_none() {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let (maximum, buffer) = room(host, to);
        if len > maximum {
            return STATUS_BUFFER_OVERFLOW;
        }
        put_units(host, buffer, &text);
        if len + 2 <= maximum {
            host.put(buffer + len as u64, 0_u16, "DestinationString.Buffer");
        }
        put_lengths(host, to, len, maximum);
        0
    }

    /// Frees what a function of these allocated.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlFreeAnsiString(host, string: u64) {
        free(host, string, "RtlFreeAnsiString");
    }

    /// Frees what a function of these allocated.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlFreeUnicodeString(host, string: u64) {
        free(host, string, "RtlFreeUnicodeString");
    }

    /// Frees a string of `NdisInitializeString`.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisFreeString(host, string: u64) {
        // A structure of 16 bytes by value: the calling convention passes where a copy is.
        let buffer: u64 = host.get(string + 8, "String");
        super::free_pool(host, buffer, None, "NdisFreeString");
    }

    /// The number that a string shows.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlUnicodeStringToInteger(host, string: u64, radix: u32, value: u64) -> i32 {
        let text = String::from_utf16_lossy(&units(host, string));
        let text = text.trim_start_matches(|c: char| c <= ' ');
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)]
            .iter()
            .find_map(|&(p, r)| text.strip_prefix(p).filter(|_| radix == 0).map(|t| (t, r)));
        let (text, radix) = match (prefixed, base(radix)) {
            (Some(found), _) => found,
            (None, Some(radix)) => (text, radix),
            (None, None) => return STATUS_INVALID_PARAMETER,
        };
        let number = text
            .chars()
            .map_while(|c| c.to_digit(radix))
            .fold(0_u32, |sum, digit| sum.wrapping_mul(radix).wrapping_add(digit));
        host.put(value, if negative { number.wrapping_neg() } else { number }, "Value");
        0
    }

    /// A number as a string.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlIntegerToUnicodeString(host, value: u32, radix: u32, string: u64) -> i32 {
        let text = match base(radix) {
            Some(2) => format!("{value:b}"),
            Some(8) => format!("{value:o}"),
            Some(16) => format!("{value:X}"),
            Some(_) => value.to_string(),
            None => return STATUS_INVALID_PARAMETER,
        };
        let text: Vec<u16> = text.encode_utf16().collect();
        let (maximum, buffer) = room(host, string);
        if 2 * text.len() > maximum {
            return STATUS_BUFFER_OVERFLOW;
        }
        put_units(host, buffer, &text);
        if 2 * text.len() + 2 <= maximum {
            host.put(buffer + 2 * text.len() as u64, 0_u16, "String.Buffer");
        }
        put_lengths(host, string, 2 * text.len(), maximum);
        0
    }

    /// A GUID as a string, which the caller frees.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlStringFromGUID(host, guid: u64, string: u64) -> i32 {
        let text: Vec<u16> = guid_text(host, guid).encode_utf16().collect();
        let Some(buffer) = take(host, string, 2 * text.len() + 2, "RtlStringFromGUID") else {
            return STATUS_INSUFFICIENT_RESOURCES;
        };
        put_units(host, buffer, &text);
        host.put(buffer + 2 * text.len() as u64, 0_u16, "GuidString.Buffer");
        put_lengths(host, string, 2 * text.len(), 2 * text.len() + 2);
        0
    }

    /// The GUID that a string shows.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlGUIDFromString(host, string: u64, guid: u64) -> i32 {
        let text = String::from_utf16_lossy(&units(host, string));
        let parts: Vec<&str> = text
            .strip_prefix('{')
            .and_then(|t| t.strip_suffix('}'))
            .map(|t| t.split('-').collect())
            .unwrap_or_default();
        let lengths: Vec<usize> = parts.iter().map(|p| p.len()).collect();
        let digits = u128::from_str_radix(&parts.concat(), 16);
        let (Ok(value), [8, 4, 4, 4, 12]) = (digits, lengths.as_slice()) else {
            return STATUS_INVALID_PARAMETER;
        };
        host.put(guid, (value >> 96) as u32, "Guid");
        host.put(guid + 4, [(value >> 80) as u16, (value >> 64) as u16], "Guid");
        host.put(guid + 8, (value as u64).to_be(), "Guid");
        0
    }

    /// A hash of a string, that of Windows (x65599).
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlHashUnicodeString(host, string: u64, insensitive: u8, algorithm: u32, out: u64) -> i32 {
        if algorithm > 1 {
            return STATUS_INVALID_PARAMETER;
        }
        let text = fold(units(host, string), insensitive != 0);
        let hash = text
            .iter()
            .fold(0_u32, |h, &u| h.wrapping_mul(65599).wrapping_add(u32::from(u)));
        host.put(out, hash, "HashValue");
        0
    }

    /// Number of bits that are set.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn RtlNumberOfSetBitsUlongPtr(host, value: u64) -> u32 {
        let _ = host;
        value.count_ones()
    }

    /// Number of the lowest bit that is set, or -1.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn RtlFindLeastSignificantBit(host, value: u64) -> i8 {
        let _ = host;
        if value == 0 { -1 } else { value.trailing_zeros() as i8 }
    }

    /// Number of the highest bit that is set, or -1.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn RtlFindMostSignificantBit(host, value: u64) -> i8 {
        let _ = host;
        63 - value.leading_zeros() as i8
    }
}

fn initialize_ansi(host: &Host, string: u64, source: u64) {
    let len = if source == 0 {
        None
    } else {
        Some(super::printf::terminated(host, source, false, Some(0xFFFE)).len())
    };
    put_lengths(host, string, len.unwrap_or(0), len.map_or(0, |n| n + 1));
    host.put(string + 8, source, "DestinationString");
}

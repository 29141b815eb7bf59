//! The formatter behind `DbgPrint`, `sprintf` and their kin.
//!
//! Variable arguments of this convention are words: the caller passes the first four in
//! registers like any others, the rest on its stack. Each variadic export is entered through a
//! few instructions that put the registers into the places that the convention keeps for them
//! above the return address, which makes one array of all; floating-point arguments are in the
//! integer registers too.

use std::arch::naked_asm;
use std::fmt::Write as _;

use crate::api::{Api, api};
use crate::host::Host;

/// Most characters of one conversion.
const MOST: usize = 4096;

/// Arguments, one word each, from an address on.
struct Arguments<'a> {
    host: &'a Host,
    at: u64,
}

impl Arguments<'_> {
    fn next(&mut self) -> u64 {
        let word = self.host.arena.read(self.at).unwrap_or(0);
        self.at += 8;
        word
    }
}

/// How one argument is shown.
#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    size: Size,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Size {
    Char,
    Short,
    #[default]
    Int,
    Long,
    Wide,
}

/// The text of a format, whose characters are `bytes` (or UTF-16 units, if it is wide).
fn format(host: &Host, units: &[u16], arguments: u64, wide: bool) -> Vec<u16> {
    let mut arguments = Arguments {
        host,
        at: arguments,
    };
    let mut out = Vec::new();
    let mut at = units.iter().copied().peekable();
    while let Some(unit) = at.next() {
        if unit != u16::from(b'%') {
            out.push(unit);
            continue;
        }
        let mut spec = Spec::default();
        loop {
            let Some(unit) = at.next() else {
                return out;
            };
            match u8::try_from(unit).unwrap_or(b'?') {
                b'%' => {
                    out.push(unit);
                    break;
                }
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternate = true,
                b'0' if spec.width == 0 && spec.precision.is_none() => spec.zero = true,
                digit @ b'0'..=b'9' => {
                    let slot = spec.precision.as_mut().unwrap_or(&mut spec.width);
                    *slot = (*slot * 10 + usize::from(digit - b'0')).min(MOST);
                }
                b'*' => {
                    let n = arguments.next() as u32 as i32;
                    let size = (n.unsigned_abs() as usize).min(MOST);
                    match &mut spec.precision {
                        // A negative one counts as none.
                        Some(p) if n >= 0 => *p = size,
                        Some(_) => spec.precision = None,
                        None => {
                            spec.left |= n < 0;
                            spec.width = size;
                        }
                    }
                }
                b'.' => spec.precision = Some(0),
                b'h' if spec.size == Size::Short => spec.size = Size::Char,
                b'h' => spec.size = Size::Short,
                b'l' if spec.size == Size::Long => spec.size = Size::Wide,
                b'l' | b'w' => spec.size = Size::Long,
                b'j' | b'z' | b't' => spec.size = Size::Wide,
                b'I' => {
                    let six = at.next_if_eq(&u16::from(b'6')).is_some();
                    let three = !six && at.next_if_eq(&u16::from(b'3')).is_some();
                    if six || three {
                        at.next();
                    }
                    spec.size = if three { Size::Int } else { Size::Wide };
                }
                kind => {
                    convert(host, kind, &spec, &mut arguments, wide, &mut out);
                    break;
                }
            }
        }
    }
    out
}

fn convert(
    host: &Host,
    kind: u8,
    spec: &Spec,
    arguments: &mut Arguments<'_>,
    wide: bool,
    out: &mut Vec<u16>,
) {
    let narrow = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
    let mut numeric = false;
    // A capital letter means the other kind of characters than the format's own.
    let other = matches!(kind, b'S' | b'C' | b'Z');
    let text_is_wide = match spec.size {
        Size::Long | Size::Wide => true,
        Size::Short | Size::Char => false,
        Size::Int => wide != (other && kind != b'Z'),
    };
    let text: Vec<u16> = match kind {
        b'd' | b'i' => {
            let word = arguments.next();
            let value = match spec.size {
                Size::Char => i64::from(word as i8),
                Size::Short => i64::from(word as i16),
                Size::Int | Size::Long => i64::from(word as i32),
                Size::Wide => word as i64,
            };
            let sign = match value {
                v if v < 0 => "-",
                _ if spec.plus => "+",
                _ if spec.space => " ",
                _ => "",
            };
            number(out, spec, sign, &value.unsigned_abs().to_string());
            return;
        }
        b'u' | b'x' | b'X' | b'o' => {
            let word = arguments.next();
            let value = match spec.size {
                Size::Char => u64::from(word as u8),
                Size::Short => u64::from(word as u16),
                Size::Int | Size::Long => u64::from(word as u32),
                Size::Wide => word,
            };
            let (prefix, digits) = match kind {
                b'x' => ("0x", format!("{value:x}")),
                b'X' => ("0X", format!("{value:X}")),
                b'o' => ("0", format!("{value:o}")),
                _ => ("", value.to_string()),
            };
            let prefix = if spec.alternate && value != 0 {
                prefix
            } else {
                ""
            };
            number(out, spec, prefix, &digits);
            return;
        }
        b'p' => {
            numeric = true;
            narrow(&format!("{:016X}", arguments.next()))
        }
        b'e' | b'E' | b'f' | b'F' | b'g' | b'G' => {
            numeric = true;
            let value = f64::from_bits(arguments.next());
            let digits = spec.precision.unwrap_or(6);
            let text = match kind {
                b'e' | b'E' => exponential(value, digits),
                b'f' | b'F' => format!("{value:.digits$}"),
                _ => general(value, digits),
            };
            let text = if kind.is_ascii_uppercase() {
                text.to_uppercase()
            } else {
                text
            };
            let sign = if spec.plus && value >= 0.0 { "+" } else { "" };
            narrow(&(sign.to_owned() + &text))
        }
        b'c' | b'C' => {
            let word = arguments.next();
            vec![if text_is_wide {
                word as u16
            } else {
                u16::from(word as u8)
            }]
        }
        b's' | b'S' => {
            let address = arguments.next();
            if address == 0 {
                narrow("(null)")
            } else {
                terminated(host, address, text_is_wide, spec.precision)
            }
        }
        // Counted strings: ANSI, or Unicode with `w` or `l`.
        b'Z' => {
            let address = arguments.next();
            counted(
                host,
                address,
                spec.size == Size::Long || (wide && spec.size == Size::Int),
            )
        }
        b'n' => {
            arguments.next();
            Vec::new()
        }
        unknown => vec![u16::from(b'%'), u16::from(unknown)],
    };
    let text = if matches!(kind, b's' | b'S' | b'Z') {
        &text[..text.len().min(spec.precision.unwrap_or(usize::MAX))]
    } else {
        &text[..]
    };
    pad(out, spec, text, spec.zero && numeric);
}

/// A number: a precision is the least count of digits and takes the place of zero padding.
fn number(out: &mut Vec<u16>, spec: &Spec, prefix: &str, digits: &str) {
    let digits = if spec.precision == Some(0) && digits == "0" {
        ""
    } else {
        digits
    };
    let least = match spec.precision {
        Some(precision) => precision,
        None if spec.zero && !spec.left => spec.width.saturating_sub(prefix.len()),
        None => 0,
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    let text: Vec<u16> = format!("{prefix}{zeros}{digits}").encode_utf16().collect();
    pad(out, spec, &text, false);
}

fn pad(out: &mut Vec<u16>, spec: &Spec, text: &[u16], zeros: bool) {
    let fill = spec.width.saturating_sub(text.len());
    let with = if zeros && !spec.left { b'0' } else { b' ' };
    let filler = std::iter::repeat_n(u16::from(with), fill);
    if spec.left {
        out.extend_from_slice(text);
        out.extend(filler);
    } else {
        out.extend(filler);
        out.extend_from_slice(text);
    }
}

/// `%e`: two digits of the exponent at least, and a sign.
fn exponential(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text;
    };
    let n: i32 = exponent.parse().unwrap_or(0);
    let sign = if n < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", n.unsigned_abs())
}

/// `%g`: the shorter of the two, without zeros at its end.
fn general(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    let scientific = format!("{value:.*e}", digits - 1);
    let exponent: i32 = scientific
        .split_once('e')
        .and_then(|(_, e)| e.parse().ok())
        .unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let text = exponential(value, digits - 1);
        match text.split_once('e') {
            Some((mantissa, rest)) => format!("{}e{rest}", trim(mantissa)),
            None => text,
        }
    } else {
        let after = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
        trim(&format!("{value:.after$}"))
    }
}

/// Characters up to the terminator, as the driver's memory has them.
pub(super) fn terminated(host: &Host, address: u64, wide: bool, limit: Option<usize>) -> Vec<u16> {
    let mut units = Vec::new();
    while units.len() < limit.unwrap_or(MOST) {
        let at = units.len() as u64;
        let unit = if wide {
            host.get::<u16>(address + 2 * at, "a string argument")
        } else {
            u16::from(host.get::<u8>(address + at, "a string argument"))
        };
        if unit == 0 {
            break;
        }
        units.push(unit);
    }
    units
}

fn counted(host: &Host, address: u64, wide: bool) -> Vec<u16> {
    if address == 0 {
        return "(null)".encode_utf16().collect();
    }
    let len = usize::from(host.get::<u16>(address, "a counted string argument"));
    let buffer: u64 = host.get(address + 8, "a counted string argument");
    if len == 0 {
        return Vec::new();
    }
    let bytes = host.get_bytes(buffer, len, "a counted string argument");
    if wide {
        let pairs = bytes.chunks_exact(2);
        pairs.map(|c| u16::from_le_bytes([c[0], c[1]])).collect()
    } else {
        bytes.into_iter().map(u16::from).collect()
    }
}

fn formatted(host: &Host, text: u64, arguments: u64) -> String {
    let units = terminated(host, text, false, None);
    let mut line = String::new();
    for c in char::decode_utf16(format(host, &units, arguments, false)) {
        let _ = line.write_char(c.unwrap_or('?'));
    }
    line
}

fn print(host: &Host, level: u32, text: &str) {
    for line in text.lines() {
        host.driver_line(level, line);
    }
}

/// Writes a text as narrow characters, no more than `room`; how many, or -1 if it is longer. A
/// terminator is written where there is room for it, as the C runtime of Windows does.
fn put_narrow(host: &Host, to: u64, room: u64, text: &[u16]) -> i32 {
    let fits = (text.len() as u64).min(room);
    for (i, &unit) in text.iter().take(fits as usize).enumerate() {
        host.put(to + i as u64, u8::try_from(unit).unwrap_or(b'?'), "Buffer");
    }
    if fits < room {
        host.put(to + fits, 0_u8, "Buffer");
    }
    if (text.len() as u64) > room {
        -1
    } else {
        text.len() as i32
    }
}

fn put_wide(host: &Host, to: u64, room: u64, text: &[u16]) -> i32 {
    let fits = (text.len() as u64).min(room);
    for (i, &unit) in text.iter().take(fits as usize).enumerate() {
        host.put(to + 2 * i as u64, unit, "Buffer");
    }
    if fits < room {
        host.put(to + 2 * fits, 0_u16, "Buffer");
    }
    if (text.len() as u64) > room {
        -1
    } else {
        text.len() as i32
    }
}

fn narrow(host: &Host, to: u64, room: u64, text: u64, arguments: u64) -> i32 {
    let units = terminated(host, text, false, None);
    put_narrow(host, to, room, &format(host, &units, arguments, false))
}

fn wide(host: &Host, to: u64, room: u64, text: u64, arguments: u64) -> i32 {
    let units = terminated(host, text, true, None);
    put_wide(host, to, room, &format(host, &units, arguments, true))
}

const ENDLESS: u64 = i32::MAX as u64;

// The last argument of each is the address of the variable ones; the variadic forms get there
// through the entries below.
api! { exports:
    /// Prints to the debugger.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn DbgPrint(host, text: u64, arguments: u64) -> i32 {
        print(host, 3, &formatted(host, text, arguments));
        0
    }

    /// Prints to the debugger with a component and a level.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn DbgPrintEx(host, _component: u32, level: u32, text: u64, arguments: u64) -> i32 {
        print(host, level, &formatted(host, text, arguments));
        0
    }

    /// As `DbgPrintEx`, with an argument list.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn vDbgPrintEx(host, _component: u32, level: u32, text: u64, arguments: u64) -> i32 {
        print(host, level, &formatted(host, text, arguments));
        0
    }

    /// As `vDbgPrintEx`, with something in front.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn vDbgPrintExWithPrefix(host, prefix: u64, _component: u32, level: u32, text: u64,
        arguments: u64) -> i32 {
        let prefix = String::from_utf16_lossy(&terminated(host, prefix, false, None));
        print(host, level, &(prefix + &formatted(host, text, arguments)));
        0
    }

    /// Formats into a buffer.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn sprintf(host, to: u64, text: u64, arguments: u64) -> i32 {
        narrow(host, to, ENDLESS, text, arguments)
    }

    /// Formats into a buffer, with an argument list.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn vsprintf(host, to: u64, text: u64, arguments: u64) -> i32 {
        narrow(host, to, ENDLESS, text, arguments)
    }

    /// Formats into a buffer of that many characters.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn _snprintf(host, to: u64, room: u64, text: u64, arguments: u64) -> i32 {
        narrow(host, to, room, text, arguments)
    }

    /// Formats into a buffer of that many characters, with an argument list.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn _vsnprintf(host, to: u64, room: u64, text: u64, arguments: u64) -> i32 {
        narrow(host, to, room, text, arguments)
    }

    /// Formats wide characters.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn swprintf(host, to: u64, text: u64, arguments: u64) -> i32 {
        wide(host, to, ENDLESS, text, arguments)
    }

    /// Formats wide characters into a buffer of that many.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn _snwprintf(host, to: u64, room: u64, text: u64, arguments: u64) -> i32 {
        wide(host, to, room, text, arguments)
    }

    /// Formats wide characters into a buffer of that many, with an argument list.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn _vsnwprintf(host, to: u64, room: u64, text: u64, arguments: u64) -> i32 {
        wide(host, to, room, text, arguments)
    }
}

/// Defines the entry of a variadic function: the registers go to their places above the return
/// address, and the address of the first variable one becomes the next argument.
macro_rules! variadic {
    ($name:ident, $next:literal, $offset:literal, $target:ident) => {
        #[unsafe(naked)]
        extern "win64" fn $name() {
            naked_asm!(
                "mov [rsp + 8], rcx",
                "mov [rsp + 16], rdx",
                "mov [rsp + 24], r8",
                "mov [rsp + 32], r9",
                concat!("lea ", $next, ", [rsp + ", $offset, "]"),
                "jmp {target}",
                target = sym $target,
            )
        }
    };
}

variadic!(dbg_print, "rdx", "16", DbgPrint);
variadic!(dbg_print_ex, "r9", "32", DbgPrintEx);
variadic!(print_to, "r8", "24", sprintf);
variadic!(print_some, "r9", "32", _snprintf);
variadic!(print_wide, "r8", "24", swprintf);
variadic!(print_some_wide, "r9", "32", _snwprintf);

/// The functions of this module, the variadic ones by their entries.
pub(super) fn all() -> Vec<Api> {
    let mut all = exports();
    for api in &mut all {
        let entry: extern "win64" fn() = match api.name {
            "DbgPrint" => dbg_print,
            "DbgPrintEx" => dbg_print_ex,
            "sprintf" => print_to,
            "_snprintf" => print_some,
            "swprintf" => print_wide,
            "_snwprintf" => print_some_wide,
            _ => continue,
        };
        api.thunk = entry as *const () as usize;
        api.args -= 1;
    }
    all
}

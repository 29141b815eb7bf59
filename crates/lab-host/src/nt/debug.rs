//! Debug output and bug checks.

use crate::api::api;
use crate::host::Host;
use crate::report::CrashKind;

/// Formats what `DbgPrint` was given. The C format of the kernel: integers of all widths,
/// pointers, narrow and wide strings, counted strings; no floating point.
fn format(host: &Host, format: u64, args: &[u64]) -> String {
    let bytes = c_string(host, format);
    let mut out = String::new();
    let mut args = args.iter().copied();
    let mut at = bytes.iter().copied().peekable();
    while let Some(b) = at.next() {
        if b != b'%' {
            out.push(b as char);
            continue;
        }
        let (mut width, mut zero, mut left, mut long, mut wide) = (0_usize, false, false, 0, false);
        let mut precision = None;
        loop {
            match at.next() {
                Some(b'-') => left = true,
                Some(b'0') if width == 0 && precision.is_none() => zero = true,
                Some(d @ b'0'..=b'9') => {
                    let slot = precision.as_mut().unwrap_or(&mut width);
                    *slot = (*slot * 10 + usize::from(d - b'0')).min(4096);
                }
                Some(b'*') => {
                    let n = (args.next().unwrap_or(0) as u32 as usize).min(4096);
                    *precision.as_mut().unwrap_or(&mut width) = n;
                }
                Some(b'.') => precision = Some(0),
                Some(b'l') => long += 1,
                Some(b'I') => {
                    // I64 and I32.
                    let wide64 = at.next_if_eq(&b'6').is_some();
                    at.next();
                    long = if wide64 { 2 } else { 0 };
                }
                Some(b'w') => wide = true,
                Some(b'h' | b'#' | b'+' | b' ') => {}
                Some(b'%') => {
                    out.push('%');
                    break;
                }
                Some(kind) => {
                    let mut next = || args.next().unwrap_or(0);
                    let text = match kind {
                        b'd' | b'i' => {
                            let v = next();
                            if long > 1 {
                                (v as i64).to_string()
                            } else {
                                (v as i32).to_string()
                            }
                        }
                        b'u' | b'x' | b'X' => {
                            let v = next();
                            let v = if long > 1 { v } else { u64::from(v as u32) };
                            match kind {
                                b'u' => v.to_string(),
                                b'x' => format!("{v:x}"),
                                _ => format!("{v:X}"),
                            }
                        }
                        b'p' => format!("{:016x}", next()),
                        b'c' => ((next() as u8) as char).to_string(),
                        b's' if long > 0 || wide => wide_string(host, next()),
                        b's' => {
                            let mut s = c_string_limited(host, next(), precision);
                            s.truncate(precision.unwrap_or(usize::MAX));
                            String::from_utf8_lossy(&s).into_owned()
                        }
                        b'S' => wide_string(host, next()),
                        b'Z' if wide => host.get_string(next(), "a %wZ argument"),
                        other => format!("%{}", other as char),
                    };
                    let fill = width.saturating_sub(text.chars().count());
                    match (left, zero) {
                        (true, _) => out.push_str(&(text + &" ".repeat(fill))),
                        (false, true) => out.push_str(&("0".repeat(fill) + &text)),
                        (false, false) => out.push_str(&(" ".repeat(fill) + &text)),
                    }
                    break;
                }
                None => break,
            }
        }
    }
    out
}

fn c_string(host: &Host, address: u64) -> Vec<u8> {
    c_string_limited(host, address, None)
}

fn c_string_limited(host: &Host, address: u64, limit: Option<usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < limit.unwrap_or(512) {
        match host.arena.read::<u8>(address + bytes.len() as u64) {
            Ok(0) | Err(_) => break,
            Ok(b) => bytes.push(b),
        }
    }
    bytes
}

fn wide_string(host: &Host, address: u64) -> String {
    let mut units = Vec::new();
    while units.len() < 256 {
        match host.arena.read::<u16>(address + 2 * units.len() as u64) {
            Ok(0) | Err(_) => break,
            Ok(u) => units.push(u),
        }
    }
    String::from_utf16_lossy(&units)
}

fn print(host: &Host, level: u32, text: &str) {
    for line in text.lines() {
        host.driver_line(level, line);
    }
}

// Variadic functions take their arguments like any other function of this convention: four
// registers, then the caller's stack. Reading more slots than were passed reads other bytes
// of the caller's frame, which are mapped and not printed.
api! { exports:
    /// Prints to the debugger.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn DbgPrint(host, text: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64) -> i32 {
        let text = format(host, text, &[a, b, c, d, e, f, g]);
        print(host, 3, &text);
        0
    }

    /// Prints to the debugger with a component and a level.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn DbgPrintEx(host, _component: u32, level: u32, text: u64, a: u64, b: u64, c: u64, d: u64,
        e: u64) -> i32 {
        let text = format(host, text, &[a, b, c, d, e]);
        print(host, level, &text);
        0
    }

    /// Stops the system.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeBugCheckEx(host, code: u32, p1: u64, p2: u64, p3: u64, p4: u64) {
        host.stop(
            CrashKind::BugCheck { code, parameters: [p1, p2, p3, p4] },
            &format!("the driver called KeBugCheckEx({code:#x}, {p1:#x}, {p2:#x}, {p3:#x}, {p4:#x})"),
        );
    }
}

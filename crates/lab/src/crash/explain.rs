//! A crash in words: what happened, where in the driver, what the address is.

use lab_host::report::{CallRecord, Crash, CrashKind};
use serde::Serialize;

use super::{
    bugcheck,
    record::{REGISTER_NAMES, Record, Where},
    stack::{Frame, Pointer, Symbols},
};
use crate::{exit::Verdict, process::sandbox::syscall_name};

/// A crash, ready to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CrashReport {
    /// One line: what happened.
    pub title: String,
    /// Whose fault it is.
    pub verdict: Verdict,
    /// What is known beyond that, a line each.
    pub details: Vec<String>,
    /// Virtual processor, IRQL and time, if the host knows them.
    pub state: Option<String>,
    /// The driver's frames, innermost first.
    pub frames: Vec<Frame>,
    /// Registers by name.
    pub registers: Vec<(String, u64)>,
    /// Bytes of code at the instruction pointer.
    pub code: Vec<u8>,
    /// The last host calls, oldest first.
    pub calls: Vec<CallRecord>,
}

/// A report out of what the host said itself, completed by the raw record if there is one.
pub fn from_event(
    crash: &Crash,
    record: Option<&Record>,
    image: &[u8],
    symbols: &mut Symbols,
) -> CrashReport {
    let (pointer, verdict) = match crash.kind {
        CrashKind::Fault { .. } => (Pointer::Instruction, Verdict::DriverFailed),
        CrashKind::BugCheck { .. } | CrashKind::Hang { .. } => {
            (Pointer::Return, Verdict::DriverFailed)
        }
        CrashKind::Host => (Pointer::Instruction, Verdict::HostError),
    };
    let mut details = Vec::new();
    let title = match &crash.kind {
        CrashKind::Fault {
            signal,
            address,
            what,
        } => {
            details.push(crash.message.clone());
            if let Some(record) = record.filter(|record| record.is_protection()) {
                details.push(protection_fault(record));
                "the driver faulted: general protection".to_owned()
            } else {
                details.push(if what.is_empty() {
                    describe_address(*address)
                } else {
                    format!("{address:#x} is {what}")
                });
                format!("the driver faulted: {}", signal_words(*signal, *address))
            }
        }
        CrashKind::BugCheck { code, parameters } => {
            details.extend(bugcheck::explain(*code, *parameters));
            if let Some(place) = rust_panic(*code, *parameters, crash, image) {
                details.push(format!("panicked at {place}"));
            }
            format!("the driver stopped the system: {}", crash.message)
        }
        CrashKind::Hang { waiting } => {
            details.extend(waiting.iter().cloned());
            format!("the driver hangs: {}", crash.message)
        }
        CrashKind::Host => format!("the host failed: {}", crash.message),
    };
    details.retain(|line| !line.is_empty());
    CrashReport {
        title,
        verdict,
        details,
        state: Some(format!(
            "processor {}, {}, {} s",
            crash.cpu,
            irql_name(crash.irql),
            seconds(crash.time)
        )),
        frames: crash
            .stack
            .as_ref()
            .map(|stack| symbols.frames(stack, pointer))
            .unwrap_or_default(),
        registers: if crash.registers.is_empty() {
            record.map(registers).unwrap_or_default()
        } else {
            crash.registers.clone()
        },
        code: record
            .map(|record| record.code_bytes.clone())
            .unwrap_or_default(),
        calls: crash.calls.clone(),
    }
}

/// A report out of the raw record alone: the host could not say anything itself.
pub fn from_record(record: &Record, calls: &[CallRecord], symbols: &mut Symbols) -> CrashReport {
    let loaded = record.image.1 != 0;
    let rip = record.register("rip").unwrap_or(0);
    let mut details = Vec::new();
    let (title, verdict) = match (record.signal, record.place) {
        (libc::SIGSYS, place) => {
            let call = syscall_name(record.syscall);
            details.push("the child process is confined: the call was not executed".to_owned());
            match place {
                Where::Host => (
                    format!("the host made a forbidden system call ({call})"),
                    Verdict::HostError,
                ),
                Where::Driver | Where::Nowhere => (
                    format!("the driver made a Linux system call ({call})"),
                    Verdict::DriverFailed,
                ),
            }
        }
        (super::handler::ASK, place) => {
            details.push(match place {
                Where::Driver => "it runs in its own code without calling the host: a loop".into(),
                Where::Nowhere => "it runs outside its image".into(),
                Where::Host => "the host was running on its behalf, or waits".to_owned(),
            });
            (
                "the driver hangs: no sign of life".to_owned(),
                Verdict::DriverFailed,
            )
        }
        (libc::SIGXCPU, _) => (
            "the run used up its CPU time".to_owned(),
            Verdict::DriverFailed,
        ),
        (libc::SIGSEGV, Where::Driver) if record.is_protection() => {
            details.push(protection_fault(record));
            (
                "the driver faulted: general protection".to_owned(),
                Verdict::DriverFailed,
            )
        }
        (signal, Where::Driver) => {
            details.push(describe_address(record.address));
            (
                format!(
                    "the driver faulted: {}",
                    signal_words(signal, record.address)
                ),
                Verdict::DriverFailed,
            )
        }
        (signal, Where::Nowhere) if loaded => {
            details.push(describe_address(rip));
            (
                format!(
                    "the driver jumped to {rip:#x}, where there is no code of anybody ({})",
                    signal_words(signal, record.address)
                ),
                Verdict::DriverFailed,
            )
        }
        (signal, _) => {
            details.push(
                "this is a bug of the lab, not of the driver: please report it with the seed"
                    .to_owned(),
            );
            (
                format!("the host faulted: {}", signal_words(signal, record.address)),
                Verdict::HostError,
            )
        }
    };
    let frames = if loaded {
        symbols.frames(&record.snapshot(), Pointer::Instruction)
    } else {
        Vec::new()
    };
    CrashReport {
        title,
        verdict,
        details,
        state: None,
        frames,
        registers: registers(record),
        code: record.code_bytes.clone(),
        calls: calls.to_vec(),
    }
}

fn registers(record: &Record) -> Vec<(String, u64)> {
    REGISTER_NAMES
        .iter()
        .map(|name| (*name).to_owned())
        .zip(record.registers)
        .collect()
}

/// File, line and column of a Rust panic: the file's name lies in the image.
fn rust_panic(code: u32, parameters: [u64; 4], crash: &Crash, image: &[u8]) -> Option<String> {
    if code != bugcheck::RUST_PANIC {
        return None;
    }
    let [name, length, line, column] = parameters;
    let stack = crash.stack.as_ref()?;
    let memory = super::stack::memory_of(image)?;
    let start = usize::try_from(name.checked_sub(stack.image_base)?).ok()?;
    let length = usize::try_from(length).ok()?.min(1024);
    let bytes = memory.get(start..start.checked_add(length)?)?;
    let file = std::str::from_utf8(bytes).ok()?;
    Some(format!("{file}:{line}:{column}"))
}

/// A signal as the driver's author thinks of it.
fn signal_words(signal: i32, address: u64) -> String {
    match signal {
        libc::SIGSEGV | libc::SIGBUS => format!("access violation at {address:#x}"),
        libc::SIGILL => "illegal instruction".into(),
        libc::SIGFPE => "arithmetic fault (division by zero or overflow)".into(),
        libc::SIGTRAP => "breakpoint or debug trap".into(),
        libc::SIGABRT => "abort".into(),
        other => format!("signal {other}"),
    }
}

/// Such a fault has two causes: an instruction that user mode may not execute,
/// or an address that is none.
fn protection_fault(record: &Record) -> String {
    let code = &record.code_bytes;
    // Prefixes that may stand before `mov cr` and port instructions.
    let rest = code
        .iter()
        .position(|byte| !matches!(byte, 0x40..=0x4f | 0x66 | 0xf2 | 0xf3))
        .and_then(|start| code.get(start..))
        .unwrap_or_default();
    let privileged = match rest {
        [0xcd, 0x29, ..] => {
            let rcx = record.register("rcx").unwrap_or(0);
            return format!(
                "fast fail (int 29h) with code {rcx}{}",
                match rcx {
                    2 => ": a stack cookie was overwritten",
                    3 => ": a list entry is damaged",
                    7 => ": the program gave up",
                    _ => "",
                }
            );
        }
        [0xcd, 0x2c, ..] => return "a failed assertion (int 2Ch)".into(),
        [0xcd, number, ..] => return format!("software interrupt {number:#x}"),
        [0x0f, 0x20 | 0x22, ..] => "mov with a control register (cr8 is the IRQL)",
        [0x0f, 0x21 | 0x23, ..] => "mov with a debug register",
        [0x0f, 0x30 | 0x32, ..] => "access to a model-specific register",
        [0xfa | 0xfb, ..] => "cli or sti",
        [0xf4, ..] => "hlt",
        [0xe4..=0xe7 | 0xec..=0xef | 0x6c..=0x6f, ..] => "port access",
        _ => return "the address is not canonical: not an address at all, but data".into(),
    };
    format!("privileged instruction: {privileged}")
}

/// What can be said of an address without the host's help.
fn describe_address(address: u64) -> String {
    // Canonical user-mode addresses end here, canonical kernel ones begin above.
    const USER_END: u64 = 1 << 47;
    const KERNEL_START: u64 = 0xffff_8000_0000_0000;
    if address == 0 {
        "NULL".into()
    } else if address < 0x1_0000 {
        format!("{address:#x} is in the NULL page: a field at that offset of a null pointer")
    } else if address >= KERNEL_START {
        format!("{address:#x} is in the kernel half, where the lab maps nothing")
    } else if address >= USER_END {
        format!("{address:#x} is not canonical: not an address at all, but data")
    } else {
        format!("{address:#x} is not mapped, or not for this access")
    }
}

/// Nanoseconds as seconds with six digits.
pub fn seconds(ns: u64) -> String {
    format!("{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1000)
}

/// `PASSIVE_LEVEL` and so on.
pub fn irql_name(irql: u8) -> String {
    match irql {
        0 => "PASSIVE_LEVEL".into(),
        1 => "APC_LEVEL".into(),
        2 => "DISPATCH_LEVEL".into(),
        15 => "HIGH_LEVEL".into(),
        other => format!("IRQL {other}"),
    }
}

#[cfg(test)]
mod tests {
    use lab_host::report::StackSnapshot;

    use super::*;

    fn record(signal: i32, place: Where, address: u64) -> Record {
        Record {
            signal,
            code: 1,
            address,
            syscall: libc::SYS_socket,
            image: (0x1000_0000, 0x4000),
            place,
            registers: [0; 18],
            code_bytes: vec![0xcc],
            stack: vec![],
        }
    }

    fn title(signal: i32, place: Where, address: u64) -> (String, Verdict, String) {
        let mut symbols = Symbols::new(b"", None);
        let report = from_record(&record(signal, place, address), &[], &mut symbols);
        (report.title, report.verdict, report.details.join("\n"))
    }

    #[test]
    fn blame_goes_where_it_belongs() {
        let (text, verdict, details) = title(libc::SIGSEGV, Where::Driver, 0x18);
        assert_eq!(text, "the driver faulted: access violation at 0x18");
        assert_eq!(verdict, Verdict::DriverFailed);
        assert!(details.contains("NULL page"), "{details}");

        let (text, verdict, _) = title(libc::SIGSEGV, Where::Host, 0x18);
        assert!(text.starts_with("the host faulted"), "{text}");
        assert_eq!(verdict, Verdict::HostError);

        let (text, verdict, _) = title(libc::SIGSEGV, Where::Nowhere, 0);
        assert!(text.starts_with("the driver jumped to 0x0"), "{text}");
        assert_eq!(verdict, Verdict::DriverFailed);

        let (text, verdict, _) = title(libc::SIGSYS, Where::Driver, 0);
        assert_eq!(text, "the driver made a Linux system call (socket)");
        assert_eq!(verdict, Verdict::DriverFailed);

        let (text, verdict, details) = title(libc::SIGUSR1, Where::Driver, 0);
        assert!(text.contains("hangs"), "{text}");
        assert!(details.contains("a loop"), "{details}");
        assert_eq!(verdict, Verdict::DriverFailed);
    }

    #[test]
    fn addresses_are_told_apart() {
        assert!(describe_address(0xffff_f780_0000_0000).contains("kernel half"));
        assert!(describe_address(0x4141_4141_4141_4141).contains("not canonical"));
        assert!(describe_address(0x7fff_0000).contains("not mapped"));
    }

    #[test]
    fn protection_faults_name_the_instruction() {
        let fault = |code: &[u8]| {
            let mut record = record(libc::SIGSEGV, Where::Driver, 0);
            code.clone_into(&mut record.code_bytes);
            record.registers[14] = 2; // rcx
            protection_fault(&record)
        };
        assert!(fault(&[0x44, 0x0f, 0x20, 0xc0]).contains("cr8"));
        assert!(fault(&[0xcd, 0x29, 0x90]).contains("stack cookie"));
        assert!(fault(&[0x48, 0x8b, 0x01]).contains("not canonical"));
        assert!(fault(&[]).contains("not canonical"));
    }

    #[test]
    fn a_bug_check_is_explained() {
        let crash = Crash {
            kind: CrashKind::BugCheck {
                code: 0xd1,
                parameters: [0x10, 2, 0, 0x1000_0100],
            },
            message: "KeBugCheckEx".into(),
            registers: vec![],
            time: 1_500_000_000,
            cpu: 1,
            irql: 2,
            calls: vec![],
            stack: Some(StackSnapshot {
                rip: 0x1000_0200,
                image_base: 0x1000_0000,
                image_size: 0x4000,
                ..StackSnapshot::default()
            }),
        };
        let report = from_event(&crash, None, b"", &mut Symbols::new(b"", None));
        assert_eq!(report.verdict, Verdict::DriverFailed);
        assert!(report.details[0].contains("DRIVER_IRQL_NOT_LESS_OR_EQUAL"));
        assert_eq!(
            report.state.as_deref(),
            Some("processor 1, DISPATCH_LEVEL, 1.500000 s")
        );
        assert_eq!(report.frames[0].rva, Some(0x200));
    }
}

//! Which Windows the host says it is.

use super::object::STATUS_INVALID_PARAMETER;
use super::variables::BUILD;
use crate::api::api;

const STATUS_REVISION_MISMATCH: i32 = 0xC000_0059_u32 as i32;
const STATUS_INVALID_INFO_CLASS: i32 = 0xC000_0003_u32 as i32;
const STATUS_INFO_LENGTH_MISMATCH: i32 = 0xC000_0004_u32 as i32;

/// What can be compared: bit in a type mask, and offset and size in OSVERSIONINFOEXW.
const FIELDS: [(u32, u64, u32, u64); 8] = [
    (0x01, 8, 4, 0),
    (0x02, 4, 4, 10),
    (0x04, 12, 4, BUILD as u64),
    (0x08, 16, 4, 2),
    (0x10, 278, 2, 0),
    (0x20, 276, 2, 0),
    (0x40, 280, 2, 0x100),
    (0x80, 282, 1, 1),
];

fn condition(mask: u64, field: u32) -> u64 {
    (mask >> (3 * field.trailing_zeros())) & 7
}

api! { exports:
    /// Says which Windows this is.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlGetVersion(host, out: u64) -> i32 {
        let size: u32 = host.get(out, "VersionInformation");
        host.put(out + 4, [10_u32, 0, BUILD, 2], "VersionInformation");
        host.put(out + 20, 0_u16, "VersionInformation");
        if size >= 284 {
            // No service pack, single-user terminal server, a workstation.
            host.put(out + 276, [0_u16, 0, 0x100, 1], "VersionInformation");
        }
        0
    }

    /// Compares with the Windows this is.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlVerifyVersionInfo(host, info: u64, mask: u32, conditions: u64) -> i32 {
        if mask == 0 {
            return STATUS_INVALID_PARAMETER;
        }
        // Version, build and service pack are one number: the first that differs decides.
        let mut decided = false;
        for (bit, offset, size, ours) in [FIELDS[1], FIELDS[0], FIELDS[2], FIELDS[5], FIELDS[4], FIELDS[3], FIELDS[6], FIELDS[7]] {
            if mask & bit == 0 {
                continue;
            }
            let theirs = match size {
                4 => u64::from(host.get::<u32>(info + offset, "VersionInfo")),
                2 => u64::from(host.get::<u16>(info + offset, "VersionInfo")),
                _ => u64::from(host.get::<u8>(info + offset, "VersionInfo")),
            };
            let chained = matches!(bit, 0x01 | 0x02 | 0x10 | 0x20);
            if chained && decided {
                continue;
            }
            let how = condition(conditions, bit);
            // VER_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, AND, OR.
            let holds = match how {
                1 => ours == theirs,
                2 | 3 if chained && ours != theirs => ours > theirs,
                4 | 5 if chained && ours != theirs => ours < theirs,
                // Equal so far: the next part decides.
                2 | 4 if chained && mask & bit.wrapping_sub(1) & 0x33 != 0 => true,
                2 => ours > theirs,
                3 => ours >= theirs,
                4 => ours < theirs,
                5 => ours <= theirs,
                6 => ours & theirs == theirs,
                7 => ours & theirs != 0,
                _ => return STATUS_INVALID_PARAMETER,
            };
            if !holds {
                return STATUS_REVISION_MISMATCH;
            }
            decided |= chained && how > 1 && ours != theirs;
        }
        0
    }

    /// Adds how a field is to be compared.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn VerSetConditionMask(host, mask: u64, field: u32, how: u8) -> u64 {
        let _ = host;
        if field == 0 || how.trailing_zeros() >= 3 {
            return mask;
        }
        let shift = 3 * field.trailing_zeros();
        mask & !(7 << shift) | u64::from(how & 7) << shift
    }

    /// The old way to ask; TRUE for a checked build.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn PsGetVersion(host, major: u64, minor: u64, build: u64, pack: u64) -> u8 {
        for (at, value) in [(major, 10_u32), (minor, 0), (build, BUILD)] {
            if at != 0 {
                host.put(at, value, "PsGetVersion");
            }
        }
        if pack != 0 {
            host.put(pack, [0_u64, 0], "CSDVersion");
        }
        0
    }

    /// Whether this is that NTDDI version or later.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlIsNtDdiVersionAvailable(host, version: u32) -> u8 {
        let _ = host;
        u8::from(version.trailing_zeros() >= 8 && version <= 0x0A00_000C)
    }

    /// Facts about the system: of the classes, the basic one and the processors.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwQuerySystemInformation(host, class: i32, out: u64, len: u32, needed: u64) -> i32 {
        const BASIC: i32 = 0;
        const PROCESSOR: i32 = 1;
        let mut bytes = Vec::new();
        match class {
            BASIC => {
                let words = [0_u32, 156_250, 4096, 0x10_0000, 1, 0x10_0000, 65_536, 0];
                for word in words {
                    bytes.extend(u32::to_le_bytes(word));
                }
                let affinity = 1_u64.checked_shl(host.processors()).map_or(u64::MAX, |m| m - 1);
                for word in [0x10000, super::variables::USER_PROBE_ADDRESS - 1, affinity, u64::from(host.processors())] {
                    bytes.extend(word.to_le_bytes());
                }
            }
            PROCESSOR => {
                // AMD64, level, revision, processors, features.
                for word in [9_u16, 6, 0, host.processors() as u16, 0, 0] {
                    bytes.extend(word.to_le_bytes());
                }
            }
            _ => return STATUS_INVALID_INFO_CLASS,
        }
        if needed != 0 {
            host.put(needed, bytes.len() as u32, "ReturnLength");
        }
        if (len as usize) < bytes.len() {
            return STATUS_INFO_LENGTH_MISMATCH;
        }
        for (i, byte) in bytes.iter().enumerate() {
            host.put(out + i as u64, *byte, "SystemInformation");
        }
        0
    }

    /// Index of a processor by group and number.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeGetProcessorIndexFromNumber(host, number: u64) -> u32 {
        let [low, high, n, _]: [u8; 4] = host.get(number, "ProcNumber");
        if low == 0 && high == 0 && u32::from(n) < host.processors() { u32::from(n) } else { u32::MAX }
    }

    /// Group and number of a processor by index.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeGetProcessorNumberFromIndex(host, index: u32, out: u64) -> i32 {
        if index >= host.processors() {
            return STATUS_INVALID_PARAMETER;
        }
        host.put(out, [0_u8, 0, index as u8, 0], "ProcNumber");
        0
    }

    /// Processors that are there, as the old form says.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn KeQueryActiveProcessorCount(host, mask: u64) -> u32 {
        if mask != 0 {
            let all = 1_u64.checked_shl(host.processors()).map_or(u64::MAX, |m| m - 1);
            host.put(mask, all, "ActiveProcessors");
        }
        host.processors()
    }

    /// Processor groups.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQueryActiveGroupCount(host) -> u16 {
        let _ = host;
        1
    }
}

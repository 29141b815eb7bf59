//! Security: everything that talks to a driver in the lab is an administrator's program.

use super::object::STATUS_INSUFFICIENT_RESOURCES;
use crate::api::api;

const STATUS_ACCESS_DENIED: i32 = 0xC000_0022_u32 as i32;
const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
const READ: u32 = 0x0012_0089;
const WRITE: u32 = 0x0012_0116;
const EXECUTE: u32 = 0x0012_00A0;
const ALL: u32 = 0x001F_01FF;

/// Generic rights as those of a file.
const fn specific(access: u32) -> u32 {
    let mut rights = access & 0x0FFF_FFFF;
    if access & 0x8000_0000 != 0 {
        rights |= READ;
    }
    if access & 0x4000_0000 != 0 {
        rights |= WRITE;
    }
    if access & 0x2000_0000 != 0 {
        rights |= EXECUTE;
    }
    if access & 0x1000_0000 != 0 {
        rights |= ALL;
    }
    rights
}

api! { exports:
    /// What generic rights mean for files.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn IoGetFileObjectGenericMapping(host) -> u64 {
        let at = super::variables::generic_mapping(&host.arena);
        host.put(at, [READ, WRITE, EXECUTE, ALL], "GENERIC_MAPPING");
        at
    }

    /// Who asks.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn SeCaptureSubjectContext(host, context: u64) {
        let token = super::variables::object_type(&host.arena, "SeTokenObjectType");
        // SECURITY_SUBJECT_CONTEXT: no client, its level, the primary token.
        host.put(context, [0_u64, 0, token, 0], "SubjectContext");
    }

    /// Keeps tokens from changing.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn SeLockSubjectContext(host, context: u64) {
        let _: [u64; 4] = host.get(context, "SubjectContext");
    }

    /// Lets them change again.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn SeUnlockSubjectContext(host, context: u64) {
        let _: [u64; 4] = host.get(context, "SubjectContext");
    }

    /// Done with it.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn SeReleaseSubjectContext(host, context: u64) {
        host.put(context, [0_u64; 4], "SubjectContext");
    }

    /// Whether the subject may do what it wants: an administrator may.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn SeAccessCheck(host, descriptor: u64, _context: u64, _locked: u8, desired: u32, already: u32,
        privileges: u64, _mapping: u64, _mode: u8, granted: u64, status: u64) -> u8 {
        if privileges != 0 {
            host.put(privileges, 0_u64, "Privileges");
        }
        // Without a descriptor programs may nothing.
        if descriptor == 0 || host.fails("SeAccessCheck") {
            host.put(granted, 0_u32, "GrantedAccess");
            host.put(status, STATUS_ACCESS_DENIED, "AccessStatus");
            return 0;
        }
        let desired = if desired & MAXIMUM_ALLOWED != 0 { ALL } else { specific(desired) };
        host.put(granted, desired | already, "GrantedAccess");
        host.put(status, 0_i32, "AccessStatus");
        1
    }

    /// Whether the subject has a privilege.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn SeSinglePrivilegeCheck(host, _privilege: u64, _mode: u8) -> u8 {
        let _ = host;
        1
    }

    /// A GUID of its own.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ExUuidCreate(host, out: u64) -> i32 {
        if host.fails("ExUuidCreate") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let word = || host.engine().random(1 << 32) as u32;
        let [a, b, c, d] = [word(), word(), word(), word()];
        // Version 4, variant 1.
        host.put(out, [a, b & !0xF000_0000 | 0x4000_0000, c & !0xC0 | 0x80, d], "Uuid");
        0
    }

    /// A number from a seed that the caller keeps.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn RtlRandomEx(host, seed: u64) -> u32 {
        let s: u32 = host.get(seed, "Seed");
        let next = (u64::from(s) * 0x7FFF_FFED + 0x7FFF_FFC3) % 0x7FFF_FFFF;
        host.put(seed, next as u32, "Seed");
        next as u32
    }
}

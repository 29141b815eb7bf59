//! Variables that the system images export, and the page of `KUSER_SHARED_DATA`.
//!
//! A driver's import table holds the address of a variable. What most of them hold is the
//! address of something opaque: an object type, whose name is all that matters.

use crate::arena::Arena;
use crate::host::Host;

/// Bytes of an object behind a variable.
const OBJECT: u64 = 64;
/// Objects begin here, counted from the first variable.
const OBJECTS: u64 = 0x1000;
/// Highest address of user space that a driver may probe.
pub(crate) const USER_PROBE_ADDRESS: u64 = 0x0000_7FFF_FFFF_0000;
/// Of Windows 11 22H2.
pub(crate) const BUILD: u32 = 22621;
const TICK_NS: u64 = 15_625_000;

/// What a variable holds.
#[derive(Clone, Copy)]
enum Held {
    /// The address of an object of its own.
    Object,
    /// The address of a byte.
    Byte(u8),
    /// A value.
    Value(u64),
}

const VARIABLES: &[(&str, Held)] = &[
    ("CmKeyObjectType", Held::Object),
    ("ExDesktopObjectType", Held::Object),
    ("ExEventObjectType", Held::Object),
    ("ExSemaphoreObjectType", Held::Object),
    ("IoAdapterObjectType", Held::Object),
    ("IoDeviceObjectType", Held::Object),
    ("IoDriverObjectType", Held::Object),
    ("IoFileObjectType", Held::Object),
    ("LpcPortObjectType", Held::Object),
    ("MmSectionObjectType", Held::Object),
    ("PsInitialSystemProcess", Held::Object),
    ("PsJobType", Held::Object),
    ("PsProcessType", Held::Object),
    ("PsThreadType", Held::Object),
    ("SeTokenObjectType", Held::Object),
    ("KdDebuggerEnabled", Held::Byte(0)),
    ("KdDebuggerNotPresent", Held::Byte(1)),
    ("InitSafeBootMode", Held::Value(0)),
    ("KeNumberProcessors", Held::Value(0)),
    ("MmHighestUserAddress", Held::Value(USER_PROBE_ADDRESS - 1)),
    ("MmSystemRangeStart", Held::Value(0xFFFF_8000_0000_0000)),
    ("MmUserProbeAddress", Held::Value(USER_PROBE_ADDRESS)),
    ("NtBuildNumber", Held::Value(0xF000_0000 | BUILD as u64)),
];

/// Names of the variables, all of `ntoskrnl.exe`.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|v| v.0)
}

/// Address of a variable.
pub(crate) fn variable(arena: &Arena, dll: &str, name: &str) -> Option<u64> {
    let at = VARIABLES.iter().position(|v| v.0 == name)?;
    (dll == "ntoskrnl.exe").then(|| arena.variables() + 8 * at as u64)
}

/// What a variable that names an object type holds.
pub(crate) fn object_type(arena: &Arena, name: &str) -> u64 {
    let at = VARIABLES.iter().position(|v| v.0 == name).unwrap_or(0);
    arena.variables() + OBJECTS + OBJECT * at as u64
}

/// Where the generic mapping of files is.
pub(crate) fn generic_mapping(arena: &Arena) -> u64 {
    arena.variables() + OBJECTS + OBJECT * VARIABLES.len() as u64
}

/// The spin lock that guards the cancellation of IRPs.
pub(crate) fn cancel_lock(arena: &Arena) -> u64 {
    generic_mapping(arena) + OBJECT
}

/// Gives the variables their values.
pub(crate) fn write_variables(host: &Host) {
    let arena = &host.arena;
    for (i, (name, held)) in VARIABLES.iter().enumerate() {
        let at = arena.variables() + 8 * i as u64;
        let value = match *held {
            Held::Object => object_type(arena, name),
            Held::Byte(byte) => {
                let object = object_type(arena, name);
                put(arena, object, byte);
                object
            }
            Held::Value(_) if *name == "KeNumberProcessors" => u64::from(host.processors()),
            Held::Value(value) => value,
        };
        put(arena, at, value);
    }
}

fn put<T: Copy>(arena: &Arena, at: u64, value: T) {
    let to = arena.trusted(at).cast::<T>();
    // SAFETY: pages of the arena that the host laid out for this; it may always write them.
    unsafe { to.write_unaligned(value) };
}

/// Brings the page of `KUSER_SHARED_DATA` up to the host's time.
pub(crate) fn write_shared_data(host: &Host) {
    let arena = &host.arena;
    let page = arena.shared_data();
    let time = |offset: u64, value: u64| {
        put(arena, page + offset, value);
        put(arena, page + offset + 8, (value >> 32) as u32);
    };
    let ticks = host.now() / TICK_NS;
    put(arena, page, ticks as u32);
    // Ticks times this, shifted right by 24, are milliseconds.
    put(arena, page + 4, 0x0FA0_0000_u32);
    time(0x08, host.now() / 100);
    time(0x14, super::system_time(host));
    put(arena, page + 0x2C, [0x8664_u16, 0x8664]);
    for (i, unit) in "C:\\Windows".encode_utf16().enumerate() {
        put(arena, page + 0x30 + 2 * i as u64, unit);
    }
    put(arena, page + 0x260, BUILD);
    // A workstation, and that is certain.
    put(arena, page + 0x264, [1_u32, 1]);
    // AMD64.
    put(arena, page + 0x26A, 9_u16);
    put(arena, page + 0x26C, [10_u32, 0]);
    for feature in [2_u64, 3, 6, 8, 10, 12, 13, 14, 23] {
        put(arena, page + 0x274 + feature, 1_u8);
    }
    put(arena, page + 0x2E8, 0x10_0000_u32);
    put(arena, page + 0x300, 10_000_000_u64);
    time(0x320, ticks);
    put(arena, page + 0x3C0, host.processors());
    put(arena, page + 0x3C4, 1_u8);
}

//! Bug check codes a network driver can cause, with the meaning of their
//! parameters, in our own words after the documentation's bug check reference.

/// What is known of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BugCheck {
    /// The code.
    pub code: u32,
    /// Its name.
    pub name: &'static str,
    /// What it says about the driver.
    pub meaning: &'static str,
    /// Meaning of the four parameters; empty = unused.
    pub parameters: [&'static str; 4],
}

/// `RPNC`: what the panic handler of Rust drivers (`wdk-panic`) stops with.
pub const RUST_PANIC: u32 = u32::from_be_bytes(*b"RPNC");

const fn entry(
    code: u32,
    name: &'static str,
    meaning: &'static str,
    parameters: [&'static str; 4],
) -> BugCheck {
    BugCheck {
        code,
        name,
        meaning,
        parameters,
    }
}

const ACCESS: [&str; 4] = [
    "address",
    "IRQL",
    "0 read, 1 write, 8 execute",
    "instruction",
];

/// The table, sorted by code.
pub const TABLE: &[BugCheck] = &[
    entry(
        0x0a,
        "IRQL_NOT_LESS_OR_EQUAL",
        "kernel code touched memory that is not there, or pageable, at raised IRQL",
        ACCESS,
    ),
    entry(
        0x19,
        "BAD_POOL_HEADER",
        "the header of a pool block was overwritten, often by the block before it",
        [
            "kind of damage",
            "pool block",
            "depends on the kind",
            "depends on the kind",
        ],
    ),
    entry(
        0x1e,
        "KMODE_EXCEPTION_NOT_HANDLED",
        "an exception in kernel code that nobody handled",
        [
            "exception code",
            "instruction",
            "exception parameter 0",
            "exception parameter 1",
        ],
    ),
    entry(
        0x3b,
        "SYSTEM_SERVICE_EXCEPTION",
        "an exception on the way from user mode into the kernel",
        ["exception code", "instruction", "context record", ""],
    ),
    entry(
        0x50,
        "PAGE_FAULT_IN_NONPAGED_AREA",
        "memory that does not exist was touched: a wild or freed pointer",
        [
            "address",
            "0 read, 2 write, 16 execute",
            "instruction",
            "kind of page fault",
        ],
    ),
    entry(
        0x7c,
        "BUGCODE_NDIS_DRIVER",
        "NDIS caught a driver breaking its rules",
        [
            "which rule",
            "depends on the rule",
            "depends on the rule",
            "depends on the rule",
        ],
    ),
    entry(
        0x7e,
        "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED",
        "an exception on a system thread that nobody handled",
        [
            "exception code",
            "instruction",
            "exception record",
            "context record",
        ],
    ),
    entry(
        0x7f,
        "UNEXPECTED_KERNEL_MODE_TRAP",
        "a processor trap the kernel does not catch; trap 8 is usually a kernel stack that ran out",
        ["trap number", "", "", ""],
    ),
    entry(
        0x9f,
        "DRIVER_POWER_STATE_FAILURE",
        "a driver did not finish a power request",
        [
            "kind of failure",
            "depends on the kind",
            "depends on the kind",
            "depends on the kind",
        ],
    ),
    entry(
        0xbe,
        "ATTEMPTED_WRITE_TO_READONLY_MEMORY",
        "read-only memory was written",
        ["address", "page table entry", "", ""],
    ),
    entry(
        0xc1,
        "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION",
        "a pool block was overrun, freed wrongly, or freed at the wrong IRQL",
        [
            "block",
            "where it is damaged",
            "depends on the kind",
            "kind of damage",
        ],
    ),
    entry(
        0xc2,
        "BAD_POOL_CALLER",
        "a pool function was called wrongly: freed twice, wrong tag, bad address, too high IRQL",
        [
            "kind of misuse",
            "depends on the kind",
            "depends on the kind",
            "depends on the kind",
        ],
    ),
    entry(
        0xc4,
        "DRIVER_VERIFIER_DETECTED_VIOLATION",
        "Driver Verifier caught a driver breaking a rule",
        [
            "which rule",
            "depends on the rule",
            "depends on the rule",
            "depends on the rule",
        ],
    ),
    entry(
        0xc5,
        "DRIVER_CORRUPTED_EXPOOL",
        "the pool's own lists are damaged; found while it was used at raised IRQL",
        ACCESS,
    ),
    entry(
        0xc8,
        "IRQL_UNEXPECTED_VALUE",
        "a function came back at another IRQL than it was entered at, or was called at a wrong one",
        [
            "IRQLs, packed",
            "depends on the caller",
            "depends on the caller",
            "depends on the caller",
        ],
    ),
    entry(
        0xce,
        "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS",
        "code of a driver that was unloaded ran: a timer, DPC or work item was left behind",
        ["address", "0 read, 1 write", "instruction", ""],
    ),
    entry(
        0xd1,
        "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
        "the driver touched memory that is not there, or pageable, at raised IRQL",
        ACCESS,
    ),
    entry(
        0xe2,
        "MANUALLY_INITIATED_CRASH",
        "somebody asked for it",
        ["", "", "", ""],
    ),
    entry(
        0xf7,
        "DRIVER_OVERRAN_STACK_BUFFER",
        "the stack cookie was overwritten: a local buffer was overrun",
        ["cookie found", "cookie expected", "its complement", ""],
    ),
    entry(
        0xfc,
        "ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY",
        "data was executed",
        ["address", "page table entry", "", ""],
    ),
    entry(
        0x133,
        "DPC_WATCHDOG_VIOLATION",
        "a DPC, or time at DISPATCH_LEVEL altogether, took too long",
        [
            "0 one DPC, 1 altogether",
            "ticks spent",
            "ticks allowed",
            "",
        ],
    ),
    entry(
        0x139,
        "KERNEL_SECURITY_CHECK_FAILURE",
        "a fast-fail check found damaged data (int 29h)",
        [
            "kind of damage: 2 stack cookie, 3 list entry, 7 fatal exit",
            "trap frame",
            "exception record",
            "",
        ],
    ),
    entry(
        0x15e,
        "BUGCODE_NDIS_DRIVER_LIVE_DUMP",
        "NDIS noticed a driver breaking its rules and went on",
        [
            "which rule",
            "depends on the rule",
            "depends on the rule",
            "depends on the rule",
        ],
    ),
    entry(
        RUST_PANIC,
        "RUST_PANIC",
        "a Rust driver panicked (code `RPNC` of the crate wdk-panic)",
        ["file name", "its length", "line", "column"],
    ),
];

/// First parameter of BUGCODE_NDIS_DRIVER: name, meaning, and the other three.
const NDIS: &[(u64, &str, &str, [&str; 3])] = &[
    (
        0x01,
        "ALLOCATE_SHARED_MEM_HIGH_IRQL",
        "NdisMAllocateSharedMemory at raised IRQL",
        ["miniport", "bytes", "IRQL"],
    ),
    (
        0x02,
        "SHARED_MEM_CORRUPTION",
        "a page of shared memory was overwritten",
        ["miniport", "page", "bookkeeping"],
    ),
    (
        0x03,
        "FREE_INVALID_SHARED_MEM",
        "shared memory freed twice",
        ["miniport", "page", "address"],
    ),
    (
        0x04,
        "UNLOAD_DRIVER_INVALID_PARAMETER",
        "AddDevice for a driver that is not registered",
        ["driver block", "driver object", ""],
    ),
    (
        0x05,
        "RECVD_PACKET_IN_USE_BAD_STACK_LOCATION",
        "a receive was indicated in a packet that the stack still holds",
        ["miniport", "packet", "array"],
    ),
    (
        0x06,
        "RECVD_PACKET_IN_USE_BAD_REF_COUNT",
        "a receive was indicated in a packet that the stack still holds",
        ["miniport", "packet", "array"],
    ),
    (
        0x08,
        "HALT_WITHOUT_INTERRUPT_DEREGISTER",
        "halted with its interrupt still registered",
        ["miniport", "interrupt", ""],
    ),
    (
        0x09,
        "HALT_WITHOUT_CANCEL_TIMER",
        "halted with a timer still set",
        ["miniport", "timer queue", ""],
    ),
    (
        0x0a,
        "DRIVER_UNLOAD_UNEXPECTED",
        "unloaded while still in use",
        ["driver block", "driver object", "references"],
    ),
    (
        0x0b,
        "INIT_FAILED_WITHOUT_INTERRUPT_DEREGISTER",
        "MiniportInitializeEx failed and left its interrupt registered",
        ["miniport", "interrupt", ""],
    ),
    (
        0x0c,
        "INIT_FAILED_WITHOUT_CANCEL_TIMER",
        "MiniportInitializeEx failed and left a timer set",
        ["miniport", "timer queue", ""],
    ),
    (
        0x0f,
        "RESET_COMPLETE_UNEXPECTED",
        "NdisMResetComplete without a reset",
        ["miniport", "status", "AddressingReset"],
    ),
    (
        0x14,
        "WAIT_EVENT_HIGH_IRQL",
        "NdisWaitEvent at raised IRQL",
        ["IRQL", "", ""],
    ),
    (
        0x15,
        "INVALID_NDIS5_CALL",
        "an NDIS 6 driver called an NDIS 5 function",
        ["miniport", "", ""],
    ),
    (
        0x16,
        "INVALID_OPEN_IN_BIND_CONTEXT",
        "a protocol opened an adapter other than the one it was asked to bind",
        ["protocol's context", "bind context", ""],
    ),
    (
        0x17,
        "IFPROVIDER_DEREGISTER_UNEXPECTED",
        "an interface provider left with interfaces still registered",
        ["provider", "", ""],
    ),
    (
        0x1b,
        "IF_STACK_TABLE_LOOP",
        "the interface stack would become a circle",
        ["higher interface index", "lower interface index", ""],
    ),
    (
        0x1c,
        "MINIPORT_FAILED_OID_WHICH_MUST_SUCCEED",
        "an OID request that must not fail was failed",
        ["miniport", "OID", "status"],
    ),
    (
        0x1d,
        "OID_REQUEST_INVALID_BUFFER",
        "an OID request was completed with more bytes than its buffer has",
        ["miniport", "request", ""],
    ),
    (
        0x1e,
        "REFCOUNT_IMBALANCE",
        "more references were given back than taken",
        ["", "reference block", "tag"],
    ),
    (
        0x1f,
        "ILLEGAL_MINIPORT_STATE_TRANSITION",
        "NdisMPauseComplete or NdisMRestartComplete without a pause or restart under way",
        ["miniport", "which", ""],
    ),
    (
        0x20,
        "STATUS_INDICATION_INVALID_BUFFER",
        "a status indication whose payload is not what its code says",
        ["miniport", "status code", "payload"],
    ),
    (
        0x21,
        "INVALID_OBJECT_HEADER",
        "a structure with a wrong type, revision or size in its header",
        ["driver or handle", "object", ""],
    ),
    (
        0x22,
        "ILLEGAL_NET_PNP_EVENT",
        "a PnP event that this driver may not send",
        ["miniport", "event", ""],
    ),
    (
        0x25,
        "WATCHDOG",
        "pausing, unbinding or another call took too long: look for lists or OIDs not given back",
        ["operation", "triage block", ""],
    ),
];

/// What is known of a code.
pub fn find(code: u32) -> Option<&'static BugCheck> {
    TABLE
        .binary_search_by_key(&code, |entry| entry.code)
        .ok()
        .and_then(|index| TABLE.get(index))
}

/// A bug check in sentences: its name and meaning, then each parameter that means something.
pub fn explain(code: u32, parameters: [u64; 4]) -> Vec<String> {
    let Some(known) = find(code) else {
        let mut lines = vec![format!(
            "bug check {code:#x}: not one of the codes this lab explains"
        )];
        lines.extend(
            parameters
                .iter()
                .zip(1..)
                .map(|(value, number)| format!("parameter {number}: {value:#x}")),
        );
        return lines;
    };
    let mut lines = vec![format!(
        "bug check {code:#x} {}: {}",
        known.name, known.meaning
    )];
    let mut names = known.parameters;
    if matches!(known.code, 0x7c | 0x15e)
        && let Some((_, name, meaning, rest)) =
            NDIS.iter().find(|(which, ..)| *which == parameters[0])
    {
        lines.push(format!("NDIS_BUGCHECK_{name}: {meaning}"));
        names = [known.parameters[0], rest[0], rest[1], rest[2]];
    }
    lines.extend(
        names
            .iter()
            .zip(parameters)
            .zip(1..)
            .filter(|((name, _), _)| !name.is_empty())
            .map(|((name, value), number)| format!("parameter {number}: {value:#x} ({name})")),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_without_doubles() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert!(NDIS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn ndis_codes_name_the_rule() {
        let lines = explain(0x7c, [0x14, 2, 0, 0]);
        assert!(lines[0].contains("BUGCODE_NDIS_DRIVER"), "{lines:?}");
        assert_eq!(
            lines[1],
            "NDIS_BUGCHECK_WAIT_EVENT_HIGH_IRQL: NdisWaitEvent at raised IRQL"
        );
        assert_eq!(lines[2], "parameter 1: 0x14 (which rule)");
        assert_eq!(lines[3], "parameter 2: 0x2 (IRQL)");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn unknown_codes_show_all_parameters() {
        let lines = explain(0xdead, [1, 2, 3, 4]);
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[4], "parameter 4: 0x4");
    }

    #[test]
    fn a_rust_panic_is_known() {
        assert_eq!(RUST_PANIC, 0x5250_4e43);
        assert!(explain(RUST_PANIC, [0; 4])[0].contains("RUST_PANIC"));
    }
}

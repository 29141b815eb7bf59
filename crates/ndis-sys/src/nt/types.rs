//! Integers, lists and identifiers of the NT kernel.
//!
//! Documentation:
//! * [Singly and doubly linked lists](https://learn.microsoft.com/windows-hardware/drivers/kernel/singly-and-doubly-linked-lists)

use crate::{KSPIN_LOCK, LONG, LONGLONG, NTSTATUS, PVOID, UCHAR, ULONG, ULONGLONG, USHORT};

aliases! {
    /// A physical address, as NDIS names it.
    NDIS_PHYSICAL_ADDRESS = PHYSICAL_ADDRESS;
    /// A physical address.
    PHYSICAL_ADDRESS = LARGE_INTEGER;
}

opaque! {
    /// A process.
    EPROCESS;
    /// A thread, for the executive.
    ETHREAD;
}

structs! {
    /// A globally unique identifier.
    struct GUID [16, 4] {
        0 Data1: ULONG,
        4 Data2: USHORT,
        6 Data3: USHORT,
        8 Data4: [UCHAR; 8],
    }
    /// Member `u` of [`LARGE_INTEGER`].
    struct LARGE_INTEGER_u of LARGE_INTEGER.u [8, 4] {
        0 LowPart: ULONG,
        4 HighPart: LONG,
    }
    /// A signed 64-bit number.
    struct LARGE_INTEGER [8, 8] {
        0 QuadPart: LONGLONG,
        also {
            0 LowPart: ULONG,
            0 u: LARGE_INTEGER_u,
            4 HighPart: LONG,
        }
    }
    /// A link of a doubly linked list.
    struct LIST_ENTRY [16, 8] {
        0 Flink: *mut LIST_ENTRY,
        8 Blink: *mut LIST_ENTRY,
    }
    /// A locally unique identifier.
    struct LUID [8, 4] {
        0 LowPart: ULONG,
        4 HighPart: LONG,
    }
    /// A link of a singly linked list.
    struct SINGLE_LIST_ENTRY [8, 8] {
        0 Next: *mut SINGLE_LIST_ENTRY,
    }
    /// A link of a sequenced list.
    #[repr(align(16))]
    struct SLIST_ENTRY [16, 16] {
        0 Next: *mut SLIST_ENTRY,
    }
    /// Member `HeaderX64` of [`SLIST_HEADER`].
    struct SLIST_HEADER_HeaderX64 of SLIST_HEADER.HeaderX64 [16, 8] {
        0 Bits1: ULONGLONG,
        8 Bits2: ULONGLONG,
        bits Bits1 {
            Depth: 0, 16;
            Sequence: 16, 48;
        }
        bits Bits2 {
            Reserved: 0, 4;
            NextEntry: 4, 60;
        }
    }
    /// The head of a sequenced list. On arm64 the view has the name `HeaderArm64`.
    #[repr(align(16))]
    struct SLIST_HEADER [16, 16] {
        0 Alignment: ULONGLONG,
        8 Region: ULONGLONG,
        also {
            0 HeaderX64: SLIST_HEADER_HeaderX64,
        }
    }
    /// Member `u` of [`ULARGE_INTEGER`].
    struct ULARGE_INTEGER_u of ULARGE_INTEGER.u [8, 4] {
        0 LowPart: ULONG,
        4 HighPart: ULONG,
    }
    /// An unsigned 64-bit number.
    struct ULARGE_INTEGER [8, 8] {
        0 QuadPart: ULONGLONG,
        also {
            0 LowPart: ULONG,
            0 u: ULARGE_INTEGER_u,
            4 HighPart: ULONG,
        }
    }
}

imports! {
    "ntoskrnl.exe";
    /// Inserts at the head of a list, under a spin lock. IRQL: any.
    fn ExInterlockedInsertHeadList(
        ListHead: *mut LIST_ENTRY,
        ListEntry: *mut LIST_ENTRY,
        Lock: *mut KSPIN_LOCK,
    ) -> *mut LIST_ENTRY;
    /// Inserts at the tail of a list, under a spin lock. IRQL: any.
    fn ExInterlockedInsertTailList(
        ListHead: *mut LIST_ENTRY,
        ListEntry: *mut LIST_ENTRY,
        Lock: *mut KSPIN_LOCK,
    ) -> *mut LIST_ENTRY;
    /// Removes the head of a list, under a spin lock. IRQL: any.
    fn ExInterlockedRemoveHeadList(
        ListHead: *mut LIST_ENTRY,
        Lock: *mut KSPIN_LOCK,
    ) -> *mut LIST_ENTRY;
    /// Returns the number of entries of a sequenced list. IRQL: `<= DISPATCH_LEVEL`.
    fn ExQueryDepthSList(SListHead: *mut SLIST_HEADER) -> USHORT;
    /// Makes a UUID. IRQL: `PASSIVE_LEVEL`.
    fn ExUuidCreate(Uuid: PVOID) -> NTSTATUS;
    /// Removes all entries of a sequenced list. IRQL: `<= DISPATCH_LEVEL`.
    fn ExpInterlockedFlushSList(ListHead: *mut SLIST_HEADER) -> *mut SLIST_ENTRY;
    /// Removes the first entry of a sequenced list. IRQL: `<= DISPATCH_LEVEL`.
    fn ExpInterlockedPopEntrySList(ListHead: *mut SLIST_HEADER) -> *mut SLIST_ENTRY;
    /// Inserts an entry at the head of a sequenced list. IRQL: `<= DISPATCH_LEVEL`.
    fn ExpInterlockedPushEntrySList(
        ListHead: *mut SLIST_HEADER,
        ListEntry: *mut SLIST_ENTRY,
    ) -> *mut SLIST_ENTRY;
}

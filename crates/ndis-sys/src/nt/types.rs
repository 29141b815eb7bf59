//! nt::types

use crate::*;

aliases! {
    NDIS_PHYSICAL_ADDRESS = PHYSICAL_ADDRESS;
    PHYSICAL_ADDRESS = LARGE_INTEGER;
}

opaque! {
    EPROCESS;
    ETHREAD;
    IO_TIMER;
    IO_WORKITEM;
    NDIS_RW_LOCK_EX;
    OBJECT_TYPE;
}

structs! {
    struct GUID [16, 4] {
        0 Data1: ULONG,
        4 Data2: USHORT,
        6 Data3: USHORT,
        8 Data4: [UCHAR; 8],
    }
    struct LARGE_INTEGER_u of LARGE_INTEGER.u [8, 4] {
        0 LowPart: ULONG,
        4 HighPart: LONG,
    }
    struct LARGE_INTEGER [8, 8] {
        0 QuadPart: LONGLONG,
        also {
            0 LowPart: ULONG,
            0 u: LARGE_INTEGER_u,
            4 HighPart: LONG,
        }
    }
    struct LIST_ENTRY [16, 8] {
        0 Flink: *mut LIST_ENTRY,
        8 Blink: *mut LIST_ENTRY,
    }
    struct SINGLE_LIST_ENTRY [8, 8] {
        0 Next: *mut SINGLE_LIST_ENTRY,
    }
    #[repr(align(16))]
    struct SLIST_ENTRY [16, 16] {
        0 Next: *mut SLIST_ENTRY,
    }
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
    #[repr(align(16))]
    struct SLIST_HEADER [16, 16] {
        0 Alignment: ULONGLONG,
        8 Region: ULONGLONG,
        also {
            0 HeaderX64: SLIST_HEADER_HeaderX64,
        }
    }
    struct ULARGE_INTEGER_u of ULARGE_INTEGER.u [8, 4] {
        0 LowPart: ULONG,
        4 HighPart: ULONG,
    }
    struct ULARGE_INTEGER [8, 8] {
        0 QuadPart: ULONGLONG,
        also {
            0 LowPart: ULONG,
            0 u: ULARGE_INTEGER_u,
            4 HighPart: ULONG,
        }
    }
    struct LUID [8, 4] {
        0 LowPart: ULONG,
        4 HighPart: LONG,
    }
}

imports! {
    "ntoskrnl.exe";
    fn ExInterlockedInsertHeadList(ListHead: *mut LIST_ENTRY, ListEntry: *mut LIST_ENTRY, Lock: *mut KSPIN_LOCK) -> *mut LIST_ENTRY;
    fn ExInterlockedInsertTailList(ListHead: *mut LIST_ENTRY, ListEntry: *mut LIST_ENTRY, Lock: *mut KSPIN_LOCK) -> *mut LIST_ENTRY;
    fn ExInterlockedRemoveHeadList(ListHead: *mut LIST_ENTRY, Lock: *mut KSPIN_LOCK) -> *mut LIST_ENTRY;
    fn ExQueryDepthSList(SListHead: *mut SLIST_HEADER) -> USHORT;
    fn ExpInterlockedFlushSList(Parameter1: *mut SLIST_HEADER) -> *mut SLIST_ENTRY;
    fn ExpInterlockedPopEntrySList(ListHead: *mut SLIST_HEADER) -> *mut SLIST_ENTRY;
    fn ExpInterlockedPushEntrySList(ListHead: *mut SLIST_HEADER, ListEntry: *mut SLIST_ENTRY) -> *mut SLIST_ENTRY;
}

//! Lookaside lists.
//!
//! Documentation:
//! * [Using lookaside lists](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-lookaside-lists)

use crate::{
    LIST_ENTRY, NTSTATUS, POOL_TYPE, PVOID, SINGLE_LIST_ENTRY, SIZE_T, SLIST_HEADER, UCHAR, ULONG,
    USHORT,
};

structs! {
    /// A lookaside list of either kind of pool.
    #[cfg_attr(target_arch = "aarch64", repr(align(128)))]
    #[cfg_attr(not(target_arch = "aarch64"), repr(align(64)))]
    struct GENERAL_LOOKASIDE [128, 64 / 128] {
        0 SingleListHead: SINGLE_LIST_ENTRY,
        8 _pad1: [UCHAR; 8],
        16 Depth: USHORT,
        18 MaximumDepth: USHORT,
        20 TotalAllocates: ULONG,
        24 AllocateHits: ULONG,
        28 TotalFrees: ULONG,
        32 FreeHits: ULONG,
        36 Type: POOL_TYPE,
        40 Tag: ULONG,
        44 Size: ULONG,
        48 Allocate: Option<ALLOCATE_FUNCTION>,
        56 Free: Option<FREE_FUNCTION>,
        64 ListEntry: LIST_ENTRY,
        80 LastTotalAllocates: ULONG,
        84 LastAllocateHits: ULONG,
        88 Future: [ULONG; 2],
        also {
            0 ListHead: SLIST_HEADER,
            24 AllocateMisses: ULONG,
            32 FreeMisses: ULONG,
            48 AllocateEx: Option<ALLOCATE_FUNCTION_EX>,
            56 FreeEx: Option<FREE_FUNCTION_EX>,
            84 LastAllocateMisses: ULONG,
        }
    }
    /// A lookaside list without the alignment to a cache line.
    #[repr(align(16))]
    struct GENERAL_LOOKASIDE_POOL [96, 16] {
        0 SingleListHead: SINGLE_LIST_ENTRY,
        8 _pad1: [UCHAR; 8],
        16 Depth: USHORT,
        18 MaximumDepth: USHORT,
        20 TotalAllocates: ULONG,
        24 AllocateHits: ULONG,
        28 TotalFrees: ULONG,
        32 FreeHits: ULONG,
        36 Type: POOL_TYPE,
        40 Tag: ULONG,
        44 Size: ULONG,
        48 Allocate: Option<ALLOCATE_FUNCTION>,
        56 Free: Option<FREE_FUNCTION>,
        64 ListEntry: LIST_ENTRY,
        80 LastTotalAllocates: ULONG,
        84 LastAllocateHits: ULONG,
        88 Future: [ULONG; 2],
        also {
            0 ListHead: SLIST_HEADER,
            24 AllocateMisses: ULONG,
            32 FreeMisses: ULONG,
            48 AllocateEx: Option<ALLOCATE_FUNCTION_EX>,
            56 FreeEx: Option<FREE_FUNCTION_EX>,
            84 LastAllocateMisses: ULONG,
        }
    }
    /// A lookaside list with routines of its own.
    struct LOOKASIDE_LIST_EX [96, 16] {
        0 L: GENERAL_LOOKASIDE_POOL,
    }
    /// A lookaside list of nonpaged pool.
    struct NPAGED_LOOKASIDE_LIST [128, 64 / 128] {
        0 L: GENERAL_LOOKASIDE,
    }
}

callbacks! {
    /// Allocates an entry for a lookaside list. IRQL: `<= DISPATCH_LEVEL`.
    fn ALLOCATE_FUNCTION(PoolType: POOL_TYPE, NumberOfBytes: SIZE_T, Tag: ULONG) -> PVOID;
    /// Allocates an entry for a lookaside list, which it is told. IRQL: `<= DISPATCH_LEVEL`.
    fn ALLOCATE_FUNCTION_EX(
        PoolType: POOL_TYPE,
        NumberOfBytes: SIZE_T,
        Tag: ULONG,
        Lookaside: *mut LOOKASIDE_LIST_EX,
    ) -> PVOID;
    /// Frees an entry of a lookaside list. IRQL: `<= DISPATCH_LEVEL`.
    fn FREE_FUNCTION(Buffer: PVOID);
    /// Frees an entry of a lookaside list, which it is told. IRQL: `<= DISPATCH_LEVEL`.
    fn FREE_FUNCTION_EX(Buffer: PVOID, Lookaside: *mut LOOKASIDE_LIST_EX);
}

imports! {
    "ntoskrnl.exe";
    /// Deletes a lookaside list. IRQL: `<= DISPATCH_LEVEL`.
    fn ExDeleteLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX);
    /// Deletes a lookaside list of nonpaged pool. IRQL: `<= DISPATCH_LEVEL`.
    fn ExDeleteNPagedLookasideList(Lookaside: *mut NPAGED_LOOKASIDE_LIST);
    /// Initialises a lookaside list. IRQL: `<= DISPATCH_LEVEL`.
    fn ExInitializeLookasideListEx(
        Lookaside: *mut LOOKASIDE_LIST_EX,
        Allocate: Option<ALLOCATE_FUNCTION_EX>,
        Free: Option<FREE_FUNCTION_EX>,
        PoolType: POOL_TYPE,
        Flags: ULONG,
        Size: SIZE_T,
        Tag: ULONG,
        Depth: USHORT,
    ) -> NTSTATUS;
    /// Initialises a lookaside list of nonpaged pool. IRQL: `<= DISPATCH_LEVEL`.
    fn ExInitializeNPagedLookasideList(
        Lookaside: *mut NPAGED_LOOKASIDE_LIST,
        Allocate: Option<ALLOCATE_FUNCTION>,
        Free: Option<FREE_FUNCTION>,
        Flags: ULONG,
        Size: SIZE_T,
        Tag: ULONG,
        Depth: USHORT,
    );
}

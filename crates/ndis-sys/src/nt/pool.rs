//! nt::pool

use crate::*;

scalars! {
    POOL_FLAGS = ULONG64;
}

constants! {
    ULONG {
        POOL_CREATE_FLG_SECURE_POOL = 1,
        POOL_CREATE_PARAMS_VERSION = 1,
        POOL_EXTENDED_PARAMETER_REQUIRED_FIELD_BITS = 1,
        POOL_FLAG_REQUIRED_START = 1,
        POOL_FLAG_USE_QUOTA = 1,
        POOL_TAGGING = 1,
        POOL_CREATE_FLG_USE_GLOBAL_POOL = 2,
        POOL_FLAG_UNINITIALIZED = 2,
        POOL_CREATE_FLG_VALID_FLAGS = 3,
        POOL_FLAG_SESSION = 4,
        POOL_EXTENDED_PARAMETER_TYPE_BITS = 8,
        POOL_FLAG_CACHE_ALIGNED = 8,
        POOL_QUOTA_FAIL_INSTEAD_OF_RAISE = 8,
        POOL_FLAG_RESERVED1 = 0x10,
        POOL_RAISE_IF_ALLOCATION_FAILURE = 0x10,
        POOL_FLAG_RAISE_ON_FAILURE = 0x20,
        POOL_EXTENDED_PARAMETER_RESERVED_BITS = 55,
        POOL_FLAG_NON_PAGED = 0x40,
        POOL_FLAG_NON_PAGED_EXECUTE = 0x80,
        POOL_CORRUPTION_IN_FILE_AREA = 222,
        POOL_COLD_ALLOCATION = 0x100,
        POOL_FLAG_PAGED = 0x100,
        POOL_FLAG_RESERVED2 = 0x200,
        POOL_NX_ALLOCATION = 0x200,
        POOL_FLAG_LAST_KNOWN_REQUIRED = 0x400,
        POOL_FLAG_RESERVED3 = 0x400,
        POOL_ZERO_ALLOCATION = 0x400,
        POOL_FLAG_REQUIRED_END = 0x8000_0000,
        POOL_FLAG_UNUSED_REQUIRED_BITS = 0xFFFF_F800,
        POOL_FLAG_REQUIRED_MASK = 0xFFFF_FFFF,
    }
    ULONG64 {
        POOL_FLAG_OPTIONAL_START = 0x0001_0000_0000,
        POOL_FLAG_SPECIAL_POOL = 0x0001_0000_0000,
        POOL_FLAG_OPTIONAL_END = 0x8000_0000_0000_0000,
    }
}

enums! {
    EX_POOL_PRIORITY {
        LowPoolPriority = 0,
        LowPoolPrioritySpecialPoolOverrun = 8,
        LowPoolPrioritySpecialPoolUnderrun = 9,
        NormalPoolPriority = 16,
        NormalPoolPrioritySpecialPoolOverrun = 24,
        NormalPoolPrioritySpecialPoolUnderrun = 25,
        HighPoolPriority = 32,
        HighPoolPrioritySpecialPoolOverrun = 40,
        HighPoolPrioritySpecialPoolUnderrun = 41,
    }
    POOL_TYPE {
        NonPagedPool = 0,
        NonPagedPoolBase = 0,
        NonPagedPoolExecute = 0,
        PagedPool = 1,
        NonPagedPoolBaseMustSucceed = 2,
        NonPagedPoolMustSucceed = 2,
        DontUseThisType = 3,
        NonPagedPoolBaseCacheAligned = 4,
        NonPagedPoolCacheAligned = 4,
        PagedPoolCacheAligned = 5,
        NonPagedPoolBaseCacheAlignedMustS = 6,
        NonPagedPoolCacheAlignedMustS = 6,
        MaxPoolType = 7,
        NonPagedPoolSession = 32,
        PagedPoolSession = 33,
        NonPagedPoolMustSucceedSession = 34,
        DontUseThisTypeSession = 35,
        NonPagedPoolCacheAlignedSession = 36,
        PagedPoolCacheAlignedSession = 37,
        NonPagedPoolCacheAlignedMustSSession = 38,
        NonPagedPoolNx = 512,
        NonPagedPoolNxCacheAligned = 516,
        NonPagedPoolSessionNx = 544,
    }
}

structs! {
    #[repr(align(64))]
    struct GENERAL_LOOKASIDE [128, 64] {
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
    struct LOOKASIDE_LIST_EX [96, 16] {
        0 L: GENERAL_LOOKASIDE_POOL,
    }
    struct NPAGED_LOOKASIDE_LIST [128, 64] {
        0 L: GENERAL_LOOKASIDE,
    }
}

callbacks! {
    fn ALLOCATE_FUNCTION(Parameter1: POOL_TYPE, Parameter2: SIZE_T, Parameter3: ULONG) -> PVOID;
    fn ALLOCATE_FUNCTION_EX(PoolType: POOL_TYPE, NumberOfBytes: SIZE_T, Tag: ULONG, Lookaside: *mut LOOKASIDE_LIST_EX) -> PVOID;
    fn FREE_FUNCTION(Parameter1: PVOID);
    fn FREE_FUNCTION_EX(Buffer: PVOID, Lookaside: *mut LOOKASIDE_LIST_EX);
}

imports! {
    "ntoskrnl.exe";
    fn ExAllocatePool2(Flags: POOL_FLAGS, NumberOfBytes: SIZE_T, Tag: ULONG) -> PVOID;
    fn ExAllocatePoolWithTag(PoolType: POOL_TYPE, NumberOfBytes: SIZE_T, Tag: ULONG) -> PVOID;
    fn ExDeleteLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX);
    fn ExDeleteNPagedLookasideList(Lookaside: *mut NPAGED_LOOKASIDE_LIST);
    fn ExFreePool(a: PVOID);
    fn ExFreePoolWithTag(P: PVOID, Tag: ULONG);
    fn ExInitializeLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX, Allocate: Option<ALLOCATE_FUNCTION_EX>, Free: Option<FREE_FUNCTION_EX>, PoolType: POOL_TYPE, Flags: ULONG, Size: SIZE_T, Tag: ULONG, Depth: USHORT) -> NTSTATUS;
    fn ExInitializeNPagedLookasideList(Lookaside: *mut NPAGED_LOOKASIDE_LIST, Allocate: Option<ALLOCATE_FUNCTION>, Free: Option<FREE_FUNCTION>, Flags: ULONG, Size: SIZE_T, Tag: ULONG, Depth: USHORT);
}

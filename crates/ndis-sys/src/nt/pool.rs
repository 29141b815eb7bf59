//! Pool memory.
//!
//! Documentation:
//! * [ExAllocatePool2](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatepool2)

use crate::{PVOID, SIZE_T, ULONG, ULONG64};

scalars! {
    /// Flags of `ExAllocatePool2`.
    POOL_FLAGS = ULONG64;
}

constants! {
    /// Flag of `ExAllocatePool2`.
    POOL_FLAGS {
        POOL_FLAG_REQUIRED_START = 1,
        POOL_FLAG_USE_QUOTA = 1,
        POOL_FLAG_UNINITIALIZED = 2,
        POOL_FLAG_SESSION = 4,
        POOL_FLAG_CACHE_ALIGNED = 8,
        POOL_FLAG_RESERVED1 = 0x10,
        POOL_FLAG_RAISE_ON_FAILURE = 0x20,
        POOL_FLAG_NON_PAGED = 0x40,
        POOL_FLAG_NON_PAGED_EXECUTE = 0x80,
        POOL_FLAG_PAGED = 0x100,
        POOL_FLAG_RESERVED2 = 0x200,
        POOL_FLAG_LAST_KNOWN_REQUIRED = 0x400,
        POOL_FLAG_RESERVED3 = 0x400,
        POOL_FLAG_REQUIRED_END = 0x8000_0000,
        POOL_FLAG_UNUSED_REQUIRED_BITS = 0xFFFF_F800,
        POOL_FLAG_REQUIRED_MASK = 0xFFFF_FFFF,
        POOL_FLAG_OPTIONAL_START = 0x0001_0000_0000,
        POOL_FLAG_SPECIAL_POOL = 0x0001_0000_0000,
        POOL_FLAG_OPTIONAL_END = 0x8000_0000_0000_0000,
    }
    /// Alignment of memory, in bytes.
    ULONG {
        MEMORY_ALLOCATION_ALIGNMENT = 0x10,
    }
}

enums! {
    /// How much an allocation from pool matters.
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
    /// Kind of pool.
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

imports! {
    "ntoskrnl.exe";
    /// Allocates zeroed memory from pool. IRQL: `<= DISPATCH_LEVEL`.
    fn ExAllocatePool2(Flags: POOL_FLAGS, NumberOfBytes: SIZE_T, Tag: ULONG) -> PVOID;
    /// Allocates memory from pool; deprecated since Windows 10 2004. IRQL: `<= DISPATCH_LEVEL`.
    fn ExAllocatePoolWithTag(PoolType: POOL_TYPE, NumberOfBytes: SIZE_T, Tag: ULONG) -> PVOID;
    /// Frees memory of pool. IRQL: `<= DISPATCH_LEVEL`.
    fn ExFreePool(P: PVOID);
    /// Frees memory of pool and checks its tag. IRQL: `<= DISPATCH_LEVEL`.
    fn ExFreePoolWithTag(P: PVOID, Tag: ULONG);
}

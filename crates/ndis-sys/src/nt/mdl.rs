//! Memory descriptor lists.
//!
//! Documentation:
//! * [Using MDLs](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-mdls)

use crate::{
    BOOLEAN, CSHORT, EPROCESS, IRP, KPROCESSOR_MODE, PVOID, ULONG, UNICODE_STRING, USHORT,
};

constants! {
    /// Flag of `MDL::MdlFlags`.
    USHORT {
        MDL_MAPPED_TO_SYSTEM_VA = 1,
        MDL_PAGES_LOCKED = 2,
        MDL_SOURCE_IS_NONPAGED_POOL = 4,
        MDL_ALLOCATED_FIXED_SIZE = 8,
        MDL_PARTIAL = 16,
        MDL_PARTIAL_HAS_BEEN_MAPPED = 32,
        MDL_IO_PAGE_READ = 64,
        MDL_WRITE_OPERATION = 128,
        MDL_LOCKED_PAGE_TABLES = 256,
        MDL_PARENT_MAPPED_SYSTEM_VA = 256,
        MDL_CACHE = 500,
        MDL_FREE_EXTRA_PTES = 512,
        MDL_DESCRIBES_AWE = 1024,
        MDL_IO_SPACE = 2048,
        MDL_NETWORK_HEADER = 4096,
        MDL_MAPPING_CAN_FAIL = 8192,
        MDL_ALLOCATED_MUST_SUCCEED = 16384,
        MDL_PAGE_CONTENTS_INVARIANT = 16384,
        MDL_INTERNAL = 32768,
    }
    /// Flag for mapping an MDL.
    ULONG {
        MdlMappingWithGuardPtes = 0x2000_0000,
        MdlMappingNoExecute = 0x4000_0000,
        MdlMappingNoWrite = 0x8000_0000,
    }
    /// Size of a page.
    ULONG {
        PAGE_SHIFT = 12,
        PAGE_SIZE = 4096,
    }
}

enums! {
    /// Access for which pages are locked.
    LOCK_OPERATION {
        IoReadAccess = 0,
        IoWriteAccess = 1,
        IoModifyAccess = 2,
    }
    /// How memory is cached.
    MEMORY_CACHING_TYPE {
        MmNonCached = 0,
        MmCached = 1,
        MmWriteCombined = 2,
        MmHardwareCoherentCached = 3,
        MmNonCachedUnordered = 4,
        MmUSWCCached = 5,
        MmMaximumCacheType = 6,
        MmNotMapped = -1,
    }
    /// How much a mapping matters.
    MM_PAGE_PRIORITY {
        LowPagePriority = 0,
        NormalPagePriority = 16,
        HighPagePriority = 32,
    }
}

structs! {
    /// The pages of a buffer.
    struct MDL [48, 8] {
        0 Next: *mut MDL,
        8 Size: CSHORT,
        10 MdlFlags: CSHORT,
        16 Process: *mut EPROCESS,
        24 MappedSystemVa: PVOID,
        32 StartVa: PVOID,
        40 ByteCount: ULONG,
        44 ByteOffset: ULONG,
    }
}

imports! {
    "ntoskrnl.exe";
    /// Allocates an MDL for a buffer. IRQL: `<= DISPATCH_LEVEL`.
    fn IoAllocateMdl(
        VirtualAddress: PVOID,
        Length: ULONG,
        SecondaryBuffer: BOOLEAN,
        ChargeQuota: BOOLEAN,
        Irp: *mut IRP,
    ) -> *mut MDL;
    /// Makes an MDL for a part of another one. IRQL: `<= DISPATCH_LEVEL`.
    fn IoBuildPartialMdl(
        SourceMdl: *mut MDL,
        TargetMdl: *mut MDL,
        VirtualAddress: PVOID,
        Length: ULONG,
    );
    /// Frees an MDL. IRQL: `<= DISPATCH_LEVEL`.
    fn IoFreeMdl(Mdl: *mut MDL);
    /// Fills in the pages of an MDL for nonpaged pool. IRQL: `<= DISPATCH_LEVEL`.
    fn MmBuildMdlForNonPagedPool(MemoryDescriptorList: *mut MDL);
    /// Looks up a routine of the kernel by name. IRQL: `PASSIVE_LEVEL`.
    fn MmGetSystemRoutineAddress(SystemRoutineName: *mut UNICODE_STRING) -> PVOID;
    /// Says whether reading an address would fault. IRQL: `<= DISPATCH_LEVEL`.
    fn MmIsAddressValid(VirtualAddress: PVOID) -> BOOLEAN;
    /// Maps the pages of an MDL. IRQL: `<= DISPATCH_LEVEL` for nonpageable memory.
    fn MmMapLockedPagesSpecifyCache(
        MemoryDescriptorList: *mut MDL,
        AccessMode: KPROCESSOR_MODE,
        CacheType: MEMORY_CACHING_TYPE,
        RequestedAddress: PVOID,
        BugCheckOnFailure: ULONG,
        Priority: ULONG,
    ) -> PVOID;
    /// Locks the pages of an MDL; raises an exception if it cannot.
    ///
    /// IRQL: `<= DISPATCH_LEVEL` for nonpageable memory.
    fn MmProbeAndLockPages(
        MemoryDescriptorList: *mut MDL,
        AccessMode: KPROCESSOR_MODE,
        Operation: LOCK_OPERATION,
    );
    /// Unlocks the pages of an MDL. IRQL: `<= DISPATCH_LEVEL`.
    fn MmUnlockPages(MemoryDescriptorList: *mut MDL);
    /// Takes a mapping of an MDL away. IRQL: `<= DISPATCH_LEVEL` for nonpageable memory.
    fn MmUnmapLockedPages(BaseAddress: PVOID, MemoryDescriptorList: *mut MDL);
}

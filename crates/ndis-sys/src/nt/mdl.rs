//! nt::mdl

use crate::*;

constants! {
    USHORT {
        MDL_MAPPED_TO_SYSTEM_VA = 1,
        MDL_PAGES_LOCKED = 2,
        MDL_SOURCE_IS_NONPAGED_POOL = 4,
        MDL_ALLOCATED_FIXED_SIZE = 8,
        MDL_PARTIAL = 0x10,
        MDL_PARTIAL_HAS_BEEN_MAPPED = 0x20,
        MDL_IO_PAGE_READ = 0x40,
        MDL_WRITE_OPERATION = 0x80,
        MDL_LOCKED_PAGE_TABLES = 0x100,
        MDL_PARENT_MAPPED_SYSTEM_VA = 0x100,
        MDL_CACHE = 0x1F4,
        MDL_FREE_EXTRA_PTES = 0x200,
        MDL_DESCRIBES_AWE = 0x400,
        MDL_IO_SPACE = 0x800,
        MDL_NETWORK_HEADER = 0x1000,
        MDL_MAPPING_CAN_FAIL = 0x2000,
        MDL_ALLOCATED_MUST_SUCCEED = 0x4000,
        MDL_PAGE_CONTENTS_INVARIANT = 0x4000,
        MDL_INTERNAL = 0x8000,
    }
    ULONG {
        MdlMappingWithGuardPtes = 0x2000_0000,
        MdlMappingNoExecute = 0x4000_0000,
        MdlMappingNoWrite = 0x8000_0000,
    }
}

enums! {
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
    MM_PAGE_PRIORITY {
        LowPagePriority = 0,
        NormalPagePriority = 16,
        HighPagePriority = 32,
    }
}

structs! {
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
    fn IoAllocateMdl(VirtualAddress: PVOID, Length: ULONG, SecondaryBuffer: BOOLEAN, ChargeQuota: BOOLEAN, Irp: *mut IRP) -> *mut MDL;
    fn IoBuildPartialMdl(SourceMdl: *mut MDL, TargetMdl: *mut MDL, VirtualAddress: PVOID, Length: ULONG);
    fn IoFreeMdl(Mdl: *mut MDL);
    fn MmBuildMdlForNonPagedPool(MemoryDescriptorList: *mut MDL);
    fn MmGetSystemRoutineAddress(SystemRoutineName: *mut UNICODE_STRING) -> PVOID;
    fn MmIsAddressValid(VirtualAddress: PVOID) -> BOOLEAN;
    fn MmMapLockedPagesSpecifyCache(MemoryDescriptorList: *mut MDL, AccessMode: KPROCESSOR_MODE, CacheType: MEMORY_CACHING_TYPE, RequestedAddress: PVOID, BugCheckOnFailure: ULONG, Priority: ULONG) -> PVOID;
    fn MmProbeAndLockPages(MemoryDescriptorList: *mut MDL, AccessMode: KPROCESSOR_MODE, Operation: LOCK_OPERATION);
    fn MmUnlockPages(MemoryDescriptorList: *mut MDL);
    fn MmUnmapLockedPages(BaseAddress: PVOID, MemoryDescriptorList: *mut MDL);
}

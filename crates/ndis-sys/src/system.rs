//! system

use crate::*;

scalars! {
    NDIS_VF_RID = ULONG;
    NDIS_SWITCH_PORT_ID = UINT32;
}

aliases! {
    NDIS_SWITCH_NIC_NAME = IF_COUNTED_STRING_LH;
}

enums! {
    NDIS_ENVIRONMENT_TYPE {
        NdisEnvironmentWindows = 0,
        NdisEnvironmentWindowsNt = 1,
    }
    NDIS_INTERRUPT_MODERATION {
        NdisInterruptModerationUnknown = 0,
        NdisInterruptModerationNotSupported = 1,
        NdisInterruptModerationEnabled = 2,
        NdisInterruptModerationDisabled = 3,
    }
    NDIS_ISOLATION_MODE {
        NdisIsolationModeNone = 0,
        NdisIsolationModeNativeVirtualSubnet = 1,
        NdisIsolationModeExternalVirtualSubnet = 2,
        NdisIsolationModeVlan = 3,
    }
    NDIS_PROCESSOR_TYPE {
        NdisProcessorX86 = 0,
        NdisProcessorMips = 1,
        NdisProcessorAlpha = 2,
        NdisProcessorPpc = 3,
        NdisProcessorAmd64 = 4,
        NdisProcessorIA64 = 5,
        NdisProcessorArm = 6,
        NdisProcessorArm64 = 7,
    }
    NDIS_PROCESSOR_VENDOR {
        NdisProcessorVendorUnknown = 0,
        NdisProcessorVendorGenuinIntel = 1,
        NdisProcessorVendorGenuineIntel = 1,
        NdisProcessorVendorAuthenticAMD = 2,
    }
}

structs! {
    struct NDIS_ISOLATION_PARAMETERS [24, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 IsolationMode: NDIS_ISOLATION_MODE,
        12 AllowUntaggedTraffic: BOOLEAN,
        16 NumRoutingDomainEntries: ULONG,
        20 FirstRoutingDomainEntryOffset: ULONG,
    }
    struct NDIS_PROCESSOR_INFO [16, 4] {
        0 CpuNumber: ULONG,
        4 PhysicalPackageId: ULONG,
        8 CoreId: ULONG,
        12 HyperThreadID: ULONG,
    }
    struct NDIS_PROCESSOR_INFO_EX [20, 4] {
        0 ProcNum: PROCESSOR_NUMBER,
        4 SocketId: ULONG,
        8 CoreId: ULONG,
        12 HyperThreadId: ULONG,
        16 NodeId: USHORT,
        18 NodeDistance: USHORT,
    }
    struct NDIS_SYSTEM_PROCESSOR_INFO_EX [40, 4] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 ProcessorVendor: NDIS_PROCESSOR_VENDOR,
        12 NumSockets: ULONG,
        16 NumCores: ULONG,
        20 NumCoresPerSocket: ULONG,
        24 MaxHyperThreadingProcsPerCore: ULONG,
        28 ProcessorInfoOffset: ULONG,
        32 NumberOfProcessors: ULONG,
        36 ProcessorInfoEntrySize: ULONG,
    }
    struct NDIS_VAR_DATA_DESC [16, 8] {
        0 Length: USHORT,
        2 MaximumLength: USHORT,
        8 Offset: ULONG_PTR,
    }
    struct NDIS_NDK_PARAMETERS [168, 8] {
        0 NdkRequest: NDIS_NDK_REQUEST_PARAMETERS,
        104 NdkResponse: NDIS_NDK_RESPONSE_PARAMETERS,
    }
    struct NDIS_NDK_REQUEST_PARAMETERS [104, 8] {
        0 RdmaRequested: BOOLEAN,
        4 SwitchPortId: NDIS_SWITCH_PORT_ID,
        8 IfIndex: NET_IFINDEX,
        12 MacAddress: [UCHAR; 32],
        44 VlanId: UINT32,
        48 NdkReserved: NDIS_NDK_CAPABILITIES,
    }
    struct NDIS_NDK_RESPONSE_PARAMETERS [64, 8] {
        0 CapabilitiesAvailable: BOOLEAN,
        8 ReceivedCapabilities: NDIS_NDK_CAPABILITIES,
    }
    struct NDIS_NDK_CAPABILITIES [56, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        4 Flags: ULONG,
        8 MaxQpCount: ULONG,
        12 MaxCqCount: ULONG,
        16 MaxMrCount: ULONG,
        20 MaxPdCount: ULONG,
        24 MaxInboundReadLimit: ULONG,
        28 MaxOutboundReadLimit: ULONG,
        32 MaxMwCount: ULONG,
        36 MaxSrqCount: ULONG,
        40 MissingCounterMask: ULONG64,
        48 NdkInfo: PVOID,
    }
}

imports! {
    "ndis.sys";
    fn NdisActiveGroupCount() -> USHORT;
    fn NdisAllocateGenericObject(DriverObject: *mut DRIVER_OBJECT, Tag: ULONG, Size: USHORT) -> *mut NDIS_GENERIC_OBJECT;
    fn NdisAllocateMemoryWithTag(Parameter1: *mut PVOID, Parameter2: UINT, Parameter3: ULONG) -> NDIS_STATUS;
    fn NdisAllocateMemoryWithTagPriority(NdisHandle: NDIS_HANDLE, Length: UINT, Tag: ULONG, Priority: EX_POOL_PRIORITY) -> PVOID;
    fn NdisAllocateSharedMemory(NdisHandle: NDIS_HANDLE, SharedMemoryParameters: *mut NDIS_SHARED_MEMORY_PARAMETERS, pAllocationHandle: *mut PVOID) -> NDIS_STATUS;
    fn NdisCurrentGroupAndProcessor() -> PROCESSOR_NUMBER;
    fn NdisEnumerateFilterModules(NdisHandle: NDIS_HANDLE, InterfaceBuffer: PVOID, InterfaceBufferLength: ULONG, BytesNeeded: *mut ULONG, BytesWritten: *mut ULONG) -> NDIS_STATUS;
    fn NdisFreeGenericObject(NdisObject: *mut NDIS_GENERIC_OBJECT);
    fn NdisFreeMemory(VirtualAddress: PVOID, Length: UINT, MemoryFlags: UINT);
    fn NdisFreeMemoryWithTag(VirtualAddress: PVOID, Tag: ULONG);
    fn NdisFreeMemoryWithTagPriority(NdisHandle: NDIS_HANDLE, VirtualAddress: PVOID, Tag: ULONG);
    fn NdisFreeSharedMemory(NdisHandle: NDIS_HANDLE, AllocationHandle: NDIS_HANDLE);
    fn NdisGeneratePartialCancelId() -> UCHAR;
    fn NdisGetCurrentProcessorCounts(pIdleCount: *mut ULONG, pKernelAndUser: *mut ULONG, pIndex: *mut ULONG);
    fn NdisGetCurrentProcessorCpuUsage(pCpuUsage: *mut ULONG);
    fn NdisGetProcessorInformation(SystemProcessorInfo: PVOID) -> NDIS_STATUS;
    fn NdisGetProcessorInformationEx(NdisHandle: NDIS_HANDLE, SystemProcessorInfo: *mut NDIS_SYSTEM_PROCESSOR_INFO_EX, Size: *mut ULONG_PTR) -> NDIS_STATUS;
    fn NdisGetRoutineAddress(NdisRoutineName: *mut UNICODE_STRING) -> PVOID;
    fn NdisGetRssProcessorInformation(NdisHandle: NDIS_HANDLE, RssProcessorInfo: *mut NDIS_RSS_PROCESSOR_INFO, Size: *mut ULONG_PTR) -> NDIS_STATUS;
    fn NdisGetSharedDataAlignment() -> ULONG;
    fn NdisGetSystemUpTimeEx(pSystemUpTime: *mut LARGE_INTEGER);
    fn NdisGetVersion() -> UINT;
    fn NdisGroupActiveProcessorCount(Group: USHORT) -> ULONG;
    fn NdisGroupActiveProcessorMask(Group: USHORT) -> KAFFINITY;
    fn NdisGroupMaxProcessorCount(Group: USHORT) -> ULONG;
    fn NdisInitializeString(Destination: *mut UNICODE_STRING, Source: *mut UCHAR);
    fn NdisProcessorIndexToNumber(Parameter1: ULONG, Parameter2: *mut PROCESSOR_NUMBER) -> NTSTATUS;
    fn NdisProcessorNumberToIndex(Parameter1: PROCESSOR_NUMBER) -> ULONG;
    fn NdisSetOptionalHandlers(NdisHandle: NDIS_HANDLE, OptionalHandlers: *mut NDIS_DRIVER_OPTIONAL_HANDLERS) -> NDIS_STATUS;
    fn NdisSystemActiveProcessorCount(ActiveProcessors: *mut KAFFINITY) -> ULONG;
    fn NdisSystemProcessorCount() -> CCHAR;
    fn NdisWriteErrorLogEntry(Parameter1: NDIS_HANDLE, Parameter2: ULONG, Parameter3: ULONG) [, ...];
}

//! Processors as NDIS counts them.
//!
//! Documentation:
//! * [NdisGetRssProcessorInformation](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/nf-ndis-ndisgetrssprocessorinformation)

use crate::{
    CCHAR, KAFFINITY, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_RSS_PROCESSOR_INFO, NDIS_STATUS,
    NTSTATUS, PROCESSOR_NUMBER, PVOID, UCHAR, ULONG, ULONG_PTR, USHORT,
};

constants! {
    /// Revision of a structure, for `NDIS_OBJECT_HEADER::Revision`.
    UCHAR {
        NDIS_SYSTEM_PROCESSOR_INFO_EX_REVISION_1 = 1,
    }
    /// Size of a revision, for `NDIS_OBJECT_HEADER::Size`.
    USHORT {
        NDIS_SIZEOF_SYSTEM_PROCESSOR_INFO_EX_REVISION_1 = 40,
    }
}

enums! {
    /// System that NDIS runs on.
    NDIS_ENVIRONMENT_TYPE {
        NdisEnvironmentWindows = 0,
        NdisEnvironmentWindowsNt = 1,
    }
    /// Kind of processor.
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
    /// Maker of a processor.
    NDIS_PROCESSOR_VENDOR {
        NdisProcessorVendorUnknown = 0,
        NdisProcessorVendorGenuinIntel = 1,
        NdisProcessorVendorGenuineIntel = 1,
        NdisProcessorVendorAuthenticAMD = 2,
    }
}

structs! {
    /// One processor.
    struct NDIS_PROCESSOR_INFO [16, 4] {
        0 CpuNumber: ULONG,
        4 PhysicalPackageId: ULONG,
        8 CoreId: ULONG,
        12 HyperThreadID: ULONG,
    }
    /// One processor, with its place in the system.
    struct NDIS_PROCESSOR_INFO_EX [20, 4] {
        0 ProcNum: PROCESSOR_NUMBER,
        4 SocketId: ULONG,
        8 CoreId: ULONG,
        12 HyperThreadId: ULONG,
        16 NodeId: USHORT,
        18 NodeDistance: USHORT,
    }
    /// The processors of the system.
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
}

imports! {
    "ndis.sys";
    /// Returns the number of active processor groups. IRQL: any.
    fn NdisActiveGroupCount() -> USHORT;
    /// Returns group and number of the processor. IRQL: `>= DISPATCH_LEVEL`.
    fn NdisCurrentGroupAndProcessor() -> PROCESSOR_NUMBER;
    /// Lists the processors of the system. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisGetProcessorInformation(SystemProcessorInfo: PVOID) -> NDIS_STATUS;
    /// Lists the processors of the system with their places. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisGetProcessorInformationEx(
        NdisHandle: NDIS_HANDLE,
        SystemProcessorInfo: *mut NDIS_SYSTEM_PROCESSOR_INFO_EX,
        Size: *mut ULONG_PTR,
    ) -> NDIS_STATUS;
    /// Lists the processors for receive side scaling. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisGetRssProcessorInformation(
        NdisHandle: NDIS_HANDLE,
        RssProcessorInfo: *mut NDIS_RSS_PROCESSOR_INFO,
        Size: *mut ULONG_PTR,
    ) -> NDIS_STATUS;
    /// Returns the alignment that keeps data of processors apart. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisGetSharedDataAlignment() -> ULONG;
    /// Returns the number of active processors of a group. IRQL: any.
    fn NdisGroupActiveProcessorCount(Group: USHORT) -> ULONG;
    /// Returns the active processors of a group. IRQL: any.
    fn NdisGroupActiveProcessorMask(Group: USHORT) -> KAFFINITY;
    /// Returns the most processors that a group can have. IRQL: any.
    fn NdisGroupMaxProcessorCount(Group: USHORT) -> ULONG;
    /// Returns the most processor groups that there can be. IRQL: any.
    fn NdisMaxGroupCount() -> USHORT;
    /// Returns group and number for the number in the system. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisProcessorIndexToNumber(
        ProcessorIndex: ULONG,
        ProcessorNumber: *mut PROCESSOR_NUMBER,
    ) -> NTSTATUS;
    /// Returns the number in the system for group and number. IRQL: `<= DISPATCH_LEVEL`.
    fn NdisProcessorNumberToIndex(ProcessorNumber: PROCESSOR_NUMBER) -> ULONG;
    /// Returns the number of active processors. IRQL: any.
    fn NdisSystemActiveProcessorCount(ActiveProcessors: *mut KAFFINITY) -> ULONG;
    /// Returns the number of processors at start. IRQL: `PASSIVE_LEVEL`.
    fn NdisSystemProcessorCount() -> CCHAR;
}

//! nt::driver

use crate::*;

scalars! {
    SECURITY_INFORMATION = ULONG;
}

enums! {
    BUS_QUERY_ID_TYPE {
        BusQueryDeviceID = 0,
        BusQueryHardwareIDs = 1,
        BusQueryCompatibleIDs = 2,
        BusQueryInstanceID = 3,
        BusQueryDeviceSerialNumber = 4,
        BusQueryContainerID = 5,
    }
    DEVICE_POWER_STATE {
        PowerDeviceUnspecified = 0,
        PowerDeviceD0 = 1,
        PowerDeviceD1 = 2,
        PowerDeviceD2 = 3,
        PowerDeviceD3 = 4,
        PowerDeviceMaximum = 5,
    }
    DEVICE_RELATION_TYPE {
        BusRelations = 0,
        EjectionRelations = 1,
        PowerRelations = 2,
        RemovalRelations = 3,
        TargetDeviceRelation = 4,
        SingleBusRelations = 5,
        TransportRelations = 6,
    }
    DEVICE_TEXT_TYPE {
        DeviceTextDescription = 0,
        DeviceTextLocationInformation = 1,
    }
    DEVICE_USAGE_NOTIFICATION_TYPE {
        DeviceUsageTypeUndefined = 0,
        DeviceUsageTypePaging = 1,
        DeviceUsageTypeHibernation = 2,
        DeviceUsageTypeDumpFile = 3,
        DeviceUsageTypeBoot = 4,
        DeviceUsageTypePostDisplay = 5,
        DeviceUsageTypeGuestAssigned = 6,
    }
    DIRECTORY_NOTIFY_INFORMATION_CLASS {
        DirectoryNotifyInformation = 1,
        DirectoryNotifyExtendedInformation = 2,
        DirectoryNotifyFullInformation = 3,
        DirectoryNotifyMaximumInformation = 4,
    }
    FILE_INFORMATION_CLASS {
        FileDirectoryInformation = 1,
        FileFullDirectoryInformation = 2,
        FileBothDirectoryInformation = 3,
        FileBasicInformation = 4,
        FileStandardInformation = 5,
        FileInternalInformation = 6,
        FileEaInformation = 7,
        FileAccessInformation = 8,
        FileNameInformation = 9,
        FileRenameInformation = 10,
        FileLinkInformation = 11,
        FileNamesInformation = 12,
        FileDispositionInformation = 13,
        FilePositionInformation = 14,
        FileFullEaInformation = 15,
        FileModeInformation = 16,
        FileAlignmentInformation = 17,
        FileAllInformation = 18,
        FileAllocationInformation = 19,
        FileEndOfFileInformation = 20,
        FileAlternateNameInformation = 21,
        FileStreamInformation = 22,
        FilePipeInformation = 23,
        FilePipeLocalInformation = 24,
        FilePipeRemoteInformation = 25,
        FileMailslotQueryInformation = 26,
        FileMailslotSetInformation = 27,
        FileCompressionInformation = 28,
        FileObjectIdInformation = 29,
        FileCompletionInformation = 30,
        FileMoveClusterInformation = 31,
        FileQuotaInformation = 32,
        FileReparsePointInformation = 33,
        FileNetworkOpenInformation = 34,
        FileAttributeTagInformation = 35,
        FileTrackingInformation = 36,
        FileIdBothDirectoryInformation = 37,
        FileIdFullDirectoryInformation = 38,
        FileValidDataLengthInformation = 39,
        FileShortNameInformation = 40,
        FileIoCompletionNotificationInformation = 41,
        FileIoStatusBlockRangeInformation = 42,
        FileIoPriorityHintInformation = 43,
        FileSfioReserveInformation = 44,
        FileSfioVolumeInformation = 45,
        FileHardLinkInformation = 46,
        FileProcessIdsUsingFileInformation = 47,
        FileNormalizedNameInformation = 48,
        FileNetworkPhysicalNameInformation = 49,
        FileIdGlobalTxDirectoryInformation = 50,
        FileIsRemoteDeviceInformation = 51,
        FileUnusedInformation = 52,
        FileNumaNodeInformation = 53,
        FileStandardLinkInformation = 54,
        FileRemoteProtocolInformation = 55,
        FileRenameInformationBypassAccessCheck = 56,
        FileLinkInformationBypassAccessCheck = 57,
        FileVolumeNameInformation = 58,
        FileIdInformation = 59,
        FileIdExtdDirectoryInformation = 60,
        FileReplaceCompletionInformation = 61,
        FileHardLinkFullIdInformation = 62,
        FileIdExtdBothDirectoryInformation = 63,
        FileDispositionInformationEx = 64,
        FileRenameInformationEx = 65,
        FileRenameInformationExBypassAccessCheck = 66,
        FileDesiredStorageClassInformation = 67,
        FileStatInformation = 68,
        FileMemoryPartitionInformation = 69,
        FileStatLxInformation = 70,
        FileCaseSensitiveInformation = 71,
        FileLinkInformationEx = 72,
        FileLinkInformationExBypassAccessCheck = 73,
        FileStorageReserveIdInformation = 74,
        FileCaseSensitiveInformationForceAccessCheck = 75,
        FileKnownFolderInformation = 76,
        FileMaximumInformation = 77,
    }
    FS_INFORMATION_CLASS {
        FileFsVolumeInformation = 1,
        FileFsLabelInformation = 2,
        FileFsSizeInformation = 3,
        FileFsDeviceInformation = 4,
        FileFsAttributeInformation = 5,
        FileFsControlInformation = 6,
        FileFsFullSizeInformation = 7,
        FileFsObjectIdInformation = 8,
        FileFsDriverPathInformation = 9,
        FileFsVolumeFlagsInformation = 10,
        FileFsSectorSizeInformation = 11,
        FileFsDataCopyInformation = 12,
        FileFsMetadataSizeInformation = 13,
        FileFsFullSizeInformationEx = 14,
        FileFsMaximumInformation = 15,
    }
    IO_ALLOCATION_ACTION {
        KeepObject = 1,
        DeallocateObject = 2,
        DeallocateObjectKeepRegisters = 3,
    }
    POWER_ACTION {
        PowerActionNone = 0,
        PowerActionReserved = 1,
        PowerActionSleep = 2,
        PowerActionHibernate = 3,
        PowerActionShutdown = 4,
        PowerActionShutdownReset = 5,
        PowerActionShutdownOff = 6,
        PowerActionWarmEject = 7,
        PowerActionDisplayOff = 8,
    }
    POWER_STATE_TYPE {
        SystemPowerState = 0,
        DevicePowerState = 1,
    }
    SYSTEM_POWER_STATE {
        PowerSystemUnspecified = 0,
        PowerSystemWorking = 1,
        PowerSystemSleeping1 = 2,
        PowerSystemSleeping2 = 3,
        PowerSystemSleeping3 = 4,
        PowerSystemHibernate = 5,
        PowerSystemShutdown = 6,
        PowerSystemMaximum = 7,
    }
    WORK_QUEUE_TYPE {
        CriticalWorkQueue = 0,
        DelayedWorkQueue = 1,
        HyperCriticalWorkQueue = 2,
        NormalWorkQueue = 3,
        BackgroundWorkQueue = 4,
        RealTimeWorkQueue = 5,
        SuperCriticalWorkQueue = 6,
        MaximumWorkQueue = 7,
        CustomPriorityWorkQueue = 32,
    }
}

structs! {
    struct DEVICE_CAPABILITIES [64, 4] {
        0 Size: USHORT,
        2 Version: USHORT,
        4 Bits: ULONG,
        8 Address: ULONG,
        12 UINumber: ULONG,
        16 DeviceState: [DEVICE_POWER_STATE; 7],
        44 SystemWake: SYSTEM_POWER_STATE,
        48 DeviceWake: DEVICE_POWER_STATE,
        52 D1Latency: ULONG,
        56 D2Latency: ULONG,
        60 D3Latency: ULONG,
        bits Bits {
            DeviceD1: 0, 1;
            DeviceD2: 1, 1;
            LockSupported: 2, 1;
            EjectSupported: 3, 1;
            Removable: 4, 1;
            DockDevice: 5, 1;
            UniqueID: 6, 1;
            SilentInstall: 7, 1;
            RawDeviceOK: 8, 1;
            SurpriseRemovalOK: 9, 1;
            WakeFromD0: 10, 1;
            WakeFromD1: 11, 1;
            WakeFromD2: 12, 1;
            WakeFromD3: 13, 1;
            HardwareDisabled: 14, 1;
            NonDynamic: 15, 1;
            WarmEjectSupported: 16, 1;
            NoDisplayInUI: 17, 1;
            Reserved1: 18, 1;
            WakeFromInterrupt: 19, 1;
            SecureDevice: 20, 1;
            ChildOfVgaEnabledBridge: 21, 1;
            DecodeIoOnBoot: 22, 1;
            Reserved: 23, 9;
        }
    }
    union DEVICE_OBJECT_Queue of DEVICE_OBJECT.Queue [72, 8] {
        0 ListEntry: LIST_ENTRY,
        0 Wcb: WAIT_CONTEXT_BLOCK,
    }
    #[repr(align(16))]
    struct DEVICE_OBJECT [336, 16] {
        0 Type: CSHORT,
        2 Size: USHORT,
        4 ReferenceCount: LONG,
        8 DriverObject: *mut DRIVER_OBJECT,
        16 NextDevice: *mut DEVICE_OBJECT,
        24 AttachedDevice: *mut DEVICE_OBJECT,
        32 CurrentIrp: *mut IRP,
        40 Timer: *mut IO_TIMER,
        48 Flags: ULONG,
        52 Characteristics: ULONG,
        56 Vpb: PVOID,
        64 DeviceExtension: PVOID,
        72 DeviceType: ULONG,
        76 StackSize: CCHAR,
        80 Queue: DEVICE_OBJECT_Queue,
        152 AlignmentRequirement: ULONG,
        160 DeviceQueue: KDEVICE_QUEUE,
        200 Dpc: KDPC,
        264 ActiveThreadCount: ULONG,
        272 SecurityDescriptor: PVOID,
        280 DeviceLock: KEVENT,
        304 SectorSize: USHORT,
        306 Spare1: USHORT,
        312 DeviceObjectExtension: PVOID,
        320 Reserved: PVOID,
    }
    struct DRIVER_EXTENSION [40, 8] {
        0 DriverObject: *mut DRIVER_OBJECT,
        8 AddDevice: Option<DRIVER_ADD_DEVICE>,
        16 Count: ULONG,
        24 ServiceKeyName: UNICODE_STRING,
    }
    struct DRIVER_OBJECT [336, 8] {
        0 Type: CSHORT,
        2 Size: CSHORT,
        8 DeviceObject: *mut DEVICE_OBJECT,
        16 Flags: ULONG,
        24 DriverStart: PVOID,
        32 DriverSize: ULONG,
        40 DriverSection: PVOID,
        48 DriverExtension: *mut DRIVER_EXTENSION,
        56 DriverName: UNICODE_STRING,
        72 HardwareDatabase: *mut UNICODE_STRING,
        80 FastIoDispatch: PVOID,
        88 DriverInit: Option<DRIVER_INITIALIZE>,
        96 DriverStartIo: Option<DRIVER_STARTIO>,
        104 DriverUnload: Option<DRIVER_UNLOAD>,
        112 MajorFunction: [Option<DRIVER_DISPATCH>; 28],
    }
    struct FILE_OBJECT [216, 8] {
        0 Type: CSHORT,
        2 Size: CSHORT,
        8 DeviceObject: *mut DEVICE_OBJECT,
        16 Vpb: PVOID,
        24 FsContext: PVOID,
        32 FsContext2: PVOID,
        40 SectionObjectPointer: PVOID,
        48 PrivateCacheMap: PVOID,
        56 FinalStatus: NTSTATUS,
        64 RelatedFileObject: *mut FILE_OBJECT,
        72 LockOperation: BOOLEAN,
        73 DeletePending: BOOLEAN,
        74 ReadAccess: BOOLEAN,
        75 WriteAccess: BOOLEAN,
        76 DeleteAccess: BOOLEAN,
        77 SharedRead: BOOLEAN,
        78 SharedWrite: BOOLEAN,
        79 SharedDelete: BOOLEAN,
        80 Flags: ULONG,
        88 FileName: UNICODE_STRING,
        104 CurrentByteOffset: LARGE_INTEGER,
        112 Waiters: ULONG,
        116 Busy: ULONG,
        120 LastLock: PVOID,
        128 Lock: KEVENT,
        152 Event: KEVENT,
        176 CompletionContext: PVOID,
        184 IrpListLock: KSPIN_LOCK,
        192 IrpList: LIST_ENTRY,
        208 FileObjectExtension: PVOID,
    }
    struct IO_ERROR_LOG_PACKET [48, 8] {
        0 MajorFunctionCode: UCHAR,
        1 RetryCount: UCHAR,
        2 DumpDataSize: USHORT,
        4 NumberOfStrings: USHORT,
        6 StringOffset: USHORT,
        8 EventCategory: USHORT,
        12 ErrorCode: NTSTATUS,
        16 UniqueErrorValue: ULONG,
        20 FinalStatus: NTSTATUS,
        24 SequenceNumber: ULONG,
        28 IoControlCode: ULONG,
        32 DeviceOffset: LARGE_INTEGER,
        40 DumpData: [ULONG; 1],
    }
    struct IO_REMOVE_LOCK [32, 8] {
        0 Common: IO_REMOVE_LOCK_COMMON_BLOCK,
    }
    struct IO_SECURITY_CONTEXT [24, 8] {
        0 SecurityQos: PVOID,
        8 AccessState: PVOID,
        16 DesiredAccess: ACCESS_MASK,
        20 FullCreateOptions: ULONG,
    }
    struct WORK_QUEUE_ITEM [32, 8] {
        0 List: LIST_ENTRY,
        16 WorkerRoutine: Option<WORKER_THREAD_ROUTINE>,
        24 Parameter: PVOID,
    }
    struct WAIT_CONTEXT_BLOCK [72, 8] {
        0 DmaWaitEntry: LIST_ENTRY,
        16 NumberOfChannels: ULONG,
        20 Bits: ULONG,
        24 DeviceRoutine: Option<DRIVER_CONTROL>,
        32 DeviceContext: PVOID,
        40 NumberOfMapRegisters: ULONG,
        48 DeviceObject: PVOID,
        56 CurrentIrp: PVOID,
        64 BufferChainingDpc: *mut KDPC,
        also {
            0 WaitQueueEntry: KDEVICE_QUEUE_ENTRY,
        }
        bits Bits {
            SyncCallback: 0, 1;
            DmaContext: 1, 1;
            ZeroMapRegisters: 2, 1;
            Reserved: 3, 9;
            NumberOfRemapPages: 12, 20;
        }
    }
    struct IO_REMOVE_LOCK_COMMON_BLOCK [32, 8] {
        0 Removed: BOOLEAN,
        1 Reserved: [BOOLEAN; 3],
        4 IoCount: LONG,
        8 RemoveEvent: KEVENT,
    }
    union POWER_STATE [4, 4] {
        0 DeviceState: DEVICE_POWER_STATE,
        0 SystemState: SYSTEM_POWER_STATE,
    }
    union SYSTEM_POWER_STATE_CONTEXT [4, 4] {
        0 ContextAsUlong: ULONG,
        0 Bits: ULONG,
        bits Bits {
            Reserved1: 0, 8;
            TargetSystemState: 8, 4;
            EffectiveSystemState: 12, 4;
            CurrentSystemState: 16, 4;
            IgnoreHibernationPath: 20, 1;
            PseudoTransition: 21, 1;
            KernelSoftReboot: 22, 1;
            DirectedDripsTransition: 23, 1;
            Reserved2: 24, 8;
        }
    }
}

callbacks! {
    fn DRIVER_ADD_DEVICE(DriverObject: *mut DRIVER_OBJECT, PhysicalDeviceObject: *mut DEVICE_OBJECT) -> NTSTATUS;
    fn DRIVER_CONTROL(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP, MapRegisterBase: PVOID, Context: PVOID) -> IO_ALLOCATION_ACTION;
    fn DRIVER_DISPATCH(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP) -> NTSTATUS;
    fn DRIVER_INITIALIZE(DriverObject: *mut DRIVER_OBJECT, RegistryPath: *mut UNICODE_STRING) -> NTSTATUS;
    fn DRIVER_STARTIO(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP);
    fn DRIVER_UNLOAD(DriverObject: *mut DRIVER_OBJECT);
    fn IO_WORKITEM_ROUTINE(DeviceObject: *mut DEVICE_OBJECT, Context: PVOID);
    fn WORKER_THREAD_ROUTINE(Parameter1: PVOID);
}

//! File objects and the information classes of files.
//!
//! Documentation:
//! * [FILE_OBJECT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/ns-wdm-_file_object)

use crate::{
    ACCESS_MASK, BOOLEAN, CSHORT, DEVICE_OBJECT, KEVENT, KSPIN_LOCK, LARGE_INTEGER, LIST_ENTRY,
    NTSTATUS, PVOID, ULONG, UNICODE_STRING,
};

scalars! {
    /// Parts of a security descriptor.
    SECURITY_INFORMATION = ULONG;
}

enums! {
    /// What to say about a changed directory.
    DIRECTORY_NOTIFY_INFORMATION_CLASS {
        DirectoryNotifyInformation = 1,
        DirectoryNotifyExtendedInformation = 2,
        DirectoryNotifyFullInformation = 3,
        DirectoryNotifyMaximumInformation = 4,
    }
    /// Information about a file.
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
    /// Information about a volume.
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
}

structs! {
    /// An open file or device.
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
    /// Who opens a file, and with what rights.
    struct IO_SECURITY_CONTEXT [24, 8] {
        0 SecurityQos: PVOID,
        8 AccessState: PVOID,
        16 DesiredAccess: ACCESS_MASK,
        20 FullCreateOptions: ULONG,
    }
}

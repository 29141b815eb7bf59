//! I/O stack locations: what one driver is asked to do with an IRP.
//!
//! The unions name every request there is, since a host has to lay out all of
//! them; a control device meets `Create` and `DeviceIoControl`.
//!
//! Documentation:
//! * [I/O stack locations](https://learn.microsoft.com/windows-hardware/drivers/kernel/i-o-stack-locations)

use crate::{
    BOOLEAN, BUS_QUERY_ID_TYPE, DEVICE_CAPABILITIES, DEVICE_OBJECT, DEVICE_RELATION_TYPE,
    DEVICE_TEXT_TYPE, DEVICE_USAGE_NOTIFICATION_TYPE, DIRECTORY_NOTIFY_INFORMATION_CLASS,
    FILE_INFORMATION_CLASS, FILE_OBJECT, FS_INFORMATION_CLASS, GUID, HANDLE, IO_COMPLETION_ROUTINE,
    IO_SECURITY_CONTEXT, LARGE_INTEGER, LCID, POWER_ACTION, POWER_STATE, POWER_STATE_TYPE, PVOID,
    SECURITY_INFORMATION, SYSTEM_POWER_STATE, SYSTEM_POWER_STATE_CONTEXT, UCHAR, ULONG, ULONG_PTR,
    UNICODE_STRING, USHORT,
};

structs! {
    /// Member `Parameters.Create` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_Create of IO_STACK_LOCATION.Parameters.Create [32, 8] {
        0 SecurityContext: *mut IO_SECURITY_CONTEXT,
        8 Options: ULONG,
        12 _pad1: [UCHAR; 4],
        16 FileAttributes: USHORT,
        18 ShareAccess: USHORT,
        20 _pad2: [UCHAR; 4],
        24 EaLength: ULONG,
    }
    /// Member `Parameters.CreateMailslot` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_CreateMailslot
        of IO_STACK_LOCATION.Parameters.CreateMailslot [32, 8]
    {
        0 SecurityContext: *mut IO_SECURITY_CONTEXT,
        8 Options: ULONG,
        12 _pad1: [UCHAR; 4],
        16 Reserved: USHORT,
        18 ShareAccess: USHORT,
        24 Parameters: PVOID,
    }
    /// Member `Parameters.CreatePipe` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_CreatePipe
        of IO_STACK_LOCATION.Parameters.CreatePipe [32, 8]
    {
        0 SecurityContext: *mut IO_SECURITY_CONTEXT,
        8 Options: ULONG,
        12 _pad1: [UCHAR; 4],
        16 Reserved: USHORT,
        18 ShareAccess: USHORT,
        24 Parameters: PVOID,
    }
    /// Member `Parameters.DeviceCapabilities` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_DeviceCapabilities
        of IO_STACK_LOCATION.Parameters.DeviceCapabilities [8, 8]
    {
        0 Capabilities: *mut DEVICE_CAPABILITIES,
    }
    /// Member `Parameters.DeviceIoControl` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_DeviceIoControl
        of IO_STACK_LOCATION.Parameters.DeviceIoControl [32, 8]
    {
        0 OutputBufferLength: ULONG,
        4 _pad1: [UCHAR; 4],
        8 InputBufferLength: ULONG,
        12 _pad2: [UCHAR; 4],
        16 IoControlCode: ULONG,
        24 Type3InputBuffer: PVOID,
    }
    /// Member `Parameters.FileSystemControl` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_FileSystemControl
        of IO_STACK_LOCATION.Parameters.FileSystemControl [32, 8]
    {
        0 OutputBufferLength: ULONG,
        4 _pad1: [UCHAR; 4],
        8 InputBufferLength: ULONG,
        12 _pad2: [UCHAR; 4],
        16 FsControlCode: ULONG,
        24 Type3InputBuffer: PVOID,
    }
    /// Member `Parameters.FilterResourceRequirements` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_FilterResourceRequirements
        of IO_STACK_LOCATION.Parameters.FilterResourceRequirements [8, 8]
    {
        0 IoResourceRequirementList: PVOID,
    }
    /// Member `Parameters.LockControl` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_LockControl
        of IO_STACK_LOCATION.Parameters.LockControl [24, 8]
    {
        0 Length: *mut LARGE_INTEGER,
        8 Key: ULONG,
        16 ByteOffset: LARGE_INTEGER,
    }
    /// Member `Parameters.MountVolume` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_MountVolume
        of IO_STACK_LOCATION.Parameters.MountVolume [16, 8]
    {
        0 Vpb: PVOID,
        8 DeviceObject: *mut DEVICE_OBJECT,
    }
    /// Member `Parameters.NotifyDirectory` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_NotifyDirectory
        of IO_STACK_LOCATION.Parameters.NotifyDirectory [16, 4]
    {
        0 Length: ULONG,
        4 _pad1: [UCHAR; 4],
        8 CompletionFilter: ULONG,
        12 _pad2: [UCHAR; 4],
    }
    /// Member `Parameters.NotifyDirectoryEx` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_NotifyDirectoryEx
        of IO_STACK_LOCATION.Parameters.NotifyDirectoryEx [24, 4]
    {
        0 Length: ULONG,
        4 _pad1: [UCHAR; 4],
        8 CompletionFilter: ULONG,
        12 _pad2: [UCHAR; 4],
        16 DirectoryNotifyInformationClass: DIRECTORY_NOTIFY_INFORMATION_CLASS,
        20 _pad3: [UCHAR; 4],
    }
    /// Member `Parameters.Others` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_Others of IO_STACK_LOCATION.Parameters.Others [32, 8] {
        0 Argument1: PVOID,
        8 Argument2: PVOID,
        16 Argument3: PVOID,
        24 Argument4: PVOID,
    }
    /// Member `Parameters.Power` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_Power of IO_STACK_LOCATION.Parameters.Power [32, 4] {
        0 SystemContext: ULONG,
        4 _pad1: [UCHAR; 4],
        8 Type: POWER_STATE_TYPE,
        12 _pad2: [UCHAR; 4],
        16 State: POWER_STATE,
        20 _pad3: [UCHAR; 4],
        24 ShutdownType: POWER_ACTION,
        28 _pad4: [UCHAR; 4],
        also {
            0 SystemPowerStateContext: SYSTEM_POWER_STATE_CONTEXT,
        }
    }
    /// Member `Parameters.PowerSequence` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_PowerSequence
        of IO_STACK_LOCATION.Parameters.PowerSequence [8, 8]
    {
        0 PowerSequence: PVOID,
    }
    /// Member `Parameters.QueryDeviceRelations` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QueryDeviceRelations
        of IO_STACK_LOCATION.Parameters.QueryDeviceRelations [4, 4]
    {
        0 Type: DEVICE_RELATION_TYPE,
    }
    /// Member `Parameters.QueryDeviceText` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QueryDeviceText
        of IO_STACK_LOCATION.Parameters.QueryDeviceText [16, 4]
    {
        0 DeviceTextType: DEVICE_TEXT_TYPE,
        4 _pad1: [UCHAR; 4],
        8 LocaleId: LCID,
        12 _pad2: [UCHAR; 4],
    }
    /// Member `Parameters.QueryDirectory` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QueryDirectory
        of IO_STACK_LOCATION.Parameters.QueryDirectory [32, 8]
    {
        0 Length: ULONG,
        8 FileName: *mut UNICODE_STRING,
        16 FileInformationClass: FILE_INFORMATION_CLASS,
        20 _pad1: [UCHAR; 4],
        24 FileIndex: ULONG,
    }
    /// Member `Parameters.QueryEa` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QueryEa of IO_STACK_LOCATION.Parameters.QueryEa [32, 8] {
        0 Length: ULONG,
        8 EaList: PVOID,
        16 EaListLength: ULONG,
        20 _pad1: [UCHAR; 4],
        24 EaIndex: ULONG,
    }
    /// Member `Parameters.QueryFile` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QueryFile
        of IO_STACK_LOCATION.Parameters.QueryFile [16, 4]
    {
        0 Length: ULONG,
        4 _pad1: [UCHAR; 4],
        8 FileInformationClass: FILE_INFORMATION_CLASS,
        12 _pad2: [UCHAR; 4],
    }
    /// Member `Parameters.QueryId` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QueryId of IO_STACK_LOCATION.Parameters.QueryId [4, 4] {
        0 IdType: BUS_QUERY_ID_TYPE,
    }
    /// Member `Parameters.QueryInterface` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QueryInterface
        of IO_STACK_LOCATION.Parameters.QueryInterface [32, 8]
    {
        0 InterfaceType: *const GUID,
        8 Size: USHORT,
        10 Version: USHORT,
        16 Interface: PVOID,
        24 InterfaceSpecificData: PVOID,
    }
    /// Member `Parameters.QueryQuota` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QueryQuota
        of IO_STACK_LOCATION.Parameters.QueryQuota [32, 8]
    {
        0 Length: ULONG,
        8 StartSid: PVOID,
        16 SidList: PVOID,
        24 SidListLength: ULONG,
    }
    /// Member `Parameters.QuerySecurity` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QuerySecurity
        of IO_STACK_LOCATION.Parameters.QuerySecurity [16, 4]
    {
        0 SecurityInformation: SECURITY_INFORMATION,
        4 _pad1: [UCHAR; 4],
        8 Length: ULONG,
        12 _pad2: [UCHAR; 4],
    }
    /// Member `Parameters.QueryVolume` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_QueryVolume
        of IO_STACK_LOCATION.Parameters.QueryVolume [16, 4]
    {
        0 Length: ULONG,
        4 _pad1: [UCHAR; 4],
        8 FsInformationClass: FS_INFORMATION_CLASS,
        12 _pad2: [UCHAR; 4],
    }
    /// Member `Parameters.Read` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_Read of IO_STACK_LOCATION.Parameters.Read [24, 8] {
        0 Length: ULONG,
        4 _pad1: [UCHAR; 4],
        8 Key: ULONG,
        12 Flags: ULONG,
        16 ByteOffset: LARGE_INTEGER,
    }
    /// Member `Parameters.ReadWriteConfig` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_ReadWriteConfig
        of IO_STACK_LOCATION.Parameters.ReadWriteConfig [32, 8]
    {
        0 WhichSpace: ULONG,
        8 Buffer: PVOID,
        16 Offset: ULONG,
        20 _pad1: [UCHAR; 4],
        24 Length: ULONG,
    }
    /// Member `Parameters.Scsi` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_Scsi of IO_STACK_LOCATION.Parameters.Scsi [8, 8] {
        0 Srb: PVOID,
    }
    /// Member `Parameters.SetEa` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_SetEa of IO_STACK_LOCATION.Parameters.SetEa [4, 4] {
        0 Length: ULONG,
    }
    /// Member `Parameters.SetFile` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_SetFile of IO_STACK_LOCATION.Parameters.SetFile [32, 8] {
        0 Length: ULONG,
        4 _pad1: [UCHAR; 4],
        8 FileInformationClass: FILE_INFORMATION_CLASS,
        16 FileObject: *mut FILE_OBJECT,
        24 ReplaceIfExists: BOOLEAN,
        25 AdvanceOnly: BOOLEAN,
        also {
            24 ClusterCount: ULONG,
            24 DeleteHandle: HANDLE,
        }
    }
    /// Member `Parameters.SetLock` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_SetLock of IO_STACK_LOCATION.Parameters.SetLock [1, 1] {
        0 Lock: BOOLEAN,
    }
    /// Member `Parameters.SetQuota` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_SetQuota of IO_STACK_LOCATION.Parameters.SetQuota [4, 4] {
        0 Length: ULONG,
    }
    /// Member `Parameters.SetSecurity` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_SetSecurity
        of IO_STACK_LOCATION.Parameters.SetSecurity [16, 8]
    {
        0 SecurityInformation: SECURITY_INFORMATION,
        8 SecurityDescriptor: PVOID,
    }
    /// Member `Parameters.SetVolume` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_SetVolume
        of IO_STACK_LOCATION.Parameters.SetVolume [16, 4]
    {
        0 Length: ULONG,
        4 _pad1: [UCHAR; 4],
        8 FsInformationClass: FS_INFORMATION_CLASS,
        12 _pad2: [UCHAR; 4],
    }
    /// Member `Parameters.StartDevice` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_StartDevice
        of IO_STACK_LOCATION.Parameters.StartDevice [16, 8]
    {
        0 AllocatedResources: PVOID,
        8 AllocatedResourcesTranslated: PVOID,
    }
    /// Member `Parameters.UsageNotification` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_UsageNotification
        of IO_STACK_LOCATION.Parameters.UsageNotification [16, 4]
    {
        0 InPath: BOOLEAN,
        1 Reserved: [BOOLEAN; 3],
        4 _pad1: [UCHAR; 4],
        8 Type: DEVICE_USAGE_NOTIFICATION_TYPE,
        12 _pad2: [UCHAR; 4],
    }
    /// Member `Parameters.VerifyVolume` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_VerifyVolume
        of IO_STACK_LOCATION.Parameters.VerifyVolume [16, 8]
    {
        0 Vpb: PVOID,
        8 DeviceObject: *mut DEVICE_OBJECT,
    }
    /// Member `Parameters.WMI` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_WMI of IO_STACK_LOCATION.Parameters.WMI [32, 8] {
        0 ProviderId: ULONG_PTR,
        8 DataPath: PVOID,
        16 BufferSize: ULONG,
        24 Buffer: PVOID,
    }
    /// Member `Parameters.WaitWake` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_WaitWake of IO_STACK_LOCATION.Parameters.WaitWake [4, 4] {
        0 PowerState: SYSTEM_POWER_STATE,
    }
    /// Member `Parameters.Write` of [`IO_STACK_LOCATION`].
    struct IO_STACK_LOCATION_Parameters_Write of IO_STACK_LOCATION.Parameters.Write [24, 8] {
        0 Length: ULONG,
        4 _pad1: [UCHAR; 4],
        8 Key: ULONG,
        12 Flags: ULONG,
        16 ByteOffset: LARGE_INTEGER,
    }
    /// Member `Parameters` of [`IO_STACK_LOCATION`].
    union IO_STACK_LOCATION_Parameters of IO_STACK_LOCATION.Parameters [32, 8] {
        0 Create: IO_STACK_LOCATION_Parameters_Create,
        0 CreateMailslot: IO_STACK_LOCATION_Parameters_CreateMailslot,
        0 CreatePipe: IO_STACK_LOCATION_Parameters_CreatePipe,
        0 DeviceCapabilities: IO_STACK_LOCATION_Parameters_DeviceCapabilities,
        0 DeviceIoControl: IO_STACK_LOCATION_Parameters_DeviceIoControl,
        0 FileSystemControl: IO_STACK_LOCATION_Parameters_FileSystemControl,
        0 FilterResourceRequirements: IO_STACK_LOCATION_Parameters_FilterResourceRequirements,
        0 LockControl: IO_STACK_LOCATION_Parameters_LockControl,
        0 MountVolume: IO_STACK_LOCATION_Parameters_MountVolume,
        0 NotifyDirectory: IO_STACK_LOCATION_Parameters_NotifyDirectory,
        0 NotifyDirectoryEx: IO_STACK_LOCATION_Parameters_NotifyDirectoryEx,
        0 Others: IO_STACK_LOCATION_Parameters_Others,
        0 Power: IO_STACK_LOCATION_Parameters_Power,
        0 PowerSequence: IO_STACK_LOCATION_Parameters_PowerSequence,
        0 QueryDeviceRelations: IO_STACK_LOCATION_Parameters_QueryDeviceRelations,
        0 QueryDeviceText: IO_STACK_LOCATION_Parameters_QueryDeviceText,
        0 QueryDirectory: IO_STACK_LOCATION_Parameters_QueryDirectory,
        0 QueryEa: IO_STACK_LOCATION_Parameters_QueryEa,
        0 QueryFile: IO_STACK_LOCATION_Parameters_QueryFile,
        0 QueryId: IO_STACK_LOCATION_Parameters_QueryId,
        0 QueryInterface: IO_STACK_LOCATION_Parameters_QueryInterface,
        0 QueryQuota: IO_STACK_LOCATION_Parameters_QueryQuota,
        0 QuerySecurity: IO_STACK_LOCATION_Parameters_QuerySecurity,
        0 QueryVolume: IO_STACK_LOCATION_Parameters_QueryVolume,
        0 Read: IO_STACK_LOCATION_Parameters_Read,
        0 ReadWriteConfig: IO_STACK_LOCATION_Parameters_ReadWriteConfig,
        0 Scsi: IO_STACK_LOCATION_Parameters_Scsi,
        0 SetEa: IO_STACK_LOCATION_Parameters_SetEa,
        0 SetFile: IO_STACK_LOCATION_Parameters_SetFile,
        0 SetLock: IO_STACK_LOCATION_Parameters_SetLock,
        0 SetQuota: IO_STACK_LOCATION_Parameters_SetQuota,
        0 SetSecurity: IO_STACK_LOCATION_Parameters_SetSecurity,
        0 SetVolume: IO_STACK_LOCATION_Parameters_SetVolume,
        0 StartDevice: IO_STACK_LOCATION_Parameters_StartDevice,
        0 UsageNotification: IO_STACK_LOCATION_Parameters_UsageNotification,
        0 VerifyVolume: IO_STACK_LOCATION_Parameters_VerifyVolume,
        0 WMI: IO_STACK_LOCATION_Parameters_WMI,
        0 WaitWake: IO_STACK_LOCATION_Parameters_WaitWake,
        0 Write: IO_STACK_LOCATION_Parameters_Write,
    }
    /// What one driver of a stack is asked to do with an IRP.
    struct IO_STACK_LOCATION [72, 8] {
        0 MajorFunction: UCHAR,
        1 MinorFunction: UCHAR,
        2 Flags: UCHAR,
        3 Control: UCHAR,
        8 Parameters: IO_STACK_LOCATION_Parameters,
        40 DeviceObject: *mut DEVICE_OBJECT,
        48 FileObject: *mut FILE_OBJECT,
        56 CompletionRoutine: Option<IO_COMPLETION_ROUTINE>,
        64 Context: PVOID,
    }
}

//! nt::string

use crate::*;

aliases! {
    ANSI_STRING = STRING;
    NDIS_STRING = UNICODE_STRING;
}

structs! {
    struct STRING [16, 8] {
        0 Length: USHORT,
        2 MaximumLength: USHORT,
        8 Buffer: *mut CHAR,
    }
    struct UNICODE_STRING [16, 8] {
        0 Length: USHORT,
        2 MaximumLength: USHORT,
        8 Buffer: *mut WCHAR,
    }
    struct OBJECT_ATTRIBUTES [48, 8] {
        0 Length: ULONG,
        8 RootDirectory: HANDLE,
        16 ObjectName: *mut UNICODE_STRING,
        24 Attributes: ULONG,
        32 SecurityDescriptor: PVOID,
        40 SecurityQualityOfService: PVOID,
    }
    struct RTL_OSVERSIONINFOEXW [284, 4] {
        0 dwOSVersionInfoSize: ULONG,
        4 dwMajorVersion: ULONG,
        8 dwMinorVersion: ULONG,
        12 dwBuildNumber: ULONG,
        16 dwPlatformId: ULONG,
        20 szCSDVersion: [WCHAR; 128],
        276 wServicePackMajor: USHORT,
        278 wServicePackMinor: USHORT,
        280 wSuiteMask: USHORT,
        282 wProductType: UCHAR,
        283 wReserved: UCHAR,
    }
    struct RTL_OSVERSIONINFOW [276, 4] {
        0 dwOSVersionInfoSize: ULONG,
        4 dwMajorVersion: ULONG,
        8 dwMinorVersion: ULONG,
        12 dwBuildNumber: ULONG,
        16 dwPlatformId: ULONG,
        20 szCSDVersion: [WCHAR; 128],
    }
}

imports! {
    "ntoskrnl.exe";
    fn RtlAnsiStringToUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *mut STRING, AllocateDestinationString: BOOLEAN) -> NTSTATUS;
    fn RtlAppendUnicodeStringToString(Destination: *mut UNICODE_STRING, Source: *const UNICODE_STRING) -> NTSTATUS;
    fn RtlAppendUnicodeToString(Destination: *mut UNICODE_STRING, Source: *const WCHAR) -> NTSTATUS;
    fn RtlCompareMemory(Source1: *const VOID, Source2: *const VOID, Length: SIZE_T) -> SIZE_T;
    fn RtlCompareUnicodeString(String1: *const UNICODE_STRING, String2: *const UNICODE_STRING, CaseInSensitive: BOOLEAN) -> LONG;
    fn RtlCopyUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const UNICODE_STRING);
    fn RtlEqualUnicodeString(String1: *const UNICODE_STRING, String2: *const UNICODE_STRING, CaseInSensitive: BOOLEAN) -> BOOLEAN;
    fn RtlFreeAnsiString(AnsiString: *mut STRING);
    fn RtlFreeUnicodeString(UnicodeString: *mut UNICODE_STRING);
    fn RtlGetVersion(lpVersionInformation: PVOID) -> NTSTATUS;
    fn RtlInitAnsiString(DestinationString: *mut STRING, SourceString: *const CHAR);
    fn RtlInitUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const WCHAR);
    fn RtlUnicodeStringToAnsiString(DestinationString: *mut STRING, SourceString: *const UNICODE_STRING, AllocateDestinationString: BOOLEAN) -> NTSTATUS;
    fn RtlUpcaseUnicodeChar(SourceCharacter: WCHAR) -> WCHAR;
    fn RtlUpcaseUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const UNICODE_STRING, AllocateDestinationString: BOOLEAN) -> NTSTATUS;
}

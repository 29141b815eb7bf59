//! Counted strings, and the version of the system.
//!
//! Documentation:
//! * [RtlInitUnicodeString](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlinitunicodestring)

use crate::{BOOLEAN, CHAR, LONG, NTSTATUS, PVOID, SIZE_T, UCHAR, ULONG, USHORT, VOID, WCHAR};

aliases! {
    /// A counted string of bytes in the system's code page.
    ANSI_STRING = STRING;
}

structs! {
    /// The version of the system, with service pack and product.
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
    /// The version of the system.
    struct RTL_OSVERSIONINFOW [276, 4] {
        0 dwOSVersionInfoSize: ULONG,
        4 dwMajorVersion: ULONG,
        8 dwMinorVersion: ULONG,
        12 dwBuildNumber: ULONG,
        16 dwPlatformId: ULONG,
        20 szCSDVersion: [WCHAR; 128],
    }
    /// A counted string of bytes.
    struct STRING [16, 8] {
        0 Length: USHORT,
        2 MaximumLength: USHORT,
        8 Buffer: *mut CHAR,
    }
    /// A counted string of UTF-16 units; the lengths are in bytes.
    struct UNICODE_STRING [16, 8] {
        0 Length: USHORT,
        2 MaximumLength: USHORT,
        8 Buffer: *mut WCHAR,
    }
}

imports! {
    "ntoskrnl.exe";
    /// Converts a string to UTF-16. IRQL: `PASSIVE_LEVEL`.
    fn RtlAnsiStringToUnicodeString(
        DestinationString: *mut UNICODE_STRING,
        SourceString: *mut STRING,
        AllocateDestinationString: BOOLEAN,
    ) -> NTSTATUS;
    /// Appends a counted string.
    ///
    /// IRQL: `PASSIVE_LEVEL`, or `<= DISPATCH_LEVEL` if the strings are nonpaged.
    fn RtlAppendUnicodeStringToString(
        Destination: *mut UNICODE_STRING,
        Source: *const UNICODE_STRING,
    ) -> NTSTATUS;
    /// Appends a string that ends with zero.
    ///
    /// IRQL: `PASSIVE_LEVEL`, or `<= DISPATCH_LEVEL` if the strings are nonpaged.
    fn RtlAppendUnicodeToString(Destination: *mut UNICODE_STRING, Source: *const WCHAR) -> NTSTATUS;
    /// Returns the number of equal bytes. IRQL: any.
    fn RtlCompareMemory(Source1: *const VOID, Source2: *const VOID, Length: SIZE_T) -> SIZE_T;
    /// Compares two strings. IRQL: `PASSIVE_LEVEL`.
    fn RtlCompareUnicodeString(
        String1: *const UNICODE_STRING,
        String2: *const UNICODE_STRING,
        CaseInSensitive: BOOLEAN,
    ) -> LONG;
    /// Copies a string into the room of another one.
    ///
    /// IRQL: `PASSIVE_LEVEL`, or `<= DISPATCH_LEVEL` if the strings are nonpaged.
    fn RtlCopyUnicodeString(
        DestinationString: *mut UNICODE_STRING,
        SourceString: *const UNICODE_STRING,
    );
    /// Says whether two strings are equal. IRQL: `PASSIVE_LEVEL`.
    fn RtlEqualUnicodeString(
        String1: *const UNICODE_STRING,
        String2: *const UNICODE_STRING,
        CaseInSensitive: BOOLEAN,
    ) -> BOOLEAN;
    /// Frees a string that a conversion allocated. IRQL: `<= APC_LEVEL`.
    fn RtlFreeAnsiString(AnsiString: *mut STRING);
    /// Frees a string that a conversion allocated. IRQL: `<= APC_LEVEL`.
    fn RtlFreeUnicodeString(UnicodeString: *mut UNICODE_STRING);
    /// Returns the version of the system. IRQL: `PASSIVE_LEVEL`.
    fn RtlGetVersion(lpVersionInformation: PVOID) -> NTSTATUS;
    /// Makes a counted string of one that ends with zero. IRQL: any.
    fn RtlInitAnsiString(DestinationString: *mut STRING, SourceString: *const CHAR);
    /// Makes a counted string of one that ends with zero. IRQL: any.
    fn RtlInitUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const WCHAR);
    /// Converts a string from UTF-16. IRQL: `PASSIVE_LEVEL`.
    fn RtlUnicodeStringToAnsiString(
        DestinationString: *mut STRING,
        SourceString: *const UNICODE_STRING,
        AllocateDestinationString: BOOLEAN,
    ) -> NTSTATUS;
    /// Converts a character to upper case. IRQL: `<= APC_LEVEL`.
    fn RtlUpcaseUnicodeChar(SourceCharacter: WCHAR) -> WCHAR;
    /// Converts a string to upper case. IRQL: `<= APC_LEVEL`.
    fn RtlUpcaseUnicodeString(
        DestinationString: *mut UNICODE_STRING,
        SourceString: *const UNICODE_STRING,
        AllocateDestinationString: BOOLEAN,
    ) -> NTSTATUS;
}

//! base

use crate::*;

/// What C calls `void`: only pointers to it exist.
#[repr(C)]
#[derive(Debug)]
pub struct VOID([u8; 0]);

newtypes! {
    /// A status of NDIS.
    NDIS_STATUS(i32);
    /// A status of the NT kernel.
    NTSTATUS(i32);
    /// The number of an object identifier.
    NDIS_OID(u32);
}

/// A bit-field: where it starts in its storage unit and how wide it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// Number of the lowest bit; bit 0 is the least significant one.
    pub first: u32,
    /// Number of bits.
    pub width: u32,
}

scalars! {
    PVOID = *mut VOID;
    NDIS_HANDLE = PVOID;
    HANDLE = PVOID;
    CHAR = i8;
    ULONG = u32;
    BOOLEAN = u8;
    LONG = i32;
    ULONG64 = u64;
    SIZE_T = usize;
    USHORT = u16;
    ULONG_PTR = usize;
    UCHAR = u8;
    CCHAR = i8;
    KPROCESSOR_MODE = CCHAR;
    ULONGLONG = u64;
    UINT = u32;
    UINT16 = u16;
    UINT32 = u32;
    INT = i32;
    ACCESS_MASK = ULONG;
    LONG_PTR = isize;
    WCHAR = u16;
    SHORT = i16;
    CSHORT = SHORT;
    LCID = ULONG;
    LONGLONG = i64;
    UINT64 = u64;
    NODE_REQUIREMENT = ULONG;
    LONG64 = i64;
    ULONG32 = UINT;
}

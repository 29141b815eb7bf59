//! base

use crate::*;

/// What C calls `void`: only pointers to it exist.
#[repr(C)]
#[derive(Debug)]
pub struct VOID([u8; 0]);

/// An untyped pointer.
pub type PVOID = *mut VOID;
/// A handle that NDIS gave out or takes back.
pub type NDIS_HANDLE = PVOID;
/// A handle of the object manager.
pub type HANDLE = PVOID;

/// A status of NDIS.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NDIS_STATUS(pub i32);

/// A status of the NT kernel.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NTSTATUS(pub i32);

/// The number of an object identifier.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NDIS_OID(pub u32);

/// A bit-field: where it starts in its storage unit and how wide it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// Number of the lowest bit; bit 0 is the least significant one.
    pub first: u32,
    /// Number of bits.
    pub width: u32,
}

scalars! {
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

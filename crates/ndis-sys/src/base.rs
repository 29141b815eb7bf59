//! The numbers and pointers that everything else is made of.
//!
//! Only fixed-width integers: `long` and `wchar_t` are not the same on Windows
//! and on the hosts that share these types.
//!
//! Documentation:
//! * [Windows data types](https://learn.microsoft.com/windows/win32/winprog/windows-data-types)

/// What C calls `void`: only pointers to it exist.
#[repr(C)]
#[derive(Debug)]
pub struct VOID([u8; 0]);

/// A bit-field: where it starts in its storage unit and how wide it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// Number of the lowest bit; bit 0 is the least significant one.
    pub first: u32,
    /// Number of bits.
    pub width: u32,
}

newtypes! {
    /// A status of NDIS.
    NDIS_STATUS(i32);
    /// A status of the NT kernel.
    NTSTATUS(i32);
    /// The number of an object identifier.
    NDIS_OID(u32);
}

scalars! {
    /// A pointer to anything.
    PVOID = *mut VOID;
    /// A handle that NDIS gave out, or a context that it gives back.
    NDIS_HANDLE = PVOID;
    /// A handle of the object manager.
    HANDLE = PVOID;
    /// A truth value: zero is false.
    BOOLEAN = u8;
    /// A small signed number.
    CCHAR = i8;
    /// A signed byte or a character.
    CHAR = i8;
    /// A signed 32-bit number.
    LONG = i32;
    /// A signed 64-bit number.
    LONG64 = i64;
    /// A signed 64-bit number.
    LONGLONG = i64;
    /// A signed number as wide as a pointer.
    LONG_PTR = isize;
    /// A signed 16-bit number.
    SHORT = i16;
    /// A size in bytes.
    SIZE_T = usize;
    /// An unsigned byte.
    UCHAR = u8;
    /// An unsigned 32-bit number.
    UINT = u32;
    /// An unsigned 16-bit number.
    UINT16 = u16;
    /// An unsigned 32-bit number.
    UINT32 = u32;
    /// An unsigned 64-bit number.
    UINT64 = u64;
    /// An unsigned 32-bit number.
    ULONG = u32;
    /// An unsigned 64-bit number.
    ULONG64 = u64;
    /// An unsigned 64-bit number.
    ULONGLONG = u64;
    /// An unsigned number as wide as a pointer.
    ULONG_PTR = usize;
    /// An unsigned 16-bit number.
    USHORT = u16;
    /// A unit of UTF-16.
    WCHAR = u16;
    /// A set of rights.
    ACCESS_MASK = ULONG;
    /// A signed 16-bit number.
    CSHORT = SHORT;
    /// A language.
    LCID = ULONG;
    /// A NUMA node, or any.
    NODE_REQUIREMENT = ULONG;
    /// An unsigned 32-bit number.
    ULONG32 = UINT;
}

constants! {
    /// A truth value.
    BOOLEAN {
        FALSE = 0,
        TRUE = 1,
    }
}

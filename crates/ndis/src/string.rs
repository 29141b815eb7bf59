//! Counted UTF-16 strings, borrowed and of fixed capacity.
//!
//! A counted string need not end in a zero; lengths are in bytes and are
//! checked before use.

use crate::{Error, Result};
use ndis_sys::UNICODE_STRING;

/// The units of a counted string; empty when the string is absent.
///
/// # Safety
/// `string` is null or points to a string whose buffer holds `Length` bytes
/// for the lifetime that the caller gives to the slice.
pub unsafe fn units<'a>(string: *const UNICODE_STRING) -> &'a [u16] {
    if string.is_null() {
        return &[];
    }
    // SAFETY: (MEM-3) not null; the caller vouches for the rest.
    let (buffer, length) = unsafe { ((*string).Buffer, usize::from((*string).Length) / 2) };
    if buffer.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: (MEM-3) not null, `Length` bytes are readable (caller).
    unsafe { core::slice::from_raw_parts(buffer.cast_const(), length) }
}

/// A counted string over units that outlive its use. Too long is an error.
///
/// The result is for functions that only read it.
pub fn counted(units: &[u16]) -> Result<UNICODE_STRING> {
    let bytes = units.len().checked_mul(2).ok_or(Error::BadLength)?;
    let length = u16::try_from(bytes).map_err(|_| Error::BadLength)?;
    Ok(UNICODE_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: units.as_ptr().cast_mut(),
    })
}

/// An ASCII literal as UTF-16 at compile time: `wide(b"Name")`.
pub const fn wide<const N: usize>(ascii: &[u8; N]) -> [u16; N] {
    let mut units = [0; N];
    let mut index = 0;
    while index < N {
        assert!(ascii[index].is_ascii());
        units[index] = ascii[index] as u16;
        index += 1;
    }
    units
}

/// A unit without its case, as far as device names have one.
fn fold(unit: u16) -> u16 {
    if (0x61..=0x7A).contains(&unit) {
        unit - 0x20
    } else {
        unit
    }
}

/// The ASCII case-insensitive comparison that device names need.
pub fn same_name(left: &[u16], right: &[u16]) -> bool {
    left.len() == right.len() && name_order(left, right).is_eq()
}

/// An order of names in which [`same_name`] ones are equal.
pub fn name_order(left: &[u16], right: &[u16]) -> core::cmp::Ordering {
    let folded = left.iter().map(|unit| fold(*unit));
    folded.cmp(right.iter().map(|unit| fold(*unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_strings_count_bytes() {
        let name = wide(b"\\Device\\X");
        let string = counted(&name).unwrap();
        assert_eq!(string.Length, 18);
        // SAFETY: (MEM-3) the array outlives the slice.
        assert_eq!(unsafe { units(&raw const string) }, &name);
        assert_eq!(counted(&std::vec![0; 40_000]).err(), Some(Error::BadLength));
    }

    #[test]
    fn absent_strings_are_empty() {
        let none = UNICODE_STRING {
            Length: 8,
            MaximumLength: 8,
            Buffer: core::ptr::null_mut(),
        };
        // SAFETY: (MEM-3) null and a null buffer are what is tested.
        assert!(unsafe { units(&raw const none) }.is_empty());
        // SAFETY: (MEM-3) null is allowed.
        assert!(unsafe { units(core::ptr::null()) }.is_empty());
    }

    #[test]
    fn names_compare_without_case() {
        assert!(same_name(
            &wide(b"\\device\\{ab}"),
            &wide(b"\\Device\\{AB}")
        ));
        assert!(!same_name(&wide(b"\\Device\\A"), &wide(b"\\Device\\AB")));
    }
}

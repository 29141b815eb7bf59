//! Texts of Windows.

use alloc::string::String;
use alloc::vec::Vec;

use windows::Win32::System::Com::CoTaskMemFree;
use windows::core::{PCWSTR, PWSTR, Result};

/// A text in UTF-16 with a NUL behind it, for calls that take a pointer.
pub struct Wide(Vec<u16>);

impl Wide {
    /// `text`, up to a NUL if it has one.
    pub fn new(text: &str) -> Self {
        let units = text.split('\0').next().unwrap_or_default().encode_utf16();
        Self(units.chain(Some(0)).collect())
    }

    /// Valid as long as this is.
    pub fn as_ptr(&self) -> PCWSTR {
        PCWSTR(self.0.as_ptr())
    }
}

/// Texts one after the other, each with a NUL, and one more: the form of REG_MULTI_SZ.
pub fn multi(texts: &[String]) -> Vec<u16> {
    let mut units = Vec::new();
    for text in texts {
        units.extend(text.encode_utf16());
        units.push(0);
    }
    units.push(0);
    units
}

/// The texts of a REG_MULTI_SZ: up to the empty one, or the end.
pub fn of_multi(units: &[u16]) -> Vec<String> {
    let texts = units.split(|u| *u == 0).take_while(|t| !t.is_empty());
    texts.map(String::from_utf16_lossy).collect()
}

/// The text up to its NUL, or the end.
pub fn of(units: &[u16]) -> String {
    let text = units.split(|u| *u == 0).next().unwrap_or_default();
    String::from_utf16_lossy(text)
}

/// What `call` allocated with the task allocator; empty if it gave nothing.
pub fn taken(call: impl FnOnce(*mut PWSTR) -> Result<()>) -> Result<String> {
    let mut text = PWSTR::null();
    call(&raw mut text)?;
    if text.is_null() {
        return Ok(String::new());
    }
    // SAFETY: the call succeeded, so this is a text that ends with NUL, and ours to free.
    unsafe {
        let copy = String::from_utf16_lossy(text.as_wide());
        CoTaskMemFree(Some(text.as_ptr().cast_const().cast()));
        Ok(copy)
    }
}

//! Values of the registry.

use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use netcfg::{Value, Values};
use windows::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, ERROR_SUCCESS, WIN32_ERROR,
};
use windows::Win32::System::Registry::{
    HKEY, KEY_READ, KEY_WRITE, REG_DWORD, REG_MULTI_SZ, REG_OPTION_NON_VOLATILE, REG_SZ,
    REG_VALUE_TYPE, RegCloseKey, RegCreateKeyExW, RegDeleteKeyW, RegDeleteValueW, RegEnumValueW,
    RegOpenKeyExW, RegQueryValueExW, RegSetValueExW,
};
use windows::core::{PWSTR, Result};

use crate::wide::{self, Wide};

/// Largest value that is read, bytes: a list of devices has less than 64 KiB, the record
/// of a plan as much as a plan.
const MAX_VALUE: u32 = 4 << 20;

/// An open key.
pub struct Key(HKEY);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the handle is open and nobody else's.
        let _ = unsafe { RegCloseKey(self.0) };
    }
}

fn check(error: WIN32_ERROR) -> Result<()> {
    error.ok()
}

impl Key {
    /// Takes over a handle that a call has opened.
    pub fn of(handle: HKEY) -> Self {
        Self(handle)
    }

    /// A key below, if it is there.
    pub fn open(&self, path: &str) -> Result<Option<Self>> {
        Self::open_at(self.0, path)
    }

    /// A key below a handle that stays the caller's, if it is there.
    pub fn open_at(parent: HKEY, path: &str) -> Result<Option<Self>> {
        let mut key = HKEY::default();
        let path = Wide::new(path);
        // SAFETY: the text ends with NUL; the handle goes to a place of its own.
        let error = unsafe {
            RegOpenKeyExW(
                parent,
                path.as_ptr(),
                None,
                KEY_READ | KEY_WRITE,
                &raw mut key,
            )
        };
        match error {
            ERROR_FILE_NOT_FOUND => Ok(None),
            error => check(error).map(|()| Some(Self(key))),
        }
    }

    /// A key below, made if it is not there.
    pub fn create(&self, path: &str) -> Result<Self> {
        Self::create_at(self.0, path)
    }

    /// A key below a handle that stays the caller's, made if it is not there.
    pub fn create_at(parent: HKEY, path: &str) -> Result<Self> {
        let mut key = HKEY::default();
        let path = Wide::new(path);
        // SAFETY: the text ends with NUL; the handle goes to a place of its own.
        check(unsafe {
            RegCreateKeyExW(
                parent,
                path.as_ptr(),
                None,
                None,
                REG_OPTION_NON_VOLATILE,
                KEY_READ | KEY_WRITE,
                None,
                &raw mut key,
                None,
            )
        })?;
        Ok(Self(key))
    }

    /// Deletes a key below that has no keys below it, whatever values it has.
    pub fn delete(parent: HKEY, path: &str) {
        let path = Wide::new(path);
        // SAFETY: the text ends with NUL.
        let _ = unsafe { RegDeleteKeyW(parent, path.as_ptr()) };
    }

    /// Deletes a key below if it has neither values nor keys.
    pub fn tidy(&self, path: &str) {
        let empty = match self.open(path) {
            Ok(Some(key)) => key.names().is_ok_and(|n| n.is_empty()),
            _ => false,
        };
        if empty {
            Self::delete(self.0, path);
        }
    }

    /// A value, if it is there and of a type that the drivers read.
    pub fn value(&self, name: &str) -> Result<Option<Value>> {
        let name = Wide::new(name);
        let mut kind = REG_VALUE_TYPE::default();
        // Another process may make it longer between the two calls.
        let mut units: Vec<u16> = Vec::new();
        for _ in 0..8 {
            let mut size = (units.len() * 2) as u32;
            let data = (!units.is_empty()).then(|| units.as_mut_ptr().cast::<u8>());
            // SAFETY: the buffer has `size` bytes, or there is none and `size` is told.
            let error = unsafe {
                RegQueryValueExW(
                    self.0,
                    name.as_ptr(),
                    None,
                    Some(&raw mut kind),
                    data,
                    Some(&raw mut size),
                )
            };
            match error {
                ERROR_FILE_NOT_FOUND => return Ok(None),
                ERROR_SUCCESS if size == 0 || data.is_some() => {
                    let bytes = size as usize;
                    let number = match units[..] {
                        [low, high, ..] => u32::from(low) | u32::from(high) << 16,
                        _ => 0,
                    };
                    units.truncate(bytes / 2);
                    return Ok(match kind {
                        REG_DWORD if bytes == 4 => Some(Value::Number(number)),
                        REG_SZ => Some(Value::Text(wide::of(&units))),
                        REG_MULTI_SZ => Some(Value::List(wide::of_multi(&units))),
                        _ => None,
                    });
                }
                ERROR_SUCCESS | ERROR_MORE_DATA if size <= MAX_VALUE => {
                    units = vec![0; size as usize / 2 + 2]
                }
                ERROR_SUCCESS => return Ok(None),
                error => check(error)?,
            }
        }
        Ok(None)
    }

    /// Names of all values.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for index in 0.. {
            // The longest name that the registry knows, and a NUL.
            let mut name = vec![0_u16; 16384];
            let mut length = name.len() as u32;
            // SAFETY: the buffer has `length` units; its end is told there.
            let error = unsafe {
                let name = PWSTR(name.as_mut_ptr());
                RegEnumValueW(
                    self.0,
                    index,
                    Some(name),
                    &raw mut length,
                    None,
                    None,
                    None,
                    None,
                )
            };
            if error == ERROR_NO_MORE_ITEMS {
                break;
            }
            check(error)?;
            names.push(wide::of(&name));
        }
        Ok(names)
    }

    /// All values of types that the drivers read.
    pub fn values(&self) -> Result<Values> {
        let mut values = Values::new();
        for name in self.names()? {
            if let Some(value) = self.value(&name)? {
                values.insert(name, value);
            }
        }
        Ok(values)
    }

    /// Writes a value.
    pub fn set(&self, name: &str, value: &Value) -> Result<()> {
        let (kind, bytes) = match value {
            Value::Number(number) => (REG_DWORD, number.to_le_bytes().to_vec()),
            Value::Text(text) => (REG_SZ, bytes(&wide::multi(core::slice::from_ref(text)), 1)),
            Value::List(list) => (REG_MULTI_SZ, bytes(&wide::multi(list), 0)),
        };
        let name = Wide::new(name);
        // SAFETY: the text ends with NUL; the length is that of the bytes.
        check(unsafe { RegSetValueExW(self.0, name.as_ptr(), None, kind, Some(&bytes)) })
    }

    /// Writes a text under a name, or as the key's default value.
    pub fn set_text(&self, name: &str, text: &str) -> Result<()> {
        self.set(name, &Value::Text(text.to_string()))
    }

    /// Deletes a value; one that is not there is deleted already.
    pub fn unset(&self, name: &str) -> Result<()> {
        let name = Wide::new(name);
        // SAFETY: the text ends with NUL.
        match unsafe { RegDeleteValueW(self.0, name.as_ptr()) } {
            ERROR_FILE_NOT_FOUND => Ok(()),
            error => check(error),
        }
    }
}

/// The bytes of all units but the last `less`.
fn bytes(units: &[u16], less: usize) -> Vec<u8> {
    let units = &units[..units.len() - less];
    units.iter().flat_map(|u| u.to_le_bytes()).collect()
}

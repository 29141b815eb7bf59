//! Files, and the log.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use windows::Win32::Foundation::{CloseHandle, GENERIC_READ, GENERIC_WRITE, HANDLE};
use windows::Win32::Storage::FileSystem::{
    CREATE_ALWAYS, CreateFileW, DeleteFileW, FILE_APPEND_DATA, FILE_ATTRIBUTE_NORMAL,
    FILE_CREATION_DISPOSITION, FILE_SHARE_DELETE, FILE_SHARE_READ, FlushFileBuffers, GetFileSizeEx,
    MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW, OPEN_ALWAYS, OPEN_EXISTING,
    ReadFile, WriteFile,
};
use windows::Win32::System::Diagnostics::Debug::OutputDebugStringW;
use windows::Win32::System::Threading::Sleep;
use windows::core::Result;

use crate::own;
use crate::wide::Wide;

/// Longest file that is read: a state of a machine with thousands of miniports.
const MAX_FILE: i64 = 16 << 20;

/// An open file or device.
pub struct File(HANDLE);

impl File {
    /// Its handle, as long as it is open.
    pub const fn handle(&self) -> HANDLE {
        self.0
    }
}

/// Opens what is there, to read.
pub fn existing(path: &str) -> Result<File> {
    open(path, GENERIC_READ.0, OPEN_EXISTING)
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: open, and nobody else's.
        let _ = unsafe { CloseHandle(self.0) };
    }
}

fn open(path: &str, access: u32, how: FILE_CREATION_DISPOSITION) -> Result<File> {
    let path = Wide::new(path);
    let share = FILE_SHARE_READ | FILE_SHARE_DELETE;
    // SAFETY: a text that ends with NUL.
    unsafe {
        CreateFileW(
            path.as_ptr(),
            access,
            share,
            None,
            how,
            FILE_ATTRIBUTE_NORMAL,
            None,
        )
    }
    .map(File)
}

/// The content of a file.
pub fn read(path: &str) -> Result<Vec<u8>> {
    let file = existing(path)?;
    let mut size = 0;
    // SAFETY: an open handle and a place of ours.
    unsafe { GetFileSizeEx(file.0, &raw mut size) }?;
    let mut content = vec![0; size.clamp(0, MAX_FILE) as usize];
    let mut read = 0;
    // SAFETY: an open handle; the buffer's length goes with it.
    unsafe { ReadFile(file.0, Some(&mut content), Some(&raw mut read), None) }?;
    content.truncate(read as usize);
    Ok(content)
}

/// Replaces a file in one piece: a reader sees the old content or the new.
pub fn replace(path: &str, content: &[u8]) -> Result<()> {
    let new = format!("{path}.new");
    let file = open(&new, GENERIC_WRITE.0, CREATE_ALWAYS)?;
    // SAFETY: an open handle; the buffer's length goes with it.
    unsafe {
        WriteFile(file.0, Some(content), None, None)?;
        FlushFileBuffers(file.0)?;
    }
    drop(file);
    let (new, path) = (Wide::new(&new), Wide::new(path));
    let mut tries = 20;
    loop {
        // SAFETY: texts that end with NUL.
        let moved = unsafe {
            let how = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
            MoveFileExW(new.as_ptr(), path.as_ptr(), how)
        };
        tries -= 1;
        if moved.is_ok() || tries == 0 {
            return moved;
        }
        // A reader has the old one open: that passes.
        // SAFETY: waits.
        unsafe { Sleep(100) };
    }
}

/// Deletes a file, if it is there.
pub fn delete(path: &str) {
    let path = Wide::new(path);
    // SAFETY: a text that ends with NUL.
    let _ = unsafe { DeleteFileW(path.as_ptr()) };
}

/// Says a line to a debugger, and to a file where one is named.
pub fn log(file: Option<&str>, text: &str) {
    let line = format!("{} notify object: {text}\r\n", own::DRIVER);
    let wide = Wide::new(&line);
    // SAFETY: a text that ends with NUL.
    unsafe { OutputDebugStringW(wide.as_ptr()) };
    let written = file.map(|path| -> Result<()> {
        let file = open(path, FILE_APPEND_DATA.0, OPEN_ALWAYS)?;
        // SAFETY: an open handle; the buffer's length goes with it.
        unsafe { WriteFile(file.0, Some(line.as_bytes()), None, None) }
    });
    // Who cannot log goes on without.
    let _ = written;
}

/// The two words of a command line; one with blanks stands in quotes.
pub fn two_words(line: &str) -> Option<[String; 2]> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_once([' ', '\t']).unwrap_or((rest, "")),
        };
        words.push(String::from(word));
        rest = after.trim_start();
    }
    words.try_into().ok()
}

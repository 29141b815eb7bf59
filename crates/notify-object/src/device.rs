//! The driver's control device, asked from user mode: `docs/control.md`.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use im_control::{IOCTL_QUERY, Kind, Reply, Request};
use windows::Win32::System::IO::DeviceIoControl;

use crate::files::{self, File};
use crate::own;

/// The reply that is tried first, and the longest one.
const ROOM: usize = 16 << 10;
const MOST: usize = 4 << 20;

/// The device, open.
pub struct Device(File);

impl Device {
    /// Opens it.
    pub fn open() -> Result<Self, String> {
        let path = format!(r"\\.\{}", own::DRIVER);
        files::existing(&path)
            .map(Self)
            .map_err(|e| format!("{path} cannot be opened: {:#010X}", e.code().0))
    }

    /// One question. A reply that says that there is more is asked for again, with more room.
    pub fn ask(&self, kind: Kind, index: u32) -> Result<Vec<u8>, String> {
        let request = Request { kind, index }.to_bytes();
        let mut room = ROOM;
        loop {
            let mut reply = vec![0; room];
            let mut length = 0;
            // SAFETY: an open handle; the lengths go with the buffers, which outlive the call.
            unsafe {
                DeviceIoControl(
                    self.0.handle(),
                    IOCTL_QUERY,
                    Some(request.as_ptr().cast()),
                    request.len() as u32,
                    Some(reply.as_mut_ptr().cast()),
                    reply.len() as u32,
                    Some(&raw mut length),
                    None,
                )
            }
            .map_err(|e| format!("{kind:?} is refused: {:#010X}", e.code().0))?;
            reply.truncate(length as usize);
            let short = Reply::parse(&reply).is_ok_and(|(head, _)| head.count < head.available);
            if !short || room >= MOST {
                return Ok(reply);
            }
            room *= 4;
        }
    }
}
